/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of the Kafka sink, shared by its files and by nobody else; everything here belongs to the sink
 * thread unless it says otherwise.
 *
 *   sink_kafka.c      the function table, creation, description
 *   kafka_slot.c      a batch while the sink has it: items still to produce, records confirmed
 *   kafka_produce.c   hands items to librdkafka
 *   kafka_lane.c      a topic's share of librdkafka's queue, and when it is tried again
 *   kafka_report.c    delivery reports, and what follows from an error
 *   kafka_connection.c  whether brokers can be reached, and why not
 *   kafka_group.c     record: batch: gathers the events of one partition into one record
 *   kafka_producer.c  the librdkafka handles, made anew after a fatal error
 *   kafka_headers.c   CloudEvents and dead letter headers
 *   kafka_embedded.c  the broker inside the process
 *
 * An item is what librdkafka sees as one message: a record of the batch, a group of records, or the dead
 * letter of an event whose record turned out to be too large. Values are not copied: they stay in the batch
 * (or in the slot's gathered text) until the delivery report is in. The message's opaque word names slot and
 * item.
 *
 * A lane is one output of one stream, so one topic. What is about a topic is kept there: its errors, when it is
 * tried again, its share of librdkafka's queue. A topic that is missing or stands still holds up what is for
 * it and nothing else.
 *
 * Errors: whatever the broker or the network says, an item is produced again, after a pause, until it is
 * delivered or the sink is closed. Only a record that is too large when sent all by itself becomes a dead
 * letter. A broker refuses whole requests for their size, so a refused record is first sent again through the
 * producer `alone`, which puts one record into one request.
 */
#ifndef PENSTOCK_KAFKA_SINK_H
#define PENSTOCK_KAFKA_SINK_H

#include "clock.h"
#include "kafka_checkpoint.h"
#include "kafka_group.h"
#include "sink.h"

#include <pthread.h>

#include <librdkafka/rdkafka.h>

#define KAFKA_SLOTS 512u /* batches that the sink has at a time */
#define KAFKA_BACKOFF_MIN_NS 50000000ull
#define KAFKA_BACKOFF_MAX_NS 5000000000ull

enum kafka_connection {
	KAFKA_CONNECTING,
	KAFKA_CONNECTED, /* at least one broker is up */
	KAFKA_UNREACHABLE,
	KAFKA_TLS_FAILED,
	KAFKA_AUTHENTICATION_FAILED,
};

enum kafka_item { KAFKA_RECORD, KAFKA_GROUP, KAFKA_TOO_LARGE, KAFKA_ITEMS };

/* Item indexes: a record's in the batch, a group's in the slot, an event's in the batch. */
#define KAFKA_MAX_INDEX BATCH_RECORDS
#define KAFKA_WORDS (KAFKA_MAX_INDEX / 64)

struct kafka_slot {
	struct batch *batch; /* NULL: free */
	uint32_t number;
	uint32_t cursor;      /* the first record that has never been tried */
	uint32_t next_group;  /* the first group that has never been tried */
	uint32_t outstanding; /* records not confirmed, and one more until all have been tried */
	uint32_t n_todo;      /* bits in todo */
	bool ungrouped;       /* record: batch: waits until it is known how many partitions there are */
	uint64_t todo[KAFKA_ITEMS][KAFKA_WORDS]; /* to be produced (again) */
	uint64_t confirmed[KAFKA_WORDS];         /* records */
	uint64_t alone[KAFKA_WORDS];             /* records to send one per request */
	uint64_t waiting[KAFKA_WORDS];    /* records too large: confirmed with their event's dead letter */
	uint64_t dead[BATCH_EVENTS / 64]; /* events whose dead letter has been made here... */
	uint64_t dead_done[BATCH_EVENTS / 64]; /* ...and delivered */
	struct kafka_groups groups;
};

struct kafka_lane {
	uint64_t in_flight, in_flight_bytes; /* with the producer `main` */
	uint64_t n_todo;                     /* items in the slots' todo */
	uint64_t retry_ns;                   /* when to try again; 0: no error since the last delivery */
	uint64_t backoff_ns;
	bool unknown; /* ask for metadata before the next attempt */
};

struct kafka_producer {
	rd_kafka_t *rk; /* NULL: not there (yet, or after a fatal error) */
	rd_kafka_queue_t *queue;
	rd_kafka_topic_t *topic[CONFIG_MAX_STREAMS][RECORD_KINDS];
	uint64_t in_flight; /* messages without a delivery report */
	bool fatal;         /* takes nothing more; made anew when nothing is in flight */
	bool alone;         /* one record per request */
	bool wanted;        /* there is to be one */
	uint64_t retry_ns;  /* when to try to make it, or to empty it, again */
};

/* What describe() shows. */
struct kafka_status {
	pthread_mutex_t mutex; /* of these three */
	char error[512];
	int64_t error_ms;
	int certificate; /* librdkafka's threads: what OpenSSL last found wrong with one */
	_Atomic uint64_t outstanding, batches, todo;                  /* sink thread: rw, others: ro */
	_Atomic enum kafka_connection connection;                     /* sink thread: rw, others: ro */
	_Atomic bool failing, full, no_producer, topics_unknown;      /* sink thread: rw, others: ro */
	_Atomic uint64_t delivered[CONFIG_MAX_STREAMS][RECORD_KINDS]; /* sink thread: rw, others: ro */
	_Atomic uint64_t waiting[CONFIG_MAX_STREAMS][RECORD_KINDS];   /* sink thread: rw, others: ro */
	_Atomic bool stalled[CONFIG_MAX_STREAMS][RECORD_KINDS];       /* sink thread: rw, others: ro */
};

struct sink_kafka {
	struct sink sink;
	const struct config *config;
	const char *brokers;
	uint32_t dead_letter_max;        /* bytes of key and value */
	struct kafka_embedded *embedded; /* NULL: brokers of the user's */
	struct kafka_producer main, alone;
	struct kafka_checkpoint *checkpoint; /* NULL: nobody asks how far the topics are covered */
	struct kafka_headers *headers[CONFIG_MAX_STREAMS]; /* what is the same for all records of a stream */
	int32_t partitions[CONFIG_MAX_STREAMS][RECORD_KINDS]; /* record: batch; 0: not known yet */
	uint64_t partitions_ns;                               /* when to ask for them again */
	struct kafka_grouping *grouping;
	struct kafka_slot *slots; /* KAFKA_SLOTS */
	uint32_t free_slots[KAFKA_SLOTS], n_free;
	struct kafka_slot *current; /* not all of its records have been tried: librdkafka's queue is full */
	bool full;                  /* librdkafka's queue was full at the last attempt */
	uint64_t n_todo, n_outstanding; /* items; records */
	struct kafka_lane lane[CONFIG_MAX_STREAMS][RECORD_KINDS];
	uint32_t n_lanes, n_ungrouped;
	uint64_t queue_messages, queue_bytes; /* what librdkafka's queue takes */
	uint64_t in_flight_bytes;             /* of all lanes */
	uint64_t now_ns;                      /* of this round */
	uint64_t delivered[CONFIG_MAX_STREAMS][RECORD_KINDS];
	int confirmed;                 /* since the last poll */
	bool failing;                  /* an error since the last delivery */
	bool connected;                /* to some broker, when librdkafka last said */
	bool old_scram;                /* SCRAM as Kafka 4 refuses it */
	enum kafka_connection trouble; /* what the last failed connection failed by */
	struct kafka_status status;
};

static inline bool kafka_bit(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static inline void kafka_bit_set(uint64_t *bits, uint32_t i)
{
	bits[i / 64] |= 1ull << (i % 64);
}

static inline void kafka_bit_clear(uint64_t *bits, uint32_t i)
{
	bits[i / 64] &= ~(1ull << (i % 64));
}

/* kafka_slot.c */

static inline void *kafka_opaque(const struct kafka_slot *slot, enum kafka_item item, uint32_t index)
{
	return (void *)((uintptr_t)slot->number << 16 | (uintptr_t)item << 14 | index);
}

static inline struct kafka_slot *kafka_slot_of(
    struct sink_kafka *kafka, void *opaque, enum kafka_item *item, uint32_t *index)
{
	uintptr_t word = (uintptr_t)opaque;

	*item = (enum kafka_item)(word >> 14 & 3);
	*index = (uint32_t)(word & 0x3fff);
	return &kafka->slots[word >> 16];
}
_Static_assert(KAFKA_MAX_INDEX <= 0x4000 && KAFKA_ITEMS <= 4, "an opaque word holds index, item and slot");

/* NULL: all are taken, or there is no memory for the groups. */
struct kafka_slot *kafka_slot_get(struct sink_kafka *kafka, struct batch *batch);
/* Every item of the slot has been tried once. */
void kafka_slot_settle(struct sink_kafka *kafka, struct kafka_slot *slot);
void kafka_slot_todo(struct sink_kafka *kafka, struct kafka_slot *slot, enum kafka_item item, uint32_t index);
/* The record is durable. Releases batch and slot with the last one. */
void kafka_slot_confirm(struct sink_kafka *kafka, struct kafka_slot *slot, uint32_t record);
/* The record does not fit any request: its event becomes a dead letter, once. */
void kafka_slot_too_large(struct sink_kafka *kafka, struct kafka_slot *slot, uint32_t record);
void kafka_slot_dead_letter_done(struct sink_kafka *kafka, struct kafka_slot *slot, uint32_t event);
/* Counts what is not confirmed as shed, and releases the batch. Nothing may be in flight any more. */
void kafka_slot_give_up(struct sink_kafka *kafka, struct kafka_slot *slot);

enum record_kind kafka_slot_kind(const struct kafka_slot *slot, enum kafka_item item, uint32_t index);
/* What the item counts in the lane's share. */
uint64_t kafka_slot_bytes(const struct kafka_slot *slot, enum kafka_item item, uint32_t index);
/* Takes an item off the todo. */
void kafka_slot_taken(
    struct sink_kafka *kafka, struct kafka_slot *slot, enum kafka_item item, uint32_t index);
/* record: batch: gathers the records of slots that waited until the partitions are known. */
void kafka_slots_group(struct sink_kafka *kafka);

/* kafka_lane.c */

struct kafka_lane *kafka_lane_of(
    struct sink_kafka *kafka, const struct kafka_slot *slot, enum kafka_item item, uint32_t index);
/* How many lanes there are, and what they can have. */
void kafka_lanes_create(struct sink_kafka *kafka);
/* Whether it is time to try, and there is room: half of librdkafka's queue is for whoever comes, the other half
 * is divided into equal shares. */
bool kafka_lane_open(const struct sink_kafka *kafka, const struct kafka_lane *lane);
/* Whether something in the slots' todo can be produced now. */
bool kafka_lanes_ready(const struct sink_kafka *kafka);
/* librdkafka has taken a message, and given it back. */
void kafka_lane_sent(struct sink_kafka *kafka, struct kafka_lane *lane, uint64_t bytes);
void kafka_lane_answered(struct sink_kafka *kafka, struct kafka_lane *lane, uint64_t bytes);
void kafka_lane_works(struct kafka_lane *lane);
/* Is tried again after a pause, which doubles. `unknown`: there is no such topic or partition. */
void kafka_lane_fails(struct kafka_lane *lane, bool unknown);

/* kafka_produce.c */

/* Produces what has never been tried of kafka->current, as far as librdkafka takes it. */
void kafka_produce_current(struct sink_kafka *kafka);
/* Produces what is in the slots' todo. */
void kafka_produce_todo(struct sink_kafka *kafka);

/* kafka_report.c */

/* The outcome of producing an item, from the call itself or from its delivery report. */
void kafka_outcome(
    struct sink_kafka *kafka, struct kafka_producer *producer, void *opaque, rd_kafka_resp_err_t code);
/* Serves the producer's events, waiting for at most timeout_ms for the first. */
void kafka_serve(struct sink_kafka *kafka, struct kafka_producer *producer, int timeout_ms);
/* Remembers an error for describe(). */
void kafka_note_error(struct sink_kafka *kafka, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* kafka_connection.c */

const char *kafka_connection_name(enum kafka_connection connection);
/* An error that librdkafka reports on its own; those that are not about connections change nothing. */
void kafka_connection_error(struct sink_kafka *kafka, rd_kafka_resp_err_t code);
/* Something has been delivered. */
void kafka_connection_works(struct sink_kafka *kafka);
/* librdkafka's statistics, once a second. */
void kafka_connection_statistics(struct sink_kafka *kafka, const char *json);
/* For rd_kafka_conf_set_ssl_cert_verify_cb(), with the sink as the opaque. */
int kafka_connection_certificate(rd_kafka_t *rk, const char *broker, int32_t id, int *verdict, int depth,
    const char *der, size_t len, char *reason, size_t reason_size, void *opaque);
/* What OpenSSL or we know of the cause beyond librdkafka's message; NULL: nothing. */
const char *kafka_connection_cause(struct sink_kafka *kafka, rd_kafka_resp_err_t code);
/* Whether the properties ask for what this librdkafka cannot do with every broker. */
bool kafka_connection_old_scram(const rd_kafka_conf_t *conf);

/* kafka_producer.c */

int kafka_producer_create(struct sink_kafka *kafka, struct kafka_producer *producer, struct error *err);
/* Makes a producer that is wanted; after a fatal error as soon as nothing is in flight in the old one. */
void kafka_producer_revive(struct sink_kafka *kafka, struct kafka_producer *producer, uint64_t now_ns);
void kafka_producer_fatal(struct sink_kafka *kafka, struct kafka_producer *producer);
/* NULL fields are allowed. Blocks until librdkafka's threads are gone. */
void kafka_producer_destroy(struct kafka_producer *producer);
/* record: batch: asks the broker from time to time how many partitions the topics have. */
void kafka_partitions_refresh(struct sink_kafka *kafka, uint64_t now_ns);
/* Brings librdkafka's knowledge up to date before a topic is tried again that was unknown, so that one created
 * meanwhile is found. */
void kafka_topics_refresh(struct sink_kafka *kafka);
/* record: batch: whether it is known how many partitions the stream's topics have. */
bool kafka_partitions_known(const struct sink_kafka *kafka, uint16_t stream);
/* NULL: the stream has no such output. */
const char *kafka_topic_name(const struct sink_kafka *kafka, uint16_t stream, enum record_kind kind);

#endif
