/* Who may do what: every operation, every kind of resource, and what conditions see of a request. */
#include "api_fixture.h"

#include "api/op_int.h"

#define ACCOUNT "000000000000"
#define TABLE   "arn:aws:dynamodb:us-east-1:" ACCOUNT ":table/"
#define ALICE   "arn:aws:iam::" ACCOUNT ":user/alice"

static struct auth_keys *keys;

/* A caller with these statements (' for "); NULL: with none at all. */
static void
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

static void
be_alice(const char *statements)
{
	be(ALICE, statements);
}

/* No name: the account's root. */
static void
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

static void
be_nobody(void)
{
	fx.caller = NULL;
}

static bool
denied(const char *operation, const char *body)
{
	return strstr(call_quoted(operation, body), "AccessDenied") != NULL;
}

static void
allow(const char *operation, const char *body)
{
	if (denied(operation, body))
		fail_msg("%s %s: %s", operation, body, fx.out.data);
}

static void
deny(const char *operation, const char *body)
{
	if (!denied(operation, body))
		fail_msg("%s %s was allowed: %s", operation, body, fx.out.data);
}

static int
up(void **state)
{
	if (fixture_up(state) != 0)
		return -1;
	create_tables();
	expect_ok("PutItem", "{'TableName':'hash','Item':{'pk':{'S':'alice'},'a':{'S':'1'},'b':{'S':'2'}}}");
	return 0;
}

static int
down(void **state)
{
	auth_keys_free(keys);
	keys = NULL;
	return fixture_down(state);
}

static int
reset(void **state)
{
	(void)state;
	be_nobody();
	(void)call_quoted("DeleteResourcePolicy", "{'ResourceArn':'" TABLE "hash'}");
	return 0;
}

#define STREAMS "DynamoDBStreams_20120810."
#define STREAM  TABLE "hash/stream/2026-01-01T00:00:00.000"

/* ---- the operations ---- */

#define KEY  "'Key':{'pk':{'S':'alice'}}"
#define ITEM "'Item':{'pk':{'S':'alice'}}"
#define NEW                                                                                                            \
	"'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'}],'KeySchema':[{'AttributeName':'pk','"     \
	"KeyType':'HASH'}],'BillingMode':'PAY_PER_REQUEST'"
#define INDEX TABLE "composite/index/glo"

