/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "twins.h"

#include <stdio.h>

#include "base/err.h"
#include "testing.h"
#include "wa/prekeys.h"

#define PADDED_MAX 64

uint32_t twins_roll(struct twins *w, uint32_t sides)
{
    w->dice = w->dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(w->dice >> 33) % sides;
}

struct twin *twins_other(struct twins *w, const struct twin *s)
{
    return &w->sides[s == &w->sides[0]];
}

void twins_open(struct twin *s)
{
    s->signal = wa_signal_open(&s->device, &s->ours->host);
    s->library = library_peer_open(&s->device, &s->theirs->host);
}

void twins_close(struct twin *s)
{
    wa_signal_close(s->signal);
    library_peer_close(s->library);
}

void twins_swap(struct twin *s)
{
    struct fake_host *ours = s->ours;
    twins_close(s);
    s->ours = s->theirs;
    s->theirs = ours;
    twins_open(s);
}

static void side_init(struct twins *w, size_t i)
{
    struct twin *s = &w->sides[i];
    wa_device_generate(&s->device, &w->maker.host);
    s->jid = wa_jid_make(WA_SERVER_LID, i == 0 ? "111111111111111" : "222222222222222",
                         (uint16_t)(i * 12));
    for (size_t h = 0; h < 2; h++) {
        fake_host_init(&s->hosts[h]);
        s->hosts[h].counter = (w->dice << 8) + 1 + i; /* draws nothing that maker draws */
    }
    s->ours = &s->hosts[0];
    s->theirs = &s->hosts[1];
    twins_open(s);
}

void twins_init(struct twins *w, uint64_t seed)
{
    *w = (struct twins){.dice = seed};
    fake_host_init(&w->maker);
    w->maker.counter = seed;
    for (size_t i = 0; i < 2; i++)
        side_init(w, i);
    for (size_t i = 0; i < TWINS_FLIGHTS; i++)
        buf_init(&w->flights[i].sealed, 4096);
}

void twins_deinit(struct twins *w)
{
    for (size_t i = 0; i < 2; i++) {
        twins_close(&w->sides[i]);
        fake_host_deinit(&w->sides[i].hosts[0]);
        fake_host_deinit(&w->sides[i].hosts[1]);
    }
    for (size_t i = 0; i < TWINS_FLIGHTS; i++)
        buf_deinit(&w->flights[i].sealed);
    fake_host_deinit(&w->maker);
}

/* The first line that is different. */
static void assert_same_records(struct bytes ours, struct bytes theirs, const char *what)
{
    size_t at = 0, line = 0;
    for (; at < ours.n && at < theirs.n && ours.p[at] == theirs.p[at]; at++)
        line = ours.p[at] == '\n' ? at + 1 : line;
    if (at == ours.n && at == theirs.n)
        return;
    ck_abort_msg("%s: byte %zu of %.*s… instead of %.*s…", what, at - line,
                 (int)(ours.n - line < 900 ? ours.n - line : 900), (const char *)ours.p + line,
                 (int)(theirs.n - line < 900 ? theirs.n - line : 900),
                 (const char *)theirs.p + line);
}

void twins_assert_agree(const struct twins *w, const struct twin *s)
{
    struct buf ours, theirs;
    ck_assert_msg(s->ours->counter == s->theirs->counter, "%s: other draws", w->doing);
    fake_host_dump(s->ours, &ours);
    fake_host_dump(s->theirs, &theirs);
    assert_same_records(buf_bytes(&ours), buf_bytes(&theirs), w->doing);
    buf_deinit(&ours);
    buf_deinit(&theirs);
}

/* ---- what is done to both twins -------------------------------------------------------------- */

void twins_put_key(struct twin *s, enum wa_table table, uint32_t id, const struct wa_keypair *k)
{
    char key[16];
    uint8_t record[WA_PREKEY_RECORD_LEN];
    snprintf(key, sizeof(key), "%u", (unsigned)id);
    memcpy(record, k->priv, WA_KEY_LEN);
    memcpy(record + WA_KEY_LEN, k->pub, WA_KEY_LEN);
    fake_host_put(s->ours, table, key, BYTES_ARRAY(record));
    fake_host_put(s->theirs, table, key, BYTES_ARRAY(record));
}

void twins_record_key(struct twins *w, const struct twin *s, char out[WA_KEY_MAX])
{
    char name[WA_JID_NAME_SIZE];
    const struct wa_jid *peer = &twins_other(w, s)->jid;
    snprintf(out, WA_KEY_MAX, "%s:%u", wa_jid_signal_name(peer, name), (unsigned)peer->device);
}

