#include <nghttp2/nghttp2.h>

#include "kit.h"

/* A client by nghttp2 over a blocking socket. */
#define STREAMS_MAX 4096

struct stream {
	int status, continues;
	bool closed;
	uint32_t error;
	struct buf body;
	char content_encoding[16], content_type[64];
	struct slice upload; /* still to be sent */
};

struct client {
	int fd;
	nghttp2_session *session;
	struct stream streams[STREAMS_MAX]; /* by number: (id - 1) / 2 */
	bool goaway, closed;
	uint32_t goaway_error;
	bool hold_window; /* take no data beyond the first window */
};

static struct stream *
stream_of(struct client *c, int32_t id)
{
	return &c->streams[(id - 1) / 2];
}

static ssize_t
on_send(nghttp2_session *session, const uint8_t *data, size_t len, int flags, void *context)
{
	struct client *c = context;

	(void)session;
	(void)flags;
	return client_send(c->fd, data, len) ? (ssize_t)len : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
	  const uint8_t *value, size_t value_len, uint8_t flags, void *context)
{
	struct stream *s = stream_of(context, frame->hd.stream_id);
	struct slice n = slice_of(name, name_len);

	(void)session;
	(void)flags;
	if (slice_eq(n, SLICE(":status"))) {
		int status = atoi((const char *)value);

		if (status == 100)
			s->continues++;
		else
			s->status = status;
	} else if (slice_eq(n, SLICE("content-encoding"))) {
		snprintf(s->content_encoding, sizeof s->content_encoding, "%.*s", (int)value_len, value);
	} else if (slice_eq(n, SLICE("content-type"))) {
		snprintf(s->content_type, sizeof s->content_type, "%.*s", (int)value_len, value);
	}
	return 0;
}

static int
on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *context)
{
	struct client *c = context;

	(void)session;
	(void)flags;
	buf_put(&stream_of(c, id)->body, data, len);
	if (!c->hold_window)
		nghttp2_session_consume(session, id, len);
	return 0;
}

static int
on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	struct client *c = context;

	(void)session;
	if (frame->hd.type == NGHTTP2_GOAWAY) {
		c->goaway = true;
		c->goaway_error = frame->goaway.error_code;
	}
	return 0;
}

static int
on_close(nghttp2_session *session, int32_t id, uint32_t error, void *context)
{
	struct stream *s = stream_of(context, id);

	(void)session;
	s->closed = true;
	s->error = error;
	return 0;
}

static ssize_t
upload(nghttp2_session *session, int32_t id, uint8_t *ret, size_t len, uint32_t *flags, nghttp2_data_source *source,
       void *context)
{
	struct stream *s = stream_of(context, id);

	(void)session;
	(void)source;
	if (len > s->upload.len)
		len = s->upload.len;
	memcpy(ret, s->upload.data, len);
	s->upload = slice_of(s->upload.data + len, s->upload.len - len);
	if (s->upload.len == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)len;
}

static struct client *
client_new(struct kit *k)
{
	struct client *c = calloc(1, sizeof *c);
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;

	c->fd = client_connect(k);
	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_option_new(&option);
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_peer_max_concurrent_streams(option, 1000);
	nghttp2_session_client_new2(&c->session, callbacks, c, option);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
	return c;
}

static void
client_done(struct client *c)
{
	for (int i = 0; i < STREAMS_MAX; i++)
		buf_done(&c->streams[i].body);
	nghttp2_session_del(c->session);
	close(c->fd);
	free(c);
}

#define NV(name, value) ((nghttp2_nv){(uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), 0})

static struct stream *
ask(struct client *c, const char *method, const char *path, struct slice body, const char *extra_name,
    const char *extra_value)
{
	nghttp2_nv nv[] = {NV(":method", method), NV(":scheme", "http"), NV(":authority", "localhost"),
			   NV(":path", path), NV(extra_name ? extra_name : "accept", extra_name ? extra_value : "*/*")};
	nghttp2_data_provider provider = {.read_callback = upload};
	int32_t id = nghttp2_session_get_next_stream_id(c->session);

	stream_of(c, id)->upload = body;
	assert_int_equal(nghttp2_submit_request(c->session, NULL, nv, 5, body.data != NULL ? &provider : NULL, NULL),
			 id);
	return stream_of(c, id);
}

