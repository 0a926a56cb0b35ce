/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The chain on one core: from frames in memory to records handed over, with distinct events, a dedup table
 * that is half full, dimensions that do not fit a cache, and keys drawn uniformly from them. Each stage is
 * timed in the running chain, and set beside a library that does comparable work (reference.h says how
 * comparable) in the same process. Ratios travel between machines; nanoseconds do not. meter.h says what is
 * left out.
 */
#include "machine.h"
#include "meter.h"
#include "options.h"
#include "reference.h"
#include "rig.h"
#include "workload.h"

#include <errno.h>
#include <jansson.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELD_BATCHES \
	16u /* with the sink at any time, as a Kafka producer that lingers for 20 ms holds them */
_Static_assert(HELD_BATCHES + 2 <= RIG_BATCHES, "one to fill, one on its way");
#define REFERENCE_EVENTS 500000u

struct figures {
	struct meter chain;
	double stage_ns[STAGE_COUNT];
	uint64_t lookups[CONFIG_MAX_ENRICH]; /* per join: events that have its key */
	uint64_t events, duplicates, dead_letters, hits, misses, output_bytes, input_bytes;
	double dedup_load;
};

/* The last batches handed over, oldest first: a sink that waits for its confirmations. */
struct held {
	struct batch *batch[HELD_BATCHES];
	uint32_t first, n;
};

static void drain(struct engine *engine, struct held *held, uint32_t keep)
{
	struct batch *batch;

	while (rte_ring_sc_dequeue(engine->rings[0][0], (void **)&batch) == 0) {
		if (held->n == HELD_BATCHES) {
			batch_release(held->batch[held->first++ % HELD_BATCHES]);
			held->n--;
		}
		held->batch[(held->first + held->n++) % HELD_BATCHES] = batch;
	}
	for (; held->n > keep; held->n--)
		batch_release(held->batch[held->first++ % HELD_BATCHES]);
}

/* A lap is one round of the worker: up to SOURCE_BURST packets. */
static void run_chain(struct worker *worker, const struct workload *w, struct figures *f)
{
	const struct worker_ledger *ledger = worker->pipeline->ledger;
	const struct worker_stream_counts *counts = &ledger->stream[0];
	uint64_t cycles[STAGE_COUNT] = {0};
	uint64_t start_ns = meter_now_ns(), start_cycles = rte_rdtsc();
	struct held held = {0};
	double ns_per_cycle;

	while (counts->received < w->n_events && !worker_ended(worker)) {
		struct worker_counts before = ledger->worker;
		uint64_t received = counts->received;

		meter_start(&f->chain);
		(void)worker_round(worker);
		drain(worker->engine, &held, HELD_BATCHES);
		if (!meter_stop(&f->chain, counts->received - received))
			continue;
		for (int s = 0; s < STAGE_COUNT; s++)
			cycles[s] += ledger->worker.stage_cycles[s] - before.stage_cycles[s];
	}
	ns_per_cycle = (double)(meter_now_ns() - start_ns) / (double)(rte_rdtsc() - start_cycles);
	(void)pipeline_hand_over(worker->pipeline, true);
	drain(worker->engine, &held, 0);
	f->events = counts->received;
	f->duplicates = counts->duplicate;
	f->output_bytes = counts->enriched_bytes;
	f->input_bytes = counts->received_bytes;
	for (int r = 0; r < REASON_COUNT; r++)
		if (reason_info((enum reason)r)->class == REASON_CLASS_DEAD_LETTER)
			f->dead_letters += counts->reasons[r];
	for (size_t j = 0; j < CONFIG_MAX_ENRICH; j++) {
		f->lookups[j] = counts->hits[j] + counts->misses[j];
		f->hits += counts->hits[j];
		f->misses += counts->misses[j];
	}
	for (int s = 0; s < STAGE_COUNT; s++)
		f->stage_ns[s] = (double)cycles[s] * ns_per_cycle / (double)f->chain.events;
}

struct comparison {
	const char *name;
	double ns;
	const char *reference; /* NULL: nothing comparable exists */
	double reference_ns;
};

