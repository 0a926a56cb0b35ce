/* SPDX-License-Identifier: BSD-3-Clause */
/* A session whose sender knows more than the session does: frames that became durable in an earlier one. */
#include "session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define WINDOW 8u

struct fixture {
	struct session_frames frames;
	void *memory;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->memory = calloc(1, session_frames_bytes(WINDOW));
	assert_non_null(f->memory);
	session_frames_init(&f->frames, WINDOW, f->memory);
	session_frames_reset(&f->frames, 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	free(f->memory);
	free(f);
	return 0;
}

static void make_durable(struct session_frames *s, uint64_t sequence, uint64_t base)
{
	assert_int_equal(session_claim(s, sequence, base, 1), SESSION_NEW);
	assert_true(session_complete(s, (uint32_t)(sequence % WINDOW), 0, 0));
	session_release(s);
}

static void check_ack(struct session_frames *s, uint64_t client_base, uint64_t base, uint64_t head)
{
	struct wire_header header = {0};
	struct wire_ack ack;

	session_acknowledge(s, &header, &ack);
	assert_int_equal(ack.client_base, client_base);
	assert_int_equal(header.base, base);
	assert_int_equal(header.sequence, head);
	assert_true(ack.n_words <= 1);
}

/* Frame 1 was durable before a restart: the sender goes from 0 to 2. */
static void a_frame_of_an_earlier_session_is_stepped_over(void **state)
{
	struct session_frames *s = &((struct fixture *)*state)->frames;

	make_durable(s, 0, 0);
	check_ack(s, 0, 1, 1);
	assert_int_equal(session_claim(s, 2, 2, 1), SESSION_NEW);
	check_ack(s, 2, 2, 3);
	assert_true(session_complete(s, 2, 0, 0));
	session_release(s);
	check_ack(s, 2, 3, 3);
	assert_int_equal(session_claim(s, 1, 0, 1), SESSION_REPEATED);
}

/* The HELLO that made the session was an old one. */
static void a_base_far_above_is_believed(void **state)
{
	struct session_frames *s = &((struct fixture *)*state)->frames;

	make_durable(s, 3, 0);
	session_sender_base(s, 1000);
	check_ack(s, 1000, 1000, 1000);
	make_durable(s, 1003, 1001);
	check_ack(s, 1001, 1001, 1004);
	/* Slot 3 and others hold words from long ago. */
	for (uint64_t sequence = 1001; sequence < 1003; sequence++)
		make_durable(s, sequence, 1001);
	check_ack(s, 1001, 1004, 1004);
}

/* What is under way keeps its place until it has ended, whatever the sender says. */
static void a_place_in_use_is_not_given_away(void **state)
{
	struct session_frames *s = &((struct fixture *)*state)->frames;

	assert_int_equal(session_claim(s, 0, 0, 2), SESSION_NEW);
	assert_int_equal(session_claim(s, WINDOW, WINDOW, 1), SESSION_OUTSIDE);
	assert_false(session_complete(s, 0, 0, 0));
	assert_int_equal(session_claim(s, WINDOW, WINDOW, 1), SESSION_OUTSIDE);
	assert_true(session_forget(s, 0));
	session_release(s);
	assert_int_equal(session_claim(s, WINDOW, WINDOW, 1), SESSION_NEW);
	assert_int_equal(session_claim(s, 0, 0, 2), SESSION_REPEATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_frame_of_an_earlier_session_is_stepped_over, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_base_far_above_is_believed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_place_in_use_is_not_given_away, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