void twins_record(struct twins *w, const struct twin *s, struct fake_host *h, struct buf *out)
{
    char key[WA_KEY_MAX];
    twins_record_key(w, s, key);
    buf_init(out, WA_RECORD_MAX);
    ck_assert_int_eq(h->host.get(h, WA_TABLE_SESSION, key, out), 1);
}

void twins_del(struct twin *s, enum wa_table table, const char *key)
{
    ck_assert_int_eq(s->ours->host.del(s->ours, table, key), 0);
    ck_assert_int_eq(s->theirs->host.del(s->theirs, table, key), 0);
}

struct wa_bundle twins_bundle(const struct twin *s)
{
    struct wa_bundle b = {.registration_id = s->device.registration_id,
                          .signed_prekey_id = s->device.signed_prekey.id};
    memcpy(b.identity, s->device.identity.pub, WA_KEY_LEN);
    memcpy(b.signed_prekey, s->device.signed_prekey.key.pub, WA_KEY_LEN);
    memcpy(b.signed_prekey_signature, s->device.signed_prekey.signature, WA_SIGNATURE_LEN);
    return b;
}

struct wa_bundle twins_bundle_prekey(struct twins *w, struct twin *s)
{
    struct wa_bundle b = twins_bundle(s);
    struct wa_keypair key;
    wa_curve_generate(&key, &w->maker.host);
    b.has_prekey = true;
    b.prekey_id = ++s->prekeys;
    memcpy(b.prekey, key.pub, WA_KEY_LEN);
    twins_put_key(s, WA_TABLE_PREKEY, b.prekey_id, &key);
    return b;
}

int twins_process(struct twins *w, struct twin *s, const struct wa_bundle *b)
{
    const struct wa_jid *peer = &twins_other(w, s)->jid;
    int ours = wa_signal_process_bundle(s->signal, peer, b);
    ck_assert_int_eq(ours, library_peer_process_bundle(s->library, peer, b));
    twins_assert_agree(w, s);
    return ours;
}

static struct twins_flight *next_flight(struct twins *w)
{
    if (w->flight_count == TWINS_FLIGHTS) { /* the oldest one is lost */
        struct twins_flight lost = w->flights[0];
        memmove(w->flights, w->flights + 1, (TWINS_FLIGHTS - 1) * sizeof(lost));
        w->flights[--w->flight_count] = lost;
    }
    struct twins_flight *f = &w->flights[w->flight_count++];
    buf_clear(&f->sealed);
    f->forged = false;
    return f;
}

static struct bytes some_padded(struct twins *w, uint8_t room[PADDED_MAX])
{
    size_t n = twins_roll(w, PADDED_MAX + 1);
    for (size_t i = 0; i < n; i++)
        room[i] = (uint8_t)twins_roll(w, 256);
    return BYTES(room, n);
}

struct twins_flight *twins_seal(struct twins *w, struct twin *s)
{
    const struct wa_jid *peer = &twins_other(w, s)->jid;
    uint8_t room[PADDED_MAX];
    struct bytes padded = some_padded(w, room);
    enum wa_enc_type type = WA_ENC_SKMSG, library_type = WA_ENC_SKMSG;
    AUTO_BUF struct buf ours = {.max = 4096}, theirs = {.max = 4096};
    int rc = wa_signal_encrypt(s->signal, peer, padded, &type, &ours);
    int library_rc = library_peer_encrypt(s->library, peer, padded, &library_type, &theirs);
    ck_assert_int_eq(rc, library_rc);
    ck_assert_int_eq(type, library_type);
    testing_assert_bytes(buf_bytes(&ours), buf_bytes(&theirs), "sealed");
    if (rc != 0)
        return NULL;
    struct twins_flight *f = next_flight(w);
    f->to = (size_t)(twins_other(w, s) - w->sides);
    f->type = type;
    buf_append(&f->sealed, buf_bytes(&ours));
    w->sent++;
    return f;
}

void twins_forget(struct twins *w, size_t at)
{
    struct twins_flight gone = w->flights[at];
    w->flight_count--;
    memmove(w->flights + at, w->flights + at + 1, (w->flight_count - at) * sizeof(gone));
    w->flights[w->flight_count] = gone;
}

static void copy_record(void *to, enum wa_table table, const char *key, struct bytes value)
{
    fake_host_put(to, table, key, value);
}

/* The library opened what we refuse on purpose: it goes on from where we are. */
static void take_ours(struct twin *s)
{
    library_peer_close(s->library);
    fake_host_deinit(s->theirs);
    fake_host_each(s->ours, copy_record, s->theirs);
    s->theirs->counter = s->ours->counter;
    s->library = library_peer_open(&s->device, &s->theirs->host);
}

