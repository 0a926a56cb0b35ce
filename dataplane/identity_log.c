/* SPDX-License-Identifier: BSD-3-Clause */
#include "identity_log.h"

#include "identity_restore.h"
#include "identity_secret.h"
#include "identity_segments.h"
#include "sink.h"

#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING_ENTRIES (1u << 18) /* 6 MB per sink: some 100 ms at full speed, hours of a quiet stream */
#define PASS_NS 10000000ull     /* between two passes over the buffers */
#define SYNC_NS 1000000000ull
#define BACKOFF_MAX_NS 2000000000ull
#define OUT_BYTES (4u << 20)
#define TICK_SHIFT 6   /* a block's marks are of one tick of the dedup window */
#define ROTATE_PARTS 8 /* of the longest window: what an expired segment keeps too long at most */
#define ROTATE_MIN_MS 10000

struct ring_entry {
	uint64_t key[2];
	uint32_t mono_ms; /* its low half */
	uint16_t stream, reserved;
};
_Static_assert(sizeof(struct ring_entry) == 24, "no padding");

/* From one sink thread to the log's. */
struct ring {
	alignas(64) _Atomic uint32_t head; /* sink thread: rw, log thread: ro */
	_Atomic uint64_t lost;             /* sink thread: rw, others: ro */
	_Atomic int64_t lost_mono_ms;      /* sink thread: rw, others: ro */
	alignas(64) _Atomic uint32_t tail; /* log thread: rw, sink thread: ro */
	struct ring_entry *entries;
};

/* A block that is being filled. */
struct pending {
	int64_t mono_ms;
	uint32_t n;
	uint64_t keys[IDENTITY_BLOCK_KEYS][2];
};

struct identity_log {
	struct identity_log_options options;
	uint8_t boot[16];
	int64_t window_ms;               /* the longest */
	struct ring rings[SINK_MAX + 1]; /* the last: of the restoring thread */
	pthread_t thread;
	bool running; /* control */
	_Atomic bool stop;

	/* log thread, from start on */
	struct identity_segments segments;
	struct pending *pending[CONFIG_MAX_STREAMS];
	uint8_t *out;
	size_t out_used;
	uint64_t out_marks;      /* in `out` */
	uint64_t unsynced_marks; /* written, and not yet known to be on disk */
	char *checkpoint;        /* the last one that was written; begins each segment */
	uint64_t synced_ns, retry_ns, backoff_ns;
	int64_t begun_ms;      /* monotonic clock, of the segment */
	int64_t loss_until_ms; /* monotonic clock: until then a restart must not rely on the log alone */
	uint64_t lost_seen;    /* of the rings' counters */

	pthread_mutex_t mutex; /* of what follows */
	char *next_checkpoint;
	size_t next_checkpoint_len;
	struct identity_log_status status;
};

/* ---- sink threads ---- */

static void append(void *context, uint8_t sink, const struct completed *events, uint32_t n)
{
	struct identity_log *log = context;
	struct ring *ring = &log->rings[sink];
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	int64_t now_ms = (int64_t)(clock_mono_ns(log->options.clock) / 1000000);
	uint32_t lost = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (!events[i].marked)
			continue;
		if (head - tail == RING_ENTRIES) {
			lost++;
			continue;
		}
		ring->entries[head++ % RING_ENTRIES] = (struct ring_entry){
		    .key = {events[i].key[0], events[i].key[1]},
		    .mono_ms = (uint32_t)now_ms,
		    .stream = events[i].stream,
		};
	}
	atomic_store_explicit(&ring->head, head, memory_order_release);
	if (lost > 0) {
		atomic_store_explicit(&ring->lost_mono_ms, now_ms, memory_order_relaxed);
		atomic_fetch_add_explicit(&ring->lost, lost, memory_order_release);
	}
}

