/* SPDX-License-Identifier: BSD-3-Clause */
#include "source_ethdev.h"

#include "af_xdp.h"
#include "pci_address.h"
#include "port.h"

#include <errno.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define OPEN_TRIES 100u
#define LINK_WAIT_MS 5000u
#define BUSY_NS 1000000000u /* so long may the kernel hold a closed socket */
#define RETRY_MAX_NS (60ull * 1000000000)

enum endpoint_state {
	ENDPOINT_RUNNING,
	ENDPOINT_PARK,   /* control: the worker shall leave the queue alone */
	ENDPOINT_PARKED, /* worker: it does */
};

struct endpoint {
	struct source source;
	/* worker */
	uint16_t port_id, queue_id;  /* written by control while parked, like what follows */
	struct rte_mempool *tx_pool; /* NULL: the queue cannot send */
	uint32_t held;               /* packets handed out and not released */
	_Atomic int state; /* RUNNING -> PARK and PARKED -> RUNNING: control; PARK -> PARKED: worker */
	_Atomic uint64_t packets, bytes; /* worker: rw, control: ro */
	_Atomic uint64_t idle;           /* polls that gave nothing. worker: rw, control: ro */

	/* control */
	struct ethdev *ethdev;
	struct af_xdp_queue af_xdp;
	uint64_t closed_missed, closed_errors; /* counters of the ports that this queue had before */
	_Atomic uint64_t recoveries;
	bool forced;
	uint64_t seen_idle;                     /* at the last check */
	uint64_t seen_packets, seen_redirected; /* when the queue last gave something */
	uint64_t quiet_since_ns;        /* frames are redirected and nothing arrives; 0: all is well */
	uint64_t patience_ns, retry_ns; /* grow while recoveries do not help */
	uint64_t closed_ns;
};

struct ethdev {
	char name[32], device[128], interface[IF_NAMESIZE];
	struct ethdev_options options;
	struct steer *steer; /* AF_XDP only */
	struct port port;    /* all but AF_XDP */
	uint16_t n_queues, n_interface_queues;
	struct steer_counters counters;
	struct endpoint endpoint[];
};

static void count(_Atomic uint64_t *counter, uint64_t add)
{
	atomic_store_explicit(
	    counter, atomic_load_explicit(counter, memory_order_relaxed) + add, memory_order_relaxed);
}

