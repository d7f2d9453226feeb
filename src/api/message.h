/*
 * DynamoDB's words, all in one place. Formats take what their arguments say; statuses are those of base/status.h.
 * What the newer wording tells in other words stands in base/wording.h instead.
 * Expressions, numbers, items and keys word their own errors in their rooms.
 */
#ifndef STATOR_API_MESSAGE_H
#define STATOR_API_MESSAGE_H

/* ---- constraints of the model ---- */
#define MSG_DETECTED        "%d validation error%s detected: %s"
#define MSG_NULL            "Member must not be null"
#define MSG_DETECTED_NULL   "1 validation error detected: Value null at '%s' failed to satisfy constraint: " MSG_NULL
#define MSG_AT_LEAST_LENGTH "Member must have length greater than or equal to %lld"
#define MSG_AT_MOST_LENGTH  "Member must have length less than or equal to %lld"
#define MSG_AT_LEAST        "Member must have value greater than or equal to %lld"
#define MSG_AT_MOST         "Member must have value less than or equal to %lld"
#define MSG_PATTERN         "Member must satisfy regular expression pattern: "
#define MSG_NAME_PATTERN    MSG_PATTERN "[a-zA-Z0-9_.-]+"
#define MSG_ENUM            "Member must satisfy enum value set: "
#define MSG_MAP_KEYS                                                                                                   \
	"Map keys must satisfy constraint: [Member must have length less than or equal to 255, Member must have "      \
	"length greater "                                                                                              \
	"than or equal to 3, Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]"
#define MSG_MAP_VALUES                                                                                                 \
	"Map value must satisfy constraint: [Member must have length less than or equal to %lld, Member must have "    \
	"length "                                                                                                      \
	"greater than or equal to 1]"
#define MSG_PARAMETER_REQUIRED "The parameter '%s' is required but was not present in the request"
#define MSG_QUERY_LIMIT                                                                                                \
	"1 validation error detected: Value at 'Limit' failed to satisfy constraint: Member must have value greater "  \
	"than or equal to 1"
#define MSG_BATCH_KEYS                                                                                                 \
	"1 validation error detected: Value at 'RequestItems.%.*s.member.Keys' failed to satisfy constraint: Member "  \
	"must have "                                                                                                   \
	"length less than or equal to 100"

/* ---- JSON of the wrong type ---- */
#define MSG_CANNOT_CONVERT    "%s cannot be converted to %s"
#define MSG_UNEXPECTED_TOKEN  "Unexpected token received from parser"
#define MSG_COLLECTION        "Unrecognized collection type class java.lang.%s"
#define MSG_COLLECTION_STRUCT "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.%s"
#define MSG_COLLECTION_MAP    "Unrecognized collection type java.util.Map<java.lang.String, %s%s>"
#define MSG_COLLECTION_LISTS                                                                                           \
	"Unrecognized collection type java.util.Map<java.lang.String, "                                                \
	"java.util.List<com.amazonaws.dynamodb.v20120810.%s>>"
/* a list or map as an element of another, where something else stands */
#define MSG_CAST                                                                                                       \
	"class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class "  \
	"(sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module java.base "   \
	"of loader 'bootstrap')"
#define MSG_STRUCTURE  "Start of structure or map found where not expected"
#define MSG_FIELD_TYPE "Unexpected field type"
#define MSG_VALUE_TYPE "Unexpected value type in payload"

/* ---- requests ---- */
#define MSG_MIXED                                                                                                      \
	"Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "   \
	"{%s} "                                                                                                        \
	"Expression parameters: {%s}"
#define MSG_NAMES_WITHOUT         "ExpressionAttributeNames can only be specified when using expressions"
#define MSG_DUPLICATE_ATTRIBUTE   "One or more parameter values were invalid: Duplicate value in attribute name: %.*s"
#define MSG_RETURN_OLD_ONLY       "ReturnValues can only be ALL_OLD or NONE"
#define MSG_ITEM_TOO_BIG          "Item size has exceeded the maximum allowed size"
#define MSG_CONDITION_FAILED      "The conditional request failed"
#define MSG_NOT_FOUND             "Requested resource not found"
#define MSG_TABLE_NAMED_NOT_FOUND "Table not found: %.*s"
#define MSG_BAD_ARN               "Invalid TableArn: Invalid ResourceArn provided as input %.*s"
#define MSG_FOREIGN_ARN           "User: arn:aws:iam::%.*s:root is not authorized to perform: dynamodb:%s on resource: %.*s"
#define MSG_NOT_AUTHORIZED        "User: %.*s is not authorized to perform: %s:%s on resource: %.*s "
#define MSG_INTERNAL              "Internal server error"
#define MSG_THROTTLED             "Rate of requests exceeds the allowed throughput."
#define MSG_REFUSED               "%s is not offered by this version of Stator"
#define MSG_BACKUP_ARN            "Invalid Backup ARN"
#define MSG_BACKUP_NO_ARN         "Invalid Request: BackupArn is not valid"
#define MSG_NO_BACKUP             "Backup not found: %.*s"
#define MSG_NO_GLOBAL             "Global table with name: '%.*s' does not exist."
#define MSG_GLOBAL_LEGACY                                                                                              \
	"DynamoDB global tables version 2017.11.29 is not supported. We recommend using DynamoDB global tables "       \
	"version 2019.11.21, instead of version 2017.11.29 (Legacy)."