int identity_log_add(struct identity_log *log, uint16_t stream, const uint64_t key[2], int64_t age_ms)
{
	const struct timespec pause = {.tv_nsec = (long)PASS_NS};
	struct ring *ring = &log->rings[SINK_MAX];
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	int64_t now_ms = (int64_t)(clock_mono_ns(log->options.clock) / 1000000);

	while (head - atomic_load_explicit(&ring->tail, memory_order_acquire) == RING_ENTRIES) {
		struct identity_log_status status;

		identity_log_status(log, &status);
		if (status.failing)
			return -ENOSPC;
		(void)nanosleep(&pause, NULL);
	}
	ring->entries[head % RING_ENTRIES] = (struct ring_entry){
	    .key = {key[0], key[1]},
	    .mono_ms = (uint32_t)(now_ms - age_ms),
	    .stream = stream,
	};
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return 0;
}

struct completion_listener identity_log_listener(struct identity_log *log)
{
	return (struct completion_listener){.complete = append, .context = log};
}

void identity_log_checkpoint(struct identity_log *log, const char *text, size_t len)
{
	char *copy = len <= IDENTITY_CHECKPOINT_BYTES ? malloc(len + 1) : NULL;

	if (copy == NULL)
		return; /* the one before it stays in force: more of the topics is read after a restart */
	memcpy(copy, text, len);
	copy[len] = '\0';
	pthread_mutex_lock(&log->mutex);
	free(log->next_checkpoint);
	log->next_checkpoint = copy;
	log->next_checkpoint_len = len;
	pthread_mutex_unlock(&log->mutex);
}

void identity_log_status(struct identity_log *log, struct identity_log_status *out)
{
	pthread_mutex_lock(&log->mutex);
	*out = log->status;
	pthread_mutex_unlock(&log->mutex);
}

/* ---- the log's own thread ---- */

static struct identity_time now(const struct identity_log *log)
{
	return (struct identity_time){
	    clock_wall_ms(log->options.clock), (int64_t)(clock_mono_ns(log->options.clock) / 1000000)};
}

static void failed(struct identity_log *log, const struct error *err)
{
	log->backoff_ns = log->backoff_ns == 0 ? 2 * PASS_NS : 2 * log->backoff_ns;
	if (log->backoff_ns > BACKOFF_MAX_NS)
		log->backoff_ns = BACKOFF_MAX_NS;
	log->retry_ns = clock_mono_ns(log->options.clock) + log->backoff_ns;
	pthread_mutex_lock(&log->mutex);
	log->status.failing = true;
	log->status.error_ms = clock_wall_ms(log->options.clock);
	(void)snprintf(log->status.error, sizeof(log->status.error), "%.*s",
	    (int)sizeof(log->status.error) - 1, err->text);
	pthread_mutex_unlock(&log->mutex);
}

static void lose(struct identity_log *log, uint64_t marks, int64_t mono_ms)
{
	struct identity_time at = now(log);

	if (log->loss_until_ms < mono_ms + log->window_ms)
		log->loss_until_ms = mono_ms + log->window_ms;
	pthread_mutex_lock(&log->mutex);
	log->status.lost += marks;
	log->status.loss_ms = at.wall_ms - (at.mono_ms - mono_ms);
	pthread_mutex_unlock(&log->mutex);
}

static void note_ring_losses(struct identity_log *log)
{
	uint64_t lost = 0;
	int64_t newest = INT64_MIN;

	for (uint32_t s = 0; s < log->options.n_sinks; s++) {
		uint64_t n = atomic_load_explicit(&log->rings[s].lost, memory_order_acquire);
		int64_t ms = atomic_load_explicit(&log->rings[s].lost_mono_ms, memory_order_relaxed);

		lost += n;
		if (n > 0 && ms > newest)
			newest = ms;
	}
	if (lost > log->lost_seen)
		lose(log, lost - log->lost_seen, newest);
	log->lost_seen = lost;
}

