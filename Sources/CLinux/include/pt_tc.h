#pragma once

#include <stdint.h>

/* Programs on a device's clsact queueing discipline, by rtnetlink: the place of classifiers on kernels before
 * TCX (6.6). A `netns` of -1 is the caller's network namespace. */

enum pt_tc_direction {
	PT_TC_INGRESS,
	PT_TC_EGRESS,
};

/* The program decides by itself ("direct action"), at priority 1 and handle 1, in the place of an earlier one
 * there. Makes the clsact if there is none. */
int pt_tc_attach(int netns, int ifindex, enum pt_tc_direction direction, int program);

/* The id of the program that is asked first; 0 if nothing is, or something that is no such program. */
int pt_tc_first(int netns, int ifindex, enum pt_tc_direction direction, uint32_t *program);
