/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Client side of Noise XX (protocol/01 section 4.2). One object per connection. */
#ifndef WA_HANDSHAKE_H
#define WA_HANDSHAKE_H

#include "base/err.h"
#include "wa/curve.h"
#include "wa/noise.h"

struct wa_handshake {
    struct wa_noise noise;
    struct wa_keypair ephemeral;
    struct wa_keypair fixed; /* the device's noise key */
    uint8_t root[WA_KEY_LEN];
};

/* Draws the ephemeral key and appends prologue and framed ClientHello (43 bytes) to out. */
int wa_handshake_begin(struct wa_handshake *hs, const struct wa_host *host,
                       const struct wa_keypair *noise_key, const uint8_t root[WA_KEY_LEN],
                       struct buf *out);
/*
 * Takes the ServerHello (frame payload), verifies the certificate chain, appends the framed
 * ClientFinish that carries client_payload, and gives the transport ciphers. 0; ERR_INVALID,
 * ERR_AUTH with a sentence in err; then nothing was appended. Wipes itself either way.
 */
int wa_handshake_finish(struct wa_handshake *hs, struct bytes server_hello,
                        struct bytes client_payload, int64_t now_s, struct buf *out,
                        struct wa_cipher *send, struct wa_cipher *recv, struct err *err);
void wa_handshake_deinit(struct wa_handshake *hs);

#endif
