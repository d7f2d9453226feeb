/*
 * The API model against the operation table: each member of each request has a field that reads it, or it is in the
 * table of those that are not offered, with a request that shows how.
 */
#include "api_fixture.h"

#include "api/op_int.h"

struct member_row {
	const char *operation, *path;
};
static const struct member_row members[] = {
#define OPERATION(name)
#define MEMBER(operation, path) {operation, path},
#include "model_members.h"
#undef OPERATION
#undef MEMBER
};
static const char *const operations[] = {
#define OPERATION(name) name,
#define MEMBER(operation, path)
#include "model_members.h"
#undef OPERATION
#undef MEMBER
};
static const struct op *
find_op(const char *name)
{
	char target[100];

	snprintf(target, sizeof target, "DynamoDB_20120810.%s", name);
	return op_find(slice_str(target));
}

static const struct field *
find_field(const struct shape *shape, struct slice name)
{
	for (const struct field *f = shape != NULL ? shape->fields : NULL; f != NULL && f->name != NULL; f++)
		if (slice_eq(slice_str(f->name), name))
			return f;
	return NULL;
}

/* The field that reads this member: its own, or one above that takes all below it (a JSON text, an item). */
static const struct field *
reader_of(const struct shape *shape, const char *path)
{
	for (;;) {
		size_t len = strcspn(path, ".[{");
		const struct field *f = find_field(shape, slice_of(path, len));

		if (f == NULL)
			return NULL;
		for (path += len; *path == '[' || *path == '{'; path += 2)
			if (f->element != NULL)
				f = f->element;
		if (*path == '\0' || f->type != SHAPE_STRUCT)
			return f;
		shape = f->shape;
		path++;
	}
}

struct refused_row {
	const char *operation, *path, *exception, *request; /* request NULL: there is nothing it could work on */
};
static const struct refused_row *
refused(size_t *ret_count)
{
	static const struct refused_row rows[] = {
#define REFUSED(operation, path, when, exception, request) {operation, path, exception, request},
#define EMPTY(operation, path, why)                        {operation, path, NULL, NULL},
#include "refused_members.h"
#undef REFUSED
#undef EMPTY
	};

	*ret_count = sizeof rows / sizeof *rows;
	return rows;
}

/* The same member, or one above it. */
static bool
covers(const char *above, const char *path)
{
	size_t len = strlen(above);

	return strncmp(above, path, len) == 0 && strchr(".[{", path[len]) != NULL; /* also the end */
}

static bool
is_refused(const struct member_row *m)
{
	size_t count;
	const struct refused_row *rows = refused(&count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].operation, m->operation) == 0 && covers(rows[i].path, m->path))
			return true;
	return false;
}

static void
every_operation_of_the_model_is_answered(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
		if (find_op(operations[i]) == NULL)
			fail_msg("%s is not in the operation table", operations[i]);
}

static void
every_member_is_read_or_refused(void **state)
{
	int missing = 0;

	(void)state;
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		const struct member_row *m = &members[i];
		const struct op *op = find_op(m->operation);
		const struct field *f;

		assert_non_null(op);
		if (op->run == op_refuse || is_refused(m))
			continue;
		f = reader_of(op->shape, m->path);
		if (f != NULL && f->type != SHAPE_ANY)
			continue;
		missing++;
		print_error("%s: %s is %s\n", m->operation, m->path,
			    f == NULL ? "ignored" : "read as text, and nothing says that it is refused");
	}
	assert_int_equal(missing, 0);
}

static void
what_is_not_offered_is_refused_and_is_in_the_model(void **state)
{
	size_t count;
	const struct refused_row *rows = refused(&count);
	char named[100];

	(void)state;
	create_tables();
	for (size_t i = 0; i < count; i++) {
		const struct refused_row *row = &rows[i];
		bool known = false;

		for (size_t n = 0; n < sizeof members / sizeof *members; n++)
			known |= strcmp(members[n].operation, row->operation) == 0 &&
				 strcmp(members[n].path, row->path) == 0;
		if (!known)
			fail_msg("%s: the model has no %s", row->operation, row->path);
		if (row->request == NULL)
			continue;
		snprintf(named, sizeof named, "%.*s", (int)strcspn(row->path, ".[{"), row->path);
		expect_part(row->operation, row->request, row->exception);
		expect_part(row->operation, row->request, named); /* for that, and for nothing else */
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_operation_of_the_model_is_answered),
	    cmocka_unit_test(every_member_is_read_or_refused),
	    cmocka_unit_test_setup_teardown(what_is_not_offered_is_refused_and_is_in_the_model, fixture_up,
					    fixture_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
