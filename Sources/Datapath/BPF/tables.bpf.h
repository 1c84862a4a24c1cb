/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The tables that every program of a node shares, and the questions asked of them.
 *
 * The tables that decide are one set in two copies. Each packet asks once which of them holds, and reads no
 * other: whoever changes the set writes the copy that nobody reads, and then turns one word.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include "postern_abi.h"

/* What every packet reads has one entry, and is seen as a variable: it costs a load, and no search. */
volatile struct pt_state state SEC(".data.state");
volatile struct pt_clock clock SEC(".data.clock");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PT_COPIES * PT_POOL_SIZE);
	__type(key, __u32);
	__type(value, struct pt_peer_entry);
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PT_COPIES * PT_BUCKETS);
	__type(key, __u32);
	__type(value, struct pt_bucket);
} services SEC(".maps");

struct page {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PT_ROWS_PER_PAGE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct pt_row));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, PT_COPIES * PT_PAGES);
	__type(key, __u32);
	__array(values, struct page);
} rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PT_COPIES * PT_TIMED_GRANTS);
	__type(key, struct pt_timed_key);
	__type(value, struct pt_timed);
} timed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PT_COPIES * PT_ROUTES);
	__type(key, struct pt_route_key);
	__type(value, struct pt_peer_entry);
} routes SEC(".maps");

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

/* By what a packet or a call is judged: asked for once. */
struct moment {
	__u64 now;
	__u32 copy;
	__u32 policy; /* of the grant with an end that was found last, if the last search found one */
};

/* Who had an address when it was looked up. */
struct peer {
	__u32 slot;
	__u32 generation;
	__u32 is_behind; /* the address is not the peer's own, but of a network behind it */
};

/* A packet or a call, as far as a verdict needs it. */
struct flow {
	__u16 source_port;
	__u16 destination_port;
	__u16 echo; /* the identifier of an ICMP echo */
	__u8 family;
	__u8 protocol;
	__u8 tcp_flags;
	__u8 icmp_type;
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

/* The timer's clock is right to 10 ms; when it has stopped, the kernel's is asked. */
static __always_inline __u64 boot_time(__u32 patience)
{
	__u64 boot_ns;

	if (bpf_jiffies64() - clock.jiffies <= patience) {
		boot_ns = clock.boot_ns;
		if (boot_ns)
			return boot_ns;
	}
	return bpf_ktime_get_boot_ns();
}

static __always_inline struct moment this_moment(__u32 patience)
{
	struct moment moment = { .now = boot_time(patience) };

	moment.copy = state.copy & 1;
	return moment;
}

static __always_inline enum pt_reason admit(const volatile struct pt_peer_entry *entry, __u64 now, struct peer *peer)
{
	peer->slot = entry->slot;
	peer->generation = entry->generation;
	if (!peer->slot || peer->slot >= PT_SLOTS)
		return PT_UNKNOWN_PEER;
	return entry->lease_ns <= now ? PT_LEASE_EXPIRED : PT_ALLOWED;
}

/* Nothing when the offset is none of the pool's. */
static __always_inline const volatile struct pt_peer_entry *entry_at(const struct moment *moment, __u32 offset)
{
	__u32 index = moment->copy * PT_POOL_SIZE + offset;

	return offset < PT_POOL_SIZE ? bpf_map_lookup_elem(&peers, &index) : 0;
}

static __always_inline enum pt_reason find_peer(const struct moment *moment, __u32 offset, struct peer *peer)
{
	const volatile struct pt_peer_entry *entry = entry_at(moment, offset);

	return entry ? admit(entry, moment->now, peer) : PT_OUTSIDE_POOL;
}

/* For addresses outside the pool only: who speaks for a network never speaks for a peer. */
static __always_inline enum pt_reason find_router(const struct moment *moment, __u8 family, const __be32 *address,
						  struct peer *peer)
{
	struct pt_route_key key = { .length = PT_ROUTE_KEY_BITS + (family == 4 ? 32 : 128), .copy = moment->copy,
				    .family = family };
	const volatile struct pt_peer_entry *entry;

