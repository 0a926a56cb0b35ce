/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way back to the appliance: acknowledged by libpenstock, or as plain datagrams. A connection per stream, made
 * when it is first needed. One thread; sending waits for the pace.
 */
#ifndef PENSTOCK_REPLAY_SEND_H
#define PENSTOCK_REPLAY_SEND_H

#include "config.h"
#include "error.h"
#include "key_file.h"

#include <stdbool.h>
#include <stdint.h>

struct replay_send_options {
	const char *appliance;       /* HOST, or HOST:PORT */
	const struct config *config; /* the streams' ports, where there is none in `appliance`; may be NULL */
	bool plain;
	double rate;         /* events per second */
	uint64_t source_id;  /* acknowledged: who we are */
	struct key_file key; /* acknowledged: with which key; len 0: none */
	uint64_t timeout_ms; /* acknowledged: how long a chunk may take beyond its pace */
};

struct replay_send_counts {
	uint64_t sent, durable, duplicate, rejected; /* the last three where events are acknowledged */
};

struct replay_send;

int replay_send_create(
    const struct replay_send_options *options, struct replay_send **out, struct error *err);
void replay_send_destroy(struct replay_send *send);

/* One line to a stream. 0; -EMSGSIZE if it is too long or holds a newline: then nothing is sent; or -errno. */
int replay_send_line(
    struct replay_send *send, const char *stream, const char *line, size_t len, struct error *err);

/* Everything sent so far has an outcome; plain: has been sent, and somebody listens. */
int replay_send_finish(struct replay_send *send, struct error *err);

const struct replay_send_counts *replay_send_counts(const struct replay_send *send);

#endif
