/* What the control-plane operations on tables share; no other file includes it. */
#ifndef STATOR_API_TABLE_INT_H
#define STATOR_API_TABLE_INT_H

#include "api/op_int.h"

enum { BILLING_IN_PROVISIONED = 1, BILLING_IN_ON_DEMAND }; /* values of BillingMode */

struct definition_in {
	struct slice name;
	struct in_enum type; /* B, N, S */
};
struct key_in {
	struct slice name;
	struct in_enum type; /* HASH, RANGE */
};
struct throughput_in { /* of ProvisionedThroughput, OnDemandThroughput, WarmThroughput alike */
	struct in_long read, write;
};
struct projection_in {
	struct in_enum type; /* ALL, INCLUDE, KEYS_ONLY */
	struct in_list names;
};
struct index_in {
	struct slice name;
	struct in_list keys;
	struct projection_in *projection;
	struct throughput_in *throughput, *on_demand, *warm;
};
struct stream_in {
	uint8_t enabled;
	struct in_enum view;
};
enum stream_view request_stream_view(struct in_enum view);
struct encryption_in {
	uint8_t enabled;
	struct in_enum type;
	struct slice key;
};
struct tag_in {
	struct slice key, value;
};

struct vector_attribute_in {
	struct slice name;
};
struct vector_element_in {
	struct slice name;
	struct in_enum type; /* HASH, INLINE_FILTER */
};
struct vector_in {
	struct slice name;
	struct vector_attribute_in *attribute;
	struct in_list schema;
	struct projection_in *projection;
	struct in_long dimensions;
	struct in_enum distance;
};
struct vector_change_in {
	struct vector_in *create, *delete;
};

extern const char *const values_billing[], *const values_class[], *const values_replication_mode[];
extern const struct field definition_element, key_schema_element, tag_element;
extern const struct shape shape_throughput, shape_on_demand, shape_warm, shape_stream, shape_encryption;
extern const struct shape shape_index_create, shape_index_update, shape_index_delete, shape_projection;
extern const struct field vector_element, vector_change_element;

/* ---- table_read.c: checked requests to what table/ takes ---- */
/* NEW_GLOBAL: of UpdateTable, whose attributes may be defined by the table already; table_update() finds their types.
 */
enum keys_of { KEYS_OF_TABLE, KEYS_OF_LOCAL, KEYS_OF_GLOBAL, KEYS_OF_NEW_GLOBAL };

enum status table_check_units(const struct throughput_in *in, struct err *err);
enum status table_read_definitions(const struct in_list *list, struct table_spec *spec, struct arena *a,
				   struct err *err);
/* NULL: it is not defined. */
const struct key_attr *table_definition_of(const struct table_spec *spec, struct slice name);
/* Types come from spec->definitions. */
enum status table_read_keys(const struct in_list *list, const struct table_spec *spec, enum keys_of of,
			    struct key_schema *ret, struct arena *a, struct err *err);
/* Against spec's schema, definitions and billing mode. */
enum status table_read_index(const struct index_in *in, enum keys_of of, const struct table_spec *spec, struct arena *a,
			     struct table_index_spec *ret, struct err *err);
enum status table_read_projection(const struct projection_in *in, struct table_index_spec *ret, struct err *err);
enum status table_check_new_name(const struct table_spec *spec, struct slice name, struct err *err);
enum status table_check_projections(const struct table_index_spec *indexes, size_t count, struct err *err);
enum status table_check_definitions_used(const struct table_spec *spec, struct arena *a, struct err *err);
/* Any of the three may be NULL; whose: of an index its name, for messages, of the table empty. update: a maximum may be
 * taken away (-1), and warm throughput is compared with the table's by table_update(). */
enum status table_read_throughput(const struct throughput_in *provisioned, const struct throughput_in *on_demand,
				  const struct throughput_in *warm, enum billing_mode billing, struct slice whose,
				  bool update, struct table_throughput *ret, struct err *err);
bool table_gives_units(const struct throughput_in *in); /* false for NULL and for an empty structure */
enum status table_read_tags(const struct in_list *list, struct arena *a, struct table_tag **ret, size_t *ret_count,
			    struct err *err);
bool table_wants_encryption(const struct encryption_in *in);
/* The first that is set is refused by name. */
enum status table_refuse_members(const struct member *members, size_t count, struct err *err);

/* ---- table_vector.c ---- */
/* Into spec, whose indexes have room for VECTOR_MAX more. */
enum status table_create_vectors(const struct in_list *list, struct table_spec *spec, struct arena *a, struct err *err);
enum status table_check_vector_changes(const struct in_list *list, struct err *err);
enum status table_read_vector_change(const struct in_list *list, const struct table_spec *spec, struct arena *a,
				     struct table_update *update, struct err *err);

/* ---- table_reply.c ---- */
/* {"Table":{...}}, the member's name given. */
void table_reply(struct op_call *call, const char *member, const struct table_description *d);

#endif
