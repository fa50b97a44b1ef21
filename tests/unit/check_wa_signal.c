/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pairwise sessions against vectors of other implementations, and with a host that fails. */
#include "check_wa_signal.h"

#include <stdio.h>

#include "base/err.h"
#include "wa/prekeys.h"
#include "wa_party.h"

/* ---- replaying signal-1to1.json -------------------------------------------------------------- */

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
    party_check_outcome(expect, rc, fault);
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
        snprintf(key, sizeof(key), "%u", party_number(event, "id"));
        ck_assert_int_eq(h->del(h->ctx, WA_TABLE_PREKEY, key), 0);
    } else if (strcmp(op, "restore_prekey") == 0) {
        party_put_prekey(p, party_prekey(p, party_number(event, "id")));
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
        struct wa_bundle b = party_bundle(json_object_get(event, "bundle"));
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

/* ---- all or nothing -------------------------------------------------------------------------- */

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
    replay_init(r, party_scenario(testing_vectors("signal-1to1.json"), scenario));
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

/* ---- records that cannot be used ------------------------------------------------------------- */

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
    ck_assert_uint_eq(wa_signal_set_aside_count(r.bob.signal), 0);
    struct bytes sealed = testing_hex(decrypt_event(&r, "a3"), "ciphertext");
    ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, WA_ENC_PKMSG, sealed, &fault), 0);
    ck_assert_int_eq(wa_signal_has_session(r.bob.signal, &r.alice.jid), 1);
    ck_assert_uint_eq(wa_signal_set_aside_count(r.bob.signal), 1);
    ck_assert(fake_host_has(&r.bob.fake, WA_TABLE_SET_ASIDE, "session/111111111111111_1:0"));
    replay_deinit(&r);
}
END_TEST

START_TEST(test_encrypt_damaged_session_record_is_not_found)
{
    struct replay r;
    enum wa_enc_type type;
    struct buf sealed;
    replay_until(&r, "basic", "encrypt", "a1");
    struct wa_bundle b = party_bundle(json_object_get(json_array_get(r.events, 0), "bundle"));
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
    struct wa_bundle b = party_bundle(json_object_get(json_array_get(r.events, again), "bundle"));
    ck_assert_int_eq(wa_signal_process_bundle(r.alice.signal, &r.bob.jid, &b), 0);
    buf_clear(&sealed);
    ck_assert_int_eq(
        wa_signal_encrypt(r.alice.signal, &r.bob.jid, bytes_text("x\1"), &type, &sealed), 0);
    ck_assert_int_eq(try_decrypt(&r.bob, &r.alice.jid, type, buf_bytes(&sealed), &fault), 0);
    buf_deinit(&sealed);
    replay_deinit(&r);
}
END_TEST

/* ---- identities ------------------------------------------------------------------------------ */

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
    struct wa_bundle b = party_bundle(json_object_get(json_array_get(r.events, 0), "bundle"));
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
    struct wa_bundle b = party_bundle(json_object_get(json_array_get(r.events, 0), "bundle"));
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

/* ---- migration ------------------------------------------------------------------------------- */

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

/* A key that was handed out opens the session that it was handed out for, once. */
START_TEST(test_prekey_generate_key_opens_session_and_is_consumed)
{
    struct replay r;
    enum wa_enc_type type;
    enum wa_signal_fault fault;
    struct wa_keypair key;
    struct buf sealed;
    replay_until(&r, "basic", "process_bundle", NULL);
    struct wa_bundle b = party_bundle(json_object_get(json_array_get(r.events, 0), "bundle"));
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
    ADD(test_prekey_generate_key_opens_session_and_is_consumed);
    ADD(test_enc_and_fault_texts_are_stable);
    return cases;
}

int main(void)
{
    Suite *suite = suite_create("wa_signal");
    suite_add_tcase(suite, session_cases());
    suite_add_tcase(suite, group_cases());
    suite_add_tcase(suite, app_state_cases());
    suite_add_tcase(suite, key_cases());
    suite_add_tcase(suite, media_cases());
    suite_add_tcase(suite, message_cases());
    return testing_run(suite);
}
