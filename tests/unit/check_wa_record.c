/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Session records at their edges: what is cut, missing, of the wrong shape or at its limit. */
#include "base/err.h"
#include "check_wa_ratchet.h"
#include "testing.h"
#include "twins.h"
#include "wa/fields.h"
#include "wa/session_record.h"

/* ---- records to work on ---------------------------------------------------------------------- */

/* Alice wrote a pkmsg that nothing answers yet; Bob has two archived sessions, and at work one with
 * two chains that miss some. */
static void meet(struct twins *w)
{
    struct twin *alice = &w->sides[0], *bob = &w->sides[1];
    twins_init(w, 21);
    w->doing = "meet";
    for (int i = 0; i < 3; i++) {
        struct wa_bundle b = twins_bundle_prekey(w, bob);
        ck_assert_int_eq(twins_process(w, alice, &b), 0);
        twins_say(w, alice);
    }
    for (int chain = 0; chain < 2; chain++) {
        twins_say(w, bob);
        for (int i = 0; i < 4; i++)
            twins_seal(w, alice);
        twins_say(w, alice);
    }
    struct wa_bundle b = twins_bundle_prekey(w, bob);
    ck_assert_int_eq(twins_process(w, alice, &b), 0);
}

static struct bytes current_of(const struct buf *value)
{
    struct wa_session_record record;
    ck_assert_int_eq(wa_session_record_parse(buf_bytes(value), &record), 0);
    ck_assert_ptr_nonnull(record.current.p);
    return record.current;
}

static int parse_session(struct bytes session)
{
    struct wa_ratchet r;
    uint8_t *exact = err_malloc(session.n ? session.n : 1);
    if (session.n)
        memcpy(exact, session.p, session.n);
    wa_ratchet_init(&r);
    int rc = wa_session_parse(BYTES(exact, session.n), &r);
    wa_ratchet_wipe(&r);
    free(exact);
    return rc;
}

/* ---- reading and writing --------------------------------------------------------------------- */

START_TEST(test_record_read_and_written_is_the_same)
{
    struct twins w;
    meet(&w);
    for (size_t i = 0; i < 2; i++) {
        struct buf value, again;
        struct wa_session_record record;
        struct wa_ratchet r;
        twins_record(&w, &w.sides[i], w.sides[i].theirs, &value); /* the library's */
        ck_assert_int_eq(wa_session_record_parse(buf_bytes(&value), &record), 0);
        ck_assert_uint_eq(record.archived_count, i == 0 ? 3 : 2);
        wa_ratchet_init(&r);
        ck_assert_int_eq(wa_session_parse(record.current, &r), 0);
        ck_assert(r.unacknowledged == (i == 0));
        buf_init(&again, WA_RECORD_MAX);
        ck_assert_int_eq(wa_session_record_write(&again, &record, &r), 0);
        testing_assert_bytes(buf_bytes(&again), buf_bytes(&value), "record, its session parsed");
        buf_clear(&again);
        ck_assert_int_eq(wa_session_record_write(&again, &record, NULL), 0);
        testing_assert_bytes(buf_bytes(&again), buf_bytes(&value), "record");
        wa_ratchet_wipe(&r);
        buf_deinit(&again);
        buf_deinit(&value);
    }
    twins_deinit(&w);
}
END_TEST

START_TEST(test_record_every_truncation_is_invalid_or_whole_sessions)
{
    struct twins w;
    struct buf value;
    struct wa_session_record record;
    meet(&w);
    twins_record(&w, &w.sides[1], w.sides[1].ours, &value);
    size_t whole = 0;
    for (size_t n = 0; n < value.n; n++) {
        uint8_t *exact = err_malloc(n + 1);
        memcpy(exact, value.p, n);
        whole += wa_session_record_parse(BYTES(exact, n), &record) == 0;
        free(exact);
    }
    ck_assert_uint_eq(whole, 3); /* nothing, one session, two */
    buf_deinit(&value);
    twins_deinit(&w);
}
END_TEST

