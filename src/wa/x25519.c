/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The functions of libcrypto's provider are called as its own EVP layer calls them
 * (provider-keymgmt(7), provider-keyexch(7)): making an EVP_PKEY walks all names of all algorithms
 * that libcrypto knows, which costs a tenth of what the key is made for, at every turn of a
 * ratchet.
 */
#include "wa/x25519.h"

#include <string.h>
/* libcrypto has a type of this name, which our error code must not meet. */
#define ERR_STATE openssl_err_state
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#undef ERR_STATE

#include "base/buf.h"
#include "base/err.h"

#define KEY_LEN 32
#define NAME "X25519"

struct functions {
    EVP_KEYEXCH *exchange; /* stays fetched, and with it its provider */
    void *provider;
    OSSL_FUNC_keymgmt_new_fn *key_new;
    OSSL_FUNC_keymgmt_import_fn *key_import;
    OSSL_FUNC_keymgmt_free_fn *key_free;
    OSSL_FUNC_keyexch_newctx_fn *agreement_new;
    OSSL_FUNC_keyexch_init_fn *agreement_init;
    OSSL_FUNC_keyexch_set_peer_fn *agreement_set_peer;
    OSSL_FUNC_keyexch_derive_fn *agreement_derive;
    OSSL_FUNC_keyexch_freectx_fn *agreement_free;
};

static void must(bool ok)
{
    if (!ok)
        err_fatal("libcrypto: no X25519");
}

/* What one operation of the provider is made of; the first of an algorithm's names is enough. */
static const OSSL_DISPATCH *implementation(const OSSL_PROVIDER *provider, int operation)
{
    int no_cache;
    const OSSL_ALGORITHM *a = OSSL_PROVIDER_query_operation(provider, operation, &no_cache);
    for (; a && a->algorithm_names; a++) {
        size_t n = strcspn(a->algorithm_names, ":");
        if (bytes_is(BYTES(a->algorithm_names, n), NAME))
            return a->implementation;
    }
    err_fatal("libcrypto: no " NAME);
}

static void find_key_functions(struct functions *f, const OSSL_DISPATCH *d)
{
    for (; d->function_id; d++) {
        if (d->function_id == OSSL_FUNC_KEYMGMT_NEW)
            f->key_new = OSSL_FUNC_keymgmt_new(d);
        else if (d->function_id == OSSL_FUNC_KEYMGMT_IMPORT)
            f->key_import = OSSL_FUNC_keymgmt_import(d);
        else if (d->function_id == OSSL_FUNC_KEYMGMT_FREE)
            f->key_free = OSSL_FUNC_keymgmt_free(d);
    }
    must(f->key_new && f->key_import && f->key_free);
}

static void find_agreement_functions(struct functions *f, const OSSL_DISPATCH *d)
{
    for (; d->function_id; d++) {
        if (d->function_id == OSSL_FUNC_KEYEXCH_NEWCTX)
            f->agreement_new = OSSL_FUNC_keyexch_newctx(d);
        else if (d->function_id == OSSL_FUNC_KEYEXCH_INIT)
            f->agreement_init = OSSL_FUNC_keyexch_init(d);
        else if (d->function_id == OSSL_FUNC_KEYEXCH_SET_PEER)
            f->agreement_set_peer = OSSL_FUNC_keyexch_set_peer(d);
        else if (d->function_id == OSSL_FUNC_KEYEXCH_DERIVE)
            f->agreement_derive = OSSL_FUNC_keyexch_derive(d);
        else if (d->function_id == OSSL_FUNC_KEYEXCH_FREECTX)
            f->agreement_free = OSSL_FUNC_keyexch_freectx(d);
    }
    must(f->agreement_new && f->agreement_init && f->agreement_set_peer && f->agreement_derive &&
         f->agreement_free);
}

/* Looked up once and never changed again. */
static const struct functions *functions(void)
{
    static struct functions found;
    if (found.provider)
        return &found;
    found.exchange = EVP_KEYEXCH_fetch(NULL, NAME, NULL);
    must(found.exchange != NULL);
    const OSSL_PROVIDER *provider = EVP_KEYEXCH_get0_provider(found.exchange);
    find_key_functions(&found, implementation(provider, OSSL_OP_KEYMGMT));
    find_agreement_functions(&found, implementation(provider, OSSL_OP_KEYEXCH));
    found.provider = OSSL_PROVIDER_get0_provider_ctx(provider);
    must(found.provider != NULL);
    return &found;
}

static void *open_key(const struct functions *f, int selection, const OSSL_PARAM *params)
{
    void *key = f->key_new(f->provider);
    must(key && f->key_import(key, selection, params) == 1);
    return key;
}

/*
 * Given both halves, libcrypto computes neither from the other, which would cost a second
 * multiplication. It takes them as they are; agreement uses the private one only.
 */
static void *open_own(const struct functions *f, const uint8_t *scalar, const uint8_t *point)
{
    uint8_t private_half[KEY_LEN], public_half[KEY_LEN];
    memcpy(private_half, scalar, KEY_LEN);
    memcpy(public_half, point, KEY_LEN);
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, private_half, KEY_LEN),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, public_half, KEY_LEN),
        OSSL_PARAM_construct_end()};
    void *key = open_key(f, OSSL_KEYMGMT_SELECT_KEYPAIR, params);
    buf_wipe(private_half, sizeof(private_half));
    return key;
}

static void *open_peer(const struct functions *f, const uint8_t *point)
{
    uint8_t copy[KEY_LEN];
    memcpy(copy, point, KEY_LEN);
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, KEY_LEN),
        OSSL_PARAM_construct_end()};
    return open_key(f, OSSL_KEYMGMT_SELECT_PUBLIC_KEY, params);
}

void wa_x25519(uint8_t out[32], const uint8_t scalar[32], const uint8_t point[32])
{
    size_t n = KEY_LEN;
    const struct functions *f = functions();
    void *own = open_own(f, scalar, point), *peer = open_peer(f, point);
    void *agreement = f->agreement_new(f->provider);
    must(agreement && f->agreement_init(agreement, own, NULL) == 1 &&
         f->agreement_set_peer(agreement, peer) == 1);
    /* It fails where the result is zero, and only there; its queue of errors is TLS's. */
    ERR_set_mark();
    if (f->agreement_derive(agreement, out, &n, KEY_LEN) != 1 || n != KEY_LEN)
        memset(out, 0, KEY_LEN);
    ERR_pop_to_mark();
    f->agreement_free(agreement);
    f->key_free(peer);
    f->key_free(own);
}
