/*
 * Vector indexes: what an item must look like, what its row holds, what a write changes.
 */
#include "table/vector_int.h"

#include "model/key.h"
#include "model/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- numbers ---- */

static float
component_from_text(struct slice encoded)
{
	char text[NUMBER_TEXT_MAX + 1];

	text[number_format_encoded(encoded, text)] = '\0';
	return strtof(text, NULL); /* rounds to the nearest */
}

/*
 * Decimals of an embedding have up to 18 digits and small exponents: then digits and power of ten are exact in a long
 * double of 64 bits, and one operation is off by half a unit of its last place at most. When both ends of that round to
 * the same float it is the right one; else the text decides.
 */
bool
vector_component(struct slice encoded, float *ret)
{
	static const long double powers[] = {1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,  1e7L,  1e8L,  1e9L,
					     1e10L, 1e11L, 1e12L, 1e13L, 1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L,
					     1e20L, 1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};
	const int powers_max = sizeof powers / sizeof *powers - 1;
	struct number n;

	if (number_decode(encoded, &n) != S_OK)
		return false;
	if (LDBL_MANT_DIG >= 64 && n.digits >> 64 == 0 && n.exponent >= -powers_max && n.exponent <= powers_max) {
		long double v = (long double)(uint64_t)n.digits;
		float low, high;

		v = n.exponent < 0 ? v / powers[-n.exponent] : v * powers[n.exponent];
		low = (float)(v * (1 - 0x1p-62L));
		high = (float)(v * (1 + 0x1p-62L));
		*ret = n.negative ? -low : low;
		if (low == high)
			return isfinite(low);
	}
	*ret = component_from_text(encoded);
	return isfinite(*ret);
}

size_t
vector_component_text(float f, char ret[VECTOR_TEXT_MAX])
{
	int len = 0;

	if (f == 0)
		f = 0; /* there is no minus zero */
	for (int digits = 6; digits <= 9; digits++) {
		len = snprintf(ret, VECTOR_TEXT_MAX, "%.*g", digits, (double)f);
		if (strtof(ret, NULL) == f)
			break;
	}
	return (size_t)len;
}

/* ---- what is wrong with an item ---- */

/* As the service prints it: 1.0E39 */
static void
java_double(double v, char ret[64])
{
	char digits[40];
	char *e;
	int precision = 0;

	do
		snprintf(digits, sizeof digits, "%.*e", precision, v);
	while (strtod(digits, NULL) != v && ++precision < 17);
	e = strchr(digits, 'e');
	*e = '\0'; /* a number of an item is finite */
	snprintf(ret, 64, "%s%sE%d", digits, strchr(digits, '.') != NULL ? "" : ".0", atoi(e + 1));
}

static enum status
out_of_range(const struct table_index *x, uint32_t at, struct slice encoded, struct err *err)
{
	char text[NUMBER_TEXT_MAX + 1], value[64];

	text[number_format_encoded(encoded, text)] = '\0';
	java_double(strtod(text, NULL), value);
	return err_set(err, S_VALIDATION,
		       "One or more parameter values were invalid. Invalid value for parameter %.*s[%u], Value: %s is "
		       "outside valid range [-3.4028235E38, 3.4028235E38]. IndexName: %.*s",
		       SLICE_ARG(x->spec->vector->attribute), at, value, SLICE_ARG(x->spec->name));
}

/* Fills floats (NULL: only checks). */
static enum status
read_vector(const struct table_index *x, struct av value, float *floats, struct err *err)
{
	const struct table_vector_spec *v = x->spec->vector;
	struct av_iter it;
	float unused;
	uint32_t i = 0;

	if (av_type(value) != AV_L)
		return err_set(err, S_VALIDATION,
			       "One or more parameter values were invalid. Invalid type for parameter %.*s, Expected: "
			       "32-bit floating point number list IndexName: %.*s",
			       SLICE_ARG(v->attribute), SLICE_ARG(x->spec->name));
	if (av_count(value) != v->dimensions)
		return err_set(err, S_VALIDATION,
			       "One or more parameter values were invalid. Invalid size for parameter %.*s, Expected: "
			       "%u, Actual: %u IndexName: %.*s",
			       SLICE_ARG(v->attribute), v->dimensions, av_count(value), SLICE_ARG(x->spec->name));
	for (it = av_iter(value); av_next(&it); i++) {
		if (av_type(it.value) != AV_N)
			return err_set(err, S_VALIDATION,
				       "One or more parameter values were invalid. Invalid type for parameter "
				       "%.*s[%u], Expected: 32-bit floating point number, Actual: %s. IndexName: %.*s",
				       SLICE_ARG(v->attribute), i, av_type_name(av_type(it.value)),
				       SLICE_ARG(x->spec->name));
		if (!vector_component(av_bytes(it.value), floats != NULL ? &floats[i] : &unused))
			return out_of_range(x, i, av_bytes(it.value), err);
	}
	return S_OK;
}

