#include <stdio.h>

#include "api/op_int.h"

static void
join(char *ret, size_t size, const struct member *members, size_t count, const char *without, const char *between)
{
	size_t len = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		if (!members[i].set || (without != NULL && strcmp(members[i].name, without) == 0))
			continue;
		len += (size_t)snprintf(ret + len, size - len, "%s%s", len > 0 ? between : "", members[i].name);
	}
}

/* "ConditionExpression is" or "UpdateExpression and ConditionExpression are": those that could use values. */
static void
value_users(char *ret, size_t size, const struct member *expressions, size_t count)
{
	int users = 0;
	size_t len = 0;

	for (size_t i = 0; i < count; i++)
		if (strcmp(expressions[i].name, "ProjectionExpression") != 0)
			len += (size_t)snprintf(ret + len, size - len, "%s%s", users++ > 0 ? " and " : "",
						expressions[i].name);
	snprintf(ret + len, size - len, " %s", users > 1 ? "are" : "is");
}

static size_t
set_count(const struct member *members, size_t count, const char *without)
{
	size_t set = 0;

	for (size_t i = 0; i < count; i++)
		set += members[i].set && (without == NULL || strcmp(members[i].name, without) != 0);
	return set;
}

/* KeyConditions may stand beside other expressions as long as there is no KeyConditionExpression. */
static const char *
excused(const struct member *expressions, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(expressions[i].name, "KeyConditionExpression") == 0 && !expressions[i].set)
			return "KeyConditions";
	return NULL;
}

enum status
request_check_mix(const struct member *expressions, size_t expression_count, const struct member *legacy,
		  size_t legacy_count, const struct in_params *params, struct err *err)
{
	size_t used = set_count(expressions, expression_count, NULL);
	char some[256], others[256];

	if (used > 0) {
		const char *without = excused(expressions, expression_count);

		if (set_count(legacy, legacy_count, without) > 0) {
			join(some, sizeof some, legacy, legacy_count, without, ", ");
			join(others, sizeof others, expressions, expression_count, NULL, ", ");
			return err_set(err, S_VALIDATION, MSG_MIXED, some, others);
		}
	}
	if (params == NULL)
		return S_OK;
	if (params->p.has_names && used == 0)
		return err_set(err, S_VALIDATION, MSG_NAMES_WITHOUT);
	if (params->p.has_values && set_count(expressions, expression_count, "ProjectionExpression") == 0) {
		value_users(some, sizeof some, expressions, expression_count);
		return err_set(err, S_VALIDATION, wording(W_VALUES_WITHOUT), some);
	}
	return S_OK;
}

enum status
request_check_params(const struct in_params *params, bool any_expression, struct err *err)
{
	if (!params->p.has_names && !params->p.has_values)
		return S_OK;
	return expr_params_check(&params->p, any_expression, err);
}

enum status
request_envelope(enum status s, struct err *err)
{
	char message[ERR_MESSAGE_MAX];

	if (s != S_VALIDATION || !wording_enveloped(err->message))
		return s;
	memcpy(message, err->message, sizeof message);
	return err_set(err, s, WORDING_DETECTED "%s", message);
}

enum status
request_check_item(const struct in_item *item, struct err *err)
{
	if (item->failure != NULL)
		return err_set(err, S_VALIDATION, "%s", item->failure);
	return S_OK;
}

static enum status
check_scalars(const struct key_schema *schema, const char *what, const struct expr *e, struct err *err)
{
	for (unsigned i = 0; i < (unsigned)schema->partition_count + schema->sort_count; i++) {
		const struct key_attr *attr =
		    i < schema->partition_count ? &schema->partition[i] : &schema->sort[i - schema->partition_count];

		if (expr_uses_nested(e, attr->name))
			return err_set(err, S_VALIDATION, MSG_NESTED_KEY, what, SLICE_ARG(attr->name));
	}
	return S_OK;
}

enum status
request_check_scalars(struct table *table, const struct expr *e, struct err *err)
{
	enum status s;

	if (e == NULL || !expr_has_nested(e))
		return S_OK;
	s = check_scalars(table_schema(table), "Key", e, err);
	for (size_t i = 0; i < table_index_count(table) && s == S_OK; i++)
		s = check_scalars(table_index_schema(table_index_at(table, i)), "IndexKey", e, err);
	return s;
}

struct slice
request_arn_part(struct slice arn, int n)
{
	for (;;) {
		const char *colon = memchr(arn.data, ':', arn.len);
		struct slice part = slice_of(arn.data, colon != NULL ? (size_t)(colon - arn.data) : arn.len);

		if (n-- == 0)
			return part;
		if (colon == NULL)
			return SLICE_NONE;
		arn = slice_of(colon + 1, arn.len - part.len - 1);
	}
}

enum status
request_refuse_foreign(struct op_call *call, struct slice arn, struct err *err)
{
	const char *user = table_db_account(call->db);

	return err_set(err, S_ACCESS_DENIED, MSG_FOREIGN_ARN, (int)strlen(user), user, call->op->name, SLICE_ARG(arn));
}

enum status
request_table_name(struct op_call *call, struct slice name_or_arn, struct slice *ret, struct err *err)
{
	struct slice ours, resource;

	*ret = name_or_arn;
	if (!slice_starts(name_or_arn, SLICE("arn:")))
		return op_meet_trouble(call, name_or_arn, err);
	ours = table_arn(call->db, SLICE("x"), SLICE_NONE, call->arena);
	resource = request_arn_part(name_or_arn, 5);
	if (!slice_eq(request_arn_part(name_or_arn, 2), SLICE("dynamodb")) || !slice_starts(resource, SLICE("table/")))
		return err_set(err, S_VALIDATION, MSG_BAD_ARN, SLICE_ARG(name_or_arn));
	*ret = slice_of(resource.data + 6, resource.len - 6);
	if (resource.data + resource.len != name_or_arn.data + name_or_arn.len || ret->len < 3 || ret->len > 255 ||
	    !shape_is_name(*ret))
		return err_set(err, S_VALIDATION, MSG_BAD_ARN, SLICE_ARG(name_or_arn));
	if (slice_starts(name_or_arn, slice_of(ours.data, ours.len - 1)))
		return op_meet_trouble(call, *ret, err);
	return request_refuse_foreign(call, name_or_arn, err);
}

enum status
request_table(struct op_call *call, struct slice name_or_arn, struct table **ret, struct err *err)
{
	struct slice name;
	enum status s = request_table_name(call, name_or_arn, &name, err);

	*ret = NULL;
	return s == S_OK ? table_find(call->db, name, ret, err) : s;
}

enum status
request_bind_write(const struct in_params *params, struct slice update, struct slice condition, struct arena *arena,
		   struct table_write *w, struct err *err)
{
	struct expr_params p = params->p; /* binding marks what is used */
	struct expr *e;
	enum status s = request_check_params(params, true, err);

	if (s == S_OK && update.data != NULL) {
		s = expr_bind(EXPR_UPDATE, update, &p, arena, &e, err);
		w->update = e;
	}
	if (s == S_OK && condition.data != NULL) {
		s = expr_bind(EXPR_CONDITION, condition, &p, arena, &e, err);
		w->condition = e;
	}
	return s == S_OK ? expr_params_check_unused(&p, err) : s;
}
