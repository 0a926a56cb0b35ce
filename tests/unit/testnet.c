/* SPDX-License-Identifier: BSD-3-Clause */
#include "testnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int run(const char *prefix, const char *fmt, va_list args)
{
	char command[1024];
	size_t used = (size_t)snprintf(command, sizeof(command), "%s", prefix);
	int status;

	(void)vsnprintf(command + used, sizeof(command) - used, fmt, args);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int testnet_near(const char *fmt, ...)
{
	va_list args;
	int rc;

	va_start(args, fmt);
	rc = run("", fmt, args);
	va_end(args);
	return rc;
}

int testnet_far(const struct testnet *net, const char *fmt, ...)
{
	char prefix[64];
	va_list args;
	int rc;

	(void)snprintf(prefix, sizeof(prefix), "nsenter --net=/proc/%d/fd/%d ", (int)getpid(), net->far);
	va_start(args, fmt);
	rc = run(prefix, fmt, args);
	va_end(args);
	return rc;
}

int testnet_far_socket(const struct testnet *net, int family, int type, int protocol)
{
	int fd = -1;

	if (setns(net->far, CLONE_NEWNET) == 0)
		fd = socket(family, type | SOCK_CLOEXEC, protocol);
	if (setns(net->near, CLONE_NEWNET) != 0)
		abort(); /* the test would go on in the wrong place */
	return fd;
}

static int open_raw(struct testnet *net)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = 0};
	struct ifreq request = {.ifr_name = "pst1"};

	/* Protocol 0: it sends, and receives nothing. */
	net->raw = testnet_far_socket(net, AF_PACKET, SOCK_RAW, 0);
	if (net->raw < 0 || ioctl(net->raw, SIOCGIFINDEX, &request) < 0)
		return -1;
	address.sll_ifindex = request.ifr_ifindex;
	return bind(net->raw, (struct sockaddr *)&address, sizeof(address));
}

int testnet_create(struct testnet *net, unsigned int queues)
{
	*net = (struct testnet){.near = -1, .far = -1, .raw = -1};
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
		printf("skipped: network namespaces need root\n");
		return -1;
	}
	/* Inherited by the shell commands, which find them under /proc. */
	net->far = open("/proc/thread-self/ns/net", O_RDONLY);
	if (net->far < 0 || unshare(CLONE_NEWNET) != 0)
		return -1;
	net->near = open("/proc/thread-self/ns/net", O_RDONLY);
	if (net->near < 0)
		return -1;
	if (testnet_near("ip link set lo up && "
	                 "ip link add pst0 mtu 1500 numrxqueues %u numtxqueues %u type veth "
	                 "peer name pst1 mtu 1500 numrxqueues %u numtxqueues %u && "
	                 "ip link set pst1 netns /proc/%d/fd/%d",
	        queues, queues, queues, queues, (int)getpid(), net->far) != 0 ||
	    testnet_near(
	        "ip addr add %s/24 dev pst0 && ip -6 addr add %s/64 dev pst0 nodad && ip link set pst0 up",
	        TESTNET_NEAR4, TESTNET_NEAR6) != 0 ||
	    testnet_far(net,
	        "sh -c 'ip link set lo up && ip addr add %s/24 dev pst1 && ip -6 addr add %s/64 dev pst1 "
	        "nodad && "
	        "ip link set pst1 up && ethtool -K pst1 tx off >/dev/null'",
	        TESTNET_FAR4, TESTNET_FAR6) != 0 ||
	    open_raw(net) != 0) {
		printf("skipped: no veth pair: ip, ethtool or the kernel's veth is missing\n");
		testnet_destroy(net);
		return -1;
	}
	return 0;
}

void testnet_destroy(struct testnet *net)
{
	for (int i = 0; i < 3; i++) {
		int fd = i == 0 ? net->near : i == 1 ? net->far : net->raw;

		if (fd >= 0)
			(void)close(fd);
	}
	*net = (struct testnet){.near = -1, .far = -1, .raw = -1};
}

int testnet_send_frame(const struct testnet *net, uint8_t *frame, size_t len)
{
	struct ifreq near = {.ifr_name = TESTNET_INTERFACE}, far = {.ifr_name = "pst1"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &near) < 0 || ioctl(net->raw, SIOCGIFHWADDR, &far) < 0) {
		rc = -errno;
	} else {
		memcpy(frame, near.ifr_hwaddr.sa_data, 6);
		memcpy(frame + 6, far.ifr_hwaddr.sa_data, 6);
		if (send(net->raw, frame, len, 0) != (ssize_t)len)
			rc = -errno;
	}
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

uint64_t testnet_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
