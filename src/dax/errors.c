/* Errors as three items: an array of codes, a message, and details: request id, exception, HTTP status, reasons. */
#include "base/crypto.h"
#include "codec/json.h"
#include "dax/dax_int.h"
#include "model/av_json.h"

#define REQUEST_ID_BYTES 52
#define REASONS_MAX      100 /* actions of one transaction */

const int dax_no_table[] = {4, 23, 24, -1};
const int dax_unknown_method[] = {4, 37, 38, 44, -1};
const int dax_unauthorized[] = {4, 23, 31, 33, -1};
const int dax_refused[] = {4, 23, 31, 32, -1};
const int dax_denied[] = {4, 23, 31, 34, -1};

/* What clients know by its codes; the last of 4, 37, 38, 39, ... */
static const struct {
	const char *name;
	int code;
} numbered[] = {
    {"ValidationException", 46},
    {"SerializationException", 46}, /* a map that has a key twice: CBOR can say so, JSON cannot */
    {"ConditionalCheckFailedException", 43},
    {"ResourceNotFoundException", 41},
    {"ProvisionedThroughputExceededException", 40},
    {"ThrottlingException", 50},
    {"ResourceInUseException", 45},
    {"InternalServerError", 47},
    {"ItemCollectionSizeLimitExceededException", 48},
    {"LimitExceededException", 49},
    {"TransactionConflictException", 57},
    {"TransactionCanceledException", 58},
    {"TransactionInProgressException", 59},
    {"IdempotentParameterMismatchException", 60},
    {"RequestLimitExceeded", 61},
};
static const int access_denied[] = {4, 37, 38, 42, -1};
static const int server_failed[] = {1, 37, 38, 53, -1};
static const int client_failed[] = {4, 0, -1}; /* the client takes the name from the details */

static void
put_codes(struct buf *out, struct slice name, int http_status)
{
	const int *codes = http_status >= 500 || http_status == 0 ? server_failed : client_failed;
	int count = 0;

	for (size_t i = 0; i < sizeof numbered / sizeof *numbered; i++) {
		if (!slice_eq(name, slice_str(numbered[i].name)))
			continue;
		cbor_put_array(out, 5);
		for (int code = 37; code <= 39; code++) {
			if (code == 37)
				cbor_put_int(out, 4);
			cbor_put_int(out, code);
		}
		cbor_put_int(out, numbered[i].code);
		return;
	}
	if (slice_eq(name, SLICE("AccessDeniedException")))
		codes = access_denied;
	while (codes[count] >= 0)
		count++;
	cbor_put_array(out, (uint64_t)count);
	for (int i = 0; i < count; i++)
		cbor_put_int(out, codes[i]);
}

static void
put_request_id(struct buf *out)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUV";
	char id[REQUEST_ID_BYTES];
	uint64_t random = 0;

	for (int i = 0; i < REQUEST_ID_BYTES; i++) {
		if (i % 12 == 0)
			random = crypto_fast_random();
		id[i] = digits[random & 31];
		random >>= 5;
	}
	cbor_put_text(out, slice_of(id, sizeof id));
}

static void
put_details(struct buf *out, struct slice name, int http_status, int elements)
{
	cbor_put_array(out, (uint64_t)elements);
	put_request_id(out);
	if (name.len > 0)
		cbor_put_text(out, name);
	else
		cbor_put_null(out);
	cbor_put_int(out, http_status > 0 ? http_status : 500);
}

void
dax_put_error_codes(struct buf *out, const int *codes, enum status status, const char *message)
{
	int count = 0;

	while (codes[count] >= 0)
		count++;
	cbor_put_array(out, (uint64_t)count);
	for (int i = 0; i < count; i++)
		cbor_put_int(out, codes[i]);
	cbor_put_text(out, slice_str(message));
	put_details(out, slice_str(status_short_name(status)), status_http(status), 3);
}

/* The engine's own words and statuses are for the log. */
static enum status
outward(enum status status)
{
	return status_wire_name(status)[0] != '\0' ? status : S_INTERNAL;
}

void
dax_put_error(struct buf *out, enum status status, const char *message)
{
	struct slice name = slice_str(status_short_name(outward(status)));

	put_codes(out, name, status_http(status));
	cbor_put_text(out, slice_str(message));
	put_details(out, name, status_http(status), 3);
}

/* --- what an upstream said --- */

struct said {
	struct slice name, message, reasons; /* reasons: JSON array */
};

