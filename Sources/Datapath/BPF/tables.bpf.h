/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The tables that every program of a node shares, and the questions asked of them.
 *
 * A packet reads several tables one after another. That is sound because whoever writes them waits,
 * after all that removes and before all that adds, until no packet is under way.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "postern_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PT_POOL_SIZE);
	__type(key, __u32);
	__type(value, struct pt_peer_entry);
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PT_SERVICES);
	__type(key, struct pt_service);
	__type(value, __u32);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PT_SLOTS);
	__type(key, __u32);
	__type(value, struct pt_row);
} rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PT_SLOTS * PT_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PT_PLACES * PT_REASONS);
	__type(key, __u32);
	__type(value, struct pt_counter);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PT_SLOTS * PT_EVENT_KINDS);
	__type(key, __u32);
	__type(value, struct pt_limit);
} limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PT_EVENT_RING_BYTES);
} events SEC(".maps");

/* Who had an address when it was looked up. */
struct peer {
	__u32 slot;
	__u32 generation;
};

/* A packet or a call, as far as a verdict needs it. */
struct flow {
	__u32 source; /* offset in the pool, or PT_NOWHERE */
	__u32 destination;
	__u16 source_port;
	__u16 destination_port;
	__u8 family;
	__u8 protocol;
	__u8 tcp_flags;
	__be32 source_address[4]; /* IPv4: in the first */
	__be32 destination_address[4];
};

static __always_inline __u32 v4_offset(__u32 base, __be32 address)
{
	__u32 number = bpf_ntohl(address);

	return (number & ~(PT_POOL_SIZE - 1)) == base ? number & (PT_POOL_SIZE - 1) : PT_NOWHERE;
}

static __always_inline __u32 v6_offset(__u64 prefix, const __be32 *words)
{
	__u64 high = (__u64)bpf_ntohl(words[0]) << 32 | bpf_ntohl(words[1]);
	__u32 low = bpf_ntohl(words[3]);

	return high == prefix && !words[2] && low < PT_POOL_SIZE ? low : PT_NOWHERE;
}

static __always_inline enum pt_reason find_peer(__u32 offset, __u64 now, struct peer *peer)
{
	const volatile struct pt_peer_entry *entry;

	if (offset == PT_NOWHERE)
		return PT_OUTSIDE_POOL;
	entry = bpf_map_lookup_elem(&peers, &offset);
	if (!entry)
		return PT_OUTSIDE_POOL;
	peer->slot = entry->slot;
	peer->generation = entry->generation;
	if (!peer->slot || peer->slot >= PT_SLOTS)
		return PT_UNKNOWN_PEER;
	return entry->lease_ns <= now ? PT_LEASE_EXPIRED : PT_ALLOWED;
}

/* Our own address must be leased to us like anybody's: to this use of our slot, not to one that came after. */
static __always_inline enum pt_reason find_self(const volatile struct pt_identity *self, __u64 now, struct peer *peer)
{
	if (find_peer(self->offset, now, peer) != PT_ALLOWED)
		return PT_OWN_LEASE;
	if (peer->slot != self->slot || peer->generation != self->generation)
		return PT_OWN_LEASE;
	return PT_ALLOWED;
}

static __always_inline enum pt_verdict find_verdict(__u32 slot, __u32 class)
{
	__u32 index = slot * PT_WORDS + class / PT_VERDICTS_PER_WORD;
	const volatile __u64 *word = bpf_map_lookup_elem(&verdicts, &index);

	return word ? *word >> class % PT_VERDICTS_PER_WORD * 2 & 3 : PT_DENY;
}

/* May this peer open towards that port of that slot? */
static __always_inline enum pt_reason find_grant(const struct peer *initiator, const struct pt_service *service)
{
	const volatile __u32 *found = bpf_map_lookup_elem(&services, service);
	__u32 class = found ? *found : 0;
	const volatile struct pt_row *row;

	if (!class || class >= PT_CLASSES)
		return PT_NO_SERVICE;
	row = bpf_map_lookup_elem(&rows, &initiator->slot);
	if (!row || !initiator->generation || row->generation != initiator->generation)
		return PT_STALE_GENERATION;
	switch (find_verdict(initiator->slot, class)) {
	case PT_ALLOW:
		return PT_ALLOWED;
	case PT_ALLOW_SIDECAR:
		return PT_SIDECAR_ONLY;
	default:
		return PT_NO_GRANT;
	}
}

static __always_inline void count(__u32 place, __u32 reason, __u64 bytes)
{
	__u32 index = place * PT_REASONS + reason;
	struct pt_counter *counter = bpf_map_lookup_elem(&counters, &index);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += bytes;
}

/* Takes one event from the sender's allowance; the races lose a count, never the limit's order of size. */
static __always_inline int may_tell(struct pt_limit *limit, __u64 now)
{
	if (now - limit->second_ns >= 1000000000) {
		limit->second_ns = now;
		limit->told = 0;
	}
	if (limit->told >= PT_EVENTS_PER_SECOND) {
		__sync_fetch_and_add(&limit->suppressed, 1);
		return 0;
	}
	__sync_fetch_and_add(&limit->told, 1);
	return 1;
}

/* What an event says beside the flow. */
struct telling {
	__u64 now;
	__u32 place;
	__u32 kind;
	__u32 reason;
	__u32 own_slot;
	__u32 remote_slot;
	__u32 initiator_slot;
	__u32 sender_slot;
};

static __always_inline void tell(const struct telling *what, const struct flow *flow)
{
	__u32 index = what->sender_slot * PT_EVENT_KINDS + what->kind;
	struct pt_limit *limit = bpf_map_lookup_elem(&limits, &index);
	struct pt_event *event;

	if (!limit || !may_tell(limit, what->now))
		return;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&limit->suppressed, 1);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->boot_ns = what->now;
	event->kind = what->kind;
	event->reason = what->reason;
	event->place = what->place;
	event->family = flow->family;
	event->protocol = flow->protocol;
	event->own_slot = what->own_slot;
	event->remote_slot = what->remote_slot;
	event->initiator_slot = what->initiator_slot;
	event->suppressed = limit->suppressed;
	limit->suppressed = 0;
	event->source_port = flow->source_port;
	event->destination_port = flow->destination_port;
	__builtin_memcpy(event->source, flow->source_address, sizeof(event->source));
	__builtin_memcpy(event->destination, flow->destination_address, sizeof(event->destination));
	bpf_ringbuf_submit(event, 0);
}
