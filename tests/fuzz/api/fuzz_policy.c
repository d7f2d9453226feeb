/*
 * Any text as a policy document: it is refused, or what is read can be written, read again as the same, and asked.
 * Input: a byte that chooses the kind and the caller, then the document.
 */
#include <stdint.h>
#include <stdlib.h>

#include "api/policy.h"

static const char *const callers[] = {
    "arn:aws:iam::123456789012:user/alice",
    "arn:aws:iam::123456789012:root",
    "arn:aws:sts::210987654321:assumed-role/ops/bob",
};
static const char *const requests[][2] = {
    {"dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:123456789012:table/Music"},
    {"dynamodb:Query", "arn:aws:dynamodb:us-east-1:123456789012:table/Music/index/by-year"},
    {"dynamodb:ListTables", "*"},
};

static void
check_written(const struct policy *p, enum policy_kind kind)
{
	struct buf first = {0}, second = {0};
	struct policy *again;
	struct err err;

	policy_write(p, &first);
	if (policy_read(buf_slice(&first), kind, &again, &err) != S_OK)
		abort();
	policy_write(again, &second);
	if (!slice_eq(buf_slice(&first), buf_slice(&second)) || policy_keys(p) != policy_keys(again))
		abort();
	policy_free(again);
	buf_done(&first);
	buf_done(&second);
}

static void
ask(const struct policy *p, const char *caller)
{
	static const struct slice values[] = {{"alice", 5}, {"10.0.0.1", 8}, {"2026-01-01T00:00:00Z", 20}, {"1", 1}};
	struct policy_values context[POLICY_KEY_COUNT] = {0};
	struct policy_principal principal;
	struct arena arena = {0};

	if (!policy_principal_read(slice_str(caller), &arena, &principal))
		abort();
	for (int round = 0; round < 3; round++) { /* nothing known, one value each, several */
		for (int i = 0; i < POLICY_KEY_COUNT; i++)
			context[i] = (struct policy_values){values + i % 3, (uint32_t)round, i == 1};
		for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
			const struct policy_request request = {
			    .action = slice_str(requests[i][0]),
			    .resource = slice_str(requests[i][1]),
			    .principal = &principal,
			    .context = context,
			    .arena = &arena,
			};

			(void)policy_ask(p, &request);
		}
	}
	arena_done(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const known[] = {"GetItem", "PutItem", NULL};
	enum policy_kind kind;
	struct policy *p;
	struct err err;

	if (size == 0)
		return 0;
	kind = data[0] % 3 == 0 ? POLICY_IDENTITY : data[0] % 3 == 1 ? POLICY_TABLE : POLICY_STREAM;
	if (policy_read(slice_of(data + 1, size - 1), kind, &p, &err) != S_OK) {
		if (p != NULL || err.message[0] == '\0')
			abort();
		return 0;
	}
	check_written(p, kind);
	(void)policy_check_targets(p, known, &err);
	(void)policy_principals_are_valid(p);
	(void)policy_is_unbounded(p);
	ask(p, callers[data[0] / 3 % 3]);
	policy_free(p);
	return 0;
}
