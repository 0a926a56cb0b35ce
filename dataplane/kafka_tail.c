/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_tail.h"

#include "json.h"
#include "kafka_conf.h"
#include "replay_mark.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CALL_MS 2000
#define AGAIN_MS 300
#define SETTLE_NS 1000000000ull /* the watermarks stand still for so long... */
#define SETTLE_MAX_NS \
	10000000000ull /* ...or somebody else writes too, and nothing can be learned from them */
#define POLL_MS 100
#define MESSAGES 512

/* A partition to read. */
struct part {
	rd_kafka_topic_t *topic; /* of topics[] */
	const char *name;
	int32_t number;
	enum record_kind kind;
	int64_t from, to;
	bool started;
};

struct tail {
	const struct kafka_tail_options *options;
	struct kafka_tail_progress *progress;
	const struct config *config;
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue;
	struct {
		rd_kafka_topic_t *rkt;
		enum record_kind kind;
	} topics[2 * CONFIG_MAX_STREAMS];
	uint32_t n_topics;
	struct part *parts;
	size_t n_parts;
	char cluster[256]; /* "": it has no name */
	bool clean;        /* the predecessor ended in order */
	bool comparable;   /* the checkpoint's offsets are of this cluster */
	struct json_parser parser;
	struct value *values;
	struct member *unknown;
	char *text, *original;
	uint32_t text_size;
};

static bool stopped(const struct tail *tail)
{
	return atomic_load_explicit(&tail->progress->stop, memory_order_acquire);
}

static void say(struct tail *tail, enum kafka_tail_stage stage, const char *topic, const char *why)
{
	pthread_mutex_lock(&tail->progress->mutex);
	(void)snprintf(tail->progress->waiting_for, sizeof(tail->progress->waiting_for), "%.120s%s%.120s",
	    topic, topic[0] != '\0' ? ": " : "", why);
	pthread_mutex_unlock(&tail->progress->mutex);
	atomic_store_explicit(&tail->progress->stage, stage, memory_order_relaxed);
}

/* Serves the client's own events, and lets some time pass. */
static void pass_time(struct tail *tail, int ms)
{
	rd_kafka_event_t *event;
	rd_kafka_queue_t *queue = rd_kafka_queue_get_main(tail->rk);

	event = rd_kafka_queue_poll(queue, ms);
	for (int i = 0; event != NULL && i < 100; i++) {
		rd_kafka_event_destroy(event);
		event = rd_kafka_queue_poll(queue, 0);
	}
	if (event != NULL)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
}

/* ---- connect ---- */

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *err)
{
	char reason[256];

	if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK)
		return 0;
	return error_set(err, -EINVAL, "sinks.kafka: %s", reason);
}

static int connect_client(struct tail *tail, struct error *err)
{
	static const char *const consumer[][2] = {{"enable.auto.commit", "false"},
	    {"enable.partition.eof", "true"}, {"auto.offset.reset", "error"},
	    {"allow.auto.create.topics", "false"}, {"fetch.wait.max.ms", "50"}, {"check.crcs", "true"},
	    {"statistics.interval.ms", "0"}};
	rd_kafka_conf_t *conf;
	char reason[256];
	int ret = kafka_conf_create(tail->config, &conf, err);

	if (ret != 0)
		return ret;
	ret = set(conf, "bootstrap.servers", tail->config->kafka.bootstrap, err);
	for (size_t i = 0; ret == 0 && i < sizeof(consumer) / sizeof(consumer[0]); i++)
		ret = set(conf, consumer[i][0], consumer[i][1], err);
	if (ret != 0) {
		rd_kafka_conf_destroy(conf);
		return ret;
	}
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR);
	tail->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
	if (tail->rk == NULL) {
		rd_kafka_conf_destroy(conf);
		return error_set(err, -EINVAL, "sinks.kafka: %s", reason);
	}
	tail->queue = rd_kafka_queue_new(tail->rk);
	return 0;
}

