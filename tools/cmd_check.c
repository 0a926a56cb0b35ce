/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_commands.h"
#include "cli_verb.h"
#include "config.h"
#include "emit.h"
#include "kafka_conf.h"
#include "schema.h"
#include "validate.h"

#include <stdio.h>

/* Compiles what the daemon would compile: patterns, formats, the table of fields and what emit writes. */
static int check_stream(const struct config *config, const struct config_stream *stream, struct error *err)
{
	struct validator *validator = NULL;
	struct schema *schema = NULL;
	struct emit_plan plan;
	int rc;

	rc = schema_create(stream, &schema, err);
	if (rc == 0)
		rc = validator_create(schema, &validator, err);
	if (rc == 0)
		rc = emit_plan_init(&plan, schema, err);
	validator_destroy(validator);
	schema_destroy(schema);
	return rc < 0
	           ? error_prefix(err, rc, "%s:%d:1: stream \"%s\"", config->path, stream->line, stream->name)
	           : 0;
}

static int check_kafka(const struct config *config, struct error *err)
{
	rd_kafka_conf_t *conf;
	int rc = kafka_conf_create(config, &conf, err);

	if (rc < 0)
		return error_prefix(err, rc, "%s", config->path);
	rd_kafka_conf_destroy(conf);
	return 0;
}

static int check(const char *path, struct config **config, struct error *err)
{
	int rc = config_load(path, config, err);

	for (size_t i = 0; rc == 0 && i < (*config)->n_streams; i++)
		rc = check_stream(*config, &(*config)->streams[i], err);
	return rc == 0 && (*config)->kafka.enabled ? check_kafka(*config, err) : rc;
}

static void print_result(const char *path, const struct config *config)
{
	(void)printf("%s: ok (%zu stream%s, %zu source%s, %zu dimension%s, %zu lcore%s)\n", path,
	    config->n_streams, config->n_streams == 1 ? "" : "s", config->n_sources,
	    config->n_sources == 1 ? "" : "s", config->n_dimensions, config->n_dimensions == 1 ? "" : "s",
	    config->dataplane.n_lcores, config->dataplane.n_lcores == 1 ? "" : "s");
}

int cmd_check(int argc, char **argv)
{
	struct arg table[] = {VERB_OPTION_JSON, VERB_OPTION_END};
	struct args args = {"penstock check FILE [options]",
	    "Checks a configuration without starting anything. Says what the daemon would say: the file, the "
	    "line, the "
	    "column and the reason.",
	    table};
	struct config *config = NULL;
	struct error err;
	int first, rc = verb_begin(&args, "check", argc, argv, 1, 1, &first);
	const char *path;

	if (rc != 0)
		return verb_exit(rc);
	path = argv[first];
	rc = check(path, &config, &err);
	if (args_get(&args, "json") != NULL) {
		json_t *result =
		    rc < 0 ? json_pack("{s:b, s:s, s:s}", "ok", 0, "file", path, "error", err.text)
		           : json_pack("{s:b, s:s, s:I, s:I, s:I}", "ok", 1, "file", path, "streams",
		                 (json_int_t)config->n_streams, "sources", (json_int_t)config->n_sources,
		                 "dimensions", (json_int_t)config->n_dimensions);

		verb_print_json(result);
		json_decref(result);
	} else if (rc < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
	} else {
		print_result(path, config);
	}
	config_free(config);
	return rc < 0 ? EXIT_FAILED : EXIT_OK;
}
