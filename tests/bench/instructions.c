/*
 * Fixed loops over what every request does, to be counted in instructions by valgrind: unlike time, that number is the
 * same on a busy machine. tests/bench/count-instructions runs each with few and with many rounds, so that what is made
 * before the first does not count.
 *
 *     instructions              names the loops, each with how many rounds are many
 *     instructions LOOP ROUNDS
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/op.h"
#include "dax/dax.h"
#include "dax/lists.h"
#include "io/sigv4.h"
#include "model/av_json.h"
#include "model/key.h"

#define NOW_S 1767225600

static struct arena arena;
static struct buf out;
static struct av item;
static char item_text[2048];
static struct err err;

static void
must(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "instructions: %s: %s\n", what, err.message);
		exit(1);
	}
}

/* ---- JSON: an item of 1 KB and ten attributes ---- */

static void
json_up(void)
{
	static struct arena keeps;
	struct json_reader r;
	size_t len =
	    (size_t)snprintf(item_text, sizeof item_text,
			     "{\"pk\":{\"S\":\"user-000123\"},\"sk\":{\"N\":\"20260101\"},\"n\":{\"N\":\"-12.75\"},"
			     "\"flag\":{\"BOOL\":true},\"none\":{\"NULL\":true},\"tags\":{\"SS\":[\"a\",\"b\",\"c\"]},"
			     "\"list\":{\"L\":[{\"N\":\"1\"},{\"S\":\"two\"}]},\"map\":{\"M\":{\"x\":{\"N\":\"1\"}}},"
			     "\"esc\":{\"S\":\"line\\nline\"},\"body\":{\"S\":\"");

	memset(item_text + len, 'x', 900);
	snprintf(item_text + len + 900, sizeof item_text - len - 900, "\"}}");
	json_init(&r, slice_str(item_text), &keeps);
	must(item_read_json(&r, &keeps, &item, &err) == S_OK, "item");
}

static void
loop_json_read(void)
{
	struct json_reader r;
	struct av read;

	json_init(&r, slice_str(item_text), &arena);
	must(item_read_json(&r, &arena, &read, &err) == S_OK, "item");
	arena_reset(&arena);
}

static void
loop_json_write(void)
{
	out.len = 0;
	item_write_json(&out, item);
}

/* ---- SigV4 ---- */

static struct http_header headers[8];
static struct http_exchange exchange;

static void
sigv4_up(void)
{
	static const struct sigv4_credentials c = {SLICE("key"), SLICE("secret"), SLICE_NONE, SLICE("eu-west-1"),
						   SLICE("dynamodb")};
	static struct buf signature;
	char *at;

	json_up();
	headers[0] = (struct http_header){SLICE("host"), SLICE("127.0.0.1:8000")};
	headers[1] = (struct http_header){SLICE("x-amz-target"), SLICE("DynamoDB_20120810.PutItem")};
	headers[2] = (struct http_header){SLICE("content-type"), SLICE("application/x-amz-json-1.0")};
	exchange = (struct http_exchange){.method = SLICE("POST"),
					  .path = SLICE("/"),
					  .headers = headers,
					  .header_count = 3,
					  .raw_body = slice_str(item_text),
					  .arena = &arena};
	sigv4_sign(&c, exchange.method, exchange.path, SLICE_NONE, headers, 3, exchange.raw_body, NOW_S, &signature);
	buf_put_byte(&signature, 0);
	at = strstr(signature.data, "x-amz-date: ") + 12;
	headers[3] = (struct http_header){SLICE("x-amz-date"), slice_of(at, strcspn(at, "\r"))};
	at = strstr(signature.data, "authorization: ") + 15;
	headers[4] = (struct http_header){SLICE("authorization"), slice_of(at, strcspn(at, "\r"))};
	exchange.header_count = 5;
}

static void
loop_sigv4_verify(void)
{
	struct sigv4_auth auth;

	must(sigv4_parse(&exchange, &auth, &err) == S_OK &&
		 sigv4_verify(&exchange, &auth, SLICE("secret"), NOW_S, &err) == S_OK,
	     "signature");
	arena_reset(&arena);
}

/* ---- keys ---- */

