/* The canonical request, the keys, and the signature over both. */
#include "io/sigv4_int.h"

#include <stdlib.h>

#define QUERY_MAX         1000 /* parameters of a query */
#define TEXT_BYTES        1024 /* put together before they are hashed */
#define PAD_BYTES         64   /* a block of SHA-256 */
#define SCOPE_BYTES       224
#define KEY_CACHE_ENTRIES 64

/* --- the canonical request --- */

static void
put_encoded(struct buf *out, struct slice s, bool keep_slash)
{
	static const char digits[] = "0123456789ABCDEF";

	buf_reserve(out, 3 * s.len);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];

		if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		    c == '_' || c == '.' || c == '~' || (c == '/' && keep_slash)) {
			out->data[out->len++] = (char)c;
		} else {
			out->data[out->len++] = '%';
			out->data[out->len++] = digits[c >> 4];
			out->data[out->len++] = digits[c & 15];
		}
	}
}

struct parameter {
	struct slice name, value; /* encoded */
};

static int
parameter_order(const void *a, const void *b)
{
	const struct parameter *left = a, *right = b;
	int order = slice_cmp(left->name, right->name);

	return order != 0 ? order : slice_cmp(left->value, right->value);
}

static struct slice
encoded_copy(struct slice s, struct arena *arena)
{
	struct buf b = {0};
	struct slice copy;

	put_encoded(&b, sigv4_percent_decoded(s, arena), false);
	copy = arena_dup(arena, buf_slice(&b));
	buf_done(&b);
	return copy;
}

/* False: too many parameters. */
static bool
put_query(struct buf *out, struct slice query, struct arena *arena)
{
	struct parameter *parameters;
	struct slice rest = query.len > 0 ? query : SLICE_NONE, pair, name;
	size_t count = 0, max = 1;

	if (query.len == 0)
		return true;
	for (size_t i = 0; i < query.len; i++)
		max += query.data[i] == '&';
	if (max > QUERY_MAX)
		return false;
	parameters = ARENA_ARRAY(arena, struct parameter, max);
	while (sigv4_next_piece(&rest, '&', &pair)) {
		if (pair.len == 0)
			continue;
		sigv4_next_piece(&pair, '=', &name);
		if (slice_eq(name, SLICE("X-Amz-Signature")))
			continue;
		parameters[count++] = (struct parameter){encoded_copy(name, arena),
							 pair.data != NULL ? encoded_copy(pair, arena) : SLICE("")};
	}
	qsort(parameters, count, sizeof *parameters, parameter_order);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_put_byte(out, '&');
		buf_put_slice(out, parameters[i].name);
		buf_put_byte(out, '=');
		buf_put_slice(out, parameters[i].value);
	}
	return true;
}

/* Without "//", "." and ".."; each segment encoded once more, as every service but S3 has it. */
static void
put_path(struct buf *out, struct slice path, bool s3)
{
	size_t start = out->len;
	struct slice rest = path, segment = SLICE_NONE;

	if (path.len <= 1) {
		buf_put_byte(out, '/');
		return;
	}
	if (s3) { /* as sent: it is encoded once already */
		buf_put_slice(out, path);
		return;
	}
	while (sigv4_next_piece(&rest, '/', &segment)) {
		if (segment.len == 0 || slice_eq(segment, SLICE(".")))
			continue;
		if (slice_eq(segment, SLICE(".."))) {
			while (out->len > start && out->data[--out->len] != '/')
				;
			continue;
		}
		buf_put_byte(out, '/');
		put_encoded(out, segment, false);
	}
	if (out->len == start || segment.len == 0 || slice_eq(segment, SLICE(".")) || slice_eq(segment, SLICE("..")))
		buf_put_byte(out, '/');
}

/* What is hashed, put together in pieces that are worth a call. */
struct text {
	struct sha256 sum;
	size_t len;
	char bytes[TEXT_BYTES];
};

/* `start`: what was hashed before it; NULL: nothing. */
static void
text_begin(struct text *t, const struct sha256 *start)
{
	t->len = 0;
	if (start != NULL)
		t->sum = *start;
	else
		sha256_begin(&t->sum);
}

