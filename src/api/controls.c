#include "api/controls.h"

#include <stdlib.h>

#include "api/stream_iterator.h"
#include "api/trouble.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "model/number.h"
#include "table/change.h"
#include "ttl/ttl.h"

#define PARAMETERS_MAX 4
#define COUNT_MAX      1000000000
#define SECONDS_MAX    253402300799LL /* of CLOCK_MAX_US */

enum parameter_type {
	P_TEXT,
	P_SECONDS, /* a number with at most six decimals; as µs */
	P_COUNT,   /* 0 ... COUNT_MAX */
};

struct parameter {
	const char *name; /* NULL: no more */
	enum parameter_type type;
	bool required;
	const char *help;
};

/* One a parameter of the control, in its order. */
struct given {
	bool set;
	struct slice text;
	int64_t number;
};

struct control {
	const char *name;
	const char *help;
	struct parameter parameters[PARAMETERS_MAX];
	/* Writes further members of the reply: ,"name":value */
	enum status (*run)(struct op_call *call, const struct given *given, struct err *err);
};

/* ---- the clock ---- */

static enum status
clock_set(struct op_call *call, const struct given *given, struct err *err)
{
	(void)call;
	if (given[0].number < 0)
		return err_set(err, S_VALIDATION, "time: must not be before 1970");
	clock_set_us(given[0].number);
	return S_OK;
}

static enum status
clock_advance(struct op_call *call, const struct given *given, struct err *err)
{
	int64_t now = clock_wall_us(), by = given[0].number;

	(void)call;
	if (by > CLOCK_MAX_US - now || by < -now)
		return err_set(err, S_VALIDATION, "seconds: the clock would leave the years 1970 to 9999");
	clock_shift_us(by);
	return S_OK;
}

static enum status
clock_stop(struct op_call *call, const struct given *given, struct err *err)
{
	(void)call, (void)given, (void)err;
	clock_freeze(true);
	return S_OK;
}

static enum status
clock_run(struct op_call *call, const struct given *given, struct err *err)
{
	(void)call, (void)given, (void)err;
	clock_freeze(false);
	return S_OK;
}

static enum status
clock_as_before(struct op_call *call, const struct given *given, struct err *err)
{
	(void)call, (void)given, (void)err;
	clock_reset();
	return S_OK;
}

static void
put_seconds(struct buf *out, int64_t us)
{
	uint64_t size = us < 0 ? -(uint64_t)us : (uint64_t)us;

	buf_printf(out, "%s%llu.%06llu", us < 0 ? "-" : "", (unsigned long long)(size / 1000000),
		   (unsigned long long)(size % 1000000));
}

static void
put_clock(struct buf *out)
{
	int64_t ahead = clock_wall_us() - clock_real_us(), now = clock_wall_us();

	if (ahead > -1000 && ahead < 1000) /* the time between two looks */
		ahead = 0;
	buf_put_lit(out, "\"clock\":{\"now\":");
	put_seconds(out, now);
	buf_put_lit(out, ",\"ahead\":");
	put_seconds(out, ahead);
	buf_printf(out, ",\"frozen\":%s}", clock_is_frozen() ? "true" : "false");
}

/* ---- background work, now ---- */

static enum status
sweep(struct op_call *call, const struct given *given, struct err *err)
{
	uint64_t deleted;
	enum status s = ttl_sweep(call->db, given[0].text, &deleted, &call->wait_seq, err);

	if (s == S_OK)
		buf_printf(call->out, ",\"deleted\":%llu", (unsigned long long)deleted);
	return s;
}

/* Trim, roll, expire and split what is due by the clock. */
static enum status
maintain(struct op_call *call, const struct given *given, struct err *err)
{
	(void)given;
	return change_maintain(call->db, err);
}

static enum status
roll(struct op_call *call, const struct given *given, struct err *err)
{
	return change_roll(call->db, given[0].text, err);
}

static enum status
split(struct op_call *call, const struct given *given, struct err *err)
{
	uint32_t partition = given[1].set ? (uint32_t)given[1].number : UINT32_MAX;

	return table_split(call->db, given[0].text, partition, err);
}

static enum status
age_iterators(struct op_call *call, const struct given *given, struct err *err)
{
	int64_t by_ms = given[0].set ? given[0].number / 1000 : STREAM_ITERATOR_LIFE_MS + 1;

	(void)call;
	if (by_ms < 0)
		return err_set(err, S_VALIDATION, "seconds: nothing grows younger");
	stream_iterators_age(by_ms);
	return S_OK;
}

/* ---- trouble ---- */

