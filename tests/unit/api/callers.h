/* Callers with rights of their own, and what they are allowed and denied. Included by one .c file each. */
#ifndef TESTS_UNIT_API_CALLERS_H
#define TESTS_UNIT_API_CALLERS_H

#include "api/op_int.h"
#include "api_fixture.h"

#define ACCOUNT "000000000000"
#define TABLE   "arn:aws:dynamodb:us-east-1:" ACCOUNT ":table/"
#define ALICE   "arn:aws:iam::" ACCOUNT ":user/alice"

static struct auth_keys *keys;

/* A caller with these statements (' for "); NULL: with none at all. */
static __attribute__((unused)) void
be(const char *arn, const char *statements)
{
	char text[4096];
	struct err err;

	auth_keys_free(keys);
	snprintf(text, sizeof text,
		 "{'Keys':[{'AccessKeyId':'k','SecretAccessKey':'s','Arn':'%s','Policies':[%s%s%s]}]}", arn,
		 statements ? "{'Version':'2012-10-17','Statement':[" : "", statements ? statements : "",
		 statements ? "]}" : "");
	for (char *at = text; *at != '\0'; at++)
		if (*at == '\'')
			*at = '"';
	if (auth_keys_read(slice_str(text), ACCOUNT, &keys, &err) != S_OK)
		fail_msg("%s: %s", text, err.message);
	fx.caller = auth_keys_find(keys, SLICE("k"));
	assert_non_null(fx.caller);
	assert_false(fx.caller->administrator);
}

static __attribute__((unused)) void
be_alice(const char *statements)
{
	be(ALICE, statements);
}

/* No name: the account's root. */
static __attribute__((unused)) void
be_administrator(const char *arn)
{
	char text[300];
	struct err err;

	auth_keys_free(keys);
	if (arn == NULL)
		snprintf(text, sizeof text, "k s\n");
	else
		snprintf(text, sizeof text,
			 "{\"Keys\":[{\"AccessKeyId\":\"k\",\"SecretAccessKey\":\"s\",\"Arn\":\"%s\"}]}", arn);
	if (auth_keys_read(slice_str(text), ACCOUNT, &keys, &err) != S_OK)
		fail_msg("%s", err.message);
	fx.caller = auth_keys_find(keys, SLICE("k"));
	assert_true(fx.caller->administrator);
}

static __attribute__((unused)) void
be_nobody(void)
{
	fx.caller = NULL;
}

static __attribute__((unused)) bool
denied(const char *operation, const char *body)
{
	return strstr(call_quoted(operation, body), "AccessDenied") != NULL;
}

static __attribute__((unused)) void
allow(const char *operation, const char *body)
{
	if (denied(operation, body))
		fail_msg("%s %s: %s", operation, body, fx.out.data);
}

static __attribute__((unused)) void
deny(const char *operation, const char *body)
{
	if (!denied(operation, body))
		fail_msg("%s %s was allowed: %s", operation, body, fx.out.data);
}

static __attribute__((unused)) int
up(void **state)
{
	if (fixture_up(state) != 0)
		return -1;
	create_tables();
	expect_ok("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'alice'},'a':{'S':'1'},'b':{'S':'2'}}}");
	return 0;
}

static __attribute__((unused)) int
down(void **state)
{
	auth_keys_free(keys);
	keys = NULL;
	return fixture_down(state);
}

#define KEY  "'Key':{'pk':{'S':'alice'}}"
#define ITEM "'Item':{'pk':{'S':'alice'}}"
#define NEW                                                                                                            \
	"'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'}],'KeySchema':[{'AttributeName':'pk','"     \
	"KeyType':'HASH'}],'BillingMode':'PAY_PER_REQUEST'"
#define INDEX TABLE "composite/index/glo"

#endif
