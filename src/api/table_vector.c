/* Vector indexes in CreateTable and UpdateTable: their shapes, and checked requests to what table/ takes. */
#include "api/table_int.h"
#include "table/vector.h"

static const char *const values_distance[] = {"DOT_PRODUCT", "COSINE", "EUCLIDEAN", NULL};
static const char *const values_element[] = {"HASH", "INLINE_FILTER", NULL};

static const struct field attribute_fields[] = {
    FIELD(struct vector_attribute_in, name, "AttributeName", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, 255)),
    FIELD_END,
};
static const struct shape shape_attribute = {"VectorAttributeDefinition", sizeof(struct vector_attribute_in),
					     attribute_fields};

static const struct field element_fields[] = {
    FIELD(struct vector_element_in, name, "AttributeName", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, 65535)),
    FIELD(struct vector_element_in, type, "SearchSchemaElementType", SHAPE_ENUM, FIELD_REQUIRED,
	  .values = values_element),
    FIELD_END,
};
static const struct shape shape_element = {"SearchSchemaElement", sizeof(struct vector_element_in), element_fields};
static const struct field schema_element = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_element);

#define VECTOR(member, name, type, flags, ...) FIELD(struct vector_in, member, name, type, flags, __VA_ARGS__)
#define VECTOR_NAME                            VECTOR(name, "IndexName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255))
static const struct field vector_fields[] = {
    VECTOR_NAME,
    VECTOR(attribute, "VectorAttribute", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_attribute),
    VECTOR(schema, "SearchSchema", SHAPE_LIST, 0, .element = &schema_element, LIMITS(1, INT64_MAX)),
    VECTOR(projection, "Projection", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_projection),
    VECTOR(dimensions, "Dimensions", SHAPE_LONG, FIELD_REQUIRED, LIMITS(1, INT64_MAX)),
    VECTOR(distance, "DistanceFunction", SHAPE_ENUM, FIELD_REQUIRED, .values = values_distance),
    FIELD_END,
};
static const struct field delete_fields[] = {VECTOR_NAME, FIELD_END};
static const struct shape shape_vector = {"VectorIndex", sizeof(struct vector_in), vector_fields};
static const struct shape shape_create = {"CreateVectorIndexAction", sizeof(struct vector_in), vector_fields};
static const struct shape shape_delete = {"DeleteVectorIndexAction", sizeof(struct vector_in), delete_fields};
const struct field vector_element = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_vector);

static const struct field change_fields[] = {
    FIELD(struct vector_change_in, create, "Create", SHAPE_STRUCT, 0, .shape = &shape_create),
    FIELD(struct vector_change_in, delete, "Delete", SHAPE_STRUCT, 0, .shape = &shape_delete),
    FIELD_END,
};
static const struct shape shape_change = {"VectorIndexUpdate", sizeof(struct vector_change_in), change_fields};
const struct field vector_change_element = ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_change);

static const struct vector_element_in *
element_at(const struct vector_in *in, uint32_t i)
{
	return ((struct vector_element_in *const *)in->schema.items)[i];
}

static bool
is_hash(const struct vector_element_in *in)
{
	return in->type.value == 1;
}

static enum status
check_counts(const struct vector_in *in, struct err *err)
{
	uint32_t hashes = 0, filters = 0;

	for (uint32_t i = 0; i < in->schema.count; i++)
		++*(is_hash(element_at(in, i)) ? &hashes : &filters);
	if (hashes > 1)
		return err_set(err, S_VALIDATION, MSG_VECTOR_SCHEMA_COUNT, hashes, "HASH", 1);
	if (filters > VECTOR_FILTERS_MAX)
		return err_set(err, S_VALIDATION, MSG_VECTOR_SCHEMA_COUNT, filters, "INLINE_FILTER",
			       VECTOR_FILTERS_MAX);
	for (uint32_t i = 0; i < in->schema.count; i++)
		for (uint32_t j = 0; j < i; j++)
			if (slice_eq(element_at(in, i)->name, element_at(in, j)->name))
				return err_set(err, S_VALIDATION, MSG_VECTOR_SCHEMA_TWICE);
	return S_OK;
}

/* Types come from spec->definitions. */
static enum status
read_schema(const struct vector_in *in, const struct table_spec *spec, struct arena *a, struct table_index_spec *ret,
	    struct err *err)
{
	struct table_vector_spec *v = ret->vector;
	enum status s = check_counts(in, err);

	if (s != S_OK)
		return s;
	v->elements = ARENA_ARRAY(a, struct table_vector_element, in->schema.count);
	for (uint32_t i = 0; i < in->schema.count; i++) {
		const struct vector_element_in *element = element_at(in, i);
		const struct key_attr *definition = table_definition_of(spec, element->name);

		if (definition == NULL)
			return err_set(err, S_VALIDATION, MSG_VECTOR_SCHEMA_UNDEFINED);
		v->elements[v->element_count++] = (struct table_vector_element){*definition, is_hash(element)};
		if (is_hash(element))
			ret->schema.partition[ret->schema.partition_count++] = *definition;
	}
	return S_OK;
}

