/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_client.h"
#include "cli_commands.h"
#include "cli_print.h"
#include "cli_status.h"
#include "cli_verb.h"
#include "dimension_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The path of a dimension's resource. A name that cannot be in a path cannot be a dimension's. */
static int make_path(const char *name, const char *more, char *out, size_t size, struct error *err)
{
	for (const char *p = name; *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-')
			return error_set(err, -EINVAL, "\"%.64s\" is not a dimension's name", name);
	}
	if (name[0] == '\0' || snprintf(out, size, "/v1/dimensions/%s%s", name, more) >= (int)size)
		return error_set(err, -EINVAL, "\"%.64s\" is not a dimension's name", name);
	return 0;
}

static void print_result(const json_t *result, const char *name)
{
	char rows[PRINT_NUMBER_SIZE];
	const char *version = member_text(result, "version");

	(void)printf("%s: version %s, %s rows\n", name, version[0] == '\0' ? "?" : version,
	    print_count(rows, member_integer(result, "rows")));
}

/* Requests a change and prints what the daemon answers. */
static int change(const struct args *args, const char *verb, const char *method, const char *name,
    const char *more, const char *upload)
{
	char path[160];
	json_t *result;
	struct error err;

	if (make_path(name, more, path, sizeof(path), &err) < 0)
		return args_usage_error(verb, &err);
	if (client_json(client_socket(args_get(args, "socket")), method, path, upload, &result, &err) < 0)
		return verb_fail(verb, &err);
	if (args_get(args, "json") != NULL)
		verb_print_json(result);
	else
		print_result(result, name);
	json_decref(result);
	return EXIT_OK;
}

int cmd_dim_push(int argc, char **argv)
{
	struct arg table[] = {VERB_OPTION_SOCKET,
	    {"name", "NAME", "the dimension (default: the name that the snapshot carries)", NULL},
	    VERB_OPTION_JSON, VERB_OPTION_END};
	struct args args = {"penstock dim push FILE [options]",
	    "Loads a snapshot into the daemon and publishes it. Events see the old snapshot or the new one, "
	    "never both; a "
	    "damaged file is refused and the old snapshot stays.",
	    table};
	int first, rc = verb_begin(&args, "dim push", argc, argv, 1, 1, &first);
	struct dimension_file file;
	struct error err;
	const char *name;

	if (rc != 0)
		return verb_exit(rc);
	name = args_get(&args, "name");
	if (name != NULL)
		return change(&args, "dim push", "PUT", name, "", argv[first]);
	if (dimension_file_open(argv[first], &file, &err) < 0) {
		error_prefix(&err, 0, "%s", argv[first]);
		return verb_fail("dim push", &err);
	}
	rc = change(&args, "dim push", "PUT", file.header.name, "", argv[first]);
	dimension_file_close(&file);
	return rc;
}

int cmd_dim_rollback(int argc, char **argv)
{
	struct arg table[] = {VERB_OPTION_SOCKET, VERB_OPTION_JSON, VERB_OPTION_END};
	struct args args = {"penstock dim rollback NAME [options]",
	    "Publishes the snapshot that was current before the last push.", table};
	int first, rc = verb_begin(&args, "dim rollback", argc, argv, 1, 1, &first);

	if (rc != 0)
		return verb_exit(rc);
	return change(&args, "dim rollback", "POST", argv[first], "/rollback", NULL);
}

int cmd_dim_list(int argc, char **argv)
{
	struct arg table[] = {VERB_OPTION_SOCKET, VERB_OPTION_JSON, VERB_OPTION_END};
	struct args args = {"penstock dim list [options]",
	    "Shows the dimensions. Version, rows, size, age, hits and misses of each, and how many older "
	    "versions there are to "
	    "roll back to.",
	    table};
	json_t *answer;
	struct error err;
	int first, rc = verb_begin(&args, "dim list", argc, argv, 0, 0, &first);

	if (rc != 0)
		return verb_exit(rc);
	rc = client_json(
	    client_socket(args_get(&args, "socket")), "GET", "/v1/dimensions", NULL, &answer, &err);
	if (rc < 0)
		return verb_fail("dim list", &err);
	if (args_get(&args, "json") != NULL)
		verb_print_json(json_object_get(answer, "dimensions"));
	else
		status_print_dimensions(json_object_get(answer, "dimensions"), stdout);
	json_decref(answer);
	return EXIT_OK;
}
