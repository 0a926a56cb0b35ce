/* SPDX-License-Identifier: BSD-3-Clause */
#include "af_xdp.h"

#include <dirent.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_xdp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include <rte_eal.h>
#include <rte_mempool.h>

#define LINK_HEADER_BYTES 22u /* Ethernet and two VLAN tags */
#define MAX_SOCKETS 256u

/* MTU and receive queues of a kernel interface; 0 queues where the driver does not say. */
static int inspect(const char *interface, uint16_t *queues, int *mtu)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0)
		return -errno;
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (ioctl(fd, SIOCGIFMTU, &request) < 0)
		rc = -errno;
	*mtu = request.ifr_mtu;
	request.ifr_data = (char *)&channels;
	*queues = 0;
	if (rc == 0 && ioctl(fd, SIOCETHTOOL, &request) == 0)
		*queues = (uint16_t)(channels.rx_count + channels.combined_count);
	(void)close(fd);
	return rc;
}

int af_xdp_check(
    const char *interface, uint16_t queues, uint16_t data_room, uint16_t *available, struct error *err)
{
	int mtu = 0, mtu_max = (int)(data_room - AF_XDP_HEADROOM - LINK_HEADER_BYTES), rc;

	rc = inspect(interface, available, &mtu);
	if (rc < 0)
		return error_set(err, rc, "%s: %s", interface, strerror(-rc));
	if (mtu > mtu_max)
		return error_set(err, -E2BIG,
		    "%s: frames of an MTU of %d do not fit the receive buffers; at most %d", interface, mtu,
		    mtu_max);
	if (*available != 0 && queues > *available)
		return error_set(err, -EINVAL, "%s: the interface has %u receive queues, %u are asked for",
		    interface, *available, queues);
	if (rte_eal_has_hugepages() == 0)
		return error_set(err, -ENOTSUP, "%s: AF_XDP needs hugepages", interface);
	return 0;
}

static bool is_af_xdp_socket(int fd, ino_t *inode)
{
	int domain = 0;
	socklen_t len = sizeof(domain);
	struct stat st;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0 || domain != AF_XDP ||
	    fstat(fd, &st) != 0)
		return false;
	*inode = st.st_ino;
	return true;
}

/* This process's AF_XDP sockets; how many, at most MAX_SOCKETS. */
static uint32_t list_sockets(int *fds, ino_t *inodes)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	uint32_t n = 0;

	while (directory != NULL && n < MAX_SOCKETS && (entry = readdir(directory)) != NULL) {
		char *end;
		long fd = strtol(entry->d_name, &end, 10);

		if (end == entry->d_name || *end != '\0' || !is_af_xdp_socket((int)fd, &inodes[n]))
			continue;
		fds[n++] = (int)fd;
	}
	if (directory != NULL)
		(void)closedir(directory);
	return n;
}

/* The socket that was not there before. */
static int find_socket(struct af_xdp_queue *queue, const ino_t *before, uint32_t n_before)
{
	int fds[MAX_SOCKETS];
	ino_t inodes[MAX_SOCKETS];
	uint32_t n = list_sockets(fds, inodes);

	for (uint32_t i = 0; i < n; i++) {
		bool known = false;

		for (uint32_t j = 0; j < n_before; j++)
			known |= inodes[i] == before[j];
		if (known)
			continue;
		queue->fd = fds[i];
		queue->inode = inodes[i];
		return 0;
	}
	return -ENOENT;
}

/* libxdp and the libbpf below it would write to stderr: that our program counts no references, which is as we
 * want it, and that they cannot detach it, which is as well. */
struct prints {
	libxdp_print_fn_t xdp;
	libbpf_print_fn_t bpf;
};

static struct prints hush(void)
{
	return (struct prints){.xdp = libxdp_set_print(NULL), .bpf = libbpf_set_print(NULL)};
}

static void unhush(struct prints prints)
{
	(void)libxdp_set_print(prints.xdp);
	(void)libbpf_set_print(prints.bpf);
}

int af_xdp_open(const char *interface, uint16_t index, const struct port_options *options,
    struct af_xdp_queue *queue, struct error *err)
{
	struct port_options port_options = *options;
	int fds[MAX_SOCKETS], rc;
	ino_t before[MAX_SOCKETS];
	struct prints prints;
	uint32_t n_before;
	char device[128];

	(void)snprintf(device, sizeof(device), AF_XDP_DEVICE "_%s_%u,iface=%s,start_queue=%u,busy_budget=0",
	    interface, index, interface, index);
	port_options.device = device;
	port_options.queues = 1;
	n_before = list_sockets(fds, before);
	prints = hush();
	rc = port_open(&port_options, &queue->port, err);
	unhush(prints);
	/* The driver's word for any socket that it could not set up. */
	if (rc == -EINVAL)
		rc = -EBUSY;
	if (rc < 0)
		return rc;
	rc = find_socket(queue, before, n_before);
	if (rc < 0) {
		port_close(&queue->port);
		return error_set(err, rc, "%s: queue %u: no AF_XDP socket was opened", interface, index);
	}
	/* The queue is ours again: the kernel is done with the socket before. */
	rte_mempool_free(queue->retired);
	queue->retired = NULL;
	return 0;
}

void af_xdp_close(struct af_xdp_queue *queue)
{
	struct prints prints;
	ino_t inode;

	if (!queue->port.open)
		return;
	queue->retired = queue->port.pool;
	queue->port.pool = NULL;
	prints = hush();
	port_close(&queue->port);
	unhush(prints);
	if (is_af_xdp_socket(queue->fd, &inode) && inode == queue->inode)
		(void)close(queue->fd);
}

void af_xdp_free(struct af_xdp_queue *queue)
{
	rte_mempool_free(queue->retired);
	queue->retired = NULL;
}

uint64_t af_xdp_missed(const struct af_xdp_queue *queue)
{
	struct xdp_statistics stats = {0};
	socklen_t len = sizeof(stats);

	if (!queue->port.open || getsockopt(queue->fd, SOL_XDP, XDP_STATISTICS, &stats, &len) != 0)
		return 0;
	return stats.rx_dropped + stats.rx_ring_full;
}
