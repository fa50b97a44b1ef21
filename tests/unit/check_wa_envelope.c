/* SPDX-License-Identifier: GPL-3.0-or-later */
/* msg and pkmsg at their edges. That others read and write the same is judged by the vectors and by
 * the Signal library. */
#include "base/err.h"
#include "check_wa_ratchet.h"
#include "testing.h"
#include "wa/envelope.h"
#include "wa/fields.h"

static const uint32_t numbers[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX};

/* ---- making them ----------------------------------------------------------------------------- */

static void fill(uint8_t key[WA_KEY_LEN], uint8_t from)
{
    for (size_t i = 0; i < WA_KEY_LEN; i++)
        key[i] = (uint8_t)(from + i);
}

static void put_message(struct buf *out, uint32_t counter, uint32_t previous, size_t n)
{
    uint8_t ratchet[WA_KEY_LEN];
    fill(ratchet, 1);
    wa_signal_message_put_head(out, ratchet, counter, previous, n);
    for (size_t i = 0; i < n + WA_ENVELOPE_MAC_LEN; i++)
        buf_append_u8(out, (uint8_t)i);
}

static void put_prekey_message(struct buf *out, uint32_t id)
{
    struct wa_prekey_message about = {
        .registration_id = id, .has_prekey = id > 0, .prekey_id = id, .signed_prekey_id = id};
    fill(about.base_key, 60);
    fill(about.identity, 120);
    wa_prekey_message_put_head(out, &about, wa_signal_message_size(id, id, 16));
    put_message(out, id, id, 16);
    wa_prekey_message_put_tail(out, &about);
}

/* An exact copy on the heap, so that a sanitizer sees what is read behind its end. */
static int parse_exactly(struct bytes sealed, bool prekey)
{
    struct wa_signal_message m;
    struct wa_prekey_message p;
    uint8_t *exact = err_malloc(sealed.n ? sealed.n : 1);
    if (sealed.n)
        memcpy(exact, sealed.p, sealed.n);
    int rc = prekey ? wa_prekey_message_parse(BYTES(exact, sealed.n), &p)
                    : wa_signal_message_parse(BYTES(exact, sealed.n), &m);
    free(exact);
    return rc;
}

/* ---- whole ones ------------------------------------------------------------------------------ */

START_TEST(test_message_sizes_are_exact_and_numbers_come_back)
{
    const size_t sizes[] = {16, 32, 112, 128, 16384};
    uint8_t ratchet[WA_KEY_LEN];
    struct wa_signal_message m;
    fill(ratchet, 1);
    for (size_t i = 0; i < ARRAY_LEN(numbers) * ARRAY_LEN(numbers) * ARRAY_LEN(sizes); i++) {
        uint32_t counter = numbers[i % ARRAY_LEN(numbers)];
        uint32_t previous = numbers[i / ARRAY_LEN(numbers) % ARRAY_LEN(numbers)];
        size_t n = sizes[i / ARRAY_LEN(numbers) / ARRAY_LEN(numbers)];
        AUTO_BUF struct buf out = {.max = 32768};
        put_message(&out, counter, previous, n);
        ck_assert_uint_eq(out.n, wa_signal_message_size(counter, previous, n));
        ck_assert_int_eq(wa_signal_message_parse(buf_bytes(&out), &m), 0);
        ck_assert_uint_eq(m.counter, counter);
        ck_assert_mem_eq(m.ratchet, ratchet, WA_KEY_LEN);
        ck_assert_uint_eq(m.ciphertext.n, n);
        ck_assert_ptr_eq(m.ciphertext.p + n, m.mac.p);
        ck_assert_uint_eq(m.mac.n, WA_ENVELOPE_MAC_LEN);
        ck_assert_uint_eq(m.covered.n + m.mac.n, out.n);
    }
}
END_TEST

START_TEST(test_prekey_message_numbers_and_keys_come_back)
{
    struct wa_prekey_message p;
    uint8_t base[WA_KEY_LEN], identity[WA_KEY_LEN];
    fill(base, 60);
    fill(identity, 120);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        AUTO_BUF struct buf out = {.max = 4096};
        put_prekey_message(&out, numbers[i]);
        ck_assert_int_eq(wa_prekey_message_parse(buf_bytes(&out), &p), 0);
        ck_assert_uint_eq(p.registration_id, numbers[i]);
        ck_assert_uint_eq(p.signed_prekey_id, numbers[i]);
        ck_assert(p.has_prekey == (numbers[i] > 0));
        ck_assert_uint_eq(p.prekey_id, numbers[i]);
        ck_assert_mem_eq(p.base_key, base, WA_KEY_LEN);
        ck_assert_mem_eq(p.identity, identity, WA_KEY_LEN);
        ck_assert_uint_eq(p.message.counter, numbers[i]);
    }
}
END_TEST

