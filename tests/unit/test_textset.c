/* SPDX-License-Identifier: BSD-3-Clause */
#include "textset.h"
#include "random_text.h"

static bool has(const struct textset *set, const char *text, uint32_t len)
{
	struct text t = {0};
	char *copy;
	bool found;

	t.len = len;
	memcpy(t.bytes, text, len);
	copy = exact_copy(&t);
	found = textset_has(set, copy, len);
	free(copy);
	return found;
}

static void members_and_others(void **state)
{
	char *texts[] = {"", "a", "aa", "aaa", "aaaa", "aaaaaaa", "aaaaaaaa", "PRODUCT_VIEW",
	    "PRODUCT_CREATED", "the same at both ends 1 the same at both ends",
	    "the same at both ends 2 the same at both ends", "a"};
	const char *const others[] = {"b", "ab", "aba", "aab", "aabaa", "aaaaa", "aaaaaaaaa", "PRODUCT_VIEWS",
	    "product_view", "the same at both ends 3 the same at both ends", "the same at both ends"};
	struct textset set;

	(void)state;
	assert_int_equal(textset_create(texts, sizeof(texts) / sizeof(texts[0]), &set), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_true(has(&set, texts[i], (uint32_t)strlen(texts[i])));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(has(&set, others[i], (uint32_t)strlen(others[i])));
	assert_false(has(&set, "a\0", 2));
	assert_false(has(&set, "\0", 1));
	textset_destroy(&set);
	textset_destroy(&set);
}

static void equals_a_plain_search(void **state)
{
	enum { N = 200 };
	uint64_t seed = 3;
	char *texts[N];

	(void)state;
	for (int round = 0; round < 50; round++) {
		size_t n = 1 + rnd(&seed, N);
		struct textset set;

		for (size_t i = 0; i < n; i++) {
			struct text t = {0};

			put_some(&t, &seed, "ab", rnd(&seed, 4) ? rnd(&seed, 9) : rnd(&seed, 40));
			t.bytes[t.len++] = '\0';
			texts[i] = exact_copy(&t);
		}
		assert_int_equal(textset_create(texts, n, &set), 0);
		for (int i = 0; i < 2000; i++) {
			struct text t = {0};
			bool want = false;

			if (rnd(&seed, 2))
				put_some(&t, &seed, "ab", rnd(&seed, 9));
			else
				put(&t, texts[rnd(&seed, (uint32_t)n)]);
			if (rnd(&seed, 2))
				mutate(&t, &seed, "ab");
			for (size_t k = 0; k < n && !want; k++)
				want = strlen(texts[k]) == t.len && memcmp(texts[k], t.bytes, t.len) == 0;
			assert_int_equal(has(&set, t.bytes, t.len), want);
		}
		textset_destroy(&set);
		for (size_t i = 0; i < n; i++)
			free(texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(members_and_others),
	    cmocka_unit_test(equals_a_plain_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
