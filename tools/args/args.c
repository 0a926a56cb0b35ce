/* SPDX-License-Identifier: BSD-3-Clause */
#include "args/args.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t name_length(const struct arg *arg)
{
	return strcspn(arg->name, "|");
}

static struct arg *find(const struct args *args, const char *name, size_t len)
{
	for (struct arg *arg = args->table; arg->name != NULL; arg++)
		if (name_length(arg) == len && memcmp(arg->name, name, len) == 0)
			return arg;
	return NULL;
}

/* "-o" for the option "output|o". */
static struct arg *find_letter(const struct args *args, const char *word)
{
	for (struct arg *arg = args->table; arg->name != NULL; arg++) {
		const char *letter = strchr(arg->name, '|');

		if (letter != NULL && strcmp(letter + 1, word + 1) == 0)
			return arg;
	}
	return NULL;
}

/* The option that a word names; *value is what stands behind "=", if anything does. */
static struct arg *find_word(const struct args *args, const char *word, const char **value)
{
	const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;

	*value = equals != NULL ? equals + 1 : NULL;
	if (word[1] != '-')
		return find_letter(args, word);
	return find(args, word + 2, equals != NULL ? (size_t)(equals - word - 2) : strlen(word + 2));
}

/* Whether it may be given more than once. */
static bool repeats(const struct arg *arg)
{
	size_t len = arg->metavar != NULL ? strlen(arg->metavar) : 0;

	return len > 3 && strcmp(arg->metavar + len - 3, "...") == 0;
}

static void print_option(FILE *out, const char *name, const char *metavar, const char *help)
{
	const char *letter = strchr(name, '|');
	char left[96];

	snprintf(left, sizeof(left), "%s%s%s--%.*s%s%s", letter != NULL ? "-" : "",
	    letter != NULL ? letter + 1 : "", letter != NULL ? ", " : "", (int)strcspn(name, "|"), name,
	    metavar ? " " : "", metavar ? metavar : "");
	fprintf(out, "  %-28s %s\n", left, help);
}

static void print_help(const struct args *args)
{
	printf("Usage: %s\n\n%s\n\nOptions:\n", args->usage, args->about);
	for (const struct arg *arg = args->table; arg->name != NULL; arg++)
		print_option(stdout, arg->name, arg->metavar, arg->help);
	print_option(stdout, "help", NULL, "this text");
}

void args_man_text(FILE *out, const char *text)
{
	/* A line must not begin with a control character. */
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text != '\0'; text++) {
		if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\\')
			fputs("\\e", out);
		else
			fputc(*text == '\n' ? ' ' : *text, out);
	}
}

/* How many characters of the usage are the command's words: "penstock dim push FILE" has 17. */
static size_t command_length(const char *usage)
{
	size_t len = 0;

	for (const char *p = usage; *p >= 'a' && *p <= 'z'; p++) {
		p += strspn(p, "abcdefghijklmnopqrstuvwxyz");
		len = (size_t)(p - usage);
		if (*p != ' ')
			break;
	}
	return len;
}

static void print_man_option(const char *name, const char *metavar, const char *help)
{
	const char *letter = strchr(name, '|');

	fputs(".TP\n", stdout);
	if (letter != NULL)
		printf("\\fB\\-%s\\fR, ", letter + 1);
	fputs("\\fB\\-\\-", stdout);
	for (const char *p = name; p < name + strcspn(name, "|"); p++)
		printf("%s%c", *p == '-' ? "\\" : "", *p);
	fputs("\\fR", stdout);
	if (metavar != NULL) {
		fputs(" \\fI", stdout);
		args_man_text(stdout, metavar);
		fputs("\\fR", stdout);
	}
	fputc('\n', stdout);
	args_man_text(stdout, help);
	fputc('\n', stdout);
}

static void print_man(const struct args *args)
{
	size_t len = command_length(args->usage), title = strcspn(args->about, ".:\n");
	char page[64], first[256];

	snprintf(page, sizeof(page), "%.*s", (int)len, args->usage);
	for (char *p = page; *p != '\0'; p++)
		*p = *p == ' ' ? '-' : *p;
	snprintf(first, sizeof(first), "%.*s", (int)title, args->about);
	fputs(".TH \"", stdout);
	for (const char *p = page; *p != '\0'; p++)
		putchar(*p == '-' ? '-' : *p - 'a' + 'A');
	printf(
	    "\" 1 \"%s\" \"Penstock %s\" \"Penstock manual\"\n.SH NAME\n", ARGS_MAN_DATE, PENSTOCK_VERSION);
	args_man_text(stdout, page);
	fputs(" \\- ", stdout);
	args_man_text(stdout, first);
	fputs("\n.SH SYNOPSIS\n\\fB", stdout);
	fwrite(args->usage, 1, len, stdout);
	fputs("\\fR", stdout);
	args_man_text(stdout, args->usage + len);
	fputs("\n.SH DESCRIPTION\n", stdout);
	args_man_text(stdout, args->about);
	fputs("\n.SH OPTIONS\n", stdout);
	for (const struct arg *arg = args->table; arg->name != NULL; arg++)
		print_man_option(arg->name, arg->metavar, arg->help);
	print_man_option("help", NULL, "print a summary and exit");
	fputs(".SH EXIT STATUS\n0 ok, 1 failed, 2 wrong usage.\n.SH SEE ALSO\n\\fBpenstock\\fR(1), "
	      "\\fBpenstockd\\fR(8)\n",
	    stdout);
}

