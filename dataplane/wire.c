/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire.h"

#include <endian.h>
#include <string.h>

_Static_assert(WIRE_ACK_BYTES + 16 * WIRE_MAX_WORDS + WIRE_EXCEPTION_BYTES * WIRE_MIN_EXCEPTIONS <=
                   WIRE_MAX_CONTROL_PAYLOAD,
    "an acknowledgement of a whole window fits");

static void put16(uint8_t *at, uint16_t value)
{
	value = htole16(value);
	memcpy(at, &value, sizeof(value));
}

static void put32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
}

static uint16_t get16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return le16toh(value);
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

void wire_write_header(uint8_t *out, const struct wire_header *header)
{
	memcpy(out, WIRE_MAGIC, 4);
	out[4] = WIRE_VERSION;
	out[5] = header->type;
	out[6] = header->codec;
	out[7] = header->flags;
	put32(out + 8, header->stream);
	put32(out + 12, header->token);
	put64(out + 16, header->source_id);
	put64(out + 24, header->epoch);
	put64(out + 32, header->sequence);
	put64(out + 40, header->base);
	put32(out + 48, header->timestamp_us);
	put16(out + 52, header->count);
	put16(out + 54, header->length);
}

static void read_header(const uint8_t *at, struct wire_header *header)
{
	*header = (struct wire_header){
	    .type = at[5],
	    .codec = at[6],
	    .flags = at[7],
	    .stream = get32(at + 8),
	    .token = get32(at + 12),
	    .source_id = get64(at + 16),
	    .epoch = get64(at + 24),
	    .sequence = get64(at + 32),
	    .base = get64(at + 40),
	    .timestamp_us = get32(at + 48),
	    .count = get16(at + 52),
	    .length = get16(at + 54),
	};
}

static enum wire_fault check_flags(const struct wire_header *header)
{
	uint8_t allowed = WIRE_FLAG_MAC;

	if (header->type == WIRE_ACK)
		allowed |= WIRE_FLAG_SLOW_DOWN;
	if (header->type == WIRE_DATA)
		allowed |= WIRE_FLAG_RETRANSMIT;
	return (header->flags & ~allowed) == 0 ? WIRE_FAULT_NONE : WIRE_FAULT_FLAGS;
}

static enum wire_fault check_numbers(const struct wire_header *header)
{
	if (header->sequence > WIRE_MAX_SEQUENCE || header->base > WIRE_MAX_SEQUENCE)
		return WIRE_FAULT_SEQUENCE;
	switch (header->type) {
	case WIRE_HELLO:
	case WIRE_WELCOME:
		if (header->sequence != 0)
			return WIRE_FAULT_SEQUENCE;
		break;
	case WIRE_CLOSE:
	case WIRE_CLOSED:
		if (header->base != header->sequence)
			return WIRE_FAULT_SEQUENCE;
		break;
	case WIRE_ERROR: /* numbers of the frame that caused it, whatever they were */
		return WIRE_FAULT_NONE;
	default:
		if (header->base > header->sequence)
			return WIRE_FAULT_SEQUENCE;
	}
	return (header->token == 0) == (header->type == WIRE_HELLO) ? WIRE_FAULT_NONE : WIRE_FAULT_TOKEN;
}

static enum wire_fault check_ack(const uint8_t *payload, uint32_t length)
{
	uint32_t n_words = get16(payload + 28), n_exceptions = get16(payload + 30);

	if (n_words > WIRE_MAX_WORDS ||
	    WIRE_ACK_BYTES + n_words * 16 + n_exceptions * WIRE_EXCEPTION_BYTES > length)
		return WIRE_FAULT_PAYLOAD;
	return WIRE_FAULT_NONE;
}

static enum wire_fault check_payload(const struct wire_header *header, const uint8_t *payload)
{
	uint32_t length = header->length;