static void
text_put(struct text *t, const void *data, size_t len)
{
	if (len == 0)
		return;
	if (len > sizeof t->bytes - t->len) {
		sha256_add(&t->sum, slice_of(t->bytes, t->len));
		t->len = 0;
		if (len > sizeof t->bytes) {
			sha256_add(&t->sum, slice_of(data, len));
			return;
		}
	}
	memcpy(t->bytes + t->len, data, len);
	t->len += len;
}

#define text_put_lit(t, literal) text_put((t), (literal), sizeof(literal) - 1)

static void
text_put_slice(struct text *t, struct slice s)
{
	text_put(t, s.data, s.len);
}

static void
text_end(struct text *t, uint8_t ret[SHA256_BYTES])
{
	sha256_add(&t->sum, slice_of(t->bytes, t->len));
	sha256_end(&t->sum, ret);
}

/* Runs of blanks become one. */
static void
put_folded(struct text *out, struct slice value)
{
	const char *at = value.data, *end = value.data + value.len;

	while (at < end) {
		const char *blank = memchr(at, ' ', (size_t)(end - at));

		if (blank == NULL || blank + 1 == end || blank[1] != ' ') { /* the usual case: single ones */
			const char *stop = blank != NULL ? blank + 1 : end;

			text_put(out, at, (size_t)(stop - at));
			at = stop;
			continue;
		}
		text_put(out, at, (size_t)(blank + 1 - at));
		for (at = blank; at < end && *at == ' ';)
			at++;
	}
}

/* "name:value\n"; several fields of one name are one, with commas. */
static void
put_header(struct text *out, struct slice name, const struct http_header *headers, size_t count)
{
	bool found = false;

	text_put_slice(out, name);
	text_put_lit(out, ":");
	for (size_t i = 0; i < count; i++) {
		if (!slice_eq(headers[i].name, name))
			continue;
		if (found)
			text_put_lit(out, ",");
		put_folded(out, slice_trimmed(headers[i].value));
		found = true;
	}
	text_put_lit(out, "\n");
}

/* False: too many parameters. */
static bool
put_path_and_query(struct text *out, const struct sigv4_signing *s, struct arena *arena)
{
	struct buf made = {0};
	bool fits;

	if (s->path.len <= 1 && s->query.len == 0) { /* every request to DynamoDB */
		text_put_lit(out, "/\n\n");
		return true;
	}
	put_path(&made, s->path, slice_eq(s->service, SLICE("s3")));
	buf_put_byte(&made, '\n');
	fits = put_query(&made, s->query, arena);
	buf_put_byte(&made, '\n');
	text_put_slice(out, buf_slice(&made));
	buf_done(&made);
	return fits;
}

/* False: the request is beyond what is looked at. */
static bool
hash_canonical_request(const struct sigv4_signing *s, struct arena *arena, uint8_t ret[SHA256_BYTES])
{
	struct text text;

	text_begin(&text, NULL);
	text_put_slice(&text, s->method);
	text_put_lit(&text, "\n");
	if (!put_path_and_query(&text, s, arena))
		return false;
	for (size_t i = 0; i < s->names->count; i++)
		put_header(&text, s->names->of[i], s->headers, s->header_count);
	text_put_lit(&text, "\n");
	text_put_slice(&text, s->signed_headers);
	text_put_lit(&text, "\n");
	text_put_slice(&text, s->payload_hash);
	text_end(&text, ret);
	return true;
}

static void
put_string_to_sign(struct text *out, const struct sigv4_signing *s, const uint8_t request[SHA256_BYTES])
{
	char hex[SIGV4_HEX_BYTES];

	text_put_lit(out, SIGV4_ALGORITHM "\n");
	text_put_slice(out, s->amz_date);
	text_put_lit(out, "\n");
	text_put_slice(out, s->date);
	text_put_lit(out, "/");
	text_put_slice(out, s->region);
	text_put_lit(out, "/");
	text_put_slice(out, s->service);
	text_put_lit(out, "/aws4_request\n");
	crypto_hex(request, SHA256_BYTES, hex);
	text_put(out, hex, SIGV4_HEX_BYTES);
}

/* --- keys --- */

/*
 * A signing key as HMAC uses it: mixed with its two constants, a block of the hash each, which are hashed here already.
 * A signature goes on from there with two plain hashes, which takes half the time of an HMAC that is given its key
 * anew.
 */
struct pads {
	struct sha256 inner, outer;
};

