#include <netinet/tcp.h>
#include <sys/resource.h>

#include "codec/gzip.h"
#include "kit.h"

#define HOST "Host: x\r\n"

/* Send `request` in one piece on a new connection and expect `count` answers of 200 with these bodies. */
static void
expect_bodies(struct kit *k, const char *request, size_t len, const char *const *bodies, int count)
{
	struct buf in = {0};
	struct answer a = {0};
	int fd = client_connect(k);

	assert_true(client_send(fd, request, len));
	for (int i = 0; i < count; i++) {
		assert_true(client_answer(fd, &in, &a, true));
		assert_int_equal(a.status, 200);
		assert_string_equal(a.body.data, bodies[i]);
	}
	close(fd);
	buf_done(&in);
	answer_done(&a);
}

static void
expect_body(struct kit *k, const char *request, const char *body)
{
	expect_bodies(k, request, strlen(request), &body, 1);
}

static void
a_connection_answers_one_request_after_the_other(void **state)
{
	struct kit *k = *state;
	struct buf in = {0};
	struct answer a = {0};
	int fd = client_connect(k);

	for (int i = 0; i < 20; i++) {
		client_say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody");
		assert_true(client_answer(fd, &in, &a, true));
		assert_int_equal(a.status, 200);
		assert_string_equal(a.body.data, "body");
		assert_non_null(strstr(a.head.data, "\r\nDate: "));
		assert_non_null(strstr(a.head.data, "\r\nContent-Type: text/plain\r\n"));
		assert_null(strstr(a.head.data, "Connection:"));
	}
	close(fd);
	buf_done(&in);
	answer_done(&a);
}

static void
a_request_may_come_byte_by_byte(void **state)
{
	static const char request[] = "POST /headers?a=b HTTP/1.1\r\n" HOST "X-Some-Thing:  two words \t \r\nEmpty:\r\n"
				      "content-length: 3\r\n\r\nabcGET / HTTP/1.1\r\n" HOST "\r\n";
	struct kit *k = *state;
	struct buf in = {0};
	struct answer a = {0};
	int fd = client_connect(k), on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	for (size_t i = 0; i < sizeof request - 1; i++) {
		assert_true(client_send(fd, request + i, 1));
		if (i % 4 == 0)
			kit_sleep_ms(1);
	}
	assert_true(client_answer(fd, &in, &a, true));
	assert_string_equal(a.body.data,
			    "POST /headers?a=b\nhost=x\nx-some-thing=two words\nempty=\ncontent-length=3\n");
	assert_true(client_answer(fd, &in, &a, true));
	assert_string_equal(a.body.data, "hello");
	close(fd);
	buf_done(&in);
	answer_done(&a);
}

static void
answers_leave_in_the_order_of_their_requests(void **state)
{
	static const char request[] =
	    "GET /later?60 HTTP/1.1\r\n" HOST "\r\nGET /later?1 HTTP/1.1\r\n" HOST "\r\nPOST /echo HTTP/1.1\r\n" HOST
	    "Content-Length: 2\r\n\r\nhiGET /later?20 HTTP/1.1\r\n" HOST "\r\n";
	static const char *const bodies[] = {"later 60", "later 1", "hi", "later 20"};

	expect_bodies(*state, request, sizeof request - 1, bodies, 4);
}

static void
hundreds_of_pipelined_requests_are_answered(void **state)
{
	static const char *bodies[1000];
	struct buf request = {0};

	for (int i = 0; i < 1000; i++) {
		buf_printf(&request,
			   i % 7 == 0 ? "GET /later?1 HTTP/1.1\r\n" HOST "\r\n" : "GET / HTTP/1.1\r\n" HOST "\r\n");
		bodies[i] = i % 7 == 0 ? "later 1" : "hello";
	}
	expect_bodies(*state, request.data, request.len, bodies, 1000);
	buf_done(&request);
}

static void
a_head_larger_than_a_block_is_whole(void **state)
{
	struct kit *k = *state;
	struct buf request = {0}, expected = {0};
	const char *body;

	/* the first request leaves the second in the middle of the block */
	buf_printf(&request, "GET / HTTP/1.1\r\n" HOST "\r\nGET /headers HTTP/1.1\r\n" HOST);
	buf_printf(&expected, "GET /headers\nhost=x\n");
	for (int i = 0; i < 60; i++) {
		buf_printf(&request, "Header-%02d: %0*d\r\n", i, 400, i);
		buf_printf(&expected, "header-%02d=%0*d\n", i, 400, i);
	}
	buf_put_lit(&request, "\r\n");
	buf_put_byte(&expected, 0);
	body = expected.data;
	expect_bodies(k, request.data, request.len, (const char *const[]){"hello", body}, 2);
	buf_done(&request);
	buf_done(&expected);
}

