/* SPDX-License-Identifier: BSD-3-Clause */
#include "ring.h"

#include <rte_common.h>
#include <stdlib.h>

struct rte_ring *ring_create(uint32_t entries, unsigned int flags)
{
	uint32_t size = rte_align32pow2(entries + 1); /* a ring of n entries holds n - 1 */
	ssize_t bytes = rte_ring_get_memsize(size);
	struct rte_ring *ring = NULL;

	if (bytes < 0 || posix_memalign((void **)&ring, RTE_CACHE_LINE_SIZE, (size_t)bytes) != 0)
		return NULL;
	if (rte_ring_init(ring, "batches", size, flags) != 0) {
		free(ring);
		return NULL;
	}
	return ring;
}
