/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dead letters for people and for programs. One thread.
 */
#ifndef PENSTOCK_DLQ_PRINT_H
#define PENSTOCK_DLQ_PRINT_H

#include "dlq/dlq_histogram.h"
#include "dlq/dlq_source.h"

#include <stdbool.h>
#include <stdio.h>

/* Writes bytes on one line: printable UTF-8 as it is, \n \r \t \\ and \xNN for everything else. */
void dlq_print_bytes(FILE *out, const char *data, size_t len);

/* 0 or -errno of writing. JSON: one object for the histogram; one per line for records, bytes that are not
 * UTF-8 as
 * "<name>_base64". */
int dlq_print_histogram(FILE *out, const struct dlq_histogram *histogram, bool json);
int dlq_print_record(FILE *out, const struct dlq_record *record, bool json);

#endif
