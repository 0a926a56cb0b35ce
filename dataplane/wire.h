/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event transport's frames: what docs/protocol.md specifies, as code. Used by the daemon and by
 * libpenstock.
 *
 * Reads and writes datagrams, nothing else: no state, no allocation, no system call, libc only; any thread.
 * All integers on the wire are little-endian. Writers return the size of the datagram without the MAC
 * trailer, for which wire_mac.h needs WIRE_TRAILER_BYTES more of room. Readers never look beyond the frame
 * they are given, and reading a frame that a writer made gives back what was written.
 *
 * What the formats rely on, in short (the state machines are in docs/protocol.md):
 * - A frame is reported as durable only in an acknowledgement that also carries every exception of it.
 *   Where they do not fit, the frame is reported as received until the sender's base has moved up. So a
 *   sender may take each acknowledgement at its word, whatever was lost or overtaken before it.
 * - Acknowledgements of a session are numbered. Durable is for ever; "received" and credit are those of
 *   the highest number seen, and a frame may fall back from received to unknown (its delivery failed), to
 *   be sent again.
 * - A session belongs to the address that sent its HELLO. The same HELLO from the same address gets the
 *   same token; from another address, or with a higher epoch, a new one, which takes over when the first
 *   frame with it arrives.
 * - A sender that turns to another daemon takes a higher epoch.
 */
#ifndef PENSTOCK_WIRE_H
#define PENSTOCK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC "PNSK"
#define WIRE_VERSION 1u
#define WIRE_HEADER_BYTES 56u
#define WIRE_TRAILER_BYTES 20u /* key id and MAC */
#define WIRE_MAC_BYTES 16u
#define WIRE_KEY_MIN_BYTES 16u
#define WIRE_KEY_MAX_BYTES 64u
#define WIRE_MAX_EVENTS 64u   /* in one DATA frame */
#define WIRE_MAX_WINDOW 2048u /* frames */
#define WIRE_MAX_SEQUENCE (UINT64_MAX >> 1)
/* Every datagram but DATA fits an IPv6 packet of the minimum MTU. */
#define WIRE_MAX_CONTROL_BYTES 1232u
#define WIRE_MAX_CONTROL_PAYLOAD (WIRE_MAX_CONTROL_BYTES - WIRE_HEADER_BYTES - WIRE_TRAILER_BYTES)
#define WIRE_HELLO_BYTES 32u /* payloads */
#define WIRE_WELCOME_BYTES 32u
#define WIRE_ACK_BYTES 32u /* without bitmaps and exceptions */
#define WIRE_EXCEPTION_BYTES 12u
#define WIRE_MAX_WORDS (WIRE_MAX_WINDOW / 64u)
#define WIRE_MAX_EXCEPTIONS ((WIRE_MAX_CONTROL_PAYLOAD - WIRE_ACK_BYTES) / WIRE_EXCEPTION_BYTES)
/* The least that is left for exceptions when both bitmaps are full. */
#define WIRE_MIN_EXCEPTIONS \
	((WIRE_MAX_CONTROL_PAYLOAD - WIRE_ACK_BYTES - 16u * WIRE_MAX_WORDS) / WIRE_EXCEPTION_BYTES)

enum wire_type {
	WIRE_HELLO = 1,
	WIRE_WELCOME = 2,
	WIRE_DATA = 3,
	WIRE_ACK = 4,
	WIRE_PROBE = 5,
	WIRE_CLOSE = 6,
	WIRE_CLOSED = 7,
	WIRE_ERROR = 8,
};

enum wire_codec {
	WIRE_CODEC_NONE = 0,
	WIRE_CODEC_NDJSON = 1,
};

enum wire_flag {
	WIRE_FLAG_MAC = 1,
	WIRE_FLAG_SLOW_DOWN = 2,  /* ACK: the source is above its rate, frames were refused */
	WIRE_FLAG_RETRANSMIT = 4, /* DATA: this frame was sent before in this epoch */
};

