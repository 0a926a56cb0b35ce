/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB (1024u * 1024)

struct text {
	char *data;
	size_t len, size;
};

static void append(struct text *text, const char *data, size_t len)
{
	if (text->len + len > text->size) {
		text->size = (text->len + len) * 2;
		text->data = realloc(text->data, text->size);
		assert_non_null(text->data);
	}
	memcpy(text->data + text->len, data, len);
	text->len += len;
}

static char directory[] = "/tmp/test_source_file.XXXXXX";
static char path[sizeof(directory) + 16];

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/input", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(directory);
}

static void write_file(const char *data, size_t len)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* One poll. Appends what came, each packet's lines ended by a newline as the pipeline would see them. */
static int poll_once(struct source *source, struct text *got)
{
	struct packet packets[SOURCE_BURST];
	int n = source_poll(source, packets, SOURCE_BURST);

	for (int i = 0; i < n; i++) {
		assert_int_equal(packets[i].kind, PACKET_PAYLOAD);
		assert_int_equal(packets[i].stream, 7);
		assert_true(packets[i].len > 0);
		append(got, packets[i].data, packets[i].len);
		if (packets[i].data[packets[i].len - 1] != '\n')
			append(got, "\n", 1);
	}
	if (n > 0)
		source_release(source, packets, (uint32_t)n);
	return n;
}

static void expect_file(const char *in, size_t in_len, const char *out, size_t out_len, uint64_t errors)
{
	struct source_stats stats;
	struct source *source;
	struct text got = {0};
	struct error err;
	int n;

	write_file(in, in_len);
	assert_int_equal(source_file_create("f", path, 7, &source, &err), 0);
	assert_true(source->lossless);
	while ((n = poll_once(source, &got)) >= 0)
		;
	assert_int_equal(n, -ENODATA);
	assert_int_equal(poll_once(source, &got), -ENODATA);
	assert_int_equal(got.len, out_len);
	if (out_len > 0)
		assert_memory_equal(got.data, out, out_len);
	source->ops->stats(source, &stats);
	assert_int_equal(stats.errors, errors);
	source_destroy(source);
	free(got.data);
}

static void small_files(void **state)
{
	(void)state;
	expect_file("", 0, "", 0, 0);
	expect_file("\n", 1, "\n", 1, 0);
	expect_file("a", 1, "a\n", 2, 0);
	expect_file("a\nb", 3, "a\nb\n", 4, 0);
	expect_file("a\n\n\nb\n", 6, "a\n\n\nb\n", 6, 0);
	expect_file("a\r\nb\0c\n", 7, "a\r\nb\0c\n", 7, 0);
}

/* Random lines around every size that matters, and what must come out of them; returns how many are cut. */
static uint64_t random_lines(struct text *in, struct text *out, unsigned int *seed)
{
	static const uint32_t sizes[] = {0, 1, 250, 1000, 64 * 1024, 256 * 1024 - 1, 256 * 1024,
	    256 * 1024 + 1, MIB - 1, MIB, MIB + 1, MIB + 256 * 1024, 2 * MIB, 3 * MIB + 5};
	static char line[4 * MIB];
	uint64_t cut = 0;

	for (uint32_t i = 0; i < 60; i++) {
		uint32_t pick = (uint32_t)rand_r(seed) % 40;
		uint32_t len =
		    pick < sizeof(sizes) / sizeof(sizes[0]) ? sizes[pick] : (uint32_t)rand_r(seed) % 2000;

		memset(line, 'a' + rand_r(seed) % 26, len);
		line[len] = '\n';
		append(in, line, len + 1);
		cut += len > MIB;
		if (len > MIB)
			line[len = MIB] = '\n';
		append(out, line, len + 1);
	}
	/* Sometimes the last newline is missing. */
	if (rand_r(seed) % 2 == 0 && in->data[in->len - 2] != '\n')
		in->len--;
	return cut;
}

static void random_files(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (uint32_t round = 0; round < 10; round++) {
		struct text in = {0}, out = {0};
		uint64_t cut = random_lines(&in, &out, &seed);

		expect_file(in.data, in.len, out.data, out.len, cut);
		free(in.data);
		free(out.data);
	}
}

/* The same through a FIFO, written in random pieces between the polls by this very thread: a poll that waited
 * would hang the test. */
