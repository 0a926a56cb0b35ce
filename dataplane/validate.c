/* SPDX-License-Identifier: BSD-3-Clause */
#include "validate.h"
#include "format.h"
#include "number.h"
#include "pattern.h"
#include "regex_set.h"
#include "textset.h"
#include "timestamp.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum constraint {
	CHECK_ENUM = 1,
	CHECK_RANGE = 2,
	CHECK_LENGTH = 4,
	CHECK_FORMAT = 8,
	CHECK_PATTERN = 16,
	CHECK_REGEX = 32,
	CHECK_TIME = 64,
};

/* Checks that are one comparison, so that they need no branch on whether the field is there. */
enum quick { QUICK_NONE, QUICK_TYPE, QUICK_LENGTH, QUICK_NOT_NEGATIVE };

/* One field's constraints. */
struct check {
	uint16_t types;  /* bit t: enum value_type t is accepted */
	uint16_t absent; /* bit t: enum value_type t says that an optional field is absent */
	uint8_t quick;   /* enum quick: passing this is passing all */
	bool required;
	uint8_t constraints;
	uint8_t format;
	uint32_t min_length, max_length;
	double min, max;
	int64_t min_integer,
	    max_integer; /* the same range, for integers; empty if min_integer > max_integer */
	struct textset values;
	struct pattern *pattern;
	size_t regex; /* index in the set */
};

struct validator {
	uint16_t n_fields;
	enum timestamp_format timestamp_format;
	int64_t max_past_ms, max_future_ms; /* INT64_MAX: not checked */
	struct regex_set *regexes;          /* NULL: no field needs it */
	struct check checks[SCHEMA_MAX_FIELDS];
};

static uint16_t accepted_types(enum field_type type)
{
	switch (type) {
	case FIELD_STRING:
		return 1 << VALUE_STRING;
	case FIELD_INTEGER:
		return 1 << VALUE_INTEGER;
	case FIELD_NUMBER:
		return 1 << VALUE_INTEGER | 1 << VALUE_NUMBER;
	case FIELD_BOOLEAN:
		return 1 << VALUE_TRUE | 1 << VALUE_FALSE;
	case FIELD_OBJECT:
		return 1 << VALUE_OBJECT;
	case FIELD_ARRAY:
		return 1 << VALUE_ARRAY;
	}
	return 0;
}

static void set_range(struct check *c, const struct config_field *field)
{
	const double end = 9223372036854775808.0; /* 2^63, which int64_t does not have; it has -2^63 */
	double low, high;

	c->min = field->has_min ? field->min : -INFINITY;
	c->max = field->has_max ? field->max : INFINITY;
	low = ceil(c->min);
	high = floor(c->max);
	if (low >= end || high < -end) {
		c->min_integer = INT64_MAX;
		c->max_integer = INT64_MIN;
	} else {
		c->min_integer = low < -end ? INT64_MIN : (int64_t)low;
		c->max_integer = high >= end ? INT64_MAX : (int64_t)high;
	}
	c->constraints |= CHECK_RANGE;
}

static int compile_pattern(
    struct check *c, const struct config_field *field, struct regex *regexes, size_t *n)
{
	c->pattern = malloc(sizeof(*c->pattern));
	if (c->pattern == NULL)
		return -ENOMEM;
	if (pattern_compile(field->pattern, c->pattern) == 0) {
		c->constraints |= CHECK_PATTERN;
		return 0;
	}
	free(c->pattern);
	c->pattern = NULL;
	c->constraints |= CHECK_REGEX;
	c->regex = *n;
	regexes[(*n)++] = (struct regex){.text = field->pattern};
	return 0;
}

static int refuse(const struct config_field *field, struct error *err, const char *why)
{
	return error_set(err, -EINVAL, "line %d: field \"%s\": %s", field->line, field->name, why);
}

static int compile_field(
    struct check *c, const struct config_field *field, struct regex *regexes, size_t *n, struct error *err)
{
	bool has_length = field->has_min_length || field->has_max_length;

