/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wa/app_state.h and wa/app_state_collection.h: the vectors of independent implementations byte by
 * byte, and every corrupted form of them. */
#include "check_wa_signal.h"
#include "fake_host.h"
#include "testing.h"

#include "base/err.h"
#include "wa/app_state_collection.h"
#include "wa/pb.h"

static const json_t *vectors(void)
{
    return testing_vectors("app-state.json");
}

static const json_t *patch(size_t i)
{
    return json_array_get(json_object_get(vectors(), "patches"), i);
}

static struct wa_app_state_keys vector_keys(void)
{
    struct wa_app_state_keys keys;
    wa_app_state_expand(&keys, testing_hex(vectors(), "key_data").p);
    return keys;
}

START_TEST(test_app_state_expand_vector_is_five_keys)
{
    struct wa_app_state_keys keys = vector_keys();
    const json_t *want = json_object_get(vectors(), "keys");
    testing_assert_bytes(BYTES_ARRAY(keys.index), testing_hex(want, "index"), "index");
    testing_assert_bytes(BYTES_ARRAY(keys.value), testing_hex(want, "value_encryption"), "value");
    testing_assert_bytes(BYTES_ARRAY(keys.value_mac), testing_hex(want, "value_mac"), "value MAC");
    testing_assert_bytes(BYTES_ARRAY(keys.snapshot_mac), testing_hex(want, "snapshot_mac"), "s");
    testing_assert_bytes(BYTES_ARRAY(keys.patch_mac), testing_hex(want, "patch_mac"), "patch MAC");
}
END_TEST

START_TEST(test_app_state_open_vector_is_its_action)
{
    const json_t *v = patch((size_t)_i);
    struct wa_app_state_keys keys = vector_keys();
    struct wa_app_state_patch p;
    struct wa_app_state_record r;
    struct wa_app_state_action action;
    AUTO_BUF struct buf plain = {.max = 4096};
    AUTO_BUF struct buf sealed = {.max = 4096};
    uint8_t index_mac[32];
    ck_assert_int_eq(wa_app_state_read_patch(testing_hex(v, "syncd_patch_proto"), &p), 0);
    ck_assert_uint_eq(p.version, (uint64_t)_i + 1);
    testing_assert_bytes(p.snapshot_mac, testing_hex(v, "snapshot_mac"), "snapshot MAC");
    testing_assert_bytes(p.patch_mac, testing_hex(v, "patch_mac"), "patch MAC");
    ck_assert_int_eq(wa_app_state_next(&p.records, &r), 1);
    testing_assert_bytes(r.index_mac, testing_hex(v, "index_mac"), "index MAC");
    testing_assert_bytes(r.value, testing_hex(v, "value_blob"), "value");
    testing_assert_bytes(r.value_mac, testing_hex(v, "value_mac"), "value MAC");
    ck_assert_int_eq(wa_app_state_open(&plain, &keys, &r, &action), 0);
    testing_assert_bytes(buf_bytes(&plain), testing_hex(v, "sync_action_data_proto"), "data");
    testing_assert_bytes(action.index, bytes_text(testing_text(v, "index_json")), "index");
    ck_assert_int_eq(wa_app_state_next(&p.records, &r), 0);
    struct bytes value = testing_hex(v, "value_blob");
    ck_assert_int_eq(wa_app_state_seal(&sealed, index_mac, &keys, false,
                                       testing_hex(vectors(), "key_id"), value.p, action.index,
                                       buf_bytes(&plain)),
                     0);
    testing_assert_bytes(buf_bytes(&sealed), value, "sealed again");
    testing_assert_bytes(BYTES_ARRAY(index_mac), testing_hex(v, "index_mac"), "index MAC again");
}
END_TEST

START_TEST(test_app_state_hash_vectors_add_and_subtract)
{
    uint8_t hash[WA_APP_STATE_HASH_LEN], before[WA_APP_STATE_HASH_LEN], mac[32];
    struct wa_app_state_keys keys = vector_keys();
    for (size_t i = 0; i < 3; i++) {
        const json_t *v = patch(i);
        struct wa_app_state_patch p;
        memcpy(hash, testing_hex(v, "lthash_before").p, sizeof(hash));
        memcpy(before, hash, sizeof(hash));
        if (i == 1)
            wa_app_state_hash_subtract(hash, testing_hex(patch(0), "value_mac"));
        wa_app_state_hash_add(hash, testing_hex(v, "value_mac"));
        testing_assert_bytes(BYTES_ARRAY(hash), testing_hex(v, "lthash_after"), "LTHash");
        wa_app_state_snapshot_mac(mac, &keys, hash, i + 1, "critical_block");
        testing_assert_bytes(BYTES_ARRAY(mac), testing_hex(v, "snapshot_mac"), "snapshot MAC");
        ck_assert_int_eq(wa_app_state_read_patch(testing_hex(v, "syncd_patch_proto"), &p), 0);
        ck_assert_int_eq(
            wa_app_state_patch_mac(mac, &keys, p.snapshot_mac, p.records, i + 1, "critical_block"),
            0);
        testing_assert_bytes(BYTES_ARRAY(mac), testing_hex(v, "patch_mac"), "patch MAC");
    }
}
END_TEST

