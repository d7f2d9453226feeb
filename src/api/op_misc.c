/* Tags, limits, endpoints. */
#include "api/table_int.h"

struct tag_request_in {
	struct slice arn, next_token;
	struct in_list tags, keys;
};

static const struct field tag_key_element = ELEMENT("member", SHAPE_STRING, FIELD_REQUIRED);
#define TAGS(member, name, type, flags, ...) FIELD(struct tag_request_in, member, name, type, flags, __VA_ARGS__)
static const struct field tag_fields[] = {
    TAGS(arn, "ResourceArn", SHAPE_STRING, 0),
    TAGS(tags, "Tags", SHAPE_LIST, 0, .element = &tag_element),
    FIELD_END,
};
static const struct field untag_fields[] = {
    TAGS(arn, "ResourceArn", SHAPE_STRING, 0),
    TAGS(keys, "TagKeys", SHAPE_LIST, 0, .element = &tag_key_element),
    FIELD_END,
};
static const struct field list_fields[] = {TAGS(arn, "ResourceArn", SHAPE_STRING, 0),
					   TAGS(next_token, "NextToken", SHAPE_STRING, 0), FIELD_END};
const struct shape shape_tag = {"TagResourceInput", sizeof(struct tag_request_in), tag_fields};
const struct shape shape_untag = {"UntagResourceInput", sizeof(struct tag_request_in), untag_fields};
const struct shape shape_list_tags = {"ListTagsOfResourceInput", sizeof(struct tag_request_in), list_fields};
const struct shape shape_empty = {"Input", 1, (const struct field[]){FIELD_END}};

/* The table an ARN names; a bare name is no ARN here. list: what else the request must have, called name; or NULL. */
static enum status
tagged_table(struct op_call *call, struct slice arn, const struct in_list *list, const char *name, struct slice *ret,
	     struct err *err)
{
	if (arn.len == 0)
		return err_set(err, S_VALIDATION, MSG_NO_ARN);
	if (list != NULL && !list->set)
		return err_set(err, S_VALIDATION, MSG_DETECTED_NULL, name);
	if (!slice_starts(arn, SLICE("arn:")))
		return err_set(err, S_VALIDATION, MSG_POLICY_NO_ARN, SLICE_ARG(arn));
	if (!slice_eq(request_arn_part(arn, 2), SLICE("dynamodb")))
		return err_set(err, S_VALIDATION, MSG_POLICY_OTHER_ARN, SLICE_ARG(arn));
	if (memmem(arn.data, arn.len, "/index/", 7) != NULL)
		return err_set(err, S_VALIDATION, MSG_POLICY_INDEX_ARN, SLICE_ARG(arn));
	return request_table_name(call, arn, ret, err);
}

enum status
op_tag(struct op_call *call, const void *input, struct err *err)
{
	const struct tag_request_in *in = input;
	struct table_tag *tags;
	struct slice name;
	size_t count;
	enum status s = tagged_table(call, in->arn, &in->tags, "tags", &name, err);

	if (s == S_OK && in->tags.count == 0)
		s = err_set(err, S_VALIDATION, MSG_NO_TAGS);
	if (s == S_OK)
		s = table_read_tags(&in->tags, call->arena, &tags, &count, err);
	return s == S_OK ? table_tag(call->db, name, tags, count, err) : s;
}

enum status
op_untag(struct op_call *call, const void *input, struct err *err)
{
	const struct tag_request_in *in = input;
	struct slice name;
	enum status s = tagged_table(call, in->arn, &in->keys, "tagKeys", &name, err);

	if (s == S_OK && in->keys.count == 0)
		s = err_set(err, S_VALIDATION, MSG_NO_TAG_KEYS);
	for (uint32_t i = 0; i < in->keys.count && s == S_OK; i++) {
		struct slice key = ((const struct slice *)in->keys.items)[i];

		if (key.len == 0 || shape_characters(key) > TAG_KEY_MAX)
			s = err_set(err, S_VALIDATION, MSG_TAG_KEY, SLICE_ARG(key));
	}
	if (s == S_OK)
		s = table_untag(call->db, name, in->keys.items, in->keys.count, err);
	return s == S_RESOURCE_NOT_FOUND ? err_set(err, s, MSG_NOT_FOUND) : s; /* here without the ARN */
}

/* All of them at once: a table has at most 50, so there is never a next page and no token of ours to take. */
enum status
op_list_tags(struct op_call *call, const void *input, struct err *err)
{
	const struct tag_request_in *in = input;
	struct table_tag *tags;
	struct slice name;
	size_t count;
	enum status s = tagged_table(call, in->arn, NULL, NULL, &name, err);

	if (s == S_OK && in->next_token.len > 0)
		s = err_set(err, S_VALIDATION, MSG_NEXT_TOKEN);
	if (s == S_OK)
		s = table_tags(call->db, name, call->arena, &tags, &count, err);
	if (s != S_OK)
		return s;
	buf_put_lit(call->out, "{\"Tags\":[");
	for (size_t i = 0; i < count; i++) {
		buf_printf(call->out, "%s{\"Key\":", i > 0 ? "," : "");
		json_put_string(call->out, tags[i].key);
		buf_put_lit(call->out, ",\"Value\":");
		json_put_string(call->out, tags[i].value);
		buf_put_byte(call->out, '}');
	}
	buf_put_lit(call->out, "]}");
	return S_OK;
}

enum status
op_describe_limits(struct op_call *call, const void *input, struct err *err)
{
	(void)input;
	(void)err;
	buf_printf(
	    call->out,
	    "{\"AccountMaxReadCapacityUnits\":%d,\"AccountMaxWriteCapacityUnits\":%d,\"TableMaxReadCapacityUnits\":%d,"
	    "\"TableMaxWriteCapacityUnits\":%d}",
	    QUOTA_ACCOUNT_UNITS, QUOTA_ACCOUNT_UNITS, QUOTA_TABLE_UNITS, QUOTA_TABLE_UNITS);
	return S_OK;
}

/* A client that discovers endpoints is sent back to where it came from. */
enum status
op_describe_endpoints(struct op_call *call, const void *input, struct err *err)
{
	(void)input;
	(void)err;
	buf_put_lit(call->out, "{\"Endpoints\":[{\"Address\":");
	json_put_string(call->out, call->host.len > 0 ? call->host : SLICE("localhost"));
	buf_put_lit(call->out, ",\"CachePeriodInMinutes\":1440}]}");
	return S_OK;
}
