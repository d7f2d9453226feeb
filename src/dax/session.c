/* One connection: where messages end, who it is, what it asks. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "dax/dax_int.h"

#define SERVICE          1
#define UNAUTHORIZED_MAX (64 * 1024) /* bytes of a request of somebody unknown */
#define AUTHORIZE_MAX    (64 * 1024)
#define OUT_MAX          (1024 * 1024) /* of replies not taken yet: then no further request of that client is begun */
#define AUTHORIZE_METHOD 1489122155
/* Second item of the preamble: how replies are sent. Requests are bare in both. */
#define LAYERING_BARE    0
#define LAYERING_FRAMED  1 /* the Java client: each in a frame */
#define FRAME_HEAD_BYTES 8
#define FRAME_LAST       1 /* flag: the message ends with this frame */

/* Sorted by nothing: the ids are scattered, and there are few. */
const struct dax_method dax_methods[] = {
    {"GetItem", 263244906, 3, dax_get_item},
    {"Query", -931250863, 3, dax_query, true},
    {"PutItem", -2106490455, 4, dax_put_item, true},
    {"UpdateItem", 1425579023, 3, dax_update_item, true},
    {"BatchGetItem", -697851100, 2, dax_batch_get},
    {"Scan", -1875390620, 2, dax_scan, true},
    {"DeleteItem", 1013539361, 3, dax_delete_item, true},
    {"BatchWriteItem", 116217951, 2, dax_batch_write},
    {"TransactGetItems", 1866287579, 4, dax_transact_get},
    {"TransactWriteItems", -1160037738, 9, dax_transact_write},
    {"Endpoints", 455855874, 0, dax_endpoints},
    {"DefineKeySchema", -742646399, 1, dax_define_key_schema},
    {"DefineAttributeListId", -1230579644, 1, dax_define_list_id},
    {"DefineAttributeList", 670678385, 1, dax_define_list},
    {"AuthorizeConnection", AUTHORIZE_METHOD, 5, NULL},
};
const int dax_method_count = sizeof dax_methods / sizeof *dax_methods;
_Static_assert(sizeof dax_methods / sizeof *dax_methods <= FIGURE_METHODS, "figures have room for all methods");

void
dax_identity_release(struct dax_node *n, struct dax_identity *identity)
{
	if (--identity->refs > 0)
		return;
	if (n->options.gate.release != NULL)
		n->options.gate.release(n->options.gate.context, identity);
	free(identity);
}

static void
expect(struct dax_session *s, enum dax_phase phase, uint64_t items, size_t max_bytes)
{
	s->phase = phase;
	cbor_scan_init(&s->scan, items, max_bytes);
}

void
dax_session_begin(struct dax_session *s)
{
	s->method = NULL;
	s->running = NULL;
	s->identity = NULL;
	s->refused.status = S_OK;
	s->go_client = s->framed = s->closing = s->feeding = false;
	expect(s, DAX_PREAMBLE, 5, DAX_PREAMBLE_MAX);
}

void
dax_session_end(struct dax_session *s)
{
	if (s->running != NULL) {
		s->running->gone = true;
		s->running->session = NULL;
		s->running = NULL;
	}
	if (s->identity != NULL)
		dax_identity_release(s->home->node, s->identity);
	s->identity = NULL;
}

bool
dax_session_is_half(const struct dax_session *s, size_t unused_bytes)
{
	return s->running == NULL && (s->phase == DAX_PREAMBLE || unused_bytes > 0);
}

/* u32 bytes, this head included; flags; three zero bytes. */
void
dax_session_frame(struct dax_session *s, size_t start)
{
	struct buf *out = s->out;
	size_t len = out->len - start;
	uint32_t wire;

	if (!s->framed)
		return;
	buf_reserve(out, FRAME_HEAD_BYTES);
	memmove(out->data + start + FRAME_HEAD_BYTES, out->data + start, len);
	memset(out->data + start, 0, FRAME_HEAD_BYTES);
	wire = __builtin_bswap32((uint32_t)(len + FRAME_HEAD_BYTES)); /* far below 2 GiB */
	memcpy(out->data + start, &wire, sizeof wire);
	out->data[start + sizeof wire] = FRAME_LAST;
	out->len += FRAME_HEAD_BYTES;
}

/* --- the preamble --- */

