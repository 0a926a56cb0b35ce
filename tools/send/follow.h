/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plain datagrams have no acknowledgement. Where the sender can see the daemon's control socket, on a test
 * host, it can go by the daemon's ledger instead: wait while too many events are sent and not settled
 * (durable, dead-lettered, duplicate or shed), or not even received. What the daemon never receives is
 * counted as lost, and does not hold up the rest.
 *
 * One thread. Cost: a request of about a millisecond whenever half of the window is used up.
 */
#ifndef PENSTOCK_FOLLOW_H
#define PENSTOCK_FOLLOW_H

#include "error.h"

#include <stdint.h>

struct follow;

/* `window`: events that may be sent and not settled; an eighth of it may be sent and not received. Reads
 * where the ledger stands now. 0, or -errno with the reason when no daemon answers at the socket. */
int follow_create(const char *socket, uint64_t window, struct follow **out, struct error *err);
void follow_destroy(struct follow *follow);

/* Waits until `sent` events since follow_create() are within the window. 0; -EINTR after a signal; or the
 * error of asking. */
int follow_wait(struct follow *follow, uint64_t sent, struct error *err);

/* Events that the daemon had not received a second after they were sent. */
uint64_t follow_lost(const struct follow *follow);

#endif
