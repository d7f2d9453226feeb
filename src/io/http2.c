/*
 * HTTP/2 by nghttp2: it frames, checks and compresses; here streams become requests and answers become frames.
 *
 * Back-pressure differs from HTTP/1.1: while the socket takes what we send reading never stops, as the window updates
 * that let answers out come the same way. Instead complete requests wait (REQUEST_WAITING) while too many answers are
 * unsent. Only when the socket is full reading stops, too: else who sends and never receives could have us queue
 * answers to frames without end.
 */
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "io/http_int.h"

#define STREAM_WINDOW     (1024 * 1024)
#define CONNECTION_WINDOW (4 * 1024 * 1024)
#define RECEIVE_BYTES     (16 * 1024)
#define TINY_WINDOW       16
#define REQUEST_BYTES     (8 * 1024)  /* what an incomplete request takes besides its headers and body */
#define FRAME_ROOM        (17 * 1024) /* a frame is at most 16 KiB and its head */

struct h2 {
	nghttp2_session *session;
	struct buf out; /* framed, not yet taken by the socket */
	size_t out_sent;
	int waiting;
	int resets, idle_frames; /* within the second from counted_since_ns */
	int64_t counted_since_ns;
	bool broken; /* send what is there (GOAWAY), then close */
};

static struct request *
stream_request(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

/* --- a request comes in --- */

static int
on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	struct conn *c = context;
	struct request *r;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	r = request_new(c);
	r->stream_id = frame->hd.stream_id;
	r->keep_alive = true;
	if (!request_count_body(r, REQUEST_BYTES))
		r->refusal = 503;
	nghttp2_session_set_stream_user_data(session, r->stream_id, r);
	return 0;
}

static void
add_header(struct request *r, struct slice name, struct slice value)
{
	if (r->x.header_count == HEADERS_MAX) {
		r->refusal = 431;
		return;
	}
	r->headers[r->x.header_count++] = (struct http_header){arena_dup(&r->arena, name), arena_dup(&r->arena, value)};
}

static void
pseudo_header(struct request *r, struct slice name, struct slice value)
{
	if (slice_eq(name, SLICE(":method")))
		r->x.method = arena_dup(&r->arena, value);
	else if (slice_eq(name, SLICE(":path")))
		r->x.target = arena_dup(&r->arena, value);
	else if (slice_eq(name, SLICE(":authority")))
		add_header(r, SLICE("host"), value);
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name_data, size_t name_len,
	  const uint8_t *value_data, size_t value_len, uint8_t flags, void *context)
{
	struct slice name = slice_of(name_data, name_len), value = slice_of(value_data, value_len);
	struct request *r = stream_request(session, frame->hd.stream_id);

	(void)flags;
	(void)context;
	if (r == NULL || r->state != REQUEST_READING || r->refusal != 0)
		return 0;
	r->header_bytes += name_len + value_len + 4;
	if (r->header_bytes > r->home->server->limits.header_bytes)
		r->refusal = 431;
	else if (!request_count_body(r, name_len + value_len))
		r->refusal = 503;
	else if (r->part == PART_BODY)
		return 0; /* trailers mean nothing here and cannot pose as headers */
	else if (name_len > 0 && name.data[0] == ':')
		pseudo_header(r, name, value);
	else if (!slice_eq(name, SLICE("host")) || http_header_get(&r->x, name).data == NULL)
		add_header(r, name, value);
	return 0;
}

static void
refuse(struct request *r)
{
	if (r->refusal == 431)
		COUNT(r->home, refused_headers, 1);
	else if (r->refusal == 413)
		COUNT(r->home, refused_body, 1);
	else if (r->refusal == 503)
		COUNT(r->home, refused_memory, 1);
	request_refuse(r, r->refusal);
}

