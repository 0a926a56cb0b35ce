/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kafka brokers that do as they are told, for tests: librdkafka's mock cluster with the topics of the command
 * line. Prints its address; then reads commands from standard input and answers "ok". Ends with the input.
 *
 *   down     no broker answers; what was produced stays
 *   up       all do
 *   errors   the next produce requests fail with the errors that a client is to try again after
 *   leaders  a partition of each topic gets another leader
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BROKERS 3
#define PARTITIONS 16 /* of which each keeps about 5 MB */
#define API_PRODUCE 0

struct mock {
	rd_kafka_mock_cluster_t *cluster;
	char **topics;
	int n_topics;
	int32_t leader; /* how far the leaders have moved */
};

static void push_errors(rd_kafka_mock_cluster_t *cluster)
{
	static const rd_kafka_resp_err_t errors[] = {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
	    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
	    RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
	    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
	    RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,
	    RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
	    RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH};

	rd_kafka_mock_push_request_errors_array(
	    cluster, API_PRODUCE, sizeof(errors) / sizeof(errors[0]), errors);
}

static int set_all(struct mock *mock, rd_kafka_resp_err_t (*set)(rd_kafka_mock_cluster_t *, int32_t))
{
	for (int32_t broker = 1; broker <= BROKERS; broker++) {
		if (set(mock->cluster, broker) != RD_KAFKA_RESP_ERR_NO_ERROR)
			return -1;
	}
	return 0;
}

/* Of a few partitions at a time: the mock cluster takes up to a second for each when nobody talks to it. */
static int move_leaders(struct mock *mock)
{
	mock->leader++;
	for (int t = 0; t < mock->n_topics; t++) {
		int32_t partition = mock->leader % PARTITIONS;

		if (rd_kafka_mock_partition_set_leader(mock->cluster, mock->topics[t], partition,
		        1 + (mock->leader + partition) % BROKERS) != RD_KAFKA_RESP_ERR_NO_ERROR)
			return -1;
	}
	return 0;
}

static int obey(struct mock *mock, const char *word)
{
	if (strcmp(word, "down") == 0)
		return set_all(mock, rd_kafka_mock_broker_set_down);
	if (strcmp(word, "up") == 0)
		return set_all(mock, rd_kafka_mock_broker_set_up);
	if (strcmp(word, "leaders") == 0)
		return move_leaders(mock);
	if (strcmp(word, "errors") == 0) {
		push_errors(mock->cluster);
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
	struct mock mock = {.topics = argv + 1, .n_topics = argc - 1};
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
	mock.cluster = rd_kafka_mock_cluster_new(host, BROKERS);
	if (mock.cluster == NULL) {
		fprintf(stderr, "mock_broker: cannot listen on loopback\n");
		goto out;
	}
	for (int i = 0; i < mock.n_topics; i++) {
		if (rd_kafka_mock_topic_create(mock.cluster, mock.topics[i], PARTITIONS, BROKERS) != 0) {
			fprintf(stderr, "mock_broker: topic %s cannot be made\n", mock.topics[i]);
			goto out;
		}
	}
	puts(rd_kafka_mock_cluster_bootstraps(mock.cluster));
	fflush(stdout);
	while (scanf("%15s", word) == 1) {
		if (obey(&mock, word) != 0) {
			fprintf(stderr, "mock_broker: cannot do \"%s\"\n", word);
			goto out;
		}
		puts("ok");
		fflush(stdout);
	}
	status = EXIT_SUCCESS;
out:
	if (mock.cluster != NULL)
		rd_kafka_mock_cluster_destroy(mock.cluster);
	rd_kafka_destroy(host);
	return status;
}
