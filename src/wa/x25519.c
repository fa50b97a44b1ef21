/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/x25519.h"

#include <string.h>
/* libcrypto has a type of this name, which our error code must not meet. */
#define ERR_STATE openssl_err_state
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#undef ERR_STATE

#include "base/buf.h"
#include "base/err.h"

#define KEY_LEN 32

/* Fetched once and never changed again: looking it up costs as much as a tenth of its use. */
static EVP_PKEY *make_key(int selection, OSSL_PARAM *params)
{
    static EVP_PKEY_CTX *maker;
    EVP_PKEY *key = NULL;
    if (!maker)
        maker = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
    if (!maker || EVP_PKEY_fromdata_init(maker) != 1 ||
        EVP_PKEY_fromdata(maker, &key, selection, params) != 1)
        err_fatal("libcrypto: an X25519 key was refused");
    return key;
}

/*
 * Given both halves, libcrypto computes neither from the other, which would cost a second
 * multiplication. It takes them as they are; agreement uses the private one only.
 */
static EVP_PKEY *open_own(const uint8_t *scalar, const uint8_t *point)
{
    uint8_t private_half[KEY_LEN], public_half[KEY_LEN];
    memcpy(private_half, scalar, KEY_LEN);
    memcpy(public_half, point, KEY_LEN);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, private_half, KEY_LEN),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, public_half, KEY_LEN),
        OSSL_PARAM_construct_end()};
    EVP_PKEY *key = make_key(EVP_PKEY_KEYPAIR, params);
    buf_wipe(private_half, sizeof(private_half));
    return key;
}

/* One object for all of them, in turn: making one costs a twentieth of its use. */
static EVP_PKEY *peer_of(const uint8_t *point)
{
    static EVP_PKEY *peer;
    uint8_t copy[KEY_LEN];
    memcpy(copy, point, KEY_LEN);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, KEY_LEN),
        OSSL_PARAM_construct_end()};
    if (!peer)
        peer = make_key(EVP_PKEY_PUBLIC_KEY, params);
    else if (EVP_PKEY_set1_encoded_public_key(peer, copy, KEY_LEN) != 1)
        err_fatal("libcrypto: an X25519 key was refused");
    return peer;
}

/* The last one is kept: a turn of a ratchet uses its new key twice. */
static EVP_PKEY_CTX *agreement_of(const uint8_t *scalar, const uint8_t *point)
{
    static EVP_PKEY_CTX *last;
    static uint8_t last_scalar[KEY_LEN];
    if (last && bytes_equal_secret(BYTES_ARRAY(last_scalar), BYTES(scalar, KEY_LEN)))
        return last;
    EVP_PKEY_CTX_free(last);
    EVP_PKEY *own = open_own(scalar, point);
    last = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    EVP_PKEY_free(own);
    if (!last || EVP_PKEY_derive_init(last) != 1)
        err_fatal("libcrypto: no X25519");
    memcpy(last_scalar, scalar, KEY_LEN);
    return last;
}

void wa_x25519(uint8_t out[32], const uint8_t scalar[32], const uint8_t point[32])
{
    size_t n = KEY_LEN;
    EVP_PKEY_CTX *ctx = agreement_of(scalar, point);
    if (EVP_PKEY_derive_set_peer_ex(ctx, peer_of(point), 0) != 1)
        err_fatal("libcrypto: no X25519");
    /* It fails where the result is zero, and only there; its queue of errors is TLS's. */
    ERR_set_mark();
    if (EVP_PKEY_derive(ctx, out, &n) != 1 || n != KEY_LEN)
        memset(out, 0, KEY_LEN);
    ERR_pop_to_mark();
}

int curve25519_donna(uint8_t *out, const uint8_t *scalar, const uint8_t *point)
{
    wa_x25519(out, scalar, point);
    return 0;
}
