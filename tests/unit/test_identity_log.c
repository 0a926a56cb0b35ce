/* SPDX-License-Identifier: BSD-3-Clause */
#include "identity_log.h"

#include "dedup_testing.h"
#include "identity_file.h"
#include "identity_secret.h"
#include "sink_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WINDOW_MS 60000

struct scene {
	char directory[64], identities[80];
	struct manual_clock clock;
	struct identity_log_options options;
	struct dedup *dedup;
	struct identity_log *log;
	struct identity_progress progress;
	struct identity_restored restored;
};

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	fixture_directory(s->directory);
	(void)snprintf(s->identities, sizeof(s->identities), "%s/identities", s->directory);
	manual_clock_init(&s->clock, T0);
	s->clock.mono_ns = UINT64_C(5000000) * 1000000;
	s->options = (struct identity_log_options){
	    .directory = s->identities,
	    .streams = {{.id = identity_stream_id("shop", "id"), .window_ms = WINDOW_MS}},
	    .n_streams = 1,
	    .secret = "0123456789abcde",
	    .n_sinks = 2,
	    .clock = &s->clock.clock,
	};
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	identity_log_destroy(s->log);
	dedup_destroy(s->dedup);
	free(s->restored.checkpoint);
	fixture_remove(s->directory);
	free(s);
	return 0;
}

/* A new process: an empty table, and what the log brings. */
static void restart(struct scene *s)
{
	struct error err = {""};

	identity_log_destroy(s->log);
	dedup_destroy(s->dedup);
	free(s->restored.checkpoint);
	s->dedup = s->options.streams[0].dedup = create(1u << 20, WINDOW_MS);
	memset(&s->progress, 0, sizeof(s->progress));
	assert_int_equal(identity_log_create(&s->options, &s->log, &err), 0);
	assert_int_equal(identity_log_restore(s->log, &s->progress, &s->restored, &err), 0);
	assert_int_equal(atomic_load(&s->progress.marks), s->restored.marks);
	assert_int_equal(atomic_load(&s->progress.bytes), atomic_load(&s->progress.total_bytes));
}

static void start(struct scene *s)
{
	struct error err = {""};

	assert_int_equal(identity_log_start(s->log, &err), 0);
}

static void pass_time(struct scene *s, int64_t ms)
{
	s->clock.wall_ms += ms;
	s->clock.mono_ns += (uint64_t)ms * 1000000;
}

/* Numbers first..first+n-1 become durable, at one sink. */
static void append(struct scene *s, uint8_t sink, uint64_t first, uint64_t n)
{
	struct completion_listener listener = identity_log_listener(s->log);
	struct completed events[32];
	uint32_t k = 0;

	for (uint64_t i = 0; i < n; i++) {
		events[k] = (struct completed){.stream = 0, .marked = true};
		make_key(first + i, events[k].key);
		if (++k == 32 || i + 1 == n) {
			listener.complete(listener.context, sink, events, k);
			k = 0;
		}
	}
}

static bool known(const struct scene *s, uint64_t i)
{
	return seen(s->dedup, i, (int64_t)(s->clock.mono_ns / 1000000)) == DEDUP_DUPLICATE;
}

static uint64_t count_known(const struct scene *s, uint64_t first, uint64_t n)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n; i++)
		sum += known(s, first + i);
	return sum;
}

/* The names of the segments, ascending. */
static uint32_t list(const struct scene *s, char names[][400], uint32_t max)
{
	struct dirent **entries;
	int n = scandir(s->identities, &entries, NULL, alphasort);
	uint32_t count = 0;

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.') {
			assert_true(count < max);
			(void)snprintf(names[count++], 400, "%s/%s", s->identities, entries[i]->d_name);
		}
		free(entries[i]);
	}
	free(entries);
	return count;
}

