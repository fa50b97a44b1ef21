/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/curve.h"

#include <signal/curve.h>
#include <signal/signal_protocol.h>

#include "base/err.h"
#include "wa/x25519.h"

#define KEY_TYPE 0x05 /* first byte of a public key in the library's form */
/* What a reduced scalar cannot have set in its last byte (protocol/01 section 5.1, verify step 2).
 */
#define UNREDUCED_BITS 0x60

static ec_public_key *public_open(const uint8_t *pub)
{
    ec_public_key *key = NULL;
    uint8_t typed[1 + WA_KEY_LEN] = {KEY_TYPE};
    memcpy(typed + 1, pub, WA_KEY_LEN);
    if (curve_decode_point(&key, typed, sizeof(typed), NULL) != 0 || !key)
        err_fatal("curve: a public key of %d bytes was refused", WA_KEY_LEN);
    return key;
}

static ec_private_key *private_open(const uint8_t *priv)
{
    ec_private_key *key = NULL;
    if (curve_decode_private_point(&key, priv, WA_KEY_LEN, NULL) != 0 || !key)
        err_fatal("curve: a private key of %d bytes was refused", WA_KEY_LEN);
    return key;
}

void wa_curve_generate(struct wa_keypair *out, const struct wa_host *host)
{
    host->random(host->ctx, out->priv, WA_KEY_LEN);
    out->priv[0] &= 0xf8;
    out->priv[31] = (uint8_t)((out->priv[31] & 0x7f) | 0x40);
    wa_curve_public(out->pub, out->priv);
}

void wa_curve_public(uint8_t pub[32], const uint8_t priv[32])
{
    static const uint8_t base_point[WA_KEY_LEN] = {9};
    wa_x25519(pub, priv, base_point);
}

int wa_curve_agree(uint8_t out[32], const uint8_t priv[32], const uint8_t pub[32])
{
    static const uint8_t zero[WA_KEY_LEN];
    wa_x25519(out, priv, pub);
    return bytes_equal_secret(BYTES(out, WA_KEY_LEN), BYTES_ARRAY(zero)) ? ERR_AUTH : 0;
}

struct random_source {
    const struct wa_host *host;
};

static int random_from_host(uint8_t *data, size_t n, void *ctx)
{
    const struct random_source *source = ctx;
    source->host->random(source->host->ctx, data, n);
    return 0;
}

/* The library takes no provider without HMAC; a signature never calls it. */
static int no_hmac_init(void **hmac, const uint8_t *key, size_t n, void *ctx)
{
    (void)hmac, (void)key, (void)n, (void)ctx;
    return SG_ERR_UNKNOWN;
}

static int no_hmac_update(void *hmac, const uint8_t *data, size_t n, void *ctx)
{
    (void)hmac, (void)data, (void)n, (void)ctx;
    return SG_ERR_UNKNOWN;
}

static int no_hmac_final(void *hmac, signal_buffer **out, void *ctx)
{
    (void)hmac, (void)out, (void)ctx;
    return SG_ERR_UNKNOWN;
}

static void no_hmac_cleanup(void *hmac, void *ctx)
{
    (void)hmac, (void)ctx;
}

void wa_curve_sign(uint8_t out[64], const uint8_t priv[32], struct bytes message,
                   const struct wa_host *host)
{
    struct random_source source = {host};
    const signal_crypto_provider provider = {.random_func = random_from_host,
                                             .hmac_sha256_init_func = no_hmac_init,
                                             .hmac_sha256_update_func = no_hmac_update,
                                             .hmac_sha256_final_func = no_hmac_final,
                                             .hmac_sha256_cleanup_func = no_hmac_cleanup,
                                             .user_data = &source};
    signal_context *context = NULL;
    signal_buffer *signature = NULL;
    ec_private_key *secret = private_open(priv);
    if (signal_context_create(&context, &source) != 0 ||
        signal_context_set_crypto_provider(context, &provider) != 0 ||
        curve_calculate_signature(context, &signature, secret, message.p, message.n) != 0)
        err_fatal("curve: no signature");
    memcpy(out, signal_buffer_const_data(signature), WA_SIGNATURE_LEN);
    signal_buffer_free(signature);
    SIGNAL_UNREF(secret);
    signal_context_destroy(context);
}

int wa_curve_verify(struct bytes pub, struct bytes message, struct bytes signature)
{
    if (pub.n != WA_KEY_LEN || signature.n != WA_SIGNATURE_LEN ||
        (signature.p[WA_SIGNATURE_LEN - 1] & UNREDUCED_BITS))
        return ERR_AUTH;
    ec_public_key *key = public_open(pub.p);
    int valid = curve_verify_signature(key, message.p, message.n, signature.p, signature.n);
    SIGNAL_UNREF(key);
    return valid == 1 ? 0 : ERR_AUTH;
}