static enum status
check_element(const struct table_index *x, const struct table_vector_element *element, struct av item,
	      enum key_cause cause, struct err *err)
{
	struct av value = av_get(item, element->attr.name);
	bool indexed;

	if (av_type(value) != element->attr.type)
		return err_set(
		    err, S_VALIDATION,
		    "One or more parameter values were invalid. Attribute '%.*s' type mismatch. Expected: %s, "
		    "Actual: %s. IndexName: %.*s",
		    SLICE_ARG(element->attr.name), av_type_name(element->attr.type), av_type_name(av_type(value)),
		    SLICE_ARG(x->spec->name));
	if (element->hash) /* empty or too long */
		return key_check_index_from(&x->spec->schema, x->spec->name, item, cause, &indexed, err);
	if (av_size(value) > VECTOR_FILTER_BYTES_MAX)
		return err_set(err, S_VALIDATION,
			       "One or more parameter values were invalid: Size limit exceeded for SearchSchema "
			       "attribute '%.*s': maximum %d bytes",
			       SLICE_ARG(element->attr.name), VECTOR_FILTER_BYTES_MAX);
	return S_OK;
}

/* Has the item this attribute, and not as `before` has it? */
static bool
to_check(struct av before, struct av item, struct slice name)
{
	struct av value = av_get(item, name), old = av_get(before, name);

	return av_exists(value) && !(av_exists(old) && av_equal(value, old));
}

/* What is as it was in `before` (AV_NONE: nothing) is not looked at. */
static enum status
check_item(const struct table_index *x, struct av before, struct av item, enum key_cause cause, float *floats,
	   struct err *err)
{
	const struct table_vector_spec *v = x->spec->vector;
	enum status s = S_OK;

	if (to_check(before, item, v->attribute))
		s = read_vector(x, av_get(item, v->attribute), floats, err);
	for (size_t i = 0; s == S_OK && i < v->element_count; i++)
		if (to_check(before, item, v->elements[i].attr.name))
			s = check_element(x, &v->elements[i], item, cause, err);
	return s;
}

enum status
vector_check_item(const struct table_index *x, struct av item, struct err *err)
{
	return check_item(x, AV_NONE, item, KEY_FROM_ITEM, NULL, err);
}

/* Has the item what it must have to be in the index? */
static bool
has_attributes(const struct table_index *x, struct av item)
{
	const struct table_vector_spec *v = x->spec->vector;

	if (!av_exists(item) || !av_exists(av_get(item, v->attribute)))
		return false;
	for (size_t i = 0; i < v->element_count; i++)
		if (v->elements[i].hash && !av_exists(av_get(item, v->elements[i].attr.name)))
			return false;
	return true;
}

/* An item older than the index may have what the index cannot hold: it is simply not in it. */
static bool
is_indexed(const struct table_index *x, struct av item, float *floats)
{
	return has_attributes(x, item) && check_item(x, AV_NONE, item, KEY_FROM_ITEM, floats, NULL) == S_OK;
}

/* ---- rows ---- */

static struct av
filters_of(const struct table_vector_spec *v, struct av item, struct arena *a)
{
	struct slice names[VECTOR_FILTERS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < v->element_count && count < VECTOR_FILTERS_MAX; i++)
		if (!v->elements[i].hash)
			names[count++] = v->elements[i].attr.name;
	return count > 0 ? item_pick(a, item, names, count) : AV_NONE;
}

static struct slice
make_row(const struct table_vector_spec *v, struct av item, const float *floats, struct arena *a)
{
	struct av filters = filters_of(v, item, a);
	size_t floats_len = v->dimensions * sizeof *floats;
	size_t len = VECTOR_ROW_HEAD + floats_len + filters.len;
	char *row = arena_alloc(a, len);
	double *query = arena_alloc(a, v->dimensions * sizeof *query);
	double squares;

	/* by the kernel, so that a vector compared with itself is exactly as far away as it should be */
	for (uint32_t i = 0; i < v->dimensions; i++)
		query[i] = (double)floats[i];
	squares = vector_kernel(0)->dot(floats, query, v->dimensions);
	row[0] = VECTOR_ROW_VERSION;
	memcpy(row + 1, &filters.len, 4);
	memcpy(row + 5, &squares, sizeof squares);
	memcpy(row + VECTOR_ROW_HEAD, floats, floats_len);
	if (filters.len > 0)
		memcpy(row + VECTOR_ROW_HEAD + floats_len, filters.data, filters.len);
	return (struct slice){row, len};
}

