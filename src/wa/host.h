/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the protocol is given by whoever runs it: randomness, time, and durable records. wa itself
 * opens no file and no socket.
 *
 * Records are blobs under (table, key). The host may keep writes in an open transaction; the one
 * rule (D1, D2, D4, D5) is that nothing taken from wa_session_output may reach the wire before all
 * put and del calls made until then are durable. If they cannot be made durable, the session must
 * be closed and its output thrown away; the next session starts from what is durable.
 */
#ifndef WA_HOST_H
#define WA_HOST_H

#include "base/buf.h"

/* X(symbol, name): one table of keys.db each; `key` is what the comment says. */
#define WA_TABLES(X)                                                                               \
    X(WA_TABLE_DEVICE, "device")               /* field of wa/device.h: "identity_private", … */ \
    X(WA_TABLE_PREKEY, "prekey")               /* decimal id */                                    \
    X(WA_TABLE_SIGNED_PREKEY, "signed_prekey") /* decimal id */                                    \
    X(WA_TABLE_IDENTITY, "identity")           /* "<signal name>:<device>" -> 33 bytes */          \
    X(WA_TABLE_SESSION, "session")             /* "<signal name>:<device>": session_record.h */    \
    X(WA_TABLE_SENDER_KEY, "sender_key")       /* "<group jid>/<signal name>:<device>" */          \
    X(WA_TABLE_SENDER_KEY_HOLDER, "sender_key_holder") /* "<group jid>": wa/groups.h */            \
    X(WA_TABLE_LID_OF_PN, "lid_of_pn")                 /* PN user part -> LID user part */         \
    X(WA_TABLE_PN_OF_LID, "pn_of_lid")                 /* LID user part -> PN user part */         \
    X(WA_TABLE_RETRY, "retry")                         /* decimal slot: wa/receive.c */            \
    X(WA_TABLE_PRIVACY_TOKEN, "privacy_token")         /* bare JID: wa/privacy.h */                \
    X(WA_TABLE_APP_STATE_KEY, "app_state_key")         /* hex key id -> AppStateSyncKeyData */     \
    X(WA_TABLE_APP_STATE, "app_state")                 /* wa/app_state_collection.h */             \
    X(WA_TABLE_MESSAGE_SECRET, "message_secret")       /* decimal block: wa/secrets.c */           \
    X(WA_TABLE_HISTORY, "history")                     /* wa/history_slots.h */                    \
    X(WA_TABLE_MEDIA, "media")         /* decimal row of messages.db: bridge/media.c */            \
    X(WA_TABLE_SET_ASIDE, "set_aside") /* "<table>/<key>" -> a record that was given up */

enum wa_table {
#define X(symbol, name) symbol,
    WA_TABLES(X)
#undef X
        WA_TABLE_COUNT
};

#define WA_RETRY_RECORDS 4096 /* of WA_TABLE_RETRY, at most */
#define WA_KEY_MAX 256        /* bytes of a record key, without NUL */
#define WA_RECORD_MAX 262144  /* bytes of a record value */

struct wa_host {
    void *ctx;
    void (*random)(void *ctx, uint8_t *out, size_t n); /* cannot fail */
    int64_t (*wall_ms)(void *ctx);                     /* Unix epoch */
    int64_t (*mono_ms)(void *ctx);                     /* never goes back */
    /* Appends the value to out: 1 found, 0 absent, negative ERR_… when the store failed. */
    int (*get)(void *ctx, enum wa_table table, const char *key, struct buf *out);
    /* The first key after `after` (byte order; "" is before all) into key, which is cleared and may
     * hold after: as get. */
    int (*next)(void *ctx, enum wa_table table, const char *after, struct buf *key);
    /* Insert or replace: 0 or negative. value is borrowed. */
    int (*put)(void *ctx, enum wa_table table, const char *key, struct bytes value);
    /* 0 also when there was no such record; or negative. */
    int (*del)(void *ctx, enum wa_table table, const char *key);
    /* Deletes all records whose key begins with prefix ("" = the whole table): 0 or negative. */
    int (*del_prefix)(void *ctx, enum wa_table table, const char *prefix);
};

#endif
