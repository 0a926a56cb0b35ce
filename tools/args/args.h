/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Command line options of one verb, from one table: parsing, `--help`, and the messages of usage errors.
 *
 * args_parse() understands `--name VALUE`, `--name=VALUE`, `--flag`, `-n VALUE` for an option called
 * "name|n", and
 * `--` before words that only look like options. It fills `value` of the table's rows; strings point into
 * argv, whose positional words are moved to the end. `--man` prints the verb's man page from the same table.
 * Single-threaded, no allocation.
 */
#ifndef PENSTOCK_ARGS_H
#define PENSTOCK_ARGS_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define EXIT_OK 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2

#define ARGS_MAN_DATE "2026-11-20" /* of the man pages' text */

struct arg {
	const char *name;    /* without the dashes, "output" or "output|o"; NULL ends the table */
	const char *metavar; /* NULL: a flag; "FILE...": may be given more than once */
	const char *help;
	const char *
	    value; /* out: the text (of the last, if several), "" for a flag that was given, NULL: not given */
};

struct args {
	const char *usage; /* "penstock send --to HOST:PORT [options]" */
	const char *about; /* one paragraph; its first sentence is the man page's title */
	struct arg *table;
};

/* Returns 0; 1 when --help or --man was asked for and has been printed; -EINVAL with the reason. *first is
 * the index of the first positional word in argv, argc if there is none. argv[0] is the verb and is skipped.
 */
int args_parse(const struct args *args, int argc, char **argv, int *first, struct error *err);

/* The same for a verb that takes no positional words: one is an error. */
int args_parse_only(const struct args *args, int argc, char **argv, struct error *err);

/* Text for a man page: hyphens and backslashes escaped, line breaks as spaces. */
void args_man_text(FILE *out, const char *text);

/* The value of an option, or NULL. The name (without its letter) must be in the table. */
const char *args_get(const struct args *args, const char *name);

/* The values of an option that may be given more than once, one by one. *at is 1 at first and belongs to
 * args_next() afterwards; argv and `first` are what args_parse() has made of them. NULL after the last. */
const char *args_next(const struct args *args, const char *name, char **argv, int first, int *at);

/* Numbers. Each leaves *out alone if the option was not given. 0, or -EINVAL with the option's name. */
int args_get_u64(
    const struct args *args, const char *name, uint64_t min, uint64_t max, uint64_t *out, struct error *err);
int args_get_double(
    const struct args *args, const char *name, double min, double max, double *out, struct error *err);
/* A share: "3%" or "0.03", from 0 to 1. */
int args_get_share(const struct args *args, const char *name, double *out, struct error *err);

/* Prints "penstock VERB: TEXT" and the hint at --help to stderr; returns EXIT_USAGE. */
int args_usage_error(const char *verb, const struct error *err);

#endif
