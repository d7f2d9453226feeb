/*
 * The DAX protocol against what three unmodified clients sent: dax_exchanges.txt holds each of their messages and the
 * answer. Ids of attribute lists in it are this server's; all else in the answers marked "=" is what the clients were
 * seen to accept.
 */
#include <malloc.h>

#include "front/dax_fixture.h"

#define EXCHANGES_MAX 400

struct exchange {
	char client[8], method[32];
	struct slice sent, answer;
};

static struct exchange exchanges[EXCHANGES_MAX];
static size_t exchange_count;

static struct slice
unhex(const char *text)
{
	size_t len = strcmp(text, "-") == 0 ? 0 : strlen(text) / 2;
	char *bytes = malloc(len + 1);

	for (size_t i = 0; i < len; i++) {
		unsigned byte;

		assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
		bytes[i] = (char)byte;
	}
	return slice_of(bytes, len);
}

static void
load_exchanges(void)
{
	static char line[65536], sent[65536], answer[65536];
	char path[4096], mark[2];
	FILE *file;

	snprintf(path, sizeof path, "%s", __FILE__);
	snprintf(strrchr(path, '/') + 1, 32, "dax_exchanges.txt");
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file) != NULL) {
		struct exchange *e = &exchanges[exchange_count];

		if (line[0] == '#')
			continue;
		assert_true(exchange_count < EXCHANGES_MAX);
		assert_int_equal(sscanf(line, "%7s %31s %1s %s %s", e->client, e->method, mark, sent, answer), 5);
		e->sent = unhex(sent);
		e->answer = unhex(answer);
		exchange_count++;
	}
	fclose(file);
}

static int
up(void **state)
{
	if (fixture_up(state) != 0)
		return -1;
	dx_make_tables();
	dx_up_with(dax_front_local(fx.context, false), true);
	return 0;
}

static int
down(void **state)
{
	dx_down();
	return fixture_down(state);
}

/* Request ids are random: zeroes, as in the file. */
static void
mask_request_id(struct buf *answer)
{
	for (size_t i = 0; i + 54 <= answer->len; i++) {
		if ((uint8_t)answer->data[i] == 0x78 && answer->data[i + 1] == 52) {
			memset(answer->data + i + 2, '0', 52);
			return;
		}
	}
}

static void
expect_answer(const struct exchange *e)
{
	if ((uint8_t)(dx.out.len > 0 ? dx.out.data[0] : 0) != 0x80)
		mask_request_id(&dx.out);
	if (!slice_eq(buf_slice(&dx.out), e->answer)) {
		fprintf(stderr, "%s %s answered:", e->client, e->method);
		for (size_t i = 0; i < dx.out.len; i++)
			fprintf(stderr, "%02x", (uint8_t)dx.out.data[i]);
		fputc('\n', stderr);
		fail_msg("%s %s: not the recorded answer", e->client, e->method);
	}
	dx.out.len = 0;
}

/* step: bytes fed at once; 0: all of a message. */
static void
replay(const char *client, size_t step)
{
	bool open = false;
	size_t used;

	for (size_t i = 0; i < exchange_count; i++) {
		const struct exchange *e = &exchanges[i];
		struct slice rest = e->sent;

		if (strcmp(e->client, client) != 0)
			continue;
		if (strcmp(e->method, "preamble") == 0) {
			if (open)
				dx_end();
			dx_begin();
			open = true;
		}
		for (size_t have = step > 0 ? step : rest.len; rest.len > 0; have += step > 0 ? step : rest.len) {
			if (have > rest.len)
				have = rest.len;
			assert_int_equal(dx_feed(rest.data, have, &used), DAX_WANT_BYTES);
			rest.data += used;
			rest.len -= used;
			if (used > 0)
				have = 0;
			else if (have == rest.len)
				fail_msg("%s %s: a whole message was not taken", e->client, e->method);
		}
		expect_answer(e);
	}
	dx_end();
}

static void
clients_get_their_recorded_answers_v2(void **state)
{
	(void)state;
	replay("js-v2", 0);
}

static void
clients_get_their_recorded_answers_v3(void **state)
{
	(void)state;
	replay("js-v3", 0);
}

static void
clients_get_their_recorded_answers_go(void **state)
{
	(void)state;
	replay("go-v1", 0);
}

