/* SPDX-License-Identifier: BSD-3-Clause */
#include "fill.h"

#include <rte_branch_prediction.h>
#include <rte_prefetch.h>
#include <rte_ring.h>
#include <string.h>

/* How far ahead of their use packets are asked for, and how much of them. */
#define PREFETCH_PACKETS 4u
#define PREFETCH_PACKET_BYTES 2048u

/* The share of the batches that fire and forget leaves to acknowledged frames: one in so many. */
#define RESERVE 4u

/* The rings hold as many entries as there are batches. */
void fill_hand_over(struct pipeline *p, uint16_t stream)
{
	struct batch *batch = p->open[stream];

	p->open[stream] = NULL;
	if (batch == NULL)
		return;
	if (batch->n_events == 0) {
		batch_put(p->engine->pools[p->worker], batch);
		return;
	}
	atomic_store_explicit(&batch->refs, p->engine->n_sinks, memory_order_release);
	for (uint32_t s = 0; s < p->engine->n_sinks; s++)
		(void)rte_ring_sp_enqueue(p->engine->rings[p->worker][s], batch);
	p->ledger->worker.batches++;
}

/* Whether the batches that are left are for others than the sender of the current packet. */
static bool reserved(const struct pipeline *p)
{
	const struct batch_pool *pool = p->engine->pools[p->worker];

	return p->ticket == 0 && !p->source->lossless && transport_in_use(p->engine->transport) &&
	       batch_pool_free(pool) <= batch_pool_size(pool) / RESERVE;
}

/* Whether the stream's batch takes one more event of that bound in this burst, getting a new batch if it must
 * and can. */
enum room { ROOM, ROOM_NEXT_BURST, ROOM_NONE };

static enum room make_room(struct pipeline *p, uint16_t stream, uint32_t bound)
{
	struct batch *batch = p->open[stream];

	if (likely(batch != NULL && batch->used + p->planned_bytes[stream] + bound <= BATCH_BYTES &&
	           batch->n_events + p->planned_events[stream] < BATCH_EVENTS))
		return ROOM;
	if (p->planned_events[stream] > 0)
		return ROOM_NEXT_BURST;
	fill_hand_over(p, stream);
	batch = reserved(p) ? NULL
	                    : batch_get_for(p->engine->pools[p->worker], stream,
	                          (uint32_t)p->engine->config->n_streams);
	if (batch == NULL)
		return ROOM_NONE;
	batch->worker = p->worker;
	batch->arrival_ms = p->burst->now_ms;
	batch->opened_ns = clock_mono_ns(p->engine->clock);
	batch->completion = p->engine->completion;
	p->open[stream] = batch;
	return ROOM;
}

/* The most that an event of that many bytes takes of a batch. */
static inline uint32_t bound_of(const struct pipeline *p, uint16_t stream, uint32_t len, bool whole)
{
	const struct stream *s = &p->engine->streams[stream];

	return whole ? emit_bound(&s->plan, len, p->row_bytes[stream]) : len + s->plan.overhead;
}

/* One line, trimmed, becomes an event of the burst. False: the burst is full, or its batch is; try again. */
static bool add_event(struct pipeline *p, const char *data, uint32_t len)
{
	const struct stream *stream = &p->engine->streams[p->packet_stream];
	struct worker_stream_counts *counts = &p->ledger->stream[p->packet_stream];
	uint8_t replays = 0;
	bool own_mark = false;
	uint32_t mark = replay_mark_read(data, len, &replays, &own_mark);
	bool whole = len - mark <= stream->schema->max_event_bytes;
	uint32_t bound = bound_of(p, p->packet_stream, len, whole);
	enum reason shed = REASON_NONE;

	if (unlikely(!p->accepting)) {
		shed = REASON_SHED_NOT_READY;
	} else {
		switch (make_room(p, p->packet_stream, bound)) {
		case ROOM:
			break;
		case ROOM_NEXT_BURST:
			return false;
		case ROOM_NONE:
			shed = REASON_SHED_SINK_FULL;
			break;
		}
	}
	/* An accepted frame finds no room only if larger rows have been loaded since. */
	if (unlikely(shed != REASON_NONE) && (p->source->lossless || p->ticket != 0)) {
		p->stalled = true;
		return false;
	}
	counts->received++;
	counts->received_bytes += len;
	p->touched |= UINT64_C(1) << p->packet_stream;
	if (unlikely(shed != REASON_NONE)) {
		counts->shed++;
		counts->reasons[shed]++;
		return true;
	}
	p->planned_bytes[p->packet_stream] += bound;
	p->planned_events[p->packet_stream]++;

	struct event *event = &p->burst->event[p->burst->n++];

	event->data = data + mark;
	event->len = len - mark;
	event->stream = p->packet_stream;
	event->reason = whole ? REASON_NONE : REASON_EVENT_TOO_LARGE;
	event->flags = (uint8_t)(replays << EVENT_REPLAYS_SHIFT | (own_mark ? EVENT_OWN_MARK : 0));
	event->time_ms = p->burst->now_ms;
	event->reason_field = SCHEMA_NO_FIELD;
	event->reason_offset = 0;
	event->n_unknown = 0;
	event->missing = 0;
	event->ticket = p->ticket;
	p->ticket += p->ticket != 0;
	return true;
}

