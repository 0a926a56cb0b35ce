/* SPDX-License-Identifier: BSD-3-Clause */
/* What the benchmarks of the chain are asked to do on the command line. */
#ifndef PENSTOCK_PERF_OPTIONS_H
#define PENSTOCK_PERF_OPTIONS_H

#include "config.h"

struct perf_options {
	const char *config, *output;                   /* output: NULL, or a JSON file */
	const char *dimensions[CONFIG_MAX_DIMENSIONS]; /* NAME=FILE */
	size_t n_dimensions;
	uint32_t events, dedup_slots;
	uint64_t products, users, places; /* rows of the dimensions that keys are drawn from */
	double zipf;                      /* exponent of their distribution; 0: uniform */
	int cpu;
	bool references; /* unless --no-references */
};

/* 0, or -EINVAL for what is no option or lacks --config. `events` is how many there are without --events. */
int perf_options_read(int argc, char **argv, uint32_t events, struct perf_options *out);

#endif
