/* SPDX-License-Identifier: BSD-3-Clause */
#include "libpenstock/client.h"

#include "reason.h"
#include "wire_reason.h"

#include <errno.h>

static void note_record(struct slot *slot)
{
	slot->release_end = slot->record_end = slot->frame->spill_end;
	slot->record_bytes = spill_record_bytes(slot->frame);
}

/* Puts all frames of the ring that are not there yet into the spill file, so that it holds everything, in order. */
static int spill_ring(struct penstock *p)
{
	for (uint64_t sequence = p->pool.base; sequence < p->pool.tail; sequence++) {
		struct slot *slot = frame_pool_slot(&p->pool, sequence);
		int ret;

		if (slot->state == SLOT_DONE || slot->frame->spill_end != 0)
			continue;
		ret = spill_append(p->spill, slot->frame, false, &p->error);
		if (ret != 0)
			return ret;
		note_record(slot);
	}
	return 0;
}

static bool spill_unread(const struct penstock *p)
{
	return p->spill != NULL && spill_counts(p->spill)->unread_frames > 0;
}

int stage_push(struct penstock *p)
{
	int ret = 0;

	/* What is in the file comes first, so all else goes behind it. */
	if (spill_unread(p) || (p->spill != NULL && p->away && p->pool.n_free == 0)) {
		if (!spill_unread(p))
			ret = spill_ring(p);
		if (ret == 0)
			ret = spill_append(p->spill, p->stage, true, &p->error);
		if (ret != 0)
			return ret == -ENOSPC ? -EAGAIN : ret;
		frame_pool_give(&p->pool, p->stage);
		p->stage = frame_pool_take(&p->pool);
		return 0;
	}
	if (p->pool.n_free == 0 || frame_pool_ring_full(&p->pool))
		return -EAGAIN;
	frame_pool_push(&p->pool, p->stage);
	p->stage = frame_pool_take(&p->pool);
	p->transmit_us = 0;
	return 0;
}

uint64_t stage_due_us(const struct penstock *p)
{
	/* While others wait to be sent, or to be read back, it may as well wait for more. */
	if (p->stage->count == 0 || p->pool.next != p->pool.tail || spill_unread(p) || p->pool.n_free == 0 ||
	    frame_pool_ring_full(&p->pool))
		return NEVER;
	return p->flushing ? 0 : p->stage->accepted_us + p->linger_us;
}

void spill_refill(struct penstock *p, uint64_t now_us)
{
	p->spill_failure = 0;
	while (spill_unread(p) && p->pool.n_free > 0 && !frame_pool_ring_full(&p->pool)) {
		struct outgoing *frame = frame_pool_take(&p->pool);
		int ret = spill_read(p->spill, frame, &p->error);

		if (ret != 1) {
			frame_pool_give(&p->pool, frame);
			p->spill_failure = ret;
			return;
		}
		frame->accepted_us = now_us;
		frame_pool_push(&p->pool, frame);
		note_record(frame_pool_slot(&p->pool, p->pool.tail - 1));
		p->transmit_us = 0;
	}
}

static void complete_event(struct penstock *p, const struct outgoing *frame, uint32_t event,
    enum penstock_outcome outcome, const char *reason, uint64_t latency_us)
{
	uint64_t *const counts[] = {
	    &p->stats.durable, &p->stats.duplicate, &p->stats.rejected, &p->stats.spilled, &p->stats.unknown};
	struct penstock_result result = {.tag = frame->tags[event],
	    .data = outgoing_event(frame, event),
	    .len = outgoing_event_len(frame, event),
	    .outcome = outcome,
	    .reason = reason,
	    .latency_us = latency_us < UINT32_MAX ? (uint32_t)latency_us : UINT32_MAX,
	    .recovered = frame->recovered};

	++*counts[outcome];
	p->completed++;
	if (p->on_complete != NULL)
		p->on_complete(p->context, &result);
}

