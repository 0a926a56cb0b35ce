/* SPDX-License-Identifier: BSD-3-Clause */
#include "schema.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct fixture {
	struct config_stream stream;
	struct config_field fields[SCHEMA_MAX_FIELDS + 1];
	char names[SCHEMA_MAX_FIELDS + 1][80];
};

static void add(struct fixture *f, const char *name)
{
	size_t i = f->stream.n_fields++;

	(void)snprintf(f->names[i], sizeof(f->names[i]), "%s", name);
	f->fields[i].name = f->names[i];
	f->stream.fields = f->fields;
	f->stream.name = "catalog";
	f->stream.max_event_bytes = 65536;
}

static struct schema *create(struct fixture *f)
{
	struct schema *schema;
	struct error err;

	if (schema_create(&f->stream, &schema, &err) != 0)
		fail_msg("%s", err.text);
	return schema;
}

static void refused(struct fixture *f, const char *text)
{
	struct schema *schema = (struct schema *)f;
	struct error err = {0};

	assert_int_equal(schema_create(&f->stream, &schema, &err), -EINVAL);
	assert_null(schema);
	assert_string_equal(err.text, text);
}

static int find(const struct schema *schema, const char *name)
{
	/* The exact length on the heap, so that a sanitizer sees a read past the name. */
	uint32_t len = (uint32_t)strlen(name);
	char *copy = malloc(len > 0 ? len : 1);
	int field;

	assert_non_null(copy);
	memcpy(copy, name, len);
	field = schema_find(schema, copy, len);
	free(copy);
	return field;
}

static void every_name_finds_its_field(void **state)
{
	static const char *const names[] = {"eventId", "timestamp", "eventType", "userId", "productId",
	    "sessionId", "platform", "price", "location", "", "a", "ab", "abc", "abcd", "abcde", "abcdef",
	    "abcdefg", "abcdefgh", "abcdefghi", "geographical_location_oid", "video_camera_oid",
	    "sixteen_bytes_ok", "sixteen_bytes_ok2"};
	static const char *const others[] = {"eventid", "eventI", "eventIdX", "b", "abcdefghj", "xbcdefghi",
	    "platforn", "geographical_location_oie", "geographical-location_oid", "seographical_location_oid",
	    "sixteen_bytes_oq", "sixteen_bytes-ok2", "\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
	struct fixture f = {0};
	struct schema *schema;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		add(&f, names[i]);
	schema = create(&f);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(find(schema, names[i]), i);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(find(schema, others[i]), SCHEMA_NO_FIELD);
	assert_int_equal(schema_find(schema, "a\0\0", 3), SCHEMA_NO_FIELD);
	assert_int_equal(schema_find(schema, "\0", 1), SCHEMA_NO_FIELD);
	schema_destroy(schema);
}

/* Families of names that differ in one place only, as many as a stream may declare. */
static void the_table_is_always_found(void **state)
{
	static const char *const patterns[] = {"%u", "field_%u", "a_rather_long_prefix_%u",
	    "%u_a_rather_long_suffix", "the_same_beginning_%02u_and_the_same_end",
	    "the_same_beginning_of_all_names_%02u_",
	    "the_same_%02u_beginning_and_a_very_long_end_of_all_the_names"};

	(void)state;
	for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
		for (unsigned int n = 0; n <= SCHEMA_MAX_FIELDS; n++) {
			struct fixture f = {0};
			struct schema *schema;
			char name[80];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			for (unsigned int i = 0; i < n; i++) {
				(void)snprintf(name, sizeof(name), patterns[p], i);
				add(&f, name);
			}
			f.stream.name = "catalog";
			schema = create(&f);
			for (unsigned int i = 0; i < SCHEMA_MAX_FIELDS; i++) {
				(void)snprintf(name, sizeof(name), patterns[p], i);
				assert_int_equal(find(schema, name), i < n ? (int)i : SCHEMA_NO_FIELD);
			}
#pragma GCC diagnostic pop
			schema_destroy(schema);
		}
	}
}

static void names_are_resolved(void **state)
{
	struct config_enrich enrich[2] = {
	    {.dimension = "products", .key = "b"}, {.dimension = "users", .key = "a"}};
	struct fixture f = {0};
	struct schema *schema;

	(void)state;
	add(&f, "a");
	add(&f, "b");
	add(&f, "c");
	f.fields[0].type = FIELD_INTEGER;
	f.fields[1].required = true;
	f.fields[2].required = true;
	f.stream.identity = f.names[2];
	f.stream.partition_key = f.names[0];
	f.stream.enrich = enrich;
	f.stream.n_enrich = 2;
	f.stream.unknown_fields = UNKNOWN_REJECT;
	schema = create(&f);
	assert_int_equal(schema->n_fields, 3);
	assert_int_equal(schema->identity, 2);
	assert_int_equal(schema->timestamp, SCHEMA_NO_FIELD);
	assert_int_equal(schema->partition_key, 0);
	assert_int_equal(schema->enrich_key[0], 1);
	assert_int_equal(schema->enrich_key[1], 0);
	assert_int_equal(schema->enrich_key[2], SCHEMA_NO_FIELD);
	assert_int_equal(schema->required, 6);
	assert_int_equal(schema->unknown_fields, UNKNOWN_REJECT);
	assert_int_equal(schema->max_event_bytes, 65536);
	assert_int_equal(schema->fields[0].type, FIELD_INTEGER);
	assert_ptr_equal(schema->fields[1].config, &f.fields[1]);
	assert_ptr_equal(schema->config, &f.stream);
	schema_destroy(schema);
}

static void what_cannot_be_resolved_is_refused(void **state)
{
	struct config_enrich enrich = {.dimension = "products", .key = "productId"};
	struct fixture f = {0};

	(void)state;
	add(&f, "a");
	f.stream.identity = "eventId";
	refused(&f, "stream catalog: identity: \"eventId\" is not a declared field");
	f.stream.identity = NULL;
	f.stream.timestamp_field = "at";
	refused(&f, "stream catalog: timestamp: \"at\" is not a declared field");
	f.stream.timestamp_field = "a";
	f.stream.partition_key = "";
	refused(&f, "stream catalog: partition_key: \"\" is not a declared field");
	f.stream.partition_key = "a";
	f.stream.enrich = &enrich;
	f.stream.n_enrich = 1;
	refused(&f, "stream catalog: enrich key: \"productId\" is not a declared field");
	enrich.key = NULL;
	refused(&f, "stream catalog: enrich with products: no key");
	f.stream.n_enrich = CONFIG_MAX_ENRICH + 1;
	refused(&f, "stream catalog: 9 joins are declared; the limit is 8");
	f.stream.n_enrich = 0;
	add(&f, "a");
	refused(&f, "stream catalog: field \"a\" is declared twice");
	f.stream.n_fields = SCHEMA_MAX_FIELDS + 1;
	refused(&f, "stream catalog: 65 fields are declared; the limit is 64");
}

static void null_is_allowed(void **state)
{
	(void)state;
	schema_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_name_finds_its_field),
	    cmocka_unit_test(the_table_is_always_found),
	    cmocka_unit_test(names_are_resolved),
	    cmocka_unit_test(what_cannot_be_resolved_is_refused),
	    cmocka_unit_test(null_is_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
