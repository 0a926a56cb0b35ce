/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine.h"

#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *isa_name(enum json_isa isa)
{
	switch (isa) {
	case JSON_ISA_SCALAR:
		return "scalar";
	case JSON_ISA_SSE42:
		return "SSE4.2";
	case JSON_ISA_AVX2:
		return "AVX2";
	case JSON_ISA_AVX512:
		return "AVX-512";
	}
	return "unknown";
}

/* The first "model name" line of /proc/cpuinfo. */
static void read_cpu(char *to, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	(void)snprintf(to, size, "unknown CPU");
	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		const char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || colon == NULL)
			continue;
		(void)snprintf(to, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
		break;
	}
	(void)fclose(file);
}

void machine_read(struct machine *out)
{
	out->isa = isa_name(json_best_isa());
	out->n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (getloadavg(&out->load, 1) != 1)
		out->load = -1;
	read_cpu(out->cpu, sizeof(out->cpu));
}