START_TEST(test_parse_every_truncation_is_invalid)
{
    for (int prekey = 0; prekey < 2; prekey++) {
        AUTO_BUF struct buf out = {.max = 4096};
        if (prekey)
            put_prekey_message(&out, 300);
        else
            put_message(&out, 300, 300, 48);
        ck_assert_int_eq(parse_exactly(buf_bytes(&out), prekey), 0);
        for (size_t n = 0; n < out.n; n++)
            ck_assert_int_eq(parse_exactly(BYTES(out.p, n), prekey), ERR_INVALID);
    }
}
END_TEST

START_TEST(test_put_into_full_buffer_turns_full)
{
    AUTO_BUF struct buf whole = {.max = 4096};
    put_prekey_message(&whole, 300);
    for (size_t max = 0; max < whole.n; max++) {
        AUTO_BUF struct buf out = {.max = max};
        put_prekey_message(&out, 300);
        ck_assert(out.full);
        ck_assert_uint_le(out.n, max);
    }
}
END_TEST

/* ---- field by field -------------------------------------------------------------------------- */

enum kind { ABSENT, GOOD, SHORT, LONG, EMPTY, OTHER_TYPE, AS_NUMBER, AS_BYTES, AS_FIXED, WIDE };

static void put_field(struct buf *out, uint64_t number, bool is_key, enum kind kind)
{
    uint8_t key[WA_TYPED_KEY_LEN + 1] = {5, 9};
    key[0] = kind == OTHER_TYPE ? 4 : 5;
    switch (kind) {
    case ABSENT:
        return;
    case AS_NUMBER:
        wa_field_put_number(out, number, 7);
        return;
    case AS_BYTES:
        wa_field_put(out, number, bytes_text("seven"));
        return;
    case AS_FIXED:
        buf_append_u8(out, (uint8_t)(number << 3 | 5));
        buf_append_text(out, "four");
        return;
    case WIDE:
        wa_field_put_number(out, number, (uint64_t)UINT32_MAX + 1);
        return;
    default:
        break;
    }
    if (is_key)
        wa_field_put(out, number,
                     BYTES(key, kind == EMPTY   ? 0
                                : kind == SHORT ? WA_TYPED_KEY_LEN - 1
                                : kind == LONG  ? WA_TYPED_KEY_LEN + 1
                                                : WA_TYPED_KEY_LEN));
    else
        wa_field_put_number(out, number, 7);
}

/* A message whose field at has that kind, and all others are good. */
static int message_with(uint64_t at, enum kind kind)
{
    AUTO_BUF struct buf out = {.max = 4096};
    buf_append_u8(&out, WA_ENVELOPE_VERSION);
    put_field(&out, 1, true, at == 1 ? kind : GOOD);
    put_field(&out, 2, false, at == 2 ? kind : GOOD);
    put_field(&out, 3, false, at == 3 ? kind : GOOD);
    if (at != 4 || kind == AS_BYTES)
        wa_field_put(&out, 4, bytes_text("0123456789abcdef"));
    else
        put_field(&out, 4, false, kind);
    buf_append_text(&out, "12345678");
    return parse_exactly(buf_bytes(&out), false);
}

static int prekey_message_with(uint64_t at, enum kind kind)
{
    AUTO_BUF struct buf out = {.max = 4096}, inner = {.max = 4096};
    buf_append_u8(&out, WA_ENVELOPE_VERSION);
    for (uint64_t number = 1; number <= 6; number++) {
        enum kind its = number == at ? kind : GOOD;
        if (number == 4 && its == GOOD) {
            put_message(&inner, 0, 0, 16);
            wa_field_put(&out, 4, buf_bytes(&inner));
        } else {
            put_field(&out, number, number == 2 || number == 3, its);
        }
    }
    return parse_exactly(buf_bytes(&out), true);
}

