/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A server, and contacts behind it, that mean harm: what they can make a session store, answer and
 * believe. Each bound is named where it is checked. Memory is measured as the growth of the peak
 * resident set of the test's own process, and only in builds without AddressSanitizer.
 */
#include "testing.h"

#include "wa_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <zlib.h>

#include "base/err.h"
#include "wa/crypto.h"
#include "wa/frame.h"
#include "wa/prekeys.h"
#include "wa/resends.h"

#define MIB (1u << 20)
#define OUTPUT_MAX (32 * MIB) /* of a session: wa/session.c */

static struct line line;
static struct line_peer peer;

static void setup_unlinked(void)
{
    line_open(&line, false);
}

static void setup(void)
{
    line_open(&line, true);
    line_login(&line);
}

static void teardown(void)
{
    line_close(&line);
}

static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* A sanitizer keeps what was freed. gcc says so with a macro, clang with a feature. */
#ifdef __has_feature
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif

static void assert_grew_less(long before_kib, size_t bound)
{
#if !defined(__SANITIZE_ADDRESS__) && !HAS_FEATURE(address_sanitizer)
    ck_assert_int_lt(peak_kib() - before_kib, (long)(bound / 1024));
#else
    (void)before_kib;
    (void)bound;
#endif
}

static bool next(struct wa_event *ev)
{
    return wa_session_next(line.session, ev) == 1;
}

static void expect_quiet(void)
{
    struct wa_event ev;
    ck_assert_msg(!next(&ev), "unexpected event %d", (int)ev.type);
}

static struct wa_event expect(enum wa_event_type type)
{
    struct wa_event ev;
    ck_assert_msg(next(&ev) && ev.type == type, "wanted event %d", (int)type);
    return ev;
}

static void expect_protocol_close(void)
{
    struct wa_event ev = expect(WA_EVENT_CLOSED);
    ck_assert_str_eq(wa_close_code(ev.u.closed.why), wa_close_code(WA_CLOSE_PROTOCOL));
    expect_quiet();
}

static void say(const struct wa_node *node)
{
    ck_assert(line_say(&line, node));
}

static struct wa_node *hear_tag(const char *tag)
{
    struct wa_node *node = line_hear(&line);
    ck_assert_msg(node && wa_node_is(node, tag), "wanted <%s>", tag);
    return node;
}

static struct wa_jid jid(const char *text)
{
    struct wa_jid out;
    ck_assert_int_eq(wa_jid_parse(&out, bytes_text(text)), 0);
    return out;
}

static void set_jid(struct wa_node *node, const char *key, const char *text)
{
    struct wa_jid value = jid(text);
    wa_node_set_jid(node, key, &value);
}

/* ---- frames ------------------------------------------------------------------------------------
 */

START_TEST(test_feed_replayed_frame_closes)
{
    struct wa_cipher before = line.to_client;
    line_say_plain(&line, testing_unhex("00f8011f"));
    expect_quiet();
    line.to_client = before; /* the same counter makes the same bytes */
    line_say_plain(&line, testing_unhex("00f8011f"));
    expect_protocol_close();
}
END_TEST

START_TEST(test_feed_counter_reused_for_another_frame_closes)
{
    struct wa_cipher before = line.to_client;
    line_say_plain(&line, testing_unhex("00f8011f"));
    expect_quiet();
    line.to_client = before;
    line_say_plain(&line, testing_unhex("00f80120"));
    expect_protocol_close();
}
END_TEST

START_TEST(test_feed_skipped_counter_closes)
{
    line.to_client.counter++;
    line_say_plain(&line, testing_unhex("00f8011f"));
    expect_protocol_close();
}
END_TEST

/* The last counter value is never used, in either direction. */
START_TEST(test_cipher_used_up_is_refused)
{
    struct wa_cipher c = {.counter = UINT32_MAX};
    struct buf out = {.max = 100};
    ck_assert_int_eq(wa_cipher_seal(&c, bytes_text("x"), &out), ERR_STATE);
    ck_assert_int_eq(wa_cipher_open(&c, bytes_text("xxxxxxxxxxxxxxxxx"), &out), ERR_STATE);
    ck_assert_uint_eq(out.n, 0);
}
END_TEST

