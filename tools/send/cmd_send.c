/* SPDX-License-Identifier: BSD-3-Clause */
#include "send/cmd_send.h"

#include "args/args.h"
#include "key_file.h"
#include "send/acked.h"
#include "send/follow.h"
#include "send/lines.h"
#include "send/sender.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_RATE 100000.0
#define DEFAULT_PAYLOAD 1400u
#define DEFAULT_WINDOW 40000u
#define MAX_APPLIANCES 16u
#define IPV6_UDP_BYTES 48u /* headers, also enough for IPv4 */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

struct progress {
	bool tty, json;
	double start, next, last;
	uint64_t last_events;
};

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void show_progress(struct progress *progress, const struct sender_counts *counts)
{
	double now = seconds_now();
	double rate = (double)(counts->events - progress->last_events) / (now - progress->last);

	if (progress->json)
		fprintf(stderr, "{\"events\":%" PRIu64 ",\"events_per_s\":%.0f,\"seconds\":%.1f}\n",
		    counts->events, rate, now - progress->start);
	else
		fprintf(stderr, "%s%" PRIu64 " events sent, %.0f/s, %.0f s%s",
		    progress->tty ? "\r\033[K" : "", counts->events, rate, now - progress->start,
		    progress->tty ? "" : "\n");
	progress->last_events = counts->events;
	progress->last = now;
	progress->next = now + 1;
}

static void show_summary(const struct progress *progress, const struct sender_counts *counts)
{
	double seconds = seconds_now() - progress->start;
	double rate = seconds > 0 ? (double)counts->events / seconds : 0;

	if (progress->tty && !progress->json)
		fputs("\r\033[K", stderr);
	if (progress->json)
		printf("{\"events\":%" PRIu64 ",\"datagrams\":%" PRIu64 ",\"bytes\":%" PRIu64
		       ",\"seconds\":%.3f,\"events_per_s\":%.0f,\"refused\":%" PRIu64 "}\n",
		    counts->events, counts->datagrams, counts->bytes, seconds, rate, counts->refused);
	else
		printf("sent %" PRIu64 " events in %" PRIu64 " datagrams, %" PRIu64
		       " bytes, %.3f s, %.0f events/s\n",
		    counts->events, counts->datagrams, counts->bytes, seconds, rate);
	fflush(stdout);
}

/* The whole run. 0, or -errno; -EINTR after a signal. */
static int run(struct sender *sender, struct lines *lines, struct progress *progress, struct error *err)
{
	const char *line;
	size_t len;
	int ret;

	while ((ret = lines_next(lines, &line, &len, err)) == 1) {
		ret = sender_add(sender, line, len, err);
		if (ret == -EMSGSIZE) {
			struct error rest;

			error_prefix(err, ret, "line %" PRIu64, lines->number);
			return sender_flush(sender, &rest) == 0 ? ret : error_set(err, -EIO, "%s", rest.text);
		}
		if (ret != 0)
			return ret;
		if (interrupted)
			return error_set(err, -EINTR, "interrupted");
		if (seconds_now() >= progress->next)
			show_progress(progress, sender_counts(sender));
	}
	return ret != 0 ? ret : sender_flush(sender, err);
}

static int read_plain(
    const struct args *args, char **argv, int first, struct sender_options *options, struct error *err)
{
	int at = 1;
	uint64_t per_datagram = UINT32_MAX, mtu = 0, sockets = 1;
	const char *rate = args_get(args, "rate");

	*options = (struct sender_options){.to = args_get(args, "to"), .rate = DEFAULT_RATE};
	if (options->to == NULL)
		return error_set(err, -EINVAL, "--to HOST:PORT is needed");
	(void)args_next(args, "to", argv, first, &at);
	if (args_next(args, "to", argv, first, &at) != NULL)
		return error_set(err, -EINVAL, "--to is given twice: only --ack knows what to do with that");
	if (rate != NULL && strcmp(rate, "max") == 0)
		options->rate = 0;
	else if (args_get_double(args, "rate", 1, 1e9, &options->rate, err) != 0)
		return -EINVAL;
	if (args_get_u64(args, "per-datagram", 1, UINT32_MAX, &per_datagram, err) != 0 ||
	    args_get_u64(args, "mtu", 128, UINT16_MAX, &mtu, err) != 0 ||
	    args_get_u64(args, "source-ports", 1, SENDER_SOCKETS_MAX, &sockets, err) != 0)
		return -EINVAL;
	options->per_datagram = (uint32_t)per_datagram;
	options->mtu = (uint32_t)mtu;
	options->payload_max = mtu == 0 ? DEFAULT_PAYLOAD : 0;
	options->sockets = (uint32_t)sockets;
	return 0;
}

