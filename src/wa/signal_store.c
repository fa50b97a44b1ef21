/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the Signal library is given: primitives, and its five stores over the overlay. */
#include <stdio.h>
#include <zlib.h>

#include "base/err.h"
#include "base/text.h"
#include "wa/crypto.h"
#include "wa/signal_internal.h"

#define KEY_TYPE 0x05
#define KEY_PAIR_LEN (2 * WA_KEY_LEN)

/* ---- primitives (protocol/04 section 14.2) --------------------------------------------------- */

static int give(signal_buffer **out, struct bytes data)
{
    *out = signal_buffer_create(data.p, data.n);
    return *out ? SG_SUCCESS : SG_ERR_NOMEM;
}

static int give_random(uint8_t *data, size_t n, void *ctx)
{
    const struct wa_signal *s = ctx;
    s->overlay.host->random(s->overlay.host->ctx, data, n);
    return SG_SUCCESS;
}

static int hmac_init(void **digest, const uint8_t *key, size_t n, void *ctx)
{
    (void)ctx;
    *digest = wa_hmac_sha256_begin(BYTES(key, n));
    return SG_SUCCESS;
}

static int sha512_init(void **digest, void *ctx)
{
    (void)ctx;
    *digest = wa_sha512_begin();
    return SG_SUCCESS;
}

static int digest_update(void *digest, const uint8_t *data, size_t n, void *ctx)
{
    (void)ctx;
    wa_digest_update(digest, BYTES(data, n));
    return SG_SUCCESS;
}

static int digest_final(void *digest, signal_buffer **out, void *ctx)
{
    uint8_t sum[64];
    (void)ctx;
    int rc = give(out, BYTES(sum, wa_digest_final(digest, sum)));
    buf_wipe(sum, sizeof(sum));
    return rc;
}

static void digest_cleanup(void *digest, void *ctx)
{
    (void)ctx;
    wa_digest_free(digest);
}

typedef int cbc_function(struct buf *out, struct bytes key, struct bytes iv, struct bytes in);

/* The message error is what a wrong padding is to the caller (protocol/04 section 12). */
static int run_cbc(cbc_function *run, signal_buffer **out, int cipher, struct bytes key,
                   struct bytes iv, struct bytes in)
{
    struct buf made;
    if (cipher != SG_CIPHER_AES_CBC_PKCS5)
        return SG_ERR_INVAL;
    buf_init_secret(&made, in.n + 64);
    int rc = run(&made, key, iv, in);
    rc = rc == 0 ? give(out, buf_bytes(&made)) : SG_ERR_INVALID_MESSAGE;
    buf_deinit(&made);
    return rc;
}

static int encrypt_cbc(signal_buffer **out, int cipher, const uint8_t *key, size_t key_n,
                       const uint8_t *iv, size_t iv_n, const uint8_t *in, size_t in_n, void *ctx)
{
    (void)ctx;
    return run_cbc(wa_cbc_encrypt, out, cipher, BYTES(key, key_n), BYTES(iv, iv_n),
                   BYTES(in, in_n));
}

static int decrypt_cbc(signal_buffer **out, int cipher, const uint8_t *key, size_t key_n,
                       const uint8_t *iv, size_t iv_n, const uint8_t *in, size_t in_n, void *ctx)
{
    (void)ctx;
    return run_cbc(wa_cbc_decrypt, out, cipher, BYTES(key, key_n), BYTES(iv, iv_n),
                   BYTES(in, in_n));
}

/* ---- keys of records ------------------------------------------------------------------------- */

void wa_signal_peer_init(struct wa_signal_peer *p, const struct wa_jid *jid)
{
    wa_jid_signal_name(jid, p->name);
    p->at = (signal_protocol_address){
        .name = p->name, .name_len = strlen(p->name), .device_id = jid->device};
}

static void put_address(struct text_pen *pen, const signal_protocol_address *at)
{
    text_pen_put(pen, BYTES(at->name, at->name_len));
    text_pen_text(pen, ":");
    text_pen_u64(pen, (uint32_t)at->device_id);
}

