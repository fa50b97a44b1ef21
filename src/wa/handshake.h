/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Client side of the Noise handshake: XX (protocol/01 section 4.2), and IK resume with its fallback
 * (section 15), which saves a round trip when the server's static key is known. One object per
 * connection.
 */
#ifndef WA_HANDSHAKE_H
#define WA_HANDSHAKE_H

#include "base/err.h"
#include "wa/cert.h"
#include "wa/noise.h"

struct wa_handshake {
    struct wa_noise noise;
    struct wa_keypair ephemeral;
    struct wa_keypair fixed; /* the device's noise key */
    uint8_t root[WA_KEY_LEN];
    bool resuming; /* the ClientHello was IK */
};

/* A static key of the server that a verified chain vouched for, and under which root. */
struct wa_server_key {
    uint8_t key[WA_KEY_LEN];
    uint8_t root[WA_KEY_LEN];
    struct wa_cert_window window;
};

/* X(symbol, name) */
#define WA_HANDSHAKE_WAYS(X)                                                                       \
    X(WA_HANDSHAKE_XX, "XX")                                                                       \
    X(WA_HANDSHAKE_IK, "IK")                                                                       \
    X(WA_HANDSHAKE_XXFALLBACK, "XXfallback")

enum wa_handshake_way {
#define X(symbol, name) symbol,
    WA_HANDSHAKE_WAYS(X)
#undef X
};
const char *wa_handshake_way_text(enum wa_handshake_way way);

struct wa_handshake_result {
    enum wa_handshake_way way;
    struct wa_cipher send, recv;
    struct wa_server_key server; /* verified now; zeroed after IK, which shows no chain */
};

/* Draws the ephemeral key and appends prologue and framed ClientHello (43 bytes) to out. */
int wa_handshake_begin(struct wa_handshake *hs, const struct wa_host *host,
                       const struct wa_keypair *noise_key, const uint8_t root[WA_KEY_LEN],
                       struct buf *out);
/* The same as an IK hello to a known server; root is known->root. 0; ERR_AUTH for a bad key,
 * ERR_LIMIT; then nothing was appended. */
int wa_handshake_resume(struct wa_handshake *hs, const struct wa_host *host,
                        const struct wa_keypair *noise_key, const struct wa_server_key *known,
                        struct bytes client_payload, struct buf *out);
/*
 * Takes the ServerHello (frame payload). Unless it accepts a resume, verifies the certificate chain
 * and appends the framed ClientFinish that carries client_payload. A server that does not know the
 * key of a resume answers with its own, as XXfallback, or as plain XX where it knows nothing else.
 * 0 and *result; ERR_INVALID, ERR_AUTH, ERR_LIMIT with a sentence in err; then nothing was
 * appended. Wipes itself either way.
 */
int wa_handshake_finish(struct wa_handshake *hs, struct bytes server_hello,
                        struct bytes client_payload, int64_t now_s, struct buf *out,
                        struct wa_handshake_result *result, struct err *err);
void wa_handshake_deinit(struct wa_handshake *hs);

#endif
