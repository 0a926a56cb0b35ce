/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Duplicates whose original is still in flight, and whose sender waits for an acknowledgement. Each stays here until the
 * original is durable, and is then acknowledged as a duplicate, or until the original has been given up, and then its
 * frame has to come again. A bounded list of one worker, looked at a part at a time.
 *
 * Worker only; create and destroy on the control thread. No allocation in between.
 */
#ifndef PENSTOCK_PARKED_H
#define PENSTOCK_PARKED_H

#include "event.h"
#include "ledger.h"

#define PARKED_EVENTS 65536u
#define PARKED_CHECK_NS (50u * 1000) /* between two looks */
#define PARKED_CHECK_EVENTS 256u     /* in one look */

struct engine;
struct parked;

int parked_create(struct engine *engine, struct worker_ledger *ledger, struct parked **out);
/* NULL is allowed. */
void parked_destroy(struct parked *parked);

/* Parks a duplicate, or has its frame sent again where there is no room; counts it either way. `verdict` is what its sender
 * is told in the end. */
void parked_add(struct parked *parked, const struct event *event, enum reason verdict);

/* Lets go of those whose original has ended. Returns how many; *touched gets the bits of their streams. */
uint32_t parked_check(struct parked *parked, uint64_t now_ns, uint64_t *touched);

/* The worker ends: has everything that is left sent again. */
void parked_forget(struct parked *parked, uint64_t *touched);

struct parked_event {
	uint64_t key[2];
	uint32_t ticket;
	uint16_t stream;
	uint8_t verdict; /* enum reason */
};

struct parked {
	struct engine *engine;
	struct worker_ledger *ledger;
	uint64_t checked_ns;
	uint32_t n, next; /* next: where the next look begins */
	struct parked_event events[PARKED_EVENTS];
};

static inline bool parked_any(const struct parked *parked)
{
	return parked->n > 0;
}

#endif
