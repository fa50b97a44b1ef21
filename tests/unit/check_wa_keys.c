/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Part of check_wa_signal: prekeys, bundles of others, device lists, message ids. */
#include <stdio.h>

#include "base/err.h"
#include "base/text.h"
#include "check_wa_signal.h"
#include "wa/crypto.h"
#include "wa/devices.h"
#include "wa/message.h"
#include "wa/pairing.h"
#include "wa/prekeys.h"
#include "wa_party.h"

/* ---- prekeys --------------------------------------------------------------------------------- */

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
    ck_assert_uint_eq(b->registration_id, party_number(want, "registration_id"));
    party_key(key, want, "identity_public");
    ck_assert_mem_eq(b->identity, key, WA_KEY_LEN);
    ck_assert(b->has_prekey);
    ck_assert_uint_eq(b->prekey_id, party_number(want, "prekey_id"));
    party_key(key, want, "prekey_public");
    ck_assert_mem_eq(b->prekey, key, WA_KEY_LEN);
    ck_assert_uint_eq(b->signed_prekey_id, party_number(want, "signed_prekey_id"));
    party_key(key, want, "signed_prekey_public");
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
    *d = (struct wa_device){.registration_id = party_number(vectors, "registration_id"),
                            .next_prekey_id = 1};
    party_key(d->identity.priv, json_object_get(keys, "identity"), "private");
    party_key(d->identity.pub, json_object_get(keys, "identity"), "public");
    d->signed_prekey.id = party_number(skey, "id");
    party_key(d->signed_prekey.key.priv, json_object_get(keys, "signed_pre_key"), "private");
    party_key(d->signed_prekey.key.pub, json_object_get(keys, "signed_pre_key"), "public");
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

/* The digest that an independent server answered with, against the keys it is about. */
START_TEST(test_prekeys_compare_vector_equal_and_each_difference_found)
{
    json_t *vectors = testing_vectors("prekeys.json");
    struct arena arena = {0};
    struct fake_host h;
    struct wa_device d, other;
    struct wa_node *iq = wa_node_new(&arena, "iq"), *reply;
    prekeys_device(&d, &h, vectors);
    ck_assert_int_eq(wa_prekeys_build_upload(iq, &d, &h.host, 3), 0);
    ck_assert_int_eq(wa_node_decode(&arena, testing_hex(vectors, "digest_reply_stanza"), &reply),
                     0);
    const struct wa_node *digest = wa_node_find(reply, "digest");
    ck_assert_int_eq(wa_prekeys_compare(digest, &d, &h.host), 1);
    other = d;
    other.identity.pub[5] ^= 1;
    ck_assert_int_eq(wa_prekeys_compare(digest, &other, &h.host), 0);
    other = d;
    other.signed_prekey.signature[63] ^= 1;
    ck_assert_int_eq(wa_prekeys_compare(digest, &other, &h.host), 0);
    h.fail_get = 1;
    ck_assert_int_eq(wa_prekeys_compare(digest, &d, &h.host), ERR_STORE);
    h.host.del(h.host.ctx, WA_TABLE_PREKEY, "2");
    ck_assert_int_eq(wa_prekeys_compare(digest, &d, &h.host), 0);
    ck_assert_int_eq(wa_prekeys_compare(wa_node_new(&arena, "digest"), &d, &h.host), ERR_INVALID);
    fake_host_deinit(&h);
    arena_deinit(&arena);
}
END_TEST

START_TEST(test_prekeys_build_upload_again_says_the_same_without_what_was_used)
{
    json_t *vectors = testing_vectors("prekeys.json");
    struct arena arena = {0};
    struct fake_host h;
    struct wa_device d;
    struct buf first_text, again_text;
    prekeys_device(&d, &h, vectors);
    struct wa_node *first = wa_node_new(&arena, "iq"), *again = wa_node_new(&arena, "iq"),
                   *less = wa_node_new(&arena, "iq");
    ck_assert_int_eq(wa_prekeys_build_upload(first, &d, &h.host, 3), 0);
    ck_assert_int_eq(wa_prekeys_build_upload_again(again, &d, &h.host, 1, 3), 0);
    print_children(first, &first_text);
    print_children(again, &again_text);
    ck_assert_str_eq(buf_text(&first_text), buf_text(&again_text));
    ck_assert_uint_eq(d.next_prekey_id, 4);
    h.host.del(h.host.ctx, WA_TABLE_PREKEY, "2");
    ck_assert_int_eq(wa_prekeys_build_upload_again(less, &d, &h.host, 1, 3), 0);
    size_t count = 0;
    const struct wa_node *key = wa_node_find(wa_node_find(less, "list"), "key");
    for (; key; key = wa_node_next(key, "key"))
        count++;
    ck_assert_uint_eq(count, 2);
    buf_deinit(&first_text);
    buf_deinit(&again_text);
    fake_host_deinit(&h);
    arena_deinit(&arena);
}
END_TEST