START_TEST(test_session_every_truncation_is_invalid_or_whole_fields)
{
    struct twins w;
    meet(&w);
    for (size_t i = 0; i < 2; i++) {
        struct buf value;
        twins_record(&w, &w.sides[i], w.sides[i].ours, &value);
        struct bytes session = current_of(&value);
        struct reader in = reader_init(session);
        struct wa_field f = {0};
        size_t next = 0;
        for (size_t n = 0; n < session.n; n++) {
            bool between = n == next;
            /* Version, three keys, counter and sending chain come first and are needed. */
            bool usable = between && f.number >= 6;
            ck_assert_int_eq(parse_session(BYTES(session.p, n)), usable ? 0 : ERR_INVALID);
            if (between) {
                ck_assert_int_eq(wa_field_next(&in, &f), 1);
                next = (size_t)(in.p - session.p);
            }
        }
        buf_deinit(&value);
    }
    twins_deinit(&w);
}
END_TEST

/* The room that is asked for at first is what is needed, and less gives nothing. */
START_TEST(test_record_room_is_exact)
{
    const uint32_t numbers[] = {0, 127, 128, 16383, 16384, UINT32_MAX};
    struct twins w;
    struct buf value;
    struct wa_session_record record;
    struct wa_ratchet r, again;
    meet(&w);
    for (size_t i = 0; i < 2 * ARRAY_LEN(numbers); i++) {
        struct twin *s = &w.sides[i % 2];
        uint32_t number = numbers[i / 2];
        twins_record(&w, s, s->ours, &value);
        ck_assert_int_eq(wa_session_record_parse(buf_bytes(&value), &record), 0);
        wa_ratchet_init(&r);
        ck_assert_int_eq(wa_session_parse(record.current, &r), 0);
        r.sending.index = r.receiving[0].chain.index = r.previous = number;
        r.own_registration = r.peer_registration = r.prekey_id = r.signed_prekey_id = number;
        AUTO_BUF struct buf out = {.max = WA_RECORD_MAX};
        ck_assert_int_eq(wa_session_record_write(&out, &record, &r), 0);
        AUTO_BUF struct buf exact = {.max = out.n}, less = {.max = out.n - 1};
        ck_assert_int_eq(wa_session_record_write(&exact, &record, &r), 0);
        testing_assert_bytes(buf_bytes(&exact), buf_bytes(&out), "record in exact room");
        ck_assert_int_eq(wa_session_record_write(&less, &record, &r), ERR_LIMIT);
        ck_assert_uint_eq(less.n, 0);
        wa_ratchet_init(&again);
        ck_assert_int_eq(wa_session_parse(current_of(&out), &again), 0);
        ck_assert_uint_eq(again.sending.index, number);
        ck_assert_uint_eq(again.receiving[0].chain.index, number);
        ck_assert_uint_eq(again.previous, number);
        ck_assert_uint_eq(again.peer_registration, number);
        ck_assert_uint_eq(again.prekey_id, i % 2 == 0 ? number : 0);
        wa_ratchet_wipe(&again);
        wa_ratchet_wipe(&r);
        buf_deinit(&value);
    }
    twins_deinit(&w);
}
END_TEST

START_TEST(test_record_without_session_at_work_room_is_exact)
{
    struct twins w;
    struct buf value;
    struct wa_session_record record;
    meet(&w);
    twins_record(&w, &w.sides[1], w.sides[1].ours, &value);
    ck_assert_int_eq(wa_session_record_parse(buf_bytes(&value), &record), 0);
    wa_session_record_archive(&record);
    AUTO_BUF struct buf exact = {.max = value.n}, less = {.max = value.n - 1};
    ck_assert_int_eq(wa_session_record_write(&exact, &record, NULL), 0);
    ck_assert_uint_eq(exact.n, value.n);
    ck_assert_int_eq(wa_session_record_write(&less, &record, NULL), ERR_LIMIT);
    ck_assert_uint_eq(less.n, 0);
    buf_deinit(&value);
    twins_deinit(&w);
}
END_TEST

