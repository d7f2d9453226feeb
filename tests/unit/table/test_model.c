/* Random writes on a table with indexes, compared with a model simple enough to be right. */
#include "table/fixture.h"

#define PARTITION_KEYS 5
#define SORT_KEYS      12
#define GROUPS         3
#define ROUNDS         1500

struct model_item {
	bool exists;
	int group;  /* -1: none */
	int number; /* -1: none */
	int extra;
};
static struct model_item model[PARTITION_KEYS][SORT_KEYS];
static unsigned seed;

static int
pick(int below)
{
	return rand_r(&seed) % below;
}

static struct av
model_key(int p, int s)
{
	return item("pk", text("S:p%d", p), "sk", text("S:s%02d", s), NULL);
}

static struct av
model_value(int p, int s)
{
	const struct model_item *m = &model[p][s];
	const char *group = text("S:g%d", m->group), *number = text("N:%d", m->number), *extra = text("N:%d", m->extra);
	const char *pk = text("S:p%d", p), *sk = text("S:s%02d", s);

	if (!m->exists)
		return AV_NONE;
	if (m->group >= 0 && m->number >= 0)
		return item("pk", pk, "sk", sk, "extra", extra, "g", group, "n", number, NULL);
	if (m->group >= 0)
		return item("pk", pk, "sk", sk, "extra", extra, "g", group, NULL);
	if (m->number >= 0)
		return item("pk", pk, "sk", sk, "extra", extra, "n", number, NULL);
	return item("pk", pk, "sk", sk, "extra", extra, NULL);
}

static struct table *
model_table(void)
{
	struct table_index_spec x[4] = {
	    {.name = SLICE("l"), .schema = schema("pk", "n", AV_N), .projection = PROJECT_KEYS_ONLY},
	    {.name = SLICE("la"), .schema = schema("pk", "n", AV_N), .projection = PROJECT_ALL},
	    {.name = SLICE("g"), .global = true, .schema = schema("g", "n", AV_N), .projection = PROJECT_ALL},
	    {.name = SLICE("k"), .global = true, .schema = schema("g", NULL, AV_S), .projection = PROJECT_KEYS_ONLY},
	};

	return create("M", schema("pk", "sk", AV_S), x, 4);
}

static void
random_model_item(struct model_item *m)
{
	*m = (struct model_item){true, pick(GROUPS + 1) - 1, pick(8) - 1, pick(1000)};
}

/* One commit of up to four writes, on different items. Some are refused, and then none counts. */
static void
random_commit(struct table *t)
{
	struct table_io io = blocking_io();
	struct table_write w[4] = {0};
	struct model_item before[PARTITION_KEYS][SORT_KEYS];
	int count = 1 + pick(4), first = pick(PARTITION_KEYS * SORT_KEYS);
	bool refused = false;

	memcpy(before, model, sizeof model);
	for (int i = 0; i < count; i++) {
		int at = (first + i * 7) % (PARTITION_KEYS * SORT_KEYS), p = at / SORT_KEYS, s = at % SORT_KEYS;
		struct model_item *m = &model[p][s];

		w[i].table = t;
		w[i].key = model_key(p, s);
		switch (pick(4)) {
		case 0:
			w[i].kind = WRITE_DELETE;
			*m = (struct model_item){0};
			break;
		case 1:
			w[i].kind = WRITE_UPDATE;
			if (!m->exists)
				*m = (struct model_item){true, -1, -1, 0};
			m->extra = pick(1000);
			if (pick(2)) {
				m->group = pick(GROUPS);
				w[i].update = expression(EXPR_UPDATE, "SET extra = :a, g = :b", text("N:%d", m->extra),
							 text("S:g%d", m->group));
			} else {
				m->number = -1;
				w[i].update =
				    expression(EXPR_UPDATE, "SET extra = :a REMOVE n", text("N:%d", m->extra), NULL);
			}
			break;
		default:
			w[i].kind = WRITE_PUT;
			if (pick(10) == 0) {
				w[i].condition = expression(EXPR_CONDITION, "attribute_not_exists(pk)", NULL, NULL);
				refused |= m->exists;
			}
			random_model_item(m);
			w[i].item = model_value(p, s);
		}
	}
	if (refused) {
		assert_int_equal(table_commit(w, (size_t)count, &io, &fx.err), S_COND_FAILED);
		memcpy(model, before, sizeof model);
	} else {
		assert_ok(table_commit(w, (size_t)count, &io, &fx.err));
	}
}