START_TEST(test_feed_empty_frame_closes)
{
    wa_session_feed(line.session, testing_unhex("000000"));
    expect_protocol_close();
}
END_TEST

/* 100000 stanzas of nothing: no answer, no memory. */
START_TEST(test_feed_endless_small_frames_cost_nothing)
{
    long before = peak_kib();
    for (int i = 0; i < 100000; i++) {
        line_say_plain(&line, testing_unhex("00f8011f"));
        expect_quiet();
    }
    ck_assert_uint_eq(wa_session_output(line.session)->n, 0);
    assert_grew_less(before, 8 * MIB); /* testing_unhex keeps some of it */
}
END_TEST

/* A byte every ten seconds of a frame that never ends: only whole frames are a sign of life, so the
 * line counts as dead within a minute and a half, whatever drips. */
START_TEST(test_feed_dripped_frame_closes_as_a_dead_line)
{
    struct wa_event ev = {0};
    int64_t began = line.mem.now_ms;
    wa_session_feed(line.session, testing_unhex("100000"));
    while (ev.type != WA_EVENT_CLOSED && line.mem.now_ms - began < 600000) {
        line.mem.now_ms += 10000;
        wa_session_feed(line.session, testing_unhex("00"));
        while (wa_session_next(line.session, &ev) == 1 && ev.type != WA_EVENT_CLOSED)
            continue;
    }
    ck_assert_int_eq(ev.type, WA_EVENT_CLOSED);
    ck_assert_str_eq(wa_close_code(ev.u.closed.why), wa_close_code(WA_CLOSE_TIMEOUT));
    ck_assert_int_le(line.mem.now_ms - began, 90000);
}
END_TEST

/* A frame that is announced longer than 4 MiB is not waited for. */
START_TEST(test_feed_frame_announced_too_long_closes)
{
    wa_session_feed(line.session, testing_unhex("400001"));
    expect_protocol_close();
}
END_TEST

/* A server that asks and never reads: the session ends when its output has 32 MiB. */
START_TEST(test_feed_endless_pings_unread_end_at_the_output_bound)
{
    struct wa_node *ping = line_stanza(&line, "iq");
    char id[1001];
    memset(id, 'x', 1000);
    id[1000] = '\0';
    wa_node_set(ping, "id", id);
    wa_node_set(ping, "type", "get");
    wa_node_set(ping, "xmlns", "urn:xmpp:ping");
    struct wa_event ev = {0};
    for (int i = 0; i < 40000 && ev.type != WA_EVENT_CLOSED; i++) {
        say(ping);
        next(&ev);
    }
    ck_assert_int_eq((int)ev.type, WA_EVENT_CLOSED);
    ck_assert_uint_le(wa_session_output(line.session)->n, OUTPUT_MAX);
    ck_assert_uint_gt(wa_session_output(line.session)->n, OUTPUT_MAX - 2000);
}
END_TEST

/* ---- large stanzas -----------------------------------------------------------------------------
 */

/* A deflated stanza of n zeros behind its flag byte. */
static void say_deflated_zeros(size_t n)
{
    uint8_t *plain = err_calloc(1, n);
    uLongf packed = compressBound((uLong)n);
    uint8_t *stanza = err_malloc(packed + 1);
    stanza[0] = 2;
    ck_assert_int_eq(compress2(stanza + 1, &packed, plain, (uLong)n, 9), Z_OK);
    free(plain);
    line_say_plain(&line, BYTES(stanza, packed + 1));
    free(stanza);
}

/* 16 KiB on the wire, more than WA_STANZA_MAX inside. What was inflated until then, its growth and
 * the test's own copy are below 4 x 16 MiB. */
