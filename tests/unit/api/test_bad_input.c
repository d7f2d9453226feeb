/* Every member of every request, wrong in every way the API model knows (bad_input.h). */
#include "bad_input.h"

#include "api/op_int.h"

/* ---- what the suites know ---- */

struct known_limits {
	int shape;
	const char *member; /* of which this is the shape; NULL: any */
	int64_t min, max;
	const char *pattern;
};
static const struct known_limits known_limits[] = {
#define LIMITS_OF(shape, member, min, max, pattern) {M_##shape, member, min, max, pattern},
#define REQUIRED(shape, member)
#define SAYS(operation, path, what, message)
#define SAYS_2026(operation, path, what, message)
#define UNKNOWN(operation, path, what, why)
#include "bad_input_known.h"
#undef LIMITS_OF
#undef REQUIRED
#undef SAYS
#undef SAYS_2026
#undef UNKNOWN
};
struct known_answer {
	const char *operation, *path, *what, *message; /* message NULL: not known */
	bool newer;                                    /* in the newer wording alone */
};
static const struct known_answer known_answers[] = {
#define LIMITS_OF(shape, member, min, max, pattern)
#define REQUIRED(shape, member)
#define SAYS(operation, path, what, message)      {operation, path, what, message, false},
#define SAYS_2026(operation, path, what, message) {operation, path, what, message, true},
#define UNKNOWN(operation, path, what, why)       {operation, path, what, NULL, false},
#include "bad_input_known.h"
#undef LIMITS_OF
#undef REQUIRED
#undef SAYS
#undef SAYS_2026
#undef UNKNOWN
};

/* "*" stands for anything. */
static bool
matches(const char *pattern, const char *text)
{
	if (*pattern == '*')
		return matches(pattern + 1, text) || (*text != '\0' && matches(pattern, text + 1));
	return *pattern == *text && (*pattern == '\0' || matches(pattern + 1, text + 1));
}

static const struct known_answer *
known_answer(const struct bad *bad)
{
	const struct known_answer *found = NULL;
	struct buf path = {0};

	put_model_path(&path, bad->place);
	buf_put_byte(&path, '\0');
	for (int i = 0; i < (int)(sizeof known_answers / sizeof *known_answers) && found == NULL; i++) {
		const struct known_answer *k = &known_answers[i];

		if ((fx_wording_2026 || !k->newer) && matches(k->operation, bad->operation) &&
		    matches(k->path, path.data) && matches(k->what, bad->what))
			found = k;
	}
	buf_done(&path);
	return found;
}

static bool
is_type(struct slice told, const char *type)
{
	size_t len = strlen(type);

	return told.len > len && told.data[told.len - len - 1] == '#' &&
	       memcmp(told.data + told.len - len, type, len) == 0;
}

static struct known_limits
limits_of(const struct place *place)
{
	const struct step *last = &place->steps[place->count - 1];
	const struct model_shape *s = shape_at(place);

	for (size_t i = 0; i < sizeof known_limits / sizeof *known_limits; i++) {
		const struct known_limits *k = &known_limits[i];

		if (k->shape == last->shape &&
		    (k->member == NULL || (last->member != NULL && strcmp(k->member, last->member->name) == 0)))
			return *k;
	}
	return (struct known_limits){last->shape, NULL, s->min, s->max, s->pattern};
}

/* ---- asking ---- */

static int asked, wrong;

static void
answer_of(const struct bad *bad, int input, struct slice *ret_type, struct slice *ret_message, struct arena *arena)
{
	char *body = bad_body(bad, input);
	const char *reply = call_op(bad->operation, body);
	struct json_reader r;
	struct slice name;

	*ret_type = *ret_message = SLICE("");
	json_init(&r, slice_str(reply), arena);
	if (fx.http_status != 200 && json_enter_object(&r))
		while (json_next_member(&r, &name)) {
			if (slice_eq(name, SLICE("__type")))
				*ret_type = json_string(&r);
			else if (slice_eq(name, SLICE("message")) || slice_eq(name, SLICE("Message")))
				*ret_message = json_string(&r);
			else
				json_skip(&r);
		}
	*ret_type = arena_dup(arena, *ret_type);
	*ret_message = arena_dup(arena, *ret_message);
	free(body);
}

/* A value longer than this is cut, and how is ours alone: then the beginning and the end of what is told are compared.
 */
#define TOLD_MAX 1000

static bool
is_told(struct slice told, const struct buf *head, const struct buf *tail)
{
	struct slice behind;

	if (!slice_starts(told, buf_slice(head)))
		return false;
	behind = slice_of(told.data + head->len, told.len - head->len);
	return behind.len >= tail->len &&
	       slice_eq(slice_of(behind.data + behind.len - tail->len, tail->len), buf_slice(tail));
}

