/* Readable expressions for tests: names as "#a=a #b=b", values and items as DynamoDB JSON with ' for ". */
#ifndef STATOR_TESTS_EXPR_FIXTURE_H
#define STATOR_TESTS_EXPR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "expr/expr.h"
#include "model/av_json.h"

struct fixture {
	struct arena arena;
	struct expr_params params;
	struct err err;
};

static inline struct slice
fixture_json(struct fixture *f, const char *text)
{
	struct slice copy = arena_dup(&f->arena, slice_str(text));

	for (size_t i = 0; i < copy.len; i++)
		if (copy.data[i] == '\'')
			((char *)copy.data)[i] = '"';
	return copy;
}

/* AV_NONE for NULL */
static inline struct av
fixture_item(struct fixture *f, const char *text)
{
	struct json_reader r;
	struct av item = AV_NONE;

	if (text == NULL)
		return AV_NONE;
	json_init(&r, fixture_json(f, text), &f->arena);
	if (item_read_json(&r, &f->arena, &item, &f->err) != S_OK)
		fail_msg("%s: %s", text, f->err.message);
	json_end(&r);
	if (json_failed(&r))
		fail_msg("%s: %s", text, r.failure);
	return item;
}

static inline void
fixture_names(struct fixture *f, const char *text)
{
	char *at = (char *)arena_dup(&f->arena, slice_str(text)).data, *rest;

	f->params.has_names = true;
	f->params.names = ARENA_ARRAY(&f->arena, struct expr_name, strlen(text) + 1);
	for (char *word = strtok_r(at, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
		char *equals = strchr(word, '=');

		f->params.names[f->params.name_count++] = (struct expr_name){
		    .placeholder = slice_of(word, (size_t)(equals - word)), .name = slice_str(equals + 1)};
	}
}

static inline void
fixture_values(struct fixture *f, const char *text)
{
	struct json_reader r;
	struct slice name;

	f->params.has_values = true;
	f->params.values = ARENA_ARRAY(&f->arena, struct expr_value, strlen(text) + 1);
	json_init(&r, fixture_json(f, text), &f->arena);
	if (json_enter_object(&r))
		while (json_next_member(&r, &name)) {
			struct expr_value *v = &f->params.values[f->params.value_count++];

			v->placeholder = name;
			if (av_read_json(&r, &f->arena, &v->value, &f->err) != S_OK)
				v->invalid = arena_dup(&f->arena, slice_str(f->err.message));
		}
	json_end(&r);
	if (json_failed(&r))
		fail_msg("%s: %s", text, r.failure);
}

static inline void
fixture_init(struct fixture *f, const char *names, const char *values)
{
	*f = (struct fixture){0};
	if (names != NULL)
		fixture_names(f, names);
	if (values != NULL)
		fixture_values(f, values);
}

static inline void
fixture_done(struct fixture *f)
{
	arena_done(&f->arena);
	expr_cache_done();
}

/* Fails the test when the text does not bind. */
static inline struct expr *
fixture_bind(struct fixture *f, enum expr_kind kind, const char *text)
{
	struct expr *e = NULL;

	if (expr_bind(kind, slice_str(text), &f->params, &f->arena, &e, &f->err) != S_OK)
		fail_msg("%s: %s", text, f->err.message);
	return e;
}

static inline void
fixture_expect_json(struct fixture *f, const char *what, struct av got, const char *expected)
{
	struct buf out = {0};
	struct slice want = fixture_json(f, expected);

	item_write_json(&out, got);
	if (!slice_eq(buf_slice(&out), want)) {
		buf_put_byte(&out, '\0');
		fail_msg("%s\n  is     %s\n  wanted %s", what, out.data, want.data);
	}
	if (av_check(slice_of(got.data, got.len), &f->err) != S_OK)
		fail_msg("%s: not canonical: %s", what, f->err.message);
	buf_done(&out);
}

#endif
