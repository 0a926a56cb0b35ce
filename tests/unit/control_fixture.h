/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A control server over the fake daemon, and clients that speak to it byte by byte. They fail the test when
 * something does not come within the deadline.
 */
#ifndef PENSTOCK_CONTROL_FIXTURE_H
#define PENSTOCK_CONTROL_FIXTURE_H

#include "fake_daemon.h"

#include <stddef.h>
#include <stdint.h>

#define CONTROL_DEADLINE_MS 20000

/* Setup and teardown: *state is a struct fake_daemon that runs in a thread. */
int control_start(void **state);
int control_stop(void **state);

/* A connected socket. */
int control_connect_unix(const char *path);
int control_connect_tcp(uint16_t port);

/* Everything, unless the server closes. */
void control_send_all(int fd, const char *text, size_t len);

/* What the server says until it closes or `out` is full; a NUL follows. Returns the length. */
size_t control_receive(int fd, char *out, size_t size);

/* The rest of a connection that the server closes: receives, closes, and returns the HTTP status, 0 if
 * there was none. */
int control_finish(int fd, char *answer, size_t size);

/* One request on a connection that is closed for writing afterwards; returns the HTTP status, 0 if there was none. */
int control_ask(int fd, const char *request, char *answer, size_t size);

#endif
