/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of configuration keys: name, type, default, place in struct config and help of each. The parser
 * (config_section.c), config_free() and the reference documentation work from it; nothing else knows the
 * keys. Constant data; any thread.
 */
#ifndef PENSTOCK_CONFIG_KEYS_H
#define PENSTOCK_CONFIG_KEYS_H

#include "config_reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_NOWHERE SIZE_MAX /* offset of what is checked but not stored */

enum key_kind {
	KEY_STRING,   /* char * */
	KEY_BOOLEAN,  /* bool */
	KEY_UNSIGNED, /* unsigned of `size` bytes, times `scale` */
	KEY_SIZE,     /* uint32_t or uint64_t, bytes */
	KEY_NUMBER,   /* double */
	KEY_DURATION, /* int64_t, milliseconds; -1 if absent without a default */
	KEY_CHOICE,   /* integer of `size` bytes */
	KEY_STRINGS,  /* char ** and size_t at `count` */
	KEY_SECTION,  /* keys of `section` in the same object; `offset` may name a member to stand for its
	                 place */
	KEY_LIST,     /* sequence of sections: array and size_t at `count` */
	KEY_MAP,      /* the same as a mapping: the key becomes the section's first member, char *name */
	KEY_CUSTOM,   /* `read` does it */
};

struct key_choice {
	const char *name;
	int value;
	const char *refused; /* why it cannot be chosen, or NULL */
};

struct config_key {
	const char *name;
	const char *help;
	enum key_kind kind;
	bool required;
	const char *preset;      /* the default as YAML text, read like any value; NULL: none */
	const char *preset_help; /* what the documentation says instead of `preset` */
	size_t offset, size;
	size_t has;   /* offset of a bool that says the key was given, or 0 */
	size_t count; /* KEY_STRINGS, KEY_LIST, KEY_MAP: offset of the count */
	uint64_t min, max, scale;
	const char *unit;                 /* of min and max, for messages and documentation */
	const struct key_choice *choices; /* ends with a NULL name */
	const struct config_section *section;
	/* KEY_STRING, KEY_STRINGS and names of KEY_MAP: what is wrong with the text, or NULL. */
	const char *(*refuse)(const char *text);
	/* KEY_CUSTOM: reads the node (NULL: the key is absent) into the object. 0 or a reader_fail(). */
	int (*read)(struct reader *reader, const struct config_key *key, yaml_node_t *node, void *object);
	const char *type_help; /* KEY_CUSTOM and where the kind says too little */
};

struct config_section {
	const char *path; /* as in the documentation: "streams[].timestamp" */
	const char *help;
	const struct config_key *keys; /* ends with a NULL name */
	size_t size;                   /* of one object, for lists and maps */
	size_t line;                   /* offset of its `int line`, or 0 */
};

extern const struct config_section config_root_section;

#endif
