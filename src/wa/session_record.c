/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/session_record.h"

#include "base/err.h"
#include "wa/fields.h"

#define VERSION 3

enum { RECORD_CURRENT = 1, RECORD_ARCHIVED };
enum {
    SESSION_VERSION = 1,
    SESSION_OWN_IDENTITY,
    SESSION_PEER_IDENTITY,
    SESSION_ROOT,
    SESSION_PREVIOUS,
    SESSION_SENDING,
    SESSION_RECEIVING,
    SESSION_UNACKNOWLEDGED = 9,
    SESSION_PEER_REGISTRATION,
    SESSION_OWN_REGISTRATION,
    SESSION_NEEDS_REFRESH,
    SESSION_BASE_KEY
};
enum { CHAIN_RATCHET = 1, CHAIN_RATCHET_PRIVATE, CHAIN_KEY, CHAIN_SKIPPED };
enum { KEY_INDEX = 1, KEY_BYTES };
enum { SKIPPED_INDEX = 1, SKIPPED_CIPHER, SKIPPED_MAC, SKIPPED_IV };
enum { UNACKNOWLEDGED_PREKEY = 1, UNACKNOWLEDGED_BASE, UNACKNOWLEDGED_SIGNED };

#define BIT(number) (1u << (number))
#define SESSION_NEEDS                                                                              \
    (BIT(SESSION_VERSION) | BIT(SESSION_OWN_IDENTITY) | BIT(SESSION_PEER_IDENTITY) |               \
     BIT(SESSION_ROOT) | BIT(SESSION_SENDING))

/* ---- the record ------------------------------------------------------------------------------ */

/* The library writes an empty session where there is none at work. */
static bool has_begun(struct bytes session)
{
    struct wa_field sending;
    return wa_field_find(session, SESSION_SENDING, &sending) < 0 || sending.bytes.p;
}

int wa_session_record_parse(struct bytes value, struct wa_session_record *out)
{
    struct reader in = reader_init(value);
    struct wa_field f;
    int rc;
    *out = (struct wa_session_record){0};
    while ((rc = wa_field_next(&in, &f)) == 1) {
        if (f.number == RECORD_CURRENT)
            out->current = has_begun(f.bytes) ? f.bytes : BYTES_NONE;
        else if (f.number == RECORD_ARCHIVED && out->archived_count < WA_SESSION_ARCHIVED_MAX)
            out->archived[out->archived_count++] = f.bytes;
    }
    return rc;
}

void wa_session_record_archive(struct wa_session_record *record)
{
    if (!record->current.p)
        return;
    if (record->archived_count == WA_SESSION_ARCHIVED_MAX)
        record->archived_count--;
    memmove(record->archived + 1, record->archived,
            record->archived_count * sizeof(record->archived[0]));
    record->archived[0] = record->current;
    record->archived_count++;
    record->current = BYTES_NONE;
}

void wa_session_record_remove(struct wa_session_record *record, size_t archived)
{
    record->archived_count--;
    memmove(record->archived + archived, record->archived + archived + 1,
            (record->archived_count - archived) * sizeof(record->archived[0]));
}

static bool has_key(struct bytes session, uint64_t number, const uint8_t key[WA_KEY_LEN])
{
    struct wa_field f;
    uint8_t found[WA_KEY_LEN];
    return wa_field_find(session, number, &f) == 0 && wa_typed_key_open(f.bytes, found) &&
           memcmp(found, key, WA_KEY_LEN) == 0;
}

bool wa_session_is_of(struct bytes session, const uint8_t peer_identity[WA_KEY_LEN],
                      const uint8_t base_key[WA_KEY_LEN])
{
    struct wa_field version;
    return wa_field_find(session, SESSION_VERSION, &version) == 0 && version.value == VERSION &&
           has_key(session, SESSION_BASE_KEY, base_key) &&
           has_key(session, SESSION_PEER_IDENTITY, peer_identity);
}

