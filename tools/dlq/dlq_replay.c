/* SPDX-License-Identifier: BSD-3-Clause */
#include "dlq/dlq_replay.h"

#include "dlq/dlq_args.h"
#include "dlq/dlq_print.h"
#include "dlq/replay_edit.h"
#include "dlq/replay_send.h"
#include "dlq/replay_state.h"
#include "replay_mark.h"
#include "timestamp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define CHUNK_RECORDS 256u
#define CHUNK_BYTES (16u << 20)
#define DEFAULT_RATE 1000.0
#define DEFAULT_REPLAYS 3u
#define DEFAULT_TIMEOUT_S 60u
#define NAME_BYTES 256

struct waiting {
	char stream[NAME_BYTES];
	uint8_t replays; /* of this replay */
	bool own_mark;
};

struct replay {
	const char *reason, *stream, *edit;
	int64_t from_ms, to_ms;
	uint64_t max_replays;
	bool dry_run, json;
	struct replay_state *state;
	struct replay_send *send; /* NULL: a dry run */
	uint32_t n;
	size_t bytes;
	struct replay_line line[CHUNK_RECORDS];
	struct waiting waiting[CHUNK_RECORDS];
	char *later; /* the partition or file whose newer records are left for another run */
	uint64_t matched, stopped, cut, dropped, too_long;
	int rc;
	struct error err;
};

static bool is(const struct dlq_text *text, const char *wanted)
{
	return text->data != NULL && text->len == strlen(wanted) &&
	       memcmp(text->data, wanted, text->len) == 0;
}

static void print_counts(const struct replay *r)
{
	static const struct replay_send_counts none;
	const struct replay_send_counts *sent = r->send != NULL ? replay_send_counts(r->send) : &none;

	if (r->json)
		printf("{\"matched\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"durable\":%" PRIu64
		       ",\"duplicate\":%" PRIu64 ",\"failed_again\":%" PRIu64 ",\"stopped\":%" PRIu64
		       ",\"cut\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"too_long\":%" PRIu64
		       ",\"dry_run\":%s}\n",
		    r->matched, sent->sent, sent->durable, sent->duplicate, sent->rejected, r->stopped,
		    r->cut, r->dropped, r->too_long, r->dry_run ? "true" : "false");
	else
		printf("matched=%" PRIu64 " sent=%" PRIu64 " durable=%" PRIu64 " duplicate=%" PRIu64
		       " failed_again=%" PRIu64 " stopped=%" PRIu64 " cut=%" PRIu64 " dropped=%" PRIu64
		       " too_long=%" PRIu64 "%s\n",
		    r->matched, sent->sent, sent->durable, sent->duplicate, sent->rejected, r->stopped,
		    r->cut, r->dropped, r->too_long, r->dry_run ? " (dry run)" : "");
}

static int send_marked(struct replay *r, uint32_t i)
{
	struct replay_line *line = &r->line[i];
	char *marked = malloc(line->len + REPLAY_MARK_MAX_BYTES);
	uint32_t mark;
	int rc;

	if (marked == NULL)
		return error_set(&r->err, -ENOMEM, "no memory");
	mark = replay_mark_write(marked, r->waiting[i].replays, r->waiting[i].own_mark);
	memcpy(marked + mark, line->data, line->len);
	rc = replay_send_line(r->send, r->waiting[i].stream, marked, mark + line->len, &r->err);
	free(marked);
	if (rc != -EMSGSIZE)
		return rc;
	(void)fprintf(
	    stderr, "penstock dlq replay: a record of %zu bytes is not sent: %s\n", line->len, r->err.text);
	r->too_long++;
	return 0;
}