/* ---- field by field -------------------------------------------------------------------------- */

enum edit { DROP, SHORTEN, LENGTHEN, NUMBER, WIDEN };

#define PATH_MAX_DEPTH 4

static void put_edited(struct buf *out, const struct wa_field *f, enum edit edit)
{
    uint8_t longer[80] = {0};
    switch (edit) {
    case DROP:
        break;
    case SHORTEN:
        wa_field_put(out, f->number, BYTES(f->bytes.p, f->bytes.n - 1));
        break;
    case LENGTHEN:
        ck_assert_uint_lt(f->bytes.n, sizeof(longer));
        memcpy(longer, f->bytes.p, f->bytes.n);
        wa_field_put(out, f->number, BYTES(longer, f->bytes.n + 1));
        break;
    case NUMBER:
        wa_field_put_number(out, f->number, 3);
        break;
    case WIDEN:
        wa_field_put_number(out, f->number, (uint64_t)UINT32_MAX + 1);
        break;
    }
}

/* Copies a message, but for every field at path: a 0 ends it. */
static void edit_message(struct bytes message, const uint8_t *path, enum edit edit, struct buf *out)
{
    struct reader in = reader_init(message);
    struct wa_field f;
    unsigned found = 0;
    for (const uint8_t *at = in.p; wa_field_next(&in, &f) == 1; at = in.p) {
        if (f.number != path[0]) {
            buf_append(out, BYTES(at, (size_t)(in.p - at)));
            continue;
        }
        found++;
        if (path[1] == 0) {
            put_edited(out, &f, edit);
        } else {
            AUTO_BUF struct buf inner = {.max = WA_RECORD_MAX};
            edit_message(f.bytes, path + 1, edit, &inner);
            wa_field_put(out, f.number, buf_bytes(&inner));
        }
    }
    ck_assert_uint_gt(found, 0);
}

static int parse_edited(struct bytes session, const uint8_t *path, enum edit edit)
{
    AUTO_BUF struct buf out = {.max = WA_RECORD_MAX};
    edit_message(session, path, edit, &out);
    return parse_session(buf_bytes(&out));
}

/* Of a session that was not answered yet. */
static const struct {
    uint8_t path[PATH_MAX_DEPTH];
    bool needed;
    enum { IS_NUMBER, IS_BYTES, IS_MESSAGE } is;
} fields[] = {
    {{1}, true, IS_NUMBER},       {{2}, true, IS_BYTES},       {{3}, true, IS_BYTES},
    {{4}, true, IS_BYTES},        {{5}, false, IS_NUMBER},     {{6}, true, IS_MESSAGE},
    {{6, 1}, true, IS_BYTES},     {{6, 2}, true, IS_BYTES},    {{6, 3}, true, IS_MESSAGE},
    {{6, 3, 1}, true, IS_NUMBER}, {{6, 3, 2}, true, IS_BYTES}, {{7}, false, IS_MESSAGE},
    {{7, 1}, true, IS_BYTES},     {{7, 3}, true, IS_MESSAGE},  {{7, 3, 1}, true, IS_NUMBER},
    {{7, 3, 2}, true, IS_BYTES},  {{9}, false, IS_MESSAGE},    {{9, 1}, false, IS_NUMBER},
    {{9, 2}, true, IS_BYTES},     {{9, 3}, true, IS_NUMBER},   {{10}, false, IS_NUMBER},
    {{11}, false, IS_NUMBER},     {{13}, false, IS_BYTES},
};

