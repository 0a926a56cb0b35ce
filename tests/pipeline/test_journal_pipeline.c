/* SPDX-License-Identifier: BSD-3-Clause */
/* From a source to the journal, and from there to a sink that stalls, fails and comes back, over restarts. */
#include "harness.h"
#include "journal_feeder.h"
#include "sink_journal.h"
#include "sink_thread.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <rte_rcu_qsbr.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define YAML                                                                                                \
	"node: t\ndataplane: {lcores: [1]}\nsources: [{name: s, type: file, path: /dev/null, stream: a}]\n" \
	"sinks: {files: {directory: lake}}\nstreams:\n"                                                     \
	"  - {name: a, fields: {id: {type: string}}, identity: id, output: {raw: ar, enriched: ae, "        \
	"dead_letter: ad}}\n"                                                                               \
	"  - {name: b, fields: {id: {type: string}}, identity: id, output: {enriched: be, dead_letter: "    \
	"bd}}\n"
#define DEADLINE_S 10
#define MAX_SEEN 200000u

/* A sink that keeps the identities of what it has delivered, and can be told not to deliver an output. */
struct test_sink {
	struct sink sink;
	pthread_mutex_t mutex; /* of the rest but held */
	uint32_t stalled[2];   /* per stream: bit per output */
	uint32_t n;
	struct {
		uint16_t stream;
		uint8_t kind;
		char id[16];
	} * seen;
	struct batch *held[64]; /* sink thread */
	uint32_t n_held;
};

static bool deliver(struct test_sink *t, struct batch *batch)
{
	bool stalled = false;

	pthread_mutex_lock(&t->mutex);
	for (uint32_t i = 0; i < batch->n_records; i++)
		stalled = stalled || (t->stalled[batch->stream] & 1u << batch->records[i].kind);
	for (uint32_t i = 0; !stalled && i < batch->n_records; i++) {
		const struct record *record = &batch->records[i];
		const struct batch_event *event = &batch->events[record->event];

		assert_true(t->n < MAX_SEEN && event->id_len < 16);
		assert_int_equal(event->ticket, 0);
		t->seen[t->n].stream = batch->stream;
		t->seen[t->n].kind = record->kind;
		memcpy(t->seen[t->n].id, batch->bytes + event->id, event->id_len);
		t->seen[t->n++].id[event->id_len] = '\0';
		assert_memory_equal(batch->bytes + record->key, batch->bytes + event->id, event->id_len);
	}
	pthread_mutex_unlock(&t->mutex);
	if (stalled)
		return false;
	for (uint32_t i = 0; i < batch->n_records; i++)
		sink_confirm(&t->sink, batch, i);
	batch_release(batch);
	return true;
}

static int test_submit(struct sink *sink, struct batch *batch)
{
	struct test_sink *t = (struct test_sink *)sink;

	if (t->n_held == 64)
		return -EAGAIN;
	t->held[t->n_held++] = batch;
	return 0;
}

static int test_poll(struct sink *sink, int timeout_ms)
{
	struct test_sink *t = (struct test_sink *)sink;
	uint32_t kept = 0;
	int done;

	for (uint32_t i = 0; i < t->n_held; i++)
		if (!deliver(t, t->held[i]))
			t->held[kept++] = t->held[i];
	done = (int)(t->n_held - kept);
	t->n_held = kept;
	if (done == 0 && timeout_ms > 0)
		nanosleep(&(struct timespec){.tv_nsec = timeout_ms * 1000000l}, NULL);
	return done;
}

static int test_flush(struct sink *sink, uint64_t deadline_ns)
{
	struct test_sink *t = (struct test_sink *)sink;

	(void)deadline_ns;
	(void)test_poll(sink, 0);
	return t->n_held == 0 ? 0 : -ETIMEDOUT;
}

static void test_describe(struct sink *sink, json_t *object)
{
	(void)sink, (void)object;
}

static void test_close(struct sink *sink)
{
	struct test_sink *t = (struct test_sink *)sink;

	for (uint32_t i = 0; i < t->n_held; i++)
		sink_shed_batch(sink, t->held[i]);
	t->n_held = 0;
	sink_publish(sink);
}

static const struct sink_ops test_ops = {.type = "test",
    .submit = test_submit,
    .poll = test_poll,
    .flush = test_flush,
    .describe = test_describe,
    .close = test_close};

struct fixture {
	struct harness h;
	char directory[64];
	struct journal *journal;
	struct sink_thread *journal_thread, *test_thread;
	struct journal_feeder *feeder;
	struct test_sink sink;
	uint64_t sent;
};

static const struct journal_feeder_sink sinks[] = {{.type = "kafka", .per_output = true, .reconciled = true}};

static void check(int rc, const struct error *err)
{
	if (rc != 0)
		print_error("%s\n", err->text);
	assert_int_equal(rc, 0);
}

