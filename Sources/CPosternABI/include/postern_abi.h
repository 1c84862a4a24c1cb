/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What the eBPF programs and Swift share: the tables, their sizes, the reasons, the events.
 *
 * Every struct is padded by hand, because the kernel compares keys byte by byte. Zero means deny
 * everywhere. Numbers are in host byte order unless said otherwise; times are CLOCK_BOOTTIME in ns.
 */
#pragma once

#include <linux/types.h>

/* A part of the maps' names: tables of another layout are refused, never reinterpreted. */
#define PT_ABI_VERSION 4

/* Every table of the set has two halves: what holds, and what is being prepared. */
#define PT_COPIES 2
#define PT_POOL_SIZE (1 << 18)
#define PT_SLOTS (1 << 17)
#define PT_CLASSES 1024
#define PT_VERDICTS_PER_WORD 32
/* A row is short, so that many stand close together: what one has of other classes is in other segments. */
#define PT_WORDS 4
#define PT_SEGMENT_CLASSES (PT_WORDS * PT_VERDICTS_PER_WORD)
#define PT_SEGMENTS 8
_Static_assert(PT_SEGMENTS * PT_SEGMENT_CLASSES >= PT_CLASSES, "every class has a segment");
/* Rows stand in pages, made when somebody in them is granted something: memory follows use. */
#define PT_ROWS_PER_PAGE 256
#define PT_GROUPS (PT_SLOTS / PT_ROWS_PER_PAGE)
#define PT_PAGES (PT_SEGMENTS * PT_GROUPS)
#define PT_BUCKET_BITS 12
#define PT_BUCKETS (1 << PT_BUCKET_BITS)
#define PT_BUCKET_ENTRIES 8
#define PT_TIMED_GRANTS (1 << 16)
#define PT_ROUTES (1 << 12)
#define PT_EVENT_RING_BYTES (1 << 18)
#define PT_MESH_DEVICES 16
#define PT_OPENERS 4

/* Each sender may cause this many events of a kind in a second; the rest is counted, not told. */
#define PT_EVENTS_PER_SECOND 64

/* Set by the sidecar on its own sockets; a process without CAP_NET_ADMIN cannot set it. */
#define PT_SIDECAR_MARK 0x706f7374

/* An address outside the pool, where an offset is expected. */
#define PT_NOWHERE 0xffffffff

enum pt_verdict {
	PT_DENY = 0,
	PT_ALLOW = 1,
	PT_ALLOW_SIDECAR = 2,
	PT_ALLOW_TIMED = 3, /* what and until when stands in another table */
};

/* Where a packet or a call was judged. */
enum pt_place {
	PT_NODE_INGRESS = 0,
	PT_NODE_EGRESS = 1,
	PT_SESSION_INGRESS = 2,
	PT_SESSION_EGRESS = 3,
	PT_CONNECT = 4,
	PT_WALL = 5,
	PT_PLACES = 6,
};

/* Why a packet went on or did not. */
enum pt_reason {
	PT_ALLOWED = 0,
	PT_ALLOWED_ANSWER = 1,
	PT_ALLOWED_LOOPBACK = 2,
	PT_NOT_IP = 3,
	PT_TRUNCATED = 4,
	PT_IP_OPTIONS = 5,
	PT_EXTENSION_HEADER = 6,
	PT_FRAGMENT = 7,
	PT_NOT_OWN_ADDRESS = 8,
	PT_FORWARDED = 9,
	PT_OUTSIDE_POOL = 10,
	PT_OWN_LEASE = 11,
	PT_UNKNOWN_PEER = 12,
	PT_LEASE_EXPIRED = 13,
	PT_UNASKED = 14,
	PT_ICMP_UNSUPPORTED = 15,
	PT_PROTOCOL_UNSUPPORTED = 16,
	PT_NO_SERVICE = 17,
	PT_STALE_GENERATION = 18,
	PT_NO_GRANT = 19,
	PT_SIDECAR_ONLY = 20,
	PT_ANSWER_FLAGS = 21,
	PT_NODE_OPENS = 22,
	PT_BESIDE_TUNNEL = 23,
	PT_LEAVES_BESIDE_TUNNEL = 24,
	PT_GRANT_ENDED = 25,
	PT_ALLOWED_ERROR = 26,
	PT_UNRELATED_ERROR = 27,
	PT_ROUTING_HEADER = 28,
	PT_LONG_HEADERS = 29,
	PT_REASONS = 32,
};

/* Which half of every table holds. The other one may differ from it only while `behind` is set. */
struct pt_state {
	__u32 copy;
	__u32 behind;
};
_Static_assert(sizeof(struct pt_state) == 8, "pt_state is 8 bytes: it is read and written as one word");

/* What a timer writes every 10 ms, so that no packet asks the clock. */
struct pt_clock {
	__u64 boot_ns; /* 0: never written */
	__u64 jiffies; /* when it was written, in ticks of the kernel */
};
_Static_assert(sizeof(struct pt_clock) == 16, "pt_clock is 16 bytes");

/* Of these classes an initiator's plain grants stand beside its address too. */
#define PT_NEAR_CLASSES 128
#define PT_NEAR_WORDS (PT_NEAR_CLASSES / 64)
_Static_assert(PT_NEAR_CLASSES <= PT_SEGMENT_CLASSES, "what stands near is told by the first segment");

