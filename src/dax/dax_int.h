/* What the files of this room share; no other room includes it. */
#ifndef STATOR_DAX_DAX_INT_H
#define STATOR_DAX_DAX_INT_H

#include <pthread.h>

#include "codec/json.h"
#include "dax/dax.h"
#include "dax/lists.h"
#include "model/av.h"

#define TABLES_MAX     4096 /* known to one loop */
#define TABLE_BUCKETS  1024
#define REQUESTS_KEPT  64
#define BUF_KEPT_BYTES (128 * 1024)
#define BATCH_GET_MAX  100 /* DynamoDB's limits; what is beyond them goes to the upstream to be refused */

/* --- errors.c --- */

/* Three items: codes, message, details. status: of this server; the message may be empty. */
void dax_put_error(struct buf *out, enum status status, const char *message);
/* The same with these codes, ended by -1. */
void dax_put_error_codes(struct buf *out, const int *codes, enum status status, const char *message);
/*
 * An upstream's error reply. http_status 0: none was had. schemas: of the actions of a transaction, for the old items
 * among the cancellation reasons; else NULL.
 */
struct dax_table;
void dax_put_upstream_error(struct dax_request *r, const struct dax_table *const *schemas, size_t schema_count);
/* Is the upstream's error this exception? */
bool dax_upstream_says(struct dax_request *r, const char *exception);
extern const int dax_no_table[], dax_unknown_method[], dax_unauthorized[], dax_refused[], dax_denied[];

/* --- tables.c: key schemas --- */

struct dax_table {
	struct dax_table *next;
	struct slice region, name;
	uint64_t id; /* unique for ever; for the cache */
	int key_count;
	struct {
		struct slice name;
		enum av_type type;
	} keys[2];
	int64_t fetched_ns;
	int refs; /* requests and the table of tables */
};
/* NULL: not known, or not believed any more; request_need_table() gets it. */
struct dax_table *dax_table_find(struct dax_loop *l, struct slice region, struct slice name, int64_t now_ns);
/* From a DescribeTable reply. NULL: it makes no sense. */
struct dax_table *dax_table_put(struct dax_loop *l, struct slice region, struct slice name, struct slice json,
				struct arena *arena);
/* Ask again before it is used the next time: something did not fit. */
void dax_table_doubt(struct dax_loop *l, struct slice region, struct slice name);
void dax_table_release(struct dax_table *t);

/* --- key.c --- */

struct dax_key {
	struct av values[2]; /* in the order of the table's keys */
};
/* Key bytes of a request. The values lie in the arena. S_VALIDATION. */
enum status dax_key_read(const struct dax_table *t, struct slice bytes, struct arena *arena, struct dax_key *ret,
			 struct err *err);
/* The bytes of equal keys are equal: what the item cache is asked for. */
struct slice dax_key_canonical(const struct dax_table *t, const struct dax_key *key, struct arena *arena);
/* From an item or a map of the key attributes. False: it lacks one of them, or one has another type. */
bool dax_key_of_item(const struct dax_table *t, struct av item, struct dax_key *ret);
void dax_key_write(const struct dax_table *t, const struct dax_key *key, struct buf *out);      /* key bytes */
void dax_key_write_json(const struct dax_table *t, const struct dax_key *key, struct buf *out); /* {"pk":...} */
/* Members only, without braces. */
void dax_key_write_members(const struct dax_table *t, const struct dax_key *key, struct buf *out);

/* --- item.c: items in wire form --- */

bool dax_is_key(const struct dax_table *t, struct slice name);
/* Attribute list id and values of all non-key attributes. */
enum status dax_item_write(struct dax_lists *lists, const struct dax_table *t, struct av item, struct arena *arena,
			   struct buf *out, struct err *err);
/* Of an UPDATED_OLD or UPDATED_NEW reply: id, then a map from position to value. */
enum status dax_updated_write(struct dax_lists *lists, const struct dax_table *t, struct av item, bool indefinite,
			      struct arena *arena, struct buf *out, struct err *err);
/* A put's item as JSON: the key's attributes and those of its values. */
enum status dax_item_to_json(struct dax_lists *lists, const struct dax_table *t, const struct dax_key *key,
			     struct slice values, struct buf *out, struct err *err);
/* The item whole again, from its key and its wire form (without the byte string's head). AV_NONE: it makes no sense. */
struct av dax_item_from_wire(struct dax_lists *lists, const struct dax_table *t, const struct dax_key *key,
			     struct slice wire, struct arena *arena);
/* A compound key (index paging) <-> a map of its attributes. */
enum status dax_compound_to_json(struct slice bytes, struct buf *out, struct err *err);
void dax_compound_write(struct av key, struct buf *out);

/* --- express.c: compiled expressions back to text --- */

