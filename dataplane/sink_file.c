/* SPDX-License-Identifier: BSD-3-Clause */
#include "dead_letter_line.h"
#include "lake_path.h"
#include "lake_writer.h"
#include "sink.h"
#include "timestamp.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COMMIT_NS 200000000ull  /* a batch waits at most this long for its commit */
#define COMMIT_BYTES (4u << 20) /* ... or until so much has been gathered */
#define GATHERED_BATCHES 1024u  /* ... or so many batches */
#define BACKOFF_MIN_NS 100000000ull
#define BACKOFF_MAX_NS 5000000000ull

/* What describe() shows. */
struct file_status {
	struct lake_counts counts;
	uint64_t outstanding; /* batches */
	bool failing;
	char error[512];
	int64_t error_ms;
};

/* All of it belongs to the sink thread, except status and its mutex. */
struct sink_file {
	struct sink sink;
	const struct config *config;
	struct lake *lake;
	struct batch *current;                    /* not all of its lines are in the lake's files yet */
	uint32_t cursor;                          /* the first record of it that is not */
	struct batch *gathered[GATHERED_BATCHES]; /* waiting for the commit */
	uint32_t n_gathered;
	uint64_t gathered_bytes;
	uint64_t gathered_ns; /* when the first of them came */
	uint64_t retry_ns;    /* after an error: not before */
	uint64_t backoff_ns;
	int confirmed;         /* since the last poll */
	pthread_mutex_t mutex; /* of status; taken once per commit or error, never per record */
	struct file_status status;
};

static void failed(struct sink_file *files, const struct error *err, uint64_t now_ns)
{
	struct file_status *status = &files->status;

	files->retry_ns = now_ns + files->backoff_ns;
	files->backoff_ns = 2 * files->backoff_ns < BACKOFF_MAX_NS ? 2 * files->backoff_ns : BACKOFF_MAX_NS;
	pthread_mutex_lock(&files->mutex);
	status->failing = true;
	memcpy(status->error, err->text, sizeof(status->error));
	status->error_ms = clock_wall_ms(&system_clock);
	pthread_mutex_unlock(&files->mutex);
}

static void publish_status(struct sink_file *files, bool working)
{
	struct file_status *status = &files->status;

	pthread_mutex_lock(&files->mutex);
	lake_count(files->lake, &status->counts);
	status->outstanding = files->n_gathered + (files->current != NULL);
	if (working)
		status->failing = false;
	pthread_mutex_unlock(&files->mutex);
}

static int write_record(
    struct sink_file *files, const struct batch *batch, const struct record *record, struct error *err)
{
	const struct config_stream *stream = &files->config->streams[batch->stream];
	const struct batch_event *event = &batch->events[record->event];
	bool dead = record->kind == RECORD_DEAD_LETTER;
	struct lake_place place = {
	    .stream = stream->name,
	    .kind = record->kind,
	    /* The time of a dead letter is not to be trusted. */
	    .day = lake_day(dead ? batch->arrival_ms : event->time_ms, batch->arrival_ms),
	    .field = dead ? NULL : stream->lake_partition,
	    .value = batch->bytes + event->partition,
	    .value_len = event->partition_len,
	};
	size_t max = dead ? dead_letter_line_max(stream->name, event) : record->value_len, len = max;
	struct lake_file *file;
	char *line;
	int rc = lake_find(files->lake, &place, &file, err);

	if (rc != 0)
		return rc;
	line = lake_file_reserve(file, max + 1);
	if (line == NULL)
		return error_set(err, -ENOMEM, "no memory for lines of %s", stream->name);
	if (dead)
		len = dead_letter_line(line, stream->name, batch, event);
	else
		memcpy(line, batch->bytes + record->value, len);
	line[len] = '\n';
	file->text_used += len + 1;
	files->gathered_bytes += len + 1;
	return 0;
}

/* Goes on with the current batch. */
static void gather(struct sink_file *files, uint64_t now_ns)
{
	struct batch *batch = files->current;
	struct error err;

	if (batch == NULL || now_ns < files->retry_ns)
		return;
	for (; files->cursor < batch->n_records; files->cursor++) {
		if (write_record(files, batch, &batch->records[files->cursor], &err) != 0) {
			failed(files, &err, now_ns);
			return;
		}
	}
	files->current = NULL;
	if (files->n_gathered == 0)
		files->gathered_ns = now_ns;
	files->gathered[files->n_gathered++] = batch;
}

static void confirm(struct sink_file *files, struct batch *batch)
{
	struct sink_stream_counts *counts = &files->sink.ledger.stream[batch->stream];

	for (uint32_t i = 0; i < batch->n_records; i++) {
		counts->records++;
		counts->bytes += batch->records[i].value_len;
		sink_confirm(&files->sink, batch, i);
	}
	files->confirmed += (int)batch->n_records;
	batch_release(batch);
}

static bool commit_due(const struct sink_file *files, uint64_t now_ns)
{
	return files->gathered_bytes >= COMMIT_BYTES || files->n_gathered == GATHERED_BATCHES ||
	       (files->n_gathered > 0 && now_ns - files->gathered_ns >= COMMIT_NS);
}

