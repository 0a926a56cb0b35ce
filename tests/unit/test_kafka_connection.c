/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_sink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <openssl/x509.h>

#define STATISTICS(state)                                                                       \
	"{\"name\":\"p\",\"brokers\":{\"a:1/bootstrap\":{\"name\":\"a:1\",\"state\":\"DOWN\"}," \
	"\"b:1/1\":{\"state\":\"" state "\"}},\"topics\":{\"t\":{\"x\":{\"state\":\"UP\"}}}}"

static const char *state(const struct sink_kafka *kafka)
{
	return kafka_connection_name(atomic_load(&kafka->status.connection));
}

static struct sink_kafka *create(void)
{
	struct sink_kafka *kafka = calloc(1, sizeof(*kafka));

	pthread_mutex_init(&kafka->status.mutex, NULL);
	return kafka;
}

static void destroy(struct sink_kafka *kafka)
{
	pthread_mutex_destroy(&kafka->status.mutex);
	free(kafka);
}

static void the_last_failure_is_told_until_a_broker_is_up(void **unused)
{
	struct sink_kafka *kafka = create();

	(void)unused;
	assert_string_equal(state(kafka), "connecting");
	kafka_connection_error(kafka, RD_KAFKA_RESP_ERR__TRANSPORT);
	assert_string_equal(state(kafka), "unreachable");
	kafka_connection_error(kafka, RD_KAFKA_RESP_ERR__SSL);
	assert_string_equal(state(kafka), "tls_failed");
	kafka_connection_error(kafka, RD_KAFKA_RESP_ERR__AUTHENTICATION);
	assert_string_equal(state(kafka), "authentication_failed");
	kafka_connection_error(kafka, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN);
	kafka_connection_error(kafka, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	assert_string_equal(state(kafka), "authentication_failed");
	kafka_connection_statistics(kafka, STATISTICS("TRY_CONNECT"));
	assert_string_equal(state(kafka), "authentication_failed");
	kafka_connection_statistics(kafka, STATISTICS("UP"));
	assert_string_equal(state(kafka), "ok");
	/* One of several brokers. */
	kafka_connection_error(kafka, RD_KAFKA_RESP_ERR__RESOLVE);
	assert_string_equal(state(kafka), "ok");
	kafka_connection_statistics(kafka, STATISTICS("DOWN"));
	assert_string_equal(state(kafka), "unreachable");
	kafka_connection_works(kafka);
	assert_string_equal(state(kafka), "ok");
	kafka_connection_statistics(kafka, "{}");
	assert_string_equal(state(kafka), "ok");
	destroy(kafka);
}

static void a_certificate_is_told_once(void **unused)
{
	int verdict = X509_V_ERR_CERT_HAS_EXPIRED, fine = X509_V_OK;
	struct sink_kafka *kafka = create();
	char reason[64] = "";

	(void)unused;
	assert_int_equal(
	    kafka_connection_certificate(NULL, "b", 1, &fine, 0, "", 0, reason, sizeof(reason), kafka), 1);
	assert_null(kafka_connection_cause(kafka, RD_KAFKA_RESP_ERR__SSL));
	assert_int_equal(
	    kafka_connection_certificate(NULL, "b", 1, &verdict, 0, "", 0, reason, sizeof(reason), kafka), 0);
	assert_string_equal(reason, "certificate has expired");
	assert_null(kafka_connection_cause(kafka, RD_KAFKA_RESP_ERR__TRANSPORT));
	assert_string_equal(kafka_connection_cause(kafka, RD_KAFKA_RESP_ERR__SSL), "certificate has expired");
	assert_null(kafka_connection_cause(kafka, RD_KAFKA_RESP_ERR__SSL));
	destroy(kafka);
}

static void scram_of_an_old_library_is_named(void **unused)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	struct sink_kafka *kafka = create();

	(void)unused;
	kafka->old_scram = kafka_connection_old_scram(conf);
	assert_false(kafka->old_scram);
	assert_null(kafka_connection_cause(kafka, RD_KAFKA_RESP_ERR__AUTHENTICATION));
	rd_kafka_conf_set(conf, "sasl.mechanism", "SCRAM-SHA-512", NULL, 0);
	kafka->old_scram = kafka_connection_old_scram(conf);
	assert_int_equal(kafka->old_scram, rd_kafka_version() < 0x020601ff);
	assert_int_equal(
	    kafka_connection_cause(kafka, RD_KAFKA_RESP_ERR__AUTHENTICATION) != NULL, kafka->old_scram);
	rd_kafka_conf_destroy(conf);
	destroy(kafka);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_last_failure_is_told_until_a_broker_is_up),
	    cmocka_unit_test(a_certificate_is_told_once),
	    cmocka_unit_test(scram_of_an_old_library_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
