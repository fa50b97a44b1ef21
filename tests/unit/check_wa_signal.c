/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Signal door, prekeys, bundles and device lists, against vectors of other implementations. */
#include <stdio.h>

#include "base/err.h"
#include "base/text.h"
#include "check_wa_message.h"
#include "fake_host.h"
#include "testing.h"
#include "wa/crypto.h"
#include "wa/devices.h"
#include "wa/message.h"
#include "wa/prekeys.h"
#include "wa/signal.h"

/* ---- parties of the vectors
 * ---------------------------------------------------------------------- */

struct party {
    struct fake_host fake;
    struct wa_device device;
    struct wa_signal *signal;
    struct wa_jid jid;
    const json_t *about;
};

/* A public key of the vectors carries the leading 05. */
static void key_from(uint8_t out[WA_KEY_LEN], const json_t *object, const char *name)
{
    struct bytes b = testing_hex(object, name);
    size_t skip = b.n - WA_KEY_LEN;
    ck_assert_uint_le(skip, 1);
    memcpy(out, b.p + skip, WA_KEY_LEN);
}

static uint32_t number(const json_t *object, const char *name)
{
    return (uint32_t)json_integer_value(json_object_get(object, name));
}

/* {"name": "111_1", "device_id": 3} */
static struct wa_jid jid_from(const json_t *address)
{
    char user[WA_JID_USER_MAX + 1];
    const char *name = testing_text(address, "name");
    size_t n = strlen(name) - 2;
    ck_assert_str_eq(name + n, "_1");
    bytes_copy_text(BYTES(name, n), user, sizeof(user));
    return wa_jid_make(WA_SERVER_LID, user, (uint16_t)number(address, "device_id"));
}

static void put_prekey(struct party *p, const json_t *prekey)
{
    char key[16];
    uint8_t record[WA_PREKEY_RECORD_LEN];
    snprintf(key, sizeof(key), "%u", number(prekey, "id"));
    key_from(record, prekey, "private");
    key_from(record + WA_KEY_LEN, prekey, "public");
    fake_host_put(&p->fake, WA_TABLE_PREKEY, key, BYTES_ARRAY(record));
}

static const json_t *prekey_of(const struct party *p, uint32_t id)
{
    const json_t *list = json_object_get(p->about, "prekeys");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (number(json_array_get(list, i), "id") == id)
            return json_array_get(list, i);
    ck_abort_msg("no prekey %u", id);
}

static void party_init(struct party *p, const json_t *about)
{
    const json_t *prekeys = json_object_get(about, "prekeys");
    const json_t *skey = json_array_get(json_object_get(about, "signed_prekeys"), 0);
    struct wa_device *d = &p->device;
    *p = (struct party){.about = about, .jid = jid_from(json_object_get(about, "address"))};
    fake_host_init(&p->fake);
    d->registration_id = number(about, "registration_id");
    key_from(d->identity.priv, about, "identity_private");
    key_from(d->identity.pub, about, "identity_public");
    d->signed_prekey.id = number(skey, "id");
    key_from(d->signed_prekey.key.priv, skey, "private");
    key_from(d->signed_prekey.key.pub, skey, "public");
    memcpy(d->signed_prekey.signature, testing_hex(skey, "signature").p, WA_SIGNATURE_LEN);
    for (size_t i = 0; i < json_array_size(prekeys); i++)
        put_prekey(p, json_array_get(prekeys, i));
    p->signal = wa_signal_open(d, &p->fake.host);
}

static void party_deinit(struct party *p)
{
    wa_signal_close(p->signal);
    fake_host_deinit(&p->fake);
}

static struct wa_bundle bundle_from(const json_t *b)
{
    struct wa_bundle out = {.registration_id = number(b, "registration_id"),
                            .signed_prekey_id = number(b, "signed_prekey_id")};
    const json_t *id = json_object_get(b, "prekey_id");
    key_from(out.identity, b, "identity_public");
    key_from(out.signed_prekey, b, "signed_prekey_public");
    memcpy(out.signed_prekey_signature, testing_hex(b, "signed_prekey_signature").p,
           WA_SIGNATURE_LEN);
    if (!json_is_integer(id))
        return out;
    out.has_prekey = true;
    out.prekey_id = number(b, "prekey_id");
    key_from(out.prekey, b, "prekey_public");
    return out;
}

/* ---- replaying signal-1to1.json
 * ------------------------------------------------------------------ */

struct replay {
    struct party alice, bob;
    const json_t *events;
    const char *name;
};

static void replay_init(struct replay *r, const json_t *scenario)
{
    const json_t *parties = json_object_get(scenario, "parties");
    r->name = testing_text(scenario, "name");
    r->events = json_object_get(scenario, "events");
    party_init(&r->alice, json_object_get(parties, "alice"));
    party_init(&r->bob, json_object_get(parties, "bob"));
}

static void replay_deinit(struct replay *r)
{
    party_deinit(&r->alice);
    party_deinit(&r->bob);
}

static const json_t *scenario_named(const json_t *vectors, const char *name)
{
    const json_t *all = json_object_get(vectors, "scenarios");
    for (size_t i = 0; i < json_array_size(all); i++)
        if (strcmp(testing_text(json_array_get(all, i), "name"), name) == 0)
            return json_array_get(all, i);
    ck_abort_msg("no scenario %s", name);
}

static enum wa_enc_type enc_type(const json_t *event)
{
    enum wa_enc_type type;
    ck_assert_int_eq(wa_enc_parse(bytes_text(testing_text(event, "enc_type")), &type), 0);
    return type;
}

static void do_encrypt(struct party *p, const struct wa_jid *peer, const json_t *event)
{
    enum wa_enc_type type;
    struct buf sealed;
    buf_init(&sealed, WA_ENC_MAX);
    ck_assert_int_eq(
        wa_signal_encrypt(p->signal, peer, testing_hex(event, "padded_plaintext"), &type, &sealed),
        0);
    ck_assert_str_eq(wa_enc_text(type), testing_text(event, "enc_type"));
    testing_assert_bytes(buf_bytes(&sealed), testing_hex(event, "ciphertext"), "ciphertext");
    buf_deinit(&sealed);
}

/* What each "expect" of the vectors is to us: result and fault. A changed identity is accepted. */
static const struct {
    const char *expect;
    int rc;
    enum wa_signal_fault fault;
} expectations[] = {
    {"ok", 0, WA_FAULT_UNKNOWN},
    {"duplicate", 1, WA_FAULT_UNKNOWN},
    {"bad_mac", ERR_AUTH, WA_FAULT_INVALID_MESSAGE},
    {"no_session", ERR_AUTH, WA_FAULT_NO_SESSION},
    {"invalid_prekey_id", ERR_AUTH, WA_FAULT_INVALID_KEY_ID},
    {"untrusted_identity", 0, WA_FAULT_UNKNOWN},
    {"bad_signature", ERR_AUTH, WA_FAULT_INVALID_SIGNATURE},
    {"no_sender_key", ERR_AUTH, WA_FAULT_NO_SESSION},
};

static void check_outcome(const char *expect, int rc, enum wa_signal_fault fault)
{
    for (size_t i = 0; i < ARRAY_LEN(expectations); i++) {
        if (strcmp(expectations[i].expect, expect) != 0)
            continue;
        ck_assert_msg(rc == expectations[i].rc && fault == expectations[i].fault,
                      "%s: got %d, fault %s", expect, rc, wa_fault_text(fault));
        return;
    }
    ck_abort_msg("what is %s?", expect);
}

static void do_decrypt(struct party *p, const struct wa_jid *peer, const json_t *event)
{
    const char *expect = testing_text(event, "expect");
    const json_t *consumed = json_object_get(event, "consumed_prekey_id");
    enum wa_signal_fault fault;
    struct buf plain, before, after;
    char key[16];
    buf_init(&plain, WA_ENC_MAX);
    fake_host_dump(&p->fake, &before);
    if (json_is_integer(consumed)) {
        snprintf(key, sizeof(key), "%d", (int)json_integer_value(consumed));
        ck_assert(fake_host_has(&p->fake, WA_TABLE_PREKEY, key));
    }
    int rc = wa_signal_decrypt(p->signal, peer, enc_type(event), testing_hex(event, "ciphertext"),
                               &plain, &fault);
    check_outcome(expect, rc, fault);
    fake_host_dump(&p->fake, &after);
    if (rc == 0 && json_object_get(event, "padded_plaintext"))
        testing_assert_bytes(buf_bytes(&plain), testing_hex(event, "padded_plaintext"), "plain");
    if (rc != 0) {
        ck_assert_uint_eq(plain.n, 0);
        testing_assert_bytes(buf_bytes(&after), buf_bytes(&before), "records after a failure");
    }
    if (json_is_integer(consumed))
        ck_assert(!fake_host_has(&p->fake, WA_TABLE_PREKEY, key));
    buf_deinit(&plain);
    buf_deinit(&before);
    buf_deinit(&after);
}

static void do_other(struct party *p, const struct wa_jid *peer, const json_t *event)
{
    const char *op = testing_text(event, "op");
    char key[96], name[WA_JID_NAME_SIZE];
    const struct wa_host *h = &p->fake.host;
    if (strcmp(op, "forget_session") == 0) {
        ck_assert_int_eq(wa_signal_drop_session(p->signal, peer), 0);
        ck_assert_int_eq(wa_signal_has_session(p->signal, peer), 0);
    } else if (strcmp(op, "forget_prekey") == 0) {
        snprintf(key, sizeof(key), "%u", number(event, "id"));
        ck_assert_int_eq(h->del(h->ctx, WA_TABLE_PREKEY, key), 0);
    } else if (strcmp(op, "restore_prekey") == 0) {
        put_prekey(p, prekey_of(p, number(event, "id")));
    } else if (strcmp(op, "forget_signed_prekey") == 0) {
        p->device.signed_prekey.id += 100;
    } else if (strcmp(op, "restore_signed_prekey") == 0) {
        p->device.signed_prekey.id -= 100;
    } else if (strcmp(op, "replace_identity") == 0) {
        party_deinit(p);
        party_init(p, json_object_get(event, "party"));
    } else if (strcmp(op, "forget_identity") == 0) {
        snprintf(key, sizeof(key), "%s:%u", wa_jid_signal_name(peer, name), (unsigned)peer->device);
        ck_assert_int_eq(h->del(h->ctx, WA_TABLE_IDENTITY, key), 0);
    } else {
        ck_abort_msg("what is %s?", op);
    }
}

