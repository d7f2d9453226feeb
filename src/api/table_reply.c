/* What CreateTable, DescribeTable, UpdateTable and DeleteTable tell about a table. */
#include "api/table_int.h"

static const char *const table_statuses[] = {[TABLE_CREATING] = "CREATING",
					     [TABLE_UPDATING] = "UPDATING",
					     [TABLE_DELETING] = "DELETING",
					     [TABLE_ACTIVE] = "ACTIVE"};
static const char *const index_statuses[] = {[INDEX_CREATING] = "CREATING",
					     [INDEX_UPDATING] = "UPDATING",
					     [INDEX_DELETING] = "DELETING",
					     [INDEX_ACTIVE] = "ACTIVE"};
static const char *const projections[] = {
    [PROJECT_KEYS_ONLY] = "KEYS_ONLY", [PROJECT_INCLUDE] = "INCLUDE", [PROJECT_ALL] = "ALL"};
static const char *const distances[] = {
    [VECTOR_COSINE] = "COSINE", [VECTOR_DOT_PRODUCT] = "DOT_PRODUCT", [VECTOR_EUCLIDEAN] = "EUCLIDEAN"};

struct writer {
	struct op_call *call;
	struct buf *out;
	const char *between;
	bool asked_only; /* warm throughput: not what nobody asked for */
};

static void
put_text(struct writer *w, const char *name, struct slice text)
{
	reply_name(w->out, &w->between, name);
	json_put_string(w->out, text);
}

static void
put_int(struct writer *w, const char *name, int64_t value)
{
	reply_name(w->out, &w->between, name);
	json_put_int(w->out, value);
}

