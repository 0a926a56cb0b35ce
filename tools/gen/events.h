/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Well-formed events of each stream, as drafts.
 */
#ifndef PENSTOCK_GEN_EVENTS_H
#define PENSTOCK_GEN_EVENTS_H

#include "gen/draft.h"
#include "gen/zipf.h"

struct event_maker {
	struct gen_options options;
	struct zipf products, users, places;
};

void event_maker_init(struct event_maker *maker, const struct gen_options *options);

/* Makes event `index`. Returns true if its product is in no dimension. */
bool event_make(const struct event_maker *maker, uint64_t index, struct draft *draft);

/* Writes "2025-06-17T23:30:05.123Z", 24 bytes, without NUL; ms is the Unix epoch, years 1970 to 9999. */
size_t event_time_text(char *out, int64_t ms);

#endif