START_TEST(test_session_missing_or_misshapen_field_is_invalid)
{
    struct twins w;
    struct buf value;
    meet(&w);
    twins_record(&w, &w.sides[0], w.sides[0].ours, &value);
    struct bytes session = current_of(&value);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const uint8_t *path = fields[i].path;
        int dropped = parse_edited(session, path, DROP);
        ck_assert_msg(dropped == (fields[i].needed ? ERR_INVALID : 0), "field %u.%u.%u: %d",
                      path[0], path[1], path[2], dropped);
        if (fields[i].is == IS_NUMBER) {
            ck_assert_int_eq(parse_edited(session, path, WIDEN), ERR_INVALID);
            continue;
        }
        ck_assert_msg(parse_edited(session, path, NUMBER) == ERR_INVALID,
                      "field %u.%u.%u as a number", path[0], path[1], path[2]);
        if (fields[i].is == IS_BYTES) {
            ck_assert_int_eq(parse_edited(session, path, SHORTEN), ERR_INVALID);
            ck_assert_int_eq(parse_edited(session, path, LENGTHEN), ERR_INVALID);
        }
    }
    buf_deinit(&value);
    twins_deinit(&w);
}
END_TEST

START_TEST(test_session_of_more_chains_than_kept_is_invalid)
{
    struct twins w;
    struct buf value;
    struct wa_field chain;
    meet(&w);
    twins_record(&w, &w.sides[0], w.sides[0].ours, &value);
    struct bytes session = current_of(&value);
    ck_assert_int_eq(wa_field_find(session, 7, &chain), 0);
    AUTO_BUF struct buf out = {.max = WA_RECORD_MAX};
    buf_append(&out, session);
    for (int count = 2; count <= 6; count++) {
        wa_field_put(&out, 7, chain.bytes);
        ck_assert_int_eq(parse_session(buf_bytes(&out)), count <= 5 ? 0 : ERR_INVALID);
    }
    buf_deinit(&value);
    twins_deinit(&w);
}
END_TEST

/* ---- skipped message keys -------------------------------------------------------------------- */

#define NOBODY UINT32_MAX

static void put_skipped(struct buf *out, uint32_t index)
{
    uint8_t key[32];
    memset(key, (int)(index & 0xff), sizeof(key));
    wa_skipped_put(out, &(struct wa_skipped){.index = index,
                                             .cipher = BYTES_ARRAY(key),
                                             .mac = BYTES_ARRAY(key),
                                             .iv = BYTES(key, 16)});
}

static void put_all_skipped(struct buf *out, const uint32_t *indices, size_t n, uint32_t but)
{
    for (size_t i = 0; i < n; i++)
        if (indices[i] != but)
            put_skipped(out, indices[i]);
}

START_TEST(test_skipped_take_gives_each_once_and_keeps_the_others)
{
    const uint32_t indices[] = {0, 127, 128, 300, UINT32_MAX - 1};
    AUTO_BUF struct buf all = {.max = 4096};
    struct wa_skipped found;
    put_all_skipped(&all, indices, ARRAY_LEN(indices), NOBODY);
    for (size_t i = 0; i < ARRAY_LEN(indices); i++) {
        AUTO_BUF struct buf rest = {.max = 4096}, want = {.max = 4096};
        ck_assert_int_eq(wa_skipped_take(buf_bytes(&all), indices[i], &found, &rest), 1);
        ck_assert_uint_eq(found.index, indices[i]);
        ck_assert_uint_eq(found.cipher.n, 32);
        ck_assert_uint_eq(found.mac.n, 32);
        ck_assert_uint_eq(found.iv.n, 16);
        ck_assert_uint_eq(found.iv.p[15], indices[i] & 0xff);
        put_all_skipped(&want, indices, ARRAY_LEN(indices), indices[i]);
        testing_assert_bytes(buf_bytes(&rest), buf_bytes(&want), "the others");
    }
    AUTO_BUF struct buf none = {.max = 4096};
    ck_assert_int_eq(wa_skipped_take(buf_bytes(&all), 1, &found, &none), 0);
    ck_assert_int_eq(wa_skipped_take(BYTES_NONE, 1, &found, &none), 0);
    ck_assert_uint_eq(none.n, 0);
}
END_TEST

