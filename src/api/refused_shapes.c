/* The requests of what is not offered. Written by scripts/refused-shapes. */
#include "api/refused_shapes.h"

/* Nobody reads these structs but the checks: each member has a slot in which any type fits. */
#define SLOT 32
_Static_assert(sizeof(struct in_map) <= SLOT && sizeof(struct in_list) <= SLOT, "the largest members fit");
#define AT(slot, name_, type_, flags_, ...)                                                                            \
	{                                                                                                              \
		.name = (name_), .length = sizeof(name_) - 1, .type = (type_), .flags = (flags_),                      \
		.offset = (slot)*SLOT, ##__VA_ARGS__                                                                   \
	}

static const struct field fields_CreateBackupInput[] = {
    AT(0, "TableName", SHAPE_TABLE, FIELD_REQUIRED),
    AT(1, "BackupName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255)),
    FIELD_END,
};
const struct shape refused_CreateBackup = {"CreateBackupInput", 2 * SLOT, fields_CreateBackupInput};
static const struct field fields_Replica[] = {
    AT(0, "RegionName", SHAPE_STRING, 0),
    FIELD_END,
};
static const struct shape shape_Replica = {"Replica", 1 * SLOT, fields_Replica};
static const struct field element_ReplicaList =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_Replica);
static const struct field fields_CreateGlobalTableInput[] = {
    AT(0, "GlobalTableName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255)),
    AT(1, "ReplicationGroup", SHAPE_LIST, FIELD_REQUIRED, .element = &element_ReplicaList),
    FIELD_END,
};
const struct shape refused_CreateGlobalTable = {"CreateGlobalTableInput", 2 * SLOT, fields_CreateGlobalTableInput};
static const struct field fields_DeleteBackupInput[] = {
    AT(0, "BackupArn", SHAPE_STRING, FIELD_REQUIRED, LIMITS(37, 1024)),
    FIELD_END,
};
const struct shape refused_DeleteBackup = {"DeleteBackupInput", 1 * SLOT, fields_DeleteBackupInput};
static const struct field fields_DescribeBackupInput[] = {
    AT(0, "BackupArn", SHAPE_STRING, FIELD_REQUIRED, LIMITS(37, 1024)),
    FIELD_END,
};
const struct shape refused_DescribeBackup = {"DescribeBackupInput", 1 * SLOT, fields_DescribeBackupInput};
static const struct field fields_DescribeExportInput[] = {
    AT(0, "ExportArn", SHAPE_STRING, FIELD_REQUIRED, LIMITS(37, 1024)),
    FIELD_END,
};
const struct shape refused_DescribeExport = {"DescribeExportInput", 1 * SLOT, fields_DescribeExportInput};
static const struct field fields_DescribeGlobalTableInput[] = {
    AT(0, "GlobalTableName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255)),
    FIELD_END,
};
const struct shape refused_DescribeGlobalTable = {"DescribeGlobalTableInput", 1 * SLOT,
						  fields_DescribeGlobalTableInput};
static const struct field fields_DescribeGlobalTableSettingsInput[] = {
    AT(0, "GlobalTableName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255)),
    FIELD_END,
};
const struct shape refused_DescribeGlobalTableSettings = {"DescribeGlobalTableSettingsInput", 1 * SLOT,
							  fields_DescribeGlobalTableSettingsInput};
static const struct field fields_DescribeImportInput[] = {
    AT(0, "ImportArn", SHAPE_STRING, FIELD_REQUIRED, LIMITS(37, 1024)),
    FIELD_END,
};
const struct shape refused_DescribeImport = {"DescribeImportInput", 1 * SLOT, fields_DescribeImportInput};
static const struct field fields_DescribeTableReplicaAutoScalingInput[] = {
    AT(0, "TableName", SHAPE_TABLE, FIELD_REQUIRED),
    FIELD_END,
};
const struct shape refused_DescribeTableReplicaAutoScaling = {"DescribeTableReplicaAutoScalingInput", 1 * SLOT,
							      fields_DescribeTableReplicaAutoScalingInput};
static const char *const values_ApproximateCreationDateTimePrecision[] = {"MILLISECOND", "MICROSECOND", NULL};
static const struct field fields_EnableKinesisStreamingConfiguration[] = {
    AT(0, "ApproximateCreationDateTimePrecision", SHAPE_ENUM, 0, .values = values_ApproximateCreationDateTimePrecision),
    FIELD_END,
};
static const struct shape shape_EnableKinesisStreamingConfiguration = {"EnableKinesisStreamingConfiguration", 1 * SLOT,
								       fields_EnableKinesisStreamingConfiguration};
static const struct field fields_KinesisStreamingDestinationInput[] = {
    AT(0, "TableName", SHAPE_TABLE, FIELD_REQUIRED),
    AT(1, "StreamArn", SHAPE_STRING, FIELD_REQUIRED, LIMITS(37, 1024)),
    AT(2, "EnableKinesisStreamingConfiguration", SHAPE_STRUCT, 0, .shape = &shape_EnableKinesisStreamingConfiguration),
    FIELD_END,
};
const struct shape refused_DisableKinesisStreamingDestination = {"KinesisStreamingDestinationInput", 3 * SLOT,
								 fields_KinesisStreamingDestinationInput};
const struct shape refused_EnableKinesisStreamingDestination = {"KinesisStreamingDestinationInput", 3 * SLOT,
								fields_KinesisStreamingDestinationInput};
static const char *const values_S3SseAlgorithm[] = {"AES256", "KMS", NULL};
static const char *const values_ExportFormat[] = {"DYNAMODB_JSON", "ION", NULL};
static const char *const values_ExportType[] = {"FULL_EXPORT", "INCREMENTAL_EXPORT", NULL};
static const char *const values_ExportViewType[] = {"NEW_IMAGE", "NEW_AND_OLD_IMAGES", NULL};
static const struct field fields_IncrementalExportSpecification[] = {
    AT(0, "ExportFromTime", SHAPE_DOUBLE, 0),
    AT(1, "ExportToTime", SHAPE_DOUBLE, 0),
    AT(2, "ExportViewType", SHAPE_ENUM, 0, .values = values_ExportViewType),
    FIELD_END,
};
static const struct shape shape_IncrementalExportSpecification = {"IncrementalExportSpecification", 3 * SLOT,
								  fields_IncrementalExportSpecification};
static const struct field fields_ExportTableToPointInTimeInput[] = {
    AT(0, "TableArn", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, 1024)),
    AT(1, "ExportTime", SHAPE_DOUBLE, 0),
    AT(2, "ClientToken", SHAPE_STRING, 0, .pattern = PATTERN_NO_DOLLAR),
    AT(3, "S3Bucket", SHAPE_STRING, FIELD_REQUIRED, .pattern = PATTERN_BUCKET, LIMITS(0, 255)),
    AT(4, "S3BucketOwner", SHAPE_STRING, 0, .pattern = PATTERN_ACCOUNT),
    AT(5, "S3Prefix", SHAPE_STRING, 0, LIMITS(0, 1024)),
    AT(6, "S3SseAlgorithm", SHAPE_ENUM, 0, .values = values_S3SseAlgorithm),
    AT(7, "S3SseKmsKeyId", SHAPE_STRING, 0, LIMITS(1, 2048)),
    AT(8, "ExportFormat", SHAPE_ENUM, 0, .values = values_ExportFormat),
    AT(9, "ExportType", SHAPE_ENUM, 0, .values = values_ExportType),
    AT(10, "IncrementalExportSpecification", SHAPE_STRUCT, 0, .shape = &shape_IncrementalExportSpecification),
    FIELD_END,
};
const struct shape refused_ExportTableToPointInTime = {"ExportTableToPointInTimeInput", 11 * SLOT,
						       fields_ExportTableToPointInTimeInput};
static const struct field fields_S3BucketSource[] = {
    AT(0, "S3BucketOwner", SHAPE_STRING, 0, .pattern = PATTERN_ACCOUNT),
    AT(1, "S3Bucket", SHAPE_STRING, FIELD_REQUIRED, .pattern = PATTERN_BUCKET, LIMITS(0, 255)),
    AT(2, "S3KeyPrefix", SHAPE_STRING, 0, LIMITS(0, 1024)),
    FIELD_END,
};
static const struct shape shape_S3BucketSource = {"S3BucketSource", 3 * SLOT, fields_S3BucketSource};
static const char *const values_InputFormat[] = {"DYNAMODB_JSON", "ION", "CSV", NULL};
static const struct field element_CsvHeaderList =
    ELEMENT("member", SHAPE_STRING, FIELD_REQUIRED, .pattern = PATTERN_HEADER, LIMITS(1, 65536));
static const struct field fields_CsvOptions[] = {
    AT(0, "Delimiter", SHAPE_STRING, 0, .pattern = PATTERN_DELIMITER, LIMITS(1, 1)),
    AT(1, "HeaderList", SHAPE_LIST, 0, .element = &element_CsvHeaderList, LIMITS(1, 255)),
    FIELD_END,
};
static const struct shape shape_CsvOptions = {"CsvOptions", 2 * SLOT, fields_CsvOptions};
static const struct field fields_InputFormatOptions[] = {
    AT(0, "Csv", SHAPE_STRUCT, 0, .shape = &shape_CsvOptions),
    FIELD_END,
};
static const struct shape shape_InputFormatOptions = {"InputFormatOptions", 1 * SLOT, fields_InputFormatOptions};
static const char *const values_InputCompressionType[] = {"GZIP", "ZSTD", "NONE", NULL};
static const char *const values_ScalarAttributeType[] = {"S", "N", "B", NULL};
static const struct field fields_AttributeDefinition[] = {
    AT(0, "AttributeName", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, 255)),
    AT(1, "AttributeType", SHAPE_ENUM, FIELD_REQUIRED, .values = values_ScalarAttributeType),
    FIELD_END,
};
static const struct shape shape_AttributeDefinition = {"AttributeDefinition", 2 * SLOT, fields_AttributeDefinition};
static const struct field element_AttributeDefinitions =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_AttributeDefinition);
static const char *const values_KeyType[] = {"HASH", "RANGE", NULL};
static const struct field fields_KeySchemaElement[] = {
    AT(0, "AttributeName", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, 255)),
    AT(1, "KeyType", SHAPE_ENUM, FIELD_REQUIRED, .values = values_KeyType),
    FIELD_END,
};
static const struct shape shape_KeySchemaElement = {"KeySchemaElement", 2 * SLOT, fields_KeySchemaElement};
static const struct field element_KeySchema =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_KeySchemaElement);
static const char *const values_BillingMode[] = {"PROVISIONED", "PAY_PER_REQUEST", NULL};
static const struct field fields_ProvisionedThroughput[] = {
    AT(0, "ReadCapacityUnits", SHAPE_LONG, FIELD_REQUIRED, LIMITS(1, INT64_MAX)),
    AT(1, "WriteCapacityUnits", SHAPE_LONG, FIELD_REQUIRED, LIMITS(1, INT64_MAX)),
    FIELD_END,
};
static const struct shape shape_ProvisionedThroughput = {"ProvisionedThroughput", 2 * SLOT,
							 fields_ProvisionedThroughput};
