/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the control server asks the daemon for. The daemon fills in the table; tests fill in their own.
 *
 * All functions are called on the thread that runs control_server_run(), one at a time. JSON that is returned
 * belongs to the server. Functions that fail return -errno and say why; the errno decides the HTTP status:
 * -ENOENT 404, -EEXIST, -EBUSY and -EALREADY 409, -EINVAL, -EBADMSG, -EPROTONOSUPPORT and -EMSGSIZE 422,
 * -EAGAIN 503, -ENOSPC and -ENOMEM 507, anything else 500.
 */
#ifndef PENSTOCK_CONTROL_BACKEND_H
#define PENSTOCK_CONTROL_BACKEND_H

#include "error.h"

#include <jansson.h>

struct control_backend {
	/* The status document (docs/control-api.md). NULL without memory. */
	json_t *(*status)(void *context);
	/* 0 if events are accepted, else the reason. */
	int (*ready)(void *context, struct error *err);
	/* An array: the status document's "dimensions". */
	json_t *(*dim_list)(void *context);
	/* Loads and publishes the snapshot at `path`, a temporary file in the state directory: it may be
	 * renamed, and is removed afterwards if it is still there. */
	int (*dim_push)(
	    void *context, const char *name, const char *path, json_t **result, struct error *err);
	/* Publishes the version before the current one. */
	int (*dim_rollback)(void *context, const char *name, json_t **result, struct error *err);
	/* Starts the shutdown: no more events are accepted, what is in flight is finished. */
	int (*drain)(void *context, struct error *err);
	void *context;
};

#endif
