/* SPDX-License-Identifier: BSD-3-Clause */
#include "ledger.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { STREAM = 3 };

/* Two workers and two sinks whose sums hold, with 15 events between them. */
struct scene {
	struct worker_ledger *workers;
	struct sink_ledger *sinks;
};

static int scene_setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	if (scene == NULL)
		return -1;
	scene->workers = calloc(2, sizeof(*scene->workers));
	scene->sinks = calloc(2, sizeof(*scene->sinks));
	if (scene->workers == NULL || scene->sinks == NULL)
		return -1;
	scene->workers[0].stream[STREAM] = (struct worker_stream_counts){.received = 100,
	    .handed = 90,
	    .duplicate = 7,
	    .shed = 3,
	    .hits = {[1] = 40},
	    .reasons = {[REASON_COUNT - 1] = 5}};
	scene->workers[1].stream[STREAM] = (struct worker_stream_counts){
	    .received = 10, .handed = 10, .hits = {[1] = 2}, .reasons = {[REASON_COUNT - 1] = 6}};
	scene->sinks[0].stream[STREAM] =
	    (struct sink_stream_counts){.durable = 60, .dead_lettered = 4, .records = 64};
	scene->sinks[1].stream[STREAM] = (struct sink_stream_counts){.durable = 20, .shed = 1, .records = 20};
	/* Other streams must not mix in. */
	scene->workers[0].stream[STREAM + 1].received = 1000000;
	scene->sinks[1].stream[STREAM - 1].durable = 1000000;
	*state = scene;
	return 0;
}

static int scene_teardown(void **state)
{
	struct scene *scene = *state;

	free(scene->workers);
	free(scene->sinks);
	free(scene);
	return 0;
}

static struct ledger_line sum(const struct scene *scene, bool idle)
{
	struct ledger_line line;

	ledger_sum(scene->workers, 2, scene->sinks, 2, STREAM, idle, &line);
	return line;
}

static void sums_add_up(void **state)
{
	struct ledger_line line = sum(*state, false);

	assert_int_equal(line.received, 110);
	assert_int_equal(line.durable, 80);
	assert_int_equal(line.dead_lettered, 4);
	assert_int_equal(line.duplicate, 7);
	assert_int_equal(line.shed, 4);
	assert_int_equal(line.in_flight, 15);
	assert_int_equal(
	    line.received, line.durable + line.dead_lettered + line.duplicate + line.shed + line.in_flight);
	assert_true(line.conserved);
	assert_int_equal(line.worker.handed, 100);
	assert_int_equal(line.worker.hits[1], 42);
	assert_int_equal(line.worker.reasons[REASON_COUNT - 1], 11);
	assert_int_equal(line.sink.records, 84);
}

static void nothing_may_be_in_flight_when_all_is_idle(void **state)
{
	struct scene *scene = *state;

	assert_false(sum(scene, true).conserved);
	scene->sinks[0].stream[STREAM].durable += 15;
	assert_true(sum(scene, true).conserved);
	assert_int_equal(sum(scene, true).in_flight, 0);
}

/* An error in one worker does not hide behind the opposite one in another. */
static void every_worker_balances_on_its_own(void **state)
{
	struct scene *scene = *state;

	scene->workers[0].stream[STREAM].received++;
	assert_false(sum(scene, false).conserved);
	scene->workers[1].stream[STREAM].received--;
	assert_false(sum(scene, false).conserved);
	scene->workers[0].stream[STREAM].received--;
	scene->workers[1].stream[STREAM].received++;
	assert_true(sum(scene, false).conserved);
}

static void sinks_complete_no_more_than_was_handed(void **state)
{
	struct scene *scene = *state;

	scene->sinks[1].stream[STREAM].dead_lettered += 15;
	assert_true(sum(scene, false).conserved);
	scene->sinks[1].stream[STREAM].dead_lettered += 1;
	assert_false(sum(scene, false).conserved);
	assert_false(sum(scene, true).conserved);
}