START_TEST(test_stanza_inflate_bomb_closes_within_memory)
{
    long before = peak_kib();
    say_deflated_zeros(WA_STANZA_MAX + 1);
    expect_protocol_close();
    assert_grew_less(before, 4 * WA_STANZA_MAX + 8 * MIB);
}
END_TEST

/* <message> with a list of n empty nodes: list head, then 2 bytes and more for each. */
static void say_tiny_nodes(size_t lists, size_t per_list)
{
    struct buf stanza = {.max = 4 * MIB};
    buf_append(&stanza, testing_unhex("00f80213f8"));
    buf_append_u8(&stanza, (uint8_t)lists);
    for (size_t i = 0; i < lists; i++) {
        buf_append(&stanza, testing_unhex("f80213f9"));
        buf_append_be(&stanza, 2, (uint32_t)per_list);
        for (size_t j = 0; j < per_list; j++)
            buf_append(&stanza, BYTES("\xf8\x01\x13", 3));
    }
    line_say_plain(&line, buf_bytes(&stanza));
    buf_deinit(&stanza);
}

/* WA_NODE_ITEMS_MAX nodes at most. A node is some 100 bytes, so 200000 are below 32 MiB. */
START_TEST(test_stanza_of_tiny_nodes_is_bounded)
{
    long before = peak_kib();
    say_tiny_nodes(4, WA_NODE_ITEMS_MAX / 4 - 10);
    expect_quiet();
    assert_grew_less(before, 40 * MIB);
    say_tiny_nodes(4, WA_NODE_ITEMS_MAX / 4);
    expect_protocol_close();
    assert_grew_less(before, 40 * MIB);
}
END_TEST

/* An answer to a device query that names 40000 users with a companion each. */
START_TEST(test_usync_answer_of_countless_users_is_bounded)
{
    struct wa_outgoing m = {.id = "3EB0AA", .to = jid("222222222222222@lid")};
    m.text.text = bytes_text("hello");
    ck_assert_int_eq(wa_session_send(line.session, &m), 0);
    struct wa_node *query = hear_tag("iq"), *iq = line_stanza(&line, "iq");
    wa_node_copy_attr(iq, query, "id");
    wa_node_set(iq, "type", "result");
    struct wa_node *list = wa_node_child(wa_node_child(iq, "usync"), "list"), *last = NULL;
    struct wa_jid stranger = jid("333333333333333@lid");
    for (int i = 0; i < 40000; i++) {
        struct wa_node *user = line_stanza(&line, "user");
        wa_node_set_jid(user, "jid", &stranger);
        wa_node_child(user, "devices");
        if (last)
            last->next = user;
        else
            wa_node_append(list, user);
        last = user;
    }
    long before = peak_kib();
    say(iq);
    expect_quiet();
    assert_grew_less(before, 64 * MIB);
    ck_assert(wa_node_find(hear_tag("iq"), "key") != NULL); /* it went on to ask for the bundles */
}
END_TEST

/* ---- requests without end ----------------------------------------------------------------------
 */

static struct wa_node *prekey_count(void)
{
    struct wa_node *n = line_stanza(&line, "notification");
    wa_node_set(n, "id", "n1");
    wa_node_set(n, "type", "encrypt");
    set_jid(n, "from", "s.whatsapp.net");
    wa_node_set(wa_node_child(n, "count"), "value", "0");
    return n;
}

/* One upload is under way at a time: the rest is answered with an ack of some 30 bytes. */
START_TEST(test_prekey_count_repeated_uploads_once)
{
    size_t uploads = 0;
    for (int i = 0; i < 1000; i++) {
        say(prekey_count());
        expect_quiet();
    }
    ck_assert_uint_lt(wa_session_output(line.session)->n, 1000 * 64 + 64 * 1024);
    for (struct wa_node *node; (node = line_hear(&line));)
        uploads += wa_node_is(node, "iq");
    ck_assert_uint_eq(uploads, 1);
    ck_assert_uint_eq(fake_host_count(&line.mem, WA_TABLE_PREKEY), WA_PREKEYS_REFILL);
}
END_TEST

