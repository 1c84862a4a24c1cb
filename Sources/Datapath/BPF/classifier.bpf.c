/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The classifier: judges every packet of one mesh device, in both directions.
 *
 *     plain? -> glance, else parse -> own address -> leases of both ends -> towards a service? -> answer of one? -> reason
 *
 * It keeps no connection state: a packet goes towards a service or answers from one, and either is
 * decided by the grant of the end that opened. So taking a grant away cuts live flows. Only what has no
 * flags to tell an answer by (UDP, echo) is remembered, by the device that asked and for a minute.
 */
#include "glance.bpf.h"

/* Allow hands the packet to the programs behind us; deny ends the chain. TCX and clsact agree on both. */
#define PT_NEXT -1
#define PT_DROP 2

#define PT_ASKED 4096
#define PT_ANSWER_NS 60000000000
#define PT_REFRESH_NS 1000000000
#define PT_HEARD 1024

const volatile struct pt_identity self;

/* To whom this device sent, from which port: answers come within a minute. Ports of an echo are 0 and its identifier. */
struct question {
	__u32 far_slot;
	__u16 far_port;
	__u16 local_port;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PT_ASKED);
	__type(key, struct question);
	__type(value, __u64);
} asked SEC(".maps");

/* Flows without a first packet to know them by that were told of; a collision tells one again. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PT_HEARD);
	__type(key, __u32);
	__type(value, __u64);
} heard SEC(".maps");

/* Everything learnt of one packet on its way through the steps. */
struct judged {
	struct flow flow;
	struct moment moment;
	struct part at;
	struct peer own;
	struct peer remote;
	__u32 initiator_slot;
	int egress;
};

static __always_inline const struct peer *sender(const struct judged *it)
{
	return it->egress ? &it->own : &it->remote;
}

static __always_inline const struct peer *receiver(const struct judged *it)
{
	return it->egress ? &it->remote : &it->own;
}

/* The whole /64 is the mesh's, and no router speaks for a part of it. */
static __always_inline int is_of_mesh(const struct flow *flow, const __be32 *address)
{
	return flow->family == 6 && ((__u64)bpf_ntohl(address[0]) << 32 | bpf_ntohl(address[1])) == self.v6_prefix;
}

static __always_inline __u32 offset_of(const struct flow *flow, const __be32 *address)
{
	return flow->family == 4 ? v4_offset(self.v4_base, address[0]) : v6_offset(self.v6_prefix, address);
}

/* Our end must be our own address, and on the way out the packet must be our machine's own: what a
 * container behind us sends would speak in our name. */
static __always_inline enum pt_reason judge_ends(struct __sk_buff *skb, struct judged *it)
{
	const __be32 *near = it->egress ? it->flow.source_address : it->flow.destination_address;
	const __be32 *far = it->egress ? it->flow.destination_address : it->flow.source_address;
	const volatile struct pt_peer_entry *remote;
	enum pt_reason reason;
	__u32 offset;

	if (offset_of(&it->flow, near) != self.offset)
		return PT_NOT_OWN_ADDRESS;
	if (it->egress && skb->ingress_ifindex)
		return PT_FORWARDED;
	reason = admit_self(entry_at(&it->moment, self.offset), it->moment.now, &self, &it->own);
	if (reason != PT_ALLOWED)
		return reason;
	offset = offset_of(&it->flow, far);
	if (offset == self.offset)
		return PT_UNKNOWN_PEER;
	remote = entry_at(&it->moment, offset);
	if (remote)
		return admit(remote, it->moment.now, &it->remote);
	if (is_of_mesh(&it->flow, far))
		return PT_OUTSIDE_POOL;
	return find_router(&it->moment, it->flow.family, far, &it->remote);
}