static int compare_stages(const struct engine *engine, const struct workload *w, const struct perf_options *o,
    const struct figures *f, struct comparison rows[STAGE_COUNT], struct error *err)
{
	const char *names[SCHEMA_MAX_FIELDS];
	const struct schema *schema = engine->schemas[0];
	uint32_t n = w->n_events < REFERENCE_EVENTS ? w->n_events : REFERENCE_EVENTS;
	const uint64_t tables[] = {o->products, o->users, o->places};
	struct reference_join joins[3];

	for (int s = 0; s < STAGE_COUNT; s++)
		rows[s] = (struct comparison){.name = stage_name((enum stage)s), .ns = f->stage_ns[s]};
	if (!o->references)
		return 0;
	for (int j = 0; j < 3; j++)
		joins[j] =
		    (struct reference_join){(uint32_t)tables[j], (double)f->lookups[j] / (double)f->events};
	for (uint16_t i = 0; i < schema->n_fields; i++)
		names[i] = schema->fields[i].name;
	rows[STAGE_FRAME].reference = "rte_raw_cksum";
	rows[STAGE_FRAME].reference_ns = reference_checksum(w);
	rows[STAGE_PARSE].reference = "simdjson On-Demand";
	rows[STAGE_PARSE].reference_ns = reference_simdjson(w->events, n, names, schema->n_fields);
	rows[STAGE_VALIDATE].reference = "Hyperscan, a scan per field";
	rows[STAGE_VALIDATE].reference_ns = reference_hyperscan(schema, w, n, err);
	rows[STAGE_DEDUP].reference = "rte_hash lookup + add";
	rows[STAGE_DEDUP].reference_ns = reference_rte_hash_dedup(o->dedup_slots, n, err);
	rows[STAGE_ENRICH].reference = "rte_hash bulk lookup";
	rows[STAGE_ENRICH].reference_ns = reference_rte_hash_join(joins, 3, n, err);
	rows[STAGE_EMIT].reference = "memcpy of raw + enriched";
	rows[STAGE_EMIT].reference_ns =
	    reference_memcpy(w, (f->output_bytes + f->input_bytes) / f->events, HELD_BATCHES + 1);
	for (int s = 0; s < STAGE_COUNT; s++)
		if (rows[s].reference != NULL && rows[s].reference_ns < 0)
			return error_prefix(err, -EIO, "reference for %s", rows[s].name);
	return 0;
}

static void print(const struct figures *f, const struct comparison *rows, const struct machine *machine,
    const struct perf_options *o)
{
	double chain_ns = meter_mean(&f->chain), sum = 0;

	(void)printf("%s; %s; load average %.1f of %ld CPUs\n", machine->cpu, machine->isa, machine->load,
	    machine->n_cpus);
	(void)printf("%-10s %10s   %-28s %10s %7s\n", "stage", "ns/event", "reference", "ns/event", "ratio");
	for (int s = 0; s < STAGE_COUNT; s++) {
		(void)printf("%-10s %10.1f", rows[s].name, rows[s].ns);
		if (rows[s].reference != NULL)
			(void)printf("   %-28s %10.1f %7.2f", rows[s].reference, rows[s].reference_ns,
			    rows[s].reference_ns / rows[s].ns);
		(void)putchar('\n');
		sum += rows[s].ns;
	}
	(void)printf("%-10s %10.1f   (sum of stages %.1f)\n", "chain", chain_ns, sum);
	(void)printf("events/s per core %.0f\n", 1e9 / chain_ns);
	(void)printf("events %llu, duplicates %llu, dead letters %llu, join hits %llu, misses %llu, in %.0f "
	             "B/event, out %.0f B/event, dedup load %.2f\n",
	    (unsigned long long)f->events, (unsigned long long)f->duplicates,
	    (unsigned long long)f->dead_letters, (unsigned long long)f->hits, (unsigned long long)f->misses,
	    (double)f->input_bytes / (double)f->events, (double)f->output_bytes / (double)f->events,
	    f->dedup_load);
	(void)printf("keys: %s, from %llu products, %llu users, %llu places; dedup table of %u slots\n",
	    o->zipf == 0 ? "uniform" : "Zipf", (unsigned long long)o->products, (unsigned long long)o->users,
	    (unsigned long long)o->places, o->dedup_slots);
	(void)printf("left out: %.1f %% of the events, in rounds during which the CPU was taken away\n",
	    100 * (double)f->chain.left_out / (double)f->events);
}

