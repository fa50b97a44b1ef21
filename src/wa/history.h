/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A history blob of our own phone (protocol/07 section 7): zlib bytes in, in any cut; what the link
 * needs of it out. Read field by field, so that memory does not grow with it; messages are skipped.
 */
#ifndef WA_HISTORY_H
#define WA_HISTORY_H

#include "base/buf.h"

#define WA_HISTORY_FIELD_MAX 4096 /* bytes of a field that is wanted; larger ones are skipped */

/* Bytes are borrowed for the call and unchecked. A negative result ends the reading with it. */
struct wa_history_events {
    void *ctx;
    int (*mapping)(void *ctx, struct bytes jid, struct bytes other_jid); /* PN and LID, or back */
    int (*token)(void *ctx, struct bytes chat_jid, struct bytes token, uint64_t token_s);
    int (*push_name)(void *ctx, struct bytes jid, struct bytes name);
    int (*migrated)(void *ctx); /* the account's chats are addressed by LID */
};

struct wa_history;

/* inflated_max: bytes that are read at most. Owned until wa_history_close. */
struct wa_history *wa_history_open(const struct wa_history_events *events, uint64_t inflated_max);
/* 0; ERR_INVALID (neither zlib nor a HistorySync); ERR_LIMIT; or what an event returned. */
int wa_history_feed(struct wa_history *h, struct bytes packed);
/* After the last byte: 0, or ERR_INVALID when the end is missing. */
int wa_history_end(const struct wa_history *h);
void wa_history_close(struct wa_history *h);

#endif
