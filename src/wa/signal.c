/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/signal.h"

#include <errno.h>
#include <protobuf-c/protobuf-c.h>
#include <signal/protocol.h>
#include <signal/session_builder.h>
#include <signal/session_cipher.h>
#include <signal/session_state.h>
#include <stdio.h>

#include "base/err.h"
#include "wa/signal_internal.h"

#define PROTOBUF_C_WANTED 1003000 /* the Signal library brings an older copy of its own */

static const char *const enc_texts[] = {"msg", "pkmsg", "skmsg"};

const char *wa_enc_text(enum wa_enc_type type)
{
    return enc_texts[type];
}

int wa_enc_parse(struct bytes text, enum wa_enc_type *out)
{
    for (size_t i = 0; i < ARRAY_LEN(enc_texts); i++) {
        if (bytes_is(text, enc_texts[i])) {
            *out = (enum wa_enc_type)i;
            return 0;
        }
    }
    return ERR_UNSUPPORTED;
}

const char *wa_fault_text(enum wa_signal_fault fault)
{
    switch (fault) {
    case WA_FAULT_UNKNOWN:
        break;
    case WA_FAULT_NO_SESSION:
        return "no session";
    case WA_FAULT_INVALID_KEY:
        return "invalid key";
    case WA_FAULT_INVALID_KEY_ID:
        return "unknown prekey";
    case WA_FAULT_INVALID_MESSAGE:
        return "invalid message";
    case WA_FAULT_INVALID_SIGNATURE:
        return "invalid signature";
    case WA_FAULT_BAD_MAC:
        return "bad MAC";
    case WA_FAULT_INVALID_SESSION:
        return "invalid session";
    case WA_FAULT_UNTRUSTED:
        return "untrusted identity";
    }
    return "unknown error";
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
    case SG_ERR_VRF_SIG_VERIF_FAILED:
        return WA_FAULT_INVALID_SIGNATURE;
    case SG_ERR_INVALID_MAC:
        return WA_FAULT_BAD_MAC;
    case SG_ERR_UNTRUSTED_IDENTITY:
        return WA_FAULT_UNTRUSTED;
    default:
        return WA_FAULT_UNKNOWN;
    }
}

struct wa_signal *wa_signal_open(const struct wa_device *d, const struct wa_host *host)
{
    if (protobuf_c_version_number() < PROTOBUF_C_WANTED)
        err_fatal("linked in the wrong order: protobuf-c is %s", protobuf_c_version());
    struct wa_signal *s = err_calloc(1, sizeof(*s));
    s->device = d;
    wa_overlay_init(&s->overlay, host);
    wa_signal_attach(s);
    return s;
}

void wa_signal_close(struct wa_signal *s)
{
    if (!s)
        return;
    signal_protocol_store_context_destroy(s->stores);
    signal_context_destroy(s->context);
    wa_overlay_deinit(&s->overlay);
    free(s);
}

void wa_signal_rest(struct wa_signal *s)
{
    wa_overlay_rest(&s->overlay);
}

/* ---- how a call ends ------------------------------------------------------------------------- */

int wa_signal_finish(struct wa_signal *s, int rc)
{
    if (rc == 0)
        rc = wa_overlay_commit(&s->overlay);
    if (rc == 0)
        s->set_aside += s->setting_aside;
    s->took_identity = s->took_identity || (rc == 0 && s->taking_identity);
    s->setting_aside = 0;
    s->taking_identity = false;
    wa_overlay_reset(&s->overlay);
    return rc;
}

int wa_signal_memory(int rc)
{
    if (rc == SG_ERR_NOMEM || (rc < 0 && errno == ENOMEM))
        err_fatal("out of memory in the Signal library");
    return rc;
}

int wa_signal_append(struct buf *out, const signal_buffer *made)
{
    return buf_append(out, BYTES(signal_buffer_const_data(made), signal_buffer_len(made)));
}

int wa_signal_error(const struct wa_signal *s, int rc)
{
    if (rc >= 0)
        return 0;
    if (s->overlay.failed)
        return ERR_STORE;
    if (s->overlay.too_large)
        return ERR_LIMIT;
    return rc == SG_ERR_INVALID_KEY ? ERR_AUTH : ERR_INVALID;
}

static void drop_tail(struct buf *b, size_t n)
{
    buf_wipe(b->p + n, b->n - n);
    b->n = n;
}

