/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_partition.h"

#include <string.h>

#define MURMUR2_SEED 0x9747b28cu
#define MURMUR2_M 0x5bd1e995u

static uint32_t murmur2(const unsigned char *data, size_t len)
{
	uint32_t hash = MURMUR2_SEED ^ (uint32_t)len;
	size_t left = len;

	for (; left >= 4; data += 4, left -= 4) {
		uint32_t word;

		memcpy(&word, data, sizeof(word)); /* little endian, as are all machines this runs on */
		word *= MURMUR2_M;
		word ^= word >> 24;
		hash = (hash * MURMUR2_M) ^ (word * MURMUR2_M);
	}
	if (left > 0) {
		for (size_t i = 0; i < left; i++)
			hash ^= (uint32_t)data[i] << (8 * i);
		hash *= MURMUR2_M;
	}
	hash = (hash ^ (hash >> 13)) * MURMUR2_M;
	return hash ^ (hash >> 15);
}

int32_t kafka_partition(const void *key, size_t len, int32_t n_partitions)
{
	if (len == 0)
		return -1;
	return (int32_t)(murmur2(key, len) & 0x7fffffffu) % n_partitions;
}
