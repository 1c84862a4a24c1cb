/* Terminals, and pairs that behave like one. */
#pragma once

#include <stdint.h>

/* A new pseudo-terminal of the /dev/pts that this process sees: both ends CLOEXEC, the inner one the user's. */
int pt_terminal_pair(uint32_t uid, uint32_t gid, int *outer, int *inner);

struct pt_terminal_size {
	uint16_t rows;
	uint16_t columns;
};

int pt_terminal_size(int fd, struct pt_terminal_size *size);

/* At the outer end, the kernel tells the programs that are in front of the inner one. */
int pt_terminal_resize(int fd, struct pt_terminal_size size);
