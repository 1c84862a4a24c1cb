/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The classifier: judges every packet of one mesh device, in both directions.
 *
 *     parse -> own address -> leases of both ends -> towards a service? -> answer of one? -> reason
 *
 * It keeps no connection state: a packet goes towards a service or answers from one, and either is
 * decided by the grant of the end that opened. So taking a grant away cuts live flows.
 */
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include "tables.bpf.h"

/* Allow hands the packet to the programs behind us; deny ends the chain. */
#define TCX_NEXT -1
#define TCX_DROP 2

#define PT_HEADERS 128
#define PT_IPV4_FRAGMENT 0x3fff
#define PT_FIN 0x01
#define PT_SYN 0x02
#define PT_RST 0x04
#define PT_ACK 0x10

const volatile struct pt_identity self;

/* Everything learnt of one packet on its way through the steps. */
struct judged {
	struct flow flow;
	struct peer own;
	struct peer remote;
	__u32 initiator_slot;
	__u64 now;
	int egress;
};

/* Headers are read relative to the network header, so that devices with and without a link layer are alike. */
static __always_inline long load(struct __sk_buff *skb, __u32 offset, void *to, __u32 length)
{
	if (!bpf_skb_load_bytes_relative(skb, offset, to, length, BPF_HDR_START_NET))
		return 0;
	if (bpf_skb_pull_data(skb, skb->len < PT_HEADERS ? skb->len : PT_HEADERS))
		return -1;
	return bpf_skb_load_bytes_relative(skb, offset, to, length, BPF_HDR_START_NET);
}

static __always_inline enum pt_reason parse_transport(struct __sk_buff *skb, __u32 offset, __u32 end, struct flow *flow)
{
	struct tcphdr tcp;
	__u16 ports[2];

	if (flow->protocol != IPPROTO_TCP && flow->protocol != IPPROTO_UDP)
		return PT_ALLOWED;
	if (offset + (flow->protocol == IPPROTO_TCP ? sizeof(tcp) : 8) > end)
		return PT_TRUNCATED;
	if (load(skb, offset, ports, sizeof(ports)))
		return PT_TRUNCATED;
	flow->source_port = bpf_ntohs(ports[0]);
	flow->destination_port = bpf_ntohs(ports[1]);
	if (flow->protocol == IPPROTO_TCP && load(skb, offset + 13, &flow->tcp_flags, 1))
		return PT_TRUNCATED;
	return PT_ALLOWED;
}

static __always_inline enum pt_reason parse_v4(struct __sk_buff *skb, struct flow *flow)
{
	struct iphdr ip;

	if (load(skb, 0, &ip, sizeof(ip)))
		return PT_TRUNCATED;
	if (ip.version != 4)
		return PT_NOT_IP;
	flow->family = 4;
	flow->protocol = ip.protocol;
	flow->source_address[0] = ip.saddr;
	flow->destination_address[0] = ip.daddr;
	flow->source = v4_offset(self.v4_base, ip.saddr);
	flow->destination = v4_offset(self.v4_base, ip.daddr);
	if (ip.ihl < 5)
		return PT_TRUNCATED;
	if (ip.ihl > 5)
		return PT_IP_OPTIONS;
	if (ip.frag_off & bpf_htons(PT_IPV4_FRAGMENT))
		return PT_FRAGMENT;
	if (bpf_ntohs(ip.tot_len) > skb->len)
		return PT_TRUNCATED;
	return parse_transport(skb, sizeof(ip), bpf_ntohs(ip.tot_len), flow);
}

static __always_inline enum pt_reason judge_next_header(__u8 next)
{
	switch (next) {
	case IPPROTO_FRAGMENT:
		return PT_FRAGMENT;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_AH:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	case 139: /* HIP */
	case 140: /* Shim6 */
		return PT_EXTENSION_HEADER;
	default:
		return PT_ALLOWED;
	}
}

static __always_inline enum pt_reason parse_v6(struct __sk_buff *skb, struct flow *flow)
{
	enum pt_reason reason;
	struct ipv6hdr ip;
	__u32 end;

	if (load(skb, 0, &ip, sizeof(ip)))
		return PT_TRUNCATED;
	if (ip.version != 6)
		return PT_NOT_IP;
	flow->family = 6;
	flow->protocol = ip.nexthdr;
	__builtin_memcpy(flow->source_address, &ip.saddr, 16);
	__builtin_memcpy(flow->destination_address, &ip.daddr, 16);
	flow->source = v6_offset(self.v6_prefix, flow->source_address);
	flow->destination = v6_offset(self.v6_prefix, flow->destination_address);
	end = sizeof(ip) + bpf_ntohs(ip.payload_len);
	if (end > skb->len)
		return PT_TRUNCATED;
	reason = judge_next_header(ip.nexthdr);
	return reason == PT_ALLOWED ? parse_transport(skb, sizeof(ip), end, flow) : reason;
}

static __always_inline enum pt_reason parse(struct __sk_buff *skb, struct flow *flow)
{
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		return parse_v4(skb, flow);
	case bpf_htons(ETH_P_IPV6):
		return parse_v6(skb, flow);
	default:
		return PT_NOT_IP;
	}
}

/* Our end must be our own address, and on the way out the packet must be our machine's own: what a
 * container behind us sends would speak in our name. */
