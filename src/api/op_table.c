/* CreateTable, DescribeTable, ListTables, DeleteTable: their requests and what they tell. UpdateTable is op_update.c.
 */
#include "api/table_int.h"

/* ---- shapes that CreateTable and UpdateTable share; the orders are the service's ---- */

static const char *const values_attribute_type[] = {"B", "N", "S", NULL};
static const char *const values_key_type[] = {"HASH", "RANGE", NULL};
static const char *const values_projection[] = {"ALL", "INCLUDE", "KEYS_ONLY", NULL};
const char *const values_billing[] = {"PROVISIONED", "PAY_PER_REQUEST", NULL};
const char *const values_replication_mode[] = {"ENABLED", "DISABLED", "ENABLED_WITH_OVERRIDES", NULL};
const char *const values_class[] = {"STANDARD", "STANDARD_INFREQUENT_ACCESS", NULL};
/* In the order of enum stream_view; then in that of the service's message. */
const char *const stream_view_names[] = {"NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY", NULL};
static const char *const values_view[] = {"OLD_IMAGE", "KEYS_ONLY", "NEW_AND_OLD_IMAGES", "NEW_IMAGE", NULL};

static const struct field definition_fields[] = {
    FIELD(struct definition_in, type, "AttributeType", SHAPE_ENUM, FIELD_REQUIRED, .values = values_attribute_type),
    FIELD(struct definition_in, name, "AttributeName", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, 255)),
    FIELD_END,
};
static const struct shape shape_definition = {"AttributeDefinition", sizeof(struct definition_in), definition_fields};
const struct field definition_element = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_definition);

static const struct field throughput_fields[] = {
    FIELD(struct throughput_in, write, "WriteCapacityUnits", SHAPE_LONG, FIELD_REQUIRED, LIMITS(1, INT64_MAX)),
    FIELD(struct throughput_in, read, "ReadCapacityUnits", SHAPE_LONG, FIELD_REQUIRED, LIMITS(1, INT64_MAX)),
    FIELD_END,
};
const struct shape shape_throughput = {"ProvisionedThroughput", sizeof(struct throughput_in), throughput_fields};
static const struct field on_demand_fields[] = {
    FIELD(struct throughput_in, read, "MaxReadRequestUnits", SHAPE_LONG, 0),
    FIELD(struct throughput_in, write, "MaxWriteRequestUnits", SHAPE_LONG, 0),
    FIELD_END,
};
const struct shape shape_on_demand = {"OnDemandThroughput", sizeof(struct throughput_in), on_demand_fields};
static const struct field warm_fields[] = {
    FIELD(struct throughput_in, read, "ReadUnitsPerSecond", SHAPE_LONG, 0),
    FIELD(struct throughput_in, write, "WriteUnitsPerSecond", SHAPE_LONG, 0),
    FIELD_END,
};
const struct shape shape_warm = {"WarmThroughput", sizeof(struct throughput_in), warm_fields};

static const struct field key_fields[] = {
    FIELD(struct key_in, name, "AttributeName", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, 255)),
    FIELD(struct key_in, type, "KeyType", SHAPE_ENUM, FIELD_REQUIRED, .values = values_key_type),
    FIELD_END,
};
static const struct shape shape_key = {"KeySchemaElement", sizeof(struct key_in), key_fields};
const struct field key_schema_element = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_key);

static const struct field non_key_element = ELEMENT("member", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, 255));
static const struct field projection_fields[] = {
    FIELD(struct projection_in, type, "ProjectionType", SHAPE_ENUM, 0, .values = values_projection),
    FIELD(struct projection_in, names, "NonKeyAttributes", SHAPE_LIST, 0, .element = &non_key_element, LIMITS(1, 20)),
    FIELD_END,
};
const struct shape shape_projection = {"Projection", sizeof(struct projection_in), projection_fields};

#define INDEX_NAME FIELD(struct index_in, name, "IndexName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255))
#define INDEX_KEYS(most)                                                                                               \
	FIELD(struct index_in, keys, "KeySchema", SHAPE_LIST, FIELD_REQUIRED, .element = &key_schema_element,          \
	      LIMITS(1, most))
#define INDEX_PROJECTION                                                                                               \
	FIELD(struct index_in, projection, "Projection", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_projection)
#define INDEX_THROUGHPUT                                                                                               \
	FIELD(struct index_in, throughput, "ProvisionedThroughput", SHAPE_STRUCT, 0, .shape = &shape_throughput),      \
	    FIELD(struct index_in, on_demand, "OnDemandThroughput", SHAPE_STRUCT, 0, .shape = &shape_on_demand),       \
	    FIELD(struct index_in, warm, "WarmThroughput", SHAPE_STRUCT, 0, .shape = &shape_warm)