static const struct field fields_OnDemandThroughput[] = {
    AT(0, "MaxReadRequestUnits", SHAPE_LONG, 0),
    AT(1, "MaxWriteRequestUnits", SHAPE_LONG, 0),
    FIELD_END,
};
static const struct shape shape_OnDemandThroughput = {"OnDemandThroughput", 2 * SLOT, fields_OnDemandThroughput};
static const char *const values_SSEType[] = {"AES256", "KMS", NULL};
static const struct field fields_SSESpecification[] = {
    AT(0, "Enabled", SHAPE_BOOL, 0),
    AT(1, "SSEType", SHAPE_ENUM, 0, .values = values_SSEType),
    AT(2, "KMSMasterKeyId", SHAPE_STRING, 0),
    FIELD_END,
};
static const struct shape shape_SSESpecification = {"SSESpecification", 3 * SLOT, fields_SSESpecification};
static const char *const values_ProjectionType[] = {"ALL", "KEYS_ONLY", "INCLUDE", NULL};
static const struct field element_NonKeyAttributeNameList =
    ELEMENT("member", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, 255));
static const struct field fields_Projection[] = {
    AT(0, "ProjectionType", SHAPE_ENUM, 0, .values = values_ProjectionType),
    AT(1, "NonKeyAttributes", SHAPE_LIST, 0, .element = &element_NonKeyAttributeNameList, LIMITS(1, 20)),
    FIELD_END,
};
static const struct shape shape_Projection = {"Projection", 2 * SLOT, fields_Projection};
static const struct field fields_WarmThroughput[] = {
    AT(0, "ReadUnitsPerSecond", SHAPE_LONG, 0),
    AT(1, "WriteUnitsPerSecond", SHAPE_LONG, 0),
    FIELD_END,
};
static const struct shape shape_WarmThroughput = {"WarmThroughput", 2 * SLOT, fields_WarmThroughput};
static const struct field fields_GlobalSecondaryIndex[] = {
    AT(0, "IndexName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255)),
    AT(1, "KeySchema", SHAPE_LIST, FIELD_REQUIRED, .element = &element_KeySchema, LIMITS(1, INT64_MAX)),
    AT(2, "Projection", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_Projection),
    AT(3, "ProvisionedThroughput", SHAPE_STRUCT, 0, .shape = &shape_ProvisionedThroughput),
    AT(4, "OnDemandThroughput", SHAPE_STRUCT, 0, .shape = &shape_OnDemandThroughput),
    AT(5, "WarmThroughput", SHAPE_STRUCT, 0, .shape = &shape_WarmThroughput),
    FIELD_END,
};
static const struct shape shape_GlobalSecondaryIndex = {"GlobalSecondaryIndex", 6 * SLOT, fields_GlobalSecondaryIndex};
static const struct field element_GlobalSecondaryIndexList =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_GlobalSecondaryIndex);
static const struct field fields_VectorAttributeDefinition[] = {
    AT(0, "AttributeName", SHAPE_STRING, FIELD_REQUIRED, LIMITS(1, 255)),
    FIELD_END,
};
static const struct shape shape_VectorAttributeDefinition = {"VectorAttributeDefinition", 1 * SLOT,
							     fields_VectorAttributeDefinition};
