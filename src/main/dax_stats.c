#include "main/dax_stats.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>

#include "bench/client.h"
#include "codec/json.h"

#define PREFIX     "stator_dax_cache_"
#define LABEL_MAX  64
#define TABLE_MAX  256
#define ROWS_MAX   4096 /* nodes x caches x tables; what comes beyond is not shown, and said */
#define KIND_COUNT 2

struct stats_options {
	const char *endpoint;
	bool insecure, json;
};

#define FIELD(member) offsetof(struct stats_options, member)

/* clang-format off */
static const struct cli_option stats_rows[] = {
	{"Target", "endpoint", CLI_TEXT, FIELD(endpoint), "URL", "http://127.0.0.1:8000", 0, 0, NULL,
	 "Where the server or the cache tells its /metrics."},
	{"Target", "insecure", CLI_FLAG, FIELD(insecure), NULL, NULL, 0, 0, NULL, "https: accept any certificate."},
	{"Output", "json", CLI_FLAG, FIELD(json), NULL, NULL, 0, 0, NULL, "One JSON object instead of tables."},
};

const struct cli_command dax_stats_command = {
	"dax stats",
	"show what the DAX caches hold and how they do",
	"Reads the figures of a running server (or of `stator dax`) and shows them by node, cache and table. All count from "
	"the server's start.",
	"  stator dax stats\n"
	"  stator dax stats --endpoint http://127.0.0.1:8000 --json\n",
	"STATOR_DAX_STATS_",
	stats_rows,
	sizeof stats_rows / sizeof *stats_rows,
};
/* clang-format on */

/* ---- fetching ---- */

struct fetch {
	struct request request;
	bool sent;
	int status;
	struct buf body;
};

static struct request *
next(void *context, int slot)
{
	struct fetch *f = context;

	(void)slot;
	if (f->sent)
		return NULL;
	f->sent = true;
	return &f->request;
}

static void
answered(void *context, const struct client_answer *answer)
{
	struct fetch *f = context;

	f->status = answer->status;
	buf_put_slice(&f->body, answer->body);
}

static enum status
fetch(const struct stats_options *o, struct buf *ret, struct err *err)
{
	atomic_bool stop = false;
	struct endpoint endpoint = {0};
	struct fetch f = {0};
	struct client_options client = {
	    .endpoint = &endpoint,
	    .hooks = {next, answered, &f},
	    .connections = 1,
	    .keep_body = true,
	    .stop = &stop,
	};
	enum status s = endpoint_init(&endpoint, o->endpoint, o->insecure, err);

	if (s == S_OK) {
		buf_printf(&f.request.bytes, "GET /metrics HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n\r\n",
			   endpoint.host);
		s = client_run(&client, NULL, err);
	}
	if (s == S_OK && f.status == 0)
		s = err_set(err, S_IO, "%s closed the connection without an answer", o->endpoint);
	else if (s == S_OK && f.status != 200)
		s = err_set(err, S_IO, "%s/metrics: HTTP %d", o->endpoint, f.status);
	*ret = f.body;
	buf_done(&f.request.bytes);
	endpoint_done(&endpoint);
	return s;
}

/* ---- reading ---- */

enum figure {
	HITS,
	ABSENT,
	MISSES,
	WRITES,
	EVICTIONS,
	EXPIRED,
	INVALIDATED,
	ENTRIES,
	BYTES,
	HIT_SECONDS,
	HIT_COUNT,
	MISS_SECONDS,
	MISS_COUNT,
	FIGURES
};

