#include "main/bench_cmd.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"

static const char *const workloads[] = {"get",        "put", "update", "query",
					"batchwrite", "mix", NULL}; /* enum bench_workload */

static const char *const keys[] = {"uniform", "zipf", NULL}; /* enum bench_keys */

#define G_TARGET "Target"
#define G_LOAD   "Load"
#define G_DATA   "Data"
#define G_OUTPUT "Output"

#define FIELD(member) offsetof(struct bench_options, member)

/* clang-format off */
static const struct cli_option bench_rows[] = {
	{G_TARGET, "endpoint", CLI_TEXT, FIELD(endpoint), "URL", "http://127.0.0.1:8000", 0, 0, NULL,
	 "http://HOST:PORT or https://HOST."},
	{G_TARGET, "region", CLI_TEXT, FIELD(region), "NAME", "us-east-1", 0, 0, NULL, "Region of the signature."},
	{G_TARGET, "access-key", CLI_TEXT, FIELD(access_key), "KEY", NULL, 0, 0, NULL,
	 "Without it AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, else `bench` and `bench`."},
	{G_TARGET, "secret-key", CLI_TEXT, FIELD(secret_key), "KEY", NULL, 0, 0, NULL, "Belongs to --access-key."},
	{G_TARGET, "session-token", CLI_TEXT, FIELD(session_token), "TOKEN", NULL, 0, 0, NULL,
	 "Belongs to --access-key when that is a temporary one."},
	{G_TARGET, "insecure", CLI_FLAG, FIELD(insecure), NULL, NULL, 0, 0, NULL, "https: accept any certificate."},
	{G_TARGET, "raw-get", CLI_TEXT, FIELD(raw_get), "PATH", NULL, 0, 0, NULL,
	 "Plain HTTP GET of this path instead of a workload, to measure another HTTP server with the same client."},
	{G_TARGET, "dax", CLI_TEXT, FIELD(dax), "HOST:PORT", NULL, 0, 0, NULL,
	 "Workload get: the items are read through this DAX node, in its protocol. The table is made and filled through --endpoint."},
	{G_TARGET, "memcached", CLI_TEXT, FIELD(memcached), "HOST:PORT", NULL, 0, 0, NULL,
	 "Workload get: as many items of the same size are set in and read from this memcached, to compare."},
	{G_TARGET, "redis", CLI_TEXT, FIELD(redis), "HOST:PORT", NULL, 0, 0, NULL,
	 "Workloads get and put: the same with this redis."},

	{G_LOAD, "workload", CLI_CHOICE, FIELD(workload), NULL, "get", 0, 0, workloads,
	 "mix is half gets, a quarter puts, an eighth updates, an eighth queries."},
	{G_LOAD, "connections", CLI_NUMBER, FIELD(connections), "N", "64", 1, 100000, NULL,
	 "Keep-alive connections, one request in flight on each."},
	{G_LOAD, "threads", CLI_NUMBER, FIELD(threads), "N", "1", 1, 256, NULL,
	 "Client threads; connections are dealt out to them."},
	{G_LOAD, "rate", CLI_NUMBER, FIELD(rate), "N", "0", 0, 100000000, NULL,
	 "Requests a second, latency counted from when each should have left. 0: as fast as answers come."},
	{G_LOAD, "seconds", CLI_SECONDS, FIELD(run_ms), "N", "10", 10, 1000000000, NULL, "How long to measure; decimals are fine."},
	{G_LOAD, "warmup", CLI_NUMBER, FIELD(warmup_ms), "MS", "1000", 0, 1000000, NULL, "Load before it is counted."},
	{G_LOAD, "pid", CLI_NUMBER, FIELD(pid), "PID", "0", 0, INT32_MAX, NULL,
	 "A process of this machine whose CPU time for each request is told, too, such as the server's."},

	{G_DATA, "table", CLI_TEXT, FIELD(table), "NAME", "stator-bench", 0, 0, NULL,
	 "Made when missing. Queries use NAME-query."},
	{G_DATA, "tables", CLI_NUMBER, FIELD(tables), "N", "1", 1, 100000, NULL,
	 "So many of them: NAME, NAME-2, NAME-3 ...; each request goes to a random one."},
	{G_DATA, "items", CLI_NUMBER, FIELD(items), "N", "10000", 1, 1000000000, NULL, "Items in each table."},
	{G_DATA, "keys", CLI_CHOICE, FIELD(keys), NULL, "uniform", 0, 0, keys,
	 "Which items are asked for: all alike, or by Zipf's law with exponent 0.99."},
	{G_DATA, "item-bytes", CLI_SIZE, FIELD(item_bytes), "SIZE", "1024", 64, 409600, NULL, "Size of an item by DynamoDB's rule."},
	{G_DATA, "query-items", CLI_NUMBER, FIELD(query_items), "N", "100", 1, 100000, NULL,
	 "Items that share a partition key, all read by one Query."},
	{G_DATA, "batch-items", CLI_NUMBER, FIELD(batch_items), "N", "25", 1, 25, NULL, "Puts in one BatchWriteItem."},
	{G_DATA, "eventual", CLI_FLAG, FIELD(eventual), NULL, NULL, 0, 0, NULL, "Read without ConsistentRead."},
	{G_DATA, "no-fill", CLI_FLAG, FIELD(no_fill), NULL, NULL, 0, 0, NULL, "The table is there and filled by an earlier run with --keep."},
	{G_DATA, "keep", CLI_FLAG, FIELD(keep), NULL, NULL, 0, 0, NULL, "Do not delete the table at the end. One that was there before is never deleted."},

	{G_OUTPUT, "json", CLI_FLAG, FIELD(json), NULL, NULL, 0, 0, NULL, "The result as one JSON object; progress stays on standard error."},
};

