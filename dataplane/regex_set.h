/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regular expressions, compiled into one Hyperscan database.
 *
 * An expression is searched for anywhere in the text, in Hyperscan's syntax, over UTF-8 code points. There
 * are two deviations. `$` means the very end of the text: in PCRE it also matches before a final newline,
 * which lets "ok\n" through a pattern that ends in `$`. So every `$` is compiled as `\z`; and since that
 * would change what
 * `(?m)` means, and `(?x)` comments cannot be told from the rest, those two inline flags are refused.
 *
 * A set is made on the control thread, immutable afterwards, shared by all workers, each with its own
 * scratch.
 */
#ifndef PENSTOCK_REGEX_SET_H
#define PENSTOCK_REGEX_SET_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hs_scratch;
struct regex_set;

struct regex {
	const char *text;
	uint32_t max_bytes; /* a match must end within so many bytes; 0: no bound */
};

/* Compiles the n > 0 expressions; their index is their number. 0; -ENOMEM; -ENOTSUP: not on this CPU; -EINVAL
 * with Hyperscan's message in err and the expression's index in *bad (or n: the set as a whole). */
int regex_set_create(
    const struct regex *regexes, size_t n, struct regex_set **out, size_t *bad, struct error *err);
void regex_set_destroy(struct regex_set *set);

/* Makes *scratch large enough for this set too; *scratch is initially NULL. 0 or -ENOMEM. */
int regex_set_scratch(const struct regex_set *set, struct hs_scratch **scratch);
void regex_set_scratch_free(struct hs_scratch *scratch);

/* Whether expression `index` is found in the text, which must be valid UTF-8. No allocation. Cost: 40 to 200
 * ns. */
bool regex_set_match(
    const struct regex_set *set, struct hs_scratch *scratch, size_t index, const char *text, uint32_t len);

#endif