/* Even when each upload is confirmed, at most WA_PREKEYS_KEPT keys are stored. */
START_TEST(test_prekey_count_answered_without_end_keeps_a_fixed_number)
{
    for (int i = 0; i < WA_PREKEYS_KEPT / WA_PREKEYS_REFILL + 20; i++) {
        say(prekey_count());
        expect_quiet();
        struct wa_node *upload = hear_tag("iq"), *answer = line_stanza(&line, "iq");
        wa_node_copy_attr(answer, upload, "id");
        wa_node_set(answer, "type", "result");
        line_forget_output(&line);
        say(answer);
        expect_quiet();
        ck_assert_uint_le(fake_host_count(&line.mem, WA_TABLE_PREKEY), WA_PREKEYS_KEPT);
    }
    ck_assert_uint_eq(fake_host_count(&line.mem, WA_TABLE_PREKEY), WA_PREKEYS_KEPT);
}
END_TEST

/* Broken messages, each with an id of its own: one retry receipt and one ack each, no more than
 * WA_RETRY_RECORDS counters, no key given away. */
START_TEST(test_undecryptable_without_end_keeps_a_fixed_number_of_counters)
{
    for (int i = 0; i < WA_RETRY_RECORDS * 2; i++) {
        char id[16];
        snprintf(id, sizeof(id), "3A%d", i);
        struct wa_node *node = line_stanza(&line, "message");
        wa_node_set(node, "id", id);
        wa_node_set(node, "t", "1780000001");
        set_jid(node, "from", "222222222222222@lid");
        wa_node_set(wa_node_child_data(node, "enc", bytes_text("\x33junkjunkjunk")), "type", "msg");
        say(node);
        struct wa_event ev = expect(WA_EVENT_MESSAGE);
        ck_assert_uint_eq(ev.u.message.retry, 1);
        ck_assert(wa_node_attr_is(hear_tag("receipt"), "type", "retry"));
        hear_tag("ack");
        ck_assert(!line_hear(&line));
        arena_reset(&line.arena);
    }
    ck_assert_uint_le(fake_host_count(&line.mem, WA_TABLE_RETRY), WA_RETRY_RECORDS);
    ck_assert_uint_eq(fake_host_count(&line.mem, WA_TABLE_PREKEY), 0);
}
END_TEST

/* A device asks for the same message again and again: one ack each, nothing stored, and a few
 * events in all. */
START_TEST(test_retry_requests_without_end_store_nothing)
{
    size_t puts = line.mem.puts, events = 0;
    struct wa_event ev;
    for (int i = 0; i < 10000; i++) {
        struct wa_node *node = line_stanza(&line, "receipt"), *retry;
        wa_node_set(node, "id", "3EB0AA");
        wa_node_set(node, "type", "retry");
        set_jid(node, "from", "222222222222222:4@lid");
        retry = wa_node_child(node, "retry");
        wa_node_set(retry, "id", "3EB0AA");
        wa_node_set(retry, "count", i % 2 ? "1" : "5");
        say(node);
        while (next(&ev)) {
            ck_assert_int_eq((int)ev.type, WA_EVENT_RESEND);
            events++;
        }
        hear_tag("ack");
        ck_assert(!line_hear(&line));
        arena_reset(&line.arena);
    }
    ck_assert_uint_eq(line.mem.puts, puts);
    ck_assert_uint_eq(events, WA_RESENDS_OF_ONE);
}
END_TEST

/* Orders that need a question of ours: WA_IQ_PENDING_MAX questions, then the session ends. */
START_TEST(test_dirty_without_end_closes_when_too_much_is_asked)
{
    struct wa_node *ib = line_stanza(&line, "ib"), *dirty = wa_node_child(ib, "dirty");
    wa_node_set(dirty, "type", "groups");
    struct wa_event ev = {0};
    for (int i = 0; i < 2000 && ev.type != WA_EVENT_CLOSED; i++) {
        say(ib);
        next(&ev);
    }
    ck_assert_int_eq((int)ev.type, WA_EVENT_CLOSED);
    ck_assert_uint_lt(wa_session_output(line.session)->n, MIB);
}
END_TEST