/* Send what is to be sent and read once. False: nothing came within wait_ms, or the end. */
static bool
turn(struct client *c, int wait_ms)
{
	struct buf in = {0};
	bool more;

	if (nghttp2_session_send(c->session) != 0)
		c->closed = true;
	more = client_more(c->fd, &in, wait_ms);
	if (more && nghttp2_session_mem_recv(c->session, (uint8_t *)in.data, in.len) < 0)
		fail_msg("the server's frames make no sense");
	if (!more) {
		struct pollfd p = {.fd = c->fd, .events = POLLIN};

		c->closed |= poll(&p, 1, 0) == 1;
	}
	buf_done(&in);
	return more;
}

static void
run_until_closed(struct client *c, struct stream *s)
{
	while (!s->closed && turn(c, KIT_PATIENCE_MS))
		;
	if (!s->closed)
		fail_msg("a stream was not answered");
	if (s->body.data != NULL)
		buf_put_byte(&s->body, 0);
}

static void
requests_are_answered(void **state)
{
	struct client *c = client_new(*state);
	struct stream *hello = ask(c, "GET", "/", SLICE_NONE, NULL, NULL);
	struct stream *echo = ask(c, "POST", "/echo", SLICE("some body"), NULL, NULL);
	struct stream *headers = ask(c, "POST", "/headers?q=1", SLICE("x"), "x-thing", "a thing");
	struct stream *head = ask(c, "HEAD", "/big?100", SLICE_NONE, NULL, NULL);

	run_until_closed(c, hello);
	run_until_closed(c, echo);
	run_until_closed(c, headers);
	run_until_closed(c, head);
	assert_int_equal(hello->status, 200);
	assert_string_equal(hello->body.data, "hello");
	assert_string_equal(hello->content_type, "text/plain");
	assert_string_equal(echo->body.data, "some body");
	assert_string_equal(headers->body.data, "POST /headers?q=1\nhost=localhost\nx-thing=a thing\n");
	assert_int_equal(head->status, 200);
	assert_int_equal(head->body.len, 0);
	client_done(c);
	kit_expect_metric(*state, "stator_http_in_progress", 0);
	assert_int_equal(kit_metric(*state, "stator_http_requests_total{protocol=\"http2\"}"), 4);
}

static void
answers_leave_as_they_are_ready(void **state)
{
	struct client *c = client_new(*state);
	struct stream *slow = ask(c, "GET", "/held", SLICE_NONE, NULL, NULL);
	struct stream *fast = ask(c, "GET", "/", SLICE_NONE, NULL, NULL);

	kit_holds = true;
	run_until_closed(c, fast);
	assert_false(slow->closed);
	kit_holds = false;
	run_until_closed(c, slow);
	assert_string_equal(slow->body.data, "held");
	client_done(c);
}

static void
large_bodies_go_both_ways_through_the_windows(void **state)
{
	struct client *c = client_new(*state);
	struct buf body = {0};
	struct stream *s[3];

	for (int i = 0; i < 3000000; i++)
		buf_put_byte(&body, (uint8_t)('a' + i % 23));
	for (int i = 0; i < 3; i++)
		s[i] = ask(c, "POST", "/echo", buf_slice(&body), NULL, NULL);
	for (int i = 0; i < 3; i++) {
		run_until_closed(c, s[i]);
		assert_int_equal(s[i]->body.len, body.len + 1);
		assert_memory_equal(s[i]->body.data, body.data, body.len);
	}
	client_done(c);
	buf_done(&body);
	kit_expect_metric(*state, "stator_http_body_bytes", 0);
	kit_expect_metric(*state, "stator_http_unsent_bytes", 0);
}

static void
hundreds_of_streams_are_answered(void **state)
{
	struct client *c = client_new(*state);
	struct stream *s[500];

	turn(c, KIT_PATIENCE_MS); /* the server's settings */
	for (int i = 0; i < 500; i++)
		s[i] = ask(c, "GET", i % 3 ? "/" : "/later?2", SLICE_NONE, NULL, NULL);
	for (int i = 0; i < 500; i++) {
		run_until_closed(c, s[i]);
		assert_int_equal(s[i]->status, 200);
	}
	client_done(c);
}

