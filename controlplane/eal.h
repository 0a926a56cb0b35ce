/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's environment, started from our configuration. Control thread, once per process. */
#ifndef PENSTOCK_EAL_H
#define PENSTOCK_EAL_H

#include "config.h"
#include "error.h"

/* Starts the EAL with one lcore per configured worker, pinned as configured, and the calling thread as main
 * lcore on the CPUs that are left (on all of them if none is). Takes memory from hugepages as the
 * configuration says; with "auto" also only if *huge is set. *huge tells whether it did. 0, or -errno with the
 * reason; -ERESTART: with "auto", there were enough hugepages and somebody else took them meanwhile, and as the EAL
 * cannot be started twice, the process must be, without *huge. */
int eal_start(const struct config *config, bool *huge, struct error *err);

/* Free 2 MB hugepages of this machine. */
uint64_t eal_free_hugepage_bytes(void);

#endif
