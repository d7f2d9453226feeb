/*
 * Kills a writing engine at random moments and looks for every acknowledged write.
 *
 *   engine_crash [ROUNDS [SEED]]
 *
 * Each round a child opens the engine and writes from several threads: an item and a log row in one batch, an
 * overwritten key, a deletion of an older item. What the engine called durable it reports through a pipe. The parent
 * kills it with -9, sometimes at a fault point around the sync, sometimes after the engine has lived through a failed
 * sync, and sometimes tears the end of the log afterwards. A second child opens what is left and checks it:
 *
 *   every acknowledged item is there with its bytes, or was deleted by a later batch; every acknowledged deletion
 * holds; an item and its log row are both there or both not; the overwritten key is not older than acknowledged.
 */
#include "base/fault.h"
#include "base/log.h"
#include "engine/engine.h"
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS     4
#define IN_FLIGHT   16
#define KEEP_ROUNDS 5  /* older ones are dropped by the next child */
#define DELETE_LAG  40 /* record n deletes record n - DELETE_LAG when that is odd */

struct acknowledged {
	uint32_t round;
	uint32_t thread;
	uint64_t count; /* the first so many records of the thread */
};

struct writer {
	struct engine *engine;
	uint32_t round;
	uint32_t thread;
	int pipe;
};

static char dir[64] = "/tmp/stator-crash-XXXXXX";
static uint64_t acknowledged[KEEP_ROUNDS][THREADS]; /* by round % KEEP_ROUNDS */
static uint64_t total;
static uint64_t seed;

static uint64_t
random_below(uint64_t limit)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % limit;
}

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	_exit(2);
}

static struct engine *
open_engine(void)
{
	/* small buffers, so that logs are switched and tables written all the time */
	struct engine_options options = {dir, 4 << 20, 256 << 10, false, 1 << 20};
	struct engine *e;
	struct err err;

	if (engine_rocksdb_open(&options, &e, &err) != S_OK)
		die("opening failed", err.message);
	return e;
}

static struct slice
make_key(char key[64], uint32_t round, uint32_t thread, uint64_t n)
{
	return slice_of(key, (size_t)snprintf(key, 64, "%08u/%02u/%010llu", round, thread, (unsigned long long)n));
}

static struct slice
make_value(char value[2048], struct slice key)
{
	uint64_t h = 1469598103934665603u;
	size_t len;

	for (size_t i = 0; i < key.len; i++)
		h = (h ^ (uint8_t)key.data[i]) * 1099511628211u;
	len = 50 + h % 1900;
	for (size_t i = 0; i < len; i++, h = h * 6364136223846793005u + 1)
		value[i] = (char)(h >> 56);
	return slice_of(value, len);
}

static bool
is_deleted_by(uint64_t n)
{
	return n >= DELETE_LAG && (n - DELETE_LAG) % 2 == 1;
}

/* ---- the writing child ---- */

static void
fill_batch(struct engine_batch *b, const struct writer *w, uint64_t n)
{
	char key[64], old[64], value[2048], hot[32];
	struct slice k = make_key(key, w->round, w->thread, n);

	engine_batch_clear(b);
	engine_batch_put(b, SPACE_ITEMS, k, make_value(value, k));
	engine_batch_put(b, SPACE_LOG, k, SLICE("change"));
	engine_batch_put(b, SPACE_INDEXES, slice_of(hot, (size_t)sprintf(hot, "hot/%08u/%02u", w->round, w->thread)),
			 slice_of(&n, sizeof n));
	if (is_deleted_by(n))
		engine_batch_delete(b, SPACE_ITEMS, make_key(old, w->round, w->thread, n - DELETE_LAG));
}

/* Ends at the first loss: what comes after a gap cannot be told by a count. */
static void *
write_until_killed(void *context)
{
	const struct writer *w = context;
	struct engine_batch *b = engine_batch_new(w->engine);
	struct acknowledged done = {w->round, w->thread, 0};
	uint64_t n = 0, seq = 0;

	for (;;) {
		for (int i = 0; i < IN_FLIGHT; i++) {
			fill_batch(b, w, n);
			if (engine_apply(w->engine, b, &seq, NULL) != S_OK)
				goto out;
			n++;
		}
		if (engine_sync_to(w->engine, seq, NULL) != S_OK)
			goto out;
		done.count = n;
		if (write(w->pipe, &done, sizeof done) != (ssize_t)sizeof done)
			_exit(3);
	}
out:
	engine_batch_free(b);
	return NULL;
}

