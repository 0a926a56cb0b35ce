/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_text.h"

#include "config.h"
#include "config_scalar.h"
#include "config_section.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define MAX_LCORE_ID 127u /* DPDK's RTE_MAX_LCORE - 1 */
#define MAX_CPU 1023u

static bool only(const char *text, const char *more, size_t max)
{
	size_t n = 0;

	for (; text[n] != '\0'; n++) {
		if (!isalnum((unsigned char)text[n]) && strchr(more, text[n]) == NULL)
			return false;
	}
	return n > 0 && n <= max;
}

static bool has_control(const char *text)
{
	for (; *text != '\0'; text++) {
		if (iscntrl((unsigned char)*text))
			return true;
	}
	return false;
}

const char *text_refuse_name(const char *text)
{
	return isalnum((unsigned char)text[0]) && only(text, "_-", 63)
	           ? NULL
	           : "a name is 1 to 63 letters, digits, \"_\" and \"-\", and starts with a letter or digit";
}

const char *text_refuse_node(const char *text)
{
	return only(text, "._-", 253) ? NULL
	                              : "a node's name is 1 to 253 letters, digits, \".\", \"_\" and \"-\"";
}

const char *text_refuse_field(const char *text)
{
	return strlen(text) <= 255 ? NULL : "a field's name is at most 255 bytes long";
}

const char *text_refuse_member(const char *text)
{
	static const char *const ours[] = {"processing_timestamp", "snapshot_versions", "_missing"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (strcmp(text, ours[i]) == 0)
			return "that member is written by Penstock itself";
	}
	return strlen(text) <= 64 && strpbrk(text, "\"\\") == NULL && !has_control(text)
	           ? NULL
	           : "a member's name is 1 to 64 bytes without quotes, backslashes and control characters";
}

const char *text_refuse_topic(const char *text)
{
	return only(text, "._-", 249) && strcmp(text, ".") != 0 && strcmp(text, "..") != 0
	           ? NULL
	           : "a topic's name is 1 to 249 letters, digits, \".\", \"_\" and \"-\"";
}

const char *text_refuse_interface(const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (isspace((unsigned char)*p) || iscntrl((unsigned char)*p) || *p == '/' || *p == ',')
			return "an interface's name has no spaces, slashes and commas";
	}
	return strlen(text) <= 15 && strcmp(text, ".") != 0 && strcmp(text, "..") != 0
	           ? NULL
	           : "an interface's name is 1 to 15 bytes long";
}

const char *text_refuse_path(const char *text)
{
	return strlen(text) < PATH_MAX ? NULL : "the path is too long";
}

const char *text_refuse_socket(const char *text)
{
	return strlen(text) < sizeof(((struct sockaddr_un *)NULL)->sun_path)
	           ? NULL
	           : "the path of a Unix socket is at most 107 bytes long";
}

/* Splits host:port or [host]:port. */
static bool split_address(const char *text, size_t len, char *host, size_t host_size, uint16_t *port)
{
	const char *colon = memrchr(text, ':', len);
	char digits[8];
	uint64_t value;
	size_t n;

	if (colon == NULL || (size_t)(text + len - colon) > sizeof(digits))
		return false;
	n = (size_t)(colon - text);
	memcpy(digits, colon + 1, len - n - 1);
	digits[len - n - 1] = '\0';
	if (!scalar_unsigned(digits, &value) || value > UINT16_MAX)
		return false;
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	} else if (memchr(text, ':', n) != NULL) {
		return false;
	}
	if (n == 0 || n >= host_size)
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	*port = (uint16_t)value;
	return true;
}

const char *text_refuse_bootstrap(const char *text)
{
	char host[256];
	uint16_t port;

	if (strcmp(text, "embedded") == 0)
		return NULL;
	for (const char *p = text;; p++) {
		size_t len = strcspn(p, ",");

		if (!split_address(p, len, host, sizeof(host), &port) || port == 0 ||
		    !only(host, ".-_:", 253))
			return "expected \"embedded\" or host:port,host:port";
		p += len;
		if (*p == '\0')
			return NULL;
	}
}

/* An lcore: a number, or "id@cpu". */
static bool parse_lcore(const char *text, struct config_lcore *out)
{
	const char *sign = strchr(text, '@');
	char id[8];
	uint64_t value, cpu;

	if (sign == NULL)
		sign = text + strlen(text);
	if ((size_t)(sign - text) >= sizeof(id))
		return false;
	memcpy(id, text, (size_t)(sign - text));
	id[sign - text] = '\0';
	if (!scalar_unsigned(id, &value) || value > MAX_LCORE_ID)
		return false;
	cpu = value;
	if (*sign == '@' && (!scalar_unsigned(sign + 1, &cpu) || cpu > MAX_CPU))
		return false;
	*out = (struct config_lcore){.id = (unsigned int)value, .cpu = (unsigned int)cpu};
	return true;
}

