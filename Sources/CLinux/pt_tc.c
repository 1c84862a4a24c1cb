#define _GNU_SOURCE
#include "pt_tc.h"
#include "pt_netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PT_TC_PRIORITY 1
#define PT_TC_HANDLE 1
#define PT_TC_REPLY (1 << 16)

struct request {
	struct nlmsghdr header;
	struct tcmsg message;
	char attributes[256];
};

static uint32_t parent_of(enum pt_tc_direction direction)
{
	return TC_H_MAKE(TC_H_CLSACT, direction == PT_TC_INGRESS ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
}

static struct request make(int type, int flags, int ifindex, uint32_t parent)
{
	struct request request;

	memset(&request, 0, sizeof(request));
	request.header.nlmsg_len = NLMSG_LENGTH(sizeof(request.message));
	request.header.nlmsg_type = type;
	request.header.nlmsg_flags = NLM_F_REQUEST | flags;
	request.message.tcm_ifindex = ifindex;
	request.message.tcm_parent = parent;
	return request;
}

/* The requests below are far shorter than their buffer. */
static struct rtattr *put(struct request *request, int type, const void *data, size_t length)
{
	struct rtattr *attribute = (void *)((char *)&request->header + NLMSG_ALIGN(request->header.nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = RTA_LENGTH(length);
	if (length)
		memcpy(RTA_DATA(attribute), data, length);
	request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
	return attribute;
}

static int open_socket(int netns)
{
	int fd;

	if (netns >= 0)
		return pt_socket_in_netns(netns, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return fd < 0 ? -errno : fd;
}

static int transmit(int fd, const struct request *request)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t sent = sendto(fd, request, request->header.nlmsg_len, 0, (void *)&kernel, sizeof(kernel));

	return sent < 0 ? -errno : 0;
}

/* What the kernel says to a request that it only acknowledges. */
static int acknowledged(int fd)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[4096];
	} reply;
	ssize_t length = recv(fd, &reply, sizeof(reply), 0);

	if (length < 0)
		return -errno;
	if (length < (ssize_t)NLMSG_LENGTH(sizeof(reply.error)) || reply.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return reply.error.error;
}

static int perform(int fd, const struct request *request)
{
	int result = transmit(fd, request);

	return result ? result : acknowledged(fd);
}

static int make_clsact(int fd, int ifindex)
{
	struct request request = make(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, ifindex, TC_H_CLSACT);
	int result;

	request.message.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	put(&request, TCA_KIND, "clsact", sizeof("clsact"));
	result = perform(fd, &request);
	return result == -EEXIST ? 0 : result;
}

static int put_filter(int fd, int ifindex, uint32_t parent, uint32_t program)
{
	struct request request = make(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_ACK, ifindex, parent);
	uint32_t flags = TCA_BPF_FLAG_ACT_DIRECT;
	struct rtattr *options;

	request.message.tcm_handle = PT_TC_HANDLE;
	request.message.tcm_info = TC_H_MAKE(PT_TC_PRIORITY << 16, htons(ETH_P_ALL));
	put(&request, TCA_KIND, "bpf", sizeof("bpf"));
	options = put(&request, TCA_OPTIONS | NLA_F_NESTED, NULL, 0);
	put(&request, TCA_BPF_FD, &program, sizeof(program));
	put(&request, TCA_BPF_NAME, "postern", sizeof("postern"));
	put(&request, TCA_BPF_FLAGS, &flags, sizeof(flags));
	options->rta_len = (char *)&request.header + request.header.nlmsg_len - (char *)options;
	return perform(fd, &request);
}

int pt_tc_attach(int netns, int ifindex, enum pt_tc_direction direction, int program)
{
	int fd = open_socket(netns), result;

	if (fd < 0)
		return fd;
	result = make_clsact(fd, ifindex);
	if (result == 0)
		result = put_filter(fd, ifindex, parent_of(direction), program);
	close(fd);
	return result;
}

static const struct rtattr *find(const struct rtattr *first, int length, int type)
{
	for (; RTA_OK(first, length); first = RTA_NEXT(first, length))
		if ((first->rta_type & NLA_TYPE_MASK) == type)
			return first;
	return NULL;
}

static uint32_t number(const struct rtattr *attribute)
{
	uint32_t value = 0;

	if (attribute && RTA_PAYLOAD(attribute) >= sizeof(value))
		memcpy(&value, RTA_DATA(attribute), sizeof(value));
	return value;
}

static bool is_program(const struct rtattr *kind)
{
	return kind && RTA_PAYLOAD(kind) == sizeof("bpf") && !memcmp(RTA_DATA(kind), "bpf", sizeof("bpf"));
}

/* A filter of the first chain, as the kernel lists them: in the order in which it asks them. */
static bool examine(const struct nlmsghdr *header, uint32_t *program)
{
	const struct tcmsg *message = NLMSG_DATA(header);
	int length = header->nlmsg_len - NLMSG_LENGTH(sizeof(*message));
	const struct rtattr *first = (const void *)((const char *)message + NLMSG_ALIGN(sizeof(*message)));
	const struct rtattr *options;
	bool is_ours;

	if (header->nlmsg_type != RTM_NEWTFILTER || length < 0 || !message->tcm_handle)
		return false;
	if (number(find(first, length, TCA_CHAIN)))
		return false;
	options = find(first, length, TCA_OPTIONS);
	is_ours = is_program(find(first, length, TCA_KIND)) && options &&
		  number(find(RTA_DATA(options), RTA_PAYLOAD(options), TCA_BPF_FLAGS)) & TCA_BPF_FLAG_ACT_DIRECT;
	*program = is_ours ? number(find(RTA_DATA(options), RTA_PAYLOAD(options), TCA_BPF_ID)) : 0;
	return true;
}

/* Reads to the end of the list, so that all that is seen was there at once. */
static int read_first(int fd, uint32_t *program)
{
	static _Thread_local char buffer[PT_TC_REPLY];
	bool found = false;

	for (;;) {
		ssize_t received = recv(fd, buffer, sizeof(buffer), 0);
		struct nlmsghdr *header = (void *)buffer;
		int length = received;

		if (received < 0)
			return -errno;
		for (; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
			if (header->nlmsg_flags & NLM_F_DUMP_INTR)
				return -EINTR;
			if (header->nlmsg_type == NLMSG_DONE)
				return 0;
			if (header->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(header))->error;
			if (!found)
				found = examine(header, program);
		}
	}
}

int pt_tc_first(int netns, int ifindex, enum pt_tc_direction direction, uint32_t *program)
{
	struct request request = make(RTM_GETTFILTER, NLM_F_DUMP, ifindex, parent_of(direction));
	int fd = open_socket(netns), result;

	*program = 0;
	if (fd < 0)
		return fd;
	result = transmit(fd, &request);
	if (result == 0)
		result = read_first(fd, program);
	close(fd);
	return result;
}
