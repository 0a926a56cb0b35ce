/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of the dimensions, pushes and rollbacks: one at a time, in the order in which they came.
 *
 * Reading and checking a snapshot takes seconds when it is large. That happens in a thread, so that the
 * control thread goes on answering; everything else of a change happens on the control thread, which calls all
 * functions here. The queue holds no memory of its own: a change belongs to whoever asks for it.
 */
#ifndef PENSTOCK_CONTROL_CHANGE_H
#define PENSTOCK_CONTROL_CHANGE_H

#include "control_backend.h"
#include "control_upload.h"
#include "error.h"

struct change {
	const char *name;      /* the dimension; must live until the change is taken, as must the upload */
	struct upload *upload; /* complete; NULL: a rollback */
	void *owner;           /* of whoever asks */
	/* What became of it, once it is taken: 0 and the backend's answer, or -errno and the reason. */
	int code;
	json_t *result;
	struct error error;
	/* The queue's. While the thread runs: thread: rw of code and error, ro of the rest. */
	struct change *next;
	void *work; /* the backend's */
};

struct change_queue;

int change_queue_create(const struct control_backend *backend, struct change_queue **out, struct error *err);

/* Readable when change_queue_take() has something to do. */
int change_queue_fd(const struct change_queue *queue);

/* Puts a change into the queue. A failure shows when it is taken. */
void change_queue_add(struct change_queue *queue, struct change *change);

/* A change that has come to its end, or NULL. Starts the next one. */
struct change *change_queue_take(struct change_queue *queue);

/* Finishes the change whose file is being read, which waits for the thread, and gives up those that wait: they
 * have failed. All can be taken. Nothing may be added afterwards. */
void change_queue_stop(struct change_queue *queue);

/* After change_queue_stop(). NULL is allowed. */
void change_queue_destroy(struct change_queue *queue);

#endif