static __always_inline enum pt_reason judge_ends(struct __sk_buff *skb, struct judged *it)
{
	__u32 near = it->egress ? it->flow.source : it->flow.destination;
	__u32 far = it->egress ? it->flow.destination : it->flow.source;
	enum pt_reason reason;

	if (near != self.offset)
		return PT_NOT_OWN_ADDRESS;
	if (it->egress && skb->ingress_ifindex)
		return PT_FORWARDED;
	reason = find_self(&self, it->now, &it->own);
	if (reason != PT_ALLOWED)
		return reason;
	if (far == self.offset)
		return PT_UNKNOWN_PEER;
	return find_peer(far, it->now, &it->remote);
}

static __always_inline int towards(const struct pt_service *service, const struct peer *sender, const struct judged *it,
				   __u32 mark, enum pt_reason *reason)
{
	if (it->egress && !self.session) {
		*reason = PT_NODE_OPENS;
		return 0;
	}
	*reason = find_grant(sender, service);
	/* The far end cannot see the mark: it is checked where the packet leaves the agent. */
	if (*reason == PT_SIDECAR_ONLY && (!it->egress || mark == PT_SIDECAR_MARK))
		*reason = PT_ALLOWED;
	return *reason == PT_ALLOWED;
}

/* A RST that answers data to a dead socket has no ACK; a SYN without ACK would open. */
static __always_inline int answers(__u8 flags)
{
	return flags & (PT_ACK | PT_RST) && (!(flags & PT_SYN) || flags & PT_ACK);
}

static __always_inline enum pt_reason judge_tcp(struct judged *it, __u32 mark)
{
	const struct peer *sender = it->egress ? &it->own : &it->remote;
	const struct peer *receiver = it->egress ? &it->remote : &it->own;
	struct pt_service near = { receiver->slot, it->flow.destination_port, IPPROTO_TCP, 0 };
	struct pt_service far = { sender->slot, it->flow.source_port, IPPROTO_TCP, 0 };
	enum pt_reason opening, answering;

	it->initiator_slot = sender->slot;
	if (towards(&near, sender, it, mark, &opening))
		return PT_ALLOWED;
	answering = find_grant(receiver, &far);
	if (answering == PT_ALLOWED || answering == PT_SIDECAR_ONLY)
		answering = answers(it->flow.tcp_flags) ? PT_ALLOWED_ANSWER : PT_ANSWER_FLAGS;
	if (answering == PT_NO_SERVICE)
		return opening;
	if (answering != PT_ALLOWED_ANSWER && opening != PT_NO_SERVICE && opening != PT_NODE_OPENS)
		return opening;
	it->initiator_slot = receiver->slot;
	return answering;
}

static __always_inline enum pt_reason judge(struct __sk_buff *skb, struct judged *it)
{
	enum pt_reason reason = parse(skb, &it->flow);

	if (reason != PT_ALLOWED)
		return reason;
	reason = judge_ends(skb, it);
	if (reason != PT_ALLOWED)
		return reason;
	switch (it->flow.protocol) {
	case IPPROTO_TCP:
		return judge_tcp(it, skb->mark);
	case IPPROTO_UDP:
		return PT_UDP_UNSUPPORTED;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return PT_ICMP_UNSUPPORTED;
	default:
		return PT_PROTOCOL_UNSUPPORTED;
	}
}

static __always_inline int opens(const struct judged *it, enum pt_reason reason)
{
	return reason == PT_ALLOWED && (it->flow.tcp_flags & (PT_SYN | PT_ACK)) == PT_SYN;
}

/* What a kernel says to its neighbours when an IPv6 device comes up is counted and dropped, and tells nobody anything. */
static __always_inline int is_chatter(const struct flow *flow)
{
	return flow->family == 6 && bpf_ntohl(flow->destination_address[0]) >> 24 == 0xff;
}

static __always_inline void report(const struct judged *it, enum pt_reason reason, __u32 bytes)
{
	int allowed = reason == PT_ALLOWED || reason == PT_ALLOWED_ANSWER;
	struct telling what = {
		.now = it->now,
		.place = (self.session ? PT_SESSION_INGRESS : PT_NODE_INGRESS) + (it->egress ? 1 : 0),
		.kind = allowed ? PT_OPENED : PT_DENIED,
		.reason = reason,
		.own_slot = self.slot,
		.remote_slot = it->remote.slot,
		.initiator_slot = it->initiator_slot,
		.sender_slot = it->egress ? self.slot : it->remote.slot,
	};

	count(what.place, reason, bytes);
	if (allowed ? opens(it, reason) : !is_chatter(&it->flow))
		tell(&what, &it->flow);
}

static __always_inline int classify(struct __sk_buff *skb, int egress)
{
	struct judged it = { .flow = { .source = PT_NOWHERE, .destination = PT_NOWHERE }, .egress = egress };
	enum pt_reason reason;

	it.now = bpf_ktime_get_boot_ns();
	reason = judge(skb, &it);
	report(&it, reason, skb->len);
	return reason == PT_ALLOWED || reason == PT_ALLOWED_ANSWER ? TCX_NEXT : TCX_DROP;
}

SEC("tc")
int ingress(struct __sk_buff *skb)
{
	return classify(skb, 0);
}

SEC("tc")
int egress(struct __sk_buff *skb)
{
	return classify(skb, 1);
}

char LICENSE[] SEC("license") = "GPL";
