#include "api/table_int.h"

#define UNITS_MAX         INT64_C(1000000000000)
#define NON_KEY_TOTAL_MAX 100 /* included attributes over all indexes of a table */

enum status
table_check_units(const struct throughput_in *in, struct err *err)
{
	if (in->read.value > UNITS_MAX)
		return err_set(err, S_VALIDATION, MSG_UNITS_BOUNDS, (long long)in->read.value, "ReadCapacityUnits");
	if (in->write.value > UNITS_MAX)
		return err_set(err, S_VALIDATION, MSG_UNITS_BOUNDS, (long long)in->write.value, "WriteCapacityUnits");
	return S_OK;
}

const struct key_attr *
table_definition_of(const struct table_spec *spec, struct slice name)
{
	for (size_t i = 0; i < spec->definition_count; i++)
		if (slice_eq(spec->definitions[i].name, name))
			return &spec->definitions[i];
	return NULL;
}

enum status
table_read_definitions(const struct in_list *list, struct table_spec *spec, struct arena *a, struct err *err)
{
	static const enum av_type types[] = {AV_NULL, AV_B, AV_N, AV_S};

	spec->definitions = ARENA_ARRAY(a, struct key_attr, list->count);
	for (uint32_t i = 0; i < list->count; i++) {
		const struct definition_in *in = ((struct definition_in *const *)list->items)[i];

		/* more than keys and indexes can use are told as unused; the search stays short */
		if (i < 256 && table_definition_of(spec, in->name) != NULL)
			return err_set(err, S_VALIDATION, MSG_DUPLICATE_DEFINITION, SLICE_ARG(in->name));
		spec->definitions[spec->definition_count++] = (struct key_attr){in->name, types[in->type.value]};
	}
	return S_OK;
}

static const struct key_in *
key_at(const struct in_list *list, uint32_t i)
{
	return ((struct key_in *const *)list->items)[i];
}

/* "a, b" for messages. */
static const char *
names_of_keys(const struct in_list *list, struct arena *a)
{
	struct slice text = SLICE("");

	for (uint32_t i = 0; i < list->count && i < 8; i++)
		text =
		    arena_printf(a, "%.*s%s%.*s", SLICE_ARG(text), i > 0 ? ", " : "", SLICE_ARG(key_at(list, i)->name));
	return text.len > 0 ? text.data : "";
}

static const char *
names_of_definitions(const struct table_spec *spec, struct arena *a)
{
	struct slice text = SLICE("");

	for (size_t i = 0; i < spec->definition_count && i < 64; i++)
		text = arena_printf(a, "%.*s%s%.*s", SLICE_ARG(text), i > 0 ? ", " : "",
				    SLICE_ARG(spec->definitions[i].name));
	return text.len > 0 ? text.data : "";
}

static enum status
check_key_names(const struct in_list *list, const struct table_spec *spec, enum keys_of of, struct arena *a,
		struct err *err)
{
	if (of == KEYS_OF_TABLE && list->count > spec->definition_count)
		return err_set(err, S_VALIDATION, MSG_NO_DEFINITION);
	for (uint32_t i = 0; i < list->count && of != KEYS_OF_NEW_GLOBAL; i++)
		if (table_definition_of(spec, key_at(list, i)->name) == NULL)
			return err_set(err, S_VALIDATION, MSG_UNDEFINED_KEYS, names_of_keys(list, a),
				       names_of_definitions(spec, a));
	for (uint32_t i = 0; i < list->count; i++)
		for (uint32_t j = 0; j < i; j++)
			if (slice_eq(key_at(list, i)->name, key_at(list, j)->name))
				return err_set(err, S_VALIDATION, MSG_SAME_NAME);
	return S_OK;
}

enum status
table_read_keys(const struct in_list *list, const struct table_spec *spec, enum keys_of of, struct key_schema *ret,
		struct arena *a, struct err *err)
{
	bool global = of == KEYS_OF_GLOBAL || of == KEYS_OF_NEW_GLOBAL;
	uint8_t most = global ? KEY_ATTRS_MAX : 1;
	enum status s = check_key_names(list, spec, of, a, err);

