/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon_status(): everything that the daemon knows about itself, as the JSON that status, stats, top,
 * metrics and the telemetry dump are all made from. */
#include "daemon.h"

#include "dedup.h"
#include "ledger.h"

#include <rte_cycles.h>
#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const state_names[] = {
    [DAEMON_STARTING] = "starting",
    [DAEMON_RESTORING] = "restoring",
    [DAEMON_WAITING] = "waiting",
    [DAEMON_READY] = "ready",
    [DAEMON_DRAINING] = "draining",
};

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *nonzero_reasons(const uint64_t reasons[REASON_COUNT])
{
	json_t *object = json_object();

	for (int r = 1; r < REASON_COUNT; r++)
		if (reasons[r] != 0)
			json_object_set_new(object, reason_info((enum reason)r)->name, number(reasons[r]));
	return object;
}

/* Sinks before workers: what a worker has handed over by the later reading includes what the sinks had by the
 * earlier. */
void daemon_ledger(struct daemon *d, struct ledger_line lines[CONFIG_MAX_STREAMS])
{
	for (uint32_t s = 0; s < d->n_sinks; s++)
		published_read(
		    sink_thread_published(d->sinks[s]), &d->sink_ledgers[s], sizeof(d->sink_ledgers[s]));
	for (uint32_t w = 0; w < d->engine->n_workers; w++)
		published_read(d->engine->published[w], &d->worker_ledgers[w], sizeof(d->worker_ledgers[w]));
	for (uint16_t s = 0; s < d->engine->n_streams; s++) {
		/* With a journal an event is settled there: what happens behind it is another matter. */
		ledger_sum(d->worker_ledgers, d->engine->n_workers, d->sink_ledgers, d->engine->n_sinks, s,
		    d->leak_ticks[s] == DAEMON_LEAK_TICKS, &lines[s]);
	}
}

static json_t *stream_dedup(const struct daemon *d, const struct stream *stream, json_t *alarms)
{
	static const char *const modes[] = {
	    [DEDUP_DROP] = "drop", [DEDUP_FLAG] = "flag", [DEDUP_OFF] = "off"};
	json_t *object = json_pack("{s:s}", "mode", modes[stream->config->dedup_mode]);
	struct dedup_stats stats;

	if (stream->dedup == NULL)
		return object;
	dedup_stats(stream->dedup, (int64_t)(clock_mono_ns(d->clock) / 1000000), &stats);
	json_object_set_new(object, "slots", number(stats.slots));
	json_object_set_new(object, "entries", number(stats.entries));
	json_object_set_new(object, "load", json_real(stats.load));
	json_object_set_new(object, "window_ms", json_integer(stats.window_ms));
	json_object_set_new(object, "covered_ms", json_integer(stats.covered_ms));
	json_object_set_new(object, "evicted", number(stats.evicted));
	json_object_set_new(object, "alarm", json_boolean(stats.alarm));
	if (stats.alarm)
		json_array_append_new(alarms,
		    json_pack("{s:s, s:s, s:o}", "name", "dedup_window_short", "stream", stream->config->name,
		        "text",
		        json_sprintf(
		            "the dedup budget holds %lld ms of the window of %lld ms: raise budget_mb",
		            (long long)stats.covered_ms, (long long)stats.window_ms)));
	return object;
}