/* `result` tells two rows of one family apart. */
static const struct {
	const char *family, *result, *json;
} figures[FIGURES] = {
    [HITS] = {"hits_total", "", "hits"},
    [ABSENT] = {"absent_hits_total", "", "absent_hits"},
    [MISSES] = {"misses_total", "", "misses"},
    [WRITES] = {"writes_total", "", "writes"},
    [EVICTIONS] = {"evictions_total", "", "evictions"},
    [EXPIRED] = {"expired_total", "", "expired"},
    [INVALIDATED] = {"invalidated_total", "", "invalidated"},
    [ENTRIES] = {"entries", "", "entries"},
    [BYTES] = {"bytes", "", "bytes"},
    [HIT_SECONDS] = {"table_seconds_sum", "hit", "hit_seconds"},
    [HIT_COUNT] = {"table_seconds_count", "hit", "timed_hits"},
    [MISS_SECONDS] = {"table_seconds_sum", "miss", "miss_seconds"},
    [MISS_COUNT] = {"table_seconds_count", "miss", "timed_misses"},
};

struct row {
	char node[LABEL_MAX], cache[LABEL_MAX], table[TABLE_MAX];
	double values[FIGURES];
};

struct node {
	char name[LABEL_MAX];
	double memory, budget, ttl_seconds[KIND_COUNT]; /* items, queries */
};

struct stats {
	struct row *rows;
	size_t row_count;
	struct node *nodes;
	size_t node_count;
	bool cut; /* there is more than fits */
};

static void
label(struct slice labels, const char *name, char *ret, size_t size)
{
	char start[LABEL_MAX];
	int len = snprintf(start, sizeof start, "%s=\"", name);
	const char *at = labels.data, *end = labels.data + labels.len, *stop;

	ret[0] = '\0';
	while ((at = memmem(at, (size_t)(end - at), start, (size_t)len)) != NULL) {
		if (at == labels.data || at[-1] == ',' || at[-1] == '{') {
			at += len;
			stop = memchr(at, '"', (size_t)(end - at));
			if (stop != NULL)
				snprintf(ret, size, "%.*s", (int)(stop - at), at);
			for (char *c = ret; *c != '\0'; c++)
				if ((uint8_t)*c < 0x20 ||
				    (uint8_t)*c > 0x7e) /* no name of ours, and shown on terminals */
					*c = '?';
			return;
		}
		at += len;
	}
}

static struct node *
node_of(struct stats *s, const char *name)
{
	for (size_t i = 0; i < s->node_count; i++)
		if (strcmp(s->nodes[i].name, name) == 0)
			return &s->nodes[i];
	if (s->node_count == ROWS_MAX) {
		s->cut = true;
		return NULL;
	}
	snprintf(s->nodes[s->node_count].name, LABEL_MAX, "%s", name);
	return &s->nodes[s->node_count++];
}

static struct row *
row_of(struct stats *s, struct slice labels)
{
	struct row wanted = {0};

	label(labels, "node", wanted.node, sizeof wanted.node);
	label(labels, "cache", wanted.cache, sizeof wanted.cache);
	label(labels, "table", wanted.table, sizeof wanted.table);
	for (size_t i = s->row_count; i > 0; i--) {
		struct row *r = &s->rows[i - 1];

		if (strcmp(r->node, wanted.node) == 0 && strcmp(r->cache, wanted.cache) == 0 &&
		    strcmp(r->table, wanted.table) == 0)
			return r;
	}
	if (s->row_count == ROWS_MAX) {
		s->cut = true;
		return NULL;
	}
	s->rows[s->row_count] = wanted;
	return &s->rows[s->row_count++];
}

static void
read_node_sample(struct stats *s, struct slice family, struct slice labels, double value)
{
	char name[LABEL_MAX], cache[LABEL_MAX];
	struct node *node;

	label(labels, "node", name, sizeof name);
	label(labels, "cache", cache, sizeof cache);
	node = node_of(s, name);
	if (node == NULL)
		return;
	if (slice_eq(family, SLICE("memory_bytes")))
		node->memory = value;
	else if (slice_eq(family, SLICE("budget_bytes")))
		node->budget = value;
	else if (slice_eq(family, SLICE("ttl_seconds")))
		node->ttl_seconds[strcmp(cache, "query") == 0] = value;
}

