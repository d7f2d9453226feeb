#include "bench/setup.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/wire.h"
#include "codec/json.h"

#define ACTIVE_WAIT_MS    (5 * 60 * 1000)
#define ACTIVE_STEP_MS    20
#define FILL_CONNECTIONS  64
#define FILL_REFUSALS_MAX 1000 /* in a row */

/* ---- one request at a time ---- */

struct call {
	struct request request;
	bool sent;
	int status;
	struct buf body;
};

static struct request *
call_next(void *context, int slot)
{
	struct call *call = context;

	(void)slot;
	if (call->sent)
		return NULL;
	call->sent = true;
	return &call->request;
}

static void
call_answered(void *context, const struct client_answer *answer)
{
	struct call *call = context;

	call->status = answer->status;
	buf_put_slice(&call->body, answer->body);
}

static enum status
call_run(const struct workload *w, const char *operation, struct slice body, struct call *call, struct err *err)
{
	atomic_bool stop = false;
	struct client_options options = {
	    .endpoint = w->endpoint,
	    .hooks = {call_next, call_answered, call},
	    .connections = 1,
	    .keep_body = true,
	    .stop = &stop,
	};
	enum status s;

	call->sent = false;
	call->body.len = 0;
	workload_sign(w, operation, body, &call->request);
	s = client_run(&options, NULL, err);
	if (s == S_OK && call->status == 0)
		s = err_set(err, S_IO, "%s: the connection was closed during the answer to %s", w->endpoint->url,
			    operation);
	return s;
}

static void
call_done(struct call *call)
{
	buf_done(&call->request.bytes);
	buf_done(&call->body);
}

static enum status
refused(const struct call *call, const char *operation, struct err *err)
{
	return err_set(err, S_IO, "%s was refused (HTTP %d): %.*s", operation, call->status,
		       (int)(call->body.len < 1000 ? call->body.len : 1000), call->body.data);
}

static bool
reply_has(const struct call *call, const char *text)
{
	return memmem(call->body.data, call->body.len, text, strlen(text)) != NULL;
}

/* ---- tables ---- */

static bool
is_active(struct slice reply)
{
	struct arena arena = {0};
	struct json_reader r;
	struct slice name;
	bool active = false;

	json_init(&r, reply, &arena);
	if (json_enter_object(&r))
		while (json_next_member(&r, &name)) {
			if (!slice_eq(name, SLICE("Table"))) {
				json_skip(&r);
			} else if (json_enter_object(&r)) {
				while (json_next_member(&r, &name)) {
					if (slice_eq(name, SLICE("TableStatus")))
						active = slice_eq(json_string(&r), SLICE("ACTIVE"));
					else
						json_skip(&r);
				}
			}
		}
	arena_done(&arena);
	return active;
}

/* S_NOT_FOUND: the table is not there, or not any more. */
static enum status
wait_active(const struct workload *w, struct slice body, struct call *call, struct err *err)
{
	for (int waited_ms = 0; waited_ms < ACTIVE_WAIT_MS; waited_ms += ACTIVE_STEP_MS) {
		enum status s = call_run(w, "DescribeTable", body, call, err);

		if (s != S_OK)
			return s;
		if (call->status != 200 && reply_has(call, "ResourceNotFoundException"))
			return S_NOT_FOUND;
		if (call->status != 200)
			return refused(call, "DescribeTable", err);
		if (is_active(buf_slice(&call->body)))
			return S_OK;
		usleep(ACTIVE_STEP_MS * 1000);
	}
	return err_set(err, S_IO, "the table does not become ACTIVE");
}