static int write_json(const char *path, const struct figures *f, const struct comparison *rows,
    const struct machine *machine, const struct perf_options *o, struct error *err)
{
	json_t *stages = json_object();
	double chain_ns = meter_mean(&f->chain);
	json_t *chain = json_pack("{s:{s:f, s:f, s:f}}", "json", "events_per_s_per_core", 1e9 / chain_ns,
	    "ns_per_event", chain_ns, "left_out", (double)f->chain.left_out / (double)f->events);
	json_t *workload = json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I}",
	    "events", (json_int_t)f->events, "duplicates", (json_int_t)f->duplicates, "dead_letters",
	    (json_int_t)f->dead_letters, "join_hits", (json_int_t)f->hits, "join_misses",
	    (json_int_t)f->misses, "bytes_in", (double)f->input_bytes / (double)f->events, "bytes_out",
	    (double)f->output_bytes / (double)f->events, "dedup_load", f->dedup_load, "zipf", o->zipf,
	    "dedup_slots", (json_int_t)o->dedup_slots, "products", (json_int_t)o->products, "users",
	    (json_int_t)o->users, "places", (json_int_t)o->places);
	json_t *host = json_pack("{s:s, s:s, s:I, s:f}", "cpu", machine->cpu, "isa", machine->isa, "cpus",
	    (json_int_t)machine->n_cpus, "load_average", machine->load);
	json_t *root = json_pack(
	    "{s:o, s:o, s:o, s:o}", "chain", chain, "stages", stages, "workload", workload, "machine", host);
	int ret;

	for (int s = 0; s < STAGE_COUNT; s++) {
		json_t *stage = json_pack("{s:f}", "ns", rows[s].ns);

		if (rows[s].reference != NULL) {
			json_object_set_new(stage, "reference", json_string(rows[s].reference));
			json_object_set_new(stage, "reference_ns", json_real(rows[s].reference_ns));
		}
		json_object_set_new(stages, rows[s].name, stage);
	}
	ret = json_dump_file(root, path, JSON_INDENT(2));
	json_decref(root);
	return ret == 0 ? 0 : error_set(err, -EIO, "%s: cannot be written", path);
}

static int start_eal(const struct perf_options *o, struct error *err)
{
	char *argv[] = {(char[]){"bench"}, (char[]){"--no-huge"}, (char[]){"-m"}, (char[]){"4096"},
	    (char[]){"--no-pci"}, (char[]){"--no-telemetry"}, (char[]){"--log-level=error"}, NULL};

	/* rte_hash allocates from the EAL. */
	if (o->references && rte_eal_init(7, argv) < 0)
		return error_set(err, -EIO, "the EAL did not start");
	return rig_pin(o->cpu, err);
}

static int bench(const struct perf_options *o, struct error *err)
{
	struct comparison rows[STAGE_COUNT];
	struct figures figures = {0};
	struct workload workload = {0};
	struct rig rig = {0};
	struct source *source = NULL;
	struct dedup_stats stats;
	struct machine machine;
	int ret;

	ret = start_eal(o, err);
	if (ret == 0)
		ret = rig_open(&(struct rig_options){.config = o->config,
		                   .dimensions = o->dimensions,
		                   .n_dimensions = o->n_dimensions,
		                   .dedup_slots = o->dedup_slots},
		    &rig, err);
	if (ret == 0)
		ret = workload_create(&(struct workload_options){.n_events = o->events,
		                          .seed = 7,
		                          .products = o->products,
		                          .users = o->users,
		                          .places = o->places,
		                          .zipf = o->zipf,
		                          .udp_port = rig.config->streams[0].udp_port,
		                          .payload_bytes = 1400},
		    &workload, err);
	if (ret == 0)
		ret = source_memory_create(
		    "memory", workload.packets, workload.n_packets, 1, true, &source, err);
	if (ret != 0)
		goto out;
	(void)worker_add_source(rig.worker, source);
	run_chain(rig.worker, &workload, &figures);
	dedup_stats(rig.engine->streams[0].dedup, (int64_t)(clock_mono_ns(&system_clock) / 1000000), &stats);
	figures.dedup_load = stats.load;
	ret = compare_stages(rig.engine, &workload, o, &figures, rows, err);
	if (ret != 0)
		goto out;
	machine_read(&machine);
	print(&figures, rows, &machine, o);
	if (o->output != NULL)
		ret = write_json(o->output, &figures, rows, &machine, o, err);
out:
	rig_close(&rig);
	source_destroy(source);
	workload_destroy(&workload);
	return ret;
}

static const char usage[] =
    "usage: bench --config F [--dimension NAME=FILE]... [--events N] [--dedup-slots "
    "N] [--products N] [--users N]\n"
    "             [--places N] [--zipf S] [--cpu N] [--no-references] [--output F.json]\n";

int main(int argc, char **argv)
{
	struct error err = {{0}};
	struct perf_options o;

	if (perf_options_read(argc, argv, 4000000, &o) != 0) {
		(void)fputs(usage, stderr);
		return 2;
	}
	if (bench(&o, &err) != 0) {
		(void)fprintf(stderr, "bench: %s\n", err.text);
		return 1;
	}
	return 0;
}
