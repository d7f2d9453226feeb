/* Policy documents: which are refused, and in what words, what is told of one, and how it is written back. */
#include "policy_fixture.h"

static void
refused(enum policy_kind kind, const char *text, const char *message)
{
	struct policy *p;
	struct err err = {0};

	if (policy_read(quoted(text), kind, &p, &err) == S_OK)
		fail_msg("%s was taken", text);
	if (strcmp(err.message, message) != 0)
		fail_msg("%s\n      gave %s\n  expected %s", text, err.message, message);
}

/* ---- what is refused ---- */

static void
documents_are_refused_in_the_services_words(void **state)
{
	(void)state;
	refused(POLICY_TABLE, "", "This policy contains invalid Json");
	refused(POLICY_TABLE, "{not json", "This policy contains invalid Json");
	refused(POLICY_TABLE, "[]", "This policy contains invalid Json");
	refused(POLICY_TABLE, "{} {}", "This policy contains invalid Json");
	refused(POLICY_TABLE, "null", "This text appears not to be a policy");
	refused(POLICY_TABLE, "{}", "Syntax error at position (1,3)");
	refused(POLICY_TABLE, "{\n 'Version':'2012-10-17'\n}", "Syntax error at position (3,2)");
	refused(POLICY_TABLE, "{'Statement':[]}", "Could not parse the policy: Statement is empty!");
	refused(POLICY_TABLE, "{'Statement':[{}]}", "Missing required field Effect");
	refused(POLICY_TABLE, "{'Statement':{'Effect':'Allow'}}", "Missing required field Principal");
	refused(POLICY_TABLE, "{'Statement':{'Effect':'Allow','Principal':'*'}}", "Missing required field Action");
	refused(POLICY_TABLE, "{'Statement':{'Effect':'Allow','Principal':'*','Action':'dynamodb:*'}}",
		"Missing required field Resource");
	refused(POLICY_IDENTITY,
		"{'Statement':{'Effect':'Allow','Principal':'*','Action':'dynamodb:*','Resource':'*'}}",
		"Policy document should not specify a principal.");
	refused(POLICY_IDENTITY,
		"{'Version':'2012-10-18','Statement':{'Effect':'Allow','Action':'a:b','Resource':'*'}}",
		"The policy must contain a valid version string");
	refused(POLICY_IDENTITY, "{'Statement':{'Effect':'Allow','Action':'GetItem','Resource':'*'}}",
		"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
	refused(POLICY_IDENTITY,
		"{'Statement':[{'Sid':'a','Effect':'Allow','Action':'*','Resource':'*'},"
		"{'Sid':'a','Effect':'Deny','Action':'*','Resource':'*'}]}",
		"The Statement Ids in the policy are not unique");
	refused(POLICY_IDENTITY,
		"{'Statement':{'Effect':'Allow','Action':'*','Resource':'*','Condition':{'StringEquals':"
		"{'aws:ResourceTag/a':'b'}}}}",
		"The condition key aws:ResourceTag/a is not known to this version of Stator");
	refused(POLICY_IDENTITY,
		"{'Version':'2012-10-17','Statement':{'Effect':'Allow','Action':'*','Resource':'${aws:nothing}'}}",
		"The policy variable aws:nothing is not known to this version of Stator");
	refused(POLICY_IDENTITY,
		"{'Statement':{'Effect':'Allow','Action':'*','Resource':'*','Condition':{'IpAddress':{'aws:SourceIp':"
		"'10.0.0.0/33'}}}}",
		"The value 10.0.0.0/33 cannot be used with IpAddress");
}

static void
anything_else_is_a_syntax_error(void **state)
{
	static const char *const documents[] = {
	    "{'Statement':'x'}",
	    "{'Statement':['x']}",
	    "{'Statement':[{'Effect':'Allow','Action':'*','Resource':'*'}],'Else':1}",
	    "{'Statement':[],'Statement':[]}",
	    "{'Statement':{'Effect':'Maybe','Action':'*','Resource':'*'}}",
	    "{'Statement':{'Effect':1,'Action':'*','Resource':'*'}}",
	    "{'Statement':{'Effect':'Allow','Action':[],'Resource':'*'}}",
	    "{'Statement':{'Effect':'Allow','Action':['*',1],'Resource':'*'}}",
	    "{'Statement':{'Effect':'Allow','Action':'*','NotAction':'*','Resource':'*'}}",
	    "{'Statement':{'Effect':'Allow','Action':'*','Resource':[[]]}}",
	    "{'Statement':{'Effect':'Allow','Action':'*','Resource':'*','Condition':[]}}",
	    "{'Statement':{'Effect':'Allow','Action':'*','Resource':'*','Condition':{'StringEquals':'x'}}}",
	    "{'Statement':{'Effect':'Allow','Action':'*','Resource':'*','Condition':{'Strings':{'aws:username':'x'}}}}",
	    "{'Statement':{'Effect':'Allow','Action':'*','Resource':'*','Condition':{'StringEquals':{'aws:username':[]}"
	    "}}}",
	    "{'Statement':{'Effect':'Allow','Action':'*','Resource':'*','Condition':{'ForAllValues:Null':{'aws:"
	    "username':"
	    "true}}}}",
	    "{'Statement':{'Effect':'Allow','Action':'*','Resource':'*','Condition':{'Null':{'aws:username':[true,"
	    "false]}}}}",
	    "{'Statement':{'Effect':'Allow','Action':'*','Resource':'*','Condition':{'Bool':{'aws:username':true,"
	    "'aws:UserName':true}}}}",
	};
	static const char *const principals[] = {
	    "'123456789012'", "{}", "{'AWS':[]}", "{'aws':'*'}", "{'Federated':'x'}", "{'AWS':{}}", "1",
	};
	struct policy *p;
	struct err err;
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
		if (policy_read(quoted(documents[i]), POLICY_IDENTITY, &p, &err) == S_OK)
			fail_msg("%s was taken", documents[i]);
		if (strncmp(err.message, "Syntax error at position (1,", 28) != 0 &&
		    strncmp(err.message, "Could not parse", 15) != 0)
			fail_msg("%s: %s", documents[i], err.message);
	}
	for (size_t i = 0; i < sizeof principals / sizeof *principals; i++) {
		snprintf(text, sizeof text,
			 "{'Statement':{'Effect':'Allow','Principal':%s,'Action':'*','Resource':'*'}}", principals[i]);
		if (policy_read(quoted(text), POLICY_TABLE, &p, &err) == S_OK)
			fail_msg("%s was taken", text);
		if (strncmp(err.message, "Syntax error at position (1,", 28) != 0)
			fail_msg("%s: %s", text, err.message);
	}
}

