/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A DPDK port for receiving: probed, configured for what it offers, started, and all of that undone.
 *
 * Control thread only. Opening takes memory from the hugepages for the mbufs; nothing here is on the hot
 * path.
 */
#ifndef PENSTOCK_PORT_H
#define PENSTOCK_PORT_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct port_options {
	const char *device; /* DPDK devargs: "net_pcap0,rx_pcap=f.pcap", "0000:3b:00.0" */
	uint16_t queues;
	uint16_t data_room;   /* of an mbuf, headroom included */
	uint16_t descriptors; /* per rx queue, rounded to what the port takes */
	uint32_t mbufs;       /* per rx queue */
	int node;             /* NUMA node of the mbufs; -1: the port's */
};

struct port {
	uint16_t id;
	bool open;
	bool probed;                          /* by us: to be removed again */
	bool hw_ip_checksum, hw_udp_checksum; /* the port says of frames whether they are right */
	bool rss;                             /* the port spreads datagrams over its queues */
	uint16_t n_tx;                        /* tx queues, at most as many as rx queues */
	char driver[32];
	struct rte_mempool *pool;
};

/* Probes the device, or takes the port where EAL has found it already and nobody owns it. On success *port
 * receives; on failure nothing is left behind. */
int port_open(const struct port_options *options, struct port *port, struct error *err);

/* Waits for the link, which a card negotiates after the start: until then the far end's frames are lost. Whether
 * it is up. Asks once if timeout_ms is 0. */
bool port_wait_link(const struct port *port, uint32_t timeout_ms);

/* "52:54:00:12:34:56, link up, 10000 Mbit/s"; empty where the port does not say. */
void port_describe_link(const struct port *port, char *out, size_t size);

/* Stops and closes the port and frees its mbufs: the caller holds none any more. A closed or zeroed port is
 * allowed. */
void port_close(struct port *port);

#endif
