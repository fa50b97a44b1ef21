/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Curve25519 keys and XEdDSA signatures (protocol/01 section 5.1): agreement by libcrypto
 * (wa/x25519.h), signatures by the Signal library. Keys are 32 raw bytes; the library's leading 05
 * is added and removed here.
 */
#ifndef WA_CURVE_H
#define WA_CURVE_H

#include "wa/host.h"

#define WA_KEY_LEN 32
#define WA_SIGNATURE_LEN 64

struct wa_keypair {
    uint8_t priv[WA_KEY_LEN];
    uint8_t pub[WA_KEY_LEN];
};

/* Draws exactly 32 bytes and clamps them. */
void wa_curve_generate(struct wa_keypair *out, const struct wa_host *host);
/* Public half of a (clamped) private key. */
void wa_curve_public(uint8_t pub[32], const uint8_t priv[32]);
/* X25519; 0, or ERR_AUTH when the result is all zero. */
int wa_curve_agree(uint8_t out[32], const uint8_t priv[32], const uint8_t pub[32]);
/* Draws exactly 64 bytes. */
void wa_curve_sign(uint8_t out[64], const uint8_t priv[32], struct bytes message,
                   const struct wa_host *host);
/* 0, or ERR_AUTH; signature must be 64 bytes and pub 32, anything else is ERR_AUTH too. */
int wa_curve_verify(struct bytes pub, struct bytes message, struct bytes signature);

#endif
