/* SPDX-License-Identifier: BSD-3-Clause */
#include "dim_files.h"
#include "dimtools/dim_index.h"

#include <errno.h>

static int never_same(void *context, uint32_t a, uint32_t b)
{
	++*(unsigned int *)context;
	assert_int_not_equal(a, b);
	return 0;
}

static unsigned int count_ref(
    const struct dimension_bucket *buckets, uint64_t n_buckets, uint64_t hash, uint32_t ref)
{
	const struct dimension_bucket *first = &buckets[dimension_first(hash, n_buckets)];
	const struct dimension_bucket *second = &buckets[dimension_second(hash, n_buckets)];
	unsigned int found = 0;

	for (unsigned int i = 0; i < 8; i++) {
		found += first->entry[i].ref == ref && first->entry[i].tag == dimension_tag(hash);
		if (second != first && dimension_bucket_full(first))
			found += second->entry[i].ref == ref && second->entry[i].tag == dimension_tag(hash);
	}
	return found;
}

/* At nine tenths of the entries in use most rows must be moved about; each must still be where lookups go. */
static void a_crowded_index_still_finds_all(void **state)
{
	enum { N = 7200, BUCKETS = 1000 };
	struct dimension_bucket *buckets = aligned_alloc(64, BUCKETS * sizeof(*buckets));
	struct dim_index index = {0};
	unsigned int asked = 0;
	uint64_t random = 5;
	size_t duplicate[2];

	(void)state;
	memset(buckets, 0, BUCKETS * sizeof(*buckets));
	for (uint32_t i = 0; i < N; i++) {
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		assert_int_equal(dim_index_add(&index, (random ^ random >> 29) * UINT64_C(0xbf58476d1ce4e5b9),
		                     i * 3 + 1, i),
		    0);
	}
	assert_int_equal(dim_index_place(&index, buckets, BUCKETS, never_same, &asked, duplicate), 0);
	assert_int_equal(asked, 0);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(count_ref(buckets, BUCKETS, index.entries[i].hash, i * 3 + 1), 1);
	dim_index_free(&index);
	free(buckets);
}

static void equal_hashes(void **state)
{
	struct dimension_bucket *buckets = aligned_alloc(64, 64 * sizeof(*buckets));
	struct dim_index index = {0};
	unsigned int asked = 0;
	size_t duplicate[2];

	(void)state;
	/* Different keys with one hash: sixteen have room, for a seventeenth another seed is needed. */
	for (uint32_t n = 1; n <= 17; n++) {
		assert_int_equal(dim_index_add(&index, UINT64_C(0x123456789abcdef0), n * 10, n), 0);
		memset(buckets, 0, 64 * sizeof(*buckets));
		asked = 0;
		assert_int_equal(dim_index_place(&index, buckets, 64, never_same, &asked, duplicate),
		    n <= 16 ? 0 : -ENOSPC);
		assert_int_equal(asked, n <= 16 ? n * (n - 1) / 2 : 16 * 17 / 2);
	}
	dim_index_free(&index);
	free(buckets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_crowded_index_still_finds_all),
	    cmocka_unit_test(equal_hashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
