/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large, long-lived memory: hugepages on a given NUMA node, taken at start-up or on a snapshot push, never on
 * the hot path. Control thread; hugemem_free() from any thread.
 */
#ifndef PENSTOCK_HUGEMEM_H
#define PENSTOCK_HUGEMEM_H

#include "config.h"
#include "error.h"

#include <stddef.h>

struct hugemem {
	void *address; /* zeroed; aligned to 2 MB where hugepages are used, else to a page */
	size_t bytes;  /* what was mapped: the request rounded up */
	bool huge;     /* explicit hugepages; otherwise ordinary pages with transparent hugepages advised */
};

/* Maps `bytes` on NUMA node `node` (-1: anywhere). HUGEPAGES_REQUIRED fails with -ENOMEM and says how many pages
 * are missing; AUTO falls back to ordinary pages; OFF does not try. All pages are touched before it returns. */
int hugemem_alloc(size_t bytes, int node, enum hugepages mode, struct hugemem *out, struct error *err);

/* A zeroed struct is allowed. */
void hugemem_free(struct hugemem *mem);

#endif
