/* May this call be made? Everything that the operation needs is put to the caller's policies and the tables'. */
#include <stdio.h>

#include "api/auth_int.h"
#include "base/clock.h"
#include "table/stream.h"

#define BASE_KEYS                                                                                                      \
	(POLICY_KEY_BIT(SOURCE_IP) | POLICY_KEY_BIT(CURRENT_TIME) | POLICY_KEY_BIT(EPOCH_TIME) |                       \
	 POLICY_KEY_BIT(SECURE_TRANSPORT) | POLICY_KEY_BIT(PRINCIPAL_ARN) | POLICY_KEY_BIT(PRINCIPAL_ACCOUNT) |        \
	 POLICY_KEY_BIT(PRINCIPAL_TYPE) | POLICY_KEY_BIT(USER_NAME) | POLICY_KEY_BIT(REQUESTED_REGION) |               \
	 POLICY_KEY_BIT(RESOURCE_ACCOUNT) | POLICY_KEY_BIT(VIA_SERVICE) | POLICY_KEY_BIT(IS_SERVICE))

static struct slice
join(struct arena *arena, const struct slice *parts, size_t count)
{
	size_t len = 0;
	char *text, *at;

	for (size_t i = 0; i < count; i++)
		len += parts[i].len;
	at = text = arena_alloc(arena, len);
	for (size_t i = 0; i < count; i++)
		if (parts[i].len > 0)
			at = mempcpy(at, parts[i].data, parts[i].len);
	return slice_of(text, len);
}

/* ---- the context ---- */

void
auth_set_list(struct auth *a, enum policy_key key, const struct slice *items, uint32_t count, bool unknown)
{
	a->context[key] = (struct policy_values){items, count, unknown};
}

void
auth_set(struct auth *a, enum policy_key key, struct slice value)
{
	struct slice *one = arena_alloc(a->call->arena, sizeof *one);

	*one = value;
	auth_set_list(a, key, one, 1, false);
}

/* "2026-11-20T10:00:00.123Z" */
static struct slice
time_text(struct arena *arena, int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	return arena_printf(arena, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			    tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ms % 1000));
}

/* The address of "10.0.0.1:4711", "[::1]:4711", or as it is. */
static struct slice
address_of(struct slice peer)
{
	const char *colon = peer.len > 0 ? memrchr(peer.data, ':', peer.len) : NULL, *bracket;

	if (peer.len > 0 && peer.data[0] == '[') {
		bracket = memchr(peer.data, ']', peer.len);
		return bracket != NULL ? slice_of(peer.data + 1, (size_t)(bracket - peer.data) - 1) : peer;
	}
	if (colon != NULL && memchr(peer.data, ':', peer.len) == colon)
		peer.len = (size_t)(colon - peer.data);
	return peer;
}

static void
set_bool(struct auth *a, enum policy_key key, bool value)
{
	auth_set(a, key, value ? SLICE("true") : SLICE("false"));
}

static void
set_base_key(struct auth *a, enum policy_key key)
{
	const struct policy_principal *p = &a->who->principal;
	struct arena *arena = a->call->arena;

	switch (key) {
	case POLICY_KEY_SOURCE_IP:
		if (a->call->peer.len > 0)
			auth_set(a, key, address_of(a->call->peer));
		break;
	case POLICY_KEY_CURRENT_TIME:
		auth_set(a, key, time_text(arena, clock_wall_ms()));
		break;
	case POLICY_KEY_EPOCH_TIME:
		auth_set(a, key, arena_printf(arena, "%lld", (long long)clock_wall_s()));
		break;
	case POLICY_KEY_SECURE_TRANSPORT:
		set_bool(a, key, a->call->secure);
		break;
	case POLICY_KEY_PRINCIPAL_ARN:
		auth_set(a, key, p->role.len > 0 ? p->role : p->arn);
		break;
	case POLICY_KEY_PRINCIPAL_ACCOUNT:
		auth_set(a, key, p->account);
		break;
	case POLICY_KEY_PRINCIPAL_TYPE:
		auth_set(a, key, p->root ? SLICE("Account") : p->role.len > 0 ? SLICE("AssumedRole") : SLICE("User"));
		break;
	case POLICY_KEY_USER_NAME:
		if (p->name.len > 0)
			auth_set(a, key, p->name);
		break;
	case POLICY_KEY_REQUESTED_REGION:
		auth_set(a, key, slice_str(table_db_region(a->call->db)));
		break;
	case POLICY_KEY_RESOURCE_ACCOUNT:
		auth_set(a, key, auth_account(a));
		break;
	default: /* VIA_SERVICE, IS_SERVICE */
		set_bool(a, key, false);
	}
}