static void do_event(struct party *p, const struct wa_jid *peer, const json_t *event)
{
    const char *op = testing_text(event, "op");
    const json_t *draws = json_object_get(event, "keypair_draws");
    for (size_t i = 0; i < json_array_size(draws); i++)
        fake_host_script(&p->fake, testing_unhex(json_string_value(json_array_get(draws, i))));
    if (strcmp(op, "process_bundle") == 0) {
        struct wa_bundle b = bundle_from(json_object_get(event, "bundle"));
        ck_assert_int_eq(wa_signal_process_bundle(p->signal, peer, &b), 0);
        ck_assert_int_eq(wa_signal_has_session(p->signal, peer), 1);
    } else if (strcmp(op, "encrypt") == 0) {
        do_encrypt(p, peer, event);
    } else if (strcmp(op, "decrypt") == 0) {
        do_decrypt(p, peer, event);
    } else {
        do_other(p, peer, event);
    }
    fake_host_script_done(&p->fake, op);
}

/* Our policy accepts a changed identity at once: later steps of that scenario are then different.
 */
static bool is_ours(const json_t *events, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        const json_t *expect = json_object_get(json_array_get(events, i), "expect");
        if (expect && strcmp(json_string_value(expect), "untrusted_identity") == 0)
            return false;
    }
    return true;
}

/* Plays the first count events of the named actors ("both", "alice", "bob"). */
static void replay_events(struct replay *r, const char *who, size_t count)
{
    for (size_t i = 0; i < count && is_ours(r->events, i); i++) {
        const json_t *event = json_array_get(r->events, i);
        const char *actor = testing_text(event, "actor");
        bool alice = strcmp(actor, "alice") == 0;
        if (strcmp(who, "both") == 0 || strcmp(who, actor) == 0)
            do_event(alice ? &r->alice : &r->bob, alice ? &r->bob.jid : &r->alice.jid, event);
    }
}

static void replay_all(const char *who)
{
    json_t *vectors = testing_vectors("signal-1to1.json");
    const json_t *scenarios = json_object_get(vectors, "scenarios");
    ck_assert_uint_ge(json_array_size(scenarios), 5);
    for (size_t i = 0; i < json_array_size(scenarios); i++) {
        struct replay r;
        replay_init(&r, json_array_get(scenarios, i));
        replay_events(&r, who, json_array_size(r.events));
        replay_deinit(&r);
    }
}

START_TEST(test_signal_vectors_both_parties_match)
{
    replay_all("both");
}
END_TEST

START_TEST(test_signal_vectors_bob_alone_matches)
{
    replay_all("bob");
}
END_TEST

START_TEST(test_signal_vectors_alice_alone_matches)
{
    replay_all("alice");
}
END_TEST

/* ---- all or nothing
 * ------------------------------------------------------------------------------ */

static size_t event_index(const struct replay *r, const char *op, const char *id)
{
    for (size_t i = 0; i < json_array_size(r->events); i++) {
        const json_t *e = json_array_get(r->events, i);
        const char *its = json_string_value(json_object_get(e, "id"));
        if (strcmp(testing_text(e, "op"), op) == 0 && (!id || (its && strcmp(its, id) == 0)))
            return i;
    }
    ck_abort_msg("no %s %s", op, id ? id : "");
}

static void replay_until(struct replay *r, const char *scenario, const char *op, const char *id)
{
    replay_init(r, scenario_named(testing_vectors("signal-1to1.json"), scenario));
    replay_events(r, "both", event_index(r, op, id));
}

static int try_decrypt(struct party *p, const struct wa_jid *peer, enum wa_enc_type type,
                       struct bytes sealed, enum wa_signal_fault *fault)
{
    struct buf plain;
    buf_init(&plain, WA_ENC_MAX);
    int rc = wa_signal_decrypt(p->signal, peer, type, sealed, &plain, fault);
    ck_assert(rc == 0 ? plain.n > 0 : plain.n == 0);
    buf_deinit(&plain);
    return rc;
}

static const json_t *decrypt_event(struct replay *r, const char *id)
{
    return json_array_get(r->events, event_index(r, "decrypt", id));
}

START_TEST(test_decrypt_host_failure_at_each_call_changes_nothing)
{
    /* The first pkmsg touches all: identity, session, prekey; fail each of its host calls in turn.
     */
    for (int kind = 0; kind < 3; kind++) {
        for (int at = 1;; at++) {
            struct replay r;
            struct buf before, after;
            enum wa_signal_fault fault;
            replay_until(&r, "basic", "decrypt", "a1");
            struct bytes sealed = testing_hex(decrypt_event(&r, "a1"), "ciphertext");
            fake_host_dump(&r.bob.fake, &before);
            int *countdown[] = {&r.bob.fake.fail_get, &r.bob.fake.fail_put, &r.bob.fake.fail_del};
            *countdown[kind] = at;
            int rc = try_decrypt(&r.bob, &r.alice.jid, WA_ENC_PKMSG, sealed, &fault);
            bool failed = *countdown[kind] == 0;
            ck_assert_int_eq(rc, failed ? ERR_STORE : 0);
            *countdown[kind] = 0;
            if (failed) {
                fake_host_dump(&r.bob.fake, &after);
                testing_assert_bytes(buf_bytes(&after), buf_bytes(&before), "records");
                buf_deinit(&after);
                ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, WA_ENC_PKMSG, sealed, &fault),
                                 0);
            }
            buf_deinit(&before);
            replay_deinit(&r);
            if (!failed) {
                ck_assert_int_gt(at, 1);
                break;
            }
        }
    }
}
END_TEST

START_TEST(test_encrypt_host_failure_gives_no_ciphertext)
{
    struct replay r;
    enum wa_enc_type type;
    struct buf sealed, before, after;
    replay_until(&r, "basic", "decrypt", "a1");
    buf_init(&sealed, WA_ENC_MAX);
    fake_host_dump(&r.alice.fake, &before);
    r.alice.fake.fail_put = 1;
    ck_assert_int_eq(
        wa_signal_encrypt(r.alice.signal, &r.bob.jid, bytes_text("x\1"), &type, &sealed),
        ERR_STORE);
    ck_assert_uint_eq(sealed.n, 0);
    fake_host_dump(&r.alice.fake, &after);
    testing_assert_bytes(buf_bytes(&after), buf_bytes(&before), "records");
    buf_deinit(&sealed);
    buf_deinit(&before);
    buf_deinit(&after);
    replay_deinit(&r);
}
END_TEST

START_TEST(test_encrypt_output_full_keeps_ratchet)
{
    struct replay r;
    enum wa_enc_type type;
    struct buf sealed, before, after;
    replay_until(&r, "basic", "decrypt", "a1");
    buf_init(&sealed, 10);
    fake_host_dump(&r.alice.fake, &before);
    ck_assert_int_eq(
        wa_signal_encrypt(r.alice.signal, &r.bob.jid, bytes_text("x\1"), &type, &sealed),
        ERR_LIMIT);
    fake_host_dump(&r.alice.fake, &after);
    testing_assert_bytes(buf_bytes(&after), buf_bytes(&before), "records");
    buf_deinit(&sealed);
    buf_deinit(&before);
    buf_deinit(&after);
    replay_deinit(&r);
}
END_TEST

START_TEST(test_encrypt_without_session_is_not_found)
{
    struct replay r;
    enum wa_enc_type type;
    struct buf sealed;
    replay_until(&r, "basic", "process_bundle", NULL);
    buf_init(&sealed, WA_ENC_MAX);
    ck_assert_int_eq(
        wa_signal_encrypt(r.alice.signal, &r.bob.jid, bytes_text("x\1"), &type, &sealed),
        ERR_NOT_FOUND);
    ck_assert_int_eq(wa_signal_has_session(r.alice.signal, &r.bob.jid), 0);
    ck_assert(r.alice.fake.records == NULL);
    buf_deinit(&sealed);
    replay_deinit(&r);
}
END_TEST

/* Borrowed until the next call. */
static struct bytes changed(struct bytes b, size_t at, uint8_t flip)
{
    static uint8_t copy[4096];
    ck_assert_uint_le(b.n, sizeof(copy));
    memcpy(copy, b.p, b.n);
    copy[at] ^= flip;
    return BYTES(copy, b.n);
}

START_TEST(test_decrypt_forged_pkmsg_changes_nothing)
{
    struct replay r;
    enum wa_signal_fault fault;
    struct buf before, after;
    /* Alice is new, and known under another identity: both ways to have one written. */
    const char *scenarios[] = {"basic", "identity-change"}, *ids[] = {"a1", "a2"};
    for (size_t i = 0; i < 2; i++) {
        replay_until(&r, scenarios[i], "decrypt", ids[i]);
        struct bytes sealed = testing_hex(decrypt_event(&r, ids[i]), "ciphertext");
        fake_host_dump(&r.bob.fake, &before);
        /* Fields behind the inner message follow its MAC: flip what belongs to it. */
        for (size_t at = sealed.n - 24; at < sealed.n - 6; at++)
            try_decrypt(&r.bob, &r.alice.jid, WA_ENC_PKMSG, changed(sealed, at, 0x01), &fault);
        fake_host_dump(&r.bob.fake, &after);
        testing_assert_bytes(buf_bytes(&after), buf_bytes(&before), scenarios[i]);
        ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, WA_ENC_PKMSG, sealed, &fault), 0);
        buf_deinit(&before);
        buf_deinit(&after);
        replay_deinit(&r);
    }
}
END_TEST

