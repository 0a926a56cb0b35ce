/* SPDX-License-Identifier: BSD-3-Clause */
#include "siphash.h"

#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef void (*hash_fn)(const uint8_t key[16], const void *data, size_t len, uint64_t out[2]);

static void to_bytes(const uint64_t hash[2], uint8_t out[16])
{
	uint64_t little[2] = {htole64(hash[0]), htole64(hash[1])};

	memcpy(out, little, 16);
}

static void openssl_siphash(
    const uint8_t key[16], const void *data, size_t len, unsigned int c, unsigned int d, uint8_t out[16])
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
	unsigned int size = 16;
	size_t got = 0;
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_SIZE, &size),
	    OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &c),
	    OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &d),
	    OSSL_PARAM_construct_end(),
	};

	assert_non_null(context);
	assert_int_equal(EVP_MAC_init(context, key, 16, params), 1);
	assert_int_equal(EVP_MAC_update(context, data, len), 1);
	assert_int_equal(EVP_MAC_final(context, out, &got, 16), 1);
	assert_int_equal(got, 16);
	EVP_MAC_CTX_free(context);
	EVP_MAC_free(mac);
}

/* The inputs of the published vectors: key 00..0f, messages of the bytes 00 01 02 ... of every length. */
static void agrees_with_openssl(void **state)
{
	static const struct {
		hash_fn hash;
		unsigned int c, d;
	} variants[] = {{siphash13_128, 1, 3}, {siphash24_128, 2, 4}};
	uint8_t key[16], want[16], got[16];
	uint64_t hash[2];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	for (size_t v = 0; v < 2; v++) {
		for (size_t len = 0; len <= 300; len++) {
			/* Of exactly that size, so that a sanitizer sees a read past the end. */
			uint8_t *data = malloc(len != 0 ? len : 1);

			assert_non_null(data);
			for (size_t i = 0; i < len; i++)
				data[i] = (uint8_t)i;
			variants[v].hash(key, data, len, hash);
			to_bytes(hash, got);
			openssl_siphash(key, data, len, variants[v].c, variants[v].d, want);
			assert_memory_equal(got, want, 16);
			free(data);
			key[len % 16] = (uint8_t)(key[len % 16] + (len < 64 ? 0 : len));
		}
		for (uint8_t i = 0; i < 16; i++)
			key[i] = i;
	}
}

/* The first two of the authors' SipHash-2-4-128 vectors: the empty message and the message 00. */
static void published_vectors(void **state)
{
	static const uint8_t want[2][16] = {
	    {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93},
	    {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45},
	};
	uint8_t key[16], got[16];
	uint64_t hash[2];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	for (size_t len = 0; len < 2; len++) {
		siphash24_128(key, "", len, hash);
		to_bytes(hash, got);
		assert_memory_equal(got, want[len], 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(published_vectors),
	    cmocka_unit_test(agrees_with_openssl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
