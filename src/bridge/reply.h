/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The reply engine, pure: a template, a text and the variables give an intent and the rendered
 * reply. When and whether a reply goes out is decided elsewhere.
 *
 * A keyword matches whole words: both sides are decomposed (NFKD), case-folded and stripped of
 * marks (Unicode, by utf8proc), then split into words (runs of letters and numbers) and single
 * symbols; all else only separates. The words of the keyword must follow one another in the text.
 * Intents are tried in the order of the file; the first match wins.
 */
#ifndef BRIDGE_REPLY_H
#define BRIDGE_REPLY_H

#include "base/buf.h"
#include "config/replies.h"

#define BRIDGE_REPLY_TEXT_MAX 4096  /* bytes of a text that are looked at */
#define BRIDGE_REPLY_NAME_MAX 256   /* bytes of a name that are shown, in whole characters */

struct bridge_reply_values {
    struct bytes business_name, customer_name; /* UTF-8; what is not is taken as empty */
};

/* The reply text for a text, borrowed from the template, and in *intent its name (CONFIG_FALLBACK
 * for the fallback); NULL when there is none. */
const char *bridge_reply_match(const struct config_replies *replies, struct bytes text,
                               const char **intent);
/* Appends the reply with its variables filled in; an empty one takes one blank before it along. 0,
 * or ERR_LIMIT when out cannot take all of it (out is then as before). */
int bridge_reply_render(const char *reply, struct bytes text,
                        const struct bridge_reply_values *values, struct buf *out);
/* Both: 0 and *intent, 1 when there is nothing to say, or ERR_LIMIT. */
int bridge_reply(const struct config_replies *replies, struct bytes text,
                 const struct bridge_reply_values *values, const char **intent, struct buf *out);

#endif
