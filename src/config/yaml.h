/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The YAML door: one small text becomes a tree whose nodes know their line and column. Only what a
 * configuration needs: maps with text keys, lists, scalars. Anchors, aliases, merge keys, tags,
 * repeated keys and a second document are refused. libyaml's types stay here.
 */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include "base/arena.h"
#include "config/report.h"

#define CONFIG_YAML_BYTES_MAX (1024u * 1024)
#define CONFIG_YAML_DEPTH_MAX 16 /* maps and lists inside one another */
#define CONFIG_YAML_NODES_MAX 50000
#define CONFIG_YAML_KEYS_MAX 100 /* in one map */

enum config_node_type {
    CONFIG_NODE_TEXT,
    CONFIG_NODE_LIST,
    CONFIG_NODE_MAP,
    CONFIG_NODE_REFUSED, /* was reported already: pass over it */
};

struct config_node {
    enum config_node_type type;
    struct config_place at; /* of the value */
    struct bytes text;      /* TEXT: valid UTF-8 without NUL, one NUL behind it */
    bool plain;             /* TEXT: written without quotes and not as a block */
    size_t count;           /* children of a LIST or MAP */
    struct config_node *first, *next;
    struct bytes key; /* child of a MAP: its key, as text */
    struct config_place key_at;
};

/*
 * The root, always a MAP (an empty text is an empty map); NULL when the file could not be read or
 * is not YAML. Problems are in report; with a tree that was still built there may be some too. The
 * tree lives in the arena and borrows path.
 */
struct config_node *config_yaml_load(struct arena *a, const char *path,
                                     struct config_report *report);
struct config_node *config_yaml_parse(struct arena *a, const char *path, struct bytes text,
                                      struct config_report *report);
/* A value left out ("key:" and nothing behind it). */
bool config_node_is_empty(const struct config_node *node);
/* "text", "a list", "a map": for messages. */
const char *config_node_kind(const struct config_node *node);

#endif