/* A request that only lacks the right, and exactly what is needed: "Action Resource;Action Resource". */
static const struct {
	const char *operation, *body, *needs;
} operations[] = {
    {"BatchExecuteStatement", "{'Statements':[{'Statement':'SELECT * FROM hash WHERE pk=\\u0027alice\\u0027'}]}",
     "PartiQLSelect " TABLE "hash"},
    {"BatchGetItem", "{'RequestItems':{'hash':{'Keys':[{'pk':{'S':'alice'}}]}}}", "BatchGetItem " TABLE "hash"},
    {"BatchGetItem",
     "{'RequestItems':{'hash':{'Keys':[{'pk':{'S':'alice'}}]},'composite':{'Keys':[{'pk':{'S':'a'},'sk':{'S':'b'}}]}}}",
     "BatchGetItem " TABLE "hash;BatchGetItem " TABLE "composite"},
    {"BatchWriteItem", "{'RequestItems':{'hash':[{'PutRequest':{" ITEM "}}]}}", "BatchWriteItem " TABLE "hash"},
    {"BatchWriteItem",
     "{'RequestItems':{'hash':[{'DeleteRequest':{" KEY "}}],'composite':[{'DeleteRequest':{'Key':{'pk':{'S':'a'},'sk':{"
     "'S':'b'}}}}]}}",
     "BatchWriteItem " TABLE "hash;BatchWriteItem " TABLE "composite"},
    {"CancelBulkOperation", "{'BulkOperationArn':'" TABLE "hash/bulk/1'}", "CancelBulkOperation " TABLE "hash/bulk/1"},
    {"CreateBackup", "{'TableName':'hash','BackupName':'abc'}", "CreateBackup " TABLE "hash"},
    {"CreateGlobalTable", "{'GlobalTableName':'hash','ReplicationGroup':[]}",
     "CreateGlobalTable arn:aws:dynamodb::" ACCOUNT ":global-table/hash;CreateGlobalTable " TABLE "hash"},
    {"CreateTable", "{'TableName':'hash'," NEW "}", "CreateTable " TABLE "hash"},
    {"CreateTable", "{'TableName':'hash'," NEW ",'Tags':[{'Key':'a','Value':'b'}]}",
     "CreateTable " TABLE "hash;TagResource " TABLE "hash"},
    {"CreateTable", "{'TableName':'hash'," NEW ",'ResourcePolicy':'{}'}",
     "CreateTable " TABLE "hash;PutResourcePolicy " TABLE "hash"},
    {"DeleteBackup", "{'BackupArn':'" TABLE "hash/backup/0123'}", "DeleteBackup " TABLE "hash/backup/0123"},
    {"DeleteItem", "{'TableName':'hash'," KEY "}", "DeleteItem " TABLE "hash"},
    {"DeleteResourcePolicy", "{'ResourceArn':'" TABLE "hash'}", "DeleteResourcePolicy " TABLE "hash"},
    {"DeleteTable", "{'TableName':'nothing'}", "DeleteTable " TABLE "nothing"},
    {"DescribeBackup", "{'BackupArn':'" TABLE "hash/backup/0123'}", "DescribeBackup " TABLE "hash/backup/0123"},
    {"DescribeBulkOperation", "{'BulkOperationArn':'" TABLE "hash/bulk/1'}",
     "DescribeBulkOperation " TABLE "hash/bulk/1"},
    {"DescribeContinuousBackups", "{'TableName':'hash'}", "DescribeContinuousBackups " TABLE "hash"},
    {"DescribeContributorInsights", "{'TableName':'hash'}", "DescribeContributorInsights " TABLE "hash"},
    {"DescribeContributorInsights", "{'TableName':'composite','IndexName':'glo'}",
     "DescribeContributorInsights " INDEX},
    {"DescribeEndpoints", "{}", "DescribeEndpoints *"},
    {"DescribeExport", "{'ExportArn':'" TABLE "hash/export/0123'}", "DescribeExport " TABLE "hash/export/0123"},
    {"DescribeGlobalTable", "{'GlobalTableName':'hash'}",
     "DescribeGlobalTable arn:aws:dynamodb::" ACCOUNT ":global-table/hash"},
    {"DescribeGlobalTableSettings", "{'GlobalTableName':'hash'}",
     "DescribeGlobalTableSettings arn:aws:dynamodb::" ACCOUNT ":global-table/hash"},
    {"DescribeImport", "{'ImportArn':'" TABLE "hash/import/0123'}", "DescribeImport " TABLE "hash/import/0123"},
    {"DescribeKinesisStreamingDestination", "{'TableName':'hash'}",
     "DescribeKinesisStreamingDestination " TABLE "hash"},
    {"DescribeLimits", "{}", "DescribeLimits *"},
    {"DescribeTable", "{'TableName':'hash'}", "DescribeTable " TABLE "hash"},
    {"DescribeTable", "{'TableName':'" TABLE "hash'}", "DescribeTable " TABLE "hash"},
    {"DescribeTableReplicaAutoScaling", "{'TableName':'hash'}", "DescribeTableReplicaAutoScaling " TABLE "hash"},
    {"DescribeTimeToLive", "{'TableName':'hash'}", "DescribeTimeToLive " TABLE "hash"},
    {"DisableKinesisStreamingDestination",
     "{'TableName':'hash','StreamArn':'arn:aws:kinesis:us-east-1:" ACCOUNT ":stream/some-stream'}",
     "DisableKinesisStreamingDestination " TABLE "hash"},
    {"EnableKinesisStreamingDestination",
     "{'TableName':'hash','StreamArn':'arn:aws:kinesis:us-east-1:" ACCOUNT ":stream/some-stream'}",
     "EnableKinesisStreamingDestination " TABLE "hash"},
    {"ExecuteStatement", "{'Statement':'SELECT * FROM hash'}", "PartiQLSelect " TABLE "hash"},
    {"ExecuteStatement", "{'Statement':'SELECT * FROM composite.glo'}", "PartiQLSelect " INDEX},
    {"ExecuteStatement", "{'Statement':'INSERT INTO hash VALUE {\\u0027pk\\u0027:\\u0027alice\\u0027}'}",
     "PartiQLInsert " TABLE "hash"},
    {"ExecuteStatement", "{'Statement':'UPDATE hash SET a=1 WHERE pk=\\u0027alice\\u0027'}",
     "PartiQLUpdate " TABLE "hash"},
    {"ExecuteStatement", "{'Statement':'DELETE FROM hash WHERE pk=\\u0027nobody\\u0027'}",
     "PartiQLDelete " TABLE "hash"},
    {"ExecuteTransaction",
     "{'TransactStatements':[{'Statement':'UPDATE hash SET a=1 WHERE pk=\\u0027alice\\u0027'},{'Statement':'DELETE "
     "FROM "
     "composite WHERE "
     "pk=\\u0027a\\u0027 AND sk=\\u0027b\\u0027'}]}",
     "PartiQLUpdate " TABLE "hash;PartiQLDelete " TABLE "composite"},
    {"ExportTableToPointInTime", "{'TableArn':'" TABLE "hash','S3Bucket':'bucket'}",
     "ExportTableToPointInTime " TABLE "hash"},
    {"GetItem", "{'TableName':'hash'," KEY "}", "GetItem " TABLE "hash"},
    {"GetItem", "{'TableName':'" TABLE "hash'," KEY "}", "GetItem " TABLE "hash"},
    {"GetItem", "{'TableName':'hash','IndexName':'glo'," KEY "}", "GetItem " TABLE "hash"}, /* no member of GetItem */
    {"GetResourcePolicy", "{'ResourceArn':'" TABLE "hash'}", "GetResourcePolicy " TABLE "hash"},
    {"ImportTable",
     "{'S3BucketSource':{'S3Bucket':'bucket'},'InputFormat':'CSV','TableCreationParameters':{'TableName':'new'," NEW
     "}}",
     "ImportTable " TABLE "new"},
    {"ListBackups", "{}", "ListBackups *"},
    {"ListBulkOperations", "{}", "ListBulkOperations *"},
    {"ListContributorInsights", "{}", "ListContributorInsights *"},
    {"ListExports", "{}", "ListExports *"},
    {"ListGlobalTables", "{}", "ListGlobalTables *"},
    {"ListImports", "{}", "ListImports *"},
    {"ListTables", "{}", "ListTables *"},
    {"ListTagsOfResource", "{'ResourceArn':'" TABLE "hash'}", "ListTagsOfResource " TABLE "hash"},
    {"PutItem", "{'TableName':'hash'," ITEM "}", "PutItem " TABLE "hash"},
    {"PutResourcePolicy", "{'ResourceArn':'" TABLE "hash','Policy':'{}'}", "PutResourcePolicy " TABLE "hash"},
    {"Query",
     "{'TableName':'hash','KeyConditionExpression':'pk = :p','ExpressionAttributeValues':{':p':{'S':'alice'}}}",
     "Query " TABLE "hash"},
    {"Query",
     "{'TableName':'composite','IndexName':'glo','KeyConditionExpression':'gk = :p','ExpressionAttributeValues':{':p':{"
     "'S':'alice'}}}",
     "Query " INDEX},
    {"Query",
     "{'TableName':'composite','IndexName':'loc','KeyConditionExpression':'pk = :p','ExpressionAttributeValues':{':p':{"
     "'S':'alice'}}}",
     "Query " TABLE "composite/index/loc"},
    {"RestoreTableFromBackup", "{'BackupArn':'" TABLE "hash/backup/0123','TargetTableName':'new'}",
     "RestoreTableFromBackup " TABLE "hash/backup/0123;RestoreTableFromBackup " TABLE "new;BatchWriteItem " TABLE
     "new;DeleteItem " TABLE "new;GetItem " TABLE "new;PutItem " TABLE "new;Query " TABLE "new;Scan " TABLE
     "new;UpdateItem " TABLE "new"},
    {"RestoreTableToPointInTime", "{'SourceTableName':'hash','TargetTableName':'new'}",
     "RestoreTableToPointInTime " TABLE "hash;RestoreTableToPointInTime " TABLE "new;BatchWriteItem " TABLE
     "new;DeleteItem " TABLE "new;GetItem " TABLE "new;PutItem " TABLE "new;Query " TABLE "new;Scan " TABLE
     "new;UpdateItem " TABLE "new"},
    {"Scan", "{'TableName':'hash'}", "Scan " TABLE "hash"},
    {"Scan", "{'TableName':'composite','IndexName':'glo'}", "Scan " INDEX},
    {"SearchVectors", "{'TableName':'composite','IndexName':'glo'}", "SearchVectors " INDEX},
    {"StartBulkPutItems", "{'TableName':'hash'}", "StartBulkPutItems " TABLE "hash"},
    {"TagResource", "{'ResourceArn':'" TABLE "hash','Tags':[{'Key':'a','Value':'b'}]}", "TagResource " TABLE "hash"},
    {"TransactGetItems", "{'TransactItems':[{'Get':{'TableName':'hash'," KEY "}}]}", "GetItem " TABLE "hash"},
    {"TransactWriteItems", "{'TransactItems':[{'Put':{'TableName':'hash'," ITEM "}}]}", "PutItem " TABLE "hash"},
    {"TransactWriteItems", "{'TransactItems':[{'Delete':{'TableName':'hash'," KEY "}}]}", "DeleteItem " TABLE "hash"},
    {"TransactWriteItems", "{'TransactItems':[{'Update':{'TableName':'hash'," KEY ",'UpdateExpression':'REMOVE x'}}]}",
     "UpdateItem " TABLE "hash"},
    {"TransactWriteItems",
     "{'TransactItems':[{'ConditionCheck':{'TableName':'hash'," KEY ",'ConditionExpression':'attribute_exists(pk)'}},"
     "{'Delete':{'TableName':'composite','Key':{'pk':{'S':'a'},'sk':{'S':'b'}}}}]}",
     "ConditionCheckItem " TABLE "hash;DeleteItem " TABLE "composite"},
    {"UntagResource", "{'ResourceArn':'" TABLE "hash','TagKeys':['a']}", "UntagResource " TABLE "hash"},
    {"UpdateContinuousBackups",
     "{'TableName':'hash','PointInTimeRecoverySpecification':{'PointInTimeRecoveryEnabled':true}}",
     "UpdateContinuousBackups " TABLE "hash"},
    {"UpdateContributorInsights", "{'TableName':'hash','ContributorInsightsAction':'DISABLE'}",
     "UpdateContributorInsights " TABLE "hash"},
    {"UpdateContributorInsights", "{'TableName':'composite','IndexName':'glo','ContributorInsightsAction':'DISABLE'}",
     "UpdateContributorInsights " INDEX},
    {"UpdateGlobalTable", "{'GlobalTableName':'hash','ReplicaUpdates':[]}",
     "UpdateGlobalTable arn:aws:dynamodb::" ACCOUNT ":global-table/hash;UpdateGlobalTable " TABLE "hash"},
    {"UpdateGlobalTableSettings", "{'GlobalTableName':'hash'}",
     "UpdateGlobalTableSettings arn:aws:dynamodb::" ACCOUNT ":global-table/hash;UpdateGlobalTableSettings " TABLE
     "hash"},
    {"UpdateItem", "{'TableName':'hash'," KEY "}", "UpdateItem " TABLE "hash"},
    {"UpdateKinesisStreamingDestination",
     "{'TableName':'hash','StreamArn':'arn:aws:kinesis:us-east-1:" ACCOUNT ":stream/some-stream'}",
     "UpdateKinesisStreamingDestination " TABLE "hash"},
    {"UpdateTable", "{'TableName':'nothing','DeletionProtectionEnabled':true}", "UpdateTable " TABLE "nothing"},
    {"UpdateTableReplicaAutoScaling", "{'TableName':'hash'}", "UpdateTableReplicaAutoScaling " TABLE "hash"},
    {"UpdateTimeToLive", "{'TableName':'hash','TimeToLiveSpecification':{'Enabled':true,'AttributeName':'ttl'}}",
     "UpdateTimeToLive " TABLE "hash"},
    {STREAMS "DescribeStream", "{'StreamArn':'" STREAM "'}", "DescribeStream " STREAM},
    {STREAMS "GetRecords", "{'ShardIterator':'" STREAM "|1|AAAA'}", "GetRecords " STREAM},
    {STREAMS "GetShardIterator",
     "{'StreamArn':'" STREAM "','ShardId':'shardId-00000000000000000000','ShardIteratorType':'LATEST'}",
     "GetShardIterator " STREAM},
    {STREAMS "ListStreams", "{}", "ListStreams " TABLE "*/stream/*"},
    {STREAMS "ListStreams", "{'TableName':'hash'}", "ListStreams " TABLE "hash/stream/*"},
};
#define OPERATION_COUNT (sizeof operations / sizeof *operations)

