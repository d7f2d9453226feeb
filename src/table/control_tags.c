/* TagResource, UntagResource, ListTagsOfResource of a table: its tags are a part of its record. */
#include "table/control_int.h"

static enum status
tags_not_found(struct table_db *db, struct slice name, struct err *err)
{
	return err_set(err, S_RESOURCE_NOT_FOUND,
		       "Requested resource not found: ResourcArn: arn:aws:dynamodb:%s:%s:table/%.*s not found",
		       db->region, db->account, SLICE_ARG(name)); /* "ResourcArn" is how DynamoDB spells it */
}

/* Make `tags` the table's. The caller holds db->control. */
static enum status
set_tags(struct table_db *db, const struct table *t, struct table_tag *tags, size_t count, struct arena *a,
	 struct err *err)
{
	struct record record;

	if (t->record.status == TABLE_DELETING)
		return control_in_use(t, err);
	if (count > TAGS_MAX)
		return err_set(err, S_VALIDATION,
			       "Number of Tags exceed the current limit for the provided ResourceArn");
	control_copy_record(t, a, &record);
	record.spec.tags = tags;
	record.spec.tag_count = count;
	return catalog_change(db, t, &record, NULL, NULL, err);
}

static size_t
find_tag(const struct table_tag *tags, size_t count, struct slice key)
{
	size_t i = 0;

	while (i < count && !slice_eq(tags[i].key, key))
		i++;
	return i;
}

enum status
table_tag(struct table_db *db, struct slice name, const struct table_tag *tags, size_t count, struct err *err)
{
	struct arena a = {0};
	struct table *t;
	enum status s;

	pthread_mutex_lock(&db->control);
	t = directory_find(db, name);
	if (t != NULL) {
		const struct table_spec *spec = &t->record.spec;
		struct table_tag *merged = ARENA_ARRAY(&a, struct table_tag, spec->tag_count + count);
		size_t merged_count = spec->tag_count;

		if (merged_count > 0)
			memcpy(merged, spec->tags, merged_count * sizeof *merged);
		for (size_t i = 0; i < count; i++) {
			size_t at = find_tag(merged, merged_count, tags[i].key);

			merged[at] = tags[i];
			merged_count += at == merged_count;
		}
		s = set_tags(db, t, merged, merged_count, &a, err);
	} else {
		s = tags_not_found(db, name, err);
	}
	pthread_mutex_unlock(&db->control);
	table_release(t);
	arena_done(&a);
	return s;
}

enum status
table_untag(struct table_db *db, struct slice name, const struct slice *keys, size_t count, struct err *err)
{
	struct arena a = {0};
	struct table *t;
	enum status s;

	pthread_mutex_lock(&db->control);
	t = directory_find(db, name);
	if (t != NULL) {
		const struct table_spec *spec = &t->record.spec;
		struct table_tag *left = ARENA_ARRAY(&a, struct table_tag, spec->tag_count);
		size_t left_count = 0;

		for (size_t i = 0; i < spec->tag_count; i++) {
			size_t n = 0;

			while (n < count && !slice_eq(keys[n], spec->tags[i].key))
				n++;
			if (n == count)
				left[left_count++] = spec->tags[i];
		}
		s = set_tags(db, t, left, left_count, &a, err);
	} else {
		s = tags_not_found(db, name, err);
	}
	pthread_mutex_unlock(&db->control);
	table_release(t);
	arena_done(&a);
	return s;
}

enum status
table_tags(struct table_db *db, struct slice name, struct arena *a, struct table_tag **ret, size_t *ret_count,
	   struct err *err)
{
	struct table *t = directory_find(db, name);
	struct table_tag *tags;

	if (t == NULL)
		return tags_not_found(db, name, err);
	tags = ARENA_ARRAY(a, struct table_tag, t->record.spec.tag_count);
	for (size_t i = 0; i < t->record.spec.tag_count; i++) {
		tags[i].key = arena_dup(a, t->record.spec.tags[i].key);
		tags[i].value = arena_dup(a, t->record.spec.tags[i].value);
	}
	*ret = tags;
	*ret_count = t->record.spec.tag_count;
	table_release(t);
	return S_OK;
}
