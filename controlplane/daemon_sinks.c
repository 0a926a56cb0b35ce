/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon_sinks.h"

#include "log.h"
#include "sink_journal.h"
#include "sink_kafka.h"

#include <errno.h>
#include <inttypes.h>

#define BEHIND_JOURNAL_NS 2000000000ull /* for the sinks behind a journal, at a shutdown */

typedef int (*create_fn)(const struct config *config, uint8_t number, struct sink **out, struct error *err);

/* Kafka and the files: those that are configured. */
struct real_sink {
	create_fn create;
	struct journal_feeder_sink fed; /* how the journal's feeder sees it */
};

static uint32_t real_sinks(const struct config *config, struct real_sink out[FEEDER_SINKS])
{
	uint32_t n = 0;

	if (config->kafka.enabled)
		out[n++] = (struct real_sink){
		    sink_kafka_create, {.type = "kafka", .per_output = true, .reconciled = true}};
	if (config->files.enabled)
		out[n++] = (struct real_sink){sink_file_create, {.type = "files"}};
	return n;
}

uint32_t daemon_engine_sinks(const struct config *config)
{
	struct real_sink sinks[FEEDER_SINKS];

	return config->durability == DURABILITY_JOURNAL ? 1 : real_sinks(config, sinks);
}

/* ---- the journal ---- */

static void log_journal(struct daemon *d)
{
	uint64_t backlog = journal_feeder_backlog(d->feeder);

	if (d->journal->torn_bytes > 0)
		log_line(LOG_INFO,
		    "journal: cut off %" PRIu64
		    " bytes at its end that were being written when the daemon died",
		    d->journal->torn_bytes);
	if (backlog > 0)
		log_line(
		    LOG_INFO, "journal: %" PRIu64 " events of an earlier run are to be delivered", backlog);
}

int daemon_journal_open(struct daemon *d, struct error *err)
{
	const struct config *config = d->config;
	struct journal_options options = {
	    .config = config,
	    .directory = config->journal.directory,
	    .segment_bytes = (uint64_t)config->journal.segment_mb << 20,
	    .max_bytes = (uint64_t)config->journal.max_gb << 30,
	    .clock = d->clock,
	};
	struct journal_feeder_sink fed[FEEDER_SINKS];
	struct real_sink sinks[FEEDER_SINKS];
	uint32_t n = real_sinks(config, sinks);
	int rc;

	if (config->durability != DURABILITY_JOURNAL)
		return 0;
	rc = journal_io_directory(config->journal.directory, &options.io, err);
	if (rc == 0)
		rc = journal_open(&options, &d->journal, err);
	if (rc != 0)
		return error_prefix(err, rc, "journal.directory");
	for (uint32_t s = 0; s < n; s++)
		fed[s] = sinks[s].fed;
	rc = journal_feeder_create(d->journal, fed, n, &d->feeder, err);
	if (rc != 0) {
		journal_close(d->journal);
		d->journal = NULL;
		return rc;
	}
	log_journal(d);
	return 0;
}

void daemon_journal_close(struct daemon *d)
{
	journal_feeder_destroy(d->feeder);
	journal_reconcile_close(d->reconcile);
	journal_close(d->journal);
	d->reconcile = NULL;
	d->feeder = NULL;
	d->journal = NULL;
}

void daemon_journal_tick(struct daemon *d)
{
	char text[256];

	while (d->journal != NULL && journal_damage_text(d->journal, &d->damage_told, text, sizeof(text)))
		log_line(LOG_ERROR, "journal: %s: %s", d->config->journal.directory, text);
}

/* ---- sinks ---- */

void daemon_sinks_destroy(struct daemon *d)
{
	for (uint32_t s = 0; s < d->n_sinks; s++)
		sink_thread_destroy(d->sinks[s]);
	d->n_sinks = 0;
}

/* The rings that lead from the workers to their sink number `sink`. */
static size_t worker_rings(const struct daemon *d, uint32_t sink, struct rte_ring *rings[ENGINE_MAX_WORKERS])
{
	for (uint32_t w = 0; w < d->engine->n_workers; w++)
		rings[w] = d->engine->rings[w][sink];
	return d->engine->n_workers;
}

static int add_sink(
    struct daemon *d, struct sink *sink, struct rte_ring *const *rings, size_t n_rings, struct error *err)
{
	int rc = sink_thread_start(sink, rings, n_rings, NULL, &d->sinks[d->n_sinks], err);

