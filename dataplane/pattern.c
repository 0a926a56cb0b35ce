/* SPDX-License-Identifier: BSD-3-Clause */
#include "pattern.h"

#include <errno.h>

#define REPEAT_MAX 32767u /* as in Hyperscan */

static bool is_alphanumeric(char c)
{
	return (unsigned char)((c | 0x20) - 'a') < 26 || (unsigned char)(c - '0') < 10;
}

static bool is_printable(char c)
{
	return c >= ' ' && c <= '~';
}

/* A backslash and what follows, as members of a class. Returns how much was read; 0: not of the subset. */
static uint32_t read_escape(const char *text, struct byteclass *class)
{
	if (text[1] == 'd' || text[1] == 'w')
		byteclass_add(class, '0', '9');
	if (text[1] == 'w') {
		byteclass_add(class, 'A', 'Z');
		byteclass_add(class, 'a', 'z');
		byteclass_add(class, '_', '_');
	}
	if (text[1] == 'd' || text[1] == 'w')
		return 2;
	if (!is_printable(text[1]) || is_alphanumeric(text[1]))
		return 0;
	byteclass_add(class, (uint8_t)text[1], (uint8_t)text[1]);
	return 2;
}

/* A bracket class. Returns how much was read; 0: not of the subset. */
static uint32_t read_class(const char *text, struct byteclass *class)
{
	uint32_t at = 1, n;

	if (text[at] == '^' || text[at] == ']')
		return 0;
	for (; text[at] != ']'; at += n) {
		char c = text[at];

		if (c == '\\') {
			n = read_escape(text + at, class);
			/* An escape may not be the start of a range. */
			if (n == 0 || (text[at + n] == '-' && text[at + n + 1] != ']'))
				return 0;
			continue;
		}
		if (!is_printable(c) || c == '[')
			return 0;
		n = 1;
		if (c == '-' && at != 1 && text[at + 1] != ']')
			return 0;
		if (text[at + 1] == '-' && text[at + 2] != ']') {
			char last = text[at + 2];

			if (!is_printable(last) || last == '[' || last == '\\' || last < c)
				return 0;
			byteclass_add(class, (uint8_t)c, (uint8_t)last);
			n = 3;
		} else {
			byteclass_add(class, (uint8_t)c, (uint8_t)c);
		}
	}
	return at + 1;
}

/* One piece without its quantifier. Returns how much was read; 0: not of the subset. */
static uint32_t read_piece(const char *text, struct byteclass *class)
{
	if (*text == '[')
		return read_class(text, class);
	if (*text == '\\')
		return read_escape(text, class);
	if (!is_printable(*text) || strchr("^$.|?*+(){}]", *text) != NULL)
		return 0;
	byteclass_add(class, (uint8_t)*text, (uint8_t)*text);
	return 1;
}

/* Up to five digits. Returns how many. */
static uint32_t read_count(const char *text, uint32_t *count)
{
	uint32_t n = 0;

	for (*count = 0; n < 5 && (unsigned char)(text[n] - '0') < 10; n++)
		*count = *count * 10 + (uint32_t)(text[n] - '0');
	return n;
}

/* An optional quantifier. Returns how much was read, or -1: not of the subset. */
static int read_quantifier(const char *text, uint32_t *min, uint32_t *max)
{
	uint32_t at = 1, n;

	*min = *max = 1;
	switch (*text) {
	case '?':
		*min = 0;
		break;
	case '*':
		*min = 0;
		*max = UINT32_MAX;
		break;
	case '+':
		*max = UINT32_MAX;
		break;
	case '{':
		n = read_count(text + at, min);
		at += n;
		*max = *min;
		if (n != 0 && text[at] == ',') {
			at += 1 + read_count(text + at + 1, max);
			if (text[at - 1] == ',')
				*max = UINT32_MAX;
		}
		if (n == 0 || text[at++] != '}' || *min > REPEAT_MAX || *max == 0 || *max < *min ||
		    (*max > REPEAT_MAX && *max != UINT32_MAX))
			return -1;
		break;
	default:
		return 0;
	}
	/* A second one would make it lazy or possessive. */
	return strchr("?*+{", text[at]) != NULL && text[at] != '\0' ? -1 : (int)at;
}

static bool single_member(const struct byteclass *class, char *member)
{
	uint32_t n = 0;

	for (uint8_t c = 0; c < 128; c++) {
		if (byteclass_has(class, c)) {
			*member = (char)c;
			n++;
		}
	}
	return n == 1;
}

