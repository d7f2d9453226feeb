/* ExpressionAttributeNames and ExpressionAttributeValues by themselves. */
#include "base/wording.h"
#include "expr/expr_int.h"

#define PLACEHOLDER_MAX 255 /* bytes, with its # or : */

enum status
expr_params_check_given(const struct expr_params *params, bool any_expression, const char *null_expressions,
			struct err *err)
{
	if (params->has_names && !any_expression)
		return err_set(err, S_VALIDATION,
			       "ExpressionAttributeNames can only be specified when using expressions");
	if (params->has_values && null_expressions != NULL)
		return err_set(err, S_VALIDATION,
			       "ExpressionAttributeValues can only be specified when using expressions%s%s",
			       null_expressions[0] != '\0' ? ": " : "", null_expressions);
	return S_OK;
}

static bool
is_placeholder(struct slice key, char mark)
{
	if (key.len < 2 || key.data[0] != mark)
		return false;
	for (size_t i = 1; i < key.len; i++) {
		char c = key.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
			return false;
	}
	return true;
}

static enum status
check_key(const char *member, struct slice key, char mark, struct err *err)
{
	if (!is_placeholder(key, mark))
		return err_set(err, S_VALIDATION, "%s contains invalid key: Syntax error; key: \"%.*s\"", member,
			       SLICE_ARG(key));
	if (key.len > PLACEHOLDER_MAX)
		return err_set(err, S_VALIDATION,
			       "%s contains invalid key: The expression attribute map contains a key that is too long; "
			       "key: \"%.*s\"",
			       member, SLICE_ARG(key));
	return S_OK;
}

static enum status
check_names(const struct expr_params *params, size_t *bytes, struct err *err)
{
	enum status s;

	if (params->has_names && params->name_count == 0)
		return err_set(err, S_VALIDATION, "ExpressionAttributeNames must not be empty");
	for (size_t i = 0; i < params->name_count; i++) {
		s = check_key("ExpressionAttributeNames", params->names[i].placeholder, '#', err);
		if (s != S_OK)
			return s;
	}
	for (size_t i = 0; i < params->name_count; i++) {
		const struct expr_name *n = &params->names[i];

		if (n->name.len == 0)
			return err_set(
			    err, S_VALIDATION,
			    "ExpressionAttributeNames contains invalid value: Empty attribute name for key %.*s",
			    SLICE_ARG(n->placeholder));
		if (n->name.len > ATTR_NAME_MAX)
			return err_set(
			    err, S_VALIDATION,
			    "Member must have length less than or equal to %d, Member must have length greater than or "
			    "equal to 0",
			    ATTR_NAME_MAX);
		*bytes += n->placeholder.len + n->name.len;
	}
	return S_OK;
}

static enum status
check_values(const struct expr_params *params, size_t *bytes, struct err *err)
{
	enum status s;

	if (params->has_values && params->value_count == 0)
		return err_set(err, S_VALIDATION, "ExpressionAttributeValues must not be empty");
	for (size_t i = 0; i < params->value_count; i++) {
		s = check_key("ExpressionAttributeValues", params->values[i].placeholder, ':', err);
		if (s != S_OK)
			return s;
	}
	for (size_t i = 0; i < params->value_count; i++) {
		const struct expr_value *v = &params->values[i];

		if (!av_exists(v->value))
			return err_set(err, S_VALIDATION, wording(W_VALUE_FOR_KEY), SLICE_ARG(v->invalid),
				       SLICE_ARG(v->placeholder));
		*bytes += v->placeholder.len + v->value.len;
	}
	return S_OK;
}

enum status
expr_params_check(const struct expr_params *params, bool any_expression, struct err *err)
{
	size_t bytes = 0;
	enum status s = expr_params_check_given(params, any_expression, any_expression ? NULL : "", err);

	if (s == S_OK)
		s = check_names(params, &bytes, err);
	if (s == S_OK)
		s = check_values(params, &bytes, err);
	if (s == S_OK && bytes > EXPR_SUBSTITUTES_MAX_BYTES)
		s = err_set(err, S_VALIDATION,
			    "Expression attribute names and values have exceeded the maximum allowed size; size: %zu",
			    bytes);
	return s;
}

/* The first kilobytes of a long list will do: err_set() cuts the rest. */
static void
list_key(struct buf *list, struct slice key)
{
	if (list->len > ERR_MESSAGE_MAX)
		return;
	if (list->len > 0)
		buf_put_lit(list, ", ");
	buf_put_slice(list, key);
}

static enum status
fail_unused(const char *member, struct buf *list, struct err *err)
{
	enum status s = S_OK;

	if (list->len > 0)
		s = err_set(err, S_VALIDATION, "Value provided in %s unused in expressions: keys: {%.*s}", member,
			    SLICE_ARG(*list));
	scratch_give(list);
	return s;
}

enum status
expr_params_check_unused(const struct expr_params *params, struct err *err)
{
	struct buf *list = scratch_take();
	enum status s;

	for (size_t i = 0; i < params->name_count; i++)
		if (!params->names[i].used)
			list_key(list, params->names[i].placeholder);
	s = fail_unused("ExpressionAttributeNames", list, err);
	if (s != S_OK)
		return s;
	list = scratch_take();
	for (size_t i = 0; i < params->value_count; i++)
		if (!params->values[i].used)
			list_key(list, params->values[i].placeholder);
	return fail_unused("ExpressionAttributeValues", list, err);
}
