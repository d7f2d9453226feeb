/* The DAX control plane: what its files share. Every operation holds the fleet's lock while it runs. */
#ifndef STATOR_API_OP_DAX_H
#define STATOR_API_OP_DAX_H

#include "api/op_int.h"
#include "fleet/fleet.h"

typedef enum status dax_op(struct op_call *call, const void *in, struct err *err);

/* The region's fleet, locked. S_DAX_CLUSTER_STATE when this program has none. */
enum status dax_begin(struct op_call *call, struct fleet **ret, struct err *err);
enum status dax_end(struct fleet *f, enum status s); /* passes s on; f NULL: nothing was begun */

struct dax_page_in {
	struct in_long max_results;
	struct slice token;
};
/* How many to tell. S_DAX_VALUE. */
enum status dax_page(const struct dax_page_in *page, size_t *ret_count, struct err *err);
#define DAX_PAGE_FIELDS(type, member)                                                                                  \
	FIELD(type, member.max_results, "MaxResults", SHAPE_INT, 0),                                                   \
	    FIELD(type, member.token, "NextToken", SHAPE_STRING, 0)

/* Of a list of strings, which `in` holds. */
static inline const struct slice *
dax_texts(const struct in_list *list)
{
	return list->items;
}

extern const struct shape shape_dax_create, shape_dax_name, shape_dax_describe, shape_dax_update, shape_dax_increase,
    shape_dax_decrease, shape_dax_reboot, shape_dax_tag, shape_dax_untag, shape_dax_list_tags;
dax_op op_dax_create, op_dax_delete, op_dax_describe, op_dax_update, op_dax_increase, op_dax_decrease, op_dax_reboot,
    op_dax_tag, op_dax_untag, op_dax_list_tags;

extern const struct shape shape_dax_group_create, shape_dax_group_update, shape_dax_group_name,
    shape_dax_groups_describe, shape_dax_parameters, shape_dax_default_parameters, shape_dax_subnets_create,
    shape_dax_subnets_update, shape_dax_subnets_name, shape_dax_subnets_describe, shape_dax_events;
dax_op op_dax_group_create, op_dax_group_update, op_dax_group_delete, op_dax_groups_describe, op_dax_parameters,
    op_dax_default_parameters, op_dax_subnets_create, op_dax_subnets_update, op_dax_subnets_delete,
    op_dax_subnets_describe, op_dax_events;

#endif
