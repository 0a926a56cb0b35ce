/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimtools/json_compact.h"
#include "dimtools/json_quote.h"
#include "dimtools/row_reader.h"
#include "json_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum cell_type { CELL_STRING, CELL_NUMBER, CELL_INTEGER, CELL_BOOLEAN, CELL_JSON, CELL_TYPES };

static const char *const cell_type_names[CELL_TYPES] = {"string", "number", "integer", "boolean", "json"};

struct csv_column {
	char *name;
	char *member; /* "name": as it stands in the row's JSON */
	size_t member_len;
	enum cell_type type;
};

struct cell {
	const char *text;
	size_t len;
	size_t at; /* in the window, for messages */
};

struct csv_reader {
	struct row_reader base;
	struct csv_column *columns; /* of the file */
	size_t n_columns;
	size_t key;
	size_t *chosen; /* indices into columns */
	size_t n_chosen;
	size_t members_len; /* of all chosen columns' members */
	struct cell *cells;
	size_t max_cells;
	size_t taken;   /* bytes of the record that was given out last */
	char *unquoted; /* cells in which a quote was doubled */
	size_t unquoted_size, unquoted_used;
	char *json;
	size_t json_size;
};

/* What a scan of the window comes to, beside a negative errno. */
enum scan { SCAN_DONE, SCAN_MORE, SCAN_NEXT_CELL };

/* The byte at window[i] ends a cell: says whether the record goes on, and moves *i behind it. */
static int end_cell(struct csv_reader *reader, size_t *i, struct error *err)
{
	const struct input *input = reader->base.input;
	const char *window = input_window(input);
	size_t len = input_length(input);

	if (*i == len)
		return input->eof ? SCAN_DONE : SCAN_MORE;
	if (window[*i] == '\r') {
		if (*i + 1 == len && !input->eof)
			return SCAN_MORE;
		if (*i + 1 == len || window[*i + 1] != '\n')
			return input_error(input, *i, err, -EBADMSG, "a carriage return without a line feed");
		*i += 2;
		return SCAN_DONE;
	}
	*i += 1;
	return window[*i - 1] == ',' ? SCAN_NEXT_CELL : SCAN_DONE;
}

/* A cell from quote to quote. */
static int scan_quoted(struct csv_reader *reader, size_t *i, struct cell *cell, struct error *err)
{
	const struct input *input = reader->base.input;
	const char *window = input_window(input);
	size_t len = input_length(input), from = *i + 1, start = reader->unquoted_used;
	bool doubled = false;

	for (;;) {
		const char *quote = memchr(window + from, '"', len - from);
		size_t at;

		if (quote == NULL || (quote == window + len - 1 && !input->eof)) {
			if (!input->eof)
				return SCAN_MORE;
			return input_error(input, *i, err, -EBADMSG, "a quoted field that is not closed");
		}
		at = (size_t)(quote - window);
		if (at + 1 < len && window[at + 1] == '"') {
			memcpy(reader->unquoted + reader->unquoted_used, window + from, at + 1 - from);
			reader->unquoted_used += at + 1 - from;
			doubled = true;
			from = at + 2;
			continue;
		}
		if (at + 1 < len && window[at + 1] != ',' && window[at + 1] != '\n' && window[at + 1] != '\r')
			return input_error(input, at, err, -EBADMSG, "text after a field's closing quote");
		if (doubled) {
			memcpy(reader->unquoted + reader->unquoted_used, window + from, at - from);
			reader->unquoted_used += at - from;
			*cell = (struct cell){reader->unquoted + start, reader->unquoted_used - start, *i};
		} else {
			*cell = (struct cell){window + from, at - from, *i};
		}
		*i = at + 1;
		return end_cell(reader, i, err);
	}
}

static int scan_plain(struct csv_reader *reader, size_t *i, struct cell *cell, struct error *err)
{
	const struct input *input = reader->base.input;
	const char *window = input_window(input);
	size_t len = input_length(input), at = *i;

	while (at < len && window[at] != ',' && window[at] != '\n' && window[at] != '\r' && window[at] != '"')
		at++;
	if (at < len && window[at] == '"')
		return input_error(
		    input, at, err, -EBADMSG, "a quote inside a field that does not start with one");
	*cell = (struct cell){window + *i, at - *i, *i};
	*i = at;
	return end_cell(reader, i, err);
}