/* Which topics tell what is durable. A topic that several streams share is read once. */
static int add_topic(struct tail *tail, const char *name, enum record_kind kind, struct error *err)
{
	for (uint32_t i = 0; i < tail->n_topics; i++)
		if (strcmp(rd_kafka_topic_name(tail->topics[i].rkt), name) == 0 &&
		    tail->topics[i].kind == kind)
			return 0;
	tail->topics[tail->n_topics].rkt = rd_kafka_topic_new(tail->rk, name, NULL);
	tail->topics[tail->n_topics].kind = kind;
	if (tail->topics[tail->n_topics].rkt == NULL)
		return error_set(
		    err, -EINVAL, "sinks.kafka: topic %s: %s", name, rd_kafka_err2str(rd_kafka_last_error()));
	tail->n_topics++;
	return 0;
}

static bool reads_raw(const struct tail *tail, const struct config_stream *config)
{
	return config->topic_raw != NULL && (config->topic_enriched == NULL || tail->options->every_output);
}

static int add_topics(struct tail *tail, struct error *err)
{
	int ret = 0;

	for (uint16_t s = 0; ret == 0 && s < tail->options->engine->n_streams; s++) {
		const struct config_stream *c = tail->options->engine->streams[s].config;

		if (tail->options->engine->streams[s].dedup == NULL)
			continue;
		if (c->topic_enriched != NULL)
			ret = add_topic(tail, c->topic_enriched, RECORD_ENRICHED, err);
		if (ret == 0 && reads_raw(tail, c))
			ret = add_topic(tail, c->topic_raw, RECORD_RAW, err);
		if (ret == 0)
			ret = add_topic(tail, c->topic_dead_letter, RECORD_DEAD_LETTER, err);
	}
	return ret;
}

/* ---- where to read ---- */

static int add_part(struct tail *tail, uint32_t topic, int32_t number)
{
	struct part *more = realloc(tail->parts, (tail->n_parts + 1) * sizeof(*more));

	if (more == NULL)
		return -ENOMEM;
	tail->parts = more;
	more[tail->n_parts++] = (struct part){.topic = tail->topics[topic].rkt,
	    .name = rd_kafka_topic_name(tail->topics[topic].rkt),
	    .number = number,
	    .kind = tail->topics[topic].kind};
	return 0;
}

/* 0; -EAGAIN: the brokers do not say yet. */
static int find_parts(struct tail *tail)
{
	int ret = 0;

	tail->n_parts = 0;
	for (uint32_t t = 0; ret == 0 && t < tail->n_topics; t++) {
		const struct rd_kafka_metadata *metadata;
		rd_kafka_resp_err_t code =
		    rd_kafka_metadata(tail->rk, 0, tail->topics[t].rkt, &metadata, CALL_MS);
		const char *name = rd_kafka_topic_name(tail->topics[t].rkt);

		if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
			say(tail, KAFKA_TAIL_WAITING, name, rd_kafka_err2str(code));
			return -EAGAIN;
		}
		code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN;
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
			for (int32_t p = 0; ret == 0 && p < metadata->topics[0].partition_cnt; p++)
				ret = add_part(tail, t, metadata->topics[0].partitions[p].id);
		} else if (code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
			/* One that does not exist holds nothing. */
			say(tail, KAFKA_TAIL_WAITING, name, rd_kafka_err2str(code));
			ret = -EAGAIN;
		}
		rd_kafka_metadata_destroy(metadata);
	}
	return ret;
}

static bool checkpoint_offset(const struct tail *tail, const struct part *part, int64_t *next)
{
	struct kafka_checkpoint_entry entry;
	char cluster[256];
	bool clean;
	const char *at = kafka_checkpoint_head(tail->options->checkpoint, cluster, &clean);

	while (at != NULL && kafka_checkpoint_next(&at, &entry)) {
		if (entry.partition == part->number && strcmp(entry.topic, part->name) == 0) {
			*next = entry.next;
			return true;
		}
	}
	return false;
}