/* "family{labels} value", behind the prefix. */
static void
read_sample(struct stats *s, struct slice line)
{
	const char *open = memchr(line.data, '{', line.len), *shut = memrchr(line.data, '}', line.len);
	struct slice family, labels;
	char result[LABEL_MAX];
	double value;

	if (open == NULL || shut == NULL || shut < open)
		return;
	family = slice_of(line.data, (size_t)(open - line.data));
	labels = slice_of(open + 1, (size_t)(shut - open - 1));
	value = strtod(shut + 1, NULL);
	if (!isfinite(value)) /* neither ours nor JSON */
		return;
	label(labels, "result", result, sizeof result);
	for (int f = 0; f < FIGURES; f++)
		if (slice_eq(family, slice_str(figures[f].family)) && strcmp(result, figures[f].result) == 0) {
			struct row *row = row_of(s, labels);

			if (row != NULL)
				row->values[f] = value;
			return;
		}
	read_node_sample(s, family, labels, value);
}

static void
read_metrics(struct stats *s, const struct buf *text)
{
	const char *at = text->data, *end = text->data + text->len;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		struct slice line = slice_of(at, (size_t)((stop != NULL ? stop : end) - at));

		if (slice_starts(line, SLICE(PREFIX)))
			read_sample(s, slice_of(line.data + sizeof PREFIX - 1, line.len - (sizeof PREFIX - 1)));
		at = stop != NULL ? stop + 1 : end;
	}
}

/* ---- telling ---- */

static const char *
size_text(double bytes, char ret[16])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	int unit = 0;

	while (bytes >= 1024 && unit < 4) {
		bytes /= 1024;
		unit++;
	}
	snprintf(ret, 16, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
	return ret;
}

static const char *
time_text(double seconds, double count, char ret[16])
{
	double us = count > 0 ? seconds / count * 1e6 : 0;

	if (count == 0)
		return "-";
	snprintf(ret, 16, us < 1000 ? "%.1f us" : "%.2f ms", us < 1000 ? us : us / 1000);
	return ret;
}

static const char *
percent_text(double part, double all, char ret[16])
{
	if (all == 0)
		return "-";
	snprintf(ret, 16, "%.1f %%", part / all * 100);
	return ret;
}

static const char *
ttl_text(double seconds, const char *zero, char ret[32])
{
	if (seconds == 0)
		return zero;
	snprintf(ret, 32, "live %.0f s", seconds);
	return ret;
}

static void
tell_row(const struct row *r, int width)
{
	const double *v = r->values;
	char size[16], rate[16], hit[16], miss[16];

	printf("  %-6s %-*s %9.0f %10s %11.0f %11.0f %8s %9.0f %9.0f %9.0f %9s %9s\n", r->cache, width, r->table,
	       v[ENTRIES], size_text(v[BYTES], size), v[HITS], v[MISSES],
	       percent_text(v[HITS], v[HITS] + v[MISSES], rate), v[EVICTIONS], v[EXPIRED], v[INVALIDATED],
	       time_text(v[HIT_SECONDS], v[HIT_COUNT], hit), time_text(v[MISS_SECONDS], v[MISS_COUNT], miss));
}

static void
tell_node(const struct stats *s, const struct node *n)
{
	char memory[16], budget[16], share[16], items[32], queries[32];
	int width = 5;
	bool any = false;

	printf("Node %s: %s of %s (%s); items %s, queries %s\n", n->name, size_text(n->memory, memory),
	       size_text(n->budget, budget), percent_text(n->memory, n->budget, share),
	       ttl_text(n->ttl_seconds[0], "live until evicted", items),
	       ttl_text(n->ttl_seconds[1], "are not cached", queries));
	for (size_t i = 0; i < s->row_count; i++)
		if (strcmp(s->rows[i].node, n->name) == 0 && (int)strlen(s->rows[i].table) > width)
			width = (int)strlen(s->rows[i].table);
	for (size_t i = 0; i < s->row_count; i++) {
		if (strcmp(s->rows[i].node, n->name) != 0)
			continue;
		if (!any)
			printf("  %-6s %-*s %9s %10s %11s %11s %8s %9s %9s %9s %9s %9s\n", "cache", width, "table",
			       "entries", "size", "hits", "misses", "hit rate", "evicted", "expired", "dropped",
			       "a hit", "a miss");
		any = true;
		tell_row(&s->rows[i], width);
	}
	if (!any)
		printf("  nothing has been read or written through it\n");
}

