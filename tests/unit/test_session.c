/* SPDX-License-Identifier: BSD-3-Clause */
#include "session.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WINDOW 64u

struct fixture {
	struct session_frames frames;
	void *memory;
	struct wire_header header;
	struct wire_ack ack;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->memory = calloc(1, session_frames_bytes(WINDOW));
	assert_non_null(f->memory);
	session_frames_init(&f->frames, WINDOW, f->memory);
	session_frames_reset(&f->frames, 1000);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	free(f->memory);
	free(f);
	return 0;
}

static void acknowledge(struct fixture *f)
{
	memset(&f->ack, 0xee, sizeof(f->ack));
	session_acknowledge(&f->frames, &f->header, &f->ack);
}

static void complete_all(struct session_frames *frames, uint64_t sequence, uint32_t count, uint8_t code)
{
	for (uint32_t e = 0; e < count; e++)
		if (session_complete(frames, (uint32_t)(sequence % frames->window), e, code))
			session_release(frames);
}

/* Two workers have the same frame in hand, and every step of one lies between two of the other. */
static void two_workers_and_one_frame(void **state)
{
	struct fixture *f = *state;
	struct session_frames *s = &f->frames;

	assert_int_equal(session_peek(s, 1005, 1000), SESSION_NEW);
	assert_int_equal(session_peek(s, 1005, 1000), SESSION_NEW); /* both think so */
	assert_int_equal(session_claim(s, 1005, 1000, 2), SESSION_NEW);
	assert_int_equal(session_claim(s, 1005, 1000, 2), SESSION_REPEATED);
	assert_false(session_complete(s, 1005 % WINDOW, 1, 0));
	assert_int_equal(session_claim(s, 1005, 1000, 2), SESSION_REPEATED);
	assert_true(session_complete(s, 1005 % WINDOW, 0, 0));
	assert_int_equal(session_pending(s), 1);
	session_release(s);
	assert_int_equal(session_claim(s, 1005, 1000, 2), SESSION_REPEATED);
	/* A worker that was held up for a whole window: the slot is another frame's by now. */
	for (uint64_t i = 1000; i < 1000 + WINDOW; i++) {
		if (session_claim(s, i, 1000, 1) == SESSION_NEW)
			complete_all(s, i, 1, 0);
	}
	acknowledge(f);
	assert_int_equal(f->header.base, 1000 + WINDOW);
	assert_int_equal(session_claim(s, 1005 + WINDOW, 1006, 1), SESSION_NEW);
	assert_int_equal(session_claim(s, 1005, 1000, 2), SESSION_REPEATED);
	complete_all(s, 1005 + WINDOW, 1, 0);
	assert_int_equal(session_claim(s, 1005, 1000, 2), SESSION_REPEATED);
	assert_int_equal(session_pending(s), 0);
}

static void a_forgotten_frame_is_new_again(void **state)
{
	struct fixture *f = *state;
	struct session_frames *s = &f->frames;

	assert_int_equal(session_claim(s, 1000, 1000, 3), SESSION_NEW);
	assert_false(session_forget(s, 1000 % WINDOW));
	assert_false(session_complete(s, 1000 % WINDOW, 1, 9));
	acknowledge(f);
	assert_int_equal(f->ack.received[0], 1);
	assert_true(session_complete(s, 1000 % WINDOW, 2, 0));
	session_release(s);
	acknowledge(f);
	assert_int_equal(f->ack.received[0], 0);
	assert_int_equal(f->header.base, 1000);
	assert_int_equal(f->header.sequence, 1001);
	/* What was said of the first attempt is not said of the second. */
	assert_int_equal(session_claim(s, 1000, 1000, 3), SESSION_NEW);
	complete_all(s, 1000, 3, 0);
	acknowledge(f);
	assert_int_equal(f->header.base, 1001);
	assert_int_equal(f->ack.n_exceptions, 0);
}

/* A frame is shown as durable only beside all its exceptions. */
static void exceptions_that_do_not_fit_hold_the_base(void **state)
{
	struct fixture *f = *state;
	struct session_frames *s = &f->frames;
	uint64_t known = 1000, shown = 0, rounds = 0;

	for (uint64_t i = 1000; i < 1000 + WINDOW; i++) {
		assert_int_equal(session_claim(s, i, 1000, 25), SESSION_NEW);
		for (uint32_t e = 0; e < 25; e++)
			if (session_complete(s, (uint32_t)(i % WINDOW), e, (uint8_t)(e + 1)))
				session_release(s);
	}
	while (known < 1000 + WINDOW) {
		uint32_t n[WINDOW] = {0};

		acknowledge(f);
		assert_true(f->ack.n_exceptions <= wire_ack_room(f->ack.n_words));
		assert_int_equal(f->ack.client_base, known);
		for (uint32_t i = 0; i < f->ack.n_exceptions; i++) {
			assert_int_equal(
			    f->ack.exceptions[i].events, UINT64_C(1) << (f->ack.exceptions[i].reason - 1));
			n[f->ack.exceptions[i].offset]++;
		}
		for (uint64_t i = known; i < 1000 + WINDOW; i++) {
			bool durable = i < f->header.base ||
			               wire_bit(f->ack.durable, f->ack.n_words, i - f->header.base);

			assert_int_equal(n[i - known], durable ? 25 : 0);
			if (!durable)
				assert_true(wire_bit(f->ack.received, f->ack.n_words, i - f->header.base));
			shown += durable;
		}
		assert_true(f->header.base > known);
		known = f->header.base;
		session_sender_base(s, known);
		rounds++;
	}
	assert_int_equal(shown, WINDOW);
	assert_true(rounds > 10);
}