static json_t *status_streams(const struct daemon *d, const struct ledger_line *lines, json_t *alarms)
{
	json_t *array = json_array();

	for (uint16_t s = 0; s < d->engine->n_streams; s++) {
		const struct stream *stream = &d->engine->streams[s];
		const struct ledger_line *line = &lines[s];
		uint64_t drops[REASON_COUNT];
		json_t *joins = json_array();
		json_t *object = json_pack(
		    "{s:s, s:i}", "name", stream->config->name, "udp_port", (int)stream->config->udp_port);

		for (int r = 0; r < REASON_COUNT; r++)
			drops[r] = line->worker.reasons[r] + line->sink.reasons[r];
		json_object_set_new(object, "received", number(line->received));
		json_object_set_new(object, "durable", number(line->durable));
		json_object_set_new(object, "dead_lettered", number(line->dead_lettered));
		json_object_set_new(object, "duplicate", number(line->duplicate));
		json_object_set_new(object, "shed", number(line->shed));
		json_object_set_new(object, "in_flight", number(line->in_flight));
		json_object_set_new(object, "conserved", json_boolean(line->conserved));
		json_object_set_new(object, "flagged", number(line->worker.flagged));
		json_object_set_new(object, "received_bytes", number(line->worker.received_bytes));
		json_object_set_new(object, "enriched_bytes", number(line->worker.enriched_bytes));
		json_object_set_new(object, "drops", nonzero_reasons(drops));
		json_object_set_new(object, "dedup", stream_dedup(d, stream, alarms));
		for (size_t j = 0; j < stream->config->n_enrich; j++)
			json_array_append_new(
			    joins, json_pack("{s:s, s:s, s:I, s:I}", "dimension",
			               stream->config->enrich[j].dimension, "as",
			               stream->config->enrich[j].as, "hits", (json_int_t)line->worker.hits[j],
			               "misses", (json_int_t)line->worker.misses[j]));
		json_object_set_new(object, "enrich", joins);
		if (!line->conserved)
			json_array_append_new(alarms,
			    json_pack("{s:s, s:s, s:s}", "name", "ledger_unbalanced", "stream",
			        stream->config->name, "text",
			        "the stream's counters do not add up: events were lost or counted twice"));
		json_array_append_new(array, object);
	}
	return array;
}

/* Where the XDP program sent the port's packets. */
static void status_steer(const struct ethdev *ethdev, json_t *object)
{
	struct steer_counters counters;
	uint64_t redirected = 0;
	json_t *steer;

	if (ethdev_steer_counters(ethdev, &counters) != 0)
		return;
	steer = json_object();
	for (uint16_t q = 0; q < ethdev_queues(ethdev); q++)
		redirected += counters.redirected[q];
	json_object_set_new(steer, "redirected", number(redirected));
	for (int v = 0; v < STEER_VERDICTS; v++)
		json_object_set_new(
		    steer, steer_verdict_name((enum steer_verdict)v), number(counters.passed[v]));
	json_object_set_new(object, "steer", steer);
}

static json_t *status_sources(const struct daemon *d)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < d->n_endpoints; i++) {
		const struct endpoint *e = &d->endpoints[i];
		struct source_stats stats = {0};
		json_t *object;

		e->source->ops->stats(e->source, &stats);
		object =
		    json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I}", "name", e->source->name, "type",
		        e->source->ops->type, "worker", (int)e->worker, "packets", (json_int_t)stats.packets,
		        "bytes", (json_int_t)stats.bytes, "missed", (json_int_t)stats.missed, "errors",
		        (json_int_t)stats.errors, "recoveries", (json_int_t)stats.recoveries);
		if (e->config->device != NULL)
			json_object_set_new(object, "device", json_string(e->config->device));
		if (e->config->interface != NULL)
			json_object_set_new(object, "interface", json_string(e->config->interface));
		if (e->config->path != NULL)
			json_object_set_new(object, "path", json_string(e->config->path));
		if (atomic_load_explicit(&e->source->broken, memory_order_acquire))
			json_object_set_new(object, "error", json_string(e->source->error.text));
		/* One program per port, shown with its first queue. */
		if (e->ethdev != NULL && (i == 0 || d->endpoints[i - 1].ethdev != e->ethdev))
			status_steer(e->ethdev, object);
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *status_workers(const struct daemon *d)
{
	double ns_per_cycle = 1e9 / (double)rte_get_tsc_hz();
	json_t *array = json_array();

	for (uint32_t w = 0; w < d->engine->n_workers; w++) {
		const struct worker_counts *c = &d->worker_ledgers[w].worker;
		json_t *stages = json_array();
		json_t *object = json_pack("{s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:i, s:i}", "worker",
		    (int)w, "lcore", (int)d->config->dataplane.lcores[w].id, "cpu",
		    (int)d->config->dataplane.lcores[w].cpu, "loops", (json_int_t)c->loops, "busy_loops",
		    (json_int_t)c->busy_loops, "packets", (json_int_t)c->packets, "packet_bytes",
		    (json_int_t)c->packet_bytes, "batches", (json_int_t)c->batches, "batches_free",
		    (int)batch_pool_free(d->engine->pools[w]), "batches_size",
		    (int)batch_pool_size(d->engine->pools[w]));

		for (int s = 0; s < STAGE_COUNT; s++) {
			double events = (double)c->stage_events[s];

			json_array_append_new(stages,
			    json_pack("{s:s, s:I, s:I, s:f}", "stage", stage_name((enum stage)s), "events",
			        (json_int_t)c->stage_events[s], "cycles", (json_int_t)c->stage_cycles[s],
			        "ns_per_event",
			        events > 0 ? (double)c->stage_cycles[s] * ns_per_cycle / events : 0.0));
		}
		json_object_set_new(object, "stages", stages);
		json_object_set_new(object, "drops", nonzero_reasons(c->frame_reasons));
		json_array_append_new(array, object);
	}
	return array;
}

