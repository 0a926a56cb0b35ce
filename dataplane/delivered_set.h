/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which records of a journal's replay are in their topics already, as found there at the start: a set of (stream, output,
 * identity). Grows as it is filled; one thread fills it, afterwards anybody may look. An open-addressing table at most half
 * full; the identities are keyed hashes, so they need no hashing of their own. 16 bytes per slot.
 */
#ifndef PENSTOCK_DELIVERED_SET_H
#define PENSTOCK_DELIVERED_SET_H

#include "batch.h"

struct delivered_set;

/* NULL without memory. */
struct delivered_set *delivered_set_create(void);
/* NULL is allowed. */
void delivered_set_destroy(struct delivered_set *set);

/* 0 or -ENOMEM. Once more is no harm. */
int delivered_set_add(
    struct delivered_set *set, uint16_t stream, enum record_kind kind, const uint64_t key[2]);
bool delivered_set_has(
    const struct delivered_set *set, uint16_t stream, enum record_kind kind, const uint64_t key[2]);
uint64_t delivered_set_size(const struct delivered_set *set);

#endif
