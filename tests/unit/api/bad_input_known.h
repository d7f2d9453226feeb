/*
 * Where the service does otherwise than its API model says, as the conformance suites know it, and where nobody has
 * measured what it says.
 *
 * LIMITS_OF(shape, member, min, max, pattern): other constraints than the model's, of all members of that shape or of
 * one; -1 and NULL: none. REQUIRED(shape, member). SAYS(operation, path, what, message): the whole message, in the
 * classic wording. SAYS_2026: in the newer one; it counts before SAYS. UNKNOWN(operation, path, what, why): not tested.
 * Operations, paths (those of model_members.h) and what is wrong may be "*" or end in it; the first row that fits
 * counts.
 */
#define AT_LEAST(n) " failed to satisfy constraint: Member must have length greater than or equal to " #n
#define ONE         "1 validation error detected: "

/* ---- tables ---- */

/* The model takes ARNs up to 1,024 characters; what is none is held to the rules of names, and an empty one to no
 * other. */
LIMITS_OF(TableArn, "TableName", 3, 255, "[a-zA-Z0-9_.-]+")
SAYS_2026("PutItem", "TableName", "empty", ONE "Value at 'TableName'" AT_LEAST(1))
SAYS_2026("UpdateItem", "TableName", "empty", ONE "Value at 'TableName'" AT_LEAST(1))
SAYS_2026("DeleteItem", "TableName", "empty", ONE "Value at 'TableName'" AT_LEAST(1))
SAYS_2026("GetItem", "TableName", "empty", ONE "Value at 'TableName'" AT_LEAST(1))
SAYS_2026("Query", "TableName", "empty", ONE "Value at 'TableName'" AT_LEAST(1))
/* measured of DescribeTable in October 2026; taken for all that ask for a table's name in the same words */
#define NO_TABLE_NAME                                                                                                  \
	"2 validation errors detected: Value '' at 'tableName'" AT_LEAST(                                              \
	    3) "; Value '' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression "       \
	       "pattern: [a-zA-Z0-9_.-]+"
SAYS("CreateTable", "TableName", "empty", NO_TABLE_NAME)
SAYS("DeleteTable", "TableName", "empty", NO_TABLE_NAME)
SAYS("DescribeTable", "TableName", "empty", NO_TABLE_NAME)
SAYS("UpdateTable", "TableName", "empty", NO_TABLE_NAME)
SAYS("DescribeTimeToLive", "TableName", "empty", NO_TABLE_NAME)
SAYS("UpdateTimeToLive", "TableName", "empty", NO_TABLE_NAME)
SAYS("DescribeContinuousBackups", "TableName", "empty", NO_TABLE_NAME)
SAYS("DescribeContributorInsights", "TableName", "empty", NO_TABLE_NAME)
SAYS("UpdateContributorInsights", "TableName", "empty", NO_TABLE_NAME)
SAYS("DescribeKinesisStreamingDestination", "TableName", "empty", NO_TABLE_NAME)
SAYS("DynamoDBStreams*", "TableName", "empty",
     "2 validation errors detected: Value '' at 'tableName' failed to satisfy constraint: Member must satisfy regular "
     "expression pattern: [a-zA-Z0-9_.-]+; Value '' at 'tableName'" AT_LEAST(3))
