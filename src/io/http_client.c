#include "io/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/clock.h"

#define EASY_KEPT 64

const struct http_client_options http_client_options_default = {
    .connections = 64,
    .calls = 4096,
    .connect_ms = 3000,
};

/* A socket of libcurl's in the loop. */
struct watched {
	struct loop_fd fd; /* first */
	struct http_client *client;
	struct watched *next, *prev;
};

struct http_client {
	struct loop *loop;
	CURLM *multi;
	struct http_client_options options;
	char *ca_file;
	struct loop_timer timer; /* libcurl's */
	struct loop_task task;   /* hands out what failed at once */
	bool posted, ending;
	struct http_call *calls;  /* under way */
	struct http_call *failed; /* to be told by the task; oldest first */
	int in_progress;
	struct watched *watched;
	CURL *kept[EASY_KEPT];
	int kept_count;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void
start_curl(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
}

/* --- lists --- */

static void
link_call(struct http_call **list, struct http_call *call)
{
	call->prev = NULL;
	call->next = *list;
	if (*list != NULL)
		(*list)->prev = call;
	*list = call;
}

static void
unlink_call(struct http_call **list, struct http_call *call)
{
	if (call->prev != NULL)
		call->prev->next = call->next;
	else
		*list = call->next;
	if (call->next != NULL)
		call->next->prev = call->prev;
	call->next = call->prev = NULL;
}

/* --- the end of a call --- */

/* Its handle goes back; the call is in no list any more. */
static void
release(struct http_call *call)
{
	struct http_client *c = call->client;

	loop_timer_clear(c->loop, &call->timer);
	if (call->easy != NULL) {
		curl_multi_remove_handle(c->multi, call->easy);
		if (c->kept_count < EASY_KEPT && !c->ending)
			c->kept[c->kept_count++] = call->easy;
		else
			curl_easy_cleanup(call->easy);
		call->easy = NULL;
	}
	curl_slist_free_all(call->lines);
	call->lines = NULL;
	c->in_progress--;
}

static void
end(struct http_call *call, enum http_call_failure failure, const char *message)
{
	unlink_call(&call->client->calls, call);
	call->failure = failure;
	if (failure != HTTP_CALL_OK) {
		call->status = 0;
		call->out->len = call->out_start;
		snprintf(call->message, sizeof call->message, "%s", message);
	}
	release(call);
	call->done(call);
}

static enum http_call_failure
failure_of(CURLcode code, const struct http_call *call)
{
	long request_bytes = 0;

	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	switch (code) {
	case CURLE_OK:
		return HTTP_CALL_OK;
	case CURLE_WRITE_ERROR:
		return HTTP_CALL_LARGE; /* on_body() took no more */
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return request_bytes == 0 ? HTTP_CALL_CONNECT : HTTP_CALL_BROKEN;
	default:
		return HTTP_CALL_BROKEN;
	}
}

/* What libcurl has finished. A done() may start new calls. */
static void
collect(struct http_client *c)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(c->multi, &left)) != NULL) {
		struct http_call *call = NULL;
		CURLcode code = message->data.result;
		long status = 0;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		call->status = (int)status;
		end(call, failure_of(code, call), curl_easy_strerror(code));
	}
}

/* --- libcurl in the loop --- */

static void
on_ready(struct loop_fd *fd, uint32_t events)
{
	struct watched *w = (struct watched *)fd;
	struct http_client *c = w->client;
	int what = 0, running;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP))
		what |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		what |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		what |= CURL_CSELECT_ERR;
	curl_multi_socket_action(c->multi, fd->fd, what, &running); /* w may be gone now */
	collect(c);
}