/* Without a checkpoint: from the first record that is inside the longest window. */
static int64_t longest_window_ago(const struct tail *tail)
{
	int64_t window_ms = 0;

	for (uint16_t s = 0; s < tail->options->engine->n_streams; s++)
		if (tail->options->engine->streams[s].dedup != NULL &&
		    tail->config->streams[s].dedup_window_ms > window_ms)
			window_ms = tail->config->streams[s].dedup_window_ms;
	return clock_wall_ms(tail->options->engine->clock) - window_ms;
}

static int64_t offset_by_time(struct tail *tail, const struct part *part, int64_t low)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	int64_t offset;

	rd_kafka_topic_partition_list_add(list, part->name, part->number)->offset =
	    tail->options->since_ms != 0 ? tail->options->since_ms : longest_window_ago(tail);
	offset = rd_kafka_offsets_for_times(tail->rk, list, CALL_MS) == RD_KAFKA_RESP_ERR_NO_ERROR &&
	                 list->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR && list->elems[0].offset >= 0
	             ? list->elems[0].offset
	             : low;
	rd_kafka_topic_partition_list_destroy(list);
	return offset > low ? offset : low;
}

static int find_range(struct tail *tail, struct part *part, bool first)
{
	int64_t low, high, next;
	rd_kafka_resp_err_t code =
	    rd_kafka_query_watermark_offsets(tail->rk, part->name, part->number, &low, &high, CALL_MS);

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		say(tail, KAFKA_TAIL_WAITING, part->name, rd_kafka_err2str(code));
		return -EAGAIN;
	}
	if (first && tail->options->fresh)
		part->from = high;
	else if (first && !tail->comparable)
		part->from = offset_by_time(tail, part, low);
	else if (first) /* a partition that the checkpoint does not name is younger than it */
		part->from = checkpoint_offset(tail, part, &next) && next > low ? next : low;
	if (part->from > high) /* the topic was made anew */
		part->from = low;
	part->to = high;
	return 0;
}

/* Whether the checkpoint is one of this cluster. Behind find_parts(), which makes the client ask for the name. */
static void compare_clusters(struct tail *tail)
{
	char cluster[256];
	char *now = rd_kafka_clusterid(tail->rk, CALL_MS);

	(void)snprintf(tail->cluster, sizeof(tail->cluster), "%s", now != NULL ? now : "");
	if (now != NULL)
		rd_kafka_mem_free(tail->rk, now);
	tail->comparable = tail->options->checkpoint != NULL &&
	                   kafka_checkpoint_head(tail->options->checkpoint, cluster, &tail->clean) != NULL &&
	                   tail->cluster[0] != '\0' && strcmp(tail->cluster, cluster) == 0;
	tail->clean = tail->clean && tail->comparable;
}

static uint64_t sum_of_ends(const struct tail *tail)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < tail->n_parts; i++)
		sum += (uint64_t)tail->parts[i].to;
	return sum;
}

static int find_ranges(struct tail *tail, bool first)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < tail->n_parts; i++)
		ret = find_range(tail, &tail->parts[i], first);
	return ret;
}

/* Until the brokers have said where each partition ends, and nothing more arrives. */
static int settle(struct tail *tail)
{
	const struct clock *clock = tail->options->engine->clock;
	uint64_t begun_ns = 0, still_ns = 0, ends = 0;
	bool first = true;

	while (!stopped(tail)) {
		int ret = first ? find_parts(tail) : 0;
		uint64_t now_ns;

		if (ret == 0 && first)
			compare_clusters(tail);
		if (ret == 0)
			ret = find_ranges(tail, first);
		if (ret != 0 && ret != -EAGAIN)
			return ret;
		now_ns = clock_mono_ns(clock);
		if (ret == 0 && first) {
			begun_ns = still_ns = now_ns;
			ends = sum_of_ends(tail);
			first = false;
		} else if (ret == 0 && sum_of_ends(tail) != ends) {
			still_ns = now_ns;
			ends = sum_of_ends(tail);
		}
		if (ret == 0 && (tail->clean || tail->options->fresh || now_ns - still_ns >= SETTLE_NS ||
		                    now_ns - begun_ns >= SETTLE_MAX_NS))
			return 0;
		if (ret == 0)
			say(tail, KAFKA_TAIL_SETTLING, "",
			    "requests of the killed predecessor may still arrive");
		pass_time(tail, AGAIN_MS);
	}
	return -ECANCELED;
}