static uint64_t load(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- worker ---- */

/* DPDK's "none" is: the field need not be right, but the data is. So does virtio hand over what a sender on the same
 * host left to be completed. */
static inline uint8_t packet_flags(uint64_t offload)
{
	uint64_t ip = offload & RTE_MBUF_F_RX_IP_CKSUM_MASK, udp = offload & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	int flags = 0;

	if (ip == RTE_MBUF_F_RX_IP_CKSUM_GOOD || ip == RTE_MBUF_F_RX_IP_CKSUM_NONE)
		flags |= PACKET_IP_CHECKSUM_GOOD;
	else if (ip == RTE_MBUF_F_RX_IP_CKSUM_BAD)
		flags |= PACKET_IP_CHECKSUM_BAD;
	if (udp == RTE_MBUF_F_RX_L4_CKSUM_GOOD || udp == RTE_MBUF_F_RX_L4_CKSUM_NONE)
		flags |= PACKET_UDP_CHECKSUM_GOOD;
	else if (udp == RTE_MBUF_F_RX_L4_CKSUM_BAD)
		flags |= PACKET_UDP_CHECKSUM_BAD;
	return (uint8_t)flags;
}

/* Parks when asked, but not while packets of the queue are in use. */
static int poll_parked(struct endpoint *endpoint, int state)
{
	if (state == ENDPOINT_PARK && endpoint->held == 0)
		atomic_store_explicit(&endpoint->state, ENDPOINT_PARKED, memory_order_release);
	return 0;
}

static int ethdev_poll(struct source *source, struct packet *packets, uint32_t max)
{
	struct endpoint *endpoint = (struct endpoint *)source;
	int state = atomic_load_explicit(&endpoint->state, memory_order_acquire);
	struct rte_mbuf *mbufs[SOURCE_BURST];
	uint64_t bytes = 0;
	uint16_t n;

	if (state != ENDPOINT_RUNNING)
		return poll_parked(endpoint, state);
	n = rte_eth_rx_burst(endpoint->port_id, endpoint->queue_id, mbufs,
	    (uint16_t)(max < SOURCE_BURST ? max : SOURCE_BURST));
	if (n == 0) {
		count(&endpoint->idle, 1);
		return 0;
	}
	for (uint16_t i = 0; i < n; i++) {
		/* Of several segments only the first: the frame's own length says then that it is cut. */
		packets[i] = (struct packet){
		    .data = rte_pktmbuf_mtod(mbufs[i], const char *),
		    .len = rte_pktmbuf_data_len(mbufs[i]),
		    .kind = PACKET_ETHERNET,
		    .flags = packet_flags(mbufs[i]->ol_flags),
		    .owner = mbufs[i],
		};
		bytes += rte_pktmbuf_pkt_len(mbufs[i]);
	}
	endpoint->held += n;
	count(&endpoint->packets, n);
	count(&endpoint->bytes, bytes);
	return n;
}

static void ethdev_release(struct source *source, struct packet *packets, uint32_t n)
{
	struct endpoint *endpoint = (struct endpoint *)source;
	struct rte_mbuf *mbufs[SOURCE_BURST];

	endpoint->held -= n;
	while (n > 0) {
		uint32_t some = n < SOURCE_BURST ? n : SOURCE_BURST;

		for (uint32_t i = 0; i < some; i++)
			mbufs[i] = packets[i].owner;
		rte_pktmbuf_free_bulk(mbufs, some);
		packets += some;
		n -= some;
	}
}

/* On AF_XDP a system call for each packet: acknowledgements are few compared with what they acknowledge. */
static int ethdev_send(struct source *source, const void *packet, uint32_t len)
{
	struct endpoint *endpoint = (struct endpoint *)source;
	struct rte_mbuf *mbuf;
	char *data;

	if (endpoint->tx_pool == NULL)
		return -ENOTSUP;
	if (atomic_load_explicit(&endpoint->state, memory_order_acquire) != ENDPOINT_RUNNING)
		return -EAGAIN;
	mbuf = rte_pktmbuf_alloc(endpoint->tx_pool);
	if (mbuf == NULL)
		return -EAGAIN;
	data = len <= UINT16_MAX ? rte_pktmbuf_append(mbuf, (uint16_t)len) : NULL;
	if (data == NULL) {
		rte_pktmbuf_free(mbuf);
		return -EMSGSIZE;
	}
	memcpy(data, packet, len);
	if (rte_eth_tx_burst(endpoint->port_id, endpoint->queue_id, &mbuf, 1) == 1)
		return 0;
	rte_pktmbuf_free(mbuf);
	return -EAGAIN;
}

/* ---- control ---- */

/* The port that the endpoint is a queue of has been opened. */
static void use_port(struct endpoint *endpoint, const struct port *port, uint16_t queue)
{
	endpoint->port_id = port->id;
	endpoint->queue_id = queue;
	endpoint->tx_pool = queue < port->n_tx ? port->pool : NULL;
}

/* Adds what was lost below the source since its port was opened. */
static void add_losses(const struct endpoint *endpoint, uint64_t *missed, uint64_t *errors)
{
	const struct ethdev *ethdev = endpoint->ethdev;
	const struct port *port = ethdev->steer != NULL ? &endpoint->af_xdp.port : &ethdev->port;
	struct rte_eth_stats stats;

	/* A port counts its losses for all its queues: they stand with the first. */
	if (endpoint->queue_id != 0 || !port->open || rte_eth_stats_get(port->id, &stats) != 0)
		return;
	/* The driver of AF_XDP leaves out what found the ring full. */
	*missed += ethdev->steer != NULL ? af_xdp_missed(&endpoint->af_xdp) : stats.imissed;
	*errors += stats.ierrors + stats.rx_nombuf;
}

static void endpoint_stats(struct source *source, struct source_stats *out)
{
	struct endpoint *endpoint = (struct endpoint *)source;

	*out = (struct source_stats){
	    .packets = load(&endpoint->packets),
	    .bytes = load(&endpoint->bytes),
	    .missed = endpoint->closed_missed,
	    .errors = endpoint->closed_errors,
	    .recoveries = load(&endpoint->recoveries),
	};
	add_losses(endpoint, &out->missed, &out->errors);
}

static void endpoint_destroy(struct source *source)
{
	(void)source;
}

static const struct source_ops ethdev_ops = {
    .type = "ethdev",
    .poll = ethdev_poll,
    .release = ethdev_release,
    .send = ethdev_send,
    .stats = endpoint_stats,
    .destroy = endpoint_destroy,
};

static struct port_options port_options(const struct ethdev *ethdev, const char *device, uint16_t queues)
{
	return (struct port_options){
	    .device = device,
	    .queues = queues,
	    .data_room = ethdev->options.data_room,
	    .descriptors = ethdev->options.descriptors,
	    .mbufs = ethdev->options.mbufs,
	    .node = ethdev->options.node,
	};
}

/* The worker is not polling the queue. */
static int open_queue(struct ethdev *ethdev, struct endpoint *endpoint, struct error *err)
{
	struct port_options options = port_options(ethdev, NULL, 1);
	int rc;

	rc = af_xdp_open(
	    ethdev->interface, (uint16_t)(endpoint - ethdev->endpoint), &options, &endpoint->af_xdp, err);
	use_port(endpoint, &endpoint->af_xdp.port, 0);
	return rc;
}

static int open_af_xdp(struct ethdev *ethdev, struct error *err)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	uint32_t tries = OPEN_TRIES;
	int rc;

	/* libxdp would otherwise look for its dispatcher, which our program does not use. */
	(void)setenv("LIBXDP_SKIP_DISPATCHER", "1", 1);
	rc = steer_open(
	    ethdev->interface, ethdev->options.udp_ports, ethdev->options.n_udp_ports, &ethdev->steer, err);
	if (rc == 0)
		rc = af_xdp_check(ethdev->interface, ethdev->n_queues, ethdev->options.data_room,
		    &ethdev->n_interface_queues, err);
	for (uint16_t q = 0; rc == 0 && q < ethdev->n_queues; q++) {
		/* A process that just ended may still have its sockets in the kernel. */
		while ((rc = open_queue(ethdev, &ethdev->endpoint[q], err)) == -EBUSY && --tries > 0)
			(void)nanosleep(&pause, NULL);
	}
	return rc;
}

