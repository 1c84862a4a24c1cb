/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The way of most packets: TCP data between two live peers, by a grant that stands near.
 *
 * Between two packets the kernel's own code takes the caches, so what a verdict costs is the lines of code and of
 * memory that it touches. Here they are few and in one piece, and headers are read where they are. Nothing is refused
 * here: whatever is not so plain, or is news, is examined.
 */
#pragma once

#include "packet.bpf.h"

#define PT_SYN 0x02
#define PT_RST 0x04
#define PT_ACK 0x10

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/* A TCP segment with nothing unusual: no options in IPv4, no extensions in IPv6, no SYN. */
struct segment {
	__u32 near; /* which offsets in the pool its addresses have: ours, and the other */
	__u32 far;
	__u16 source_port;
	__u16 destination_port;
	__u8 flags;
};

/* A RST that answers data to a dead socket has no ACK; a SYN without ACK would open. */
static __always_inline int answers(__u8 flags)
{
	return flags & (PT_ACK | PT_RST) && (!(flags & PT_SYN) || flags & PT_ACK);
}

/* What comes after the IP header, which says how many bytes there are. */
static __always_inline int read_tcp(const struct tcphdr *tcp, __u32 room, struct segment *it)
{
	it->source_port = bpf_ntohs(tcp->source);
	it->destination_port = bpf_ntohs(tcp->dest);
	it->flags = ((const __u8 *)tcp)[13];
	return likely(tcp->doff >= 5 && tcp->doff * 4 <= room && !(it->flags & PT_SYN));
}

static __always_inline int read_v4(struct __sk_buff *skb, const volatile struct pt_identity *self, int egress, struct segment *it)
{
	const struct iphdr *ip = (void *)(long)skb->data + self->link_bytes;
	const struct tcphdr *tcp = (void *)(ip + 1);
	__u32 total;

	if (unlikely((void *)(tcp + 1) > (void *)(long)skb->data_end))
		return 0;
	total = bpf_ntohs(ip->tot_len);
	if (unlikely(*(const __u8 *)ip != 0x45 || ip->protocol != IPPROTO_TCP ||
		     ip->frag_off & bpf_htons(PT_IPV4_FRAGMENT) || total < sizeof(*ip) + sizeof(*tcp) ||
		     self->link_bytes + total > skb->len))
		return 0;
	it->near = v4_offset(self->v4_base, egress ? ip->saddr : ip->daddr);
	it->far = v4_offset(self->v4_base, egress ? ip->daddr : ip->saddr);
	return read_tcp(tcp, total - sizeof(*ip), it);
}

static __always_inline int read_v6(struct __sk_buff *skb, const volatile struct pt_identity *self, int egress, struct segment *it)
{
	const struct ipv6hdr *ip = (void *)(long)skb->data + self->link_bytes;
	const struct tcphdr *tcp = (void *)(ip + 1);
	__u32 payload;

	if (unlikely((void *)(tcp + 1) > (void *)(long)skb->data_end))
		return 0;
	payload = bpf_ntohs(ip->payload_len);
	if (unlikely(ip->version != 6 || ip->nexthdr != IPPROTO_TCP ||
		     self->link_bytes + sizeof(*ip) + payload > skb->len))
		return 0;
	it->near = v6_offset(self->v6_prefix, egress ? ip->saddr.s6_addr32 : ip->daddr.s6_addr32);
	it->far = v6_offset(self->v6_prefix, egress ? ip->daddr.s6_addr32 : ip->saddr.s6_addr32);
	return read_tcp(tcp, payload, it);
}

static __always_inline int read_segment(struct __sk_buff *skb, const volatile struct pt_identity *self, int egress,
					struct segment *it)
{
	if (likely(skb->protocol == bpf_htons(ETH_P_IP)))
		return read_v4(skb, self, egress, it);
	return skb->protocol == bpf_htons(ETH_P_IPV6) && read_v6(skb, self, egress, it);
}

/* PT_ALLOWED, PT_ALLOWED_ANSWER, or another reason to examine it. Towards a service first: an answer to what is none of
 * the receiver's services is the second guess. */
static __always_inline enum pt_reason glance(const volatile struct pt_identity *self, int egress, const struct segment *it)
{
	const volatile struct pt_peer_entry *own, *remote;
	struct moment moment = this_moment(self->patience);
	struct peer near = {}, far = {};
	__u32 class;

	if (unlikely(it->near != self->offset || it->far == self->offset))
		return PT_NOT_OWN_ADDRESS;
	own = entry_at(&moment, self->offset);
	if (unlikely(admit_self(own, moment.now, self, &near) != PT_ALLOWED))
		return PT_OWN_LEASE;
	remote = entry_at(&moment, it->far);
	if (unlikely(!remote || admit(remote, moment.now, &far) != PT_ALLOWED))
		return PT_UNKNOWN_PEER;
	class = find_class(&moment, egress ? far.slot : near.slot, IPPROTO_TCP, it->destination_port);
	if (likely(class))
		return likely(is_near(egress ? own : remote, class)) ? PT_ALLOWED : PT_NO_GRANT;
	class = find_class(&moment, egress ? near.slot : far.slot, IPPROTO_TCP, it->source_port);
	if (class && is_near(egress ? remote : own, class) && answers(it->flags))
		return PT_ALLOWED_ANSWER;
	return PT_NO_GRANT;
}