/* ---- identities ---- */

uint32_t kafka_tail_original(const char *value, uint32_t value_len, char *to)
{
	static const char enrichments[] = "\"enrichments\":{", duplicate[] = "\"is_duplicate\":true";
	uint32_t member = 0, last = 0, before = 0, depth = 0, cut;
	bool quoted = false;

	/* Where the last two members of the outer object begin. */
	for (uint32_t i = 0; i < value_len; i++) {
		char c = value[i];

		if (quoted) {
			i += c == '\\';
			quoted = c != '"';
		} else if (c == '"') {
			quoted = true;
		} else if (c == '{' || c == '[') {
			depth++;
			member = depth == 1 ? i + 1 : member;
		} else if (c == '}' || c == ']') {
			depth--;
		} else if (c == ',' && depth == 1) {
			member = i + 1;
		}
		if (member != last) {
			before = last;
			last = member;
		}
	}
	if (last == 0 || value_len - last < sizeof(enrichments) ||
	    memcmp(value + last, enrichments, sizeof(enrichments) - 1) != 0)
		return 0;
	cut = last;
	if (before != 0 && last - before == sizeof(duplicate) &&
	    memcmp(value + before, duplicate, sizeof(duplicate) - 1) == 0)
		cut = before;
	if (value[cut - 1] == ',')
		cut--;
	memcpy(to, value, cut);
	to[cut] = '}';
	return cut + 1;
}

static bool identify(
    struct tail *tail, uint16_t s, enum record_kind kind, const char *value, uint32_t len, uint64_t key[2])
{
	const struct stream *stream = &tail->options->engine->streams[s];
	int identity = stream->schema->identity;

	if (identity != SCHEMA_NO_FIELD) {
		struct json_output out = {
		    .values = tail->values, .unknown = tail->unknown, .text = tail->text};
		const struct value *v = &tail->values[identity];

		memset(tail->values, 0, SCHEMA_MAX_FIELDS * sizeof(*tail->values));
		/* What was spliced in may be refused; the identity stands before it. */
		(void)json_parse(&tail->parser, stream->schema, value, len, &out);
		if (v->type != VALUE_ABSENT && v->type != VALUE_NULL) {
			dedup_hash(stream->dedup, v->ptr, v->len, key);
			return true;
		}
	}
	if (kind == RECORD_ENRICHED) {
		len = kafka_tail_original(value, len, tail->original);
		value = tail->original;
	}
	if (len == 0)
		return false;
	dedup_hash(stream->dedup, value, len, key);
	return true;
}

/* A header's value; NULL: there is none. */
static const char *header(const rd_kafka_message_t *message, const char *name, size_t *len)
{
	rd_kafka_headers_t *headers;
	const void *value;

	if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
	    rd_kafka_header_get_last(headers, name, &value, len) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return NULL;
	return value;
}

static bool equals(const char *text, const char *value, size_t len)
{
	return value != NULL && strlen(text) == len && memcmp(text, value, len) == 0;
}

/* Whether it came past the dedup window before it failed: then its identity is marked. */
static bool failed_late(const rd_kafka_message_t *message)
{
	size_t len;
	const char *stage = header(message, "penstock.error.stage", &len);

	return equals("enrich", stage, len) || equals("emit", stage, len);
}

static bool writes_to(const struct config_stream *c, const struct part *part)
{
	const char *const topics[RECORD_KINDS] = {[RECORD_RAW] = c->topic_raw,
	    [RECORD_ENRICHED] = c->topic_enriched,
	    [RECORD_DEAD_LETTER] = c->topic_dead_letter};

	return topics[part->kind] != NULL && strcmp(topics[part->kind], part->name) == 0;
}

