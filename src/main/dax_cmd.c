#include "main/dax_cmd.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/listen.h"
#include "main/access.h"
#include "main/dax_stats.h"
#include "main/memory.h"

static const char *const auth_choices[] = {"any", "sigv4", NULL};
static const char *const log_formats[] = {"text", "json", NULL};                  /* as enum log_format */
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL}; /* as enum log_level */

#define G_UPSTREAM "The endpoint behind it"
#define G_NETWORK  "Network"
#define G_ACCESS   "Access"
#define G_CLUSTER  "Cluster"
#define G_CACHE    "Caches"
#define G_SIZE     "Resources"
#define G_LOG      "Log"

#define FIELD(member) offsetof(struct dax_config, member)
#define MIB           (INT64_C(1) << 20)
#define TIB           (INT64_C(1) << 40)
#define HOUR_MS       (INT64_C(3600) * 1000)

/* clang-format off */
static const struct cli_option dax_options[] = {
	{G_UPSTREAM, "upstream", CLI_TEXT, FIELD(upstream), "URL", NULL, 0, 0, NULL,
	 "The DynamoDB endpoint that has the tables: http://HOST:PORT or https://HOST. Needed. Requests are signed with "
	 "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of the environment."},
	{G_UPSTREAM, "upstream-region", CLI_TEXT, FIELD(upstream_region), "NAME", NULL, 0, 0, NULL,
	 "Region of these signatures. Without it: the one in the host's name (dynamodb.REGION.amazonaws.com), else "
	 "AWS_REGION or AWS_DEFAULT_REGION, else us-east-1."},
	{G_UPSTREAM, "upstream-ca", CLI_TEXT, FIELD(upstream_ca), "FILE", NULL, 0, 0, NULL,
	 "Certificate authorities (PEM) to trust instead of the system's."},
	{G_UPSTREAM, "upstream-timeout", CLI_NUMBER, FIELD(upstream_timeout_ms), "MS", "10000", 10, HOUR_MS, NULL,
	 "Longest wait for an answer. Then the client is told that none was had, and tries again if it was a read."},
	{G_UPSTREAM, "upstream-connect-timeout", CLI_NUMBER, FIELD(upstream_connect_ms), "MS", "2000", 10, HOUR_MS, NULL,
	 "Longest wait for a connection."},
	{G_UPSTREAM, "upstream-connections", CLI_NUMBER, FIELD(upstream_connections), "N", "128", 1, 65536, NULL,
	 "Connections to it at once; calls beyond it wait for one."},
	{G_UPSTREAM, "upstream-calls", CLI_NUMBER, FIELD(upstream_calls), "N", "4096", 1, 1000000, NULL,
	 "Calls under way or waiting at once; beyond it clients get ThrottlingException, which they retry."},
	{G_UPSTREAM, "table-ttl", CLI_NUMBER, FIELD(table_ttl_ms), "MS", "60000", 0, 24 * HOUR_MS, NULL,
	 "How long a table's key schema is believed before it is asked for again."},

	{G_NETWORK, "listen", CLI_TEXT, FIELD(listen), "ADDR:PORT", "127.0.0.1:8111", 0, 0, NULL,
	 "Address of the DAX protocol in cleartext (dax://). Any address but loopback needs --auth sigv4."},
	{G_NETWORK, "tls-listen", CLI_TEXT, FIELD(tls_listen), "ADDR:PORT", NULL, 0, 0, NULL,
	 "The same over TLS (daxs://); the port of the original is 9111."},
	{G_NETWORK, "tls-cert", CLI_TEXT, FIELD(tls_cert), "FILE", NULL, 0, 0, NULL,
	 "Certificate chain (PEM) of --tls-listen. SIGHUP reads certificate and key again."},
	{G_NETWORK, "tls-key", CLI_TEXT, FIELD(tls_key), "FILE", NULL, 0, 0, NULL,
	 "Private key (PEM) of --tls-cert."},
	{G_NETWORK, "http-listen", CLI_TEXT, FIELD(http_listen), "ADDR:PORT", NULL, 0, 0, NULL,
	 "Address of GET /health and GET /metrics. Off unless given."},
	{G_NETWORK, "max-connections", CLI_NUMBER, FIELD(max_connections), "N", "10000", 1, 1000000, NULL,
	 "Connections of clients open at once; beyond it new ones are closed."},
	{G_NETWORK, "idle-timeout", CLI_NUMBER, FIELD(idle_timeout_ms), "MS", "75000", 100, HOUR_MS, NULL,
	 "A connection without a request is closed after this."},
	{G_NETWORK, "request-timeout", CLI_NUMBER, FIELD(request_timeout_ms), "MS", "30000", 100, HOUR_MS, NULL,
	 "Longest time from the first to the last byte of a request."},
	{G_NETWORK, "write-timeout", CLI_NUMBER, FIELD(write_timeout_ms), "MS", "30000", 100, HOUR_MS, NULL,
	 "A client that takes nothing of its answer for this long is disconnected."},
	{G_NETWORK, "drain-timeout", CLI_NUMBER, FIELD(drain_timeout_ms), "MS", "10000", 0, HOUR_MS, NULL,
	 "After SIGTERM or SIGINT: longest wait for requests in progress."},

	{G_ACCESS, "auth", CLI_CHOICE, FIELD(auth), NULL, "any", 0, 0, auth_choices,
	 "sigv4 verifies the signatures of clients against --credentials. any accepts every well-formed one."},
	{G_ACCESS, "credentials", CLI_TEXT, FIELD(credentials), "FILE", NULL, 0, 0, NULL,
	 "For --auth sigv4: who may come in. Keys with policies are refused, for only the endpoint behind could apply them, "
	 "and that is asked with the node's own keys. SIGHUP reads it again."},

	{G_CLUSTER, "nodes", CLI_LIST, FIELD(nodes), "HOST:PORT", NULL, 0, 0, NULL,
	 "All nodes of the cluster, this one among them, as clients reach them; the same list on each. Repeatable or separated "
	 "by commas; at most 11. Without it the node is alone."},
	{G_CLUSTER, "node", CLI_TEXT, FIELD(node), "HOST:PORT", NULL, 0, 0, NULL,
	 "Which of --nodes this one is. Without it: the one that equals --listen or --tls-listen."},
	{G_CLUSTER, "cluster-secret", CLI_TEXT, FIELD(cluster_secret), "FILE", NULL, 0, 0, NULL,
	 "What the nodes know each other by: at least 16 bytes, the same on each node, readable by the owner only. Needed "
	 "unless all nodes are on loopback."},
	{G_CLUSTER, "peer-port-offset", CLI_NUMBER, FIELD(peer_port_offset), "N", "10000", 1, 60000, NULL,
	 "Nodes reach each other on their port of --nodes plus this."},
	{G_CLUSTER, "leave-time", CLI_NUMBER, FIELD(leave_time_ms), "MS", "6000", 0, HOUR_MS, NULL,
	 "After SIGTERM or SIGINT the other nodes leave this one out of their answers at once, and it goes on answering for at "
	 "most this long, until its clients, which ask every 4 s, have gone to the others."},

	{G_CACHE, "memory", CLI_SIZE, FIELD(memory_bytes), "SIZE", "256M", MIB, TIB, NULL,
	 "Memory of the item cache and the query cache together."},
	{G_CACHE, "record-ttl", CLI_NUMBER, FIELD(record_ttl_ms), "MS", "300000", 0, 365 * 24 * HOUR_MS, NULL,
	 "How long an item is kept (record-ttl-millis). 0: until it is written or has to make room."},
	{G_CACHE, "query-ttl", CLI_NUMBER, FIELD(query_ttl_ms), "MS", "300000", 0, 365 * 24 * HOUR_MS, NULL,
	 "How long a page of a Query or Scan is kept (query-ttl-millis). 0: not at all."},
	{G_CACHE, "data", CLI_TEXT, FIELD(data), "DIR", NULL, 0, 0, NULL,
	 "Where the attribute lists that clients know by number are kept, so that a restarted node knows them, too; created "
	 "when missing. Without it: in memory only."},

	{G_SIZE, "threads", CLI_NUMBER, FIELD(threads), "N", "0", 0, 256, NULL,
	 "Network threads. 0: one for each core."},

	{G_LOG, "log-format", CLI_CHOICE, FIELD(log_format), NULL, "text", 0, 0, log_formats,
	 "Lines for people or for machines; on standard error."},
	{G_LOG, "log-level", CLI_CHOICE, FIELD(log_level), NULL, "info", 0, 0, log_levels,
	 "The least serious lines to write."},
};

