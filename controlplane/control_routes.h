/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The requests that the control interface knows, one table: method, path, handler, help. A handler turns a
 * request into an answer; it does not know about sockets. Control thread.
 */
#ifndef PENSTOCK_CONTROL_ROUTES_H
#define PENSTOCK_CONTROL_ROUTES_H

#include "control_backend.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTES_NAME_SIZE 64u /* of {name} in a path, with the NUL */

/* What the handlers know besides the request. */
struct route_server {
	const struct control_backend *backend;
	const char *socket;
	const char *http_host; /* NULL: no TCP */
	uint16_t http_port;
};

struct answer {
	unsigned int status; /* HTTP */
	const char *type;    /* Content-Type */
	void *body;          /* for free() */
	size_t len;
};

struct route {
	const char *method;
	const char *path; /* "{name}" stands for one segment */
	bool tcp;         /* also served on the TCP port */
	bool upload;      /* takes a body, which becomes a file */
	/* Fills *out, or returns -errno with the reason, which becomes an error answer. NULL: see handle_named. */
	int (*handle)(const struct route_server *server, struct answer *out, struct error *err);
	const char *help;
	/* The same with the segment {name} and, where the route takes one, the upload's path. Both NULL: a change of
	 * the dimension {name}, which control_change.h makes. */
	int (*handle_named)(const struct route_server *server, const char *name, const char *upload,
	    struct answer *out, struct error *err);
};

/* The route for a request, or NULL with the HTTP status that says why in *status: 404 or 405. For 405 *allow
 * is the method that the path knows. `name` has room for ROUTES_NAME_SIZE. */
const struct route *route_find(
    const char *method, const char *path, bool tcp, char *name, unsigned int *status, const char **allow);

/* {"error": text}, with the HTTP status given or, if that is 0, the one for `code`. */
void route_answer_error(struct answer *out, unsigned int status, int code, const char *text);

/* Takes `json` over; NULL becomes an out-of-memory answer. */
void route_answer_json(struct answer *out, unsigned int status, json_t *json);

/* The table, ending with a NULL method; for documentation and tests. */
const struct route *route_table(void);

#endif