/* Whose record it is: what its headers say, else the only stream that writes there. -1: nobody knows. */
static int stream_of(const struct tail *tail, const struct part *part, const rd_kafka_message_t *message)
{
	const struct engine *engine = tail->options->engine;
	size_t len = 0;
	const char *name =
	    header(message, part->kind == RECORD_DEAD_LETTER ? "penstock.error.stream" : "ce_type", &len);
	int found = -1;

	if (name != NULL && part->kind != RECORD_DEAD_LETTER) {
		if (len < 9 || memcmp(name, "penstock.", 9) != 0)
			return -1;
		name += 9;
		len -= 9;
	}
	for (uint16_t s = 0; s < engine->n_streams; s++) {
		const struct config_stream *c = engine->streams[s].config;

		if (engine->streams[s].dedup == NULL || !writes_to(c, part))
			continue;
		if (name != NULL && equals(c->name, name, len))
			return s;
		if (name == NULL && found >= 0)
			return -1;
		if (name == NULL)
			found = s;
	}
	return found;
}

static int64_t age_of(const struct tail *tail, const rd_kafka_message_t *message)
{
	rd_kafka_timestamp_type_t type;
	int64_t then = rd_kafka_message_timestamp(message, &type);
	int64_t now = clock_wall_ms(tail->options->engine->clock);

	return type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && then < now ? now - then : 0;
}

static int take_event(
    struct tail *tail, uint16_t stream, enum record_kind kind, const char *value, size_t len, int64_t age_ms)
{
	uint64_t key[2];

	if (len > tail->text_size || !identify(tail, stream, kind, value, (uint32_t)len, key)) {
		atomic_fetch_add_explicit(&tail->progress->skipped, 1, memory_order_relaxed);
		return 0;
	}
	return tail->options->found(tail->options->context, stream, kind, key, age_ms);
}

/* An event that parsing or validation refused is marked, if at all, by all of its bytes: with the mark that a replay
 * has, of which the dead letter does not say whether it was the one with "!". */
static int take_refused(struct tail *tail, uint16_t stream, const rd_kafka_message_t *message, int64_t age_ms)
{
	const struct dedup *dedup = tail->options->engine->streams[stream].dedup;
	size_t len = 0;
	const char *text = header(message, "penstock.error.replays", &len);
	unsigned long replays = 0;
	int ret = 0;

	for (size_t i = 0; text != NULL && i < len && i < 2 && text[i] >= '0' && text[i] <= '9'; i++)
		replays = 10 * replays + (unsigned long)(text[i] - '0');
	if (replays > REPLAY_MAX)
		return 0;
	for (int own = 0; ret == 0 && own <= (replays > 0); own++) {
		char mark[REPLAY_MARK_MAX_BYTES];
		uint32_t n = replays > 0 ? replay_mark_write(mark, (uint8_t)replays, own) : 0;
		uint64_t key[2];

		memcpy(tail->original, mark, n);
		memcpy(tail->original + n, message->payload, message->len);
		dedup_hash_refused(dedup, tail->original, n + message->len, key);
		ret = tail->options->found(tail->options->context, stream, RECORD_DEAD_LETTER, key, age_ms);
	}
	return ret;
}

static int grow(struct tail *tail, size_t len)
{
	char *text, *original;

	if (len <= tail->text_size)
		return 0;
	text = realloc(tail->text, len + 64);
	if (text != NULL)
		tail->text = text;
	original = realloc(tail->original, len + 64);
	if (original != NULL)
		tail->original = original;
	if (text == NULL || original == NULL)
		return -ENOMEM;
	tail->text_size = (uint32_t)len;
	return 0;
}