void complete_frame(
    struct penstock *p, uint64_t sequence, const uint8_t reasons[WIRE_MAX_EVENTS], uint64_t now_us)
{
	struct slot *slot = frame_pool_slot(&p->pool, sequence);
	struct outgoing *frame = slot->frame;
	uint64_t latency_us = now_us - frame->accepted_us;

	if (slot->state == SLOT_SENT)
		p->in_flight--;
	else if (slot->state == SLOT_WAITING && sequence < p->pool.next)
		p->resend--;
	slot->state = SLOT_DONE;
	slot->frame = NULL;
	histogram_add(&p->ack_histogram, latency_us < UINT32_MAX ? (uint32_t)latency_us : UINT32_MAX);
	for (uint32_t i = 0; i < frame->count; i++) {
		enum reason reason = wire_reason(reasons[i]);

		if (reasons[i] == 0)
			complete_event(p, frame, i, PENSTOCK_DURABLE, "", latency_us);
		else if (reason == REASON_DUPLICATE)
			complete_event(p, frame, i, PENSTOCK_DUPLICATE, "duplicate", latency_us);
		else
			complete_event(p, frame, i, PENSTOCK_REJECTED,
			    reason == REASON_NONE ? "unknown" : reason_info(reason)->name, latency_us);
	}
	frame_pool_give(&p->pool, frame);
}

void complete_advance(struct penstock *p)
{
	uint64_t released = 0;

	while (p->pool.base < p->pool.tail && frame_pool_slot(&p->pool, p->pool.base)->state == SLOT_DONE) {
		uint64_t end = frame_pool_slot(&p->pool, p->pool.base++)->release_end;

		if (end != 0)
			released = end;
	}
	if (p->pool.next < p->pool.base)
		p->pool.next = p->pool.base;
	if (released != 0)
		spill_release(p->spill, released);
}

void complete_forget_gaps(struct penstock *p)
{
	if (p->spill == NULL)
		return;
	for (uint64_t sequence = p->pool.base; sequence < p->pool.tail; sequence++) {
		struct slot *slot = frame_pool_slot(&p->pool, sequence);

		if (slot->state == SLOT_DONE && slot->record_end != 0) {
			spill_forget(p->spill, slot->record_end, slot->record_bytes);
			slot->record_end = 0;
		}
	}
}

/* Without its outcome: at close. */
static void give_up(struct penstock *p, const struct outgoing *frame, uint64_t now_us)
{
	bool spilled = frame->spill_end != 0;

	for (uint32_t i = 0; i < frame->count; i++)
		complete_event(p, frame, i, spilled ? PENSTOCK_SPILLED : PENSTOCK_UNKNOWN, "",
		    now_us - frame->accepted_us);
}

void complete_rest(struct penstock *p, uint64_t now_us)
{
	struct error ignored;

	/* What does not fit stays without a record, and so is unknown. */
	if (p->spill != NULL) {
		bool behind = spill_unread(p);

		complete_forget_gaps(p);
		if (spill_ring(p) == 0 && p->stage->count > 0)
			(void)spill_append(p->spill, p->stage, behind, &p->error);
		if (spill_sync(p->spill, &ignored) != 0)
			p->error = ignored;
	}
	for (uint64_t sequence = p->pool.base; sequence < p->pool.tail; sequence++) {
		struct slot *slot = frame_pool_slot(&p->pool, sequence);

		if (slot->state != SLOT_DONE) {
			give_up(p, slot->frame, now_us);
			slot->state = SLOT_DONE;
			frame_pool_give(&p->pool, slot->frame);
		}
	}
	if (p->stage->count > 0 && (p->stage->spill_end == 0 || !spill_unread(p)))
		give_up(p, p->stage, now_us);
	p->stage->count = p->stage->len = 0;
	while (spill_unread(p) && spill_read(p->spill, p->stage, &p->error) == 1) {
		p->stage->accepted_us = now_us;
		give_up(p, p->stage, now_us);
	}
	p->stage->count = 0;
}

bool complete_pending(const struct penstock *p)
{
	return p->pool.base < p->pool.tail || p->stage->count > 0 || spill_unread(p);
}
