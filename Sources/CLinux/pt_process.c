#define _GNU_SOURCE
#include "pt_process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

int pt_pidfd_open(int pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int pt_pidfd_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

static int reap(int kind, int id, struct pt_ending *ending)
{
	siginfo_t information = { 0 };

	if (waitid((idtype_t)kind, (id_t)id, &information, WEXITED | WNOHANG) < 0)
		return -errno;
	*ending = (struct pt_ending){
		.pid = information.si_pid,
		.by_signal = information.si_code != CLD_EXITED,
		.status = information.si_status,
	};
	return 0;
}

int pt_pidfd_reap(int pidfd, struct pt_ending *ending)
{
	return reap(P_PIDFD, pidfd, ending);
}

int pt_reap_any(struct pt_ending *ending)
{
	return reap(P_ALL, 0, ending);
}

int pt_signal_reader(void)
{
	sigset_t all;
	int fd;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int pt_signal_read(int fd)
{
	struct signalfd_siginfo information;

	if (read(fd, &information, sizeof information) == sizeof information)
		return (int)information.ssi_signo;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int pt_boot_timer(void)
{
	int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int pt_boot_timer_set(int fd, int64_t milliseconds)
{
	struct itimerspec span = {
		.it_value = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000 },
	};

	return timerfd_settime(fd, 0, &span, NULL) < 0 ? -errno : 0;
}

int pt_set_host_name(const char *name, size_t length)
{
	return sethostname(name, length) < 0 ? -errno : 0;
}

int pt_seal_process(void)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

static int fill(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t count = write(fd, data, length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		data += count;
		length -= (size_t)count;
	}
	return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

int pt_memory_file(const void *data, size_t length)
{
	int fd = memfd_create("postern", MFD_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	error = fill(fd, data, length);
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

const char *pt_error_text(int error)
{
	const char *text = strerrordesc_np(error);

	return text ? text : "unknown error";
}
