#pragma once

#include <stdint.h>

/* Attachments of eBPF programs for which the C library of the system may be too old: TCX, netfilter
 * and cgroup links by the bpf(2) system call. A `netns` of -1 is the caller's network namespace;
 * any other is entered by a thread made for the call. */

enum {
	PT_TCX_INGRESS = 46,
	PT_TCX_EGRESS = 47,
	PT_CGROUP_CONNECT4 = 10,
	PT_CGROUP_CONNECT6 = 11,
	PT_CGROUP_SENDMSG4 = 14,
	PT_CGROUP_SENDMSG6 = 15,
	PT_PROGRAM_NETFILTER = 32,
	PT_NETFILTER = 45,
};

/* What the kernel says of a link. The ifindex is 0 when it is not TCX or its device is gone; the family
 * is 0 when it is not netfilter. */
struct pt_bpf_link {
	uint32_t id;
	uint32_t program;
	uint32_t ifindex;
	uint32_t family;
	uint32_t hook;
	int32_t priority;
};

/* A link that is the first of its chain; the result is its descriptor. */
int pt_bpf_link_tcx(int netns, int program, int ifindex, int attach_type);
int pt_bpf_link_netfilter(int netns, int program, int family, int hook, int priority);
int pt_bpf_link_cgroup(int program, int cgroup, int attach_type);

int pt_bpf_link_info(int link, struct pt_bpf_link *info);

/* 1 if an eBPF program stands where a netfilter link says it is, 0 if the link is an empty shell. */
int pt_bpf_netfilter_stands(int netns, const struct pt_bpf_link *info);

/* The id of the first program of a device's chain, 0 if the chain is empty. */
int pt_bpf_first_tcx(int netns, int ifindex, int attach_type, uint32_t *program);

/* Detaches from a device's chain what links of the same kind keep there under this program name, but for one link. */
int pt_bpf_detach_tcx(int netns, int ifindex, int attach_type, const char *name, uint32_t kept);

/* 1 if the kernel has TCX (from 6.6), 0 if not. */
int pt_bpf_has_tcx(void);

/* 1 if the kernel has links of programs to netfilter (from 6.4), 0 if not. */
int pt_bpf_has_netfilter_links(void);

/* The id of a program by its descriptor. */
int pt_bpf_program_id(int program, uint32_t *id);

/* 1 if the path is on a BPF file system, 0 if not. */
int pt_bpf_is_bpffs(const char *path);