int wa_signal_deliver(struct wa_signal *s, int rc, signal_buffer *opened, struct buf *plain,
                      enum wa_signal_fault *fault)
{
    size_t before = plain->n;
    *fault = WA_FAULT_UNKNOWN;
    if (rc == SG_ERR_DUPLICATE_MESSAGE) {
        rc = 1;
    } else if (rc < 0) {
        *fault = fault_of(rc);
        rc = s->overlay.failed ? ERR_STORE : ERR_AUTH;
    } else {
        rc = wa_signal_append(plain, opened);
    }
    signal_buffer_bzero_free(opened);
    rc = wa_signal_finish(s, rc);
    if (rc < 0 && plain->n > before)
        drop_tail(plain, before);
    return rc;
}

/* Its key was vouched for at pairing, and a phone that gets another one unlinks this device: what
 * comes under its name with another key is forged. */
static bool is_own_phone(const struct wa_signal *s, const struct wa_signal_peer *p)
{
    const struct wa_jid *own[] = {&s->device->pn, &s->device->lid};
    char name[WA_JID_NAME_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(own) && p->at.device_id == 0; i++)
        if (own[i]->user[0] && strcmp(wa_jid_signal_name(own[i], name), p->name) == 0)
            return true;
    return false;
}

bool wa_signal_set_aside(struct wa_signal *s, enum wa_table table, const char *key)
{
    static const char *const names[] = {
#define X(symbol, name) [symbol] = name,
        WA_TABLES(X)
#undef X
    };
    char aside[WA_KEY_MAX];
    struct bytes value;
    wa_overlay_reset(&s->overlay);
    snprintf(aside, sizeof(aside), "%s/%.*s", names[table], WA_KEY_MAX / 2, key);
    if (wa_overlay_get(&s->overlay, table, key, &value) != 1 ||
        wa_overlay_put(&s->overlay, WA_TABLE_SET_ASIDE, aside, value) != 0 ||
        wa_overlay_del(&s->overlay, table, key) != 0)
        return false;
    s->setting_aside++;
    return true;
}

uint64_t wa_signal_set_aside_count(const struct wa_signal *s)
{
    return s->set_aside;
}

/*
 * Looks whether a failed call may go well on a second try, and prepares that: a changed identity is
 * replaced, so that the old session is archived; a session record that cannot be read, or would
 * outgrow its bound, is set aside.
 */
static bool mend(struct wa_signal *s, const struct wa_signal_peer *p, int rc)
{
    char key[WA_KEY_MAX];
    bool untrusted = rc == SG_ERR_UNTRUSTED_IDENTITY;
    if (untrusted && is_own_phone(s, p))
        return false;
    /* Of the library's records only a session is parsed here, and none was if nothing was read. */
    bool damaged = rc == SG_ERR_INVALID_PROTO_BUF && s->overlay.count > 0;
    if (s->overlay.failed || !(untrusted || damaged || s->overlay.too_large))
        return false;
    wa_signal_peer_key(&p->at, key);
    if (!untrusted)
        return wa_signal_set_aside(s, WA_TABLE_SESSION, key);
    wa_overlay_reset(&s->overlay);
    s->taking_identity = true;
    return wa_overlay_del(&s->overlay, WA_TABLE_IDENTITY, key) == 0;
}

/* ---- decrypting ------------------------------------------------------------------------------ */

static int open_pkmsg(struct wa_signal *s, session_cipher *cipher, struct bytes sealed,
                      signal_buffer **opened)
{
    pre_key_signal_message *message = NULL;
    int rc = pre_key_signal_message_deserialize(&message, sealed.p, sealed.n, s->context);
    if (rc >= 0)
        rc = session_cipher_decrypt_pre_key_signal_message(cipher, message, NULL, opened);
    SIGNAL_UNREF(message);
    return rc;
}

static int open_msg(struct wa_signal *s, session_cipher *cipher, struct bytes sealed,
                    signal_buffer **opened)
{
    signal_message *message = NULL;
    int rc = signal_message_deserialize(&message, sealed.p, sealed.n, s->context);
    if (rc >= 0)
        rc = session_cipher_decrypt_signal_message(cipher, message, NULL, opened);
    SIGNAL_UNREF(message);
    return rc;
}

