/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the server does with a stanza: one table by tag, one by the namespace of an iq (sim/iq.h).
 */
#ifndef SIM_STANZA_H
#define SIM_STANZA_H

#include "sim/client.h"

/* Whoever sent the stanza: a linked device (client NULL: the account's phone) or an unpaired client
 * (device NULL). */
struct sim_sender {
    struct sim *sim;
    struct sim_device *device;
    struct sim_client *client;
    struct arena *arena; /* of the stanza and its answers */
};

void sim_stanza_from_client(struct sim_client *c, struct wa_node *node);
void sim_stanza_from_phone(struct sim_device *primary, struct wa_node *node);
/* Answers that are not queued: ack, iq. */
void sim_reply(const struct sim_sender *from, const struct wa_node *node);
/* Sets key to the JID that from has under from_key, when there is one. */
void sim_copy_jid(struct wa_node *node, const char *key, const struct wa_node *from,
                  const char *from_key);
/* A copy without siblings, to be put into another stanza. */
struct wa_node *sim_shallow(const struct wa_node *node);
/* Notes that a client broke a rule of the protocol; it is served as well as can be. */
void sim_violation(const struct sim_sender *from, struct bytes id, const char *what);

#endif