#define MSG_REFUSED_MEMBER "One or more parameter values were invalid: %s is not offered by this version of Stator"

/* ---- Query and Scan ---- */
#define MSG_NO_KEY_CONDITION                                                                                           \
	"Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
#define MSG_CONSISTENT_GLOBAL "Consistent reads are not supported on global secondary indexes"
#define MSG_START_KEY         "The provided starting key is invalid"
#define MSG_START_KEY_BECAUSE "The provided starting key is invalid: %s"
#define MSG_KEY_ELEMENT       "The provided key element does not match the schema"
#define MSG_FILTER_KEY        "%s can only contain non-primary key attributes: Primary key attribute: %.*s"
#define MSG_SELECT_ALL_GLOBAL                                                                                          \
	"One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary " \
	"index %.*s "                                                                                                  \
	"because its projection type is not ALL"
#define MSG_GLOBAL_NOT_PROJECTED                                                                                       \
	"One or more parameter values were invalid: Global secondary index %.*s does not project [%.*s]"
#define MSG_SELECT_PROJECTED    "ALL_PROJECTED_ATTRIBUTES can be used only when %s using an IndexName"
#define MSG_SELECT_NOT_SPECIFIC "Cannot specify the %s when choosing to get %s"
#define MSG_NO_TOTAL_SEGMENTS                                                                                          \
	"The TotalSegments parameter is required but was not present in the request when Segment parameter is present"
#define MSG_NO_SEGMENT                                                                                                 \
	"The Segment parameter is required but was not present in the request when parameter TotalSegments is present"
#define MSG_SEGMENT_TOO_BIG                                                                                            \
	"The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: %lld is not "     \
	"less than "                                                                                                   \
	"TotalSegments: %lld"

/* ---- batches ---- */
#define MSG_DUPLICATE_KEYS  "Provided list of item keys contains duplicates"
#define MSG_TOO_MANY_READS  "Too many items requested for the BatchGetItem call"
#define MSG_TOO_MANY_WRITES "Too many items requested for the BatchWriteItem call"
#define MSG_WRITE_REQUEST                                                                                              \
	"Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"

#define MSG_NESTED_KEY                                                                                                 \
	"Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: %s: %.*s"

/* ---- parameters older than expressions ---- */
#define MSG_OPERATOR_ALONE   "ConditionalOperator cannot be used without Filter or Expected"
#define MSG_OPERATOR_OF_ONE  "ConditionalOperator can only be used when Filter or Expected has two or more elements"
#define MSG_VALUES_TYPES     MSG_INVALID "AttributeValues inside AttributeValueList must be of same type"
#define MSG_COMPARISON_TYPE  MSG_INVALID "ComparisonOperator %s is not valid for %s AttributeValue type"
#define MSG_COMPARISON_COUNT MSG_INVALID "Invalid number of argument(s) for the %s ComparisonOperator"
#define MSG_BETWEEN_ORDER                                                                                              \
	"The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
