#include <semaphore.h>

#include "io/http_client.h"
#include "kit.h"

/* A client on a loop of its own; calls are started there and waited for here. */
struct out {
	struct kit kit;
	struct loop *loop;
	pthread_t thread;
	struct http_client *client;
};
struct wait {
	struct http_call call;
	struct loop_task task;
	struct http_client *client;
	struct buf body, headers;
	char url[200];
	sem_t done;
	bool cancel;
	int in_progress;
};

static void
start_out(struct out *o, const struct http_client_options *options)
{
	struct err err;

	o->kit = kit_options();
	kit_start(&o->kit);
	assert_int_equal(loop_new(0, &o->loop, &err), S_OK);
	assert_int_equal(http_client_new(o->loop, options, &o->client, &err), S_OK);
	assert_int_equal(pthread_create(&o->thread, NULL, kit_run, o->loop), 0);
}

static void
stop_out(struct out *o)
{
	loop_stop(o->loop);
	pthread_join(o->thread, NULL);
	http_client_free(o->client);
	loop_free(o->loop);
	kit_stop(&o->kit);
}

static void
tell(struct http_call *call)
{
	struct wait *w = call->owner;

	w->in_progress = http_client_in_progress(w->client);
	sem_post(&w->done);
}

static void
begin_on_loop(struct loop_task *task)
{
	struct wait *w = (struct wait *)((char *)task - offsetof(struct wait, task));

	http_client_start(w->client, &w->call);
	if (w->cancel) {
		http_client_cancel(&w->call);
		sem_post(&w->done);
	}
}

static void
begin(struct out *o, struct wait *w, const char *method, int port, const char *path)
{
	snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d%s", port, path);
	sem_init(&w->done, 0, 0);
	w->client = o->client;
	w->call.method = method;
	w->call.url = w->url;
	w->call.out = &w->body;
	w->call.done = tell;
	w->call.owner = w;
	if (w->call.timeout_ms == 0)
		w->call.timeout_ms = 10000;
	if (w->call.out_max == 0)
		w->call.out_max = 1 << 20;
	w->task.run = begin_on_loop;
	loop_post(o->loop, &w->task);
}

static void
await(struct wait *w)
{
	while (sem_wait(&w->done) != 0)
		;
	sem_destroy(&w->done);
}

static void
finish(struct wait *w)
{
	buf_done(&w->body);
	buf_done(&w->headers);
}

static void
what_is_sent_arrives_and_the_answer_comes_back(void **state)
{
	struct out o;
	struct wait w = {0};

	(void)state;
	start_out(&o, &http_client_options_default);
	w.call.headers = SLICE("x-one: 1\r\nX-Two: b c\r\n");
	w.call.body = SLICE("abc");
	w.call.out_headers = &w.headers;
	begin(&o, &w, "POST", o.kit.port, "/headers?q=1");
	await(&w);
	buf_put_byte(&w.body, 0);
	buf_put_byte(&w.headers, 0);
	assert_int_equal(w.call.status, 200);
	assert_int_equal(w.call.failure, HTTP_CALL_OK);
	assert_non_null(strstr(w.body.data, "POST /headers?q=1\n"));
	assert_non_null(strstr(w.body.data, "\nx-one=1\n"));
	assert_non_null(strstr(w.body.data, "\nx-two=b c\n"));
	assert_non_null(strstr(w.body.data, "\ncontent-length=3\n"));
	assert_null(strstr(w.body.data, "expect="));
	assert_non_null(strstr(w.headers.data, "Content-Type: text/plain\r\n"));
	finish(&w);
	stop_out(&o);
}

static void
connections_are_kept_and_their_number_is_bounded(void **state)
{
	struct http_client_options options = http_client_options_default;
	struct wait w[40] = {0};
	struct out o;

	(void)state;
	options.connections = 4;
	start_out(&o, &options);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 40; i++)
			begin(&o, &w[i], "GET", o.kit.port, "/later?5");
		for (int i = 0; i < 40; i++) {
			await(&w[i]);
			assert_int_equal(w[i].call.status, 200);
			assert_memory_equal(w[i].body.data, "later 5", 7);
			w[i].body.len = 0;
		}
	}
	assert_in_range(kit_metric(&o.kit, "stator_http_connections_total"), 1, 4);
	for (int i = 0; i < 40; i++)
		finish(&w[i]);
	stop_out(&o);
}

