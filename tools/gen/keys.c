/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen/keys.h"

#include <string.h>

#define ID_BITS 35
#define ID_DIGITS 7 /* 36^7 > 2^35 */

static const char countries[][3] = {
    "us", "de", "fr", "gb", "es", "it", "pl", "se", "jp", "in", "br", "ca", "mx", "sg", "au", "za"};

/* An odd factor is a permutation of the ids, so that neighbours in rank are not neighbours in text. */
static size_t key_text(char *out, const char *prefix, uint64_t id)
{
	uint64_t n = (id * 0x5851f42d4c957f2du) & ((1ull << ID_BITS) - 1);
	size_t len = strlen(prefix);

	memcpy(out, prefix, len);
	for (size_t i = ID_DIGITS; i-- > 0; n /= 36)
		out[len + i] = "0123456789abcdefghijklmnopqrstuvwxyz"[n % 36];
	out[len + ID_DIGITS] = '\0';
	return len + ID_DIGITS;
}

size_t key_product(char *out, uint64_t id)
{
	return key_text(out, "prod-", id);
}

size_t key_unknown_product(char *out, uint64_t id)
{
	return key_text(out, "prod-none", id);
}

size_t key_user(char *out, uint64_t id)
{
	return key_text(out, "user-", id);
}

const char *key_place_country(uint64_t id)
{
	return countries[id % (sizeof(countries) / sizeof(countries[0]))];
}

size_t key_place(char *out, uint64_t id)
{
	char prefix[4];

	memcpy(prefix, key_place_country(id), 2);
	prefix[2] = '-';
	prefix[3] = '\0';
	return key_text(out, prefix, id);
}

size_t key_decimal(char *out, uint64_t n)
{
	char digits[20];
	size_t len = 0;

	do {
		digits[sizeof(digits) - ++len] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	memcpy(out, digits + sizeof(digits) - len, len);
	return len;
}