/* Statements that allow all of "Action Resource;..." but the n-th (from 0; -1: none is left out). */
static size_t
grant(char *ret, size_t size, const char *needs, int without)
{
	size_t len = 0, count = 0;

	ret[0] = '\0';
	for (const char *at = needs; *at != '\0'; count++) {
		const char *blank = strchr(at, ' '), *end = strchrnul(at, ';');

		if ((int)count != without)
			len += (size_t)snprintf(
			    ret + len, size - len, "%s{'Effect':'Allow','Action':'dynamodb:%.*s','Resource':'%.*s'}",
			    len > 0 ? "," : "", (int)(blank - at), at, (int)(end - blank - 1), blank + 1);
		at = *end == ';' ? end + 1 : end;
	}
	return count;
}

static bool
is_row_of(size_t n, const struct service *service, const struct op *op)
{
	const char *operation = operations[n].operation, *dot = strchr(operation, '.');

	if (dot == NULL)
		return service == services && strcmp(operation, op->name) == 0;
	return strncmp(operation, service->prefix.data, service->prefix.len) == 0 && strcmp(dot + 1, op->name) == 0;
}

static void
every_operation_is_here(void **state)
{
	(void)state;
	for (const struct service *s = services; s < services + service_count; s++) {
		/* those of DAX clusters: tests/integration/test_access.py */
		for (size_t i = 0; i < *s->op_count && strcmp(s->name, "dynamodb") == 0; i++) {
			size_t n = 0;

			while (n < OPERATION_COUNT && !is_row_of(n, s, &s->ops[i]))
				n++;
			if (n == OPERATION_COUNT)
				fail_msg("%s has no row in this test", s->ops[i].name);
		}
	}
}