/* One pass over the window from its start. */
static int scan_record(struct csv_reader *reader, size_t *n_cells, size_t *taken, struct error *err)
{
	const struct input *input = reader->base.input;
	size_t i = 0;
	int rc;

	*n_cells = 0;
	reader->unquoted_used = 0;
	do {
		struct cell *cell = &reader->cells[*n_cells];

		if (*n_cells == reader->max_cells)
			return input_error(
			    input, i, err, -EBADMSG, "more than %zu fields", reader->max_cells);
		if (i < input_length(input) && input_window(input)[i] == '"')
			rc = scan_quoted(reader, &i, cell, err);
		else
			rc = scan_plain(reader, &i, cell, err);
		*n_cells += 1;
	} while (rc == SCAN_NEXT_CELL);
	*taken = i;
	return rc;
}

static size_t first_invalid(const char *text, size_t len)
{
	size_t i = 0;
	uint32_t n;

	while (i < len && (n = json_utf8_sequence(text + i, text + len)) > 0)
		i += n;
	return i;
}

/* Reads the next record into reader->cells. 1, 0 at the end, or -errno. */
static int read_record(struct csv_reader *reader, size_t *n_cells, struct error *err)
{
	struct input *input = reader->base.input;
	int rc;

	input_consume(input, reader->taken);
	reader->taken = 0;
	for (;;) {
		if (input->eof && input_length(input) == 0)
			return 0;
		rc = rows_reserve(&reader->unquoted, &reader->unquoted_size, input_length(input), err);
		if (rc == 0)
			rc = scan_record(reader, n_cells, &reader->taken, err);
		if (rc == SCAN_DONE)
			break;
		if (rc == SCAN_MORE)
			rc = input_more(input, err);
		if (rc < 0)
			return rc;
	}
	if (!json_utf8_valid(input_window(input), (uint32_t)reader->taken))
		return input_error(input, first_invalid(input_window(input), reader->taken), err, -EBADMSG,
		    "not valid UTF-8");
	return 1;
}

static int cell_error(const struct csv_reader *reader, const struct csv_column *column,
    const struct cell *cell, const char *reason, struct error *err)
{
	return input_error(reader->base.input, cell->at, err, -EBADMSG, "column \"%s\": \"%.*s\" %s",
	    column->name, (int)(cell->len < 40 ? cell->len : 40), cell->text, reason);
}

static int write_json_cell(struct csv_reader *reader, const struct csv_column *column,
    const struct cell *cell, size_t *used, struct error *err)
{
	struct json_compact text = {
	    .in = cell->text, .len = cell->len, .final = true, .out = reader->json + *used};

	if (json_compact_value(&text) != JSON_COMPACT_OK)
		return cell_error(reader, column, cell, text.reason, err);
	json_compact_space(&text);
	if (text.at != text.len)
		return cell_error(reader, column, cell, "is more than one JSON value", err);
	*used += text.used;
	return 0;
}

/* Appends the cell's value to the row. There is room. */
static int write_cell(struct csv_reader *reader, const struct csv_column *column, const struct cell *cell,
    size_t *used, struct error *err)
{
	switch (column->type) {
	case CELL_STRING:
		*used += json_quote(reader->json + *used, cell->text, cell->len);
		return 0;
	case CELL_JSON:
		return write_json_cell(reader, column, cell, used, err);
	case CELL_BOOLEAN:
		if (!(cell->len == 4 && memcmp(cell->text, "true", 4) == 0) &&
		    !(cell->len == 5 && memcmp(cell->text, "false", 5) == 0))
			return cell_error(reader, column, cell, "is neither true nor false", err);
		break;
	default:
		if (!json_compact_is_number(cell->text, cell->len, column->type == CELL_INTEGER))
			return cell_error(reader, column, cell,
			    column->type == CELL_INTEGER ? "is not an integer" : "is not a number", err);
	}
	memcpy(reader->json + *used, cell->text, cell->len);
	*used += cell->len;
	return 0;
}

