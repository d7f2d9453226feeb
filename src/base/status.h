/*
 * One list of everything that can go wrong, and the message that goes with it.
 *
 * Who fails first fills `err` with err_set(); those above pass the status on
 * untouched and log only where it ends. Statuses with a wire name are DynamoDB's
 * exceptions; those without are the engine's and never reach a client as they are
 * (api turns them into InternalServerError).
 */
#ifndef STATOR_BASE_STATUS_H
#define STATOR_BASE_STATUS_H

#include <stdbool.h>

#define NS_DDB   "com.amazonaws.dynamodb.v20120810#"
#define NS_CORAL "com.amazon.coral.service#"
#define NS_VALID "com.amazon.coral.validate#"
#define NS_DAX   "com.amazonaws.dax.v20170419#"

/*        id                          HTTP  name space  name on the wire */
#define STATUS_LIST(X)                                                                                                 \
	X(OK, 200, "", "")                                                                                             \
	X(VALIDATION, 400, NS_VALID, "ValidationException")                                                            \
	X(SERIALIZATION, 400, NS_CORAL, "SerializationException")                                                      \
	X(UNKNOWN_OPERATION, 400, NS_CORAL, "UnknownOperationException")                                               \
	X(MISSING_AUTHENTICATION, 400, NS_CORAL, "MissingAuthenticationTokenException")                                \
	X(INCOMPLETE_SIGNATURE, 400, NS_CORAL, "IncompleteSignatureException")                                         \
	X(INVALID_SIGNATURE, 400, NS_CORAL, "InvalidSignatureException")                                               \
	X(UNRECOGNIZED_CLIENT, 400, NS_CORAL, "UnrecognizedClientException")                                           \
	X(ACCESS_DENIED, 400, NS_CORAL, "AccessDeniedException")                                                       \
	X(COND_FAILED, 400, NS_DDB, "ConditionalCheckFailedException")                                                 \
	X(RESOURCE_NOT_FOUND, 400, NS_DDB, "ResourceNotFoundException")                                                \
	X(RESOURCE_IN_USE, 400, NS_DDB, "ResourceInUseException")                                                      \
	X(LIMIT_EXCEEDED, 400, NS_DDB, "LimitExceededException")                                                       \
	X(ITEM_COLLECTION_LIMIT, 400, NS_DDB, "ItemCollectionSizeLimitExceededException")                              \
	X(THROUGHPUT_EXCEEDED, 400, NS_DDB, "ProvisionedThroughputExceededException")                                  \
	X(REQUEST_LIMIT, 400, NS_DDB, "RequestLimitExceeded")                                                          \
	X(THROTTLING, 400, NS_CORAL, "ThrottlingException")                                                            \
	X(TRANSACTION_CANCELED, 400, NS_DDB, "TransactionCanceledException")                                           \
	X(TRANSACTION_CONFLICT, 400, NS_DDB, "TransactionConflictException")                                           \
	X(TRANSACTION_IN_PROGRESS, 400, NS_DDB, "TransactionInProgressException")                                      \
	X(IDEMPOTENT_MISMATCH, 400, NS_DDB, "IdempotentParameterMismatchException")                                    \
	X(DUPLICATE_ITEM, 400, NS_DDB, "DuplicateItemException")                                                       \
	X(TABLE_NOT_FOUND, 400, NS_DDB, "TableNotFoundException")                                                      \
	X(TABLE_IN_USE, 400, NS_DDB, "TableInUseException")                                                            \
	X(TABLE_ALREADY_EXISTS, 400, NS_DDB, "TableAlreadyExistsException")                                            \
	X(GLOBAL_TABLE_NOT_FOUND, 400, NS_DDB, "GlobalTableNotFoundException")                                         \
	X(BACKUP_NOT_FOUND, 400, NS_DDB, "BackupNotFoundException")                                                    \
	X(EXPORT_NOT_FOUND, 400, NS_DDB, "ExportNotFoundException")                                                    \
	X(IMPORT_NOT_FOUND, 400, NS_DDB, "ImportNotFoundException")                                                    \
	X(POLICY_NOT_FOUND, 400, NS_DDB, "PolicyNotFoundException")                                                    \
	X(TRIMMED_DATA, 400, NS_DDB, "TrimmedDataAccessException")                                                     \
	X(EXPIRED_ITERATOR, 400, NS_DDB, "ExpiredIteratorException")                                                   \
	X(PITR_UNAVAILABLE, 400, NS_DDB, "PointInTimeRecoveryUnavailableException")                                    \
	X(CONTINUOUS_BACKUPS_UNAVAILABLE, 400, NS_DDB, "ContinuousBackupsUnavailableException")                        \
	X(DAX_CLUSTER_EXISTS, 400, NS_DAX, "ClusterAlreadyExistsFault")                                                \
	X(DAX_CLUSTER_NOT_FOUND, 400, NS_DAX, "ClusterNotFoundFault")                                                  \
	X(DAX_CLUSTER_QUOTA, 400, NS_DAX, "ClusterQuotaForCustomerExceededFault")                                      \
	X(DAX_CAPACITY, 400, NS_DAX, "InsufficientClusterCapacityFault")                                               \
	X(DAX_ARN, 400, NS_DAX, "InvalidARNFault")                                                                     \
	X(DAX_CLUSTER_STATE, 400, NS_DAX, "InvalidClusterStateFault")                                                  \
	X(DAX_COMBINATION, 400, NS_DAX, "InvalidParameterCombinationException")                                        \
	X(DAX_GROUP_STATE, 400, NS_DAX, "InvalidParameterGroupStateFault")                                             \
	X(DAX_VALUE, 400, NS_DAX, "InvalidParameterValueException")                                                    \
	X(DAX_SUBNET, 400, NS_DAX, "InvalidSubnet")                                                                    \
	X(DAX_NODE_NOT_FOUND, 400, NS_DAX, "NodeNotFoundFault")                                                        \
	X(DAX_NODE_QUOTA, 400, NS_DAX, "NodeQuotaForClusterExceededFault")                                             \
	X(DAX_GROUP_EXISTS, 400, NS_DAX, "ParameterGroupAlreadyExistsFault")                                           \
	X(DAX_GROUP_NOT_FOUND, 400, NS_DAX, "ParameterGroupNotFoundFault")                                             \
	X(DAX_GROUP_QUOTA, 400, NS_DAX, "ParameterGroupQuotaExceededFault")                                            \
	X(DAX_SUBNETS_EXIST, 400, NS_DAX, "SubnetGroupAlreadyExistsFault")                                             \
	X(DAX_SUBNETS_IN_USE, 400, NS_DAX, "SubnetGroupInUseFault")                                                    \
	X(DAX_SUBNETS_NOT_FOUND, 400, NS_DAX, "SubnetGroupNotFoundFault")                                              \
	X(DAX_SUBNETS_QUOTA, 400, NS_DAX, "SubnetGroupQuotaExceededFault")                                             \
	X(DAX_SUBNET_QUOTA, 400, NS_DAX, "SubnetQuotaExceededFault")                                                   \
	X(DAX_TAG_NOT_FOUND, 400, NS_DAX, "TagNotFoundFault")                                                          \
	X(DAX_TAG_QUOTA, 400, NS_DAX, "TagQuotaPerResourceExceeded")                                                   \
	X(INTERNAL, 500, NS_DDB, "InternalServerError")                                                                \
	X(UNAVAILABLE, 503, NS_CORAL, "ServiceUnavailableException")                                                   \
	/* the engine's own: never on the wire */                                                                      \
	X(NOT_FOUND, 500, "", "")   /* no such key */                                                                  \
	X(WOULD_BLOCK, 500, "", "") /* the answer lies on the disk; ask again where blocking is allowed */             \
	X(IO, 500, "", "")          /* the disk failed; nothing unacknowledged can be trusted */                       \
	X(NO_SPACE, 500, "", "")    /* the disk is full; reads go on */                                                \
	X(CORRUPT, 500, "", "")     /* stored bytes fail their checksum or make no sense */                            \
	X(LOCKED, 500, "", "")      /* the data directory is used by another process */

enum status {
#define X(id, http, space, name) S_##id,
	STATUS_LIST(X)
#undef X
	    STATUS_COUNT
};

#define ERR_MESSAGE_MAX 2048

/* Not zeroed by its users: message is only meaningful after a failure. */
struct err {
	enum status status;
	char message[ERR_MESSAGE_MAX];
};

/* Fill err (which may be NULL) and return status, so that `return err_set(...)` reads well.
 * A message too long is cut at a UTF-8 character. */
enum status err_set(struct err *err, enum status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

int status_http(enum status status);              /* 200, 400, 500, 503 */
const char *status_wire_name(enum status status); /* with name space, for __type; "" when it has none */
const char *status_short_name(
    enum status status); /* without, for metrics and logs: "COND_FAILED" -> "ConditionalCheckFailedException" */

#endif
