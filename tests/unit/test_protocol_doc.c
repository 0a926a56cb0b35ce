/* SPDX-License-Identifier: BSD-3-Clause */
/* docs/protocol.md against the codec: its examples are what the writers write, and its tables have no holes. */
#include "wire.h"
#include "wire_mac.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROOM 2048u
#define TOKEN 0x5d1c77a3u
#define INSTANCE UINT64_C(0xa1b2c3d4e5f60718)
#define NONCE UINT64_C(0x1122334455667788)

struct document {
	char *text;
};

static int read_document(void **state)
{
	static struct document document;
	FILE *file = fopen(SOURCE_ROOT "/docs/protocol.md", "rb");
	long size;

	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	assert_true(size > 0);
	rewind(file);
	document.text = malloc((size_t)size + 1);
	assert_non_null(document.text);
	assert_int_equal(fread(document.text, 1, (size_t)size, file), size);
	document.text[size] = '\0';
	(void)fclose(file);
	*state = &document;
	return 0;
}

static int free_document(void **state)
{
	struct document *document = *state;

	free(document->text);
	return 0;
}

/* The bytes of the block "```hex NAME": on each line pairs of hex digits with one space between, then a comment. */
static size_t example(const struct document *document, const char *name, uint8_t *out)
{
	char opening[64];
	const char *at;
	size_t n = 0;
	int used;

	(void)snprintf(opening, sizeof(opening), "```hex %s\n", name);
	at = strstr(document->text, opening);
	if (at == NULL)
		fail_msg("the document has no example %s", name);
	at += strlen(opening);
	while (strncmp(at, "```", 3) != 0) {
		unsigned int byte;

		while (sscanf(at, "%2x%n", &byte, &used) == 1 && used == 2) {
			assert_true(n < ROOM);
			out[n++] = (uint8_t)byte;
			at += 2;
			if (at[0] != ' ' || at[1] == ' ')
				break;
			at++;
		}
		at = strchr(at, '\n');
		assert_non_null(at);
		at++;
	}
	return n;
}

static struct wire_header header_of(uint64_t sequence, uint64_t base, uint32_t timestamp_us)
{
	return (struct wire_header){
	    .stream = wire_stream_hash("catalog", 7),
	    .token = TOKEN,
	    .source_id = 42,
	    .epoch = UINT64_C(1763878138832896),
	    .sequence = sequence,
	    .base = base,
	    .timestamp_us = timestamp_us,
	};
}

static void check(const struct document *document, const char *name, const uint8_t *written, size_t len)
{
	uint8_t documented[ROOM];
	struct wire_frame frame;
	enum wire_fault fault;

	assert_int_equal(example(document, name, documented), len);
	for (size_t i = 0; i < len; i++) {
		if (documented[i] != written[i])
			fail_msg("%s: byte %zu is %02x in the document, %02x in the code", name, i,
			    documented[i], written[i]);
	}
	assert_int_equal(wire_parse(documented, len, &frame, &fault), WIRE_FRAME);
}

static void sessions(void **state)
{
	const struct wire_hello hello = {.nonce = NONCE};
	const struct wire_welcome welcome = {.instance = INSTANCE,
	    .nonce = NONCE,
	    .credit = 1024,
	    .window = 1024,
	    .max_events = 64,
	    .max_payload = 3300,
	    .idle_ms = 60000};
	struct wire_header header = header_of(0, 0, 0x01020304);
	uint8_t out[ROOM];

	check(*state, "WELCOME", out, wire_write_welcome(out, sizeof(out), &header, &welcome));
	header.token = 0;
	check(*state, "HELLO", out, wire_write_hello(out, sizeof(out), &header, &hello));
	header = header_of(5, 5, 0x01022710);
	check(*state, "CLOSE", out, wire_write_bare(out, sizeof(out), &header, WIRE_CLOSE));
	check(*state, "CLOSED", out, wire_write_bare(out, sizeof(out), &header, WIRE_CLOSED));
	header = header_of(2, 0, 0x01020fa0);
	check(*state, "ERROR", out,
	    wire_write_error(out, sizeof(out), &header, WIRE_ERROR_UNKNOWN_SESSION, "say HELLO again"));
}

static void data_and_acknowledgement(void **state)
{
	static const char events[] = "{\"eventId\":\"a\"}\n{\"eventId\":\"b\"}";
	const struct wire_ack ack = {.instance = INSTANCE,
	    .client_base = 0,
	    .serial = 3,
	    .credit = 1024,
	    .delay_us = 250,
	    .n_words = 1,
	    .n_exceptions = 1,
	    .durable = {1u << 1},
	    .received = {1u << 0 | 1u << 1 | 1u << 3},
	    .exceptions = {{.offset = 2, .reason = 1, .events = 1u << 1}}};
	struct wire_header header = header_of(2, 0, 0x01020fa0);
	uint8_t out[ROOM];

	check(*state, "DATA", out, wire_write_data(out, sizeof(out), &header, events, strlen(events), 2));
	header = header_of(5, 1, 0x01020fa0);
	check(*state, "ACK", out, wire_write_ack(out, sizeof(out), &header, &ack));
}

static void probe_and_mac(void **state)
{
	struct wire_header header = header_of(5, 1, 0x010217d0);
	struct wire_mac *mac = NULL;
	struct error err;
	uint8_t out[ROOM];
	size_t len;

	check(*state, "PROBE", out, wire_write_bare(out, sizeof(out), &header, WIRE_PROBE));
	assert_int_equal(wire_mac_create(&mac, (const uint8_t *)"0123456789abcdef", 16, 7, &err), 0);
	header.flags = WIRE_FLAG_MAC;
	len = wire_write_bare(out, sizeof(out), &header, WIRE_PROBE);
	check(*state, "PROBE with a MAC", out, wire_mac_seal(mac, out, len, sizeof(out)));
	wire_mac_destroy(mac);
}

/* In each table "| offset | bytes |" a row begins where the one before has ended. */
static void tables_have_no_holes(void **state)
{
	static const unsigned int sizes[] = {WIRE_HEADER_BYTES, WIRE_TRAILER_BYTES, WIRE_HELLO_BYTES,
	    WIRE_WELCOME_BYTES, WIRE_ACK_BYTES, WIRE_EXCEPTION_BYTES};
	const struct document *document = *state;
	const char *at = document->text;
	size_t n = 0;

	while ((at = strstr(at, "\n| offset | bytes |")) != NULL) {
		unsigned int offset, bytes, end = 0;

		at = strchr(strchr(at + 1, '\n') + 1, '\n') + 1;
		while (sscanf(at, "| %u | %u |", &offset, &bytes) == 2) {
			if (offset != end)
				fail_msg("table %zu: a row is at %u instead of %u", n, offset, end);
			end = offset + bytes;
			at = strchr(at, '\n') + 1;
		}
		assert_true(n < sizeof(sizes) / sizeof(sizes[0]));
		assert_int_equal(end, sizes[n]);
		n++;
		at--;
	}
	assert_int_equal(n, sizeof(sizes) / sizeof(sizes[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sessions),
	    cmocka_unit_test(data_and_acknowledgement),
	    cmocka_unit_test(probe_and_mac),
	    cmocka_unit_test(tables_have_no_holes),
	};

	return cmocka_run_group_tests(tests, read_document, free_document);
}
