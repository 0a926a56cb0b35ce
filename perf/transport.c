/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What acknowledgements cost one core: the same chain fed with plain datagrams, with frames of the event transport, and
 * with frames that carry MACs, by turns in one process. Events are distinct, and as many to a datagram in each.
 *
 * Two threads' work is measured apart, on one CPU: the worker's, which includes taking frames, building acknowledgements
 * and handing them to the source, and the sink thread's, which confirms events and so completes frames. In the daemon
 * they have cores of their own. What a port's driver and a sender cost is not in the figures.
 */
#include "machine.h"
#include "meter.h"
#include "options.h"
#include "rig.h"
#include "sink.h"
#include "wire.h"
#include "wire_mac.h"
#include "workload.h"

#include <errno.h>
#include <jansson.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENDERS 16u
#define BEHIND 900u      /* frames by which a sender's base is behind what it sends; the window has 1024 */
#define HELD_BATCHES 16u /* with the sink at any time */
#define TURN_ROUNDS 200u /* of one mode, before it is the next one's turn */
#define PAYLOAD (1400u - WIRE_HEADER_BYTES - WIRE_TRAILER_BYTES)
#define FRAME_MAX (WORKLOAD_HEADERS + 1400u + 2048u)

enum mode { PLAIN, ACKNOWLEDGED, AUTHENTICATED, MODES };
static const char *const mode_names[MODES] = {"plain", "acknowledged", "acknowledged, MAC"};

/* Feeds one mode at a time, and takes what the worker sends back. */
struct feed {
	struct source source; /* first */
	struct packet *packets[MODES];
	uint32_t n[MODES], next[MODES];
	enum mode mode;
	uint64_t answers[MODES], answer_bytes[MODES];
	uint8_t last[FRAME_MAX]; /* the last answer, headers included */
	uint32_t last_len;
};

static int feed_poll(struct source *source, struct packet *packets, uint32_t max)
{
	struct feed *feed = (struct feed *)source;
	enum mode mode = feed->mode;
	uint32_t left = feed->n[mode] - feed->next[mode];
	uint32_t n = left < max ? left : max;

	memcpy(packets, &feed->packets[mode][feed->next[mode]], n * sizeof(*packets));
	feed->next[mode] += n;
	return (int)n;
}

static void feed_release(struct source *source, struct packet *packets, uint32_t n)
{
	(void)source, (void)packets, (void)n;
}

static int feed_send(struct source *source, const void *packet, uint32_t len)
{
	struct feed *feed = (struct feed *)source;

	feed->answers[feed->mode]++;
	feed->answer_bytes[feed->mode] += len;
	feed->last_len = len < sizeof(feed->last) ? len : (uint32_t)sizeof(feed->last);
	memcpy(feed->last, packet, feed->last_len);
	return 0;
}

static void feed_stats(struct source *source, struct source_stats *out)
{
	(void)source;
	memset(out, 0, sizeof(*out));
}

static void feed_destroy(struct source *source)
{
	(void)source;
}

static const struct source_ops feed_ops = {
    .type = "feed",
    .poll = feed_poll,
    .release = feed_release,
    .send = feed_send,
    .stats = feed_stats,
    .destroy = feed_destroy,
};

struct sender {
	struct wire_header header;
	struct wire_mac *mac;
	uint64_t sequence;
};

struct bench {
	const struct perf_options *options;
	struct rig rig;
	struct feed feed;
	struct sink *sink;
	struct workload workload[MODES];
	struct hugemem frames[MODES];
	struct sender senders[MODES][SENDERS];
	struct batch *held[HELD_BATCHES];
	uint32_t first, n_held;
	struct meter worker[MODES], sinking[MODES];
};

static const uint8_t key[] = "a key of a benchmark, 32 bytes..";

static uint64_t source_id(enum mode mode, uint32_t sender)
{
	return 1 + mode * SENDERS + sender;
}

