/* SPDX-License-Identifier: BSD-3-Clause */
#include "json.h"
#include "../json_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define MAX_EVENT (256u << 10)
#define MAX_SHIFT 130u /* positions of a case against the blocks of 64 bytes */

static struct config_field fields[] = {
    {.name = "a", .type = FIELD_STRING},
    {.name = "b", .type = FIELD_NUMBER},
    {.name = "key", .type = FIELD_OBJECT},
    {.name = "a_longer_name", .type = FIELD_ARRAY},
    {.name = "geographical_location_oid", .type = FIELD_STRING},
};

/* What every test works with: a schema per treatment of undeclared fields, a parser per runnable ISA, and
 * memory between two pages that nobody may touch. */
struct fixture {
	struct config_stream stream[3];
	struct schema *schema[3]; /* by enum unknown_fields */
	struct json_parser parser[JSON_ISA_AVX512 + 1];
	uint32_t n_parsers;
	char *mapping, *start, *end; /* start..end is between the pages */
	size_t mapping_size;
};

static int setup(void **state)
{
	static struct fixture f;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), inner = (MAX_EVENT + 2 * page) & ~(page - 1);
	struct error err;

	for (int mode = UNKNOWN_KEEP; mode <= UNKNOWN_REJECT; mode++) {
		f.stream[mode] = (struct config_stream){.name = "test",
		    .fields = fields,
		    .n_fields = sizeof(fields) / sizeof(fields[0]),
		    .unknown_fields = (enum unknown_fields)mode,
		    .max_event_bytes = MAX_EVENT};
		if (schema_create(&f.stream[mode], &f.schema[mode], &err) != 0)
			return -1;
	}
	f.n_parsers = (uint32_t)json_best_isa() + 1;
	for (uint32_t i = 0; i < f.n_parsers; i++) {
		if (json_parser_init(&f.parser[i], (enum json_isa)i, MAX_EVENT) != 0)
			return -1;
	}
	f.mapping_size = inner + 2 * page;
	f.mapping = mmap(NULL, f.mapping_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f.mapping == MAP_FAILED)
		return -1;
	f.start = f.mapping + page;
	f.end = f.start + inner;
	*state = &f;
	return mprotect(f.start, inner, PROT_READ | PROT_WRITE);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < f->n_parsers; i++)
		json_parser_fini(&f->parser[i]);
	for (int mode = UNKNOWN_KEEP; mode <= UNKNOWN_REJECT; mode++)
		schema_destroy(f->schema[mode]);
	return munmap(f->mapping, f->mapping_size);
}

/* Parses with every ISA, at the end and at the start of the guarded memory; all must say `reason` at
 * `offset`, and agree in everything else. */
static void check(struct fixture *f, enum unknown_fields mode, const char *json, uint32_t len,
    enum reason reason, uint32_t offset)
{
	char *places[] = {f->end - len, f->start};
	struct json_check reference, other;

	for (uint32_t place = 0; place < 2; place++) {
		memcpy(places[place], json, len);
		json_check_parse(
		    &reference, &f->parser[JSON_ISA_SCALAR], f->schema[mode], places[place], len);
		if (reference.reason != reason ||
		    (reason != REASON_NONE && reference.out.error_offset != offset))
			fail_msg("%.*s: %s at %u, not %s at %u", (int)len, json,
			    reason_info(reference.reason)->name, reference.out.error_offset,
			    reason_info(reason)->name, offset);
		for (uint32_t i = 1; i < f->n_parsers; i++) {
			const char *difference;

			json_check_parse(&other, &f->parser[i], f->schema[mode], places[place], len);
			difference = json_check_difference(f->schema[mode], &reference, &other);
			if (difference != NULL)
				fail_msg("%.*s: isa %u differs in %s: %s at %u, not %s at %u", (int)len, json,
				    i, difference, reason_info(other.reason)->name, other.out.error_offset,
				    reason_info(reason)->name, offset);
			json_check_fini(&other);
			if (json_check_fast(&f->parser[i], f->schema[mode], places[place], len) !=
			    (reason == REASON_NONE))
				fail_msg("%.*s: isa %u: the fast path says otherwise", (int)len, json, i);
		}
		json_check_fini(&reference);
	}
}

/* The same with white space before, so that every byte meets every place in a block. */
static void check_shifted(
    struct fixture *f, const char *json, uint32_t len, enum reason reason, uint32_t offset)
{
	static const char space[] = " \t\r\n";
	char *text = malloc(len + MAX_SHIFT);
	uint32_t most = len < 1024 ? MAX_SHIFT : 1;

