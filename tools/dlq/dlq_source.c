/* SPDX-License-Identifier: BSD-3-Clause */
#include "dlq/dlq_source.h"

#include <errno.h>
#include <string.h>

static bool topic_seen_before(const struct config *config, size_t stream)
{
	for (size_t i = 0; i < stream; i++) {
		if (strcmp(config->streams[i].topic_dead_letter, config->streams[stream].topic_dead_letter) ==
		    0)
			return true;
	}
	return false;
}

int dlq_read_config(const char *path, dlq_fn see, void *context, struct error *err)
{
	struct config *config;
	int rc = config_load(path, &config, err);

	if (rc != 0)
		return rc;
	if (config->kafka.enabled && !config->kafka.embedded) {
		for (size_t i = 0; rc == 0 && i < config->n_streams; i++) {
			if (!topic_seen_before(config, i))
				rc = dlq_read_kafka(config->kafka.bootstrap,
				    config->streams[i].topic_dead_letter, config, see, context, err);
		}
	} else if (config->files.enabled) {
		rc = dlq_read_files(config->files.directory, see, context, err);
	} else {
		rc = error_set(err, -EINVAL,
		    "%s: the broker is inside the daemon: give its address, which 'penstock status' shows, "
		    "as --brokers",
		    path);
	}
	config_free(config);
	return rc;
}
