/* SPDX-License-Identifier: BSD-3-Clause */
#include "source_ethdev.h"

#include "build_frame.h"
#include "frame.h"
#include "reply.h"
#include "testnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define UDP_PORT 9000
#define DEADLINE_NS (20ull * 1000000000)
#define MS 1000000ull
#define MAX_SEQUENCE 100000u
#define PAGES_NEEDED 96 /* of 2 MB: two queues of 4095 mbufs, and EAL */

static struct testnet net;
static bool have_net, have_pages;
static struct frame_ports ports;
static const uint16_t udp_ports[] = {UDP_PORT};
static const struct ethdev_options options = {
    .udp_ports = udp_ports, .n_udp_ports = 1, .node = -1, .mbufs = 4095};
static char directory[] = "/tmp/test_source_ethdev.XXXXXX";

/* The driver that leaves its socket open does not free libxdp's umem either, 80 bytes. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:xsk_umem__create";
}

/* ---- a worker: polls the sources and notes which sequence numbers came ---- */

struct worker {
	struct source *sources[2];
	uint32_t n;
	pthread_t thread;
	_Atomic bool stop;
	_Atomic uint32_t received, other;
	_Atomic uint32_t by_source[2];
	_Atomic uint8_t times[MAX_SEQUENCE];
};

static void *work(void *context)
{
	struct worker *worker = context;
	struct packet packets[SOURCE_BURST];
	struct frame frame;

	while (!worker->stop) {
		for (uint32_t s = 0; s < worker->n; s++) {
			int n = source_poll(worker->sources[s], packets, SOURCE_BURST);

			if (n <= 0)
				continue;
			for (int i = 0; i < n; i++) {
				uint32_t sequence = MAX_SEQUENCE;

				if (frame_parse(&packets[i], &ports, &frame) == REASON_NONE &&
				    frame.len >= sizeof(sequence))
					memcpy(&sequence, frame.payload, sizeof(sequence));
				if (sequence < MAX_SEQUENCE) {
					worker->times[sequence]++;
					worker->by_source[s]++;
					worker->received++;
				} else {
					worker->other++;
				}
			}
			source_release(worker->sources[s], packets, (uint32_t)n);
		}
	}
	return NULL;
}

static struct worker *start_worker(struct ethdev *ethdev)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	assert_non_null(worker);
	worker->n = ethdev_queues(ethdev);
	for (uint32_t q = 0; q < worker->n; q++)
		worker->sources[q] = ethdev_source(ethdev, (uint16_t)q);
	assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
	return worker;
}

static void stop_worker(struct worker *worker)
{
	worker->stop = true;
	assert_int_equal(pthread_join(worker->thread, NULL), 0);
}

static void wait_received(struct worker *worker, uint32_t n)
{
	uint64_t deadline = testnet_now_ns() + DEADLINE_NS;

	while (worker->received < n && testnet_now_ns() < deadline)
		sched_yield();
	assert_true(worker->received >= n);
}

/* ---- senders at the far end ---- */

static struct sockaddr_in near_address(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	assert_int_equal(inet_pton(AF_INET, TESTNET_NEAR4, &address.sin_addr), 1);
	return address;
}

static void send_sequence(int fd, uint32_t sequence)
{
	struct sockaddr_in address = near_address(UDP_PORT);
	char payload[200];

	memset(payload, ' ', sizeof(payload));
	memcpy(payload, &sequence, sizeof(sequence));
	assert_int_equal(
	    sendto(fd, payload, sizeof(payload), 0, (struct sockaddr *)&address, sizeof(address)),
	    sizeof(payload));
}

static void open_senders(int *fds, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		fds[i] = testnet_far_socket(&net, AF_INET, SOCK_DGRAM, 0);
		assert_true(fds[i] >= 0);
	}
}

static void close_senders(const int *fds, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		(void)close(fds[i]);
}

/* ---- AF_XDP ---- */

static struct config_source af_xdp_config(uint16_t queues)
{
	static char name[] = "nic0", device[] = "net_af_xdp", interface[] = TESTNET_INTERFACE;

	return (struct config_source){
	    .name = name, .type = SOURCE_ETHDEV, .device = device, .interface = interface, .queues = queues};
}

static struct ethdev *open_af_xdp(uint16_t queues)
{
	struct config_source config = af_xdp_config(queues);
	struct ethdev *ethdev;
	struct error err = {""};

	if (ethdev_open(&config, &options, &ethdev, &err) != 0)
		fail_msg("%s", err.text);
	return ethdev;
}

#define NEED_AF_XDP()                         \
	do {                                  \
		if (!have_net || !have_pages) \
			skip();               \
	} while (0)