/* Sixteen refs of 512 bytes are kept of any number of any size. */
START_TEST(test_pairing_refs_without_end_are_bounded)
{
    struct wa_node *iq = line_stanza(&line, "iq"), *pair = wa_node_child(iq, "pair-device");
    uint8_t ref[600];
    memset(ref, 'r', sizeof(ref));
    wa_node_set(iq, "id", "1");
    wa_node_set(iq, "type", "set");
    for (int i = 0; i < 1000; i++)
        wa_node_child_data(pair, "ref", BYTES(ref, i % 2 ? sizeof(ref) : 512));
    say(iq);
    unsigned shown = 0;
    struct wa_event ev = {.type = WA_EVENT_QR};
    for (int i = 0; i < 200 && ev.type == WA_EVENT_QR; i++) {
        while (next(&ev) && ev.type == WA_EVENT_QR)
            shown++;
        line.mem.now_ms = wa_session_deadline(line.session);
        line_say_plain(&line, BYTES("\x00\xf8\x01\x1f", 4)); /* else it would be silent */
    }
    ck_assert_str_eq(wa_close_code(ev.u.closed.why), wa_close_code(WA_CLOSE_PAIRING_TIMEOUT));
    ck_assert_uint_eq(shown, 16);
}
END_TEST

/* ---- who wrote what ----------------------------------------------------------------------------
 */

static void put_field(struct buf *out, uint32_t field, struct bytes data)
{
    uint32_t numbers[] = {field << 3 | 2, (uint32_t)data.n};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        for (; numbers[i] > 127; numbers[i] >>= 7)
            buf_append_u8(out, (uint8_t)(numbers[i] | 128));
        buf_append_u8(out, (uint8_t)numbers[i]);
    }
    buf_append(out, data);
}

/* data as one field, in the line's arena. */
static struct bytes field(uint32_t number, struct bytes data)
{
    struct buf out = {.max = MIB};
    put_field(&out, number, data);
    struct bytes kept = arena_copy(&line.arena, buf_bytes(&out));
    buf_deinit(&out);
    return kept;
}

static struct bytes join(struct bytes a, struct bytes b)
{
    struct buf out = {.max = MIB};
    buf_append(&out, a);
    buf_append(&out, b);
    struct bytes kept = arena_copy(&line.arena, buf_bytes(&out));
    buf_deinit(&out);
    return kept;
}

#define MESSAGE_CONVERSATION 1
#define MESSAGE_SENDER_KEY 2
#define MESSAGE_PROTOCOL 12
#define MESSAGE_DEVICE_SENT 31
#define MESSAGE_EPHEMERAL 40

static struct bytes plain_text(const char *text)
{
    return field(MESSAGE_CONVERSATION, bytes_text(text));
}

static struct wa_node *from_peer(const char *id, struct bytes message)
{
    struct wa_node *node = line_message(&line, &peer, id, message);
    wa_node_set_jid(node, "from", &peer.lid);
    return node;
}

static void meet(void)
{
    setup();
    line_meet(&line, &peer);
}

static void part(void)
{
    line_part(&peer);
    teardown();
}

static void expect_only_receipt(const char *id)
{
    expect_quiet();
    ck_assert(wa_node_attr_is(hear_tag("receipt"), "id", id));
    ck_assert(!line_hear(&line));
}

/* DeviceSentMessage {destinationJid, message}: "you wrote this to your bank". */
START_TEST(test_device_sent_from_a_stranger_is_no_message)
{
    struct bytes sent =
        join(field(1, bytes_text("49151@s.whatsapp.net")), field(2, plain_text("pay him")));
    say(from_peer("3A01", field(MESSAGE_DEVICE_SENT, sent)));
    expect_only_receipt("3A01");
}
END_TEST

