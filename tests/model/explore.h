/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exhaustive exploration of a finite model: every state that can be reached, breadth first, so that a trace to a bad
 * one is as short as can be.
 *
 * Safety: no step breaks a rule of the model. Liveness: from every state a goal can be reached by fair steps alone,
 * that is, without any fault's help. One thread; memory grows with the states.
 */
#ifndef PENSTOCK_EXPLORE_H
#define PENSTOCK_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct explorer;

struct explore_model {
	size_t state_bytes; /* a state is its bytes: padding must be zero, and equal states the same */
	void (*initial)(const void *context, void *state);
	/* Calls explore_step() for each step that is possible. */
	void (*steps)(const void *context, const void *state, struct explorer *explorer);
	bool (*is_goal)(const void *context, const void *state);
	void (*describe)(const void *context, uint32_t step, char *text, size_t size);
};

/* `step` is the model's own number for what happens; `fair`: it happens in the end if nothing disturbs it. `broken`: the
 * rule that this step breaks, or NULL. */
void explore_step(struct explorer *explorer, const void *state, uint32_t step, bool fair, const char *broken);

struct explore_result {
	uint64_t states, steps;
	uint32_t depth;     /* longest shortest path */
	const char *broken; /* the rule that is broken; "no way to the goal"; NULL: none */
	uint32_t n_trace;   /* steps from the start to there */
	uint32_t *trace;    /* free() */
};

/* 0, -ENOMEM, or -EFBIG beyond `max_states`. Stops at the first step that breaks a rule. */
int explore(const struct explore_model *model, const void *context, uint32_t max_states,
    struct explore_result *result);

void explore_print_trace(
    const struct explore_model *model, const void *context, const struct explore_result *result, FILE *out);

#endif