void wa_signal_peer_key(const signal_protocol_address *at, char out[WA_KEY_MAX])
{
    struct text_pen pen = text_pen(out, WA_KEY_MAX);
    put_address(&pen, at);
}

void wa_signal_sender_key(const signal_protocol_sender_key_name *name, char out[WA_KEY_MAX])
{
    struct text_pen pen = text_pen(out, WA_KEY_MAX);
    text_pen_put(&pen, BYTES(name->group_id, name->group_id_len));
    text_pen_text(&pen, "/");
    put_address(&pen, &name->sender);
}

void wa_signal_typed_key(uint8_t out[1 + WA_KEY_LEN], const uint8_t key[WA_KEY_LEN])
{
    out[0] = KEY_TYPE;
    memcpy(out + 1, key, WA_KEY_LEN);
}

/* ---- sessions -------------------------------------------------------------------------------- */

/* The overlay remembers why it refused; to the library all refusals are one. */
static int refused(int rc)
{
    return rc < 0 ? SG_ERR_UNKNOWN : rc;
}

static int load(struct wa_signal *s, enum wa_table table, const char *key, signal_buffer **out)
{
    struct bytes value;
    int rc = wa_overlay_get(&s->overlay, table, key, &value);
    if (rc != 1)
        return refused(rc);
    return give(out, value) == SG_SUCCESS ? 1 : SG_ERR_NOMEM;
}

static uint32_t sum_of(struct bytes record)
{
    return (uint32_t)crc32(crc32(0, NULL, 0), record.p, (uInt)record.n);
}

void wa_signal_know(struct wa_signal *s, struct bytes record)
{
    s->known.sums[s->known.count++ % WA_SIGNAL_KNOWN] = sum_of(record);
}

bool wa_signal_knows(const struct wa_signal *s, struct bytes record)
{
    uint32_t sum = sum_of(record);
    for (unsigned i = 0; i < WA_SIGNAL_KNOWN && i < s->known.count; i++)
        if (s->known.sums[i] == sum)
            return true;
    return false;
}

static int load_session(signal_buffer **record, signal_buffer **extra,
                        const signal_protocol_address *at, void *ctx)
{
    char key[WA_KEY_MAX];
    (void)extra;
    wa_signal_peer_key(at, key);
    return load(ctx, WA_TABLE_SESSION, key, record);
}

static int store_session(const signal_protocol_address *at, uint8_t *record, size_t n,
                         uint8_t *extra, size_t extra_n, void *ctx)
{
    struct wa_signal *s = ctx;
    char key[WA_KEY_MAX];
    (void)extra;
    (void)extra_n;
    wa_signal_peer_key(at, key);
    wa_signal_know(s, BYTES(record, n));
    return refused(wa_overlay_put(&s->overlay, WA_TABLE_SESSION, key, BYTES(record, n)));
}

static int contains_session(const signal_protocol_address *at, void *ctx)
{
    struct wa_signal *s = ctx;
    struct bytes value;
    char key[WA_KEY_MAX];
    wa_signal_peer_key(at, key);
    return refused(wa_overlay_get(&s->overlay, WA_TABLE_SESSION, key, &value));
}

/* ---- prekeys --------------------------------------------------------------------------------- */

static int open_key_pair(const struct wa_signal *s, const uint8_t priv[WA_KEY_LEN],
                         const uint8_t pub[WA_KEY_LEN], ec_key_pair **out)
{
    ec_public_key *public_half = NULL;
    ec_private_key *private_half = NULL;
    uint8_t typed[1 + WA_KEY_LEN];
    wa_signal_typed_key(typed, pub);
    int rc = curve_decode_point(&public_half, typed, sizeof(typed), s->context);
    if (rc == 0)
        rc = curve_decode_private_point(&private_half, priv, WA_KEY_LEN, s->context);
    if (rc == 0)
        rc = ec_key_pair_create(out, public_half, private_half);
    SIGNAL_UNREF(public_half);
    SIGNAL_UNREF(private_half);
    return rc;
}

