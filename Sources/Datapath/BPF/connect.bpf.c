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

static __always_inline enum pt_reason judge_call(struct moment *moment, const struct flow *flow, __u32 offset,
						 struct peer *remote)
{
	enum pt_reason reason;
	struct peer own = {};

	if (offset == PT_NOWHERE)
		return PT_OUTSIDE_POOL;
	reason = admit_self(entry_at(moment, self.offset), moment->now, &self, &own);
	if (reason != PT_ALLOWED)
		return reason;
	reason = find_peer(moment, offset, remote);
	if (reason != PT_ALLOWED)
		return reason;
	switch (flow->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return find_grant(moment, &own, remote, flow->protocol, flow->destination_port);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return find_grant(moment, &own, remote, IPPROTO_ICMP, 0);
	default:
		return PT_PROTOCOL_UNSUPPORTED;
	}
}

static __always_inline int decide(struct bpf_sock_addr *ctx, struct flow *flow, __u32 offset, int loopback)
{
	struct peer remote = {};
	struct moment moment = this_moment(self.patience);
	struct telling what = { .now = moment.now, .place = PT_CONNECT, .kind = PT_DENIED,
				.own_slot = self.slot, .initiator_slot = self.slot, .sender_slot = self.slot };

	flow->protocol = ctx->protocol < 256 ? ctx->protocol : 0;
	flow->destination_port = bpf_ntohs(ctx->user_port);
	loopback = loopback || offset == self.offset;
	what.reason = loopback ? PT_ALLOWED_LOOPBACK : judge_call(&moment, flow, offset, &remote);
	what.remote_slot = remote.slot;
	what.policy = is_by_grant(what.reason) ? moment.policy : 0;
	count(PT_CONNECT, what.reason, 0);
	if (what.reason == PT_ALLOWED || what.reason == PT_ALLOWED_LOOPBACK)
		return PT_PROCEED;
	tell(&what, flow);
	return PT_REFUSE;
}

static __always_inline int decide_v4(struct bpf_sock_addr *ctx, __be32 address)
{
	struct flow flow = { .family = 4 };

	flow.destination_address[0] = address;
	return decide(ctx, &flow, v4_offset(self.v4_base, address), is_loopback_v4(address));
}

static __always_inline int decide_v6(struct bpf_sock_addr *ctx)
{
	__be32 address[4] = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] };
	struct flow flow = { .family = 6 };

	if (is_v4_mapped(address))
		return decide_v4(ctx, address[3]);
	__builtin_memcpy(flow.destination_address, address, sizeof(address));
	return decide(ctx, &flow, v6_offset(self.v6_prefix, address), is_loopback_v6(address));
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
