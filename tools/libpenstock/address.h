/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * "host:port" and "[v6]:port" into addresses: all that the name has, in the resolver's order. Blocks while it resolves.
 */
#ifndef LIBPENSTOCK_ADDRESS_H
#define LIBPENSTOCK_ADDRESS_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_BYTES 72

struct address {
	struct sockaddr_storage to;
	socklen_t len;
	char text[ADDRESS_TEXT_BYTES]; /* numeric, as the user would write it */
};

/* Appends to list[0..*n), which has room for `max`; an address that is there already is not added again. 0, -EINVAL for
 * the text, -EHOSTUNREACH when the name does not resolve, -E2BIG without room. */
int address_resolve(const char *text, struct address *list, size_t *n, size_t max, struct error *err);

#endif