static void
complain(const struct bad *bad, int input, struct slice type, struct slice message, const char *expected,
	 const struct buf *head, const struct buf *tail)
{
	struct buf path = {0};
	char *body = bad_body(bad, input);

	put_model_path(&path, bad->place);
	wrong++;
	if (wrong <= 400)
		fprintf(stderr, "%s\t%.*s\t%s\t%.300s\n   gave %.*s: %.*s\n   want %s: %.*s...%.*s\n", bad->operation,
			(int)path.len, path.data, bad->what, body, SLICE_ARG(type),
			message.len > 500 ? 500 : (int)message.len, message.data, expected,
			head->len > 500 ? 500 : (int)head->len, head->data, (int)tail->len, tail->data);
	buf_done(&path);
	free(body);
}

/* The message is head, anything, tail. */
static void
expect(const struct bad *bad, int input, const char *type, const struct buf *head, const struct buf *tail, bool whole)
{
	const struct known_answer *known = known_answer(bad);
	struct slice told_type, told;
	struct arena arena = {0};
	struct buf said = {0}, nothing = {0};

	if (known != NULL && known->message == NULL)
		return;
	asked++;
	answer_of(bad, input, &told_type, &told, &arena);
	if (known != NULL) {
		buf_put(&said, known->message, strlen(known->message));
		head = &said;
		tail = &nothing;
		whole = true;
	}
	if (!is_type(told_type, type) || !is_told(told, head, tail) || (whole && told.len != head->len + tail->len))
		complain(bad, input, told_type, told, type, head, tail);
	buf_done(&said);
	arena_done(&arena);
}

/* ---- constraints ---- */

/* What a right-typed value breaks, each with "; " before it but the first. */
struct failures {
	struct buf text;
	int count;
};

static void
add_failure(struct failures *f, const char *value, const struct place *place, const char *constraint)
{
	buf_printf(&f->text, "%sValue %s at '", f->count++ > 0 ? "; " : "", value);
	put_path(&f->text, place);
	buf_printf(&f->text, "' failed to satisfy constraint: %s", constraint);
}

static void
expect_failures(const struct bad *bad, int input, struct failures *f)
{
	struct buf all = {0}, nothing = {0};

	if (f->count > 0) {
		buf_printf(&all, "%d validation error%s detected: ", f->count, f->count > 1 ? "s" : "");
		buf_put_slice(&all, buf_slice(&f->text));
		expect(bad, input, "ValidationException", &all, &nothing, true);
	}
	buf_done(&all);
	buf_done(&f->text);
}

static char *
repeat(char c, size_t count)
{
	char *text = malloc(count + 3);

	memset(text + 1, c, count);
	text[0] = text[count + 1] = '"';
	text[count + 2] = '\0';
	return text;
}

/* text: without quotes. */
static void
try_string(struct bad *bad, int input, const char *what, const char *text, bool matches_pattern)
{
	const struct known_limits limits = limits_of(bad->place);
	struct failures f = {0};
	char quoted[200], constraint[200];

	snprintf(quoted, sizeof quoted, "\"%s\"", text);
	bad->what = what;
	bad->text = quoted;
	snprintf(constraint, sizeof constraint, "Member must satisfy regular expression pattern: %s",
		 limits.pattern ? limits.pattern : "");
	quoted[0] = quoted[strlen(text) + 1] = '\'';
	if (limits.pattern != NULL && !matches_pattern)
		add_failure(&f, quoted, bad->place, constraint);
	if (limits.min >= 0 && (int64_t)strlen(text) < limits.min) {
		snprintf(constraint, sizeof constraint, "Member must have length greater than or equal to %lld",
			 (long long)limits.min);
		add_failure(&f, quoted, bad->place, constraint);
	}
	quoted[0] = quoted[strlen(text) + 1] = '"';
	expect_failures(bad, input, &f);
	bad->text = NULL;
}

static void
try_long(struct bad *bad, int input, int64_t max)
{
	struct buf head = {0}, tail = {0};
	const char *pattern = limits_of(bad->place).pattern;
	char *text = repeat(pattern != NULL ? pattern_of(pattern)->fill : 'a', (size_t)max + 1);

	bad->what = "too long";
	bad->text = text;
	if (max <= TOLD_MAX)
		buf_printf(&head, "1 validation error detected: Value '%.*s'", (int)max + 1, text + 1);
	else
		buf_printf(&head, "1 validation error detected: Value '%.*s", TOLD_MAX, text + 1);
	buf_put_lit(&tail, " at '");
	put_path(&tail, bad->place);
	buf_printf(&tail, "' failed to satisfy constraint: Member must have length less than or equal to %lld",
		   (long long)max);
	expect(bad, input, "ValidationException", &head, &tail, max <= TOLD_MAX);
	buf_done(&head);
	buf_done(&tail);
	free(text);
}

