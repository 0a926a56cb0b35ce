/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The secret that identities are hashed with: random, made once, kept beside the identities for nobody but the
 * daemon's user. Without it the identities on disk mean nothing, and nobody can provoke a false duplicate.
 *
 * Control thread, at start.
 */
#ifndef PENSTOCK_IDENTITY_SECRET_H
#define PENSTOCK_IDENTITY_SECRET_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

#define IDENTITY_SECRET_FILE "secret"

/* Reads the secret in the directory (made if it is not there), or makes and saves one (*fresh). A file that is there but not as it was written is refused: a new
 * secret would silently forget what was seen. 0 or -errno. */
int identity_secret_load(const char *directory, uint8_t secret[16], bool *fresh, struct error *err);

/* Names the secret without giving it away. */
uint64_t identity_secret_id(const uint8_t secret[16]);

#endif
