/* SPDX-License-Identifier: BSD-3-Clause */
#include "steer.h"

#include "build_frame.h"
#include "frame.h"
#include "testnet.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define DEADLINE_NS (10ull * 1000000000)

static struct testnet net;
static const uint16_t udp_ports[] = {9000, 65535, 32};

static int setup(void **state)
{
	struct error err = {""};

	if (steer_open(TESTNET_INTERFACE, udp_ports, 3, (struct steer **)state, &err) == 0)
		return 0;
	printf("%s\n", err.text);
	return -1;
}

static int teardown(void **state)
{
	steer_close(*state);
	return 0;
}

/* Runs the attached program over a frame. Without sockets it may only pass, and exactly one counter tells
 * why. */
static enum steer_verdict verdict_of(const struct steer *steer, const uint8_t *frame, size_t len)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = (uint32_t)len);
	static struct steer_counters before, after;
	uint32_t id;
	int fd, verdict = -1;

	assert_int_equal(bpf_xdp_query_id((int)if_nametoindex(TESTNET_INTERFACE), 0, &id), 0);
	fd = bpf_prog_get_fd_by_id(id);
	assert_true(fd >= 0);
	assert_int_equal(steer_counters(steer, &before), 0);
	assert_int_equal(bpf_prog_test_run_opts(fd, &options), 0);
	assert_int_equal(options.retval, XDP_PASS);
	assert_int_equal(steer_counters(steer, &after), 0);
	(void)close(fd);
	for (int i = 0; i < STEER_VERDICTS; i++) {
		if (after.passed[i] == before.passed[i])
			continue;
		assert_int_equal(after.passed[i], before.passed[i] + 1);
		assert_int_equal(verdict, -1);
		verdict = i;
	}
	assert_memory_equal(before.redirected, after.redirected, sizeof(before.redirected));
	return (enum steer_verdict)verdict;
}

static struct frame_spec plain(int version)
{
	return (struct frame_spec){
	    .ip_version = version, .source_port = 1, .udp_port = 9000, .payload = "{}", .len = 2};
}

static enum steer_verdict verdict_of_spec(const struct steer *steer, const struct frame_spec *spec)
{
	uint8_t bytes[4096];

	return verdict_of(steer, bytes, build_frame(spec, bytes).len);
}

/* The kernel must not add frames of its own while frames are counted one by one. */
static int setup_quiet(void **state)
{
	if (testnet_far(&net, "ip link set pst1 down") != 0)
		return -1;
	return setup(state);
}

static int teardown_quiet(void **state)
{
	(void)teardown(state);
	return testnet_far(&net,
	    "sh -c 'ip link set pst1 up && (ip -6 addr add %s/64 dev pst1 nodad 2>/dev/null || true)'",
	    TESTNET_FAR6);
}

static void every_verdict(void **state)
{
	struct steer *steer = *state;
	struct frame_spec spec;
	uint8_t bytes[4096];
	struct frame_layout at;

	assert_string_equal(steer_mode(steer), "native");
	for (int version = 4; version <= 6; version += 2) {
		for (int tags = 0; tags <= 3; tags++) {
			spec = plain(version);
			spec.vlan_tags = tags;
			assert_int_equal(
			    verdict_of_spec(steer, &spec), tags < 3 ? STEER_NO_SOCKET : STEER_NOT_IP);
			spec.udp_port = 65535;
			assert_int_equal(
			    verdict_of_spec(steer, &spec), tags < 3 ? STEER_NO_SOCKET : STEER_NOT_IP);
		}
		for (unsigned int port = 1; port < 65536; port += port < 100 ? 1 : 613) {
			spec = plain(version);
			spec.udp_port = (uint16_t)port;
			assert_int_equal(
			    verdict_of_spec(steer, &spec), port == 32 ? STEER_NO_SOCKET : STEER_OTHER_PORT);
		}
		spec = plain(version);
		spec.protocol = 6;
		assert_int_equal(verdict_of_spec(steer, &spec), STEER_NOT_UDP);
		spec = plain(version);
		at = build_frame(&spec, bytes);
		for (size_t len = 14; len < at.payload; len++)
			assert_int_equal(verdict_of(steer, bytes, len), STEER_TRUNCATED);
		assert_int_equal(verdict_of(steer, bytes, at.payload), STEER_NO_SOCKET);
	}
	spec = plain(0);
	assert_int_equal(verdict_of_spec(steer, &spec), STEER_NOT_IP);
	spec = plain(4);
	for (spec.ipv4_option_words = 0; spec.ipv4_option_words <= 10; spec.ipv4_option_words++)
		assert_int_equal(verdict_of_spec(steer, &spec), STEER_NO_SOCKET);
	for (unsigned int fragment = 1; fragment < 0x4000; fragment *= 2) {
		spec = plain(4);
		spec.fragment = (uint16_t)fragment;
		assert_int_equal(verdict_of_spec(steer, &spec), STEER_FRAGMENT);
	}
	spec = plain(6);
	memcpy(spec.extension, (uint8_t[]){0, 60, 43, 60, 60, 43, 60, 60, 60}, 9);
	memcpy(spec.extension_words, (uint8_t[]){0, 1, 2, 3, 200, 5, 6, 7, 8}, 9);
	for (spec.n_extensions = 0; spec.n_extensions <= 8; spec.n_extensions++)
		assert_int_equal(verdict_of_spec(steer, &spec), STEER_NO_SOCKET);
	assert_int_equal(verdict_of_spec(steer, &spec), STEER_NOT_UDP);
	spec.n_extensions = 2;
	spec.extension[1] = 44;
	assert_int_equal(verdict_of_spec(steer, &spec), STEER_FRAGMENT);
}

