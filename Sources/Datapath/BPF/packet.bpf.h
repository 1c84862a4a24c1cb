/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* From bytes to a flow: IPv4 and IPv6, and as much of what is above as a verdict needs.
 *
 *     IP header -> extension headers, to a bound -> ports, flags, ICMP type
 *
 * Nothing is read that the headers do not say is there. What is rare in a mesh and confuses filters is not
 * parsed but refused, each with its reason: fragments, IPv4 options, routing headers, security headers.
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "tables.bpf.h"

/* As much of a packet is made readable as its headers and those of a packet that it quotes can take. */
#define PT_HEADERS 512
#define PT_EXTENSION_HEADERS 8
#define PT_EXTENSION_BYTES 256
#define PT_IPV4_FRAGMENT 0x3fff
#define PT_ECHO_REQUEST 8
#define PT_ECHO_REPLY 0
#define PT_ECHO_REQUEST_V6 128
#define PT_ECHO_REPLY_V6 129

/* Where the parser stands, and where the packet ends. */
struct part {
	__u32 offset;
	__u32 end;
};

/* Headers are read relative to the network header, wherever they are: also in pages that the program cannot see.
 * Not inlined, as little of what most packets do without: what they run stays close together. */
static __noinline long load(struct __sk_buff *skb, __u32 offset, void *to, __u32 length)
{
	if (!bpf_skb_load_bytes_relative(skb, offset, to, length, BPF_HDR_START_NET))
		return 0;
	if (bpf_skb_pull_data(skb, skb->len < PT_HEADERS ? skb->len : PT_HEADERS))
		return -1;
	return bpf_skb_load_bytes_relative(skb, offset, to, length, BPF_HDR_START_NET);
}

typedef __u32 __attribute__((may_alias)) word;

/* The same for what most packets have where the program can see it, behind a link header of so many bytes: it saves a
 * call. By words, for a compiler that is told nothing of the alignment reads bytes; lengths are multiples of 4. */
static __always_inline long load_near(struct __sk_buff *skb, __u32 link, __u32 offset, void *to, __u32 length)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end, *from = data + link + offset;
	__u32 place;

	if (from + length > end)
		return load(skb, offset, to, length);
#pragma unroll
	for (place = 0; place < length / sizeof(word); place++)
		((word *)to)[place] = ((const word *)from)[place];
	return 0;
}

/* Above IPv4, and above IPv6 without extensions, the place is known. */
static __always_inline long load_transport(struct __sk_buff *skb, __u32 link, __u32 offset, void *to, __u32 length)
{
	if (offset == sizeof(struct iphdr))
		return load_near(skb, link, sizeof(struct iphdr), to, length);
	if (offset == sizeof(struct ipv6hdr))
		return load_near(skb, link, sizeof(struct ipv6hdr), to, length);
	return load(skb, offset, to, length);
}

/* The total length comes back; whether so much is there is the caller's question. */
static __always_inline enum pt_reason parse_v4(const struct iphdr *ip, struct part *at, struct flow *flow, __u32 *total)
{
	if (ip->version != 4)
		return PT_NOT_IP;
	flow->family = 4;
	flow->protocol = ip->protocol;
	flow->source_address[0] = ip->saddr;
	flow->destination_address[0] = ip->daddr;
	*total = bpf_ntohs(ip->tot_len);
	if (ip->ihl < 5 || *total < sizeof(*ip))
		return PT_TRUNCATED;
	if (ip->ihl > 5)
		return PT_IP_OPTIONS;
	if (ip->frag_off & bpf_htons(PT_IPV4_FRAGMENT))
		return PT_FRAGMENT;
	at->offset += sizeof(*ip);
	return PT_ALLOWED;
}

static __always_inline enum pt_reason parse_v6(const struct ipv6hdr *ip, struct part *at, struct flow *flow,
					       __u32 *total)
{
	if (ip->version != 6)
		return PT_NOT_IP;
	flow->family = 6;
	flow->protocol = ip->nexthdr;
	__builtin_memcpy(flow->source_address, &ip->saddr, 16);
	__builtin_memcpy(flow->destination_address, &ip->daddr, 16);
	*total = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	at->offset += sizeof(*ip);
	return PT_ALLOWED;
}

/* Which of the headers between IPv6 and what it carries may be stepped over (RFC 8200 §4). */
static __always_inline enum pt_reason judge_extension(__u8 next, int is_first)
{
	switch (next) {
	case IPPROTO_FRAGMENT:
		return PT_FRAGMENT;
	case IPPROTO_ROUTING:
		return PT_ROUTING_HEADER;
	case IPPROTO_HOPOPTS:
		return is_first ? PT_ALLOWED : PT_EXTENSION_HEADER;
	case IPPROTO_AH:
	case IPPROTO_MH:
	case 139: /* HIP */
	case 140: /* Shim6 */
		return PT_EXTENSION_HEADER;
	default:
		return PT_ALLOWED;
	}
}

/* Steps over extension headers; afterwards the flow's protocol is what stands above them. */
static __noinline int walk_extensions(struct __sk_buff *skb, struct part *at, struct flow *flow)
{
	__u32 start = at->offset;
	enum pt_reason reason;
	__u8 header[2];
	int count;

	for (count = 0; count <= PT_EXTENSION_HEADERS; count++) {
		reason = judge_extension(flow->protocol, count == 0);
		if (reason != PT_ALLOWED)
			return reason;
		if (flow->protocol != IPPROTO_HOPOPTS && flow->protocol != IPPROTO_DSTOPTS)
			return PT_ALLOWED;
		if (at->offset + 8 > at->end || load(skb, at->offset, header, sizeof(header)))
			return PT_TRUNCATED;
		flow->protocol = header[0];
		at->offset += (header[1] + 1) * 8;
		if (at->offset - start > PT_EXTENSION_BYTES)
			return PT_LONG_HEADERS;
	}
	return PT_LONG_HEADERS;
}

