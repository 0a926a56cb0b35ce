/* SPDX-License-Identifier: BSD-3-Clause */
#include "frame.h"

#include "checksum.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define ETHERNET_HEADER 14u
#define VLAN_TAG 4u
#define IPV4_HEADER 20u
#define IPV6_HEADER 40u
#define UDP_HEADER 8u

enum ethertype {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_8021Q = 0x8100,
	ETHERTYPE_8021AD = 0x88a8,
};

enum next_header {
	NEXT_HOP_BY_HOP = 0,
	NEXT_UDP = 17,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	NEXT_DESTINATION = 60,
};

/* The IP layer's answer: the addresses of the pseudo header and the payload. */
struct ip {
	const uint8_t *addresses; /* source, then destination */
	const uint8_t *payload;
	uint32_t len;
	uint8_t address_len;
};

static inline uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* The bytes as they lie, for the checksum. */
static inline uint16_t raw16(const uint8_t *p)
{
	uint16_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static enum reason parse_ipv4(const uint8_t *p, uint32_t len, uint8_t flags, struct ip *ip)
{
	uint32_t header, total;

	if (len < IPV4_HEADER)
		return REASON_FRAME_TRUNCATED;
	header = (p[0] & 15u) * 4;
	total = be16(p + 2);
	if (p[0] >> 4 != 4 || header < IPV4_HEADER || total < header)
		return REASON_FRAME_IP_HEADER;
	if (total > len)
		return REASON_FRAME_TRUNCATED;
	if ((flags & PACKET_IP_CHECKSUM_BAD) != 0)
		return REASON_FRAME_IP_CHECKSUM;
	if ((flags & PACKET_IP_CHECKSUM_GOOD) == 0 && checksum_fold(checksum_add(0, p, header)) != 0xffff)
		return REASON_FRAME_IP_CHECKSUM;
	if ((be16(p + 6) & 0x3fff) != 0) /* more fragments, or an offset */
		return REASON_FRAME_FRAGMENT;
	if (p[9] != NEXT_UDP)
		return REASON_FRAME_NOT_UDP;
	*ip = (struct ip){
	    .addresses = p + 12,
	    .payload = p + header,
	    .len = total - header,
	    .address_len = 4,
	};
	return REASON_NONE;
}

static enum reason parse_ipv6(const uint8_t *p, uint32_t len, struct ip *ip)
{
	const uint8_t *at = p + IPV6_HEADER;
	uint32_t left, n_extensions = 0;
	uint8_t next;

	if (len < IPV6_HEADER)
		return REASON_FRAME_TRUNCATED;
	if (p[0] >> 4 != 6)
		return REASON_FRAME_IP_HEADER;
	left = be16(p + 4);
	if (left > len - IPV6_HEADER)
		return REASON_FRAME_TRUNCATED;
	next = p[6];
	while (next == NEXT_HOP_BY_HOP || next == NEXT_ROUTING || next == NEXT_DESTINATION) {
		uint32_t size;

		if (left < 8 || n_extensions++ == FRAME_MAX_EXTENSIONS)
			return REASON_FRAME_IP_EXTENSION;
		size = (at[1] + 1u) * 8;
		/* Hop-by-hop options come first or not at all; a packet with segments left is on its way
		 * elsewhere. */
		if (size > left || (next == NEXT_HOP_BY_HOP && n_extensions > 1) ||
		    (next == NEXT_ROUTING && at[3] != 0))
			return REASON_FRAME_IP_EXTENSION;
		next = at[0];
		at += size;
		left -= size;
	}
	if (next == NEXT_FRAGMENT)
		return REASON_FRAME_FRAGMENT;
	if (next != NEXT_UDP)
		return REASON_FRAME_NOT_UDP;
	*ip = (struct ip){
	    .addresses = p + 8,
	    .payload = at,
	    .len = left,
	    .address_len = 16,
	};
	return REASON_NONE;
}

/* `udp` has been checked to be ip->len bytes long. */
static bool udp_checksum_ok(const struct ip *ip, uint8_t flags)
{
	uint32_t addresses = 2u * ip->address_len;
	uint64_t sum;

	/* First, because some ports call a datagram without a checksum bad. */
	if (raw16(ip->payload + 6) == 0)
		return ip->address_len == 4;
	if ((flags & (PACKET_UDP_CHECKSUM_GOOD | PACKET_UDP_CHECKSUM_BAD)) != 0)
		return (flags & PACKET_UDP_CHECKSUM_BAD) == 0;
	sum = (uint64_t)htons(NEXT_UDP) + raw16(ip->payload + 4);
	if (ip->addresses + addresses == ip->payload) {
		sum = checksum_add(sum, ip->addresses, addresses + ip->len);
	} else {
		sum = checksum_add(sum, ip->addresses, addresses);
		sum = checksum_add(sum, ip->payload, ip->len);
	}
	return checksum_fold(sum) == 0xffff;
}

enum reason frame_parse(const struct packet *packet, const struct frame_ports *ports, struct frame *out)
{
	const uint8_t *p = (const uint8_t *)packet->data;
	uint32_t len = packet->len, n_tags = 0;
	enum reason reason;
	uint16_t ethertype;
	uint8_t stream;
	struct ip ip;

	if (packet->kind == PACKET_PAYLOAD) {
		*out = (struct frame){.payload = packet->data, .len = packet->len, .stream = packet->stream};
		return packet->len == 0 ? REASON_FRAME_EMPTY : REASON_NONE;
	}
	if (len < ETHERNET_HEADER)
		return REASON_FRAME_TRUNCATED;
	ethertype = be16(p + 12);
	p += ETHERNET_HEADER;
	len -= ETHERNET_HEADER;
	while (ethertype == ETHERTYPE_8021Q || ethertype == ETHERTYPE_8021AD) {
		if (n_tags++ == FRAME_MAX_VLAN_TAGS)
			return REASON_FRAME_VLAN_DEPTH;
		if (len < VLAN_TAG)
			return REASON_FRAME_TRUNCATED;
		ethertype = be16(p + 2);
		p += VLAN_TAG;
		len -= VLAN_TAG;
	}
	if (ethertype == ETHERTYPE_IPV4)
		reason = parse_ipv4(p, len, packet->flags, &ip);
	else if (ethertype == ETHERTYPE_IPV6)
		reason = parse_ipv6(p, len, &ip);
	else
		reason = REASON_FRAME_NOT_IP;
	if (reason != REASON_NONE)
		return reason;
	if (ip.len < UDP_HEADER)
		return REASON_FRAME_TRUNCATED;
	if (be16(ip.payload + 4) != ip.len)
		return REASON_FRAME_UDP_LENGTH;
	stream = ports->stream[be16(ip.payload + 2)];
	if (stream == FRAME_NO_STREAM)
		return REASON_FRAME_UNKNOWN_PORT;
	if (!udp_checksum_ok(&ip, packet->flags))
		return REASON_FRAME_UDP_CHECKSUM;
	if (ip.len == UDP_HEADER)
		return REASON_FRAME_EMPTY;
	*out = (struct frame){
	    .payload = (const char *)ip.payload + UDP_HEADER,
	    .len = ip.len - UDP_HEADER,
	    .stream = stream,
	    .source_port = be16(ip.payload),
	    .source_address = ip.addresses,
	    .source_address_len = ip.address_len,
	};
	return REASON_NONE;
}

void frame_ports_init(struct frame_ports *ports)
{
	memset(ports->stream, FRAME_NO_STREAM, sizeof(ports->stream));
}

int frame_ports_add(struct frame_ports *ports, uint16_t udp_port, uint16_t stream, struct error *err)
{
	if (udp_port == 0 || stream >= FRAME_NO_STREAM)
		return error_set(err, -EINVAL, "UDP port %u cannot lead to stream %u", udp_port, stream);
	if (ports->stream[udp_port] != FRAME_NO_STREAM)
		return error_set(err, -EEXIST, "UDP port %u leads to stream %u already", udp_port,
		    ports->stream[udp_port]);
	ports->stream[udp_port] = (uint8_t)stream;
	return 0;
}
