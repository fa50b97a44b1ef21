/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/pairing.h"

#include "base/text.h"
#include "wa/crypto.h"
#include "wa/pb.h"
#include "wa/proto/transport.pb-c.h"

#define QR_PLATFORM "1" /* Chrome, as DeviceProps.platformType */

/* What stands before the signed bytes says what the signature is for (protocol/03 section 2.5). */
enum purpose {
    ACCOUNT_SIGNATURE = 0x00,
    DEVICE_SIGNATURE = 0x01,
    KEY_INDEXES_SIGNATURE = 0x02,
    HOSTED_ACCOUNT_SIGNATURE = 0x05, /* also before HMAC input */
    HOSTED_DEVICE_SIGNATURE = 0x06,
    HOSTED_KEY_INDEXES_SIGNATURE = 0x07,
};
#define PURPOSE_LEN 2
#define PURPOSE(kind) ((const uint8_t[PURPOSE_LEN]){0x06, (kind)})

/* ---- QR ------------------------------------------------------------------------------------- */

int wa_pairing_qr(struct buf *out, struct bytes ref, const struct wa_device *d)
{
    buf_append(out, ref);
    buf_append_text(out, ",");
    text_base64_append(out, BYTES_ARRAY(d->noise.pub));
    buf_append_text(out, ",");
    text_base64_append(out, BYTES_ARRAY(d->identity.pub));
    buf_append_text(out, ",");
    text_base64_append(out, BYTES_ARRAY(d->adv_secret));
    buf_append_text(out, "," QR_PLATFORM);
    return out->full ? ERR_LIMIT : 0;
}

/* ---- signatures over an identity ------------------------------------------------------------ */

/* A device identity as received: the inner details, and the key that they are about. */
struct claim {
    struct bytes details, identity, account_key;
};

/* purpose, details, identity and, for the device's own signature, the account's key. */
static void signed_bytes(struct buf *out, enum purpose purpose, const struct claim *c)
{
    buf_init(out, PURPOSE_LEN + c->details.n + c->identity.n + c->account_key.n);
    buf_append(out, BYTES(PURPOSE((uint8_t)purpose), PURPOSE_LEN));
    buf_append(out, c->details);
    buf_append(out, c->identity);
    if (purpose == DEVICE_SIGNATURE || purpose == HOSTED_DEVICE_SIGNATURE)
        buf_append(out, c->account_key);
}

static int verify_claim(enum purpose purpose, const struct claim *c, struct bytes signer,
                        struct bytes signature)
{
    AUTO_BUF struct buf message;
    signed_bytes(&message, purpose, c);
    return wa_curve_verify(signer, buf_bytes(&message), signature);
}

static bool is_signed_identity(const Wa__ADVSignedDeviceIdentity *s)
{
    return s && s->has_details && s->has_account_signature &&
           s->account_signature.len == WA_SIGNATURE_LEN;
}

/* ---- pair-success --------------------------------------------------------------------------- */

static int refuse(struct wa_pair_result *result, const char *code, const char *text,
                  struct err *err, int rc, const char *sentence)
{
    result->error_code = code;
    result->error_text = text;
    return err_set(err, rc, "%s", sentence);
}

static int refuse_unreadable(struct wa_pair_result *result, struct err *err)
{
    return refuse(result, "500", "internal-error", err, ERR_INVALID,
                  "the device identity in the pairing answer cannot be read");
}

/* Step 2: whoever made the answer knows the secret in the QR. */
static bool hmac_matches(const struct wa_device *d, const Wa__ADVSignedDeviceIdentityHMAC *outer)
{
    uint8_t mac[WA_SHA256_LEN];
    bool hosted = outer->account_type == WA__ADVENCRYPTION_TYPE__HOSTED;
    struct bytes parts[] = {
        hosted ? BYTES(PURPOSE(HOSTED_ACCOUNT_SIGNATURE), PURPOSE_LEN) : BYTES_NONE,
        wa_pb_bytes(outer->details),
    };
    wa_hmac_sha256(mac, BYTES_ARRAY(d->adv_secret), parts, ARRAY_LEN(parts));
    return bytes_equal_secret(BYTES_ARRAY(mac), wa_pb_bytes(outer->hmac));
}

/* Packs details and signatures, with the account's key or without. */
static int pack_identity(const Wa__ADVSignedDeviceIdentity *in, bool with_key,
                         const uint8_t device_signature[WA_SIGNATURE_LEN],
                         uint8_t out[WA_ACCOUNT_MAX], size_t *n)
{
    AUTO_BUF struct buf packed;
    Wa__ADVSignedDeviceIdentity identity = WA__ADVSIGNED_DEVICE_IDENTITY__INIT;
    buf_init(&packed, WA_ACCOUNT_MAX);
    identity.has_details = identity.has_account_signature = identity.has_device_signature = 1;
    identity.details = in->details;
    identity.account_signature = in->account_signature;
    identity.device_signature = wa_pb_data(BYTES(device_signature, WA_SIGNATURE_LEN));
    identity.has_account_signature_key = with_key;
    identity.account_signature_key = in->account_signature_key;
    int rc = wa_pb_append(&packed, &identity.base);
    if (rc)
        return rc;
    memcpy(out, packed.p, packed.n);
    *n = packed.n;
    return 0;
}