/* Tries a damaged message on bob; if it is opened all the same, sets the stage anew. */
static bool opens_damaged(struct replay *r, const char *id, enum wa_enc_type type,
                          struct bytes damaged)
{
    enum wa_signal_fault fault;
    /* An exact copy, so that a sanitizer sees reads behind the end. */
    uint8_t *exact = err_malloc(damaged.n ? damaged.n : 1);
    memcpy(exact, damaged.p, damaged.n);
    int rc = try_decrypt(&r->bob, &r->alice.jid, type, BYTES(exact, damaged.n), &fault);
    free(exact);
    ck_assert(rc == 0 || rc == ERR_AUTH);
    if (rc == 0) {
        replay_deinit(r);
        replay_until(r, "basic", "decrypt", id);
    }
    return rc == 0;
}

static void check_damaged(const char *id, enum wa_enc_type type)
{
    struct replay r;
    struct buf before, after;
    replay_until(&r, "basic", "decrypt", id);
    struct bytes sealed = testing_hex(decrypt_event(&r, id), "ciphertext");
    fake_host_dump(&r.bob.fake, &before);
    for (size_t n = 0; n < sealed.n; n++) {
        /* The two ids at the end of a pkmsg may be missing: they are not authenticated. */
        bool opened = opens_damaged(&r, id, type, BYTES(sealed.p, n));
        ck_assert(!opened || (type == WA_ENC_PKMSG && n >= sealed.n - 6));
    }
    for (size_t at = 0; at < sealed.n; at++) {
        struct bytes bad = changed(sealed, at, 0x01);
        /* Nor are the newest version that the sender knows (first byte) and the registration id. */
        bool opened = opens_damaged(&r, id, type, bad);
        ck_assert_msg(!opened || (type == WA_ENC_PKMSG && (at == 0 || at >= sealed.n - 6)),
                      "byte %zu", at);
        opens_damaged(&r, id, type, changed(sealed, at, 0x80));
    }
    fake_host_dump(&r.bob.fake, &after);
    testing_assert_bytes(buf_bytes(&after), buf_bytes(&before), id);
    buf_deinit(&before);
    buf_deinit(&after);
    replay_deinit(&r);
}

START_TEST(test_decrypt_every_truncation_and_flip_of_pkmsg_changes_nothing)
{
    check_damaged("a1", WA_ENC_PKMSG);
}
END_TEST

START_TEST(test_decrypt_every_truncation_and_flip_of_msg_changes_nothing)
{
    check_damaged("a9", WA_ENC_MSG);
}
END_TEST

START_TEST(test_decrypt_other_type_or_size_is_refused)
{
    struct replay r;
    enum wa_signal_fault fault;
    static uint8_t large[WA_ENC_MAX + 1] = {0x33};
    replay_until(&r, "basic", "decrypt", "a1");
    ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, WA_ENC_PKMSG, BYTES_ARRAY(large), &fault),
                     ERR_AUTH);
    ck_assert_int_eq(fault, WA_FAULT_INVALID_MESSAGE);
    ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, WA_ENC_SKMSG, BYTES(large, 80), &fault),
                     ERR_AUTH);
    ck_assert_int_eq(fault, WA_FAULT_INVALID_MESSAGE);
    replay_deinit(&r);
}
END_TEST

START_TEST(test_decrypt_common_path_is_one_get_and_one_put)
{
    struct replay r;
    enum wa_signal_fault fault;
    replay_until(&r, "basic", "decrypt", "a9");
    struct fake_host *h = &r.bob.fake;
    h->gets = h->puts = h->dels = 0;
    struct bytes sealed = testing_hex(decrypt_event(&r, "a9"), "ciphertext");
    ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, WA_ENC_MSG, sealed, &fault), 0);
    ck_assert_uint_eq(h->gets, 1);
    ck_assert_uint_eq(h->puts, 1);
    ck_assert_uint_eq(h->dels, 0);
    replay_deinit(&r);
}
END_TEST

START_TEST(test_decrypt_known_pkmsg_writes_session_only)
{
    struct replay r;
    enum wa_signal_fault fault;
    replay_until(&r, "basic", "decrypt", "a3");
    r.bob.fake.puts = r.bob.fake.dels = 0;
    struct bytes sealed = testing_hex(decrypt_event(&r, "a3"), "ciphertext");
    ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, WA_ENC_PKMSG, sealed, &fault), 0);
    ck_assert_uint_eq(r.bob.fake.puts, 1);
    ck_assert_uint_eq(r.bob.fake.dels, 0);
    replay_deinit(&r);
}
END_TEST

/* ---- records that cannot be used
 * ----------------------------------------------------------------- */

START_TEST(test_decrypt_damaged_session_record_is_replaced_by_pkmsg)
{
    struct replay r;
    enum wa_signal_fault fault;
    const char *key = "111111111111111_1:0";
    replay_until(&r, "session-replaced", "decrypt", "a3");
    fake_host_put(&r.bob.fake, WA_TABLE_SESSION, key, bytes_text("\xff\xff garbage"));
    ck_assert_int_eq(wa_signal_has_session(r.bob.signal, &r.alice.jid), 0);
    struct bytes old = testing_hex(decrypt_event(&r, "a2"), "ciphertext");
    ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, WA_ENC_MSG, old, &fault), ERR_AUTH);
    ck_assert_int_eq(fault, WA_FAULT_NO_SESSION);
    struct bytes sealed = testing_hex(decrypt_event(&r, "a3"), "ciphertext");
    ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, WA_ENC_PKMSG, sealed, &fault), 0);
    ck_assert_int_eq(wa_signal_has_session(r.bob.signal, &r.alice.jid), 1);
    replay_deinit(&r);
}
END_TEST

START_TEST(test_encrypt_damaged_session_record_is_not_found)
{
    struct replay r;
    enum wa_enc_type type;
    struct buf sealed;
    replay_until(&r, "basic", "encrypt", "a1");
    struct wa_bundle b = bundle_from(json_object_get(json_array_get(r.events, 0), "bundle"));
    fake_host_put(&r.alice.fake, WA_TABLE_SESSION, "222222222222222_1:12", bytes_text("\xff\xff"));
    buf_init(&sealed, WA_ENC_MAX);
    ck_assert_int_eq(
        wa_signal_encrypt(r.alice.signal, &r.bob.jid, bytes_text("x\1"), &type, &sealed),
        ERR_NOT_FOUND);
    ck_assert_int_eq(wa_signal_process_bundle(r.alice.signal, &r.bob.jid, &b), 0);
    ck_assert_int_eq(
        wa_signal_encrypt(r.alice.signal, &r.bob.jid, bytes_text("x\1"), &type, &sealed), 0);
    ck_assert_int_eq(type, WA_ENC_PKMSG);
    buf_deinit(&sealed);
    replay_deinit(&r);
}
END_TEST

START_TEST(test_decrypt_damaged_prekey_record_is_unknown_prekey)
{
    struct replay r;
    enum wa_signal_fault fault;
    replay_until(&r, "basic", "decrypt", "a1");
    fake_host_put(&r.bob.fake, WA_TABLE_PREKEY, "31", bytes_text("short"));
    struct bytes sealed = testing_hex(decrypt_event(&r, "a1"), "ciphertext");
    ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, WA_ENC_PKMSG, sealed, &fault), ERR_AUTH);
    ck_assert_int_eq(fault, WA_FAULT_INVALID_KEY_ID);
    replay_deinit(&r);
}
END_TEST

START_TEST(test_decrypt_old_signed_prekey_from_records_works)
{
    struct replay r;
    enum wa_signal_fault fault;
    uint8_t record[WA_PREKEY_RECORD_LEN];
    replay_until(&r, "basic", "decrypt", "a1");
    memcpy(record, r.bob.device.signed_prekey.key.priv, WA_KEY_LEN);
    memcpy(record + WA_KEY_LEN, r.bob.device.signed_prekey.key.pub, WA_KEY_LEN);
    r.bob.device.signed_prekey.id = 2;
    fake_host_put(&r.bob.fake, WA_TABLE_SIGNED_PREKEY, "1", BYTES_ARRAY(record));
    struct bytes sealed = testing_hex(decrypt_event(&r, "a1"), "ciphertext");
    ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, WA_ENC_PKMSG, sealed, &fault), 0);
    replay_deinit(&r);
}
END_TEST

