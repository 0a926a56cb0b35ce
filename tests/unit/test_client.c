/* SPDX-License-Identifier: BSD-3-Clause */
#include "client_model.h"
#include "libpenstock/client.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define MAX_EVENTS 4000u
#define TEXT_MAX 400u
#define SCHEDULES 3000u
#define HEALED_MS \
	120000 /* of the model's time: within it all must be completed once nothing is wrong any more */

static const uint8_t key_bytes[] = "a key of the test, 32 bytes long";
static const struct penstock_key key = {.id = 7, .data = key_bytes, .len = 32};
static const char *const to[] = {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"};

/* Over all schedules: what a test of everything has to have seen. */
struct totals {
	struct penstock_stats stats;
	struct model_counts counts;
	uint64_t restarts, recovered;
};

/* What the application knows. */
struct app {
	struct model *model;
	struct penstock *client;
	uint64_t seed;
	uint32_t n_events, next;       /* next: offered to penstock_send() */
	uint8_t completed[MAX_EVENTS]; /* by this handle */
	bool recovered[MAX_EVENTS];    /* is expected from the spill file */
	enum penstock_outcome outcome[MAX_EVENTS];
	uint64_t counts[5];
	bool borrow;
	char (*text)[TEXT_MAX];
	struct totals *totals;
};

static size_t text_len(const struct app *app, uint32_t id)
{
	return strlen(app->text[id]);
}

static void make_texts(struct app *app)
{
	app->text = malloc(app->n_events * sizeof(app->text[0]));
	assert_non_null(app->text);
	for (uint32_t id = 0; id < app->n_events; id++) {
		int len = snprintf(app->text[id], TEXT_MAX, "{\"id\":%u,\"pad\":\"", id);
		size_t pad = (id * 7919u + app->seed) % 300;

		memset(app->text[id] + len, 'a' + (int)(id % 26), pad);
		strcpy(app->text[id] + (size_t)len + pad, "\"}");
	}
}

static void on_complete(void *context, const struct penstock_result *result)
{
	struct app *app = context;
	uint32_t id = (uint32_t)result->tag;

	assert_true(id < app->next);
	assert_int_equal(app->completed[id], 0);
	app->completed[id] = 1;
	app->outcome[id] = result->outcome;
	app->counts[result->outcome]++;
	assert_int_equal(result->recovered, app->recovered[id]);
	assert_int_equal(result->len, text_len(app, id));
	assert_memory_equal(result->data, app->text[id], result->len);
	if (result->outcome == PENSTOCK_REJECTED)
		assert_string_equal(result->reason, model_reason(id));
	else if (result->outcome == PENSTOCK_DURABLE || result->outcome == PENSTOCK_DUPLICATE)
		assert_string_equal(model_reason(id), "");
	/* Told to be durable means that it is, now. */
	if (result->outcome == PENSTOCK_REJECTED)
		assert_true(model_dead(app->model, id) > 0);
	else if (result->outcome == PENSTOCK_DURABLE || result->outcome == PENSTOCK_DUPLICATE)
		assert_true(model_durable(app->model, id) > 0);
}

static struct penstock *open_client(struct app *app, struct penstock_options *options)
{
	struct penstock *client = NULL;
	struct error err = {""};

	options->stream = "test";
	options->source_id = 42;
	options->on_complete = on_complete;
	options->context = app;
	if (client_open(options, model_transport(app->model), &client, &err) != 0)
		fail_msg("seed %llu: %s", (unsigned long long)app->seed, err.text);
	return client;
}

static void assert_consistent(const struct app *app)
{
	struct penstock_stats stats;
	const char *wrong = model_wrong(app->model);

	if (wrong != NULL)
		fail_msg("seed %llu: %s", (unsigned long long)app->seed, wrong);
	penstock_get_stats(app->client, &stats);
	assert_int_equal(stats.durable, app->counts[PENSTOCK_DURABLE]);
	assert_int_equal(stats.duplicate, app->counts[PENSTOCK_DUPLICATE]);
	assert_int_equal(stats.rejected, app->counts[PENSTOCK_REJECTED]);
	assert_int_equal(stats.events,
	    stats.durable + stats.duplicate + stats.rejected + stats.spilled + stats.unknown + stats.pending);
	assert_true(app->client->in_flight <= app->client->pool.next - app->client->pool.base);
}

/* Offers up to `n` events; what is not taken is offered again later. */
static void offer(struct app *app, uint32_t n)
{
	struct penstock_event events[100];
	uint32_t taken = 0;
	int ret;

	if (n > 100)
		n = 100;
	if (n > app->n_events - app->next)
		n = app->n_events - app->next;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t id = app->next + i;

		events[i] =
		    (struct penstock_event){.data = app->text[id], .len = text_len(app, id), .tag = id};
	}
	/* A copy is taken: the bytes may change at once. */
	app->next += n;
	ret = penstock_send(app->client, events, n, app->borrow ? PENSTOCK_BORROW : 0);
	if (ret < 0)
		fail_msg("seed %llu: send: %s (%s)", (unsigned long long)app->seed, strerror(-ret),
		    penstock_error(app->client));
	taken = (uint32_t)ret;
	assert_true(taken <= n);
	app->next -= n - taken;
}

