/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private to phone.c, phone_send.c, phone_receive.c and phone_peer.c. */
#ifndef SIM_PHONE_INTERNAL_H
#define SIM_PHONE_INTERNAL_H

#include "sim/phone.h"
#include "sim/ring.h"

struct sim_phone {
    struct sim *sim;
    struct sim_device *device;
    struct sim_store store;
    struct wa_host host;
    struct wa_device creds;
    struct wa_signal *signal;
    struct sim_timer inbox;
    struct sim_ring arrivals; /* struct sim_arrival */
    struct sim_table seen;    /* "<id> <PN user>" of what is in arrivals -> that arrival */
    struct sim_ring receipts; /* struct sim_phone_receipt */
    struct sim_ring sent;     /* struct sim_sent *, owned */
    struct sim_table sent_by_id;
    struct sim_table retries; /* "<id> <device>" -> struct sim_retry, owned */
    struct sim_table tokens;  /* PN users whom it gave a privacy token */
};

/* An own message, for devices that ask again. */
struct sim_sent {
    char id[SIM_ID_MAX + 1];
    struct sim_account *to;  /* NULL for a group */
    struct sim_group *group; /* NULL for an account */
    bool media;              /* the stanza says so */
    bool peer;               /* protocol data for an own companion, never wrapped */
    size_t n;
    uint8_t message[]; /* the protobuf */
};

struct sim_retry {
    unsigned count;
};

/* The address under which the phone keeps a device's session: always its LID. */
struct wa_jid sim_phone_peer(const struct sim_device *d);
/* Sends an own companion a ProtocolMessage of this type with this field, under an id that is made.
 */
void sim_phone_send_protocol(struct sim_phone *p, struct sim_device *d, unsigned type,
                             uint32_t field, struct bytes content, char id[SIM_ID_MAX + 1]);
/* The key that the app state is written under (phone_peer.c). */
void sim_phone_share_key(struct sim_phone *p, struct sim_device *d);
/* An own companion asks for something in the message with this id (phone_peer.c). */
void sim_phone_peer_data(struct sim_phone *p, struct sim_device *d, struct bytes id,
                         const struct wa_content *content);
/* Handles one stanza of the queue. */
void sim_phone_receive(struct sim_phone *p, struct wa_node *node);
/* A device could not read an own message: sends it again when it is still known. */
void sim_phone_resend(struct sim_phone *p, const struct wa_node *receipt);

#endif
