/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The phone's history: the reader with the vector of an independent implementation in every cut and
 * with what is none, the slots, and the way of a notification through a session. */
#include "testing.h"

#include "wa_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/err.h"
#include "base/text.h"
#include "wa/app_state_collection.h"
#include "wa/history.h"
#include "wa/history_slots.h"
#include "wa/privacy.h"

#define PLENTY (64u << 20)

static struct {
    char mappings[600], tokens[300], names[300], salt[100];
    int migrated, messages, refuse_after;
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

static int on_chat(void *ctx, const struct wa_history_chat *c)
{
    AUTO_BUF struct buf text;
    (void)ctx;
    buf_init(&text, 300);
    text_hex_append(&text, c->token);
    buf_printf(&text, "@%llu", (unsigned long long)c->token_s);
    int rc = note(got.tokens, sizeof(got.tokens), c->id, buf_bytes(&text));
    return rc == 0 && c->pn.n ? note(got.mappings, sizeof(got.mappings), c->pn, c->id) : rc;
}

static int on_salt(void *ctx, struct bytes salt)
{
    AUTO_BUF struct buf text;
    (void)ctx;
    buf_init(&text, 300);
    text_hex_append(&text, salt);
    bytes_copy_text(buf_bytes(&text), got.salt, sizeof(got.salt));
    return 0;
}

static int on_message(void *ctx, struct bytes info)
{
    (void)ctx;
    ck_assert_uint_gt(info.n, 0);
    got.messages++;
    return 0;
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

/* Feeds in pieces of so many bytes, 0: at once; in the smallest steps. */
static int read_history(struct bytes packed, size_t piece, uint64_t max)
{
    const struct wa_history_events events = {.mapping = on_mapping,
                                             .push_name = on_name,
                                             .migrated = on_migrated,
                                             .salt = on_salt,
                                             .chat = on_chat,
                                             .message = on_message};
    struct wa_history *h = wa_history_open(&events, max);
    int rc = 0;
    for (size_t at = 0; at < packed.n && rc == 0;) {
        size_t n = piece && piece < packed.n - at ? piece : packed.n - at;
        struct bytes left = BYTES(packed.p + at, n);
        do
            rc = wa_history_read(h, &left, 1, 1);
        while (rc == 1);
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

START_TEST(test_history_read_vector_in_any_cut_tells_all)
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
        ck_assert_int_eq(got.messages, 1);
    }
}
END_TEST

START_TEST(test_history_read_every_truncation_and_flipped_byte_is_safe)
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

START_TEST(test_history_read_event_that_refuses_ends_it)
{
    const json_t *v = testing_vectors("history-sync.json");
    memset(&got, 0, sizeof(got));
    got.refuse_after = 1;
    ck_assert_int_eq(read_history(testing_hex(v, "zlib"), 0, PLENTY), ERR_STORE);
}
END_TEST

/* 64 MiB of one skipped field, packed to a thousandth. */
START_TEST(test_history_read_bomb_is_limit)
{
    size_t n = 64u << 20;
    AUTO_FREE uint8_t *plain = err_calloc(1, n);
    memset(&got, 0, sizeof(got));
    memcpy(plain, "\x1a\xfb\xff\xff\x1f", 5); /* statuses, as long as all the rest */
    ck_assert_int_eq(read_plain(BYTES(plain, n), 32u << 20), ERR_LIMIT);
    ck_assert_int_eq(read_plain(BYTES(plain, n), PLENTY), 0);
}
END_TEST

START_TEST(test_history_read_not_zlib_is_invalid)
{
    ck_assert_int_eq(read_history(bytes_text("no history at all"), 0, PLENTY), ERR_INVALID);
    ck_assert_int_eq(read_history(BYTES_NONE, 0, PLENTY), ERR_INVALID);
}
END_TEST

/* ---- slots ------------------------------------------------------------------------------------
 */

static struct fake_host mem;

static void setup_slots(void)
{
    fake_host_init(&mem);
}

static void teardown_slots(void)
{
    fake_host_deinit(&mem);
}

static struct wa_history_note a_note(const char *id)
{
    struct wa_history_note n = {.type = WA_HISTORY_RECENT, .file = true, .length = 1234567890123};
    memset(n.key, 1, sizeof(n.key));
    memset(n.sha256, 2, sizeof(n.sha256));
    memset(n.sealed_sha256, 3, sizeof(n.sealed_sha256));
    snprintf(n.path, sizeof(n.path), "/m/1?oh=2");
    snprintf(n.id, sizeof(n.id), "%s", id);
    return n;
}

START_TEST(test_slots_are_taken_oldest_first_and_come_back_whole)
{
    struct wa_history_note a = a_note("A"), b = a_note("B"), out;
    int64_t due_s;
    ck_assert_int_eq(wa_history_slots_next(&mem.host, 5, &out, &due_s), 0);
    ck_assert_int_eq(due_s, 0);
    ck_assert_int_eq(wa_history_slots_add(&mem.host, &a, BYTES_NONE), 0);
    ck_assert_int_eq(wa_history_slots_add(&mem.host, &b, BYTES_NONE), 0);
    ck_assert_int_eq(wa_history_slots_next(&mem.host, 5, &out, &due_s), 1);
    ck_assert_int_eq(memcmp(&out, &a, sizeof(a)), 0);
    ck_assert_int_eq(wa_history_slots_know(&mem.host, bytes_text("B")), 1);
    ck_assert_int_eq(wa_history_slots_know(&mem.host, bytes_text("C")), 0);
    ck_assert_int_eq(wa_history_slots_drop(&mem.host, &a), 0);
    struct wa_history_note c = a_note("C"); /* into the slot of a, and yet younger than b */
    ck_assert_int_eq(wa_history_slots_add(&mem.host, &c, BYTES_NONE), 0);
    ck_assert_uint_eq(c.slot, a.slot);
    ck_assert_int_eq(wa_history_slots_next(&mem.host, 5, &out, &due_s), 1);
    ck_assert_str_eq(out.id, "B");
}
END_TEST

START_TEST(test_slots_put_off_is_not_due_unless_the_clock_was_wrong)
{
    struct wa_history_note a = a_note("A"), out;
    int64_t due_s;
    a.due_s = 100;
    ck_assert_int_eq(wa_history_slots_add(&mem.host, &a, BYTES_NONE), 0);
    ck_assert_int_eq(wa_history_slots_next(&mem.host, 99, &out, &due_s), 0);
    ck_assert_int_eq(due_s, 100);
    ck_assert_int_eq(wa_history_slots_next(&mem.host, 100, &out, &due_s), 1);
    ck_assert_int_eq(wa_history_slots_next(&mem.host, 99 - WA_HISTORY_WAIT_MAX_S, &out, &due_s), 1);
}
END_TEST

START_TEST(test_slots_no_more_than_there_are_and_unreadable_ones_come_free)
{
    struct wa_history_note n, out;
    int64_t due_s;
    for (unsigned i = 0; i < WA_HISTORY_SLOTS; i++) {
        n = a_note("A");
        ck_assert_int_eq(wa_history_slots_add(&mem.host, &n, BYTES_NONE), 0);
    }
    n = a_note("too many");
    ck_assert_int_eq(wa_history_slots_add(&mem.host, &n, BYTES_NONE), ERR_LIMIT);
    ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_HISTORY), WA_HISTORY_SLOTS + 1);
    fake_host_put(&mem, WA_TABLE_HISTORY, "7", bytes_text("\x01nonsense"));
    ck_assert_int_eq(wa_history_slots_next(&mem.host, 0, &out, &due_s), 1);
    ck_assert_int_eq(wa_history_slots_add(&mem.host, &n, BYTES_NONE), 0);
    ck_assert_uint_eq(n.slot, 7);
    fake_host_put(&mem, WA_TABLE_HISTORY, "index", bytes_text("short"));
    ck_assert_int_eq(wa_history_slots_next(&mem.host, 0, &out, &due_s), 0);
}
END_TEST

