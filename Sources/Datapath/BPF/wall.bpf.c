/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The wall: the pool comes in and goes out on the mesh devices and lo, and nowhere else.
 *
 * Linux answers for each of its addresses on every interface. Without this, a neighbour on the LAN
 * that routes the pool to us would reach our services beside the tunnel. And while the mesh device is
 * down, its routes are gone and its address is not: what a service still has to say would follow the
 * default route, in the clear.
 */
#include "tables.bpf.h"

#define PT_NF_DROP 0
#define PT_NF_ACCEPT 1
#define PT_LOOPBACK_IFINDEX 1
#define PT_PF_INET 2

/* The parts of the kernel's structs that we read; their places are resolved when the program is loaded. */
struct net_device {
	int ifindex;
} __attribute__((preserve_access_index));

struct nf_hook_state {
	__u8 pf;
	struct net_device *in;
	struct net_device *out;
} __attribute__((preserve_access_index));

struct sk_buff {
	unsigned int len;
	__u16 network_header;
	unsigned char *head;
} __attribute__((preserve_access_index));

struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PT_MESH_DEVICES);
	__type(key, __u32);
	__type(value, __u32);
} devices SEC(".maps");

const volatile struct pt_pool pool;

/* Source and destination stand behind one another in both headers, which IP has made sure are there. */
static __always_inline int touches_pool_v4(const unsigned char *header)
{
	__be32 addresses[2];

	if (bpf_probe_read_kernel(addresses, sizeof(addresses), header + 12))
		return 1;
	return v4_offset(pool.v4_base, addresses[0]) != PT_NOWHERE || v4_offset(pool.v4_base, addresses[1]) != PT_NOWHERE;
}

/* The whole /64 is the mesh's, not only the offsets in use. */
static __always_inline int touches_pool_v6(const unsigned char *header)
{
	__be64 halves[4];

	if (bpf_probe_read_kernel(halves, sizeof(halves), header + 8))
		return 1;
	return bpf_be64_to_cpu(halves[0]) == pool.v6_prefix || bpf_be64_to_cpu(halves[2]) == pool.v6_prefix;
}

static __always_inline int touches_pool(const struct sk_buff *skb, int v4)
{
	const unsigned char *header = skb->head + skb->network_header;

	return v4 ? touches_pool_v4(header) : touches_pool_v6(header);
}

/* No device reads as index 0, which is none of ours. */
static __always_inline int judge(struct bpf_nf_ctx *ctx, __u32 ifindex, enum pt_reason reason)
{
	if (ifindex == PT_LOOPBACK_IFINDEX || bpf_map_lookup_elem(&devices, &ifindex))
		return PT_NF_ACCEPT;
	if (!touches_pool(ctx->skb, ctx->state->pf == PT_PF_INET))
		return PT_NF_ACCEPT;
	count(PT_WALL, reason, ctx->skb->len);
	return PT_NF_DROP;
}

SEC("?netfilter")
int arriving(struct bpf_nf_ctx *ctx)
{
	return judge(ctx, ctx->state->in->ifindex, PT_BESIDE_TUNNEL);
}

SEC("?netfilter")
int leaving(struct bpf_nf_ctx *ctx)
{
	return judge(ctx, ctx->state->out->ifindex, PT_LEAVES_BESIDE_TUNNEL);
}

char LICENSE[] SEC("license") = "GPL";
