/* The fleet on the memory engine, with a machine that only notes what it is asked for. */
#include "fleet/fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define PORT_FIRST 9000

struct fleet_member {
	int port;
	bool listens, idle;
	int64_t item_ttl_ms, query_ttl_ms;
};
static struct {
	int alive, next_port, starts, fail_start; /* fail_start: which one, from 1; 0: none */
	struct fleet_told told;
} noted;

static enum status
start(void *context, const struct fleet_member_spec *spec, struct fleet_member **ret, int *ret_port, struct err *err)
{
	struct fleet_member *m;

	(void)context;
	if (++noted.starts == noted.fail_start)
		return err_set(err, S_DAX_CAPACITY, "no port");
	m = calloc(1, sizeof *m);
	assert_non_null(m);
	m->port = spec->port != 0 ? spec->port : noted.next_port++;
	m->listens = m->idle = true;
	m->item_ttl_ms = spec->item_ttl_ms;
	m->query_ttl_ms = spec->query_ttl_ms;
	noted.alive++;
	*ret = m;
	*ret_port = m->port;
	return S_OK;
}

static bool
is_idle(void *context, struct fleet_member *m)
{
	(void)context;
	return m->idle;
}

static void
take_break(void *context, struct fleet_member *m)
{
	(void)context;
	m->listens = false;
}

static enum status
again(void *context, struct fleet_member *m, struct err *err)
{
	(void)context, (void)err;
	m->listens = true;
	return S_OK;
}

static void
stop(void *context, struct fleet_member *m)
{
	(void)context;
	noted.alive--;
	free(m);
}

static void
set_ttls(void *context, struct fleet_member *m, int64_t item_ttl_ms, int64_t query_ttl_ms)
{
	(void)context;
	m->item_ttl_ms = item_ttl_ms;
	m->query_ttl_ms = query_ttl_ms;
}

static void
tell(void *context, struct fleet_member *discovery, const struct fleet_told *told)
{
	(void)context, (void)discovery;
	noted.told = *told;
}

static struct fleet *
open_fleet(struct engine *e)
{
	const struct fleet_options options = {
	    .region = "us-east-1",
	    .account = "123456789012",
	    .delay_ms = 1,
	    .machine = {.start = start,
			.is_idle = is_idle,
			.pause = take_break,
			.again = again,
			.stop = stop,
			.set_ttls = set_ttls,
			.tell = tell,
			.host = "127.0.0.1"},
	};
	struct fleet *f;
	struct err err;

	if (fleet_open(e, &options, &f, &err) != S_OK)
		fail_msg("%s", err.message);
	return f;
}

static struct engine *
open_engine(void)
{
	struct engine *e;
	struct err err;

	memset(&noted, 0, sizeof noted);
	noted.next_port = PORT_FIRST;
	assert_int_equal(engine_memory_open(&e, &err), S_OK);
	return e;
}

static struct fleet_create
create_of(const char *name, int64_t replication)
{
	return (struct fleet_create){
	    .name = slice_str(name),
	    .node_type = SLICE("dax.t3.small"),
	    .role = SLICE("arn:aws:iam::123456789012:role/r"),
	    .replication = replication,
	};
}

static enum status
create(struct fleet *f, const char *name, int64_t replication)
{
	const struct fleet_create in = create_of(name, replication);
	struct fleet_cluster *c;
	struct err err;
	enum status s;

	fleet_lock(f);
	s = fleet_create(f, &in, &c, &err);
	fleet_unlock(f);
	return s;
}

/* Waits for the thread that does the steps. */
static struct fleet_cluster
settled(struct fleet *f, const char *name, bool *ret_gone)
{
	const struct timespec step = {0, 1000000};
	struct fleet_cluster copy = {0}, *c;
	struct err err;

	for (int i = 0; i < 60000; i++) {
		bool there;

		fleet_lock(f);
		there = fleet_find(f, slice_str(name), false, &c, &err) == S_OK;
		if (there)
			copy = *c;
		fleet_unlock(f);
		if (ret_gone != NULL)
			*ret_gone = !there;
		if (!there || copy.state == CLUSTER_AVAILABLE)
			return copy;
		nanosleep(&step, NULL);
	}
	fail_msg("%s stays %s", name, fleet_cluster_states[copy.state]);
	return copy;
}

