/* SPDX-License-Identifier: BSD-3-Clause */
#include "reply.h"

#include "checksum.h"

#include <arpa/inet.h>
#include <string.h>

#define MAC_BYTES 6u
#define IPV4_HEADER 20u
#define IPV6_HEADER 40u
#define UDP_HEADER 8u
#define NEXT_UDP 17u
#define HOPS 64u

_Static_assert(2 * MAC_BYTES + 2 + 2 * 4 + IPV6_HEADER + UDP_HEADER == REPLY_MAX_HEADERS, "all headers fit");

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* One host's unicast address. `address` is of an IP header: source, then destination. */
static bool between_hosts(const uint8_t *address, uint8_t len)
{
	static const uint8_t none[16];

	for (int end = 0; end < 2; end++, address += len) {
		if (memcmp(address, none, len) == 0 || (len == 4 && address[0] >= 224) ||
		    (len == 16 && address[0] == 0xff))
			return false;
	}
	return true;
}

bool reply_init(struct reply_headers *reply, const struct packet *packet, const struct frame *frame)
{
	const uint8_t *ether = (const uint8_t *)packet->data, *ip, *udp;
	uint8_t len = frame->source_address_len, *to = reply->bytes;
	uint32_t link;

	memset(reply, 0, sizeof(*reply));
	if (packet->kind == PACKET_PAYLOAD)
		return true;
	ip = frame->source_address - (len == 4 ? 12 : 8);
	udp = (const uint8_t *)frame->payload - UDP_HEADER;
	link = (uint32_t)(ip - ether);
	if (((ether[0] | ether[MAC_BYTES]) & 1) != 0 || !between_hosts(frame->source_address, len) ||
	    frame->source_port == 0)
		return false;
	memcpy(to, ether + MAC_BYTES, MAC_BYTES);
	memcpy(to + MAC_BYTES, ether, MAC_BYTES);
	memcpy(to + 2 * MAC_BYTES, ether + 2 * MAC_BYTES, link - 2 * MAC_BYTES);
	to += link;
	if (len == 4) {
		to[0] = 0x45;
		to[6] = 0x40; /* don't fragment */
		to[8] = HOPS;
		to[9] = NEXT_UDP;
		memcpy(to + 12, frame->source_address + 4, 4);
		memcpy(to + 16, frame->source_address, 4);
		to += IPV4_HEADER;
	} else {
		to[0] = 0x60;
		to[6] = NEXT_UDP;
		to[7] = HOPS;
		memcpy(to + 8, frame->source_address + 16, 16);
		memcpy(to + 24, frame->source_address, 16);
		to += IPV6_HEADER;
	}
	memcpy(to, udp + 2, 2);
	memcpy(to + 2, udp, 2);
	reply->ip = (uint8_t)link;
	reply->version = len == 4 ? 4 : 6;
	reply->len = (uint8_t)(to + UDP_HEADER - reply->bytes);
	return true;
}

bool reply_same_peer(const struct reply_headers *a, const struct reply_headers *b)
{
	uint32_t address = a->version == 4 ? 12 : 8, addresses = a->version == 4 ? 8 : 32;

	if (a->version != b->version)
		return false;
	return a->version == 0 ||
	       (memcmp(a->bytes + a->ip + address, b->bytes + b->ip + address, addresses) == 0 &&
	           memcmp(a->bytes + a->len - UDP_HEADER, b->bytes + b->len - UDP_HEADER, 4) == 0);
}

uint32_t reply_finish(const struct reply_headers *reply, uint8_t *packet, uint32_t len)
{
	uint8_t *ip = packet + reply->ip, *udp = packet + reply->len - UDP_HEADER;
	uint32_t datagram = UDP_HEADER + len, address = reply->version == 4 ? 12 : 8;
	uint16_t sum;

	if (reply->version == 0)
		return len;
	memcpy(packet, reply->bytes, reply->len);
	if (reply->version == 4) {
		put16(ip + 2, IPV4_HEADER + datagram);
		sum = (uint16_t)~checksum_fold(checksum_add(0, ip, IPV4_HEADER));
		memcpy(ip + 10, &sum, sizeof(sum));
	} else {
		put16(ip + 4, datagram);
	}
	put16(udp + 4, datagram);
	/* The pseudo header: protocol and length, and the addresses, which lie before the UDP header. */
	sum = (uint16_t)~checksum_fold(checksum_add((uint64_t)htons(NEXT_UDP) + htons((uint16_t)datagram),
	    ip + address, (uint32_t)(udp - (ip + address)) + datagram));
	if (sum == 0)
		sum = 0xffff;
	memcpy(udp + 6, &sum, sizeof(sum));
	return reply->len + len;
}
