/* A request from its first byte until its answer was handed to the connection, and the blocks of input it lies in. */
#include <stdlib.h>

#include "codec/gzip.h"
#include "io/http_int.h"

/* What a loop keeps for the next requests. */
#define POOL_REQUESTS     128
#define POOL_BLOCKS       128
#define KEEP_BODY_BYTES   (64 * 1024)
#define KEEP_OUT_BYTES    (128 * 1024)
#define GZIP_FROM_BYTES   1024
#define SMALL_BYTES       (64 * 1024)
#define UNPACK_INLINE_MAX (64 * 1024)

static void *
must(void *memory)
{
	if (memory == NULL)
		abort(); /* see base/arena.h: limits end long before memory does */
	return memory;
}

/* --- input blocks --- */

struct block *
block_new(struct http_loop *home, size_t cap)
{
	struct block *b;

	if (cap <= BLOCK_BYTES && home->free_blocks != NULL) {
		b = home->free_blocks;
		home->free_blocks = b->next;
		home->free_block_count--;
	} else {
		if (cap < BLOCK_BYTES)
			cap = BLOCK_BYTES;
		b = must(malloc(sizeof *b + cap));
		b->cap = cap;
	}
	b->refs = 1;
	b->len = 0;
	return b;
}

void
block_release(struct http_loop *home, struct block *b)
{
	if (b == NULL || --b->refs > 0)
		return;
	if (b->cap > BLOCK_BYTES || home->free_block_count >= POOL_BLOCKS) {
		free(b);
		return;
	}
	b->next = home->free_blocks;
	home->free_blocks = b;
	home->free_block_count++;
}

/* --- requests --- */

struct request *
request_new(struct conn *c)
{
	struct http_loop *home = c->home;
	struct request *r = home->free_requests;

	if (r != NULL) {
		home->free_requests = r->next;
		home->free_request_count--;
	} else {
		r = must(calloc(1, sizeof *r));
		r->home = home;
		r->x.loop = home->loop;
		r->x.arena = &r->arena;
		r->x.out = &r->out;
		r->x.headers = r->headers;
	}
	r->conn = c;
	r->x.flow = c->read_job.flow;
	r->state = REQUEST_READING;
	r->started_ns = loop_now_ns(home->loop);
	memcpy(r->x.peer, c->peer, sizeof r->x.peer);
	r->next = NULL;
	r->prev = c->last;
	if (c->last != NULL)
		c->last->next = r;
	else
		c->first = r;
	c->last = r;
	c->queued++;
	return r;
}

static void
buf_recycle(struct buf *b, size_t keep)
{
	if (b->cap > keep)
		buf_done(b);
	b->len = 0;
}

void
request_release_input(struct request *r)
{
	block_release(r->home, r->block);
	r->block = NULL;
	if (r->body_counted > 0) {
		atomic_fetch_sub(&r->home->server->body_bytes, r->body_counted);
		r->body_counted = 0;
	}
	buf_recycle(&r->body, KEEP_BODY_BYTES);
	buf_recycle(&r->unpacked, KEEP_BODY_BYTES);
	arena_reset(&r->arena);
}

void
request_free_memory(struct request *r)
{
	buf_done(&r->body);
	buf_done(&r->unpacked);
	buf_done(&r->head);
	buf_done(&r->out);
	buf_done(&r->gzip_out);
	arena_done(&r->arena);
	free(r);
}

static void
loan_end(struct request *r)
{
	if (r->loan.len == 0)
		return;
	r->loan.len = 0;
	r->loan.done(r->loan.owner);
}

void
request_settle(struct request *r)
{
	struct http_loan *loan = &r->loan;
	struct buf *out = &r->out;
	char *at;

	if (loan->len == 0)
		return;
	buf_reserve(out, loan->len);
	at = out->data + loan->at;
	memmove(at + loan->len, at, out->len - loan->at);
	for (size_t i = 0; i < loan->count; i++)
		at = (char *)memcpy(at, loan->runs[i].data, loan->runs[i].len) + loan->runs[i].len;
	out->len += loan->len;
	if (r->encoded)
		r->reply_body = buf_slice(out);
	loan_end(r);
}

