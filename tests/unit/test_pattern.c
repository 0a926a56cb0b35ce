/* SPDX-License-Identifier: BSD-3-Clause */
#include "pattern.h"
#include "random_text.h"

#include <errno.h>
#include <stdio.h>

#define PATTERNS 2000
#define TEXTS_PER_PATTERN 100

static void known_answers(void **state)
{
	static const struct {
		const char *regex, *text;
		bool match;
	} cases[] = {
	    {"^user-[a-z0-9]{1,32}$", "user-abc", true},
	    {"^user-[a-z0-9]{1,32}$", "user-", false},
	    {"^user-[a-z0-9]{1,32}$", "user-abc\n", false},
	    {"^user-[a-z0-9]{1,32}$", "user-0123456789abcdef0123456789abcdef", true},
	    {"^user-[a-z0-9]{1,32}$", "user-0123456789abcdef0123456789abcdef0", false},
	    {"^user-[a-z0-9]{1,32}$", "user-0123456789abcdef0123456789abcdEf", false},
	    {"^user-[a-z0-9]{1,32}$", "xuser-abc", false},
	    {"^$", "", true},
	    {"^$", "a", false},
	    {"^\\d{4}-\\d{2}$", "2025-06", true},
	    {"^\\w+\\$$", "cost$", true},
	    {"^[a-z]?[0-9]*$", "", true},
	    {"^[a-z]?[0-9]*$", "x12", true},
	    {"^[a-z]?[0-9]*$", "xx", false},
	    {"^[+-]?\\d+(?:)$", NULL, false},
	    {"^[-+]?\\d+$", "-15", true},
	    {"^[\\w.-]+@x$", "a.b-c@x", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pattern p;

		if (cases[i].text == NULL) {
			assert_int_equal(pattern_compile(cases[i].regex, &p), -ENOTSUP);
			continue;
		}
		if (pattern_compile(cases[i].regex, &p) != 0 ||
		    pattern_match(&p, cases[i].text, (uint32_t)strlen(cases[i].text)) != cases[i].match)
			fail_msg("%s on \"%s\"", cases[i].regex, cases[i].text);
	}
}

static void left_to_hyperscan(void **state)
{
	static const char *const regexes[] = {"", "abc", "^abc", "abc$", "^a|b$", "^(a)$", "^a.b$", "^[^a]$",
	    "^a+?$", "^a++$", "^a{0}$", "^a{2,1}$", "^a{,2}$", "^a{x}$", "^[z-a]$", "^[a", "^[a-$",
	    "^[[:alpha:]]$", "^\\s$", "^\\D$", "^\\bx$", "^\\", "^a\\$", "^[\\d-z]$", "^[a-\\d]$", "^[]a]$",
	    "^\xc3\xa9$", "^[\xc3\xa9]$", "^a]$", "^a}$", "^*$", "^a^$", "^a$$", "^[a-z]*[a-f]$", "^\\w?\\d$",
	    "^[a-z]*-?[a-z]$", "^a{32768}$", "^a{99999999999}$",
	    "^a[b]{2}c[d]{2}e[f]{2}g[h]{2}i[j]{2}k[l]{2}m[n]{2}o[p]{2}q[r]{2}$", "^(?i)a$", "^\\x41$",
	    "^\\Qa\\E$"};
	struct pattern p;

	(void)state;
	for (size_t i = 0; i < sizeof(regexes) / sizeof(regexes[0]); i++)
		if (pattern_compile(regexes[i], &p) != -ENOTSUP)
			fail_msg("%s", regexes[i]);
}

static const char *const atoms[] = {"a", "b", "-", "_", "7", "\\.", "\\-", "\\$", "\\[", "\\d", "\\w",
    "[a-c]", "[ab-]", "[-xyz]", "[a-z0-9]", "[A-Za-z_]", "[\\d_]", "[\\w-]", "[.,;]", "[\\]\\\\]", "[ -~]",
    "[$^]", "[a-cx-z]", "[0]", "user-", "prod_", "http://", "@", "#", ":", "[!-/]"};
static const char *const quantifiers[] = {
    "", "", "", "?", "*", "+", "{2}", "{1,3}", "{0,2}", "{2,}", "{1,32}", "{16}", "{0,40}", "{1}"};

/* A text that has a fair chance to match: a few members of each piece in turn. */
static void put_likely(struct text *t, uint64_t *state, const struct pattern *p)
{
	for (uint32_t i = 0; i < p->n_steps; i++) {
		const struct pattern_step *step = &p->steps[i];
		uint32_t most = step->max < 45 ? step->max : 45, n;

		if (step->literal) {
			for (n = 0; n < step->max && t->len < TEXT_MAX; n++)
				t->bytes[t->len++] = step->bytes[n];
			continue;
		}
		n = step->min + (most > step->min ? rnd(state, most - step->min + 1) : 0);
		while (n > 0 && t->len < TEXT_MAX) {
			char c = (char)rnd(state, 128);

			if (byteclass_has(&step->class, (uint8_t)c)) {
				t->bytes[t->len++] = c;
				n--;
			}
		}
	}
}

static void equals_hyperscan(void **state)
{
	static const char alphabet[] = "abcxyzAZ_-.$[]\\^0179 ,user@~\x7f\n\t";
	uint32_t plain = 0, matched = 0, refused = 0;
	uint64_t seed = 11;

	(void)state;
	while (plain < PATTERNS) {
		struct oracle oracle;
		struct text regex = {0};
		struct pattern p;

		put(&regex, "^");
		for (uint32_t n = rnd(&seed, 6); n > 0; n--) {
			put(&regex, atoms[rnd(&seed, sizeof(atoms) / sizeof(atoms[0]))]);
			put(&regex, quantifiers[rnd(&seed, sizeof(quantifiers) / sizeof(quantifiers[0]))]);
		}
		put(&regex, "$");
		if (rnd(&seed, 4) == 0)
			mutate(&regex, &seed, "ab0-\\d[]{},^$?+*w");
		regex.bytes[regex.len] = '\0';
		if (pattern_compile(regex.bytes, &p) != 0)
			continue;
		plain++;
		oracle_open(&oracle, regex.bytes, 0);
		for (int i = 0; i < TEXTS_PER_PATTERN; i++) {
			struct text t = {0};
			bool want, got;
			char *copy;

			if (rnd(&seed, 4))
				put_likely(&t, &seed, &p);
			else
				put_some(&t, &seed, alphabet, rnd(&seed, 20));
			if (rnd(&seed, 2))
				mutate(&t, &seed, alphabet);
			if (rnd(&seed, 40) == 0 && t.len < TEXT_MAX - 2)
				put(&t, "\xc3\xa9");
			copy = exact_copy(&t);
			want = oracle_match(&oracle, copy, t.len);
			got = pattern_match(&p, copy, t.len);
			if (want != got)
				fail_msg("%s on \"%.*s\": Hyperscan %d, matcher %d", regex.bytes, (int)t.len,
				    copy, want, got);
			free(copy);
			matched += got;
			refused += !got;
		}
		oracle_close(&oracle);
	}
	assert_true(matched > refused / 4);
	assert_true(refused > matched / 4);
}

/* Every byte at every place of texts around the widths of the vector code. */
static void every_byte_everywhere(void **state)
{
	struct byteclass class = {{0}};
	struct pattern p;

	(void)state;
	byteclass_add(&class, 'a', 'f');
	byteclass_add(&class, '0', '9');
	assert_int_equal(pattern_compile("^[a-f0-9]{0,40}$", &p), 0);
	for (uint32_t len = 1; len <= 40; len++) {
		char *text = malloc(len);

		assert_non_null(text);
		memset(text, 'a', len);
		for (uint32_t at = 0; at < len; at++) {
			for (int c = 0; c < 256; c++) {
				bool member = (c >= 'a' && c <= 'f') || (c >= '0' && c <= '9');

				text[at] = (char)c;
				assert_int_equal(pattern_match(&p, text, len), member);
				assert_int_equal(byteclass_run(&class, text, len), member ? len : at);
			}
			text[at] = 'a';
		}
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_answers),
	    cmocka_unit_test(left_to_hyperscan),
	    cmocka_unit_test(every_byte_everywhere),
	    cmocka_unit_test(equals_hyperscan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
