#pragma once

/* Work inside another network namespace.
 *
 * setns() changes the calling thread for good, so each function below makes a thread, enters the
 * namespace in it and lets it die. The caller waits for it and stays where it was. */

/* Runs body(context) on a thread inside the namespace. 0 when it ran, whatever it did. */
int pt_netns_run(int nsfd, void (*body)(void *), void *context);

/* A close-on-exec socket that belongs to the namespace, usable from any thread afterwards. */
int pt_socket_in_netns(int nsfd, int domain, int type, int protocol);

/* A new, empty network namespace, alive as long as the descriptor returned. */
int pt_netns_create(void);

/* Writes a setting below /proc/sys, e.g. "net/ipv4/tcp_syncookies", as the namespace sees it. */
int pt_netns_sysctl(int nsfd, const char *path, const char *value);
