/* SPDX-License-Identifier: BSD-3-Clause */
#include "reference.h"

#include "batch.h"
#include "json.h"
#include "meter.h"

#include <errno.h>
#include <hs.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_ip.h>
#include <rte_jhash.h>
#include <rte_prefetch.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUPS 32u

/* Sequence that looks random and does not repeat: keys of the hash tables. */
static uint64_t mix(uint64_t n)
{
	n += 0x9e3779b97f4a7c15u;
	n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9u;
	n = (n ^ (n >> 27)) * 0x94d049bb133111ebu;
	return n ^ (n >> 31);
}

struct key {
	uint64_t word[2];
};

static struct key key_of(uint64_t n)
{
	return (struct key){{mix(n), n}};
}

double reference_checksum(const struct workload *w)
{
	const uint32_t lap = METER_LAP * w->n_packets / w->n_events + 1;
	struct meter meter = {0};
	uint32_t sum = 0;

	for (uint32_t i = 0; i < w->n_packets; i += lap) {
		uint32_t end = i + lap < w->n_packets ? i + lap : w->n_packets;

		meter_start(&meter);
		for (uint32_t k = i; k < end; k++)
			sum += rte_raw_cksum(w->packets[k].data, w->packets[k].len);
		(void)meter_stop(&meter, end - i);
	}
	/* The sum is used, so the loop stays. The laps counted packets. */
	return sum == 0 ? -1 : meter_mean(&meter) * w->n_packets / w->n_events;
}

double reference_memcpy(const struct workload *w, uint64_t bytes, uint32_t buffers)
{
	const size_t size = (size_t)buffers * BATCH_BYTES;
	const char *from = w->memory.address;
	const uint64_t step = w->event_bytes / w->n_events;
	const uint64_t from_bytes = w->n_events * step;
	char *to = NULL;
	struct hugemem memory;
	struct meter meter = {0};
	size_t used = 0, at = 0;

	if (hugemem_alloc(size, -1, HUGEPAGES_AUTO, &memory, NULL) != 0)
		return -1;
	to = memory.address;
	for (uint32_t i = 0; i + METER_LAP <= w->n_events; i += METER_LAP) {
		meter_start(&meter);
		for (uint32_t k = 0; k < METER_LAP; k++) {
			if (used + bytes > size)
				used = 0;
			if (at + bytes > from_bytes)
				at = 0;
			memcpy(to + used, from + at, bytes);
			__asm__ volatile("" : : "r"(to) : "memory");
			used += bytes;
			at += step;
		}
		(void)meter_stop(&meter, METER_LAP);
	}
	hugemem_free(&memory);
	return meter_mean(&meter);
}

static struct rte_hash *create_hash(const char *name, uint32_t entries, struct error *err)
{
	struct rte_hash_parameters parameters = {
	    .name = name,
	    .entries = entries,
	    .key_len = sizeof(struct key),
	    .hash_func = rte_jhash,
	    .socket_id = SOCKET_ID_ANY,
	    .extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF,
	};
	struct rte_hash *hash = rte_hash_create(&parameters);

	if (hash == NULL)
		error_set(err, -rte_errno, "rte_hash of %u entries: %s", entries, rte_strerror(rte_errno));
	return hash;
}

double reference_rte_hash_dedup(uint32_t entries, uint32_t n, struct error *err)
{
	struct rte_hash *hash = create_hash("dedup", entries, err);
	struct meter meter = {0};
	double ns = -1;

	if (hash == NULL)
		return -1;
	for (uint32_t i = 0; i < entries / 2; i++) {
		struct key key = key_of(i);

		if (rte_hash_add_key(hash, &key) < 0)
			goto out;
	}
	for (uint32_t i = 0; i < n; i += LOOKUPS) {
		struct key keys[LOOKUPS];
		const void *pointers[LOOKUPS];
		int32_t positions[LOOKUPS];

		for (uint32_t k = 0; k < LOOKUPS; k++) {
			keys[k] = key_of((uint64_t)entries + i + k);
			pointers[k] = &keys[k];
		}
		meter_start(&meter);
		if (rte_hash_lookup_bulk(hash, pointers, LOOKUPS, positions) != 0)
			goto out;
		for (uint32_t k = 0; k < LOOKUPS; k++)
			if (positions[k] < 0 && rte_hash_add_key(hash, &keys[k]) < 0)
				goto out;
		(void)meter_stop(&meter, LOOKUPS);
	}
	ns = meter_mean(&meter);
out:
	if (ns < 0)
		error_set(err, -ENOSPC, "rte_hash refused a key");
	rte_hash_free(hash);
	return ns;
}

