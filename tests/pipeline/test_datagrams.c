/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 100,000 random and mutated frames through the whole chain: no crash, no sanitizer finding, and every frame
 * and every event accounted for. The seed is fixed; the first argument is another.
 */
#include "harness.h"

#include "gen/gen.h"

#include <assert.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES 100000u
#define ROUND 64u
#define FRAME_SIZE 2048u
#define HEADERS (sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void write_headers(uint8_t *frame, uint32_t payload, uint16_t port)
{
	struct rte_ether_hdr *ether = (struct rte_ether_hdr *)frame;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(ether + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	memset(frame, 0, HEADERS);
	ether->ether_type = htons(RTE_ETHER_TYPE_IPV4);
	ip->version_ihl = 0x45;
	ip->total_length = htons((uint16_t)(HEADERS - sizeof(*ether) + payload));
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_UDP;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	udp->dst_port = htons(port);
	udp->dgram_len = htons((uint16_t)(sizeof(*udp) + payload));
	udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
}

static uint32_t fill_payload(struct gen *gen, uint64_t *rng, char *payload)
{
	uint32_t used = 0, events = (uint32_t)(next(rng) % 4);

	while (events-- > 0) {
		char event[GEN_EVENT_MAX];
		size_t len = gen_next(gen, event);

		if (len == 0 || used + len + 1 > FRAME_SIZE - HEADERS)
			break;
		memcpy(payload + used, event, len);
		used += (uint32_t)len;
		payload[used++] = '\n';
	}
	return used;
}

static void mutate(uint64_t *rng, uint8_t *bytes, uint32_t len)
{
	uint32_t changes = 1 + (uint32_t)(next(rng) % 8);

	while (len > 0 && changes-- > 0) {
		uint32_t at = (uint32_t)(next(rng) % len);

		switch (next(rng) % 3) {
		case 0:
			bytes[at] ^= (uint8_t)(1u << (next(rng) % 8));
			break;
		case 1:
			bytes[at] = (uint8_t)next(rng);
			break;
		default:
			bytes[at] = (uint8_t) "{}[]\",:\\\n 0e-"[next(rng) % 13];
		}
	}
}

/* A third is pure noise, a third has its payload changed and right headers, a third is changed anywhere. */
static uint32_t make_frame(struct gen *gen, uint64_t *rng, uint8_t *frame, uint16_t port)
{
	uint32_t payload, len;

	switch (next(rng) % 3) {
	case 0:
		len = (uint32_t)(next(rng) % FRAME_SIZE);
		for (uint32_t i = 0; i < len; i++)
			frame[i] = (uint8_t)next(rng);
		return len;
	case 1:
		payload = fill_payload(gen, rng, (char *)frame + HEADERS);
		mutate(rng, frame + HEADERS, payload);
		write_headers(frame, payload, port);
		return (uint32_t)HEADERS + payload;
	default:
		payload = fill_payload(gen, rng, (char *)frame + HEADERS);
		write_headers(frame, payload, port);
		len = (uint32_t)HEADERS + payload;
		mutate(rng, frame, len);
		return next(rng) % 4 == 0 ? (uint32_t)(next(rng) % (len + 1)) : len;
	}
}

int main(int argc, char **argv)
{
	static uint8_t frames[ROUND][FRAME_SIZE];
	uint64_t rng = argc > 1 ? strtoull(argv[1], NULL, 10) : 20250617, discarded = 0, refused = 0;
	const struct worker_stream_counts *c;
	const struct worker_counts *w;
	struct gen_options options;
	struct harness h;
	struct gen *gen;
	char path[1024];
	size_t len;
	char *yaml;

	assert(getenv("PENSTOCK_SOURCE") != NULL);
	(void)snprintf(path, sizeof(path), "%s/docs/examples/catalog.yaml", getenv("PENSTOCK_SOURCE"));
	yaml = harness_read(path, &len);
	assert(yaml != NULL);
	harness_open(&h, yaml, len, NULL);
	h.keep = false;
	harness_dimension(&h, "products", "1", "productId", "{\"productId\":\"prod-1\",\"name\":\"x\"}\n");
	gen_defaults(&options);
	options.count = 10 * FRAMES;
	options.duplicates = 0.03;
	options.malformed = 0.05;
	options.start_ms = HARNESS_NOW_MS - 1000;
	if (gen_create(&options, &gen, NULL) != 0)
		return 1;

	for (uint32_t done = 0; done < FRAMES; done += ROUND) {
		struct packet packets[ROUND];

		for (uint32_t i = 0; i < ROUND; i++)
			packets[i] = (struct packet){
			    .data = (const char *)frames[i],
			    .len = make_frame(gen, &rng, frames[i], h.config->streams[0].udp_port),
			    .kind = PACKET_ETHERNET,
			};
		harness_run(&h, packets, ROUND);
	}

	c = harness_counts(&h, 0);
	w = &h.worker->pipeline->ledger->worker;
	for (int r = 0; r < REASON_COUNT; r++) {
		discarded += w->frame_reasons[r];
		refused += reason_info((enum reason)r)->class == REASON_CLASS_DEAD_LETTER ? c->reasons[r] : 0;
	}
	(void)printf("frames %" PRIu64 ", discarded %" PRIu64 ", events %" PRIu64 ", enriched %" PRIu64
	             ", dead letters %" PRIu64 ", duplicates %" PRIu64 "\n",
	    w->packets, discarded, c->received, h.records[RECORD_ENRICHED], h.records[RECORD_DEAD_LETTER],
	    c->duplicate);
	/* Packets that were not discarded hold at least one event each. */
	if (w->packets < FRAMES || discarded > w->packets || c->received < w->packets - discarded ||
	    c->received != c->handed + c->duplicate + c->shed || c->shed != 0 ||
	    h.records[RECORD_DEAD_LETTER] != refused || h.records[RECORD_ENRICHED] != h.records[RECORD_RAW] ||
	    c->handed != h.records[RECORD_ENRICHED] + h.records[RECORD_DEAD_LETTER] || refused == 0 ||
	    h.records[RECORD_ENRICHED] == 0 || discarded == 0) {
		(void)printf("not accounted for\n");
		return 1;
	}
	gen_destroy(gen);
	harness_close(&h);
	free(yaml);
	return 0;
}
