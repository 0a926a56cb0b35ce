/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness.h"

#include "dimtools/dim_build.h"

#include <assert.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int feed_poll(struct source *source, struct packet *packets, uint32_t max)
{
	struct feed *feed = (struct feed *)source;
	uint32_t n = 0;

	while (n < max && feed->next < feed->n)
		packets[n++] = feed->packets[feed->next++];
	return (int)n;
}

static void feed_release(struct source *source, struct packet *packets, uint32_t n)
{
	(void)source, (void)packets, (void)n;
}

static int feed_send(struct source *source, const void *packet, uint32_t len)
{
	struct feed *feed = (struct feed *)source;

	if (feed->n_sent == HARNESS_MAX_SENT)
		return -EAGAIN;
	assert(len <= sizeof(feed->sent[0].bytes));
	memcpy(feed->sent[feed->n_sent].bytes, packet, len);
	feed->sent[feed->n_sent++].len = len;
	return 0;
}

static void feed_stats(struct source *source, struct source_stats *out)
{
	(void)source;
	memset(out, 0, sizeof(*out));
}

static void feed_destroy(struct source *source)
{
	(void)source;
}

static const struct source_ops feed_ops = {.type = "feed",
    .poll = feed_poll,
    .release = feed_release,
    .send = feed_send,
    .stats = feed_stats,
    .destroy = feed_destroy};

void harness_open(struct harness *h, const char *yaml, size_t len, void (*edit)(struct config *))
{
	struct engine_options options = {
	    .n_workers = 1, .n_sinks = 1, .batches_per_worker = 4, .node = -1, .secret = "a test's secret"};
	struct error err = {{0}};

	memset(h, 0, sizeof(*h));
	h->keep = true;
	manual_clock_init(&h->clock, HARNESS_NOW_MS);
	options.clock = &h->clock.clock;
	strcpy(h->directory, "/tmp/penstock-test-XXXXXX");
	if (mkdtemp(h->directory) == NULL || config_parse(yaml, len, "test.yaml", &h->config, &err) != 0)
		goto fail;
	h->config->dataplane.hugepages = HUGEPAGES_OFF;
	if (edit != NULL)
		edit(h->config);
	if (engine_create(h->config, &options, &h->engine, &err) != 0 ||
	    worker_create(h->engine, 0, &h->worker, &err) != 0)
		goto fail;
	h->feed.source.ops = &feed_ops;
	h->feed.source.lossless = true;
	worker_add_source(h->worker, &h->feed.source);
	rte_rcu_qsbr_thread_register(h->engine->rcu, 0);
	return;
fail:
	(void)fprintf(stderr, "harness: %s\n", err.text);
	abort();
}

void harness_close(struct harness *h)
{
	harness_forget(h);
	free(h->caught);
	worker_destroy(h->worker);
	engine_destroy(h->engine);
	config_free(h->config);
	(void)rmdir(h->directory);
}

void harness_dimension(
    struct harness *h, const char *name, const char *version, const char *key, const char *jsonl)
{
	char in[128], out[128];
	struct dimension *dimension;
	struct error err = {{0}};
	FILE *file;

	(void)snprintf(in, sizeof(in), "%s/%s.jsonl", h->directory, name);
	(void)snprintf(out, sizeof(out), "%s/%s.dim", h->directory, name);
	file = fopen(in, "w");
	assert(file != NULL);
	(void)fputs(jsonl, file);
	(void)fclose(file);
	if (dim_build(
	        &(struct dim_build_options){
	            .from = in, .output = out, .key = key, .name = name, .version = version},
	        &err) != 0 ||
	    dimension_load(out, -1, HUGEPAGES_OFF, &dimension, &err) != 0) {
		(void)fprintf(stderr, "harness: %s\n", err.text);
		abort();
	}
	dimension_free(
	    engine_publish(h->engine, (uint16_t)config_find_dimension(h->config, name), dimension));
	(void)unlink(in);
	(void)unlink(out);
}

static char *copy(const char *bytes, uint32_t len)
{
	char *text = malloc((size_t)len + 1);

	assert(text != NULL);
	memcpy(text, bytes, len);
	text[len] = '\0';
	return text;
}

