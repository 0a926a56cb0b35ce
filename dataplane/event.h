/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An event on its way through the stages, and the burst it travels in.
 *
 * Events are views: `data` points into the packet that brought them, and stays valid until the worker
 * releases the packets of the burst. Stages run over the whole burst; an event that a stage ends carries the
 * reason, and later stages step over it. Everything here belongs to one worker.
 */
#ifndef PENSTOCK_EVENT_H
#define PENSTOCK_EVENT_H

#include "reason.h"
#include "replay_mark.h"
#include "schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BURST_EVENTS 64u
/* Values from one event to the next: an odd number of cache lines, so that a burst spreads over all sets of the L1 cache. */
#define BURST_STRIDE (SCHEMA_MAX_FIELDS + 4u)
#define BURST_MAX_UNKNOWN 256u /* undeclared members recorded per event, where the stream drops them */

enum value_type {
	VALUE_ABSENT,
	VALUE_STRING,
	VALUE_INTEGER, /* a number without fraction and exponent */
	VALUE_NUMBER,  /* any other number */
	VALUE_TRUE,
	VALUE_FALSE,
	VALUE_NULL,
	VALUE_OBJECT,
	VALUE_ARRAY,
};

/* One declared field of one event. For strings the decoded content without quotes: a view into the event, or
 * into the burst's text where an escape had to be decoded. For everything else the literal text. */
struct value {
	const char *ptr;
	uint32_t len;
	uint8_t type;    /* enum value_type */
	uint8_t decoded; /* the string had escapes: `ptr` is not inside the event */
	uint8_t reserved[2];
};
_Static_assert(sizeof(struct value) == 16, "four values in a cache line");

/* A member of an event that no field declares: from the opening quote of its key to the end of its value. */
struct member {
	uint32_t start; /* offset from event.data */
	uint32_t end;
};

enum event_flag {
	EVENT_DUPLICATE = 1, /* seen before, and the stream flags duplicates */
	EVENT_MARKED = 4,    /* owns the mark of its identity in the dedup window */
	EVENT_PARSED = 2,    /* well-formed: its values are there, whatever happens to it later */
	EVENT_OWN_MARK =
	    8, /* a replay of a dead letter that left a mark in the dedup window: not its duplicate */
};

/* The other bits of the flags: how often the event has been replayed (replay_mark.h). */
#define EVENT_REPLAYS_SHIFT 4
_Static_assert(REPLAY_MAX << EVENT_REPLAYS_SHIFT <= UINT8_MAX, "the flags are one byte");

struct event {
	const char *data; /* the event's bytes, without the white space around them */
	uint32_t len;
	uint16_t stream;      /* index into the configuration's streams */
	uint8_t reason;       /* enum reason; REASON_NONE: goes on */
	uint8_t flags;        /* enum event_flag */
	uint64_t key[2];      /* keyed hash of the identity */
	int64_t time_ms;      /* event time, or the time of arrival where the stream declares none */
	int16_t reason_field; /* the field or join that the reason is about, or SCHEMA_NO_FIELD */
	uint16_t n_unknown;
	uint32_t missing;       /* bit i: join i found no row */
	uint32_t reason_offset; /* byte offset in the event that the reason is about, for parse errors */
	uint32_t ticket;        /* of the sender who waits for the event (transport.h); 0: nobody does */
	uint32_t reserved[2];
};
_Static_assert(sizeof(struct event) == 64, "one event, one cache line");

struct burst {
	uint32_t n;
	int64_t now_ms;  /* wall clock, read once */
	int64_t mono_ms; /* monotonic clock, read once: the dedup window must not follow a clock that steps */
	struct event event[BURST_EVENTS];
	/* Fields of event i: values[i * BURST_STRIDE ...]. Entries past the stream's n_fields are not
	 * touched. */
	struct value values[BURST_EVENTS * BURST_STRIDE];
	/* Undeclared members of event i: unknown[i * BURST_MAX_UNKNOWN ...]; filled when the stream drops
	 * them. */
	struct member *unknown;
	/* Decoded strings of this burst; reset with the burst. An escape never decodes to more bytes than it
	 * took. */
	char *text;
	uint32_t text_used, text_size;
};

static inline struct value *burst_values(struct burst *burst, uint32_t i)
{
	return &burst->values[(size_t)i * BURST_STRIDE];
}

static inline struct member *burst_unknown(struct burst *burst, uint32_t i)
{
	return &burst->unknown[(size_t)i * BURST_MAX_UNKNOWN];
}

/* The event ends here, for this reason. */
static inline void event_end(struct event *event, enum reason reason, int field)
{
	event->reason = (uint8_t)reason;
	event->reason_field = (int16_t)field;
}

#endif
