/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_client.h"
#include "cli_commands.h"
#include "cli_print.h"
#include "cli_verb.h"

#include <stdio.h>
#include <string.h>

static void format_labels(const json_t *labels, char *out, size_t size)
{
	const char *name;
	json_t *value;
	size_t used = 0;

	out[0] = '\0';
	json_object_foreach((json_t *)labels, name, value)
	{
		int n = snprintf(
		    out + used, size - used, "%s%s=%s", used == 0 ? "" : " ", name, json_string_value(value));

		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
	}
}

/* Removes from the list what does not have the word in its name. */
static void filter(json_t *list, const char *word)
{
	for (size_t i = json_array_size(list); i-- > 0;) {
		if (strstr(member_text(json_array_get(list, i), "name"), word) == NULL)
			(void)json_array_remove(list, i);
	}
}

static void print_stats(const json_t *list)
{
	struct print_table table;
	json_t *stat;
	size_t i;

	table_init(&table, "NAME|LABELS|>VALUE");
	json_array_foreach(list, i, stat)
	{
		const json_t *value = json_object_get(stat, "value");
		char labels[256];

		format_labels(json_object_get(stat, "labels"), labels, sizeof(labels));
		table_text(&table, member_text(stat, "name"));
		table_text(&table, labels);
		if (json_is_integer(value))
			table_count(&table, json_integer_value(value));
		else
			table_format(&table, "%.3f", json_number_value(value));
	}
	table_print(&table, stdout);
}

int cmd_stats(int argc, char **argv)
{
	struct arg table[] = {VERB_OPTION_SOCKET, VERB_OPTION_JSON, VERB_OPTION_END};
	struct args args = {"penstock stats [WORD] [options]",
	    "Prints every counter and gauge of the daemon. With a word, only those whose name contains it. "
	    "The names are those "
	    "of the metrics.",
	    table};
	json_t *stats, *list;
	struct error err;
	int first, rc = verb_begin(&args, "stats", argc, argv, 0, 1, &first);

	if (rc != 0)
		return verb_exit(rc);
	rc = client_json(client_socket(args_get(&args, "socket")), "GET", "/v1/stats", NULL, &stats, &err);
	if (rc < 0)
		return verb_fail("stats", &err);
	list = json_object_get(stats, "stats");
	if (first < argc)
		filter(list, argv[first]);
	if (args_get(&args, "json") != NULL)
		verb_print_json(list);
	else
		print_stats(list);
	json_decref(stats);
	return EXIT_OK;
}
