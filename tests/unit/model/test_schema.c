#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/schema.h"

#define NOT_SCHEMA "The provided key element does not match the schema"
#define INVALID    "One or more parameter values were invalid: "
#define NOT_VALID  "One or more parameter values are not valid. "
#define EMPTY      "The AttributeValue for a key attribute cannot contain an empty "
#define HASH_SIZE  INVALID "Size of hashkey has exceeded the maximum size limit of2048 bytes"
#define RANGE_SIZE INVALID "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"

static const struct key_schema schema = {
    .partition_count = 1,
    .sort_count = 1,
    .partition = {{{"pk", 2}, AV_S}},
    .sort = {{{"sk", 2}, AV_B}},
};

static char long_text[4096];

/* A map of up to three attributes; a text of NULL leaves one out. type: S, B, or anything else for a BOOL. */
struct attr {
	const char *name;
	char type;
	size_t len;
};

static struct av
map_of(struct arena *a, const struct attr *attrs, size_t count)
{
	struct buf b = {0};
	size_t map = av_open(&b, TAG_M);
	struct av item;

	memset(long_text, 'x', sizeof long_text);
	for (size_t i = 0; i < count; i++) {
		av_put_name(&b, slice_str(attrs[i].name));
		if (attrs[i].type == 'S')
			av_put_string(&b, slice_of(long_text, attrs[i].len));
		else if (attrs[i].type == 'B')
			av_put_binary(&b, slice_of(long_text, attrs[i].len));
		else
			av_put_bool(&b, true);
	}
	assert_int_equal(av_close_map(&b, map, (uint32_t)count, NULL), S_OK);
	item = av_of_buf(a, &b, 0);
	buf_done(&b);
	return item;
}

typedef enum status check_fn(const struct key_schema *s, struct av item, struct err *err);

static void
assert_says(check_fn *check, const struct attr *attrs, size_t count, const char *message)
{
	struct arena a = {0};
	struct err err;
	enum status s = check(&schema, map_of(&a, attrs, count), &err);

	if (message == NULL) {
		if (s != S_OK)
			fail_msg("%s", err.message);
	} else {
		assert_int_equal(s, S_VALIDATION);
		assert_string_equal(err.message, message);
	}
	arena_done(&a);
}

#define SAYS(check, message, ...)                                                                                      \
	assert_says(check, (const struct attr[]){__VA_ARGS__},                                                         \
		    sizeof((const struct attr[]){__VA_ARGS__}) / sizeof(struct attr), message)

static void
a_key_must_be_exactly_the_schema(void **state)
{
	(void)state;
	SAYS(key_check, NULL, {"pk", 'S', 2048}, {"sk", 'B', 1024});
	assert_says(key_check, NULL, 0, NOT_SCHEMA);
	SAYS(key_check, NOT_SCHEMA, {"pk", 'S', 1});
	SAYS(key_check, NOT_SCHEMA, {"sk", 'B', 1});
	SAYS(key_check, NOT_SCHEMA, {"pk", 'S', 1}, {"sk", 'S', 1});
	SAYS(key_check, NOT_SCHEMA, {"pk", 'T', 1}, {"sk", 'B', 1});
	SAYS(key_check, NOT_SCHEMA, {"pk", 'S', 1}, {"other", 'B', 1});
	SAYS(key_check, NOT_SCHEMA, {"pk", 'S', 1}, {"sk", 'B', 1}, {"other", 'S', 1});
	SAYS(key_check, NOT_VALID EMPTY "string value. Key: pk", {"pk", 'S', 0}, {"sk", 'B', 1});
	SAYS(key_check, NOT_VALID EMPTY "binary value. Key: sk", {"pk", 'S', 1}, {"sk", 'B', 0});
	SAYS(key_check, HASH_SIZE, {"pk", 'S', 2049}, {"sk", 'B', 1});
	SAYS(key_check, RANGE_SIZE, {"pk", 'S', 1}, {"sk", 'B', 1025});
}

static void
an_item_must_have_its_key(void **state)
{
	(void)state;
	SAYS(key_check_item, NULL, {"pk", 'S', 2048}, {"sk", 'B', 1024}, {"other", 'T', 0});
	SAYS(key_check_item, INVALID "Missing the key pk in the item", {"sk", 'B', 1});
	SAYS(key_check_item, INVALID "Missing the key sk in the item", {"pk", 'S', 1});
	SAYS(key_check_item, INVALID "Type mismatch for key pk expected: S actual: B", {"pk", 'B', 1});
	SAYS(key_check_item, INVALID "Type mismatch for key sk expected: B actual: BOOL", {"pk", 'S', 1},
	     {"sk", 'T', 1});
	SAYS(key_check_item, NOT_VALID EMPTY "string value. Key: pk", {"pk", 'S', 0}, {"sk", 'B', 1});
	SAYS(key_check_item, NOT_VALID EMPTY "binary value. Key: sk", {"pk", 'S', 1}, {"sk", 'B', 0});
	SAYS(key_check_item, HASH_SIZE, {"pk", 'S', 2049}, {"sk", 'B', 1});
	SAYS(key_check_item, RANGE_SIZE, {"pk", 'S', 1}, {"sk", 'B', 1025});
}

