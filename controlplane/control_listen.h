/* SPDX-License-Identifier: BSD-3-Clause */
/* Listening sockets of the control interface. Control thread. */
#ifndef PENSTOCK_CONTROL_LISTEN_H
#define PENSTOCK_CONTROL_LISTEN_H

#include "error.h"

#include <stdint.h>
#include <sys/types.h>

/* Which file a Unix socket was bound to, so that only that file is removed again. */
struct listen_file {
	dev_t device;
	ino_t inode;
};

/* Listens on a Unix socket of mode 0660. A stale socket file is replaced. Returns the descriptor or -errno.
 */
int listen_unix(const char *path, struct listen_file *file, struct error *err);

/* Removes the socket file if it still is the one that was bound. */
void listen_unlink(const char *path, const struct listen_file *file);

/* Listens on a TCP port of a numeric address; *port 0 becomes the port taken. Returns the descriptor or
 * -errno. */
int listen_tcp(const char *host, uint16_t *port, struct error *err);

/* Makes a directory (not its parents), mode 0755, if it is missing. 0 or -errno. */
int listen_make_directory(const char *path, struct error *err);

#endif