static void
it_makes_no_difference_how_bytes_arrive(void **state)
{
	(void)state;
	replay("js-v3", 1);
}

/* A session of this client, authorized, as the first exchanges make it. */
static void
begin_authorized(const char *client)
{
	bool begun = false;
	size_t used;

	dx_begin();
	for (size_t i = 0; i < exchange_count; i++) {
		const struct exchange *e = &exchanges[i];

		if (strcmp(e->client, client) != 0)
			continue;
		if (strcmp(e->method, "preamble") == 0 && !begun)
			begun = true;
		else if (strcmp(e->method, "authorizeConnection") != 0)
			continue;
		dx_feed(e->sent.data, e->sent.len, &used);
		assert_int_equal(used, e->sent.len);
		if (strcmp(e->method, "authorizeConnection") == 0)
			return;
	}
}

static void
the_beginning_of_a_request_is_waited_for(void **state)
{
	size_t used;

	(void)state;
	for (size_t i = 0; i < exchange_count; i++) {
		const struct exchange *e = &exchanges[i];

		if (strcmp(e->method, "preamble") == 0 || strcmp(e->method, "authorizeConnection") == 0)
			continue;
		for (size_t len = 1; len < e->sent.len; len++) {
			char *copy = malloc(len); /* so that a sanitizer sees a look behind it */

			memcpy(copy, e->sent.data, len);
			begin_authorized(e->client);
			assert_int_equal(dx_feed(copy, len, &used), DAX_WANT_BYTES);
			assert_int_equal(used, 0);
			assert_int_equal(dx.out.len, 0);
			assert_true(dax_session_is_half(&dx.session, len));
			dx_end();
			free(copy);
		}
	}
}

/* --- what is not right --- */

static const char preamble[] = "\x67J7yne5G\x00\xf6\xa0\x00";

static void
expect_dax_error(const char *codes, size_t codes_len, const char *exception)
{
	struct slice out = buf_slice(&dx.out);

	assert_true(out.len > codes_len);
	assert_memory_equal(out.data, codes, codes_len);
	if (memmem(out.data, out.len, exception, strlen(exception)) == NULL)
		fail_msg("no %s in the answer", exception);
	dx.out.len = 0;
}

static void
feed_all(const char *data, size_t len, enum dax_want want)
{
	size_t used;

	assert_int_equal(dx_feed(data, len, &used), want);
	assert_int_equal(used, len);
}
#define FEED(literal, want) feed_all((literal), sizeof(literal) - 1, (want))

static void
a_stranger_is_told_to_authorize(void **state)
{
	(void)state;
	dx_begin();
	feed_all(preamble, sizeof preamble - 1, DAX_WANT_BYTES);
	FEED("\x01\x1a\x1b\x2b\xcf\x02", DAX_WANT_BYTES);
	expect_dax_error("\x84\x04\x17\x18\x1f\x18\x21", 7, "MissingAuthenticationTokenException");
	/* a failure has no reply of its own: it is told with the next request, once */
	FEED("\x01\x1a\x58\xc2\x33\x6b\x60\x60\x40\xf6\xf6", DAX_WANT_BYTES);
	assert_int_equal(dx.out.len, 0);
	FEED("\x01\x1a\x1b\x2b\xcf\x02", DAX_WANT_BYTES);
	expect_dax_error("\x84\x04\x17\x18\x1f\x18\x20", 7, "UnrecognizedClientException");
	FEED("\x01\x1a\x1b\x2b\xcf\x02", DAX_WANT_BYTES);
	expect_dax_error("\x84\x04\x17\x18\x1f\x18\x21", 7, "MissingAuthenticationTokenException");
	FEED("\x01\x1a\x58\xc2\x33\x6b\x61k\x60\x40\xf6\xf6\x01\x1a\x1b\x2b\xcf\x02", DAX_WANT_BYTES);
	assert_int_equal((uint8_t)dx.out.data[0], 0x80);
	dx_end();
}