static void
nothing_is_allowed_without_a_right(void **state)
{
	(void)state;
	be_alice(NULL);
	for (size_t i = 0; i < OPERATION_COUNT; i++) {
		const char *first = strchr(operations[i].needs, ' ');
		char message[1024];

		snprintf(message, sizeof message,
			 "User: " ALICE " is not authorized to perform: dynamodb:%.*s on resource: %.*s because no "
			 "identity-based policy allows the dynamodb:%.*s action",
			 (int)(first - operations[i].needs), operations[i].needs,
			 (int)(strchrnul(first, ';') - first - 1), first + 1, (int)(first - operations[i].needs),
			 operations[i].needs);
		if (strcmp(operations[i].operation, "BatchExecuteStatement") == 0) /* told in the statement's place */
			expect_part(operations[i].operation, operations[i].body, message);
		else
			expect_error(operations[i].operation, operations[i].body, "AccessDeniedException", message);
	}
}

static void
an_operation_needs_exactly_its_rights(void **state)
{
	char statements[4096];

	(void)state;
	for (size_t i = 0; i < OPERATION_COUNT; i++) {
		size_t count = grant(statements, sizeof statements, operations[i].needs, -1);

		be_alice(statements);
		allow(operations[i].operation, operations[i].body);
		for (size_t without = 0; without < count; without++) {
			grant(statements, sizeof statements, operations[i].needs, (int)without);
			be_alice(statements[0] != '\0' ? statements : NULL);
			deny(operations[i].operation, operations[i].body);
		}
	}
}