static void
large_bodies_arrive_whole_in_every_form(void **state)
{
	static const size_t sizes[] = {1, 1000, 16000, 16384, 20000, 65536, 65537, 1000000, 5000000};
	struct kit *k = *state;

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		for (int chunk = 0; chunk < 3; chunk++) { /* Content-Length, chunks of 10,000, one chunk */
			struct buf request = {0}, body = {0};
			size_t piece = chunk == 1 ? 10000 : sizes[i];

			for (size_t at = 0; at < sizes[i]; at++)
				buf_put_byte(&body, (uint8_t)('a' + at % 23));
			if (chunk == 0) {
				buf_printf(&request, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
					   sizes[i]);
				buf_put_slice(&request, buf_slice(&body));
			} else {
				buf_printf(&request,
					   "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
				for (size_t at = 0; at < sizes[i]; at += piece) {
					size_t len = sizes[i] - at < piece ? sizes[i] - at : piece;

					buf_printf(&request, "%zx\r\n", len);
					buf_put(&request, body.data + at, len);
					buf_put_lit(&request, "\r\n");
				}
				buf_put_lit(&request, "0\r\n\r\n");
			}
			buf_put_lit(&request, "GET / HTTP/1.1\r\n" HOST "\r\n"); /* follows right behind */
			buf_put_byte(&body, 0);
			expect_bodies(k, request.data, request.len, (const char *const[]){body.data, "hello"}, 2);
			buf_done(&request);
			buf_done(&body);
		}
	}
}

static void
expect_continue_is_answered_before_the_body(void **state)
{
	struct kit *k = *state;
	struct buf in = {0};
	struct answer a = {0};
	int fd = client_connect(k);

	/* behind a request that is still being answered */
	client_say(fd, "GET /later?30 HTTP/1.1\r\n" HOST "\r\nPOST /echo HTTP/1.1\r\n" HOST
		       "Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n");
	assert_true(client_answer(fd, &in, &a, true));
	assert_string_equal(a.body.data, "later 30");
	assert_true(client_answer(fd, &in, &a, false));
	assert_int_equal(a.status, 100);
	client_say(fd, "12345");
	assert_true(client_answer(fd, &in, &a, true));
	assert_string_equal(a.body.data, "12345");
	/* a client that does not wait gets no late 100 */
	client_say(fd, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nabcde");
	assert_true(client_answer(fd, &in, &a, true));
	assert_int_equal(a.status, 200);
	close(fd);
	assert_int_equal(
	    client_status(k, "POST /echo HTTP/1.1\r\n" HOST "Expect: wonders\r\nContent-Length: 5\r\n\r\n"), 417);
	/* a body that is too large is refused instead of invited */
	assert_int_equal(
	    client_status(k, "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"),
	    413);
	buf_done(&in);
	answer_done(&a);
}

static void
the_last_request_of_a_connection_is_answered_then_it_closes(void **state)
{
	static const char *const requests[] = {
	    "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
	    "GET /later?20 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
	    "GET / HTTP/1.0\r\n\r\n",
	};
	struct kit *k = *state;

	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		struct buf in = {0};
		int fd = client_connect(k);

		client_say(fd, requests[i]);
		client_read_all(fd, &in);
		assert_int_equal(memcmp(in.data, "HTTP/1.1 200 OK\r\n", 17), 0);
		assert_non_null(strstr(in.data, "\r\nConnection: close\r\n"));
		assert_null(strstr(in.data + 1, "HTTP/1.1"));
		close(fd);
		buf_done(&in);
	}
}

