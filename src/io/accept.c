#include "io/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"

#define ACCEPT_BATCH    64
#define ACCEPT_PAUSE_MS 50
#define WARN_EACH_S     10
#define LOOK_AT         64 /* connections, for one that can make room */

/* --- accepting --- */

static int
reserve(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
pause_accepting(struct acceptor *a)
{
	if (a->handler->paused != NULL)
		a->handler->paused(a);
	loop_change(a->loop, &a->listener, 0);
	loop_timer_set(a->loop, &a->timer, loop_now_ns(a->loop) + (int64_t)ACCEPT_PAUSE_MS * 1000000);
}

static void
resume(struct loop_timer *t)
{
	struct acceptor *a = (struct acceptor *)((char *)t - offsetof(struct acceptor, timer));

	if (a->reserve_fd < 0)
		a->reserve_fd = reserve();
	if (a->listener.fd >= 0)
		loop_change(a->loop, &a->listener, EPOLLIN);
}

/* No descriptors left: clients that wait are told so, instead of waiting for nothing. */
static void
accept_and_drop(struct acceptor *a)
{
	int64_t now = loop_now_ns(a->loop);

	if (a->warned_ns == 0 || now - a->warned_ns > (int64_t)WARN_EACH_S * 1000000000)
		log_warn(a->name, "no file descriptors left; new connections are refused (raise the limit: ulimit -n)");
	a->warned_ns = now;
	for (int i = 0; i < ACCEPT_BATCH && a->reserve_fd >= 0; i++) {
		int fd;

		close(a->reserve_fd);
		fd = accept4(a->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			a->handler->turn_away(a, fd);
		a->reserve_fd = reserve();
		if (fd < 0)
			break;
	}
	pause_accepting(a);
}

static void
ready(struct loop_fd *f, uint32_t events)
{
	struct acceptor *a = (struct acceptor *)((char *)f - offsetof(struct acceptor, listener));

	(void)events;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct sockaddr_storage address;
		socklen_t len = sizeof address;
		int fd = accept4(f->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			a->handler->accepted(a, fd, &address);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE)
			accept_and_drop(a);
		else if (errno == ENOBUFS || errno == ENOMEM)
			pause_accepting(a);
		else if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO || errno == EPERM)
			continue; /* this one left; the next may be well */
		return;
	}
}

enum status
acceptor_open(struct acceptor *a, struct sockaddr_storage *address, socklen_t len, bool first, struct err *err)
{
	a->reserve_fd = reserve();
	a->listener.ready = ready;
	a->timer.fire = resume;
	a->listener.fd = listen_socket(address, len, first);
	if (a->listener.fd < 0)
		return err_set(err, S_IO, "cannot listen on %s: %s", a->listen_on, strerror(errno));
	return loop_add(a->loop, &a->listener, EPOLLIN, err);
}

void
acceptor_stop(struct acceptor *a)
{
	if (a->listener.fd < 0)
		return;
	loop_remove(a->loop, &a->listener);
	close(a->listener.fd);
	a->listener.fd = -1;
}

void
acceptor_done(struct acceptor *a)
{
	acceptor_stop(a);
	loop_timer_clear(a->loop, &a->timer);
	if (a->reserve_fd >= 0)
		close(a->reserve_fd);
}

/* --- places --- */

void
places_add(struct places *all, struct place *p)
{
	p->prev = NULL;
	p->next = all->first;
	if (p->next != NULL)
		p->next->prev = p;
	all->first = p;
	all->count++;
}

void
places_remove(struct places *all, struct place *p)
{
	if (p->prev != NULL)
		p->prev->next = p->next;
	else
		all->first = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	if (all->look == p)
		all->look = p->next;
	all->count--;
}

struct place *
places_unused(struct places *all, int64_t (*unused_ns)(const struct place *p))
{
	struct place *longest = NULL;
	int64_t longest_ns = 0;

	for (int i = 0; i < LOOK_AT && i < all->count; i++) {
		struct place *p = all->look != NULL ? all->look : all->first;
		int64_t ns = unused_ns(p);

		all->look = p->next;
		if (ns > longest_ns) {
			longest_ns = ns;
			longest = p;
		}
	}
	return longest;
}
