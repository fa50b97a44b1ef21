/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "testing.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"

/* ---- buf ---------------------------------------------------------------------------------------
 */

START_TEST(test_buf_append_over_max_changes_nothing_and_sticks)
{
    AUTO_BUF struct buf b = {.max = 4};
    ck_assert_int_eq(buf_append_text(&b, "abc"), 0);
    ck_assert_int_eq(buf_append_text(&b, "de"), ERR_LIMIT);
    ck_assert_uint_eq(b.n, 3);
    ck_assert(b.full);
    ck_assert_int_eq(buf_append_text(&b, "d"), 0);
    ck_assert(b.full);
    buf_clear(&b);
    ck_assert(!b.full);
}
END_TEST

START_TEST(test_buf_printf_exactly_max_fits)
{
    AUTO_BUF struct buf b = {.max = 5};
    ck_assert_int_eq(buf_printf(&b, "%d", 12345), 0);
    ck_assert_str_eq(buf_text(&b), "12345");
    ck_assert_int_eq(buf_printf(&b, "%d", 1), ERR_LIMIT);
}
END_TEST

START_TEST(test_buf_printf_whatever_room_is_left_is_whole)
{
    for (size_t before = 0; before < 70; before++)
        for (size_t n = 0; n < 70; n += 3) {
            char want[160];
            AUTO_BUF struct buf b = {.max = 200};
            for (size_t i = 0; i < before; i++)
                buf_append_u8(&b, 'x');
            ck_assert_int_eq(buf_printf(&b, "%0*d", (int)n, 7), 0);
            snprintf(want, sizeof(want), "%.*s%0*d", (int)before,
                     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                     (int)n, 7);
            ck_assert_str_eq(buf_text(&b), want);
        }
}
END_TEST

START_TEST(test_buf_append_int_is_decimal)
{
    static const int64_t values[] = {0, 7, -1, 10, 123456789, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        char want[32];
        AUTO_BUF struct buf b = {.max = 32};
        snprintf(want, sizeof(want), "%lld", (long long)values[i]);
        ck_assert_int_eq(buf_append_int(&b, values[i]), 0);
        ck_assert_str_eq(buf_text(&b), want);
    }
}
END_TEST

START_TEST(test_buf_drop_front_keeps_rest)
{
    AUTO_BUF struct buf b = {.max = 64, .secret = true};
    buf_append_text(&b, "headtail");
    buf_drop_front(&b, 4);
    ck_assert_str_eq(buf_text(&b), "tail");
}
END_TEST

START_TEST(test_reader_short_input_takes_nothing)
{
    struct reader r = reader_init(bytes_text("ab"));
    uint32_t v;
    struct bytes out;
    ck_assert_int_eq(reader_be(&r, 3, &v), ERR_INVALID);
    ck_assert_int_eq(reader_take(&r, 3, &out), ERR_INVALID);
    ck_assert_uint_eq(reader_left(&r), 2);
    ck_assert_int_eq(reader_be(&r, 2, &v), 0);
    ck_assert_uint_eq(v, 0x6162);
}
END_TEST

START_TEST(test_bytes_to_u64_edges)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } cases[] = {{"0", true, 0},
                 {"18446744073709551615", true, UINT64_MAX},
                 {"18446744073709551616", false, 0},
                 {"99999999999999999999", false, 0},
                 {"", false, 0},
                 {"-1", false, 0},
                 {" 1", false, 0},
                 {"1x", false, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t v = 0;
        ck_assert_msg(bytes_to_u64(bytes_text(cases[i].text), &v) == cases[i].good, "%s",
                      cases[i].text);
        ck_assert(!cases[i].good || v == cases[i].value);
    }
}
END_TEST

START_TEST(test_bytes_equal_secret_agrees_with_equal)
{
    ck_assert(bytes_equal_secret(bytes_text("key"), bytes_text("key")));
    ck_assert(!bytes_equal_secret(bytes_text("key"), bytes_text("kez")));
    ck_assert(!bytes_equal_secret(bytes_text("key"), bytes_text("ke")));
}
END_TEST