/* ---- a collection --------------------------------------------------------------------------- */

static struct fake_host mem;

static void give_key(void)
{
    uint8_t data[34] = {0x0a, 32};
    memcpy(data + 2, testing_hex(vectors(), "key_data").p, 32);
    fake_host_put(&mem, WA_TABLE_APP_STATE_KEY, testing_text(vectors(), "key_id"),
                  BYTES_ARRAY(data));
}

static void setup(void)
{
    fake_host_init(&mem);
    give_key();
}

static void teardown(void)
{
    fake_host_deinit(&mem);
}

static int take(struct bytes raw, struct wa_app_state_news *news)
{
    return wa_app_state_take_patch(&mem.host, "critical_block", raw, BYTES_NONE, news);
}

static uint64_t version(void)
{
    uint64_t v;
    ck_assert_int_eq(wa_app_state_version(&mem.host, "critical_block", &v), 0);
    return v;
}

START_TEST(test_app_state_take_patch_three_in_a_row_give_the_name)
{
    struct wa_app_state_news news;
    ck_assert_int_eq(take(testing_hex(patch(0), "syncd_patch_proto"), &news), 0);
    ck_assert_str_eq(news.push_name, "My Shop");
    ck_assert_int_eq(take(testing_hex(patch(1), "syncd_patch_proto"), &news), 0);
    ck_assert_str_eq(news.push_name, "My Shop 2");
    ck_assert_int_eq(take(testing_hex(patch(2), "syncd_patch_proto"), &news), 0);
    ck_assert_str_eq(news.push_name, "");
    ck_assert_uint_eq(version(), 3);
    ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_APP_STATE), 3); /* itself, two records */
    ck_assert_int_eq(wa_app_state_reset(&mem.host, "critical_block"), 0);
    ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_APP_STATE), 0);
}
END_TEST

START_TEST(test_app_state_take_patch_out_of_order_changes_nothing)
{
    struct wa_app_state_news news;
    ck_assert_int_eq(take(testing_hex(patch(0), "syncd_patch_proto"), &news), 0);
    ck_assert_int_eq(take(testing_hex(patch(2), "syncd_patch_proto"), &news), ERR_STATE);
    ck_assert_int_eq(take(testing_hex(patch(0), "syncd_patch_proto"), &news), ERR_STATE);
    ck_assert_uint_eq(version(), 1);
}
END_TEST

START_TEST(test_app_state_take_patch_without_key_names_it)
{
    struct wa_app_state_news news;
    fake_host_deinit(&mem);
    fake_host_init(&mem);
    ck_assert_int_eq(take(testing_hex(patch(0), "syncd_patch_proto"), &news), ERR_NOT_FOUND);
    ck_assert_str_eq(news.missing_key, testing_text(vectors(), "key_id"));
    ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_APP_STATE), 0);
    give_key();
    ck_assert_int_eq(take(testing_hex(patch(0), "syncd_patch_proto"), &news), 0);
}
END_TEST

/* Of one that is damaged nothing is believed, and the collection starts anew. */
START_TEST(test_app_state_take_patch_every_truncation_and_flipped_byte_is_refused)
{
    struct bytes good = testing_hex(patch(1), "syncd_patch_proto");
    struct wa_app_state_news news;
    for (size_t i = 0; i < 2 * good.n; i++) {
        uint8_t raw[1024];
        ck_assert_uint_le(good.n, sizeof(raw));
        memcpy(raw, good.p, good.n);
        if (i < good.n)
            raw[i] ^= 1;
        ck_assert_int_eq(wa_app_state_reset(&mem.host, "critical_block"), 0);
        ck_assert_int_eq(take(testing_hex(patch(0), "syncd_patch_proto"), &news), 0);
        int rc = take(BYTES(raw, i < good.n ? good.n : i - good.n), &news);
        ck_assert_msg(rc < 0, "byte %zu of %zu", i, good.n);
        ck_assert_str_eq(news.push_name, "");
        ck_assert_uint_eq(version(), rc == ERR_STATE || rc == ERR_NOT_FOUND);
    }
}
END_TEST

/* ---- snapshots: there is no vector of one; its records and MAC are those of the patches ------ */