static void finish(struct app *app)
{
	while (app->next < app->n_events) {
		uint32_t before = app->next;

		offer(app, 100);
		if (app->next == before) {
			uint64_t start = model_now_us(app->model), completed = app->client->completed;

			while (app->client->completed == completed && app->next == before) {
				assert_true(penstock_poll(app->client, 100) >= 0);
				offer(app, 1);
				if (model_now_us(app->model) - start > HEALED_MS * UINT64_C(1000))
					fail_msg("seed %llu: nothing moves: %s",
					    (unsigned long long)app->seed, penstock_error(app->client));
			}
		}
		assert_true(penstock_poll(app->client, 0) >= 0);
	}
	if (penstock_flush(app->client, HEALED_MS) != 0)
		fail_msg("seed %llu: not all is completed: %s, base %llu next %llu tail %llu in_flight %u "
		         "resend %u window %f",
		    (unsigned long long)app->seed, penstock_error(app->client),
		    (unsigned long long)app->client->pool.base, (unsigned long long)app->client->pool.next,
		    (unsigned long long)app->client->pool.tail, app->client->in_flight, app->client->resend,
		    app->client->congestion.window);
	assert_consistent(app);
	for (uint32_t id = 0; id < app->n_events; id++)
		if (app->completed[id] != 1)
			fail_msg(
			    "seed %llu: event %u was never completed", (unsigned long long)app->seed, id);
}

static uint32_t below(struct app *app, uint32_t limit)
{
	return (uint32_t)(model_random(app->model) % limit);
}

/* Something happens to a server, or stops to. */
static void disturb(struct app *app, uint32_t n_servers)
{
	static const unsigned int errors[] = {0, 0, 0, WIRE_ERROR_DRAINING, WIRE_ERROR_NOT_READY,
	    WIRE_ERROR_TOO_MANY_SOURCES, WIRE_ERROR_UNKNOWN_SOURCE, WIRE_ERROR_UNKNOWN_STREAM};
	uint32_t server = below(app, n_servers);

	switch (below(app, 9)) {
	case 0:
		model_crash(app->model, server, below(app, 2));
		break;
	case 1:
	case 2:
		model_start(app->model, server);
		break;
	case 3:
		model_expire(app->model, server);
		break;
	case 4:
		model_drain(app->model, server, errors[below(app, sizeof(errors) / sizeof(errors[0]))]);
		break;
	case 5:
		model_outage(app->model, server, below(app, 2));
		break;
	case 6:
		model_no_credit(app->model, server, below(app, 2));
		break;
	case 7:
		model_advance(app->model, below(app, 3000000));
		break;
	default:
		break;
	}
}

static void heal(struct app *app, uint32_t n_servers)
{
	struct model_faults none = {.loss = 0};

	model_set_faults(app->model, &none);
	for (uint32_t i = 0; i < n_servers; i++)
		model_start(app->model, i);
}

/* Before the handle is closed. */
static void add_totals(struct app *app)
{
	struct penstock_stats stats;
	struct totals *t = app->totals;

	penstock_get_stats(app->client, &stats);
	t->stats.retransmits += stats.retransmits;
	t->stats.lost += stats.lost;
	t->stats.probes += stats.probes;
	t->stats.failovers += stats.failovers;
	t->stats.sessions += stats.sessions;
	t->stats.slow_down += stats.slow_down;
	t->stats.not_understood += stats.not_understood;
	t->stats.durable += app->counts[PENSTOCK_DURABLE];
	t->stats.duplicate += app->counts[PENSTOCK_DUPLICATE];
	t->stats.rejected += app->counts[PENSTOCK_REJECTED];
}

/* Of the schedule's own numbers: the model's are drawn by what happens. */
static uint32_t draw(uint64_t *random, uint32_t limit)
{
	*random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*random >> 33) % limit;
}

