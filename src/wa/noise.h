/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Noise symmetric state and the transport ciphers (protocol/01 sections 4 and 6). Both roles of a
 * handshake are made of these: the client's in wa/handshake.h, the simulator's server in src/sim.
 */
#ifndef WA_NOISE_H
#define WA_NOISE_H

#include "base/buf.h"

#define WA_NOISE_PROLOGUE "\x57\x41\x06\x03" /* "WA", 6, dictionary version 3; also sent once */
#define WA_NOISE_PROLOGUE_LEN 4
#define WA_NOISE_XX "Noise_XX_25519_AESGCM_SHA256"
#define WA_NOISE_IK "Noise_IK_25519_AESGCM_SHA256"
#define WA_NOISE_XXFALLBACK "Noise_XXfallback_25519_AESGCM_SHA256"

struct wa_noise {
    uint8_t h[32], ck[32], k[32];
    uint32_t n;
};

/* One direction of transport: key and implicit counter. */
struct wa_gcm;
struct wa_cipher {
    uint8_t key[32];
    uint32_t counter;
    struct wa_gcm *prepared; /* key as of wa_cipher_prepare, or NULL: then anew for each frame */
};

void wa_noise_init(struct wa_noise *s,
                   const char *protocol_name); /* <= 32 bytes padded, else hashed */
void wa_noise_mix_hash(struct wa_noise *s, struct bytes data);
void wa_noise_mix_key(struct wa_noise *s, struct bytes ikm);
/* mixKey(DH(priv, pub)); 0 or ERR_AUTH for an all-zero result. */
int wa_noise_mix_dh(struct wa_noise *s, const uint8_t priv[32], const uint8_t pub[32]);
int wa_noise_encrypt(struct wa_noise *s, struct bytes plain, struct buf *out); /* 0, ERR_LIMIT */
int wa_noise_decrypt(struct wa_noise *s, struct bytes sealed, struct buf *out); /* 0, ERR_AUTH, … */
/* Transport keys; wipes the state. */
void wa_noise_split(struct wa_noise *s, struct wa_cipher *client_to_server,
                    struct wa_cipher *server_to_client);

/* For a direction of many frames; owned by c until _deinit. Copies of c made before share nothing,
 * those made after must not outlive it. */
void wa_cipher_prepare(struct wa_cipher *c);
/* Wipes; takes a zeroed one too. */
void wa_cipher_deinit(struct wa_cipher *c);
/* Appends sealed plain and steps the counter: 0, ERR_LIMIT, or ERR_STATE when the counter is used
 * up. */
int wa_cipher_seal(struct wa_cipher *c, struct bytes plain, struct buf *out);
/* Appends the plaintext: 0, ERR_AUTH, ERR_INVALID, ERR_LIMIT, ERR_STATE. */
int wa_cipher_open(struct wa_cipher *c, struct bytes sealed, struct buf *out);

#endif
