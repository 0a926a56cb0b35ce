/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The XDP program on a network interface: which UDP ports it takes out of the kernel, and what it saw.
 *
 * The program is attached by a bpf_link, so it goes with the process, however that ends. It stays in place
 * for the life of the struct steer; sockets come and go below it, and a queue without a socket gives its
 * frames to the kernel. Control thread; every call is a few system calls.
 */
#ifndef PENSTOCK_STEER_H
#define PENSTOCK_STEER_H

#include "error.h"
#include "steer_shared.h"

#include <stddef.h>
#include <stdint.h>

struct steer;

struct steer_counters {
	uint64_t redirected[STEER_MAX_QUEUES]; /* frames that went to the queue's socket */
	uint64_t passed[STEER_VERDICTS];       /* frames that went to the kernel, by enum steer_verdict */
};

/* The name of a verdict, as in metrics: "not_ip". */
const char *steer_verdict_name(enum steer_verdict verdict);

/* Loads the program, fills in the ports, and attaches it. Errors: -ENODEV no such interface, -ENETDOWN it is
 * not up, -E2BIG its MTU is too large for XDP, -EBUSY another program is attached, -EPERM not privileged. */
int steer_open(
    const char *interface, const uint16_t *udp_ports, size_t n_ports, struct steer **out, struct error *err);

/* "native": in the driver; "generic": the driver has no XDP, the kernel's slower emulation runs it. */
const char *steer_mode(const struct steer *steer);

/* Sums over all CPUs, by two system calls. 0 or -errno. */
int steer_counters(const struct steer *steer, struct steer_counters *out);

/* Detaches. NULL is allowed. */
void steer_close(struct steer *steer);

#endif
