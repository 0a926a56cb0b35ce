/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The frames that a client holds, in memory that is allocated once, and the ring of those that have a sequence.
 *
 * A frame that copies holds its datagram ready to be sent, events behind a place for the header; one that borrows holds
 * pointers, and its datagram is put together for each transmission. The ring's slots keep apart what every
 * acknowledgement looks at.
 */
#ifndef LIBPENSTOCK_FRAME_POOL_H
#define LIBPENSTOCK_FRAME_POOL_H

#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outgoing {
	uint64_t accepted_us; /* when its first event came */
	uint64_t spill_end;   /* end of its record in the spill file; 0: it has none */
	uint16_t count;
	uint16_t len; /* of the payload: events and the newlines between them */
	bool borrowed, recovered;
	bool sent; /* ever */
	uint64_t tags[WIRE_MAX_EVENTS];
	uint16_t end[WIRE_MAX_EVENTS]; /* where each event ends in the payload */
	union {
		const void *borrow[WIRE_MAX_EVENTS];
		uint8_t datagram[WIRE_MAX_EVENTS * sizeof(void *)]; /* and more: header, payload, trailer */
	};
};

static inline size_t outgoing_start(const struct outgoing *frame, uint32_t event)
{
	return event == 0 ? 0 : frame->end[event - 1] + 1u;
}

static inline size_t outgoing_event_len(const struct outgoing *frame, uint32_t event)
{
	return frame->end[event] - outgoing_start(frame, event);
}

static inline const uint8_t *outgoing_event(const struct outgoing *frame, uint32_t event)
{
	return frame->borrowed ? frame->borrow[event]
	                       : frame->datagram + WIRE_HEADER_BYTES + outgoing_start(frame, event);
}

/* Puts header's place and payload together at `out`, which has room for a datagram. */
void outgoing_gather(const struct outgoing *frame, uint8_t *out);

enum slot_state {
	SLOT_WAITING,  /* to be sent, for the first time in this session or again */
	SLOT_SENT,     /* not heard of */
	SLOT_RECEIVED, /* the appliance has it, in memory */
	SLOT_DONE,     /* durable, completed, no frame any more */
};

struct slot {
	struct outgoing *frame;
	uint64_t sent_us;
	uint64_t release_end; /* of what can go from the spill file with the frame; 0: nothing */
	uint64_t record_end;  /* of the frame's record; 0: it has none */
	uint32_t record_bytes;
	uint8_t state;      /* enum slot_state */
	bool sent_in_epoch; /* a transmission is a retransmission on the wire */
};

struct frame_pool {
	size_t frame_bytes;
	uint32_t n_frames, n_free;
	uint8_t *memory;
	struct outgoing **free;
	struct slot *ring; /* of n_frames slots, by sequence */
	uint64_t base;     /* lowest sequence that is not done */
	uint64_t next;     /* lowest that was not yet looked at for sending in this session; base..tail */
	uint64_t tail;     /* the next to be given out */
};

/* As many frames for datagrams of `datagram_bytes` as fit into `memory_bytes`. 0, -ENOMEM, or -ENOSPC if not even `min`
 * fit. */
int frame_pool_init(struct frame_pool *pool, size_t memory_bytes, uint32_t datagram_bytes, uint32_t min);
void frame_pool_free(struct frame_pool *pool);
size_t frame_pool_bytes(const struct frame_pool *pool);

/* An empty frame, or NULL. */
struct outgoing *frame_pool_take(struct frame_pool *pool);
void frame_pool_give(struct frame_pool *pool, struct outgoing *frame);

static inline struct slot *frame_pool_slot(const struct frame_pool *pool, uint64_t sequence)
{
	return &pool->ring[sequence % pool->n_frames];
}

static inline bool frame_pool_ring_full(const struct frame_pool *pool)
{
	return pool->tail - pool->base >= pool->n_frames;
}

/* Gives a frame the next sequence. The ring must not be full. */
void frame_pool_push(struct frame_pool *pool, struct outgoing *frame);

/* Gives the frames that are not done new sequences without gaps, from base on, as if none had been sent. */
void frame_pool_compact(struct frame_pool *pool);

#endif
