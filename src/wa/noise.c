/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/noise.h"

#include "base/err.h"
#include "wa/crypto.h"
#include "wa/curve.h"

static void nonce_of(uint32_t counter, uint8_t nonce[WA_GCM_NONCE_LEN])
{
    memset(nonce, 0, WA_GCM_NONCE_LEN);
    for (size_t i = 0; i < 4; i++)
        nonce[WA_GCM_NONCE_LEN - 1 - i] = (uint8_t)(counter >> (8 * i));
}

/* ---- symmetric state ------------------------------------------------------------------------ */

void wa_noise_init(struct wa_noise *s, const char *protocol_name)
{
    struct bytes name = bytes_text(protocol_name);
    memset(s, 0, sizeof(*s));
    if (name.n <= sizeof(s->h))
        memcpy(s->h, name.p, name.n);
    else
        wa_sha256(s->h, &name, 1);
    memcpy(s->ck, s->h, sizeof(s->ck));
    memcpy(s->k, s->h, sizeof(s->k));
}

void wa_noise_mix_hash(struct wa_noise *s, struct bytes data)
{
    struct bytes parts[] = {BYTES_ARRAY(s->h), data};
    wa_sha256(s->h, parts, ARRAY_LEN(parts));
}

/* The two keys that HKDF makes of the chaining key and ikm. */
static void derive(const struct wa_noise *s, struct bytes ikm, uint8_t first[32],
                   uint8_t second[32])
{
    uint8_t both[64];
    wa_hkdf_sha256(both, sizeof(both), ikm, BYTES_ARRAY(s->ck), BYTES_NONE);
    memcpy(first, both, 32);
    memcpy(second, both + 32, 32);
    buf_wipe(both, sizeof(both));
}

void wa_noise_mix_key(struct wa_noise *s, struct bytes ikm)
{
    derive(s, ikm, s->ck, s->k);
    s->n = 0;
}

int wa_noise_mix_dh(struct wa_noise *s, const uint8_t priv[32], const uint8_t pub[32])
{
    uint8_t shared[WA_KEY_LEN];
    int rc = wa_curve_agree(shared, priv, pub);
    if (rc == 0)
        wa_noise_mix_key(s, BYTES_ARRAY(shared));
    buf_wipe(shared, sizeof(shared));
    return rc;
}

int wa_noise_encrypt(struct wa_noise *s, struct bytes plain, struct buf *out)
{
    uint8_t nonce[WA_GCM_NONCE_LEN];
    size_t before = out->n;
    nonce_of(s->n, nonce);
    int rc = wa_gcm_seal(out, s->k, nonce, BYTES_ARRAY(s->h), plain);
    if (rc)
        return rc;
    s->n++;
    wa_noise_mix_hash(s, BYTES(out->p + before, out->n - before));
    return 0;
}

int wa_noise_decrypt(struct wa_noise *s, struct bytes sealed, struct buf *out)
{
    uint8_t nonce[WA_GCM_NONCE_LEN];
    nonce_of(s->n, nonce);
    int rc = wa_gcm_open(out, s->k, nonce, BYTES_ARRAY(s->h), sealed);
    if (rc)
        return rc;
    s->n++;
    wa_noise_mix_hash(s, sealed);
    return 0;
}

void wa_noise_split(struct wa_noise *s, struct wa_cipher *client_to_server,
                    struct wa_cipher *server_to_client)
{
    *client_to_server = *server_to_client = (struct wa_cipher){0};
    derive(s, BYTES_NONE, client_to_server->key, server_to_client->key);
    buf_wipe(s, sizeof(*s));
}

/* ---- transport ------------------------------------------------------------------------------ */

void wa_cipher_prepare(struct wa_cipher *c)
{
    wa_gcm_free(c->prepared);
    c->prepared = wa_gcm_begin(c->key);
}

void wa_cipher_deinit(struct wa_cipher *c)
{
    wa_gcm_free(c->prepared);
    buf_wipe(c, sizeof(*c));
}

int wa_cipher_seal(struct wa_cipher *c, struct bytes plain, struct buf *out)
{
    uint8_t nonce[WA_GCM_NONCE_LEN];
    if (c->counter == UINT32_MAX)
        return ERR_STATE;
    nonce_of(c->counter, nonce);
    int rc = c->prepared ? wa_gcm_seal_next(c->prepared, out, nonce, BYTES_NONE, plain)
                         : wa_gcm_seal(out, c->key, nonce, BYTES_NONE, plain);
    if (rc == 0)
        c->counter++;
    return rc;
}

int wa_cipher_open(struct wa_cipher *c, struct bytes sealed, struct buf *out)
{
    uint8_t nonce[WA_GCM_NONCE_LEN];
    if (c->counter == UINT32_MAX)
        return ERR_STATE;
    nonce_of(c->counter, nonce);
    int rc = c->prepared ? wa_gcm_open_next(c->prepared, out, nonce, BYTES_NONE, sealed)
                         : wa_gcm_open(out, c->key, nonce, BYTES_NONE, sealed);
    if (rc == 0)
        c->counter++;
    return rc;
}
