/* HTTP/1.1: llhttp reads, in place where it can; answers leave in the order of their requests. */
#include <stdlib.h>

#include "io/http_int.h"

#define ROOM_BYTES  1024        /* a block with less left is not worth reading into */
#define COPY_BYTES  (32 * 1024) /* so much is put together for one send; more is sent from where it lies */
#define PARTS_MAX   64
#define PIECE_BYTES (128 * 1024) /* so much of one connection's answers is sent before the others have their turn */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
static const char continue_line[] = "HTTP/1.1 100 Continue\r\n\r\n";

/* --- the parser's callbacks --- */

static int
fail(struct request *r, int status)
{
	if (r->refusal == 0)
		r->refusal = status;
	return -1;
}

static bool
header_bytes_fit(struct request *r, size_t more)
{
	r->header_bytes += more;
	return r->header_bytes <= r->home->server->limits.header_bytes;
}

static int
on_url(llhttp_t *parser, const char *at, size_t len)
{
	struct request *r = ((struct conn *)parser->data)->reading;

	if (!header_bytes_fit(r, len))
		return fail(r, 431);
	if (r->x.target.data == NULL)
		r->x.target.data = at;
	r->x.target.len += len;
	return 0;
}

/* Eight letters of ASCII to lower case. */
static uint64_t
lower_eight(uint64_t eight)
{
	const uint64_t each = UINT64_C(0x0101010101010101);
	uint64_t low = eight & (each * 0x7f);
	/* the high bit: from 'A' on, and not beyond 'Z' */
	uint64_t upper = (low + each * (0x80 - 'A')) & ~(low + each * (0x7f - 'Z')) & ~eight & (each * 0x80);

	return eight | upper >> 2;
}

static inline uint64_t
load(const char *at, size_t bytes)
{
	uint64_t value = 0;

	memcpy(&value, at, bytes);
	return value;
}

/* In place. The last step overlaps the one before it, and is loaded first: to load what was just stored would wait. */
static void
lower(char *at, size_t len)
{
	char *end = at + len;
	uint64_t first, last;

	if (len >= 8) {
		last = lower_eight(load(end - 8, 8));
		for (; at < end - 8; at += 8) {
			first = lower_eight(load(at, 8));
			memcpy(at, &first, 8);
		}
		memcpy(end - 8, &last, 8);
	} else if (len >= 4) {
		first = lower_eight(load(at, 4));
		last = lower_eight(load(end - 4, 4));
		memcpy(at, &first, 4);
		memcpy(end - 4, &last, 4);
	} else {
		for (; at < end; at++)
			*at = (char)lower_eight((unsigned char)*at);
	}
}

static int
on_header_field(llhttp_t *parser, const char *at, size_t len)
{
	struct request *r = ((struct conn *)parser->data)->reading;
	struct http_header *h = &r->headers[r->x.header_count];

	if (!header_bytes_fit(r, len + 4)) /* with ": " and CRLF */
		return fail(r, 431);
	if (r->part == PART_BODY)
		return 0;       /* trailers mean nothing here and cannot pose as headers */
	lower((char *)at, len); /* the block is ours */
	if (r->part == PART_NAME && at == h[-1].name.data + h[-1].name.len) {
		h[-1].name.len += len;
		h[-1].value.data += len;
		return 0;
	}
	if (r->x.header_count == HEADERS_MAX)
		return fail(r, 431);
	r->part = PART_NAME;
	r->x.header_count++;
	h->name = slice_of(at, len);
	h->value = slice_of(at + len, 0);
	return 0;
}

static int
on_header_value(llhttp_t *parser, const char *at, size_t len)
{
	struct request *r = ((struct conn *)parser->data)->reading;
	struct http_header *h;
	size_t gap;

	if (!header_bytes_fit(r, len))
		return fail(r, 431);
	if (r->part == PART_BODY)
		return 0;
	if (r->x.header_count == 0)
		return fail(r, 400);
	h = &r->headers[r->x.header_count - 1];
	gap = (size_t)(at - h->name.data) - h->name.len; /* ": ": less than a fold takes */
	if (r->part == PART_NAME && len > 0 && gap > 2 && memchr(h->name.data + h->name.len, '\n', gap))
		return fail(r, 400); /* likewise, folded before its first word */
	if (r->part == PART_NAME)
		h->value = slice_of(at, len);
	else if (at == h->value.data + h->value.len)
		h->value.len += len;
	else
		return fail(r, 400); /* a folded line: obsolete, and read differently by different servers */
	r->part = PART_VALUE;
	return 0;
}