static void
gzip_answers_and_100_continue(void **state)
{
	struct client *c = client_new(*state);
	struct stream *big = ask(c, "GET", "/big?50000", SLICE_NONE, "accept-encoding", "gzip");
	struct stream *invited = ask(c, "POST", "/echo", SLICE("hi"), "expect", "100-continue");

	run_until_closed(c, big);
	run_until_closed(c, invited);
	assert_string_equal(big->content_encoding, "gzip");
	assert_true(big->body.len < 5000);
	assert_int_equal(invited->continues, 1);
	assert_int_equal(invited->status, 200);
	client_done(c);
}

static void
what_is_too_large_is_refused_and_the_connection_goes_on(void **state)
{
	struct client *c = client_new(*state);
	struct buf long_value = {0}, body = {0};
	struct stream *headers, *large, *fine;

	buf_printf(&long_value, "%0*d", 40000, 1);
	buf_put_byte(&long_value, 0);
	buf_reserve(&body, 20 << 20);
	memset(body.data, 'x', 20 << 20);
	body.len = 20 << 20;
	headers = ask(c, "GET", "/", SLICE_NONE, "x-long", long_value.data);
	run_until_closed(c, headers);
	assert_int_equal(headers->status, 431);
	large = ask(c, "POST", "/echo", buf_slice(&body), NULL, NULL);
	run_until_closed(c, large);
	assert_int_equal(large->status, 413);
	fine = ask(c, "GET", "/", SLICE_NONE, NULL, NULL);
	run_until_closed(c, fine);
	assert_int_equal(fine->status, 200);
	client_done(c);
	buf_done(&long_value);
	buf_done(&body);
	kit_expect_metric(*state, "stator_http_body_bytes", 0);
}

static void
rapid_resets_end_the_connection(void **state)
{
	struct client *c = client_new(*state);
	int asked = 0;

	turn(c, KIT_PATIENCE_MS);
	while (!c->goaway && !c->closed && asked < 4000) {
		for (int i = 0; i < 50; i++, asked++) {
			int32_t id = nghttp2_session_get_next_stream_id(c->session);

			ask(c, "GET", "/later?1000", SLICE_NONE, NULL, NULL);
			nghttp2_session_send(c->session);
			nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
		}
		turn(c, 1);
	}
	while (!c->goaway && turn(c, KIT_PATIENCE_MS))
		;
	assert_true(c->goaway);
	assert_int_equal(c->goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
	kit_expect_metric(*state, "stator_http_closed_total{reason=\"stream_resets\"}", 1);
	client_done(c);
	kit_expect_metric(*state, "stator_http_connections", 0);
	kit_expect_metric(*state, "stator_http_in_progress", 0); /* those cancelled were answered into the void */
}

/* A client that opens no window: requests wait instead of piling up answers. */
static void
unread_answers_hold_back_further_requests(void **state)
{
	struct kit k = kit_options();
	struct client *c;

	(void)state;
	for (int cut = 0; cut < 2; cut++) { /* held back as long as that lasts; then cut off */
		k.options.limits.write_ms = cut ? 600 : http_limits_default.write_ms;
		kit_start(&k);
		c = client_new(&k);
		c->hold_window = true;
		turn(c, KIT_PATIENCE_MS);
		for (int i = 0; i < 90; i++)
			ask(c, "GET", "/big?500000", SLICE_NONE, NULL, NULL);
		turn(c, 20);
		if (cut) {
			kit_expect_metric(&k, "stator_http_closed_total{reason=\"answers_not_read\"}", 1);
			kit_expect_metric(&k, "stator_http_unsent_bytes", 0);
		} else {
			for (int i = 0; i < KIT_PATIENCE_MS && kit_metric(&k, "stator_http_unsent_bytes") == 0; i++)
				turn(c, 1);
			for (int i = 0; i < 10; i++) {
				assert_in_range(kit_metric(&k, "stator_http_unsent_bytes"), 1, 2000000);
				turn(c, 20);
			}
		}
		client_done(c);
		kit_stop(&k);
	}
}

/* The socket is writable all the time, but nothing can be sent. */
static void
who_opens_no_window_is_cut_off_when_all_leave_too_much(void **state)
{
	struct kit k = kit_options();
	struct client *c;

	(void)state;
	k.options.limits.unsent_bytes = 100000;
	k.options.limits.unsent_bytes_total = 300000;
	k.options.limits.write_ms = 10 * KIT_PATIENCE_MS;
	kit_start(&k);
	c = client_new(&k);
	c->hold_window = true;
	turn(c, KIT_PATIENCE_MS);
	ask(c, "GET", "/big?500000", SLICE_NONE, NULL, NULL); /* not twice the limit: then nobody is spared */
	for (int i = 0; i < KIT_PATIENCE_MS && !c->closed; i++)
		turn(c, 1);
	assert_true(c->closed);
	kit_expect_metric(&k, "stator_http_closed_total{reason=\"answers_not_read\"}", 1);
	kit_expect_metric(&k, "stator_http_unsent_bytes", 0);
	client_done(c);
	kit_stop(&k);
}

static void
a_slow_stream_gives_408_and_the_others_go_on(void **state)
{
	struct kit k = kit_options();
	nghttp2_nv nv[] = {NV(":method", "POST"), NV(":scheme", "http"), NV(":authority", "localhost"),
			   NV(":path", "/echo")};
	struct client *c;
	struct stream *slow, *fine;
	int32_t id;

	(void)state;
	k.options.limits.request_ms = 150;
	kit_start(&k);
	c = client_new(&k);
	id = nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, -1, NULL, nv, 4, NULL); /* and no body */
	slow = stream_of(c, id);
	while (slow->status == 0 && turn(c, KIT_PATIENCE_MS))
		;
	assert_int_equal(slow->status, 408);
	fine = ask(c, "GET", "/", SLICE_NONE, NULL, NULL);
	run_until_closed(c, fine);
	assert_int_equal(fine->status, 200);
	client_done(c);
	kit_stop(&k);
}