static void
the_first_node_leads_until_it_leaves(void **state)
{
	struct engine *e = open_engine();
	struct fleet *f = open_fleet(e);
	const struct slice ids[] = {SLICE("c-a")};
	struct fleet_cluster *c;
	int64_t session;
	struct err err;

	(void)state;
	assert_int_equal(create(f, "c", 3), S_OK);
	(void)settled(f, "c", NULL);
	assert_int_equal(noted.alive, 4); /* and the discovery endpoint */
	assert_int_equal(noted.told.count, 3);
	assert_string_equal(noted.told.nodes[0].id, "c-a");
	session = noted.told.leader_session;
	fleet_lock(f);
	assert_int_equal(fleet_decrease(f, SLICE("c"), 2, NULL, 0, ids, 1, &c, &err), S_OK);
	assert_int_equal(noted.told.count, 2); /* at once */
	assert_string_equal(noted.told.nodes[0].id, "c-b");
	assert_true(noted.told.leader_session != session);
	fleet_unlock(f);
	(void)settled(f, "c", NULL);
	assert_int_equal(noted.alive, 3);
	fleet_close(f);
	assert_int_equal(noted.alive, 0);
	engine_close(e);
}

static void
a_node_with_clients_is_not_closed_under_them(void **state)
{
	const struct timespec while_ = {0, 60000000};
	struct engine *e = open_engine();
	struct fleet *f = open_fleet(e);
	struct fleet_member *m;
	struct fleet_cluster *c;
	struct err err;

	(void)state;
	assert_int_equal(create(f, "c", 2), S_OK);
	(void)settled(f, "c", NULL);
	fleet_lock(f);
	assert_int_equal(fleet_find(f, SLICE("c"), false, &c, &err), S_OK);
	m = c->nodes[0].member;
	m->idle = false;
	assert_int_equal(fleet_reboot(f, SLICE("c"), SLICE("c-a"), &c, &err), S_OK);
	assert_int_equal(noted.told.count, 1);
	fleet_unlock(f);
	nanosleep(&while_, NULL);
	fleet_lock(f);
	assert_int_equal(c->state, CLUSTER_MODIFYING);
	assert_true(m->listens);
	m->idle = true;
	fleet_unlock(f);
	(void)settled(f, "c", NULL);
	assert_int_equal(noted.told.count, 2);
	fleet_close(f);
	engine_close(e);
}

static void
nothing_is_left_of_a_cluster_that_could_not_start(void **state)
{
	struct engine *e = open_engine();
	struct fleet *f = open_fleet(e);
	size_t count;

	(void)state;
	for (int fail = 1; fail <= 4; fail++) {
		noted.starts = 0;
		noted.fail_start = fail;
		assert_int_equal(create(f, "c", 3), S_DAX_CAPACITY);
		assert_int_equal(noted.alive, 0);
	}
	noted.fail_start = 0;
	fleet_lock(f);
	assert_null(fleet_clusters(f));
	(void)fleet_events(f, &count);
	assert_int_equal(count, 0);
	fleet_unlock(f);
	assert_int_equal(create(f, "c", 3), S_OK);
	fleet_close(f);
	engine_close(e);
}

/* Everything that can be asked for, with the n-th call of the engine failing: what was refused is not there. */
static void
what_the_disk_refused_is_as_if_never_asked(void **state)
{
	struct engine *memory, *e;
	struct err err;

	(void)state;
	memset(&noted, 0, sizeof noted);
	assert_int_equal(engine_memory_open(&memory, &err), S_OK);
	e = engine_faulty_new(memory);
	struct fleet *f = open_fleet(e);
	struct fleet_group *g;
	struct fleet_subnet_group *s;
	const struct slice subnets[] = {SLICE("subnet-1")};
	const struct fleet_setting setting = {SLICE("record-ttl-millis"), SLICE("5")};
	size_t count;

	engine_faulty_arm(e, 1, S_IO);
	assert_int_equal(create(f, "c", 2), S_IO);
	assert_int_equal(noted.alive, 0);
	fleet_lock(f);
	engine_faulty_arm(e, 1, S_IO);
	assert_int_equal(fleet_group_create(f, SLICE("g"), SLICE_NONE, &g, &err), S_IO);
	assert_int_equal(fleet_group_find(f, SLICE("g"), &g, &err), S_DAX_GROUP_NOT_FOUND);
	engine_faulty_arm(e, 0, S_OK);
	assert_int_equal(fleet_group_create(f, SLICE("g"), SLICE_NONE, &g, &err), S_OK);
	engine_faulty_arm(e, 1, S_IO);
	assert_int_equal(fleet_group_update(f, SLICE("g"), &setting, 1, &g, &err), S_IO);
	assert_int_equal(fleet_group_find(f, SLICE("g"), &g, &err), S_OK);
	assert_int_equal(g->item_ttl_ms, 300000);
	engine_faulty_arm(e, 1, S_IO);
	assert_int_equal(fleet_group_delete(f, SLICE("g"), &err), S_IO);
	assert_int_equal(fleet_group_find(f, SLICE("g"), &g, &err), S_OK);
	engine_faulty_arm(e, 1, S_IO);
	assert_int_equal(fleet_subnets_create(f, SLICE("s"), SLICE_NONE, subnets, 1, &s, &err), S_IO);
	assert_int_equal(fleet_subnets_find(f, SLICE("s"), &s, &err), S_DAX_SUBNETS_NOT_FOUND);
	(void)fleet_events(f, &count);
	assert_int_equal(count, 1); /* of the group that was made */
	engine_faulty_arm(e, 0, S_OK);
	fleet_unlock(f);
	fleet_close(f);
	engine_close(e);
}

