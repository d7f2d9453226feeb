/* The credentials file: keys, whose they are, and their policies. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/auth.h"
#include "base/crypto.h"
#include "codec/json.h"

struct named_policy {
	struct slice name;
	struct policy *policy;
};

struct auth_keys {
	struct arena arena;
	struct auth_caller *callers; /* sorted by access key */
	size_t count, room;
	struct policy **policies; /* all there are, to be freed */
	size_t policy_count, policy_room;
	struct named_policy *named;
	size_t named_count, named_room;
};

/* Room for one more element of a heap array. */
static void *
grow(void *items, size_t count, size_t *room, size_t size)
{
	void *bigger;

	if (count < *room)
		return items;
	*room = *room > 0 ? 2 * *room : 8;
	bigger = realloc(items, *room * size);
	if (bigger == NULL)
		abort();
	return bigger;
}

static int
caller_order(const void *a, const void *b)
{
	return slice_cmp(((const struct auth_caller *)a)->access_key, ((const struct auth_caller *)b)->access_key);
}

/* ---- lines ---- */

static struct slice
next_word(struct slice *line)
{
	size_t start = 0, end;
	struct slice word;

	while (start < line->len && strchr(" \t\r", line->data[start]) != NULL)
		start++;
	for (end = start; end < line->len && strchr(" \t\r", line->data[end]) == NULL;)
		end++;
	word = slice_of(line->data + start, end - start);
	*line = slice_of(line->data + end, line->len - end);
	return word;
}

static struct auth_caller *
add_caller(struct auth_keys *k)
{
	k->callers = grow(k->callers, k->count, &k->room, sizeof *k->callers);
	memset(&k->callers[k->count], 0, sizeof *k->callers);
	return &k->callers[k->count++];
}

static void
make_root(struct auth_keys *k, struct auth_caller *caller, const char *account)
{
	struct slice arn = arena_printf(&k->arena, "arn:aws:iam::%s:root", account);

	caller->administrator = true;
	(void)policy_principal_read(arn, &k->arena, &caller->principal);
}

static enum status
read_line(struct auth_keys *k, struct slice line, size_t number, const char *account, struct err *err)
{
	struct slice access_key, secret, more;
	struct auth_caller *caller;

	access_key = next_word(&line);
	secret = next_word(&line);
	more = next_word(&line);
	if (access_key.len == 0 || access_key.data[0] == '#')
		return S_OK;
	if (secret.len == 0 || more.len > 0)
		return err_set(err, S_VALIDATION, "line %zu is not `access-key secret-key`", number);
	caller = add_caller(k);
	caller->access_key = arena_dup(&k->arena, access_key);
	caller->secret = arena_dup(&k->arena, secret);
	make_root(k, caller, account);
	return S_OK;
}

static enum status
read_lines(struct auth_keys *k, struct slice text, const char *account, struct err *err)
{
	enum status s = S_OK;

	for (size_t number = 1; s == S_OK && text.len > 0; number++) {
		const char *end = memchr(text.data, '\n', text.len);
		struct slice line = slice_of(text.data, end != NULL ? (size_t)(end - text.data) : text.len);
		size_t taken = line.len + (end != NULL);

		s = read_line(k, line, number, account, err);
		text = slice_of(text.data + taken, text.len - taken);
	}
	return s;
}

/* ---- JSON ---- */

struct reader {
	struct json_reader json;
	struct auth_keys *k;
	const char *account;
	size_t key; /* being read, from 1; 0: none */
	struct err *err;
	bool told;
};

static void __attribute__((format(printf, 2, 3))) fail(struct reader *r, const char *format, ...)
{
	char text[1024], place[32] = "";
	va_list args;

	if (r->told)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (r->key > 0)
		snprintf(place, sizeof place, "key %zu: ", r->key);
	err_set(r->err, S_VALIDATION, "%s%s", place, text);
	r->told = true;
	json_fail(&r->json, "wrong");
}

static struct slice
read_string(struct reader *r, const char *name)
{
	struct slice text;

	if (json_peek(&r->json) != JSON_STRING) {
		json_skip(&r->json);
		if (!json_failed(&r->json))
			fail(r, "%s is not a string", name);
		return SLICE_NONE;
	}
	text = json_string(&r->json);
	if (!json_failed(&r->json) && text.len == 0)
		fail(r, "%s is empty", name);
	return arena_dup(&r->k->arena, text);
}

static struct policy *
read_policy(struct reader *r)
{
	struct slice text = json_raw(&r->json);
	struct auth_keys *k = r->k;
	struct policy *policy;
	struct err err;

	if (json_failed(&r->json))
		return NULL;
	if (policy_read(text, POLICY_IDENTITY, &policy, &err) != S_OK) {
		fail(r, "a policy is wrong: %s", err.message);
		return NULL;
	}
	k->policies = grow(k->policies, k->policy_count, &k->policy_room, sizeof *k->policies);
	k->policies[k->policy_count++] = policy;
	return policy;
}