static void
unwatch(struct watched *w)
{
	loop_remove(w->client->loop, &w->fd);
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		w->client->watched = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	free(w);
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
	struct http_client *c = context;
	struct watched *w = known;
	uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
	struct err err;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w != NULL)
			unwatch(w);
		return 0;
	}
	if (w != NULL) {
		loop_change(c->loop, &w->fd, events);
		return 0;
	}
	w = calloc(1, sizeof *w);
	if (w == NULL)
		abort();
	w->fd.fd = fd;
	w->fd.ready = on_ready;
	w->client = c;
	w->next = c->watched;
	if (w->next != NULL)
		w->next->prev = w;
	c->watched = w;
	curl_multi_assign(c->multi, fd, w);
	if (loop_add(c->loop, &w->fd, events, &err) != S_OK)
		return 0; /* no event will come: the call's own timer ends it */
	return 0;
}

static void
on_timer(struct loop_timer *t)
{
	struct http_client *c = (struct http_client *)((char *)t - offsetof(struct http_client, timer));
	int running;

	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(c);
}

static void
on_task(struct loop_task *task)
{
	struct http_client *c = (struct http_client *)((char *)task - offsetof(struct http_client, task));
	struct http_call *call, *oldest = NULL;
	int running;

	c->posted = false;
	while ((call = c->failed) != NULL) { /* newest first */
		unlink_call(&c->failed, call);
		link_call(&oldest, call);
	}
	while ((call = oldest) != NULL) {
		unlink_call(&oldest, call);
		call->done(call);
	}
	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(c);
}

static void
post(struct http_client *c)
{
	if (c->posted)
		return;
	c->posted = true;
	loop_post(c->loop, &c->task);
}

static int
on_set_timer(CURLM *multi, long ms, void *context)
{
	struct http_client *c = context;

	(void)multi;
	if (c->ending)
		return 0;
	if (ms < 0)
		loop_timer_clear(c->loop, &c->timer);
	else if (ms == 0)
		post(c); /* in the next turn, not in 4 ms; not here, within libcurl */
	else
		loop_timer_set(c->loop, &c->timer, clock_mono_ns() + ms * 1000000LL);
	return 0;
}

/* --- a call --- */

static size_t
on_body(char *data, size_t size, size_t count, void *context)
{
	struct http_call *call = context;
	size_t len = size * count;

	if (len > call->out_max - (call->out->len - call->out_start))
		return 0;
	buf_put(call->out, data, len);
	return len;
}

static size_t
on_header(char *data, size_t size, size_t count, void *context)
{
	struct http_call *call = context;
	size_t len = size * count;

	if (call->out_headers == NULL)
		return len;
	if (len > 5 && memcmp(data, "HTTP/", 5) == 0) { /* of this answer; 100 Continue may have been before */
		call->out_headers->len = 0;
		return len;
	}
	if (call->out_headers->len + len > 64 * 1024)
		return 0;
	if (len > 2)
		buf_put(call->out_headers, data, len);
	return len;
}

static CURL *
easy_new(struct http_client *c)
{
	CURL *easy = c->kept_count > 0 ? c->kept[--c->kept_count] : curl_easy_init();

	if (easy == NULL)
		abort();
	curl_easy_reset(easy); /* connections stay: they are the multi handle's */
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)c->options.connect_ms);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	if (c->ca_file != NULL)
		curl_easy_setopt(easy, CURLOPT_CAINFO, c->ca_file);
	return easy;
}

/* The text's lines as libcurl wants them. Expect: off, for it would cost a round trip. */
static struct curl_slist *
lines_of(struct slice text)
{
	struct curl_slist *lines = curl_slist_append(NULL, "Expect:");
	const char *at = text.data, *last = text.len > 0 ? text.data + text.len : text.data;
	char small[2048];

	while (at < last) {
		const char *stop = memchr(at, '\r', (size_t)(last - at));
		size_t len = (size_t)((stop != NULL ? stop : last) - at);
		char *line = len < sizeof small ? small : malloc(len + 1);

		if (line == NULL)
			abort();
		memcpy(line, at, len);
		line[len] = '\0';
		if (len > 0)
			lines = curl_slist_append(lines, line);
		if (line != small)
			free(line);
		if (stop == NULL || stop + 2 > last)
			break;
		at = stop + 2;
	}
	return lines;
}