/* Names are folded when groups are made, and found in any case. */
static void
a_group_is_the_same_in_any_case_and_the_default_in_both_spellings(void **state)
{
	static const char *const spellings[] = {"Slow", "SLOW", "DEFAULT.DAX1.0", "default.dax.1.0"};
	static const char *const kept[] = {"slow", "slow", FLEET_DEFAULT_GROUP, FLEET_DEFAULT_GROUP};
	struct engine *e = open_engine();
	struct fleet *f = open_fleet(e);
	const struct fleet_setting setting = {SLICE("record-ttl-millis"), SLICE("7")};
	struct fleet_cluster *c;
	struct fleet_group *g;
	struct err err;

	(void)state;
	fleet_lock(f);
	assert_int_equal(fleet_group_create(f, SLICE("sLow"), SLICE_NONE, &g, &err), S_OK);
	for (int i = 0; i < 4; i++) {
		const char name[] = {'c', (char)('0' + i), '\0'};
		struct fleet_create in = create_of(name, 1);

		in.group = slice_str(spellings[i]);
		assert_int_equal(fleet_create(f, &in, &c, &err), S_OK);
		assert_string_equal(c->group, kept[i]);
	}
	assert_int_equal(fleet_group_update(f, SLICE("slow"), &setting, 1, &g, &err), S_OK);
	assert_int_equal(fleet_find(f, SLICE("c0"), false, &c, &err), S_OK);
	assert_int_equal(c->nodes[0].member->item_ttl_ms, 7);
	assert_int_equal(fleet_group_delete(f, SLICE("SLOW"), &err), S_DAX_GROUP_STATE);
	assert_int_equal(fleet_group_update(f, SLICE("default.dax.1.0"), &setting, 1, &g, &err), S_DAX_GROUP_STATE);
	assert_int_equal(fleet_group_create(f, SLICE("default.dax.1.0"), SLICE_NONE, &g, &err), S_DAX_VALUE);
	fleet_unlock(f);
	fleet_close(f);
	engine_close(e);
}