static int open_port(struct ethdev *ethdev, struct error *err)
{
	struct port_options options = port_options(ethdev, ethdev->device, ethdev->n_queues);
	int rc = port_open(&options, &ethdev->port, err);

	for (uint16_t q = 0; q < ethdev->n_queues; q++)
		use_port(&ethdev->endpoint[q], &ethdev->port, q);
	/* Without a link it starts all the same, and says so. */
	if (rc == 0)
		(void)port_wait_link(&ethdev->port, LINK_WAIT_MS);
	return rc;
}

int ethdev_open(const struct config_source *config, const struct ethdev_options *options, struct ethdev **out,
    struct error *err)
{
	bool af_xdp = strcmp(config->device, AF_XDP_DEVICE) == 0;
	struct ethdev *ethdev;
	int rc;

	*out = NULL;
	if (config->queues == 0 || config->queues > ETHDEV_MAX_QUEUES)
		return error_set(err, -EINVAL, "source %s: %u queues; 1 to %u are possible", config->name,
		    config->queues, ETHDEV_MAX_QUEUES);
	if (af_xdp && (config->interface == NULL || strlen(config->interface) >= IF_NAMESIZE))
		return error_set(
		    err, -EINVAL, "source %s: AF_XDP needs the name of an interface", config->name);
	ethdev = calloc(1, sizeof(*ethdev) + config->queues * sizeof(ethdev->endpoint[0]));
	if (ethdev == NULL)
		return error_set(err, -ENOMEM, "source %s: out of memory", config->name);
	(void)snprintf(ethdev->name, sizeof(ethdev->name), "%s", config->name);
	(void)snprintf(ethdev->device, sizeof(ethdev->device), "%s", config->device);
	(void)snprintf(ethdev->interface, sizeof(ethdev->interface), "%s", af_xdp ? config->interface : "");
	ethdev->options = *options;
	ethdev->options.mbufs = options->mbufs != 0 ? options->mbufs : ETHDEV_MBUFS;
	ethdev->options.descriptors = options->descriptors != 0 ? options->descriptors : ETHDEV_DESCRIPTORS;
	ethdev->options.data_room = options->data_room != 0 ? options->data_room : ETHDEV_DATA_ROOM;
	ethdev->n_queues = config->queues;
	for (uint16_t q = 0; q < ethdev->n_queues; q++) {
		struct endpoint *endpoint = &ethdev->endpoint[q];

		endpoint->ethdev = ethdev;
		endpoint->patience_ns = ETHDEV_STALL_NS;
		endpoint->source.ops = &ethdev_ops;
		(void)snprintf(
		    endpoint->source.name, sizeof(endpoint->source.name), "%.55s/%u", config->name, q);
	}
	rc = af_xdp ? open_af_xdp(ethdev, err) : open_port(ethdev, err);
	/* The caller's array: it was only needed to fill the program's map. */
	ethdev->options.udp_ports = NULL;
	if (rc < 0) {
		ethdev_close(ethdev);
		return error_prefix(err, rc, "source %s", config->name);
	}
	*out = ethdev;
	return 0;
}