	__builtin_memcpy(key.address, address, sizeof(key.address));
	entry = bpf_map_lookup_elem(&routes, &key);
	if (!entry)
		return PT_OUTSIDE_POOL;
	peer->is_behind = 1;
	return admit(entry, moment->now, peer);
}

/* Our own address must be leased to us like anybody's: to this use of our slot, not to one that came after. */
static __always_inline enum pt_reason admit_self(const volatile struct pt_peer_entry *entry, __u64 now,
						 const volatile struct pt_identity *self, struct peer *peer)
{
	if (!entry || entry->slot != self->slot || entry->generation != self->generation || entry->lease_ns <= now)
		return PT_OWN_LEASE;
	peer->slot = self->slot;
	peer->generation = self->generation;
	return PT_ALLOWED;
}

/* 0 when nobody here is granted it. */
static __always_inline __u32 find_class(const struct moment *moment, __u32 slot, __u8 protocol, __u16 port)
{
	__u64 key = pt_service_key(slot, protocol, port);
	__u32 index = moment->copy * PT_BUCKETS + pt_service_bucket(key);
	const struct pt_bucket *bucket = bpf_map_lookup_elem(&services, &index);
	int place;

	if (!bucket)
		return 0;
#pragma unroll
	for (place = 0; place < PT_BUCKET_ENTRIES; place++) {
		__u64 entry = bucket->entries[place];

		if (entry >> 16 == key)
			return entry & 0xffff;
		if (!entry)
			return 0;
	}
	return 0;
}

static __always_inline enum pt_reason find_timed(struct moment *moment, __u32 slot, __u32 class)
{
	struct pt_timed_key key = { .slot = slot, .service_class = class, .copy = moment->copy };
	const volatile struct pt_timed *timed_grant = bpf_map_lookup_elem(&timed, &key);

	if (!timed_grant)
		return PT_NO_GRANT;
	moment->policy = timed_grant->policy;
	if (timed_grant->until_ns <= moment->now)
		return PT_GRANT_ENDED;
	switch (timed_grant->verdict) {
	case PT_ALLOW:
		return PT_ALLOWED;
	case PT_ALLOW_SIDECAR:
		return PT_SIDECAR_ONLY;
	default:
		return PT_NO_GRANT;
	}
}

static __always_inline const volatile struct pt_row *find_row(const struct moment *moment, __u32 segment, __u32 slot)
{
	__u32 index = (moment->copy & 1) * PT_PAGES + segment * PT_GROUPS + slot / PT_ROWS_PER_PAGE;
	__u32 place = slot % PT_ROWS_PER_PAGE;
	void *page = bpf_map_lookup_elem(&rows, &index);

	return page ? bpf_map_lookup_elem(page, &place) : 0;
}

/* Whether a search for a grant was what decided: only then its policy is told. */
static __always_inline int is_by_grant(enum pt_reason reason)
{
	return 1u << reason & (1u << PT_ALLOWED | 1u << PT_SIDECAR_ONLY | 1u << PT_GRANT_ENDED | 1u << PT_NODE_OPENS);
}

/* What stands beside the initiator's address: the way of most packets, which reads no row. */
static __always_inline int is_near(const volatile struct pt_peer_entry *initiator, __u32 class)
{
	/* Each word by its name: verifiers before 6.14 lose the bound of an index that the compiler keeps on the stack. */
	__u64 word = class < 64 ? initiator->near[0] : initiator->near[1];

	return class < PT_NEAR_CLASSES && word >> class % 64 & 1;
}

/* May this peer open towards that port of that host? A service answers at its peer's own address, not behind it.
 * Not static: so the verifier looks at it once, not at each call. */
__noinline int find_grant(struct moment *moment, const struct peer *initiator, const struct peer *host,
			  __u8 protocol, __u16 port)
{
	const volatile struct pt_row *row;
	__u32 class, place;

	if (!moment)
		return PT_NO_SERVICE;
	moment->policy = 0;
	if (!initiator || !host || host->is_behind)
		return PT_NO_SERVICE;
	class = find_class(moment, host->slot, protocol, port);
	if (!class || class >= PT_CLASSES)
		return PT_NO_SERVICE;
	row = find_row(moment, class / PT_SEGMENT_CLASSES, initiator->slot);
	place = class % PT_SEGMENT_CLASSES;
	if (!row) {
		/* Nobody near has a grant in that segment; whether the peer has a row is told by the first. */
		row = find_row(moment, 0, initiator->slot);
		return row && initiator->generation && row->generation == initiator->generation ? PT_NO_GRANT :
												    PT_STALE_GENERATION;
	}
	if (!initiator->generation || row->generation != initiator->generation)
		return PT_STALE_GENERATION;
	switch (row->verdicts[place / PT_VERDICTS_PER_WORD] >> place % PT_VERDICTS_PER_WORD * 2 & 3) {
	case PT_ALLOW:
		return PT_ALLOWED;
	case PT_ALLOW_SIDECAR:
		return PT_SIDECAR_ONLY;
	case PT_ALLOW_TIMED:
		return find_timed(moment, initiator->slot, class);
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
	__u32 policy;
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
	event->policy = what->policy;
	event->source_port = flow->source_port;
	event->destination_port = flow->destination_port;
	__builtin_memcpy(event->source, flow->source_address, sizeof(event->source));
	__builtin_memcpy(event->destination, flow->destination_address, sizeof(event->destination));
	bpf_ringbuf_submit(event, 0);
}
