/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libpenstock: hands events to a Penstock appliance and says, per event, when they cannot be lost any more.
 *
 * Events are queued by penstock_send() and travel in penstock_poll(): over UDP, paced, retransmitted, and moved to
 * another appliance when one falls silent. Each event that penstock_send() took is completed exactly once, by the
 * callback on_complete. What has not been completed is not safe.
 *
 * A handle belongs to one thread at a time; different handles share nothing. All memory is allocated by penstock_open().
 * Functions that can fail return -errno. Nothing is printed, no signal is touched, no thread is started.
 */
#ifndef LIBPENSTOCK_PENSTOCK_H
#define LIBPENSTOCK_PENSTOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PENSTOCK_API __attribute__((visibility("default")))
#define PENSTOCK_ERROR_BYTES 256 /* a message of any function here fits */
#define PENSTOCK_FOREVER (-1)    /* as a number of milliseconds */

struct penstock;

/* How an event ended. */
enum penstock_outcome {
	PENSTOCK_DURABLE,   /* stored; it survives crashes of the appliance and outages behind it */
	PENSTOCK_DUPLICATE, /* the same event was durable before, perhaps by an earlier attempt of ours */
	PENSTOCK_REJECTED, /* durable as a dead letter: the appliance's stream does not accept it; see reason */
	PENSTOCK_SPILLED, /* at close only: kept in the spill file, from which the next run sends it */
	PENSTOCK_UNKNOWN, /* at close only: not known to be durable; it may have arrived or not */
};

struct penstock_result {
	uint64_t tag;     /* as given with the event */
	const void *data; /* the event; valid during the callback */
	size_t len;
	enum penstock_outcome outcome;
	const char *reason;  /* "json_syntax", "duplicate", ...; "" where there is none */
	uint32_t latency_us; /* since penstock_send(), or since it was read back from the spill file */
	bool recovered;      /* the event was in the spill file when it was opened */
};

/* Called from penstock_poll(), penstock_flush() and penstock_close(). May call penstock_send() and the functions that
 * only look, nothing else of this handle; during penstock_close() nothing is taken any more. */
typedef void penstock_complete_fn(void *context, const struct penstock_result *result);

struct penstock_key {
	uint32_t id;      /* as `penstock source` lists it */
	const void *data; /* 16 to 64 bytes; not needed after penstock_open() */
	size_t len;
};

/* Zero in a number takes the default. */
struct penstock_options {
	const char *const *to; /* appliances, "host:port" or "[v6]:port", in order of preference */
	size_t n_to;           /* 1 or more; with all addresses of their names at most 32 */
	const char *stream;    /* its name in the appliance's configuration */
	uint64_t source_id;    /* whose keys and limits apply; one handle at a time per stream and source */
	const struct penstock_key *key;    /* NULL: frames are not authenticated */
	penstock_complete_fn *on_complete; /* may be NULL */
	void *context;                     /* for on_complete */
	size_t memory_bytes;     /* bound of what is queued and in flight (default 8 MiB; at least 256 KiB) */
	uint32_t datagram_bytes; /* UDP payload of a frame (default 1452, for an MTU of 1500; 512 to 65507) */
	uint32_t linger_us;      /* a frame that is not full waits so long for more events (default 1000) */
	uint32_t silence_ms;     /* an appliance that does not answer for so long is left (default 2000) */
	uint64_t
	    max_events_per_s; /* pace of the whole handle (default: what the path and the appliance allow) */
	const char *spill_path; /* file for events while no appliance answers (default none); needs a disk */
	uint64_t spill_bytes;   /* its bound (default 1 GiB) */
};

struct penstock_event {
	const void *data; /* one event: JSON text without a newline */
	size_t len;
	uint64_t
	    tag; /* the caller's; comes back in the result, also after a restart through the spill file */
};

enum penstock_flag {
	PENSTOCK_BORROW = 1, /* the events' bytes stay with the caller, unchanged until each is completed */
};

enum penstock_state {
	PENSTOCK_IDLE,       /* nothing to send yet, or not since the last session ended */
	PENSTOCK_CONNECTING, /* an appliance has been asked and has not answered */
	PENSTOCK_CONNECTED,
	PENSTOCK_AWAY,       /* none of the appliances answers; they are asked again after a while */
	PENSTOCK_SUPERSEDED, /* a later sender has taken over stream and source id: nothing will be sent any more */
};

