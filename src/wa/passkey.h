/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pairing behind a passkey (protocol/08): the derivations of the ephemeral exchange (sections 6 and
 * 7), the server's WebAuthn options (section 4) and the owner's assertion (section 5). Pure
 * functions; the conversation is linking_passkey.c's.
 */
#ifndef WA_PASSKEY_H
#define WA_PASSKEY_H

#include "base/err.h"
#include "base/json.h"
#include "wa/device.h"
#include "wa/link_code.h"

#define WA_PASSKEY_NONCE_LEN 32
#define WA_PASSKEY_OPTIONS_MAX 16384  /* bytes of the options as JSON text */
#define WA_PASSKEY_CHALLENGE_MAX 1024 /* bytes, decoded */
#define WA_PASSKEY_CREDENTIAL_MAX 1023
#define WA_PASSKEY_ASSERTION_MAX 65536

/*
 * What may go wrong (protocol/08 sections 5.3 and 9.2). X(symbol, name, what the owner should know)
 */
#define WA_PASSKEY_ERRORS(X)                                                                       \
    X(WA_PASSKEY_OK, "", "")                                                                       \
    X(WA_PASSKEY_OPTIONS_UNAVAILABLE, "options_unavailable",                                       \
      "WhatsApp asked for a passkey and gave no usable challenge; scan the new QR.")               \
    X(WA_PASSKEY_OPTIONS_EXPIRED, "options_expired",                                               \
      "Nobody used the passkey in time; scan the new QR.")                                         \
    X(WA_PASSKEY_MALFORMED, "response_malformed",                                                  \
      "The answer is not the JSON of a passkey assertion; try again.")                             \
    X(WA_PASSKEY_TYPE, "type_mismatch", "The answer is no assertion (webauthn.get); try again.")   \
    X(WA_PASSKEY_CHALLENGE, "challenge_mismatch",                                                  \
      "The answer belongs to another challenge; use the passkey once more.")                       \
    X(WA_PASSKEY_ORIGIN, "origin_mismatch",                                                        \
      "The passkey was used on another site; it must be used on a page of WhatsApp's.")            \
    X(WA_PASSKEY_CROSS_ORIGIN, "cross_origin", "The passkey was used inside a frame; try again.")  \
    X(WA_PASSKEY_RP_ID, "rpid_mismatch", "The passkey is not one for WhatsApp.")                   \
    X(WA_PASSKEY_NO_PRESENCE, "up_missing", "The passkey was not confirmed by a person.")          \
    X(WA_PASSKEY_NO_VERIFICATION, "uv_missing",                                                    \
      "The passkey was used without PIN, finger or face; try again.")                              \
    X(WA_PASSKEY_NOT_ALLOWED, "credential_not_allowed",                                            \
      "WhatsApp does not take this passkey for the account; choose another one.")                  \
    X(WA_PASSKEY_STALE, "response_stale", "The answer is for a step that is over.")                \
    X(WA_PASSKEY_CODE, "code_mismatch", "The code is not the one that is shown.")                  \
    X(WA_PASSKEY_REF, "ref_failed", "WhatsApp gave no pairing reference; scan the new QR.")        \
    X(WA_PASSKEY_REFUSED, "prologue_refused", "WhatsApp refused the passkey; scan the new QR.")    \
    X(WA_PASSKEY_PHONE_TIMEOUT, "phone_timeout",                                                   \
      "The phone did not go on. Scan the new QR, keep WhatsApp open on the phone, and choose the " \
      "passkey of the right account.")                                                             \
    X(WA_PASSKEY_PHONE_INVALID, "phone_invalid",                                                   \
      "The phone's answer could not be read; scan the new QR.")                                    \
    X(WA_PASSKEY_NONCE, "nonce_refused", "WhatsApp refused the pairing; scan the new QR.")         \
    X(WA_PASSKEY_REQUEST, "request_refused", "WhatsApp refused the pairing; scan the new QR.")     \
    X(WA_PASSKEY_CONFIRM_EXPIRED, "confirm_expired",                                               \
      "Nobody compared the codes in time; scan the new QR.")                                       \
    X(WA_PASSKEY_REJECTED, "user_rejected",                                                        \
      "The codes differed, so nothing was linked; scan the new QR.")                               \
    X(WA_PASSKEY_CANCELLED, "user_cancelled", "Linking was broken off; scan the new QR.")          \
    X(WA_PASSKEY_DISCONNECTED, "disconnected",                                                     \
      "The connection was lost while linking; scan the new QR.")                                   \
    X(WA_PASSKEY_HMAC, "hmac_mismatch",                                                            \
      "The pairing answer was not made with our secret; scan the new QR.")

