/* SPDX-License-Identifier: BSD-3-Clause */
/* What the readers of CSV and JSON make of rows. */
#include "dim_files.h"

#include <jansson.h>

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
