/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers of any kind to a client that has events under way: nothing crashes, no event is completed twice or without being
 * offered, and the client's own counts stay true. Input: any number of {u8 how, u16 length (little-endian), datagram}. Bit 0
 * of `how` puts the header right (stream, source, epoch, and token, nonce and instance by type), so that mutations come
 * further than the first check; the upper four bits are how far the clock moves.
 */
#include "libpenstock/client.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS 600u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool fuzz_report(uint64_t inputs);

struct world {
	const uint8_t *data;
	size_t left;
	uint64_t now_us, random;
	struct penstock *client;
	uint32_t offered;
	uint8_t completed[EVENTS];
};

/* What became of it all. */
static struct {
	uint64_t inputs, datagrams, completed, sessions;
} totals;

static void give_up(const char *what)
{
	(void)fprintf(stderr, "fuzz_client: %s\n", what);
	abort();
}

static uint64_t fuzz_mono_us(void *self)
{
	return ((struct world *)self)->now_us;
}

static uint64_t fuzz_wall_us(void *self)
{
	return ((struct world *)self)->now_us + 1000000;
}

static uint64_t fuzz_random(void *self)
{
	return ++((struct world *)self)->random;
}

static int fuzz_connect(void *self, const struct address *to, struct error *err)
{
	(void)self;
	(void)to;
	(void)err;
	return 0;
}

static void fuzz_nothing(void *self)
{
	(void)self;
}

static int fuzz_send(void *self, const struct iovec *datagrams, unsigned int n)
{
	struct wire_frame frame;
	enum wire_fault fault;

	(void)self;
	for (unsigned int i = 0; i < n; i++)
		if (wire_parse(datagrams[i].iov_base, datagrams[i].iov_len, &frame, &fault) != WIRE_FRAME)
			give_up("it sends what is no frame");
	return (int)n;
}

/* The header as the client wants it, for what its type says. */
static void put_right(const struct penstock *p, uint8_t *datagram, size_t len)
{
	uint32_t stream = htole32(p->stream), token = htole32(p->session.token);
	uint64_t source = htole64(p->source_id), epoch = htole64(p->epoch), nonce = htole64(p->nonce),
	         instance = htole64(p->session.instance);
	uint16_t length = htole16((uint16_t)(len - WIRE_HEADER_BYTES));

	memcpy(datagram, WIRE_MAGIC, 4);
	datagram[4] = WIRE_VERSION;
	memcpy(datagram + 8, &stream, sizeof(stream));
	memcpy(datagram + 16, &source, sizeof(source));
	memcpy(datagram + 24, &epoch, sizeof(epoch));
	memcpy(datagram + 54, &length, sizeof(length));
	if (datagram[5] != WIRE_WELCOME)
		memcpy(datagram + 12, &token, sizeof(token));
	if (datagram[5] == WIRE_WELCOME && len >= WIRE_HEADER_BYTES + WIRE_WELCOME_BYTES)
		memcpy(datagram + WIRE_HEADER_BYTES + 8, &nonce, sizeof(nonce));
	if (datagram[5] == WIRE_ACK && len >= WIRE_HEADER_BYTES + WIRE_ACK_BYTES)
		memcpy(datagram + WIRE_HEADER_BYTES, &instance, sizeof(instance));
}

static int fuzz_receive(void *self, struct received *received)
{
	struct world *w = self;
	uint8_t how;
	size_t len;

	if (w->left < 3 || w->client->link == LINK_IDLE) /* nobody answers before HELLO */
		return 0;
	how = w->data[0];
	len = (size_t)(w->data[1] | w->data[2] << 8);
	w->data += 3;
	w->left -= 3;
	if (len > w->left)
		len = w->left;
	received->len[0] = len < TRANSPORT_RECEIVE_BYTES ? len : TRANSPORT_RECEIVE_BYTES;
	memcpy(received->data[0], w->data, received->len[0]);
	w->data += len;
	w->left -= len;
	w->now_us += (uint64_t)(how >> 4) << (how >> 4);
	if ((how & 1) != 0 && received->len[0] >= WIRE_HEADER_BYTES)
		put_right(w->client, received->data[0], received->len[0]);
	totals.datagrams++;
	return (how & 2) != 0 && (how & 12) == 12 ? -ECONNREFUSED : 1;
}

static int fuzz_wait(void *self, uint64_t us)
{
	((struct world *)self)->now_us += us < 1000000 ? us : 1000000;
	return 0;
}

static int fuzz_fd(void *self)
{
	(void)self;
	return -1;
}

static void on_complete(void *context, const struct penstock_result *result)
{
	struct world *w = context;

	if (result->tag >= w->offered || w->completed[result->tag]++ != 0)
		give_up("an event is completed twice, or was never offered");
	totals.completed++;
}

static void check(const struct penstock *p)
{
	uint32_t sent = 0, waiting = 0;

	for (uint64_t sequence = p->pool.base; sequence < p->pool.next; sequence++) {
		sent += frame_pool_slot(&p->pool, sequence)->state == SLOT_SENT;
		waiting += frame_pool_slot(&p->pool, sequence)->state == SLOT_WAITING;
	}
	if (sent != p->in_flight || waiting != p->resend)
		give_up("the counts of frames are wrong");
	if (p->pool.base > p->pool.next || p->pool.next > p->pool.tail)
		give_up("the ring is out of order");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct transport_ops ops = {
	    .mono_us = fuzz_mono_us,
	    .wall_us = fuzz_wall_us,
	    .random = fuzz_random,
	    .connect = fuzz_connect,
	    .disconnect = fuzz_nothing,
	    .send = fuzz_send,
	    .receive = fuzz_receive,
	    .wait = fuzz_wait,
	    .fd = fuzz_fd,
	    .close = fuzz_nothing,
	};
	static const char *const to[] = {"127.0.0.1:1", "127.0.0.1:2"};
	struct world world = {.data = data, .left = size, .now_us = 1000000};
	struct penstock_options options = {.to = to,
	    .n_to = 2,
	    .stream = "fuzz",
	    .memory_bytes = 256 << 10,
	    .datagram_bytes = 512,
	    .on_complete = on_complete,
	    .context = &world};
	struct penstock_stats stats;

	if (client_open(&options, (struct transport){&ops, &world}, &world.client, NULL) != 0)
		give_up("no client");
	while (world.left >= 3) {
		struct penstock_event event = {
		    .data = "{\"a\":\"0123456789\"}", .len = 18, .tag = world.offered};
		int ret = 1;

		for (uint32_t i = 0; i < 40 && world.offered < EVENTS && ret == 1; i++) {
			event.tag = world.offered++;
			ret = penstock_send(world.client, &event, 1, 0);
			world.offered -= ret != 1;
		}
		(void)penstock_poll(world.client, 3);
		check(world.client);
	}
	penstock_get_stats(world.client, &stats);
	totals.sessions += stats.sessions;
	(void)penstock_close(world.client, 0);
	for (uint32_t i = 0; i < world.offered; i++)
		if (world.completed[i] != 1)
			give_up("an event was never completed");
	totals.inputs++;
	return 0;
}

bool fuzz_report(uint64_t inputs)
{
	/* If most were refused at the door, nothing would have been tried. */
	(void)printf("clients: %llu, datagrams %llu, sessions %llu, events completed %llu\n",
	    (unsigned long long)totals.inputs, (unsigned long long)totals.datagrams,
	    (unsigned long long)totals.sessions, (unsigned long long)totals.completed);
	return totals.inputs == inputs && totals.sessions >= inputs / 4;
}
