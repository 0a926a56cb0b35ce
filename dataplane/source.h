/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where packets come from. A source is one receive endpoint (a queue of a port, a file, an array in a test)
 * behind a small function table; it is polled by exactly one worker. Creation and destruction happen on the
 * control thread while no worker polls it.
 */
#ifndef PENSTOCK_SOURCE_H
#define PENSTOCK_SOURCE_H

#include "error.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_BURST 64u

enum packet_kind {
	PACKET_ETHERNET, /* starts with an Ethernet header; the UDP port decides the stream */
	PACKET_PAYLOAD,  /* NDJSON for the stream named in the packet */
};

enum packet_flag {
	PACKET_IP_CHECKSUM_GOOD = 1, /* the port has verified it */
	PACKET_UDP_CHECKSUM_GOOD = 2,
	PACKET_IP_CHECKSUM_BAD = 4,
	PACKET_UDP_CHECKSUM_BAD = 8,
};

struct packet {
	const char *data;
	uint32_t len;
	uint16_t stream; /* PACKET_PAYLOAD only */
	uint8_t kind;    /* enum packet_kind */
	uint8_t flags;   /* enum packet_flag */
	void *owner;     /* the source's own: an mbuf, a buffer */
};

struct source;

struct source_stats {
	uint64_t packets, bytes; /* taken from the device */
	uint64_t missed;         /* dropped by the device before we saw them (imissed, full rings) */
	uint64_t errors;         /* ierrors and rx_nombuf */
	uint64_t recoveries;     /* rx stalls that were noticed and mended */
};

struct source_ops {
	const char *type;
	/* Worker: up to `max` packets, without waiting. Returns how many; 0: none now; -ENODATA: the input is
	 * at its end (files); -EIO and others: broken, source->error says why. */
	int (*poll)(struct source *source, struct packet *packets, uint32_t max);
	/* Worker: the packets of the last poll are not needed any more. */
	void (*release)(struct source *source, struct packet *packets, uint32_t n);
	/* Worker: sends one packet, headers included, to where packets come from. NULL: the source cannot. 0,
	 * -EAGAIN: not now, or -EMSGSIZE. */
	int (*send)(struct source *source, const void *packet, uint32_t len);
	/* Control thread, any time. */
	void (*stats)(struct source *source, struct source_stats *out);
	void (*destroy)(struct source *source);
};

struct source {
	const struct source_ops *ops;
	char name[64];       /* "nic0/0": the configuration's name and the queue */
	bool lossless;       /* it can wait: never shed, poll later instead */
	struct error error;  /* valid once `broken` is set */
	_Atomic bool broken; /* worker: rw, control: ro. A poll has failed for good */
};

static inline int source_poll(struct source *source, struct packet *packets, uint32_t max)
{
	return source->ops->poll(source, packets, max);
}

static inline void source_release(struct source *source, struct packet *packets, uint32_t n)
{
	source->ops->release(source, packets, n);
}

/* -ENOTSUP where the source cannot send. */
static inline int source_send(struct source *source, const void *packet, uint32_t len)
{
	return source->ops->send == NULL ? -ENOTSUP : source->ops->send(source, packet, len);
}

static inline void source_destroy(struct source *source)
{
	if (source != NULL)
		source->ops->destroy(source);
}

/* NDJSON from a file or, for "-", standard input. Regular files are read in large blocks; a pipe is never
 * waited for. A last line without a newline counts. Lines longer than 1 MiB are cut there. */
int source_file_create(
    const char *name, const char *path, uint16_t stream, struct source **out, struct error *err);

/* The caller's packets, in order, `rounds` times over (0: for ever). The array must outlive the source. */
int source_memory_create(const char *name, const struct packet *packets, uint32_t n, uint64_t rounds,
    bool lossless, struct source **out, struct error *err);

#endif
