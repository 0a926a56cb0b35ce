/* SPDX-License-Identifier: BSD-3-Clause */
/* Snapshots over pushes, rollbacks, damage and restarts: what is on disk, and what the engine joins with. */
#include "dimension_store.h"
#include "harness.h"

#include "dimtools/dim_build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char yaml[] =
    "node: t\ndataplane: {lcores: [1]}\nsources: [{name: s, type: file, path: /dev/null, stream: a}]\n"
    "sinks: {files: {directory: lake}}\ndimensions: {products: {required: true}}\n"
    "streams:\n  - name: a\n    fields: {p: {type: string}}\n    dedup: {mode: off}\n"
    "    enrich: [{dimension: products, key: p, as: product, on_miss: emit}]\n"
    "    output: {raw: r, enriched: e, dead_letter: d}\n";

struct fixture {
	struct harness h;
	struct dimension_store *store;
	char state[96];
};

static void open_store(struct fixture *f)
{
	struct error err;

	assert_int_equal(dimension_store_open(f->state, f->h.engine, -1, &f->store, &err), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	harness_open(&f->h, yaml, sizeof(yaml) - 1, NULL);
	(void)snprintf(f->state, sizeof(f->state), "%s/deep/state", f->h.directory);
	open_store(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[192];

	dimension_store_close(f->store);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'/*", f->h.directory);
	if (system(command) != 0)
		return -1;
	harness_close(&f->h);
	free(f);
	return 0;
}

/* As a restart does: everything in memory goes, the directory stays. */
static void restart(struct fixture *f)
{
	dimension_store_close(f->store);
	dimension_free(engine_publish(f->h.engine, 0, NULL));
	open_store(f);
}

static void snapshot(struct fixture *f, const char *version, char path[128])
{
	struct error err = {{0}};
	char rows[128];
	FILE *file;

	(void)snprintf(path, 128, "%s/rows.jsonl", f->h.directory);
	(void)snprintf(rows, sizeof(rows), "{\"p\":\"1\",\"v\":\"%s\"}\n", version);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(rows, file);
	(void)fclose(file);
	(void)snprintf(rows, sizeof(rows), "%s/upload", f->h.directory);
	if (dim_build(&(struct dim_build_options){.from = path,
	                  .format = DIM_FORMAT_JSONL,
	                  .output = rows,
	                  .key = "p",
	                  .name = "products",
	                  .version = version},
	        &err) != 0)
		fail_msg("%s", err.text);
	strcpy(path, rows);
}

/* All of a change: a push of the file at `path`, or a rollback. */
static int change(struct fixture *f, const char *name, const char *path, json_t **result, struct error *err)
{
	struct dimension_change *change;
	int ret = dimension_store_begin(f->store, name, path, &change, err);

	if (ret == 0)
		ret = dimension_change_load(change, err);
	if (ret == 0)
		dimension_store_commit(f->store, change, result);
	dimension_change_free(change);
	return ret;
}

static int push(struct fixture *f, const char *version, struct error *err)
{
	json_t *result = NULL;
	char path[128];
	int ret;

	snapshot(f, version, path);
	ret = change(f, "products", path, &result, err);
	if (ret == 0)
		assert_string_equal(json_string_value(json_object_get(result, "version")), version);
	json_decref(result);
	return ret;
}

static void assert_joins_with(struct fixture *f, const char *version)
{
	char expected[64];

	harness_forget(&f->h);
	harness_send(&f->h, 0, "{\"p\":\"1\"}", 9);
	(void)snprintf(expected, sizeof(expected), "\"product\":{\"v\":\"%s\"}", version);
	assert_non_null(strstr(harness_record(&f->h, RECORD_ENRICHED, 0)->value, expected));
}

static void a_push_survives_a_restart(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_false(atomic_load(&f->h.engine->accepting));
	assert_int_equal(push(f, "v1", &err), 0);
	assert_true(atomic_load(&f->h.engine->accepting));
	assert_int_equal(push(f, "v2", &err), 0);
	assert_joins_with(f, "v2");
	restart(f);
	assert_true(atomic_load(&f->h.engine->accepting));
	assert_joins_with(f, "v2");
}

static void rollback_goes_back_and_forth(void **state)
{
	struct fixture *f = *state;
	json_t *result = NULL;
	struct error err;

	assert_int_equal(change(f, "products", NULL, &result, &err), -ENOENT);
	assert_int_equal(push(f, "v1", &err), 0);
	assert_int_equal(push(f, "v2", &err), 0);
	assert_int_equal(change(f, "products", NULL, &result, &err), 0);
	json_decref(result);
	assert_joins_with(f, "v1");
	restart(f);
	assert_joins_with(f, "v1");
	assert_int_equal(change(f, "products", NULL, &result, &err), -ENOENT);
	/* v2 was taken back: going back from v3 must not bring it again. */
	assert_int_equal(push(f, "v3", &err), 0);
	assert_joins_with(f, "v3");
	assert_int_equal(change(f, "products", NULL, &result, &err), 0);
	json_decref(result);
	assert_joins_with(f, "v1");
}

static void damage_changes_nothing(void **state)
{
	struct fixture *f = *state;
	json_t *result = NULL;
	char path[128];
	struct error err;
	FILE *file;

	assert_int_equal(push(f, "v1", &err), 0);
	snapshot(f, "v2", path);
	assert_int_equal(truncate(path, 200), 0);
	assert_int_equal(change(f, "products", path, &result, &err), -EBADMSG);
	assert_int_equal(access(path, F_OK), 0);
	file = fopen(path, "w");
	(void)fputs("not a snapshot", file);
	(void)fclose(file);
	assert_int_not_equal(change(f, "products", path, &result, &err), 0);
	assert_int_equal(change(f, "prices", path, &result, &err), -ENOENT);
	assert_null(result);
	assert_joins_with(f, "v1");
	restart(f);
	assert_joins_with(f, "v1");
}

/* A stored file that went bad is shown, not guessed around; a good push mends it. */
static void a_bad_stored_file_is_an_error_in_the_list(void **state)
{
	struct fixture *f = *state;
	char path[4096];
	json_t *list;
	struct error err;

	assert_int_equal(push(f, "v1", &err), 0);
	assert_int_equal(dimension_store_current(f->state, "products", path, sizeof(path)), 0);
	assert_int_equal(truncate(path, 100), 0);
	restart(f);
	assert_false(atomic_load(&f->h.engine->accepting));
	list = dimension_store_list(f->store);
	assert_non_null(json_object_get(json_array_get(list, 0), "error"));
	json_decref(list);
	assert_int_equal(push(f, "v2", &err), 0);
	list = dimension_store_list(f->store);
	assert_null(json_object_get(json_array_get(list, 0), "error"));
	json_decref(list);
	assert_joins_with(f, "v2");
}

/* While a snapshot is read in a thread, the old one is shown and used. */
static void a_change_shows_only_when_it_is_committed(void **state)
{
	struct fixture *f = *state;
	struct dimension_change *change;
	json_t *list, *result;
	struct error err;
	char path[128];

	assert_int_equal(push(f, "v1", &err), 0);
	snapshot(f, "v2", path);
	assert_int_equal(dimension_store_begin(f->store, "products", path, &change, &err), 0);
	dimension_change_free(change);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(dimension_store_begin(f->store, "products", path, &change, &err), 0);
	assert_int_equal(dimension_change_load(change, &err), 0);
	list = dimension_store_list(f->store);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "version")), "v1");
	assert_int_equal(json_array_size(json_object_get(json_array_get(list, 0), "previous")), 0);
	json_decref(list);
	assert_joins_with(f, "v1");
	dimension_store_commit(f->store, change, &result);
	assert_string_equal(json_string_value(json_object_get(result, "version")), "v2");
	json_decref(result);
	dimension_change_free(change);
	assert_joins_with(f, "v2");
	restart(f);
	assert_joins_with(f, "v2");
}

static void old_snapshots_are_removed(void **state)
{
	struct fixture *f = *state;
	char version[16];
	json_t *list;
	struct error err;

	for (int i = 1; i <= 9; i++) {
		(void)snprintf(version, sizeof(version), "v%d", i);
		assert_int_equal(push(f, version, &err), 0);
	}
	list = dimension_store_list(f->store);
	assert_int_equal(json_array_size(json_object_get(json_array_get(list, 0), "previous")), 3);
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(json_array_get(list, 0), "previous"), 0)), "v8");
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_push_survives_a_restart, setup, teardown),
	    cmocka_unit_test_setup_teardown(rollback_goes_back_and_forth, setup, teardown),
	    cmocka_unit_test_setup_teardown(damage_changes_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_bad_stored_file_is_an_error_in_the_list, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_change_shows_only_when_it_is_committed, setup, teardown),
	    cmocka_unit_test_setup_teardown(old_snapshots_are_removed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
