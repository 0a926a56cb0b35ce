/* SPDX-License-Identifier: BSD-3-Clause */
#include "sink_journal.h"

#include "journal_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BACKOFF_MIN_NS 10000000ull
#define BACKOFF_MAX_NS 1000000000ull

/* All of it belongs to the sink thread. */
struct sink_journal {
	struct sink sink;
	struct journal *journal;
	struct journal_writer *writer;
	struct batch *waiting[JOURNAL_GROUP]; /* not durable yet */
	uint32_t n_waiting;
	uint64_t retry_ns, backoff_ns;
	bool failing;
	int confirmed; /* since the last poll */
};

static int journal_sink_submit(struct sink *sink, struct batch *batch)
{
	struct sink_journal *js = (struct sink_journal *)sink;

	if (js->n_waiting == JOURNAL_GROUP || js->failing)
		return -EAGAIN;
	js->waiting[js->n_waiting++] = batch;
	return 0;
}

static void failed(struct sink_journal *js, int rc, const struct error *err, uint64_t now_ns)
{
	enum journal_state state = rc == -ENOBUFS                   ? JOURNAL_FULL
	                           : rc == -ENOSPC || rc == -EDQUOT ? JOURNAL_NO_SPACE
	                                                            : JOURNAL_FAILING;

	journal_set_state(js->journal, state, err);
	js->failing = true;
	/* Room in the journal comes with every segment that is delivered: look often. */
	js->retry_ns = now_ns + (state == JOURNAL_FULL ? BACKOFF_MIN_NS : js->backoff_ns);
	js->backoff_ns = 2 * js->backoff_ns < BACKOFF_MAX_NS ? 2 * js->backoff_ns : BACKOFF_MAX_NS;
}

static void confirm(struct sink_journal *js, struct batch *batch)
{
	struct sink_stream_counts *counts = &js->sink.ledger.stream[batch->stream];

	for (uint32_t i = 0; i < batch->n_records; i++) {
		counts->records++;
		counts->bytes += batch->records[i].value_len;
		sink_confirm(&js->sink, batch, i);
	}
	js->confirmed += (int)batch->n_records;
	batch_release(batch);
}

/* Writes what waits, or part of it. */
static void write_waiting(struct sink_journal *js)
{
	uint64_t now_ns = clock_mono_ns(&system_clock);
	struct error err;
	int written;

	if (js->n_waiting == 0 || (js->failing && now_ns < js->retry_ns))
		return;
	written = journal_append(js->writer, js->waiting, js->n_waiting, &err);
	if (written < 0) {
		js->sink.ledger.stream[js->waiting[0]->stream].retries++;
		failed(js, written, &err, now_ns);
		return;
	}
	if (js->failing)
		journal_set_state(js->journal, JOURNAL_OK, NULL);
	js->failing = false;
	js->backoff_ns = BACKOFF_MIN_NS;
	for (int i = 0; i < written; i++)
		confirm(js, js->waiting[i]);
	sink_settle(&js->sink);
	js->n_waiting -= (uint32_t)written;
	memmove(js->waiting, js->waiting + written, js->n_waiting * sizeof(js->waiting[0]));
}

static int journal_sink_poll(struct sink *sink, int timeout_ms)
{
	struct sink_journal *js = (struct sink_journal *)sink;
	int confirmed;

	write_waiting(js);
	confirmed = js->confirmed;
	js->confirmed = 0;
	if (confirmed == 0 && timeout_ms > 0)
		nanosleep(
		    &(struct timespec){.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000l},
		    NULL);
	return confirmed;
}

static int journal_sink_flush(struct sink *sink, uint64_t deadline_ns)
{
	struct sink_journal *js = (struct sink_journal *)sink;

	while (js->n_waiting > 0) {
		if (clock_mono_ns(&system_clock) >= deadline_ns)
			return -ETIMEDOUT;
		write_waiting(js);
		if (js->failing)
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return 0;
}

static void journal_sink_describe(struct sink *sink, json_t *object)
{
	struct sink_journal *js = (struct sink_journal *)sink;

	journal_describe(js->journal, object);
}

static void journal_sink_close(struct sink *sink)
{
	struct sink_journal *js = (struct sink_journal *)sink;

	if (sink == NULL)
		return;
	for (uint32_t i = 0; i < js->n_waiting; i++)
		sink_shed_batch(sink, js->waiting[i]);
	journal_writer_destroy(js->writer);
	sink_publish(sink);
	free(js);
}

static const struct sink_ops journal_ops = {
    .type = "journal",
    .submit = journal_sink_submit,
    .poll = journal_sink_poll,
    .flush = journal_sink_flush,
    .describe = journal_sink_describe,
    .close = journal_sink_close,
};

int sink_journal_create(struct journal *journal, uint8_t number, struct sink **out, struct error *err)
{
	struct sink_journal *js = calloc(1, sizeof(*js));

	*out = NULL;
	if (js == NULL || journal_writer_create(journal, &js->writer) != 0) {
		free(js);
		return error_set(err, -ENOMEM, "the journal's sink: no memory");
	}
	js->sink.ops = &journal_ops;
	js->sink.number = number;
	js->journal = journal;
	js->backoff_ns = BACKOFF_MIN_NS;
	*out = &js->sink;
	return 0;
}
