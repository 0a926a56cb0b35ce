/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The status document as numbers: Prometheus text for /metrics, a flat list for `penstock stats`. One table
 * names every metric, its type, help, labels and where its value stands in the status. Any thread; control
 * path.
 */
#ifndef PENSTOCK_METRICS_H
#define PENSTOCK_METRICS_H

#include <jansson.h>
#include <stdio.h>

/* Prometheus text format 0.0.4. */
void metrics_write(const json_t *status, FILE *out);

/* {"stats": [{"name", "labels": {...}, "value"}]}, or NULL without memory. */
json_t *metrics_json(const json_t *status);

/* The table of metrics as Markdown. */
void metrics_write_reference(FILE *out);

#endif