enum wa_passkey_error {
#define X(symbol, name, advice) symbol,
    WA_PASSKEY_ERRORS(X)
#undef X
};
const char *wa_passkey_error_name(enum wa_passkey_error e);
const char *wa_passkey_error_advice(enum wa_passkey_error e);

/* ---- options and assertion ------------------------------------------------------------------ */

/* WebAuthn PublicKeyCredentialRequestOptions; text is kept verbatim for the browser. */
struct wa_passkey_options {
    struct buf text;
    uint8_t challenge[WA_PASSKEY_CHALLENGE_MAX];
    size_t challenge_len;
    char rp_id[254];
    int64_t timeout_ms; /* at most 600000 */
    bool verification;  /* the UV flag is required */
};
/* 0, or ERR_INVALID when it is no JSON object with a challenge; *out is emptied then. */
int wa_passkey_options_read(struct wa_passkey_options *out, struct bytes text);
void wa_passkey_options_deinit(struct wa_passkey_options *o); /* zeroed is fine */

struct wa_passkey_assertion {
    uint8_t credential_id[WA_PASSKEY_CREDENTIAL_MAX];
    size_t credential_id_len;
    struct buf text; /* JSON for the server: the members of section 5.2 in their order */
};
/* Checks what PublicKeyCredential.toJSON() gave against the options (section 5.3) and writes it
 * anew. WA_PASSKEY_OK and *out (deinit it), or why not, *out emptied. */
enum wa_passkey_error wa_passkey_assertion_read(struct wa_passkey_assertion *out,
                                                const struct wa_passkey_options *options,
                                                const struct json_value *credential);
void wa_passkey_assertion_deinit(struct wa_passkey_assertion *a); /* zeroed is fine */

/* ---- the exchange --------------------------------------------------------------------------- */

/* From the ADV secret that the phone has seen, before it is replaced. */
void wa_passkey_handoff_key(uint8_t out[32], const uint8_t adv_secret[WA_ADV_SECRET_LEN]);
/* Appends ProloguePayload: our ephemeral key, and a commitment to it and to the nonce. 0 or
 * ERR_LIMIT. device_type: DeviceProps.PlatformType. */
int wa_passkey_prologue(struct buf *out, const uint8_t pub[WA_KEY_LEN], uint32_t device_type,
                        struct bytes ref, const uint8_t nonce[WA_PASSKEY_NONCE_LEN]);
void wa_passkey_proof(uint8_t out[32], const uint8_t handoff_key[32], struct bytes prologue);

/* The phone's PrimaryEphemeralIdentity. */
struct wa_passkey_phone {
    uint8_t pub[WA_KEY_LEN], nonce[WA_PASSKEY_NONCE_LEN];
};
/* 0, or ERR_INVALID unless both fields are there with 32 bytes. */
int wa_passkey_phone_read(struct wa_passkey_phone *out, struct bytes message);
/* The key of the pairing request: 0, or ERR_AUTH when the phone's key is worthless. */
int wa_passkey_agree(uint8_t key[32], const uint8_t priv[WA_KEY_LEN],
                     const uint8_t phone_pub[WA_KEY_LEN], uint32_t device_type, struct bytes ref);
/* The code that both sides can compare, without its dash. */
void wa_passkey_code(char out[WA_LINK_CODE_LEN + 1], const uint8_t nonce[WA_PASSKEY_NONCE_LEN],
                     const struct wa_passkey_phone *phone);
/* Appends EncryptedPairingRequest: our public keys and the next ADV secret. 0 or ERR_LIMIT. */
int wa_passkey_request(struct buf *out, const uint8_t key[32], const uint8_t iv[12],
                       const struct wa_device *d, const uint8_t adv_secret[WA_ADV_SECRET_LEN]);

#endif