/* The values that are wanted: what is the same for everything that a call needs only once. */
static void
set_context(struct auth *a, const struct need *need, uint64_t wanted)
{
	uint64_t more = wanted & BASE_KEYS & ~a->known;

	for (int i = 0; i < POLICY_KEY_COUNT; i++)
		if (!(a->known >> i & 1))
			a->context[i] = (struct policy_values){0};
	for (int i = 0; i < POLICY_KEY_COUNT; i++)
		if (more >> i & 1)
			set_base_key(a, (enum policy_key)i);
	a->known |= more;
	if (need->enclosing != NULL)
		auth_set(a, a->cluster.len > 0 ? POLICY_KEY_DAX_ENCLOSING : POLICY_KEY_ENCLOSING,
			 slice_str(need->enclosing));
	if (need->facts != NULL && a->cluster.len == 0 && (wanted & ~BASE_KEYS) != 0)
		need->facts(a, need);
}

/* ---- resource policies ---- */

static void *
make_policy(struct slice document)
{
	struct policy *p;

	return policy_read(document, POLICY_TABLE, &p, NULL) == S_OK ? p : NULL;
}

static void *
make_stream_policy(struct slice document)
{
	struct policy *p;

	return policy_read(document, POLICY_STREAM, &p, NULL) == S_OK ? p : NULL;
}

static void
drop_policy(void *policy)
{
	policy_free(policy);
}

/* The root of the account can always get rid of a policy, whatever that says. */
static bool
is_rescue(const struct auth *a, const struct need *need)
{
	return a->who->administrator && a->who->principal.root && strcmp(need->action, "DeleteResourcePolicy") == 0;
}

/* ---- deciding ---- */

enum reason { ALLOWED, NO_IDENTITY_POLICY, NO_RESOURCE_POLICY, DENIED_BY_IDENTITY, DENIED_BY_RESOURCE };

static enum policy_answer
ask_identity(const struct auth *a, const struct policy_request *request)
{
	enum policy_answer answer = a->who->administrator ? POLICY_ALLOW : POLICY_SILENT;

	for (uint32_t i = 0; i < a->who->policy_count && answer != POLICY_DENY; i++) {
		enum policy_answer one = policy_ask(a->who->policies[i], request);

		if (one > answer)
			answer = one;
	}
	return answer;
}

static enum reason
decide(struct auth *a, enum policy_answer identity, enum policy_answer resource)
{
	bool own = slice_eq(a->who->principal.account, auth_account(a));

	if (identity == POLICY_DENY)
		return DENIED_BY_IDENTITY;
	if (resource == POLICY_DENY)
		return DENIED_BY_RESOURCE;
	if (own)
		return identity == POLICY_ALLOW || resource == POLICY_ALLOW ? ALLOWED : NO_IDENTITY_POLICY;
	if (identity != POLICY_ALLOW)
		return NO_IDENTITY_POLICY;
	return resource == POLICY_SILENT ? NO_RESOURCE_POLICY : ALLOWED;
}

static enum status
refuse(struct auth *a, const struct need *need, struct slice resource, enum reason reason)
{
	static const char *const why[] = {
	    [NO_IDENTITY_POLICY] = "because no identity-based policy allows the ",
	    [NO_RESOURCE_POLICY] = "because no resource-based policy allows the ",
	    [DENIED_BY_IDENTITY] = "with an explicit deny in an identity-based policy",
	    [DENIED_BY_RESOURCE] = "with an explicit deny in a resource-based policy",
	};
	bool silent = reason == NO_IDENTITY_POLICY || reason == NO_RESOURCE_POLICY;

	return err_set(a->err, S_ACCESS_DENIED, MSG_NOT_AUTHORIZED "%s%s%s%s%s", SLICE_ARG(a->who->principal.arn),
		       a->service, need->action, SLICE_ARG(resource), why[reason], silent ? a->service : "",
		       silent ? ":" : "", silent ? need->action : "", silent ? " action" : "");
}

