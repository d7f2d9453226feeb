/* Policy documents: what they say of a request. */
#include "policy_fixture.h"

/* ---- asking ---- */

#define ALICE     "arn:aws:iam::123456789012:user/staff/alice"
#define STATEMENT "{'Version':'2012-10-17','Statement':[%s]}"

static struct policy_values context[POLICY_KEY_COUNT];
static struct slice context_items[POLICY_KEY_COUNT][8];
static const char *who = ALICE;

static void
clear(void)
{
	memset(context, 0, sizeof context);
	who = ALICE;
}

/* set(KEY, "a", "b", NULL) */
static void
set(enum policy_key key, ...)
{
	const char *text;
	va_list args;

	context[key] = (struct policy_values){.items = context_items[key]};
	va_start(args, key);
	while ((text = va_arg(args, const char *)) != NULL)
		context_items[key][context[key].count++] = slice_str(text);
	va_end(args);
}

static enum policy_answer
ask_document(enum policy_kind kind, const char *document, const char *action, const char *resource)
{
	struct policy *p = read_as(kind, document);
	struct policy_principal principal;
	struct policy_request request = {
	    .action = slice_str(action),
	    .resource = slice_str(resource),
	    .principal = &principal,
	    .context = context,
	    .arena = &arena,
	};
	enum policy_answer answer;

	assert_true(policy_principal_read(slice_str(who), &arena, &principal));
	answer = policy_ask(p, &request);
	policy_free(p);
	return answer;
}

/* One statement. */
static enum policy_answer
ask(const char *statement, const char *action, const char *resource)
{
	char text[4096];

	snprintf(text, sizeof text, STATEMENT, statement);
	return ask_document(POLICY_IDENTITY, text, action, resource);
}

/* Does the condition hold, in an Allow? */
static bool
holds(const char *condition)
{
	char text[2048];

	snprintf(text, sizeof text, "{'Effect':'Allow','Action':'*','Resource':'*','Condition':{%s}}", condition);
	return ask(text, "dynamodb:GetItem", "*") == POLICY_ALLOW;
}

/* And in a Deny? */
static bool
denies(const char *condition)
{
	char text[2048];

	snprintf(text, sizeof text, "{'Effect':'Deny','Action':'*','Resource':'*','Condition':{%s}}", condition);
	return ask(text, "dynamodb:GetItem", "*") == POLICY_DENY;
}

static void
actions_match_without_regard_to_case(void **state)
{
	static const struct {
		const char *action;
		bool matches;
	} rows[] = {
	    {"'dynamodb:GetItem'", true},
	    {"'DynamoDB:getitem'", true},
	    {"'dynamodb:Get*'", true},
	    {"'dynamodb:*Item'", true},
	    {"'dynamodb:?etItem'", true},
	    {"'*'", true},
	    {"['dynamodb:PutItem','dynamodb:GetItem']", true},
	    {"'dynamodb:GetItems'", false},
	    {"'dynamodb:GetIte'", false},
	    {"'dynamodb:Get?Item'", false},
	    {"'s3:*'", false},
	};
	char text[300];

	(void)state;
	clear();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(text, sizeof text, "{'Effect':'Allow','Action':%s,'Resource':'*'}", rows[i].action);
		if ((ask(text, "dynamodb:GetItem", "*") == POLICY_ALLOW) != rows[i].matches)
			fail_msg("Action %s", rows[i].action);
		snprintf(text, sizeof text, "{'Effect':'Allow','NotAction':%s,'Resource':'*'}", rows[i].action);
		if ((ask(text, "dynamodb:GetItem", "*") == POLICY_ALLOW) == rows[i].matches)
			fail_msg("NotAction %s", rows[i].action);
	}
}

