/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#include <errno.h>
#include <rte_rcu_qsbr.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

/* Marks random identities until the table is half full. */
static void fill_dedup(struct engine *engine)
{
	struct stream *stream = &engine->streams[0];
	struct dedup_stats stats;
	int64_t now_ms = (int64_t)(clock_mono_ns(engine->clock) / 1000000);
	uint32_t evicted = 0;

	dedup_stats(stream->dedup, now_ms, &stats);
	for (uint64_t i = 0; i < stats.slots / 2; i++) {
		uint64_t key[2];

		dedup_hash(stream->dedup, &i, sizeof(i), key);
		(void)dedup_restore(stream->dedup, key, 0, now_ms, &evicted);
	}
}

static int load_dimensions(struct engine *engine, const struct rig_options *o, struct error *err)
{
	for (size_t i = 0; i < o->n_dimensions; i++) {
		const char *equals = strchr(o->dimensions[i], '=');
		struct dimension *dimension;
		char name[64];
		int index, ret;

		if (equals == NULL)
			return error_set(err, -EINVAL, "--dimension takes NAME=FILE");
		(void)snprintf(
		    name, sizeof(name), "%.*s", (int)(equals - o->dimensions[i]), o->dimensions[i]);
		index = config_find_dimension(engine->config, name);
		if (index < 0)
			return error_set(err, -EINVAL, "no dimension \"%s\" in the configuration", name);
		ret = dimension_load(equals + 1, -1, HUGEPAGES_AUTO, &dimension, err);
		if (ret != 0)
			return ret;
		(void)engine_publish(engine, (uint16_t)index, dimension);
	}
	return 0;
}

int rig_open(const struct rig_options *o, struct rig *rig, struct error *err)
{
	struct engine_options options = {.n_workers = 1,
	    .n_sinks = 1,
	    .batches_per_worker = RIG_BATCHES,
	    .node = -1,
	    .secret = "a benchmark key",
	    .clock = &system_clock};
	int ret;

	memset(rig, 0, sizeof(*rig));
	ret = config_load(o->config, &rig->config, err);
	if (ret != 0)
		return ret;
	rig->config->streams[0].dedup_budget_bytes = (uint64_t)o->dedup_slots * 16;
	rig->config->streams[0].dedup_window_ms = 3600 * 1000;
	if (o->senders != 0)
		rig->config->transport.max_sources = o->senders;
	ret = engine_create(rig->config, &options, &rig->engine, err);
	if (ret == 0)
		ret = load_dimensions(rig->engine, o, err);
	if (ret == 0)
		ret = worker_create(rig->engine, 0, &rig->worker, err);
	if (ret != 0)
		return ret;
	atomic_store(&rig->engine->accepting, true);
	rte_rcu_qsbr_thread_register(rig->engine->rcu, 0);
	rte_rcu_qsbr_thread_online(rig->engine->rcu, 0);
	fill_dedup(rig->engine);
	return 0;
}

void rig_close(struct rig *rig)
{
	worker_destroy(rig->worker);
	engine_destroy(rig->engine);
	config_free(rig->config);
	memset(rig, 0, sizeof(*rig));
}

int rig_pin(int cpu, struct error *err)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((unsigned int)cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0)
		return error_set(err, -errno, "CPU %d: %s", cpu, strerror(errno));
	return 0;
}
