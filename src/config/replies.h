/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A reply template file: intents in priority order and a fallback (docs/replies.md). Loaded and checked here,
 * matched by bridge/reply.c.
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

struct config_intent {
    const char *name;
    const char **keywords;
    size_t keyword_count;
    const char *reply;
    struct config_intent *next;
};

struct config_replies {
    struct arena arena;
    const char *language;
    struct config_intent *intents; /* in order */
    const char *fallback;          /* NULL: nothing is answered when no intent matches */
};

/* 0 and *out (config_replies_deinit), or ERR_CONFIG with positions in report. path "" gives the built-in
 * template: one polite fallback. */
int config_replies_load(struct config_replies *out, const char *path, struct config_report *report);
void config_replies_deinit(struct config_replies *r);

#endif