	if (s != S_OK)
		return s;
	*ret = (struct key_schema){0};
	if (key_at(list, 0)->type.value != 1)
		return err_set(err, S_VALIDATION, MSG_FIRST_HASH);
	for (uint32_t i = 0; i < list->count; i++) {
		const struct key_attr *definition = table_definition_of(spec, key_at(list, i)->name);
		struct key_attr attr = {key_at(list, i)->name, definition != NULL ? definition->type : AV_NULL};
		bool hash = key_at(list, i)->type.value == 1;

		if (hash && ret->sort_count > 0)
			return err_set(err, S_VALIDATION, MSG_KEY_SCHEMA_ORDER);
		if ((hash ? ret->partition_count : ret->sort_count) >= most) {
			if (!global)
				return err_set(err, S_VALIDATION, MSG_SECOND_RANGE);
			return err_set(err, S_VALIDATION, MSG_KEY_SCHEMA_LENGTH, hash ? "HASH" : "RANGE");
		}
		if (hash)
			ret->partition[ret->partition_count++] = attr;
		else
			ret->sort[ret->sort_count++] = attr;
	}
	return S_OK;
}

enum status
table_read_projection(const struct projection_in *in, struct table_index_spec *ret, struct err *err)
{
	static const enum projection_type types[] = {0, PROJECT_ALL, PROJECT_INCLUDE, PROJECT_KEYS_ONLY};
	const struct slice *names = in->names.items;

	if (in->type.value == 0)
		return err_set(err, S_VALIDATION, MSG_PROJECTION_NULL);
	ret->projection = types[in->type.value];
	if (in->names.set && ret->projection != PROJECT_INCLUDE)
		return err_set(err, S_VALIDATION, MSG_PROJECTION_EXTRA,
			       ret->projection == PROJECT_ALL ? "ALL" : "KEYS_ONLY");
	if (!in->names.set && ret->projection == PROJECT_INCLUDE)
		return err_set(err, S_VALIDATION, MSG_PROJECTION_NONE);
	for (uint32_t i = 0; i < in->names.count; i++)
		for (uint32_t j = 0; j < i; j++)
			if (slice_eq(names[i], names[j]))
				return err_set(err, S_VALIDATION, MSG_PROJECTION_DUPLICATE, SLICE_ARG(names[i]));
	ret->include = in->names.items;
	ret->include_count = in->names.count;
	return S_OK;
}

static enum status
check_local(const struct index_in *in, const struct table_spec *spec, const struct table_index_spec *index,
	    struct err *err)
{
	struct slice ours = index->schema.partition[0].name, tables = spec->schema.partition[0].name;

	if (index->schema.sort_count == 0)
		return err_set(err, S_VALIDATION, MSG_LSI_INDEX_RANGE, SLICE_ARG(in->name));
	if (!slice_eq(ours, tables))
		return err_set(err, S_VALIDATION, MSG_LSI_HASH, SLICE_ARG(in->name), SLICE_ARG(ours),
			       SLICE_ARG(tables));
	return S_OK;
}

static enum status
check_global(const struct index_in *in, const struct table_spec *spec, struct err *err)
{
	if (spec->billing == BILLING_ON_DEMAND && in->throughput != NULL)
		return err_set(err, S_VALIDATION, MSG_INDEX_THROUGHPUT, SLICE_ARG(in->name));
	if (spec->billing == BILLING_PROVISIONED && in->throughput == NULL)
		return err_set(err, S_VALIDATION, MSG_INDEX_NO_THROUGHPUT, SLICE_ARG(in->name));
	return in->throughput != NULL ? table_check_units(in->throughput, err) : S_OK;
}

enum status
table_read_index(const struct index_in *in, enum keys_of of, const struct table_spec *spec, struct arena *a,
		 struct table_index_spec *ret, struct err *err)
{
	bool global = of != KEYS_OF_LOCAL;
	enum status s;

