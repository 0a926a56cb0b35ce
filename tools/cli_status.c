/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_status.h"

#include "cli_print.h"
#include "cli_verb.h"

#include <inttypes.h>
#include <string.h>

static const char *const ledger[] = {
    "received", "durable", "dead_lettered", "duplicate", "shed", "in_flight"};
#define LEDGER_COLUMNS (sizeof(ledger) / sizeof(ledger[0]))

void status_print_head(const json_t *status, FILE *out)
{
	const char *state = member_text(status, "state");
	const json_t *control = json_object_get(status, "control"),
	             *memory = json_object_get(status, "memory");
	char uptime[PRINT_NUMBER_SIZE], rss[PRINT_NUMBER_SIZE];

	print_styled(out, PRINT_HEAD, member_text(status, "node"));
	(void)fprintf(out, "  penstock %s  ", member_text(status, "version"));
	print_styled(out, strcmp(state, "ready") == 0 ? PRINT_GOOD : PRINT_BAD, state);
	(void)fprintf(out, "  up %s  pid %" JSON_INTEGER_FORMAT "  %s resident",
	    print_uptime(uptime, member_number(status, "uptime_s")), member_integer(status, "pid"),
	    print_bytes(rss, member_number(memory, "rss_bytes")));
	if (json_object_get(control, "http") != NULL)
		(void)fprintf(out, "  http://%s/metrics", member_text(control, "http"));
	(void)fputc('\n', out);
}

static void print_streams(const json_t *streams, FILE *out)
{
	struct print_table table;
	json_t *stream;
	size_t i;

	table_init(&table,
	    "STREAM|>PORT|>RECEIVED|>DURABLE|>DEAD LETTER|>DUPLICATE|>SHED|>IN FLIGHT|>FLAGGED|CONSERVED");
	json_array_foreach(streams, i, stream)
	{
		table_text(&table, member_text(stream, "name"));
		table_format(&table, "%" JSON_INTEGER_FORMAT, member_integer(stream, "udp_port"));
		for (size_t j = 0; j < LEDGER_COLUMNS; j++)
			table_count(&table, member_integer(stream, ledger[j]));
		table_count(&table, member_integer(stream, "flagged"));
		table_text(&table, member_true(stream, "conserved") ? "yes" : "NO");
	}
	table_print(&table, out);
}

/* One table of all named reasons: of streams, and of workers for frames. */
static void print_drops(const json_t *status, FILE *out)
{
	static const char *const lists[] = {"streams", "workers"};
	struct print_table table;
	json_t *item, *count;
	const char *reason;
	size_t i;

	table_init(&table, "WHERE|REASON|>COUNT");
	for (size_t l = 0; l < 2; l++) {
		json_array_foreach(json_object_get(status, lists[l]), i, item)
		{
			json_object_foreach(json_object_get(item, "drops"), reason, count)
			{
				if (json_integer_value(count) == 0)
					continue;
				if (l == 0)
					table_text(&table, member_text(item, "name"));
				else
					table_format(&table, "worker %" JSON_INTEGER_FORMAT,
					    member_integer(item, "worker"));
				table_text(&table, reason);
				table_count(&table, json_integer_value(count));
			}
		}
	}
	table_print(&table, out);
}

static void print_dedup(const json_t *streams, FILE *out)
{
	struct print_table table;
	char window[PRINT_NUMBER_SIZE], covered[PRINT_NUMBER_SIZE];
	json_t *stream;
	size_t i;

	table_init(&table, "DEDUP|MODE|>SLOTS|>ENTRIES|>LOAD|>WINDOW|>COVERED|>EVICTED");
	json_array_foreach(streams, i, stream)
	{
		const json_t *dedup = json_object_get(stream, "dedup");

		if (!json_is_object(dedup))
			continue;
		table_text(&table, member_text(stream, "name"));
		table_text(&table, member_text(dedup, "mode"));
		table_count(&table, member_integer(dedup, "slots"));
		table_count(&table, member_integer(dedup, "entries"));
		table_format(&table, "%.1f%%", 100 * member_number(dedup, "load"));
		table_text(&table, print_uptime(window, member_number(dedup, "window_ms") / 1000));
		table_text(&table, print_uptime(covered, member_number(dedup, "covered_ms") / 1000));
		table_count(&table, member_integer(dedup, "evicted"));
	}
	table_print(&table, out);
}

