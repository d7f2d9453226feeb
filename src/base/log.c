#include "base/log.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES    4096 /* a line is cut there */
#define MESSAGE_BYTES 2560
#define PLACES        256 /* a power of two */
#define PROBES        8
#define BURST_MAX     10
#define WINDOW_NS     1000000000

/* A place in the code, known by its format: lines of one place count together whatever they print. */
#define SAMPLE_BYTES 160

struct place {
	const char *format; /* NULL: free */
	const char *room;
	enum log_level level;
	int64_t window_ns;       /* when its second began */
	unsigned written;        /* in this second */
	uint64_t held;           /* lines not written and not yet told */
	char last[SAMPLE_BYTES]; /* the last written one, to say what the held ones are like */
};

static _Atomic enum log_level least_level = LOG_INFO;
static _Atomic enum log_format line_format = LOG_TEXT;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* guarded by lock */
static struct place places[PLACES];
static bool teller_runs;

void
log_setup(enum log_level least, enum log_format format)
{
	least_level = least;
	line_format = format;
}

struct line {
	char text[LINE_BYTES];
	size_t len;
	bool full; /* something did not fit; nothing more is taken */
};

/* All or nothing, so that no escape is cut in two. Room for the closing `"}` and newline stays. */
static void
line_put(struct line *l, const char *text, size_t len)
{
	if (l->full || len > sizeof l->text - 4 - l->len) {
		l->full = true;
		return;
	}
	memcpy(l->text + l->len, text, len);
	l->len += len;
}

static void
line_put_str(struct line *l, const char *text)
{
	line_put(l, text, strlen(text));
}

/* Length of the UTF-8 character at the text; 0 when it is none. */
static size_t
utf8_length(const unsigned char *at)
{
	static const struct {
		unsigned char mask, lead;
		size_t length;
		uint32_t least;
	} forms[] = {{0x80, 0x00, 1, 0}, {0xE0, 0xC0, 2, 0x80}, {0xF0, 0xE0, 3, 0x800}, {0xF8, 0xF0, 4, 0x10000}};

	for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++) {
		uint32_t code = at[0] & (unsigned char)~forms[f].mask;

		if ((at[0] & forms[f].mask) != forms[f].lead)
			continue;
		for (size_t i = 1; i < forms[f].length; i++) {
			if ((at[i] & 0xC0) != 0x80) /* a terminator ends it too */
				return 0;
			code = code << 6 | (at[i] & 0x3F);
		}
		if (code < forms[f].least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
			return 0;
		return forms[f].length;
	}
	return 0;
}

/* What clients send ends up in messages: it must not start lines of its own, move a terminal's cursor or break JSON. */
static void
line_put_escaped(struct line *l, const char *text, bool json)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at != '\0' && !l->full) {
		size_t length = utf8_length(at);
		char escape[8];

		if (length == 0) {
			if (json)
				line_put_str(l, "\\ufffd");
			else
				line_put(l, escape, (size_t)snprintf(escape, sizeof escape, "\\x%02x", *at));
			at++;
		} else if (*at == '\n') {
			line_put_str(l, "\\n");
			at++;
		} else if (*at < 0x20 || *at == 0x7F) {
			line_put(l, escape, (size_t)snprintf(escape, sizeof escape, json ? "\\u%04x" : "\\x%02x", *at));
			at++;
		} else if (json && (*at == '"' || *at == '\\')) {
			line_put(l, (const char[]){'\\', (char)*at}, 2);
			at++;
		} else {
			line_put(l, (const char *)at, length);
			at += length;
		}
	}
}

static void
line_put_time(struct line *l)
{
	int64_t now_ms = clock_real_ms();
	time_t seconds = (time_t)(now_ms / 1000);
	struct tm tm;
	char text[64];

	gmtime_r(&seconds, &tm);
	line_put(l, text, strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm));
	line_put(l, text, (size_t)snprintf(text, sizeof text, ".%03dZ", (int)(now_ms % 1000)));
}

