/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_checkpoint.h"

#include "batch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_NS 1000000000ull
#define HINTS 64u /* a power of two */
#define HEAD "penstock checkpoint 1\n"

struct offset {
	char *topic;
	int32_t partition;
	int64_t next;  /* Kafka sink thread: rw */
	int64_t noted; /* Kafka sink thread: `next` when the epoch ended */
};

struct kafka_checkpoint {
	kafka_checkpoint_fn emit;
	void *context;
	_Atomic bool ready; /* restoring thread: rw, Kafka sink thread: ro */
	/* Events of batches taken in an epoch that are not complete; epochs alternate, as a new one begins only when
	 * the one before the last is through. Kafka sink thread: adds, sink threads: subtract. */
	_Atomic uint64_t open[2];
	_Atomic uint64_t given_up; /* sink threads: rw */

	/* Kafka sink thread */
	struct offset *offsets;
	size_t n;
	uint16_t hint[HINTS]; /* where the partition was found last, checked before it is believed */
	uint32_t epoch;
	bool closing; /* the epoch before the current one is not through */
	bool dirty;   /* something was delivered since the offsets were noted */
	uint64_t due_ns;
	char cluster[256];
};

static void complete(void *context, uint8_t sink, const struct completed *events, uint32_t n)
{
	struct kafka_checkpoint *checkpoint = context;
	uint32_t odd = 0;

	(void)sink;
	for (uint32_t i = 0; i < n; i++)
		odd += events[i].epoch & 1;
	if (odd < n)
		atomic_fetch_sub_explicit(&checkpoint->open[0], n - odd, memory_order_release);
	if (odd > 0)
		atomic_fetch_sub_explicit(&checkpoint->open[1], odd, memory_order_release);
}

static void give_up(void *context, uint8_t sink, const struct completed *event)
{
	struct kafka_checkpoint *checkpoint = context;

	(void)sink, (void)event;
	/* Its batch may never have come to Kafka, so that its epoch says nothing. Sinks give up at their end only;
	 * no checkpoint is made any more. */
	atomic_fetch_add_explicit(&checkpoint->given_up, 1, memory_order_relaxed);
}

int kafka_checkpoint_create(
    kafka_checkpoint_fn emit, void *context, struct kafka_checkpoint **out, struct error *err)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return error_set(err, -ENOMEM, "no memory for checkpoints");
	(*out)->emit = emit;
	(*out)->context = context;
	return 0;
}

void kafka_checkpoint_destroy(struct kafka_checkpoint *checkpoint)
{
	if (checkpoint == NULL)
		return;
	for (size_t i = 0; i < checkpoint->n; i++)
		free(checkpoint->offsets[i].topic);
	free(checkpoint->offsets);
	free(checkpoint);
}

struct completion_listener kafka_checkpoint_listener(struct kafka_checkpoint *checkpoint)
{
	return (struct completion_listener){.complete = complete, .give_up = give_up, .context = checkpoint};
}

static struct offset *find(struct kafka_checkpoint *checkpoint, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < checkpoint->n; i++)
		if (checkpoint->offsets[i].partition == partition &&
		    strcmp(checkpoint->offsets[i].topic, topic) == 0)
			return &checkpoint->offsets[i];
	return NULL;
}

static struct offset *add(struct kafka_checkpoint *checkpoint, const char *topic, int32_t partition)
{
	struct offset *more = realloc(checkpoint->offsets, (checkpoint->n + 1) * sizeof(*more));
	char *name = strdup(topic);

	if (more != NULL)
		checkpoint->offsets = more;
	if (more == NULL || name == NULL) {
		free(name);
		return NULL;
	}
	more += checkpoint->n++;
	*more = (struct offset){.topic = name, .partition = partition};
	return more;
}

int kafka_checkpoint_seed(
    struct kafka_checkpoint *checkpoint, const char *topic, int32_t partition, int64_t next)
{
	struct offset *offset = find(checkpoint, topic, partition);

	if (offset == NULL)
		offset = add(checkpoint, topic, partition);
	if (offset == NULL)
		return -ENOMEM;
	offset->next = next;
	return 0;
}

void kafka_checkpoint_ready(struct kafka_checkpoint *checkpoint, const char *cluster)
{
	(void)snprintf(checkpoint->cluster, sizeof(checkpoint->cluster), "%s", cluster);
	checkpoint->dirty = true;
	atomic_store_explicit(&checkpoint->ready, true, memory_order_release);
}