#define MSG_KEY_CONDITION_COUNT "Conditions can be of length 1 or 2 only"
#define MSG_LEGACY_CONDITIONS   MSG_INVALID "Stator takes at most %d conditions in one parameter"
#define MSG_LEGACY_VALUES       MSG_INVALID "Stator takes at most %d values in the conditions of one parameter"
/* of Expected; all end in " for Attribute: x" */
#define MSG_VALUE_LIST        "Value and AttributeValueList cannot be used together"
#define MSG_EXISTS_COMPARISON "Exists and ComparisonOperator cannot be used together"
#define MSG_COMPARISON_VALUE  "Value or AttributeValueList must be used with ComparisonOperator: %s"
#define MSG_LIST_COMPARISON   "AttributeValueList can only be used with a ComparisonOperator"
#define MSG_EXISTS_VALUE      "Value must be provided when Exists is %s"
#define MSG_EXISTS_FALSE      "Value cannot be used when Exists is false"
#define MSG_UPDATE_VALUE      MSG_INVALID "Only DELETE action is allowed when no attribute value is specified"
#define MSG_DELETE_TYPE       MSG_INVALID "DELETE action with value is not supported for the type %s"
#define MSG_ADD_TYPE          MSG_INVALID "ADD action is not supported for the type %s"
#define MSG_UPDATE_TOO_BIG    "Item size to update has exceeded the maximum allowed size"
#define MSG_EMPTY_NAME        "Empty attribute name"
#define MSG_LONG_NAME         MSG_INVALID "Attribute name is too large, must be less than 65536 bytes"

/* ---- transactions ---- */
#define MSG_CANCELED          "Transaction cancelled, please refer cancellation reasons for specific reasons"
#define MSG_TRANSACT_ONE_ITEM "Transaction request cannot include multiple operations on one item"
#define MSG_TRANSACT_SEVERAL  "TransactItems can only contain one of Check, Put, Update or Delete"
#define MSG_TRANSACT_NOTHING  "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"
#define MSG_TRANSACT_TOO_BIG  "Transaction payload size cannot exceed 4194304 bytes"

/* ---- tables ---- */
#define MSG_INVALID "One or more parameter values were invalid: "
#define MSG_THROUGHPUT_ON_DEMAND                                                                                       \
	MSG_INVALID                                                                                                    \
	"Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
#define MSG_THROUGHPUT_MISSING                                                                                         \
	MSG_INVALID "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
#define MSG_UNITS_BOUNDS  "Given value %lld for %s is out of bounds"
#define MSG_NO_DEFINITION "Invalid KeySchema: Some index key attribute have no definition"
#define MSG_UNDEFINED_KEYS                                                                                             \
	MSG_INVALID "Some index key attributes are not defined in AttributeDefinitions. Keys: [%s], "                  \
		    "AttributeDefinitions: [%s]"
#define MSG_SAME_NAME    "Both the Hash Key and the Range Key element in the KeySchema have the same name"
#define MSG_FIRST_HASH   "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"
#define MSG_SECOND_RANGE "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"
#define MSG_KEY_COUNT                                                                                                  \
	MSG_INVALID "Number of attributes in KeySchema does not exactly match number of attributes defined in "        \
		    "AttributeDefinitions"
#define MSG_UNUSED_DEFINITIONS                                                                                         \
	MSG_INVALID "Some AttributeDefinitions are not used. AttributeDefinitions: [%s], keys used: [%s]"
#define MSG_DUPLICATE_DEFINITION "Attribute Name is duplicated: %.*s"
#define MSG_LSI_EMPTY            MSG_INVALID "List of LocalSecondaryIndexes is empty"
#define MSG_GSI_EMPTY            MSG_INVALID "List of GlobalSecondaryIndexes is empty"
#define MSG_LSI_NO_RANGE                                                                                               \
	MSG_INVALID "Table KeySchema does not have a range key, which is required when specifying a "                  \
		    "LocalSecondaryIndex"
#define MSG_LSI_INDEX_RANGE MSG_INVALID "Index KeySchema does not have a range key for index: %.*s"
#define MSG_LSI_HASH                                                                                                   \
	MSG_INVALID "Index KeySchema does not have the same leading hash key as table KeySchema for index: %.*s. "     \
		    "index hash key: "                                                                                 \
		    "%.*s, table hash key: %.*s"
#define MSG_LSI_COUNT            MSG_INVALID "Number of LocalSecondaryIndexes exceeds per-table limit of 5"
#define MSG_GSI_COUNT            MSG_INVALID "GlobalSecondaryIndex count exceeds the per-table limit of 20"
#define MSG_PROJECTION_NULL      MSG_INVALID "Unknown ProjectionType: null"
#define MSG_PROJECTION_EXTRA     MSG_INVALID "ProjectionType is %s, but NonKeyAttributes is specified"
#define MSG_PROJECTION_NONE      MSG_INVALID "ProjectionType is INCLUDE, but NonKeyAttributes is not specified"
#define MSG_PROJECTION_DUPLICATE MSG_INVALID "Duplicate element in NonKeyAttributes: %.*s"
#define MSG_PROJECTION_TOTAL                                                                                           \
	MSG_INVALID "Number of NonKeyAttributes over all indexes exceeds the per-table limit of 100"
