/* SPDX-License-Identifier: BSD-3-Clause */
#include "dlq/replay_state.h"

#include "file_replace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#define VERSION 1
#define KEY_BYTES 4200 /* a path, or a topic with a partition */

struct replay_state {
	char *path; /* NULL: nothing is kept */
	json_t *document, *next;
};

/* "topic/partition", or the file under the name that it has in the end. */
static void key_of(char key[KEY_BYTES], const struct dlq_record *record)
{
	static const char open_suffix[] = ".open";
	const char *name = strrchr(record->place, '/');
	size_t len = strlen(record->place), end = sizeof(open_suffix) - 1;

	if (record->partition >= 0) {
		snprintf(key, KEY_BYTES, "%s/%d", record->place, record->partition);
		return;
	}
	name = name != NULL ? name + 1 : record->place;
	if (name[0] == '.' && len > end && strcmp(record->place + len - end, open_suffix) == 0)
		snprintf(key, KEY_BYTES, "%.*s%.*s", (int)(name - record->place), record->place,
		    (int)(len - end - (size_t)(name + 1 - record->place)), name + 1);
	else
		snprintf(key, KEY_BYTES, "%s", record->place);
}

static int check(const struct replay_state *state, const char *about, struct error *err)
{
	const char *found = json_string_value(json_object_get(state->document, "replay"));

	if (json_integer_value(json_object_get(state->document, "version")) != VERSION || found == NULL ||
	    !json_is_object(state->next))
		return error_set(err, -EBADMSG, "%s: not the state of a replay", state->path);
	if (strcmp(found, about) != 0)
		return error_set(err, -EEXIST,
		    "%s: is of another replay (%s); name another file with --state, or remove it",
		    state->path, found);
	return 0;
}

int replay_state_open(const char *path, const char *about, struct replay_state **out, struct error *err)
{
	struct replay_state *state = calloc(1, sizeof(*state));
	json_error_t reason;
	int rc = -ENOMEM;

	*out = NULL;
	if (state == NULL)
		return error_set(err, rc, "no memory");
	if (path != NULL && access(path, F_OK) == 0) {
		state->document = json_load_file(path, 0, &reason);
		if (state->document == NULL) {
			rc = error_set(err, -EBADMSG, "%s:%d: %s", path, reason.line, reason.text);
			goto err;
		}
	} else {
		state->document = json_pack("{s:i, s:s, s:{}}", "version", VERSION, "replay", about, "next");
	}
	state->path = path != NULL ? strdup(path) : NULL;
	if (state->document == NULL || (path != NULL && state->path == NULL)) {
		rc = error_set(err, -ENOMEM, "no memory");
		goto err;
	}
	state->next = json_object_get(state->document, "next");
	if (path != NULL) {
		rc = check(state, about, err);
		if (rc != 0)
			goto err;
	}
	*out = state;
	return 0;
err:
	replay_state_close(state);
	return rc;
}

void replay_state_close(struct replay_state *state)
{
	if (state == NULL)
		return;
	json_decref(state->document);
	free(state->path);
	free(state);
}

bool replay_state_done(const struct replay_state *state, const struct dlq_record *record)
{
	char key[KEY_BYTES];
	const json_t *next;

	key_of(key, record);
	next = json_object_get(state->next, key);
	return next != NULL && record->number < json_integer_value(next);
}

int replay_state_note(struct replay_state *state, const struct dlq_record *record)
{
	char key[KEY_BYTES];

	key_of(key, record);
	return json_object_set_new(state->next, key, json_integer(record->number + 1)) == 0 ? 0 : -ENOMEM;
}

int replay_state_save(struct replay_state *state, struct error *err)
{
	char *text, *directory, *slash;
	int rc;

	if (state->path == NULL)
		return 0;
	text = json_dumps(state->document, JSON_INDENT(1));
	directory = strdup(state->path);
	if (text == NULL || directory == NULL) {
		rc = error_set(err, -ENOMEM, "no memory");
		goto out;
	}
	slash = strrchr(directory, '/');
	if (slash == NULL) {
		rc = file_replace(".", state->path, text, strlen(text), 0644, err);
	} else {
		*slash = '\0';
		rc = file_replace(
		    slash == directory ? "/" : directory, slash + 1, text, strlen(text), 0644, err);
	}
out:
	free(text);
	free(directory);
	return rc;
}
