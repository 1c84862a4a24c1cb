/* Waiting for many descriptors at once, each known by a number of the caller's. */
#pragma once

#include <stdint.h>

/* A close-on-exec epoll descriptor: itself readable while one of its descriptors is. */
int pt_epoll_create(void);

/* Until fd is closed, tells when it can be read. */
int pt_epoll_add(int epoll, int fd, uint64_t number);

/* The numbers of descriptors that can be read, without waiting; how many there are, at most length. */
int pt_epoll_take(int epoll, uint64_t *numbers, int length);
