/* Who may do what by the policies of tables: whom they let in, and what of them is refused. */
#include "callers.h"

static int
reset(void **state)
{
	(void)state;
	be_nobody();
	(void)call_quoted("DeleteResourcePolicy", "{'ResourceArn':'" TABLE "hash'}");
	return 0;
}

#define GET "{'TableName':'hash'," KEY "}"

static void
put_policy(const char *statement)
{
	char text[2048], body[4096];
	size_t len = 0;

	be_nobody();
	snprintf(text, sizeof text, "{'Version':'2012-10-17','Statement':[%s]}", statement);
	for (const char *at = text; *at != '\0'; at++) { /* JSON in JSON */
		if (*at == '\'')
			body[len++] = '\\';
		body[len++] = *at;
	}
	body[len] = '\0';
	{
		char request[5000];

		snprintf(request, sizeof request,
			 "{'ResourceArn':'" TABLE "hash','Policy':'%s','ConfirmRemoveSelfResourceAccess':true}", body);
		expect_ok("PutResourcePolicy", request);
	}
}

static void
a_table_lets_in_whom_it_names(void **state)
{
	(void)state;
	put_policy("{'Effect':'Allow','Principal':{'AWS':'" ALICE "'},'Action':'dynamodb:GetItem','Resource':'" TABLE
		   "hash'}");
	be_alice(NULL);
	allow("GetItem", GET);
	deny("PutItem", "{'TableName':'hash'," ITEM "}");
	be("arn:aws:iam::" ACCOUNT ":user/bob", NULL);
	deny("GetItem", GET);
	/* the account's own policies decide when it is the account that is named */
	put_policy("{'Effect':'Allow','Principal':{'AWS':'" ACCOUNT "'},'Action':'dynamodb:GetItem','Resource':'*'}");
	be_alice(NULL);
	deny("GetItem", GET);
}

static void
a_tables_deny_wins(void **state)
{
	(void)state;
	put_policy("{'Effect':'Deny','Principal':'*','Action':'dynamodb:GetItem','Resource':'*'}");
	be_alice("{'Effect':'Allow','Action':'*','Resource':'*'}");
	expect_error("GetItem", GET, "AccessDeniedException",
		     "User: " ALICE " is not authorized to perform: dynamodb:GetItem on resource: " TABLE
		     "hash with an explicit deny in a resource-based policy");
	allow("Scan", "{'TableName':'hash'}");
	allow("GetItem", "{'TableName':'composite','Key':{'pk':{'S':'a'},'sk':{'S':'b'}}}");
	deny("TransactGetItems", "{'TransactItems':[{'Get':{'TableName':'hash'," KEY "}}]}");
	be_administrator(ALICE);
	deny("GetItem", GET);
	be_administrator(NULL);
	deny("GetItem", GET);
	be_nobody(); /* without signatures there is no caller */
	allow("GetItem", GET);
}

static void
conditions_of_a_table_see_the_request(void **state)
{
	(void)state;
	put_policy("{'Effect':'Deny','Principal':'*','Action':'dynamodb:*','Resource':'*','Condition':{"
		   "'ForAnyValue:StringEquals':{'dynamodb:LeadingKeys':'secret'}}}");
	be_administrator(ALICE);
	allow("GetItem", GET);
	deny("GetItem", "{'TableName':'hash','Key':{'pk':{'S':'secret'}}}");
	deny("BatchGetItem", "{'RequestItems':{'hash':{'Keys':[{'pk':{'S':'a'}},{'pk':{'S':'secret'}}]}}}");
}

static void
indexes_go_by_their_tables_policy(void **state)
{
	(void)state;
	be_nobody();
	expect_ok("PutResourcePolicy",
		  "{'ResourceArn':'" TABLE
		  "composite','Policy':'{\\'Version\\':\\'2012-10-17\\',\\'Statement\\':{\\'Effect\\':"
		  "\\'Deny\\',\\'Principal\\':\\'*\\',\\'Action\\':\\'dynamodb:Query\\',\\'Resource\\':\\'" INDEX
		  "\\'}}'}");
	be_administrator(ALICE);
	deny("Query", "{'TableName':'composite','IndexName':'glo','KeyConditionExpression':'gk = :p',"
		      "'ExpressionAttributeValues':{':p':{'S':'a'}}}");
	allow("Query", "{'TableName':'composite','KeyConditionExpression':'pk = :p','ExpressionAttributeValues':{':p':{"
		       "'S':'a'}}}");
	be_nobody();
	expect_ok("DeleteResourcePolicy", "{'ResourceArn':'" TABLE "composite'}");
}

