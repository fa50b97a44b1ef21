/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The door to OpenSSL libcrypto: hashes, MACs, key derivation and ciphers over plain bytes. */
#ifndef WA_CRYPTO_H
#define WA_CRYPTO_H

#include "base/buf.h"

#define WA_SHA256_LEN 32
#define WA_GCM_TAG_LEN 16
#define WA_GCM_NONCE_LEN 12

/* Concatenation of parts is hashed; each part may be BYTES_NONE. Failures of libcrypto abort. */
void wa_sha256(uint8_t out[32], const struct bytes *parts, size_t count);
#define WA_SHA1_LEN 20
void wa_sha1(uint8_t out[WA_SHA1_LEN], const struct bytes *parts, size_t count);
void wa_md5(uint8_t out[16], struct bytes data);
void wa_hmac_sha256(uint8_t out[32], struct bytes key, const struct bytes *parts, size_t count);
/* key.n <= 128. */
void wa_hmac_sha512(uint8_t out[64], struct bytes key, const struct bytes *parts, size_t count);
/* RFC 5869. An absent salt is 32 zero bytes. n <= 8160. */
void wa_hkdf_sha256(uint8_t *out, size_t n, struct bytes ikm, struct bytes salt, struct bytes info);

/* AES-256-GCM, 16-byte tag behind the ciphertext. seal appends plain.n + 16 bytes: 0 or ERR_LIMIT.
 * open appends the plaintext: 0, ERR_AUTH when the tag is wrong (nothing appended), ERR_INVALID
 * when shorter than a tag, ERR_LIMIT. */
int wa_gcm_seal(struct buf *out, const uint8_t key[32], const uint8_t nonce[12], struct bytes aad,
                struct bytes plain);
int wa_gcm_open(struct buf *out, const uint8_t key[32], const uint8_t nonce[12], struct bytes aad,
                struct bytes sealed);

/* The same for a key that seals or opens many: preparing it takes as long as sealing a hundred
 * bytes. Owned until _free, which wipes it. */
struct wa_gcm;
struct wa_gcm *wa_gcm_begin(const uint8_t key[32]);
int wa_gcm_seal_next(struct wa_gcm *g, struct buf *out, const uint8_t nonce[12], struct bytes aad,
                     struct bytes plain);
int wa_gcm_open_next(struct wa_gcm *g, struct buf *out, const uint8_t nonce[12], struct bytes aad,
                     struct bytes sealed);
void wa_gcm_free(struct wa_gcm *g);

/* AES-CBC with PKCS#7 padding, for the Signal library. key.n is 16, 24 or 32, iv.n 16. Appends to
 * out: 0, ERR_INVALID (lengths, padding), ERR_LIMIT. */
int wa_cbc_encrypt(struct buf *out, struct bytes key, struct bytes iv, struct bytes plain);
int wa_cbc_decrypt(struct buf *out, struct bytes key, struct bytes iv, struct bytes sealed);

/* 32 bytes of key from a password. */
void wa_pbkdf2_sha256(uint8_t out[32], struct bytes password, struct bytes salt, int iterations);
/* AES-256-CTR, both directions; iv is the first counter block. out is as long as in. */
void wa_ctr_crypt(uint8_t *out, const uint8_t key[32], const uint8_t iv[16], struct bytes in);

/* Incremental forms for the Signal library's provider; owned until _free. */
struct wa_digest;
struct wa_digest *wa_hmac_sha256_begin(struct bytes key);
struct wa_digest *wa_sha256_begin(void);
struct wa_digest *wa_sha512_begin(void);
void wa_digest_update(struct wa_digest *d, struct bytes data);
/* Writes 32 (SHA-256, HMAC) or 64 (SHA-512) bytes and returns how many; a hash then starts anew. */
size_t wa_digest_final(struct wa_digest *d, uint8_t out[64]);
void wa_digest_free(struct wa_digest *d);

/* AES-256-CBC with PKCS#7 padding, piece by piece; owned until _free. update and final append to
 * out: 0, ERR_LIMIT, and final ERR_INVALID (length, padding). */
struct wa_cbc;
struct wa_cbc *wa_cbc_decrypt_begin(const uint8_t key[32], const uint8_t iv[16]);
int wa_cbc_update(struct wa_cbc *c, struct bytes sealed, struct buf *out);
int wa_cbc_final(struct wa_cbc *c, struct buf *out);
void wa_cbc_free(struct wa_cbc *c);

#endif
