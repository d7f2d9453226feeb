#include "main/config.h"

#include <stdlib.h>

#include "main/access.h"
#include "main/credentials.h"

static const char *const wording_choices[] = {[WORDING_OF_BEFORE] = "classic", [WORDING_OF_2026] = "2026", NULL};
static const char *const auth_choices[] = {[AUTH_ANY] = "any", [AUTH_SIGV4] = "sigv4", NULL};
static const char *const log_formats[] = {"text", "json", NULL};                  /* as enum log_format */
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL}; /* as enum log_level */

#define G_DATA    "Data"
#define G_NETWORK "Network"
#define G_ACCESS  "Access"
#define G_BEHAVE  "Behaviour"
#define G_SIZE    "Resources"
#define G_LOG     "Log"

#define FIELD(member) offsetof(struct config, member)
#define KIB           (INT64_C(1) << 10)
#define MIB           (INT64_C(1) << 20)
#define TIB           (INT64_C(1) << 40)
#define HOUR_MS       (INT64_C(3600) * 1000)

/* clang-format off */
static const struct cli_option serve_options[] = {
	{G_DATA, "data", CLI_TEXT, FIELD(data), "DIR", NULL, 0, 0, NULL,
	 "Where everything is kept; created when missing. Without it, and without --ephemeral: ./stator-data."},
	{G_DATA, "ephemeral", CLI_FLAG, FIELD(ephemeral), NULL, NULL, 0, 0, NULL,
	 "For tests: data in a temporary folder that is removed at exit, writes not synced to the disk."},
	{G_DATA, "min-free", CLI_SIZE, FIELD(min_free_bytes), "SIZE", "64M", 0, TIB, NULL,
	 "Writes are refused with InternalServerError while the disk has less room than this; reads go on."},

	{G_NETWORK, "listen", CLI_TEXT, FIELD(listen), "ADDR:PORT", "127.0.0.1:8000", 0, 0, NULL,
	 "Address of the HTTP front. Port 0 takes a free one (see /health). Any address but loopback needs --auth sigv4."},
	{G_NETWORK, "tls-cert", CLI_TEXT, FIELD(tls_cert), "FILE", NULL, 0, 0, NULL,
	 "Certificate chain (PEM): the front then speaks TLS 1.2 and 1.3 only. SIGHUP reads certificate and key again."},
	{G_NETWORK, "tls-key", CLI_TEXT, FIELD(tls_key), "FILE", NULL, 0, 0, NULL,
	 "Private key (PEM) of --tls-cert."},
	{G_NETWORK, "dax-listen", CLI_TEXT, FIELD(dax_listen), "ADDR:PORT", NULL, 0, 0, NULL,
	 "Also be a DAX node here, in cleartext (dax://); the port of the original is 8111. Off unless given. Any address but "
	 "loopback needs --auth sigv4."},
	{G_NETWORK, "dax-tls-listen", CLI_TEXT, FIELD(dax_tls_listen), "ADDR:PORT", NULL, 0, 0, NULL,
	 "The same over TLS (daxs://) with --tls-cert; the port of the original is 9111."},
	{G_NETWORK, "dax-coherent", CLI_FLAG, FIELD(dax_coherent), NULL, NULL, 0, 0, NULL,
	 "The change log drops from the caches of this node and of the clusters made here what has changed, however it was changed: no stale item and no stale "
	 "page once the record has passed. The original leaves them until their time to live ends. See docs/DAX-CACHES.md."},
	{G_NETWORK, "dax-ports", CLI_TEXT, FIELD(dax_ports), "FIRST-LAST", "8121-8170", 0, 0, NULL,
	 "Ports of the clusters that the DAX control plane (CreateCluster) makes: one for each node and one for each cluster's "
	 "discovery endpoint. They listen on the address of --dax-listen, else on 127.0.0.1. 0: any free ones."},
	{G_NETWORK, "max-connections", CLI_NUMBER, FIELD(max_connections), "N", "10000", 1, 1000000, NULL,
	 "Connections open at once, on each front; beyond it one that has been unused for a second or more makes room, or "
	 "the new one is turned away. The limit of open files (ulimit -Hn) bounds it, too."},
	{G_NETWORK, "max-requests", CLI_NUMBER, FIELD(max_requests), "N", "10000", 1, 1000000, NULL,
	 "Requests in progress at once: waiting for a sync or for the disk. One tenant may have half of them; beyond it "
	 "clients get ThrottlingException, which they retry."},
	{G_NETWORK, "request-memory", CLI_SIZE, FIELD(request_memory), "SIZE", "512M", MIB, TIB, NULL,
	 "Memory for large, and for half, requests of all connections; beyond it they are answered with 503. Small ones "
	 "may take as much again."},
	{G_NETWORK, "answer-memory", CLI_SIZE, FIELD(answer_memory), "SIZE", "512M", MIB, TIB, NULL,
	 "Memory for answers that clients do not take; beyond it those who leave most unread are disconnected."},
	{G_NETWORK, "idle-timeout", CLI_NUMBER, FIELD(idle_timeout_ms), "MS", "75000", 100, HOUR_MS, NULL,
	 "A connection without a request is closed after this."},
	{G_NETWORK, "request-timeout", CLI_NUMBER, FIELD(request_timeout_ms), "MS", "30000", 100, HOUR_MS, NULL,
	 "Longest time from the first to the last byte of a request."},
	{G_NETWORK, "write-timeout", CLI_NUMBER, FIELD(write_timeout_ms), "MS", "30000", 100, HOUR_MS, NULL,
	 "A client that takes nothing of its answer for this long is disconnected."},
	{G_NETWORK, "drain-timeout", CLI_NUMBER, FIELD(drain_timeout_ms), "MS", "10000", 0, HOUR_MS, NULL,
	 "After SIGTERM or SIGINT: longest wait for requests in progress. What was acknowledged is safe in any case."},

	{G_ACCESS, "auth", CLI_CHOICE, FIELD(auth), NULL, "any", 0, 0, auth_choices,
	 "sigv4 verifies every signature against --credentials. any accepts every well-formed one, as developers "
	 "expect on their own machine."},
	{G_ACCESS, "credentials", CLI_TEXT, FIELD(credentials), "FILE", NULL, 0, 0, NULL,
	 "For --auth sigv4: who may come in and what they may do, as JSON with IAM policies or one `access-key "
	 "secret-key` a line for administrators; readable by the owner only. SIGHUP reads it again. See docs/ACCESS.md."},
	{G_ACCESS, "region", CLI_LIST, FIELD(regions), "NAME", "us-east-1", 0, 0, NULL,
	 "A region to serve, each with data of its own; repeatable or separated by commas. A request's signature names "
	 "its region; the first one is the default."},
	{G_ACCESS, "account", CLI_TEXT, FIELD(account), "ID", "123456789012", 0, 0, NULL,
	 "The 12 digits of the account in ARNs. An ARN of another account is answered with AccessDeniedException."},

	{G_BEHAVE, "control-plane-delay", CLI_NUMBER, FIELD(control_plane_delay_ms), "MS", "2", 0, HOUR_MS, NULL,
	 "How long at least tables and indexes stay CREATING, UPDATING and DELETING. Up to 5 the answer is held until it is "
	 "over (a second at most), as waiters of SDKs look once and then sleep 20 s."},
	{G_BEHAVE, "partitions", CLI_NUMBER, FIELD(partitions), "N", "4", 1, 256, NULL,
	 "Partitions of a new table: writes to different partitions do not wait for each other."},
	{G_BEHAVE, "error-wording", CLI_CHOICE, FIELD(wording), NULL, "classic", 0, 0, wording_choices,
	 "The words of validation errors: classic, or those to which the service has been moving region by region since "
	 "June 2026. See docs/ERRORS.md."},
	{G_BEHAVE, "throttling", CLI_FLAG, FIELD(throttling), NULL, NULL, 0, 0, NULL,
	 "Enforce provisioned capacity and on-demand maxima: a token bucket for reads and one for writes of each table and "
	 "global index, with a burst of 300 seconds. Off, capacity is counted and never refused."},
	{G_BEHAVE, "test-controls", CLI_FLAG, FIELD(test_controls), NULL, NULL, 0, 0, NULL,
	 "For tests: POST /_stator/test-controls moves the clock, lets items expire, provokes throttling, conflicts and errors. "
	 "Who may call it can do anything to the data. See docs/TEST-CONTROLS.md."},

	{G_SIZE, "threads", CLI_NUMBER, FIELD(threads), "N", "0", 0, 256, NULL,
	 "Network threads; each runs its requests to the end. 0: one for each core."},
	{G_SIZE, "io-threads", CLI_NUMBER, FIELD(io_threads), "N", "4", 1, 256, NULL,
	 "Threads for what has to wait for the disk."},
	{G_SIZE, "cache-bytes", CLI_SIZE, FIELD(cache_bytes), "SIZE", "256M", MIB, TIB, NULL,
	 "Memory for data read from the disk, shared out over the regions."},
	{G_SIZE, "item-cache-bytes", CLI_SIZE, FIELD(item_cache_bytes), "SIZE", "64M", 0, TIB, NULL,
	 "Memory for single items by their keys, shared out over the regions."},
	{G_SIZE, "page-cache-bytes", CLI_SIZE, FIELD(page_cache_bytes), "SIZE", "32M", 0, TIB, NULL,
	 "Memory for pages of queries that are asked for again, as they are told, shared out over the regions."},
	{G_SIZE, "write-buffer-bytes", CLI_SIZE, FIELD(write_buffer_bytes), "SIZE", "64M", 256 * KIB, TIB, NULL,
	 "Memory for recent writes before they are sorted into files; for each region."},

	{G_SIZE, "dax-memory", CLI_SIZE, FIELD(dax_memory_bytes), "SIZE", "256M", MIB, TIB, NULL,
	 "Memory for what DAX clients have read: items and pages of Query and Scan together."},
	{G_SIZE, "dax-node-memory", CLI_SIZE, FIELD(dax_node_memory_bytes), "SIZE", "64M", MIB, TIB, NULL,
	 "The same for each node of a cluster that the DAX control plane makes, whatever its node type."},
	{G_SIZE, "dax-record-ttl", CLI_NUMBER, FIELD(dax_record_ttl_ms), "MS", "300000", 0, 365 * 24 * HOUR_MS, NULL,
	 "How long an item is answered from DAX's cache; 0: until it is written or room is needed."},
	{G_SIZE, "dax-query-ttl", CLI_NUMBER, FIELD(dax_query_ttl_ms), "MS", "300000", 0, 365 * 24 * HOUR_MS, NULL,
	 "How long a page of Query or Scan is answered from DAX's cache; 0: never."},

	{G_LOG, "log-format", CLI_CHOICE, FIELD(log_format), NULL, "text", 0, 0, log_formats,
	 "Lines for people or for machines; on standard error."},
	{G_LOG, "log-level", CLI_CHOICE, FIELD(log_level), NULL, "info", 0, 0, log_levels,
	 "The least serious lines to write."},
};