/* Appends a piece; characters in a row become one literal. */
static bool add_piece(struct pattern *p, const struct byteclass *class, uint32_t min, uint32_t max)
{
	struct pattern_step *last = p->n_steps > 0 ? &p->steps[p->n_steps - 1] : NULL;
	char member;

	if (min == 1 && max == 1 && single_member(class, &member)) {
		if (last == NULL || !last->literal || last->max == PATTERN_LITERAL_BYTES) {
			if (p->n_steps == PATTERN_STEPS)
				return false;
			last = &p->steps[p->n_steps++];
			*last = (struct pattern_step){.literal = true};
		}
		last->bytes[last->max] = member;
		last->min = ++last->max;
		return true;
	}
	if (p->n_steps == PATTERN_STEPS)
		return false;
	p->steps[p->n_steps++] = (struct pattern_step){.min = min, .max = max, .class = *class};
	return true;
}

/* Whether the step's class has a member that can also come right after it. */
static bool ambiguous(const struct pattern *p, uint32_t i)
{
	const struct pattern_step *step = &p->steps[i];

	if (step->min == step->max)
		return false;
	while (++i < p->n_steps) {
		const struct pattern_step *next = &p->steps[i];

		if (next->literal)
			return byteclass_has(&step->class, (uint8_t)next->bytes[0]);
		for (int k = 0; k < 16; k++)
			if ((step->class.low[k] & next->class.low[k]) != 0)
				return true;
		if (next->min > 0)
			return false;
	}
	return false;
}

int pattern_compile(const char *regex, struct pattern *out)
{
	uint64_t min_len = 0, max_len = 0;

	*out = (struct pattern){0};
	if (*regex++ != '^')
		return -ENOTSUP;
	while (strcmp(regex, "$") != 0) {
		struct byteclass class = {{0}};
		uint32_t min, max, n = read_piece(regex, &class);
		int quantifier;

		if (n == 0)
			return -ENOTSUP;
		regex += n;
		quantifier = read_quantifier(regex, &min, &max);
		if (quantifier < 0 || !add_piece(out, &class, min, max))
			return -ENOTSUP;
		regex += quantifier;
	}
	for (uint32_t i = 0; i < out->n_steps; i++) {
		if (ambiguous(out, i))
			return -ENOTSUP;
		min_len += out->steps[i].min;
		max_len += out->steps[i].max;
	}
	out->min_len = (uint32_t)min_len;
	out->max_len = max_len < UINT32_MAX ? (uint32_t)max_len : UINT32_MAX;
	return 0;
}

/* Both are n bytes, 1 to 16. */
static inline bool equal(const char *a, const char *b, uint32_t n)
{
	uint64_t a8, b8, a8_last, b8_last;
	uint32_t a4, b4, a4_last, b4_last;

	if (n >= 8) {
		memcpy(&a8, a, 8);
		memcpy(&b8, b, 8);
		memcpy(&a8_last, a + n - 8, 8);
		memcpy(&b8_last, b + n - 8, 8);
		return ((a8 ^ b8) | (a8_last ^ b8_last)) == 0;
	}
	if (n >= 4) {
		memcpy(&a4, a, 4);
		memcpy(&b4, b, 4);
		memcpy(&a4_last, a + n - 4, 4);
		memcpy(&b4_last, b + n - 4, 4);
		return ((a4 ^ b4) | (a4_last ^ b4_last)) == 0;
	}
	return ((a[0] ^ b[0]) | (a[n / 2] ^ b[n / 2]) | (a[n - 1] ^ b[n - 1])) == 0;
}

bool pattern_match(const struct pattern *pattern, const char *text, uint32_t len)
{
	uint32_t at = 0;

	if (len < pattern->min_len || len > pattern->max_len)
		return false;
	for (uint32_t i = 0; i < pattern->n_steps; i++) {
		const struct pattern_step *step = &pattern->steps[i];
		uint32_t rest = len - at, n;

		if (step->literal) {
			if (rest < step->max || !equal(text + at, step->bytes, step->max))
				return false;
			at += step->max;
			continue;
		}
		if (i + 1 == pattern->n_steps)
			return rest >= step->min && rest <= step->max &&
			       byteclass_all(&step->class, text + at, rest);
		n = byteclass_run(&step->class, text + at, rest < step->max ? rest : step->max);
		if (n < step->min)
			return false;
		at += n;
	}
	return at == len;
}
