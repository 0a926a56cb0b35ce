/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROOM 2048u

static const struct wire_header example = {
    .stream = 0x01020304,
    .token = 0x11121314,
    .source_id = 0x2122232425262728,
    .epoch = 0x3132333435363738,
    .sequence = 0x41,
    .base = 0x21,
    .timestamp_us = 0x51525354,
};

/* Parses memory of exactly this size, so that a sanitizer sees any read past it. */
static enum wire_fault fault_of(const uint8_t *datagram, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct wire_frame frame;
	enum wire_fault fault;
	enum wire_kind kind;

	assert_non_null(copy);
	memcpy(copy, datagram, len);
	kind = wire_parse(copy, len, &frame, &fault);
	assert_int_equal(kind == WIRE_MALFORMED, fault != WIRE_FAULT_NONE);
	assert_int_not_equal(kind, WIRE_PLAIN);
	free(copy);
	return fault;
}

static struct wire_frame parsed(const uint8_t *datagram, size_t len)
{
	struct wire_frame frame;
	enum wire_fault fault;

	assert_int_equal(wire_parse(datagram, len, &frame, &fault), WIRE_FRAME);
	assert_int_equal(fault, WIRE_FAULT_NONE);
	return frame;
}

static void assert_same_numbers(const struct wire_header *a, const struct wire_header *b)
{
	assert_int_equal(a->stream, b->stream);
	assert_int_equal(a->token, b->token);
	assert_true(a->source_id == b->source_id && a->epoch == b->epoch);
	assert_true(a->sequence == b->sequence && a->base == b->base);
	assert_int_equal(a->timestamp_us, b->timestamp_us);
}

/* The offsets that the document promises, not those that the code has. */
static void data_is_laid_out_as_promised(void **state)
{
	static const uint8_t expected[] = {'P', 'N', 'S', 'K', 1, 3, 1, 4, 0x04, 0x03, 0x02, 0x01, 0x14, 0x13,
	    0x12, 0x11, 0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21, 0x38, 0x37, 0x36, 0x35, 0x34, 0x33,
	    0x32, 0x31, 0x41, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0, 0, 0, 0x54, 0x53, 0x52, 0x51, 2, 0, 5,
	    0, '{', '}', '\n', '{', '}'};
	struct wire_header header = example;
	uint8_t out[ROOM];

	(void)state;
	header.flags = WIRE_FLAG_RETRANSMIT;
	assert_int_equal(wire_write_data(out, sizeof(out), &header, "{}\n{}", 5, 2), sizeof(expected));
	assert_memory_equal(out, expected, sizeof(expected));
}

static void data_comes_back(void **state)
{
	uint8_t out[ROOM];
	struct wire_frame frame;
	size_t len;

	(void)state;
	memcpy(out + WIRE_HEADER_BYTES, "[1]\n", 4);
	len = wire_write_data(out, sizeof(out), &example, out + WIRE_HEADER_BYTES, 4, 1);
	frame = parsed(out, len);
	assert_int_equal(frame.header.type, WIRE_DATA);
	assert_int_equal(frame.header.codec, WIRE_CODEC_NDJSON);
	assert_int_equal(frame.header.count, 1);
	assert_int_equal(frame.header.length, 4);
	assert_memory_equal(frame.payload, "[1]\n", 4);
	assert_null(frame.mac);
	assert_same_numbers(&frame.header, &example);
}

