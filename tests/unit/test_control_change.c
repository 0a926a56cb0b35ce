/* SPDX-License-Identifier: BSD-3-Clause */
/* Uploads, and the changes that they ask for. */
#include "cli_client.h"
#include "control_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

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
		fds[i] = control_connect_unix(fake->socket);
		control_send_all(fds[i], head, sizeof(head) - 1);
	}
	/* One more is refused once the others have arrived. */
	for (int tries = 0;; tries++) {
		int fd = control_connect_unix(fake->socket), status;

		status = control_ask(fd,
		    "PUT /v1/dimensions/products HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", answer,
		    sizeof(answer));
		if (status == 503)
			break;
		assert_int_equal(status, 200);
		assert_true(tries < 10000);
	}
	for (size_t i = 0; i < CONTROL_MAX_UPLOADS; i++)
		(void)close(fds[i]);
	for (int tries = 0; count_uploads(fake) > 0; tries++) {
		(void)control_ask(control_connect_unix(fake->socket),
		    "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", answer, sizeof(answer));
		assert_true(tries < 10000);
	}
	assert_int_equal(control_ask(control_connect_unix(fake->socket),
	                     "PUT /v1/dimensions/products HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
	                     answer, sizeof(answer)),
	    200);
}

#define PUT \
	"PUT /v1/dimensions/products HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\n"
#define ROLLBACK                                                                                             \
	"POST /v1/dimensions/products/rollback HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " \
	"0\r\n\r\n"
#define DRAIN "POST /v1/drain HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"

static int get(const struct fake_daemon *fake, const char *path, char *answer, size_t size)
{
	uint16_t port = control_server_http_port(fake->server);
	char request[128];

	(void)snprintf(
	    request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
	return control_ask(
	    strncmp(path, "/v1", 3) == 0 ? control_connect_unix(fake->socket) : control_connect_tcp(port),
	    request, answer, size);
}

/* Asks for a change and leaves it there. */
static int request(const struct fake_daemon *fake, const char *text)
{
	int fd = control_connect_unix(fake->socket);

	control_send_all(fd, text, strlen(text));
	return fd;
}

/* Until `n` loads have begun, and the server has answered since. */
static void wait_for_loads(const struct fake_daemon *fake, int n)
{
	char answer[4096];

	for (int tries = 0; atomic_load(&fake->loads) < n; tries++) {
		assert_int_equal(get(fake, "/health", answer, sizeof(answer)), 200);
		assert_true(tries < 100000);
	}
}

/* Whether nothing has come on a connection, not even its end. */
static bool is_silent(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 0;
}

static void others_are_answered_during_a_load(void **state)
{
	static const char *const paths[] = {
	    "/metrics", "/health", "/ready", "/v1/status", "/v1/dimensions", "/v1/dump"};
	struct fake_daemon *fake = *state;
	static char answer[1 << 16];
	int first, second, third;

	atomic_store(&fake->held, true);
	first = request(fake, PUT "first ");
	wait_for_loads(fake, 1);
	second = request(fake, PUT "second");
	third = request(fake, ROLLBACK);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_int_equal(get(fake, paths[i], answer, sizeof(answer)), 200);
	/* One at a time, and no answer before its end. */
	assert_int_equal(atomic_load(&fake->loads), 1);
	assert_true(is_silent(first) && is_silent(second) && is_silent(third));
	fake_daemon_release(fake, 1);
	assert_int_equal(control_finish(first, answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\"v8\""));
	wait_for_loads(fake, 2);
	assert_int_equal(get(fake, "/metrics", answer, sizeof(answer)), 200);
	assert_true(is_silent(second) && is_silent(third));
	fake_daemon_release(fake, 2);
	assert_int_equal(control_finish(second, answer, sizeof(answer)), 200);
	assert_int_equal(control_finish(third, answer, sizeof(answer)), 200);
	assert_non_null(strstr(answer, "\"v6\""));
	assert_int_equal(atomic_load(&fake->pushes), 2);
	assert_int_equal(count_uploads(fake), 0);
}

/* What was uploaded whole is loaded, also when nobody waits for the answer. */
static void who_asked_may_leave(void **state)
{
	struct fake_daemon *fake = *state;
	char answer[4096];
	int fd;

	atomic_store(&fake->held, true);
	fd = request(fake, PUT "first ");
	wait_for_loads(fake, 1);
	(void)close(fd);
	assert_int_equal(count_uploads(fake), 1);
	fake_daemon_release(fake, 1);
	for (int tries = 0; count_uploads(fake) > 0; tries++) {
		assert_int_equal(get(fake, "/health", answer, sizeof(answer)), 200);
		assert_true(tries < 100000);
	}
	assert_int_equal(atomic_load(&fake->pushes), 1);
}

static void a_drain_waits_for_the_load(void **state)
{
	struct fake_daemon *fake = *state;
	char answer[4096];
	int first, second;

	atomic_store(&fake->held, true);
	first = request(fake, PUT "first ");
	wait_for_loads(fake, 1);
	second = request(fake, ROLLBACK);
	assert_int_equal(get(fake, "/health", answer, sizeof(answer)), 200);
	assert_int_equal(control_ask(control_connect_unix(fake->socket), DRAIN, answer, sizeof(answer)), 202);
	assert_int_equal(get(fake, "/health", answer, sizeof(answer)), 200);
	assert_int_equal(control_finish(request(fake, PUT "third "), answer, sizeof(answer)), 503);
	assert_non_null(strstr(answer, "no more changes"));
	assert_true(is_silent(first) && is_silent(second));
	fake_daemon_release(fake, 2);
	assert_int_equal(control_finish(first, answer, sizeof(answer)), 200);
	assert_int_equal(control_finish(second, answer, sizeof(answer)), 200);
	(void)pthread_join(fake->thread, NULL);
	fake->threaded = false;
}

/* Without a drain: the one that is being read is finished, the others are not begun, and nothing is left. */
static void a_stop_leaves_nothing(void **state)
{
	struct fake_daemon *fake = *state;
	uint64_t one = 1;
	char answer[4096];
	int fds[3];

	atomic_store(&fake->held, true);
	for (int i = 0; i < 3; i++)
		fds[i] = request(fake, i == 1 ? ROLLBACK : PUT "queued");
	wait_for_loads(fake, 1);
	while (count_uploads(fake) < 2)
		assert_int_equal(get(fake, "/health", answer, sizeof(answer)), 200);
	assert_int_equal(write(fake->stop_fd, &one, sizeof(one)), sizeof(one));
	(void)pthread_join(fake->thread, NULL);
	fake->threaded = false;
	fake_daemon_release(fake, 3);
	control_server_destroy(fake->server);
	fake->server = NULL;
	assert_int_equal(atomic_load(&fake->loads), 1);
	for (int i = 0; i < 3; i++)
		(void)close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(large_upload, control_start, control_stop),
	    cmocka_unit_test_setup_teardown(broken_off_uploads_leave_nothing, control_start, control_stop),
	    cmocka_unit_test_setup_teardown(others_are_answered_during_a_load, control_start, control_stop),
	    cmocka_unit_test_setup_teardown(who_asked_may_leave, control_start, control_stop),
	    cmocka_unit_test_setup_teardown(a_drain_waits_for_the_load, control_start, control_stop),
	    cmocka_unit_test_setup_teardown(a_stop_leaves_nothing, control_start, control_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