/* All values of the model in some order: which one is the service's is no matter of the model. */
static void
try_enum(struct bad *bad, int input)
{
	const struct model_shape *s = shape_at(bad->place);
	const struct known_answer *known;
	struct slice type, told;
	struct buf head = {0}, value = {0}, nothing = {0};
	struct arena arena = {0};
	bool all = true;

	bad->what = "no value of the enum";
	bad->text = "\"no-such-value\"";
	known = known_answer(bad);
	if (known != NULL) {
		expect(bad, input, "ValidationException", &head, &nothing, false);
		return;
	}
	buf_put_lit(&head, "1 validation error detected: Value 'no-such-value' at '");
	put_path(&head, bad->place);
	buf_put_lit(&head, "' failed to satisfy constraint: Member must satisfy enum value set: [");
	asked++;
	answer_of(bad, input, &type, &told, &arena);
	for (int i = 0; s->values[i] != NULL; i++) {
		struct slice list =
		    told.len > head.len ? slice_of(told.data + head.len, told.len - head.len) : SLICE("");
		char *text = (char *)arena_printf(&arena, ", %.*s", SLICE_ARG(list)).data;

		for (char *at = text; *at != '\0'; at++)
			if (*at == ']')
				*at = ',';
		value.len = 0;
		buf_printf(&value, " %s,", s->values[i]);
		buf_put_byte(&value, '\0');
		all &= strstr(text, value.data) != NULL;
	}
	if (!is_type(type, "ValidationException") || !slice_starts(told, buf_slice(&head)) || !all)
		complain(bad, input, type, told, "ValidationException", &head, &nothing);
	buf_done(&head);
	buf_done(&value);
	arena_done(&arena);
}

static void
try_number(struct bad *bad, int input, const char *what, int64_t value, const char *constraint, int64_t limit)
{
	struct failures f = {0};
	char text[40], quoted[44], says[100];

	snprintf(text, sizeof text, "%lld", (long long)value);
	snprintf(quoted, sizeof quoted, "'%s'", text);
	snprintf(says, sizeof says, "Member must have value %s than or equal to %lld", constraint, (long long)limit);
	bad->what = what;
	bad->text = text;
	add_failure(&f, quoted, bad->place, says);
	expect_failures(bad, input, &f);
	bad->text = NULL;
}

/* Lists and maps with too many elements, of which the service tells each. */
static void
try_many(struct bad *bad, int input, int64_t max)
{
	const struct model_shape *s = shape_at(bad->place);
	struct buf text = {0}, head = {0}, tail = {0};
	bool list = s->kind == MODEL_LIST;

	buf_put_byte(&text, list ? '[' : '{');
	for (int64_t i = 0; i <= max; i++) {
		if (i > 0)
			buf_put_byte(&text, ',');
		if (!list)
			buf_printf(&text, "\"abc%lld\":", (long long)i);
		put_right(&text, s->element);
	}
	buf_put_byte(&text, list ? ']' : '}');
	buf_put_byte(&text, '\0');
	bad->what = "too many";
	bad->text = text.data;
	buf_printf(&head, "1 validation error detected: Value '%c", list ? '[' : '{');
	buf_put_lit(&tail, "' at '");
	put_path(&tail, bad->place);
	buf_printf(&tail, "' failed to satisfy constraint: Member must have length less than or equal to %lld",
		   (long long)max);
	expect(bad, input, "ValidationException", &head, &tail, false);
	buf_done(&text);
	buf_done(&head);
	buf_done(&tail);
}

static void
try_empty(struct bad *bad, int input, int64_t min)
{
	bool list = shape_at(bad->place)->kind == MODEL_LIST;
	struct failures f = {0};
	char says[100];

	snprintf(says, sizeof says, "Member must have length greater than or equal to %lld", (long long)min);
	bad->what = "empty";
	bad->text = list ? "[]" : "{}";
	add_failure(&f, list ? "'[]'" : "'{}'", bad->place, says);
	expect_failures(bad, input, &f);
}

static void
try_constraints(struct bad *bad, int input)
{
	const struct model_shape *s = shape_at(bad->place);
	const struct known_limits limits = limits_of(bad->place);
	const struct model_pattern *pattern;

	switch (s->kind) {
	case MODEL_STRING:
		if (s->values != NULL) {
			try_enum(bad, input);
			break;
		}
		pattern = limits.pattern != NULL ? pattern_of(limits.pattern) : NULL;
		try_string(bad, input, "empty", "", pattern == NULL || pattern->empty);
		try_string(bad, input, "short", "a", pattern == NULL || pattern->a);
		if (pattern != NULL && pattern->wrong != NULL)
			try_string(bad, input, "against the pattern", pattern->wrong, false);
		if (limits.max >= 0 && limits.max < 100000)
			try_long(bad, input, limits.max);
		break;
	case MODEL_INTEGER:
	case MODEL_LONG:
		if (limits.min >= 0)
			try_number(bad, input, "too low", limits.min - 1, "greater", limits.min);
		if (limits.max >= 0)
			try_number(bad, input, "too high", limits.max + 1, "less", limits.max);
		break;
	case MODEL_LIST:
	case MODEL_MAP:
		if (limits.min > 0)
			try_empty(bad, input, limits.min);
		if (limits.max > 0)
			try_many(bad, input, limits.max);
		break;
	default:
		break;
	}
}