static void
another_protocol_is_hung_up_on(void **state)
{
	static const char *const others[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
					     "\x16\x03\x01\x02",
					     "\x67J7yne5X\x00\xf6\xa0\x00",
					     "\x67J7yne5G\x02\xf6\xa0\x00",
					     "\xff",
					     "\x5f"};
	static const size_t lengths[] = {27, 4, 12, 12, 1, 1};
	size_t used;

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		dx_begin();
		assert_int_equal(dx_feed(others[i], lengths[i], &used), DAX_WANT_END);
		assert_int_equal(dx.out.len, 0);
		dx_end();
	}
}

static void
impossible_lengths_end_a_connection(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
	    {"\x01\x1a\x0f\xb0\xcc\x6a\x5b\x7f\xff\xff\xff\xff\xff\xff\xff", 15}, /* a string of 2^63 - 1 bytes */
	    {"\x01\x1a\x0f\xb0\xcc\x6a\x5b\xff\xff\xff\xff\xff\xff\xff\xff", 15},
	    {"\x01\x1a\x0f\xb0\xcc\x6a\x9b\x80\x00\x00\x00\x00\x00\x00\x00", 15}, /* an array of 2^63 */
	    {"\x01\x1a\x0f\xb0\xcc\x6a\xbb\x7f\xff\xff\xff\xff\xff\xff\xff", 15},
	    {"\x01\x1a\x0f\xb0\xcc\x6a\x5a\x02\x00\x00\x00", 11}, /* 32 MiB */
	    {"\x01\x1a\x0f\xb0\xcc\x6a\x5f", 7},                  /* a string in pieces */
	    {"\x01\x1a\x0f\xb0\xcc\x6a\x1c", 7},                  /* a reserved head */
	    {"\x01\x1a\x0f\xb0\xcc\x6a\xff", 7},                  /* a break of nothing */
	    {"\x01\x1a\x0f\xb0\xcc\x6a\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81"
	     "\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81"
	     "\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81",
	     66},
	    {"\x61x\x00", 3},                /* no number for a service */
	    {"\x02\x1a\x0f\xb0\xcc\x6a", 6}, /* another service */
	    {"\x01\x1a\x0f\xb0\xcc\x6b", 6}, /* another method */
	};
	size_t used;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		begin_authorized("js-v3");
		assert_int_equal(dx_feed(bad[i].bytes, bad[i].len, &used), DAX_WANT_END);
		assert_true(dx.out.len > 0 && dx.out.data[0] != (char)0x80);
		dx_end();
	}
}

/* Whatever stands in a request that is complete, it is answered by an error of the client's, and the next one works. */
static void
expect_refused(const char *request, size_t len)
{
	begin_authorized("js-v3");
	feed_all(request, len, DAX_WANT_BYTES);
	expect_dax_error("\x85\x04\x18\x25\x18\x26\x18\x27\x18\x2e", 10, "ValidationException");
	FEED("\x01\x1a\x1b\x2b\xcf\x02", DAX_WANT_BYTES);
	assert_int_equal((uint8_t)dx.out.data[0], 0x80);
	dx_end();
}
#define EXPECT_REFUSED(literal) expect_refused((literal), sizeof(literal) - 1)

#define GET       "\x01\x1a\x0f\xb0\xcc\x6a"
#define PUT       "\x01\x3a\x7d\x8e\x7e\x56"
#define SCAN      "\x01\x3a\x6f\xc8\x30\x9b"
#define UPDATE    "\x01\x1a\x54\xf8\x9c\x0f"
#define LIST      "\x01\x1a\x27\xf9\xbd\x71"
#define BATCH_GET "\x01\x3a\x29\x98\x5c\xdb"
#define USERS     "\x45users"