	*ret = (struct table_index_spec){.name = in->name, .global = global};
	s = table_read_keys(&in->keys, spec, of, &ret->schema, a, err);
	if (s == S_OK && !global)
		s = check_local(in, spec, ret, err);
	if (s == S_OK)
		s = table_read_projection(in->projection, ret, err);
	if (s == S_OK && of == KEYS_OF_GLOBAL)
		s = check_global(in, spec, err);
	if (s == S_OK && global)
		s = table_read_throughput(in->throughput, in->on_demand, in->warm, spec->billing, in->name, false,
					  &ret->throughput, err);
	return s;
}

enum status
table_check_new_name(const struct table_spec *spec, struct slice name, struct err *err)
{
	for (size_t i = 0; i < spec->index_count; i++)
		if (slice_eq(spec->indexes[i].name, name))
			return err_set(err, S_VALIDATION, MSG_DUPLICATE_INDEX, SLICE_ARG(name));
	return S_OK;
}

enum status
table_check_projections(const struct table_index_spec *indexes, size_t count, struct err *err)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += indexes[i].include_count;
	return total > NON_KEY_TOTAL_MAX ? err_set(err, S_VALIDATION, MSG_PROJECTION_TOTAL) : S_OK;
}

static bool
vector_uses(const struct table_vector_spec *v, struct slice name)
{
	for (size_t i = 0; v != NULL && i < v->element_count; i++)
		if (slice_eq(v->elements[i].attr.name, name))
			return true;
	return false;
}

enum status
table_check_definitions_used(const struct table_spec *spec, struct arena *a, struct err *err)
{
	struct slice used = SLICE("");
	bool all = true;

	for (size_t i = 0; i < spec->definition_count; i++) {
		struct slice name = spec->definitions[i].name;
		bool some = key_has_attr(&spec->schema, name);

		for (size_t j = 0; j < spec->index_count && !some; j++)
			some =
			    key_has_attr(&spec->indexes[j].schema, name) || vector_uses(spec->indexes[j].vector, name);
		if (some && used.len < 1024)
			used =
			    arena_printf(a, "%.*s%s%.*s", SLICE_ARG(used), used.len > 0 ? ", " : "", SLICE_ARG(name));
		all &= some;
	}
	if (!all)
		return err_set(err, S_VALIDATION, MSG_UNUSED_DEFINITIONS, names_of_definitions(spec, a), used.data);
	return S_OK;
}

bool
table_gives_units(const struct throughput_in *in)
{
	return in != NULL && (in->read.set || in->write.set);
}

static enum status
check_maximum(const struct in_long *value, const char *name, struct slice whose, bool update, struct err *err)
{
	if (!value->set || value->value >= 1 || (update && value->value == -1))
		return S_OK;
	return err_set(err, S_VALIDATION, MSG_ON_DEMAND_VALUE, name, whose.len > 0 ? "index : " : "table",
		       SLICE_ARG(whose));
}

static enum status
read_maxima(const struct throughput_in *in, enum billing_mode billing, struct slice whose, bool update,
	    struct table_throughput *ret, struct err *err)
{
	enum status s;

	if (billing != BILLING_ON_DEMAND && table_gives_units(in))
		return err_set(err, S_VALIDATION, MSG_ON_DEMAND_PROVISIONED,
			       in->read.set ? "MaxReadRequestUnits" : "MaxWriteRequestUnits");
	s = check_maximum(&in->read, "MaxReadRequestUnits", whose, update, err);
	if (s == S_OK)
		s = check_maximum(&in->write, "MaxWriteRequestUnits", whose, update, err);
	ret->max_read_units = in->read.value;
	ret->max_write_units = in->write.value;
	return s;
}

/* A new table's: not below what it would have anyway. */
static enum status
check_warm(const struct in_long *value, const char *name, int64_t provisioned, const char *provisioned_name,
	   int64_t initial, struct slice whose, struct err *err)
{
	const char *of = whose.len > 0 ? "index " : "table";

	if (!value->set || value->value >= (provisioned > 0 ? provisioned : initial))
		return S_OK;
	if (provisioned > 0)
		return err_set(err, S_VALIDATION, MSG_WARM_PROVISIONED, name, of, SLICE_ARG(whose), provisioned_name);
	return err_set(err, S_VALIDATION, MSG_WARM_INITIAL, name, of, SLICE_ARG(whose));
}

