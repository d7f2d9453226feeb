/* The credentials file: what is read of it, and what is wrong with it. */
#include "api_fixture.h"

#include "api/op_int.h"

#define ACCOUNT "000000000000"
#define ALICE   "arn:aws:iam::" ACCOUNT ":user/alice"

static void
credentials_are_read(void **state)
{
	static const char text[] =
	    "{\"Keys\":[{\"AccessKeyId\":\"b\",\"SecretAccessKey\":\"s\",\"UserName\":\"staff/"
	    "bob\",\"Policies\":[\"p\",{"
	    "\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}}]},{\"AccessKeyId\":\"a\","
	    "\"SecretAccessKey\":\"t\",\"SessionToken\":\"token\",\"Arn\":\"arn:aws:sts::" ACCOUNT ":assumed-role/r/"
	    "s\"},{\"AccessKeyId\":\"c\",\"SecretAccessKey\":\"u\",\"UserName\":\"carol\",\"Policies\":[]}],"
	    "\"Policies\":{\"p\":{\"Statement\":{\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\"}}}}";
	const struct auth_caller *caller;
	struct auth_keys *k;
	struct err err;

	(void)state;
	if (auth_keys_read(slice_str(text), ACCOUNT, &k, &err) != S_OK)
		fail_msg("%s", err.message);
	assert_int_equal(auth_keys_count(k), 3);
	caller = auth_keys_find(k, SLICE("b"));
	assert_true(slice_eq(caller->principal.arn, SLICE("arn:aws:iam::" ACCOUNT ":user/staff/bob")));
	assert_true(slice_eq(caller->principal.name, SLICE("bob")));
	assert_int_equal(caller->policy_count, 2);
	assert_true(auth_token_matches(caller, SLICE("")));
	assert_false(auth_token_matches(caller, SLICE("token")));
	caller = auth_keys_find(k, SLICE("a"));
	assert_true(caller->administrator);
	assert_true(slice_eq(caller->principal.role, SLICE("arn:aws:iam::" ACCOUNT ":role/r")));
	assert_true(auth_token_matches(caller, SLICE("token")));
	assert_false(auth_token_matches(caller, SLICE("tokem")));
	assert_false(auth_token_matches(caller, SLICE("")));
	caller = auth_keys_find(k, SLICE("c"));
	assert_false(caller->administrator);
	assert_int_equal(caller->policy_count, 0);
	assert_null(auth_keys_find(k, SLICE("d")));
	auth_keys_free(k);
}

static void
wrong_credentials_are_told_with_their_place(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
	    {"", "there are no credentials in it"},
	    {"# none\n\n", "there are no credentials in it"},
	    {"a b\nc\n", "line 2 is not `access-key secret-key`"},
	    {"a b c\n", "line 1 is not `access-key secret-key`"},
	    {"a b\na c\n", "the access key a is there twice"},
	    {"{\n'Keys':[\n{]}", "line 3: "},
	    {"{}", "there are no credentials in it"},
	    {"{'Key':[]}", "Key is neither Keys nor Policies"},
	    {"{'Keys':{}}", "Keys is not a list"},
	    {"{'Policies':[]}", "Policies is not an object of documents by name"},
	    {"{'Policies':{'p':[]}}", "the policy p is not a document"},
	    {"{'Policies':{'p':{}}}", "a policy is wrong: Syntax error at position (1,3)"},
	    {"{'Keys':[1]}", "key 1: is not an object"},
	    {"{'Keys':[{'AccessKeyId':'a'}]}", "key 1: AccessKeyId and SecretAccessKey are needed"},
	    {"{'Keys':[{'AccessKeyId':1}]}", "key 1: AccessKeyId is not a string"},
	    {"{'Keys':[{'AccessKeyId':''}]}", "key 1: AccessKeyId is empty"},
	    {"{'Keys':[{'AccessKeyId':'a','AccessKeyId':'b'}]}", "key 1: AccessKeyId is given twice"},
	    {"{'Keys':[{'AccessKeyId':'a','SecretAccessKey':'b'},{'AccesKeyId':'a'}]}",
	     "key 2: AccesKeyId is no member of a key"},
	    {"{'Keys':[{'AccessKeyId':'a','SecretAccessKey':'b','Policies':[]}]}",
	     "key 1: a key with Policies needs a UserName or an Arn"},
	    {"{'Keys':[{'AccessKeyId':'a','SecretAccessKey':'b','UserName':'u','Policies':['p']}]}",
	     "key 1: there is no policy named p in Policies"},
	    {"{'Keys':[{'AccessKeyId':'a','SecretAccessKey':'b','UserName':'u','Policies':[1]}]}",
	     "key 1: Policies holds something that is neither a name nor a document"},
	    {"{'Keys':[{'AccessKeyId':'a','SecretAccessKey':'b','UserName':'u','Policies':{}}]}",
	     "key 1: Policies is not a list"},
	    {"{'Keys':[{'AccessKeyId':'a','SecretAccessKey':'b','UserName':'u','Arn':'" ALICE "'}]}",
	     "key 1: UserName and Arn are given; one of them names the caller"},
	    {"{'Keys':[{'AccessKeyId':'a','SecretAccessKey':'b','Arn':'arn:aws:iam::" ACCOUNT ":role/r'}]}",
	     "key 1: arn:aws:iam::" ACCOUNT ":role/r is no caller: "},
	    {"{'Keys':[{'AccessKeyId':'a','SecretAccessKey':'b'},{'AccessKeyId':'a','SecretAccessKey':'c'}]}",
	     "the access key a is there twice"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err err = {0};
		struct auth_keys *k;
		char *text = strdup(rows[i].text);

		for (char *at = text; *at != '\0'; at++)
			if (*at == '\'')
				*at = '"';
		if (auth_keys_read(slice_str(text), ACCOUNT, &k, &err) == S_OK)
			fail_msg("%s was taken", text);
		if (strncmp(err.message, rows[i].message, strlen(rows[i].message)) != 0)
			fail_msg("%s\n      gave %s\n  expected %s", text, err.message, rows[i].message);
		assert_null(k);
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(credentials_are_read),
	    cmocka_unit_test(wrong_credentials_are_told_with_their_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
