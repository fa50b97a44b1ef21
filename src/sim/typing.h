/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pairing by a code that the owner types on the phone (protocol/03 section 4): the server's part
 * and the phone's. */
#ifndef SIM_TYPING_H
#define SIM_TYPING_H

#include "sim/stanza.h"

struct sim_typing;

void sim_typing_free(struct sim_typing *t);
/* <link_code_companion_reg> of an unpaired client; false when the iq has none. */
bool sim_typing_iq(const struct sim_sender *from, struct wa_node *iq);
/* The owner types this code, dash or not: the phone says hello to the companion that shows one for
 * its number. 0; ERR_NOT_FOUND with err when there is none, ERR_INVALID for what is no code. A
 * wrong code is found out only when the companion finishes; then the event link_code_wrong is
 * noted. */
int sim_typing_type(struct sim_account *a, const char *code, struct err *err);
/* The server asks the companion to show another code; by_hand: only when its owner wants one. */
int sim_typing_refresh(struct sim_account *a, bool by_hand, struct err *err);

#endif
