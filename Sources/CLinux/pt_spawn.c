#define _GNU_SOURCE
#include "pt_spawn.h"
#include "pt_landlock.h"
#include "pt_priority.h"
#include "pt_seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Descriptors are first moved above this, so that no source is overwritten as a target. */
enum { SPARE_FD = 32, MAX_DESCRIPTORS = 16 };

struct failure {
	int step;
	int error;
};

/* glibc's setres*id and sigaction take locks that another thread of the parent may hold: raw calls only. */
static void reset_signals(void)
{
	/* Zero in every architecture's layout: SIG_DFL, no flags, empty mask. */
	unsigned char kernel_sigaction[64] = { 0 };
	unsigned char none[8] = { 0 };

	for (int signal = 1; signal <= 64; signal++)
		syscall(SYS_rt_sigaction, signal, kernel_sigaction, NULL, sizeof none);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, sizeof none);
}

static int enter_cgroup(int procs_fd)
{
	return write(procs_fd, "0", 1) == 1 ? 0 : -1;
}

static int place_descriptors(const struct pt_spawn_request *request, int *report_fd)
{
	int moved[MAX_DESCRIPTORS];

	if ((*report_fd = fcntl(*report_fd, F_DUPFD_CLOEXEC, SPARE_FD)) < 0)
		return -1;
	for (size_t i = 0; i < request->descriptor_count; i++)
		if ((moved[i] = fcntl(request->descriptors[i], F_DUPFD_CLOEXEC, SPARE_FD)) < 0)
			return -1;
	for (size_t i = 0; i < request->descriptor_count; i++)
		if (dup2(moved[i], (int)i) < 0)
			return -1;
	return (int)syscall(SYS_close_range, (unsigned)request->descriptor_count, ~0U, CLOSE_RANGE_CLOEXEC);
}

static int set_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = (uint32_t)keep, .permitted = (uint32_t)keep },
		{ .effective = keep >> 32, .permitted = keep >> 32 },
	};

	return (int)syscall(SYS_capset, &header, data);
}

/* What needs CAP_SETPCAP itself, and so comes before the identity. */
static int bound_capabilities(uint64_t keep)
{
	for (int capability = 0; capability < 64; capability++) {
		if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) < 0)
			break;
		if (!(keep >> capability & 1) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return -1;
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -1;
	/* Root's uid gives nothing at execve, nothing can be made ambient, and neither can be undone. */
	return prctl(PR_SET_SECUREBITS,
		     SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
			     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED | SECBIT_KEEP_CAPS_LOCKED,
		     0, 0, 0);
}

int pt_drop_capabilities(uint64_t keep)
{
	return bound_capabilities(keep) < 0 || set_capabilities(keep) < 0 ? -errno : 0;
}

static int set_identity(const struct pt_spawn_request *request)
{
	uint32_t uid = request->uid, gid = request->gid;

	if (syscall(SYS_setgroups, 0, NULL) < 0)
		return -1;
	if (syscall(SYS_setresgid, gid, gid, gid) < 0)
		return -1;
	return (int)syscall(SYS_setresuid, uid, uid, uid);
}

static int write_file(const char *path, const char *text, size_t length)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written;

	if (fd < 0)
		return -1;
	written = write(fd, text, length);
	close(fd);
	return written == (ssize_t)length ? 0 : -1;
}

/* "0 ID 1" without the C library's formatting, which may take locks. */
static int map_to_root(const char *path, uint32_t id)
{
	char text[32] = "0 ", digits[10];
	size_t length = 2, count = 0;

	do
		digits[count++] = (char)('0' + id % 10);
	while (id /= 10);
	while (count)
		text[length++] = digits[--count];
	text[length++] = ' ';
	text[length++] = '1';
	return write_file(path, text, length);
}

