#include "front/dax_upstream.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/auth.h"
#include "base/clock.h"
#include "base/log.h"
#include "codec/json.h"
#include "io/sigv4.h"

#define ANSWER_MAX ((size_t)64 << 20) /* BatchGetItem: 16 MB of items, in JSON */
#define AMZ_JSON   "application/x-amz-json-1.0"

/* What a loop's thread alone touches; the figures are read by others. */
struct remote_loop {
	_Alignas(64) struct http_client *client;
	_Atomic uint64_t calls, failures[HTTP_CALL_LARGE + 1], errors, nanoseconds;
};

struct dax_remote {
	char *url, *region, *access_key, *secret, *session_token;
	char host[300];
	int timeout_ms;
	int64_t table_ms;
	int loop_count;
	struct remote_loop loops[];
};

struct remote_call {
	struct http_call http;
	struct dax_call *call;
	struct remote_loop *home;
	int64_t started_ns;
};

static void
count(_Atomic uint64_t *figure, uint64_t by)
{
	atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + by, memory_order_relaxed);
}

static bool
is_object(struct dax_call *call)
{
	struct json_reader r;

	json_init(&r, buf_slice(call->out), call->arena);
	if (json_peek(&r) != JSON_OBJECT)
		return false;
	json_skip(&r);
	json_end(&r);
	return !json_failed(&r);
}

static void
answered(struct http_call *http)
{
	struct remote_call *c = http->owner;
	struct dax_call *call = c->call;

	call->http_status = http->status;
	call->order = 0; /* of writes of other nodes and other ways to the table nothing is known */
	count(&c->home->nanoseconds, (uint64_t)(clock_mono_ns() - c->started_ns));
	count(&c->home->failures[http->failure], 1);
	if (http->status >= 500)
		count(&c->home->errors, 1);
	if (http->status == 200 &&
	    !is_object(call)) { /* a proxy's page, half an answer: a write may or may not be done */
		log_warn("dax", "upstream: a reply of status 200 is no JSON object");
		call->http_status = 0;
		call->err_message = "The table's endpoint answered with something that is no JSON";
	} else if (http->failure == HTTP_CALL_BUSY) {
		call->http_status = 400;
		buf_put_lit(call->out, "{\"__type\":\"com.amazon.coral.availability#ThrottlingException\",\"message\":"
				       "\"Rate exceeded: this node has as many calls under way as it may\"}");
	} else if (http->failure != HTTP_CALL_OK) {
		log_warn("dax", "upstream: %s", http->message);
		call->err_message =
		    arena_printf(call->arena, "%s: %s",
				 http->failure == HTTP_CALL_CONNECT ? "The table's endpoint cannot be reached"
								    : "The table's endpoint did not answer",
				 http->message)
			.data;
	}
	call->done(call);
}

static void
start(void *context, struct dax_call *call)
{
	const struct auth_caller *caller = call->caller;
	struct dax_remote *r = context;
	struct remote_call *c = ARENA_NEW(call->arena, struct remote_call);
	struct loop *loop = call->loop;
	const struct http_header headers[] = {
	    {SLICE("content-type"), SLICE(AMZ_JSON)},
	    {SLICE("host"), slice_str(r->host)},
	    {SLICE("x-amz-target"), call->target},
	};
	const struct sigv4_credentials credentials = {
	    .access_key = slice_str(r->access_key),
	    .secret = slice_str(r->secret),
	    .session_token = slice_str(r->session_token),
	    .region = slice_str(r->region),
	    .service = SLICE("dynamodb"),
	};
	struct buf text = {0};

	if (caller != NULL && !caller->administrator) { /* its policies cannot be asked here */
		call->http_status = 400;
		call->order = 0;
		buf_put_lit(call->out, "{\"__type\":\"com.amazon.coral.service#AccessDeniedException\",\"message\":"
				       "\"Keys with policies cannot be used with this cache node\"}");
		call->done(call);
		return;
	}
	buf_printf(&text, "content-type: " AMZ_JSON "\r\nhost: %s\r\nx-amz-target: %.*s\r\n", r->host,
		   SLICE_ARG(call->target));
	sigv4_sign(&credentials, SLICE("POST"), SLICE("/"), SLICE(""), headers, sizeof headers / sizeof *headers,
		   call->body, clock_real_s(), &text);
	c->http.method = "POST";
	c->http.url = r->url;
	c->http.headers = arena_dup(call->arena, buf_slice(&text));
	c->http.body = call->body;
	c->http.timeout_ms = r->timeout_ms;
	c->http.out = call->out;
	c->http.out_max = ANSWER_MAX;
	c->http.done = answered;
	c->http.owner = c;
	c->call = call;
	c->home = &r->loops[loop_index(loop)];
	c->started_ns = clock_mono_ns();
	buf_done(&text);
	count(&c->home->calls, 1);
	http_client_start(c->home->client, &c->http);
}

struct dax_upstream
dax_remote_upstream(struct dax_remote *r)
{
	return (struct dax_upstream){.call = start, .context = r, .table_ms = r->table_ms};
}

/* --- the URL --- */