static const struct model_shape *
shape_above(const struct place *place, int input)
{
	return &model_shapes[place->count > 1 ? place->steps[place->count - 2].shape : input];
}

static void
try_missing(struct bad *bad, int input)
{
	const struct step *last = &bad->place->steps[bad->place->count - 1];
	static const char *const ways[][2] = {{"missing", NULL}, {"null", "null"}};

	if (last->member == NULL || !is_required(shape_above(bad->place, input), last->member))
		return;
	for (int i = 0; i < 2; i++) {
		struct failures f = {0};

		bad->what = ways[i][0];
		bad->text = ways[i][1];
		add_failure(&f, "null", bad->place, "Member must not be null");
		expect_failures(bad, input, &f);
	}
}

static void
try_types(struct bad *bad, int input)
{
	static const char *const texts[] = {"12", "1.5", "true", "false", "\"text\"", "[]", "{}"};
	struct buf nothing = {0};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct buf message = {0};

		bad->what = "type";
		bad->text = texts[i];
		if (wrong_type(bad->place, texts[i], &message))
			expect(bad, input, "SerializationException", &message, &nothing, true);
		buf_done(&message);
	}
}

static const struct op *
op_named(const char *name)
{
	char target[100];

	snprintf(target, sizeof target, "%s%s", strchr(name, '.') != NULL ? "" : "DynamoDB_20120810.", name);
	return op_find(slice_str(target));
}

static void
try_place(const char *operation, int input, const struct place *place)
{
	struct bad bad = {.operation = operation, .place = place};

	try_types(&bad, input);
	try_missing(&bad, input);
	try_constraints(&bad, input);
}

static void
each_place_of_each_request(void **state)
{
	struct place place = {0};

	(void)state;
	asked = wrong = 0;
	for (size_t i = 0; i < sizeof model_operations / sizeof *model_operations; i++)
		if (op_named(model_operations[i].name)->shape != NULL) /* refusals take nothing */
			walk(model_operations[i].name, model_operations[i].input, &place, model_operations[i].input,
			     try_place);
	print_message("%d requests, %d answered wrongly\n", asked, wrong);
	assert_int_equal(wrong, 0);
	assert_true(asked > 6000);
}

/* ---- unknown members ---- */

static int unknowns;

static void
try_unknown(const char *operation, int input, const struct place *place)
{
	struct slice type[2], message[2];
	struct arena arena = {0};
	struct buf more = {0};
	struct bad bad = {.operation = operation, .place = place};
	const struct model_shape *s = shape_at(place);

	if (s->kind != MODEL_STRUCTURE)
		return;
	put_right(&more, place->steps[place->count - 1].shape);
	buf_put_byte(&more, '\0');
	bad.text = more.data;
	answer_of(&bad, input, &type[0], &message[0], &arena);
	more.len -= 2; /* the closing brace */
	buf_printf(&more, "%s\"Unknown\":[{\"x\":1}],\"unknown\":null}", more.data[more.len - 1] == '{' ? "" : ",");
	buf_put_byte(&more, '\0');
	bad.text = more.data;
	answer_of(&bad, input, &type[1], &message[1], &arena);
	unknowns++;
	if (!slice_eq(type[0], type[1]) || !slice_eq(message[0], message[1]))
		fail_msg("%s %s: %.*s %.*s, without the unknown members %.*s", operation, more.data, SLICE_ARG(type[1]),
			 SLICE_ARG(message[1]), SLICE_ARG(message[0]));
	buf_done(&more);
	arena_done(&arena);
}

static void
unknown_members_change_nothing(void **state)
{
	struct place place = {0};

	(void)state;
	for (size_t i = 0; i < sizeof model_operations / sizeof *model_operations; i++)
		walk(model_operations[i].name, model_operations[i].input, &place, model_operations[i].input,
		     try_unknown);
	assert_true(unknowns > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_place_of_each_request),
	    cmocka_unit_test(unknown_members_change_nothing),
	};

	int failed = cmocka_run_group_tests_name("classic wording", tests, fixture_up, fixture_down);

	fx_wording_2026 = true;
	return failed + cmocka_run_group_tests_name("wording of 2026", tests, fixture_up, fixture_down);
}
