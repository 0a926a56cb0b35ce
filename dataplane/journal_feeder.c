/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal_feeder.h"

#include "ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECKPOINT_NS 200000000ull /* synced */
#define NOTE_NS 10000000ull        /* for the case that only the process dies */
#define CHECKPOINT_RETRY_NS 1000000000ull
#define FEW_LANES 16u /* have all the batches that they may have */
#define IDLE_NS 1000000

/* What describe() shows of a lane. */
struct lane_status {
	uint64_t event; /* consumed so far */
	uint64_t delivered, skipped;
	int64_t oldest_ms;
	uint32_t n_flights;
};

struct journal_feeder {
	struct journal *journal;
	struct lane_tools tools;
	struct lane *lanes;
	uint32_t n_lanes, next_lane;
	struct rte_ring **rings; /* of each lane, sink after sink */
	uint32_t first_ring[FEEDER_SINKS + 1];
	struct batch_home home; /* of batches that the sinks have released */
	struct batch_pool *pool;
	uint32_t n_batches;
	uint64_t checkpoint_ns, note_ns; /* not before */
	bool unsynced;                   /* a note was written since the last checkpoint */
	pthread_t thread;
	bool running;         /* control */
	_Atomic bool paused;  /* control: rw, feeder: ro */
	_Atomic bool silent;  /* feeder: rw, control: ro. It has seen `paused` */
	_Atomic bool stop;    /* control: rw, feeder: ro */
	_Atomic uint32_t out; /* feeder: rw, others: ro. Batches with the sinks */

	pthread_mutex_t mutex; /* of all below; taken once per round with progress */
	struct lane_status *status;
	struct error error; /* of the last failure to read or to write the checkpoint; "" after a success */
	int last_rc;
};

/* ---- making it ---- */

static bool has_output(const struct config_stream *stream, uint32_t output)
{
	const char *const topics[RECORD_KINDS] = {
	    [RECORD_RAW] = stream->topic_raw,
	    [RECORD_ENRICHED] = stream->topic_enriched,
	    [RECORD_DEAD_LETTER] = stream->topic_dead_letter,
	};

	return topics[output] != NULL;
}

/* Where the consumer was, or the oldest place. */
static struct journal_position begin_at(const struct journal *journal, const struct lane *lane)
{
	const struct journal_checkpoint *checkpoint = journal->checkpoint;
	const char *stream = journal->options.config->streams[lane->stream].name;

	for (uint32_t i = 0; i < checkpoint->n_marks; i++) {
		const struct journal_mark *mark = &checkpoint->marks[i];

		if (strcmp(mark->stream, stream) == 0 && strcmp(mark->sink, lane->sink) == 0 &&
		    mark->output == lane->output)
			return mark->position;
	}
	return journal->start;
}

static int add_lane(
    struct journal_feeder *feeder, const struct journal_feeder_sink *sink, uint16_t stream, uint8_t output)
{
	struct lane *lane = &feeder->lanes[feeder->n_lanes];

	*lane = (struct lane){
	    .stream = stream,
	    .output = output,
	    .number = (uint8_t)feeder->n_lanes,
	    .reconciled = sink->reconciled,
	    .sink = sink->type,
	};
	lane->ring = ring_create(LANE_FLIGHTS, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (lane->ring == NULL)
		return -ENOMEM;
	lane->cursor = lane->consumed = begin_at(feeder->journal, lane);
	feeder->rings[feeder->n_lanes++] = lane->ring;
	return 0;
}

static int add_lanes(struct journal_feeder *feeder, const struct journal_feeder_sink *sink)
{
	const struct config *config = feeder->journal->options.config;
	int rc = 0;

	for (uint16_t s = 0; rc == 0 && s < config->n_streams; s++) {
		if (!sink->per_output)
			rc = add_lane(feeder, sink, s, JOURNAL_ALL_OUTPUTS);
		for (uint8_t o = 0; rc == 0 && sink->per_output && o < RECORD_KINDS; o++) {
			if (has_output(&config->streams[s], o))
				rc = add_lane(feeder, sink, s, o);
		}
	}
	return rc;
}

static int make_batches(struct journal_feeder *feeder, struct error *err)
{
	uint32_t quota = feeder->n_lanes <= FEW_LANES ? LANE_FLIGHTS : LANE_FLIGHTS / 4;
	int rc;

	feeder->n_batches = quota * feeder->n_lanes;
	rc = batch_pool_create(0, feeder->n_batches, -1, HUGEPAGES_OFF, &feeder->pool, err);
	if (rc != 0)
		return rc;
	feeder->tools.idle = calloc(feeder->n_batches, sizeof(struct batch *));
	feeder->tools.owner = calloc(feeder->n_batches, sizeof(struct lane *));
	if (feeder->tools.idle == NULL || feeder->tools.owner == NULL)
		return error_set(err, -ENOMEM, "no memory for the journal's feeder");
	for (uint32_t i = 0; i < feeder->n_batches; i++) {
		struct batch *batch = batch_get(feeder->pool);

		batch->home = &feeder->home; /* with its contents: the pool would empty it */
		batch->opened_ns = i;
		feeder->tools.idle[feeder->tools.n_idle++] = batch;
	}
	for (uint32_t l = 0; l < feeder->n_lanes; l++)
		feeder->lanes[l].quota = quota;
	return 0;
}

int journal_feeder_create(struct journal *journal, const struct journal_feeder_sink *sinks, uint32_t n_sinks,
    struct journal_feeder **out, struct error *err)
{
	struct journal_feeder *feeder = calloc(1, sizeof(*feeder));
	struct lane_tools *tools;
	int rc = -ENOMEM;