/* ---- arena -------------------------------------------------------------------------------------
 */

START_TEST(test_arena_many_sizes_stay_whole_until_reset)
{
    AUTO_ARENA struct arena a = {0};
    struct bytes kept[64];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
            uint8_t fill[5000];
            memset(fill, (int)i, sizeof(fill));
            kept[i] = arena_copy(&a, BYTES(fill, i * 79));
        }
        for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
            size_t same = 0;
            while (same < kept[i].n && kept[i].p[same] == i)
                same++;
            ck_assert_uint_eq(same, kept[i].n);
        }
        arena_reset(&a);
    }
    ck_assert_str_eq(arena_text(&a, "%s-%d", "x", 7), "x-7");
}
END_TEST

START_TEST(test_arena_large_piece_leaves_the_room_of_the_block)
{
    AUTO_ARENA struct arena a = {0};
    uint8_t *before = arena_alloc(&a, 16), *large = arena_alloc(&a, 10000);
    uint8_t *after = arena_alloc(&a, 16);
    ck_assert_ptr_eq(after, before + 16);
    memset(large, 1, 10000);
    memset(before, 2, 32);
    ck_assert_uint_eq(large[0] + large[9999], 2);
    for (int i = 0; i < 3; i++) { /* what was used is given again, zeroed */
        arena_reset(&a);
        uint8_t *again = arena_alloc(&a, 4000);
        for (size_t k = 0; k < 4000; k++)
            ck_assert_uint_eq(again[k], 0);
        memset(again, 0xff, 4000);
    }
}
END_TEST

/* ---- text --------------------------------------------------------------------------------------
 */

START_TEST(test_utf8_valid_table)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {{"", true},
                 {"plain", true},
                 {"S\xc3\xa3o \xe2\x98\x95 \xf0\x9f\x98\x80", true},
                 {"\xf4\x8f\xbf\xbf", true},
                 {"\xf4\x90\x80\x80", false},
                 {"\xc0\xaf", false},
                 {"\xe0\x80\xaf", false},
                 {"\xed\xa0\x80", false},
                 {"\xf0\x80\x80\xaf", false},
                 {"\x80", false},
                 {"\xe2\x98", false},
                 {"\xff", false}};
    ck_assert(text_utf8_valid(BYTES_NONE));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        ck_assert_msg(text_utf8_valid(bytes_text(cases[i].text)) == cases[i].good, "case %zu", i);
}
END_TEST

START_TEST(test_utf8_valid_bad_byte_anywhere_is_seen)
{
    for (size_t n = 1; n <= 40; n++) {
        for (size_t at = 0; at < n; at++) {
            uint8_t text[40];
            memset(text, 'a', sizeof(text));
            text[at] = 0xff;
            ck_assert(!text_utf8_valid(BYTES(text, n)));
            ck_assert(text_utf8_valid(BYTES(text, at)));
            text[at] = 0xc3;
            ck_assert(!text_utf8_valid(BYTES(text, n)));
            if (at + 1 < n)
                text[at + 1] = 0xa9;
            ck_assert(text_utf8_valid(BYTES(text, n)) == (at + 1 < n));
        }
    }
}
END_TEST

START_TEST(test_text_pen_puts_pieces_together)
{
    char text[64];
    struct text_pen pen = text_pen(text, sizeof(text));
    ck_assert_str_eq(text, "");
    text_pen_text(&pen, "a:");
    text_pen_u64(&pen, 0);
    text_pen_put(&pen, BYTES("/bc", 2));
    ck_assert_str_eq(text, "a:0/b");
    text_pen_u64(&pen, UINT64_MAX);
    text_pen_put(&pen, BYTES_NONE);
    text_pen_hex(&pen, BYTES("\x00\x9f\xaB", 3));
    ck_assert_str_eq(text, "a:0/b18446744073709551615009FAB");
}
END_TEST