static int write_row(struct csv_reader *reader, size_t *used, struct error *err)
{
	/* An escape makes six bytes of one; two quotes and a comma per column. */
	size_t room = reader->taken * 6 + reader->members_len + reader->n_chosen * 3 + 2;
	int rc = rows_reserve(&reader->json, &reader->json_size, room, err);

	if (rc != 0)
		return rc;
	*used = 0;
	reader->json[(*used)++] = '{';
	for (size_t i = 0; i < reader->n_chosen; i++) {
		const struct csv_column *column = &reader->columns[reader->chosen[i]];
		const struct cell *cell = &reader->cells[reader->chosen[i]];

		if (cell->len == 0 && column->type != CELL_STRING)
			continue;
		if (*used > 1)
			reader->json[(*used)++] = ',';
		memcpy(reader->json + *used, column->member, column->member_len);
		*used += column->member_len;
		rc = write_cell(reader, column, cell, used, err);
		if (rc != 0)
			return rc;
	}
	reader->json[(*used)++] = '}';
	return 0;
}

static int csv_next(struct row_reader *base, struct dim_row *row, struct error *err)
{
	struct csv_reader *reader = (struct csv_reader *)base;
	size_t n_cells;
	int rc = read_record(reader, &n_cells, err);

	if (rc <= 0)
		return rc;
	if (n_cells != reader->n_columns)
		return input_error(base->input, 0, err, -EBADMSG, "%zu field%s, the header has %zu", n_cells,
		    n_cells == 1 ? "" : "s", reader->n_columns);
	rc = write_row(reader, &row->json_len, err);
	if (rc != 0)
		return rc;
	row->json = reader->json;
	row->key = reader->cells[reader->key].text;
	row->key_len = reader->cells[reader->key].len;
	row->line = base->input->line;
	return 1;
}

static void csv_close(struct row_reader *base)
{
	struct csv_reader *reader = (struct csv_reader *)base;

	for (size_t i = 0; i < reader->n_columns; i++) {
		free(reader->columns[i].name);
		free(reader->columns[i].member);
	}
	free(reader->columns);
	free(reader->chosen);
	free(reader->cells);
	free(reader->unquoted);
	free(reader->json);
	free(reader);
}

/* "price:number" -> price, CELL_NUMBER; what follows the last colon is always a type. */
static int split_type(const struct csv_reader *reader, const struct cell *cell, size_t *name_len,
    enum cell_type *type, struct error *err)
{
	const char *colon = memrchr(cell->text, ':', cell->len);
	size_t len;

	*name_len = cell->len;
	*type = CELL_STRING;
	if (colon == NULL)
		return 0;
	*name_len = (size_t)(colon - cell->text);
	len = cell->len - *name_len - 1;
	for (unsigned int i = 0; i < CELL_TYPES; i++) {
		if (strlen(cell_type_names[i]) == len && memcmp(cell_type_names[i], colon + 1, len) == 0) {
			*type = (enum cell_type)i;
			return 0;
		}
	}
	return input_error(reader->base.input, cell->at, err, -EBADMSG,
	    "column \"%.*s\": \"%.*s\" is none of the types string, number, integer, boolean, json",
	    (int)(cell->len < 80 ? cell->len : 80), cell->text, (int)(len < 40 ? len : 40), colon + 1);
}

static int find_column(const struct csv_reader *reader, const char *name, size_t len)
{
	for (size_t i = 0; i < reader->n_columns; i++)
		if (strlen(reader->columns[i].name) == len && memcmp(reader->columns[i].name, name, len) == 0)
			return (int)i;
	return -1;
}

