/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dedup protocol under schedules that real threads hardly ever produce.
 *
 * dedup.c and dedup_displace.c are compiled for this program with -fsanitize=thread but without its library:
 * every atomic access becomes a call of a function below, which does the access and then may switch to
 * another worker. Workers are coroutines of one thread, so a schedule is a seed, and a failure can be
 * repeated.
 */
#include "dedup_testing.h"

#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define WINDOW_MS 1000
#define STACK_BYTES (64u << 10)
#define MAX_STEPS 100000u

enum { MAX_WORKERS = 4, MAX_KEYS = 40 };

struct scheduler;

struct worker {
	struct scheduler *scheduler;
	ucontext_t context;
	char *stack;
	bool running;
	int64_t now_ms;
	uint64_t keys[MAX_KEYS]; /* what it inserts; the first n_looks are only looked for */
	uint32_t n_keys, n_looks;
	bool gives_up; /* some of its events are never delivered */
};

struct scheduler {
	struct dedup *dedup;
	ucontext_t main;
	struct worker worker[MAX_WORKERS];
	uint32_t n_workers, current;
	uint64_t random;
	uint32_t switch_percent, steps;
	uint32_t evicted, missed;
	bool endless;
	uint8_t fresh[MAX_KEYS];
	/* of keys with events that are given up */
	uint8_t owners[MAX_KEYS];                       /* events between new and their end */
	bool confirming[MAX_KEYS], confirmed[MAX_KEYS]; /* a confirmation has begun, has returned */
	uint32_t two_owners, early, late;               /* what must not happen */
};

/* The one that the accesses below belong to; NULL while the table is prepared and checked. The calls that the
 * compiler makes carry no context. */
static struct scheduler *scheduled;

static uint32_t draw(struct scheduler *s, uint32_t n)
{
	s->random = mix(s->random);
	return (uint32_t)(s->random >> 33) % n;
}

/* Goes on with any worker that is not done, this one included; with the main program when all are. */
static void switch_worker(struct scheduler *s, ucontext_t *from)
{
	uint32_t next[MAX_WORKERS], n = 0;

	for (uint32_t i = 0; i < s->n_workers; i++) {
		if (s->worker[i].running)
			next[n++] = i;
	}
	if (n == 0) {
		(void)setcontext(&s->main);
		return;
	}
	s->current = next[draw(s, n)];
	if (&s->worker[s->current].context != from)
		(void)swapcontext(from, &s->worker[s->current].context);
}

static void step(void)
{
	struct scheduler *s = scheduled;

	if (s == NULL)
		return;
	/* A protocol that makes workers wait for each other would not end. */
	if (s->steps++ == MAX_STEPS) {
		s->endless = true;
		(void)setcontext(&s->main);
	}
	if (draw(s, 100) < s->switch_percent)
		switch_worker(s, &s->worker[s->current].context);
}

/* What the compiler calls. Plain accesses are private to a worker; only the atomic ones are steps. */
#define PLAIN(name)               \
	void name(void *address); \
	void name(void *address)  \
	{                         \
		(void)address;    \
	}
PLAIN(__tsan_func_entry)
PLAIN(__tsan_read1)
PLAIN(__tsan_read2)
PLAIN(__tsan_read4)
PLAIN(__tsan_read8)
PLAIN(__tsan_read16)
PLAIN(__tsan_write1)
PLAIN(__tsan_write2)
PLAIN(__tsan_write4)
PLAIN(__tsan_write8)
PLAIN(__tsan_write16)

#define PLAIN_RANGE(name)                              \
	void name(void *address, unsigned long bytes); \
	void name(void *address, unsigned long bytes)  \
	{                                              \
		(void)address;                         \
		(void)bytes;                           \
	}
PLAIN_RANGE(__tsan_read_range)
PLAIN_RANGE(__tsan_write_range)

void __tsan_init(void);
void __tsan_init(void)
{
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}

