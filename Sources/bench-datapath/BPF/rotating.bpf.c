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
static __always_inline void rotate(struct segment *segment, __u32 peers)
{
	__u32 number = turn++;

	if (!peers)
		return;
	segment->far = PT_FIRST_OFFSET + number * 7919u % peers;
	segment->destination_port = PT_FIRST_PORT + number % PT_PORTS;
}

static __always_inline int only_parse(struct __sk_buff *skb)
{
	struct segment segment;

	if (!read_segment(skb, &self, 0, &segment))
		return PT_DROP;
	rotate(&segment, skb->mark);
	/* Or the compiler would leave out what nobody asks for. */
	seen += segment.near + segment.far + segment.source_port + segment.destination_port + segment.flags;
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

/* What the hook alone takes. */
SEC("tc")
int empty(struct __sk_buff *skb)
{
	return PT_NEXT;
}

SEC("tc")
int rotating(struct __sk_buff *skb)
{
	struct segment segment;
	enum pt_reason reason;

	if (!read_segment(skb, &self, 0, &segment))
		return PT_DROP;
	rotate(&segment, skb->mark);
	reason = glance(&self, 0, &segment);
	count(place_of(0), reason, skb->len);
	return is_allowed(reason) ? PT_NEXT : PT_DROP;
}
