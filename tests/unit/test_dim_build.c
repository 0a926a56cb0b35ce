/* SPDX-License-Identifier: BSD-3-Clause */
#include "dim_files.h"
#include "dimtools/input.h"

#include <errno.h>

static void what_is_refused(void **state)
{
	static const struct {
		const char *file, *text, *reason;
	} cases[] = {
	    {"a.csv", "", "a.csv:1: empty: a header with column names is expected"},
	    {"a.csv", "x,y\n1,2\n", "a.csv:1: no column \"id\""},
	    {"a.csv", "id,,y\n", "a.csv:1: column 2 has no name"},
	    {"a.csv", "id,a,a:number\n", "a.csv:1: column \"a\" occurs twice"},
	    {"a.csv", "id,price:nubmer\n",
	        "a.csv:1: column \"price:nubmer\": \"nubmer\" is none of the types"},
	    {"a.csv", "id,\"a\nb\"\n", "a.csv:1: the name of column 2 holds a control character"},
	    {"a.csv", "id,a\nk,1\nl,2,3\n", "a.csv:3: 3 fields, the header has 2"},
	    {"a.csv", "id,a\nk,\"1\n\n2\"\n\nl,2\n", "a.csv:5: 1 field, the header has 2"},
	    {"a.csv", "id,a\nk,\"b\nc", "a.csv:2: a quoted field that is not closed"},
	    {"a.csv", "id,a\nk,\"b", "a.csv:2: a quoted field that is not closed"},
	    {"a.csv", "id,a\nk,\"b\nc\"d\n", "a.csv:3: text after a field's closing quote"},
	    {"a.csv", "id,a\nk,b\"c\n", "a.csv:2: a quote inside a field that does not start with one"},
	    {"a.csv", "id,a\nk,b\rl,c\n", "a.csv:2: a carriage return without a line feed"},
	    {"a.csv", "id,a\nk,b\nl,\xff\n", "a.csv:3: not valid UTF-8"},
	    {"a.csv", "id,a\nk,\xed\xa0\x80\n", "a.csv:2: not valid UTF-8"},
	    {"a.csv", "id,a\nk,\xe2\x82", "a.csv:2: not valid UTF-8"},
	    {"a.csv", "id,a\n,b\n", "a.csv:2: the key is empty"},
	    {"a.csv", "id,a\nk,1\nl,2\nk,3\nl,4\n", "a.csv:4: the key \"k\" is there already, from line 2"},
	    {"a.csv", "id,a:number\nk,1.\n", "a.csv:2: column \"a\": \"1.\" is not a number"},
	    {"a.csv", "id,a:number\nk,+1\n", "\"+1\" is not a number"},
	    {"a.csv", "id,a:number\nk,NaN\n", "\"NaN\" is not a number"},
	    {"a.csv", "id,a:number\nk, 1\n", "\" 1\" is not a number"},
	    {"a.csv", "id,a:integer\nk,1.0\n", "\"1.0\" is not an integer"},
	    {"a.csv", "id,a:integer\nk,1e3\n", "\"1e3\" is not an integer"},
	    {"a.csv", "id,a:integer\nk,01\n", "\"01\" is not an integer"},
	    {"a.csv", "id,a:boolean\nk,yes\n", "\"yes\" is neither true nor false"},
	    {"a.csv", "id,a:json\nk,[1\n", "the JSON ends too early"},
	    {"a.csv", "id,a:json\nk,1 2\n", "is more than one JSON value"},
	    {"a.jsonl", "{\"id\":1}\n{\"x\":1}\n", "a.jsonl:2: no member \"id\""},
	    {"a.jsonl", "{\"id\":1}\n\n{\"id\":\"1\"}\n",
	        "a.jsonl:3: the key \"1\" is there already, from line 1"},
	    {"a.jsonl", "{\"id\":\"a\"}\n{\"id\":\"\\u0061\"}\n",
	        "a.jsonl:2: the key \"a\" is there already"},
	    {"a.jsonl", "{\"id\":1.5}\n", "a.jsonl:1: \"id\" is neither a string nor an integer"},
	    {"a.jsonl", "{\"id\":null}\n", "\"id\" is neither a string nor an integer"},
	    {"a.jsonl", "{\"id\":\"\"}\n", "a.jsonl:1: the key is empty"},
	    {"a.jsonl", "{\"id\":1,\"\\u0069d\":2}\n", "a.jsonl:1: a member occurs twice"},
	    {"a.jsonl", "{\"id\":1}{\"id\":2}\n", "a.jsonl:1: something follows the object on its line"},
	    {"a.jsonl", "{\"id\":1,\n\"a\":2}\n", "a.jsonl:1: the JSON ends too early"},
	    {"a.jsonl", "[1]\n", "a.jsonl:1: a JSON object is expected"},
	    {"a.jsonl", "{\"id\":1,}\n", "a.jsonl:1: a member's name is expected"},
	    {"a.jsonl", "{\"id\" 1}\n", "a colon is expected"},
	    {"a.jsonl", "{\"id\":1 \"a\":2}\n", "a comma or } is expected"},
	    {"a.jsonl", "{\"id\":01}\n", "not a JSON value"},
	    {"a.jsonl", "{\"id\":1,\"a\":nul}\n", "not a JSON value"},
	    {"a.jsonl", "{\"id\":1,\"a\":True}\n", "not a JSON value"},
	    {"a.jsonl", "{\"id\":1,\"a\":[1 2]}\n", "a comma or ] is expected"},
	    {"a.jsonl", "{\"id\":1,\"a\":[1,]}\n", "not a JSON value"},
	    {"a.jsonl", "{\"id\":1,\"a\":{1:2}}\n", "a member's name is expected"},
	    {"a.jsonl", "{\"id\":1,\"a\":{\"b\":2 3}}\n", "a comma or } is expected"},
	    {"a.jsonl", "{\"id\":1,\"a\":\"\\x\"}\n", "an invalid escape"},
	    {"a.jsonl", "{\"id\":1,\"a\":\"\\ud800\"}\n", "an invalid escape"},
	    {"a.jsonl", "{\"id\":1,\"a\":\"\\u12\"}\n", "an invalid escape"},
	    {"a.jsonl", "{\"id\":1,\"a\":\"\t\"}\n", "an unescaped control character"},
	    {"a.jsonl", "{\"id\":1,\"a\":\"\xc0\xaf\"}\n", "a.jsonl:1: not valid UTF-8"},
	    {"a.json", "", "a.json:1: the JSON ends too early"},
	    {"a.json", "{\"id\":1}", "a.json:1: a JSON array is expected"},
	    {"a.json", "[{\"id\":1},\n{\"id\":2}\n", "a.json:3: the JSON ends too early"},
	    {"a.json", "[{\"id\":1},\n]", "a.json:2: a JSON object is expected"},
	    {"a.json", "[{\"id\":1}\n{\"id\":2}]", "a.json:2: a comma or ] is expected"},
	    {"a.json", "[{\"id\":1}]\n[", "a.json:2: something follows the array"},
	    {"a.json", "[\n\n{\"id\":1},\n{\"id\":1}]",
	        "a.json:4: the key \"1\" is there already, from line 3"},
	    {"a.txt", "id\n1\n", "a.txt: its name ends in none of .csv"},
	};
	struct dim_files *files = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dim_build_options options = {0};
		struct error err = {""};
		int rc =
		    build_text(files, cases[i].file, cases[i].text, strlen(cases[i].text), &options, &err);

		if (rc != (strcmp(cases[i].file, "a.txt") == 0 ? -EINVAL : -EBADMSG) ||
		    strstr(err.text, cases[i].reason) == NULL)
			fail_msg(
			    "case %zu: %d, \"%s\" does not say \"%s\"", i, rc, err.text, cases[i].reason);
		(void)unlink(file_path(files, cases[i].file));
		assert_int_equal(count_files(files), 0);
	}
}