uint16_t ethdev_queues(const struct ethdev *ethdev)
{
	return ethdev->n_queues;
}

struct source *ethdev_source(struct ethdev *ethdev, uint16_t queue)
{
	return &ethdev->endpoint[queue].source;
}

int ethdev_node(const struct ethdev *ethdev)
{
	char address[PCI_ADDRESS_BYTES];

	return pci_address(ethdev->device, address) ? rte_eth_dev_socket_id(ethdev->port.id) : -1;
}

static const char *checksums(const struct port *port)
{
	if (port->hw_udp_checksum)
		return port->hw_ip_checksum ? "checksums verified in hardware"
		                            : "UDP checksums verified in hardware, IPv4's in software";
	return "checksums verified in software";
}

void ethdev_describe(const struct ethdev *ethdev, char *out, size_t size)
{
	bool xdp = ethdev->steer != NULL;
	const struct port *port = xdp ? &ethdev->endpoint[0].af_xdp.port : &ethdev->port;
	char device[192], link[80] = "", note[96] = "";

	if (xdp) {
		const char *mode = steer_mode(ethdev->steer);

		(void)snprintf(device, sizeof(device), "AF_XDP on %s, %s XDP%s", ethdev->interface, mode,
		    strcmp(mode, "generic") == 0 ? " (slow: the interface's driver has no XDP)" : "");
	} else {
		(void)snprintf(device, sizeof(device), "%s (%s)", ethdev->device, port->driver);
		port_describe_link(port, link, sizeof(link));
	}
	if (ethdev->n_interface_queues > ethdev->n_queues)
		(void)snprintf(note, sizeof(note),
		    "; the interface has %u: flows on the others go to the kernel",
		    ethdev->n_interface_queues);
	else if (!xdp && ethdev->n_queues > 1 && !port->rss)
		(void)snprintf(note, sizeof(note), "; without RSS, some may stay empty");
	(void)snprintf(out, size, "%s%s%s, %u queue%s%s, %s%s", device, *link != '\0' ? ", " : "", link,
	    ethdev->n_queues, ethdev->n_queues == 1 ? "" : "s", port->rss ? " by RSS" : "", checksums(port),
	    note);
}

void ethdev_stats(struct ethdev *ethdev, struct source_stats *out)
{
	*out = (struct source_stats){0};
	for (uint16_t q = 0; q < ethdev->n_queues; q++) {
		struct source_stats stats;

		endpoint_stats(&ethdev->endpoint[q].source, &stats);
		out->packets += stats.packets;
		out->bytes += stats.bytes;
		out->missed += stats.missed;
		out->errors += stats.errors;
		out->recoveries += stats.recoveries;
	}
}

int ethdev_steer_counters(const struct ethdev *ethdev, struct steer_counters *out)
{
	return ethdev->steer == NULL ? -ENOTSUP : steer_counters(ethdev->steer, out);
}

/* Whether the queue has given nothing for too long although it was polled and frames were redirected to it.
 */
