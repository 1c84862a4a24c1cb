/* Unix sockets: descriptors that travel, and who is at the other end. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { PT_MAX_DESCRIPTORS = 4 };

struct pt_peer {
	int pid;
	uint32_t uid;
	uint32_t gid;
};

/* Sends all of data (length at least 1) and the descriptors in one message; never raises SIGPIPE.
 * Returns the bytes sent: on a stream socket they can be fewer, and the descriptors went with the first. */
long pt_unix_send(int fd, const void *data, size_t length, const int *descriptors, size_t count);

/* Receives one message of at most length bytes and descriptors (room for PT_MAX_DESCRIPTORS, CLOEXEC, the
 * caller closes them). Returns the bytes, 0 at the end. A message that did not fit, or that brought more
 * descriptors than wanted, is -EMSGSIZE, and what came with it is closed. */
long pt_unix_receive(int fd, void *data, size_t length, int *descriptors, size_t wanted, size_t *count);

/* Who connected, when it connected (SO_PEERCRED). */
int pt_unix_peer(int fd, struct pt_peer *peer);

/* The supplementary groups of who connected, when it connected (SO_PEERGROUPS): how many, or -ERANGE if there are more
 * than capacity. */
long pt_unix_peer_groups(int fd, uint32_t *groups, size_t capacity);

/* A pidfd of who connected (SO_PEERPIDFD, kernels from 6.5), CLOEXEC. */
int pt_unix_peer_pidfd(int fd);

/* The address family of a socket; -ENOTSOCK for anything else. */
int pt_socket_domain(int fd);

/* SOCK_STREAM and so on. */
int pt_socket_type(int fd);

/* Whether it listens: 0 or 1. */
int pt_socket_listens(int fd);

/* 0 for a socket with another at its end, also one that has been closed; -ENOTCONN. */
int pt_socket_has_peer(int fd);

/* A connected pair of SOCK_SEQPACKET, CLOEXEC. */
int pt_unix_pair(int fds[2]);

/* The same without waiting, for packets: -EAGAIN where there is none, or no room. */
long pt_packet_send(int fd, const void *data, size_t length, const int *descriptors, size_t count);
long pt_packet_receive(int fd, void *data, size_t length, int *descriptors, size_t wanted, size_t *count);
