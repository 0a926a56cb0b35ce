/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Explores the acknowledgement protocol completely in small scenarios, and with each rule broken.
 *
 *     ack_model rules|mutations
 *     ack_model --trace NAME
 *
 * The protocol must keep every rule in every scenario; each mutation must break the rule that it is expected to break,
 * or the checker could not be trusted. --trace prints how the mutation of that name fails.
 */
#include "ack_protocol.h"

#include <stdlib.h>
#include <string.h>

#define MAX_STATES 8000000u

static const char early[] = "an event was acknowledged that is not durable";
static const char twice[] = "an event was written twice";
static const char wrong[] = "an event was acknowledged with the wrong outcome";
static const char stuck[] = "no way to the goal";

/* clang-format off */
static const struct model_scenario scenarios[] = {
    {.name = "frames", .what = "three frames, one with a dead letter; a crash and a failed write",
     .n_senders = 1, .window = 2, .n_frames = {{3}}, .events = {{{{1}, {2}, {3}}}}, .dead_letters = 1 << 1,
     .messages = 2, .exceptions = 1, .crashes = 1, .failures = 1},
    {.name = "pairs", .what = "two frames of two events, one of them a dead letter; a crash and a failed write",
     .n_senders = 1, .window = 2, .n_frames = {{2}}, .events = {{{{1, 2}, {3, 1}}}}, .dead_letters = 1 << 1,
     .messages = 2, .exceptions = 1, .crashes = 1, .failures = 1},
    {.name = "reordering", .what = "two frames with exceptions over a longer network; a crash; credit comes and goes",
     .n_senders = 1, .window = 2, .n_frames = {{2}}, .events = {{{{1}, {2}}}}, .dead_letters = 3,
     .messages = 3, .exceptions = 1, .crashes = 1, .credit = true},
    {.name = "crashes", .what = "two frames; two crashes, a failed write and a forgotten session",
     .n_senders = 1, .window = 1, .n_frames = {{2}}, .events = {{{{1}, {2}}}}, .dead_letters = 2,
     .messages = 2, .exceptions = 1, .crashes = 2, .failures = 1, .forgotten = 1},
    {.name = "two senders", .what = "two senders of the same event, of whom one may leave; a crash and a failed write",
     .n_senders = 2, .window = 1, .n_frames = {{1}, {1}}, .events = {{{{1}}}, {{{1}}}},
     .messages = 2, .exceptions = 1, .crashes = 1, .failures = 1, .restarts = 1},
    {.name = "new epoch", .what = "a sender that starts anew with other events; a crash",
     .n_senders = 1, .window = 1, .n_frames = {{1, 1}}, .events = {{{{1}}, {{2}}}},
     .messages = 3, .exceptions = 1, .crashes = 1, .restarts = 1},
};

static const struct {
	const char *name, *what, *scenario, *broken;
	enum model_mutation mutation;
} mutations[] = {
    {"ack-on-receive", "acknowledges what it has received", "frames", early, MUTATION_ACK_ON_RECEIVE},
    {"partial-frame", "acknowledges a frame with its first event", "pairs", early, MUTATION_PARTIAL_FRAME},
    {"duplicate-at-once", "acknowledges a duplicate of an event in flight at once", "two senders", early,
     MUTATION_DUPLICATE_AT_ONCE},
    {"failure-keeps-mark", "a failed write leaves its mark in the window", "frames", early, MUTATION_FAILURE_KEEPS_MARK},
    {"mark-before-durable", "the window on disk has events that are not durable", "frames", early,
     MUTATION_MARK_BEFORE_DURABLE},
    {"daemon-ignores-token", "the daemon takes frames of earlier sessions", "new epoch", early,
     MUTATION_DAEMON_IGNORES_TOKEN},
    {"sender-ignores-token", "the sender takes acknowledgements of earlier sessions", "new epoch", early,
     MUTATION_SENDER_IGNORES_TOKEN},
    {"window-not-restored", "the window starts empty", "frames", twice, MUTATION_WINDOW_NOT_RESTORED},
    {"unconfirmed-not-restored", "the window is restored without what was written and not yet confirmed", "frames",
     twice, MUTATION_UNCONFIRMED_NOT_RESTORED},
    {"late-write", "a write of the daemon that died happens after the window was restored", "frames", twice,
     MUTATION_LATE_WRITE},
    {"uncertain-failure", "a write whose end is not known counts as failed", "frames", twice, MUTATION_UNCERTAIN_FAILURE},
    {"dead-letter-not-in-window", "dead letters leave no mark", "frames", twice, MUTATION_DEAD_LETTER_NOT_IN_WINDOW},
    {"exceptions-cut", "reports frames as durable whose exceptions do not fit", "reordering", wrong,
     MUTATION_EXCEPTIONS_CUT},
    {"exceptions-once", "drops exceptions when the daemon's base has passed", "frames", wrong,
     MUTATION_EXCEPTIONS_ONCE},
    {"parked-for-ever", "duplicates of an event that was given up go on waiting", "two senders", stuck,
     MUTATION_PARKED_FOR_EVER},
    {"base-not-believed", "the daemon takes no base above what it knows to be durable", "frames", stuck,
     MUTATION_BASE_NOT_BELIEVED},
    {"received-for-ever", "the sender never takes back that a frame was received", "frames", stuck,
     MUTATION_RECEIVED_FOR_EVER},
    {"no-probe", "the sender never asks", "reordering", stuck, MUTATION_NO_PROBE},
    {"no-error", "the daemon is silent about unknown sessions", "frames", stuck, MUTATION_NO_ERROR},
};
/* clang-format on */

