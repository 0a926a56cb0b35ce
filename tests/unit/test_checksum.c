/* SPDX-License-Identifier: BSD-3-Clause */
#include "checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* RFC 1071 word by word, carries folded at once. */
static uint16_t reference(const unsigned char *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2) {
		unsigned char pair[2] = {data[i], i + 1 < len ? data[i + 1] : 0};
		uint16_t word;

		memcpy(&word, pair, 2);
		sum += word;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

static void example_of_the_rfc(void **state)
{
	static const unsigned char data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	uint16_t sum = checksum_fold(checksum_add(0, data, sizeof(data)));
	unsigned char bytes[2];

	(void)state;
	memcpy(bytes, &sum, 2);
	assert_int_equal(bytes[0], 0xdd);
	assert_int_equal(bytes[1], 0xf2);
}

/* Every length and alignment up to 200, and long ones; random bytes, and all ones (most carries). The data
 * ends where its allocation ends, so that a sanitizer sees any read beyond it. */
static void every_length_and_alignment(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (size_t len = 0; len < 70000; len += len < 200 ? 1 : 997) {
		for (size_t shift = 0; shift < 16; shift++) {
			unsigned char *block = malloc(shift + len + (shift + len == 0));
			unsigned char *data = block + shift;

			assert_non_null(block);
			for (size_t i = 0; i < len; i++)
				data[i] = shift % 3 == 0 ? 0xff : (unsigned char)rand_r(&seed);
			assert_int_equal(checksum_fold(checksum_add(0, data, len)), reference(data, len));
			free(block);
		}
	}
}

static void pieces_add_up(void **state)
{
	unsigned char data[1500];
	unsigned int seed = 2;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)rand_r(&seed);
	for (uint32_t round = 0; round < 1000; round++) {
		size_t len = (size_t)rand_r(&seed) % sizeof(data), at = 0;
		uint64_t sum = 0;

		while (at < len) {
			size_t piece = 2 + 2 * ((size_t)rand_r(&seed) % 100);

			piece = piece < len - at ? piece : len - at;
			sum = checksum_add(sum, data + at, piece);
			at += piece;
		}
		assert_int_equal(checksum_fold(sum), reference(data, len));
	}
}

static void folding(void **state)
{
	(void)state;
	assert_int_equal(checksum_fold(0), 0);
	assert_int_equal(checksum_fold(0xffff), 0xffff);
	assert_int_equal(checksum_fold(0x10000), 1);
	assert_int_equal(checksum_fold(0x1ffff), 1);
	assert_int_equal(checksum_fold(UINT64_MAX), 0xffff);
	assert_int_equal(checksum_fold(0xffff0001ffff0001), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(example_of_the_rfc),
	    cmocka_unit_test(every_length_and_alignment),
	    cmocka_unit_test(pieces_add_up),
	    cmocka_unit_test(folding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
