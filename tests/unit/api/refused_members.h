/*
 * Members of requests that are not offered, with a request that shows how they are refused; and those that have nothing
 * to work on. A member stands for all below it. docs/COMPATIBILITY.md is made from this (scripts/compatibility).
 *
 * REFUSED(operation, member, when, exception, request)   EMPTY(operation, member, why)
 */
#define NEW_TABLE                                                                                                      \
	"'TableName':'fresh','BillingMode':'PAY_PER_REQUEST','AttributeDefinitions':[{'AttributeName':'pk',"           \
	"'AttributeType':'S'}],'KeySchema':[{'AttributeName':'pk','KeyType':'HASH'}],"
#define OLD_TABLE "'TableName':'hash',"

REFUSED("CreateTable", "SSESpecification.Enabled", "when true: data is not encrypted at rest", "ValidationException",
	"{" NEW_TABLE "'SSESpecification':{'Enabled':true}}")
REFUSED("CreateTable", "SSESpecification.SSEType", "always", "ValidationException",
	"{" NEW_TABLE "'SSESpecification':{'SSEType':'KMS'}}")
REFUSED("CreateTable", "SSESpecification.KMSMasterKeyId", "always", "ValidationException",
	"{" NEW_TABLE "'SSESpecification':{'KMSMasterKeyId':'k'}}")
REFUSED("CreateTable", "GlobalTableSourceArn", "always", "ValidationException",
	"{" NEW_TABLE "'GlobalTableSourceArn':'arn:aws:dynamodb:us-east-1:000000000000:table/hash'}")
REFUSED("CreateTable", "GlobalTableSettingsReplicationMode", "always", "ValidationException",
	"{" NEW_TABLE "'GlobalTableSettingsReplicationMode':'ENABLED'}")
REFUSED("UpdateTable", "SSESpecification.Enabled", "when true: data is not encrypted at rest", "ValidationException",
	"{" OLD_TABLE "'SSESpecification':{'Enabled':true}}")
REFUSED("UpdateTable", "SSESpecification.SSEType", "always", "ValidationException",
	"{" OLD_TABLE "'SSESpecification':{'SSEType':'KMS'}}")
REFUSED("UpdateTable", "SSESpecification.KMSMasterKeyId", "always", "ValidationException",
	"{" OLD_TABLE "'SSESpecification':{'KMSMasterKeyId':'k'}}")
REFUSED("UpdateTable", "ReplicaUpdates", "always", "ValidationException",
	"{" OLD_TABLE "'ReplicaUpdates':[{'Create':{'RegionName':'eu-west-1'}}]}")
REFUSED("UpdateTable", "MultiRegionConsistency", "always", "ValidationException",
	"{" OLD_TABLE "'MultiRegionConsistency':'STRONG'}")
REFUSED("UpdateTable", "GlobalTableWitnessUpdates", "always", "ValidationException",
	"{" OLD_TABLE "'GlobalTableWitnessUpdates':[{'Create':{'RegionName':'eu-west-1'}}]}")
REFUSED("UpdateTable", "GlobalTableSettingsReplicationMode", "always", "ValidationException",
	"{" OLD_TABLE "'GlobalTableSettingsReplicationMode':'ENABLED'}")
REFUSED("ListTagsOfResource", "NextToken", "always: all tags fit one answer", "ValidationException",
	"{'ResourceArn':'arn:aws:dynamodb:us-east-1:000000000000:table/hash','NextToken':'x'}")
EMPTY("ListBackups", "TableName", "there are no backups")
EMPTY("ListBackups", "Limit", "there are no backups")
EMPTY("ListBackups", "TimeRangeLowerBound", "there are no backups")
EMPTY("ListBackups", "TimeRangeUpperBound", "there are no backups")
EMPTY("ListBackups", "ExclusiveStartBackupArn", "there are no backups")
EMPTY("ListBackups", "BackupType", "there are no backups")
EMPTY("ListExports", "TableArn", "there are no exports")
EMPTY("ListExports", "MaxResults", "there are no exports")
EMPTY("ListExports", "NextToken", "there are no exports")
EMPTY("ListGlobalTables", "ExclusiveStartGlobalTableName", "there are no global tables")
EMPTY("ListGlobalTables", "Limit", "there are no global tables")
EMPTY("ListGlobalTables", "RegionName", "there are no global tables")
EMPTY("ListImports", "TableArn", "there are no imports")
EMPTY("ListImports", "PageSize", "there are no imports")
EMPTY("ListImports", "NextToken", "there are no imports")
#undef NEW_TABLE
#undef OLD_TABLE