static uint32_t sometimes(uint64_t *random, uint32_t limit)
{
	return draw(random, 2) == 0 ? 0 : draw(random, limit);
}

/* One application with one or two lives, in a bad world that then becomes a good one. */
static void run_schedule(uint64_t seed, struct totals *totals)
{
	static const uint32_t losses[] = {0, 0, 50, 300}, datagrams[] = {512, 900, 1452};
	struct app app = {.seed = seed, .totals = totals};
	char path[] = "/tmp/penstock-client-XXXXXX";
	struct model_options world;
	struct penstock_options options = {.to = to};
	uint64_t random = seed * 2654435761u + 12345;
	uint32_t steps, restart_at;
	bool spill;

	world = (struct model_options){.seed = seed,
	    .n_servers = 1 + draw(&random, 3),
	    .delay_us = 20 + sometimes(&random, 20000),
	    .durable_us = 100 + sometimes(&random, 30000),
	    .window = 4 + sometimes(&random, 500),
	    .max_payload = 1400,
	    .rate = draw(&random, 4) == 0 ? 1000 + draw(&random, 20000) : 0,
	    .queue = 4 + draw(&random, 60),
	    .faults = {.loss = losses[draw(&random, 4)],
	        .repeat = sometimes(&random, 30),
	        .jitter_us = sometimes(&random, 5000),
	        .forget = draw(&random, 3) == 0 ? 30 : 0,
	        .socket_full = draw(&random, 4) == 0 ? 100 : 0,
	        .slow_down = draw(&random, 4) == 0 ? 300 : 0}};
	if (draw(&random, 3) == 0) { /* what is damaged is only certain to be found out with MACs */
		world.key = key_bytes;
		world.key_len = key.len;
		world.faults.damage = sometimes(&random, 50);
		options.key = &key;
	}
	app.n_events = 50 + sometimes(&random, 2000);
	app.borrow = draw(&random, 2);
	app.model = model_create(&world);
	make_texts(&app);
	options.n_to = world.n_servers;
	options.datagram_bytes = datagrams[draw(&random, 3)];
	options.memory_bytes = (256 << 10) + sometimes(&random, 1 << 20);
	options.silence_ms = 300 + draw(&random, 2000);
	options.linger_us = 1 + draw(&random, 3000);
	options.max_events_per_s = draw(&random, 5) == 0 ? 2000 + draw(&random, 20000) : 0;
	spill = draw(&random, 3) == 0;
	if (spill) {
		close(mkstemp(path));
		options.spill_path = path;
		options.spill_bytes = draw(&random, 2) ? 40000 + draw(&random, 100000) : 0;
	}
	steps = 20 + draw(&random, 200);
	restart_at = draw(&random, 2) ? draw(&random, steps) : UINT32_MAX;
	app.client = open_client(&app, &options);
	for (uint32_t i = 0; i < steps; i++) {
		uint32_t what = below(&app, 100);

		if (what < 40)
			offer(&app, 1 + below(&app, 100));
		else if (what < 85)
			assert_true(penstock_poll(
			                app.client, (int)below(&app, below(&app, 10) == 0 ? 1500 : 30)) >= 0);
		else
			disturb(&app, world.n_servers);
		assert_consistent(&app);
		if (i != restart_at)
			continue;
		app.totals->restarts++;
		penstock_close(app.client, (int)below(&app, 20));
		app.totals->stats.spilled += app.counts[PENSTOCK_SPILLED];
		app.totals->stats.unknown += app.counts[PENSTOCK_UNKNOWN];
		for (uint32_t id = 0; id < app.next; id++) {
			assert_int_equal(app.completed[id], 1);
			app.recovered[id] = app.outcome[id] == PENSTOCK_SPILLED;
			assert_true(spill || app.outcome[id] != PENSTOCK_SPILLED);
			/* What is unknown is the application's to send again; here that is all the same as never sent. */
			app.completed[id] = app.outcome[id] != PENSTOCK_SPILLED;
		}
		memset(app.counts, 0, sizeof(app.counts));
		app.client = open_client(&app, &options);
	}
	heal(&app, world.n_servers);
	finish(&app);
	add_totals(&app);
	if (penstock_close(app.client, 10000) != 0)
		fail_msg("seed %llu: close", (unsigned long long)seed);
	if (spill) {
		struct stat status;

		assert_int_equal(stat(path, &status), 0);
		assert_int_equal(status.st_size, 4096);
		unlink(path);
	}
	totals->counts.damaged += model_counts(app.model)->damaged;
	totals->counts.dropped += model_counts(app.model)->dropped;
	totals->counts.closes += model_counts(app.model)->closes;
	model_destroy(app.model);
	free(app.text);
}

