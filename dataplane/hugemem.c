/* SPDX-License-Identifier: BSD-3-Clause */
#include "hugemem.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/mman.h>
#include <numa.h>
#include <numaif.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGEPAGE_BYTES ((size_t)2 << 20)

static size_t round_up(size_t bytes, size_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

/* Before the first touch, so that the pages come from `node`. Hugepages are bound: without free ones on the
 * node populating fails. Ordinary pages only prefer the node, because binding them would call the OOM killer.
 */
static int place(const struct hugemem *mem, int node, int policy, struct error *err)
{
	struct bitmask *nodes;
	int rc = 0;

	if (node < 0 || numa_available() < 0)
		return 0;
	if (node > numa_max_node())
		return error_set(
		    err, -EINVAL, "there is no NUMA node %d: the last one is %d", node, numa_max_node());
	nodes = numa_allocate_nodemask();
	if (nodes == NULL)
		return error_set(err, -ENOMEM, "no memory for a mask of NUMA nodes");
	numa_bitmask_setbit(nodes, (unsigned int)node);
	/* The kernel reads one bit less than it is told. */
	if (mbind(mem->address, mem->bytes, policy, nodes->maskp, nodes->size + 1, 0) != 0)
		rc = error_set(err, -errno, "cannot place %zu bytes on NUMA node %d: %s", mem->bytes, node,
		    strerror(errno));
	numa_free_nodemask(nodes);
	return rc;
}

/* Takes every page now. MADV_POPULATE_WRITE reports what a touch would answer with SIGBUS, for example when a
 * control group's limit or another NUMA node's pages are all that is left of a reservation. */
static int populate(const struct hugemem *mem, struct error *err)
{
	while (madvise(mem->address, mem->bytes, MADV_POPULATE_WRITE) != 0) {
		if (errno == EINTR || errno == EAGAIN)
			continue;
		if (errno == EINVAL)
			return error_set(
			    err, -EINVAL, "cannot populate memory: Linux 5.14 or newer is needed");
		return error_set(
		    err, -ENOMEM, "cannot take %zu bytes of memory: %s", mem->bytes, strerror(errno));
	}
	return 0;
}

static int64_t read_count(int node, const char *name)
{
	char path[160];
	int64_t count = -1;
	FILE *file;

	if (node >= 0)
		(void)snprintf(path, sizeof(path),
		    "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/%s", node, name);
	else
		(void)snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-2048kB/%s", name);
	file = fopen(path, "re");
	if (file == NULL)
		return -1;
	if (fscanf(file, "%" SCNd64, &count) != 1)
		count = -1;
	(void)fclose(file);
	return count;
}

/* Says how many hugepages are missing and how to get them. */
static int explain_missing(size_t bytes, int node, struct error *err)
{
	int64_t needed = (int64_t)(bytes / HUGEPAGE_BYTES);
	int64_t total = read_count(-1, "nr_hugepages"), available = read_count(-1, "free_hugepages");
	int64_t reserved = read_count(-1, "resv_hugepages");
	int64_t on_node = node >= 0 ? read_count(node, "free_hugepages") : -1;

	if (total < 0 || available < 0)
		return error_set(err, -ENOMEM,
		    "%" PRId64 " hugepages of 2 MB are needed, but this kernel offers none", needed);
	/* Free pages may already be promised to mappings that have not touched them. */
	available -= reserved > 0 ? reserved : 0;
	if (available < needed)
		return error_set(err, -ENOMEM,
		    "%" PRId64 " hugepages of 2 MB are needed, %" PRId64 " are free, %" PRId64
		    " are missing: sysctl -w vm.nr_hugepages=%" PRId64,
		    needed, available, needed - available, total + needed - available);
	if (on_node >= 0 && on_node < needed)
		return error_set(err, -ENOMEM,
		    "%" PRId64 " hugepages of 2 MB are needed on NUMA node %d, %" PRId64
		    " are free there, %" PRId64 " are missing: echo %" PRId64
		    " > /sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages",
		    needed, node, on_node, needed - on_node,
		    read_count(node, "nr_hugepages") + needed - on_node, node);
	return error_set(err, -ENOMEM,
	    "%" PRId64
	    " hugepages of 2 MB are free but cannot be had: a limit of the control group (hugetlb.2MB.max)"
	    " or of the process may forbid it",
	    needed);
}

static int map_huge(size_t bytes, int node, struct hugemem *out, struct error *err)
{
	struct hugemem mem = {.bytes = round_up(bytes, HUGEPAGE_BYTES), .huge = true};
	int rc;

	/* Without MAP_NORESERVE the kernel promises the pages here, or refuses. */
	mem.address = mmap(NULL, mem.bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
	if (mem.address == MAP_FAILED)
		return explain_missing(mem.bytes, node, err);
	rc = place(&mem, node, MPOL_BIND, err);
	if (rc != 0)
		goto err;
	rc = populate(&mem, err);
	if (rc == -ENOMEM) {
		hugemem_free(&mem);
		return explain_missing(round_up(bytes, HUGEPAGE_BYTES), node, err);
	}
	if (rc != 0)
		goto err;
	*out = mem;
	return 0;

err:
	hugemem_free(&mem);
	return rc;
}

static int map_ordinary(size_t bytes, int node, struct hugemem *out, struct error *err)
{
	struct hugemem mem = {.bytes = round_up(bytes, (size_t)sysconf(_SC_PAGESIZE))};
	size_t slack = mem.bytes >= HUGEPAGE_BYTES ? HUGEPAGE_BYTES : 0;
	uintptr_t start, aligned;
	void *mapped;
	int rc;

	/* Maps more and trims, so that transparent hugepages fit from the first byte on. */
	mapped = mmap(NULL, mem.bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mapped == MAP_FAILED)
		return error_set(err, -ENOMEM, "cannot map %zu bytes: %s", mem.bytes, strerror(errno));
	start = (uintptr_t)mapped;
	aligned = slack != 0 ? round_up(start, HUGEPAGE_BYTES) : start;
	if (aligned != start)
		(void)munmap(mapped, aligned - start);
	if (start + slack != aligned)
		(void)munmap((void *)(aligned + mem.bytes), start + slack - aligned);
	mem.address = (void *)aligned;

	rc = place(&mem, node, MPOL_PREFERRED, err);
	if (rc != 0)
		goto err;
	/* Advice: a kernel without transparent hugepages says EINVAL, and the memory works all the same. */
	(void)madvise(mem.address, mem.bytes, MADV_HUGEPAGE);
	rc = populate(&mem, err);
	if (rc != 0)
		goto err;
	*out = mem;
	return 0;

err:
	hugemem_free(&mem);
	return rc;
}

int hugemem_alloc(size_t bytes, int node, enum hugepages mode, struct hugemem *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	if (bytes == 0)
		return error_set(err, -EINVAL, "a mapping of 0 bytes was asked for");
	if (bytes > PTRDIFF_MAX - 2 * HUGEPAGE_BYTES)
		return error_set(err, -ENOMEM, "cannot map %zu bytes: more than the address space", bytes);
	switch (mode) {
	case HUGEPAGES_REQUIRED:
		return map_huge(bytes, node, out, err);
	case HUGEPAGES_AUTO:
		/* What is wrong with the node would be wrong with ordinary pages too, and is reported there.
		 */
		if (map_huge(bytes, node, out, NULL) == 0)
			return 0;
		return map_ordinary(bytes, node, out, err);
	case HUGEPAGES_OFF:
		return map_ordinary(bytes, node, out, err);
	}
	return error_set(err, -EINVAL, "unknown hugepage mode %d", (int)mode);
}

void hugemem_free(struct hugemem *mem)
{
	if (mem == NULL || mem->address == NULL)
		return;
	(void)munmap(mem->address, mem->bytes);
	memset(mem, 0, sizeof(*mem));
}
