/* SPDX-License-Identifier: BSD-3-Clause */
#include "sink_thread.h"

#include "clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ring.h>

#define ROUND_BATCHES 16u /* taken from the rings between two polls */
#define IDLE_MS 1

/* A ring, and the batch taken from it that the sink has refused so far. */
struct lane {
	struct rte_ring *ring;
	struct batch *held; /* sink thread */
};

struct sink_thread {
	struct sink *sink; /* sink thread, and describe under the mutex; NULL once closed */
	const char *type;
	struct published *published;
	struct sink_ledger shown;     /* sink thread: what was published last */
	size_t next_lane;             /* sink thread: where the next round starts, for fairness */
	_Atomic uint64_t deadline_ns; /* control: rw, sink thread: ro */
	_Atomic bool stop;            /* control: rw, sink thread: ro */
	pthread_mutex_t closing;      /* held by describe and while the sink is closed */
	pthread_t thread;
	bool running; /* control */
	int result;   /* sink thread, control after the join */
	size_t n_rings;
	struct lane lanes[];
};

/* Takes batches until the sink is full, the rings are empty or the round is over. A batch that the sink does not
 * take now holds up its own ring only: it may be about one stream. Returns how many were taken. */
static unsigned int take(struct sink_thread *thread)
{
	unsigned int taken = 0;
	size_t idle = 0;

	while (taken < ROUND_BATCHES && idle < thread->n_rings) {
		struct lane *lane = &thread->lanes[thread->next_lane];
		void *batch;

		thread->next_lane = (thread->next_lane + 1) % thread->n_rings;
		idle++;
		if (lane->held == NULL) {
			if (rte_ring_dequeue(lane->ring, &batch) != 0)
				continue;
			lane->held = batch;
		}
		if (thread->sink->ops->submit(thread->sink, lane->held) != 0)
			continue;
		lane->held = NULL;
		idle = 0;
		taken++;
	}
	return taken;
}

/* Copies out the streams whose counts moved. */
static void publish_changes(struct sink_thread *thread)
{
	const struct sink_ledger *ledger = &thread->sink->ledger;
	bool begun = false;

	for (size_t i = 0; i < CONFIG_MAX_STREAMS; i++) {
		const struct sink_stream_counts *now = &ledger->stream[i];

		if (memcmp(now, &thread->shown.stream[i], sizeof(*now)) == 0)
			continue;
		if (!begun)
			published_begin(thread->published);
		begun = true;
		published_write(thread->published, offsetof(struct sink_ledger, stream) + i * sizeof(*now),
		    now, sizeof(*now));
		thread->shown.stream[i] = *now;
	}
	if (begun)
		published_end(thread->published);
}

/* Nothing is held, and nothing is in a ring. */
static bool lanes_empty(const struct sink_thread *thread)
{
	for (size_t i = 0; i < thread->n_rings; i++) {
		if (thread->lanes[i].held != NULL || !rte_ring_empty(thread->lanes[i].ring))
			return false;
	}
	return true;
}

static int round_trip(struct sink_thread *thread, bool wait)
{
	unsigned int taken = take(thread);
	int confirmed = thread->sink->ops->poll(thread->sink, wait && taken == 0 ? IDLE_MS : 0);

	publish_changes(thread);
	return (int)taken + confirmed;
}

/* Everything out, or given up at the deadline. */
static void finish(struct sink_thread *thread)
{
	uint64_t deadline = atomic_load_explicit(&thread->deadline_ns, memory_order_relaxed);
	struct sink *sink = thread->sink;
	void *batch;

	while (!lanes_empty(thread) && clock_mono_ns(&system_clock) < deadline)
		round_trip(thread, true);
	if (sink->ops->flush(sink, deadline) != 0)
		thread->result = -ETIMEDOUT;
	if (!lanes_empty(thread))
		thread->result = -ETIMEDOUT;
	for (size_t i = 0; i < thread->n_rings; i++) {
		if (thread->lanes[i].held != NULL)
			sink_shed_batch(sink, thread->lanes[i].held);
		thread->lanes[i].held = NULL;
		while (rte_ring_dequeue(thread->lanes[i].ring, &batch) == 0)
			sink_shed_batch(sink, batch);
	}

	pthread_mutex_lock(&thread->closing);
	thread->sink = NULL;
	pthread_mutex_unlock(&thread->closing);
	sink->ops->close(sink);
}

