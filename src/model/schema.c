/* The order of the checks and the wording are DynamoDB's, also where the wording is odd. */
#include "model/schema.h"

#define SLICE_INT(s) (int)((s).len < ERR_MESSAGE_MAX ? (s).len : ERR_MESSAGE_MAX), (s).data

static enum status
no_match(struct err *err)
{
	return err_set(err, S_VALIDATION, "The provided key element does not match the schema");
}

static bool
is_empty(struct av value)
{
	return av_type(value) != AV_N && av_bytes(value).len == 0;
}

static const char *
kind_of(const struct key_attr *attr)
{
	return attr->type == AV_S ? "string" : "binary";
}

static enum status
check_not_empty(const struct key_attr *attr, struct av value, struct err *err)
{
	if (!is_empty(value))
		return S_OK;
	return err_set(err, S_VALIDATION,
		       "One or more parameter values are not valid. "
		       "The AttributeValue for a key attribute cannot contain an empty %s value. Key: %.*s",
		       kind_of(attr), SLICE_INT(attr->name));
}

static enum status
check_partition_size(size_t bytes, struct err *err)
{
	if (bytes <= PARTITION_KEY_MAX)
		return S_OK;
	return err_set(err, S_VALIDATION,
		       "One or more parameter values were invalid: "
		       "Size of hashkey has exceeded the maximum size limit of2048 bytes");
}

static enum status
check_sort_size(size_t bytes, struct err *err)
{
	if (bytes <= SORT_KEY_MAX)
		return S_OK;
	return err_set(err, S_VALIDATION,
		       "One or more parameter values were invalid: "
		       "Aggregated size of all range keys has exceeded the size limit of 1024 bytes");
}

/* Numbers are at most 22 bytes by the size rule and never too long. */
static size_t
key_bytes(struct av value)
{
	return av_type(value) == AV_N ? 0 : av_bytes(value).len;
}

/* What a check says about one attribute of the key; the sizes come after it. */
typedef enum status check_attr_fn(const struct key_attr *attr, struct av value, struct err *err);

static enum status
check_all(const struct key_schema *schema, struct av item, check_attr_fn *check_attr, struct err *err)
{
	size_t sort_bytes = 0;
	enum status s;

	for (int i = 0; i < schema->partition_count; i++) {
		struct av value = av_get(item, schema->partition[i].name);

		s = check_attr(&schema->partition[i], value, err);
		if (s == S_OK)
			s = check_partition_size(key_bytes(value), err);
		if (s != S_OK)
			return s;
	}
	for (int i = 0; i < schema->sort_count; i++) {
		struct av value = av_get(item, schema->sort[i].name);

		s = check_attr(&schema->sort[i], value, err);
		if (s == S_OK)
			s = check_sort_size(sort_bytes += key_bytes(value), err);
		if (s != S_OK)
			return s;
	}
	return S_OK;
}

static enum status
check_key_attr(const struct key_attr *attr, struct av value, struct err *err)
{
	if (!av_exists(value) || av_type(value) != attr->type)
		return no_match(err);
	return check_not_empty(attr, value, err);
}

enum status
key_check(const struct key_schema *schema, struct av key, struct err *err)
{
	if (av_count(key) != (uint32_t)schema->partition_count + schema->sort_count)
		return no_match(err);
	return check_all(schema, key, check_key_attr, err);
}

enum status
key_check_batch_item(const struct key_schema *schema, struct av item, struct err *err)
{
	return check_all(schema, item, check_key_attr, err);
}

static enum status
check_item_attr(const struct key_attr *attr, struct av value, struct err *err)
{
	if (!av_exists(value))
		return err_set(err, S_VALIDATION,
			       "One or more parameter values were invalid: Missing the key %.*s in the item",
			       SLICE_INT(attr->name));
	if (av_type(value) != attr->type)
		return err_set(
		    err, S_VALIDATION,
		    "One or more parameter values were invalid: Type mismatch for key %.*s expected: %s actual: %s",
		    SLICE_INT(attr->name), av_type_name(attr->type), av_type_name(av_type(value)));
	return check_not_empty(attr, value, err);
}

enum status
key_check_item(const struct key_schema *schema, struct av item, struct err *err)
{
	return check_all(schema, item, check_item_attr, err);
}

/* ---- indexes ---- */

static enum status
check_index_attr(const struct key_attr *attr, struct slice index_name, struct av value, enum key_cause cause,
		 struct err *err)
{
	if (av_type(value) != attr->type)
		return err_set(err, S_VALIDATION,
			       "One or more parameter values were invalid: "
			       "Type mismatch for Index Key %.*s Expected: %s Actual: %s IndexName: %.*s",
			       SLICE_INT(attr->name), av_type_name(attr->type), av_type_name(av_type(value)),
			       SLICE_INT(index_name));
	if (!is_empty(value))
		return S_OK;
	if (cause == KEY_FROM_UPDATE)
		return err_set(
		    err, S_VALIDATION,
		    "One or more parameter values are not valid. The update expression attempted to update a "
		    "secondary index key to a value that is not supported. "
		    "The AttributeValue for a key attribute cannot contain an empty %s value.",
		    kind_of(attr));
	return err_set(
	    err, S_VALIDATION,
	    "One or more parameter values are not valid. "
	    "A value specified for a secondary index key is not supported. "
	    "The AttributeValue for a key attribute cannot contain an empty %s value. IndexName: %.*s, IndexKey: %.*s",
	    kind_of(attr), SLICE_INT(index_name), SLICE_INT(attr->name));
}

enum status
key_check_index_from(const struct key_schema *schema, struct slice index_name, struct av item, enum key_cause cause,
		     bool *ret_indexed, struct err *err)
{
	size_t partition_count = schema->partition_count, count = partition_count + schema->sort_count, sort_bytes = 0;

	*ret_indexed = true;
	for (size_t i = 0; i < count; i++) {
		bool sort = i >= partition_count;
		const struct key_attr *attr = sort ? &schema->sort[i - partition_count] : &schema->partition[i];
		struct av value = av_get(item, attr->name);
		enum status s;

		if (!av_exists(value)) {
			*ret_indexed = false; /* but the others are checked all the same */
			continue;
		}
		s = check_index_attr(attr, index_name, value, cause, err);
		if (s == S_OK && sort)
			s = check_sort_size(sort_bytes += key_bytes(value), err);
		else if (s == S_OK)
			s = check_partition_size(key_bytes(value), err);
		if (s != S_OK)
			return s;
	}
	return S_OK;
}

enum status
key_check_index(const struct key_schema *schema, struct slice index_name, struct av item, bool *ret_indexed,
		struct err *err)
{
	return key_check_index_from(schema, index_name, item, KEY_FROM_ITEM, ret_indexed, err);
}

struct av
key_of_item(const struct key_schema *schema, struct av item, struct arena *a)
{
	struct slice names[2 * KEY_ATTRS_MAX];
	size_t count = 0;

	for (int i = 0; i < schema->partition_count; i++)
		names[count++] = schema->partition[i].name;
	for (int i = 0; i < schema->sort_count; i++)
		names[count++] = schema->sort[i].name;
	return item_pick(a, item, names, count);
}

bool
key_has_attr(const struct key_schema *schema, struct slice name)
{
	for (uint8_t i = 0; i < schema->partition_count; i++)
		if (slice_eq(schema->partition[i].name, name))
			return true;
	for (uint8_t i = 0; i < schema->sort_count; i++)
		if (slice_eq(schema->sort[i].name, name))
			return true;
	return false;
}
