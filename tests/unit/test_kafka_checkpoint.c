/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_checkpoint.h"

#include "batch.h"
#include "kafka_tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

struct saved {
	uint32_t n;
	char text[4096];
};

static void save(void *context, const char *text, size_t len)
{
	struct saved *saved = context;

	assert_true(len < sizeof(saved->text));
	memcpy(saved->text, text, len);
	saved->text[len] = '\0';
	saved->n++;
}

/* The offset of a partition in the last checkpoint; -1: it is not there. */
static int64_t offset(const struct saved *saved, const char *topic, int32_t partition)
{
	struct kafka_checkpoint_entry entry;
	char cluster[256];
	bool clean;
	const char *at = kafka_checkpoint_head(saved->text, cluster, &clean);

	assert_non_null(at);
	assert_string_equal(cluster, "somewhere");
	while (kafka_checkpoint_next(&at, &entry))
		if (entry.partition == partition && strcmp(entry.topic, topic) == 0)
			return entry.next;
	assert_int_equal(*at, '\0');
	return -1;
}

static void complete(struct kafka_checkpoint *checkpoint, const struct batch *batch, uint32_t n)
{
	struct completion_listener listener = kafka_checkpoint_listener(checkpoint);
	struct completed events[64] = {{.epoch = 0}};

	for (uint32_t i = 0; i < n; i++)
		events[i].epoch = batch->epoch;
	listener.complete(listener.context, 0, events, n);
}

static void offsets_wait_for_their_events(void **state)
{
	struct saved saved = {0};
	struct kafka_checkpoint *checkpoint;
	struct batch *first = calloc(1, sizeof(*first)), *second = calloc(1, sizeof(*second));
	struct error err;

	(void)state;
	assert_non_null(first);
	assert_non_null(second);
	assert_int_equal(kafka_checkpoint_create(save, &saved, &checkpoint, &err), 0);
	assert_int_equal(kafka_checkpoint_seed(checkpoint, "shop", 0, 100), 0);
	assert_int_equal(kafka_checkpoint_seed(checkpoint, "shop", 1, 0), 0);
	kafka_checkpoint_tick(checkpoint, 1 * SECOND); /* not ready */
	kafka_checkpoint_ready(checkpoint, "somewhere");
	kafka_checkpoint_tick(checkpoint, 1 * SECOND);
	kafka_checkpoint_tick(checkpoint, 1 * SECOND);
	assert_int_equal(saved.n, 1);
	assert_int_equal(offset(&saved, "shop", 0), 100);
	assert_int_equal(offset(&saved, "shop", 2), -1);

	/* Delivered, but one event of the batch is not complete elsewhere. */
	first->n_events = second->n_events = 10;
	kafka_checkpoint_batch(checkpoint, first);
	kafka_checkpoint_delivered(checkpoint, "shop", 0, 109);
	kafka_checkpoint_delivered(checkpoint, "shop", 2, 0);
	complete(checkpoint, first, 9);
	for (uint64_t s = 2; s < 10; s++)
		kafka_checkpoint_tick(checkpoint, s * SECOND);
	assert_int_equal(saved.n, 1);
	/* What is taken and delivered behind the note does not count for it, nor hold it up. */
	kafka_checkpoint_batch(checkpoint, second);
	assert_int_not_equal(first->epoch, second->epoch);
	kafka_checkpoint_delivered(checkpoint, "shop", 0, 119);
	complete(checkpoint, first, 1);
	kafka_checkpoint_tick(checkpoint, 10 * SECOND);
	assert_int_equal(saved.n, 2);
	assert_int_equal(offset(&saved, "shop", 0), 110);
	assert_int_equal(offset(&saved, "shop", 2), 1);

	/* The end is an orderly one only if nothing is open. */
	kafka_checkpoint_finish(checkpoint);
	assert_int_equal(saved.n, 2);
	assert_null(strstr(saved.text, "end clean"));
	complete(checkpoint, second, 10);
	kafka_checkpoint_finish(checkpoint);
	assert_int_equal(saved.n, 3);
	assert_int_equal(offset(&saved, "shop", 0), 120);
	assert_non_null(strstr(saved.text, "\nend clean\n"));
	kafka_checkpoint_destroy(checkpoint);
	kafka_checkpoint_destroy(NULL);
	free(first);
	free(second);
}

