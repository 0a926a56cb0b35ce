/* SPDX-License-Identifier: BSD-3-Clause */
#include "send/sender.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000.0
#define BURST_S 0.002         /* what the bucket holds at most, beside one batch */
#define RETRY_NS 200000L      /* after ENOBUFS */
#define SEND_BUFFER (4 << 20) /* bytes */

struct datagram {
	uint32_t events, len;
};

struct sender {
	struct sender_options options;
	struct sender_counts counts;
	struct sockaddr_storage to;
	socklen_t to_len;
	int sockets[SENDER_SOCKETS_MAX];
	uint32_t n_sockets, turn;
	double tokens, last_ns; /* events that may be sent now; when that was so */
	uint32_t n;             /* datagrams begun; the last one is open */
	struct datagram datagram[SENDER_DATAGRAMS];
	char *payload; /* SENDER_DATAGRAMS times payload_max bytes */
};

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * NS_PER_S + (double)now.tv_nsec;
}

/* "HOST:PORT" and "[HOST]:PORT" into an address. */
static int resolve(struct sender *sender, struct error *err)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM}, *found;
	const char *to = sender->options.to, *colon = strrchr(to, ':');
	char host[256];
	size_t len;
	int code;

	if (colon == NULL || colon == to || colon[1] == '\0')
		return error_set(err, -EINVAL, "\"%s\" is not HOST:PORT", to);
	len = (size_t)(colon - to);
	if (to[0] == '[' && to[len - 1] == ']') {
		to++;
		len -= 2;
	} else if (memchr(to, ':', len) != NULL) {
		return error_set(err, -EINVAL, "\"%s\": an IPv6 address stands in brackets, [::1]:9000", to);
	}
	if (len >= sizeof(host))
		return error_set(err, -EINVAL, "the host's name is too long");
	memcpy(host, to, len);
	host[len] = '\0';
	for (const char *digit = colon + 1; *digit != '\0'; digit++)
		if (*digit < '0' || *digit > '9')
			return error_set(err, -EINVAL, "\"%s\" is not a port", colon + 1);
	if (strlen(colon + 1) > 5 || atoi(colon + 1) < 1 || atoi(colon + 1) > UINT16_MAX)
		return error_set(err, -EINVAL, "port %s is not from 1 to 65535", colon + 1);
	code = getaddrinfo(host, colon + 1, &hints, &found);
	if (code != 0)
		return error_set(err, -EHOSTUNREACH, "%s: %s", host, gai_strerror(code));
	memcpy(&sender->to, found->ai_addr, found->ai_addrlen);
	sender->to_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static int open_socket(struct sender *sender, struct error *err)
{
	int size = SEND_BUFFER, fd = socket(sender->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return error_set(err, -errno, "socket: %s", strerror(errno));
	sender->sockets[sender->n_sockets++] = fd;
	/* More than the limit needs a privilege; less is only slower. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	/* Connected, so that the kernel tells when nobody listens there. */
	if (connect(fd, (struct sockaddr *)&sender->to, sender->to_len) != 0)
		return error_set(err, -errno, "%s: %s", sender->options.to, strerror(errno));
	return 0;
}

int sender_create(const struct sender_options *options, struct sender **out, struct error *err)
{
	struct sender *sender = calloc(1, sizeof(*sender));
	int ret;

	*out = NULL;
	if (sender == NULL)
		return error_set(err, -ENOMEM, "no memory for the sender");
	sender->options = *options;
	ret = resolve(sender, err);
	if (ret != 0)
		goto err;
	if (sender->options.payload_max == 0)
		sender->options.payload_max =
		    options->mtu - (sender->to.ss_family == AF_INET6 ? 40 + 8 : 20 + 8);
	while (ret == 0 && sender->n_sockets < options->sockets)
		ret = open_socket(sender, err);
	if (ret != 0)
		goto err;
	sender->payload = malloc((size_t)SENDER_DATAGRAMS * sender->options.payload_max);
	if (sender->payload == NULL) {
		ret = error_set(err, -ENOMEM, "no memory for datagrams");
		goto err;
	}
	sender->last_ns = now_ns();
	*out = sender;
	return 0;
err:
	sender_destroy(sender);
	return ret;
}

void sender_destroy(struct sender *sender)
{
	if (sender == NULL)
		return;
	for (uint32_t i = 0; i < sender->n_sockets; i++)
		close(sender->sockets[i]);
	free(sender->payload);
	free(sender);
}

/* Waits until `events` may go. */
static int wait_for_pace(struct sender *sender, uint32_t events, struct error *err)
{
	double rate = sender->options.rate, full = rate * BURST_S + events;

	while (rate > 0) {
		double now = now_ns(), missing;
		struct timespec pause;

		sender->tokens += (now - sender->last_ns) / NS_PER_S * rate;
		sender->last_ns = now;
		if (sender->tokens > full)
			sender->tokens = full;
		missing = events - sender->tokens;
		if (missing <= 0)
			break;
		pause.tv_sec = (time_t)(missing / rate);
		pause.tv_nsec = (long)((missing / rate - (double)pause.tv_sec) * NS_PER_S);
		if (clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL) == EINTR)
			return error_set(err, -EINTR, "interrupted");
	}
	sender->tokens -= events;
	return 0;
}

