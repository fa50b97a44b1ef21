/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The reply engine, pure: a template, a text and the variables give an intent and the rendered
 * reply. When and whether a reply goes out is decided elsewhere.
 *
 * A keyword matches whole words: both sides are decomposed (NFKD), case-folded and stripped of
 * marks (Unicode, by utf8proc), then split into words (runs of letters and numbers) and single
 * symbols; all else only separates. The words of the keyword must follow one another in the text.
 *
 * The language is that of the configuration, or the one of which the message has most words and
 * keywords; when that says nothing, the one last used in the chat, then the first of the template.
 * In it: a number alone is a choice of the menu last shown; then intents are tried in their order,
 * and the first match wins. What is urgent is looked for in every language before all else.
 */
#ifndef BRIDGE_REPLY_H
#define BRIDGE_REPLY_H

#include "base/buf.h"
#include "config/replies.h"

#define BRIDGE_REPLY_TEXT_MAX 4096 /* bytes of a text that are looked at */
#define BRIDGE_REPLY_NAME_MAX 256  /* bytes of a name that are shown, in whole characters */

struct bridge_reply_values {
    struct bytes business_name, customer_name; /* UTF-8; what is not is taken as empty */
};

/* What is remembered of a chat; "" where nothing is. Names, for the template may change. */
struct bridge_reply_chat {
    char language[CONFIG_LANGUAGE_MAX + 1];
    char menu[CONFIG_INTENT_NAME_MAX + 1]; /* the intent whose menu was shown last, or "fallback" */
};

struct bridge_reply_asked {
    struct bytes text;
    const char *language; /* CONFIG_LANGUAGE_AUTO or a tag */
    bool open;            /* within business hours */
};

/* What is answered; everything is borrowed from the template. */
struct bridge_reply_answer {
    const struct config_language *language;
    const struct config_intent *intent; /* what was asked for; NULL: nothing that is known */
    const char *name;                   /* of the answer: an intent, "fallback", "closed" */
    const char *text;                   /* NULL: nothing is said */
    int choice;                         /* which one of a menu it was; 0: none */
};

/* Finds the answer and notes in chat what it changes: language and menu. */
void bridge_reply_find(const struct config_replies *replies, const struct bridge_reply_asked *asked,
                       struct bridge_reply_chat *chat, struct bridge_reply_answer *out);
/* Appends the reply with its variables filled in; an empty one takes one blank before it along. 0,
 * or ERR_LIMIT when out cannot take all of it (out is then as before). */
int bridge_reply_render(const char *reply, struct bytes text,
                        const struct bridge_reply_values *values, struct buf *out);

#endif
