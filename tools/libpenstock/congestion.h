/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much the path is trusted with: a window of frames by slow start and AIMD (down to 7/10 once per round trip with
 * losses, to the minimum when nothing is heard), and a pace that spreads a window over a round trip. A second, optional
 * bucket holds the sender's own limit of events per second.
 */
#ifndef LIBPENSTOCK_CONGESTION_H
#define LIBPENSTOCK_CONGESTION_H

#include <stdbool.h>
#include <stdint.h>

#define CONGESTION_FIRST_WINDOW 16u /* frames */
#define CONGESTION_MIN_WINDOW 4u

/* Tokens come at a rate and are kept for a short while. */
struct bucket {
	double rate; /* per microsecond; 0: no limit */
	double tokens, capacity;
	uint64_t last_us;
};

struct congestion {
	double window; /* frames */
	double threshold;
	double max_window;
	uint64_t recovery_us; /* losses of frames sent before are part of the loss already answered */
	struct bucket frames, events;
};

void congestion_init(struct congestion *c, uint64_t max_events_per_s, uint64_t now_us);

/* A new path: the window starts over; the sender's own limit goes on. */
void congestion_restart(struct congestion *c, uint32_t max_window, uint64_t now_us);

/* `frames` have left the network well; `limited`: the window is what held the sender back. */
void congestion_delivered(struct congestion *c, uint32_t frames, bool limited);

/* A frame sent at `sent_us` is lost, or the appliance asks for less. True if the window became smaller. */
bool congestion_lost(struct congestion *c, uint64_t sent_us, uint64_t now_us);

/* Nothing was heard for several time-outs. */
void congestion_silence(struct congestion *c, uint64_t now_us);

/* Adds what has accrued and sets the pace for a round-trip time (0: unknown). */
void congestion_refill(struct congestion *c, uint32_t srtt_us, uint64_t now_us);

/* Whether a frame may go now, by the pace; congestion_sent() pays for it. */
bool congestion_paced(const struct congestion *c);
void congestion_sent(struct congestion *c, uint32_t events);

/* When the pace allows the next frame, as far as it is what holds it back; at least `now_us`. */
uint64_t congestion_next_us(const struct congestion *c, uint64_t now_us);

#endif
