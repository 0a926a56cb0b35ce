/* SPDX-License-Identifier: BSD-3-Clause */
#include "sink.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct sink_capture {
	struct sink sink;
	sink_capture_fn record;
	void *context;
	int confirmed;            /* since the last poll */
	_Atomic uint64_t records; /* sink thread: rw, others: ro */
};

static int capture_submit(struct sink *sink, struct batch *batch)
{
	struct sink_capture *capture = (struct sink_capture *)sink;
	struct sink_stream_counts *counts = &sink->ledger.stream[batch->stream];

	for (uint32_t i = 0; i < batch->n_records; i++) {
		if (capture->record != NULL)
			capture->record(capture->context, batch, &batch->records[i]);
		counts->records++;
		counts->bytes += batch->records[i].value_len;
		sink_confirm(sink, batch, i);
	}
	sink_settle(sink);
	capture->confirmed += (int)batch->n_records;
	atomic_fetch_add_explicit(&capture->records, batch->n_records, memory_order_relaxed);
	batch_release(batch);
	return 0;
}

static int capture_poll(struct sink *sink, int timeout_ms)
{
	struct sink_capture *capture = (struct sink_capture *)sink;
	int confirmed = capture->confirmed;

	capture->confirmed = 0;
	if (confirmed == 0 && timeout_ms > 0)
		nanosleep(
		    &(struct timespec){.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000l},
		    NULL);
	return confirmed;
}

static int capture_flush(struct sink *sink, uint64_t deadline_ns)
{
	(void)sink, (void)deadline_ns; /* nothing is ever outstanding */
	return 0;
}

static void capture_describe(struct sink *sink, json_t *object)
{
	struct sink_capture *capture = (struct sink_capture *)sink;
	json_int_t records = (json_int_t)atomic_load_explicit(&capture->records, memory_order_relaxed);

	json_object_set_new(object, "records", json_integer(records));
}

static void capture_close(struct sink *sink)
{
	if (sink == NULL)
		return;
	sink_publish(sink);
	free(sink);
}

static const struct sink_ops capture_ops = {
    .type = "capture",
    .submit = capture_submit,
    .poll = capture_poll,
    .flush = capture_flush,
    .describe = capture_describe,
    .close = capture_close,
};

int sink_capture_create(
    sink_capture_fn record, void *context, uint8_t number, struct sink **out, struct error *err)
{
	struct sink_capture *capture = calloc(1, sizeof(*capture));

	*out = NULL;
	if (capture == NULL)
		return error_set(err, -ENOMEM, "capturing sink: no memory");
	capture->sink.ops = &capture_ops;
	capture->sink.number = number;
	capture->record = record;
	capture->context = context;
	*out = &capture->sink;
	return 0;
}
