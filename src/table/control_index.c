/* UpdateTable: a global index is created or deleted. */
#include "table/control_int.h"
#include "table/vector_int.h"

size_t
record_find_index(const struct record *r, struct slice name)
{
	size_t i = 0;

	while (i < r->spec.index_count && !slice_eq(r->spec.indexes[i].name, name))
		i++;
	return i;
}

static enum status
one_index_at_a_time(struct err *err)
{
	return err_set(
	    err, S_LIMIT_EXCEEDED,
	    "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table");
}

static const struct key_attr *
find_definition(const struct table_spec *spec, struct slice name)
{
	for (size_t i = 0; i < spec->definition_count; i++)
		if (slice_eq(spec->definitions[i].name, name))
			return &spec->definitions[i];
	return NULL;
}

enum status
alteration_definitions(struct alteration *c, struct err *err)
{
	struct table_spec *spec = &c->record.spec;
	struct key_attr *merged =
	    ARENA_ARRAY(c->arena, struct key_attr, spec->definition_count + c->update->definition_count);

	memcpy(merged, spec->definitions, spec->definition_count * sizeof *merged);
	spec->definitions = merged;
	for (size_t i = 0; i < c->update->definition_count; i++) {
		const struct key_attr *new = &c->update->definitions[i];
		const struct key_attr *old = find_definition(spec, new->name);

		if (old == NULL)
			merged[spec->definition_count++] = *new;
		else if (old->type != new->type)
			return err_set(err, S_VALIDATION,
				       "One or more parameter values were invalid: Attribute definition of %.*s cannot "
				       "be changed from %s to "
				       "%s: a key of the table or of an index uses it",
				       SLICE_ARG(new->name), av_type_name(old->type), av_type_name(new->type));
	}
	return S_OK;
}

static bool
type_attrs(const struct table_spec *spec, struct key_attr *attrs, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct key_attr *definition = find_definition(spec, attrs[i].name);

		if (definition == NULL)
			return false;
		attrs[i].type = definition->type;
	}
	return true;
}

static enum status
undefined_attrs(struct alteration *c, const struct key_schema *schema, struct err *err)
{
	const struct table_spec *spec = &c->record.spec;
	struct slice keys = SLICE_NONE, definitions = SLICE_NONE;

	for (unsigned i = 0; i < schema->partition_count + (unsigned)schema->sort_count; i++) {
		const struct key_attr *attr =
		    i < schema->partition_count ? &schema->partition[i] : &schema->sort[i - schema->partition_count];

		keys = arena_printf(c->arena, "%.*s%s%.*s", SLICE_ARG(keys), i ? ", " : "", SLICE_ARG(attr->name));
	}
	for (size_t i = 0; i < spec->definition_count; i++)
		definitions = arena_printf(c->arena, "%.*s%s%.*s", SLICE_ARG(definitions), i ? ", " : "",
					   SLICE_ARG(spec->definitions[i].name));
	return err_set(err, S_VALIDATION,
		       "One or more parameter values were invalid: Some index key attributes are not defined in "
		       "AttributeDefinitions. Keys: [%.*s], AttributeDefinitions: [%.*s]",
		       SLICE_ARG(keys), SLICE_ARG(definitions));
}

static enum status
check_new_index(struct alteration *c, const struct table_index_spec *new, struct err *err)
{
	const struct table_spec *spec = &c->record.spec;
	size_t global = 0;

	if (record_find_index(&c->record, new->name) < spec->index_count)
		return err_set(err, S_VALIDATION, "Attempting to create an index which already exists");
	for (size_t i = 0; i < spec->index_count; i++)
		global += spec->indexes[i].global && spec->indexes[i].vector == NULL;
	if (new->vector != NULL)
		return vector_check_new_index(spec, new, err);
	if (global >= GSI_MAX)
		return err_set(err, S_LIMIT_EXCEEDED,
			       "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit "
			       "of %d",
			       GSI_MAX);
	if (spec->billing == BILLING_PROVISIONED && !throughput_gives_units(&new->throughput))
		return err_set(err, S_VALIDATION,
			       "One or more parameter values were invalid: ProvisionedThroughput must be specified for "
			       "index: %.*s",
			       SLICE_ARG(new->name));
	if (spec->billing == BILLING_ON_DEMAND && throughput_gives_units(&new->throughput))
		return err_set(err, S_VALIDATION,
			       "One or more parameter values were invalid: ProvisionedThroughput should not be "
			       "specified for index: "
			       "%.*s when BillingMode is PAY_PER_REQUEST",
			       SLICE_ARG(new->name));
	return S_OK;
}

