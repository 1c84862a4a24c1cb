/* Mounts by descriptor: what was opened and checked is what gets mounted, whatever happens to its path. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum pt_mount_flag {
	PT_MOUNT_READ_ONLY = 1,
	PT_MOUNT_NO_SUID = 2,
	PT_MOUNT_NO_DEVICES = 4,
	PT_MOUNT_NO_EXECUTE = 8,
};

/* Opens path as a mere place (O_PATH); with_links says whether symbolic links may be part of it. */
int pt_open_place(const char *path, bool with_links);

/* The same as another user: a directory that uid cannot reach is EACCES. Only for a single-threaded process. */
int pt_open_place_as(const char *path, uint32_t uid, uint32_t gid);

/* A copy of the mounts at source_fd, with the flags set on each of them, is mounted on target.
 * A target that is a symbolic link is covered, not followed. */
int pt_bind(int source_fd, const char *target, uint32_t flags);

/* The same, with owners as the user namespace at owners_fd maps them; below it no file system may lack that (EINVAL). */
int pt_bind_owned(int source_fd, const char *target, uint32_t flags, int owners_fd);

/* A user namespace for pt_bind_owned: what belongs to uid and gid on the disk appears as shown_uid's and shown_gid's.
 * Of a process with one thread and the rights of root; wants /proc. Returns its descriptor.
 */
int pt_owners(uint32_t uid, uint32_t shown_uid, uint32_t gid, uint32_t shown_gid);

/* A new filesystem of the type ("tmpfs", "proc", "devpts"). */
int pt_mount_new(const char *type, const char *target, uint32_t flags, const char *options);

/* Sets the flags on the one mount at path. */
int pt_mount_restrict(const char *path, uint32_t flags);

/* No mount event passes to or from this namespace any more. */
int pt_mounts_private(void);

/* Makes new_root the root and puts the old one at old_root; "." and "." stack the old one on the new. */
int pt_pivot_root(const char *new_root, const char *old_root);

/* Unmounts the tree at path, lazily. */
int pt_unmount_tree(const char *path);

/* The magic number of the filesystem of a descriptor. */
long pt_filesystem_type(int fd);