static const char *const values_SearchSchemaElementType[] = {"HASH", "INLINE_FILTER", NULL};
static const struct field fields_SearchSchemaElement[] = {
    AT(0, "AttributeName", SHAPE_STRING, FIELD_REQUIRED, LIMITS(0, 65535)),
    AT(1, "SearchSchemaElementType", SHAPE_ENUM, FIELD_REQUIRED, .values = values_SearchSchemaElementType),
    FIELD_END,
};
static const struct shape shape_SearchSchemaElement = {"SearchSchemaElement", 2 * SLOT, fields_SearchSchemaElement};
static const struct field element_SearchSchema =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_SearchSchemaElement);
static const char *const values_VectorDistanceFunction[] = {"COSINE", "DOT_PRODUCT", "EUCLIDEAN", NULL};
static const struct field fields_VectorIndex[] = {
    AT(0, "IndexName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255)),
    AT(1, "VectorAttribute", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_VectorAttributeDefinition),
    AT(2, "SearchSchema", SHAPE_LIST, 0, .element = &element_SearchSchema, LIMITS(1, INT64_MAX)),
    AT(3, "Projection", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_Projection),
    AT(4, "Dimensions", SHAPE_LONG, FIELD_REQUIRED, LIMITS(1, INT64_MAX)),
    AT(5, "DistanceFunction", SHAPE_ENUM, FIELD_REQUIRED, .values = values_VectorDistanceFunction),
    FIELD_END,
};
static const struct shape shape_VectorIndex = {"VectorIndex", 6 * SLOT, fields_VectorIndex};
static const struct field element_VectorIndexList =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_VectorIndex);
static const struct field fields_TableCreationParameters[] = {
    AT(0, "TableName", SHAPE_TABLE, FIELD_REQUIRED),
    AT(1, "AttributeDefinitions", SHAPE_LIST, FIELD_REQUIRED, .element = &element_AttributeDefinitions),
    AT(2, "KeySchema", SHAPE_LIST, FIELD_REQUIRED, .element = &element_KeySchema, LIMITS(1, INT64_MAX)),
    AT(3, "BillingMode", SHAPE_ENUM, 0, .values = values_BillingMode),
    AT(4, "ProvisionedThroughput", SHAPE_STRUCT, 0, .shape = &shape_ProvisionedThroughput),
    AT(5, "OnDemandThroughput", SHAPE_STRUCT, 0, .shape = &shape_OnDemandThroughput),
    AT(6, "SSESpecification", SHAPE_STRUCT, 0, .shape = &shape_SSESpecification),
    AT(7, "GlobalSecondaryIndexes", SHAPE_LIST, 0, .element = &element_GlobalSecondaryIndexList),
    AT(8, "VectorIndexes", SHAPE_LIST, 0, .element = &element_VectorIndexList),
    FIELD_END,
};
static const struct shape shape_TableCreationParameters = {"TableCreationParameters", 9 * SLOT,
							   fields_TableCreationParameters};