struct cached_key {
	size_t len; /* of `scope`; 0: empty */
	struct pads pads;
	char scope[SCOPE_BYTES]; /* secret, date, region, service, each behind its length */
};

static size_t
put_part(char *at, struct slice s)
{
	at[0] = (char)s.len;
	memcpy(at + 1, s.data, s.len);
	return s.len + 1;
}

static void
hash_pad(const uint8_t key[SHA256_BYTES], uint8_t constant, struct sha256 *ret)
{
	uint8_t pad[PAD_BYTES];

	memset(pad, constant, sizeof pad);
	for (size_t i = 0; i < SHA256_BYTES; i++)
		pad[i] ^= key[i];
	sha256_begin(ret);
	sha256_add(ret, slice_of(pad, sizeof pad));
}

static void
derive_pads(struct slice secret, const struct sigv4_signing *s, struct pads *ret)
{
	uint8_t key[SHA256_BYTES];
	struct buf first = {0};

	buf_put_lit(&first, "AWS4");
	buf_put_slice(&first, secret);
	crypto_hmac_sha256(buf_slice(&first), s->date, key);
	memset(first.data, 0, first.len);
	buf_done(&first);
	crypto_hmac_sha256(slice_of(key, sizeof key), s->region, key);
	crypto_hmac_sha256(slice_of(key, sizeof key), s->service, key);
	crypto_hmac_sha256(slice_of(key, sizeof key), SLICE("aws4_request"), key);
	hash_pad(key, 0x36, &ret->inner);
	hash_pad(key, 0x5c, &ret->outer);
}

static size_t
cache_place(const char *scope, size_t len)
{
	uint64_t hash = len;

	for (size_t i = 0; i < len; i += 8) { /* zeros follow up to a multiple of 8 */
		uint64_t word;

		memcpy(&word, scope + i, 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	return hash % KEY_CACHE_ENTRIES;
}

/* The result lives until the thread's next call; `space` is for keys that are not cached. */
static const struct pads *
signing_pads(struct slice secret, const struct sigv4_signing *s, struct pads *space)
{
	static _Thread_local struct cached_key cache[KEY_CACHE_ENTRIES];
	struct cached_key *entry;
	char scope[SCOPE_BYTES];
	size_t len = 0;

	if (secret.len + s->date.len + s->region.len + s->service.len + 4 + 8 > sizeof scope) {
		derive_pads(secret, s, space);
		return space;
	}
	len += put_part(scope + len, secret);
	len += put_part(scope + len, s->date);
	len += put_part(scope + len, s->region);
	len += put_part(scope + len, s->service);
	memset(scope + len, 0, 8);
	entry = &cache[cache_place(scope, len)];
	if (entry->len != len || memcmp(entry->scope, scope, len) != 0) {
		derive_pads(secret, s, &entry->pads);
		memcpy(entry->scope, scope, len);
		entry->len = len;
	}
	return &entry->pads;
}

/* The HMAC of what is in `inner`, which began with the key's pad. */
static void
put_signature(struct text *inner, const struct pads *pads, char ret[SIGV4_HEX_BYTES])
{
	struct sha256 outer = pads->outer;
	uint8_t sum[SHA256_BYTES];

	text_end(inner, sum);
	sha256_add(&outer, slice_of(sum, sizeof sum));
	sha256_end(&outer, sum);
	crypto_hex(sum, sizeof sum, ret);
}

bool
sigv4_sum(struct slice secret, const struct sigv4_signing *s, struct arena *arena, char ret[SIGV4_HEX_BYTES])
{
	uint8_t request[SHA256_BYTES];
	const struct pads *pads;
	struct pads space;
	struct text text;

	if (!hash_canonical_request(s, arena, request))
		return false;
	pads = signing_pads(secret, s, &space);
	text_begin(&text, &pads->inner);
	put_string_to_sign(&text, s, request);
	put_signature(&text, pads, ret);
	return true;
}

void
sigv4_sum_string(struct slice secret, const struct sigv4_signing *s, struct slice string_to_sign,
		 char ret[SIGV4_HEX_BYTES])
{
	const struct pads *pads;
	struct pads space;
	struct text text;

	pads = signing_pads(secret, s, &space);
	text_begin(&text, &pads->inner);
	text_put_slice(&text, string_to_sign);
	put_signature(&text, pads, ret);
}
