/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The plain kind of pattern, such as ^user-[a-z0-9]{1,32}$, run without a regular expression engine.
 *
 * The plain subset: "^", then pieces one after the other, then "$" (the very end of the text). A piece is an
 * ASCII character, an escaped punctuation mark, \d, \w or a bracket class of those and of ranges, with one of
 * ? * + {n} {m,} {m,n} or nothing behind. Where a piece may take fewer characters than it could, none of them
 * may also start what follows: then taking all is the only way to match, and there is nothing to go back for.
 * Everything else is for Hyperscan; so is a pattern with a syntax error, for its message.
 *
 * Any thread; immutable once compiled. Cost: 5 to 10 ns for an identifier.
 */
#ifndef PENSTOCK_PATTERN_H
#define PENSTOCK_PATTERN_H

#include "byteclass.h"

#define PATTERN_STEPS 16u
#define PATTERN_LITERAL_BYTES 16u

struct pattern_step {
	uint32_t min, max; /* how many members of the class; for a literal both are its length */
	bool literal;
	union {
		struct byteclass class;
		char bytes[PATTERN_LITERAL_BYTES];
	};
};

struct pattern {
	uint32_t min_len, max_len;
	uint32_t n_steps;
	struct pattern_step steps[PATTERN_STEPS];
};

/* 0, or -ENOTSUP: not of the plain kind, or longer than PATTERN_STEPS. */
int pattern_compile(const char *regex, struct pattern *out);

/* Whether the pattern matches the text; any bytes. */
bool pattern_match(const struct pattern *pattern, const char *text, uint32_t len);

#endif