static void identities_survive_a_restart(void **state)
{
	struct scene *s = *state;

	restart(s);
	assert_true(s->restored.empty);
	append(s, 0, 0, 1000); /* before the start: the buffer holds it */
	start(s);
	append(s, 0, 1000, 50000);
	append(s, 1, 100000, 50000);
	restart(s);
	assert_false(s->restored.empty);
	assert_int_equal(s->restored.marks, 101000);
	assert_int_equal(count_known(s, 0, 51000), 51000);
	assert_int_equal(count_known(s, 100000, 50000), 50000);
	assert_false(known(s, 51000));
	assert_int_equal(s->restored.damaged + s->restored.torn + s->restored.unknown, 0);

	/* And two more. */
	start(s);
	append(s, 0, 200000, 10);
	restart(s);
	start(s);
	restart(s);
	assert_int_equal(s->restored.marks, 101010);
	assert_true(known(s, 200009));
}

static void marks_keep_their_age(void **state)
{
	struct scene *s = *state;

	restart(s);
	append(s, 0, 0, 10);
	pass_time(s, 30000);
	append(s, 0, 10, 10);
	start(s);
	pass_time(s, 20000);
	restart(s);
	assert_int_equal(count_known(s, 0, 20), 20);
	pass_time(s, 10000 - TICK_MS);
	assert_int_equal(count_known(s, 0, 20), 20);
	pass_time(s, TICK_MS);
	assert_int_equal(count_known(s, 0, 10), 0);
	assert_int_equal(count_known(s, 10, 10), 10);
	restart(s);
	assert_int_equal(s->restored.marks, 10);
	assert_int_equal(s->restored.expired, 10);
}

/* On the same boot the monotonic clock counts, whatever the wall clock does. */
static void a_stepping_clock_does_not_matter(void **state)
{
	struct scene *s = *state;

	for (int64_t step = -3600000; step <= 3600000; step += 7200000) {
		restart(s);
		start(s);
		append(s, 0, 0, 100);
		pass_time(s, 1000);
		s->clock.wall_ms += step;
		restart(s);
		assert_int_equal(s->restored.marks, 100);
		pass_time(s, WINDOW_MS - 1000 - TICK_MS);
		assert_int_equal(count_known(s, 0, 100), 100);
		pass_time(s, TICK_MS);
		assert_int_equal(count_known(s, 0, 100), 0);
	}
}

