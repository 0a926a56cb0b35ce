/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_headers.h"

#include "event.h"
#include "timestamp.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

struct kafka_headers {
	char *type;       /* penstock.<stream> */
	char *source;     /* /penstock/<node>/<stream>, percent-encoded */
	char *stream;     /* the name */
	char *from_topic; /* the raw topic, or the stream's name where there is none */
};

static bool add(rd_kafka_headers_t *list, const char *name, size_t name_len, const char *value, size_t len)
{
	return rd_kafka_header_add(list, name, (ssize_t)name_len, value, (ssize_t)len) ==
	       RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* `name` is a literal. */
#define ADD(list, name, value, len) add(list, name, sizeof(name) - 1, value, len)

/* A path segment of a URI reference: everything but unreserved characters is percent-encoded. */
static char *encode(char *to, const char *from)
{
	for (; *from != '\0'; from++) {
		unsigned char c = (unsigned char)*from;

		if (isalnum(c) || strchr("-._~", c) != NULL)
			*to++ = (char)c;
		else
			to += sprintf(to, "%%%02X", c);
	}
	*to = '\0';
	return to;
}

struct kafka_headers *kafka_headers_create(const struct config *config, const struct config_stream *stream)
{
	struct kafka_headers *headers = calloc(1, sizeof(*headers));
	const char *node = config->node != NULL ? config->node : "";
	char *end;

	if (headers == NULL)
		return NULL;
	headers->source = malloc(sizeof("/penstock//") + 3 * (strlen(node) + strlen(stream->name)));
	headers->stream = strdup(stream->name);
	headers->from_topic = strdup(stream->topic_raw != NULL ? stream->topic_raw : stream->name);
	if (asprintf(&headers->type, "penstock.%s", stream->name) < 0)
		headers->type = NULL;
	if (headers->source == NULL || headers->stream == NULL || headers->from_topic == NULL ||
	    headers->type == NULL) {
		kafka_headers_destroy(headers);
		return NULL;
	}
	end = encode(stpcpy(headers->source, "/penstock/"), node);
	encode(stpcpy(end, "/"), stream->name);
	return headers;
}

void kafka_headers_destroy(struct kafka_headers *headers)
{
	if (headers == NULL)
		return;
	free(headers->type);
	free(headers->source);
	free(headers->stream);
	free(headers->from_topic);
	free(headers);
}

static bool add_cloud(rd_kafka_headers_t *list, const struct kafka_headers *headers)
{
	return ADD(list, "ce_specversion", "1.0", 3) &&
	       ADD(list, "ce_type", headers->type, strlen(headers->type)) &&
	       ADD(list, "ce_source", headers->source, strlen(headers->source));
}

/* CloudEvents wants an id. An event without identity gets a hash of its bytes: the same event, the same id.
 */
static bool add_id(rd_kafka_headers_t *list, const struct batch *batch, const struct batch_event *event)
{
	XXH128_hash_t hash;
	char text[33];

	if (event->id_len > 0)
		return ADD(list, "ce_id", batch->bytes + event->id, event->id_len);
	hash = XXH3_128bits(batch->bytes + event->raw, event->raw_len);
	snprintf(text, sizeof(text), "%016llx%016llx", (unsigned long long)hash.high64,
	    (unsigned long long)hash.low64);
	return ADD(list, "ce_id", text, 32);
}

rd_kafka_headers_t *kafka_headers_event(
    const struct kafka_headers *headers, const struct batch *batch, const struct batch_event *event)
{
	rd_kafka_headers_t *list = rd_kafka_headers_new(5);
	char time[TIMESTAMP_TEXT_BYTES];

	if (list == NULL)
		return NULL;
	if (add_cloud(list, headers) && add_id(list, batch, event) &&
	    (!timestamp_write(event->time_ms, time) || ADD(list, "ce_time", time, TIMESTAMP_TEXT_BYTES)))
		return list;
	rd_kafka_headers_destroy(list);
	return NULL;
}

rd_kafka_headers_t *kafka_headers_group(const struct kafka_headers *headers, uint32_t count, bool cloud)
{
	rd_kafka_headers_t *list = rd_kafka_headers_new(5);
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", count);

	if (list == NULL)
		return NULL;
	if ((!cloud || add_cloud(list, headers)) && ADD(list, "content-type", "application/x-ndjson", 20) &&
	    ADD(list, "penstock.count", text, (size_t)len))
		return list;
	rd_kafka_headers_destroy(list);
	return NULL;
}

/* Kafka Connect's names for where in its pipeline a record failed. */
static const char *connect_stage(const char *stage)
{
	if (strcmp(stage, "parse") == 0)
		return "VALUE_CONVERTER";
	if (strcmp(stage, "emit") == 0)
		return "KAFKA_PRODUCE";
	return "TRANSFORMATION";
}

rd_kafka_headers_t *kafka_headers_dead_letter(const struct kafka_headers *headers, const struct batch *batch,
    const struct batch_event *event, uint32_t value_len)
{
	const struct reason_info *info = reason_info((enum reason)event->reason);
	bool explained = event->message_len > 0 && event->reason != REASON_RECORD_TOO_LARGE;
	const char *message = explained ? batch->bytes + event->message : info->help;
	size_t message_len = explained ? event->message_len : strlen(info->help);
	const char *connect = connect_stage(info->stage);
	char time[TIMESTAMP_TEXT_BYTES], class_name[96], task[8], length[16], replays[8];
	rd_kafka_headers_t *list = rd_kafka_headers_new(13);

	if (list == NULL)
		return NULL;
	if (!timestamp_write(batch->arrival_ms, time))
		timestamp_write(0, time);
	snprintf(class_name, sizeof(class_name), "penstock.%s", info->name);
	snprintf(task, sizeof(task), "%u", batch->worker);
	snprintf(length, sizeof(length), "%u", event->raw_len);
	snprintf(replays, sizeof(replays), "%u", event->flags >> EVENT_REPLAYS_SHIFT);
	if (ADD(list, "penstock.error.stage", info->stage, strlen(info->stage)) &&
	    ADD(list, "penstock.error.reason", info->name, strlen(info->name)) &&
	    ADD(list, "penstock.error.message", message, message_len) &&
	    ADD(list, "penstock.error.stream", headers->stream, strlen(headers->stream)) &&
	    ADD(list, "penstock.error.timestamp", time, TIMESTAMP_TEXT_BYTES) &&
	    ADD(list, "penstock.error.replays", replays, strlen(replays)) &&
	    (value_len == event->raw_len || ADD(list, "penstock.error.length", length, strlen(length))) &&
	    ADD(list, "__connect.errors.topic", headers->from_topic, strlen(headers->from_topic)) &&
	    ADD(list, "__connect.errors.connector.name", "penstock", 8) &&
	    ADD(list, "__connect.errors.task.id", task, strlen(task)) &&
	    ADD(list, "__connect.errors.stage", connect, strlen(connect)) &&
	    ADD(list, "__connect.errors.exception.class.name", class_name, strlen(class_name)) &&
	    ADD(list, "__connect.errors.exception.message", message, message_len))
		return list;
	rd_kafka_headers_destroy(list);
	return NULL;
}