static int commit(struct sink_file *files, uint64_t now_ns)
{
	struct error err;
	int rc = lake_commit(files->lake, &err);

	if (rc != 0) {
		failed(files, &err, now_ns);
		publish_status(files, false);
		return rc;
	}
	for (uint32_t i = 0; i < files->n_gathered; i++)
		confirm(files, files->gathered[i]);
	sink_settle(&files->sink);
	files->n_gathered = 0;
	files->gathered_bytes = 0;
	files->retry_ns = 0;
	files->backoff_ns = BACKOFF_MIN_NS;
	rc = lake_rotate(files->lake, &err);
	if (rc != 0)
		failed(files, &err, now_ns);
	publish_status(files, rc == 0);
	return rc;
}

static int file_submit(struct sink *sink, struct batch *batch)
{
	struct sink_file *files = (struct sink_file *)sink;
	uint64_t now_ns = clock_mono_ns(&system_clock);

	if (files->current != NULL || now_ns < files->retry_ns || commit_due(files, now_ns))
		return -EAGAIN;
	files->current = batch;
	files->cursor = 0;
	gather(files, now_ns);
	return 0;
}

static int file_poll(struct sink *sink, int timeout_ms)
{
	struct sink_file *files = (struct sink_file *)sink;
	uint64_t now_ns = clock_mono_ns(&system_clock);
	struct error err;
	int confirmed;

	gather(files, now_ns);
	if (now_ns >= files->retry_ns) {
		if (commit_due(files, now_ns))
			commit(files, now_ns);
		else if (files->n_gathered == 0 && files->current == NULL &&
		         lake_rotate(files->lake, &err) != 0)
			failed(files, &err, now_ns);
	}
	confirmed = files->confirmed;
	files->confirmed = 0;
	if (confirmed == 0 && timeout_ms > 0)
		nanosleep(
		    &(struct timespec){.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000l},
		    NULL);
	return confirmed;
}

static int file_flush(struct sink *sink, uint64_t deadline_ns)
{
	struct sink_file *files = (struct sink_file *)sink;

	while (files->current != NULL || files->n_gathered > 0) {
		uint64_t now_ns = clock_mono_ns(&system_clock);

		if (now_ns >= deadline_ns)
			return -ETIMEDOUT;
		gather(files, now_ns);
		if (now_ns >= files->retry_ns && commit(files, now_ns) == 0)
			continue;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return 0;
}

static void file_describe(struct sink *sink, json_t *object)
{
	struct sink_file *files = (struct sink_file *)sink;
	struct file_status status;
	char time[TIMESTAMP_TEXT_BYTES];

	pthread_mutex_lock(&files->mutex);
	status = files->status;
	pthread_mutex_unlock(&files->mutex);
	json_object_set_new(object, "directory", json_string(files->config->files.directory));
	json_object_set_new(object, "state", json_string(status.failing ? "failing" : "ok"));
	json_object_set_new(object, "outstanding_batches", json_integer((json_int_t)status.outstanding));
	json_object_set_new(object, "files_open", json_integer((json_int_t)status.counts.open));
	json_object_set_new(object, "files_finished", json_integer((json_int_t)status.counts.finished));
	json_object_set_new(object, "files_recovered", json_integer((json_int_t)status.counts.recovered));
	json_object_set_new(object, "frames", json_integer((json_int_t)status.counts.frames));
	json_object_set_new(object, "bytes_written", json_integer((json_int_t)status.counts.bytes));
	if (status.error_ms != 0 && timestamp_write(status.error_ms, time)) {
		json_object_set_new(object, "last_error", json_string(status.error));
		json_object_set_new(object, "last_error_time", json_stringn(time, sizeof(time)));
	}
}

static void file_close(struct sink *sink)
{
	struct sink_file *files = (struct sink_file *)sink;

	if (sink == NULL)
		return;
	if (files->current != NULL)
		sink_shed_batch(sink, files->current);
	for (uint32_t i = 0; i < files->n_gathered; i++)
		sink_shed_batch(sink, files->gathered[i]);
	lake_destroy(files->lake);
	sink_publish(sink);
	pthread_mutex_destroy(&files->mutex);
	free(files);
}

static const struct sink_ops file_ops = {
    .type = "files",
    .submit = file_submit,
    .poll = file_poll,
    .flush = file_flush,
    .describe = file_describe,
    .close = file_close,
};

int sink_file_create(const struct config *config, uint8_t number, struct sink **out, struct error *err)
{
	struct lake_options options = {
	    .directory = config->files.directory,
	    .node = config->node,
	    .rotate_bytes = (uint64_t)config->files.rotate_mb << 20,
	    .rotate_ns = (uint64_t)config->files.rotate_ms * 1000000ull,
	    .compression = config->files.compression,
	    .max_open = LAKE_MAX_OPEN,
	    .clock = &system_clock,
	};
	struct sink_file *files = calloc(1, sizeof(*files));
	int rc;

	*out = NULL;
	if (files == NULL)
		return error_set(err, -ENOMEM, "sinks.files: no memory");
	files->sink.ops = &file_ops;
	files->sink.number = number;
	files->config = config;
	files->backoff_ns = BACKOFF_MIN_NS;
	rc = lake_create(&options, &files->lake, err);
	if (rc != 0) {
		free(files);
		return error_prefix(err, rc, "sinks.files");
	}
	pthread_mutex_init(&files->mutex, NULL);
	publish_status(files, true);
	*out = &files->sink;
	return 0;
}
