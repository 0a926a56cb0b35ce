/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads any bytes as rows of a dimension; the first byte chooses CSV, JSON Lines or JSON. Every row that
 * comes out is an object that jansson accepts, on one line; every refusal names the line.
 */
#include "dimtools/row_reader.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void give_up(const char *what)
{
	(void)fprintf(stderr, "fuzz_rows: %s\n", what);
	abort();
}

/* jansson refuses numbers that a double cannot hold, and is shallower or deeper than we are: those are no
 * rows of ours that are wrong. */
static void check_row(const struct dim_row *row)
{
	json_error_t error;
	json_t *json;

	if (memchr(row->json, '\n', row->json_len) != NULL)
		give_up("a row on two lines");
	json = json_loadb(row->json, row->json_len, JSON_ALLOW_NUL, &error);
	if (json == NULL && json_error_code(&error) != json_error_numeric_overflow)
		give_up("a row is not JSON");
	if (json != NULL && !json_is_object(json))
		give_up("a row is not an object");
	json_decref(json);
}

static int open_reader(struct input *input, const struct row_choice *choice, uint8_t kind,
    struct row_reader **reader, struct error *err)
{
	if (kind % 3 == 0)
		return rows_csv_open(input, choice, reader, err);
	return rows_json_open(input, choice, kind % 3 == 2, reader, err);
}

static void read_all(const char *path, uint8_t kind)
{
	static const char *const columns[] = {"a", "tags"};
	const struct row_choice choice = {.key = "id", .columns = columns, .n_columns = kind & 64 ? 2 : 0};
	struct row_reader *reader = NULL;
	struct error err = {""};
	struct input input;
	struct dim_row row;
	int rc = input_open(&input, path, &err);

	if (rc != 0)
		give_up(err.text);
	rc = open_reader(&input, &choice, kind, &reader, &err);
	if (rc == 0) {
		while ((rc = reader->next(reader, &row, &err)) > 0)
			check_row(&row);
	}
	if (rc < 0 && strncmp(err.text, path, strlen(path)) != 0)
		give_up("a refusal that does not name the file");
	rows_close(reader);
	input_close(&input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd;

	if (size == 0)
		return 0;
	fd = memfd_create("rows", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
		give_up("no file in memory");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_all(path, data[0]);
	(void)close(fd);
	return 0;
}