	if (header->type == WIRE_DATA) {
		if (header->codec != WIRE_CODEC_NDJSON)
			return WIRE_FAULT_CODEC;
		return header->count >= 1 && header->count <= WIRE_MAX_EVENTS && header->count <= length
		           ? WIRE_FAULT_NONE
		           : WIRE_FAULT_COUNT;
	}
	if (header->codec != WIRE_CODEC_NONE)
		return WIRE_FAULT_CODEC;
	if ((header->count == 0) == (header->type == WIRE_ERROR))
		return WIRE_FAULT_COUNT;
	if (length > WIRE_MAX_CONTROL_PAYLOAD)
		return WIRE_FAULT_TOO_LARGE;
	if ((header->type == WIRE_HELLO && length < WIRE_HELLO_BYTES) ||
	    (header->type == WIRE_WELCOME && length < WIRE_WELCOME_BYTES) ||
	    (header->type == WIRE_ACK && length < WIRE_ACK_BYTES))
		return WIRE_FAULT_PAYLOAD;
	return header->type == WIRE_ACK ? check_ack(payload, length) : WIRE_FAULT_NONE;
}

static enum wire_fault parse(const uint8_t *datagram, size_t len, struct wire_frame *frame)
{
	const struct wire_header *header = &frame->header;
	const uint8_t *end;
	enum wire_fault fault;
	size_t trailer;

	if (len < WIRE_HEADER_BYTES)
		return WIRE_FAULT_TRUNCATED;
	if (datagram[4] != WIRE_VERSION)
		return WIRE_FAULT_VERSION;
	read_header(datagram, &frame->header);
	if (header->type < WIRE_HELLO || header->type > WIRE_ERROR)
		return WIRE_FAULT_TYPE;
	fault = check_flags(header);
	if (fault != WIRE_FAULT_NONE)
		return fault;
	trailer = (header->flags & WIRE_FLAG_MAC) != 0 ? WIRE_TRAILER_BYTES : 0;
	if (len != WIRE_HEADER_BYTES + header->length + trailer)
		return WIRE_FAULT_LENGTH;
	frame->payload = datagram + WIRE_HEADER_BYTES;
	fault = check_payload(header, frame->payload);
	if (fault == WIRE_FAULT_NONE)
		fault = check_numbers(header);
	if (fault != WIRE_FAULT_NONE)
		return fault;
	if (trailer != 0) {
		end = frame->payload + header->length;
		frame->key_id = get32(end);
		frame->mac = end + 4;
	}
	return WIRE_FAULT_NONE;
}

enum wire_kind wire_parse(
    const uint8_t *datagram, size_t len, struct wire_frame *frame, enum wire_fault *fault)
{
	*frame = (struct wire_frame){0};
	*fault = WIRE_FAULT_NONE;
	if (len < 4 || memcmp(datagram, WIRE_MAGIC, 4) != 0)
		return WIRE_PLAIN;
	*fault = parse(datagram, len, frame);
	return *fault == WIRE_FAULT_NONE ? WIRE_FRAME : WIRE_MALFORMED;
}

const char *wire_fault_text(enum wire_fault fault)
{
	static const char *const texts[] = {
	    [WIRE_FAULT_NONE] = "no fault",
	    [WIRE_FAULT_TRUNCATED] = "shorter than a header",
	    [WIRE_FAULT_VERSION] = "a version that is not spoken here",
	    [WIRE_FAULT_TYPE] = "unknown type",
	    [WIRE_FAULT_FLAGS] = "a flag that is unknown or not of this type",
	    [WIRE_FAULT_LENGTH] = "the length disagrees with the datagram",
	    [WIRE_FAULT_CODEC] = "unknown codec",
	    [WIRE_FAULT_COUNT] = "the count is impossible",
	    [WIRE_FAULT_TOO_LARGE] = "a control frame that is too large",
	    [WIRE_FAULT_PAYLOAD] = "the payload is too short for what it must hold",
	    [WIRE_FAULT_SEQUENCE] = "sequence and base contradict each other",
	    [WIRE_FAULT_TOKEN] = "a token where none belongs, or none where one does",
	};

	_Static_assert(
	    sizeof(texts) / sizeof(texts[0]) == WIRE_FAULT_COUNT_OF_FAULTS, "one text for each fault");
	return (unsigned int)fault < WIRE_FAULT_COUNT_OF_FAULTS ? texts[fault] : "unknown fault";
}