static void impossible_options(void **state)
{
	const char *twice[] = {"a", "a"}, *absent[] = {"a", "z"};
	const struct {
		struct dim_build_options options;
		int code;
		const char *reason;
	} cases[] = {
	    {{.name = "no/slash"}, -EINVAL, "cannot name a dimension"},
	    {{.name = ""}, -EINVAL, "cannot name a dimension"},
	    {{.version = "a b"}, -EINVAL, "cannot be a version"},
	    {{.columns = twice, .n_columns = 2}, -EINVAL, "column \"a\" is chosen twice"},
	    {{.columns = absent, .n_columns = 2}, -EBADMSG, "a.csv:1: no column \"z\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dim_build_options options = cases[i].options;
		struct error err = {""};

		assert_int_equal(
		    build_text(*state, "a.csv", "id,a\n1,2\n", 9, &options, &err), cases[i].code);
		assert_non_null(strstr(err.text, cases[i].reason));
		assert_int_equal(count_files(*state), 1);
	}
}

static void limits_of_keys_and_rows(void **state)
{
	char *text = malloc(3 * DIMENSION_MAX_ROW);
	struct error err = {""};
	size_t overhead = strlen("{\"a\":\"\"}");

	for (unsigned int over = 0; over < 2; over++) {
		struct dim_build_options options = {0};
		int len = sprintf(text, "id,a\n%0*u,1\nk,%0*u\n", (int)(DIMENSION_MAX_KEY), 1u,
		    (int)(DIMENSION_MAX_ROW - overhead + over), 1u);

		err.text[0] = '\0';
		(void)build_text(*state, "a.csv", text, (size_t)len, &options, &err);
		assert_string_equal(err.text[0] == '\0' ? "" : strrchr(err.text, '/'),
		    over ? "/a.csv:3: a row of 65536 bytes of JSON, at most 65535 are allowed" : "");
	}
	for (unsigned int over = 0; over < 2; over++) {
		struct dim_build_options options = {0};
		int len = sprintf(text, "id,a\n%0*u,1\n", (int)(DIMENSION_MAX_KEY + over), 1u);

		err.text[0] = '\0';
		(void)build_text(*state, "a.csv", text, (size_t)len, &options, &err);
		assert_string_equal(err.text[0] == '\0' ? "" : strrchr(err.text, '/'),
		    over ? "/a.csv:2: a key of 1025 bytes, at most 1024 are allowed" : "");
	}
	free(text);
}

static void records_without_end_are_refused(void **state)
{
	size_t len = INPUT_MAX_RECORD + (INPUT_MAX_RECORD >> 1);
	struct dim_build_options options = {0};
	struct error err = {""};
	char *text = malloc(len);

	memset(text, 'x', len);
	memcpy(text, "id,a\nk,", 7);
	assert_int_equal(build_text(*state, "a.csv", text, len, &options, &err), -E2BIG);
	assert_non_null(strstr(err.text, "a.csv:2: a record of more than 16777216 bytes"));
	free(text);
}

static void the_same_input_gives_the_same_file(void **state)
{
	static const char text[] = "id,a\nk,1\nl,2\n";
	struct dim_files *files = *state;
	struct dim_build_options options = {0};
	struct dimension *dimension;
	struct error err = {""};
	uint8_t *first, *second;
	size_t first_len, second_len;

	(void)build_text(files, "a.csv", text, strlen(text), &options, &err);
	first = read_file(file_path(files, "t.dim"), &first_len);
	(void)build_text(files, "a.csv", text, strlen(text), &options, &err);
	second = read_file(file_path(files, "t.dim"), &second_len);
	assert_string_equal(err.text, "");
	assert_int_equal(first_len, second_len);
	assert_memory_equal(first, second, first_len);
	dimension = load_built(files);
	assert_string_equal(dimension->name, "t");
	assert_int_equal(strlen(dimension->version), 25);
	assert_memory_equal(dimension->version, "20250617T233005Z-", 17);
	dimension_free(dimension);
	free(first);
	free(second);
}

static int cancel(void *context, uint64_t rows, uint64_t bytes, uint64_t total)
{
	unsigned int *calls = context;

	assert_in_range(bytes, 1, total);
	assert_true(rows > 0);
	return ++*calls == 3;
}

static void a_failure_leaves_the_old_file(void **state)
{
	struct dim_files *files = *state;
	unsigned int calls = 0;
	struct dim_build_options options = {0},
	                         interrupted = {.progress = cancel, .progress_context = &calls};
	struct dimension *dimension = built(files, "a.csv", "id,a\nold,1\n", &options);
	struct error err = {""};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	dimension_free(dimension);
	assert_int_equal(build_text(files, "a.csv", "id,a\nk,1\nk,2\n", 13, &options, &err), -EBADMSG);
	(void)fputs("id,a\n", out);
	for (unsigned int i = 0; i < 100000; i++)
		(void)fprintf(out, "k%u,1\n", i);
	(void)fclose(out);
	assert_int_equal(build_text(files, "a.csv", text, len, &interrupted, &err), -ECANCELED);
	assert_int_equal(calls, 3);
	assert_int_equal(count_files(files), 2);
	dimension = load_built(files);
	expect_row(dimension, "old", "{\"a\":\"1\"}");
	dimension_free(dimension);
	options.output = file_path(files, "missing/t.dim");
	options.from = file_path(files, "a.csv");
	assert_int_equal(dim_build(&options, &err), -ENOENT);
	options.from = file_path(files, "missing.csv");
	assert_int_equal(dim_build(&options, &err), -ENOENT);
	assert_non_null(strstr(err.text, "missing.csv: No such file"));
	free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, files_setup, files_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(what_is_refused),
	    TEST(impossible_options),
	    TEST(limits_of_keys_and_rows),
	    TEST(records_without_end_are_refused),
	    TEST(the_same_input_gives_the_same_file),
	    TEST(a_failure_leaves_the_old_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
