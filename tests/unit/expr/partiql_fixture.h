/* Statements for tests: parsed, translated, planned; and what a plan finds among some items. */
#ifndef STATOR_TESTS_PARTIQL_FIXTURE_H
#define STATOR_TESTS_PARTIQL_FIXTURE_H

#include "expr/partiql.h"
#include "model/av_json.h"

static const struct key_schema partiql_schema = {1, 1, {{{"pk", 2}, AV_S}}, {{{"sk", 2}, AV_N}}};

static inline bool
fixture_in_range(const struct key_range *range, struct av item)
{
	struct av value = av_get(item, slice_str("sk"));
	struct slice sort = av_bytes(value);
	int low, high;

	if (!av_equal(av_get(item, slice_str("pk")), range->partition[0]))
		return false;
	if (range->op == KEY_ALL)
		return true;
	if (av_type(range->low) != av_type(value))
		return false;
	low = slice_cmp(sort, av_bytes(range->low));
	switch (range->op) {
	case KEY_EQ:
		return low == 0;
	case KEY_LT:
		return low < 0;
	case KEY_LE:
		return low <= 0;
	case KEY_GT:
		return low > 0;
	case KEY_GE:
		return low >= 0;
	case KEY_BETWEEN:
		high = slice_cmp(sort, av_bytes(range->high));
		return low >= 0 && high <= 0;
	default:
		return slice_starts(sort, av_bytes(range->low));
	}
}

/* How often the plan finds the item: it must be as often as the condition holds, once or never. */
static inline unsigned
fixture_found(const struct partiql_plan *plan, struct av item)
{
	unsigned found = 0;

	if (!plan->keyed)
		return plan->filter == NULL || expr_test(plan->filter, item);
	for (size_t i = 0; i < plan->read_count; i++)
		found += fixture_in_range(&plan->reads[i].range, item) &&
			 (plan->reads[i].filter == NULL || expr_test(plan->reads[i].filter, item));
	return found;
}

#endif
