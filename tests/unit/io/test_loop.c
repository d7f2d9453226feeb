#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "kit.h"

struct timed {
	struct loop_timer timer;
	struct loop *loop;
	int64_t due_ns, late_ns;
	int *order, place;
	struct timed *clears;
};

static int fired;

static void
timed_fire(struct loop_timer *t)
{
	struct timed *timed = (struct timed *)t;

	timed->late_ns = clock_mono_ns() - timed->due_ns;
	timed->place = ++fired;
	if (timed->clears != NULL)
		loop_timer_clear(timed->loop, &timed->clears->timer);
}

static void
stop_fire(struct loop_timer *t)
{
	loop_stop(((struct timed *)t)->loop);
}

static void
timers_fire_in_time(void **state)
{
	static const int delays_ms[] = {0, 1, 30, 5, 90, 60};
	struct timed timers[6] = {0}, stop = {0};
	struct loop *l;

	(void)state;
	fired = 0;
	assert_int_equal(loop_new(0, &l, NULL), S_OK);
	for (int i = 0; i < 6; i++) {
		timers[i].loop = l;
		timers[i].timer.fire = timed_fire;
		timers[i].due_ns = clock_mono_ns() + (int64_t)delays_ms[i] * 1000000;
		loop_timer_set(l, &timers[i].timer, timers[i].due_ns);
	}
	stop.loop = l;
	stop.timer.fire = stop_fire;
	loop_timer_set(l, &stop.timer, clock_mono_ns() + 120 * 1000000);
	loop_run(l);
	assert_int_equal(fired, 6);
	for (int i = 0; i < 6; i++) {
		assert_true(timers[i].late_ns >= 0); /* never early */
		assert_int_equal(timers[i].timer.due_ns, 0);
	}
	assert_true(timers[3].place < timers[2].place && timers[2].place < timers[5].place &&
		    timers[5].place < timers[4].place);
	loop_free(l);
}

static void
a_cleared_timer_does_not_fire_even_when_due_with_the_one_that_clears_it(void **state)
{
	struct timed first = {0}, second = {0}, stop = {0};
	struct loop *l;
	int64_t due;

	(void)state;
	fired = 0;
	assert_int_equal(loop_new(0, &l, NULL), S_OK);
	due = clock_mono_ns() + 10 * 1000000;
	first.loop = second.loop = stop.loop = l;
	first.timer.fire = second.timer.fire = timed_fire;
	first.clears = &second;
	stop.timer.fire = stop_fire;
	loop_timer_set(l, &first.timer, due);
	loop_timer_set(l, &second.timer, due);
	loop_timer_set(l, &stop.timer, due + 30 * 1000000);
	loop_run(l);
	assert_int_equal(fired, 1);
	loop_free(l);
}

/* A revolution of the wheel is some 4 s. */
static void
a_timer_due_after_many_revolutions_waits(void **state)
{
	struct timed far = {0}, stop = {0};
	struct loop *l;

	(void)state;
	fired = 0;
	assert_int_equal(loop_new(0, &l, NULL), S_OK);
	far.loop = stop.loop = l;
	far.timer.fire = timed_fire;
	stop.timer.fire = stop_fire;
	loop_timer_set(l, &far.timer, clock_mono_ns() + (int64_t)4096 * 100 * 1000000 + 20 * 1000000);
	loop_timer_set(l, &stop.timer, clock_mono_ns() + 60 * 1000000);
	loop_run(l);
	assert_int_equal(fired, 0);
	loop_timer_clear(l, &far.timer);
	loop_free(l);
}

#define POSTERS 4
#define POSTS   20000

struct posted {
	struct loop_task task;
	int poster, number;
};
static struct loop *posted_to;
static int posts_run, last_number[POSTERS];
static bool out_of_order;

static void
post_run(struct loop_task *t)
{
	struct posted *p = (struct posted *)t;

	out_of_order |= p->number != last_number[p->poster] + 1;
	last_number[p->poster] = p->number;
	assert_ptr_equal(loop_current(), posted_to);
	free(p);
	if (++posts_run == POSTERS * POSTS)
		loop_stop(posted_to);
}

static void *
poster(void *context)
{
	for (int i = 1; i <= POSTS; i++) {
		struct posted *p = calloc(1, sizeof *p);

		p->task.run = post_run;
		p->poster = (int)(intptr_t)context;
		p->number = i;
		loop_post(posted_to, &p->task);
		if (i % 1000 == 0)
			usleep(100);
	}
	return NULL;
}

static void
posts_of_many_threads_all_run_each_threads_in_order(void **state)
{
	pthread_t threads[POSTERS];

	(void)state;
	assert_int_equal(loop_new(0, &posted_to, NULL), S_OK);
	for (int i = 0; i < POSTERS; i++)
		pthread_create(&threads[i], NULL, poster, (void *)(intptr_t)i);
	loop_run(posted_to);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(posts_run, POSTERS * POSTS);
	assert_false(out_of_order);
	loop_free(posted_to);
}

static struct loop_fd pair[2];
static int readies;