/* Skipped keys of one chain fill a record; the peer must still be able to start anew. */
START_TEST(test_decrypt_record_over_limit_recovers_with_new_session)
{
    struct replay r;
    enum wa_enc_type type;
    enum wa_signal_fault fault;
    struct buf sealed;
    int rc = 0;
    replay_until(&r, "session-replaced", "encrypt", "a2");
    buf_init(&sealed, WA_ENC_MAX);
    for (int turn = 0; turn < 4 && rc == 0; turn++) {
        for (int i = 0; i < 1900; i++) {
            buf_clear(&sealed);
            ck_assert_int_eq(
                wa_signal_encrypt(r.alice.signal, &r.bob.jid, bytes_text("x\1"), &type, &sealed),
                0);
        }
        rc = try_decrypt(&r.bob, &r.alice.jid, type, buf_bytes(&sealed), &fault);
        if (rc != 0)
            break;
        buf_clear(&sealed);
        ck_assert_int_eq(
            wa_signal_encrypt(r.bob.signal, &r.alice.jid, bytes_text("y\1"), &type, &sealed), 0);
        ck_assert_int_eq(try_decrypt(&r.alice, &r.bob.jid, type, buf_bytes(&sealed), &fault), 0);
    }
    ck_assert_int_eq(rc, ERR_AUTH);
    size_t again = event_index(&r, "encrypt", "a3") - 1;
    struct wa_bundle b = bundle_from(json_object_get(json_array_get(r.events, again), "bundle"));
    ck_assert_int_eq(wa_signal_process_bundle(r.alice.signal, &r.bob.jid, &b), 0);
    buf_clear(&sealed);
    ck_assert_int_eq(
        wa_signal_encrypt(r.alice.signal, &r.bob.jid, bytes_text("x\1"), &type, &sealed), 0);
    ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, type, buf_bytes(&sealed), &fault), 0);
    buf_deinit(&sealed);
    replay_deinit(&r);
}
END_TEST

/* ---- identities
 * ---------------------------------------------------------------------------------- */

START_TEST(test_decrypt_changed_identity_keeps_old_session_readable)
{
    struct replay r;
    enum wa_enc_type type;
    enum wa_signal_fault fault;
    struct buf late;
    uint8_t identity[WA_KEY_LEN];
    replay_until(&r, "identity-change", "replace_identity", NULL);
    buf_init(&late, WA_ENC_MAX);
    ck_assert_int_eq(
        wa_signal_encrypt(r.alice.signal, &r.bob.jid, bytes_text("late\1"), &type, &late), 0);
    size_t from = event_index(&r, "replace_identity", NULL);
    for (size_t i = from; i < event_index(&r, "decrypt", "a2"); i++)
        do_event(&r.alice, &r.bob.jid, json_array_get(r.events, i));
    ck_assert_int_eq(wa_signal_get_identity(r.bob.signal, &r.alice.jid, identity), 1);
    ck_assert(memcmp(identity, r.alice.device.identity.pub, WA_KEY_LEN) != 0);
    struct bytes sealed = testing_hex(decrypt_event(&r, "a2"), "ciphertext");
    ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, WA_ENC_PKMSG, sealed, &fault), 0);
    ck_assert_int_eq(wa_signal_get_identity(r.bob.signal, &r.alice.jid, identity), 1);
    ck_assert_mem_eq(identity, r.alice.device.identity.pub, WA_KEY_LEN);
    /* The archived session still reads what was under way; as a msg, since a pkmsg carries the old
     * identity and would bring it back. */
    ck_assert_int_eq(type, WA_ENC_PKMSG);
    ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, type, buf_bytes(&late), &fault), 0);
    buf_deinit(&late);
    replay_deinit(&r);
}
END_TEST

START_TEST(test_process_bundle_changed_identity_replaces_it)
{
    struct replay r;
    uint8_t identity[WA_KEY_LEN];
    replay_until(&r, "basic", "process_bundle", NULL);
    struct wa_bundle b = bundle_from(json_object_get(json_array_get(r.events, 0), "bundle"));
    memset(identity, 7, sizeof(identity));
    ck_assert_int_eq(wa_signal_get_identity(r.alice.signal, &r.bob.jid, identity), 0);
    ck_assert_int_eq(wa_signal_set_identity(r.alice.signal, &r.bob.jid, identity), 0);
    ck_assert_int_eq(wa_signal_process_bundle(r.alice.signal, &r.bob.jid, &b), 0);
    ck_assert_int_eq(wa_signal_get_identity(r.alice.signal, &r.bob.jid, identity), 1);
    ck_assert_mem_eq(identity, b.identity, WA_KEY_LEN);
    r.alice.fake.fail_get = 1;
    ck_assert_int_eq(wa_signal_get_identity(r.alice.signal, &r.bob.jid, identity), ERR_STORE);
    r.alice.fake.fail_get = 1;
    ck_assert_int_eq(wa_signal_has_session(r.alice.signal, &r.bob.jid), ERR_STORE);
    r.alice.fake.fail_del = 1;
    ck_assert_int_eq(wa_signal_drop_session(r.alice.signal, &r.bob.jid), ERR_STORE);
    replay_deinit(&r);
}
END_TEST

START_TEST(test_process_bundle_bad_signature_is_refused)
{
    struct replay r;
    replay_until(&r, "basic", "process_bundle", NULL);
    struct wa_bundle b = bundle_from(json_object_get(json_array_get(r.events, 0), "bundle"));
    b.signed_prekey_signature[10] ^= 1;
    ck_assert_int_eq(wa_signal_process_bundle(r.alice.signal, &r.bob.jid, &b), ERR_AUTH);
    ck_assert(r.alice.fake.records == NULL);
    b.signed_prekey_signature[10] ^= 1;
    r.alice.fake.fail_put = 2;
    ck_assert_int_eq(wa_signal_process_bundle(r.alice.signal, &r.bob.jid, &b), ERR_STORE);
    ck_assert(r.alice.fake.records == NULL);
    replay_deinit(&r);
}
END_TEST

/* ---- migration
 * ----------------------------------------------------------------------------------- */

START_TEST(test_migrate_moves_sessions_and_identities_to_lid)
{
    struct replay r;
    enum wa_signal_fault fault;
    struct wa_jid pn = wa_jid_make(WA_SERVER_PN, "4915112345678", 0);
    replay_until(&r, "basic", "decrypt", "a1");
    struct bytes a1 = testing_hex(decrypt_event(&r, "a1"), "ciphertext");
    ck_assert_int_eq(try_decrypt(&r.bob, &pn, WA_ENC_PKMSG, a1, &fault), 0);
    ck_assert(fake_host_has(&r.bob.fake, WA_TABLE_SESSION, "4915112345678:0"));
    fake_host_put(&r.bob.fake, WA_TABLE_IDENTITY, "4915112345678_128:99", bytes_text("hosted"));
    fake_host_put(&r.bob.fake, WA_TABLE_SESSION, "4915112345678_128:99", bytes_text("session"));
    struct wa_jid lid = wa_jid_bare(&r.alice.jid);
    ck_assert_int_eq(wa_signal_migrate(r.bob.signal, &pn, &lid), 0);
    ck_assert(!fake_host_has(&r.bob.fake, WA_TABLE_SESSION, "4915112345678:0"));
    ck_assert(!fake_host_has(&r.bob.fake, WA_TABLE_IDENTITY, "4915112345678:0"));
    ck_assert(fake_host_has(&r.bob.fake, WA_TABLE_IDENTITY, "111111111111111_1:0"));
    ck_assert(fake_host_has(&r.bob.fake, WA_TABLE_SESSION, "111111111111111_129:99"));
    ck_assert(!fake_host_has(&r.bob.fake, WA_TABLE_SESSION, "4915112345678_128:99"));
    struct bytes a3 = testing_hex(decrypt_event(&r, "a3"), "ciphertext");
    ck_assert_int_eq(try_decrypt(&r.bob, &lid, WA_ENC_PKMSG, a3, &fault), 0);
    replay_deinit(&r);
}
END_TEST

START_TEST(test_migrate_keeps_lid_rows_and_drops_pn_rows)
{
    struct replay r;
    struct buf value;
    struct wa_jid pn = wa_jid_make(WA_SERVER_PN, "49151", 0),
                  lid = wa_jid_make(WA_SERVER_LID, "777", 0);
    replay_until(&r, "basic", "process_bundle", NULL);
    struct fake_host *h = &r.bob.fake;
    fake_host_put(h, WA_TABLE_IDENTITY, "49151:3", bytes_text("old"));
    fake_host_put(h, WA_TABLE_SESSION, "49151:3", bytes_text("old"));
    fake_host_put(h, WA_TABLE_SESSION, "777_1:3", bytes_text("new"));
    h->fail_del = 1;
    ck_assert_int_eq(wa_signal_migrate(r.bob.signal, &pn, &lid), ERR_STORE);
    ck_assert(fake_host_has(h, WA_TABLE_IDENTITY, "49151:3"));
    ck_assert(!fake_host_has(h, WA_TABLE_IDENTITY, "777_1:3"));
    ck_assert_int_eq(wa_signal_migrate(r.bob.signal, &pn, &lid), 0);
    buf_init(&value, 100);
    ck_assert_int_eq(h->host.get(h, WA_TABLE_SESSION, "777_1:3", &value), 1);
    testing_assert_bytes(buf_bytes(&value), bytes_text("new"), "session");
    ck_assert(!fake_host_has(h, WA_TABLE_SESSION, "49151:3"));
    ck_assert(fake_host_has(h, WA_TABLE_IDENTITY, "777_1:3"));
    buf_deinit(&value);
    replay_deinit(&r);
}
END_TEST

/* ---- groups
 * -------------------------------------------------------------------------------------- */

static void member_init(struct party *p)
{
    const json_t *scenario = scenario_named(testing_vectors("signal-1to1.json"), "basic");
    party_init(p, json_object_get(json_object_get(scenario, "parties"), "bob"));
}

static struct wa_jid group_jid(void)
{
    return wa_jid_make(WA_SERVER_GROUP, "120363000000000001", 0);
}

static void group_event(struct party *p, const struct wa_jid *sender, const json_t *event)
{
    const char *op = testing_text(event, "op");
    struct wa_jid group = group_jid();
    struct buf plain, before, after;
    enum wa_signal_fault fault;
    if (strcmp(op, "process_skdm") == 0)
        ck_assert_int_eq(
            wa_signal_process_skdm(p->signal, &group, sender, testing_hex(event, "skdm")), 0);
    if (strcmp(op, "decrypt") != 0)
        return;
    buf_init(&plain, WA_ENC_MAX);
    fake_host_dump(&p->fake, &before);
    int rc = wa_signal_group_decrypt(p->signal, &group, sender, testing_hex(event, "ciphertext"),
                                     &plain, &fault);
    check_outcome(testing_text(event, "expect"), rc, fault);
    fake_host_dump(&p->fake, &after);
    if (rc == 0)
        testing_assert_bytes(buf_bytes(&plain), testing_hex(event, "padded_plaintext"), "plain");
    else
        testing_assert_bytes(buf_bytes(&after), buf_bytes(&before), "records after a failure");
    buf_deinit(&plain);
    buf_deinit(&before);
    buf_deinit(&after);
}

