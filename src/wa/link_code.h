/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Linking by a code that is typed on the phone: the derivations (protocol/03 section 4). */
#ifndef WA_LINK_CODE_H
#define WA_LINK_CODE_H

#include "base/err.h"
#include "wa/curve.h"

#define WA_LINK_CODE_LEN 8
#define WA_LINK_CODE_SHOWN_SIZE 10 /* "XXXX-XXXX" and its NUL */
#define WA_LINK_SALT_LEN 32
#define WA_LINK_WRAP_LEN 80    /* salt, iv, sealed key */
#define WA_LINK_BUNDLE_LEN 156 /* salt, nonce, sealed bundle */

/* Eight characters of "123456789ABCDEFGHJKLMNPQRSTVWXYZ" from five random bytes. */
void wa_link_code(char out[WA_LINK_CODE_LEN + 1], const uint8_t random[5]);
void wa_link_code_shown(char out[WA_LINK_CODE_SHOWN_SIZE], const char *code);
/* 0 when the number is one: 7 to 15 digits, no leading 0; ERR_INVALID. */
int wa_link_check_phone(const char *phone);

/* Seals a public key under the code. Takes tens of milliseconds, and so does the inverse. */
void wa_link_wrap(uint8_t out[WA_LINK_WRAP_LEN], const char *code,
                  const uint8_t salt[WA_LINK_SALT_LEN], const uint8_t iv[16],
                  const uint8_t pub[WA_KEY_LEN]);
void wa_link_unwrap(uint8_t pub[WA_KEY_LEN], const char *code,
                    const uint8_t wrapped[WA_LINK_WRAP_LEN]);

/* What is drawn anew for each hello of the phone. */
struct wa_link_random {
    uint8_t salt[WA_LINK_SALT_LEN];
    uint8_t nonce[12];
    uint8_t adv[32];
};
/*
 * Stage 3: the bundle for the phone and the ADV secret that both sides then have. identity is our
 * own, ephemeral that of the code. 0, or ERR_AUTH when a key of the phone's is worthless.
 */
int wa_link_finish(uint8_t bundle[WA_LINK_BUNDLE_LEN], uint8_t adv_secret[32],
                   const struct wa_keypair *identity, const struct wa_keypair *ephemeral,
                   const uint8_t phone_ephemeral[WA_KEY_LEN],
                   const uint8_t phone_identity[WA_KEY_LEN], const struct wa_link_random *random);

#endif
