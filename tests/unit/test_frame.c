/* SPDX-License-Identifier: BSD-3-Clause */
#include "frame.h"

#include "build_frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#define PAGES_BYTES (64u * 1024)
#define UDP_PORT 9000

static struct frame_ports ports;
static uint8_t *guarded_end; /* of memory that is followed by a page that cannot be read */

static int setup(void **state)
{
	uint8_t *memory =
	    mmap(NULL, PAGES_BYTES + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	if (memory == MAP_FAILED || mprotect(memory + PAGES_BYTES, 4096, PROT_NONE) != 0)
		return -1;
	guarded_end = memory + PAGES_BYTES;
	frame_ports_init(&ports);
	return frame_ports_add(&ports, UDP_PORT, 3, NULL);
}

static int teardown(void **state)
{
	(void)state;
	return munmap(guarded_end - PAGES_BYTES, PAGES_BYTES + 4096);
}

/* Parses a copy that ends where readable memory ends. */
static enum reason parse(const uint8_t *frame, size_t len, uint8_t flags, struct frame *out)
{
	struct packet packet = {
	    .data = (const char *)guarded_end - len,
	    .len = (uint32_t)len,
	    .kind = PACKET_ETHERNET,
	    .flags = flags,
	};

	if (len > 0)
		memcpy(guarded_end - len, frame, len);
	return frame_parse(&packet, &ports, out);
}

static struct frame_spec plain(int ip_version)
{
	return (struct frame_spec){
	    .ip_version = ip_version,
	    .source_port = 4321,
	    .udp_port = UDP_PORT,
	    .payload = "{\"a\":1}\n",
	    .len = 8,
	    .source = {10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	    .destination = {192, 168, 0, 1, 4, 3, 2, 1, 0, 255, 254, 253, 252, 251, 250, 249},
	};
}

static enum reason parse_spec(const struct frame_spec *spec, uint8_t flags)
{
	uint8_t bytes[4096];
	struct frame frame;

	return parse(bytes, build_frame(spec, bytes).len, flags, &frame);
}

static void expect_good(const struct frame_spec *spec, uint8_t flags)
{
	uint8_t bytes[4096];
	struct frame_layout at = build_frame(spec, bytes);
	struct frame frame;

	assert_int_equal(parse(bytes, at.len, flags, &frame), REASON_NONE);
	assert_ptr_equal(frame.payload, guarded_end - at.len + at.payload);
	assert_int_equal(frame.len, spec->len);
	assert_memory_equal(frame.payload, spec->payload, spec->len);
	assert_int_equal(frame.stream, 3);
	assert_int_equal(frame.source_port, spec->source_port);
	assert_int_equal(frame.source_address_len, spec->ip_version == 4 ? 4 : 16);
	assert_memory_equal(frame.source_address, spec->source, frame.source_address_len);
}

/* {"a":1} from port 40000 to port 9000 as Linux sent it over a veth pair: nothing of our own is in here. */
static void captured_datagrams(void **state)
{
	static const uint8_t ipv4[] = {0x86, 0xe9, 0x63, 0xc7, 0x8e, 0xce, 0x72, 0xbe, 0xab, 0x6b, 0x9c, 0x1c,
	    0x08, 0x00, 0x45, 0x00, 0x00, 0x24, 0xa5, 0x70, 0x40, 0x00, 0x40, 0x11, 0x80, 0xbc, 0x0a, 0x4d,
	    0x00, 0x02, 0x0a, 0x4d, 0x00, 0x01, 0x9c, 0x40, 0x23, 0x28, 0x00, 0x10, 0x98, 0x48, 0x7b, 0x22,
	    0x61, 0x22, 0x3a, 0x31, 0x7d, 0x0a};
	static const uint8_t ipv6[] = {0x86, 0xe9, 0x63, 0xc7, 0x8e, 0xce, 0x72, 0xbe, 0xab, 0x6b, 0x9c, 0x1c,
	    0x86, 0xdd, 0x60, 0x04, 0x16, 0x35, 0x00, 0x10, 0x11, 0x40, 0xfd, 0x77, 0x00, 0x00, 0x00, 0x00,
	    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xfd, 0x77, 0x00, 0x00, 0x00, 0x00,
	    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x9c, 0x40, 0x23, 0x28, 0x00, 0x10,
	    0xb1, 0xf2, 0x7b, 0x22, 0x61, 0x22, 0x3a, 0x31, 0x7d, 0x0a};
	struct frame frame;

	(void)state;
	assert_int_equal(parse(ipv4, sizeof(ipv4), 0, &frame), REASON_NONE);
	assert_int_equal(frame.len, 8);
	assert_memory_equal(frame.payload, "{\"a\":1}\n", 8);
	assert_int_equal(frame.source_port, 40000);
	assert_memory_equal(frame.source_address, "\x0a\x4d\0\x02", 4);
	assert_int_equal(parse(ipv6, sizeof(ipv6), 0, &frame), REASON_NONE);
	assert_int_equal(frame.len, 8);
	assert_memory_equal(frame.payload, "{\"a\":1}\n", 8);
	assert_int_equal(frame.source_port, 40000);
	assert_memory_equal(frame.source_address, "\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\x02", 16);
}

static void good_frames(void **state)
{
	static const uint8_t extensions[FRAME_MAX_EXTENSIONS] = {0, 60, 43, 60, 60, 43, 60, 60};
	static uint8_t payload[1400];

	(void)state;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + (i >> 8));
	for (int tags = 0; tags <= 2; tags++) {
		for (size_t len = 1; len <= sizeof(payload); len += len < 70 ? 1 : 133) {
			struct frame_spec spec = plain(4);

			spec.vlan_tags = tags;
			spec.payload = payload;
			spec.len = len;
			for (int words = 0; words <= 10; words++) {
				spec.ipv4_option_words = words;
				spec.padding = (size_t)words * 3;
				expect_good(&spec, 0);
			}
			spec.fragment = 0x4000; /* don't fragment */
			spec.no_udp_checksum = 1;
			expect_good(&spec, 0);
			spec = plain(6);
			spec.vlan_tags = tags;
			spec.payload = payload;
			spec.len = len;
			memcpy(spec.extension, extensions, sizeof(extensions));
			for (int n = 0; n <= (int)FRAME_MAX_EXTENSIONS; n++) {
				spec.n_extensions = n;
				spec.extension_words[n] = (uint8_t)n;
				spec.padding = (size_t)n;
				expect_good(&spec, 0);
			}
		}
	}
}

/* Good frames of every build: kinds 0 to 11. */
static struct frame_spec varied(int kind)
{
	struct frame_spec spec = plain(kind % 2 == 0 ? 4 : 6);

	spec.vlan_tags = kind % 3;
	spec.ipv4_option_words = kind % 5;
	spec.padding = 3;
	spec.n_extensions = kind % 4;
	spec.extension[1] = 60;
	spec.extension[2] = 43;
	spec.extension_words[1] = 2;
	return spec;
}

static void truncated_at_every_byte(void **state)
{
	uint8_t bytes[4096];
	struct frame frame;

	(void)state;
	for (int kind = 0; kind < 12; kind++) {
		struct frame_spec spec = varied(kind);
		struct frame_layout at = build_frame(&spec, bytes);

		for (size_t len = 0; len <= at.len; len++)
			assert_int_equal(parse(bytes, len, 0, &frame),
			    len < at.end ? REASON_FRAME_TRUNCATED : REASON_NONE);
	}
}

/* The checksums cover the IPv4 header, the addresses, the UDP header and the payload: a flipped bit there
 * never goes unnoticed. Elsewhere it changes nothing or is noticed by a check. */
static void flipped_bits(void **state)
{
	uint8_t bytes[4096];
	struct frame frame;

	(void)state;
	for (int kind = 0; kind < 12; kind++) {
		struct frame_spec spec = varied(kind);
		struct frame_layout at = build_frame(&spec, bytes);

		for (size_t bit = 0; bit < at.len * 8; bit++) {
			size_t byte = bit / 8;
			bool ipv4 = spec.ip_version == 4;
			bool covered = byte >= at.udp ||
			               (byte >= at.ip && (ipv4 || (byte >= at.ip + 8 && byte < at.ip + 40)));
			enum reason reason;

			if (byte >= at.end)
				covered = false;
			bytes[byte] ^= (uint8_t)(1u << bit % 8);
			reason = parse(bytes, at.len, 0, &frame);
			if (covered) {
				assert_int_not_equal(reason, REASON_NONE);
			} else if (reason == REASON_NONE) {
				assert_int_equal(frame.len, spec.len);
				assert_memory_equal(frame.payload, spec.payload, spec.len);
			} else {
				assert_true(byte >= 12 && byte < at.udp);
			}
			bytes[byte] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static void ethernet_and_vlan(void **state)
{
	static const uint8_t llc[14] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x26};
	struct frame_spec spec = plain(0);
	struct frame frame;

	(void)state;
	assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_NOT_IP);
	spec.vlan_tags = 2;
	assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_NOT_IP);
	assert_int_equal(parse(llc, sizeof(llc), 0, &frame), REASON_FRAME_NOT_IP);
	for (int version = 4; version <= 6; version += 2) {
		spec = plain(version);
		spec.vlan_tags = 3;
		assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_VLAN_DEPTH);
	}
}

