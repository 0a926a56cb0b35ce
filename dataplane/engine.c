/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine.h"

#include "ledger.h"
#include "ring.h"

#include <errno.h>
#include <rte_common.h>
#include <rte_errno.h>
#include <rte_rcu_qsbr.h>
#include <stdlib.h>
#include <string.h>

static int create_stream(
    struct engine *engine, const struct engine_options *options, uint16_t index, struct error *err)
{
	struct stream *stream = &engine->streams[index];
	const struct config_stream *config = &engine->config->streams[index];
	int ret;

	stream->config = config;
	ret = schema_create(config, &stream->schema, err);
	if (ret != 0)
		return ret;
	ret = validator_create(stream->schema, &stream->validator, err);
	if (ret != 0)
		return ret;
	ret = emit_plan_init(&stream->plan, stream->schema, err);
	if (ret != 0)
		return ret;
	for (size_t j = 0; j < config->n_enrich; j++) {
		int dimension = config_find_dimension(engine->config, config->enrich[j].dimension);

		if (dimension < 0)
			return error_set(err, -EINVAL, "line %d: dimension \"%s\" is not declared",
			    config->enrich[j].line, config->enrich[j].dimension);
		stream->join_dimension[j] = (uint16_t)dimension;
	}
	if (config->dedup_mode != DEDUP_OFF) {
		ret = dedup_create(config->dedup_budget_bytes, config->dedup_window_ms, options->secret,
		    options->node, engine->config->dataplane.hugepages, &stream->dedup, err);
		if (ret != 0)
			return error_prefix(err, ret, "stream \"%s\": dedup", config->name);
	}
	engine->schemas[index] = stream->schema;
	engine->validators[index] = stream->validator;
	return 0;
}

static int create_worker(
    struct engine *engine, const struct engine_options *options, uint16_t worker, struct error *err)
{
	int ret = batch_pool_create(worker, options->batches_per_worker, options->node,
	    engine->config->dataplane.hugepages, &engine->pools[worker], err);