static void
a_batch_words_a_missing_key_as_a_mismatch(void **state)
{
	(void)state;
	SAYS(key_check_batch_item, NULL, {"pk", 'S', 1}, {"sk", 'B', 1}, {"other", 'S', 1});
	SAYS(key_check_batch_item, NOT_SCHEMA, {"pk", 'T', 1}, {"sk", 'B', 1});
	SAYS(key_check_batch_item, NOT_SCHEMA, {"pk", 'S', 1});
	SAYS(key_check_batch_item, NOT_VALID EMPTY "string value. Key: pk", {"pk", 'S', 0}, {"sk", 'B', 1});
}

static const char *
index_says(enum key_cause cause, const struct attr *attrs, size_t count, bool *ret_indexed)
{
	static struct err err;
	struct arena a = {0};
	enum status s =
	    key_check_index_from(&schema, SLICE("gsi1"), map_of(&a, attrs, count), cause, ret_indexed, &err);

	arena_done(&a);
	return s == S_OK ? NULL : err.message;
}

#define INDEX_SAYS(cause, message, ...)                                                                                \
	assert_string_equal(index_says(cause, (const struct attr[]){__VA_ARGS__},                                      \
				       sizeof((const struct attr[]){__VA_ARGS__}) / sizeof(struct attr), &indexed),    \
			    message)

static void
an_index_takes_only_items_with_its_whole_key(void **state)
{
	bool indexed;

	(void)state;
	assert_null(index_says(KEY_FROM_ITEM, (const struct attr[]){{"pk", 'S', 1}, {"sk", 'B', 1}}, 2, &indexed));
	assert_true(indexed);
	assert_null(index_says(KEY_FROM_ITEM, (const struct attr[]){{"pk", 'S', 1}}, 1, &indexed));
	assert_false(indexed);
	assert_null(index_says(KEY_FROM_ITEM, (const struct attr[]){{"sk", 'B', 1}, {"x", 'S', 1}}, 2, &indexed));
	assert_false(indexed);
	INDEX_SAYS(KEY_FROM_ITEM, INVALID "Type mismatch for Index Key pk Expected: S Actual: BOOL IndexName: gsi1",
		   {"pk", 'T', 1});
	INDEX_SAYS(KEY_FROM_UPDATE, INVALID "Type mismatch for Index Key sk Expected: B Actual: S IndexName: gsi1",
		   {"sk", 'S', 1});
	INDEX_SAYS(KEY_FROM_ITEM,
		   NOT_VALID "A value specified for a secondary index key is not supported. " EMPTY
			     "string value. IndexName: gsi1, IndexKey: pk",
		   {"pk", 'S', 0});
	INDEX_SAYS(KEY_FROM_UPDATE,
		   NOT_VALID "The update expression attempted to update a secondary index key to a value that is not "
			     "supported. " EMPTY "binary value.",
		   {"pk", 'S', 1}, {"sk", 'B', 0});
	INDEX_SAYS(KEY_FROM_ITEM, HASH_SIZE, {"pk", 'S', 2049});
	INDEX_SAYS(KEY_FROM_ITEM, RANGE_SIZE, {"sk", 'B', 1025});
}

static void
the_key_of_an_item_is_its_key_attributes(void **state)
{
	struct arena a = {0};
	struct av key = key_of_item(
	    &schema, map_of(&a, (const struct attr[]){{"sk", 'B', 3}, {"a", 'S', 1}, {"pk", 'S', 2}, {"z", 'T', 0}}, 4),
	    &a);

	(void)state;
	assert_int_equal(key_check(&schema, key, NULL), S_OK);
	assert_int_equal(av_count(key), 2);
	assert_int_equal(av_bytes(av_get(key, SLICE("sk"))).len, 3);
	arena_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_key_must_be_exactly_the_schema),
	    cmocka_unit_test(an_item_must_have_its_key),
	    cmocka_unit_test(a_batch_words_a_missing_key_as_a_mismatch),
	    cmocka_unit_test(an_index_takes_only_items_with_its_whole_key),
	    cmocka_unit_test(the_key_of_an_item_is_its_key_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
