/* SPDX-License-Identifier: BSD-3-Clause */
#include "window_store.h"

#include "identity_file.h"
#include "identity_log.h"
#include "journal_reader.h"
#include "kafka_tail.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_PARTS 4 /* of the tables' size: identities on disk beyond what they hold */

struct window_store {
	struct engine *engine;
	struct identity_log *log;            /* NULL: nothing is kept */
	struct journal *journal;             /* NULL: there is none */
	const char *off;                     /* why */
	bool fresh;                          /* nothing ran here before */
	struct kafka_checkpoint *checkpoint; /* NULL: no brokers that outlive the process */

	pthread_t thread;
	bool running;
	struct identity_progress progress;
	struct kafka_tail_progress tail;
	_Atomic int state; /* enum window_state; restoring thread: rw, control: ro */
	/* restoring thread until it is done, then control */
	struct identity_restored restored;
	uint64_t from_journal; /* marks that the log did not have */
	struct error error;
	uint64_t took_ns;
	uint64_t tail_marks;        /* found in the output topics only */
	struct delivered_set *seen; /* records found of streams with two outputs */
	uint64_t half_written;      /* of them, events of which only one was found so far */
	bool tail_not_logged;       /* some of them could not be written to the log */
};

static void describe_streams(const struct engine *engine, struct identity_log_options *options)
{
	uint64_t bytes = 0;

	options->n_streams = engine->n_streams;
	for (uint16_t s = 0; s < engine->n_streams; s++) {
		const struct config_stream *config = engine->streams[s].config;

		options->streams[s] = (struct identity_stream){
		    .dedup = engine->streams[s].dedup,
		    .id = identity_stream_id(config->name, config->identity),
		    .window_ms = config->dedup_window_ms,
		};
		if (engine->streams[s].dedup != NULL)
			bytes += config->dedup_budget_bytes;
	}
	options->max_bytes = bytes + bytes / SPARE_PARTS + (8u << 20);
}

static bool any_window(const struct engine *engine)
{
	for (uint16_t s = 0; s < engine->n_streams; s++)
		if (engine->streams[s].dedup != NULL)
			return true;
	return false;
}

static void save_checkpoint(void *context, const char *text, size_t len)
{
	struct window_store *store = context;

	identity_log_checkpoint(store->log, text, len);
}

static int open_log(
    struct window_store *store, const struct config *config, const uint8_t secret[16], struct error *err)
{
	struct identity_log_options options = {
	    .n_sinks = store->engine->n_sinks, .clock = store->engine->clock};
	struct completion_listener listener;
	char directory[PATH_MAX];
	int ret;

	if ((size_t)snprintf(directory, sizeof(directory), "%s/identities",
	        config->control.state_directory) >= sizeof(directory))
		return error_set(err, -ENAMETOOLONG, "%s: path too long", config->control.state_directory);
	options.directory = directory;
	memcpy(options.secret, secret, sizeof(options.secret));
	describe_streams(store->engine, &options);
	ret = identity_log_create(&options, &store->log, err);
	explicit_bzero(options.secret, sizeof(options.secret));
	if (ret != 0)
		return ret;
	listener = identity_log_listener(store->log);
	ret = completion_listen(store->engine->completion, &listener);
	if (ret == 0 && config->kafka.enabled && config->durability == DURABILITY_KAFKA) {
		ret = kafka_checkpoint_create(save_checkpoint, store, &store->checkpoint, err);
		if (ret != 0)
			return ret;
		listener = kafka_checkpoint_listener(store->checkpoint);
		ret = completion_listen(store->engine->completion, &listener);
	}
	if (ret != 0)
		error_set(err, ret, "too many listeners of completions");
	return ret;
}

int window_store_open(const struct config *config, struct engine *engine, struct journal *journal,
    const uint8_t secret[16], bool secret_is_new, struct window_store **out, struct error *err)
{
	struct window_store *store = calloc(1, sizeof(*store));
	int ret = 0;

	*out = NULL;
	if (store == NULL)
		return error_set(err, -ENOMEM, "no memory");
	store->engine = engine;
	store->journal = journal;
	store->fresh = secret_is_new;
	atomic_init(&store->state, WINDOW_RESTORING);
	pthread_mutex_init(&store->tail.mutex, NULL);
	if (!any_window(engine))
		store->off = "no stream has a dedup window";
	else if (config->kafka.enabled && config->kafka.embedded)
		store->off = "the embedded broker forgets its records with the process";
	else
		ret = open_log(store, config, secret, err);
	if (ret != 0) {
		window_store_close(store);
		return ret;
	}
	*out = store;
	return 0;
}