#define MSG_DUPLICATE_INDEX MSG_INVALID "Duplicate index name: %.*s"
#define MSG_INDEX_THROUGHPUT                                                                                           \
	MSG_INVALID "ProvisionedThroughput should not be specified for index: %.*s when BillingMode is "               \
		    "PAY_PER_REQUEST"
#define MSG_INDEX_NO_THROUGHPUT MSG_INVALID "ProvisionedThroughput is not specified for index: %.*s"
#define MSG_KEY_SCHEMA_LENGTH   MSG_INVALID "The KeySchema exceeds the maximum allowed number of %s key attributes"
#define MSG_KEY_SCHEMA_ORDER    MSG_INVALID "All HASH key attributes must precede RANGE key attributes in the KeySchema"
#define MSG_ON_DEMAND_PROVISIONED                                                                                      \
	MSG_INVALID "%s for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED"
/* "table", or "index : " and its name */
#define MSG_ON_DEMAND_VALUE MSG_INVALID "Requested %s for OnDemandThroughput for %s%.*s is outside of valid range"
/* "table", or "index " and its name */
#define MSG_WARM_INITIAL                                                                                               \
	MSG_INVALID "Requested %s for WarmThroughput for %s%.*s is lower than initial throughput for OnDemand. See: "  \
		    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/"                                \
		    "on-demand-capacity-mode.html#on-demand-capacity-mode-initial"
#define MSG_WARM_PROVISIONED                                                                                           \
	MSG_INVALID "Requested %s for WarmThroughput for %s%.*s is lower than %s of ProvisionedThroughput"
#define MSG_WARM_EMPTY                                                                                                 \
	MSG_INVALID "WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond specified "    \
		    "for index: %.*s"
#define MSG_UPDATE_NOTHING                                                                                             \
	"At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, "       \
	"SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, "  \
	"DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required"
#define MSG_UPDATE_ALONE MSG_INVALID "%s must be the only operation in the request"
#define MSG_UPDATE_ON_DEMAND                                                                                           \
	MSG_INVALID "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request"
#define MSG_UPDATE_WARM_INDEX                                                                                          \
	MSG_INVALID "Create global secondary index cannot be specified when updating WarmThroughput"
#define MSG_UPDATE_STREAM       MSG_INVALID "You cannot modify stream status while updating table IOPS"
#define MSG_UPDATE_INDEX        MSG_INVALID "You cannot create or delete index while %s"
#define MSG_UPDATE_ENCRYPTED    MSG_INVALID "Table is already encrypted by default"
#define MSG_INDEX_UPDATES_EMPTY MSG_INVALID "List of GlobalSecondaryIndexUpdates is empty"
#define MSG_INDEX_DEFINITIONS   MSG_INVALID "AttributeDefinitions is not specified for index: %.*s"
#define MSG_UPDATE_BILLING      MSG_INVALID "ProvisionedThroughput must be specified when BillingMode is PROVISIONED"
#define MSG_INDEX_UPDATE_NULL                                                                                          \
	MSG_INVALID "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "                    \
		    "GlobalSecondaryIndexUpdate.Delete must not be null"
#define MSG_INDEX_UPDATE_SEVERAL                                                                                       \
	MSG_INVALID "Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object"
#define MSG_INDEX_UPDATE_TWICE                                                                                         \
	MSG_INVALID "Only one global secondary index update per index is allowed simultaneously. Index: %.*s"
#define MSG_ONE_INDEX_CHANGE                                                                                           \
	"Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
/* "UpdateViewType" is the service's word for StreamViewType */
#define MSG_STREAM_CREATE_VIEW MSG_INVALID "Table is being created with a stream enabled, UpdateViewType is required"
#define MSG_STREAM_CREATE_NO_VIEW                                                                                      \
	MSG_INVALID "Table is being created with a stream disabled, UpdateViewType should not be specified"
#define MSG_STREAM_VIEW    MSG_INVALID "If stream is being enabled then UpdateViewType is required"
#define MSG_STREAM_NO_VIEW MSG_INVALID "If stream is being disabled, then UpdateViewType must not be specified"

