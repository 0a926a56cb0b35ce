/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of the journal, version 1. All integers are little-endian, as is every machine that DPDK's x86
 * build runs on; a static assert holds the build to it.
 *
 * A segment is a file `<number, 16 hex digits>.segment`, preallocated. It begins with two equal copies of
 * struct journal_segment_header, each with its own checksum; then come groups of records. A group begins on a
 * block of 4096 bytes and is padded with zeros to the end of its last one: what one fdatasync has made durable
 * is never written again. Within a group, records begin on multiples of 64 bytes; the last one of a group says
 * so.
 *
 * A record is one batch: struct journal_record, then n_records struct record (batch.h), n_events struct
 * journal_event, and the used bytes of the batch. Header and payload have a checksum each (XXH3-64, seeded
 * with the journal's id, so that bytes of another journal never look like a record).
 *
 * Records are numbered without gaps by `sequence`, and count events by `first_event`: whatever is lost between
 * two whole records is known exactly. `unsynced` says how many records before this one were not yet known to
 * be on the disk when it was written: by that, a record that a power cut has torn (never acknowledged) is told
 * from one that has rotted (acknowledged).
 *
 * Streams and reasons are numbers in records and names in the segment's header, so that a journal outlives
 * a change of the configuration and of the program.
 *
 * Pure functions; any thread.
 */
#ifndef PENSTOCK_JOURNAL_FORMAT_H
#define PENSTOCK_JOURNAL_FORMAT_H

#include "batch.h"
#include "error.h"

#define JOURNAL_VERSION 1u
#define JOURNAL_MAGIC "PNSKJRNL"
#define JOURNAL_BLOCK 4096u
#define JOURNAL_ALIGN 64u
#define JOURNAL_HEADER_COPY 16384u
#define JOURNAL_HEADER_BYTES (2u * JOURNAL_HEADER_COPY)
#define JOURNAL_ID_BYTES 16u
#define JOURNAL_NAME_BYTES 26u /* "0123456789abcdef.segment" and the NUL */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the journal's integers are little-endian");

struct journal_segment_header {
	char magic[8]; /* JOURNAL_MAGIC */
	uint32_t version;
	uint32_t header_bytes; /* JOURNAL_HEADER_BYTES */
	uint8_t id[JOURNAL_ID_BYTES];
	uint64_t number;
	uint64_t first_sequence; /* records of earlier segments from here on do not count: they are here */
	uint64_t first_event;
	uint64_t bytes; /* of the whole file, preallocated */
	int64_t created_ms;
	uint16_t n_streams, n_reasons;
	uint32_t names_len;
	uint64_t checksum;                    /* of the whole copy with this field 0 */
	char names[JOURNAL_HEADER_COPY - 88]; /* streams, then reasons, each with its NUL */
};
_Static_assert(sizeof(struct journal_segment_header) == JOURNAL_HEADER_COPY, "no surprising padding");

enum journal_record_flag {
	JOURNAL_LAST = 1, /* of its group: the next record begins on a block */
};
#define JOURNAL_HAS(kind) (2u << (kind)) /* flag: there are records of that kind */

struct journal_record {
	uint32_t magic;
	uint32_t length; /* of the payload */
	uint64_t sequence;
	uint64_t first_event; /* events in all records before this one */
	int64_t arrival_ms;
	uint64_t payload_checksum;
	uint64_t header_checksum; /* of this struct with this field 0 */
	uint16_t stream;          /* index into the header's names */
	uint16_t flags;
	uint16_t n_events, n_records;
	uint32_t used;     /* bytes of the batch */
	uint32_t unsynced; /* records sequence-unsynced ... sequence-1 were not known to be durable */
};
_Static_assert(sizeof(struct journal_record) == JOURNAL_ALIGN, "one record header, one cache line");

struct journal_event {
	uint64_t key[2]; /* keyed hash of the identity, where flags say EVENT_MARKED */
	int64_t time_ms;
	uint32_t raw, raw_len;
	uint32_t id, id_len;
	uint32_t message, message_len;
	uint32_t partition, partition_len;
	uint8_t dead_letter;
	uint8_t reason; /* index into the header's names */
	uint8_t flags;
	uint8_t reserved[5];
};
_Static_assert(sizeof(struct journal_event) == 64, "no surprising padding");
_Static_assert(sizeof(struct record) == 20, "struct record is part of the format");

#define JOURNAL_PAYLOAD_MAX                                \
	(BATCH_RECORDS * (uint32_t)sizeof(struct record) + \
	    BATCH_EVENTS * (uint32_t)sizeof(struct journal_event) + BATCH_BYTES)

/* What a segment's numbers mean to the running program. */
struct journal_names {
	uint16_t stream[CONFIG_MAX_STREAMS]; /* index in the configuration */
	uint8_t reason[256];                 /* enum reason */
	uint16_t n_streams, n_reasons;
};

static inline uint64_t journal_align(uint64_t offset, uint64_t to)
{
	return (offset + to - 1) / to * to;
}

/* Where the record after this one begins. */
static inline uint64_t journal_after(const struct journal_record *record, uint64_t offset)
{
	return journal_align(offset + sizeof(*record) + record->length,
	    record->flags & JOURNAL_LAST ? JOURNAL_BLOCK : JOURNAL_ALIGN);
}

void journal_segment_name(uint64_t number, char name[JOURNAL_NAME_BYTES]);
/* Whether it is the name of a segment, and of which. */
bool journal_segment_number(const char *name, uint64_t *number);

/* The seed of a journal's checksums. */
uint64_t journal_seed(const uint8_t id[JOURNAL_ID_BYTES]);

/* Fills one copy from the configuration; number, first_sequence, first_event, bytes, created_ms and id are set
 * by the caller before. 0, or -ENAMETOOLONG. */
int journal_segment_seal(struct journal_segment_header *header, const struct config *config);

/* 0, or what is wrong with a copy: -ENODATA all zeros, -EBADMSG not a header or damaged, -EPROTONOSUPPORT of
 * another version. */
int journal_segment_check(const struct journal_segment_header *copy, struct error *err);

/* Translates the names. -ENOENT: a stream or reason that the program does not know, named in err. */
int journal_names_read(const struct journal_segment_header *header, const struct config *config,
    struct journal_names *names, struct error *err);

/* Computes the header's checksum; everything else is set. */
void journal_record_seal(struct journal_record *record, uint64_t seed);

/* Whether these 64 bytes are the header of a record whose payload cannot be larger than it may be. */
bool journal_record_valid(const struct journal_record *record, uint64_t seed);

/* The checksum of a payload that is in three pieces. */
uint64_t journal_payload_sum(const struct journal_record *record, const struct record *records,
    const struct journal_event *events, const char *bytes, uint64_t seed);

/* Whether every index and offset of a payload is inside it, whoever has written it. */
bool journal_payload_sound(const struct journal_record *record, const struct record *records,
    const struct journal_event *events, uint16_t n_reasons);

#endif