/* Edits, sends and waits; then the state file says so. */
static int finish_chunk(struct replay *r)
{
	int rc = 0;

	if (r->edit != NULL && r->n > 0)
		rc = replay_edit(r->edit, r->line, r->n, &r->err);
	for (uint32_t i = 0; rc == 0 && i < r->n; i++) {
		if (r->line[i].len == 0) {
			r->dropped++;
		} else if (r->dry_run && r->edit != NULL) {
			fputs("edited: ", stdout);
			dlq_print_bytes(stdout, r->line[i].data, r->line[i].len);
			putchar('\n');
		} else if (!r->dry_run) {
			rc = send_marked(r, i);
		}
	}
	if (rc == 0 && !r->dry_run)
		rc = replay_send_finish(r->send, &r->err);
	if (rc == 0 && !r->dry_run)
		rc = replay_state_save(r->state, &r->err);
	for (uint32_t i = 0; i < r->n; i++)
		free(r->line[i].data);
	r->n = 0;
	r->bytes = 0;
	return rc;
}

static void list(const struct replay *r, const char *what, const struct dlq_record *record)
{
	if (!r->json)
		printf("%s: ", what);
	(void)dlq_print_record(stdout, record, r->json);
}

static uint64_t replays_of(const struct dlq_record *record)
{
	char text[24] = "";

	if (record->replays.data != NULL && record->replays.len < sizeof(text))
		memcpy(text, record->replays.data, record->replays.len);
	return strtoull(text, NULL, 10);
}

static bool is_cut(const struct dlq_record *record)
{
	for (size_t i = 0; i < record->n_headers; i++) {
		if (strcmp(record->headers[i].name, "penstock.error.length") == 0)
			return true;
	}
	return false;
}

/* Into the chunk. */
static int take(struct replay *r, const struct dlq_record *record, uint64_t replays)
{
	struct waiting *waiting = &r->waiting[r->n];
	struct replay_line *line = &r->line[r->n];

	if (record->stream.data == NULL || record->stream.len >= sizeof(waiting->stream))
		return error_set(&r->err, -EBADMSG, "%s, record %lld: names no stream", record->place,
		    (long long)record->number);
	line->data = malloc(record->value.len + 1);
	if (line->data == NULL)
		return error_set(&r->err, -ENOMEM, "no memory");
	memcpy(line->data, record->value.data, record->value.len);
	line->len = record->value.len;
	memcpy(waiting->stream, record->stream.data, record->stream.len);
	waiting->stream[record->stream.len] = '\0';
	waiting->replays = (uint8_t)(replays + 1);
	waiting->own_mark = is(&record->stage, "enrich") || is(&record->stage, "emit");
	r->n++;
	r->bytes += line->len;
	return 0;
}

/* Whether the partition or file has come to what happened after the end of the time that is wanted: the rest of it,
 * our own failures among it, is for another run. */
static bool is_later(struct replay *r, const struct dlq_record *record, int64_t time_ms)
{
	char key[NAME_BYTES + 4200];

	snprintf(key, sizeof(key), "%s\n%d\n", record->place, record->partition);
	if (r->later != NULL && strstr(r->later, key) != NULL)
		return true;
	if (time_ms <= r->to_ms)
		return false;
	if (r->later == NULL) {
		r->later = strdup(key);
	} else {
		char *both = NULL;

		if (asprintf(&both, "%s%s", r->later, key) >= 0) {
			free(r->later);
			r->later = both;
		}
	}
	return true;
}

static int consider(struct replay *r, const struct dlq_record *record, int64_t time_ms)
{
	uint64_t replays = replays_of(record);

	if (!is(&record->reason, r->reason) || time_ms < r->from_ms ||
	    (r->stream != NULL && !is(&record->stream, r->stream)))
		return 0;
	r->matched++;
	if (is_cut(record) || record->value.len == 0) {
		r->cut++;
		list(r, "not all of it is there", record);
	} else if (replays >= r->max_replays) {
		r->stopped++;
		list(r, "has failed too often", record);
	} else {
		if (r->dry_run)
			list(r, "would be replayed", record);
		return take(r, record, replays);
	}
	return 0;
}