static void
more_calls_than_allowed_fail_at_once(void **state)
{
	struct http_client_options options = http_client_options_default;
	struct wait w[3] = {0};
	struct out o;

	(void)state;
	options.calls = 2;
	start_out(&o, &options);
	kit_holds = true;
	for (int i = 0; i < 3; i++)
		begin(&o, &w[i], "GET", o.kit.port, "/held");
	await(&w[2]);
	kit_holds = false;
	assert_int_equal(w[2].call.failure, HTTP_CALL_BUSY);
	assert_int_equal(w[2].in_progress, 2);
	for (int i = 0; i < 2; i++) {
		await(&w[i]);
		assert_int_equal(w[i].call.status, 200);
	}
	assert_int_equal(w[0].in_progress + w[1].in_progress, 1);
	stop_out(&o);
	for (int i = 0; i < 3; i++)
		finish(&w[i]);
}

/* Somebody who takes connections and says nothing. */
static int
silent(int *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static void
a_slow_answer_ends_in_time_and_nothing_of_it_is_kept(void **state)
{
	struct wait w = {0};
	struct out o;
	int64_t began = clock_mono_ns();
	int port, fd = silent(&port);

	(void)state;
	start_out(&o, &http_client_options_default);
	w.call.timeout_ms = 60;
	begin(&o, &w, "GET", port, "/");
	await(&w);
	assert_int_equal(w.call.failure, HTTP_CALL_TIME);
	assert_int_equal(w.call.status, 0);
	assert_int_equal(w.body.len, 0);
	assert_true(clock_mono_ns() - began < INT64_C(30000000000)); /* its 60 ms, and not for ever */
	close(fd);
	stop_out(&o);
	finish(&w);
}

static void
nobody_there_is_told_apart_from_an_answer_that_broke_off(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	struct wait nobody = {0}, broken = {0};
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd;
	char request[1000];
	struct out o;

	(void)state;
	start_out(&o, &http_client_options_default);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	begin(&o, &nobody, "GET", ntohs(address.sin_port), "/");
	await(&nobody);
	assert_int_equal(nobody.call.failure, HTTP_CALL_CONNECT);

	assert_int_equal(listen(listener, 1), 0);
	begin(&o, &broken, "GET", ntohs(address.sin_port), "/");
	fd = accept(listener, NULL, NULL);
	assert_true(recv(fd, request, sizeof request, 0) > 0);
	assert_int_equal(send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", 43, 0), 43);
	close(fd);
	await(&broken);
	assert_int_equal(broken.call.failure, HTTP_CALL_BROKEN);
	assert_int_equal(broken.call.status, 0);
	assert_int_equal(broken.body.len, 0);
	close(listener);
	stop_out(&o);
	finish(&nobody);
	finish(&broken);
}

static void
an_answer_too_large_is_refused(void **state)
{
	struct wait w = {0};
	struct out o;

	(void)state;
	start_out(&o, &http_client_options_default);
	w.call.out_max = 100000;
	begin(&o, &w, "GET", o.kit.port, "/big?100001");
	await(&w);
	assert_int_equal(w.call.failure, HTTP_CALL_LARGE);
	begin(&o, &w, "GET", o.kit.port, "/big?100000");
	await(&w);
	assert_int_equal(w.call.status, 200);
	assert_int_equal(w.body.len, 100000);
	stop_out(&o);
	finish(&w);
}

static void
a_call_taken_back_is_not_answered(void **state)
{
	struct wait cancelled = {.cancel = true}, w = {0};
	struct out o;

	(void)state;
	start_out(&o, &http_client_options_default);
	begin(&o, &cancelled, "GET", o.kit.port, "/later?20");
	await(&cancelled);
	begin(&o, &w, "GET", o.kit.port, "/later?60");
	await(
	    &w); /* the other would have been told by now, into a destroyed semaphore and a body that must stay empty */
	assert_int_equal(w.call.status, 200);
	assert_int_equal(w.in_progress, 0);
	assert_int_equal(cancelled.body.len, 0);
	stop_out(&o);
	finish(&w);
	finish(&cancelled);
}

static void
what_is_under_way_at_the_end_leaves_nothing_behind(void **state)
{
	struct wait w = {0};
	struct out o;
	int port, fd = silent(&port);

	(void)state;
	start_out(&o, &http_client_options_default);
	begin(&o, &w, "GET", port, "/");
	kit_sleep_ms(50);
	stop_out(&o);
	close(fd);
	sem_destroy(&w.done);
	finish(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_sent_arrives_and_the_answer_comes_back),
	    cmocka_unit_test(connections_are_kept_and_their_number_is_bounded),
	    cmocka_unit_test(more_calls_than_allowed_fail_at_once),
	    cmocka_unit_test(a_slow_answer_ends_in_time_and_nothing_of_it_is_kept),
	    cmocka_unit_test(nobody_there_is_told_apart_from_an_answer_that_broke_off),
	    cmocka_unit_test(an_answer_too_large_is_refused),
	    cmocka_unit_test(a_call_taken_back_is_not_answered),
	    cmocka_unit_test(what_is_under_way_at_the_end_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