static void
nonsense_within_a_request_is_refused(void **state)
{
	(void)state;
	EXPECT_REFUSED(GET USERS "\x41u\xa1\x18\x63\x01");                      /* an unknown option */
	EXPECT_REFUSED(GET USERS "\x41u\xa1\x03\x09");                          /* no such value of one */
	EXPECT_REFUSED(GET USERS "\x42\xc3\x28\xf6");                           /* a string key that is no UTF-8 */
	EXPECT_REFUSED(GET "\x44nums\x41\x61\xf6");                             /* a number key that is none */
	EXPECT_REFUSED(GET "\x44nums\x42\x01\x02\xf6");                         /* bytes behind it */
	EXPECT_REFUSED(GET "\x44nums\x43\xf9\x7c\x00\xf6");                     /* infinity */
	EXPECT_REFUSED(GET "\x44nums\x48\xc4\x82\x1a\x7f\xff\xff\xff\x01\xf6"); /* 10^2147483647 */
	EXPECT_REFUSED(GET "\x46orders\x44\x62"
			   "c1\x99\xf6");                                  /* no LexDecimal */
	EXPECT_REFUSED(GET USERS "\x41u\xa1\x00\x43\x82\x01\x80");         /* a projection of nothing */
	EXPECT_REFUSED(GET USERS "\x41u\xa1\x00\x44\x82\x02\x80\x00");     /* of another version */
	EXPECT_REFUSED(GET USERS "\x41u\xa1\x00\x45\x82\x01\x81\x81\x12"); /* a path of nothing */
	EXPECT_REFUSED(GET USERS
		       "\x41u\xa1\x00\x4a\x82\x01\x81\x82\x12\xd9\x0c\xfc\x00\x00"); /* that begins with an index */
	EXPECT_REFUSED(PUT USERS "\x41u\x45\x1a\x12\x34\x56\x78\xf6");               /* an unknown list */
	EXPECT_REFUSED(PUT USERS "\x41u\x42\x01\x05\xf6"); /* a value more than its list has names */
	EXPECT_REFUSED(PUT USERS "\x41u\x40\xf6");         /* no list at all */
	EXPECT_REFUSED(SCAN USERS "\xa1\x0a\x49\x83\x01\x83\x00\x82\x11\x00\x82\x11");     /* a condition cut off */
	EXPECT_REFUSED(SCAN USERS "\xa1\x0a\x4a\x83\x01\x83\x18\x63\x82\x11\x00\x01\x80"); /* an unknown code */
	EXPECT_REFUSED(SCAN USERS
		       "\xa1\x0a\x4b\x83\x01\x83\x00\x82\x11\x00\x82\x11\x01\x80"); /* values that are not there */
	EXPECT_REFUSED(UPDATE USERS
		       "\x41u\xa1\x08\x4c\x83\x01\x81\x83\x00\x82\x11\x00\x82\x11\x00\x80"); /* no action */
	EXPECT_REFUSED(LIST "\x00");
	EXPECT_REFUSED(LIST "\x20");
	EXPECT_REFUSED(LIST "\x1b\xff\xff\xff\xff\xff\xff\xff\xff");
	EXPECT_REFUSED(BATCH_GET "\xa1\x65users\x82\xf4\xf6\xf6");
	EXPECT_REFUSED(BATCH_GET "\xa1\x65users\x83\xf4\xf6\x82\x41u\x41u\xf6"); /* the same key twice */
}

static void
deep_expressions_are_refused_and_not_followed(void **state)
{
	struct buf request = {0};
	size_t mark;

	(void)state;
	buf_put_lit(&request, SCAN USERS "\xa1\x0a");
	mark = cbor_open_bytes(&request);
	buf_put_lit(&request, "\x83\x01");
	for (int i = 0; i < 200000; i++)
		buf_put_lit(&request, "\x82\x08"); /* NOT NOT NOT ... */
	cbor_close_bytes(&request, mark);
	expect_refused(request.data, request.len);
	buf_done(&request);
}

static void
deep_values_are_refused_and_not_followed(void **state)
{
	struct buf request = {0};
	const struct dax_list *list;
	struct slice name = SLICE("deep");
	struct err err;
	size_t mark;

	(void)state;
	assert_int_equal(dax_lists_add(dx.lists, &name, 1, &list, &err), S_OK);
	buf_put_lit(&request, PUT USERS "\x41u");
	mark = cbor_open_bytes(&request);
	cbor_put_head(&request, CBOR_M_UINT, list->id);
	for (int i = 0; i < 300000; i++)
		buf_put_byte(&request, 0x81);
	cbor_close_bytes(&request, mark);
	cbor_put_null(&request);
	expect_refused(request.data, request.len);
	buf_done(&request);
}