/* Section 2.5, step 1; d changes only when all of it fits. */
static int sign_and_pack(struct wa_device *d, const Wa__ADVSignedDeviceIdentity *in,
                         const struct claim *claim, const struct wa_host *host,
                         struct wa_pair_result *result)
{
    AUTO_BUF struct buf message;
    uint8_t signature[WA_SIGNATURE_LEN], account[WA_ACCOUNT_MAX];
    size_t account_len;
    signed_bytes(&message, DEVICE_SIGNATURE, claim);
    wa_curve_sign(signature, d->identity.priv, buf_bytes(&message), host);
    int rc = pack_identity(in, false, signature, result->answer, &result->answer_len);
    if (rc == 0)
        rc = pack_identity(in, true, signature, account, &account_len);
    if (rc)
        return rc;
    memcpy(result->account_key, claim->account_key.p, WA_KEY_LEN);
    memcpy(d->account, account, account_len);
    d->account_len = account_len;
    return 0;
}

/* Steps 3 to 5. */
static int accept_identity(struct wa_device *d, struct bytes signed_identity,
                           const struct wa_host *host, struct wa_pair_result *result,
                           struct err *err)
{
    AUTO_PB Wa__ADVSignedDeviceIdentity *identity =
        wa_pb_unpack(&wa__advsigned_device_identity__descriptor, signed_identity);
    if (!is_signed_identity(identity) || identity->account_signature_key.len != WA_KEY_LEN)
        return refuse_unreadable(result, err);
    const struct claim claim = {
        .details = wa_pb_bytes(identity->details),
        .identity = BYTES_ARRAY(d->identity.pub),
        .account_key = wa_pb_bytes(identity->account_signature_key),
    };
    AUTO_PB Wa__ADVDeviceIdentity *inner =
        wa_pb_unpack(&wa__advdevice_identity__descriptor, claim.details);
    if (!inner)
        return refuse_unreadable(result, err);
    bool hosted = inner->device_type == WA__ADVENCRYPTION_TYPE__HOSTED;
    if (verify_claim(hosted ? HOSTED_ACCOUNT_SIGNATURE : ACCOUNT_SIGNATURE, &claim,
                     claim.account_key, wa_pb_bytes(identity->account_signature)))
        return refuse(result, "401", "signature-mismatch", err, ERR_AUTH,
                      "the account's signature in the pairing answer is wrong");
    if (sign_and_pack(d, identity, &claim, host, result))
        return refuse_unreadable(result, err);
    result->key_index = inner->key_index;
    return 0;
}

int wa_pairing_accept(struct wa_device *d, struct bytes device_identity_hmac,
                      const struct wa_host *host, struct wa_pair_result *result, struct err *err)
{
    memset(result, 0, sizeof(*result));
    AUTO_PB Wa__ADVSignedDeviceIdentityHMAC *outer =
        wa_pb_unpack(&wa__advsigned_device_identity_hmac__descriptor, device_identity_hmac);
    if (!outer || !outer->has_details || !outer->has_hmac)
        return refuse_unreadable(result, err);
    if (!hmac_matches(d, outer))
        return refuse(result, "401", "hmac-mismatch", err, ERR_AUTH,
                      "the pairing answer was not made with the secret of our QR code");
    return accept_identity(d, wa_pb_bytes(outer->details), host, result, err);
}

/* ---- companions of others ------------------------------------------------------------------- */

static bool both_signatures_hold(const Wa__ADVSignedDeviceIdentity *s, const struct claim *c,
                                 enum purpose account, enum purpose device)
{
    return verify_claim(account, c, c->account_key, wa_pb_bytes(s->account_signature)) == 0 &&
           verify_claim(device, c, c->identity, wa_pb_bytes(s->device_signature)) == 0;
}

int wa_pairing_verify_companion(struct bytes device_identity, const uint8_t identity[WA_KEY_LEN],
                                struct bytes account_key)
{
    AUTO_PB Wa__ADVSignedDeviceIdentity *s =
        wa_pb_unpack(&wa__advsigned_device_identity__descriptor, device_identity);
    if (!is_signed_identity(s) || s->device_signature.len != WA_SIGNATURE_LEN)
        return ERR_INVALID;
    struct bytes own_key = wa_pb_bytes(s->account_signature_key);
    const struct claim claim = {
        .details = wa_pb_bytes(s->details),
        .identity = BYTES(identity, WA_KEY_LEN),
        .account_key = own_key.n ? own_key : account_key,
    };
    if (claim.account_key.n == 0)
        return 0;
    /* A hosted device does not always say so in its details: the signatures do. */
    return both_signatures_hold(s, &claim, ACCOUNT_SIGNATURE, DEVICE_SIGNATURE) ||
                   both_signatures_hold(s, &claim, HOSTED_ACCOUNT_SIGNATURE,
                                        HOSTED_DEVICE_SIGNATURE)
               ? 1
               : ERR_AUTH;
}

int wa_pairing_verify_key_indexes(struct bytes details, struct bytes signature,
                                  const uint8_t account_key[WA_KEY_LEN])
{
    const struct claim c = {.details = details};
    const struct bytes signer = BYTES(account_key, WA_KEY_LEN);
    if (signature.n != WA_SIGNATURE_LEN)
        return ERR_AUTH;
    return verify_claim(KEY_INDEXES_SIGNATURE, &c, signer, signature) == 0 ||
                   verify_claim(HOSTED_KEY_INDEXES_SIGNATURE, &c, signer, signature) == 0
               ? 0
               : ERR_AUTH;
}
