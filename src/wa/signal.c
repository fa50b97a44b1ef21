/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/signal.h"

#include <stdio.h>

#include "base/err.h"
#include "base/text.h"
#include "wa/prekeys.h"
#include "wa/session_record.h"
#include "wa/signal_internal.h"

#define SCRATCH_KEPT 16384          /* bytes */
#define PREKEY_LAST_RESORT 0xffffff /* never deleted (protocol/04 section 2.1) */

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

struct wa_signal *wa_signal_open(const struct wa_device *d, const struct wa_host *host)
{
    struct wa_signal *s = err_calloc(1, sizeof(*s));
    s->device = d;
    wa_overlay_init(&s->overlay, host);
    buf_init_secret(&s->scratch, WA_RECORD_MAX);
    return s;
}

void wa_signal_close(struct wa_signal *s)
{
    if (!s)
        return;
    wa_signal_library_close(s->library);
    wa_overlay_deinit(&s->overlay);
    buf_deinit(&s->scratch);
    free(s);
}

void wa_signal_rest(struct wa_signal *s)
{
    wa_overlay_rest(&s->overlay);
    buf_deinit(&s->scratch);
}

void wa_signal_peer_key(const struct wa_jid *jid, char out[WA_KEY_MAX])
{
    char name[WA_JID_NAME_SIZE];
    struct text_pen pen = text_pen(out, WA_KEY_MAX);
    text_pen_text(&pen, wa_jid_signal_name(jid, name));
    text_pen_text(&pen, ":");
    text_pen_u64(&pen, jid->device);
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
    buf_clear(&s->scratch);
    if (s->scratch.cap > SCRATCH_KEPT)
        buf_deinit(&s->scratch);
    return rc;
}

static void take_back(struct buf *out, size_t before)
{
    if (out->n == before)
        return;
    buf_wipe(out->p + before, out->n - before);
    out->n = before;
}

