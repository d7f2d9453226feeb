/* Reading attribute values from JSON. av_json_write.c writes them. */
#include "model/av_json.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/wording.h"
#include "codec/base64.h"
#include "model/number.h"
#include "model/schema.h"

#define CLASS_ATTRIBUTE_VALUE "com.amazonaws.dynamodb.v20120810.AttributeValue"
#define INVALID               "One or more parameter values were invalid: "

/* An attribute itself is the first of the AV_DEPTH_MAX levels. */
#define CONTAINERS_MAX (AV_DEPTH_MAX - 1)

/* One call of item_read_json() or av_read_json(). */
struct reading {
	struct json_reader *r;
	struct buf *out;
	struct err *err;
	bool refused;    /* err holds the first value error; what is appended further is thrown away in the end */
	bool empty_name; /* an attribute of the item itself has no name: told before all else */
	bool empty_key;  /* what was refused is a name further inside: too many levels are told before it */
};

static void read_value(struct reading *v, int depth);

/* ---- the buffer each thread builds in; the finished value is copied to the arena ---- */

#define SCRATCH_KEPT_MAX (1u << 20) /* bytes; a larger one is given back after use */

static _Thread_local struct buf scratch;
static _Thread_local bool scratch_known; /* its end is arranged for */
static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void
scratch_free(void *data)
{
	buf_done(data);
}

static void
scratch_key_make(void)
{
	if (pthread_key_create(&scratch_key, scratch_free) != 0)
		abort();
}

static struct buf *
scratch_take(void)
{
	if (!scratch_known) {
		pthread_once(&scratch_once, scratch_key_make);
		pthread_setspecific(scratch_key, &scratch);
		scratch_known = true;
	}
	scratch.len = 0;
	return &scratch;
}

static void
scratch_give_back(void)
{
	if (scratch.cap > SCRATCH_KEPT_MAX)
		buf_done(&scratch);
}

/* ---- errors ---- */

static void __attribute__((format(printf, 2, 3), cold)) refuse(struct reading *v, const char *format, ...)
{
	char message[ERR_MESSAGE_MAX];
	va_list args;

	if (v->refused)
		return;
	v->refused = true;
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	err_set(v->err, S_VALIDATION, "%s", message);
}

/*
 * The newer wording lists the elements in byte order up to the first that is there already, then that one, then the
 * rest as it was sent. Base64 of binaries is compared by its bytes. The first repetition is found by sorting places,
 * so that a hostile set of many elements costs n log n.
 */
struct sent {
	struct slice text, key;
	uint32_t place;
};

static int
sent_order(const void *a, const void *b)
{
	const struct sent *x = a, *y = b;
	int order = slice_cmp(x->key, y->key);

	return order != 0 ? order : x->place < y->place ? -1 : 1;
}

static void
sort_sent(struct slice *texts, uint32_t count, bool binary, struct arena *arena)
{
	struct sent *sent = arena_alloc(arena, count * sizeof *sent);
	uint32_t first = count;

	for (uint32_t i = 0; i < count; i++) {
		sent[i] = (struct sent){texts[i], texts[i], i};
		if (binary)
			base64_read(texts[i], arena, &sent[i].key);
	}
	qsort(sent, count, sizeof *sent, sent_order);
	for (uint32_t i = 1; i < count; i++)
		if (slice_cmp(sent[i - 1].key, sent[i].key) == 0 && sent[i].place < first)
			first = sent[i].place;
	for (uint32_t i = 0, to = 0; i < count; i++)
		if (sent[i].place < first)
			texts[to++] = sent[i].text;
}

/*
 * The message shows the set as it was sent, so it is read once more from where it stood: the elements built from it
 * are sorted by now.
 */
static void __attribute__((cold))
refuse_duplicates(struct reading *v, enum av_tag tag, uint32_t count, struct json_reader from)
{
	const char *between = wording(tag == TAG_BS ? W_SET_BETWEEN_BINARIES : W_SET_BETWEEN_STRINGS);
	const char *quote = wording(W_SET_QUOTE);
	struct slice *texts;
	struct buf shown = {0};

	if (v->refused)
		return;
	if (tag == TAG_NS) {
		refuse(v, "%s", wording(W_SET_DUPLICATE_NUMBERS));
		return;
	}
	texts = arena_alloc(from.arena, count * sizeof *texts);
	json_enter_array(&from);
	for (uint32_t i = 0; json_next_element(&from); i++)
		texts[i] = json_string(&from);
	if (wording_is_2026(WORDING_VALUES))
		sort_sent(texts, count, tag == TAG_BS, from.arena);
	for (uint32_t i = 0; i < count && shown.len < ERR_MESSAGE_MAX; i++)
		buf_printf(&shown, "%s%s%.*s%s", i > 0 ? between : "", quote, SLICE_ARG(texts[i]), quote);
	if (shown.len > ERR_MESSAGE_MAX)
		shown.len = ERR_MESSAGE_MAX;
	refuse(v, wording(W_SET_DUPLICATES), (int)shown.len, shown.data, tag == TAG_BS ? "of type BS" : "");
	buf_done(&shown);
}