static void
targets_must_be_a_tables(void **state)
{
	static const char *const known[] = {"GetItem", "PutItem", NULL};
	static const struct {
		const char *action, *resource, *message;
	} rows[] = {
	    {"'dynamodb:GetItem'", "'*'", NULL},
	    {"'dynamodb:getitem'", "'" ARN "table/Music'", NULL},
	    {"'dynamodb:*'", "['" ARN "table/Other','" ARN "table/Music/index/*']", NULL},
	    {"'*'", "'arn:aws:dynamodb:*:*:table/*'", NULL},
	    {"['dynamodb:GetItem','dynamodb:GetRecords','s3:GetObject']", "'*'",
	     "The following action names are invalid: \"dynamodb:GetRecords\", \"s3:GetObject\""},
	    {"'dynamodb:Got*'", "'*'", "The following action names are invalid: \"dynamodb:Got*\""},
	    {"'dynamodb:GetItem'", "'" ARN "table/Music/stream/x'",
	     "The relative-id \"table/Music/stream/x\" is invalid for ARN \"" ARN "table/Music/stream/x\""},
	    {"'dynamodb:GetItem'", "'table/Music'", "Resource table/Music must be in ARN format or \"*\"."},
	    {"'dynamodb:GetItem'", "'" ARN "backup/x'",
	     "The relative-id \"backup/x\" is invalid for ARN \"" ARN "backup/x\""},
	};
	struct err err;
	char text[600];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct policy *p;
		enum status s;

		snprintf(text, sizeof text,
			 "{'Statement':{'Effect':'Allow','Principal':'*','Action':%s,'Resource':%s}}", rows[i].action,
			 rows[i].resource);
		p = read_as(POLICY_TABLE, text);
		s = policy_check_targets(p, known, &err);
		if ((s == S_OK) != (rows[i].message == NULL) ||
		    (s != S_OK && strcmp(err.message, rows[i].message) != 0))
			fail_msg("%s: %s", text, s == S_OK ? "taken" : err.message);
		policy_free(p);
	}
}

static void
everyone_is_not_let_in_unconditionally(void **state)
{
	static const struct {
		const char *statement;
		bool unbounded;
	} rows[] = {
	    {"'Effect':'Allow','Principal':'*'", true},
	    {"'Effect':'Allow','Principal':{'AWS':['123456789012','*']}", true},
	    {"'Effect':'Allow','NotPrincipal':{'AWS':'123456789012'}", true},
	    {"'Effect':'Deny','Principal':'*'", false},
	    {"'Effect':'Allow','Principal':{'AWS':'123456789012'}", false},
	    {"'Effect':'Allow','Principal':'*','Condition':{'StringEquals':{'aws:PrincipalAccount':'123456789012'}}",
	     false},
	};
	char text[400];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct policy *p;

		snprintf(text, sizeof text, "{'Statement':{%s,'Action':'*','Resource':'*'}}", rows[i].statement);
		p = read_as(POLICY_TABLE, text);
		if (policy_is_unbounded(p) != rows[i].unbounded)
			fail_msg("%s", text);
		policy_free(p);
	}
}

