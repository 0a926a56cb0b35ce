/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stopwatch for a machine that has other work too. It takes the time in laps of well below a time slice,
 * and leaves out the laps in which the kernel gave the CPU to somebody else, which it learns from the
 * thread's involuntary context switches. What remains is a plain mean: nothing else is left out.
 */
#ifndef PENSTOCK_PERF_METER_H
#define PENSTOCK_PERF_METER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>

#define METER_LAP 256u /* events in a lap, about: 0.1 to 0.5 ms */

struct meter {
	uint64_t ns, events; /* of the laps that count */
	uint64_t left_out;   /* events in the others */
	uint64_t started;
	long switches;
};

static inline uint64_t meter_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline long meter_switches(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
}

static inline void meter_start(struct meter *m)
{
	m->switches = meter_switches();
	m->started = meter_now_ns();
}

/* Ends the lap, in which `events` were done. Returns whether it counts. */
static inline bool meter_stop(struct meter *m, uint64_t events)
{
	uint64_t ns = meter_now_ns() - m->started;

	if (meter_switches() != m->switches) {
		m->left_out += events;
		return false;
	}
	m->ns += ns;
	m->events += events;
	return true;
}

/* Nanoseconds per event; negative if no lap counted. */
static inline double meter_mean(const struct meter *m)
{
	return m->events > 0 ? (double)m->ns / (double)m->events : -1;
}

#endif
