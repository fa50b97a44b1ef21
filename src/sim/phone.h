/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A simulated phone: the primary device of an account, with a Signal identity of its own. To the
 * server it is a device like any other, only that its stanzas do not go through a socket.
 */
#ifndef SIM_PHONE_H
#define SIM_PHONE_H

#include "sim/account.h"
#include "sim/media.h"
#include "wa/message.h"
#include "wa/signal.h"

#define SIM_PHONE_KEPT 8192 /* messages, and receipts, that each phone remembers */
#define SIM_PHONE_SENT 1024 /* own messages that it can send again */
#define SIM_RETRIES_MAX 5

/* A message that arrived. */
struct sim_arrival {
    int64_t seq, at_ms;
    char id[SIM_ID_MAX + 1];
    struct wa_jid from;        /* sending device, PN */
    char to[WA_JID_TEXT_SIZE]; /* own copies: whom it was sent to; the group; else this phone */
    char *text, *quoted;       /* owned; quoted may be NULL */
    const char *kind;          /* static, as wa_kind_text */
    const char *enc;           /* "pkmsg", "msg" or "skmsg" */
    uint32_t expiration_s;     /* the disappearing timer that it names, 0 none */
    bool own, duplicate;
};

struct sim_phone_receipt {
    int64_t seq, at_ms;
    char id[SIM_ID_MAX + 1];
    struct wa_jid from; /* device, PN */
    char type[24];      /* "delivery" when the stanza has none */
};

struct sim_phone;

struct sim_phone *sim_phone_new(struct sim_device *device);
void sim_phone_free(struct sim_phone *p);
/* The phone's identity key, which signs its companions. */
const struct wa_keypair *sim_phone_identity(const struct sim_phone *p);
/* Lets the phone make a one-time prekey when the server has none left of it. */
void sim_phone_offer_prekey(struct sim_phone *p);
/* Something was queued for the phone's device: it looks at it when the loop comes round. */
void sim_phone_wake(struct sim_phone *p);
/* A stanza that is not queued (ack). */
void sim_phone_direct(struct sim_phone *p, const struct wa_node *node);

/* Sends text to an account: to all its devices, and copies to the companions of the own account. id
 * NULL: one is made and written to out. 0, ERR_INVALID, ERR_EXISTS (id was used), ERR_INTERNAL. */
struct sim_group;

struct sim_outgoing {
    struct sim_account *to;
    struct sim_group *group; /* instead of to */
    struct bytes text;
    const char *id, *quote;                /* may be NULL */
    uint32_t expiration_s;                 /* of a text: disappearing timer, 0 none */
    const struct sim_media_request *media; /* instead of text; NULL none */
};
int sim_phone_send(struct sim_phone *p, const struct sim_outgoing *m, char out[SIM_ID_MAX + 1],
                   struct err *err);
/* The first history and the app state key, as peer messages to a companion that has just been
 * linked. */
void sim_phone_greet(struct sim_phone *p, struct sim_device *companion);

/* A HistorySyncNotification, as a peer message; its id is written to id. */
void sim_phone_tell_history(struct sim_phone *p, struct sim_device *companion,
                            struct bytes notification, char id[SIM_ID_MAX + 1]);

/* What arrived after a sequence number, oldest first: NULL when nothing (more). Borrowed until the
 * next stanza. */
const struct sim_arrival *sim_phone_arrival(const struct sim_phone *p, int64_t after);
const struct sim_phone_receipt *sim_phone_receipt(const struct sim_phone *p, int64_t after);

#endif
