/* SPDX-License-Identifier: BSD-3-Clause */
#include "regex_set.h"
#include "random_text.h"

#include <errno.h>

static void searches(void **state)
{
	static const struct {
		const char *regex, *text;
		bool found;
	} cases[] = {
	    {"b+", "abc", true}, {"b+", "xyz", false}, {"^b", "abc", false}, {"a*", "", true},
	    {"^$", "", true}, {"^$", "\n", false}, {"^.$", "\xc3\xa9", true}, {"^..$", "\xc3\xa9", false},
	    {"(?i)^STRASSE$", "strasse", true},
	    /* The end means the end, wherever the anchor stands. */
	    {"^ok$", "ok", true}, {"^ok$", "ok\n", false}, {"^(a|b$)", "b\n", false},
	    {"(ok$|fine$)", "fine\n", false}, {"^[]$]+$", "]$", true}, {"^[]$]+$", "]$\n", false},
	    {"^[^]$]+$", "ab\n", true}, {"^[^]\\n$]+$", "ab\n", false}, {"^[[:alpha:]$]+$", "ab$", true},
	    {"^[[:alpha:]$]+$", "ab$\n", false}, {"^[\\]$]+$", "]$\n", false}, {"^[[$]$", "$", true},
	    {"^[[$]$", "$\n", false}, {"^cost\\$$", "cost$", true}, {"^cost\\$$", "cost$\n", false},
	    {"^cost\\\\$", "cost\\", true}, {"^cost\\\\$", "cost\\\n", false}, {"^\\Q$[\\E$", "$[", true},
	    {"^\\Q$[\\E$", "$[\n", false}, {"^a(?#not [ a class)$", "a", true},
	    {"^a(?#not [ a class)$", "a\n", false}, {"^a\\Z", "a\n", true}, /* asked for by name */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct oracle oracle;

		oracle_open(&oracle, cases[i].regex, 0);
		if (oracle_match(&oracle, cases[i].text, (uint32_t)strlen(cases[i].text)) != cases[i].found)
			fail_msg("%s in \"%s\"", cases[i].regex, cases[i].text);
		oracle_close(&oracle);
	}
}

static void each_expression_for_itself(void **state)
{
	static const struct regex regexes[] = {{"a", 0}, {"b", 0}, {"^a*\\z", 3}};
	struct hs_scratch *scratch = NULL;
	struct regex_set *set;
	struct error err;
	size_t bad;

	(void)state;
	assert_int_equal(regex_set_create(regexes, 3, &set, &bad, &err), 0);
	assert_int_equal(regex_set_scratch(set, &scratch), 0);
	assert_true(regex_set_match(set, scratch, 0, "ab", 2));
	assert_true(regex_set_match(set, scratch, 1, "ab", 2));
	assert_false(regex_set_match(set, scratch, 2, "ab", 2));
	assert_true(regex_set_match(set, scratch, 2, "aaa", 3));
	assert_false(regex_set_match(set, scratch, 2, "aaaa", 4));
	assert_false(regex_set_match(set, scratch, 0, NULL, 0));
	assert_true(regex_set_match(set, scratch, 2, NULL, 0));
	regex_set_scratch_free(scratch);
	regex_set_destroy(set);
}

static void refusals_name_the_expression(void **state)
{
	static const struct {
		const char *regex, *message;
	} cases[] = {
	    {"(", "Missing close parenthesis"},
	    {"a(?=b)", "Zero-width assertions are not supported"},
	    {"[z-a]", "Range out of order"},
	    {"(?m)^a$", "inline flags m and x"},
	    {"(?ix:a # b)", "inline flags m and x"},
	    {"[abc", ""},
	    {"abc\\", ""},
	    {"\\Qabc", NULL}, /* quoted to the end: fine */
	    {"(?#abc", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct regex regexes[] = {{"fine", 0}, {cases[i].regex, 0}};
		struct regex_set *set = (struct regex_set *)regexes;
		struct error err = {0};
		size_t bad = 99;

		if (cases[i].message == NULL) {
			assert_int_equal(regex_set_create(regexes, 2, &set, &bad, &err), 0);
			regex_set_destroy(set);
			continue;
		}
		assert_int_equal(regex_set_create(regexes, 2, &set, &bad, &err), -EINVAL);
		assert_null(set);
		assert_int_equal(bad, 1);
		if (err.text[0] == '\0' || strstr(err.text, cases[i].message) == NULL)
			fail_msg("%s: %s", cases[i].regex, err.text);
	}
	regex_set_destroy(NULL);
	regex_set_scratch_free(NULL);
}

/* Random syntax, most of it broken: refused or run, never worse. */
static void any_expression(void **state)
{
	static const char alphabet[] = "ab$$^[]()\\?*+{}|.,:#-QEdwxmzZ01";
	uint64_t seed = 5;
	int compiled = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct text t = {0};
		struct regex regex = {t.bytes, 0};
		struct hs_scratch *scratch = NULL;
		struct regex_set *set;
		struct error err;
		size_t bad;
		char *copy;

		put_some(&t, &seed, alphabet, rnd(&seed, 16));
		t.bytes[t.len++] = '\0';
		regex.text = copy = exact_copy(&t);
		if (regex_set_create(&regex, 1, &set, &bad, &err) == 0) {
			assert_int_equal(regex_set_scratch(set, &scratch), 0);
			(void)regex_set_match(set, scratch, 0, "ab$\n", 4);
			regex_set_scratch_free(scratch);
			regex_set_destroy(set);
			compiled++;
		}
		free(copy);
	}
	assert_in_range(compiled, 100, 2900);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(searches),
	    cmocka_unit_test(each_expression_for_itself),
	    cmocka_unit_test(refusals_name_the_expression),
	    cmocka_unit_test(any_expression),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
