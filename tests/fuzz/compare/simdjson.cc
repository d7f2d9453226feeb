/*
 * Any bytes as JSON, by our reader and by simdjson: both take them or both refuse them. Built by the fuzz preset only,
 * where libsimdjson-dev is installed; nothing else in the project needs C++.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <simdjson.h>

#define DEPTH_MAX 512 /* JSON_DEPTH_MAX: the header is C */

extern "C" const char *json_failure(const uint8_t *data, size_t size);

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static simdjson::dom::parser parser;
	simdjson::error_code theirs;
	const char *ours = json_failure(data, size);

	if (parser.allocate(size, DEPTH_MAX + 2) != simdjson::SUCCESS)
		abort();
	theirs = parser.parse(data, size).error();
	/* they refuse numbers that fit no machine type; a malformed one they refuse for the same reason */
	if (theirs == simdjson::NUMBER_ERROR || theirs == simdjson::DEPTH_ERROR)
		return 0;
	if ((ours == nullptr) != (theirs == simdjson::SUCCESS)) {
		fprintf(stderr, "ours: %s, theirs: %s\n", ours ? ours : "fine", simdjson::error_message(theirs));
		abort();
	}
	return 0;
}