static void every_event_once_whatever_happens(void **state)
{
	const char *only = getenv("CLIENT_SEED"), *n = getenv("CLIENT_SCHEDULES");
	uint64_t schedules = n != NULL ? strtoull(n, NULL, 10) : SCHEDULES;
	struct totals t = {.restarts = 0};

	(void)state;
	if (only != NULL) {
		run_schedule(strtoull(only, NULL, 10), &t);
		return;
	}
	for (uint64_t seed = 1; seed <= schedules; seed++)
		run_schedule(seed, &t);
	print_message("%llu schedules: durable %llu, duplicate %llu, rejected %llu, spilled %llu, unknown "
	              "%llu; lost %llu, sent "
	              "again %llu, probes %llu, sessions %llu, failovers %llu, damaged %llu\n",
	    (unsigned long long)schedules, (unsigned long long)t.stats.durable,
	    (unsigned long long)t.stats.duplicate, (unsigned long long)t.stats.rejected,
	    (unsigned long long)t.stats.spilled, (unsigned long long)t.stats.unknown,
	    (unsigned long long)t.stats.lost, (unsigned long long)t.stats.retransmits,
	    (unsigned long long)t.stats.probes, (unsigned long long)t.stats.sessions,
	    (unsigned long long)t.stats.failovers, (unsigned long long)t.counts.damaged);
	/* It was not a quiet world. */
	assert_true(t.stats.durable > 20 * schedules && t.stats.duplicate > schedules &&
	            t.stats.rejected > schedules);
	assert_true(t.stats.spilled > schedules && t.stats.unknown > schedules && t.restarts > schedules / 4);
	assert_true(
	    t.stats.lost > schedules && t.stats.retransmits > schedules && t.stats.probes > schedules);
	assert_true(t.stats.sessions > schedules && t.stats.failovers > schedules / 10 &&
	            t.stats.slow_down > schedules / 10);
	assert_true(t.counts.damaged > schedules / 10 && t.counts.dropped > schedules / 10 &&
	            t.counts.closes >= schedules / 2);
	assert_true(t.stats.not_understood > schedules / 10);
}

/* ---- single things ---- */

static struct app *simple(struct model_options world, struct penstock_options *options, uint32_t n_events)
{
	struct app *app = calloc(1, sizeof(*app));

	assert_non_null(app);
	world.n_servers = world.n_servers != 0 ? world.n_servers : 1;
	world.window = world.window != 0 ? world.window : 64;
	world.delay_us = world.durable_us = 100;
	world.max_payload = world.max_payload != 0 ? world.max_payload : 1400;
	app->n_events = n_events;
	app->model = model_create(&world);
	make_texts(app);
	options->to = to;
	options->n_to = world.n_servers;
	app->client = open_client(app, options);
	return app;
}

static void end(struct app *app)
{
	assert_int_equal(penstock_close(app->client, 5000), 0);
	model_destroy(app->model);
	free(app->text);
	free(app);
}

static struct penstock_stats stats_of(const struct app *app)
{
	struct penstock_stats stats;

	penstock_get_stats(app->client, &stats);
	return stats;
}

/* Nobody answers: what is taken fits the bound, and no more is taken. */
static void memory_is_bounded(void **state)
{
	static const size_t sizes[] = {256 << 10, 1 << 20, 3000000};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct penstock_options options = {.memory_bytes = sizes[i]};
		struct app *app = simple((struct model_options){.seed = 1}, &options, MAX_EVENTS);
		uint64_t bytes = 0;
		uint32_t taken;

		model_crash(app->model, 0, false);
		for (uint32_t k = 0; k < 2000; k++) {
			offer(app, 100);
			assert_true(penstock_poll(app->client, 1) >= 0);
		}
		taken = app->next;
		for (uint32_t id = 0; id < taken; id++)
			bytes += text_len(app, id);
		assert_true(stats_of(app).memory_bytes <= sizes[i]);
		assert_true(bytes <= sizes[i] && (taken == MAX_EVENTS || bytes > sizes[i] / 4));
		if (i == 0)
			assert_true(taken < MAX_EVENTS);
		model_start(app->model, 0);
		finish(app);
		end(app);
	}
}