/* The options that only --ack knows, and those that it does not. */
static int check_mode(const struct args *args, bool ack, struct error *err)
{
	static const char *const only_ack[] = {
	    "stream", "source-id", "key-file", "acked", "spill", "spill-mb", "deadline", NULL};
	static const char *const only_plain[] = {"per-datagram", "source-ports", "follow", "window", NULL};

	for (const char *const *name = ack ? only_plain : only_ack; *name != NULL; name++)
		if (args_get(args, *name) != NULL)
			return error_set(err, -EINVAL, "--%s is %s --ack", *name, ack ? "not for" : "for");
	return 0;
}

struct ack_mode {
	struct acked_options options;
	struct key_file key_file;
	struct penstock_key key;
	const char *to[MAX_APPLIANCES];
};

static int read_ack(const struct args *args, char **argv, int first, struct ack_mode *mode, struct error *err)
{
	struct penstock_options *client = &mode->options.client;
	uint64_t mtu = 0, spill_mb = 1024, rate_limit = 0;
	const char *to, *rate = args_get(args, "rate");
	double number = 0, deadline = -1;
	int at = 1;

	*mode = (struct ack_mode){.options = {.json = args_get(args, "json") != NULL,
	                              .record = args_get(args, "acked"),
	                              .interrupted = &interrupted}};
	while ((to = args_next(args, "to", argv, first, &at)) != NULL) {
		if (client->n_to == MAX_APPLIANCES)
			return error_set(err, -EINVAL, "--to is given more than %u times", MAX_APPLIANCES);
		mode->to[client->n_to++] = to;
	}
	client->to = mode->to;
	client->stream = args_get(args, "stream");
	client->spill_path = args_get(args, "spill");
	if (client->n_to == 0)
		return error_set(err, -EINVAL, "--to HOST:PORT is needed");
	if (client->stream == NULL)
		return error_set(err, -EINVAL, "--stream NAME is needed with --ack");
	if (rate != NULL && strcmp(rate, "max") != 0 &&
	    args_get_double(args, "rate", 1, 1e9, &number, err) != 0)
		return -EINVAL;
	rate_limit = (uint64_t)number;
	if (args_get_u64(args, "source-id", 0, UINT64_MAX, &client->source_id, err) != 0 ||
	    args_get_u64(args, "mtu", 576, UINT16_MAX, &mtu, err) != 0 ||
	    args_get_u64(args, "spill-mb", 1, 1u << 20, &spill_mb, err) != 0 ||
	    args_get_double(args, "deadline", 0, 1e6, &deadline, err) != 0)
		return -EINVAL;
	client->datagram_bytes = mtu != 0 ? (uint32_t)mtu - IPV6_UDP_BYTES : 0;
	client->max_events_per_s = rate_limit;
	client->spill_bytes = spill_mb << 20;
	mode->options.deadline_ms = deadline < 0 ? PENSTOCK_FOREVER : (int)(deadline * 1e3);
	if (args_get(args, "key-file") == NULL)
		return 0;
	mode->key = (struct penstock_key){.data = mode->key_file.bytes};
	client->key = &mode->key;
	if (key_file_read(args_get(args, "key-file"), &mode->key_file, err) != 0)
		return -EINVAL;
	mode->key.id = mode->key_file.id;
	mode->key.len = mode->key_file.len;
	return 0;
}

/* One of `ack` and `options` is there. */
static int send_file(
    const struct args *args, struct ack_mode *ack, struct sender_options *options, struct error *err)
{
	const char *path = args_get(args, "file"), *socket = args_get(args, "follow");
	bool json = args_get(args, "json") != NULL;
	uint64_t window = DEFAULT_WINDOW;
	bool is_stdin = path == NULL || strcmp(path, "-") == 0;
	struct sigaction action = {.sa_handler = on_signal}, old_int, old_term;
	struct progress progress = {.tty = isatty(STDERR_FILENO), .json = json};
	struct lines *lines = malloc(sizeof(*lines));
	struct sender *sender = NULL;
	int fd = -1, ret;

	interrupted = 0;
	sigaction(SIGINT, &action, &old_int);
	sigaction(SIGTERM, &action, &old_term);
	if (lines == NULL) {
		ret = error_set(err, -ENOMEM, "no memory for lines");
		goto out;
	}
	fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		ret = error_set(err, -errno, "%s: %s", path, strerror(errno));
		goto out;
	}
	lines_init(lines, fd);
	if (ack != NULL) {
		ret = acked_send(&ack->options, lines, err);
		goto out;
	}
	ret = args_get_u64(args, "window", 1000, UINT32_MAX, &window, err);
	if (ret == 0 && socket != NULL)
		ret = follow_create(socket, window, &options->follow, err);
	if (ret != 0)
		goto out;
	ret = sender_create(options, &sender, err);
	if (ret != 0)
		goto out;
	progress.start = progress.last = seconds_now();
	progress.next = progress.start + 1;
	ret = run(sender, lines, &progress, err);
	show_summary(&progress, sender_counts(sender));
	if (ret == 0 && sender_counts(sender)->refused > 0)
		ret = error_set(err, -ECONNREFUSED, "nobody listens at %s", options->to);
	else if (ret != 0 && ret != -EINTR && !is_stdin)
		error_prefix(err, ret, "%s", path);
	if (ret == 0 && options->follow != NULL && follow_lost(options->follow) > 0)
		ret = error_set(err, -EIO, "the daemon never received %" PRIu64 " of the events",
		    follow_lost(options->follow));
