/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the verbs that talk to the daemon have in common. One thread.
 */
#ifndef PENSTOCK_CLI_VERB_H
#define PENSTOCK_CLI_VERB_H

#include "args/args.h"
#include "error.h"

#include <jansson.h>

/* Rows for a verb's table of options. */
#define VERB_OPTION_SOCKET                                                          \
	{                                                                           \
		"socket", "PATH",                                                   \
		    "the daemon's control socket (default: $PENSTOCK_SOCKET, else " \
		    "/run/penstock/control.sock)",                                  \
		    NULL                                                            \
	}
#define VERB_OPTION_JSON                         \
	{                                        \
		"json", NULL, "print JSON", NULL \
	}
#define VERB_OPTION_END                \
	{                              \
		NULL, NULL, NULL, NULL \
	}

/* Parses the options and checks the number of positional words. Returns 0 with *first set; or the negated
 * exit status minus one (verb_exit() undoes that) when the verb is done: help printed, or wrong usage
 * reported. */
int verb_begin(const struct args *args, const char *verb, int argc, char **argv, int min_words, int max_words,
    int *first);

/* The exit status for a non-zero verb_begin(). */
static inline int verb_exit(int rc)
{
	return -rc - 1;
}

/* Reports a failure on standard error; returns EXIT_FAILED. */
int verb_fail(const char *verb, const struct error *err);

/* Prints a JSON document and a newline. */
void verb_print_json(const json_t *document);

/* Members of JSON objects; 0 and "" where there is none. */
json_int_t member_integer(const json_t *object, const char *key);
double member_number(const json_t *object, const char *key);
const char *member_text(const json_t *object, const char *key);
int member_true(const json_t *object, const char *key);

#endif
