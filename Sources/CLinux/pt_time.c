#define _GNU_SOURCE
#include "pt_time.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS 1000000000ull

int pt_boot_timer_at(int fd, uint64_t nanoseconds)
{
	struct itimerspec moment = {
		.it_value = { .tv_sec = nanoseconds / NANOSECONDS, .tv_nsec = nanoseconds % NANOSECONDS },
	};

	return timerfd_settime(fd, TFD_TIMER_ABSTIME, &moment, NULL) < 0 ? -errno : 0;
}

int pt_clock_watch(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	int status;

	if (fd < 0)
		return -errno;
	status = pt_clock_watch_again(fd);
	if (status < 0) {
		close(fd);
		return status;
	}
	return fd;
}

int pt_clock_watch_again(int fd)
{
	/* A moment that never comes: only the setting of the clock ends the wait (timerfd_create(2)). */
	struct itimerspec never = { .it_value = { .tv_sec = INT32_MAX * 16ll } };

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0 ? -errno : 0;
}

int pt_timer_drain(int fd)
{
	uint64_t expirations;

	if (read(fd, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN && errno != ECANCELED)
		return -errno;
	return 0;
}
