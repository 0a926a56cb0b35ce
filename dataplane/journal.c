/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal.h"

#include "journal_recover.h"
#include "timestamp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[JOURNAL_STATES] = {
    [JOURNAL_OK] = "ok",
    [JOURNAL_FULL] = "full",
    [JOURNAL_NO_SPACE] = "no_space",
    [JOURNAL_FAILING] = "failing",
};

int journal_open(const struct journal_options *options, struct journal **out, struct error *err)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	const struct journal_io *io = &options->io;
	int rc;

	*out = NULL;
	if (journal == NULL) {
		io->release(io->context);
		return error_set(err, -ENOMEM, "no memory for the journal");
	}
	journal->options = *options;
	journal->checkpoint_fd = -1;
	journal->checkpoint = calloc(1, sizeof(*journal->checkpoint));
	pthread_mutex_init(&journal->mutex, NULL);
	if (journal->checkpoint == NULL) {
		rc = error_set(err, -ENOMEM, "no memory for the journal");
		goto err;
	}
	if (options->segment_bytes < JOURNAL_SEGMENT_MIN || options->segment_bytes % JOURNAL_BLOCK != 0 ||
	    options->max_bytes < 2 * options->segment_bytes) {
		rc = error_set(err, -EINVAL,
		    "segments of %" PRIu64 " bytes, %" PRIu64 " in all: at least %" PRIu64
		    ", and room for two",
		    options->segment_bytes, options->max_bytes, JOURNAL_SEGMENT_MIN);
		goto err;
	}
	rc = io->lock(io->context);
	if (rc != 0) {
		if (rc == -EBUSY)
			error_set(err, rc, "in use by another penstockd");
		else
			error_set(err, rc, "lock: %s", strerror(-rc));
		goto err;
	}
	rc = journal_recover(journal, err);
	if (rc != 0)
		goto err;
	*out = journal;
	return 0;
err:
	error_prefix(err, rc, "%s", options->directory);
	journal_close(journal);
	return rc;
}

void journal_close(struct journal *journal)
{
	const struct journal_io *io;

	if (journal == NULL)
		return;
	io = &journal->options.io;
	if (journal->checkpoint_fd >= 0)
		io->close(io->context, journal->checkpoint_fd);
	io->release(io->context);
	pthread_mutex_destroy(&journal->mutex);
	free(journal->checkpoint);
	free(journal->segments);
	free(journal);
}

struct journal_position journal_end(struct journal *journal)
{
	struct journal_position end;

	pthread_mutex_lock(&journal->mutex);
	end = journal->end;
	pthread_mutex_unlock(&journal->mutex);
	return end;
}

bool journal_find(struct journal *journal, uint64_t number, struct journal_segment *out, bool *has_next,
    struct journal_segment *next)
{
	bool found = false;

	pthread_mutex_lock(&journal->mutex);
	if (journal->n_segments > 0 && number >= journal->segments[0].number &&
	    number - journal->segments[0].number < journal->n_segments) {
		size_t at = number - journal->segments[0].number;

		found = true;
		*out = journal->segments[at];
		*has_next = at + 1 < journal->n_segments;
		if (*has_next)
			*next = journal->segments[at + 1];
	}
	pthread_mutex_unlock(&journal->mutex);
	return found;
}

uint64_t journal_bytes(struct journal *journal)
{
	uint64_t bytes = 0;

	pthread_mutex_lock(&journal->mutex);
	for (size_t i = 0; i < journal->n_segments; i++)
		bytes += journal->segments[i].bytes;
	pthread_mutex_unlock(&journal->mutex);
	return bytes;
}

int journal_segment_add(struct journal *journal, const struct journal_segment *segment)
{
	int rc = 0;

	pthread_mutex_lock(&journal->mutex);
	if (journal->n_segments == journal->max_segments) {
		size_t max = journal->max_segments == 0 ? 16 : 2 * journal->max_segments;
		struct journal_segment *more = realloc(journal->segments, max * sizeof(*more));

		if (more == NULL) {
			rc = -ENOMEM;
			goto out;
		}
		journal->segments = more;
		journal->max_segments = max;
	}
	journal->segments[journal->n_segments++] = *segment;
	journal->next_number = segment->number + 1;
out:
	pthread_mutex_unlock(&journal->mutex);
	return rc;
}

void journal_segment_forget(struct journal *journal, uint64_t number)
{
	pthread_mutex_lock(&journal->mutex);
	if (journal->n_segments > 0 && journal->segments[journal->n_segments - 1].number == number) {
		journal->n_segments--;
		journal->next_number = number;
	}
	pthread_mutex_unlock(&journal->mutex);
}

