/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker.h"

#include <errno.h>
#include <rte_pause.h>
#include <rte_rcu_qsbr.h>
#include <sched.h>
#include <stdlib.h>

/* How many rounds without work before the open batches are looked at for their age. */
#define IDLE_ROUNDS 64u
/* Under load the age is looked at once in so many rounds. */
#define BUSY_ROUNDS 64u
/* How long the last acknowledgements may take: more than any of them waits to be due. */
#define LAST_WORD_NS (10u * 1000 * 1000)

bool worker_round(struct worker *w)
{
	struct pipeline *p = w->pipeline;
	bool busy = false;

	for (uint32_t i = 0; i < w->n_sources; i++) {
		struct source *source = w->sources[i];
		int n;

		if (w->ended[i] || (pipeline_pending(p) && p->source != source))
			continue;
		n = pipeline_poll(p, source);
		rte_rcu_qsbr_quiescent(w->engine->rcu, w->id);
		if (n > 0) {
			busy = true;
		} else if (n < 0) {
			if (n != -ENODATA)
				atomic_store_explicit(&source->broken, true, memory_order_release);
			w->ended[i] = true;
			atomic_fetch_add_explicit(&w->n_ended, 1, memory_order_release);
		}
	}
	busy = pipeline_answer(p) > 0 || busy;
	p->ledger->worker.loops++;
	p->ledger->worker.busy_loops += busy;
	return busy;
}

/* Those who wait hear what becomes durable while the sinks finish, and a last word when they have. */
static void linger(struct worker *w)
{
	uint64_t end;

	while (!atomic_load_explicit(&w->leave, memory_order_acquire)) {
		rte_rcu_qsbr_quiescent(w->engine->rcu, w->id);
		if (pipeline_answer(w->pipeline) == 0)
			(void)sched_yield();
	}
	end = clock_mono_ns(w->engine->clock) + LAST_WORD_NS;
	while (pipeline_waiting(w->pipeline) && clock_mono_ns(w->engine->clock) < end) {
		rte_rcu_qsbr_quiescent(w->engine->rcu, w->id);
		(void)pipeline_answer(w->pipeline);
	}
}

int worker_run(void *argument)
{
	struct worker *w = argument;
	uint32_t idle = 0, rounds = 0;

	rte_rcu_qsbr_thread_register(w->engine->rcu, w->id);
	rte_rcu_qsbr_thread_online(w->engine->rcu, w->id);
	while (!atomic_load_explicit(&w->stop, memory_order_acquire)) {
		if (worker_round(w)) {
			idle = 0;
			if (++rounds % BUSY_ROUNDS == 0)
				(void)pipeline_hand_over(w->pipeline, false);
			continue;
		}
		rte_rcu_qsbr_quiescent(w->engine->rcu, w->id);
		rte_pause();
		if (++idle % IDLE_ROUNDS == 0) {
			(void)pipeline_hand_over(w->pipeline, false);
			if (w->yields)
				(void)sched_yield();
		}
		/* The loop counts of an idle worker are worth showing once in a while. */
		if (idle % (IDLE_ROUNDS * 1024) == 0)
			pipeline_publish(w->pipeline);
	}
	/* What is at hand is finished, unless it waits for sinks that do not come back. */
	while (pipeline_pending(w->pipeline) && !atomic_load_explicit(&w->abandon, memory_order_acquire)) {
		(void)pipeline_poll(w->pipeline, w->pipeline->source);
		rte_rcu_qsbr_quiescent(w->engine->rcu, w->id);
		(void)pipeline_hand_over(w->pipeline, false);
	}
	(void)pipeline_hand_over(w->pipeline, true);
	pipeline_publish(w->pipeline);
	atomic_store_explicit(&w->handed_over, true, memory_order_release);
	if (w->lingers)
		linger(w);
	pipeline_forget(w->pipeline);
	rte_rcu_qsbr_thread_offline(w->engine->rcu, w->id);
	rte_rcu_qsbr_thread_unregister(w->engine->rcu, w->id);
	return 0;
}

void worker_stop(struct worker *w, bool abandon)
{
	atomic_store_explicit(&w->abandon, abandon, memory_order_release);
	atomic_store_explicit(&w->stop, true, memory_order_release);
}

void worker_leave(struct worker *w)
{
	atomic_store_explicit(&w->leave, true, memory_order_release);
}

bool worker_stopped(const struct worker *w)
{
	return atomic_load_explicit(&w->handed_over, memory_order_acquire);
}

bool worker_ended(const struct worker *w)
{
	return atomic_load_explicit(&w->n_ended, memory_order_acquire) == w->n_sources;
}

int worker_add_source(struct worker *w, struct source *source)
{
	if (w->n_sources == WORKER_MAX_SOURCES)
		return -ENOSPC;
	w->sources[w->n_sources++] = source;
	return 0;
}

int worker_create(struct engine *engine, uint16_t id, struct worker **out, struct error *err)
{
	struct worker *w = calloc(1, sizeof(*w));
	int ret;

	*out = NULL;
	if (w == NULL)
		return error_set(err, -ENOMEM, "no memory for worker %u", id);
	w->engine = engine;
	w->id = id;
	ret = pipeline_create(engine, id, &w->pipeline, err);
	if (ret != 0) {
		free(w);
		return ret;
	}
	*out = w;
	return 0;
}

void worker_destroy(struct worker *w)
{
	if (w == NULL)
		return;
	if (w->pipeline->source != NULL) {
		/* Abandoned with packets at hand. */
		source_release(w->pipeline->source, w->pipeline->packets, w->pipeline->n_packets);
		w->pipeline->source = NULL;
	}
	pipeline_destroy(w->pipeline);
	free(w);
}
