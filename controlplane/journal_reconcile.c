/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal_reconcile.h"

#include "delivered_set.h"
#include "journal_reader.h"
#include "kafka_tail.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MARGIN_MS (5 * 60 * 1000) /* by which clocks may have stepped back */

struct journal_reconcile {
	const struct engine *engine;
	int64_t since_ms;
	struct delivered_set *set; /* its thread until it is done */
	struct kafka_tail_progress progress;
	_Atomic int state; /* enum reconcile_state; its thread: rw, control: ro */
	struct error error;
	pthread_t thread;
	bool running;
};

static int take_found(
    void *context, uint16_t stream, enum record_kind kind, const uint64_t key[2], int64_t age_ms)
{
	struct journal_reconcile *reconcile = context;

	(void)age_ms;
	return delivered_set_add(reconcile->set, stream, kind, key);
}

static void *run(void *context)
{
	struct journal_reconcile *reconcile = context;
	struct kafka_tail_options options = {
	    .engine = reconcile->engine,
	    .every_output = true,
	    .since_ms = reconcile->since_ms,
	    .found = take_found,
	    .context = reconcile,
	};
	int ret = kafka_tail_read(&options, &reconcile->progress, &reconcile->error);

	atomic_store_explicit(
	    &reconcile->state, ret == 0 ? RECONCILE_DONE : RECONCILE_FAILED, memory_order_release);
	return NULL;
}

/* When the oldest event of the journal arrived; 0: it has none. */
static int oldest_arrival(struct journal *journal, int64_t *arrival_ms, struct error *err)
{
	struct journal_position position = journal->start;
	struct journal_reader *reader;
	struct journal_record record;
	int ret = journal_reader_create(journal, &reader);

	if (ret != 0)
		return error_set(err, ret, "no memory for a reader of the journal");
	*arrival_ms = 0;
	ret = journal_next(reader, &position, &record, err);
	if (ret > 0)
		*arrival_ms = record.arrival_ms;
	journal_reader_destroy(reader);
	return ret < 0 ? ret : 0;
}

int journal_reconcile_start(
    const struct engine *engine, struct journal *journal, struct journal_reconcile **out, struct error *err)
{
	const struct config *config = engine->config;
	int64_t arrival_ms = 0, now_ms = clock_wall_ms(engine->clock);
	struct journal_reconcile *reconcile;
	int ret;

	*out = NULL;
	if (!config->kafka.enabled || config->kafka.embedded)
		return 0;
	ret = oldest_arrival(journal, &arrival_ms, err);
	if (ret != 0 || arrival_ms == 0)
		return ret;
	reconcile = calloc(1, sizeof(*reconcile));
	if (reconcile == NULL)
		return error_set(err, -ENOMEM, "no memory");
	pthread_mutex_init(&reconcile->progress.mutex, NULL);
	reconcile->engine = engine;
	reconcile->since_ms = (arrival_ms < now_ms ? arrival_ms : now_ms) - MARGIN_MS;
	reconcile->set = delivered_set_create();
	ret = reconcile->set == NULL ? -ENOMEM : -pthread_create(&reconcile->thread, NULL, run, reconcile);
	if (ret != 0) {
		journal_reconcile_close(reconcile);
		return error_set(err, ret, "reading the output topics: %s", strerror(-ret));
	}
	reconcile->running = true;
	(void)pthread_setname_np(reconcile->thread, "reconcile");
	*out = reconcile;
	return 0;
}

enum reconcile_state journal_reconcile_state(struct journal_reconcile *reconcile, struct error *err)
{
	enum reconcile_state state =
	    (enum reconcile_state)atomic_load_explicit(&reconcile->state, memory_order_acquire);

	if (state == RECONCILE_FAILED)
		*err = reconcile->error;
	return state;
}

bool journal_reconcile_delivered(void *context, const struct batch *batch, const struct record *record)
{
	const struct journal_reconcile *reconcile = context;
	const struct batch_event *event = &batch->events[record->event];

	return (event->flags & EVENT_MARKED) != 0 &&
	       delivered_set_has(reconcile->set, batch->stream, (enum record_kind)record->kind, event->key);
}

uint64_t journal_reconcile_found(const struct journal_reconcile *reconcile)
{
	return delivered_set_size(reconcile->set);
}

json_t *journal_reconcile_describe(struct journal_reconcile *reconcile)
{
	return kafka_tail_describe(&reconcile->progress, NULL);
}

void journal_reconcile_close(struct journal_reconcile *reconcile)
{
	if (reconcile == NULL)
		return;
	atomic_store_explicit(&reconcile->progress.stop, true, memory_order_release);
	if (reconcile->running)
		(void)pthread_join(reconcile->thread, NULL);
	pthread_mutex_destroy(&reconcile->progress.mutex);
	delivered_set_destroy(reconcile->set);
	free(reconcile);
}
