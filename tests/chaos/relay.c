/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bad network for tests: a UDP relay that loses, doubles, delays (and so reorders) and corrupts datagrams in both
 * directions, each with a probability of its own.
 *
 *   relay LISTEN-ADDRESS UPSTREAM-ADDRESS UPSTREAM-PORT SEED
 *
 * Listens on a free port and prints it. Every client gets PATHS sockets towards the upstream, and its datagrams take any of
 * them: a receiver that spreads flows over its queues gets the frames of one client on all of them. Answers go back to
 * the client whichever path they came by.
 *
 * Commands on standard input, one per line, each answered with a line:
 *   set LOSS DUPLICATE DELAY CORRUPT DELAY_MS   probabilities from 0 to 1; ok
 *   stats                                       forwarded=N lost=N duplicated=N delayed=N corrupted=N full=N
 * Ends with its input. What is delayed is bounded; beyond that datagrams go out at once (counted as full).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 16u
#define PATHS 4u
#define DELAYED 1024u
#define DATAGRAM 2048u
#define PER_WAKE 64u

struct impairment {
	double loss, duplicate, delay, corrupt;
	unsigned int delay_ms; /* a delayed datagram waits up to so long */
};

struct counts {
	uint64_t forwarded, lost, duplicated, delayed, corrupted, full;
};

struct client {
	struct sockaddr_in address;
	int path[PATHS];
};

/* Where a datagram goes: to the upstream by a path, or (fd is the listening socket) to a client. */
struct delayed {
	uint64_t due_ns;
	int fd;
	struct sockaddr_in to;
	uint32_t len;
	char bytes[DATAGRAM];
};

