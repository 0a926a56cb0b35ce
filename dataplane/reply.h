/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way back to whoever sent a packet: its Ethernet, VLAN, IP and UDP headers with the ends exchanged, into which a
 * payload is put. IPv4 options and IPv6 extension headers are left out. For a packet without headers (PACKET_PAYLOAD) the
 * reply has none either.
 *
 * Any thread; no allocation.
 */
#ifndef PENSTOCK_REPLY_H
#define PENSTOCK_REPLY_H

#include "frame.h"

#include <stdbool.h>

#define REPLY_MAX_HEADERS 70u /* Ethernet, two VLAN tags, IPv6, UDP */

struct reply_headers {
	uint8_t bytes[REPLY_MAX_HEADERS]; /* lengths and checksums are still zero */
	uint8_t len;
	uint8_t ip;      /* offset of the IP header */
	uint8_t version; /* 4, 6, or 0 without headers */
};

/* `frame` is what frame_parse() made of `packet`. False: it cannot be answered, because it was not sent to or from one
 * host (multicast or broadcast) or names no port. */
bool reply_init(struct reply_headers *reply, const struct packet *packet, const struct frame *frame);

/* Whether both lead to the same address and port. */
bool reply_same_peer(const struct reply_headers *a, const struct reply_headers *b);

/* Puts the headers in front of a payload of `len` bytes, which is in place at packet + reply->len. Returns the size of
 * the packet. */
uint32_t reply_finish(const struct reply_headers *reply, uint8_t *packet, uint32_t len);

#endif