static void two_queues_deliver_exactly(void **state)
{
	const uint32_t n = 20000, in_flight = 500;
	struct ethdev *ethdev;
	struct steer_counters counters;
	struct source_stats stats;
	struct worker *worker;
	char text[256];
	int senders[16];

	(void)state;
	NEED_AF_XDP();
	ethdev = open_af_xdp(2);
	ethdev_describe(ethdev, text, sizeof(text));
	assert_string_equal(text, "AF_XDP on pst0, native XDP, 2 queues, checksums verified in software");
	assert_string_equal(ethdev_source(ethdev, 1)->name, "nic0/1");
	assert_false(ethdev_source(ethdev, 1)->lossless);
	worker = start_worker(ethdev);
	open_senders(senders, 16);
	for (uint32_t i = 0; i < n; i++) {
		if (i >= in_flight)
			wait_received(worker, i - in_flight);
		send_sequence(senders[i % 16], i);
		if (i % 1000 == 0)
			assert_int_equal(ethdev_check(ethdev, testnet_now_ns(), NULL), 0);
	}
	wait_received(worker, n);
	stop_worker(worker);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(worker->times[i], 1);
	assert_int_equal(worker->other, 0);
	assert_true(worker->by_source[0] > 0 && worker->by_source[1] > 0);
	ethdev_stats(ethdev, &stats);
	assert_int_equal(stats.packets, n);
	assert_int_equal(stats.bytes, n * (14u + 20 + 8 + 200));
	assert_int_equal(stats.missed + stats.errors + stats.recoveries, 0);
	assert_int_equal(ethdev_steer_counters(ethdev, &counters), 0);
	assert_int_equal(counters.redirected[0], worker->by_source[0]);
	assert_int_equal(counters.redirected[1], worker->by_source[1]);
	close_senders(senders, 16);
	free(worker);
	ethdev_close(ethdev);
}

static void ping(void)
{
	struct sockaddr_in address = near_address(0);
	struct pollfd pollfd = {
	    .fd = testnet_far_socket(&net, AF_INET, SOCK_RAW, IPPROTO_ICMP), .events = POLLIN};
	uint8_t request[8] = {ICMP_ECHO, 0, 0xf7, 0xff, 0, 0, 0, 0}, reply[128];

	assert_int_equal(
	    sendto(pollfd.fd, request, sizeof(request), 0, (struct sockaddr *)&address, sizeof(address)), 8);
	assert_int_equal(poll(&pollfd, 1, 10000), 1);
	assert_int_equal(recv(pollfd.fd, reply, sizeof(reply), 0), 28);
	assert_int_equal(reply[20], ICMP_ECHOREPLY);
	(void)close(pollfd.fd);
}

static void tcp_connection(void)
{
	struct sockaddr_in address = near_address(9000); /* the number of a steered UDP port */
	int listener = socket(AF_INET, SOCK_STREAM, 0), client, server;
	char text[6];

	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, (int[]){1}, sizeof(int)), 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	client = testnet_far_socket(&net, AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
	server = accept(listener, NULL, NULL);
	assert_int_equal(send(client, "hello", 6, 0), 6);
	assert_int_equal(recv(server, text, sizeof(text), MSG_WAITALL), 6);
	assert_string_equal(text, "hello");
	(void)close(client);
	(void)close(server);
	(void)close(listener);
}