struct marking {
	struct window_store *store;
	struct completion_listener listener;
	int64_t wall_ms, mono_ms;
};

/* What the journal holds is durable, and may have been delivered a moment before a crash. */
static void mark_event(void *context, const struct journal_record *record, const struct journal_event *event)
{
	struct marking *marking = context;
	struct window_store *store = marking->store;
	struct dedup *dedup = store->engine->streams[record->stream].dedup;
	struct completed completed = {
	    .key = {event->key[0], event->key[1]}, .stream = record->stream, .marked = true};
	int64_t age_ms = marking->wall_ms - record->arrival_ms;
	uint32_t evicted = 0;

	if (dedup == NULL || !(event->flags & EVENT_MARKED))
		return;
	if (!dedup_restore(dedup, event->key, age_ms > 0 ? age_ms : 0, marking->mono_ms, &evicted))
		return;
	store->from_journal++;
	store->restored.evicted += evicted;
	marking->listener.complete(marking->listener.context, 0, &completed, 1);
}

/* Keys of another secret say nothing. */
static int restore_journal(struct window_store *store)
{
	struct marking marking = {
	    .store = store,
	    .listener = identity_log_listener(store->log),
	    .wall_ms = clock_wall_ms(store->engine->clock),
	    .mono_ms = (int64_t)(clock_mono_ns(store->engine->clock) / 1000000),
	};

	if (store->journal == NULL || store->fresh)
		return 0;
	return journal_each_event(store->journal, store->journal->start, mark_event, &marking, &store->error);
}

static bool has_both_outputs(const struct window_store *store, uint16_t stream)
{
	const struct config_stream *config = store->engine->streams[stream].config;

	return config->topic_raw != NULL && config->topic_enriched != NULL;
}

/* A record that is in the output topics: what the log does not know it learns, and the table with it. */
static int take_found(
    void *context, uint16_t stream, enum record_kind kind, const uint64_t key[2], int64_t age_ms)
{
	struct window_store *store = context;
	int64_t now_ms = (int64_t)(clock_mono_ns(store->engine->clock) / 1000000);

	if (kind != RECORD_DEAD_LETTER && has_both_outputs(store, stream)) {
		enum record_kind other = kind == RECORD_RAW ? RECORD_ENRICHED : RECORD_RAW;
		bool known = dedup_look(store->engine->streams[stream].dedup, key, now_ms) != DEDUP_NEW;

		if (delivered_set_has(store->seen, stream, kind, key))
			return 0;
		if (delivered_set_add(store->seen, stream, kind, key) != 0)
			return -ENOMEM;
		/* Durable is what has both. */
		if (!delivered_set_has(store->seen, stream, other, key)) {
			store->half_written += !known;
			return 0;
		}
		store->half_written -= !known;
	}
	if (!dedup_restore(
	        store->engine->streams[stream].dedup, key, age_ms, now_ms, &store->restored.evicted))
		return 0;
	store->tail_marks++;
	if (identity_log_add(store->log, stream, key, age_ms) != 0)
		store->tail_not_logged = true;
	return 0;
}

/* From here on the last end is not the orderly one that the checkpoint may speak of. */
static int reopen_checkpoint(struct window_store *store)
{
	static const char clean[] = "\nend clean\n", none[] = "\nend none\n";
	const char *at =
	    store->restored.checkpoint != NULL ? strstr(store->restored.checkpoint, clean) : NULL;
	char *text;
	int len;

	if (at == NULL)
		return 0;
	len = asprintf(&text, "%.*s%s%s", (int)(at - store->restored.checkpoint), store->restored.checkpoint,
	    none, at + sizeof(clean) - 1);
	if (len < 0)
		return -ENOMEM;
	identity_log_checkpoint(store->log, text, (size_t)len);
	free(text);
	return 0;
}