static void
headers_end(struct request *r)
{
	static const nghttp2_nv go_on = {(uint8_t *)":status", (uint8_t *)"100", 7, 3, NGHTTP2_NV_FLAG_NONE};

	r->part = PART_BODY;
	if (r->refusal == 0 && r->x.target.len == 0)
		r->refusal = slice_eq(r->x.method, SLICE("CONNECT")) ? 405 : 400;
	if (r->refusal == 0) {
		request_split_target(r);
		r->is_head = slice_eq(r->x.method, SLICE("HEAD"));
		request_scan_headers(r);
	}
	if (r->refusal != 0)
		refuse(r);
	else if (r->want_continue)
		nghttp2_submit_headers(r->conn->h2->session, NGHTTP2_FLAG_NONE, r->stream_id, NULL, &go_on, 1, NULL);
}

static int
on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *context)
{
	struct request *r = stream_request(session, id);

	(void)flags;
	(void)context;
	if (r == NULL || r->state != REQUEST_READING)
		return 0;
	r->spilled = true;
	if (r->body.len + len > r->home->server->limits.body_bytes)
		r->refusal = 413;
	else if (!request_count_body(r, len))
		r->refusal = 503;
	if (r->refusal != 0)
		refuse(r);
	else
		buf_put(&r->body, data, len);
	return 0;
}

/* Frames that cost us work and bring no request further: some are normal, many are an attack. */
static void
count_useless(struct conn *c, bool reset)
{
	const struct http_limits *limits = &c->home->server->limits;
	struct h2 *h2 = c->h2;
	int64_t now = loop_now_ns(c->home->loop);

	if (now - h2->counted_since_ns > 1000000000) {
		h2->counted_since_ns = now;
		h2->resets = h2->idle_frames = 0;
	}
	h2->resets += reset;
	h2->idle_frames += !reset;
	if ((h2->resets <= limits->h2_resets_per_s && h2->idle_frames <= limits->h2_idle_frames_per_s) || h2->broken)
		return;
	COUNT(c->home, closed_resets, 1);
	h2->broken = true;
	nghttp2_session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static bool
is_useless(const nghttp2_frame *frame)
{
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		return false;
	case NGHTTP2_DATA:
		return frame->hd.length == 0 && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
	case NGHTTP2_WINDOW_UPDATE: /* normal behind each answer, but not to let out a few bytes of it */
		return frame->window_update.window_size_increment < TINY_WINDOW;
	default:
		return true;
	}
}

static int
on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	struct conn *c = context;
	struct request *r;

	if (frame->hd.type == NGHTTP2_RST_STREAM) {
		count_useless(c, true);
		return 0;
	}
	if (is_useless(frame))
		count_useless(c, false);
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	r = stream_request(session, frame->hd.stream_id);
	if (r == NULL || r->state != REQUEST_READING)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && r->part != PART_BODY)
		headers_end(r);
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM && r->state == REQUEST_READING) {
		r->state = REQUEST_WAITING;
		c->h2->waiting++;
		COUNT(c->home, requests_http2, 1);
	}
	return 0;
}

static int
on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *context)
{
	struct conn *c = context;
	struct request *r = stream_request(session, id);

	(void)error;
	if (r == NULL)
		return 0;
	nghttp2_session_set_stream_user_data(session, id, NULL);
	if (r->state == REQUEST_WAITING)
		c->h2->waiting--;
	request_free(r);
	return 0;
}

/* --- an answer goes out --- */

static ssize_t
read_body(nghttp2_session *session, int32_t id, uint8_t *ret, size_t len, uint32_t *flags, nghttp2_data_source *source,
	  void *context)
{
	struct request *r = source->ptr;
	size_t left = r->reply_body.len - r->sent;

	(void)session;
	(void)id;
	if (len > left)
		len = left;
	memcpy(ret, r->reply_body.data + r->sent, len);
	r->sent += len;
	conn_progress(context, len);
	if (len == left)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)len;
}

