#include "pt_epoll.h"

#include <errno.h>
#include <sys/epoll.h>

enum { PT_EPOLL_BATCH = 64 };

int pt_epoll_create(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int pt_epoll_add(int epoll, int fd, uint64_t number)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = number };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int pt_epoll_take(int epoll, uint64_t *numbers, int length)
{
	struct epoll_event events[PT_EPOLL_BATCH];
	int limit = length < PT_EPOLL_BATCH ? length : PT_EPOLL_BATCH;
	int count = epoll_wait(epoll, events, limit, 0);

	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count; i++)
		numbers[i] = events[i].data.u64;
	return count;
}