static const struct field fields_ImportTableInput[] = {
    AT(0, "ClientToken", SHAPE_STRING, 0, .pattern = PATTERN_NO_DOLLAR),
    AT(1, "S3BucketSource", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_S3BucketSource),
    AT(2, "InputFormat", SHAPE_ENUM, FIELD_REQUIRED, .values = values_InputFormat),
    AT(3, "InputFormatOptions", SHAPE_STRUCT, 0, .shape = &shape_InputFormatOptions),
    AT(4, "InputCompressionType", SHAPE_ENUM, 0, .values = values_InputCompressionType),
    AT(5, "TableCreationParameters", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_TableCreationParameters),
    FIELD_END,
};
const struct shape refused_ImportTable = {"ImportTableInput", 6 * SLOT, fields_ImportTableInput};
static const char *const values_BackupTypeFilter[] = {"USER", "SYSTEM", "AWS_BACKUP", "ALL", NULL};
static const struct field fields_ListBackupsInput[] = {
    AT(0, "TableName", SHAPE_TABLE, 0),
    AT(1, "Limit", SHAPE_INT, 0, LIMITS(1, 100)),
    AT(2, "TimeRangeLowerBound", SHAPE_DOUBLE, 0),
    AT(3, "TimeRangeUpperBound", SHAPE_DOUBLE, 0),
    AT(4, "ExclusiveStartBackupArn", SHAPE_STRING, 0, LIMITS(37, 1024)),
    AT(5, "BackupType", SHAPE_ENUM, 0, .values = values_BackupTypeFilter),
    FIELD_END,
};
const struct shape refused_ListBackups = {"ListBackupsInput", 6 * SLOT, fields_ListBackupsInput};
static const struct field fields_ListExportsInput[] = {
    AT(0, "TableArn", SHAPE_STRING, 0, LIMITS(1, 1024)),
    AT(1, "MaxResults", SHAPE_INT, 0, LIMITS(1, 25)),
    AT(2, "NextToken", SHAPE_STRING, 0),
    FIELD_END,
};
const struct shape refused_ListExports = {"ListExportsInput", 3 * SLOT, fields_ListExportsInput};
static const struct field fields_ListGlobalTablesInput[] = {
    AT(0, "ExclusiveStartGlobalTableName", SHAPE_STRING, FIELD_NAME, LIMITS(3, 255)),
    AT(1, "Limit", SHAPE_INT, 0, LIMITS(1, INT64_MAX)),
    AT(2, "RegionName", SHAPE_STRING, 0),
    FIELD_END,
};
const struct shape refused_ListGlobalTables = {"ListGlobalTablesInput", 3 * SLOT, fields_ListGlobalTablesInput};
static const struct field fields_ListImportsInput[] = {
    AT(0, "TableArn", SHAPE_STRING, 0, LIMITS(1, 1024)),
    AT(1, "PageSize", SHAPE_INT, 0, LIMITS(1, 25)),
    AT(2, "NextToken", SHAPE_STRING, 0, .pattern = PATTERN_HEX, LIMITS(112, 1024)),
    FIELD_END,
};
const struct shape refused_ListImports = {"ListImportsInput", 3 * SLOT, fields_ListImportsInput};
static const struct field fields_LocalSecondaryIndex[] = {
    AT(0, "IndexName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255)),
    AT(1, "KeySchema", SHAPE_LIST, FIELD_REQUIRED, .element = &element_KeySchema, LIMITS(1, INT64_MAX)),
    AT(2, "Projection", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_Projection),
    FIELD_END,
};
static const struct shape shape_LocalSecondaryIndex = {"LocalSecondaryIndex", 3 * SLOT, fields_LocalSecondaryIndex};
static const struct field element_LocalSecondaryIndexList =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_LocalSecondaryIndex);
static const struct field fields_RestoreTableFromBackupInput[] = {
    AT(0, "TargetTableName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255)),
    AT(1, "BackupArn", SHAPE_STRING, FIELD_REQUIRED, LIMITS(37, 1024)),
    AT(2, "BillingModeOverride", SHAPE_ENUM, 0, .values = values_BillingMode),
    AT(3, "GlobalSecondaryIndexOverride", SHAPE_LIST, 0, .element = &element_GlobalSecondaryIndexList),
    AT(4, "LocalSecondaryIndexOverride", SHAPE_LIST, 0, .element = &element_LocalSecondaryIndexList),
    AT(5, "ProvisionedThroughputOverride", SHAPE_STRUCT, 0, .shape = &shape_ProvisionedThroughput),
    AT(6, "OnDemandThroughputOverride", SHAPE_STRUCT, 0, .shape = &shape_OnDemandThroughput),
    AT(7, "SSESpecificationOverride", SHAPE_STRUCT, 0, .shape = &shape_SSESpecification),
    AT(8, "VectorIndexOverride", SHAPE_LIST, 0, .element = &element_VectorIndexList),
    FIELD_END,
};
const struct shape refused_RestoreTableFromBackup = {"RestoreTableFromBackupInput", 9 * SLOT,
						     fields_RestoreTableFromBackupInput};
static const struct field fields_RestoreTableToPointInTimeInput[] = {
    AT(0, "SourceTableArn", SHAPE_STRING, 0, LIMITS(1, 1024)),
    AT(1, "SourceTableName", SHAPE_STRING, FIELD_NAME, LIMITS(3, 255)),
    AT(2, "TargetTableName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255)),
    AT(3, "UseLatestRestorableTime", SHAPE_BOOL, 0),
    AT(4, "RestoreDateTime", SHAPE_DOUBLE, 0),
    AT(5, "BillingModeOverride", SHAPE_ENUM, 0, .values = values_BillingMode),
    AT(6, "GlobalSecondaryIndexOverride", SHAPE_LIST, 0, .element = &element_GlobalSecondaryIndexList),
    AT(7, "LocalSecondaryIndexOverride", SHAPE_LIST, 0, .element = &element_LocalSecondaryIndexList),
    AT(8, "ProvisionedThroughputOverride", SHAPE_STRUCT, 0, .shape = &shape_ProvisionedThroughput),
    AT(9, "OnDemandThroughputOverride", SHAPE_STRUCT, 0, .shape = &shape_OnDemandThroughput),
    AT(10, "SSESpecificationOverride", SHAPE_STRUCT, 0, .shape = &shape_SSESpecification),
    AT(11, "VectorIndexOverride", SHAPE_LIST, 0, .element = &element_VectorIndexList),
    FIELD_END,
};
const struct shape refused_RestoreTableToPointInTime = {"RestoreTableToPointInTimeInput", 12 * SLOT,
							fields_RestoreTableToPointInTimeInput};
static const struct field fields_PointInTimeRecoverySpecification[] = {
    AT(0, "PointInTimeRecoveryEnabled", SHAPE_BOOL, FIELD_REQUIRED),
    AT(1, "RecoveryPeriodInDays", SHAPE_INT, 0, LIMITS(1, 35)),
    FIELD_END,
};
static const struct shape shape_PointInTimeRecoverySpecification = {"PointInTimeRecoverySpecification", 2 * SLOT,
								    fields_PointInTimeRecoverySpecification};
static const struct field fields_UpdateContinuousBackupsInput[] = {
    AT(0, "TableName", SHAPE_TABLE, FIELD_REQUIRED),
    AT(1, "PointInTimeRecoverySpecification", SHAPE_STRUCT, FIELD_REQUIRED,
       .shape = &shape_PointInTimeRecoverySpecification),
    FIELD_END,
};
const struct shape refused_UpdateContinuousBackups = {"UpdateContinuousBackupsInput", 2 * SLOT,
						      fields_UpdateContinuousBackupsInput};
static const struct field fields_CreateReplicaAction[] = {
    AT(0, "RegionName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD_END,
};
static const struct shape shape_CreateReplicaAction = {"CreateReplicaAction", 1 * SLOT, fields_CreateReplicaAction};
static const struct field fields_DeleteReplicaAction[] = {
    AT(0, "RegionName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD_END,
};
static const struct shape shape_DeleteReplicaAction = {"DeleteReplicaAction", 1 * SLOT, fields_DeleteReplicaAction};
static const struct field fields_ReplicaUpdate[] = {
    AT(0, "Create", SHAPE_STRUCT, 0, .shape = &shape_CreateReplicaAction),
    AT(1, "Delete", SHAPE_STRUCT, 0, .shape = &shape_DeleteReplicaAction),
    FIELD_END,
};
static const struct shape shape_ReplicaUpdate = {"ReplicaUpdate", 2 * SLOT, fields_ReplicaUpdate};
static const struct field element_ReplicaUpdateList =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_ReplicaUpdate);
static const struct field fields_UpdateGlobalTableInput[] = {
    AT(0, "GlobalTableName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255)),
    AT(1, "ReplicaUpdates", SHAPE_LIST, FIELD_REQUIRED, .element = &element_ReplicaUpdateList),
    FIELD_END,
};
const struct shape refused_UpdateGlobalTable = {"UpdateGlobalTableInput", 2 * SLOT, fields_UpdateGlobalTableInput};
static const struct field fields_AutoScalingTargetTrackingScalingPolicyConfigurationUpdate[] = {
    AT(0, "DisableScaleIn", SHAPE_BOOL, 0),
    AT(1, "ScaleInCooldown", SHAPE_INT, 0),
    AT(2, "ScaleOutCooldown", SHAPE_INT, 0),
    AT(3, "TargetValue", SHAPE_DOUBLE, FIELD_REQUIRED),
    FIELD_END,
};
static const struct shape shape_AutoScalingTargetTrackingScalingPolicyConfigurationUpdate = {
    "AutoScalingTargetTrackingScalingPolicyConfigurationUpdate", 4 * SLOT,
    fields_AutoScalingTargetTrackingScalingPolicyConfigurationUpdate};
static const struct field fields_AutoScalingPolicyUpdate[] = {
    AT(0, "PolicyName", SHAPE_STRING, 0, .pattern = PATTERN_PRINT, LIMITS(1, 256)),
    AT(1, "TargetTrackingScalingPolicyConfiguration", SHAPE_STRUCT, FIELD_REQUIRED,
       .shape = &shape_AutoScalingTargetTrackingScalingPolicyConfigurationUpdate),
    FIELD_END,
};
static const struct shape shape_AutoScalingPolicyUpdate = {"AutoScalingPolicyUpdate", 2 * SLOT,
							   fields_AutoScalingPolicyUpdate};
static const struct field fields_AutoScalingSettingsUpdate[] = {
    AT(0, "MinimumUnits", SHAPE_LONG, 0, LIMITS(1, INT64_MAX)),
    AT(1, "MaximumUnits", SHAPE_LONG, 0, LIMITS(1, INT64_MAX)),
    AT(2, "AutoScalingDisabled", SHAPE_BOOL, 0),
    AT(3, "AutoScalingRoleArn", SHAPE_STRING, 0, .pattern = PATTERN_TEXT, LIMITS(1, 1600)),
    AT(4, "ScalingPolicyUpdate", SHAPE_STRUCT, 0, .shape = &shape_AutoScalingPolicyUpdate),
    FIELD_END,
};
static const struct shape shape_AutoScalingSettingsUpdate = {"AutoScalingSettingsUpdate", 5 * SLOT,
							     fields_AutoScalingSettingsUpdate};
static const struct field fields_GlobalTableGlobalSecondaryIndexSettingsUpdate[] = {
    AT(0, "IndexName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255)),
    AT(1, "ProvisionedWriteCapacityUnits", SHAPE_LONG, 0, LIMITS(1, INT64_MAX)),
    AT(2, "ProvisionedWriteCapacityAutoScalingSettingsUpdate", SHAPE_STRUCT, 0,
       .shape = &shape_AutoScalingSettingsUpdate),
    FIELD_END,
};
static const struct shape shape_GlobalTableGlobalSecondaryIndexSettingsUpdate = {
    "GlobalTableGlobalSecondaryIndexSettingsUpdate", 3 * SLOT, fields_GlobalTableGlobalSecondaryIndexSettingsUpdate};
static const struct field element_GlobalTableGlobalSecondaryIndexSettingsUpdateList =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_GlobalTableGlobalSecondaryIndexSettingsUpdate);
static const struct field fields_ReplicaGlobalSecondaryIndexSettingsUpdate[] = {
    AT(0, "IndexName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255)),
    AT(1, "ProvisionedReadCapacityUnits", SHAPE_LONG, 0, LIMITS(1, INT64_MAX)),
    AT(2, "ProvisionedReadCapacityAutoScalingSettingsUpdate", SHAPE_STRUCT, 0,
       .shape = &shape_AutoScalingSettingsUpdate),
    FIELD_END,
};
static const struct shape shape_ReplicaGlobalSecondaryIndexSettingsUpdate = {
    "ReplicaGlobalSecondaryIndexSettingsUpdate", 3 * SLOT, fields_ReplicaGlobalSecondaryIndexSettingsUpdate};
static const struct field element_ReplicaGlobalSecondaryIndexSettingsUpdateList =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_ReplicaGlobalSecondaryIndexSettingsUpdate);
static const char *const values_TableClass[] = {"STANDARD", "STANDARD_INFREQUENT_ACCESS", NULL};
static const struct field fields_ReplicaSettingsUpdate[] = {
    AT(0, "RegionName", SHAPE_STRING, FIELD_REQUIRED),
    AT(1, "ReplicaProvisionedReadCapacityUnits", SHAPE_LONG, 0, LIMITS(1, INT64_MAX)),
    AT(2, "ReplicaProvisionedReadCapacityAutoScalingSettingsUpdate", SHAPE_STRUCT, 0,
       .shape = &shape_AutoScalingSettingsUpdate),
    AT(3, "ReplicaGlobalSecondaryIndexSettingsUpdate", SHAPE_LIST, 0,
       .element = &element_ReplicaGlobalSecondaryIndexSettingsUpdateList, LIMITS(1, 20)),
    AT(4, "ReplicaTableClass", SHAPE_ENUM, 0, .values = values_TableClass),
    FIELD_END,
};
static const struct shape shape_ReplicaSettingsUpdate = {"ReplicaSettingsUpdate", 5 * SLOT,
							 fields_ReplicaSettingsUpdate};
static const struct field element_ReplicaSettingsUpdateList =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_ReplicaSettingsUpdate);
static const struct field fields_UpdateGlobalTableSettingsInput[] = {
    AT(0, "GlobalTableName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255)),
    AT(1, "GlobalTableBillingMode", SHAPE_ENUM, 0, .values = values_BillingMode),
    AT(2, "GlobalTableProvisionedWriteCapacityUnits", SHAPE_LONG, 0, LIMITS(1, INT64_MAX)),
    AT(3, "GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate", SHAPE_STRUCT, 0,
       .shape = &shape_AutoScalingSettingsUpdate),
    AT(4, "GlobalTableGlobalSecondaryIndexSettingsUpdate", SHAPE_LIST, 0,
       .element = &element_GlobalTableGlobalSecondaryIndexSettingsUpdateList, LIMITS(1, 20)),
    AT(5, "ReplicaSettingsUpdate", SHAPE_LIST, 0, .element = &element_ReplicaSettingsUpdateList, LIMITS(1, 50)),
    FIELD_END,
};
const struct shape refused_UpdateGlobalTableSettings = {"UpdateGlobalTableSettingsInput", 6 * SLOT,
							fields_UpdateGlobalTableSettingsInput};
static const struct field fields_UpdateKinesisStreamingConfiguration[] = {
    AT(0, "ApproximateCreationDateTimePrecision", SHAPE_ENUM, 0, .values = values_ApproximateCreationDateTimePrecision),
    FIELD_END,
};
static const struct shape shape_UpdateKinesisStreamingConfiguration = {"UpdateKinesisStreamingConfiguration", 1 * SLOT,
								       fields_UpdateKinesisStreamingConfiguration};
static const struct field fields_UpdateKinesisStreamingDestinationInput[] = {
    AT(0, "TableName", SHAPE_TABLE, FIELD_REQUIRED),
    AT(1, "StreamArn", SHAPE_STRING, FIELD_REQUIRED, LIMITS(37, 1024)),
    AT(2, "UpdateKinesisStreamingConfiguration", SHAPE_STRUCT, 0, .shape = &shape_UpdateKinesisStreamingConfiguration),
    FIELD_END,
};
const struct shape refused_UpdateKinesisStreamingDestination = {"UpdateKinesisStreamingDestinationInput", 3 * SLOT,
								fields_UpdateKinesisStreamingDestinationInput};
static const struct field fields_GlobalSecondaryIndexAutoScalingUpdate[] = {
    AT(0, "IndexName", SHAPE_STRING, FIELD_NAME, LIMITS(3, 255)),
    AT(1, "ProvisionedWriteCapacityAutoScalingUpdate", SHAPE_STRUCT, 0, .shape = &shape_AutoScalingSettingsUpdate),
    FIELD_END,
};
static const struct shape shape_GlobalSecondaryIndexAutoScalingUpdate = {
    "GlobalSecondaryIndexAutoScalingUpdate", 2 * SLOT, fields_GlobalSecondaryIndexAutoScalingUpdate};
static const struct field element_GlobalSecondaryIndexAutoScalingUpdateList =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_GlobalSecondaryIndexAutoScalingUpdate);
static const struct field fields_ReplicaGlobalSecondaryIndexAutoScalingUpdate[] = {
    AT(0, "IndexName", SHAPE_STRING, FIELD_NAME, LIMITS(3, 255)),
    AT(1, "ProvisionedReadCapacityAutoScalingUpdate", SHAPE_STRUCT, 0, .shape = &shape_AutoScalingSettingsUpdate),
    FIELD_END,
};
static const struct shape shape_ReplicaGlobalSecondaryIndexAutoScalingUpdate = {
    "ReplicaGlobalSecondaryIndexAutoScalingUpdate", 2 * SLOT, fields_ReplicaGlobalSecondaryIndexAutoScalingUpdate};
static const struct field element_ReplicaGlobalSecondaryIndexAutoScalingUpdateList =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_ReplicaGlobalSecondaryIndexAutoScalingUpdate);
static const struct field fields_ReplicaAutoScalingUpdate[] = {
    AT(0, "RegionName", SHAPE_STRING, FIELD_REQUIRED),
    AT(1, "ReplicaGlobalSecondaryIndexUpdates", SHAPE_LIST, 0,
       .element = &element_ReplicaGlobalSecondaryIndexAutoScalingUpdateList),
    AT(2, "ReplicaProvisionedReadCapacityAutoScalingUpdate", SHAPE_STRUCT, 0,
       .shape = &shape_AutoScalingSettingsUpdate),
    FIELD_END,
};
static const struct shape shape_ReplicaAutoScalingUpdate = {"ReplicaAutoScalingUpdate", 3 * SLOT,
							    fields_ReplicaAutoScalingUpdate};
static const struct field element_ReplicaAutoScalingUpdateList =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_ReplicaAutoScalingUpdate);
static const struct field fields_UpdateTableReplicaAutoScalingInput[] = {
    AT(0, "GlobalSecondaryIndexUpdates", SHAPE_LIST, 0, .element = &element_GlobalSecondaryIndexAutoScalingUpdateList,
       LIMITS(1, INT64_MAX)),
    AT(1, "TableName", SHAPE_TABLE, FIELD_REQUIRED),
    AT(2, "ProvisionedWriteCapacityAutoScalingUpdate", SHAPE_STRUCT, 0, .shape = &shape_AutoScalingSettingsUpdate),
    AT(3, "ReplicaUpdates", SHAPE_LIST, 0, .element = &element_ReplicaAutoScalingUpdateList, LIMITS(1, INT64_MAX)),
    FIELD_END,
};
const struct shape refused_UpdateTableReplicaAutoScaling = {"UpdateTableReplicaAutoScalingInput", 4 * SLOT,
							    fields_UpdateTableReplicaAutoScalingInput};
static const struct field fields_ProvisionedThroughputOverride[] = {
    AT(0, "ReadCapacityUnits", SHAPE_LONG, 0, LIMITS(1, INT64_MAX)),
    FIELD_END,
};
static const struct shape shape_ProvisionedThroughputOverride = {"ProvisionedThroughputOverride", 1 * SLOT,
								 fields_ProvisionedThroughputOverride};
static const struct field fields_OnDemandThroughputOverride[] = {
    AT(0, "MaxReadRequestUnits", SHAPE_LONG, 0),
    FIELD_END,
};
static const struct shape shape_OnDemandThroughputOverride = {"OnDemandThroughputOverride", 1 * SLOT,
							      fields_OnDemandThroughputOverride};
static const struct field fields_ReplicaGlobalSecondaryIndex[] = {
    AT(0, "IndexName", SHAPE_STRING, FIELD_REQUIRED | FIELD_NAME, LIMITS(3, 255)),
    AT(1, "ProvisionedThroughputOverride", SHAPE_STRUCT, 0, .shape = &shape_ProvisionedThroughputOverride),
    AT(2, "OnDemandThroughputOverride", SHAPE_STRUCT, 0, .shape = &shape_OnDemandThroughputOverride),
    FIELD_END,
};
static const struct shape shape_ReplicaGlobalSecondaryIndex = {"ReplicaGlobalSecondaryIndex", 3 * SLOT,
							       fields_ReplicaGlobalSecondaryIndex};
static const struct field element_ReplicaGlobalSecondaryIndexList =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_ReplicaGlobalSecondaryIndex);
static const struct field fields_CreateReplicationGroupMemberAction[] = {
    AT(0, "RegionName", SHAPE_STRING, FIELD_REQUIRED),
    AT(1, "KMSMasterKeyId", SHAPE_STRING, 0),
    AT(2, "ProvisionedThroughputOverride", SHAPE_STRUCT, 0, .shape = &shape_ProvisionedThroughputOverride),
    AT(3, "OnDemandThroughputOverride", SHAPE_STRUCT, 0, .shape = &shape_OnDemandThroughputOverride),
    AT(4, "GlobalSecondaryIndexes", SHAPE_LIST, 0, .element = &element_ReplicaGlobalSecondaryIndexList,
       LIMITS(1, INT64_MAX)),
    AT(5, "TableClassOverride", SHAPE_ENUM, 0, .values = values_TableClass),
    FIELD_END,
};
static const struct shape shape_CreateReplicationGroupMemberAction = {"CreateReplicationGroupMemberAction", 6 * SLOT,
								      fields_CreateReplicationGroupMemberAction};
