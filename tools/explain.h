/* SPDX-License-Identifier: BSD-3-Clause */
/* What the stages of the pipeline made of one event, as JSON. The thread that runs the worker. */
#ifndef PENSTOCK_EXPLAIN_H
#define PENSTOCK_EXPLAIN_H

#include "worker.h"

#include <jansson.h>
#include <stdint.h>

/* `worker` has just run a round over one event of the stream, and the engine has one worker and one sink, whose place this
 * takes: the batch is handed over, read and released. `partitions` is how many each topic has. The caller owns
 * the object. */
json_t *explain_event(
    const struct engine *engine, struct worker *worker, uint16_t stream_index, int32_t partitions);

#endif
