/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_conf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static int with_property(const char *name, const char *value, rd_kafka_conf_t **conf, struct error *err)
{
	struct config_stream stream = {.name = (char *)"shop", .max_event_bytes = 65536};
	struct config config = {.node = (char *)"n1", .streams = &stream, .n_streams = 1};

	if (name != NULL) {
		config.kafka.property_keys[0] = (char *)(uintptr_t)name;
		config.kafka.property_values[0] = (char *)(uintptr_t)value;
		config.kafka.n_properties = 1;
	}
	return kafka_conf_create(&config, conf, err);
}

static void expect(const rd_kafka_conf_t *conf, const char *name, const char *expected)
{
	char value[128];
	size_t size = sizeof(value);

	assert_int_equal(rd_kafka_conf_get(conf, name, value, &size), RD_KAFKA_CONF_OK);
	assert_string_equal(value, expected);
}

static void defaults_keep_the_guarantees(void **state)
{
	rd_kafka_conf_t *conf;
	struct error err;

	(void)state;
	assert_int_equal(with_property(NULL, NULL, &conf, &err), 0);
	expect(conf, "enable.idempotence", "true");
	expect(conf, "acks", "-1");
	expect(conf, "message.timeout.ms", "0");
	expect(conf, "partitioner", "murmur2_random");
	expect(conf, "client.id", "penstock-n1");
	assert_int_equal(kafka_conf_number(conf, "message.max.bytes", 1), 1000000);
	assert_int_equal(kafka_conf_number(conf, "no such thing", 7), 7);
	rd_kafka_conf_destroy(conf);
}

static void users_override(void **state)
{
	static const char *const given[][3] = {
	    {"compression.type", "lz4", "lz4"},
	    {"linger.ms", "20", "20"},
	    {"message.timeout.ms", "60000", "60000"},
	    {"client.id", "mine", "mine"},
	    {"acks", "all", "-1"},
	    {"enable.idempotence", "1", "true"},
	    {"partitioner", "murmur2", "murmur2"},
	};
	rd_kafka_conf_t *conf;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		assert_int_equal(with_property(given[i][0], given[i][1], &conf, &err), 0);
		expect(conf, given[i][0], given[i][2]);
		rd_kafka_conf_destroy(conf);
	}
}

static void what_breaks_the_ledger_is_refused(void **state)
{
	static const char *const refused[][3] = {
	    {"enable.idempotence", "false", "writes an event twice"},
	    {"acks", "1", "in-sync replicas"},
	    {"request.required.acks", "0", "in-sync replicas"},
	    {"delivery.report.only.error", "true", "delivery is counted"},
	    {"bootstrap.servers", "x:1", "sinks.kafka.bootstrap"},
	    {"metadata.broker.list", "x:1", "sinks.kafka.bootstrap"},
	    {"partitioner", "random", "Java client"},
	    {"transactional.id", "t", "transactions"},
	    {"test.mock.num.brokers", "3", "embedded"},
	    {"message.max.bytes", "20000", "max_event_bytes is 65536"},
	    {"no.such.property", "1", "No such configuration property"},
	    {"linger.ms", "soon", "Invalid value"},
	    {"dr_msg_cb", "x", "dr_msg_cb"},
	};
	rd_kafka_conf_t *conf;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_equal(with_property(refused[i][0], refused[i][1], &conf, &err), -EINVAL);
		assert_null(conf);
		assert_non_null(strstr(err.text, refused[i][0]));
		assert_non_null(strstr(err.text, refused[i][2]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_keep_the_guarantees),
	    cmocka_unit_test(users_override),
	    cmocka_unit_test(what_breaks_the_ledger_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
