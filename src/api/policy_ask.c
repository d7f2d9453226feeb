/* Asking a policy: does a statement apply to a request, and what does the document say? */
#include <strings.h>

#include "api/policy_int.h"

/* Doubt has a value of its own: it denies, so it depends on the statement which way it counts. */
enum truth { NO, YES, DOUBT };

static enum truth not(enum truth t) { return t == DOUBT ? DOUBT : t == YES ? NO : YES; }

/* ---- variables ---- */

/* The one value of a key, or its fallback. DOUBT: it has none, or several. */
static enum truth
variable_value(const struct policy_request *request, struct slice name, struct slice fallback, struct slice *ret)
{
	enum policy_key key = policy_key_find(name);
	const struct policy_values *values = key < POLICY_KEY_COUNT ? &request->context[key] : NULL;

	if (values != NULL && values->unknown)
		return DOUBT;
	if (values != NULL && values->count == 1) {
		*ret = values->items[0];
		return YES;
	}
	*ret = fallback;
	return values != NULL && values->count == 0 && fallback.data != NULL ? YES : DOUBT;
}

static void
put(struct buf *text, struct buf *wild, struct slice s, uint8_t kind)
{
	buf_put_slice(text, s);
	for (size_t i = 0; i < s.len; i++)
		buf_put_byte(wild, kind);
}

/* A pattern with the request's values in it; wildcards in those values mean themselves. */
static enum truth
expand(const struct pattern *p, const struct policy_request *request, struct pattern *ret)
{
	struct buf text = {0}, wild = {0};
	enum truth known = YES;
	size_t end;

	if (!p->variable) {
		*ret = *p;
		return YES;
	}
	for (size_t i = 0; i < p->text.len && known == YES; i = end) {
		struct slice name, fallback, value;
		char literal;

		end = i + 1;
		if (!policy_variable_read(p->text, i, &end, &name, &fallback, &literal)) {
			put(&text, &wild, slice_of(p->text.data + i, 1), p->wild != NULL ? p->wild[i] : LITERAL);
		} else if (name.data == NULL) {
			put(&text, &wild, slice_of(&literal, 1), LITERAL);
		} else {
			known = variable_value(request, name, fallback, &value);
			if (known == YES)
				put(&text, &wild, value, LITERAL);
		}
	}
	if (known == YES) {
		ret->text = arena_dup(request->arena, buf_slice(&text));
		ret->wild = (const uint8_t *)arena_dup(request->arena, buf_slice(&wild)).data;
		ret->variable = false;
	}
	buf_done(&text);
	buf_done(&wild);
	return known;
}

/* ---- actions and resources ---- */

static enum truth
any_matches(const struct patterns *patterns, struct slice text, bool folded, const struct policy_request *request)
{
	enum truth answer = NO;

	for (uint32_t i = 0; i < patterns->count; i++) {
		struct pattern pattern;

		if (expand(&patterns->items[i], request, &pattern) == DOUBT)
			answer = DOUBT;
		else if (policy_match(&pattern, text, folded))
			return YES;
	}
	return answer;
}

/* ---- principals ---- */

/* *ret_account: it is the caller's account that is named, not the caller. */
static bool
principal_matches(const struct statement *s, const struct policy_principal *who, bool *ret_account)
{
	bool account = false;

	*ret_account = false;
	for (uint32_t i = 0; i < s->principal_count; i++) {
		const struct principal *p = &s->principals[i];
		struct slice tail = p->text;

		if (p->type == PRINCIPAL_EVERYONE)
			return true;
		if (p->type != PRINCIPAL_AWS)
			continue; /* no service calls here */
		if (slice_eq(p->text, who->arn) || (who->role.len > 0 && slice_eq(p->text, who->role)))
			return true;
		if (p->text.len == 30 && slice_eq(slice_of(tail.data + 25, 5), SLICE(":root")) &&
		    slice_eq(slice_of(tail.data + 13, 12), who->account))
			account = true;
	}
	*ret_account = account;
	return account;
}

/* ---- conditions ---- */

static bool
compares(enum comparison comparison, double difference)
{
	switch (comparison) {
	case COMPARE_EQ:
		return difference == 0;
	case COMPARE_LT:
		return difference < 0;
	case COMPARE_LE:
		return difference <= 0;
	case COMPARE_GT:
		return difference > 0;
	case COMPARE_GE:
		return difference >= 0;
	}
	return false;
}

