/* Inside access: what auth.c (deciding), auth_needs.c (what an operation needs) and auth_facts.c (condition values)
 * share. */
#ifndef STATOR_API_AUTH_INT_H
#define STATOR_API_AUTH_INT_H

#include "api/auth.h"
#include "api/op_int.h"

/* One call being checked. */
struct auth {
	struct op_call *call;
	const struct shape *shape; /* of the request; NULL: it is read from the body */
	const void *in;
	const struct auth_caller *who;
	const char *service; /* whose action it is: "dynamodb" */
	/* Not empty: what is needed is asked for as dax: actions on this cluster, and of the caller's policies alone.
	 */
	struct slice cluster;
	bool silent;         /* then: something was neither allowed nor denied */
	struct slice prefix; /* "arn:aws:SERVICE:REGION:ACCOUNT:"; see auth_prefix() */
	uint64_t known;      /* of the context, what is there: POLICY_KEY_BITs */
	struct err *err;
	struct err *scratch;                            /* of what is only tried */
	struct policy_values context[POLICY_KEY_COUNT]; /* not filled before a policy is asked */
};

/* Something that must be allowed. */
struct need {
	const char *action;    /* "PutItem" */
	struct slice given;    /* a table's name, or any ARN; empty: "*" */
	struct slice index;    /* of that table, by name; empty: the table itself */
	struct slice table;    /* whose resource policy has a say: a name of ours, or empty */
	struct slice stream;   /* the same of a stream, by its ARN */
	struct slice resource; /* ARN or "*"; empty: made from the others when it is needed */
	/* Fills those values of the context that depend on what is needed; called when a policy looks at one of them.
	 */
	void (*facts)(struct auth *a, const struct need *need);
	/* for facts */
	const struct shape *shape;
	const void *in;
	const char *enclosing; /* the operation around it; NULL: none */
	const void *more;
};

/* ---- auth.c ---- */
enum status auth_need(struct auth *a, const struct need *need);
/* scratch: uninitialized, lives as long. */
void auth_begin(struct auth *a, struct op_call *call, const void *in, struct err *scratch, struct err *err);
struct slice auth_prefix(struct auth *a);
struct slice auth_account(struct auth *a);
void auth_set(struct auth *a, enum policy_key key, struct slice value); /* one value */
struct slice auth_cluster_arn(struct auth *a, struct slice name);
void auth_set_list(struct auth *a, enum policy_key key, const struct slice *items, uint32_t count, bool unknown);

/* ---- auth_needs.c ---- */
/* Everything the call's operation needs, one after the other. */
enum status auth_needs(struct auth *a);
/* A member of a request by its name on the wire, when it is of that type; else NULL. */
const void *auth_member(const struct shape *shape, const void *in, const char *name, enum shape_type type);
/* The shape of a STRUCT member; NULL when there is none. */
const struct shape *auth_shape_of(const struct shape *shape, const char *name);
/* Of a LIST's elements. */
const struct shape *auth_element_of(const struct shape *shape, const char *name);
/* A table, given by name or ARN, or one of its indexes (index may be empty). */
void auth_need_table(struct auth *a, struct need *need, struct slice name_or_arn, struct slice index);

/* ---- auth_facts.c: dynamodb:LeadingKeys, Attributes and the rest, from requests ---- */
struct auth_list {
	struct slice *items;
	uint32_t count, room;
	bool unknown;
};
void auth_list_add(struct auth *a, struct auth_list *list, struct slice text);
void auth_list_add_value(struct auth *a, struct auth_list *list, struct av value);
void auth_list_add_expr(struct auth *a, struct auth_list *list, const struct expr *e);
/* The keys of the need's table or index, in the arena. false: it is not there (now). */
bool auth_find_schema(struct auth *a, const struct need *need, struct key_schema *ret);
/* The partition key's values of Query-like ranges and of keys, attribute by attribute. */
struct auth_leading {
	struct auth_list attr[KEY_ATTRS_MAX];
};
void auth_leading_add_range(struct auth *a, struct auth_leading *l, const struct key_schema *schema,
			    const struct key_range *range);
void auth_leading_add_key(struct auth *a, struct auth_leading *l, const struct key_schema *schema, struct av key);
/* Where the first attribute's values are not known the others' are not either. */
void auth_set_leading(struct auth *a, struct auth_leading *l);

/* of a single request on items: GetItem, PutItem, ..., Query, Scan, an action of a transaction */
void auth_item_facts(struct auth *a, const struct need *need);
/* of one table of a batch: BatchGetItem's KeysAndAttributes; BatchWriteItem's list of requests */
void auth_batch_get_facts(struct auth *a, const struct need *need);
void auth_batch_write_facts(struct auth *a, const struct need *need);

/* ---- auth_partiql.c ---- */
/* Of ExecuteStatement and ExecuteTransaction. */
enum status auth_statements(struct auth *a);

#endif