static struct slice
resource_of(struct auth *a, const struct need *need)
{
	bool arn = slice_starts(need->given, SLICE("arn:"));
	const struct slice parts[] = {
	    arn ? SLICE_NONE : auth_prefix(a),
	    arn ? SLICE_NONE : SLICE("table/"),
	    need->given,
	    need->index.len > 0 ? SLICE("/index/") : SLICE_NONE,
	    need->index,
	};

	if (need->resource.len > 0)
		return need->resource;
	return need->given.len > 0 ? join(a->call->arena, parts, 5) : SLICE("*");
}

/* ---- through DAX ---- */

struct slice
auth_cluster_arn(struct auth *a, struct slice name)
{
	return arena_printf(a->call->arena, "arn:aws:dax:%s:%.*s:cache/%.*s", table_db_region(a->call->db),
			    SLICE_ARG(auth_account(a)), SLICE_ARG(name));
}

/* As the original: who has the right on the cluster reads and writes with the cluster's rights. */
static enum status
need_of_cluster(struct auth *a, const struct need *need)
{
	struct policy_request request = {
	    .resource = a->cluster, .principal = &a->who->principal, .context = a->context, .arena = a->call->arena};
	enum policy_answer answer;

	request.action = join(a->call->arena, (struct slice[]){SLICE("dax:"), slice_str(need->action)}, 2);
	set_context(a, need, a->who->context_keys);
	answer = ask_identity(a, &request);
	if (answer == POLICY_SILENT)
		a->silent = true;
	if (answer != POLICY_DENY)
		return S_OK;
	a->service = "dax";
	return refuse(a, need, a->cluster, DENIED_BY_IDENTITY);
}

/* *ret_allowed false: nothing was said of the cluster, the rights on the table decide. */
static enum status
check_cluster(struct auth *a, bool *ret_allowed)
{
	const char *service = a->service;
	enum status s;

	a->cluster = auth_cluster_arn(a, a->call->cluster);
	s = auth_needs(a);
	*ret_allowed = s == S_OK && !a->silent;
	a->cluster = SLICE_NONE;
	a->service = service;
	return s;
}

enum status
auth_need(struct auth *a, const struct need *need)
{
	struct table_policy *kept = NULL;
	struct policy *policy = NULL;
	struct policy_request request = {
	    .principal = &a->who->principal, .context = a->context, .arena = a->call->arena};
	enum policy_answer identity, resource = POLICY_SILENT;
	enum reason reason;

	if (a->cluster.len > 0)
		return need_of_cluster(a, need);
	if (need->table.len > 0 && table_db_has_policies(a->call->db))
		kept = table_policy_find(a->call->db, need->table);
	else if (need->stream.len > 0 && stream_db_has_policies(a->call->db))
		kept = stream_policy_find(a->call->db, need->stream);
	if (kept == NULL && a->who->administrator && slice_eq(a->who->principal.account, auth_account(a)))
		return S_OK;
	if (kept != NULL)
		policy =
		    table_policy_meaning(kept, need->stream.len > 0 ? make_stream_policy : make_policy, drop_policy);
	request.action =
	    join(a->call->arena, (struct slice[]){slice_str(a->service), SLICE(":"), slice_str(need->action)}, 3);
	request.resource = resource_of(a, need);
	set_context(a, need, a->who->context_keys | (policy != NULL ? policy_keys(policy) : 0));
	identity = ask_identity(a, &request);
	if (policy != NULL)
		resource = policy_ask(policy, &request);
	else if (kept != NULL) /* a document that a newer version wrote and this one cannot read */
		resource = POLICY_DENY;
	if (resource == POLICY_DENY && is_rescue(a, need))
		resource = POLICY_SILENT;
	table_policy_release(kept);
	reason = decide(a, identity, resource);
	return reason == ALLOWED ? S_OK : refuse(a, need, request.resource, reason);
}

void
auth_begin(struct auth *a, struct op_call *call, const void *in, struct err *scratch, struct err *err)
{
	memset(a, 0, offsetof(struct auth, context));
	a->call = call;
	a->shape = call->op->shape;
	a->service = service_of(call->op)->name;
	a->in = in;
	a->who = call->caller;
	a->scratch = scratch;
	a->err = err;
}

