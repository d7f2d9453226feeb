/* Policy documents: JSON to statements. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/policy_int.h"
#include "codec/json.h"

#define PIECE_BYTES 2048

const char *const policy_key_names[POLICY_KEY_COUNT] = {
#define X(id, name) [POLICY_KEY_##id] = name,
    POLICY_KEYS(X)
#undef X
};

/* Keys of AWS that no request here can have; those that end in "/" are beginnings. */
static const char *const absent_keys[] = {
    "aws:CalledVia",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
    "aws:FederatedProvider",
    "aws:MultiFactorAuthAge",
    "aws:MultiFactorAuthPresent",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalServiceName",
    "aws:PrincipalServiceNamesList",
    "aws:PrincipalTag/",
    "aws:ResourceOrgID",
    "aws:ResourceOrgPaths",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIdentity",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceVpc",
    "aws:SourceVpcArn",
    "aws:SourceVpce",
    "aws:TokenIssueTime",
    "aws:VpcSourceIp",
};

static const struct {
	const char *name;
	uint8_t match, comparison;
	bool negated;
} operators[] = {
    {"ArnEquals", MATCH_ARN, COMPARE_EQ, false},
    {"ArnLike", MATCH_ARN, COMPARE_EQ, false},
    {"ArnNotEquals", MATCH_ARN, COMPARE_EQ, true},
    {"ArnNotLike", MATCH_ARN, COMPARE_EQ, true},
    {"Bool", MATCH_BOOL, COMPARE_EQ, false},
    {"DateEquals", MATCH_DATE, COMPARE_EQ, false},
    {"DateGreaterThan", MATCH_DATE, COMPARE_GT, false},
    {"DateGreaterThanEquals", MATCH_DATE, COMPARE_GE, false},
    {"DateLessThan", MATCH_DATE, COMPARE_LT, false},
    {"DateLessThanEquals", MATCH_DATE, COMPARE_LE, false},
    {"DateNotEquals", MATCH_DATE, COMPARE_EQ, true},
    {"IpAddress", MATCH_IP, COMPARE_EQ, false},
    {"NotIpAddress", MATCH_IP, COMPARE_EQ, true},
    {"Null", MATCH_NULL, COMPARE_EQ, false},
    {"NumericEquals", MATCH_NUMBER, COMPARE_EQ, false},
    {"NumericGreaterThan", MATCH_NUMBER, COMPARE_GT, false},
    {"NumericGreaterThanEquals", MATCH_NUMBER, COMPARE_GE, false},
    {"NumericLessThan", MATCH_NUMBER, COMPARE_LT, false},
    {"NumericLessThanEquals", MATCH_NUMBER, COMPARE_LE, false},
    {"NumericNotEquals", MATCH_NUMBER, COMPARE_EQ, true},
    {"StringEquals", MATCH_STRING, COMPARE_EQ, false},
    {"StringEqualsIgnoreCase", MATCH_STRING_FOLDED, COMPARE_EQ, false},
    {"StringLike", MATCH_LIKE, COMPARE_EQ, false},
    {"StringNotEquals", MATCH_STRING, COMPARE_EQ, true},
    {"StringNotEqualsIgnoreCase", MATCH_STRING_FOLDED, COMPARE_EQ, true},
    {"StringNotLike", MATCH_LIKE, COMPARE_EQ, true},
};

enum policy_key
policy_key_find(struct slice name)
{
	for (int i = 0; i < POLICY_KEY_ABSENT; i++)
		if (policy_equal_folded(slice_str(policy_key_names[i]), name))
			return (enum policy_key)i;
	for (size_t i = 0; i < sizeof absent_keys / sizeof *absent_keys; i++) {
		struct slice known = slice_str(absent_keys[i]), beginning = name;

		if (known.data[known.len - 1] == '/' && name.len > known.len)
			beginning.len = known.len;
		if (policy_equal_folded(known, beginning))
			return POLICY_KEY_ABSENT;
	}
	return POLICY_KEY_COUNT;
}

/* ---- memory: pieces of about the size needed; a server may hold a policy for each of 2,500 tables ---- */

struct policy_piece {
	struct policy_piece *older;
	size_t used, size;
	_Alignas(16) char data[];
};

