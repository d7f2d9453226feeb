/* Policy documents in their canonical form. */
#include "api/policy_int.h"
#include "codec/json.h"

static void
put_member(struct buf *out, const char **between, const char *name)
{
	buf_printf(out, "%s\"%s\":", *between, name);
	*between = ",";
}

static void
put_patterns(struct buf *out, const struct patterns *patterns)
{
	if (patterns->count != 1)
		buf_put_byte(out, '[');
	for (uint32_t i = 0; i < patterns->count; i++) {
		if (i > 0)
			buf_put_byte(out, ',');
		json_put_string(out, patterns->items[i].text);
	}
	if (patterns->count != 1)
		buf_put_byte(out, ']');
}

static void
put_principals_of(struct buf *out, const struct statement *s, bool service, const char **between)
{
	const char *comma = "";
	uint32_t count = 0;

	for (uint32_t i = 0; i < s->principal_count; i++)
		count += (s->principals[i].type == PRINCIPAL_SERVICE) == service;
	if (count == 0)
		return;
	put_member(out, between, service ? "Service" : "AWS");
	buf_printf(out, "%s", count > 1 ? "[" : "");
	for (uint32_t i = 0; i < s->principal_count; i++) {
		if ((s->principals[i].type == PRINCIPAL_SERVICE) != service)
			continue;
		buf_printf(out, "%s", comma);
		comma = ",";
		json_put_string(out, s->principals[i].text);
	}
	buf_printf(out, "%s", count > 1 ? "]" : "");
}

static void
put_principals(struct buf *out, const struct statement *s)
{
	const char *between = "";

	if (s->bare_everyone) {
		buf_put_lit(out, "\"*\"");
		return;
	}
	buf_put_byte(out, '{');
	put_principals_of(out, s, false, &between);
	put_principals_of(out, s, true, &between);
	buf_put_byte(out, '}');
}

static void
put_conditions(struct buf *out, const struct statement *s)
{
	const struct condition *last = NULL;

	buf_put_byte(out, '{');
	for (uint32_t i = 0; i < s->condition_count; i++) {
		const struct condition *c = &s->conditions[i];

		if (last != NULL && last->operator.data == c->operator.data) {
			buf_put_byte(out, ',');
		} else {
			buf_printf(out, "%s", last != NULL ? "}," : "");
			json_put_string(out, c->operator);
			buf_put_lit(out, ":{");
		}
		last = c;
		json_put_string(out, c->name);
		buf_printf(out, "%s", c->count > 1 ? ":[" : ":");
		for (uint32_t n = 0; n < c->count; n++) {
			if (n > 0)
				buf_put_byte(out, ',');
			json_put_string(out, c->operands[n].text);
		}
		buf_printf(out, "%s", c->count > 1 ? "]" : "");
	}
	buf_put_lit(out, "}}");
}

static void
put_statement(struct buf *out, const struct statement *s)
{
	const char *between = "";

	buf_put_byte(out, '{');
	if (s->sid.data != NULL) {
		put_member(out, &between, "Sid");
		json_put_string(out, s->sid);
	}
	put_member(out, &between, "Effect");
	buf_printf(out, "%s", s->denies ? "\"Deny\"" : "\"Allow\"");
	if (s->principal_count > 0) {
		put_member(out, &between, s->not_principal ? "NotPrincipal" : "Principal");
		put_principals(out, s);
	}
	put_member(out, &between, s->not_action ? "NotAction" : "Action");
	put_patterns(out, &s->actions);
	put_member(out, &between, s->not_resource ? "NotResource" : "Resource");
	put_patterns(out, &s->resources);
	if (s->condition_count > 0) {
		put_member(out, &between, "Condition");
		put_conditions(out, s);
	}
	buf_put_byte(out, '}');
}

void
policy_write(const struct policy *p, struct buf *out)
{
	buf_put_lit(out, "{\"Version\":");
	json_put_string(out, p->version.data != NULL ? p->version : SLICE("2008-10-17"));
	if (p->id.data != NULL) {
		buf_put_lit(out, ",\"Id\":");
		json_put_string(out, p->id);
	}
	buf_put_lit(out, ",\"Statement\":[");
	for (uint32_t i = 0; i < p->statement_count; i++) {
		if (i > 0)
			buf_put_byte(out, ',');
		put_statement(out, &p->statements[i]);
	}
	buf_put_lit(out, "]}");
}
