/* Lines: query, path, body, then "name:value" headers. What is signed for them must verify; what comes as it is may not
 * crash. */
#include <stdint.h>
#include <stdlib.h>

#include "io/sigv4.h"

static struct slice
line(const uint8_t **at, const uint8_t *end)
{
	const uint8_t *start = *at, *stop = start < end ? memchr(start, '\n', (size_t)(end - start)) : NULL;

	if (stop == NULL)
		stop = end;
	*at = stop < end ? stop + 1 : end;
	return slice_of(start, (size_t)(stop - start));
}

static void
must_verify(struct http_exchange *x)
{
	const struct sigv4_credentials c = {SLICE("key"), SLICE("secret"), SLICE_NONE, SLICE("eu-west-1"),
					    SLICE("dynamodb")};
	struct http_header headers[40];
	struct buf out = {0};
	struct sigv4_auth auth;
	struct err err;
	char *at;

	memcpy(headers, x->headers, x->header_count * sizeof *headers);
	headers[x->header_count] = (struct http_header){SLICE("host"), SLICE("h")};
	sigv4_sign(&c, x->method, x->path, x->query, headers, x->header_count + 1, x->raw_body, 1440938160, &out);
	buf_put_byte(&out, 0);
	at = strstr(out.data, "x-amz-date: ") + 12;
	headers[x->header_count + 1] = (struct http_header){SLICE("x-amz-date"), slice_of(at, strcspn(at, "\r"))};
	at = strstr(out.data, "authorization: ") + 15;
	headers[x->header_count + 2] = (struct http_header){SLICE("authorization"), slice_of(at, strcspn(at, "\r"))};
	x->headers = headers;
	x->header_count += 3;
	if (sigv4_parse(x, &auth, &err) == S_OK && sigv4_verify(x, &auth, c.secret, 1440938160, &err) != S_OK)
		abort();
	x->headers = NULL; /* they end here */
	x->header_count = 0;
	buf_done(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *at = data, *end = data + size;
	struct http_header headers[32];
	struct arena arena = {0};
	struct http_exchange x = {.method = SLICE("POST"), .headers = headers, .arena = &arena};
	struct sigv4_auth auth;
	struct err err;
	bool plain = true;

	x.query = line(&at, end);
	x.path = line(&at, end);
	x.raw_body = line(&at, end);
	while (at < end && x.header_count < 32) {
		struct slice text = line(&at, end);
		const char *colon = text.len > 0 ? memchr(text.data, ':', text.len) : NULL;
		struct http_header *h = &headers[x.header_count];

		if (colon == NULL)
			continue;
		h->name = slice_of(text.data, (size_t)(colon - text.data));
		h->value = slice_of(colon + 1, text.len - h->name.len - 1);
		for (size_t i = 0; i < h->name.len; i++)
			plain &= (h->name.data[i] >= 'a' && h->name.data[i] <= 'z') || h->name.data[i] == '-';
		plain &= h->name.len > 0 && !slice_eq(h->name, SLICE("authorization")) &&
			 !slice_eq(h->name, SLICE("host")) && !slice_starts(h->name, SLICE("x-amz-"));
		x.header_count++;
	}
	if (sigv4_parse(&x, &auth, &err) == S_OK)
		(void)sigv4_verify(&x, &auth, SLICE("secret"), 1440938160, &err);
	if (plain)
		must_verify(&x);
	arena_done(&arena);
	return 0;
}
