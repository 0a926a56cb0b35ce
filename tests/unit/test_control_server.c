/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_client.h"
#include "fake_daemon.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#define DEADLINE_MS 20000

static int start(void **state)
{
	struct fake_daemon *fake = malloc(sizeof(*fake));

	if (fake == NULL)
		return -1;
	fake_daemon_start(fake, true, true);
	*state = fake;
	return 0;
}

static int stop(void **state)
{
	fake_daemon_stop(*state);
	free(*state);
	return 0;
}

static int connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int connect_tcp(uint16_t port)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* the server may have closed on us: that is an answer */
		text += n;
		len -= (size_t)n;
	}
}

/* What the server says until it closes, or until the answer is complete. */
static size_t receive(int fd, char *out, size_t size)
{
	size_t len = 0;

	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&poll_fd, 1, DEADLINE_MS) != 1)
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

/* One request on a connection that is closed for writing afterwards; returns the HTTP status, 0 if there was
 * none. */
static int ask(int fd, const char *request, char *answer, size_t size)
{
	int status = 0;

	send_all(fd, request, strlen(request));
	(void)shutdown(fd, SHUT_WR);
	(void)receive(fd, answer, size);
	(void)close(fd);
	(void)sscanf(answer, "HTTP/1.%*d %d", &status);
	return status;
}