static int open_once(struct wa_signal *s, const struct wa_signal_peer *p, enum wa_enc_type type,
                     struct bytes sealed, signal_buffer **opened)
{
    session_cipher *cipher = NULL;
    if (type == WA_ENC_SKMSG || sealed.n == 0 || sealed.n > WA_ENC_MAX)
        return SG_ERR_INVALID_MESSAGE;
    errno = 0;
    int rc = wa_signal_memory(session_cipher_create(&cipher, s->stores, &p->at, s->context));
    if (rc < 0)
        return rc;
    rc = wa_signal_memory(type == WA_ENC_PKMSG ? open_pkmsg(s, cipher, sealed, opened)
                                               : open_msg(s, cipher, sealed, opened));
    session_cipher_free(cipher);
    return rc;
}

int wa_signal_decrypt(struct wa_signal *s, const struct wa_jid *peer, enum wa_enc_type type,
                      struct bytes sealed, struct buf *plain, enum wa_signal_fault *fault)
{
    struct wa_signal_peer p;
    signal_buffer *opened = NULL;
    wa_signal_peer_init(&p, peer);
    int rc = open_once(s, &p, type, sealed, &opened);
    if (rc < 0 && mend(s, &p, rc))
        rc = open_once(s, &p, type, sealed, &opened);
    return wa_signal_deliver(s, rc, opened, plain, fault);
}

/* ---- encrypting ------------------------------------------------------------------------------ */

static int seal(struct wa_signal *s, const struct wa_signal_peer *p, struct bytes padded,
                ciphertext_message **made)
{
    session_cipher *cipher = NULL;
    errno = 0;
    int rc = wa_signal_memory(session_cipher_create(&cipher, s->stores, &p->at, s->context));
    if (rc < 0)
        return rc;
    rc = wa_signal_memory(session_cipher_encrypt(cipher, padded.p, padded.n, made));
    session_cipher_free(cipher);
    return rc;
}

