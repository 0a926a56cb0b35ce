/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen/gen.h"

#include "gen/events.h"
#include "gen/keys.h"
#include "gen/malformed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Uses of the random numbers of one index, beside 0 for the event itself. */
enum { FATE = 1, ORIGINAL, VARIANT, LAYOUT };

struct gen {
	struct event_maker maker;
	struct gen_counts counts;
	uint64_t index;
	struct draft draft;
};

enum fate { WELL_FORMED, DUPLICATE, MALFORMED };

static const char *const stream_names[] = {
    [GEN_CATALOG] = "catalog",
    [GEN_DETECTIONS] = "detections",
    [GEN_SHOP] = "shop",
};

int gen_stream_by_name(const char *name)
{
	for (int i = 0; i < GEN_STREAMS; i++)
		if (strcmp(stream_names[i], name) == 0)
			return i;
	return -1;
}

const char *gen_stream_name(enum gen_stream stream)
{
	return stream_names[stream];
}

void gen_defaults(struct gen_options *options)
{
	*options = (struct gen_options){
	    .stream = GEN_CATALOG,
	    .seed = 1,
	    .count = 1000000,
	    .products = 100000,
	    .users = 1000000,
	    .places = 1000,
	    .zipf = 1.1,
	    .event_rate = 100000,
	};
	options->start_ms =
	    (int64_t)time(NULL) * 1000 - (int64_t)(options->count / options->event_rate * 1000);
}

int gen_create(const struct gen_options *options, struct gen **out, struct error *err)
{
	struct gen *gen;

	*out = NULL;
	if (options->duplicates + options->malformed > 1)
		return error_set(err, -EINVAL, "more than all events would be duplicates or malformed");
	if (options->unknown_products > 0 && options->stream != GEN_CATALOG)
		return error_set(err, -EINVAL, "only catalog events are joined with products");
	if (options->products < 1 || options->users < 1 || options->places < 1 ||
	    options->products > KEY_MAX_ID || options->users > KEY_MAX_ID || options->places > KEY_MAX_ID)
		return error_set(err, -EINVAL, "a dimension has 1 to %llu rows", KEY_MAX_ID);
	if (options->event_rate < 1 || options->start_ms < 0)
		return error_set(err, -EINVAL, "the event time starts in 1970 or later and moves on");
	gen = calloc(1, sizeof(*gen));
	if (gen == NULL)
		return error_set(err, -ENOMEM, "no memory for the generator");
	event_maker_init(&gen->maker, options);
	*out = gen;
	return 0;
}

void gen_destroy(struct gen *gen)
{
	free(gen);
}

static enum fate fate_of(const struct gen_options *options, uint64_t index)
{
	struct rng rng = rng_at(options->seed, index, FATE);
	double dice = rng_unit(&rng);

	if (dice < options->malformed)
		return MALFORMED;
	return dice < options->malformed + options->duplicates ? DUPLICATE : WELL_FORMED;
}

/* The well-formed event that a duplicate at `index` repeats; `index` itself if there is none before it. */
static uint64_t original_of(const struct gen_options *options, uint64_t index)
{
	struct rng rng = rng_at(options->seed, index, ORIGINAL);
	uint64_t reach = index < GEN_DUPLICATE_DISTANCE ? index : GEN_DUPLICATE_DISTANCE,
	         first = index - reach;

	if (reach == 0)
		return index;
	for (uint64_t at = index - 1 - rng_below(&rng, reach);; at--) {
		if (fate_of(options, at) == WELL_FORMED)
			return at;
		if (at == first)
			break;
	}
	return index;
}

static size_t write_well_formed(struct gen *gen, uint64_t index, char *out, bool *unknown)
{
	struct rng rng = rng_at(gen->maker.options.seed, index, LAYOUT);
	uint64_t dice = rng_below(&rng, 100);
	enum draft_layout layout = dice == 0 ? DRAFT_PADDED : dice <= 2 ? DRAFT_SPACED : DRAFT_COMPACT;

	*unknown = event_make(&gen->maker, index, &gen->draft);
	if (rng_below(&rng, 50) == 0)
		draft_shuffle(&gen->draft, &rng);
	return draft_write(&gen->draft, layout, &rng, out);
}

static size_t write_malformed(struct gen *gen, uint64_t index, char *out)
{
	const struct gen_options *options = &gen->maker.options;
	struct rng rng = rng_at(options->seed, index, VARIANT);
	uint32_t variant = (uint32_t)rng_below(&rng, malformed_variants(options->stream));

	event_make(&gen->maker, index, &gen->draft);
	gen->counts.malformed++;
	gen->counts.by_reason[malformed_reason(options->stream, variant)]++;
	return malformed_write(options->stream, variant, &gen->draft,
	    options->start_ms + (int64_t)(index / options->event_rate) * 1000, &rng, out);
}

size_t gen_next(struct gen *gen, char *out)
{
	const struct gen_options *options = &gen->maker.options;
	uint64_t index = gen->index, from = index;
	enum fate fate;
	bool unknown;
	size_t len;

	if (index == options->count)
		return 0;
	gen->index++;
	gen->counts.sent++;
	fate = fate_of(options, index);
	if (fate == MALFORMED)
		return write_malformed(gen, index, out);
	if (fate == DUPLICATE)
		from = original_of(options, index);
	len = write_well_formed(gen, from, out, &unknown);
	if (from == index)
		gen->counts.valid++;
	else
		gen->counts.duplicate++;
	if (from == index || options->stream == GEN_DETECTIONS) {
		gen->counts.durable++;
		gen->counts.unknown_products += unknown;
	}
	return len;
}

const struct gen_counts *gen_counts(const struct gen *gen)
{
	return &gen->counts;
}