/* The workers complete what has only one of its records, should its sender come back. */
static void expect_the_rest(struct window_store *store)
{
	struct engine *engine = store->engine;
	int64_t longest_ms = 0;

	for (uint16_t s = 0; s < engine->n_streams; s++)
		if (engine->streams[s].dedup != NULL &&
		    engine->streams[s].config->dedup_window_ms > longest_ms)
			longest_ms = engine->streams[s].config->dedup_window_ms;
	engine->half_written_until_ms = (int64_t)(clock_mono_ns(engine->clock) / 1000000) + longest_ms;
	engine->half_written = store->seen;
	store->seen = NULL;
}

static int read_topics(struct window_store *store)
{
	char cluster[256] = "";
	struct kafka_tail_options options = {
	    .engine = store->engine,
	    .checkpoint = store->restored.checkpoint,
	    .fresh = store->fresh && store->restored.empty,
	    .every_output = true,
	    .seeds = store->checkpoint,
	    .cluster = cluster,
	    .found = take_found,
	    .context = store,
	};
	int ret = reopen_checkpoint(store);

	if (ret != 0)
		return error_set(&store->error, ret, "no memory");
	store->seen = delivered_set_create();
	if (store->seen == NULL)
		return error_set(&store->error, -ENOMEM, "no memory");
	ret = kafka_tail_read(&options, &store->tail, &store->error);
	if (ret == 0 && store->half_written > 0)
		expect_the_rest(store);
	/* What the log lacks must be read again by the next start. */
	if (ret == 0 && !store->tail_not_logged)
		kafka_checkpoint_ready(store->checkpoint, cluster);
	return ret;
}

static void *restore(void *context)
{
	struct window_store *store = context;
	uint64_t start_ns = clock_mono_ns(store->engine->clock);
	int ret = identity_log_restore(store->log, &store->progress, &store->restored, &store->error);

	if (ret == 0)
		ret = identity_log_start(store->log, &store->error);
	if (ret == 0)
		ret = restore_journal(store);
	if (ret == 0 && store->checkpoint != NULL)
		ret = read_topics(store);
	store->took_ns = clock_mono_ns(store->engine->clock) - start_ns;
	atomic_store_explicit(&store->state, ret == 0 ? WINDOW_READY : WINDOW_FAILED, memory_order_release);
	return NULL;
}

int window_store_start(struct window_store *store, struct error *err)
{
	int ret;

	if (store->log == NULL) {
		atomic_store(&store->state, WINDOW_READY);
		return 0;
	}
	ret = -pthread_create(&store->thread, NULL, restore, store);
	if (ret != 0)
		return error_set(err, ret, "restoring thread: %s", strerror(-ret));
	(void)pthread_setname_np(store->thread, "restore");
	store->running = true;
	return 0;
}

struct kafka_checkpoint *window_store_checkpoint(struct window_store *store)
{
	return store->checkpoint;
}

enum window_state window_store_state(struct window_store *store, struct error *err)
{
	enum window_state state =
	    (enum window_state)atomic_load_explicit(&store->state, memory_order_acquire);

	if (state == WINDOW_FAILED && err != NULL)
		*err = store->error;
	return state;
}

void window_store_summary(struct window_store *store, char *line, size_t size)
{
	const struct identity_restored *r = &store->restored;
	int n;

	if (store->log == NULL) {
		(void)snprintf(line, size, "dedup windows start empty: %s", store->off);
		return;
	}
	n = snprintf(line, size,
	    "dedup windows restored: %" PRIu64 " identities from %u segments, %" PRIu64 " more from %" PRIu64
	    " records of the output topics, %" PRIu64 " more from the journal, %" PRIu64
	    " expired, in %.3f s",
	    r->marks, r->segments, store->tail_marks, atomic_load(&store->tail.records), store->from_journal,
	    r->expired, (double)store->took_ns / 1e9);
	if (n > 0 && (size_t)n < size && store->half_written > 0)
		n += snprintf(line + n, size - (size_t)n,
		    "; %" PRIu64
		    " events have only one of their two records: their senders' retries complete them",
		    store->half_written);
	if (n > 0 && (size_t)n < size && r->damaged > 0)
		n += snprintf(line + n, size - (size_t)n, "; %" PRIu64 " bytes were damaged", r->damaged);
	if (n > 0 && (size_t)n < size && r->refused > 0)
		(void)snprintf(
		    line + n, size - (size_t)n, "; %u files not read, the last: %s", r->refused, r->refusal);
}

