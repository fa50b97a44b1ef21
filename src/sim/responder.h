/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The server's side of the Noise handshake and its certificate chain (protocol/01 sections 4, 5,
 * 15): XX, IK resume, and XXfallback when a resume names a key that is not ours.
 */
#ifndef SIM_RESPONDER_H
#define SIM_RESPONDER_H

#include "wa/handshake.h"

struct sim_server_keys {
    struct wa_keypair root, intermediate, fixed;
};

/* What to get wrong in the chain. */
enum sim_chain_flaw { SIM_CHAIN_GOOD, SIM_CHAIN_WRONG_KEY, SIM_CHAIN_WRONG_SIGNATURE };

/* What a resume meets: a server that knows it; that has another key (XXfallback); that knows XX
 * only and does not look at the rest of the hello; whose answer nobody can open. */
enum sim_resume { SIM_RESUME_SERVED, SIM_RESUME_REFUSED, SIM_RESUME_IGNORED, SIM_RESUME_SPOILED };

struct sim_responder {
    enum sim_resume resume;    /* set before the hello */
    enum wa_handshake_way way; /* after it */
    struct wa_noise noise;
    struct wa_keypair ephemeral;
    uint8_t client_key[WA_KEY_LEN]; /* static key of the client, once known */
};

void sim_server_keys_init(struct sim_server_keys *keys, const struct wa_host *host);
/* Appends a serialised CertChain under keys->root. */
void sim_chain_build(const struct sim_server_keys *keys, enum sim_chain_flaw flaw, int64_t now_s,
                     const struct wa_host *host, struct buf *out);
/*
 * Takes the ClientHello (frame payload) and appends the ServerHello (unframed) to reply. 0 when a
 * ClientFinish is to come; 1 when the hello was a resume that succeeded: the ClientPayload is in
 * payload and the handshake is done. ERR_INVALID, ERR_AUTH.
 */
int sim_responder_hello(struct sim_responder *r, const struct sim_server_keys *keys,
                        enum sim_chain_flaw flaw, int64_t now_s, const struct wa_host *host,
                        struct bytes hello, struct buf *reply, struct buf *payload);
/* Whether this ClientHello is a resume. */
bool sim_responder_is_resume(struct bytes hello);
/* Takes the ClientFinish and appends the ClientPayload. 0, ERR_INVALID, ERR_AUTH. */
int sim_responder_finish(struct sim_responder *r, struct bytes finish, struct buf *payload);
/* The transport ciphers, after hello gave 1 or finish gave 0; wipes the state. */
void sim_responder_split(struct sim_responder *r, struct wa_cipher *recv, struct wa_cipher *send);

#endif