struct dax_path {
	struct slice *elements; /* data NULL: a list index, in len */
	size_t count;
};
struct dax_paths {
	struct dax_path *items;
	size_t count;
};
/* The substitutes of one request (or one action of a transaction), shared by its expressions. */
struct express {
	struct arena *arena;
	struct buf *names, *values; /* JSON members, without braces; from where they began when zeroed */
	size_t names_start, values_start;
	uint32_t name_count, value_count;
	struct slice *all_names; /* by number */
	uint32_t name_room;
};
void express_begin(struct express *x, struct arena *arena, struct buf *names, struct buf *values);
/* Each appends the text as a JSON string. S_VALIDATION. */
enum status express_condition(struct express *x, struct slice bytes, struct buf *out, struct err *err);
enum status express_update(struct express *x, struct slice bytes, struct buf *out, struct err *err);
/*
 * The upstream is asked for the paths' top-level attributes alone, whole: what a path finds is then taken from them
 * (dax_projected_write), as a projected list would not tell which of its elements are there. So the paths are checked
 * here, with DynamoDB's words. out NULL: nothing is asked of the upstream, the paths are for an item that is whole.
 */
enum status express_projection(struct express *x, struct slice bytes, struct buf *out, struct dax_paths *ret,
			       struct err *err);
/* ,"ExpressionAttributeNames":{...},"ExpressionAttributeValues":{...}; each only when it holds something. */
void express_end(const struct express *x, struct buf *out);

/* --- project.c --- */

/* What each path finds in the item: the map of PROTOCOL 5.8. */
void dax_projected_write(const struct dax_paths *paths, struct av item, struct buf *out);

/* --- options.c --- */

enum option {
	OPTION_PROJECTION = 0,
	OPTION_NAMES = 1,
	OPTION_CONSISTENT = 2,
	OPTION_CAPACITY = 3,
	OPTION_CONDITION = 4,
	OPTION_VALUES = 5,
	OPTION_METRICS = 6,
	OPTION_RETURN_VALUES = 7,
	OPTION_UPDATE = 8,
	OPTION_START_KEY = 9,
	OPTION_FILTER = 10,
	OPTION_INDEX = 11,
	OPTION_LIMIT = 13,
	OPTION_FORWARD = 14,
	OPTION_SELECT = 15,
	OPTION_SEGMENT = 16,
	OPTION_TOTAL_SEGMENTS = 17,
	OPTION_TOKEN = 19,
	OPTION_COUNT = 20,
};
enum return_values {
	RETURN_UNSET,
	RETURN_NONE,
	RETURN_ALL_OLD,
	RETURN_UPDATED_OLD,
	RETURN_ALL_NEW,
	RETURN_UPDATED_NEW
};
struct options {
	uint32_t given; /* bits */
	struct slice strings[OPTION_COUNT];
	int64_t numbers[OPTION_COUNT]; /* also of booleans */
};
static inline bool
option_given(const struct options *o, enum option option)
{
	return o->given >> option & 1;
}
/* allowed: bits of the method; another one is refused. */
enum status dax_options_read(struct cbor_reader *r, uint32_t allowed, struct options *ret, struct err *err);
/* ,"ReturnConsumedCapacity":"TOTAL" and what else is a plain member: capacity, metrics, limit, ... */
void dax_options_write(const struct options *o, struct buf *out);

/* --- a request --- */

struct dax_method {
	const char *name;
	int32_t id;
	int items; /* behind the two ids */
	/* Reads the arguments, answers or makes a call. May be run again from the start when a table has been found. */
	void (*run)(struct dax_request *r);
	bool map; /* its result is one map */
};
extern const struct dax_method dax_methods[];
extern const int dax_method_count;

struct dax_request {
	struct dax_request *next;
	struct dax_loop *home;
	struct dax_session *session; /* NULL: it is gone, or there never was one */
	_Atomic bool gone;
	const struct dax_method *method; /* NULL: not a client's */
	void (*run)(struct dax_request *r);
	struct dax_identity *identity;
	struct arena arena;
	struct slice arguments; /* in the arena */
	struct buf json, names, values, out, reply;
	struct dax_call call;
	bool as_node;                           /* the upstream is asked in the node's own name */
	void (*replied)(struct dax_request *r); /* a 2xx reply lies in out */
	/* The outcome is known; may be NULL. What the upstream told is still in call. */
	void (*finally)(struct dax_request *r, bool succeeded);
	void *state;                            /* the method's own, in the arena */
	struct slice table_name;                /* of request_need_table() */
	const struct dax_table *const *schemas; /* of a transaction's actions, for its errors */
	size_t schema_count;
	struct dax_table **held; /* tables to release at the end */
	size_t held_count, held_room;
	int64_t started_ns;
	struct err err;
};