static const struct {
	const char *name, *help;
} errors[WIRE_ERROR_COUNT] = {[WIRE_ERROR_NONE] = {"none", ""},
#define X(code, suffix, name, help) [code] = {name, help},
    WIRE_ERROR_TABLE(X)
#undef X
};

const char *wire_error_name(unsigned int code)
{
	return code < WIRE_ERROR_COUNT ? errors[code].name : "unknown";
}

const char *wire_error_help(unsigned int code)
{
	return code < WIRE_ERROR_COUNT ? errors[code].help : "";
}

uint32_t wire_stream_hash(const char *name, size_t len)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < len; i++) {
		hash ^= (uint8_t)name[i];
		hash *= 16777619u;
	}
	return hash;
}

/* Writes the header of a frame whose payload has `length` bytes. Returns the size of the datagram, or 0 if
 * it does not fit. */
static size_t begin(
    uint8_t *out, size_t size, const struct wire_header *header, enum wire_type type, size_t length)
{
	size_t trailer = (header->flags & WIRE_FLAG_MAC) != 0 ? WIRE_TRAILER_BYTES : 0;
	struct wire_header h = *header;

	if (length > UINT16_MAX || WIRE_HEADER_BYTES + length + trailer > size)
		return 0;
	h.type = (uint8_t)type;
	h.length = (uint16_t)length;
	h.codec = type == WIRE_DATA ? WIRE_CODEC_NDJSON : WIRE_CODEC_NONE;
	if (type != WIRE_DATA && type != WIRE_ERROR)
		h.count = 0;
	wire_write_header(out, &h);
	return WIRE_HEADER_BYTES + length;
}

size_t wire_write_hello(
    uint8_t *out, size_t size, const struct wire_header *header, const struct wire_hello *hello)
{
	size_t total = begin(out, size, header, WIRE_HELLO, WIRE_HELLO_BYTES);

	if (total == 0)
		return 0;
	out += WIRE_HEADER_BYTES;
	put64(out, hello->nonce);
	memset(out + 8, 0, WIRE_HELLO_BYTES - 8);
	return total;
}

void wire_read_hello(const struct wire_frame *frame, struct wire_hello *hello)
{
	hello->nonce = get64(frame->payload);
}

size_t wire_write_welcome(
    uint8_t *out, size_t size, const struct wire_header *header, const struct wire_welcome *welcome)
{
	size_t total = begin(out, size, header, WIRE_WELCOME, WIRE_WELCOME_BYTES);

	if (total == 0)
		return 0;
	out += WIRE_HEADER_BYTES;
	put64(out, welcome->instance);
	put64(out + 8, welcome->nonce);
	put32(out + 16, welcome->credit);
	put16(out + 20, welcome->window);
	put16(out + 22, welcome->max_events);
	put16(out + 24, welcome->max_payload);
	put16(out + 26, 0);
	put32(out + 28, welcome->idle_ms);
	return total;
}

void wire_read_welcome(const struct wire_frame *frame, struct wire_welcome *welcome)
{
	const uint8_t *at = frame->payload;

	*welcome = (struct wire_welcome){
	    .instance = get64(at),
	    .nonce = get64(at + 8),
	    .credit = get32(at + 16),
	    .window = get16(at + 20),
	    .max_events = get16(at + 22),
	    .max_payload = get16(at + 24),
	    .idle_ms = get32(at + 28),
	};
}

size_t wire_write_data(uint8_t *out, size_t size, const struct wire_header *header, const void *events,
    size_t len, uint16_t count)
{
	struct wire_header h = *header;
	size_t total;

	h.count = count;
	if (count == 0 || count > WIRE_MAX_EVENTS || count > len)
		return 0;
	total = begin(out, size, &h, WIRE_DATA, len);
	if (total != 0 && events != out + WIRE_HEADER_BYTES)
		memmove(out + WIRE_HEADER_BYTES, events, len);
	return total;
}

