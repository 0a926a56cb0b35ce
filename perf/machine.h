/* SPDX-License-Identifier: BSD-3-Clause */
/* What a figure was measured on. */
#ifndef PENSTOCK_PERF_MACHINE_H
#define PENSTOCK_PERF_MACHINE_H

struct machine {
	char cpu[128];   /* the kernel's name of the model */
	const char *isa; /* the instruction set that the JSON parser chose */
	double load;     /* load average over the last minute; this program is about 1 of it */
	long n_cpus;
};

void machine_read(struct machine *out);

#endif