static void
resources_match_by_bytes_and_wildcards(void **state)
{
	static const struct {
		const char *resource;
		bool matches;
	} rows[] = {
	    {"'" ARN "table/Music'", true},
	    {"'" ARN "table/*'", true},
	    {"'" ARN "table/M?sic'", true},
	    {"'arn:aws:dynamodb:*:*:table/Music'", true},
	    {"'arn:aws:dynamodb:*'", true},
	    {"'*'", true},
	    {"['" ARN "table/Other','" ARN "table/Music']", true},
	    {"'" ARN "table/music'", false},
	    {"'" ARN "table/Music/index/*'", false},
	    {"'" ARN "table/Musi'", false},
	    {"'" ARN "table/Music?'", false},
	};
	char text[300];

	(void)state;
	clear();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(text, sizeof text, "{'Effect':'Allow','Action':'*','Resource':%s}", rows[i].resource);
		if ((ask(text, "dynamodb:GetItem", ARN "table/Music") == POLICY_ALLOW) != rows[i].matches)
			fail_msg("Resource %s", rows[i].resource);
		snprintf(text, sizeof text, "{'Effect':'Allow','Action':'*','NotResource':%s}", rows[i].resource);
		if ((ask(text, "dynamodb:GetItem", ARN "table/Music") == POLICY_ALLOW) == rows[i].matches)
			fail_msg("NotResource %s", rows[i].resource);
	}
	assert_int_equal(
	    ask("{'Effect':'Allow','Action':'*','Resource':'arn:aws:dynamodb:*'}", "dynamodb:ListTables", "*"),
	    POLICY_SILENT);
}

static void
deny_wins_and_silence_is_no(void **state)
{
	(void)state;
	clear();
	assert_int_equal(
	    ask("{'Effect':'Allow','Action':'*','Resource':'*'},{'Effect':'Deny','Action':'dynamodb:GetItem',"
		"'Resource':'*'}",
		"dynamodb:GetItem", "*"),
	    POLICY_DENY);
	assert_int_equal(
	    ask("{'Effect':'Deny','Action':'dynamodb:PutItem','Resource':'*'},{'Effect':'Allow','Action':'*',"
		"'Resource':'*'}",
		"dynamodb:GetItem", "*"),
	    POLICY_ALLOW);
	assert_int_equal(ask("{'Effect':'Allow','Action':'dynamodb:PutItem','Resource':'*'}", "dynamodb:GetItem", "*"),
			 POLICY_SILENT);
}

static void
strings_compare(void **state)
{
	(void)state;
	clear();
	set(POLICY_KEY_SELECT, "COUNT", NULL);
	assert_true(holds("'StringEquals':{'dynamodb:Select':'COUNT'}"));
	assert_true(holds("'StringEquals':{'DynamoDB:select':['X','COUNT']}"));
	assert_false(holds("'StringEquals':{'dynamodb:Select':'count'}"));
	assert_false(holds("'StringEquals':{'dynamodb:Select':'COU*'}"));
	assert_true(holds("'StringEqualsIgnoreCase':{'dynamodb:Select':'count'}"));
	assert_true(holds("'StringLike':{'dynamodb:Select':'C?U*'}"));
	assert_false(holds("'StringLike':{'dynamodb:Select':'C?U'}"));
	assert_true(holds("'StringNotEquals':{'dynamodb:Select':['X','Y']}"));
	assert_false(holds("'StringNotEquals':{'dynamodb:Select':['X','COUNT']}"));
	assert_false(holds("'StringNotEqualsIgnoreCase':{'dynamodb:Select':'count'}"));
	assert_false(holds("'StringNotLike':{'dynamodb:Select':'C*'}"));
	assert_true(holds("'StringNotLike':{'dynamodb:Select':'D*'}"));
	/* several keys and operators must all hold */
	set(POLICY_KEY_RETURN_VALUES, "NONE", NULL);
	assert_true(holds("'StringEquals':{'dynamodb:Select':'COUNT','dynamodb:ReturnValues':'NONE'}"));
	assert_false(holds("'StringEquals':{'dynamodb:Select':'COUNT','dynamodb:ReturnValues':'ALL_OLD'}"));
	assert_false(
	    holds("'StringEquals':{'dynamodb:Select':'COUNT'},'StringNotEquals':{'dynamodb:ReturnValues':'NONE'}"));
}

static void
absent_keys_follow_iam(void **state)
{
	(void)state;
	clear();
	assert_false(holds("'StringEquals':{'dynamodb:Select':'COUNT'}"));
	assert_true(holds("'StringNotEquals':{'dynamodb:Select':'COUNT'}"));
	assert_true(holds("'StringEqualsIfExists':{'dynamodb:Select':'COUNT'}"));
	assert_true(holds("'ForAllValues:StringEquals':{'dynamodb:LeadingKeys':'a'}"));
	assert_false(holds("'ForAnyValue:StringEquals':{'dynamodb:LeadingKeys':'a'}"));
	assert_true(holds("'Null':{'dynamodb:Select':'true'}"));
	assert_false(holds("'Null':{'dynamodb:Select':'false'}"));
	assert_false(holds("'IpAddress':{'aws:SourceIp':'0.0.0.0/0'}"));
	assert_true(holds("'NotIpAddress':{'aws:SourceIp':'10.0.0.0/8'}"));
	assert_false(holds("'StringEquals':{'aws:SourceVpce':'vpce-1'}"));
	assert_true(holds("'Null':{'aws:MultiFactorAuthPresent':true}"));
	set(POLICY_KEY_SELECT, "COUNT", NULL);
	assert_false(holds("'StringEqualsIfExists':{'dynamodb:Select':'X'}"));
	assert_true(holds("'Null':{'dynamodb:Select':false}"));
}

