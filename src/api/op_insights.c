/* UpdateContributorInsights, DescribeContributorInsights, ListContributorInsights. */
#include "api/op_int.h"
#include "codec/base64.h"
#include "table/insights.h"

#define PAGE_MAX 100 /* and as many when the request does not say */

#define RULE_NAME_MAX 128 /* characters */
#define RULE_PREFIX   "DynamoDBContributorInsights-"
#define RULE_FIXED    (sizeof RULE_PREFIX - 1 + sizeof "PKC-" - 1 + sizeof "-1234567890123" - 1)

struct insights_in {
	struct slice table_name, index_name, next_token;
	struct in_enum action, mode;
	struct in_long max_results;
};

static const char *const actions[] = {"ENABLE", "DISABLE", NULL};
enum { ACTION_ENABLE = 1 };
/* In the order of the service's message. */
static const char *const modes[] = {"THROTTLED_KEYS", "ACCESSED_AND_THROTTLED_KEYS", NULL};
enum { MODE_THROTTLED = 1 }; /* in a request, from 1 */

#define INSIGHTS(member, name, type, flags, ...) FIELD(struct insights_in, member, name, type, flags, __VA_ARGS__)
#define INSIGHTS_TABLE                           INSIGHTS(table_name, "TableName", SHAPE_TABLE, FIELD_PARAMETER)
#define INSIGHTS_INDEX                           INSIGHTS(index_name, "IndexName", SHAPE_STRING, FIELD_NAME, LIMITS(3, 255))

static const struct field update_fields[] = {
    INSIGHTS_TABLE,
    INSIGHTS_INDEX,
    INSIGHTS(action, "ContributorInsightsAction", SHAPE_ENUM, FIELD_REQUIRED, .values = actions),
    INSIGHTS(mode, "ContributorInsightsMode", SHAPE_ENUM, 0, .values = modes),
    FIELD_END,
};
static const struct field describe_fields[] = {INSIGHTS_TABLE, INSIGHTS_INDEX, FIELD_END};
static const struct field list_fields[] = {
    INSIGHTS(table_name, "TableName", SHAPE_TABLE, 0),
    INSIGHTS(next_token, "NextToken", SHAPE_STRING, 0),
    INSIGHTS(max_results, "MaxResults", SHAPE_INT, 0, LIMITS(1, PAGE_MAX)),
    FIELD_END,
};
const struct shape shape_update_insights = {"UpdateContributorInsightsInput", sizeof(struct insights_in),
					    update_fields};
const struct shape shape_describe_insights = {"DescribeContributorInsightsInput", sizeof(struct insights_in),
					      describe_fields};
const struct shape shape_list_insights = {"ListContributorInsightsInput", sizeof(struct insights_in), list_fields};

/* ---- replies ---- */

static void
put_text(struct buf *out, const char *name, struct slice text)
{
	buf_printf(out, ",\"%s\":", name);
	json_put_string(out, text);
}

static void
put_names(struct buf *out, struct slice table, struct slice index)
{
	buf_put_lit(out, "{\"TableName\":");
	json_put_string(out, table);
	if (index.len > 0)
		put_text(out, "IndexName", index);
}

static void
put_status(struct buf *out, const struct table_insights *x)
{
	static const char *const names[] = {
	    [INSIGHTS_DISABLED] = "DISABLED",   [INSIGHTS_ENABLING] = "ENABLING", [INSIGHTS_ENABLED] = "ENABLED",
	    [INSIGHTS_DISABLING] = "DISABLING", [INSIGHTS_FAILED] = "FAILED",
	};

	put_text(out, "ContributorInsightsStatus", slice_str(names[x->status]));
}

static void
put_mode(struct buf *out, const struct table_insights *x)
{
	if (x->changed_ms != 0) /* never asked for: it has none */
		put_text(out, "ContributorInsightsMode", slice_str(modes[x->throttled_only ? 0 : 1]));
}

/* In the service's order. A long resource's name is cut off, for a rule's name has a limit. */
static void
put_rules(struct buf *out, struct arena *arena, struct slice table, struct slice index, const struct table_insights *x)
{
	static const struct {
		const char *name;
		bool accessed, sort;
	} rules[] = {{"PKC", true, false}, {"SKC", true, true}, {"PKT", false, false}, {"SKT", false, true}};
	struct slice resource = table;
	const char *between = "";

	if (index.len > 0)
		resource = arena_printf(arena, "%.*s-%.*s", SLICE_ARG(table), SLICE_ARG(index));
	if (resource.len > RULE_NAME_MAX - RULE_FIXED)
		resource.len = RULE_NAME_MAX - RULE_FIXED;
	buf_put_lit(out, ",\"ContributorInsightsRuleList\":[");
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		if ((rules[i].accessed && x->throttled_only) || (rules[i].sort && !x->has_sort))
			continue;
		buf_printf(out, "%s\"" RULE_PREFIX "%s-%.*s-%lld\"", between, rules[i].name, SLICE_ARG(resource),
			   (long long)x->rules_ms);
		between = ",";
	}
	buf_put_byte(out, ']');
}

