/* SPDX-License-Identifier: BSD-3-Clause */
#include "control_change.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct list {
	struct change *first, *last;
};

struct change_queue {
	const struct control_backend *backend;
	struct list waiting, ended;
	struct change *running; /* the thread's, or NULL: there is no thread */
	pthread_t thread;
	_Atomic bool loaded; /* the thread is done. thread: w, control: rw */
	int event;           /* written when `ended` or `loaded` changes */
};

static void append(struct list *list, struct change *change)
{
	change->next = NULL;
	if (list->last != NULL)
		list->last->next = change;
	else
		list->first = change;
	list->last = change;
}

static struct change *pop(struct list *list)
{
	struct change *change = list->first;

	if (change != NULL)
		list->first = change->next;
	if (list->first == NULL)
		list->last = NULL;
	return change;
}

/* Fails only when the counter is at its maximum: then the descriptor is readable. */
static void wake(const struct change_queue *queue)
{
	(void)eventfd_write(queue->event, 1);
}

static void *load(void *context)
{
	struct change_queue *queue = context;
	struct change *change = queue->running;

	if (change->upload != NULL)
		change->code = upload_finish(change->upload, &change->error);
	if (change->code == 0)
		change->code =
		    queue->backend->dim_load(queue->backend->context, change->work, &change->error);
	atomic_store_explicit(&queue->loaded, true, memory_order_release);
	wake(queue);
	return NULL;
}

static void end(struct change_queue *queue, struct change *change)
{
	change->code = queue->backend->dim_end(
	    queue->backend->context, change->work, change->code, &change->result, &change->error);
	append(&queue->ended, change);
}

/* Starts the first of those that wait which can be started. */
static void start_next(struct change_queue *queue)
{
	struct change *change;

	while (queue->running == NULL && (change = pop(&queue->waiting)) != NULL) {
		int rc = queue->backend->dim_begin(queue->backend->context, change->name,
		    change->upload != NULL ? change->upload->path : NULL, &change->work, &change->error);

		if (rc < 0) {
			change->code = rc;
			append(&queue->ended, change);
			continue;
		}
		atomic_store_explicit(&queue->loaded, false, memory_order_relaxed);
		queue->running = change;
		rc = pthread_create(&queue->thread, NULL, load, queue);
		if (rc == 0)
			return;
		queue->running = NULL;
		change->code = error_set(&change->error, -rc, "cannot start a thread: %s", strerror(rc));
		end(queue, change);
	}
	if (queue->ended.first != NULL)
		wake(queue);
}

int change_queue_create(const struct control_backend *backend, struct change_queue **out, struct error *err)
{
	struct change_queue *queue = calloc(1, sizeof(*queue));

	*out = NULL;
	if (queue == NULL)
		return error_set(err, -ENOMEM, "out of memory");
	queue->backend = backend;
	queue->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->event < 0) {
		free(queue);
		return error_set(err, -errno, "cannot make an event descriptor: %s", strerror(errno));
	}
	*out = queue;
	return 0;
}

int change_queue_fd(const struct change_queue *queue)
{
	return queue->event;
}

void change_queue_add(struct change_queue *queue, struct change *change)
{
	change->code = 0;
	change->result = NULL;
	append(&queue->waiting, change);
	start_next(queue);
}

/* What the thread has loaded is published. */
static void join(struct change_queue *queue)
{
	struct change *change = queue->running;

	(void)pthread_join(queue->thread, NULL);
	queue->running = NULL;
	end(queue, change);
}

struct change *change_queue_take(struct change_queue *queue)
{
	eventfd_t count;

	(void)eventfd_read(queue->event, &count);
	if (queue->running != NULL && atomic_load_explicit(&queue->loaded, memory_order_acquire)) {
		join(queue);
		start_next(queue);
	}
	return pop(&queue->ended);
}

void change_queue_stop(struct change_queue *queue)
{
	struct change *change;

	if (queue->running != NULL)
		join(queue);
	while ((change = pop(&queue->waiting)) != NULL) {
		change->code = error_set(&change->error, -EAGAIN, "the daemon stops");
		append(&queue->ended, change);
	}
}

void change_queue_destroy(struct change_queue *queue)
{
	if (queue == NULL)
		return;
	(void)close(queue->event);
	free(queue);
}
