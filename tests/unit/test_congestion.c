/* SPDX-License-Identifier: BSD-3-Clause */
#include "libpenstock/address.h"
#include "libpenstock/congestion.h"
#include "libpenstock/histogram.h"
#include "libpenstock/rtt.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* The numbers that RFC 6298 gives. */
static void round_trips_are_smoothed(void **state)
{
	struct rtt rtt;

	(void)state;
	rtt_init(&rtt);
	assert_int_equal(rtt.rto_us, 200000);
	rtt_sample(&rtt, 100000);
	assert_int_equal(rtt.srtt_us, 100000);
	assert_int_equal(rtt.rttvar_us, 50000);
	assert_int_equal(rtt.rto_us, 300000);
	rtt_sample(&rtt, 180000);
	assert_int_equal(rtt.rttvar_us, 57500);
	assert_int_equal(rtt.srtt_us, 110000);
	assert_int_equal(rtt.rto_us, 340000);
	assert_int_equal(rtt.min_us, 100000);
	assert_int_equal(rtt_timeout_us(&rtt, 2), 1360000);
	assert_int_equal(rtt_timeout_us(&rtt, 40), RTT_MAX_RTO_US);
	for (int i = 0; i < 100; i++)
		rtt_sample(&rtt, 50);
	assert_in_range(rtt.srtt_us, 45, 60);
	assert_int_equal(rtt.rto_us, RTT_MIN_RTO_US);
	rtt_sample(&rtt, UINT32_MAX);
	assert_true(rtt.rto_us <= RTT_MAX_RTO_US);
}

static void the_window_doubles_then_adds_and_gives_way_once_per_round_trip(void **state)
{
	struct congestion c;

	(void)state;
	congestion_init(&c, 0, 0);
	congestion_restart(&c, 1000, 0);
	assert_true(c.window == CONGESTION_FIRST_WINDOW);
	congestion_delivered(&c, 16, true);
	assert_true(c.window == 32);
	congestion_delivered(&c, 16, false); /* the sender had not more to send */
	assert_true(c.window == 32);
	for (int i = 0; i < 100; i++)
		congestion_delivered(&c, 64, true);
	assert_true(c.window == 1000);
	assert_true(congestion_lost(&c, 500, 1000));
	assert_true(c.window == 700);
	assert_false(congestion_lost(&c, 999, 1100)); /* sent before the answer to the first loss */
	assert_true(c.window == 700);
	congestion_delivered(&c, 700, true);
	assert_true(c.window > 700.9 && c.window < 701.1);
	assert_true(congestion_lost(&c, 1000, 2000));
	congestion_silence(&c, 3000);
	assert_true(c.window == CONGESTION_MIN_WINDOW);
	assert_false(congestion_lost(&c, 2999, 3001));
	for (uint64_t t = 4000; t < 9000; t += 1000)
		congestion_lost(&c, t, t);
	assert_true(c.window == CONGESTION_MIN_WINDOW);
}

/* Whatever the rhythm of the calls: not more than the rate, and a little more than half of it at least. */
static void the_pace_is_kept(void **state)
{
	static const uint64_t steps[] = {1, 37, 250, 1000, 1900};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct congestion c;
		uint64_t sent = 0, now;

		congestion_init(&c, 20000, 0);
		congestion_restart(&c, 500, 0);
		for (now = 0; now < 2000000; now += steps[i]) {
			congestion_refill(&c, 1000, now);
			while (congestion_paced(&c)) {
				congestion_sent(&c, 5);
				sent += 5;
			}
			assert_true(congestion_next_us(&c, now) > now);
		}
		assert_in_range(sent, 36000, 40000 + 100);
	}
}

static void quantiles_are_right_to_a_sixteenth(void **state)
{
	static struct histogram h;

	(void)state;
	memset(&h, 0, sizeof(h));
	assert_int_equal(histogram_quantile(&h, 0.5), 0);
	for (uint32_t value = 1; value <= 100000; value++)
		histogram_add(&h, value);
	assert_in_range(histogram_quantile(&h, 0.5), 50000 * 15 / 16, 50000 * 17 / 16);
	assert_in_range(histogram_quantile(&h, 0.99), 99000 * 15 / 16, 99000 * 17 / 16);
	assert_true(histogram_quantile(&h, 1) <= 100000 * 17 / 16);
	for (uint64_t value = 0; value <= UINT32_MAX; value += value / 100 + 1) {
		uint32_t middle = histogram_value(histogram_bucket((uint32_t)value));

		assert_true(histogram_bucket((uint32_t)value) < HISTOGRAM_BUCKETS);
		assert_true(middle >= value - value / 16 && middle <= value + value / 16 + 1);
	}
	histogram_add(&h, UINT32_MAX);
}

static void addresses_are_read(void **state)
{
	static const char *const bad[] = {"", "host", ":9", "host:", "host:0", "host:65536", "host:1x",
	    "::1:9", "[]:9", "host:-1", "host:999999"};
	struct address list[3];
	struct error err;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(address_resolve(bad[i], list, &n, 3, &err), -EINVAL);
	assert_int_equal(address_resolve("127.0.0.1:9000", list, &n, 3, &err), 0);
	assert_int_equal(address_resolve("[::1]:9000", list, &n, 3, &err), 0);
	assert_int_equal(address_resolve("127.0.0.1:9000", list, &n, 3, &err), 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].text, "127.0.0.1:9000");
	assert_string_equal(list[1].text, "[::1]:9000");
	assert_int_equal(address_resolve("127.0.0.2:9000", list, &n, 3, &err), 0);
	assert_int_equal(address_resolve("127.0.0.3:9000", list, &n, 3, &err), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_trips_are_smoothed),
	    cmocka_unit_test(the_window_doubles_then_adds_and_gives_way_once_per_round_trip),
	    cmocka_unit_test(the_pace_is_kept),
	    cmocka_unit_test(quantiles_are_right_to_a_sixteenth),
	    cmocka_unit_test(addresses_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
