/* SPDX-License-Identifier: BSD-3-Clause */
#include "dlq/dlq_histogram.h"

#include <stdlib.h>
#include <string.h>

struct dlq_histogram *dlq_histogram_create(void)
{
	return calloc(1, sizeof(struct dlq_histogram));
}

void dlq_histogram_destroy(struct dlq_histogram *histogram)
{
	free(histogram);
}

/* A copy that is safe to print: "-" for what is not there, "?" for what is not printable ASCII. */
static void copy(char *to, size_t size, const struct dlq_text *text)
{
	size_t n = text->len < size - 1 ? text->len : size - 1;

	if (text->data == NULL) {
		memcpy(to, "-", 2);
		return;
	}
	for (size_t i = 0; i < n; i++)
		to[i] = text->data[i] > ' ' && text->data[i] < 127 ? text->data[i] : '?';
	to[n] = '\0';
}

int dlq_histogram_add(void *context, const struct dlq_record *record)
{
	struct dlq_histogram *histogram = context;
	struct dlq_group key = {0}, *group = NULL;
	char time[sizeof(key.first)] = "";

	copy(key.stream, sizeof(key.stream), &record->stream);
	copy(key.stage, sizeof(key.stage), &record->stage);
	copy(key.reason, sizeof(key.reason), &record->reason);
	if (record->timestamp.data != NULL)
		copy(time, sizeof(time), &record->timestamp);
	histogram->records++;
	for (size_t i = 0; i < histogram->n && group == NULL; i++) {
		struct dlq_group *g = &histogram->group[i];

		if (strcmp(g->reason, key.reason) == 0 && strcmp(g->stream, key.stream) == 0 &&
		    strcmp(g->stage, key.stage) == 0)
			group = g;
	}
	if (group == NULL && histogram->n == DLQ_MAX_GROUPS) {
		histogram->others++;
		return 0;
	}
	if (group == NULL) {
		group = &histogram->group[histogram->n++];
		*group = key;
	}
	group->count++;
	/* Times of one form and zone compare as text. */
	if (time[0] != '\0' && (group->first[0] == '\0' || strcmp(time, group->first) < 0))
		strcpy(group->first, time);
	if (time[0] != '\0' && strcmp(time, group->last) > 0)
		strcpy(group->last, time);
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct dlq_group *x = a, *y = b;
	int order = strcmp(x->stream, y->stream);

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return order != 0 ? order : strcmp(x->reason, y->reason);
}

void dlq_histogram_sort(struct dlq_histogram *histogram)
{
	qsort(histogram->group, histogram->n, sizeof(histogram->group[0]), compare);
}