bool
vector_row_read(struct slice value, uint32_t dimensions, struct vector_row *ret)
{
	size_t floats_len = dimensions * sizeof(float);
	uint32_t filters_len;

	if (value.len < VECTOR_ROW_HEAD + floats_len || value.data[0] != VECTOR_ROW_VERSION)
		return false;
	memcpy(&filters_len, value.data + 1, sizeof filters_len);
	memcpy(&ret->squares, value.data + 5, sizeof ret->squares);
	ret->floats = value.data + VECTOR_ROW_HEAD;
	ret->filters = AV_NONE;
	if (value.len - VECTOR_ROW_HEAD - floats_len != filters_len)
		return false;
	if (filters_len > 0)
		ret->filters = (struct av){(const uint8_t *)ret->floats + floats_len, filters_len};
	return true;
}

/* ---- what a write changes ---- */

/* What the index projects, by the size rule; the vector counts its name and four bytes a dimension in any case. */
static uint64_t
entry_size(const struct table_vector_spec *v, struct av projected)
{
	struct av vector = av_get(projected, v->attribute);
	uint64_t size = item_size(projected);

	if (av_exists(vector))
		size -= v->attribute.len + av_size(vector);
	return size + v->attribute.len + 4 * (uint64_t)v->dimensions;
}

/* Has an index before the n-th one the same vector attribute? */
static bool
is_counted(const struct table *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (t->indexes[i].maintained && t->indexes[i].spec->vector != NULL &&
		    slice_eq(t->indexes[i].spec->vector->attribute, t->indexes[n].spec->vector->attribute))
			return true;
	return false;
}

uint64_t
vector_billed_size(const struct table *t, struct av item, uint64_t size)
{
	for (size_t i = 0; t->has_vector && av_exists(item) && i < t->index_count; i++) {
		const struct table_vector_spec *v = t->indexes[i].spec->vector;
		struct av value;

		if (v == NULL || !t->indexes[i].maintained || is_counted(t, i))
			continue;
		value = av_get(item, v->attribute);
		if (av_exists(value) && av_type(value) == AV_L && av_count(value) == v->dimensions)
			size += 4 * (uint64_t)v->dimensions - av_size(value);
	}
	return size;
}

/* Are two items alike, this one attribute aside? */
static bool
same_without(struct av a, struct av b, struct slice name)
{
	struct av_iter left = av_iter(a), right = av_iter(b);

	for (;;) {
		bool more_left = av_next(&left), more_right = av_next(&right);

		if (more_left && slice_eq(left.name, name))
			more_left = av_next(&left);
		if (more_right && slice_eq(right.name, name))
			more_right = av_next(&right);
		if (!more_left || !more_right)
			return more_left == more_right;
		if (!slice_eq(left.name, right.name) || !av_equal(left.value, right.value))
			return false;
	}
}

static bool
same_attr(struct av a, struct av b, struct slice name)
{
	return !to_check(a, b, name) && !to_check(b, a, name);
}

/* Is all that makes the row as it was? */
static bool
same_row(const struct table_vector_spec *v, struct av old_item, struct av new_item)
{
	bool same = same_attr(old_item, new_item, v->attribute);

	for (size_t i = 0; same && i < v->element_count; i++)
		same = same_attr(old_item, new_item, v->elements[i].attr.name);
	return same;
}

/* What the rows before and after hold and what that costs. floats: work space; `filled`: it holds the new vector. */
static void
compare_rows(const struct table_index *x, struct av old_item, struct av new_item, float *floats, bool filled,
	     struct arena *a, struct index_change *ret)
{
	const struct table_vector_spec *v = x->spec->vector;
	struct av old_projected = ret->had ? index_project(x, old_item, a) : AV_NONE;
	struct av new_projected = ret->has ? index_project(x, new_item, a) : AV_NONE;
	bool same = ret->same_key && same_row(v, old_item, new_item);

	if (ret->had)
		ret->old_size = entry_size(v, old_projected);
	if (ret->has)
		ret->new_size = entry_size(v, new_projected);
	if (ret->has && (!same || x->record->building)) { /* while building the row may be missing all the same */
		if (!filled)
			(void)read_vector(x, av_get(new_item, v->attribute), floats, NULL);
		ret->new_value = make_row(v, new_item, floats, a);
	}
	ret->row_changed = !same;
	if (ret->same_key && !same) { /* other numbers may still be the same floats */
		(void)read_vector(x, av_get(old_item, v->attribute), floats, NULL);
		ret->row_changed = !slice_eq(make_row(v, old_item, floats, a), ret->new_value);
	}
	ret->changed = ret->row_changed || (ret->same_key && !same_without(old_projected, new_projected, v->attribute));
}