static void put_field(struct buf *out, unsigned number, struct bytes value)
{
    ck_assert_uint_lt(number, 16);
    buf_append_u8(out, (uint8_t)(number << 3 | 2));
    if (value.n >= 128)
        buf_append_u8(out, (uint8_t)(value.n & 0x7f) | 0x80);
    buf_append_u8(out, (uint8_t)(value.n < 128 ? value.n : value.n >> 7));
    buf_append(out, value);
}

static void put_record(struct buf *out, const json_t *v)
{
    AUTO_BUF struct buf index = {.max = 1024};
    AUTO_BUF struct buf value = {.max = 1024};
    AUTO_BUF struct buf key = {.max = 1024};
    AUTO_BUF struct buf record = {.max = 1024};
    put_field(&index, 1, testing_hex(v, "index_mac"));
    put_field(&value, 1, testing_hex(v, "value_blob"));
    put_field(&key, 1, testing_hex(vectors(), "key_id"));
    put_field(&record, 1, buf_bytes(&index));
    put_field(&record, 2, buf_bytes(&value));
    put_field(&record, 3, buf_bytes(&key));
    put_field(out, 2, buf_bytes(&record));
}

/* As of the third patch. */
static void put_snapshot(struct buf *out)
{
    AUTO_BUF struct buf key = {.max = 1024};
    put_field(&key, 1, testing_hex(vectors(), "key_id"));
    put_field(out, 1, BYTES("\x08\x03", 2));
    put_record(out, patch(1));
    put_record(out, patch(2));
    put_field(out, 3, testing_hex(patch(2), "snapshot_mac"));
    put_field(out, 4, buf_bytes(&key));
}

START_TEST(test_app_state_take_snapshot_is_what_the_patches_made)
{
    AUTO_BUF struct buf raw = {.max = 4096};
    AUTO_BUF struct buf by_patches = {.max = 65536};
    AUTO_BUF struct buf by_snapshot = {.max = 65536};
    struct wa_app_state_news news;
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(take(testing_hex(patch(i), "syncd_patch_proto"), &news), 0);
    fake_host_dump(&mem, &by_patches);
    put_snapshot(&raw);
    ck_assert_int_eq(
        wa_app_state_take_snapshot(&mem.host, "critical_block", buf_bytes(&raw), &news), 0);
    ck_assert_str_eq(news.push_name, "My Shop 2");
    fake_host_dump(&mem, &by_snapshot);
    testing_assert_bytes(buf_bytes(&by_snapshot), buf_bytes(&by_patches), "records");
}
END_TEST

START_TEST(test_app_state_take_snapshot_every_truncation_and_flipped_byte_is_refused)
{
    AUTO_BUF struct buf raw = {.max = 4096};
    struct wa_app_state_news news;
    put_snapshot(&raw);
    for (size_t i = 0; i < raw.n; i++) {
        raw.p[i] ^= 1;
        ck_assert_msg(
            wa_app_state_take_snapshot(&mem.host, "critical_block", buf_bytes(&raw), &news) < 0,
            "byte %zu", i);
        raw.p[i] ^= 1;
        ck_assert_int_lt(
            wa_app_state_take_snapshot(&mem.host, "critical_block", BYTES(raw.p, i), &news), 0);
        ck_assert_str_eq(news.push_name, "");
        ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_APP_STATE), 0);
    }
    ck_assert_int_lt(wa_app_state_take_snapshot(&mem.host, "regular_high", buf_bytes(&raw), &news),
                     0);
}
END_TEST

START_TEST(test_app_state_take_snapshot_store_fails_says_so)
{
    AUTO_BUF struct buf raw = {.max = 4096};
    struct wa_app_state_news news;
    put_snapshot(&raw);
    for (int i = 1; i <= 3; i++) {
        mem.fail_put = i;
        ck_assert_int_eq(
            wa_app_state_take_snapshot(&mem.host, "critical_block", buf_bytes(&raw), &news),
            ERR_STORE);
    }
}
END_TEST

TCase *app_state_cases(void)
{
    TCase *t = tcase_create("app_state");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_app_state_expand_vector_is_five_keys);
    tcase_add_loop_test(t, test_app_state_open_vector_is_its_action, 0, 3);
    tcase_add_test(t, test_app_state_hash_vectors_add_and_subtract);
    tcase_add_test(t, test_app_state_take_patch_three_in_a_row_give_the_name);
    tcase_add_test(t, test_app_state_take_patch_out_of_order_changes_nothing);
    tcase_add_test(t, test_app_state_take_patch_without_key_names_it);
    tcase_add_test(t, test_app_state_take_patch_every_truncation_and_flipped_byte_is_refused);
    tcase_add_test(t, test_app_state_take_snapshot_is_what_the_patches_made);
    tcase_add_test(t, test_app_state_take_snapshot_every_truncation_and_flipped_byte_is_refused);
    tcase_add_test(t, test_app_state_take_snapshot_store_fails_says_so);
    return t;
}