static void
run_child(uint32_t round, const char *faults, int pipe)
{
	struct writer writers[THREADS];
	pthread_t threads[THREADS];
	struct engine *e;
	struct err err;
	char from[64], to[64];

	fault_setup(faults);
	e = open_engine();
	if (round >= KEEP_ROUNDS) {
		snprintf(from, sizeof from, "%08u/", 0u);
		snprintf(to, sizeof to, "%08u/", round - KEEP_ROUNDS + 1);
		engine_drop(e, SPACE_ITEMS, slice_str(from), slice_str(to), &err);
		engine_drop(e, SPACE_LOG, slice_str(from), slice_str(to), &err);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		writers[i] = (struct writer){e, round, i, pipe};
		pthread_create(&threads[i], NULL, write_until_killed, &writers[i]);
	}
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (;;)
		pause(); /* all threads met a failed sync: wait for the kill, while the engine recovers */
}

/* ---- the checking child ---- */

static int
complain(const char *what, struct slice key, uint64_t count)
{
	fprintf(stderr, "%s: %.*s (acknowledged: %llu)\n", what, SLICE_ARG(key), (unsigned long long)count);
	return 1;
}

static int
check_record(struct engine *e, uint32_t round, uint32_t thread, uint64_t n, uint64_t count)
{
	char key[64], value[2048];
	struct slice k = make_key(key, round, thread, n);
	struct engine_value item, row;
	enum status has_item = engine_get(e, NULL, SPACE_ITEMS, k, ENGINE_MAY_BLOCK, &item, NULL);
	enum status has_row = engine_get(e, NULL, SPACE_LOG, k, ENGINE_MAY_BLOCK, &row, NULL);
	bool deletable = n % 2 == 1; /* by the record DELETE_LAG later, which may be there although not acknowledged */
	int bad = 0;

	if ((has_item != S_OK && has_item != S_NOT_FOUND) || (has_row != S_OK && has_row != S_NOT_FOUND))
		bad = complain("unreadable", k, count);
	else if (n < count && has_row != S_OK)
		bad = complain("lost", k, count);
	else if (deletable && n + DELETE_LAG < count && has_item == S_OK)
		bad = complain("deleted and there again", k, count);
	else if (has_item != has_row && !(deletable && has_row == S_OK))
		bad = complain("half a batch", k, count);
	else if (has_item == S_NOT_FOUND && deletable && n < count && n + DELETE_LAG >= count + IN_FLIGHT)
		bad = complain("lost before anybody deleted it", k, count);
	else if (has_item == S_OK && !slice_eq(item.data, make_value(value, k)))
		bad = complain("wrong bytes", k, count);
	engine_value_done(&item);
	engine_value_done(&row);
	return bad;
}

static int
check_hot(struct engine *e, uint32_t round, uint32_t thread, uint64_t count)
{
	struct engine_value v;
	uint64_t n = 0;
	char key[32];
	struct slice k = slice_of(key, (size_t)sprintf(key, "hot/%08u/%02u", round, thread));
	int bad = 0;

	if (count == 0)
		return 0;
	if (engine_get(e, NULL, SPACE_INDEXES, k, ENGINE_MAY_BLOCK, &v, NULL) == S_OK && v.data.len == sizeof n)
		memcpy(&n, v.data.data, sizeof n);
	if (n + 1 < count)
		bad = complain("older than acknowledged", k, count);
	engine_value_done(&v);
	return bad;
}

static void
run_check(uint32_t last_round)
{
	uint32_t first = last_round >= KEEP_ROUNDS - 1 ? last_round - (KEEP_ROUNDS - 1) : 0;
	struct engine *e = open_engine();
	int bad = 0;

	for (uint32_t round = first; round <= last_round; round++) {
		for (uint32_t thread = 0; thread < THREADS; thread++) {
			uint64_t count = acknowledged[round % KEEP_ROUNDS][thread];

			for (uint64_t n = 0; n < count + IN_FLIGHT && bad < 10; n++)
				bad += check_record(e, round, thread, n, count);
			bad += check_hot(e, round, thread, count);
		}
	}
	/* leave it as a crash would, half of the time: a log that has been replayed must be replayable again */
	if (last_round % 2 == 0)
		engine_close(e);
	_exit(bad > 0);
}

