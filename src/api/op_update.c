/* UpdateTable. What depends on the table's state of the moment is decided in table/, under its lock. */
#include "api/refused_shapes.h"
#include "api/table_int.h"

struct index_change_in {
	struct index_in *update, *create, *delete;
};
struct update_in {
	struct slice table_name;
	struct in_list definitions, changes, vectors;
	struct in_enum billing, class;
	struct throughput_in *throughput, *on_demand, *warm;
	struct stream_in *stream;
	struct encryption_in *encryption;
	uint8_t deletion_protection;
	struct in_list replicas, witnesses;
	struct in_enum consistency, settings_mode;
};

static const struct field change_fields[] = {
    FIELD(struct index_change_in, update, "Update", SHAPE_STRUCT, 0, .shape = &shape_index_update),
    FIELD(struct index_change_in, create, "Create", SHAPE_STRUCT, 0, .shape = &shape_index_create),
    FIELD(struct index_change_in, delete, "Delete", SHAPE_STRUCT, 0, .shape = &shape_index_delete),
    FIELD_END,
};
static const struct shape shape_change = {"GlobalSecondaryIndexUpdate", sizeof(struct index_change_in), change_fields};
static const struct field change_element = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_change);

static const char *const values_consistency[] = {"EVENTUAL", "STRONG", NULL};

#define UPDATE(member, name, type, flags, ...) FIELD(struct update_in, member, name, type, flags, __VA_ARGS__)
static const struct field update_fields[] = {
    UPDATE(definitions, "AttributeDefinitions", SHAPE_LIST, 0, .element = &definition_element),
    UPDATE(table_name, "TableName", SHAPE_TABLE, FIELD_PARAMETER),
    UPDATE(throughput, "ProvisionedThroughput", SHAPE_STRUCT, 0, .shape = &shape_throughput),
    UPDATE(billing, "BillingMode", SHAPE_ENUM, 0, .values = values_billing),
    UPDATE(changes, "GlobalSecondaryIndexUpdates", SHAPE_LIST, 0, .element = &change_element),
    UPDATE(stream, "StreamSpecification", SHAPE_STRUCT, 0, .shape = &shape_stream),
    UPDATE(encryption, "SSESpecification", SHAPE_STRUCT, 0, .shape = &shape_encryption),
    UPDATE(class, "TableClass", SHAPE_ENUM, 0, .values = values_class),
    UPDATE(deletion_protection, "DeletionProtectionEnabled", SHAPE_BOOL, 0),
    UPDATE(on_demand, "OnDemandThroughput", SHAPE_STRUCT, 0, .shape = &shape_on_demand),
    UPDATE(warm, "WarmThroughput", SHAPE_STRUCT, 0, .shape = &shape_warm),
    UPDATE(replicas, "ReplicaUpdates", SHAPE_LIST, 0, .element = &refused_element_ReplicationGroupUpdateList,
	   LIMITS(1, INT64_MAX)),
    UPDATE(consistency, "MultiRegionConsistency", SHAPE_ENUM, 0, .values = values_consistency),
    UPDATE(witnesses, "GlobalTableWitnessUpdates", SHAPE_LIST, 0,
	   .element = &refused_element_GlobalTableWitnessGroupUpdateList, LIMITS(1, 1)),
    UPDATE(settings_mode, "GlobalTableSettingsReplicationMode", SHAPE_ENUM, 0, .values = values_replication_mode),
    UPDATE(vectors, "VectorIndexUpdates", SHAPE_LIST, 0, .element = &vector_change_element),
    FIELD_END,
};
const struct shape shape_update_table = {"UpdateTableInput", sizeof(struct update_in), update_fields};

static const struct index_change_in *
change_at(const struct update_in *in, uint32_t i)
{
	return ((struct index_change_in *const *)in->changes.items)[i];
}

static const struct index_in *
index_of(const struct index_change_in *change)
{
	return change->update ? change->update : change->create ? change->create : change->delete;
}

static enum status
check_changes(const struct update_in *in, struct err *err)
{
	unsigned remakes = in->vectors.count;

	if (in->changes.total > GSI_MAX)
		return err_set(err, S_LIMIT_EXCEEDED, MSG_ONE_INDEX_CHANGE);
	for (uint32_t i = 0; i < in->changes.count; i++) {
		const struct index_change_in *change = change_at(in, i);
		int kinds = (change->update != NULL) + (change->create != NULL) + (change->delete != NULL);

		if (kinds == 0)
			return err_set(err, S_VALIDATION, MSG_INDEX_UPDATE_NULL);
		if (kinds > 1)
			return err_set(err, S_VALIDATION, MSG_INDEX_UPDATE_SEVERAL);
		for (uint32_t j = 0; j < i; j++)
			if (slice_eq(index_of(change_at(in, j))->name, index_of(change)->name))
				return err_set(err, S_VALIDATION, MSG_INDEX_UPDATE_TWICE,
					       SLICE_ARG(index_of(change)->name));
		if (change->update != NULL && change->update->warm != NULL && !table_gives_units(change->update->warm))
			return err_set(err, S_VALIDATION, MSG_WARM_EMPTY, SLICE_ARG(change->update->name));
		if (change->create != NULL && !in->definitions.set)
			return err_set(err, S_VALIDATION, MSG_INDEX_DEFINITIONS, SLICE_ARG(change->create->name));
		remakes += change->update == NULL;
	}
	return remakes > 1 ? err_set(err, S_LIMIT_EXCEEDED, MSG_ONE_INDEX_CHANGE) : S_OK;
}