/* ---- streams ---- */
#define MSG_STREAM_ARN       "Invalid StreamArn"
#define MSG_SHARD_FILTER     "ShardFilter must have both Type and ShardId"
#define MSG_SEQUENCE_MISSING "SequenceNumber must be specified when ShardIteratorType is %s"
#define MSG_SEQUENCE_EXTRA   "SequenceNumber must not be specified when ShardIteratorType is %s"
#define MSG_ITERATOR_EXPIRED                                                                                           \
	"The shard iterator has expired and can no longer be used to retrieve stream records. A shard iterator "       \
	"expires 15 minutes after it is retrieved using the GetShardIterator action."

/* ---- resource policies ---- */
#define MSG_POLICY_NO_ARN    MSG_INVALID "ARNs must start with 'arn:': %.*s"
#define MSG_POLICY_BAD_ARN   MSG_INVALID "Invalid resource Arn: %.*s"
#define MSG_POLICY_OTHER_ARN MSG_INVALID "Provided Arn is not a DynamoDB resource arn: %.*s"
#define MSG_POLICY_OTHER_ACCOUNT                                                                                       \
	"This action is only supported by accounts that match the resource owner\u2019s account."
#define MSG_POLICY_INDEX_ARN                                                                                           \
	MSG_INVALID "Invalid resource arn provided, only table or stream is accepted. Provided resource arn: %.*s"
#define MSG_POLICY_NO_STREAM "Requested resource not found: Stream: %.*s not found for Table: %.*s"
#define MSG_POLICY_SIZE      MSG_INVALID "Maximum policy size of %d bytes exceeded"
#define MSG_POLICY_DOCUMENT  MSG_INVALID "Invalid policy document: %s"
#define MSG_POLICY_PRINCIPAL MSG_INVALID "Invalid principal in policy document."
#define MSG_POLICY_UNBOUNDED                                                                                           \
	"Resource-based policy grants unbounded access in one or more elements. Please revise the policy to ensure "   \
	"least-privilege form of access"
#define MSG_POLICY_LOCK_OUT "The new resource policy will not allow you to update the resource policy in the future."
#define MSG_NO_POLICY       "Resource-based policy not found for the provided ResourceArn: %.*s"
#define MSG_TABLE_NOT_FOUND "Requested resource not found: Table: %.*s not found"

/* ---- vector indexes ---- */
#define MSG_VECTOR_BILLING      MSG_INVALID "Vector indexes are only supported for PAY_PER_REQUEST tables"
#define MSG_VECTOR_EMPTY        MSG_INVALID "List of VectorIndexes is empty"
#define MSG_VECTOR_COUNT        MSG_INVALID "VectorIndex count exceeds the per-table limit of %d"
#define MSG_VECTOR_DIMENSIONS   MSG_INVALID "Number of dimensions must be between 1 and %d inclusive."
#define MSG_VECTOR_SCHEMA_TWICE MSG_INVALID "SearchSchema contains a duplicate AttributeName"
#define MSG_VECTOR_SCHEMA_COUNT                                                                                        \
	MSG_INVALID "Value '%u' at 'SearchSchema' failed to satisfy constraint: Member must have %s count less than "  \
		    "or equal to %d"
#define MSG_VECTOR_SCHEMA_UNDEFINED MSG_INVALID "One element in SearchSchema is not defined in attribute definitions"
#define MSG_VECTOR_DEFINED                                                                                             \
	MSG_INVALID "Conflicting attribute definition for '%.*s'. An attribute cannot be defined in "                  \
		    "AttributeDefinitions when used as a VectorAttribute."
#define MSG_VECTOR_DIMENSIONS_DIFFER                                                                                   \
	MSG_INVALID "Conflicting attribute definition for '%.*s'. All VectorIndexes on the same vector attribute "     \
		    "must use the same dimensions."
#define MSG_VECTOR_PROJECTED                                                                                           \
	MSG_INVALID "Number of projected attributes, INLINE_FILTER attributes and the vector attribute of index: "     \
		    "%.*s exceeds the limit of %d"
#define MSG_VECTOR_UPDATE_NULL MSG_INVALID "One of VectorIndexUpdate.Create, VectorIndexUpdate.Delete must not be null"
#define MSG_VECTOR_UPDATE_SEVERAL                                                                                      \
	MSG_INVALID "Only one of VectorIndexUpdate.Create, VectorIndexUpdate.Delete must be specified"
#define MSG_QUERY_VECTOR   "Query operation not supported on this index type."
#define MSG_SEARCH_MISSING "missing field `%s` at line %u column %u"
#define MSG_SEARCH_NULL    "invalid type: null, expected %s at line %u column %u"
#define MSG_SEARCH_SHORT                                                                                               \
	"1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have length greater "    \
	"than or equal to %d"
