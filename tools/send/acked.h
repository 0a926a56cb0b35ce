/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines by the event transport, each until it is known to be durable: `penstock send --ack`, over libpenstock. One thread.
 */
#ifndef PENSTOCK_SEND_ACKED_H
#define PENSTOCK_SEND_ACKED_H

#include "error.h"
#include "libpenstock/penstock.h"
#include "send/lines.h"

#include <signal.h>
#include <stdbool.h>

struct acked_options {
	struct penstock_options client; /* all but on_complete and context */
	const char *record;             /* file for the outcome of each line, or NULL */
	bool json;
	int deadline_ms; /* after the last line, or after the last outcome without room; PENSTOCK_FOREVER: none */
	const volatile sig_atomic_t *interrupted;
};

/* Sends all lines, prints progress to stderr and the summary to stdout. 0 if every event was completed: durable,
 * duplicate or dead letter. -EINVAL: the options, nothing was done; or -errno with the reason. */
int acked_send(const struct acked_options *options, struct lines *lines, struct error *err);

#endif