int wa_signal_encrypt(struct wa_signal *s, const struct wa_jid *peer, struct bytes padded,
                      enum wa_enc_type *type, struct buf *sealed)
{
    struct wa_signal_peer p;
    struct bytes record;
    char key[WA_KEY_MAX];
    ciphertext_message *made = NULL;
    size_t before = sealed->n;
    wa_signal_peer_init(&p, peer);
    wa_signal_peer_key(&p.at, key);
    int rc = wa_overlay_get(&s->overlay, WA_TABLE_SESSION, key, &record);
    if (rc != 1)
        return wa_signal_finish(s, rc < 0 ? rc : ERR_NOT_FOUND);
    rc = seal(s, &p, padded, &made);
    /* A record that is damaged, or has no sending chain, is as good as none. */
    if (rc < 0)
        return wa_signal_finish(s, wa_signal_error(s, rc) == ERR_STORE ? ERR_STORE : ERR_NOT_FOUND);
    *type = ciphertext_message_get_type(made) == CIPHERTEXT_PREKEY_TYPE ? WA_ENC_PKMSG : WA_ENC_MSG;
    rc = wa_signal_append(sealed, ciphertext_message_get_serialized(made));
    SIGNAL_UNREF(made);
    rc = wa_signal_finish(s, rc);
    if (rc < 0)
        sealed->n = before;
    return rc;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static bool record_is_usable(struct wa_signal *s, struct bytes value)
{
    session_record *record = NULL;
    if (wa_signal_knows(s, value))
        return true;
    errno = 0;
    int rc = session_record_deserialize(&record, value.p, value.n, s->context);
    bool usable = wa_signal_memory(rc) >= 0 && session_record_get_state(record) &&
                  session_state_has_sender_chain(session_record_get_state(record)) == 1;
    SIGNAL_UNREF(record);
    if (usable)
        wa_signal_know(s, value);
    return usable;
}

int wa_signal_has_session(struct wa_signal *s, const struct wa_jid *peer)
{
    struct wa_signal_peer p;
    struct bytes value;
    char key[WA_KEY_MAX];
    wa_signal_peer_init(&p, peer);
    wa_signal_peer_key(&p.at, key);
    int rc = wa_overlay_get(&s->overlay, WA_TABLE_SESSION, key, &value);
    if (rc == 1)
        rc = record_is_usable(s, value);
    wa_overlay_reset(&s->overlay);
    return rc;
}

/* 1 and the record at work of a peer, 0 when there is none that can be read, ERR_STORE. */
static int load_record(struct wa_signal *s, const struct wa_signal_peer *p, session_record **out)
{
    struct bytes value;
    char key[WA_KEY_MAX];
    wa_signal_peer_key(&p->at, key);
    int rc = wa_overlay_get(&s->overlay, WA_TABLE_SESSION, key, &value);
    if (rc != 1)
        return rc;
    errno = 0;
    rc = wa_signal_memory(session_record_deserialize(out, value.p, value.n, s->context));
    return rc >= 0 && session_record_get_state(*out) &&
           session_state_has_sender_chain(session_record_get_state(*out)) == 1;
}

static int put_record(struct wa_signal *s, const struct wa_signal_peer *p, session_record *record)
{
    char key[WA_KEY_MAX];
    signal_buffer *made = NULL;
    wa_signal_peer_key(&p->at, key);
    errno = 0;
    if (wa_signal_memory(session_record_serialize(&made, record)) < 0)
        return ERR_INVALID;
    int rc = wa_overlay_put(&s->overlay, WA_TABLE_SESSION, key,
                            BYTES(signal_buffer_const_data(made), signal_buffer_len(made)));
    if (rc < 0 && s->overlay.too_large) { /* too many of them: all are given up */
        wa_overlay_reset(&s->overlay);
        rc = wa_overlay_del(&s->overlay, WA_TABLE_SESSION, key);
    }
    signal_buffer_bzero_free(made);
    return rc;
}

int wa_signal_archive_session(struct wa_signal *s, const struct wa_jid *peer)
{
    struct wa_signal_peer p;
    session_record *record = NULL;
    wa_signal_peer_init(&p, peer);
    int rc = load_record(s, &p, &record);
    if (rc == 1 && wa_signal_memory(session_record_archive_current_state(record)) == 0)
        rc = put_record(s, &p, record);
    SIGNAL_UNREF(record);
    return wa_signal_finish(s, rc < 0 ? ERR_STORE : 0);
}

int wa_signal_registration(struct wa_signal *s, const struct wa_jid *peer, uint32_t *id)
{
    struct wa_signal_peer p;
    session_record *record = NULL;
    wa_signal_peer_init(&p, peer);
    int rc = load_record(s, &p, &record);
    if (rc == 1)
        *id = session_state_get_remote_registration_id(session_record_get_state(record));
    SIGNAL_UNREF(record);
    wa_overlay_reset(&s->overlay);
    return rc;
}

int wa_signal_drop_session(struct wa_signal *s, const struct wa_jid *peer)
{
    const struct wa_host *h = s->overlay.host;
    struct wa_signal_peer p;
    char key[WA_KEY_MAX];
    wa_signal_peer_init(&p, peer);
    wa_signal_peer_key(&p.at, key);
    return h->del(h->ctx, WA_TABLE_SESSION, key) < 0 ? ERR_STORE : 0;
}

/* ---- migration (protocol/04 section 10) ------------------------------------------------------ */

/* 1 when there was such a row, 0 when not. */
static int move_row(struct wa_overlay *o, enum wa_table table, const char *from, const char *to)
{
    struct bytes value, own;
    int rc = wa_overlay_get(o, table, from, &value);
    if (rc <= 0)
        return rc;
    rc = wa_overlay_get(o, table, to, &own);
    if (rc == 0)
        rc = wa_overlay_put(o, table, to, value);
    if (rc >= 0)
        rc = wa_overlay_del(o, table, from);
    return rc < 0 ? ERR_STORE : 1;
}

/* Where there is a session there is an identity, so most devices cost one look. */
static int move_device(struct wa_overlay *o, const struct wa_jid *pn, const struct wa_jid *lid)
{
    struct wa_signal_peer from, to;
    char from_key[WA_KEY_MAX], to_key[WA_KEY_MAX];
    wa_signal_peer_init(&from, pn);
    wa_signal_peer_init(&to, lid);
    wa_signal_peer_key(&from.at, from_key);
    wa_signal_peer_key(&to.at, to_key);
    int rc = move_row(o, WA_TABLE_IDENTITY, from_key, to_key);
    return rc == 1 ? move_row(o, WA_TABLE_SESSION, from_key, to_key) : rc;
}

int wa_signal_migrate(struct wa_signal *s, const struct wa_jid *pn, const struct wa_jid *lid)
{
    int rc = 0;
    for (uint16_t d = 0; d < WA_SIGNAL_DEVICES && rc >= 0; d++) {
        bool hosted = d == WA_SIGNAL_DEVICE_HOSTED;
        struct wa_jid from = wa_jid_make(hosted ? WA_SERVER_HOSTED : WA_SERVER_PN, pn->user, d);
        struct wa_jid to = wa_jid_make(hosted ? WA_SERVER_HOSTED_LID : WA_SERVER_LID, lid->user, d);
        rc = move_device(&s->overlay, &from, &to);
    }
    return wa_signal_finish(s, rc < 0 ? rc : 0);
}

/* ---- bundles --------------------------------------------------------------------------------- */

static int open_public(struct wa_signal *s, const uint8_t key[WA_KEY_LEN], ec_public_key **out)
{
    uint8_t typed[1 + WA_KEY_LEN];
    wa_signal_typed_key(typed, key);
    return curve_decode_point(out, typed, sizeof(typed), s->context);
}

static int make_bundle(struct wa_signal *s, const struct wa_signal_peer *p,
                       const struct wa_bundle *b, session_pre_key_bundle **out)
{
    ec_public_key *identity = NULL, *signed_prekey = NULL, *prekey = NULL;
    errno = 0;
    int rc = open_public(s, b->identity, &identity);
    if (rc == 0)
        rc = open_public(s, b->signed_prekey, &signed_prekey);
    if (rc == 0 && b->has_prekey)
        rc = open_public(s, b->prekey, &prekey);
    if (rc == 0)
        rc = session_pre_key_bundle_create(out, b->registration_id, p->at.device_id,
                                           b->has_prekey ? b->prekey_id : 0, prekey,
                                           b->signed_prekey_id, signed_prekey,
                                           b->signed_prekey_signature, WA_SIGNATURE_LEN, identity);
    SIGNAL_UNREF(identity);
    SIGNAL_UNREF(signed_prekey);
    SIGNAL_UNREF(prekey);
    return wa_signal_memory(rc);
}

static int process_once(struct wa_signal *s, const struct wa_signal_peer *p,
                        session_pre_key_bundle *bundle)
{
    session_builder *builder = NULL;
    errno = 0;
    int rc = wa_signal_memory(session_builder_create(&builder, s->stores, &p->at, s->context));
    if (rc < 0)
        return rc;
    rc = wa_signal_memory(session_builder_process_pre_key_bundle(builder, bundle));
    session_builder_free(builder);
    return rc;
}

int wa_signal_process_bundle(struct wa_signal *s, const struct wa_jid *peer,
                             const struct wa_bundle *b)
{
    struct wa_signal_peer p;
    session_pre_key_bundle *bundle = NULL;
    wa_signal_peer_init(&p, peer);
    int rc = make_bundle(s, &p, b, &bundle);
    if (rc < 0)
        return wa_signal_finish(s, ERR_INVALID);
    rc = process_once(s, &p, bundle);
    if (rc < 0 && mend(s, &p, rc))
        rc = process_once(s, &p, bundle);
    SIGNAL_UNREF(bundle);
    return wa_signal_finish(s, wa_signal_error(s, rc));
}

/* ---- identities ------------------------------------------------------------------------------ */

bool wa_signal_took_identity(struct wa_signal *s)
{
    bool took = s->took_identity;
    s->took_identity = false;
    return took;
}

int wa_signal_set_identity(struct wa_signal *s, const struct wa_jid *jid,
                           const uint8_t identity[WA_KEY_LEN])
{
    struct wa_signal_peer p;
    char key[WA_KEY_MAX];
    uint8_t typed[1 + WA_KEY_LEN];
    wa_signal_peer_init(&p, jid);
    wa_signal_peer_key(&p.at, key);
    wa_signal_typed_key(typed, identity);
    return wa_signal_finish(
        s, wa_overlay_put(&s->overlay, WA_TABLE_IDENTITY, key, BYTES_ARRAY(typed)));
}

int wa_signal_get_identity(struct wa_signal *s, const struct wa_jid *jid,
                           uint8_t identity[WA_KEY_LEN])
{
    struct wa_signal_peer p;
    struct bytes value;
    char key[WA_KEY_MAX];
    wa_signal_peer_init(&p, jid);
    wa_signal_peer_key(&p.at, key);
    int rc = wa_overlay_get(&s->overlay, WA_TABLE_IDENTITY, key, &value);
    if (rc == 1 && value.n == 1 + WA_KEY_LEN)
        memcpy(identity, value.p + 1, WA_KEY_LEN);
    else if (rc == 1)
        rc = 0;
    wa_overlay_reset(&s->overlay);
    return rc;
}