#define ATOMIC(bits, type)                                                              \
	type __tsan_atomic##bits##_load(const type *address, int order);                \
	type __tsan_atomic##bits##_load(const type *address, int order)                 \
	{                                                                               \
		type value = *address;                                                  \
                                                                                        \
		(void)order;                                                            \
		step();                                                                 \
		return value;                                                           \
	}                                                                               \
	void __tsan_atomic##bits##_store(type *address, type value, int order);         \
	void __tsan_atomic##bits##_store(type *address, type value, int order)          \
	{                                                                               \
		(void)order;                                                            \
		*address = value;                                                       \
		step();                                                                 \
	}                                                                               \
	type __tsan_atomic##bits##_fetch_add(type *address, type value, int order);     \
	type __tsan_atomic##bits##_fetch_add(type *address, type value, int order)      \
	{                                                                               \
		type before = *address;                                                 \
                                                                                        \
		(void)order;                                                            \
		*address = (type)(before + value);                                      \
		step();                                                                 \
		return before;                                                          \
	}                                                                               \
	type __tsan_atomic##bits##_compare_exchange_val(                                \
	    type *address, type expected, type desired, int order, int failure_order);  \
	type __tsan_atomic##bits##_compare_exchange_val(                                \
	    type *address, type expected, type desired, int order, int failure_order)   \
	{                                                                               \
		type before = *address;                                                 \
                                                                                        \
		(void)order;                                                            \
		(void)failure_order;                                                    \
		if (before == expected)                                                 \
			*address = desired;                                             \
		step();                                                                 \
		return before;                                                          \
	}                                                                               \
	int __tsan_atomic##bits##_compare_exchange_strong(                              \
	    type *address, type *expected, type desired, int order, int failure_order); \
	int __tsan_atomic##bits##_compare_exchange_strong(                              \
	    type *address, type *expected, type desired, int order, int failure_order)  \
	{                                                                               \
		type wanted = *expected;                                                \
                                                                                        \
		*expected = __tsan_atomic##bits##_compare_exchange_val(                 \
		    address, wanted, desired, order, failure_order);                    \
		return *expected == wanted;                                             \
	}                                                                               \
	int __tsan_atomic##bits##_compare_exchange_weak(                                \
	    type *address, type *expected, type desired, int order, int failure_order); \
	int __tsan_atomic##bits##_compare_exchange_weak(                                \
	    type *address, type *expected, type desired, int order, int failure_order)  \
	{                                                                               \
		return __tsan_atomic##bits##_compare_exchange_strong(                   \
		    address, expected, desired, order, failure_order);                  \
	}
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)
ATOMIC(128, unsigned __int128)

/* An event that is in flight for a while, and then durable or given up. */
static void deliver(struct scheduler *s, struct worker *worker, uint64_t key)
{
	uint64_t k = key % MAX_KEYS;
	bool was_confirmed = s->confirmed[k];

	switch (take(s->dedup, key, worker->now_ms, &s->evicted)) {
	case DEDUP_NEW:
		s->late += was_confirmed;
		s->two_owners += s->owners[k]++ != 0;
		step();
		s->owners[k]--;
		if (draw(s, 2) == 0) {
			give_up(s->dedup, key);
			return;
		}
		s->confirming[k] = true;
		confirm(s->dedup, key, worker->now_ms, &s->evicted);
		s->confirmed[k] = true;
		return;
	case DEDUP_DUPLICATE:
		s->early += !s->confirming[k];
		return;
	case DEDUP_DUPLICATE_PENDING:
		s->late += was_confirmed;
		return;
	}
}

static void work(int number)
{
	struct scheduler *s = scheduled;
	struct worker *worker = &s->worker[number];

	for (uint32_t i = 0; i < worker->n_keys; i++) {
		uint64_t key = worker->keys[i];

		if (i < worker->n_looks)
			s->missed += !contains(s->dedup, key, worker->now_ms);
		else if (worker->gives_up)
			deliver(s, worker, key);
		else if (!insert(s->dedup, key, worker->now_ms, &s->evicted))
			s->fresh[key % MAX_KEYS]++;
	}
	worker->running = false;
	switch_worker(s, &worker->context);
}

static int setup(void **state)
{
	struct scheduler *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -1;
	for (int i = 0; i < MAX_WORKERS; i++) {
		s->worker[i].stack = malloc(STACK_BYTES);
		if (s->worker[i].stack == NULL)
			return -1;
	}
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scheduler *s = *state;

	for (int i = 0; i < MAX_WORKERS; i++)
		free(s->worker[i].stack);
	dedup_destroy(s->dedup);
	free(s);
	return 0;
}

/* A table that stays, as the mapping costs more than a schedule. */
static void table(struct scheduler *s, uint64_t slots)
{
	dedup_destroy(s->dedup);
	s->dedup = create(slots, WINDOW_MS);
}

static void start(struct scheduler *s, uint32_t n_workers, uint64_t seed)
{
	memset(s->dedup->buckets, 0, s->dedup->n_buckets * sizeof(struct bucket));
	s->random = seed;
	s->switch_percent = 5 + draw(s, 60);
	s->n_workers = n_workers;
	s->steps = 0;
	s->evicted = 0;
	s->missed = 0;
	memset(s->fresh, 0, sizeof(s->fresh));
	memset(s->owners, 0, sizeof(s->owners));
	memset(s->confirming, 0, sizeof(s->confirming));
	memset(s->confirmed, 0, sizeof(s->confirmed));
	s->two_owners = s->early = s->late = 0;
	for (uint32_t i = 0; i < n_workers; i++) {
		s->worker[i].n_keys = 0;
		s->worker[i].n_looks = 0;
		s->worker[i].gives_up = false;
		s->worker[i].now_ms = T0;
	}
}

