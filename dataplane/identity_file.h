/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The format of an identity segment: which identities became durable, and when. docs/records.md describes it.
 *
 * A segment is a header and then blocks, all integers little-endian, every block at a multiple of 8 bytes. A block of
 * identities belongs to one stream and one tick of the dedup window, so that its marks need no time each; a checkpoint
 * says how far the output topics are covered by all identities before it. Everything is checksummed, by XXH3.
 *
 * Any thread; no allocation, no system call. Cost of a scan: one checksum over the bytes.
 */
#ifndef PENSTOCK_IDENTITY_FILE_H
#define PENSTOCK_IDENTITY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IDENTITY_VERSION 1u
#define IDENTITY_HEADER_BYTES 64u
#define IDENTITY_BLOCK_BYTES 48u /* of a block's head */
#define IDENTITY_KEY_BYTES 16u
#define IDENTITY_BLOCK_KEYS 4096u            /* at most, in one block */
#define IDENTITY_CHECKPOINT_BYTES (1u << 20) /* at most, of one checkpoint */

/* Milliseconds on both clocks at one moment. The monotonic one is good for as long as the machine runs. */
struct identity_time {
	int64_t wall_ms, mono_ms;
};

struct identity_header {
	uint8_t boot[16];   /* of the machine, so that its monotonic clock can be trusted */
	uint64_t secret_id; /* says whether keys can be compared, and nothing about the secret */
	uint64_t sequence;  /* of the segment */
};

enum identity_block_type { IDENTITY_BLOCK_MARKS = 1, IDENTITY_BLOCK_CHECKPOINT = 2 };

struct identity_block {
	uint16_t type;      /* enum identity_block_type */
	uint64_t stream_id; /* of what makes the keys comparable: identity_stream_id() */
	struct identity_time time;
	const void *payload; /* marks: keys of 16 bytes; checkpoint: text */
	uint32_t count;      /* keys, or bytes of text */
};

enum identity_verdict {
	IDENTITY_OK,
	IDENTITY_EMPTY,    /* shorter than a header: a crash made it, or a full disk */
	IDENTITY_FOREIGN,  /* not a segment */
	IDENTITY_NEWER,    /* of another version */
	IDENTITY_DAMAGED,  /* its header is */
	IDENTITY_UNRELATED /* keys made with another secret */
};
const char *identity_verdict_text(enum identity_verdict verdict);

/* Names what a stream's keys are hashes of: its name and its identity field (NULL: the bytes of the event). */
uint64_t identity_stream_id(const char *stream, const char *identity);

/* Writes IDENTITY_HEADER_BYTES. */
void identity_header_write(const struct identity_header *header, void *to);

/* Writes a block, with its payload, and returns its length; `to` has room for identity_block_size(). */
size_t identity_block_write(const struct identity_block *block, void *to);
size_t identity_block_size(enum identity_block_type type, uint32_t count);

/* Reads a segment's header. */
enum identity_verdict identity_header_read(
    const void *data, size_t len, uint64_t secret_id, struct identity_header *out);

/* Where a scan is. Start with `at` and `good` behind the header. */
struct identity_scan {
	const uint8_t *data;
	size_t len, at;
	size_t good;       /* the end of the last block that is whole */
	uint64_t damaged;  /* bytes that were skipped before `good`: bit rot */
	uint32_t n_blocks; /* whole ones */
};

/* The next whole block; what is not one is skipped. False: there is none up to the end. What then lies behind `good`
 * is a torn tail, or rot at the end. */
bool identity_scan_next(struct identity_scan *scan, struct identity_block *out);

#endif