static void answers(void **state)
{
	static const struct {
		const char *request;
		int status;
		const char *contains;
	} cases[] = {
	    {"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n", 200, "\"received\":1"},
	    {"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n", 200, "\"http\":\"127.0.0.1:"},
	    {"GET /v1/stats HTTP/1.1\r\nHost: x\r\n\r\n", 200,
	        "{\"name\":\"penstock_ready\",\"labels\":{},\"value\":1}"},
	    {"GET /v1/dimensions HTTP/1.1\r\nHost: x\r\n\r\n", 200,
	        "{\"dimensions\":[{\"name\":\"products\""},
	    {"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 200, "{\"status\":\"ok\"}"},
	    {"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n", 200, "{\"ready\":true}"},
	    {"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200,
	        "penstock_events_received_total{stream=\"catalog\"} 1"},
	    {"GET /v1/dump HTTP/1.1\r\nHost: x\r\n\r\n", 200, "application/octet-stream"},
	    {"POST /v1/dimensions/products/rollback HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 200,
	        "\"v6\""},
	    {"POST /v1/dimensions/other/rollback HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 404,
	        "no version"},
	    {"PUT /v1/dimensions/products HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nrows", 200,
	        "\"v8\""},
	    {"PUT /v1/dimensions/products HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
	     "chunked\r\n\r\n4\r\nrows\r\n0\r\n\r\n",
	        200, "\"v8\""},
	    {"PUT /v1/dimensions/products HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nbad", 422,
	        "checksum"},
	    {"PUT /v1/dimensions/other HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", 404,
	        "no dimension"},
	    {"PUT /v1/dimensions/products HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 400,
	        "the body is empty"},
	    {"PUT /v1/dimensions/products HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000000000\r\n\r\n",
	        507, "do not fit"},
	    {"PUT /v1/dimensions/a%2Fb HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", 404,
	        "no such path"},
	    {"PUT /v1/dimensions/.. HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", 404, "no such path"},
	    {"PUT /v1/dimensions/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", 404, "no such path"},
	    {"GET /v1/dimensions/products HTTP/1.1\r\nHost: x\r\n\r\n", 405, "Allow: PUT"},
	    {"POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405, "Allow: GET"},
	    {"GET /v1/drain HTTP/1.1\r\nHost: x\r\n\r\n", 405, "Allow: POST"},
	    {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404, "{\"error\":\"there is no such path\"}"},
	    {"GET /v1/status/ HTTP/1.1\r\nHost: x\r\n\r\n", 404, "no such path"},
	    {"GET /v1/status%00 HTTP/1.1\r\nHost: x\r\n\r\n", 404, "no such path"},
	    {"GET /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 413, "takes no body"},
	    {"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n", 200, "application/json"},
	    {"GET /v1/status HTTP/1.1\r\n\r\n", 400, ""},
	    {"rubbish\r\n\r\n", 0, ""},
	};
	struct fake_daemon *fake = *state;
	static char answer[1 << 16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = ask(connect_unix(fake->socket), cases[i].request, answer, sizeof(answer));

		if ((cases[i].status != 0 && status != cases[i].status) ||
		    strstr(answer, cases[i].contains) == NULL)
			fail_msg(
			    "%s\nexpected %d, got %d: %s", cases[i].request, cases[i].status, status, answer);
	}
	assert_int_equal(atomic_load(&fake->pushes), 2);
}

static void tcp_has_only_the_probes(void **state)
{
	static const char *const open[] = {"/metrics", "/health", "/ready"};
	static const char *const closed[] = {"/v1/status", "/v1/stats", "/v1/dump", "/v1/dimensions"};
	struct fake_daemon *fake = *state;
	uint16_t port = control_server_http_port(fake->server);
	static char answer[1 << 16];
	char request[256];

	assert_int_not_equal(port, 0);
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(request, sizeof(request),
		    "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", open[i]);
		assert_int_equal(ask(connect_tcp(port), request, answer, sizeof(answer)), 200);
	}
	for (size_t i = 0; i < 4; i++) {
		(void)snprintf(request, sizeof(request),
		    "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", closed[i]);
		assert_int_equal(ask(connect_tcp(port), request, answer, sizeof(answer)), 404);
	}
	assert_int_equal(
	    ask(connect_tcp(port),
	        "POST /v1/drain HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
	        answer, sizeof(answer)),
	    404);
}

static void not_ready_says_why(void **state)
{
	struct fake_daemon *fake = *state;
	char answer[4096];

	atomic_store(&fake->ready, false);
	assert_int_equal(
	    ask(connect_unix(fake->socket), "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer)),
	    503);
	assert_non_null(strstr(answer, "{\"error\":\"the dimension \\\"products\\\" has no snapshot\"}"));
}

static void several_requests_on_one_connection(void **state)
{
	static const char request[] = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
	struct fake_daemon *fake = *state;
	int fd = connect_unix(fake->socket), answers_seen = 0;
	char answer[8192];

	for (int i = 0; i < 5; i++)
		send_all(fd, request, sizeof(request) - 1);
	(void)shutdown(fd, SHUT_WR);
	(void)receive(fd, answer, sizeof(answer));
	(void)close(fd);
	for (const char *p = answer; (p = strstr(p, "{\"status\":\"ok\"}")) != NULL; p++)
		answers_seen++;
	assert_int_equal(answers_seen, 5);
}

static size_t count_uploads(const struct fake_daemon *fake)
{
	DIR *dir = opendir(fake->directory);
	size_t n = 0;

	assert_non_null(dir);
	for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
		n += strncmp(e->d_name, ".upload-", 8) == 0;
	(void)closedir(dir);
	return n;
}

static void large_upload(void **state)
{
	struct fake_daemon *fake = *state;
	char path[128], block[65536], *answer;
	struct error err = {.text = ""};
	json_t *result;
	size_t len;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/tmp/penstock-upload-%d", (int)getpid());
	file = fopen(path, "we");
	assert_non_null(file);
	memset(block, 'r', sizeof(block));
	for (int i = 0; i < 1024; i++)
		assert_int_equal(fwrite(block, 1, sizeof(block), file), sizeof(block));
	assert_int_equal(fclose(file), 0);
	if (client_json(fake->socket, "PUT", "/v1/dimensions/products", path, &result, &err) < 0)
		fail_msg("%s", err.text);
	json_decref(result);
	assert_int_equal(
	    client_request(fake->socket, "PUT", "/v1/dimensions/other", path, &answer, &len, &err),
	    -EREMOTEIO);
	assert_string_equal(err.text, "no dimension is called \"other\"");
	(void)unlink(path);
	assert_int_equal(count_uploads(fake), 0);
}

static void broken_off_uploads_leave_nothing(void **state)
{
	static const char head[] =
	    "PUT /v1/dimensions/products HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbegun";
	struct fake_daemon *fake = *state;
	char answer[4096];
	int fds[CONTROL_MAX_UPLOADS];

	for (size_t i = 0; i < CONTROL_MAX_UPLOADS; i++) {
		fds[i] = connect_unix(fake->socket);
		send_all(fds[i], head, sizeof(head) - 1);
	}
	/* One more is refused once the others have arrived. */
	for (int tries = 0;; tries++) {
		int fd = connect_unix(fake->socket), status;

		status =
		    ask(fd, "PUT /v1/dimensions/products HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
		        answer, sizeof(answer));
		if (status == 503)
			break;
		assert_int_equal(status, 200);
		assert_true(tries < 10000);
	}
	for (size_t i = 0; i < CONTROL_MAX_UPLOADS; i++)
		(void)close(fds[i]);
	for (int tries = 0; count_uploads(fake) > 0; tries++) {
		(void)ask(connect_unix(fake->socket), "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", answer,
		    sizeof(answer));
		assert_true(tries < 10000);
	}
	assert_int_equal(ask(connect_unix(fake->socket),
	                     "PUT /v1/dimensions/products HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
	                     answer, sizeof(answer)),
	    200);
}

static void socket_file(void **state)
{
	struct fake_daemon *fake = *state;
	struct control_server_options options = {
	    .socket = fake->socket, .upload_directory = fake->directory, .backend = &fake->backend};
	struct control_server *second = (struct control_server *)1;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[sizeof(address.sun_path)];
	struct error err;
	struct stat st;
	int fd;

	assert_int_equal(stat(fake->socket, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0660);
	/* In use: refused, and the first goes on. */
	assert_int_equal(control_server_create(&options, &second, &err), -EADDRINUSE);
	assert_null(second);
	assert_int_equal(stat(fake->socket, &st), 0);
	/* A file that is no socket: not touched. */
	(void)snprintf(path, sizeof(path), "%s/plain", fake->directory);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	options.socket = path;
	assert_int_equal(control_server_create(&options, &second, &err), -ENOTSOCK);
	assert_int_equal(stat(path, &st), 0);
	(void)unlink(path);
	/* Stale: replaced. */
	(void)memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)close(fd);
	if (control_server_create(&options, &second, &err) < 0)
		fail_msg("%s", err.text);
	control_server_destroy(second);
	assert_int_equal(stat(path, &st), -1);
	control_server_destroy(NULL);
}

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

#define WAVE 32u     /* clients at once */
#define SILENCE_MS 5 /* who has no answer by then has sent no whole request */

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
		if (poll(fds, WAVE, half ? DEADLINE_MS : SILENCE_MS) == 0) {
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

		client->fd = i % 4 == 2 ? connect_tcp(control_server_http_port(fake->server))
		                        : connect_unix(fake->socket);
		client->done = false;
		client->len = 0;
		client->answer[0] = '\0';
		send_all(client->fd, text, len);
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
	assert_int_equal(
	    ask(connect_unix(fake->socket), "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", text, sizeof(text)),
	    200);
}

static void drains(void **state)
{
	struct fake_daemon *fake = *state;
	char answer[4096];

	assert_int_equal(
	    ask(connect_unix(fake->socket), "POST /v1/drain HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	        answer, sizeof(answer)),
	    202);
	assert_non_null(strstr(answer, "{\"state\":\"draining\"}"));
	(void)pthread_join(fake->thread, NULL);
	fake->threaded = false;
	assert_true(fake->drained);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(answers, start, stop),
	    cmocka_unit_test_setup_teardown(tcp_has_only_the_probes, start, stop),
	    cmocka_unit_test_setup_teardown(not_ready_says_why, start, stop),
	    cmocka_unit_test_setup_teardown(several_requests_on_one_connection, start, stop),
	    cmocka_unit_test_setup_teardown(large_upload, start, stop),
	    cmocka_unit_test_setup_teardown(broken_off_uploads_leave_nothing, start, stop),
	    cmocka_unit_test_setup_teardown(socket_file, start, stop),
	    cmocka_unit_test_setup_teardown(bad_inputs, start, stop),
	    cmocka_unit_test_setup_teardown(drains, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
