/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Output for people: numbers with thousands separators, aligned tables, colours where a terminal shows them.
 * One thread.
 */
#ifndef PENSTOCK_CLI_PRINT_H
#define PENSTOCK_CLI_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PRINT_NUMBER_SIZE 32u
#define PRINT_MAX_COLUMNS 12u

/* 1234567 as "1,234,567". Returns `out`. */
const char *print_count(char out[PRINT_NUMBER_SIZE], int64_t value);

/* Bytes as "1.5 GiB"; seconds as "3d 02:11:05". */
const char *print_bytes(char out[PRINT_NUMBER_SIZE], double bytes);
const char *print_uptime(char out[PRINT_NUMBER_SIZE], double seconds);

enum print_style { PRINT_PLAIN, PRINT_GOOD, PRINT_BAD, PRINT_HEAD };

/* Whether colours are wanted on that stream: a terminal, and no NO_COLOR in the environment. */
bool print_colored(FILE *out);

/* Writes text in a style, where colours are wanted. */
void print_styled(FILE *out, enum print_style style, const char *text);

/* A table: cells are copied, columns get the width of their widest cell; numbers stand to the right. */
struct print_table {
	size_t n_columns;
	size_t n_cells, size;
	char **cells;
	bool right[PRINT_MAX_COLUMNS];
	bool failed; /* no memory: nothing is printed */
};

/* `heads` is a list of column heads separated by '|'; a head that begins with '>' stands to the right. */
void table_init(struct print_table *table, const char *heads);

/* The next cell, row by row. */
void table_text(struct print_table *table, const char *text);
void table_count(struct print_table *table, int64_t value);
void table_format(struct print_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints and frees. Control characters of cells are shown as '?'. A table without rows prints nothing. */
void table_print(struct print_table *table, FILE *out);

#endif