/* Packets come from memory that the core has not seen: their lines are asked for a few packets ahead. */
static inline void prefetch_packet(const struct pipeline *p, uint32_t ahead)
{
	const struct packet *packet;

	if (p->packet + ahead >= p->n_packets)
		return;
	packet = &p->packets[p->packet + ahead];
	for (uint32_t at = 0; at < packet->len && at < PREFETCH_PACKET_BYTES; at += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(packet->data + at);
}

static inline bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next line of [at, end) without the white space around it, in [*start, *stop). Returns where the one after it
 * begins. */
static inline const char *next_line(const char *at, const char *end, const char **start, const char **stop)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));
	const char *from = at, *to = newline != NULL ? newline : end;

	while (from < to && is_space(*from))
		from++;
	while (to > from && is_space(to[-1]))
		to--;
	*start = from;
	*stop = to;
	return newline != NULL ? newline + 1 : end;
}

/* Whether a frame holds the lines that it says, and there is room for all of them. */
static enum reason plan_frame(const struct pipeline *p, const struct wire_frame *frame, uint16_t stream)
{
	const struct batch *batch = p->open[stream];
	const char *at = (const char *)frame->payload, *end = at + frame->header.length, *start, *stop;
	uint32_t max_event_bytes = p->engine->streams[stream].schema->max_event_bytes;
	uint32_t n = 0, batches = 0, used = BATCH_BYTES, events = 0;

	if (batch != NULL) {
		used = batch->used + p->planned_bytes[stream];
		events = batch->n_events + p->planned_events[stream];
	}
	while (at < end) {
		uint32_t len, bound;

		at = next_line(at, end, &start, &stop);
		len = (uint32_t)(stop - start);
		if (len == 0)
			continue;
		if (n++ == frame->header.count)
			return REASON_FRAME_MALFORMED;
		bound = bound_of(p, stream, len, len <= max_event_bytes);
		if (used + bound > BATCH_BYTES || events == BATCH_EVENTS) {
			batches++;
			used = 0;
			events = 0;
		}
		used += bound;
		events++;
	}
	if (n != frame->header.count)
		return REASON_FRAME_MALFORMED;
	return batches <= batch_pool_free(p->engine->pools[p->worker]) ? REASON_NONE : REASON_FRAME_NO_ROOM;
}

/* A frame of the event transport. False: there is nothing in it to split. */
static bool open_frame(struct pipeline *p, const struct frame *datagram)
{
	struct arrival arrival;
	enum reason reason = transport_arrive(
	    p->transport, p->source, &p->packets[p->packet], datagram, p->now_ns, p->accepting, &arrival);

	if (reason == REASON_NONE && arrival.session != NULL)
		reason = transport_accept(
		    p->transport, &arrival, plan_frame(p, &arrival.frame, datagram->stream), p->now_ns);
	if (reason != REASON_NONE)
		p->ledger->worker.frame_reasons[reason]++;
	if (reason != REASON_NONE || arrival.session == NULL)
		return false;
	p->ticket = arrival.ticket;
	p->cursor = (const char *)arrival.frame.payload;
	p->end = p->cursor + arrival.frame.header.length;
	return true;
}

/* Finds the payload of the current packet and its stream. False: the packet is discarded and counted, or dealt with. */
static bool open_packet(struct pipeline *p)
{
	struct frame frame;
	enum reason reason = frame_parse(&p->packets[p->packet], p->ports, &frame);

	prefetch_packet(p, PREFETCH_PACKETS);
	if (unlikely(reason != REASON_NONE)) {
		p->ledger->worker.frame_reasons[reason]++;
		return false;
	}
	p->packet_had_event = false;
	p->packet_stream = frame.stream;
	p->ticket = 0;
	if (transport_is_frame(frame.payload, frame.len) && !p->source->lossless)
		return open_frame(p, &frame);
	p->cursor = frame.payload;
	p->end = frame.payload + frame.len;
	return true;
}

/* Splits the current packet into lines until it ends or the burst is full. False: not finished with the
 * packet. */
static bool split_packet(struct pipeline *p)
{
	while (p->cursor < p->end) {
		const char *start, *stop, *next = next_line(p->cursor, p->end, &start, &stop);

		if (start < stop) {
			if (p->burst->n == BURST_EVENTS ||
			    p->burst->text_used + (uint32_t)(stop - start) > p->burst->text_size)
				return false;
			if (!add_event(p, start, (uint32_t)(stop - start)))
				return false;
			p->burst->text_used += (uint32_t)(stop - start);
			p->packet_had_event = true;
		}
		p->cursor = next;
	}
	return true;
}

bool fill_burst(struct pipeline *p)
{
	uint32_t first = p->packet;
	const char *at = p->cursor;
	bool moved;

	memset(p->planned_bytes, 0, sizeof(p->planned_bytes[0]) * p->engine->n_streams);
	memset(p->planned_events, 0, sizeof(p->planned_events[0]) * p->engine->n_streams);
	for (uint16_t s = 0; s < p->engine->n_streams; s++) {
		const struct stream *stream = &p->engine->streams[s];

		p->row_bytes[s] = 0;
		for (size_t j = 0; j < stream->config->n_enrich; j++) {
			const struct dimension *d = p->enrich->dimensions[stream->join_dimension[j]];

			p->row_bytes[s] += d != NULL ? d->max_row_bytes : 0;
		}
	}
	while (p->packet < p->n_packets) {
		if (p->cursor == NULL && !open_packet(p)) {
			p->packet++;
			continue;
		}
		if (!split_packet(p))
			break;
		if (!p->packet_had_event)
			p->ledger->worker.frame_reasons[REASON_FRAME_EMPTY]++;
		p->cursor = NULL;
		p->packet++;
	}
	moved = p->packet != first || p->cursor != at || p->burst->n > 0;
	p->burst->text_used = 0; /* it counted what decoding may need; now it counts what decoding takes */
	return moved && !(p->burst->n == 0 && p->stalled);
}
