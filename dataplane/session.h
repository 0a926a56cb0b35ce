/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One session of the event transport: which frames of a sender have been received and which are durable, and what an
 * acknowledgement says about them. No network here and no lookup: transport.c has those.
 *
 * Frames of one session may arrive at several workers at once, and their events complete on any sink thread. A frame is
 * one 64-bit word that changes by atomic operations only:
 *
 *     empty ── claim ─► received(pending events) ── last event complete ─► durable ── claim of sequence + window ─► …
 *       ▲                                         └─ an event was given up ─► empty: its retransmission is new
 *
 * session_claim() by any worker, session_complete() and session_forget() by whoever ends an event, session_acknowledge()
 * by the session's home worker only. No locks, no allocation. A claim costs one compare-and-swap, an event one
 * decrement; an acknowledgement walks over the frames that the sender does not yet know to be durable.
 */
#ifndef PENSTOCK_SESSION_H
#define PENSTOCK_SESSION_H

#include "wire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What workers write, what sinks write and what is only read have cache lines of their own. */
struct session_frames {
	uint32_t window;        /* frames; at most WIRE_MAX_WINDOW */
	_Atomic uint64_t base;  /* home worker: rw, workers: ro. All frames below are durable */
	uint64_t newly_durable; /* home worker: how far `base` moved in its life */
	_Atomic uint64_t
	    *word; /* [window] workers, sinks: rw. sequence << 16 | phase << 8 | pending events */
	_Atomic uint64_t *excepted; /* [window / 64, rounded up] workers, sinks: rw. Frames with exceptions */
	_Atomic uint8_t
	    *reason; /* [window * WIRE_MAX_EVENTS] workers, sinks: rw. wire_reason codes; 0: none */
	uint8_t apart_from_workers[64];
	_Atomic uint64_t sender_base; /* workers: rw. The highest base that the sender has announced */
	_Atomic uint64_t head;        /* workers: rw. One past the highest frame received */
	_Atomic uint32_t claimed;     /* workers: rw. Frames taken; wraps */
	uint8_t apart_from_sinks[64];
	_Atomic uint32_t
	    released; /* whoever completes a frame: rw. Frames whose events are all complete; wraps */
};

/* Bytes of the three arrays for a window. */
size_t session_frames_bytes(uint32_t window);

/* `memory` is zeroed, session_frames_bytes() long and aligned to 8, and stays the caller's. */
void session_frames_init(struct session_frames *frames, uint32_t window, void *memory);

/* For the next session in the same memory: nobody uses it any more. */
void session_frames_reset(struct session_frames *frames, uint64_t base);

enum session_claim {
	SESSION_NEW, /* the frame is the caller's to process: each of its events must complete or be forgotten */
	SESSION_REPEATED, /* it has been received before */
	SESSION_OUTSIDE,  /* not in the window, or its place is still in use */
};

/* What a claim would say now, without making it. */
enum session_claim session_peek(const struct session_frames *frames, uint64_t sequence, uint64_t base);

/* Takes the frame `sequence` of `count` events, whose header said `base`. */
enum session_claim session_claim(
    struct session_frames *frames, uint64_t sequence, uint64_t base, uint32_t count);

/* The sender's base has moved up (PROBE, or a repeated frame). It may be above all that this session knows: frames may
 * have become durable in an earlier one. */
void session_sender_base(struct session_frames *frames, uint64_t base);

/* Event `event` of the frame in `slot` (sequence modulo window) is complete, with an exception's code or 0. True if the
 * frame is complete with it: the caller then says so to the home worker, and ends with session_release(). */
bool session_complete(struct session_frames *frames, uint32_t slot, uint32_t event, uint8_t code);

/* The event will never be complete: the frame has to come again. Likewise. */
bool session_forget(struct session_frames *frames, uint32_t slot);

/* The last touch of a complete frame's session by whoever completed it. */
static inline void session_release(struct session_frames *frames)
{
	atomic_fetch_add_explicit(&frames->released, 1, memory_order_acq_rel);
}

/* Frames whose events are not all complete. Exact once no worker can claim any more. */
static inline uint32_t session_pending(const struct session_frames *frames)
{
	uint32_t released = atomic_load_explicit(&frames->released, memory_order_acquire);

	return atomic_load_explicit(&frames->claimed, memory_order_acquire) - released;
}

/* Moves `base` up as far as frames are durable. Home worker. */
uint64_t session_advance(struct session_frames *frames);

/* Fills base and sequence of the header, and client_base, bitmaps and exceptions of the acknowledgement. Home worker. */
void session_acknowledge(struct session_frames *frames, struct wire_header *header, struct wire_ack *ack);

#endif
