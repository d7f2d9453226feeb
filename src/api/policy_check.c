/* What only resource policies are checked for. */
#include <stdio.h>

#include "api/policy_int.h"

bool
policy_principals_are_valid(const struct policy *p)
{
	struct arena arena = {0};
	bool valid = true;

	for (uint32_t i = 0; i < p->statement_count && valid; i++)
		for (uint32_t n = 0; n < p->statements[i].principal_count && valid; n++) {
			const struct principal *one = &p->statements[i].principals[n];
			struct policy_principal read;

			if (one->type == PRINCIPAL_AWS)
				valid = policy_principal_read(one->text, &arena, &read);
			else if (one->type == PRINCIPAL_SERVICE)
				valid = one->text.len > 14 &&
					memcmp(one->text.data + one->text.len - 14, ".amazonaws.com", 14) == 0;
		}
	arena_done(&arena);
	return valid;
}

bool
policy_is_unbounded(const struct policy *p)
{
	for (uint32_t i = 0; i < p->statement_count; i++) {
		const struct statement *s = &p->statements[i];

		if (s->denies || s->condition_count > 0)
			continue;
		if (s->not_principal)
			return true;
		for (uint32_t n = 0; n < s->principal_count; n++)
			if (s->principals[n].type == PRINCIPAL_EVERYONE)
				return true;
	}
	return false;
}

static bool
matches_known(const struct pattern *action, const char *const *known)
{
	char name[128];

	if (slice_eq(action->text, SLICE("*")))
		return true;
	for (; *known != NULL; known++) {
		snprintf(name, sizeof name, "dynamodb:%s", *known);
		if (policy_match(action, slice_str(name), true))
			return true;
	}
	return false;
}

/* "table/name", "table/name/index/x", and what wildcards may make of them; of a stream's policy "table/name/stream/x".
 */
static bool
is_relative_id(struct slice id, enum policy_kind kind)
{
	static const struct slice index = {"index/", 6}, stream = {"stream/", 7};
	const char *slash;
	struct slice rest;

	if (memchr(id.data, '*', id.len < 6 ? id.len : 6) != NULL)
		return true;
	if (!slice_starts(id, SLICE("table/")))
		return false;
	rest = slice_of(id.data + 6, id.len - 6);
	slash = memchr(rest.data, '/', rest.len);
	if (slash == NULL)
		return rest.len > 0 && (kind == POLICY_TABLE || memchr(rest.data, '*', rest.len) != NULL);
	rest = slice_of(slash + 1, rest.len - (size_t)(slash - rest.data) - 1);
	if (memchr(rest.data, '*', rest.len < 6 ? rest.len : 6) != NULL)
		return true;
	return slice_starts(rest, kind == POLICY_TABLE ? index : stream);
}

static enum status
check_resource(struct slice arn, enum policy_kind kind, struct err *err)
{
	struct slice rest = arn;
	const char *colon;

	if (slice_eq(arn, SLICE("*")))
		return S_OK;
	for (int i = 0; i < 5; i++) {
		colon = rest.len > 0 ? memchr(rest.data, ':', rest.len) : NULL;
		if (colon == NULL)
			return err_set(err, S_VALIDATION, "Resource %.*s must be in ARN format or \"*\".",
				       SLICE_ARG(arn));
		rest = slice_of(colon + 1, rest.len - (size_t)(colon - rest.data) - 1);
	}
	if (!slice_starts(arn, SLICE("arn:")))
		return err_set(err, S_VALIDATION, "Resource %.*s must be in ARN format or \"*\".", SLICE_ARG(arn));
	if (is_relative_id(rest, kind))
		return S_OK;
	return err_set(err, S_VALIDATION, "The relative-id \"%.*s\" is invalid for ARN \"%.*s\"", SLICE_ARG(rest),
		       SLICE_ARG(arn));
}

enum status
policy_check_targets(const struct policy *p, const char *const *known, struct err *err)
{
	char wrong[1024] = "";
	size_t len = 0;
	enum status s = S_OK;

	for (uint32_t i = 0; i < p->statement_count; i++)
		for (uint32_t n = 0; n < p->statements[i].actions.count; n++) {
			const struct pattern *action = &p->statements[i].actions.items[n];

			if (!matches_known(action, known) && len < sizeof wrong - 300)
				len += (size_t)snprintf(
				    wrong + len, sizeof wrong - len, "%s\"%.*s\"", len > 0 ? ", " : "",
				    (int)(action->text.len < 256 ? action->text.len : 256), action->text.data);
		}
	if (len > 0)
		return err_set(err, S_VALIDATION, "The following action names are invalid: %s", wrong);
	for (uint32_t i = 0; i < p->statement_count && s == S_OK; i++)
		for (uint32_t n = 0; n < p->statements[i].resources.count && s == S_OK; n++)
			s = check_resource(p->statements[i].resources.items[n].text, p->kind, err);
	return s;
}
