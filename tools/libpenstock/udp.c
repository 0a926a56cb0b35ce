/* SPDX-License-Identifier: BSD-3-Clause */
#include "libpenstock/transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (4 << 20)
#define SEND_MAX 64u

/* The epoll descriptor is what the caller sees: it stays the same when the socket changes. */
struct udp {
	int epoll, socket;
};

static uint64_t clock_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t udp_mono_us(void *self)
{
	(void)self;
	return clock_us(CLOCK_MONOTONIC);
}

static uint64_t udp_wall_us(void *self)
{
	(void)self;
	return clock_us(CLOCK_REALTIME);
}

static uint64_t udp_random(void *self)
{
	uint64_t value = 0;

	(void)self;
	while (getrandom(&value, sizeof(value), 0) < 0 && errno == EINTR)
		;
	return value;
}

static void udp_disconnect(void *self)
{
	struct udp *udp = self;

	if (udp->socket >= 0)
		(void)close(udp->socket); /* which also takes it out of the epoll set */
	udp->socket = -1;
}

/* Frames must not be fragmented: appliances do not take fragments. */
static void never_fragment(int fd, int family)
{
	int how = family == AF_INET6 ? IPV6_PMTUDISC_DO : IP_PMTUDISC_DO;

	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &how, sizeof(how));
	else
		(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &how, sizeof(how));
}

static void enlarge(int fd, int force, int option)
{
	int size = BUFFER_BYTES;

	/* More than the limit needs a privilege; less is only slower. */
	if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof(size)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, option, &size, sizeof(size));
}

static int udp_connect(void *self, const struct address *to, struct error *err)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct udp *udp = self;

	udp_disconnect(udp);
	udp->socket = socket(to->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (udp->socket < 0)
		return error_set(err, -errno, "socket: %s", strerror(errno));
	never_fragment(udp->socket, to->to.ss_family);
	enlarge(udp->socket, SO_SNDBUFFORCE, SO_SNDBUF);
	enlarge(udp->socket, SO_RCVBUFFORCE, SO_RCVBUF);
	if (connect(udp->socket, (const struct sockaddr *)&to->to, to->len) != 0 ||
	    epoll_ctl(udp->epoll, EPOLL_CTL_ADD, udp->socket, &event) != 0) {
		int code = -errno;

		udp_disconnect(udp);
		return error_set(err, code, "%s: %s", to->text, strerror(-code));
	}
	return 0;
}

static int udp_send(void *self, const struct iovec *datagrams, unsigned int n)
{
	struct mmsghdr messages[SEND_MAX];
	struct udp *udp = self;
	int sent;

	if (udp->socket < 0)
		return -ENOTCONN;
	if (n > SEND_MAX)
		n = SEND_MAX;
	memset(messages, 0, n * sizeof(messages[0]));
	for (unsigned int i = 0; i < n; i++) {
		messages[i].msg_hdr.msg_iov = (struct iovec *)&datagrams[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	sent = sendmmsg(udp->socket, messages, n, 0);
	if (sent >= 0)
		return sent;
	return errno == ENOBUFS || errno == EINTR || errno == ENOMEM ? -EAGAIN : -errno;
}

static int udp_receive(void *self, struct received *received)
{
	struct mmsghdr messages[TRANSPORT_RECEIVE];
	struct iovec parts[TRANSPORT_RECEIVE];
	struct udp *udp = self;
	int n;

	if (udp->socket < 0)
		return 0;
	memset(messages, 0, sizeof(messages));
	for (unsigned int i = 0; i < TRANSPORT_RECEIVE; i++) {
		parts[i] = (struct iovec){received->data[i], TRANSPORT_RECEIVE_BYTES};
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(udp->socket, messages, TRANSPORT_RECEIVE, 0, NULL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR || errno == ENOMEM ? 0 : -errno;
	for (int i = 0; i < n; i++)
		received->len[i] = messages[i].msg_len;
	return n;
}

static int udp_wait(void *self, uint64_t us)
{
	struct udp *udp = self;
	struct pollfd poll = {.fd = udp->epoll, .events = POLLIN};
	struct timespec limit = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};

	if (ppoll(&poll, 1, us == UINT64_MAX ? NULL : &limit, NULL) < 0 && errno == EINTR)
		return -EINTR;
	return 0;
}

static int udp_fd(void *self)
{
	return ((struct udp *)self)->epoll;
}

static void udp_close(void *self)
{
	struct udp *udp = self;

	udp_disconnect(udp);
	(void)close(udp->epoll);
	free(udp);
}

int udp_open(struct transport *out, struct error *err)
{
	static const struct transport_ops ops = {
	    .mono_us = udp_mono_us,
	    .wall_us = udp_wall_us,
	    .random = udp_random,
	    .connect = udp_connect,
	    .disconnect = udp_disconnect,
	    .send = udp_send,
	    .receive = udp_receive,
	    .wait = udp_wait,
	    .fd = udp_fd,
	    .close = udp_close,
	};
	struct udp *udp = malloc(sizeof(*udp));

	if (udp == NULL)
		return error_set(err, -ENOMEM, "no memory for a socket");
	*udp = (struct udp){.epoll = epoll_create1(EPOLL_CLOEXEC), .socket = -1};
	if (udp->epoll < 0) {
		int code = -errno;

		free(udp);
		return error_set(err, code, "epoll: %s", strerror(-code));
	}
	*out = (struct transport){.ops = &ops, .self = udp};
	return 0;
}
