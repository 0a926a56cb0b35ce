/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An event before it is written: member names and JSON values in order, which can be changed, removed and
 * repeated. Values are kept as JSON text. Bounds are asserted: the callers are this library's own event
 * makers.
 */
#ifndef PENSTOCK_GEN_DRAFT_H
#define PENSTOCK_GEN_DRAFT_H

#include "gen/gen.h"
#include "gen/rng.h"

#define DRAFT_FIELDS 24u

struct draft_field {
	const char *name; /* as written between the quotes */
	uint16_t name_len;
	uint16_t start, len; /* the value, in text */
};

struct draft {
	uint32_t n;
	uint32_t used;
	struct draft_field field[DRAFT_FIELDS];
	char text[GEN_EVENT_MAX];
};

enum draft_layout {
	DRAFT_COMPACT,
	DRAFT_SPACED, /* a space after each colon and comma */
	DRAFT_PADDED, /* white space of all kinds but the newline, everywhere, also around the event */
};

void draft_clear(struct draft *draft);

/* Appends a member. */
void draft_string(struct draft *draft, const char *name, const char *value, size_t len); /* needs no escape */
void draft_integer(struct draft *draft, const char *name, uint64_t value);
void draft_cents(struct draft *draft, const char *name, uint64_t cents);
void draft_json(struct draft *draft, const char *name, const char *json, size_t len);

/* NULL if there is none of that name. */
struct draft_field *draft_find(struct draft *draft, const char *name);

/* Gives a member another value; appends the member if there is none. */
void draft_set(struct draft *draft, const char *name, const char *json, size_t len);
void draft_remove(struct draft *draft, const char *name);
void draft_shuffle(struct draft *draft, struct rng *rng);

/* Writes the event to `out` (GEN_EVENT_MAX bytes) and returns its length. */
size_t draft_write(const struct draft *draft, enum draft_layout layout, struct rng *rng, char *out);

#endif