static void
loop_row_key(void)
{
	static const struct key_schema schema = {
	    .partition = {{SLICE("pk"), AV_S}}, .partition_count = 1, .sort = {{SLICE("sk"), AV_N}}, .sort_count = 1};
	uint64_t hash;

	out.len = 0;
	key_put_row(&out, 7, &schema, item, &hash);
}

/* ---- expressions ---- */

static void
loop_condition(void)
{
	struct expr_name names[] = {{.placeholder = SLICE("#n"), .name = SLICE("n")}};
	struct expr_params params = {.names = names, .name_count = 1, .has_names = true};
	struct expr *e;

	must(
	    expr_bind(EXPR_CONDITION,
		      SLICE("attribute_exists(pk) AND #n < sk AND size(body) < sk AND (contains(tags, pk) OR n <> sk)"),
		      &params, &arena, &e, &err) == S_OK,
	    "condition");
	must(expr_test(e, item), "condition holds");
	arena_reset(&arena);
}

/* What the next two take from ExpressionAttributeNames and -Values. */
static struct expr_name names[] = {{.placeholder = SLICE("#n"), .name = SLICE("n")},
				   {.placeholder = SLICE("#map"), .name = SLICE("map")},
				   {.placeholder = SLICE("#list"), .name = SLICE("list")}};
static struct expr_value values[] = {{.placeholder = SLICE(":one")},
				     {.placeholder = SLICE(":text")},
				     {.placeholder = SLICE(":tags")},
				     {.placeholder = SLICE(":low")}};
static const struct expr_params params_of_all = {
    .names = names, .name_count = 3, .values = values, .value_count = 4, .has_names = true, .has_values = true};

static void
expressions_up(void)
{
	static struct arena keeps;
	struct json_reader r;
	struct av given;

	json_up();
	json_init(&r,
		  SLICE("{\":one\":{\"N\":\"1\"},\":text\":{\"S\":\"three\"},\":tags\":{\"SS\":[\"c\",\"d\"]},"
			"\":low\":{\"N\":\"-20.5\"}}"),
		  &keeps);
	must(item_read_json(&r, &keeps, &given, &err) == S_OK, "values");
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		values[i].value = av_get(given, values[i].placeholder);
}

static void
loop_update_expression(void)
{
	struct expr_params params = params_of_all;
	struct expr_updated updated;
	struct expr *e;

	must(expr_bind(EXPR_UPDATE,
		       SLICE("SET #n = #n + :one, #map.x = if_not_exists(#map.y, :low), #list[2] = :text, "
			     "more = list_append(#list, #list) REMOVE esc ADD tags :tags"),
		       &params, &arena, &e, &err) == S_OK,
	     "update expression");
	must(expr_update(e, AV_NONE, item, &arena, &updated, &err) == S_OK && av_exists(updated.new_item), "update");
	arena_reset(&arena);
}

static void
loop_filter_and_projection(void)
{
	struct expr_params params = params_of_all;
	struct expr *filter, *projection;

	must(expr_bind(EXPR_FILTER,
		       SLICE("NOT begins_with(body, :text) AND #n BETWEEN :low AND :one AND (flag = :one OR "
			     "#list[1] > :text OR contains(tags, pk))"),
		       &params, &arena, &filter, &err) == S_OK &&
		 expr_bind(EXPR_PROJECTION, SLICE("pk, sk, #n, #map.x, #list[1], tags"), &params, &arena, &projection,
			   &err) == S_OK,
	     "filter and projection");
	must(expr_test(filter, item), "filter"); /* "two" is behind "three" */
	must(av_exists(expr_project(projection, item, &arena)), "projection");
	arena_reset(&arena);
}

/* ---- operations, below the socket, on the memory engine ---- */

static struct op_context *context;
static int http_status;
static char put_text[2200];

static void
call_done(struct op_call *call)
{
	http_status = call->http_status;
}

static void
call(struct slice target, struct slice body)
{
	struct op_call c = {
	    .context = context, .arena = &arena, .target = target, .body = body, .out = &out, .done = call_done};

	out.len = 0;
	op_start(&c);
	must(http_status == 200, out.data);
	arena_reset(&arena);
}