/* A daemon's start. */
static void start(struct fixture *f, journal_skip_fn skip, void *context)
{
	struct journal_options options = {
	    .config = f->h.config,
	    .directory = f->directory,
	    .segment_bytes = JOURNAL_SEGMENT_MIN,
	    .max_bytes = 64 * JOURNAL_SEGMENT_MIN,
	    .clock = &system_clock,
	};
	struct rte_ring *const *rings;
	struct error err;
	struct sink *sink;
	size_t n;

	check(journal_io_directory(f->directory, &options.io, &err), &err);
	check(journal_open(&options, &f->journal, &err), &err);
	check(sink_journal_create(f->journal, 0, &sink, &err), &err);
	check(sink_thread_start(sink, &f->h.engine->rings[0][0], 1, NULL, &f->journal_thread, &err), &err);
	check(journal_feeder_create(f->journal, sinks, 1, &f->feeder, &err), &err);
	n = journal_feeder_rings(f->feeder, 0, &rings);
	assert_int_equal(n, 5); /* the outputs of both streams */
	memset(&f->sink.sink, 0, sizeof(f->sink.sink));
	f->sink.sink.ops = &test_ops;
	f->sink.sink.number = 1;
	check(sink_thread_start(&f->sink.sink, rings, n, NULL, &f->test_thread, &err), &err);
	journal_feeder_reconcile(f->feeder, skip, context);
	check(journal_feeder_start(f->feeder, NULL, &err), &err);
}

static void stop(struct fixture *f)
{
	struct error err;

	(void)sink_thread_stop(f->journal_thread, clock_mono_ns(&system_clock) + 1000000000ull * DEADLINE_S);
	journal_feeder_pause(f->feeder);
	(void)sink_thread_stop(f->test_thread, 0);
	check(journal_feeder_stop(f->feeder, &err), &err);
	sink_thread_destroy(f->test_thread);
	sink_thread_destroy(f->journal_thread);
	journal_feeder_destroy(f->feeder);
	journal_close(f->journal);
}

static void open_fixture(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	harness_open(&f->h, YAML, strlen(YAML), NULL);
	strcpy(f->directory, "/tmp/penstock-journal-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	pthread_mutex_init(&f->sink.mutex, NULL);
	f->sink.seen = calloc(MAX_SEEN, sizeof(f->sink.seen[0]));
	assert_non_null(f->sink.seen);
}

static void close_fixture(struct fixture *f)
{
	DIR *directory = opendir(f->directory);
	struct dirent *entry;

	assert_non_null(directory);
	while ((entry = readdir(directory)) != NULL)
		(void)unlinkat(dirfd(directory), entry->d_name, 0);
	closedir(directory);
	(void)rmdir(f->directory);
	free(f->sink.seen);
	harness_close(&f->h);
}

/* Events with the next identities, through the worker; waits until the journal has them. */
static void send_events(struct fixture *f, uint16_t stream, uint32_t n)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	char text[60000];
	size_t len = 0;
	struct packet packet = {.kind = PACKET_PAYLOAD, .stream = stream, .data = text};

	for (uint32_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "{\"id\":\"%c%07llu\"}\n",
		    'a' + stream, (unsigned long long)f->sent++);
	packet.len = (uint32_t)len;
	f->h.feed.packets = &packet;
	f->h.feed.n = 1;
	f->h.feed.next = 0;
	rte_rcu_qsbr_thread_online(f->h.engine->rcu, 0);
	while (worker_round(f->h.worker) || pipeline_pending(f->h.worker->pipeline))
		;
	(void)pipeline_hand_over(f->h.worker->pipeline, true);
	rte_rcu_qsbr_thread_offline(f->h.engine->rcu, 0);
	for (int ms = 0; !engine_idle(f->h.engine); ms++) {
		assert_true(ms < DEADLINE_S * 1000);
		nanosleep(&pause, NULL);
	}
}

static uint32_t seen(struct fixture *f)
{
	uint32_t n;

	pthread_mutex_lock(&f->sink.mutex);
	n = f->sink.n;
	pthread_mutex_unlock(&f->sink.mutex);
	return n;
}

static void stall(struct fixture *f, uint32_t a, uint32_t b)
{
	pthread_mutex_lock(&f->sink.mutex);
	f->sink.stalled[0] = a;
	f->sink.stalled[1] = b;
	pthread_mutex_unlock(&f->sink.mutex);
}

static void show(struct fixture *f, uint32_t wanted)
{
	json_t *object = json_object();
	char *text;

	journal_describe(f->journal, object);
	journal_feeder_describe(f->feeder, object);
	text = json_dumps(object, JSON_INDENT(1));
	print_error("%u of %u records came\n%s\n", seen(f), wanted, text);
	free(text);
	json_decref(object);
}

