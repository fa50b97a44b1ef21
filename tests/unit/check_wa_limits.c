/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our ratchet and the Signal library at the limits of a session, and where we differ on purpose. */
#define _GNU_SOURCE /* memmem */
#include "check_wa_ratchet.h"

#include "base/err.h"
#include "testing.h"
#include "twins.h"
#include "wa/crypto.h"
#include "wa/fields.h"
#include "wa/session_record.h"

/* ---- what the tests share -------------------------------------------------------------------- */

struct talk {
    struct twins w;
    struct twin *alice, *bob;
};

/* Alice has a bundle of Bob with a one-time prekey. */
static void begin(struct talk *t, uint64_t seed)
{
    twins_init(&t->w, seed);
    t->w.doing = "talk";
    t->alice = &t->w.sides[0];
    t->bob = &t->w.sides[1];
    struct wa_bundle b = twins_bundle_prekey(&t->w, t->bob);
    ck_assert_int_eq(twins_process(&t->w, t->alice, &b), 0);
}

static void turn(struct talk *t)
{
    twins_say(&t->w, t->alice);
    twins_say(&t->w, t->bob);
}

static void end(struct talk *t)
{
    twins_deinit(&t->w);
}

/* Seals n messages that nobody gets. */
static void lose(struct talk *t, struct twin *from, unsigned n)
{
    for (; n > 0; n--) {
        ck_assert_ptr_nonnull(twins_seal(&t->w, from));
        twins_forget(&t->w, t->w.flight_count - 1);
    }
}

static void assert_results(struct talk *t, const int *want, size_t n)
{
    ck_assert_uint_eq(t->w.flight_count, n);
    for (size_t i = 0; i < n; i++) {
        int rc = twins_receive(&t->w, &t->w.flights[i]);
        ck_assert_msg(rc == want[i], "flight %zu: %d", i, rc);
    }
}

/* ---- limits (protocol/04 section 4.1) -------------------------------------------------------- */

START_TEST(test_open_2000_missing_opens_2001_is_refused)
{
    struct talk t;
    begin(&t, 7);
    turn(&t);
    twins_seal(&t.w, t.alice); /* the counters 0, 1, 1999, 2000 and 2001 are kept */
    twins_seal(&t.w, t.alice);
    lose(&t, t.alice, 1997);
    for (int i = 0; i < 3; i++)
        twins_seal(&t.w, t.alice);
    const struct twins_flight *at = t.w.flights;
    ck_assert_int_eq(twins_receive(&t.w, &at[4]), ERR_AUTH);
    ck_assert_int_eq(twins_receive(&t.w, &at[3]), 0);
    ck_assert_int_eq(twins_receive(&t.w, &at[4]), 0);
    ck_assert_int_eq(twins_receive(&t.w, &at[0]), 0);
    ck_assert_int_eq(twins_receive(&t.w, &at[0]), 1);
    ck_assert_int_eq(twins_receive(&t.w, &at[2]), 0);
    ck_assert_int_eq(twins_receive(&t.w, &at[1]), 0);
    end(&t);
}
END_TEST

START_TEST(test_open_more_skipped_than_kept_oldest_are_given_up)
{
    struct talk t;
    begin(&t, 8);
    turn(&t);
    for (int i = 0; i < 12; i++) /* the counters 0 … 11 */
        twins_seal(&t.w, t.alice);
    lose(&t, t.alice, 1985);
    twins_say(&t.w, t.alice); /* 1997: as many are missing */
    lose(&t, t.alice, 10);
    twins_say(&t.w, t.alice); /* seven too many */
    int want[12] = {1, 1, 1, 1, 1, 1, 1};
    assert_results(&t, want, 12);
    twins_swap(t.bob);
    turn(&t);
    end(&t);
}
END_TEST

START_TEST(test_open_of_more_than_five_chains_newest_five_open)
{
    struct talk t;
    begin(&t, 9);
    for (int i = 0; i < 8; i++) {
        twins_seal(&t.w, t.alice);
        turn(&t);
    }
    assert_results(&t, (const int[]){ERR_AUTH, ERR_AUTH, ERR_AUTH, 0, 0, 0, 0, 0}, 8);
    turn(&t);
    end(&t);
}
END_TEST

