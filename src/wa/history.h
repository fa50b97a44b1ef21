/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A history blob of our own phone (protocol/07 section 7): zlib bytes in; what the link needs of it
 * and, where wanted, its messages out. Read field by field and in steps, so that neither memory nor
 * the time of one call grows with it.
 */
#ifndef WA_HISTORY_H
#define WA_HISTORY_H

#include "base/buf.h"

#define WA_HISTORY_FIELD_MAX 4096     /* bytes of a field that is wanted; larger ones are skipped */
#define WA_HISTORY_MESSAGE_MAX 131072 /* bytes of a message, likewise */
#define WA_HISTORY_CHATS_MAX 50000    /* of one blob */
#define WA_HISTORY_ITEMS_MAX 500000   /* calls of events for one blob */

/* What a Conversation says of its chat. JID texts as they stand, empty where they do not. */
struct wa_history_chat {
    struct bytes id, pn, lid;
    struct bytes token;               /* what the contact gave us, */
    uint64_t token_s, token_issued_s; /* when; and when we gave ours; 0 not said */
    uint64_t expiration_s;            /* disappearing timer … */
    uint64_t expiration_set;          /* … and when it was set, in s or in ms; 0 not said */
};

/* Bytes are borrowed for the call and unchecked. A negative result ends the reading with it. NULL:
 * not wanted, and skipped. */
struct wa_history_events {
    void *ctx;
    int (*mapping)(void *ctx, struct bytes jid, struct bytes other_jid); /* PN and LID, or back */
    int (*push_name)(void *ctx, struct bytes jid, struct bytes name);
    int (*migrated)(void *ctx); /* the account's chats are addressed by LID */
    int (*salt)(void *ctx, struct bytes nct_salt);
    int (*chat)(void *ctx, const struct wa_history_chat *chat);
    int (*message)(void *ctx, struct bytes info); /* a serialised WebMessageInfo */
};

struct wa_history;

/* inflated_max: bytes that are read at most. Owned until wa_history_close. */
struct wa_history *wa_history_open(const struct wa_history_events *events, uint64_t inflated_max);
/*
 * Takes from the front of *packed, until it is used up or this call has inflated about `inflated`
 * bytes or made about `items` calls. 1: there is more to be read in *packed; 0: it is used up;
 * ERR_INVALID (neither zlib nor a HistorySync); ERR_LIMIT; or what an event returned.
 */
int wa_history_read(struct wa_history *h, struct bytes *packed, size_t inflated, unsigned items);
/* After the last byte: 0, or ERR_INVALID when the end is missing. */
int wa_history_end(const struct wa_history *h);
void wa_history_close(struct wa_history *h); /* NULL is fine */

#endif