/* Changes one byte of a plain frame, relative to its IP or UDP header. */
static enum reason parse_changed(int version, bool udp, size_t offset, uint8_t value, uint8_t flags)
{
	struct frame_spec spec = plain(version);
	uint8_t bytes[256];
	struct frame_layout at;
	struct frame frame;

	spec.padding = 30;
	at = build_frame(&spec, bytes);
	bytes[(udp ? at.udp : at.ip) + offset] = value;
	return parse(bytes, at.len, flags, &frame);
}

static void ip_headers(void **state)
{
	(void)state;
	assert_int_equal(parse_changed(4, false, 0, 0x55, 0), REASON_FRAME_IP_HEADER);
	assert_int_equal(parse_changed(4, false, 0, 0x44, 0), REASON_FRAME_IP_HEADER);
	assert_int_equal(parse_changed(4, false, 3, 19, 0), REASON_FRAME_IP_HEADER);
	assert_int_equal(parse_changed(4, false, 0, 0x4f, 0), REASON_FRAME_IP_HEADER); /* 60 > total length */
	assert_int_equal(parse_changed(4, false, 3, 200, 0), REASON_FRAME_TRUNCATED);
	assert_int_equal(parse_changed(4, false, 8, 65, 0), REASON_FRAME_IP_CHECKSUM);
	assert_int_equal(parse_changed(4, false, 8, 65, PACKET_IP_CHECKSUM_GOOD), REASON_NONE);
	assert_int_equal(parse_changed(4, false, 3, 27, PACKET_IP_CHECKSUM_GOOD), REASON_FRAME_TRUNCATED);
	assert_int_equal(parse_changed(6, false, 0, 0x40, 0), REASON_FRAME_IP_HEADER);
	assert_int_equal(parse_changed(6, false, 5, 200, 0), REASON_FRAME_TRUNCATED);
	assert_int_equal(parse_changed(6, false, 5, 7, 0), REASON_FRAME_TRUNCATED);
	assert_int_equal(parse_changed(6, false, 7, 1, 0), REASON_NONE); /* the hop limit is not covered */
}

