/* SPDX-License-Identifier: BSD-3-Clause */
#include "control_fixture.h"

#include <errno.h>
#include <fcntl.h>
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
		int status =
		    control_ask(control_connect_unix(fake->socket), cases[i].request, answer, sizeof(answer));

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
		assert_int_equal(
		    control_ask(control_connect_tcp(port), request, answer, sizeof(answer)), 200);
	}
	for (size_t i = 0; i < 4; i++) {
		(void)snprintf(request, sizeof(request),
		    "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", closed[i]);
		assert_int_equal(
		    control_ask(control_connect_tcp(port), request, answer, sizeof(answer)), 404);
	}
	assert_int_equal(
	    control_ask(control_connect_tcp(port),
	        "POST /v1/drain HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
	        answer, sizeof(answer)),
	    404);
}

static void not_ready_says_why(void **state)
{
	struct fake_daemon *fake = *state;
	char answer[4096];

	atomic_store(&fake->ready, false);
	assert_int_equal(control_ask(control_connect_unix(fake->socket),
	                     "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer)),
	    503);
	assert_non_null(strstr(answer, "{\"error\":\"the dimension \\\"products\\\" has no snapshot\"}"));
}

static void several_requests_on_one_connection(void **state)
{
	static const char request[] = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
	struct fake_daemon *fake = *state;
	int fd = control_connect_unix(fake->socket), answers_seen = 0;
	char answer[8192];

	for (int i = 0; i < 5; i++)
		control_send_all(fd, request, sizeof(request) - 1);
	(void)shutdown(fd, SHUT_WR);
	(void)control_receive(fd, answer, sizeof(answer));
	(void)close(fd);
	for (const char *p = answer; (p = strstr(p, "{\"status\":\"ok\"}")) != NULL; p++)
		answers_seen++;
	assert_int_equal(answers_seen, 5);
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

static void drains(void **state)
{
	struct fake_daemon *fake = *state;
	char answer[4096];

	assert_int_equal(
	    control_ask(control_connect_unix(fake->socket),
	        "POST /v1/drain HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", answer, sizeof(answer)),
	    202);
	assert_non_null(strstr(answer, "{\"state\":\"draining\"}"));
	(void)pthread_join(fake->thread, NULL);
	fake->threaded = false;
	assert_true(fake->drained);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(answers, control_start, control_stop),
	    cmocka_unit_test_setup_teardown(tcp_has_only_the_probes, control_start, control_stop),
	    cmocka_unit_test_setup_teardown(not_ready_says_why, control_start, control_stop),
	    cmocka_unit_test_setup_teardown(several_requests_on_one_connection, control_start, control_stop),
	    cmocka_unit_test_setup_teardown(socket_file, control_start, control_stop),
	    cmocka_unit_test_setup_teardown(drains, control_start, control_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