const struct cli_command dax_command = {
	"dax",
	"cache in front of any DynamoDB endpoint, for DAX clients",
	"Runs a cache node that DAX clients talk to, in front of a DynamoDB endpoint: this server, Amazon's, DynamoDB Local. "
	"`stator dax stats` tells what the caches of a running node hold. See docs/DAX-CLUSTER.md.",
	"  stator dax --upstream https://dynamodb.eu-west-1.amazonaws.com\n"
	"  stator dax --upstream http://127.0.0.1:8000 --listen 127.0.0.1:8111 --http-listen 127.0.0.1:8112\n"
	"  stator dax --upstream http://127.0.0.1:8000 --listen 127.0.0.1:8111 --nodes 127.0.0.1:8111,127.0.0.1:8113\n",
	"STATOR_DAX_",
	dax_options,
	sizeof dax_options / sizeof *dax_options,
};
/* clang-format on */

_Static_assert(sizeof dax_options / sizeof *dax_options <= CLI_OPTIONS_MAX, "cli_parse's flags must hold all options");

static enum status
check_access(const struct dax_config *c, struct err *err)
{
	const struct access_address addresses[] = {{"listen", c->listen}, {"tls-listen", c->tls_listen}};
	const struct access_options options = {
	    .sigv4 = c->auth == 1,
	    .credentials = c->credentials,
	    .tls_cert = c->tls_cert,
	    .tls_key = c->tls_key,
	    .tls_listen = addresses[1],
	    .addresses = addresses,
	    .address_count = sizeof addresses / sizeof *addresses,
	};

	return access_check(&options, err);
}