START_TEST(test_text_pen_writes_no_further_than_its_array)
{
    for (size_t size = 1; size <= 12; size++) {
        char text[16], whole[] = "ab1234567890";
        memset(text, '#', sizeof(text));
        struct text_pen pen = text_pen(text, size);
        text_pen_text(&pen, "ab");
        text_pen_u64(&pen, 1234567890);
        text_pen_hex(&pen, BYTES("x", 1));
        whole[size - 1] = '\0';
        ck_assert_str_eq(text, whole);
        for (size_t i = size; i < sizeof(text); i++)
            ck_assert_int_eq(text[i], '#');
    }
}
END_TEST

START_TEST(test_utf8_cut_never_splits_a_sequence)
{
    struct bytes text = bytes_text("a\xe2\x98\x95z");
    for (size_t max = 0; max <= text.n; max++) {
        struct bytes cut = text_utf8_cut(text, max);
        ck_assert_uint_le(cut.n, max);
        ck_assert(text_utf8_valid(cut));
    }
    ck_assert_uint_eq(text_utf8_cut(text, 3).n, 1);
}
END_TEST

START_TEST(test_base64_rfc4648_vectors)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        AUTO_BUF struct buf encoded = {.max = 64}, decoded = {.max = 64};
        ck_assert_int_eq(text_base64_append(&encoded, bytes_text(pairs[i][0])), 0);
        ck_assert_str_eq(buf_text(&encoded), pairs[i][1]);
        ck_assert_int_eq(text_base64_decode(bytes_text(pairs[i][1]), &decoded), 0);
        ck_assert_str_eq(buf_text(&decoded), pairs[i][0]);
    }
}
END_TEST

START_TEST(test_base64_decode_bad_input_refused)
{
    static const char *const bad[] = {
        "Zg", "Zg=", "Z===", "Zg==Zg==", "Zm 9", "Zm9-", "====", "=Zm9"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_BUF struct buf out = {.max = 64};
        ck_assert_msg(text_base64_decode(bytes_text(bad[i]), &out) < 0, "%s", bad[i]);
    }
}
END_TEST

START_TEST(test_hex_decode_wrong_length_or_digit_refused)
{
    uint8_t out[2];
    ck_assert_int_eq(text_hex_decode(bytes_text("0aFf"), out, 2), 0);
    ck_assert(out[0] == 0x0a && out[1] == 0xff);
    ck_assert_int_eq(text_hex_decode(bytes_text("0aF"), out, 2), ERR_INVALID);
    ck_assert_int_eq(text_hex_decode(bytes_text("0aFg"), out, 2), ERR_INVALID);
}
END_TEST

/* ---- json: what we write, jansson reads
 * ---------------------------------------------------------- */

START_TEST(test_json_writer_any_bytes_are_read_back_by_jansson)
{
    uint8_t all[256];
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)i;
    AUTO_BUF struct buf out = {.max = 1 << 16};
    struct json_writer w;
    json_writer_init(&w, &out);
    w.pretty = true;
    json_open(&w, NULL, '{');
    json_put_bytes(&w, "all", BYTES_ARRAY(all));
    json_put_text(&w, "emoji", "\xf0\x9f\x98\x80 \"quoted\" \\ \n");
    json_open(&w, "list", '[');
    json_put_int(&w, NULL, INT64_MIN);
    json_put_bool(&w, NULL, true);
    json_put_null(&w, NULL);
    json_close(&w, ']');
    json_open(&w, "empty", '{');
    json_close(&w, '}');
    json_put_time(&w, "at", 1780000000123);
    json_close(&w, '}');
    json_error_t at;
    json_t *root = json_loadb((const char *)out.p, out.n, JSON_ALLOW_NUL, &at);
    ck_assert_msg(root != NULL, "%s: %s", at.text, buf_text(&out));
    ck_assert_str_eq(json_string_value(json_object_get(root, "emoji")),
                     "\xf0\x9f\x98\x80 \"quoted\" \\ \n");
    ck_assert_int_eq(json_integer_value(json_array_get(json_object_get(root, "list"), 0)),
                     INT64_MIN);
    ck_assert_str_eq(json_string_value(json_object_get(root, "at")), "2026-05-28T20:26:40.123Z");
    json_decref(root);
}
END_TEST

