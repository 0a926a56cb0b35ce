/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_reader.h"

#include "config_scalar.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_at_place(struct reader *reader, size_t line, size_t column, const char *fmt, va_list args)
{
	struct error reason;

	(void)vsnprintf(reason.text, sizeof(reason.text), fmt, args);
	return error_set(reader->err, -EINVAL, "%.256s:%zu:%zu: %s", reader->name, line, column, reason.text);
}

static int fail_at_mark(struct reader *reader, size_t line, size_t column, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int fail_at_mark(struct reader *reader, size_t line, size_t column, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)fail_at_place(reader, line, column, fmt, args);
	va_end(args);
	return -EINVAL;
}

int reader_fail(struct reader *reader, const yaml_node_t *node, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)fail_at_place(reader, node->start_mark.line + 1, node->start_mark.column + 1, fmt, args);
	va_end(args);
	return -EINVAL;
}

static const struct reader_place *find_place(const struct reader *reader, const void *target)
{
	/* The last is the most exact: an object's own place comes before that of its first member. */
	for (size_t i = reader->n_places; target != NULL && i-- > 0;) {
		if (reader->places[i].target == target)
			return &reader->places[i];
	}
	return NULL;
}

int reader_fail_at(struct reader *reader, const void *target, const void *fallback, const char *fmt, ...)
{
	const struct reader_place *place = find_place(reader, target);
	va_list args;

	if (place == NULL)
		place = find_place(reader, fallback);
	va_start(args, fmt);
	(void)fail_at_place(
	    reader, place == NULL ? 1 : place->line, place == NULL ? 1 : place->column, fmt, args);
	va_end(args);
	return -EINVAL;
}

int reader_remember(struct reader *reader, const void *target, const yaml_node_t *node)
{
	struct reader_place *place;

	if (reader->n_places == reader->places_size) {
		size_t size = reader->places_size == 0 ? 64 : 2 * reader->places_size;

		place = reallocarray(reader->places, size, sizeof(*place));
		if (place == NULL)
			return error_set(reader->err, -ENOMEM, "%.256s:1:1: out of memory", reader->name);
		reader->places = place;
		reader->places_size = size;
	}
	place = &reader->places[reader->n_places++];
	place->target = target;
	place->line = node->start_mark.line + 1;
	place->column = node->start_mark.column + 1;
	return 0;
}

/* Line and column of a byte, counted in characters. */
static void position_of(const char *text, size_t offset, size_t *line, size_t *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			(*line)++;
			*column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			(*column)++;
		}
	}
}

static int fail_yaml(struct reader *reader, const yaml_parser_t *parser, const char *text, size_t len)
{
	size_t line = parser->problem_mark.line + 1, column = parser->problem_mark.column + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		return error_set(reader->err, -ENOMEM, "%.256s:1:1: out of memory", reader->name);
	if (parser->error == YAML_READER_ERROR)
		position_of(
		    text, parser->problem_offset < len ? parser->problem_offset : len, &line, &column);
	return fail_at_mark(reader, line, column, "%s%s%s",
	    parser->problem == NULL ? "not YAML" : parser->problem, parser->context == NULL ? "" : " ",
	    parser->context == NULL ? "" : parser->context);
}

/* There must be exactly one document, with a mapping in it. */
static int check_documents(struct reader *reader, yaml_parser_t *parser, const char *text, size_t len)
{
	yaml_node_t *root = yaml_document_get_root_node(&reader->document);
	yaml_document_t second;
	int rc = 0;

	if (root == NULL)
		return fail_at_mark(reader, 1, 1, "the file is empty");
	if (root->type != YAML_MAPPING_NODE)
		return reader_fail(reader, root, "expected a mapping of sections at the top");
	if (!yaml_parser_load(parser, &second))
		return fail_yaml(reader, parser, text, len);
	if (yaml_document_get_root_node(&second) != NULL)
		rc = fail_at_mark(reader, second.start_mark.line + 1, second.start_mark.column + 1,
		    "a second document: the configuration is one document");
	yaml_document_delete(&second);
	return rc;
}

