/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_embedded.h"

#include <errno.h>
#include <stdlib.h>

struct kafka_embedded {
	rd_kafka_t *host; /* lends the cluster a thread; talks to nobody */
	rd_kafka_mock_cluster_t *cluster;
};

static void no_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk, (void)level, (void)facility, (void)text;
}

static int create_topics(const struct config *config, rd_kafka_mock_cluster_t *cluster, struct error *err)
{
	for (size_t i = 0; i < config->n_streams; i++) {
		const struct config_stream *stream = &config->streams[i];
		const char *const names[] = {
		    stream->topic_raw, stream->topic_enriched, stream->topic_dead_letter};

		for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++) {
			rd_kafka_resp_err_t code;

			if (names[j] == NULL)
				continue;
			code = rd_kafka_mock_topic_create(cluster, names[j], KAFKA_EMBEDDED_PARTITIONS, 1);
			if (code != RD_KAFKA_RESP_ERR_NO_ERROR &&
			    code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
				return error_set(err, -EINVAL, "embedded broker: topic %s: %s", names[j],
				    rd_kafka_err2str(code));
		}
	}
	return 0;
}

int kafka_embedded_create(const struct config *config, struct kafka_embedded **out, struct error *err)
{
	struct kafka_embedded *embedded = calloc(1, sizeof(*embedded));
	rd_kafka_conf_t *conf;
	char reason[256];
	int rc = -ENOMEM;

	*out = NULL;
	if (embedded == NULL)
		return error_set(err, rc, "embedded broker: no memory");
	conf = rd_kafka_conf_new();
	rd_kafka_conf_set_log_cb(conf, no_log);
	embedded->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	if (embedded->host == NULL) {
		rd_kafka_conf_destroy(conf);
		error_set(err, rc, "embedded broker: %s", reason);
		goto err;
	}
	embedded->cluster = rd_kafka_mock_cluster_new(embedded->host, 1);
	if (embedded->cluster == NULL) {
		error_set(err, rc, "embedded broker: cannot listen on loopback");
		goto err;
	}
	rc = create_topics(config, embedded->cluster, err);
	if (rc != 0)
		goto err;
	*out = embedded;
	return 0;
err:
	kafka_embedded_destroy(embedded);
	return rc;
}

void kafka_embedded_destroy(struct kafka_embedded *embedded)
{
	if (embedded == NULL)
		return;
	if (embedded->cluster != NULL)
		rd_kafka_mock_cluster_destroy(embedded->cluster);
	if (embedded->host != NULL)
		rd_kafka_destroy(embedded->host);
	free(embedded);
}

const char *kafka_embedded_address(const struct kafka_embedded *embedded)
{
	return rd_kafka_mock_cluster_bootstraps(embedded->cluster);
}

rd_kafka_mock_cluster_t *kafka_embedded_cluster(const struct kafka_embedded *embedded)
{
	return embedded->cluster;
}
