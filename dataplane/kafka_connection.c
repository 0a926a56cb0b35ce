/* SPDX-License-Identifier: BSD-3-Clause */
#include "kafka_sink.h"

#include <openssl/x509.h>
#include <string.h>

/* From this version on librdkafka says its nonce once, as RFC 5802 wants it and Kafka 4 checks. */
#define SCRAM_MENDED 0x020601ff

const char *kafka_connection_name(enum kafka_connection connection)
{
	static const char *const names[] = {
	    [KAFKA_CONNECTING] = "connecting",
	    [KAFKA_CONNECTED] = "ok",
	    [KAFKA_UNREACHABLE] = "unreachable",
	    [KAFKA_TLS_FAILED] = "tls_failed",
	    [KAFKA_AUTHENTICATION_FAILED] = "authentication_failed",
	};

	return names[connection];
}

static void publish(struct sink_kafka *kafka)
{
	enum kafka_connection state = kafka->connected ? KAFKA_CONNECTED : kafka->trouble;

	atomic_store_explicit(&kafka->status.connection, state, memory_order_relaxed);
}

void kafka_connection_error(struct sink_kafka *kafka, rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
	case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
		kafka->trouble = KAFKA_AUTHENTICATION_FAILED;
		break;
	case RD_KAFKA_RESP_ERR__SSL:
		kafka->trouble = KAFKA_TLS_FAILED;
		break;
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__RESOLVE:
		kafka->trouble = KAFKA_UNREACHABLE;
		break;
	default: /* also __ALL_BROKERS_DOWN, which says no more than the errors before it */
		return;
	}
	publish(kafka);
}

void kafka_connection_works(struct sink_kafka *kafka)
{
	kafka->connected = true;
	publish(kafka);
}

/* librdkafka repeats an error only after half a minute and says nothing when a connection works again, so the
 * states are taken from its statistics, where the brokers stand before the topics. */
void kafka_connection_statistics(struct sink_kafka *kafka, const char *json)
{
	static const char up[] = "\"state\":\"UP\"";
	const char *brokers = strstr(json, "\"brokers\":"), *topics, *found;

	if (brokers == NULL)
		return;
	topics = strstr(brokers, "\"topics\":");
	found = strstr(brokers, up);
	kafka->connected = found != NULL && (topics == NULL || found < topics);
	if (kafka->connected && kafka->n_outstanding == 0)
		kafka->failing = false;
	publish(kafka);
}

/* OpenSSL's verdict stands; only what it is gets remembered, which librdkafka's own message does not say.
 * librdkafka's threads. */
int kafka_connection_certificate(rd_kafka_t *rk, const char *broker, int32_t id, int *verdict, int depth,
    const char *der, size_t len, char *reason, size_t reason_size, void *opaque)
{
	struct sink_kafka *kafka = opaque;

	(void)rk, (void)broker, (void)id, (void)depth, (void)der, (void)len;
	if (*verdict == X509_V_OK)
		return 1;
	(void)snprintf(reason, reason_size, "%s", X509_verify_cert_error_string(*verdict));
	pthread_mutex_lock(&kafka->status.mutex);
	kafka->status.certificate = *verdict;
	pthread_mutex_unlock(&kafka->status.mutex);
	return 0;
}

bool kafka_connection_old_scram(const rd_kafka_conf_t *conf)
{
	char mechanism[64] = "";
	size_t size = sizeof(mechanism);

	return rd_kafka_version() < SCRAM_MENDED &&
	       rd_kafka_conf_get(conf, "sasl.mechanism", mechanism, &size) == RD_KAFKA_CONF_OK &&
	       strncmp(mechanism, "SCRAM-", 6) == 0;
}

static const char *certificate_verdict(struct kafka_status *status)
{
	int verdict;

	pthread_mutex_lock(&status->mutex);
	verdict = status->certificate;
	status->certificate = X509_V_OK;
	pthread_mutex_unlock(&status->mutex);
	return verdict == X509_V_OK ? NULL : X509_verify_cert_error_string(verdict);
}

const char *kafka_connection_cause(struct sink_kafka *kafka, rd_kafka_resp_err_t code)
{
	if (code == RD_KAFKA_RESP_ERR__SSL)
		return certificate_verdict(&kafka->status);
	if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION && kafka->old_scram)
		return "user or password is wrong, or this is Kafka 4, which refuses the SCRAM of librdkafka "
		       "before 2.6.1";
	return NULL;
}
