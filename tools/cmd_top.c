/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_client.h"
#include "cli_commands.h"
#include "cli_print.h"
#include "cli_status.h"
#include "cli_verb.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct moment {
	json_t *status;
	double seconds;
};

static int take(const char *socket, struct moment *out, struct error *err)
{
	struct timespec now;
	int rc = client_json(socket, "GET", "/v1/status", NULL, &out->status, err);

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	out->seconds = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	return rc;
}

/* The element of the earlier list that has the same value under `key`. */
static const json_t *find_same(const json_t *list, const json_t *element, const char *key)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (json_equal(json_object_get(item, key), json_object_get(element, key)))
			return item;
	}
	return NULL;
}

/* How much a counter grew; a daemon that was started anew counts from zero. */
static double growth(const json_t *now, const json_t *before, const char *key)
{
	double a = member_number(now, key), b = member_number(before, key);

	return a >= b ? a - b : a;
}

static json_t *stream_rates(const json_t *now, const json_t *before, double seconds)
{
	static const char *const keys[] = {"received", "durable", "dead_lettered", "duplicate", "shed"};
	json_t *list = json_array(), *stream;
	size_t i;

	json_array_foreach(json_object_get(now, "streams"), i, stream)
	{
		const json_t *old = find_same(json_object_get(before, "streams"), stream, "name");
		json_t *rates = json_pack("{s:s, s:I, s:b}", "name", member_text(stream, "name"), "in_flight",
		    member_integer(stream, "in_flight"), "conserved", member_true(stream, "conserved"));

		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
			char key[64];

			(void)snprintf(key, sizeof(key), "%s_per_s", keys[k]);
			(void)json_object_set_new(
			    rates, key, json_real(growth(stream, old, keys[k]) / seconds));
		}
		(void)json_array_append_new(list, rates);
	}
	return list;
}

/* ns per event over the interval: the status gives cycles, and ns per event since the start, from which the
 * clock follows. */
static json_t *stage_rates(const json_t *worker, const json_t *old)
{
	json_t *list = json_array(), *stage;
	size_t i;

	json_array_foreach(json_object_get(worker, "stages"), i, stage)
	{
		const json_t *old_stage = find_same(json_object_get(old, "stages"), stage, "stage");
		double cycles = member_number(stage, "cycles"), events = member_number(stage, "events");
		double ns_per_cycle = cycles > 0 ? member_number(stage, "ns_per_event") * events / cycles : 0;
		double more_events = growth(stage, old_stage, "events");
		double ns =
		    more_events > 0 ? growth(stage, old_stage, "cycles") * ns_per_cycle / more_events : 0;

		(void)json_array_append_new(
		    list, json_pack("{s:s, s:f}", "stage", member_text(stage, "stage"), "ns_per_event", ns));
	}
	return list;
}

static json_t *worker_rates(const json_t *now, const json_t *before, double seconds)
{
	json_t *list = json_array(), *worker;
	size_t i;

	json_array_foreach(json_object_get(now, "workers"), i, worker)
	{
		const json_t *old = find_same(json_object_get(before, "workers"), worker, "worker");
		double loops = growth(worker, old, "loops");

		(void)json_array_append_new(
		    list, json_pack("{s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:o}", "worker",
		              member_integer(worker, "worker"), "lcore", member_integer(worker, "lcore"),
		              "cpu", member_integer(worker, "cpu"), "packets_per_s",
		              growth(worker, old, "packets") / seconds, "busy",
		              loops > 0 ? growth(worker, old, "busy_loops") / loops : 0.0, "batches_free",
		              member_integer(worker, "batches_free"), "batches_size",
		              member_integer(worker, "batches_size"), "stages", stage_rates(worker, old)));
	}
	return list;
}

static json_t *make_rates(const struct moment *now, const struct moment *before)
{
	double seconds = now->seconds - before->seconds;

	if (seconds <= 0)
		seconds = 1e-9;
	return json_pack("{s:f, s:o, s:o}", "seconds", seconds, "streams",
	    stream_rates(now->status, before->status, seconds), "workers",
	    worker_rates(now->status, before->status, seconds));
}

static void print_stream_rates(const json_t *list)
{
	static const char *const keys[] = {
	    "received_per_s", "durable_per_s", "dead_lettered_per_s", "duplicate_per_s", "shed_per_s"};
	struct print_table table;
	json_t *stream;
	size_t i;

	table_init(
	    &table, "STREAM|>RECEIVED/S|>DURABLE/S|>DEAD LETTER/S|>DUPLICATE/S|>SHED/S|>IN FLIGHT|CONSERVED");
	json_array_foreach(list, i, stream)
	{
		table_text(&table, member_text(stream, "name"));
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			table_count(&table, (int64_t)(member_number(stream, keys[k]) + 0.5));
		table_count(&table, member_integer(stream, "in_flight"));
		table_text(&table, member_true(stream, "conserved") ? "yes" : "NO");
	}
	table_print(&table, stdout);
}