/* A new segment, headed by the last checkpoint, so that no older segment is needed for that. */
static int begin_segment(struct identity_log *log, struct error *err)
{
	struct identity_header header = {
	    .secret_id = identity_secret_id(log->options.secret), .sequence = log->segments.next_sequence};
	size_t len = log->checkpoint != NULL ? strlen(log->checkpoint) : 0;
	uint8_t *head =
	    malloc(IDENTITY_HEADER_BYTES + identity_block_size(IDENTITY_BLOCK_CHECKPOINT, (uint32_t)len));
	struct identity_time at = now(log);
	size_t bytes = IDENTITY_HEADER_BYTES;
	int ret;

	if (head == NULL)
		return error_set(err, -ENOMEM, "no memory for an identity segment");
	memcpy(header.boot, log->boot, sizeof(header.boot));
	identity_header_write(&header, head);
	if (log->checkpoint != NULL)
		bytes += identity_block_write(&(struct identity_block){.type = IDENTITY_BLOCK_CHECKPOINT,
		                                  .time = at,
		                                  .payload = log->checkpoint,
		                                  .count = (uint32_t)len},
		    head + bytes);
	ret = identity_segments_begin(&log->segments, head, bytes, at.mono_ms, err);
	free(head);
	log->begun_ms = at.mono_ms;
	return ret;
}

/* Whether what was written is on disk now. Where the kernel says no, it has forgotten the pages: they are lost. */
static bool sync_segment(struct identity_log *log)
{
	struct error err;

	log->synced_ns = clock_mono_ns(log->options.clock);
	if (fdatasync(log->segments.fd) == 0) {
		log->unsynced_marks = 0;
		return true;
	}
	error_set(&err, -errno, "%s: fdatasync: %s", log->segments.directory, strerror(errno));
	failed(log, &err);
	lose(log, log->unsynced_marks, (int64_t)(log->synced_ns / 1000000));
	log->unsynced_marks = 0;
	if (begin_segment(log, &err) != 0)
		failed(log, &err);
	return false;
}

/* Writes `out`. False: it stays as it is. */
static bool write_out(struct identity_log *log)
{
	struct error err;

	if (log->out_used == 0)
		return true;
	if (clock_mono_ns(log->options.clock) < log->retry_ns)
		return false;
	if (identity_segments_append(&log->segments, log->out, log->out_used, now(log).mono_ms, &err) != 0) {
		failed(log, &err);
		return false;
	}
	log->unsynced_marks += log->out_marks;
	log->backoff_ns = 0;
	pthread_mutex_lock(&log->mutex);
	log->status.failing = false;
	log->status.marks += log->out_marks;
	pthread_mutex_unlock(&log->mutex);
	log->out_used = 0;
	log->out_marks = 0;
	return true;
}

static void close_block(struct identity_log *log, uint16_t stream, const struct identity_time *at)
{
	struct pending *pending = log->pending[stream];

	if (pending == NULL || pending->n == 0)
		return;
	log->out_used += identity_block_write(
	    &(struct identity_block){
	        .type = IDENTITY_BLOCK_MARKS,
	        .stream_id = log->options.streams[stream].id,
	        .time = {at->wall_ms - (at->mono_ms - pending->mono_ms), pending->mono_ms},
	        .payload = pending->keys,
	        .count = pending->n,
	    },
	    log->out + log->out_used);
	log->out_marks += pending->n;
	pending->n = 0;
}

/* Room for one more block of every stream, and the checkpoint. */
static bool out_has_room(const struct identity_log *log)
{
	return log->out_used + identity_block_size(IDENTITY_BLOCK_MARKS, IDENTITY_BLOCK_KEYS) <= OUT_BYTES;
}

/* Moves what is in a ring into blocks. False: the disk does not take more. */
static bool drain(struct identity_log *log, struct ring *ring, const struct identity_time *at)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	bool ok = true;

	for (; tail != head; tail++) {
		const struct ring_entry *entry = &ring->entries[tail % RING_ENTRIES];
		struct pending *pending = log->pending[entry->stream];
		int64_t mono_ms = at->mono_ms + (int32_t)(entry->mono_ms - (uint32_t)at->mono_ms);

		if (pending->n == IDENTITY_BLOCK_KEYS ||
		    (pending->n > 0 && mono_ms >> TICK_SHIFT != pending->mono_ms >> TICK_SHIFT)) {
			if (!out_has_room(log) && !write_out(log)) {
				ok = false;
				break;
			}
			close_block(log, entry->stream, at);
		}
		if (pending->n == 0)
			pending->mono_ms = mono_ms;
		pending->keys[pending->n][0] = entry->key[0];
		pending->keys[pending->n][1] = entry->key[1];
		pending->n++;
	}
	atomic_store_explicit(&ring->tail, tail, memory_order_release);
	return ok;
}

