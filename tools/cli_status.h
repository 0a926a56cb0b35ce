/* SPDX-License-Identifier: BSD-3-Clause */
/* The status document for people. One thread. */
#ifndef PENSTOCK_CLI_STATUS_H
#define PENSTOCK_CLI_STATUS_H

#include <jansson.h>
#include <stdio.h>

/* Everything, in sections. */
void status_print(const json_t *status, FILE *out);

/* The first line: node, version, state, uptime. */
void status_print_head(const json_t *status, FILE *out);

/* "conserved: yes received=... durable=... dead_lettered=... duplicate=... shed=... in_flight=...", over all
 * streams. */
void status_print_ledger(const json_t *status, FILE *out);

/* One line per alarm. */
void status_print_alarms(const json_t *status, FILE *out);

/* The dimensions' table. */
void status_print_dimensions(const json_t *dimensions, FILE *out);

#endif
