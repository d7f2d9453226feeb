/* A DAX node over the operations of one region on a memory engine; every request is answered before its feeding ends.
 */
#ifndef STATOR_TESTS_DAX_FIXTURE_H
#define STATOR_TESTS_DAX_FIXTURE_H

#include "api/api_fixture.h"
#include "front/dax.h"

struct dax_fixture {
	struct cache *cache;
	struct dax_lists *lists;
	struct dax_node *node;
	struct dax_loop *loop;
	struct dax_session session;
	struct buf out;
};

static struct dax_fixture dx;

static enum status
dx_verify(void *context, const struct dax_authorization *a, struct dax_identity *ret, struct err *err)
{
	(void)context;
	if (a->access_key.len == 0)
		return err_set(err, S_UNRECOGNIZED_CLIENT, "The security token included in the request is invalid.");
	ret->unrestricted = true;
	return S_OK;
}

static inline void
dx_begin(void)
{
	memset(&dx.session, 0, sizeof dx.session);
	dx.out.len = 0;
	dx.session.home = dx.loop;
	dx.session.out = &dx.out;
	dx.session.address_len = 4;
	dax_session_begin(&dx.session);
}

static inline void
dx_end(void)
{
	dax_session_end(&dx.session);
}

static inline void
dx_up_with(struct dax_upstream upstream, bool cached)
{
	struct dax_node_options options = {
	    .upstream = upstream, .gate = {.verify = dx_verify}, .authorized_ms = 300000};
	struct err err;

	memset(&dx, 0, sizeof dx);
	if (dax_lists_open(NULL, &dx.lists, &err) != S_OK)
		abort();
	dx.cache = cached ? cache_new(8 << 20) : NULL;
	options.cache = dx.cache;
	options.lists = dx.lists;
	dx.node = dax_node_new(&options);
	dx.loop = dax_loop_new(dx.node, NULL);
}

static inline void
dx_down(void)
{
	dax_loop_free(dx.loop);
	dax_node_free(dx.node);
	cache_free(dx.cache);
	dax_lists_close(dx.lists);
	buf_done(&dx.out);
}

/* With an answer to everything it was fed; the rest of the input is what it has not used. */
static inline enum dax_want
dx_feed(const void *data, size_t len, size_t *ret_used)
{
	return dax_session_feed(&dx.session, data, len, ret_used);
}

/* The tables of the recorded exchanges. */
static const char *const dx_tables[] = {
    "{'TableName':'users','BillingMode':'PAY_PER_REQUEST','KeySchema':[{'AttributeName':'pk','KeyType':'HASH'}],"
    "'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'}]}",
    "{'TableName':'orders','BillingMode':'PAY_PER_REQUEST','KeySchema':[{'AttributeName':'pk','KeyType':'HASH'},"
    "{'AttributeName':'sk','KeyType':'RANGE'}],'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'},"
    "{'AttributeName':'sk','AttributeType':'N'},{'AttributeName':'gpk','AttributeType':'S'},{'AttributeName':'gsk',"
    "'AttributeType':'N'}],'GlobalSecondaryIndexes':[{'IndexName':'gsi1','KeySchema':[{'AttributeName':'gpk',"
    "'KeyType':'HASH'},{'AttributeName':'gsk','KeyType':'RANGE'}],'Projection':{'ProjectionType':'ALL'}}]}",
    "{'TableName':'events','BillingMode':'PAY_PER_REQUEST','KeySchema':[{'AttributeName':'pk','KeyType':'HASH'},"
    "{'AttributeName':'sk','KeyType':'RANGE'}],'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'S'},"
    "{'AttributeName':'sk','AttributeType':'S'}]}",
    "{'TableName':'blobs','BillingMode':'PAY_PER_REQUEST','KeySchema':[{'AttributeName':'pk','KeyType':'HASH'},"
    "{'AttributeName':'sk','KeyType':'RANGE'}],'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'B'},"
    "{'AttributeName':'sk','AttributeType':'B'}]}",
    "{'TableName':'nums','BillingMode':'PAY_PER_REQUEST','KeySchema':[{'AttributeName':'pk','KeyType':'HASH'}],"
    "'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'N'}]}",
    "{'TableName':'numstr','BillingMode':'PAY_PER_REQUEST','KeySchema':[{'AttributeName':'pk','KeyType':'HASH'},"
    "{'AttributeName':'sk','KeyType':'RANGE'}],'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'N'},"
    "{'AttributeName':'sk','AttributeType':'S'}]}",
    "{'TableName':'bonly','BillingMode':'PAY_PER_REQUEST','KeySchema':[{'AttributeName':'pk','KeyType':'HASH'}],"
    "'AttributeDefinitions':[{'AttributeName':'pk','AttributeType':'B'}]}",
};
static const char *const dx_table_names[] = {"users", "orders", "events", "blobs", "nums", "numstr", "bonly"};

static inline void
dx_make_tables(void)
{
	for (size_t i = 0; i < sizeof dx_tables / sizeof *dx_tables; i++) {
		expect_ok("CreateTable", dx_tables[i]);
		wait_active(dx_table_names[i]);
	}
}

#endif
