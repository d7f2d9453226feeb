/* What one client may cost: limits on heads and bodies, times, connections, and what is not read. */

#include "kit.h"

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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