static void feed(yaml_parser_t *parser, const char *text, size_t len)
{
	yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(parser, (const unsigned char *)text, len);
}

/* A pass over the events alone, before anything is built: libyaml's cost grows with the square of the
 * nesting, and its own limit comes too late. */
static int check_nesting(struct reader *reader, const char *text, size_t len)
{
	unsigned int depth = 0;
	yaml_parser_t parser;
	bool end = false;
	int rc = 0;

	if (!yaml_parser_initialize(&parser))
		return error_set(reader->err, -ENOMEM, "%.256s:1:1: out of memory", reader->name);
	feed(&parser, text, len);
	while (rc == 0 && !end) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			rc = fail_yaml(reader, &parser, text, len);
			break;
		}
		end = event.type == YAML_STREAM_END_EVENT;
		if (event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT)
			depth++;
		else if (event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT)
			depth--;
		if (depth > READER_MAX_DEPTH)
			rc = fail_at_mark(reader, event.start_mark.line + 1, event.start_mark.column + 1,
			    "nested deeper than %u levels", READER_MAX_DEPTH);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return rc;
}

int reader_open(struct reader *reader, const char *text, size_t len, const char *name, struct error *err)
{
	size_t line, column, bad;
	yaml_parser_t parser;
	int rc;

	memset(reader, 0, sizeof(*reader));
	reader->name = name;
	reader->err = err;
	if (len > READER_MAX_BYTES)
		return fail_at_mark(reader, 1, 1, "longer than %u bytes", READER_MAX_BYTES);
	if (!scalar_is_utf8(text, len, &bad)) {
		position_of(text, bad, &line, &column);
		return fail_at_mark(reader, line, column, "not UTF-8: byte 0x%02x", (unsigned char)text[bad]);
	}
	rc = check_nesting(reader, text, len);
	if (rc < 0)
		return rc;
	if (!yaml_parser_initialize(&parser))
		return error_set(err, -ENOMEM, "%.256s:1:1: out of memory", name);
	feed(&parser, text, len);
	if (!yaml_parser_load(&parser, &reader->document)) {
		rc = fail_yaml(reader, &parser, text, len);
	} else {
		reader->loaded = true;
		rc = check_documents(reader, &parser, text, len);
	}
	yaml_parser_delete(&parser);
	if (rc < 0)
		reader_close(reader);
	return rc;
}

void reader_close(struct reader *reader)
{
	if (reader->loaded)
		yaml_document_delete(&reader->document);
	reader->loaded = false;
	free(reader->places);
	reader->places = NULL;
	reader->n_places = reader->places_size = 0;
}

yaml_node_t *reader_root(struct reader *reader)
{
	return yaml_document_get_root_node(&reader->document);
}

yaml_node_t *reader_node(struct reader *reader, int index)
{
	return yaml_document_get_node(&reader->document, index);
}

const char *reader_describe(const yaml_node_t *node, char *out, size_t size)
{
	static const char *const kinds[] = {
	    "nothing", "the boolean", "the integer", "the number", "the string"};
	const char *text = (const char *)node->data.scalar.value;
	enum scalar_kind kind;
	char quoted[SCALAR_QUOTE_BYTES];

	if (node->type == YAML_MAPPING_NODE)
		return "a mapping";
	if (node->type == YAML_SEQUENCE_NODE)
		return "a list";
	kind = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? scalar_kind(text) : SCALAR_STRING;
	if (kind == SCALAR_NULL)
		return kinds[SCALAR_NULL];
	if (kind == SCALAR_STRING)
		(void)snprintf(out, size, "%s %s", kinds[kind], scalar_quote(text, quoted));
	else
		(void)snprintf(out, size, "%s %.40s", kinds[kind], text);
	return out;
}