static void random_pipes(void **state)
{
	unsigned int seed = 2;

	(void)state;
	for (uint32_t round = 0; round < 4; round++) {
		struct text in = {0}, out = {0}, got = {0};
		uint64_t cut = random_lines(&in, &out, &seed);
		struct source_stats stats;
		struct source *source;
		struct error err;
		size_t sent = 0;
		int fd, n;

		(void)unlink(path);
		assert_int_equal(mkfifo(path, 0600), 0);
		assert_int_equal(source_file_create("p", path, 7, &source, &err), 0);
		assert_int_equal(poll_once(source, &got), 0); /* no writer yet: not the end */
		fd = open(path, O_WRONLY | O_NONBLOCK);
		assert_true(fd >= 0);
		assert_int_equal(poll_once(source, &got), 0);
		while (sent < in.len) {
			size_t piece = 1 + (size_t)rand_r(&seed) % 100000;
			ssize_t written =
			    write(fd, in.data + sent, piece < in.len - sent ? piece : in.len - sent);

			assert_true(written > 0 || errno == EAGAIN);
			sent += written > 0 ? (size_t)written : 0;
			assert_true(poll_once(source, &got) >= 0);
		}
		/* With the writer still there, the end is unknown. */
		while (poll_once(source, &got) > 0)
			;
		assert_int_equal(poll_once(source, &got), 0);
		(void)close(fd);
		while ((n = poll_once(source, &got)) >= 0)
			;
		assert_int_equal(n, -ENODATA);
		assert_int_equal(got.len, out.len);
		assert_memory_equal(got.data, out.data, out.len);
		source->ops->stats(source, &stats);
		assert_int_equal(stats.errors, cut);
		source_destroy(source);
		free(in.data);
		free(out.data);
		free(got.data);
		(void)unlink(path);
	}
}

static void standard_input_is_not_changed(void **state)
{
	struct source *source;
	struct text got = {0};
	int ends[2], saved, flags;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	saved = dup(STDIN_FILENO);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	flags = fcntl(STDIN_FILENO, F_GETFL);
	assert_int_equal(source_file_create("stdin", "-", 7, &source, NULL), 0);
	assert_int_equal(poll_once(source, &got), 0);
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFL), flags);
	assert_int_equal(write(ends[1], "one\ntw", 6), 6);
	assert_int_equal(poll_once(source, &got), 1);
	assert_int_equal(poll_once(source, &got), 0);
	assert_int_equal(write(ends[1], "o", 1), 1);
	(void)close(ends[1]);
	while (poll_once(source, &got) >= 0)
		;
	assert_int_equal(got.len, 8);
	assert_memory_equal(got.data, "one\ntwo\n", 8);
	source_destroy(source);
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
	(void)dup2(saved, STDIN_FILENO);
	(void)close(saved);
	(void)close(ends[0]);
	free(got.data);
}

static void held_packets_stay(void **state)
{
	struct packet first, second;
	struct source *source;

	(void)state;
	write_file("a\nb", 3);
	assert_int_equal(source_file_create("f", path, 7, &source, NULL), 0);
	assert_int_equal(source_poll(source, &first, 1), 1);
	assert_int_equal(first.len, 2);
	assert_int_equal(source_poll(source, &second, 1), 0);
	assert_memory_equal(first.data, "a\n", 2);
	source_release(source, &first, 1);
	assert_int_equal(source_poll(source, &second, 0), 0);
	assert_int_equal(source_poll(source, &second, 1), 1);
	assert_int_equal(second.len, 1);
	assert_memory_equal(second.data, "b", 1);
	source_destroy(source);
}

static void errors_name_the_path(void **state)
{
	char expected[600], missing[sizeof(path) + 8];
	struct source *source;
	struct error err;
	int fd;

	(void)state;
	(void)snprintf(missing, sizeof(missing), "%s.missing", path);
	assert_int_equal(source_file_create("f", missing, 0, &source, &err), -ENOENT);
	assert_null(source);
	(void)snprintf(expected, sizeof(expected), "source f: %s: No such file or directory", missing);
	assert_string_equal(err.text, expected);
	assert_int_equal(source_file_create("f", directory, 0, &source, &err), -EISDIR);
	(void)snprintf(expected, sizeof(expected), "source f: %s: is a directory", directory);
	assert_string_equal(err.text, expected);

	/* A descriptor that cannot be read: the source is broken, says so, and goes on saying so. */
	fd = dup(STDIN_FILENO);
	write_file("a\n", 2);
	(void)close(STDIN_FILENO);
	assert_int_equal(open(path, O_WRONLY), STDIN_FILENO);
	assert_int_equal(source_file_create("w", "-", 0, &source, &err), 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct packet packet;

		assert_int_equal(source_poll(source, &packet, 1), -EBADF);
		assert_string_equal(source->error.text, "w: read: Bad file descriptor");
	}
	source_destroy(source);
	(void)dup2(fd, STDIN_FILENO);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(small_files),
	    cmocka_unit_test(random_files),
	    cmocka_unit_test(random_pipes),
	    cmocka_unit_test(standard_input_is_not_changed),
	    cmocka_unit_test(held_packets_stay),
	    cmocka_unit_test(errors_name_the_path),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