static int add_column(struct csv_reader *reader, const struct cell *cell, struct error *err)
{
	const struct input *input = reader->base.input;
	struct csv_column *column = &reader->columns[reader->n_columns];
	enum cell_type type;
	size_t len;
	int rc = split_type(reader, cell, &len, &type, err);

	if (rc != 0)
		return rc;
	if (len == 0)
		return input_error(
		    input, cell->at, err, -EBADMSG, "column %zu has no name", reader->n_columns + 1);
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)cell->text[i] < 0x20)
			return input_error(input, cell->at, err, -EBADMSG,
			    "the name of column %zu holds a control character", reader->n_columns + 1);
	if (find_column(reader, cell->text, len) >= 0)
		return input_error(input, cell->at, err, -EBADMSG, "column \"%.*s\" occurs twice",
		    (int)(len < 80 ? len : 80), cell->text);
	column->type = type;
	column->name = strndup(cell->text, len);
	column->member = malloc(len * 6 + 3);
	reader->n_columns++;
	if (column->name == NULL || column->member == NULL)
		return error_set(err, -ENOMEM, "no memory for the columns");
	column->member_len = json_quote(column->member, column->name, len);
	column->member[column->member_len++] = ':';
	return 0;
}

static int need_column(const struct csv_reader *reader, const char *name, size_t *index, struct error *err)
{
	int found = find_column(reader, name, strlen(name));

	if (found < 0)
		return input_error(reader->base.input, 0, err, -EBADMSG, "no column \"%s\"", name);
	*index = (size_t)found;
	return 0;
}

static int choose_columns(struct csv_reader *reader, const struct row_choice *choice, struct error *err)
{
	const char *names[ROWS_MAX_COLUMNS];
	int rc = need_column(reader, choice->key, &reader->key, err);

	if (rc != 0)
		return rc;
	reader->chosen = calloc(ROWS_MAX_COLUMNS, sizeof(*reader->chosen));
	if (reader->chosen == NULL)
		return error_set(err, -ENOMEM, "no memory for the columns");
	for (size_t i = 0; i < choice->n_columns; i++) {
		rc = need_column(reader, choice->columns[i], &reader->chosen[reader->n_chosen++], err);
		if (rc != 0)
			return rc;
	}
	for (size_t i = 0; choice->n_columns == 0 && i < reader->n_columns; i++)
		if (i != reader->key)
			reader->chosen[reader->n_chosen++] = i;
	for (size_t i = 0; i < reader->n_chosen; i++) {
		names[i] = reader->columns[reader->chosen[i]].name;
		reader->members_len += reader->columns[reader->chosen[i]].member_len;
	}
	rc = rows_set_columns(&reader->base, names, reader->n_chosen);
	return rc == 0 ? 0 : error_set(err, rc, "no memory for the columns");
}

static int read_header(struct csv_reader *reader, const struct row_choice *choice, struct error *err)
{
	size_t n_cells;
	int rc;

	reader->cells = calloc(ROWS_MAX_COLUMNS, sizeof(*reader->cells));
	reader->max_cells = ROWS_MAX_COLUMNS;
	reader->columns = calloc(ROWS_MAX_COLUMNS, sizeof(*reader->columns));
	if (reader->cells == NULL || reader->columns == NULL)
		return error_set(err, -ENOMEM, "no memory for the columns");
	rc = read_record(reader, &n_cells, err);
	if (rc == 0)
		return input_error(
		    reader->base.input, 0, err, -EBADMSG, "empty: a header with column names is expected");
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n_cells; i++) {
		rc = add_column(reader, &reader->cells[i], err);
		if (rc != 0)
			return rc;
	}
	return choose_columns(reader, choice, err);
}

int rows_csv_open(
    struct input *input, const struct row_choice *choice, struct row_reader **out, struct error *err)
{
	struct csv_reader *reader = calloc(1, sizeof(*reader));
	int rc;

	*out = NULL;
	if (reader == NULL)
		return error_set(err, -ENOMEM, "no memory for a CSV reader");
	reader->base.next = csv_next;
	reader->base.close = csv_close;
	reader->base.input = input;
	rc = read_header(reader, choice, err);
	if (rc != 0) {
		rows_close(&reader->base);
		return rc;
	}
	*out = &reader->base;
	return 0;
}