/* Who begins otherwise speaks another protocol, and is not waited for. */
static const char magic[] = "\x67J7yne5G";

static bool
begins_well(const char *data, size_t len)
{
	return memcmp(data, magic, len < sizeof magic - 1 ? len : sizeof magic - 1) == 0;
}

static bool
take_preamble(struct dax_session *s, struct slice bytes)
{
	struct cbor_reader r;
	struct cbor_items items;
	int64_t layering;

	cbor_init(&r, bytes);
	(void)cbor_text(&r); /* the magic, seen before */
	layering = cbor_int(&r);
	if (layering != LAYERING_BARE && layering != LAYERING_FRAMED)
		return false;
	s->framed = layering == LAYERING_FRAMED;
	cbor_skip(&r);
	items = cbor_map(&r);
	while (cbor_next(&r, &items)) {
		struct slice name = cbor_string(&r);

		if (slice_eq(name, SLICE("UserAgent")) && cbor_peek(&r) == CBOR_TEXT)
			s->go_client = slice_starts(cbor_text(&r), SLICE("DaxGo"));
		else
			cbor_skip(&r);
	}
	return cbor_int(&r) == 0 && !cbor_failed(&r);
}

/* --- authorization --- */

static struct slice
string_or_null(struct cbor_reader *r)
{
	return cbor_take_null(r) ? SLICE_NONE : cbor_string(r);
}

static void
refuse(struct dax_session *s, const struct err *err)
{
	size_t len = strlen(err->message);

	s->refused.status = err->status;
	if (len >= sizeof s->refused.message)
		len = sizeof s->refused.message - 1;
	while (len > 0 && !cbor_utf8_valid(slice_of(err->message, len)))
		len--;
	memcpy(s->refused.message, err->message, len);
	s->refused.message[len] = '\0';
}

/* There is no reply: what is wrong is told with the next request. False: malformed. */
static bool
authorize(struct dax_session *s, struct slice bytes)
{
	const struct dax_gate *gate = &s->home->node->options.gate;
	struct dax_authorization a;
	struct dax_identity *identity;
	struct cbor_reader r;
	struct err err;

	cbor_init(&r, bytes);
	a.access_key = cbor_string(&r);
	a.signature = cbor_string(&r);
	a.string_to_sign = cbor_string(&r);
	a.token = string_or_null(&r);
	(void)string_or_null(&r); /* user agent */
	if (cbor_failed(&r))
		return false;
	if (s->identity != NULL)
		dax_identity_release(s->home->node, s->identity);
	s->identity = NULL;
	s->refused.status = S_OK;
	identity = calloc(1, sizeof *identity);
	if (identity == NULL)
		abort();
	if (gate->verify(gate->context, &a, identity, &err) != S_OK) {
		free(identity);
		refuse(s, &err);
		return true;
	}
	identity->refs = 1;
	identity->until_ns = clock_mono_ns() + s->home->node->options.authorized_ms * 1000000;
	s->identity = identity;
	return true;
}

/* May it ask? Otherwise the error is in out. */
static bool
is_authorized(struct dax_session *s, struct buf *out)
{
	const struct dax_gate *gate = &s->home->node->options.gate;
	struct dax_identity *identity = s->identity;

	if (identity != NULL && clock_mono_ns() < identity->until_ns &&
	    (gate->valid == NULL || gate->valid(gate->context, identity)))
		return true;
	atomic_fetch_add_explicit(&s->home->node->refused, 1, memory_order_relaxed);
	if (identity != NULL) {
		dax_identity_release(s->home->node, identity);
		s->identity = NULL;
		dax_put_error_codes(out, dax_unauthorized, S_MISSING_AUTHENTICATION,
				    "The authorization of this connection has expired");
	} else if (s->refused.status != S_OK) {
		dax_put_error_codes(out, s->refused.status == S_ACCESS_DENIED ? dax_denied : dax_refused,
				    s->refused.status, s->refused.message);
		s->refused.status = S_OK;
	} else {
		dax_put_error_codes(out, dax_unauthorized, S_MISSING_AUTHENTICATION, "Missing Authentication Token");
	}
	return false;
}

/* --- messages --- */

