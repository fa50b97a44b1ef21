/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What our phone has told us of its history and is still to be read, in WA_TABLE_HISTORY: "index"
 * says which slots are taken, "<slot>" is one notification, "<slot>/<n>" are pieces of a payload
 * that came within it. Durable with the receipts that tell the phone so (D1).
 */
#ifndef WA_HISTORY_SLOTS_H
#define WA_HISTORY_SLOTS_H

#include "wa/host.h"
#include "wa/media.h"

#define WA_HISTORY_SLOTS 32
#define WA_HISTORY_ID_MAX 128 /* bytes of a message id */
#define WA_HISTORY_PIECES_MAX 8
#define WA_HISTORY_WAIT_MAX_S 21600 /* what is put off for longer is due: a clock was wrong */

/* Types of protocol/07 section 7.1. */
enum wa_history_type {
    WA_HISTORY_INITIAL_BOOTSTRAP = 0,
    WA_HISTORY_FULL = 2,
    WA_HISTORY_RECENT = 3,
    WA_HISTORY_PUSH_NAME = 4,
    WA_HISTORY_NON_BLOCKING_DATA = 5,
    WA_HISTORY_ON_DEMAND = 6,
};

struct wa_history_note {
    unsigned slot;         /* given by wa_history_slots_add */
    uint32_t order;        /* likewise: older ones are lower */
    uint32_t type;         /* enum wa_history_type, or one that is not known */
    uint32_t tries, begun; /* to fetch it, to read it */
    int64_t due_s;         /* Unix time; not before */
    uint32_t pieces;       /* of a payload within it; 0: there is a file, or nothing */
    uint64_t length;       /* of the file, 0 not said */
    bool file;             /* what follows is set */
    uint8_t key[WA_MEDIA_KEY_LEN], sha256[WA_SHA256_LEN], sealed_sha256[WA_SHA256_LEN];
    char path[WA_MEDIA_PATH_MAX + 1];
    char id[WA_HISTORY_ID_MAX + 1]; /* of the message that told of it */
};

/* Keeps n and, unless it is empty, the payload. 0; ERR_LIMIT: all slots are taken, or the payload
 * is longer than the pieces; ERR_STORE. */
int wa_history_slots_add(const struct wa_host *host, struct wa_history_note *n,
                         struct bytes payload);
/* The oldest that is due: 1; else 0, and *due_s says when the first one will be, 0: there is none.
 * ERR_STORE. */
int wa_history_slots_next(const struct wa_host *host, int64_t now_s, struct wa_history_note *out,
                          int64_t *due_s);
/* Whether one with this message id waits: 1, 0, ERR_STORE. */
int wa_history_slots_know(const struct wa_host *host, struct bytes id);
/* Appends the payload: 0, ERR_STORE, ERR_LIMIT. */
int wa_history_slots_payload(const struct wa_host *host, const struct wa_history_note *n,
                             struct buf *out);
int wa_history_slots_save(const struct wa_host *host, const struct wa_history_note *n);
int wa_history_slots_drop(const struct wa_host *host, const struct wa_history_note *n);
/* The phone is about to be asked for a file again; 1: it may, 0: it was often enough; ERR_STORE. */
int wa_history_slots_may_ask(const struct wa_host *host);

#endif