/* A page of an index or the table, whichever way and however cut, holds just the model's items, in order. */
static void
check_read(struct table_read read, const char *order_by, uint32_t expected)
{
	struct table_page p = all_pages(read, pick(3) ? 0 : 1 + (uint32_t)pick(9));

	assert_int_equal(p.count, expected);
	for (uint32_t i = 0; i < p.count; i++) {
		int pk = atoi(string_of(p.items[i], "pk") + 1), sk = atoi(string_of(p.items[i], "sk") + 1);
		struct av whole = model_value(pk, sk);

		assert_true(av_exists(whole));
		if (read.select == SELECT_ALL)
			assert_same(p.items[i], whole);
		if (i > 0 && order_by != NULL) {
			int order = av_cmp(av_get(p.items[i - 1], slice_str(order_by)),
					   av_get(p.items[i], slice_str(order_by)));

			assert_true(read.backward ? order >= 0 : order <= 0);
		}
	}
}

static void
check_all(struct table *t)
{
	uint32_t items = 0, in_l = 0, in_g = 0, in_k = 0;
	struct table_description d = describe("M");
	struct key_range range = {.op = KEY_ALL};
	struct table_read read = {.table = t, .range = &range, .select = SELECT_ALL};

	for (int p = 0; p < PARTITION_KEYS; p++) {
		uint32_t here = 0, here_l = 0;

		for (int s = 0; s < SORT_KEYS; s++) {
			here += model[p][s].exists;
			here_l += model[p][s].exists && model[p][s].number >= 0;
			in_k += model[p][s].exists && model[p][s].group >= 0;
			in_g += model[p][s].exists && model[p][s].group >= 0 && model[p][s].number >= 0;
		}
		range.partition[0] = value(text("S:p%d", p));
		read.backward = pick(2);
		read.index = NULL;
		check_read(read, "sk", here);
		read.index = table_index_find(t, SLICE("l"));
		check_read(read, "n", here_l);
		read.index = table_index_find(t, SLICE("la"));
		check_read(read, "n", here_l);
		items += here;
		in_l += here_l;
	}
	for (int g = 0; g < GROUPS; g++) {
		uint32_t here_g = 0, here_k = 0;

		for (int i = 0; i < PARTITION_KEYS * SORT_KEYS; i++) {
			const struct model_item *m = &model[i / SORT_KEYS][i % SORT_KEYS];

			here_k += m->exists && m->group == g;
			here_g += m->exists && m->group == g && m->number >= 0;
		}
		range.partition[0] = value(text("S:g%d", g));
		read.backward = pick(2);
		read.index = table_index_find(t, SLICE("g"));
		check_read(read, "n", here_g);
		read.index = table_index_find(t, SLICE("k"));
		read.select = SELECT_PROJECTED;
		check_read(read, NULL, here_k);
		read.select = SELECT_ALL;
	}
	check_read((struct table_read){.table = t, .select = SELECT_ALL}, NULL, items);
	check_read((struct table_read){.table = t, .select = SELECT_ALL, .index = table_index_find(t, SLICE("g"))},
		   NULL, in_g);
	assert_int_equal(d.item_count, items);
	assert_int_equal(d.indexes[0].item_count, in_l);
	assert_int_equal(d.indexes[2].item_count, in_g);
	assert_int_equal(d.indexes[3].item_count, in_k);
}

static void
tables_and_indexes_do_what_the_model_does(void **state)
{
	struct table *t = model_table();
	uint64_t bytes = 0;

	(void)state;
	seed = 20;
	memset(model, 0, sizeof model);
	for (int i = 0; i < ROUNDS; i++) {
		struct arena_mark mark = arena_mark(&fx.arena);

		random_commit(t);
		if (i % 25 == 0)
			check_all(t);
		if (i % 500 == 499) {
			table_release(t);
			db_reopen();
			t = find("M");
			check_all(t);
		}
		arena_rewind(&fx.arena, mark);
	}
	check_all(t);
	for (int i = 0; i < PARTITION_KEYS * SORT_KEYS; i++) {
		struct av whole = model_value(i / SORT_KEYS, i % SORT_KEYS);

		assert_same(get(t, model_key(i / SORT_KEYS, i % SORT_KEYS)), whole);
		bytes += av_exists(whole) ? item_size(whole) : 0;
	}
	assert_int_equal(describe("M").size_bytes, bytes);
	table_release(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(tables_and_indexes_do_what_the_model_does, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
