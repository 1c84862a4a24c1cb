#define _GNU_SOURCE
#include "pt_priority.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Raw calls: the child of a multithreaded process may make them. */
static int set_policy(int thread, int policy, int priority)
{
	struct sched_param parameter = { .sched_priority = priority };

	return syscall(SYS_sched_setscheduler, thread, policy, &parameter) < 0 ? -errno : 0;
}

int pt_precede(int thread)
{
	return set_policy(thread, SCHED_RR, 1);
}

int pt_wait_in_turn(void)
{
	long policy = syscall(SYS_sched_getscheduler, 0);

	return policy == SCHED_RR || policy == SCHED_FIFO ? set_policy(0, SCHED_OTHER, 0) : 0;
}
