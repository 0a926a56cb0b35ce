/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sender's key in a file: one line "ID:HEX", the number of the key and its 16 to 64 bytes in hexadecimal digits. Lines
 * that are blank or begin with # are skipped. `penstock source add` writes such a line, senders read it. One thread.
 */
#ifndef PENSTOCK_KEY_FILE_H
#define PENSTOCK_KEY_FILE_H

#include "error.h"
#include "wire.h"

struct key_file {
	uint32_t id;
	uint32_t len;
	uint8_t bytes[WIRE_KEY_MAX_BYTES];
};

/* 0; -errno of opening the file; -EINVAL where it does not hold exactly one key, or anybody may read it. */
int key_file_read(const char *path, struct key_file *key, struct error *err);

#endif
