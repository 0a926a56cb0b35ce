/* SPDX-License-Identifier: BSD-3-Clause */
#include "parked.h"

#include "engine.h"
#include "transport.h"

#include <errno.h>
#include <stdlib.h>

int parked_create(struct engine *engine, struct worker_ledger *ledger, struct parked **out)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return -ENOMEM;
	(*out)->engine = engine;
	(*out)->ledger = ledger;
	return 0;
}

void parked_destroy(struct parked *parked)
{
	free(parked);
}

/* The original is gone: the sender has to send the frame again. */
static void forget(struct parked *parked, const struct parked_event *event)
{
	struct worker_stream_counts *counts = &parked->ledger->stream[event->stream];

	transport_forget(parked->engine->transport, event->ticket);
	counts->shed++;
	counts->reasons[REASON_SHED_FORGOTTEN]++;
}

void parked_add(struct parked *parked, const struct event *event, enum reason verdict)
{
	struct parked_event parking = {
	    .key = {event->key[0], event->key[1]},
	    .ticket = event->ticket,
	    .stream = event->stream,
	    .verdict = (uint8_t)verdict,
	};

	if (parked->n == PARKED_EVENTS) {
		forget(parked, &parking);
		return;
	}
	parked->events[parked->n++] = parking;
	parked->ledger->stream[event->stream].parked++;
}

/* Whether the event can leave; then it has left. */
static bool settle(struct parked *parked, const struct parked_event *event, int64_t now_ms)
{
	struct worker_stream_counts *counts = &parked->ledger->stream[event->stream];

	switch (dedup_look(parked->engine->streams[event->stream].dedup, event->key, now_ms)) {
	case DEDUP_DUPLICATE_PENDING:
		return false;
	case DEDUP_DUPLICATE:
		transport_complete(parked->engine->transport, event->ticket, (enum reason)event->verdict);
		counts->duplicate++;
		counts->reasons[REASON_DUPLICATE]++;
		break;
	case DEDUP_NEW:
		forget(parked, event);
		break;
	}
	counts->parked--;
	return true;
}

void parked_forget(struct parked *parked, uint64_t *touched)
{
	while (parked->n > 0) {
		const struct parked_event *event = &parked->events[--parked->n];

		forget(parked, event);
		parked->ledger->stream[event->stream].parked--;
		*touched |= UINT64_C(1) << event->stream;
	}
}

uint32_t parked_check(struct parked *parked, uint64_t now_ns, uint64_t *touched)
{
	uint32_t left = 0, looks = parked->n < PARKED_CHECK_EVENTS ? parked->n : PARKED_CHECK_EVENTS;

	if (now_ns - parked->checked_ns < PARKED_CHECK_NS)
		return 0;
	parked->checked_ns = now_ns;
	if (parked->next >= parked->n)
		parked->next = 0;
	for (uint32_t i = 0; i < looks; i++) {
		const struct parked_event *event = &parked->events[(parked->next + i) % parked->n];

		dedup_prefetch(parked->engine->streams[event->stream].dedup, event->key);
	}
	for (; looks > 0; looks--) {
		struct parked_event *event;
		uint16_t stream;

		if (parked->next >= parked->n)
			parked->next = 0;
		event = &parked->events[parked->next];
		stream = event->stream;
		if (!settle(parked, event, (int64_t)(now_ns / 1000000))) {
			parked->next++;
			continue;
		}
		*event = parked->events[--parked->n];
		*touched |= UINT64_C(1) << stream;
		left++;
	}
	return left;
}