int wa_signal_finish_output(struct wa_signal *s, int rc, struct buf *out, size_t before)
{
    rc = wa_signal_finish(s, rc);
    if (rc != 0)
        take_back(out, before);
    return rc;
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

/* ---- the record of a call -------------------------------------------------------------------- */

/*
 * A call about one peer. What went wrong is in rc and fault, and in what a second try may mend: the
 * peer has another identity than the known one; its record cannot be read.
 */
struct call {
    struct wa_signal *s;
    const struct wa_jid *peer;
    char key[WA_KEY_MAX];
    struct wa_session_record record; /* borrows from the overlay */
    enum wa_signal_fault fault;
    bool untrusted, damaged;
};

static struct call begin(struct wa_signal *s, const struct wa_jid *peer)
{
    struct call c = {.s = s, .peer = peer};
    wa_signal_peer_key(peer, c.key);
    return c;
}

static int refuse(struct call *c, enum wa_signal_fault fault)
{
    c->fault = fault;
    return ERR_AUTH;
}

static int damaged(struct call *c)
{
    c->damaged = true;
    return refuse(c, WA_FAULT_INVALID_MESSAGE);
}

/* 1, 0 when there is none, ERR_STORE, or ERR_AUTH when it cannot be read. */
static int load_record(struct call *c)
{
    struct bytes value;
    int rc = wa_overlay_get(&c->s->overlay, WA_TABLE_SESSION, c->key, &value);
    if (rc == 1 && wa_session_record_parse(value, &c->record) < 0)
        return damaged(c);
    return rc;
}

/* The record with r at work, or without one. */
static int store_record(struct call *c, const struct wa_ratchet *r)
{
    struct buf *scratch = &c->s->scratch;
    buf_clear(scratch);
    if (wa_session_record_write(scratch, &c->record, r) < 0) {
        c->s->overlay.too_large = true;
        return ERR_LIMIT;
    }
    return wa_overlay_put(&c->s->overlay, WA_TABLE_SESSION, c->key, buf_bytes(scratch));
}

/* Its key was vouched for at pairing, and a phone that gets another one unlinks this device: what
 * comes under its name with another key is forged. */
static bool is_own_phone(const struct call *c)
{
    return c->peer->device == 0 && wa_device_is_own(c->s->device, c->peer);
}

/*
 * Looks whether a failed call may go well on a second try, and prepares that: a changed identity is
 * replaced, so that the old session is archived; a session record that cannot be read, or would
 * outgrow its bound, is set aside.
 */
static bool mend(struct call *c)
{
    struct wa_overlay *o = &c->s->overlay;
    bool untrusted = c->untrusted;
    if (o->failed || (untrusted && is_own_phone(c)) || !(untrusted || c->damaged || o->too_large))
        return false;
    c->record = (struct wa_session_record){0};
    c->untrusted = c->damaged = false;
    if (!untrusted)
        return wa_signal_set_aside(c->s, WA_TABLE_SESSION, c->key);
    wa_overlay_reset(o);
    c->s->taking_identity = true;
    return wa_overlay_del(o, WA_TABLE_IDENTITY, c->key) == 0;
}

/* Trust on first use; mend replaces a changed one (protocol/04 section 8). */
static int check_identity(struct call *c, const uint8_t identity[WA_KEY_LEN])
{
    struct bytes known;
    uint8_t key[WA_KEY_LEN];
    int rc = wa_overlay_get(&c->s->overlay, WA_TABLE_IDENTITY, c->key, &known);
    if (rc <= 0)
        return rc;
    if (wa_typed_key_open(known, key) && memcmp(key, identity, WA_KEY_LEN) == 0)
        return 0;
    c->untrusted = true;
    return refuse(c, WA_FAULT_UNTRUSTED);
}

static int save_identity(struct call *c, const uint8_t identity[WA_KEY_LEN])
{
    uint8_t typed[WA_TYPED_KEY_LEN];
    wa_typed_key(typed, identity);
    return wa_overlay_put(&c->s->overlay, WA_TABLE_IDENTITY, c->key, BYTES_ARRAY(typed));
}

static struct wa_ratchet_self self(const struct wa_signal *s)
{
    return (struct wa_ratchet_self){&s->device->identity, s->device->registration_id};
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Tries one session, as it was written. */
static int try_session(struct call *c, struct bytes session, const struct wa_signal_message *m,
                       struct wa_ratchet *r, struct buf *plain)
{
    wa_ratchet_init(r);
    if (wa_session_parse(session, r) < 0)
        return ERR_INVALID;
    return wa_ratchet_open(r, m, c->s->overlay.host, plain);
}

/* An archived session that opened something is the one at work from now on. */
static int try_archived(struct call *c, const struct wa_signal_message *m, struct buf *plain)
{
    for (size_t i = 0; i < c->record.archived_count; i++) {
        struct wa_ratchet r;
        int rc = try_session(c, c->record.archived[i], m, &r, plain);
        if (rc == 0) {
            wa_session_record_remove(&c->record, i);
            wa_session_record_archive(&c->record);
            rc = store_record(c, &r);
        }
        wa_ratchet_wipe(&r);
        if (rc != ERR_AUTH && rc != ERR_INVALID)
            return rc;
    }
    return refuse(c, WA_FAULT_INVALID_MESSAGE);
}

static int open_message(struct call *c, const struct wa_signal_message *m, struct buf *plain)
{
    struct wa_ratchet r;
    if (!c->record.current.p)
        return try_archived(c, m, plain);
    int rc = try_session(c, c->record.current, m, &r, plain);
    if (rc == 0)
        rc = store_record(c, &r);
    wa_ratchet_wipe(&r);
    if (rc == ERR_INVALID)
        return damaged(c);
    return rc == ERR_AUTH ? try_archived(c, m, plain) : rc;
}

static int open_msg(struct call *c, struct bytes sealed, struct buf *plain)
{
    struct wa_signal_message m;
    int rc = wa_signal_message_parse(sealed, &m);
    if (rc < 0)
        return refuse(c, rc == ERR_AUTH ? WA_FAULT_INVALID_KEY : WA_FAULT_INVALID_MESSAGE);
    rc = load_record(c);
    if (rc == 0)
        return refuse(c, WA_FAULT_NO_SESSION);
    return rc < 0 ? rc : open_message(c, &m, plain);
}

/* A record that is damaged is a key that we do not have: the peer is asked to use another. */
static int load_key_pair(struct call *c, enum wa_table table, uint32_t id, struct wa_keypair *out)
{
    struct bytes value;
    char key[16];
    snprintf(key, sizeof(key), "%u", (unsigned)id);
    int rc = wa_overlay_get(&c->s->overlay, table, key, &value);
    if (rc < 0)
        return rc;
    if (rc == 0 || value.n != WA_PREKEY_RECORD_LEN)
        return refuse(c, WA_FAULT_INVALID_KEY_ID);
    memcpy(out->priv, value.p, WA_KEY_LEN);
    memcpy(out->pub, value.p + WA_KEY_LEN, WA_KEY_LEN);
    return 0;
}

static int load_signed_prekey(struct call *c, uint32_t id, struct wa_keypair *out)
{
    const struct wa_signed_prekey *current = &c->s->device->signed_prekey;
    if (current->id != id)
        return load_key_pair(c, WA_TABLE_SIGNED_PREKEY, id, out);
    *out = current->key;
    return 0;
}

static int respond(struct call *c, const struct wa_prekey_message *m, struct wa_ratchet *r)
{
    struct wa_keypair signed_prekey, prekey;
    struct wa_ratchet_self own = self(c->s);
    int rc = load_signed_prekey(c, m->signed_prekey_id, &signed_prekey);
    if (rc == 0 && m->has_prekey)
        rc = load_key_pair(c, WA_TABLE_PREKEY, m->prekey_id, &prekey);
    if (rc == 0 &&
        wa_ratchet_respond(r, &own, &signed_prekey, m->has_prekey ? &prekey : NULL, m) < 0)
        rc = refuse(c, WA_FAULT_INVALID_KEY);
    buf_wipe(&signed_prekey, sizeof(signed_prekey));
    buf_wipe(&prekey, sizeof(prekey));
    return rc;
}

/* D4: the prekey goes with the session that it became. */
static int delete_prekey(struct call *c, const struct wa_prekey_message *m)
{
    char key[16];
    if (!m->has_prekey || m->prekey_id == PREKEY_LAST_RESORT)
        return 0;
    snprintf(key, sizeof(key), "%u", (unsigned)m->prekey_id);
    return wa_overlay_del(&c->s->overlay, WA_TABLE_PREKEY, key);
}

static int open_first(struct call *c, const struct wa_prekey_message *m, struct buf *plain)
{
    struct wa_ratchet r;
    wa_ratchet_init(&r);
    int rc = respond(c, m, &r);
    if (rc == 0)
        rc = save_identity(c, m->identity);
    if (rc == 0) {
        rc = wa_ratchet_open(&r, &m->message, c->s->overlay.host, plain);
        if (rc == ERR_AUTH)
            rc = refuse(c, WA_FAULT_INVALID_MESSAGE);
    }
    wa_session_record_archive(&c->record);
    if (rc == 0)
        rc = store_record(c, &r);
    wa_ratchet_wipe(&r);
    return rc == 0 ? delete_prekey(c, m) : rc;
}

/* Whether there is the session that this very pkmsg would begin. The MAC covers the identity of the
 * session and not the one in the pkmsg, which could be forged if it were not compared. */
static bool has_session_of(const struct wa_session_record *record,
                           const struct wa_prekey_message *m)
{
    bool found = record->current.p && wa_session_is_of(record->current, m->identity, m->base_key);
    for (size_t i = 0; i < record->archived_count && !found; i++)
        found = wa_session_is_of(record->archived[i], m->identity, m->base_key);
    return found;
}

/* Another one for a session that there is. Its identity may have been replaced meanwhile. */
static int open_again(struct call *c, const struct wa_prekey_message *m, struct buf *plain)
{
    int rc = save_identity(c, m->identity);
    return rc == 0 ? open_message(c, &m->message, plain) : rc;
}

static int open_pkmsg(struct call *c, struct bytes sealed, struct buf *plain)
{
    struct wa_prekey_message m;
    int rc = wa_prekey_message_parse(sealed, &m);
    if (rc < 0)
        return refuse(c, rc == ERR_AUTH ? WA_FAULT_INVALID_KEY : WA_FAULT_INVALID_MESSAGE);
    rc = check_identity(c, m.identity);
    if (rc == 0)
        rc = load_record(c);
    if (rc < 0)
        return rc;
    return has_session_of(&c->record, &m) ? open_again(c, &m, plain) : open_first(c, &m, plain);
}

static int open_once(struct call *c, enum wa_enc_type type, struct bytes sealed, struct buf *plain)
{
    if (type == WA_ENC_SKMSG || sealed.n == 0 || sealed.n > WA_ENC_MAX)
        return refuse(c, WA_FAULT_INVALID_MESSAGE);
    return type == WA_ENC_PKMSG ? open_pkmsg(c, sealed, plain) : open_msg(c, sealed, plain);
}

int wa_signal_decrypt(struct wa_signal *s, const struct wa_jid *peer, enum wa_enc_type type,
                      struct bytes sealed, struct buf *plain, enum wa_signal_fault *fault)
{
    struct call c = begin(s, peer);
    size_t before = plain->n;
    int rc = open_once(&c, type, sealed, plain);
    if (rc < 0 && mend(&c)) {
        take_back(plain, before);
        rc = open_once(&c, type, sealed, plain);
    }
    if (rc < 0 && (s->overlay.failed || s->overlay.too_large))
        rc = s->overlay.failed ? ERR_STORE : ERR_AUTH;
    *fault = rc == ERR_AUTH ? c.fault : WA_FAULT_UNKNOWN;
    return wa_signal_finish_output(s, rc, plain, before);
}

/* ---- sealing --------------------------------------------------------------------------------- */

/* Into an initialised r: 1, 0 when there is no session at work that can be read, ERR_STORE. */
static int load_current(struct call *c, struct wa_ratchet *r)
{
    int rc = load_record(c);
    if (rc != 1)
        return rc == ERR_STORE ? rc : 0;
    return c->record.current.p && wa_session_parse(c->record.current, r) == 0 &&
           r->sending.index != WA_RATCHET_INDEX_END;
}

int wa_signal_encrypt(struct wa_signal *s, const struct wa_jid *peer, struct bytes padded,
                      enum wa_enc_type *type, struct buf *sealed)
{
    struct call c = begin(s, peer);
    struct wa_ratchet r;
    size_t before = sealed->n;
    wa_ratchet_init(&r);
    int rc = load_current(&c, &r);
    if (rc == 1) {
        *type = r.unacknowledged ? WA_ENC_PKMSG : WA_ENC_MSG;
        rc = wa_ratchet_seal(&r, padded, sealed);
        if (rc == 0 && store_record(&c, &r) < 0) /* outgrew its bound: as good as none */
            rc = s->overlay.failed ? ERR_STORE : ERR_NOT_FOUND;
    } else if (rc == 0) {
        rc = ERR_NOT_FOUND;
    }
    wa_ratchet_wipe(&r);
    return wa_signal_finish_output(s, rc, sealed, before);
}

/* ---- sessions -------------------------------------------------------------------------------- */

int wa_signal_has_session(struct wa_signal *s, const struct wa_jid *peer)
{
    uint32_t id;
    return wa_signal_registration(s, peer, &id);
}

int wa_signal_registration(struct wa_signal *s, const struct wa_jid *peer, uint32_t *id)
{
    struct call c = begin(s, peer);
    struct wa_ratchet r;
    wa_ratchet_init(&r);
    int rc = load_current(&c, &r);
    if (rc == 1)
        *id = r.peer_registration;
    wa_ratchet_wipe(&r);
    wa_overlay_reset(&s->overlay);
    return rc;
}

int wa_signal_archive_session(struct wa_signal *s, const struct wa_jid *peer)
{
    struct call c = begin(s, peer);
    struct wa_ratchet r;
    wa_ratchet_init(&r);
    int rc = load_current(&c, &r);
    if (rc == 1) {
        wa_session_record_archive(&c.record);
        rc = store_record(&c, NULL);
        if (rc < 0 && s->overlay.too_large) { /* too many of them: all are given up */
            wa_overlay_reset(&s->overlay);
            rc = wa_overlay_del(&s->overlay, WA_TABLE_SESSION, c.key);
        }
    }
    wa_ratchet_wipe(&r);
    return wa_signal_finish(s, rc < 0 ? ERR_STORE : 0);
}

int wa_signal_drop_session(struct wa_signal *s, const struct wa_jid *peer)
{
    const struct wa_host *h = s->overlay.host;
    char key[WA_KEY_MAX];
    wa_signal_peer_key(peer, key);
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

/* Where there is a session there is an identity. */
static int move_device(struct wa_overlay *o, const struct wa_jid *from, const struct wa_jid *to)
{
    char from_key[WA_KEY_MAX], to_key[WA_KEY_MAX];
    wa_signal_peer_key(from, from_key);
    wa_signal_peer_key(to, to_key);
    int rc = move_row(o, WA_TABLE_IDENTITY, from_key, to_key);
    return rc == 1 ? move_row(o, WA_TABLE_SESSION, from_key, to_key) : rc;
}

int wa_signal_next_device(struct wa_signal *s, enum wa_table table, const char *prefix,
                          struct buf *key, uint16_t *device)
{
    const struct wa_host *h = s->overlay.host;
    struct bytes name = bytes_text(prefix);
    int rc = h->next(h->ctx, table, key->n ? buf_text(key) : prefix, key);
    for (; rc == 1; rc = h->next(h->ctx, table, buf_text(key), key)) {
        struct bytes found = buf_bytes(key);
        uint64_t number;
        if (!bytes_begin_with(found, name))
            return 0;
        if (bytes_to_u64(BYTES(found.p + name.n, found.n - name.n), &number) &&
            number <= UINT16_MAX) {
            *device = (uint16_t)number;
            return 1;
        }
    }
    return rc < 0 ? ERR_STORE : 0;
}

static int move_user(struct wa_signal *s, struct wa_jid from, struct wa_jid to)
{
    char prefix[WA_KEY_MAX];
    AUTO_BUF struct buf key;
    int rc;
    buf_init(&key, WA_KEY_MAX);
    wa_signal_peer_key(&from, prefix);
    strrchr(prefix, ':')[1] = '\0';
    while ((rc = wa_signal_next_device(s, WA_TABLE_IDENTITY, prefix, &key, &from.device)) == 1) {
        to.device = from.device;
        rc = move_device(&s->overlay, &from, &to);
        if (rc < 0)
            break;
    }
    return rc;
}

int wa_signal_migrate(struct wa_signal *s, const struct wa_jid *pn, const struct wa_jid *lid)
{
    int rc = move_user(s, wa_jid_make(WA_SERVER_PN, pn->user, 0),
                       wa_jid_make(WA_SERVER_LID, lid->user, 0));
    if (rc == 0)
        rc = move_user(s, wa_jid_make(WA_SERVER_HOSTED, pn->user, 0),
                       wa_jid_make(WA_SERVER_HOSTED_LID, lid->user, 0));
    return wa_signal_finish(s, rc);
}

/* ---- bundles --------------------------------------------------------------------------------- */

static int verify_bundle(const struct wa_bundle *b)
{
    uint8_t typed[WA_TYPED_KEY_LEN];
    wa_typed_key(typed, b->signed_prekey);
    return wa_curve_verify(BYTES_ARRAY(b->identity), BYTES_ARRAY(typed),
                           BYTES_ARRAY(b->signed_prekey_signature));
}

static int process_once(struct call *c, const struct wa_bundle *b)
{
    struct wa_ratchet r;
    struct wa_ratchet_self own = self(c->s);
    int rc = check_identity(c, b->identity);
    if (rc == 0)
        rc = verify_bundle(b);
    if (rc == 0)
        rc = load_record(c);
    if (rc < 0)
        return rc;
    wa_session_record_archive(&c->record);
    wa_ratchet_init(&r);
    rc = wa_ratchet_initiate(&r, &own, b, c->s->overlay.host);
    if (rc == 0)
        rc = store_record(c, &r);
    wa_ratchet_wipe(&r);
    return rc == 0 ? save_identity(c, b->identity) : rc;
}

int wa_signal_process_bundle(struct wa_signal *s, const struct wa_jid *peer,
                             const struct wa_bundle *b)
{
    struct call c = begin(s, peer);
    int rc = process_once(&c, b);
    if (rc < 0 && mend(&c))
        rc = process_once(&c, b);
    return wa_signal_finish(s, rc);
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
    struct call c = begin(s, jid);
    return wa_signal_finish(s, save_identity(&c, identity));
}

int wa_signal_get_identity(struct wa_signal *s, const struct wa_jid *jid,
                           uint8_t identity[WA_KEY_LEN])
{
    struct bytes value;
    char key[WA_KEY_MAX];
    wa_signal_peer_key(jid, key);
    int rc = wa_overlay_get(&s->overlay, WA_TABLE_IDENTITY, key, &value);
    if (rc == 1)
        rc = wa_typed_key_open(value, identity);
    wa_overlay_reset(&s->overlay);
    return rc;
}