	assert_non_null(text);
	for (uint32_t shift = 0; shift < most; shift++) {
		for (uint32_t i = 0; i < shift; i++)
			text[i] = space[i % 4];
		memcpy(text + shift, json, len);
		check(f, UNKNOWN_KEEP, text, shift + len, reason, shift + offset);
	}
	free(text);
}

struct json_case {
	const char *text;
	uint32_t len;
	enum reason reason;
	uint32_t offset;
};

#define YES(text)                                      \
	{                                              \
		text, sizeof(text) - 1, REASON_NONE, 0 \
	}
#define NO(text, reason, offset)                                     \
	{                                                            \
		text, sizeof(text) - 1, REASON_JSON_##reason, offset \
	}

#include "json_cases.h"

/* A value is tried as a declared member, as an undeclared one, in an array and in an object. */
static void check_value(struct fixture *f, const struct json_case *c)
{
	static const struct {
		const char *before, *after;
	} around[] = {{"{\"a\":", "}"}, {"{\"x\" : ", " }"}, {"{\"x\":[", "]}"}, {"{\"x\":{\"y\":", "}}"},
	    {"{\"key\":[1,", " , 2]}"}};
	char text[512];

	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		uint32_t before = (uint32_t)strlen(around[i].before),
		         after = (uint32_t)strlen(around[i].after);

		assert_true(before + c->len + after <= sizeof(text));
		memcpy(text, around[i].before, before);
		memcpy(text + before, c->text, c->len);
		memcpy(text + before + c->len, around[i].after, after);
		check_shifted(f, text, before + c->len + after, c->reason, before + c->offset);
	}
}

static void values(void **state)
{
	for (size_t i = 0; i < sizeof(value_cases) / sizeof(value_cases[0]); i++)
		check_value(*state, &value_cases[i]);
}

static void events(void **state)
{
	for (size_t i = 0; i < sizeof(event_cases) / sizeof(event_cases[0]); i++)
		check_shifted(*state, event_cases[i].text, event_cases[i].len, event_cases[i].reason,
		    event_cases[i].offset);
}

/* Every beginning of a valid event is refused, and at its end. */
static void truncated_events_are_syntax_errors(void **state)
{
	static const char event[] =
	    "{\"a\":\"x\\u00e9\\\\\",\"key\":{\"n\":[true,{\"x\":{}},[]]},\"z\":\"\",\"b\":null }";

	check(*state, UNKNOWN_KEEP, event, sizeof(event) - 1, REASON_NONE, 0);
	for (uint32_t len = 0; len < sizeof(event) - 1; len++) {
		struct fixture *f = *state;
		struct json_check c;

		json_check_parse(&c, &f->parser[0], f->schema[0], event, len);
		assert_true(c.reason == REASON_JSON_SYNTAX || c.reason == REASON_JSON_ESCAPE);
		check(f, UNKNOWN_KEEP, event, len, c.reason, c.out.error_offset);
		json_check_fini(&c);
	}
}

/* Every byte value, at every place of a small event. */
static void any_byte_anywhere(void **state)
{
	static const char event[] = "{\"a\":\"x\\n\",\"x\":[1.5e-3,true,{\"b\":-0}]}";
	char text[sizeof(event)];
	struct fixture *f = *state;

	for (uint32_t at = 0; at < sizeof(event) - 1; at++) {
		for (uint32_t byte = 0; byte < 256; byte++) {
			struct json_check c;

			memcpy(text, event, sizeof(event));
			text[at] = (char)byte;
			json_check_parse(&c, &f->parser[0], f->schema[UNKNOWN_DROP], text, sizeof(event) - 1);
			check(f, UNKNOWN_DROP, text, sizeof(event) - 1, c.reason, c.out.error_offset);
			json_check_fini(&c);
		}
	}
}

static void nest(char *text, const char *open, uint32_t levels, const char *inner, const char *close)
{
	*text = '\0';
	for (uint32_t i = 0; i < levels; i++)
		text = stpcpy(text, open);
	text = stpcpy(text, inner);
	for (uint32_t i = 0; i < levels; i++)
		text = stpcpy(text, close);
}