static int see(void *context, const struct dlq_record *record)
{
	struct replay *r = context;
	int64_t time_ms = 0;

	if (record->timestamp.data != NULL)
		(void)timestamp_rfc3339(record->timestamp.data, (uint32_t)record->timestamp.len, &time_ms);
	if (is_later(r, record, time_ms) || replay_state_done(r->state, record))
		return 0;
	r->rc = consider(r, record, time_ms);
	if (r->rc == 0 && replay_state_note(r->state, record) != 0)
		r->rc = error_set(&r->err, -ENOMEM, "no memory");
	if (r->rc == 0 && (r->n == CHUNK_RECORDS || r->bytes >= CHUNK_BYTES))
		r->rc = finish_chunk(r);
	return r->rc != 0;
}

static int get_time(const struct args *args, const char *name, int64_t *ms, struct error *err)
{
	const char *text = args_get(args, name);

	if (text == NULL || timestamp_rfc3339(text, (uint32_t)strlen(text), ms))
		return 0;
	return error_set(err, -EINVAL, "--%s: \"%s\" is not a time like 2025-06-17T23:30:00Z", name, text);
}

static int get_options(
    const struct args *args, struct replay *r, struct replay_send_options *send, struct error *err)
{
	uint64_t timeout_s = DEFAULT_TIMEOUT_S;
	struct timespec now;
	int rc;

	clock_gettime(CLOCK_REALTIME, &now);
	r->to_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	r->from_ms = INT64_MIN;
	r->max_replays = DEFAULT_REPLAYS;
	r->reason = args_get(args, "reason");
	r->stream = args_get(args, "stream");
	r->edit = args_get(args, "edit");
	r->dry_run = args_get(args, "dry-run") != NULL;
	r->json = args_get(args, "json") != NULL;
	send->appliance = args_get(args, "appliance");
	send->plain = args_get(args, "plain") != NULL;
	send->rate = DEFAULT_RATE;
	if (r->reason == NULL || args_get(args, "from") == NULL)
		return error_set(err, -EINVAL, "give --reason, as 'dlq ls' names it, and --from");
	if (send->appliance == NULL && !r->dry_run)
		return error_set(err, -EINVAL, "give --appliance, or --dry-run");
	if (args_get(args, "config") == NULL && r->stream == NULL)
		return error_set(err, -EINVAL, "give --stream, or --config for the streams' ports");
	if (getrandom(&send->source_id, sizeof(send->source_id), 0) != sizeof(send->source_id))
		return error_set(err, -errno, "no random number: %s", strerror(errno));
	rc = get_time(args, "from", &r->from_ms, err);
	if (rc == 0)
		rc = get_time(args, "to", &r->to_ms, err);
	if (rc == 0)
		rc = args_get_double(args, "rate", 0.1, 1e7, &send->rate, err);
	if (rc == 0)
		rc = args_get_u64(args, "max-replays", 1, REPLAY_MAX, &r->max_replays, err);
	if (rc == 0)
		rc = args_get_u64(args, "source-id", 1, UINT64_MAX, &send->source_id, err);
	if (rc == 0 && args_get(args, "key-file") != NULL)
		rc = key_file_read(args_get(args, "key-file"), &send->key, err);
	if (rc == 0)
		rc = args_get_u64(args, "timeout", 1, 86400, &timeout_s, err);
	send->timeout_ms = timeout_s * 1000;
	return rc;
}

/* What makes two runs the same replay, for the state file. */
static int open_state(const struct args *args, struct replay *r, struct error *err)
{
	const char *path = args_get(args, "state");
	char *about, *own = NULL;
	int rc;

	if (asprintf(&about, "reason %s, stream %s, from %s", r->reason, r->stream != NULL ? r->stream : "*",
	        args_get(args, "from")) < 0)
		return error_set(err, -ENOMEM, "no memory");
	if (path == NULL && asprintf(&own, "dlq-replay-%s.state", r->reason) < 0)
		own = NULL;
	rc = replay_state_open(r->dry_run && path == NULL ? NULL
	                       : path != NULL             ? path
	                                                  : own,
	    about, &r->state, err);
	free(about);
	free(own);
	return rc;
}

