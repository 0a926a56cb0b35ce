/* SPDX-License-Identifier: BSD-3-Clause */
#include "ledger.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct worker_ledger) % 8 == 0 && sizeof(struct sink_ledger) % 8 == 0,
    "published blocks are arrays of 64-bit words");

static const char *const stage_names[] = {
    [STAGE_RX] = "rx",
    [STAGE_FRAME] = "frame",
    [STAGE_PARSE] = "parse",
    [STAGE_VALIDATE] = "validate",
    [STAGE_DEDUP] = "dedup",
    [STAGE_ENRICH] = "enrich",
    [STAGE_EMIT] = "emit",
};
_Static_assert(sizeof(stage_names) / sizeof(stage_names[0]) == STAGE_COUNT, "every stage has a name");

const char *stage_name(enum stage stage)
{
	return stage_names[stage];
}

struct published *published_create(size_t bytes)
{
	struct published *published = calloc(1, sizeof(*published) + bytes);

	if (published != NULL)
		published->words = (uint32_t)(bytes / 8);
	return published;
}

void published_destroy(struct published *published)
{
	free(published);
}

void published_begin(struct published *published)
{
	uint32_t sequence = atomic_load_explicit(&published->sequence, memory_order_relaxed);

	atomic_store_explicit(&published->sequence, sequence + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

void published_write(struct published *published, size_t offset, const void *block, size_t bytes)
{
	const uint64_t *from = block;
	size_t first = offset / 8;

	for (size_t i = 0; i < bytes / 8; i++)
		atomic_store_explicit(&published->word[first + i], from[i], memory_order_relaxed);
}

void published_end(struct published *published)
{
	uint32_t sequence = atomic_load_explicit(&published->sequence, memory_order_relaxed);

	atomic_store_explicit(&published->sequence, sequence + 1, memory_order_release);
}

void published_read(const struct published *published, void *block, size_t bytes)
{
	uint64_t *to = block;
	uint32_t before, after;

	do {
		do {
			before = atomic_load_explicit(&published->sequence, memory_order_acquire);
		} while (before & 1);
		for (size_t i = 0; i < bytes / 8; i++)
			to[i] = atomic_load_explicit(&published->word[i], memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		after = atomic_load_explicit(&published->sequence, memory_order_relaxed);
	} while (before != after);
}

/* Every member of the counts is a uint64_t, so a block adds up word by word. */
static void add_words(void *to, const void *from, size_t bytes)
{
	uint64_t *sum = to;
	const uint64_t *part = from;

	for (size_t i = 0; i < bytes / 8; i++)
		sum[i] += part[i];
}

void ledger_sum(const struct worker_ledger *workers, size_t n_workers, const struct sink_ledger *sinks,
    size_t n_sinks, uint16_t stream, bool idle, struct ledger_line *out)
{
	uint64_t completed;
	bool workers_balance = true;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < n_workers; i++) {
		const struct worker_stream_counts *c = &workers[i].stream[stream];

		if (c->received != c->handed + c->duplicate + c->shed + c->parked)
			workers_balance = false;
		add_words(&out->worker, c, sizeof(*c));
	}
	for (size_t i = 0; i < n_sinks; i++)
		add_words(&out->sink, &sinks[i].stream[stream], sizeof(sinks[i].stream[stream]));

	out->received = out->worker.received;
	out->durable = out->sink.durable;
	out->dead_lettered = out->sink.dead_lettered;
	out->duplicate = out->worker.duplicate;
	out->shed = out->worker.shed + out->sink.shed;
	completed = out->durable + out->dead_lettered + out->sink.shed;
	out->in_flight = out->worker.handed - completed + out->worker.parked;
	out->conserved = workers_balance && completed <= out->worker.handed && (!idle || out->in_flight == 0);
}
