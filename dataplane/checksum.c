/* SPDX-License-Identifier: BSD-3-Clause */
#include "checksum.h"

#include <string.h>

typedef uint64_t lanes __attribute__((vector_size(16)));

static inline lanes load(const unsigned char *p)
{
	lanes v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Words of 32 bits are summed in lanes of 64, so that nothing carries out: 2^32 of them would be needed. */
uint64_t checksum_add(uint64_t sum, const void *data, size_t len)
{
	const lanes low = {UINT32_MAX, UINT32_MAX};
	const unsigned char *p = data;
	lanes even = {0, 0}, odd = {0, 0}, even2 = {0, 0}, odd2 = {0, 0};
	uint64_t total, word = 0;

	for (; len >= 32; p += 32, len -= 32) {
		lanes a = load(p), b = load(p + 16);

		even += a & low;
		odd += a >> 32;
		even2 += b & low;
		odd2 += b >> 32;
	}
	even += even2;
	odd += odd2;
	if (len >= 16) {
		lanes a = load(p);

		even += a & low;
		odd += a >> 32;
		p += 16;
		len -= 16;
	}
	even += odd;
	total = even[0] + even[1];
	if (len >= 8) {
		memcpy(&word, p, 8);
		total += (word & UINT32_MAX) + (word >> 32);
		p += 8;
		len -= 8;
	}
	if (len > 0) {
		word = 0;
		if (len >= 4) {
			uint32_t four;

			memcpy(&four, p, 4);
			total += four;
			p += 4;
			len -= 4;
		}
		memcpy(&word, p, len);
		total += word;
	}
	/* At most 34 bits, however often it is called. */
	sum = (sum & UINT32_MAX) + (sum >> 32);
	return sum + (total & UINT32_MAX) + (total >> 32);
}
