#include "io/listen.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 4096

void
listen_format(const struct sockaddr_storage *a, char *ret, size_t size)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (a->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;

		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
		snprintf(ret, size, "[%s]:%d", text, ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in = (const struct sockaddr_in *)a;

		inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
		snprintf(ret, size, "%s:%d", text, ntohs(in->sin_port));
	}
}

bool
listen_port(const char *text, int *ret)
{
	size_t digits = strspn(text, "0123456789");

	*ret = 0;
	for (size_t i = 0; i < digits && i < 5; i++)
		*ret = 10 * *ret + (text[i] - '0');
	return digits > 0 && digits <= 5 && text[digits] == '\0' && *ret >= 1 && *ret <= 65535;
}

enum status
listen_parse(const char *listen_on, struct sockaddr_storage *ret, socklen_t *ret_len, struct err *err)
{
	const char *colon = strrchr(listen_on, ':');
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found;
	char host[256];
	size_t len;
	int e;

	if (colon == NULL || colon[1] == '\0' || (size_t)(colon - listen_on) >= sizeof host)
		return err_set(err, S_VALIDATION, "\"%s\" is no address to listen on; write it like 127.0.0.1:8000",
			       listen_on);
	len = (size_t)(colon - listen_on);
	memcpy(host, listen_on, len);
	host[len] = '\0';
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		memmove(host, host + 1, len - 1);
	} else if (memchr(host, ':', len) != NULL) {
		return err_set(err, S_VALIDATION, "\"%s\": an IPv6 address needs brackets, like [::1]:8000", listen_on);
	}
	if (len == 0)
		hints.ai_family = AF_INET; /* every IPv4 address; [::] is both kinds */
	e = getaddrinfo(len > 0 ? host : NULL, colon + 1, &hints, &found);
	if (e != 0)
		return err_set(err, S_VALIDATION, "\"%s\" is no address to listen on: %s", listen_on, gai_strerror(e));
	memcpy(ret, found->ai_addr, found->ai_addrlen);
	*ret_len = found->ai_addrlen;
	freeaddrinfo(found);
	return S_OK;
}

int
listen_socket(struct sockaddr_storage *address, socklen_t len, bool first)
{
	static const int on = 1;
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (!first)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	/* inherited by the connections accepted */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)address, len) != 0)
		goto fail;
	if (first)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	if (listen(fd, BACKLOG) != 0)
		goto fail;
	(void)getsockname(fd, (struct sockaddr *)address, &len);
	return fd;
fail:
	close(fd);
	return -1;
}