static void
a_restart_finds_everything_again(void **state)
{
	struct engine *e = open_engine();
	struct fleet *f = open_fleet(e);
	const struct fleet_setting setting = {SLICE("query-ttl-millis"), SLICE("7")};
	struct fleet_create in = create_of("Kept", 2);
	const struct slice keys[] = {SLICE("k\"\n")}, values[] = {SLICE("v\\")}, groups[] = {SLICE("sg-9")};
	struct fleet_cluster *c, found;
	struct fleet_group *g;
	size_t before, after;
	struct err err;
	bool gone;

	(void)state;
	in.description = SLICE("\xc3\xa4 \"quoted\"");
	in.group = SLICE("g");
	in.tag_keys = keys;
	in.tag_values = values;
	in.tag_count = 1;
	in.security_groups = groups;
	in.security_group_count = 1;
	fleet_lock(f);
	assert_int_equal(fleet_group_create(f, SLICE("g"), SLICE_NONE, &g, &err), S_OK);
	assert_int_equal(fleet_group_update(f, SLICE("g"), &setting, 1, &g, &err), S_OK);
	assert_int_equal(fleet_create(f, &in, &c, &err), S_OK);
	fleet_unlock(f);
	(void)settled(f, "kept", NULL);
	assert_int_equal(create(f, "dying", 1), S_OK);
	(void)settled(f, "dying", NULL);
	(void)fleet_events(f, &before);
	fleet_close(f);

	f = open_fleet(e);
	found = settled(f, "kept", NULL);
	assert_string_equal(found.description, "\xc3\xa4 \"quoted\"");
	assert_string_equal(found.tags[0].key, "k\"\n");
	assert_string_equal(found.tags[0].value, "v\\");
	assert_string_equal(found.security_groups.items[0], "sg-9");
	assert_int_equal(found.discovery_port, PORT_FIRST);
	assert_int_equal(found.nodes[1].port, PORT_FIRST + 2);
	assert_string_equal(found.nodes[1].id, "kept-b");
	assert_int_equal(found.nodes[0].member->query_ttl_ms, 7);
	assert_int_equal(found.nodes[0].member->item_ttl_ms, 300000);
	(void)fleet_events(f, &after);
	assert_int_equal(before, after);
	/* a deletion that was begun goes on */
	fleet_lock(f);
	assert_int_equal(fleet_delete(f, SLICE("dying"), &c, &err), S_OK);
	c->due_ns = 0; /* the program ends before the next step */
	fleet_unlock(f);
	fleet_close(f);
	f = open_fleet(e);
	(void)settled(f, "dying", &gone);
	assert_true(gone);
	fleet_close(f);
	engine_close(e);
}

/* Its row comes behind those of names before it. */
static void
the_default_subnet_group_stands_beside_all_others_after_a_restart(void **state)
{
	static const char *const names[] = {"abc", "default", "xyz"};
	const struct slice subnets[] = {SLICE("subnet-1")};
	struct engine *e = open_engine();
	struct fleet *f = open_fleet(e);
	struct fleet_subnet_group *g;
	struct err err;

	(void)state;
	fleet_lock(f);
	for (int i = 0; i < 3; i += 2)
		assert_int_equal(fleet_subnets_create(f, slice_str(names[i]), SLICE_NONE, subnets, 1, &g, &err), S_OK);
	assert_int_equal(fleet_subnets_update(f, SLICE("default"), SLICE("ours"), subnets, 1, &g, &err), S_OK);
	fleet_unlock(f);
	fleet_close(f);
	f = open_fleet(e);
	fleet_lock(f);
	g = fleet_subnet_groups(f);
	for (int i = 0; i < 3; i++, g = g->next) {
		assert_non_null(g);
		assert_string_equal(g->name, names[i]);
		assert_int_equal(g->subnets.count, 1);
	}
	assert_null(g);
	fleet_unlock(f);
	fleet_close(f);
	engine_close(e);
}

static enum status
open_with(const char *key, const char *value, char message[ERR_MESSAGE_MAX])
{
	const struct fleet_options options = {
	    .region = "us-east-1",
	    .account = "123456789012",
	    .machine = {.start = start, .is_idle = is_idle, .stop = stop, .set_ttls = set_ttls, .tell = tell},
	};
	struct engine *e = open_engine();
	struct engine_batch *batch = engine_batch_new(e);
	struct fleet *f;
	uint64_t seq;
	struct err err = {0};
	enum status s;

	engine_batch_put(batch, SPACE_CATALOG, slice_str(key), slice_str(value));
	assert_int_equal(engine_apply(e, batch, &seq, &err), S_OK);
	engine_batch_free(batch);
	s = fleet_open(e, &options, &f, &err);
	if (s == S_OK)
		fleet_close(f);
	memcpy(message, err.message, ERR_MESSAGE_MAX);
	engine_close(e);
	return s;
}

#define CLUSTER_TEXTS                                                                                                  \
	"\"node_type\":\"dax.t3.small\",\"role\":\"r\",\"subnet_group\":\"s\",\"window\":\"w\",\"group\":"             \
	"\"" FLEET_DEFAULT_GROUP "\""