static void
damaged_requests_do_no_harm(void **state)
{
	unsigned random = 4711;
	size_t used;

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < exchange_count; i++) {
			const struct exchange *e = &exchanges[i];
			char *copy = malloc(e->sent.len);
			enum dax_want want;

			memcpy(copy, e->sent.data, e->sent.len);
			for (int flips = 0; flips < 1 + round % 4; flips++) {
				random = random * 1103515245 + 12345;
				copy[(random >> 8) % e->sent.len] ^= (char)(1 << (random >> 4 & 7));
			}
			begin_authorized("js-v3");
			want = dx_feed(copy, e->sent.len, &used);
			assert_true(want == DAX_WANT_BYTES || want == DAX_WANT_END);
			dx_end();
			free(copy);
		}
	}
}

/* --- what an upstream says --- */

static const char *upstream_reply;
static int upstream_status;

static void
canned(void *context, struct dax_call *call)
{
	static const char users[] =
	    "{\"Table\":{\"TableId\":\"1\",\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"}],"
	    "\"AttributeDefinitions\":[{\"AttributeName\":\"pk\",\"AttributeType\":\"S\"}]}}";

	(void)context;
	if (memmem(call->target.data, call->target.len, "DescribeTable", 13) != NULL) {
		call->http_status = 200;
		buf_put_lit(call->out, users);
	} else {
		call->http_status = upstream_status;
		call->err_message = "nobody is there";
		buf_put(call->out, upstream_reply, strlen(upstream_reply));
	}
	call->done(call);
}

static int
canned_up(void **state)
{
	(void)state;
	dx_up_with((struct dax_upstream){.call = canned, .table_ms = 60000}, true);
	return 0;
}

static int
canned_down(void **state)
{
	(void)state;
	dx_down();
	expr_cache_done();
	return 0;
}

static void
errors_of_the_upstream_keep_their_names_and_words(void **state)
{
	static const struct {
		int status;
		const char *reply;
		const char *codes;
		size_t codes_len;
		const char *exception;
	} errors[] = {
#define CODES(n) "\x85\x04\x18\x25\x18\x26\x18\x27\x18" n, 10
	    {400,
	     "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException\",\"message\":\"no\"}",
	     CODES("\x2b"), "ConditionalCheckFailedException"},
	    {400, "{\"__type\":\"x#ResourceNotFoundException\",\"message\":\"no\"}", CODES("\x29"),
	     "ResourceNotFoundException"},
	    {400, "{\"__type\":\"x#ProvisionedThroughputExceededException\",\"message\":\"no\"}", CODES("\x28"),
	     "ProvisionedThroughputExceededException"},
	    {400, "{\"__type\":\"x#ResourceInUseException\",\"message\":\"no\"}", CODES("\x2d"),
	     "ResourceInUseException"},
	    {400, "{\"__type\":\"x#ValidationException\",\"message\":\"no\"}", CODES("\x2e"), "ValidationException"},
	    {400, "{\"__type\":\"x#SerializationException\",\"message\":\"no\"}", CODES("\x2e"),
	     "SerializationException"},
	    {500, "{\"__type\":\"x#InternalServerError\",\"message\":\"no\"}", CODES("\x2f"), "InternalServerError"},
	    {400, "{\"__type\":\"x#ItemCollectionSizeLimitExceededException\",\"message\":\"no\"}", CODES("\x30"),
	     "ItemCollectionSizeLimitExceededException"},
	    {400, "{\"__type\":\"x#LimitExceededException\",\"message\":\"no\"}", CODES("\x31"),
	     "LimitExceededException"},
	    {400, "{\"__type\":\"x#ThrottlingException\",\"message\":\"no\"}", CODES("\x32"), "ThrottlingException"},
	    {400, "{\"__type\":\"x#TransactionConflictException\",\"message\":\"no\"}", CODES("\x39"),
	     "TransactionConflictException"},
	    {400, "{\"__type\":\"x#TransactionInProgressException\",\"message\":\"no\"}", CODES("\x3b"),
	     "TransactionInProgressException"},
	    {400, "{\"__type\":\"x#IdempotentParameterMismatchException\",\"message\":\"no\"}", CODES("\x3c"),
	     "IdempotentParameterMismatchException"},
	    {400, "{\"__type\":\"x#RequestLimitExceeded\",\"message\":\"no\"}", CODES("\x3d"), "RequestLimitExceeded"},
	    {400, "{\"__type\":\"x#AccessDeniedException\",\"Message\":\"no\"}", "\x84\x04\x18\x25\x18\x26\x18\x2a", 8,
	     "AccessDeniedException"},
	    {400, "{\"__type\":\"x#SomethingNewException\",\"message\":\"no\"}", "\x82\x04\x00", 3,
	     "SomethingNewException"},
	    {503, "{\"__type\":\"x#ServiceUnavailableException\"}", "\x84\x01\x18\x25\x18\x26\x18\x35", 8,
	     "ServiceUnavailableException"},
	    {502, "<html>no JSON</html>", "\x84\x01\x18\x25\x18\x26\x18\x35", 8, "\xf6"},
	    {0, "", "\x84\x01\x18\x25\x18\x26\x18\x35", 8, "InternalServerError"},
#undef CODES
	};

	(void)state;
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		upstream_status = errors[i].status;
		upstream_reply = errors[i].reply;
		begin_authorized("js-v3");
		FEED(GET USERS "\x41u\xf6", DAX_WANT_BYTES);
		expect_dax_error(errors[i].codes, errors[i].codes_len, errors[i].exception);
		dx_end();
	}
}

