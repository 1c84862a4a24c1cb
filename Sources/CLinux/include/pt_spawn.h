/* Starting a program from a multithreaded process: between clone and execve nothing but system calls. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a start failed, in the order of the steps. */
enum pt_spawn_step {
	PT_SPAWN_NONE,
	PT_SPAWN_CLONE,
	PT_SPAWN_PRIORITY,
	PT_SPAWN_NETWORK,
	PT_SPAWN_CGROUP,
	PT_SPAWN_UNSHARE,
	PT_SPAWN_DESCRIPTORS,
	PT_SPAWN_SESSION,
	PT_SPAWN_CAPABILITIES,
	PT_SPAWN_IDENTITY,
	PT_SPAWN_USERS,
	PT_SPAWN_DIRECTORY,
	PT_SPAWN_FILES,
	PT_SPAWN_FILTER,
	PT_SPAWN_EXECUTE,
};

struct pt_spawn_request {
	const char *path;
	char *const *argv; /* ends with NULL */
	char *const *envp; /* ends with NULL */
	const char *directory; /* entered last, as the new identity; NULL keeps the caller's */
	uint64_t clone_flags; /* CLONE_NEW…; SIGCHLD and CLONE_PIDFD are added */
	uint64_t unshare_flags; /* CLONE_NEW… after the cgroup was entered */
	int netns_fd; /* -1: the caller's */
	int cgroup_fd; /* an open cgroup.procs; -1: the caller's */
	const int *descriptors; /* become 0, 1, 2, …; all others are closed */
	size_t descriptor_count;
	bool set_identity; /* uid and gid below, no supplementary groups */
	uint32_t uid, gid;
	bool as_root; /* as uid and gid 0 of a user namespace in which nobody else is */
	bool new_session; /* setsid: no controlling terminal */
	bool take_terminal; /* descriptor 0 becomes the new session's terminal */
	bool drop_capabilities; /* all sets, bounding too, with locked securebits */
	bool no_new_privileges;
	bool limit_files; /* by the rules of pt_landlock.h in files_fd; needs no_new_privileges */
	int files_fd;
	bool filter_system_calls; /* pt_seccomp.h; needs no_new_privileges */
	bool user_namespaces; /* which the filter then allows */
	bool no_core;
	unsigned process_limit; /* of the uid's processes, on the whole machine; 0: the caller's */
};

struct pt_spawn_result {
	int pid;
	int pidfd; /* CLOEXEC; the caller closes it */
	enum pt_spawn_step failed; /* when the call returns -errno */
};

/* The program runs when this returns 0. A child that failed has been reaped. */
int pt_spawn(const struct pt_spawn_request *request, struct pt_spawn_result *result);

/* Drops every capability of the calling thread but those in keep (bit n is capability n), also from the
 * bounding and ambient sets, and locks the securebits. */
int pt_drop_capabilities(uint64_t keep);

#define PT_CLONE_NEWNS 0x00020000
#define PT_CLONE_NEWCGROUP 0x02000000
#define PT_CLONE_NEWUTS 0x04000000
#define PT_CLONE_NEWIPC 0x08000000
#define PT_CLONE_NEWPID 0x20000000
#define PT_CLONE_NEWNET 0x40000000
