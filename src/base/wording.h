/*
 * The two wordings of DynamoDB's validation errors, in one table.
 *
 * Since June 2026 the service moves its operations, region by region, to a newer layer that checks requests. It says
 * the same things in other sentences: "Value at 'TableName' failed ..." without the value, one failure instead of a
 * list, and "1 validation error detected: " before what used to stand alone. It has not come equally far in all
 * operations, so each operation's row says which parts of it have moved (enum wording_part), and each row of the table
 * below says to which part it belongs. docs/ERRORS.md tells what is measured and what is inferred.
 *
 * The thread's wording is set when a request begins (wording_begin) and holds until the next one begins. Zero, the
 * state of a thread that never began one, is the classic wording throughout.
 */
#ifndef STATOR_BASE_WORDING_H
#define STATOR_BASE_WORDING_H

#include <stdbool.h>

enum wording_part {
	WORDING_VALUES = 1u,   /* attribute values that cannot be read */
	WORDING_MEMBERS = 2u,  /* members that break the model's constraints */
	WORDING_ENVELOPE = 4u, /* all else that the request alone shows */
};
#define WORDING_2026 7u /* all parts; what an operation has moved is cut out of it */

#define WORDING_DETECTED "1 validation error detected: "
#define WORDING_SPECIFIC                                                                                               \
	"Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
#define WORDING_INVALID "One or more parameter values were invalid: "

/*
 * id, part, classic, 2026. Both formats of a row take the same arguments; the newer may leave some at the end out and
 * swallow others ("%.0s"). A unit test checks that.
 */
#define WORDING_LIST(X)                                                                                                \
	/* text */                                                                                                     \
	X(NUMBER_EMPTY, VALUES, "The parameter cannot be converted to a numeric value",                                \
	  "The parameter cannot be converted to a numeric value: ")                                                    \
	/* (int) length, members, " of type" */                                                                        \
	X(SET_DUPLICATES, VALUES, WORDING_INVALID "Input collection [%.*s]%s contains duplicates.",                    \
	  WORDING_INVALID "Input collection [%.*s]%s contains duplicates.")                                            \
	X(SET_DUPLICATE_NUMBERS, VALUES, "Input collection contains duplicates",                                       \
	  WORDING_INVALID "Input collection contains duplicates.")                                                     \
	X(SET_QUOTE, VALUES, "", "\"")                                                                                 \
	X(SET_BETWEEN_STRINGS, VALUES, ", ", ", ")                                                                     \
	X(SET_BETWEEN_BINARIES, VALUES, ", ", ",")                                                                     \
	/* of ExpressionAttributeValues: (int) length, failure, (int) length, placeholder */                           \
	X(VALUE_FOR_KEY, VALUES, "ExpressionAttributeValues contains invalid value: %.*s for key %.*s", "%.*s")        \
	/* expressions that could use them, "are" or "is" */                                                           \
	X(VALUES_WITHOUT, ENVELOPE, "ExpressionAttributeValues can only be specified when using expressions: %s null", \
	  "ExpressionAttributeValues can only be specified when using expressions")                                    \
	/* how the failure of a member begins: 'value' or null, path */                                                \
	X(CONSTRAINT, MEMBERS,                                                                                         \
	  "Value %s at '%s' failed to satisfy constraint: ", "Value%.0s at '%s' failed to satisfy constraint: ")       \
	X(CONSTRAINT_ENUM, MEMBERS,                                                                                    \
	  "Value %s at '%s' failed to satisfy constraint: ", "Failed to satisfy constraint: ")                         \
	/* their words: UPDATE_NEW is no slip of ours, nor is ALL */                                                   \
	X(RETURN_VALUES, MEMBERS, "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]",                                \
	  "[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]")                                                         \
	X(CONDITIONAL_OPERATOR, MEMBERS, "[OR, AND]", "[ALL, OR]")                                                     \
	/* Query; Scan has not moved */                                                                                \
	X(SELECT_SPECIFIC, MEMBERS, WORDING_SPECIFIC, WORDING_DETECTED WORDING_SPECIFIC)                               \
	/* operation */                                                                                                \
	X(BATCH_EMPTY, MEMBERS, "The requestItems parameter is required for %s",                                       \
	  WORDING_DETECTED "Value at 'RequestItems' failed to satisfy constraint: Member must have length greater "    \
			   "than or equal to 1")

enum wording {
#define X(id, part, classic, newer) W_##id,
	WORDING_LIST(X)
#undef X
	    WORDING_COUNT
};

struct wording_row {
	unsigned part;
	const char *text[2]; /* classic, 2026 */
};
extern const struct wording_row wording_rows[WORDING_COUNT];
extern _Thread_local unsigned wording_moved; /* parts told in the newer wording by this thread */

/* A request begins whose operation has moved these parts; 0: all classic. */
static inline void
wording_begin(unsigned parts)
{
	wording_moved = parts;
}

static inline bool
wording_is_2026(unsigned part)
{
	return (wording_moved & part) != 0;
}

/* The format of a message. */
static inline const char *
wording(enum wording id)
{
	return wording_rows[id].text[wording_is_2026(wording_rows[id].part)];
}

/*
 * What is wrong with a request, in an operation whose WORDING_ENVELOPE has moved: is it told within the envelope? All
 * but a few sentences are.
 */
bool wording_enveloped(const char *message);

#endif
