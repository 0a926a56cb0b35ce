/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control interface: HTTP/1.1 and JSON on a Unix socket; /metrics, /health and /ready also on a loopback
 * TCP port.
 *
 * The server has no thread. The owner waits for control_server_fd() to become readable, for at most
 * control_server_timeout_ms(), and then calls control_server_run(); handlers run inside that call. All
 * functions on one thread. Only the loading of a snapshot has a thread (control_change.h). Connections, headers, bodies and idle time are bounded; an uploaded snapshot
 * streams into a file.
 */
#ifndef PENSTOCK_CONTROL_SERVER_H
#define PENSTOCK_CONTROL_SERVER_H

#include "control_backend.h"
#include "error.h"

#include <stdbool.h>
#include <stdint.h>

#define CONTROL_MAX_CONNECTIONS 64u /* per listener */
#define CONTROL_MAX_UPLOADS 4u
#define CONTROL_IDLE_TIMEOUT_S 10u /* without a byte, a connection is closed */

struct control_server;

struct control_server_options {
	const char *socket;           /* path; its last directory is made if it is missing */
	const char *http_host;        /* a loopback address, or NULL: no TCP */
	uint16_t http_port;           /* 0: a free one */
	const char *upload_directory; /* where uploads are kept while they come; made if it is missing */
	const struct control_backend *backend; /* must outlive the server */
};

/* 0; -EADDRINUSE when somebody answers at the socket or port; -ENOTSOCK when a file that is no socket is in
 * the way; other errnos of the system calls. A socket file that nobody answers at is replaced. */
int control_server_create(
    const struct control_server_options *options, struct control_server **out, struct error *err);

/* Closes connections and removes the socket file. NULL is allowed. */
void control_server_destroy(struct control_server *server);

/* Readable when control_server_run() has something to do. */
int control_server_fd(const struct control_server *server);

/* How long to wait at most before the next control_server_run(), or -1: as long as you like. */
int control_server_timeout_ms(struct control_server *server);

/* Handles what has come; never waits for a client. */
void control_server_run(struct control_server *server);

/* From now on pushes and rollbacks are refused. Whether one that came before is not answered yet: keep calling
 * control_server_run() until none is. */
bool control_server_finish_changes(struct control_server *server);

/* The TCP port in use, 0 without TCP. */
uint16_t control_server_http_port(const struct control_server *server);

#endif