static void
an_idle_connection_is_closed(void **state)
{
	struct kit k = kit_options();
	struct client *c;
	struct stream *s;

	(void)state;
	k.options.limits.idle_ms = 500;
	kit_start(&k);
	c = client_new(&k);
	s = ask(c, "GET", "/later?800", SLICE_NONE, NULL, NULL); /* longer than idle_ms: it is not idle */
	run_until_closed(c, s);
	while (!c->closed && turn(c, KIT_PATIENCE_MS))
		;
	assert_true(c->closed);
	assert_true(c->goaway);
	assert_int_equal(c->goaway_error, NGHTTP2_NO_ERROR);
	client_done(c);
	kit_stop(&k);
}

static void
draining_says_goaway_and_answers_what_runs(void **state)
{
	struct kit k = kit_options();
	struct client *c;
	struct stream *s;

	(void)state;
	kit_start(&k);
	c = client_new(&k);
	kit_holds = true;
	s = ask(c, "GET", "/held", SLICE_NONE, NULL, NULL);
	turn(c, KIT_PATIENCE_MS);
	kit_expect_metric(&k, "stator_http_in_progress", 1);
	http_server_drain(k.server);
	while (!c->goaway && turn(c, KIT_PATIENCE_MS))
		;
	kit_holds = false;
	run_until_closed(c, s);
	assert_string_equal(s->body.data, "held");
	assert_true(c->goaway);
	while (!c->closed && turn(c, KIT_PATIENCE_MS))
		;
	kit_expect_metric(&k, "stator_http_connections", 0);
	client_done(c);
	kit_stop(&k);
}

static void
nonsense_closes_the_connection(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
#define BYTES(text) {text, sizeof text - 1}
	    BYTES("\xff\xff\xff\x00\x00\x00\x00\x00\x00"),                                     /* a frame too large */
	    BYTES("\x00\x00\x01\x01\x05\x00\x00\x00\x01\xff"),                                 /* before any settings */
	    BYTES("\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00"), /* data on stream 0 */
	    BYTES("\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01\x01\x05\x00\x00\x00\x02\x82"), /* an even stream */
	    BYTES("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
	};
	struct kit *k = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf in = {0};
		int fd = client_connect(k);

		client_send(fd, preface, sizeof preface - 1);
		client_send(fd, cases[i].bytes, cases[i].len);
		shutdown(fd, SHUT_WR);
		client_read_all(fd, &in);
		close(fd);
		buf_done(&in);
	}
	kit_expect_metric(k, "stator_http_connections", 0);
}