static void hello_and_welcome_come_back(void **state)
{
	const struct wire_hello hello = {.nonce = 0x8182838485868788};
	const struct wire_welcome welcome = {.instance = 0x9192939495969798,
	    .nonce = 0x8182838485868788,
	    .credit = 0xa1a2a3a4,
	    .window = 1024,
	    .max_events = 64,
	    .max_payload = 1400,
	    .idle_ms = 60000};
	struct wire_header header = example;
	struct wire_welcome welcome_read;
	struct wire_hello hello_read;
	struct wire_frame frame;
	uint8_t out[ROOM];
	size_t len;

	(void)state;
	header.sequence = 0;
	header.token = 0;
	len = wire_write_hello(out, sizeof(out), &header, &hello);
	frame = parsed(out, len);
	assert_int_equal(frame.header.type, WIRE_HELLO);
	assert_same_numbers(&frame.header, &header);
	wire_read_hello(&frame, &hello_read);
	assert_true(hello_read.nonce == hello.nonce);

	header.token = 7;
	/* The answer must not be larger than what anybody can send from a false address. */
	assert_int_equal(wire_write_welcome(out, sizeof(out), &header, &welcome), len);
	frame = parsed(out, len);
	assert_int_equal(frame.header.type, WIRE_WELCOME);
	assert_int_equal(frame.header.token, 7);
	wire_read_welcome(&frame, &welcome_read);
	assert_true(welcome_read.instance == welcome.instance && welcome_read.nonce == welcome.nonce);
	assert_int_equal(welcome_read.credit, welcome.credit);
	assert_int_equal(welcome_read.window, welcome.window);
	assert_int_equal(welcome_read.max_events, welcome.max_events);
	assert_int_equal(welcome_read.max_payload, welcome.max_payload);
	assert_int_equal(welcome_read.idle_ms, welcome.idle_ms);
}

static struct wire_ack ack_of(uint16_t n_words, uint16_t n_exceptions)
{
	struct wire_ack ack = {.instance = 0x6162636465666768,
	    .client_base = 0x20,
	    .serial = 9,
	    .credit = 512,
	    .delay_us = 250,
	    .n_words = n_words,
	    .n_exceptions = n_exceptions};

	for (uint16_t i = 0; i < n_words && i < WIRE_MAX_WORDS; i++) {
		ack.durable[i] = UINT64_C(0x0101010101010101) * (i + 1u);
		ack.received[i] = ~ack.durable[i];
	}
	for (uint16_t i = 0; i < n_exceptions && i < WIRE_MAX_EXCEPTIONS; i++)
		ack.exceptions[i] = (struct wire_exception){.offset = (uint16_t)(i * 3),
		    .reason = (uint8_t)(i + 1),
		    .events = UINT64_C(1) << (i % 64)};
	return ack;
}

static void check_ack_round_trip(uint16_t n_words, uint16_t n_exceptions)
{
	struct wire_header header = example;
	struct wire_ack ack = ack_of(n_words, n_exceptions), read;
	uint8_t out[WIRE_MAX_CONTROL_BYTES];
	struct wire_frame frame;
	size_t len;

	header.flags = WIRE_FLAG_SLOW_DOWN;
	len = wire_write_ack(out, sizeof(out), &header, &ack);
	assert_int_equal(len, WIRE_HEADER_BYTES + 32u + 16u * n_words + 12u * n_exceptions);
	frame = parsed(out, len);
	assert_int_equal(frame.header.type, WIRE_ACK);
	assert_int_equal(frame.header.flags, WIRE_FLAG_SLOW_DOWN);
	wire_read_ack(&frame, &read);
	assert_true(read.instance == ack.instance && read.client_base == ack.client_base);
	assert_int_equal(read.serial, ack.serial);
	assert_int_equal(read.credit, ack.credit);
	assert_int_equal(read.delay_us, ack.delay_us);
	assert_int_equal(read.n_words, n_words);
	assert_int_equal(read.n_exceptions, n_exceptions);
	assert_memory_equal(read.durable, ack.durable, 8u * n_words);
	assert_memory_equal(read.received, ack.received, 8u * n_words);
	for (uint16_t i = 0; i < n_exceptions; i++) {
		assert_int_equal(read.exceptions[i].offset, ack.exceptions[i].offset);
		assert_int_equal(read.exceptions[i].reason, ack.exceptions[i].reason);
		assert_true(read.exceptions[i].events == ack.exceptions[i].events);
	}
}

