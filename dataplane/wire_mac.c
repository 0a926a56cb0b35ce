/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire_mac.h"

#include <endian.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define HASH_BYTES 32u

struct wire_mac {
	EVP_MAC_CTX *context; /* with the key */
	uint32_t key_id;
};

int wire_mac_create(
    struct wire_mac **out, const uint8_t *key, size_t key_len, uint32_t key_id, struct error *err)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end(),
	};
	struct wire_mac *mac = NULL;
	EVP_MAC *hmac = NULL;
	int rc = 0;

	*out = NULL;
	if (key_len < WIRE_KEY_MIN_BYTES || key_len > WIRE_KEY_MAX_BYTES)
		return error_set(err, -EINVAL, "key %u has %zu bytes: %u to %u are needed", key_id, key_len,
		    WIRE_KEY_MIN_BYTES, WIRE_KEY_MAX_BYTES);
	mac = calloc(1, sizeof(*mac));
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (mac == NULL || hmac == NULL) {
		rc = error_set(err, -ENOMEM, "key %u: no HMAC from OpenSSL", key_id);
		goto out;
	}
	mac->key_id = key_id;
	mac->context = EVP_MAC_CTX_new(hmac);
	if (mac->context == NULL || EVP_MAC_init(mac->context, key, key_len, params) != 1) {
		rc = error_set(err, -ENOMEM, "key %u: OpenSSL does not take it", key_id);
		goto out;
	}
	*out = mac;
	mac = NULL;
out:
	EVP_MAC_free(hmac);
	wire_mac_destroy(mac);
	return rc;
}

void wire_mac_destroy(struct wire_mac *mac)
{
	if (mac == NULL)
		return;
	EVP_MAC_CTX_free(mac->context);
	free(mac);
}

uint32_t wire_mac_key_id(const struct wire_mac *mac)
{
	return mac->key_id;
}

/* Without a key, EVP_MAC_init() starts again with the one that is there. */
static bool compute(struct wire_mac *mac, const uint8_t *data, size_t len, uint8_t hash[HASH_BYTES])
{
	size_t got = 0;

	return EVP_MAC_init(mac->context, NULL, 0, NULL) == 1 &&
	       EVP_MAC_update(mac->context, data, len) == 1 &&
	       EVP_MAC_final(mac->context, hash, &got, HASH_BYTES) == 1 && got == HASH_BYTES;
}

size_t wire_mac_seal(struct wire_mac *mac, uint8_t *datagram, size_t len, size_t size)
{
	uint32_t key_id = htole32(mac->key_id);
	uint8_t hash[HASH_BYTES];

	if (size < WIRE_TRAILER_BYTES || len > size - WIRE_TRAILER_BYTES)
		return 0;
	memcpy(datagram + len, &key_id, sizeof(key_id));
	len += sizeof(key_id);
	if (!compute(mac, datagram, len, hash))
		return 0;
	memcpy(datagram + len, hash, WIRE_MAC_BYTES);
	return len + WIRE_MAC_BYTES;
}

bool wire_mac_verify(struct wire_mac *mac, const struct wire_frame *frame)
{
	const uint8_t *datagram = frame->payload - WIRE_HEADER_BYTES;
	uint8_t hash[HASH_BYTES];

	if (frame->mac == NULL || frame->key_id != mac->key_id ||
	    !compute(mac, datagram, (size_t)(frame->mac - datagram), hash))
		return false;
	return CRYPTO_memcmp(hash, frame->mac, WIRE_MAC_BYTES) == 0;
}