/* Each chain has lost some: a late one is found in its own. */
START_TEST(test_open_late_ones_of_several_chains)
{
    struct talk t;
    begin(&t, 10);
    turn(&t);
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 3; k++)
            twins_seal(&t.w, t.alice);
        turn(&t);
    }
    ck_assert_uint_eq(t.w.flight_count, 12);
    for (size_t i = 0; i < 12; i++)
        ck_assert_int_eq(twins_receive(&t.w, &t.w.flights[i * 5 % 12]), 0);
    for (size_t i = 0; i < 12; i++)
        ck_assert_int_eq(twins_receive(&t.w, &t.w.flights[i]), 1);
    end(&t);
}
END_TEST

START_TEST(test_sessions_more_than_archived_oldest_is_given_up)
{
    struct talk t;
    begin(&t, 11);
    for (int i = 0; i < 45; i++) {
        struct wa_bundle b = twins_bundle_prekey(&t.w, t.bob);
        ck_assert_int_eq(twins_process(&t.w, t.alice, &b), 0);
        twins_say(&t.w, t.alice);
        twins_seal(&t.w, t.alice);
    }
    int want[45] = {ERR_AUTH, ERR_AUTH, ERR_AUTH, ERR_AUTH};
    assert_results(&t, want, 45);
    struct wa_session_record record;
    struct buf value;
    twins_record(&t.w, t.bob, t.bob->ours, &value);
    ck_assert_int_eq(wa_session_record_parse(buf_bytes(&value), &record), 0);
    ck_assert_uint_eq(record.archived_count, WA_SESSION_ARCHIVED_MAX);
    buf_deinit(&value);
    end(&t);
}
END_TEST

START_TEST(test_sessions_of_both_at_once_agree_on_one)
{
    struct talk t;
    begin(&t, 12);
    struct wa_bundle b = twins_bundle(t.alice);
    ck_assert_int_eq(twins_process(&t.w, t.bob, &b), 0);
    twins_seal(&t.w, t.alice);
    twins_seal(&t.w, t.bob);
    ck_assert_int_eq(t.w.flights[0].type, WA_ENC_PKMSG);
    ck_assert_int_eq(t.w.flights[1].type, WA_ENC_PKMSG);
    assert_results(&t, (const int[]){0, 0}, 2);
    for (int i = 0; i < 3; i++)
        turn(&t);
    ck_assert_ptr_nonnull(twins_seal(&t.w, t.alice));
    ck_assert_int_eq(t.w.flights[2].type, WA_ENC_MSG);
    end(&t);
}
END_TEST

/* A pkmsg that was under way when its sender registered anew brings the old identity back. */
START_TEST(test_identity_of_late_pkmsg_is_stored_again)
{
    struct talk t;
    begin(&t, 13);
    twins_say(&t.w, t.alice);
    twins_seal(&t.w, t.alice);
    uint8_t before[WA_KEY_LEN], after[WA_KEY_LEN];
    memcpy(before, t.alice->device.identity.pub, WA_KEY_LEN);
    wa_device_generate(&t.alice->device, &t.w.maker.host);
    struct wa_bundle b = twins_bundle(t.bob);
    twins_process(&t.w, t.alice, &b);
    twins_say(&t.w, t.alice);
    ck_assert_int_eq(twins_receive(&t.w, &t.w.flights[0]), 0);
    ck_assert_int_eq(wa_signal_get_identity(t.bob->signal, &t.alice->jid, after), 1);
    ck_assert_mem_eq(before, after, WA_KEY_LEN);
    end(&t);
}
END_TEST

START_TEST(test_version_of_envelope_is_judged_alike)
{
    struct talk t;
    begin(&t, 14);
    for (int type = 0; type < 2; type++) {
        struct twins_flight *f = twins_seal(&t.w, t.alice);
        ck_assert_int_eq(f->type, type == 0 ? WA_ENC_PKMSG : WA_ENC_MSG);
        const uint8_t versions[] = {0x00, 0x13, 0x23, 0x43, 0xf3};
        for (size_t i = 0; i < sizeof(versions); i++) {
            f->sealed.p[0] = versions[i];
            ck_assert_int_eq(twins_receive(&t.w, f), ERR_AUTH);
        }
        /* What else its sender speaks is no matter, but the MAC of a msg covers it. */
        f->sealed.p[0] = 0x34;
        ck_assert_int_eq(twins_receive(&t.w, f), type == 0 ? 0 : ERR_AUTH);
        twins_forget(&t.w, 0);
        if (type == 0)
            twins_say(&t.w, t.bob);
    }
    end(&t);
}
END_TEST

