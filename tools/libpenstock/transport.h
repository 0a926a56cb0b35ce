/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the client takes from outside: clocks, random numbers, and a connected datagram socket. The library's own is
 * udp.c; tests have one that they turn by hand.
 */
#ifndef LIBPENSTOCK_TRANSPORT_H
#define LIBPENSTOCK_TRANSPORT_H

#include "error.h"
#include "libpenstock/address.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define TRANSPORT_RECEIVE_BYTES \
	2048u /* room for a datagram that comes in; longer ones are cut, and so refused */
#define TRANSPORT_RECEIVE 32u

struct received {
	size_t len[TRANSPORT_RECEIVE];
	uint8_t data[TRANSPORT_RECEIVE][TRANSPORT_RECEIVE_BYTES];
};

struct transport_ops {
	uint64_t (*mono_us)(void *self);
	uint64_t (*wall_us)(void *self);
	uint64_t (*random)(void *self);
	/* Leaves the address before, if any, with all that may still come from there. */
	int (*connect)(void *self, const struct address *to, struct error *err);
	void (*disconnect)(void *self);
	/* Returns how many datagrams were taken, -EAGAIN if none could be for now, or -errno. */
	int (*send)(void *self, const struct iovec *datagrams, unsigned int n);
	/* Returns how many datagrams were there, up to TRANSPORT_RECEIVE, or -errno that the network reported. */
	int (*receive)(void *self, struct received *received);
	/* Until something can be received or `us` have passed; UINT64_MAX: for ever. 0 or -EINTR. */
	int (*wait)(void *self, uint64_t us);
	int (*fd)(void *self);
	void (*close)(void *self);
};

struct transport {
	const struct transport_ops *ops;
	void *self;
};

/* UDP and the kernel's clocks. */
int udp_open(struct transport *out, struct error *err);

#endif