static enum status
throttle(struct op_call *call, const struct given *given, struct err *err)
{
	struct slice table = given[0].text, index = given[3].text, capacity = given[2].text;
	bool reads = slice_eq(capacity, SLICE("read")), writes = slice_eq(capacity, SLICE("write"));
	uint32_t count = (uint32_t)given[1].number;
	enum status s = S_OK;

	if (given[2].set && !reads && !writes)
		return err_set(err, S_VALIDATION, "capacity: must be \"read\" or \"write\", not \"%.*s\"",
			       SLICE_ARG(capacity));
	if (!writes)
		s = table_trouble_set(call->db, table, index, TROUBLE_READS_THROTTLED, count, err);
	if (s == S_OK && !reads)
		s = table_trouble_set(call->db, table, index, TROUBLE_WRITES_THROTTLED, count, err);
	return s;
}

static enum status
conflict(struct op_call *call, const struct given *given, struct err *err)
{
	return table_trouble_set(call->db, given[0].text, SLICE_NONE, TROUBLE_CONFLICTS, (uint32_t)given[1].number,
				 err);
}

static enum status
fail_requests(struct op_call *call, const struct given *given, struct err *err)
{
	return troubles_add(op_troubles(call->context), given[0].text, given[3].text, given[1].text,
			    (uint32_t)given[2].number, err);
}

static enum status
set_faults(struct op_call *call, const struct given *given, struct err *err)
{
	const char *text = arena_dup(call->arena, given[0].text).data;

	if (!fault_setup(text))
		return err_set(err, S_VALIDATION,
			       "points: \"%s\" is not NAME:KIND or NAME:KIND:N, or several with commas; kinds are io, "
			       "kill, count and sleep:MS; a GET lists the names, and which can fail (io)",
			       text);
	return S_OK;
}

static enum status
reset(struct op_call *call, const struct given *given, struct err *err)
{
	struct table_db *db;

	(void)given, (void)err;
	for (size_t i = 0; (db = op_db(call->context, i)) != NULL; i++)
		table_trouble_end(db);
	troubles_clear(op_troubles(call->context));
	fault_setup(NULL);
	clock_reset();
	return S_OK;
}

/* ---- the table ---- */

static const struct control controls[] = {
    {"clock-set",
     "Set the clock to a time, forward or back.",
     {{"time", P_SECONDS, true, "seconds since 1970"}},
     clock_set},
    {"clock-advance",
     "Move the clock by so many seconds.",
     {{"seconds", P_SECONDS, true, "back when negative"}},
     clock_advance},
    {"clock-freeze", "Stop the clock; setting and advancing it go on working.", {{NULL}}, clock_stop},
    {"clock-run", "Let a stopped clock go on from where it stands.", {{NULL}}, clock_run},
    {"clock-reset", "The machine's time again, running.", {{NULL}}, clock_as_before},
    {"ttl-sweep",
     "Delete every item whose time to live has passed; answered when it is done.",
     {{"table", P_TEXT, false, "one table only"}},
     sweep},
    {"stream-maintain",
     "Do what is done every few seconds: trim streams, close old shards, split large partitions.",
     {{NULL}},
     maintain},
    {"shard-roll",
     "Close the open shards of a table's stream that hold records, and open a child of each.",
     {{"table", P_TEXT, true, "its name"}},
     roll},
    {"partition-split",
     "Split a partition of a table in two, and with it its open shard.",
     {{"table", P_TEXT, true, "its name"}, {"partition", P_COUNT, false, "the most written one without it"}},
     split},
    {"iterators-age",
     "Let all shard iterators that are there grow older; they live for 15 minutes.",
     {{"seconds", P_SECONDS, false, "a millisecond more than their life without it"}},
     age_iterators},
    {"throttle",
     "Refuse the next item reads and writes for lack of capacity.",
     {{"table", P_TEXT, true, "its name"},
      {"count", P_COUNT, true, "how many; 0 ends it"},
      {"capacity", P_TEXT, false, "read or write; both without it"},
      {"index", P_TEXT, false, "capacity of a global secondary index instead"}},
     throttle},
    {"conflict",
     "Have the next writes, and reads of transactions, meet another transaction.",
     {{"table", P_TEXT, true, "its name"}, {"count", P_COUNT, true, "how many; 0 ends it"}},
     conflict},
    {"fail",
     "Answer the next requests of an operation with an error.",
     {{"operation", P_TEXT, true, "such as GetItem, or * for all"},
      {"error", P_TEXT, true, "such as InternalServerError"},
      {"count", P_COUNT, true, "how many; 0 ends it"},
      {"table", P_TEXT, false, "of one table only"}},
     fail_requests},
    {"fault",
     "Arm places where the disk fails, something waits, or the process dies; \"points\" lists them.",
     {{"points", P_TEXT, true, "as in STATOR_FAULT, engine-apply:io:1; empty: none"}},
     set_faults},
    {"reset", "Everything as it was: the clock runs with the machine's, no trouble is left.", {{NULL}}, reset},
};
#define CONTROL_COUNT (sizeof controls / sizeof *controls)

