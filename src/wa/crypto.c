/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/crypto.h"

#include <limits.h>

/* libcrypto has a type of this name, which our error code must not meet. */
#define ERR_STATE openssl_err_state
#include <openssl/evp.h>
#undef ERR_STATE

#include "base/err.h"

#define CBC_BLOCK 16

static void must(bool ok, const char *what)
{
    if (!ok)
        err_fatal("libcrypto: %s failed", what);
}

/*
 * Algorithms, looked up once and never changed again: the old names (EVP_sha256 and the like) make
 * libcrypto look them up at every use, which takes longer than hashing a block.
 */
static EVP_CIPHER *cipher_algorithm(EVP_CIPHER **found, const char *name)
{
    if (!*found)
        *found = EVP_CIPHER_fetch(NULL, name, NULL);
    must(*found != NULL, name);
    return *found;
}

/* ---- AES-256-GCM ---------------------------------------------------------------------------- */

static EVP_CIPHER_CTX *gcm_context(void)
{
    static EVP_CIPHER *gcm;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    must(ctx && EVP_CipherInit_ex2(ctx, cipher_algorithm(&gcm, "AES-256-GCM"), NULL, NULL, 1,
                                   NULL) == 1,
         "GCM");
    return ctx;
}

/* One for all uses in turn: giving it a key costs less than making another. */
static EVP_CIPHER_CTX *shared_gcm(void)
{
    static EVP_CIPHER_CTX *kept;
    if (!kept)
        kept = gcm_context();
    return kept;
}

/* Lets ctx stand behind the associated data; key is NULL where it has one, seal 1, or 0 to open. */
static void gcm_start(EVP_CIPHER_CTX *ctx, const uint8_t *key, const uint8_t *nonce,
                      struct bytes aad, int seal)
{
    int n;
    must(EVP_CipherInit_ex2(ctx, NULL, key, nonce, seal, NULL) == 1, "GCM init");
    must(aad.n <= INT_MAX, "GCM: length of associated data");
    if (aad.n)
        must(EVP_CipherUpdate(ctx, NULL, &n, aad.p, (int)aad.n) == 1, "GCM associated data");
}

static int gcm_seal(EVP_CIPHER_CTX *ctx, struct buf *out, const uint8_t *key, const uint8_t *nonce,
                    struct bytes aad, struct bytes plain)
{
    int n = 0;
    if (plain.n > INT_MAX - WA_GCM_TAG_LEN)
        return ERR_LIMIT;
    uint8_t *at = buf_reserve(out, plain.n + WA_GCM_TAG_LEN);
    if (!at)
        return ERR_LIMIT;
    gcm_start(ctx, key, nonce, aad, 1);
    if (plain.n)
        must(EVP_CipherUpdate(ctx, at, &n, plain.p, (int)plain.n) == 1, "GCM seal");
    must(EVP_CipherFinal_ex(ctx, at + n, &n) == 1, "GCM seal");
    must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, WA_GCM_TAG_LEN, at + plain.n) == 1,
         "GCM tag");
    out->n += plain.n + WA_GCM_TAG_LEN;
    return 0;
}

static int gcm_open(EVP_CIPHER_CTX *ctx, struct buf *out, const uint8_t *key, const uint8_t *nonce,
                    struct bytes aad, struct bytes sealed)
{
    int n = 0;
    uint8_t nothing[1], tag[WA_GCM_TAG_LEN];
    if (sealed.n < WA_GCM_TAG_LEN)
        return ERR_INVALID;
    size_t plain_n = sealed.n - WA_GCM_TAG_LEN;
    uint8_t *at = plain_n ? buf_reserve(out, plain_n) : nothing;
    if (!at || plain_n > INT_MAX)
        return ERR_LIMIT;
    memcpy(tag, sealed.p + plain_n, WA_GCM_TAG_LEN);
    gcm_start(ctx, key, nonce, aad, 0);
    must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, WA_GCM_TAG_LEN, tag) == 1, "GCM tag");
    if (plain_n)
        must(EVP_CipherUpdate(ctx, at, &n, sealed.p, (int)plain_n) == 1, "GCM open");
    bool genuine = EVP_CipherFinal_ex(ctx, at + n, &n) == 1;
    if (!genuine) {
        buf_wipe(at, plain_n);
        return ERR_AUTH;
    }
    out->n += plain_n;
    return 0;
}

int wa_gcm_seal(struct buf *out, const uint8_t key[32], const uint8_t nonce[12], struct bytes aad,
                struct bytes plain)
{
    return gcm_seal(shared_gcm(), out, key, nonce, aad, plain);
}

int wa_gcm_open(struct buf *out, const uint8_t key[32], const uint8_t nonce[12], struct bytes aad,
                struct bytes sealed)
{
    return gcm_open(shared_gcm(), out, key, nonce, aad, sealed);
}

struct wa_gcm {
    EVP_CIPHER_CTX *ctx;
};

struct wa_gcm *wa_gcm_begin(const uint8_t key[32])
{
    struct wa_gcm *g = err_calloc(1, sizeof(*g));
    g->ctx = gcm_context();
    must(EVP_CipherInit_ex2(g->ctx, NULL, key, NULL, 1, NULL) == 1, "GCM key");
    return g;
}