out:
	sender_destroy(sender);
	if (options != NULL)
		follow_destroy(options->follow);
	if (fd >= 0 && !is_stdin)
		close(fd);
	free(lines);
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	return ret;
}

int cmd_send(int argc, char **argv)
{
	struct arg table[] = {
	    {"to", "HOST:PORT...",
	        "where to; an IPv6 address in brackets, [::1]:9000. With --ack, again for each appliance to "
	        "turn to",
	        NULL},
	    {"file", "FILE", "NDJSON to send, - is standard input (default)", NULL},
	    {"rate", "N", "events per second (default 100000), max: as fast as it goes", NULL},
	    {"per-datagram", "N", "at most N events in a datagram", NULL},
	    {"mtu", "BYTES", "fill IP packets of that size (default: 1400 bytes of payload)", NULL},
	    {"source-ports", "N", "send from N sockets in turn (default 1)", NULL},
	    {"follow", "SOCKET", "wait for the daemon at this control socket when it falls behind", NULL},
	    {"window", "N", "with --follow: events that may be sent and not settled (default 40000)", NULL},
	    {"ack", NULL, "by the event transport: each event until it is known to be durable", NULL},
	    {"stream", "NAME", "with --ack: the stream's name in the daemon's configuration", NULL},
	    {"source-id", "N", "with --ack: whose keys and limits apply (default 0)", NULL},
	    {"key-file", "FILE",
	        "with --ack: the source's key, a line ID:HEX as `penstock source add` prints it", NULL},
	    {"acked", "FILE", "with --ack: write there the outcome of each line: number, outcome, reason",
	        NULL},
	    {"spill", "FILE", "with --ack: keep there what no appliance takes; the next run sends it", NULL},
	    {"spill-mb", "N", "with --spill: its largest size (default 1024)", NULL},
	    {"deadline", "SECONDS",
	        "with --ack: give up so long after the last line, or when nothing was completed for so long "
	        "and "
	        "there is no room for the next one (default: never)",
	        NULL},
	    {"json", NULL, "summary and progress as JSON", NULL},
	    {NULL, NULL, NULL, NULL},
	};
	struct args args = {"penstock send --to HOST:PORT [options]",
	    "Sends events, one per line, as plain UDP datagrams: fire and forget. With --ack they go by the "
	    "event\n"
	    "transport, are sent again until they are durable, and turn to another appliance when one falls "
	    "silent; the\n"
	    "exit status is 0 only if every event is durable, a duplicate of a durable one, or a dead "
	    "letter. A progress\n"
	    "line per second goes to standard error, the summary to standard output.",
	    table};
	struct sender_options options;
	struct ack_mode mode;
	struct error err;
	bool ack;
	int ret, first;

	ret = args_parse(&args, argc, argv, &first, &err);
	if (ret > 0)
		return EXIT_OK;
	if (ret == 0 && first < argc)
		ret = error_set(&err, -EINVAL, "unexpected word %s", argv[first]);
	ack = args_get(&args, "ack") != NULL;
	if (ret == 0)
		ret = check_mode(&args, ack, &err);
	if (ret == 0)
		ret = ack ? read_ack(&args, argv, first, &mode, &err)
		          : read_plain(&args, argv, first, &options, &err);
	if (ret != 0)
		return args_usage_error("send", &err);
	ret = send_file(&args, ack ? &mode : NULL, ack ? NULL : &options, &err);
	if (ack)
		explicit_bzero(&mode.key_file, sizeof(mode.key_file));
	if (ret == 0)
		return EXIT_OK;
	if (ret == -EINVAL)
		return args_usage_error("send", &err);
	fprintf(stderr, "penstock send: %s\n", err.text);
	return EXIT_FAILED;
}
