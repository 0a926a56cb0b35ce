/* SPDX-License-Identifier: BSD-3-Clause */
#include "explore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define NONE UINT32_MAX

/* How a state was found first. */
struct origin {
	uint32_t parent, step, depth;
};

struct list {
	uint32_t *item;
	uint64_t n, room;
};

struct explorer {
	const struct explore_model *model;
	const void *context;
	uint8_t *states;
	struct origin *origins;
	uint32_t n, room, max_states;
	uint32_t *table; /* index + 1 */
	uint64_t table_mask;
	uint32_t current;
	struct list fair;        /* targets of fair steps, state by state */
	struct list fair_begins; /* where those of a state begin */
	uint64_t n_steps;
	const char *broken;
	uint32_t broken_step;
	int error;
};

static int list_add(struct list *list, uint32_t value)
{
	if (list->n == list->room) {
		uint64_t room = list->room == 0 ? 1024 : list->room * 2;
		uint32_t *item = realloc(list->item, room * sizeof(*item));

		if (item == NULL)
			return -ENOMEM;
		list->item = item;
		list->room = room;
	}
	list->item[list->n++] = value;
	return 0;
}

static uint8_t *state_at(const struct explorer *x, uint32_t index)
{
	return x->states + (size_t)index * x->model->state_bytes;
}

/* The place of the state in the table: its own, or the empty one where it belongs. */
static uint64_t find_place(const struct explorer *x, const void *state)
{
	uint64_t place = XXH3_64bits(state, x->model->state_bytes) & x->table_mask;

	while (x->table[place] != 0 &&
	       memcmp(state_at(x, x->table[place] - 1), state, x->model->state_bytes) != 0)
		place = (place + 1) & x->table_mask;
	return place;
}

static int grow(struct explorer *x)
{
	uint32_t room = x->room == 0 ? 1024 : x->room * 2;
	uint8_t *states = realloc(x->states, (size_t)room * x->model->state_bytes);
	struct origin *origins;
	uint32_t *table;

	if (states == NULL)
		return -ENOMEM;
	x->states = states;
	origins = realloc(x->origins, room * sizeof(*origins));
	if (origins == NULL)
		return -ENOMEM;
	x->origins = origins;
	table = calloc((size_t)room * 2, sizeof(*table));
	if (table == NULL)
		return -ENOMEM;
	free(x->table);
	x->table = table;
	x->table_mask = (uint64_t)room * 2 - 1;
	x->room = room;
	for (uint32_t i = 0; i < x->n; i++)
		x->table[find_place(x, state_at(x, i))] = i + 1;
	return 0;
}

/* The index of the state, which is new or not. */
static uint32_t add_state(struct explorer *x, const void *state, uint32_t step)
{
	uint64_t place = x->n > 0 ? find_place(x, state) : 0;

	if (x->n > 0 && x->table[place] != 0)
		return x->table[place] - 1;
	if (x->n == x->max_states)
		x->error = -EFBIG;
	else if (x->n == x->room)
		x->error = grow(x);
	if (x->error != 0)
		return NONE;
	memcpy(state_at(x, x->n), state, x->model->state_bytes);
	x->table[find_place(x, state)] = x->n + 1;
	x->origins[x->n] = (struct origin){.parent = x->current,
	    .step = step,
	    .depth = x->current == NONE ? 0 : x->origins[x->current].depth + 1};
	return x->n++;
}

void explore_step(struct explorer *x, const void *state, uint32_t step, bool fair, const char *broken)
{
	uint32_t target;

	if (x->error != 0 || x->broken != NULL)
		return;
	x->n_steps++;
	if (broken != NULL) {
		x->broken = broken;
		x->broken_step = step;
		return;
	}
	target = add_state(x, state, step);
	if (target != NONE && fair && target != x->current)
		x->error = list_add(&x->fair, target);
}

