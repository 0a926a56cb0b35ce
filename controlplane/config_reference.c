/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "config_keys.h"

#include <inttypes.h>

#define DAY_MS UINT64_C(86400000)

static void write_duration(FILE *out, uint64_t ms)
{
	if (ms == 0)
		(void)fputs("0s", out);
	else if (ms % DAY_MS == 0)
		(void)fprintf(out, "%" PRIu64 "d", ms / DAY_MS);
	else if (ms % 1000 == 0)
		(void)fprintf(out, "%" PRIu64 "s", ms / 1000);
	else
		(void)fprintf(out, "%" PRIu64 "ms", ms);
}

static void write_type(FILE *out, const struct config_key *key)
{
	bool first = true;

	if (key->type_help != NULL) {
		(void)fputs(key->type_help, out);
		return;
	}
	switch (key->kind) {
	case KEY_STRING:
	case KEY_CUSTOM:
		(void)fputs("string", out);
		break;
	case KEY_BOOLEAN:
		(void)fputs("`true`, `false`", out);
		break;
	case KEY_UNSIGNED:
		(void)fprintf(out, "integer, %" PRIu64 " to %" PRIu64, key->min, key->max);
		break;
	case KEY_SIZE:
		(void)fprintf(out, "size, %" PRIu64 " to %" PRIu64, key->min, key->max);
		break;
	case KEY_NUMBER:
		(void)fputs("number", out);
		break;
	case KEY_DURATION:
		(void)fputs("duration, ", out);
		write_duration(out, key->min);
		(void)fputs(" to ", out);
		write_duration(out, key->max);
		break;
	case KEY_CHOICE:
		for (const struct key_choice *c = key->choices; c->name != NULL; c++) {
			if (c->refused != NULL)
				continue;
			(void)fprintf(out, "%s`%s`", first ? "" : ", ", c->name);
			first = false;
		}
		break;
	case KEY_STRINGS:
		(void)fprintf(out, "list of %" PRIu64 " to %" PRIu64 " strings", key->min, key->max);
		break;
	case KEY_SECTION:
		(void)fputs("section", out);
		break;
	case KEY_LIST:
		(void)fprintf(out, "list of at most %" PRIu64 " sections", key->max);
		break;
	case KEY_MAP:
		(void)fprintf(out, "mapping of at most %" PRIu64 " names to sections", key->max);
		break;
	}
}

static void write_preset(FILE *out, const struct config_key *key)
{
	if (key->required)
		(void)fputs("required", out);
	else if (key->preset_help != NULL)
		(void)fputs(key->preset_help, out);
	else if (key->preset != NULL)
		(void)fprintf(out, "`%s`", key->preset);
}

static void write_section(FILE *out, const struct config_section *section)
{
	if (section->path[0] == '\0')
		(void)fprintf(out, "### The top\n\n");
	else
		(void)fprintf(out, "### `%s`\n\n", section->path);
	(void)fprintf(out, "%s\n\n| key | type | default | meaning |\n|---|---|---|---|\n", section->help);
	for (const struct config_key *key = section->keys; key->name != NULL; key++) {
		(void)fprintf(out, "| `%s` | ", key->name);
		write_type(out, key);
		(void)fputs(" | ", out);
		write_preset(out, key);
		(void)fprintf(out, " | %s |\n", key->help);
	}
	for (const struct config_key *key = section->keys; key->name != NULL; key++) {
		if (key->section == NULL)
			continue;
		(void)fputc('\n', out);
		write_section(out, key->section);
	}
}

void config_write_reference(FILE *out)
{
	write_section(out, &config_root_section);
}