static void
another_account_needs_both(void **state)
{
	static const char eve[] = "arn:aws:iam::999999999999:user/eve";

	(void)state;
	be(eve, "{'Effect':'Allow','Action':'*','Resource':'*'}");
	expect_error("GetItem", GET, "AccessDeniedException",
		     "User: arn:aws:iam::999999999999:user/eve is not authorized to perform: dynamodb:GetItem on "
		     "resource: " TABLE "hash because no resource-based policy allows the dynamodb:GetItem action");
	put_policy("{'Effect':'Allow','Principal':{'AWS':'999999999999'},'Action':'dynamodb:GetItem','Resource':'*'}");
	be(eve, "{'Effect':'Allow','Action':'*','Resource':'*'}");
	allow("GetItem", GET);
	deny("PutItem", "{'TableName':'hash'," ITEM "}");
	be(eve, NULL);
	deny("GetItem", GET);
}

static void
nobody_locks_himself_out_by_mistake(void **state)
{
	static const char lock[] =
	    "{'ResourceArn':'" TABLE
	    "hash','Policy':'{\\'Version\\':\\'2012-10-17\\',\\'Statement\\':{\\'Effect\\':\\'Deny\\',"
	    "\\'Principal\\':\\'*\\',\\'Action\\':[\\'dynamodb:PutResourcePolicy\\',\\'dynamodb:DeleteResourcePolicy\\'"
	    "],"
	    "\\'Resource\\':\\'*\\'}}'%s}";
	char body[600];

	(void)state;
	snprintf(body, sizeof body, lock, "");
	for (int i = 0; i < 2; i++) { /* with a caller, and without */
		if (i == 0)
			be_administrator(ALICE);
		else
			be_nobody();
		expect_error("PutResourcePolicy", body, "AccessDeniedException",
			     "The new resource policy will not allow you to update the resource policy in the future.");
	}
	be_administrator(ALICE);
	snprintf(body, sizeof body, lock, ",'ConfirmRemoveSelfResourceAccess':true");
	expect_ok("PutResourcePolicy", body);
	deny("PutResourcePolicy", body);
	deny("DeleteResourcePolicy", "{'ResourceArn':'" TABLE "hash'}");
	/* but the account's root can delete it */
	be_administrator(NULL);
	deny("PutResourcePolicy", body);
	expect_ok("DeleteResourcePolicy", "{'ResourceArn':'" TABLE "hash'}");
}

#define INVALID_POLICY "One or more parameter values were invalid: "

static void
arns_of_policies_are_checked(void **state)
{
	static const struct {
		const char *arn, *name, *message;
	} rows[] = {
	    {"hash", "ValidationException", INVALID_POLICY "ARNs must start with 'arn:': hash"},
	    {TABLE "nothing", "ResourceNotFoundException", "Requested resource not found: Table: nothing not found"},
	    {"arn:aws:dynamodb:us-east-1:999999999999:table/hash", "ValidationException",
	     "This action is only supported by accounts that match the resource owner\u2019s account."},
	    {"arn:aws:dynamodb:eu-west-1:" ACCOUNT ":table/hash", "ValidationException",
	     INVALID_POLICY "Invalid resource Arn: arn:aws:dynamodb:eu-west-1:" ACCOUNT ":table/hash"},
	    {"arn:aws-cn:dynamodb:us-east-1:" ACCOUNT ":table/hash", "ValidationException",
	     INVALID_POLICY "Invalid resource Arn: arn:aws-cn:dynamodb:us-east-1:" ACCOUNT ":table/hash"},
	    {TABLE "composite/index/glo", "ValidationException",
	     INVALID_POLICY
	     "Invalid resource arn provided, only table or stream is accepted. Provided resource arn: " TABLE
	     "composite/index/glo"},
	    {TABLE "hash/backup/0170", "ValidationException",
	     INVALID_POLICY "Provided Arn is not a DynamoDB resource arn: " TABLE "hash/backup/0170"},
	    {TABLE "hash/stream/2000-01-01T00:00:00.000", "ResourceNotFoundException",
	     "Requested resource not found: Stream: 2000-01-01T00:00:00.000 not found for Table: hash"},
	    {TABLE "hash", "PolicyNotFoundException",
	     "Resource-based policy not found for the provided ResourceArn: " TABLE "hash"},
	    {"arn:", "ValidationException", INVALID_POLICY "Invalid resource Arn: arn:"},
	};
	char body[300];

	(void)state;
	be_nobody();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(body, sizeof body, "{'ResourceArn':'%s'}", rows[i].arn);
		expect_error("GetResourcePolicy", body, rows[i].name, rows[i].message);
	}
	expect_reply("DeleteResourcePolicy", "{'ResourceArn':'" TABLE "hash'}", "{}");
	expect_error("DeleteResourcePolicy", "{'ResourceArn':'" TABLE "nothing'}", "ResourceNotFoundException",
		     "Requested resource not found: Table: nothing not found");
}