static void catch_record(struct harness *h, const struct batch *batch, const struct record *record)
{
	const struct batch_event *event = &batch->events[record->event];

	h->records[record->kind]++;
	if (!h->keep)
		return;
	if (h->n_caught == h->caught_size) {
		h->caught_size = h->caught_size == 0 ? 64 : 2 * h->caught_size;
		h->caught = realloc(h->caught, h->caught_size * sizeof(*h->caught));
		assert(h->caught != NULL);
	}
	h->caught[h->n_caught++] = (struct caught){
	    .kind = (enum record_kind)record->kind,
	    .stream = batch->stream,
	    .reason = event->reason,
	    .value = copy(batch->bytes + record->value, record->value_len),
	    .value_len = record->value_len,
	    .key = copy(batch->bytes + record->key, record->key_len),
	    .message = copy(batch->bytes + event->message, event->message_len),
	};
}

static void catch_batches(struct harness *h)
{
	struct batch *batch;

	while (rte_ring_sc_dequeue(h->engine->rings[0][0], (void **)&batch) == 0) {
		assert(batch->n_records <= BATCH_RECORDS && batch->n_events <= BATCH_EVENTS &&
		       batch->used <= BATCH_BYTES);
		if (h->refuse) {
			sink_shed_batch(&h->sink, batch);
			continue;
		}
		for (uint32_t r = 0; r < batch->n_records; r++) {
			catch_record(h, batch, &batch->records[r]);
			sink_confirm(&h->sink, batch, r);
		}
		sink_settle(&h->sink);
		batch_release(batch);
	}
}

void harness_run(struct harness *h, const struct packet *packets, uint32_t n)
{
	h->feed.packets = packets;
	h->feed.n = n;
	h->feed.next = 0;
	rte_rcu_qsbr_thread_online(h->engine->rcu, 0);
	while (worker_round(h->worker) || pipeline_pending(h->worker->pipeline))
		catch_batches(h);
	(void)pipeline_hand_over(h->worker->pipeline, true);
	catch_batches(h);
	/* The test's thread is also the control thread: it must not wait for itself. */
	rte_rcu_qsbr_thread_offline(h->engine->rcu, 0);
	assert(engine_idle(h->engine));
}

void harness_take(struct harness *h, const struct packet *packets, uint32_t n)
{
	h->feed.packets = packets;
	h->feed.n = n;
	h->feed.next = 0;
	rte_rcu_qsbr_thread_online(h->engine->rcu, 0);
	while (worker_round(h->worker))
		;
	(void)pipeline_hand_over(h->worker->pipeline, true);
	rte_rcu_qsbr_thread_offline(h->engine->rcu, 0);
}

void harness_deliver(struct harness *h)
{
	catch_batches(h);
}

void harness_send(struct harness *h, uint16_t stream, const char *text, size_t len)
{
	struct packet packet = {.kind = PACKET_PAYLOAD, .stream = stream, .data = text, .len = (uint32_t)len};

	harness_run(h, &packet, 1);
}

const struct caught *harness_record(const struct harness *h, enum record_kind kind, size_t i)
{
	for (size_t r = 0; r < h->n_caught; r++)
		if (h->caught[r].kind == kind && i-- == 0)
			return &h->caught[r];
	return NULL;
}

void harness_forget(struct harness *h)
{
	for (size_t r = 0; r < h->n_caught; r++) {
		free(h->caught[r].value);
		free(h->caught[r].key);
		free(h->caught[r].message);
	}
	h->n_caught = 0;
}

const struct worker_stream_counts *harness_counts(const struct harness *h, uint16_t stream)
{
	return &h->worker->pipeline->ledger->stream[stream];
}

char *harness_read(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	char *text = NULL;
	long size;

	if (file == NULL)
		return NULL;
	if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0) {
		text = malloc((size_t)size + 1);
		if (text != NULL) {
			*len = fread(text, 1, (size_t)size, file);
			text[*len] = '\0';
		}
	}
	(void)fclose(file);
	return text;
}