START_TEST(test_json_doc_paths_and_defaults)
{
    struct json_doc *doc;
    struct err err;
    const char *text = "{\"a\":{\"b\":[1,{\"c\":\"x\"}]},\"n\":5,\"t\":true}";
    ck_assert_int_eq(json_doc_open(&doc, bytes_text(text), &err), 0);
    const struct json_value *root = json_root(doc);
    ck_assert_int_eq(json_int(root, "n", -1), 5);
    ck_assert_int_eq(json_int(root, "a.n", -1), -1);
    ck_assert(json_bool(root, "t", false));
    ck_assert_uint_eq(json_length(json_get(root, "a.b")), 2);
    ck_assert_str_eq(json_text(json_at(json_get(root, "a.b"), 1), "c", ""), "x");
    ck_assert_str_eq(json_text(root, "n", "none"), "none");
    json_doc_close(doc);
}
END_TEST

START_TEST(test_json_value_append_is_compact_and_bounded)
{
    struct json_doc *doc;
    struct err err;
    AUTO_BUF struct buf out;
    buf_init(&out, 64);
    ck_assert_int_eq(
        json_doc_open(&doc, bytes_text("{\"a\": {\"z\" : [1, null, \"\\u00e9\"], \"b\":true}}"),
                      &err),
        0);
    ck_assert_int_eq(json_value_append(&out, json_get(json_root(doc), "a")), 0);
    ck_assert_str_eq(buf_text(&out), "{\"z\":[1,null,\"\\u00E9\"],\"b\":true}");
    buf_clear(&out);
    out.max = 8;
    ck_assert_int_eq(json_value_append(&out, json_root(doc)), ERR_LIMIT);
    json_doc_close(doc);
}
END_TEST

START_TEST(test_json_doc_bad_text_refused_with_position)
{
    static const char *const bad[] = {"",     "{",   "{\"a\":1,\"a\":2}",
                                      "[1,]", "nul", "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct json_doc *doc;
        struct err err = {0};
        ck_assert_msg(json_doc_open(&doc, bytes_text(bad[i]), &err) == ERR_INVALID, "%s", bad[i]);
        ck_assert(strstr(err.text, "line") != NULL);
    }
    char deep[401];
    memset(deep, '[', 200);
    memset(deep + 200, ']', 200);
    deep[400] = '\0';
    struct json_doc *doc;
    ck_assert_int_eq(json_doc_open(&doc, bytes_text(deep), NULL), ERR_INVALID);
}
END_TEST

/* ---- clock, log, random ------------------------------------------------------------------------
 */

START_TEST(test_clock_format_known_times_round_trip)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "1970-01-01T00:00:00.000Z"},
                 {-1, "1969-12-31T23:59:59.999Z"},
                 {951782400000, "2000-02-29T00:00:00.000Z"},
                 {253402300799999, "9999-12-31T23:59:59.999Z"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[CLOCK_TEXT_SIZE];
        int64_t back;
        clock_format(cases[i].ms, text);
        ck_assert_str_eq(text, cases[i].text);
        ck_assert_int_eq(clock_parse(text, &back), 0);
        ck_assert_int_eq(back, cases[i].ms);
    }
    int64_t ignored;
    ck_assert_int_eq(clock_parse("2026-01-01 00:00:00", &ignored), ERR_INVALID);
}
END_TEST