static void
a_row_that_makes_no_sense_is_told_and_not_believed(void **state)
{
	static const char *const rows[][2] = {
	    {"Dcone", "{}"}, /* no texts */
	    {"Dcone",
	     "{\"node_type\":\"t\",\"role\":\"r\",\"subnet_group\":\"s\",\"window\":\"w\",\"group\":\"gone\"}"},
	    {"Dcone", "{" CLUSTER_TEXTS ",\"state\":4}"},
	    {"Dcone", "{" CLUSTER_TEXTS ",\"state\":-1}"},
	    {"Dcone", "{" CLUSTER_TEXTS ",\"port\":65536}"},
	    {"Dcone", "{" CLUSTER_TEXTS ",\"created_ms\":9223372036854775808}"},
	    {"Dcone", "{" CLUSTER_TEXTS ",\"tags\":[\"k\"]}"},
	    {"Dcone", "{" CLUSTER_TEXTS ",\"network\":\"much too long for it\"}"},
	    {"Dcone", "{" CLUSTER_TEXTS ",\"nodes\":[{\"number\":0,\"zone\":\"z\"}]}"},    /* not below next_number */
	    {"Dcone", "{" CLUSTER_TEXTS ",\"next_number\":1,\"nodes\":[{\"number\":0}]}"}, /* no zone */
	    {"Dcone", "{" CLUSTER_TEXTS ",\"next_number\":1,\"nodes\":[{\"zone\":\"z\"},{\"zone\":\"z\"}]}"},
	    {"Dcone", "{" CLUSTER_TEXTS ",\"description\":\"a\\u0000b\"}"},
	    {"Dcone", "{" CLUSTER_TEXTS "} "
		      "{}"},
	    {"Dca name that is longer than one", "{" CLUSTER_TEXTS "}"},
	    {"Dpgroup", "{\"record_ttl_ms\":2147483648}"},
	    {"Dpgroup", "[]"},
	    {"Ds", "{}"},
	    {"Deshort", "{\"source\":\"s\",\"message\":\"m\"}"},
	    {"De8 bytes.", "{\"source\":\"s\"}"},
	};
	static const char *const good[][2] = {
	    {"Dcone", "{" CLUSTER_TEXTS ",\"next_number\":1,\"nodes\":[{\"zone\":\"z\"}],\"of later\":[{}]}"},
	    {"Dpgroup", "{}"},
	    {"De8 bytes.", "{\"source\":\"s\",\"message\":\"m\"}"},
	    {"D?later", "not even JSON"},
	};
	char message[ERR_MESSAGE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (open_with(rows[i][0], rows[i][1], message) != S_CORRUPT)
			fail_msg("%s %s", rows[i][0], rows[i][1]);
		if (strstr(message, rows[i][0]) == NULL)
			fail_msg("%s does not name %s", message, rows[i][0]);
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (open_with(good[i][0], good[i][1], message) != S_OK)
			fail_msg("%s %s: %s", good[i][0], good[i][1], message);
}

static void
nodes_get_letters_that_no_other_has(void **state)
{
	struct engine *e = open_engine();
	struct fleet *f = open_fleet(e);
	struct fleet_cluster found, *c;
	struct err err;

	(void)state;
	assert_int_equal(create(f, "c", 2), S_OK);
	for (int i = 0; i < 30; i++) { /* more than there are letters; c-a stays */
		(void)settled(f, "c", NULL);
		fleet_lock(f);
		assert_int_equal(fleet_increase(f, SLICE("c"), 3, NULL, 0, &c, &err), S_OK);
		fleet_unlock(f);
		(void)settled(f, "c", NULL);
		fleet_lock(f);
		assert_int_equal(fleet_find(f, SLICE("c"), false, &c, &err), S_OK);
		const struct slice ids[] = {slice_str(c->nodes[1].id)};
		assert_int_equal(fleet_decrease(f, SLICE("c"), 2, NULL, 0, ids, 1, &c, &err), S_OK);
		fleet_unlock(f);
	}
	found = settled(f, "c", NULL);
	assert_string_equal(found.nodes[0].id, "c-a");
	assert_string_not_equal(found.nodes[1].id, "c-a");
	fleet_close(f);
	engine_close(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_node_leads_until_it_leaves),
	    cmocka_unit_test(a_node_with_clients_is_not_closed_under_them),
	    cmocka_unit_test(nothing_is_left_of_a_cluster_that_could_not_start),
	    cmocka_unit_test(what_the_disk_refused_is_as_if_never_asked),
	    cmocka_unit_test(a_group_is_the_same_in_any_case_and_the_default_in_both_spellings),
	    cmocka_unit_test(a_restart_finds_everything_again),
	    cmocka_unit_test(the_default_subnet_group_stands_beside_all_others_after_a_restart),
	    cmocka_unit_test(a_row_that_makes_no_sense_is_told_and_not_believed),
	    cmocka_unit_test(nodes_get_letters_that_no_other_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