static void
administrators_may_do_everything(void **state)
{
	(void)state;
	be_administrator(NULL);
	for (size_t i = 0; i < OPERATION_COUNT; i++)
		allow(operations[i].operation, operations[i].body);
	be_administrator(ALICE);
	for (size_t i = 0; i < OPERATION_COUNT; i++)
		allow(operations[i].operation, operations[i].body);
}

static void
an_explicit_deny_says_so(void **state)
{
	(void)state;
	be_alice("{'Effect':'Allow','Action':'*','Resource':'*'},"
		 "{'Effect':'Deny','Action':'dynamodb:Get*','Resource':'" TABLE "hash'}");
	expect_error("GetItem", "{'TableName':'hash'," KEY "}", "AccessDeniedException",
		     "User: " ALICE " is not authorized to perform: dynamodb:GetItem on resource: " TABLE
		     "hash with an explicit deny in an identity-based policy");
	allow("PutItem", "{'TableName':'hash'," ITEM "}");
}

static void
requests_are_read_before_rights_are_looked_at(void **state)
{
	(void)state;
	be_alice(NULL);
	expect_error("GetItem", "{'TableName':1}", "SerializationException",
		     "NUMBER_VALUE cannot be converted to String");
	expect_part("GetItem", "{}", "ValidationException");
	deny("GetItem", "{'TableName':'hash','Key':{'wrong':{'S':'a'}},'ProjectionExpression':'((('}");
	deny("GetItem", "{'TableName':'nothing'," KEY "}");
}

/* ---- conditions ---- */

static void
be_limited(const char *condition)
{
	char text[2048];

	snprintf(text, sizeof text, "{'Effect':'Allow','Action':'dynamodb:*','Resource':'*','Condition':{%s}}",
		 condition);
	be_alice(text);
}

static void
leading_keys_limit_every_access(void **state)
{
	static const struct {
		const char *operation, *format; /* %s: the partition key's value */
	} rows[] = {
	    {"GetItem", "{'TableName':'hash','Key':{'pk':{'S':'%s'}}}"},
	    {"GetItem", "{'TableName':'" TABLE "hash','Key':{'pk':{'S':'%s'}}}"},
	    {"PutItem", "{'TableName':'hash','Item':{'pk':{'S':'%s'}}}"},
	    {"UpdateItem", "{'TableName':'hash','Key':{'pk':{'S':'%s'}}}"},
	    {"DeleteItem", "{'TableName':'hash','Key':{'pk':{'S':'%s'}}}"},
	    {"Query", "{'TableName':'hash','KeyConditionExpression':'#p = :p','ExpressionAttributeNames':{'#p':'pk'},"
		      "'ExpressionAttributeValues':{':p':{'S':'%s'}}}"},
	    {"Query",
	     "{'TableName':'hash','KeyConditions':{'pk':{'ComparisonOperator':'EQ','AttributeValueList':[{'S':'%s'"
	     "}]}}}"},
	    {"Query", "{'TableName':'composite','IndexName':'glo','KeyConditionExpression':'gk = :p',"
		      "'ExpressionAttributeValues':{':p':{'S':'%s'}}}"},
	    {"BatchGetItem", "{'RequestItems':{'hash':{'Keys':[{'pk':{'S':'alice'}},{'pk':{'S':'%s'}}]}}}"},
	    {"BatchWriteItem",
	     "{'RequestItems':{'hash':[{'PutRequest':{'Item':{'pk':{'S':'alice'}}}},{'DeleteRequest':{"
	     "'Key':{'pk':{'S':'%s'}}}}]}}"},
	    {"TransactGetItems", "{'TransactItems':[{'Get':{'TableName':'hash','Key':{'pk':{'S':'%s'}}}}]}"},
	    {"TransactWriteItems", "{'TransactItems':[{'Put':{'TableName':'hash','Item':{'pk':{'S':'%s'}}}}]}"},
	    {"TransactWriteItems", "{'TransactItems':[{'Delete':{'TableName':'hash','Key':{'pk':{'S':'%s'}}}}]}"},
	    {"TransactWriteItems", "{'TransactItems':[{'Update':{'TableName':'hash','Key':{'pk':{'S':'%s'}},"
				   "'UpdateExpression':'REMOVE x'}}]}"},
	    {"TransactWriteItems", "{'TransactItems':[{'ConditionCheck':{'TableName':'hash','Key':{'pk':{'S':'%s'}},"
				   "'ConditionExpression':'attribute_not_exists(x)'}}]}"},
	    {"ExecuteStatement", "{'Statement':'SELECT * FROM hash WHERE pk=?','Parameters':[{'S':'%s'}]}"},
	    {"ExecuteStatement", "{'Statement':'SELECT * FROM composite.glo WHERE gk=?','Parameters':[{'S':'%s'}]}"},
	    {"ExecuteStatement", "{'Statement':'SELECT * FROM hash WHERE pk IN [?]','Parameters':[{'S':'%s'}]}"},
	    {"ExecuteStatement",
	     "{'Statement':'INSERT INTO hash VALUE {\\u0027pk\\u0027:?}','Parameters':[{'S':'%s'}]}"},
	    {"ExecuteStatement", "{'Statement':'UPDATE hash SET a=1 WHERE pk=?','Parameters':[{'S':'%s'}]}"},
	    {"ExecuteStatement", "{'Statement':'DELETE FROM hash WHERE pk=?','Parameters':[{'S':'%s'}]}"},
	    {"BatchExecuteStatement",
	     "{'Statements':[{'Statement':'UPDATE hash SET a=1 WHERE pk=?','Parameters':[{'S':'%s'}]}]}"},
	    {"ExecuteTransaction",
	     "{'TransactStatements':[{'Statement':'UPDATE hash SET a=1 WHERE pk=?','Parameters':[{'S':'%s'}]}]}"},
	};
	char body[600];

	(void)state;
	be_limited("'ForAllValues:StringEquals':{'dynamodb:LeadingKeys':'${aws:username}'}");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(body, sizeof body, rows[i].format, "alice");
		allow(rows[i].operation, body);
		snprintf(body, sizeof body, rows[i].format, "bob");
		deny(rows[i].operation, body);
	}
	/* on a table that is not there nobody can say */
	deny("GetItem", "{'TableName':'nothing','Key':{'pk':{'S':'alice'}}}");
	deny("GetItem", "{'TableName':'hash','Key':{'other':{'S':'alice'}}}");
	deny("Query", "{'TableName':'hash','KeyConditionExpression':'nonsense'}");
	/* a scan names none, as at the original: it is not to be allowed */
	allow("Scan", "{'TableName':'hash'}");
}

