/* SPDX-License-Identifier: BSD-3-Clause */
#include "send/follow.h"

#include "cli_client.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define POLL_NS 5000000L      /* between two looks at the ledger while waiting */
#define GIVE_UP_NS 1000000000 /* without anything received: what is missing then is lost */

/* Sums over all streams. */
struct ledger_state {
	uint64_t received, settled;
};

struct follow {
	const char *socket;
	uint64_t window;
	struct ledger_state start, now;
	uint64_t lost;
	int64_t progress_ns; /* when something was last received */
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int look(struct follow *f, struct ledger_state *out, struct error *err)
{
	json_t *status, *stream;
	size_t i;
	int ret = client_json(f->socket, "GET", "/v1/status", NULL, &status, err);

	if (ret != 0)
		return ret;
	*out = (struct ledger_state){0};
	json_array_foreach(json_object_get(status, "streams"), i, stream)
	{
		uint64_t received = (uint64_t)json_integer_value(json_object_get(stream, "received"));

		out->received += received;
		out->settled += received - (uint64_t)json_integer_value(json_object_get(stream, "in_flight"));
	}
	json_decref(status);
	return 0;
}

static int refresh(struct follow *f, uint64_t sent, struct error *err)
{
	struct ledger_state state;
	int ret = look(f, &state, err);

	if (ret != 0)
		return ret;
	if (state.received != f->now.received)
		f->progress_ns = now_ns();
	f->now = state;
	if (now_ns() - f->progress_ns > GIVE_UP_NS) {
		f->lost = sent - (state.received - f->start.received);
		f->progress_ns = now_ns();
	}
	return 0;
}

/* Of the events sent and not lost, how many are not received, and not settled, as far as is known. */
static uint64_t unreceived(const struct follow *f, uint64_t sent)
{
	uint64_t known = f->now.received - f->start.received + f->lost;

	return sent > known ? sent - known : 0;
}

static uint64_t unsettled(const struct follow *f, uint64_t sent)
{
	uint64_t known = f->now.settled - f->start.settled + f->lost;

	return sent > known ? sent - known : 0;
}

int follow_wait(struct follow *f, uint64_t sent, struct error *err)
{
	const struct timespec pause = {0, POLL_NS};

	if (unsettled(f, sent) <= f->window / 2 && unreceived(f, sent) <= f->window / 16)
		return 0;
	for (;;) {
		int ret = refresh(f, sent, err);

		if (ret != 0)
			return ret;
		if (unsettled(f, sent) <= f->window && unreceived(f, sent) <= f->window / 8)
			return 0;
		if (clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL) == EINTR)
			return error_set(err, -EINTR, "interrupted");
	}
}

uint64_t follow_lost(const struct follow *f)
{
	return f->lost;
}

int follow_create(const char *socket, uint64_t window, struct follow **out, struct error *err)
{
	struct follow *f = calloc(1, sizeof(*f));
	int ret;

	*out = NULL;
	if (f == NULL)
		return error_set(err, -ENOMEM, "no memory to follow the daemon");
	f->socket = socket;
	f->window = window;
	ret = look(f, &f->start, err);
	if (ret != 0) {
		free(f);
		return ret;
	}
	f->now = f->start;
	f->progress_ns = now_ns();
	*out = f;
	return 0;
}

void follow_destroy(struct follow *f)
{
	free(f);
}
