/*
 * The parameters that came before expressions: AttributesToGet, AttributeUpdates, Expected, KeyConditions, QueryFilter,
 * ScanFilter and ConditionalOperator.
 *
 * They are checked in the service's order and words and built into the same bound expressions as text is, so that
 * nothing below this file knows of them. They speak of top-level attributes only.
 */
#ifndef STATOR_API_LEGACY_H
#define STATOR_API_LEGACY_H

#include "api/shape.h"

/* In one parameter, so that a filter's cost stays in bounds: the service's own limits are not known (above some 30,000
 * values it tends to fail). */
#define LEGACY_CONDITIONS_MAX 1024
#define LEGACY_VALUES_MAX     32768

/* Elements of the maps, for the tables of fields. */
extern const struct field legacy_condition; /* Condition: KeyConditions, QueryFilter, ScanFilter */
extern const struct field legacy_expected;  /* ExpectedAttributeValue: Expected */
extern const struct field legacy_update;    /* AttributeValueUpdate: AttributeUpdates, a FIELD_MANY */
extern const struct field legacy_attribute; /* a name in AttributesToGet */
extern const char *const values_comparison[];

/* ConditionalOperator needs at least two conditions to combine. Writes tell it right after the mixture of old and new,
 * legacy_filter() does it itself. */
enum status legacy_check_operator(const struct in_enum *conditional_operator, const struct in_map *conditions,
				  struct err *err);

/*
 * Each checks its parameter and builds it in the arena; *ret stays as it is when the parameter is unset or empty. The
 * result points into the request.
 */
enum status legacy_filter(const struct in_map *conditions, const struct in_enum *conditional_operator,
			  struct arena *arena, const struct expr **ret, struct err *err);
enum status legacy_expectation(const struct in_map *expected, const struct in_enum *conditional_operator,
			       struct arena *arena, const struct expr **ret, struct err *err);
enum status legacy_updates(const struct in_map *updates, struct arena *arena, const struct expr **ret, struct err *err);
/* Which attributes are keys is told by expr_key_range(), as for expressions. */
enum status legacy_key_conditions(const struct in_map *conditions, struct arena *arena, const struct expr **ret,
				  struct err *err);
enum status legacy_attributes_to_get(const struct in_list *names, struct arena *arena, const struct expr **ret,
				     struct err *err);

#endif
