/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pairing by QR: the payload that the phone scans and the ADV checks (protocol/03 section 2). */
#ifndef WA_PAIRING_H
#define WA_PAIRING_H

#include "base/err.h"
#include "wa/device.h"
#include "wa/node.h"

/* Appends "ref,b64(noise),b64(identity),b64(adv secret),1" (protocol/03 section 2.2), without the
 * optional wa.me prefix: a smaller picture that every phone scans. */
int wa_pairing_qr(struct buf *out, struct bytes ref, const struct wa_device *d);

struct wa_pair_result {
    uint32_t key_index;
    /* ADVSignedDeviceIdentity for the answer: without accountSignatureKey; and the full one, which
     * became d->account. */
    uint8_t answer[WA_ACCOUNT_MAX];
    size_t answer_len;
    uint8_t account_key[WA_KEY_LEN]; /* the primary's identity key */
    /* When refused: code and text of the error to answer with ("401", "hmac-mismatch", …). */
    const char *error_code, *error_text;
};

/*
 * Steps 1 to 5 of protocol/03 section 2.4 on the <device-identity> content
 * (ADVSignedDeviceIdentityHMAC), then the device signature. On 0, d->account is filled in and
 * result is ready; d's JIDs are the caller's. ERR_INVALID or ERR_AUTH with err and result->error_…
 * set; d unchanged.
 */
int wa_pairing_accept(struct wa_device *d, struct bytes device_identity_hmac,
                      const struct wa_host *host, struct wa_pair_result *result, struct err *err);

/*
 * Verifies the ADVSignedDeviceIdentity that vouches for a companion's identity key (protocol/04
 * section 9). account_key is the primary's identity, used when the blob has none; BYTES_NONE when
 * not known. 1 valid, 0 cannot be decided (no account key), ERR_AUTH or ERR_INVALID.
 */
int wa_pairing_verify_companion(struct bytes device_identity, const uint8_t identity[WA_KEY_LEN],
                                struct bytes account_key);

/* Whether the primary with this identity key signed the details of an ADVSignedKeyIndexList
 * (protocol/04 section 9): 0, ERR_AUTH. */
int wa_pairing_verify_key_indexes(struct bytes details, struct bytes signature,
                                  const uint8_t account_key[WA_KEY_LEN]);

#endif