/* A peer: who has an address. The index of the array is the address's offset in the pool.
 *
 * Most packets are judged by this one line of memory: a bit of `near` is set only where the row of the slot
 * is this generation's and says PT_ALLOW. Where none is set the row is asked. */
struct pt_peer_entry {
	__u32 slot; /* 0: nobody */
	__u32 generation;
	__u64 lease_ns; /* valid before this instant */
	__u64 near[PT_NEAR_WORDS];
};
_Static_assert(sizeof(struct pt_peer_entry) == 32, "pt_peer_entry is 32 bytes");

/* At which address a slot's plain grants stand, and 1 more: 0 is nowhere. */
struct pt_holder {
	__u32 offset;
	__u32 pad;
};
_Static_assert(sizeof(struct pt_holder) == 8, "pt_holder is 8 bytes: it can be seen as memory");

/* A service: what listens at a peer. It stands in the bucket that its key leads to; entries have no gaps between them.
 *
 *     63           40 39        32 31            16 15            0
 *     | slot         | protocol    | port          | class         |
 */
struct pt_bucket {
	__u64 entries[PT_BUCKET_ENTRIES]; /* 0: none, and none behind it */
};
_Static_assert(sizeof(struct pt_bucket) == 64, "pt_bucket is 64 bytes");

static inline __u64 pt_service_key(__u32 slot, __u8 protocol, __u16 port)
{
	return (__u64)slot << 24 | (__u64)protocol << 16 | port;
}

/* Multiplicative hashing: the high bits of the product depend on the whole key. */
static inline __u32 pt_service_bucket(__u64 key)
{
	return key * 0x9e3779b97f4a7c15ull >> (64 - PT_BUCKET_BITS);
}

/* What one initiator may do with the classes of a segment, two bits for each. A row belongs to one generation of its
 * slot, in each segment that there is; 0: to nobody. */
struct pt_row {
	__u32 generation;
	__u32 pad;
	__u64 verdicts[PT_WORDS];
};
_Static_assert(sizeof(struct pt_row) == 40, "pt_row is 40 bytes");

/* A cell of the verdicts that holds only for a time. */
struct pt_timed_key {
	__u32 slot;
	__u16 service_class;
	__u16 copy;
};
_Static_assert(sizeof(struct pt_timed_key) == 8, "pt_timed_key is 8 bytes");

struct pt_timed {
	__u64 until_ns; /* holds before this instant */
	__u32 verdict;
	__u32 policy; /* a number of the daemon's own: it comes back in events */
};
_Static_assert(sizeof(struct pt_timed) == 16, "pt_timed is 16 bytes");

/* A network behind a peer. The length counts the bits before the address too. */
struct pt_route_key {
	__u32 length;
	__u8 copy;
	__u8 family; /* 4 or 6 */
	__u8 pad[2];
	__u8 address[16]; /* network byte order; IPv4 in the first four */
};
_Static_assert(sizeof(struct pt_route_key) == 24, "pt_route_key is 24 bytes");
#define PT_ROUTE_KEY_BITS 32

/* The index is place * PT_REASONS + reason. */
struct pt_counter {
	__u64 packets;
	__u64 bytes;
};
_Static_assert(sizeof(struct pt_counter) == 16, "pt_counter is 16 bytes");

/* How many events a sender caused in the current second. The index is slot * PT_EVENT_KINDS + kind. */
struct pt_limit {
	__u64 second_ns;
	__u32 told;
	__u32 suppressed;
};
_Static_assert(sizeof(struct pt_limit) == 16, "pt_limit is 16 bytes");

enum pt_event_kind {
	PT_OPENED = 0,
	PT_DENIED = 1,
	PT_EVENT_KINDS = 2,
};

/* Told once for each opening packet and each denial, within the limits. */
struct pt_event {
	__u64 boot_ns;
	__u8 kind;
	__u8 reason;
	__u8 place;
	__u8 family; /* 4, 6, or 0: not IP */
	__u8 protocol;
	__u8 pad[3];
	__u32 own_slot;
	__u32 remote_slot; /* 0: not known */
	__u32 initiator_slot; /* 0: not known */
	__u32 suppressed; /* events of this sender and kind that were not told since the last one */
	__u16 source_port;
	__u16 destination_port;
	__u32 policy; /* whose grant has an end, where one was found; else 0 */
	__u8 source[16]; /* network byte order; IPv4 in the first four */
	__u8 destination[16];
};
_Static_assert(sizeof(struct pt_event) == 72, "pt_event is 72 bytes");

/* What is frozen into the programs of one device or one session when they are loaded. */
struct pt_identity {
	__u64 v6_prefix; /* the first half of every IPv6 address of the pool */
	__u32 v4_base; /* the /14 */
	__u32 offset; /* our own address in both */
	__u32 slot;
	__u32 generation; /* of the slot: programs left behind are not the next peer's */
	__u32 session; /* 1: a session's device, 0: the node's */
	__u32 patience; /* ticks of the kernel after which the timer's clock is not believed */
	__u32 openers[PT_OPENERS]; /* uids whose sockets open from a node's device */
	__u32 opener_count;
	__u32 link_bytes; /* of the header that stands before IP on the device */
};
_Static_assert(sizeof(struct pt_identity) == 56, "pt_identity is 56 bytes");

/* What is frozen into the wall. */
struct pt_pool {
	__u64 v6_prefix;
	__u32 v4_base;
	__u32 pad;
};
_Static_assert(sizeof(struct pt_pool) == 16, "pt_pool is 16 bytes");