START_TEST(test_slots_payload_is_kept_in_pieces_and_goes_with_its_slot)
{
    size_t size = WA_RECORD_MAX * 2 + 5;
    AUTO_FREE uint8_t *payload = err_calloc(1, size);
    AUTO_BUF struct buf out = {.max = size};
    struct wa_history_note n = a_note("A");
    memset(payload, 7, size);
    payload[size - 1] = 9;
    ck_assert_int_eq(wa_history_slots_add(&mem.host, &n, BYTES(payload, size)), 0);
    ck_assert_uint_eq(n.pieces, 3);
    ck_assert_int_eq(wa_history_slots_payload(&mem.host, &n, &out), 0);
    testing_assert_bytes(buf_bytes(&out), BYTES(payload, size), "payload");
    ck_assert_int_eq(wa_history_slots_drop(&mem.host, &n), 0);
    ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_HISTORY), 1); /* the index */
}
END_TEST

START_TEST(test_slots_the_phone_is_asked_a_few_times_only)
{
    int asked = 0;
    while (wa_history_slots_may_ask(&mem.host) == 1)
        asked++;
    ck_assert_int_eq(asked, 8);
}
END_TEST

/* ---- through a session ------------------------------------------------------------------------
 */

static struct line line;
static struct line_peer phone;