	if (ret != 0)
		return ret;
	for (uint32_t s = 0; s < options->n_sinks; s++) {
		engine->rings[worker][s] =
		    ring_create(options->batches_per_worker, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (engine->rings[worker][s] == NULL)
			return error_set(err, -ENOMEM, "no memory for the ring to a sink");
	}
	engine->published[worker] = published_create(sizeof(struct worker_ledger));
	if (engine->published[worker] == NULL)
		return error_set(err, -ENOMEM, "no memory for the ledger");
	return 0;
}

static int create_rcu(struct engine *engine, uint32_t n_workers, struct error *err)
{
	size_t bytes = rte_rcu_qsbr_get_memsize(n_workers);

	if (posix_memalign((void **)&engine->rcu, RTE_CACHE_LINE_SIZE, bytes) != 0) {
		engine->rcu = NULL;
		return error_set(err, -ENOMEM, "no memory for RCU");
	}
	if (rte_rcu_qsbr_init(engine->rcu, n_workers) != 0)
		return error_set(err, -rte_errno, "RCU: %s", rte_strerror(rte_errno));
	return 0;
}

static int create_completion(struct engine *engine, struct error *err)
{
	struct dedup *dedup[CONFIG_MAX_STREAMS];

	for (uint16_t s = 0; s < engine->n_streams; s++)
		dedup[s] = engine->streams[s].dedup;
	return completion_create(dedup, engine->n_streams, engine->clock, &engine->completion, err);
}

static int create_transport(struct engine *engine, struct error *err)
{
	struct transport_options options = {
	    .config = engine->config,
	    .n_workers = engine->n_workers,
	    .pools = engine->pools,
	    .rcu = engine->rcu,
	};
	struct completion_listener listener = {
	    .complete = transport_completed, .give_up = transport_given_up};
	int ret = transport_create(&options, &engine->transport, err);

	listener.context = engine->transport;
	if (ret == 0 && completion_listen(engine->completion, &listener) != 0)
		ret = error_set(err, -ENOSPC, "too many listeners to completions");
	return ret;
}

static void update_accepting(struct engine *engine)
{
	const char *missing;
	bool ready = engine_dimensions_ready(engine, &missing) && !engine->restoring;

	atomic_store_explicit(&engine->accepting, ready, memory_order_release);
}

void engine_restored(struct engine *engine)
{
	engine->restoring = false;
	update_accepting(engine);
}

int engine_create(
    const struct config *config, const struct engine_options *options, struct engine **out, struct error *err)
{
	struct engine *engine = NULL;
	int ret;

	*out = NULL;
	if (options->n_workers == 0 || options->n_workers > ENGINE_MAX_WORKERS || options->n_sinks == 0 ||
	    options->n_sinks > ENGINE_MAX_SINKS)
		return error_set(err, -EINVAL,
		    "%u workers and %u sinks: at least one of each, at most %u and %u", options->n_workers,
		    options->n_sinks, ENGINE_MAX_WORKERS, ENGINE_MAX_SINKS);
	engine = calloc(1, sizeof(*engine));
	if (engine == NULL)
		return error_set(err, -ENOMEM, "no memory for the engine");
	engine->config = config;
	engine->clock = options->clock;
	engine->n_dimensions = (uint16_t)config->n_dimensions;
	engine->n_workers = options->n_workers;
	engine->n_sinks = options->n_sinks;
	for (uint16_t s = 0; s < config->n_streams; s++) {
		ret = create_stream(engine, options, s, err);
		engine->n_streams = (uint16_t)(s + 1);
		if (ret != 0)
			goto err;
	}
	for (uint16_t w = 0; w < options->n_workers; w++) {
		ret = create_worker(engine, options, w, err);
		if (ret != 0)
			goto err;
	}
	ret = create_completion(engine, err);
	if (ret != 0)
		goto err;
	ret = create_rcu(engine, options->n_workers, err);
	if (ret != 0)
		goto err;
	ret = create_transport(engine, err);
	if (ret != 0)
		goto err;
	engine->restoring = options->restoring;
	update_accepting(engine);
	*out = engine;
	return 0;
err:
	engine_destroy(engine);
	return ret;
}

void engine_destroy(struct engine *engine)
{
	if (engine == NULL)
		return;
	for (uint32_t w = 0; w < engine->n_workers; w++) {
		for (uint32_t s = 0; s < engine->n_sinks; s++)
			free(engine->rings[w][s]);
		batch_pool_destroy(engine->pools[w]);
		published_destroy(engine->published[w]);
	}
	for (uint16_t d = 0; d < engine->n_dimensions; d++)
		dimension_free(atomic_load(&engine->dimensions[d]));
	delivered_set_destroy(engine->half_written);
	for (uint16_t s = 0; s < engine->n_streams; s++) {
		dedup_destroy(engine->streams[s].dedup);
		validator_destroy(engine->streams[s].validator);
		schema_destroy(engine->streams[s].schema);
	}
	completion_destroy(engine->completion);
	transport_destroy(engine->transport);
	free(engine->rcu);
	free(engine);
}

struct dimension *engine_publish(struct engine *engine, uint16_t index, struct dimension *dimension)
{
	struct dimension *old;

	old = atomic_exchange_explicit(&engine->dimensions[index], dimension, memory_order_acq_rel);
	update_accepting(engine);
	if (old != NULL)
		rte_rcu_qsbr_synchronize(engine->rcu, RTE_QSBR_THRID_INVALID);
	return old;
}

bool engine_dimensions_ready(const struct engine *engine, const char **missing)
{
	for (uint16_t d = 0; d < engine->n_dimensions; d++) {
		if (!engine->config->dimensions[d].required)
			continue;
		if (atomic_load_explicit(&engine->dimensions[d], memory_order_acquire) == NULL) {
			*missing = engine->config->dimensions[d].name;
			return false;
		}
	}
	*missing = NULL;
	return true;
}

bool engine_idle(const struct engine *engine)
{
	for (uint32_t w = 0; w < engine->n_workers; w++)
		if (batch_pool_free(engine->pools[w]) != batch_pool_size(engine->pools[w]))
			return false;
	return true;
}