static bool stalled(struct endpoint *endpoint, uint64_t redirected, uint64_t now_ns)
{
	uint64_t packets = load(&endpoint->packets), idle = load(&endpoint->idle);
	bool polled = idle != endpoint->seen_idle;

	endpoint->seen_idle = idle;
	if (packets != endpoint->seen_packets) {
		endpoint->seen_packets = packets;
		endpoint->seen_redirected = redirected;
		endpoint->patience_ns = ETHDEV_STALL_NS;
		endpoint->quiet_since_ns = 0;
		return false;
	}
	if (redirected == endpoint->seen_redirected || !polled)
		return false;
	if (endpoint->quiet_since_ns == 0)
		endpoint->quiet_since_ns = now_ns;
	return now_ns - endpoint->quiet_since_ns >= endpoint->patience_ns;
}

/* Frames that lay in the socket when it was closed were redirected to us and never seen: they are missed too.
 */
static void count_unseen(struct ethdev *ethdev, struct endpoint *endpoint)
{
	uint64_t seen = load(&endpoint->packets) + endpoint->closed_missed, redirected;

	if (steer_counters(ethdev->steer, &ethdev->counters) != 0)
		return;
	redirected = ethdev->counters.redirected[endpoint - ethdev->endpoint];
	endpoint->seen_redirected = redirected;
	if (redirected > seen)
		endpoint->closed_missed += redirected - seen;
}

/* The worker is parked: a new socket for the queue. */
static int reopen(struct ethdev *ethdev, struct endpoint *endpoint, uint64_t now_ns, struct error *err)
{
	int rc;

	if (now_ns < endpoint->retry_ns)
		return 0;
	if (endpoint->af_xdp.port.open) {
		add_losses(endpoint, &endpoint->closed_missed, &endpoint->closed_errors);
		af_xdp_close(&endpoint->af_xdp);
		count_unseen(ethdev, endpoint);
		endpoint->closed_ns = now_ns;
	}
	rc = open_queue(ethdev, endpoint, err);
	if (rc == -EBUSY && now_ns - endpoint->closed_ns < BUSY_NS)
		return 0;
	if (rc < 0)
		endpoint->retry_ns = now_ns + endpoint->patience_ns;
	if (endpoint->patience_ns < RETRY_MAX_NS)
		endpoint->patience_ns *= 2;
	if (rc < 0)
		return error_prefix(err, rc, "source %s: opening the queue anew", endpoint->source.name);
	endpoint->retry_ns = 0;
	endpoint->forced = false;
	endpoint->quiet_since_ns = 0;
	count(&endpoint->recoveries, 1);
	atomic_store_explicit(&endpoint->state, ENDPOINT_RUNNING, memory_order_release);
	return 0;
}

int ethdev_check(struct ethdev *ethdev, uint64_t now_ns, struct error *err)
{
	int rc, first = 0;

	if (ethdev->steer == NULL)
		return 0;
	rc = steer_counters(ethdev->steer, &ethdev->counters);
	if (rc < 0)
		return error_set(err, rc, "source %s: reading the XDP program's counters: %s", ethdev->name,
		    strerror(-rc));
	for (uint16_t q = 0; q < ethdev->n_queues; q++) {
		struct endpoint *endpoint = &ethdev->endpoint[q];
		int state = atomic_load_explicit(&endpoint->state, memory_order_acquire);

		if (state == ENDPOINT_RUNNING &&
		    (stalled(endpoint, ethdev->counters.redirected[q], now_ns) || endpoint->forced))
			atomic_store_explicit(&endpoint->state, ENDPOINT_PARK, memory_order_relaxed);
		if (state != ENDPOINT_PARKED)
			continue;
		rc = reopen(ethdev, endpoint, now_ns, first == 0 ? err : NULL);
		if (first == 0)
			first = rc;
	}
	return first;
}

int ethdev_force_recovery(struct ethdev *ethdev, uint16_t queue)
{
	if (ethdev->steer == NULL)
		return -ENOTSUP;
	ethdev->endpoint[queue].forced = true;
	return 0;
}

void ethdev_close(struct ethdev *ethdev)
{
	if (ethdev == NULL)
		return;
	/* First the program, so that no frame goes to a socket that is about to close. */
	steer_close(ethdev->steer);
	for (uint16_t q = 0; q < ethdev->n_queues; q++) {
		af_xdp_close(&ethdev->endpoint[q].af_xdp);
		af_xdp_free(&ethdev->endpoint[q].af_xdp);
	}
	port_close(&ethdev->port);
	free(ethdev);
}