START_TEST(test_group_vectors_receiver_matches)
{
    json_t *vectors = testing_vectors("signal-group.json");
    const json_t *scenarios = json_object_get(vectors, "scenarios");
    struct wa_jid sender = jid_from(json_object_get(vectors, "sender_address"));
    ck_assert_uint_ge(json_array_size(scenarios), 4);
    for (size_t i = 0; i < json_array_size(scenarios); i++) {
        const json_t *events = json_object_get(json_array_get(scenarios, i), "events");
        struct party p;
        member_init(&p);
        for (size_t j = 0; j < json_array_size(events); j++)
            group_event(&p, &sender, json_array_get(events, j));
        party_deinit(&p);
    }
}
END_TEST

static const json_t *group_event_named(const json_t *vectors, const char *op, const char *id)
{
    const json_t *events = json_object_get(scenario_named(vectors, "consecutive"), "events");
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *e = json_array_get(events, i);
        const char *its = json_string_value(json_object_get(e, "id"));
        if (strcmp(testing_text(e, "op"), op) == 0 && (!id || (its && strcmp(its, id) == 0)))
            return e;
    }
    ck_abort_msg("no %s", op);
}

static int group_open(struct party *p, const struct wa_jid *sender, struct bytes sealed,
                      enum wa_signal_fault *fault)
{
    struct wa_jid group = group_jid();
    struct buf plain;
    buf_init(&plain, WA_ENC_MAX);
    int rc = wa_signal_group_decrypt(p->signal, &group, sender, sealed, &plain, fault);
    ck_assert(rc == 0 ? plain.n > 0 : plain.n == 0);
    buf_deinit(&plain);
    return rc;
}

START_TEST(test_group_decrypt_without_key_is_no_session)
{
    struct party p;
    enum wa_signal_fault fault;
    json_t *vectors = testing_vectors("signal-group.json");
    struct wa_jid sender = jid_from(json_object_get(vectors, "sender_address"));
    struct bytes m0 = testing_hex(group_event_named(vectors, "decrypt", "m0"), "ciphertext");
    member_init(&p);
    ck_assert_int_eq(group_open(&p, &sender, m0, &fault), ERR_AUTH);
    ck_assert_int_eq(fault, WA_FAULT_NO_SESSION);
    p.fake.fail_get = 1;
    ck_assert_int_eq(group_open(&p, &sender, m0, &fault), ERR_STORE);
    p.fake.fail_get = 40;
    ck_assert_int_eq(group_open(&p, &sender, m0, &fault), ERR_STORE);
    party_deinit(&p);
}
END_TEST

START_TEST(test_group_decrypt_finds_key_of_sibling_device)
{
    struct party p;
    enum wa_signal_fault fault;
    json_t *vectors = testing_vectors("signal-group.json");
    struct wa_jid sender = jid_from(json_object_get(vectors, "sender_address"));
    struct wa_jid bare = wa_jid_bare(&sender), group = group_jid();
    struct bytes skdm = testing_hex(group_event_named(vectors, "process_skdm", NULL), "skdm");
    struct bytes m0 = testing_hex(group_event_named(vectors, "decrypt", "m0"), "ciphertext");
    member_init(&p);
    ck_assert_int_eq(wa_signal_process_skdm(p.signal, &group, &sender, skdm), 0);
    ck_assert_int_eq(group_open(&p, &bare, m0, &fault), 0);
    ck_assert_int_eq(group_open(&p, &sender, m0, &fault), 1);
    party_deinit(&p);
}
END_TEST

START_TEST(test_process_skdm_repeated_keeps_the_chain)
{
    struct party p;
    enum wa_signal_fault fault;
    json_t *vectors = testing_vectors("signal-group.json");
    struct wa_jid sender = jid_from(json_object_get(vectors, "sender_address"));
    struct wa_jid group = group_jid();
    struct bytes skdm = testing_hex(group_event_named(vectors, "process_skdm", NULL), "skdm");
    struct bytes m0 = testing_hex(group_event_named(vectors, "decrypt", "m0"), "ciphertext");
    struct bytes m3 = testing_hex(group_event_named(vectors, "decrypt", "m3"), "ciphertext");
    struct bytes m2 = testing_hex(group_event_named(vectors, "decrypt", "m2"), "ciphertext");
    member_init(&p);
    ck_assert_int_eq(wa_signal_process_skdm(p.signal, &group, &sender, skdm), 0);
    ck_assert_int_eq(group_open(&p, &sender, m0, &fault), 0);
    ck_assert_int_eq(group_open(&p, &sender, m3, &fault), 0);
    size_t puts = p.fake.puts;
    ck_assert_int_eq(wa_signal_process_skdm(p.signal, &group, &sender, skdm), 0);
    ck_assert_uint_eq(p.fake.puts, puts);
    ck_assert_int_eq(group_open(&p, &sender, m0, &fault), 1);
    ck_assert_int_eq(group_open(&p, &sender, m2, &fault), 0);
    party_deinit(&p);
}
END_TEST

START_TEST(test_process_skdm_every_truncation_is_refused)
{
    struct party p;
    enum wa_signal_fault fault;
    json_t *vectors = testing_vectors("signal-group.json");
    struct wa_jid sender = jid_from(json_object_get(vectors, "sender_address"));
    struct wa_jid group = group_jid();
    struct bytes skdm = testing_hex(group_event_named(vectors, "process_skdm", NULL), "skdm");
    struct bytes m0 = testing_hex(group_event_named(vectors, "decrypt", "m0"), "ciphertext");
    member_init(&p);
    for (size_t n = 0; n < skdm.n; n++)
        ck_assert_int_eq(wa_signal_process_skdm(p.signal, &group, &sender, BYTES(skdm.p, n)),
                         ERR_INVALID);
    ck_assert(!fake_host_count(&p.fake, WA_TABLE_SENDER_KEY));
    p.fake.fail_put = 1;
    ck_assert_int_eq(wa_signal_process_skdm(p.signal, &group, &sender, skdm), ERR_STORE);
    ck_assert(!fake_host_count(&p.fake, WA_TABLE_SENDER_KEY));
    fake_host_put(&p.fake, WA_TABLE_SENDER_KEY, "120363000000000001@g.us/111111111111111_1:3",
                  bytes_text("\xff\xff"));
    ck_assert_int_eq(group_open(&p, &sender, m0, &fault), ERR_AUTH);
    ck_assert_int_eq(fault, WA_FAULT_NO_SESSION);
    ck_assert_int_eq(wa_signal_process_skdm(p.signal, &group, &sender, skdm), 0);
    for (size_t n = 0; n < m0.n; n++) {
        ck_assert_int_eq(group_open(&p, &sender, BYTES(m0.p, n), &fault), ERR_AUTH);
    }
    ck_assert_int_eq(group_open(&p, &sender, m0, &fault), 0);
    party_deinit(&p);
}
END_TEST

/* With the vector's key injected, all but the randomised signature is the vector's. */
START_TEST(test_group_encrypt_own_key_matches_vector)
{
    struct party p;
    json_t *vectors = testing_vectors("signal-group.json");
    struct wa_jid own = jid_from(json_object_get(vectors, "sender_address"));
    struct wa_jid group = group_jid();
    const json_t *key = group_event_named(vectors, "sender_key", NULL);
    uint32_t id = number(key, "key_id");
    const char *const ids[] = {"m0", "m1", "m2"};
    member_init(&p);
    fake_host_script(&p.fake, BYTES(&id, 4));
    fake_host_script(&p.fake, testing_hex(key, "initial_chain_key"));
    fake_host_script(&p.fake, testing_hex(key, "signing_private"));
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        const json_t *e = group_event_named(vectors, "encrypt", ids[i]);
        struct bytes want = testing_hex(e, "ciphertext");
        struct buf sealed, skdm;
        buf_init(&sealed, WA_ENC_MAX);
        buf_init(&skdm, 1024);
        ck_assert_int_eq(wa_signal_group_encrypt(p.signal, &group, &own,
                                                 testing_hex(e, "padded_plaintext"), &sealed,
                                                 &skdm),
                         0);
        ck_assert_uint_eq(sealed.n, want.n);
        testing_assert_bytes(BYTES(sealed.p, sealed.n - 64), BYTES(want.p, want.n - 64), ids[i]);
        if (i == 0)
            testing_assert_bytes(
                buf_bytes(&skdm),
                testing_hex(group_event_named(vectors, "process_skdm", NULL), "skdm"), "skdm");
        buf_deinit(&sealed);
        buf_deinit(&skdm);
    }
    fake_host_script_done(&p.fake, "sender key");
    party_deinit(&p);
}
END_TEST