	*c = (struct check){.types = accepted_types(field->type),
	    .required = field->required,
	    .format = (uint8_t)field->format};
	if (field->type != FIELD_STRING &&
	    (field->n_enum != 0 || has_length || field->format != FORMAT_NONE || field->pattern != NULL))
		return refuse(field, err, "enum, length, format and pattern are for strings");
	if (field->has_min || field->has_max) {
		if (field->type != FIELD_NUMBER && field->type != FIELD_INTEGER)
			return refuse(field, err, "min and max are for numbers");
		if ((field->has_min && isnan(field->min)) || (field->has_max && isnan(field->max)))
			return refuse(field, err, "min and max must be numbers");
		set_range(c, field);
	}
	if (field->n_enum != 0) {
		if (textset_create(field->enum_values, field->n_enum, &c->values) != 0)
			goto nomem;
		c->constraints |= CHECK_ENUM;
	}
	if (has_length) {
		c->min_length = field->has_min_length ? field->min_length : 0;
		c->max_length = field->has_max_length ? field->max_length : UINT32_MAX;
		c->constraints |= CHECK_LENGTH;
	}
	if (field->format != FORMAT_NONE)
		c->constraints |= CHECK_FORMAT;
	if (field->pattern != NULL && compile_pattern(c, field, regexes, n) != 0)
		goto nomem;
	return 0;

nomem:
	return error_set(err, -ENOMEM, "out of memory for field \"%s\"", field->name);
}

static void choose_quick(struct check *c)
{
	c->absent = c->required ? 0 : 1 << VALUE_ABSENT | 1 << VALUE_NULL;
	if (c->constraints == 0)
		c->quick = QUICK_TYPE;
	else if (c->constraints == CHECK_LENGTH)
		c->quick = QUICK_LENGTH;
	else if (c->constraints == CHECK_RANGE && c->min <= 0 && c->max == (double)INFINITY)
		c->quick = QUICK_NOT_NEGATIVE;
}

static int compile_timestamp(struct validator *v, const struct schema *schema, struct error *err)
{
	const struct config_stream *stream = schema->config;
	const struct config_field *field;

	v->timestamp_format = stream->timestamp_format;
	v->max_past_ms = stream->max_past_ms >= 0 ? stream->max_past_ms : INT64_MAX;
	v->max_future_ms = stream->max_future_ms >= 0 ? stream->max_future_ms : INT64_MAX;
	if (schema->timestamp == SCHEMA_NO_FIELD)
		return 0;
	field = schema->fields[schema->timestamp].config;
	if (v->timestamp_format == TIMESTAMP_RFC3339 ? field->type != FIELD_STRING
	                                             : field->type > FIELD_INTEGER)
		return refuse(
		    field, err, "the timestamp must be a string, or for unix_s and unix_ms a number");
	v->checks[schema->timestamp].constraints |= CHECK_TIME;
	return 0;
}

static int compile_regexes(struct validator *v, const struct schema *schema, const struct regex *regexes,
    size_t n, struct error *err)
{
	size_t bad;
	int rc = regex_set_create(regexes, n, &v->regexes, &bad, err);

	if (rc != -EINVAL)
		return rc;
	for (uint16_t i = 0; i < v->n_fields; i++) {
		const struct config_field *field = schema->fields[i].config;

		if ((v->checks[i].constraints & CHECK_REGEX) != 0 && v->checks[i].regex == bad)
			return error_prefix(
			    err, rc, "line %d: field \"%s\": pattern", field->line, field->name);
	}
	return error_prefix(
	    err, rc, "line %d: stream \"%s\": patterns", schema->config->line, schema->config->name);
}