/* A key that cannot be found since those before it cannot be read was not consumed. */
START_TEST(test_skipped_take_from_damaged_ones_is_invalid)
{
    AUTO_BUF struct buf all = {.max = 4096}, rest = {.max = 4096};
    struct wa_skipped found;
    put_skipped(&all, 1);
    put_skipped(&all, 2);
    for (size_t n = 1; n < all.n; n++) {
        bool whole = n == all.n / 2;
        ck_assert_int_eq(wa_skipped_take(BYTES(all.p, n), 7, &found, &rest),
                         whole ? 0 : ERR_INVALID);
    }
    const uint8_t parts[][PATH_MAX_DEPTH] = {{4, 1}, {4, 2}, {4, 3}, {4, 4}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        for (enum edit edit = i == 0 ? WIDEN : DROP; edit <= (i == 0 ? WIDEN : NUMBER); edit++) {
            AUTO_BUF struct buf bad = {.max = 4096};
            edit_message(buf_bytes(&all), parts[i], edit, &bad);
            ck_assert_int_eq(wa_skipped_take(buf_bytes(&bad), 7, &found, &rest), ERR_INVALID);
        }
    }
    ck_assert_uint_eq(rest.n, 0);
}
END_TEST

START_TEST(test_skipped_newest_drops_from_the_front)
{
    AUTO_BUF struct buf all = {.max = 1 << 20};
    for (uint32_t i = 0; i < 2003; i++)
        put_skipped(&all, i);
    struct wa_skipped found;
    AUTO_BUF struct buf rest = {.max = 1 << 20};
    struct bytes kept = wa_skipped_newest(buf_bytes(&all), 2000);
    ck_assert_int_eq(wa_skipped_take(kept, 2, &found, &rest), 0);
    ck_assert_int_eq(wa_skipped_take(kept, 3, &found, &rest), 1);
    ck_assert_int_eq(wa_skipped_take(kept, 2002, &found, &rest), 1);
    testing_assert_bytes(wa_skipped_newest(kept, 2000), kept, "as many as may be");
    ck_assert_uint_eq(wa_skipped_newest(kept, 0).n, 0);
    ck_assert_uint_eq(wa_skipped_newest(BYTES_NONE, 5).n, 0);
}
END_TEST

/* ---- through wa/signal.h --------------------------------------------------------------------- */

START_TEST(test_encrypt_output_full_at_every_length_keeps_nothing)
{
    struct twins w;
    meet(&w);
    struct twin *s[] = {&w.sides[0], &w.sides[1]}; /* a pkmsg, a msg */
    for (size_t i = 0; i < 2; i++) {
        const struct wa_jid *peer = &s[!i]->jid;
        enum wa_enc_type type;
        struct buf before, after;
        size_t max = 0;
        fake_host_dump(s[i]->ours, &before);
        for (int rc = ERR_LIMIT; rc == ERR_LIMIT; max++) {
            AUTO_BUF struct buf out = {.max = max};
            rc =
                wa_signal_encrypt(s[i]->signal, peer, bytes_text("sixteen bytes and"), &type, &out);
            ck_assert_int_eq(rc, out.n > 0 ? 0 : ERR_LIMIT);
            if (rc == 0)
                break;
            fake_host_dump(s[i]->ours, &after);
            testing_assert_bytes(buf_bytes(&after), buf_bytes(&before), "records");
            buf_deinit(&after);
        }
        ck_assert_uint_gt(max, 80);
        ck_assert_uint_lt(max, 400);
        buf_deinit(&before);
    }
    twins_deinit(&w);
}
END_TEST

