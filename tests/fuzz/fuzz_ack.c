/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The payload of an acknowledgement, behind a header that is right, so that mutations reach the lists; and the writer, from
 * acknowledgements that no daemon would make. What is read must stay inside the payload and its arrays, name only frames
 * that can be named, and be the same after another trip over the wire.
 */
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool fuzz_report(uint64_t inputs);

/* Of the program: the entry point of a fuzzer has no other place. */
static struct {
	uint64_t read, refused, written, not_written;
} run;

static void check(bool right)
{
	if (!right)
		abort();
}

static bool same(const struct wire_ack *a, const struct wire_ack *b)
{
	bool equal = a->instance == b->instance && a->client_base == b->client_base &&
	             a->serial == b->serial && a->credit == b->credit && a->delay_us == b->delay_us &&
	             a->n_words == b->n_words && a->n_exceptions == b->n_exceptions &&
	             memcmp(a->durable, b->durable, 8u * a->n_words) == 0 &&
	             memcmp(a->received, b->received, 8u * a->n_words) == 0;

	for (size_t i = 0; equal && i < a->n_exceptions; i++)
		equal = a->exceptions[i].offset == b->exceptions[i].offset &&
		        a->exceptions[i].reason == b->exceptions[i].reason &&
		        a->exceptions[i].events == b->exceptions[i].events;
	return equal;
}

/* Writes it into memory of exactly `room` bytes. Returns whether it was written, and then was the same when read. */
static bool travels(const struct wire_ack *ack, const struct wire_header *header, size_t room)
{
	uint8_t *out = malloc(room > 0 ? room : 1);
	struct wire_frame frame;
	enum wire_fault fault;
	struct wire_ack again;
	size_t len;

	check(out != NULL);
	len = wire_write_ack(out, room, header, ack);
	if (len != 0) {
		check(len <= room && len <= WIRE_MAX_CONTROL_BYTES);
		check(wire_parse(out, len, &frame, &fault) == WIRE_FRAME);
		wire_read_ack(&frame, &again);
		check(same(ack, &again));
	}
	free(out);
	return len != 0;
}

/* The input as an acknowledgement that fills its arrays, whatever its counts are. */
static void write_any(const uint8_t *data, size_t size, const struct wire_header *header)
{
	struct wire_ack ack;
	size_t room = size > 2 ? (size_t)(data[0] | data[1] << 8) % 1400 : 0;

	memset(&ack, 0, sizeof(ack));
	for (size_t i = 0; size > 0 && i < sizeof(ack); i++)
		((uint8_t *)&ack)[i] = data[i % size];
	ack.n_words %= WIRE_MAX_WORDS + 4;
	ack.n_exceptions %= WIRE_MAX_EXCEPTIONS + 4;
	if (travels(&ack, header, room))
		run.written++;
	else
		run.not_written++;
	check(travels(&ack, header, WIRE_MAX_CONTROL_BYTES) ==
	      (ack.n_words <= WIRE_MAX_WORDS && ack.n_exceptions <= wire_ack_room(ack.n_words)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct wire_header header = {.type = WIRE_ACK,
	    .token = 1,
	    .sequence = WIRE_MAX_SEQUENCE,
	    .base = WIRE_MAX_SEQUENCE - WIRE_MAX_WINDOW,
	    .length = (uint16_t)size};
	uint8_t *datagram = malloc(WIRE_HEADER_BYTES + size);
	struct wire_frame frame;
	enum wire_fault fault;
	struct wire_ack ack;

	check(datagram != NULL);
	wire_write_header(datagram, &header);
	memcpy(datagram + WIRE_HEADER_BYTES, data, size);
	if (wire_parse(datagram, WIRE_HEADER_BYTES + size, &frame, &fault) == WIRE_FRAME) {
		/* Arrays beyond the counts are not touched. */
		memset(&ack, 0xa5, sizeof(ack));
		wire_read_ack(&frame, &ack);
		check(ack.n_words <= WIRE_MAX_WORDS && ack.n_exceptions <= wire_ack_room(ack.n_words));
		check(32u + 16u * ack.n_words + 12u * ack.n_exceptions <= size);
		for (uint32_t i = ack.n_words; i < WIRE_MAX_WORDS; i++)
			check(ack.durable[i] == UINT64_C(0xa5a5a5a5a5a5a5a5));
		for (uint32_t i = 0; i < WIRE_MAX_WINDOW + 70; i++) {
			bool in_words = i < 64u * ack.n_words;

			check(in_words || !wire_bit(ack.durable, ack.n_words, i));
			check(!in_words || wire_bit(ack.received, ack.n_words, i) ==
			                       ((data[32 + 8 * ack.n_words + i / 8] >> i % 8 & 1) != 0));
		}
		check(travels(&ack, &header, WIRE_MAX_CONTROL_BYTES));
		run.read++;
	} else {
		check(fault == WIRE_FAULT_PAYLOAD || fault == WIRE_FAULT_TOO_LARGE ||
		      fault == WIRE_FAULT_LENGTH);
		run.refused++;
	}
	write_any(data, size, &header);
	free(datagram);
	return 0;
}

bool fuzz_report(uint64_t inputs)
{
	(void)printf("%llu read, %llu refused; %llu written, %llu did not fit\n",
	    (unsigned long long)run.read, (unsigned long long)run.refused, (unsigned long long)run.written,
	    (unsigned long long)run.not_written);
	return run.read > inputs / 20 && run.refused > inputs / 20 && run.written > inputs / 20 &&
	       run.not_written > inputs / 20 && run.read + run.refused == inputs;
}