struct relay {
	int listening;
	struct sockaddr_in upstream;
	struct client clients[CLIENTS];
	uint32_t n_clients;
	struct delayed *delayed; /* in no order */
	uint32_t n_delayed;
	struct impairment impairment;
	struct counts counts;
	uint64_t
	    random; /* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators" */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t draw(struct relay *relay)
{
	relay->random ^= relay->random >> 12;
	relay->random ^= relay->random << 25;
	relay->random ^= relay->random >> 27;
	return relay->random * UINT64_C(2685821657736338717);
}

static bool happens(struct relay *relay, double probability)
{
	return (double)(draw(relay) >> 11) * 0x1p-53 < probability;
}

/* A full socket buffer is one more way to lose a datagram. */
static void put(struct relay *relay, int fd, const struct sockaddr_in *to, const char *bytes, uint32_t len)
{
	if (sendto(fd, bytes, len, 0, (const struct sockaddr *)to, sizeof(*to)) < 0)
		relay->counts.lost++;
	else
		relay->counts.forwarded++;
}

static void pass(struct relay *relay, int fd, const struct sockaddr_in *to, const char *bytes, uint32_t len)
{
	struct delayed *later;

	if (!happens(relay, relay->impairment.delay) || relay->impairment.delay_ms == 0) {
		put(relay, fd, to, bytes, len);
		return;
	}
	if (relay->n_delayed == DELAYED) {
		relay->counts.full++;
		put(relay, fd, to, bytes, len);
		return;
	}
	later = &relay->delayed[relay->n_delayed++];
	later->due_ns = now_ns() + draw(relay) % ((uint64_t)relay->impairment.delay_ms * 1000000u) + 1;
	later->fd = fd;
	later->to = *to;
	later->len = len;
	memcpy(later->bytes, bytes, len);
	relay->counts.delayed++;
}

static void impair(struct relay *relay, int fd, const struct sockaddr_in *to, char *bytes, uint32_t len)
{
	if (happens(relay, relay->impairment.loss)) {
		relay->counts.lost++;
		return;
	}
	if (happens(relay, relay->impairment.duplicate)) {
		relay->counts.duplicated++;
		pass(relay, fd, to, bytes, len);
	}
	/* The kernel makes the checksum anew, so what is corrupted here arrives as if it were right. */
	if (len > 0 && happens(relay, relay->impairment.corrupt)) {
		relay->counts.corrupted++;
		bytes[draw(relay) % len] ^= (char)(1u << draw(relay) % 8);
	}
	pass(relay, fd, to, bytes, len);
}

static int open_socket(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int bytes = 4 << 20;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (address != NULL && bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* NULL: too many, or no more sockets. */
static struct client *client_of(struct relay *relay, const struct sockaddr_in *address)
{
	struct client *client;

	for (uint32_t i = 0; i < relay->n_clients; i++) {
		client = &relay->clients[i];
		if (client->address.sin_addr.s_addr == address->sin_addr.s_addr &&
		    client->address.sin_port == address->sin_port)
			return client;
	}
	/* A new one takes the place of the oldest: senders come and go during a long run. */
	if (relay->n_clients == CLIENTS) {
		for (uint32_t p = 0; p < PATHS; p++)
			close(relay->clients[0].path[p]);
		memmove(&relay->clients[0], &relay->clients[1], (CLIENTS - 1) * sizeof(*client));
		relay->n_clients--;
		relay->n_delayed = 0; /* they may name the sockets that are gone */
	}
	client = &relay->clients[relay->n_clients];
	client->address = *address;
	for (uint32_t p = 0; p < PATHS; p++) {
		client->path[p] = open_socket(NULL);
		if (client->path[p] < 0) {
			while (p-- > 0)
				close(client->path[p]);
			return NULL;
		}
	}
	relay->n_clients++;
	return client;
}

static void from_clients(struct relay *relay)
{
	char bytes[DATAGRAM];

	for (uint32_t i = 0; i < PER_WAKE; i++) {
		struct sockaddr_in address;
		socklen_t size = sizeof(address);
		ssize_t len =
		    recvfrom(relay->listening, bytes, sizeof(bytes), 0, (struct sockaddr *)&address, &size);
		struct client *client;

		if (len < 0)
			return;
		client = client_of(relay, &address);
		if (client != NULL)
			impair(
			    relay, client->path[draw(relay) % PATHS], &relay->upstream, bytes, (uint32_t)len);
	}
}

static void from_upstream(struct relay *relay, const struct client *client, uint32_t path)
{
	char bytes[DATAGRAM];

	for (uint32_t i = 0; i < PER_WAKE; i++) {
		ssize_t len = recv(client->path[path], bytes, sizeof(bytes), 0);

		if (len < 0)
			return;
		impair(relay, relay->listening, &client->address, bytes, (uint32_t)len);
	}
}

/* Sends what is due. Returns the milliseconds until the next is. */
static int send_due(struct relay *relay)
{
	uint64_t now = now_ns(), next = UINT64_MAX;

	for (uint32_t i = 0; i < relay->n_delayed;) {
		struct delayed *later = &relay->delayed[i];

		if (later->due_ns <= now) {
			put(relay, later->fd, &later->to, later->bytes, later->len);
			*later = relay->delayed[--relay->n_delayed];
			continue;
		}
		if (later->due_ns < next)
			next = later->due_ns;
		i++;
	}
	return next == UINT64_MAX ? -1 : (int)((next - now) / 1000000 + 1);
}

static void obey(struct relay *relay, const char *line)
{
	struct impairment wanted;
	const struct counts *c = &relay->counts;

	if (sscanf(line, "set %lf %lf %lf %lf %u", &wanted.loss, &wanted.duplicate, &wanted.delay,
	        &wanted.corrupt, &wanted.delay_ms) == 5) {
		relay->impairment = wanted;
		puts("ok");
	} else if (strcmp(line, "stats\n") == 0) {
		printf("forwarded=%" PRIu64 " lost=%" PRIu64 " duplicated=%" PRIu64 " delayed=%" PRIu64
		       " corrupted=%" PRIu64 " full=%" PRIu64 "\n",
		    c->forwarded, c->lost, c->duplicated, c->delayed, c->corrupted, c->full);
	} else {
		puts("unknown command");
	}
	fflush(stdout);
}

/* Until the input ends. */
static void run(struct relay *relay)
{
	struct pollfd fds[2 + CLIENTS * PATHS];
	char line[128];

	for (;;) {
		int timeout_ms = send_due(relay);
		nfds_t n = 2;

		fds[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
		fds[1] = (struct pollfd){.fd = relay->listening, .events = POLLIN};
		for (uint32_t i = 0; i < relay->n_clients; i++)
			for (uint32_t p = 0; p < PATHS; p++)
				fds[n++] = (struct pollfd){.fd = relay->clients[i].path[p], .events = POLLIN};
		if (poll(fds, n, timeout_ms) < 0 && errno != EINTR)
			return;
		/* Answers first: a new client may move the others. */
		for (nfds_t i = 2; i < n; i++)
			if (fds[i].revents != 0)
				from_upstream(relay, &relay->clients[(i - 2) / PATHS], (i - 2) % PATHS);
		if (fds[1].revents != 0)
			from_clients(relay);
		if (fds[0].revents != 0) {
			if (fgets(line, sizeof(line), stdin) == NULL)
				return;
			obey(relay, line);
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	struct relay relay = {.listening = -1, .upstream = {.sin_family = AF_INET}};

	if (argc != 5 || inet_pton(AF_INET, argv[1], &address.sin_addr) != 1 ||
	    inet_pton(AF_INET, argv[2], &relay.upstream.sin_addr) != 1) {
		fprintf(stderr, "usage: relay LISTEN-ADDRESS UPSTREAM-ADDRESS UPSTREAM-PORT SEED\n");
		return 2;
	}
	relay.upstream.sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10));
	relay.random = strtoull(argv[4], NULL, 10) * 2 + 1;
	setvbuf(stdin, NULL, _IONBF, 0); /* poll() must see what has not been read */
	relay.delayed = calloc(DELAYED, sizeof(*relay.delayed));
	relay.listening = open_socket(&address);
	if (relay.delayed == NULL || relay.listening < 0 ||
	    getsockname(relay.listening, (struct sockaddr *)&address, &size) != 0) {
		perror("relay");
		return 1;
	}
	printf("%u\n", ntohs(address.sin_port));
	fflush(stdout);
	run(&relay);
	free(relay.delayed);
	return 0;
}
