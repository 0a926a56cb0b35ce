/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests ask of a Kafka broker, in a hundredth of the time that Kafka's own programs take to start:
 *
 *   kafka_admin BROKERS create TOPIC PARTITIONS [NAME=VALUE...]   returns when the topic has its leaders
 *   kafka_admin BROKERS delete TOPIC                              returns when it is gone
 *   kafka_admin BROKERS alter TOPIC NAME=VALUE...
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 30000
#define METADATA_MS 5000
#define ROUNDS 300
#define ROUND_MS 20

static const char *set_entries(rd_kafka_ConfigResource_t *resource, rd_kafka_NewTopic_t *topic, char **words)
{
	for (; *words != NULL; words++) {
		char *equals = strchr(*words, '=');
		rd_kafka_resp_err_t code;

		if (equals == NULL)
			return "a setting is NAME=VALUE";
		*equals = '\0';
		code = topic != NULL ? rd_kafka_NewTopic_set_config(topic, *words, equals + 1)
		                     : rd_kafka_ConfigResource_set_config(resource, *words, equals + 1);
		if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
			return rd_kafka_err2str(code);
	}
	return NULL;
}

/* The answer to a request, as an error text; NULL: done. It belongs to *event. */
static const char *answer(rd_kafka_queue_t *queue, rd_kafka_event_t **event)
{
	const rd_kafka_topic_result_t **topics = NULL;
	const rd_kafka_ConfigResource_t **resources;
	size_t n = 0;

	*event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
	if (*event == NULL)
		return "no answer";
	if (rd_kafka_event_error(*event) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return rd_kafka_event_error_string(*event);
	if (rd_kafka_event_type(*event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT)
		topics = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(*event), &n);
	else if (rd_kafka_event_type(*event) == RD_KAFKA_EVENT_DELETETOPICS_RESULT)
		topics = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(*event), &n);
	if (topics != NULL)
		return n == 1 && rd_kafka_topic_result_error(topics[0]) != RD_KAFKA_RESP_ERR_NO_ERROR
		           ? rd_kafka_err2str(rd_kafka_topic_result_error(topics[0]))
		           : NULL;
	resources = rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(*event), &n);
	return n == 1 && rd_kafka_ConfigResource_error(resources[0]) != RD_KAFKA_RESP_ERR_NO_ERROR
	           ? rd_kafka_err2str(rd_kafka_ConfigResource_error(resources[0]))
	           : NULL;
}

/* Partitions of the topic that have a leader; 0: there is none of that name. */
static int leaders(rd_kafka_t *rk, const char *name)
{
	const struct rd_kafka_metadata *metadata;
	int n = 0;

	if (rd_kafka_metadata(rk, 1, NULL, &metadata, METADATA_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return -1;
	for (int i = 0; i < metadata->topic_cnt; i++) {
		if (strcmp(metadata->topics[i].topic, name) != 0)
			continue;
		for (int j = 0; j < metadata->topics[i].partition_cnt; j++)
			n += metadata->topics[i].partitions[j].leader >= 0;
	}
	rd_kafka_metadata_destroy(metadata);
	return n;
}

static const char *wait_leaders(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *topic, int wanted)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (leaders(rk, topic) == wanted)
			return NULL;
		rd_kafka_event_destroy(rd_kafka_queue_poll(queue, ROUND_MS));
	}
	return "the brokers do not show it";
}

static const char *create(rd_kafka_t *rk, rd_kafka_queue_t *queue, char **words, rd_kafka_event_t **event)
{
	int partitions = words[1] != NULL ? atoi(words[1]) : 0;
	rd_kafka_NewTopic_t *topic;
	char reason[256] = "";
	const char *error;

	topic = rd_kafka_NewTopic_new(words[0], partitions, 1, reason, sizeof(reason));
	if (topic == NULL)
		return "number of partitions?";
	error = set_entries(NULL, topic, words + 2);
	if (error == NULL) {
		rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
		error = answer(queue, event);
	}
	rd_kafka_NewTopic_destroy(topic);
	return error != NULL ? error : wait_leaders(rk, queue, words[0], partitions);
}

static const char *delete (rd_kafka_t *rk, rd_kafka_queue_t *queue, char **words, rd_kafka_event_t **event)
{
	rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(words[0]);
	const char *error;

	rd_kafka_DeleteTopics(rk, &topic, 1, NULL, queue);
	error = answer(queue, event);
	rd_kafka_DeleteTopic_destroy(topic);
	return error != NULL ? error : wait_leaders(rk, queue, words[0], 0);
}

static const char *alter(rd_kafka_t *rk, rd_kafka_queue_t *queue, char **words, rd_kafka_event_t **event)
{
	rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, words[0]);
	const char *error = set_entries(resource, NULL, words + 1);

	if (error == NULL) {
		rd_kafka_AlterConfigs(rk, &resource, 1, NULL, queue);
		error = answer(queue, event);
	}
	rd_kafka_ConfigResource_destroy(resource);
	return error;
}

static const char *run(rd_kafka_t *rk, rd_kafka_queue_t *queue, char **words, rd_kafka_event_t **event)
{
	if (strcmp(words[0], "create") == 0)
		return create(rk, queue, words + 1, event);
	if (strcmp(words[0], "delete") == 0)
		return delete (rk, queue, words + 1, event);
	if (strcmp(words[0], "alter") == 0)
		return alter(rk, queue, words + 1, event);
	return "what to do?";
}

int main(int argc, char **argv)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_event_t *event = NULL;
	rd_kafka_queue_t *queue;
	char reason[256] = "";
	const char *error;
	rd_kafka_t *rk;

	if (argc < 4 || rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], reason, sizeof(reason)) !=
	                    RD_KAFKA_CONF_OK) {
		fprintf(stderr, "usage: kafka_admin BROKERS create|delete|alter TOPIC ... %s\n", reason);
		rd_kafka_conf_destroy(conf);
		return EXIT_FAILURE;
	}
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	if (rk == NULL) {
		fprintf(stderr, "kafka_admin: %s\n", reason);
		rd_kafka_conf_destroy(conf);
		return EXIT_FAILURE;
	}
	queue = rd_kafka_queue_new(rk);
	error = run(rk, queue, argv + 2, &event);
	if (error != NULL)
		fprintf(stderr, "kafka_admin: %s %s: %s\n", argv[2], argv[3], error);
	rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(rk);
	return error == NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}