static void print_worker_rates(const json_t *list)
{
	char heads[512] = "WORKER|>LCORE|>CPU|>BUSY|>PACKETS/S";
	size_t n_stages = json_array_size(json_object_get(json_array_get(list, 0), "stages")),
	       used = strlen(heads);
	struct print_table table;
	json_t *worker, *stage;
	size_t i, j;

	if (n_stages > PRINT_MAX_COLUMNS - 5)
		n_stages = PRINT_MAX_COLUMNS - 5;
	json_array_foreach(json_object_get(json_array_get(list, 0), "stages"), j, stage)
	{
		if (j < n_stages)
			used += (size_t)snprintf(
			    heads + used, sizeof(heads) - used, "|>%.16s ns", member_text(stage, "stage"));
	}
	table_init(&table, heads);
	json_array_foreach(list, i, worker)
	{
		const json_t *stages = json_object_get(worker, "stages");

		table_format(&table, "%" JSON_INTEGER_FORMAT, member_integer(worker, "worker"));
		table_format(&table, "%" JSON_INTEGER_FORMAT, member_integer(worker, "lcore"));
		table_format(&table, "%" JSON_INTEGER_FORMAT, member_integer(worker, "cpu"));
		table_format(&table, "%.1f%%", 100 * member_number(worker, "busy"));
		table_count(&table, (int64_t)(member_number(worker, "packets_per_s") + 0.5));
		for (j = 0; j < n_stages; j++)
			table_format(
			    &table, "%.1f", member_number(json_array_get(stages, j), "ns_per_event"));
	}
	table_print(&table, stdout);
}

static void show(const struct moment *now, const json_t *rates, bool json, bool clear)
{
	if (json) {
		(void)json_dumpf(rates, stdout, JSON_COMPACT);
		(void)putchar('\n');
	} else {
		if (clear)
			(void)fputs("\033[H\033[2J", stdout);
		status_print_head(now->status, stdout);
		(void)putchar('\n');
		print_stream_rates(json_object_get(rates, "streams"));
		(void)putchar('\n');
		print_worker_rates(json_object_get(rates, "workers"));
		(void)putchar('\n');
		status_print_alarms(now->status, stdout);
	}
	(void)fflush(stdout);
}

static int run(const char *socket, double interval, uint64_t iterations, bool json, struct error *err)
{
	const struct timespec pause = {
	    .tv_sec = (time_t)interval, .tv_nsec = (long)((interval - (double)(time_t)interval) * 1e9)};
	struct moment before, now = {0};
	int rc = take(socket, &before, err);

	for (uint64_t i = 0; rc == 0 && (iterations == 0 || i < iterations) && !ferror(stdout); i++) {
		json_t *rates;

		(void)nanosleep(&pause, NULL);
		rc = take(socket, &now, err);
		if (rc < 0)
			break;
		rates = make_rates(&now, &before);
		show(&now, rates, json, iterations != 1 && isatty(STDOUT_FILENO) == 1);
		json_decref(rates);
		json_decref(before.status);
		before = now;
		now.status = NULL;
	}
	json_decref(before.status);
	return rc;
}

int cmd_top(int argc, char **argv)
{
	struct arg table[] = {VERB_OPTION_SOCKET,
	    {"interval", "S", "seconds between two looks (default 1)", NULL},
	    {"iterations", "N", "stop after N tables (default: go on)", NULL},
	    {"once", NULL, "one table", NULL}, VERB_OPTION_JSON, VERB_OPTION_END};
	struct args args = {"penstock top [options]",
	    "Shows rates while they change. Per stream events per second, per worker how busy it is and what "
	    "each stage costs; "
	    "with --json one line per interval.",
	    table};
	double interval = 1;
	uint64_t iterations = 0;
	struct error err;
	int first, rc = verb_begin(&args, "top", argc, argv, 0, 0, &first);

	if (rc != 0)
		return verb_exit(rc);
	if (args_get_double(&args, "interval", 0.01, 3600, &interval, &err) < 0 ||
	    args_get_u64(&args, "iterations", 1, 1u << 30, &iterations, &err) < 0)
		return args_usage_error("top", &err);
	if (args_get(&args, "once") != NULL)
		iterations = 1;
	rc = run(client_socket(args_get(&args, "socket")), interval, iterations,
	    args_get(&args, "json") != NULL, &err);
	return rc < 0 ? verb_fail("top", &err) : EXIT_OK;
}
