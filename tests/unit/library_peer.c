/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "library_peer.h"

#include <signal/protocol.h>
#include <signal/session_builder.h>
#include <signal/session_cipher.h>
#include <signal/session_pre_key.h>
#include <signal/session_state.h>
#include <signal/signal_protocol.h>
#include <stdio.h>

#include "base/err.h"
#include "testing.h"
#include "wa/crypto.h"
#include "wa/envelope.h"
#include "wa/fields.h"
#include "wa/overlay.h"
#include "wa/prekeys.h"

struct library_peer {
    const struct wa_device *device;
    struct wa_overlay overlay;
    bool keep_empty;
    signal_context *context;
    signal_protocol_store_context *stores;
};

/* The library's form points into name: do not copy. */
struct address {
    char name[WA_JID_NAME_SIZE], key[WA_KEY_MAX];
    signal_protocol_address at;
};

static void put_key(char out[WA_KEY_MAX], const signal_protocol_address *at)
{
    snprintf(out, WA_KEY_MAX, "%.*s:%d", (int)at->name_len, at->name, (int)at->device_id);
}

static void address_init(struct address *a, const struct wa_jid *jid)
{
    wa_jid_signal_name(jid, a->name);
    a->at = (signal_protocol_address){
        .name = a->name, .name_len = strlen(a->name), .device_id = jid->device};
    put_key(a->key, &a->at);
}

/* ---- primitives ------------------------------------------------------------------------------ */

static int give(signal_buffer **out, struct bytes data)
{
    *out = signal_buffer_create(data.p, data.n);
    return *out ? SG_SUCCESS : SG_ERR_NOMEM;
}

static int give_random(uint8_t *data, size_t n, void *ctx)
{
    const struct library_peer *p = ctx;
    p->overlay.host->random(p->overlay.host->ctx, data, n);
    return SG_SUCCESS;
}

/* The pieces of one HMAC. */
struct digest {
    struct buf key, data;
};

static int hmac_init(void **out, const uint8_t *key, size_t n, void *ctx)
{
    struct digest *d = err_calloc(1, sizeof(*d));
    (void)ctx;
    buf_init(&d->key, n);
    buf_init(&d->data, WA_ENC_MAX + 256);
    buf_append(&d->key, BYTES(key, n));
    *out = d;
    return SG_SUCCESS;
}

static int hmac_update(void *digest, const uint8_t *data, size_t n, void *ctx)
{
    struct digest *d = digest;
    (void)ctx;
    return buf_append(&d->data, BYTES(data, n)) == 0 ? SG_SUCCESS : SG_ERR_UNKNOWN;
}

static int hmac_final(void *digest, signal_buffer **out, void *ctx)
{
    struct digest *d = digest;
    uint8_t sum[32];
    struct bytes part = buf_bytes(&d->data);
    (void)ctx;
    wa_hmac_sha256(sum, buf_bytes(&d->key), &part, 1);
    return give(out, BYTES_ARRAY(sum));
}

static void hmac_cleanup(void *digest, void *ctx)
{
    struct digest *d = digest;
    (void)ctx;
    buf_deinit(&d->key);
    buf_deinit(&d->data);
    free(d);
}

typedef int cbc_function(struct buf *out, struct bytes key, struct bytes iv, struct bytes in);