static void nothing_at_all_is_conserved(void **state)
{
	struct ledger_line line;

	(void)state;
	ledger_sum(NULL, 0, NULL, 0, 0, true, &line);
	assert_true(line.conserved);
	assert_int_equal(line.received, 0);
}

static void stages_have_names(void **state)
{
	(void)state;
	for (enum stage stage = 0; stage < STAGE_COUNT; stage++) {
		assert_non_null(stage_name(stage));
		for (enum stage other = 0; other < stage; other++)
			assert_string_not_equal(stage_name(stage), stage_name(other));
	}
}

static void a_part_is_published_in_place(void **state)
{
	uint64_t block[8] = {1, 2, 3, 4, 5, 6, 7, 8}, part[2] = {30, 40}, copy[8];
	struct published *published = published_create(sizeof(block));

	(void)state;
	assert_non_null(published);
	published_read(published, copy, sizeof(copy));
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(copy[i], 0);
	published_begin(published);
	published_write(published, 0, block, sizeof(block));
	published_write(published, 2 * sizeof(uint64_t), part, sizeof(part));
	published_end(published);
	published_read(published, copy, sizeof(copy));
	block[2] = 30;
	block[3] = 40;
	assert_memory_equal(copy, block, sizeof(copy));
	published_destroy(published);
	published_destroy(NULL);
}

enum { WORDS = 96, ROUNDS = 50000, READERS = 2 };

struct publishing {
	struct published *published;
	atomic_bool done;
};

struct reading {
	struct publishing *publishing;
	pthread_t thread;
	uint64_t reads, torn, backwards;
};

/* In every published state word i is n * (i + 1), for an n that only grows. */
static void *reader(void *arg)
{
	struct reading *self = arg;
	uint64_t block[WORDS], last = 0;
	bool done;

	do {
		done = atomic_load(&self->publishing->done);
		published_read(self->publishing->published, block, sizeof(block));
		for (uint64_t i = 0; i < WORDS; i++)
			self->torn += block[i] != block[0] * (i + 1);
		self->backwards += block[0] < last;
		last = block[0];
		self->reads++;
	} while (!done);
	self->backwards += last != ROUNDS;
	return NULL;
}

static void readers_see_whole_states(void **state)
{
	struct publishing publishing = {.published = published_create(WORDS * sizeof(uint64_t))};
	struct reading reading[READERS] = {0};
	uint64_t block[WORDS];

	(void)state;
	assert_non_null(publishing.published);
	for (int i = 0; i < READERS; i++) {
		reading[i].publishing = &publishing;
		assert_int_equal(pthread_create(&reading[i].thread, NULL, reader, &reading[i]), 0);
	}
	for (uint64_t n = 1; n <= ROUNDS; n++) {
		for (uint64_t i = 0; i < WORDS; i++)
			block[i] = n * (i + 1);
		published_begin(publishing.published);
		/* In two parts, as a worker does it for the streams that changed. */
		published_write(publishing.published, 0, block, sizeof(block) / 2);
		published_write(
		    publishing.published, sizeof(block) / 2, &block[WORDS / 2], sizeof(block) / 2);
		published_end(publishing.published);
		if (n % 1000 == 0)
			sched_yield();
	}
	atomic_store(&publishing.done, true);
	for (int i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(reading[i].thread, NULL), 0);
		assert_true(reading[i].reads > 0);
		assert_int_equal(reading[i].torn, 0);
		assert_int_equal(reading[i].backwards, 0);
	}
	published_destroy(publishing.published);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(sums_add_up, scene_setup, scene_teardown),
	    cmocka_unit_test_setup_teardown(
	        nothing_may_be_in_flight_when_all_is_idle, scene_setup, scene_teardown),
	    cmocka_unit_test_setup_teardown(every_worker_balances_on_its_own, scene_setup, scene_teardown),
	    cmocka_unit_test_setup_teardown(
	        sinks_complete_no_more_than_was_handed, scene_setup, scene_teardown),
	    cmocka_unit_test(nothing_at_all_is_conserved),
	    cmocka_unit_test(stages_have_names),
	    cmocka_unit_test(a_part_is_published_in_place),
	    cmocka_unit_test(readers_see_whole_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