START_TEST(test_decrypt_output_full_at_every_length_keeps_nothing)
{
    struct twins w;
    meet(&w);
    struct twin *bob = &w.sides[1];
    const struct twins_flight *f = &w.flights[0];
    enum wa_signal_fault fault;
    struct buf before, after;
    int rc = ERR_LIMIT;
    fake_host_dump(bob->ours, &before);
    for (size_t max = 0; rc == ERR_LIMIT && max < 200; max++) {
        AUTO_BUF struct buf plain = {.max = max};
        rc = wa_signal_decrypt(bob->signal, &w.sides[0].jid, f->type, buf_bytes(&f->sealed), &plain,
                               &fault);
        fake_host_dump(bob->ours, &after);
        ck_assert(rc == 0 || plain.n == 0);
        ck_assert(bytes_equal(buf_bytes(&after), buf_bytes(&before)) == (rc == ERR_LIMIT));
        buf_deinit(&after);
    }
    ck_assert_int_eq(rc, 0);
    buf_deinit(&before);
    twins_deinit(&w);
}
END_TEST

/* Puts the chain from Alice to Bob at index, as both have it. */
static void move_chain(struct twins *w, uint32_t index)
{
    for (size_t i = 0; i < 2; i++) {
        struct twin *s = &w->sides[i];
        char key[WA_KEY_MAX];
        struct buf value;
        struct wa_session_record record;
        struct wa_ratchet r;
        AUTO_BUF struct buf out = {.max = WA_RECORD_MAX};
        twins_record(w, s, s->ours, &value);
        ck_assert_int_eq(wa_session_record_parse(buf_bytes(&value), &record), 0);
        wa_ratchet_init(&r);
        ck_assert_int_eq(wa_session_parse(record.current, &r), 0);
        *(i == 0 ? &r.sending.index : &r.receiving[r.receiving_count - 1].chain.index) = index;
        ck_assert_int_eq(wa_session_record_write(&out, &record, &r), 0);
        twins_record_key(w, s, key);
        fake_host_put(s->ours, WA_TABLE_SESSION, key, buf_bytes(&out));
        fake_host_put(s->theirs, WA_TABLE_SESSION, key, buf_bytes(&out));
        wa_ratchet_wipe(&r);
        buf_deinit(&value);
    }
}

START_TEST(test_chain_at_its_end_does_not_come_round)
{
    struct twins w;
    struct twin *alice = &w.sides[0], *bob = &w.sides[1];
    twins_init(&w, 22);
    w.doing = "end of a chain";
    struct wa_bundle b = twins_bundle_prekey(&w, bob);
    ck_assert_int_eq(twins_process(&w, alice, &b), 0);
    twins_say(&w, alice);
    twins_say(&w, bob);
    twins_say(&w, alice);
    move_chain(&w, UINT32_MAX - 1);
    ck_assert_int_eq(wa_signal_has_session(alice->signal, &bob->jid), 1);
    twins_say(&w, alice); /* the last one */
    ck_assert_int_eq(wa_signal_has_session(alice->signal, &bob->jid), 0);
    enum wa_enc_type type;
    enum wa_signal_fault fault;
    AUTO_BUF struct buf out = {.max = 4096}, plain = {.max = 4096};
    ck_assert_int_eq(wa_signal_encrypt(alice->signal, &bob->jid, bytes_text("x"), &type, &out),
                     ERR_NOT_FOUND);
    /* Nobody has a key for it; the library's comes round. */
    ck_assert_int_eq(library_peer_encrypt(alice->library, &bob->jid, bytes_text("x"), &type, &out),
                     0);
    ck_assert_int_eq(
        wa_signal_decrypt(bob->signal, &alice->jid, WA_ENC_MSG, buf_bytes(&out), &plain, &fault),
        ERR_AUTH);
    ck_assert_int_eq(fault, WA_FAULT_INVALID_MESSAGE);
    ck_assert_int_eq(library_peer_decrypt(bob->library, &alice->jid, WA_ENC_MSG, buf_bytes(&out),
                                          &plain, &fault),
                     0);
    /* An answer turns the ratchet, and all is well again. */
    buf_clear(&out);
    buf_clear(&plain);
    ck_assert_int_eq(wa_signal_encrypt(bob->signal, &alice->jid, bytes_text("y"), &type, &out), 0);
    ck_assert_int_eq(
        wa_signal_decrypt(alice->signal, &bob->jid, WA_ENC_MSG, buf_bytes(&out), &plain, &fault),
        0);
    ck_assert_int_eq(wa_signal_has_session(alice->signal, &bob->jid), 1);
    twins_deinit(&w);
}
END_TEST

