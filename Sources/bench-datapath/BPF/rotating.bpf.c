/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The classifier with another peer and another port at each run, beside one that only parses.
 *
 * A test run repeats one packet: with the same keys every table would be warm. So between parsing and judging both
 * programs put in the next peer's address and the next port; their difference is what judging costs.
 */
#include "../../Datapath/BPF/classifier.bpf.c"

#define PT_FIRST_OFFSET 16
#define PT_FIRST_PORT 1000
#define PT_PORTS 100

__u32 turn;
__u64 seen;

/* The mark says among how many peers. A stride that is prime visits all of them, far from each other. */
static __always_inline void rotate(struct flow *flow, __u32 peers)
{
	__u32 number = turn++;

	if (!peers)
		return;
	flow->source_address[0] = bpf_htonl(self.v4_base + PT_FIRST_OFFSET + number * 7919u % peers);
	flow->destination_port = PT_FIRST_PORT + number % PT_PORTS;
}

static __always_inline int only_parse(struct __sk_buff *skb)
{
	struct judged it = { .egress = 0 };
	enum pt_reason reason = parse(skb, self.link_bytes, &it.at, &it.flow);

	if (reason != PT_ALLOWED)
		return PT_DROP;
	rotate(&it.flow, skb->mark);
	/* Or the compiler would leave out what nobody asks for. */
	seen += it.flow.source_address[0] + it.flow.destination_port + it.flow.tcp_flags + it.flow.destination_address[0];
	return PT_NEXT;
}

SEC("tc")
int parsing(struct __sk_buff *skb)
{
	return only_parse(skb);
}

/* The same again: what two equal programs differ by is noise. */
SEC("tc")
int parsing_again(struct __sk_buff *skb)
{
	return only_parse(skb);
}

SEC("tc")
int rotating(struct __sk_buff *skb)
{
	struct judged it = { .egress = 0 };
	enum pt_reason reason;

	it.moment = this_moment(self.patience);
	reason = parse(skb, self.link_bytes, &it.at, &it.flow);
	if (reason == PT_ALLOWED) {
		rotate(&it.flow, skb->mark);
		reason = judge(skb, &it, 0);
	}
	report(&it, 0, reason, skb->len);
	return is_allowed(reason) ? PT_NEXT : PT_DROP;
}
