/* Landlock: rules about files that a process takes on itself, for good. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Rights on files and directories, as the kernel numbers them. */
enum pt_file_right {
	PT_FILE_EXECUTE = 1 << 0,
	PT_FILE_WRITE = 1 << 1,
	PT_FILE_READ = 1 << 2,
	PT_FILE_READ_DIRECTORY = 1 << 3,
	PT_FILE_REMOVE_DIRECTORY = 1 << 4,
	PT_FILE_REMOVE = 1 << 5,
	PT_FILE_MAKE_CHARACTER_DEVICE = 1 << 6,
	PT_FILE_MAKE_DIRECTORY = 1 << 7,
	PT_FILE_MAKE_REGULAR = 1 << 8,
	PT_FILE_MAKE_SOCKET = 1 << 9,
	PT_FILE_MAKE_PIPE = 1 << 10,
	PT_FILE_MAKE_BLOCK_DEVICE = 1 << 11,
	PT_FILE_MAKE_LINK = 1 << 12,
	PT_FILE_REFER = 1 << 13, /* from version 2: to link and rename between directories */
	PT_FILE_TRUNCATE = 1 << 14, /* from version 3 */
	PT_FILE_DEVICE_CONTROL = 1 << 15, /* from version 5 */
};

/* The version of Landlock that the kernel has; -ENOSYS or -EOPNOTSUPP where it has none, or was booted without. */
int pt_landlock_version(void);

/* A descriptor of new rules: of these rights nothing is left but what is allowed below. From version 6 on, whoever
 * enters them may also neither signal a process outside nor reach its abstract sockets. */
int pt_landlock_rules(uint64_t rights, bool isolated);

/* Allows the rights on what is open as place_fd, and beneath if that is a directory. */
int pt_landlock_allow(int rules_fd, int place_fd, uint64_t rights);

/* Takes the rules on the calling thread and all that it starts; needs no_new_privs. */
int pt_landlock_enter(int rules_fd);