/* An answer given before the whole request came (a refusal): the client need not send the rest. */
static int
on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	/* a client can make us reset its streams as well as it can do it itself */
	if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
		count_useless(context, frame->rst_stream.error_code != NGHTTP2_REFUSED_STREAM);
	if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
	    frame->hd.flags & NGHTTP2_FLAG_END_STREAM &&
	    nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
	return 0;
}

static nghttp2_nv
name_value(struct slice name, struct slice value)
{
	return (nghttp2_nv){(uint8_t *)name.data, (uint8_t *)value.data, name.len, value.len, NGHTTP2_NV_FLAG_NONE};
}

/* "Name: value\r\n" ... as pairs. The names are made lower case in a copy. */
static size_t
split_headers(struct request *r, struct slice headers, nghttp2_nv *ret, size_t max)
{
	struct slice text = arena_dup(&r->arena, headers);
	char *at = (char *)text.data, *end = at + text.len;
	size_t count = 0;

	while (at < end && count < max) {
		char *line_end = memchr(at, '\r', (size_t)(end - at));
		char *colon = memchr(at, ':', (size_t)(end - at));
		char *value;

		if (line_end == NULL || colon == NULL || colon > line_end)
			break;
		for (char *p = at; p < colon; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p |= 0x20;
		for (value = colon + 1; value < line_end && *value == ' ';)
			value++;
		ret[count++] =
		    name_value(slice_of(at, (size_t)(colon - at)), slice_of(value, (size_t)(line_end - value)));
		at = line_end + 2;
	}
	return count;
}

void
http2_reply(struct request *r, struct slice headers)
{
	static const struct slice date_name = {"date", 4};
	nghttp2_data_provider body = {.source.ptr = r, .read_callback = read_body};
	struct slice date = http_loop_date(r->home);
	char status[16], length[24];
	nghttp2_nv pairs[40];
	size_t count = 0;

	r->head.len = 0;
	snprintf(status, sizeof status, "%d", r->status);
	snprintf(length, sizeof length, "%zu", r->reply_body.len);
	pairs[count++] = name_value(SLICE(":status"), slice_str(status));
	count += split_headers(r, headers, pairs + count, sizeof pairs / sizeof pairs[0] - 4);
	if (r->gzipped)
		pairs[count++] = name_value(SLICE("content-encoding"), SLICE("gzip"));
	if (r->status != 204 && r->status != 304)
		pairs[count++] = name_value(SLICE("content-length"), slice_str(length));
	date.data += sizeof "Date: " - 1;
	date.len -= sizeof "Date: \r\n" - 1;
	pairs[count++] = name_value(date_name, date);
	if (r->is_head || r->status == 204 || r->status == 304)
		r->reply_body = SLICE_NONE;
	nghttp2_submit_response(r->conn->h2->session, r->stream_id, pairs, count, r->reply_body.len > 0 ? &body : NULL);
}

/* --- the connection --- */

static nghttp2_session_callbacks *callbacks;

static void
make_callbacks(void)
{
	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		abort();
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}

static void
feed(struct conn *c, const char *data, size_t len)
{
	ssize_t n = nghttp2_session_mem_recv(c->h2->session, (const uint8_t *)data, len);

	if (n < 0) { /* what can be said to the client, nghttp2 has queued */
		c->h2->broken = true;
		COUNT(c->home, refused_malformed, 1);
	}
	conn_want_flush(c);
}

void
http2_begin(struct conn *c)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const struct http_limits *limits = &c->home->server->limits;
	nghttp2_settings_entry settings[] = {
	    {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)limits->h2_streams},
	    {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->header_bytes},
	    {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
	};
	nghttp2_option *option;

	pthread_once(&once, make_callbacks);
	c->h2 = calloc(1, sizeof *c->h2);
	if (c->h2 == NULL || nghttp2_option_new(&option) != 0)
		abort();
	nghttp2_option_set_no_closed_streams(option, 1);
	if (nghttp2_session_server_new2(&c->h2->session, callbacks, c, option) != 0)
		abort();
	nghttp2_option_del(option);
	nghttp2_submit_settings(c->h2->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof settings[0]);
	nghttp2_session_set_local_window_size(c->h2->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
	if (c->in != NULL) {
		struct block *b = c->in;

		c->in = NULL;
		c->parsed = 0;
		feed(c, b->data, b->len);
		block_release(c->home, b);
		http2_run_waiting(c);
	}
	conn_want_flush(c);
}

bool
http2_receive(struct conn *c)
{
	/* all frames in it are handled at once, so it is not much */
	ssize_t n = conn_recv(c, c->home->scratch, RECEIVE_BYTES);

	if (n == 0)
		c->eof = true;
	else if (n == -2)
		conn_close(c);
	if (n <= 0)
		return false;
	if (c->h2->broken)
		return true; /* thrown away; the flush closes */
	feed(c, c->home->scratch, (size_t)n);
	http2_run_waiting(c);
	return true;
}

void
http2_run_waiting(struct conn *c)
{
	struct request *r = c->first, *next;

	/* a handler only adds to the answers, it takes nothing out of the queue */
	for (; r != NULL && c->h2->waiting > 0 && c->unsent <= c->home->server->limits.unsent_bytes; r = next) {
		next = r->next;
		if (r->state != REQUEST_WAITING)
			continue;
		if (conn_spent(c)) {
			conn_again(c);
			return;
		}
		c->h2->waiting--;
		request_dispatch(r);
	}
}

bool
http2_owes(const struct conn *c)
{
	return c->h2->out.len > c->h2->out_sent;
}

/* False: the socket takes no more, or the connection is closed. */
static bool
send_framed(struct conn *c)
{
	struct h2 *h2 = c->h2;
	ssize_t n;

	while (h2->out_sent < h2->out.len) {
		n = conn_send(c, h2->out.data + h2->out_sent, h2->out.len - h2->out_sent);
		if (n == -2)
			conn_close(c);
		if (n < 0)
			return false;
		h2->out_sent += (size_t)n;
		conn_moved(c, (size_t)n);
	}
	h2->out.len = h2->out_sent = 0;
	return true;
}

void
http2_flush(struct conn *c)
{
	struct h2 *h2 = c->h2;

	for (;;) {
		const uint8_t *data;
		ssize_t n = 0;

		if (!send_framed(c))
			return;
		while (h2->out.len + FRAME_ROOM <= SCRATCH_BYTES) {
			n = nghttp2_session_mem_send(h2->session, &data);
			if (n <= 0)
				break;
			buf_put(&h2->out, data, (size_t)n);
		}
		if (n < 0)
			h2->broken = true;
		if (h2->out.len == 0)
			break;
		if (conn_spent(c)) {
			conn_want_flush(c);
			return;
		}
	}
	buf_done(&h2->out); /* a quiet connection holds no memory for output */
	if (h2->broken || (!nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session))) {
		conn_close(c);
		return;
	}
	if (c->first == NULL)
		c->idle_since_ns = loop_now_ns(c->home->loop);
	if (c->readable || (h2->waiting > 0 && c->unsent <= c->home->server->limits.unsent_bytes))
		conn_again(c);
}

void
http2_drain(struct conn *c)
{
	nghttp2_submit_goaway(c->h2->session, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(c->h2->session), NGHTTP2_NO_ERROR, NULL, 0);
	conn_want_flush(c);
}

void
http2_goodbye(struct conn *c)
{
	c->h2->broken = true;
	nghttp2_session_terminate_session(c->h2->session, NGHTTP2_NO_ERROR);
	conn_want_flush(c);
}

void
http2_end(struct conn *c)
{
	nghttp2_session_del(c->h2->session);
	buf_done(&c->h2->out);
	free(c->h2);
	c->h2 = NULL;
}
