#define _GNU_SOURCE
#include "pt_seccomp.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#else
#error "the filter knows the system calls of x86_64 and aarch64"
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the low half of an argument is its first");

/* Set in every call of x32, which comes under the architecture of x86_64; in no call of ours. */
#define X32_BIT 0x40000000
/* What the kernel takes for a socket's type; the other bits are flags. */
#define TYPE_MASK 0xf
/* Younger than some headers; the number is the same everywhere. */
#ifndef SYS_open_tree_attr
#define SYS_open_tree_attr 467
#endif
/* The bit of a new time namespace is one for unshare only: clone has its signal there. */
#define NEW_TIME 0x00000080
#define NEW_ANY                                                                                              \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define AND(mask) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
/* Enters the next instructions, as many as count, if the loaded word fits, and passes over them if not. */
#define IF(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count)
#define IF_ANY_BIT(mask, count) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, mask, 0, count)
#define UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, count, 0)
#define NEVER(call) IF(SYS_##call, 1), REFUSE(EPERM)

/* A number means another call in each ABI, and 32-bit ones reach sockets by socketcall: no other ABI. */
#define ABI                                                                                                  \
	LOAD(arch), UNLESS(NATIVE, 1), REFUSE(ENOSYS), LOAD(nr), IF_ANY_BIT(X32_BIT, 1), REFUSE(ENOSYS)

/* Calls younger than this list are not there: the next way to mount may be among them. */
#define NEWEST 469
#define NO_YOUNGER BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEWEST, 0, 1), REFUSE(ENOSYS)

/* What no ordinary program asks for: each is a way to the machine, or has been one by its defects. */
#define NEVER_ASKED                                                                                          \
	/* A ring makes sockets, and more, without the calls that are judged here. */                        \
	NEVER(io_uring_setup), NEVER(io_uring_enter), NEVER(io_uring_register),                              \
		/* Programs and probes in the kernel, and faults that wait for a process. */                 \
		NEVER(bpf), NEVER(perf_event_open), NEVER(userfaultfd),                                      \
		/* Keys belong to a uid, and no namespace holds them. */                                     \
		NEVER(add_key), NEVER(request_key), NEVER(keyctl),                                           \
		/* The files that a session sees are settled. */                                             \
		NEVER(mount), NEVER(umount2), NEVER(pivot_root), NEVER(open_tree), NEVER(open_tree_attr),    \
		NEVER(move_mount), NEVER(fsopen), NEVER(fsconfig), NEVER(fsmount), NEVER(fspick),            \
		NEVER(mount_setattr), NEVER(open_by_handle_at), NEVER(setns),                                \
		/* The machine as a whole: its kernel, clock, disks and log. */                              \
		NEVER(kexec_load), NEVER(kexec_file_load), NEVER(init_module), NEVER(finit_module),          \
		NEVER(delete_module), NEVER(reboot), NEVER(swapon), NEVER(swapoff), NEVER(acct),             \
		NEVER(quotactl), NEVER(quotactl_fd), NEVER(settimeofday), NEVER(clock_settime),              \
		NEVER(syslog), NEVER(vhangup), NEVER(lookup_dcookie), NEVER(nfsservctl)

#if defined(__x86_64__)
#define NEVER_ASKED_HERE NEVER(iopl), NEVER(ioperm), NEVER(modify_ldt), NEVER(uselib), NEVER(ustat), NEVER(sysfs),
#else
#define NEVER_ASKED_HERE
#endif

/* Its flags are in memory, where no filter sees them: the C library then makes do with clone. */
#define NO_CLONE3 IF(SYS_clone3, 1), REFUSE(ENOSYS)

/* A user namespace opens to everybody what the kernel otherwise does for root alone. Flags come first in both. */
#define NO_NAMESPACES                                                                                        \
	IF(SYS_clone, 4), LOAD(args[0]), IF_ANY_BIT(NEW_ANY, 1), REFUSE(EPERM), ALLOW, IF(SYS_unshare, 4),    \
		LOAD(args[0]), IF_ANY_BIT(NEW_ANY | NEW_TIME, 1), REFUSE(EPERM), ALLOW

/* Words put into a terminal's input, its console's selection, another meaning of its line. The kernel looks at the
 * low half of the number only, and so does a load. */
#define NO_TYPING                                                                                            \
	IF(SYS_ioctl, 8), LOAD(args[1]), IF(TIOCSTI, 1), REFUSE(EPERM), IF(TIOCLINUX, 1), REFUSE(EPERM),       \
		IF(TIOCSETD, 1), REFUSE(EPERM), ALLOW

/* Families that a network namespace does not hold in, AF_VSOCK to the hypervisor first, are not there.
 * The arguments are ints, and only their low half is looked at. */
#define FAMILIES                                                                                             \
	UNLESS(SYS_socket, 2), UNLESS(SYS_socketpair, 1), ALLOW, LOAD(args[0]), IF(AF_UNIX, 1), ALLOW,         \
		IF(AF_INET6, 1), ALLOW, /* AF_INET with SOCK_PACKET is an old name of AF_PACKET. */          \
		IF(AF_INET, 5), LOAD(args[1]), AND(TYPE_MASK), IF(SOCK_PACKET, 1), REFUSE(EAFNOSUPPORT),     \
		ALLOW, IF(AF_NETLINK, 3), LOAD(args[2]), IF(NETLINK_ROUTE, 1), ALLOW, REFUSE(EAFNOSUPPORT)

static const struct sock_filter ordinary[] = { ABI, NO_YOUNGER, NEVER_ASKED, NEVER_ASKED_HERE NO_CLONE3, NO_NAMESPACES,
					       NO_TYPING, FAMILIES };
static const struct sock_filter with_namespaces[] = { ABI, NO_YOUNGER, NEVER_ASKED, NEVER_ASKED_HERE NO_CLONE3, NO_TYPING,
						      FAMILIES };

int pt_filter_system_calls(bool user_namespaces)
{
	struct sock_fprog program = {
		.len = (unsigned short)(user_namespaces ? sizeof with_namespaces / sizeof with_namespaces[0]
							: sizeof ordinary / sizeof ordinary[0]),
		.filter = (struct sock_filter *)(user_namespaces ? with_namespaces : ordinary),
	};

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}