static void setup(void)
{
    line_open(&line, true);
    line_login(&line);
    line_meet(&line, &phone);
}

static void teardown(void)
{
    line_part(&phone);
    line_close(&line);
}

/* The receipts are out. */
static void pass_time(void)
{
    line.mem.now_ms += 50;
}

/* The last event of that type, and how many there were. */
static unsigned hear(enum wa_event_type type, struct wa_event *out)
{
    struct wa_event ev;
    unsigned n = 0;
    while (wa_session_next(line.session, &ev) == 1)
        if (ev.type == type) {
            n++;
            if (out)
                *out = ev;
        }
    return n;
}

/* A peer message of our own phone. */
static void say_notification(const char *id, struct bytes message)
{
    struct wa_jid from;
    struct wa_node *node = line_message(&line, &phone, id, message);
    ck_assert_int_eq(wa_jid_parse(&from, bytes_text("5511987654321@s.whatsapp.net")), 0);
    wa_node_set_jid(node, "from", &from);
    wa_node_set(node, "category", "peer");
    ck_assert(line_say(&line, node));
}

static struct bytes vector(const char *name)
{
    return testing_hex(testing_vectors("history-sync.json"), name);
}

static void say_backlog_done(void)
{
    struct wa_node *ib = line_stanza(&line, "ib");
    wa_node_set(wa_node_child(ib, "offline"), "count", "0");
    ck_assert(line_say(&line, ib));
}

/* How many receipts of this type the session has sent for the id; the last one too. Forgets what
 * was said. */
static unsigned receipts(const char *id, const char *type, struct wa_node **last)
{
    struct wa_node *node;
    unsigned n = 0;
    while ((node = line_hear(&line)))
        if (wa_node_is(node, "receipt") && wa_node_attr_is(node, "id", id) &&
            wa_node_attr_is(node, "type", type)) {
            n++;
            if (last)
                *last = node;
        }
    return n;
}

/* Reads to the end: how many messages were told of. */
static unsigned read_on(struct wa_event *message, struct wa_event *end)
{
    struct wa_event ev;
    unsigned n = 0;
    bool more;
    do {
        more = wa_session_step(line.session);
        while (wa_session_next(line.session, &ev) == 1) {
            if (ev.type == WA_EVENT_HISTORY && ev.u.message.content->kind == WA_KIND_TEXT) {
                ck_assert_str_eq((const char *)ev.u.message.content->text.p, "old message");
                *message = ev;
                n++;
            }
            if (ev.type == WA_EVENT_HISTORY_END)
                *end = ev;
        }
    } while (more);
    return n;
}

static void assert_learnt(bool learnt)
{
    const struct wa_jid chat = wa_jid_make(WA_SERVER_LID, "111111111111111", 0);
    struct wa_privacy p;
    ck_assert_int_eq(wa_privacy_load(&p, &line.mem.host, &chat), learnt);
    ck_assert(fake_host_has(&line.mem, WA_TABLE_PN_OF_LID, "111111111111111") == learnt);
}

/* What is left but the index. */
static size_t waiting(void)
{
    size_t n = fake_host_count(&line.mem, WA_TABLE_HISTORY);
    return n > 0 ? n - 1 : 0;
}