static void
quantifiers_look_at_each_value(void **state)
{
	(void)state;
	clear();
	set(POLICY_KEY_LEADING_KEYS, "a", "b", NULL);
	assert_true(holds("'ForAllValues:StringEquals':{'dynamodb:LeadingKeys':['a','b','c']}"));
	assert_false(holds("'ForAllValues:StringEquals':{'dynamodb:LeadingKeys':'a'}"));
	assert_true(holds("'ForAnyValue:StringEquals':{'dynamodb:LeadingKeys':'a'}"));
	assert_false(holds("'ForAnyValue:StringEquals':{'dynamodb:LeadingKeys':'c'}"));
	assert_true(holds("'ForAllValues:StringNotEquals':{'dynamodb:LeadingKeys':'c'}"));
	assert_false(holds("'ForAllValues:StringNotEquals':{'dynamodb:LeadingKeys':'a'}"));
	assert_true(holds("'ForAnyValue:StringNotEquals':{'dynamodb:LeadingKeys':'a'}"));
	assert_true(holds("'ForAllValues:StringLike':{'dynamodb:LeadingKeys':'?'}"));
	/* without one: all for an Allow, one for a Deny */
	assert_true(holds("'StringEquals':{'dynamodb:LeadingKeys':['a','b']}"));
	assert_false(holds("'StringEquals':{'dynamodb:LeadingKeys':'a'}"));
	assert_true(denies("'StringEquals':{'dynamodb:LeadingKeys':'a'}"));
	assert_false(denies("'StringEquals':{'dynamodb:LeadingKeys':'c'}"));
}

static void
what_cannot_be_told_denies(void **state)
{
	static const char *const conditions[] = {
	    "'ForAllValues:StringEquals':{'dynamodb:LeadingKeys':'a'}",
	    "'ForAllValues:StringNotEquals':{'dynamodb:LeadingKeys':'a'}",
	    "'ForAnyValue:StringLike':{'dynamodb:LeadingKeys':'*'}",
	    "'StringEqualsIfExists':{'dynamodb:LeadingKeys':'a'}",
	    "'StringNotEquals':{'dynamodb:LeadingKeys':'a'}",
	};

	(void)state;
	clear();
	context[POLICY_KEY_LEADING_KEYS].unknown = true;
	for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
		assert_false(holds(conditions[i]));
		assert_true(denies(conditions[i]));
	}
	assert_true(holds("'Null':{'dynamodb:LeadingKeys':'false'}"));
}

static void
numbers_and_dates_compare_by_value(void **state)
{
	(void)state;
	clear();
	set(POLICY_KEY_EPOCH_TIME, "1700000000", NULL);
	set(POLICY_KEY_CURRENT_TIME, "2023-11-14T22:13:20.000Z", NULL);
	assert_true(holds("'NumericEquals':{'aws:EpochTime':'1.7e9'}"));
	assert_true(holds("'NumericGreaterThanEquals':{'aws:EpochTime':1700000000}"));
	assert_false(holds("'NumericGreaterThan':{'aws:EpochTime':1700000000}"));
	assert_true(holds("'NumericLessThan':{'aws:EpochTime':'1700000001'}"));
	assert_true(holds("'NumericLessThanEquals':{'aws:EpochTime':'1700000000'}"));
	assert_true(holds("'NumericNotEquals':{'aws:EpochTime':'1'}"));
	assert_true(holds("'DateEquals':{'aws:CurrentTime':'2023-11-14T22:13:20Z'}"));
	assert_true(holds("'DateEquals':{'aws:CurrentTime':'2023-11-14T23:13:20+01:00'}"));
	assert_true(holds("'DateEquals':{'aws:CurrentTime':'1700000000'}"));
	assert_true(holds("'DateGreaterThan':{'aws:CurrentTime':'2023-11-14'}"));
	assert_true(holds("'DateLessThan':{'aws:CurrentTime':'2023-11-15'}"));
	assert_false(holds("'DateLessThan':{'aws:CurrentTime':'2023'}"));
	assert_true(holds("'DateGreaterThanEquals':{'aws:EpochTime':'2023-11-14T22:13:20Z'}"));
	assert_true(holds("'DateLessThanEquals':{'aws:CurrentTime':'2024-02-29T00:00Z'}"));
	assert_true(holds("'DateNotEquals':{'aws:CurrentTime':'2023-11-14'}"));
}

