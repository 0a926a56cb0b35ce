/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the verbs of `penstock dlq` share on the command line: where to read from, and how an error ends. One thread.
 */
#ifndef PENSTOCK_DLQ_ARGS_H
#define PENSTOCK_DLQ_ARGS_H

#include "args/args.h"
#include "dlq/dlq_source.h"

/* Where to read from; rows of every verb's table. */
#define DLQ_SOURCE_OPTIONS                                                                                 \
	{"from-files", "DIR", "the lake's directory (sinks.files.directory)", NULL},                       \
	    {"brokers", "HOST:PORT,...", "Kafka's bootstrap servers; with --topic", NULL},                 \
	    {"topic", "TOPIC", "the dead letter topic", NULL},                                             \
	    {"config|c", "FILE", "take topics and brokers, or the directory, from a configuration", NULL}, \
	{                                                                                                  \
		"json", NULL, "print JSON", NULL                                                           \
	}

/* Parses; returns -1, or the exit status when the verb is done. */
int dlq_args_begin(const struct args *args, const char *verb, int argc, char **argv, struct error *err);

/* Reads what the options name; as dlq_read_files(). */
int dlq_args_read(const struct args *args, dlq_fn see, void *context, struct error *err);

/* Says the error; returns EXIT_FAILED. */
int dlq_args_fail(const char *verb, const struct error *err);

#endif
