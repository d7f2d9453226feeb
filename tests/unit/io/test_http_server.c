/* Clients and servers that come and go. */
#include <sys/resource.h>

#include "kit.h"

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

/* ---- turns between the pieces of a large answer ---- */

#define LARGE_BYTES (16 << 20)
#define PIECE_BYTES (128 * 1024 + 1024) /* with its head */

static struct watch {
	struct loop_job job;
	struct loop *loop;
	struct kit *kit;
	long long sent; /* when it was last its turn */
	_Atomic long long most;
	_Atomic int turns;
} watch;

/* Another job of the same flow, which is queued behind each piece. */
static void
watch_turn(struct loop_job *j)
{
	long long sent = kit_metric(watch.kit, "stator_http_sent_bytes_total");

	if (sent - watch.sent > watch.most)
		watch.most = sent - watch.sent;
	watch.turns += sent > watch.sent;
	watch.sent = sent;
	if (sent < LARGE_BYTES)
		loop_job_add(watch.loop, j);
}

static void
watched_handler(struct http_exchange *x, void *context)
{
	kit_handler(x, context);
	watch.loop = x->loop;
	watch.job = (struct loop_job){.run = watch_turn, .flow = x->flow};
	loop_job_add(x->loop, &watch.job);
}

static void
a_large_answer_leaves_in_pieces_with_turns_of_others_between(void **state)
{
	static const char request[] = "GET /big?16777216 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
	struct kit k = kit_options();
	struct buf in = {0};
	int fd;

	(void)state;
	k.options.handler = watched_handler;
	watch.kit = &k;
	kit_start(&k);
	fd = client_connect(&k);
	client_say(fd, request);
	client_read_all(fd, &in);
	assert_true(in.len > LARGE_BYTES);
	assert_in_range(watch.most, 1, PIECE_BYTES);
	assert_true(watch.turns >= LARGE_BYTES / PIECE_BYTES);
	close(fd);
	buf_done(&in);
	kit_stop(&k);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    ON_SERVER(a_handler_sees_that_its_client_is_gone),
	    cmocka_unit_test(draining_answers_what_is_in_progress),
	    cmocka_unit_test(a_server_stopped_in_the_middle_leaves_nothing_behind),
	    ON_SERVER(a_port_in_use_is_noticed),
	    cmocka_unit_test(addresses_without_sense_are_refused),
	    cmocka_unit_test(two_loops_share_one_port),
	    cmocka_unit_test(a_large_answer_leaves_in_pieces_with_turns_of_others_between),
	    cmocka_unit_test(without_descriptors_clients_are_refused_and_later_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
