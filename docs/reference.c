/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints a table of the documentation from the table that the code works by: keys, routes, metrics or
 * reasons. */
#include "config.h"
#include "control_routes.h"
#include "metrics.h"
#include "reason.h"

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

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*write)(FILE *out);
	} tables[] = {{"keys", config_write_reference}, {"routes", write_routes},
	    {"metrics", metrics_write_reference}, {"reasons", write_reasons}};

	for (size_t i = 0; argc == 2 && i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (strcmp(argv[1], tables[i].name) == 0) {
			tables[i].write(stdout);
			return fflush(stdout) == 0 ? 0 : 1;
		}
	}
	(void)fputs("usage: reference keys|routes|metrics|reasons\n", stderr);
	return 2;
}
