/* SPDX-License-Identifier: BSD-3-Clause */
#include "pci_address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* 1 to `digits` hexadecimal digits, at most `max`. */
static bool number(const char **at, size_t digits, unsigned long max, unsigned long *out)
{
	size_t len = strspn(*at, "0123456789abcdefABCDEF");

	if (len == 0 || len > digits)
		return false;
	*out = strtoul(*at, NULL, 16);
	*at += len;
	return *out <= max;
}

static bool separator(const char **at, char c)
{
	return *(*at)++ == c;
}

bool pci_address(const char *device, char out[PCI_ADDRESS_BYTES])
{
	const char *at = strncmp(device, "pci:", 4) == 0 ? device + 4 : device, *colon = strchr(at, ':');
	bool has_domain = colon != NULL && memchr(colon + 1, ':', strcspn(colon + 1, ",")) != NULL;
	unsigned long domain = 0, bus, slot, function;

	if (has_domain && !(number(&at, 4, 0xffff, &domain) && separator(&at, ':')))
		return false;
	if (!number(&at, 2, 0xff, &bus) || !separator(&at, ':') || !number(&at, 2, 0x1f, &slot) ||
	    !separator(&at, '.') || !number(&at, 1, 7, &function) || (*at != '\0' && *at != ','))
		return false;
	(void)snprintf(out, PCI_ADDRESS_BYTES, "%04x:%02x:%02x.%x", (unsigned int)(domain & 0xffff),
	    (unsigned int)(bus & 0xff), (unsigned int)(slot & 0x1f), (unsigned int)(function & 7));
	return true;
}

int pci_driver(const char *address, char *out, size_t size)
{
	char path[64], target[256];
	const char *name;
	ssize_t len;

	if ((size_t)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address) >= sizeof(path) ||
	    access(path, F_OK) != 0)
		return -ENODEV;
	(void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.13s/driver", address);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -ENOENT;
	target[len] = '\0';
	name = strrchr(target, '/');
	(void)snprintf(out, size, "%s", name != NULL ? name + 1 : target);
	return 0;
}