/* Nanoseconds per lookup in a table of `rows` entries, with one read of the row. */
static double time_join(uint32_t rows, uint32_t n, struct error *err)
{
	struct rte_hash *hash = create_hash("join", rows + rows / 2, err);
	struct hugemem memory = {0}; /* one line a row */
	struct meter meter = {0};
	uint64_t sum = 0;
	double ns = -1;

	if (hash == NULL || rows == 0 ||
	    hugemem_alloc((size_t)rows * 64, -1, HUGEPAGES_AUTO, &memory, err) != 0)
		goto out;
	for (uint32_t i = 0; i < rows; i++) {
		uint64_t *value = (uint64_t *)((char *)memory.address + (size_t)i * 64);
		struct key key = key_of(i);

		*value = i + 1;
		if (rte_hash_add_key_data(hash, &key, value) != 0) {
			error_set(err, -ENOSPC, "rte_hash refused a row");
			goto out;
		}
	}
	for (uint32_t i = 0; i < n; i += LOOKUPS) {
		struct key keys[LOOKUPS];
		const void *pointers[LOOKUPS];
		void *data[LOOKUPS];
		uint64_t hits = 0;

		for (uint32_t k = 0; k < LOOKUPS; k++) {
			keys[k] = key_of(mix(i + k) % rows);
			pointers[k] = &keys[k];
		}
		meter_start(&meter);
		(void)rte_hash_lookup_bulk_data(hash, pointers, LOOKUPS, &hits, data);
		for (uint32_t k = 0; k < LOOKUPS; k++)
			if (hits & (UINT64_C(1) << k))
				rte_prefetch0(data[k]);
		for (uint32_t k = 0; k < LOOKUPS; k++)
			if (hits & (UINT64_C(1) << k))
				sum += *(const uint64_t *)data[k];
		(void)meter_stop(&meter, LOOKUPS);
	}
	ns = sum == 0 ? -1 : meter_mean(&meter);
out:
	rte_hash_free(hash);
	hugemem_free(&memory);
	return ns;
}

double reference_rte_hash_join(
    const struct reference_join *joins, uint32_t n_joins, uint32_t n, struct error *err)
{
	double sum = 0;

	for (uint32_t j = 0; j < n_joins; j++) {
		double ns = time_join(joins[j].rows, n, err);

		if (ns < 0)
			return -1;
		sum += ns * joins[j].per_event;
	}
	return sum;
}

/* The regular expression that stands for a field's constraint, as a user of Hyperscan would write it. */
static const char *expression_of(const struct config_field *field)
{
	if (field->pattern != NULL)
		return field->pattern;
	if (field->format == FORMAT_UUID)
		return "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";
	return NULL;
}

static int matched(
    unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *context)
{
	(void)id, (void)from, (void)to, (void)flags;
	++*(uint64_t *)context;
	return 0;
}

double reference_hyperscan(
    const struct schema *schema, const struct workload *w, uint32_t n, struct error *err)
{
	hs_database_t *databases[SCHEMA_MAX_FIELDS] = {0};
	hs_scratch_t *scratch = NULL;
	struct value *values = calloc((size_t)n * SCHEMA_MAX_FIELDS, sizeof(*values));
	char *text = malloc(1 << 16);
	struct json_parser parser = {0};
	struct member unknown[BURST_MAX_UNKNOWN];
	struct meter meter = {0};
	uint64_t matches = 0;
	double ns = -1;

	if (values == NULL || text == NULL || json_parser_init(&parser, json_best_isa(), 1 << 16) != 0)
		goto out;
	for (uint32_t i = 0; i < n; i++) {
		struct json_output output = {
		    .values = &values[(size_t)i * SCHEMA_MAX_FIELDS], .unknown = unknown, .text = text};

		(void)json_parse(&parser, schema, w->events[i].data, w->events[i].len, &output);
	}
	for (uint16_t f = 0; f < schema->n_fields; f++) {
		const char *expression = expression_of(schema->fields[f].config);
		hs_compile_error_t *error = NULL;

		if (expression == NULL)
			continue;
		if (hs_compile(expression, HS_FLAG_SINGLEMATCH | HS_FLAG_UTF8, HS_MODE_BLOCK, NULL,
		        &databases[f], &error) != HS_SUCCESS ||
		    hs_alloc_scratch(databases[f], &scratch) != HS_SUCCESS) {
			error_set(
			    err, -EINVAL, "Hyperscan: %s", error != NULL ? error->message : "no memory");
			hs_free_compile_error(error);
			goto out;
		}
	}
	for (uint32_t i = 0; i + METER_LAP <= n; i += METER_LAP) {
		meter_start(&meter);
		for (uint32_t k = i; k < i + METER_LAP; k++)
			for (uint16_t f = 0; f < schema->n_fields; f++) {
				const struct value *value = &values[(size_t)k * SCHEMA_MAX_FIELDS + f];

				if (databases[f] != NULL && value->type == VALUE_STRING && !value->decoded)
					(void)hs_scan(databases[f], value->ptr, value->len, 0, scratch,
					    matched, &matches);
			}
		(void)meter_stop(&meter, METER_LAP);
	}
	ns = matches == 0 ? -1 : meter_mean(&meter);
out:
	for (uint16_t f = 0; f < schema->n_fields; f++)
		hs_free_database(databases[f]);
	hs_free_scratch(scratch);
	json_parser_fini(&parser);
	free(values);
	free(text);
	return ns;
}