/* The vector, the filters and what is included count together, each name once. */
static enum status
check_projected(const struct table_index_spec *index, struct err *err)
{
	const struct table_vector_spec *v = index->vector;
	size_t count = 1 + index->include_count;

	for (size_t i = 0; i < v->element_count; i++)
		count += !v->elements[i].hash;
	for (size_t n = 0; n < index->include_count; n++) {
		bool known = slice_eq(index->include[n], v->attribute);

		for (size_t i = 0; i < v->element_count; i++)
			known |= !v->elements[i].hash && slice_eq(index->include[n], v->elements[i].attr.name);
		count -= known;
	}
	if (count > VECTOR_PROJECTED_MAX)
		return err_set(err, S_VALIDATION, MSG_VECTOR_PROJECTED, SLICE_ARG(index->name), VECTOR_PROJECTED_MAX);
	return S_OK;
}

static enum status
check_same_dimensions(const struct table_spec *spec, const struct table_vector_spec *v, struct err *err)
{
	for (size_t i = 0; i < spec->index_count; i++) {
		const struct table_vector_spec *other = spec->indexes[i].vector;

		if (other != NULL && slice_eq(other->attribute, v->attribute) && other->dimensions != v->dimensions)
			return err_set(err, S_VALIDATION, MSG_VECTOR_DIMENSIONS_DIFFER, SLICE_ARG(v->attribute));
	}
	return S_OK;
}

static enum status
read_index(const struct vector_in *in, const struct table_spec *spec, struct arena *a, struct table_index_spec *ret,
	   struct err *err)
{
	static const enum vector_distance distances[] = {0, VECTOR_DOT_PRODUCT, VECTOR_COSINE, VECTOR_EUCLIDEAN};
	struct table_vector_spec *v = ARENA_NEW(a, struct table_vector_spec);
	enum status s;

	*ret = (struct table_index_spec){.name = in->name, .global = true, .vector = v};
	if (table_definition_of(spec, in->attribute->name) != NULL)
		return err_set(err, S_VALIDATION, MSG_VECTOR_DEFINED, SLICE_ARG(in->attribute->name));
	if (in->dimensions.value < 1 || in->dimensions.value > VECTOR_DIMENSIONS_MAX)
		return err_set(err, S_VALIDATION, MSG_VECTOR_DIMENSIONS, VECTOR_DIMENSIONS_MAX);
	v->attribute = in->attribute->name;
	v->dimensions = (uint32_t)in->dimensions.value;
	v->distance = distances[in->distance.value];
	s = read_schema(in, spec, a, ret, err);
	if (s == S_OK)
		s = check_same_dimensions(spec, v, err);
	if (s == S_OK)
		s = table_read_projection(in->projection, ret, err);
	return s == S_OK ? check_projected(ret, err) : s;
}

enum status
table_create_vectors(const struct in_list *list, struct table_spec *spec, struct arena *a, struct err *err)
{
	enum status s = S_OK;

	if (list->set && list->count == 0)
		return err_set(err, S_VALIDATION, MSG_VECTOR_EMPTY);
	if (list->count > 0 && spec->billing != BILLING_ON_DEMAND)
		return err_set(err, S_VALIDATION, MSG_VECTOR_BILLING);
	if (list->total > VECTOR_MAX)
		return err_set(err, S_VALIDATION, MSG_VECTOR_COUNT, VECTOR_MAX);
	for (uint32_t i = 0; i < list->count && s == S_OK; i++) {
		const struct vector_in *in = ((struct vector_in *const *)list->items)[i];

		s = table_check_new_name(spec, in->name, err);
		if (s == S_OK)
			s = read_index(in, spec, a, &spec->indexes[spec->index_count], err);
		if (s == S_OK)
			spec->index_count++;
	}
	return s;
}

enum status
table_check_vector_changes(const struct in_list *list, struct err *err)
{
	for (uint32_t i = 0; i < list->count; i++) {
		const struct vector_change_in *change = ((struct vector_change_in *const *)list->items)[i];

		if (change->create == NULL && change->delete == NULL)
			return err_set(err, S_VALIDATION, MSG_VECTOR_UPDATE_NULL);
		if (change->create != NULL && change->delete != NULL)
			return err_set(err, S_VALIDATION, MSG_VECTOR_UPDATE_SEVERAL);
	}
	return list->total > 1 ? err_set(err, S_LIMIT_EXCEEDED, MSG_ONE_INDEX_CHANGE) : S_OK;
}

enum status
table_read_vector_change(const struct in_list *list, const struct table_spec *spec, struct arena *a,
			 struct table_update *update, struct err *err)
{
	const struct vector_change_in *change;

	if (list->count == 0)
		return S_OK;
	change = ((struct vector_change_in *const *)list->items)[0];
	if (change->delete != NULL) {
		update->delete_index = change->delete->name;
		update->delete_vector = true;
		return S_OK;
	}
	update->create_index = ARENA_NEW(a, struct table_index_spec);
	return read_index(change->create, spec, a, update->create_index, err);
}