static void nesting_is_limited(void **state)
{
	static char text[MAX_EVENT];

	nest(text, "{\"a\":", JSON_MAX_DEPTH, "1", "}");
	check_shifted(*state, text, (uint32_t)strlen(text), REASON_NONE, 0);
	nest(text, "{\"a\":", JSON_MAX_DEPTH + 1, "1", "}");
	check_shifted(*state, text, (uint32_t)strlen(text), REASON_JSON_DEPTH, 5 * JSON_MAX_DEPTH);
	nest(text, "{\"z\":", JSON_MAX_DEPTH, "{}", "}");
	check_shifted(*state, text, (uint32_t)strlen(text), REASON_JSON_DEPTH, 5 * JSON_MAX_DEPTH);
	memcpy(text, "{\"a\":", 5);
	nest(text + 5, "[", JSON_MAX_DEPTH - 1, "", "]");
	strcat(text, "}");
	check_shifted(*state, text, (uint32_t)strlen(text), REASON_NONE, 0);
	nest(text + 5, "[", JSON_MAX_DEPTH, "", "]");
	strcat(text, "}");
	check_shifted(*state, text, (uint32_t)strlen(text), REASON_JSON_DEPTH, 5 + JSON_MAX_DEPTH - 1);
	nest(text, "[", JSON_MAX_DEPTH, "", "]");
	check_shifted(*state, text, (uint32_t)strlen(text), REASON_JSON_NOT_OBJECT, 0);
	nest(text, "[", 100000, "", "");
	check_shifted(*state, text, 100000, REASON_JSON_DEPTH, JSON_MAX_DEPTH);
	nest(text, "[{\"\":", 20000, "", "");
	check_shifted(*state, text, 100000, REASON_JSON_DEPTH, 5 * JSON_MAX_DEPTH / 2);
}

static const struct value *parse(
    struct fixture *f, struct json_check *c, uint32_t isa, enum unknown_fields mode, const char *json)
{
	json_check_parse(c, &f->parser[isa], f->schema[mode], json, (uint32_t)strlen(json));
	return c->values;
}

static void assert_value(const struct value *value, enum value_type type, const char *text, bool decoded)
{
	assert_int_equal(value->type, type);
	if (type == VALUE_ABSENT)
		return;
	assert_int_equal(value->len, strlen(text));
	assert_memory_equal(value->ptr, text, value->len);
	assert_int_equal(value->decoded, decoded);
}

static void values_are_stored(void **state)
{
	struct fixture *f = *state;

	for (uint32_t isa = 0; isa < f->n_parsers; isa++) {
		struct json_check c;
		const struct value *v = parse(f, &c, isa, UNKNOWN_KEEP,
		    " { \"b\" : -12.50e+3 , \"a\" : \"plain\" , \"x\":1, \"geographical_location_oid\":\"\", "
		    "\"key\" : { \"a\" : [ ] } } ");

		assert_int_equal(c.reason, REASON_NONE);
		assert_value(&v[0], VALUE_STRING, "plain", false);
		assert_value(&v[1], VALUE_NUMBER, "-12.50e+3", false);
		assert_value(&v[2], VALUE_OBJECT, "{ \"a\" : [ ] }", false);
		assert_value(&v[3], VALUE_ABSENT, NULL, false);
		assert_value(&v[4], VALUE_STRING, "", false);
		assert_int_equal(c.out.n_unknown, 1);
		json_check_fini(&c);
		v = parse(f, &c, isa, UNKNOWN_KEEP,
		    "{\"a\":true,\"b\":-0,\"key\":null,\"a_longer_name\":[\"]\"],\"geographical_location_"
		    "oid\":false}");
		assert_int_equal(c.reason, REASON_NONE);
		assert_value(&v[0], VALUE_TRUE, "true", false);
		assert_value(&v[1], VALUE_INTEGER, "-0", false);
		assert_value(&v[2], VALUE_NULL, "null", false);
		assert_value(&v[3], VALUE_ARRAY, "[\"]\"]", false);
		assert_value(&v[4], VALUE_FALSE, "false", false);
		json_check_fini(&c);
	}
}