static void
put_json_row(const struct row *r, struct buf *out)
{
	buf_put_lit(out, "{\"node\":");
	json_put_string(out, slice_str(r->node));
	buf_put_lit(out, ",\"cache\":");
	json_put_string(out, slice_str(r->cache));
	buf_put_lit(out, ",\"table\":");
	json_put_string(out, slice_str(r->table));
	for (int f = 0; f < FIGURES; f++)
		buf_printf(out, strcmp(figures[f].result, "") == 0 ? ",\"%s\":%.0f" : ",\"%s\":%.9g", figures[f].json,
			   r->values[f]);
	buf_put_lit(out, "}");
}

static void
tell_json(const struct stats *s)
{
	struct buf out = {0};

	buf_put_lit(&out, "{\"nodes\":[");
	for (size_t i = 0; i < s->node_count; i++) {
		const struct node *n = &s->nodes[i];

		buf_put_slice(&out, i > 0 ? SLICE(",{\"node\":") : SLICE("{\"node\":"));
		json_put_string(&out, slice_str(n->name));
		buf_printf(&out,
			   ",\"memory_bytes\":%.0f,\"budget_bytes\":%.0f,\"record_ttl_millis\":%.0f,"
			   "\"query_ttl_millis\":%.0f}",
			   n->memory, n->budget, n->ttl_seconds[0] * 1000, n->ttl_seconds[1] * 1000);
	}
	buf_put_lit(&out, "],\"tables\":[");
	for (size_t i = 0; i < s->row_count; i++) {
		if (i > 0)
			buf_put_byte(&out, ',');
		put_json_row(&s->rows[i], &out);
	}
	buf_put_lit(&out, "]}\n");
	fwrite(out.data, 1, out.len, stdout);
	buf_done(&out);
}

static int
tell(const struct stats_options *o, const struct stats *s)
{
	if (s->node_count == 0) {
		fprintf(stderr, "stator dax stats: %s has no DAX node (serve --dax-listen, or stator dax)\n",
			o->endpoint);
		return 1;
	}
	if (o->json)
		tell_json(s);
	for (size_t i = 0; !o->json && i < s->node_count; i++)
		tell_node(s, &s->nodes[i]);
	if (s->cut)
		fprintf(stderr, "stator dax stats: more than %d rows; the rest is not shown\n", ROWS_MAX);
	return 0;
}

static int
run(const struct stats_options *o)
{
	struct stats s = {0};
	struct buf text = {0};
	struct err err;
	int code = 1;

	signal(SIGPIPE, SIG_IGN);
	s.rows = calloc(ROWS_MAX, sizeof *s.rows);
	s.nodes = calloc(ROWS_MAX, sizeof *s.nodes);
	if (s.rows == NULL || s.nodes == NULL)
		abort();
	if (fetch(o, &text, &err) != S_OK) {
		fprintf(stderr, "stator dax stats: %s\n", err.message);
	} else {
		buf_put_byte(&text, '\0'); /* the last number ends there */
		text.len--;
		read_metrics(&s, &text);
		code = tell(o, &s);
	}
	buf_done(&text);
	free(s.rows);
	free(s.nodes);
	return code;
}

int
dax_stats_cmd(int argc, char **argv)
{
	struct stats_options options = {0};
	bool given[CLI_OPTIONS_MAX];
	struct err err;
	int code;

	switch (cli_parse(&dax_stats_command, argc, argv, &options, given, &err)) {
	case CLI_HELP:
		cli_help(&dax_stats_command, stdout);
		code = 0;
		break;
	case CLI_WRONG:
		fprintf(stderr, "stator dax stats: %s\n", err.message);
		code = 2;
		break;
	default:
		code = run(&options);
	}
	cli_done(&dax_stats_command, &options);
	return code;
}