int journal_free_before(struct journal *journal, uint64_t number)
{
	const struct journal_io *io = &journal->options.io;
	char name[JOURNAL_NAME_BYTES];
	int rc = 0;

	for (;;) {
		bool due;

		pthread_mutex_lock(&journal->mutex);
		/* The last one is the writer's. */
		due = journal->n_segments > 1 && journal->segments[0].number < number;
		if (due)
			journal_segment_name(journal->segments[0].number, name);
		pthread_mutex_unlock(&journal->mutex);
		if (!due)
			return 0;
		rc = io->unlink(io->context, name);
		if (rc != 0 && rc != -ENOENT)
			return rc;
		pthread_mutex_lock(&journal->mutex);
		journal->n_segments--;
		memmove(journal->segments, journal->segments + 1,
		    journal->n_segments * sizeof(journal->segments[0]));
		pthread_mutex_unlock(&journal->mutex);
	}
}

void journal_set_state(struct journal *journal, enum journal_state state, const struct error *err)
{
	pthread_mutex_lock(&journal->mutex);
	journal->state = state;
	if (err != NULL) {
		memcpy(journal->error, err->text, sizeof(journal->error));
		journal->error_ms = clock_wall_ms(journal->options.clock);
	}
	pthread_mutex_unlock(&journal->mutex);
}

void journal_note_damage(struct journal *journal, const struct journal_damage *damage)
{
	size_t kept;

	pthread_mutex_lock(&journal->mutex);
	kept = journal->n_damage < JOURNAL_DAMAGES ? journal->n_damage : JOURNAL_DAMAGES;
	for (size_t i = 0; i < kept; i++) {
		if (journal->damage[i].segment == damage->segment &&
		    journal->damage[i].offset == damage->offset)
			goto out;
	}
	if (kept < JOURNAL_DAMAGES)
		journal->damage[kept] = *damage;
	journal->n_damage++;
	journal->lost_records += damage->records;
	journal->lost_events += damage->events;
out:
	pthread_mutex_unlock(&journal->mutex);
}

static void damage_line(const struct journal_damage *damage, char *text, size_t size)
{
	char name[JOURNAL_NAME_BYTES];

	journal_segment_name(damage->segment, name);
	(void)snprintf(text, size,
	    "%s: damaged at byte %" PRIu64 ": %" PRIu64 " records with %" PRIu64 " events are lost", name,
	    damage->offset, damage->records, damage->events);
}

bool journal_damage_text(struct journal *journal, uint64_t *told, char *text, size_t size)
{
	bool more;

	pthread_mutex_lock(&journal->mutex);
	more = *told < journal->n_damage;
	if (more && *told < JOURNAL_DAMAGES) {
		damage_line(&journal->damage[*told], text, size);
		++*told;
	} else if (more) {
		(void)snprintf(text, size,
		    "%" PRIu64 " more damaged places: %" PRIu64 " events are lost in all",
		    journal->n_damage - *told, journal->lost_events);
		*told = journal->n_damage;
	}
	pthread_mutex_unlock(&journal->mutex);
	return more;
}

static void set_count(json_t *object, const char *name, uint64_t value)
{
	(void)json_object_set_new(object, name, json_integer((json_int_t)value));
}

void journal_describe(struct journal *journal, json_t *object)
{
	json_t *places = json_array();
	char time[TIMESTAMP_TEXT_BYTES], line[256];
	uint64_t bytes = 0;

	pthread_mutex_lock(&journal->mutex);
	for (size_t i = 0; i < journal->n_segments; i++)
		bytes += journal->segments[i].bytes;
	json_object_set_new(object, "directory", json_string(journal->options.directory));
	json_object_set_new(object, "state", json_string(state_names[journal->state]));
	set_count(object, "segments", journal->n_segments);
	set_count(object, "bytes", bytes);
	set_count(object, "max_bytes", journal->options.max_bytes);
	set_count(object, "groups", journal->counts.groups);
	set_count(object, "records_written", journal->counts.records);
	set_count(object, "events_written", journal->counts.events);
	set_count(object, "bytes_written", journal->counts.bytes);
	set_count(object, "rewrites", journal->counts.rewrites);
	set_count(object, "largest_group", journal->counts.largest_group);
	set_count(object, "sync_ms", journal->counts.sync_ns / 1000000);
	set_count(object, "torn_bytes", journal->torn_bytes);
	set_count(object, "lost_events", journal->lost_events);
	for (size_t i = 0; i < journal->n_damage && i < JOURNAL_DAMAGES; i++) {
		damage_line(&journal->damage[i], line, sizeof(line));
		json_array_append_new(places, json_string(line));
	}
	json_object_set_new(object, "damage", places);
	if (journal->error_ms != 0 && timestamp_write(journal->error_ms, time)) {
		json_object_set_new(object, "last_error", json_string(journal->error));
		json_object_set_new(object, "last_error_time", json_stringn(time, sizeof(time)));
	}
	pthread_mutex_unlock(&journal->mutex);
}
