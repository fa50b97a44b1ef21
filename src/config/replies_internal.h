/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The making of a template, shared by its parts:
 *
 *   replies.c          which files, in which order
 *   replies_layer.c    one file, laid over what was read before
 *   replies_resolve.c  variables and menus, when all is read
 */
#ifndef CONFIG_REPLIES_INTERNAL_H
#define CONFIG_REPLIES_INTERNAL_H

#include "config/replies.h"
#include "config/yaml.h"

/* A variable of a template, as it was written. */
struct replies_variable {
    const char *name, *text;
    const char *tag; /* of its language; NULL: of all */
    struct config_place at;
    int layer;
    bool used;
    struct replies_variable *next;
};

struct replies_load {
    struct config_replies *out;
    struct config_report *report;
    struct replies_variable *variables; /* the newest first */
    const char *language;               /* the default, as the last file that names one says */
    int layer;                          /* from 1: the file that is being read */
};

/* ---- replies_layer.c ------------------------------------------------------------------------ */
/* Lays a file over what is there; problems go to the report. */
void replies_take_layer(struct replies_load *l, const struct config_node *root);
/* The member of a map, or NULL. */
const struct config_node *replies_member(const struct config_node *map, const char *key);
/* Whether the node is a printable text of 1 to max bytes; else reports why not, calling it what. */
bool replies_text_is_good(struct replies_load *l, const struct config_node *node, const char *what,
                          size_t max);

/* ---- replies_resolve.c ---------------------------------------------------------------------- */
/* Fills variables and menus into the texts and puts intents and languages into their order. */
void replies_resolve(struct replies_load *l);
/* Whether a variable of a template may have this name. */
bool replies_is_built_in(const char *name);

#endif