/* {"name": document, ...} */
static void
read_named(struct reader *r)
{
	struct auth_keys *k = r->k;
	struct slice name;

	if (json_peek(&r->json) != JSON_OBJECT) {
		json_skip(&r->json);
		fail(r, "Policies is not an object of documents by name");
		return;
	}
	if (!json_enter_object(&r->json))
		return;
	while (json_next_member(&r->json, &name)) {
		for (size_t i = 0; i < k->named_count; i++)
			if (slice_eq(k->named[i].name, name))
				fail(r, "two policies are named %.*s", SLICE_ARG(name));
		if (json_failed(&r->json) || json_peek(&r->json) != JSON_OBJECT) {
			json_skip(&r->json);
			fail(r, "the policy %.*s is not a document", SLICE_ARG(name));
			return;
		}
		k->named = grow(k->named, k->named_count, &k->named_room, sizeof *k->named);
		k->named[k->named_count].name = arena_dup(&k->arena, name);
		k->named[k->named_count++].policy = read_policy(r);
	}
}

static struct policy *
find_named(struct reader *r, struct slice name)
{
	for (size_t i = 0; i < r->k->named_count; i++)
		if (slice_eq(r->k->named[i].name, name))
			return r->k->named[i].policy;
	fail(r, "there is no policy named %.*s in Policies", SLICE_ARG(name));
	return NULL;
}

/* [name or document, ...] of a key */
static void
read_key_policies(struct reader *r, struct auth_caller *caller)
{
	const struct policy **all = NULL;
	size_t count = 0, room = 0;

	caller->administrator = false;
	if (json_peek(&r->json) != JSON_ARRAY) {
		json_skip(&r->json);
		fail(r, "Policies is not a list");
		return;
	}
	if (json_enter_array(&r->json))
		while (json_next_element(&r->json)) {
			const struct policy *one = NULL;

			if (json_peek(&r->json) == JSON_STRING) {
				one = find_named(r, json_string(&r->json));
			} else if (json_peek(&r->json) == JSON_OBJECT) {
				one = read_policy(r);
			} else {
				json_skip(&r->json);
				fail(r, "Policies holds something that is neither a name nor a document");
			}
			if (one == NULL)
				break;
			all = grow(all, count, &room, sizeof *all);
			all[count++] = one;
			caller->context_keys |= policy_keys(one);
		}
	if (count > 0)
		caller->policies = memcpy(arena_alloc(&r->k->arena, count * sizeof *all), all, count * sizeof *all);
	caller->policy_count = (uint32_t)count;
	free(all);
}

static void
name_caller(struct reader *r, struct auth_caller *caller, struct slice user, struct slice arn)
{
	if (user.data != NULL && arn.data != NULL)
		fail(r, "UserName and Arn are given; one of them names the caller");
	if (user.data != NULL)
		arn = arena_printf(&r->k->arena, "arn:aws:iam::%s:user/%.*s", r->account, SLICE_ARG(user));
	if (arn.data == NULL && caller->administrator) {
		make_root(r->k, caller, r->account);
		return;
	}
	if (arn.data == NULL)
		fail(r, "a key with Policies needs a UserName or an Arn");
	else if (!policy_principal_read(arn, &r->k->arena, &caller->principal) ||
		 (caller->principal.name.len == 0 && caller->principal.role.len == 0 && !caller->principal.root))
		fail(r,
		     "%.*s is no caller: arn:aws:iam::ACCOUNT:user/NAME, arn:aws:iam::ACCOUNT:root or "
		     "arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION",
		     SLICE_ARG(arn));
}

static void
read_key(struct reader *r)
{
	struct auth_caller caller = {.administrator = true};
	struct slice name, user = SLICE_NONE, arn = SLICE_NONE;
	bool policies = false;
	const struct {
		const char *name;
		struct slice *text;
	} texts[] = {
	    {"AccessKeyId", &caller.access_key},
	    {"SecretAccessKey", &caller.secret},
	    {"SessionToken", &caller.session_token},
	    {"UserName", &user},
	    {"Arn", &arn},
	};

	if (json_peek(&r->json) != JSON_OBJECT) {
		json_skip(&r->json);
		fail(r, "is not an object");
		return;
	}
	if (!json_enter_object(&r->json))
		return;
	while (json_next_member(&r->json, &name)) {
		size_t i = 0;

		while (i < sizeof texts / sizeof *texts && !slice_eq(name, slice_str(texts[i].name)))
			i++;
		if (i < sizeof texts / sizeof *texts ? texts[i].text->data != NULL
						     : policies && slice_eq(name, SLICE("Policies")))
			fail(r, "%.*s is given twice", SLICE_ARG(name));
		if (i < sizeof texts / sizeof *texts) {
			*texts[i].text = read_string(r, texts[i].name);
		} else if (slice_eq(name, SLICE("Policies"))) {
			policies = true;
			read_key_policies(r, &caller);
		} else {
			json_skip(&r->json);
			fail(r, "%.*s is no member of a key", SLICE_ARG(name));
		}
	}
	if (json_failed(&r->json))
		return;
	if (caller.access_key.data == NULL || caller.secret.data == NULL)
		fail(r, "AccessKeyId and SecretAccessKey are needed");
	name_caller(r, &caller, user, arn);
	*add_caller(r->k) = caller;
}