static void bad_events_are_refused_and_harm_nobody(void **state)
{
	static char big[1401];
	struct penstock_options options = {.linger_us = 1};
	struct app *app = simple((struct model_options){.seed = 1, .max_payload = 1000}, &options, 3);
	struct penstock_event events[] = {
	    {"", 0, 0}, {" \t\r", 3, 0}, {"{}\n{}", 5, 0}, {big, sizeof(big), 0}};

	(void)state;
	memset(big, 'x', sizeof(big));
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(penstock_send(app->client, &events[i], 1, 0), i == 3 ? -EMSGSIZE : -EINVAL);
		assert_true(strlen(penstock_error(app->client)) > 10);
	}
	offer(app, 1);
	/* What stands before the bad one is taken. */
	events[0] = (struct penstock_event){app->text[1], text_len(app, 1), 1};
	app->next = 2;
	assert_int_equal(penstock_send(app->client, events, 2, 0), 1);
	assert_int_equal(penstock_flush(app->client, 1000), 0);
	/* What the appliance takes is less than what a datagram holds. */
	events[3].len = 1001;
	assert_int_equal(penstock_send(app->client, &events[3], 1, 0), -EMSGSIZE);
	finish(app);
	end(app);
}

static void options_are_checked(void **state)
{
	static const char *const nowhere[] = {"nowhere"};
	const struct penstock_key small = {.id = 1, .data = key_bytes, .len = 15};
	const struct penstock_options good = {.to = to, .n_to = 1, .stream = "test"};
	struct penstock_options bad[7] = {good, good, good, good, good, good, good};
	char reason[PENSTOCK_ERROR_BYTES];
	struct penstock *client;

	(void)state;
	bad[0].n_to = 0;
	bad[1].to = nowhere;
	bad[2].stream = "";
	bad[3].key = &small;
	bad[4].datagram_bytes = 100;
	bad[5].memory_bytes = 1000;
	bad[6].datagram_bytes = 65508;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		reason[0] = '\0';
		assert_int_equal(penstock_open(&bad[i], &client, reason), -EINVAL);
		assert_null(client);
		assert_true(strlen(reason) > 10);
	}
	assert_int_equal(penstock_open(&good, &client, reason), 0);
	assert_string_equal(reason, "");
	assert_true(penstock_fd(client) >= 0);
	assert_int_equal(penstock_timeout_ms(client), -1);
	assert_int_equal(penstock_close(client, 0), 0);
	assert_int_equal(penstock_close(NULL, 0), 0);
}

/* A clock that was set back: the old session's epoch is ahead of ours. And one that somebody else takes over. */
static void epochs_that_are_stale(void **state)
{
	struct penstock_options options = {.linger_us = 1};
	struct app *app = simple((struct model_options){.seed = 1}, &options, 300);
	struct penstock_event event = {"{}", 2, 0};

	(void)state;
	model_occupy(app->model, 0, UINT64_C(1) << 62);
	offer(app, 100);
	assert_int_equal(penstock_flush(app->client, 5000), 0);
	assert_true(app->client->epoch == (UINT64_C(1) << 62) + 1);
	model_occupy(app->model, 0, UINT64_C(1) << 63);
	offer(app, 100);
	/* The token is not known any more: HELLO, with an epoch that is stale again; nobody was before us in it. */
	assert_int_equal(penstock_flush(app->client, 5000), 0);
	session_stale(app->client, UINT64_MAX - 2, model_now_us(app->model));
	assert_int_equal(penstock_poll(app->client, 10), -ESTALE);
	assert_int_equal(penstock_send(app->client, &event, 1, 0), -ESTALE);
	assert_int_equal(stats_of(app).state, PENSTOCK_SUPERSEDED);
	assert_int_equal(penstock_close(app->client, 1000), -ESTALE);
	model_destroy(app->model);
	free(app->text);
	free(app);
}

/* It is known at once, and not after the silence. */
static void draining_moves_everything_to_the_next(void **state)
{
	struct penstock_options options = {.silence_ms = 60000};
	struct app *app = simple((struct model_options){.seed = 1, .n_servers = 2}, &options, 1000);
	uint64_t start;

	(void)state;
	offer(app, 100);
	assert_int_equal(penstock_flush(app->client, 5000), 0);
	model_outage(app->model, 0, true);
	for (uint32_t i = 0; i < 3; i++) {
		offer(app, 100);
		assert_true(penstock_poll(app->client, 1) >= 0);
	}
	model_drain(app->model, 0, WIRE_ERROR_DRAINING);
	start = model_now_us(app->model);
	finish(app);
	assert_true(model_now_us(app->model) - start < 1000000);
	assert_int_equal(stats_of(app).failovers, 1);
	assert_string_equal(stats_of(app).appliance, "127.0.0.1:2");
	end(app);
}

