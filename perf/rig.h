/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What benchmarks of the chain share: an engine of one worker whose dimensions are loaded and whose dedup window is half
 * full, as it is in the middle of a day. The calling thread is the worker.
 */
#ifndef PENSTOCK_PERF_RIG_H
#define PENSTOCK_PERF_RIG_H

#include "config.h"
#include "engine.h"
#include "worker.h"

#define RIG_BATCHES 64u

struct rig_options {
	const char *config;            /* the file */
	const char *const *dimensions; /* NAME=FILE */
	size_t n_dimensions;
	uint32_t dedup_slots; /* of the first stream */
	uint32_t senders;     /* of the event transport, at most; 0: as configured */
};

struct rig {
	struct config *config;
	struct engine *engine;
	struct worker *worker;
};

/* 0 or -errno; rig_close() either way. The EAL, where it is wanted, is the caller's. */
int rig_open(const struct rig_options *options, struct rig *out, struct error *err);
void rig_close(struct rig *rig);

/* Runs the calling thread, and what it starts, on one CPU. */
int rig_pin(int cpu, struct error *err);

#endif
