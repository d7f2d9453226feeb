/*
 * IAM policy documents: reading them, writing them in the service's canonical form, asking them.
 *
 * A document is read once into an immutable struct policy and may then be asked by any thread. Two kinds: identity
 * policies belong to a caller and name no principal; resource policies belong to a table (or its stream) and do. Asking
 * one gives what this document alone says (nothing, allow, deny); src/api/auth.c puts the answers of several together.
 *
 * What cannot be evaluated is refused when it is read, never taken for something else: unknown condition operators and
 * condition keys. Keys that exist at the original but never have a value here (aws:SourceVpc, ...) are taken, and are
 * absent, as they are in a request there that comes from outside of a VPC.
 *
 * Where AWS leaves a doubt, doubt denies: a condition value that cannot be determined (unknown) fails the conditions of
 * an Allow and fulfils those of a Deny.
 */
#ifndef STATOR_API_POLICY_H
#define STATOR_API_POLICY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

#define POLICY_BYTES_MAX 20480 /* of a resource policy, blanks included */

enum policy_kind { POLICY_IDENTITY, POLICY_TABLE, POLICY_STREAM };

/*      id                 name, matched without regard to case */
#define POLICY_KEYS(X)                                                                                                 \
	X(LEADING_KEYS, "dynamodb:LeadingKeys")                                                                        \
	X(FIRST_KEYS, "dynamodb:FirstPartitionKeyValues")                                                              \
	X(SECOND_KEYS, "dynamodb:SecondPartitionKeyValues")                                                            \
	X(THIRD_KEYS, "dynamodb:ThirdPartitionKeyValues")                                                              \
	X(FOURTH_KEYS, "dynamodb:FourthPartitionKeyValues")                                                            \
	X(ATTRIBUTES, "dynamodb:Attributes")                                                                           \
	X(SELECT, "dynamodb:Select")                                                                                   \
	X(RETURN_VALUES, "dynamodb:ReturnValues")                                                                      \
	X(RETURN_CAPACITY, "dynamodb:ReturnConsumedCapacity")                                                          \
	X(ENCLOSING, "dynamodb:EnclosingOperation")                                                                    \
	X(DAX_ENCLOSING, "dax:EnclosingOperation")                                                                     \
	X(FULL_SCAN, "dynamodb:FullTableScan")                                                                         \
	X(SOURCE_IP, "aws:SourceIp")                                                                                   \
	X(CURRENT_TIME, "aws:CurrentTime")                                                                             \
	X(EPOCH_TIME, "aws:EpochTime")                                                                                 \
	X(SECURE_TRANSPORT, "aws:SecureTransport")                                                                     \
	X(PRINCIPAL_ARN, "aws:PrincipalArn")                                                                           \
	X(PRINCIPAL_ACCOUNT, "aws:PrincipalAccount")                                                                   \
	X(PRINCIPAL_TYPE, "aws:PrincipalType")                                                                         \
	X(USER_NAME, "aws:username")                                                                                   \
	X(REQUESTED_REGION, "aws:RequestedRegion")                                                                     \
	X(RESOURCE_ACCOUNT, "aws:ResourceAccount")                                                                     \
	X(VIA_SERVICE, "aws:ViaAWSService")                                                                            \
	X(IS_SERVICE, "aws:PrincipalIsAWSService")                                                                     \
	X(ABSENT, "") /* a key that never has a value here */

enum policy_key {
#define X(id, name) POLICY_KEY_##id,
	POLICY_KEYS(X)
#undef X
	    POLICY_KEY_COUNT
};
#define POLICY_KEY_BIT(id) (UINT64_C(1) << POLICY_KEY_##id)

/* Zeroed: the key is not in the request's context. */
struct policy_values {
	const struct slice *items;
	uint32_t count;
	bool unknown; /* it has values, but which could not be told */
};

/* Who asks. All of it borrowed. */
struct policy_principal {
	struct slice arn;     /* arn:aws:iam::123456789012:user/x, .../root, arn:aws:sts::...:assumed-role/r/session */
	struct slice role;    /* of a session: arn:aws:iam::123456789012:role/r; else empty */
	struct slice account; /* 12 digits */
	struct slice name;    /* of a user, without its path; else empty */
	bool root;
};

struct policy_request {
	struct slice action;   /* "dynamodb:PutItem" */
	struct slice resource; /* an ARN or "*" */
	const struct policy_principal *principal;
	const struct policy_values *context; /* POLICY_KEY_COUNT of them */
	struct arena *arena;                 /* for values put in for variables */
};

/* DELEGATE: allows the caller's account, which leaves the decision to its identity policies. */
enum policy_answer { POLICY_SILENT, POLICY_DELEGATE, POLICY_ALLOW, POLICY_DENY };

struct policy;

/* S_VALIDATION with the service's words about documents, without "Invalid policy document: " before them. */
enum status policy_read(struct slice text, enum policy_kind kind, struct policy **ret, struct err *err);
void policy_free(struct policy *p); /* NULL is fine */

/* Appends the document as GetResourcePolicy gives it back: no blanks, one order of members, single values bare. */
void policy_write(const struct policy *p, struct buf *out);
/* No Version was given: written as 2008-10-17, yet another document than one that says so. */
bool policy_has_no_version(const struct policy *p);

enum policy_answer policy_ask(const struct policy *p, const struct policy_request *request);
/* Is there an Allow for this action on this resource or an index of it, whatever its conditions and principals? Denies
 * are not looked at. */
bool policy_might_allow(const struct policy *p, const struct policy_request *request);
/* The keys its conditions and variables look at: POLICY_KEY_BITs. Others need not be in the context. */
uint64_t policy_keys(const struct policy *p);

/* What only resource policies are checked for. */
bool policy_principals_are_valid(const struct policy *p);
/* Allows everyone, without any condition. */
bool policy_is_unbounded(const struct policy *p);
/* S_VALIDATION: an action that none of `known` ("PutItem", ..., NULL) matches, all of them told; or a resource of
 * another kind than the document's. */
enum status policy_check_targets(const struct policy *p, const char *const *known, struct err *err);

/* Does an ARN name this principal's form: "arn:aws:iam::<12 digits>:root", user/..., role/..., or a session's? Fills
 * what the ARN says; borrowed from it, but role, which comes from the arena. */
bool policy_principal_read(struct slice arn, struct arena *arena, struct policy_principal *ret);

#endif