/* Without credit nothing is sent but PROBE, and not many of those; with credit again, it goes on at once. */
static void credit_is_respected(void **state)
{
	struct penstock_options options = {.linger_us = 1};
	struct app *app = simple((struct model_options){.seed = 1}, &options, 2000);
	uint64_t frames, probes, start;

	(void)state;
	offer(app, 100);
	assert_int_equal(penstock_flush(app->client, 5000), 0);
	model_no_credit(app->model, 0, true);
	offer(app, 100);
	penstock_flush(app->client, 100);
	frames = stats_of(app).frames;
	probes = stats_of(app).probes;
	offer(app, 100);
	assert_int_equal(penstock_flush(app->client, 10000), -ETIMEDOUT);
	assert_int_equal(stats_of(app).frames, frames);
	assert_in_range(stats_of(app).probes - probes, 50, 600);
	assert_int_equal(stats_of(app).sessions, 1);
	model_no_credit(app->model, 0, false);
	start = model_now_us(app->model);
	assert_int_equal(penstock_flush(app->client, 5000), 0);
	assert_true(model_now_us(app->model) - start < 200000);
	finish(app);
	end(app);
}

/* A bottleneck of 5000 datagrams a second with a short queue: most of it is used, and little is lost. */
static void a_bottleneck_is_filled_and_not_flooded(void **state)
{
	struct penstock_options options = {.datagram_bytes = 512};
	struct app *app = simple((struct model_options){.seed = 1, .window = 500, .rate = 5000, .queue = 40},
	    &options, MAX_EVENTS);
	uint64_t start = model_now_us(app->model), us;
	struct penstock_stats stats;

	(void)state;
	finish(app);
	us = model_now_us(app->model) - start;
	stats = stats_of(app);
	print_message("%llu frames in %llu ms, %llu lost\n", (unsigned long long)stats.frames,
	    (unsigned long long)us / 1000, (unsigned long long)stats.lost);
	assert_true((double)stats.frames / (double)us * 1e6 > 2500);
	assert_true(stats.lost < stats.frames / 10);
	assert_true(stats.rtt_p50_us > 0 && stats.rtt_p50_us <= stats.rtt_p99_us);
	assert_true(stats.ack_p50_us > 0 && stats.ack_p50_us <= stats.ack_p99_us);
	/* The middle of a bucket, which may lie beyond the largest sample. */
	assert_in_range(stats.ack_p999_us, stats.ack_p99_us, us * 17 / 16);
	end(app);
}

/* Sanitizers have allocators of their own, that do not count. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS
#endif

#ifdef COUNTS_ALLOCATIONS
/* After penstock_open() no call allocates: over a real socket, to a port where nobody listens. */
static void nothing_is_allocated_later(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct penstock_event event = {"{\"a\":1}", 7, 0};
	struct penstock_options options = {.n_to = 1, .stream = "test", .silence_ms = 1, .linger_us = 1};
	socklen_t len = sizeof(address);
	const char *list[1];
	struct penstock *client;
	char text[32];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	size_t before;

	(void)state;
	/* Bound, so that it is nobody else's, and never read. */
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(address.sin_port));
	list[0] = text;
	options.to = list;
	assert_int_equal(penstock_open(&options, &client, NULL), 0);
	before = mallinfo2().uordblks;
	for (uint32_t i = 0; i < 2000; i++) {
		assert_true(penstock_send(client, &event, 1, 0) >= 0);
		assert_true(penstock_poll(client, i % 500 == 0 ? 1 : 0) >= 0);
	}
	assert_int_equal(mallinfo2().uordblks, before);
	assert_int_equal(penstock_close(client, 0), -ETIMEDOUT);
	close(fd);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_event_once_whatever_happens),
	    cmocka_unit_test(memory_is_bounded),
	    cmocka_unit_test(bad_events_are_refused_and_harm_nobody),
	    cmocka_unit_test(options_are_checked),
	    cmocka_unit_test(epochs_that_are_stale),
	    cmocka_unit_test(draining_moves_everything_to_the_next),
	    cmocka_unit_test(credit_is_respected),
	    cmocka_unit_test(a_bottleneck_is_filled_and_not_flooded),
#ifdef COUNTS_ALLOCATIONS
	    cmocka_unit_test(nothing_is_allocated_later),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