static __always_inline int has_extensions(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_DSTOPTS || judge_extension(next, 1) != PT_ALLOWED;
}

static __always_inline enum pt_reason parse_tcp(struct __sk_buff *skb, __u32 link, const struct part *at, struct flow *flow)
{
	struct tcphdr tcp;

	if (at->offset + sizeof(tcp) > at->end || load_transport(skb, link, at->offset, &tcp, sizeof(tcp)))
		return PT_TRUNCATED;
	if (tcp.doff < 5 || at->offset + tcp.doff * 4 > at->end)
		return PT_TRUNCATED;
	flow->source_port = bpf_ntohs(tcp.source);
	flow->destination_port = bpf_ntohs(tcp.dest);
	flow->tcp_flags = ((const __u8 *)&tcp)[13];
	return PT_ALLOWED;
}

static __always_inline enum pt_reason parse_udp(struct __sk_buff *skb, __u32 link, const struct part *at, struct flow *flow)
{
	struct udphdr udp;

	if (at->offset + sizeof(udp) > at->end || load_transport(skb, link, at->offset, &udp, sizeof(udp)))
		return PT_TRUNCATED;
	if (bpf_ntohs(udp.len) < sizeof(udp) || at->offset + bpf_ntohs(udp.len) > at->end)
		return PT_TRUNCATED;
	flow->source_port = bpf_ntohs(udp.source);
	flow->destination_port = bpf_ntohs(udp.dest);
	return PT_ALLOWED;
}

static __always_inline enum pt_reason parse_icmp(struct __sk_buff *skb, __u32 link, const struct part *at, struct flow *flow)
{
	__u8 icmp[8];

	if (at->offset + sizeof(icmp) > at->end || load(skb, at->offset, icmp, sizeof(icmp)))
		return PT_TRUNCATED;
	flow->icmp_type = icmp[0];
	flow->echo = icmp[4] << 8 | icmp[5];
	return PT_ALLOWED;
}

/* Each family has its own ICMP, and only that one. */
static __always_inline int is_icmp(const struct flow *flow)
{
	return flow->protocol == (flow->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static __always_inline int is_echo_request(const struct flow *flow)
{
	return flow->icmp_type == (flow->family == 4 ? PT_ECHO_REQUEST : PT_ECHO_REQUEST_V6);
}

static __always_inline int is_echo_reply(const struct flow *flow)
{
	return flow->icmp_type == (flow->family == 4 ? PT_ECHO_REPLY : PT_ECHO_REPLY_V6);
}

static __always_inline enum pt_reason parse_transport(struct __sk_buff *skb, __u32 link, const struct part *at, struct flow *flow)
{
	if (flow->protocol == IPPROTO_TCP)
		return parse_tcp(skb, link, at, flow);
	if (flow->protocol == IPPROTO_UDP)
		return parse_udp(skb, link, at, flow);
	return is_icmp(flow) ? parse_icmp(skb, link, at, flow) : PT_ALLOWED;
}

/* A whole packet. Afterwards `at` is where its transport header is. */
static __always_inline enum pt_reason parse(struct __sk_buff *skb, __u32 link, struct part *at, struct flow *flow)
{
	enum pt_reason reason;
	struct ipv6hdr ip6;
	struct iphdr ip4;
	__u32 total = 0;

	at->offset = 0;
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		if (load_near(skb, link, 0, &ip4, sizeof(ip4)))
			return PT_TRUNCATED;
		reason = parse_v4(&ip4, at, flow, &total);
		break;
	case bpf_htons(ETH_P_IPV6):
		if (load_near(skb, link, 0, &ip6, sizeof(ip6)))
			return PT_TRUNCATED;
		reason = parse_v6(&ip6, at, flow, &total);
		break;
	default:
		return PT_NOT_IP;
	}
	if (reason != PT_ALLOWED)
		return reason;
	if (link + total > skb->len)
		return PT_TRUNCATED;
	at->end = total;
	if (flow->family == 6 && has_extensions(flow->protocol)) {
		reason = walk_extensions(skb, at, flow);
		if (reason != PT_ALLOWED)
			return reason;
	}
	return parse_transport(skb, link, at, flow);
}

/* The first bytes of a packet that an ICMP error quotes: its headers, and eight bytes of what they carry. */
static __always_inline enum pt_reason parse_quote(struct __sk_buff *skb, struct part *at, struct flow *quote)
{
	enum pt_reason reason;
	struct ipv6hdr ip6;
	struct iphdr ip4;
	__u32 total = 0;
	__u8 first[8];

	if (quote->family == 4) {
		if (load(skb, at->offset, &ip4, sizeof(ip4)))
			return PT_TRUNCATED;
		reason = parse_v4(&ip4, at, quote, &total);
	} else {
		if (load(skb, at->offset, &ip6, sizeof(ip6)))
			return PT_TRUNCATED;
		reason = parse_v6(&ip6, at, quote, &total);
	}
	if (reason == PT_ALLOWED && quote->family == 6 && has_extensions(quote->protocol))
		reason = walk_extensions(skb, at, quote);
	if (reason != PT_ALLOWED)
		return reason;
	if (at->offset + sizeof(first) > at->end || load(skb, at->offset, first, sizeof(first)))
		return PT_TRUNCATED;
	if (is_icmp(quote)) {
		quote->icmp_type = first[0];
		quote->echo = first[4] << 8 | first[5];
	} else {
		quote->source_port = first[0] << 8 | first[1];
		quote->destination_port = first[2] << 8 | first[3];
	}
	return PT_ALLOWED;
}