static void escapes_are_decoded(void **state)
{
	struct fixture *f = *state;

	for (uint32_t isa = 0; isa < f->n_parsers; isa++) {
		struct json_check c;
		const struct value *v = parse(f, &c, isa, UNKNOWN_KEEP,
		    "{\"\\u0061\":\"\\\"\\\\\\/"
		    "\\b\\f\\n\\r\\t\",\"b\":\"a\\u00e9\\u20AC\\ud83d\\uDE00\\u0000z\",\"k\\u0065y\":"
		    "\"k\\\\\","
		    "\"\\u0061_\\u006conger_name\":\"x\",\"geographical_location\\u005foid\":"
		    "\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"}");

		assert_int_equal(c.reason, REASON_NONE);
		assert_value(&v[0], VALUE_STRING, "\"\\/\b\f\n\r\t", true);
		assert_int_equal(v[1].len, 1 + 2 + 3 + 4 + 1 + 1);
		assert_memory_equal(v[1].ptr, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0z", v[1].len);
		assert_value(&v[2], VALUE_STRING, "k\\", true);
		assert_value(&v[3], VALUE_STRING, "x", false);
		assert_value(&v[4], VALUE_STRING, "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", true);
		assert_int_equal(c.out.text_used, v[0].len + v[1].len + v[2].len + v[4].len);
		assert_int_equal(c.out.n_unknown, 0);
		json_check_fini(&c);
	}
}

static void declared_keys_occur_once(void **state)
{
	static const char twice[] = "{\"a\":1,\"x\":2,\"x\":3,\"\\u0061\":2}";
	static const char nested[] = "{\"a\":1,\"key\":{\"a\":2,\"a\":3},\"x\":{\"a\":1}}";
	static const char broken[] = "{\"a\":1,\"a\":2,\"b\":01}";
	struct fixture *f = *state;
	struct json_check c;

	check(f, UNKNOWN_KEEP, twice, sizeof(twice) - 1, REASON_JSON_DUPLICATE_KEY, 19);
	check(f, UNKNOWN_KEEP, nested, sizeof(nested) - 1, REASON_NONE, 0);
	/* Not JSON comes first. */
	check(f, UNKNOWN_KEEP, broken, sizeof(broken) - 1, REASON_JSON_NUMBER, 18);
	for (uint32_t isa = 0; isa < f->n_parsers; isa++) {
		(void)parse(f, &c, isa, UNKNOWN_KEEP, twice);
		assert_int_equal(c.out.error_field, 0);
		json_check_fini(&c);
		(void)parse(f, &c, isa, UNKNOWN_KEEP, broken);
		assert_int_equal(c.out.error_field, 1);
		json_check_fini(&c);
	}
}

static void undeclared_members_are_recorded(void **state)
{
	static const char event[] =
	    "{\"x\" : {\"a\":1} , \"a\":1,\"y\":\"\\n\",\"y\":[ ], \"\":-1.5 ,\"t\":true}";
	static const char *const expected[] = {
	    "\"x\" : {\"a\":1}", "\"y\":\"\\n\"", "\"y\":[ ]", "\"\":-1.5", "\"t\":true"};
	struct fixture *f = *state;

	for (uint32_t isa = 0; isa < f->n_parsers; isa++) {
		struct json_check c;

		(void)parse(f, &c, isa, UNKNOWN_DROP, event);
		assert_int_equal(c.reason, REASON_NONE);
		assert_int_equal(c.out.n_unknown, 5);
		for (uint32_t i = 0; i < 5; i++) {
			assert_int_equal(c.unknown[i].end - c.unknown[i].start, strlen(expected[i]));
			assert_memory_equal(event + c.unknown[i].start, expected[i], strlen(expected[i]));
		}
		json_check_fini(&c);
	}
	check(f, UNKNOWN_REJECT, event, sizeof(event) - 1, REASON_FIELD_UNKNOWN, 1);
	check(f, UNKNOWN_REJECT, "{\"a\":1,\"x\":tru}", 15, REASON_JSON_SYNTAX, 11);
	check(f, UNKNOWN_REJECT, "{\"a\":1,\"x\":1,\"a\":1}", 19, REASON_FIELD_UNKNOWN, 7);
	check(f, UNKNOWN_REJECT, "{\"a\":1,\"a\":1,\"x\":1}", 19, REASON_JSON_DUPLICATE_KEY, 7);
	check(f, UNKNOWN_REJECT, "{\"a\":1,\"b\":2}", 13, REASON_NONE, 0);
}

static void undeclared_members_are_limited_where_they_are_recorded(void **state)
{
	static char text[BURST_MAX_UNKNOWN * 8 + 64];
	struct fixture *f = *state;
	uint32_t len = 1, last = 0;

	text[0] = '{';
	for (uint32_t i = 0; i < BURST_MAX_UNKNOWN; i++)
		len += (uint32_t)sprintf(text + len, "\"x\":%u,", i);
	memcpy(text + len, "\"a\":1}", 6);
	check(f, UNKNOWN_DROP, text, len + 6, REASON_NONE, 0);
	last = len;
	len += (uint32_t)sprintf(text + len, "\"x\":0 , \"y\":1}");
	check(f, UNKNOWN_DROP, text, len, REASON_JSON_TOO_MANY_FIELDS, last);
	check(f, UNKNOWN_KEEP, text, len, REASON_NONE, 0);
	check(f, UNKNOWN_REJECT, text, len, REASON_FIELD_UNKNOWN, 1);
	text[len - 1] = ']';
	check(f, UNKNOWN_DROP, text, len, REASON_JSON_SYNTAX, len - 1);
}

static void large_events(void **state)
{
	static char text[MAX_EVENT + 2];
	struct fixture *f = *state;
	struct json_parser small;

	memset(text, 'x', sizeof(text));
	memcpy(text, "{\"a\":\"", 6);
	memcpy(text + MAX_EVENT - 2, "\"}", 2);
	check(f, UNKNOWN_KEEP, text, MAX_EVENT, REASON_NONE, 0);
	text[MAX_EVENT] = ' ';
	for (uint32_t i = 0; i < f->n_parsers; i++) {
		struct json_check c;

		json_check_parse(&c, &f->parser[i], f->schema[UNKNOWN_KEEP], text, MAX_EVENT + 1);
		assert_int_equal(c.reason, REASON_EVENT_TOO_LARGE);
		assert_int_equal(c.out.error_offset, MAX_EVENT);
		assert_int_equal(c.values[0].type, VALUE_ABSENT);
		json_check_fini(&c);
	}
	/* All tokens: as many entries of the index as there can be. */
	memset(text, ',', sizeof(text));
	check(f, UNKNOWN_KEEP, text, MAX_EVENT, REASON_JSON_SYNTAX, 0);
	memset(text, '"', sizeof(text));
	memcpy(text, "{\"a\":[", 6);
	check(f, UNKNOWN_KEEP, text, MAX_EVENT, REASON_JSON_SYNTAX, 8);
	/* A parser made for smaller events still answers, and right. */
	assert_int_equal(json_parser_init(&small, json_best_isa(), 4), 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct json_check c;

		json_check_parse(&c, &small, f->schema[0], "{\"b\":1}", i == 0 ? 7 : 6);
		assert_int_equal(c.reason, i == 0 ? REASON_NONE : REASON_JSON_SYNTAX);
		json_check_fini(&c);
	}
	json_parser_fini(&small);
}

static void a_burst(void **state)
{
	static const struct {
		const char *text;
		enum reason reason;
	} in[] = {{"{\"a\":\"\\n\",\"z\":1}", REASON_NONE}, {"{\"a\":1,\"b\":1x}", REASON_JSON_NUMBER},
	    {"{\"b\":1}", REASON_DUPLICATE}, {"{\"a\":\"\\t\\t\"}", REASON_NONE},
	    {"[]", REASON_JSON_NOT_OBJECT}};
	static struct burst burst;
	static struct member unknown[BURST_EVENTS * BURST_MAX_UNKNOWN];
	struct fixture *f = *state;
	char text[64];

	for (uint32_t isa = 0; isa < f->n_parsers; isa++) {
		burst.n = sizeof(in) / sizeof(in[0]);
		burst.unknown = unknown;
		burst.text = text;
		burst.text_size = sizeof(text);
		burst.text_used = 0;
		for (uint32_t i = 0; i < burst.n; i++)
			burst.event[i] = (struct event){.data = in[i].text,
			    .len = (uint32_t)strlen(in[i].text),
			    .stream = UNKNOWN_DROP,
			    .reason = in[i].reason == REASON_DUPLICATE ? REASON_DUPLICATE : REASON_NONE};
		burst_values(&burst, 2)[0].len = 4711;
		json_parse_burst(&f->parser[isa], f->schema, &burst);
		for (uint32_t i = 0; i < burst.n; i++)
			assert_int_equal(burst.event[i].reason, in[i].reason);
		assert_value(&burst_values(&burst, 0)[0], VALUE_STRING, "\n", true);
		assert_value(&burst_values(&burst, 3)[0], VALUE_STRING, "\t\t", true);
		assert_int_equal(burst.text_used, 3);
		assert_int_equal(burst.event[0].n_unknown, 1);
		assert_int_equal(burst_unknown(&burst, 0)[0].start, 10);
		assert_int_equal(burst.event[1].reason_field, 1);
		assert_int_equal(burst.event[1].reason_offset, 12);
		/* An event that had ended is left alone. */
		assert_int_equal(burst_values(&burst, 2)[0].len, 4711);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values),
	    cmocka_unit_test(events),
	    cmocka_unit_test(truncated_events_are_syntax_errors),
	    cmocka_unit_test(any_byte_anywhere),
	    cmocka_unit_test(nesting_is_limited),
	    cmocka_unit_test(values_are_stored),
	    cmocka_unit_test(escapes_are_decoded),
	    cmocka_unit_test(declared_keys_occur_once),
	    cmocka_unit_test(undeclared_members_are_recorded),
	    cmocka_unit_test(undeclared_members_are_limited_where_they_are_recorded),
	    cmocka_unit_test(large_events),
	    cmocka_unit_test(a_burst),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