START_TEST(test_inline_history_is_receipted_at_once_and_read_after_the_backlog)
{
    struct wa_event message, end = {.type = WA_EVENT_QR};
    say_notification("H1", vector("inline_message_proto"));
    ck_assert_uint_eq(hear(WA_EVENT_HISTORY_END, NULL), 0);
    ck_assert_uint_eq(waiting(), 2);
    ck_assert_uint_eq(receipts("H1", "hist_sync", NULL), 1);
    ck_assert(!wa_session_step(line.session));
    assert_learnt(false);
    say_backlog_done();
    ck_assert_uint_eq(hear(WA_EVENT_OFFLINE_DONE, NULL), 1);
    ck_assert_uint_eq(read_on(&message, &end), 0);
    ck_assert(end.type == WA_EVENT_HISTORY_END && !end.u.history_end.trouble);
    ck_assert_uint_eq(end.u.history_end.chats, 1);
    assert_learnt(true);
    ck_assert_uint_eq(waiting(), 0);
}
END_TEST

/* With days: as many as are young enough, and each has both addresses of its chat. */
START_TEST(test_file_of_history_is_fetched_and_read)
{
    static const struct {
        int64_t days;
        unsigned messages;
    } cases[] = {{0, 0}, {30, 0}, {365, 1}};
    struct wa_event wanted, message, end = {.type = WA_EVENT_QR};
    AUTO_BUF struct buf plain = {.max = 1000};
    wa_session_set_history(line.session, cases[_i].days);
    say_notification("H1", vector("external_message_proto"));
    ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, NULL), 0);
    ck_assert_uint_eq(receipts("H1", "hist_sync", NULL), 1);
    say_backlog_done();
    ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, &wanted), 1);
    ck_assert_int_eq(wanted.u.file.media->type, WA_MEDIA_HISTORY);
    testing_assert_bytes(wanted.u.file.media->key, vector("media_key"), "key");
    buf_append(&plain, vector("zlib"));
    wa_session_file(line.session, wanted.u.file.id, WA_FILE_CAME, &plain);
    ck_assert_uint_eq(plain.n, 0);
    ck_assert_uint_eq(read_on(&message, &end), cases[_i].messages);
    ck_assert(end.type == WA_EVENT_HISTORY_END && !end.u.history_end.trouble);
    ck_assert_uint_eq(end.u.history_end.messages, cases[_i].messages);
    if (cases[_i].messages > 0) {
        ck_assert_str_eq(message.u.message.chat_pn.user, "4915112345678");
        ck_assert_str_eq(message.u.message.chat_lid.user, "111111111111111");
        ck_assert_int_eq(message.u.message.timestamp_s, 1755000001);
        ck_assert(!message.u.message.from_me);
    }
    assert_learnt(true);
    ck_assert_uint_eq(waiting(), 0);
}
END_TEST

/* The vectors' blob, and behind it a chat with a timer and what we gave, and a salt. */
START_TEST(test_history_tells_timer_salt_and_when_our_token_was_given)
{
    struct wa_event ev;
    struct wa_privacy p;
    struct wa_jid chat = wa_jid_make(WA_SERVER_PN, "33333", 0);
    AUTO_BUF struct buf plain = {.max = 2000}, packed = {.max = 2000}, salt = {.max = 100};
    AUTO_BUF struct buf conversation = {.max = 200};
    bool told = false;
    buf_append_text(&conversation, "\x0a\x14");
    buf_append_text(&conversation, "33333@s.whatsapp.net");
    buf_append(&conversation, testing_unhex("4880f524"));       /* 9: 604800 s */
    buf_append(&conversation, testing_unhex("5080c8e2e1c133")); /* 10: in ms */
    buf_append(&conversation, testing_unhex("e001c0b3b1ce06")); /* 28 */
    buf_append(&plain, vector("history_sync_proto"));
    buf_append_u8(&plain, 0x12);
    buf_append_u8(&plain, (uint8_t)conversation.n);
    buf_append(&plain, buf_bytes(&conversation));
    buf_append(&plain, testing_unhex("9a010401020304")); /* 19 */
    uLongf n = compressBound(plain.n);
    ck_assert_int_eq(compress(buf_reserve(&packed, n), &n, plain.p, plain.n), Z_OK);
    packed.n = n;
    say_notification("H1", vector("external_message_proto"));
    say_backlog_done();
    ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, &ev), 1);
    wa_session_file(line.session, ev.u.file.id, WA_FILE_CAME, &packed);
    wa_session_step(line.session);
    while (wa_session_next(line.session, &ev) == 1) {
        if (ev.type != WA_EVENT_HISTORY)
            continue;
        const struct wa_content *c = ev.u.message.content;
        told = c->kind == WA_KIND_PROTOCOL && c->timer_set && c->expiration_s == 604800 &&
               c->expiration_set_s == 1770000000 && wa_jid_equal(&ev.u.message.chat_pn, &chat);
    }
    ck_assert(told);
    ck_assert_int_eq(wa_privacy_load(&p, &line.mem.host, &chat), 1);
    ck_assert_int_eq(p.issued_s, 1775000000);
    ck_assert_int_eq(
        line.mem.host.get(line.mem.host.ctx, WA_TABLE_APP_STATE, WA_APP_STATE_NCT_SALT, &salt), 1);
    testing_assert_bytes(buf_bytes(&salt), testing_unhex("01020304"), "salt");
}
END_TEST

