/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server's certificate chain inside the handshake (protocol/01 section 5). */
#ifndef WA_CERT_H
#define WA_CERT_H

#include "base/err.h"
#include "wa/curve.h"

/* Root key of the live service (protocol/01 section 5). */
extern const uint8_t wa_cert_root[WA_KEY_LEN];
#define WA_CERT_CLOCK_TOLERANCE_S 86400

/* The time in which every certificate of a chain is valid, Unix seconds; 0 and INT64_MAX where they
 * name no bound. */
struct wa_cert_window {
    int64_t from_s, until_s;
};

/*
 * All eight checks, in order, on a serialised CertChain; a certificate that names no end has none.
 * server_static is the key that the handshake decrypted. 0 and *window (may be NULL), or ERR_AUTH /
 * ERR_INVALID with the failed check in err.
 */
int wa_cert_verify(struct bytes chain, const uint8_t root[WA_KEY_LEN],
                   const uint8_t server_static[WA_KEY_LEN], int64_t now_s,
                   struct wa_cert_window *window, struct err *err);

#endif
