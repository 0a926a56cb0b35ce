/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints a table of the documentation from the table that the code works by: keys, routes, metrics,
 * reasons, or the numbers of the event transport. */
#include "config.h"
#include "control_routes.h"
#include "metrics.h"
#include "reason.h"
#include "wire.h"
#include "wire_reason.h"

#include <stdio.h>
#include <string.h>

static void write_routes(FILE *out)
{
	(void)fputs("| method | path | also over TCP | what |\n|---|---|---|---|\n", out);
	for (const struct route *route = route_table(); route->method != NULL; route++)
		(void)fprintf(out, "| %s | `%s` | %s | %s |\n", route->method, route->path,
		    route->tcp ? "yes" : "", route->help);
}

static void write_reasons(FILE *out)
{
	static const char *const outcomes[] = {
	    [REASON_CLASS_FRAME] = "frame discarded",
	    [REASON_CLASS_DEAD_LETTER] = "dead letter",
	    [REASON_CLASS_DUPLICATE] = "duplicate",
	    [REASON_CLASS_SHED] = "shed",
	};

	(void)fputs("| reason | stage | outcome | meaning |\n|---|---|---|---|\n", out);
	for (int r = REASON_NONE + 1; r < REASON_COUNT; r++) {
		const struct reason_info *info = reason_info((enum reason)r);

		(void)fprintf(out, "| `%s` | %s | %s | %s |\n", info->name, info->stage,
		    outcomes[info->class], info->help);
	}
}

static void write_wire_reasons(FILE *out)
{
	(void)fputs("| code | reason | meaning |\n|---|---|---|\n", out);
	for (unsigned int code = 0; code <= UINT8_MAX; code++) {
		const struct reason_info *info = reason_info(wire_reason((uint8_t)code));

		if (info->class != REASON_CLASS_NONE)
			(void)fprintf(out, "| %u | `%s` | %s |\n", code, info->name, info->help);
	}
}

static void write_wire_errors(FILE *out)
{
	(void)fputs("| code | error | meaning |\n|---|---|---|\n", out);
	for (unsigned int code = WIRE_ERROR_NONE + 1; code < WIRE_ERROR_COUNT; code++)
		(void)fprintf(
		    out, "| %u | `%s` | %s |\n", code, wire_error_name(code), wire_error_help(code));
}

static void write_wire_limits(FILE *out)
{
	static const struct {
		unsigned int value;
		const char *what;
	} limits[] = {
	    {WIRE_MAX_EVENTS, "events in a DATA frame"},
	    {WIRE_MAX_WINDOW, "frames in a window"},
	    {WIRE_MAX_WORDS, "words in each bitmap of an ACK"},
	    {WIRE_MAX_EXCEPTIONS, "exceptions in an ACK without bitmaps"},
	    {WIRE_MIN_EXCEPTIONS, "exceptions that fit beside two full bitmaps"},
	    {WIRE_HEADER_BYTES, "bytes of a header"},
	    {WIRE_TRAILER_BYTES, "bytes of a trailer"},
	    {WIRE_MAX_CONTROL_PAYLOAD, "bytes of payload in any frame but DATA"},
	    {WIRE_MAX_CONTROL_BYTES, "bytes of any datagram but DATA, with trailer"},
	    {WIRE_KEY_MIN_BYTES, "bytes of a key, at least"},
	    {WIRE_KEY_MAX_BYTES, "bytes of a key, at most"},
	};

	(void)fputs("| limit | what |\n|---|---|\n", out);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		(void)fprintf(out, "| %u | %s |\n", limits[i].value, limits[i].what);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*write)(FILE *out);
	} tables[] = {{"keys", config_write_reference}, {"routes", write_routes},
	    {"metrics", metrics_write_reference}, {"reasons", write_reasons},
	    {"wire_errors", write_wire_errors}, {"wire_reasons", write_wire_reasons},
	    {"wire_limits", write_wire_limits}};

	for (size_t i = 0; argc == 2 && i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (strcmp(argv[1], tables[i].name) == 0) {
			tables[i].write(stdout);
			return fflush(stdout) == 0 ? 0 : 1;
		}
	}
	(void)fputs(
	    "usage: reference keys|routes|metrics|reasons|wire_errors|wire_reasons|wire_limits\n", stderr);
	return 2;
}