static void the_window_has_two_ends(void **state)
{
	struct fixture *f = *state;
	struct session_frames *s = &f->frames;

	assert_int_equal(session_claim(s, 1000 + WINDOW, 1000, 1), SESSION_OUTSIDE);
	assert_int_equal(session_claim(s, WIRE_MAX_SEQUENCE, 1000, 1), SESSION_OUTSIDE);
	assert_int_equal(session_claim(s, 0, 0, 1), SESSION_REPEATED);
	acknowledge(f);
	assert_int_equal(f->header.base, 1000);
	assert_int_equal(f->header.sequence, 1000);
	assert_int_equal(f->ack.n_words, 0);
}

/* ---- threads ---- */

#define FRAMES 20000u
#define CLAIMERS 2
#define QUEUE 4096u

/* Several workers get the same frames, sinks end their events, the home worker acknowledges, and the sender believes it. */
struct torture {
	struct session_frames frames;
	_Atomic uint64_t known;            /* the sender's base */
	_Atomic uint8_t attempts[FRAMES];  /* claims that were granted */
	_Atomic uint8_t completed[FRAMES]; /* events that have ended well in the last attempt */
	_Atomic uint64_t queue[QUEUE];     /* frames for the sinks: sequence + 1 */
	_Atomic uint64_t put, taken;
	_Atomic bool done;
};

static void *claim_frames(void *context)
{
	struct torture *t = context;

	while (!atomic_load(&t->done)) {
		uint64_t base = atomic_load(&t->known);

		for (uint64_t i = base; i < base + WINDOW && i < FRAMES; i++) {
			uint64_t at;

			if (session_claim(&t->frames, i, base, 2) != SESSION_NEW)
				continue;
			atomic_store(&t->completed[i], 0);
			atomic_fetch_add(&t->attempts[i], 1);
			at = atomic_fetch_add(&t->put, 1);
			while (atomic_load(&t->queue[at % QUEUE]) != 0)
				sched_yield();
			atomic_store(&t->queue[at % QUEUE], i + 1);
		}
		sched_yield();
	}
	return NULL;
}

/* Ends the events; each frame's first attempt in seven fails. */
static void *end_events(void *context)
{
	struct torture *t = context;

	while (!atomic_load(&t->done)) {
		uint64_t at = atomic_load(&t->taken), item = atomic_load(&t->queue[at % QUEUE]);
		uint32_t slot;
		bool fails;

		if (item == 0 || at == atomic_load(&t->put) ||
		    !atomic_compare_exchange_strong(&t->taken, &at, at + 1)) {
			sched_yield();
			continue;
		}
		item = atomic_exchange(&t->queue[at % QUEUE], 0) - 1;
		slot = (uint32_t)(item % WINDOW);
		fails = item % 7 == 0 && atomic_load(&t->attempts[item]) == 1;
		atomic_fetch_add(&t->completed[item], 1);
		if (session_complete(&t->frames, slot, 0, item % 5 == 0 ? 3 : 0))
			session_release(&t->frames);
		if (!fails)
			atomic_fetch_add(&t->completed[item], 1);
		if (fails ? session_forget(&t->frames, slot) : session_complete(&t->frames, slot, 1, 0))
			session_release(&t->frames);
	}
	return NULL;
}

static void acknowledged_means_complete(void **state)
{
	struct torture *t = calloc(1, sizeof(*t));
	void *memory = calloc(1, session_frames_bytes(WINDOW));
	pthread_t threads[CLAIMERS + 2];
	struct wire_header header = {0};
	static struct wire_ack ack;
	uint64_t wrong = 0;

	(void)state;
	assert_non_null(t);
	session_frames_init(&t->frames, WINDOW, memory);
	session_frames_reset(&t->frames, 0);
	for (int i = 0; i < CLAIMERS + 2; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, i < CLAIMERS ? claim_frames : end_events, t), 0);
	while (header.base < FRAMES) {
		uint64_t known = atomic_load(&t->known);

		session_acknowledge(&t->frames, &header, &ack);
		for (uint64_t i = known; i < header.base + 64u * ack.n_words; i++) {
			bool excepted = false;

			if (i >= header.base && !wire_bit(ack.durable, ack.n_words, i - header.base))
				continue;
			for (uint32_t e = 0; e < ack.n_exceptions; e++)
				excepted |= ack.client_base + ack.exceptions[e].offset == i &&
				            ack.exceptions[e].reason == 3 && ack.exceptions[e].events == 1;
			wrong += atomic_load(&t->completed[i]) != 2 || excepted != (i % 5 == 0);
		}
		atomic_store(&t->known, header.base);
		sched_yield();
	}
	atomic_store(&t->done, true);
	for (int i = 0; i < CLAIMERS + 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(wrong, 0);
	assert_int_equal(session_pending(&t->frames), 0);
	for (uint64_t i = 0; i < FRAMES; i++)
		assert_int_equal(t->attempts[i], i % 7 == 0 ? 2 : 1);
	free(memory);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(two_workers_and_one_frame, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_forgotten_frame_is_new_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(exceptions_that_do_not_fit_hold_the_base, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_window_has_two_ends, setup, teardown),
	    cmocka_unit_test(acknowledged_means_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
