/*
 * Index rows: computed by one function from the item before and after, so that who applies them (the write itself, the
 * backfill, in scale-out a reader of the change log) need not know how.
 */
#include "table/table_int.h"

#include "model/key.h"

struct av
index_project(const struct table_index *x, struct av item, struct arena *a)
{
	return x->whole ? item : item_pick(a, item, x->row_names, x->row_name_count);
}

static bool
same_attrs(const struct key_attr *attrs, unsigned count, struct av a, struct av b)
{
	for (unsigned i = 0; i < count; i++) {
		struct av left = av_get(a, attrs[i].name), right = av_get(b, attrs[i].name);

		if (av_exists(left) != av_exists(right) || (av_exists(left) && !av_equal(left, right)))
			return false;
	}
	return true;
}

void
index_put_key(const struct table *t, const struct table_index *x, struct av item, struct buf *keys, size_t *ret_at,
	      size_t *ret_len, uint64_t *ret_hash)
{
	*ret_at = keys->len;
	key_put_index_row(keys, x->core->number, &x->spec->schema, &t->record.spec.schema, item, ret_hash);
	*ret_len = keys->len - *ret_at;
}

static bool
has_types(const struct key_attr *attrs, unsigned count, struct av item)
{
	for (unsigned i = 0; i < count; i++) {
		struct av v = av_get(item, attrs[i].name);

		if (av_exists(v) && av_type(v) != attrs[i].type)
			return false;
	}
	return true;
}

/* An update whose types were not known before it was evaluated is refused in words of its own. */
static enum status
check_new_key(const struct table_index *x, struct av new_item, enum key_cause cause, bool *ret_has, struct err *err)
{
	const struct key_schema *schema = &x->spec->schema;

	if (cause == KEY_FROM_UPDATE && (!has_types(schema->partition, schema->partition_count, new_item) ||
					 !has_types(schema->sort, schema->sort_count, new_item)))
		return err_set(err, S_VALIDATION,
			       "The update expression attempted to update the secondary index key to unsupported type");
	return key_check_index_from(schema, x->spec->name, new_item, cause, ret_has, err);
}

enum status
index_compare(const struct table *t, const struct table_index *x, struct av old_item, struct av new_item,
	      enum key_cause cause, struct buf *keys, struct arena *a, struct index_change *ret, struct err *err)
{
	const struct key_schema *schema = &x->spec->schema;
	struct av old_row = AV_NONE, new_row = AV_NONE;
	enum status s = S_OK;

	if (x->spec->vector != NULL)
		return vector_compare(t, x, old_item, new_item, cause, keys, a, ret, err);
	*ret = (struct index_change){.index = x};
	/* an item older than the index may have a key it cannot hold: it is simply not in the index */
	if (av_exists(old_item) && key_check_index(schema, x->spec->name, old_item, &ret->had, NULL) != S_OK)
		ret->had = false;
	if (av_exists(new_item))
		s = check_new_key(x, new_item, cause, &ret->has, err);
	if (s != S_OK) {
		ret->has = false;
		if (cause != KEY_FROM_UPDATE || ret->had || !av_exists(old_item) ||
		    !same_attrs(schema->partition, schema->partition_count, old_item, new_item) ||
		    !same_attrs(schema->sort, schema->sort_count, old_item, new_item))
			return s;
	}
	if (ret->had) {
		index_put_key(t, x, old_item, keys, &ret->old_key_at, &ret->old_key_len, &ret->old_hash);
		old_row = index_project(x, old_item, a);
		ret->old_size = item_size(old_row);
	}
	if (ret->has) {
		index_put_key(t, x, new_item, keys, &ret->new_key_at, &ret->new_key_len, &ret->new_hash);
		new_row = index_project(x, new_item, a);
		ret->new_size = item_size(new_row);
		ret->new_value = av_slice(new_row);
	}
	ret->same_key = ret->had && ret->has &&
			slice_eq(buf_part(keys, ret->old_key_at, ret->old_key_len),
				 buf_part(keys, ret->new_key_at, ret->new_key_len));
	ret->changed = ret->same_key ? !av_equal(old_row, new_row) : ret->had || ret->has;
	ret->row_changed = ret->changed;
	return S_OK;
}
