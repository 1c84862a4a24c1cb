#define _GNU_SOURCE
#include "pt_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* <sys/mount.h> and <linux/mount.h> clash in glibc before 2.37, so the calls are made by number. */
#define PT_MS_NOSUID 2
#define PT_MS_NODEV 4
#define PT_MS_NOEXEC 8
#define PT_MS_REC 16384
#define PT_MS_PRIVATE (1 << 18)
#define PT_MNT_DETACH 2

static int result(long value)
{
	return value < 0 ? -errno : (int)value;
}

int pt_open_place(const char *path, bool with_links)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_NO_MAGICLINKS | (with_links ? 0 : RESOLVE_NO_SYMLINKS),
	};

	return result(syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how));
}

int pt_open_place_as(const char *path, uint32_t uid, uint32_t gid)
{
	int fd;

	/* The groups are gone for good: root needs none of them. */
	if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, -1, gid, -1) < 0)
		return -errno;
	if (syscall(SYS_setresuid, -1, uid, -1) < 0)
		return -errno;
	fd = pt_open_place(path, true);
	if (syscall(SYS_setresuid, -1, 0, -1) < 0 || syscall(SYS_setresgid, -1, 0, -1) < 0)
		return -errno;
	return fd;
}

static struct mount_attr attributes(uint32_t flags)
{
	struct mount_attr attributes = { 0 };

	attributes.attr_set = (flags & PT_MOUNT_READ_ONLY ? MOUNT_ATTR_RDONLY : 0) |
			      (flags & PT_MOUNT_NO_SUID ? MOUNT_ATTR_NOSUID : 0) |
			      (flags & PT_MOUNT_NO_DEVICES ? MOUNT_ATTR_NODEV : 0) |
			      (flags & PT_MOUNT_NO_EXECUTE ? MOUNT_ATTR_NOEXEC : 0);
	return attributes;
}

static int place_tree(int tree_fd, const char *target, uint32_t flags, int owners_fd)
{
	struct mount_attr wanted = attributes(flags);

	if (owners_fd >= 0) {
		wanted.attr_set |= MOUNT_ATTR_IDMAP;
		wanted.userns_fd = (uint64_t)owners_fd;
	}
	if (syscall(SYS_mount_setattr, tree_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &wanted, sizeof wanted) < 0)
		return -errno;
	return result(syscall(SYS_move_mount, tree_fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH));
}

int pt_bind(int source_fd, const char *target, uint32_t flags)
{
	return pt_bind_owned(source_fd, target, flags, -1);
}

int pt_bind_owned(int source_fd, const char *target, uint32_t flags, int owners_fd)
{
	int tree_fd = (int)syscall(SYS_open_tree, source_fd, "",
				   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	int error;

	if (tree_fd < 0)
		return -errno;
	error = place_tree(tree_fd, target, flags, owners_fd);
	close(tree_fd);
	return error;
}

static int write_map(int process_fd, const char *name, uint32_t id, uint32_t shown)
{
	char text[32];
	int length = snprintf(text, sizeof text, "%u %u 1", id, shown);
	int fd = openat(process_fd, name, O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)length) != length)
		error = -errno;
	close(fd);
	return error;
}

/* The child's directory in /proc, which may count processes otherwise than we do: so the child says what it is there. */
static int open_process(const char *number)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/%s", number);
	return result(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* In the child: a user namespace, and then only to be there until the other end is closed. */
static void hold_owners(int channel)
{
	char number[16] = { 0 };
	ssize_t length = readlink("/proc/self", number, sizeof number - 1);

	if (length < 0 || syscall(SYS_unshare, CLONE_NEWUSER) < 0 || write(channel, number, (size_t)length) != length)
		_exit(1);
	(void)!read(channel, number, 1);
	_exit(0);
}

static int map_owners(int channel, uint32_t uid, uint32_t shown_uid, uint32_t gid, uint32_t shown_gid)
{
	char number[16] = { 0 };
	int process_fd, error;

	if (read(channel, number, sizeof number - 1) <= 0)
		return -EPERM;
	process_fd = open_process(number);
	if (process_fd < 0)
		return process_fd;
	error = write_map(process_fd, "uid_map", uid, shown_uid);
	if (!error)
		error = write_map(process_fd, "gid_map", gid, shown_gid);
	if (!error)
		error = result(openat(process_fd, "ns/user", O_RDONLY | O_CLOEXEC));
	close(process_fd);
	return error;
}

int pt_owners(uint32_t uid, uint32_t shown_uid, uint32_t gid, uint32_t shown_gid)
{
	int channel[2], fd;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) < 0)
		return -errno;
	child = fork();
	if (child == 0) {
		close(channel[0]);
		hold_owners(channel[1]);
	}
	close(channel[1]);
	fd = child < 0 ? -errno : map_owners(channel[0], uid, shown_uid, gid, shown_gid);
	close(channel[0]);
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return fd;
}

int pt_mount_new(const char *type, const char *target, uint32_t flags, const char *options)
{
	unsigned long bits = (flags & PT_MOUNT_NO_SUID ? PT_MS_NOSUID : 0) |
			     (flags & PT_MOUNT_NO_DEVICES ? PT_MS_NODEV : 0) |
			     (flags & PT_MOUNT_NO_EXECUTE ? PT_MS_NOEXEC : 0);

	return result(syscall(SYS_mount, type, target, type, bits, options));
}

int pt_mount_restrict(const char *path, uint32_t flags)
{
	struct mount_attr wanted = attributes(flags);

	return result(syscall(SYS_mount_setattr, AT_FDCWD, path, 0, &wanted, sizeof wanted));
}

int pt_mounts_private(void)
{
	return result(syscall(SYS_mount, NULL, "/", NULL, PT_MS_REC | PT_MS_PRIVATE, NULL));
}

int pt_pivot_root(const char *new_root, const char *old_root)
{
	return result(syscall(SYS_pivot_root, new_root, old_root));
}

int pt_unmount_tree(const char *path)
{
	return result(syscall(SYS_umount2, path, PT_MNT_DETACH));
}

long pt_filesystem_type(int fd)
{
	struct statfs status;

	return fstatfs(fd, &status) < 0 ? -errno : (long)status.f_type;
}