/* A checkpoint that may be written now; NULL: none. */
static char *take_checkpoint(struct identity_log *log, int64_t mono_ms, size_t *len)
{
	char *text;

	pthread_mutex_lock(&log->mutex);
	text = log->next_checkpoint;
	*len = log->next_checkpoint_len;
	log->next_checkpoint = NULL;
	log->status.covered = mono_ms >= log->loss_until_ms;
	pthread_mutex_unlock(&log->mutex);
	if (text != NULL && mono_ms < log->loss_until_ms) {
		free(text);
		text = NULL;
	}
	return text;
}

/* Behind all marks that were appended before it was handed in, and only when those are on disk. */
static void write_checkpoint(struct identity_log *log, char *text, size_t len, const struct identity_time *at)
{
	if (!sync_segment(log)) {
		free(text);
		return;
	}
	free(log->checkpoint);
	log->checkpoint = text;
	while (log->out_used + identity_block_size(IDENTITY_BLOCK_CHECKPOINT, (uint32_t)len) > OUT_BYTES)
		if (!write_out(log))
			return;
	log->out_used += identity_block_write(
	    &(struct identity_block){
	        .type = IDENTITY_BLOCK_CHECKPOINT, .time = *at, .payload = text, .count = (uint32_t)len},
	    log->out + log->out_used);
	if (!write_out(log))
		return;
	pthread_mutex_lock(&log->mutex);
	log->status.checkpoint_ms = at->wall_ms;
	pthread_mutex_unlock(&log->mutex);
}

static void rotate(struct identity_log *log, int64_t mono_ms)
{
	const struct identity_segment *current = &log->segments.list[log->segments.n - 1];
	int64_t part_ms = log->window_ms / ROTATE_PARTS;
	struct error err;

	if (part_ms < ROTATE_MIN_MS)
		part_ms = ROTATE_MIN_MS;
	if (current->bytes < IDENTITY_SEGMENT_BYTES &&
	    (mono_ms - log->begun_ms < part_ms || current->newest_ms <= log->begun_ms))
		return;
	if (log->unsynced_marks > 0 && !sync_segment(log))
		return;
	if (begin_segment(log, &err) != 0)
		failed(log, &err);
}

/* One pass. True: everything that was in the buffers at its beginning is written. */
static bool pass(struct identity_log *log)
{
	struct identity_time at = now(log);
	size_t len;
	char *checkpoint;
	bool ok = true;

	note_ring_losses(log);
	checkpoint = take_checkpoint(log, at.mono_ms, &len);
	for (uint32_t s = 0; ok && s < SINK_MAX + 1; s++)
		ok = log->rings[s].entries == NULL || drain(log, &log->rings[s], &at);
	for (uint16_t s = 0; ok && s < log->options.n_streams; s++) {
		ok = out_has_room(log) || write_out(log);
		if (ok)
			close_block(log, s, &at);
	}
	ok = ok && write_out(log);
	note_ring_losses(log); /* a loss behind the checkpoint's making must hold it back */
	if (ok && checkpoint != NULL && at.mono_ms >= log->loss_until_ms)
		write_checkpoint(log, checkpoint, len, &at);
	else
		free(checkpoint);
	if (ok && log->unsynced_marks > 0 && clock_mono_ns(log->options.clock) - log->synced_ns >= SYNC_NS)
		ok = sync_segment(log);
	if (ok)
		rotate(log, at.mono_ms);
	identity_segments_expire(&log->segments, at.mono_ms - log->window_ms, log->options.max_bytes);
	pthread_mutex_lock(&log->mutex);
	log->status.bytes = log->segments.bytes;
	log->status.segments = log->segments.n;
	pthread_mutex_unlock(&log->mutex);
	return ok;
}