int text_read_lcores(struct reader *reader, const struct config_key *key, yaml_node_t *node, void *object)
{
	struct config *config = object;
	char found[128], shown[SCALAR_QUOTE_BYTES];
	size_t n;
	int rc;

	if (node == NULL) {
		config->dataplane.lcores[0] = (struct config_lcore){.id = 1, .cpu = 1};
		config->dataplane.n_lcores = 1;
		return 0;
	}
	if (node->type != YAML_SEQUENCE_NODE)
		return reader_fail(reader, node, "%s: expected a list, found %s", key->name,
		    reader_describe(node, found, sizeof(found)));
	n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	if (n < 1 || n > CONFIG_MAX_LCORES)
		return reader_fail(
		    reader, node, "%s: expected 1 to %d entries, found %zu", key->name, CONFIG_MAX_LCORES, n);
	for (size_t i = 0; i < n; i++) {
		yaml_node_t *item = reader_node(reader, node->data.sequence.items.start[i]);
		struct config_lcore lcore;
		bool quoted, substituted;
		char *text;

		rc = reader_text(reader, item, key->name, false, &text, &quoted, &substituted);
		if (rc < 0)
			return rc;
		if (!parse_lcore(text, &lcore))
			rc = reader_fail(reader, item,
			    "%s: expected a number from 0 to %u or \"lcore@cpu\", found %s", key->name,
			    MAX_LCORE_ID, scalar_quote(text, shown));
		free(text);
		for (size_t j = 0; rc == 0 && j < i; j++) {
			if (config->dataplane.lcores[j].id == lcore.id)
				rc = reader_fail(
				    reader, item, "%s: lcore %u stands there twice", key->name, lcore.id);
		}
		if (rc < 0)
			return rc;
		config->dataplane.lcores[i] = lcore;
		config->dataplane.n_lcores = i + 1;
	}
	return 0;
}

int text_read_properties(struct reader *reader, const struct config_key *key, yaml_node_t *node, void *object)
{
	struct config *config = object;
	char found[128];
	size_t n;

	if (node == NULL)
		return 0;
	if (node->type != YAML_MAPPING_NODE)
		return reader_fail(reader, node, "%s: expected a mapping, found %s", key->name,
		    reader_describe(node, found, sizeof(found)));
	n = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
	if (n > CONFIG_MAX_PROPERTIES)
		return reader_fail(
		    reader, node, "%s: at most %d entries, found %zu", key->name, CONFIG_MAX_PROPERTIES, n);
	for (size_t i = 0; i < n; i++) {
		const yaml_node_pair_t *pair = &node->data.mapping.pairs.start[i];
		yaml_node_t *value = reader_node(reader, pair->value);
		bool quoted, substituted;
		const char *name;
		int rc;

		rc = section_key(reader, node, pair, &name);
		if (rc < 0)
			return rc;
		rc = reader_text(
		    reader, value, name, true, &config->kafka.property_values[i], &quoted, &substituted);
		if (rc < 0)
			return rc;
		config->kafka.n_properties = i + 1;
		config->kafka.property_keys[i] = strdup(name);
		if (config->kafka.property_keys[i] == NULL)
			return error_set(reader->err, -ENOMEM, "%.256s:1:1: out of memory", reader->name);
		rc = reader_remember(reader, &config->kafka.property_keys[i], reader_node(reader, pair->key));
		if (rc == 0)
			rc = reader_remember(reader, &config->kafka.property_values[i], value);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int text_read_http(struct reader *reader, const struct config_key *key, yaml_node_t *node, void *object)
{
	struct config *config = object;
	bool quoted, substituted;
	struct in6_addr v6;
	struct in_addr v4;
	char *text, host[64];
	int rc;

	if (node == NULL)
		return 0;
	rc = reader_text(reader, node, key->name, true, &text, &quoted, &substituted);
	if (rc < 0)
		return rc;
	if (strcmp(text, "off") == 0) {
		free(text);
		return 0;
	}
	if (!split_address(text, strlen(text), host, sizeof(host), &config->control.http_port))
		rc = reader_fail(reader, node,
		    "%s: expected \"off\" or a loopback address and port such as 127.0.0.1:9464", key->name);
	else if (!(inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET) &&
	         !(inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6)))
		rc = reader_fail(reader, node,
		    "%s: \"%s\" is not a loopback address: it must be in 127.0.0.0/8, or [::1]", key->name,
		    host);
	free(text);
	if (rc < 0)
		return rc;
	config->control.http_host = strdup(host);
	return config->control.http_host == NULL
	           ? error_set(reader->err, -ENOMEM, "%.256s:1:1: out of memory", reader->name)
	           : 0;
}
