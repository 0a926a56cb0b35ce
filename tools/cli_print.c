/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_print.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *print_count(char out[PRINT_NUMBER_SIZE], int64_t value)
{
	char digits[24];
	size_t n = (size_t)snprintf(
	    digits, sizeof(digits), "%" PRIu64, value < 0 ? -(uint64_t)value : (uint64_t)value);
	size_t used = 0;

	if (value < 0)
		out[used++] = '-';
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			out[used++] = ',';
		out[used++] = digits[i];
	}
	out[used] = '\0';
	return out;
}

const char *print_bytes(char out[PRINT_NUMBER_SIZE], double bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;

	for (; bytes >= 1024 && unit < 4; unit++)
		bytes /= 1024;
	(void)snprintf(out, PRINT_NUMBER_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
	return out;
}

const char *print_uptime(char out[PRINT_NUMBER_SIZE], double seconds)
{
	uint64_t s = seconds < 0 ? 0 : seconds > 1e15 ? (uint64_t)1e15 : (uint64_t)seconds;
	unsigned int h = (unsigned int)(s / 3600 % 24), m = (unsigned int)(s / 60 % 60),
	             rest = (unsigned int)(s % 60);

	if (s >= 86400)
		(void)snprintf(out, PRINT_NUMBER_SIZE, "%" PRIu64 "d %02u:%02u:%02u", s / 86400, h, m, rest);
	else
		(void)snprintf(out, PRINT_NUMBER_SIZE, "%02u:%02u:%02u", h, m, rest);
	return out;
}

bool print_colored(FILE *out)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(fileno(out)) == 1 && (no_color == NULL || no_color[0] == '\0');
}

void print_styled(FILE *out, enum print_style style, const char *text)
{
	static const char *const codes[] = {"", "\033[32m", "\033[1;31m", "\033[1m"};

	if (style == PRINT_PLAIN || !print_colored(out))
		(void)fputs(text, out);
	else
		(void)fprintf(out, "%s%s\033[0m", codes[style], text);
}

static void add_cell(struct print_table *table, const char *text, size_t len)
{
	char *cell;

	if (table->failed)
		return;
	if (table->n_cells == table->size) {
		size_t more = table->size == 0 ? 64 : 2 * table->size;
		char **cells = reallocarray(table->cells, more, sizeof(*cells));

		if (cells == NULL) {
			table->failed = true;
			return;
		}
		table->cells = cells;
		table->size = more;
	}
	cell = strndup(text, len);
	if (cell == NULL) {
		table->failed = true;
		return;
	}
	for (char *p = cell; *p != '\0'; p++) {
		if (iscntrl((unsigned char)*p))
			*p = '?';
	}
	table->cells[table->n_cells++] = cell;
}

void table_init(struct print_table *table, const char *heads)
{
	memset(table, 0, sizeof(*table));
	for (;;) {
		size_t len;

		table->right[table->n_columns] = *heads == '>';
		heads += *heads == '>';
		len = strcspn(heads, "|");
		add_cell(table, heads, len);
		table->n_columns++;
		heads += len;
		if (*heads == '\0' || table->n_columns == PRINT_MAX_COLUMNS)
			return;
		heads++;
	}
}

void table_text(struct print_table *table, const char *text)
{
	add_cell(table, text == NULL ? "-" : text, text == NULL ? 1 : strlen(text));
}

void table_count(struct print_table *table, int64_t value)
{
	char text[PRINT_NUMBER_SIZE];

	table_text(table, print_count(text, value));
}

void table_format(struct print_table *table, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	table_text(table, text);
}

/* Columns on the screen, one per code point. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void print_row(const struct print_table *table, size_t row, const size_t *widths, FILE *out)
{
	enum print_style style = row == 0 ? PRINT_HEAD : PRINT_PLAIN;

	for (size_t c = 0; c < table->n_columns; c++) {
		const char *cell = table->cells[row * table->n_columns + c];
		int gap = (int)(widths[c] - width(cell));
		bool last = c + 1 == table->n_columns;

		(void)fprintf(out, "%s%*s", c == 0 ? "" : "  ", table->right[c] ? gap : 0, "");
		print_styled(out, style, cell);
		(void)fprintf(out, "%*s", table->right[c] || last ? 0 : gap, "");
	}
	(void)fputc('\n', out);
}

void table_print(struct print_table *table, FILE *out)
{
	size_t widths[PRINT_MAX_COLUMNS] = {0}, rows = table->n_cells / table->n_columns;

	for (size_t i = 0; i < rows * table->n_columns; i++) {
		size_t w = width(table->cells[i]), c = i % table->n_columns;

		widths[c] = w > widths[c] ? w : widths[c];
	}
	for (size_t row = 0; row < rows && rows > 1 && !table->failed; row++)
		print_row(table, row, widths, out);
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	memset(table, 0, sizeof(*table));
}
