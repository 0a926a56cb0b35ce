/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimtools/row_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void rows_close(struct row_reader *reader)
{
	if (reader == NULL)
		return;
	for (size_t i = 0; i < reader->n_columns; i++)
		free(reader->columns[i]);
	free(reader->columns);
	reader->close(reader);
}

int rows_set_columns(struct row_reader *reader, const char *const *names, size_t n)
{
	if (n == 0)
		return 0;
	reader->columns = calloc(n, sizeof(*reader->columns));
	if (reader->columns == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		reader->columns[i] = strdup(names[i]);
		if (reader->columns[i] == NULL)
			return -ENOMEM;
		reader->n_columns++;
	}
	return 0;
}

int rows_reserve(char **buffer, size_t *size, size_t bytes, struct error *err)
{
	char *larger;

	if (bytes <= *size)
		return 0;
	larger = realloc(*buffer, bytes + bytes / 2);
	if (larger == NULL)
		return error_set(err, -ENOMEM, "no memory for a record of %zu bytes", bytes);
	*buffer = larger;
	*size = bytes + bytes / 2;
	return 0;
}