#define N_SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))
#define N_MUTATIONS (sizeof(mutations) / sizeof(mutations[0]))
_Static_assert(N_MUTATIONS == MUTATION_COUNT - 1, "every mutation is tried");

static int run(const struct model_context *context, struct explore_result *result)
{
	int rc = explore(&ack_protocol, context, MAX_STATES, result);

	if (rc != 0)
		(void)printf("%s: %s after %llu states\n", context->scenario->name, strerror(-rc),
		    (unsigned long long)result->states);
	return rc;
}

static bool check_scenario(const struct model_scenario *scenario)
{
	struct model_context context = {.scenario = scenario};
	struct explore_result result;
	bool right;

	if (run(&context, &result) != 0)
		return false;
	right = result.broken == NULL;
	(void)printf("%-12s %8llu states, %9llu steps, depth %3u: %s\n", scenario->name,
	    (unsigned long long)result.states, (unsigned long long)result.steps, result.depth,
	    right ? "safe and live" : result.broken);
	if (!right)
		explore_print_trace(&ack_protocol, &context, &result, stdout);
	free(result.trace);
	return right;
}

static const struct model_scenario *find_scenario(const char *name)
{
	for (size_t i = 0; i < N_SCENARIOS; i++) {
		if (strcmp(scenarios[i].name, name) == 0)
			return &scenarios[i];
	}
	abort();
}

static bool check_mutation(size_t m, bool trace)
{
	struct model_context context = {
	    .scenario = find_scenario(mutations[m].scenario), .mutation = mutations[m].mutation};
	struct explore_result result;
	bool caught;

	if (run(&context, &result) != 0)
		return false;
	caught = result.broken != NULL && strcmp(result.broken, mutations[m].broken) == 0;
	(void)printf("%-25s %s by step %u of \"%s\", %llu states: %s\n", mutations[m].name,
	    caught ? "caught" : "NOT CAUGHT", result.n_trace, context.scenario->name,
	    (unsigned long long)result.states, result.broken != NULL ? result.broken : "safe and live");
	if (trace || (!caught && result.broken != NULL))
		explore_print_trace(&ack_protocol, &context, &result, stdout);
	free(result.trace);
	return caught;
}

static int trace_mutation(const char *name)
{
	for (size_t m = 0; m < N_MUTATIONS; m++) {
		if (strcmp(mutations[m].name, name) == 0) {
			(void)printf("%s:\n", mutations[m].what);
			return check_mutation(m, true) ? 0 : 1;
		}
	}
	(void)fprintf(stderr, "there is no mutation %s\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	bool right = true;

	if (argc == 3 && strcmp(argv[1], "--trace") == 0)
		return trace_mutation(argv[2]);
	if (argc == 2 && strcmp(argv[1], "rules") == 0) {
		for (size_t i = 0; i < N_SCENARIOS; i++)
			right = check_scenario(&scenarios[i]) && right;
	} else if (argc == 2 && strcmp(argv[1], "mutations") == 0) {
		for (size_t m = 0; m < N_MUTATIONS; m++)
			right = check_mutation(m, false) && right;
	} else {
		(void)fprintf(stderr, "usage: ack_model rules|mutations, or ack_model --trace NAME\n");
		return 2;
	}
	return right ? 0 : 1;
}