int validator_create(const struct schema *schema, struct validator **out, struct error *err)
{
	struct validator *v = calloc(1, sizeof(*v));
	struct regex regexes[SCHEMA_MAX_FIELDS];
	size_t n_regexes = 0;
	int rc;

	*out = NULL;
	if (v == NULL)
		return error_set(err, -ENOMEM, "out of memory for a validator");
	v->n_fields = schema->n_fields;
	for (uint16_t i = 0; i < v->n_fields; i++) {
		rc = compile_field(&v->checks[i], schema->fields[i].config, regexes, &n_regexes, err);
		if (rc != 0)
			goto err;
	}
	rc = compile_timestamp(v, schema, err);
	if (rc != 0)
		goto err;
	for (uint16_t i = 0; i < v->n_fields; i++)
		choose_quick(&v->checks[i]);
	if (n_regexes > 0) {
		rc = compile_regexes(v, schema, regexes, n_regexes, err);
		if (rc != 0)
			goto err;
	}
	*out = v;
	return 0;

err:
	validator_destroy(v);
	return rc;
}

void validator_destroy(struct validator *validator)
{
	if (validator == NULL)
		return;
	for (uint16_t i = 0; i < validator->n_fields; i++) {
		textset_destroy(&validator->checks[i].values);
		free(validator->checks[i].pattern);
	}
	regex_set_destroy(validator->regexes);
	free(validator);
}

int validator_scratch(const struct validator *validator, struct hs_scratch **scratch)
{
	return validator->regexes != NULL ? regex_set_scratch(validator->regexes, scratch) : 0;
}

void validator_scratch_free(struct hs_scratch *scratch)
{
	regex_set_scratch_free(scratch);
}

static enum reason check_range(const struct check *c, const struct value *value)
{
	int64_t integer;
	double number;

	if (value->type == VALUE_INTEGER && number_int64(value->ptr, value->len, &integer))
		return integer >= c->min_integer && integer <= c->max_integer ? REASON_NONE
		                                                              : REASON_FIELD_RANGE;
	if (!number_double(value->ptr, value->len, &number))
		return REASON_FIELD_TYPE;
	return number >= c->min && number <= c->max ? REASON_NONE : REASON_FIELD_RANGE;
}

/* A code point takes one to four bytes, so most lengths are decided without counting. */
static inline uint32_t fewest_points(const struct value *value)
{
	return value->len / 4 + (value->len % 4 != 0);
}

static bool check_length(const struct check *c, const struct value *value)
{
	uint32_t points = 0, fewest = fewest_points(value);

	if (fewest >= c->min_length && value->len <= c->max_length)
		return true;
	if (value->len < c->min_length || fewest > c->max_length)
		return false;
	for (uint32_t i = 0; i < value->len; i++)
		points += (value->ptr[i] & 0xc0) != 0x80;
	return points >= c->min_length && points <= c->max_length;
}

static enum reason check_time(
    const struct validator *v, const struct value *value, int64_t now_ms, int64_t *time_ms)
{
	int64_t ms;
	bool ok;

	switch (v->timestamp_format) {
	case TIMESTAMP_UNIX_S:
		ok = timestamp_unix_s(value->ptr, value->len, &ms);
		break;
	case TIMESTAMP_UNIX_MS:
		ok = timestamp_unix_ms(value->ptr, value->len, &ms);
		break;
	default:
		ok = timestamp_rfc3339(value->ptr, value->len, &ms);
	}
	if (!ok || ms < TIMESTAMP_MIN_MS || ms > TIMESTAMP_MAX_MS)
		return REASON_TIMESTAMP_INVALID;
	if (now_ms - ms > v->max_past_ms)
		return REASON_TIMESTAMP_PAST;
	if (ms - now_ms > v->max_future_ms)
		return REASON_TIMESTAMP_FUTURE;
	*time_ms = ms;
	return REASON_NONE;
}

