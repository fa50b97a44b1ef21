/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Groups: who is in them, what is told about changes, and messages to them (protocol/06 14). */
#ifndef SIM_GROUP_H
#define SIM_GROUP_H

#include "sim/stanza.h"

#define SIM_GROUP_MEMBERS_MAX 1024

struct sim_group {
    struct sim_group *next;
    struct sim *sim;
    struct wa_jid jid;
    char subject[SIM_NAME_MAX + 1];
    bool pn_addressed;     /* members are named by phone number instead of LID */
    uint32_t expiration_s; /* messages disappear after so long, 0: never */
    int64_t created_s;
    struct sim_account *creator;
    struct sim_account *members[SIM_GROUP_MEMBERS_MAX]; /* the creator first, while it is in it */
    size_t count;
};

/* Makes a group with its creator in it. Lives as long as the sim. */
struct sim_group *sim_group_create(struct sim_account *creator, const char *subject,
                                   bool pn_addressed);
void sim_groups_free(struct sim *s);
struct sim_group *sim_group_by_jid(struct sim *s, const struct wa_jid *jid);
bool sim_group_has(const struct sim_group *g, const struct sim_account *a);
/* The members' companions are told ("add", "remove"), the one who leaves too. 0; ERR_EXISTS when
 * there is nothing to change; ERR_LIMIT. */
int sim_group_add(struct sim_group *g, struct sim_account *a);
int sim_group_remove(struct sim_group *g, struct sim_account *a);
/* The members' companions are told; 0 switches it off. */
void sim_group_set_timer(struct sim_group *g, uint32_t expiration_s);
/* The JID in whose namespace the group names people. */
const struct wa_jid *sim_group_like(const struct sim_group *g, const struct sim_account *a);

/* xmlns="w:g2": query, create, add, remove, leave, ephemeral, not_ephemeral. */
void sim_iq_group(const struct sim_sender *from, struct wa_node *iq);
/* A <message> to a group: NULL or the error of its ack, to which it adds what the server knows
 * better. */
const char *sim_group_route(const struct sim_sender *from, const struct wa_node *message,
                            struct wa_node *ack);
/* A receipt for the author of a message in a group. */
void sim_group_receipt(const struct sim_sender *from, const struct wa_node *receipt);

#endif
