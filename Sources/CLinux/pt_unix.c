#define _GNU_SOURCE
#include "pt_unix.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* One more than is taken, so that a message with too many is seen as such and not cut. */
union control {
	char bytes[CMSG_SPACE(sizeof(int) * (PT_MAX_DESCRIPTORS + 1))];
	struct cmsghdr alignment;
};

static long send_message(int fd, const void *data, size_t length, const int *descriptors, size_t count, int flags)
{
	union control control = { 0 };
	struct iovec vector = { .iov_base = (void *)data, .iov_len = length };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	ssize_t sent;

	if (length == 0 || count > PT_MAX_DESCRIPTORS)
		return -EINVAL;
	if (count) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
	}
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL | flags);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

long pt_unix_send(int fd, const void *data, size_t length, const int *descriptors, size_t count)
{
	return send_message(fd, data, length, descriptors, count, 0);
}

/* Takes up to wanted descriptors out of the message and closes all others; returns how many there were. */
static size_t take_descriptors(struct msghdr *message, int *descriptors, size_t wanted)
{
	size_t seen = 0;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++, seen++) {
			int received;

			memcpy(&received, CMSG_DATA(header) + i * sizeof received, sizeof received);
			if (seen < wanted)
				descriptors[seen] = received;
			else
				close(received);
		}
	}
	return seen;
}

static long receive_message(int fd, void *data, size_t length, int *descriptors, size_t wanted, size_t *count,
			    int flags)
{
	union control control;
	struct iovec vector = { .iov_base = data, .iov_len = length };
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes,
	};
	ssize_t received;

	*count = 0;
	if (wanted > PT_MAX_DESCRIPTORS)
		return -EINVAL;
	do
		received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | flags);
	while (received < 0 && errno == EINTR);
	if (received < 0)
		return -errno;
	*count = take_descriptors(&message, descriptors, wanted);
	if (*count <= wanted && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return received;
	for (size_t i = 0; i < *count && i < wanted; i++)
		close(descriptors[i]);
	*count = 0;
	return -EMSGSIZE;
}

long pt_unix_receive(int fd, void *data, size_t length, int *descriptors, size_t wanted, size_t *count)
{
	return receive_message(fd, data, length, descriptors, wanted, count, 0);
}

int pt_unix_peer(int fd, struct pt_peer *peer)
{
	struct ucred credentials;
	socklen_t length = sizeof credentials;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
		return -errno;
	*peer = (struct pt_peer){ credentials.pid, credentials.uid, credentials.gid };
	return 0;
}

long pt_unix_peer_groups(int fd, uint32_t *groups, size_t capacity)
{
	socklen_t length = (socklen_t)(capacity * sizeof *groups);

	_Static_assert(sizeof(gid_t) == sizeof *groups, "gid_t is 32 bits");
	return getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0 ? -errno : (long)(length / sizeof *groups);
}

static int socket_option(int fd, int option)
{
	int value;
	socklen_t length = sizeof value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0 ? -errno : value;
}

int pt_unix_peer_pidfd(int fd)
{
	return socket_option(fd, SO_PEERPIDFD);
}

int pt_socket_domain(int fd)
{
	return socket_option(fd, SO_DOMAIN);
}

int pt_socket_type(int fd)
{
	return socket_option(fd, SO_TYPE);
}

int pt_socket_listens(int fd)
{
	return socket_option(fd, SO_ACCEPTCONN);
}

int pt_socket_has_peer(int fd)
{
	struct sockaddr_storage name;
	socklen_t length = sizeof name;

	return getpeername(fd, (struct sockaddr *)&name, &length) < 0 ? -errno : 0;
}

int pt_unix_pair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
}

long pt_packet_send(int fd, const void *data, size_t length, const int *descriptors, size_t count)
{
	return send_message(fd, data, length, descriptors, count, MSG_DONTWAIT);
}

long pt_packet_receive(int fd, void *data, size_t length, int *descriptors, size_t wanted, size_t *count)
{
	return receive_message(fd, data, length, descriptors, wanted, count, MSG_DONTWAIT);
}
