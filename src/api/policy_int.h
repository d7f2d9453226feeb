/*
 * Inside policy documents: the statements that all of these share.
 *
 *   policy.c        reading
 *   policy_check.c  what only resource policies are checked for
 *   policy_write.c  the canonical form
 *   policy_ask.c    asking
 *   policy_value.c  wildcards, variables, numbers, dates, addresses, principals
 */
#ifndef STATOR_API_POLICY_INT_H
#define STATOR_API_POLICY_INT_H

#include "api/policy.h"

/* Text that may have wildcards: `wild` tells for each byte whether it is one. */
enum { LITERAL, ANY_RUN /* "*" */, ANY_ONE /* "?" */ };
struct pattern {
	struct slice text;
	const uint8_t *wild; /* NULL: all of it is literal */
	bool variable;       /* has ${...}: expanded for each request */
};

enum condition_match {
	MATCH_STRING,
	MATCH_STRING_FOLDED, /* without regard to case */
	MATCH_LIKE,
	MATCH_ARN,
	MATCH_NUMBER,
	MATCH_DATE,
	MATCH_BOOL,
	MATCH_IP,
	MATCH_NULL
};
enum comparison { COMPARE_EQ, COMPARE_LT, COMPARE_LE, COMPARE_GT, COMPARE_GE };
enum quantifier { QUANTIFIER_NONE, QUANTIFIER_ALL, QUANTIFIER_ANY };

struct ip_range {
	uint8_t bytes[16];
	uint8_t length; /* 4 or 16 */
	uint8_t bits;   /* of the prefix */
};

struct operand {
	struct slice text; /* as written */
	struct pattern pattern;
	union {
		double number;
		int64_t time_ms;
		struct ip_range range;
		bool flag;
	};
};

struct condition {
	struct slice operator, name; /* as written */
	uint8_t match, comparison, quantifier;
	bool negated, if_exists;
	enum policy_key key;
	struct operand *operands;
	uint32_t count;
};

enum principal_type { PRINCIPAL_EVERYONE, PRINCIPAL_AWS, PRINCIPAL_SERVICE };
struct principal {
	uint8_t type;
	struct slice text; /* an account's number is kept as its root's ARN */
};

struct patterns {
	struct pattern *items;
	uint32_t count;
};

struct statement {
	struct slice sid; /* data NULL: none */
	bool denies;
	bool not_action, not_resource, not_principal;
	bool bare_everyone; /* the principal was written "*" */
	struct patterns actions, resources;
	struct principal *principals;
	uint32_t principal_count;
	struct condition *conditions;
	uint32_t condition_count;
};

struct policy {
	struct policy_piece *pieces;
	enum policy_kind kind;
	struct slice version, id; /* data NULL: not given */
	bool variables;           /* Version 2012-10-17: ${...} means something */
	struct statement *statements;
	uint32_t statement_count;
	uint64_t keys;
};

extern const char *const policy_key_names[POLICY_KEY_COUNT];
/* POLICY_KEY_COUNT: no such key is known. */
enum policy_key policy_key_find(struct slice name);

bool policy_number_read(struct slice text, double *ret);
bool policy_date_read(struct slice text, int64_t *ret_ms); /* ISO 8601 or seconds of the epoch */
bool policy_ip_read(struct slice text, struct ip_range *ret);
bool policy_equal_folded(struct slice a, struct slice b); /* ASCII */
bool policy_match(const struct pattern *p, struct slice text, bool folded);
/* What a ${...} at `at` says; its end in *ret_end; false when it is none. name is empty for ${*}, ${?} and ${$}, whose
 * character is then in *ret_literal. */
bool policy_variable_read(struct slice text, size_t at, size_t *ret_end, struct slice *ret_name,
			  struct slice *ret_fallback, char *ret_literal);

#endif
