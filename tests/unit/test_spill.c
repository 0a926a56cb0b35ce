/* SPDX-License-Identifier: BSD-3-Clause */
#include "libpenstock/spill.h"

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
#include <unistd.h>
#include <cmocka.h>

struct place {
	char path[64];
	struct frame_pool pool;
	struct spill_options options;
};

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	int fd;

	assert_non_null(place);
	strcpy(place->path, "/tmp/penstock-spill-XXXXXX");
	fd = mkstemp(place->path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(frame_pool_init(&place->pool, 1 << 20, 1452, 16), 0);
	place->options = (struct spill_options){
	    .path = place->path, .max_bytes = 1 << 20, .stream = 5, .source_id = 6, .max_payload = 1376};
	*state = place;
	return 0;
}

static int tear_down(void **state)
{
	struct place *place = *state;

	unlink(place->path);
	frame_pool_free(&place->pool);
	free(place);
	return 0;
}

/* Frame `number` has number % 5 + 1 events "number:event". */
static void fill(struct outgoing *frame, uint32_t number)
{
	char *payload = (char *)frame->datagram + WIRE_HEADER_BYTES;
	int at = 0;

	frame->count = (uint16_t)(number % 5 + 1);
	for (uint32_t i = 0; i < frame->count; i++) {
		at += sprintf(payload + at, "%s%u:%u", i > 0 ? "\n" : "", number, i);
		frame->end[i] = (uint16_t)at;
		frame->tags[i] = number * 100 + i;
	}
	frame->len = (uint16_t)at;
}

static void append(struct place *place, struct spill *spill, uint32_t number)
{
	struct outgoing *frame = frame_pool_take(&place->pool);

	fill(frame, number);
	assert_int_equal(spill_append(spill, frame, true, NULL), 0);
	frame_pool_give(&place->pool, frame);
}

/* Returns where the record ends. */
static uint64_t expect(struct place *place, struct spill *spill, uint32_t number, bool recovered)
{
	struct outgoing *frame = frame_pool_take(&place->pool), *wanted = frame_pool_take(&place->pool);
	uint64_t end;

	fill(wanted, number);
	assert_int_equal(spill_read(spill, frame, NULL), 1);
	assert_int_equal(frame->count, wanted->count);
	assert_int_equal(frame->len, wanted->len);
	assert_int_equal(frame->recovered, recovered);
	assert_memory_equal(
	    frame->datagram + WIRE_HEADER_BYTES, wanted->datagram + WIRE_HEADER_BYTES, wanted->len);
	for (uint32_t i = 0; i < frame->count; i++) {
		assert_int_equal(frame->tags[i], wanted->tags[i]);
		assert_int_equal(frame->end[i], wanted->end[i]);
	}
	end = frame->spill_end;
	frame_pool_give(&place->pool, frame);
	frame_pool_give(&place->pool, wanted);
	return end;
}

static struct spill *open_spill(struct place *place)
{
	struct spill *spill = NULL;
	struct error err = {""};

	if (spill_open(&place->options, &spill, &err) != 0)
		fail_msg("%s", err.text);
	return spill;
}

static void refused(struct place *place, int code, const char *text)
{
	struct spill *spill = NULL;
	struct error err = {""};

	assert_int_equal(spill_open(&place->options, &spill, &err), code);
	assert_null(spill);
	if (strstr(err.text, text) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, text);
	assert_non_null(strstr(err.text, place->path));
}

static uint64_t size_of(const struct place *place)
{
	struct stat status;

	assert_int_equal(stat(place->path, &status), 0);
	return (uint64_t)status.st_size;
}

static void change(const struct place *place, uint64_t at, uint8_t with)
{
	int fd = open(place->path, O_RDWR);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= with;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
}

static void what_goes_in_comes_out_also_by_the_next_process(void **state)
{
	struct place *place = *state;
	struct spill *spill = open_spill(place);
	struct outgoing *frame = frame_pool_take(&place->pool);
	uint64_t end = 0;

	for (uint32_t i = 0; i < 100; i++)
		append(place, spill, i);
	for (uint32_t i = 0; i < 40; i++)
		end = expect(place, spill, i, false);
	spill_release(spill, end);
	/* 40 to 59 were read, and not released. 50 is done all the same. */
	for (uint32_t i = 40; i < 60; i++) {
		end = expect(place, spill, i, false);
		fill(frame, i);
		if (i == 50)
			spill_forget(spill, end, spill_record_bytes(frame));
	}
	spill_close(spill);
	spill = open_spill(place);
	assert_int_equal(spill_counts(spill)->unread_frames, 59);
	assert_int_equal(spill_counts(spill)->torn_bytes, 0);
	append(place, spill, 100);
	for (uint32_t i = 40; i <= 100; i++)
		if (i != 50)
			end = expect(place, spill, i, i < 100);
	assert_int_equal(spill_read(spill, frame, NULL), 0);
	spill_release(spill, end);
	assert_int_equal(spill_counts(spill)->used_bytes, 0);
	assert_int_equal(size_of(place), 4096);
	append(place, spill, 7);
	spill_close(spill);
	spill = open_spill(place);
	expect(place, spill, 7, true);
	spill_close(spill);
	frame_pool_give(&place->pool, frame);
}