static void protocols(void **state)
{
	static const uint8_t others[] = {1, 2, 6, 47, 50, 51, 58, 59, 132, 135, 255};

	(void)state;
	for (size_t i = 0; i < sizeof(others); i++) {
		struct frame_spec spec = plain(4);

		spec.protocol = others[i];
		assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_NOT_UDP);
		spec = plain(6);
		spec.protocol = others[i];
		assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_NOT_UDP);
		spec.n_extensions = 1;
		spec.extension[0] = 60;
		assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_NOT_UDP);
	}
}

static void fragments(void **state)
{
	struct frame_spec spec = plain(4);

	(void)state;
	spec.fragment = 0x2000;
	assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_FRAGMENT);
	spec.fragment = 0x0001;
	assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_FRAGMENT);
	spec.fragment = 0x1fff;
	assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_FRAGMENT);
	spec.protocol = 6;
	assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_FRAGMENT);
	spec = plain(6);
	spec.n_extensions = 1;
	spec.extension[0] = 44;
	assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_FRAGMENT); /* atomic */
	spec.fragment = 0x0001;
	assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_FRAGMENT);
	spec.n_extensions = 3;
	memcpy(spec.extension, (uint8_t[]){0, 60, 44}, 3);
	assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_FRAGMENT);
}

