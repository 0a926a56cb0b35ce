/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the segments of the identity log back into the dedup windows. Private to identity_log.c. */
#ifndef PENSTOCK_IDENTITY_RESTORE_H
#define PENSTOCK_IDENTITY_RESTORE_H

#include "identity_log.h"
#include "identity_segments.h"

/* The machine's boot, hashed; zeros where the kernel does not say. */
void identity_boot_id(uint8_t boot[16]);

int identity_restore(struct identity_segments *segments, const struct identity_log_options *options,
    const uint8_t boot[16], struct identity_progress *progress, struct identity_restored *out,
    struct error *err);

#endif