static void
read_error(struct dax_request *r, struct said *ret)
{
	struct json_reader json;
	struct slice member;

	json_init(&json, buf_slice(&r->out), &r->arena);
	if (!json_enter_object(&json))
		return;
	while (json_next_member(&json, &member)) {
		if (slice_eq(member, SLICE("__type"))) {
			struct slice type = json_string(&json);
			const char *mark = type.len > 0 ? memchr(type.data, '#', type.len) : NULL;

			ret->name = type;
			if (mark != NULL)
				ret->name = slice_of(mark + 1, type.len - (size_t)(mark + 1 - type.data));
		} else if ((slice_eq(member, SLICE("message")) || slice_eq(member, SLICE("Message"))) &&
			   json_peek(&json) == JSON_STRING) {
			ret->message = json_string(&json);
		} else if (slice_eq(member, SLICE("CancellationReasons"))) {
			ret->reasons = json_raw(&json);
		} else {
			json_skip(&json);
		}
	}
}

bool
dax_upstream_says(struct dax_request *r, const char *exception)
{
	struct said said = {0};

	if (r->call.http_status != 0)
		read_error(r, &said);
	return slice_eq(said.name, slice_str(exception));
}

/* Code, message, item: nulls where there is none. */
static void
put_reason(struct dax_request *r, struct json_reader *json, const struct dax_table *schema)
{
	struct slice member, code = SLICE("None"), message = SLICE_NONE;
	struct av item = AV_NONE;
	struct err err;
	size_t mark, start;

	if (json_enter_object(json)) {
		while (json_next_member(json, &member)) {
			if (slice_eq(member, SLICE("Code")) && json_peek(json) == JSON_STRING)
				code = json_string(json);
			else if (slice_eq(member, SLICE("Message")) && json_peek(json) == JSON_STRING)
				message = json_string(json);
			else if (slice_eq(member, SLICE("Item")) && schema != NULL)
				(void)item_read_json(json, &r->arena, &item, &err);
			else
				json_skip(json);
		}
	}
	cbor_put_text(&r->reply, code);
	if (message.data != NULL)
		cbor_put_text(&r->reply, message);
	else
		cbor_put_null(&r->reply);
	start = r->reply.len;
	if (av_exists(item)) {
		mark = cbor_open_bytes(&r->reply);
		if (dax_item_write(r->home->node->options.lists, schema, item, &r->arena, &r->reply, &err) == S_OK) {
			cbor_close_bytes(&r->reply, mark);
			return;
		}
		r->reply.len = start;
	}
	cbor_put_null(&r->reply);
}

static int
count_reasons(struct dax_request *r, struct slice reasons)
{
	struct json_reader json;
	int count = 0;

	json_init(&json, reasons, &r->arena);
	if (json_enter_array(&json)) {
		while (json_next_element(&json)) {
			json_skip(&json);
			count++;
		}
	}
	return count;
}

static void
put_reasons(struct dax_request *r, struct slice reasons, int count, const struct dax_table *const *schemas,
	    size_t schema_count)
{
	struct json_reader json;
	size_t at = 0;

	cbor_put_array(&r->reply, (uint64_t)count * 3);
	json_init(&json, reasons, &r->arena);
	if (json_enter_array(&json)) {
		for (; json_next_element(&json); at++)
			put_reason(r, &json, at < schema_count ? schemas[at] : NULL);
	}
}

void
dax_put_upstream_error(struct dax_request *r, const struct dax_table *const *schemas, size_t schema_count)
{
	struct said said = {0};
	int count = 0;

	if (r->call.http_status == 0)
		said = (struct said){
		    .name = SLICE("InternalServerError"),
		    .message = slice_str(r->call.err_message != NULL ? r->call.err_message : "No answer was had"),
		};
	else
		read_error(r, &said);
	r->reply.len = 0;
	if (r->call.http_status == 0)
		put_codes(&r->reply, SLICE_NONE, 0);
	else
		put_codes(&r->reply, said.name, r->call.http_status);
	cbor_put_text(&r->reply, said.message);
	if (said.reasons.len > 0)
		count = count_reasons(r, said.reasons);
	put_details(&r->reply, said.name, r->call.http_status, count > 0 && count <= REASONS_MAX ? 4 : 3);
	if (count > 0 && count <= REASONS_MAX)
		put_reasons(r, said.reasons, count, schemas, schema_count);
}