struct slice
auth_prefix(struct auth *a)
{
	const struct slice parts[] = {
	    SLICE("arn:aws:"), slice_str(a->service), SLICE(":"), slice_str(table_db_region(a->call->db)),
	    SLICE(":"),        auth_account(a),       SLICE(":")};

	if (a->prefix.len == 0)
		a->prefix = join(a->call->arena, parts, sizeof parts / sizeof *parts);
	return a->prefix;
}

struct slice
auth_account(struct auth *a)
{
	return slice_str(table_db_account(a->call->db));
}

enum status
auth_check_slow(struct op_call *call, const void *in, struct err *err)
{
	struct err scratch;
	struct auth a;
	enum status s = S_OK;

	auth_begin(&a, call, in, &scratch, err);
	if (call->cluster.len > 0 && !call->caller->administrator)
		s = check_cluster(&a, &call->allowed);
	if (s != S_OK || call->allowed)
		return s;
	s = auth_needs(&a);
	call->allowed = s == S_OK;
	return s;
}

bool
auth_would_lock_out(struct op_call *call, const struct policy *policy, struct slice arn)
{
	struct auth_caller root = {.administrator = true};
	struct policy_request request = {.action = SLICE("dynamodb:PutResourcePolicy"), .arena = call->arena};
	struct need need = {.action = "PutResourcePolicy"};
	struct err scratch;
	struct auth a;

	auth_begin(&a, call, NULL, &scratch, NULL);
	if (a.who == NULL) { /* nobody was asked who it is: as the account itself */
		root.principal.arn = arena_printf(call->arena, "arn:aws:iam::%.*s:root", SLICE_ARG(auth_account(&a)));
		root.principal.account = auth_account(&a);
		root.principal.root = true;
		a.who = &root;
	}
	auth_need_table(&a, &need, arn, SLICE_NONE);
	set_context(&a, &need, policy_keys(policy));
	request.resource = resource_of(&a, &need);
	request.principal = &a.who->principal;
	request.context = a.context;
	return policy_ask(policy, &request) == POLICY_DENY;
}

/* ---- what a DAX node asks ---- */

bool
auth_may_read_all(struct op_call *call)
{
	static const char *const reads[] = {"GetItem", "BatchGetItem", "Query", "Scan"};
	struct err scratch;
	struct auth a;

	/* what changes while it stays authorized is asked for each request */
	if ((call->caller->context_keys & (POLICY_KEY_BIT(CURRENT_TIME) | POLICY_KEY_BIT(EPOCH_TIME))) != 0)
		return false;
	auth_begin(&a, call, NULL, &scratch, NULL);
	a.cluster = auth_cluster_arn(&a, call->cluster);
	for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
		struct need need = {.action = reads[i]};

		if (need_of_cluster(&a, &need) != S_OK || a.silent)
			return false;
	}
	return true;
}

bool
auth_may_use(struct op_call *call, struct slice table)
{
	static const char *const actions[] = {"GetItem",    "BatchGetItem",   "Query",
					      "Scan",       "PutItem",        "UpdateItem",
					      "DeleteItem", "BatchWriteItem", "ConditionCheckItem"};
	const struct auth_caller *who = call->caller;
	struct policy_values none[POLICY_KEY_COUNT] = {0};
	struct policy_request request = {.principal = &who->principal, .context = none, .arena = call->arena};
	struct need need = {.action = NULL};
	struct table_policy *kept;
	struct slice table_arn_, cluster;
	struct policy *policy;
	bool might = who->administrator;
	struct err scratch;
	struct auth a;

	auth_begin(&a, call, NULL, &scratch, NULL);
	auth_need_table(&a, &need, table, SLICE_NONE);
	table_arn_ = resource_of(&a, &need);
	cluster = auth_cluster_arn(&a, call->cluster);
	kept = need.table.len > 0 ? table_policy_find(call->db, need.table) : NULL;
	policy = kept != NULL ? table_policy_meaning(kept, make_policy, drop_policy) : NULL;
	for (size_t n = 0; !might && n < 2 * sizeof actions / sizeof *actions; n++) {
		bool dax = n % 2 == 1;

		request.resource = dax ? cluster : table_arn_;
		request.action = arena_printf(call->arena, "%s:%s", dax ? "dax" : "dynamodb", actions[n / 2]);
		for (uint32_t i = 0; !might && i < who->policy_count; i++)
			might = policy_might_allow(who->policies[i], &request);
		might = might || (!dax && policy != NULL && policy_might_allow(policy, &request));
	}
	table_policy_release(kept);
	return might;
}