static enum status
refuse_members(const struct update_in *in, struct err *err)
{
	const struct member members[] = {
	    {"SSESpecification", table_wants_encryption(in->encryption)},
	    {"ReplicaUpdates", in->replicas.set},
	    {"MultiRegionConsistency", in->consistency.text.data != NULL},
	    {"GlobalTableWitnessUpdates", in->witnesses.set},
	    {"GlobalTableSettingsReplicationMode", in->settings_mode.text.data != NULL},
	};

	return table_refuse_members(members, sizeof members / sizeof *members, err);
}

static unsigned
count_index_changes(const struct update_in *in)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < in->changes.count; i++)
		count += change_at(in, i)->update == NULL;
	return count;
}

/*
 * A request changes one thing, but for what goes with a switch of the billing mode. Which message wins when several
 * rules are broken is measured, as the rules are.
 */
static enum status
check_alone(const struct update_in *in, struct err *err)
{
	bool warm = table_gives_units(in->warm), on_demand = table_gives_units(in->on_demand);
	unsigned remakes = count_index_changes(in);
	const struct member alone[] = {
	    {"Server-Side Encryption modification", in->encryption != NULL},
	    {"TableClass modification", in->class.value != 0},
	    {"DeletionProtection modification", in->deletion_protection != IN_UNSET},
	};
	int others = (in->throughput != NULL) + (in->billing.value != 0) + (in->changes.count > 0) +
		     (in->vectors.count > 0) + (in->stream != NULL) + on_demand + warm;
	int all = others;

	for (size_t i = 0; i < sizeof alone / sizeof *alone; i++)
		all += alone[i].set;
	for (size_t i = 0; i < sizeof alone / sizeof *alone; i++)
		if (alone[i].set && all > 1)
			return err_set(err, S_VALIDATION, MSG_UPDATE_ALONE, alone[i].name);
	if (on_demand && (in->stream != NULL || warm))
		return err_set(err, S_VALIDATION, MSG_UPDATE_ON_DEMAND);
	if (warm && others > 1)
		return remakes > 0 ? err_set(err, S_VALIDATION, MSG_UPDATE_WARM_INDEX)
				   : err_set(err, S_VALIDATION, MSG_UPDATE_ALONE, "WarmThroughput");
	if (in->stream != NULL && (in->throughput != NULL || in->billing.value == BILLING_IN_PROVISIONED))
		return err_set(err, S_VALIDATION, MSG_UPDATE_STREAM);
	if (remakes > 0 && (in->throughput != NULL || in->stream != NULL))
		return err_set(err, S_VALIDATION, MSG_UPDATE_INDEX,
			       in->throughput != NULL ? "updating table IOPS" : "changing stream status");
	return S_OK;
}

static enum status
check_stream(const struct stream_in *stream, struct err *err)
{
	if (stream != NULL && stream->enabled == IN_TRUE && stream->view.value == 0)
		return err_set(err, S_VALIDATION, MSG_STREAM_VIEW);
	if (stream != NULL && stream->enabled != IN_TRUE && stream->view.value != 0)
		return err_set(err, S_VALIDATION, MSG_STREAM_NO_VIEW);
	return S_OK;
}

static enum status
check_request(const struct update_in *in, struct err *err)
{
	bool something = in->throughput || in->billing.value || in->changes.count > 0 || in->vectors.count > 0 ||
			 in->encryption || in->class.value || in->deletion_protection != IN_UNSET ||
			 table_gives_units(in->on_demand) || table_gives_units(in->warm) || in->stream;
	enum status s = refuse_members(in, err);

	if (s == S_OK && in->changes.set && in->changes.count == 0)
		s = err_set(err, S_VALIDATION, MSG_INDEX_UPDATES_EMPTY);
	if (s == S_OK && !something)
		s = err_set(err, S_VALIDATION, MSG_UPDATE_NOTHING);
	if (s == S_OK && in->billing.value == BILLING_IN_PROVISIONED && in->throughput == NULL)
		s = err_set(err, S_VALIDATION, MSG_UPDATE_BILLING);
	if (s == S_OK && in->throughput != NULL)
		s = table_check_units(in->throughput, err);
	if (s == S_OK)
		s = table_check_vector_changes(&in->vectors, err);
	if (s == S_OK)
		s = check_changes(in, err);
	if (s == S_OK)
		s = check_stream(in->stream, err);
	return s == S_OK ? check_alone(in, err) : s;
}