/* Between the commit and the wire the process may die: the server then says it again. */
START_TEST(test_notification_again_while_it_waits_gets_both_receipts_again)
{
    struct wa_jid from;
    struct wa_node *node = line_message(&line, &phone, "H1", vector("external_message_proto"));
    ck_assert_int_eq(wa_jid_parse(&from, bytes_text("5511987654321@s.whatsapp.net")), 0);
    wa_node_set_jid(node, "from", &from);
    wa_node_set(node, "category", "peer");
    for (int i = 0; i < 2; i++) {
        struct wa_node *heard = NULL;
        ck_assert(line_say(&line, node));
        hear(WA_EVENT_MESSAGE, NULL);
        ck_assert_uint_eq(receipts("H1", "hist_sync", &heard), 1);
    }
    ck_assert_uint_eq(waiting(), 1);
}
END_TEST

/* The notification of the vectors with another type. */
static void say_type(const char *id, uint8_t to)
{
    struct bytes v = vector("external_message_proto");
    AUTO_FREE uint8_t *message = err_malloc(v.n);
    uint8_t *type;
    memcpy(message, v.p, v.n);
    for (type = message + v.n - 1; *type != 0x30; type--)
        continue;
    type[1] = to;
    say_notification(id, BYTES(message, v.n));
}

/* As if the time it was put off for were over; anything new makes the session look. */
static void end_wait(void)
{
    struct wa_history_note n;
    int64_t due_s = 0;
    ck_assert_int_eq(wa_history_slots_next(&line.mem.host, line.mem.now_ms / 1000, &n, &due_s), 0);
    ck_assert_int_gt(due_s, LINE_NOW_MS / 1000);
    ck_assert_int_eq(wa_history_slots_next(&line.mem.host, due_s, &n, &due_s), 1);
    n.due_s = 0;
    ck_assert_int_eq(wa_history_slots_save(&line.mem.host, &n), 0);
    say_type("H2", WA_HISTORY_FULL);
    hear(WA_EVENT_FILE_WANTED, NULL);
    pass_time();
}