static const struct field local_fields[] = {INDEX_NAME, INDEX_KEYS(2), INDEX_PROJECTION, FIELD_END};
static const struct field global_fields[] = {INDEX_NAME, INDEX_KEYS(2 * KEY_ATTRS_MAX), INDEX_PROJECTION,
					     INDEX_THROUGHPUT, FIELD_END};
static const struct field index_create_fields[] = {INDEX_PROJECTION, INDEX_NAME, INDEX_THROUGHPUT,
						   INDEX_KEYS(2 * KEY_ATTRS_MAX), FIELD_END};
static const struct field index_update_fields[] = {INDEX_NAME, INDEX_THROUGHPUT, FIELD_END};
static const struct field index_delete_fields[] = {INDEX_NAME, FIELD_END};
static const struct shape shape_local = {"LocalSecondaryIndex", sizeof(struct index_in), local_fields};
static const struct shape shape_global = {"GlobalSecondaryIndex", sizeof(struct index_in), global_fields};
const struct shape shape_index_create = {"CreateGlobalSecondaryIndexAction", sizeof(struct index_in),
					 index_create_fields};
const struct shape shape_index_update = {"UpdateGlobalSecondaryIndexAction", sizeof(struct index_in),
					 index_update_fields};
const struct shape shape_index_delete = {"DeleteGlobalSecondaryIndexAction", sizeof(struct index_in),
					 index_delete_fields};
static const struct field local_element = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_local);
static const struct field global_element = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_global);

static const struct field stream_fields[] = {
    FIELD(struct stream_in, enabled, "StreamEnabled", SHAPE_BOOL, FIELD_REQUIRED),
    FIELD(struct stream_in, view, "StreamViewType", SHAPE_ENUM, 0, .values = values_view),
    FIELD_END,
};
const struct shape shape_stream = {"StreamSpecification", sizeof(struct stream_in), stream_fields};
static const char *const values_encryption[] = {"AES256", "KMS", NULL};
static const struct field encryption_fields[] = {
    FIELD(struct encryption_in, enabled, "Enabled", SHAPE_BOOL, 0),
    FIELD(struct encryption_in, type, "SSEType", SHAPE_ENUM, 0, .values = values_encryption),
    FIELD(struct encryption_in, key, "KMSMasterKeyId", SHAPE_STRING, 0),
    FIELD_END,
};
const struct shape shape_encryption = {"SSESpecification", sizeof(struct encryption_in), encryption_fields};

static const struct field tag_fields[] = {
    FIELD(struct tag_in, key, "Key", SHAPE_STRING, 0),
    FIELD(struct tag_in, value, "Value", SHAPE_STRING, 0),
    FIELD_END,
};
static const struct shape shape_one_tag = {"Tag", sizeof(struct tag_in), tag_fields};
const struct field tag_element = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_one_tag);

/* ---- CreateTable ---- */

struct create_in {
	struct slice table_name;
	struct in_list definitions, keys, locals, globals, vectors, tags;
	struct in_enum billing, class;
	struct throughput_in *throughput, *on_demand, *warm;
	struct stream_in *stream;
	struct encryption_in *encryption;
	uint8_t deletion_protection;
	struct slice policy, source_arn;
	struct in_enum settings_mode;
};

#define CREATE(member, name, type, flags, ...) FIELD(struct create_in, member, name, type, flags, __VA_ARGS__)
static const struct field create_fields[] = {
    CREATE(definitions, "AttributeDefinitions", SHAPE_LIST, FIELD_REQUIRED, .element = &definition_element),
    CREATE(table_name, "TableName", SHAPE_TABLE, FIELD_PARAMETER),
    CREATE(billing, "BillingMode", SHAPE_ENUM, 0, .values = values_billing),
    CREATE(throughput, "ProvisionedThroughput", SHAPE_STRUCT, 0, .shape = &shape_throughput),
    CREATE(keys, "KeySchema", SHAPE_LIST, FIELD_REQUIRED, .element = &key_schema_element, LIMITS(1, 2)),
    CREATE(globals, "GlobalSecondaryIndexes", SHAPE_LIST, 0, .element = &global_element),
    CREATE(locals, "LocalSecondaryIndexes", SHAPE_LIST, 0, .element = &local_element),
    CREATE(stream, "StreamSpecification", SHAPE_STRUCT, 0, .shape = &shape_stream),
    CREATE(encryption, "SSESpecification", SHAPE_STRUCT, 0, .shape = &shape_encryption),
    CREATE(tags, "Tags", SHAPE_LIST, 0, .element = &tag_element),
    CREATE(class, "TableClass", SHAPE_ENUM, 0, .values = values_class),
    CREATE(deletion_protection, "DeletionProtectionEnabled", SHAPE_BOOL, 0),
    CREATE(warm, "WarmThroughput", SHAPE_STRUCT, 0, .shape = &shape_warm),
    CREATE(on_demand, "OnDemandThroughput", SHAPE_STRUCT, 0, .shape = &shape_on_demand),
    CREATE(policy, "ResourcePolicy", SHAPE_STRING, 0),
    CREATE(source_arn, "GlobalTableSourceArn", SHAPE_STRING, 0, LIMITS(1, 1024)),
    CREATE(settings_mode, "GlobalTableSettingsReplicationMode", SHAPE_ENUM, 0, .values = values_replication_mode),
    CREATE(vectors, "VectorIndexes", SHAPE_LIST, 0, .element = &vector_element),
    FIELD_END,
};
const struct shape shape_create_table = {"CreateTableInput", sizeof(struct create_in), create_fields};

