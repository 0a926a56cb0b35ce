/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_partition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <librdkafka/rdkafka.h>

/* Published results of org.apache.kafka.common.utils.Utils.murmur2 (its own unit test). */
static void agrees_with_java(void **state)
{
	static const struct {
		const char *key;
		int32_t hash;
	} known[] = {
	    {"21", -973932308},
	    {"foobar", -790332482},
	    {"a-little-bit-long-string", -985981536},
	    {"a-little-bit-longer-string", -1486304829},
	    {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
	    {"abc", 479470107},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		for (int32_t n = 1; n < 200; n++)
			assert_int_equal(kafka_partition(known[i].key, strlen(known[i].key), n),
			    (int32_t)((uint32_t)known[i].hash & 0x7fffffffu) % n);
	}
}

static void agrees_with_librdkafka(void **state)
{
	unsigned char key[80];
	uint32_t x = 12345;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		size_t len = 1 + (size_t)i % sizeof(key);
		int32_t n = 1 + i % 997;

		for (size_t j = 0; j < len; j++) {
			x = x * 1664525u + 1013904223u;
			key[j] = (unsigned char)(x >> 24);
		}
		assert_int_equal(kafka_partition(key, len, n),
		    rd_kafka_msg_partitioner_murmur2(NULL, key, len, n, NULL, NULL));
	}
}

static void no_key_no_partition(void **state)
{
	(void)state;
	assert_int_equal(kafka_partition(NULL, 0, 4), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(agrees_with_java),
	    cmocka_unit_test(agrees_with_librdkafka),
	    cmocka_unit_test(no_key_no_partition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
