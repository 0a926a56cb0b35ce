/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frame_parse() against a second reading of the RFCs that was written for clarity: they must agree on which
 * frames are accepted, and on the payload. The first byte of the input is the packet's flags, the rest the
 * frame.
 */
#include "frame.h"

#include <stdlib.h>
#include <string.h>

#define UDP_PORT 9000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left to read; `bad` once something was not there. */
struct cursor {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static struct cursor take(struct cursor *cursor, size_t n)
{
	struct cursor part = {.at = cursor->at, .left = n};

	if (cursor->bad || n > cursor->left) {
		cursor->bad = true;
		return (struct cursor){.bad = true};
	}
	cursor->at += n;
	cursor->left -= n;
	return part;
}

static unsigned int number(struct cursor *cursor, size_t bytes)
{
	struct cursor part = take(cursor, bytes);
	unsigned int value = 0;

	for (size_t i = 0; !part.bad && i < bytes; i++)
		value = value << 8 | part.at[i];
	return value;
}

static unsigned int sum(unsigned int sum, struct cursor part)
{
	for (size_t i = 0; i < part.left; i++)
		sum += (unsigned int)part.at[i] << (i % 2 == 0 ? 8 : 0);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The UDP packet in `ip` and the sum of its pseudo header's addresses, or a bad cursor. */
static struct cursor ipv4(struct cursor ip, uint8_t flags, unsigned int *addresses)
{
	struct cursor fields = ip, header;
	unsigned int first, total, fragment, protocol;

	first = number(&fields, 1);
	(void)take(&fields, 1);
	total = number(&fields, 2);
	(void)take(&fields, 2);
	fragment = number(&fields, 2);
	(void)take(&fields, 1);
	protocol = number(&fields, 1);
	(void)take(&fields, 2);
	*addresses = sum(0, take(&fields, 8));
	header = take(&ip, (first & 15) * 4);
	if (fields.bad || header.bad || first >> 4 != 4 || header.left < 20 || total < header.left)
		return (struct cursor){.bad = true};
	if ((flags & PACKET_IP_CHECKSUM_BAD) != 0 ||
	    ((flags & PACKET_IP_CHECKSUM_GOOD) == 0 && sum(0, header) != 0xffff))
		return (struct cursor){.bad = true};
	if ((fragment & 0x2000) != 0 || (fragment & 0x1fff) != 0 || protocol != 17)
		return (struct cursor){.bad = true};
	return take(&ip, total - header.left);
}

static struct cursor ipv6(struct cursor ip, unsigned int *addresses)
{
	unsigned int first = number(&ip, 4), len = number(&ip, 2), next = number(&ip, 1);
	struct cursor payload;

	(void)take(&ip, 1);
	*addresses = sum(0, take(&ip, 32));
	payload = take(&ip, len);
	if (first >> 28 != 6)
		payload.bad = true;
	for (int i = 0; !payload.bad && next != 17; i++) {
		struct cursor at = payload;
		unsigned int following = number(&at, 1), words = number(&at, 1), third = number(&at, 2);

		if (i == 8 || (next != 0 && next != 43 && next != 60) || (next == 0 && i > 0) ||
		    (next == 43 && (third & 255) != 0))
			payload.bad = true;
		(void)take(&payload, words * 8 + 8);
		next = following;
	}
	return payload;
}

/* The payload, or a bad cursor. */
static struct cursor reference(struct cursor frame, uint8_t flags)
{
	unsigned int addresses = 0, type, checksum, len, port;
	struct cursor udp = {.bad = true}, whole;
	bool v6;

	(void)take(&frame, 12);
	type = number(&frame, 2);
	for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8); tags++) {
		(void)take(&frame, 2);
		type = number(&frame, 2);
	}
	v6 = type == 0x86dd;
	if (!frame.bad && type == 0x0800)
		udp = ipv4(frame, flags, &addresses);
	else if (!frame.bad && v6)
		udp = ipv6(frame, &addresses);
	whole = udp;
	(void)take(&udp, 2);
	port = number(&udp, 2);
	len = number(&udp, 2);
	checksum = number(&udp, 2);
	if (udp.bad || port != UDP_PORT || len != whole.left || udp.left == 0)
		return (struct cursor){.bad = true};
	if (checksum == 0)
		udp.bad = v6;
	else if ((flags & PACKET_UDP_CHECKSUM_BAD) != 0)
		udp.bad = true;
	else if ((flags & PACKET_UDP_CHECKSUM_GOOD) == 0)
		udp.bad = sum(addresses + 17 + len, whole) != 0xffff;
	return udp;
}

static void check(bool right)
{
	if (!right)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct frame_ports ports;
	struct cursor expected;
	struct packet packet;
	struct frame frame;
	enum reason reason;
	uint8_t *copy;

	if (size < 1)
		return 0;
	frame_ports_init(&ports);
	check(frame_ports_add(&ports, UDP_PORT, 7, NULL) == 0);
	/* Of its own, so that a sanitizer sees any read past it. */
	copy = malloc(size - 1 > 0 ? size - 1 : 1);
	check(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	packet = (struct packet){.data = (char *)copy, .len = (uint32_t)size - 1, .flags = data[0] & 15};
	reason = frame_parse(&packet, &ports, &frame);
	expected = reference((struct cursor){.at = copy, .left = size - 1}, packet.flags);
	check((reason == REASON_NONE) == !expected.bad);
	check(reason == REASON_NONE || reason_info(reason)->class == REASON_CLASS_FRAME);
	if (reason == REASON_NONE) {
		check(frame.payload == (const char *)expected.at && frame.len == expected.left);
		check(frame.stream == 7);
		check(frame.source_address > copy && frame.source_address + 16 < copy + size);
	}
	free(copy);
	return 0;
}
