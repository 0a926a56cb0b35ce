/* SPDX-License-Identifier: BSD-3-Clause */
#include "log.h"

#include "clock.h"
#include "timestamp.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const names[] = {
	    [LOG_ERROR] = "error: ", [LOG_WARNING] = "warning: ", [LOG_INFO] = ""};
	static const char priorities[] = {[LOG_ERROR] = '3', [LOG_WARNING] = '4', [LOG_INFO] = '6'};
	char text[1024], time[TIMESTAMP_TEXT_BYTES + 1] = "";
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (getenv("JOURNAL_STREAM") != NULL) {
		(void)fprintf(stderr, "<%c>penstockd: %s%s\n", priorities[level], names[level], text);
		return;
	}
	(void)timestamp_write(clock_wall_ms(&system_clock), time);
	(void)fprintf(stderr, "%s penstockd: %s%s\n", time, names[level], text);
}
