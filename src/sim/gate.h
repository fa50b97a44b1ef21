/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The passkey gate (protocol/08): after a scan, or a code, the server wants an assertion before the
 * phone goes on. Both the server's part and the phone's are here, in code of their own: they check
 * the assertion, the commitment, the proof, the nonce and what is sealed for the phone.
 */
#ifndef SIM_GATE_H
#define SIM_GATE_H

#include "sim/stanza.h"

struct sim_gate;

/* Pushes the challenge to an unpaired client. secret: its ADV secret, as the phone knows it. */
void sim_gate_open(struct sim_account *a, struct sim_client *c, const uint8_t secret[WA_KEY_LEN]);
void sim_gate_free(struct sim_gate *g);
/* An iq of namespace md; false when it is not for the gate. */
bool sim_gate_iq(const struct sim_sender *from, struct wa_node *iq);
/* The code that the phone shows, "" when there is none; of the open gate of this account. */
const char *sim_gate_code(const struct sim_account *a);

#endif
