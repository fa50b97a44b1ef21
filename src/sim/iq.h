/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests: <iq type="get|set"> by namespace. */
#ifndef SIM_IQ_H
#define SIM_IQ_H

#include "sim/stanza.h"

void sim_iq(const struct sim_sender *from, struct wa_node *iq);

/* For the handlers: an answer to iq with from, id and type filled in; sim_reply sends it. */
struct wa_node *sim_iq_result(const struct sim_sender *from, const struct wa_node *iq);
void sim_iq_error(const struct sim_sender *from, const struct wa_node *iq, const char *code,
                  const char *text);

/* xmlns="encrypt": count, digest, key, upload, rotate (protocol/03 section 7, 06 section 4). */
void sim_iq_encrypt(const struct sim_sender *from, struct wa_node *iq);
/* xmlns="usync" (protocol/06 section 3). */
void sim_iq_usync(const struct sim_sender *from, struct wa_node *iq);

#endif