/* ---- one goes on with what the other wrote --------------------------------------------------- */

START_TEST(test_archived_by_library_is_no_session_at_work)
{
    struct talk t;
    struct buf value;
    begin(&t, 15);
    turn(&t);
    twins_seal(&t.w, t.bob);
    library_peer_keep_empty(t.alice->library);
    ck_assert_int_eq(library_peer_archive(t.alice->library, &t.bob->jid), 0);
    twins_record(&t.w, t.alice, t.alice->theirs, &value);
    struct wa_field current;
    ck_assert_int_eq(wa_field_find(buf_bytes(&value), 1, &current), 0);
    ck_assert_uint_gt(current.bytes.n, 0); /* the empty one */
    buf_deinit(&value);
    twins_swap(t.alice);
    ck_assert_int_eq(wa_signal_has_session(t.alice->signal, &t.bob->jid), 0);
    enum wa_enc_type type;
    enum wa_signal_fault fault;
    AUTO_BUF struct buf out = {.max = 4096};
    ck_assert_int_eq(wa_signal_encrypt(t.alice->signal, &t.bob->jid, bytes_text("x"), &type, &out),
                     ERR_NOT_FOUND);
    struct bytes late = buf_bytes(&t.w.flights[0].sealed);
    ck_assert_int_eq(
        wa_signal_decrypt(t.alice->signal, &t.bob->jid, WA_ENC_MSG, late, &out, &fault), 0);
    ck_assert_int_eq(wa_signal_has_session(t.alice->signal, &t.bob->jid), 1);
    end(&t);
}
END_TEST

START_TEST(test_archived_by_us_is_no_session_at_work_to_library)
{
    struct talk t;
    begin(&t, 16);
    turn(&t);
    twins_seal(&t.w, t.bob);
    ck_assert_int_eq(wa_signal_archive_session(t.alice->signal, &t.bob->jid), 0);
    twins_swap(t.alice);
    enum wa_enc_type type;
    enum wa_signal_fault fault;
    AUTO_BUF struct buf out = {.max = 4096};
    ck_assert_int_eq(
        library_peer_encrypt(t.alice->library, &t.bob->jid, bytes_text("x"), &type, &out),
        ERR_NOT_FOUND);
    struct bytes late = buf_bytes(&t.w.flights[0].sealed);
    ck_assert_int_eq(
        library_peer_decrypt(t.alice->library, &t.bob->jid, WA_ENC_MSG, late, &out, &fault), 0);
    ck_assert_int_eq(
        library_peer_encrypt(t.alice->library, &t.bob->jid, bytes_text("x"), &type, &out), 0);
    end(&t);
}
END_TEST

/* ---- where we differ ------------------------------------------------------------------------- */

/* With such a key every agreement is zero, whoever the other one is. */
static const uint8_t small_order[2][WA_KEY_LEN] = {{0}, {1}};

START_TEST(test_bundle_with_key_of_small_order_we_refuse)
{
    struct talk t;
    uint8_t typed[WA_TYPED_KEY_LEN];
    twins_init(&t.w, 17);
    struct twin *alice = &t.w.sides[0], *bob = &t.w.sides[1];
    for (size_t i = 0; i < 2 * ARRAY_LEN(small_order); i++) {
        struct wa_bundle b = twins_bundle_prekey(&t.w, bob);
        memcpy(i % 2 ? b.prekey : b.signed_prekey, small_order[i / 2], WA_KEY_LEN);
        wa_typed_key(typed, b.signed_prekey);
        wa_curve_sign(b.signed_prekey_signature, bob->device.identity.priv, BYTES_ARRAY(typed),
                      &t.w.maker.host);
        ck_assert_int_eq(wa_signal_process_bundle(alice->signal, &bob->jid, &b), ERR_AUTH);
        ck_assert_ptr_null(alice->ours->records);
        ck_assert_int_eq(library_peer_process_bundle(alice->library, &bob->jid, &b), 0);
    }
    end(&t);
}
END_TEST

