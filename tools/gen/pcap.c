/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen/pcap.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <net/ethernet.h>
#include <string.h>

#define HEADERS (sizeof(struct ether_header) + sizeof(struct iphdr) + sizeof(struct udphdr))
#define SOURCE_PORTS 64u
#define FRAME_GAP_US 10u

struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, snap_len, link_type;
};

struct packet_header {
	uint32_t seconds, microseconds, captured, length;
};

void pcap_init(struct pcap *pcap, FILE *out, uint16_t port, uint16_t mtu, int64_t start_ms)
{
	struct file_header header = {0xa1b2c3d4, 2, 4, 0, 0, PCAP_FRAME_MAX, 1};

	pcap->out = out;
	pcap->port = port;
	pcap->payload_max = (uint16_t)(mtu - sizeof(struct iphdr) - sizeof(struct udphdr));
	pcap->frames = 0;
	pcap->start_ms = start_ms;
	pcap->used = 0;
	fwrite(&header, sizeof(header), 1, out);
}

/* The Internet checksum's sum, not yet folded. */
static uint32_t sum_words(uint32_t sum, const uint8_t *bytes, size_t len)
{
	for (; len >= 2; bytes += 2, len -= 2)
		sum += (uint32_t)(bytes[0] << 8 | bytes[1]);
	return len > 0 ? sum + (uint32_t)(bytes[0] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void write_frame(struct pcap *pcap)
{
	static const struct ether_header ethernet = {
	    .ether_dhost = {2, 0, 0, 0, 0, 2}, .ether_shost = {2, 0, 0, 0, 0, 1}, .ether_type = 0x0008};
	uint16_t udp_len = (uint16_t)(sizeof(struct udphdr) + pcap->used);
	uint64_t us = (uint64_t)pcap->start_ms * 1000 + (uint64_t)pcap->frames * FRAME_GAP_US;
	struct packet_header header = {(uint32_t)(us / 1000000), (uint32_t)(us % 1000000),
	    (uint32_t)HEADERS + pcap->used, (uint32_t)HEADERS + pcap->used};
	struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};
	struct udphdr udp = {.source = htons((uint16_t)(49152 + pcap->frames % SOURCE_PORTS)),
	    .dest = htons(pcap->port),
	    .len = htons(udp_len)};
	uint8_t *at = pcap->frame;
	uint32_t sum;

	ip.tot_len = htons((uint16_t)(sizeof(ip) + udp_len));
	ip.id = htons((uint16_t)pcap->frames);
	ip.frag_off = htons(IP_DF);
	ip.saddr = htonl(0xc6120001);
	ip.daddr = htonl(0xc6120002);
	ip.check = fold(sum_words(0, (const uint8_t *)&ip, sizeof(ip)));

	sum = sum_words(IPPROTO_UDP + udp_len, (const uint8_t *)&ip.saddr, 8);
	sum = sum_words(sum, (const uint8_t *)&udp, sizeof(udp));
	udp.check = fold(sum_words(sum, pcap->frame + HEADERS, pcap->used));
	if (udp.check == 0)
		udp.check = 0xffff;

	memcpy(at, &ethernet, sizeof(ethernet));
	memcpy(at + sizeof(ethernet), &ip, sizeof(ip));
	memcpy(at + sizeof(ethernet) + sizeof(ip), &udp, sizeof(udp));
	fwrite(&header, sizeof(header), 1, pcap->out);
	fwrite(pcap->frame, header.captured, 1, pcap->out);
	pcap->frames++;
	pcap->used = 0;
}

int pcap_add(struct pcap *pcap, const char *event, size_t len)
{
	size_t line = len + 1;

	if (line > pcap->payload_max)
		return -1;
	if (pcap->used + line > pcap->payload_max)
		write_frame(pcap);
	memcpy(pcap->frame + HEADERS + pcap->used, event, len);
	pcap->frame[HEADERS + pcap->used + len] = '\n';
	pcap->used += (uint32_t)line;
	return 0;
}

void pcap_finish(struct pcap *pcap)
{
	if (pcap->used > 0)
		write_frame(pcap);
}
