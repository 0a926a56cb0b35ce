/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows of the dimensions that the generated events join: products, users, places, locations. As CSV the
 * header types its columns the way `penstock dim build` reads them (price:number, tags:json,
 * is_registered:boolean).
 *
 * Row `id` is a function of (seed, id); its key (keys.h) of id alone.
 */
#ifndef PENSTOCK_GEN_ROWS_H
#define PENSTOCK_GEN_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum gen_dimension { GEN_PRODUCTS, GEN_USERS, GEN_PLACES, GEN_LOCATIONS, GEN_DIMENSIONS };

/* -1: no such dimension. */
int gen_dimension_by_name(const char *name);

/* The column with the key, as given to `penstock dim build --key`. */
const char *gen_dimension_key(enum gen_dimension dimension);

/* Writes rows 1..n, as CSV with a header or as JSON lines. Errors stay in the stream's error flag. */
void gen_rows_write(enum gen_dimension dimension, uint64_t seed, uint64_t n, bool csv, FILE *out);

#endif
