/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sources that are queues of a network port: a kernel interface over AF_XDP, a PCI device, or any DPDK vdev.
 *
 * AF_XDP (device "net_af_xdp"): our XDP program is attached to the interface and steers the UDP ports given;
 * every queue has a DPDK port of its own below it, because one vdev with several queues does not work
 * everywhere. Any other device is one DPDK port with that many queues. Either way each queue is one struct
 * source for one worker.
 *
 * Threads: everything here is for the control thread, except the sources' poll and release, which belong to
 * the worker. ethdev_close() needs workers that poll no more. EAL must be initialised; AF_XDP needs
 * hugepages.
 *
 * Rx stalls: now and then an AF_XDP socket stops giving frames, its fill ring empty, while the XDP program
 * goes on redirecting to it. ethdev_check() notices, asks the worker (by an atomic state that poll looks at)
 * to leave the queue alone, opens the socket anew, and lets the worker go on. Until then the frames of the
 * queue go to the kernel and show in the program's `no_socket` counter.
 */
#ifndef PENSTOCK_SOURCE_ETHDEV_H
#define PENSTOCK_SOURCE_ETHDEV_H

#include "config.h"
#include "source.h"
#include "steer.h"

#define ETHDEV_MAX_QUEUES 64u
#define ETHDEV_MBUFS 8191u /* per queue, by default */
#define ETHDEV_DESCRIPTORS 2048u
#define ETHDEV_DATA_ROOM 3840u     /* the most that an AF_XDP frame of one page leaves to an mbuf */
#define ETHDEV_STALL_NS 250000000u /* so long may a queue give nothing while frames are redirected to it */

struct ethdev;

struct ethdev_options {
	const uint16_t *udp_ports; /* what the XDP program steers */
	size_t n_udp_ports;
	int node;             /* NUMA node of the mbufs; -1: the port's */
	uint32_t mbufs;       /* per queue; 0: ETHDEV_MBUFS */
	uint16_t descriptors; /* per queue; 0: ETHDEV_DESCRIPTORS */
	uint16_t data_room;   /* of an mbuf, headroom included; 0: ETHDEV_DATA_ROOM */
};

/* Opens and starts the port that `config` names. On failure nothing is left behind, and err names the source,
 * the device and the cause. */
int ethdev_open(const struct config_source *config, const struct ethdev_options *options, struct ethdev **out,
    struct error *err);

uint16_t ethdev_queues(const struct ethdev *ethdev);

/* The source of one queue, "nic0/0". It belongs to the ethdev: ethdev_close() ends it, its destroy does
 * nothing. `queue` must be below ethdev_queues(). */
struct source *ethdev_source(struct ethdev *ethdev, uint16_t queue);

/* One line for the log: driver, mode, queues, who verifies checksums, and what works less well than it could.
 */
void ethdev_describe(const struct ethdev *ethdev, char *out, size_t size);

/* The NUMA node of a PCI card; -1: not known, or not a card. */
int ethdev_node(const struct ethdev *ethdev);

/* Sums over all queues. */
void ethdev_stats(struct ethdev *ethdev, struct source_stats *out);

/* What the XDP program counted: 0, -ENOTSUP where there is none, or -errno. */
int ethdev_steer_counters(const struct ethdev *ethdev, struct steer_counters *out);

/* To be called every 50 ms or so, with a monotonic time: looks for stalled queues and mends them, one step at
 * a time, without waiting. 0, or the error of a queue that could not be opened anew; it is tried again, later
 * each time. */
int ethdev_check(struct ethdev *ethdev, uint64_t now_ns, struct error *err);

/* Makes the coming calls of ethdev_check() open the queue anew, as if it had stalled. -ENOTSUP where the
 * device is not AF_XDP. */
int ethdev_force_recovery(struct ethdev *ethdev, uint16_t queue);

/* Stops the port and detaches the XDP program. NULL is allowed. */
void ethdev_close(struct ethdev *ethdev);

#endif