void kafka_checkpoint_batch(struct kafka_checkpoint *checkpoint, struct batch *batch)
{
	batch->epoch = checkpoint->epoch;
	atomic_fetch_add_explicit(
	    &checkpoint->open[checkpoint->epoch & 1], batch->n_events, memory_order_relaxed);
}

void kafka_checkpoint_delivered(
    struct kafka_checkpoint *checkpoint, const char *topic, int32_t partition, int64_t offset)
{
	uint16_t *hint = &checkpoint->hint[((uintptr_t)topic / 16 + (uint32_t)partition) % HINTS];
	struct offset *at = *hint < checkpoint->n ? &checkpoint->offsets[*hint] : NULL;

	if (at == NULL || at->partition != partition || strcmp(at->topic, topic) != 0)
		at = find(checkpoint, topic, partition);
	/* Without memory for a new partition it is read from its beginning after a restart. */
	if (at == NULL)
		at = add(checkpoint, topic, partition);
	if (at != NULL) {
		*hint = (uint16_t)(at - checkpoint->offsets);
		if (at->next <= offset)
			at->next = offset + 1;
	}
	checkpoint->dirty = true;
}

static void emit(struct kafka_checkpoint *checkpoint, bool clean)
{
	char *text = NULL;
	size_t len = 0;
	FILE *file;

	if (checkpoint->cluster[0] == '\0')
		return;
	file = open_memstream(&text, &len);
	if (file == NULL)
		return; /* the one before it stays in force */
	(void)fprintf(file, HEAD "cluster %s\nend %s\n", checkpoint->cluster, clean ? "clean" : "none");
	for (size_t i = 0; i < checkpoint->n; i++)
		(void)fprintf(file, "%s %" PRId32 " %" PRId64 "\n", checkpoint->offsets[i].topic,
		    checkpoint->offsets[i].partition, checkpoint->offsets[i].noted);
	if (fclose(file) == 0)
		checkpoint->emit(checkpoint->context, text, len);
	free(text);
}

static void note_offsets(struct kafka_checkpoint *checkpoint)
{
	for (size_t i = 0; i < checkpoint->n; i++)
		checkpoint->offsets[i].noted = checkpoint->offsets[i].next;
	checkpoint->dirty = false;
}

void kafka_checkpoint_tick(struct kafka_checkpoint *checkpoint, uint64_t now_ns)
{
	if (!atomic_load_explicit(&checkpoint->ready, memory_order_acquire))
		return;
	if (checkpoint->closing &&
	    atomic_load_explicit(&checkpoint->open[~checkpoint->epoch & 1], memory_order_acquire) == 0) {
		emit(checkpoint, false);
		checkpoint->closing = false;
	}
	if (checkpoint->closing || !checkpoint->dirty || now_ns < checkpoint->due_ns ||
	    checkpoint->cluster[0] == '\0')
		return;
	checkpoint->due_ns = now_ns + PERIOD_NS;
	note_offsets(checkpoint);
	checkpoint->epoch++;
	checkpoint->closing = true;
}

void kafka_checkpoint_finish(struct kafka_checkpoint *checkpoint)
{
	if (!atomic_load(&checkpoint->ready) || atomic_load(&checkpoint->given_up) != 0 ||
	    atomic_load(&checkpoint->open[0]) != 0 || atomic_load(&checkpoint->open[1]) != 0)
		return;
	note_offsets(checkpoint);
	emit(checkpoint, true);
}

const char *kafka_checkpoint_head(const char *text, char cluster[256], bool *clean)
{
	char end[16];
	int n = 0;

	if (strncmp(text, HEAD, sizeof(HEAD) - 1) != 0 ||
	    sscanf(text + sizeof(HEAD) - 1, "cluster %255s\nend %15s%n", cluster, end, &n) != 2 || n == 0)
		return NULL;
	*clean = strcmp(end, "clean") == 0;
	text += sizeof(HEAD) - 1 + n;
	return *text == '\n' ? text + 1 : NULL;
}

bool kafka_checkpoint_next(const char **at, struct kafka_checkpoint_entry *out)
{
	int n = 0;

	if (sscanf(*at, "%255s %" SCNd32 " %" SCNd64 "%n", out->topic, &out->partition, &out->next, &n) !=
	        3 ||
	    (*at)[n] != '\n')
		return false;
	*at += n + 1;
	return true;
}