static void acknowledgements_come_back(void **state)
{
	(void)state;
	for (uint16_t words = 0; words <= WIRE_MAX_WORDS; words++) {
		check_ack_round_trip(words, 0);
		check_ack_round_trip(words, 1);
		check_ack_round_trip(words, (uint16_t)wire_ack_room(words));
	}
	assert_int_equal(wire_ack_room(0), WIRE_MAX_EXCEPTIONS);
	assert_int_equal(wire_ack_room(WIRE_MAX_WORDS), WIRE_MIN_EXCEPTIONS);
}

static void acknowledgements_beyond_the_format_are_not_written(void **state)
{
	struct wire_ack ack;
	uint8_t out[ROOM * 2];

	(void)state;
	ack = ack_of(WIRE_MAX_WORDS + 1, 0);
	assert_int_equal(wire_write_ack(out, sizeof(out), &example, &ack), 0);
	ack = ack_of(WIRE_MAX_WORDS, WIRE_MIN_EXCEPTIONS + 1);
	assert_int_equal(wire_write_ack(out, sizeof(out), &example, &ack), 0);
	ack = ack_of(2, 3);
	assert_int_equal(wire_write_ack(out, 56 + 32 + 32 + 36 - 1, &example, &ack), 0);
	assert_int_equal(wire_write_ack(out, 56 + 32 + 32 + 36, &example, &ack), 56 + 32 + 32 + 36);
}

static void bare_frames_come_back(void **state)
{
	static const enum wire_type types[] = {WIRE_PROBE, WIRE_CLOSE, WIRE_CLOSED};
	struct wire_header header = example;
	struct wire_frame frame;
	uint8_t out[ROOM];

	(void)state;
	header.base = header.sequence;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(
		    wire_write_bare(out, WIRE_HEADER_BYTES, &header, types[i]), WIRE_HEADER_BYTES);
		frame = parsed(out, WIRE_HEADER_BYTES);
		assert_int_equal(frame.header.type, types[i]);
		assert_same_numbers(&frame.header, &header);
	}
	assert_int_equal(wire_write_bare(out, WIRE_HEADER_BYTES - 1, &header, WIRE_PROBE), 0);
	header.flags = WIRE_FLAG_MAC;
	assert_int_equal(wire_write_bare(out, 75, &header, WIRE_PROBE), 0);
	assert_int_equal(wire_write_bare(out, 76, &header, WIRE_PROBE), 56);
}

static void errors_are_no_longer_than_their_cause(void **state)
{
	static const struct {
		size_t size;
		const char *text;
	} cases[] = {
	    {56, ""}, {60, "sess"}, {80, "session \?\?\? is not known"}, {78, "session \?\?\? is not kno"}};
	struct wire_header header = example;
	struct wire_frame frame;
	uint8_t out[ROOM];
	char text[ROOM];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		len = wire_write_error(out, cases[i].size, &header, WIRE_ERROR_UNKNOWN_SESSION,
		    "session \x01\xc3\n is not known");
		assert_true(len <= cases[i].size && len >= WIRE_HEADER_BYTES);
		frame = parsed(out, len);
		assert_int_equal(wire_read_error(&frame, text, sizeof(text)), WIRE_ERROR_UNKNOWN_SESSION);
		assert_string_equal(text, cases[i].text);
		assert_int_equal(wire_read_error(&frame, text, 3), WIRE_ERROR_UNKNOWN_SESSION);
		assert_true(strlen(text) <= 2);
	}
	assert_int_equal(wire_write_error(out, 55, &header, WIRE_ERROR_VERSION, ""), 0);
	header.flags = WIRE_FLAG_MAC;
	assert_int_equal(wire_write_error(out, 75, &header, WIRE_ERROR_VERSION, ""), 0);
	assert_int_equal(wire_write_error(out, 78, &header, WIRE_ERROR_VERSION, "abc"), 58);
}