START_TEST(test_file_that_is_missing_is_tried_again_later_and_given_up_in_the_end)
{
    struct wa_event ev;
    AUTO_BUF struct buf none = {0};
    say_notification("H1", vector("external_message_proto"));
    say_backlog_done();
    for (int tries = 1; tries <= 6; tries++) {
        ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, &ev), 1);
        ck_assert_uint_eq(receipts("H1", "server-error", NULL), 0);
        wa_session_file(line.session, ev.u.file.id, WA_FILE_MISSING, &none);
        ck_assert_uint_eq(hear(tries < 6 ? WA_EVENT_FILE_WANTED : WA_EVENT_HISTORY_END, &ev),
                          tries == 6);
        if (tries < 6)
            end_wait();
    }
    ck_assert_str_eq(ev.u.history_end.trouble, "it is not to be had");
    ck_assert_uint_eq(receipts("H1", "server-error", NULL), 1);
    ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(test_file_that_is_damaged_is_given_up_and_the_phone_told)
{
    struct wa_event ev;
    struct wa_node *receipt = NULL;
    struct wa_jid to;
    uint8_t key[32];
    AUTO_BUF struct buf none = {0}, opened = {.max = 1000};
    say_notification("H1", vector("external_message_proto"));
    say_backlog_done();
    ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, &ev), 1);
    line_forget_output(&line);
    wa_session_file(line.session, ev.u.file.id, WA_FILE_DAMAGED, &none);
    ck_assert_uint_eq(hear(WA_EVENT_HISTORY_END, &ev), 1);
    ck_assert_str_eq(ev.u.history_end.trouble, "it is damaged");
    ck_assert_uint_eq(receipts("H1", "server-error", &receipt), 1);
    ck_assert(wa_node_attr_is(receipt, "category", "peer"));
    ck_assert(wa_node_attr_jid(receipt, "to", &to) && strcmp(to.user, "5511987654321") == 0);
    ck_assert_ptr_null(wa_node_find(receipt, "rmr"));
    const struct wa_node *e = wa_node_find(receipt, "encrypt");
    wa_hkdf_sha256(key, sizeof(key), vector("media_key"), BYTES_NONE,
                   bytes_text("WhatsApp Media Retry Notification"));
    ck_assert_int_eq(wa_gcm_open(&opened, key, wa_node_data(wa_node_find(e, "enc_iv")).p,
                                 bytes_text("H1"), wa_node_data(wa_node_find(e, "enc_p"))),
                     0);
    testing_assert_bytes(buf_bytes(&opened), bytes_text("\x0a\x02H1"), "ServerErrorReceipt");
    ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(test_file_that_is_no_history_is_given_up_without_asking_again)
{
    struct wa_event ev, message;
    AUTO_BUF struct buf plain = {.max = 100};
    say_notification("H1", vector("external_message_proto"));
    say_backlog_done();
    ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, &ev), 1);
    line_forget_output(&line);
    buf_append(&plain, bytes_text("nonsense"));
    wa_session_file(line.session, ev.u.file.id, WA_FILE_CAME, &plain);
    ck_assert_uint_eq(read_on(&message, &ev), 0);
    ck_assert_str_eq(ev.u.history_end.trouble, "it cannot be read");
    ck_assert_uint_eq(receipts("H1", "server-error", NULL), 0);
    ck_assert_uint_eq(waiting(), 0);
}
END_TEST

START_TEST(test_history_of_other_types_is_receipted_and_not_fetched)
{
    static const uint8_t types[] = {1, 2, 6, 7, 8, 99};
    say_backlog_done();
    for (size_t i = 0; i < sizeof(types); i++) {
        char id[4] = {'H', (char)('A' + i), 0, 0};
        say_type(id, types[i]);
        ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, NULL), 0);
        ck_assert_uint_eq(receipts(id, "hist_sync", NULL), 1);
        ck_assert_uint_eq(waiting(), 1);
        pass_time();
        ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, NULL), 0);
        ck_assert_uint_eq(waiting(), 0);
    }
}
END_TEST

START_TEST(test_history_that_cannot_be_kept_is_not_receipted)
{
    struct wa_event ev;
    say_notification("H1", vector("external_message_proto"));
    line.mem.fail_put = 1 + _i;
    bool closed = false;
    while (wa_session_next(line.session, &ev) == 1)
        closed = closed || (ev.type == WA_EVENT_CLOSED && ev.u.closed.why == WA_CLOSE_STORE);
    ck_assert(closed);
    ck_assert_uint_eq(receipts("H1", "hist_sync", NULL), 0);
}
END_TEST

START_TEST(test_files_are_fetched_one_after_the_other)
{
    struct wa_event first, second;
    AUTO_BUF struct buf none = {0}, plain = {.max = 1000};
    say_notification("H1", vector("external_message_proto"));
    say_notification("H2", vector("external_message_proto"));
    say_backlog_done();
    ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, &first), 1);
    wa_session_file(line.session, first.u.file.id + 1, WA_FILE_MISSING, &none);
    ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, NULL), 0);
    buf_append(&plain, vector("zlib"));
    wa_session_file(line.session, first.u.file.id, WA_FILE_CAME, &plain);
    ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, NULL), 0);
    ck_assert(!wa_session_step(line.session));
    ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, &second), 1);
    ck_assert_uint_ne(first.u.file.id, second.u.file.id);
}
END_TEST

