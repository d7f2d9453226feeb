/* UpdateTimeToLive, DescribeTimeToLive. */
#include "api/op_int.h"
#include "table/ttl.h"

struct ttl_specification_in {
	enum in_bool enabled;
	struct slice attribute;
};
struct ttl_in {
	struct slice table_name;
	struct ttl_specification_in *specification;
};

static const struct field specification_fields[] = {
    FIELD(struct ttl_specification_in, attribute, "AttributeName", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, 255)),
    FIELD(struct ttl_specification_in, enabled, "Enabled", SHAPE_BOOL, FIELD_REQUIRED),
    FIELD_END,
};
static const struct shape shape_specification = {"TimeToLiveSpecification", sizeof(struct ttl_specification_in),
						 specification_fields};
static const struct field update_fields[] = {
    FIELD(struct ttl_in, table_name, "TableName", SHAPE_TABLE, FIELD_PARAMETER),
    FIELD(struct ttl_in, specification, "TimeToLiveSpecification", SHAPE_STRUCT, FIELD_REQUIRED,
	  .shape = &shape_specification),
    FIELD_END,
};
static const struct field describe_fields[] = {
    FIELD(struct ttl_in, table_name, "TableName", SHAPE_TABLE, FIELD_PARAMETER),
    FIELD_END,
};
const struct shape shape_update_ttl = {"UpdateTimeToLiveInput", sizeof(struct ttl_in), update_fields};
const struct shape shape_describe_ttl = {"DescribeTimeToLiveInput", sizeof(struct ttl_in), describe_fields};

enum status
op_update_ttl(struct op_call *call, const void *input, struct err *err)
{
	const struct ttl_in *in = input;
	bool enabled = in->specification->enabled == IN_TRUE;
	struct slice name;
	enum status s = request_table_name(call, in->table_name, &name, err);

	if (s == S_OK)
		s = table_ttl_update(call->db, name, in->specification->attribute, enabled, err);
	if (s != S_OK)
		return s;
	buf_printf(call->out,
		   "{\"TimeToLiveSpecification\":{\"Enabled\":%s,\"AttributeName\":", enabled ? "true" : "false");
	json_put_string(call->out, in->specification->attribute);
	buf_put_lit(call->out, "}}");
	return S_OK;
}

enum status
op_describe_ttl(struct op_call *call, const void *input, struct err *err)
{
	static const char *const names[] = {[TTL_DISABLED] = "DISABLED",
					    [TTL_ENABLING] = "ENABLING",
					    [TTL_ENABLED] = "ENABLED",
					    [TTL_DISABLING] = "DISABLING"};
	const struct ttl_in *in = input;
	struct table_ttl_description ttl;
	struct slice name;
	enum status s = request_table_name(call, in->table_name, &name, err);

	if (s == S_OK)
		s = table_ttl_describe(call->db, name, call->arena, &ttl, err);
	if (s != S_OK)
		return s;
	buf_printf(call->out, "{\"TimeToLiveDescription\":{\"TimeToLiveStatus\":\"%s\"", names[ttl.status]);
	if (ttl.attribute.len > 0) {
		buf_put_lit(call->out, ",\"AttributeName\":");
		json_put_string(call->out, ttl.attribute);
	}
	buf_put_lit(call->out, "}}");
	return S_OK;
}
