/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Part of check_wa_signal: sender keys. */
#include "base/err.h"
#include "check_wa_signal.h"
#include "wa_party.h"

static void member_init(struct party *p)
{
    const json_t *scenario = party_scenario(testing_vectors("signal-1to1.json"), "basic");
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
    party_check_outcome(testing_text(event, "expect"), rc, fault);
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
    struct wa_jid sender = party_jid(json_object_get(vectors, "sender_address"));
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
    const json_t *events = json_object_get(party_scenario(vectors, "consecutive"), "events");
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
    struct wa_jid sender = party_jid(json_object_get(vectors, "sender_address"));
    struct bytes m0 = testing_hex(group_event_named(vectors, "decrypt", "m0"), "ciphertext");
    member_init(&p);
    ck_assert_int_eq(group_open(&p, &sender, m0, &fault), ERR_AUTH);
    ck_assert_int_eq(fault, WA_FAULT_NO_SESSION);
    p.fake.fail_get = 1;
    ck_assert_int_eq(group_open(&p, &sender, m0, &fault), ERR_STORE);
    p.fake.fail_get = 2; /* the list of the others */
    ck_assert_int_eq(group_open(&p, &sender, m0, &fault), ERR_STORE);
    party_deinit(&p);
}
END_TEST

START_TEST(test_group_decrypt_finds_key_of_sibling_device)
{
    struct party p;
    enum wa_signal_fault fault;
    json_t *vectors = testing_vectors("signal-group.json");
    struct wa_jid sender = party_jid(json_object_get(vectors, "sender_address"));
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
    struct wa_jid sender = party_jid(json_object_get(vectors, "sender_address"));
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
    struct wa_jid sender = party_jid(json_object_get(vectors, "sender_address"));
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
    struct wa_jid own = party_jid(json_object_get(vectors, "sender_address"));
    struct wa_jid group = group_jid();
    const json_t *key = group_event_named(vectors, "sender_key", NULL);
    uint32_t id = party_number(key, "key_id");
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

START_TEST(test_group_has_key_made_spoiled_and_forgotten_tells_each)
{
    struct party p;
    struct wa_jid group = group_jid();
    struct buf skdm;
    char key[WA_KEY_MAX], text[WA_JID_TEXT_SIZE], name[WA_JID_NAME_SIZE];
    member_init(&p);
    buf_init(&skdm, 1024);
    ck_assert_int_eq(wa_signal_group_has_key(p.signal, &group, &p.jid), 0);
    ck_assert_int_eq(wa_signal_group_distribution(p.signal, &group, &p.jid, &skdm), 0);
    ck_assert_int_eq(wa_signal_group_has_key(p.signal, &group, &p.jid), 1);

    wa_jid_signal_name(&p.jid, name);
    snprintf(key, sizeof(key), "%s/%s:%d", wa_jid_text(&group, text), name, p.jid.device);
    ck_assert(fake_host_has(&p.fake, WA_TABLE_SENDER_KEY, key));
    fake_host_put(&p.fake, WA_TABLE_SENDER_KEY, key, bytes_text("spoiled"));
    ck_assert_int_eq(wa_signal_group_has_key(p.signal, &group, &p.jid), 0);
    ck_assert_int_eq(wa_signal_group_forget(p.signal, &group, &p.jid), 0);
    ck_assert_int_eq(wa_signal_group_has_key(p.signal, &group, &p.jid), 0);
    buf_deinit(&skdm);
    party_deinit(&p);
}
END_TEST

#define ADD(name) tcase_add_test(cases, name)

TCase *group_cases(void)
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
    ADD(test_group_has_key_made_spoiled_and_forgotten_tells_each);
    return cases;
}