static void add_alarm(json_t *alarms, const char *name, json_t *text)
{
	json_array_append_new(alarms, json_pack("{s:s, s:o}", "name", name, "text", text));
}

static void describe_log(struct window_store *store, json_t *object, json_t *alarms)
{
	struct identity_log_status status;

	identity_log_status(store->log, &status);
	json_object_set_new(object, "written", json_integer((json_int_t)status.marks));
	json_object_set_new(object, "lost", json_integer((json_int_t)status.lost));
	json_object_set_new(object, "bytes", json_integer((json_int_t)status.bytes));
	json_object_set_new(object, "segments", json_integer(status.segments));
	if (status.error_ms != 0)
		json_object_set_new(object, "last_error", json_string(status.error));
	if (status.failing)
		add_alarm(alarms, "identity_log_failing",
		    json_sprintf("identities are not written: %s", status.error));
	if (!status.covered)
		add_alarm(alarms, "identity_log_incomplete",
		    json_sprintf(
		        "%llu identities were not written: until they expire, a restart can let their "
		        "duplicates pass",
		        (unsigned long long)status.lost));
}

json_t *window_store_describe(struct window_store *store, json_t *alarms)
{
	static const char *const states[] = {
	    [WINDOW_RESTORING] = "restoring", [WINDOW_READY] = "ok", [WINDOW_FAILED] = "failed"};
	enum window_state state = window_store_state(store, NULL);
	const struct identity_restored *r = &store->restored;
	json_t *object = json_object();

	if (store->log == NULL) {
		json_object_set_new(object, "state", json_string("off"));
		json_object_set_new(object, "reason", json_string(store->off));
		return object;
	}
	json_object_set_new(object, "state", json_string(states[state]));
	json_object_set_new(object, "read_bytes",
	    json_integer((json_int_t)atomic_load_explicit(&store->progress.bytes, memory_order_relaxed)));
	json_object_set_new(object, "to_read_bytes",
	    json_integer(
	        (json_int_t)atomic_load_explicit(&store->progress.total_bytes, memory_order_relaxed)));
	json_object_set_new(object, "restored",
	    json_integer((json_int_t)atomic_load_explicit(&store->progress.marks, memory_order_relaxed)));
	if (store->checkpoint != NULL)
		(void)kafka_tail_describe(&store->tail, object);
	describe_log(store, object, alarms);
	if (state != WINDOW_READY)
		return object;
	json_object_set_new(object, "from_journal", json_integer((json_int_t)store->from_journal));
	json_object_set_new(object, "expired", json_integer((json_int_t)r->expired));
	json_object_set_new(object, "damaged_bytes", json_integer((json_int_t)r->damaged));
	json_object_set_new(object, "refused_files", json_integer(r->refused));
	if (r->refused > 0)
		json_object_set_new(object, "refused_last", json_string(r->refusal));
	if (r->damaged > 0 || r->refused > 0)
		add_alarm(alarms, "identity_log_damaged",
		    json_sprintf("%llu bytes and %u files of the identity log could not be read: duplicates "
		                 "of what they "
		                 "held can pass",
		        (unsigned long long)r->damaged, r->refused));
	return object;
}

void window_store_close(struct window_store *store)
{
	if (store == NULL)
		return;
	atomic_store_explicit(&store->tail.stop, true, memory_order_release);
	if (store->running)
		(void)pthread_join(store->thread, NULL);
	if (store->checkpoint != NULL)
		kafka_checkpoint_finish(store->checkpoint);
	identity_log_destroy(store->log);
	delivered_set_destroy(store->seen);
	kafka_checkpoint_destroy(store->checkpoint);
	pthread_mutex_destroy(&store->tail.mutex);
	free(store->restored.checkpoint);
	free(store);
}