static void print_sources(const json_t *sources, FILE *out)
{
	struct print_table table;
	json_t *source;
	size_t i;

	table_init(&table, "SOURCE|TYPE|DEVICE|>WORKER|>PACKETS|>BYTES|>MISSED|>ERRORS|>RECOVERIES");
	json_array_foreach(sources, i, source)
	{
		table_text(&table, member_text(source, "name"));
		table_text(&table, member_text(source, "type"));
		table_text(&table, member_text(source, "device"));
		table_format(&table, "%" JSON_INTEGER_FORMAT, member_integer(source, "worker"));
		table_count(&table, member_integer(source, "packets"));
		table_count(&table, member_integer(source, "bytes"));
		table_count(&table, member_integer(source, "missed"));
		table_count(&table, member_integer(source, "errors"));
		table_count(&table, member_integer(source, "recoveries"));
	}
	table_print(&table, out);
}

/* Nothing where nobody has ever spoken the event transport. */
static void print_transport(const json_t *transport, FILE *out)
{
	static const char *const columns[] = {"sessions", "frames", "events", "retransmitted",
	    "acknowledgements", "hellos", "probes", "errors", "unsent", "parked"};
	struct print_table table;
	json_t *count;
	const char *reason;
	json_int_t refused = 0;

	json_object_foreach(json_object_get(transport, "refused"), reason, count) refused +=
	    json_integer_value(count);
	if (member_integer(transport, "hellos") == 0 && refused == 0)
		return;
	table_init(&table,
	    ">SESSIONS|>FRAMES|>EVENTS|>RETRANSMITTED|>ACKS|>HELLOS|>PROBES|>ERRORS|>UNSENT|>PARKED|"
	    ">NOT TAKEN");
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		table_count(&table, member_integer(transport, columns[i]));
	table_count(&table, refused);
	(void)fputc('\n', out);
	table_print(&table, out);
}

void status_print_dimensions(const json_t *dimensions, FILE *out)
{
	struct print_table table;
	char text[PRINT_NUMBER_SIZE];
	json_t *dimension;
	size_t i;

	table_init(&table, "DIMENSION|REQUIRED|VERSION|>ROWS|>SIZE|>AGE|>HITS|>MISSES|>PREVIOUS");
	json_array_foreach(dimensions, i, dimension)
	{
		int loaded = member_true(dimension, "loaded");

		table_text(&table, member_text(dimension, "name"));
		table_text(&table, member_true(dimension, "required") ? "yes" : "no");
		table_text(&table, loaded ? member_text(dimension, "version") : "(none)");
		table_count(&table, member_integer(dimension, "rows"));
		table_text(&table, print_bytes(text, member_number(dimension, "bytes")));
		table_text(&table, loaded ? print_uptime(text, member_number(dimension, "age_s")) : "-");
		table_count(&table, member_integer(dimension, "hits"));
		table_count(&table, member_integer(dimension, "misses"));
		table_format(&table, "%zu", json_array_size(json_object_get(dimension, "previous")));
	}
	table_print(&table, out);
}

static void print_sinks(const json_t *sinks, FILE *out)
{
	struct print_table table;
	const char *key;
	json_t *sink, *value;
	size_t i;

	table_init(&table, "SINK|>RECORDS|>BYTES|>RETRIES|DETAILS");
	json_array_foreach(sinks, i, sink)
	{
		char details[256] = "";
		size_t used = 0;

		json_object_foreach(sink, key, value)
		{
			const char *text = json_string_value(value);
			int n = 0;

			if (text != NULL && strcmp(key, "type") != 0)
				n = snprintf(details + used, sizeof(details) - used, "%s%s=%s",
				    used == 0 ? "" : " ", key, text);
			if (n > 0 && (size_t)n < sizeof(details) - used)
				used += (size_t)n;
			else
				details[used] = '\0';
		}
		table_text(&table, member_text(sink, "type"));
		table_count(&table, member_integer(sink, "records"));
		table_count(&table, member_integer(sink, "bytes"));
		table_count(&table, member_integer(sink, "retries"));
		table_text(&table, details);
	}
	table_print(&table, out);
}

