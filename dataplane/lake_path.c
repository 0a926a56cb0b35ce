/* SPDX-License-Identifier: BSD-3-Clause */
#include "lake_path.h"

#include "timestamp.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#define DAY_MS 86400000ll
#define HASH_CHARS 18u /* "%~" and 16 digits: no encoded text contains "%~" */

const char *const lake_outputs[] = {"raw", "enriched", "dead_letter"};

static bool plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '-' || c == '.';
}

void lake_encode(const char *text, size_t len, char name[LAKE_NAME_SIZE])
{
	static const char digits[] = "0123456789ABCDEF";
	size_t used = 0, cut = 0; /* cut: the last place where the hash still fits behind */

	if (len == 0) {
		strcpy(name, LAKE_NO_VALUE);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		/* A leading dot would hide a directory, or leave it; a leading "__" is ours. */
		bool as_is = plain(c) && !(i == 0 && (c == '.' || c == '_'));
		size_t needs = as_is ? 1 : 3;

		if (used + needs > LAKE_NAME_MAX) {
			snprintf(name + cut, HASH_CHARS + 1, "%%~%016llx",
			    (unsigned long long)XXH3_64bits(text, len));
			return;
		}
		if (as_is) {
			name[used] = (char)c;
		} else {
			name[used] = '%';
			name[used + 1] = digits[c >> 4];
			name[used + 2] = digits[c & 15];
		}
		used += needs;
		if (used + HASH_CHARS <= LAKE_NAME_MAX)
			cut = used;
	}
	name[used] = '\0';
}

void lake_path(char path[LAKE_PATH_SIZE], const char *stream, uint8_t kind, int32_t day, const char *field,
    const char *value, size_t value_len)
{
	char name[LAKE_NAME_SIZE], key[LAKE_NAME_SIZE], date[TIMESTAMP_TEXT_BYTES] = "1970-01-01";
	int n;

	timestamp_write(day * DAY_MS, date);
	lake_encode(stream, strlen(stream), name);
	n = snprintf(path, LAKE_PATH_SIZE, "%s/%s/%.10s", name, lake_outputs[kind], date);
	if (field == NULL)
		return;
	lake_encode(field, strlen(field), key);
	lake_encode(value, value_len, name);
	/* A directory name may have 255 bytes. */
	snprintf(path + n, LAKE_PATH_SIZE - (size_t)n, "/%.54s=%s", key, name);
}

int32_t lake_day(int64_t time_ms, int64_t arrival_ms)
{
	if (time_ms < 0 || time_ms > TIMESTAMP_MAX_MS)
		time_ms = arrival_ms < 0 || arrival_ms > TIMESTAMP_MAX_MS ? 0 : arrival_ms;
	return (int32_t)(time_ms / DAY_MS);
}
