/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Digests, HMAC (RFC 2104) and HKDF (RFC 5869), declared in wa/crypto.h. A message takes some
 * thirty HMACs of a block or two, for which libcrypto's EVP calls take as long to find their way as
 * to hash. Its low-level functions are the same assembler without that way. They are deprecated
 * since 3.0 because they know no providers, not for what they compute.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/md5.h>
#include <openssl/sha.h>

#include "base/err.h"
#include "wa/crypto.h"

#define HMAC_BLOCK 64
#define HMAC_SHA512_BLOCK 128
#define HMAC_INNER 0x36
#define HMAC_OUTER 0x5c
#define HKDF_MAX (255 * WA_SHA256_LEN)

void wa_sha256(uint8_t out[32], const struct bytes *parts, size_t count)
{
    SHA256_CTX ctx;
    SHA256_Init(&ctx);
    for (size_t i = 0; i < count; i++)
        SHA256_Update(&ctx, parts[i].p, parts[i].n);
    SHA256_Final(out, &ctx);
    buf_wipe(&ctx, sizeof(ctx));
}

void wa_sha1(uint8_t out[20], const struct bytes *parts, size_t count)
{
    SHA_CTX ctx;
    SHA1_Init(&ctx);
    for (size_t i = 0; i < count; i++)
        SHA1_Update(&ctx, parts[i].p, parts[i].n);
    SHA1_Final(out, &ctx);
    buf_wipe(&ctx, sizeof(ctx));
}

void wa_md5(uint8_t out[16], struct bytes data)
{
    MD5(data.p, data.n, out);
}

/* ---- HMAC and HKDF -------------------------------------------------------------------------- */

/* A key: the two hashes, each behind its pad. */
struct hmac {
    SHA256_CTX inner, outer;
};

static void hash_pad(SHA256_CTX *ctx, uint8_t pad[HMAC_BLOCK], uint8_t change)
{
    for (size_t i = 0; i < HMAC_BLOCK; i++)
        pad[i] ^= change;
    SHA256_Init(ctx);
    SHA256_Update(ctx, pad, HMAC_BLOCK);
}

static void hmac_key(struct hmac *h, struct bytes key)
{
    uint8_t pad[HMAC_BLOCK] = {0};
    if (key.n > sizeof(pad))
        wa_sha256(pad, &key, 1);
    else if (key.n > 0)
        memcpy(pad, key.p, key.n);
    hash_pad(&h->inner, pad, HMAC_INNER);
    hash_pad(&h->outer, pad, HMAC_INNER ^ HMAC_OUTER);
    buf_wipe(pad, sizeof(pad));
}

/* Uses up h, which is the caller's to wipe. */
static void hmac_final(struct hmac *h, uint8_t out[WA_SHA256_LEN])
{
    SHA256_Final(out, &h->inner);
    SHA256_Update(&h->outer, out, WA_SHA256_LEN);
    SHA256_Final(out, &h->outer);
}

/* One more use of a key. */
static void hmac_with(const struct hmac *key, uint8_t out[WA_SHA256_LEN], const struct bytes *parts,
                      size_t count)
{
    struct hmac h = *key;
    for (size_t i = 0; i < count; i++)
        SHA256_Update(&h.inner, parts[i].p, parts[i].n);
    hmac_final(&h, out);
    buf_wipe(&h, sizeof(h));
}

void wa_hmac_sha256(uint8_t out[32], struct bytes key, const struct bytes *parts, size_t count)
{
    struct hmac h;
    hmac_key(&h, key);
    for (size_t i = 0; i < count; i++)
        SHA256_Update(&h.inner, parts[i].p, parts[i].n);
    hmac_final(&h, out);
    buf_wipe(&h, sizeof(h));
}