size_t wire_write_ack(uint8_t *out, size_t size, const struct wire_header *header, const struct wire_ack *ack)
{
	size_t total, length;

	if (ack->n_words > WIRE_MAX_WORDS || ack->n_exceptions > wire_ack_room(ack->n_words))
		return 0;
	length = WIRE_ACK_BYTES + 16u * ack->n_words + WIRE_EXCEPTION_BYTES * ack->n_exceptions;
	total = begin(out, size, header, WIRE_ACK, length);
	if (total == 0)
		return 0;
	out += WIRE_HEADER_BYTES;
	put64(out, ack->instance);
	put64(out + 8, ack->client_base);
	put32(out + 16, ack->serial);
	put32(out + 20, ack->credit);
	put32(out + 24, ack->delay_us);
	put16(out + 28, ack->n_words);
	put16(out + 30, ack->n_exceptions);
	out += WIRE_ACK_BYTES;
	for (uint32_t i = 0; i < ack->n_words; i++) {
		put64(out + 8 * i, ack->durable[i]);
		put64(out + 8 * (ack->n_words + i), ack->received[i]);
	}
	out += 16 * ack->n_words;
	for (uint32_t i = 0; i < ack->n_exceptions; i++, out += WIRE_EXCEPTION_BYTES) {
		put16(out, ack->exceptions[i].offset);
		out[2] = ack->exceptions[i].reason;
		out[3] = 0;
		put64(out + 4, ack->exceptions[i].events);
	}
	return total;
}

void wire_read_ack(const struct wire_frame *frame, struct wire_ack *ack)
{
	const uint8_t *at = frame->payload;

	ack->instance = get64(at);
	ack->client_base = get64(at + 8);
	ack->serial = get32(at + 16);
	ack->credit = get32(at + 20);
	ack->delay_us = get32(at + 24);
	ack->n_words = get16(at + 28);
	ack->n_exceptions = get16(at + 30);
	at += WIRE_ACK_BYTES;
	for (uint32_t i = 0; i < ack->n_words; i++) {
		ack->durable[i] = get64(at + 8 * i);
		ack->received[i] = get64(at + 8 * (ack->n_words + i));
	}
	at += 16 * ack->n_words;
	for (uint32_t i = 0; i < ack->n_exceptions; i++, at += WIRE_EXCEPTION_BYTES)
		ack->exceptions[i] =
		    (struct wire_exception){.offset = get16(at), .reason = at[2], .events = get64(at + 4)};
}

size_t wire_write_bare(uint8_t *out, size_t size, const struct wire_header *header, enum wire_type type)
{
	return begin(out, size, header, type, 0);
}

static char printable(uint8_t c)
{
	return c >= ' ' && c <= '~' ? (char)c : '?';
}

size_t wire_write_error(
    uint8_t *out, size_t size, const struct wire_header *header, enum wire_error_code code, const char *text)
{
	size_t trailer = (header->flags & WIRE_FLAG_MAC) != 0 ? WIRE_TRAILER_BYTES : 0, len = strlen(text),
	       total;
	struct wire_header h = *header;

	h.count = (uint16_t)code;
	if (size < WIRE_HEADER_BYTES + trailer)
		return 0;
	if (len > size - WIRE_HEADER_BYTES - trailer)
		len = size - WIRE_HEADER_BYTES - trailer;
	if (len > WIRE_MAX_CONTROL_PAYLOAD)
		len = WIRE_MAX_CONTROL_PAYLOAD;
	total = begin(out, size, &h, WIRE_ERROR, len);
	for (size_t i = 0; total != 0 && i < len; i++)
		out[WIRE_HEADER_BYTES + i] = (uint8_t)printable((uint8_t)text[i]);
	return total;
}

unsigned int wire_read_error(const struct wire_frame *frame, char *text, size_t size)
{
	size_t len = frame->header.length;

	if (size > 0) {
		if (len > size - 1)
			len = size - 1;
		for (size_t i = 0; i < len; i++)
			text[i] = printable(frame->payload[i]);
		text[len] = '\0';
	}
	return frame->header.count;
}