static void the_bound_is_held_and_space_comes_back(void **state)
{
	struct place *place = *state;
	struct outgoing *frame = frame_pool_take(&place->pool);
	struct spill *spill;
	uint32_t written = 0, read = 0;
	struct error err;

	place->options.max_bytes = 20000;
	spill = open_spill(place);
	fill(frame, 3);
	for (uint32_t round = 0; round < 50; round++) {
		int ret;

		while ((ret = spill_append(spill, frame, true, &err)) == 0)
			written++;
		assert_int_equal(ret, -ENOSPC);
		assert_true(spill_counts(spill)->used_bytes + 4096 <= 20000);
		for (uint32_t i = 0; i < 20; i++, read++)
			spill_release(spill, expect(place, spill, 3, false));
	}
	assert_true(written > 900 && written - read == spill_counts(spill)->unread_frames);
	spill_close(spill);
	frame_pool_give(&place->pool, frame);
}

/* However much of the last write is there: what came before it is, and the file goes on from there. */
static void a_torn_tail_is_cut_off(void **state)
{
	struct place *place = *state;
	struct spill *spill = open_spill(place);
	uint64_t before, after;

	append(place, spill, 1);
	before = size_of(place);
	append(place, spill, 4);
	after = size_of(place);
	spill_close(spill);
	for (uint64_t size = after - 1; size > before; size--) {
		assert_int_equal(truncate(place->path, (off_t)size), 0);
		spill = open_spill(place);
		assert_int_equal(spill_counts(spill)->torn_bytes, size - before);
		assert_int_equal(spill_counts(spill)->unread_frames, 1);
		append(place, spill, 4);
		spill_close(spill);
		spill = open_spill(place);
		expect(place, spill, 1, true);
		expect(place, spill, 4, true);
		spill_close(spill);
	}
}

/* Any byte of a record that is not the last one: the place is named, and the file is as it was. */
static void damage_is_refused(void **state)
{
	struct place *place = *state;
	struct spill *spill = open_spill(place);
	uint64_t size;

	for (uint32_t i = 0; i < 3000; i++)
		append(place, spill, i);
	spill_close(spill);
	size = size_of(place);
	for (uint64_t at = 4096; at < 4096 + 37; at++) {
		change(place, at, 0x80);
		refused(place, -EBADMSG, "at byte 4096");
		assert_int_equal(size_of(place), size);
		change(place, at, 0x80);
	}
	for (uint64_t at = 0; at < 32; at++) {
		change(place, at, 0x01);
		refused(place, -EBADMSG, "");
		change(place, at, 0x01);
	}
	change(place, 512, 1);
	refused(place, -EBADMSG, "does not say where");
	change(place, 512, 1);
	spill = open_spill(place);
	assert_int_equal(spill_counts(spill)->unread_frames, 3000);
	spill_close(spill);
}

static void other_peoples_files_are_refused(void **state)
{
	struct place *place = *state;
	struct spill *spill = open_spill(place);
	int fd;

	append(place, spill, 4);
	refused(place, -EBUSY, "in use");
	spill_close(spill);
	place->options.source_id = 7;
	refused(place, -EBADMSG, "another stream or source");
	place->options.source_id = 6;
	place->options.max_payload = 5;
	refused(place, -EMSGSIZE, "only has room for 5");
	place->options.max_payload = 1376;
	fd = open(place->path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "a letter to my mother\n", 22), 22);
	close(fd);
	refused(place, -EBADMSG, "is not a spill file");
	assert_int_equal(size_of(place), 22);
	place->options.path = "/tmp";
	assert_int_equal(spill_open(&place->options, &spill, NULL), -EISDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
	        what_goes_in_comes_out_also_by_the_next_process, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(the_bound_is_held_and_space_comes_back, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_torn_tail_is_cut_off, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(damage_is_refused, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(other_peoples_files_are_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