/* The content of the file that {file: path} names, relative to the configuration's directory. */
static int read_file(struct reader *reader, const yaml_node_t *node, const char *path, char **out)
{
	char full[PATH_MAX], directory[PATH_MAX], *text = NULL, quoted[SCALAR_QUOTE_BYTES];
	size_t len = 0, bad;
	struct stat st;
	int fd, rc;

	*out = NULL;
	scalar_quote(path, quoted);
	if (snprintf(directory, sizeof(directory), "%s", reader->name) >= (int)sizeof(directory) ||
	    snprintf(full, sizeof(full), "%s%s%s", path[0] == '/' ? "" : dirname(directory),
	        path[0] == '/' ? "" : "/", path) >= (int)sizeof(full))
		return reader_fail(reader, node, "file: the path %s is too long", quoted);
	/* O_NONBLOCK: a FIFO must not hang the load. */
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return reader_fail(reader, node, "file: cannot open %s: %s", quoted, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		rc = reader_fail(reader, node, "file: %s is not a regular file", quoted);
		goto err;
	}
	text = malloc(SCALAR_MAX_BYTES + 2);
	if (text == NULL) {
		rc = error_set(reader->err, -ENOMEM, "%.256s:1:1: out of memory", reader->name);
		goto err;
	}
	while (len <= SCALAR_MAX_BYTES) {
		ssize_t n = read(fd, text + len, SCALAR_MAX_BYTES + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = reader_fail(reader, node, "file: cannot read %s: %s", quoted, strerror(errno));
			goto err;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len > SCALAR_MAX_BYTES) {
		rc = reader_fail(reader, node, "file: %s is longer than %u bytes", quoted, SCALAR_MAX_BYTES);
		goto err;
	}
	if (len > 0 && text[len - 1] == '\n')
		len -= len > 1 && text[len - 2] == '\r' ? 2 : 1;
	text[len] = '\0';
	if (strlen(text) != len || !scalar_is_utf8(text, len, &bad)) {
		rc = reader_fail(reader, node, "file: %s is not UTF-8 text", quoted);
		goto err;
	}
	(void)close(fd);
	*out = text;
	return 0;
err:
	(void)close(fd);
	free(text);
	return rc;
}

/* The path node of {file: path}, or NULL if the mapping is something else. */
static yaml_node_t *file_reference(struct reader *reader, const yaml_node_t *node)
{
	const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	const yaml_node_t *key;

	if (node->type != YAML_MAPPING_NODE || node->data.mapping.pairs.top - pair != 1)
		return NULL;
	key = reader_node(reader, pair->key);
	if (key->type != YAML_SCALAR_NODE || strcmp((const char *)key->data.scalar.value, "file") != 0)
		return NULL;
	return reader_node(reader, pair->value);
}

int reader_text(struct reader *reader, yaml_node_t *node, const char *key, bool from_file, char **out,
    bool *quoted, bool *substituted)
{
	yaml_node_t *path_node = from_file ? file_reference(reader, node) : NULL;
	char *path, what[128];
	struct error reason;
	int rc;

	*out = NULL;
	if (path_node != NULL && path_node->type == YAML_SCALAR_NODE) {
		rc = reader_text(reader, path_node, "file", false, &path, quoted, substituted);
		if (rc < 0)
			return rc;
		*quoted = true;
		rc = path[0] == '\0' ? reader_fail(reader, path_node, "file: expected a path, found nothing")
		                     : read_file(reader, path_node, path, out);
		free(path);
		return rc;
	}
	if (node->type != YAML_SCALAR_NODE)
		return reader_fail(reader, node, "%s: expected one value, found %s", key,
		    reader_describe(node, what, sizeof(what)));
	if (node->tag != NULL && strcmp((const char *)node->tag, YAML_STR_TAG) != 0)
		return reader_fail(reader, node, "%s: tags such as \"!\" are not supported", key);
	*quoted = node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	rc = scalar_expand(
	    (const char *)node->data.scalar.value, node->data.scalar.length, out, substituted, &reason);
	return rc < 0 ? reader_fail(reader, node, "%s: %s", key, reason.text) : 0;
}