/* Hits and misses are counted per join; a dimension shows the sum over the joins that use it. */
static json_t *status_dimensions(const struct daemon *d, const struct ledger_line *lines, json_t *alarms)
{
	json_t *array = dimension_store_list(d->store);
	json_t *object;
	size_t i;

	json_array_foreach(array, i, object)
	{
		uint64_t hits = 0, misses = 0;

		for (uint16_t s = 0; s < d->engine->n_streams; s++) {
			const struct stream *stream = &d->engine->streams[s];

			for (size_t j = 0; j < stream->config->n_enrich; j++) {
				if (stream->join_dimension[j] != i)
					continue;
				hits += lines[s].worker.hits[j];
				misses += lines[s].worker.misses[j];
			}
		}
		json_object_set_new(object, "hits", number(hits));
		json_object_set_new(object, "misses", number(misses));
		if (json_object_get(object, "error") != NULL)
			json_array_append_new(alarms,
			    json_pack("{s:s, s:O, s:O}", "name", "dimension_load_failed", "dimension",
			        json_object_get(object, "name"), "text", json_object_get(object, "error")));
	}
	return array;
}

static json_t *status_sinks(const struct daemon *d)
{
	json_t *array = json_array();

	for (uint32_t s = 0; s < d->n_sinks; s++) {
		struct sink_stream_counts sum = {0};
		json_t *object = json_pack("{s:s}", "type", sink_thread_type(d->sinks[s]));
		json_t *details = json_object();

		for (uint16_t i = 0; i < d->engine->n_streams; i++) {
			sum.records += d->sink_ledgers[s].stream[i].records;
			sum.bytes += d->sink_ledgers[s].stream[i].bytes;
			sum.retries += d->sink_ledgers[s].stream[i].retries;
		}
		json_object_set_new(object, "records", number(sum.records));
		json_object_set_new(object, "bytes", number(sum.bytes));
		json_object_set_new(object, "retries", number(sum.retries));
		sink_thread_describe(d->sinks[s], details);
		json_object_update_missing(object, details); /* the journal's bytes are those of its files */
		json_decref(details);
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *status_journal(const struct daemon *d, json_t *alarms)
{
	json_t *object = json_object();
	const char *state;

	journal_describe(d->journal, object);
	journal_feeder_describe(d->feeder, object);
	if (d->reconcile != NULL)
		json_object_set_new(object, "reconcile", journal_reconcile_describe(d->reconcile));
	state = json_string_value(json_object_get(object, "state"));
	if (strcmp(state, "ok") != 0)
		json_array_append_new(alarms, json_pack("{s:s, s:O}", "name", "journal_not_writable", "text",
		                                  json_object_get(object, "last_error")));
	if (json_array_size(json_object_get(object, "damage")) > 0)
		json_array_append_new(alarms, json_pack("{s:s, s:O}", "name", "journal_damaged", "text",
		                                  json_array_get(json_object_get(object, "damage"), 0)));
	if (json_object_get(object, "feeder_error") != NULL)
		json_array_append_new(alarms, json_pack("{s:s, s:O}", "name", "journal_not_readable", "text",
		                                  json_object_get(object, "feeder_error")));
	return object;
}

struct mbuf_counts {
	uint64_t free, all;
};

static void add_mbufs(struct rte_mempool *pool, void *context)
{
	struct mbuf_counts *counts = context;

	counts->free += rte_mempool_avail_count(pool);
	counts->all += pool->size;
}

/* The workers' counts of the event transport, summed, and what became of frames that were not taken. */
static json_t *status_transport(const struct daemon *d)
{
	static const struct {
		const char *name;
		size_t offset;
	} counts[] = {
	    {"frames", offsetof(struct transport_counts, frames)},
	    {"events", offsetof(struct transport_counts, events)},
	    {"retransmitted", offsetof(struct transport_counts, retransmitted)},
	    {"hellos", offsetof(struct transport_counts, hellos)},
	    {"probes", offsetof(struct transport_counts, probes)},
	    {"closes", offsetof(struct transport_counts, closes)},
	    {"acknowledgements", offsetof(struct transport_counts, acknowledgements)},
	    {"errors", offsetof(struct transport_counts, errors)},
	    {"unsent", offsetof(struct transport_counts, unsent)},
	};
	uint64_t refused[REASON_COUNT] = {0}, parked = 0;
	json_t *object = json_pack("{s:I, s:b}", "sessions",
	    (json_int_t)session_table_live(transport_sessions(d->engine->transport)), "authentication",
	    d->config->transport.authentication_required);

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint64_t sum = 0;

		for (uint32_t w = 0; w < d->engine->n_workers; w++)
			sum += *(const uint64_t *)((const char *)&d->worker_ledgers[w].worker.transport +
			                           counts[i].offset);
		json_object_set_new(object, counts[i].name, number(sum));
	}
	for (uint32_t w = 0; w < d->engine->n_workers; w++) {
		for (int r = REASON_FRAME_MALFORMED; r <= REASON_FRAME_DRAINING; r++)
			refused[r] += d->worker_ledgers[w].worker.frame_reasons[r];
		for (uint16_t s = 0; s < d->engine->n_streams; s++)
			parked += d->worker_ledgers[w].stream[s].parked;
	}
	json_object_set_new(object, "parked", number(parked));
	json_object_set_new(object, "refused", nonzero_reasons(refused));
	return object;
}

static json_t *status_memory(void)
{
	json_t *object = json_object();
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long size = 0, resident = 0;
	struct mbuf_counts mbufs = {0};

	if (file != NULL) {
		if (fscanf(file, "%llu %llu", &size, &resident) != 2)
			resident = 0;
		(void)fclose(file);
	}
	rte_mempool_walk(add_mbufs, &mbufs);
	json_object_set_new(object, "rss_bytes", number(resident * (uint64_t)sysconf(_SC_PAGESIZE)));
	json_object_set_new(object, "mbufs_free", number(mbufs.free));
	json_object_set_new(object, "mbufs_size", number(mbufs.all));
	return object;
}

json_t *daemon_status(struct daemon *d)
{
	struct ledger_line lines[CONFIG_MAX_STREAMS];
	json_t *alarms = json_array();
	bool conserved = true;
	json_t *status;

	daemon_ledger(d, lines);
	for (uint16_t s = 0; s < d->engine->n_streams; s++)
		conserved = conserved && lines[s].conserved;
	status = json_pack("{s:s, s:s, s:i, s:s, s:I, s:I, s:b}", "node", d->config->node, "version",
	    PENSTOCK_VERSION, "pid", (int)getpid(), "state", state_names[d->state], "since_ms",
	    (json_int_t)d->state_since_ms, "uptime_s",
	    (json_int_t)((clock_mono_ns(d->clock) - d->started_ns) / 1000000000), "conserved", conserved);
	json_object_set_new(status, "streams", status_streams(d, lines, alarms));
	json_object_set_new(status, "sources", status_sources(d));
	json_object_set_new(status, "transport", status_transport(d));
	json_object_set_new(status, "workers", status_workers(d));
	json_object_set_new(status, "dimensions", status_dimensions(d, lines, alarms));
	json_object_set_new(status, "sinks", status_sinks(d));
	json_object_set_new(status, "identities", window_store_describe(d->windows, alarms));
	if (d->journal != NULL)
		json_object_set_new(status, "journal", status_journal(d, alarms));
	json_object_set_new(status, "memory", status_memory());
	json_object_set_new(status, "alarms", alarms);
	return status;
}
