/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line: finds the verb and runs it. */
#include "args/args.h"
#include "cli_commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char about[] = "Operates Penstock, the event ingest appliance: checks configurations, pushes "
                            "dimension snapshots, shows what the "
                            "daemon does.";

static void print_help(FILE *out)
{
	const char *group = "";

	(void)fprintf(out, "Usage: penstock [--socket PATH] VERB [options]\n\n%s\n", about);
	for (const struct command *c = commands; c->words != NULL; c++) {
		if (strcmp(group, c->group) != 0)
			(void)fprintf(out, "\n%s:\n", c->group);
		group = c->group;
		(void)fprintf(out, "  %-14s %s\n", c->words, c->summary);
	}
	(void)fputs(
	    "\n'penstock VERB --help' says more about a verb. Exit status: 0 ok, 1 failed, 2 wrong usage.\n",
	    out);
}

static void print_man(void)
{
	const char *group = "";

	(void)printf(".TH \"PENSTOCK\" 1 \"%s\" \"Penstock %s\" \"Penstock manual\"\n.SH NAME\npenstock \\- "
	             "operate the event "
	             "ingest appliance\n.SH SYNOPSIS\n\\fBpenstock\\fR [\\fB\\-\\-socket\\fR \\fIPATH\\fR] "
	             "\\fIVERB\\fR "
	             "[\\fIoptions\\fR]\n.SH DESCRIPTION\n",
	    ARGS_MAN_DATE, PENSTOCK_VERSION);
	args_man_text(stdout, about);
	(void)fputs("\n.SH VERBS\n", stdout);
	for (const struct command *c = commands; c->words != NULL; c++) {
		if (strcmp(group, c->group) != 0)
			(void)printf(".SS %s\n", c->group);
		group = c->group;
		(void)printf(".TP\n\\fB%s\\fR\n", c->words);
		args_man_text(stdout, c->summary);
		(void)putchar('\n');
	}
	(void)fputs(".SH OPTIONS\n.TP\n\\fB\\-\\-socket\\fR \\fIPATH\\fR\nthe daemon's control socket\n.TP\n"
	            "\\fB\\-\\-help\\fR\nprint a summary and exit\n.TP\n\\fB\\-\\-version\\fR\nprint the "
	            "version and exit\n"
	            ".SH ENVIRONMENT\n.TP\n\\fBPENSTOCK_SOCKET\\fR\nthe daemon's control socket, where "
	            "\\fB\\-\\-socket\\fR is "
	            "not given; without both it is "
	            "\\fI/run/penstock/control.sock\\fR\n.TP\n\\fBNO_COLOR\\fR\nif not empty, no "
	            "colours\n.SH EXIT STATUS\n0 ok, 1 failed, 2 wrong usage.\n.SH SEE ALSO\n",
	    stdout);
	for (const struct command *c = commands; c->words != NULL; c++) {
		(void)fputs("\\fBpenstock\\-", stdout);
		for (const char *p = c->words; *p != '\0'; p++)
			(void)fputs(*p == ' ' ? "\\-" : (char[]){*p, '\0'}, stdout);
		(void)printf("\\fR(1),\n");
	}
	(void)fputs("\\fBpenstockd\\fR(8)\n", stdout);
}

/* The verb at argv[0], which may have two words; *used says how many. */
static const struct command *find_command(int argc, char **argv, int *used)
{
	for (const struct command *c = commands; c->words != NULL; c++) {
		const char *space = strchr(c->words, ' ');
		size_t len = space == NULL ? strlen(c->words) : (size_t)(space - c->words);

		if (strlen(argv[0]) != len || memcmp(argv[0], c->words, len) != 0)
			continue;
		*used = space == NULL ? 1 : 2;
		if (space == NULL || (argc > 1 && strcmp(argv[1], space + 1) == 0))
			return c;
	}
	return NULL;
}

static int unknown_verb(int argc, char **argv)
{
	size_t len = strlen(argv[0]);
	bool first = true;

	for (const struct command *c = commands; c->words != NULL; c++) {
		if (strncmp(c->words, argv[0], len) != 0 || c->words[len] != ' ')
			continue;
		if (first && argc > 1)
			(void)fprintf(stderr, "penstock %s: there is no \"%s\", but:", argv[0], argv[1]);
		else if (first)
			(void)fprintf(stderr, "penstock %s: a word is missing:", argv[0]);
		(void)fprintf(stderr, "%s %s", first ? "" : ",", c->words + len + 1);
		first = false;
	}
	if (first)
		(void)fprintf(stderr, "penstock: there is no verb \"%s\"\nTry 'penstock --help'.", argv[0]);
	(void)fputc('\n', stderr);
	return EXIT_USAGE;
}

/* Output that did not reach its reader is a failure, not a success. */
static int close_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	perror("penstock: standard output");
	return status == EXIT_OK ? EXIT_FAILED : status;
}

/* Printed by the build to make one man page per verb. */
static void print_words(void)
{
	for (const struct command *c = commands; c->words != NULL; c++)
		(void)puts(c->words);
}

int main(int argc, char **argv)
{
	const struct command *command;
	int i = 1, used = 0;

	if (argc > 2 && strcmp(argv[1], "--socket") == 0) {
		if (setenv("PENSTOCK_SOCKET", argv[2], 1) < 0) {
			perror("penstock");
			return EXIT_FAILED;
		}
		i = 3;
	}
	if (i >= argc) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "help") == 0) {
		print_help(stdout);
		return close_output(EXIT_OK);
	}
	if (strcmp(argv[i], "--man") == 0) {
		print_man();
		return close_output(EXIT_OK);
	}
	if (strcmp(argv[i], "--verbs") == 0) {
		print_words();
		return close_output(EXIT_OK);
	}
	if (strcmp(argv[i], "--version") == 0) {
		(void)printf("penstock %s\n", PENSTOCK_VERSION);
		return close_output(EXIT_OK);
	}
	command = find_command(argc - i, argv + i, &used);
	if (command == NULL)
		return unknown_verb(argc - i, argv + i);
	if (!command->whole)
		i += used - 1;
	return close_output(command->run(argc - i, argv + i));
}
