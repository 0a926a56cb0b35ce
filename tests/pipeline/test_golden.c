/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The example configurations over memory sources, byte for byte. Each directory of tests/pipeline/golden
 * belongs to docs/examples/<name>.yaml and holds input.ndjson, the dimensions as <dimension>.<key>.jsonl, and
 * expected.tsv: a line per record, in order: kind, key, reason, value. PENSTOCK_WRITE_GOLDEN=1 writes
 * expected.tsv instead of comparing; read the difference before committing it.
 */
#include "harness.h"

#include <assert.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PATH_SIZE 1024

static const char *const kinds[RECORD_KINDS] = {
    [RECORD_RAW] = "raw", [RECORD_ENRICHED] = "enriched", [RECORD_DEAD_LETTER] = "dead_letter"};

static char *read_or_fail(const char *directory, const char *file, size_t *len)
{
	char path[2 * PATH_SIZE];
	char *text;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, file);
	text = harness_read(path, len);
	if (text == NULL)
		fail_msg("%s cannot be read", path);
	return text;
}

static void load_dimensions(struct harness *h, const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char name[64], key[64];
		char *text;
		size_t len;

		if (sscanf(entry->d_name, "%63[^.].%63[^.].jsonl", name, key) != 2 ||
		    strcmp(strrchr(entry->d_name, '.'), ".jsonl") != 0)
			continue;
		text = read_or_fail(directory, entry->d_name, &len);
		harness_dimension(h, name, "golden-1", key, text);
		free(text);
	}
	closedir(dir);
}

static char *render(const struct harness *h)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	for (size_t i = 0; i < h->n_caught; i++) {
		const struct caught *c = &h->caught[i];

		(void)fprintf(out, "%s\t%s\t%s\t%s\n", kinds[c->kind], c->key,
		    reason_info((enum reason)c->reason)->name, c->value);
	}
	(void)fclose(out);
	return text;
}

static void example(const char *name)
{
	char directory[PATH_SIZE], path[2 * PATH_SIZE];
	char *yaml, *input, *expected, *got;
	size_t yaml_len, input_len, expected_len;
	struct harness h;

	(void)snprintf(
	    directory, sizeof(directory), "%s/tests/pipeline/golden/%s", getenv("PENSTOCK_SOURCE"), name);
	(void)snprintf(path, sizeof(path), "%s/docs/examples/%s.yaml", getenv("PENSTOCK_SOURCE"), name);
	yaml = harness_read(path, &yaml_len);
	assert_non_null(yaml);
	input = read_or_fail(directory, "input.ndjson", &input_len);
	harness_open(&h, yaml, yaml_len, NULL);
	load_dimensions(&h, directory);
	harness_send(&h, 0, input, input_len);
	got = render(&h);
	if (getenv("PENSTOCK_WRITE_GOLDEN") != NULL) {
		FILE *out;

		(void)snprintf(path, sizeof(path), "%s/expected.tsv", directory);
		out = fopen(path, "w");
		assert_non_null(out);
		(void)fputs(got, out);
		(void)fclose(out);
	}
	expected = read_or_fail(directory, "expected.tsv", &expected_len);
	assert_string_equal(got, expected);
	assert_true(h.n_caught > 0);
	harness_close(&h);
	free(got);
	free(expected);
	free(input);
	free(yaml);
}

static void catalog(void **state)
{
	(void)state;
	example("catalog");
}

static void detections(void **state)
{
	(void)state;
	example("detections");
}

static void shop(void **state)
{
	(void)state;
	example("shop");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(catalog),
	    cmocka_unit_test(detections),
	    cmocka_unit_test(shop),
	};

	assert(getenv("PENSTOCK_SOURCE") != NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
