/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pipeline's first stage: packets become the events of a burst, and the batches that take them.
 *
 * Room comes first. An event is taken into the burst only when its stream's open batch holds everything that it can become;
 * a frame of the event transport only when all its events have room, in as many batches as that takes. While senders wait
 * for acknowledgements the last quarter of the batches is theirs: fire and forget is shed before.
 *
 * Worker only.
 */
#ifndef PENSTOCK_FILL_H
#define PENSTOCK_FILL_H

#include "pipeline.h"

/* Takes events from the packets at hand until the burst or a batch is full, or the packets end. Returns whether anything
 * moved. */
bool fill_burst(struct pipeline *pipeline);

/* Hands a stream's open batch, if there is one, to every sink. */
void fill_hand_over(struct pipeline *pipeline, uint16_t stream);

#endif