static enum status
check_billing(const struct create_in *in, struct err *err)
{
	if (in->billing.value == BILLING_IN_ON_DEMAND)
		return in->throughput != NULL ? err_set(err, S_VALIDATION, MSG_THROUGHPUT_ON_DEMAND) : S_OK;
	if (in->throughput == NULL)
		return err_set(err, S_VALIDATION, MSG_THROUGHPUT_MISSING);
	return table_check_units(in->throughput, err);
}

/* What this version has not: refused, never ignored. */
static enum status
refuse_members(const struct create_in *in, struct err *err)
{
	const struct member members[] = {
	    {"SSESpecification", table_wants_encryption(in->encryption)},
	    {"GlobalTableSourceArn", in->source_arn.data != NULL},
	    {"GlobalTableSettingsReplicationMode", in->settings_mode.text.data != NULL},
	};

	return table_refuse_members(members, sizeof members / sizeof *members, err);
}

/* The lists of indexes, local ones first, into spec. */
static enum status
create_indexes(const struct create_in *in, struct table_spec *spec, struct arena *a, struct err *err)
{
	const struct in_list *lists[] = {&in->locals, &in->globals};
	const uint32_t most[] = {LSI_MAX, GSI_MAX};
	enum status s = S_OK;

	if (in->locals.set && in->locals.count == 0)
		return err_set(err, S_VALIDATION, MSG_LSI_EMPTY);
	if (in->locals.set && spec->schema.sort_count == 0)
		return err_set(err, S_VALIDATION, MSG_LSI_NO_RANGE);
	spec->indexes = ARENA_ARRAY(a, struct table_index_spec, LSI_MAX + GSI_MAX + VECTOR_MAX);
	for (int global = 0; global <= 1; global++) {
		if (global && in->globals.set && in->globals.count == 0)
			return err_set(err, S_VALIDATION, MSG_GSI_EMPTY);
		for (uint32_t i = 0; i < lists[global]->count && s == S_OK; i++) {
			const struct index_in *index = ((struct index_in *const *)lists[global]->items)[i];
			struct table_index_spec one,
			    *kept = i < most[global] ? &spec->indexes[spec->index_count] : &one;

			s = table_read_index(index, global ? KEYS_OF_GLOBAL : KEYS_OF_LOCAL, spec, a, kept, err);
			if (s == S_OK)
				s = table_check_new_name(spec, index->name, err);
			if (s == S_OK && i < most[global])
				spec->index_count++;
		}
		if (s != S_OK)
			return s;
		if (lists[global]->total > most[global])
			return err_set(err, S_VALIDATION, global ? MSG_GSI_COUNT : MSG_LSI_COUNT);
	}
	s = table_create_vectors(&in->vectors, spec, a, err);
	return s == S_OK ? table_check_projections(spec->indexes, spec->index_count, err) : s;
}

enum stream_view
request_stream_view(struct in_enum view)
{
	static const enum stream_view views[] = {STREAM_NONE, STREAM_OLD_IMAGE, STREAM_KEYS_ONLY,
						 STREAM_NEW_AND_OLD_IMAGES, STREAM_NEW_IMAGE}; /* as values_view */

	return views[view.value];
}

static enum status
create_stream(const struct stream_in *in, struct table_spec *spec, struct err *err)
{
	if (in == NULL)
		return S_OK;
	if (in->enabled == IN_TRUE && in->view.value == 0)
		return err_set(err, S_VALIDATION, MSG_STREAM_CREATE_VIEW);
	if (in->enabled != IN_TRUE && in->view.value != 0)
		return err_set(err, S_VALIDATION, MSG_STREAM_CREATE_NO_VIEW);
	spec->stream = request_stream_view(in->view);
	return S_OK;
}

