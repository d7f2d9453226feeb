/*
 * What a server answers to the load client: the client ends with a failure that has words, or with answers that have a
 * status. Input: a byte that chooses the protocol (HTTP with and without its body, DAX, memcached, redis) and the
 * pieces in which the rest comes.
 */
#include "../answer.h"
#include "base/log.h"
#include "bench/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUESTS 3

struct asked {
	struct request request;
	int left;
};

static struct request *
next(void *context, int slot)
{
	struct asked *a = context;

	(void)slot;
	return a->left-- > 0 ? &a->request : NULL;
}

static void
answered(void *context, const struct client_answer *answer)
{
	unsigned sum = 0;

	(void)context;
	for (size_t i = 0; i < answer->body.len; i++)
		sum += (uint8_t)answer->body.data[i];
	if (answer->latency_ns < 0 || sum == UINT32_MAX)
		abort();
}

static const struct client_wire *
wire_by(unsigned choice, struct client_wire *ret)
{
	static const struct bench_options options[] = {{.dax = "x"}, {.memcached = "x"}, {.redis = "x"}};
	struct workload w = {0};

	if (choice < 2)
		return NULL;
	w.options = &options[choice - 2];
	if (wire_of(&w, ret) == NULL)
		abort();
	ret->hello = NULL; /* signs with a key */
	ret->context = NULL;
	return ret;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct endpoint endpoint;
	struct asked asked = {.left = REQUESTS};
	struct client_options options = {.endpoint = &endpoint, .hooks = {next, answered, &asked}, .connections = 1};
	struct client_wire wire;
	atomic_bool stop = false;
	struct err err = {0};

	if (size == 0)
		return 0;
	if (endpoint.url[0] == '\0') {
		char url[64];

		answer_start();
		snprintf(url, sizeof url, "http://127.0.0.1:%d", answering.port);
		if (endpoint_init(&endpoint, url, false, &err) != S_OK)
			abort();
	}
	answer_with(data + 1, size - 1, data[0] & 0x80 ? 1u + (data[0] >> 3 & 0xf) : size);
	options.wire = wire_by(data[0] % 5, &wire);
	options.keep_body = data[0] % 5 == 1;
	options.stop = &stop;
	buf_put_slice(&asked.request.bytes, SLICE("GET / HTTP/1.1\r\n\r\n"));
	if (client_run(&options, NULL, &err) != S_OK && err.message[0] == '\0')
		abort();
	answer_with(NULL, 0, 1);
	buf_done(&asked.request.bytes);
	return 0;
}