static int run_cbc(cbc_function *run, signal_buffer **out, int cipher, struct bytes key,
                   struct bytes iv, struct bytes in)
{
    AUTO_BUF struct buf made = {.max = in.n + 64};
    ck_assert_int_eq(cipher, SG_CIPHER_AES_CBC_PKCS5);
    return run(&made, key, iv, in) == 0 ? give(out, buf_bytes(&made)) : SG_ERR_INVALID_MESSAGE;
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

/* ---- sessions -------------------------------------------------------------------------------- */

static int refused(int rc)
{
    return rc < 0 ? SG_ERR_UNKNOWN : rc;
}

static int load_session(signal_buffer **record, signal_buffer **extra,
                        const signal_protocol_address *at, void *ctx)
{
    struct library_peer *p = ctx;
    struct bytes value;
    char key[WA_KEY_MAX];
    (void)extra;
    put_key(key, at);
    int rc = wa_overlay_get(&p->overlay, WA_TABLE_SESSION, key, &value);
    if (rc != 1)
        return refused(rc);
    return give(record, value) == SG_SUCCESS ? 1 : SG_ERR_NOMEM;
}

static void without_empty(struct bytes record, struct buf *out)
{
    struct reader in = reader_init(record);
    struct wa_field session, sending;
    buf_init(out, record.n);
    for (const uint8_t *at = in.p; wa_field_next(&in, &session) == 1; at = in.p) {
        ck_assert_int_eq(wa_field_find(session.bytes, 6, &sending), 0);
        if (sending.bytes.p)
            buf_append(out, BYTES(at, (size_t)(in.p - at)));
    }
}

static int put_session(struct library_peer *p, const char *key, struct bytes record)
{
    struct buf kept;
    if (p->keep_empty)
        return wa_overlay_put(&p->overlay, WA_TABLE_SESSION, key, record);
    without_empty(record, &kept);
    int rc = wa_overlay_put(&p->overlay, WA_TABLE_SESSION, key, buf_bytes(&kept));
    buf_deinit(&kept);
    return rc;
}

static int store_session(const signal_protocol_address *at, uint8_t *record, size_t n,
                         uint8_t *extra, size_t extra_n, void *ctx)
{
    char key[WA_KEY_MAX];
    (void)extra, (void)extra_n;
    put_key(key, at);
    return refused(put_session(ctx, key, BYTES(record, n)));
}

static int contains_session(const signal_protocol_address *at, void *ctx)
{
    struct library_peer *p = ctx;
    struct bytes value;
    char key[WA_KEY_MAX];
    put_key(key, at);
    return refused(wa_overlay_get(&p->overlay, WA_TABLE_SESSION, key, &value));
}

/* ---- prekeys --------------------------------------------------------------------------------- */

static int open_public(const struct library_peer *p, const uint8_t key[WA_KEY_LEN],
                       ec_public_key **out)
{
    uint8_t typed[WA_TYPED_KEY_LEN];
    wa_typed_key(typed, key);
    return curve_decode_point(out, typed, sizeof(typed), p->context);
}

static int open_key_pair(const struct library_peer *p, const uint8_t priv[WA_KEY_LEN],
                         const uint8_t pub[WA_KEY_LEN], ec_key_pair **out)
{
    ec_public_key *public_half = NULL;
    ec_private_key *private_half = NULL;
    int rc = open_public(p, pub, &public_half);
    if (rc == 0)
        rc = curve_decode_private_point(&private_half, priv, WA_KEY_LEN, p->context);
    if (rc == 0)
        rc = ec_key_pair_create(out, public_half, private_half);
    SIGNAL_UNREF(public_half);
    SIGNAL_UNREF(private_half);
    return rc;
}

static int load_key_pair(struct library_peer *p, enum wa_table table, uint32_t id,
                         ec_key_pair **out)
{
    struct bytes value;
    char key[16];
    snprintf(key, sizeof(key), "%u", (unsigned)id);
    int rc = wa_overlay_get(&p->overlay, table, key, &value);
    if (rc < 0)
        return SG_ERR_UNKNOWN;
    if (rc == 0 || value.n != WA_PREKEY_RECORD_LEN)
        return SG_ERR_INVALID_KEY_ID;
    return open_key_pair(p, value.p, value.p + WA_KEY_LEN, out);
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
    struct library_peer *p = ctx;
    char key[16];
    snprintf(key, sizeof(key), "%u", (unsigned)id);
    return refused(wa_overlay_del(&p->overlay, WA_TABLE_PREKEY, key));
}

static int load_signed_prekey(signal_buffer **record, uint32_t id, void *ctx)
{
    /* The signature is for others; the library wants some to carry along. */
    static const uint8_t signature[WA_SIGNATURE_LEN];
    struct library_peer *p = ctx;
    const struct wa_signed_prekey *current = &p->device->signed_prekey;
    ec_key_pair *pair = NULL;
    session_signed_pre_key *prekey = NULL;
    int rc = current->id == id ? open_key_pair(p, current->key.priv, current->key.pub, &pair)
                               : load_key_pair(p, WA_TABLE_SIGNED_PREKEY, id, &pair);
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
    const struct library_peer *p = ctx;
    uint8_t typed[WA_TYPED_KEY_LEN];
    wa_typed_key(typed, p->device->identity.pub);
    int rc = give(public_data, BYTES_ARRAY(typed));
    return rc == 0 ? give(private_data, BYTES_ARRAY(p->device->identity.priv)) : rc;
}

static int own_registration_id(void *ctx, uint32_t *id)
{
    const struct library_peer *p = ctx;
    *id = p->device->registration_id;
    return SG_SUCCESS;
}

/* The library saves "nothing" when it takes back an identity after a failed decryption. */
static int save_identity(const signal_protocol_address *at, uint8_t *data, size_t n, void *ctx)
{
    struct library_peer *p = ctx;
    char key[WA_KEY_MAX];
    put_key(key, at);
    if (!data)
        return refused(wa_overlay_del(&p->overlay, WA_TABLE_IDENTITY, key));
    return refused(wa_overlay_put(&p->overlay, WA_TABLE_IDENTITY, key, BYTES(data, n)));
}

static int is_trusted(const signal_protocol_address *at, uint8_t *data, size_t n, void *ctx)
{
    struct library_peer *p = ctx;
    struct bytes known;
    char key[WA_KEY_MAX];
    put_key(key, at);
    int rc = wa_overlay_get(&p->overlay, WA_TABLE_IDENTITY, key, &known);
    if (rc < 0)
        return SG_ERR_UNKNOWN;
    return rc == 0 || bytes_equal(known, BYTES(data, n));
}

/* ---- opening the library --------------------------------------------------------------------- */

static int attach_stores(struct library_peer *p)
{
    const signal_protocol_session_store sessions = {.load_session_func = load_session,
                                                    .store_session_func = store_session,
                                                    .contains_session_func = contains_session,
                                                    .user_data = p};
    const signal_protocol_pre_key_store prekeys = {
        .load_pre_key = load_prekey, .remove_pre_key = remove_prekey, .user_data = p};
    const signal_protocol_signed_pre_key_store signed_prekeys = {
        .load_signed_pre_key = load_signed_prekey, .user_data = p};
    const signal_protocol_identity_key_store identities = {.get_identity_key_pair = own_identity,
                                                           .get_local_registration_id =
                                                               own_registration_id,
                                                           .save_identity = save_identity,
                                                           .is_trusted_identity = is_trusted,
                                                           .user_data = p};
    int rc = signal_protocol_store_context_create(&p->stores, p->context);
    if (rc == 0)
        rc = signal_protocol_store_context_set_session_store(p->stores, &sessions);
    if (rc == 0)
        rc = signal_protocol_store_context_set_pre_key_store(p->stores, &prekeys);
    if (rc == 0)
        rc = signal_protocol_store_context_set_signed_pre_key_store(p->stores, &signed_prekeys);
    if (rc == 0)
        rc = signal_protocol_store_context_set_identity_key_store(p->stores, &identities);
    return rc;
}

struct library_peer *library_peer_open(const struct wa_device *d, const struct wa_host *host)
{
    struct library_peer *p = err_calloc(1, sizeof(*p));
    const signal_crypto_provider provider = {.random_func = give_random,
                                             .hmac_sha256_init_func = hmac_init,
                                             .hmac_sha256_update_func = hmac_update,
                                             .hmac_sha256_final_func = hmac_final,
                                             .hmac_sha256_cleanup_func = hmac_cleanup,
                                             .encrypt_func = encrypt_cbc,
                                             .decrypt_func = decrypt_cbc,
                                             .user_data = p};
    p->device = d;
    wa_overlay_init(&p->overlay, host);
    ck_assert_int_eq(signal_context_create(&p->context, p), 0);
    ck_assert_int_eq(signal_context_set_crypto_provider(p->context, &provider), 0);
    ck_assert_int_eq(attach_stores(p), 0);
    return p;
}

void library_peer_close(struct library_peer *p)
{
    signal_protocol_store_context_destroy(p->stores);
    signal_context_destroy(p->context);
    wa_overlay_deinit(&p->overlay);
    free(p);
}

void library_peer_keep_empty(struct library_peer *p)
{
    p->keep_empty = true;
}

/* ---- the policy around it -------------------------------------------------------------------- */

static int finish(struct library_peer *p, int rc)
{
    if (rc == 0)
        rc = wa_overlay_commit(&p->overlay);
    wa_overlay_reset(&p->overlay);
    return rc;
}

static bool set_aside(struct library_peer *p, const char *key)
{
    char aside[WA_KEY_MAX + 16];
    struct bytes value;
    wa_overlay_reset(&p->overlay);
    snprintf(aside, sizeof(aside), "session/%s", key);
    return wa_overlay_get(&p->overlay, WA_TABLE_SESSION, key, &value) == 1 &&
           wa_overlay_put(&p->overlay, WA_TABLE_SET_ASIDE, aside, value) == 0 &&
           wa_overlay_del(&p->overlay, WA_TABLE_SESSION, key) == 0;
}

static bool is_own_phone(const struct library_peer *p, const struct wa_jid *jid)
{
    return jid->device == 0 && wa_device_is_own(p->device, jid);
}

static bool mend(struct library_peer *p, const struct wa_jid *jid, const char *key, int rc)
{
    /* Of records only a session is parsed here, and none was if nothing was read. */
    bool damaged = rc == SG_ERR_INVALID_PROTO_BUF && p->overlay.count > 0;
    if (rc == SG_ERR_UNTRUSTED_IDENTITY) {
        wa_overlay_reset(&p->overlay);
        return !is_own_phone(p, jid) && wa_overlay_del(&p->overlay, WA_TABLE_IDENTITY, key) == 0;
    }
    return (damaged || p->overlay.too_large) && set_aside(p, key);
}

/* protocol/04 section 12 */
static enum wa_signal_fault fault_of(int rc)
{
    switch (rc) {
    case SG_ERR_NO_SESSION:
        return WA_FAULT_NO_SESSION;
    case SG_ERR_INVALID_KEY:
        return WA_FAULT_INVALID_KEY;
    case SG_ERR_INVALID_KEY_ID:
        return WA_FAULT_INVALID_KEY_ID;
    case SG_ERR_INVALID_MESSAGE:
    case SG_ERR_INVALID_VERSION:
    case SG_ERR_LEGACY_MESSAGE:
    case SG_ERR_INVALID_PROTO_BUF:
        return WA_FAULT_INVALID_MESSAGE;
    case SG_ERR_UNTRUSTED_IDENTITY:
        return WA_FAULT_UNTRUSTED;
    default:
        return WA_FAULT_UNKNOWN;
    }
}

static int open_pkmsg(struct library_peer *p, session_cipher *cipher, struct bytes sealed,
                      signal_buffer **opened)
{
    pre_key_signal_message *message = NULL;
    int rc = pre_key_signal_message_deserialize(&message, sealed.p, sealed.n, p->context);
    if (rc >= 0)
        rc = session_cipher_decrypt_pre_key_signal_message(cipher, message, NULL, opened);
    SIGNAL_UNREF(message);
    return rc;
}

static int open_msg(struct library_peer *p, session_cipher *cipher, struct bytes sealed,
                    signal_buffer **opened)
{
    signal_message *message = NULL;
    int rc = signal_message_deserialize(&message, sealed.p, sealed.n, p->context);
    if (rc >= 0)
        rc = session_cipher_decrypt_signal_message(cipher, message, NULL, opened);
    SIGNAL_UNREF(message);
    return rc;
}

static int open_once(struct library_peer *p, const struct address *a, enum wa_enc_type type,
                     struct bytes sealed, signal_buffer **opened)
{
    session_cipher *cipher = NULL;
    ck_assert_int_eq(session_cipher_create(&cipher, p->stores, &a->at, p->context), 0);
    int rc = type == WA_ENC_PKMSG ? open_pkmsg(p, cipher, sealed, opened)
                                  : open_msg(p, cipher, sealed, opened);
    session_cipher_free(cipher);
    return rc;
}

int library_peer_decrypt(struct library_peer *p, const struct wa_jid *jid, enum wa_enc_type type,
                         struct bytes sealed, struct buf *plain, enum wa_signal_fault *fault)
{
    struct address a;
    signal_buffer *opened = NULL;
    address_init(&a, jid);
    int rc = open_once(p, &a, type, sealed, &opened);
    if (rc < 0 && mend(p, jid, a.key, rc))
        rc = open_once(p, &a, type, sealed, &opened);
    *fault = WA_FAULT_UNKNOWN;
    if (rc == SG_ERR_DUPLICATE_MESSAGE)
        return finish(p, 1);
    if (rc < 0) {
        *fault = fault_of(rc);
        return finish(p, ERR_AUTH);
    }
    rc = buf_append(plain, BYTES(signal_buffer_const_data(opened), signal_buffer_len(opened)));
    signal_buffer_bzero_free(opened);
    return finish(p, rc);
}

int library_peer_encrypt(struct library_peer *p, const struct wa_jid *jid, struct bytes padded,
                         enum wa_enc_type *type, struct buf *sealed)
{
    struct address a;
    session_cipher *cipher = NULL;
    ciphertext_message *made = NULL;
    address_init(&a, jid);
    ck_assert_int_eq(session_cipher_create(&cipher, p->stores, &a.at, p->context), 0);
    int rc = session_cipher_encrypt(cipher, padded.p, padded.n, &made);
    session_cipher_free(cipher);
    if (rc < 0)
        return finish(p, ERR_NOT_FOUND);
    *type = ciphertext_message_get_type(made) == CIPHERTEXT_PREKEY_TYPE ? WA_ENC_PKMSG : WA_ENC_MSG;
    const signal_buffer *bytes = ciphertext_message_get_serialized(made);
    rc = buf_append(sealed, BYTES(signal_buffer_const_data(bytes), signal_buffer_len(bytes)));
    SIGNAL_UNREF(made);
    return finish(p, rc);
}

static int make_bundle(struct library_peer *p, const struct address *a, const struct wa_bundle *b,
                       session_pre_key_bundle **out)
{
    ec_public_key *identity = NULL, *signed_prekey = NULL, *prekey = NULL;
    int rc = open_public(p, b->identity, &identity);
    if (rc == 0)
        rc = open_public(p, b->signed_prekey, &signed_prekey);
    if (rc == 0 && b->has_prekey)
        rc = open_public(p, b->prekey, &prekey);
    if (rc == 0)
        rc = session_pre_key_bundle_create(out, b->registration_id, a->at.device_id,
                                           b->has_prekey ? b->prekey_id : 0, prekey,
                                           b->signed_prekey_id, signed_prekey,
                                           b->signed_prekey_signature, WA_SIGNATURE_LEN, identity);
    SIGNAL_UNREF(identity);
    SIGNAL_UNREF(signed_prekey);
    SIGNAL_UNREF(prekey);
    return rc;
}

static int process_once(struct library_peer *p, const struct address *a,
                        session_pre_key_bundle *bundle)
{
    session_builder *builder = NULL;
    ck_assert_int_eq(session_builder_create(&builder, p->stores, &a->at, p->context), 0);
    int rc = session_builder_process_pre_key_bundle(builder, bundle);
    session_builder_free(builder);
    return rc;
}

int library_peer_process_bundle(struct library_peer *p, const struct wa_jid *jid,
                                const struct wa_bundle *b)
{
    struct address a;
    session_pre_key_bundle *bundle = NULL;
    address_init(&a, jid);
    ck_assert_int_eq(make_bundle(p, &a, b, &bundle), 0);
    int rc = process_once(p, &a, bundle);
    if (rc < 0 && mend(p, jid, a.key, rc))
        rc = process_once(p, &a, bundle);
    SIGNAL_UNREF(bundle);
    return finish(p, rc < 0 ? ERR_AUTH : 0);
}

static bool can_send(session_record *record)
{
    session_state *state = session_record_get_state(record);
    return state && session_state_has_sender_chain(state) == 1;
}

int library_peer_archive(struct library_peer *p, const struct wa_jid *jid)
{
    struct address a;
    struct bytes value;
    session_record *record = NULL;
    signal_buffer *made = NULL;
    address_init(&a, jid);
    if (wa_overlay_get(&p->overlay, WA_TABLE_SESSION, a.key, &value) != 1)
        return finish(p, 0);
    ck_assert_int_eq(session_record_deserialize(&record, value.p, value.n, p->context), 0);
    if (can_send(record)) {
        ck_assert_int_eq(session_record_archive_current_state(record), 0);
        ck_assert_int_eq(session_record_serialize(&made, record), 0);
        ck_assert_int_eq(
            put_session(p, a.key, BYTES(signal_buffer_const_data(made), signal_buffer_len(made))),
            0);
    }
    signal_buffer_free(made);
    SIGNAL_UNREF(record);
    return finish(p, 0);
}
