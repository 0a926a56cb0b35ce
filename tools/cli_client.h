/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The CLI's side of the control interface: one request over the daemon's Unix socket, by libcurl. One thread.
 */
#ifndef PENSTOCK_CLI_CLIENT_H
#define PENSTOCK_CLI_CLIENT_H

#include "error.h"

#include <jansson.h>
#include <stddef.h>

#define CLIENT_DEFAULT_SOCKET "/run/penstock/control.sock"
#define CLIENT_MAX_ANSWER (128u << 20)

/* The daemon's socket: `given` if it is not NULL, else PENSTOCK_SOCKET, else the default. */
const char *client_socket(const char *given);

/* Makes a request; `upload` names a file for the body, or is NULL. *out is for free() and ends in NUL. 0;
 * -errno with the reason, which is the daemon's own where it refused: -EREMOTEIO. */
int client_request(const char *socket, const char *method, const char *path, const char *upload, char **out,
    size_t *len, struct error *err);

/* The same for an answer in JSON. */
int client_json(const char *socket, const char *method, const char *path, const char *upload, json_t **out,
    struct error *err);

#endif