	if (rc == 0)
		d->n_sinks++;
	return rc;
}

int daemon_sinks_start(struct daemon *d, struct error *err)
{
	struct rte_ring *from_workers[ENGINE_MAX_WORKERS];
	struct real_sink sinks[FEEDER_SINKS];
	uint32_t n = real_sinks(d->config, sinks);
	struct sink *sink;
	int rc = 0;

	if (d->journal != NULL) {
		size_t n_rings = worker_rings(d, 0, from_workers);

		rc = sink_journal_create(d->journal, 0, &sink, err);
		if (rc == 0)
			rc = add_sink(d, sink, from_workers, n_rings, err);
	}
	for (uint32_t s = 0; rc == 0 && s < n; s++) {
		struct rte_ring *const *rings = from_workers;
		size_t n_rings;

		if (d->journal != NULL)
			n_rings = journal_feeder_rings(d->feeder, s, &rings);
		else
			n_rings = worker_rings(d, s, from_workers);
		rc = sinks[s].create(d->config, (uint8_t)d->n_sinks, &sink, err);
		if (rc == 0 && sinks[s].create == sink_kafka_create)
			sink_kafka_checkpoint(sink, window_store_checkpoint(d->windows));
		if (rc == 0)
			rc = add_sink(d, sink, rings, n_rings, err);
	}
	if (rc != 0)
		daemon_sinks_destroy(d);
	return rc;
}

int daemon_feeder_start(struct daemon *d, struct error *err)
{
	int rc;

	if (d->feeder == NULL)
		return 0;
	rc = journal_reconcile_start(d->engine, d->journal, &d->reconcile, err);
	return rc != 0 ? rc : journal_feeder_start(d->feeder, NULL, err);
}

int daemon_reconcile_tick(struct daemon *d, struct error *err)
{
	if (d->feeder == NULL || d->reconciled)
		return 0;
	if (d->reconcile == NULL) {
		journal_feeder_reconcile(d->feeder, NULL, NULL);
		d->reconciled = true;
		return 0;
	}
	switch (journal_reconcile_state(d->reconcile, err)) {
	case RECONCILE_READING:
		return 0;
	case RECONCILE_FAILED:
		return error_prefix(err, -EIO, "journal: what is in the topics already");
	case RECONCILE_DONE:
		break;
	}
	log_line(LOG_INFO, "journal: %" PRIu64 " records of its events are in the output topics already",
	    journal_reconcile_found(d->reconcile));
	journal_feeder_reconcile(d->feeder, journal_reconcile_delivered, d->reconcile);
	d->reconciled = true;
	return 0;
}

void daemon_feeder_stop(struct daemon *d)
{
	if (d->feeder != NULL)
		(void)journal_feeder_stop(d->feeder, NULL);
}

int daemon_sinks_stop(struct daemon *d, uint64_t deadline_ns, struct error *err)
{
	uint32_t n_settling = d->journal != NULL ? 1 : d->n_sinks;
	uint64_t backlog;
	int rc = 0;

	for (uint32_t s = 0; s < n_settling && s < d->n_sinks; s++) {
		if (sink_thread_stop(d->sinks[s], deadline_ns) != 0)
			rc = -ETIMEDOUT;
	}
	if (d->feeder == NULL || d->sinks_stopped)
		return rc;
	d->sinks_stopped = true;
	journal_feeder_pause(d->feeder);
	/* What they do not take soon is safe in the journal, and senders are waiting for the next daemon. */
	if (deadline_ns > clock_mono_ns(d->clock) + BEHIND_JOURNAL_NS)
		deadline_ns = clock_mono_ns(d->clock) + BEHIND_JOURNAL_NS;
	for (uint32_t s = n_settling; s < d->n_sinks; s++)
		(void)sink_thread_stop(d->sinks[s], deadline_ns);
	if (journal_feeder_stop(d->feeder, err) != 0)
		log_line(LOG_WARNING,
		    "journal: its checkpoint was not written, events that are delivered will be delivered "
		    "again: %s",
		    err != NULL ? err->text : "");
	backlog = journal_feeder_backlog(d->feeder);
	if (backlog > 0)
		log_line(LOG_INFO,
		    "journal: %" PRIu64 " events are not delivered yet: they stay in %s for the next start",
		    backlog, d->config->journal.directory);
	return rc;
}