START_TEST(test_log_mask_hides_the_middle_of_numbers)
{
    char out[64];
    ck_assert_str_eq(log_mask(bytes_text("4915112345678@s.whatsapp.net"), out),
                     "491********78@s.whatsapp.net");
    ck_assert_str_eq(log_mask(bytes_text("demo"), out), "demo");
    ck_assert_str_eq(log_mask(bytes_text("12345"), out), "12345");
}
END_TEST

static void append_to(void *ctx, struct bytes line)
{
    ck_assert_int_eq(write(*(int *)ctx, line.p, line.n), (ssize_t)line.n);
}

START_TEST(test_log_event_is_one_json_line_even_when_hostile)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/log", testing_dir());
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    char huge[10000];
    memset(huge, '\n', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    log_set_copy(append_to, &fd);
    log_set_tenant("ten\"ant");
    log_event(LOG_WARN, "hostile", LOG_STR("a", huge), LOG_STR("b", huge),
              LOG_STR("c", "\x1b[31m\xff"), LOG_INT("n", -5));
    log_event(LOG_DEBUG, "hidden");
    log_set_copy(NULL, NULL);
    char line[8192];
    ssize_t n = pread(fd, line, sizeof(line) - 1, 0);
    close(fd);
    ck_assert_int_gt((int)n, 0);
    line[n] = '\0';
    ck_assert_ptr_eq(strchr(line, '\n'), line + n - 1);
    json_error_t at;
    json_t *root = json_loads(line, 0, &at);
    ck_assert_msg(root != NULL, "%s: %s", at.text, line);
    ck_assert_str_eq(json_string_value(json_object_get(root, "tenant")), "ten\"ant");
    ck_assert_str_eq(json_string_value(json_object_get(root, "event")), "hostile");
    json_decref(root);
}
END_TEST

START_TEST(test_random_between_stays_in_range_and_varies)
{
    bool low = false, high = false;
    for (int i = 0; i < 2000; i++) {
        uint32_t v = random_between(3, 6);
        ck_assert(v >= 3 && v <= 6);
        low = low || v == 3;
        high = high || v == 6;
    }
    ck_assert(low && high);
    ck_assert_uint_le(random_between(0, UINT32_MAX), UINT32_MAX);
}
END_TEST

START_TEST(test_err_every_code_has_a_name_of_its_own)
{
    static const int codes[] = {
#define X(name, value, text) name,
        ERR_CODES(X)
#undef X
    };
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(err_name(codes[i]), err_name(codes[j]));
    ck_assert_str_eq(err_name(ERR_OK), "ok");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_buf_append_over_max_changes_nothing_and_sticks,
        test_buf_printf_exactly_max_fits,
        test_buf_printf_whatever_room_is_left_is_whole,
        test_buf_append_int_is_decimal,
        test_buf_drop_front_keeps_rest,
        test_reader_short_input_takes_nothing,
        test_bytes_to_u64_edges,
        test_bytes_equal_secret_agrees_with_equal,
        test_arena_many_sizes_stay_whole_until_reset,
        test_arena_large_piece_leaves_the_room_of_the_block,
        test_utf8_valid_table,
        test_utf8_valid_bad_byte_anywhere_is_seen,
        test_utf8_cut_never_splits_a_sequence,
        test_text_pen_puts_pieces_together,
        test_text_pen_writes_no_further_than_its_array,
        test_base64_rfc4648_vectors,
        test_base64_decode_bad_input_refused,
        test_hex_decode_wrong_length_or_digit_refused,
        test_json_writer_any_bytes_are_read_back_by_jansson,
        test_json_doc_paths_and_defaults,
        test_json_value_append_is_compact_and_bounded,
        test_json_doc_bad_text_refused_with_position,
        test_clock_format_known_times_round_trip,
        test_log_mask_hides_the_middle_of_numbers,
        test_log_event_is_one_json_line_even_when_hostile,
        test_random_between_stays_in_range_and_varies,
        test_err_every_code_has_a_name_of_its_own,
    };
    Suite *suite = suite_create("base");
    TCase *tc = tcase_create("base");
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    return testing_run(suite);
}
