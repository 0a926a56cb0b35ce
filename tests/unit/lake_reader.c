/* SPDX-License-Identifier: BSD-3-Clause */
#include "lake_reader.h"

#include <fts.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void read_file(const char *path, bool open, lake_reader_fn see, void *context)
{
	char *command, *line = NULL;
	size_t size = 0;
	ssize_t len;
	bool zstd = strstr(path, ".zst") != NULL;
	FILE *in;

	assert_true(asprintf(&command, zstd ? "zstd -dcq < '%s' 2>/dev/null" : "cat '%s'", path) > 0);
	in = popen(command, "r");
	assert_non_null(in);
	while ((len = getline(&line, &size, in)) > 0) {
		if (line[len - 1] != '\n') {
			assert_true(open);
			break;
		}
		see(context, path, line, (size_t)len - 1);
	}
	if (pclose(in) != 0)
		assert_true(open);
	free(line);
	free(command);
}

unsigned int lake_reader_all(const char *root, const char *part, bool open, lake_reader_fn see, void *context)
{
	char *paths[] = {(char *)(uintptr_t)root, NULL};
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	unsigned int n = 0;
	FTSENT *entry;

	assert_non_null(tree);
	while ((entry = fts_read(tree)) != NULL) {
		if (entry->fts_info != FTS_F || strstr(entry->fts_path, part) == NULL)
			continue;
		if ((entry->fts_name[0] == '.') != open)
			continue;
		read_file(entry->fts_path, open, see, context);
		n++;
	}
	fts_close(tree);
	return n;
}