/* Writes a segment by hand. Returns its size. */
static size_t craft(struct scene *s, const char *name, const struct identity_header *header,
    const struct identity_time *times, uint32_t n_times, uint32_t count)
{
	uint8_t *data = malloc(64 + n_times * identity_block_size(IDENTITY_BLOCK_MARKS, count));
	size_t len = IDENTITY_HEADER_BYTES;
	char path[200];
	int fd;

	assert_non_null(data);
	identity_header_write(header, data);
	for (uint32_t t = 0; t < n_times; t++) {
		uint64_t(*keys)[2] = calloc(count, 16);

		assert_non_null(keys);
		for (uint32_t i = 0; i < count; i++)
			make_key((uint64_t)t * count + i, keys[i]);
		len += identity_block_write(&(struct identity_block){.type = IDENTITY_BLOCK_MARKS,
		                                .stream_id = s->options.streams[0].id,
		                                .time = times[t],
		                                .payload = keys,
		                                .count = count},
		    data + len);
		free(keys);
	}
	(void)snprintf(path, sizeof(path), "%s/%s", s->identities, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
	free(data);
	return len;
}

static void after_a_reboot_the_wall_clock_counts(void **state)
{
	struct scene *s = *state;
	struct identity_header header = {
	    .boot = "another boot", .secret_id = identity_secret_id(s->options.secret), .sequence = 1};
	/* The monotonic times are of no use; the last mark is of the future: the clock was put back. */
	const struct identity_time times[] = {
	    {T0 - 50000, 1}, {T0 - WINDOW_MS, INT64_MAX}, {T0 + 3600000, INT64_MIN}};

	restart(s);
	(void)craft(s, "0000000000000001.ids", &header, times, 3, 10);
	s->clock.mono_ns = 1000000; /* just booted: less than the age of any mark */
	restart(s);
	assert_int_equal(s->restored.marks, 20);
	assert_int_equal(s->restored.expired, 10);
	assert_int_equal(count_known(s, 0, 10), 10);
	assert_int_equal(count_known(s, 20, 10), 10);
	pass_time(s, 10000);
	assert_int_equal(count_known(s, 0, 10), 0);
	assert_int_equal(count_known(s, 20, 10), 10);
	pass_time(s, WINDOW_MS - 10000);
	assert_int_equal(count_known(s, 20, 10), 0);
}

static void what_is_whole_is_used(void **state)
{
	struct scene *s = *state;
	struct identity_header header = {.secret_id = identity_secret_id(s->options.secret), .sequence = 1};
	const struct identity_time times[] = {{T0, 0}, {T0, 0}, {T0, 0}};
	const size_t block = identity_block_size(IDENTITY_BLOCK_MARKS, 10);
	char names[8][400];
	size_t len;

	restart(s);
	/* Cut at every byte: whole blocks count, the rest is a torn tail. */
	for (size_t cut = 0; cut < 3 * block + IDENTITY_HEADER_BYTES; cut += 7) {
		size_t whole = cut < IDENTITY_HEADER_BYTES ? 0 : (cut - IDENTITY_HEADER_BYTES) / block;

		len = craft(s, "0000000000000001.ids", &header, times, 3, 10);
		assert_int_equal(len, 3 * block + IDENTITY_HEADER_BYTES);
		assert_int_equal(list(s, names, 8), 1);
		assert_int_equal(truncate(names[0], (off_t)cut), 0);
		restart(s);
		assert_int_equal(s->restored.marks, 10 * whole);
		assert_int_equal(s->restored.refused, 0);
		assert_int_equal(s->restored.damaged, 0);
		if (cut >= IDENTITY_HEADER_BYTES)
			assert_int_equal(s->restored.torn, (cut - IDENTITY_HEADER_BYTES) % block);
	}
	/* Rot at every byte: that block is lost, the others are not. */
	for (size_t at = 0; at < 3 * block + IDENTITY_HEADER_BYTES; at += 5) {
		uint8_t byte;
		int fd;

		(void)craft(s, "0000000000000001.ids", &header, times, 3, 10);
		fd = open(names[0], O_RDWR);
		assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
		close(fd);
		restart(s);
		if (at < IDENTITY_HEADER_BYTES) {
			assert_int_equal(s->restored.marks, 0);
			assert_int_equal(s->restored.refused, 1);
			assert_non_null(strstr(s->restored.refusal, "0000000000000001.ids: "));
		} else {
			assert_int_equal(s->restored.marks, 20);
			assert_int_equal(s->restored.damaged + s->restored.torn, block);
			assert_int_equal(s->restored.torn != 0, at >= 2 * block + IDENTITY_HEADER_BYTES);
		}
	}
}

static void files_of_others_are_left_alone(void **state)
{
	struct scene *s = *state;
	struct identity_header ours = {.secret_id = identity_secret_id(s->options.secret), .sequence = 3};
	struct identity_header other = {.secret_id = 1, .sequence = 2};
	const struct identity_time times[] = {{T0, 0}};
	char names[8][400], path[200];
	struct identity_log_status status;
	uint32_t version = 2;
	FILE *file;
	int fd;

	restart(s);
	(void)snprintf(path, sizeof(path), "%s/0000000000000001.ids", s->identities);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs("this is a diary, and none of your business\n", file);
	(void)fclose(file);
	(void)craft(s, "0000000000000002.ids", &other, times, 1, 5);
	(void)craft(s, "0000000000000003.ids", &ours, times, 1, 5);
	(void)craft(s, "0000000000000004.ids", &ours, times, 1, 5);
	(void)snprintf(path, sizeof(path), "%s/0000000000000004.ids", s->identities);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, &version, 4, 8), 4);
	close(fd);
	(void)snprintf(path, sizeof(path), "%s/notes.txt", s->identities);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	(void)snprintf(path, sizeof(path), "%s/0000000000000005.ids", s->identities);
	assert_int_equal(mkdir(path, 0700), 0);
	restart(s);
	assert_int_equal(s->restored.marks, 5);
	assert_int_equal(s->restored.segments, 1);
	assert_int_equal(s->restored.refused, 3);
	assert_non_null(strstr(s->restored.refusal, "0000000000000004.ids: of another version"));
	/* A name that is taken is not written over, and what is of no use to anybody goes. */
	assert_int_equal(rmdir(path), 0);
	start(s);
	for (int i = 0; i < 2000; i++) {
		identity_log_status(s->log, &status);
		if (status.segments == 4)
			break;
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	assert_int_equal(list(s, names, 8), 5);
	assert_non_null(strstr(names[0], "0000000000000001.ids"));
	assert_non_null(strstr(names[1], "0000000000000003.ids"));
	assert_non_null(strstr(names[2], "0000000000000004.ids"));
	assert_non_null(strstr(names[3], "0000000000000005.ids"));
}

