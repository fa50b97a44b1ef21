/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/fault.h"

#include <string.h>

#define CORRUPT_FROM_END 8 /* of pkmsg and msg alike this byte belongs to the MAC */

static const char *const names[SIM_FAULT_COUNT] = {
#define X(symbol, name) name,
    SIM_FAULTS(X)
#undef X
};

const char *sim_fault_text(enum sim_fault f)
{
    return names[f];
}

int sim_fault_parse(const char *text, enum sim_fault *out)
{
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = (enum sim_fault)i;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

bool sim_fault_take(struct sim_faults *set, enum sim_fault f)
{
    if (set->left[f] == 0)
        return false;
    if (set->left[f] != UINT32_MAX)
        set->left[f]--;
    return true;
}

void sim_faults_merge(struct sim_faults *set, const struct sim_faults *more)
{
    for (int i = 0; i < SIM_FAULT_COUNT; i++)
        if (more->left[i])
            set->left[i] = more->left[i];
    if (more->left[SIM_FAULT_DELAY])
        set->delay_ms = more->delay_ms;
    if (more->left[SIM_FAULT_STREAM_ERROR] || more->left[SIM_FAULT_LINK_CODE])
        memcpy(set->code, more->code, sizeof set->code);
    if (more->left[SIM_FAULT_ACK_ERROR])
        memcpy(set->ack_code, more->ack_code, sizeof set->ack_code);
    if (more->left[SIM_FAULT_REFUSE_KEYS])
        memcpy(set->keys_code, more->keys_code, sizeof set->keys_code);
    if (more->left[SIM_FAULT_FAILURE])
        memcpy(set->reason, more->reason, sizeof set->reason);
    if (more->left[SIM_FAULT_STREAM_ERROR] || more->left[SIM_FAULT_FAILURE])
        memcpy(set->stanza, more->stanza, sizeof set->stanza);
}

void sim_faults_take_over(struct sim_faults *connection, struct sim_faults *device)
{
    uint32_t no_prekeys = device->left[SIM_FAULT_NO_PREKEYS];

    sim_faults_merge(connection, device);
    *device = (struct sim_faults){.left = {[SIM_FAULT_NO_PREKEYS] = no_prekeys}};
}

void sim_fault_corrupt(struct wa_node *message)
{
    struct wa_node *enc = wa_node_find(message, "enc");
    uint8_t *copy;

    if (!enc || enc->data.n < CORRUPT_FROM_END)
        return;
    copy = arena_alloc(message->arena, enc->data.n);
    memcpy(copy, enc->data.p, enc->data.n);
    copy[enc->data.n - CORRUPT_FROM_END] ^= 1;
    enc->data = BYTES(copy, enc->data.n);
}

void sim_fault_unavailable(struct wa_node *message)
{
    message->first = NULL;
    wa_node_child(message, "unavailable");
}

void sim_fault_withhold_lid(struct wa_node *message)
{
    for (struct wa_attr **at = &message->attrs; *at; at = &(*at)->next)
        if (bytes_is((*at)->key, "sender_lid")) {
            *at = (*at)->next;
            return;
        }
}
