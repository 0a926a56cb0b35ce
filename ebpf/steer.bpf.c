/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-3-Clause) */
/*
 * Steers the datagrams of the configured UDP ports to the AF_XDP socket of their queue, and leaves everything
 * else to the kernel: other protocols, other ports, fragments, malformed frames, queues without a socket.
 *
 * The names `xsks_map` and `xsk_def_prog` and the metadata are libxdp's marks of a program that a socket may
 * adopt instead of attaching its own.
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steer_shared.h"

#define MAX_VLAN_TAGS 2
#define MAX_EXTENSIONS 8
#define PORT_WORDS (65536 / 32)

struct ethernet {
	__u8 macs[12];
	__be16 type;
};

struct vlan {
	__be16 tag;
	__be16 type;
};

struct ipv4 {
	__u8 version_words;
	__u8 tos;
	__be16 total;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__be32 source, destination;
};

struct ipv6 {
	__u8 version_class;
	__u8 class_label[3];
	__be16 payload;
	__u8 next;
	__u8 hops;
	__u8 source[16], destination[16];
};

struct extension {
	__u8 next;
	__u8 words;
	__u8 type;
	__u8 segments_left;
	__u8 rest[4];
};

struct udp {
	__be16 source, destination;
	__be16 len;
	__be16 checksum;
};

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, STEER_MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

/* One bit per UDP port. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORT_WORDS);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STEER_MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u64);
} redirected SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STEER_VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

__uint(xsk_prog_version, 1) SEC("xdp_metadata");

static __always_inline int pass(__u32 why)
{
	__u64 *counter = bpf_map_lookup_elem(&verdicts, &why);

	if (counter)
		(*counter)++;
	return XDP_PASS;
}

static __always_inline bool is_ours(__be16 destination)
{
	__u32 port = bpf_ntohs(destination), key = port / 32;
	__u32 *word = bpf_map_lookup_elem(&ports, &key);

	return word && (*word >> port % 32 & 1);
}

SEC("xdp")
int xsk_def_prog(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	void *at = (void *)(long)ctx->data;
	__u32 queue = ctx->rx_queue_index;
	struct ethernet *ethernet = at;
	struct udp *udp;
	__u64 *counter;
	__be16 type;
	__u8 next;

	at = ethernet + 1;
	if (at > end)
		return pass(STEER_TRUNCATED);
	type = ethernet->type;
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		struct vlan *vlan = at;

		if (type != bpf_htons(0x8100) && type != bpf_htons(0x88a8))
			break;
		at = vlan + 1;
		if (at > end)
			return pass(STEER_TRUNCATED);
		type = vlan->type;
	}
	if (type == bpf_htons(0x0800)) {
		struct ipv4 *ip = at;
		__u32 header;

		if ((void *)(ip + 1) > end)
			return pass(STEER_TRUNCATED);
		header = (ip->version_words & 15) * 4;
		if (ip->version_words >> 4 != 4 || header < sizeof(*ip))
			return pass(STEER_NOT_IP);
		if (ip->fragment & bpf_htons(0x3fff))
			return pass(STEER_FRAGMENT);
		next = ip->protocol;
		at += header;
	} else if (type == bpf_htons(0x86dd)) {
		struct ipv6 *ip = at;

		at = ip + 1;
		if (at > end)
			return pass(STEER_TRUNCATED);
		if (ip->version_class >> 4 != 6)
			return pass(STEER_NOT_IP);
		next = ip->next;
		for (int i = 0; i < MAX_EXTENSIONS; i++) {
			struct extension *extension = at;

			/* Hop-by-hop options, routing, destination options. */
			if (next != 0 && next != 43 && next != 60)
				break;
			if ((void *)(extension + 1) > end)
				return pass(STEER_TRUNCATED);
			if (next == 43 && extension->segments_left != 0)
				return pass(STEER_NOT_UDP);
			next = extension->next;
			at += (extension->words + 1) * 8;
		}
		if (next == 44)
			return pass(STEER_FRAGMENT);
	} else {
		return pass(STEER_NOT_IP);
	}
	if (next != 17)
		return pass(STEER_NOT_UDP);
	udp = at;
	if ((void *)(udp + 1) > end)
		return pass(STEER_TRUNCATED);
	if (!is_ours(udp->destination))
		return pass(STEER_OTHER_PORT);
	if (bpf_redirect_map(&xsks_map, queue, XDP_PASS) != XDP_REDIRECT)
		return pass(STEER_NO_SOCKET);
	counter = bpf_map_lookup_elem(&redirected, &queue);
	if (counter)
		(*counter)++;
	return XDP_REDIRECT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
