/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which texts are good names, topics, paths and addresses: each function returns what is wrong, or NULL. Also
 * the keys whose value takes code of its own to read. Used by the table in config_keys.c. Any thread.
 */
#ifndef PENSTOCK_CONFIG_TEXT_H
#define PENSTOCK_CONFIG_TEXT_H

#include "config_keys.h"

const char *text_refuse_name(
    const char *text); /* streams, sources, dimensions: they become paths and labels */
const char *text_refuse_node(const char *text);
const char *text_refuse_field(const char *text);  /* declared fields: a JSON member name */
const char *text_refuse_member(const char *text); /* `as`: a JSON member name that needs no escape */
const char *text_refuse_topic(const char *text);
const char *text_refuse_interface(const char *text); /* a kernel interface */
const char *text_refuse_bootstrap(const char *text); /* "embedded" or host:port,... */
const char *text_refuse_socket(const char *text);
const char *text_refuse_path(const char *text);

/* KEY_CUSTOM readers. */
int text_read_lcores(struct reader *reader, const struct config_key *key, yaml_node_t *node, void *object);
int text_read_properties(
    struct reader *reader, const struct config_key *key, yaml_node_t *node, void *object);
int text_read_http(struct reader *reader, const struct config_key *key, yaml_node_t *node, void *object);

#endif