static void run(struct scheduler *s)
{
	for (uint32_t i = 0; i < s->n_workers; i++) {
		struct worker *worker = &s->worker[i];

		(void)getcontext(&worker->context);
		worker->context.uc_stack.ss_sp = worker->stack;
		worker->context.uc_stack.ss_size = STACK_BYTES;
		worker->context.uc_link = NULL;
		worker->running = true;
		makecontext(&worker->context, (void (*)(void))work, 1, (int)i);
	}
	scheduled = s;
	switch_worker(s, &s->main);
	scheduled = NULL;
	assert_false(s->endless);
}

static void gives(struct worker *worker, uint64_t key)
{
	worker->keys[worker->n_keys++] = key;
}

/* Slots that no insertion gave back would count as live for ever. */
static void assert_nothing_left(struct scheduler *s)
{
	struct dedup_stats stats;

	dedup_stats(s->dedup, T0 + 3 * WINDOW_MS, &stats);
	assert_int_equal(stats.entries, 0);
}

enum { SCHEDULES = 20000 };

/* Two or three keys, three workers, one or two buckets. */
static void one_worker_is_told_new(void **state)
{
	struct scheduler *s = *state;

	for (uint64_t slots = 4; slots <= 8; slots += 4) {
		table(s, slots);
		for (uint64_t seed = 0; seed < SCHEDULES; seed++) {
			uint32_t keys = 1 + (uint32_t)seed % 3, workers = 2 + (uint32_t)(seed / 3) % 3;

			start(s, workers, seed);
			for (uint32_t i = 0; i < workers; i++) {
				for (uint32_t k = 0; k < 2 * keys; k++)
					gives(&s->worker[i], (k + i) % keys);
			}
			run(s);
			if (s->evicted != 0)
				continue;
			for (uint32_t k = 0; k < keys; k++) {
				assert_int_equal(s->fresh[k], 1);
				assert_true(contains(s->dedup, k, T0));
			}
			assert_nothing_left(s);
		}
	}
}

/* A table with little room: old members are pushed about while workers look for them and insert the same new
 * ones. */
static void moving_members_are_found(void **state)
{
	enum { OLD = 18, NEW = 4 };
	struct scheduler *s = *state;
	uint32_t exact = 0, moves;

	table(s, 24);
	for (uint64_t seed = 0; seed < SCHEDULES; seed++) {
		uint64_t base = MAX_KEYS * mix(seed) % 1000000;

		start(s, 3, seed);
		for (uint64_t k = 0; k < OLD; k++)
			(void)insert(s->dedup, base + k, T0, &s->evicted);
		if (s->evicted != 0)
			continue;
		for (uint32_t i = 0; i < 3; i++) {
			for (uint64_t k = 0; k < (i == 0 ? OLD : 0); k++)
				gives(&s->worker[i], base + k);
			s->worker[i].n_looks = s->worker[i].n_keys;
			for (uint64_t k = 0; k < NEW; k++)
				gives(&s->worker[i], base + OLD + (k + i) % NEW);
		}
		run(s);
		if (s->evicted != 0)
			continue;
		exact++;
		assert_int_equal(s->missed, 0);
		for (uint64_t k = OLD; k < OLD + NEW; k++)
			assert_int_equal(s->fresh[(base + k) % MAX_KEYS], 1);
		for (uint64_t k = 0; k < OLD + NEW; k++)
			assert_true(contains(s->dedup, base + k, T0));
		assert_nothing_left(s);
	}
	assert_true(exact > SCHEDULES / 2);
	moves = 0;
	for (uint32_t i = 0; i < MOVE_STRIPES; i++)
		moves += atomic_load(&s->dedup->moves[i]);
	assert_true(moves > SCHEDULES / 10);
}

/* Everybody has keys of their own in a table that cannot hold them: no key is taken for another. Some clocks
 * were read so long ago that others take their undecided insertions for expired. */
