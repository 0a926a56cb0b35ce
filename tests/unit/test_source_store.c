/* SPDX-License-Identifier: BSD-3-Clause */
#include "source_store.h"

#include "wire_mac.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char yaml[] = "node: t\n"
                           "streams:\n"
                           "  - name: a\n"
                           "    fields: {id: {type: string}}\n"
                           "    dedup: {mode: \"off\"}\n"
                           "    output: {raw: r, dead_letter: d}\n"
                           "sinks: {files: {directory: /tmp/unused}}\n";

struct fixture {
	struct config *config;
	struct engine *engine;
	char directory[64], path[96];
	struct source_store *store;
	struct error err;
};

static int setup(void **state)
{
	struct engine_options options = {
	    .n_workers = 2, .n_sinks = 1, .batches_per_worker = 2, .node = -1, .clock = &system_clock};
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->directory, "/tmp/penstock-sources-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	(void)snprintf(f->path, sizeof(f->path), "%s/sources.json", f->directory);
	assert_int_equal(config_parse(yaml, sizeof(yaml) - 1, "t.yaml", &f->config, &f->err), 0);
	f->config->dataplane.hugepages = HUGEPAGES_OFF;
	assert_int_equal(engine_create(f->config, &options, &f->engine, &f->err), 0);
	assert_int_equal(source_store_open(f->directory, f->engine, &f->store, &f->err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	source_store_close(f->store);
	engine_destroy(f->engine);
	config_free(f->config);
	(void)unlink(f->path);
	assert_int_equal(rmdir(f->directory), 0); /* nothing else is left behind */
	free(f);
	return 0;
}

static int add(struct fixture *f, const char *id, const char *request)
{
	json_t *object = json_loads(request, 0, NULL), *result = NULL;
	int rc;

	assert_non_null(object);
	rc = source_store_add(f->store, id, object, &result, &f->err);
	assert_int_equal(rc == 0, result != NULL);
	json_decref(object);
	json_decref(result);
	return rc;
}

static void assert_list(const struct fixture *f, const char *wanted)
{
	json_t *list = source_store_list(f->store), *expected = json_loads(wanted, 0, NULL);

	assert_non_null(expected);
	assert_true(json_equal(list, expected));
	json_decref(list);
	json_decref(expected);
}

#define KEY_A "\"key\":\"000102030405060708090a0b0c0d0e0f\""
#define KEY_B "\"key\":\"FF0102030405060708090a0b0c0d0e0f\""

static void sources_outlive_the_daemon(void **state)
{
	struct fixture *f = *state;
	json_t *result = NULL;
	struct stat st;

	assert_list(f, "[]");
	assert_int_equal(add(f, "42", "{" KEY_A ",\"rate\":1000}"), 0);
	assert_int_equal(add(f, "18446744073709551615", "{" KEY_B ",\"key_id\":9}"), 0);
	assert_int_equal(add(f, "42", "{" KEY_B ",\"burst\":64}"), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	for (int i = 0; i < 2; i++) {
		assert_list(f,
		    "[{\"id\":\"42\",\"revoked\":false,\"rate\":1000,\"burst\":64,\"key_ids\":[1,2]},"
		    "{\"id\":\"18446744073709551615\",\"revoked\":false,\"rate\":0,\"burst\":0,\"key_ids\":["
		    "9]}]");
		source_store_close(f->store);
		assert_int_equal(source_store_open(f->directory, f->engine, &f->store, &f->err), 0);
	}
	/* A third key takes the first one's place; what is revoked begins anew. */
	assert_int_equal(add(f, "42", "{" KEY_A "}"), 0);
	assert_int_equal(add(f, "42", "{\"rate\":7}"), 0);
	assert_int_equal(source_store_revoke(f->store, "18446744073709551615", &result, &f->err), 0);
	json_decref(result);
	assert_list(f,
	    "[{\"id\":\"42\",\"revoked\":false,\"rate\":7,\"burst\":64,\"key_ids\":[2,3]},"
	    "{\"id\":\"18446744073709551615\",\"revoked\":true,\"rate\":0,\"burst\":0,\"key_ids\":[]}]");
	assert_int_equal(add(f, "18446744073709551615", "{" KEY_A "}"), 0);
	assert_list(f,
	    "[{\"id\":\"42\",\"revoked\":false,\"rate\":7,\"burst\":64,\"key_ids\":[2,3]},"
	    "{\"id\":\"18446744073709551615\",\"revoked\":false,\"rate\":0,\"burst\":0,\"key_ids\":[1]}]");
}

static void what_is_refused_changes_nothing(void **state)
{
	static const struct {
		const char *id, *request, *why;
	} bad[] = {
	    {"", "{" KEY_A "}", "\"\" is not a source's id: a number is needed"},
	    {"x", "{" KEY_A "}", "\"x\" is not a source's id: a number is needed"},
	    {"18446744073709551616", "{" KEY_A "}",
	        "\"18446744073709551616\" is not a source's id: a number is needed"},
	    {"7", "{}", "key: 16 to 64 bytes in hexadecimal digits are needed"},
	    {"7", "{\"key\":\"00\"}", "key: 16 to 64 bytes in hexadecimal digits are needed"},
	    {"7", "{\"key\":\"g00102030405060708090a0b0c0d0e0f\"}", "key: not hexadecimal"},
	    {"7", "{" KEY_A ",\"rate\":-1}", "rate: an integer of 0 to 1000000000 is needed"},
	    {"7", "{" KEY_A ",\"burst\":1.5}", "burst: an integer of 0 to 1000000000 is needed"},
	    {"42", "{" KEY_A ",\"key_id\":1}", "source 42 has a key 1 already"},
	};
	static const char list[] =
	    "[{\"id\":\"42\",\"revoked\":false,\"rate\":0,\"burst\":0,\"key_ids\":[1]}]";
	struct fixture *f = *state;
	json_t *result = NULL;

	assert_int_equal(add(f, "42", "{" KEY_A "}"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(add(f, bad[i].id, bad[i].request) < 0);
		assert_string_equal(f->err.text, bad[i].why);
		assert_list(f, list);
	}
	assert_int_equal(source_store_revoke(f->store, "43", &result, &f->err), -ENOENT);
	assert_list(f, list);
	/* Where it cannot be written, it is not in force either. */
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(mkdir(f->path, 0700), 0);
	assert_true(source_store_revoke(f->store, "42", &result, &f->err) < 0);
	assert_list(f, list);
	assert_int_equal(rmdir(f->path), 0);
}

static void a_damaged_file_lets_nobody_in(void **state)
{
	static const char *const bad[] = {"", "{", "{\"version\":2,\"sources\":[]}",
	    "{\"version\":1,\"sources\":[{\"id\":\"x\"}]}",
	    "{\"version\":1,\"sources\":[{\"id\":\"1\",\"keys\":[{}]}]}",
	    "{\"version\":1,\"sources\":[{\"id\":\"1\"},{\"id\":\"1\"}]}"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		FILE *file = fopen(f->path, "w");

		source_store_close(f->store);
		assert_non_null(file);
		(void)fputs(bad[i], file);
		(void)fclose(file);
		assert_true(source_store_open(f->directory, f->engine, &f->store, &f->err) < 0);
		assert_null(f->store);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(sources_outlive_the_daemon, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_refused_changes_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_damaged_file_lets_nobody_in, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