static void other_datagrams_are_plain(void **state)
{
	static const char *const texts[] = {"", "P", "PNS", "{\"a\":1}\n", "PNSJ", "pnsk", " PNSK"};
	struct wire_frame frame;
	enum wire_fault fault;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(
		    wire_parse((const uint8_t *)texts[i], strlen(texts[i]), &frame, &fault), WIRE_PLAIN);
}

struct damage {
	size_t at;
	uint8_t value;
	enum wire_fault fault;
};

static void check_damages(const uint8_t *datagram, size_t len, const struct damage *damages, size_t n)
{
	uint8_t damaged[ROOM];

	assert_int_equal(fault_of(datagram, len), WIRE_FAULT_NONE);
	for (size_t i = 0; i < n; i++) {
		memcpy(damaged, datagram, len);
		damaged[damages[i].at] = damages[i].value;
		if (fault_of(damaged, len) != damages[i].fault)
			fail_msg("byte %zu = %u: %s, not %s", damages[i].at, damages[i].value,
			    wire_fault_text(fault_of(damaged, len)), wire_fault_text(damages[i].fault));
	}
}

#define CHECK_DAMAGES(datagram, len, damages) \
	check_damages(datagram, len, damages, sizeof(damages) / sizeof((damages)[0]))

static void damaged_data_is_named(void **state)
{
	static const struct damage damages[] = {
	    {4, 0, WIRE_FAULT_VERSION},
	    {4, 2, WIRE_FAULT_VERSION},
	    {5, 0, WIRE_FAULT_TYPE},
	    {5, 9, WIRE_FAULT_TYPE},
	    {5, WIRE_PROBE, WIRE_FAULT_CODEC},
	    {6, 0, WIRE_FAULT_CODEC},
	    {6, 2, WIRE_FAULT_CODEC},
	    {7, 2, WIRE_FAULT_FLAGS},
	    {7, 8, WIRE_FAULT_FLAGS},
	    {7, 0x80, WIRE_FAULT_FLAGS},
	    {7, WIRE_FLAG_MAC, WIRE_FAULT_LENGTH},
	    {12, 0, WIRE_FAULT_TOKEN},
	    {32, 4, WIRE_FAULT_SEQUENCE},
	    {39, 0x80, WIRE_FAULT_SEQUENCE},
	    {47, 0x80, WIRE_FAULT_SEQUENCE},
	    {52, 0, WIRE_FAULT_COUNT},
	    {52, 3, WIRE_FAULT_COUNT},
	    {53, 1, WIRE_FAULT_COUNT},
	    {54, 1, WIRE_FAULT_LENGTH},
	    {54, 3, WIRE_FAULT_LENGTH},
	    {55, 1, WIRE_FAULT_LENGTH},
	};
	struct wire_header header = {.token = 1, .sequence = 5, .base = 5};
	uint8_t out[ROOM];
	size_t len = wire_write_data(out, sizeof(out), &header, "{}", 2, 1);

	(void)state;
	CHECK_DAMAGES(out, len, damages);
	for (size_t cut = 4; cut < len; cut++)
		assert_int_equal(
		    fault_of(out, cut), cut < WIRE_HEADER_BYTES ? WIRE_FAULT_TRUNCATED : WIRE_FAULT_LENGTH);
	out[len] = 0;
	assert_int_equal(fault_of(out, len + 1), WIRE_FAULT_LENGTH);
}