static void neighbours_do_not_disturb(void **state)
{
	struct scheduler *s = *state;

	for (uint64_t slots = 4; slots <= 12; slots += 4) {
		table(s, slots);
		for (uint64_t seed = 0; seed < SCHEDULES / 2; seed++) {
			start(s, 4, seed);
			for (uint64_t k = 0; k < 16; k++)
				gives(&s->worker[k % 4], k);
			for (uint32_t i = 0; i < 4; i++)
				s->worker[i].now_ms = T0 + (int64_t)draw(s, 2) * (WINDOW_MS + 100);
			run(s);
			for (uint64_t k = 0; k < 16; k++)
				assert_int_equal(s->fresh[k], 1);
			assert_nothing_left(s);
		}
	}
}

/* Workers that were stopped for longer than a window between reading the clock and inserting. */
static void stale_clocks_lose_nothing(void **state)
{
	struct scheduler *s = *state;

	table(s, 8);
	for (uint64_t seed = 0; seed < SCHEDULES; seed++) {
		start(s, 3, seed);
		for (uint32_t i = 0; i < 3; i++) {
			s->worker[i].now_ms = T0 + (int64_t)draw(s, 2) * (WINDOW_MS + 100);
			for (uint64_t k = 0; k < 3; k++)
				gives(&s->worker[i], (k + i) % 3);
		}
		run(s);
		for (uint64_t k = 0; k < 3; k++)
			assert_true(s->fresh[k] >= 1);
	}
}

/* Old members are pushed about while events that may fail come and come again: never two in flight, never durable
 * before one is, never new after. */
static void a_mark_follows_its_event(void **state)
{
	enum { OLD = 16, NEW = 3, TIMES = 3 };
	struct scheduler *s = *state;
	uint32_t exact = 0, given_up = 0;

	table(s, 24);
	for (uint64_t seed = 0; seed < SCHEDULES; seed++) {
		uint64_t base = MAX_KEYS * (mix(seed) % 1000000), others = 100 * MAX_KEYS;

		start(s, 4, seed);
		for (uint64_t k = 0; k < OLD; k++)
			(void)insert(s->dedup, base + NEW + k, T0, &s->evicted);
		for (uint32_t i = 0; i < 3; i++) {
			s->worker[i].gives_up = true;
			for (uint64_t k = 0; k < (uint64_t)TIMES * NEW; k++)
				gives(&s->worker[i], base + (k + i) % NEW);
		}
		for (uint64_t k = 0; k < 3; k++)
			gives(&s->worker[3], base + others + k);
		run(s);
		if (s->evicted != 0)
			continue;
		exact++;
		assert_int_equal(s->two_owners, 0);
		assert_int_equal(s->early, 0);
		assert_int_equal(s->late, 0);
		for (uint64_t k = 0; k < NEW; k++) {
			enum dedup_answer answer =
			    s->confirmed[(base + k) % MAX_KEYS] ? DEDUP_DUPLICATE : DEDUP_NEW;

			assert_int_equal(seen(s->dedup, base + k, T0), answer);
			given_up += answer == DEDUP_NEW;
		}
		for (uint64_t k = NEW; k < NEW + OLD; k++)
			assert_int_equal(seen(s->dedup, base + k, T0), DEDUP_DUPLICATE);
		assert_nothing_left(s);
	}
	assert_true(exact > SCHEDULES / 2);
	assert_true(given_up > 0);
}

/* The same where there is no room: marks of events in flight are evicted, confirmed and removed in every order. */
static void evicted_events_leave_nothing_behind(void **state)
{
	struct scheduler *s = *state;

	for (uint64_t slots = 4; slots <= 8; slots += 4) {
		uint32_t evicting = 0;

		table(s, slots);
		for (uint64_t seed = 0; seed < SCHEDULES; seed++) {
			start(s, 4, seed);
			for (uint32_t i = 0; i < 4; i++) {
				s->worker[i].gives_up = true;
				for (uint64_t k = 0; k < 12; k++)
					gives(&s->worker[i], (k * (1 + i / 2) + 3 * i) % 12);
			}
			run(s);
			assert_int_equal(s->early, 0);
			evicting += s->evicted != 0;
			for (uint64_t k = 0; k < 12; k++)
				assert_int_not_equal(seen(s->dedup, k, T0), DEDUP_DUPLICATE_PENDING);
			assert_nothing_left(s);
		}
		assert_true(evicting > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(one_worker_is_told_new, setup, teardown),
	    cmocka_unit_test_setup_teardown(moving_members_are_found, setup, teardown),
	    cmocka_unit_test_setup_teardown(neighbours_do_not_disturb, setup, teardown),
	    cmocka_unit_test_setup_teardown(stale_clocks_lose_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_mark_follows_its_event, setup, teardown),
	    cmocka_unit_test_setup_teardown(evicted_events_leave_nothing_behind, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
