/* SPDX-License-Identifier: BSD-3-Clause */
#include "send/acked.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH 256u
#define WAIT_MS 200 /* between two looks at signals and the clock */

struct acked {
	const struct acked_options *options;
	struct penstock *client;
	struct lines *lines;
	FILE *record;
	bool regular, tty;
	double start, next, last;
	double stuck; /* since when there is no room and nothing was completed; 0: that is not so */
	uint64_t stuck_completed;
	uint64_t spilled;
	uint64_t last_completed;
	char shown[PENSTOCK_ERROR_BYTES]; /* the client's error that was shown last */
	struct penstock_event events[BATCH];
	uint32_t n, at; /* events[at..n) are still to be taken */
};

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void on_complete(void *context, const struct penstock_result *result)
{
	struct acked *a = context;

	a->spilled += result->outcome == PENSTOCK_SPILLED;
	if (a->record != NULL)
		fprintf(a->record, "%" PRIu64 " %s%s%s%s\n", result->tag,
		    penstock_outcome_name(result->outcome), result->reason[0] != '\0' ? " " : "",
		    result->reason, result->recovered ? " recovered" : "");
}

static void show_progress(struct acked *a)
{
	double now = seconds_now();
	struct penstock_stats stats;
	uint64_t completed;
	double rate;

	if (now < a->next)
		return;
	penstock_get_stats(a->client, &stats);
	completed = stats.events - stats.pending;
	rate = (double)(completed - a->last_completed) / (now - a->last);
	if (strcmp(a->shown, penstock_error(a->client)) != 0) {
		snprintf(a->shown, sizeof(a->shown), "%s", penstock_error(a->client));
		fprintf(stderr, "%spenstock send: %s\n", a->tty ? "\r\033[K" : "", a->shown);
	}
	if (a->options->json)
		fprintf(stderr,
		    "{\"events\":%" PRIu64 ",\"completed\":%" PRIu64
		    ",\"events_per_s\":%.0f,\"seconds\":%.1f,\"state\":\"%s\"}\n",
		    stats.events, completed, rate, now - a->start, penstock_state_name(stats.state));
	else
		fprintf(stderr, "%s%" PRIu64 " events, %" PRIu64 " completed, %.0f/s, %.0f s, %s %s%s",
		    a->tty ? "\r\033[K" : "", stats.events, completed, rate, now - a->start,
		    penstock_state_name(stats.state), stats.appliance, a->tty ? "" : "\n");
	a->last_completed = completed;
	a->last = now;
	a->next = now + 1;
}

static void show_summary(const struct acked *a, const struct penstock_stats *s)
{
	double seconds = seconds_now() - a->start;
	uint64_t completed = s->durable + s->duplicate + s->rejected;
	double rate = seconds > 0 ? (double)completed / seconds : 0;

	if (a->tty && !a->options->json)
		fputs("\r\033[K", stderr);
	if (a->options->json)
		printf("{\"events\":%" PRIu64 ",\"durable\":%" PRIu64 ",\"duplicate\":%" PRIu64
		       ",\"rejected\":%" PRIu64 ",\"pending\":%" PRIu64
		       ",\"seconds\":%.3f,\"events_per_s\":%.0f,\"frames\":%" PRIu64
		       ",\"retransmits\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"probes\":%" PRIu64
		       ",\"sessions\":%" PRIu64 ",\"failovers\":%" PRIu64
		       ",\"rtt_us\":{\"p50\":%u,\"p99\":%u,\"min\":%u},\"ack_us\":{\"p50\":%u,\"p99\":%u,"
		       "\"p999\":%u}}\n",
		    s->events, s->durable, s->duplicate, s->rejected, s->pending, seconds, rate, s->frames,
		    s->retransmits, s->lost, s->probes, s->sessions, s->failovers, s->rtt_p50_us,
		    s->rtt_p99_us, s->rtt_min_us, s->ack_p50_us, s->ack_p99_us, s->ack_p999_us);
	else
		printf(
		    "%" PRIu64 " events: durable %" PRIu64 ", duplicate %" PRIu64 ", rejected %" PRIu64
		    ", not completed %" PRIu64 "\n"
		    "%.3f s, %.0f events/s; %" PRIu64 " frames, %" PRIu64 " sent again; sessions %" PRIu64
		    ", failovers %" PRIu64 "\n"
		    "round trip p50 %u us, p99 %u us; acknowledged after p50 %u us, p99 %u us, p99.9 %u us\n",
		    s->events, s->durable, s->duplicate, s->rejected, s->pending, seconds, rate, s->frames,
		    s->retransmits, s->sessions, s->failovers, s->rtt_p50_us, s->rtt_p99_us, s->ack_p50_us,
		    s->ack_p99_us, s->ack_p999_us);
	fflush(stdout);
}

/* Fills the batch from what has been read. */
static void take_lines(struct acked *a)
{
	const char *line;
	size_t len;

	a->n = a->at = 0;
	while (a->n < BATCH && lines_take(a->lines, &line, &len))
		a->events[a->n++] =
		    (struct penstock_event){.data = line, .len = len, .tag = a->lines->number};
}