const struct cli_command bench_command = {
	"bench",
	"measure a DynamoDB endpoint, this one or another",
	"Makes and fills a table, then measures one kind of request. Requests are signed; latencies are in log-spaced "
	"buckets of at most 1.6 % width. Exit code 1 when any request failed.",
	"  stator bench --workload get --connections 64 --seconds 10\n"
	"  stator bench --workload put --rate 5000 --json\n"
	"  stator bench --endpoint http://127.0.0.1:80 --raw-get /index.html\n"
	"  stator bench --dax 127.0.0.1:8111 --eventual\n",
	"STATOR_BENCH_",
	bench_rows,
	sizeof bench_rows / sizeof *bench_rows,
};
/* clang-format on */

_Static_assert(sizeof workloads / sizeof *workloads == BENCH_WORKLOADS + 1, "one name for each workload");

static void
find_credentials(struct bench_options *o)
{
	if (o->access_key == NULL && getenv("AWS_ACCESS_KEY_ID") != NULL && getenv("AWS_SECRET_ACCESS_KEY") != NULL) {
		o->access_key = getenv("AWS_ACCESS_KEY_ID");
		o->secret_key = getenv("AWS_SECRET_ACCESS_KEY");
		o->session_token = getenv("AWS_SESSION_TOKEN");
	}
	if (o->access_key == NULL) {
		o->access_key = "bench";
		o->secret_key = "bench";
	}
}

static const char *
check(const struct bench_options *o)
{
	if ((o->access_key == NULL) != (o->secret_key == NULL))
		return "--access-key and --secret-key belong together; only one of them is given";
	if (o->session_token != NULL && o->access_key == NULL)
		return "--session-token needs --access-key";
	if (o->threads > o->connections)
		return "--threads is more than --connections; each thread needs one";
	if ((o->dax != NULL) + (o->memcached != NULL) + (o->redis != NULL) + (o->raw_get != NULL) > 1)
		return "--dax, --memcached, --redis and --raw-get exclude each other";
	if ((o->dax != NULL || o->memcached != NULL) && o->workload != BENCH_GET)
		return "--dax and --memcached know only --workload get";
	if (o->redis != NULL && o->workload != BENCH_GET && o->workload != BENCH_PUT)
		return "--redis knows only --workload get and put";
	if (o->tables > 1 && (o->dax != NULL || o->memcached != NULL || o->redis != NULL))
		return "--dax, --memcached and --redis know only one table";
	return NULL;
}

int
bench_cmd(int argc, char **argv)
{
	struct bench_options options = {0};
	bool given[CLI_OPTIONS_MAX];
	enum cli_result result;
	const char *wrong;
	struct err err;

	result = cli_parse(&bench_command, argc, argv, &options, given, &err);
	if (result == CLI_HELP) {
		cli_help(&bench_command, stdout);
		return 0;
	}
	wrong = result == CLI_WRONG ? err.message : check(&options);
	if (wrong != NULL) {
		fprintf(stderr, "stator bench: %s\n", wrong);
		return 2;
	}
	find_credentials(&options);
	return bench_run(&options);
}
