/* Resource policies as the catalog keeps them. */
#include "fixture.h"

static void
make(const char *name, const char *policy)
{
	struct key_attr pk = {SLICE("pk"), AV_S};
	struct table_spec spec = {
	    .name = slice_str(name),
	    .schema = {.partition_count = 1, .partition = {pk}},
	    .definitions = &pk,
	    .definition_count = 1,
	    .billing = BILLING_ON_DEMAND,
	    .policy = slice_str(policy),
	    .policy_flags = 1,
	};
	struct table_description d;

	assert_ok(table_create(fx.db, &spec, &fx.arena, &d, &fx.err));
	while (table_describe(fx.db, spec.name, &fx.arena, &d, &fx.err) == S_OK && d.status != TABLE_ACTIVE)
		usleep(1000);
}

static enum status
set(const char *name, const char *document, const char *expected, int64_t *ret)
{
	struct table_policy_change change = {.document = slice_str(document), .expected = slice_str(expected)};

	return table_policy_set(fx.db, slice_str(name), &change, ret, &fx.err);
}

/* NULL: there is none. Until the arena ends. */
static const char *
document(const char *name)
{
	struct table_policy *p = table_policy_find(fx.db, slice_str(name));
	const char *text = p != NULL ? arena_dup(&fx.arena, p->document).data : NULL;

	table_policy_release(p);
	return text;
}

static void
a_policy_is_set_replaced_and_removed(void **state)
{
	int64_t first, second, third;

	(void)state;
	make("Music", NULL);
	assert_false(table_db_has_policies(fx.db));
	assert_null(document("Music"));
	assert_ok(set("Music", "one", NULL, &first));
	assert_true(table_db_has_policies(fx.db));
	assert_string_equal(document("Music"), "one");
	assert_ok(set("Music", "one", NULL, &second));
	assert_int_equal(first, second);
	assert_ok(set("Music", "two", NULL, &second));
	assert_true(second > first);
	assert_string_equal(document("Music"), "two");
	assert_ok(set("Music", NULL, NULL, &third));
	assert_int_equal(third, second);
	assert_null(document("Music"));
	assert_false(table_db_has_policies(fx.db));
	assert_ok(set("Music", NULL, NULL, &third));
	assert_int_equal(third, 0);
	assert_ok(set("Music", "two", NULL, &third));
	assert_true(third > second);
}

static void
only_the_expected_revision_is_changed(void **state)
{
	char revision[24], message[300];
	int64_t first, second;

	(void)state;
	make("Music", NULL);
	assert_status(set("Music", "one", "123", &first), S_POLICY_NOT_FOUND,
		      "Resource-based policy not found for the provided ResourceArn: Requested update for policy with "
		      "revision id 123, but table Music has no associated policy.");
	assert_ok(set("Music", "one", "NO_POLICY", &first));
	snprintf(message, sizeof message,
		 "Resource-based policy not found for the provided ResourceArn: Requested policy update expecting none "
		 "to be present for table Music, but a policy exists with revision id %lld.",
		 (long long)first);
	assert_status(set("Music", "two", "NO_POLICY", &second), S_POLICY_NOT_FOUND, message);
	snprintf(revision, sizeof revision, "%lld", (long long)first);
	assert_ok(set("Music", "two", revision, &second));
	snprintf(message, sizeof message,
		 "Resource-based policy not found for the provided ResourceArn: Requested update for policy with "
		 "revision id %s, but the policy associated to target table Music has revision id %lld.",
		 revision, (long long)second);
	assert_status(set("Music", "three", revision, &first), S_POLICY_NOT_FOUND, message);
	assert_status(set("Music", NULL, revision, &first), S_POLICY_NOT_FOUND, message);
	assert_string_equal(document("Music"), "two");
}

static void
a_policy_outlives_a_restart_and_goes_with_its_table(void **state)
{
	struct table_description d;
	struct table_policy *p;
	int64_t revision, again;

	(void)state;
	make("Music", "from the start");
	p = table_policy_find(fx.db, SLICE("Music"));
	assert_non_null(p);
	assert_int_equal(p->flags, 1);
	table_policy_release(p);
	make("Other", NULL);
	assert_ok(set("Other", "other", NULL, &revision));
	db_reopen();
	assert_string_equal(document("Music"), "from the start");
	assert_string_equal(document("Other"), "other");
	assert_ok(set("Other", "other", NULL, &again));
	assert_int_equal(revision, again);
	assert_ok(table_delete(fx.db, SLICE("Music"), &fx.arena, &d, &fx.err));
	while (table_describe(fx.db, SLICE("Music"), &fx.arena, &d, &fx.err) == S_OK)
		usleep(1000);
	assert_null(document("Music"));
	make("Music", NULL);
	assert_null(document("Music"));
	db_reopen();
	assert_null(document("Music"));
	assert_string_equal(document("Other"), "other");
}

static void
tables_that_are_not_there_have_none(void **state)
{
	int64_t revision;

	(void)state;
	assert_status(set("Music", "one", NULL, &revision), S_RESOURCE_NOT_FOUND,
		      "Requested resource not found: Table: Music not found");
	assert_null(document("Music"));
}

static int made, dropped;

static void *
make_meaning(struct slice text)
{
	made++;
	return strndup(text.data, text.len);
}

static void
drop_meaning(void *meaning)
{
	dropped++;
	free(meaning);
}

static void
a_document_is_understood_once(void **state)
{
	struct table_policy *p;
	int64_t revision;

	(void)state;
	make("Music", "document");
	p = table_policy_find(fx.db, SLICE("Music"));
	assert_string_equal(table_policy_meaning(p, make_meaning, drop_meaning), "document");
	assert_string_equal(table_policy_meaning(p, make_meaning, drop_meaning), "document");
	assert_int_equal(made, 1);
	assert_ok(set("Music", "another", NULL, &revision));
	assert_int_equal(dropped, 0); /* we still hold it */
	table_policy_release(p);
	assert_int_equal(dropped, 1);
}

static void
a_failed_change_leaves_what_was(void **state)
{
	int64_t revision, before;
	struct table_policy *p;
	enum status s;

	(void)state;
	make("Music", "before");
	p = table_policy_find(fx.db, SLICE("Music"));
	before = p->revision;
	table_policy_release(p);
	for (uint64_t n = 1;; n++) {
		engine_faulty_arm(fx.engine, n, S_IO);
		s = set("Music", "after", NULL, &revision);
		engine_faulty_arm(fx.engine, 0, S_OK);
		if (s == S_OK)
			break;
		assert_string_equal(document("Music"), "before");
		assert_true(n < 50);
	}
	assert_string_equal(document("Music"), "after");
	assert_true(revision > before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_policy_is_set_replaced_and_removed, setup, teardown),
	    cmocka_unit_test_setup_teardown(only_the_expected_revision_is_changed, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_policy_outlives_a_restart_and_goes_with_its_table, setup, teardown),
	    cmocka_unit_test_setup_teardown(tables_that_are_not_there_have_none, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_document_is_understood_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_failed_change_leaves_what_was, setup_faulty, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
