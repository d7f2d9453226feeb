/*
 * NextToken: where a SELECT goes on. It says which read of the plan comes next and behind which key, sealed with a hash
 * that takes in the table (which has a random id), the statement and its parameters. A token that was not made here, or
 * was changed, is "Invalid"; one of another request "does not match". The place is checked again as any starting key
 * is, so that even a forged token reaches nothing that the statement could not.
 *
 *   version (1) | binding (16) | seal (16) | read (4, big endian) | key (an attribute value; none: the read begins)
 */
#include "api/partiql.h"
#include "base/crypto.h"
#include "codec/base64.h"

#define TOKEN_VERSION 1
#define HASH_BYTES    16
#define HEAD_BYTES    (1 + 2 * HASH_BYTES + 4)

static void
put_part(struct buf *out, struct slice part)
{
	buf_put_be64(out, part.len);
	buf_put_slice(out, part);
}

static void
take_hash(struct buf *all, uint8_t ret[HASH_BYTES])
{
	uint8_t whole[SHA256_BYTES];

	crypto_sha256(buf_slice(all), whole);
	memcpy(ret, whole, HASH_BYTES);
	buf_done(all);
}

static struct slice
table_id(struct op_call *call, const struct statement *st)
{
	struct table_description description;
	struct err gone;

	if (table_describe(call->db, table_name(st->table), call->arena, &description, &gone) != S_OK)
		return SLICE_NONE;
	return arena_dup(call->arena, slice_str(description.id));
}

static void
binding_of(struct op_call *call, const struct statement *st, uint8_t ret[HASH_BYTES])
{
	struct buf all = {0};

	put_part(&all, SLICE("stator partiql token binding"));
	put_part(&all, table_id(call, st));
	put_part(&all, st->in->text);
	for (size_t i = 0; i < st->param_count; i++)
		put_part(&all, slice_of(st->params[i].data, st->params[i].len));
	take_hash(&all, ret);
}

static void
seal_of(const uint8_t *binding, struct slice place, uint8_t ret[HASH_BYTES])
{
	struct buf all = {0};

	put_part(&all, SLICE("stator partiql token seal"));
	put_part(&all, slice_of(binding, HASH_BYTES));
	put_part(&all, place);
	take_hash(&all, ret);
}

struct slice
token_write(struct op_call *call, const struct statement *st, const struct selected *page)
{
	uint8_t binding[HASH_BYTES], seal[HASH_BYTES];
	struct buf place = {0}, token = {0};
	struct slice text;
	char *to;

	buf_put_be32(&place, page->next_read);
	if (av_exists(page->last_key))
		buf_put(&place, page->last_key.data, page->last_key.len);
	binding_of(call, st, binding);
	seal_of(binding, buf_slice(&place), seal);
	buf_put_byte(&token, TOKEN_VERSION);
	buf_put(&token, binding, sizeof binding);
	buf_put(&token, seal, sizeof seal);
	buf_put_slice(&token, buf_slice(&place));
	to = arena_alloc(call->arena, BASE64_LENGTH(token.len));
	text = slice_of(to, (size_t)(base64_write(to, buf_slice(&token)) - to));
	buf_done(&place);
	buf_done(&token);
	return text;
}

static enum status
invalid(struct err *err)
{
	return err_set(err, S_VALIDATION, MSG_NEXT_TOKEN);
}

enum status
token_read(struct op_call *call, const struct statement *st, uint32_t *ret_read, struct av *ret_key, struct err *err)
{
	uint8_t binding[HASH_BYTES], seal[HASH_BYTES];
	struct slice token, place, key;
	const uint8_t *bytes;
	uint32_t read;

	*ret_read = 0;
	*ret_key = AV_NONE;
	if (st->in->next_token.data == NULL)
		return S_OK;
	if (!base64_read(st->in->next_token, call->arena, &token) || token.len < HEAD_BYTES ||
	    token.data[0] != TOKEN_VERSION)
		return invalid(err);
	bytes = (const uint8_t *)token.data + 1;
	place = slice_of(bytes + 2 * HASH_BYTES, token.len - 1 - 2 * HASH_BYTES);
	seal_of(bytes, place, seal);
	if (!crypto_equal(seal, bytes + HASH_BYTES, HASH_BYTES))
		return invalid(err);
	binding_of(call, st, binding);
	if (!crypto_equal(binding, bytes, HASH_BYTES))
		return err_set(err, S_VALIDATION, MSG_TOKEN_MISMATCH);
	memcpy(&read, place.data, sizeof read);
	*ret_read = __builtin_bswap32(read);
	key = slice_of(place.data + 4, place.len - 4);
	if (key.len == 0)
		return S_OK;
	if (av_check(key, err) != S_OK || (uint8_t)key.data[0] != TAG_M)
		return invalid(err);
	*ret_key = (struct av){(const uint8_t *)key.data, (uint32_t)key.len};
	return S_OK;
}