/* Were it taken for consumed, its message would be lost without a word. */
START_TEST(test_decrypt_with_damaged_skipped_keys_is_no_duplicate)
{
    struct twins w;
    struct buf value;
    enum wa_signal_fault fault;
    AUTO_BUF struct buf plain = {.max = 4096}, out = {.max = WA_RECORD_MAX};
    meet(&w);
    struct twin *bob = &w.sides[1];
    const uint8_t cipher[PATH_MAX_DEPTH] = {4, 2};
    char key[WA_KEY_MAX];
    twins_record(&w, bob, bob->ours, &value);
    struct wa_field current;
    ck_assert_int_eq(wa_field_find(buf_bytes(&value), 1, &current), 0);
    /* The chain of the pkmsg has none: only those that are full are edited. */
    AUTO_BUF struct buf session = {.max = WA_RECORD_MAX};
    struct reader in = reader_init(current.bytes);
    struct wa_field f, skipped;
    for (const uint8_t *at = in.p; wa_field_next(&in, &f) == 1; at = in.p) {
        AUTO_BUF struct buf chain = {.max = WA_RECORD_MAX};
        if (f.number == 7 && wa_field_find(f.bytes, 4, &skipped) == 0 && skipped.bytes.p) {
            edit_message(f.bytes, cipher, SHORTEN, &chain);
            wa_field_put(&session, 7, buf_bytes(&chain));
        } else {
            buf_append(&session, BYTES(at, (size_t)(in.p - at)));
        }
    }
    wa_field_put(&out, 1, buf_bytes(&session));
    twins_record_key(&w, bob, key);
    fake_host_put(bob->ours, WA_TABLE_SESSION, key, buf_bytes(&out));
    const struct twins_flight *late = &w.flights[0];
    ck_assert_int_eq(late->type, WA_ENC_MSG);
    ck_assert_int_eq(wa_signal_decrypt(bob->signal, &w.sides[0].jid, late->type,
                                       buf_bytes(&late->sealed), &plain, &fault),
                     ERR_AUTH);
    ck_assert_int_eq(fault, WA_FAULT_NO_SESSION);
    buf_deinit(&value);
    twins_deinit(&w);
}
END_TEST

#define ADD(name) tcase_add_test(cases, name)

TCase *record_cases(void)
{
    TCase *cases = tcase_create("records");
    ADD(test_record_read_and_written_is_the_same);
    ADD(test_record_every_truncation_is_invalid_or_whole_sessions);
    ADD(test_session_every_truncation_is_invalid_or_whole_fields);
    ADD(test_record_room_is_exact);
    ADD(test_record_without_session_at_work_room_is_exact);
    ADD(test_session_missing_or_misshapen_field_is_invalid);
    ADD(test_session_of_more_chains_than_kept_is_invalid);
    ADD(test_skipped_take_gives_each_once_and_keeps_the_others);
    ADD(test_skipped_take_from_damaged_ones_is_invalid);
    ADD(test_skipped_newest_drops_from_the_front);
    ADD(test_encrypt_output_full_at_every_length_keeps_nothing);
    ADD(test_decrypt_output_full_at_every_length_keeps_nothing);
    ADD(test_chain_at_its_end_does_not_come_round);
    ADD(test_decrypt_with_damaged_skipped_keys_is_no_duplicate);
    return cases;
}
