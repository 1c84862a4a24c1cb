/* What system calls an agent's command may make, also by its children. */
#pragma once

/* Limits the calling thread and all that it starts, for good: sockets are AF_UNIX, AF_INET, AF_INET6 or
 * NETLINK_ROUTE, and other ways to a socket are closed. Needs no_new_privs; makes nothing but system calls. */
int pt_filter_system_calls(void);
