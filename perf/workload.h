/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the benchmark feeds: distinct generated events in UDP frames, in memory. Built before the clock
 * starts.
 */
#ifndef PENSTOCK_PERF_WORKLOAD_H
#define PENSTOCK_PERF_WORKLOAD_H

#include "error.h"
#include "hugemem.h"
#include "source.h"

#include <stdint.h>

struct workload_event {
	const char *data;
	uint32_t len;
};

struct workload {
	struct hugemem memory; /* all frames */
	struct packet *packets;
	uint32_t n_packets;
	struct workload_event *events; /* views into the frames */
	uint32_t n_events;
	uint64_t event_bytes;
};

struct workload_options {
	uint32_t n_events;
	uint64_t seed;
	uint64_t products, users, places; /* rows of the dimensions that the keys are drawn from */
	double zipf; /* exponent of their distribution; 0: uniform, which is the hardest for the caches */
	double duplicates, malformed; /* shares */
	uint16_t udp_port;
	uint32_t payload_bytes; /* per datagram at most */
};

#define WORKLOAD_HEADERS 42u /* Ethernet, IPv4, UDP */

/* Puts headers with right lengths and checksums in front of a payload of `payload` bytes that is in place, of flow `n`. */
void workload_write_headers(uint8_t *frame, uint32_t payload, uint16_t port, uint32_t n);

int workload_create(const struct workload_options *options, struct workload *out, struct error *err);
void workload_destroy(struct workload *workload);

#endif