/* ---- reading a session ----------------------------------------------------------------------- */

static bool take_exactly(const struct wa_field *f, void *out, size_t n)
{
    if (f->bytes.n != n)
        return false;
    memcpy(out, f->bytes.p, n);
    return true;
}

static bool take_number(const struct wa_field *f, uint32_t *out)
{
    *out = (uint32_t)f->value;
    return !f->bytes.p && f->value <= UINT32_MAX;
}

/* Hands every field of a message to take, which says whether it is as it should be; false also when
 * one of needs (a bit each) is not there. */
static bool for_each_field(struct bytes message, unsigned needs,
                           bool (*take)(const struct wa_field *f, void *ctx), void *ctx)
{
    struct reader in = reader_init(message);
    struct wa_field f;
    unsigned seen = 0;
    int rc;
    while ((rc = wa_field_next(&in, &f)) == 1) {
        if (!take(&f, ctx))
            return false;
        seen |= f.number < 32 ? BIT(f.number) : 0;
    }
    return rc == 0 && (seen & needs) == needs;
}

#define CHAIN_KEY_NEEDS (BIT(KEY_INDEX) | BIT(KEY_BYTES))

static bool take_chain_key(const struct wa_field *f, void *ctx)
{
    struct wa_chain *chain = ctx;
    switch (f->number) {
    case KEY_INDEX:
        return take_number(f, &chain->index);
    case KEY_BYTES:
        return take_exactly(f, chain->key, sizeof(chain->key));
    default:
        return true;
    }
}

#define SENDING_NEEDS (BIT(CHAIN_RATCHET) | BIT(CHAIN_RATCHET_PRIVATE) | BIT(CHAIN_KEY))

static bool take_sending_field(const struct wa_field *f, void *ctx)
{
    struct wa_ratchet *r = ctx;
    switch (f->number) {
    case CHAIN_RATCHET:
        return wa_typed_key_open(f->bytes, r->ratchet.pub);
    case CHAIN_RATCHET_PRIVATE:
        return take_exactly(f, r->ratchet.priv, WA_KEY_LEN);
    case CHAIN_KEY:
        return for_each_field(f->bytes, CHAIN_KEY_NEEDS, take_chain_key, &r->sending);
    default:
        return true;
    }
}

static bool take_receiving_field(const struct wa_field *f, struct wa_receiving_chain *c)
{
    switch (f->number) {
    case CHAIN_RATCHET:
        return wa_typed_key_open(f->bytes, c->ratchet);
    case CHAIN_KEY:
        return for_each_field(f->bytes, CHAIN_KEY_NEEDS, take_chain_key, &c->chain);
    default:
        return true;
    }
}

#define RECEIVING_NEEDS (BIT(CHAIN_RATCHET) | BIT(CHAIN_KEY))

static bool parse_receiving(struct bytes message, struct wa_receiving_chain *c)
{
    struct reader in = reader_init(message);
    struct wa_field f;
    unsigned seen = 0;
    int rc;
    *c = (struct wa_receiving_chain){0};
    for (const uint8_t *at = in.p; (rc = wa_field_next(&in, &f)) == 1; at = in.p) {
        if (f.number == CHAIN_SKIPPED) { /* all of them, at the end; taken as they are */
            c->skipped = BYTES(at, (size_t)(in.end - at));
            break;
        }
        if (!take_receiving_field(&f, c))
            return false;
        seen |= f.number < 32 ? BIT(f.number) : 0;
    }
    return rc >= 0 && (seen & RECEIVING_NEEDS) == RECEIVING_NEEDS;
}

static bool add_receiving(struct wa_ratchet *r, struct bytes message)
{
    return r->receiving_count < WA_RATCHET_CHAINS &&
           parse_receiving(message, &r->receiving[r->receiving_count++]);
}