enum status
vector_compare(const struct table *t, const struct table_index *x, struct av old_item, struct av new_item,
	       enum key_cause cause, struct buf *keys, struct arena *a, struct index_change *ret, struct err *err)
{
	const struct table_vector_spec *v = x->spec->vector;
	float *floats = arena_alloc(a, v->dimensions * sizeof *floats);
	bool put = cause != KEY_FROM_UPDATE;
	enum status s;

	*ret = (struct index_change){.index = x};
	ret->had = is_indexed(x, old_item, NULL);
	if (av_exists(new_item)) {
		s = check_item(x, put ? AV_NONE : old_item, new_item, cause, floats, err);
		if (s != S_OK)
			return s;
		if (av_exists(old_item) && same_row(v, old_item, new_item))
			ret->has = ret->had;
		else /* an update may leave alone what does not fit */
			ret->has = put ? has_attributes(x, new_item) : is_indexed(x, new_item, floats);
	}
	if (ret->had)
		index_put_key(t, x, old_item, keys, &ret->old_key_at, &ret->old_key_len, &ret->old_hash);
	if (ret->has)
		index_put_key(t, x, new_item, keys, &ret->new_key_at, &ret->new_key_len, &ret->new_hash);
	ret->same_key = ret->had && ret->has &&
			slice_eq(buf_part(keys, ret->old_key_at, ret->old_key_len),
				 buf_part(keys, ret->new_key_at, ret->new_key_len));
	if (ret->had || ret->has)
		compare_rows(x, old_item, new_item, floats, put, a, ret);
	return S_OK;
}

/* ---- the catalog's side ---- */

bool
vector_uses(const struct table_vector_spec *vector, struct slice name)
{
	for (size_t i = 0; vector != NULL && i < vector->element_count; i++)
		if (slice_eq(vector->elements[i].attr.name, name))
			return true;
	return false;
}

static enum status
check_no_key(const struct key_attr *attrs, unsigned count, const char *role, const struct table_vector_spec *v,
	     struct err *err)
{
	for (unsigned i = 0; i < count; i++)
		if (slice_eq(attrs[i].name, v->attribute))
			return err_set(
			    err, S_VALIDATION,
			    "One or more parameter values were invalid: Attributes cannot be redefined. Please check "
			    "that your attribute has the same type as previously defined. Existing schema: "
			    "Schema:[SchemaElement: key{%.*s:%s:%s}] New schema: VectorIndexSchema:[VectorAttribute: "
			    "key{%.*s:L:%u}]",
			    SLICE_ARG(attrs[i].name), av_type_name(attrs[i].type), role, SLICE_ARG(v->attribute),
			    v->dimensions);
	return S_OK;
}

static enum status
check_no_key_of(const struct key_schema *schema, const struct table_vector_spec *v, struct err *err)
{
	enum status s = check_no_key(schema->partition, schema->partition_count, "HASH", v, err);

	return s == S_OK ? check_no_key(schema->sort, schema->sort_count, "RANGE", v, err) : s;
}

enum status
vector_check_new_index(const struct table_spec *spec, const struct table_index_spec *new, struct err *err)
{
	size_t count = 0;
	enum status s = S_OK;

	if (spec->billing != BILLING_ON_DEMAND)
		return err_set(err, S_VALIDATION, VECTOR_ON_DEMAND_ONLY);
	for (size_t i = 0; i < spec->index_count; i++)
		count += spec->indexes[i].vector != NULL;
	if (count >= VECTOR_MAX)
		return err_set(
		    err, S_LIMIT_EXCEEDED,
		    "Subscriber limit exceeded: Number of vector secondary indexes exceeds per-table limit of %d",
		    VECTOR_MAX);
	s = check_no_key_of(&spec->schema, new->vector, err);
	for (size_t i = 0; s == S_OK && i < spec->index_count; i++) {
		const struct table_vector_spec *other = spec->indexes[i].vector;

		s = check_no_key_of(&spec->indexes[i].schema, new->vector, err);
		if (s == S_OK && other != NULL && slice_eq(other->attribute, new->vector->attribute) &&
		    other->dimensions != new->vector->dimensions)
			s = err_set(
			    err, S_VALIDATION,
			    "One or more parameter values were invalid: Conflicting attribute definition for "
			    "'%.*s'. All VectorIndexes on the same vector attribute must use the same dimensions.",
			    SLICE_ARG(other->attribute));
	}
	return s;
}
