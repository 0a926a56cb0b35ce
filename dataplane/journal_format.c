/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal_format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One translation unit compiles it in: no symbol is shared, and the compiler vectorises for the build's CPU. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#define RECORD_MAGIC 0x43524e50u /* "PNRC" */
#define SUFFIX ".segment"

void journal_segment_name(uint64_t number, char name[JOURNAL_NAME_BYTES])
{
	(void)snprintf(name, JOURNAL_NAME_BYTES, "%016" PRIx64 SUFFIX, number);
}

bool journal_segment_number(const char *name, uint64_t *number)
{
	*number = 0;
	for (size_t i = 0; i < 16; i++) {
		char c = name[i];

		if (c >= '0' && c <= '9')
			*number = *number << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*number = *number << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	return strcmp(name + 16, SUFFIX) == 0;
}

uint64_t journal_seed(const uint8_t id[JOURNAL_ID_BYTES])
{
	return XXH3_64bits(id, JOURNAL_ID_BYTES);
}

static uint64_t segment_sum(const struct journal_segment_header *header)
{
	XXH3_state_t state;
	const uint64_t zero = 0;
	const size_t at = offsetof(struct journal_segment_header, checksum);

	XXH3_INITSTATE(&state);
	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, header, at);
	XXH3_64bits_update(&state, &zero, sizeof(zero));
	XXH3_64bits_update(&state, header->names, sizeof(header->names));
	return XXH3_64bits_digest(&state);
}

static int add_name(struct journal_segment_header *header, const char *name)
{
	size_t len = strlen(name) + 1;

	if (header->names_len + len > sizeof(header->names))
		return -ENAMETOOLONG;
	memcpy(header->names + header->names_len, name, len);
	header->names_len += (uint32_t)len;
	return 0;
}

int journal_segment_seal(struct journal_segment_header *header, const struct config *config)
{
	int rc = 0;

	memcpy(header->magic, JOURNAL_MAGIC, sizeof(header->magic));
	header->version = JOURNAL_VERSION;
	header->header_bytes = JOURNAL_HEADER_BYTES;
	header->n_streams = (uint16_t)config->n_streams;
	header->n_reasons = REASON_COUNT;
	header->names_len = 0;
	memset(header->names, 0, sizeof(header->names));
	for (size_t s = 0; rc == 0 && s < config->n_streams; s++)
		rc = add_name(header, config->streams[s].name);
	for (int r = 0; rc == 0 && r < REASON_COUNT; r++)
		rc = add_name(header, reason_info((enum reason)r)->name);
	header->checksum = segment_sum(header);
	return rc;
}

int journal_segment_check(const struct journal_segment_header *copy, struct error *err)
{
	static const struct journal_segment_header zeros;

	if (memcmp(copy, &zeros, sizeof(zeros)) == 0)
		return error_set(err, -ENODATA, "the header is empty");
	if (memcmp(copy->magic, JOURNAL_MAGIC, sizeof(copy->magic)) != 0)
		return error_set(err, -EBADMSG, "not a segment of a journal");
	if (copy->version != JOURNAL_VERSION)
		return error_set(err, -EPROTONOSUPPORT,
		    "written in version %u of the journal's format, not %u", copy->version, JOURNAL_VERSION);
	if (copy->checksum != segment_sum(copy) || copy->header_bytes != JOURNAL_HEADER_BYTES ||
	    copy->names_len > sizeof(copy->names))
		return error_set(err, -EBADMSG, "the header is damaged");
	return 0;
}

/* The next name of the header, or NULL. */
static const char *next_name(const struct journal_segment_header *header, uint32_t *at)
{
	const char *name = header->names + *at;
	const char *end = *at < header->names_len ? memchr(name, '\0', header->names_len - *at) : NULL;

	if (end == NULL)
		return NULL;
	*at += (uint32_t)(end - name) + 1;
	return name;
}