struct penstock_stats {
	enum penstock_state state;
	char appliance[72]; /* address of the one in use, or the next one to be asked */
	uint64_t events;    /* taken by penstock_send() or found in the spill file */
	uint64_t durable, duplicate, rejected, spilled, unknown; /* completed, by outcome */
	uint64_t pending; /* taken and not completed, in memory or in the spill file */
	uint64_t frames;  /* sent for the first time */
	uint64_t
	    retransmits; /* frames sent again: lost on the way, or not durable at an appliance that was left */
	uint64_t lost;   /* frames that the path is thought to have lost */
	uint64_t probes, hellos;
	uint64_t bytes_sent, datagrams_received;
	uint64_t not_understood; /* datagrams that were no valid answer to us */
	uint64_t failovers;      /* sessions at another appliance than the one before */
	uint64_t sessions;
	uint64_t slow_down; /* acknowledgements that asked for less */
	uint32_t rtt_us;    /* smoothed round-trip time; 0 before the first */
	uint32_t rtt_min_us;
	uint32_t rtt_p50_us, rtt_p99_us;
	uint32_t ack_p50_us, ack_p99_us, ack_p999_us; /* from penstock_send() to durable, of frames */
	uint32_t window;                              /* frames that the path is trusted with at a time */
	uint32_t credit;       /* frames that the appliance takes beyond the oldest that is not durable */
	uint64_t memory_bytes; /* allocated; does not change */
	uint64_t spill_used_bytes;
	uint64_t spill_torn_bytes; /* cut off when the file was opened: the write that a crash interrupted */
};

/* Checks the options, resolves the names (which may block), opens the spill file and allocates. Nothing is sent yet.
 * `reason`, PENSTOCK_ERROR_BYTES of room or NULL, says what is wrong. 0 or -errno. */
PENSTOCK_API int penstock_open(const struct penstock_options *options, struct penstock **out, char *reason);

/* Queues events, in order. Returns how many were taken: fewer than n when memory is full (poll, and offer the rest
 * again). If not even the first was taken and more than memory is the matter: -EINVAL for an empty or blank event or one
 * with a newline inside, -EMSGSIZE for one that no frame can hold, -ESTALE when superseded, or the errno of the spill
 * file (penstock_error() says what). Costs a copy without PENSTOCK_BORROW; never blocks but for the spill file. */
PENSTOCK_API int penstock_send(
    struct penstock *penstock, const struct penstock_event *events, size_t n, unsigned int flags);

/* Sends, receives and completes what is due, then waits at most `timeout_ms` for a datagram or a timer, and does so once
 * more. 0 does not wait. Returns the number of events completed, or -ESTALE when superseded. */
PENSTOCK_API int penstock_poll(struct penstock *penstock, int timeout_ms);

/* For event loops: call penstock_poll(penstock, 0) when the descriptor is readable, or after penstock_timeout_ms(), or
 * after penstock_send(). The descriptor stays the same for the life of the handle; it is not to be read or closed. */
PENSTOCK_API int penstock_fd(const struct penstock *penstock);
/* Until the next timer; 0: now; -1: none. */
PENSTOCK_API int penstock_timeout_ms(const struct penstock *penstock);

/* Sends also the frame that is not full, and polls until everything is completed. 0, -ETIMEDOUT when `timeout_ms` have
 * passed first, -EINTR after a signal, or -ESTALE. */
PENSTOCK_API int penstock_flush(struct penstock *penstock, int timeout_ms);

/* Flushes, tells the appliance that the session ends, completes what is left as spilled or unknown, and frees. NULL is
 * allowed. 0 if everything was durable, otherwise as penstock_flush(). */
PENSTOCK_API int penstock_close(struct penstock *penstock, int timeout_ms);

PENSTOCK_API void penstock_get_stats(const struct penstock *penstock, struct penstock_stats *out);

/* What went wrong last, for a person; "" if nothing did. Valid until the next call. */
PENSTOCK_API const char *penstock_error(const struct penstock *penstock);

/* "durable", "duplicate", ... and "idle", "connecting", ... */
PENSTOCK_API const char *penstock_outcome_name(enum penstock_outcome outcome);
PENSTOCK_API const char *penstock_state_name(enum penstock_state state);

PENSTOCK_API const char *penstock_version(void);

#ifdef __cplusplus
}
#endif

#endif