static void damaged_acknowledgement_is_named(void **state)
{
	static const struct damage damages[] = {
	    {6, 1, WIRE_FAULT_CODEC},
	    {7, WIRE_FLAG_RETRANSMIT, WIRE_FAULT_FLAGS},
	    {32, 4, WIRE_FAULT_SEQUENCE},
	    {52, 1, WIRE_FAULT_COUNT},
	    {56 + 28, 4, WIRE_FAULT_PAYLOAD},
	    {56 + 28, 33, WIRE_FAULT_PAYLOAD},
	    {56 + 29, 0xff, WIRE_FAULT_PAYLOAD},
	    {56 + 30, 3, WIRE_FAULT_PAYLOAD},
	    {56 + 31, 0xff, WIRE_FAULT_PAYLOAD},
	    {56 + 28, 2, WIRE_FAULT_NONE},
	    {56 + 30, 1, WIRE_FAULT_NONE},
	};
	struct wire_header header = {.token = 1, .sequence = 5, .base = 5};
	struct wire_ack ack = ack_of(3, 2);
	uint8_t out[ROOM];
	size_t len = wire_write_ack(out, sizeof(out), &header, &ack);

	(void)state;
	CHECK_DAMAGES(out, len, damages);
	out[54] = WIRE_ACK_BYTES - 1;
	assert_int_equal(fault_of(out, 56 + WIRE_ACK_BYTES - 1), WIRE_FAULT_PAYLOAD);
}

static void damaged_sessions_are_named(void **state)
{
	static const struct damage hello_damages[] = {
	    {12, 1, WIRE_FAULT_TOKEN},
	    {32, 1, WIRE_FAULT_SEQUENCE},
	    {40, 200, WIRE_FAULT_NONE},
	    {5, WIRE_WELCOME, WIRE_FAULT_TOKEN},
	    {5, WIRE_ACK, WIRE_FAULT_SEQUENCE},
	    {5, WIRE_ERROR, WIRE_FAULT_COUNT},
	};
	static const struct damage close_damages[] = {
	    {12, 0, WIRE_FAULT_TOKEN},
	    {40, 4, WIRE_FAULT_SEQUENCE},
	    {40, 6, WIRE_FAULT_SEQUENCE},
	};
	struct wire_header header = {.base = 3}, close = {.token = 1, .sequence = 5, .base = 5};
	uint8_t out[ROOM] = {0};
	struct wire_hello hello = {.nonce = 1};
	size_t len = wire_write_hello(out, sizeof(out), &header, &hello);

	(void)state;
	CHECK_DAMAGES(out, len, hello_damages);
	out[54] = WIRE_HELLO_BYTES - 1;
	assert_int_equal(fault_of(out, len - 1), WIRE_FAULT_PAYLOAD);
	len = wire_write_bare(out, sizeof(out), &close, WIRE_CLOSE);
	CHECK_DAMAGES(out, len, close_damages);
	out[54] = (WIRE_MAX_CONTROL_PAYLOAD + 1) & 255;
	out[55] = (WIRE_MAX_CONTROL_PAYLOAD + 1) >> 8;
	assert_int_equal(
	    fault_of(out, WIRE_HEADER_BYTES + WIRE_MAX_CONTROL_PAYLOAD + 1), WIRE_FAULT_TOO_LARGE);
}

/* Later versions of the payloads may be longer. */
static void longer_payloads_are_read(void **state)
{
	struct wire_header header = {.token = 1, .sequence = 5, .base = 5};
	struct wire_ack ack = ack_of(1, 1), read;
	struct wire_frame frame;
	uint8_t out[ROOM];
	size_t len = wire_write_ack(out, sizeof(out), &header, &ack);

	(void)state;
	memset(out + len, 0xff, 8);
	out[54] = (uint8_t)(out[54] + 8);
	frame = parsed(out, len + 8);
	wire_read_ack(&frame, &read);
	assert_int_equal(read.n_exceptions, 1);
	assert_int_equal(read.exceptions[0].reason, ack.exceptions[0].reason);
}

