/* SPDX-License-Identifier: BSD-3-Clause */
/* 100,000 changed requests and noise: each is answered, refused with a reason, or not whole. */
#include "control_fixture.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

/* xorshift64*: the same mutations on every run. */
static uint32_t draw(uint64_t *seed, size_t below)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (uint32_t)(((*seed * 0x2545f4914f6cdd1dull) >> 33) % below);
}

static size_t mutate(uint64_t *seed, char *text, size_t len, size_t room)
{
	for (uint32_t k = draw(seed, 4); k > 0 && len > 1; k--) {
		size_t at = draw(seed, len), n = 1 + draw(seed, 16);

		if (n > len - at)
			n = len - at;
		switch (draw(seed, 4)) {
		case 0:
			text[at] = (char)draw(seed, 256);
			break;
		case 1:
			memmove(text + at, text + at + n, len - at - n);
			len -= n;
			break;
		case 2:
			if (len + n <= room) {
				memmove(text + at + n, text + at, len - at);
				len += n;
			}
			break;
		default:
			text[at] = "\r\n :/%0?{\"\t\\"[draw(seed, 13)];
		}
	}
	return len;
}

#define WAVE 32u /* clients at once */
#define SILENCE_MS \
	5 /* who has no answer by then has sent no whole request, or waits for another one's change */

/* What became of a request. */
enum outcome { ACCEPTED, REFUSED, UNANSWERED, LEFT, OUTCOMES };

struct client {
	int fd; /* -1: not waited for */
	bool done;
	size_t len;
	char answer[1 << 15];
};

/* The answer after "100 Continue", if that was said. */
static const char *final_answer(const struct client *client)
{
	const char *end = strstr(client->answer, "\r\n\r\n");

	return strncmp(client->answer, "HTTP/1.1 100 ", 13) == 0 && end != NULL ? end + 4 : client->answer;
}

/* Whether the (first) answer is there to its last byte. */
static bool is_whole(const struct client *client)
{
	const char *answer = final_answer(client), *body = strstr(answer, "\r\n\r\n");
	const char *length = strstr(answer, "Content-Length: ");

	if (body == NULL || length == NULL || length > body)
		return false;
	return (size_t)(client->answer + client->len - (body + 4)) >=
	       strtoul(length + strlen("Content-Length: "), NULL, 10);
}

static void read_answer(struct client *client)
{
	ssize_t n =
	    recv(client->fd, client->answer + client->len, sizeof(client->answer) - 1 - client->len, 0);

	client->len += n > 0 ? (size_t)n : 0;
	client->answer[client->len] = '\0';
	client->done = n <= 0 || is_whole(client);
}

/* Reads until all have their answers, or nothing comes any more and no answer is half there. */
static void collect(struct client *clients)
{
	for (;;) {
		struct pollfd fds[WAVE];
		bool half = false, waiting = false;

		for (size_t i = 0; i < WAVE; i++) {
			struct client *client = &clients[i];

			fds[i] = (struct pollfd){.fd = client->done ? -1 : client->fd, .events = POLLIN};
			waiting = waiting || fds[i].fd >= 0;
			half = half || (fds[i].fd >= 0 && *final_answer(client) != '\0');
		}
		if (!waiting)
			return;
		if (poll(fds, WAVE, half ? CONTROL_DEADLINE_MS : SILENCE_MS) == 0) {
			if (half)
				fail_msg("an answer has no end");
			return;
		}
		for (size_t i = 0; i < WAVE; i++)
			if (fds[i].revents != 0)
				read_answer(&clients[i]);
	}
}

/* Every refusal says why. */
static enum outcome judge(const struct client *client)
{
	const char *answer = final_answer(client), *body = strstr(answer, "\r\n\r\n");
	int status = 0;

	if (client->fd < 0)
		return LEFT;
	if (*answer == '\0')
		return UNANSWERED;
	if (sscanf(answer, "HTTP/1.%*d %d", &status) != 1 || body == NULL)
		fail_msg("no answer of HTTP: %s", answer);
	if (status >= 200 && status < 300)
		return ACCEPTED;
	if (status < 400 || body[4] == '\0')
		fail_msg("a refusal without a reason: %s", answer);
	return REFUSED;
}

/* A changed request, or for every eighth as many bytes of noise. */
static size_t make_request(uint64_t *seed, bool noise, char *text, size_t room)
{
	static const char *const requests[] = {
	    "GET /v1/status HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
	    "GET /metrics HTTP/1.0\r\n\r\n",
	    "GET /v1/dimensions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	    "PUT /v1/dimensions/products HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\nsome content",
	    "PUT /v1/dimensions/products HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
	    "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	    "PUT /v1/dimensions/products HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
	    "3\r\n\r\nabc",
	    "POST /v1/dimensions/products/rollback HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	    "GET /v1/dump HTTP/1.1\r\nHost: x\r\n\r\nGET /ready HTTP/1.1\r\nHost: x\r\n\r\n",
	};
	const char *request = requests[draw(seed, sizeof(requests) / sizeof(requests[0]))];
	size_t len = strlen(request);

	memcpy(text, request, len);
	len = mutate(seed, text, len, room);
	for (size_t i = 0; noise && i < len; i++)
		text[i] = (char)draw(seed, 256);
	return len;
}

static void bad_inputs(void **state)
{
	static struct client clients[WAVE];
	struct fake_daemon *fake = *state;
	uint64_t seed = 0x9e3779b97f4a7c15ull;
	unsigned int outcomes[OUTCOMES] = {0}, sum = 0;
	char text[1024];

	_Static_assert(BAD_INPUTS % WAVE == 0, "whole waves");
	for (unsigned int i = 0; i < BAD_INPUTS; i++) {
		struct client *client = &clients[i % WAVE];
		size_t len = make_request(&seed, i % 8 == 7, text, sizeof(text));

		client->fd = i % 4 == 2 ? control_connect_tcp(control_server_http_port(fake->server))
		                        : control_connect_unix(fake->socket);
		client->done = false;
		client->len = 0;
		client->answer[0] = '\0';
		control_send_all(client->fd, text, len);
		if (i % 7 == 0) { /* some clients do not wait for an answer */
			(void)close(client->fd);
			client->fd = -1;
		}
		if (i % WAVE != WAVE - 1)
			continue;
		collect(clients);
		for (size_t k = 0; k < WAVE; k++) {
			outcomes[judge(&clients[k])]++;
			if (clients[k].fd >= 0)
				(void)close(clients[k].fd);
		}
	}
	for (int o = 0; o < OUTCOMES; o++)
		sum += outcomes[o];
	(void)printf("control requests: %u, accepted %u, refused %u, not whole %u, not waited for %u\n",
	    BAD_INPUTS, outcomes[ACCEPTED], outcomes[REFUSED], outcomes[UNANSWERED], outcomes[LEFT]);
	assert_int_equal(sum, BAD_INPUTS);
	assert_true(outcomes[ACCEPTED] > 1000 && outcomes[REFUSED] > 1000);
	assert_int_equal(control_ask(control_connect_unix(fake->socket),
	                     "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", text, sizeof(text)),
	    200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(bad_inputs, control_start, control_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
