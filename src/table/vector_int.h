/* What the files about vector indexes share. */
#ifndef STATOR_TABLE_VECTOR_INT_H
#define STATOR_TABLE_VECTOR_INT_H

#include "table/table_int.h"
#include "table/vector.h"

#define VECTOR_ON_DEMAND_ONLY                                                                                          \
	"One or more parameter values were invalid: Vector indexes are only supported for PAY_PER_REQUEST tables"

/*
 * A row: byte 1 (version), u32 bytes of the filters, f64 sum of the squares, the floats, the filters (a map of what the
 * item has of the INLINE_FILTER attributes). All little endian, as the machines we build for.
 */
#define VECTOR_ROW_VERSION 1
#define VECTOR_ROW_HEAD    13

struct vector_row {
	const char *floats; /* not aligned */
	double squares;
	struct av filters;
};
/* False: damaged. */
bool vector_row_read(struct slice value, uint32_t dimensions, struct vector_row *ret);

/* Is the attribute one of the search schema's elements? vector may be NULL. */
bool vector_uses(const struct table_vector_spec *vector, struct slice name);
/* Can the table have this new vector index (UpdateTable)? */
enum status vector_check_new_index(const struct table_spec *spec, const struct table_index_spec *new, struct err *err);

#endif
