/* SPDX-License-Identifier: BSD-3-Clause */
#include "eal.h"

#include "pci_address.h"

#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXED_ARGS 16
#define MAX_ARGS (FIXED_ARGS + 2 * CONFIG_MAX_SOURCES)
#define MAX_LCORES_TEXT 4096u

uint64_t eal_free_hugepage_bytes(void)
{
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	unsigned long long pages = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%llu", &pages) != 1)
		pages = 0;
	(void)fclose(file);
	return pages << 21;
}

/* An lcore id that no worker has. */
static unsigned int main_lcore(const struct config *config)
{
	unsigned int id = RTE_MAX_LCORE - 1;

	for (size_t i = 0; i < config->dataplane.n_lcores; i++)
		if (config->dataplane.lcores[i].id == id) {
			id--;
			i = (size_t)-1;
		}
	return id;
}

/* "1@1,2@1,127@(0,3)": the workers' lcores, and the main lcore on the CPUs that no worker has. */
static int write_lcores(
    const struct config *config, unsigned int main_id, char *text, size_t size, struct error *err)
{
	cpu_set_t allowed, rest;
	size_t used = 0;
	bool first = true;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return error_set(err, -errno, "sched_getaffinity: %s", strerror(errno));
	rest = allowed;
	for (size_t i = 0; i < config->dataplane.n_lcores; i++) {
		const struct config_lcore *lcore = &config->dataplane.lcores[i];

		if (lcore->cpu >= CPU_SETSIZE || !CPU_ISSET(lcore->cpu, &allowed))
			return error_set(
			    err, -EINVAL, "dataplane.lcores: this machine has no CPU %u for us", lcore->cpu);
		CPU_CLR(lcore->cpu, &rest);
		used += (size_t)snprintf(text + used, size - used, "%u@%u,", lcore->id, lcore->cpu);
	}
	if (CPU_COUNT(&rest) == 0)
		rest = allowed;
	used += (size_t)snprintf(text + used, size - used, "%u@(", main_id);
	for (unsigned int cpu = 0; cpu < CPU_SETSIZE && used + 16 < size; cpu++)
		if (CPU_ISSET(cpu, &rest)) {
			used += (size_t)snprintf(text + used, size - used, "%s%u", first ? "" : ",", cpu);
			first = false;
		}
	(void)snprintf(text + used, size - used, ")");
	return 0;
}

/* Only the PCI devices that a source names are touched: the host's other ports are none of our business. They must
 * be known now, because the driver that holds them decides which addresses go to devices. */
static int add_pci_devices(const struct config *config, char **argv)
{
	char address[PCI_ADDRESS_BYTES];
	int argc = 0;

	for (size_t i = 0; i < config->n_sources && i < CONFIG_MAX_SOURCES; i++)
		if (config->sources[i].type == SOURCE_ETHDEV &&
		    pci_address(config->sources[i].device, address)) {
			argv[argc++] = (char *)"-a";
			argv[argc++] = config->sources[i].device;
		}
	if (argc == 0)
		argv[argc++] = (char *)"--no-pci";
	return argc;
}

int eal_start(const struct config *config, bool *huge, struct error *err)
{
	uint64_t need = (uint64_t)config->dataplane.memory_mb << 20;
	unsigned int main_id = main_lcore(config);
	char lcores[MAX_LCORES_TEXT], memory[16], prefix[32], main_text[16];
	char *argv[MAX_ARGS];
	int argc = 0, ret;

	if (config->dataplane.hugepages == HUGEPAGES_REQUIRED && eal_free_hugepage_bytes() < need)
		return error_set(err, -ENOMEM,
		    "dataplane.hugepages is \"required\": %u MB wanted, %llu MB of 2 MB hugepages are free "
		    "(raise vm.nr_hugepages)",
		    config->dataplane.memory_mb, (unsigned long long)(eal_free_hugepage_bytes() >> 20));
	*huge = config->dataplane.hugepages == HUGEPAGES_REQUIRED ||
	        (config->dataplane.hugepages == HUGEPAGES_AUTO && *huge && eal_free_hugepage_bytes() >= need);
	ret = write_lcores(config, main_id, lcores, sizeof(lcores), err);
	if (ret != 0)
		return ret;
	(void)snprintf(memory, sizeof(memory), "%u", config->dataplane.memory_mb);
	(void)snprintf(prefix, sizeof(prefix), "penstock-%d", (int)getpid());
	(void)snprintf(main_text, sizeof(main_text), "%u", main_id);
	argv[argc++] = (char[]){"penstockd"};
	argv[argc++] = *huge ? (char[]){"--in-memory"} : (char[]){"--no-huge"};
	argv[argc++] = (char[]){"-m"};
	argv[argc++] = memory;
	argc += add_pci_devices(config, argv + argc); /* other ports are probed one by one, by name */
	argv[argc++] = (char[]){"--file-prefix"};
	argv[argc++] = prefix;
	argv[argc++] = (char[]){"--no-telemetry"};
	argv[argc++] = (char[]){"--log-level=warning"};
	argv[argc++] = (char[]){"--lcores"};
	argv[argc++] = lcores;
	argv[argc++] = (char[]){"--main-lcore"};
	argv[argc++] = main_text;
	argv[argc] = NULL;
	if (rte_eal_init(argc, argv) < 0)
		return error_set(err,
		    *huge && config->dataplane.hugepages == HUGEPAGES_AUTO && rte_errno == ENOMEM
		        ? -ERESTART
		        : -rte_errno,
		    "DPDK's EAL did not start (%s); its own lines above say why", rte_strerror(rte_errno));
	return 0;
}