static void
replies_that_make_no_sense_are_server_errors(void **state)
{
	static const char *const replies[] = {
	    "", "{", "[]", "{\"Item\":5}", "{\"Item\":{\"pk\":{\"X\":\"\"}}}", "{\"Item\":{\"pk\":{\"N\":\"no\"}}}",
	};

	(void)state;
	upstream_status = 200;
	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		upstream_reply = replies[i];
		begin_authorized("js-v3");
		FEED(GET USERS "\x41u\xf6", DAX_WANT_BYTES);
		assert_true(dx.out.len > 0);
		if (i > 0 && (uint8_t)dx.out.data[0] == 0x80)
			assert_int_equal((uint8_t)dx.out.data[1], 0xa0);
		dx_end();
		cache_clear(dx.cache);
	}
}

static void
a_node_keeps_only_the_newest_cluster(void **state) /* clusters change for as long as a server runs */
{
	struct dax_cluster told = {.count = 2, .nodes = {{.node_id = 1}, {.node_id = 2}}}, found;
	size_t before = mallinfo2().uordblks;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		told.leader_session = i;
		dax_node_set_cluster(dx.node, &told);
	}
	assert_true(mallinfo2().uordblks < before + (1 << 20)); /* sanitizers have a heap of their own: they tell 0 */
	dax_node_get_cluster(dx.node, &found);
	assert_int_equal(found.count, 2);
	assert_int_equal(found.leader_session, 9999);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(clients_get_their_recorded_answers_v2, up, down),
	    cmocka_unit_test_setup_teardown(clients_get_their_recorded_answers_v3, up, down),
	    cmocka_unit_test_setup_teardown(clients_get_their_recorded_answers_go, up, down),
	    cmocka_unit_test_setup_teardown(it_makes_no_difference_how_bytes_arrive, up, down),
	    cmocka_unit_test_setup_teardown(the_beginning_of_a_request_is_waited_for, up, down),
	    cmocka_unit_test_setup_teardown(a_stranger_is_told_to_authorize, up, down),
	    cmocka_unit_test_setup_teardown(another_protocol_is_hung_up_on, up, down),
	    cmocka_unit_test_setup_teardown(impossible_lengths_end_a_connection, up, down),
	    cmocka_unit_test_setup_teardown(nonsense_within_a_request_is_refused, up, down),
	    cmocka_unit_test_setup_teardown(deep_expressions_are_refused_and_not_followed, up, down),
	    cmocka_unit_test_setup_teardown(deep_values_are_refused_and_not_followed, up, down),
	    cmocka_unit_test_setup_teardown(damaged_requests_do_no_harm, up, down),
	    cmocka_unit_test_setup_teardown(a_node_keeps_only_the_newest_cluster, up, down),
	    cmocka_unit_test_setup_teardown(errors_of_the_upstream_keep_their_names_and_words, canned_up, canned_down),
	    cmocka_unit_test_setup_teardown(replies_that_make_no_sense_are_server_errors, canned_up, canned_down),
	};

	load_exchanges();
	return cmocka_run_group_tests_name("dax", tests, NULL, NULL);
}
