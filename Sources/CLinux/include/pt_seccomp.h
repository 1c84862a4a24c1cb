/* What system calls an agent's command may make, also by its children. */
#pragma once

#include <stdbool.h>

/* Limits the calling thread and all that it starts, for good.
 *
 * Sockets are AF_UNIX, AF_INET, AF_INET6 or NETLINK_ROUTE. Rings, keys, mounts, kernel programs, the machine's own
 * settings and other ABIs are refused, and new namespaces too unless user_namespaces says otherwise.
 * Needs no_new_privs; makes nothing but system calls. */
int pt_filter_system_calls(bool user_namespaces);
