/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What Kafka transactions would cost: produces records to a broker as the Kafka sink does, either with delivery reports
 * as the acknowledgements, or in transactions that are committed every COMMIT_MS and acknowledge with the commit.
 *
 *     commit BROKERS TOPIC RECORDS RATE COMMIT_MS
 *
 * RATE: records per second, and latencies are then counted from when a record was due, so that what waits while a
 * commit blocks counts too; 0: as fast as WINDOW records without acknowledgement allow. COMMIT_MS 0: no transactions.
 * TOPIC has PARTITIONS partitions. Prints one line of JSON. One thread beside librdkafka's own, as in the daemon.
 * perf/commit.py drives it with a real broker.
 */
#include "clock.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define RECORD_BYTES 620u
#define PARTITIONS 4u
#define TEMPLATES 1024u /* further apart than lz4 looks back, also within a partition */
#define WINDOW 50000u   /* records without acknowledgement */
#define BURST 64u
#define WARM_UP 1000u /* records before the clock starts: connections, topics, the producer's id */
#define CALL_MS 30000
#define RUN_MAX_NS 60000000000ull
#define ID_AT 7u /* in a record, behind {"id":" */

struct run {
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	uint32_t records, rate, commit_ms; /* the arguments */
	uint32_t produced, acknowledged, failed;
	uint64_t begin_ns, transaction_ns; /* when the open transaction began */
	uint32_t commits;
	uint64_t committing_ns; /* spent in commits */
	uint64_t *due_ns;
	uint32_t *latency_us; /* of each record */
	char templates[TEMPLATES][RECORD_BYTES];
	char error[512];
};

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* JSON of which lz4 leaves about half: members whose names repeat and whose values do not. */
static void make_templates(struct run *run)
{
	static const char tail[] = "\",\"enrichments\":{}}";

	for (uint32_t t = 0; t < TEMPLATES; t++) {
		char *record = run->templates[t];
		size_t end = RECORD_BYTES - (sizeof(tail) - 1);
		size_t at = (size_t)snprintf(record, RECORD_BYTES, "{\"id\":\"%016x", t);

		for (uint32_t member = 0; end - at > 40; member++)
			at += (size_t)snprintf(record + at, end - at, "\",\"member_%02u\":\"%016llx", member,
			    (unsigned long long)mix(t * 64ull + member));
		memset(record + at, '.', end - at);
		memcpy(record + end, tail, sizeof(tail) - 1);
	}
}

static void fail(struct run *run, const char *what, const char *why)
{
	run->failed++;
	if (run->error[0] == '\0')
		(void)snprintf(run->error, sizeof(run->error), "%s: %s", what, why);
}

static bool fail_on(struct run *run, const char *what, rd_kafka_error_t *error)
{
	if (error == NULL)
		return false;
	fail(run, what, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return true;
}

static uint64_t now_ns(void)
{
	return clock_mono_ns(&system_clock);
}

static void acknowledge(struct run *run, uint32_t i, uint64_t at_ns)
{
	run->latency_us[i] = (uint32_t)((at_ns - run->due_ns[i]) / 1000);
	run->acknowledged++;
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct run *run = opaque;

	(void)rk;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail(run, "delivery", rd_kafka_message_errstr(message));
	else if (run->commit_ms == 0)
		acknowledge(run, (uint32_t)(uintptr_t)message->_private, now_ns());
}

static int open_producer(struct run *run, const char *brokers, const char *topic)
{
	char transactional_id[300], reason[256] = "";
	const char *const settings[][2] = {{"bootstrap.servers", brokers}, {"enable.idempotence", "true"},
	    {"acks", "all"}, {"linger.ms", "5"}, {"compression.codec", "lz4"},
	    {"queue.buffering.max.messages", "1000000"}, {"transactional.id", transactional_id}};
	size_t n = sizeof(settings) / sizeof(settings[0]) - (run->commit_ms == 0);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	(void)snprintf(transactional_id, sizeof(transactional_id), "commit-%s", topic);
	for (size_t i = 0; i < n; i++) {
		if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], reason, sizeof(reason)) !=
		    RD_KAFKA_CONF_OK)
			goto err;
	}
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	rd_kafka_conf_set_opaque(conf, run);
	run->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	if (run->rk == NULL)
		goto err;
	run->topic = rd_kafka_topic_new(run->rk, topic, NULL);
	if (run->topic == NULL) {
		fail(run, topic, rd_kafka_err2str(rd_kafka_last_error()));
		return -1;
	}
	return run->commit_ms != 0 &&
	               fail_on(run, "init_transactions", rd_kafka_init_transactions(run->rk, CALL_MS))
	           ? -1
	           : 0;
err:
	fail(run, "producer", reason);
	rd_kafka_conf_destroy(conf);
	return -1;
}