static void other_streams_are_not_mixed_up(void **state)
{
	struct scene *s = *state;

	restart(s);
	start(s);
	append(s, 0, 0, 100);
	s->options.streams[0].id =
	    identity_stream_id("shop", NULL); /* another field now makes the identity */
	restart(s);
	assert_int_equal(s->restored.marks, 0);
	assert_int_equal(s->restored.unknown, 100);
	assert_true(identity_stream_id("a", "bc") != identity_stream_id("ab", "c"));
	assert_true(identity_stream_id("a", "") != identity_stream_id("a", NULL));
}

static void expired_segments_go(void **state)
{
	struct scene *s = *state;
	char names[64][400];
	uint32_t most = 0;

	for (int round = 0; round < 20; round++) {
		uint32_t n;

		restart(s);
		start(s);
		append(s, 0, (uint64_t)round * 100, 100);
		identity_log_destroy(s->log);
		s->log = NULL;
		n = list(s, names, 64);
		most = n > most ? n : most;
		pass_time(s, WINDOW_MS / 4);
	}
	assert_true(most <= 6);
	restart(s);
	assert_int_equal(s->restored.marks, 300);

	/* The bound on bytes takes the oldest. */
	s->options.max_bytes = 1;
	restart(s);
	start(s);
	restart(s);
	assert_int_equal(list(s, names, 64), 1);
}

static void a_checkpoint_stands_behind_its_identities(void **state)
{
	struct scene *s = *state;

	restart(s);
	assert_null(s->restored.checkpoint);
	start(s);
	append(s, 0, 0, 1000);
	identity_log_checkpoint(s->log, "one", 3);
	restart(s);
	assert_string_equal(s->restored.checkpoint, "one");
	start(s);
	identity_log_checkpoint(s->log, "two", 3);
	identity_log_checkpoint(s->log, "three", 5);
	restart(s);
	assert_string_equal(s->restored.checkpoint, "three");
	/* It outlives the segment that it was written to. */
	for (int i = 0; i < 3; i++) {
		start(s);
		pass_time(s, 2 * WINDOW_MS);
		restart(s);
	}
	start(s);
	restart(s);
	assert_int_equal(s->restored.marks, 0);
	assert_string_equal(s->restored.checkpoint, "three");
}