START_TEST(test_group_encrypt_is_read_by_other_member)
{
    struct party sender, reader;
    enum wa_signal_fault fault;
    struct wa_jid group = group_jid();
    struct buf sealed, skdm;
    member_init(&sender);
    member_init(&reader);
    buf_init(&sealed, WA_ENC_MAX);
    buf_init(&skdm, 1024);
    sender.fake.fail_put = 1;
    ck_assert_int_eq(wa_signal_group_encrypt(sender.signal, &group, &sender.jid, bytes_text("hi\1"),
                                             &sealed, &skdm),
                     ERR_STORE);
    ck_assert(sealed.n == 0 && skdm.n == 0);
    ck_assert(!fake_host_count(&sender.fake, WA_TABLE_SENDER_KEY));
    for (int i = 0; i < 2; i++) {
        buf_clear(&sealed);
        buf_clear(&skdm);
        ck_assert_int_eq(wa_signal_group_encrypt(sender.signal, &group, &sender.jid,
                                                 bytes_text("hi\1"), &sealed, &skdm),
                         0);
    }
    /* The second distribution starts at the second message. */
    ck_assert_int_eq(wa_signal_process_skdm(reader.signal, &group, &sender.jid, buf_bytes(&skdm)),
                     0);
    ck_assert_int_eq(group_open(&reader, &sender.jid, buf_bytes(&sealed), &fault), 0);
    buf_deinit(&sealed);
    buf_deinit(&skdm);
    party_deinit(&sender);
    party_deinit(&reader);
}
END_TEST

/* ---- prekeys
 * ------------------------------------------------------------------------------------- */

/* A vector's node tree as a node. */
static struct wa_node *node_from(struct arena *arena, const json_t *tree)
{
    struct wa_node *node = wa_node_new(arena, testing_text(tree, "tag"));
    const json_t *children = json_object_get(tree, "children");
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(tree, "attrs"), key, value)
        wa_node_set(node, key, json_string_value(value));
    for (size_t i = 0; i < json_array_size(children); i++)
        wa_node_append(node, node_from(arena, json_array_get(children, i)));
    if (json_object_get(tree, "content_hex"))
        wa_node_set_data(node, testing_hex(tree, "content_hex"));
    return node;
}

static void check_bundle(const struct wa_bundle *b, const json_t *want)
{
    uint8_t key[WA_KEY_LEN];
    ck_assert_uint_eq(b->registration_id, number(want, "registration_id"));
    key_from(key, want, "identity_public");
    ck_assert_mem_eq(b->identity, key, WA_KEY_LEN);
    ck_assert(b->has_prekey);
    ck_assert_uint_eq(b->prekey_id, number(want, "prekey_id"));
    key_from(key, want, "prekey_public");
    ck_assert_mem_eq(b->prekey, key, WA_KEY_LEN);
    ck_assert_uint_eq(b->signed_prekey_id, number(want, "signed_prekey_id"));
    key_from(key, want, "signed_prekey_public");
    ck_assert_mem_eq(b->signed_prekey, key, WA_KEY_LEN);
    ck_assert_mem_eq(b->signed_prekey_signature, testing_hex(want, "signed_prekey_signature").p,
                     WA_SIGNATURE_LEN);
}

START_TEST(test_bundle_parse_vectors_give_expected_values)
{
    json_t *vectors = testing_vectors("prekey-bundle.json");
    const json_t *want = json_object_get(vectors, "expected");
    struct arena arena = {0};
    struct wa_bundle b;
    struct bytes identity;
    struct wa_node *iq = node_from(&arena, json_object_get(vectors, "fetch_result"));
    struct wa_node *user = wa_node_find(wa_node_find(iq, "list"), "user");
    ck_assert_int_eq(wa_bundle_parse(user, &b, &identity), 0);
    check_bundle(&b, want);
    ck_assert(identity.p == NULL);
    wa_node_child_data(user, "device-identity", bytes_text("vouches"));
    ck_assert_int_eq(wa_bundle_parse(user, &b, &identity), 0);
    ck_assert(bytes_is(identity, "vouches"));
    struct wa_node *retry = node_from(&arena, json_object_get(vectors, "retry_receipt"));
    ck_assert_int_eq(wa_bundle_parse(retry, &b, &identity), 0);
    check_bundle(&b, want);
    arena_deinit(&arena);
}
END_TEST

static struct wa_node *vector_user(struct arena *arena)
{
    json_t *vectors = testing_vectors("prekey-bundle.json");
    struct wa_node *iq = node_from(arena, json_object_get(vectors, "fetch_result"));
    return wa_node_find(wa_node_find(iq, "list"), "user");
}

START_TEST(test_bundle_parse_variants_are_judged)
{
    struct arena arena = {0};
    struct wa_bundle b;
    struct bytes identity;
    uint8_t typed[33] = {5, 9};
    struct wa_node *user = vector_user(&arena);
    wa_node_set_data(wa_node_find(user, "identity"), BYTES_ARRAY(typed));
    ck_assert_int_eq(wa_bundle_parse(user, &b, &identity), 0);
    ck_assert_mem_eq(b.identity, typed + 1, 32);
    typed[0] = 6;
    wa_node_set_data(wa_node_find(user, "identity"), BYTES_ARRAY(typed));
    ck_assert_int_eq(wa_bundle_parse(user, &b, &identity), ERR_INVALID);

    user = vector_user(&arena);
    wa_node_find(user, "key")->tag = bytes_text("other");
    ck_assert_int_eq(wa_bundle_parse(user, &b, &identity), 0);
    ck_assert(!b.has_prekey);

    /* Each needed part, missing and too long in turn. */
    const char *const needed[] = {"registration", "identity", "skey", "type", "key"};
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        static const uint8_t wrong[5];
        user = vector_user(&arena);
        wa_node_set_data(wa_node_find(user, needed[i]), BYTES_ARRAY(wrong));
        ck_assert_int_eq(wa_bundle_parse(user, &b, &identity), ERR_INVALID);
        if (i >= 3)
            continue;
        user = vector_user(&arena);
        wa_node_find(user, needed[i])->tag = bytes_text("gone");
        ck_assert_int_eq(wa_bundle_parse(user, &b, &identity), ERR_INVALID);
    }
    user = wa_node_new(&arena, "user");
    wa_node_set(wa_node_child(user, "error"), "code", "406");
    ck_assert_int_eq(wa_bundle_parse(user, &b, &identity), ERR_NOT_FOUND);
    arena_deinit(&arena);
}
END_TEST

START_TEST(test_bundle_build_query_lists_devices)
{
    struct arena arena = {0};
    struct buf text;
    struct wa_jid devices[] = {wa_jid_make(WA_SERVER_LID, "111", 3),
                               wa_jid_make(WA_SERVER_PN, "49151", 0)};
    struct wa_node *iq = wa_node_new(&arena, "iq");
    wa_bundle_build_query(iq, devices, 2);
    buf_init(&text, 4096);
    wa_node_print(iq, &text, 64);
    ck_assert_ptr_nonnull(strstr(buf_text(&text), "111:3@lid"));
    const struct wa_node *user = wa_node_find(wa_node_find(iq, "key"), "user");
    struct wa_jid jid;
    ck_assert(wa_node_attr_jid(user, "jid", &jid) && wa_jid_equal(&jid, &devices[0]));
    ck_assert(wa_node_attr_jid(wa_node_next(user, "user"), "jid", &jid) &&
              wa_jid_equal(&jid, &devices[1]));
    buf_deinit(&text);
    arena_deinit(&arena);
}
END_TEST

/* The device of prekeys.json; its one-time keys come from the scripted host. */
static void prekeys_device(struct wa_device *d, struct fake_host *h, const json_t *vectors)
{
    const json_t *keys = json_object_get(vectors, "keys");
    const json_t *one_time = json_object_get(keys, "one_time");
    const json_t *skey = json_object_get(vectors, "signed_pre_key");
    *d = (struct wa_device){.registration_id = number(vectors, "registration_id"),
                            .next_prekey_id = 1};
    key_from(d->identity.priv, json_object_get(keys, "identity"), "private");
    key_from(d->identity.pub, json_object_get(keys, "identity"), "public");
    d->signed_prekey.id = number(skey, "id");
    key_from(d->signed_prekey.key.priv, json_object_get(keys, "signed_pre_key"), "private");
    key_from(d->signed_prekey.key.pub, json_object_get(keys, "signed_pre_key"), "public");
    memcpy(d->signed_prekey.signature, testing_hex(skey, "signature").p, WA_SIGNATURE_LEN);
    fake_host_init(h);
    for (size_t i = 0; i < json_array_size(one_time); i++)
        fake_host_script(h, testing_hex(json_array_get(one_time, i), "private"));
}

static void print_children(const struct wa_node *iq, struct buf *out)
{
    buf_init(out, 1 << 20);
    for (const struct wa_node *n = iq->first; n; n = n->next)
        wa_node_print(n, out, 4096);
}

START_TEST(test_prekeys_build_upload_matches_vector)
{
    json_t *vectors = testing_vectors("prekeys.json");
    struct arena arena = {0};
    struct fake_host h;
    struct wa_device d;
    struct wa_node *want;
    struct buf got_text, want_text;
    prekeys_device(&d, &h, vectors);
    struct wa_node *iq = wa_node_new(&arena, "iq");
    ck_assert_int_eq(wa_prekeys_build_upload(iq, &d, &h.host, 3), 0);
    fake_host_script_done(&h, "upload");
    ck_assert_int_eq(wa_node_decode(&arena, testing_hex(vectors, "upload_stanza"), &want), 0);
    print_children(iq, &got_text);
    print_children(want, &want_text);
    ck_assert_str_eq(buf_text(&got_text), buf_text(&want_text));
    ck_assert_uint_eq(fake_host_count(&h, WA_TABLE_PREKEY), 3);
    ck_assert_uint_eq(d.next_prekey_id, 4);
    /* One write for each key and one for the counter. */
    ck_assert_uint_eq(h.puts, 4);
    buf_deinit(&got_text);
    buf_deinit(&want_text);
    fake_host_deinit(&h);
    arena_deinit(&arena);
}
END_TEST

