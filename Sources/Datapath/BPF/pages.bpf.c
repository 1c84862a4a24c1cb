/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Finds the pages of verdicts.
 *
 * Before Linux 6.8 the system call that looks into a map of maps waits until no packet is under way, each time;
 * there are thousands of pages, and so it takes minutes to read them all. A program looks without waiting.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "postern_abi.h"

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

/* The numbers by which the kernel knows them; 0 where there is none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PT_COPIES * PT_PAGES);
	__type(key, __u32);
	__type(value, __u32);
} found SEC(".maps");

struct bpf_map {
	__u32 id;
} __attribute__((preserve_access_index));

struct span {
	__u32 first;
	__u32 id;
};

static long note(__u32 place, struct span *span)
{
	__u32 index = span->first + place;
	__u32 *id = bpf_map_lookup_elem(&found, &index);
	struct bpf_map *page;

	if (!id)
		return 1;
	page = bpf_map_lookup_elem(&rows, &index);
	span->id = page ? page->id : 0;
	*id = span->id;
	return 0;
}

/* Run by hand: from the page that the mark numbers on, as many as the priority says; the answer is the last one's. */
SEC("tc")
int find(struct __sk_buff *skb)
{
	struct span span = { .first = skb->mark };

	bpf_loop(skb->priority, note, &span, 0);
	return (int)span.id;
}

char LICENSE[] SEC("license") = "GPL";
