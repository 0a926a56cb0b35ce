/* SPDX-License-Identifier: BSD-3-Clause */
#include "clock.h"

#include <time.h>

static int64_t system_wall_ms(void *context)
{
	struct timespec t;

	(void)context;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t system_mono_ns(void *context)
{
	struct timespec t;

	(void)context;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

const struct clock system_clock = {.wall_ms = system_wall_ms, .mono_ns = system_mono_ns};

static int64_t manual_wall_ms(void *context)
{
	return ((const struct manual_clock *)context)->wall_ms;
}

static uint64_t manual_mono_ns(void *context)
{
	return ((const struct manual_clock *)context)->mono_ns;
}

void manual_clock_init(struct manual_clock *m, int64_t wall_ms)
{
	m->clock = (struct clock){.wall_ms = manual_wall_ms, .mono_ns = manual_mono_ns, .context = m};
	atomic_init(&m->wall_ms, wall_ms);
	atomic_init(&m->mono_ns, 1000000000);
}