static void
http_1_0_is_kept_alive_when_asked(void **state)
{
	struct kit *k = *state;
	struct buf in = {0};
	struct answer a = {0};
	int fd = client_connect(k);

	for (int i = 0; i < 2; i++) {
		client_say(fd, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
		assert_true(client_answer(fd, &in, &a, true));
		assert_non_null(strstr(a.head.data, "\r\nConnection: keep-alive\r\n"));
	}
	close(fd);
	buf_done(&in);
	answer_done(&a);
}

static void
a_client_that_says_it_sends_no_more_still_gets_its_answers(void **state)
{
	struct kit *k = *state;
	struct buf in = {0};
	int fd = client_connect(k);

	client_say(fd, "GET /later?30 HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "\r\nGET /half");
	shutdown(fd, SHUT_WR);
	client_read_all(fd, &in);
	assert_non_null(strstr(in.data, "later 30"));
	assert_non_null(strstr(in.data, "hello"));
	close(fd);
	buf_done(&in);
}

static void
head_has_no_body(void **state)
{
	struct kit *k = *state;
	struct buf in = {0};
	struct answer a = {0};
	int fd = client_connect(k);

	client_say(fd, "HEAD / HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "\r\n");
	assert_true(client_answer(fd, &in, &a, false));
	assert_non_null(strstr(a.head.data, "Content-Length: 5\r\n"));
	assert_true(client_answer(fd, &in, &a, true));
	assert_string_equal(a.body.data, "hello");
	close(fd);
	buf_done(&in);
	answer_done(&a);
}

static void
trailers_cannot_pose_as_headers(void **state)
{
	expect_body(*state,
		    "POST /headers HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n"
		    "3;ext=1\r\nabc\r\n0\r\nX-Late: 1\r\nAuthorization: evil\r\n\r\n",
		    "POST /headers\nhost=x\ntransfer-encoding=chunked\ntrailer=X-Late\n");
}

static void
whatever_two_servers_could_read_differently_is_refused(void **state)
{
	static const struct {
		int status;
		const char *request;
	} cases[] = {
	    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	    {400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"},
	    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"},
	    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabcd"},
	    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc"},
	    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3,3\r\n\r\nabc"},
	    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\nabc"},
	    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length : 3\r\n\r\nabc"},
	    {400, "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	    {501, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
	    {400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"},
	    {400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b chunked\r\n\r\n0\r\n\r\n"},
	    {400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"},
	    {400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"},
	    {400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"},
	    {400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc"},
	    {400, "GET / HTTP/1.1\r\n\r\n"},
	    {400, "GET / HTTP/1.1\r\n" HOST HOST "\r\n"},
	    {400, "GET / HTTP/1.1\r\n" HOST "A: b\r\n folded\r\n\r\n"},
	    {400, "GET / HTTP/1.1\r\n" HOST "A b: c\r\n\r\n"},
	    {400, "GET / HTTP/1.1\r\n" HOST ": c\r\n\r\n"},
	    {400, "GET / HTTP/1.1\r\n: c\r\n" HOST "\r\n"},
	    {400, "GET / HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n"},
	    {400, "GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n"},
	    {400, "GET /\x01 HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "G@T / HTTP/1.1\r\n" HOST "\r\n"},
	    {400, "FROB / HTTP/1.1\r\n" HOST "\r\n"},
	    {505, "GET / HTTP/1.2\r\n" HOST "\r\n"},
	    {505, "GET / HTTP/2.0\r\n" HOST "\r\n"},
	    {505, "GET / HTTP/9.9\r\n" HOST "\r\n"},
	    {405, "CONNECT x:80 HTTP/1.1\r\n" HOST "\r\n"},
	    {415, "POST / HTTP/1.1\r\n" HOST "Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc"},
	    {415, "POST / HTTP/1.1\r\n" HOST "Content-Encoding: gzip, gzip\r\nContent-Length: 3\r\n\r\nabc"},
	    {400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
	    {400, "nonsense\r\n\r\n"},
	};
	struct kit *k = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf in = {0};
		int fd = client_connect(k);

		client_say(fd, cases[i].request);
		shutdown(fd, SHUT_WR);
		client_read_all(fd, &in);
		if (in.len < 13 || atoi(in.data + 9) != cases[i].status || strstr(in.data + 1, "HTTP/1.1 ") != NULL)
			fail_msg("%s\ngave\n%s", cases[i].request, in.data);
		assert_non_null(strstr(in.data, "\r\nConnection: close\r\n"));
		close(fd);
		buf_done(&in);
	}
}

static void
an_upgrade_offer_is_ignored(void **state)
{
	expect_body(*state,
		    "GET / HTTP/1.1\r\n" HOST "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
		    "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
		    "hello");
	expect_body(*state,
		    "POST /echo HTTP/1.1\r\n" HOST
		    "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nok",
		    "ok");
}

/* --- limits --- */

static void
too_many_header_bytes_give_431(void **state)
{
	struct kit *k = *state;

	for (int kind = 0; kind < 5; kind++) {
		struct buf request = {0};

		if (kind == 0) /* a long target */
			buf_printf(&request, "GET /%0*d HTTP/1.1\r\n" HOST "\r\n", 40000, 1);
		else if (kind == 1) /* a long value */
			buf_printf(&request, "GET / HTTP/1.1\r\n" HOST "A: %0*d\r\n\r\n", 40000, 1);
		else if (kind == 2) /* a long name */
			buf_printf(&request, "GET / HTTP/1.1\r\n" HOST "A%0*d: b\r\n\r\n", 40000, 1);
		else if (kind == 3) { /* many */
			buf_printf(&request, "GET / HTTP/1.1\r\n" HOST);
			for (int i = 0; i < 150; i++)
				buf_printf(&request, "A: b\r\n");
			buf_printf(&request, "\r\n");
		} else { /* blanks, which belong to no value */
			buf_printf(&request, "GET / HTTP/1.1\r\n" HOST "A:%*s", 200000, "");
		}
		buf_put_byte(&request, 0);
		assert_int_equal(client_status(k, request.data), 431);
		buf_done(&request);
	}
	assert_int_equal(kit_metric(k, "stator_http_refused_total{reason=\"headers_too_large\"}"), 5);
}

static void
empty_lines_before_a_request_do_not_pile_up(void **state)
{
	struct kit *k = *state;
	struct buf request = {0};

	for (int i = 0; i < 100000; i++)
		buf_put_lit(&request, "\r\n");
	buf_put_byte(&request, 0);
	assert_int_equal(client_status(k, request.data), 431);
	buf_done(&request);
}

/* The client sends all before it reads, as SDKs do, and still sees the answer. */
static void
a_body_too_large_gives_413(void **state)
{
	struct kit *k = *state;

	for (int chunked = 0; chunked < 2; chunked++) {
		struct buf request = {0}, in = {0};
		struct answer a = {0};
		int fd = client_connect(k);

		if (chunked)
			buf_printf(&request,
				   "POST /size HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1400000\r\n");
		else
			buf_printf(&request, "POST /size HTTP/1.1\r\n" HOST "Content-Length: 20971520\r\n\r\n");
		buf_reserve(&request, 20 << 20);
		memset(request.data + request.len, 'x', 20 << 20);
		request.len += 20 << 20;
		assert_true(client_send(fd, request.data, request.len));
		assert_true(client_answer(fd, &in, &a, true));
		assert_int_equal(a.status, 413);
		shutdown(fd, SHUT_WR);
		assert_true(client_closed(fd, KIT_PATIENCE_MS));
		close(fd);
		buf_done(&request);
		buf_done(&in);
		answer_done(&a);
	}
	kit_expect_metric(k, "stator_http_body_bytes", 0);
}

static void
a_body_of_exactly_the_limit_is_taken(void **state)
{
	struct buf request = {0};

	buf_printf(&request, "POST /size HTTP/1.1\r\n" HOST "Content-Length: 16777216\r\n\r\n");
	buf_reserve(&request, 16 << 20);
	memset(request.data + request.len, 'x', 16 << 20);
	request.len += 16 << 20;
	expect_bodies(*state, request.data, request.len, (const char *const[]){"16777216"}, 1);
	buf_done(&request);
}

static void
a_slow_request_gives_408(void **state)
{
	static const char *const requests[] = {
	    "GET / HT",
	    "GET / HTTP/1.1\r\n" HOST "Accept",
	    "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n123",
	    "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n123",
	    "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	};
	struct kit k = kit_options();

	(void)state;
	k.options.limits.request_ms = 200;
	kit_start(&k);
	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		struct buf in = {0};
		struct answer a = {0};
		int64_t before = clock_mono_ns();
		int fd = client_connect(&k);

		client_say(fd, requests[i]);
		assert_true(client_answer(fd, &in, &a, true));
		assert_int_equal(a.status, 408);
		assert_true(clock_mono_ns() - before >= 190000000);
		shutdown(fd, SHUT_WR);
		assert_true(client_closed(fd, KIT_PATIENCE_MS));
		close(fd);
		buf_done(&in);
		answer_done(&a);
	}
	/* a byte now and then does not help: the limit is for the whole request */
	{
		struct buf in = {0};
		struct answer a = {0};
		int fd = client_connect(&k), count = 0;

		client_say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
		while (count < 900 && client_send(fd, "x", 1) && !client_more(fd, &in, 10))
			count++;
		assert_true(count < 900); /* 20 of them pass in time: so many only for a server that goes on waiting */
		assert_true(client_answer(fd, &in, &a, true));
		assert_int_equal(a.status, 408);
		close(fd);
		buf_done(&in);
		answer_done(&a);
	}
	/* time in the handler is not the client's */
	assert_int_equal(client_status(&k, "GET /later?400 HTTP/1.1\r\n" HOST "\r\n"), 200);
	kit_stop(&k);
}

static void
an_idle_connection_is_closed_without_a_word(void **state)
{
	struct kit k = kit_options();
	struct buf in = {0};
	struct answer a = {0};
	int fd, fresh;
	int64_t connected, asked;
	bool answered;

	(void)state;
	k.options.limits.idle_ms = 200;
	kit_start(&k);
	connected = clock_mono_ns();
	fresh = client_connect(&k);
	assert_true(client_closed(fresh, KIT_PATIENCE_MS)); /* never used */
	assert_true(clock_mono_ns() - connected >= 190000000);
	close(fresh);
	do { /* until this thread was not made to wait so long that its connection was rightly closed */
		connected = clock_mono_ns();
		fd = client_connect(&k);
		kit_sleep_ms(120);
		asked = clock_mono_ns();
		client_say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
		in.len = 0;
		answered = client_answer(fd, &in, &a, true);
		assert_true(answered || clock_mono_ns() - connected >= 190000000);
		if (answered) {
			assert_true(client_closed(fd, KIT_PATIENCE_MS));
			assert_true(clock_mono_ns() - asked >= 190000000); /* counted from its last answer */
		}
		close(fd);
	} while (!answered);
	buf_done(&in);
	answer_done(&a);
	kit_expect_metric(&k, "stator_http_connections", 0);
	kit_stop(&k);
}

static void
more_connections_than_allowed_are_turned_away(void **state)
{
	struct kit k = kit_options();
	struct buf in = {0};
	struct answer a = {0};
	int fds[4], fd;

	(void)state;
	k.options.limits.connections = 4;
	k.options.limits.spare_idle_ms = 3600 * 1000; /* also on a slow machine none of the four makes room */
	kit_start(&k);
	for (int i = 0; i < 4; i++)
		fds[i] = client_connect(&k);
	kit_expect_metric(&k, "stator_http_connections", 4);
	fd = client_connect(&k);
	client_read_all(fd, &in);
	assert_int_equal(memcmp(in.data, "HTTP/1.1 503 ", 13), 0);
	close(fd);
	close(fds[0]);
	kit_expect_metric(&k, "stator_http_connections", 3);
	assert_int_equal(client_status(&k, "GET / HTTP/1.1\r\n" HOST "\r\n"), 200);
	for (int i = 1; i < 4; i++)
		close(fds[i]);
	buf_done(&in);
	answer_done(&a);
	kit_stop(&k);
}

static void
who_does_not_use_its_place_makes_room(void **state)
{
	struct kit k = kit_options();
	struct buf in = {0};
	struct answer a = {0};
	int idle, half, fd;

	(void)state;
	k.options.limits.connections = 2;
	k.options.limits.spare_idle_ms = 0;
	k.options.limits.spare_half_ms = 0;
	kit_start(&k);
	idle = client_connect(&k);
	half = client_connect(&k);
	client_say(half, "GET / HTTP/1.1\r\n");
	kit_expect_metric(&k, "stator_http_connections", 2);
	for (int i = 0; i < 20; i++) {
		kit_sleep_ms(1);
		fd = client_connect(&k);
		client_say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
		in.len = 0;
		assert_true(client_answer(fd, &in, &a, true));
		assert_int_equal(a.status, 200);
		close(fd);
	}
	/* all twenty went through the places of these two, or of one of them */
	assert_true(kit_metric(&k, "stator_http_closed_total{reason=\"room_for_others\"}") >= 1);
	assert_true(client_closed(idle, 0) || client_closed(half, 0));
	close(idle);
	close(half);
	buf_done(&in);
	answer_done(&a);
	kit_stop(&k);
}

static void
a_client_that_does_not_read_stops_being_read(void **state)
{
	struct kit k = kit_options();
	struct buf in = {0};
	struct answer a = {0};
	int fd, sent = 0, small = 4096;
	static const char request[] = "GET /big?300000 HTTP/1.1\r\n" HOST "\r\n";
	struct pollfd p;

	(void)state;
	kit_start(&k);
	fd = client_connect(&k);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	p = (struct pollfd){.fd = fd, .events = POLLOUT};
	/* until the server takes no more requests: its memory ends at the limit and one answer, however many come */
	while (sent < 200000 && poll(&p, 1, sent < 1000 ? KIT_PATIENCE_MS : 300) == 1) {
		if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof request - 1)
			break;
		sent++;
	}
	assert_true(sent > 10);
	assert_in_range(kit_metric(&k, "stator_http_unsent_bytes"), 1, 1024 * 1024 + 64 * 300500);
	assert_true(kit_metric(&k, "stator_http_in_progress") <= 64);
	/* and none is lost when the client reads at last */
	for (int i = 0; i < 100; i++) {
		assert_true(client_answer(fd, &in, &a, true));
		assert_int_equal(a.body.len, 300000);
	}
	close(fd);
	buf_done(&in);
	answer_done(&a);
	kit_stop(&k);
}

static void
a_client_that_never_reads_is_cut_off(void **state)
{
	struct kit k = kit_options();
	int fd;

	(void)state;
	k.options.limits.write_ms = 200;
	kit_start(&k);
	fd = client_connect(&k);
	for (int i = 0; i < 30; i++)
		client_say(fd, "GET /big?1000000 HTTP/1.1\r\n" HOST "\r\n");
	kit_expect_metric(&k, "stator_http_closed_total{reason=\"answers_not_read\"}", 1);
	kit_expect_metric(&k, "stator_http_unsent_bytes", 0);
	kit_expect_metric(&k, "stator_http_in_progress", 0);
	close(fd);
	kit_stop(&k);
}

static void
unread_answers_of_all_clients_together_are_limited(void **state)
{
	struct kit k = kit_options();
	int fds[10];

	(void)state;
	k.options.limits.unsent_bytes_total = 20 << 20;
	kit_start(&k);
	for (int i = 0; i < 10; i++) {
		fds[i] = client_connect(&k);
		for (int j = 0; j < 8; j++)
			client_say(fds[i], "GET /big?16000000 HTTP/1.1\r\n" HOST "\r\n");
	}
	for (int i = 0;
	     i < KIT_PATIENCE_MS && kit_metric(&k, "stator_http_closed_total{reason=\"answers_not_read\"}") == 0; i++)
		kit_sleep_ms(1);
	assert_true(kit_metric(&k, "stator_http_closed_total{reason=\"answers_not_read\"}") > 0);
	for (int i = 0; i < KIT_PATIENCE_MS && kit_metric(&k, "stator_http_unsent_bytes") > (20 << 20); i++)
		kit_sleep_ms(1);
	assert_true(kit_metric(&k, "stator_http_unsent_bytes") <= (20 << 20));
	for (int i = 0; i < 10; i++)
		close(fds[i]);
	kit_stop(&k);
}

static void
who_leaves_most_unread_is_cut_off_first(void **state)
{
	struct kit k = kit_options();
	struct answer a = {0};
	struct buf in = {0};
	int greedy, honest;

	(void)state;
	k.options.limits.unsent_bytes_total = 20 << 20;
	kit_start(&k);
	greedy = client_connect(&k);
	client_say(greedy, "GET /big?16000000 HTTP/1.1\r\n" HOST "\r\n");
	for (int i = 0; i < KIT_PATIENCE_MS && kit_metric(&k, "stator_http_unsent_bytes") == 0; i++)
		kit_sleep_ms(1);
	honest = client_connect(&k);
	client_say(honest, "GET /big?14000000 HTTP/1.1\r\n" HOST "\r\n"); /* is what passes the limit */
	kit_expect_metric(&k, "stator_http_closed_total{reason=\"answers_not_read\"}", 1);
	assert_true(client_answer(honest, &in, &a, true));
	assert_int_equal(a.body.len, 14000000);
	close(greedy);
	close(honest);
	buf_done(&in);
	answer_done(&a);
	kit_stop(&k);
}

static void
bodies_of_all_clients_together_are_limited(void **state)
{
	struct kit k = kit_options();
	struct buf half = {0}, in = {0};
	struct answer a = {0};
	int fds[4];

	(void)state;
	k.options.limits.body_bytes_total = 3 << 20;
	kit_start(&k);
	buf_printf(&half, "POST /size HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n");
	buf_reserve(&half, 1 << 20);
	memset(half.data + half.len, 'x', 1 << 20);
	half.len += 1 << 20;
	for (int i = 0; i < 3; i++) {
		fds[i] = client_connect(&k);
		assert_true(client_send(fds[i], half.data, half.len));
		kit_expect_metric(&k, "stator_http_body_bytes", (long long)(i + 1) << 20);
	}
	fds[3] = client_connect(&k);
	client_send(fds[3], half.data, half.len);
	assert_true(client_answer(fds[3], &in, &a, true));
	assert_int_equal(a.status, 503);
	close(fds[3]);
	/* a request that needs no such memory goes on, and so do the three when there is room again */
	assert_int_equal(client_status(&k, "GET / HTTP/1.1\r\n" HOST "\r\n"), 200);
	close(fds[2]);
	kit_expect_metric(&k, "stator_http_body_bytes", 2 << 20);
	for (int i = 0; i < 2; i++) {
		client_say(fds[i], "y");
		assert_true(client_answer(fds[i], &in, &a, true));
		assert_string_equal(a.body.data, "1048577");
		close(fds[i]);
	}
	kit_expect_metric(&k, "stator_http_body_bytes", 0);
	buf_done(&half);
	buf_done(&in);
	answer_done(&a);
	kit_stop(&k);
}

/* 1,000 connections announce 16 MiB each and send nothing: that costs nothing. */
static void
an_announced_body_takes_no_memory_before_it_comes(void **state)
{
	struct kit *k = *state;
	int fds[50];

	for (int i = 0; i < 50; i++) {
		fds[i] = client_connect(k);
		client_say(fds[i], "POST /size HTTP/1.1\r\n" HOST "Content-Length: 16777216\r\n\r\nx");
	}
	kit_sleep_ms(50);
	assert_int_equal(kit_metric(k, "stator_http_body_bytes"), 0);
	for (int i = 0; i < 50; i++)
		close(fds[i]);
}

/* --- gzip --- */

static int
gzip_request(struct kit *k, struct slice packed, struct answer *ret)
{
	struct buf request = {0}, in = {0};
	int fd = client_connect(k);

	buf_printf(&request, "POST /echo HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
		   packed.len);
	buf_put_slice(&request, packed);
	assert_true(client_send(fd, request.data, request.len));
	assert_true(client_answer(fd, &in, ret, true));
	close(fd);
	buf_done(&request);
	buf_done(&in);
	return ret->status;
}

static void
gzip_bodies_are_unpacked(void **state)
{
	struct buf packed = {0}, bomb = {0}, zeros = {0};
	struct answer a = {0};

	gzip_put(&packed, SLICE("{\"some\":\"json\"}"), 0);
	assert_int_equal(gzip_request(*state, buf_slice(&packed), &a), 200);
	assert_string_equal(a.body.data, "{\"some\":\"json\"}");
	packed.data[packed.len / 2] ^= 0x55;
	assert_int_equal(gzip_request(*state, buf_slice(&packed), &a), 400);
	assert_int_equal(gzip_request(*state, slice_of(packed.data, 5), &a), 400);
	buf_reserve(&zeros, 64 << 20);
	memset(zeros.data, 0, 64 << 20);
	gzip_put(&bomb, slice_of(zeros.data, 64 << 20), 1);
	assert_true(bomb.len < 1 << 20);
	assert_int_equal(gzip_request(*state, buf_slice(&bomb), &a), 413);
	kit_expect_metric(*state, "stator_http_body_bytes", 0);
	buf_done(&packed);
	buf_done(&bomb);
	buf_done(&zeros);
	answer_done(&a);
}

static void
large_answers_are_packed_for_those_who_ask(void **state)
{
	static const struct {
		const char *accept;
		int size;
		bool packed;
	} cases[] = {
	    {"gzip", 5000, true},           {"gzip", 1000, false},
	    {"gzip;q=0", 5000, false},      {"deflate, gzip;q=0.5", 5000, true},
	    {"identity", 5000, false},      {"*", 5000, true},
	    {"GZIP", 5000, true},           {"gzip;q=0.000", 5000, false},
	    {"br;q=1.0, gzip", 5000, true}, {"notgzip", 5000, false},
	};
	struct kit *k = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf request = {0}, in = {0}, plain = {0};
		struct answer a = {0};
		int fd = client_connect(k);
		bool packed;

		buf_printf(&request, "GET /big?%d HTTP/1.1\r\n" HOST "Accept-Encoding: %s\r\n\r\n", cases[i].size,
			   cases[i].accept);
		assert_true(client_send(fd, request.data, request.len));
		assert_true(client_answer(fd, &in, &a, true));
		packed = strstr(a.head.data, "\r\nContent-Encoding: gzip\r\n") != NULL;
		if (packed != cases[i].packed)
			fail_msg("Accept-Encoding: %s", cases[i].accept);
		if (packed) {
			assert_int_equal(gzip_unpack(buf_slice(&a.body), 1 << 20, &plain, NULL), S_OK);
			assert_int_equal(plain.len, cases[i].size);
		} else {
			assert_int_equal(a.body.len, cases[i].size);
		}
		close(fd);
		buf_done(&request);
		buf_done(&in);
		buf_done(&plain);
		answer_done(&a);
	}
}

/* --- coming and going --- */

static void
a_handler_sees_that_its_client_is_gone(void **state)
{
	struct kit *k = *state;
	struct linger reset = {.l_onoff = 1};
	int fd = client_connect(k);

	kit_gone = 0;
	kit_holds = true;
	client_say(fd, "GET /held HTTP/1.1\r\n" HOST "\r\nGET /held HTTP/1.1\r\n" HOST "\r\n");
	kit_expect_metric(k, "stator_http_in_progress", 2);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(fd);
	kit_expect_metric(k, "stator_http_in_progress", 0);
	assert_int_equal(kit_gone, 2);
	kit_holds = false;
}

static void
draining_answers_what_is_in_progress(void **state)
{
	struct kit k = kit_options();
	struct buf in = {0}, in2 = {0};
	struct answer a = {0};
	int busy, idle, half, late;
	struct sockaddr_in address = {.sin_family = AF_INET};

	(void)state;
	kit_start(&k);
	busy = client_connect(&k);
	idle = client_connect(&k);
	half = client_connect(&k);
	kit_holds = true;
	client_say(busy, "GET /held HTTP/1.1\r\n" HOST "\r\n");
	client_say(half, "GET /lat");
	kit_expect_metric(&k, "stator_http_in_progress", 1);
	kit_expect_metric(&k, "stator_http_connections", 3);
	http_server_drain(k.server);
	http_server_drain(k.server); /* twice is once */
	assert_true(client_closed(idle, KIT_PATIENCE_MS));
	assert_true(client_closed(half, KIT_PATIENCE_MS));
	assert_int_equal(http_server_in_progress(k.server), 1);
	kit_holds = false;
	assert_true(client_answer(busy, &in, &a, true));
	assert_string_equal(a.body.data, "held");
	assert_non_null(strstr(a.head.data, "Connection: close"));
	assert_true(client_closed(busy, KIT_PATIENCE_MS));
	kit_expect_metric(&k, "stator_http_connections", 0);
	late = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)k.port);
	assert_int_equal(connect(late, (struct sockaddr *)&address, sizeof address), -1);
	close(busy);
	close(idle);
	close(half);
	close(late);
	buf_done(&in);
	buf_done(&in2);
	answer_done(&a);
	kit_stop(&k);
}

static void
a_server_stopped_in_the_middle_leaves_nothing_behind(void **state)
{
	struct kit k = kit_options();
	int fds[8];

	(void)state;
	k.loop_count = 2;
	kit_start(&k);
	for (int i = 0; i < 8; i++) {
		fds[i] = client_connect(&k);
		client_say(fds[i], "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\nxxx");
	}
	kit_expect_metric(&k, "stator_http_connections", 8);
	kit_stop(&k); /* the leak checker looks on */
	for (int i = 0; i < 8; i++)
		close(fds[i]);
}

static void
a_port_in_use_is_noticed(void **state)
{
	struct kit *k = *state;
	struct loop *loops[2];
	struct http_server *second;
	struct http_server_options options = k->options;
	struct err err;
	char address[64];

	snprintf(address, sizeof address, "127.0.0.1:%d", k->port);
	options.listen = address;
	for (int i = 0; i < 2; i++)
		assert_int_equal(loop_new(i, &loops[i], &err), S_OK);
	assert_int_not_equal(http_server_new(&options, loops, 2, &second, &err), S_OK);
	assert_non_null(strstr(err.message, "Address already in use"));
	assert_non_null(strstr(err.message, address));
	for (int i = 0; i < 2; i++)
		loop_free(loops[i]);
}

static void
addresses_without_sense_are_refused(void **state)
{
	static const char *const bad[] = {
	    "", "8000", "127.0.0.1", "127.0.0.1:", "::1:8000", "nosuchhost.invalid:1", "127.0.0.1:99999x"};
	struct loop *l;
	struct http_server *s;
	struct http_server_options options = kit_options().options;
	struct err err;

	(void)state;
	assert_int_equal(loop_new(0, &l, &err), S_OK);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		options.listen = bad[i];
		if (http_server_new(&options, &l, 1, &s, &err) == S_OK)
			fail_msg("\"%s\" was taken", bad[i]);
	}
	loop_free(l);
}

static void
two_loops_share_one_port(void **state)
{
	struct kit k = kit_options();

	(void)state;
	k.loop_count = 2;
	kit_start(&k);
	for (int i = 0; i < 40; i++)
		assert_int_equal(client_status(&k, "GET / HTTP/1.1\r\n" HOST "\r\n"), 200);
	kit_stop(&k);
}

static void
without_descriptors_clients_are_refused_and_later_served(void **state)
{
	struct kit k = kit_options();
	struct rlimit old, tight;
	struct buf in = {0};
	struct answer a = {0};
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fds[6], spare;

	(void)state;
	kit_start(&k);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)k.port);
	for (int i = 0; i < 6; i++)
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
	spare = dup(0);
	close(spare);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	tight = old;
	tight.rlim_cur = (rlim_t)spare + 2; /* room for two */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	for (int i = 0; i < 6; i++)
		assert_int_equal(connect(fds[i], (struct sockaddr *)&address, sizeof address), 0);
	assert_true(client_answer(fds[5], &in, &a, true));
	assert_int_equal(a.status, 503);
	client_say(fds[0], "GET / HTTP/1.1\r\n" HOST "\r\n");
	assert_true(client_answer(fds[0], &in, &a, true)); /* those inside are served */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	kit_sleep_ms(100);
	assert_int_equal(client_status(&k, "GET / HTTP/1.1\r\n" HOST "\r\n"), 200);
	for (int i = 0; i < 6; i++)
		close(fds[i]);
	buf_done(&in);
	answer_done(&a);
	kit_stop(&k);
}

static int
start(void **state)
{
	struct kit *k = calloc(1, sizeof *k);

	*k = kit_options();
	kit_start(k);
	*state = k;
	return 0;
}

static int
stop(void **state)
{
	kit_stop(*state);
	free(*state);
	return 0;
}

#define ON_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    ON_SERVER(a_connection_answers_one_request_after_the_other),
	    ON_SERVER(a_request_may_come_byte_by_byte),
	    ON_SERVER(answers_leave_in_the_order_of_their_requests),
	    ON_SERVER(hundreds_of_pipelined_requests_are_answered),
	    ON_SERVER(a_head_larger_than_a_block_is_whole),
	    ON_SERVER(large_bodies_arrive_whole_in_every_form),
	    ON_SERVER(expect_continue_is_answered_before_the_body),
	    ON_SERVER(the_last_request_of_a_connection_is_answered_then_it_closes),
	    ON_SERVER(http_1_0_is_kept_alive_when_asked),
	    ON_SERVER(a_client_that_says_it_sends_no_more_still_gets_its_answers),
	    ON_SERVER(head_has_no_body),
	    ON_SERVER(trailers_cannot_pose_as_headers),
	    ON_SERVER(whatever_two_servers_could_read_differently_is_refused),
	    ON_SERVER(an_upgrade_offer_is_ignored),
	    ON_SERVER(too_many_header_bytes_give_431),
	    ON_SERVER(empty_lines_before_a_request_do_not_pile_up),
	    ON_SERVER(a_body_too_large_gives_413),
	    ON_SERVER(a_body_of_exactly_the_limit_is_taken),
	    cmocka_unit_test(a_slow_request_gives_408),
	    cmocka_unit_test(an_idle_connection_is_closed_without_a_word),
	    cmocka_unit_test(more_connections_than_allowed_are_turned_away),
	    cmocka_unit_test(who_does_not_use_its_place_makes_room),
	    cmocka_unit_test(a_client_that_does_not_read_stops_being_read),
	    cmocka_unit_test(a_client_that_never_reads_is_cut_off),
	    cmocka_unit_test(unread_answers_of_all_clients_together_are_limited),
	    cmocka_unit_test(who_leaves_most_unread_is_cut_off_first),
	    cmocka_unit_test(bodies_of_all_clients_together_are_limited),
	    ON_SERVER(an_announced_body_takes_no_memory_before_it_comes),
	    ON_SERVER(gzip_bodies_are_unpacked),
	    ON_SERVER(large_answers_are_packed_for_those_who_ask),
	    ON_SERVER(a_handler_sees_that_its_client_is_gone),
	    cmocka_unit_test(draining_answers_what_is_in_progress),
	    cmocka_unit_test(a_server_stopped_in_the_middle_leaves_nothing_behind),
	    ON_SERVER(a_port_in_use_is_noticed),
	    cmocka_unit_test(addresses_without_sense_are_refused),
	    cmocka_unit_test(two_loops_share_one_port),
	    cmocka_unit_test(without_descriptors_clients_are_refused_and_later_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