/* Codes of ERROR frames: append only. */
/* clang-format off */
/*     code enum suffix        name                help */
#define WIRE_ERROR_TABLE(X) \
	X(1,  VERSION,          "version",          "the frame's version is not spoken here") \
	X(2,  UNKNOWN_STREAM,   "unknown_stream",   "the port belongs to another stream") \
	X(3,  BAD_MAC,          "bad_mac",          "a MAC is required, or is by an unknown key, or is wrong") \
	X(4,  TOO_LARGE,        "too_large",        "the payload is longer than WELCOME's max_payload") \
	X(5,  UNKNOWN_SESSION,  "unknown_session",  "no session has this token: say HELLO; in answer to CLOSE: it has ended") \
	X(6,  STALE_EPOCH,      "stale_epoch",      "a session with a higher epoch is live; the header's epoch is that one") \
	X(7,  MALFORMED,        "malformed",        "the frame breaks a rule of its format") \
	X(8,  UNKNOWN_SOURCE,   "unknown_source",   "the source is not listed, or has been revoked") \
	X(9,  DRAINING,         "draining",         "the daemon is about to stop: go to another") \
	X(10, NOT_READY,        "not_ready",        "the daemon cannot take events yet") \
	X(11, TOO_MANY_SOURCES, "too_many_sources", "no session is free")
/* clang-format on */

enum wire_error_code {
	WIRE_ERROR_NONE = 0,
#define X(code, suffix, name, help) WIRE_ERROR_##suffix = (code),
	WIRE_ERROR_TABLE(X)
#undef X
	    WIRE_ERROR_COUNT
};

/* Host byte order. `length` and `type` are set by the writers of the payloads. */
struct wire_header {
	uint8_t type;  /* enum wire_type */
	uint8_t codec; /* enum wire_codec */
	uint8_t flags; /* enum wire_flag */
	uint32_t stream;
	uint32_t token; /* of the session; 0 in HELLO */
	uint64_t source_id;
	uint64_t epoch;
	uint64_t sequence;
	uint64_t base;
	uint32_t timestamp_us; /* sender's clock; the daemon echoes it */
	uint16_t count;        /* DATA: events; ERROR: enum wire_error_code; otherwise 0 */
	uint16_t length;       /* of the payload */
};

/* A parsed frame: a view into the datagram. */
struct wire_frame {
	struct wire_header header;
	const uint8_t *payload;
	const uint8_t *mac; /* WIRE_MAC_BYTES bytes, or NULL without WIRE_FLAG_MAC; not verified */
	uint32_t key_id;
};

enum wire_kind {
	WIRE_PLAIN, /* does not start with the magic: NDJSON */
	WIRE_FRAME,
	WIRE_MALFORMED,
};

/* Why a datagram that starts with the magic is not a frame. */
enum wire_fault {
	WIRE_FAULT_NONE,
	WIRE_FAULT_TRUNCATED, /* shorter than a header */
	WIRE_FAULT_VERSION,
	WIRE_FAULT_TYPE,
	WIRE_FAULT_FLAGS,  /* unknown, or not of this type */
	WIRE_FAULT_LENGTH, /* disagrees with the datagram's */
	WIRE_FAULT_CODEC,
	WIRE_FAULT_COUNT,
	WIRE_FAULT_TOO_LARGE, /* a control frame above WIRE_MAX_CONTROL_PAYLOAD */
	WIRE_FAULT_PAYLOAD,   /* too short for its type, or its lists do not fit it */
	WIRE_FAULT_SEQUENCE,  /* sequence and base contradict each other */
	WIRE_FAULT_TOKEN,     /* 0 where a session is named, or not 0 in HELLO */
	WIRE_FAULT_COUNT_OF_FAULTS
};

/* Classifies a datagram and checks all that can be checked without a session. WIRE_FRAME: `frame` is filled
 * and its payload can be read by the reader of its type. WIRE_MALFORMED: `*fault` says why, and as much of
 * frame->header is filled as the datagram is long enough for and its version allows (all zero otherwise). */
enum wire_kind wire_parse(
    const uint8_t *datagram, size_t len, struct wire_frame *frame, enum wire_fault *fault);

/* In a few words, for messages. Any value. */
const char *wire_fault_text(enum wire_fault fault);

/* "unknown_session"; "unknown" for a code that this version does not know. */
const char *wire_error_name(unsigned int code);

/* What it means, in a few words; "" for a code that this version does not know. */
const char *wire_error_help(unsigned int code);

/* Writes the WIRE_HEADER_BYTES of a header. */
void wire_write_header(uint8_t *out, const struct wire_header *header);

/* FNV-1a, 32 bit, of a stream's name. */
uint32_t wire_stream_hash(const char *name, size_t len);

/* Where `sequence` is counted from `base`, or -1 outside of [base, base + window). */
static inline int64_t wire_offset(uint64_t base, uint64_t sequence, uint32_t window)
{
	return sequence >= base && sequence - base < window ? (int64_t)(sequence - base) : -1;
}