/* The rest of the body does not follow behind what is in the block: collect it in r->body. */
static void
spill(struct request *r)
{
	(void)request_count_body(r, r->x.raw_body.len); /* a block at most; on_body() looks at the total */
	buf_put_slice(&r->body, r->x.raw_body);
	r->x.raw_body = SLICE_NONE;
	r->spilled = true;
}

static bool
headers_fit_together(struct request *r, const llhttp_t *parser)
{
	int hosts = 0;

	for (size_t i = 0; i < r->x.header_count; i++) {
		struct http_header *h = &r->headers[i];

		if (h->name.len == 0)
			return false;

		while (h->value.len > 0 &&
		       (h->value.data[h->value.len - 1] == ' ' || h->value.data[h->value.len - 1] == '\t'))
			h->value.len--;
		hosts += slice_eq(h->name, SLICE("host"));
	}
	if (hosts > 1 || (hosts == 0 && !r->http10))
		return false;
	/* two ways to say where the body ends, or one that HTTP/1.0 does not know: someone before us may see it
	 * otherwise */
	if (parser->flags & F_TRANSFER_ENCODING && (parser->flags & F_CONTENT_LENGTH || r->http10))
		return false;
	return true;
}

static int
on_headers_complete(llhttp_t *parser)
{
	struct request *r = ((struct conn *)parser->data)->reading;
	const struct http_limits *limits = &r->home->server->limits;

	r->part = PART_BODY;
	parser->upgrade = 0; /* we may stay with HTTP/1.1 */
	if (parser->http_major != 1 || parser->http_minor > 1)
		return fail(r, 505);
	r->http10 = parser->http_minor == 0;
	r->x.method = slice_str(llhttp_method_name(parser->method));
	r->is_head = parser->method == HTTP_HEAD;
	if (parser->method == HTTP_CONNECT)
		return fail(r, 405);
	if (!headers_fit_together(r, parser))
		return fail(r, 400);
	request_split_target(r);
	request_scan_headers(r);
	if (r->refusal != 0)
		return -1;
	if (parser->flags & F_CONTENT_LENGTH) {
		if (parser->content_length > limits->body_bytes)
			return fail(r, 413);
		if (parser->content_length == 0)
			r->want_continue = false;
	} else if (!(parser->flags & F_CHUNKED)) {
		r->want_continue = false;
	}
	return 0;
}

static int
on_body(llhttp_t *parser, const char *at, size_t len)
{
	struct request *r = ((struct conn *)parser->data)->reading;

	r->want_continue = false;
	if (r->x.raw_body.len + r->body.len + len > r->home->server->limits.body_bytes)
		return fail(r, 413);
	if (!r->spilled) {
		if (r->x.raw_body.data == NULL)
			r->x.raw_body.data = at;
		if (at == r->x.raw_body.data + r->x.raw_body.len) {
			r->x.raw_body.len += len;
			return 0;
		}
		spill(r);
	}
	if (!request_count_body(r, len))
		return fail(r, 503);
	buf_put(&r->body, at, len);
	return 0;
}