/* ProtocolMessage {type HISTORY_SYNC_NOTIFICATION, historySyncNotification}. */
START_TEST(test_history_sync_from_a_stranger_is_no_message_and_gets_no_hist_sync)
{
    struct bytes history = join(testing_unhex("1005"), field(6, BYTES("", 0)));
    say(from_peer("3A02", field(MESSAGE_PROTOCOL, history)));
    expect_only_receipt("3A02");
}
END_TEST

START_TEST(test_sender_key_outside_a_group_is_not_stored)
{
    struct bytes key = join(field(1, bytes_text("120363000000000001@g.us")),
                            field(2, BYTES_ARRAY(peer.device.identity.pub)));
    say(from_peer("3A03", join(field(MESSAGE_SENDER_KEY, key), plain_text("hi"))));
    expect(WA_EVENT_MESSAGE);
    ck_assert_uint_eq(fake_host_count(&line.mem, WA_TABLE_SENDER_KEY), 0);
}
END_TEST

/* A member of one group names another group: the key is filed under where it came from. */
START_TEST(test_sender_key_for_another_group_stays_in_its_own)
{
    struct wa_jid here = jid("120363000000000001@g.us"), there = jid("120363000000000002@g.us");
    struct buf sealed = {.max = 4096}, skdm = {.max = 4096};
    ck_assert_int_eq(
        wa_signal_group_encrypt(peer.signal, &there, &peer.lid, bytes_text("x\1"), &sealed, &skdm),
        0);
    struct bytes key =
        join(field(1, bytes_text("120363000000000002@g.us")), field(2, buf_bytes(&skdm)));
    struct wa_node *node = from_peer("3A04", field(MESSAGE_SENDER_KEY, key));
    wa_node_set_jid(node, "from", &here);
    wa_node_set_jid(node, "participant", &peer.lid);
    say(node);
    expect_quiet();
    ck_assert_uint_eq(fake_host_count(&line.mem, WA_TABLE_SENDER_KEY), 1);
    ck_assert(fake_host_has(&line.mem, WA_TABLE_SENDER_KEY,
                            "120363000000000001@g.us/222222222222222_1:0"));
    buf_deinit(&sealed);
    buf_deinit(&skdm);
}
END_TEST

/* recipient is for copies of our own; from a stranger it moves nothing. */
START_TEST(test_recipient_of_a_stranger_does_not_choose_the_chat)
{
    struct wa_node *node = from_peer("3A05", plain_text("hi"));
    set_jid(node, "recipient", "49151@s.whatsapp.net");
    set_jid(node, "peer_recipient_pn", "49151@s.whatsapp.net");
    say(node);
    struct wa_event ev = expect(WA_EVENT_MESSAGE);
    ck_assert(wa_jid_equal(&ev.u.message.chat, &peer.lid) && !ev.u.message.from_me);
    ck_assert(wa_jid_is_none(&ev.u.message.chat_pn));
}
END_TEST

/* The stanza says that our phone wrote it, and names the session of the one who did. */
START_TEST(test_own_account_with_the_session_of_a_stranger_does_not_open)
{
    static const struct {
        const char *from, *participant, *key;
    } cases[] = {{"5511987654321@s.whatsapp.net", NULL, "sender_lid"},
                 {"123456789012345@lid", NULL, "sender_lid"},
                 {"120363000000000001@g.us", "5511987654321@s.whatsapp.net", "participant_lid"},
                 {"120363000000000001@g.us", "123456789012345@lid", "participant_pn"}};
    uint8_t phone[WA_KEY_LEN] = {9};
    struct wa_jid own = wa_jid_bare(&line.device.lid);
    struct wa_signal *ours = wa_signal_open(&line.device, &line.mem.host);
    ck_assert_int_eq(wa_signal_set_identity(ours, &own, phone), 0); /* as pairing does */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t known[WA_KEY_LEN];
        struct wa_node *node = line_message(&line, &peer, "3A06", plain_text("pay him"));
        set_jid(node, "from", cases[i].from);
        if (cases[i].participant)
            set_jid(node, "participant", cases[i].participant);
        wa_node_set_jid(node, cases[i].key, &peer.lid);
        say(node);
        struct wa_event ev = expect(WA_EVENT_MESSAGE);
        ck_assert_int_eq((int)ev.u.message.content->kind, WA_KIND_UNDECRYPTABLE);
        ck_assert_str_eq(ev.u.message.fault, "untrusted identity");
        ck_assert_int_eq(wa_signal_get_identity(ours, &own, known), 1);
        ck_assert(memcmp(known, phone, WA_KEY_LEN) == 0);
        line_forget_output(&line);
    }
    ck_assert_uint_eq(fake_host_count(&line.mem, WA_TABLE_SESSION), 0);
    wa_signal_close(ours);
}
END_TEST