static void put_field(struct buf *out, uint8_t number, struct bytes value)
{
    size_t n = value.n;
    buf_append_u8(out, (uint8_t)(number << 3 | 2));
    for (; n > 127; n >>= 7)
        buf_append_u8(out, (uint8_t)(n & 127) | 128);
    buf_append_u8(out, (uint8_t)n);
    buf_append(out, value);
}

/* One WebMessageInfo of a conversation; extra: further fields of it, as hex. */
struct said {
    const char *chat, *id, *participant, *text, *extra;
    bool from_me;
};

static void put_said(struct buf *chat, const struct said *m)
{
    AUTO_BUF struct buf key = {.max = 400}, message = {.max = 200}, info = {.max = 900};
    AUTO_BUF struct buf one = {.max = 1000};
    put_field(&key, 1, bytes_text(m->chat));
    buf_append_u8(&key, 0x10);
    buf_append_u8(&key, m->from_me);
    put_field(&key, 3, bytes_text(m->id));
    if (m->participant)
        put_field(&key, 4, bytes_text(m->participant));
    put_field(&info, 1, buf_bytes(&key));
    if (m->text) {
        put_field(&message, 1, bytes_text(m->text));
        put_field(&info, 2, buf_bytes(&message));
    }
    buf_append(&info, testing_unhex("18c1d9ecc406")); /* 3: the time of the vectors */
    if (m->extra)
        buf_append(&info, testing_unhex(m->extra));
    put_field(&one, 1, buf_bytes(&info));
    put_field(chat, 2, buf_bytes(&one));
}

/* Told is what a person wrote to a person or a group, and who did. */
START_TEST(test_history_messages_are_told_with_their_author)
{
    static const struct said cases[] = {
        {"33333@s.whatsapp.net", "A", NULL, "theirs", NULL, false},
        {"33333@s.whatsapp.net", "B", NULL, "ours", NULL, true},
        {"1@g.us", "C", "44444@s.whatsapp.net", "in a group", NULL, false},
        {"1@g.us", "D", NULL, "of nobody", NULL, false},
        {"status@broadcast", "E", "44444@s.whatsapp.net", "status", NULL, false},
        {"33333@s.whatsapp.net", "F", NULL, "ignored", "800101", false},
        {"33333@s.whatsapp.net", "G", NULL, NULL, "c00101", false}, /* a stub */
        {"33333@s.whatsapp.net", "", NULL, "no id", NULL, false},
        {"no jid @ all", "H", NULL, "no chat", NULL, false},
    };
    struct wa_event ev;
    AUTO_BUF struct buf plain = {.max = 5000}, packed = {.max = 5000};
    AUTO_BUF struct buf told = {.max = 1000};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_BUF struct buf one = {.max = 1000};
        put_field(&one, 1, bytes_text(cases[i].chat));
        put_said(&one, &cases[i]);
        put_field(&plain, 2, buf_bytes(&one));
    }
    uLongf n = compressBound(plain.n);
    ck_assert_int_eq(compress(buf_reserve(&packed, n), &n, plain.p, plain.n), Z_OK);
    packed.n = n;
    wa_session_set_history(line.session, 365);
    say_notification("H1", vector("external_message_proto"));
    say_backlog_done();
    ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, &ev), 1);
    wa_session_file(line.session, ev.u.file.id, WA_FILE_CAME, &packed);
    for (int passes = 0; passes < 2; passes++) {
        wa_session_step(line.session);
        while (wa_session_next(line.session, &ev) == 1)
            if (ev.type == WA_EVENT_HISTORY)
                buf_printf(&told, "%.*s %s%s;", (int)ev.u.message.id.n,
                           (const char *)ev.u.message.id.p, ev.u.message.sender.user,
                           ev.u.message.group ? " in a group" : "");
    }
    ck_assert_str_eq(buf_text(&told), "A 33333;B 5511987654321;C 44444 in a group;");
}
END_TEST