/* ---- scalars ---- */

/* The bytes lie in the arena. Nothing and a latched failure when it is no base64 string. */
static struct slice
read_blob(struct json_reader *r)
{
	struct slice text, bytes = SLICE_NONE;

	if (json_peek(r) != JSON_STRING) {
		json_mismatch(r, JSON_WANT_BLOB, NULL);
		return SLICE_NONE;
	}
	text = json_string(r);
	if (text.len % 4 != 0)
		json_fail_type(r, arena_printf(r->arena,
					       "Base64 encoded length is expected a multiple of 4 bytes but found: %zu",
					       text.len)
				      .data);
	else if (!base64_read(text, r->arena, &bytes))
		json_fail_type(r, "Invalid last non-pad Base64 character dectected"); /* their spelling */
	return bytes;
}

static void
put_binary(struct reading *v)
{
	struct arena_mark mark = arena_mark(v->r->arena);
	struct slice bytes = read_blob(v->r);

	av_put_binary(v->out, bytes);
	if (!json_failed(v->r)) /* the failure's words may lie there */
		arena_rewind(v->r->arena, mark);
}

/* Zero when the text is no number DynamoDB takes. */
static size_t
encode_number(struct reading *v, struct slice text, uint8_t ret[NUMBER_ENCODED_MAX])
{
	size_t length;

	if (text.data == NULL) /* it was no string: the reader has failed */
		return 0;
	length = number_encode_text(text, ret, v->refused ? NULL : v->err);
	if (length == 0)
		v->refused = true;
	return length;
}

static void
put_number(struct reading *v, struct slice text)
{
	uint8_t encoded[NUMBER_ENCODED_MAX];
	size_t length = encode_number(v, text, encoded);

	if (length > 0)
		av_put_number(v->out, slice_of(encoded, length));
	else
		av_put_null(v->out);
}

static void
put_null(struct reading *v)
{
	if (!json_bool(v->r) && !json_failed(v->r))
		refuse(v, INVALID "Null attribute value types must have the value of true");
	av_put_null(v->out);
}

/* ---- sets ---- */

static bool
put_element(struct reading *v, enum av_tag tag)
{
	uint8_t encoded[NUMBER_ENCODED_MAX];
	size_t length;

	if (json_peek(v->r) == JSON_NULL) {
		json_null(v->r);
		refuse(v, INVALID "An string set  may not have a null element");
		return false;
	}
	switch (tag) {
	case TAG_SS:
		av_put_element(v->out, json_string(v->r));
		return true;
	case TAG_BS:
		av_put_element(v->out, read_blob(v->r));
		return true;
	default:
		length = encode_number(v, json_string(v->r), encoded);
		if (length > 0)
			av_put_element(v->out, slice_of(encoded, length));
		return length > 0;
	}
}

static void
read_set(struct reading *v, enum av_tag tag)
{
	static const char *const empty[] = {
	    [TAG_SS] = INVALID "An string set  may not be empty", /* two blanks: theirs too */
	    [TAG_NS] = INVALID "An number set  may not be empty",
	    [TAG_BS] = INVALID "Binary sets should not be empty",
	};
	struct json_reader from = *v->r;
	size_t mark = av_open(v->out, tag);
	uint32_t count = 0;
	bool any = false;

	if (!json_enter_array(v->r))
		return;
	while (json_next_element(v->r)) {
		any = true;
		if (put_element(v, tag))
			count++;
	}
	if (json_failed(v->r))
		return;
	if (!any)
		refuse(v, "%s", empty[tag]);
	if (av_close_set(v->out, mark, count, NULL) != S_OK) {
		refuse_duplicates(v, tag, count, from);
		v->out->len = mark;
		av_put_null(v->out);
	}
}

/* ---- lists and maps ---- */

static bool
too_deep(struct reading *v, int depth)
{
	if (depth < CONTAINERS_MAX)
		return false;
	v->refused &= !v->empty_key;
	refuse(v, "Nesting Levels have exceeded supported limits: "
		  "Attributes in the item have nested levels beyond supported limit");
	json_skip(v->r);
	av_put_null(v->out);
	return true;
}

