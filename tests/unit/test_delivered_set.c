/* SPDX-License-Identifier: BSD-3-Clause */
#include "delivered_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MANY 20000u

static void key_of(uint64_t n, uint64_t key[2])
{
	key[0] = n * UINT64_C(0x9e3779b97f4a7c15);
	key[1] = n % 7 == 0 ? 5 : n * UINT64_C(0xd1342543de82ef95); /* many in one place */
}

static void what_was_added_is_there_and_nothing_else(void **state)
{
	struct delivered_set *set = delivered_set_create();
	uint64_t key[2];

	(void)state;
	assert_non_null(set);
	for (uint64_t n = 0; n < MANY; n += 2) {
		key_of(n, key);
		assert_false(delivered_set_has(set, 3, RECORD_ENRICHED, key));
		assert_int_equal(delivered_set_add(set, 3, RECORD_ENRICHED, key), 0);
		assert_int_equal(delivered_set_add(set, 3, RECORD_ENRICHED, key), 0);
	}
	assert_int_equal(delivered_set_size(set), MANY / 2);
	for (uint64_t n = 0; n < MANY; n++) {
		key_of(n, key);
		assert_int_equal(delivered_set_has(set, 3, RECORD_ENRICHED, key), n % 2 == 0);
		assert_false(delivered_set_has(set, 3, RECORD_RAW, key));
		assert_false(delivered_set_has(set, 3, RECORD_DEAD_LETTER, key));
		assert_false(delivered_set_has(set, 2, RECORD_ENRICHED, key));
	}
	delivered_set_destroy(set);
	delivered_set_destroy(NULL);
}

static void a_key_of_zeros_is_a_key(void **state)
{
	struct delivered_set *set = delivered_set_create();
	const uint64_t zeros[2] = {0, 0}, free_slot[2] = {1, 0};

	(void)state;
	assert_non_null(set);
	assert_false(delivered_set_has(set, 0, RECORD_RAW, zeros));
	assert_int_equal(delivered_set_add(set, 0, RECORD_RAW, zeros), 0);
	assert_true(delivered_set_has(set, 0, RECORD_RAW, zeros));
	/* Two words of zeros mark a free slot, and take the place of this one. */
	assert_true(delivered_set_has(set, 0, RECORD_RAW, free_slot));
	delivered_set_destroy(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_added_is_there_and_nothing_else),
	    cmocka_unit_test(a_key_of_zeros_is_a_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
