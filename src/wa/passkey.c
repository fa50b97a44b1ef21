/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/passkey.h"

#include "wa/crypto.h"
#include "wa/pb.h"
#include "wa/proto/transport.pb-c.h"

#define HANDOFF_INFO "shortcake-passkey-handoff-v1"
#define ENCRYPTION_INFO "Pairing Information Encryption Key"
#define MESSAGE_MAX 2048

static const struct {
    const char *name, *advice;
} errors[] = {
#define X(symbol, name, advice) [symbol] = {name, advice},
    WA_PASSKEY_ERRORS(X)
#undef X
};

const char *wa_passkey_error_name(enum wa_passkey_error e)
{
    return errors[e].name;
}

const char *wa_passkey_error_advice(enum wa_passkey_error e)
{
    return errors[e].advice;
}

/* ---- handoff, prologue ---------------------------------------------------------------------- */

void wa_passkey_handoff_key(uint8_t out[32], const uint8_t adv_secret[WA_ADV_SECRET_LEN])
{
    wa_hkdf_sha256(out, 32, BYTES(adv_secret, WA_ADV_SECRET_LEN), BYTES_NONE,
                   bytes_text(HANDOFF_INFO));
}

int wa_passkey_prologue(struct buf *out, const uint8_t pub[WA_KEY_LEN], uint32_t device_type,
                        struct bytes ref, const uint8_t nonce[WA_PASSKEY_NONCE_LEN])
{
    AUTO_BUF struct buf identity;
    uint8_t hash[WA_SHA256_LEN];
    Wa__CompanionEphemeralIdentity own = WA__COMPANION_EPHEMERAL_IDENTITY__INIT;
    Wa__CompanionCommitment commitment = WA__COMPANION_COMMITMENT__INIT;
    Wa__ProloguePayload payload = WA__PROLOGUE_PAYLOAD__INIT;
    buf_init(&identity, MESSAGE_MAX);
    own.has_public_key = own.has_device_type = own.has_ref = 1;
    own.public_key = wa_pb_data(BYTES(pub, WA_KEY_LEN));
    own.device_type = device_type;
    own.ref = wa_pb_data(ref);
    int rc = wa_pb_append(&identity, &own.base);
    if (rc < 0)
        return rc;
    struct bytes parts[] = {buf_bytes(&identity), BYTES(nonce, WA_PASSKEY_NONCE_LEN)};
    wa_sha256(hash, parts, ARRAY_LEN(parts));
    commitment.has_hash = 1;
    commitment.hash = wa_pb_data(BYTES_ARRAY(hash));
    payload.has_companion_ephemeral_identity = 1;
    payload.companion_ephemeral_identity = wa_pb_data(buf_bytes(&identity));
    payload.commitment = &commitment;
    return wa_pb_append(out, &payload.base);
}

void wa_passkey_proof(uint8_t out[32], const uint8_t handoff_key[32], struct bytes prologue)
{
    wa_hmac_sha256(out, BYTES(handoff_key, 32), &prologue, 1);
}

/* ---- continuation --------------------------------------------------------------------------- */

int wa_passkey_phone_read(struct wa_passkey_phone *out, struct bytes message)
{
    AUTO_PB Wa__PrimaryEphemeralIdentity *m =
        wa_pb_unpack(&wa__primary_ephemeral_identity__descriptor, message);
    if (!m || m->public_key.len != WA_KEY_LEN || m->nonce.len != WA_PASSKEY_NONCE_LEN)
        return ERR_INVALID;
    memcpy(out->pub, m->public_key.data, WA_KEY_LEN);
    memcpy(out->nonce, m->nonce.data, WA_PASSKEY_NONCE_LEN);
    return 0;
}

int wa_passkey_agree(uint8_t key[32], const uint8_t priv[WA_KEY_LEN],
                     const uint8_t phone_pub[WA_KEY_LEN], uint32_t device_type, struct bytes ref)
{
    AUTO_BUF struct buf salt;
    uint8_t shared[32];
    buf_init(&salt, MESSAGE_MAX);
    buf_printf(&salt, "Companion Pairing %u with ref ", (unsigned)device_type);
    buf_append(&salt, ref);
    int rc = salt.full ? ERR_LIMIT : wa_curve_agree(shared, priv, phone_pub);
    if (rc == 0)
        wa_hkdf_sha256(key, 32, BYTES_ARRAY(shared), buf_bytes(&salt), bytes_text(ENCRYPTION_INFO));
    buf_wipe(shared, sizeof(shared));
    return rc;
}

void wa_passkey_code(char out[WA_LINK_CODE_LEN + 1], const uint8_t nonce[WA_PASSKEY_NONCE_LEN],
                     const struct wa_passkey_phone *phone)
{
    uint8_t digest[WA_SHA256_LEN], bits[5];
    struct bytes parts[] = {BYTES(nonce, WA_PASSKEY_NONCE_LEN), BYTES_ARRAY(phone->pub)};
    wa_sha256(digest, parts, ARRAY_LEN(parts));
    for (size_t i = 0; i < sizeof(bits); i++)
        bits[i] = phone->nonce[i] ^ digest[i];
    wa_link_code(out, bits);
}

/* ---- the request ---------------------------------------------------------------------------- */

static int seal_request(struct buf *out, const uint8_t key[32], const uint8_t iv[12],
                        const struct wa_device *d, const uint8_t *adv_secret)
{
    AUTO_BUF struct buf plain;
    Wa__PairingRequest request = WA__PAIRING_REQUEST__INIT;
    buf_init_secret(&plain, MESSAGE_MAX);
    request.has_companion_public_key = request.has_companion_identity_key = request.has_adv_secret =
        1;
    request.companion_public_key = wa_pb_data(BYTES_ARRAY(d->noise.pub));
    request.companion_identity_key = wa_pb_data(BYTES_ARRAY(d->identity.pub));
    request.adv_secret = wa_pb_data(BYTES(adv_secret, WA_ADV_SECRET_LEN));
    int rc = wa_pb_append(&plain, &request.base);
    return rc < 0 ? rc : wa_gcm_seal(out, key, iv, BYTES_NONE, buf_bytes(&plain));
}

int wa_passkey_request(struct buf *out, const uint8_t key[32], const uint8_t iv[12],
                       const struct wa_device *d, const uint8_t adv_secret[WA_ADV_SECRET_LEN])
{
    AUTO_BUF struct buf sealed;
    Wa__EncryptedPairingRequest request = WA__ENCRYPTED_PAIRING_REQUEST__INIT;
    buf_init(&sealed, MESSAGE_MAX);
    int rc = seal_request(&sealed, key, iv, d, adv_secret);
    if (rc < 0)
        return rc;
    request.has_encrypted_payload = request.has_iv = 1;
    request.encrypted_payload = wa_pb_data(buf_bytes(&sealed));
    request.iv = wa_pb_data(BYTES(iv, WA_GCM_NONCE_LEN));
    return wa_pb_append(out, &request.base);
}
