/* Who may reach a server, and whether that goes together: what `stator serve` and `stator dax` are asked in the same
 * words. */
#ifndef STATOR_MAIN_ACCESS_H
#define STATOR_MAIN_ACCESS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct access_address {
	const char *option, *value; /* value NULL: not given */
};
struct access_options {
	bool sigv4; /* --auth */
	const char *credentials, *tls_cert, *tls_key;
	struct access_address tls_listen; /* what needs the certificate */
	const struct access_address *addresses;
	size_t address_count;
};
/* S_VALIDATION: what is missing or too much. Any address but loopback needs signatures that are verified. */
enum status access_check(const struct access_options *options, struct err *err);
/* HOST:PORT of this machine alone. */
bool access_is_loopback(const char *address);

#endif