static void
line_write(enum log_level level, const char *room, const char *message)
{
	static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
	struct line l;
	bool json = line_format == LOG_JSON;

	l.len = 0;
	l.full = false;
	if (json) {
		line_put_str(&l, "{\"time\":\"");
		line_put_time(&l);
		line_put_str(&l, "\",\"level\":\"");
		line_put_str(&l, names[level]);
		line_put_str(&l, "\",\"room\":\"");
		line_put_escaped(&l, room, true);
		line_put_str(&l, "\",\"message\":\"");
		line_put_escaped(&l, message, true);
		l.text[l.len++] = '"';
		l.text[l.len++] = '}';
	} else {
		line_put_time(&l);
		line_put_str(&l, " ");
		line_put_str(&l, names[level]);
		line_put_str(&l, " ");
		line_put_escaped(&l, room, false);
		line_put_str(&l, ": ");
		line_put_escaped(&l, message, false);
	}
	l.text[l.len++] = '\n';
	if (write(STDERR_FILENO, l.text, l.len) < 0)
		return; /* nobody is left to tell */
}

/* lock is held */
static void
place_tell(struct place *p)
{
	char message[MESSAGE_BYTES];

	snprintf(message, sizeof message, "%llu more like: %s", (unsigned long long)p->held, p->last);
	p->held = 0;
	line_write(p->level, p->room, message);
}

static void
tell_all(void)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < PLACES; i++)
		if (places[i].held > 0)
			place_tell(&places[i]);
	pthread_mutex_unlock(&lock);
}

/* Lives while lines are held back, so that the last ones of a burst are told even when nothing follows. */
static void *
teller_main(void *unused)
{
	bool again = true;

	(void)unused;
	while (again) {
		struct timespec second = {1, 0};

		nanosleep(&second, NULL);
		again = false;
		pthread_mutex_lock(&lock);
		for (int i = 0; i < PLACES; i++) {
			if (places[i].held > 0) {
				place_tell(&places[i]);
				again = true;
			}
		}
		teller_runs = again;
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

/* lock is held. When no thread can be had, the count is told by the place's next line. */
static void
teller_start(void)
{
	static bool at_exit_set;
	pthread_attr_t attr;
	pthread_t thread;

	if (teller_runs)
		return;
	if (!at_exit_set)
		at_exit_set = atexit(tell_all) == 0;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	teller_runs = pthread_create(&thread, &attr, teller_main, NULL) == 0;
	pthread_attr_destroy(&attr);
}

/* lock is held. NULL when the table has no place left: then the line is simply written. */
static struct place *
place_find(const char *format, int64_t now_ns)
{
	size_t at = ((uintptr_t)format * 0x9E3779B97F4A7C15u) >> 32;
	struct place *unused = NULL;

	for (size_t i = 0; i < PROBES; i++) {
		struct place *p = &places[(at + i) % PLACES];

		if (p->format == format)
			return p;
		if (unused == NULL && p->held == 0 && now_ns - p->window_ns >= WINDOW_NS)
			unused = p;
	}
	if (unused != NULL)
		*unused = (struct place){.format = format, .window_ns = now_ns};
	return unused;
}

/* May this line be written, or has its place said enough in this second? */
static bool
place_admits(enum log_level level, const char *room, const char *format, const char *message)
{
	int64_t now_ns = clock_mono_ns();
	bool admitted = true;
	struct place *p;

	pthread_mutex_lock(&lock);
	p = place_find(format, now_ns);
	if (p != NULL) {
		p->room = room;
		p->level = level;
		if (now_ns - p->window_ns >= WINDOW_NS) {
			if (p->held > 0)
				place_tell(p);
			p->window_ns = now_ns;
			p->written = 0;
		}
		admitted = p->written < BURST_MAX;
		if (admitted) {
			p->written++;
			if (p->written == BURST_MAX)
				snprintf(p->last, sizeof p->last, "%.*s", (int)sizeof p->last - 1, message);
		} else {
			p->held++;
			teller_start();
		}
	}
	pthread_mutex_unlock(&lock);
	return admitted;
}

void
log_write(enum log_level level, const char *room, const char *format, ...)
{
	char message[MESSAGE_BYTES];
	va_list args;

	if (level < atomic_load_explicit(&least_level, memory_order_relaxed))
		return;
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	if (place_admits(level, room, format, message))
		line_write(level, room, message);
}
