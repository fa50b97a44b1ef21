/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Watches for message keys that were used twice. A message key is named by the two devices, the
 * sender's ratchet key and the counter (protocol/04 section 4); the same name with two ciphertexts
 * means that a sender went back to an old state. The same ciphertext again is only a redelivery.
 */
#ifndef SIM_REUSE_H
#define SIM_REUSE_H

#include "sim/ring.h"
#include "sim/table.h"
#include "wa/jid.h"
#include "wa/signal.h"

#define SIM_REUSE_KEPT 65536 /* message keys that are remembered, a power of two */

struct sim_reuse {
    struct sim_ring order; /* struct seen */
    struct sim_table by_key;
};

void sim_reuse_init(struct sim_reuse *r);
void sim_reuse_deinit(struct sim_reuse *r);
/* Looks at a ciphertext from one device to another: true when its message key was used before for
 * something else. What is no msg or pkmsg, or cannot be parsed, is not looked at. */
bool sim_reuse_look(struct sim_reuse *r, const struct wa_jid *from, const struct wa_jid *to,
                    enum wa_enc_type type, struct bytes sealed);

#endif
