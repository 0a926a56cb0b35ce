/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread that drives one sink: takes batches from one ring per worker, submits them, polls for
 * confirmations, and publishes the sink's ledger after every round. When there is nothing to do it waits in
 * the sink's poll for at most a millisecond; it never spins. A sink that is full stops it from taking more,
 * the rings fill, and the workers meet back-pressure.
 *
 * start, stop and destroy: control thread. published and describe: any thread, between start and destroy.
 */
#ifndef PENSTOCK_SINK_THREAD_H
#define PENSTOCK_SINK_THREAD_H

#include "sink.h"

#include <sched.h>

struct rte_ring;
struct sink_thread;

/* Starts the thread "sink-<type>" on `cpus` (NULL: anywhere). The rings hold struct batch pointers, one
 * consumer each, and must outlive the thread; the array is copied. The sink belongs to the thread from here
 * on, also on failure, when it is closed. */
int sink_thread_start(struct sink *sink, struct rte_ring *const *rings, size_t n_rings, const cpu_set_t *cpus,
    struct sink_thread **out, struct error *err);

/* Empties the rings, flushes and closes the sink, and joins the thread. Nobody may put batches into the rings
 * any more. What is not confirmed at the deadline (CLOCK_MONOTONIC, ns) is counted as shed. 0, or -ETIMEDOUT
 * when something was given up. A second call does nothing. */
int sink_thread_stop(struct sink_thread *thread, uint64_t deadline_ns);

/* Stops it at once if it still runs, then frees it and the published ledger. NULL is allowed. */
void sink_thread_destroy(struct sink_thread *thread);

/* The sink's ledger, a struct sink_ledger; readable until destroy, also after the sink is closed. */
const struct published *sink_thread_published(const struct sink_thread *thread);

/* "kafka", "files", "capture". */
const char *sink_thread_type(const struct sink_thread *thread);

/* What the sink says about itself; {"type":..., "state":"closed"} after stop. */
void sink_thread_describe(struct sink_thread *thread, json_t *object);

#endif
