/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A YAML document with places: every complaint about the configuration goes through here and starts with
 * "file:line:column: ".
 *
 * The reader also remembers where each value of the configuration came from, by the address it was stored at,
 * so that checks that run after parsing can point at the value. Control thread.
 */
#ifndef PENSTOCK_CONFIG_READER_H
#define PENSTOCK_CONFIG_READER_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#define READER_MAX_BYTES (1u << 20) /* of a configuration file */
#define READER_MAX_DEPTH 16u        /* of nesting; the table of keys needs 7 */

struct reader_place {
	const void *target;
	size_t line, column;
};

struct reader {
	const char *name; /* of the file */
	yaml_document_t document;
	bool loaded; /* document is there */
	struct reader_place *places;
	size_t n_places, places_size;
	struct error *err;
};

/* Parses the text into reader->document, one document whose root is a mapping. 0, -EINVAL, -ENOMEM. */
int reader_open(struct reader *reader, const char *text, size_t len, const char *name, struct error *err);
void reader_close(struct reader *reader);

/* Says what is wrong at a node, and returns -EINVAL. */
int reader_fail(struct reader *reader, const yaml_node_t *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same at the place where `target` was stored; if it was not, where `fallback` was. */
int reader_fail_at(struct reader *reader, const void *target, const void *fallback, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Remembers that what is stored at `target` came from `node`. 0 or -ENOMEM. */
int reader_remember(struct reader *reader, const void *target, const yaml_node_t *node);

yaml_node_t *reader_root(struct reader *reader);
yaml_node_t *reader_node(struct reader *reader, int index);

/* "a mapping", "the integer 5", "nothing": what a node is, for messages. */
const char *reader_describe(const yaml_node_t *node, char *out, size_t size);

/* The expanded text of a scalar, for free(); also of {file: path} where `from_file` allows it. *quoted says
 * that the text is to be taken as a string whatever it looks like (quoted, read from a file). */
int reader_text(struct reader *reader, yaml_node_t *node, const char *key, bool from_file, char **out,
    bool *quoted, bool *substituted);

#endif