static void wait_seen(struct fixture *f, uint32_t n)
{
	for (int ms = 0; seen(f) < n; ms++) {
		if (ms == DEADLINE_S * 1000)
			show(f, n);
		assert_true(ms < DEADLINE_S * 1000);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	assert_int_equal(seen(f), n);
}

/* Every output in the order of the identities, each `times` times at most one after the other from a restart. */
static void assert_in_order(const struct fixture *f, uint32_t from, uint32_t to)
{
	char last[2][RECORD_KINDS][16] = {{{0}}};

	for (uint32_t i = from; i < to; i++) {
		char *before = last[f->sink.seen[i].stream][f->sink.seen[i].kind];

		assert_true(strcmp(f->sink.seen[i].id, before) > 0);
		strcpy(before, f->sink.seen[i].id);
	}
}

static void events_go_through_the_journal(void **state)
{
	struct fixture f;
	uint64_t durable = 0;
	struct sink_ledger *ledger = calloc(1, sizeof(*ledger));

	(void)state;
	open_fixture(&f);
	start(&f, NULL, NULL);
	for (uint32_t i = 0; i < 50; i++) {
		send_events(&f, 0, 500);
		send_events(&f, 1, 500);
	}
	wait_seen(&f, 50 * 500 * 3); /* raw and enriched of a, enriched of b */
	for (int ms = 0; !journal_feeder_idle(f.feeder); ms++) {
		assert_true(ms < DEADLINE_S * 1000);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	assert_in_order(&f, 0, f.sink.n);
	published_read(sink_thread_published(f.journal_thread), ledger, sizeof(*ledger));
	durable = ledger->stream[0].durable + ledger->stream[1].durable;
	assert_int_equal(durable, f.sent);
	stop(&f);

	/* Nothing is delivered a second time after a clean end. */
	start(&f, NULL, NULL);
	send_events(&f, 0, 1);
	wait_seen(&f, 50 * 500 * 3 + 2);
	stop(&f);
	free(ledger);
	close_fixture(&f);
}

static void an_outage_grows_the_backlog_and_nothing_else(void **state)
{
	struct fixture f;
	uint32_t before;

	(void)state;
	open_fixture(&f);
	start(&f, NULL, NULL);
	send_events(&f, 0, 500);
	wait_seen(&f, 1000);
	stall(&f, ~0u, ~0u);
	/* Far more than the feeder has batches. */
	for (uint32_t i = 0; i < 60; i++)
		send_events(&f, (uint16_t)(i % 2), 1000);
	assert_int_equal(seen(&f), 1000);
	assert_int_equal(journal_feeder_backlog(f.feeder), 60000);
	stop(&f); /* in the middle of the outage: what was with the sink stays in the journal */
	assert_int_equal(seen(&f), 1000);

	start(&f, NULL, NULL);
	assert_int_equal(journal_feeder_backlog(f.feeder), 60000);
	send_events(&f, 0, 1000); /* accepted while the outage lasts */
	before = seen(&f);
	stall(&f, 0, 0);
	wait_seen(&f, before + 30000 * 3 + 2000);
	assert_in_order(&f, before, f.sink.n);
	stop(&f);
	close_fixture(&f);
}

static void a_stalled_topic_holds_up_itself_only(void **state)
{
	struct fixture f;

	(void)state;
	open_fixture(&f);
	start(&f, NULL, NULL);
	stall(&f, 1u << RECORD_RAW, 0);
	for (uint32_t i = 0; i < 40; i++)
		send_events(&f, (uint16_t)(i % 2), 1000);
	wait_seen(&f, 40000); /* the enriched ones of both */
	stall(&f, 0, 0);
	wait_seen(&f, 60000);
	assert_in_order(&f, 0, f.sink.n);
	stop(&f);
	close_fixture(&f);
}

/* Raw records of even identities are in their topic. */
static bool even_raw(void *context, const struct batch *batch, const struct record *record)
{
	const struct batch_event *event = &batch->events[record->event];

	(void)context;
	return record->kind == RECORD_RAW && (batch->bytes[event->id + event->id_len - 1] - '0') % 2 == 0;
}

static void what_is_in_kafka_is_not_delivered_again(void **state)
{
	struct fixture f;
	uint32_t raw = 0;

	(void)state;
	open_fixture(&f);
	start(&f, NULL, NULL);
	stall(&f, ~0u, ~0u);
	for (uint32_t i = 0; i < 10; i++)
		send_events(&f, 0, 1000);
	stop(&f);
	stall(&f, 0, 0);
	start(&f, even_raw, NULL);
	send_events(&f, 0, 100); /* not of the replay: delivered whole */
	wait_seen(&f, 10000 + 5000 + 200);
	for (uint32_t i = 0; i < f.sink.n; i++)
		raw += f.sink.seen[i].kind == RECORD_RAW;
	assert_int_equal(raw, 5100);
	for (int ms = 0; !journal_feeder_idle(f.feeder); ms++) {
		assert_true(ms < DEADLINE_S * 1000);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	stop(&f);
	close_fixture(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(events_go_through_the_journal),
	    cmocka_unit_test(an_outage_grows_the_backlog_and_nothing_else),
	    cmocka_unit_test(a_stalled_topic_holds_up_itself_only),
	    cmocka_unit_test(what_is_in_kafka_is_not_delivered_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
