/* SPDX-License-Identifier: BSD-3-Clause */
#include "libpenstock/frame_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void outgoing_gather(const struct outgoing *frame, uint8_t *out)
{
	out += WIRE_HEADER_BYTES;
	if (!frame->borrowed) {
		memcpy(out, frame->datagram + WIRE_HEADER_BYTES, frame->len);
		return;
	}
	for (uint32_t i = 0; i < frame->count; i++) {
		if (i > 0)
			out[frame->end[i - 1]] = '\n';
		memcpy(out + outgoing_start(frame, i), frame->borrow[i], outgoing_event_len(frame, i));
	}
}

int frame_pool_init(struct frame_pool *pool, size_t memory_bytes, uint32_t datagram_bytes, uint32_t min)
{
	size_t own = sizeof(((struct outgoing *)NULL)->datagram);
	size_t room = datagram_bytes > own ? datagram_bytes : own, n;

	*pool = (struct frame_pool){0};
	pool->frame_bytes = (offsetof(struct outgoing, datagram) + room + 63) & ~(size_t)63;
	n = memory_bytes / (pool->frame_bytes + sizeof(struct slot) + sizeof(struct outgoing *));
	if (n < min)
		return -ENOSPC;
	pool->n_frames = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
	pool->memory = aligned_alloc(64, pool->n_frames * pool->frame_bytes);
	pool->free = calloc(pool->n_frames, sizeof(struct outgoing *));
	pool->ring = calloc(pool->n_frames, sizeof(struct slot));
	if (pool->memory == NULL || pool->free == NULL || pool->ring == NULL) {
		frame_pool_free(pool);
		return -ENOMEM;
	}
	/* The first one taken is the first in memory: what is never needed is never touched. */
	for (uint32_t i = pool->n_frames; i > 0; i--)
		pool->free[pool->n_free++] = (struct outgoing *)(pool->memory + (i - 1) * pool->frame_bytes);
	return 0;
}

void frame_pool_free(struct frame_pool *pool)
{
	free(pool->memory);
	free(pool->free);
	free(pool->ring);
	*pool = (struct frame_pool){0};
}

size_t frame_pool_bytes(const struct frame_pool *pool)
{
	return pool->n_frames * (pool->frame_bytes + sizeof(struct slot) + sizeof(struct outgoing *));
}

struct outgoing *frame_pool_take(struct frame_pool *pool)
{
	struct outgoing *frame;

	if (pool->n_free == 0)
		return NULL;
	frame = pool->free[--pool->n_free];
	frame->accepted_us = frame->spill_end = 0;
	frame->count = frame->len = 0;
	frame->borrowed = frame->recovered = frame->sent = false;
	return frame;
}

void frame_pool_give(struct frame_pool *pool, struct outgoing *frame)
{
	if (frame != NULL)
		pool->free[pool->n_free++] = frame;
}

void frame_pool_push(struct frame_pool *pool, struct outgoing *frame)
{
	*frame_pool_slot(pool, pool->tail++) = (struct slot){.frame = frame, .state = SLOT_WAITING};
}

void frame_pool_compact(struct frame_pool *pool)
{
	uint64_t to = pool->base;

	for (uint64_t sequence = pool->base; sequence < pool->tail; sequence++) {
		struct slot slot = *frame_pool_slot(pool, sequence);

		if (slot.state != SLOT_DONE) {
			slot.state = SLOT_WAITING;
			slot.sent_in_epoch = false;
			*frame_pool_slot(pool, to++) = slot;
		} else if (slot.release_end != 0 && to > pool->base) {
			frame_pool_slot(pool, to - 1)->release_end = slot.release_end;
		}
	}
	pool->tail = to;
	pool->next = pool->base;
}