static void extension_headers(void **state)
{
	struct frame_spec spec = plain(6);
	uint8_t bytes[4096];
	struct frame_layout at;
	struct frame frame;

	(void)state;
	spec.n_extensions = FRAME_MAX_EXTENSIONS + 1;
	memset(spec.extension, 60, sizeof(spec.extension));
	assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_IP_EXTENSION);
	/* Hop-by-hop options behind another header. */
	spec.n_extensions = 2;
	spec.extension[1] = 0;
	assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_IP_EXTENSION);
	/* A header longer than the packet, and one that begins too near its end. */
	spec = plain(6);
	spec.n_extensions = 1;
	spec.extension[0] = 60;
	at = build_frame(&spec, bytes);
	bytes[at.ip + 41] = 3;
	assert_int_equal(parse(bytes, at.len, 0, &frame), REASON_FRAME_IP_EXTENSION);
	bytes[at.ip + 41] = 2; /* takes all: nothing is left for UDP */
	assert_int_equal(parse(bytes, at.len, 0, &frame), REASON_FRAME_TRUNCATED);
	bytes[at.ip + 5] = 7;
	assert_int_equal(parse(bytes, at.len, 0, &frame), REASON_FRAME_IP_EXTENSION);
	/* A routing header whose packet is still on its way. */
	spec.extension[0] = 43;
	at = build_frame(&spec, bytes);
	assert_int_equal(parse(bytes, at.len, 0, &frame), REASON_NONE);
	bytes[at.ip + 43] = 1;
	assert_int_equal(parse(bytes, at.len, 0, &frame), REASON_FRAME_IP_EXTENSION);
}

static void udp_header(void **state)
{
	struct frame_spec spec;

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		for (unsigned int len = 0; len < 256; len++)
			assert_int_equal(parse_changed(version, true, 5, (uint8_t)len, 0),
			    len == 16 ? REASON_NONE : REASON_FRAME_UDP_LENGTH);
		assert_int_equal(parse_changed(version, true, 3, 0x29, 0), REASON_FRAME_UNKNOWN_PORT);
		assert_int_equal(parse_changed(version, true, 8, 'x', 0), REASON_FRAME_UDP_CHECKSUM);
		assert_int_equal(
		    parse_changed(version, true, 8, 'x', PACKET_IP_CHECKSUM_GOOD), REASON_FRAME_UDP_CHECKSUM);
		assert_int_equal(parse_changed(version, true, 8, 'x', PACKET_UDP_CHECKSUM_GOOD), REASON_NONE);
		spec = plain(version);
		spec.len = 0;
		assert_int_equal(parse_spec(&spec, 0), REASON_FRAME_EMPTY);
		spec = plain(version);
		assert_int_equal(parse_spec(&spec, PACKET_UDP_CHECKSUM_BAD), REASON_FRAME_UDP_CHECKSUM);
		assert_int_equal(parse_spec(&spec, PACKET_IP_CHECKSUM_BAD),
		    version == 4 ? REASON_FRAME_IP_CHECKSUM : REASON_NONE);
		/* No checksum: whatever the port thinks of it. */
		spec.no_udp_checksum = 1;
		for (unsigned int flags = 0; flags <= PACKET_UDP_CHECKSUM_BAD;
		     flags += PACKET_UDP_CHECKSUM_GOOD) {
			if ((flags & (PACKET_IP_CHECKSUM_BAD)) == 0)
				assert_int_equal(parse_spec(&spec, (uint8_t)flags),
				    version == 4 ? REASON_NONE : REASON_FRAME_UDP_CHECKSUM);
		}
	}
}