void wa_hmac_sha512(uint8_t out[64], struct bytes key, const struct bytes *parts, size_t count)
{
    SHA512_CTX ctx;
    uint8_t pad[HMAC_SHA512_BLOCK] = {0};
    if (key.n > sizeof(pad))
        err_fatal("HMAC-SHA512: a key of %zu bytes", key.n);
    if (key.n > 0)
        memcpy(pad, key.p, key.n);
    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= HMAC_INNER;
    SHA512_Init(&ctx);
    SHA512_Update(&ctx, pad, sizeof(pad));
    for (size_t i = 0; i < count; i++)
        SHA512_Update(&ctx, parts[i].p, parts[i].n);
    SHA512_Final(out, &ctx);
    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= HMAC_INNER ^ HMAC_OUTER;
    SHA512_Init(&ctx);
    SHA512_Update(&ctx, pad, sizeof(pad));
    SHA512_Update(&ctx, out, 64);
    SHA512_Final(out, &ctx);
    buf_wipe(&ctx, sizeof(ctx));
    buf_wipe(pad, sizeof(pad));
}

void wa_hkdf_sha256(uint8_t *out, size_t n, struct bytes ikm, struct bytes salt, struct bytes info)
{
    struct hmac prk;
    uint8_t block[WA_SHA256_LEN];
    if (n > HKDF_MAX)
        err_fatal("HKDF: an output of %zu bytes", n);
    /* A key is padded with zeros anyway: none is the same as the 32 of an absent salt. */
    wa_hmac_sha256(block, salt, &ikm, 1);
    hmac_key(&prk, BYTES_ARRAY(block));
    size_t block_len = 0;
    for (uint8_t counter = 1; n > 0; counter++) {
        struct bytes parts[] = {BYTES(block, block_len), info, BYTES(&counter, 1)};
        hmac_with(&prk, block, parts, ARRAY_LEN(parts));
        block_len = n < sizeof(block) ? n : sizeof(block);
        memcpy(out, block, block_len);
        out += block_len;
        n -= block_len;
    }
    buf_wipe(&prk, sizeof(prk));
    buf_wipe(block, sizeof(block));
}

/* ---- piece by piece ------------------------------------------------------------------------- */

enum digest_kind { DIGEST_SHA256, DIGEST_SHA512, DIGEST_HMAC };

struct wa_digest {
    enum digest_kind kind;
    union {
        SHA256_CTX sha256;
        SHA512_CTX sha512;
        struct hmac hmac;
    } of;
};

static struct wa_digest *digest_new(enum digest_kind kind)
{
    struct wa_digest *d = err_calloc(1, sizeof(*d));
    d->kind = kind;
    return d;
}

struct wa_digest *wa_hmac_sha256_begin(struct bytes key)
{
    struct wa_digest *d = digest_new(DIGEST_HMAC);
    hmac_key(&d->of.hmac, key);
    return d;
}

struct wa_digest *wa_sha256_begin(void)
{
    struct wa_digest *d = digest_new(DIGEST_SHA256);
    SHA256_Init(&d->of.sha256);
    return d;
}

struct wa_digest *wa_sha512_begin(void)
{
    struct wa_digest *d = digest_new(DIGEST_SHA512);
    SHA512_Init(&d->of.sha512);
    return d;
}

void wa_digest_update(struct wa_digest *d, struct bytes data)
{
    switch (d->kind) {
    case DIGEST_SHA256:
        SHA256_Update(&d->of.sha256, data.p, data.n);
        break;
    case DIGEST_SHA512:
        SHA512_Update(&d->of.sha512, data.p, data.n);
        break;
    case DIGEST_HMAC:
        SHA256_Update(&d->of.hmac.inner, data.p, data.n);
        break;
    }
}

size_t wa_digest_final(struct wa_digest *d, uint8_t out[64])
{
    switch (d->kind) {
    case DIGEST_SHA256:
        SHA256_Final(out, &d->of.sha256);
        SHA256_Init(&d->of.sha256);
        return WA_SHA256_LEN;
    case DIGEST_SHA512:
        SHA512_Final(out, &d->of.sha512);
        SHA512_Init(&d->of.sha512);
        return SHA512_DIGEST_LENGTH;
    case DIGEST_HMAC:
        hmac_final(&d->of.hmac, out);
        return WA_SHA256_LEN;
    }
    return 0;
}

void wa_digest_free(struct wa_digest *d)
{
    if (!d)
        return;
    buf_wipe(d, sizeof(*d));
    free(d);
}