static void produce(struct run *run, uint64_t at_ns)
{
	uint32_t i = run->produced;
	char *record = run->templates[i % TEMPLATES];

	for (uint32_t digit = 0; digit < 8; digit++)
		record[ID_AT + 8 + digit] = "0123456789abcdef"[i >> (28 - 4 * digit) & 15];
	run->due_ns[i] = at_ns;
	if (rd_kafka_produce(run->topic, (int32_t)(i % PARTITIONS), RD_KAFKA_MSG_F_COPY, record, RECORD_BYTES,
	        NULL, 0, (void *)(uintptr_t)i) != 0)
		fail(run, "produce", rd_kafka_err2str(rd_kafka_last_error()));
	else
		run->produced++;
}

/* Produces what is due; says whether anything was. */
static bool produce_burst(struct run *run, uint64_t at_ns)
{
	uint32_t before = run->produced;

	for (uint32_t n = 0; n < BURST && run->failed == 0 && run->produced < run->records &&
	                     run->produced - run->acknowledged < WINDOW;
	     n++) {
		uint64_t due_ns = at_ns;

		if (run->rate != 0)
			due_ns = run->begin_ns + run->produced * 1000000000ull / run->rate;
		if (due_ns > at_ns)
			break;
		if (run->commit_ms != 0 && run->transaction_ns == 0) {
			if (fail_on(run, "begin_transaction", rd_kafka_begin_transaction(run->rk)))
				break;
			run->transaction_ns = at_ns;
		}
		produce(run, due_ns);
	}
	return run->produced != before;
}

/* Commits when it is time to, or when nothing more can be produced before. */
static void commit(struct run *run, uint64_t at_ns)
{
	uint64_t begin_ns = now_ns();
	bool full = run->produced == run->records || run->produced - run->acknowledged == WINDOW;

	if (run->transaction_ns == 0 || (at_ns - run->transaction_ns < run->commit_ms * 1000000ull && !full))
		return;
	if (fail_on(run, "commit_transaction", rd_kafka_commit_transaction(run->rk, CALL_MS)))
		return;
	run->transaction_ns = 0;
	run->commits++;
	at_ns = now_ns();
	run->committing_ns += at_ns - begin_ns;
	while (run->acknowledged < run->produced)
		acknowledge(run, run->acknowledged, at_ns);
}

/* Until all records are acknowledged. */
static void produce_all(struct run *run, uint32_t records, uint32_t rate)
{
	run->records = records;
	run->rate = rate;
	run->produced = run->acknowledged = run->commits = 0;
	run->committing_ns = 0;
	run->begin_ns = now_ns();
	while (run->acknowledged < records && run->failed == 0) {
		uint64_t at_ns = now_ns();
		bool busy = produce_burst(run, at_ns);

		(void)rd_kafka_poll(run->rk, busy ? 0 : 1);
		commit(run, at_ns);
		if (at_ns - run->begin_ns > RUN_MAX_NS)
			fail(run, "time", "the records are not acknowledged in time");
	}
}

static double cpu_s(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void print(struct run *run, double s, double cpu)
{
	uint32_t n = run->records, middle = n / 2, last_percent = n - 1 - n / 100;

	qsort(run->latency_us, n, sizeof(*run->latency_us), by_value);
	(void)printf(
	    "{\"records_per_s\": %.0f, \"cpu_us_per_record\": %.3f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, "
	    "\"commits\": %u, \"commit_ms\": %.2f, \"seconds\": %.3f}\n",
	    n / s, cpu * 1e6 / n, run->latency_us[middle] / 1e3, run->latency_us[last_percent] / 1e3,
	    run->commits, run->commits != 0 ? (double)run->committing_ns / 1e6 / run->commits : 0, s);
}

int main(int argc, char **argv)
{
	static struct run run;
	uint32_t records = argc == 6 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
	double s, cpu;

	if (records == 0) {
		(void)fprintf(stderr, "usage: commit BROKERS TOPIC RECORDS RATE COMMIT_MS\n");
		return 2;
	}
	run.commit_ms = (uint32_t)strtoul(argv[5], NULL, 10);
	run.due_ns = calloc(records > WARM_UP ? records : WARM_UP, sizeof(*run.due_ns));
	run.latency_us = calloc(records > WARM_UP ? records : WARM_UP, sizeof(*run.latency_us));
	if (run.due_ns == NULL || run.latency_us == NULL) {
		(void)fprintf(stderr, "commit: no memory\n");
		return 1;
	}
	make_templates(&run);
	if (open_producer(&run, argv[1], argv[2]) == 0) {
		produce_all(&run, WARM_UP, 0);
		cpu = cpu_s();
		produce_all(&run, records, (uint32_t)strtoul(argv[4], NULL, 10));
		s = (double)(now_ns() - run.begin_ns) / 1e9;
		if (run.failed == 0)
			print(&run, s, cpu_s() - cpu);
	}
	if (run.failed != 0)
		(void)fprintf(stderr, "commit: %s (%u failures)\n", run.error, run.failed);
	if (run.topic != NULL)
		rd_kafka_topic_destroy(run.topic);
	if (run.rk != NULL)
		rd_kafka_destroy(run.rk);
	free(run.due_ns);
	free(run.latency_us);
	return run.failed != 0;
}