static const struct field fields_UpdateReplicationGroupMemberAction[] = {
    AT(0, "RegionName", SHAPE_STRING, FIELD_REQUIRED),
    AT(1, "KMSMasterKeyId", SHAPE_STRING, 0),
    AT(2, "ProvisionedThroughputOverride", SHAPE_STRUCT, 0, .shape = &shape_ProvisionedThroughputOverride),
    AT(3, "OnDemandThroughputOverride", SHAPE_STRUCT, 0, .shape = &shape_OnDemandThroughputOverride),
    AT(4, "GlobalSecondaryIndexes", SHAPE_LIST, 0, .element = &element_ReplicaGlobalSecondaryIndexList,
       LIMITS(1, INT64_MAX)),
    AT(5, "TableClassOverride", SHAPE_ENUM, 0, .values = values_TableClass),
    FIELD_END,
};
static const struct shape shape_UpdateReplicationGroupMemberAction = {"UpdateReplicationGroupMemberAction", 6 * SLOT,
								      fields_UpdateReplicationGroupMemberAction};
static const struct field fields_DeleteReplicationGroupMemberAction[] = {
    AT(0, "RegionName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD_END,
};
static const struct shape shape_DeleteReplicationGroupMemberAction = {"DeleteReplicationGroupMemberAction", 1 * SLOT,
								      fields_DeleteReplicationGroupMemberAction};
static const struct field fields_ReplicationGroupUpdate[] = {
    AT(0, "Create", SHAPE_STRUCT, 0, .shape = &shape_CreateReplicationGroupMemberAction),
    AT(1, "Update", SHAPE_STRUCT, 0, .shape = &shape_UpdateReplicationGroupMemberAction),
    AT(2, "Delete", SHAPE_STRUCT, 0, .shape = &shape_DeleteReplicationGroupMemberAction),
    FIELD_END,
};
static const struct shape shape_ReplicationGroupUpdate = {"ReplicationGroupUpdate", 3 * SLOT,
							  fields_ReplicationGroupUpdate};
const struct field refused_element_ReplicationGroupUpdateList =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_ReplicationGroupUpdate);
static const struct field fields_CreateGlobalTableWitnessGroupMemberAction[] = {
    AT(0, "RegionName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD_END,
};
static const struct shape shape_CreateGlobalTableWitnessGroupMemberAction = {
    "CreateGlobalTableWitnessGroupMemberAction", 1 * SLOT, fields_CreateGlobalTableWitnessGroupMemberAction};
static const struct field fields_DeleteGlobalTableWitnessGroupMemberAction[] = {
    AT(0, "RegionName", SHAPE_STRING, FIELD_REQUIRED),
    FIELD_END,
};
static const struct shape shape_DeleteGlobalTableWitnessGroupMemberAction = {
    "DeleteGlobalTableWitnessGroupMemberAction", 1 * SLOT, fields_DeleteGlobalTableWitnessGroupMemberAction};
static const struct field fields_GlobalTableWitnessGroupUpdate[] = {
    AT(0, "Create", SHAPE_STRUCT, 0, .shape = &shape_CreateGlobalTableWitnessGroupMemberAction),
    AT(1, "Delete", SHAPE_STRUCT, 0, .shape = &shape_DeleteGlobalTableWitnessGroupMemberAction),
    FIELD_END,
};
static const struct shape shape_GlobalTableWitnessGroupUpdate = {"GlobalTableWitnessGroupUpdate", 2 * SLOT,
								 fields_GlobalTableWitnessGroupUpdate};
const struct field refused_element_GlobalTableWitnessGroupUpdateList =
    ELEMENT("member", SHAPE_STRUCT, FIELD_REQUIRED, .shape = &shape_GlobalTableWitnessGroupUpdate);