/* What frame_parse() would accept must be taken, and what is taken must be a frame that it does not call
 * foreign. */
static void agrees_with_frame_parse(void **state)
{
	static struct frame_ports ports;
	struct steer *steer = *state;
	unsigned int seed = 1, taken = 0;
	uint8_t bytes[4096];

	frame_ports_init(&ports);
	for (uint16_t i = 0; i < 3; i++)
		assert_int_equal(frame_ports_add(&ports, udp_ports[i], i, NULL), 0);
	for (uint32_t round = 0; round < 3000; round++) {
		struct frame_spec spec = plain(round % 2 == 0 ? 4 : 6);
		struct packet packet = {.data = (char *)bytes};
		enum steer_verdict verdict;
		struct frame frame;
		enum reason reason;

		spec.vlan_tags = rand_r(&seed) % 3;
		spec.ipv4_option_words = rand_r(&seed) % 11;
		spec.n_extensions = rand_r(&seed) % 9;
		for (int i = 0; i < spec.n_extensions; i++)
			spec.extension[i] = (uint8_t[]){60, 43, 60, 60, 60, 44}[rand_r(&seed) % 6];
		packet.len = (uint32_t)build_frame(&spec, bytes).len;
		for (int i = rand_r(&seed) % 4; i > 0; i--)
			bytes[12 + (uint32_t)rand_r(&seed) % (packet.len - 12)] = (uint8_t)rand_r(&seed);
		verdict = verdict_of(steer, bytes, packet.len);
		reason = frame_parse(&packet, &ports, &frame);
		if (reason == REASON_NONE || reason == REASON_FRAME_UDP_CHECKSUM)
			assert_int_equal(verdict, STEER_NO_SOCKET);
		if (verdict != STEER_NO_SOCKET)
			continue;
		taken++;
		assert_true(reason != REASON_FRAME_NOT_IP && reason != REASON_FRAME_NOT_UDP &&
		            reason != REASON_FRAME_VLAN_DEPTH && reason != REASON_FRAME_FRAGMENT &&
		            reason != REASON_FRAME_UNKNOWN_PORT);
	}
	assert_true(taken > 300 && taken < 2900);
}

/* Real traffic, with no socket on any queue: the kernel's sockets get everything, on our ports too. */
static void kernel_keeps_everything(void **state)
{
	static const uint16_t to[] = {9000, 9001};
	static struct steer_counters counters;
	char payload[4000] = "fragmented", received[5000];

	for (int i = 0; i < 2; i++) {
		struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(to[i])};
		int receiver = socket(AF_INET, SOCK_DGRAM, 0);
		int sender = testnet_far_socket(&net, AF_INET, SOCK_DGRAM, 0);
		size_t sizes[] = {100, sizeof(payload)};

		assert_int_equal(inet_pton(AF_INET, TESTNET_NEAR4, &address.sin_addr), 1);
		assert_int_equal(bind(receiver, (struct sockaddr *)&address, sizeof(address)), 0);
		for (int s = 0; s < 2; s++) {
			struct pollfd pollfd = {.fd = receiver, .events = POLLIN};

			assert_int_equal(sendto(sender, payload, sizes[s], 0, (struct sockaddr *)&address,
			                     sizeof(address)),
			    sizes[s]);
			assert_int_equal(poll(&pollfd, 1, 10000), 1);
			assert_int_equal(recv(receiver, received, sizeof(received), 0), sizes[s]);
		}
		(void)close(receiver);
		(void)close(sender);
	}
	assert_int_equal(steer_counters(*state, &counters), 0);
	assert_int_equal(counters.passed[STEER_NO_SOCKET], 1);
	assert_int_equal(counters.passed[STEER_OTHER_PORT], 1);
	assert_int_equal(counters.passed[STEER_FRAGMENT], 2 * 3);
	assert_int_equal(counters.passed[STEER_TRUNCATED], 0);
}

