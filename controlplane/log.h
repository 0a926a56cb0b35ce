/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's log: one line per message on standard error, with the time, or with a systemd priority when
 * the journal reads it. Only the daemon logs; library code returns errors. Any thread except workers.
 */
#ifndef PENSTOCK_LOG_H
#define PENSTOCK_LOG_H

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO };

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