/* The app state wants its snapshot while a part of the history is fetched. */
START_TEST(test_files_of_two_owners_push_none_aside)
{
    static const uint8_t hash[32] = {1};
    struct wa_event history, state;
    struct wa_node *node, *asked = NULL;
    AUTO_BUF struct buf reference = {.max = 500}, none = {0};
    struct wa_jid server = {.server = WA_SERVER_PN};
    say_notification("H1", vector("external_message_proto"));
    say_backlog_done();
    ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, &history), 1);
    line_forget_output(&line);
    node = line_stanza(&line, "notification");
    wa_node_set(node, "id", "N1");
    wa_node_set(node, "type", "server_sync");
    wa_node_set(node, "t", "1780000000");
    wa_node_set_jid(node, "from", &server);
    wa_node_set(wa_node_child(node, "collection"), "name", "critical_block");
    ck_assert(line_say(&line, node));
    hear(WA_EVENT_FILE_WANTED, NULL);
    while ((node = line_hear(&line)))
        if (wa_node_attr_is(node, "xmlns", "w:sync:app:state"))
            asked = node;
    ck_assert_ptr_nonnull(asked);
    put_field(&reference, 1, BYTES_ARRAY(hash));
    put_field(&reference, 2, bytes_text("/m/9?oh=1"));
    put_field(&reference, 5, BYTES_ARRAY(hash));
    put_field(&reference, 6, BYTES_ARRAY(hash));
    node = line_stanza(&line, "iq");
    wa_node_set_bytes(node, "id", wa_node_attr(asked, "id"));
    wa_node_set(node, "type", "result");
    struct wa_node *c = wa_node_child(wa_node_child(node, "sync"), "collection");
    wa_node_set(c, "name", "critical_block");
    wa_node_child_data(c, "snapshot", buf_bytes(&reference));
    ck_assert(line_say(&line, node));
    ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, NULL), 0); /* one at a time */
    wa_session_file(line.session, history.u.file.id, WA_FILE_MISSING, &none);
    ck_assert_uint_eq(hear(WA_EVENT_FILE_WANTED, &state), 1);
    ck_assert_int_eq(state.u.file.media->type, WA_MEDIA_APP_STATE);
    wa_session_file(line.session, state.u.file.id, WA_FILE_MISSING, &none);
    ck_assert_uint_eq(waiting(), 1);
    ck_assert(wa_session_connected(line.session));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("history");
    TCase *t = tcase_create("reader");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_history_read_vector_in_any_cut_tells_all);
    tcase_add_test(t, test_history_read_every_truncation_and_flipped_byte_is_safe);
    tcase_add_test(t, test_history_read_event_that_refuses_ends_it);
    tcase_add_test(t, test_history_read_bomb_is_limit);
    tcase_add_test(t, test_history_read_not_zlib_is_invalid);
    suite_add_tcase(s, t);
    t = tcase_create("slots");
    tcase_add_checked_fixture(t, setup_slots, teardown_slots);
    tcase_add_test(t, test_slots_are_taken_oldest_first_and_come_back_whole);
    tcase_add_test(t, test_slots_put_off_is_not_due_unless_the_clock_was_wrong);
    tcase_add_test(t, test_slots_no_more_than_there_are_and_unreadable_ones_come_free);
    tcase_add_test(t, test_slots_payload_is_kept_in_pieces_and_goes_with_its_slot);
    tcase_add_test(t, test_slots_the_phone_is_asked_a_few_times_only);
    suite_add_tcase(s, t);
    t = tcase_create("session");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_inline_history_is_receipted_at_once_and_read_after_the_backlog);
    tcase_add_loop_test(t, test_file_of_history_is_fetched_and_read, 0, 3);
    tcase_add_test(t, test_history_tells_timer_salt_and_when_our_token_was_given);
    tcase_add_test(t, test_notification_again_while_it_waits_gets_both_receipts_again);
    tcase_add_test(t, test_file_that_is_missing_is_tried_again_later_and_given_up_in_the_end);
    tcase_add_test(t, test_file_that_is_damaged_is_given_up_and_the_phone_told);
    tcase_add_test(t, test_file_that_is_no_history_is_given_up_without_asking_again);
    tcase_add_test(t, test_history_of_other_types_is_receipted_and_not_fetched);
    tcase_add_test(t, test_history_that_cannot_be_kept_is_not_receipted);
    tcase_add_test(t, test_files_are_fetched_one_after_the_other);
    tcase_add_test(t, test_files_of_two_owners_push_none_aside);
    tcase_add_test(t, test_history_messages_are_told_with_their_author);
    suite_add_tcase(s, t);
    return testing_run(s);
}