static void data_that_cannot_be_is_not_written(void **state)
{
	uint8_t out[ROOM];
	uint8_t *large = calloc(1, 70000);

	(void)state;
	assert_non_null(large);
	assert_int_equal(wire_write_data(out, sizeof(out), &example, "x", 1, 0), 0);
	assert_int_equal(wire_write_data(out, sizeof(out), &example, large, 1000, WIRE_MAX_EVENTS + 1), 0);
	assert_int_equal(wire_write_data(out, sizeof(out), &example, "x", 1, 2), 0);
	assert_int_equal(wire_write_data(out, 56 + 9, &example, large, 10, 1), 0);
	assert_int_equal(wire_write_data(large, 70000, &example, large + 56, 65536, 1), 0);
	free(large);
}

static void arithmetic(void **state)
{
	(void)state;
	assert_int_equal(wire_offset(10, 9, 4), -1);
	assert_int_equal(wire_offset(10, 10, 4), 0);
	assert_int_equal(wire_offset(10, 13, 4), 3);
	assert_int_equal(wire_offset(10, 14, 4), -1);
	assert_int_equal(wire_offset(WIRE_MAX_SEQUENCE - 1, WIRE_MAX_SEQUENCE, 4), 1);
	assert_int_equal(wire_offset(0, UINT64_MAX, UINT32_MAX), -1);
	assert_int_equal(wire_elapsed_us(5, 0xfffffffb), 10);
	assert_true(wire_serial_after(1, 0));
	assert_true(wire_serial_after(1, 0xffffffff));
	assert_false(wire_serial_after(7, 7));
	assert_false(wire_serial_after(0xffffffff, 1));
	assert_true(wire_bit((const uint64_t[]){0, 2}, 2, 65));
	assert_false(wire_bit((const uint64_t[]){0, 2}, 2, 64));
	assert_false(wire_bit((const uint64_t[]){0, 2}, 1, 65));
}

/* Values of the published test vectors of FNV-1a. */
static void stream_hash(void **state)
{
	(void)state;
	assert_int_equal(wire_stream_hash("", 0), 0x811c9dc5);
	assert_int_equal(wire_stream_hash("a", 1), 0xe40c292c);
	assert_int_equal(wire_stream_hash("foobar", 6), 0xbf9cf968);
}

static void names(void **state)
{
	(void)state;
	for (int fault = 0; fault < WIRE_FAULT_COUNT_OF_FAULTS; fault++)
		assert_true(strlen(wire_fault_text((enum wire_fault)fault)) > 0);
	assert_string_equal(wire_fault_text(WIRE_FAULT_COUNT_OF_FAULTS), "unknown fault");
	assert_string_equal(wire_error_name(WIRE_ERROR_STALE_EPOCH), "stale_epoch");
	assert_string_equal(wire_error_name(WIRE_ERROR_COUNT), "unknown");
	for (unsigned int code = 0; code < WIRE_ERROR_COUNT; code++)
		assert_int_equal(
		    strlen(wire_error_name(code)) > 0 && strlen(wire_error_help(code)) > 0, code != 0);
	assert_string_equal(wire_error_name(0), "none");
	assert_string_equal(wire_error_help(WIRE_ERROR_COUNT), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(data_is_laid_out_as_promised),
	    cmocka_unit_test(data_comes_back),
	    cmocka_unit_test(hello_and_welcome_come_back),
	    cmocka_unit_test(acknowledgements_come_back),
	    cmocka_unit_test(acknowledgements_beyond_the_format_are_not_written),
	    cmocka_unit_test(bare_frames_come_back),
	    cmocka_unit_test(errors_are_no_longer_than_their_cause),
	    cmocka_unit_test(other_datagrams_are_plain),
	    cmocka_unit_test(damaged_data_is_named),
	    cmocka_unit_test(damaged_acknowledgement_is_named),
	    cmocka_unit_test(damaged_sessions_are_named),
	    cmocka_unit_test(longer_payloads_are_read),
	    cmocka_unit_test(data_that_cannot_be_is_not_written),
	    cmocka_unit_test(arithmetic),
	    cmocka_unit_test(stream_hash),
	    cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
