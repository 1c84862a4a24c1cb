/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The connect hook: tells a session's process at once what the classifier would drop in silence.
 *
 * It is a help, not the wall: a socket made elsewhere passes it by. It asks the same tables.
 */
#include "tables.bpf.h"

#define PT_REFUSE 0 /* the call returns EPERM */
#define PT_PROCEED 1

const volatile struct pt_identity self;

/* An unspecified destination is the machine itself (as connect(2) has it), and so is our own address. */
static __always_inline int is_loopback_v4(__be32 address)
{
	return !address || bpf_ntohl(address) >> 24 == 127;
}

static __always_inline int is_loopback_v6(const __be32 *words)
{
	return !words[0] && !words[1] && !words[2] && (!words[3] || words[3] == bpf_htonl(1));
}

static __always_inline int is_v4_mapped(const __be32 *words)
{
	return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
}

static __always_inline enum pt_reason judge_call(struct flow *flow, __u64 now, struct peer *remote)
{
	struct pt_service service = { 0, flow->destination_port, IPPROTO_TCP, 0 };
	enum pt_reason reason;
	struct peer own;

	if (flow->destination == PT_NOWHERE)
		return PT_OUTSIDE_POOL;
	reason = find_self(&self, now, &own);
	if (reason != PT_ALLOWED)
		return reason;
	reason = find_peer(flow->destination, now, remote);
	if (reason != PT_ALLOWED)
		return reason;
	switch (flow->protocol) {
	case IPPROTO_TCP:
		service.slot = remote->slot;
		return find_grant(&own, &service);
	case IPPROTO_UDP:
		return PT_UDP_UNSUPPORTED;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return PT_ICMP_UNSUPPORTED;
	default:
		return PT_PROTOCOL_UNSUPPORTED;
	}
}

static __always_inline int decide(struct bpf_sock_addr *ctx, struct flow *flow, int loopback)
{
	struct peer remote = {};
	struct telling what = { .now = bpf_ktime_get_boot_ns(), .place = PT_CONNECT, .kind = PT_DENIED,
				.own_slot = self.slot, .initiator_slot = self.slot, .sender_slot = self.slot };

	flow->protocol = ctx->protocol < 256 ? ctx->protocol : 0;
	flow->destination_port = bpf_ntohs(ctx->user_port);
	loopback = loopback || flow->destination == self.offset;
	what.reason = loopback ? PT_ALLOWED_LOOPBACK : judge_call(flow, what.now, &remote);
	what.remote_slot = remote.slot;
	count(PT_CONNECT, what.reason, 0);
	if (what.reason == PT_ALLOWED || what.reason == PT_ALLOWED_LOOPBACK)
		return PT_PROCEED;
	tell(&what, flow);
	return PT_REFUSE;
}

static __always_inline int decide_v4(struct bpf_sock_addr *ctx, __be32 address)
{
	struct flow flow = { .family = 4, .source = PT_NOWHERE };

	flow.destination_address[0] = address;
	flow.destination = v4_offset(self.v4_base, address);
	return decide(ctx, &flow, is_loopback_v4(address));
}

static __always_inline int decide_v6(struct bpf_sock_addr *ctx)
{
	__be32 address[4] = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] };
	struct flow flow = { .family = 6, .source = PT_NOWHERE };

	if (is_v4_mapped(address))
		return decide_v4(ctx, address[3]);
	__builtin_memcpy(flow.destination_address, address, sizeof(address));
	flow.destination = v6_offset(self.v6_prefix, address);
	return decide(ctx, &flow, is_loopback_v6(address));
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return decide_v4(ctx, ctx->user_ip4);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	return decide_v6(ctx);
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	return decide_v4(ctx, ctx->user_ip4);
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	return decide_v6(ctx);
}

char LICENSE[] SEC("license") = "GPL";