static uint32_t offered_id(const struct wa_node *iq)
{
    uint32_t id = 0;
    const struct wa_node *skey = wa_node_find(wa_node_find(iq, "rotate"), "skey");
    ck_assert(wa_node_child_be_value(skey, "id", 3, &id));
    return id;
}

/* A rotation that has no answer is offered again, one that is refused never; old keys are few. */
START_TEST(test_prekeys_rotation_each_outcome)
{
    struct arena arena = {0};
    struct fake_host h;
    struct wa_device d, stored;
    uint8_t signature[WA_SIGNATURE_LEN];
    fake_host_init(&h);
    wa_device_generate(&d, &h.host);
    ck_assert_int_eq(wa_device_save(&d, &h.host), 0);
    struct wa_node *iq = wa_node_new(&arena, "iq"), *again = wa_node_new(&arena, "iq");
    ck_assert_int_eq(wa_prekeys_build_rotation(iq, &d, &h.host, signature), 0);
    ck_assert_uint_eq(offered_id(iq), 2);
    ck_assert(fake_host_has(&h, WA_TABLE_SIGNED_PREKEY, "2")); /* before it is sent */
    ck_assert_int_eq(wa_prekeys_build_rotation(again, &d, &h.host, signature), 0);
    ck_assert_uint_eq(offered_id(again), 2);
    ck_assert_int_eq(wa_prekeys_rotation_refused(&d, &h.host), 0);
    for (uint32_t id = 3; id < 10; id++) {
        iq = wa_node_new(&arena, "iq");
        ck_assert_int_eq(wa_prekeys_build_rotation(iq, &d, &h.host, signature), 0);
        ck_assert_uint_eq(offered_id(iq), id);
        ck_assert_int_eq(wa_prekeys_rotated(&d, &h.host, signature, 1780000000), 0);
        ck_assert_uint_eq(d.signed_prekey.id, id);
        ck_assert_int_eq(wa_device_load(&stored, &h.host), 1); /* it is sound: the signature fits */
        ck_assert_uint_eq(stored.signed_prekey.id, id);
        ck_assert_uint_eq(stored.signed_prekey_at, 1780000000);
        ck_assert_uint_le(fake_host_count(&h, WA_TABLE_SIGNED_PREKEY), WA_SIGNED_PREKEYS_KEPT);
    }
    ck_assert(fake_host_has(&h, WA_TABLE_SIGNED_PREKEY, "8"));
    ck_assert(fake_host_has(&h, WA_TABLE_SIGNED_PREKEY, "6"));
    ck_assert(!fake_host_has(&h, WA_TABLE_SIGNED_PREKEY, "5"));
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

/* ---- device lists ---------------------------------------------------------------------------- */

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

/* As the source says it: sorted names, joined, SHA-256, six bytes. */
START_TEST(test_phash_of_any_number_of_devices_hashes_the_sorted_names)
{
    for (size_t n = 1; n <= 9; n++) { /* ids of one digit sort as numbers */
        struct wa_jid devices[9];
        char hash[WA_PHASH_SIZE];
        uint8_t digest[WA_SHA256_LEN];
        AUTO_BUF struct buf text = {.max = 1024}, right = {.max = 64};
        for (size_t i = 0; i < n; i++) {
            devices[n - 1 - i] = wa_jid_make(WA_SERVER_LID, "4915", (uint16_t)i);
            buf_printf(&text, "4915.0:%zu@lid", i);
        }
        wa_sha256(digest, (struct bytes[]){buf_bytes(&text)}, 1);
        buf_append_text(&right, "2:");
        text_base64_append(&right, BYTES(digest, 6));
        wa_phash(hash, devices, n);
        ck_assert_str_eq(hash, buf_text(&right));
    }
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

    ck_assert_int_eq(wa_usync_parse(iq, NULL, &users), 0);
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

struct account {
    bool known;
    uint8_t key[WA_KEY_LEN];
};

static bool find_account(void *ctx, const struct wa_jid *user, uint8_t key[WA_KEY_LEN])
{
    const struct account *a = ctx;
    (void)user;
    memcpy(key, a->key, WA_KEY_LEN);
    return a->known;
}

/* The list of another implementation, its filter, and what is left when it is not the primary's. */
START_TEST(test_usync_parse_key_index_vector_signature_decides)
{
    json_t *adv = testing_vectors("adv.json"), *about = json_object_get(adv, "key_index_list");
    json_t *filter = json_object_get(about, "device_filter");
    struct account account = {.known = true};
    const struct wa_account_keys keys = {find_account, &account};
    memcpy(account.key, testing_hex(adv, "account_public_32").p, WA_KEY_LEN);
    for (int forged = 0; forged <= 1; forged++) {
        struct arena arena = {0};
        struct wa_usync_user *users;
        struct wa_node *iq = wa_node_new(&arena, "iq");
        struct wa_node *list = wa_node_child(wa_node_child(iq, "usync"), "list");
        struct wa_node *devices = wa_node_child(answer_user(list, "111@lid"), "devices");
        struct wa_node *inner = wa_node_child(devices, "device-list");
        size_t i, want = 0;
        json_t *row;
        account.key[0] ^= (uint8_t)forged;
        json_array_foreach(filter, i, row)
        {
            struct wa_node *device = wa_node_child(inner, "device");
            wa_node_set_u64(device, "id",
                            (uint64_t)json_integer_value(json_object_get(row, "device")));
            if (json_is_integer(json_object_get(row, "key_index")))
                wa_node_set_u64(device, "key-index",
                                (uint64_t)json_integer_value(json_object_get(row, "key_index")));
            want += json_is_true(json_object_get(row, "keep"));
        }
        wa_node_child_data(devices, "key-index-list", testing_hex(about, "signed_key_index_list"));
        ck_assert_int_eq(wa_usync_parse(iq, &keys, &users), 0);
        ck_assert_uint_eq(users->count, forged ? 1 : want);
        account.known = !forged;
        arena_deinit(&arena);
    }
    ck_assert_int_eq(
        wa_pairing_verify_key_indexes(testing_hex(about, "details"), BYTES_NONE, account.key),
        ERR_AUTH);
}
END_TEST

START_TEST(test_device_cache_lose_old_list_goes_young_one_is_shortened)
{
    size_t n;
    struct wa_device_cache *c = wa_device_cache_open();
    struct wa_jid user = wa_jid_make(WA_SERVER_LID, "111", 0),
                  companion = wa_jid_with_device(&user, 4), devices[] = {user, companion};
    wa_device_cache_lose(c, &companion, 0);
    wa_device_cache_put(c, &user, devices, 2, 0);
    wa_device_cache_lose(c, &companion, WA_DEVICES_FRESH_MS - 1);
    ck_assert(wa_device_cache_get(c, &user, &n, 1) != NULL && n == 1);
    wa_device_cache_lose(c, &user, 1);
    ck_assert(wa_device_cache_get(c, &user, &n, 1) != NULL && n == 1);
    wa_device_cache_lose(c, &companion, WA_DEVICES_FRESH_MS);
    ck_assert(wa_device_cache_get(c, &user, &n, 1) == NULL);
    wa_device_cache_close(c);
}
END_TEST

START_TEST(test_usync_parse_bounds_devices_and_wants_list)
{
    struct arena arena = {0};
    struct wa_usync_user *users;
    struct wa_node *iq = wa_node_new(&arena, "iq");
    ck_assert_int_eq(wa_usync_parse(iq, NULL, &users), ERR_INVALID);
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
    ck_assert_int_eq(wa_usync_parse(iq, NULL, &users), 0);
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
    n = 1;
    ck_assert(!wa_device_cache_count(c, &user, &n, 2000) && n == 0);
    wa_device_cache_close(c);
    wa_device_cache_close(NULL);
}
END_TEST

START_TEST(test_device_cache_gives_back_what_was_put)
{
    struct wa_device_cache *c = wa_device_cache_open();
    struct wa_jid user = wa_jid_make(WA_SERVER_LID, "111", 0), devices[WA_DEVICES_PER_USER_MAX];
    const size_t counts[] = {1, 6, 7, WA_DEVICES_PER_USER_MAX, 2, 0};
    size_t n;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        for (size_t k = 0; k < counts[i]; k++)
            devices[k] = wa_jid_make(k == 1 ? WA_SERVER_HOSTED_LID : WA_SERVER_LID,
                                     i == 4 ? "another" : "111", (uint16_t)(k * 600));
        wa_device_cache_put(c, &user, devices, counts[i], 0);
        const struct wa_jid *got = wa_device_cache_get(c, &user, &n, 1);
        ck_assert(got != NULL);
        ck_assert_uint_eq(n, counts[i]);
        ck_assert(wa_device_cache_count(c, &user, &n, 1) && n == counts[i]);
        for (size_t k = 0; k < n; k++)
            ck_assert(wa_jid_equal(&got[k], &devices[k]));
    }
    wa_device_cache_close(c);
}
END_TEST

START_TEST(test_device_cache_full_gives_up_what_came_first)
{
    struct wa_device_cache *c = wa_device_cache_open();
    char name[16];
    size_t n;
    for (int i = 0; i <= WA_DEVICES_CACHE_USERS; i++) {
        snprintf(name, sizeof(name), "%d", 1000 + i);
        struct wa_jid user = wa_jid_make(WA_SERVER_LID, name, 0);
        wa_device_cache_put(c, &user, &user, 1, i);
        if (i == 100) { /* one that comes again is no longer the first; one that is gone is none */
            user = wa_jid_make(WA_SERVER_LID, "1000", 0);
            wa_device_cache_put(c, &user, &user, 1, i);
            user = wa_jid_make(WA_SERVER_LID, "1050", 0);
            wa_device_cache_drop(c, &user);
        }
    }
    for (int i = 0; i <= WA_DEVICES_CACHE_USERS; i++) {
        snprintf(name, sizeof(name), "%d", 1000 + i);
        struct wa_jid user = wa_jid_make(WA_SERVER_LID, name, 0);
        const struct wa_jid *got = wa_device_cache_get(c, &user, &n, 3000);
        ck_assert_msg((got != NULL) == (i != 50), "%s", name);
        ck_assert(!got || wa_jid_equal(got, &user));
    }
    for (int i = 0; i < 10; i++) { /* beyond what there is room for */
        snprintf(name, sizeof(name), "%d", 9000 + i);
        struct wa_jid user = wa_jid_make(WA_SERVER_LID, name, 0);
        wa_device_cache_put(c, &user, &user, 1, 3000);
        snprintf(name, sizeof(name), "%d", 1001 + i);
        user = wa_jid_make(WA_SERVER_LID, name, 0);
        ck_assert_ptr_null(wa_device_cache_get(c, &user, &n, 3000));
    }
    wa_device_cache_close(c);
}
END_TEST

#define ADD(name) tcase_add_test(cases, name)

TCase *key_cases(void)
{
    TCase *cases = tcase_create("prekeys and devices");
    ADD(test_bundle_parse_vectors_give_expected_values);
    ADD(test_bundle_parse_variants_are_judged);
    ADD(test_bundle_build_query_lists_devices);
    ADD(test_prekeys_build_upload_matches_vector);
    ADD(test_prekeys_build_upload_digest_matches_vector);
    ADD(test_prekeys_compare_vector_equal_and_each_difference_found);
    ADD(test_prekeys_build_upload_again_says_the_same_without_what_was_used);
    ADD(test_prekeys_rotation_each_outcome);
    ADD(test_prekey_generate_wraps_before_last_resort);
    ADD(test_prekeys_build_retry_keys_is_a_bundle_with_fresh_key);
    ADD(test_phash_vectors_match);
    ADD(test_phash_of_any_number_of_devices_hashes_the_sorted_names);
    ADD(test_message_id_vector_matches);
    ADD(test_usync_build_has_documented_shape);
    ADD(test_usync_parse_filters_devices);
    ADD(test_usync_parse_bounds_devices_and_wants_list);
    ADD(test_usync_parse_key_index_vector_signature_decides);
    ADD(test_device_cache_lose_old_list_goes_young_one_is_shortened);
    ADD(test_device_cache_expires_and_drops);
    ADD(test_device_cache_full_gives_up_what_came_first);
    ADD(test_device_cache_gives_back_what_was_put);
    return cases;
}
