/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A reply template file: intents in priority order and a fallback (docs/replies.md). Loaded and
 * checked here, matched by bridge/reply.c.
 *
 *   language: en                     # tag, informative
 *   intents:
 *     - name: greeting               # [a-z0-9_-]+
 *       keywords: [hello, hi, "good morning"]   # whole words, any case
 *       reply: "Hello {customer_name}, welcome to {business_name}!"
 *   fallback:
 *     reply: "…"
 *
 * Variables: {business_name} {customer_name} {message}. Anything else in braces is an error.
 */
#ifndef CONFIG_REPLIES_H
#define CONFIG_REPLIES_H

#include "base/arena.h"
#include "config/config.h"

#define CONFIG_INTENTS_MAX 200
#define CONFIG_KEYWORDS_MAX 200 /* per intent */
#define CONFIG_REPLY_MAX 4096   /* bytes of one reply text */
#define CONFIG_INTENT_NAME_MAX 64
#define CONFIG_KEYWORD_MAX 100 /* bytes */
/* Stands for the fallback where an intent is named; no intent may take it. */
#define CONFIG_FALLBACK "fallback"

struct config_intent {
    const char *name;
    const char **keywords;
    size_t keyword_count;
    const char *reply;
    struct config_intent *next;
};

struct config_replies {
    struct arena arena;
    const char *language;          /* "" when the file does not say */
    struct config_intent *intents; /* in order */
    const char *fallback;          /* NULL: nothing is answered when no intent matches */
};

/* The variables, by the name between the braces. */
enum config_variable {
    CONFIG_VARIABLE_BUSINESS_NAME,
    CONFIG_VARIABLE_CUSTOMER_NAME,
    CONFIG_VARIABLE_MESSAGE,
    CONFIG_VARIABLE_COUNT
};
/* at points at '{': the variable and the length of "{name}", or false when it is no variable. */
bool config_variable_at(const char *at, enum config_variable *out, size_t *length);

/* 0 and *out (config_replies_deinit), or ERR_CONFIG with positions in report. path "" gives the
 * built-in template: one polite fallback. A reply loses blanks and newlines at its end. */
int config_replies_load(struct config_replies *out, const char *path, struct config_report *report);
void config_replies_deinit(struct config_replies *r);

#endif
