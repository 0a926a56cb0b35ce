/* SPDX-License-Identifier: BSD-3-Clause */
#include "dim_files.h"
#include "dimtools/dim_index.h"
#include "dimtools/dim_inspect.h"
#include "dimtools/input.h"

#include <errno.h>
#include <jansson.h>

/* Builds from `text` and loads what came out; fails the test where that fails. */
static struct dimension *built(
    struct dim_files *files, const char *name, const char *text, struct dim_build_options *options)
{
	struct error err = {""};
	int rc = build_text(files, name, text, strlen(text), options, &err);

	assert_string_equal(err.text, "");
	assert_int_equal(rc, 0);
	return load_built(files);
}

static void csv_values(void **state)
{
	struct dim_build_options options = {0};
	struct dimension *dimension = built(*state, "a.csv",
	    "\xef\xbb\xbfid,\"na,me\",empty\r\n"
	    "k1,plain,\r\n"
	    "\"k,2\",\"two \"\"quoted\"\"\nlines\r\nof\ttext\",\"\"\n"
	    "k3, spaces stay ,\xc3\xa4\\\x01",
	    &options);

	assert_int_equal(dimension->n_rows, 3);
	expect_row(dimension, "k1", "{\"na,me\":\"plain\",\"empty\":\"\"}");
	expect_row(
	    dimension, "k,2", "{\"na,me\":\"two \\\"quoted\\\"\\nlines\\r\\nof\\ttext\",\"empty\":\"\"}");
	expect_row(dimension, "k3", "{\"na,me\":\" spaces stay \",\"empty\":\"\xc3\xa4\\\\\\u0001\"}");
	dimension_free(dimension);
}

static void csv_types(void **state)
{
	struct dim_build_options options = {0};
	struct dimension *dimension = built(*state, "a.csv",
	    "id:string,price:number,stock:integer,ok:boolean,tags:json,a:b:string,note\n"
	    "1,19.90,-7,true,\"[ \"\"x\"\", {\"\"y\"\" : 1.0 } ]\",v,007\n"
	    "2,,,,,,\n"
	    "3,1e9,0,false,null,,true\n",
	    &options);

	expect_row(dimension, "1",
	    "{\"price\":19.90,\"stock\":-7,\"ok\":true,\"tags\":[\"x\",{\"y\":1.0}],\"a:b\":\"v\",\"note\":"
	    "\"007\"}");
	expect_row(dimension, "2", "{\"a:b\":\"\",\"note\":\"\"}");
	expect_row(dimension, "3",
	    "{\"price\":1e9,\"stock\":0,\"ok\":false,\"tags\":null,\"a:b\":\"\",\"note\":\"true\"}");
	dimension_free(dimension);
}

static void chosen_columns(void **state)
{
	const char *columns[] = {"c", "id", "a"};
	struct dim_build_options options = {
	    .columns = columns, .n_columns = 3, .name = "chosen", .version = "7"};
	struct dimension *dimension = built(*state, "a.csv", "a,b,c,id\n1,2,3,k\n", &options);

	expect_row(dimension, "k", "{\"c\":\"3\",\"id\":\"k\",\"a\":\"1\"}");
	assert_string_equal(dimension->name, "chosen");
	assert_string_equal(dimension->version, "7");
	dimension_free(dimension);
	dimension = built(
	    *state, "a.jsonl", "{\"a\":1,\"b\":2,\"id\":\"k\",\"c\":[3]}\n{\"id\":\"l\",\"a\":1}", &options);
	expect_row(dimension, "k", "{\"c\":[3],\"id\":\"k\",\"a\":1}");
	expect_row(dimension, "l", "{\"id\":\"l\",\"a\":1}");
	dimension_free(dimension);
}

static void json_values_stay_as_they_are(void **state)
{
	static const char rows[] =
	    "{ \"id\" : \"k\\u00e4\\ud83d\\ude00\\n\" , \"n\" : 1.50e+02 ,\t\"s\": \"\\u0041 \\/\" }\n"
	    "  \r\n"
	    "{\"big\":123456789012345678901234567890,\"id\":-12,\"o\":{\"id\":1,\"id\":2}}\r\n"
	    "{\"id\":\"only\"}";
	struct dim_build_options options = {0};
	struct dimension *dimension = built(*state, "a.jsonl", rows, &options);

	assert_int_equal(dimension->n_rows, 3);
	expect_row(dimension, "k\xc3\xa4\xf0\x9f\x98\x80\n", "{\"n\":1.50e+02,\"s\":\"\\u0041 \\/\"}");
	expect_row(dimension, "-12", "{\"big\":123456789012345678901234567890,\"o\":{\"id\":1,\"id\":2}}");
	expect_row(dimension, "only", "{}");
	dimension_free(dimension);
}