#define MSG_SEARCH_LONG                                                                                                \
	"1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have length less than "  \
	"or equal to %d"
#define MSG_SEARCH_TOP_LOW                                                                                             \
	"1 validation error detected: Value at 'TopK' failed to satisfy constraint: Member must have value greater "   \
	"than or equal to 1"
#define MSG_SEARCH_TOP_HIGH                                                                                            \
	"Provided TopK value '%lld' is out of valid range. The value must be between 1 and %d inclusive"
#define MSG_SEARCH_VALUES                                                                                              \
	"Search vector contains invalid values. All values in the search vector must be a 32-bit floating-point "      \
	"number attribute"
#define MSG_SEARCH_DIMENSIONS   "Input search vector dimension %u does not match vector index dimension %u"
#define MSG_SEARCH_NO_CONDITION "SearchConditionExpression must be provided when SearchSchema has a HASH key"
#define MSG_SEARCH_NO_HASH      "SearchConditionExpression must have all HASH attributes"
#define MSG_SEARCH_FOREIGN                                                                                             \
	"SearchConditionExpression must not contain any attributes that is not in SearchSchema. Invalid attribute: "   \
	"%.*s"
#define MSG_SEARCH_TYPE                                                                                                \
	"Type of '%.*s' attribute in SearchConditionExpression (%s) does not match type in search schema (%s)"
#define MSG_SEARCH_EMPTY_KEY                                                                                           \
	"One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "  \
	"%s value. Key: %.*s"

#define MSG_INSIGHTS_RULES                                                                                             \
	"Amazon CloudWatch Contributor Insights rule limit reached. Please disable Contributor Insights for other "    \
	"tables/indexes OR disable other CloudWatch Contributor Insights rules before retrying."

/* ---- tags ---- */
#define MSG_NO_ARN        "Invalid TableArn"
#define MSG_NEXT_TOKEN    "Invalid NextToken"
#define MSG_NO_TAGS       "Atleast one Tag needs to be provided as Input."
#define MSG_NO_TAG_KEYS   "Atleast one Tag Key needs to be provided as Input."
#define MSG_TOO_MANY_TAGS "Number of Tags exceed the current limit for the provided ResourceArn"
#define MSG_DUPLICATE_TAG "Duplicate Tag Keys provided as input: Duplicate Tag Key found %.*s"
#define MSG_AWS_TAG       "Tag Key cannot be prefixed with aws:, Key: %.*s"
#define MSG_TAG_KEY       "The Tag Key provided is invalid, Key: %.*s"
#define MSG_TAG_VALUE     "The Tag Value provided is invalid, Value: %.*s"

/* ---- PartiQL ---- */
#define MSG_TOKEN_MISMATCH "NextToken does not match request"
#define MSG_FILTER_NOT_PROJECTED                                                                                       \
	MSG_INVALID "Secondary index %.*s does not project one or more filter attributes: [%.*s]"
#define MSG_NO_INDEX         "The table does not have the specified index"
#define MSG_STRONG_GLOBAL    "Strongly consistent read is not supported on Global Secondary Indexes"
#define MSG_EXISTS_ALONE     "EXISTS can only be used in ExecuteTransaction write requests."
#define MSG_DUPLICATE_ITEM   "Duplicate primary key exists in table"
#define MSG_NESTING          "Nesting Levels have exceeded supported limits"
#define MSG_STATEMENTS_MIXED "Read and write requests together in the same batch is not supported."
#define MSG_BATCH_SELECT                                                                                               \
	"Select statements within BatchExecuteStatement must specify the primary key in the where clause."
#define MSG_SEVERAL_KEY_ATTRS                                                                                          \
	"PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE "     \
	"keys."
/* of ExecuteTransaction; all but MSG_TRANSACT_MIXED behind MSG_IN_STATEMENT */
#define MSG_IN_STATEMENT    "Validation failed in TransactStatements[%zu]: %s"
#define MSG_TRANSACT_MIXED  "ExecuteTransaction API does not support both read and write operations in the same request."
#define MSG_TRANSACT_RETURN "RETURNING clause is not supported in ExecuteTransaction."
#define MSG_TRANSACT_INDEX  "Reads on indices are not supported within transactions."
#define MSG_TRANSACT_SELECT                                                                                            \
	"Select statements within ExecuteTransaction must specify the primary key in the where clause."
#define MSG_TRANSACT_EXISTS "EXISTS() must contain a single item read with additional condition"

#endif