static int take_record(struct tail *tail, const struct part *part, const rd_kafka_message_t *message)
{
	const char *value = message->payload, *end = value + message->len;
	int stream = stream_of(tail, part, message);
	int64_t age_ms = age_of(tail, message);
	int ret = 0;

	if (value == NULL || stream < 0 || message->len > UINT32_MAX / 2) {
		atomic_fetch_add_explicit(&tail->progress->skipped, 1, memory_order_relaxed);
		return 0;
	}
	ret = grow(tail, message->len);
	if (ret == 0 && part->kind == RECORD_DEAD_LETTER && !failed_late(message))
		return take_refused(tail, (uint16_t)stream, message, age_ms);
	if (ret != 0 || part->kind == RECORD_DEAD_LETTER)
		return ret != 0 ? ret
		                : take_event(tail, (uint16_t)stream, part->kind, value, message->len, age_ms);
	/* One event, or one per line: an event has no line end inside. */
	while (ret == 0 && value < end) {
		const char *newline = memchr(value, '\n', (size_t)(end - value));
		const char *stop = newline != NULL ? newline : end;

		ret = take_event(tail, (uint16_t)stream, part->kind, value, (size_t)(stop - value), age_ms);
		value = newline != NULL ? newline + 1 : end;
	}
	return ret;
}

/* ---- reading ---- */

static struct part *part_of(struct tail *tail, const rd_kafka_message_t *message)
{
	for (size_t i = 0; i < tail->n_parts; i++)
		if (tail->parts[i].topic == message->rkt && tail->parts[i].number == message->partition)
			return &tail->parts[i];
	return NULL;
}

static int take_message(struct tail *tail, const rd_kafka_message_t *message, size_t *open)
{
	struct part *part = message->rkt != NULL ? part_of(tail, message) : NULL;
	int ret = 0;

	if (part == NULL || part->from >= part->to)
		return 0;
	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		/* The last offsets may belong to no record (control records, compaction). */
		if (message->offset >= part->to) {
			part->from = part->to;
			--*open;
		}
		return 0;
	}
	if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
	    message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
		/* Retention took it meanwhile: go on where the topic begins now. */
		say(tail, KAFKA_TAIL_READING, part->name, rd_kafka_err2str(message->err));
		return -ESTALE;
	}
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
		say(tail, KAFKA_TAIL_READING, part->name, rd_kafka_err2str(message->err));
		return 0; /* librdkafka tries again */
	}
	if (message->offset < part->to)
		ret = take_record(tail, part, message);
	atomic_fetch_add_explicit(&tail->progress->records, 1, memory_order_relaxed);
	part->from = message->offset + 1;
	if (part->from >= part->to)
		--*open;
	return ret;
}

static void stop_parts(struct tail *tail)
{
	for (size_t i = 0; i < tail->n_parts; i++)
		if (tail->parts[i].started)
			(void)rd_kafka_consume_stop(tail->parts[i].topic, tail->parts[i].number);
}

static int read_parts(struct tail *tail, struct error *err)
{
	rd_kafka_message_t *messages[MESSAGES];
	uint64_t to_read = 0;
	size_t open = 0;
	int ret = 0;

	for (size_t i = 0; i < tail->n_parts; i++) {
		struct part *part = &tail->parts[i];

		if (part->from >= part->to)
			continue;
		if (rd_kafka_consume_start_queue(part->topic, part->number, part->from, tail->queue) != 0)
			return error_set(
			    err, -EIO, "topic %s: %s", part->name, rd_kafka_err2str(rd_kafka_last_error()));
		part->started = true;
		to_read += (uint64_t)(part->to - part->from);
		open++;
	}
	atomic_store_explicit(&tail->progress->to_read, to_read, memory_order_relaxed);
	say(tail, KAFKA_TAIL_READING, "", "");
	while (ret == 0 && open > 0 && !stopped(tail)) {
		ssize_t n = rd_kafka_consume_batch_queue(tail->queue, POLL_MS, messages, MESSAGES);

		for (ssize_t i = 0; i < n; i++) {
			if (ret == 0)
				ret = take_message(tail, messages[i], &open);
			rd_kafka_message_destroy(messages[i]);
		}
		if (n <= 0) {
			pass_time(tail, 0);
		}
	}
	if (ret != 0)
		return error_set(err, ret, "the output topics: %s", strerror(-ret));
	return stopped(tail) ? -ECANCELED : 0;
}

