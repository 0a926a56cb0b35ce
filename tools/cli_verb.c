/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_verb.h"

#include <errno.h>
#include <stdio.h>

int verb_begin(const struct args *args, const char *verb, int argc, char **argv, int min_words, int max_words,
    int *first)
{
	struct error err;
	int rc = args_parse(args, argc, argv, first, &err);

	if (rc > 0)
		return -EXIT_OK - 1;
	if (rc == 0 && argc - *first < min_words)
		rc = error_set(&err, -EINVAL, "too few words");
	else if (rc == 0 && argc - *first > max_words)
		rc = error_set(&err, -EINVAL, "unexpected word \"%s\"", argv[*first + max_words]);
	return rc == 0 ? 0 : -args_usage_error(verb, &err) - 1;
}

int verb_fail(const char *verb, const struct error *err)
{
	(void)fflush(stdout);
	(void)fprintf(stderr, "penstock %s: %s\n", verb, err->text);
	return EXIT_FAILED;
}

void verb_print_json(const json_t *document)
{
	(void)json_dumpf(document, stdout, JSON_INDENT(2));
	(void)putchar('\n');
}

json_int_t member_integer(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

double member_number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

const char *member_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

int member_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}
