/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire_parse() against a second reading of docs/protocol.md that was written for clarity: they must agree on what
 * a frame is. What is one must come back the same when it is written again from what was read.
 */
#include "wire.h"
#include "wire_mac.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
bool fuzz_report(uint64_t inputs);

#define TYPES 9u

/* Of the program: the entry point of a fuzzer has no other place. */
static struct {
	struct wire_mac *mac;
	uint64_t plain, malformed, frames[TYPES];
} run;

static void check(bool right)
{
	if (!right)
		abort();
}

static uint64_t number(const uint8_t *data, size_t at, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = bytes; i > 0; i--)
		value = value << 8 | data[at + i - 1];
	return value;
}

/* The list "What makes a frame malformed", one line each. */
static bool well_formed(const uint8_t *data, size_t size)
{
	static const uint8_t flags_of[TYPES] = {0, 1, 1, 1 | 4, 1 | 2, 1, 1, 1, 1};
	static const size_t least[TYPES] = {0, 32, 32, 0, 32, 0, 0, 0, 0};
	uint64_t sequence, base, token;
	size_t type, flags, count, length;

	if (size < 56)
		return false;
	type = data[5];
	flags = data[7];
	token = number(data, 12, 4);
	sequence = number(data, 32, 8);
	base = number(data, 40, 8);
	count = (size_t)number(data, 52, 2);
	length = (size_t)number(data, 54, 2);
	if (size != 56 + length + (flags % 2 == 1 ? 20 : 0))
		return false;
	if (data[4] != 1 || type < 1 || type > 8 || data[6] != (type == 3 ? 1 : 0) ||
	    (flags & ~flags_of[type]) != 0)
		return false;
	if (type == 3 ? count < 1 || count > 64 || count > length : (type == 8) != (count != 0))
		return false;
	if (type != 3 && (length > 1156 || length < least[type]))
		return false;
	if (type == 4 && (number(data, 56 + 28, 2) > 32 ||
	                     32 + 16 * number(data, 56 + 28, 2) + 12 * number(data, 56 + 30, 2) > length))
		return false;
	if (sequence >> 63 != 0 || base >> 63 != 0)
		return false;
	if ((type == 3 || type == 4 || type == 5) && base > sequence)
		return false;
	if ((type == 6 || type == 7) && base != sequence)
		return false;
	if ((type == 1 || type == 2) && sequence != 0)
		return false;
	return type == 8 || (type == 1) == (token == 0);
}

/* Writes what was read. Returns the size without the trailer. */
static size_t write_again(const struct wire_frame *frame, uint8_t *out, size_t room)
{
	const struct wire_header *header = &frame->header;
	struct wire_hello hello;
	struct wire_welcome welcome;
	struct wire_ack ack;
	char text[WIRE_MAX_CONTROL_PAYLOAD + 1];

	switch ((enum wire_type)header->type) {
	case WIRE_HELLO:
		wire_read_hello(frame, &hello);
		return wire_write_hello(out, room, header, &hello);
	case WIRE_WELCOME:
		wire_read_welcome(frame, &welcome);
		return wire_write_welcome(out, room, header, &welcome);
	case WIRE_DATA:
		return wire_write_data(out, room, header, frame->payload, header->length, header->count);
	case WIRE_ACK:
		wire_read_ack(frame, &ack);
		return wire_write_ack(out, room, header, &ack);
	case WIRE_PROBE:
	case WIRE_CLOSE:
	case WIRE_CLOSED:
		return wire_write_bare(out, room, header, (enum wire_type)header->type);
	case WIRE_ERROR:
		check(wire_read_error(frame, text, sizeof(text)) == header->count);
		check(strlen(text) == header->length);
		return wire_write_error(out, room, header, (enum wire_error_code)header->count, text);
	}
	abort();
}

/* Bytes that need not come back: reserved ones, and text that is not printable. */
static void blank(uint8_t *payload, size_t length, uint8_t type)
{
	if (type == WIRE_HELLO)
		memset(payload + 8, 0, 24);
	else if (type == WIRE_WELCOME)
		memset(payload + 26, 0, 2);
	else if (type == WIRE_ACK) {
		for (size_t at = 32 + 16 * number(payload, 28, 2); at < length; at += 12)
			payload[at + 3] = 0;
	} else if (type == WIRE_ERROR) {
		for (size_t i = 0; i < length; i++)
			payload[i] = payload[i] < ' ' || payload[i] > '~' ? '?' : payload[i];
	}
}

static void check_frame(const struct wire_frame *frame, const uint8_t *data, size_t size)
{
	size_t trailer = frame->mac != NULL ? WIRE_TRAILER_BYTES : 0, len;
	uint8_t *out = malloc(size), *expected = malloc(size);
	struct wire_frame again;
	enum wire_fault fault;

	check(out != NULL && expected != NULL);
	len = write_again(frame, out, size);
	check(len >= WIRE_HEADER_BYTES && len <= size - trailer);
	memcpy(expected, data, size);
	expected[54] = (uint8_t)(len - WIRE_HEADER_BYTES);
	expected[55] = (uint8_t)((len - WIRE_HEADER_BYTES) >> 8);
	blank(expected + WIRE_HEADER_BYTES, len - WIRE_HEADER_BYTES, frame->header.type);
	check(memcmp(out, expected, len) == 0);
	if (frame->mac != NULL) {
		check(!wire_mac_verify(run.mac, frame));
		len = wire_mac_seal(run.mac, out, len, size);
		check(len != 0 && wire_parse(out, len, &again, &fault) == WIRE_FRAME);
		check(wire_mac_verify(run.mac, &again));
	}
	free(out);
	free(expected);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	/* Not the key of any input. */
	static const uint8_t key[] = "a key for this fuzzer";
	struct error err;

	(void)argc;
	(void)argv;
	return wire_mac_create(&run.mac, key, sizeof(key), 3, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_frame frame;
	enum wire_fault fault;
	enum wire_kind kind = wire_parse(data, size, &frame, &fault);
	bool magic = size >= 4 && memcmp(data, "PNSK", 4) == 0;

	check((kind == WIRE_MALFORMED) == (fault != WIRE_FAULT_NONE));
	if (!magic) {
		check(kind == WIRE_PLAIN);
		run.plain++;
	} else if (!well_formed(data, size)) {
		check(kind == WIRE_MALFORMED);
		run.malformed++;
	} else {
		check(kind == WIRE_FRAME);
		check(frame.payload == data + 56);
		check((frame.mac != NULL) == (data[7] % 2 == 1));
		check(frame.mac == NULL || frame.mac + 16 == data + size);
		check_frame(&frame, data, size);
		run.frames[frame.header.type]++;
	}
	return 0;
}

bool fuzz_report(uint64_t inputs)
{
	uint64_t frames = 0;
	bool all = true;

	for (size_t type = 1; type < TYPES; type++) {
		frames += run.frames[type];
		all = all && run.frames[type] > 0;
	}
	(void)printf("%llu plain, %llu malformed, %llu frames\n", (unsigned long long)run.plain,
	    (unsigned long long)run.malformed, (unsigned long long)frames);
	return all && run.plain + run.malformed + frames == inputs;
}
