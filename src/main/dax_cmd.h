/* `stator dax`: cache nodes of the DAX protocol in front of any DynamoDB endpoint. */
#ifndef STATOR_MAIN_DAX_CMD_H
#define STATOR_MAIN_DAX_CMD_H

#include "main/cli.h"

struct dax_config {
	const char *upstream, *upstream_region, *upstream_ca;
	int64_t upstream_timeout_ms, upstream_connect_ms, upstream_connections, upstream_calls, table_ttl_ms;
	const char *listen, *tls_listen, *tls_cert, *tls_key, *http_listen;
	int64_t max_connections, idle_timeout_ms, request_timeout_ms, write_timeout_ms, drain_timeout_ms;
	int auth; /* 0: any, 1: sigv4 */
	const char *credentials;
	struct cli_list nodes;
	const char *node, *cluster_secret;
	int64_t peer_port_offset, leave_time_ms;
	const char *data;
	int64_t memory_bytes, record_ttl_ms, query_ttl_ms, threads;
	int log_format, log_level;
	/* of the upstream, from the environment */
	const char *access_key, *secret, *session_token;
};

extern const struct cli_command dax_command;
int dax_cmd(int argc, char **argv);
int dax_server_run(const struct dax_config *config); /* dax_server.c */

#endif
