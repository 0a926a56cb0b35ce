/* SPDX-License-Identifier: BSD-3-Clause */
#include "lake_recover.h"
#include "sink_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <zstd.h>

static char directory[64];

static int setup(void **state)
{
	(void)state;
	fixture_directory(directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_remove(directory);
	return 0;
}

static void path_of(char path[512], const char *name)
{
	snprintf(path, 512, "%s/%s", directory, name);
}

static void make(const char *name, const void *data, size_t len)
{
	char path[512];
	FILE *out;

	path_of(path, name);
	out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(data, 1, len, out), len);
	fclose(out);
}

/* -1: there is none. */
static off_t size_of(const char *name)
{
	struct stat st;
	char path[512];

	path_of(path, name);
	return stat(path, &st) == 0 ? st.st_size : -1;
}

/* Two frames; the second compresses so well that its text is larger than any buffer. */
static size_t two_frames(char **out, size_t *first)
{
	size_t text_size = 3u << 20, size = 2 * ZSTD_compressBound(text_size), second;
	char *text = malloc(text_size);
	ZSTD_CCtx *context = ZSTD_createCCtx();

	*out = malloc(size);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	*first = ZSTD_compress2(context, *out, size, "{\"a\":1}\n", 8);
	memset(text, '\n', text_size);
	second = ZSTD_compress2(context, *out + *first, size - *first, text, text_size);
	ZSTD_freeCCtx(context);
	free(text);
	return *first + second;
}

static void any_tail_is_cut_to_whole_frames(void **state)
{
	char *data;
	size_t first, size = two_frames(&data, &first);

	(void)state;
	for (size_t len = 0; len <= size; len++) {
		struct lake_recovered recovered = {0};
		struct error err;
		off_t expected = len == size ? (off_t)size : len >= first ? (off_t)first : -1;

		make(".a.ndjson.zst.open", data, len);
		assert_int_equal(lake_recover(directory, &recovered, &err), 0);
		assert_int_equal(size_of("a.ndjson.zst"), expected);
		assert_int_equal(size_of(".a.ndjson.zst.open"), -1);
		assert_int_equal(recovered.files, expected > 0);
		assert_int_equal(recovered.removed, expected < 0);
		assert_int_equal(recovered.cut_bytes, len - (expected > 0 ? (size_t)expected : 0));
		if (expected > 0) {
			char path[512];

			path_of(path, "a.ndjson.zst");
			unlink(path);
		}
	}
	free(data);
}

static void a_damaged_frame_is_cut(void **state)
{
	struct lake_recovered recovered = {0};
	struct error err;
	char *data;
	size_t first, size = two_frames(&data, &first);

	(void)state;
	data[size - 1] ^= 1; /* of the checksum */
	make(".a.ndjson.zst.open", data, size);
	memset(data + first, 0, size - first);
	make(".b.ndjson.zst.open", data, size);
	assert_int_equal(lake_recover(directory, &recovered, &err), 0);
	assert_int_equal(size_of("a.ndjson.zst"), first);
	assert_int_equal(size_of("b.ndjson.zst"), first);
	free(data);
}

static void plain_files_are_cut_to_whole_lines(void **state)
{
	struct lake_recovered recovered = {0};
	struct error err;

	(void)state;
	make(".a.ndjson.open", "{}\n{\"a\":", 8);
	make(".b.ndjson.open", "{}\n", 3);
	make(".c.ndjson.open", "{\"a\":", 5);
	assert_int_equal(lake_recover(directory, &recovered, &err), 0);
	assert_int_equal(size_of("a.ndjson"), 3);
	assert_int_equal(size_of("b.ndjson"), 3);
	assert_int_equal(size_of("c.ndjson"), -1);
	assert_int_equal(recovered.files, 2);
	assert_int_equal(recovered.removed, 1);
	assert_int_equal(recovered.cut_bytes, 10);
}

static void what_is_not_ours_stays(void **state)
{
	struct lake_recovered recovered = {0};
	struct error err;
	char path[512];
	int fd;

	(void)state;
	make("finished.ndjson", "{}", 2);
	make(".hidden", "{}", 2);
	make(".open", "{}", 2);
	make(".inuse.ndjson.open", "{}", 2);
	path_of(path, ".inuse.ndjson.open");
	fd = open(path, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	path_of(path, ".link.ndjson.open");
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_true(lake_recover(directory, &recovered, &err) !=
	            0); /* a link in our place is an error, not a way out */
	unlink(path);
	assert_int_equal(lake_recover(directory, &recovered, &err), 0);
	assert_int_equal(recovered.files + recovered.removed, 0);
	assert_int_equal(size_of("finished.ndjson"), 2);
	assert_int_equal(size_of(".hidden"), 2);
	assert_int_equal(size_of(".open"), 2);
	assert_int_equal(size_of(".inuse.ndjson.open"), 2);
	close(fd);
}

static void no_directory_holds_nothing(void **state)
{
	struct lake_recovered recovered = {0};
	struct error err;
	char path[512];

	(void)state;
	path_of(path, "none");
	assert_int_equal(lake_recover(path, &recovered, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(any_tail_is_cut_to_whole_frames, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_damaged_frame_is_cut, setup, teardown),
	    cmocka_unit_test_setup_teardown(plain_files_are_cut_to_whole_lines, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_not_ours_stays, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_directory_holds_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
