#define _GNU_SOURCE
#include "pt_landlock.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's own header may be older than the kernel: its layouts and numbers, which are for good, stand here. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

struct rules_attributes {
	uint64_t files;
	uint64_t network;
	uint64_t scopes;
};

struct rule_beneath {
	uint64_t rights;
	int32_t place_fd;
} __attribute__((packed));

enum { ASK_VERSION = 1, RULE_BENEATH = 1, SCOPE_ABSTRACT_SOCKETS = 1, SCOPE_SIGNALS = 2 };

static int result(long value)
{
	return value < 0 ? -errno : (int)value;
}

int pt_landlock_version(void)
{
	return result(syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION));
}

int pt_landlock_rules(uint64_t rights, bool isolated)
{
	struct rules_attributes attributes = {
		.files = rights,
		.scopes = isolated ? SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS : 0,
	};
	/* An old kernel refuses a size that it does not know, unless the rest is zero. */
	size_t size = isolated ? sizeof attributes : sizeof attributes.files;

	return result(syscall(SYS_landlock_create_ruleset, &attributes, size, 0));
}

int pt_landlock_allow(int rules_fd, int place_fd, uint64_t rights)
{
	struct rule_beneath rule = { .rights = rights, .place_fd = place_fd };

	return result(syscall(SYS_landlock_add_rule, rules_fd, RULE_BENEATH, &rule, 0));
}

int pt_landlock_enter(int rules_fd)
{
	return result(syscall(SYS_landlock_restrict_self, rules_fd, 0));
}