static void
documents_of_policies_are_checked(void **state)
{
	static const struct {
		const char *document, *message;
	} rows[] = {
	    {"", INVALID_POLICY "Invalid policy document: This policy contains invalid Json"},
	    {"{not json", INVALID_POLICY "Invalid policy document: This policy contains invalid Json"},
	    {"{\\'Statement\\':{\\'Effect\\':\\'Allow\\',\\'Principal\\':\\'*\\',\\'Action\\':\\'dynamodb:*\\',\\'"
	     "Resource\\':\\'*\\'}}",
	     "Resource-based policy grants unbounded access in one or more elements. Please revise the policy to "
	     "ensure "
	     "least-privilege form of access"},
	    {"{\\'Statement\\':{\\'Effect\\':\\'Allow\\',\\'Principal\\':{\\'AWS\\':\\'arn:aws:iam::1:root\\'},\\'"
	     "Action\\':"
	     "\\'dynamodb:*\\',\\'Resource\\':\\'*\\'}}",
	     INVALID_POLICY "Invalid principal in policy document."},
	    {"{\\'Statement\\':{\\'Effect\\':\\'Allow\\',\\'Principal\\':{\\'AWS\\':\\'" ACCOUNT "\\'},\\'Action\\':"
	     "[\\'dynamodb:GetRecords\\',\\'dynamodb:DescribeStream\\'],\\'Resource\\':\\'*\\'}}",
	     INVALID_POLICY "Invalid policy document: The following action names are invalid: \"dynamodb:GetRecords\", "
			    "\"dynamodb:DescribeStream\""},
	};
	char *big = malloc(21100), *body = malloc(21300);

	(void)state;
	be_nobody();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(body, 21300, "{'ResourceArn':'" TABLE "hash','Policy':'%s'}", rows[i].document);
		expect_invalid("PutResourcePolicy", body, rows[i].message);
	}
	memset(big, ' ', 21000);
	big[20481] = '\0';
	snprintf(body, 21300, "{'ResourceArn':'" TABLE "hash','Policy':'%s'}", big);
	expect_invalid("PutResourcePolicy", body, INVALID_POLICY "Maximum policy size of 20480 bytes exceeded");
	free(big);
	free(body);
}

static void
a_table_is_born_with_its_policy(void **state)
{
	const char *reply;

	(void)state;
	be_nobody();
	expect_ok("CreateTable",
		  "{'TableName':'guarded'," NEW ",'ResourcePolicy':'{\\'Version\\':\\'2012-10-17\\',\\'Statement\\':[ {"
		  "\\'Effect\\':\\'Deny\\',\\'Principal\\':\\'*\\',\\'Action\\':[\\'dynamodb:Scan\\'],\\'Resource\\':"
		  "\\'*\\'} ]}'}");
	wait_active("guarded");
	reply = call_quoted("GetResourcePolicy", "{'ResourceArn':'" TABLE "guarded'}");
	if (strstr(reply,
		   "{\"Policy\":\"{\\\"Version\\\":\\\"2012-10-17\\\",\\\"Statement\\\":[{\\\"Effect\\\":\\\"Deny\\\","
		   "\\\"Principal\\\":\\\"*\\\",\\\"Action\\\":\\\"dynamodb:Scan\\\",\\\"Resource\\\":\\\"*\\\"}]}\","
		   "\"RevisionId\":\"1") != reply)
		fail_msg("%s", reply);
	be_administrator(ALICE);
	deny("Scan", "{'TableName':'guarded'}");
	expect_ok("DeleteTable", "{'TableName':'guarded'}");
	be_nobody();
	for (int i = 0;
	     i < 60000 && strstr(call_quoted("DescribeTable", "{'TableName':'guarded'}"), "NotFound") == NULL; i++)
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	expect_ok("CreateTable", "{'TableName':'guarded'," NEW "}");
	wait_active("guarded");
	expect_part("GetResourcePolicy", "{'ResourceArn':'" TABLE "guarded'}", "PolicyNotFoundException");
	be_administrator(ALICE);
	allow("Scan", "{'TableName':'guarded'}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(a_table_lets_in_whom_it_names, reset),
	    cmocka_unit_test_teardown(a_tables_deny_wins, reset),
	    cmocka_unit_test_teardown(conditions_of_a_table_see_the_request, reset),
	    cmocka_unit_test_teardown(indexes_go_by_their_tables_policy, reset),
	    cmocka_unit_test_teardown(another_account_needs_both, reset),
	    cmocka_unit_test_teardown(nobody_locks_himself_out_by_mistake, reset),
	    cmocka_unit_test(arns_of_policies_are_checked),
	    cmocka_unit_test(documents_of_policies_are_checked),
	    cmocka_unit_test(a_table_is_born_with_its_policy),
	};

	return cmocka_run_group_tests(tests, up, down);
}