static void wait_status(struct scene *s, bool failing, uint64_t marks, struct identity_log_status *status)
{
	for (int i = 0; i < 4000; i++) {
		identity_log_status(s->log, status);
		if (status->failing == failing && status->marks >= marks)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	fail_msg("failing %d, %llu marks", status->failing, (unsigned long long)status->marks);
}

/* A file that may not grow stands for a disk that is full. */
static void a_full_disk_blocks_nobody(void **state)
{
	struct scene *s = *state;
	struct rlimit before, limit;
	struct identity_log_status status;

	(void)signal(SIGXFSZ, SIG_IGN);
	s->options.clock = &system_clock;
	restart(s);
	start(s);
	append(s, 0, 0, 1000);
	wait_status(s, false, 1000, &status);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 1000 * 16 + 2000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	append(s, 0, 1000, 10000);
	identity_log_checkpoint(s->log, "early", 5);
	wait_status(s, true, 1000, &status);
	assert_non_null(strstr(status.error, ".ids: File too large"));
	assert_true(status.error_ms > 0);
	assert_int_equal(status.lost, 0);
	assert_int_equal(status.checkpoint_ms, 0);
	/* The buffers take what they can, and the rest is counted. */
	append(s, 0, 100000, 2000000);
	limit = before;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	wait_status(s, false, 1000 + 10000 + 1, &status);
	for (int i = 0; i < 2000 && status.lost == 0; i++) {
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
		identity_log_status(s->log, &status);
	}
	assert_true(status.lost > 0);
	assert_true(status.loss_ms > 0);
	assert_false(status.covered);
	wait_status(s, false, 11000 + 2000000 - status.lost, &status);
	/* Until the lost ones have expired no checkpoint vouches for the log. */
	identity_log_checkpoint(s->log, "late", 4);
	dedup_destroy(s->dedup);
	s->dedup = s->options.streams[0].dedup = create(4u << 20, WINDOW_MS);
	restart(s);
	assert_int_equal(s->restored.marks, 11000 + 2000000 - status.lost);
	assert_null(s->restored.checkpoint);
}

static void the_secret_is_kept(void **state)
{
	struct scene *s = *state;
	uint8_t one[16], two[16];
	char path[200];
	struct stat st;
	struct error err = {""};
	bool fresh;
	int fd;

	assert_int_equal(identity_secret_load(s->directory, one, &fresh, &err), 0);
	assert_true(fresh);
	assert_int_equal(identity_secret_load(s->directory, two, &fresh, &err), 0);
	assert_false(fresh);
	assert_memory_equal(one, two, 16);
	(void)snprintf(path, sizeof(path), "%s/" IDENTITY_SECRET_FILE, s->directory);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "x", 1, 12), 1);
	close(fd);
	assert_int_equal(identity_secret_load(s->directory, two, &fresh, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "/secret: not as it was written"));
	assert_int_equal(truncate(path, 10), 0);
	assert_int_equal(identity_secret_load(s->directory, two, &fresh, &err), -EBADMSG);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(identity_secret_load(s->directory, two, &fresh, &err), 0);
	assert_true(fresh);
	assert_memory_not_equal(one, two, 16);
	assert_true(identity_secret_id(one) != identity_secret_id(two));
	assert_int_equal(identity_secret_load("/nonexistent/x", two, &fresh, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/x: "));
}

static void what_cannot_be_is_refused(void **state)
{
	struct scene *s = *state;
	struct identity_log *log;
	struct error err = {""};

	s->options.directory = "/nonexistent/identities";
	assert_int_equal(identity_log_create(&s->options, &log, &err), -ENOENT);
	assert_null(log);
	assert_non_null(strstr(err.text, "/nonexistent/identities: No such file"));
	identity_log_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(identities_survive_a_restart, setup, teardown),
	    cmocka_unit_test_setup_teardown(marks_keep_their_age, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_stepping_clock_does_not_matter, setup, teardown),
	    cmocka_unit_test_setup_teardown(after_a_reboot_the_wall_clock_counts, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_whole_is_used, setup, teardown),
	    cmocka_unit_test_setup_teardown(files_of_others_are_left_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(other_streams_are_not_mixed_up, setup, teardown),
	    cmocka_unit_test_setup_teardown(expired_segments_go, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_checkpoint_stands_behind_its_identities, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_full_disk_blocks_nobody, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_secret_is_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
