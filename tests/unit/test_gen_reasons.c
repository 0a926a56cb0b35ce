/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator promises a reason for each malformed event; here the real parser and validator, compiled from
 * the example configurations, are held to it. */
#include "config.h"
#include "gen/events.h"
#include "gen/gen.h"
#include "gen/malformed.h"
#include "json.h"
#include "validate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define START_MS 1750203000123

struct judge {
	struct config *config;
	struct schema *schema;
	struct validator *validator;
	struct hs_scratch *scratch;
	struct json_parser parser;
	struct value values[SCHEMA_MAX_FIELDS];
	struct member unknown[BURST_MAX_UNKNOWN];
	char text[GEN_EVENT_MAX];
};

static void open_judge(struct judge *judge, enum gen_stream stream)
{
	struct error err = {{0}};
	char path[512];

	memset(judge, 0, sizeof(*judge));
	snprintf(path, sizeof(path), "%s/docs/examples/%s.yaml", SOURCE_ROOT, gen_stream_name(stream));
	if (config_load(path, &judge->config, &err) != 0 ||
	    schema_create(&judge->config->streams[0], &judge->schema, &err) != 0 ||
	    validator_create(judge->schema, &judge->validator, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(validator_scratch(judge->validator, &judge->scratch), 0);
	assert_int_equal(
	    json_parser_init(&judge->parser, json_best_isa(), judge->schema->max_event_bytes), 0);
}

static void close_judge(struct judge *judge)
{
	json_parser_fini(&judge->parser);
	validator_scratch_free(judge->scratch);
	validator_destroy(judge->validator);
	schema_destroy(judge->schema);
	config_free(judge->config);
}

static enum reason verdict(struct judge *judge, const char *event, size_t len, int64_t now_ms)
{
	struct json_output out = {.values = judge->values, .unknown = judge->unknown, .text = judge->text};
	/* The worker takes the white space off. */
	const char *space = " \t\r";
	enum reason reason;
	int64_t time_ms;
	int field;

	while (len > 0 && strchr(space, event[0]) != NULL && event[0] != '\0') {
		event++;
		len--;
	}
	while (len > 0 && strchr(space, event[len - 1]) != NULL && event[len - 1] != '\0')
		len--;
	reason = json_parse(&judge->parser, judge->schema, event, (uint32_t)len, &out);
	if (reason != REASON_NONE)
		return reason;
	return validate_event(judge->validator, judge->scratch, judge->values, now_ms, &time_ms, &field);
}

static void every_variant_gets_its_reason(void **state)
{
	struct gen_options options;
	struct event_maker maker;
	struct draft draft;
	struct judge judge;
	char out[GEN_EVENT_MAX];

	(void)state;
	gen_defaults(&options);
	options.start_ms = START_MS;
	for (int stream = 0; stream < GEN_STREAMS; stream++) {
		options.stream = (enum gen_stream)stream;
		event_maker_init(&maker, &options);
		open_judge(&judge, options.stream);
		for (uint32_t v = 0; v < malformed_variants(options.stream); v++) {
			for (uint64_t index = 0; index < 50; index++) {
				enum reason expected = malformed_reason(options.stream, v), reason;
				struct rng rng = rng_at(1, index, 99);
				size_t len;

				event_make(&maker, index, &draft);
				len = malformed_write(options.stream, v, &draft, START_MS, &rng, out);
				reason = verdict(&judge, out, len, START_MS);
				if (reason != expected)
					fail_msg("%s %s: %s, not %s: %.*s", gen_stream_name(options.stream),
					    malformed_name(options.stream, v), reason_info(reason)->name,
					    reason_info(expected)->name, (int)len, out);
			}
		}
		close_judge(&judge);
	}
}

static void the_counts_are_the_verdicts(void **state)
{
	struct gen_options options;
	struct judge judge;
	char out[GEN_EVENT_MAX];

	(void)state;
	for (int stream = 0; stream < GEN_STREAMS; stream++) {
		uint64_t by_reason[REASON_COUNT] = {0};
		struct gen *gen;
		size_t len;

		gen_defaults(&options);
		options.stream = (enum gen_stream)stream;
		options.start_ms = START_MS;
		options.count = 30000;
		options.malformed = 0.1;
		options.duplicates = 0.1;
		assert_int_equal(gen_create(&options, &gen, NULL), 0);
		open_judge(&judge, options.stream);
		while ((len = gen_next(gen, out)) > 0)
			by_reason[verdict(&judge, out, len, START_MS)]++;
		for (int r = 1; r < REASON_COUNT; r++)
			assert_int_equal(by_reason[r], gen_counts(gen)->by_reason[r]);
		assert_int_equal(by_reason[REASON_NONE], gen_counts(gen)->valid + gen_counts(gen)->duplicate);
		close_judge(&judge);
		gen_destroy(gen);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_variant_gets_its_reason),
	    cmocka_unit_test(the_counts_are_the_verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
