#define _GNU_SOURCE
#include "pt_bpf.h"
#include "pt_netns.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PT_BPF_PROG_LOAD 5
#define PT_BPF_PROG_GET_FD_BY_ID 13
#define PT_BPF_OBJ_GET_INFO_BY_FD 15
#define PT_BPF_PROG_QUERY 16
#define PT_BPF_LINK_CREATE 28
#define PT_BPF_LINK_GET_FD_BY_ID 30
#define PT_BPF_LINK_DETACH 34
#define PT_BPF_F_BEFORE (1u << 3)
#define PT_LINK_NETFILTER 10
#define PT_LINK_TCX 11
#define PT_BPFFS_MAGIC 0xcafe4a11
#define PT_CHAIN_MAX 64

/* The kernel's union bpf_attr, as far as it is used here. Bytes past its end count as zero. */
union attributes {
	struct {
		uint32_t program;
		uint32_t target;
		uint32_t attach_type;
		uint32_t flags;
		union {
			struct {
				uint32_t relative;
				uint32_t pad;
				uint64_t expected_revision;
			} tcx;
			struct {
				uint32_t family;
				uint32_t hook;
				int32_t priority;
				uint32_t flags;
			} netfilter;
		};
	} link_create;
	struct {
		uint32_t target;
		uint32_t attach_type;
		uint32_t query_flags;
		uint32_t attach_flags;
		uint64_t programs;
		uint32_t count;
		uint32_t pad;
		uint64_t program_flags;
		uint64_t links;
		uint64_t link_flags;
		uint64_t revision;
	} query;
	struct {
		uint32_t fd;
		uint32_t length;
		uint64_t info;
	} info;
	struct {
		uint32_t id;
	} by_id;
	struct {
		uint32_t link;
	} link_detach;
	struct {
		uint32_t type;
		uint32_t count;
		uint64_t instructions;
		uint64_t license;
		uint32_t log[4];
		uint32_t kernel_version;
		uint32_t flags;
		char name[16];
		uint32_t ifindex;
		uint32_t attach_type;
	} program_load;
};

struct call {
	int command;
	union attributes *attributes;
	int result;
};

static int bpf(int command, union attributes *attributes)
{
	int result = syscall(SYS_bpf, command, attributes, sizeof(*attributes));

	return result < 0 ? -errno : result;
}

static void bpf_call(void *argument)
{
	struct call *call = argument;

	call->result = bpf(call->command, call->attributes);
}

/* The kernel looks interfaces up in the namespace of the calling thread. */
static int bpf_in(int netns, int command, union attributes *attributes)
{
	struct call call = { command, attributes, 0 };
	int result;

	if (netns < 0)
		return bpf(command, attributes);
	result = pt_netns_run(netns, bpf_call, &call);
	return result < 0 ? result : call.result;
}

int pt_bpf_link_tcx(int netns, int program, int ifindex, int attach_type)
{
	union attributes attributes;

	memset(&attributes, 0, sizeof(attributes));
	attributes.link_create.program = program;
	attributes.link_create.target = ifindex;
	attributes.link_create.attach_type = attach_type;
	/* Before nobody in particular: the first. A foreign program ahead of ours could end the chain. */
	attributes.link_create.flags = PT_BPF_F_BEFORE;
	return bpf_in(netns, PT_BPF_LINK_CREATE, &attributes);
}

int pt_bpf_link_netfilter(int netns, int program, int family, int hook, int priority)
{
	union attributes attributes;

	memset(&attributes, 0, sizeof(attributes));
	attributes.link_create.program = program;
	attributes.link_create.attach_type = PT_NETFILTER;
	attributes.link_create.netfilter.family = family;
	attributes.link_create.netfilter.hook = hook;
	attributes.link_create.netfilter.priority = priority;
	return bpf_in(netns, PT_BPF_LINK_CREATE, &attributes);
}

int pt_bpf_link_cgroup(int program, int cgroup, int attach_type)
{
	union attributes attributes;

	memset(&attributes, 0, sizeof(attributes));
	attributes.link_create.program = program;
	attributes.link_create.target = cgroup;
	attributes.link_create.attach_type = attach_type;
	return bpf(PT_BPF_LINK_CREATE, &attributes);
}

int pt_bpf_link_info(int link, struct pt_bpf_link *info)
{
	/* struct bpf_link_info: type, id, prog_id, padding, then what the type has: of TCX the ifindex, of
	 * netfilter the family, the hook and the priority. */
	uint32_t words[32] = { 0 };
	union attributes attributes;
	int result;

	memset(&attributes, 0, sizeof(attributes));
	attributes.info.fd = link;
	attributes.info.length = sizeof(words);
	attributes.info.info = (uintptr_t)words;
	result = bpf(PT_BPF_OBJ_GET_INFO_BY_FD, &attributes);
	if (result < 0)
		return result;
	info->id = words[1];
	info->program = words[2];
	info->ifindex = words[0] == PT_LINK_TCX ? words[4] : 0;
	if (words[0] != PT_LINK_NETFILTER)
		words[4] = words[5] = words[6] = 0;
	info->family = words[4];
	info->hook = words[5];
	info->priority = (int32_t)words[6];
	return 0;
}

/* A link that was detached by force still says where it was. But the kernel takes one eBPF program at
 * each priority, so whether the place is free is told by trying to take it with the same program. */
