#include "table/table.h"

#define READ_STEP  4096
#define WRITE_STEP 1024

uint32_t
capacity_half_reads(uint64_t bytes, bool consistent)
{
	uint64_t steps = bytes > 0 ? (bytes + READ_STEP - 1) / READ_STEP : 1;

	return (uint32_t)(consistent ? 2 * steps : steps);
}

uint32_t
capacity_half_writes(uint64_t bytes)
{
	uint64_t steps = bytes > 0 ? (bytes + WRITE_STEP - 1) / WRITE_STEP : 1;

	return (uint32_t)(2 * steps);
}