/* sender_pn of a stranger is our own number: nobody becomes us. */
START_TEST(test_own_number_as_alternative_of_a_stranger_is_not_learnt)
{
    struct wa_node *node = from_peer("3A07", plain_text("hi"));
    set_jid(node, "sender_pn", "5511987654321@s.whatsapp.net");
    say(node);
    struct wa_event ev = expect(WA_EVENT_MESSAGE);
    ck_assert(!ev.u.message.from_me);
    ck_assert(wa_jid_is_none(&ev.u.message.sender_pn) && wa_jid_is_none(&ev.u.message.chat_pn));
    ck_assert_uint_eq(fake_host_count(&line.mem, WA_TABLE_PN_OF_LID), 0);
    ck_assert_uint_eq(fake_host_count(&line.mem, WA_TABLE_LID_OF_PN), 0);
}
END_TEST

static struct wa_jid sender_pn_of_message(const char *id, const char *pn)
{
    struct wa_node *node = from_peer(id, plain_text("hi"));
    if (pn)
        set_jid(node, "sender_pn", pn);
    say(node);
    struct wa_jid told = expect(WA_EVENT_MESSAGE).u.message.sender_pn;
    line_forget_output(&line);
    return told;
}

/* More names than are kept beside the records: what is told is what the last one said. */
START_TEST(test_second_name_that_changes_is_told_as_it_is_now)
{
    for (int i = 0; i < 20; i++) {
        char pn[64], with[32], without[32];
        struct buf stored = {.max = 64};
        snprintf(pn, sizeof(pn), "49151%04d@s.whatsapp.net", i);
        snprintf(with, sizeof(with), "3A10%04d", i);
        snprintf(without, sizeof(without), "3A11%04d", i);
        struct wa_jid told = sender_pn_of_message(with, pn);
        struct wa_jid again = sender_pn_of_message(without, NULL);
        ck_assert(wa_jid_equal(&told, &again));
        ck_assert_uint_eq(strlen(told.user), 9);
        ck_assert(strncmp(told.user, pn, 9) == 0);
        ck_assert_int_eq(
            line.mem.host.get(line.mem.host.ctx, WA_TABLE_PN_OF_LID, peer.lid.user, &stored), 1);
        ck_assert_str_eq(buf_text(&stored), told.user);
        buf_deinit(&stored);
    }
}
END_TEST

/* sender_pn that is a LID or a group: no second name, and no other session. */
START_TEST(test_alternative_of_the_wrong_kind_is_ignored)
{
    static const char *const wrong[] = {"333333333333333@lid", "120363000000000001@g.us"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct wa_node *node = from_peer(i ? "3A09" : "3A08", plain_text("hi"));
        set_jid(node, "sender_pn", wrong[i]);
        say(node);
        struct wa_event ev = expect(WA_EVENT_MESSAGE);
        ck_assert_int_eq((int)ev.u.message.content->kind, WA_KIND_TEXT);
        ck_assert(wa_jid_equal(&ev.u.message.sender_lid, &peer.lid));
        ck_assert(wa_jid_is_none(&ev.u.message.sender_pn));
    }
    ck_assert(fake_host_has(&line.mem, WA_TABLE_SESSION, "222222222222222_1:0"));
    ck_assert_uint_eq(fake_host_count(&line.mem, WA_TABLE_SESSION), 1);
}
END_TEST