/* host and port as in the Host header; the rest of the URL may be a slash. */
static enum status
split_url(const char *url, char *ret_host, size_t host_size, struct err *err)
{
	bool tls = strncmp(url, "https://", 8) == 0;
	const char *host = url + (tls ? 8 : 7), *end;
	size_t len;

	if (!tls && strncmp(url, "http://", 7) != 0)
		return err_set(err, S_VALIDATION, "\"%s\" is no URL of the form http://HOST:PORT or https://HOST", url);
	len = strcspn(host, "/?#");
	end = host + len;
	if (len == 0 || len >= host_size || strcspn(host, "@ \t\r\n\\") < len ||
	    (*end != '\0' && strcmp(end, "/") != 0))
		return err_set(err, S_VALIDATION, "\"%s\" is no URL of the form http://HOST:PORT or https://HOST", url);
	memcpy(ret_host, host, len);
	ret_host[len] = '\0';
	/* signed as the server sees it: without a port that is the scheme's own */
	if (len > 4 && tls && strcmp(ret_host + len - 4, ":443") == 0)
		ret_host[len - 4] = '\0';
	if (len > 3 && !tls && strcmp(ret_host + len - 3, ":80") == 0)
		ret_host[len - 3] = '\0';
	return S_OK;
}

/* "dynamodb.eu-west-1.amazonaws.com", "dynamodb-fips.us-east-1.amazonaws.com.cn" */
static char *
region_of(const char *host)
{
	const char *dot = strchr(host, '.'), *next = dot != NULL ? strchr(dot + 1, '.') : NULL;

	if (strncmp(host, "dynamodb", 8) != 0 || next == NULL || strncmp(next, ".amazonaws.com", 14) != 0)
		return NULL;
	return strndup(dot + 1, (size_t)(next - dot - 1));
}

static char *
copy(const char *text)
{
	char *copied = strdup(text != NULL ? text : "");

	if (copied == NULL)
		abort();
	return copied;
}

enum status
dax_remote_new(const struct dax_remote_options *options, struct loop **loops, int loop_count, struct dax_remote **ret,
	       struct err *err)
{
	size_t bytes = sizeof(struct dax_remote) + (size_t)loop_count * sizeof(struct remote_loop);
	struct http_client_options http = http_client_options_default;
	struct dax_remote *r = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
	enum status s;

	*ret = NULL;
	if (r == NULL)
		abort();
	memset(r, 0, bytes);
	r->loop_count = loop_count;
	r->timeout_ms = options->timeout_ms;
	r->table_ms = options->table_ms;
	r->url = copy(options->url);
	r->access_key = copy(options->access_key);
	r->secret = copy(options->secret);
	r->session_token = copy(options->session_token);
	s = split_url(r->url, r->host, sizeof r->host, err);
	if (s == S_OK) {
		r->region = options->region != NULL ? copy(options->region) : region_of(r->host);
		if (r->region == NULL)
			s = err_set(err, S_VALIDATION, "the region cannot be told from \"%s\"", r->url);
	}
	http.connect_ms = options->connect_ms;
	http.ca_file = options->ca_file;
	http.connections = options->connections > loop_count ? options->connections / loop_count : 1;
	http.calls = options->calls > loop_count ? options->calls / loop_count : 1;
	for (int i = 0; s == S_OK && i < loop_count; i++)
		s = http_client_new(loops[i], &http, &r->loops[i].client, err);
	if (s != S_OK) {
		dax_remote_free(r);
		return s;
	}
	*ret = r;
	return S_OK;
}

void
dax_remote_free(struct dax_remote *r)
{
	if (r == NULL)
		return;
	for (int i = 0; i < r->loop_count; i++)
		http_client_free(r->loops[i].client);
	explicit_bzero(r->secret, strlen(r->secret));
	free(r->url);
	free(r->region);
	free(r->access_key);
	free(r->secret);
	free(r->session_token);
	free(r);
}

const char *
dax_remote_region(const struct dax_remote *r)
{
	return r->region;
}

static uint64_t
sum(struct dax_remote *r, size_t offset)
{
	uint64_t total = 0;

	for (int i = 0; i < r->loop_count; i++)
		total +=
		    atomic_load_explicit((_Atomic uint64_t *)((char *)&r->loops[i] + offset), memory_order_relaxed);
	return total;
}

void
dax_remote_write_metrics(struct dax_remote *r, struct buf *out)
{
	static const char *const reasons[] = {NULL, "busy", "connect", "timeout", "broken", "too_large"};

	buf_printf(out,
		   "# HELP stator_dax_upstream_calls_total Calls to the table's endpoint.\n"
		   "# TYPE stator_dax_upstream_calls_total counter\nstator_dax_upstream_calls_total %llu\n"
		   "# HELP stator_dax_upstream_seconds_total Time waited for its answers.\n"
		   "# TYPE stator_dax_upstream_seconds_total counter\nstator_dax_upstream_seconds_total %.6f\n"
		   "# HELP stator_dax_upstream_errors_total Answers with a status of 500 and above.\n"
		   "# TYPE stator_dax_upstream_errors_total counter\nstator_dax_upstream_errors_total %llu\n"
		   "# HELP stator_dax_upstream_failures_total Calls without an answer.\n"
		   "# TYPE stator_dax_upstream_failures_total counter\n",
		   (unsigned long long)sum(r, offsetof(struct remote_loop, calls)),
		   (double)sum(r, offsetof(struct remote_loop, nanoseconds)) / 1e9,
		   (unsigned long long)sum(r, offsetof(struct remote_loop, errors)));
	for (size_t i = HTTP_CALL_OK + 1; i <= HTTP_CALL_LARGE; i++)
		buf_printf(out, "stator_dax_upstream_failures_total{reason=\"%s\"} %llu\n", reasons[i],
			   (unsigned long long)sum(r, offsetof(struct remote_loop, failures) + i * sizeof(uint64_t)));
}