static void json_arrays(void **state)
{
	struct dim_build_options options = {0};
	struct dimension *dimension;

	dimension = built(
	    *state, "a.json", "\n[\n {\"id\": 1,\n  \"v\": [ ]},\n\n{\"v\":{ },\"id\":2}\n]\n ", &options);
	assert_int_equal(dimension->n_rows, 2);
	expect_row(dimension, "1", "{\"v\":[]}");
	expect_row(dimension, "2", "{\"v\":{}}");
	dimension_free(dimension);
	dimension = built(*state, "a.json", "[ ]", &options);
	assert_int_equal(dimension->n_rows, 0);
	dimension_free(dimension);
}

/* Random JSON, printed by jansson with white space and without. */
static json_t *random_json(uint64_t *random, unsigned int depth)
{
	static const char *const texts[] = {
	    "", "a", "\"\\/\b\f\n\r\t\x01", "\xc3\xa4\xe2\x82\xac", "\xf0\x9f\x98\x80 x"};
	json_t *value;
	uint64_t kind;

	*random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	kind = *random >> 60;
	if (depth == 0 || kind < 6) {
		switch (kind % 6) {
		case 0:
			return json_null();
		case 1:
			return json_boolean((*random >> 40) & 1);
		case 2:
			return json_integer((json_int_t)*random >> 20);
		case 3:
			return json_real((double)(*random >> 40) / 7);
		default:
			return json_string(texts[(*random >> 40) % 5]);
		}
	}
	value = kind % 2 ? json_array() : json_object();
	for (uint64_t i = 0; i < (*random >> 50) % 5; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "%.8s%lu", texts[i % 5], i);
		if (kind % 2)
			(void)json_array_append_new(value, random_json(random, depth - 1));
		else
			(void)json_object_set_new(value, name, random_json(random, depth - 1));
	}
	return value;
}

static void compaction_equals_jansson(void **state)
{
	enum { N = 2000 };
	struct dim_build_options options = {0};
	struct dimension *dimension;
	struct error err = {""};
	char *expected[N], *text = NULL;
	uint64_t random = 3;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	for (unsigned int i = 0; i < N; i++) {
		json_t *row = json_pack("{s:o}", "v", random_json(&random, 6));

		expected[i] = json_dumps(row, JSON_COMPACT | (i % 2 ? JSON_ENSURE_ASCII : 0));
		(void)json_object_set_new(row, "id", json_sprintf("k%u", i));
		(void)fputc(i > 0 ? ',' : '[', out);
		(void)json_dumpf(row, out, JSON_INDENT(3) | (i % 2 ? JSON_ENSURE_ASCII : 0));
		json_decref(row);
	}
	(void)fputc(']', out);
	(void)fclose(out);
	(void)build_text(*state, "a.json", text, len, &options, &err);
	assert_string_equal(err.text, "");
	dimension = load_built(*state);
	for (unsigned int i = 0; i < N; i++) {
		uint32_t json_len = 0;
		const char *json;
		char key[16];

		(void)snprintf(key, sizeof(key), "k%u", i);
		json = dimension_find(dimension, key, (uint32_t)strlen(key), &json_len);
		assert_int_equal(json_len, strlen(expected[i]));
		assert_memory_equal(json, expected[i], json_len);
		free(expected[i]);
	}
	dimension_free(dimension);
	free(text);
}

/* Records that lie across every boundary of the reading window, in all three formats. */
static void files_larger_than_the_window(void **state)
{
	enum { N = 60000 };
	static const char *const names[] = {"a.csv", "a.jsonl", "a.json"};
	struct dim_files *files = *state;

	for (unsigned int f = 0; f < 3; f++) {
		struct dim_build_options options = {0};
		struct dimension *dimension;
		struct error err = {""};
		char *text = NULL, key[32], row[128];
		size_t len = 0;
		FILE *out = open_memstream(&text, &len);

		if (f == 0)
			(void)fputs("id,v\n", out);
		for (unsigned int i = 0; i < N; i++) {
			if (f == 0)
				(void)fprintf(
				    out, "key-%u,\"a \"\"b\"\"\n%u\xe2\x82\xac of some length\"\r\n", i, i);
			else
				(void)fprintf(out,
				    "%s{ \"id\" : \"key-%u\" , \"v\" : \"a \\\"b\\\"\\n%u\xe2\x82\xac of "
				    "some length\" }%s",
				    f == 2 ? (i > 0 ? "\n, " : "[") : "", i, i, f == 1 ? "\n" : "");
		}
		if (f == 2)
			(void)fputc(']', out);
		(void)fclose(out);
		assert_in_range(len, 5u << 19, 1u << 28);
		(void)build_text(files, names[f], text, len, &options, &err);
		free(text);
		assert_string_equal(err.text, "");
		dimension = load_built(files);
		assert_int_equal(dimension->n_rows, N);
		for (unsigned int i = 0; i < N; i += 7) {
			(void)snprintf(key, sizeof(key), "key-%u", i);
			(void)snprintf(
			    row, sizeof(row), "{\"v\":\"a \\\"b\\\"\\n%u\xe2\x82\xac of some length\"}", i);
			expect_row(dimension, key, row);
		}
		dimension_free(dimension);
	}
}

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