static enum status
create_spec(const struct create_in *in, struct table_spec *spec, struct arena *a, struct err *err)
{
	enum status s = check_billing(in, err);

	spec->billing = in->billing.value == BILLING_IN_ON_DEMAND ? BILLING_ON_DEMAND : BILLING_PROVISIONED;
	spec->class = in->class.value == 2 ? CLASS_INFREQUENT_ACCESS : CLASS_STANDARD;
	spec->deletion_protection = in->deletion_protection == IN_TRUE;
	if (s == S_OK)
		s = table_read_definitions(&in->definitions, spec, a, err);
	if (s == S_OK)
		s = table_read_keys(&in->keys, spec, KEYS_OF_TABLE, &spec->schema, a, err);
	if (s == S_OK && !in->locals.set && !in->globals.set && !in->vectors.set &&
	    in->keys.count != spec->definition_count)
		s = err_set(err, S_VALIDATION, MSG_KEY_COUNT);
	if (s == S_OK)
		s = create_indexes(in, spec, a, err);
	if (s == S_OK)
		s = table_check_definitions_used(spec, a, err);
	if (s == S_OK)
		s = table_read_throughput(in->throughput, in->on_demand, in->warm, spec->billing, SLICE_NONE, false,
					  &spec->throughput, err);
	if (s == S_OK)
		s = table_read_tags(&in->tags, a, &spec->tags, &spec->tag_count, err);
	if (s == S_OK)
		s = create_stream(in->stream, spec, err);
	if (s == S_OK && in->policy.data != NULL)
		s = request_policy(in->policy, a, &spec->policy, &spec->policy_flags, err);
	return s == S_OK ? refuse_members(in, err) : s;
}

enum status
op_create_table(struct op_call *call, const void *input, struct err *err)
{
	const struct create_in *in = input;
	struct table_spec spec = {0};
	struct table_description description;
	enum status s = request_table_name(call, in->table_name, &spec.name, err);

	if (s == S_OK)
		s = create_spec(in, &spec, call->arena, err);
	if (s == S_OK)
		s = table_create(call->db, &spec, call->arena, &description, err);
	if (s == S_OK)
		table_reply(call, "TableDescription", &description);
	return s;
}

/* ---- DescribeTable, DeleteTable, ListTables ---- */

struct name_in {
	struct slice table_name;
};
static const struct field name_fields[] = {FIELD(struct name_in, table_name, "TableName", SHAPE_TABLE, FIELD_PARAMETER),
					   FIELD_END};
const struct shape shape_describe_table = {"DescribeTableInput", sizeof(struct name_in), name_fields};
const struct shape shape_delete_table = {"DeleteTableInput", sizeof(struct name_in), name_fields};

enum status
op_describe_table(struct op_call *call, const void *input, struct err *err)
{
	const struct name_in *in = input;
	struct table_description description;
	struct slice name;
	enum status s = request_table_name(call, in->table_name, &name, err);

	if (s == S_OK)
		s = table_recount(call->db, call->may_block, err);
	if (s == S_OK)
		s = table_describe(call->db, name, call->arena, &description, err);
	if (s == S_OK)
		table_reply(call, "Table", &description);
	return s;
}

enum status
op_delete_table(struct op_call *call, const void *input, struct err *err)
{
	const struct name_in *in = input;
	struct table_description description;
	struct slice name;
	enum status s = request_table_name(call, in->table_name, &name, err);

	if (s == S_OK)
		s = table_delete(call->db, name, call->arena, &description, err);
	if (s == S_OK) /* the service's reply has no global indexes any more */
		while (description.spec.index_count > 0 &&
		       description.spec.indexes[description.spec.index_count - 1].global)
			description.spec.index_count--;
	if (s == S_OK)
		table_reply(call, "TableDescription", &description);
	return s;
}

struct list_in {
	struct in_long limit;
	struct slice start;
};
static const struct field list_fields[] = {
    FIELD(struct list_in, limit, "Limit", SHAPE_INT, 0, LIMITS(1, 100)),
    FIELD(struct list_in, start, "ExclusiveStartTableName", SHAPE_STRING, FIELD_NAME, LIMITS(3, 255)),
    FIELD_END,
};
const struct shape shape_list_tables = {"ListTablesInput", sizeof(struct list_in), list_fields};

enum status
op_list_tables(struct op_call *call, const void *input, struct err *err)
{
	const struct list_in *in = input;
	size_t limit = in->limit.set ? (size_t)in->limit.value : 100, count;
	struct slice *names;
	bool more;

	(void)err;
	table_list(call->db, in->start, limit, call->arena, &names, &count, &more);
	buf_put_lit(call->out, "{\"TableNames\":[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_put_byte(call->out, ',');
		json_put_string(call->out, names[i]);
	}
	buf_put_byte(call->out, ']');
	if (more && count > 0) {
		buf_put_lit(call->out, ",\"LastEvaluatedTableName\":");
		json_put_string(call->out, names[count - 1]);
	}
	buf_put_byte(call->out, '}');
	return S_OK;
}
