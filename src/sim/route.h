/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages and receipts on their way from one device to others (protocol/05, 06). */
#ifndef SIM_ROUTE_H
#define SIM_ROUTE_H

#include "sim/stanza.h"

void sim_route_message(const struct sim_sender *from, struct wa_node *message);
void sim_route_receipt(const struct sim_sender *from, struct wa_node *receipt);

#endif