const struct cli_command serve_command = {
	"serve",
	"answer the DynamoDB API",
	"Answers the DynamoDB API over HTTP/1.1 and HTTP/2. Every acknowledged write is on the disk. SIGTERM or SIGINT "
	"finishes what is in progress, syncs and exits 0; a second one exits at once.",
	"  stator serve\n"
	"  stator serve --ephemeral --listen 127.0.0.1:0\n"
	"  stator serve --data /var/lib/stator --listen 0.0.0.0:8000 --auth sigv4 --credentials /etc/stator/keys\n",
	"STATOR_",
	serve_options,
	sizeof serve_options / sizeof *serve_options,
};
/* clang-format on */

_Static_assert(sizeof serve_options / sizeof *serve_options <= CLI_OPTIONS_MAX,
	       "cli_parse's flags must hold all options");

/* Region names become folder names. */
static enum status
check_regions(const struct cli_list *regions, struct err *err)
{
	for (size_t i = 0; i < regions->count; i++) {
		const char *name = regions->items[i];

		if (strlen(name) > 32 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name) ||
		    name[0] == '-')
			return err_set(
			    err, S_VALIDATION,
			    "--region: \"%s\" is no region name; lower-case letters, digits and hyphens, at most 32",
			    name);
		for (size_t j = 0; j < i; j++)
			if (strcmp(name, regions->items[j]) == 0)
				return err_set(err, S_VALIDATION, "--region: %s is given twice", name);
	}
	return S_OK;
}