static void *
take(struct policy *p, size_t size)
{
	struct policy_piece *piece = p->pieces;
	void *ret;

	size = (size + 15) & ~(size_t)15;
	if (piece == NULL || piece->size - piece->used < size) {
		size_t bytes = size > PIECE_BYTES ? size : PIECE_BYTES;

		piece = calloc(1, sizeof *piece + bytes);
		if (piece == NULL)
			abort();
		piece->size = bytes;
		piece->older = p->pieces;
		p->pieces = piece;
	}
	ret = piece->data + piece->used;
	piece->used += size;
	return ret;
}

static struct slice
keep(struct policy *p, struct slice text)
{
	char *copy = take(p, text.len + 1);

	if (text.len > 0)
		memcpy(copy, text.data, text.len);
	return slice_of(copy, text.len);
}

void
policy_free(struct policy *p)
{
	if (p == NULL)
		return;
	while (p->pieces != NULL) {
		struct policy_piece *older = p->pieces->older;

		free(p->pieces);
		p->pieces = older;
	}
	free(p);
}

/* ---- reading ---- */

struct reader {
	struct json_reader json;
	struct arena arena; /* of the reader; what stays is copied */
	struct slice text;
	struct policy *p;
	struct err *err;
	bool told;
};

static void __attribute__((format(printf, 2, 3))) fail(struct reader *r, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (r->told)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	err_set(r->err, S_VALIDATION, "%s", text);
	r->told = true;
	json_fail(&r->json, "not a policy");
}

/* Line and column behind what was read last, as the service tells them. */
static void
fail_syntax(struct reader *r)
{
	size_t end = (size_t)(r->json.at - r->text.data), line = 1, column = 1;

	for (size_t i = 0; i < end; i++, column++)
		if (r->text.data[i] == '\n') {
			line++;
			column = 0;
		}
	fail(r, "Syntax error at position (%zu,%zu)", line, column);
}

/* A string, or where `loose` a number or a boolean too, as its text. */
static bool
read_text(struct reader *r, bool loose, struct slice *ret)
{
	*ret = SLICE_NONE;
	switch (json_peek(&r->json)) {
	case JSON_STRING:
		*ret = json_string(&r->json);
		break;
	case JSON_NUMBER:
	case JSON_BOOL:
		*ret = json_raw(&r->json);
		if (!loose)
			fail_syntax(r);
		break;
	default:
		json_skip(&r->json);
		fail_syntax(r);
	}
	return !json_failed(&r->json);
}

struct texts {
	struct slice *items;
	uint32_t count;
};

static void
add_text(struct reader *r, struct texts *texts, struct slice text)
{
	if ((texts->count & (texts->count - 1)) == 0) { /* full at each power of two */
		size_t room = texts->count > 0 ? 2 * (size_t)texts->count : 1;
		struct slice *bigger = arena_alloc(&r->arena, room * sizeof *bigger);

		if (texts->count > 0)
			memcpy(bigger, texts->items, texts->count * sizeof *bigger);
		texts->items = bigger;
	}
	texts->items[texts->count++] = keep(r->p, text);
}

/* One string or a list of them. */
static void
read_texts(struct reader *r, bool loose, struct texts *ret)
{
	struct slice text;

	*ret = (struct texts){0};
	if (json_peek(&r->json) != JSON_ARRAY) {
		if (read_text(r, loose, &text))
			add_text(r, ret, text);
		return;
	}
	if (json_enter_array(&r->json))
		while (json_next_element(&r->json))
			if (read_text(r, loose, &text))
				add_text(r, ret, text);
}

/* ---- patterns ---- */

static void
note_variables(struct reader *r, struct pattern *pattern)
{
	size_t end;

	for (size_t i = 0; r->p->variables && i < pattern->text.len; i = end) {
		struct slice name, fallback;
		char literal;

		end = i + 1;
		if (!policy_variable_read(pattern->text, i, &end, &name, &fallback, &literal))
			continue;
		pattern->variable = true;
		if (name.data != NULL) {
			enum policy_key key = policy_key_find(name);

			if (key == POLICY_KEY_COUNT)
				fail(r, "The policy variable %.*s is not known to this version of Stator",
				     SLICE_ARG(name));
			else
				r->p->keys |= UINT64_C(1) << key;
		}
	}
}