static void print_journal(const json_t *journal, FILE *out)
{
	struct print_table table;
	json_t *lane;
	size_t i;

	if (journal == NULL)
		return;
	(void)fprintf(out,
	    "\njournal: %s, %" JSON_INTEGER_FORMAT " segments, %" JSON_INTEGER_FORMAT
	    " of %" JSON_INTEGER_FORMAT " MB, backlog %" JSON_INTEGER_FORMAT " events (%.1f s)\n",
	    member_text(journal, "state"), member_integer(journal, "segments"),
	    member_integer(journal, "bytes") >> 20, member_integer(journal, "max_bytes") >> 20,
	    member_integer(journal, "backlog_events"),
	    (double)member_integer(journal, "backlog_age_ms") / 1e3);
	table_init(&table, "TO|STREAM|OUTPUT|>BEHIND|>DELIVERED|>SKIPPED");
	json_array_foreach(json_object_get(journal, "lanes"), i, lane)
	{
		table_text(&table, member_text(lane, "sink"));
		table_text(&table, member_text(lane, "stream"));
		table_text(&table, member_text(lane, "output"));
		table_count(&table, member_integer(lane, "behind_events"));
		table_count(&table, member_integer(lane, "delivered"));
		table_count(&table, member_integer(lane, "skipped"));
	}
	table_print(&table, out);
}

void status_print_alarms(const json_t *status, FILE *out)
{
	json_t *alarm;
	size_t i;

	json_array_foreach(json_object_get(status, "alarms"), i, alarm)
	{
		const char *about =
		    member_text(alarm, json_object_get(alarm, "dimension") != NULL ? "dimension" : "stream");

		print_styled(out, PRINT_BAD, "alarm");
		(void)fprintf(out, ": %s%s%s: %s\n", member_text(alarm, "name"), about[0] == '\0' ? "" : " ",
		    about, member_text(alarm, "text"));
	}
}

void status_print_ledger(const json_t *status, FILE *out)
{
	json_int_t sum[LEDGER_COLUMNS] = {0};
	int conserved = member_true(status, "conserved");
	json_t *stream;
	size_t i;

	json_array_foreach(json_object_get(status, "streams"), i, stream)
	{
		for (size_t j = 0; j < LEDGER_COLUMNS; j++)
			sum[j] += member_integer(stream, ledger[j]);
	}
	(void)fputs("conserved: ", out);
	print_styled(out, conserved ? PRINT_GOOD : PRINT_BAD, conserved ? "yes" : "NO");
	for (size_t j = 0; j < LEDGER_COLUMNS; j++)
		(void)fprintf(out, " %s=%" JSON_INTEGER_FORMAT, ledger[j], sum[j]);
	(void)fputc('\n', out);
}

/* A blank line before a section that has rows. */
static void section(const json_t *list, FILE *out)
{
	if (json_array_size(list) > 0)
		(void)fputc('\n', out);
}

void status_print(const json_t *status, FILE *out)
{
	const json_t *streams = json_object_get(status, "streams"),
	             *sources = json_object_get(status, "sources");
	const json_t *dimensions = json_object_get(status, "dimensions"),
	             *sinks = json_object_get(status, "sinks");

	status_print_head(status, out);
	section(streams, out);
	print_streams(streams, out);
	section(streams, out);
	print_drops(status, out);
	section(streams, out);
	print_dedup(streams, out);
	section(sources, out);
	print_sources(sources, out);
	print_transport(json_object_get(status, "transport"), out);
	section(dimensions, out);
	status_print_dimensions(dimensions, out);
	section(sinks, out);
	print_sinks(sinks, out);
	print_journal(json_object_get(status, "journal"), out);
	(void)fputc('\n', out);
	status_print_alarms(status, out);
	status_print_ledger(status, out);
}
