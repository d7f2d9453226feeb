#include "main/access.h"

#include <string.h>

bool
access_is_loopback(const char *address)
{
	/* digits and dots only: 127.example.com may be any machine */
	return (strncmp(address, "127.", 4) == 0 && address[strspn(address, "0123456789.")] == ':') ||
	       strncmp(address, "[::1]:", 6) == 0 || strncmp(address, "localhost:", 10) == 0;
}

enum status
access_check(const struct access_options *o, struct err *err)
{
	if ((o->tls_cert == NULL) != (o->tls_key == NULL))
		return err_set(err, S_VALIDATION,
			       "--tls-cert and --tls-key belong together; only one of them is given");
	if (o->sigv4 && o->credentials == NULL)
		return err_set(err, S_VALIDATION, "--auth sigv4 needs --credentials FILE");
	if (!o->sigv4 && o->credentials != NULL)
		return err_set(err, S_VALIDATION,
			       "--credentials is only read with --auth sigv4; add that, or leave it out");
	if (o->tls_listen.value != NULL && o->tls_cert == NULL)
		return err_set(err, S_VALIDATION, "--%s needs --tls-cert and --tls-key", o->tls_listen.option);
	for (size_t i = 0; i < o->address_count; i++)
		if (!o->sigv4 && o->addresses[i].value != NULL && !access_is_loopback(o->addresses[i].value))
			return err_set(
			    err, S_VALIDATION,
			    "--%s %s can be reached from other machines, so signatures must be verified: add --auth "
			    "sigv4 --credentials FILE, or listen on 127.0.0.1",
			    o->addresses[i].option, o->addresses[i].value);
	return S_OK;
}