struct outcome {
    int rc;
    enum wa_signal_fault fault;
    struct buf plain;
};

/*
 * How we are stricter with what was forged on its way. The MAC covers neither the envelope of a
 * pkmsg nor its identity and base key.
 */
static const struct {
    enum wa_enc_type type;
    enum wa_signal_fault fault; /* ours */
    int library_rc;
    enum wa_signal_fault library_fault;
} stricter[] = {
    /* Too short for a MAC: no message to us, no known error to the library. */
    {WA_ENC_MSG, WA_FAULT_INVALID_MESSAGE, ERR_AUTH, WA_FAULT_UNKNOWN},
    {WA_ENC_PKMSG, WA_FAULT_INVALID_MESSAGE, ERR_AUTH, WA_FAULT_UNKNOWN},
    /* A bad key in front of something malformed: we stop at the key. */
    {WA_ENC_MSG, WA_FAULT_INVALID_KEY, ERR_AUTH, WA_FAULT_INVALID_MESSAGE},
    {WA_ENC_PKMSG, WA_FAULT_INVALID_KEY, ERR_AUTH, WA_FAULT_INVALID_MESSAGE},
    /* Another identity or base key: a session that there is not, to us; the library opens it. */
    {WA_ENC_PKMSG, WA_FAULT_INVALID_KEY_ID, ERR_AUTH, WA_FAULT_INVALID_MESSAGE},
    {WA_ENC_PKMSG, WA_FAULT_INVALID_KEY_ID, 0, WA_FAULT_UNKNOWN},
    {WA_ENC_PKMSG, WA_FAULT_INVALID_KEY_ID, 1, WA_FAULT_UNKNOWN},
    {WA_ENC_PKMSG, WA_FAULT_INVALID_MESSAGE, 0, WA_FAULT_UNKNOWN},
    {WA_ENC_PKMSG, WA_FAULT_INVALID_MESSAGE, 1, WA_FAULT_UNKNOWN},
};

static bool is_stricter(const struct twins_flight *f, const struct outcome *ours,
                        const struct outcome *library)
{
    for (size_t i = 0; i < ARRAY_LEN(stricter) && f->forged && ours->rc == ERR_AUTH; i++)
        if (f->type == stricter[i].type && ours->fault == stricter[i].fault &&
            library->rc == stricter[i].library_rc && library->fault == stricter[i].library_fault)
            return true;
    return false;
}

static void count(struct twins *w, int rc)
{
    w->opened += rc == 0;
    w->duplicates += rc == 1;
    w->refused += rc == ERR_AUTH;
}

int twins_receive(struct twins *w, const struct twins_flight *f)
{
    struct twin *s = &w->sides[f->to];
    const struct wa_jid *peer = &twins_other(w, s)->jid;
    struct outcome ours = {.plain = {.max = 4096}}, library = {.plain = {.max = 4096}};
    struct buf before, after;
    fake_host_dump(s->ours, &before);
    ours.rc = wa_signal_decrypt(s->signal, peer, f->type, buf_bytes(&f->sealed), &ours.plain,
                                &ours.fault);
    fake_host_dump(s->ours, &after);
    if (ours.rc != 0)
        assert_same_records(buf_bytes(&after), buf_bytes(&before), "records of a failed call");
    library.rc = library_peer_decrypt(s->library, peer, f->type, buf_bytes(&f->sealed),
                                      &library.plain, &library.fault);
    if (is_stricter(f, &ours, &library)) {
        w->stricter++;
        take_ours(s);
    } else {
        ck_assert_msg(ours.rc == library.rc && ours.fault == library.fault,
                      "%s: we say %d (%s), the library %d (%s)", w->doing, ours.rc,
                      wa_fault_text(ours.fault), library.rc, wa_fault_text(library.fault));
        testing_assert_bytes(buf_bytes(&ours.plain), buf_bytes(&library.plain), "plain");
        /* The library looks whether an archived session opens a pkmsg that begins none. */
        if (f->type == WA_ENC_PKMSG && ours.rc == ERR_AUTH)
            s->theirs->counter = s->ours->counter;
        twins_assert_agree(w, s);
    }
    count(w, ours.rc);
    buf_deinit(&before);
    buf_deinit(&after);
    buf_deinit(&ours.plain);
    buf_deinit(&library.plain);
    return ours.rc;
}

void twins_say(struct twins *w, struct twin *s)
{
    ck_assert_ptr_nonnull(twins_seal(w, s));
    ck_assert_int_eq(twins_receive(w, &w->flights[w->flight_count - 1]), 0);
    twins_forget(w, w->flight_count - 1);
}