void
http_lend(struct http_exchange *x, const struct http_loan *loan)
{
	((struct request *)x)->loan = *loan;
}

void
request_recycle(struct request *r)
{
	struct http_loop *home = r->home;

	loan_end(r);
	if (r->state == REQUEST_RUNNING || r->state == REQUEST_REPLIED)
		COUNT(home, in_progress, -1);
	request_release_input(r);
	if (home->free_request_count >= POOL_REQUESTS) {
		request_free_memory(r);
		return;
	}
	buf_recycle(&r->head, BLOCK_BYTES);
	buf_recycle(&r->out, KEEP_OUT_BYTES);
	buf_recycle(&r->gzip_out, KEEP_OUT_BYTES);
	r->x.method = r->x.target = r->x.path = r->x.query = r->x.body = r->x.raw_body = SLICE_NONE;
	r->x.header_count = 0;
	r->x.context = NULL;
	r->x.gone = false;
	r->start = r->header_bytes = r->sent = 0;
	r->part = PART_TARGET;
	r->refusal = r->status = 0;
	r->spilled = r->body_gzip = r->accept_gzip = r->is_head = r->http10 = r->keep_alive = r->want_continue = false;
	r->encoded = r->gzipped = r->x.packed = false;
	r->reply_body = SLICE_NONE;
	r->stream_id = 0;
	r->next = home->free_requests;
	home->free_requests = r;
	home->free_request_count++;
}

static size_t
request_unsent(const struct request *r)
{
	if (r->state != REQUEST_REPLIED)
		return 0;
	return request_answer_len(r) - r->sent;
}

static void
request_unlink(struct request *r)
{
	struct conn *c = r->conn;
	size_t unsent = request_unsent(r);

	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		c->first = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	else
		c->last = r->prev;
	c->queued--;
	if (c->reading == r)
		c->reading = NULL;
	c->unsent -= unsent;
	if (unsent > 0)
		atomic_fetch_sub(&r->home->server->unsent_bytes, unsent);
	r->conn = NULL;
}

void
request_free(struct request *r)
{
	if (r->conn != NULL)
		request_unlink(r);
	loan_end(r);
	if (r->state == REQUEST_RUNNING)
		r->x.gone = true; /* the handler still owes its http_reply() */
	else if (!r->in_replied)
		request_recycle(r);
}

bool
request_count_body(struct request *r, size_t more)
{
	struct http_server *s = r->home->server;
	size_t limit = s->limits.body_bytes_total, total;

	r->body_counted += more;
	total = atomic_fetch_add(&s->body_bytes, more) + more;
	if (total <= limit)
		return true;
	/* the small ones go on until it is twice that: else a few large ones that come slowly would keep all others out
	 */
	return r->body_counted <= (limit / 64 < SMALL_BYTES ? limit / 64 : SMALL_BYTES) && total / 2 <= limit;
}

void
request_split_target(struct request *r)
{
	const char *mark = memchr(r->x.target.data, '?', r->x.target.len);

	r->x.path = r->x.target;
	if (mark != NULL) {
		r->x.path.len = (size_t)(mark - r->x.target.data);
		r->x.query = slice_of(mark + 1, r->x.target.len - r->x.path.len - 1);
	}
}

