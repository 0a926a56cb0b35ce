/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readers that turn a file of records into the rows of a dimension: a key and a compact JSON object.
 *
 * rows_csv_open() reads CSV by RFC 4180, rows_json_open() JSON Lines or one JSON array; both in one pass, in
 * memory bounded by the longest record. Errors name "file:line: reason". One thread.
 */
#ifndef PENSTOCK_ROW_READER_H
#define PENSTOCK_ROW_READER_H

#include "error.h"
#include "dimtools/input.h"

#include <stddef.h>
#include <stdint.h>

#define ROWS_MAX_COLUMNS 1024u

struct dim_row {
	const char *key; /* valid until the next row is read */
	size_t key_len;
	const char *json;
	size_t json_len;
	uint64_t line; /* where the record starts */
};

/* What to take from each record. */
struct row_choice {
	const char *key;            /* column or member that is the key */
	const char *const *columns; /* in this order; n_columns = 0: all but the key, in the file's order */
	size_t n_columns;
};

struct row_reader {
	/* 1 and a row; 0 at the end; -EBADMSG or another -errno with the reason. */
	int (*next)(struct row_reader *reader, struct dim_row *row, struct error *err);
	void (*close)(struct row_reader *reader);
	struct input *input;
	/* What the rows hold; n_columns = 0: whatever members each record came with. Owned by the reader. */
	char **columns;
	size_t n_columns;
};

/* `input` and what `choice` points to must outlive the reader. 0 or -errno with the reason. */
int rows_csv_open(
    struct input *input, const struct row_choice *choice, struct row_reader **out, struct error *err);
int rows_json_open(struct input *input, const struct row_choice *choice, bool array, struct row_reader **out,
    struct error *err);

/* NULL is allowed. */
void rows_close(struct row_reader *reader);

/* For readers: copies names to reader->columns. 0 or -ENOMEM. */
int rows_set_columns(struct row_reader *reader, const char *const *names, size_t n);

/* For readers: makes a buffer of at least `bytes`. 0 or -ENOMEM. */
int rows_reserve(char **buffer, size_t *size, size_t bytes, struct error *err);

#endif
