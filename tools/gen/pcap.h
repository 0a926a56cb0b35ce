/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A capture file of Ethernet / IPv4 / UDP frames, each with as many events as fit, one per line. The
 * addresses are of the range for benchmarks (198.18.0.0/15); the source port changes with every frame, so
 * that RSS spreads them.
 */
#ifndef PENSTOCK_GEN_PCAP_H
#define PENSTOCK_GEN_PCAP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PCAP_FRAME_MAX 9014u /* a jumbo frame */

struct pcap {
	FILE *out;
	uint16_t port;        /* destination */
	uint16_t payload_max; /* bytes of UDP payload */
	uint32_t frames;
	int64_t start_ms;
	uint32_t used; /* of the payload */
	uint8_t frame[PCAP_FRAME_MAX];
};

/* Writes the file header. `mtu` is the IP packet's size, 576 to 9000. */
void pcap_init(struct pcap *pcap, FILE *out, uint16_t port, uint16_t mtu, int64_t start_ms);

/* Adds an event; a full frame is written first. Returns 0, or -1: the event alone is too long for a frame. */
int pcap_add(struct pcap *pcap, const char *event, size_t len);

/* Writes what is left. */
void pcap_finish(struct pcap *pcap);

#endif
