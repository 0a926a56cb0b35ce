/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire_mac.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <cmocka.h>

static const uint8_t key[] = "a key of twenty-four byt";
static const struct wire_header example = {.flags = WIRE_FLAG_MAC, .token = 1, .sequence = 3, .base = 2};

static struct wire_mac *mac_of(const void *bytes, size_t len, uint32_t key_id)
{
	struct wire_mac *mac = NULL;
	struct error err;

	assert_int_equal(wire_mac_create(&mac, bytes, len, key_id, &err), 0);
	assert_int_equal(wire_mac_key_id(mac), key_id);
	return mac;
}

static bool verifies(struct wire_mac *mac, const uint8_t *datagram, size_t len)
{
	struct wire_frame frame;
	enum wire_fault fault;

	return wire_parse(datagram, len, &frame, &fault) == WIRE_FRAME && wire_mac_verify(mac, &frame);
}

static void is_hmac_sha256_cut_to_16_bytes(void **state)
{
	struct wire_mac *mac = mac_of(key, 24, 0x01020304);
	uint8_t out[256], expected[32];
	size_t len = wire_write_data(out, sizeof(out), &example, "{}", 2, 1);

	(void)state;
	assert_int_equal(len, 58);
	for (int again = 0; again < 3; again++) {
		assert_int_equal(wire_mac_seal(mac, out, 58, sizeof(out)), 78);
		assert_memory_equal(out + 58, "\x04\x03\x02\x01", 4);
		assert_non_null(HMAC(EVP_sha256(), key, 24, out, 62, expected, NULL));
		assert_memory_equal(out + 62, expected, 16);
		assert_true(verifies(mac, out, 78));
	}
	wire_mac_destroy(mac);
}

static void any_changed_bit_is_seen(void **state)
{
	struct wire_mac *mac = mac_of(key, 24, 5);
	uint8_t out[256];
	size_t len = wire_write_data(out, sizeof(out), &example, "{\"a\":1}", 7, 1);

	(void)state;
	len = wire_mac_seal(mac, out, len, sizeof(out));
	for (size_t bit = 0; bit < len * 8; bit++) {
		out[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(verifies(mac, out, len));
		out[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(verifies(mac, out, len));
	wire_mac_destroy(mac);
}

static void other_keys_do_not_verify(void **state)
{
	struct wire_mac *mac = mac_of(key, 24, 5), *other_id = mac_of(key, 24, 6),
	                *other_key = mac_of("another key of some length", 26, 5);
	struct wire_header bare = example;
	uint8_t out[256];
	size_t len = wire_write_data(out, sizeof(out), &example, "{}", 2, 1);

	(void)state;
	len = wire_mac_seal(mac, out, len, sizeof(out));
	assert_true(verifies(mac, out, len));
	assert_false(verifies(other_id, out, len));
	assert_false(verifies(other_key, out, len));
	bare.flags = 0;
	len = wire_write_data(out, sizeof(out), &bare, "{}", 2, 1);
	assert_false(verifies(mac, out, len));
	wire_mac_destroy(mac);
	wire_mac_destroy(other_id);
	wire_mac_destroy(other_key);
}

static void keys_have_bounds(void **state)
{
	uint8_t bytes[WIRE_KEY_MAX_BYTES + 1] = {0};
	struct wire_mac *mac;
	struct error err;

	(void)state;
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		bool good = len >= WIRE_KEY_MIN_BYTES && len <= WIRE_KEY_MAX_BYTES;

		assert_int_equal(wire_mac_create(&mac, bytes, len, 3, &err), good ? 0 : -EINVAL);
		assert_int_equal(mac != NULL, good);
		if (!good)
			assert_non_null(strstr(err.text, "key 3 has"));
		wire_mac_destroy(mac);
	}
}

static void a_trailer_needs_room(void **state)
{
	struct wire_mac *mac = mac_of(key, 24, 5);
	uint8_t out[76];

	(void)state;
	assert_int_equal(wire_write_bare(out, sizeof(out), &example, WIRE_PROBE), 56);
	assert_int_equal(wire_mac_seal(mac, out, 56, 75), 0);
	assert_int_equal(wire_mac_seal(mac, out, 56, 10), 0);
	assert_int_equal(wire_mac_seal(mac, out, 56, 76), 76);
	wire_mac_destroy(mac);
	wire_mac_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(is_hmac_sha256_cut_to_16_bytes),
	    cmocka_unit_test(any_changed_bit_is_seen),
	    cmocka_unit_test(other_keys_do_not_verify),
	    cmocka_unit_test(keys_have_bounds),
	    cmocka_unit_test(a_trailer_needs_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
