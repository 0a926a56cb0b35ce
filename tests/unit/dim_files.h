/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of rows and snapshots in a directory of their own, for the tests of dimensions. */
#ifndef PENSTOCK_TEST_DIM_FILES_H
#define PENSTOCK_TEST_DIM_FILES_H

#include "dimension.h"
#include "dimtools/dim_build.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define BUILT_MS INT64_C(1750203005123)

struct dim_files {
	char *directory;
	char path[4][96]; /* scratch for file_path() */
	unsigned int next;
};

static inline int files_setup(void **state)
{
	struct dim_files *files = calloc(1, sizeof(*files));

	assert_non_null(files);
	files->directory = strdup("/tmp/penstock-dim-XXXXXX");
	assert_non_null(mkdtemp(files->directory));
	*state = files;
	return 0;
}

static inline int files_teardown(void **state)
{
	struct dim_files *files = *state;
	DIR *directory = opendir(files->directory);
	struct dirent *entry;

	while ((entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(directory), entry->d_name, 0);
	(void)closedir(directory);
	(void)rmdir(files->directory);
	free(files->directory);
	free(files);
	return 0;
}

/* Valid for the next three calls. */
static inline const char *file_path(struct dim_files *files, const char *name)
{
	char *path = files->path[files->next++ % 4];

	(void)snprintf(path, sizeof(files->path[0]), "%s/%s", files->directory, name);
	return path;
}

static inline void write_file(const char *path, const void *bytes, size_t len)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static inline uint8_t *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;

	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	*len = (size_t)ftell(file);
	rewind(file);
	bytes = malloc(*len + 1);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, *len, file), *len);
	(void)fclose(file);
	return bytes;
}

static inline int count_files(const struct dim_files *files)
{
	DIR *directory = opendir(files->directory);
	struct dirent *entry;
	int n = 0;

	while ((entry = readdir(directory)) != NULL)
		n += entry->d_name[0] != '.';
	(void)closedir(directory);
	return n;
}

/* Builds t.dim from a file with that name and content. */
static inline int build_text(struct dim_files *files, const char *name, const char *text, size_t len,
    struct dim_build_options *options, struct error *err)
{
	const char *from = file_path(files, name);

	write_file(from, text, len);
	options->from = from;
	options->output = file_path(files, "t.dim");
	if (options->key == NULL)
		options->key = "id";
	options->built_ms = BUILT_MS;
	return dim_build(options, err);
}

static inline struct dimension *load_built(struct dim_files *files)
{
	struct dimension *dimension;
	struct error err = {""};
	int rc = dimension_load(file_path(files, "t.dim"), -1, HUGEPAGES_OFF, &dimension, &err);

	assert_string_equal(err.text, "");
	assert_int_equal(rc, 0);
	return dimension;
}

/* Builds from `text` and loads what came out; fails the test where that fails. */
static inline struct dimension *built(
    struct dim_files *files, const char *name, const char *text, struct dim_build_options *options)
{
	struct error err = {""};
	int rc = build_text(files, name, text, strlen(text), options, &err);

	assert_string_equal(err.text, "");
	assert_int_equal(rc, 0);
	return load_built(files);
}

static inline void expect_row(const struct dimension *dimension, const char *key, const char *json)
{
	uint32_t len = 0;
	const char *found = dimension_find(dimension, key, (uint32_t)strlen(key), &len);
	char text[4096];

	if (json == NULL) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_in_range(len, 2, sizeof(text) - 1);
	memcpy(text, found, len);
	text[len] = '\0';
	assert_string_equal(text, json);
}

#endif