static void
malformed(struct dax_session *s)
{
	size_t start = s->out->len;

	atomic_fetch_add_explicit(&s->home->node->malformed, 1, memory_order_relaxed);
	s->closing = true;
	if (s->phase == DAX_PREAMBLE)
		return; /* who sent no preamble speaks another protocol */
	dax_put_error(s->out, S_VALIDATION, "Malformed or too large request");
	dax_session_frame(s, start);
}

/* service and method ids. */
static bool
begin_method(struct dax_session *s, struct slice bytes)
{
	struct cbor_reader r;
	int64_t service, id;
	size_t start;

	cbor_init(&r, bytes);
	service = cbor_int(&r);
	id = cbor_int(&r);
	if (cbor_failed(&r)) {
		malformed(s);
		return false;
	}
	for (int i = 0; i < dax_method_count && service == SERVICE; i++) {
		if (dax_methods[i].id != id)
			continue;
		s->method = &dax_methods[i];
		s->phase = DAX_ARGUMENTS;
		s->scan.left[0] = (uint64_t)s->method->items;
		if (s->identity == NULL || s->method->id == AUTHORIZE_METHOD)
			s->scan.max_bytes = UNAUTHORIZED_MAX;
		return true;
	}
	/* how long its arguments are cannot be known */
	s->closing = true;
	start = s->out->len;
	dax_put_error_codes(s->out, dax_unknown_method, S_UNKNOWN_OPERATION, "Unknown service or method");
	dax_session_frame(s, start);
	return false;
}

/* bytes: a whole request, from its ids on. */
static void
run(struct dax_session *s, struct slice bytes)
{
	const struct dax_method *method = s->method;
	size_t start = s->out->len;
	struct dax_request *r;
	struct cbor_reader ids;

	cbor_init(&ids, bytes);
	cbor_skip(&ids);
	cbor_skip(&ids);
	bytes = slice_of(ids.at, (size_t)(ids.end - ids.at));
	if (method->id == AUTHORIZE_METHOD) {
		if (!authorize(s, bytes))
			malformed(s);
		return;
	}
	if (!is_authorized(s, s->out)) {
		dax_session_frame(s, start);
		return;
	}
	if (method->run == dax_get_item && dax_answer_hit(s, bytes)) {
		dax_session_frame(s, start);
		return;
	}
	r = dax_request_new(s->home);
	r->session = s;
	r->method = method;
	r->run = method->run;
	r->identity = s->identity;
	r->identity->refs++;
	r->started_ns = clock_mono_ns();
	r->arguments = arena_dup(&r->arena, bytes);
	s->running = r;
	r->run(r);
}

/* A whole message. */
static void
take(struct dax_session *s, struct slice bytes)
{
	enum dax_phase phase = s->phase;

	if (phase == DAX_PREAMBLE && !take_preamble(s, bytes)) {
		malformed(s);
		return;
	}
	expect(s, DAX_METHOD, 2, DAX_REQUEST_MAX);
	if (phase == DAX_ARGUMENTS)
		run(s, bytes);
}

enum dax_want
dax_session_feed(struct dax_session *s, const char *data, size_t len, size_t *ret_used)
{
	size_t used = 0;

	if (len == 0)
		data = "";
	s->feeding = true;
	while (!s->closing && s->running == NULL && s->out->len < OUT_MAX) {
		enum cbor_progress progress;
		size_t whole;

		if (s->phase == DAX_METHOD && s->scan.at == 0 && s->identity != NULL && !s->framed &&
		    (whole = dax_answer_hit_at_once(s, data + used, len - used)) > 0) {
			used += whole;
			continue;
		}
		progress = cbor_scan_run(&s->scan, data + used, len - used);
		whole = s->scan.at;

		if (s->phase == DAX_PREAMBLE && len > used && !begins_well(data + used, len - used))
			progress = CBOR_BAD;

		if (progress == CBOR_MORE)
			break;
		if (progress == CBOR_BAD) {
			malformed(s);
		} else if (s->phase == DAX_METHOD) {
			(void)begin_method(s, slice_of(data + used, whole));
		} else {
			take(s, slice_of(data + used, whole));
			used += whole;
		}
	}
	s->feeding = false;
	*ret_used = s->closing ? len : used;
	if (s->closing)
		return DAX_WANT_END;
	return s->running != NULL ? DAX_WANT_TIME : DAX_WANT_BYTES;
}