/* A record that is damaged is a key that we do not have: the peer is asked to use another. */
static int load_key_pair(struct wa_signal *s, enum wa_table table, uint32_t id, ec_key_pair **out)
{
    struct bytes value;
    char key[16];
    snprintf(key, sizeof(key), "%u", (unsigned)id);
    int rc = wa_overlay_get(&s->overlay, table, key, &value);
    if (rc < 0)
        return SG_ERR_UNKNOWN;
    if (rc == 0 || value.n != KEY_PAIR_LEN)
        return SG_ERR_INVALID_KEY_ID;
    return open_key_pair(s, value.p, value.p + WA_KEY_LEN, out);
}

static int load_prekey(signal_buffer **record, uint32_t id, void *ctx)
{
    ec_key_pair *pair = NULL;
    session_pre_key *prekey = NULL;
    int rc = load_key_pair(ctx, WA_TABLE_PREKEY, id, &pair);
    if (rc == 0)
        rc = session_pre_key_create(&prekey, id, pair);
    if (rc == 0)
        rc = session_pre_key_serialize(record, prekey);
    SIGNAL_UNREF(prekey);
    SIGNAL_UNREF(pair);
    return rc;
}

static int remove_prekey(uint32_t id, void *ctx)
{
    struct wa_signal *s = ctx;
    char key[16];
    snprintf(key, sizeof(key), "%u", (unsigned)id);
    return refused(wa_overlay_del(&s->overlay, WA_TABLE_PREKEY, key));
}

static int load_signed_prekey(signal_buffer **record, uint32_t id, void *ctx)
{
    struct wa_signal *s = ctx;
    /* The signature is for others; the library wants some to carry along. */
    static const uint8_t signature[WA_SIGNATURE_LEN];
    const struct wa_signed_prekey *current = &s->device->signed_prekey;
    ec_key_pair *pair = NULL;
    session_signed_pre_key *prekey = NULL;
    int rc = current->id == id ? open_key_pair(s, current->key.priv, current->key.pub, &pair)
                               : load_key_pair(s, WA_TABLE_SIGNED_PREKEY, id, &pair);
    if (rc == 0)
        rc = session_signed_pre_key_create(&prekey, id, 0, pair, signature, sizeof(signature));
    if (rc == 0)
        rc = session_signed_pre_key_serialize(record, prekey);
    SIGNAL_UNREF(prekey);
    SIGNAL_UNREF(pair);
    return rc;
}

/* ---- identities ------------------------------------------------------------------------------ */

static int own_identity(signal_buffer **public_data, signal_buffer **private_data, void *ctx)
{
    const struct wa_signal *s = ctx;
    uint8_t typed[1 + WA_KEY_LEN];
    wa_signal_typed_key(typed, s->device->identity.pub);
    int rc = give(public_data, BYTES_ARRAY(typed));
    return rc == 0 ? give(private_data, BYTES_ARRAY(s->device->identity.priv)) : rc;
}

static int own_registration_id(void *ctx, uint32_t *id)
{
    const struct wa_signal *s = ctx;
    *id = s->device->registration_id;
    return SG_SUCCESS;
}

/* The library saves "nothing" when it takes back an identity after a failed decryption. */
static int save_identity(const signal_protocol_address *at, uint8_t *data, size_t n, void *ctx)
{
    struct wa_signal *s = ctx;
    char key[WA_KEY_MAX];
    wa_signal_peer_key(at, key);
    if (!data)
        return refused(wa_overlay_del(&s->overlay, WA_TABLE_IDENTITY, key));
    return refused(wa_overlay_put(&s->overlay, WA_TABLE_IDENTITY, key, BYTES(data, n)));
}

