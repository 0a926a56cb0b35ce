/* SPDX-License-Identifier: BSD-3-Clause */
#include "build_frame.h"

#include <string.h>

static void put16(uint8_t *out, size_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

/* RFC 1071 in its plainest form. */
static uint32_t sum16(uint32_t sum, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

static size_t build_extensions(const struct frame_spec *spec, uint8_t *out, uint8_t protocol)
{
	uint8_t *at = out;

	for (int i = 0; i < spec->n_extensions; i++) {
		size_t size = spec->extension[i] == 44 ? 8 : (spec->extension_words[i] + 1u) * 8;

		memset(at, 0, size);
		at[0] = i + 1 < spec->n_extensions ? spec->extension[i + 1] : protocol;
		if (spec->extension[i] == 44) {
			put16(at + 2, spec->fragment);
		} else {
			at[1] = spec->extension_words[i];
			at[2] = 1; /* PadN, or a routing type; no segments left */
			if (spec->extension[i] != 43)
				at[3] = (uint8_t)(size - 4);
		}
		at += size;
	}
	return (size_t)(at - out);
}

struct frame_layout build_frame(const struct frame_spec *spec, uint8_t *out)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	uint8_t protocol = spec->protocol == 0 ? 17 : spec->protocol;
	size_t udp_len = 8 + spec->len, address_len = spec->ip_version == 4 ? 4 : 16, addresses;
	struct frame_layout at;
	uint32_t sum;

	memcpy(out, macs, sizeof(macs));
	at.ip = sizeof(macs);
	for (int i = 0; i < spec->vlan_tags; i++) {
		put16(out + at.ip, i + 1 < spec->vlan_tags ? 0x88a8 : 0x8100);
		put16(out + at.ip + 2, 100u + (unsigned int)i);
		at.ip += 4;
	}
	put16(out + at.ip, spec->ip_version == 4 ? 0x0800 : spec->ip_version == 6 ? 0x86dd : 0x0806);
	at.ip += 2;
	if (spec->ip_version == 4) {
		size_t header = 20 + 4 * (size_t)spec->ipv4_option_words;
		uint8_t *ip = out + at.ip;

		memset(ip, 0, header);
		memset(ip + 20, 1, header - 20); /* no-operation options */
		ip[0] = (uint8_t)(0x40 | header / 4);
		put16(ip + 2, header + udp_len);
		put16(ip + 4, 0xbeef);
		put16(ip + 6, spec->fragment);
		ip[8] = 64;
		ip[9] = protocol;
		addresses = at.ip + 12;
		memcpy(ip + 12, spec->source, 4);
		memcpy(ip + 16, spec->destination, 4);
		put16(ip + 10, ~sum16(0, ip, header) & 0xffff);
		at.udp = at.ip + header;
	} else {
		uint8_t *ip = out + at.ip;
		size_t extensions = build_extensions(spec, ip + 40, protocol);

		ip[0] = 0x60;
		memset(ip + 1, 0, 3);
		put16(ip + 4, extensions + udp_len);
		ip[6] = spec->n_extensions > 0 ? spec->extension[0] : protocol;
		ip[7] = 64;
		addresses = at.ip + 8;
		memcpy(ip + 8, spec->source, 16);
		memcpy(ip + 24, spec->destination, 16);
		at.udp = at.ip + 40 + extensions;
	}
	put16(out + at.udp, spec->source_port);
	put16(out + at.udp + 2, spec->udp_port);
	put16(out + at.udp + 4, udp_len);
	put16(out + at.udp + 6, 0);
	at.payload = at.udp + 8;
	if (spec->len > 0)
		memcpy(out + at.payload, spec->payload, spec->len);
	at.end = at.payload + spec->len;
	if (!spec->no_udp_checksum) {
		sum = sum16(17, out + addresses, 2 * address_len);
		sum = sum16(sum, (const uint8_t[]){(uint8_t)(udp_len >> 8), (uint8_t)udp_len}, 2);
		sum = ~sum16(sum, out + at.udp, udp_len) & 0xffff;
		put16(out + at.udp + 6, sum == 0 ? 0xffff : sum);
	}
	memset(out + at.end, 0xa5, spec->padding);
	at.len = at.end + spec->padding;
	return at;
}

size_t build_datagram(uint8_t *out, uint16_t source_port, uint16_t udp_port, const void *payload, size_t len)
{
	const struct frame_spec spec = {
	    .ip_version = 4,
	    .source_port = source_port,
	    .udp_port = udp_port,
	    .payload = payload,
	    .len = len,
	    .source = {10, 0, 0, 1},
	    .destination = {10, 0, 0, 2},
	};

	return build_frame(&spec, out).len;
}
