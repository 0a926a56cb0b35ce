/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time as an argument. Code that needs the time takes a struct clock; tests turn one by hand.
 * clock_now_ms() on the system clock costs a vDSO call (about 25 ns): read it once per burst, never per
 * event.
 */
#ifndef PENSTOCK_CLOCK_H
#define PENSTOCK_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

struct clock {
	int64_t (*wall_ms)(void *context);  /* milliseconds since the Unix epoch; may step */
	uint64_t (*mono_ns)(void *context); /* nanoseconds since some start; never steps */
	void *context;
};

/* The clocks of the kernel, CLOCK_REALTIME and CLOCK_MONOTONIC. Any thread. */
extern const struct clock system_clock;

/* A clock that stands still until the test moves it. Set the fields; pass &m->clock. */
struct manual_clock {
	struct clock clock;
	_Atomic int64_t wall_ms; /* the test: rw, who asks for the time: ro */
	_Atomic uint64_t mono_ns;
};
void manual_clock_init(struct manual_clock *m, int64_t wall_ms);

static inline int64_t clock_wall_ms(const struct clock *c)
{
	return c->wall_ms(c->context);
}

static inline uint64_t clock_mono_ns(const struct clock *c)
{
	return c->mono_ns(c->context);
}

#endif