static int find_reason(const char *name)
{
	for (int r = 0; r < REASON_COUNT; r++) {
		if (strcmp(reason_info((enum reason)r)->name, name) == 0)
			return r;
	}
	return -1;
}

int journal_names_read(const struct journal_segment_header *header, const struct config *config,
    struct journal_names *names, struct error *err)
{
	uint32_t at = 0;

	names->n_streams = header->n_streams;
	names->n_reasons = header->n_reasons;
	if (header->n_streams > CONFIG_MAX_STREAMS || header->n_reasons > 256)
		return error_set(err, -EBADMSG, "the header names too many streams or reasons");
	for (uint16_t i = 0; i < header->n_streams; i++) {
		const char *name = next_name(header, &at);
		int found = name == NULL ? -1 : config_find_stream(config, name);

		if (found < 0)
			return error_set(err, -ENOENT,
			    "it may hold events of the stream \"%.64s\", which the configuration does not "
			    "declare",
			    name == NULL ? "" : name);
		names->stream[i] = (uint16_t)found;
	}
	for (uint16_t i = 0; i < header->n_reasons; i++) {
		const char *name = next_name(header, &at);
		int found = name == NULL ? -1 : find_reason(name);

		if (found < 0)
			return error_set(err, -ENOENT,
			    "it knows the reason \"%.64s\", which this version of Penstock does not",
			    name == NULL ? "" : name);
		names->reason[i] = (uint8_t)found;
	}
	return 0;
}

static uint64_t record_sum(const struct journal_record *record, uint64_t seed)
{
	struct journal_record copy = *record;

	copy.header_checksum = 0;
	return XXH3_64bits_withSeed(&copy, sizeof(copy), seed);
}

void journal_record_seal(struct journal_record *record, uint64_t seed)
{
	record->magic = RECORD_MAGIC;
	record->header_checksum = record_sum(record, seed);
}

bool journal_record_valid(const struct journal_record *record, uint64_t seed)
{
	return record->magic == RECORD_MAGIC && record->header_checksum == record_sum(record, seed) &&
	       record->n_events <= BATCH_EVENTS && record->n_records <= BATCH_RECORDS &&
	       record->used <= BATCH_BYTES &&
	       record->length == record->n_records * sizeof(struct record) +
	                             record->n_events * sizeof(struct journal_event) + record->used;
}

uint64_t journal_payload_sum(const struct journal_record *record, const struct record *records,
    const struct journal_event *events, const char *bytes, uint64_t seed)
{
	XXH3_state_t state;

	XXH3_INITSTATE(&state);
	XXH3_64bits_reset_withSeed(&state, seed);
	XXH3_64bits_update(&state, records, record->n_records * sizeof(*records));
	XXH3_64bits_update(&state, events, record->n_events * sizeof(*events));
	XXH3_64bits_update(&state, bytes, record->used);
	return XXH3_64bits_digest(&state);
}

static bool inside(uint32_t offset, uint32_t len, uint32_t used)
{
	return len <= used && offset <= used - len;
}

bool journal_payload_sound(const struct journal_record *record, const struct record *records,
    const struct journal_event *events, uint16_t n_reasons)
{
	for (uint32_t i = 0; i < record->n_records; i++) {
		const struct record *r = &records[i];

		if (r->event >= record->n_events || r->kind >= RECORD_KINDS ||
		    !inside(r->value, r->value_len, record->used) ||
		    !inside(r->key, r->key_len, record->used))
			return false;
	}
	for (uint32_t i = 0; i < record->n_events; i++) {
		const struct journal_event *e = &events[i];

		if (e->reason >= n_reasons || e->dead_letter > 1 ||
		    !inside(e->raw, e->raw_len, record->used) || !inside(e->id, e->id_len, record->used) ||
		    !inside(e->message, e->message_len, record->used) ||
		    !inside(e->partition, e->partition_len, record->used))
			return false;
	}
	return true;
}
