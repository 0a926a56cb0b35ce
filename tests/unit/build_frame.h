/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ethernet frames for tests, written from the RFCs without the help of the code under test: checksums are
 * summed octet by octet in network order.
 */
#ifndef PENSTOCK_TEST_BUILD_FRAME_H
#define PENSTOCK_TEST_BUILD_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_SPEC_MAX 12

struct frame_spec {
	int vlan_tags;
	int ip_version; /* 4, 6; anything else: an ARP frame */
	int ipv4_option_words;
	int n_extensions;                        /* IPv6 */
	uint8_t extension[FRAME_SPEC_MAX];       /* next header values: 0, 43, 44, 60, ... */
	uint8_t extension_words[FRAME_SPEC_MAX]; /* length in 8 octets beyond the first 8 */
	uint16_t fragment; /* IPv4 flags and offset; IPv6: offset field where 44 is used */
	uint8_t protocol;  /* 0: UDP */
	uint16_t source_port, udp_port;
	int no_udp_checksum;
	const void *payload;
	size_t len;
	size_t padding; /* octets behind the IP packet */
	uint8_t source[16], destination[16];
};

/* Where the parts of a frame lie, as offsets into it. */
struct frame_layout {
	size_t ip, udp, payload, end; /* end: of the IP packet; the padding follows */
	size_t len;
};

/* Writes the frame to `out`, which must have room for 256 octets more than payload and padding. */
struct frame_layout build_frame(const struct frame_spec *spec, uint8_t *out);

/* A plain datagram over IPv4 from 10.0.0.1 to 10.0.0.2; returns the frame's length. */
size_t build_datagram(uint8_t *out, uint16_t source_port, uint16_t udp_port, const void *payload, size_t len);

#endif
