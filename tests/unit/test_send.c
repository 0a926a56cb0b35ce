/* SPDX-License-Identifier: BSD-3-Clause */
#include "send/cmd_send.h"
#include "send/lines.h"
#include "send/sender.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define LINES 5000u
#define TEXT_MAX 300u

/* A receiver on loopback: counts every line by the number it starts with. */
struct receiver {
	int fd;
	uint16_t port;
	pthread_t thread;
	uint32_t seen[LINES];
	uint32_t datagrams, max_len, max_lines, ports;
	bool port_seen[UINT16_MAX + 1];
};

static void *receive(void *context)
{
	struct receiver *receiver = context;
	char buffer[65536];

	for (;;) {
		struct sockaddr_storage from;
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(
		    receiver->fd, buffer, sizeof(buffer) - 1, 0, (struct sockaddr *)&from, &from_len);
		uint32_t lines = 0;
		uint16_t port;

		if (len <= 0 || buffer[0] == 'q') /* a time limit has passed, or the test says stop */
			return NULL;
		port = ((struct sockaddr_in *)&from)->sin_port; /* at the same place for IPv6 */
		receiver->ports += !receiver->port_seen[port];
		receiver->port_seen[port] = true;
		buffer[len] = '\0';
		for (char *line = buffer; *line != '\0'; line = strchr(line, '\n') + 1, lines++) {
			unsigned long number = strtoul(line, NULL, 10);

			if (number < LINES)
				receiver->seen[number]++;
		}
		receiver->datagrams++;
		if (len > receiver->max_len)
			receiver->max_len = (uint32_t)len;
		if (lines > receiver->max_lines)
			receiver->max_lines = lines;
	}
}