/* Trust on first use; the caller replaces a changed one (protocol/04 section 8). */
static int is_trusted(const signal_protocol_address *at, uint8_t *data, size_t n, void *ctx)
{
    struct wa_signal *s = ctx;
    struct bytes known;
    char key[WA_KEY_MAX];
    wa_signal_peer_key(at, key);
    int rc = wa_overlay_get(&s->overlay, WA_TABLE_IDENTITY, key, &known);
    if (rc < 0)
        return SG_ERR_UNKNOWN;
    return rc == 0 || bytes_equal(known, BYTES(data, n));
}

/* ---- sender keys ----------------------------------------------------------------------------- */

static int store_sender_key(const signal_protocol_sender_key_name *name, uint8_t *record, size_t n,
                            uint8_t *extra, size_t extra_n, void *ctx)
{
    struct wa_signal *s = ctx;
    char key[WA_KEY_MAX];
    (void)extra;
    (void)extra_n;
    wa_signal_sender_key(name, key);
    return refused(wa_overlay_put(&s->overlay, WA_TABLE_SENDER_KEY, key, BYTES(record, n)));
}

static int load_sender_key(signal_buffer **record, signal_buffer **extra,
                           const signal_protocol_sender_key_name *name, void *ctx)
{
    char key[WA_KEY_MAX];
    (void)extra;
    wa_signal_sender_key(name, key);
    return load(ctx, WA_TABLE_SENDER_KEY, key, record);
}

/* ---- attaching ------------------------------------------------------------------------------- */

static int attach_stores(struct wa_signal *s)
{
    /* Only what the library calls on the paths used here. */
    const signal_protocol_session_store sessions = {.load_session_func = load_session,
                                                    .store_session_func = store_session,
                                                    .contains_session_func = contains_session,
                                                    .user_data = s};
    const signal_protocol_pre_key_store prekeys = {
        .load_pre_key = load_prekey, .remove_pre_key = remove_prekey, .user_data = s};
    const signal_protocol_signed_pre_key_store signed_prekeys = {
        .load_signed_pre_key = load_signed_prekey, .user_data = s};
    const signal_protocol_identity_key_store identities = {.get_identity_key_pair = own_identity,
                                                           .get_local_registration_id =
                                                               own_registration_id,
                                                           .save_identity = save_identity,
                                                           .is_trusted_identity = is_trusted,
                                                           .user_data = s};
    const signal_protocol_sender_key_store sender_keys = {
        .store_sender_key = store_sender_key, .load_sender_key = load_sender_key, .user_data = s};
    int rc = signal_protocol_store_context_create(&s->stores, s->context);
    if (rc == 0)
        rc = signal_protocol_store_context_set_session_store(s->stores, &sessions);
    if (rc == 0)
        rc = signal_protocol_store_context_set_pre_key_store(s->stores, &prekeys);
    if (rc == 0)
        rc = signal_protocol_store_context_set_signed_pre_key_store(s->stores, &signed_prekeys);
    if (rc == 0)
        rc = signal_protocol_store_context_set_identity_key_store(s->stores, &identities);
    if (rc == 0)
        rc = signal_protocol_store_context_set_sender_key_store(s->stores, &sender_keys);
    return rc;
}

void wa_signal_attach(struct wa_signal *s)
{
    const signal_crypto_provider provider = {.random_func = give_random,
                                             .hmac_sha256_init_func = hmac_init,
                                             .hmac_sha256_update_func = digest_update,
                                             .hmac_sha256_final_func = digest_final,
                                             .hmac_sha256_cleanup_func = digest_cleanup,
                                             .sha512_digest_init_func = sha512_init,
                                             .sha512_digest_update_func = digest_update,
                                             .sha512_digest_final_func = digest_final,
                                             .sha512_digest_cleanup_func = digest_cleanup,
                                             .encrypt_func = encrypt_cbc,
                                             .decrypt_func = decrypt_cbc,
                                             .user_data = s};
    if (signal_context_create(&s->context, s) != 0 ||
        signal_context_set_crypto_provider(s->context, &provider) != 0 || attach_stores(s) != 0)
        err_fatal("signal: no context");
}