static int
on_message_complete(llhttp_t *parser)
{
	struct request *r = ((struct conn *)parser->data)->reading;

	r->keep_alive = llhttp_should_keep_alive(parser);
	return HPE_PAUSED; /* one request at a time */
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* --- feeding it --- */

#ifdef STATOR_LLHTTP_SSE42
int llhttp__internal_execute_sse42(llhttp__internal_t *parser, const char *at, const char *end);
#endif

/* llhttp's scan of header values by 16 bytes is chosen when it is compiled: it is there twice, see CMakeLists.txt. */
static llhttp_errno_t
execute(llhttp_t *parser, const char *at, size_t len)
{
#ifdef STATOR_LLHTTP_SSE42
	if (__builtin_cpu_supports("sse4.2"))
		return llhttp__internal_execute_sse42(parser, at, at + len);
#endif
	return llhttp_execute(parser, at, len);
}

static bool
may_begin(const struct conn *c)
{
	const struct http_limits *limits = &c->home->server->limits;

	return !c->closing && c->queued < limits->pipelined && c->unsent <= limits->unsent_bytes;
}

static void
begin(struct conn *c)
{
	struct request *r = request_new(c);

	r->block = c->in;
	r->block->refs++;
	r->start = c->parsed;
	c->reading = r;
	llhttp_init(&c->parser, HTTP_REQUEST, &settings);
	c->parser.data = c;
}

static void
refuse(struct conn *c, llhttp_errno_t error)
{
	struct request *r = c->reading;
	int status = r->refusal;

	if (status == 0)
		status = error == HPE_INVALID_VERSION ? 505 : 400;
	switch (status) {
	case 413:
		COUNT(c->home, refused_body, 1);
		break;
	case 431:
		COUNT(c->home, refused_headers, 1);
		break;
	case 503:
		COUNT(c->home, refused_memory, 1);
		break;
	default:
		COUNT(c->home, refused_malformed, 1);
		break;
	}
	request_refuse(r, status);
}

/* Parse data[*at..len); stops behind a complete request. False: nothing more to parse on this connection for now. */
static bool
parse(struct conn *c, char *data, size_t *at, size_t len)
{
	struct request *r;
	llhttp_errno_t error;

	if (c->reading == NULL) {
		if (!may_begin(c))
			return false;
		begin(c);
	}
	r = c->reading;
	error = execute(&c->parser, data + *at, len - *at);
	if (error == HPE_PAUSED) {
		*at = (size_t)(llhttp_get_error_pos(&c->parser) - data);
		c->reading = NULL;
		if (!r->keep_alive) {
			c->closing = true;
			c->linger = *at < len;
		}
		COUNT(c->home, requests_http1, 1);
		request_dispatch(r);
		return true;
	}
	*at = len;
	if (error != HPE_OK) {
		refuse(c, error);
		return false;
	}
	if (r->want_continue && r->part == PART_BODY)
		conn_want_flush(c);
	return true;
}

/* The connection preface of HTTP/2 decides the protocol of a connection. False: not decided yet. */
static bool
protocol_known(struct conn *c)
{
	size_t len = c->in->len < sizeof preface - 1 ? c->in->len : sizeof preface - 1;

	if (memcmp(c->in->data, preface, len) != 0) {
		c->protocol = PROTOCOL_HTTP1;
		return true;
	}
	if (len < sizeof preface - 1)
		return false;
	c->protocol = PROTOCOL_HTTP2;
	return true;
}

void
http1_feed(struct conn *c)
{
	if (c->protocol == PROTOCOL_UNKNOWN && !protocol_known(c))
		return;
	if (c->protocol == PROTOCOL_HTTP2) {
		http2_begin(c);
		return;
	}
	while (c->parsed < c->in->len) {
		if (!parse(c, c->in->data, &c->parsed, c->in->len))
			break;
		if (c->parsed < c->in->len && conn_spent(c)) {
			conn_again(c);
			break;
		}
	}
	if (c->parsed == c->in->len && c->reading == NULL) {
		block_release(c->home, c->in); /* requests within have their own hold on it */
		c->in = NULL;
		c->parsed = 0;
	}
}

/* Another block for the head of a request that outgrew its own; its slices move along. */
static void
move_to_larger_block(struct conn *c)
{
	struct request *r = c->reading;
	size_t len = c->in->len - r->start;
	struct block *b = block_new(c->home, len * 2);
	const char *old = c->in->data + r->start;

	memcpy(b->data, old, len);
	b->len = len;
	if (r->x.target.data != NULL)
		r->x.target.data = b->data + (r->x.target.data - old);
	for (size_t i = 0; i < r->x.header_count; i++) {
		r->headers[i].name.data = b->data + (r->headers[i].name.data - old);
		r->headers[i].value.data = b->data + (r->headers[i].value.data - old);
	}
	block_release(c->home, r->block);
	block_release(c->home, c->in);
	c->in = b;
	b->refs++;
	r->block = b;
	r->start = 0;
	c->parsed = len;
}

enum room { ROOM_BLOCK, ROOM_SCRATCH, ROOM_NONE };

/* Where to read to: c->in, or the loop's scratch memory for a body that is collected elsewhere. */
static enum room
make_room(struct conn *c)
{
	struct request *r = c->reading;
	size_t left;

	if (c->in == NULL) {
		c->in = block_new(c->home, BLOCK_BYTES);
		c->parsed = 0;
	}
	left = c->in->cap - c->in->len;
	if (r == NULL || (r->part != PART_BODY && left >= ROOM_BYTES))
		return ROOM_BLOCK;
	if (r->part == PART_BODY) {
		bool fits = left >= ROOM_BYTES;

		if (c->parser.flags & F_CONTENT_LENGTH)
			fits = c->parser.content_length <= left;
		if (fits && !r->spilled)
			return ROOM_BLOCK;
		if (!r->spilled)
			spill(r);
		return ROOM_SCRATCH;
	}
	/* blanks are not in header_bytes */
	if (c->in->len - r->start > c->home->server->limits.header_bytes + BLOCK_BYTES) {
		r->refusal = 431;
		refuse(c, HPE_OK);
		return ROOM_NONE;
	}
	if (!request_count_body(r, c->in->len - r->start)) {
		r->refusal = 503;
		refuse(c, HPE_OK);
		return ROOM_NONE;
	}
	move_to_larger_block(c);
	return ROOM_BLOCK;
}

static ssize_t
receive_block(struct conn *c)
{
	struct block *b = c->in;
	ssize_t n = conn_recv(c, b->data + b->len, b->cap - b->len);

	if (n > 0) {
		b->len += (size_t)n;
		http1_feed(c);
	} else if (b->len == 0) {
		block_release(c->home, b);
		c->in = NULL;
	}
	return n;
}

/* What follows the body goes to a block of its own. */
static ssize_t
receive_body(struct conn *c)
{
	char *data = c->home->scratch;
	size_t at = 0;
	ssize_t n = conn_recv(c, data, SCRATCH_BYTES);

	if (n <= 0)
		return n;
	parse(c, data, &at, (size_t)n);
	if (c->reading != NULL)
		return n;
	block_release(c->home, c->in); /* the request that ended here has its own hold on it */
	c->in = NULL;
	c->parsed = 0;
	if (at < (size_t)n && !c->closing) {
		c->in = block_new(c->home, (size_t)n - at);
		c->in->len = (size_t)n - at;
		memcpy(c->in->data, data + at, c->in->len);
		http1_feed(c);
	}
	return n;
}

bool
http1_receive(struct conn *c)
{
	ssize_t n;

	if (c->in != NULL && c->parsed < c->in->len && c->protocol == PROTOCOL_HTTP1)
		return false; /* requests that may not begin yet */
	switch (make_room(c)) {
	case ROOM_BLOCK:
		n = receive_block(c);
		break;
	case ROOM_SCRATCH:
		n = receive_body(c);
		break;
	default:
		return false;
	}
	if (n == 0)
		c->eof = true;
	else if (n == -2)
		conn_close(c);
	return n > 0;
}

/* --- answers --- */

static char *
put_number(char *at, uint64_t value)
{
	char digits[20];
	int count = 0;

	do
		digits[count++] = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	while (count > 0)
		*at++ = digits[--count];
	return at;
}

#define PUT(at, literal) (memcpy((at), (literal), sizeof(literal) - 1), (at) + sizeof(literal) - 1)

void
http1_render(struct request *r, struct slice headers)
{
	struct slice date = http_loop_date(r->home);
	struct slice text = slice_str(http_status_text(r->status));
	char *at;

	r->head.len = 0;
	buf_reserve(&r->head, headers.len + 256);
	at = PUT(r->head.data, "HTTP/1.1 ");
	at = put_number(at, (uint64_t)r->status);
	*at++ = ' ';
	at = (char *)memcpy(at, text.data, text.len) + text.len;
	at = PUT(at, "\r\n");
	if (headers.len > 0)
		at = (char *)memcpy(at, headers.data, headers.len) + headers.len;
	if (r->gzipped)
		at = PUT(at, "Content-Encoding: gzip\r\n");
	if (r->status != 204 && r->status != 304) {
		at = PUT(at, "Content-Length: ");
		at = put_number(at, r->reply_body.len + r->loan.len);
		at = PUT(at, "\r\n");
	}
	at = (char *)memcpy(at, date.data, date.len) + date.len;
	if (!r->keep_alive)
		at = PUT(at, "Connection: close\r\n");
	else if (r->http10)
		at = PUT(at, "Connection: keep-alive\r\n");
	at = PUT(at, "\r\n");
	r->head.len = (size_t)(at - r->head.data);
	if (r->is_head || r->status == 204 || r->status == 304)
		r->reply_body = SLICE_NONE;
}

struct gather {
	struct iovec parts[PARTS_MAX];
	int count;
	size_t bytes;
};

static void
gather_part(struct gather *g, struct slice s, size_t *skip)
{
	size_t skipped = *skip < s.len ? *skip : s.len;

	*skip -= skipped;
	if (s.len == skipped)
		return;
	g->parts[g->count++] = (struct iovec){(char *)s.data + skipped, s.len - skipped};
	g->bytes += s.len - skipped;
}

static void
gather_body(struct gather *g, const struct request *r, size_t *skip)
{
	struct slice body = r->reply_body;
	size_t at = r->loan.len > 0 ? r->loan.at : body.len;

	gather_part(g, slice_of(body.data, at), skip);
	if (r->loan.len == 0)
		return;
	for (size_t i = 0; i < r->loan.count; i++)
		gather_part(g, r->loan.runs[i], skip);
	gather_part(g, slice_of(body.data + at, body.len - at), skip);
}

/* What may be sent now: the answers up to the first request without one. */
static void
gather(const struct conn *c, struct gather *g)
{
	g->count = 0;
	g->bytes = 0;
	/* the first may have a loan: its two ends and what it is made of */
	for (const struct request *r = c->first; r != NULL && g->count + 2 <= PARTS_MAX; r = r->next) {
		size_t skip = r->sent;

		if (r->state == REQUEST_REPLIED) {
			gather_part(g, buf_slice(&r->head), &skip);
			gather_body(g, r, &skip);
			continue;
		}
		if (r->state == REQUEST_READING && r->want_continue && r->part == PART_BODY)
			gather_part(g, SLICE(continue_line), &skip);
		return;
	}
}

static void
cut(struct gather *g, size_t bytes)
{
	size_t left = bytes;
	int i = 0;

	if (g->bytes <= bytes)
		return;
	for (; left > g->parts[i].iov_len; i++)
		left -= g->parts[i].iov_len;
	g->parts[i].iov_len = left;
	g->count = i + 1;
	g->bytes = bytes;
}

static ssize_t
send_gathered(struct conn *c, struct gather *g)
{
	char *copy = c->home->out_scratch;
	size_t len = 0;

	if (g->count == 1)
		return conn_send(c, g->parts[0].iov_base, g->parts[0].iov_len);
	if (g->bytes > COPY_BYTES && c->ssl == NULL)
		return conn_sendv(c, g->parts, g->count);
	for (int i = 0; i < g->count && len < SCRATCH_BYTES; i++) {
		size_t part = g->parts[i].iov_len;

		if (part > SCRATCH_BYTES - len)
			part = SCRATCH_BYTES - len;
		memcpy(copy + len, g->parts[i].iov_base, part);
		len += part;
	}
	return conn_send(c, copy, len);
}

/* `bytes` of what was gathered are out. */
static void
advance(struct conn *c, size_t bytes)
{
	while (bytes > 0) {
		struct request *r = c->first;
		size_t left = sizeof continue_line - 1 - r->sent;

		if (r->state == REQUEST_REPLIED)
			left = request_answer_len(r) - r->sent;
		if (left > bytes)
			left = bytes;
		r->sent += left;
		bytes -= left;
		if (r->state != REQUEST_REPLIED) {
			if (r->sent == sizeof continue_line - 1) {
				r->want_continue = false;
				r->sent = 0;
			}
			continue;
		}
		conn_progress(c, left);
		if (r->sent < request_answer_len(r))
			continue;
		if (!r->keep_alive)
			c->closing = true;
		request_free(r);
	}
}

/* Its client did not take it all at once. */
static void
settle_first(struct conn *c)
{
	if (c->first != NULL)
		request_settle(c->first);
}

void
http1_flush(struct conn *c)
{
	size_t left = PIECE_BYTES; /* of the connection's turn, however many sends its client takes them in */
	struct gather g;

	while (gather(c, &g), g.count > 0) {
		ssize_t n;

		cut(&g, left);
		n = send_gathered(c, &g);
		if (n == -2)
			conn_close(c);
		else if (n == -1)
			settle_first(c);
		if (n < 0)
			return;
		advance(c, (size_t)n);
		left -= (size_t)n;
		if (left == 0 && c->first != NULL) {
			conn_want_flush(c); /* what is lent stays so: its client takes it as fast as it may have it */
			return;
		}
		settle_first(c);
		if (c->first != NULL && conn_spent(c)) {
			conn_want_flush(c);
			return;
		}
	}
	conn_after_answers(c);
}
