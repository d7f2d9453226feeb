/* Bodies with a part that is lent: sent as it should be, and given back once and soon, whoever reads it. */
#include "kit.h"

#include "codec/gzip.h"

#define RUN     9973
#define BEFORE  "before "
#define AFTER   " after"
#define WAITERS 12

static _Atomic int lent, given_back;

static char
byte_at(size_t i)
{
	return (char)('a' + (i + i / 251) % 26);
}

static void
give_back(void *const owner[2])
{
	assert_null(owner[1]);
	memset(owner[0], '!', strlen(owner[0])); /* who still sends it is found out */
	free(owner[0]);
	given_back++;
}

/* /lend?N: N bytes of a loan, in runs, between two texts; else as the kit has it. */
static void
handler(struct http_exchange *x, void *context)
{
	struct http_loan loan = {.done = give_back};
	char *bytes;

	if (!slice_eq(x->path, SLICE("/lend"))) {
		kit_handler(x, context);
		return;
	}
	loan.len = strtoull(arena_dup(x->arena, x->query).data, NULL, 10);
	bytes = malloc(loan.len + 1);
	for (size_t i = 0; i < loan.len; i++)
		bytes[i] = byte_at(i);
	bytes[loan.len] = '\0';
	for (size_t at = 0; at < loan.len; at += loan.runs[loan.count++].len) {
		size_t left = loan.len - at, run = loan.count + 1 < HTTP_LOAN_RUNS && left > RUN ? RUN : left;

		loan.runs[loan.count] = slice_of(bytes + at, run);
	}
	loan.owner[0] = bytes;
	buf_put_lit(x->out, BEFORE);
	loan.at = x->out->len;
	buf_put_lit(x->out, AFTER);
	lent++;
	http_lend(x, &loan);
	http_reply(x, 200, SLICE_NONE);
}

static struct kit
lending_options(void)
{
	struct kit k = kit_options();

	k.options.handler = handler;
	lent = given_back = 0;
	return k;
}

static int
setup(void **state)
{
	return kit_start_for_test(lending_options(), state);
}

static void
expect_given_back(int count)
{
	for (int i = 0; i < KIT_PATIENCE_MS && given_back != count; i++)
		kit_sleep_ms(1);
	assert_int_equal(given_back, count);
}

/* Was there a moment at which nothing was lent? */
static void
expect_all_given_back(void)
{
	bool all = false;

	for (int i = 0; i < KIT_PATIENCE_MS && !all; i++) {
		all = given_back == lent;
		if (!all)
			kit_sleep_ms(1);
	}
	assert_true(all);
}

static void
ask(int fd, size_t len, const char *headers)
{
	char text[256];

	snprintf(text, sizeof text, "GET /lend?%zu HTTP/1.1\r\n" HOST "%s\r\n", len, headers);
	client_say(fd, text);
}

static void
assert_body(struct slice body, size_t len)
{
	const size_t before = sizeof BEFORE - 1, after = sizeof AFTER - 1;

	assert_int_equal(body.len, before + len + after);
	assert_memory_equal(body.data, BEFORE, before);
	for (size_t i = 0; i < len; i++)
		if (body.data[before + i] != byte_at(i))
			fail_msg("byte %zu of %zu", i, len);
	assert_memory_equal(body.data + before + len, AFTER, after);
}

/* The next answer has this loan in it. */
static void
expect_answer(int fd, struct buf *in, size_t len)
{
	struct answer a = {0};

	assert_true(client_answer(fd, in, &a, true));
	assert_int_equal(a.status, 200);
	assert_body(buf_slice(&a.body), len);
	answer_done(&a);
}

static void
a_loan_of_any_size_is_sent(void **state)
{
	static const size_t sizes[] = {1, 2, RUN, RUN + 1, 32768, 101000, 180000, 2000000};
	int fd = client_connect(*state), count = 0;
	struct buf in = {0};

	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			ask(fd, sizes[i], "");
			expect_answer(fd, &in, sizes[i]);
			expect_given_back(++count);
		}
	buf_done(&in);
	close(fd);
}

static void
loans_asked_for_at_once_come_in_order(void **state)
{
	int fd = client_connect(*state);
	struct buf in = {0};

	for (size_t i = 0; i < 40; i++) {
		ask(fd, 30000 + 1000 * i, "");
		client_say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
	}
	for (size_t i = 0; i < 40; i++) {
		struct answer a = {0};

		expect_answer(fd, &in, 30000 + 1000 * i);
		assert_true(client_answer(fd, &in, &a, true));
		assert_string_equal(a.body.data, "hello");
		answer_done(&a);
	}
	expect_given_back(40);
	buf_done(&in);
	close(fd);
}