	*out = NULL;
	if (feeder == NULL)
		return error_set(err, rc, "no memory for the journal's feeder");
	pthread_mutex_init(&feeder->mutex, NULL);
	feeder->journal = journal;
	tools = &feeder->tools;
	tools->journal = journal;
	tools->records = malloc(BATCH_RECORDS * sizeof(*tools->records));
	tools->events = malloc(BATCH_EVENTS * sizeof(*tools->events));
	feeder->lanes = calloc(JOURNAL_MARKS, sizeof(*feeder->lanes));
	feeder->rings = calloc(JOURNAL_MARKS, sizeof(struct rte_ring *));
	feeder->status = calloc(JOURNAL_MARKS, sizeof(*feeder->status));
	if (tools->records == NULL || tools->events == NULL || feeder->lanes == NULL ||
	    feeder->rings == NULL || feeder->status == NULL ||
	    journal_reader_create(journal, &tools->reader) != 0) {
		error_set(err, rc, "no memory for the journal's feeder");
		goto err;
	}
	for (uint32_t s = 0; s < n_sinks; s++) {
		feeder->first_ring[s] = feeder->n_lanes;
		rc = add_lanes(feeder, &sinks[s]);
		feeder->first_ring[s + 1] = feeder->n_lanes;
		if (rc != 0) {
			error_set(err, rc, "no memory for the journal's feeder");
			goto err;
		}
	}
	rc = make_batches(feeder, err);
	if (rc != 0)
		goto err;
	for (uint32_t l = 0; l < feeder->n_lanes; l++)
		feeder->status[l].event = feeder->lanes[l].consumed.event;
	*out = feeder;
	return 0;
err:
	journal_feeder_destroy(feeder);
	return rc;
}

size_t journal_feeder_rings(struct journal_feeder *feeder, uint32_t sink, struct rte_ring *const **rings)
{
	*rings = feeder->rings + feeder->first_ring[sink];
	return feeder->first_ring[sink + 1] - feeder->first_ring[sink];
}

void journal_feeder_reconcile(struct journal_feeder *feeder, journal_skip_fn skip, void *context)
{
	feeder->tools.skip = skip;
	feeder->tools.skip_context = context;
	atomic_store_explicit(&feeder->tools.reconciled, true, memory_order_release);
}

/* ---- the thread ---- */

static void failed(struct journal_feeder *feeder, const struct error *err)
{
	pthread_mutex_lock(&feeder->mutex);
	feeder->error = *err;
	pthread_mutex_unlock(&feeder->mutex);
}

static bool take_back(struct journal_feeder *feeder)
{
	struct batch *batch = batch_home_take(&feeder->home);
	bool any = batch != NULL;

	while (batch != NULL) {
		struct batch *next = batch->next;

		lane_return(feeder->tools.owner[batch->opened_ns], &feeder->tools, batch);
		batch = next;
	}
	return any;
}

static bool feed(struct journal_feeder *feeder)
{
	struct error err;
	bool any = false;

	for (uint32_t i = 0; i < feeder->n_lanes; i++) {
		struct lane *lane = &feeder->lanes[(feeder->next_lane + i) % feeder->n_lanes];
		int n = lane_feed(lane, &feeder->tools, &err);

		if (n < 0)
			failed(feeder, &err);
		any = any || n > 0;
	}
	if (++feeder->next_lane >= feeder->n_lanes)
		feeder->next_lane = 0;
	return any;
}

static void publish(struct journal_feeder *feeder)
{
	uint32_t out = 0;

	pthread_mutex_lock(&feeder->mutex);
	for (uint32_t l = 0; l < feeder->n_lanes; l++) {
		const struct lane *lane = &feeder->lanes[l];

		feeder->status[l] = (struct lane_status){
		    .event = lane->consumed.event,
		    .delivered = lane->delivered,
		    .skipped = lane->skipped,
		    .oldest_ms = lane_oldest_ms(lane),
		    .n_flights = lane->n_flights,
		};
		for (uint32_t i = 0; i < lane->n_flights; i++)
			out += lane->flights[(lane->first + i) % LANE_FLIGHTS].batch != NULL;
	}
	pthread_mutex_unlock(&feeder->mutex);
	atomic_store_explicit(&feeder->out, out, memory_order_release);
}

/* Brings the marks up to date. Returns whether anything changed. */
static bool update_marks(struct journal_feeder *feeder)
{
	struct journal *journal = feeder->journal;
	struct journal_checkpoint *to = journal->checkpoint;
	struct journal_position end = journal_end(journal);
	bool changed = to->n_marks != feeder->n_lanes || to->synced.sequence != end.sequence;

	for (uint32_t l = 0; l < feeder->n_lanes; l++) {
		const struct lane *lane = &feeder->lanes[l];
		const char *stream = journal->options.config->streams[lane->stream].name;
		struct journal_mark mark = {.output = lane->output, .position = lane->consumed};

		memcpy(mark.stream, stream, strnlen(stream, sizeof(mark.stream) - 1));
		memcpy(mark.sink, lane->sink, strnlen(lane->sink, sizeof(mark.sink) - 1));
		changed = changed || memcmp(&to->marks[l], &mark, sizeof(mark)) != 0;
		to->marks[l] = mark;
	}
	to->n_marks = feeder->n_lanes;
	/* Of a journal that has no record yet there is nothing to say. */
	if (end.sequence > 0)
		to->synced = end;
	return changed;
}

/* Says on disk how far everybody is, then frees what nobody needs. */
static int checkpoint(struct journal_feeder *feeder, struct error *err)
{
	struct journal *journal = feeder->journal;
	struct journal_checkpoint *to = journal->checkpoint;
	uint64_t first = UINT64_MAX;
	bool changed = update_marks(feeder);
	int rc;

	if (!changed && !feeder->unsynced)
		return 0;
	for (uint32_t l = 0; l < feeder->n_lanes; l++) {
		if (feeder->lanes[l].consumed.segment < first)
			first = feeder->lanes[l].consumed.segment;
	}
	to->first_segment = first;
	feeder->unsynced = true;
	rc = journal_checkpoint_write(&journal->options.io, journal->checkpoint_fd, to, err);
	if (rc != 0)
		return rc;
	feeder->unsynced = false;
	journal_reader_forget(feeder->tools.reader, first);
	rc = journal_free_before(journal, first);
	return rc == 0 ? 0
	               : error_set(err, rc, "a delivered segment could not be deleted: %s", strerror(-rc));
}

static void checkpoint_if_due(struct journal_feeder *feeder)
{
	struct journal *journal = feeder->journal;
	uint64_t now_ns = clock_mono_ns(&system_clock);
	struct error err = {{0}};

	if (now_ns >= feeder->checkpoint_ns) {
		feeder->checkpoint_ns = now_ns + CHECKPOINT_NS;
		if (checkpoint(feeder, &err) != 0)
			feeder->checkpoint_ns = now_ns + CHECKPOINT_RETRY_NS;
		failed(feeder, &err); /* or not: then there is no error any more */
	} else if (now_ns >= feeder->note_ns && update_marks(feeder)) {
		feeder->unsynced = true;
		if (journal_checkpoint_note(
		        &journal->options.io, journal->checkpoint_fd, journal->checkpoint, &err) != 0)
			failed(feeder, &err);
		feeder->note_ns = now_ns + NOTE_NS;
	}
}

static void *run(void *argument)
{
	struct journal_feeder *feeder = argument;
	struct error err = {{0}};

	while (!atomic_load_explicit(&feeder->stop, memory_order_acquire)) {
		bool paused = atomic_load_explicit(&feeder->paused, memory_order_acquire);
		bool any = take_back(feeder);

		if (!paused)
			any = feed(feeder) || any;
		publish(feeder);
		if (paused)
			atomic_store_explicit(&feeder->silent, true, memory_order_release);
		checkpoint_if_due(feeder);
		if (!any)
			nanosleep(&(struct timespec){.tv_nsec = IDLE_NS}, NULL);
	}
	(void)take_back(feeder);
	publish(feeder);
	feeder->last_rc = checkpoint(feeder, &err);
	if (feeder->last_rc != 0)
		failed(feeder, &err);
	return NULL;
}

int journal_feeder_start(struct journal_feeder *feeder, const cpu_set_t *cpus, struct error *err)
{
	pthread_attr_t attr;
	int rc = pthread_attr_init(&attr);

	if (rc == 0 && cpus != NULL)
		rc = pthread_attr_setaffinity_np(&attr, sizeof(*cpus), cpus);
	if (rc == 0)
		rc = pthread_create(&feeder->thread, &attr, run, feeder);
	pthread_attr_destroy(&attr);
	if (rc != 0)
		return error_set(err, -rc, "the journal's feeder: %s", strerror(rc));
	feeder->running = true;
	pthread_setname_np(feeder->thread, "journal-feeder");
	return 0;
}

void journal_feeder_pause(struct journal_feeder *feeder)
{
	atomic_store_explicit(&feeder->paused, true, memory_order_release);
	while (feeder->running && !atomic_load_explicit(&feeder->silent, memory_order_acquire))
		nanosleep(&(struct timespec){.tv_nsec = IDLE_NS}, NULL);
}

int journal_feeder_stop(struct journal_feeder *feeder, struct error *err)
{
	if (!feeder->running)
		return 0;
	atomic_store_explicit(&feeder->stop, true, memory_order_release);
	pthread_join(feeder->thread, NULL);
	feeder->running = false;
	if (feeder->last_rc != 0 && err != NULL)
		*err = feeder->error;
	return feeder->last_rc;
}

void journal_feeder_destroy(struct journal_feeder *feeder)
{
	if (feeder == NULL)
		return;
	(void)journal_feeder_stop(feeder, NULL);
	for (uint32_t l = 0; l < feeder->n_lanes; l++)
		free(feeder->lanes[l].ring);
	journal_reader_destroy(feeder->tools.reader);
	batch_pool_destroy(feeder->pool);
	free(feeder->tools.records);
	free(feeder->tools.events);
	free(feeder->tools.idle);
	free(feeder->tools.owner);
	free(feeder->lanes);
	free(feeder->rings);
	free(feeder->status);
	pthread_mutex_destroy(&feeder->mutex);
	free(feeder);
}

/* ---- what others see ---- */

uint64_t journal_feeder_backlog(struct journal_feeder *feeder)
{
	uint64_t least = UINT64_MAX, end;

	pthread_mutex_lock(&feeder->mutex);
	for (uint32_t l = 0; l < feeder->n_lanes; l++) {
		if (feeder->status[l].event < least)
			least = feeder->status[l].event;
	}
	pthread_mutex_unlock(&feeder->mutex);
	end = journal_end(feeder->journal).event;
	return feeder->n_lanes > 0 && end > least ? end - least : 0;
}

bool journal_feeder_quiet(struct journal_feeder *feeder)
{
	return atomic_load_explicit(&feeder->out, memory_order_acquire) == 0;
}

bool journal_feeder_idle(struct journal_feeder *feeder)
{
	return journal_feeder_backlog(feeder) == 0 && journal_feeder_quiet(feeder);
}

void journal_feeder_describe(struct journal_feeder *feeder, json_t *object)
{
	static const char *const outputs[RECORD_KINDS] = {"raw", "enriched", "dead_letter"};
	uint64_t backlog = journal_feeder_backlog(feeder), end = journal_end(feeder->journal).event;
	int64_t now_ms = clock_wall_ms(feeder->journal->options.clock), oldest_ms = now_ms;
	json_t *lanes = json_array();

	pthread_mutex_lock(&feeder->mutex);
	for (uint32_t l = 0; l < feeder->n_lanes; l++) {
		const struct lane *lane = &feeder->lanes[l]; /* its names never change */
		const struct lane_status *status = &feeder->status[l];
		uint64_t behind = end > status->event ? end - status->event : 0;

		if (status->oldest_ms != 0 && status->oldest_ms < oldest_ms)
			oldest_ms = status->oldest_ms;
		json_array_append_new(lanes,
		    json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:i}", "sink", lane->sink, "stream",
		        feeder->journal->options.config->streams[lane->stream].name, "output",
		        lane->output == JOURNAL_ALL_OUTPUTS ? "all" : outputs[lane->output], "behind_events",
		        (json_int_t)behind, "delivered", (json_int_t)status->delivered, "skipped",
		        (json_int_t)status->skipped, "batches", (int)status->n_flights));
	}
	if (feeder->error.text[0] != '\0')
		json_object_set_new(object, "feeder_error", json_string(feeder->error.text));
	pthread_mutex_unlock(&feeder->mutex);
	json_object_set_new(object, "backlog_events", json_integer((json_int_t)backlog));
	json_object_set_new(
	    object, "backlog_age_ms", json_integer(backlog > 0 ? (json_int_t)(now_ms - oldest_ms) : 0));
	json_object_set_new(object, "lanes", lanes);
}