static bool
is_this_machine(const char *url)
{
	static const char *const starts[] = {"127.", "localhost", "[::1]"};
	const char *host = strstr(url, "://");

	for (size_t i = 0; host != NULL && i < sizeof starts / sizeof *starts; i++)
		if (strncmp(host + 3, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

static void
on_call_time(struct loop_timer *t)
{
	struct http_call *call = (struct http_call *)((char *)t - offsetof(struct http_call, timer));
	char message[80];
	long request_bytes = 0;

	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	snprintf(message, sizeof message, "no answer within %d ms", call->timeout_ms);
	end(call, request_bytes == 0 ? HTTP_CALL_CONNECT : HTTP_CALL_TIME, message);
}

static void
fail_soon(struct http_call *call, enum http_call_failure failure, const char *message)
{
	call->failure = failure;
	snprintf(call->message, sizeof call->message, "%s", message);
	link_call(&call->client->failed, call);
	post(call->client);
}

void
http_client_start(struct http_client *c, struct http_call *call)
{
	CURL *easy;

	call->client = c;
	call->status = 0;
	call->failure = HTTP_CALL_OK;
	call->message[0] = '\0';
	call->easy = call->lines = NULL;
	call->next = call->prev = NULL;
	call->timer = (struct loop_timer){.fire = on_call_time};
	call->out_start = call->out->len;
	if (c->in_progress >= c->options.calls) {
		fail_soon(call, HTTP_CALL_BUSY, "too many calls are under way");
		return;
	}
	easy = easy_new(c);
	call->easy = easy;
	call->lines = lines_of(call->headers);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_URL, call->url);
	if (is_this_machine(call->url))
		curl_easy_setopt(easy, CURLOPT_PROXY, "");
	if (strcmp(call->method, "GET") == 0) {
		curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	} else if (strcmp(call->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	} else {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body.data != NULL ? call->body.data : "");
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
	}
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->lines);
	c->in_progress++;
	link_call(&c->calls, call);
	loop_timer_set(c->loop, &call->timer, clock_mono_ns() + call->timeout_ms * 1000000LL);
	if (curl_multi_add_handle(c->multi, easy) != CURLM_OK)
		abort(); /* our own mistake: the handle is in use */
}

void
http_client_cancel(struct http_call *call)
{
	if (call->easy == NULL) { /* it failed at once and was not yet told */
		unlink_call(&call->client->failed, call);
		return;
	}
	unlink_call(&call->client->calls, call);
	release(call);
}

int
http_client_in_progress(const struct http_client *c)
{
	return c->in_progress;
}

/* --- start and stop --- */

enum status
http_client_new(struct loop *loop, const struct http_client_options *options, struct http_client **ret, struct err *err)
{
	struct http_client *c = calloc(1, sizeof *c);

	*ret = NULL;
	pthread_once(&curl_once, start_curl);
	if (c == NULL)
		abort();
	c->multi = curl_multi_init();
	if (c->multi == NULL) {
		free(c);
		return err_set(err, S_INTERNAL, "libcurl does not start");
	}
	c->loop = loop;
	c->options = *options;
	c->ca_file = options->ca_file != NULL ? strdup(options->ca_file) : NULL;
	c->timer.fire = on_timer;
	c->task.run = on_task;
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_set_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)options->connections);
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)options->connections);
	*ret = c;
	return S_OK;
}

void
http_client_free(struct http_client *c)
{
	if (c == NULL)
		return;
	c->ending = true;
	while (c->calls != NULL)
		http_client_cancel(c->calls);
	for (int i = 0; i < c->kept_count; i++)
		curl_easy_cleanup(c->kept[i]);
	curl_multi_cleanup(c->multi); /* closes the connections */
	while (c->watched != NULL)
		unwatch(c->watched);
	loop_timer_clear(c->loop, &c->timer);
	free(c->ca_file);
	free(c);
}
