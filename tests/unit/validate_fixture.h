/* SPDX-License-Identifier: BSD-3-Clause */
/* One stream with its schema and validator, made from fields that a test adds; and the catalog stream. */
#ifndef PENSTOCK_TEST_VALIDATE_FIXTURE_H
#define PENSTOCK_TEST_VALIDATE_FIXTURE_H

#include "validate.h"
#include "random_text.h"

#define NOW_MS INT64_C(1750203005123) /* 2025-06-17T23:30:05.123Z */

struct fixture {
	struct config_field fields[SCHEMA_MAX_FIELDS];
	struct config_stream stream;
	struct schema *schema;
	struct validator *validator;
	struct hs_scratch *scratch;
};

static inline struct config_field *add(struct fixture *f, const char *name, enum field_type type)
{
	struct config_field *field = &f->fields[f->stream.n_fields++];

	*field =
	    (struct config_field){.name = (char *)name, .type = type, .line = 10 + (int)f->stream.n_fields};
	f->stream.fields = f->fields;
	f->stream.name = "catalog";
	f->stream.max_event_bytes = 65536;
	f->stream.line = 3;
	return field;
}

static inline int try_open(struct fixture *f, struct error *err)
{
	if (f->stream.timestamp_field == NULL)
		f->stream.max_past_ms = f->stream.max_future_ms = -1;
	if (schema_create(&f->stream, &f->schema, err) != 0)
		fail_msg("%s", err->text);
	return validator_create(f->schema, &f->validator, err);
}

static inline void open_fixture(struct fixture *f)
{
	struct error err;

	if (try_open(f, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(validator_scratch(f->validator, &f->scratch), 0);
}

static inline void close_fixture(struct fixture *f)
{
	validator_scratch_free(f->scratch);
	validator_destroy(f->validator);
	schema_destroy(f->schema);
}

static inline struct value make(enum value_type type, const char *text)
{
	return (struct value){.ptr = text, .len = (uint32_t)strlen(text), .type = (uint8_t)type};
}

static inline enum reason run(
    const struct fixture *f, const struct value *values, int64_t *time_ms, int *field)
{
	return validate_event(f->validator, f->scratch, values, NOW_MS, time_ms, field);
}

static inline void set_catalog(struct fixture *f)
{
	static char *types[] = {
	    "PRODUCT_CREATED", "PRICE_UPDATED", "STOCK_CHANGED", "PRODUCT_VIEW", "ADD_TO_CART", "PURCHASE"};
	struct config_field *field;

	field = add(f, "eventId", FIELD_STRING);
	field->format = FORMAT_UUID;
	field->required = true;
	add(f, "timestamp", FIELD_STRING)->required = true;
	field = add(f, "eventType", FIELD_STRING);
	field->required = true;
	field->enum_values = types;
	field->n_enum = sizeof(types) / sizeof(types[0]);
	add(f, "userId", FIELD_STRING)->pattern = "^user-[a-z0-9]{1,32}$";
	add(f, "productId", FIELD_STRING)->pattern = "^prod-[a-z0-9]{1,32}$";
	field = add(f, "sessionId", FIELD_STRING);
	field->has_max_length = true;
	field->max_length = 64;
	field = add(f, "price", FIELD_NUMBER);
	field->has_min = true;
	f->stream.identity = "eventId";
	f->stream.timestamp_field = "timestamp";
	f->stream.max_past_ms = 7 * INT64_C(86400000);
	f->stream.max_future_ms = 300000;
}

static inline void set_catalog_values(struct value *values)
{
	values[0] = make(VALUE_STRING, "f47ac10b-58cc-4372-a567-0e02b2c3d479");
	values[1] = make(VALUE_STRING, "2025-06-17T23:30:00Z");
	values[2] = make(VALUE_STRING, "PRODUCT_VIEW");
	values[3] = make(VALUE_STRING, "user-abc");
	values[4] = make(VALUE_STRING, "prod-xyz");
	values[5] = make(VALUE_STRING, "session-789");
	values[6] = make(VALUE_NUMBER, "19.99");
}

#endif
