/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints its socket, then serves until it is drained or its standard input is closed. */
#include "fake_daemon.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void *watch_input(void *context)
{
	struct fake_daemon *fake = context;
	uint64_t one = 1;
	char byte;

	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return write(fake->stop_fd, &one, sizeof(one)) == sizeof(one) ? context : NULL;
}

int main(void)
{
	struct fake_daemon fake;
	pthread_t watcher;

	fake_daemon_start(&fake, true, false);
	if (pthread_create(&watcher, NULL, watch_input, &fake) != 0)
		return 1;
	(void)printf("%s %u\n", fake.socket, control_server_http_port(fake.server));
	(void)fflush(stdout);
	fake_daemon_loop(&fake);
	(void)pthread_cancel(watcher);
	(void)pthread_join(watcher, NULL);
	fake_daemon_stop(&fake);
	return 0;
}