static void
numbers_and_bytes_have_a_text(void **state)
{
	(void)state;
	be_nobody();
	expect_ok("CreateTable",
		  "{'TableName':'numbers','BillingMode':'PAY_PER_REQUEST','AttributeDefinitions':[{'AttributeName':'n',"
		  "'AttributeType':'N'}],'KeySchema':[{'AttributeName':'n','KeyType':'HASH'}]}");
	expect_ok("CreateTable",
		  "{'TableName':'bytes','BillingMode':'PAY_PER_REQUEST','AttributeDefinitions':[{'AttributeName':'b',"
		  "'AttributeType':'B'}],'KeySchema':[{'AttributeName':'b','KeyType':'HASH'}]}");
	wait_active("numbers");
	wait_active("bytes");
	be_limited("'ForAllValues:StringEquals':{'dynamodb:LeadingKeys':['150','AQI=']}");
	allow("GetItem", "{'TableName':'numbers','Key':{'n':{'N':'1.5E2'}}}");
	deny("GetItem", "{'TableName':'numbers','Key':{'n':{'N':'15'}}}");
	allow("GetItem", "{'TableName':'bytes','Key':{'b':{'B':'AQI='}}}");
	deny("GetItem", "{'TableName':'bytes','Key':{'b':{'B':'AQM='}}}");
}

