/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What follows the handshake: pairing refs for a new device, login for a known one (protocol/03).
 */
#ifndef SIM_LOGIN_H
#define SIM_LOGIN_H

#include "sim/client.h"

/* Acts on a serialised ClientPayload: offers refs, logs in, or refuses. */
void sim_login(struct sim_client *c, struct bytes payload);
/* The client whose ref is on show; NULL when it is none of ours or its time is over. */
struct sim_client *sim_login_find_ref(struct sim *s, struct bytes ref);
/* Forgets what an unpaired client introduced itself with. */
void sim_registration_free(struct sim_client *c);
/* <success> and the backlog; c->device is set. */
void sim_login_success(struct sim_client *c);
/* <failure reason>, then the end. */
void sim_login_failure(struct sim_client *c, const char *reason);
/* Unlinks a companion: tells it when it is connected, tells others, forgets it. */
void sim_unlink(struct sim_device *d);

#endif