static int know_keys(struct bench *b, struct error *err)
{
	struct source_spec specs[SENDERS];
	struct source_keys *keys;
	int ret;

	memset(specs, 0, sizeof(specs));
	for (uint32_t s = 0; s < SENDERS; s++) {
		specs[s].id = source_id(AUTHENTICATED, s);
		specs[s].n_keys = 1;
		specs[s].keys[0] = (struct source_key){.id = 1, .len = sizeof(key) - 1};
		memcpy(specs[s].keys[0].bytes, key, sizeof(key) - 1);
	}
	ret = source_keys_create(specs, SENDERS, 1, &keys, err);
	if (ret != 0)
		return ret;
	/* Nobody works yet whose quiescent state it would have to wait for. */
	rte_rcu_qsbr_thread_offline(b->rig.engine->rcu, 0);
	transport_publish(b->rig.engine->transport, keys);
	rte_rcu_qsbr_thread_online(b->rig.engine->rcu, 0);
	for (uint32_t s = 0; s < SENDERS && ret == 0; s++)
		ret = wire_mac_create(&b->senders[AUTHENTICATED][s].mac, key, sizeof(key) - 1, 1, err);
	return ret;
}

static size_t seal(const struct sender *sender, uint8_t *datagram, size_t len)
{
	return sender->mac == NULL ? len
	                           : wire_mac_seal(sender->mac, datagram, len, len + WIRE_TRAILER_BYTES);
}

/* HELLO, and the token of the WELCOME. */
static int say_hello(struct bench *b, enum mode mode, uint32_t number, struct error *err)
{
	struct sender *sender = &b->senders[mode][number];
	uint16_t port = b->rig.config->streams[0].udp_port;
	const char *name = b->rig.config->streams[0].name;
	uint8_t packet[FRAME_MAX];
	struct packet hello = {.data = (const char *)packet, .kind = PACKET_ETHERNET};
	struct wire_frame welcome;
	enum wire_fault fault;
	size_t len;

	sender->header = (struct wire_header){
	    .flags = sender->mac != NULL ? WIRE_FLAG_MAC : 0,
	    .stream = wire_stream_hash(name, strlen(name)),
	    .source_id = source_id(mode, number),
	    .epoch = 1,
	};
	len = wire_write_hello(packet + WORKLOAD_HEADERS, WIRE_MAX_CONTROL_BYTES, &sender->header,
	    &(struct wire_hello){.nonce = number});
	len = seal(sender, packet + WORKLOAD_HEADERS, len);
	workload_write_headers(packet, (uint32_t)len, port, number);
	hello.len = (uint32_t)len + WORKLOAD_HEADERS;
	b->feed.mode = mode;
	b->feed.packets[mode] = &hello;
	b->feed.n[mode] = 1;
	b->feed.next[mode] = 0;
	b->feed.last_len = 0;
	(void)worker_round(b->rig.worker);
	if (b->feed.last_len <= WORKLOAD_HEADERS ||
	    wire_parse(b->feed.last + WORKLOAD_HEADERS, b->feed.last_len - WORKLOAD_HEADERS, &welcome,
	        &fault) != WIRE_FRAME ||
	    welcome.header.type != WIRE_WELCOME)
		return error_set(err, -EPROTO, "HELLO %u (%s) is not welcome", number, mode_names[mode]);
	sender->header.token = welcome.header.token;
	return 0;
}

/* Wraps the payloads of a workload into DATA frames, whose senders take turns. */
static int make_frames(struct bench *b, enum mode mode, struct error *err)
{
	const struct workload *w = &b->workload[mode];
	uint16_t port = b->rig.config->streams[0].udp_port;
	struct packet *packets = calloc(w->n_packets, sizeof(*packets));
	uint8_t *at;
	int ret;

	if (packets == NULL)
		return error_set(err, -ENOMEM, "no memory for %u frames", w->n_packets);
	ret =
	    hugemem_alloc((size_t)w->n_packets * 1536 + FRAME_MAX, -1, HUGEPAGES_AUTO, &b->frames[mode], err);
	at = b->frames[mode].address;
	for (uint32_t i = 0; i < w->n_packets && ret == 0; i++) {
		struct sender *sender = &b->senders[mode][i % SENDERS];
		const char *events = w->packets[i].data + WORKLOAD_HEADERS;
		uint32_t events_len = w->packets[i].len - WORKLOAD_HEADERS;
		uint16_t count = 1;
		size_t len;

		for (uint32_t c = 0; c < events_len; c++)
			count = (uint16_t)(count + (events[c] == '\n'));
		sender->header.sequence = sender->sequence++;
		sender->header.base = sender->header.sequence > BEHIND ? sender->header.sequence - BEHIND : 0;
		len = wire_write_data(
		    at + WORKLOAD_HEADERS, FRAME_MAX, &sender->header, events, events_len, count);
		if (len == 0 || len > 1400) {
			ret = error_set(err, -EMSGSIZE, "a frame of %zu bytes", len);
			break;
		}
		len = seal(sender, at + WORKLOAD_HEADERS, len);
		workload_write_headers(at, (uint32_t)len, port, i % SENDERS);
		packets[i] = (struct packet){.data = (const char *)at,
		    .len = (uint32_t)len + WORKLOAD_HEADERS,
		    .kind = PACKET_ETHERNET};
		at = (uint8_t *)(((uintptr_t)at + packets[i].len + 63) & ~(uintptr_t)63);
	}
	b->feed.packets[mode] = packets;
	b->feed.n[mode] = w->n_packets;
	b->feed.next[mode] = 0;
	return ret;
}