SAYS("*", "TableName", "empty", ONE "Value '' at 'tableName'" AT_LEAST(1))
UNKNOWN("Transact*", "*.TableName", "empty", "not measured; as elsewhere, one failure")
UNKNOWN("ImportTable", "TableCreationParameters.TableName", "empty", "not measured")
#define NO_NAME "The parameter 'TableName' is required but was not present in the request"
SAYS("CreateTable", "TableName", "missing", NO_NAME)
SAYS("CreateTable", "TableName", "null", NO_NAME)
SAYS("DeleteTable", "TableName", "missing", NO_NAME)
SAYS("DeleteTable", "TableName", "null", NO_NAME)
SAYS("DescribeTable", "TableName", "missing", NO_NAME)
SAYS("DescribeTable", "TableName", "null", NO_NAME)
SAYS("DescribeTimeToLive", "TableName", "missing", NO_NAME)
SAYS("DescribeTimeToLive", "TableName", "null", NO_NAME)
SAYS("UpdateTable", "TableName", "missing", NO_NAME)
SAYS("UpdateTable", "TableName", "null", NO_NAME)
UNKNOWN("DescribeContinuousBackups", "TableName", "missing", "not measured; as DescribeTimeToLive")
UNKNOWN("DescribeContinuousBackups", "TableName", "null", "not measured; as DescribeTimeToLive")
UNKNOWN("DescribeContributorInsights", "TableName", "missing", "not measured; as DescribeTimeToLive")
UNKNOWN("DescribeContributorInsights", "TableName", "null", "not measured; as DescribeTimeToLive")
UNKNOWN("UpdateContributorInsights", "TableName", "missing", "not measured; as DescribeTimeToLive")
UNKNOWN("UpdateContributorInsights", "TableName", "null", "not measured; as DescribeTimeToLive")
UNKNOWN("UpdateTimeToLive", "TableName", "missing", "not measured; as DescribeTimeToLive")
UNKNOWN("UpdateTimeToLive", "TableName", "null", "not measured; as DescribeTimeToLive")
UNKNOWN("DescribeKinesisStreamingDestination", "TableName", "missing", "not measured; as DescribeTimeToLive")
UNKNOWN("DescribeKinesisStreamingDestination", "TableName", "null", "not measured; as DescribeTimeToLive")
/* optional in the model since tables can be made from others' */
REQUIRED(CreateTableInput, "AttributeDefinitions")
REQUIRED(CreateTableInput, "KeySchema")
SAYS("CreateTable", "KeySchema", "missing",
     ONE "Value null at 'keySchema' failed to satisfy constraint: Member must not be null")

/* ---- items ---- */

LIMITS_OF(AttributeNameList, NULL, 1, 255, NULL)
UNKNOWN("*", "ExpressionAttributeNames{}", "too long", "told with the expressions")
UNKNOWN("*", "*ExpressionAttributeNames{}", "too long", "told with the expressions")
SAYS("Query", "Limit", "too low",
     ONE "Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1")
#define BATCH_EMPTY(op) "The requestItems parameter is required for " op
SAYS_2026("Batch*", "RequestItems", "empty", ONE "Value at 'RequestItems'" AT_LEAST(1))
SAYS("BatchGetItem", "RequestItems", "empty", BATCH_EMPTY("BatchGetItem"))
SAYS("BatchWriteItem", "RequestItems", "empty", BATCH_EMPTY("BatchWriteItem"))
UNKNOWN("BatchGetItem", "RequestItems", "too many", "not a constraint of the map: the keys are counted")
UNKNOWN("BatchWriteItem", "RequestItems", "too many", "not a constraint of the map: the requests are counted")
SAYS_2026("BatchGetItem", "RequestItems{}.Keys", "empty", ONE "Value at 'RequestItems.abc.member.Keys'" AT_LEAST(1))
SAYS("BatchGetItem", "RequestItems{}.Keys", "too many",
     ONE "Value at 'RequestItems.abc.member.Keys' failed to satisfy constraint: Member must have length less than or "
	 "equal to 100")
#define MAP_VALUES                                                                                                     \
	"' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have "      \
	"length "                                                                                                      \
	"less than or equal to 25, Member must have length greater than or equal to 1]"
SAYS("BatchWriteItem", "RequestItems{}", "empty", ONE "Value '{abc=[]}" MAP_VALUES)
UNKNOWN("BatchWriteItem", "RequestItems{}", "too many",
	"the same with all requests in it: test_shape.c, test_wording.c")
#define RETURN_VALUES                                                                                                  \
	"Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, "           \
	"UPDATE_NEW, NONE]"