/* A datagram to a kernel socket at the near end; large ones come in fragments. */
static void kernel_datagram(uint16_t port, size_t len)
{
	static char sent[5000], received[6000];
	struct sockaddr_in address = near_address(port);
	struct pollfd pollfd = {.fd = socket(AF_INET, SOCK_DGRAM, 0), .events = POLLIN};
	int sender = testnet_far_socket(&net, AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(bind(pollfd.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(sendto(sender, sent, len, 0, (struct sockaddr *)&address, sizeof(address)), len);
	assert_int_equal(poll(&pollfd, 1, 10000), 1);
	assert_int_equal(recv(pollfd.fd, received, sizeof(received), 0), len);
	(void)close(pollfd.fd);
	(void)close(sender);
}

/* Sends back what it gets, until so many have come by one of the queues. */
static void echo(struct ethdev *ethdev, uint32_t wanted)
{
	uint64_t deadline = testnet_now_ns() + DEADLINE_NS;
	struct packet packet;

	while (wanted > 0 && testnet_now_ns() < deadline) {
		for (uint16_t q = 0; q < ethdev_queues(ethdev); q++) {
			struct source *source = ethdev_source(ethdev, q);
			struct reply_headers reply;
			struct frame frame;
			uint8_t answer[2048];

			if (source_poll(source, &packet, 1) != 1)
				continue;
			if (frame_parse(&packet, &ports, &frame) == REASON_NONE &&
			    reply_init(&reply, &packet, &frame)) {
				memcpy(answer + reply.len, frame.payload, frame.len);
				assert_int_equal(
				    source_send(source, answer, reply_finish(&reply, answer, frame.len)), 0);
				wanted--;
			}
			source_release(source, &packet, 1);
		}
	}
	assert_int_equal(wanted, 0);
}

static void answers_reach_the_sender(void **state)
{
	struct sockaddr_in6 address6 = {.sin6_family = AF_INET6, .sin6_port = htons(UDP_PORT)};
	struct sockaddr_in address4;
	struct ethdev *ethdev;
	char text[1200] = "answer me", got[sizeof(text)];

	(void)state;
	NEED_AF_XDP();
	address4 = near_address(UDP_PORT);
	assert_int_equal(inet_pton(AF_INET6, TESTNET_NEAR6, &address6.sin6_addr), 1);
	ethdev = open_af_xdp(2);
	for (int version = 4; version <= 6; version += 2) {
		const struct sockaddr *to =
		    version == 4 ? (struct sockaddr *)&address4 : (struct sockaddr *)&address6;
		int fd = testnet_far_socket(&net, version == 4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
		struct pollfd answered = {.fd = fd, .events = POLLIN};

		assert_int_equal(connect(fd, to, version == 4 ? sizeof(address4) : sizeof(address6)), 0);
		for (size_t len = 10; len <= sizeof(text); len += 595) {
			assert_int_equal(send(fd, text, len, 0), len);
			echo(ethdev, 1);
			assert_int_equal(poll(&answered, 1, 20000), 1);
			assert_int_equal(recv(fd, got, sizeof(got), 0), len);
			assert_memory_equal(got, text, len);
		}
		(void)close(fd);
	}
	/* More than fits a packet buffer is refused, and costs nothing. */
	{
		static const uint8_t large[8192];

		for (int i = 0; i < 5000; i++)
			assert_int_equal(
			    source_send(ethdev_source(ethdev, 0), large, sizeof(large)), -EMSGSIZE);
	}
	ethdev_close(ethdev);
}

static void kernel_keeps_the_rest(void **state)
{
	struct ethdev *ethdev;
	struct worker *worker;

	(void)state;
	NEED_AF_XDP();
	ethdev = open_af_xdp(2);
	worker = start_worker(ethdev);
	ping();
	tcp_connection();
	kernel_datagram(9001, 100);
	kernel_datagram(UDP_PORT, 4000);
	stop_worker(worker);
	assert_int_equal(worker->received + worker->other, 0);
	free(worker);
	ethdev_close(ethdev);
	/* And everything, when we are gone. */
	kernel_datagram(UDP_PORT, 100);
}

static void crafted_frames_arrive(void **state)
{
	struct ethdev *ethdev;
	struct worker *worker;
	uint8_t bytes[4096];
	uint32_t sequence = 0;

	(void)state;
	NEED_AF_XDP();
	ethdev = open_af_xdp(2);
	worker = start_worker(ethdev);
	for (int version = 4; version <= 6; version += 2) {
		for (int tags = 0; tags <= 2; tags++) {
			for (int more = 0; more <= 2; more++, sequence++) {
				struct frame_spec spec = {
				    .vlan_tags = tags,
				    .ip_version = version,
				    .ipv4_option_words = more,
				    .n_extensions = more,
				    .extension = {0, 60},
				    .udp_port = UDP_PORT,
				    .payload = &sequence,
				    .len = sizeof(sequence),
				};

				assert_int_equal(
				    testnet_send_frame(&net, bytes, build_frame(&spec, bytes).len), 0);
			}
		}
	}
	wait_received(worker, sequence);
	stop_worker(worker);
	for (uint32_t i = 0; i < sequence; i++)
		assert_int_equal(worker->times[i], 1);
	assert_int_equal(worker->other, 0);
	free(worker);
	ethdev_close(ethdev);
}

/* Only one of two queues has a socket. Every frame is either ours or the kernel's, and counted. */
static void queue_without_socket(void **state)
{
	static struct steer_counters counters;
	uint64_t deadline = testnet_now_ns() + DEADLINE_NS;
	struct ethdev *ethdev;
	struct worker *worker;
	char text[256];
	int senders[16];

	(void)state;
	NEED_AF_XDP();
	ethdev = open_af_xdp(1);
	ethdev_describe(ethdev, text, sizeof(text));
	assert_string_equal(text,
	    "AF_XDP on pst0, native XDP, 1 queue, checksums verified in software; the interface "
	    "has 2: flows on the others go to the kernel");
	worker = start_worker(ethdev);
	open_senders(senders, 16);
	for (uint32_t i = 0; i < 160; i++)
		send_sequence(senders[i % 16], i);
	do
		assert_int_equal(ethdev_steer_counters(ethdev, &counters), 0);
	while (
	    counters.redirected[0] + counters.passed[STEER_NO_SOCKET] < 160 && testnet_now_ns() < deadline);
	assert_int_equal(counters.redirected[0] + counters.passed[STEER_NO_SOCKET], 160);
	assert_true(counters.passed[STEER_NO_SOCKET] > 0);
	wait_received(worker, (uint32_t)counters.redirected[0]);
	stop_worker(worker);
	close_senders(senders, 16);
	free(worker);
	ethdev_close(ethdev);
}

/* While datagrams keep coming, both queues are opened anew, several times; none is counted twice or not at
 * all. */
static void recovery_under_traffic(void **state)
{
	static struct steer_counters counters;
	const uint64_t rounds = 3;
	uint64_t deadline = testnet_now_ns() + DEADLINE_NS;
	struct source_stats stats;
	struct ethdev *ethdev;
	struct worker *worker;
	uint32_t sent = 0, before, more = 2000;
	int senders[16];

	(void)state;
	NEED_AF_XDP();
	ethdev = open_af_xdp(2);
	worker = start_worker(ethdev);
	open_senders(senders, 16);
	for (uint64_t round = 0; round < rounds; round++) {
		assert_int_equal(ethdev_force_recovery(ethdev, 0), 0);
		assert_int_equal(ethdev_force_recovery(ethdev, 1), 0);
		do {
			struct error err = {""};

			for (uint32_t i = 0; i < 20 && sent < MAX_SEQUENCE - 10000; i++, sent++)
				send_sequence(senders[sent % 16], sent);
			if (ethdev_check(ethdev, testnet_now_ns(), &err) != 0)
				fail_msg("%s", err.text);
			ethdev_stats(ethdev, &stats);
		} while (stats.recoveries < 2 * (round + 1) && testnet_now_ns() < deadline);
		assert_int_equal(stats.recoveries, 2 * (round + 1));
	}
	/* What comes from now on arrives. */
	before = sent;
	for (; more > 0; more--, sent++) {
		uint32_t mark = worker->received;

		send_sequence(senders[sent % 16], sent);
		if (more % 200 == 0)
			wait_received(worker, mark);
	}
	for (uint32_t i = before; i < sent; i++) {
		while (worker->times[i] == 0 && testnet_now_ns() < deadline)
			sched_yield();
		assert_int_equal(worker->times[i], 1);
	}
	stop_worker(worker);
	for (uint32_t i = 0; i < sent; i++)
		assert_true(worker->times[i] <= 1);
	ethdev_stats(ethdev, &stats);
	assert_int_equal(ethdev_steer_counters(ethdev, &counters), 0);
	assert_int_equal(stats.packets, worker->received);
	assert_int_equal(worker->received + stats.missed + counters.passed[STEER_NO_SOCKET], sent);
	assert_int_equal(ethdev_check(ethdev, testnet_now_ns(), NULL), 0);
	close_senders(senders, 16);
	free(worker);
	ethdev_close(ethdev);
}

/* The worker has parked: nothing is left to wait for but the kernel, which may hold the old socket for a
 * while. */
static void wait_recoveries(struct ethdev *ethdev, uint64_t recoveries, uint64_t now)
{
	uint64_t deadline = testnet_now_ns() + DEADLINE_NS;
	struct source_stats stats;

	do {
		assert_int_equal(ethdev_check(ethdev, now, NULL), 0);
		ethdev_stats(ethdev, &stats);
	} while (stats.recoveries < recoveries && testnet_now_ns() < deadline);
	assert_int_equal(stats.recoveries, recoveries);
}

/* A stall as the control thread sees it: the queue is polled, gives nothing, and frames are redirected to it.
 */
static void stall_is_noticed(void **state)
{
	struct packet packet;
	struct source *source;
	struct source_stats stats;
	static struct steer_counters counters;
	uint64_t now = 1000 * MS, deadline = testnet_now_ns() + DEADLINE_NS;
	struct ethdev *ethdev;
	int sender;

	(void)state;
	NEED_AF_XDP();
	/* The kernel lets go of the sockets of the tests before in its own time. */
	while (testnet_near("ethtool -L pst0 rx 1 tx 1 2>/dev/null") != 0 && testnet_now_ns() < deadline)
		;
	assert_int_equal(testnet_far(&net, "ethtool -L pst1 rx 1 tx 1"), 0);
	ethdev = open_af_xdp(1);
	source = ethdev_source(ethdev, 0);
	open_senders(&sender, 1);
	/* An idle queue is no stalled queue. */
	for (int i = 0; i < 20; i++, now += 100 * MS) {
		assert_int_equal(source_poll(source, &packet, 1), 0);
		assert_int_equal(ethdev_check(ethdev, now, NULL), 0);
	}
	for (uint32_t i = 0; i < 5; i++)
		send_sequence(sender, i);
	do
		assert_int_equal(ethdev_steer_counters(ethdev, &counters), 0);
	while (counters.redirected[0] < 5 && testnet_now_ns() < deadline);
	assert_int_equal(counters.redirected[0], 5);
	/* A queue that nobody polls is not stalled either. */
	for (int i = 0; i < 20; i++, now += 100 * MS)
		assert_int_equal(ethdev_check(ethdev, now, NULL), 0);
	/* Polls for no packets give none. */
	for (uint64_t ms = 0; ms <= 250; ms += 50, now += 50 * MS) {
		ethdev_stats(ethdev, &stats);
		assert_int_equal(stats.recoveries, 0);
		assert_int_equal(source_poll(source, &packet, 0), 0);
		assert_int_equal(ethdev_check(ethdev, now, NULL), 0);
	}
	assert_int_equal(source_poll(source, &packet, 1), 0); /* not the five: it parks */
	wait_recoveries(ethdev, 1, now);
	ethdev_stats(ethdev, &stats);
	assert_int_equal(stats.packets, 0);
	assert_int_equal(stats.missed, 5);
	/* The new socket works. */
	send_sequence(sender, 7);
	while (source_poll(source, &packet, 1) == 0 && testnet_now_ns() < deadline)
		;
	/* Nothing is opened anew while a packet is in use. */
	assert_int_equal(ethdev_force_recovery(ethdev, 0), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ethdev_check(ethdev, now, NULL), 0);
		assert_int_equal(source_poll(source, &packet + 1, 0), 0);
	}
	ethdev_stats(ethdev, &stats);
	assert_int_equal(stats.recoveries, 1);
	assert_int_equal(packet.len, 14 + 20 + 8 + 200);
	source_release(source, &packet, 1);
	assert_int_equal(source_poll(source, &packet, 1), 0);
	wait_recoveries(ethdev, 2, now);
	ethdev_stats(ethdev, &stats);
	assert_int_equal(stats.packets, 1);
	assert_int_equal(stats.missed, 5);
	(void)close(sender);
	ethdev_close(ethdev);
	assert_int_equal(testnet_near("ethtool -L pst0 rx 2 tx 2"), 0);
	assert_int_equal(testnet_far(&net, "ethtool -L pst1 rx 2 tx 2"), 0);
}

static void expect_refusal(const struct config_source *config, int rc, const char *text)
{
	struct ethdev *ethdev;
	struct error err = {""};

	assert_int_equal(ethdev_open(config, &options, &ethdev, &err), rc);
	assert_null(ethdev);
	assert_string_equal(err.text, text);
}

static void af_xdp_errors(void **state)
{
	struct config_source config = af_xdp_config(3);
	char nosuch[] = "nosuch0";

	(void)state;
	NEED_AF_XDP();
	expect_refusal(
	    &config, -EINVAL, "source nic0: pst0: the interface has 2 receive queues, 3 are asked for");
	config.queues = 0;
	expect_refusal(&config, -EINVAL, "source nic0: 0 queues; 1 to 64 are possible");
	config.queues = 1;
	config.interface = nosuch;
	expect_refusal(&config, -ENODEV, "source nic0: nosuch0: no such interface");
	config.interface = NULL;
	expect_refusal(&config, -EINVAL, "source nic0: AF_XDP needs the name of an interface");
	config = af_xdp_config(1);
	assert_int_equal(testnet_near("ip link set pst0 mtu 3490"), 0);
	expect_refusal(&config, -E2BIG,
	    "source nic0: pst0: frames of an MTU of 3490 do not fit the receive buffers; at most 3434");
	assert_int_equal(testnet_near("ip link set pst0 mtu 1500 down"), 0);
	expect_refusal(&config, -ENETDOWN, "source nic0: pst0: the interface is down; `ip link set pst0 up`");
	assert_int_equal(
	    testnet_near("ip link set pst0 up && ip -6 addr replace %s/64 dev pst0 nodad", TESTNET_NEAR6), 0);
	/* None of the failures left anything attached. */
	ethdev_close(open_af_xdp(2));
}

/* Frames up to the largest MTU allowed arrive whole. */
static void largest_frames(void **state)
{
	static char payload[3434 - 28];
	struct sockaddr_in address = near_address(UDP_PORT);
	struct ethdev *ethdev;
	struct worker *worker;
	struct source_stats stats;
	int sender;

	(void)state;
	NEED_AF_XDP();
	assert_int_equal(testnet_near("ip link set pst0 mtu 3434"), 0);
	assert_int_equal(testnet_far(&net, "ip link set pst1 mtu 3434"), 0);
	ethdev = open_af_xdp(2);
	worker = start_worker(ethdev);
	open_senders(&sender, 1);
	for (uint32_t i = 0; i < 100; i++) {
		memcpy(payload, &i, sizeof(i));
		assert_int_equal(
		    sendto(sender, payload, sizeof(payload), 0, (struct sockaddr *)&address, sizeof(address)),
		    sizeof(payload));
	}
	wait_received(worker, 100);
	stop_worker(worker);
	ethdev_stats(ethdev, &stats);
	assert_int_equal(stats.bytes, 100 * (3434 + 14));
	assert_int_equal(stats.missed + stats.errors, 0);
	(void)close(sender);
	free(worker);
	ethdev_close(ethdev);
	assert_int_equal(testnet_near("ip link set pst0 mtu 1500"), 0);
	assert_int_equal(testnet_far(&net, "ip link set pst1 mtu 1500"), 0);
}

static int start_eal(const char *role);

/* Runs this program again as a process that holds the interface until it is killed. */
static void restart_after_kill(void **state)
{
	uint64_t deadline = testnet_now_ns() + DEADLINE_NS;
	struct config_source config = af_xdp_config(2);
	struct ethdev *ethdev;
	struct error err;
	int ready[2], rc;
	char byte;
	pid_t pid;

	(void)state;
	NEED_AF_XDP();
	for (uint32_t round = 0; round < 2; round++) {
		assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			if (dup2(ready[1], STDIN_FILENO) == STDIN_FILENO)
				(void)execl("/proc/self/exe", "test_source_ethdev", "hold", (char *)NULL);
			_exit(1);
		}
		(void)close(ready[1]);
		assert_int_equal(read(ready[0], &byte, 1), 1);
		assert_int_equal(ethdev_open(&config, &options, &ethdev, &err), -EBUSY);
		assert_non_null(strstr(err.text, "source nic0: pst0: XDP program "));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		(void)close(ready[0]);
	}
	do {
		rc = ethdev_open(&config, &options, &ethdev, &err);
	} while (rc == -EBUSY && testnet_now_ns() < deadline);
	assert_int_equal(rc, 0);
	ethdev_close(ethdev);
	two_queues_deliver_exactly(state);
}

static int hold(void)
{
	struct config_source config = af_xdp_config(2);
	uint64_t deadline = testnet_now_ns() + DEADLINE_NS;
	struct ethdev *ethdev;
	int rc;

	/* Not to outlive a test that fails. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || start_eal("hold") != 0)
		return 1;
	do {
		rc = ethdev_open(&config, &options, &ethdev, NULL);
	} while (rc == -EBUSY && testnet_now_ns() < deadline);
	if (rc != 0 || write(STDIN_FILENO, "r", 1) != 1)
		return 1;
	for (;;)
		(void)pause();
}

/* ---- other devices ---- */

static void put32(FILE *file, uint32_t value)
{
	assert_int_equal(fwrite(&value, sizeof(value), 1, file), 1);
}

/* Frames with payloads of `lens` octets, each its own sequence number first. */
static void write_pcap(const char *path, const uint32_t *lens, uint32_t n)
{
	static uint8_t frame[9000], payload[8000];
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	put32(file, 0xa1b2c3d4);
	put32(file, 2 | 4 << 16);
	put32(file, 0);
	put32(file, 0);
	put32(file, 65535);
	put32(file, 1);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t len;

		memset(payload, (int)i, sizeof(payload));
		memcpy(payload, &i, sizeof(i));
		len = (uint32_t)build_datagram(frame, 1, UDP_PORT, payload, lens[i]);
		put32(file, i);
		put32(file, 0);
		put32(file, len);
		put32(file, len);
		assert_int_equal(fwrite(frame, len, 1, file), 1);
	}
	assert_int_equal(fclose(file), 0);
}

static struct config_source vdev_config(char *device)
{
	static char name[] = "v";

	return (struct config_source){.name = name, .type = SOURCE_ETHDEV, .device = device, .queues = 1};
}

static void pcap_file(void **state)
{
	static uint32_t lens[1000];
	char path[64], device[128], text[300], expected[300];
	struct config_source config = vdev_config(device);
	struct packet packets[SOURCE_BURST];
	uint32_t seen = 0, large = 0;
	struct source_stats stats;
	struct ethdev *ethdev, *second;
	struct source *source;
	struct error err = {""};
	int n;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		lens[i] = i % 100 == 99 ? 6000 : 4 + i;
	(void)snprintf(path, sizeof(path), "%s/f.pcap", directory);
	(void)snprintf(device, sizeof(device), "net_pcap0,rx_pcap=%s", path);
	write_pcap(path, lens, 1000);
	if (ethdev_open(&config, &options, &ethdev, &err) != 0)
		fail_msg("%s", err.text);
	ethdev_describe(ethdev, text, sizeof(text));
	(void)snprintf(expected, sizeof(expected),
	    "%s (net_pcap), 02:70:63:61:70:00, link up, 10000 Mbit/s, 1 queue, checksums verified in "
	    "software",
	    device);
	assert_string_equal(text, expected);
	assert_int_equal(ethdev_open(&config, &options, &second, &err), -EBUSY);
	assert_string_equal(err.text, "source v: net_pcap0: the port is in use already");
	source = ethdev_source(ethdev, 0);
	while ((n = source_poll(source, packets, SOURCE_BURST)) > 0) {
		for (int i = 0; i < n; i++, seen++) {
			struct frame frame;
			enum reason reason = frame_parse(&packets[i], &ports, &frame);
			uint32_t sequence;

			/* Larger than one mbuf: seen as what it is, a frame that is cut. */
			if (lens[seen] == 6000) {
				assert_int_equal(reason, REASON_FRAME_TRUNCATED);
				assert_true(packets[i].len <= ETHDEV_DATA_ROOM);
				large++;
				continue;
			}
			assert_int_equal(reason, REASON_NONE);
			assert_int_equal(frame.len, lens[seen]);
			memcpy(&sequence, frame.payload, sizeof(sequence));
			assert_int_equal(sequence, seen);
		}
		source_release(source, packets, (uint32_t)n);
	}
	assert_int_equal(n, 0);
	assert_int_equal(seen, 1000);
	assert_int_equal(large, 10);
	source->ops->stats(source, &stats);
	assert_int_equal(stats.packets, 1000);
	assert_int_equal(ethdev_check(ethdev, 1, NULL), 0);
	assert_int_equal(ethdev_force_recovery(ethdev, 0), -ENOTSUP);
	assert_int_equal(ethdev_steer_counters(ethdev, NULL), -ENOTSUP);
	source_destroy(source);
	ethdev_close(ethdev);
	/* The device is free again. */
	assert_int_equal(ethdev_open(&config, &options, &ethdev, &err), 0);
	ethdev_close(ethdev);
}

static void ring_loopback(void **state)
{
	static const struct {
		uint64_t offload;
		uint8_t flags;
	} cases[] = {
	    {0, 0},
	    {RTE_MBUF_F_RX_IP_CKSUM_GOOD, PACKET_IP_CHECKSUM_GOOD},
	    {RTE_MBUF_F_RX_IP_CKSUM_BAD, PACKET_IP_CHECKSUM_BAD},
	    {RTE_MBUF_F_RX_L4_CKSUM_GOOD, PACKET_UDP_CHECKSUM_GOOD},
	    {RTE_MBUF_F_RX_L4_CKSUM_BAD, PACKET_UDP_CHECKSUM_BAD},
	    /* Not right in the packet, but verified: for example left to a card that does not exist. */
	    {RTE_MBUF_F_RX_L4_CKSUM_NONE, PACKET_UDP_CHECKSUM_GOOD},
	    {RTE_MBUF_F_RX_IP_CKSUM_NONE | RTE_MBUF_F_RX_L4_CKSUM_NONE,
	        PACKET_IP_CHECKSUM_GOOD | PACKET_UDP_CHECKSUM_GOOD},
	    {RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD,
	        PACKET_IP_CHECKSUM_GOOD | PACKET_UDP_CHECKSUM_GOOD},
	};
	char device[] = "net_ring0";
	struct config_source config = vdev_config(device);
	struct packet packets[SOURCE_BURST];
	struct rte_mempool *pool;
	struct ethdev *ethdev;
	struct source *source;
	struct error err = {""};
	uint8_t bytes[256];
	uint16_t port;
	size_t len;

	(void)state;
	if (ethdev_open(&config, &options, &ethdev, &err) != 0)
		fail_msg("%s", err.text);
	source = ethdev_source(ethdev, 0);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_ring0", &port), 0);
	pool = rte_pktmbuf_pool_create("test", 127, 0, 0, 2048, SOCKET_ID_ANY);
	assert_non_null(pool);
	len = build_datagram(bytes, 1, UDP_PORT, "{}", 2);
	for (uint32_t round = 0; round < 500; round++) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
		uint32_t at = round % (sizeof(cases) / sizeof(cases[0]));

		assert_non_null(mbuf); /* else they are not released */
		memcpy(rte_pktmbuf_append(mbuf, (uint16_t)len), bytes, len);
		mbuf->ol_flags |= cases[at].offload;
		assert_int_equal(rte_eth_tx_burst(port, 0, &mbuf, 1), 1);
		assert_int_equal(source_poll(source, packets, SOURCE_BURST), 1);
		assert_int_equal(packets[0].len, len);
		assert_memory_equal(packets[0].data, bytes, len);
		assert_int_equal(packets[0].flags, cases[at].flags);
		assert_int_equal(packets[0].kind, PACKET_ETHERNET);
		source_release(source, packets, 1);
	}
	assert_int_equal(rte_mempool_avail_count(pool), 127);
	rte_mempool_free(pool);
	ethdev_close(ethdev);
}

static void vdev_errors(void **state)
{
	char bad[] = "nosuchdriver0", none[] = "", file[] = "net_pcap1,rx_pcap=/nosuch/file.pcap",
	     ring[] = "net_ring1";
	struct config_source config = vdev_config(bad);
	struct ethdev_options large = options;
	struct ethdev *ethdev;
	struct error err;

	(void)state;
	assert_true(ethdev_open(&config, &options, &ethdev, &err) < 0);
	assert_null(ethdev);
	assert_non_null(strstr(err.text, "source v: nosuchdriver0: DPDK cannot open this device"));
	config = vdev_config(none);
	assert_int_equal(ethdev_open(&config, &options, &ethdev, &err), -EINVAL);
	config = vdev_config(file);
	assert_true(ethdev_open(&config, &options, &ethdev, &err) < 0);
	assert_non_null(strstr(err.text, "/nosuch/file.pcap"));
	config = vdev_config(ring);
	config.queues = 60;
	assert_int_equal(ethdev_open(&config, &options, &ethdev, &err), -EINVAL);
	assert_non_null(strstr(err.text, "rx queues, 60 are asked for"));
	config.queues = 1;
	large.mbufs = 100u * 1000 * 1000;
	assert_int_equal(ethdev_open(&config, &large, &ethdev, &err), -ENOMEM);
	assert_non_null(strstr(err.text, "no memory for 100000000 mbufs"));
	/* None of the failures left the device behind. */
	assert_int_equal(ethdev_open(&config, &options, &ethdev, &err), 0);
	ethdev_close(ethdev);
	ethdev_close(NULL);
}

/* ---- set-up ---- */

static long meminfo(const char *key)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long value = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtol(line + strlen(key), NULL, 10);
	if (file != NULL)
		(void)fclose(file);
	return value;
}