static bool
in_range(const struct ip_range *range, const struct ip_range *address)
{
	unsigned whole = range->bits / 8u, rest = range->bits % 8u;

	if (range->length != address->length || memcmp(range->bytes, address->bytes, whole) != 0)
		return false;
	return rest == 0 || (range->bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

/* The part of an ARN before the next colon; the sixth is all the rest. */
static struct slice
next_part(struct slice *rest, int n)
{
	const char *colon = n < 5 && rest->len > 0 ? memchr(rest->data, ':', rest->len) : NULL;
	struct slice part = *rest;

	if (colon == NULL) {
		*rest = SLICE_NONE;
		return part;
	}
	part.len = (size_t)(colon - part.data);
	*rest = slice_of(colon + 1, rest->len - part.len - 1);
	return part;
}

/* Part by part: a wildcard does not reach over a colon. */
static bool
arn_matches(const struct pattern *p, struct slice text)
{
	struct slice pattern_rest = p->text, text_rest = text;

	if (slice_eq(p->text, SLICE("*")) && p->wild != NULL && p->wild[0] == ANY_RUN)
		return true;
	for (int n = 0; n < 6; n++) {
		struct slice want, have;
		struct pattern part;

		if (pattern_rest.data == NULL || text_rest.data == NULL)
			return false;
		want = next_part(&pattern_rest, n);
		have = next_part(&text_rest, n);
		part = (struct pattern){.text = want,
					.wild = p->wild != NULL ? p->wild + (want.data - p->text.data) : NULL};
		if (!policy_match(&part, have, false))
			return false;
	}
	return true;
}

static enum truth
operand_matches(const struct condition *c, const struct operand *o, struct slice value,
		const struct policy_request *request)
{
	struct pattern pattern;
	struct ip_range address;
	double number;
	int64_t ms;

	switch ((enum condition_match)c->match) {
	case MATCH_NUMBER:
		return policy_number_read(value, &number) && compares(c->comparison, number - o->number) ? YES : NO;
	case MATCH_DATE:
		return policy_date_read(value, &ms) && compares(c->comparison, (double)(ms - o->time_ms)) ? YES : NO;
	case MATCH_BOOL:
		return policy_equal_folded(value, o->flag ? SLICE("true") : SLICE("false")) ? YES : NO;
	case MATCH_IP:
		return policy_ip_read(value, &address) && in_range(&o->range, &address) ? YES : NO;
	default:
		break;
	}
	if (expand(&o->pattern, request, &pattern) == DOUBT)
		return DOUBT;
	if (c->match == MATCH_ARN)
		return arn_matches(&pattern, value) ? YES : NO;
	if (c->match == MATCH_LIKE)
		return policy_match(&pattern, value, false) ? YES : NO;
	if (c->match == MATCH_STRING_FOLDED)
		return policy_equal_folded(pattern.text, value) ? YES : NO;
	return slice_eq(pattern.text, value) ? YES : NO;
}

/* One value of the request against all of the condition's. */
static enum truth
value_holds(const struct condition *c, struct slice value, const struct policy_request *request)
{
	enum truth answer = NO;

	for (uint32_t i = 0; i < c->count && answer != YES; i++) {
		enum truth one = operand_matches(c, &c->operands[i], value, request);

		if (one != NO)
			answer = one;
	}
	return c->negated ? not(answer) : answer;
}

static enum truth
condition_holds(const struct condition *c, bool denies, const struct policy_request *request)
{
	const struct policy_values *values = &request->context[c->key];
	/* without a quantifier and with several values: all must fit an Allow, one suffices for a Deny */
	bool all = c->quantifier == QUANTIFIER_NONE ? !denies : c->quantifier == QUANTIFIER_ALL;
	enum truth answer = all ? YES : NO;

	if (c->match == MATCH_NULL)
		return c->operands[0].flag == (values->count == 0 && !values->unknown) ? YES : NO;
	if (values->unknown)
		return DOUBT;
	if (values->count == 0) {
		if (c->if_exists || c->quantifier == QUANTIFIER_ALL)
			return YES;
		return c->negated && c->quantifier == QUANTIFIER_NONE ? YES : NO;
	}
	for (uint32_t i = 0; i < values->count; i++) {
		enum truth one = value_holds(c, values->items[i], request);

		if (one == DOUBT)
			answer = DOUBT;
		else if (one == (all ? NO : YES))
			return one;
	}
	return answer;
}

/* ---- statements ---- */

static enum policy_answer
statement_says(const struct statement *s, const struct policy_request *request, bool of_resource)
{
	enum truth applies = any_matches(&s->actions, request->action, true, request), one;
	bool account = false, named;

	if (s->not_action)
		applies = not(applies);
	if (applies == NO)
		return POLICY_SILENT;
	one = any_matches(&s->resources, request->resource, false, request);
	if (s->not_resource)
		one = not(one);
	if (one == NO)
		return POLICY_SILENT;
	applies = one == DOUBT ? DOUBT : applies;
	if (of_resource) {
		named = principal_matches(s, request->principal, &account);
		if (s->not_principal ? named && !account : !named)
			return POLICY_SILENT; /* to be spared, a caller must be named itself */
	}
	for (uint32_t i = 0; i < s->condition_count; i++) {
		one = condition_holds(&s->conditions[i], s->denies, request);
		if (one == NO)
			return POLICY_SILENT;
		applies = one == DOUBT ? DOUBT : applies;
	}
	if (s->denies)
		return POLICY_DENY;
	if (applies == DOUBT)
		return POLICY_SILENT;
	return account && !s->not_principal && !request->principal->root ? POLICY_DELEGATE : POLICY_ALLOW;
}

enum policy_answer
policy_ask(const struct policy *p, const struct policy_request *request)
{
	enum policy_answer answer = POLICY_SILENT;

	for (uint32_t i = 0; i < p->statement_count && answer != POLICY_DENY; i++) {
		enum policy_answer one = statement_says(&p->statements[i], request, p->kind != POLICY_IDENTITY);

		if (one > answer)
			answer = one;
	}
	return answer;
}

static bool
names_index(const struct patterns *resources, struct slice table)
{
	for (uint32_t i = 0; i < resources->count; i++) {
		struct slice text = resources->items[i].text;

		if (slice_starts(text, table) &&
		    slice_starts(slice_of(text.data + table.len, text.len - table.len), SLICE("/index/")))
			return true;
	}
	return false;
}

bool
policy_might_allow(const struct policy *p, const struct policy_request *request)
{
	for (uint32_t i = 0; i < p->statement_count; i++) {
		const struct statement *s = &p->statements[i];
		enum truth action, resource;

		if (s->denies)
			continue;
		action = any_matches(&s->actions, request->action, true, request);
		resource = any_matches(&s->resources, request->resource, false, request);
		if (s->not_action)
			action = not(action);
		if (s->not_resource)
			resource = not(resource);
		if (action != NO &&
		    (resource != NO || (!s->not_resource && names_index(&s->resources, request->resource))))
			return true;
	}
	return false;
}