/* ---- the parent ---- */

static void
read_reports(int pipe, int64_t for_ms)
{
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += for_ms * 1000000;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	for (;;) {
		struct pollfd poll_fd = {.fd = pipe, .events = POLLIN};
		struct acknowledged a;
		int64_t left;

		clock_gettime(CLOCK_MONOTONIC, &now);
		left = (end.tv_sec - now.tv_sec) * 1000 + (end.tv_nsec - now.tv_nsec) / 1000000;
		if (for_ms >= 0 && (left <= 0 || poll(&poll_fd, 1, (int)left) <= 0))
			return;
		if (read(pipe, &a, sizeof a) != (ssize_t)sizeof a)
			return; /* the child is gone and the pipe is empty */
		total += a.count - acknowledged[a.round % KEEP_ROUNDS][a.thread];
		acknowledged[a.round % KEEP_ROUNDS][a.thread] = a.count;
	}
}

/* Behind what was written last; the zeros that it may end with are those of a number. The position is then the file's
 * end. */
static off_t
content_end(FILE *f)
{
	off_t at = 0, end = 0;
	int c;

	rewind(f);
	for (; (c = getc(f)) != EOF; at++)
		if (c != 0)
			end = at + 1 + (off_t)sizeof(uint64_t);
	return end < at ? end : at;
}

/* What a crash of the machine may leave behind the last sync. */
static void
tear_log(void)
{
	char path[128] = "", garbage[3000];
	unsigned long newest = 0;
	struct dirent *entry;
	DIR *d = opendir(dir);
	off_t behind;
	FILE *f;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		char *end;
		unsigned long number = strtoul(entry->d_name, &end, 10);

		if (strcmp(end, ".log") == 0 && number >= newest) {
			newest = number;
			snprintf(path, sizeof path, "%s/%.32s", dir, entry->d_name);
		}
	}
	if (d != NULL)
		closedir(d);
	if (newest == 0 || (f = fopen(path, "r+b")) == NULL)
		return;
	for (size_t i = 0; i < sizeof garbage; i++)
		garbage[i] = (char)random_below(256);
	/* where it was written last, with or without zeros behind that; or behind those */
	behind = content_end(f);
	if (random_below(3) > 0)
		fseeko(f, behind, SEEK_SET);
	fwrite(garbage, 1, random_below(sizeof garbage), f);
	fclose(f);
}

static int
one_round(uint32_t round)
{
	static const char *const points[] = {"engine-before-sync:kill", "engine-after-sync:kill",
					     "engine-before-sync:io", "engine-after-sync:io"};
	char faults[64] = "";
	int fds[2], status;
	pid_t child;

	if (random_below(3) == 0)
		snprintf(faults, sizeof faults, "%s:%u", points[random_below(4)], 1 + (unsigned)random_below(200));
	memset(acknowledged[round % KEEP_ROUNDS], 0, sizeof acknowledged[0]);
	if (pipe(fds) != 0)
		die("pipe", strerror(errno));
	child = fork();
	if (child == 0) {
		close(fds[0]);
		run_child(round, faults, fds[1]);
	}
	close(fds[1]);
	read_reports(fds[0], (int64_t)random_below(random_below(4) == 0 ? 20 : 200));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	read_reports(fds[0], -1);
	close(fds[0]);
	if (!WIFSIGNALED(status)) {
		fprintf(stderr, "round %u: the child ended by itself\n", round);
		return 1;
	}
	if (random_below(3) == 0)
		tear_log();
	child = fork();
	if (child == 0)
		run_check(round);
	waitpid(child, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	fprintf(stderr, "round %u (faults \"%s\") failed; the directory %s is kept\n", round, faults, dir);
	return 1;
}

int
main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 20;

	log_setup(LOG_ERROR + 1, LOG_TEXT); /* injected failures are no news */
	seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
	printf("%u rounds, seed %llu\n", rounds, (unsigned long long)seed);
	fflush(stdout);
	if (mkdtemp(dir) == NULL)
		die(dir, strerror(errno));
	for (uint32_t round = 0; round < rounds; round++) {
		if (one_round(round) != 0)
			return 1;
	}
	printf("%llu acknowledged writes, all found\n", (unsigned long long)total);
	folder_remove(dir);
	return total == 0;
}