static enum status
read_warm(const struct throughput_in *in, const struct throughput_in *provisioned, struct slice whose, bool update,
	  struct table_throughput *ret, struct err *err)
{
	int64_t reads = provisioned != NULL ? provisioned->read.value : 0;
	int64_t writes = provisioned != NULL ? provisioned->write.value : 0;
	enum status s = S_OK;

	if (!update)
		s = check_warm(&in->read, "ReadUnitsPerSecond", reads, "ReadCapacityUnits", WARM_READS_INITIAL, whose,
			       err);
	if (s == S_OK && !update)
		s = check_warm(&in->write, "WriteUnitsPerSecond", writes, "WriteCapacityUnits", WARM_WRITES_INITIAL,
			       whose, err);
	/* 0 would mean "not given"; whatever is below 1 is too little alike */
	ret->warm_read_units = in->read.set && in->read.value == 0 ? -1 : in->read.value;
	ret->warm_write_units = in->write.set && in->write.value == 0 ? -1 : in->write.value;
	return s;
}

enum status
table_read_throughput(const struct throughput_in *provisioned, const struct throughput_in *on_demand,
		      const struct throughput_in *warm, enum billing_mode billing, struct slice whose, bool update,
		      struct table_throughput *ret, struct err *err)
{
	enum status s = S_OK;

	if (provisioned != NULL) {
		ret->read_units = provisioned->read.value;
		ret->write_units = provisioned->write.value;
	}
	if (on_demand != NULL)
		s = read_maxima(on_demand, billing, whose, update, ret, err);
	if (s == S_OK && warm != NULL)
		s = read_warm(warm, provisioned, whose, update, ret, err);
	return s;
}

/* The service's own words, and no constraint of the model: a missing key or value is "null". */
static enum status
check_tag(const struct tag_in *in, struct err *err)
{
	struct slice key = in->key.data != NULL ? in->key : SLICE("null");
	struct slice value = in->value.data != NULL ? in->value : SLICE("null");

	if (in->key.data == NULL || in->key.len == 0 || shape_characters(in->key) > TAG_KEY_MAX)
		return err_set(err, S_VALIDATION, MSG_TAG_KEY, SLICE_ARG(key));
	if (in->value.data == NULL || shape_characters(in->value) > TAG_VALUE_MAX)
		return err_set(err, S_VALIDATION, MSG_TAG_VALUE, SLICE_ARG(value));
	if (slice_starts(in->key, SLICE("aws:")))
		return err_set(err, S_VALIDATION, MSG_AWS_TAG, SLICE_ARG(key));
	return S_OK;
}

enum status
table_read_tags(const struct in_list *list, struct arena *a, struct table_tag **ret, size_t *ret_count, struct err *err)
{
	*ret_count = 0;
	*ret = NULL;
	if (list->total > TAGS_MAX)
		return err_set(err, S_VALIDATION, MSG_TOO_MANY_TAGS);
	*ret = ARENA_ARRAY(a, struct table_tag, list->count);
	for (uint32_t i = 0; i < list->count; i++) {
		const struct tag_in *in = ((struct tag_in *const *)list->items)[i];

		enum status s = check_tag(in, err);

		if (s != S_OK)
			return s;
		for (size_t j = 0; j < *ret_count; j++)
			if (slice_eq((*ret)[j].key, in->key))
				return err_set(err, S_VALIDATION, MSG_DUPLICATE_TAG, SLICE_ARG(in->key));
		(*ret)[(*ret_count)++] = (struct table_tag){in->key, in->value};
	}
	return S_OK;
}

bool
table_wants_encryption(const struct encryption_in *in)
{
	return in != NULL && (in->enabled == IN_TRUE || in->type.text.data != NULL || in->key.data != NULL);
}

enum status
table_refuse_members(const struct member *members, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (members[i].set)
			return err_set(err, S_VALIDATION, MSG_REFUSED_MEMBER, members[i].name);
	return S_OK;
}
