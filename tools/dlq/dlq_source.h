/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dead letters, wherever they are: the lake's files (dlq_files.c) or Kafka topics (dlq_kafka.c), one record
 * at a time, in the order of the file or partition. One thread.
 */
#ifndef PENSTOCK_DLQ_SOURCE_H
#define PENSTOCK_DLQ_SOURCE_H

#include "config.h"
#include "error.h"

#include <stddef.h>
#include <stdint.h>

#define DLQ_MAX_HEADERS 32

struct dlq_text {
	const char *name; /* of headers; ends with NUL */
	const char *data; /* any bytes */
	size_t len;
};

struct dlq_record {
	struct dlq_text stage, reason, message, stream, timestamp, replays; /* data NULL: not there */
	struct dlq_text key, value;
	struct dlq_text headers[DLQ_MAX_HEADERS]; /* of Kafka records, in their order */
	size_t n_headers;
	const char *place; /* a file, or a topic */
	int32_t partition; /* -1: of a file */
	int64_t number;    /* the offset, or the line from 1 */
};

/* Gets each record; what it points to is gone afterwards. Non-zero ends the reading, without an error. */
typedef int (*dlq_fn)(void *context, const struct dlq_record *record);

/* Below DIR/<stream>/dead_letter/, files still being written included. A damaged file is an error that names
 * it, after everything readable before the damage. 0, 1 if `see` ended it, or -errno. */
int dlq_read_files(const char *directory, dlq_fn see, void *context, struct error *err);

/* Everything that is in the topic at this moment. `config` gives properties for the connection; may be NULL.
 */
int dlq_read_kafka(const char *brokers, const char *topic, const struct config *config, dlq_fn see,
    void *context, struct error *err);

/* The dead letter topics of all streams, or the files where Kafka is off or embedded. */
int dlq_read_config(const char *path, dlq_fn see, void *context, struct error *err);

#endif
