/*
 * Vector indexes: which items' vectors are nearest to a given one?
 *
 * An item is in a vector index when it has the vector attribute (a list of so many numbers) and, if the index's search
 * schema has a HASH element, that attribute too. Its row in SPACE_INDEXES lies under the HASH value's hash and value,
 * then the table's key, so that all that a search looks at is one run of keys. A row holds the vector as packed 32-bit
 * floats, the sum of their squares and the INLINE_FILTER attributes, nothing else: what the index projects is read from
 * the table, for the few items that are told, in the snapshot in which the rows were read. So a change of other
 * attributes does not write the row again, and a search reads no more than it compares. docs/VECTORS.md.
 *
 * The search is exact: it compares every row of the HASH value (of the index, when it has none), in double precision.
 */
#ifndef STATOR_TABLE_VECTOR_H
#define STATOR_TABLE_VECTOR_H

#include "table/table.h"

#define VECTOR_DIMENSIONS_MAX     4096
#define VECTOR_FILTERS_MAX        18
#define VECTOR_FILTER_BYTES_MAX   10240 /* of an INLINE_FILTER attribute's value */
#define VECTOR_PROJECTED_MAX      20    /* vector attribute, INLINE_FILTER and included attributes of an index */
#define VECTOR_TOP_MAX            100
#define VECTOR_WRITE_MIN_BYTES    1024 /* VectorWriteRequestBytes of the smallest entry */
#define VECTOR_SEARCH_MIN_BYTES   1024
#define VECTOR_RESPONSE_BYTES_MAX (16 * 1024 * 1024)

/* Is there a vector index of that name, in whatever state but going away? */
bool table_vector_index_find(const struct table *t, struct slice name);
/* The index to search; S_VALIDATION with DynamoDB's words when there is none or it is still being filled. */
enum status table_vector_index_for_search(const struct table *t, struct slice name, const struct table_index **ret,
					  struct err *err);

struct table_vector_filter {
	struct slice name;
	struct av value;
};
struct table_search {
	struct table *table;
	const struct table_index *index;
	const float *vector;                       /* as many as the index has dimensions */
	struct av hash;                            /* value of the HASH attribute; AV_NONE when the index has none */
	const struct table_vector_filter *filters; /* all must be equal */
	size_t filter_count;
	uint32_t top;                  /* 1 ... VECTOR_TOP_MAX */
	const struct expr *projection; /* NULL: all that is projected but the vector */
};
struct table_hit {
	struct av item;
	double score; /* has the precision of a 32-bit float */
};
struct table_found {
	struct table_hit *hits; /* the nearest first; equal ones by key */
	uint32_t count;
	uint64_t bytes; /* VectorSearchRequestBytes */
};
/* S_WOULD_BLOCK also when there is much to compare and io->may_block is not set. */
enum status table_search(const struct table_search *in, struct table_io *io, struct table_found *ret, struct err *err);

/* The 32-bit float nearest to a number's encoding; false when none is (beyond ±3.4028235E38). */
bool vector_component(struct slice encoded_number, float *ret);
/* Shortest decimal text that is this float, at most 15 digits: for values told to clients. Returns the length; no NUL.
 */
#define VECTOR_TEXT_MAX 32
size_t vector_component_text(float f, char ret[VECTOR_TEXT_MAX]);

/*
 * Comparing, exactly alike on every processor: lane i of 16 sums up the elements i, i + 16 ..., then the lanes are
 * added in pairs. The row's floats need not be aligned.
 */
struct vector_kernel {
	const char *name; /* "avx2", "sse2", "plain" */
	double (*dot)(const void *floats, const double *query, uint32_t count);
	double (*squared_distance)(const void *floats, const double *query, uint32_t count);
};
/* The n-th this processor can run, fastest first, the plain one last; NULL behind it. */
const struct vector_kernel *vector_kernel(unsigned n);

#endif