/*
 * The index by itself.
 */
static int never_same(void *context, uint32_t a, uint32_t b)
{
	++*(unsigned int *)context;
	assert_int_not_equal(a, b);
	return 0;
}

static unsigned int count_ref(
    const struct dimension_bucket *buckets, uint64_t n_buckets, uint64_t hash, uint32_t ref)
{
	const struct dimension_bucket *first = &buckets[dimension_first(hash, n_buckets)];
	const struct dimension_bucket *second = &buckets[dimension_second(hash, n_buckets)];
	unsigned int found = 0;

	for (unsigned int i = 0; i < 8; i++) {
		found += first->entry[i].ref == ref && first->entry[i].tag == dimension_tag(hash);
		if (second != first && dimension_bucket_full(first))
			found += second->entry[i].ref == ref && second->entry[i].tag == dimension_tag(hash);
	}
	return found;
}

/* At nine tenths of the entries in use most rows must be moved about; each must still be where lookups go. */
static void a_crowded_index_still_finds_all(void **state)
{
	enum { N = 7200, BUCKETS = 1000 };
	struct dimension_bucket *buckets = aligned_alloc(64, BUCKETS * sizeof(*buckets));
	struct dim_index index = {0};
	unsigned int asked = 0;
	uint64_t random = 5;
	size_t duplicate[2];

	(void)state;
	memset(buckets, 0, BUCKETS * sizeof(*buckets));
	for (uint32_t i = 0; i < N; i++) {
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		assert_int_equal(dim_index_add(&index, (random ^ random >> 29) * UINT64_C(0xbf58476d1ce4e5b9),
		                     i * 3 + 1, i),
		    0);
	}
	assert_int_equal(dim_index_place(&index, buckets, BUCKETS, never_same, &asked, duplicate), 0);
	assert_int_equal(asked, 0);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(count_ref(buckets, BUCKETS, index.entries[i].hash, i * 3 + 1), 1);
	dim_index_free(&index);
	free(buckets);
}

static void equal_hashes(void **state)
{
	struct dimension_bucket *buckets = aligned_alloc(64, 64 * sizeof(*buckets));
	struct dim_index index = {0};
	unsigned int asked = 0;
	size_t duplicate[2];

	(void)state;
	/* Different keys with one hash: sixteen have room, for a seventeenth another seed is needed. */
	for (uint32_t n = 1; n <= 17; n++) {
		assert_int_equal(dim_index_add(&index, UINT64_C(0x123456789abcdef0), n * 10, n), 0);
		memset(buckets, 0, 64 * sizeof(*buckets));
		asked = 0;
		assert_int_equal(dim_index_place(&index, buckets, 64, never_same, &asked, duplicate),
		    n <= 16 ? 0 : -ENOSPC);
		assert_int_equal(asked, n <= 16 ? n * (n - 1) / 2 : 16 * 17 / 2);
	}
	dim_index_free(&index);
	free(buckets);
}

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
	    TEST(csv_values),
	    TEST(csv_types),
	    TEST(chosen_columns),
	    TEST(json_values_stay_as_they_are),
	    TEST(json_arrays),
	    TEST(compaction_equals_jansson),
	    TEST(files_larger_than_the_window),
	    TEST(what_is_refused),
	    TEST(impossible_options),
	    TEST(limits_of_keys_and_rows),
	    TEST(records_without_end_are_refused),
	    TEST(the_same_input_gives_the_same_file),
	    TEST(a_failure_leaves_the_old_file),
	    TEST(a_crowded_index_still_finds_all),
	    TEST(equal_hashes),
	    TEST(inspection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
