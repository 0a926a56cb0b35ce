/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The chain over so many generated events, duplicates and malformed ones among them, with the system's clock:
 * what a worker does in production between its source and the sinks' rings. The loop lies between two calls
 * of getppid(), which a trace shows; with count_allocations.so preloaded it says what the loop has allocated.
 *
 * Usage: chain CONFIG EVENTS
 */
#include "harness.h"
#include "workload.h"

#include "gen/rows.h"

#include <assert.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS 10000u

static void publish(struct harness *h, enum gen_dimension dimension, const char *name)
{
	char *text = NULL;
	size_t size = 0;
	FILE *rows = open_memstream(&text, &size);

	assert(rows != NULL);
	gen_rows_write(dimension, 1, ROWS, false, rows);
	(void)fclose(rows);
	harness_dimension(h, name, "1", gen_dimension_key(dimension), text);
	free(text);
}

int main(int argc, char **argv)
{
	struct workload_options options = {.seed = 1,
	    .products = ROWS,
	    .users = ROWS,
	    .places = ROWS,
	    .duplicates = 0.03,
	    .malformed = 0.02,
	    .payload_bytes = 1400};
	const struct worker_stream_counts *counts;
	uint64_t (*allocation_count)(void);
	uint64_t before = 0, after = 0;
	struct error err = {{0}};
	struct workload workload;
	struct harness h;
	void *symbol;
	char *yaml;
	size_t len;

	if (argc != 3) {
		(void)fputs("usage: chain CONFIG EVENTS\n", stderr);
		return 2;
	}
	yaml = harness_read(argv[1], &len);
	if (yaml == NULL) {
		perror(argv[1]);
		return 1;
	}
	harness_open(&h, yaml, len, NULL);
	h.keep = false;
	h.engine->clock = &system_clock;
	publish(&h, GEN_PRODUCTS, "products");
	publish(&h, GEN_USERS, "users");
	publish(&h, GEN_PLACES, "places");
	options.n_events = (uint32_t)strtoul(argv[2], NULL, 10);
	options.udp_port = h.config->streams[0].udp_port;
	if (workload_create(&options, &workload, &err) != 0) {
		(void)fprintf(stderr, "chain: %s\n", err.text);
		return 1;
	}
	symbol = dlsym(RTLD_DEFAULT, "allocation_count");
	memcpy(&allocation_count, &symbol, sizeof(allocation_count));

	before = allocation_count != NULL ? allocation_count() : 0;
	(void)getppid();
	harness_run(&h, workload.packets, workload.n_packets);
	(void)getppid();
	after = allocation_count != NULL ? allocation_count() : 0;

	counts = harness_counts(&h, 0);
	(void)printf("received=%" PRIu64 " handed=%" PRIu64 " duplicate=%" PRIu64 " dead_letters=%" PRIu64,
	    counts->received, counts->handed, counts->duplicate, h.records[RECORD_DEAD_LETTER]);
	if (allocation_count != NULL)
		(void)printf(" allocations_before=%" PRIu64 " allocations=%" PRIu64, before, after - before);
	(void)putchar('\n');
	workload_destroy(&workload);
	harness_close(&h);
	free(yaml);
	return 0;
}
