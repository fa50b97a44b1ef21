/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A passkey of a simulated owner, and the browser that uses it (WebAuthn, ES256); also the server's
 * judgement of what comes back. The door to libcrypto's signatures. */
#ifndef SIM_AUTHENTICATOR_H
#define SIM_AUTHENTICATOR_H

#include "base/err.h"
#include "base/json.h"
#include "sim/event.h"

struct sim_authenticator;

struct sim_random;
struct sim_authenticator *sim_authenticator_new(struct sim_random *random);
void sim_authenticator_free(struct sim_authenticator *a);

/* Writes what PublicKeyCredential.toJSON() would give for these options, as made on a page of this
 * origin: 0, or ERR_INVALID when the options have no challenge. */
int sim_authenticator_use(const struct sim_authenticator *a, const struct json_value *options,
                          const char *origin, struct json_writer *w, const char *key);
/* Whether the assertion (JSON as it goes to the server) is one of this passkey for this challenge
 * and rpId: NULL, or what is wrong with it. */
const char *sim_authenticator_judge(const struct sim_authenticator *a, struct bytes assertion,
                                    struct bytes credential_id, struct bytes challenge,
                                    const char *rp_id);

#endif