int wa_gcm_seal_next(struct wa_gcm *g, struct buf *out, const uint8_t nonce[12], struct bytes aad,
                     struct bytes plain)
{
    return gcm_seal(g->ctx, out, NULL, nonce, aad, plain);
}

int wa_gcm_open_next(struct wa_gcm *g, struct buf *out, const uint8_t nonce[12], struct bytes aad,
                     struct bytes sealed)
{
    return gcm_open(g->ctx, out, NULL, nonce, aad, sealed);
}

void wa_gcm_free(struct wa_gcm *g)
{
    if (!g)
        return;
    EVP_CIPHER_CTX_free(g->ctx);
    free(g);
}

/* ---- AES-CBC -------------------------------------------------------------------------------- */

static const EVP_CIPHER *cbc_cipher(struct bytes key, struct bytes iv)
{
    static EVP_CIPHER *found[3];
    if (iv.n != CBC_BLOCK)
        return NULL;
    switch (key.n) {
    case 16:
        return cipher_algorithm(&found[0], "AES-128-CBC");
    case 24:
        return cipher_algorithm(&found[1], "AES-192-CBC");
    case 32:
        return cipher_algorithm(&found[2], "AES-256-CBC");
    default:
        return NULL;
    }
}

static int cbc_run(struct buf *out, struct bytes key, struct bytes iv, struct bytes in, int encrypt)
{
    int n = 0, last = 0;
    const EVP_CIPHER *cipher = cbc_cipher(key, iv);
    if (!cipher)
        return ERR_INVALID;
    /* libcrypto may want one block more than the input, in both directions. */
    uint8_t *at = in.n <= INT_MAX - CBC_BLOCK ? buf_reserve(out, in.n + CBC_BLOCK) : NULL;
    if (!at)
        return ERR_LIMIT;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    must(ctx && EVP_CipherInit_ex2(ctx, cipher, key.p, iv.p, encrypt, NULL) == 1, "CBC init");
    if (in.n)
        must(EVP_CipherUpdate(ctx, at, &n, in.p, (int)in.n) == 1, "CBC update");
    bool padded = EVP_CipherFinal_ex(ctx, at + n, &last) == 1;
    EVP_CIPHER_CTX_free(ctx);
    must(padded || !encrypt, "CBC final");
    if (!padded) {
        buf_wipe(at, in.n);
        return ERR_INVALID;
    }
    out->n += (size_t)n + (size_t)last;
    return 0;
}

int wa_cbc_encrypt(struct buf *out, struct bytes key, struct bytes iv, struct bytes plain)
{
    return cbc_run(out, key, iv, plain, 1);
}

int wa_cbc_decrypt(struct buf *out, struct bytes key, struct bytes iv, struct bytes sealed)
{
    return cbc_run(out, key, iv, sealed, 0);
}

struct wa_cbc {
    EVP_CIPHER_CTX *ctx;
};

struct wa_cbc *wa_cbc_decrypt_begin(const uint8_t key[32], const uint8_t iv[16])
{
    struct wa_cbc *c = err_calloc(1, sizeof(*c));
    c->ctx = EVP_CIPHER_CTX_new();
    must(c->ctx && EVP_CipherInit_ex2(c->ctx, cbc_cipher(BYTES(key, 32), BYTES(iv, CBC_BLOCK)), key,
                                      iv, 0, NULL) == 1,
         "CBC init");
    return c;
}

int wa_cbc_update(struct wa_cbc *c, struct bytes sealed, struct buf *out)
{
    int n = 0;
    uint8_t *at = sealed.n <= INT_MAX - CBC_BLOCK ? buf_reserve(out, sealed.n + CBC_BLOCK) : NULL;
    if (!at)
        return ERR_LIMIT;
    if (sealed.n)
        must(EVP_CipherUpdate(c->ctx, at, &n, sealed.p, (int)sealed.n) == 1, "CBC update");
    out->n += (size_t)n;
    return 0;
}

int wa_cbc_final(struct wa_cbc *c, struct buf *out)
{
    int n = 0;
    uint8_t *at = buf_reserve(out, CBC_BLOCK);
    if (!at)
        return ERR_LIMIT;
    if (EVP_CipherFinal_ex(c->ctx, at, &n) != 1)
        return ERR_INVALID;
    out->n += (size_t)n;
    return 0;
}

void wa_cbc_free(struct wa_cbc *c)
{
    if (!c)
        return;
    EVP_CIPHER_CTX_free(c->ctx);
    free(c);
}

/* ---- linking by code ------------------------------------------------------------------------ */

void wa_pbkdf2_sha256(uint8_t out[32], struct bytes password, struct bytes salt, int iterations)
{
    must(password.n <= INT_MAX && salt.n <= INT_MAX, "PBKDF2: lengths");
    must(PKCS5_PBKDF2_HMAC((const char *)password.p, (int)password.n, salt.p, (int)salt.n,
                           iterations, EVP_sha256(), 32, out) == 1,
         "PBKDF2");
}

void wa_ctr_crypt(uint8_t *out, const uint8_t key[32], const uint8_t iv[16], struct bytes in)
{
    int n = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    must(ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_ctr(), NULL, key, iv, 1) == 1, "CTR init");
    must(in.n <= INT_MAX && EVP_CipherUpdate(ctx, out, &n, in.p, (int)in.n) == 1, "CTR");
    EVP_CIPHER_CTX_free(ctx);
}