/* Wrapped WA_WRAPPERS_MAX deep is read, one deeper or 100000 deep is refused: the payload is a
 * chain of byte fields, and the levels below the bound are never unpacked. */
START_TEST(test_message_nested_too_deep_is_refused_unread)
{
    static const struct {
        int depth;
        bool read;
    } cases[] = {{WA_WRAPPERS_MAX, true}, {WA_WRAPPERS_MAX + 1, false}, {20000, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes message = plain_text("deep");
        for (int depth = 0; depth < cases[i].depth; depth++) {
            struct arena old = line.arena;
            line.arena = (struct arena){0};
            message = field(MESSAGE_EPHEMERAL, field(1, message));
            arena_deinit(&old);
        }
        long before = peak_kib();
        say(from_peer("3A10", message));
        struct wa_event ev = expect(WA_EVENT_MESSAGE);
        ck_assert_int_eq((int)ev.u.message.content->kind,
                         cases[i].read ? WA_KIND_TEXT : WA_KIND_UNDECRYPTABLE);
        if (!cases[i].read)
            ck_assert(wa_node_attr_is(hear_tag("ack"), "error", "491"));
        line_forget_output(&line);
        assert_grew_less(before, 8 * MIB);
    }
}
END_TEST

static void add(Suite *suite, const char *name, void (*before)(void), void (*after)(void),
                const TTest *const *tests, size_t count)
{
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, before, after);
    tcase_set_timeout(tc, 60);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
}

int main(void)
{
    Suite *suite = suite_create("wa hostile");
#define GROUP(name, before, after, ...)                                                            \
    do {                                                                                           \
        const TTest *const list[] = {__VA_ARGS__};                                                 \
        add(suite, name, before, after, list, ARRAY_LEN(list));                                    \
    } while (0)
    GROUP("frames", setup, teardown, test_feed_replayed_frame_closes,
          test_feed_counter_reused_for_another_frame_closes, test_feed_skipped_counter_closes,
          test_cipher_used_up_is_refused, test_feed_empty_frame_closes,
          test_feed_endless_small_frames_cost_nothing,
          test_feed_dripped_frame_closes_as_a_dead_line, test_feed_frame_announced_too_long_closes,
          test_feed_endless_pings_unread_end_at_the_output_bound);
    GROUP("large", setup, teardown, test_stanza_inflate_bomb_closes_within_memory,
          test_stanza_of_tiny_nodes_is_bounded, test_usync_answer_of_countless_users_is_bounded);
    GROUP("endless", setup, teardown, test_prekey_count_repeated_uploads_once,
          test_prekey_count_answered_without_end_keeps_a_fixed_number,
          test_undecryptable_without_end_keeps_a_fixed_number_of_counters,
          test_retry_requests_without_end_store_nothing,
          test_dirty_without_end_closes_when_too_much_is_asked);
    GROUP("unlinked", setup_unlinked, teardown, test_pairing_refs_without_end_are_bounded);
    GROUP("who", meet, part, test_device_sent_from_a_stranger_is_no_message,
          test_history_sync_from_a_stranger_is_no_message_and_gets_no_hist_sync,
          test_sender_key_outside_a_group_is_not_stored,
          test_sender_key_for_another_group_stays_in_its_own,
          test_recipient_of_a_stranger_does_not_choose_the_chat,
          test_own_account_with_the_session_of_a_stranger_does_not_open,
          test_own_number_as_alternative_of_a_stranger_is_not_learnt,
          test_second_name_that_changes_is_told_as_it_is_now,
          test_alternative_of_the_wrong_kind_is_ignored,
          test_message_nested_too_deep_is_refused_unread);
    return testing_run(suite);
}