/* From `then` to `now` on a clock of 32 bits in microseconds: right up to 71 minutes. */
static inline uint32_t wire_elapsed_us(uint32_t now, uint32_t then)
{
	return now - then;
}

/* Of two acknowledgement numbers, a is the later one. They wrap. */
static inline bool wire_serial_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

struct wire_hello {
	uint64_t nonce; /* random; comes back in WELCOME */
};

struct wire_welcome {
	uint64_t instance; /* random, one per run of the daemon */
	uint64_t nonce;    /* of the HELLO */
	uint32_t credit;   /* as in struct wire_ack, beyond the HELLO's base */
	uint16_t window;   /* frames; 1..WIRE_MAX_WINDOW */
	uint16_t max_events;
	uint16_t max_payload; /* of a DATA frame, bytes */
	uint32_t idle_ms;     /* a session that is silent for longer may be forgotten */
};

/* Events of one frame that ended otherwise than durable for the first time. */
struct wire_exception {
	uint16_t offset; /* of the frame from wire_ack.client_base */
	uint8_t reason;  /* wire code of the reason, wire_reason.h */
	uint64_t events; /* bit i: event i of the frame */
};

/* With header.base: all frames below it are durable; header.sequence: one past the highest received. */
struct wire_ack {
	uint64_t instance;
	uint64_t client_base; /* the highest base that the sender has announced */
	uint32_t serial;      /* number of the acknowledgement in its session, from 1; wraps */
	uint32_t credit;      /* only frames below header.base + credit may be sent */
	uint32_t delay_us;    /* from the receipt of the frame whose timestamp is echoed to this answer */
	uint16_t n_words;
	uint16_t n_exceptions;
	/* Bit i of word w: frame header.base + 64 * w + i. Frames beyond the words: neither. */
	uint64_t durable[WIRE_MAX_WORDS];
	uint64_t received[WIRE_MAX_WORDS];
	struct wire_exception exceptions[WIRE_MAX_EXCEPTIONS];
};

/* Exceptions that fit an acknowledgement with `n_words` words per bitmap; at least WIRE_MIN_EXCEPTIONS. */
static inline uint32_t wire_ack_room(uint32_t n_words)
{
	return (WIRE_MAX_CONTROL_PAYLOAD - WIRE_ACK_BYTES - 16u * n_words) / WIRE_EXCEPTION_BYTES;
}

static inline bool wire_bit(const uint64_t *words, uint32_t n_words, uint64_t offset)
{
	return offset / 64 < n_words && (words[offset / 64] >> (offset % 64) & 1) != 0;
}

/*
 * Writers: a whole datagram but for the MAC, into `size` bytes of room. They take codec, type, count and
 * length from what is written, everything else from `header`; with WIRE_FLAG_MAC set, room for the trailer
 * is part of what must fit. Return its size, or 0 if it does not fit or a list is longer than the format
 * allows.
 */
size_t wire_write_hello(
    uint8_t *out, size_t size, const struct wire_header *header, const struct wire_hello *hello);
size_t wire_write_welcome(
    uint8_t *out, size_t size, const struct wire_header *header, const struct wire_welcome *welcome);
/* `count` events, one per line, of `len` bytes; they may be in place already, at out + WIRE_HEADER_BYTES. */
size_t wire_write_data(uint8_t *out, size_t size, const struct wire_header *header, const void *events,
    size_t len, uint16_t count);
size_t wire_write_ack(
    uint8_t *out, size_t size, const struct wire_header *header, const struct wire_ack *ack);
/* PROBE, CLOSE and CLOSED: no payload. */
size_t wire_write_bare(uint8_t *out, size_t size, const struct wire_header *header, enum wire_type type);
/* The text is cut to what makes the datagram no longer than `size`; only printable ASCII goes on the wire. */
size_t wire_write_error(
    uint8_t *out, size_t size, const struct wire_header *header, enum wire_error_code code, const char *text);

/* Readers, each for a frame of its type from wire_parse(), which has made sure that they cannot fail. */
void wire_read_hello(const struct wire_frame *frame, struct wire_hello *hello);
void wire_read_welcome(const struct wire_frame *frame, struct wire_welcome *welcome);
void wire_read_ack(const struct wire_frame *frame, struct wire_ack *ack);
/* Copies the text, made printable, with a terminator; cut to `size`. Returns the code. */
unsigned int wire_read_error(const struct wire_frame *frame, char *text, size_t size);

#endif