/* The sink's part: takes what is on the ring and confirms what is older than the last `keep` batches. */
static void sink_part(struct bench *b, uint32_t keep)
{
	struct batch *batch;

	for (;;) {
		bool more = rte_ring_sc_dequeue(b->rig.engine->rings[0][0], (void **)&batch) == 0;

		while (b->n_held > (more ? HELD_BATCHES - 1 : keep)) {
			struct batch *oldest = b->held[b->first++ % HELD_BATCHES];
			uint64_t events = oldest->n_events;

			b->n_held--;
			meter_start(&b->sinking[b->feed.mode]);
			(void)b->sink->ops->submit(b->sink, oldest);
			(void)meter_stop(&b->sinking[b->feed.mode], events);
		}
		if (!more)
			return;
		b->held[(b->first + b->n_held++) % HELD_BATCHES] = batch;
	}
}

/* One mode's turn. Returns whether it has more. */
static bool turn(struct bench *b, enum mode mode)
{
	const struct worker_stream_counts *counts = &b->rig.worker->pipeline->ledger->stream[0];

	b->feed.mode = mode;
	for (uint32_t i = 0; i < TURN_ROUNDS; i++) {
		uint64_t received = counts->received;

		meter_start(&b->worker[mode]);
		(void)worker_round(b->rig.worker);
		(void)meter_stop(&b->worker[mode], counts->received - received);
		sink_part(b, HELD_BATCHES);
	}
	(void)pipeline_hand_over(b->rig.worker->pipeline, true);
	sink_part(b, 0);
	return b->feed.next[mode] < b->feed.n[mode];
}

static void run(struct bench *b)
{
	bool more = true;

	while (more) {
		more = false;
		for (enum mode mode = 0; mode < MODES; mode++)
			more = turn(b, mode) || more;
	}
}

/* Every event of every mode was taken, and every frame accepted. */
static int check(const struct bench *b, struct error *err)
{
	const struct worker_stream_counts *counts = &b->rig.worker->pipeline->ledger->stream[0];
	uint64_t events = 0;

	for (enum mode mode = 0; mode < MODES; mode++)
		events += b->workload[mode].n_events;
	if (counts->received != events || counts->handed != events)
		return error_set(err, -EIO, "%llu events were fed, %llu received, %llu handed over",
		    (unsigned long long)events, (unsigned long long)counts->received,
		    (unsigned long long)counts->handed);
	return 0;
}

static int report(const struct bench *b, struct error *err)
{
	double plain = meter_mean(&b->worker[PLAIN]);
	json_t *modes = json_object();
	struct machine machine;
	json_t *root;
	int ret;

	machine_read(&machine);
	(void)printf("%s; %s; load average %.1f of %ld CPUs\n", machine.cpu, machine.isa, machine.load,
	    machine.n_cpus);
	(void)printf("%-18s %16s %18s %8s %16s %12s\n", "mode", "worker ns/event", "events/s per core",
	    "ratio", "sink ns/event", "answers");
	for (enum mode mode = 0; mode < MODES; mode++) {
		double ns = meter_mean(&b->worker[mode]), sink_ns = meter_mean(&b->sinking[mode]);

		(void)printf("%-18s %16.1f %18.0f %8.2f %16.1f %12llu\n", mode_names[mode], ns, 1e9 / ns,
		    plain / ns, sink_ns, (unsigned long long)b->feed.answers[mode]);
		json_object_set_new(modes, mode_names[mode],
		    json_pack("{s:f, s:f, s:f, s:f, s:I}", "ns_per_event", ns, "events_per_s_per_core",
		        1e9 / ns, "of_plain", plain / ns, "sink_ns_per_event", sink_ns, "answers",
		        (json_int_t)b->feed.answers[mode]));
	}
	if (b->options->output == NULL) {
		json_decref(modes);
		return 0;
	}
	root = json_pack("{s:o, s:{s:s, s:s, s:I, s:f}, s:I}", "modes", modes, "machine", "cpu", machine.cpu,
	    "isa", machine.isa, "cpus", (json_int_t)machine.n_cpus, "load_average", machine.load,
	    "events_per_mode", (json_int_t)b->options->events);
	ret = json_dump_file(root, b->options->output, JSON_INDENT(2));
	json_decref(root);
	return ret == 0 ? 0 : error_set(err, -EIO, "%s: cannot be written", b->options->output);
}