static struct receiver *start_receiver(int family)
{
	struct receiver *receiver = calloc(1, sizeof(*receiver));
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct timeval limit = {20, 0};
	int buffer = 8 << 20;
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);

	assert_non_null(receiver);
	receiver->fd = socket(family, SOCK_DGRAM, 0);
	assert_true(receiver->fd >= 0);
	assert_int_equal(setsockopt(receiver->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	setsockopt(receiver->fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	if (family == AF_INET)
		assert_int_equal(bind(receiver->fd, (struct sockaddr *)&v4, sizeof(v4)), 0);
	else if (bind(receiver->fd, (struct sockaddr *)&v6, sizeof(v6)) != 0) {
		close(receiver->fd);
		free(receiver);
		return NULL;
	}
	assert_int_equal(getsockname(receiver->fd, (struct sockaddr *)&at, &len), 0);
	receiver->port = ntohs(((struct sockaddr_in *)&at)->sin_port);
	assert_int_equal(pthread_create(&receiver->thread, NULL, receive, receiver), 0);
	return receiver;
}

/* Everything sent before has been received when this returns: loopback keeps the order. */
static void stop_receiver(struct receiver *receiver)
{
	struct sockaddr_storage to;
	socklen_t len = sizeof(to);
	int fd;

	assert_int_equal(getsockname(receiver->fd, (struct sockaddr *)&to, &len), 0);
	fd = socket(to.ss_family, SOCK_DGRAM, 0);
	assert_int_equal(sendto(fd, "quit", 4, 0, (struct sockaddr *)&to, len), 4);
	pthread_join(receiver->thread, NULL);
	close(fd);
	close(receiver->fd);
}

static size_t make_line(uint32_t number, char *text)
{
	size_t pad = number * 7 % 250;
	int len = snprintf(text, TEXT_MAX, "%u ", number);

	memset(text + len, 'x', pad);
	text[(size_t)len + pad] = '\0';
	return (size_t)len + pad;
}

static void make_file(char *path, uint32_t lines)
{
	char text[TEXT_MAX];
	FILE *file;

	strcpy(path, "/tmp/penstock-send-XXXXXX");
	file = fdopen(mkstemp(path), "w");
	assert_non_null(file);
	for (uint32_t i = 0; i < lines; i++) {
		make_line(i, text);
		/* Empty lines are no events; the last line has no newline. */
		fprintf(file, "%s%s%s", i > 0 ? "\n" : "", i % 100 == 1 ? "\n" : "", text);
	}
	assert_int_equal(fclose(file), 0);
}

static void assert_once_each(const struct receiver *receiver)
{
	for (uint32_t i = 0; i < LINES; i++)
		assert_int_equal(receiver->seen[i], 1);
}

static int send_file(const char *path, const struct receiver *receiver, const char *host, const char *option,
    const char *value)
{
	char to[64];
	char *argv[] = {
	    "send", "--file", (char *)path, "--to", to, "--rate", "200000", (char *)option, (char *)value};

	snprintf(to, sizeof(to), "%s:%u", host, receiver->port);
	return cmd_send(option != NULL ? 9 : 7, argv);
}

static void every_line_arrives_once(void **state)
{
	static const char *const options[][2] = {{NULL, NULL}, {"--per-datagram", "1"},
	    {"--per-datagram", "3"}, {"--mtu", "600"}, {"--source-ports", "7"}};
	char path[64];

	(void)state;
	make_file(path, LINES);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		struct receiver *receiver = start_receiver(AF_INET);

		assert_int_equal(send_file(path, receiver, "127.0.0.1", options[i][0], options[i][1]), 0);
		stop_receiver(receiver);
		assert_once_each(receiver);
		assert_true(receiver->max_len <= (i == 3 ? 600 - 28 : 1400));
		assert_int_equal(receiver->ports, i == 4 ? 7 : 1);
		if (i == 1)
			assert_int_equal(receiver->datagrams, LINES);
		if (i == 2)
			assert_int_equal(receiver->max_lines, 3);
		free(receiver);
	}
	unlink(path);
}

static void also_over_ipv6(void **state)
{
	struct receiver *receiver = start_receiver(AF_INET6);
	char path[64];

	(void)state;
	if (receiver == NULL) {
		print_message("no IPv6 on loopback\n");
		skip();
	}
	make_file(path, LINES);
	assert_int_equal(send_file(path, receiver, "[::1]", "--mtu", "1280"), 0);
	stop_receiver(receiver);
	assert_once_each(receiver);
	assert_true(receiver->max_len <= 1280 - 48);
	free(receiver);
	unlink(path);
}

static void from_standard_input(void **state)
{
	struct receiver *receiver = start_receiver(AF_INET);
	int old = dup(STDIN_FILENO), fd;
	char path[64];

	(void)state;
	make_file(path, LINES);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	dup2(fd, STDIN_FILENO);
	assert_int_equal(send_file("-", receiver, "127.0.0.1", NULL, NULL), 0);
	dup2(old, STDIN_FILENO);
	stop_receiver(receiver);
	assert_once_each(receiver);
	free(receiver);
	close(fd);
	close(old);
	unlink(path);
}

/* What comes before the line is sent, what comes after is not, and the status says so. */
static void a_long_line_is_an_error(void **state)
{
	struct receiver *receiver = start_receiver(AF_INET);
	char path[] = "/tmp/penstock-send-XXXXXX";
	FILE *file = fdopen(mkstemp(path), "w");

	(void)state;
	assert_non_null(file);
	fprintf(file, "0 a\n1 %0*d\n2 c\n", 2000, 0);
	fclose(file);
	assert_int_equal(send_file(path, receiver, "127.0.0.1", NULL, NULL), 1);
	stop_receiver(receiver);
	assert_int_equal(receiver->seen[0], 1);
	assert_int_equal(receiver->seen[1], 0);
	assert_int_equal(receiver->seen[2], 0);
	free(receiver);
	unlink(path);
}

static void nobody_listens(void **state)
{
	struct receiver *receiver = start_receiver(AF_INET);
	char path[64];

	(void)state;
	make_file(path, 10);
	stop_receiver(receiver);
	assert_int_equal(send_file(path, receiver, "127.0.0.1", NULL, NULL), 1);
	free(receiver);
	unlink(path);
}

static void bad_usage(void **state)
{
	static const char *const cases[][4] = {
	    {"--to", "127.0.0.1", NULL, NULL},
	    {"--to", "127.0.0.1:0", NULL, NULL},
	    {"--to", "127.0.0.1:99999", NULL, NULL},
	    {"--to", "::1:9000", NULL, NULL},
	    {"--to", "127.0.0.1:9000", "--rate", "fast"},
	    {"--to", "127.0.0.1:9000", "--per-datagram", "0"},
	    {"--to", "127.0.0.1:9000", "--what", "1"},
	    {"--rate", "5", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *argv[5] = {"send"};
		int argc = 1;

		while (argc < 5 && cases[i][argc - 1] != NULL) {
			argv[argc] = (char *)cases[i][argc - 1];
			argc++;
		}
		assert_int_equal(cmd_send(argc, argv), 2);
	}
	char *ack[][9] = {
	    {"send", "--ack", "--to", "127.0.0.1:9", NULL}, /* which stream? */
	    {"send", "--ack", "--stream", "s", NULL},       /* where to? */
	    {"send", "--ack", "--stream", "s", "--to", "nowhere", NULL},
	    {"send", "--ack", "--stream", "s", "--to", "127.0.0.1:9", "--source-ports", "2", NULL},
	    {"send", "--ack", "--stream", "s", "--to", "127.0.0.1:9", "--key-file", "/nonexistent", NULL},
	    {"send", "--stream", "s", "--to", "127.0.0.1:9", NULL},
	    {"send", "--to", "127.0.0.1:9", "--to", "127.0.0.1:10", NULL},
	    {"send", "--ack", "--stream", "s", "--to", "127.0.0.1:9", "word", NULL},
	};

	for (size_t i = 0; i < sizeof(ack) / sizeof(ack[0]); i++) {
		int argc = 0;

		while (ack[i][argc] != NULL)
			argc++;
		assert_int_equal(cmd_send(argc, ack[i]), 2);
	}
	char *missing[] = {"send", "--to", "127.0.0.1:9", "--file", "/nonexistent/events"};

	assert_int_equal(cmd_send(5, missing), 1);
}

/* Nobody answers, and there is more than the client's memory holds: the deadline comes all the same. */
static void more_than_memory_for_nobody(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char path[64], to[32];
	char *argv[] = {"send", "--ack", "--stream", "s", "--to", to, "--file", path, "--deadline", "0.2"};
	struct stat file;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	make_file(path, 200000);
	assert_int_equal(stat(path, &file), 0);
	assert_true(file.st_size > 2 * 8 << 20);
	snprintf(to, sizeof(to), "127.0.0.1:%u", ntohs(at.sin_port));
	assert_int_equal(cmd_send(10, argv), 1);
	close(fd);
	unlink(path);
}

/* Nobody answers: every line has its outcome all the same, and the status says that it is not done. */
static void acknowledged_by_nobody(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char path[64], record[] = "/tmp/penstock-acked-XXXXXX", to[32], line[64];
	char *argv[] = {"send", "--ack", "--stream", "s", "--to", to, "--file", path, "--acked", record,
	    "--deadline", "0.2"};
	uint32_t n = 0;
	FILE *file;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	make_file(path, 100);
	close(mkstemp(record));
	snprintf(to, sizeof(to), "127.0.0.1:%u", ntohs(at.sin_port));
	assert_int_equal(cmd_send(12, argv), 1);
	file = fopen(record, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		n += strstr(line, " unknown\n") != NULL;
	fclose(file);
	assert_int_equal(n, 100);
	while (recv(fd, line, sizeof(line), MSG_DONTWAIT | MSG_TRUNC) == 88)
		n--; /* HELLO, and nothing else */
	assert_true(n < 100 && recv(fd, line, sizeof(line), MSG_DONTWAIT) < 0);
	close(fd);
	unlink(path);
	unlink(record);
}

/* Nobody answers, and there is a file to keep what is left: its number is said, and the file holds it. */
static void kept_in_the_spill_file(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_DGRAM, 0), saved = dup(STDERR_FILENO), said;
	char path[64], spill[] = "/tmp/penstock-spill-XXXXXX", to[32], text[4096] = "";
	char *argv[] = {"send", "--ack", "--stream", "s", "--to", to, "--file", path, "--spill", spill,
	    "--deadline", "0.2"};
	struct stat status;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	make_file(path, 100);
	close(mkstemp(spill));
	unlink(spill);
	snprintf(to, sizeof(to), "127.0.0.1:%u", ntohs(at.sin_port));
	said = memfd_create("stderr", MFD_CLOEXEC);
	fflush(stderr);
	dup2(said, STDERR_FILENO);
	assert_int_equal(cmd_send(12, argv), 1);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	assert_true(pread(said, text, sizeof(text) - 1, 0) > 0);
	assert_non_null(strstr(text, "100 events are kept in /tmp/penstock-spill-"));
	assert_int_equal(stat(spill, &status), 0);
	assert_true(status.st_size > 100);
	close(saved);
	close(said);
	close(fd);
	unlink(path);
	unlink(spill);
}

/* The bucket never gives out more than the rate and its own depth. */
static void the_rate_is_kept(void **state)
{
	struct receiver *receiver = start_receiver(AF_INET);
	struct sender_options options = {
	    .rate = 20000, .per_datagram = 10, .payload_max = 1400, .sockets = 1};
	struct timespec start, end;
	struct sender *sender;
	char to[32], text[TEXT_MAX];
	double seconds;

	(void)state;
	snprintf(to, sizeof(to), "127.0.0.1:%u", receiver->port);
	options.to = to;
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(sender_create(&options, &sender, NULL), 0);
	for (uint32_t i = 0; i < LINES; i++)
		assert_int_equal(sender_add(sender, text, make_line(i, text), NULL), 0);
	assert_int_equal(sender_flush(sender, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
	assert_true(LINES <= options.rate * (seconds + 0.005) + 64 * 10);
	assert_int_equal(sender_counts(sender)->events, LINES);
	sender_destroy(sender);
	stop_receiver(receiver);
	assert_once_each(receiver);
	free(receiver);
}

static void lines_of_any_shape(void **state)
{
	struct lines *lines = malloc(sizeof(*lines));
	char path[] = "/tmp/penstock-send-XXXXXX";
	int fd = mkstemp(path);
	char *big = malloc(LINES_MAX + 10);
	struct error err;
	const char *line;
	size_t len;

	(void)state;
	assert_non_null(lines);
	assert_non_null(big);
	memset(big, 'y', LINES_MAX + 10);
	assert_int_equal(write(fd, "\n\na\n\0b\r\n", 8), 8);
	assert_int_equal(write(fd, big, LINES_MAX - 1), LINES_MAX - 1);
	assert_int_equal(write(fd, "\nc\n", 3), 3);
	assert_int_equal(write(fd, big, LINES_MAX + 10), LINES_MAX + 10);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	lines_init(lines, fd);
	assert_int_equal(lines_next(lines, &line, &len, &err), 1);
	assert_int_equal(lines->number, 3);
	assert_int_equal(len, 1);
	assert_int_equal(lines_next(lines, &line, &len, &err), 1);
	assert_int_equal(len, 3);
	assert_memory_equal(line, "\0b\r", 3);
	assert_int_equal(lines_next(lines, &line, &len, &err), 1);
	assert_int_equal(len, LINES_MAX - 1);
	assert_int_equal(lines_next(lines, &line, &len, &err), 1);
	assert_int_equal(len, 1);
	assert_int_equal(lines_next(lines, &line, &len, &err), -EMSGSIZE);
	assert_non_null(strstr(err.text, "line 7"));
	close(fd);
	unlink(path);
	free(big);
	free(lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_line_arrives_once),
	    cmocka_unit_test(also_over_ipv6),
	    cmocka_unit_test(from_standard_input),
	    cmocka_unit_test(a_long_line_is_an_error),
	    cmocka_unit_test(nobody_listens),
	    cmocka_unit_test(bad_usage),
	    cmocka_unit_test(acknowledged_by_nobody),
	    cmocka_unit_test(more_than_memory_for_nobody),
	    cmocka_unit_test(kept_in_the_spill_file),
	    cmocka_unit_test(the_rate_is_kept),
	    cmocka_unit_test(lines_of_any_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
