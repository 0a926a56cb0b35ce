/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen/events.h"
#include "gen/gen.h"
#include "gen/malformed.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define START_MS 1750203000123

static struct gen *open_gen(enum gen_stream stream, uint64_t seed, uint64_t count)
{
	struct gen_options options;
	struct gen *gen;

	gen_defaults(&options);
	options.stream = stream;
	options.seed = seed;
	options.count = count;
	options.duplicates = 0.05;
	options.malformed = 0.05;
	options.unknown_products = stream == GEN_CATALOG ? 0.1 : 0;
	options.products = 1000;
	options.users = 1000;
	options.places = 100;
	options.start_ms = START_MS;
	assert_int_equal(gen_create(&options, &gen, NULL), 0);
	return gen;
}

static void same_seed_same_bytes(void **state)
{
	char a[GEN_EVENT_MAX], b[GEN_EVENT_MAX], c[GEN_EVENT_MAX];

	(void)state;
	for (int stream = 0; stream < GEN_STREAMS; stream++) {
		struct gen *first = open_gen((enum gen_stream)stream, 7, 5000);
		struct gen *again = open_gen((enum gen_stream)stream, 7, 5000);
		struct gen *other = open_gen((enum gen_stream)stream, 8, 5000);
		uint32_t differ = 0;
		size_t len;

		while ((len = gen_next(first, a)) > 0) {
			size_t other_len = gen_next(other, c);

			assert_int_equal(gen_next(again, b), len);
			assert_memory_equal(a, b, len);
			differ += other_len != len || memcmp(a, c, len) != 0;
		}
		assert_int_equal(gen_next(again, b), 0);
		assert_true(differ > 4500);
		gen_destroy(first);
		gen_destroy(again);
		gen_destroy(other);
	}
}

static void counts_add_up(void **state)
{
	char event[GEN_EVENT_MAX];

	(void)state;
	for (int stream = 0; stream < GEN_STREAMS; stream++) {
		struct gen *gen = open_gen((enum gen_stream)stream, 3, 40000);
		const struct gen_counts *counts = gen_counts(gen);
		uint64_t reasons = 0;
		size_t len;

		while ((len = gen_next(gen, event)) > 0) {
			assert_true(len <= GEN_EVENT_MAX);
			assert_null(memchr(event, '\n', len));
		}
		for (int i = 0; i < REASON_COUNT; i++) {
			reasons += counts->by_reason[i];
			if (counts->by_reason[i] > 0)
				assert_int_equal(
				    reason_info((enum reason)i)->class, REASON_CLASS_DEAD_LETTER);
		}
		assert_int_equal(counts->sent, 40000);
		assert_int_equal(counts->valid + counts->duplicate + counts->malformed, counts->sent);
		assert_int_equal(reasons, counts->malformed);
		assert_in_range(counts->duplicate, 1800, 2200);
		assert_in_range(counts->malformed, 1800, 2200);
		assert_int_equal(
		    counts->durable, counts->valid + (stream == GEN_DETECTIONS ? counts->duplicate : 0));
		if (stream == GEN_CATALOG)
			assert_in_range(counts->unknown_products, 3400, 3900);
		gen_destroy(gen);
	}
}

struct line {
	char *text;
	size_t len;
};

static int by_text(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);

	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* What the counts call duplicates are events whose bytes came before, no more and no fewer. */
static void duplicates_repeat_bytes(void **state)
{
	enum { COUNT = 20000 };
	struct line *lines = calloc(COUNT, sizeof(*lines));
	struct gen *gen = open_gen(GEN_DETECTIONS, 5, COUNT);
	char event[GEN_EVENT_MAX];
	uint64_t n = 0, repeated = 0, malformed_before = 0;
	size_t len;

	(void)state;
	assert_non_null(lines);
	while ((len = gen_next(gen, event)) > 0) {
		uint64_t malformed = gen_counts(gen)->malformed;

		if (malformed == malformed_before) {
			lines[n].text = malloc(len);
			lines[n].len = len;
			memcpy(lines[n++].text, event, len);
		}
		malformed_before = malformed;
	}
	qsort(lines, n, sizeof(*lines), by_text);
	for (uint64_t i = 1; i < n; i++)
		repeated += by_text(&lines[i - 1], &lines[i]) == 0;
	assert_int_equal(repeated, gen_counts(gen)->duplicate);
	for (uint64_t i = 0; i < n; i++)
		free(lines[i].text);
	free(lines);
	gen_destroy(gen);
}

static bool is_parse_reason(enum reason reason)
{
	return strcmp(reason_info(reason)->stage, "parse") == 0;
}

/* jansson is the second opinion: it takes the well-formed and the merely invalid, and refuses what is not
 * JSON. */
