/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads a YAML mapping into an object by a table of keys (config_keys.h), and frees such an object. Control
 * thread.
 */
#ifndef PENSTOCK_CONFIG_SECTION_H
#define PENSTOCK_CONFIG_SECTION_H

#include "config_keys.h"
#include "config_reader.h"

/* Fills the zeroed `object`; defaults where keys are absent. On failure the object is half filled and must be
 * freed with section_free(). */
int section_read(
    struct reader *reader, const struct config_section *section, const yaml_node_t *node, void *object);

/* Frees what section_read() allocated inside the object, not the object. */
void section_free(const struct config_section *section, void *object);

/* The text of a mapping's key, checked: a plain string without NUL, and not seen earlier in this mapping. */
int section_key(
    struct reader *reader, const yaml_node_t *mapping, const yaml_node_pair_t *pair, const char **out);

#endif
