/* SPDX-License-Identifier: BSD-3-Clause */
#include "args/args.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arg *find(const struct args *args, const char *name, size_t len)
{
	for (struct arg *arg = args->table; arg->name != NULL; arg++)
		if (strlen(arg->name) == len && memcmp(arg->name, name, len) == 0)
			return arg;
	return NULL;
}

static void print_help(const struct args *args)
{
	char left[64];

	printf("Usage: %s\n\n%s\n\nOptions:\n", args->usage, args->about);
	for (const struct arg *arg = args->table; arg->name != NULL; arg++) {
		snprintf(left, sizeof(left), "--%s%s%s", arg->name, arg->metavar ? " " : "",
		    arg->metavar ? arg->metavar : "");
		printf("  %-28s %s\n", left, arg->help);
	}
	printf("  %-28s %s\n", "--help", "this text");
}

int args_parse(const struct args *args, int argc, char **argv, int *first, struct error *err)
{
	int i;

	for (i = 1; i < argc; i++) {
		const char *word = argv[i], *equals;
		struct arg *arg;

		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			print_help(args);
			return 1;
		}
		if (strcmp(word, "--") == 0) {
			i++;
			break;
		}
		if (word[0] != '-' || word[1] == '\0')
			break;
		if (word[1] != '-')
			return error_set(err, -EINVAL, "unknown option %s", word);
		equals = strchr(word, '=');
		arg = find(args, word + 2, equals ? (size_t)(equals - word - 2) : strlen(word + 2));
		if (arg == NULL)
			return error_set(err, -EINVAL, "unknown option %s", word);
		if (arg->value != NULL)
			return error_set(err, -EINVAL, "--%s is given twice", arg->name);
		if (arg->metavar == NULL) {
			if (equals != NULL)
				return error_set(err, -EINVAL, "--%s takes no value", arg->name);
			arg->value = "";
		} else if (equals != NULL) {
			arg->value = equals + 1;
		} else if (i + 1 < argc) {
			arg->value = argv[++i];
		} else {
			return error_set(err, -EINVAL, "--%s needs a value: %s", arg->name, arg->metavar);
		}
	}
	*first = i;
	return 0;
}

const char *args_get(const struct args *args, const char *name)
{
	return find(args, name, strlen(name))->value;
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
