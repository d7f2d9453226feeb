#include "base/fault.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAULTS_MAX   16
#define SLEEP_MAX_MS 600000 /* ten minutes; longer is a typing error */

enum fault_kind { FAULT_KILL, FAULT_IO, FAULT_SLEEP, FAULT_NOTHING };

struct fault {
	int point; /* FAULT_COUNT: all */
	enum fault_kind kind;
	uint64_t sleep_ms;
	uint64_t only; /* the passage that is hit, counted from 1; 0: each */
};

static const struct {
	const char *name, *between;
	enum fault_way way;
} points[FAULT_COUNT] = {
#define X(id, way, name, between) [FAULT_##id] = {name, between, FAULT_##way},
    FAULT_LIST(X)
#undef X
};

atomic_bool fault_armed;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* guarded by lock */
static struct fault faults[FAULTS_MAX];
static int fault_count;
static uint64_t passed[FAULT_COUNT]; /* since something was armed */

/* The next field of a specification, up to ':' or ','; the rest starts with what ended it. */
static size_t
field_take(const char **at, const char **ret_field)
{
	size_t length = strcspn(*at, ":,");

	*ret_field = *at;
	*at += length;
	return length;
}

static bool
is_text(const char *text, const char *field, size_t length)
{
	return length == strlen(text) && memcmp(field, text, length) == 0;
}

static bool
number_take(const char **at, uint64_t max, uint64_t *ret)
{
	const char *field;
	size_t length = field_take(at, &field);
	uint64_t value = 0;

	if (length == 0 || length > 18)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (field[i] < '0' || field[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(field[i] - '0');
	}
	*ret = value;
	return value <= max;
}

static bool
point_take(const char **at, int *ret)
{
	const char *field;
	size_t length = field_take(at, &field);

	*ret = FAULT_COUNT;
	if (is_text("all", field, length))
		return true;
	for (*ret = 0; *ret < FAULT_COUNT; ++*ret)
		if (is_text(points[*ret].name, field, length))
			return true;
	return false;
}

static bool
fault_parse(const char **at, struct fault *ret)
{
	static const struct {
		const char *name;
		enum fault_kind kind;
	} kinds[] = {{"kill", FAULT_KILL}, {"io", FAULT_IO}, {"sleep", FAULT_SLEEP}, {"count", FAULT_NOTHING}};
	const char *field;
	size_t length, i;

	memset(ret, 0, sizeof *ret);
	if (!point_take(at, &ret->point) || **at != ':')
		return false;
	++*at;
	length = field_take(at, &field);
	for (i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (is_text(kinds[i].name, field, length))
			break;
	if (i == sizeof kinds / sizeof kinds[0])
		return false;
	ret->kind = kinds[i].kind;
	if (ret->kind == FAULT_IO && (ret->point == FAULT_COUNT || points[ret->point].way != FAULT_FAILS))
		return false;
	if (ret->kind == FAULT_SLEEP) {
		if (**at != ':')
			return false;
		++*at;
		if (!number_take(at, SLEEP_MAX_MS, &ret->sleep_ms))
			return false;
	}
	if (**at == ':') {
		++*at;
		if (!number_take(at, UINT64_MAX, &ret->only) || ret->only == 0)
			return false;
	}
	return **at == ',' || **at == '\0';
}

bool
fault_setup(const char *specification)
{
	struct fault parsed[FAULTS_MAX];
	int count = 0;

	for (const char *at = specification != NULL ? specification : ""; *at != '\0';) {
		if (count == FAULTS_MAX || !fault_parse(&at, &parsed[count]))
			return false;
		count++;
		if (*at == ',' && *++at == '\0')
			return false;
	}
	pthread_mutex_lock(&lock);
	if (count > 0)
		memcpy(faults, parsed, sizeof faults[0] * (size_t)count);
	fault_count = count;
	memset(passed, 0, sizeof passed);
	atomic_store(&fault_armed, count > 0);
	pthread_mutex_unlock(&lock);
	return true;
}

struct fault_told
fault_tell(enum fault_point point)
{
	struct fault_told told = {points[point].name, points[point].between, points[point].way == FAULT_FAILS, 0};

	pthread_mutex_lock(&lock);
	told.passed = passed[point];
	pthread_mutex_unlock(&lock);
	return told;
}

static void
sleep_ms(uint64_t ms)
{
	struct timespec left = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

	while (nanosleep(&left, &left) != 0)
		;
}

/* The last word of a process that shall end now: no buffer, no lock. */
static void
die_at(enum fault_point point)
{
	dprintf(STDERR_FILENO, "fault point %s: killed at passage %llu\n", points[point].name,
		(unsigned long long)passed[point]);
	kill(getpid(), SIGKILL);
}

bool
fault_hit_slow(enum fault_point point)
{
	uint64_t wait_ms = 0;
	bool fail = false;

	pthread_mutex_lock(&lock);
	passed[point]++;
	for (int i = 0; i < fault_count; i++) {
		const struct fault *f = &faults[i];

		if ((f->point != (int)point && f->point != FAULT_COUNT) || (f->only != 0 && passed[point] != f->only))
			continue;
		switch (f->kind) {
		case FAULT_KILL:
			die_at(point);
			break;
		case FAULT_IO:
			fail = true;
			break;
		case FAULT_SLEEP:
			wait_ms += f->sleep_ms;
			break;
		case FAULT_NOTHING:
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	if (wait_ms > 0)
		sleep_ms(wait_ms); /* outside the lock: other places must not wait with this one */
	return fail;
}