static void what_is_given_up_is_no_orderly_end(void **state)
{
	struct saved saved = {0};
	struct kafka_checkpoint *checkpoint;
	struct completion_listener listener;
	struct error err;

	(void)state;
	assert_int_equal(kafka_checkpoint_create(save, &saved, &checkpoint, &err), 0);
	kafka_checkpoint_finish(checkpoint);
	kafka_checkpoint_ready(checkpoint, "somewhere");
	listener = kafka_checkpoint_listener(checkpoint);
	listener.give_up(listener.context, 0, &(struct completed){.epoch = 0});
	kafka_checkpoint_finish(checkpoint);
	assert_int_equal(saved.n, 0);
	kafka_checkpoint_destroy(checkpoint);
}

static void other_texts_are_no_checkpoints(void **state)
{
	static const char *const texts[] = {"", "penstock checkpoint 2\ncluster a\nend none\n",
	    "penstock checkpoint 1\n", "penstock checkpoint 1\ncluster a\n",
	    "penstock checkpoint 1\ncluster a\nend none", "{}"};
	struct kafka_checkpoint_entry entry;
	char cluster[256];
	const char *at;
	bool clean;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_null(kafka_checkpoint_head(texts[i], cluster, &clean));
	at = kafka_checkpoint_head(
	    "penstock checkpoint 1\ncluster a\nend clean\nt 1 2\nt x\n", cluster, &clean);
	assert_non_null(at);
	assert_true(clean);
	assert_true(kafka_checkpoint_next(&at, &entry));
	assert_int_equal(entry.next, 2);
	assert_false(kafka_checkpoint_next(&at, &entry));
}

static void the_original_is_found_in_the_enriched_record(void **state)
{
	static const struct {
		const char *record, *original; /* NULL: none */
	} cases[] = {
	    {"{\"a\":1,\"enrichments\":{\"processing_timestamp\":\"x\"}}", "{\"a\":1}"},
	    {"{\"enrichments\":{\"processing_timestamp\":\"x\"}}", "{}"},
	    {"{\"is_duplicate\":true,\"enrichments\":{}}", "{}"},
	    {"{\"a\":1,\"is_duplicate\":true,\"enrichments\":{\"p\":{\"q\":[1,{}]}}}", "{\"a\":1}"},
	    {"{\"is_duplicate\":true,\"a\":1,\"enrichments\":{}}", "{\"is_duplicate\":true,\"a\":1}"},
	    {"{\"enrichments\":{\"mine\":1},\"enrichments\":{}}", "{\"enrichments\":{\"mine\":1}}"},
	    {"{\"a\":\",\\\"enrichments\\\":{\",\"b\":[\"}\",{\"c\":{}}],\"enrichments\":{\"d\":\"\\\\\"}}",
	        "{\"a\":\",\\\"enrichments\\\":{\",\"b\":[\"}\",{\"c\":{}}]}"},
	    {" { \"a\" : 1 , \"b\": [1, 2],\"enrichments\":{\"x\":1}}", " { \"a\" : 1 , \"b\": [1, 2]}"},
	    {"{\"a\":1}", NULL},
	    {"{\"a\":{\"enrichments\":{}}}", NULL},
	    {"{\"enrichments\":1}", NULL},
	    {"", NULL},
	    {"\"", NULL},
	    {"}}}}{\"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t len = (uint32_t)strlen(cases[i].record);
		char *record = malloc(len + 1), *to = malloc(len + 1);
		uint32_t n;

		assert_non_null(record);
		assert_non_null(to);
		memcpy(record, cases[i].record, len);
		n = kafka_tail_original(record, len, to);
		assert_int_equal(n, cases[i].original != NULL ? strlen(cases[i].original) : 0);
		if (n > 0)
			assert_memory_equal(to, cases[i].original, n);
		free(record);
		free(to);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(offsets_wait_for_their_events),
	    cmocka_unit_test(what_is_given_up_is_no_orderly_end),
	    cmocka_unit_test(other_texts_are_no_checkpoints),
	    cmocka_unit_test(the_original_is_found_in_the_enriched_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
