/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reply templates (docs/replies.md): what is answered to which words, in one or more languages.
 * Loaded and checked here, matched by bridge/reply.c.
 *
 * A template is made of layers, each a file that is laid over the one before: the business type
 * (replies.type), then what the tenant's own file (replies.file) says it extends, then that file.
 * A later layer replaces texts, adds intents, variables and languages. Variables and menus are
 * resolved when everything is read, so that a text here holds built-in variables only.
 */
#ifndef CONFIG_REPLIES_H
#define CONFIG_REPLIES_H

#include "base/arena.h"
#include "config/report.h"

#define CONFIG_INTENTS_MAX 200  /* in one file and language */
#define CONFIG_KEYWORDS_MAX 200 /* per intent */
#define CONFIG_WORDS_MAX 500    /* per language and file */
#define CONFIG_MENU_MAX 20      /* choices */
#define CONFIG_LAYERS_MAX 8
#define CONFIG_REPLY_MAX 4096 /* bytes of one reply text, with its variables and menu */
#define CONFIG_INTENT_NAME_MAX 64
#define CONFIG_KEYWORD_MAX 100 /* bytes */
#define CONFIG_LANGUAGE_MAX 35 /* bytes of a language tag */
/* Stand for the answers without an intent where an intent is named; no intent may take them. */
#define CONFIG_FALLBACK "fallback"
#define CONFIG_CLOSED "closed"
/* replies.language: the language of the customer's words. */
#define CONFIG_LANGUAGE_AUTO "auto"

struct config_intent;

struct config_choice {
    const char *name;
    struct config_place at;
    const struct config_intent *intent;
};

struct config_answer {
    const char *text; /* its numbered menu at the end; NULL: there is no such answer */
    struct config_place at;
    struct config_choice *menu; /* the customer may answer 1 … menu_count */
    size_t menu_count;
};

struct config_intent {
    const char *name;
    const char *title; /* in menus; NULL: is in none */
    struct config_place title_at;
    const char **keywords;
    size_t keyword_count;
    struct config_answer reply;
    bool handover; /* flags the chat for a person */
    bool urgent;   /* comes first, in all languages, at any time, in flagged chats too */
    bool always;   /* is answered out of hours as well */
    int layer;     /* that brought it */
    int touched;   /* last layer that had it */
    struct config_intent *next;
};

struct config_language {
    const char *tag;    /* "" when the template does not say */
    const char **words; /* by which the language is known, beside its keywords */
    size_t word_count;
    struct config_intent *intents;         /* in the order in which they are tried */
    struct config_answer fallback, closed; /* no intent matches; out of business hours */
    struct config_language *next;
};

struct config_replies {
    struct arena arena;
    struct config_language *languages; /* never NULL; the first is the default */
};

/* The built-in variables, by the name between the braces. */
enum config_variable {
    CONFIG_VARIABLE_BUSINESS_NAME,
    CONFIG_VARIABLE_CUSTOMER_NAME,
    CONFIG_VARIABLE_MESSAGE,
    CONFIG_VARIABLE_COUNT
};
/* at points at '{': the variable and the length of "{name}", or false when it is none of these. */
bool config_variable_at(const char *at, enum config_variable *out, size_t *length);

/*
 * Reads what replies.type, .file, .language and .directory of c name. 0 and *out
 * (config_replies_deinit), or ERR_CONFIG with positions in report. With neither type nor file there
 * is one polite fallback. A reply loses blanks and newlines at its end.
 */
int config_replies_load(struct config_replies *out, const struct config *c,
                        struct config_report *report);
void config_replies_deinit(struct config_replies *r);

/* By tag, or NULL. */
const struct config_language *config_language_find(const struct config_replies *r, const char *tag);

#endif