static void
addresses_lie_in_ranges(void **state)
{
	(void)state;
	clear();
	set(POLICY_KEY_SOURCE_IP, "10.1.2.3", NULL);
	assert_true(holds("'IpAddress':{'aws:SourceIp':'10.1.2.3'}"));
	assert_true(holds("'IpAddress':{'aws:SourceIp':['192.168.0.0/16','10.0.0.0/8']}"));
	assert_true(holds("'IpAddress':{'aws:SourceIp':'10.1.2.0/30'}"));
	assert_false(holds("'IpAddress':{'aws:SourceIp':'10.1.2.4/30'}"));
	assert_true(holds("'IpAddress':{'aws:SourceIp':'0.0.0.0/0'}"));
	assert_false(holds("'IpAddress':{'aws:SourceIp':'::/0'}"));
	assert_false(holds("'NotIpAddress':{'aws:SourceIp':'10.0.0.0/8'}"));
	set(POLICY_KEY_SOURCE_IP, "2001:db8::1", NULL);
	assert_true(holds("'IpAddress':{'aws:SourceIp':'2001:db8::/32'}"));
	assert_false(holds("'IpAddress':{'aws:SourceIp':'2001:db9::/32'}"));
	set(POLICY_KEY_SOURCE_IP, "::ffff:10.1.2.3", NULL);
	assert_true(holds("'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}"));
}

static void
booleans_and_arns_compare(void **state)
{
	(void)state;
	clear();
	set(POLICY_KEY_SECURE_TRANSPORT, "false", NULL);
	assert_true(holds("'Bool':{'aws:SecureTransport':'false'}"));
	assert_true(holds("'Bool':{'aws:SecureTransport':false}"));
	assert_false(holds("'Bool':{'aws:SecureTransport':'True'}"));
	set(POLICY_KEY_PRINCIPAL_ARN, ALICE, NULL);
	assert_true(holds("'ArnEquals':{'aws:PrincipalArn':'" ALICE "'}"));
	assert_true(holds("'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::*:user/*'}"));
	assert_true(holds("'ArnEquals':{'aws:PrincipalArn':'arn:aws:iam::123456789012:user/*'}"));
	assert_false(holds("'ArnLike':{'aws:PrincipalArn':'arn:aws:*:user/*'}")); /* part by part */
	assert_false(holds("'ArnNotLike':{'aws:PrincipalArn':'arn:aws:iam::*:user/staff/?li?e'}"));
	assert_true(holds("'ArnNotEquals':{'aws:PrincipalArn':'arn:aws:iam::123456789012:user/bob'}"));
	assert_true(holds("'StringLike':{'aws:PrincipalArn':'arn:aws:*:user/*'}"));
}

static void
variables_take_the_callers_values(void **state)
{
	(void)state;
	clear();
	set(POLICY_KEY_USER_NAME, "ali*ce", NULL);
	set(POLICY_KEY_LEADING_KEYS, "ali*ce", NULL);
	assert_true(holds("'ForAllValues:StringEquals':{'dynamodb:LeadingKeys':'${aws:username}'}"));
	assert_true(holds("'ForAllValues:StringLike':{'dynamodb:LeadingKeys':'${aws:username}'}"));
	set(POLICY_KEY_LEADING_KEYS, "aliXce", NULL); /* the value's own * means itself */
	assert_false(holds("'ForAllValues:StringLike':{'dynamodb:LeadingKeys':'${aws:username}'}"));
	set(POLICY_KEY_LEADING_KEYS, "ali*ce-7", NULL);
	assert_true(holds("'ForAllValues:StringLike':{'dynamodb:LeadingKeys':'${aws:username}-?'}"));
	set(POLICY_KEY_LEADING_KEYS, "a*?$", NULL);
	assert_true(holds("'ForAllValues:StringLike':{'dynamodb:LeadingKeys':'?${*}${?}${$}'}"));
	assert_int_equal(ask("{'Effect':'Allow','Action':'*','Resource':'" ARN "table/${aws:username}'}",
			     "dynamodb:GetItem", ARN "table/ali*ce"),
			 POLICY_ALLOW);
	/* no value: doubt */
	clear();
	set(POLICY_KEY_LEADING_KEYS, "anonymous", NULL);
	assert_false(holds("'ForAllValues:StringEquals':{'dynamodb:LeadingKeys':'${aws:username}'}"));
	assert_false(holds("'ForAllValues:StringNotEquals':{'dynamodb:LeadingKeys':'${aws:username}'}"));
	assert_true(denies("'ForAllValues:StringEquals':{'dynamodb:LeadingKeys':'${aws:username}'}"));
	assert_int_equal(ask("{'Effect':'Allow','Action':'*','NotResource':'" ARN "table/${aws:username}'}",
			     "dynamodb:GetItem", ARN "table/Music"),
			 POLICY_SILENT);
	/* the older version knows none */
	set(POLICY_KEY_LEADING_KEYS, "${aws:username}", NULL);
	assert_int_equal(
	    ask_document(
		POLICY_IDENTITY,
		"{'Version':'2008-10-17','Statement':{'Effect':'Allow','Action':'*','Resource':'*','Condition':{"
		"'ForAllValues:StringEquals':{'dynamodb:LeadingKeys':'${aws:username}'}}}}",
		"dynamodb:GetItem", "*"),
	    POLICY_ALLOW);
}