static void
read_list(struct reading *v, int depth)
{
	size_t mark;
	uint32_t count = 0;

	if (json_peek(v->r) != JSON_ARRAY) {
		json_mismatch(v->r, JSON_WANT_LIST, NULL);
		return;
	}
	if (too_deep(v, depth))
		return;
	mark = av_open(v->out, TAG_L);
	json_enter_array(v->r);
	while (json_next_element(v->r)) {
		read_value(v, depth + 1);
		count++;
	}
	av_close_list(v->out, mark, count);
}

static inline const char *
skip_blank(const char *at)
{
	return *at == ' ' ? at + 1 : at;
}

/*
 * Nearly every attribute is `"name":{"S":"..."}` or the same with N, with no blank or one behind colons and commas and
 * a name of less than 16 bytes. This reads one such member, its comma included, faster than piece by piece. False, and
 * nothing has happened, when it looks any other way: no error is found or told here.
 */
static inline bool
read_common_member(struct reading *v)
{
	struct json_reader *r = v->r;
	const char *at = r->at, *start = at, *name;
	struct slice text;
	int name_length;
	char type, *to;

	if (r->end - at < 48) /* more than all that is looked at below, but for the value */
		return false;
	if (r->need_comma) {
		if (*at != ',')
			return false;
		at = skip_blank(at + 1);
	}
	name = at + 1;
	if (*at != '"' || (name_length = json_short_length(name)) <= 0)
		return false;
	at = name + name_length + 1;
	if (*at != ':')
		return false;
	at = skip_blank(at + 1);
	type = at[2];
	if (at[0] != '{' || at[1] != '"' || at[3] != '"' || at[4] != ':' || (type != 'S' && type != 'N'))
		return false;
	at = skip_blank(at + 5);
	if (*at != '"')
		return false;
	r->at = at;
	text = json_string(r);
	if (r->at == r->end || *r->at != '}') { /* failed, or more members: once more, slowly */
		if (json_failed(r))
			return false;
		r->at = start;
		r->need_comma = *start == ',';
		return false;
	}
	r->at++;
	buf_reserve(v->out, 32);
	to = v->out->data + v->out->len;
	*to++ = (char)name_length;
	memcpy(to, name, 16); /* what is too much is overwritten */
	v->out->len += 1 + (size_t)name_length;
	if (type == 'S')
		av_put_string(v->out, text);
	else
		put_number(v, text);
	return true;
}

/* The members of an object as a map; the caller knows that one comes. Depth -1: the item itself. */
static void
read_members(struct reading *v, int depth)
{
	size_t mark = av_open(v->out, TAG_M);
	uint32_t count = 0;
	struct slice name;

	json_enter_object(v->r);
	for (;; count++) {
		if (read_common_member(v))
			continue;
		if (!json_next_member(v->r, &name))
			break;
		if (name.len == 0) {
			v->empty_name |= depth < 0;
			v->empty_key |= !v->refused;
			refuse(v, "Empty attribute name");
		} else if (name.len > ATTR_NAME_MAX) {
			refuse(v, INVALID "Attribute name is too large, must be less than 65536 bytes");
		}
		av_put_name(v->out, name);
		read_value(v, depth + 1);
	}
	if (!json_failed(v->r) && av_close_map(v->out, mark, count, NULL) != S_OK)
		json_fail(v->r, "a member name appears twice");
}

static void
read_map(struct reading *v, int depth)
{
	if (json_peek(v->r) != JSON_OBJECT)
		json_mismatch(v->r, JSON_WANT_MAP, CLASS_ATTRIBUTE_VALUE);
	else if (!too_deep(v, depth))
		read_members(v, depth);
}

/* ---- values ---- */

/* AV_TYPE_COUNT when the name is none of a type. */
static enum av_type
type_of_name(struct slice name)
{
	const char *n = name.data;

	switch (name.len) {
	case 1:
		return n[0] == 'S'   ? AV_S
		       : n[0] == 'N' ? AV_N
		       : n[0] == 'B' ? AV_B
		       : n[0] == 'M' ? AV_M
		       : n[0] == 'L' ? AV_L
				     : AV_TYPE_COUNT;
	case 2:
		if (n[1] != 'S')
			break;
		return n[0] == 'S' ? AV_SS : n[0] == 'N' ? AV_NS : n[0] == 'B' ? AV_BS : AV_TYPE_COUNT;
	case 4:
		if (memcmp(n, "BOOL", 4) == 0)
			return AV_BOOL;
		if (memcmp(n, "NULL", 4) == 0)
			return AV_NULL;
		break;
	}
	return AV_TYPE_COUNT;
}

