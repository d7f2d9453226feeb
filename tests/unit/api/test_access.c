/* Who may do what: every operation, every kind of resource, and what conditions see of a request. */
#include "callers.h"

#define STREAMS "DynamoDBStreams_20120810."
#define STREAM  TABLE "hash/stream/2026-01-01T00:00:00.000"

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
	};

	return cmocka_run_group_tests(tests, up, down);
}
