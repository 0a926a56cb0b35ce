/* SPDX-License-Identifier: BSD-3-Clause */
#include "control_fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

int control_start(void **state)
{
	struct fake_daemon *fake = malloc(sizeof(*fake));

	if (fake == NULL)
		return -1;
	fake_daemon_start(fake, true, true);
	*state = fake;
	return 0;
}

int control_stop(void **state)
{
	fake_daemon_stop(*state);
	free(*state);
	return 0;
}

int control_connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

int control_connect_tcp(uint16_t port)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

void control_send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* the server may have closed on us: that is an answer */
		text += n;
		len -= (size_t)n;
	}
}

size_t control_receive(int fd, char *out, size_t size)
{
	size_t len = 0;

	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&poll_fd, 1, CONTROL_DEADLINE_MS) != 1)
			fail_msg("no answer within the deadline");
		n = recv(fd, out + len, size - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
		if (len == size - 1)
			break;
	}
	out[len] = '\0';
	return len;
}

int control_finish(int fd, char *answer, size_t size)
{
	int status = 0;

	(void)control_receive(fd, answer, size);
	(void)close(fd);
	(void)sscanf(answer, "HTTP/1.%*d %d", &status);
	return status;
}

int control_ask(int fd, const char *request, char *answer, size_t size)
{
	control_send_all(fd, request, strlen(request));
	(void)shutdown(fd, SHUT_WR);
	return control_finish(fd, answer, size);
}