static uint8_t *found_in(struct buf *sealed, const uint8_t key[WA_KEY_LEN])
{
    uint8_t *at = memmem(sealed->p, sealed->n, key, WA_KEY_LEN);
    ck_assert_ptr_nonnull(at);
    return at;
}

static int ours_says(struct talk *t, const struct twins_flight *f, enum wa_signal_fault *fault)
{
    AUTO_BUF struct buf plain = {.max = 4096};
    return wa_signal_decrypt(t->bob->signal, &t->alice->jid, f->type, buf_bytes(&f->sealed), &plain,
                             fault);
}

static int library_says(struct talk *t, const struct twins_flight *f)
{
    enum wa_signal_fault fault;
    AUTO_BUF struct buf plain = {.max = 4096};
    return library_peer_decrypt(t->bob->library, &t->alice->jid, f->type, buf_bytes(&f->sealed),
                                &plain, &fault);
}

/* To the library its message is forged, which it is for who cannot agree on a key. */
START_TEST(test_pkmsg_with_key_of_small_order_is_refused)
{
    struct talk t;
    struct wa_prekey_message m;
    enum wa_signal_fault fault;
    begin(&t, 23);
    struct twins_flight *f = twins_seal(&t.w, t.alice);
    ck_assert_int_eq(wa_prekey_message_parse(buf_bytes(&f->sealed), &m), 0);
    const uint8_t *keys[] = {m.base_key, m.identity, m.message.ratchet};
    for (size_t i = 0; i < ARRAY_LEN(keys) * ARRAY_LEN(small_order); i++) {
        const uint8_t *key = keys[i % ARRAY_LEN(keys)];
        uint8_t *at = found_in(&f->sealed, key);
        memcpy(at, small_order[i / ARRAY_LEN(keys)], WA_KEY_LEN);
        ck_assert_int_eq(ours_says(&t, f, &fault), ERR_AUTH);
        enum wa_signal_fault want = i % 3 == 2 ? WA_FAULT_INVALID_MESSAGE : WA_FAULT_INVALID_KEY;
        ck_assert_msg(fault == want, "key %zu: %s", i, wa_fault_text(fault));
        ck_assert_int_eq(library_says(&t, f), ERR_AUTH);
        memcpy(at, key, WA_KEY_LEN);
    }
    ck_assert_int_eq(ours_says(&t, f, &fault), 0);
    end(&t);
}
END_TEST

/* What a peer would seal that names a ratchet key with which it agrees on zero. */
static void put_zero_ratchet(struct talk *t)
{
    struct buf value, bobs;
    struct wa_session_record record, bobs_record;
    struct wa_ratchet r, bobs_r;
    uint8_t made[64];
    const uint8_t shared[32] = {0};
    char key[WA_KEY_MAX];
    AUTO_BUF struct buf out = {.max = WA_RECORD_MAX};
    twins_record(&t->w, t->alice, t->alice->ours, &value);
    twins_record(&t->w, t->bob, t->bob->ours, &bobs);
    ck_assert_int_eq(wa_session_record_parse(buf_bytes(&value), &record), 0);
    ck_assert_int_eq(wa_session_record_parse(buf_bytes(&bobs), &bobs_record), 0);
    wa_ratchet_init(&r);
    wa_ratchet_init(&bobs_r);
    ck_assert_int_eq(wa_session_parse(record.current, &r), 0);
    ck_assert_int_eq(wa_session_parse(bobs_record.current, &bobs_r), 0);
    wa_hkdf_sha256(made, sizeof(made), BYTES_ARRAY(shared), BYTES_ARRAY(bobs_r.root),
                   bytes_text("WhisperRatchet"));
    memset(r.ratchet.pub, 0, WA_KEY_LEN);
    memcpy(r.sending.key, made + 32, sizeof(r.sending.key));
    r.sending.index = 0;
    ck_assert_int_eq(wa_session_record_write(&out, &record, &r), 0);
    twins_record_key(&t->w, t->alice, key);
    fake_host_put(t->alice->ours, WA_TABLE_SESSION, key, buf_bytes(&out));
    fake_host_put(t->alice->theirs, WA_TABLE_SESSION, key, buf_bytes(&out));
    wa_ratchet_wipe(&r);
    wa_ratchet_wipe(&bobs_r);
    buf_deinit(&value);
    buf_deinit(&bobs);
}