static void
a_fallback_stands_in_for_a_missing_value(void **state)
{
	struct policy *p;
	struct err err;

	(void)state;
	clear();
	set(POLICY_KEY_LEADING_KEYS, "anonymous", NULL);
	assert_int_equal(
	    policy_read(SLICE("{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\","
			      "\"Resource\":\"*\",\"Condition\":{\"ForAllValues:StringEquals\":{"
			      "\"dynamodb:LeadingKeys\":\"${aws:username, 'anonymous'}\"}}}}"),
			POLICY_IDENTITY, &p, &err),
	    S_OK);
	{
		struct policy_principal principal;
		struct policy_request request = {SLICE("dynamodb:GetItem"), SLICE("*"), &principal, context, &arena};

		assert_true(policy_principal_read(SLICE(ALICE), &arena, &principal));
		assert_int_equal(policy_ask(p, &request), POLICY_ALLOW);
		set(POLICY_KEY_USER_NAME, "alice", NULL);
		assert_int_equal(policy_ask(p, &request), POLICY_SILENT);
	}
	policy_free(p);
}

static void
wildcards_match_in_any_place(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} rows[] = {
	    {"*", "", true},
	    {"**", "", true},
	    {"?", "", false},
	    {"a*b*c", "axxbyyc", true},
	    {"a*b*c", "axxbyy", false},
	    {"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	    {"*ab", "aab", true},
	    {"*?", "x", true},
	    {"??", "\xc3\xa4x", true}, /* a character, not a byte */
	    {"???", "\xc3\xa4x", false},
	    {"a*", "a", true},
	    {"*b*", "abc", true},
	    {"a?c*e", "abcde", true},
	};
	char text[200];

	(void)state;
	clear();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		set(POLICY_KEY_SELECT, rows[i].text, NULL);
		snprintf(text, sizeof text, "'StringLike':{'dynamodb:Select':'%s'}", rows[i].pattern);
		if (holds(text) != rows[i].matches)
			fail_msg("%s ~ %s", rows[i].text, rows[i].pattern);
	}
}

/* ---- principals ---- */

static enum policy_answer
ask_as(const char *caller, const char *effect, const char *principal)
{
	char text[1024];

	snprintf(text, sizeof text,
		 "{'Version':'2012-10-17','Statement':[{'Effect':'%s',%s,'Action':'dynamodb:*','Resource':'*'}]}",
		 effect, principal);
	who = caller;
	return ask_document(POLICY_TABLE, text, "dynamodb:GetItem", ARN "table/Music");
}

#define SESSION "arn:aws:sts::123456789012:assumed-role/ops/bob"
#define ROLE    "arn:aws:iam::123456789012:role/ops"

