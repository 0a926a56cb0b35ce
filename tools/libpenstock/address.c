/* SPDX-License-Identifier: BSD-3-Clause */
#include "libpenstock/address.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_BYTES 256

/* Splits "host:port" and "[v6]:port". */
static int split(const char *text, char host[HOST_BYTES], const char **port, struct error *err)
{
	const char *colon = strrchr(text, ':'), *start = text;
	size_t len;

	if (colon == NULL || colon == text || colon[1] == '\0')
		return error_set(err, -EINVAL, "\"%s\" is not host:port", text);
	len = (size_t)(colon - text);
	if (text[0] == '[' && text[len - 1] == ']') {
		start++;
		len -= 2;
	} else if (memchr(text, ':', len) != NULL) {
		return error_set(
		    err, -EINVAL, "\"%s\": an IPv6 address stands in brackets, [::1]:9000", text);
	}
	if (len == 0 || len >= HOST_BYTES)
		return error_set(err, -EINVAL, "\"%s\": the host's name is empty or too long", text);
	memcpy(host, start, len);
	host[len] = '\0';
	*port = colon + 1;
	if (strspn(*port, "0123456789") != strlen(*port) || strlen(*port) > 5 || atoi(*port) < 1 ||
	    atoi(*port) > UINT16_MAX)
		return error_set(err, -EINVAL, "\"%s\": the port is not a number from 1 to 65535", text);
	return 0;
}

static void print(struct address *address)
{
	char host[ADDRESS_TEXT_BYTES - 8], port[8];

	if (getnameinfo((const struct sockaddr *)&address->to, address->len, host, sizeof(host), port,
	        sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		(void)snprintf(address->text, sizeof(address->text), "?");
		return;
	}
	if (address->to.ss_family == AF_INET6)
		(void)snprintf(address->text, sizeof(address->text), "[%.60s]:%s", host, port);
	else
		(void)snprintf(address->text, sizeof(address->text), "%s:%s", host, port);
}

static int add(const struct addrinfo *found, struct address *list, size_t *n, size_t max)
{
	struct address address = {.len = found->ai_addrlen};

	memcpy(&address.to, found->ai_addr, found->ai_addrlen);
	print(&address);
	for (size_t i = 0; i < *n; i++)
		if (strcmp(list[i].text, address.text) == 0)
			return 0;
	if (*n == max)
		return -E2BIG;
	list[(*n)++] = address;
	return 0;
}

int address_resolve(const char *text, struct address *list, size_t *n, size_t max, struct error *err)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM}, *found;
	char host[HOST_BYTES];
	const char *port = NULL;
	int ret = split(text, host, &port, err);

	if (ret != 0)
		return ret;
	ret = getaddrinfo(host, port, &hints, &found);
	if (ret != 0)
		return error_set(err, -EHOSTUNREACH, "%s: %s", host, gai_strerror(ret));
	for (const struct addrinfo *info = found; info != NULL && ret == 0; info = info->ai_next)
		ret = add(info, list, n, max);
	freeaddrinfo(found);
	return ret == 0 ? 0 : error_set(err, ret, "more than %zu addresses", max);
}
