/* SPDX-License-Identifier: BSD-3-Clause */
#include "sink.h"

void sink_shed_event(struct sink *sink, struct batch *batch, uint32_t event)
{
	uint8_t before =
	    atomic_fetch_or_explicit(&batch->events[event].pending, SINK_GIVEN_UP, memory_order_acq_rel);

	if (before & SINK_GIVEN_UP)
		return;
	sink->ledger.stream[batch->stream].shed++;
	sink->ledger.stream[batch->stream].reasons[REASON_SHED_UNDELIVERED]++;
	if (batch->completion != NULL)
		batch->completion->ops->give_up(batch->completion, sink->number, batch, event);
}

void sink_shed_batch(struct sink *sink, struct batch *batch)
{
	for (uint32_t i = 0; i < batch->n_records; i++)
		sink_shed_event(sink, batch, batch->records[i].event);
	batch_release(batch);
}

void sink_publish(struct sink *sink)
{
	if (sink->published == NULL)
		return;
	published_begin(sink->published);
	published_write(sink->published, 0, &sink->ledger, sizeof(sink->ledger));
	published_end(sink->published);
}
