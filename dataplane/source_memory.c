/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct source_memory {
	struct source source;
	const struct packet *packets;
	uint32_t n, next;
	uint64_t rounds_left;
	bool for_ever;
	_Atomic uint64_t taken, bytes; /* worker: rw, control: ro */
};

static int memory_poll(struct source *source, struct packet *packets, uint32_t max)
{
	struct source_memory *memory = (struct source_memory *)source;
	uint64_t bytes = 0;
	uint32_t n = 0;

	if (memory->rounds_left == 0)
		return -ENODATA;
	while (n < max && memory->rounds_left > 0) {
		packets[n] = memory->packets[memory->next];
		bytes += packets[n++].len;
		if (++memory->next < memory->n)
			continue;
		memory->next = 0;
		if (!memory->for_ever)
			memory->rounds_left--;
	}
	atomic_store_explicit(&memory->taken, atomic_load_explicit(&memory->taken, memory_order_relaxed) + n,
	    memory_order_relaxed);
	atomic_store_explicit(&memory->bytes,
	    atomic_load_explicit(&memory->bytes, memory_order_relaxed) + bytes, memory_order_relaxed);
	return (int)n;
}

static void memory_release(struct source *source, struct packet *packets, uint32_t n)
{
	(void)source;
	(void)packets;
	(void)n;
}

static void memory_stats(struct source *source, struct source_stats *out)
{
	struct source_memory *memory = (struct source_memory *)source;

	*out = (struct source_stats){
	    .packets = atomic_load_explicit(&memory->taken, memory_order_relaxed),
	    .bytes = atomic_load_explicit(&memory->bytes, memory_order_relaxed),
	};
}

static void memory_destroy(struct source *source)
{
	free(source);
}

static const struct source_ops memory_ops = {
    .type = "memory",
    .poll = memory_poll,
    .release = memory_release,
    .stats = memory_stats,
    .destroy = memory_destroy,
};

int source_memory_create(const char *name, const struct packet *packets, uint32_t n, uint64_t rounds,
    bool lossless, struct source **out, struct error *err)
{
	struct source_memory *memory;

	*out = NULL;
	if (n == 0)
		return error_set(err, -EINVAL, "source %s: no packets", name);
	memory = calloc(1, sizeof(*memory));
	if (memory == NULL)
		return error_set(err, -ENOMEM, "source %s: out of memory", name);
	memory->source.ops = &memory_ops;
	memory->source.lossless = lossless;
	(void)snprintf(memory->source.name, sizeof(memory->source.name), "%s", name);
	memory->packets = packets;
	memory->n = n;
	memory->for_ever = rounds == 0;
	memory->rounds_left = memory->for_ever ? 1 : rounds;
	*out = &memory->source;
	return 0;
}
