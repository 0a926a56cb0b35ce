/* SPDX-License-Identifier: BSD-3-Clause */
#include "libpenstock/congestion.h"

#include <math.h>

#define DECREASE 0.7
#define GAIN_SLOW_START 2.0 /* pace over window per round trip */
#define GAIN 1.25
#define MIN_RTT_US 1000.0 /* for the pace: acknowledgements come every millisecond at most */
#define KEPT_US 2000.0    /* tokens of so long are kept: a poll loop wakes up every millisecond or two */
#define MIN_FRAMES 8.0    /* and at least so many frames */

static void bucket_refill(struct bucket *b, uint64_t now_us)
{
	if (b->rate <= 0 || now_us <= b->last_us)
		return;
	b->tokens += b->rate * (double)(now_us - b->last_us);
	if (b->tokens > b->capacity)
		b->tokens = b->capacity;
	b->last_us = now_us;
}

static uint64_t bucket_next_us(const struct bucket *b, uint64_t now_us)
{
	if (b->rate <= 0 || b->tokens > 0)
		return now_us;
	return now_us + 1 + (uint64_t)(-b->tokens / b->rate);
}

void congestion_init(struct congestion *c, uint64_t max_events_per_s, uint64_t now_us)
{
	*c = (struct congestion){0};
	if (max_events_per_s > 0) {
		double rate = (double)max_events_per_s / 1e6;

		c->events = (struct bucket){
		    .rate = rate, .tokens = 1, .capacity = fmax(rate * KEPT_US, 1), .last_us = now_us};
	}
	congestion_restart(c, CONGESTION_FIRST_WINDOW, now_us);
}

void congestion_restart(struct congestion *c, uint32_t max_window, uint64_t now_us)
{
	c->max_window = max_window < CONGESTION_MIN_WINDOW ? CONGESTION_MIN_WINDOW : (double)max_window;
	c->window = fmin(CONGESTION_FIRST_WINDOW, c->max_window);
	c->threshold = c->max_window;
	c->recovery_us = 0;
	c->frames = (struct bucket){.tokens = MIN_FRAMES, .capacity = MIN_FRAMES, .last_us = now_us};
}

void congestion_delivered(struct congestion *c, uint32_t frames, bool limited)
{
	if (!limited)
		return;
	if (c->window < c->threshold)
		c->window += frames;
	else
		c->window += (double)frames / c->window;
	if (c->window > c->max_window)
		c->window = c->max_window;
}

bool congestion_lost(struct congestion *c, uint64_t sent_us, uint64_t now_us)
{
	if (sent_us < c->recovery_us)
		return false;
	c->window = fmax(c->window * DECREASE, CONGESTION_MIN_WINDOW);
	c->threshold = c->window;
	c->recovery_us = now_us;
	return true;
}

void congestion_silence(struct congestion *c, uint64_t now_us)
{
	c->threshold = fmax(c->window * DECREASE, CONGESTION_MIN_WINDOW);
	c->window = CONGESTION_MIN_WINDOW;
	c->recovery_us = now_us;
}

void congestion_refill(struct congestion *c, uint32_t srtt_us, uint64_t now_us)
{
	double round_trip = fmax(srtt_us, MIN_RTT_US);
	double gain = c->window < c->threshold ? GAIN_SLOW_START : GAIN;

	if (srtt_us == 0)
		round_trip = 10 * MIN_RTT_US; /* carefully, until there is a measurement */
	c->frames.rate = gain * c->window / round_trip;
	c->frames.capacity = fmax(c->frames.rate * KEPT_US, MIN_FRAMES);
	bucket_refill(&c->frames, now_us);
	bucket_refill(&c->events, now_us);
}

bool congestion_paced(const struct congestion *c)
{
	return c->frames.tokens > 0 && (c->events.rate <= 0 || c->events.tokens > 0);
}

void congestion_sent(struct congestion *c, uint32_t events)
{
	c->frames.tokens -= 1;
	if (c->events.rate > 0)
		c->events.tokens -= events;
}

uint64_t congestion_next_us(const struct congestion *c, uint64_t now_us)
{
	uint64_t frames = bucket_next_us(&c->frames, now_us), events = bucket_next_us(&c->events, now_us);

	return frames > events ? frames : events;
}