static bool take_unacknowledged(const struct wa_field *f, void *ctx)
{
    struct wa_ratchet *r = ctx;
    switch (f->number) {
    case UNACKNOWLEDGED_PREKEY:
        r->has_prekey = true;
        return take_number(f, &r->prekey_id);
    case UNACKNOWLEDGED_BASE:
        return wa_typed_key_open(f->bytes, r->base_key);
    case UNACKNOWLEDGED_SIGNED:
        return take_number(f, &r->signed_prekey_id);
    default:
        return true;
    }
}

#define UNACKNOWLEDGED_NEEDS (BIT(UNACKNOWLEDGED_BASE) | BIT(UNACKNOWLEDGED_SIGNED))

static bool take_session_field(const struct wa_field *f, struct wa_ratchet *r)
{
    switch (f->number) {
    case SESSION_VERSION:
        return f->value == VERSION;
    case SESSION_OWN_IDENTITY:
        return wa_typed_key_open(f->bytes, r->own_identity);
    case SESSION_PEER_IDENTITY:
        return wa_typed_key_open(f->bytes, r->peer_identity);
    case SESSION_ROOT:
        return take_exactly(f, r->root, sizeof(r->root));
    case SESSION_PREVIOUS:
        return take_number(f, &r->previous);
    case SESSION_SENDING:
        return for_each_field(f->bytes, SENDING_NEEDS, take_sending_field, r);
    case SESSION_RECEIVING:
        return add_receiving(r, f->bytes);
    case SESSION_UNACKNOWLEDGED:
        r->unacknowledged = true;
        return for_each_field(f->bytes, UNACKNOWLEDGED_NEEDS, take_unacknowledged, r);
    case SESSION_PEER_REGISTRATION:
        return take_number(f, &r->peer_registration);
    case SESSION_OWN_REGISTRATION:
        return take_number(f, &r->own_registration);
    case SESSION_BASE_KEY:
        return wa_typed_key_open(f->bytes, r->base_key);
    default:
        return true;
    }
}

int wa_session_parse(struct bytes session, struct wa_ratchet *r)
{
    struct reader in = reader_init(session);
    struct wa_field f;
    unsigned seen = 0;
    int rc;
    while ((rc = wa_field_next(&in, &f)) == 1) {
        if (!take_session_field(&f, r))
            return ERR_INVALID;
        seen |= f.number < 32 ? BIT(f.number) : 0;
    }
    return rc == 0 && (seen & SESSION_NEEDS) == SESSION_NEEDS ? 0 : ERR_INVALID;
}

/* ---- writing a session ----------------------------------------------------------------------- */

static size_t chain_key_size(const struct wa_chain *chain)
{
    return wa_field_number_size(KEY_INDEX, chain->index) +
           wa_field_size(KEY_BYTES, sizeof(chain->key));
}

static void put_chain_key(struct buf *out, const struct wa_chain *chain)
{
    wa_field_put_head(out, CHAIN_KEY, chain_key_size(chain));
    wa_field_put_number(out, KEY_INDEX, chain->index);
    wa_field_put(out, KEY_BYTES, BYTES_ARRAY(chain->key));
}

static size_t sending_size(const struct wa_ratchet *r)
{
    return wa_field_size(CHAIN_RATCHET, WA_TYPED_KEY_LEN) +
           wa_field_size(CHAIN_RATCHET_PRIVATE, WA_KEY_LEN) +
           wa_field_size(CHAIN_KEY, chain_key_size(&r->sending));
}

static void put_sending(struct buf *out, const struct wa_ratchet *r)
{
    wa_field_put_head(out, SESSION_SENDING, sending_size(r));
    wa_field_put_key(out, CHAIN_RATCHET, r->ratchet.pub);
    wa_field_put(out, CHAIN_RATCHET_PRIVATE, BYTES_ARRAY(r->ratchet.priv));
    put_chain_key(out, &r->sending);
}

