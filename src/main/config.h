/*
 * The options of `stator serve`, checked against each other.
 */
#ifndef STATOR_MAIN_CONFIG_H
#define STATOR_MAIN_CONFIG_H

#include "front/http.h"
#include "main/cli.h"

#define REGIONS_MAX CLI_LIST_MAX

enum config_auth { AUTH_ANY, AUTH_SIGV4 };
enum config_wording { WORDING_OF_BEFORE, WORDING_OF_2026 };

struct config {
	const char *data; /* NULL: --ephemeral */
	bool ephemeral;
	const char *listen;
	const char *tls_cert, *tls_key;
	const char *dax_listen, *dax_tls_listen; /* NULL: none */
	const char *dax_ports;
	bool dax_coherent;
	int64_t dax_node_memory_bytes, dax_memory_bytes, dax_record_ttl_ms, dax_query_ttl_ms;
	int auth;    /* enum config_auth */
	int wording; /* enum config_wording */
	const char *credentials;
	struct cli_list regions;
	const char *account;
	int log_format, log_level;
	int64_t threads; /* 0: one a core */
	int64_t io_threads;
	int64_t cache_bytes, item_cache_bytes, page_cache_bytes, write_buffer_bytes, min_free_bytes;
	int64_t partitions;
	bool throttling;
	bool test_controls;
	int64_t control_plane_delay_ms;
	int64_t max_connections, max_requests, request_memory, answer_memory;
	int64_t idle_timeout_ms, request_timeout_ms, write_timeout_ms, drain_timeout_ms;
};

extern const struct cli_command serve_command;

/* Parse, cross-check and look through the credentials file. Pair with config_done, also after a failure. */
enum cli_result config_read(struct config *ret, int argc, char **argv, struct err *err);
void config_done(struct config *c);
/* "8121-8160", "8121" or "0" (any free port). */
enum status config_ports(const char *text, int *ret_first, int *ret_last);

#endif