/* ---- the canonical form ---- */

static void
documents_are_written_in_one_form(void **state)
{
	static const struct {
		const char *given, *kept;
	} rows[] = {
	    {"{ 'Statement' : [ { 'Resource':['*'], 'Action' : "
	     "['dynamodb:GetItem'],\n\t'Principal':{'AWS':'123456789012'},"
	     "'Effect':'allow','Sid':'A' } ], 'Version':'2012-10-17' }",
	     "{'Version':'2012-10-17','Statement':[{'Sid':'A','Effect':'Allow','Principal':{'AWS':'" ROOT
	     "'},'Action':'dynamodb:GetItem','Resource':'*'}]}"},
	    {"{'Statement':{'Effect':'Deny','Principal':'*','NotAction':['dynamodb:Query','dynamodb:GetItem',"
	     "'dynamodb:GetItem'],'NotResource':'*'}}",
	     "{'Version':'2008-10-17','Statement':[{'Effect':'Deny','Principal':'*','NotAction':['dynamodb:Query',"
	     "'dynamodb:GetItem','dynamodb:GetItem'],'NotResource':'*'}]}"},
	    {"{'Id':'x','Version':'2008-10-17','Statement':{'Effect':'Allow','Principal':{'AWS':['123456789012','" ROOT
	     "'],'Service':['a.amazonaws.com','b.amazonaws.com']},'Action':'*','Resource':'*','Condition':{"
	     "'StringEquals':{'aws:username':['a'],'dynamodb:Select':['b','c']},'Bool':{'aws:SecureTransport':true}}}}",
	     "{'Version':'2008-10-17','Id':'x','Statement':[{'Effect':'Allow','Principal':{'AWS':'" ROOT
	     "','Service':['a.amazonaws.com','b.amazonaws.com']},'Action':'*','Resource':'*','Condition':{"
	     "'StringEquals':{'aws:username':'a','dynamodb:Select':['b','c']},'Bool':{'aws:SecureTransport':'true'}}}]"
	     "}"},
	    {"{'Statement':{'Sid':'\\u0041','Effect':'Deny','Principal':{'AWS':'*'},'Action':'*','Resource':'*'}}",
	     "{'Version':'2008-10-17','Statement':[{'Sid':'A','Effect':'Deny','Principal':{'AWS':'*'},'Action':'*',"
	     "'Resource':'*'}]}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct policy *p = read_as(POLICY_TABLE, rows[i].given), *again;
		struct buf out = {0}, second = {0};
		struct err err;

		policy_write(p, &out);
		if (!slice_eq(buf_slice(&out), quoted(rows[i].kept)))
			fail_msg("%s\n      gave %.*s\n  expected %s", rows[i].given, SLICE_ARG(buf_slice(&out)),
				 rows[i].kept);
		assert_int_equal(policy_has_no_version(p), strstr(rows[i].given, "Version") == NULL);
		assert_int_equal(policy_read(buf_slice(&out), POLICY_TABLE, &again, &err), S_OK);
		policy_write(again, &second);
		assert_true(slice_eq(buf_slice(&out), buf_slice(&second)));
		policy_free(p);
		policy_free(again);
		buf_done(&out);
		buf_done(&second);
	}
}

static void
keys_in_use_are_told(void **state)
{
	struct policy *p =
	    read_as(POLICY_IDENTITY, "{'Version':'2012-10-17','Statement':{'Effect':'Allow','Action':'*',"
				     "'Resource':'x${aws:username}','Condition':{'StringLike':{"
				     "'dynamodb:leadingkeys':'${aws:PrincipalAccount}'}}}}");

	(void)state;
	assert_int_equal(policy_keys(p),
			 POLICY_KEY_BIT(USER_NAME) | POLICY_KEY_BIT(LEADING_KEYS) | POLICY_KEY_BIT(PRINCIPAL_ACCOUNT));
	policy_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(documents_are_refused_in_the_services_words),
	    cmocka_unit_test(anything_else_is_a_syntax_error),
	    cmocka_unit_test(targets_must_be_a_tables),
	    cmocka_unit_test(everyone_is_not_let_in_unconditionally),
	    cmocka_unit_test(documents_are_written_in_one_form),
	    cmocka_unit_test(keys_in_use_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
