/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker: the run-to-completion loop of one data-plane core. It polls its sources in turn, carries each
 * burst through the pipeline, and reports a quiescent state; nothing in the loop waits, locks, allocates or
 * calls the kernel.
 *
 * worker_create/add/destroy/stop: control thread. worker_run: the worker's own thread.
 */
#ifndef PENSTOCK_WORKER_H
#define PENSTOCK_WORKER_H

#include "pipeline.h"

#define WORKER_MAX_SOURCES 64u

struct worker {
	struct engine *engine;
	struct pipeline *pipeline;
	uint16_t id;
	bool yields;  /* shares its CPU with another worker: gives way when it has nothing to do */
	bool lingers; /* after worker_stop() it goes on answering senders until worker_leave() */
	struct source *sources[WORKER_MAX_SOURCES];
	bool ended[WORKER_MAX_SOURCES]; /* at the end of its input, or broken */
	uint32_t n_sources;
	_Atomic bool stop; /* control: rw, worker: ro. Finish the packets at hand and return */
	_Atomic bool
	    abandon; /* control: rw, worker: ro. With stop: give up a stalled source's pending events too */
	_Atomic bool leave;       /* control: rw, worker: ro */
	_Atomic bool handed_over; /* worker: rw, control: ro. It has stopped, and the sinks have everything */
	_Atomic uint32_t n_ended; /* worker: rw, control: ro */
};

int worker_create(struct engine *engine, uint16_t id, struct worker **out, struct error *err);
void worker_destroy(struct worker *worker);

/* Gives the worker a source to poll; before worker_run(). The worker does not own it. 0 or -ENOSPC. */
int worker_add_source(struct worker *worker, struct source *source);

/* The loop. Returns 0 after worker_stop(), with every open batch handed over. `argument` is the struct
 * worker: the signature is that of an lcore function. */
int worker_run(void *argument);

/* One round of the loop, for tests and for `penstock explain`. Returns whether there was something to do. */
bool worker_round(struct worker *worker);

/* Asks the loop to end. A lossless source's packets at hand are finished first, unless `abandon`. */
void worker_stop(struct worker *worker, bool abandon);

/* Whether a worker that lingers has taken its last packet and handed everything over. Any thread. */
bool worker_stopped(const struct worker *worker);

/* Ends a worker that lingers: the sinks are done, and it says so to who is waiting. */
void worker_leave(struct worker *worker);

/* Whether all sources are at their end (files) and nothing is pending. Any thread. */
bool worker_ended(const struct worker *worker);

#endif