static void
principals_are_named_exactly(void **state)
{
	(void)state;
	clear();
	assert_int_equal(ask_as(ALICE, "Allow", "'Principal':{'AWS':'" ALICE "'}"), POLICY_ALLOW);
	assert_int_equal(ask_as(ALICE, "Allow", "'Principal':{'AWS':['" ROLE "','" ALICE "']}"), POLICY_ALLOW);
	assert_int_equal(ask_as(ALICE, "Allow", "'Principal':{'AWS':'" ROLE "'}"), POLICY_SILENT);
	assert_int_equal(ask_as(ALICE, "Allow", "'Principal':{'AWS':'*'}"), POLICY_ALLOW);
	assert_int_equal(ask_as(ALICE, "Allow", "'Principal':'*'"), POLICY_ALLOW);
	assert_int_equal(ask_as(ALICE, "Allow", "'Principal':{'Service':'dynamodb.amazonaws.com'}"), POLICY_SILENT);
	assert_int_equal(ask_as(SESSION, "Allow", "'Principal':{'AWS':'" ROLE "'}"), POLICY_ALLOW);
	assert_int_equal(ask_as(SESSION, "Allow", "'Principal':{'AWS':'" SESSION "'}"), POLICY_ALLOW);
	assert_int_equal(ask_as(SESSION, "Deny", "'Principal':{'AWS':'" ROLE "'}"), POLICY_DENY);
}

static void
an_account_leaves_it_to_its_own_policies(void **state)
{
	(void)state;
	clear();
	assert_int_equal(ask_as(ALICE, "Allow", "'Principal':{'AWS':'123456789012'}"), POLICY_DELEGATE);
	assert_int_equal(ask_as(ALICE, "Allow", "'Principal':{'AWS':'" ROOT "'}"), POLICY_DELEGATE);
	assert_int_equal(ask_as(ROOT, "Allow", "'Principal':{'AWS':'" ROOT "'}"), POLICY_ALLOW);
	assert_int_equal(ask_as(ALICE, "Deny", "'Principal':{'AWS':'123456789012'}"), POLICY_DENY);
	assert_int_equal(ask_as(ALICE, "Allow", "'Principal':{'AWS':'210987654321'}"), POLICY_SILENT);
	/* spared is who is named itself */
	assert_int_equal(ask_as(ALICE, "Deny", "'NotPrincipal':{'AWS':'" ALICE "'}"), POLICY_SILENT);
	assert_int_equal(ask_as(ALICE, "Deny", "'NotPrincipal':{'AWS':'" ROOT "'}"), POLICY_DENY);
	assert_int_equal(ask_as(SESSION, "Deny", "'NotPrincipal':{'AWS':['" ROOT "','" ALICE "']}"), POLICY_DENY);
}

static void
principal_arns_have_a_form(void **state)
{
	static const char *const good[] = {
	    ALICE, ROOT, SESSION, ROLE, "arn:aws:iam::123456789012:user/a", "arn:aws:iam::123456789012:role/path/to/r",
	};
	static const char *const bad[] = {
	    "",
	    "alice",
	    "arn:aws:iam::12345678901:root",
	    "arn:aws:iam::12345678901x:root",
	    "arn:aws:iam::123456789012:",
	    "arn:aws:iam::123456789012:user/",
	    "arn:aws:iam::123456789012:user/*",
	    "arn:aws:iam::123456789012:group/g",
	    "arn:aws:sts::123456789012:assumed-role/ops",
	    "arn:aws:sts::123456789012:assumed-role/ops/",
	    "arn:aws:s3::123456789012:root",
	};
	struct policy_principal p;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!policy_principal_read(slice_str(good[i]), &arena, &p))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (policy_principal_read(slice_str(bad[i]), &arena, &p))
			fail_msg("%s", bad[i]);
	assert_true(policy_principal_read(slice_str(ALICE), &arena, &p));
	assert_true(slice_eq(p.name, SLICE("alice")));
	assert_true(policy_principal_read(slice_str(SESSION), &arena, &p));
	assert_true(slice_eq(p.role, SLICE(ROLE)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(actions_match_without_regard_to_case),
	    cmocka_unit_test(resources_match_by_bytes_and_wildcards),
	    cmocka_unit_test(deny_wins_and_silence_is_no),
	    cmocka_unit_test(strings_compare),
	    cmocka_unit_test(absent_keys_follow_iam),
	    cmocka_unit_test(quantifiers_look_at_each_value),
	    cmocka_unit_test(what_cannot_be_told_denies),
	    cmocka_unit_test(numbers_and_dates_compare_by_value),
	    cmocka_unit_test(addresses_lie_in_ranges),
	    cmocka_unit_test(booleans_and_arns_compare),
	    cmocka_unit_test(variables_take_the_callers_values),
	    cmocka_unit_test(a_fallback_stands_in_for_a_missing_value),
	    cmocka_unit_test(principals_are_named_exactly),
	    cmocka_unit_test(an_account_leaves_it_to_its_own_policies),
	    cmocka_unit_test(principal_arns_have_a_form),
	    cmocka_unit_test(wildcards_match_in_any_place),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
