#define _GNU_SOURCE
#include "pt_seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
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

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define AND(mask) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
/* Enters the next instructions, as many as count, if the loaded word fits, and passes over them if not. */
#define IF(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count)
#define IF_ANY_BIT(mask, count) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, mask, 0, count)
#define UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, count, 0)

static const struct sock_filter filter[] = {
	/* A number means another call in each ABI, and 32-bit ones reach sockets by socketcall: no other ABI. */
	LOAD(arch), UNLESS(NATIVE, 1), REFUSE(ENOSYS),
	LOAD(nr), IF_ANY_BIT(X32_BIT, 1), REFUSE(ENOSYS),

	/* A ring makes sockets without the calls that are judged below. */
	IF(SYS_io_uring_setup, 1), REFUSE(EPERM),

	/* Families that a network namespace does not hold in, AF_VSOCK to the hypervisor first, are not there.
	 * The arguments are ints: the kernel looks at their low half only, and so does a load. */
	UNLESS(SYS_socket, 2), UNLESS(SYS_socketpair, 1), ALLOW,
	LOAD(args[0]), IF(AF_UNIX, 1), ALLOW, IF(AF_INET6, 1), ALLOW,
	/* AF_INET with SOCK_PACKET is an old name of AF_PACKET. */
	IF(AF_INET, 5), LOAD(args[1]), AND(TYPE_MASK), IF(SOCK_PACKET, 1), REFUSE(EAFNOSUPPORT), ALLOW,
	IF(AF_NETLINK, 3), LOAD(args[2]), IF(NETLINK_ROUTE, 1), ALLOW,
	REFUSE(EAFNOSUPPORT),
};

int pt_filter_system_calls(void)
{
	struct sock_fprog program = {
		.len = sizeof filter / sizeof filter[0],
		.filter = (struct sock_filter *)filter,
	};

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}