/* The digest that the server would have over what we upload. */
START_TEST(test_prekeys_build_upload_digest_matches_vector)
{
    json_t *vectors = testing_vectors("prekeys.json");
    struct arena arena = {0};
    struct fake_host h;
    struct wa_device d;
    uint8_t sum[20];
    prekeys_device(&d, &h, vectors);
    struct wa_node *iq = wa_node_new(&arena, "iq");
    ck_assert_int_eq(wa_prekeys_build_upload(iq, &d, &h.host, 3), 0);
    const struct wa_node *skey = wa_node_find(iq, "skey"), *list = wa_node_find(iq, "list");
    struct bytes parts[6] = {wa_node_child_bytes(iq, "identity"),
                             wa_node_child_bytes(skey, "value"),
                             wa_node_child_bytes(skey, "signature")};
    size_t n = 3;
    for (const struct wa_node *k = wa_node_find(list, "key"); k; k = wa_node_next(k, "key"))
        parts[n++] = wa_node_child_bytes(k, "value");
    wa_sha1(sum, parts, n);
    testing_assert_bytes(BYTES_ARRAY(sum), testing_hex(vectors, "digest_sha1"), "digest");
    fake_host_deinit(&h);
    arena_deinit(&arena);
}
END_TEST

START_TEST(test_prekey_generate_wraps_before_last_resort)
{
    json_t *vectors = testing_vectors("prekeys.json");
    struct fake_host h;
    struct wa_device d;
    struct wa_keypair key;
    uint32_t id;
    prekeys_device(&d, &h, vectors);
    d.next_prekey_id = WA_PREKEY_ID_MAX;
    ck_assert_int_eq(wa_prekey_generate(&d, &h.host, &id, &key), 0);
    ck_assert_uint_eq(id, 0xfffffe);
    ck_assert(fake_host_has(&h, WA_TABLE_PREKEY, "16777214"));
    ck_assert(fake_host_has(&h, WA_TABLE_DEVICE, "next_prekey_id"));
    ck_assert_int_eq(wa_prekey_generate(&d, &h.host, &id, &key), 0);
    ck_assert_uint_eq(id, 1);
    const json_t *one = json_object_get(json_object_get(vectors, "keys"), "one_time");
    testing_assert_bytes(BYTES_ARRAY(key.pub), testing_hex(json_array_get(one, 1), "public"),
                         "public key");
    h.fail_put = 1;
    ck_assert_int_eq(wa_prekey_generate(&d, &h.host, &id, &key), ERR_STORE);
    h.fail_put = 2;
    ck_assert_int_eq(wa_prekey_generate(&d, &h.host, &id, &key), ERR_STORE);
    fake_host_deinit(&h);
}
END_TEST

START_TEST(test_prekeys_build_retry_keys_is_a_bundle_with_fresh_key)
{
    json_t *vectors = testing_vectors("prekeys.json");
    struct arena arena = {0};
    struct fake_host h;
    struct wa_device d;
    struct wa_bundle b;
    struct bytes identity;
    prekeys_device(&d, &h, vectors);
    d.next_prekey_id = 77;
    memcpy(d.account, "account", 7);
    d.account_len = 7;
    struct wa_node *receipt = wa_node_new(&arena, "receipt");
    wa_node_child_be(receipt, "registration", 4, d.registration_id);
    ck_assert_int_eq(wa_prekeys_build_retry_keys(receipt, &d, &h.host), 0);
    ck_assert_int_eq(wa_bundle_parse(receipt, &b, &identity), 0);
    ck_assert_uint_eq(b.prekey_id, 77);
    ck_assert(fake_host_has(&h, WA_TABLE_PREKEY, "77"));
    ck_assert_mem_eq(b.identity, d.identity.pub, WA_KEY_LEN);
    ck_assert_mem_eq(b.signed_prekey, d.signed_prekey.key.pub, WA_KEY_LEN);
    ck_assert(bytes_is(identity, "account"));
    ck_assert_uint_eq(d.next_prekey_id, 78);
    fake_host_deinit(&h);
    arena_deinit(&arena);
}
END_TEST

/* A key that was handed out opens the session that it was handed out for, once. */
START_TEST(test_prekey_generate_key_opens_session_and_is_consumed)
{
    struct replay r;
    enum wa_enc_type type;
    enum wa_signal_fault fault;
    struct wa_keypair key;
    struct buf sealed;
    replay_until(&r, "basic", "process_bundle", NULL);
    struct wa_bundle b = bundle_from(json_object_get(json_array_get(r.events, 0), "bundle"));
    r.bob.device.next_prekey_id = 500;
    ck_assert_int_eq(wa_prekey_generate(&r.bob.device, &r.bob.fake.host, &b.prekey_id, &key), 0);
    memcpy(b.prekey, key.pub, WA_KEY_LEN);
    ck_assert_int_eq(wa_signal_process_bundle(r.alice.signal, &r.bob.jid, &b), 0);
    buf_init(&sealed, WA_ENC_MAX);
    ck_assert_int_eq(
        wa_signal_encrypt(r.alice.signal, &r.bob.jid, bytes_text("x\1"), &type, &sealed), 0);
    ck_assert(fake_host_has(&r.bob.fake, WA_TABLE_PREKEY, "500"));
    ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, type, buf_bytes(&sealed), &fault), 0);
    ck_assert(!fake_host_has(&r.bob.fake, WA_TABLE_PREKEY, "500"));
    buf_deinit(&sealed);
    replay_deinit(&r);
}
END_TEST

/* ---- device lists
 * -------------------------------------------------------------------------------- */

START_TEST(test_phash_vectors_match)
{
    json_t *vectors = testing_vectors("phash.json");
    const json_t *cases = json_object_get(vectors, "cases");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i), *list = json_object_get(c, "devices");
        struct wa_jid devices[16];
        char hash[WA_PHASH_SIZE];
        size_t n = json_array_size(list);
        for (size_t j = 0; j < n; j++)
            ck_assert_int_eq(
                wa_jid_parse(&devices[j], bytes_text(json_string_value(json_array_get(list, j)))),
                0);
        wa_phash(hash, devices, n);
        ck_assert_str_eq(hash, testing_text(c, "phash"));
    }
    char none[WA_PHASH_SIZE];
    wa_phash(none, NULL, 0);
    ck_assert_str_eq(none, "2:47DEQpj8"); /* protocol/06 section 8.1 */
}
END_TEST

START_TEST(test_message_id_vector_matches)
{
    json_t *v = testing_vectors("message-id.json");
    char id[WA_MESSAGE_ID_SIZE];
    wa_message_id(id, json_integer_value(json_object_get(v, "unix_seconds")),
                  testing_text(v, "own_user"), testing_hex(v, "random").p);
    ck_assert_str_eq(id, testing_text(v, "message_id"));
}
END_TEST

START_TEST(test_usync_build_has_documented_shape)
{
    struct arena arena = {0};
    struct buf text;
    struct wa_jid users[] = {wa_jid_make(WA_SERVER_LID, "111", 7),
                             wa_jid_make(WA_SERVER_PN, "49151", 0)};
    struct wa_node *iq = wa_node_new(&arena, "iq");
    wa_usync_build(iq, "sid-1", users, 2);
    const struct wa_node *usync = wa_node_find(iq, "usync");
    const char *const attrs[][2] = {{"sid", "sid-1"},
                                    {"mode", "query"},
                                    {"last", "true"},
                                    {"index", "0"},
                                    {"context", "message"}};
    for (size_t i = 0; i < ARRAY_LEN(attrs); i++)
        ck_assert(wa_node_attr_is(usync, attrs[i][0], attrs[i][1]));
    const struct wa_node *query = wa_node_find(usync, "query");
    ck_assert(wa_node_attr_is(wa_node_find(query, "devices"), "version", "2"));
    ck_assert(wa_node_find(query, "lid") != NULL);
    const struct wa_node *user = wa_node_find(wa_node_find(usync, "list"), "user");
    ck_assert(wa_node_attr_is(user, "jid", "111@lid"));
    ck_assert(wa_node_attr_is(wa_node_next(user, "user"), "jid", "49151@s.whatsapp.net"));
    buf_init(&text, 4096);
    ck_assert_int_eq(wa_node_encode(iq, &text), 0);
    buf_deinit(&text);
    arena_deinit(&arena);
}
END_TEST

static struct wa_node *answer_user(struct wa_node *list, const char *jid)
{
    struct wa_node *user = wa_node_child(list, "user");
    wa_node_set(user, "jid", jid);
    return user;
}

static void add_device(struct wa_node *list, const char *id, const char *index, bool hosted)
{
    struct wa_node *device = wa_node_child(list, "device");
    wa_node_set(device, "id", id);
    if (index)
        wa_node_set(device, "key-index", index);
    if (hosted)
        wa_node_set(device, "is_hosted", "true");
}