static struct pattern
make_pattern(struct reader *r, struct slice text, bool wildcards)
{
	struct pattern pattern = {.text = text};
	uint8_t *wild = NULL;

	note_variables(r, &pattern);
	for (size_t i = 0; wildcards && i < text.len; i++) {
		if (text.data[i] != '*' && text.data[i] != '?')
			continue;
		if (wild == NULL)
			wild = take(r->p, text.len);
		wild[i] = text.data[i] == '*' ? ANY_RUN : ANY_ONE;
	}
	pattern.wild = wild;
	return pattern;
}

static void
read_patterns(struct reader *r, struct patterns *ret)
{
	struct texts texts;

	read_texts(r, false, &texts);
	ret->items = take(r->p, texts.count * sizeof *ret->items);
	ret->count = texts.count;
	for (uint32_t i = 0; i < texts.count; i++)
		ret->items[i] = make_pattern(r, texts.items[i], true);
}

static void
read_actions(struct reader *r, struct patterns *ret)
{
	read_patterns(r, ret);
	for (uint32_t i = 0; i < ret->count; i++)
		if (!slice_eq(ret->items[i].text, SLICE("*")) &&
		    (ret->items[i].text.len == 0 ||
		     memchr(ret->items[i].text.data, ':', ret->items[i].text.len) == NULL))
			fail(r, "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
}

/* ---- principals ---- */

static bool
is_account(struct slice text)
{
	return text.len == 12 && strspn(text.data, "0123456789") == 12; /* kept texts end in a NUL */
}

static void
add_principal(struct reader *r, struct statement *s, uint8_t type, struct slice text)
{
	struct principal *all;

	if (type == PRINCIPAL_AWS && slice_eq(text, SLICE("*")))
		type = PRINCIPAL_EVERYONE;
	if (type == PRINCIPAL_AWS && is_account(text)) {
		struct slice arn = arena_printf(&r->arena, "arn:aws:iam::%.*s:root", SLICE_ARG(text));

		text = keep(r->p, arn);
	}
	for (uint32_t i = 0; i < s->principal_count; i++)
		if (s->principals[i].type == type && slice_eq(s->principals[i].text, text))
			return; /* named twice */
	if ((s->principal_count & (s->principal_count - 1)) == 0) {
		size_t room = s->principal_count > 0 ? 2 * (size_t)s->principal_count : 1;

		all = take(r->p, room * sizeof *all);
		if (s->principal_count > 0)
			memcpy(all, s->principals, s->principal_count * sizeof *all);
		s->principals = all;
	}
	s->principals[s->principal_count++] = (struct principal){type, text};
}

static void
read_principal(struct reader *r, struct statement *s)
{
	struct slice name, text;

	if (json_peek(&r->json) == JSON_STRING) {
		text = json_string(&r->json);
		s->bare_everyone = true;
		if (slice_eq(text, SLICE("*")))
			add_principal(r, s, PRINCIPAL_EVERYONE, keep(r->p, text));
		else
			fail_syntax(r);
		return;
	}
	if (json_peek(&r->json) != JSON_OBJECT) {
		json_skip(&r->json);
		fail_syntax(r);
		return;
	}
	if (!json_enter_object(&r->json))
		return;
	while (json_next_member(&r->json, &name)) {
		struct texts texts;
		bool aws = slice_eq(name, SLICE("AWS"));

		if (!aws && !slice_eq(name, SLICE("Service")))
			fail_syntax(r);
		read_texts(r, false, &texts);
		for (uint32_t i = 0; i < texts.count; i++)
			add_principal(r, s, aws ? PRINCIPAL_AWS : PRINCIPAL_SERVICE, texts.items[i]);
	}
	if (s->principal_count == 0)
		fail_syntax(r);
}

/* ---- conditions ---- */

static bool
read_operator(struct reader *r, struct slice name, struct condition *c)
{
	static const struct slice all = {"ForAllValues:", 13}, any = {"ForAnyValue:", 12}, exists = {"IfExists", 8};

	if (slice_starts(name, all) || slice_starts(name, any)) {
		size_t skip = slice_starts(name, all) ? all.len : any.len;

		c->quantifier = skip == all.len ? QUANTIFIER_ALL : QUANTIFIER_ANY;
		name = slice_of(name.data + skip, name.len - skip);
	}
	if (name.len > exists.len && slice_starts(slice_of(name.data + name.len - exists.len, exists.len), exists)) {
		c->if_exists = true;
		name.len -= exists.len;
	}
	for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
		if (slice_eq(name, slice_str(operators[i].name))) {
			c->match = operators[i].match;
			c->comparison = operators[i].comparison;
			c->negated = operators[i].negated;
			return c->match != MATCH_NULL || (c->quantifier == QUANTIFIER_NONE && !c->if_exists);
		}
	fail_syntax(r);
	return false;
}

static bool
read_operand(struct reader *r, const struct condition *c, struct operand *o)
{
	bool is_true = policy_equal_folded(o->text, SLICE("true"));

	switch ((enum condition_match)c->match) {
	case MATCH_NUMBER:
		return policy_number_read(o->text, &o->number);
	case MATCH_DATE:
		return policy_date_read(o->text, &o->time_ms);
	case MATCH_IP:
		return policy_ip_read(o->text, &o->range);
	case MATCH_BOOL:
	case MATCH_NULL:
		o->flag = is_true;
		return is_true || policy_equal_folded(o->text, SLICE("false"));
	case MATCH_STRING:
	case MATCH_STRING_FOLDED:
		o->pattern = make_pattern(r, o->text, false);
		return true;
	case MATCH_LIKE:
	case MATCH_ARN:
		o->pattern = make_pattern(r, o->text, true);
		return true;
	}
	return false;
}

/* {"key": values, ...} of one operator. */
static void
read_operator_keys(struct reader *r, struct slice operator, struct condition ** all, uint32_t *count)
{
	struct slice name;

	if (!json_enter_object(&r->json))
		return;
	while (json_next_member(&r->json, &name)) {
		struct condition c = {.operator= operator, .name = keep(r->p, name)};
		struct texts texts;

		if (!read_operator(r, operator, & c)) {
			fail_syntax(r);
			return;
		}
		for (uint32_t i = 0; i < *count; i++)
			if (slice_eq((*all)[i].operator, operator) && policy_equal_folded((*all)[i].name, name))
				fail_syntax(r); /* twice the same */
		c.key = policy_key_find(name);
		if (c.key == POLICY_KEY_COUNT)
			fail(r, "The condition key %.*s is not known to this version of Stator", SLICE_ARG(name));
		read_texts(r, true, &texts);
		if (json_failed(&r->json))
			return;
		if (texts.count == 0 || (c.match == MATCH_NULL && texts.count != 1))
			fail_syntax(r);
		c.operands = take(r->p, texts.count * sizeof *c.operands);
		for (c.count = 0; c.count < texts.count; c.count++) {
			c.operands[c.count].text = texts.items[c.count];
			if (!read_operand(r, &c, &c.operands[c.count]))
				fail(r, "The value %.*s cannot be used with %.*s", SLICE_ARG(texts.items[c.count]),
				     SLICE_ARG(operator));
		}
		r->p->keys |= UINT64_C(1) << c.key;
		if ((*count & (*count - 1)) == 0) {
			struct condition *bigger = arena_alloc(&r->arena, (*count + 1) * 2 * sizeof c);

			if (*count > 0)
				memcpy(bigger, *all, *count * sizeof c);
			*all = bigger;
		}
		(*all)[(*count)++] = c;
	}
}

static void
read_conditions(struct reader *r, struct statement *s)
{
	struct condition *all = NULL;
	struct slice operator;
	uint32_t count = 0;

	if (json_peek(&r->json) != JSON_OBJECT) {
		json_skip(&r->json);
		fail_syntax(r);
		return;
	}
	if (json_enter_object(&r->json))
		while (json_next_member(&r->json, &operator)) {
			if (json_peek(&r->json) == JSON_OBJECT) {
				read_operator_keys(r, keep(r->p, operator), &all, &count);
			} else {
				json_skip(&r->json);
				fail_syntax(r);
			}
		}
	if (count > 0)
		s->conditions = memcpy(take(r->p, count * sizeof *all), all, count * sizeof *all);
	s->condition_count = count;
}

/* ---- statements ---- */

enum { HAS_SID = 1, HAS_EFFECT = 2, HAS_PRINCIPAL = 4, HAS_ACTION = 8, HAS_RESOURCE = 16, HAS_CONDITION = 32 };

static void
read_effect(struct reader *r, struct statement *s)
{
	struct slice text;

	if (!read_text(r, false, &text))
		return;
	s->denies = policy_equal_folded(text, SLICE("Deny"));
	if (!s->denies && !policy_equal_folded(text, SLICE("Allow")))
		fail_syntax(r);
}

/* Returns which member it was; 0 for none that is known. */
static unsigned
read_statement_member(struct reader *r, struct slice name, struct statement *s)
{
	struct slice text;

	if (slice_eq(name, SLICE("Sid"))) {
		if (read_text(r, false, &text))
			s->sid = keep(r->p, text);
		return HAS_SID;
	}
	if (slice_eq(name, SLICE("Effect"))) {
		read_effect(r, s);
		return HAS_EFFECT;
	}
	if (slice_eq(name, SLICE("Principal")) || slice_eq(name, SLICE("NotPrincipal"))) {
		s->not_principal = name.data[0] == 'N';
		read_principal(r, s);
		return HAS_PRINCIPAL;
	}
	if (slice_eq(name, SLICE("Action")) || slice_eq(name, SLICE("NotAction"))) {
		s->not_action = name.data[0] == 'N';
		read_actions(r, &s->actions);
		return s->actions.count > 0 ? HAS_ACTION : 0;
	}
	if (slice_eq(name, SLICE("Resource")) || slice_eq(name, SLICE("NotResource"))) {
		s->not_resource = name.data[0] == 'N';
		read_patterns(r, &s->resources);
		return s->resources.count > 0 ? HAS_RESOURCE : 0;
	}
	if (slice_eq(name, SLICE("Condition"))) {
		read_conditions(r, s);
		return HAS_CONDITION;
	}
	json_skip(&r->json);
	return 0;
}

static void
check_statement(struct reader *r, unsigned has)
{
	bool identity = r->p->kind == POLICY_IDENTITY;
	const struct {
		unsigned flag;
		const char *name;
	} required[] = {
	    {HAS_EFFECT, "Effect"},
	    {identity ? 0 : HAS_PRINCIPAL, "Principal"},
	    {HAS_ACTION, "Action"},
	    {HAS_RESOURCE, "Resource"},
	};

	if (identity && (has & HAS_PRINCIPAL))
		fail(r, "Policy document should not specify a principal.");
	for (size_t i = 0; i < sizeof required / sizeof *required; i++)
		if ((has & required[i].flag) != required[i].flag)
			fail(r, "Missing required field %s", required[i].name);
}

static void
read_statement(struct reader *r, struct statement *s)
{
	unsigned has = 0, one;
	struct slice name;

	if (json_peek(&r->json) != JSON_OBJECT) {
		json_skip(&r->json);
		fail_syntax(r);
		return;
	}
	if (json_enter_object(&r->json))
		while (json_next_member(&r->json, &name)) {
			one = read_statement_member(r, name, s);
			if (one == 0 || (has & one))
				fail_syntax(r); /* unknown, empty, or twice (also Action beside NotAction) */
			has |= one;
		}
	if (!json_failed(&r->json))
		check_statement(r, has);
}

static void
add_statement(struct reader *r, struct statement **all, uint32_t *count)
{
	if ((*count & (*count - 1)) == 0) {
		struct statement *bigger = arena_alloc(&r->arena, (*count + 1) * 2 * sizeof *bigger);

		if (*count > 0)
			memcpy(bigger, *all, *count * sizeof *bigger);
		*all = bigger;
	}
	memset(&(*all)[*count], 0, sizeof **all);
	read_statement(r, &(*all)[(*count)++]);
}

static int
sid_order(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static void
check_sids(struct reader *r, const struct statement *all, uint32_t count)
{
	struct slice *sids = arena_alloc(&r->arena, count * sizeof *sids);
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++)
		if (all[i].sid.len > 0)
			sids[n++] = all[i].sid;
	qsort(sids, n, sizeof *sids, sid_order);
	for (uint32_t i = 1; i < n; i++)
		if (slice_eq(sids[i - 1], sids[i]))
			fail(r, "The Statement Ids in the policy are not unique");
}

static void
read_statements(struct reader *r)
{
	struct statement *all = NULL;
	uint32_t count = 0;

	if (json_peek(&r->json) == JSON_OBJECT) {
		add_statement(r, &all, &count);
	} else if (json_peek(&r->json) == JSON_ARRAY) {
		if (json_enter_array(&r->json))
			while (json_next_element(&r->json))
				add_statement(r, &all, &count);
		if (count == 0)
			fail(r, "Could not parse the policy: Statement is empty!");
	} else {
		json_skip(&r->json);
		fail_syntax(r);
	}
	if (count == 0 || json_failed(&r->json))
		return;
	check_sids(r, all, count);
	r->p->statements = memcpy(take(r->p, count * sizeof *all), all, count * sizeof *all);
	r->p->statement_count = count;
}

/* ---- documents ---- */

/* Variables depend on the version, which may stand behind the statements: so it is looked for first. */
static void
read_version(struct reader *r)
{
	struct slice name, text;
	struct json_reader json;

	json_init(&json, r->text, &r->arena);
	if (json_enter_object(&json))
		while (json_next_member(&json, &name)) {
			if (slice_eq(name, SLICE("Version")) && json_peek(&json) == JSON_STRING) {
				text = json_string(&json);
				r->p->variables = slice_eq(text, SLICE("2012-10-17"));
			} else {
				json_skip(&json);
			}
		}
}

static void
read_document(struct reader *r)
{
	struct policy *p = r->p;
	struct slice name, text;
	bool statements = false;

	read_version(r);
	if (json_enter_object(&r->json))
		while (json_next_member(&r->json, &name)) {
			struct slice *place = slice_eq(name, SLICE("Version")) ? &p->version
					      : slice_eq(name, SLICE("Id"))    ? &p->id
									       : NULL;

			if (place != NULL && place->data == NULL) {
				if (read_text(r, false, &text))
					*place = keep(p, text);
			} else if (slice_eq(name, SLICE("Statement")) && !statements) {
				statements = true;
				read_statements(r);
			} else {
				json_skip(&r->json);
				fail_syntax(r);
			}
		}
	if (!json_failed(&r->json) && !statements)
		fail_syntax(r);
	if (p->version.data != NULL && !slice_eq(p->version, SLICE("2012-10-17")) &&
	    !slice_eq(p->version, SLICE("2008-10-17")))
		fail(r, "The policy must contain a valid version string");
}

/* Is it JSON at all, and a document? */
static bool
check_json(struct reader *r)
{
	enum json_type type;

	json_init(&r->json, r->text, &r->arena);
	type = json_peek(&r->json);
	json_skip(&r->json);
	json_end(&r->json);
	if (!json_failed(&r->json) && type == JSON_OBJECT)
		return true;
	if (!json_failed(&r->json) && type == JSON_NULL)
		err_set(r->err, S_VALIDATION, "This text appears not to be a policy");
	else
		err_set(r->err, S_VALIDATION, "This policy contains invalid Json");
	return false;
}

enum status
policy_read(struct slice text, enum policy_kind kind, struct policy **ret, struct err *err)
{
	struct reader r = {.text = text, .err = err};
	enum status s = S_VALIDATION;

	*ret = NULL;
	r.p = calloc(1, sizeof *r.p);
	if (r.p == NULL)
		abort();
	r.p->kind = kind;
	if (check_json(&r)) {
		json_init(&r.json, text, &r.arena);
		read_document(&r);
		s = json_failed(&r.json) || r.told ? S_VALIDATION : S_OK;
		if (s != S_OK && !r.told)
			err_set(err, S_VALIDATION, "This policy contains invalid Json");
	}
	arena_done(&r.arena);
	if (s == S_OK)
		*ret = r.p;
	else
		policy_free(r.p);
	return s;
}

uint64_t
policy_keys(const struct policy *p)
{
	return p->keys;
}

bool
policy_has_no_version(const struct policy *p)
{
	return p->version.data == NULL;
}
