/* SPDX-License-Identifier: BSD-3-Clause */
#include "reply.h"

#include "build_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SENDER_PORT 4321
#define OUR_PORT 9000
#define TEXT "answer!"

static struct frame_ports ports;

static struct frame_spec datagram(int ip_version, int vlan_tags)
{
	struct frame_spec spec = {
	    .vlan_tags = vlan_tags,
	    .ip_version = ip_version,
	    .ipv4_option_words = 2,
	    .n_extensions = 1,
	    .extension = {60},
	    .source_port = SENDER_PORT,
	    .udp_port = OUR_PORT,
	    .payload = "ask",
	    .len = 3,
	};

	for (uint8_t i = 0; i < 16; i++) {
		spec.source[i] = (uint8_t)(10 + i);
		spec.destination[i] = (uint8_t)(100 + i);
	}
	return spec;
}

static struct frame parse(const uint8_t *bytes, size_t len, struct packet *packet)
{
	struct frame frame;

	*packet = (struct packet){.data = (const char *)bytes, .len = (uint32_t)len, .kind = PACKET_ETHERNET};
	assert_int_equal(frame_parse(packet, &ports, &frame), REASON_NONE);
	return frame;
}

static void the_answer_takes_the_same_way_back(void **state)
{
	uint8_t asked[512], answer[512];

	(void)state;
	for (int version = 4; version <= 6; version += 2) {
		for (int tags = 0; tags <= 2; tags++) {
			struct frame_spec spec = datagram(version, tags);
			size_t address_len = version == 4 ? 4 : 16, ip = 14 + 4 * (size_t)tags, len;
			struct reply_headers reply;
			struct packet packet;
			struct frame frame;

			len = build_frame(&spec, asked).len;
			memset(asked, 0x20, 6);
			memset(asked + 6, 0x40, 6);
			frame = parse(asked, len, &packet);
			assert_true(reply_init(&reply, &packet, &frame));
			memcpy(answer + reply.len, TEXT, sizeof(TEXT));
			len = reply_finish(&reply, answer, sizeof(TEXT));
			assert_int_equal(len, ip + (version == 4 ? 20 : 40) + 8 + sizeof(TEXT));
			/* Ethernet exchanged, tags as they came. */
			assert_memory_equal(answer, asked + 6, 6);
			assert_memory_equal(answer + 6, asked, 6);
			assert_memory_equal(answer + 12, asked + 12, ip - 12);
			/* Addresses, ports and checksums are right: it parses. */
			frame = parse(answer, len, &packet);
			assert_int_equal(frame.len, sizeof(TEXT));
			assert_memory_equal(frame.payload, TEXT, sizeof(TEXT));
			assert_int_equal(frame.source_port, OUR_PORT);
			assert_int_equal(frame.source_address_len, address_len);
			assert_memory_equal(frame.source_address, spec.destination, address_len);
			assert_memory_equal(frame.source_address + address_len, spec.source, address_len);
		}
	}
}

static void a_group_is_not_answered(void **state)
{
	static const struct {
		size_t offset; /* of the octet that makes an Ethernet address a group's */
		uint8_t value;
	} groups[] = {{0, 1}, {0, 0x33}, {6, 1}};
	static const uint8_t none[16] = {0};
	uint8_t asked[512];

	(void)state;
	for (size_t i = 0; i < 7; i++) {
		struct frame_spec spec = datagram(i == 5 || i == 6 || i == 1 ? 6 : 4, 0);
		struct reply_headers reply;
		struct packet packet;
		struct frame frame;
		size_t len;

		if (i == 3)
			spec.destination[0] = 239;
		if (i == 4)
			memcpy(spec.source, none, sizeof(none));
		if (i == 5)
			spec.destination[0] = 0xff;
		if (i == 6)
			spec.source_port = 0;
		len = build_frame(&spec, asked).len;
		memset(asked, 0x20, 12);
		if (i < 3)
			asked[groups[i].offset] = groups[i].value;
		frame = parse(asked, len, &packet);
		assert_false(reply_init(&reply, &packet, &frame));
	}
}

static void peers_are_told_apart(void **state)
{
	struct frame_spec specs[] = {
	    datagram(4, 0), datagram(4, 0), datagram(4, 0), datagram(6, 0), datagram(6, 0)};
	struct reply_headers reply[5];
	uint8_t asked[512];

	(void)state;
	specs[1].source_port++;
	specs[2].source[3]++;
	specs[4].source[15]++;
	for (size_t i = 0; i < 5; i++) {
		size_t len = build_frame(&specs[i], asked).len;
		struct packet packet;
		struct frame frame;

		memset(asked, 0x20, 12);
		frame = parse(asked, len, &packet);
		assert_true(reply_init(&reply[i], &packet, &frame));
	}
	for (size_t i = 0; i < 5; i++)
		for (size_t j = 0; j < 5; j++)
			assert_int_equal(reply_same_peer(&reply[i], &reply[j]), i == j);
}

static void what_has_no_headers_gets_none(void **state)
{
	struct packet packet = {.kind = PACKET_PAYLOAD, .data = "ask", .len = 3};
	struct frame frame = {.payload = "ask", .len = 3};
	struct reply_headers reply;
	uint8_t answer[8] = TEXT;

	(void)state;
	assert_true(reply_init(&reply, &packet, &frame));
	assert_int_equal(reply.len, 0);
	assert_int_equal(reply_finish(&reply, answer, 7), 7);
	assert_memory_equal(answer, TEXT, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_answer_takes_the_same_way_back),
	    cmocka_unit_test(a_group_is_not_answered),
	    cmocka_unit_test(peers_are_told_apart),
	    cmocka_unit_test(what_has_no_headers_gets_none),
	};

	frame_ports_init(&ports);
	if (frame_ports_add(&ports, OUR_PORT, 3, NULL) != 0 ||
	    frame_ports_add(&ports, SENDER_PORT, 4, NULL) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