/* Each ends the request: nothing of it may be touched afterwards. */
void dax_request_answer(struct dax_request *r);              /* r->reply holds the whole reply */
void dax_request_fail(struct dax_request *r, enum status s); /* r->err has the words */
void dax_request_fail_codes(struct dax_request *r, const int *codes);
void dax_request_fail_cbor(struct dax_request *r, const struct cbor_reader *reader);
/* Start r->reply with the empty array of success. */
struct buf *dax_request_reply(struct dax_request *r);

/* The Java client reads some maps of a reply only when their length is indefinite, which the Go clients cannot read. */
bool dax_request_wants_indefinite(const struct dax_request *r);

/* Call the upstream with r->json; replied() comes later, or an error is answered. */
void dax_request_call(struct dax_request *r, const char *operation, void (*replied)(struct dax_request *r));
/* The table's schema when it is known, held until the request ends. NULL: it is being asked for, and the method runs
 * again; return at once. */
const struct dax_table *dax_request_table(struct dax_request *r, struct slice name);
/* May somebody be answered what another one has put into the cache? NULL: whoever that is may do everything. */
bool dax_may_use_cache(const struct dax_node *node, const struct dax_identity *identity);
/* May this request be answered from a cache, and its answer be put there? */
bool dax_request_may_cache(const struct dax_request *r);
struct slice dax_request_region(const struct dax_request *r);
struct slice dax_node_cluster(const struct dax_node *node);
bool dax_request_may_use(const struct dax_request *r, struct slice table); /* anything at all of it */
/* A request to run behind a client's back: without a session. */
struct dax_request *dax_request_new(struct dax_loop *l);
/* How long a look-up took, hit or miss, for the figures. */
void dax_request_timed(const struct dax_request *r, const struct cache_key *key, bool hit);
/* Keep the table until this request ends, too. */
void dax_request_hold(struct dax_request *r, const struct dax_table *t);

/* --- methods --- */

void dax_endpoints(struct dax_request *r);
void dax_define_key_schema(struct dax_request *r);
void dax_define_list_id(struct dax_request *r);
void dax_define_list(struct dax_request *r);
void dax_get_item(struct dax_request *r);
void dax_put_item(struct dax_request *r);
void dax_update_item(struct dax_request *r);
void dax_delete_item(struct dax_request *r);
void dax_query(struct dax_request *r);
void dax_scan(struct dax_request *r);
void dax_batch_get(struct dax_request *r);
void dax_batch_write(struct dax_request *r);
void dax_transact_get(struct dax_request *r);
void dax_transact_write(struct dax_request *r);

/* --- reply.c: pieces of JSON replies --- */

/* Of the array that is read next; it is still to be read then. */
uint64_t dax_count_elements(const struct json_reader *r);
/* One ConsumedCapacity object -> the byte string of 7.1 (with its head). */
void dax_capacity_write(struct json_reader *r, struct buf *out);
/* An array of them -> an array. */
void dax_capacities_write(struct json_reader *r, struct buf *out);
/* The same as the maps of 7.3. */
void dax_extended_capacities_write(struct json_reader *r, bool indefinite, struct buf *out);
/* One ItemCollectionMetrics object -> the byte string of 7.2. */
void dax_metrics_write(struct json_reader *r, struct arena *arena, struct buf *out);
/* {table: [metrics]} -> map. */
void dax_metrics_map_write(struct json_reader *r, struct arena *arena, struct buf *out);

/* --- the node --- */

#define FIGURE_METHODS 16
struct dax_figures {
	_Atomic uint64_t requests[FIGURE_METHODS], errors[FIGURE_METHODS]; /* by method */
	_Atomic int in_progress;
};
struct dax_node {
	struct dax_node_options options;
	_Atomic uint64_t refused, malformed;
	/* guarded by lock */
	pthread_mutex_t lock;
	struct dax_cluster nodes; /* what the endpoints call answers */
	struct dax_loop *loops;
};
struct dax_loop {
	struct dax_node *node;
	struct dax_loop *next;
	void *loop;
	struct dax_table *tables[TABLE_BUCKETS];
	int table_count;
	struct dax_request *free_requests;
	int free_count;
	struct arena scratch; /* of a moment */
	struct dax_figures figures;
};

/* One request was answered without a dax_request. */
void dax_count_request(struct dax_loop *l, const struct dax_method *method);

/* --- hit.c --- */

/* GetItem: the reply is in the session's out, or nothing has happened and the request goes the long way. */
bool dax_answer_hit(struct dax_session *s, struct slice arguments);
/* The same for a request that begins at data, between two others: how many bytes it had; 0: nothing has happened. The
 * session has an identity. */
size_t dax_answer_hit_at_once(struct dax_session *s, const char *data, size_t len);

/* --- session.c --- */

/* One reply of the session was appended to its out from `start` on: frame it when the client wants that. */
void dax_session_frame(struct dax_session *s, size_t start);
void dax_identity_release(struct dax_node *n, struct dax_identity *identity);

#endif