/* A node's device carries its own daemon's openings, not those of whoever has a shell there. */
static __always_inline int is_opener(struct __sk_buff *skb)
{
	__u32 uid = bpf_get_socket_uid(skb), place;

#pragma unroll
	for (place = 0; place < PT_OPENERS; place++)
		if (place < self.opener_count && self.openers[place] == uid)
			return 1;
	return 0;
}

static __always_inline enum pt_reason judge_opening(struct __sk_buff *skb, const struct judged *it,
						    enum pt_reason reason)
{
	/* The far end cannot see the mark: it is checked where the packet leaves the agent. */
	if (reason == PT_SIDECAR_ONLY && (!it->egress || skb->mark == PT_SIDECAR_MARK))
		reason = PT_ALLOWED;
	if (reason == PT_ALLOWED && it->egress && !self.session && !is_opener(skb))
		reason = PT_NODE_OPENS;
	return reason;
}

static __always_inline enum pt_reason find_opening(struct judged *it, __u8 protocol)
{
	return find_grant(&it->moment, sender(it), receiver(it), protocol, it->flow.destination_port);
}

static __always_inline int is_granted(enum pt_reason reason)
{
	return reason == PT_ALLOWED || reason == PT_SIDECAR_ONLY;
}

/* Of two refusals the one that knows a grant is told, with its policy. */
static __always_inline enum pt_reason choose(struct judged *it, enum pt_reason opening, __u32 policy,
					     enum pt_reason answering)
{
	if (answering == PT_ALLOWED_ANSWER || (opening == PT_NO_SERVICE && answering != PT_NO_SERVICE)) {
		it->initiator_slot = receiver(it)->slot;
		return answering;
	}
	it->moment.policy = policy;
	return opening;
}

/* This, judge_udp and judge_icmp are not static: the verifier looks at them once. */
__noinline int judge_tcp(struct __sk_buff *skb, struct judged *it)
{
	enum pt_reason opening, answering;
	__u32 policy;

	if (!it)
		return PT_NO_GRANT;
	opening = judge_opening(skb, it, find_opening(it, IPPROTO_TCP));
	if (opening == PT_ALLOWED)
		return opening;
	policy = it->moment.policy;
	answering = find_grant(&it->moment, receiver(it), sender(it), IPPROTO_TCP, it->flow.source_port);
	if (is_granted(answering))
		answering = answers(it->flow.tcp_flags) ? PT_ALLOWED_ANSWER : PT_ANSWER_FLAGS;
	return choose(it, opening, policy, answering);
}

static __always_inline void remember(const struct judged *it, __u16 far_port, __u16 local_port)
{
	struct question question = { it->remote.slot, far_port, local_port };
	__u64 now = it->moment.now;
	const __u64 *last;

	if (!it->egress)
		return;
	last = bpf_map_lookup_elem(&asked, &question);
	if (!last || now - *last >= PT_REFRESH_NS)
		bpf_map_update_elem(&asked, &question, &now, BPF_ANY);
}

/* Who serves may answer; whoever asked hears only answers to what it asked. */
static __always_inline enum pt_reason judge_answer(struct judged *it, __u8 protocol, __u16 far_port,
						   __u16 local_port)
{
	struct question question = { it->remote.slot, far_port, local_port };
	enum pt_reason reason = find_grant(&it->moment, receiver(it), sender(it), protocol, it->flow.source_port);
	const __u64 *last;

	if (!is_granted(reason))
		return reason;
	if (it->egress)
		return PT_ALLOWED_ANSWER;
	last = bpf_map_lookup_elem(&asked, &question);
	return last && it->moment.now - *last < PT_ANSWER_NS ? PT_ALLOWED_ANSWER : PT_UNASKED;
}

__noinline int judge_udp(struct __sk_buff *skb, struct judged *it)
{
	enum pt_reason opening, answering;
	__u32 policy;

	if (!it)
		return PT_NO_GRANT;
	opening = judge_opening(skb, it, find_opening(it, IPPROTO_UDP));
	policy = it->moment.policy;
	if (opening == PT_ALLOWED) {
		remember(it, it->flow.destination_port, it->flow.source_port);
		return opening;
	}
	answering = judge_answer(it, IPPROTO_UDP, it->flow.source_port, it->flow.destination_port);
	return choose(it, opening, policy, answering);
}