START_TEST(test_usync_parse_filters_devices)
{
    /* ADVSignedKeyIndexList{1 details = ADVKeyIndexList{3 currentIndex = 5, 4 validIndexes = [0,
     * 2]}}, assembled by hand: packed, as WhatsApp writes it. */
    static const uint8_t signed_list[] = {0x0a, 6, 0x18, 5, 0x22, 2, 0, 2};
    struct arena arena = {0};
    struct wa_usync_user *users;
    struct wa_node *iq = wa_node_new(&arena, "iq");
    struct wa_node *list = wa_node_child(wa_node_child(iq, "usync"), "list");

    struct wa_node *user = answer_user(list, "111@lid");
    struct wa_node *devices = wa_node_child(user, "devices");
    struct wa_node *inner = wa_node_child(devices, "device-list");
    add_device(inner, "4", "2", false);  /* valid */
    add_device(inner, "0", NULL, false); /* the primary is there anyway */
    add_device(inner, "5", "3", false);  /* neither valid nor new */
    add_device(inner, "6", "6", false);  /* newer than the list */
    add_device(inner, "4", "2", false);  /* twice */
    add_device(inner, "99", "2", false); /* hosted by number */
    add_device(inner, "7", "0", true);   /* hosted by attribute */
    add_device(inner, "70000", "2", false);
    wa_node_child_data(devices, "key-index-list", BYTES_ARRAY(signed_list));

    user = answer_user(list, "49151@s.whatsapp.net");
    wa_node_set(wa_node_child(user, "lid"), "val", "222@lid");
    devices = wa_node_child(user, "devices");
    inner = wa_node_child(devices, "device-list");
    add_device(inner, "3", "9", false); /* no signed list: kept */

    user = answer_user(list, "49152@s.whatsapp.net");
    wa_node_set(wa_node_child(wa_node_child(user, "devices"), "error"), "code", "500");
    answer_user(list, "no jid");

    ck_assert_int_eq(wa_usync_parse(iq, &users), 0);
    const char *const want[] = {"111@lid", "111:4@lid", "111:6@lid", "111:99@hosted.lid",
                                "111:7@hosted.lid"};
    char text[WA_JID_TEXT_SIZE];
    ck_assert_uint_eq(users->count, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        ck_assert_str_eq(wa_jid_text(&users->devices[i], text), want[i]);
    ck_assert(wa_jid_is_none(&users->lid) && !users->failed);
    users = users->next;
    ck_assert_uint_eq(users->count, 2);
    ck_assert_str_eq(wa_jid_text(&users->devices[1], text), "49151:3@s.whatsapp.net");
    ck_assert_str_eq(wa_jid_text(&users->lid, text), "222@lid");
    users = users->next;
    ck_assert(users->failed && users->count == 0);
    ck_assert(users->next == NULL);
    arena_deinit(&arena);
}
END_TEST

START_TEST(test_usync_parse_bounds_devices_and_wants_list)
{
    struct arena arena = {0};
    struct wa_usync_user *users;
    struct wa_node *iq = wa_node_new(&arena, "iq");
    ck_assert_int_eq(wa_usync_parse(iq, &users), ERR_INVALID);
    ck_assert(users == NULL);
    struct wa_node *list = wa_node_child(wa_node_child(iq, "usync"), "list");
    struct wa_node *devices = wa_node_child(answer_user(list, "111@lid"), "devices");
    struct wa_node *inner = wa_node_child(devices, "device-list");
    for (int i = 1; i < 300; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i);
        add_device(inner, id, "1", false);
    }
    wa_node_child_data(devices, "key-index-list", bytes_text("\xff not a list"));
    ck_assert_int_eq(wa_usync_parse(iq, &users), 0);
    ck_assert_uint_eq(users->count, WA_DEVICES_PER_USER_MAX);
    arena_deinit(&arena);
}
END_TEST

START_TEST(test_device_cache_expires_and_drops)
{
    struct wa_device_cache *c = wa_device_cache_open();
    struct wa_jid user = wa_jid_make(WA_SERVER_LID, "111", 0);
    struct wa_jid devices[] = {user, wa_jid_with_device(&user, 3)};
    size_t n;
    ck_assert(wa_device_cache_get(c, &user, &n, 1000) == NULL);
    wa_device_cache_put(c, &user, devices, 2, 1000);
    const struct wa_jid *got = wa_device_cache_get(c, &user, &n, 1000 + 3599999);
    ck_assert(got && n == 2 && wa_jid_equal(&got[1], &devices[1]));
    ck_assert(wa_device_cache_get(c, &user, &n, 1000 + 3600000) == NULL);
    wa_device_cache_put(c, &devices[1], devices, 1, 2000);
    got = wa_device_cache_get(c, &user, &n, 2000);
    ck_assert(got && n == 1);
    struct wa_jid pn = wa_jid_make(WA_SERVER_PN, "111", 0);
    ck_assert(wa_device_cache_get(c, &pn, &n, 2000) == NULL);
    wa_device_cache_drop(c, &pn);
    wa_device_cache_drop(c, &user);
    ck_assert(wa_device_cache_get(c, &user, &n, 2000) == NULL && n == 0);
    wa_device_cache_close(c);
    wa_device_cache_close(NULL);
}
END_TEST

START_TEST(test_device_cache_full_gives_up_the_oldest)
{
    struct wa_device_cache *c = wa_device_cache_open();
    size_t n;
    for (int i = 0; i <= WA_DEVICES_CACHE_USERS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", 1000 + i);
        struct wa_jid user = wa_jid_make(WA_SERVER_LID, name, 0);
        wa_device_cache_put(c, &user, &user, 1, i == 7 ? 0 : 10 + i);
    }
    struct wa_jid oldest = wa_jid_make(WA_SERVER_LID, "1007", 0),
                  first = wa_jid_make(WA_SERVER_LID, "1000", 0),
                  last = wa_jid_make(WA_SERVER_LID, "1512", 0);
    ck_assert(wa_device_cache_get(c, &oldest, &n, 600) == NULL);
    ck_assert(wa_device_cache_get(c, &first, &n, 600) != NULL);
    ck_assert(wa_device_cache_get(c, &last, &n, 600) != NULL);
    wa_device_cache_close(c);
}
END_TEST

START_TEST(test_enc_and_fault_texts_are_stable)
{
    enum wa_enc_type type;
    ck_assert_int_eq(wa_enc_parse(bytes_text("skmsg"), &type), 0);
    ck_assert_int_eq(type, WA_ENC_SKMSG);
    ck_assert_int_eq(wa_enc_parse(bytes_text("msmsg"), &type), ERR_UNSUPPORTED);
    ck_assert_int_eq(wa_enc_parse(BYTES_NONE, &type), ERR_UNSUPPORTED);
    for (int f = 0; f < 16; f++)
        ck_assert_uint_gt(strlen(wa_fault_text((enum wa_signal_fault)f)), 0);
    ck_assert_str_eq(wa_fault_text(WA_FAULT_NO_SESSION), "no session");
}
END_TEST

#define ADD(name) tcase_add_test(cases, name)

static TCase *session_cases(void)
{
    TCase *cases = tcase_create("sessions");
    tcase_set_timeout(cases, 120);
    ADD(test_signal_vectors_both_parties_match);
    ADD(test_signal_vectors_bob_alone_matches);
    ADD(test_signal_vectors_alice_alone_matches);
    ADD(test_decrypt_host_failure_at_each_call_changes_nothing);
    ADD(test_encrypt_host_failure_gives_no_ciphertext);
    ADD(test_encrypt_output_full_keeps_ratchet);
    ADD(test_encrypt_without_session_is_not_found);
    ADD(test_decrypt_forged_pkmsg_changes_nothing);
    ADD(test_decrypt_every_truncation_and_flip_of_pkmsg_changes_nothing);
    ADD(test_decrypt_every_truncation_and_flip_of_msg_changes_nothing);
    ADD(test_decrypt_other_type_or_size_is_refused);
    ADD(test_decrypt_common_path_is_one_get_and_one_put);
    ADD(test_decrypt_known_pkmsg_writes_session_only);
    ADD(test_decrypt_damaged_session_record_is_replaced_by_pkmsg);
    ADD(test_encrypt_damaged_session_record_is_not_found);
    ADD(test_decrypt_damaged_prekey_record_is_unknown_prekey);
    ADD(test_decrypt_old_signed_prekey_from_records_works);
    ADD(test_decrypt_record_over_limit_recovers_with_new_session);
    ADD(test_decrypt_changed_identity_keeps_old_session_readable);
    ADD(test_process_bundle_changed_identity_replaces_it);
    ADD(test_process_bundle_bad_signature_is_refused);
    ADD(test_migrate_moves_sessions_and_identities_to_lid);
    ADD(test_migrate_keeps_lid_rows_and_drops_pn_rows);
    ADD(test_enc_and_fault_texts_are_stable);
    return cases;
}

static TCase *group_cases(void)
{
    TCase *cases = tcase_create("groups");
    tcase_set_timeout(cases, 60);
    ADD(test_group_vectors_receiver_matches);
    ADD(test_group_decrypt_without_key_is_no_session);
    ADD(test_group_decrypt_finds_key_of_sibling_device);
    ADD(test_process_skdm_repeated_keeps_the_chain);
    ADD(test_process_skdm_every_truncation_is_refused);
    ADD(test_group_encrypt_own_key_matches_vector);
    ADD(test_group_encrypt_is_read_by_other_member);
    return cases;
}

static TCase *key_cases(void)
{
    TCase *cases = tcase_create("prekeys and devices");
    ADD(test_bundle_parse_vectors_give_expected_values);
    ADD(test_bundle_parse_variants_are_judged);
    ADD(test_bundle_build_query_lists_devices);
    ADD(test_prekeys_build_upload_matches_vector);
    ADD(test_prekeys_build_upload_digest_matches_vector);
    ADD(test_prekey_generate_wraps_before_last_resort);
    ADD(test_prekeys_build_retry_keys_is_a_bundle_with_fresh_key);
    ADD(test_prekey_generate_key_opens_session_and_is_consumed);
    ADD(test_phash_vectors_match);
    ADD(test_message_id_vector_matches);
    ADD(test_usync_build_has_documented_shape);
    ADD(test_usync_parse_filters_devices);
    ADD(test_usync_parse_bounds_devices_and_wants_list);
    ADD(test_device_cache_expires_and_drops);
    ADD(test_device_cache_full_gives_up_the_oldest);
    return cases;
}

int main(void)
{
    Suite *suite = suite_create("wa_signal");
    suite_add_tcase(suite, session_cases());
    suite_add_tcase(suite, group_cases());
    suite_add_tcase(suite, key_cases());
    suite_add_tcase(suite, message_cases());
    return testing_run(suite);
}
