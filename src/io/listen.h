/* Addresses to listen on, for the servers of this room. */
#ifndef STATOR_IO_LISTEN_H
#define STATOR_IO_LISTEN_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/status.h"

/* "host:port", "[v6]:port", ":port" for every address of this machine. */
enum status listen_parse(const char *listen_on, struct sockaddr_storage *ret, socklen_t *ret_len, struct err *err);
/* 1 to 65535, in digits and nothing else. */
bool listen_port(const char *text, int *ret);
void listen_format(const struct sockaddr_storage *a, char *ret, size_t size);
/*
 * A listening socket; -1 and errno. The first of a server takes its port for itself alone, so that a port in use is
 * noticed: with SO_REUSEPORT from the start the kernel would silently share it with another server of the same user.
 * Only then it is opened for the sockets of the other loops.
 */
int listen_socket(struct sockaddr_storage *address, socklen_t len, bool first);

/* A context of TLS 1.2 and 1.3 with this certificate chain and key (PEM files). */
enum status tls_context_new(const char *cert, const char *key, SSL_CTX **ret, struct err *err);

#endif