/* All that is asked of a value of the right type. */
static inline enum reason check_value(const struct validator *v, struct hs_scratch *scratch,
    const struct check *c, const struct value *value, int64_t now_ms, int64_t *time_ms)
{
	uint32_t constraints = c->constraints;
	enum reason reason;

	if ((constraints & CHECK_ENUM) != 0 && !textset_has(&c->values, value->ptr, value->len))
		return REASON_FIELD_ENUM;
	if ((constraints & CHECK_RANGE) != 0) {
		reason = check_range(c, value);
		if (reason != REASON_NONE)
			return reason;
	}
	if ((constraints & CHECK_LENGTH) != 0 && !check_length(c, value))
		return REASON_FIELD_LENGTH;
	if ((constraints & CHECK_FORMAT) != 0 && !format_check(c->format, value->ptr, value->len))
		return REASON_FIELD_FORMAT;
	if ((constraints & CHECK_PATTERN) != 0 && !pattern_match(c->pattern, value->ptr, value->len))
		return REASON_FIELD_PATTERN;
	if ((constraints & CHECK_REGEX) != 0 &&
	    !regex_set_match(v->regexes, scratch, c->regex, value->ptr, value->len))
		return REASON_FIELD_PATTERN;
	if ((constraints & CHECK_TIME) != 0)
		return check_time(v, value, now_ms, time_ms);
	return REASON_NONE;
}

/* True: nothing is wrong with the field. False: not known yet. */
static inline bool passes_quickly(const struct check *c, const struct value *value)
{
	bool present = c->types >> value->type & 1, absent = c->absent >> value->type & 1;

	switch (c->quick) {
	case QUICK_TYPE:
		return present | absent;
	case QUICK_LENGTH:
		return absent |
		       (present & (value->len <= c->max_length) & (fewest_points(value) >= c->min_length));
	case QUICK_NOT_NEGATIVE:
		return absent | (present & (*(value->len != 0 ? value->ptr : "-") != '-'));
	default:
		return false;
	}
}

/* One field: REASON_NONE or what is wrong with it. */
static inline enum reason check_field(const struct validator *v, struct hs_scratch *scratch,
    const struct check *c, const struct value *value, int64_t now_ms, int64_t *time_ms)
{
	if (passes_quickly(c, value))
		return REASON_NONE;
	if ((c->types >> value->type & 1) != 0)
		return c->constraints != 0 ? check_value(v, scratch, c, value, now_ms, time_ms) : REASON_NONE;
	if (value->type != VALUE_ABSENT && value->type != VALUE_NULL)
		return REASON_FIELD_TYPE;
	return c->required ? REASON_FIELD_MISSING : REASON_NONE;
}

enum reason validate_event(const struct validator *validator, struct hs_scratch *scratch,
    const struct value *values, int64_t now_ms, int64_t *time_ms, int *field)
{
	*time_ms = now_ms;
	*field = SCHEMA_NO_FIELD;
	for (uint16_t i = 0; i < validator->n_fields; i++) {
		enum reason reason =
		    check_field(validator, scratch, &validator->checks[i], &values[i], now_ms, time_ms);

		if (reason != REASON_NONE) {
			*field = i;
			return reason;
		}
	}
	return REASON_NONE;
}

/* The events from..to of one stream, field by field, so that each check runs over many values in a row: it is
 * one code path, well predicted. An event that has ended is not looked at again, so the first failure counts.
 */
static void validate_run(
    const struct validator *v, struct hs_scratch *scratch, struct burst *burst, uint32_t from, uint32_t to)
{
	for (uint16_t field = 0; field < v->n_fields; field++) {
		const struct check *c = &v->checks[field];

		for (uint32_t i = from; i < to; i++) {
			struct event *event = &burst->event[i];
			enum reason reason;

			if (event->reason != REASON_NONE)
				continue;
			reason = check_field(
			    v, scratch, c, &burst_values(burst, i)[field], burst->now_ms, &event->time_ms);
			if (reason != REASON_NONE)
				event_end(event, reason, field);
		}
	}
}

void validate_burst(struct validator *const *validators, struct hs_scratch *scratch, struct burst *burst)
{
	uint32_t from = 0;

	for (uint32_t i = 0; i < burst->n; i++) {
		burst->event[i].time_ms = burst->now_ms;
		if (burst->event[i].stream != burst->event[from].stream) {
			validate_run(validators[burst->event[from].stream], scratch, burst, from, i);
			from = i;
		}
	}
	if (from < burst->n)
		validate_run(validators[burst->event[from].stream], scratch, burst, from, burst->n);
}
