/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

int perf_options_read(int argc, char **argv, uint32_t events, struct perf_options *o)
{
	static const struct option longs[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"dimension", required_argument, NULL, 'd'},
	    {"events", required_argument, NULL, 'n'},
	    {"dedup-slots", required_argument, NULL, 's'},
	    {"products", required_argument, NULL, 'p'},
	    {"users", required_argument, NULL, 'u'},
	    {"places", required_argument, NULL, 'l'},
	    {"zipf", required_argument, NULL, 'z'},
	    {"cpu", required_argument, NULL, 'C'},
	    {"no-references", no_argument, NULL, 'R'},
	    {"output", required_argument, NULL, 'o'},
	    {0},
	};
	int c;

	*o = (struct perf_options){.events = events,
	    .dedup_slots = 16u << 20,
	    .products = 1000000,
	    .users = 10000000,
	    .places = 100000,
	    .cpu = 1,
	    .references = true};
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config = optarg;
			break;
		case 'd':
			if (o->n_dimensions < CONFIG_MAX_DIMENSIONS)
				o->dimensions[o->n_dimensions++] = optarg;
			break;
		case 'n':
			o->events = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 's':
			o->dedup_slots = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'p':
			o->products = strtoull(optarg, NULL, 10);
			break;
		case 'u':
			o->users = strtoull(optarg, NULL, 10);
			break;
		case 'l':
			o->places = strtoull(optarg, NULL, 10);
			break;
		case 'C':
			o->cpu = (int)strtol(optarg, NULL, 10);
			break;
		case 'R':
			o->references = false;
			break;
		case 'z':
			o->zipf = strtod(optarg, NULL);
			break;
		case 'o':
			o->output = optarg;
			break;
		default:
			return -EINVAL;
		}
	}
	return o->config != NULL && optind == argc && o->events > 0 ? 0 : -EINVAL;
}