static void variants_are_broken(void **state)
{
	struct gen_options options;
	struct event_maker maker;
	struct draft draft;
	char out[GEN_EVENT_MAX];

	(void)state;
	gen_defaults(&options);
	options.start_ms = START_MS;
	for (int stream = 0; stream < GEN_STREAMS; stream++) {
		options.stream = (enum gen_stream)stream;
		event_maker_init(&maker, &options);
		assert_true(malformed_variants(options.stream) >= 25);
		for (uint32_t v = 0; v < malformed_variants(options.stream); v++) {
			enum reason reason = malformed_reason(options.stream, v);

			for (uint64_t index = 0; index < 40; index++) {
				struct rng rng = rng_at(1, index, 99);
				size_t len;
				json_t *json;

				event_make(&maker, index, &draft);
				len = malformed_write(options.stream, v, &draft, START_MS, &rng, out);
				json = json_loadb(out, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
				assert_null(memchr(out, '\n', len));
				if (is_parse_reason(reason) && reason != REASON_JSON_DEPTH &&
				    strcmp(malformed_name(options.stream, v), "key_twice_escaped") != 0 &&
				    json_is_object(json))
					fail_msg("%s is JSON: %.*s", malformed_name(options.stream, v),
					    (int)len, out);
				if (!is_parse_reason(reason) && json == NULL)
					fail_msg("%s is not JSON: %.*s", malformed_name(options.stream, v),
					    (int)len, out);
				json_decref(json);
			}
		}
	}
}

static void well_formed_is_json(void **state)
{
	struct gen_options options;
	char event[GEN_EVENT_MAX];
	struct gen *gen;
	size_t len;

	(void)state;
	gen_defaults(&options);
	options.count = 20000;
	for (int stream = 0; stream < GEN_STREAMS; stream++) {
		options.stream = (enum gen_stream)stream;
		assert_int_equal(gen_create(&options, &gen, NULL), 0);
		while ((len = gen_next(gen, event)) > 0) {
			json_t *json = json_loadb(event, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

			assert_true(json_is_object(json));
			json_decref(json);
		}
		assert_int_equal(gen_counts(gen)->valid, 20000);
		gen_destroy(gen);
	}
}

static void zipf_has_its_shape(void **state)
{
	static const double exponents[] = {0, 0.5, 1, 1.1, 2};
	enum { N = 50, DRAWS = 400000 };

	(void)state;
	for (size_t e = 0; e < sizeof(exponents) / sizeof(exponents[0]); e++) {
		struct rng rng = rng_at(11, e, 0);
		uint32_t seen[N + 1] = {0};
		struct zipf zipf;
		double sum = 0;

		zipf_init(&zipf, N, exponents[e]);
		for (int i = 0; i < DRAWS; i++) {
			uint64_t k = zipf_next(&zipf, &rng);

			assert_in_range(k, 1, N);
			seen[k]++;
		}
		for (int k = 1; k <= N; k++)
			sum += pow(k, -exponents[e]);
		for (int k = 1; k <= N; k++) {
			double expected = DRAWS * pow(k, -exponents[e]) / sum;

			/* Six standard deviations. */
			assert_true(fabs(seen[k] - expected) < 6 * sqrt(expected) + 1);
		}
	}
}

static void zipf_of_one(void **state)
{
	struct rng rng = rng_at(1, 1, 1);
	struct zipf zipf;

	(void)state;
	zipf_init(&zipf, 1, 1.1);
	for (int i = 0; i < 100; i++)
		assert_int_equal(zipf_next(&zipf, &rng), 1);
}

static void times_are_the_calendars(void **state)
{
	char text[32], expected[32];
	struct rng rng = rng_at(1, 2, 3);

	(void)state;
	for (int i = 0; i < 100000; i++) {
		int64_t ms = (int64_t)rng_below(&rng, 253402300800000);
		time_t seconds = (time_t)(ms / 1000);
		struct tm tm;

		gmtime_r(&seconds, &tm);
		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.", &tm);
		assert_int_equal(event_time_text(text, ms), 24);
		assert_memory_equal(text, expected, 20);
		assert_int_equal(atoi(text + 20), ms % 1000);
	}
}

static void impossible_options_are_refused(void **state)
{
	struct gen_options options;
	struct error err;
	struct gen *gen;

	(void)state;
	gen_defaults(&options);
	options.duplicates = 0.6;
	options.malformed = 0.5;
	assert_int_equal(gen_create(&options, &gen, &err), -EINVAL);
	assert_null(gen);
	gen_defaults(&options);
	options.stream = GEN_SHOP;
	options.unknown_products = 0.1;
	assert_int_equal(gen_create(&options, &gen, &err), -EINVAL);
	gen_defaults(&options);
	options.users = 0;
	assert_int_equal(gen_create(&options, &gen, &err), -EINVAL);
	gen_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(same_seed_same_bytes),
	    cmocka_unit_test(counts_add_up),
	    cmocka_unit_test(duplicates_repeat_bytes),
	    cmocka_unit_test(variants_are_broken),
	    cmocka_unit_test(well_formed_is_json),
	    cmocka_unit_test(zipf_has_its_shape),
	    cmocka_unit_test(zipf_of_one),
	    cmocka_unit_test(times_are_the_calendars),
	    cmocka_unit_test(impossible_options_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
