/* HTTP/1.1: requests are read and answers sent as the rules say. */
#include <ctype.h>
#include <netinet/tcp.h>

#include "codec/gzip.h"
#include "kit.h"

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

/* Of every length, and beside them what stands around the letters in ASCII. */
static void
names_of_headers_are_lower_case_and_their_values_as_they_came(void **state)
{
	static const char letters[] = "ZQ^_AJK`|~ABCDEFGHIJKLMNOPQRSTUVWXYZ-09abcyz";
	struct buf request = {0}, expected = {0};
	const char *body;

	buf_printf(&request, "GET /headers HTTP/1.1\r\n" HOST);
	buf_printf(&expected, "GET /headers\nhost=x\n");
	for (int len = 1; len < (int)sizeof letters; len++) {
		buf_printf(&request, "%.*s:%.*s\r\n", len, letters, len, letters);
		for (int i = 0; i < len; i++)
			buf_put_byte(&expected, (uint8_t)tolower((unsigned char)letters[i]));
		buf_printf(&expected, "=%.*s\n", len, letters);
	}
	buf_put_lit(&request, "\r\n");
	buf_put_byte(&expected, 0);
	body = expected.data;
	expect_bodies(*state, request.data, request.len, &body, 1);
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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    ON_SERVER(a_connection_answers_one_request_after_the_other),
	    ON_SERVER(a_request_may_come_byte_by_byte),
	    ON_SERVER(answers_leave_in_the_order_of_their_requests),
	    ON_SERVER(hundreds_of_pipelined_requests_are_answered),
	    ON_SERVER(a_head_larger_than_a_block_is_whole),
	    ON_SERVER(names_of_headers_are_lower_case_and_their_values_as_they_came),
	    ON_SERVER(large_bodies_arrive_whole_in_every_form),
	    ON_SERVER(expect_continue_is_answered_before_the_body),
	    ON_SERVER(the_last_request_of_a_connection_is_answered_then_it_closes),
	    ON_SERVER(http_1_0_is_kept_alive_when_asked),
	    ON_SERVER(a_client_that_says_it_sends_no_more_still_gets_its_answers),
	    ON_SERVER(head_has_no_body),
	    ON_SERVER(trailers_cannot_pose_as_headers),
	    ON_SERVER(whatever_two_servers_could_read_differently_is_refused),
	    ON_SERVER(an_upgrade_offer_is_ignored),
	    ON_SERVER(gzip_bodies_are_unpacked),
	    ON_SERVER(large_answers_are_packed_for_those_who_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