/* Takes the option at argv[i]. Returns how many words it has, or -EINVAL. */
static int take_option(const struct args *args, int argc, char **argv, int i, struct error *err)
{
	const char *value;
	struct arg *arg = find_word(args, argv[i], &value);
	int name_len;

	if (arg == NULL)
		return error_set(err, -EINVAL, "unknown option %s", argv[i]);
	name_len = (int)name_length(arg);
	if (arg->value != NULL && !repeats(arg))
		return error_set(err, -EINVAL, "--%.*s is given twice", name_len, arg->name);
	if (arg->metavar == NULL && value != NULL)
		return error_set(err, -EINVAL, "--%.*s takes no value", name_len, arg->name);
	if (arg->metavar == NULL) {
		arg->value = "";
		return 1;
	}
	if (value == NULL && i + 1 >= argc)
		return error_set(err, -EINVAL, "--%.*s needs a value: %s", name_len, arg->name, arg->metavar);
	arg->value = value != NULL ? value : argv[i + 1];
	return value != NULL ? 1 : 2;
}

/* Moves `n` words at argv[i] before the `positional` ones that precede them. */
static void move_before(char **argv, int i, int n, int positional)
{
	for (; n > 0; n--, i++) {
		char *word = argv[i];

		memmove(&argv[i - positional + 1], &argv[i - positional], (size_t)positional * sizeof(*argv));
		argv[i - positional] = word;
	}
}

int args_parse(const struct args *args, int argc, char **argv, int *first, struct error *err)
{
	int positional = 0, words;

	for (int i = 1; i < argc; i += words) {
		const char *word = argv[i];

		words = 1;
		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			print_help(args);
			return 1;
		}
		if (strcmp(word, "--man") == 0) {
			print_man(args);
			return 1;
		}
		if (strcmp(word, "--") == 0) {
			move_before(argv, i, 1, positional);
			positional += argc - i - 1;
			break;
		}
		if (word[0] != '-' || word[1] == '\0') {
			positional++;
			continue;
		}
		words = take_option(args, argc, argv, i, err);
		if (words < 0)
			return words;
		move_before(argv, i, words, positional);
	}
	*first = argc - positional;
	return 0;
}

int args_parse_only(const struct args *args, int argc, char **argv, struct error *err)
{
	int first, ret = args_parse(args, argc, argv, &first, err);

	if (ret == 0 && first < argc)
		return error_set(err, -EINVAL, "unexpected word \"%s\"", argv[first]);
	return ret;
}

const char *args_get(const struct args *args, const char *name)
{
	return find(args, name, strlen(name))->value;
}

const char *args_next(const struct args *args, const char *name, char **argv, int first, int *at)
{
	const struct arg *wanted = find(args, name, strlen(name));

	while (*at < first && strcmp(argv[*at], "--") != 0) {
		const char *value;
		const struct arg *arg = find_word(args, argv[*at], &value);

		if (value == NULL && arg->metavar != NULL)
			value = argv[++*at];
		++*at;
		if (arg == wanted)
			return value;
	}
	return NULL;
}

int args_get_u64(
    const struct args *args, const char *name, uint64_t min, uint64_t max, uint64_t *out, struct error *err)
{
	const char *text = args_get(args, name);
	unsigned long long value;
	char *end;

	if (text == NULL)
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < min || value > max)
		return error_set(err, -EINVAL, "--%s: \"%s\" is not a whole number from %llu to %llu", name,
		    text, (unsigned long long)min, (unsigned long long)max);
	*out = value;
	return 0;
}

int args_get_double(
    const struct args *args, const char *name, double min, double max, double *out, struct error *err)
{
	const char *text = args_get(args, name);
	double value;
	char *end;

	if (text == NULL)
		return 0;
	value = strtod(text, &end);
	if (end == text || *end != '\0' || !isfinite(value) || value < min || value > max)
		return error_set(
		    err, -EINVAL, "--%s: \"%s\" is not a number from %g to %g", name, text, min, max);
	*out = value;
	return 0;
}

int args_get_share(const struct args *args, const char *name, double *out, struct error *err)
{
	const char *text = args_get(args, name);
	double value;
	char *end;

	if (text == NULL)
		return 0;
	value = strtod(text, &end);
	if (end != text && strcmp(end, "%") == 0) {
		value /= 100;
		end++;
	}
	if (end == text || *end != '\0' || !(value >= 0 && value <= 1))
		return error_set(err, -EINVAL, "--%s: \"%s\" is not a share such as 3%% or 0.03", name, text);
	*out = value;
	return 0;
}

int args_usage_error(const char *verb, const struct error *err)
{
	fprintf(stderr, "penstock %s: %s\nTry 'penstock %s --help'.\n", verb, err->text, verb);
	return EXIT_USAGE;
}