/* The first state that has no way to a goal, or NONE. */
static int find_stuck(struct explorer *x, uint32_t *stuck)
{
	uint64_t *begin = calloc((size_t)x->n + 2, sizeof(*begin));
	uint32_t *source = malloc((x->fair.n + 1) * sizeof(*source));
	struct list queue = {0};
	uint8_t *good = calloc(x->n, 1);
	int rc = begin == NULL || source == NULL || good == NULL ? -ENOMEM : 0;

	*stuck = NONE;
	/* begin[t + 1]: end, and in the end begin, of the steps that lead to t. */
	for (uint64_t i = 0; rc == 0 && i < x->fair.n; i++)
		begin[x->fair.item[i] + 2]++;
	for (uint32_t t = 0; rc == 0 && t < x->n; t++)
		begin[t + 2] += begin[t + 1];
	for (uint32_t s = 0; rc == 0 && s < x->n; s++) {
		uint64_t end = s + 1 < x->n ? x->fair_begins.item[s + 1] : x->fair.n;

		for (uint64_t i = x->fair_begins.item[s]; i < end; i++)
			source[begin[x->fair.item[i] + 1]++] = s;
	}
	for (uint32_t s = 0; rc == 0 && s < x->n; s++) {
		if (x->model->is_goal(x->context, state_at(x, s))) {
			good[s] = 1;
			rc = list_add(&queue, s);
		}
	}
	for (uint64_t q = 0; rc == 0 && q < queue.n; q++) {
		uint32_t t = queue.item[q];

		for (uint64_t i = begin[t]; rc == 0 && i < begin[t + 1]; i++) {
			if (!good[source[i]]) {
				good[source[i]] = 1;
				rc = list_add(&queue, source[i]);
			}
		}
	}
	for (uint32_t s = 0; rc == 0 && *stuck == NONE && s < x->n; s++) {
		if (!good[s])
			*stuck = s;
	}
	free(begin);
	free(source);
	free(good);
	free(queue.item);
	return rc;
}

/* The steps to a state, and one more if `last` is not NONE. */
static int make_trace(const struct explorer *x, uint32_t state, uint32_t last, struct explore_result *result)
{
	uint32_t depth = x->origins[state].depth, n = depth + (last != NONE ? 1 : 0);

	result->trace = calloc((size_t)n + 1, sizeof(*result->trace));
	if (result->trace == NULL)
		return -ENOMEM;
	result->n_trace = n;
	if (last != NONE)
		result->trace[depth] = last;
	while (depth > 0) {
		result->trace[--depth] = x->origins[state].step;
		state = x->origins[state].parent;
	}
	return 0;
}

int explore(const struct explore_model *model, const void *context, uint32_t max_states,
    struct explore_result *result)
{
	struct explorer x = {.model = model, .context = context, .max_states = max_states, .current = NONE};
	uint8_t *state = calloc(1, model->state_bytes);
	uint32_t stuck = NONE;

	memset(result, 0, sizeof(*result));
	if (state == NULL)
		return -ENOMEM;
	model->initial(context, state);
	(void)add_state(&x, state, 0);
	for (x.current = 0; x.current < x.n && x.error == 0 && x.broken == NULL; x.current++) {
		x.error = x.fair.n < UINT32_MAX ? list_add(&x.fair_begins, (uint32_t)x.fair.n) : -EFBIG;
		/* A copy: the array moves when it grows. */
		memcpy(state, state_at(&x, x.current), model->state_bytes);
		model->steps(context, state, &x);
	}
	result->states = x.n;
	result->steps = x.n_steps;
	result->depth = x.n > 0 ? x.origins[x.n - 1].depth : 0;
	if (x.error == 0 && x.broken != NULL) {
		result->broken = x.broken;
		x.error = make_trace(&x, x.current - 1, x.broken_step, result);
	} else if (x.error == 0) {
		x.error = find_stuck(&x, &stuck);
		if (x.error == 0 && stuck != NONE) {
			result->broken = "no way to the goal";
			x.error = make_trace(&x, stuck, NONE, result);
		}
	}
	free(state);
	free(x.states);
	free(x.origins);
	free(x.table);
	free(x.fair.item);
	free(x.fair_begins.item);
	return x.error;
}

void explore_print_trace(
    const struct explore_model *model, const void *context, const struct explore_result *result, FILE *out)
{
	char text[160];

	for (uint32_t i = 0; i < result->n_trace; i++) {
		model->describe(context, result->trace[i], text, sizeof(text));
		(void)fprintf(out, "  %2u. %s\n", i + 1, text);
	}
}
