/* SPDX-License-Identifier: BSD-3-Clause */
#include "key_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_LINE 256

static int digit(char c)
{
	if (!isxdigit((unsigned char)c))
		return -1;
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* A line without its newline. */
static int read_line(const char *line, struct key_file *key)
{
	char *end;
	unsigned long id;
	size_t len;

	if (!isdigit((unsigned char)line[0]))
		return -EINVAL;
	errno = 0;
	id = strtoul(line, &end, 10);
	if (errno != 0 || id > UINT32_MAX || *end != ':')
		return -EINVAL;
	len = strlen(++end);
	if (len % 2 != 0 || len / 2 < WIRE_KEY_MIN_BYTES || len / 2 > WIRE_KEY_MAX_BYTES)
		return -EINVAL;
	for (size_t i = 0; i < len; i += 2) {
		if (digit(end[i]) < 0 || digit(end[i + 1]) < 0)
			return -EINVAL;
		key->bytes[i / 2] = (uint8_t)(digit(end[i]) << 4 | digit(end[i + 1]));
	}
	key->id = (uint32_t)id;
	key->len = (uint32_t)(len / 2);
	return 0;
}

int key_file_read(const char *path, struct key_file *key, struct error *err)
{
	FILE *file = fopen(path, "re");
	int rc = 0, number = 0, found = 0;
	char line[MAX_LINE];
	struct stat st;

	memset(key, 0, sizeof(*key));
	if (file == NULL)
		return error_set(err, -errno, "%.256s: %s", path, strerror(errno));
	if (fstat(fileno(file), &st) == 0 && (st.st_mode & S_IROTH) != 0)
		rc = error_set(err, -EINVAL, "%.256s: everybody may read it: chmod o-r", path);
	while (rc == 0 && fgets(line, sizeof(line), file) != NULL) {
		size_t len = strcspn(line, "\r\n");

		number++;
		if (line[len] == '\0' && !feof(file))
			rc = error_set(err, -EINVAL, "%.256s:%d: too long", path, number);
		line[len] = '\0';
		if (rc != 0 || len == 0 || line[0] == '#')
			continue;
		if (found++ > 0)
			rc = error_set(err, -EINVAL, "%.256s:%d: a second key", path, number);
		else if (read_line(line, key) != 0)
			rc = error_set(err, -EINVAL,
			    "%.256s:%d: not a key: ID:HEX is needed, with %u to %u bytes", path, number,
			    WIRE_KEY_MIN_BYTES, WIRE_KEY_MAX_BYTES);
	}
	if (rc == 0 && ferror(file))
		rc = error_set(err, -EIO, "%.256s: cannot read it", path);
	if (rc == 0 && found == 0)
		rc = error_set(err, -EINVAL, "%.256s: holds no key", path);
	(void)fclose(file);
	return rc;
}
