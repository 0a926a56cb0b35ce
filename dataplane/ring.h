/* SPDX-License-Identifier: BSD-3-Clause */
/* rte_ring in ordinary memory, so that its users need no EAL. Control thread; free() ends it. */
#ifndef PENSTOCK_RING_H
#define PENSTOCK_RING_H

#include <rte_ring.h>

/* Room for at least `entries` pointers; `flags` as of rte_ring_init(). NULL without memory. */
struct rte_ring *ring_create(uint32_t entries, unsigned int flags);

#endif
