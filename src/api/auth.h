/*
 * Who calls, and what may it do?
 *
 * A set of keys is what one credentials file says: it is immutable, so any thread may ask it. A front finds the caller
 * of a request in it, verifies the signature with the caller's secret and hands the caller to op_start(). The one
 * question whether a call is allowed is asked in run.c, for every operation, before the operation runs (auth_check).
 *
 * As in IAM: an explicit deny in any policy wins; else an allow in one of the caller's policies or, for tables of the
 * caller's account, in the table's resource policy; else no. A key without policies is an administrator: everything is
 * allowed that no resource policy denies.
 *
 * docs/ACCESS.md describes the file, and what each operation needs.
 */
#ifndef STATOR_API_AUTH_H
#define STATOR_API_AUTH_H

#include "api/policy.h"

struct auth_keys;

struct auth_caller {
	struct slice access_key, secret;
	struct slice session_token; /* empty: a long-term key, whose requests have none */
	struct policy_principal principal;
	bool administrator;
	const struct policy *const *policies; /* NULL for administrators */
	uint32_t policy_count;
	uint64_t context_keys; /* what the policies look at: POLICY_KEY_BITs */
};

/*
 * Either lines of `access-key secret-key`, # begins a comment, or (its first character is a brace) JSON:
 *
 *     {"Keys": [{"AccessKeyId": ..., "SecretAccessKey": ..., "SessionToken": ..., "UserName" or "Arn": ...,
 *                "Policies": [name or document, ...]}, ...],
 *      "Policies": {name: document, ...}}
 *
 * account: 12 digits, of users named by name. S_VALIDATION says what is wrong and where.
 */
enum status auth_keys_read(struct slice text, const char *account, struct auth_keys **ret, struct err *err);
void auth_keys_free(struct auth_keys *keys); /* NULL is fine; secrets are wiped */
size_t auth_keys_count(const struct auth_keys *keys);
/* Valid as long as the keys; NULL when there is none. */
const struct auth_caller *auth_keys_find(const struct auth_keys *keys, struct slice access_key);
/* In constant time. */
bool auth_token_matches(const struct auth_caller *caller, struct slice token);

#endif
