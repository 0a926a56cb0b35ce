/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints its socket, then serves until it is drained or its standard input is closed. */
#include "fake_daemon.h"

#include <stdio.h>
#include <unistd.h>

int main(void)
{
	struct fake_daemon fake;

	fake_daemon_start(&fake, true, false);
	/* The end of the input stops the loop. */
	if (dup2(STDIN_FILENO, fake.stop_fd) < 0)
		return 1;
	(void)printf("%s %u\n", fake.socket, control_server_http_port(fake.server));
	(void)fflush(stdout);
	fake_daemon_loop(&fake);
	fake_daemon_stop(&fake);
	return 0;
}
