/* SPDX-License-Identifier: BSD-3-Clause */
#include "lake_reader.h"
#include "lake_writer.h"
#include "sink_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

struct world {
	char directory[64];
	struct manual_clock clock;
	struct lake *lake;
};

static void begin(struct world *world, uint32_t max_open)
{
	struct lake_options options = {
	    .directory = world->directory,
	    .node = "n/1",
	    .rotate_bytes = 1 << 20,
	    .rotate_ns = 60000000000ull,
	    .compression = FILE_COMPRESSION_ZSTD,
	    .max_open = max_open,
	    .clock = &world->clock.clock,
	};
	struct error err;

	fixture_directory(world->directory);
	manual_clock_init(&world->clock, 1750203005123ll);
	if (lake_create(&options, &world->lake, &err) != 0)
		fail_msg("%s", err.text);
}

static void end(struct world *world)
{
	lake_destroy(world->lake);
	fixture_remove(world->directory);
}

static void put(struct world *world, const char *value, const char *line)
{
	struct lake_place place = {
	    .stream = "shop",
	    .kind = RECORD_RAW,
	    .day = 20256,
	    .field = "type",
	    .value = value,
	    .value_len = (uint32_t)strlen(value),
	};
	struct lake_file *file;
	struct error err;
	size_t len = strlen(line);

	if (lake_find(world->lake, &place, &file, &err) != 0)
		fail_msg("%s", err.text);
	memcpy(lake_file_reserve(file, len + 1), line, len);
	file->text[file->text_used + len] = '\n';
	file->text_used += len + 1;
}

static void join(void *context, const char *path, const char *line, size_t len)
{
	(void)path;
	strncat(context, line, len);
}

static void old_files_are_finished(void **state)
{
	struct world world;
	struct lake_counts counts;
	struct error err;
	char text[64] = "";

	(void)state;
	begin(&world, 4);
	put(&world, "a", "1");
	world.clock.mono_ns += 59999999999ull;
	assert_int_equal(lake_commit(world.lake, &err), 0);
	assert_int_equal(lake_rotate(world.lake, &err), 0);
	put(&world, "b", "2");
	assert_int_equal(lake_reader_all(world.directory, "", false, join, text), 0);
	world.clock.mono_ns += 1;
	assert_int_equal(lake_commit(world.lake, &err), 0);
	assert_int_equal(lake_rotate(world.lake, &err), 0);
	assert_int_equal(lake_reader_all(world.directory, "/shop/raw/2025-06-17/type=a/n%2F1-1750203005123-",
	                     false, join, text),
	    1);
	assert_string_equal(text, "1");
	lake_count(world.lake, &counts);
	assert_int_equal(counts.made, 2);
	assert_int_equal(counts.finished, 1);
	assert_int_equal(counts.open, 1);
	assert_int_equal(counts.frames, 2);
	end(&world);
}

static void the_one_not_used_for_longest_makes_room(void **state)
{
	struct world world;
	struct lake_counts counts;
	char text[64] = "";

	(void)state;
	begin(&world, 2);
	put(&world, "a", "1");
	put(&world, "b", "2");
	put(&world, "a", "3");
	put(&world, "c", "4"); /* b goes, with what was gathered for it */
	lake_count(world.lake, &counts);
	assert_int_equal(counts.open, 2);
	assert_int_equal(lake_reader_all(world.directory, "", false, join, text), 1);
	assert_string_equal(text, "2");
	put(&world, "a", "5"); /* still the same file */
	lake_count(world.lake, &counts);
	assert_int_equal(counts.made, 3);
	end(&world);
}

/* With a file where directory `n` of the path has to be: an error that names the path, and nothing written
 * elsewhere. */
static void obstruct(uint32_t n)
{
	const struct lake_place place = {.stream = "shop", .kind = RECORD_RAW, .day = 20256};
	static const char *const parts[] = {"shop", "raw", "2025-06-17"};
	char path[128], expected[160];
	struct lake_file *file;
	struct world world;
	struct error err;
	FILE *obstacle;
	int len;

	begin(&world, 4);
	len = snprintf(path, sizeof(path), "%s", world.directory);
	for (uint32_t i = 0; i <= n; i++) {
		assert_true(i == 0 || mkdir(path, 0755) == 0);
		len += snprintf(path + len, sizeof(path) - (size_t)len, "/%s", parts[i]);
	}
	obstacle = fopen(path, "w");
	assert_non_null(obstacle);
	(void)fclose(obstacle);
	assert_int_equal(lake_find(world.lake, &place, &file, &err), -ENOTDIR);
	(void)snprintf(
	    expected, sizeof(expected), "%s/shop/raw/2025-06-17: Not a directory", world.directory);
	assert_string_equal(err.text, expected);
	end(&world);
}

static void a_path_in_the_way_is_an_error(void **state)
{
	(void)state;
	for (uint32_t n = 3; n-- > 0;)
		obstruct(n);
}

static void what_was_not_committed_leaves_nothing(void **state)
{
	struct world world;
	struct error err;
	char text[64] = "";

	(void)state;
	begin(&world, 2);
	put(&world, "a", "1");
	assert_int_equal(lake_commit(world.lake, &err), 0);
	put(&world, "a", "2");
	put(&world, "b", "3");
	lake_destroy(world.lake);
	world.lake = NULL;
	assert_int_equal(lake_reader_all(world.directory, "", true, join, text), 0);
	assert_int_equal(lake_reader_all(world.directory, "", false, join, text), 1);
	assert_string_equal(text, "1");
	end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(old_files_are_finished),
	    cmocka_unit_test(the_one_not_used_for_longest_makes_room),
	    cmocka_unit_test(a_path_in_the_way_is_an_error),
	    cmocka_unit_test(what_was_not_committed_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
