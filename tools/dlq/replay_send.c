/* SPDX-License-Identifier: BSD-3-Clause */
#include "dlq/replay_send.h"

#include "libpenstock/penstock.h"
#include "send/sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MTU 1500u
#define PER_DATAGRAM 16u
#define POLL_MS 100

struct connection {
	char *stream;
	struct penstock *penstock; /* one of the two */
	struct sender *sender;
};

struct replay_send {
	struct replay_send_options options;
	struct replay_send_counts counts;
	uint64_t chunk; /* events of the chunk so far */
	struct connection connection[CONFIG_MAX_STREAMS];
	size_t n;
};

/* "[::1]" and "::1" have no port. */
static bool has_port(const char *appliance)
{
	const char *colon = strrchr(appliance, ':');

	if (colon == NULL || strchr(colon, ']') != NULL)
		return false;
	return appliance[0] == '[' || strchr(appliance, ':') == colon;
}

static int address_of(const struct replay_send *send, const char *stream, char **to, struct error *err)
{
	const struct replay_send_options *o = &send->options;
	bool bare = o->appliance[0] != '[' && strchr(o->appliance, ':') != NULL;
	int i, n;

	if (has_port(o->appliance)) {
		*to = strdup(o->appliance);
		return *to != NULL ? 0 : error_set(err, -ENOMEM, "no memory");
	}
	if (o->config == NULL)
		return error_set(
		    err, -EINVAL, "--appliance: give HOST:PORT, or --config for the streams' ports");
	i = config_find_stream(o->config, stream);
	if (i < 0 || o->config->streams[i].udp_port == 0)
		return error_set(
		    err, -ENOENT, "the configuration has no stream \"%s\" with a udp_port", stream);
	n = asprintf(to, bare ? "[%s]:%u" : "%s:%u", o->appliance, o->config->streams[i].udp_port);
	return n >= 0 ? 0 : error_set(err, -ENOMEM, "no memory");
}

static void complete(void *context, const struct penstock_result *result)
{
	struct replay_send *send = context;

	if (result->outcome == PENSTOCK_DURABLE)
		send->counts.durable++;
	else if (result->outcome == PENSTOCK_DUPLICATE)
		send->counts.duplicate++;
	else if (result->outcome == PENSTOCK_REJECTED)
		send->counts.rejected++;
}

static int open_connection(
    struct replay_send *send, struct connection *connection, const char *to, struct error *err)
{
	const struct replay_send_options *o = &send->options;
	struct penstock_key key = {.id = o->key.id, .data = o->key.bytes, .len = o->key.len};
	struct penstock_options acknowledged = {
	    .to = &to,
	    .n_to = 1,
	    .stream = connection->stream,
	    .source_id = o->source_id,
	    .key = key.len > 0 ? &key : NULL,
	    .on_complete = complete,
	    .context = send,
	    .max_events_per_s = o->rate < 1 ? 1 : (uint64_t)o->rate,
	};
	struct sender_options plain = {
	    .to = to, .rate = o->rate, .per_datagram = PER_DATAGRAM, .mtu = MTU, .sockets = 1};
	char reason[PENSTOCK_ERROR_BYTES];
	int rc;

	if (o->plain)
		return sender_create(&plain, &connection->sender, err);
	rc = penstock_open(&acknowledged, &connection->penstock, reason);
	return rc == 0 ? 0 : error_set(err, rc, "%s", reason);
}

static int connect_to(
    struct replay_send *send, const char *stream, struct connection **out, struct error *err)
{
	struct connection *connection;
	char *to;
	int rc;

	for (size_t i = 0; i < send->n; i++) {
		*out = &send->connection[i];
		if (strcmp((*out)->stream, stream) == 0)
			return 0;
	}
	if (send->n == CONFIG_MAX_STREAMS)
		return error_set(err, -ENOSPC, "more than %u streams", (unsigned int)CONFIG_MAX_STREAMS);
	rc = address_of(send, stream, &to, err);
	if (rc != 0)
		return rc;
	connection = &send->connection[send->n];
	connection->stream = strdup(stream);
	rc = connection->stream == NULL ? error_set(err, -ENOMEM, "no memory")
	                                : open_connection(send, connection, to, err);
	free(to);
	if (rc != 0) {
		free(connection->stream);
		return rc;
	}
	send->n++;
	*out = connection;
	return 0;
}

int replay_send_create(const struct replay_send_options *options, struct replay_send **out, struct error *err)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return error_set(err, -ENOMEM, "no memory");
	(*out)->options = *options;
	return 0;
}

void replay_send_destroy(struct replay_send *send)
{
	if (send == NULL)
		return;
	for (size_t i = 0; i < send->n; i++) {
		(void)penstock_close(send->connection[i].penstock, 0);
		sender_destroy(send->connection[i].sender);
		free(send->connection[i].stream);
	}
	free(send);
}

/* What is full empties at the pace of the acknowledgements. */
static int send_acknowledged(struct connection *connection, const char *line, size_t len, struct error *err)
{
	struct penstock_event event = {.data = line, .len = len};
	int n;

	while ((n = penstock_send(connection->penstock, &event, 1, 0)) == 0) {
		int rc = penstock_poll(connection->penstock, POLL_MS);

		if (rc < 0)
			return error_set(err, rc, "%s", penstock_error(connection->penstock));
	}
	if (n == 1)
		return 0;
	return n == -EINVAL || n == -EMSGSIZE ? error_set(err, -EMSGSIZE, "no frame can hold it")
	                                      : error_set(err, n, "%s", penstock_error(connection->penstock));
}

int replay_send_line(
    struct replay_send *send, const char *stream, const char *line, size_t len, struct error *err)
{
	struct connection *connection;
	int rc;

	if (memchr(line, '\n', len) != NULL)
		return error_set(err, -EMSGSIZE, "it holds a line break");
	rc = connect_to(send, stream, &connection, err);
	if (rc == 0)
		rc = send->options.plain ? sender_add(connection->sender, line, len, err)
		                         : send_acknowledged(connection, line, len, err);
	if (rc == 0) {
		send->counts.sent++;
		send->chunk++;
	}
	return rc;
}

static int finish_acknowledged(struct replay_send *send, struct connection *connection, struct error *err)
{
	uint64_t limit_ms =
	    send->options.timeout_ms + (uint64_t)((double)send->chunk / send->options.rate * 1000.0);
	int rc = penstock_flush(connection->penstock, limit_ms > INT32_MAX ? INT32_MAX : (int)limit_ms);

	if (rc == -ETIMEDOUT)
		return error_set(err, rc, "not acknowledged within %llu ms: %s", (unsigned long long)limit_ms,
		    penstock_error(connection->penstock));
	return rc == 0 ? 0 : error_set(err, rc, "%s", penstock_error(connection->penstock));
}

int replay_send_finish(struct replay_send *send, struct error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < send->n; i++) {
		struct connection *connection = &send->connection[i];

		if (!send->options.plain) {
			rc = finish_acknowledged(send, connection, err);
			continue;
		}
		rc = sender_flush(connection->sender, err);
		if (rc == 0 && sender_counts(connection->sender)->refused > 0)
			rc = error_set(err, -ECONNREFUSED, "nobody listens at %s", send->options.appliance);
	}
	send->chunk = 0;
	return rc;
}

const struct replay_send_counts *replay_send_counts(const struct replay_send *send)
{
	return &send->counts;
}
