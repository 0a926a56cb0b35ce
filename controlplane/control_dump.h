/* SPDX-License-Identifier: BSD-3-Clause */
/* The status document as a telemetry dump (flatbuffers/telemetry.fbs). Any thread; control path. */
#ifndef PENSTOCK_CONTROL_DUMP_H
#define PENSTOCK_CONTROL_DUMP_H

#include "error.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* *out is for free(). 0, -ENOMEM, -EINVAL for a status document without names, -EMSGSIZE. */
int control_dump(const json_t *status, uint8_t **out, size_t *len, struct error *err);

#endif
