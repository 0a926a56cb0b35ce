/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "config_check.h"
#include "config_keys.h"
#include "config_reader.h"
#include "config_section.h"
#include "config_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What no table of keys can say. */
static int finish(struct reader *reader, struct config *config)
{
	char host[256] = "";
	const char *why;

	if (config->kafka.enabled)
		config->kafka.embedded = strcmp(config->kafka.bootstrap, "embedded") == 0;
	if (config->node != NULL)
		return 0;
	if (gethostname(host, sizeof(host) - 1) < 0)
		return error_set(reader->err, -errno, "%.256s:1:1: node: cannot read the host's name: %s",
		    reader->name, strerror(errno));
	why = text_refuse_node(host);
	if (why != NULL)
		return reader_fail_at(
		    reader, config, NULL, "node: is missing, and the host's name cannot stand in: %s", why);
	config->node = strdup(host);
	return config->node == NULL
	           ? error_set(reader->err, -ENOMEM, "%.256s:1:1: out of memory", reader->name)
	           : 0;
}

int config_parse(const char *text, size_t len, const char *name, struct config **out, struct error *err)
{
	struct config *config = NULL;
	struct reader reader;
	int rc;

	*out = NULL;
	rc = reader_open(&reader, text, len, name, err);
	if (rc < 0)
		return rc;
	config = calloc(1, sizeof(*config));
	if (config != NULL)
		config->path = strdup(name);
	if (config == NULL || config->path == NULL) {
		rc = error_set(err, -ENOMEM, "%.256s:1:1: out of memory", name);
		goto err;
	}
	rc = reader_remember(&reader, config, reader_root(&reader));
	if (rc == 0)
		rc = section_read(&reader, &config_root_section, reader_root(&reader), config);
	if (rc == 0)
		rc = config_check(&reader, config);
	if (rc == 0)
		rc = finish(&reader, config);
	if (rc < 0)
		goto err;
	reader_close(&reader);
	*out = config;
	return 0;
err:
	reader_close(&reader);
	config_free(config);
	return rc;
}

int config_load(const char *path, struct config **out, struct error *err)
{
	size_t len = 0;
	char *text = NULL;
	FILE *file;
	int rc;

	*out = NULL;
	file = fopen(path, "re");
	if (file == NULL)
		return error_set(err, -errno, "%.256s:1:1: cannot open: %s", path, strerror(errno));
	text = malloc(READER_MAX_BYTES + 1);
	if (text == NULL) {
		rc = error_set(err, -ENOMEM, "%.256s:1:1: out of memory", path);
		goto out;
	}
	len = fread(text, 1, READER_MAX_BYTES + 1, file);
	if (ferror(file)) {
		rc = error_set(err, -errno, "%.256s:1:1: cannot read: %s", path, strerror(errno));
		goto out;
	}
	rc = config_parse(text, len, path, out, err);
out:
	free(text);
	(void)fclose(file);
	return rc;
}

void config_free(struct config *config)
{
	if (config == NULL)
		return;
	section_free(&config_root_section, config);
	for (size_t i = 0; i < config->kafka.n_properties; i++) {
		free(config->kafka.property_keys[i]);
		free(config->kafka.property_values[i]);
	}
	free(config->control.http_host);
	free(config->path);
	free(config);
}

int config_find_stream(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_streams; i++) {
		if (strcmp(config->streams[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

int config_find_dimension(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_dimensions; i++) {
		if (strcmp(config->dimensions[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}
