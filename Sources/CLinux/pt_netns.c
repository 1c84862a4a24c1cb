#define _GNU_SOURCE
#include "pt_netns.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct visit {
	int nsfd;
	void (*body)(void *);
	void *context;
	int result;
};

static void *visit(void *argument)
{
	struct visit *v = argument;

	if (setns(v->nsfd, CLONE_NEWNET) < 0)
		v->result = -errno;
	else
		v->body(v->context);
	return NULL;
}

/* Runs start on a thread of its own and waits for it. */
static int on_own_thread(void *(*start)(void *), void *argument)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, start, argument);

	if (error)
		return -error;
	pthread_join(thread, NULL);
	return 0;
}

int pt_netns_run(int nsfd, void (*body)(void *), void *context)
{
	struct visit v = { .nsfd = nsfd, .body = body, .context = context };
	int rc = on_own_thread(visit, &v);

	return rc ? rc : v.result;
}

struct socket_order {
	int domain, type, protocol, result;
};

static void open_socket(void *context)
{
	struct socket_order *order = context;
	int fd = socket(order->domain, order->type | SOCK_CLOEXEC, order->protocol);

	order->result = fd < 0 ? -errno : fd;
}

int pt_socket_in_netns(int nsfd, int domain, int type, int protocol)
{
	struct socket_order order = { domain, type, protocol, -EIO };
	int rc = pt_netns_run(nsfd, open_socket, &order);

	return rc ? rc : order.result;
}

static void *make_namespace(void *argument)
{
	int *result = argument;

	if (unshare(CLONE_NEWNET) < 0) {
		*result = -errno;
		return NULL;
	}
	*result = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*result < 0)
		*result = -errno;
	return NULL;
}

int pt_netns_create(void)
{
	int result = -EIO;
	int rc = on_own_thread(make_namespace, &result);

	return rc ? rc : result;
}

struct setting {
	const char *path, *value;
	int result;
};

/* /proc/sys/net shows the namespace of the thread that opens it. */
static void write_setting(void *context)
{
	struct setting *setting = context;
	size_t length = strlen(setting->value);
	char path[256];
	int fd;

	if (snprintf(path, sizeof path, "/proc/sys/%s", setting->path) >= (int)sizeof path) {
		setting->result = -ENAMETOOLONG;
		return;
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		setting->result = -errno;
		return;
	}
	if (write(fd, setting->value, length) != (ssize_t)length)
		setting->result = errno ? -errno : -EIO;
	close(fd);
}

int pt_netns_sysctl(int nsfd, const char *path, const char *value)
{
	struct setting setting = { .path = path, .value = value };
	int rc;

	if (strstr(path, ".."))
		return -EINVAL;
	rc = pt_netns_run(nsfd, write_setting, &setting);
	return rc ? rc : setting.result;
}
