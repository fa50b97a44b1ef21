/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wa/history.h: the vector of an independent implementation in every cut, and what is none. */
#include "check_wa_signal.h"
#include "testing.h"

#include <stdio.h>
#include <zlib.h>

#include "base/err.h"
#include "base/text.h"
#include "wa/history.h"

#define PLENTY (64u << 20)

static struct {
    char mappings[600], tokens[300], names[300];
    int migrated, refuse_after;
} got;

static int note(char *out, size_t size, struct bytes a, struct bytes b)
{
    size_t n = strlen(out);
    snprintf(out + n, size - n, "%.*s=%.*s;", (int)a.n, (const char *)a.p, (int)b.n,
             (const char *)b.p);
    return got.refuse_after > 0 && --got.refuse_after == 0 ? ERR_STORE : 0;
}

static int on_mapping(void *ctx, struct bytes a, struct bytes b)
{
    (void)ctx;
    return note(got.mappings, sizeof(got.mappings), a, b);
}

static int on_token(void *ctx, struct bytes chat, struct bytes token, uint64_t token_s)
{
    AUTO_BUF struct buf text;
    (void)ctx;
    buf_init(&text, 300);
    text_hex_append(&text, token);
    buf_printf(&text, "@%llu", (unsigned long long)token_s);
    return note(got.tokens, sizeof(got.tokens), chat, buf_bytes(&text));
}

static int on_name(void *ctx, struct bytes jid, struct bytes name)
{
    (void)ctx;
    return note(got.names, sizeof(got.names), jid, name);
}

static int on_migrated(void *ctx)
{
    (void)ctx;
    got.migrated++;
    return 0;
}

/* Feeds in pieces of so many bytes; 0: at once. */
static int read_history(struct bytes packed, size_t piece, uint64_t max)
{
    const struct wa_history_events events = {
        .mapping = on_mapping, .token = on_token, .push_name = on_name, .migrated = on_migrated};
    struct wa_history *h = wa_history_open(&events, max);
    int rc = 0;
    for (size_t at = 0; at < packed.n && rc == 0;) {
        size_t n = piece && piece < packed.n - at ? piece : packed.n - at;
        rc = wa_history_feed(h, BYTES(packed.p + at, n));
        at += n;
    }
    if (rc == 0)
        rc = wa_history_end(h);
    wa_history_close(h);
    return rc;
}

static int read_plain(struct bytes plain, uint64_t max)
{
    uLongf n = compressBound(plain.n);
    AUTO_FREE uint8_t *packed = err_malloc(n);
    ck_assert_int_eq(compress(packed, &n, plain.p, plain.n), Z_OK);
    return read_history(BYTES(packed, n), 0, max);
}

START_TEST(test_history_feed_vector_in_any_cut_tells_all)
{
    static const size_t pieces[] = {0, 1, 2, 3, 7, 50};
    const json_t *v = testing_vectors("history-sync.json"), *want = json_object_get(v, "expected");
    struct bytes packed = testing_hex(v, "zlib");
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        char token[200];
        memset(&got, 0, sizeof(got));
        ck_assert_int_eq(read_history(packed, pieces[i], PLENTY), 0);
        ck_assert_ptr_nonnull(strstr(got.mappings, testing_text(want, "pn_jid")));
        ck_assert_ptr_nonnull(strstr(got.mappings, testing_text(want, "conversation_id")));
        snprintf(token, sizeof(token), "%s=%s@%lld;", testing_text(want, "conversation_id"),
                 testing_text(want, "tc_token"),
                 json_integer_value(json_object_get(want, "tc_token_timestamp")));
        ck_assert_str_eq(got.tokens, token);
        ck_assert_ptr_nonnull(strstr(got.names, testing_text(want, "pushname")));
    }
}
END_TEST

START_TEST(test_history_feed_every_truncation_and_flipped_byte_is_safe)
{
    const json_t *v = testing_vectors("history-sync.json");
    struct bytes packed = testing_hex(v, "zlib"), plain = testing_hex(v, "history_sync_proto");
    AUTO_FREE uint8_t *copy = err_malloc(plain.n);
    memset(&got, 0, sizeof(got));
    for (size_t n = 0; n < packed.n; n++)
        ck_assert_int_eq(read_history(BYTES(packed.p, n), 0, PLENTY), ERR_INVALID);
    for (size_t at = 0; at < plain.n; at++) {
        memset(&got, 0, sizeof(got));
        memcpy(copy, plain.p, plain.n);
        copy[at] ^= 0xff;
        int rc = read_plain(BYTES(copy, plain.n), PLENTY);
        ck_assert(rc == 0 || rc == ERR_INVALID);
    }
    memset(&got, 0, sizeof(got));
    for (size_t n = 0; n < plain.n; n++)
        (void)!read_plain(BYTES(plain.p, n), PLENTY);
}
END_TEST

START_TEST(test_history_feed_event_that_refuses_ends_it)
{
    const json_t *v = testing_vectors("history-sync.json");
    memset(&got, 0, sizeof(got));
    got.refuse_after = 1;
    ck_assert_int_eq(read_history(testing_hex(v, "zlib"), 0, PLENTY), ERR_STORE);
}
END_TEST

/* 64 MiB of one skipped field, packed to a thousandth. */
START_TEST(test_history_feed_bomb_is_limit)
{
    size_t n = 64u << 20;
    AUTO_FREE uint8_t *plain = err_calloc(1, n);
    memset(&got, 0, sizeof(got));
    memcpy(plain, "\x1a\xfb\xff\xff\x1f", 5); /* statuses, as long as all the rest */
    ck_assert_int_eq(read_plain(BYTES(plain, n), 32u << 20), ERR_LIMIT);
    ck_assert_int_eq(read_plain(BYTES(plain, n), PLENTY), 0);
}
END_TEST

START_TEST(test_history_feed_not_zlib_is_invalid)
{
    ck_assert_int_eq(read_history(bytes_text("no history at all"), 0, PLENTY), ERR_INVALID);
    ck_assert_int_eq(read_history(BYTES_NONE, 0, PLENTY), ERR_INVALID);
}
END_TEST

TCase *history_cases(void)
{
    TCase *t = tcase_create("history");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_history_feed_vector_in_any_cut_tells_all);
    tcase_add_test(t, test_history_feed_every_truncation_and_flipped_byte_is_safe);
    tcase_add_test(t, test_history_feed_event_that_refuses_ends_it);
    tcase_add_test(t, test_history_feed_bomb_is_limit);
    tcase_add_test(t, test_history_feed_not_zlib_is_invalid);
    return t;
}
