/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One receive queue of a kernel interface over AF_XDP: a DPDK port of its own, and the socket below it.
 *
 * The driver of DPDK 22.11 does not close the socket with the port, and an open socket keeps the queue busy;
 * so the socket is found when the port is opened, and closed here. The kernel lets go of a closed socket in
 * its own time: until then the queue cannot be opened anew, and the mbufs it may still write to must stay.
 *
 * Control thread only.
 */
#ifndef PENSTOCK_AF_XDP_H
#define PENSTOCK_AF_XDP_H

#include "port.h"

#include <sys/types.h>

#define AF_XDP_DEVICE "net_af_xdp"
#define AF_XDP_HEADROOM 384u /* of an mbuf's data room, before the frame */

struct af_xdp_queue {
	struct port port;
	int fd; /* of the socket, while the port is open */
	ino_t inode;
	struct rte_mempool *retired; /* mbufs of the port that was open before */
};

/* Refuses an interface with fewer than `queues` queues or with frames too large for `data_room`. *available
 * is how many queues it has, or 0 where its driver does not say. */
int af_xdp_check(
    const char *interface, uint16_t queues, uint16_t data_room, uint16_t *available, struct error *err);

/* Opens queue number `index`; the program that redirects to it is attached already. `options` as for
 * port_open(), without device and number of queues. *queue was zeroed, or closed before. -EBUSY where the
 * queue cannot be had: a socket on it, possibly one just closed; worth another try. */
int af_xdp_open(const char *interface, uint16_t index, const struct port_options *options,
    struct af_xdp_queue *queue, struct error *err);

/* Closes the port and the socket; the queue's frames go to the kernel. An unopened queue is allowed. */
void af_xdp_close(struct af_xdp_queue *queue);

/* What af_xdp_close() had to leave. */
void af_xdp_free(struct af_xdp_queue *queue);

/* Frames that the kernel had to drop for want of room in the open socket. */
uint64_t af_xdp_missed(const struct af_xdp_queue *queue);

#endif