START_TEST(test_msg_with_ratchet_key_of_small_order_we_refuse)
{
    struct talk t;
    enum wa_signal_fault fault;
    begin(&t, 24);
    turn(&t);
    put_zero_ratchet(&t);
    struct twins_flight *f = twins_seal(&t.w, t.alice);
    ck_assert_int_eq(f->type, WA_ENC_MSG);
    ck_assert_int_eq(ours_says(&t, f, &fault), ERR_AUTH);
    ck_assert_int_eq(fault, WA_FAULT_INVALID_MESSAGE);
    ck_assert_int_eq(library_says(&t, f), 0);
    end(&t);
}
END_TEST

/* The library stores the identity of who forged it. */
START_TEST(test_forged_identity_of_later_pkmsg_we_refuse)
{
    struct talk t;
    struct buf before, after;
    enum wa_signal_fault fault;
    begin(&t, 18);
    twins_say(&t.w, t.alice);
    struct twins_flight *f = twins_seal(&t.w, t.alice);
    uint8_t *identity = found_in(&f->sealed, t.alice->device.identity.pub);
    identity[3] ^= 1;
    fake_host_dump(t.bob->ours, &before);
    ck_assert_int_eq(ours_says(&t, f, &fault), ERR_AUTH);
    ck_assert_int_eq(fault, WA_FAULT_INVALID_KEY_ID);
    fake_host_dump(t.bob->ours, &after);
    testing_assert_bytes(buf_bytes(&after), buf_bytes(&before), "records");
    ck_assert_int_eq(library_says(&t, f), 0);
    identity[3] ^= 1;
    ck_assert_int_eq(ours_says(&t, f, &fault), 0);
    buf_deinit(&before);
    buf_deinit(&after);
    end(&t);
}
END_TEST

/* The library begins a session of nobody, and opens the message with the one before it. */
START_TEST(test_forged_base_key_of_later_pkmsg_we_refuse)
{
    struct talk t;
    enum wa_signal_fault fault;
    twins_init(&t.w, 19);
    t.w.doing = "talk";
    t.alice = &t.w.sides[0];
    t.bob = &t.w.sides[1];
    struct wa_bundle b = twins_bundle(t.bob);
    ck_assert_int_eq(twins_process(&t.w, t.alice, &b), 0);
    twins_say(&t.w, t.alice);
    struct twins_flight *f = twins_seal(&t.w, t.alice);
    struct wa_prekey_message m;
    ck_assert_int_eq(wa_prekey_message_parse(buf_bytes(&f->sealed), &m), 0);
    uint8_t *base = found_in(&f->sealed, m.base_key);
    base[3] ^= 1;
    ck_assert_int_eq(ours_says(&t, f, &fault), ERR_AUTH);
    ck_assert_int_eq(fault, WA_FAULT_INVALID_MESSAGE);
    ck_assert_int_eq(library_says(&t, f), 0);
    base[3] ^= 1;
    ck_assert_int_eq(ours_says(&t, f, &fault), 0);
    end(&t);
}
END_TEST

/* The library reads all sessions of a record, or none. */
START_TEST(test_damaged_archived_session_others_go_on)
{
    struct talk t;
    struct buf value, broken;
    enum wa_signal_fault fault;
    begin(&t, 20);
    turn(&t);
    twins_seal(&t.w, t.alice);
    struct wa_bundle b = twins_bundle_prekey(&t.w, t.bob);
    ck_assert_int_eq(twins_process(&t.w, t.alice, &b), 0);
    twins_say(&t.w, t.alice);
    b = twins_bundle_prekey(&t.w, t.bob);
    ck_assert_int_eq(twins_process(&t.w, t.alice, &b), 0);
    twins_say(&t.w, t.alice);
    twins_record(&t.w, t.bob, t.bob->ours, &value);
    struct wa_session_record record;
    ck_assert_int_eq(wa_session_record_parse(buf_bytes(&value), &record), 0);
    ck_assert_uint_eq(record.archived_count, 2);
    record.archived[0] = bytes_text("\x08\x03\x12\x01");
    buf_init(&broken, WA_RECORD_MAX);
    ck_assert_int_eq(wa_session_record_write(&broken, &record, NULL), 0);
    char key[WA_KEY_MAX];
    twins_record_key(&t.w, t.bob, key);
    fake_host_put(t.bob->ours, WA_TABLE_SESSION, key, buf_bytes(&broken));
    fake_host_put(t.bob->theirs, WA_TABLE_SESSION, key, buf_bytes(&broken));
    ck_assert_int_eq(ours_says(&t, &t.w.flights[0], &fault), 0);
    ck_assert_int_eq(library_says(&t, &t.w.flights[0]), ERR_AUTH);
    buf_deinit(&value);
    buf_deinit(&broken);
    end(&t);
}
END_TEST