static size_t receiving_size(const struct wa_receiving_chain *c)
{
    return wa_field_size(CHAIN_RATCHET, WA_TYPED_KEY_LEN) +
           wa_field_size(CHAIN_KEY, chain_key_size(&c->chain)) + c->skipped.n;
}

static void put_receiving(struct buf *out, const struct wa_receiving_chain *c)
{
    wa_field_put_head(out, SESSION_RECEIVING, receiving_size(c));
    wa_field_put_key(out, CHAIN_RATCHET, c->ratchet);
    put_chain_key(out, &c->chain);
    buf_append(out, c->skipped);
}

static size_t unacknowledged_size(const struct wa_ratchet *r)
{
    return (r->has_prekey ? wa_field_number_size(UNACKNOWLEDGED_PREKEY, r->prekey_id) : 0) +
           wa_field_size(UNACKNOWLEDGED_BASE, WA_TYPED_KEY_LEN) +
           wa_field_number_size(UNACKNOWLEDGED_SIGNED, r->signed_prekey_id);
}

static void put_unacknowledged(struct buf *out, const struct wa_ratchet *r)
{
    wa_field_put_head(out, SESSION_UNACKNOWLEDGED, unacknowledged_size(r));
    if (r->has_prekey)
        wa_field_put_number(out, UNACKNOWLEDGED_PREKEY, r->prekey_id);
    wa_field_put_key(out, UNACKNOWLEDGED_BASE, r->base_key);
    wa_field_put_number(out, UNACKNOWLEDGED_SIGNED, r->signed_prekey_id);
}

static size_t session_size(const struct wa_ratchet *r)
{
    size_t key = WA_TYPED_KEY_LEN;
    size_t n =
        wa_field_number_size(SESSION_VERSION, VERSION) + wa_field_size(SESSION_OWN_IDENTITY, key) +
        wa_field_size(SESSION_PEER_IDENTITY, key) + wa_field_size(SESSION_ROOT, sizeof(r->root)) +
        wa_field_number_size(SESSION_PREVIOUS, r->previous) +
        wa_field_size(SESSION_SENDING, sending_size(r)) +
        wa_field_number_size(SESSION_PEER_REGISTRATION, r->peer_registration) +
        wa_field_number_size(SESSION_OWN_REGISTRATION, r->own_registration) +
        wa_field_number_size(SESSION_NEEDS_REFRESH, 0) + wa_field_size(SESSION_BASE_KEY, key);
    for (size_t i = 0; i < r->receiving_count; i++)
        n += wa_field_size(SESSION_RECEIVING, receiving_size(&r->receiving[i]));
    if (r->unacknowledged)
        n += wa_field_size(SESSION_UNACKNOWLEDGED, unacknowledged_size(r));
    return n;
}

static void put_session(struct buf *out, const struct wa_ratchet *r)
{
    wa_field_put_head(out, RECORD_CURRENT, session_size(r));
    wa_field_put_number(out, SESSION_VERSION, VERSION);
    wa_field_put_key(out, SESSION_OWN_IDENTITY, r->own_identity);
    wa_field_put_key(out, SESSION_PEER_IDENTITY, r->peer_identity);
    wa_field_put(out, SESSION_ROOT, BYTES_ARRAY(r->root));
    wa_field_put_number(out, SESSION_PREVIOUS, r->previous);
    put_sending(out, r);
    for (size_t i = 0; i < r->receiving_count; i++)
        put_receiving(out, &r->receiving[i]);
    if (r->unacknowledged)
        put_unacknowledged(out, r);
    wa_field_put_number(out, SESSION_PEER_REGISTRATION, r->peer_registration);
    wa_field_put_number(out, SESSION_OWN_REGISTRATION, r->own_registration);
    wa_field_put_number(out, SESSION_NEEDS_REFRESH, 0);
    wa_field_put_key(out, SESSION_BASE_KEY, r->base_key);
}

