/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Holds the JSON parsers to each other and to jansson: every ISA that runs here must give the reference's
 * answer in every detail, for streams that keep, drop and reject what they do not declare; and the reference
 * must accept what jansson accepts, and find the same values in it.
 */
#include "json.h"
#include "../json_check.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/mman.h>

#define MAX_EVENT 4096u
#define MAX_SIZE 8192u
#define SCHEMAS 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct config_field small[7], large[40];
	char large_names[40][32];
	struct config_stream stream[SCHEMAS];
	struct schema *schema[SCHEMAS];
	struct json_parser parser[JSON_ISA_AVX512 + 1];
	char *end; /* of MAX_SIZE bytes; nobody may touch what follows */
};

static void give_up(const char *what)
{
	(void)fprintf(stderr, "fuzz_json: %s\n", what);
	abort();
}

static void create(struct fuzz *f)
{
	static char *const names[] = {
	    "a", "b", "", "key", "eventId", "a_longer_name", "geographical_location_oid"};
	static const enum unknown_fields modes[SCHEMAS] = {
	    UNKNOWN_KEEP, UNKNOWN_DROP, UNKNOWN_REJECT, UNKNOWN_DROP};
	char *mapping;

	for (uint32_t i = 0; i < 7; i++)
		f->small[i].name = names[i];
	for (uint32_t i = 0; i < 40; i++) {
		(void)snprintf(
		    f->large_names[i], sizeof(f->large_names[i]), i % 2 ? "%u" : "field_number_%u_of_40", i);
		f->large[i].name = f->large_names[i];
	}
	f->large[0].name = names[0];
	for (uint32_t i = 0; i < SCHEMAS; i++) {
		struct error err;

		f->stream[i] = (struct config_stream){.name = "fuzz",
		    .fields = i < 3 ? f->small : f->large,
		    .n_fields = i < 3 ? 7 : 40,
		    .unknown_fields = modes[i],
		    .max_event_bytes = MAX_EVENT};
		if (schema_create(&f->stream[i], &f->schema[i], &err) != 0)
			give_up(err.text);
	}
	for (int isa = JSON_ISA_SCALAR; isa <= (int)json_best_isa(); isa++) {
		if (json_parser_init(&f->parser[isa], (enum json_isa)isa, MAX_EVENT) != 0)
			give_up("no memory");
	}
	mapping = mmap(NULL, 2 * MAX_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mapping == MAP_FAILED || mprotect(mapping, MAX_SIZE, PROT_READ | PROT_WRITE) != 0)
		give_up("no memory");
	f->end = mapping + MAX_SIZE;
}

static json_t *load(const char *data, size_t size, json_error_t *error)
{
	return json_loadb(data, size, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL | JSON_DECODE_ANY, error);
}

static void check_number(const struct value *value, const json_t *expected)
{
	char text[MAX_EVENT + 1];
	double number;

	memcpy(text, value->ptr, value->len);
	text[value->len] = '\0';
	number = strtod(text, NULL);
	if (!json_is_real(expected) || json_real_value(expected) != number)
		give_up("a number differs from jansson's");
	if ((value->type == VALUE_INTEGER) != (strpbrk(text, ".eE") == NULL))
		give_up("an integer is none, or the other way round");
}

