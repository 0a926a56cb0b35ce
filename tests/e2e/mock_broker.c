/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A Kafka broker that does as it is told, for tests: librdkafka's mock cluster with the topics of the command
 * line. Prints its address; then reads "down", "up" and "errors" from standard input and answers "ok". Ends
 * with the input. What was produced stays while the broker is down.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BROKER 1
#define PARTITIONS 16 /* of which each keeps about 5 MB */
#define API_PRODUCE 0

/* The next produce requests fail in ways that a client is to try again after. */
static void push_errors(rd_kafka_mock_cluster_t *cluster)
{
	rd_kafka_mock_push_request_errors(cluster, API_PRODUCE, 5, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
	    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
	    RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND);
}

static int obey(rd_kafka_mock_cluster_t *cluster, const char *word)
{
	if (strcmp(word, "down") == 0)
		return rd_kafka_mock_broker_set_down(cluster, BROKER);
	if (strcmp(word, "up") == 0)
		return rd_kafka_mock_broker_set_up(cluster, BROKER);
	if (strcmp(word, "errors") == 0) {
		push_errors(cluster);
		return 0;
	}
	return -1;
}

static void no_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk, (void)level, (void)facility, (void)text;
}

int main(int argc, char **argv)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_mock_cluster_t *cluster = NULL;
	char reason[256], word[16];
	int status = EXIT_FAILURE;
	rd_kafka_t *host;

	rd_kafka_conf_set_log_cb(conf, no_log);
	host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	if (host == NULL) {
		rd_kafka_conf_destroy(conf);
		fprintf(stderr, "mock_broker: %s\n", reason);
		return EXIT_FAILURE;
	}
	cluster = rd_kafka_mock_cluster_new(host, 1);
	if (cluster == NULL) {
		fprintf(stderr, "mock_broker: cannot listen on loopback\n");
		goto out;
	}
	for (int i = 1; i < argc; i++) {
		if (rd_kafka_mock_topic_create(cluster, argv[i], PARTITIONS, 1) != 0) {
			fprintf(stderr, "mock_broker: topic %s cannot be made\n", argv[i]);
			goto out;
		}
	}
	puts(rd_kafka_mock_cluster_bootstraps(cluster));
	fflush(stdout);
	while (scanf("%15s", word) == 1) {
		if (obey(cluster, word) != 0) {
			fprintf(stderr, "mock_broker: cannot do \"%s\"\n", word);
			goto out;
		}
		puts("ok");
		fflush(stdout);
	}
	status = EXIT_SUCCESS;
out:
	if (cluster != NULL)
		rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(host);
	return status;
}