/* Seconds of the epoch with milliseconds; not told when it never was. */
static void
put_time(struct writer *w, const char *name, int64_t ms)
{
	if (ms <= 0)
		return;
	reply_name(w->out, &w->between, name);
	buf_printf(w->out, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
}

static void
open_member(struct writer *w, const char *name)
{
	reply_name(w->out, &w->between, name);
	buf_put_byte(w->out, '{');
	w->between = "";
}

static void
close_object(struct writer *w)
{
	buf_put_byte(w->out, '}');
	w->between = ",";
}

static void
put_key_attrs(struct writer *w, const struct key_attr *attrs, uint8_t count, const char *type)
{
	for (uint8_t i = 0; i < count; i++) {
		buf_put(w->out, w->between, strlen(w->between));
		buf_put_lit(w->out, "{\"AttributeName\":");
		json_put_string(w->out, attrs[i].name);
		buf_printf(w->out, ",\"KeyType\":\"%s\"}", type);
		w->between = ",";
	}
}

static void
put_key_schema(struct writer *w, const struct key_schema *schema)
{
	reply_name(w->out, &w->between, "KeySchema");
	buf_put_byte(w->out, '[');
	w->between = "";
	put_key_attrs(w, schema->partition, schema->partition_count, "HASH");
	put_key_attrs(w, schema->sort, schema->sort_count, "RANGE");
	buf_put_byte(w->out, ']');
	w->between = ",";
}

static void
put_definitions(struct writer *w, const struct table_spec *spec)
{
	reply_name(w->out, &w->between, "AttributeDefinitions");
	buf_put_byte(w->out, '[');
	for (size_t i = 0; i < spec->definition_count; i++) {
		if (i > 0)
			buf_put_byte(w->out, ',');
		buf_put_lit(w->out, "{\"AttributeName\":");
		json_put_string(w->out, spec->definitions[i].name);
		buf_printf(w->out, ",\"AttributeType\":\"%s\"}", av_type_name(spec->definitions[i].type));
	}
	buf_put_byte(w->out, ']');
}

static void
put_throughput(struct writer *w, const struct table_throughput *t)
{
	open_member(w, "ProvisionedThroughput");
	put_time(w, "LastIncreaseDateTime", t->last_increase_ms);
	put_time(w, "LastDecreaseDateTime", t->last_decrease_ms);
	put_int(w, "NumberOfDecreasesToday", t->decreases_today);
	put_int(w, "ReadCapacityUnits", t->read_units);
	put_int(w, "WriteCapacityUnits", t->write_units);
	close_object(w);
}

static void
put_on_demand(struct writer *w, const struct table_throughput *t)
{
	if (t->max_read_units <= 0 && t->max_write_units <= 0)
		return;
	open_member(w, "OnDemandThroughput");
	put_int(w, "MaxReadRequestUnits", t->max_read_units > 0 ? t->max_read_units : -1);
	put_int(w, "MaxWriteRequestUnits", t->max_write_units > 0 ? t->max_write_units : -1);
	close_object(w);
}

static void
put_warm(struct writer *w, const struct table_throughput *t, const char *status)
{
	if (w->asked_only && t->warm_read_units <= 0 && t->warm_write_units <= 0)
		return;
	open_member(w, "WarmThroughput");
	put_int(w, "ReadUnitsPerSecond", table_warm_units(t->warm_read_units, t->read_units, WARM_READS_INITIAL));
	put_int(w, "WriteUnitsPerSecond", table_warm_units(t->warm_write_units, t->write_units, WARM_WRITES_INITIAL));
	put_text(w, "Status", slice_str(status));
	close_object(w);
}

static void
put_projection(struct writer *w, const struct table_index_spec *spec)
{
	open_member(w, "Projection");
	put_text(w, "ProjectionType", slice_str(projections[spec->projection]));
	if (spec->projection == PROJECT_INCLUDE) {
		reply_name(w->out, &w->between, "NonKeyAttributes");
		buf_put_byte(w->out, '[');
		for (size_t i = 0; i < spec->include_count; i++) {
			if (i > 0)
				buf_put_byte(w->out, ',');
			json_put_string(w->out, spec->include[i]);
		}
		buf_put_byte(w->out, ']');
	}
	close_object(w);
}

static void
put_index(struct writer *w, const struct table_description *d, const struct table_index_description *x)
{
	buf_put(w->out, w->between, strlen(w->between));
	buf_put_byte(w->out, '{');
	w->between = "";
	put_text(w, "IndexName", x->spec.name);
	put_key_schema(w, &x->spec.schema);
	put_projection(w, &x->spec);
	if (x->spec.global) {
		put_text(w, "IndexStatus", slice_str(index_statuses[x->status]));
		if (x->status == INDEX_CREATING && d->status != TABLE_CREATING) { /* not of those made with the table */
			reply_name(w->out, &w->between, "Backfilling");
			buf_printf(w->out, "%s", x->backfilling ? "true" : "false");
		}
		put_throughput(w, &x->spec.throughput);
		put_on_demand(w, &x->spec.throughput);
		put_warm(w, &x->spec.throughput, index_statuses[x->status]);
	}
	put_int(w, "IndexSizeBytes", (int64_t)x->size_bytes);
	put_int(w, "ItemCount", (int64_t)x->item_count);
	put_text(w, "IndexArn", table_arn(w->call->db, d->spec.name, x->spec.name, w->call->arena));
	close_object(w);
}

static void
put_search_schema(struct writer *w, const struct table_vector_spec *v)
{
	if (v->element_count == 0)
		return;
	reply_name(w->out, &w->between, "SearchSchema");
	buf_put_byte(w->out, '[');
	for (size_t i = 0; i < v->element_count; i++) {
		if (i > 0)
			buf_put_byte(w->out, ',');
		buf_put_lit(w->out, "{\"AttributeName\":");
		json_put_string(w->out, v->elements[i].attr.name);
		buf_printf(w->out, ",\"SearchSchemaElementType\":\"%s\"}",
			   v->elements[i].hash ? "HASH" : "INLINE_FILTER");
	}
	buf_put_byte(w->out, ']');
}

static void
put_vector_index(struct writer *w, const struct table_description *d, const struct table_index_description *x)
{
	const struct table_vector_spec *v = x->spec.vector;

	buf_put(w->out, w->between, strlen(w->between));
	buf_put_byte(w->out, '{');
	w->between = "";
	put_text(w, "IndexName", x->spec.name);
	put_search_schema(w, v);
	put_projection(w, &x->spec);
	open_member(w, "VectorAttribute");
	put_text(w, "AttributeName", v->attribute);
	close_object(w);
	put_int(w, "Dimensions", v->dimensions);
	put_text(w, "DistanceFunction", slice_str(distances[v->distance]));
	put_text(w, "IndexStatus", slice_str(index_statuses[x->status]));
	if (x->status == INDEX_CREATING && x->added) { /* never of one that was created with its table */
		reply_name(w->out, &w->between, "Backfilling");
		buf_printf(w->out, "%s", x->backfilling ? "true" : "false");
	}
	put_int(w, "IndexSizeBytes", (int64_t)x->size_bytes);
	put_int(w, "ItemCount", (int64_t)x->item_count);
	put_text(w, "IndexArn", table_arn(w->call->db, d->spec.name, x->spec.name, w->call->arena));
	close_object(w);
}

enum index_kind { KIND_LOCAL, KIND_GLOBAL, KIND_VECTOR };

static enum index_kind
kind_of(const struct table_index_spec *spec)
{
	return spec->vector != NULL ? KIND_VECTOR : spec->global ? KIND_GLOBAL : KIND_LOCAL;
}

static void
put_indexes(struct writer *w, const struct table_description *d, enum index_kind kind)
{
	static const char *const members[] = {"LocalSecondaryIndexes", "GlobalSecondaryIndexes", "VectorIndexes"};
	bool any = false;

	for (size_t i = 0; i < d->spec.index_count; i++) {
		if (kind_of(&d->indexes[i].spec) != kind)
			continue;
		if (!any) {
			reply_name(w->out, &w->between, members[kind]);
			buf_put_byte(w->out, '[');
			w->between = "";
			any = true;
		}
		if (kind == KIND_VECTOR)
			put_vector_index(w, d, &d->indexes[i]);
		else
			put_index(w, d, &d->indexes[i]);
	}
	if (any) {
		buf_put_byte(w->out, ']');
		w->between = ",";
	}
}

/* Told for on-demand tables, and for others that once were. */
static void
put_billing(struct writer *w, const struct table_description *d)
{
	bool on_demand = d->spec.billing == BILLING_ON_DEMAND;
	int64_t since = d->billing_changed_ms;

	if (!on_demand && since <= 0)
		return;
	if (since <= 0 && d->status != TABLE_CREATING)
		since = d->created_ms;
	open_member(w, "BillingModeSummary");
	put_text(w, "BillingMode", on_demand ? SLICE("PAY_PER_REQUEST") : SLICE("PROVISIONED"));
	put_time(w, "LastUpdateToPayPerRequestDateTime", since);
	close_object(w);
}

/* The latest stream is told as long as it can be read, also when it is disabled. */
static void
put_stream(struct writer *w, const struct table_description *d)
{
	if (d->stream != STREAM_NONE) {
		open_member(w, "StreamSpecification");
		reply_name(w->out, &w->between, "StreamEnabled");
		buf_put_lit(w->out, "true");
		put_text(w, "StreamViewType", slice_str(stream_view_names[d->stream - 1]));
		close_object(w);
	}
	if (d->stream_arn.len == 0)
		return;
	put_text(w, "LatestStreamLabel", d->stream_label);
	put_text(w, "LatestStreamArn", d->stream_arn);
}

static void
put_class(struct writer *w, const struct table_description *d)
{
	if (d->spec.class == CLASS_STANDARD && d->class_changed_ms <= 0)
		return;
	open_member(w, "TableClassSummary");
	put_text(w, "TableClass",
		 d->spec.class == CLASS_STANDARD ? SLICE("STANDARD") : SLICE("STANDARD_INFREQUENT_ACCESS"));
	put_time(w, "LastUpdateDateTime", d->class_changed_ms);
	close_object(w);
}

void
table_reply(struct op_call *call, const char *member, const struct table_description *d)
{
	struct writer w = {.call = call, .out = call->out, .between = ""};

	w.asked_only = d->status == TABLE_CREATING && strcmp(member, "Table") != 0; /* the reply to CreateTable */
	buf_put_byte(w.out, '{');
	open_member(&w, member);
	put_definitions(&w, &d->spec);
	w.between = ",";
	put_text(&w, "TableName", d->spec.name);
	put_key_schema(&w, &d->spec.schema);
	put_text(&w, "TableStatus", slice_str(table_statuses[d->status]));
	put_time(&w, "CreationDateTime", d->created_ms);
	put_throughput(&w, &d->spec.throughput);
	put_int(&w, "TableSizeBytes", (int64_t)d->size_bytes);
	put_int(&w, "ItemCount", (int64_t)d->item_count);
	put_text(&w, "TableArn", table_arn(call->db, d->spec.name, SLICE_NONE, call->arena));
	put_text(&w, "TableId", slice_str(d->id));
	put_billing(&w, d);
	put_indexes(&w, d, KIND_LOCAL);
	put_indexes(&w, d, KIND_GLOBAL);
	put_indexes(&w, d, KIND_VECTOR);
	put_stream(&w, d);
	put_class(&w, d);
	reply_name(w.out, &w.between, "DeletionProtectionEnabled");
	buf_printf(w.out, "%s", d->spec.deletion_protection ? "true" : "false");
	put_on_demand(&w, &d->spec.throughput);
	put_warm(&w, &d->spec.throughput, table_statuses[d->status]);
	close_object(&w);
	buf_put_byte(w.out, '}');
}