static void check_value(const struct value *value, const json_t *expected)
{
	json_error_t error;
	json_t *again;
	bool ok = false;

	switch (value->type) {
	case VALUE_ABSENT:
		ok = expected == NULL;
		break;
	case VALUE_STRING:
		ok = json_is_string(expected) && json_string_length(expected) == value->len &&
		     memcmp(json_string_value(expected), value->ptr, value->len) == 0;
		break;
	case VALUE_INTEGER:
	case VALUE_NUMBER:
		check_number(value, expected);
		return;
	case VALUE_TRUE:
		ok = json_is_true(expected);
		break;
	case VALUE_FALSE:
		ok = json_is_false(expected);
		break;
	case VALUE_NULL:
		ok = json_is_null(expected);
		break;
	default:
		again = load(value->ptr, value->len, &error);
		ok = again != NULL && json_is_object(again) == (value->type == VALUE_OBJECT) &&
		     json_equal(again, expected);
		json_decref(again);
	}
	if (!ok)
		give_up("a value differs from jansson's");
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Each recorded member, in braces, is an object of one member. */
static void check_unknown(const struct json_check *check, const char *data)
{
	for (uint32_t i = 0; i < check->out.n_unknown; i++) {
		const struct member *member = &check->unknown[i];
		uint32_t len = member->end - member->start;
		char text[MAX_EVENT + 2];
		json_error_t error;
		json_t *object;

		if (data[member->start] != '"' || is_space(data[member->end - 1]))
			give_up("an undeclared member's place is wrong");
		text[0] = '{';
		memcpy(text + 1, data + member->start, len);
		text[len + 1] = '}';
		object = load(text, len + 2, &error);
		if (json_object_size(object) != 1)
			give_up("an undeclared member is not one");
		json_decref(object);
	}
}

/* Whether jansson met a limit of its own: numbers beyond a double's range, NUL in keys. */
static bool beyond_jansson(const json_t *root, const json_error_t *error)
{
	enum json_error_code code = json_error_code(error);

	return root == NULL && (code == json_error_numeric_overflow || code == json_error_null_byte_in_key);
}

static void check_jansson(
    const struct schema *schema, const struct json_check *check, const char *data, size_t size)
{
	json_error_t error = {0};
	json_t *root = load(data, size, &error);

	switch (check->reason) {
	case REASON_NONE:
	case REASON_JSON_DUPLICATE_KEY:
	case REASON_JSON_TOO_MANY_FIELDS:
	case REASON_FIELD_UNKNOWN:
		if (beyond_jansson(root, &error))
			return;
		if (!json_is_object(root) || memchr(data, '\0', size) != NULL)
			give_up("accepted, but not by jansson");
		break;
	case REASON_JSON_NOT_OBJECT:
		if (beyond_jansson(root, &error))
			return;
		if (root == NULL || json_is_object(root))
			give_up("said to be JSON and no object, but not by jansson");
		break;
	case REASON_JSON_DEPTH:
		break;
	default:
		/* jansson swallows a NUL byte after a number. */
		if (root != NULL && memchr(data, '\0', size) == NULL)
			give_up("refused, but not by jansson");
	}
	if (check->reason == REASON_NONE) {
		for (uint16_t i = 0; i < schema->n_fields; i++)
			check_value(&check->values[i], json_object_get(root, schema->fields[i].name));
		if (schema->unknown_fields == UNKNOWN_DROP)
			check_unknown(check, data);
	}
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct json_check reference, other;
	static struct fuzz fuzz;
	char *event;

	if (size > MAX_SIZE)
		return 0;
	if (fuzz.end == NULL)
		create(&fuzz);
	event = fuzz.end - size;
	memcpy(event, data, size);
	for (uint32_t s = 0; s < SCHEMAS; s++) {
		const struct schema *schema = fuzz.schema[s];

		json_check_parse(&reference, &fuzz.parser[JSON_ISA_SCALAR], schema, event, (uint32_t)size);
		for (int isa = JSON_ISA_SSE42; isa <= (int)json_best_isa(); isa++) {
			const char *difference;

			json_check_parse(&other, &fuzz.parser[isa], schema, event, (uint32_t)size);
			difference = json_check_difference(schema, &reference, &other);
			if (difference != NULL) {
				(void)fprintf(
				    stderr, "fuzz_json: schema %u, isa %d: %s differs\n", s, isa, difference);
				abort();
			}
			json_check_fini(&other);
			if (size <= MAX_EVENT &&
			    (reference.reason == REASON_NONE) !=
			        json_check_fast(&fuzz.parser[isa], schema, event, (uint32_t)size))
				give_up("the fast path says otherwise");
		}
		if ((reference.reason == REASON_EVENT_TOO_LARGE) != (size > MAX_EVENT))
			give_up("the size limit is not where it should be");
		if (size <= MAX_EVENT)
			check_jansson(schema, &reference, event, size);
		json_check_fini(&reference);
	}
	return 0;
}
