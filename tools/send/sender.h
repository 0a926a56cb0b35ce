/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plain datagrams at a steady rate: lines are packed into datagrams, datagrams go out by sendmmsg(), and a
 * token bucket on the monotonic clock holds the pace. Sockets take turns, one datagram each, so that a
 * receiver's queues all get some.
 *
 * One thread per sender. Cost: one system call per SENDER_DATAGRAMS datagrams.
 */
#ifndef PENSTOCK_SENDER_H
#define PENSTOCK_SENDER_H

#include "error.h"
#include "send/follow.h"

#include <stdint.h>
#include <sys/socket.h>

#define SENDER_DATAGRAMS 64u
#define SENDER_PAYLOAD_MAX 65507u
#define SENDER_SOCKETS_MAX 256u

struct sender_options {
	const char *to;        /* "HOST:PORT" or "[HOST]:PORT" */
	double rate;           /* events per second; 0: as fast as it goes */
	uint32_t per_datagram; /* events, at most */
	uint32_t payload_max;  /* bytes; 0: what fits `mtu` */
	uint32_t mtu;          /* bytes of IP packet, where payload_max is 0 */
	uint32_t sockets;      /* 1 to SENDER_SOCKETS_MAX */
	struct follow *follow; /* NULL: nothing but the rate holds it back. The caller's */
};

struct sender_counts {
	uint64_t events, datagrams, bytes; /* bytes of payload */
	uint64_t refused;                  /* times the receiving host said that nobody listens */
};

struct sender;

/* Resolves the address and opens the sockets. 0, -ENOMEM, or -errno with what is wrong with the address. */
int sender_create(const struct sender_options *options, struct sender **out, struct error *err);
void sender_destroy(struct sender *sender);

/* Packs one line; sends what is full. Waits for the pace. 0; -EMSGSIZE if the line alone is too long for a
 * datagram; -EINTR if a signal came while waiting; or the errno of sending. */
int sender_add(struct sender *sender, const char *line, size_t len, struct error *err);

/* Sends what is packed. Errors as above. */
int sender_flush(struct sender *sender, struct error *err);

const struct sender_counts *sender_counts(const struct sender *sender);

#endif
