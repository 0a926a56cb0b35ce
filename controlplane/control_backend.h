/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the control server asks the daemon for. The daemon fills in the table; tests fill in their own.
 *
 * All functions but one are called on the thread that runs control_server_run(), one at a time. JSON that is returned
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
	/* A change of a dimension has three steps, and there is one change at a time. It begins with the
	 * snapshot at `path`, a temporary file in the state directory that may be renamed and is removed
	 * afterwards if it is still there; or with NULL, for the version before the current one. After a
	 * success dim_end() follows. */
	int (*dim_begin)(void *context, const char *name, const char *path, void **change, struct error *err);
	/* Reads, checks and stores the snapshot: the one function that is called on another thread. The others but
	 * those of changes are called meanwhile. */
	int (*dim_load)(void *context, void *change, struct error *err);
	/* Publishes what was loaded if `code` is 0; else returns `code`, for which err says why. Frees the
	 * change. */
	int (*dim_end)(void *context, void *change, int code, json_t **result, struct error *err);
	/* An array: the senders that are listed (source_store.h). */
	json_t *(*source_list)(void *context);
	/* Lists a source or changes it, as the JSON object says. */
	int (*source_add)(
	    void *context, const char *id, const json_t *request, json_t **result, struct error *err);
	int (*source_revoke)(void *context, const char *id, json_t **result, struct error *err);
	/* Starts the shutdown: no more events are accepted, what is in flight is finished. */
	int (*drain)(void *context, struct error *err);
	void *context;
};

#endif