static void
read_keys(struct reader *r)
{
	if (json_peek(&r->json) != JSON_ARRAY) {
		json_skip(&r->json);
		fail(r, "Keys is not a list");
		return;
	}
	if (json_enter_array(&r->json))
		for (r->key = 1; json_next_element(&r->json); r->key++)
			read_key(r);
	r->key = 0;
}

/* Keys may name policies that stand behind them: so there are two passes, each for one of the members. */
static enum status
read_json(struct auth_keys *k, struct slice text, const char *account, struct err *err)
{
	struct arena arena = {0};
	struct reader r = {.k = k, .account = account, .err = err};

	for (int pass = 0; pass < 2 && !r.told; pass++) {
		struct slice name;

		json_init(&r.json, text, &arena);
		if (json_enter_object(&r.json))
			while (json_next_member(&r.json, &name)) {
				bool keys = slice_eq(name, SLICE("Keys"));

				if (!keys && !slice_eq(name, SLICE("Policies")))
					fail(&r, "%.*s is neither Keys nor Policies", SLICE_ARG(name));
				if (keys == (pass == 1))
					(keys ? read_keys : read_named)(&r);
				else
					json_skip(&r.json);
			}
		json_end(&r.json);
		if (json_failed(&r.json) && !r.told) {
			size_t at = (size_t)(r.json.at - text.data), line = 1;

			for (size_t i = 0; i < at; i++)
				line += text.data[i] == '\n';
			err_set(err, S_VALIDATION, "line %zu: %s", line, r.json.failure);
			r.told = true;
		}
	}
	arena_done(&arena);
	return r.told ? S_VALIDATION : S_OK;
}

/* ---- the set ---- */

enum status
auth_keys_read(struct slice text, const char *account, struct auth_keys **ret, struct err *err)
{
	struct auth_keys *k = calloc(1, sizeof *k);
	size_t blank = 0;
	enum status s;

	*ret = NULL;
	if (k == NULL)
		abort();
	while (blank < text.len && strchr(" \t\r\n", text.data[blank]) != NULL)
		blank++;
	if (blank < text.len && text.data[blank] == '{')
		s = read_json(k, text, account, err);
	else
		s = read_lines(k, text, account, err);
	if (s == S_OK && k->count == 0)
		s = err_set(err, S_VALIDATION, "there are no credentials in it");
	if (s == S_OK)
		qsort(k->callers, k->count, sizeof *k->callers, caller_order);
	for (size_t i = 1; s == S_OK && i < k->count; i++)
		if (slice_eq(k->callers[i - 1].access_key, k->callers[i].access_key))
			s = err_set(err, S_VALIDATION, "the access key %.*s is there twice",
				    SLICE_ARG(k->callers[i].access_key));
	if (s == S_OK)
		*ret = k;
	else
		auth_keys_free(k);
	return s;
}

static void
wipe(struct slice text)
{
	if (text.data != NULL) /* it lies in our arena */
		explicit_bzero((char *)text.data, text.len);
}

void
auth_keys_free(struct auth_keys *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < k->count; i++) {
		wipe(k->callers[i].secret);
		wipe(k->callers[i].session_token);
	}
	for (size_t i = 0; i < k->policy_count; i++)
		policy_free(k->policies[i]);
	free(k->callers);
	free(k->policies);
	free(k->named);
	arena_done(&k->arena);
	free(k);
}

size_t
auth_keys_count(const struct auth_keys *k)
{
	return k->count;
}

const struct auth_caller *
auth_keys_find(const struct auth_keys *k, struct slice access_key)
{
	struct auth_caller key = {.access_key = access_key};

	return bsearch(&key, k->callers, k->count, sizeof key, caller_order);
}

bool
auth_token_matches(const struct auth_caller *caller, struct slice token)
{
	return token.len == caller->session_token.len &&
	       (token.len == 0 || crypto_equal(token.data, caller->session_token.data, token.len));
}