/* What it outgrew is set aside, and the message opened again: it must not come out twice. */
START_TEST(test_pkmsg_record_over_limit_opens_once)
{
    struct talk t;
    struct buf value;
    struct wa_session_record record;
    enum wa_enc_type type;
    enum wa_signal_fault fault;
    char key[WA_KEY_MAX];
    begin(&t, 25);
    turn(&t);
    twins_record(&t.w, t.bob, t.bob->ours, &value);
    ck_assert_int_eq(wa_session_record_parse(buf_bytes(&value), &record), 0);
    AUTO_BUF struct buf filler = {.max = WA_RECORD_MAX}, full = {.max = WA_RECORD_MAX};
    while (filler.n < WA_RECORD_MAX - value.n - 16)
        buf_append_u8(&filler, 8);
    record.archived[record.archived_count++] = buf_bytes(&filler);
    ck_assert_int_eq(wa_session_record_write(&full, &record, NULL), 0);
    twins_record_key(&t.w, t.bob, key);
    fake_host_put(t.bob->ours, WA_TABLE_SESSION, key, buf_bytes(&full));
    struct wa_bundle b = twins_bundle_prekey(&t.w, t.bob);
    ck_assert_int_eq(twins_process(&t.w, t.alice, &b), 0);
    AUTO_BUF struct buf sealed = {.max = 4096}, plain = {.max = 4096};
    buf_append_text(&plain, "before ");
    ck_assert_int_eq(
        wa_signal_encrypt(t.alice->signal, &t.bob->jid, bytes_text("once"), &type, &sealed), 0);
    ck_assert_int_eq(
        wa_signal_decrypt(t.bob->signal, &t.alice->jid, type, buf_bytes(&sealed), &plain, &fault),
        0);
    testing_assert_bytes(buf_bytes(&plain), bytes_text("before once"), "plain");
    ck_assert_uint_eq(wa_signal_set_aside_count(t.bob->signal), 1);
    buf_deinit(&value);
    end(&t);
}
END_TEST

#define ADD(name) tcase_add_test(cases, name)

TCase *limit_cases(void)
{
    TCase *cases = tcase_create("limits");
    tcase_set_timeout(cases, 120);
    ADD(test_open_2000_missing_opens_2001_is_refused);
    ADD(test_open_more_skipped_than_kept_oldest_are_given_up);
    ADD(test_open_of_more_than_five_chains_newest_five_open);
    ADD(test_open_late_ones_of_several_chains);
    ADD(test_sessions_more_than_archived_oldest_is_given_up);
    ADD(test_sessions_of_both_at_once_agree_on_one);
    ADD(test_identity_of_late_pkmsg_is_stored_again);
    ADD(test_version_of_envelope_is_judged_alike);
    ADD(test_archived_by_library_is_no_session_at_work);
    ADD(test_archived_by_us_is_no_session_at_work_to_library);
    ADD(test_bundle_with_key_of_small_order_we_refuse);
    ADD(test_pkmsg_with_key_of_small_order_is_refused);
    ADD(test_msg_with_ratchet_key_of_small_order_we_refuse);
    ADD(test_pkmsg_record_over_limit_opens_once);
    ADD(test_forged_identity_of_later_pkmsg_we_refuse);
    ADD(test_forged_base_key_of_later_pkmsg_we_refuse);
    ADD(test_damaged_archived_session_others_go_on);
    return cases;
}
