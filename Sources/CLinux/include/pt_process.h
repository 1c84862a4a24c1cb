/* Processes by descriptor, and what PID 1 of a session waits for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pt_ending {
	int pid; /* 0: nothing has ended */
	bool by_signal;
	int status; /* exit code, or the signal's number */
};

int pt_pidfd_open(int pid);
int pt_pidfd_signal(int pidfd, int signal);

/* Reaps the child of a pidfd without waiting. */
int pt_pidfd_reap(int pidfd, struct pt_ending *ending);

/* Reaps any child without waiting; -ECHILD when there is none. */
int pt_reap_any(struct pt_ending *ending);

/* Blocks all signals for the thread and gives a descriptor that reads them. */
int pt_signal_reader(void);

/* The next signal of such a descriptor; 0 when none is pending. */
int pt_signal_read(int fd);

/* A timer of CLOCK_BOOTTIME, which also counts suspend; readable once the span has passed. */
int pt_boot_timer(void);
int pt_boot_timer_set(int fd, int64_t milliseconds);

int pt_set_host_name(const char *name, size_t length);

/* A process that /proc and ptrace leave alone, and that gains nothing by execve. */
int pt_seal_process(void);

/* An unnamed file in memory with these bytes, at its start. */
int pt_memory_file(const void *data, size_t length);

/* What an error number means: static text. */
const char *pt_error_text(int error);
