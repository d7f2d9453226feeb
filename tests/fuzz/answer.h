/*
 * A server on loopback for the targets that read what servers answer: each connection is given one input, in pieces, as
 * soon as something was asked, and is closed then.
 */
#ifndef STATOR_TESTS_FUZZ_ANSWER_H
#define STATOR_TESTS_FUZZ_ANSWER_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
	int fd;
	int port;
	pthread_mutex_t lock; /* held while an input is sent: a client may give up before that is over */
	const uint8_t *data;
	size_t size, piece;
} answering = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Before the client connects; and with nothing before the bytes go. */
static void
answer_with(const void *data, size_t size, size_t piece)
{
	pthread_mutex_lock(&answering.lock);
	answering.data = data;
	answering.size = size;
	answering.piece = piece;
	pthread_mutex_unlock(&answering.lock);
}

static void
send_in_pieces(int fd)
{
	pthread_mutex_lock(&answering.lock);
	for (size_t sent = 0; sent < answering.size;) {
		size_t left = answering.size - sent;
		ssize_t n =
		    send(fd, answering.data + sent, left < answering.piece ? left : answering.piece, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	pthread_mutex_unlock(&answering.lock);
}

static void *
answer_all(void *context)
{
	for (;;) {
		int fd = accept(answering.fd, NULL, NULL), on = 1;
		char asked[4096];

		if (fd < 0)
			abort();
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		if (recv(fd, asked, sizeof asked, 0) > 0)
			send_in_pieces(fd);
		shutdown(fd, SHUT_WR);
		while (recv(fd, asked, sizeof asked, 0) > 0) /* else what was sent may be taken back */
			;
		close(fd);
	}
	return context;
}

static void
answer_start(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	pthread_t thread;

	answering.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (answering.fd < 0 || bind(answering.fd, (struct sockaddr *)&address, len) != 0 ||
	    listen(answering.fd, 16) != 0 || getsockname(answering.fd, (struct sockaddr *)&address, &len) != 0 ||
	    pthread_create(&thread, NULL, answer_all, NULL) != 0)
		abort();
	pthread_detach(thread);
	answering.port = ntohs(address.sin_port);
}

#endif
