/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The smallest complete use of libpenstock: sends the lines of standard input, and tells what became of them.
 *
 *     cc -o example example.c $(pkg-config --cflags --libs libpenstock)
 *     ./example STREAM HOST:PORT [HOST:PORT...] < events.ndjson
 *
 * Exit status 0: every line is durable, was durable before, or is a dead letter.
 */
#include <penstock.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_LINE 60000
#define PATIENCE_MS 10000

struct counts {
	unsigned long of[PENSTOCK_UNKNOWN + 1];
};

static void on_complete(void *context, const struct penstock_result *result)
{
	struct counts *counts = context;

	counts->of[result->outcome]++;
	if (result->outcome == PENSTOCK_REJECTED)
		printf("line %llu: %s\n", (unsigned long long)result->tag, result->reason);
}

/* Queues one event. While there is no room, what is queued has to go out first. */
static int send_line(struct penstock *penstock, const char *line, size_t len, unsigned long number)
{
	struct penstock_event event = {.data = line, .len = len, .tag = number};
	int taken;

	while ((taken = penstock_send(penstock, &event, 1, 0)) == 0) {
		int ret = penstock_poll(penstock, 1000);

		if (ret < 0)
			return ret;
	}
	return taken < 0 ? taken : 0;
}

int main(int argc, char **argv)
{
	struct counts counts = {{0}};
	struct penstock_options options = {.on_complete = on_complete, .context = &counts};
	char reason[PENSTOCK_ERROR_BYTES], line[MAX_LINE];
	struct penstock *penstock;
	unsigned long number = 0;
	int ret = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: %s STREAM HOST:PORT [HOST:PORT...] < events.ndjson\n", argv[0]);
		return 2;
	}
	options.stream = argv[1];
	options.to = (const char *const *)argv + 2;
	options.n_to = (size_t)argc - 2;
	if (penstock_open(&options, &penstock, reason) != 0) {
		fprintf(stderr, "%s\n", reason);
		return 2;
	}
	while (ret == 0 && fgets(line, sizeof(line), stdin) != NULL) {
		size_t len = strcspn(line, "\n");

		number++;
		if (len > 0)
			ret = send_line(penstock, line, len, number);
		if (ret == 0)
			ret = penstock_poll(penstock, 0) < 0 ? -EIO : 0;
	}
	if (ret == 0)
		ret = penstock_flush(penstock, PATIENCE_MS);
	if (ret != 0)
		fprintf(stderr, "line %lu: %s: %s\n", number, strerror(-ret), penstock_error(penstock));
	penstock_close(penstock, 1000);
	for (int i = 0; i <= PENSTOCK_UNKNOWN; i++)
		printf("%s %lu\n", penstock_outcome_name((enum penstock_outcome)i), counts.of[i]);
	return ret == 0 && counts.of[PENSTOCK_UNKNOWN] == 0 ? 0 : 1;
}
