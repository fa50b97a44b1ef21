/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to send.c, send_group.c, send_peer.c and send_token.c. */
#ifndef WA_SEND_INTERNAL_H
#define WA_SEND_INTERNAL_H

#include "wa/session_internal.h"

#define WA_SEND_ACK_TIMEOUT_MS 75000
#define WA_SEND_ID_MAX 64

enum wa_send_state {
    WA_SEND_GROUP, /* groups only: who is in it? */
    WA_SEND_GROUP_ASKED,
    WA_SEND_DEVICES,
    WA_SEND_DEVICES_ASKED,
    WA_SEND_SESSIONS,
    WA_SEND_SESSIONS_ASKED,
    WA_SEND_ACK,
};

struct wa_send {
    struct wa_send *next;
    struct wa_session *session;
    enum wa_send_state state;
    char id[WA_SEND_ID_MAX + 1];
    struct wa_jid to;
    struct buf message; /* serialised Message, unpadded */
    int64_t ack_until;
    struct wa_jid *devices;    /* users: who got a copy, then our own device; owned */
    size_t device_count;       /* without our own */
    bool token_due;            /* users: they have not got ours in this period */
    char phash[WA_PHASH_SIZE]; /* groups */
    bool other_name;           /* it was refused under the first name of the recipient */
    bool resend;               /* for the one device that asked */
    bool peer;                 /* to our own phone, without an event */
    struct wa_jid device;      /* of resend and peer */
    unsigned retry_count;
    struct wa_text text;  /* groups: what the message is made of … */
    struct buf words;     /* … and its bytes */
    struct buf holders;   /* groups: the record to keep once the server has taken the message */
    unsigned group_tries; /* how often the group was asked for */
    unsigned renewals;    /* wa_session.key_renewals when it was encrypted */
    bool refreshed;       /* the server refused our idea of the group once (error 421) */
};

/* ---- send.c ------------------------------------------------------------------------------------
 */
/* Goes on as far as it can; m may be gone afterwards. */
void wa_send_step(struct wa_session *s, struct wa_send *m);
/* Ends a send that cannot be: WA_EVENT_SEND_FAILED. m is gone. why: static text. */
void wa_send_fail(struct wa_session *s, struct wa_send *m, const char *why);
/* The same for an error code of the server's: WA_EVENT_ACKED. */
void wa_send_refuse(struct wa_session *s, struct wa_send *m, unsigned code);
/* A new one at the end of the list; its message is still empty. */
struct wa_send *wa_send_new(struct wa_session *s, const char *id, const struct wa_jid *to);
/* Takes m off the list without an event. */
void wa_send_drop(struct wa_session *s, struct wa_send *m);
/* Whether the device is listed for its user; a primary always is. */
bool wa_send_knows(struct wa_session *s, const struct wa_jid *device);
/* 1 sealed into an <enc> below parent, 0 no session for this device, ERR_STORE. */
int wa_send_seal(struct wa_session *s, struct wa_node *parent, const struct wa_jid *device,
                 struct bytes message, unsigned retry_count, bool *pkmsg);
/* <device-identity>, which each stanza with a pkmsg must carry (protocol/04 section 7). */
void wa_send_add_identity(struct wa_session *s, struct wa_node *message, bool pkmsg);
/* Sends the stanza of m and waits for its ack. */
void wa_send_put(struct wa_session *s, struct wa_send *m, const struct wa_node *node);

/* ---- send_token.c ------------------------------------------------------------------------------
 */
/* The recipient's privacy token, when there is one that is valid. Whether they should get ours. */
bool wa_send_add_token(struct wa_session *s, const struct wa_jid *to, struct wa_node *message);
/* Whom we write to may write to us: gives ours, once in each period. */
void wa_send_issue_token(struct wa_session *s, const struct wa_jid *to);

/* ---- send_peer.c -------------------------------------------------------------------------------
 */
void wa_send_peer_put(struct wa_session *s, struct wa_send *m);

/* ---- send_group.c ------------------------------------------------------------------------------
 */
/* Keeps what the message is made of: the timer of the group, which may not be known yet, goes into
 * it. */
void wa_send_group_keep(struct wa_send *m, const struct wa_text *text);
/* The group of m, or NULL: then it was asked for, or m failed and is gone. */
const struct wa_group *wa_send_group(struct wa_session *s, struct wa_send *m);
/* The devices of those in the list that do not hold our sender key, in the arena; all of them when
 * it must be made anew. Negative: ERR_STORE. */
int wa_send_group_lacking(struct wa_session *s, const struct wa_send *m,
                          const struct wa_jid *devices, size_t count, struct wa_jid **out);
void wa_send_group_put(struct wa_session *s, struct wa_send *m, const struct wa_jid *devices,
                       size_t count);
/* To the device that asked, with the key in the same Message. m is gone. */
void wa_send_group_again(struct wa_session *s, struct wa_send *m);
/* Looks at the ack: true when the message was taken back to be sent again. */
bool wa_send_group_acked(struct wa_session *s, struct wa_send *m, const struct wa_node *ack,
                         uint64_t error);

#endif