static void *run(void *context)
{
	struct identity_log *log = context;
	const struct timespec pause = {.tv_nsec = (long)PASS_NS};

	while (!atomic_load_explicit(&log->stop, memory_order_acquire)) {
		(void)pass(log);
		(void)nanosleep(&pause, NULL);
	}
	log->retry_ns = 0;
	if (pass(log))
		(void)sync_segment(log);
	return NULL;
}

/* ---- control ---- */

static void free_log(struct identity_log *log)
{
	for (uint32_t s = 0; s < SINK_MAX + 1; s++)
		free(log->rings[s].entries);
	for (uint32_t s = 0; s < CONFIG_MAX_STREAMS; s++)
		free(log->pending[s]);
	identity_segments_close(&log->segments);
	explicit_bzero(log->options.secret, sizeof(log->options.secret));
	pthread_mutex_destroy(&log->mutex);
	free(log->out);
	free(log->checkpoint);
	free(log->next_checkpoint);
	free(log);
}

static bool allocate(struct identity_log *log)
{
	log->out = malloc(OUT_BYTES);
	if (log->out == NULL)
		return false;
	for (uint32_t s = 0; s < log->options.n_sinks; s++) {
		log->rings[s].entries = calloc(RING_ENTRIES, sizeof(struct ring_entry));
		if (log->rings[s].entries == NULL)
			return false;
	}
	log->rings[SINK_MAX].entries = calloc(RING_ENTRIES, sizeof(struct ring_entry));
	if (log->rings[SINK_MAX].entries == NULL)
		return false;
	for (uint32_t s = 0; s < log->options.n_streams; s++) {
		log->pending[s] = calloc(1, sizeof(struct pending));
		if (log->pending[s] == NULL)
			return false;
	}
	return true;
}

int identity_log_create(
    const struct identity_log_options *options, struct identity_log **out, struct error *err)
{
	struct identity_log *log = aligned_alloc(alignof(struct identity_log), sizeof(*log));
	int ret;

	*out = NULL;
	if (log == NULL)
		return error_set(err, -ENOMEM, "no memory for the identity log");
	memset(log, 0, sizeof(*log));
	log->options = *options;
	log->loss_until_ms = INT64_MIN;
	log->status.covered = true;
	for (uint32_t s = 0; s < options->n_streams; s++)
		if (options->streams[s].dedup != NULL && options->streams[s].window_ms > log->window_ms)
			log->window_ms = options->streams[s].window_ms;
	identity_boot_id(log->boot);
	pthread_mutex_init(&log->mutex, NULL);
	ret = identity_segments_open(options->directory, &log->segments, err);
	log->options.directory = log->segments.directory;
	if (ret == 0 && !allocate(log))
		ret = error_set(err, -ENOMEM, "no memory for the identity log");
	if (ret != 0) {
		free_log(log);
		return ret;
	}
	*out = log;
	return 0;
}

int identity_log_restore(struct identity_log *log, struct identity_progress *progress,
    struct identity_restored *out, struct error *err)
{
	int ret = identity_restore(&log->segments, &log->options, log->boot, progress, out, err);

	if (ret == 0 && out->checkpoint != NULL)
		log->checkpoint = strdup(out->checkpoint);
	return ret;
}

int identity_log_start(struct identity_log *log, struct error *err)
{
	int ret = begin_segment(log, err);

	if (ret != 0)
		return ret;
	log->synced_ns = clock_mono_ns(log->options.clock);
	ret = -pthread_create(&log->thread, NULL, run, log);
	if (ret != 0)
		return error_set(err, ret, "identity log: %s", strerror(-ret));
	(void)pthread_setname_np(log->thread, "identity-log");
	log->running = true;
	return 0;
}

void identity_log_destroy(struct identity_log *log)
{
	if (log == NULL)
		return;
	if (log->running) {
		atomic_store_explicit(&log->stop, true, memory_order_release);
		(void)pthread_join(log->thread, NULL);
	}
	free_log(log);
}