static void
attributes_limit_what_is_spoken_of(void **state)
{
	static const struct {
		const char *operation, *good, *bad;
	} rows[] = {
	    {"GetItem", KEY ",'ProjectionExpression':'a.c, a.b[1]'", KEY ",'ProjectionExpression':'a, b'"},
	    {"GetItem", KEY ",'ProjectionExpression':'#x','ExpressionAttributeNames':{'#x':'a'}",
	     KEY ",'ProjectionExpression':'#x','ExpressionAttributeNames':{'#x':'b'}"},
	    {"GetItem", KEY ",'AttributesToGet':['a']", KEY ",'AttributesToGet':['a','b']"},
	    {"PutItem", "'Item':{'pk':{'S':'alice'},'a':{'S':'1'}}", "'Item':{'pk':{'S':'alice'},'b':{'S':'1'}}"},
	    {"PutItem", ITEM ",'ConditionExpression':'attribute_exists(a)'",
	     ITEM ",'ConditionExpression':'attribute_exists(b)'"},
	    {"PutItem", ITEM ",'Expected':{'pk':{'Exists':true,'Value':{'S':'alice'}}}",
	     ITEM ",'Expected':{'b':{'Exists':false}}"},
	    {"UpdateItem", KEY ",'UpdateExpression':'SET a = pk'", KEY ",'UpdateExpression':'SET a = b'"},
	    {"UpdateItem", KEY ",'UpdateExpression':'REMOVE a'", KEY ",'UpdateExpression':'REMOVE b'"},
	    {"UpdateItem", KEY ",'AttributeUpdates':{'a':{'Action':'DELETE'}}",
	     KEY ",'AttributeUpdates':{'b':{'Action':'DELETE'}}"},
	    {"DeleteItem", KEY ",'ConditionExpression':'size(a) < a'", KEY ",'ConditionExpression':'size(a) < b'"},
	    {"Query",
	     "'KeyConditionExpression':'pk = :p','FilterExpression':'a = "
	     ":p','ExpressionAttributeValues':{':p':{'S':'x'}}",
	     "'KeyConditionExpression':'pk = :p','FilterExpression':'b = "
	     ":p','ExpressionAttributeValues':{':p':{'S':'x'}}"},
	    {"Scan", "'FilterExpression':'attribute_exists(a)'", "'FilterExpression':'attribute_exists(b)'"},
	    {"Scan", "'ScanFilter':{'a':{'ComparisonOperator':'NULL'}}",
	     "'ScanFilter':{'b':{'ComparisonOperator':'NULL'}}"},
	};
	char body[500];

	(void)state;
	be_limited("'ForAllValues:StringEquals':{'dynamodb:Attributes':['pk','a']}");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(body, sizeof body, "{'TableName':'hash',%s}", rows[i].good);
		allow(rows[i].operation, body);
		snprintf(body, sizeof body, "{'TableName':'hash',%s}", rows[i].bad);
		deny(rows[i].operation, body);
	}
	deny("BatchGetItem", "{'RequestItems':{'hash':{'Keys':[{'pk':{'S':'a'}}],'ProjectionExpression':'b'}}}");
	deny("BatchWriteItem", "{'RequestItems':{'hash':[{'PutRequest':{'Item':{'pk':{'S':'a'},'b':{'S':'a'}}}}]}}");
	allow("ExecuteStatement", "{'Statement':'SELECT a FROM hash WHERE pk=\\u0027alice\\u0027'}");
	deny("ExecuteStatement", "{'Statement':'SELECT b FROM hash WHERE pk=\\u0027alice\\u0027'}");
	deny("ExecuteStatement", "{'Statement':'SELECT a FROM hash WHERE pk=\\u0027alice\\u0027 AND b=1'}");
	deny("ExecuteStatement", "{'Statement':'SELECT a FROM hash WHERE b=1'}");
	deny("ExecuteStatement", "{'Statement':'UPDATE hash SET b=1 WHERE pk=\\u0027alice\\u0027'}");
	deny("ExecuteStatement", "{'Statement':'UPDATE hash SET a=1 WHERE pk=\\u0027alice\\u0027 AND b=1'}");
	deny("ExecuteStatement",
	     "{'Statement':'INSERT INTO hash VALUE {\\u0027pk\\u0027:\\u0027x\\u0027,\\u0027b\\u0027:1}'}");
	allow("ExecuteStatement",
	      "{'Statement':'INSERT INTO hash VALUE {\\u0027pk\\u0027:\\u0027alice\\u0027,\\u0027a\\u0027:1}'}");
}

static void
select_and_return_values_are_seen(void **state)
{
	(void)state;
	be_limited("'StringEqualsIfExists':{'dynamodb:Select':'SPECIFIC_ATTRIBUTES'}");
	deny("GetItem", "{'TableName':'hash'," KEY "}");
	allow("GetItem", "{'TableName':'hash'," KEY ",'ProjectionExpression':'a'}");
	deny("Scan", "{'TableName':'hash'}");
	deny("Scan", "{'TableName':'hash','Select':'COUNT'}");
	allow("Scan", "{'TableName':'hash','ProjectionExpression':'a'}");
	allow("Scan", "{'TableName':'hash','AttributesToGet':['a']}");
	deny("Scan", "{'TableName':'composite','IndexName':'glo'}");
	deny("BatchGetItem", "{'RequestItems':{'hash':{'Keys':[{'pk':{'S':'a'}}]}}}");
	allow("PutItem", "{'TableName':'hash'," ITEM "}");
	deny("ExecuteStatement", "{'Statement':'SELECT * FROM hash'}");
	allow("ExecuteStatement", "{'Statement':'SELECT a FROM hash'}");
	be_limited("'StringEquals':{'dynamodb:Select':'ALL_PROJECTED_ATTRIBUTES'}");
	allow("Scan", "{'TableName':'composite','IndexName':'glo'}");
	deny("Scan", "{'TableName':'composite'}");

	be_limited("'StringEqualsIfExists':{'dynamodb:ReturnValues':['NONE','UPDATED_NEW']}");
	allow("UpdateItem", "{'TableName':'hash'," KEY "}");
	allow("UpdateItem", "{'TableName':'hash'," KEY ",'ReturnValues':'UPDATED_NEW'}");
	deny("UpdateItem", "{'TableName':'hash'," KEY ",'ReturnValues':'ALL_OLD'}");
	deny("PutItem", "{'TableName':'hash'," ITEM ",'ReturnValues':'ALL_OLD'}");
	deny("PutItem", "{'TableName':'hash'," ITEM ",'ReturnValuesOnConditionCheckFailure':'ALL_OLD'}");
	deny("TransactWriteItems", "{'TransactItems':[{'Put':{'TableName':'hash'," ITEM
				   ",'ReturnValuesOnConditionCheckFailure':'ALL_OLD'}}]}");
	allow("TransactWriteItems", "{'TransactItems':[{'Put':{'TableName':'hash'," ITEM "}}]}");
	allow("GetItem", "{'TableName':'hash'," KEY "}");
	deny("ExecuteStatement", "{'Statement':'DELETE FROM hash WHERE pk=\\u0027x\\u0027 RETURNING ALL OLD *'}");
	allow("ExecuteStatement",
	      "{'Statement':'UPDATE hash SET a=1 WHERE pk=\\u0027alice\\u0027 RETURNING MODIFIED NEW *'}");

	be_limited("'StringEquals':{'dynamodb:ReturnConsumedCapacity':'NONE'}");
	allow("GetItem", "{'TableName':'hash'," KEY "}");
	deny("GetItem", "{'TableName':'hash'," KEY ",'ReturnConsumedCapacity':'TOTAL'}");
}

