/* SPDX-License-Identifier: BSD-3-Clause */
#include "completion.h"

#include "batch.h"
#include "dedup.h"
#include "event.h"
#include "sink.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define GROUP 32u /* cache misses that overlap */

/* Of one sink thread. */
struct group {
	alignas(64) uint32_t n;
	struct completed events[GROUP];
};

struct marks {
	struct completion completion;
	const struct clock *clock;
	struct dedup *dedup[CONFIG_MAX_STREAMS];
	struct completion_listener listeners[COMPLETION_MAX_LISTENERS];
	uint32_t n_listeners;
	struct group groups[SINK_MAX]; /* sink thread i: groups[i] */
};

static struct completed describe(const struct batch *batch, uint32_t event)
{
	const struct batch_event *from = &batch->events[event];

	return (struct completed){
	    .key = {from->key[0], from->key[1]},
	    .ticket = from->ticket,
	    .epoch = batch->epoch,
	    .stream = batch->stream,
	    .reason = from->reason,
	    .dead_letter = from->dead_letter,
	    .marked = from->flags & EVENT_MARKED,
	};
}

static void flush(struct completion *completion, uint8_t sink)
{
	struct marks *marks = (struct marks *)completion;
	struct group *group = &marks->groups[sink];
	int64_t now_ms = (int64_t)(clock_mono_ns(marks->clock) / 1000000);
	uint32_t evicted = 0; /* the table counts them too */

	if (group->n == 0)
		return;
	for (uint32_t i = 0; i < group->n; i++) {
		const struct completed *event = &group->events[i];

		if (event->marked)
			dedup_confirm(marks->dedup[event->stream], event->key, now_ms, &evicted);
	}
	for (uint32_t i = 0; i < marks->n_listeners; i++) {
		const struct completion_listener *listener = &marks->listeners[i];

		if (listener->complete != NULL)
			listener->complete(listener->context, sink, group->events, group->n);
	}
	group->n = 0;
}

static void complete(struct completion *completion, uint8_t sink, const struct batch *batch, uint32_t event)
{
	struct marks *marks = (struct marks *)completion;
	struct group *group = &marks->groups[sink];
	struct completed *completed = &group->events[group->n++];

	*completed = describe(batch, event);
	if (completed->marked)
		dedup_prefetch(marks->dedup[completed->stream], completed->key);
	if (group->n == GROUP)
		flush(completion, sink);
}

static void give_up(struct completion *completion, uint8_t sink, const struct batch *batch, uint32_t event)
{
	struct marks *marks = (struct marks *)completion;
	struct completed given_up = describe(batch, event);

	if (given_up.marked)
		dedup_remove(marks->dedup[given_up.stream], given_up.key);
	for (uint32_t i = 0; i < marks->n_listeners; i++) {
		const struct completion_listener *listener = &marks->listeners[i];

		if (listener->give_up != NULL)
			listener->give_up(listener->context, sink, &given_up);
	}
}

static const struct completion_ops ops = {.complete = complete, .give_up = give_up, .flush = flush};

int completion_create(struct dedup *const *dedup, uint32_t n_streams, const struct clock *clock,
    struct completion **out, struct error *err)
{
	struct marks *marks = aligned_alloc(alignof(struct marks), sizeof(*marks));

	*out = NULL;
	if (marks == NULL)
		return error_set(err, -ENOMEM, "no memory for completions");
	memset(marks, 0, sizeof(*marks));
	marks->completion.ops = &ops;
	marks->clock = clock;
	memcpy(marks->dedup, dedup, n_streams * sizeof(dedup[0]));
	*out = &marks->completion;
	return 0;
}

int completion_listen(struct completion *completion, const struct completion_listener *listener)
{
	struct marks *marks = (struct marks *)completion;

	if (marks->n_listeners == COMPLETION_MAX_LISTENERS)
		return -ENOSPC;
	marks->listeners[marks->n_listeners++] = *listener;
	return 0;
}

void completion_destroy(struct completion *completion)
{
	free(completion);
}