static int seed(struct tail *tail)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && tail->options->seeds != NULL && i < tail->n_parts; i++)
		ret = kafka_checkpoint_seed(
		    tail->options->seeds, tail->parts[i].name, tail->parts[i].number, tail->parts[i].to);
	if (ret == 0 && tail->options->cluster != NULL)
		(void)snprintf(tail->options->cluster, sizeof(tail->cluster), "%s", tail->cluster);
	return ret;
}

static int allocate(struct tail *tail, struct error *err)
{
	uint32_t largest = 0;

	for (size_t s = 0; s < tail->config->n_streams; s++)
		if (tail->config->streams[s].max_event_bytes > largest)
			largest = tail->config->streams[s].max_event_bytes;
	tail->values = calloc(SCHEMA_MAX_FIELDS, sizeof(*tail->values));
	tail->unknown = calloc(BURST_MAX_UNKNOWN, sizeof(*tail->unknown));
	if (tail->values == NULL || tail->unknown == NULL ||
	    json_parser_init(&tail->parser, json_best_isa(), largest) != 0 || grow(tail, largest) != 0)
		return error_set(err, -ENOMEM, "no memory to read the output topics");
	return 0;
}

static void free_tail(struct tail *tail)
{
	for (uint32_t t = 0; t < tail->n_topics; t++)
		rd_kafka_topic_destroy(tail->topics[t].rkt);
	if (tail->queue != NULL)
		rd_kafka_queue_destroy(tail->queue);
	if (tail->rk != NULL)
		rd_kafka_destroy(tail->rk);
	json_parser_fini(&tail->parser);
	free(tail->parts);
	free(tail->values);
	free(tail->unknown);
	free(tail->text);
	free(tail->original);
}

json_t *kafka_tail_describe(struct kafka_tail_progress *tail, json_t *object)
{
	static const char *const stages[] = {[KAFKA_TAIL_WAITING] = "waiting for kafka",
	    [KAFKA_TAIL_SETTLING] = "settling",
	    [KAFKA_TAIL_READING] = "reading topics",
	    [KAFKA_TAIL_DONE] = "done"};

	if (object == NULL)
		object = json_object();
	json_object_set_new(
	    object, "topics", json_string(stages[atomic_load_explicit(&tail->stage, memory_order_relaxed)]));
	json_object_set_new(object, "topic_records",
	    json_integer((json_int_t)atomic_load_explicit(&tail->records, memory_order_relaxed)));
	json_object_set_new(object, "topic_records_to_read",
	    json_integer((json_int_t)atomic_load_explicit(&tail->to_read, memory_order_relaxed)));
	json_object_set_new(object, "topic_records_skipped",
	    json_integer((json_int_t)atomic_load_explicit(&tail->skipped, memory_order_relaxed)));
	pthread_mutex_lock(&tail->mutex);
	if (tail->waiting_for[0] != '\0')
		json_object_set_new(object, "waiting_for", json_string(tail->waiting_for));
	pthread_mutex_unlock(&tail->mutex);
	return object;
}

int kafka_tail_read(
    const struct kafka_tail_options *options, struct kafka_tail_progress *progress, struct error *err)
{
	struct tail tail = {.options = options, .progress = progress, .config = options->engine->config};
	int ret = allocate(&tail, err);

	if (ret == 0)
		ret = connect_client(&tail, err);
	if (ret == 0)
		ret = add_topics(&tail, err);
	say(&tail, KAFKA_TAIL_WAITING, "", "connecting");
	do {
		if (ret == 0 || ret == -ESTALE)
			ret = settle(&tail);
		if (ret == 0)
			ret = read_parts(&tail, err);
		stop_parts(&tail);
	} while (ret == -ESTALE);
	if (ret == 0)
		ret = seed(&tail);
	if (ret == 0)
		say(&tail, KAFKA_TAIL_DONE, "", "");
	else if (ret == -ENOMEM)
		error_set(err, ret, "no memory to read the output topics");
	free_tail(&tail);
	return ret;
}