/* ---- the operations ---- */

enum status
op_update_insights(struct op_call *call, const void *input, struct err *err)
{
	const struct insights_in *in = input;
	struct table_insights now;
	struct slice table;
	enum status s = request_table_name(call, in->table_name, &table, err);

	if (s == S_OK)
		s = table_insights_set(call->db, table, in->index_name, in->action.value == ACTION_ENABLE,
				       in->mode.value == MODE_THROTTLED, &now, err);
	if (s != S_OK)
		return s;
	put_names(call->out, table, in->index_name);
	put_status(call->out, &now);
	put_mode(call->out, &now);
	buf_put_byte(call->out, '}');
	return S_OK;
}

enum status
op_describe_insights(struct op_call *call, const void *input, struct err *err)
{
	const struct insights_in *in = input;
	struct buf *out = call->out;
	struct table_insights now;
	struct slice table;
	enum status s = request_table_name(call, in->table_name, &table, err);

	if (s == S_OK)
		s = table_insights_get(call->db, table, in->index_name, &now, err);
	if (s != S_OK)
		return s;
	put_names(out, table, in->index_name);
	if (now.rules_ms != 0)
		put_rules(out, call->arena, table, in->index_name, &now);
	put_status(out, &now);
	if (now.changed_ms != 0)
		buf_printf(out, ",\"LastUpdateDateTime\":%lld.%03d", (long long)(now.changed_ms / 1000),
			   (int)(now.changed_ms % 1000));
	if (now.failed)
		buf_put_lit(out, ",\"FailureException\":{\"ExceptionName\":\"LimitExceededException\","
				 "\"ExceptionDescription\":\"" MSG_INSIGHTS_RULES "\"}");
	put_mode(out, &now);
	buf_put_byte(out, '}');
	return S_OK;
}

/* The token names the last entry told, "table" or "table/index": names have no slash. It reaches nothing that the
 * operation would not tell anyway, so it needs no seal. */
static enum status
read_token(const struct insights_in *in, struct slice name, struct arena *arena, struct slice *ret_table,
	   struct slice *ret_index, struct err *err)
{
	struct slice text;
	const char *slash;

	*ret_table = *ret_index = SLICE_NONE;
	if (in->next_token.data == NULL)
		return S_OK;
	if (!base64_read(in->next_token, arena, &text))
		return err_set(err, S_VALIDATION, MSG_NEXT_TOKEN);
	*ret_table = text;
	slash = text.len > 0 ? memchr(text.data, '/', text.len) : NULL;
	if (slash != NULL) {
		ret_table->len = (size_t)(slash - text.data);
		*ret_index = slice_of(slash + 1, text.len - ret_table->len - 1);
	}
	if (!shape_is_name(*ret_table) || ret_table->len < 3 || ret_table->len > 255 ||
	    (slash != NULL && !shape_is_name(*ret_index)) || (name.len > 0 && !slice_eq(name, *ret_table)))
		return err_set(err, S_VALIDATION, MSG_NEXT_TOKEN);
	return S_OK;
}

static void
put_token(struct buf *out, struct arena *arena, const struct table_insights_entry *last)
{
	struct slice place = last->table;

	if (last->index.len > 0)
		place = arena_printf(arena, "%.*s/%.*s", SLICE_ARG(last->table), SLICE_ARG(last->index));
	buf_put_lit(out, ",\"NextToken\":\"");
	base64_put(out, place);
	buf_put_byte(out, '"');
}

enum status
op_list_insights(struct op_call *call, const void *input, struct err *err)
{
	const struct insights_in *in = input;
	struct slice name = SLICE_NONE, after_table, after_index;
	struct table_insights_entry *entries;
	struct buf *out = call->out;
	size_t count;
	bool more;
	enum status s = S_OK;

	if (in->table_name.data != NULL)
		s = request_table_name(call, in->table_name, &name, err);
	if (s == S_OK)
		s = read_token(in, name, call->arena, &after_table, &after_index, err);
	if (s == S_OK)
		s = table_insights_list(call->db, name, after_table, after_index,
					in->max_results.set ? (size_t)in->max_results.value : PAGE_MAX, call->arena,
					&entries, &count, &more, err);
	if (s != S_OK)
		return s;
	buf_put_lit(out, "{\"ContributorInsightsSummaries\":[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_put_byte(out, ',');
		put_names(out, entries[i].table, entries[i].index);
		put_status(out, &entries[i].insights);
		put_mode(out, &entries[i].insights);
		buf_put_byte(out, '}');
	}
	buf_put_byte(out, ']');
	if (more)
		put_token(out, call->arena, &entries[count - 1]);
	buf_put_byte(out, '}');
	return S_OK;
}