static int run(const struct args *args, struct replay *r, struct replay_send_options *send, struct error *err)
{
	struct config *config = NULL;
	int rc = open_state(args, r, err);

	if (rc == 0 && args_get(args, "config") != NULL)
		rc = config_load(args_get(args, "config"), &config, err);
	send->config = config;
	if (rc == 0 && !r->dry_run)
		rc = replay_send_create(send, &r->send, err);
	if (rc == 0) {
		rc = dlq_args_read(args, see, r, err);
		if (rc >= 0 && r->rc == 0)
			r->rc = finish_chunk(r);
		if (rc >= 0 && r->rc != 0) {
			*err = r->err;
			rc = r->rc;
		}
		print_counts(r);
	}
	replay_send_destroy(r->send);
	replay_state_close(r->state);
	config_free(config);
	return rc < 0 ? rc : 0;
}

int dlq_replay(int argc, char **argv)
{
	struct arg table[] = {
	    DLQ_SOURCE_OPTIONS,
	    {"reason", "REASON", "replay those with this reason, as 'dlq ls' names it", NULL},
	    {"from", "TIME", "that became dead letters at this time (RFC 3339) or later", NULL},
	    {"to", "TIME", "and not after this (now)", NULL},
	    {"stream", "STREAM", "only of this stream", NULL},
	    {"appliance", "HOST[:PORT]", "where to send them; without a port to the stream's of --config",
	        NULL},
	    {"plain", NULL, "as plain datagrams, whose arrival nobody acknowledges", NULL},
	    {"rate", "N", "at most so many per second (1000)", NULL},
	    {"max-replays", "N", "do not replay what has been replayed so often, but list it (3, at most 15)",
	        NULL},
	    {"edit", "COMMAND",
	        "run by sh -c: gets the events, one per line, and writes one line for each; an empty line "
	        "drops "
	        "the event",
	        NULL},
	    {"dry-run", NULL, "show what would be sent", NULL},
	    {"state", "FILE",
	        "how far the replay has come (dlq-replay-REASON.state); a second run goes on there", NULL},
	    {"source-id", "N", "the source to send as (a random one)", NULL},
	    {"key-file", "FILE", "the source's key, a line ID:HEX as 'penstock source add' prints it", NULL},
	    {"timeout", "SECONDS", "fail if acknowledgements take longer (60)", NULL},
	    {NULL, NULL, NULL, NULL},
	};
	const struct args args = {
	    .usage =
	        "penstock dlq replay (--from-files DIR | --brokers B --topic T | --config FILE) --reason R "
	        "--from TIME --appliance HOST[:PORT] [options]",
	    .about = "Sends dead letters to their stream again. Their original bytes go out, or what --edit "
	             "makes of "
	             "them, and each is waited for until it is durable. One that fails again becomes a dead "
	             "letter "
	             "with a higher number of replays. A run that was interrupted goes on where it was. "
	             "Records without all of their bytes are listed and left.",
	    .table = table,
	};
	struct replay_send_options send = {0};
	struct replay *r;
	struct error err;
	int rc = dlq_args_begin(&args, "dlq replay", argc, argv, &err);

	if (rc >= 0)
		return rc;
	r = calloc(1, sizeof(*r));
	if (r == NULL) {
		error_set(&err, -ENOMEM, "no memory");
		return dlq_args_fail("dlq replay", &err);
	}
	if (get_options(&args, r, &send, &err) != 0)
		rc = args_usage_error("dlq replay", &err);
	else
		rc = run(&args, r, &send, &err) == 0 ? EXIT_OK : dlq_args_fail("dlq replay", &err);
	explicit_bzero(&send.key, sizeof(send.key));
	free(r->later);
	free(r);
	return rc;
}