/* More than the system takes for it is copied: nothing stays lent. */
static void
who_does_not_read_keeps_no_loan(void **state)
{
	struct kit *k = *state;
	int fd = client_connect(k), some = 65536;
	struct buf in = {0};
	double unsent = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &some, sizeof some);
	for (int i = 0; i < WAITERS; i++)
		ask(fd, 1000000, "");
	for (int i = 0; i < KIT_PATIENCE_MS && unsent <= 0; i++) {
		unsent =
		    kit_metric(k, "stator_http_unsent_bytes"); /* none for moments, until nothing more can be sent */
		kit_sleep_ms(1);
	}
	assert_true(lent > 0 && unsent > 0);
	/* what was lent is given back, though not a byte was read here */
	expect_all_given_back();
	for (int i = 0; i < WAITERS; i++)
		expect_answer(fd, &in, 1000000);
	expect_given_back(WAITERS);
	kit_expect_metric(k, "stator_http_unsent_bytes", 0);
	buf_done(&in);
	close(fd);
}

static void
what_waits_behind_another_answer_keeps_no_loan(void **state)
{
	int fd = client_connect(*state);
	struct answer a = {0};
	struct buf in = {0};

	kit_holds = true;
	client_say(fd, "GET /held HTTP/1.1\r\n" HOST "\r\n");
	ask(fd, 100000, "");
	expect_given_back(1);
	kit_holds = false;
	assert_true(client_answer(fd, &in, &a, true));
	assert_string_equal(a.body.data, "held");
	expect_answer(fd, &in, 100000);
	answer_done(&a);
	buf_done(&in);
	close(fd);
}

static void
who_leaves_keeps_no_loan(void **state)
{
	struct kit *k = *state;
	struct linger reset = {.l_onoff = 1};

	for (int i = 0; i < 20; i++) {
		int fd = client_connect(k);

		for (int n = 0; n < 3; n++)
			ask(fd, 3000000, "");
		if (i & 1)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		close(fd);
	}
	kit_expect_metric(k, "stator_http_connections_total", 20);
	kit_expect_metric(k, "stator_http_connections", 0);
	kit_expect_metric(k, "stator_http_in_progress", 0);
	expect_all_given_back();
	kit_expect_metric(k, "stator_http_unsent_bytes", 0);
}

static void
a_loan_can_be_packed_and_its_length_told(void **state)
{
	int fd = client_connect(*state);
	struct buf in = {0}, body = {0};
	struct answer a = {0};
	struct err err;

	ask(fd, 100000, "Accept-Encoding: gzip\r\n");
	assert_true(client_answer(fd, &in, &a, true));
	assert_non_null(strstr(a.head.data, "Content-Encoding: gzip"));
	assert_int_equal(gzip_unpack(buf_slice(&a.body), 200000, &body, &err), S_OK);
	assert_body(buf_slice(&body), 100000);
	expect_given_back(1);
	client_say(fd, "HEAD /lend?70000 HTTP/1.1\r\n" HOST "\r\n");
	assert_true(client_answer(fd, &in, &a, false));
	assert_non_null(strstr(a.head.data, "Content-Length: 70013"));
	expect_given_back(2);
	ask(fd, 50000, ""); /* and no body followed */
	expect_answer(fd, &in, 50000);
	answer_done(&a);
	buf_done(&body);
	buf_done(&in);
	close(fd);
}

static void
a_server_that_stops_gives_all_back(void **state)
{
	struct kit k = lending_options();
	int fds[4];

	(void)state;
	kit_start(&k);
	for (int i = 0; i < 4; i++) {
		fds[i] = client_connect(&k);
		ask(fds[i], 20000000, "");
	}
	for (int i = 0; i < KIT_PATIENCE_MS && lent < 4; i++)
		kit_sleep_ms(1);
	kit_stop(&k);
	assert_int_equal(given_back, lent);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

#define LENDING(test) cmocka_unit_test_setup_teardown(test, setup, kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    LENDING(a_loan_of_any_size_is_sent),
	    LENDING(loans_asked_for_at_once_come_in_order),
	    LENDING(who_does_not_read_keeps_no_loan),
	    LENDING(what_waits_behind_another_answer_keeps_no_loan),
	    LENDING(who_leaves_keeps_no_loan),
	    LENDING(a_loan_can_be_packed_and_its_length_told),
	    cmocka_unit_test(a_server_that_stops_gives_all_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