static enum status
check_access(const struct config *c, struct err *err)
{
	const struct access_address addresses[] = {
	    {"listen", c->listen},
	    {"dax-listen", c->dax_listen},
	    {"dax-tls-listen", c->dax_tls_listen},
	};
	const struct access_options options = {
	    .sigv4 = c->auth == AUTH_SIGV4,
	    .credentials = c->credentials,
	    .tls_cert = c->tls_cert,
	    .tls_key = c->tls_key,
	    .tls_listen = addresses[2],
	    .addresses = addresses,
	    .address_count = sizeof addresses / sizeof *addresses,
	};

	return access_check(&options, err);
}

enum status
config_ports(const char *text, int *ret_first, int *ret_last)
{
	char *end;
	long first = strtol(text, &end, 10), last = first;

	if (end != text && *end == '-' && first > 0) {
		text = end + 1;
		last = strtol(text, &end, 10);
	}
	if (end == text || *end != '\0' || first < 0 || last < first || last > 65535)
		return S_VALIDATION;
	*ret_first = (int)first;
	*ret_last = (int)last;
	return S_OK;
}

static enum status
check(struct config *c, struct err *err)
{
	enum status s = check_access(c, err);
	int first, last;

	if (s == S_OK)
		s = check_regions(&c->regions, err);
	if (s != S_OK)
		return s;
	if (config_ports(c->dax_ports, &first, &last) != S_OK)
		return err_set(err, S_VALIDATION, "--dax-ports: \"%s\" is no range of ports such as 8121-8170",
			       c->dax_ports);
	if (strlen(c->account) != 12 || strspn(c->account, "0123456789") != 12)
		return err_set(err, S_VALIDATION, "--account: \"%s\" is not 12 digits", c->account);
	if (c->ephemeral && c->data != NULL)
		return err_set(err, S_VALIDATION, "--ephemeral keeps nothing, so it cannot have --data %s; choose one",
			       c->data);
	if (!c->ephemeral && c->data == NULL)
		c->data = "./stator-data";
	return S_OK;
}

enum cli_result
config_read(struct config *ret, int argc, char **argv, struct err *err)
{
	bool given[CLI_OPTIONS_MAX];
	enum cli_result result;

	memset(ret, 0, sizeof *ret);
	result = cli_parse(&serve_command, argc, argv, ret, given, err);
	if (result != CLI_RUN)
		return result;
	if (check(ret, err) != S_OK)
		return CLI_WRONG;
	if (ret->auth == AUTH_SIGV4) { /* is it all right? The server reads it when it starts, and on each SIGHUP */
		struct auth_keys *keys;

		if (credentials_read(ret->credentials, ret->account, &keys, err) != S_OK)
			return CLI_WRONG;
		auth_keys_free(keys);
	}
	return CLI_RUN;
}

void
config_done(struct config *c)
{
	cli_done(&serve_command, c);
	memset(c, 0, sizeof *c);
}