/* A datagram whose checksum computes to zero carries 0xffff instead. */
static void checksum_of_all_ones(void **state)
{
	struct frame_spec spec = plain(4);
	uint8_t bytes[256], payload[4] = {0, 0, 0, 0};
	struct frame_layout at;
	struct frame frame;

	(void)state;
	spec.payload = payload;
	spec.len = 4;
	at = build_frame(&spec, bytes);
	memcpy(payload, bytes + at.udp + 6, 2); /* what was missing to all ones */
	at = build_frame(&spec, bytes);
	assert_int_equal(bytes[at.udp + 6] << 8 | bytes[at.udp + 7], 0xffff);
	assert_int_equal(parse(bytes, at.len, 0, &frame), REASON_NONE);
}

static void payload_packets(void **state)
{
	struct packet packet = {.data = "{}\n", .len = 3, .stream = 5, .kind = PACKET_PAYLOAD};
	struct frame frame;

	(void)state;
	assert_int_equal(frame_parse(&packet, &ports, &frame), REASON_NONE);
	assert_ptr_equal(frame.payload, packet.data);
	assert_int_equal(frame.len, 3);
	assert_int_equal(frame.stream, 5);
	assert_null(frame.source_address);
	packet.len = 0;
	assert_int_equal(frame_parse(&packet, &ports, &frame), REASON_FRAME_EMPTY);
}

/* Mutated frames: no read outside (the guard page and the sanitizers see it), and a payload inside the frame.
 */
static void random_mutations(void **state)
{
	uint8_t bytes[4096];
	unsigned int seed = 3;

	(void)state;
	for (uint32_t round = 0; round < 200000; round++) {
		struct frame_spec spec = plain(round % 2 == 0 ? 4 : 6);
		struct frame frame;
		size_t len;

		spec.vlan_tags = rand_r(&seed) % 4;
		spec.ipv4_option_words = rand_r(&seed) % 11;
		spec.n_extensions = rand_r(&seed) % 10;
		for (int i = 0; i < spec.n_extensions; i++)
			spec.extension[i] = (uint8_t[]){0, 43, 60, 60, 60, 44}[rand_r(&seed) % 6];
		len = build_frame(&spec, bytes).len;
		for (int i = rand_r(&seed) % 8; i > 0; i--)
			bytes[12 + (size_t)rand_r(&seed) % (len - 12)] = (uint8_t)rand_r(&seed);
		len -= rand_r(&seed) % 4 == 0 ? (size_t)rand_r(&seed) % len : 0;
		if (parse(bytes, len, (uint8_t)(rand_r(&seed) % 16), &frame) != REASON_NONE)
			continue;
		assert_true((const uint8_t *)frame.payload >= guarded_end - len);
		assert_true(frame.len > 0 && (const uint8_t *)frame.payload + frame.len <= guarded_end);
		assert_int_equal(frame.stream, 3);
	}
}

static void port_table(void **state)
{
	static struct frame_ports table;
	struct error err;

	(void)state;
	frame_ports_init(&table);
	assert_int_equal(frame_ports_add(&table, 1, 0, &err), 0);
	assert_int_equal(frame_ports_add(&table, 65535, 254, &err), 0);
	assert_int_equal(table.stream[1], 0);
	assert_int_equal(table.stream[65535], 254);
	assert_int_equal(frame_ports_add(&table, 1, 1, &err), -EEXIST);
	assert_string_equal(err.text, "UDP port 1 leads to stream 0 already");
	assert_int_equal(frame_ports_add(&table, 0, 1, &err), -EINVAL);
	assert_int_equal(frame_ports_add(&table, 2, FRAME_NO_STREAM, &err), -EINVAL);
	assert_int_equal(table.stream[2], FRAME_NO_STREAM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(captured_datagrams),
	    cmocka_unit_test(good_frames),
	    cmocka_unit_test(truncated_at_every_byte),
	    cmocka_unit_test(flipped_bits),
	    cmocka_unit_test(ethernet_and_vlan),
	    cmocka_unit_test(ip_headers),
	    cmocka_unit_test(protocols),
	    cmocka_unit_test(fragments),
	    cmocka_unit_test(extension_headers),
	    cmocka_unit_test(udp_header),
	    cmocka_unit_test(checksum_of_all_ones),
	    cmocka_unit_test(payload_packets),
	    cmocka_unit_test(random_mutations),
	    cmocka_unit_test(port_table),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