/* Adds hugepages where too few are free; takes none away. */
static bool enough_pages(void)
{
	long missing = PAGES_NEEDED - meminfo("HugePages_Free:");
	FILE *file;

	if (missing <= 0)
		return true;
	file = fopen("/proc/sys/vm/nr_hugepages", "w");
	if (file != NULL) {
		(void)fprintf(file, "%ld", meminfo("HugePages_Total:") + missing);
		(void)fclose(file);
	}
	return meminfo("HugePages_Free:") >= PAGES_NEEDED;
}

static int start_eal(const char *role)
{
	char prefix[64];
	char *pages[] = {"test", "--in-memory", "--no-pci", "--lcores=0", "--log-level=critical",
	    "--file-prefix", prefix, NULL};
	char *plain[] = {"test", "--no-huge", "-m", "256", "--no-pci", "--lcores=0", "--log-level=critical",
	    "--file-prefix", prefix, NULL};

	(void)snprintf(prefix, sizeof(prefix), "pst%s%d", role, (int)getpid());
	have_pages = enough_pages();
	return have_pages ? rte_eal_init(7, pages) < 0 : rte_eal_init(9, plain) < 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pcap_file),
	    cmocka_unit_test(ring_loopback),
	    cmocka_unit_test(vdev_errors),
	    cmocka_unit_test(two_queues_deliver_exactly),
	    cmocka_unit_test(answers_reach_the_sender),
	    cmocka_unit_test(kernel_keeps_the_rest),
	    cmocka_unit_test(crafted_frames_arrive),
	    cmocka_unit_test(largest_frames),
	    cmocka_unit_test(queue_without_socket),
	    cmocka_unit_test(af_xdp_errors),
	    cmocka_unit_test(stall_is_noticed),
	    cmocka_unit_test(recovery_under_traffic),
	    cmocka_unit_test(restart_after_kill),
	};
	int rc;

	if (argc == 2 && strcmp(argv[1], "hold") == 0)
		return hold();
	have_net = testnet_create(&net, 2) == 0;
	if (start_eal("test") != 0 || mkdtemp(directory) == NULL)
		return 1;
	if (!have_net || !have_pages)
		printf("AF_XDP tests are skipped: they need root and %d free hugepages\n", PAGES_NEEDED);
	frame_ports_init(&ports);
	rc = frame_ports_add(&ports, UDP_PORT, 0, NULL);
	if (rc == 0)
		rc = cmocka_run_group_tests(tests, NULL, NULL);
	(void)testnet_near("rm -r %s", directory);
	testnet_destroy(&net);
	(void)rte_eal_cleanup();
	return rc;
}