static void
operations_with(uint64_t page_cache_bytes)
{
	const struct table_db_options options = {.region = "us-east-1",
						 .account = "123456789012",
						 .control_delay_ms = 1,
						 .partitions = 4,
						 .item_cache_bytes = 1 << 20,
						 .page_cache_bytes = page_cache_bytes};
	static const struct op_options op_options = {.io_threads = 1, .io_queue_max = 16};
	struct engine *engine;
	static struct table_db *db;

	json_up();
	must(engine_memory_open(&engine, &err) == S_OK && table_db_open(engine, &options, &db, &err) == S_OK &&
		 op_context_new(&op_options, &db, 1, &context, &err) == S_OK,
	     "server");
	call(SLICE("DynamoDB_20120810.CreateTable"),
	     SLICE("{\"TableName\":\"t12\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":["
		   "{\"AttributeName\":\"pk\",\"AttributeType\":\"S\"},{\"AttributeName\":\"sk\",\"AttributeType\":"
		   "\"N\"}],"
		   "\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"},"
		   "{\"AttributeName\":\"sk\",\"KeyType\":\"RANGE\"}]}"));
	do { /* a busy machine takes its time; asked rarely, for that is counted */
		usleep(20000);
		call(SLICE("DynamoDB_20120810.DescribeTable"), SLICE("{\"TableName\":\"t12\"}"));
	} while (memmem(out.data, out.len, "\"ACTIVE\"", 8) == NULL);
	snprintf(put_text, sizeof put_text, "{\"TableName\":\"t12\",\"Item\":%s}", item_text);
	call(SLICE("DynamoDB_20120810.PutItem"), slice_str(put_text));
}

static void
operations_up(void)
{
	operations_with(0);
}

static void
loop_get_item(void)
{
	call(SLICE("DynamoDB_20120810.GetItem"),
	     SLICE("{\"TableName\":\"t12\",\"Key\":{\"pk\":{\"S\":\"user-000123\"},\"sk\":{\"N\":\"20260101\"}},"
		   "\"ConsistentRead\":true}"));
}

static void
loop_put_item(void)
{
	static bool other;
	char *at = strstr(put_text, "-12.7");

	must(at != NULL || (at = strstr(put_text, "-12.8")) != NULL, "put");
	other = !other;
	at[4] = other ? '8' : '7'; /* each changes the item */
	call(SLICE("DynamoDB_20120810.PutItem"), slice_str(put_text));
}

static void
loop_update_item(void)
{
	call(SLICE("DynamoDB_20120810.UpdateItem"),
	     SLICE(
		 "{\"TableName\":\"t12\",\"Key\":{\"pk\":{\"S\":\"user-000123\"},\"sk\":{\"N\":\"20260101\"}},"
		 "\"UpdateExpression\":\"SET #c = if_not_exists(#c, :least) + :one, note = :note\","
		 "\"ConditionExpression\":\"attribute_exists(pk)\",\"ExpressionAttributeNames\":{\"#c\":\"count\"},"
		 "\"ExpressionAttributeValues\":{\":one\":{\"N\":\"1\"},\":least\":{\"N\":\"100000\"},\":note\":{\"S\":"
		 "\"again\"}},\"ReturnValues\":\"UPDATED_NEW\"}"));
}

/* 100 items of 1 KB with one partition key, all on one page. */
static void
query_with(uint64_t page_cache_bytes)
{
	char *at;

	operations_with(page_cache_bytes);
	at = strstr(put_text, "20260101");
	for (int i = 1; i < 100; i++) {
		char digits[9];

		snprintf(digits, sizeof digits, "%08d", 20260101 + i);
		memcpy(at, digits, 8);
		call(SLICE("DynamoDB_20120810.PutItem"), slice_str(put_text));
	}
}

static void
query_up(void)
{
	query_with(0);
}

static void
query_again_up(void)
{
	query_with(16 << 20);
}

static void
loop_query(void)
{
	call(SLICE("DynamoDB_20120810.Query"),
	     SLICE("{\"TableName\":\"t12\",\"KeyConditionExpression\":\"pk = :pk\",\"ExpressionAttributeValues\":{"
		   "\":pk\":{\"S\":\"user-000123\"}}}"));
	must(memmem(out.data, out.len, "\"Count\":100,", 12) != NULL, "Query of 100 items");
}