static enum status
create_index(struct alteration *c, struct err *err)
{
	struct table_spec *spec = &c->record.spec;
	struct table_index_spec new = *c->update->create_index;
	struct index_record record = {.status = INDEX_CREATING, .building = true};
	enum status s = check_new_index(c, &new, err);

	if (s != S_OK)
		return s;
	new.global = true;
	throughput_default(&new.throughput);
	if (!type_attrs(spec, new.schema.partition, new.schema.partition_count) ||
	    !type_attrs(spec, new.schema.sort, new.schema.sort_count))
		return undefined_attrs(c, &new.schema, err);
	s = next_numbers(c->db, 1, c->batch, &record.number, err);
	if (s != S_OK)
		return s;
	spec->indexes = memcpy(ARENA_ARRAY(c->arena, struct table_index_spec, spec->index_count + 1), spec->indexes,
			       spec->index_count * sizeof new);
	c->record.indexes = memcpy(ARENA_ARRAY(c->arena, struct index_record, spec->index_count + 1), c->record.indexes,
				   spec->index_count * sizeof record);
	spec->indexes[spec->index_count] = new;
	c->record.indexes[spec->index_count] = record;
	spec->index_count++;
	c->changed = c->updating = true;
	return S_OK;
}

static enum status
delete_index(struct alteration *c, struct err *err)
{
	size_t i = record_find_index(&c->record, c->update->delete_index);

	if (i == c->record.spec.index_count || !c->record.spec.indexes[i].global ||
	    (c->record.spec.indexes[i].vector != NULL) != c->update->delete_vector)
		return err_set(err, S_RESOURCE_NOT_FOUND, "Requested resource not found");
	c->record.indexes[i].status = INDEX_DELETING;
	c->record.indexes[i].backfilling = c->record.indexes[i].building = false;
	c->drop_index = c->record.indexes[i].number;
	c->changed = c->updating = true;
	return S_OK;
}

/* One index is created or deleted at a time; one that is being filled may be deleted. */
enum status
alteration_indexes(struct alteration *c, struct err *err)
{
	bool deletes = c->update->delete_index.len > 0;
	enum status s = S_OK;

	if (c->update->create_index == NULL && !deletes)
		return S_OK;
	for (size_t i = 0; i < c->record.spec.index_count; i++) {
		enum index_status status = c->record.indexes[i].status;
		bool same = deletes && slice_eq(c->record.spec.indexes[i].name, c->update->delete_index);

		if (status == INDEX_DELETING || (status == INDEX_CREATING && !same))
			return one_index_at_a_time(err);
	}
	if (c->update->create_index != NULL && deletes)
		return one_index_at_a_time(err);
	if (c->update->create_index != NULL)
		s = create_index(c, err);
	return s == S_OK && deletes ? delete_index(c, err) : s;
}

/*
 * While a table is being updated nothing else can be changed. About vector indexes the service says more: which index
 * is in the way, and when a creation can be cancelled.
 */
enum status
alteration_check_vectors(struct alteration *c, struct err *err)
{
	const struct table *t = c->t;
	const struct table_index_spec *create = c->update->create_index;

	for (size_t i = 0; i < t->index_count; i++) {
		const struct table_index *x = &t->indexes[i];
		struct slice name = x->spec->name;

		if (x->spec->vector == NULL || x->record->status != INDEX_CREATING)
			continue;
		if (c->update->delete_vector && slice_eq(name, c->update->delete_index) && x->record->building &&
		    !x->record->backfilling)
			return err_set(
			    err, S_RESOURCE_IN_USE,
			    "Attempt to change a resource which is still in use: Index creation is in resource "
			    "allocation phase. Retry deletion during backfilling phase or when the index is active. "
			    "Table: %.*s Index: %.*s",
			    SLICE_ARG(t->core->name), SLICE_ARG(name));
		if (create != NULL && create->vector != NULL && slice_eq(name, create->name))
			return err_set(err, S_RESOURCE_IN_USE,
				       "Attempt to change a resource which is still in use: Index is being created.  "
				       "Table: %.*s Index: %.*s",
				       SLICE_ARG(t->core->name), SLICE_ARG(name));
		if (create != NULL && create->vector != NULL && t->record.status == TABLE_UPDATING)
			return one_index_at_a_time(err);
	}
	return S_OK;
}
