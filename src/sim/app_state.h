/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The app state of an account: one collection, critical_block, with the account's name in it
 * (protocol/07 section 8). Every other one is empty. */
#ifndef SIM_APP_STATE_H
#define SIM_APP_STATE_H

#include "sim/account.h"
#include "sim/stanza.h"

struct sim_app_state {
    uint8_t key_id[6], key[32];
    uint64_t version; /* of critical_block; each name is one */
    struct buf patch; /* the last SyncdPatch */
    struct buf snapshot;
};

/* The account's, made when there is none. */
struct sim_app_state *sim_app_state_of(struct sim_account *a);
void sim_app_state_free(struct sim_app_state *state);
/* Fills the <collection> of an answer: nothing new, the last patch, or a snapshot. */
void sim_app_state_answer(const struct sim_sender *from, const struct wa_node *asked,
                          struct wa_node *answer);
/* The phone's owner takes another name: a patch, and <notification type="server_sync"> to the
 * companions. */
void sim_app_state_rename(struct sim_account *a, const char *name);

#endif
