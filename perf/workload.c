/* SPDX-License-Identifier: BSD-3-Clause */
#include "workload.h"

#include "gen/gen.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS WORKLOAD_HEADERS
_Static_assert(
    HEADERS == sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr),
    "Ethernet, IPv4, UDP");
#define EVENT_BYTES_ESTIMATE \
	320u /* of memory per event, headers included; more than the generator's mean \
	      */

void workload_write_headers(uint8_t *frame, uint32_t payload, uint16_t port, uint32_t n)
{
	struct rte_ether_hdr *ether = (struct rte_ether_hdr *)frame;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(ether + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	memset(frame, 0, HEADERS);
	memset(ether->dst_addr.addr_bytes, 2, 6);
	ether->ether_type = htons(RTE_ETHER_TYPE_IPV4);
	ip->version_ihl = 0x45;
	ip->total_length = htons((uint16_t)(HEADERS - sizeof(*ether) + payload));
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_UDP;
	ip->src_addr = htonl(0xc6120001); /* 198.18.0.1, the range for benchmarks */
	ip->dst_addr = htonl(0xc6120002);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	udp->src_port = htons((uint16_t)(1024 + n % 60000));
	udp->dst_port = htons(port);
	udp->dgram_len = htons((uint16_t)(sizeof(*udp) + payload));
	udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
}

static int fill(struct workload *w, struct gen *gen, const struct workload_options *o, struct error *err)
{
	char *at = w->memory.address, *const end = at + w->memory.bytes;
	char event[GEN_EVENT_MAX];
	size_t len = gen_next(gen, event);

	while (len > 0) {
		char *const frame = at;
		uint32_t payload = 0;

		if (end - frame < (ptrdiff_t)(HEADERS + o->payload_bytes + GEN_EVENT_MAX))
			return error_set(err, -ENOMEM, "the events are longer than %u bytes on average",
			    EVENT_BYTES_ESTIMATE);
		at += HEADERS;
		while (len > 0 && (payload == 0 || payload + len + 1 <= o->payload_bytes)) {
			if (payload > 0)
				at[payload++] = '\n';
			memcpy(at + payload, event, len);
			w->events[w->n_events++] = (struct workload_event){at + payload, (uint32_t)len};
			w->event_bytes += len;
			payload += (uint32_t)len;
			len = gen_next(gen, event);
		}
		workload_write_headers((uint8_t *)frame, payload, o->udp_port, w->n_packets);
		at += payload;
		w->packets[w->n_packets++] =
		    (struct packet){.data = frame, .len = (uint32_t)(at - frame), .kind = PACKET_ETHERNET};
		/* Frames start on cache lines, as a NIC's do. */
		at = (char *)(((uintptr_t)at + 63) & ~(uintptr_t)63);
	}
	return 0;
}

int workload_create(const struct workload_options *o, struct workload *w, struct error *err)
{
	struct gen_options options;
	struct gen *gen = NULL;
	int ret;

	memset(w, 0, sizeof(*w));
	gen_defaults(&options);
	options.count = o->n_events;
	options.seed = o->seed;
	options.products = o->products;
	options.users = o->users;
	options.places = o->places;
	options.zipf = o->zipf;
	options.duplicates = o->duplicates;
	options.malformed = o->malformed;
	ret = gen_create(&options, &gen, err);
	if (ret != 0)
		return ret;
	ret = hugemem_alloc(
	    (size_t)o->n_events * EVENT_BYTES_ESTIMATE + (1u << 20), -1, HUGEPAGES_AUTO, &w->memory, err);
	if (ret != 0)
		goto out;
	w->packets = calloc(o->n_events, sizeof(*w->packets));
	w->events = calloc(o->n_events, sizeof(*w->events));
	if (w->packets == NULL || w->events == NULL)
		ret = error_set(err, -ENOMEM, "no memory for %u events", o->n_events);
	else
		ret = fill(w, gen, o, err);
out:
	gen_destroy(gen);
	if (ret != 0)
		workload_destroy(w);
	return ret;
}

void workload_destroy(struct workload *w)
{
	hugemem_free(&w->memory);
	free(w->packets);
	free(w->events);
	memset(w, 0, sizeof(*w));
}