static const char *const type_names[] = {[P_TEXT] = "string", [P_SECONDS] = "seconds", [P_COUNT] = "count"};

void
controls_describe(struct buf *out)
{
	buf_put_byte(out, '{');
	put_clock(out);
	buf_put_lit(out, ",\"controls\":[");
	for (size_t i = 0; i < CONTROL_COUNT; i++) {
		const struct control *c = &controls[i];

		buf_printf(out, "%s{\"control\":\"%s\",\"help\":", i > 0 ? "," : "", c->name);
		json_put_string(out, slice_str(c->help));
		buf_put_lit(out, ",\"parameters\":[");
		for (int p = 0; p < PARAMETERS_MAX && c->parameters[p].name != NULL; p++) {
			buf_printf(out,
				   "%s{\"name\":\"%s\",\"type\":\"%s\",\"required\":%s,\"help\":", p > 0 ? "," : "",
				   c->parameters[p].name, type_names[c->parameters[p].type],
				   c->parameters[p].required ? "true" : "false");
			json_put_string(out, slice_str(c->parameters[p].help));
			buf_put_byte(out, '}');
		}
		buf_put_lit(out, "]}");
	}
	buf_put_lit(out, "],\"points\":[");
	for (int i = 0; i < FAULT_COUNT; i++) {
		struct fault_told point = fault_tell((enum fault_point)i);

		buf_printf(out, "%s{\"name\":\"%s\",\"fails\":%s,\"passed\":%llu,\"between\":", i > 0 ? "," : "",
			   point.name, point.fails ? "true" : "false", (unsigned long long)point.passed);
		json_put_string(out, slice_str(point.between));
		buf_put_byte(out, '}');
	}
	buf_put_lit(out, "]}\n");
}

/* ---- reading ---- */

/* The names a mistaken one is answered with. */
static enum status
unknown(const char *what, struct slice name, const char *const *names, size_t count, struct err *err)
{
	struct buf list = {0};
	enum status s;

	for (size_t i = 0; i < count; i++)
		buf_printf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
	s = err_set(err, S_VALIDATION, "There is no %s \"%.*s\"; there is %.*s", what,
		    (int)(name.len < 80 ? name.len : 80), name.data, list.len > 0 ? (int)list.len : 4,
		    list.len > 0 ? list.data : "none");
	buf_done(&list);
	return s;
}

static enum status
unknown_control(struct slice name, struct err *err)
{
	const char *names[CONTROL_COUNT];

	for (size_t i = 0; i < CONTROL_COUNT; i++)
		names[i] = controls[i].name;
	return unknown("control", name, names, CONTROL_COUNT, err);
}

static enum status
unknown_parameter(const struct control *c, struct slice name, struct err *err)
{
	const char *names[PARAMETERS_MAX];
	size_t count = 0;

	while (count < PARAMETERS_MAX && c->parameters[count].name != NULL) {
		names[count] = c->parameters[count].name;
		count++;
	}
	return unknown("parameter", name, names, count, err);
}

/* Exactly; nothing is rounded. */
static bool
read_scaled(struct slice text, int16_t decimals, int64_t most, int64_t *ret)
{
	struct number n;

	if (number_parse(text, &n, NULL) != S_OK)
		return false;
	if (n.digits != 0)
		n.exponent = (int16_t)(n.exponent + decimals);
	return number_to_int64(&n, ret) && *ret <= most && *ret >= -most;
}

static enum status
read_value(const struct parameter *p, struct json_reader *r, struct given *ret, struct err *err)
{
	enum json_type type = json_peek(r);

	if (ret->set)
		return err_set(err, S_VALIDATION, "%s: is given twice", p->name);
	ret->set = true;
	if (p->type == P_TEXT) {
		if (type != JSON_STRING)
			return err_set(err, S_VALIDATION, "%s: must be a string", p->name);
		ret->text = json_string(r);
		return S_OK;
	}
	if (type != JSON_NUMBER)
		return err_set(err, S_VALIDATION, "%s: must be a number", p->name);
	ret->text = json_number(r);
	if (p->type == P_SECONDS && !read_scaled(ret->text, 6, SECONDS_MAX * 1000000, &ret->number))
		return err_set(err, S_VALIDATION, "%s: must be seconds, at most %lld, with at most six decimals",
			       p->name, SECONDS_MAX);
	if (p->type == P_COUNT && (!read_scaled(ret->text, 0, COUNT_MAX, &ret->number) || ret->number < 0))
		return err_set(err, S_VALIDATION, "%s: must be a whole number from 0 to %d", p->name, COUNT_MAX);
	return S_OK;
}