int pt_bpf_netfilter_stands(int netns, const struct pt_bpf_link *info)
{
	union attributes attributes;
	int program, link;

	memset(&attributes, 0, sizeof(attributes));
	attributes.by_id.id = info->program;
	program = bpf(PT_BPF_PROG_GET_FD_BY_ID, &attributes);
	if (program < 0)
		return program;
	link = pt_bpf_link_netfilter(netns, program, info->family, info->hook, info->priority);
	close(program);
	if (link < 0)
		return link == -EBUSY ? 1 : link;
	close(link);
	return 0;
}

struct chain {
	uint32_t programs[PT_CHAIN_MAX];
	uint32_t links[PT_CHAIN_MAX]; /* 0 where it is not a link that keeps the program there */
};

static int query_tcx(int netns, int ifindex, int attach_type, struct chain *chain)
{
	union attributes attributes;

	memset(chain, 0, sizeof(*chain));
	memset(&attributes, 0, sizeof(attributes));
	attributes.query.target = ifindex;
	attributes.query.attach_type = attach_type;
	attributes.query.programs = (uintptr_t)chain->programs;
	attributes.query.links = (uintptr_t)chain->links;
	attributes.query.count = PT_CHAIN_MAX;
	return bpf_in(netns, PT_BPF_PROG_QUERY, &attributes);
}

int pt_bpf_first_tcx(int netns, int ifindex, int attach_type, uint32_t *program)
{
	struct chain chain;
	int result = query_tcx(netns, ifindex, attach_type, &chain);

	if (result < 0)
		return result;
	*program = chain.programs[0];
	return 0;
}

static int by_id(int command, uint32_t id)
{
	union attributes attributes;

	memset(&attributes, 0, sizeof(attributes));
	attributes.by_id.id = id;
	return bpf(command, &attributes);
}

/* 1 or 0; a program that has gone since has no name. */
static int has_name(uint32_t program, const char *name)
{
	/* struct bpf_prog_info: the name is at byte 64, and ends with a zero. */
	char bytes[128] = { 0 };
	union attributes attributes;
	int fd = by_id(PT_BPF_PROG_GET_FD_BY_ID, program);
	int result;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	memset(&attributes, 0, sizeof(attributes));
	attributes.info.fd = fd;
	attributes.info.length = sizeof(bytes);
	attributes.info.info = (uintptr_t)bytes;
	result = bpf(PT_BPF_OBJ_GET_INFO_BY_FD, &attributes);
	close(fd);
	return result < 0 ? result : strncmp(bytes + 64, name, 16) == 0;
}

static int detach_link(uint32_t id)
{
	union attributes attributes;
	int link = by_id(PT_BPF_LINK_GET_FD_BY_ID, id);
	int result;

	if (link < 0)
		return link == -ENOENT ? 0 : link;
	memset(&attributes, 0, sizeof(attributes));
	attributes.link_detach.link = link;
	result = bpf(PT_BPF_LINK_DETACH, &attributes);
	close(link);
	return result;
}

int pt_bpf_detach_tcx(int netns, int ifindex, int attach_type, const char *name, uint32_t kept)
{
	struct chain chain;
	int result = query_tcx(netns, ifindex, attach_type, &chain);

	for (int i = 0; result >= 0 && i < PT_CHAIN_MAX && chain.programs[i]; i++) {
		if (!chain.links[i] || chain.links[i] == kept)
			continue;
		result = has_name(chain.programs[i], name);
		if (result == 1)
			result = detach_link(chain.links[i]);
	}
	return result < 0 ? result : 0;
}

/* Every namespace has lo, and its chain is empty or not; a kernel without TCX does not know the question. */
int pt_bpf_has_tcx(void)
{
	uint32_t program;
	int result = pt_bpf_first_tcx(-1, 1, PT_TCX_INGRESS, &program);

	return result == 0 || result == -ENOENT;
}

int pt_bpf_has_netfilter_links(void)
{
	/* r0 = 1, exit */
	static const uint64_t accept[] = { 0x00000001000000b7, 0x0000000000000095 };
	union attributes attributes;
	int program;

	memset(&attributes, 0, sizeof(attributes));
	attributes.program_load.type = PT_PROGRAM_NETFILTER;
	attributes.program_load.count = 2;
	attributes.program_load.instructions = (uintptr_t)accept;
	attributes.program_load.license = (uintptr_t)"GPL";
	attributes.program_load.attach_type = PT_NETFILTER;
	program = bpf(PT_BPF_PROG_LOAD, &attributes);
	if (program < 0)
		return 0;
	close(program);
	return 1;
}

int pt_bpf_program_id(int program, uint32_t *id)
{
	uint32_t words[2] = { 0 }; /* struct bpf_prog_info: type, id */
	union attributes attributes;
	int result;

	memset(&attributes, 0, sizeof(attributes));
	attributes.info.fd = program;
	attributes.info.length = sizeof(words);
	attributes.info.info = (uintptr_t)words;
	result = bpf(PT_BPF_OBJ_GET_INFO_BY_FD, &attributes);
	*id = words[1];
	return result < 0 ? result : 0;
}

int pt_bpf_is_bpffs(const char *path)
{
	struct statfs information;

	if (statfs(path, &information) < 0)
		return -errno;
	return (uint32_t)information.f_type == PT_BPFFS_MAGIC;
}