SAYS_2026("PutItem", "ReturnValues", "no value*", ONE RETURN_VALUES)
SAYS_2026("UpdateItem", "ReturnValues", "no value*", ONE RETURN_VALUES)
SAYS_2026("DeleteItem", "ReturnValues", "no value*", ONE RETURN_VALUES)
#define OPERATOR "Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]"
SAYS_2026("PutItem", "ConditionalOperator", "no value*", ONE OPERATOR)
SAYS_2026("UpdateItem", "ConditionalOperator", "no value*", ONE OPERATOR)
SAYS_2026("DeleteItem", "ConditionalOperator", "no value*", ONE OPERATOR)
SAYS_2026("Query", "ConditionalOperator", "no value*", OPERATOR)
SAYS_2026("Transact*", "TransactItems", "empty", ONE "Value at 'TransactItems'" AT_LEAST(1))
SAYS_2026("Transact*", "TransactItems", "too many",
	  ONE
	  "Value at 'TransactItems' failed to satisfy constraint: Member must have length less than or equal to 100")
SAYS_2026("TransactWriteItems", "ClientRequestToken", "empty", ONE "Value at 'ClientRequestToken'" AT_LEAST(1))
SAYS_2026(
    "TransactWriteItems", "ClientRequestToken", "too long",
    ONE "Value at 'ClientRequestToken' failed to satisfy constraint: Member must have length less than or equal to 36")

/* ---- tags ---- */

SAYS("TagResource", "ResourceArn", "missing", "Invalid TableArn")
SAYS("TagResource", "ResourceArn", "null", "Invalid TableArn")
SAYS("TagResource", "ResourceArn", "empty", "Invalid TableArn")
SAYS("UntagResource", "ResourceArn", "missing", "Invalid TableArn")
SAYS("UntagResource", "ResourceArn", "null", "Invalid TableArn")
SAYS("UntagResource", "ResourceArn", "empty", "Invalid TableArn")
SAYS("ListTagsOfResource", "ResourceArn", "missing", "Invalid TableArn")
SAYS("ListTagsOfResource", "ResourceArn", "null", "Invalid TableArn")
SAYS("ListTagsOfResource", "ResourceArn", "empty", "Invalid TableArn")
UNKNOWN("*agResource", "ResourceArn", "too long", "told as an ARN that is none")
UNKNOWN("ListTagsOfResource", "ResourceArn", "too long", "told as an ARN that is none")

/* their keys and values are told by the operation, behind what is told of the ARN: test_table.c */
UNKNOWN("*", "Tags[].*", "missing", "told by the operation")
UNKNOWN("*", "Tags[].*", "null", "told by the operation")
UNKNOWN("*", "Tags[].*", "empty", "told by the operation")
UNKNOWN("*", "Tags[].*", "too long", "told by the operation")
UNKNOWN("*", "TagKeys[]", "empty", "told by the operation")
UNKNOWN("*", "TagKeys[]", "too long", "told by the operation")

/* ---- vectors: a front of its own, with words of its own (tests/integration/test_vectors.py) ---- */

#define VECTOR(path)                                                                                                   \
	UNKNOWN("SearchVectors", path, "missing", "its own words")                                                     \
	UNKNOWN("SearchVectors", path, "null", "its own words")                                                        \
	UNKNOWN("SearchVectors", path, "empty", "its own words")                                                       \
	UNKNOWN("SearchVectors", path, "short", "its own words")                                                       \
	UNKNOWN("SearchVectors", path, "against*", "its own words")                                                    \
	UNKNOWN("SearchVectors", path, "too *", "its own words")
VECTOR("TableName")
VECTOR("IndexName")
VECTOR("SearchVector")
VECTOR("TopK")
#undef VECTOR

/* ---- not measured ---- */

UNKNOWN("ImportTable", "InputFormatOptions.Csv.Delimiter", "too long", "breaks the pattern too")
UNKNOWN("ListImports", "NextToken", "too long", "1,025 digits are no multiple of 16")

#undef AT_LEAST
#undef ONE
#undef NO_NAME
#undef BATCH_EMPTY
#undef MAP_VALUES
#undef RETURN_VALUES
#undef OPERATOR
