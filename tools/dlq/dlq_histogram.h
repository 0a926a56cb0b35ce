/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many dead letters there are of each stream, stage and reason, and when the first and the last came. One
 * thread.
 */
#ifndef PENSTOCK_DLQ_HISTOGRAM_H
#define PENSTOCK_DLQ_HISTOGRAM_H

#include "dlq/dlq_source.h"

#include <stdint.h>

#define DLQ_MAX_GROUPS 4096u

struct dlq_group {
	char stream[128], stage[32], reason[64];
	char first[32], last[32]; /* RFC 3339; "" where no record says */
	uint64_t count;
};

struct dlq_histogram {
	uint64_t records;
	uint64_t others; /* in groups beyond DLQ_MAX_GROUPS */
	size_t n;
	struct dlq_group group[DLQ_MAX_GROUPS];
};

struct dlq_histogram *dlq_histogram_create(void);
void dlq_histogram_destroy(struct dlq_histogram *histogram);

/* A dlq_fn; `context` is the histogram. */
int dlq_histogram_add(void *context, const struct dlq_record *record);

/* The most frequent first. */
void dlq_histogram_sort(struct dlq_histogram *histogram);

#endif