static void
ready_removes_the_other(struct loop_fd *f, uint32_t events)
{
	struct loop *l = loop_current();

	(void)events;
	readies++;
	loop_remove(l, &pair[0]);
	loop_remove(l, &pair[1]);
	f->ready = NULL; /* called again it would crash */
	loop_stop(l);
}

static void
a_removed_descriptor_gets_no_event_of_the_same_turn(void **state)
{
	struct loop *l;
	int fds[2][2];

	(void)state;
	assert_int_equal(loop_new(0, &l, NULL), S_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe2(fds[i], O_CLOEXEC), 0);
		assert_int_equal(write(fds[i][1], "x", 1), 1);
		pair[i] = (struct loop_fd){.fd = fds[i][0], .ready = ready_removes_the_other};
		assert_int_equal(loop_add(l, &pair[i], EPOLLIN, NULL), S_OK);
	}
	loop_run(l);
	assert_int_equal(readies, 1);
	for (int i = 0; i < 2; i++) {
		close(fds[i][0]);
		close(fds[i][1]);
	}
	loop_free(l);
}

static char trace[32];

static void
hook(struct loop *l, void *context)
{
	strcat(trace, context);
	if (strlen(trace) == 6)
		loop_stop(l);
}

static void
nothing(struct loop_task *t)
{
	(void)t;
}

static void
flushes_run_after_all_turn_end_hooks(void **state)
{
	struct loop_task task = {.run = nothing};
	struct loop *l;

	(void)state;
	assert_int_equal(loop_new(7, &l, NULL), S_OK);
	assert_int_equal(loop_index(l), 7);
	loop_on_flush(l, hook, "F");
	loop_on_turn_end(l, hook, "a");
	loop_on_turn_end(l, hook, "b");
	loop_post(l, &task);
	loop_stop(l);
	loop_run(l); /* stopped before it began: no turn */
	assert_string_equal(trace, "");
	loop_free(l);

	assert_int_equal(loop_new(7, &l, NULL), S_OK);
	loop_on_flush(l, hook, "F");
	loop_on_turn_end(l, hook, "a");
	loop_on_turn_end(l, hook, "bcde");
	task.next = NULL;
	loop_post(l, &task);
	loop_run(l);
	assert_string_equal(trace, "abcdeF");
	loop_free(l);
}

/* A loop that gives back each byte it reads, and writes one for each message. */
struct echo {
	struct loop_fd fd; /* first */
	struct loop_task task;
	struct loop *loop;
};

static void
echo_byte(struct loop_fd *f, uint32_t events)
{
	char byte;

	(void)events;
	assert_int_equal(read(f->fd, &byte, 1), 1);
	assert_int_equal(write(f->fd, &byte, 1), 1);
}

static void
echo_message(struct loop_task *t)
{
	struct echo *e = (struct echo *)((char *)t - offsetof(struct echo, task));

	assert_int_equal(write(e->fd.fd, "m", 1), 1);
}

static void *
run_echo(void *context)
{
	loop_run(((struct echo *)context)->loop);
	return NULL;
}

static int64_t
cpu_ns(pthread_t thread)
{
	struct timespec t;
	clockid_t clock;

	assert_int_equal(pthread_getcpuclockid(thread, &clock), 0);
	assert_int_equal(clock_gettime(clock, &t), 0);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Short waits let it stay awake: it misses neither events nor messages then, and sleeps again as soon as they end. */
static void
a_loop_that_is_asked_again_at_once_misses_nothing_and_sleeps_when_it_is_left_alone(void **state)
{
	struct echo e = {.fd.ready = echo_byte, .task.run = echo_message};
	pthread_t thread;
	int64_t before_ns;
	char byte;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(loop_new(0, &e.loop, NULL), S_OK);
	e.fd.fd = fds[0];
	assert_int_equal(loop_add(e.loop, &e.fd, EPOLLIN, NULL), S_OK);
	assert_int_equal(pthread_create(&thread, NULL, run_echo, &e), 0);
	for (int i = 0; i < 3000; i++) { /* a missed one would be waited for until the test is ended */
		if (i % 16 == 15)
			loop_post(e.loop, &e.task);
		else
			assert_int_equal(write(fds[1], "b", 1), 1);
		assert_int_equal(read(fds[1], &byte, 1), 1);
		assert_int_equal(byte, i % 16 == 15 ? 'm' : 'b');
	}
	before_ns = cpu_ns(thread);
	usleep(300000);
	assert_true(cpu_ns(thread) - before_ns < 100000000); /* it stays awake for 50 us; a slow machine takes less */
	loop_stop(e.loop);
	pthread_join(thread, NULL);
	loop_free(e.loop);
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(timers_fire_in_time),
	    cmocka_unit_test(a_cleared_timer_does_not_fire_even_when_due_with_the_one_that_clears_it),
	    cmocka_unit_test(a_timer_due_after_many_revolutions_waits),
	    cmocka_unit_test(posts_of_many_threads_all_run_each_threads_in_order),
	    cmocka_unit_test(a_removed_descriptor_gets_no_event_of_the_same_turn),
	    cmocka_unit_test(flushes_run_after_all_turn_end_hooks),
	    cmocka_unit_test(a_loop_that_is_asked_again_at_once_misses_nothing_and_sleeps_when_it_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