static void
transactions_and_scans_are_seen(void **state)
{
	(void)state;
	be_limited(
	    "'ForAnyValue:StringEquals':{'dynamodb:EnclosingOperation':['TransactWriteItems','ExecuteTransaction']}");
	allow("TransactWriteItems", "{'TransactItems':[{'Put':{'TableName':'hash'," ITEM "}}]}");
	deny("TransactGetItems", "{'TransactItems':[{'Get':{'TableName':'hash'," KEY "}}]}");
	deny("PutItem", "{'TableName':'hash'," ITEM "}");
	allow("ExecuteTransaction",
	      "{'TransactStatements':[{'Statement':'UPDATE hash SET a=1 WHERE pk=\\u0027alice\\u0027'}]}");
	deny("ExecuteStatement", "{'Statement':'UPDATE hash SET a=1 WHERE pk=\\u0027alice\\u0027'}");

	be_limited("'BoolIfExists':{'dynamodb:FullTableScan':'false'}");
	allow("ExecuteStatement", "{'Statement':'SELECT * FROM hash WHERE pk=\\u0027alice\\u0027'}");
	deny("ExecuteStatement", "{'Statement':'SELECT * FROM hash'}");
	deny("ExecuteStatement", "{'Statement':'SELECT * FROM hash WHERE a=1'}");
	deny("ExecuteStatement", "{'Statement':'SELECT * FROM nothing WHERE pk=1'}");
	allow("ExecuteStatement", "{'Statement':'DELETE FROM hash WHERE pk=\\u0027x\\u0027'}");
}

static void
the_caller_is_seen(void **state)
{
	static const char *const hold[] = {
	    "'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}",
	    "'Bool':{'aws:SecureTransport':'false'}",
	    "'StringEquals':{'aws:username':'alice','aws:PrincipalType':'User','aws:PrincipalAccount':'" ACCOUNT
	    "','aws:RequestedRegion':'us-east-1','aws:ResourceAccount':'" ACCOUNT "'}",
	    "'ArnEquals':{'aws:PrincipalArn':'" ALICE "'}",
	    "'DateGreaterThan':{'aws:CurrentTime':'2020-01-01T00:00:00Z'}",
	    "'NumericGreaterThan':{'aws:EpochTime':'1600000000'}",
	    "'Bool':{'aws:ViaAWSService':'false'}",
	};
	static const char *const fail[] = {
	    "'NotIpAddress':{'aws:SourceIp':'10.0.0.0/8'}",
	    "'Bool':{'aws:SecureTransport':'true'}",
	    "'StringEquals':{'aws:username':'bob'}",
	    "'DateLessThan':{'aws:CurrentTime':'2020-01-01T00:00:00Z'}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof hold / sizeof *hold; i++) {
		be_limited(hold[i]);
		allow("ListTables", "{}");
	}
	for (size_t i = 0; i < sizeof fail / sizeof *fail; i++) {
		be_limited(fail[i]);
		deny("ListTables", "{}");
	}
}

/* ---- resource policies ---- */

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

/* ---- the credentials file ---- */

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
	    cmocka_unit_test(every_operation_is_here),
	    cmocka_unit_test(nothing_is_allowed_without_a_right),
	    cmocka_unit_test(an_operation_needs_exactly_its_rights),
	    cmocka_unit_test(administrators_may_do_everything),
	    cmocka_unit_test(an_explicit_deny_says_so),
	    cmocka_unit_test(requests_are_read_before_rights_are_looked_at),
	    cmocka_unit_test(leading_keys_limit_every_access),
	    cmocka_unit_test(numbers_and_bytes_have_a_text),
	    cmocka_unit_test(attributes_limit_what_is_spoken_of),
	    cmocka_unit_test(select_and_return_values_are_seen),
	    cmocka_unit_test(transactions_and_scans_are_seen),
	    cmocka_unit_test(the_caller_is_seen),
	    cmocka_unit_test_teardown(a_table_lets_in_whom_it_names, reset),
	    cmocka_unit_test_teardown(a_tables_deny_wins, reset),
	    cmocka_unit_test_teardown(conditions_of_a_table_see_the_request, reset),
	    cmocka_unit_test_teardown(indexes_go_by_their_tables_policy, reset),
	    cmocka_unit_test_teardown(another_account_needs_both, reset),
	    cmocka_unit_test_teardown(nobody_locks_himself_out_by_mistake, reset),
	    cmocka_unit_test(arns_of_policies_are_checked),
	    cmocka_unit_test(documents_of_policies_are_checked),
	    cmocka_unit_test(a_table_is_born_with_its_policy),
	    cmocka_unit_test(credentials_are_read),
	    cmocka_unit_test(wrong_credentials_are_told_with_their_place),
	};

	return cmocka_run_group_tests(tests, up, down);
}
