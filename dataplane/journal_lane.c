/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal_lane.h"

#include <errno.h>
#include <rte_ring.h>

#define ROUND_RECORDS 256 /* looked at before the next lane's turn */

/* The batch that is being filled goes to the sink, or back if it is empty. */
static void hand_over(struct lane *lane, struct lane_tools *tools)
{
	struct batch *batch = lane->filling;

	lane->filling = NULL;
	if (batch == NULL)
		return;
	if (batch->n_records == 0) {
		tools->idle[tools->n_idle++] = batch;
		return;
	}
	lane->flights[(lane->first + lane->n_flights) % LANE_FLIGHTS] =
	    (struct flight){.batch = batch, .after = lane->cursor};
	lane->n_flights++;
	atomic_store_explicit(&batch->refs, 1, memory_order_release);
	(void)rte_ring_sp_enqueue(lane->ring, batch);
}

static bool fits(const struct batch *batch, const struct journal_record *record)
{
	return batch->n_events + record->n_events <= BATCH_EVENTS &&
	       batch->n_records + record->n_records <= BATCH_RECORDS &&
	       batch->used + record->used <= BATCH_BYTES;
}

static struct batch *begin(struct lane *lane, struct lane_tools *tools, const struct journal_record *record)
{
	struct batch *batch;

	if (tools->n_idle == 0 || lane->n_flights == lane->quota)
		return NULL;
	batch = tools->idle[--tools->n_idle];
	tools->owner[batch->opened_ns] = lane;
	batch->stream = lane->stream;
	batch->n_events = 0;
	batch->n_records = 0;
	batch->used = 0;
	batch->arrival_ms = record->arrival_ms;
	batch->completion = NULL; /* these events are complete: the journal has them */
	memset(batch->sink_data, 0, sizeof(batch->sink_data));
	return batch;
}

/* Puts an event of the journal into the batch, whose bytes are there already. */
static void add_event(struct batch *batch, const struct journal_event *from, uint32_t base)
{
	struct batch_event *event = &batch->events[batch->n_events++];

	*event = (struct batch_event){
	    .dead_letter = from->dead_letter,
	    .reason = from->reason,
	    .flags = from->flags,
	    .raw = base + from->raw,
	    .raw_len = from->raw_len,
	    .id = base + from->id,
	    .id_len = from->id_len,
	    .message = base + from->message,
	    .message_len = from->message_len,
	    .partition = base + from->partition,
	    .partition_len = from->partition_len,
	    .time_ms = from->time_ms,
	    .key = {from->key[0], from->key[1]},
	};
	atomic_init(&event->pending, 0);
}

/* Whether some of it may be in the sink already. */
static bool is_replay(
    const struct lane *lane, const struct lane_tools *tools, const struct journal_record *record)
{
	return lane->reconciled && record->sequence < tools->journal->opened_end.sequence;
}

/* Those records of the journal's that are the lane's. */
static void add_records(struct lane *lane, const struct lane_tools *tools,
    const struct journal_record *record, uint32_t first_event, uint32_t base)
{
	bool replay = is_replay(lane, tools, record) && tools->skip != NULL;
	struct batch *batch = lane->filling;

	for (uint32_t i = 0; i < record->n_records; i++) {
		const struct record *from = &tools->records[i];
		struct record *to = &batch->records[batch->n_records];
		struct batch_event *event = &batch->events[first_event + from->event];

		if (lane->output != JOURNAL_ALL_OUTPUTS && lane->output != from->kind)
			continue;
		*to = *from;
		to->value += base;
		to->key += base;
		to->event = (uint16_t)(first_event + from->event);
		if (replay && tools->skip(tools->skip_context, batch, to)) {
			lane->skipped++;
			continue;
		}
		atomic_fetch_add_explicit(&event->pending, 1, memory_order_relaxed);
		batch->n_records++;
	}
}

/* Appends the journal's record at the cursor to the batch. */
static int take(
    struct lane *lane, struct lane_tools *tools, const struct journal_record *record, struct error *err)
{
	struct batch *batch = lane->filling;
	uint32_t base = batch->used, first_event = batch->n_events;
	int rc = journal_payload(
	    tools->reader, &lane->cursor, record, tools->records, tools->events, batch->bytes + base, err);

	if (rc == -EBADMSG)
		return 0; /* noted; what is after it goes on */
	if (rc != 0)
		return rc;
	batch->used += record->used;
	for (uint32_t i = 0; i < record->n_events; i++)
		add_event(batch, &tools->events[i], base);
	add_records(lane, tools, record, first_event, base);
	return 0;
}

static bool wanted(const struct lane *lane, const struct journal_record *record)
{
	return record->stream == lane->stream &&
	       (lane->output == JOURNAL_ALL_OUTPUTS || (record->flags & JOURNAL_HAS(lane->output)));
}

int lane_feed(struct lane *lane, struct lane_tools *tools, struct error *err)
{
	int n = 0, rc = 0;

	while (!lane->stuck && n < ROUND_RECORDS) {
		struct journal_record record;

		rc = journal_next(tools->reader, &lane->cursor, &record, err);
		if (rc <= 0)
			break;
		if (is_replay(lane, tools, &record) &&
		    !atomic_load_explicit(&tools->reconciled, memory_order_acquire))
			break;
		if (wanted(lane, &record)) {
			if (lane->filling != NULL && !fits(lane->filling, &record))
				hand_over(lane, tools);
			if (lane->filling == NULL)
				lane->filling = begin(lane, tools, &record);
			if (lane->filling == NULL)
				break;
			rc = take(lane, tools, &record, err);
			if (rc != 0)
				break;
		}
		journal_skip(&lane->cursor, &record);
		n++;
	}
	/* A full round goes on with the same batch; an end of what there is does not wait for more. */
	if (n < ROUND_RECORDS)
		hand_over(lane, tools);
	if (lane->n_flights == 0 && lane->filling == NULL && !lane->stuck)
		lane->consumed = lane->cursor;
	return rc < 0 ? rc : n;
}

/* Whether the sink has confirmed all of it, or had given up some. */
static bool complete(const struct batch *batch)
{
	for (uint32_t i = 0; i < batch->n_events; i++) {
		if (atomic_load_explicit(&batch->events[i].pending, memory_order_acquire) != 0)
			return false;
	}
	return true;
}

void lane_return(struct lane *lane, struct lane_tools *tools, struct batch *batch)
{
	for (uint32_t i = 0; i < lane->n_flights; i++) {
		struct flight *flight = &lane->flights[(lane->first + i) % LANE_FLIGHTS];

		if (flight->batch != batch)
			continue;
		flight->complete = complete(batch);
		flight->batch = NULL;
		if (flight->complete)
			lane->delivered += batch->n_records;
		else
			lane->stuck = true;
		break;
	}
	tools->idle[tools->n_idle++] = batch;
	while (lane->n_flights > 0 && lane->flights[lane->first].complete) {
		lane->consumed = lane->flights[lane->first].after;
		lane->first = (lane->first + 1) % LANE_FLIGHTS;
		lane->n_flights--;
	}
}

int64_t lane_oldest_ms(const struct lane *lane)
{
	const struct batch *batch = lane->n_flights > 0 ? lane->flights[lane->first].batch : lane->filling;

	return batch != NULL ? batch->arrival_ms : 0;
}