/* The head of one request, continued for ever, costs no memory and ends. */
static void
endless_continuations_end_the_connection(void **state)
{
	static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
				    "\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82";
	static const char more[] = "\x00\x00\x05\x09\x00\x00\x00\x00\x01\x40\x01y\x01z"; /* y: z */
	struct kit *k = *state;
	int fd = client_connect(k), count = 0;

	assert_true(client_send(fd, start, sizeof start - 1));
	while (count < 2000000 && client_send(fd, more, sizeof more - 1))
		count++;
	assert_true(count < 2000000);
	close(fd);
	kit_expect_metric(k, "stator_http_connections", 0);
}

static void
a_flood_of_pings_or_settings_ends_the_connection(void **state)
{
	static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
	static const struct slice frames[] = {
	    SLICE("\x00\x00\x08\x06\x00\x00\x00\x00\x00pingping"),
	    SLICE("\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
	};
	struct kit *k = *state;

	for (int kind = 0; kind < 2; kind++) {
		int fd = client_connect(k), count = 0;

		assert_true(client_send(fd, start, sizeof start - 1));
		while (count < 2000000 && client_send(fd, frames[kind].data, frames[kind].len))
			count++;
		assert_true(count < 2000000); /* nobody reads the acknowledgements */
		close(fd);
		kit_expect_metric(k, "stator_http_connections", 0);
	}
}

static void
streams_beyond_the_limit_are_refused(void **state)
{
	struct client *c = client_new(*state);
	struct stream *s[150];
	int refused = 0, answered = 0;

	/* all before the server's settings are known */
	kit_holds = true;
	for (int i = 0; i < 150; i++)
		s[i] = ask(c, "GET", "/held", SLICE_NONE, NULL, NULL);
	run_until_closed(c, s[149]); /* so all have come */
	kit_holds = false;
	for (int i = 0; i < 150; i++) {
		run_until_closed(c, s[i]);
		refused += s[i]->error == NGHTTP2_REFUSED_STREAM;
		answered += s[i]->status == 200;
	}
	assert_int_equal(refused + answered, 150);
	assert_int_equal(refused, 50);
	client_done(c);
}

static void
the_preface_may_come_byte_by_byte(void **state)
{
	struct kit *k = *state;
	struct client *c = client_new(k);
	const uint8_t *data;
	struct stream *s = ask(c, "GET", "/", SLICE_NONE, NULL, NULL);
	ssize_t n;

	while ((n = nghttp2_session_mem_send(c->session, &data)) > 0)
		for (ssize_t i = 0; i < n; i++) {
			assert_true(client_send(c->fd, data + i, 1));
			kit_sleep_ms(1);
		}
	run_until_closed(c, s);
	assert_string_equal(s->body.data, "hello");
	client_done(c);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    ON_SERVER(requests_are_answered),
	    ON_SERVER(answers_leave_as_they_are_ready),
	    ON_SERVER(large_bodies_go_both_ways_through_the_windows),
	    ON_SERVER(hundreds_of_streams_are_answered),
	    ON_SERVER(gzip_answers_and_100_continue),
	    ON_SERVER(what_is_too_large_is_refused_and_the_connection_goes_on),
	    ON_SERVER(rapid_resets_end_the_connection),
	    cmocka_unit_test(unread_answers_hold_back_further_requests),
	    cmocka_unit_test(who_opens_no_window_is_cut_off_when_all_leave_too_much),
	    cmocka_unit_test(a_slow_stream_gives_408_and_the_others_go_on),
	    cmocka_unit_test(an_idle_connection_is_closed),
	    cmocka_unit_test(draining_says_goaway_and_answers_what_runs),
	    ON_SERVER(nonsense_closes_the_connection),
	    ON_SERVER(endless_continuations_end_the_connection),
	    ON_SERVER(a_flood_of_pings_or_settings_ends_the_connection),
	    ON_SERVER(streams_beyond_the_limit_are_refused),
	    ON_SERVER(the_preface_may_come_byte_by_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
