/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct packet three[] = {
    {.data = "a\n", .len = 2, .stream = 1, .kind = PACKET_PAYLOAD},
    {.data = "bb\n", .len = 3, .stream = 2, .kind = PACKET_PAYLOAD},
    {.data = "ccc\n", .len = 4, .kind = PACKET_ETHERNET, .flags = PACKET_UDP_CHECKSUM_GOOD},
};

static void rounds_end(void **state)
{
	/* Five at a time over 2 x 3 packets. */
	static const int expected[] = {5, 1, -ENODATA, -ENODATA};
	struct packet packets[5];
	struct source_stats stats;
	struct source *source;
	uint32_t seen = 0;

	(void)state;
	assert_int_equal(source_memory_create("m", three, 3, 2, true, &source, NULL), 0);
	assert_string_equal(source->name, "m");
	assert_true(source->lossless);
	for (uint32_t i = 0; i < 4; i++) {
		int n = source_poll(source, packets, 5);

		assert_int_equal(n, expected[i]);
		for (int p = 0; p < n; p++, seen++)
			assert_memory_equal(&packets[p], &three[seen % 3], sizeof(packets[p]));
		if (n > 0)
			source_release(source, packets, (uint32_t)n);
	}
	source->ops->stats(source, &stats);
	assert_int_equal(stats.packets, 6);
	assert_int_equal(stats.bytes, 2 * (2 + 3 + 4));
	assert_int_equal(stats.missed + stats.errors + stats.recoveries, 0);
	source_destroy(source);
}

static void zero_rounds_never_end(void **state)
{
	struct packet packets[SOURCE_BURST];
	struct source *source;

	(void)state;
	assert_int_equal(source_memory_create("m", three, 3, 0, false, &source, NULL), 0);
	assert_false(source->lossless);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(source_poll(source, packets, SOURCE_BURST), SOURCE_BURST);
		assert_ptr_equal(packets[0].data, three[i * SOURCE_BURST % 3].data);
	}
	source_destroy(source);
}

static void no_packets_is_refused(void **state)
{
	struct source *source = (struct source *)&three;
	struct error err;

	(void)state;
	assert_int_equal(source_memory_create("empty", three, 0, 1, false, &source, &err), -EINVAL);
	assert_null(source);
	assert_string_equal(err.text, "source empty: no packets");
	source_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rounds_end),
	    cmocka_unit_test(zero_rounds_never_end),
	    cmocka_unit_test(no_packets_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