/* One growth of the buffer instead of some. */
static size_t record_size(const struct wa_session_record *record, const struct wa_ratchet *current)
{
    size_t n = 0;
    if (current || record->current.p)
        n = wa_field_size(RECORD_CURRENT, current ? session_size(current) : record->current.n);
    for (size_t i = 0; i < record->archived_count; i++)
        n += wa_field_size(RECORD_ARCHIVED, record->archived[i].n);
    return n;
}

int wa_session_record_write(struct buf *out, const struct wa_session_record *record,
                            const struct wa_ratchet *current)
{
    size_t n = record_size(record, current);
    if (n > 0 && !buf_reserve(out, n))
        return ERR_LIMIT;
    if (current)
        put_session(out, current);
    else if (record->current.p)
        wa_field_put(out, RECORD_CURRENT, record->current);
    for (size_t i = 0; i < record->archived_count; i++)
        wa_field_put(out, RECORD_ARCHIVED, record->archived[i]);
    return out->full ? ERR_LIMIT : 0;
}

/* ---- skipped message keys -------------------------------------------------------------------- */

void wa_skipped_put(struct buf *out, const struct wa_skipped *keys)
{
    wa_field_put_head(out, CHAIN_SKIPPED,
                      wa_field_number_size(SKIPPED_INDEX, keys->index) +
                          wa_field_size(SKIPPED_CIPHER, keys->cipher.n) +
                          wa_field_size(SKIPPED_MAC, keys->mac.n) +
                          wa_field_size(SKIPPED_IV, keys->iv.n));
    wa_field_put_number(out, SKIPPED_INDEX, keys->index);
    wa_field_put(out, SKIPPED_CIPHER, keys->cipher);
    wa_field_put(out, SKIPPED_MAC, keys->mac);
    wa_field_put(out, SKIPPED_IV, keys->iv);
}

static bool take_skipped_field(const struct wa_field *f, void *ctx)
{
    struct wa_skipped *keys = ctx;
    switch (f->number) {
    case SKIPPED_INDEX:
        return take_number(f, &keys->index);
    case SKIPPED_CIPHER:
        keys->cipher = f->bytes;
        return f->bytes.n == 32;
    case SKIPPED_MAC:
        keys->mac = f->bytes;
        return f->bytes.n == 32;
    case SKIPPED_IV:
        keys->iv = f->bytes;
        return f->bytes.n == 16;
    default:
        return true;
    }
}

#define SKIPPED_NEEDS                                                                              \
    (BIT(SKIPPED_INDEX) | BIT(SKIPPED_CIPHER) | BIT(SKIPPED_MAC) | BIT(SKIPPED_IV))

static bool parse_skipped(const struct wa_field *f, struct wa_skipped *out)
{
    *out = (struct wa_skipped){0};
    return f->number == CHAIN_SKIPPED &&
           for_each_field(f->bytes, SKIPPED_NEEDS, take_skipped_field, out);
}

int wa_skipped_take(struct bytes skipped, uint32_t index, struct wa_skipped *found,
                    struct buf *rest)
{
    struct reader in = reader_init(skipped);
    struct wa_field f;
    int rc;
    for (const uint8_t *at = in.p; (rc = wa_field_next(&in, &f)) == 1; at = in.p) {
        if (!parse_skipped(&f, found))
            return ERR_INVALID;
        if (found->index != index)
            continue;
        buf_append(rest, BYTES(skipped.p, (size_t)(at - skipped.p)));
        buf_append(rest, BYTES(in.p, reader_left(&in)));
        return 1;
    }
    return rc;
}

struct bytes wa_skipped_newest(struct bytes skipped, size_t max)
{
    struct reader count = reader_init(skipped), in = reader_init(skipped);
    struct wa_field f;
    size_t n = 0;
    while (wa_field_next(&count, &f) == 1)
        n++;
    while (n > max && wa_field_next(&in, &f) == 1)
        n--;
    return BYTES(in.p, reader_left(&in));
}