/* Sends datagrams first, first + stride, ... by one socket; they are complete. */
static int send_by(struct sender *sender, uint32_t first, uint32_t stride, int fd, struct error *err)
{
	struct mmsghdr messages[SENDER_DATAGRAMS];
	struct iovec parts[SENDER_DATAGRAMS];
	uint32_t n = 0, done = 0, refused = 0;

	for (uint32_t i = first; i < sender->n; i += stride, n++) {
		parts[n] = (struct iovec){
		    sender->payload + (size_t)i * sender->options.payload_max, sender->datagram[i].len};
		messages[n] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[n], .msg_iovlen = 1}};
	}
	while (done < n) {
		int sent = sendmmsg(fd, messages + done, n - done, 0);

		if (sent > 0) {
			for (int end = (int)done + sent; (int)done < end; done++) {
				const struct datagram *datagram = &sender->datagram[first + done * stride];

				sender->counts.events += datagram->events;
				sender->counts.bytes += datagram->len;
				sender->counts.datagrams++;
			}
		} else if (errno == ECONNREFUSED && refused++ < SENDER_DATAGRAMS) {
			/* About an earlier datagram; this one is still to be sent. */
			sender->counts.refused++;
		} else if (errno == ENOBUFS || errno == EAGAIN) {
			struct timespec pause = {0, RETRY_NS};

			if (clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL) == EINTR)
				return error_set(err, -EINTR, "interrupted");
		} else {
			return error_set(err, -errno, "%s: cannot send %u bytes: %s", sender->options.to,
			    (unsigned int)parts[done].iov_len, strerror(errno));
		}
	}
	return 0;
}

static int send_batch(struct sender *sender, struct error *err)
{
	uint32_t events = 0, stride = sender->n_sockets;
	int ret = 0;

	assert(stride > 0);
	for (uint32_t i = 0; i < sender->n; i++)
		events += sender->datagram[i].events;
	if (events == 0)
		return 0;
	ret = wait_for_pace(sender, events, err);
	if (ret == 0 && sender->options.follow != NULL)
		ret = follow_wait(sender->options.follow, sender->counts.events + events, err);
	for (uint32_t i = 0; ret == 0 && i < stride && i < sender->n; i++)
		ret = send_by(sender, i, stride, sender->sockets[(sender->turn + i) % stride], err);
	sender->turn = (sender->turn + sender->n) % stride;
	sender->n = 0;
	return ret;
}

int sender_flush(struct sender *sender, struct error *err)
{
	int ret = send_batch(sender, err);

	/* What the last datagrams met. */
	for (uint32_t i = 0; i < sender->n_sockets; i++) {
		int code = 0;
		socklen_t len = sizeof(code);

		if (getsockopt(sender->sockets[i], SOL_SOCKET, SO_ERROR, &code, &len) == 0 &&
		    code == ECONNREFUSED)
			sender->counts.refused++;
	}
	return ret;
}

/* A batch is as many datagrams as the bucket allows, so that a slow rate stays smooth. */
static bool batch_is_full(const struct sender *sender)
{
	const struct datagram *last = &sender->datagram[sender->n - 1];

	return sender->n == SENDER_DATAGRAMS ||
	       (sender->options.rate > 0 && sender->n * last->events >= sender->options.rate * BURST_S);
}

int sender_add(struct sender *sender, const char *line, size_t len, struct error *err)
{
	uint32_t room = sender->options.payload_max;
	struct datagram *last;
	char *at;
	int ret;

	if (len >= room)
		return error_set(err, -EMSGSIZE, "%zu bytes do not fit a datagram of %u", len + 1, room);
	last = sender->n > 0 ? &sender->datagram[sender->n - 1] : NULL;
	if (last == NULL || last->events == sender->options.per_datagram || last->len + len + 1 > room) {
		if (last != NULL && batch_is_full(sender)) {
			ret = send_batch(sender, err);
			if (ret != 0)
				return ret;
		}
		last = &sender->datagram[sender->n++];
		last->events = last->len = 0;
	}
	at = sender->payload + (size_t)(last - sender->datagram) * room + last->len;
	memcpy(at, line, len);
	at[len] = '\n';
	last->len += (uint32_t)len + 1;
	last->events++;
	return 0;
}

const struct sender_counts *sender_counts(const struct sender *sender)
{
	return &sender->counts;
}