static void open_errors(void **state)
{
	struct steer *steer;
	struct error err;

	(void)state;
	assert_int_equal(steer_open("nosuch0", udp_ports, 1, &steer, &err), -ENODEV);
	assert_null(steer);
	assert_string_equal(err.text, "nosuch0: no such interface");
	assert_int_equal(testnet_near("ip link set pst0 down"), 0);
	assert_int_equal(steer_open(TESTNET_INTERFACE, udp_ports, 1, &steer, &err), -ENETDOWN);
	assert_string_equal(err.text, "pst0: the interface is down; `ip link set pst0 up`");
	/* What counts for veth is what the peer may send. */
	assert_int_equal(testnet_near("ip link set pst0 up"), 0);
	assert_int_equal(testnet_far(&net, "ip link set pst1 mtu 9000"), 0);
	assert_int_equal(steer_open(TESTNET_INTERFACE, udp_ports, 1, &steer, &err), -E2BIG);
	assert_string_equal(err.text,
	    "pst0: the MTU of the interface (1500), or of its veth peer, is too large for XDP; at most 3498");
	assert_int_equal(testnet_far(&net, "ip link set pst1 mtu 1500"), 0);
	assert_int_equal(testnet_near("ethtool -L pst0 rx 1"), 0);
	assert_int_equal(steer_open(TESTNET_INTERFACE, udp_ports, 1, &steer, &err), -ENOSPC);
	assert_string_equal(
	    err.text, "pst0: it has fewer receive queues than its veth peer has transmit queues");
	assert_int_equal(testnet_near("ethtool -L pst0 rx 2"), 0);
	assert_int_equal(testnet_near("ip -6 addr replace %s/64 dev pst0 nodad", TESTNET_NEAR6), 0);
}

/* A driver without XDP gets the kernel's emulation, and it is reported. */
static void generic_mode(void **state)
{
	struct steer *steer;
	struct error err;

	(void)state;
	assert_int_equal(steer_open("lo", udp_ports, 1, &steer, &err), 0);
	assert_string_equal(steer_mode(steer), "generic");
	steer_close(steer);
}

static void without_privilege(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		struct steer *steer;
		struct error err;

		if (setuid(65534) != 0)
			_exit(3);
		if (steer_open(TESTNET_INTERFACE, udp_ports, 1, &steer, &err) != -EPERM)
			_exit(1);
		_exit(strstr(err.text, "needs root, or CAP_BPF") != NULL ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A second program is refused; that of a process that was killed is gone. */
static void killed_process_detaches(void **state)
{
	uint64_t deadline = testnet_now_ns() + DEADLINE_NS;
	struct steer *steer;
	struct error err;
	int ready[2], rc;
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (steer_open(TESTNET_INTERFACE, udp_ports, 1, &steer, NULL) == 0 &&
		    write(ready[1], "r", 1) == 1)
			for (;;)
				(void)pause();
		_exit(1);
	}
	(void)close(ready[1]); /* if the child fails, the read ends */
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(steer_open(TESTNET_INTERFACE, udp_ports, 1, &steer, &err), -EBUSY);
	assert_non_null(strstr(err.text, "pst0: XDP program "));
	assert_non_null(strstr(err.text, "is attached already"));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* The kernel lets go of a link in its own time. */
	do {
		rc = steer_open(TESTNET_INTERFACE, udp_ports, 1, &steer, &err);
	} while (rc == -EBUSY && testnet_now_ns() < deadline);
	assert_int_equal(rc, 0);
	steer_close(steer);
	(void)close(ready[0]);
}

static void names(void **state)
{
	(void)state;
	for (int i = 0; i < STEER_VERDICTS; i++) {
		assert_non_null(steer_verdict_name((enum steer_verdict)i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(steer_verdict_name((enum steer_verdict)i),
			    steer_verdict_name((enum steer_verdict)j));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(every_verdict, setup_quiet, teardown_quiet),
	    cmocka_unit_test_setup_teardown(agrees_with_frame_parse, setup_quiet, teardown_quiet),
	    cmocka_unit_test_setup_teardown(kernel_keeps_everything, setup, teardown),
	    cmocka_unit_test(open_errors),
	    cmocka_unit_test(generic_mode),
	    cmocka_unit_test(without_privilege),
	    cmocka_unit_test(killed_process_detaches),
	    cmocka_unit_test(names),
	};
	int rc;

	if (testnet_create(&net, 2) != 0)
		return 77;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	testnet_destroy(&net);
	return rc;
}
