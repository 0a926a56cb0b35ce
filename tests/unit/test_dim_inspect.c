/* SPDX-License-Identifier: BSD-3-Clause */
#include "dim_files.h"
#include "dimtools/dim_inspect.h"

#include <errno.h>
#include <jansson.h>

static char *printed(int (*print)(const char *path, FILE *out, struct error *err), const char *path, int *rc,
    struct error *err)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	*rc = print(path, out, err);
	(void)fclose(out);
	return text;
}

static int print_header(const char *path, FILE *out, struct error *err)
{
	return dim_inspect_header(path, true, out, err);
}

static int print_lines(const char *path, FILE *out, struct error *err)
{
	return dim_inspect_header(path, false, out, err);
}

static int print_key(const char *path, FILE *out, struct error *err)
{
	return dim_inspect_key(path, "k", false, out, err);
}

static int print_key_json(const char *path, FILE *out, struct error *err)
{
	return dim_inspect_key(path, "k", true, out, err);
}

static int print_no_key(const char *path, FILE *out, struct error *err)
{
	return dim_inspect_key(path, "no\"ne", true, out, err);
}

static void inspection(void **state)
{
	struct dim_build_options options = {.name = "users", .version = "v7"};
	struct dim_files *files = *state;
	struct error err = {""};
	const char *path;
	char *text;
	json_t *json;
	int rc;

	dimension_free(built(files, "a.csv", "id,\"a\"\"b\",n:number\nk,x,1\nl,y,2\n", &options));
	path = file_path(files, "t.dim");

	text = printed(print_header, path, &rc, &err);
	assert_int_equal(rc, 0);
	json = json_loads(text, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(json, "name")), "users");
	assert_string_equal(json_string_value(json_object_get(json, "version")), "v7");
	assert_string_equal(json_string_value(json_object_get(json, "key")), "id");
	assert_string_equal(json_string_value(json_object_get(json, "built")), "2025-06-17T23:30:05.123Z");
	assert_string_equal(json_string_value(json_array_get(json_object_get(json, "columns"), 0)), "a\"b");
	assert_int_equal(json_integer_value(json_object_get(json, "rows")), 2);
	json_decref(json);
	free(text);

	text = printed(print_lines, path, &rc, &err);
	assert_non_null(strstr(text, "\ncolumns        \"a\\\"b\",\"n\"\nrows           2\n"));
	free(text);
	text = printed(print_key, path, &rc, &err);
	assert_int_equal(rc, 0);
	assert_string_equal(text, "{\"a\\\"b\":\"x\",\"n\":1}\n");
	free(text);
	text = printed(print_key_json, path, &rc, &err);
	assert_string_equal(text,
	    "{\"name\":\"users\",\"version\":\"v7\",\"key\":\"k\",\"row\":{\"a\\\"b\":\"x\",\"n\":1}}\n");
	free(text);
	text = printed(print_no_key, path, &rc, &err);
	assert_int_equal(rc, -ENOENT);
	assert_string_equal(
	    text, "{\"name\":\"users\",\"version\":\"v7\",\"key\":\"no\\\"ne\",\"row\":null}\n");
	assert_non_null(strstr(err.text, "t.dim: no key \"no\"ne\" among 2 rows"));
	free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, files_setup, files_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(inspection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