/* The same with a change record of both images. */
static void
stream_up(void)
{
	operations_up();
	call(SLICE("DynamoDB_20120810.UpdateTable"),
	     SLICE("{\"TableName\":\"t12\",\"StreamSpecification\":{\"StreamEnabled\":true,\"StreamViewType\":"
		   "\"NEW_AND_OLD_IMAGES\"}}"));
}

/* ---- a DAX node: GetItem of an item that is in the cache, from the received bytes to the reply ---- */

static struct dax_session session;
static const char dax_get[] = "\x01\x1a\x0f\xb0\xcc\x6a\x43t12\x4buser-000123\xbf\xff";

static void
dax_upstream(void *unused, struct dax_call *c)
{
	(void)unused;
	if (slice_eq(c->target, SLICE("DynamoDB_20120810.DescribeTable")))
		buf_put_lit(c->out,
			    "{\"Table\":{\"TableId\":\"0\",\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":"
			    "\"HASH\"}],\"AttributeDefinitions\":[{\"AttributeName\":\"pk\","
			    "\"AttributeType\":\"S\"}]}}");
	else
		buf_printf(c->out, "{\"Item\":%s}", item_text);
	c->http_status = 200;
	c->done(c);
}

static enum status
dax_let_in(void *unused, const struct dax_authorization *a, struct dax_identity *ret, struct err *e)
{
	(void)unused, (void)a, (void)e;
	ret->unrestricted = true;
	return S_OK;
}

static void
dax_answered(struct dax_session *s)
{
	(void)s;
}

static void
dax_feed(const char *data, size_t len)
{
	size_t used;

	must(dax_session_feed(&session, data, len, &used) == DAX_WANT_BYTES && used == len, "DAX request");
}

static void
dax_up(void)
{
	static struct dax_node_options options = {.upstream = {.call = dax_upstream, .table_ms = 3600000},
						  .gate = {.verify = dax_let_in},
						  .authorized_ms = 3600000};
	static const char hello[] = "\x67J7yne5G\x00\xf6\xa0\x00\x01\x1a\x58\xc2\x33\x6b\x60\x60\x40\xf6\xf6";

	json_up();
	must(dax_lists_open(NULL, &options.lists, &err) == S_OK, "lists");
	options.cache = cache_new(CACHE_BUDGET_DEFAULT);
	session.home = dax_loop_new(dax_node_new(&options), NULL);
	session.out = &out;
	session.answered = dax_answered;
	dax_session_begin(&session);
	dax_feed(hello, sizeof hello - 1);
	dax_feed(dax_get, sizeof dax_get - 1);
	must(cache_figures(options.cache, CACHE_ITEMS).entries == 1, "the item is in the cache");
}

static void
loop_dax_hit(void)
{
	out.len = 0;
	dax_feed(dax_get, sizeof dax_get - 1);
	must(out.len > 900 && (uint8_t)out.data[0] == 0x80, "DAX reply");
}

static const struct {
	const char *name;
	int many; /* rounds */
	void (*up)(void);
	void (*round)(void);
} loops[] = {
    {"json_read", 600, json_up, loop_json_read},
    {"json_write", 600, json_up, loop_json_write},
    {"sigv4_verify", 600, sigv4_up, loop_sigv4_verify},
    {"row_key", 600, json_up, loop_row_key},
    {"condition", 600, json_up, loop_condition},
    {"filter_and_projection", 600, expressions_up, loop_filter_and_projection},
    {"update_expression", 600, expressions_up, loop_update_expression},
    {"get_item", 600, operations_up, loop_get_item},
    {"put_item", 600, operations_up, loop_put_item},
    {"put_item_streamed", 600, stream_up, loop_put_item},
    {"update_item", 600, operations_up, loop_update_item},
    {"query_100_items", 30, query_up, loop_query},
    {"query_100_items_again", 30, query_again_up, loop_query},
    {"dax_hit", 600, dax_up, loop_dax_hit},
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
		if (argc == 1)
			printf("%s %d\n", loops[i].name, loops[i].many);
		if (argc != 3 || strcmp(argv[1], loops[i].name) != 0)
			continue;
		loops[i].up();
		for (int n = atoi(argv[2]); n > 0; n--)
			loops[i].round();
		return 0;
	}
	return argc == 1 ? 0 : 2;
}