static const struct control *
find_control(struct slice name)
{
	for (size_t i = 0; i < CONTROL_COUNT; i++)
		if (slice_eq(slice_str(controls[i].name), name))
			return &controls[i];
	return NULL;
}

/* The members that any control has; the second time the control is known and the rest is read. */
static enum status
read_body(struct op_call *call, const struct control **control, struct slice *region, struct given *given,
	  struct err *err)
{
	struct json_reader r;
	struct slice name, control_name = SLICE_NONE;
	enum status s = S_OK;

	json_init(&r, call->body, call->arena);
	if (json_enter_object(&r)) {
		while (s == S_OK && json_next_member(&r, &name)) {
			int p = 0;

			if (slice_eq(name, SLICE("control"))) {
				control_name = json_string(&r);
			} else if (slice_eq(name, SLICE("region"))) {
				*region = json_string(&r);
			} else if (*control == NULL) {
				json_skip(&r);
			} else {
				while (p < PARAMETERS_MAX && (*control)->parameters[p].name != NULL &&
				       !slice_eq(slice_str((*control)->parameters[p].name), name))
					p++;
				if (p == PARAMETERS_MAX || (*control)->parameters[p].name == NULL)
					return unknown_parameter(*control, name, err);
				s = read_value(&(*control)->parameters[p], &r, &given[p], err);
			}
		}
	}
	if (s == S_OK)
		json_end(&r);
	if (s == S_OK && json_failed(&r))
		return err_set(err, S_VALIDATION,
			       "The body must be a JSON object such as {\"control\":\"ttl-sweep\"}: %s", r.failure);
	if (s != S_OK || *control != NULL)
		return s;
	if (control_name.data == NULL)
		return err_set(err, S_VALIDATION, "\"control\" is missing: which one?");
	*control = find_control(control_name);
	return *control != NULL ? S_OK : unknown_control(control_name, err);
}

static enum status
find_region(struct op_call *call, struct slice region, struct err *err)
{
	struct table_db *db;

	for (size_t i = 0; region.data != NULL && (db = op_db(call->context, i)) != NULL; i++)
		if (slice_eq(slice_str(table_db_region(db)), region)) {
			call->db = db;
			return S_OK;
		}
	if (region.data == NULL)
		return S_OK;
	return err_set(err, S_VALIDATION, "region: \"%.*s\" is not served here",
		       (int)(region.len < 80 ? region.len : 80), region.data);
}

static enum status
run_control(struct op_call *call, const void *in, struct err *err)
{
	struct given given[PARAMETERS_MAX] = {{.set = false}};
	const struct control *control = NULL;
	struct slice region = SLICE_NONE;
	enum status s;

	(void)in;
	if (call->caller != NULL && !call->caller->administrator)
		return err_set(err, S_ACCESS_DENIED, "Only administrators may use test controls");
	if (call->body.len > CONTROL_BODY_MAX)
		return err_set(err, S_VALIDATION, "The body must not be longer than %d bytes", CONTROL_BODY_MAX);
	s = read_body(call, &control, &region, given, err);
	if (s == S_OK)
		s = read_body(call, &control, &region, given, err);
	for (int p = 0; s == S_OK && p < PARAMETERS_MAX && control->parameters[p].name != NULL; p++)
		if (control->parameters[p].required && !given[p].set)
			s = err_set(err, S_VALIDATION, "%s: is missing (%s)", control->parameters[p].name,
				    control->parameters[p].help);
	if (s == S_OK)
		s = find_region(call, region, err);
	if (s != S_OK)
		return s;
	log_info("api", "test control: %s", control->name);
	buf_printf(call->out, "{\"control\":\"%s\"", control->name);
	s = control->run(call, given, err);
	if (s != S_OK)
		return s;
	buf_put_byte(call->out, ',');
	put_clock(call->out);
	buf_put_byte(call->out, '}');
	return S_OK;
}

/* A row of its own: it is no operation of the API. */
const struct op op_control = {"TestControl", OP_BLOCKS | OP_UNLISTED, NULL, run_control, S_OK, NULL};