static void
read_typed(struct reading *v, enum av_type type, int depth)
{
	switch (type) {
	case AV_NULL:
		put_null(v);
		break;
	case AV_BOOL:
		av_put_bool(v->out, json_bool(v->r));
		break;
	case AV_N:
		put_number(v, json_string(v->r));
		break;
	case AV_S:
		av_put_string(v->out, json_string(v->r));
		break;
	case AV_B:
		put_binary(v);
		break;
	case AV_SS:
		read_set(v, TAG_SS);
		break;
	case AV_NS:
		read_set(v, TAG_NS);
		break;
	case AV_BS:
		read_set(v, TAG_BS);
		break;
	case AV_L:
		read_list(v, depth);
		break;
	case AV_M:
		read_map(v, depth);
		break;
	case AV_TYPE_COUNT:
		break;
	}
}

/*
 * Nearly every value is {"S":"..."} or {"N":"..."}, perhaps with a blank behind the colon. False, and nothing has
 * happened, when it is not so, or when there is more in it than the one member.
 */
static inline bool
read_common(struct reading *v)
{
	struct json_reader *r = v->r;
	const char *at = r->at, *start = at;
	struct slice text;
	char type;

	if (r->end - at < 12)
		return false;
	if (*at == ' ')
		at++;
	if (at[0] != '{' || at[1] != '"' || at[3] != '"' || at[4] != ':')
		return false;
	type = at[2];
	at += at[5] == ' ' ? 6 : 5;
	if (*at != '"' || (type != 'S' && type != 'N'))
		return false;
	r->at = at;
	text = json_string(r);
	if (r->at >= r->end || *r->at != '}') {
		if (!json_failed(r))
			r->at = start;
		return json_failed(r);
	}
	r->at++;
	if (type == 'S')
		av_put_string(v->out, text);
	else
		put_number(v, text);
	return true;
}

/* Appends exactly one value, whatever is wrong with it; unless the reader fails, then there is no result at all. */
static void
read_value(struct reading *v, int depth)
{
	unsigned seen = 0;
	int types = 0;
	struct slice name;

	if (read_common(v))
		return;
	switch (json_peek(v->r)) {
	case JSON_OBJECT:
		json_enter_object(v->r);
		break;
	case JSON_NULL:
		json_null(v->r);
		refuse(v, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes");
		av_put_null(v->out);
		return;
	default:
		json_mismatch(v->r, JSON_WANT_STRUCT_ITEM, CLASS_ATTRIBUTE_VALUE);
		return;
	}
	while (json_next_member(v->r, &name)) {
		enum av_type type = type_of_name(name);
		size_t first_end = v->out->len;

		/* members that are unknown or null do not count, as if they were not there */
		if (type == AV_TYPE_COUNT || json_peek(v->r) == JSON_NULL) {
			json_skip(v->r);
			continue;
		}
		if (seen & 1u << type) {
			json_fail(v->r, "a member name appears twice");
			return;
		}
		seen |= 1u << type;
		read_typed(v, type, depth);
		if (++types > 1) /* only its errors are wanted */
			v->out->len = first_end;
	}
	if (json_failed(v->r))
		return;
	if (types == 0) {
		refuse(v, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes");
		av_put_null(v->out);
	} else if (types > 1) {
		refuse(v, "Supplied AttributeValue has more than one datatypes set, "
			  "must contain exactly one of the supported datatypes");
	}
}

static enum status
finish(struct reading *v, struct arena *a, struct av *ret)
{
	enum status s = S_OK;

	*ret = AV_NONE;
	if (json_failed(v->r)) {
		s = err_set(v->err, S_SERIALIZATION, "%s", v->r->wrong_type ? v->r->failure : "");
	} else if (v->empty_name) {
		s = err_set(v->err, S_VALIDATION, "Empty attribute name");
	} else if (v->refused) {
		s = S_VALIDATION;
	} else {
		*ret = av_of_buf(a, v->out, 0);
	}
	scratch_give_back();
	return s;
}

enum status
av_read_json(struct json_reader *r, struct arena *a, struct av *ret, struct err *err)
{
	struct reading v = {.r = r, .out = scratch_take(), .err = err};

	read_value(&v, 0);
	return finish(&v, a, ret);
}

enum status
item_read_json(struct json_reader *r, struct arena *a, struct av *ret, struct err *err)
{
	struct reading v = {.r = r, .out = scratch_take(), .err = err};

	if (json_peek(r) != JSON_OBJECT)
		json_mismatch(r, JSON_WANT_MAP, CLASS_ATTRIBUTE_VALUE);
	else
		read_members(&v, -1);
	return finish(&v, a, ret);
}
