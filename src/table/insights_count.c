/* What is counted for Contributor Insights, and what the metrics tell of it. */
#include "table/table_int.h"

#define WRITE_WEIGHT 3 /* of a write unit, in read units: ConsumedThroughputUnits */

static struct insights *
insights_of(const struct table *t, const struct table_index *x)
{
	return x != NULL && x->spec->global ? &x->core->insights : &t->core->insights;
}

static struct key_counts *
counts_of(const struct insights *x)
{
	return atomic_load_explicit(&x->counts, memory_order_acquire);
}

static unsigned
key_values(const struct key_attr *attrs, unsigned count, struct av item, struct av *ret)
{
	unsigned found = 0;

	for (unsigned i = 0; i < count; i++) {
		ret[i] = av_get(item, attrs[i].name);
		found += av_exists(ret[i]) && av_type(ret[i]) == attrs[i].type;
	}
	return found;
}

/* False: the item is not in the index. */
static bool
key_of(const struct key_schema *schema, struct av item, struct counted_key *ret)
{
	ret->partition_count = schema->partition_count;
	ret->sort_count = schema->sort_count;
	return key_values(schema->partition, schema->partition_count, item, ret->partition) ==
		   schema->partition_count &&
	       key_values(schema->sort, schema->sort_count, item, ret->sort) == schema->sort_count;
}

void
insights_count_read(const struct table_charge *charge, bool throttled)
{
	struct key_counts *counts = counts_of(insights_of(charge->table, charge->index));
	bool own = charge->index != NULL && charge->index->spec->global;
	struct counted_key key;

	if (counts == NULL || (charge->half_units == 0 && !throttled))
		return;
	if (av_exists(charge->key)) {
		if (!key_of(table_schema(charge->table), charge->key, &key))
			return;
	} else if (charge->range != NULL) {
		key.partition_count = own ? charge->index->spec->schema.partition_count : 1;
		key.sort_count = 0;
		memcpy(key.partition, charge->range->partition, sizeof key.partition);
	} else {
		return;
	}
	key_counts_add(counts, &key, throttled, throttled ? 1 : charge->half_units);
}

bool
insights_count_write(const struct table *t, const struct table_index *x, struct av item, uint64_t half_units)
{
	struct key_counts *counts = counts_of(insights_of(t, x));
	struct counted_key key;

	if (counts == NULL)
		return true;
	if (!av_exists(item) || !key_of(x != NULL ? &x->spec->schema : table_schema(t), item, &key))
		return false;
	key_counts_add(counts, &key, half_units == 0, half_units == 0 ? 1 : half_units * WRITE_WEIGHT);
	return true;
}

/* ---- metrics ---- */

static void
put_label(struct buf *out, const char *name, const char *text, size_t len)
{
	buf_printf(out, ",%s=\"", name);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\\' || c == '"')
			buf_put_byte(out, '\\');
		if (c == '\n')
			buf_put_lit(out, "\\n");
		else if (c < ' ' || c == 127)
			buf_printf(out, "\\\\u%04x", c); /* the label then holds \u0007 */
		else
			buf_put_byte(out, c);
	}
	buf_put_byte(out, '"');
}

static void
write_rule(struct buf *out, const char *region, struct slice table, struct slice index, struct key_counts *counts,
	   enum key_rule rule)
{
	bool accessed = rule == RULE_ACCESSED_PARTITION || rule == RULE_ACCESSED_ITEM;
	bool item = rule == RULE_ACCESSED_ITEM || rule == RULE_THROTTLED_ITEM;
	struct key_sum sums[INSIGHTS_TOP];
	unsigned count = key_counts_top(counts, rule, sums, INSIGHTS_TOP);

	for (unsigned i = 0; i < count; i++) {
		const struct key_text *text = &sums[i].text;

		buf_printf(out, "%s{region=\"%s\",table=\"%.*s\"",
			   accessed ? "stator_key_units_total" : "stator_key_throttles_total", region,
			   SLICE_ARG(table));
		if (index.len > 0)
			buf_printf(out, ",index=\"%.*s\"", SLICE_ARG(index));
		put_label(out, "partition_key", text->partition, text->partition_len);
		if (item)
			put_label(out, "sort_key", text->sort, text->sort_len);
		if (accessed)
			buf_printf(out, "} %llu.%c\n", (unsigned long long)sums[i].total / 2,
				   sums[i].total % 2 ? '5' : '0');
		else
			buf_printf(out, "} %llu\n", (unsigned long long)sums[i].total);
	}
}

static void
write_table(struct table_db *db, const struct table *t, enum key_rule rule, struct buf *out)
{
	struct key_counts *counts = counts_of(&t->core->insights);

	if (counts != NULL)
		write_rule(out, db->region, t->core->name, SLICE_NONE, counts, rule);
	for (size_t i = 0; i < t->index_count; i++) {
		counts = counts_of(&t->indexes[i].core->insights);
		if (counts != NULL)
			write_rule(out, db->region, t->core->name, t->indexes[i].spec->name, counts, rule);
	}
}

static void
write_all(struct table_db *db, enum key_rule rule, struct arena *a, struct buf *out)
{
	struct slice last = SLICE_NONE, *names;
	bool more = true;
	size_t count;

	while (more) {
		table_list(db, last, 100, a, &names, &count, &more);
		for (size_t i = 0; i < count; i++) {
			struct table *t = directory_find(db, names[i]);

			if (t != NULL)
				write_table(db, t, rule, out);
			table_release(t);
			last = names[i];
		}
	}
}

void
table_insights_write_metrics(struct table_db *db, struct buf *out)
{
	static const enum key_rule accessed[] = {RULE_ACCESSED_PARTITION, RULE_ACCESSED_ITEM};
	static const enum key_rule throttled[] = {RULE_THROTTLED_PARTITION, RULE_THROTTLED_ITEM};
	struct arena a = {0};

	if (!insights_counting(db))
		return;
	buf_put_lit(out, "# HELP stator_key_units_total Read units and three times write units of the most accessed "
			 "keys, since each is among them.\n"
			 "# TYPE stator_key_units_total counter\n");
	for (int i = 0; i < 2; i++)
		write_all(db, accessed[i], &a, out);
	buf_put_lit(out, "# HELP stator_key_throttles_total Throttled accesses of the most throttled keys, since each "
			 "is among them.\n"
			 "# TYPE stator_key_throttles_total counter\n");
	for (int i = 0; i < 2; i++)
		write_all(db, throttled[i], &a, out);
	arena_done(&a);
}