static __always_inline enum pt_reason judge_echo(struct __sk_buff *skb, struct judged *it)
{
	enum pt_reason reason;

	if (is_echo_request(&it->flow)) {
		reason = judge_opening(skb, it, find_opening(it, IPPROTO_ICMP));
		if (reason == PT_ALLOWED)
			remember(it, 0, it->flow.echo);
		return reason;
	}
	it->initiator_slot = receiver(it)->slot;
	return judge_answer(it, IPPROTO_ICMP, 0, it->flow.echo);
}

/* Destination unreachable, packet too big, time exceeded, parameter problem (RFC 792, RFC 4443). */
static __always_inline int is_error(const struct flow *flow)
{
	__u8 type = flow->icmp_type;

	return flow->family == 4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

static __always_inline int same_address(const __be32 *left, const __be32 *right)
{
	return left[0] == right[0] && left[1] == right[1] && left[2] == right[2] && left[3] == right[3];
}

/* What the receiver of an error sent: towards a service of its sender, or as the answer of one of its own. */
static __always_inline enum pt_reason judge_quoted(struct judged *it, const struct flow *quote)
{
	__u8 protocol = is_icmp(quote) ? IPPROTO_ICMP : quote->protocol;
	int opened = 1, answered = 1;

	if (protocol == IPPROTO_ICMP) {
		opened = is_icmp(quote) && is_echo_request(quote);
		answered = is_icmp(quote) && is_echo_reply(quote);
	}
	if (opened && is_granted(find_grant(&it->moment, receiver(it), sender(it), protocol, quote->destination_port)))
		return PT_ALLOWED_ERROR;
	if (answered && is_granted(find_grant(&it->moment, sender(it), receiver(it), protocol, quote->source_port)))
		return PT_ALLOWED_ERROR;
	return PT_UNRELATED_ERROR;
}

static __always_inline enum pt_reason judge_error(struct __sk_buff *skb, struct judged *it)
{
	struct part at = { it->at.offset + 8, it->at.end };
	struct flow quote = { .family = it->flow.family };
	enum pt_reason reason = parse_quote(skb, &at, &quote);

	if (reason != PT_ALLOWED)
		return reason == PT_TRUNCATED ? PT_TRUNCATED : PT_UNRELATED_ERROR;
	if (!same_address(quote.source_address, it->flow.destination_address) ||
	    !same_address(quote.destination_address, it->flow.source_address))
		return PT_UNRELATED_ERROR;
	return judge_quoted(it, &quote);
}

/* Redirects, routers, neighbours, multicast groups: a mesh device has none of them. */
__noinline int judge_icmp(struct __sk_buff *skb, struct judged *it)
{
	if (!it)
		return PT_NO_GRANT;
	if (is_echo_request(&it->flow) || is_echo_reply(&it->flow))
		return judge_echo(skb, it);
	return is_error(&it->flow) ? judge_error(skb, it) : PT_ICMP_UNSUPPORTED;
}

static __always_inline enum pt_reason judge(struct __sk_buff *skb, struct judged *it)
{
	enum pt_reason reason = judge_ends(skb, it);

	if (reason != PT_ALLOWED)
		return reason;
	it->initiator_slot = sender(it)->slot;
	if (it->flow.protocol == IPPROTO_TCP)
		return judge_tcp(skb, it);
	if (it->flow.protocol == IPPROTO_UDP)
		return judge_udp(skb, it);
	return is_icmp(&it->flow) ? judge_icmp(skb, it) : PT_PROTOCOL_UNSUPPORTED;
}

/* Once a minute for each flow that has no first packet to be known by. */
static __always_inline int is_unheard(const struct judged *it)
{
	__u64 signature = ((__u64)it->remote.slot << 32 | (__u32)it->flow.source_port << 16 | it->flow.destination_port) ^
			  (__u64)it->flow.echo << 16;
	__u32 index;
	__u64 *last;

	signature = (signature ^ it->moment.now >> 36 << 53) * 0x9e3779b97f4a7c15ull | 1;
	index = signature >> 54;
	last = bpf_map_lookup_elem(&heard, &index);
	if (!last || *last == signature)
		return 0;
	*last = signature;
	return 1;
}

static __always_inline int is_allowed(enum pt_reason reason)
{
	return 1u << reason & (1u << PT_ALLOWED | 1u << PT_ALLOWED_ANSWER | 1u << PT_ALLOWED_ERROR);
}

static __always_inline int opens(const struct judged *it)
{
	if (it->flow.protocol == IPPROTO_TCP)
		return (it->flow.tcp_flags & (PT_SYN | PT_ACK)) == PT_SYN;
	return is_unheard(it);
}

/* What a kernel says to its neighbours when an IPv6 device comes up is counted and dropped, and tells nobody anything. */
static __always_inline int is_chatter(const struct flow *flow)
{
	return flow->family == 6 && bpf_ntohl(flow->destination_address[0]) >> 24 == 0xff;
}

static __always_inline int is_news(const struct judged *it, enum pt_reason reason)
{
	if (reason == PT_ALLOWED)
		return opens(it);
	return !is_allowed(reason) && !is_chatter(&it->flow);
}

static __noinline int tell_of(const struct judged *it, __u32 place, enum pt_reason reason)
{
	struct telling what = {
		.now = it->moment.now,
		.place = place,
		.kind = reason == PT_ALLOWED ? PT_OPENED : PT_DENIED,
		.reason = reason,
		.own_slot = self.slot,
		.remote_slot = it->remote.slot,
		.initiator_slot = it->initiator_slot,
		.sender_slot = it->egress ? self.slot : it->remote.slot,
		.policy = is_by_grant(reason) ? it->moment.policy : 0,
	};

	tell(&what, &it->flow);
	return 0;
}

static __always_inline __u32 place_of(int egress)
{
	return (self.session ? PT_SESSION_INGRESS : PT_NODE_INGRESS) + egress;
}

static __noinline int examine(struct __sk_buff *skb, int egress)
{
	struct judged it = { .egress = egress };
	enum pt_reason reason;

	it.moment = this_moment(self.patience);
	reason = parse(skb, self.link_bytes, &it.at, &it.flow);
	if (reason == PT_ALLOWED)
		reason = judge(skb, &it);
	count(place_of(egress), reason, skb->len);
	if (is_news(&it, reason))
		tell_of(&it, place_of(egress), reason);
	return is_allowed(reason) ? PT_NEXT : PT_DROP;
}

/* Who may send needs no look at the packet: our machine itself, and of a node only its daemon. */
static __always_inline int may_send(struct __sk_buff *skb, enum pt_reason reason)
{
	return !skb->ingress_ifindex && (self.session || reason == PT_ALLOWED_ANSWER || is_opener(skb));
}

static __always_inline int classify(struct __sk_buff *skb, int egress)
{
	struct segment segment;
	enum pt_reason reason;

	if (unlikely(!read_segment(skb, &self, egress, &segment)))
		return examine(skb, egress);
	reason = glance(&self, egress, &segment);
	if (unlikely(!is_allowed(reason) || (egress && !may_send(skb, reason))))
		return examine(skb, egress);
	count(place_of(egress), reason, skb->len);
	return PT_NEXT;
}

/* By these names ours are told from others' at a device. */
SEC("tc")
int postern_ingress(struct __sk_buff *skb)
{
	return classify(skb, 0);
}

SEC("tc")
int postern_egress(struct __sk_buff *skb)
{
	return classify(skb, 1);
}

char LICENSE[] SEC("license") = "GPL";