static enum status
check_cluster(struct dax_config *c, struct err *err)
{
	bool loopback = true, found = false;

	if (c->nodes.count == 0)
		return c->node == NULL && c->cluster_secret == NULL
			   ? S_OK
			   : err_set(err, S_VALIDATION, "--node and --cluster-secret belong to --nodes");
	if (c->nodes.count > 11)
		return err_set(err, S_VALIDATION, "--nodes: a cluster has at most 11 nodes");
	if (c->node == NULL)
		c->node = c->tls_listen != NULL ? c->tls_listen : c->listen;
	for (size_t i = 0; i < c->nodes.count; i++) {
		const char *colon = strrchr(c->nodes.items[i], ':');
		int port;

		loopback &= access_is_loopback(c->nodes.items[i]);
		found |= strcmp(c->nodes.items[i], c->node) == 0;
		if (colon == NULL || colon == c->nodes.items[i] || !listen_port(colon + 1, &port))
			return err_set(err, S_VALIDATION, "--nodes: \"%s\" is not HOST:PORT", c->nodes.items[i]);
		if (port + c->peer_port_offset > 65535)
			return err_set(err, S_VALIDATION, "--peer-port-offset: %s plus %lld is no port",
				       c->nodes.items[i], (long long)c->peer_port_offset);
	}
	if (!found)
		return err_set(err, S_VALIDATION, "--nodes does not name this node, %s: see --node", c->node);
	if (!loopback && c->cluster_secret == NULL)
		return err_set(err, S_VALIDATION,
			       "--nodes can be reached from other machines, so they must know each other: add "
			       "--cluster-secret FILE");
	return S_OK;
}

static const char *
environment(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

static enum status
check(struct dax_config *c, struct err *err)
{
	if (c->upstream == NULL)
		return err_set(err, S_VALIDATION,
			       "--upstream URL is needed: the DynamoDB endpoint that has the tables");
	c->access_key = environment("AWS_ACCESS_KEY_ID");
	c->secret = environment("AWS_SECRET_ACCESS_KEY");
	c->session_token = environment("AWS_SESSION_TOKEN");
	if (c->access_key == NULL || c->secret == NULL)
		return err_set(
		    err, S_VALIDATION,
		    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are needed in the environment: the keys with "
		    "which requests to --upstream are signed (any will do for an endpoint that looks at none)");
	if (c->upstream_region == NULL && strstr(c->upstream, ".amazonaws.com") == NULL) {
		c->upstream_region = environment("AWS_REGION");
		if (c->upstream_region == NULL)
			c->upstream_region = environment("AWS_DEFAULT_REGION");
		if (c->upstream_region == NULL)
			c->upstream_region = "us-east-1";
	}
	return check_access(c, err) == S_OK ? check_cluster(c, err) : err->status;
}

int
dax_cmd(int argc, char **argv)
{
	bool given[CLI_OPTIONS_MAX];
	struct dax_config config = {0};
	enum cli_result result;
	struct err err;
	int code = 0;

	if (argc > 0 && strcmp(argv[0], "stats") == 0)
		return dax_stats_cmd(argc - 1, argv + 1);
	memory_keep_freed();
	result = cli_parse(&dax_command, argc, argv, &config, given, &err);
	if (result == CLI_RUN && check(&config, &err) != S_OK)
		result = CLI_WRONG;
	if (result == CLI_HELP) {
		cli_help(&dax_command, stdout);
	} else if (result == CLI_WRONG) {
		fprintf(stderr, "stator dax: %s\n", err.message);
		code = 2;
	} else {
		log_setup((enum log_level)config.log_level, (enum log_format)config.log_format);
		code = dax_server_run(&config);
	}
	cli_done(&dax_command, &config);
	return code;
}