static void
put_create(const struct workload *w, bool queries, int64_t table, struct buf *out)
{
	buf_put_lit(out, "{\"TableName\":\"");
	workload_put_table(w, queries, table, out);
	buf_put_lit(out, "\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":[{\"AttributeName\":\"pk\","
			 "\"AttributeType\":\"S\"}");
	if (queries)
		buf_put_lit(out, ",{\"AttributeName\":\"sk\",\"AttributeType\":\"S\"}");
	buf_put_lit(out, "],\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"}");
	if (queries)
		buf_put_lit(out, ",{\"AttributeName\":\"sk\",\"KeyType\":\"RANGE\"}");
	buf_put_lit(out, "]}");
}

static enum status
make_table(const struct workload *w, bool queries, int64_t table, bool *ret_made, struct err *err)
{
	struct call call = {0};
	struct buf create = {0}, describe = {0};
	enum status s;

	put_create(w, queries, table, &create);
	buf_put_lit(&describe, "{\"TableName\":\"");
	workload_put_table(w, queries, table, &describe);
	buf_put_lit(&describe, "\"}");
	do {
		s = call_run(w, "CreateTable", buf_slice(&create), &call, err);
		if (s != S_OK)
			break;
		*ret_made = call.status == 200;
		if (!*ret_made && !reply_has(&call, "ResourceInUseException"))
			s = refused(&call, "CreateTable", err);
		else
			s = wait_active(w, buf_slice(&describe), &call, err);
	} while (s == S_NOT_FOUND); /* it was being deleted, for example by the run before: make it now */
	buf_done(&create);
	buf_done(&describe);
	call_done(&call);
	return s;
}

/* ---- filling ---- */

struct fill_slot {
	struct request request;
	bool again; /* the last batch was not taken whole */
};

struct filling {
	const struct workload *w;
	bool queries;
	int64_t each;      /* items of one table */
	int64_t next, all; /* table by table */
	int refusals;      /* in a row */
	int64_t told_ns;
	struct fill_slot slots[FILL_CONNECTIONS];
	atomic_bool stop;
	enum status failed;
	struct err *err;
};

static struct request *
fill_next(void *context, int slot)
{
	struct filling *f = context;
	struct fill_slot *s = &f->slots[slot];
	struct fill fill = {f->queries, f->next / f->each, f->next % f->each, 25};

	if (s->again) {
		s->again = false;
		return &s->request;
	}
	if (f->next >= f->all)
		return NULL;
	/* a batch is at most 16 MB */
	if (f->w->options->item_bytes > 64 * 1024)
		fill.count = 10;
	if (fill.count > f->each - fill.from)
		fill.count = f->each - fill.from;
	if (workload_is_foreign(f->w)) {
		fill.count = 1;
		workload_make_set(f->w, fill.from, &s->request);
	} else {
		workload_make_fill(f->w, &fill, &s->request);
	}
	f->next += fill.count;
	return &s->request;
}

static void
fill_answered(void *context, const struct client_answer *a)
{
	struct filling *f = context;
	bool throttled = a->status == 200 && memmem(a->body.data, a->body.len, "\"PutRequest\"", 12) != NULL;
	int64_t now_ns = clock_mono_ns();

	if (a->status == 200 && !throttled) {
		f->refusals = 0;
	} else {
		f->slots[a->slot].again = true;
		if ((a->status >= 400 && a->status < 500 && memmem(a->body.data, a->body.len, "Throttl", 7) == NULL &&
		     memmem(a->body.data, a->body.len, "Exceeded", 8) == NULL) ||
		    ++f->refusals > FILL_REFUSALS_MAX) {
			f->failed = err_set(f->err, S_IO, "filling was refused (HTTP %d): %.*s", a->status,
					    (int)(a->body.len < 1000 ? a->body.len : 1000), a->body.data);
			atomic_store(&f->stop, true);
		}
	}
	if (now_ns - f->told_ns > 1000000000) {
		f->told_ns = now_ns;
		fprintf(stderr, "  filling  %lld of %lld items\n", (long long)f->next, (long long)f->all);
	}
}

static enum status
fill_tables(const struct workload *w, bool queries, struct err *err)
{
	struct filling *f = calloc(1, sizeof *f);
	struct client_wire wire;
	struct client_options options = {
	    .endpoint = w->endpoint,
	    .connections = FILL_CONNECTIONS,
	    .keep_body = true,
	};
	enum status s;

	if (f == NULL)
		return err_set(err, S_INTERNAL, "out of memory");
	if (workload_is_foreign(w)) {
		options.endpoint = w->target;
		options.wire = wire_of(w, &wire);
	}
	*f = (struct filling){.w = w, .queries = queries, .each = workload_item_count(w, queries), .err = err};
	f->all = f->each * w->options->tables;
	f->told_ns = clock_mono_ns();
	options.hooks = (struct client_hooks){fill_next, fill_answered, f};
	options.stop = &f->stop;
	s = client_run(&options, NULL, err);
	if (s == S_OK)
		s = f->failed;
	for (int i = 0; i < FILL_CONNECTIONS; i++)
		buf_done(&f->slots[i].request.bytes);
	free(f);
	return s;
}

enum status
setup_tables(const struct workload *w, struct setup *ret, struct err *err)
{
	int64_t tables = workload_is_foreign(w) ? 0 : w->options->tables;

	*ret = (struct setup){0};
	if (w->options->raw_get != NULL || w->options->no_fill)
		return S_OK;
	for (int queries = 0; queries < 2; queries++) {
		enum status s = S_OK;

		if (!workload_needs(w, queries))
			continue;
		ret->made[queries] = calloc((size_t)w->options->tables, sizeof(bool));
		if (ret->made[queries] == NULL)
			return err_set(err, S_INTERNAL, "out of memory");
		for (int64_t table = 0; table < tables && s == S_OK; table++)
			s = make_table(w, queries, table, &ret->made[queries][table], err);
		if (s == S_OK)
			s = fill_tables(w, queries, err);
		if (s != S_OK)
			return s;
	}
	return S_OK;
}

static enum status
delete_table(const struct workload *w, bool queries, int64_t table, struct err *err)
{
	struct call call = {0};
	struct buf body = {0};
	enum status s;

	buf_put_lit(&body, "{\"TableName\":\"");
	workload_put_table(w, queries, table, &body);
	buf_put_lit(&body, "\"}");
	s = call_run(w, "DeleteTable", buf_slice(&body), &call, err);
	if (s == S_OK && call.status != 200)
		s = refused(&call, "DeleteTable", err);
	buf_done(&body);
	call_done(&call);
	return s;
}

enum status
setup_undo(const struct workload *w, const struct setup *setup, struct err *err)
{
	enum status s = S_OK;

	for (int queries = 0; queries < 2; queries++)
		for (int64_t table = 0; setup->made[queries] != NULL && table < w->options->tables; table++)
			if (setup->made[queries][table] && s == S_OK)
				s = delete_table(w, queries, table, err);
	return s;
}

void
setup_done(struct setup *setup)
{
	free(setup->made[false]);
	free(setup->made[true]);
}