START_TEST(test_parse_missing_field_is_invalid_unless_optional)
{
    for (uint64_t at = 1; at <= 4; at++)
        ck_assert_int_eq(message_with(at, ABSENT), at == 3 ? 0 : ERR_INVALID);
    for (uint64_t at = 1; at <= 6; at++)
        ck_assert_int_eq(prekey_message_with(at, ABSENT), at == 1 || at == 5 ? 0 : ERR_INVALID);
}
END_TEST

START_TEST(test_parse_key_of_other_length_or_type_is_none)
{
    const enum kind kinds[] = {SHORT, LONG, EMPTY, OTHER_TYPE};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        ck_assert_int_eq(message_with(1, kinds[i]), ERR_AUTH);
        ck_assert_int_eq(prekey_message_with(2, kinds[i]), ERR_AUTH);
        ck_assert_int_eq(prekey_message_with(3, kinds[i]), ERR_AUTH);
    }
}
END_TEST

START_TEST(test_parse_field_of_other_wire_type_is_invalid)
{
    ck_assert_int_eq(message_with(1, AS_NUMBER), ERR_INVALID);
    ck_assert_int_eq(message_with(2, AS_BYTES), ERR_INVALID);
    ck_assert_int_eq(message_with(2, AS_FIXED), ERR_INVALID);
    ck_assert_int_eq(message_with(4, AS_NUMBER), ERR_INVALID);
    const uint64_t ids[] = {1, 5, 6};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        ck_assert_int_eq(prekey_message_with(ids[i], AS_BYTES), ERR_INVALID);
        ck_assert_int_eq(prekey_message_with(ids[i], AS_FIXED), ERR_INVALID);
        ck_assert_int_eq(prekey_message_with(ids[i], WIDE), ERR_INVALID);
    }
    for (uint64_t at = 2; at <= 4; at++)
        ck_assert_int_eq(prekey_message_with(at, AS_NUMBER), ERR_INVALID);
    ck_assert_int_eq(prekey_message_with(4, AS_BYTES), ERR_INVALID);
}
END_TEST

START_TEST(test_parse_number_over_32_bits_is_invalid)
{
    ck_assert_int_eq(message_with(2, WIDE), ERR_INVALID);
}
END_TEST

START_TEST(test_parse_unknown_field_is_passed_over)
{
    const uint64_t unknown[] = {5, 15, 31, 32, 33, 36, 536870911};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        AUTO_BUF struct buf out = {.max = 4096};
        put_message(&out, 1, 1, 16);
        out.n -= WA_ENVELOPE_MAC_LEN;
        wa_field_put(&out, unknown[i], bytes_text("of a later version"));
        wa_field_put_number(&out, unknown[i], UINT64_MAX);
        buf_append_text(&out, "12345678");
        ck_assert_int_eq(parse_exactly(buf_bytes(&out), false), 0);
    }
}
END_TEST

/* 32 + 2 must not count as 2, nor 2^32 + 2. */
START_TEST(test_parse_number_of_field_is_not_cut)
{
    const uint64_t like_two[] = {34, ((uint64_t)1 << 32) + 2};
    for (size_t i = 0; i < ARRAY_LEN(like_two); i++) {
        AUTO_BUF struct buf out = {.max = 4096};
        buf_append_u8(&out, WA_ENVELOPE_VERSION);
        put_field(&out, 1, true, GOOD);
        wa_field_put_number(&out, like_two[i], 1);
        wa_field_put(&out, 4, bytes_text("0123456789abcdef"));
        buf_append_text(&out, "12345678");
        ck_assert_int_eq(parse_exactly(buf_bytes(&out), false), ERR_INVALID);
    }
}
END_TEST

#define ADD(name) tcase_add_test(cases, name)

TCase *envelope_cases(void)
{
    TCase *cases = tcase_create("envelopes");
    ADD(test_message_sizes_are_exact_and_numbers_come_back);
    ADD(test_prekey_message_numbers_and_keys_come_back);
    ADD(test_parse_every_truncation_is_invalid);
    ADD(test_put_into_full_buffer_turns_full);
    ADD(test_parse_missing_field_is_invalid_unless_optional);
    ADD(test_parse_key_of_other_length_or_type_is_none);
    ADD(test_parse_field_of_other_wire_type_is_invalid);
    ADD(test_parse_number_over_32_bits_is_invalid);
    ADD(test_parse_unknown_field_is_passed_over);
    ADD(test_parse_number_of_field_is_not_cut);
    return cases;
}