static void *run(void *argument)
{
	struct sink_thread *thread = argument;
	int progress = 0;

	while (!atomic_load_explicit(&thread->stop, memory_order_acquire))
		progress = round_trip(thread, progress == 0);
	finish(thread);
	return NULL;
}

static int spawn(struct sink_thread *thread, const cpu_set_t *cpus)
{
	char name[16]; /* what the kernel keeps */
	pthread_attr_t attr;
	int rc = pthread_attr_init(&attr);

	if (rc != 0)
		return -rc;
	if (cpus != NULL)
		rc = pthread_attr_setaffinity_np(&attr, sizeof(*cpus), cpus);
	if (rc == 0)
		rc = pthread_create(&thread->thread, &attr, run, thread);
	pthread_attr_destroy(&attr);
	if (rc != 0)
		return -rc;
	thread->running = true;
	snprintf(name, sizeof(name), "sink-%s", thread->type);
	pthread_setname_np(thread->thread, name);
	return 0;
}

int sink_thread_start(struct sink *sink, struct rte_ring *const *rings, size_t n_rings, const cpu_set_t *cpus,
    struct sink_thread **out, struct error *err)
{
	struct sink_thread *thread = calloc(1, sizeof(*thread) + n_rings * sizeof(thread->lanes[0]));
	int rc = -ENOMEM;

	*out = NULL;
	if (thread == NULL) {
		sink->ops->close(sink);
		return error_set(err, rc, "sink thread: no memory");
	}
	thread->sink = sink;
	thread->type = sink->ops->type;
	thread->n_rings = n_rings;
	for (size_t i = 0; i < n_rings; i++)
		thread->lanes[i].ring = rings[i];
	thread->published = published_create(sizeof(sink->ledger));
	if (thread->published == NULL) {
		error_set(err, rc, "sink thread: no memory");
		goto err;
	}
	sink->published = thread->published;
	rc = -pthread_mutex_init(&thread->closing, NULL);
	if (rc != 0) {
		error_set(err, rc, "sink thread: mutex: %s", strerror(-rc));
		goto err;
	}
	rc = spawn(thread, cpus);
	if (rc != 0) {
		error_set(err, rc, "sink thread %s: %s", thread->type, strerror(-rc));
		pthread_mutex_destroy(&thread->closing);
		goto err;
	}
	*out = thread;
	return 0;
err:
	sink->published = NULL;
	sink->ops->close(sink);
	published_destroy(thread->published);
	free(thread);
	return rc;
}

int sink_thread_stop(struct sink_thread *thread, uint64_t deadline_ns)
{
	if (!thread->running)
		return thread->result;
	atomic_store_explicit(&thread->deadline_ns, deadline_ns, memory_order_relaxed);
	atomic_store_explicit(&thread->stop, true, memory_order_release);
	pthread_join(thread->thread, NULL);
	thread->running = false;
	return thread->result;
}

void sink_thread_destroy(struct sink_thread *thread)
{
	if (thread == NULL)
		return;
	sink_thread_stop(thread, 0);
	pthread_mutex_destroy(&thread->closing);
	published_destroy(thread->published);
	free(thread);
}

const struct published *sink_thread_published(const struct sink_thread *thread)
{
	return thread->published;
}

const char *sink_thread_type(const struct sink_thread *thread)
{
	return thread->type;
}

void sink_thread_describe(struct sink_thread *thread, json_t *object)
{
	json_object_set_new(object, "type", json_string(thread->type));
	pthread_mutex_lock(&thread->closing);
	if (thread->sink != NULL)
		thread->sink->ops->describe(thread->sink, object);
	else
		json_object_set_new(object, "state", json_string("closed"));
	pthread_mutex_unlock(&thread->closing);
}