static int make_workloads(struct bench *b, struct error *err)
{
	const struct perf_options *o = b->options;
	int ret = 0;

	for (enum mode mode = 0; mode < MODES && ret == 0; mode++)
		ret = workload_create(&(struct workload_options){.n_events = o->events,
		                          .seed = 7 + (uint64_t)mode,
		                          .products = o->products,
		                          .users = o->users,
		                          .places = o->places,
		                          .zipf = o->zipf,
		                          .udp_port = b->rig.config->streams[0].udp_port,
		                          .payload_bytes = PAYLOAD},
		    &b->workload[mode], err);
	return ret;
}

static int bench(const struct perf_options *o, struct error *err)
{
	struct bench *b = calloc(1, sizeof(*b));
	int ret;

	if (b == NULL)
		return error_set(err, -ENOMEM, "no memory");
	b->options = o;
	b->feed.source = (struct source){.ops = &feed_ops, .name = "feed"};
	ret = rig_pin(o->cpu, err);
	if (ret == 0)
		ret = rig_open(&(struct rig_options){.config = o->config,
		                   .dimensions = o->dimensions,
		                   .n_dimensions = o->n_dimensions,
		                   .dedup_slots = o->dedup_slots,
		                   .senders = SENDERS * MODES},
		    &b->rig, err);
	if (ret == 0)
		ret = sink_capture_create(NULL, NULL, 0, &b->sink, err);
	if (ret == 0)
		ret = make_workloads(b, err);
	if (ret == 0)
		ret = worker_add_source(b->rig.worker, &b->feed.source);
	if (ret == 0)
		ret = know_keys(b, err);
	for (enum mode mode = ACKNOWLEDGED; mode < MODES && ret == 0; mode++) {
		for (uint32_t s = 0; s < SENDERS && ret == 0; s++)
			ret = say_hello(b, mode, s, err);
	}
	for (enum mode mode = ACKNOWLEDGED; mode < MODES && ret == 0; mode++)
		ret = make_frames(b, mode, err);
	if (ret == 0) {
		b->feed.packets[PLAIN] = b->workload[PLAIN].packets;
		b->feed.n[PLAIN] = b->workload[PLAIN].n_packets;
		memset(b->feed.answers, 0, sizeof(b->feed.answers));
		run(b);
		ret = check(b, err);
	}
	if (ret == 0)
		ret = report(b, err);
	if (b->sink != NULL)
		b->sink->ops->close(b->sink);
	rig_close(&b->rig);
	for (enum mode mode = 0; mode < MODES; mode++) {
		for (uint32_t s = 0; s < SENDERS; s++)
			wire_mac_destroy(b->senders[mode][s].mac);
		hugemem_free(&b->frames[mode]);
		if (mode != PLAIN && b->frames[mode].address != NULL)
			free(b->feed.packets[mode]);
		workload_destroy(&b->workload[mode]);
	}
	free(b);
	return ret;
}

static const char usage[] = "usage: transport --config F [--dimension NAME=FILE]... [--events N] "
                            "[--dedup-slots N] [--products N] [--users N]\n"
                            "                 [--places N] [--zipf S] [--cpu N] [--output F.json]\n";

int main(int argc, char **argv)
{
	struct perf_options options;
	struct error err;

	if (perf_options_read(argc, argv, 1000000, &options) != 0 || !options.references) {
		(void)fputs(usage, stderr);
		return 2;
	}
	if (bench(&options, &err) != 0) {
		(void)fprintf(stderr, "transport: %s\n", err.text);
		return 1;
	}
	return 0;
}