static enum status
read_create(const struct index_in *in, const struct table_spec *spec, struct arena *a, struct table_update *update,
	    struct err *err)
{
	update->create_index = ARENA_NEW(a, struct table_index_spec);
	if (in->throughput != NULL) {
		enum status s = table_check_units(in->throughput, err);

		if (s != S_OK)
			return s;
	}
	return table_read_index(in, KEYS_OF_NEW_GLOBAL, spec, a, update->create_index, err);
}

static enum status
read_throughput(const struct index_in *in, enum billing_mode billing, struct table_update *update, struct err *err)
{
	size_t at = update->index_throughput_count++;
	enum status s = in->throughput != NULL ? table_check_units(in->throughput, err) : S_OK;

	update->index_throughput[at].name = in->name;
	if (s != S_OK)
		return s;
	return table_read_throughput(in->throughput, in->on_demand, in->warm, billing, in->name, true,
				     &update->index_throughput[at].throughput, err);
}

static enum status
read_changes(const struct update_in *in, const struct table_spec *spec, struct arena *a, struct table_update *update,
	     struct err *err)
{
	enum status s = S_OK;

	update->index_throughput = arena_zalloc(a, in->changes.count * sizeof *update->index_throughput);
	for (uint32_t i = 0; i < in->changes.count && s == S_OK; i++) {
		const struct index_change_in *change = change_at(in, i);

		if (change->create != NULL)
			s = read_create(change->create, spec, a, update, err);
		else if (change->delete != NULL)
			update->delete_index = change->delete->name;
		else
			s = read_throughput(change->update, spec->billing, update, err);
	}
	return s;
}

/* billing: the table's, of before. */
static enum status
read_update(const struct update_in *in, enum billing_mode billing, struct arena *a, struct table_update *update,
	    struct err *err)
{
	struct table_spec spec = {.billing = billing};
	enum status s = table_read_definitions(&in->definitions, &spec, a, err);

	if (in->billing.value != 0)
		spec.billing = in->billing.value == BILLING_IN_ON_DEMAND ? BILLING_ON_DEMAND : BILLING_PROVISIONED;
	if (s == S_OK && in->throughput != NULL && spec.billing == BILLING_ON_DEMAND)
		s = err_set(err, S_VALIDATION, MSG_THROUGHPUT_ON_DEMAND);
	if (s == S_OK)
		s = read_changes(in, &spec, a, update, err);
	if (s == S_OK)
		s = table_read_vector_change(&in->vectors, &spec, a, update, err);
	if (s == S_OK)
		s = table_read_throughput(in->throughput, in->on_demand, in->warm, spec.billing, SLICE_NONE, true,
					  &update->throughput, err);
	update->set_billing = in->billing.value != 0;
	update->billing = spec.billing;
	update->set_throughput = in->throughput != NULL || in->on_demand != NULL || in->warm != NULL;
	update->set_class = in->class.value != 0;
	update->class = in->class.value == 2 ? CLASS_INFREQUENT_ACCESS : CLASS_STANDARD;
	update->set_deletion_protection = in->deletion_protection != IN_UNSET;
	update->deletion_protection = in->deletion_protection == IN_TRUE;
	if (in->stream != NULL) {
		update->set_stream = in->stream->enabled == IN_TRUE ? STREAM_ENABLE : STREAM_DISABLE;
		update->stream = request_stream_view(in->stream->view);
	}
	update->set_definitions = spec.definition_count > 0;
	update->definitions = spec.definitions;
	update->definition_count = spec.definition_count;
	return s;
}

enum status
op_update_table(struct op_call *call, const void *input, struct err *err)
{
	const struct update_in *in = input;
	struct table_update update = {0};
	struct table_description now, after;
	struct slice name;
	enum status s = check_request(in, err);

	if (s == S_OK)
		s = request_table_name(call, in->table_name, &name, err);
	if (s == S_OK)
		s = table_describe(call->db, name, call->arena, &now, err);
	if (s == S_OK && in->encryption != NULL) /* anything but the default was refused */
		s = err_set(err, S_VALIDATION, MSG_UPDATE_ENCRYPTED);
	if (s == S_OK)
		s = read_update(in, now.spec.billing, call->arena, &update, err);
	if (s == S_OK)
		s = table_update(call->db, name, &update, call->arena, &after, err);
	if (s == S_OK)
		table_reply(call, "TableDescription", &after);
	return s;
}