/* Until there is input or something to do for the client. 1: input. */
static int wait_for_input(struct acked *a)
{
	struct pollfd fds[2] = {
	    {.fd = a->lines->fd, .events = POLLIN}, {.fd = penstock_fd(a->client), .events = POLLIN}};
	int timeout = penstock_timeout_ms(a->client);

	if (timeout < 0 || timeout > WAIT_MS)
		timeout = WAIT_MS;
	return poll(fds, 2, timeout) > 0 && fds[0].revents != 0;
}

static int out_of_time(const struct acked *a, struct error *err)
{
	const char *why = penstock_error(a->client);

	return error_set(
	    err, -ETIMEDOUT, "not all events were completed in time%s%s", why[0] != '\0' ? ": " : "", why);
}

/* The client has no room. Without this the deadline would never come for input that is larger than its memory. */
static int check_stuck(struct acked *a, struct error *err)
{
	struct penstock_stats stats;
	double now = seconds_now();

	penstock_get_stats(a->client, &stats);
	if (a->stuck == 0 || stats.events - stats.pending != a->stuck_completed) {
		a->stuck = now;
		a->stuck_completed = stats.events - stats.pending;
	}
	return a->options->deadline_ms >= 0 && now - a->stuck >= a->options->deadline_ms / 1e3
	           ? out_of_time(a, err)
	           : 0;
}

static int offer(struct acked *a, struct error *err)
{
	int taken = penstock_send(a->client, a->events + a->at, a->n - a->at, 0);

	if (taken < 0)
		return error_set(
		    err, taken, "line %" PRIu64 ": %s", a->events[a->at].tag, penstock_error(a->client));
	a->at += (uint32_t)taken;
	/* No room: until something has been completed. */
	taken = penstock_poll(a->client, a->at < a->n ? WAIT_MS : 0);
	if (taken < 0)
		return error_set(err, taken, "%s", penstock_error(a->client));
	if (a->at < a->n)
		return check_stuck(a, err);
	a->stuck = 0;
	return 0;
}

static int interrupted(const struct acked *a, struct error *err)
{
	return *a->options->interrupted ? error_set(err, -EINTR, "interrupted") : 0;
}

static int send_lines(struct acked *a, struct error *err)
{
	int ret = 0;

	while (ret == 0) {
		if (a->at == a->n)
			take_lines(a);
		if (a->n > 0) {
			ret = offer(a, err);
		} else if (a->lines->at_end) {
			return 0;
		} else if (a->regular || wait_for_input(a)) {
			ret = lines_fill(a->lines, err);
		} else {
			ret = penstock_poll(a->client, 0);
			ret = ret < 0 ? error_set(err, ret, "%s", penstock_error(a->client)) : 0;
		}
		if (ret == 0 || ret == -EINTR)
			ret = interrupted(a, err);
		show_progress(a);
	}
	return ret;
}

/* Until everything is completed. */
static int finish(struct acked *a, struct error *err)
{
	double end = seconds_now() + a->options->deadline_ms / 1e3;
	int ret;

	for (;;) {
		int wait = WAIT_MS;

		if (a->options->deadline_ms >= 0 && (end - seconds_now()) * 1e3 < WAIT_MS)
			wait = end > seconds_now() ? (int)((end - seconds_now()) * 1e3) + 1 : 0;
		ret = penstock_flush(a->client, wait);
		show_progress(a);
		if (ret == 0)
			return 0;
		if (interrupted(a, err) != 0)
			return -EINTR;
		if (ret != -ETIMEDOUT && ret != -EINTR)
			return error_set(err, ret, "%s", penstock_error(a->client));
		if (a->options->deadline_ms >= 0 && seconds_now() >= end)
			return out_of_time(a, err);
	}
}

int acked_send(const struct acked_options *options, struct lines *lines, struct error *err)
{
	struct acked a = {.options = options, .lines = lines, .tty = isatty(STDERR_FILENO)};
	struct penstock_options client = options->client;
	char reason[PENSTOCK_ERROR_BYTES];
	struct penstock_stats stats;
	struct error later;
	struct stat status;
	int ret;

	if (options->record != NULL && (a.record = fopen(options->record, "we")) == NULL)
		return error_set(err, -errno, "%s: %s", options->record, strerror(errno));
	client.on_complete = on_complete;
	client.context = &a;
	ret = penstock_open(&client, &a.client, reason);
	if (ret != 0) {
		error_set(err, ret, "%s", reason);
		goto out;
	}
	a.regular = fstat(lines->fd, &status) == 0 && S_ISREG(status.st_mode);
	a.start = a.last = seconds_now();
	a.next = a.start + 1;
	ret = send_lines(&a, err);
	/* What was taken before an error of the input is still sent. */
	if (ret == 0)
		ret = finish(&a, err);
	else if (ret == -EMSGSIZE || ret == -EINVAL)
		(void)finish(&a, &later);
	penstock_get_stats(a.client, &stats);
	show_summary(&a, &stats);
	(void)penstock_close(a.client, ret == 0 ? 1000 : 0);
	if (a.spilled > 0)
		fprintf(stderr, "penstock send: %" PRIu64 " events are kept in %s: the next run sends them\n",
		    a.spilled, client.spill_path);
	if (ret == -EINVAL) /* of an event, not of the options */
		ret = -EBADMSG;
out:
	if (a.record != NULL && fclose(a.record) != 0 && ret == 0)
		ret = error_set(err, -errno, "%s: %s", options->record, strerror(errno));
	return ret;
}