/* A user namespace of this one uid, whose root is nobody outside. Its maker has every capability in it at first. */
static int become_inner_root(const struct pt_spawn_request *request)
{
	/* A change of uid takes the process's own files in /proc from it. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || unshare(CLONE_NEWUSER) < 0)
		return -1;
	/* Who could drop groups could pass by what they forbid: user_namespaces(7). */
	if (write_file("/proc/self/setgroups", "deny", 4) < 0)
		return -1;
	if (map_to_root("/proc/self/gid_map", request->gid) < 0 || map_to_root("/proc/self/uid_map", request->uid) < 0)
		return -1;
	/* Or the same uid outside could reach what we still hold open. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -1;
	return request->drop_capabilities ? bound_capabilities(0) : 0;
}

static int lower_limit(int resource, rlim_t limit)
{
	struct rlimit limits;

	if (getrlimit(resource, &limits) < 0)
		return -1;
	if (limits.rlim_max > limit)
		limits.rlim_max = limit;
	if (limits.rlim_cur > limits.rlim_max)
		limits.rlim_cur = limits.rlim_max;
	return setrlimit(resource, &limits);
}

static int start_session(const struct pt_spawn_request *request)
{
	if (request->new_session && setsid() < 0)
		return -1;
	if (request->take_terminal && ioctl(0, TIOCSCTTY, 0) < 0)
		return -1;
	if (request->process_limit && lower_limit(RLIMIT_NPROC, request->process_limit) < 0)
		return -1;
	return request->no_core ? lower_limit(RLIMIT_CORE, 0) : 0;
}

static int finish_capabilities(const struct pt_spawn_request *request)
{
	if (request->drop_capabilities && set_capabilities(0) < 0)
		return -1;
	return request->no_new_privileges ? prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) : 0;
}

/* Returns the step that failed; never returns after a success. */
static enum pt_spawn_step become(const struct pt_spawn_request *request, int *report_fd)
{
	reset_signals();
	/* A program that we start must not keep the CPU from us. Nor does every cgroup take what precedes. */
	if (pt_wait_in_turn() < 0)
		return PT_SPAWN_PRIORITY;
	if (request->netns_fd >= 0 && setns(request->netns_fd, CLONE_NEWNET) < 0)
		return PT_SPAWN_NETWORK;
	if (request->cgroup_fd >= 0 && enter_cgroup(request->cgroup_fd) < 0)
		return PT_SPAWN_CGROUP;
	if (request->unshare_flags && unshare((int)request->unshare_flags) < 0)
		return PT_SPAWN_UNSHARE;
	if (place_descriptors(request, report_fd) < 0)
		return PT_SPAWN_DESCRIPTORS;
	if (start_session(request) < 0)
		return PT_SPAWN_SESSION;
	if (request->drop_capabilities && bound_capabilities(0) < 0)
		return PT_SPAWN_CAPABILITIES;
	if (request->set_identity && set_identity(request) < 0)
		return PT_SPAWN_IDENTITY;
	if (request->as_root && become_inner_root(request) < 0)
		return PT_SPAWN_USERS;
	if (finish_capabilities(request) < 0)
		return PT_SPAWN_CAPABILITIES;
	if (request->directory && chdir(request->directory) < 0)
		return PT_SPAWN_DIRECTORY;
	/* A rule's descriptor is closed at execve, like all that were not placed. */
	if (request->limit_files && pt_landlock_enter(request->files_fd) < 0)
		return PT_SPAWN_FILES;
	if (request->filter_system_calls && pt_filter_system_calls(request->user_namespaces) < 0)
		return PT_SPAWN_FILTER;
	execve(request->path, request->argv, request->envp);
	return PT_SPAWN_EXECUTE;
}

static void run_child(const struct pt_spawn_request *request, int report_fd)
{
	struct failure failure = { .step = become(request, &report_fd) };

	failure.error = errno;
	if (write(report_fd, &failure, sizeof failure) < 0)
		_exit(126);
	_exit(127);
}

static long clone_child(uint64_t flags, int *pidfd)
{
	return syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, NULL, pidfd, NULL, NULL);
}

/* End of file means that execve closed the pipe. */
static int await_exec(int read_fd, struct pt_spawn_result *result)
{
	struct failure failure;
	ssize_t count;

	do
		count = read(read_fd, &failure, sizeof failure);
	while (count < 0 && errno == EINTR);
	if (count == 0)
		return 0;
	if (count != sizeof failure)
		failure = (struct failure){ .step = PT_SPAWN_EXECUTE, .error = EIO };
	result->failed = failure.step;
	while (waitpid(result->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(result->pidfd);
	return -failure.error;
}

int pt_spawn(const struct pt_spawn_request *request, struct pt_spawn_result *result)
{
	sigset_t all, old;
	int pipe_fds[2];
	long pid;
	int error;

	*result = (struct pt_spawn_result){ .pid = -1, .pidfd = -1, .failed = PT_SPAWN_CLONE };
	if (request->descriptor_count > MAX_DESCRIPTORS)
		return -E2BIG;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	/* No handler of the parent may run in the child. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = clone_child(request->clone_flags, &result->pidfd);
	error = errno;
	if (pid == 0)
		run_child(request, pipe_fds[1]);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	close(pipe_fds[1]);
	if (pid < 0) {
		error = -error;
	} else {
		result->pid = (int)pid;
		error = await_exec(pipe_fds[0], result);
	}
	close(pipe_fds[0]);
	if (error == 0)
		result->failed = PT_SPAWN_NONE;
	return error;
}
