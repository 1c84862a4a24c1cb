/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The clock: a timer that writes the time since boot every 10 ms, where every packet finds it.
 *
 * It runs as long as its map is pinned, also when nobody of us does.
 */
#include "tables.bpf.h"

#define PT_CLOCK_BOOTTIME 7
#define PT_TICK_NS 10000000

struct ticker {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ticker);
} ticker SEC(".maps");

/* The time first: who sees the new tick sees a time that is at least as new. */
static __always_inline void write_time(void)
{
	clock.boot_ns = bpf_ktime_get_boot_ns();
	clock.jiffies = bpf_jiffies64();
}

static int tick(void *map, __u32 *key, struct ticker *value)
{
	write_time();
	bpf_timer_start(&value->timer, PT_TICK_NS, 0);
	return 0;
}

/* Run once, by hand; 0 when the timer runs. */
SEC("tc")
int start(struct __sk_buff *skb)
{
	struct ticker *value;
	__u32 zero = 0;

	value = bpf_map_lookup_elem(&ticker, &zero);
	if (!value || bpf_timer_init(&value->timer, &ticker, PT_CLOCK_BOOTTIME))
		return 1;
	if (bpf_timer_set_callback(&value->timer, tick) || bpf_timer_start(&value->timer, PT_TICK_NS, 0))
		return 1;
	write_time();
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