static bool
same_word(struct slice s, const char *lower, size_t len)
{
	if (s.len != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((s.data[i] >= 'A' && s.data[i] <= 'Z' ? s.data[i] | 0x20 : s.data[i]) != lower[i])
			return false;
	return true;
}
#define SAME_WORD(s, literal) same_word((s), (literal), sizeof(literal) - 1)

/* Does Accept-Encoding take gzip? "gzip;q=0" does not. */
static bool
accepts_gzip(struct slice value)
{
	while (value.len > 0) {
		const char *comma = memchr(value.data, ',', value.len);
		struct slice one = value, parameter = SLICE_NONE;
		const char *semicolon;

		if (comma != NULL)
			one.len = (size_t)(comma - value.data);
		value.data += one.len + (comma != NULL);
		value.len -= one.len + (comma != NULL);
		semicolon = memchr(one.data, ';', one.len);
		if (semicolon != NULL) {
			parameter =
			    slice_trimmed(slice_of(semicolon + 1, one.len - (size_t)(semicolon + 1 - one.data)));
			one.len = (size_t)(semicolon - one.data);
		}
		one = slice_trimmed(one);
		if (!SAME_WORD(one, "gzip") && !SAME_WORD(one, "x-gzip") && !SAME_WORD(one, "*"))
			continue;
		if (!slice_starts(parameter, SLICE("q=0")))
			return true;
		for (size_t i = 3; i < parameter.len; i++)
			if (parameter.data[i] >= '1' && parameter.data[i] <= '9')
				return true;
		return false;
	}
	return false;
}

/* A header field the server itself reads; false: it cannot be served, r->refusal says how. */
static bool
scan_header(struct request *r, struct slice name, struct slice value)
{
	switch (name.len) {
	case 6:
		if (slice_eq(name, SLICE("expect"))) {
			if (!SAME_WORD(value, "100-continue"))
				r->refusal = 417;
			r->want_continue = !r->http10;
		}
		break;
	case 15:
		if (slice_eq(name, SLICE("accept-encoding")))
			r->accept_gzip = accepts_gzip(value);
		break;
	case 16:
		if (slice_eq(name, SLICE("content-encoding"))) {
			if (SAME_WORD(value, "gzip") && !r->body_gzip)
				r->body_gzip = true;
			else if (!SAME_WORD(value, "identity") && value.len > 0)
				r->refusal = 415;
		}
		break;
	case 17:
		/* any other coding would leave open where the body ends */
		if (slice_eq(name, SLICE("transfer-encoding")) && !SAME_WORD(value, "chunked"))
			r->refusal = 501;
		break;
	default:
		break;
	}
	return r->refusal == 0;
}

void
request_scan_headers(struct request *r)
{
	for (size_t i = 0; i < r->x.header_count; i++)
		if (!scan_header(r, r->headers[i].name, r->headers[i].value))
			return;
}

void
request_refuse(struct request *r, int status)
{
	r->keep_alive = false;
	r->want_continue = false;
	if (r->conn->h2 == NULL) {
		r->conn->closing = true;
		r->conn->linger = true;
	}
	if (r->conn->reading == r)
		r->conn->reading = NULL;
	if (r->state != REQUEST_RUNNING)
		COUNT(r->home, in_progress, 1);
	r->state = REQUEST_RUNNING;
	r->out.len = 0;
	http_reply(&r->x, status, SLICE_NONE);
}

/* What a gzip member says about its unpacked size, in its last four bytes. */
static size_t
gzip_claims(struct slice packed)
{
	const unsigned char *end = (const unsigned char *)packed.data + packed.len;

	if (packed.len < 18)
		return 0;
	return end[-4] | (size_t)end[-3] << 8 | (size_t)end[-2] << 16 | (size_t)end[-1] << 24;
}

int
http_unpack(struct http_exchange *x)
{
	struct request *r = (struct request *)x;
	size_t max = r->home->server->limits.body_bytes;
	enum status s = gzip_unpack(x->raw_body, max, &r->unpacked, NULL);

	if (!request_count_body(r, r->unpacked.len))
		return 503;
	if (s != S_OK) /* a liar's bomb is damaged data: refused as well */
		return gzip_claims(x->raw_body) > max ? 413 : 400;
	x->packed = false;
	x->body = buf_slice(&r->unpacked);
	return 0;
}

void
http_refuse(struct http_exchange *x, int status)
{
	struct request *r = (struct request *)x;

	if (status == 413)
		COUNT(r->home, refused_body, 1);
	else if (status != 503)
		COUNT(r->home, refused_malformed, 1);
	else
		COUNT(r->home, refused_memory, 1);
	if (r->conn != NULL)
		request_refuse(r, status);
	else
		http_reply(x, status, SLICE_NONE);
}

/* What is small is unpacked here, what is not by the handler, where it may take its time. */
static void
unpack_small(struct request *r)
{
	if (gzip_claims(r->x.raw_body) <= UNPACK_INLINE_MAX && r->x.raw_body.len <= UNPACK_INLINE_MAX &&
	    gzip_unpack(r->x.raw_body, UNPACK_INLINE_MAX, &r->unpacked, NULL) == S_OK &&
	    request_count_body(r, r->unpacked.len)) {
		r->x.body = buf_slice(&r->unpacked);
		return;
	}
	r->unpacked.len = 0;
	r->x.packed = true;
}

void
request_dispatch(struct request *r)
{
	struct http_server *s = r->home->server;

	if (r->spilled)
		r->x.raw_body = buf_slice(&r->body);
	r->x.body = r->x.raw_body;
	if (r->body_gzip && r->x.raw_body.len > 0)
		unpack_small(r);
	r->want_continue = false;
	r->state = REQUEST_RUNNING;
	COUNT(r->home, in_progress, 1);
	s->options.handler(&r->x, s->options.context);
}

struct slice
http_encode(struct http_exchange *x)
{
	struct request *r = (struct request *)x;

	if (!r->encoded) {
		if (r->accept_gzip)
			request_settle(r);
		r->encoded = true;
		r->reply_body = buf_slice(&r->out);
		if (r->accept_gzip && r->out.len > GZIP_FROM_BYTES) {
			r->gzip_out.len = 0;
			gzip_put(&r->gzip_out, r->reply_body, 0);
			if (r->gzip_out.len < r->out.len) {
				r->gzipped = true;
				r->reply_body = buf_slice(&r->gzip_out);
			}
		}
	}
	return r->reply_body;
}

void
http_encode_again(struct http_exchange *x)
{
	struct request *r = (struct request *)x;

	r->encoded = r->gzipped = false;
}

/* What is queued goes on in the turns of whose it turned out to be. */
static void
set_flow(struct conn *c, struct job_flow flow)
{
	struct loop_job *jobs[] = {&c->read_job, &c->flush_job};

	if (c->read_job.flow.tenant == flow.tenant && c->read_job.flow.table == flow.table)
		return;
	for (int i = 0; i < 2; i++) {
		bool queued = jobs[i]->queued;

		loop_job_remove(c->home->loop, jobs[i]);
		jobs[i]->flow = flow;
		if (queued)
			loop_job_add(c->home->loop, jobs[i]);
	}
}

void
http_reply(struct http_exchange *x, int status, struct slice headers)
{
	struct request *r = (struct request *)x;
	struct http_loop *home = r->home;
	struct conn *c = r->conn;
	size_t unsent;

	http_encode(x);
	r->status = status;
	r->state = REQUEST_REPLIED;
	r->in_replied = true;
	r->replied_next = home->replied;
	home->replied = r;
	if (c == NULL)
		return; /* recycled when this turn ends */
	/* what is not sent now must not keep anything of others */
	if (c->h2 != NULL || c->ssl != NULL || c->first != r || !c->writable || r->is_head)
		request_settle(r);
	set_flow(c, x->flow);
	if (c->h2 != NULL) {
		http2_reply(r, headers);
	} else {
		if (home->draining) {
			r->keep_alive = false;
			c->closing = true;
		}
		http1_render(r, headers);
	}
	unsent = request_unsent(r);
	if (c->unsent == 0) {
		c->progress_ns = loop_now_ns(home->loop);
		c->moved = 0;
	}
	c->unsent += unsent;
	atomic_fetch_add_explicit(&home->server->unsent_bytes, unsent, memory_order_relaxed);
	conn_want_flush(c);
}
