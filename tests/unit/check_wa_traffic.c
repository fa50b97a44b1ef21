/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What goes on in years of messages: what cannot be read and is had otherwise, lists, grouped
 * receipts, requests to send again, devices and identities that change, keys that are renewed.
 */
#include "testing.h"

#include "wa_line.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "wa/crypto.h"
#include "wa/devices.h"
#include "wa/pb.h"
#include "wa/prekeys.h"
#include "wa/proto/message.pb-c.h"
#include "wa/resends.h"

#define GROUP_JID "120363000000000001@g.us"
#define PEER_LID "222222222222222@lid"
#define PEER_PN "4915112345678@s.whatsapp.net"

static struct line line;
static struct line_peer peer, phone;

static void setup(void)
{
    line_open(&line, true);
    line_login(&line);
    line_meet(&line, &peer);
    line_meet(&line, &phone);
    phone.lid = wa_jid_make(WA_SERVER_LID, "123456789012345", 0);
    phone.pn = wa_jid_make(WA_SERVER_PN, "5511987654321", 0);
}

static void teardown(void)
{
    line_part(&peer);
    line_part(&phone);
    line_close(&line);
}

/* ---- words -------------------------------------------------------------------------------------
 */

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

static bool attr_is_jid(const struct wa_node *node, const char *key, const char *want)
{
    struct wa_jid got, wanted = jid(want);
    return wa_node_attr_jid(node, key, &got) && wa_jid_equal(&got, &wanted);
}

static struct wa_event expect(enum wa_event_type type)
{
    struct wa_event ev;
    ck_assert_msg(wa_session_next(line.session, &ev) == 1, "no event, wanted %d", (int)type);
    ck_assert_int_eq((int)ev.type, (int)type);
    return ev;
}

static void expect_quiet(void)
{
    struct wa_event ev;
    ck_assert_msg(wa_session_next(line.session, &ev) == 0, "unexpected event %d", (int)ev.type);
}

static void say(const struct wa_node *node)
{
    ck_assert(line_say(&line, node));
}

static struct wa_node *hear_tag(const char *tag)
{
    struct wa_node *node = line_hear(&line);
    ck_assert_msg(node && wa_node_is(node, tag), "wanted <%s>, heard <%.*s>", tag,
                  node ? (int)node->tag.n : 4, node ? (const char *)node->tag.p : "none");
    return node;
}

static void hear_nothing(void)
{
    struct wa_node *node = line_hear(&line);
    ck_assert_msg(!node, "heard <%.*s>", node ? (int)node->tag.n : 0,
                  node ? (const char *)node->tag.p : "");
}

static struct wa_node *result(const struct wa_node *request)
{
    struct wa_node *iq = line_stanza(&line, "iq");
    wa_node_copy_attr(iq, request, "id");
    wa_node_set_jid(iq, "from", &(struct wa_jid){.server = WA_SERVER_PN});
    wa_node_set(iq, "type", "result");
    return iq;
}

static struct bytes text_message(const char *text)
{
    static uint8_t bytes[200];
    struct buf out = {.max = sizeof(bytes)};
    struct wa_text t = {.text = bytes_text(text)};
    ck_assert_int_eq(wa_message_build_text(&out, &t), 0);
    memcpy(bytes, out.p, out.n);
    struct bytes made = BYTES(bytes, out.n);
    buf_deinit(&out);
    return made;
}

/* A text of the contact arrives, and a session stands. */
static void greet(void)
{
    struct wa_node *m = line_message(&line, &peer, "3A00", text_message("hello"));
    set_jid(m, "from", PEER_LID);
    set_jid(m, "sender_pn", PEER_PN);
    say(m);
    expect(WA_EVENT_MESSAGE);
    expect_quiet();
    line_forget_output(&line);
}

/* The same with our own phone; it writes to itself. */
static void greet_phone(void)
{
    struct wa_node *m = line_message(&line, &phone, "3A000", text_message("note"));
    set_jid(m, "from", "123456789012345@lid");
    say(m);
    expect(WA_EVENT_MESSAGE);
    expect_quiet();
    line_forget_output(&line);
}

/* ---- lists ------------------------------------------------------------------------------------
 */

START_TEST(test_message_broadcast_list_stands_in_the_chat_with_its_author)
{
    struct wa_node *m = line_message(&line, &peer, "3A01", text_message("to all of you"));
    set_jid(m, "from", "1700000000@broadcast");
    set_jid(m, "participant", PEER_LID);
    set_jid(m, "participant_pn", PEER_PN);
    say(m);
    struct wa_event ev = expect(WA_EVENT_MESSAGE);
    struct wa_jid lid = jid(PEER_LID), pn = jid(PEER_PN);
    ck_assert(wa_jid_equal(&ev.u.message.chat, &lid));
    ck_assert(wa_jid_equal(&ev.u.message.chat_pn, &pn));
    ck_assert(!ev.u.message.group && !ev.u.message.from_me);
    struct wa_node *receipt = hear_tag("receipt");
    ck_assert(attr_is_jid(receipt, "to", "1700000000@broadcast"));
    ck_assert(attr_is_jid(receipt, "participant", PEER_LID));
}
END_TEST

START_TEST(test_message_status_is_receipted_as_status)
{
    struct wa_node *m = line_message(&line, &peer, "3A01", text_message("my day"));
    set_jid(m, "from", "status@broadcast");
    set_jid(m, "participant", PEER_LID);
    say(m);
    struct wa_event ev = expect(WA_EVENT_MESSAGE);
    ck_assert_int_eq((int)ev.u.message.chat.server, WA_SERVER_BROADCAST);
    struct wa_node *receipt = hear_tag("receipt");
    ck_assert(wa_node_attr_is(receipt, "context", "status"));
    ck_assert(!wa_node_attr(receipt, "type").p);
}
END_TEST

/* ---- what cannot be read ------------------------------------------------------------------------
 */

static struct wa_node *unavailable(const char *id, const char *type)
{
    struct wa_node *m = line_stanza(&line, "message");
    wa_node_set(m, "id", id);
    wa_node_set(m, "t", "1779999990");
    set_jid(m, "from", PEER_LID);
    struct wa_node *child = wa_node_child(m, "unavailable");
    if (type)
        wa_node_set(child, "type", type);
    return m;
}

/* What our session sent to the phone, as the phone opens it. */
static Wa__ProtocolMessage *protocol_at_phone(const struct wa_node *message, int32_t type)
{
    struct buf plain = {.max = 4096};
    enum wa_signal_fault fault;
    enum wa_enc_type enc_type;
    const struct wa_node *enc = wa_node_find(message, "enc");
    ck_assert_int_eq(wa_enc_parse(wa_node_attr(enc, "type"), &enc_type), 0);
    ck_assert_int_eq(
        wa_signal_decrypt(phone.signal, &phone.us, enc_type, wa_node_data(enc), &plain, &fault), 0);
    struct bytes padded = buf_bytes(&plain);
    ck_assert_int_eq(wa_padding_remove(&padded), 0);
    AUTO_PB Wa__Message *m = wa_pb_unpack(&wa__message__descriptor, padded);
    ck_assert(m && m->has_protocol_message);
    Wa__ProtocolMessage *p =
        wa_pb_unpack(&wa__protocol_message__descriptor, wa_pb_bytes(m->protocol_message));
    ck_assert(p && p->type == type);
    buf_deinit(&plain);
    return p;
}

static Wa__PeerDataOperationRequestMessage *opened_by_phone(const struct wa_node *message)
{
    AUTO_PB Wa__ProtocolMessage *p = protocol_at_phone(message, 16);
    Wa__PeerDataOperationRequestMessage *request =
        wa_pb_unpack(&wa__peer_data_operation_request_message__descriptor,
                     wa_pb_bytes(p->peer_data_operation_request_message));
    ck_assert(request != NULL);
    return request;
}

START_TEST(test_message_unavailable_is_recorded_acked_and_asked_of_the_phone_once)
{
    greet_phone();
    for (int time = 0; time < 2; time++) {
        say(unavailable("3A02", NULL));
        struct wa_event ev = expect(WA_EVENT_MESSAGE);
        ck_assert_int_eq((int)ev.u.message.content->kind, WA_KIND_UNDECRYPTABLE);
        ck_assert_str_eq(ev.u.message.fault, "not sent to linked devices");
        if (time == 0) {
            struct wa_node *peer_message = hear_tag("message");
            ck_assert(wa_node_attr_is(peer_message, "category", "peer"));
            ck_assert(attr_is_jid(peer_message, "to", "5511987654321@s.whatsapp.net"));
            ck_assert(wa_node_attr_is(wa_node_find(peer_message, "meta"), "appdata", "default"));
            ck_assert(!wa_node_find(peer_message, "participants"));
            ck_assert(!wa_node_find(peer_message, "tctoken"));
            AUTO_PB Wa__PeerDataOperationRequestMessage *r = opened_by_phone(peer_message);
            ck_assert_int_eq(r->type, 4);
            ck_assert_uint_eq(r->n_placeholder_message_resend_request, 1);
            Wa__MessageKey *key = r->placeholder_message_resend_request[0]->message_key;
            testing_assert_bytes(wa_pb_bytes(key->id), bytes_text("3A02"), "id");
            testing_assert_bytes(wa_pb_bytes(key->remote_jid), bytes_text(PEER_LID), "chat");
            ck_assert(!key->from_me && !key->has_participant);
        }
        struct wa_node *ack = hear_tag("ack");
        ck_assert(!wa_node_attr(ack, "error").p);
        hear_nothing();
    }
}
END_TEST

/* The patch of an app state whose key is not here; when its key was asked for last, in hours. */
START_TEST(test_app_state_key_is_asked_of_the_phone_once_a_day)
{
    static const struct {
        int64_t hours_ago;
        bool asked;
    } cases[] = {{-1, true}, {0, false}, {23, false}, {24, true}, {240, true}};
    const json_t *v = testing_vectors("app-state.json");
    struct bytes id = testing_hex(v, "key_id");
    unsigned sum = 0;
    for (size_t i = 0; i < id.n; i++)
        sum += id.p[i];
    char slot[16];
    snprintf(slot, sizeof(slot), "asked/%u", sum % 16);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t then[8];
        int64_t s = line.mem.now_ms / 1000 - cases[i].hours_ago * 3600;
        for (size_t b = 0; b < sizeof(then); b++)
            then[b] = (uint8_t)((uint64_t)s >> 8 * (7 - b));
        if (i > 0) {
            teardown();
            setup();
            fake_host_put(&line.mem, WA_TABLE_APP_STATE, slot, BYTES(then, sizeof(then)));
        }
        greet_phone();
        struct wa_node *n = line_stanza(&line, "notification");
        wa_node_set(n, "id", "N1");
        wa_node_set(n, "type", "server_sync");
        set_jid(n, "from", "s.whatsapp.net");
        wa_node_set(wa_node_child(n, "collection"), "name", "critical_block");
        say(n);
        expect_quiet();
        struct wa_node *asked = hear_tag("iq"), *iq = line_stanza(&line, "iq");
        wa_node_set_bytes(iq, "id", wa_node_attr(asked, "id"));
        wa_node_set(iq, "type", "result");
        struct wa_node *c = wa_node_child(wa_node_child(iq, "sync"), "collection");
        wa_node_set(c, "name", "critical_block");
        wa_node_child_data(
            wa_node_child(c, "patches"), "patch",
            testing_hex(json_array_get(json_object_get(v, "patches"), 0), "syncd_patch_proto"));
        line_forget_output(&line);
        say(iq);
        expect_quiet();
        if (!cases[i].asked) {
            hear_nothing();
            continue;
        }
        struct wa_node *message = hear_tag("message");
        ck_assert(wa_node_attr_is(message, "category", "peer"));
        ck_assert(wa_node_attr_is(message, "push_priority", "high"));
        AUTO_PB Wa__ProtocolMessage *p = protocol_at_phone(message, 7);
        ck_assert(p->app_state_sync_key_request);
        ck_assert_uint_eq(p->app_state_sync_key_request->n_key_ids, 1);
        testing_assert_bytes(wa_pb_bytes(p->app_state_sync_key_request->key_ids[0]->key_id), id,
                             "id");
    }
}
END_TEST

START_TEST(test_message_view_once_or_hosted_is_recorded_and_not_asked_for)
{
    static const struct {
        const char *type, *fault;
    } kinds[] = {{"view_once", "view once: on the phone only"},
                 {"view_once_unavailable_fanout", "view once: on the phone only"},
                 {"hosted_unavailable_fanout", "not sent to linked devices"},
                 {"bot_unavailable_fanout", "not sent to linked devices"}};
    greet_phone();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        char id[8] = "3A0";
        id[3] = (char)('1' + i);
        say(unavailable(id, kinds[i].type));
        struct wa_event ev = expect(WA_EVENT_MESSAGE);
        ck_assert_str_eq(ev.u.message.fault, kinds[i].fault);
        hear_tag("ack");
        hear_nothing();
    }
}
END_TEST

START_TEST(test_message_unavailable_long_ago_is_not_asked_for)
{
    greet_phone();
    struct wa_node *m = unavailable("3A02", NULL);
    wa_node_set(m, "t", "1770000000");
    say(m);
    expect(WA_EVENT_MESSAGE);
    hear_tag("ack");
    hear_nothing();
}
END_TEST

START_TEST(test_message_unavailable_without_end_asks_the_phone_within_bounds)
{
    size_t asked = 0;
    greet_phone();
    for (int i = 0; i < 100; i++) {
        char id[16];
        snprintf(id, sizeof(id), "3B%02d", i);
        say(unavailable(id, NULL));
        expect(WA_EVENT_MESSAGE);
        for (struct wa_node *n; (n = line_hear(&line));)
            asked += wa_node_is(n, "message");
    }
    ck_assert_uint_eq(asked, WA_RESENDS_BURST);
}
END_TEST

/* A message of the contact whose ciphertext is damaged. */
static struct wa_node *damaged(const char *id, const char *count)
{
    struct wa_node *m = line_message(&line, &peer, id, text_message("lost"));
    struct wa_node *enc = m->first;
    uint8_t *copy = arena_alloc(&line.arena, enc->data.n);
    memcpy(copy, enc->data.p, enc->data.n);
    copy[enc->data.n - 8] ^= 1; /* of the MAC, in msg and pkmsg alike */
    enc->data = BYTES(copy, enc->data.n);
    set_jid(m, "from", PEER_LID);
    if (count)
        wa_node_set(enc, "count", count);
    return m;
}

START_TEST(test_message_given_up_says_so_and_asks_the_phone)
{
    greet();
    greet_phone();
    say(damaged("3A03", "5"));
    struct wa_event ev = expect(WA_EVENT_MESSAGE);
    ck_assert_uint_eq(ev.u.message.retry, 0);
    ck_assert_msg(strstr(ev.u.message.fault, "given up after 5 retries"), "%s", ev.u.message.fault);
    ck_assert(wa_node_attr_is(hear_tag("message"), "category", "peer"));
    hear_tag("ack");
    hear_nothing();
}
END_TEST

/* The phone's answer: a text under the id that was asked for. */
static struct wa_node *phone_answer(const char *remote, const char *id, int32_t type)
{
    struct buf info = {.max = 4096}, response = {.max = 4096}, protocol = {.max = 4096},
               message = {.max = 4096};
    Wa__MessageKey key = WA__MESSAGE_KEY__INIT;
    Wa__WebMessageInfo w = WA__WEB_MESSAGE_INFO__INIT;
    Wa__PeerDataOperationRequestResponseMessage__Placeholder p =
        WA__PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE__PLACEHOLDER__INIT;
    Wa__PeerDataOperationRequestResponseMessage__Result r =
        WA__PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE__RESULT__INIT;
    Wa__PeerDataOperationRequestResponseMessage__Result *list[] = {&r};
    Wa__PeerDataOperationRequestResponseMessage m =
        WA__PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE__INIT;
    Wa__ProtocolMessage pm = WA__PROTOCOL_MESSAGE__INIT;
    Wa__Message whole = WA__MESSAGE__INIT;
    key.has_remote_jid = key.has_id = true;
    key.remote_jid = wa_pb_data(bytes_text(remote));
    key.id = wa_pb_data(bytes_text(id));
    w.key = &key;
    w.has_message = w.has_message_timestamp = w.has_push_name = true;
    w.message = wa_pb_data(text_message("found again"));
    w.message_timestamp = 1779999990;
    w.push_name = wa_pb_data(bytes_text("Ann"));
    ck_assert_int_eq(wa_pb_append(&info, &w.base), 0);
    p.has_web_message_info = true;
    p.web_message_info = wa_pb_data(buf_bytes(&info));
    r.placeholder_message_resend_response = &p;
    m.has_type = true;
    m.type = 4;
    m.n_peer_data_operation_result = 1;
    m.peer_data_operation_result = list;
    ck_assert_int_eq(wa_pb_append(&response, &m.base), 0);
    pm.has_type = true;
    pm.type = type;
    pm.has_peer_data_operation_request_response_message = true;
    pm.peer_data_operation_request_response_message = wa_pb_data(buf_bytes(&response));
    ck_assert_int_eq(wa_pb_append(&protocol, &pm.base), 0);
    whole.has_protocol_message = true;
    whole.protocol_message = wa_pb_data(buf_bytes(&protocol));
    ck_assert_int_eq(wa_pb_append(&message, &whole.base), 0);
    struct wa_node *node = line_message(&line, &phone, "3AFF", buf_bytes(&message));
    wa_node_set(node, "category", "peer");
    buf_deinit(&info);
    buf_deinit(&response);
    buf_deinit(&protocol);
    buf_deinit(&message);
    return node;
}

START_TEST(test_placeholder_answer_of_our_phone_is_a_message_of_the_contact)
{
    greet();
    struct wa_node *m = phone_answer(PEER_LID, "3A02", 17);
    set_jid(m, "from", "123456789012345@lid");
    say(m);
    struct wa_event ev = expect(WA_EVENT_MESSAGE);
    struct wa_jid pn = jid(PEER_PN);
    testing_assert_bytes(ev.u.message.id, bytes_text("3A02"), "id");
    testing_assert_bytes(ev.u.message.content->text, bytes_text("found again"), "text");
    testing_assert_bytes(ev.u.message.push_name, bytes_text("Ann"), "name");
    ck_assert(wa_jid_equal(&ev.u.message.sender_pn, &pn));
    ck_assert(!ev.u.message.from_me && !ev.u.message.fault);
    ck_assert(wa_node_attr_is(hear_tag("receipt"), "type", "peer_msg"));
    expect_quiet();
}
END_TEST

START_TEST(test_placeholder_answer_of_anybody_else_is_dropped)
{
    static const char *const from[] = {PEER_LID, "123456789012345:3@lid"};
    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        struct wa_node *m = phone_answer(PEER_LID, "3A02", 17);
        set_jid(m, "from", from[i]);
        say(m);
        expect_quiet();
    }
}
END_TEST

START_TEST(test_placeholder_answer_malformed_is_dropped)
{
    static const char *const remote[] = {"", "49151@newsletter", "no jid at all"};
    for (size_t i = 0; i < ARRAY_LEN(remote); i++) {
        struct wa_node *m = phone_answer(remote[i], "3A02", 17);
        set_jid(m, "from", "123456789012345@lid");
        say(m);
        expect_quiet();
    }
}
END_TEST

/* ---- receipts ----------------------------------------------------------------------------------
 */

static void add_user(struct wa_node *participants, const char *who, const char *t, const char *type)
{
    struct wa_node *user = wa_node_child(participants, "user");
    set_jid(user, "jid", who);
    wa_node_set(user, "t", t);
    if (type)
        wa_node_set(user, "type", type);
}

START_TEST(test_receipt_grouped_each_member_is_told)
{
    struct wa_node *receipt = line_stanza(&line, "receipt");
    wa_node_set(receipt, "id", "srv-1");
    set_jid(receipt, "from", GROUP_JID);
    struct wa_node *participants = wa_node_child(receipt, "participants");
    wa_node_set(participants, "key", "3EB0AA");
    add_user(participants, PEER_LID, "1780000005", NULL);
    add_user(participants, "333@lid", "1780000006", "read");
    add_user(participants, LINE_OWN_LID, "1780000007", "read");
    add_user(participants, "444@lid", "1780000008", "enc_rekey_retry");
    say(receipt);
    struct wa_event ev = expect(WA_EVENT_RECEIPT);
    ck_assert_int_eq((int)ev.u.receipt.type, WA_RECEIPT_DELIVERED);
    ck_assert_int_eq(ev.u.receipt.timestamp_s, 1780000005);
    testing_assert_bytes(ev.u.receipt.ids[0], bytes_text("3EB0AA"), "id");
    ev = expect(WA_EVENT_RECEIPT);
    ck_assert_int_eq((int)ev.u.receipt.type, WA_RECEIPT_READ);
    expect_quiet();
    ck_assert(wa_node_attr_is(hear_tag("ack"), "class", "receipt"));
}
END_TEST

/* ---- requests to send again ---------------------------------------------------------------------
 */

static struct wa_node *retry_receipt(const char *from, const char *id, const char *count)
{
    struct wa_node *receipt = line_stanza(&line, "receipt");
    wa_node_set(receipt, "id", id);
    wa_node_set(receipt, "type", "retry");
    set_jid(receipt, "from", from);
    struct wa_node *retry = wa_node_child(receipt, "retry");
    wa_node_set(retry, "id", id);
    wa_node_set(retry, "count", count);
    wa_node_set(retry, "v", "1");
    return receipt;
}

/* Time that passes while the server is there. */
static void pass_time(int64_t ms)
{
    struct wa_event ev;
    for (int64_t step = 9000; ms > 0; ms -= step) {
        line.mem.now_ms += ms < step ? ms : step;
        line_say_plain(&line, BYTES("\x00\xf8\x01\x1f", 4));
        while (wa_session_next(line.session, &ev) == 1)
            ck_assert_int_ne((int)ev.type, WA_EVENT_CLOSED);
        line_forget_output(&line);
    }
}

static bool asked_again(const struct wa_node *receipt)
{
    struct wa_event ev;
    bool asked = false;
    say(receipt);
    while (wa_session_next(line.session, &ev) == 1)
        asked = asked || ev.type == WA_EVENT_RESEND;
    return asked;
}

START_TEST(test_retry_requests_for_one_message_are_bounded)
{
    int asked = 0;
    greet();
    for (int i = 0; i < 20; i++)
        asked += asked_again(retry_receipt(PEER_LID, "3EB0AA", "1"));
    ck_assert_int_eq(asked, WA_RESENDS_OF_ONE);
}
END_TEST

START_TEST(test_retry_requests_of_a_chat_are_bounded_and_come_back_with_time)
{
    int asked = 0;
    char id[16];
    greet();
    for (int i = 0; i < 60; i++) {
        snprintf(id, sizeof(id), "3EB0%02d", i);
        asked += asked_again(retry_receipt(PEER_LID, id, "1"));
    }
    ck_assert_int_eq(asked, WA_RESENDS_BURST);
    pass_time(60000);
    for (int i = 60; i < 120; i++) {
        snprintf(id, sizeof(id), "3EB0%d", i);
        asked += asked_again(retry_receipt(PEER_LID, id, "1"));
    }
    ck_assert_int_eq(asked, WA_RESENDS_BURST + WA_RESENDS_PER_MINUTE);
}
END_TEST

static int session_usable(void)
{
    struct wa_jid at = jid(PEER_LID);
    struct wa_signal *signal = wa_signal_open(&line.device, &line.mem.host);
    int rc = wa_signal_has_session(signal, &at);
    wa_signal_close(signal);
    return rc;
}

START_TEST(test_retry_second_request_rebuilds_the_session_once_an_hour)
{
    greet();
    ck_assert(asked_again(retry_receipt(PEER_LID, "3EB0AA", "1")));
    ck_assert_int_eq(session_usable(), 1);
    ck_assert(asked_again(retry_receipt(PEER_LID, "3EB0AA", "2")));
    ck_assert_int_eq(session_usable(), 0);
    /* The old session still opens what comes under it, and is at work again. */
    struct wa_node *m = line_message(&line, &peer, "3A04", text_message("late"));
    set_jid(m, "from", PEER_LID);
    say(m);
    struct wa_event ev = expect(WA_EVENT_MESSAGE);
    testing_assert_bytes(ev.u.message.content->text, bytes_text("late"), "text");
    ck_assert_int_eq(session_usable(), 1);
    ck_assert(asked_again(retry_receipt(PEER_LID, "3EB0AA", "3")));
    ck_assert_int_eq(session_usable(), 1);
    pass_time(WA_REBUILD_MIN_MS);
    ck_assert(asked_again(retry_receipt(PEER_LID, "3EB0AB", "2")));
    ck_assert_int_eq(session_usable(), 0);
}
END_TEST

START_TEST(test_retry_with_another_registration_rebuilds_at_once)
{
    greet();
    struct wa_node *same = retry_receipt(PEER_LID, "3EB0AA", "1");
    wa_node_child_be(same, "registration", 4, peer.device.registration_id);
    ck_assert(asked_again(same));
    ck_assert_int_eq(session_usable(), 1);
    struct wa_node *other = retry_receipt(PEER_LID, "3EB0AB", "1");
    wa_node_child_be(other, "registration", 4, peer.device.registration_id + 1);
    ck_assert(asked_again(other));
    ck_assert_int_eq(session_usable(), 0);
}
END_TEST

/* Answers a usync query: the contact has the devices 0 and `companion` (0: none). */
static void answer_usync(const struct wa_node *iq, unsigned companion)
{
    struct wa_node *answer = result(iq);
    struct wa_node *list = wa_node_child(wa_node_child(answer, "usync"), "list");
    const struct wa_node *asked =
        wa_node_find(wa_node_find(wa_node_find(iq, "usync"), "list"), "user");
    for (; asked; asked = wa_node_next(asked, "user")) {
        struct wa_node *user = wa_node_child(list, "user");
        wa_node_copy_attr(user, asked, "jid");
        struct wa_node *devices = wa_node_child(wa_node_child(user, "devices"), "device-list");
        wa_node_set(wa_node_child(devices, "device"), "id", "0");
        if (companion)
            wa_node_set_u64(wa_node_child(devices, "device"), "id", companion);
    }
    say(answer);
}

static void answer_resend(const struct wa_event *request)
{
    struct wa_outgoing m = {.id = "3EB0AABBCCDDEEFF00112233",
                            .to = jid(PEER_LID),
                            .text = {.text = bytes_text("again")}};
    ck_assert_int_eq(wa_session_resend(line.session, request, &m), 0);
}

START_TEST(test_resend_to_an_unknown_device_asks_whether_it_exists)
{
    greet();
    for (unsigned listed = 0; listed <= 7; listed += 7) {
        say(retry_receipt("222222222222222:7@lid", "3EB0AABBCCDDEEFF00112233", "1"));
        struct wa_event ev = expect(WA_EVENT_RESEND);
        hear_tag("ack");
        answer_resend(&ev);
        struct wa_node *iq = hear_tag("iq");
        ck_assert(wa_node_attr_is(iq, "xmlns", "usync"));
        answer_usync(iq, listed);
        expect_quiet();
        if (!listed) {
            hear_nothing();
            continue;
        }
        ck_assert(wa_node_attr_is(hear_tag("iq"), "xmlns", "encrypt"));
    }
}
END_TEST

/* ---- our prekeys -------------------------------------------------------------------------------
 */

static struct wa_node *encrypt_notification(const char *child, const char *value)
{
    struct wa_node *n = line_stanza(&line, "notification");
    wa_node_set(n, "id", "n1");
    wa_node_set(n, "type", "encrypt");
    wa_node_set_jid(n, "from", &(struct wa_jid){.server = WA_SERVER_PN});
    struct wa_node *node = wa_node_child(n, child);
    if (value)
        wa_node_set(node, "value", value);
    return n;
}

static void refuse(const struct wa_node *request, const char *code)
{
    struct wa_node *iq = result(request);
    wa_node_set(iq, "type", "error");
    wa_node_set(wa_node_child(iq, "error"), "code", code);
    say(iq);
    expect_quiet();
}

static uint32_t first_prekey(const struct wa_node *upload, size_t *count)
{
    const struct wa_node *key = wa_node_find(wa_node_find(upload, "list"), "key");
    uint32_t id = 0;
    wa_node_child_be_value(key, "id", 3, &id);
    for (*count = 0; key; key = wa_node_next(key, "key"))
        ++*count;
    return id;
}

START_TEST(test_upload_failed_is_sent_again_with_the_same_keys_ever_later)
{
    static const int waits_s[] = {1, 1, 2, 3, 5, 8};
    size_t count, again;
    pass_time(2000); /* the backlog is through */
    say(encrypt_notification("count", "2"));
    expect_quiet();
    struct wa_node *upload = hear_tag("iq");
    uint32_t first = first_prekey(upload, &count);
    ck_assert_uint_eq(count, WA_PREKEYS_REFILL);
    for (size_t i = 0; i < ARRAY_LEN(waits_s); i++) {
        line_forget_output(&line);
        refuse(upload, "503");
        say(encrypt_notification("count", "2")); /* one at a time, also while it waits */
        expect_quiet();
        hear_tag("ack");
        hear_nothing();
        line.mem.now_ms += waits_s[i] * 1000 - 1;
        expect_quiet();
        hear_nothing();
        line.mem.now_ms += 1;
        expect_quiet();
        upload = hear_tag("iq");
        ck_assert_uint_eq(first_prekey(upload, &again), first);
        ck_assert_uint_eq(again, count);
    }
    say(result(upload));
    expect_quiet();
    say(encrypt_notification("count", "2"));
    expect_quiet();
    upload = hear_tag("iq");
    ck_assert_uint_eq(first_prekey(upload, &count), first + WA_PREKEYS_REFILL);
}
END_TEST

START_TEST(test_upload_refused_is_not_repeated_but_compared)
{
    size_t count;
    say(encrypt_notification("count", "0"));
    expect_quiet();
    struct wa_node *upload = hear_tag("iq");
    ck_assert(first_prekey(upload, &count) > 0);
    hear_tag("ack");
    refuse(upload, "406");
    struct wa_node *query = hear_tag("iq");
    ck_assert(wa_node_find(query, "digest") != NULL);
    refuse(query, "404");
    upload = hear_tag("iq");
    first_prekey(upload, &count);
    ck_assert_uint_eq(count, WA_PREKEYS_FIRST);
    hear_nothing();
    /* A server that never has enough is given up on until the next connection. */
    refuse(upload, "406");
    refuse(hear_tag("iq"), "404");
    hear_nothing();
}
END_TEST

START_TEST(test_digest_notification_is_compared_and_acked)
{
    static const struct {
        const char *code;
        bool uploads;
    } cases[] = {{"406", false}, {"503", false}, {"404", true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        say(encrypt_notification("digest", NULL));
        expect_quiet();
        struct wa_node *query = hear_tag("iq");
        ck_assert(wa_node_find(query, "digest") != NULL);
        hear_tag("ack");
        refuse(query, cases[i].code);
        ck_assert_int_eq(line_hear(&line) != NULL, cases[i].uploads);
    }
}
END_TEST

static void log_in_again(void)
{
    struct wa_event ev;
    struct wa_node *success = line_stanza(&line, "success");
    wa_node_set(success, "t", "1780000000");
    say(success);
    ck_assert_int_eq(wa_session_next(line.session, &ev), 1);
}

static void log_in_with_enough_prekeys(void)
{
    log_in_again();
    struct wa_node *query = hear_tag("iq"), *answer = result(query);
    ck_assert(wa_node_find(query, "count") != NULL);
    line_forget_output(&line);
    wa_node_set(wa_node_child(answer, "count"), "value", "100");
    say(answer);
    expect_quiet();
}

/* The line of setup is closed; another one with a signed prekey of that age. The rotation, if any.
 */
static struct wa_node *login_with_key_of(int64_t age_s)
{
    const uint32_t made = (uint32_t)(LINE_NOW_MS / 1000 - age_s);
    const uint8_t record[] = {(uint8_t)(made >> 24), (uint8_t)(made >> 16), (uint8_t)(made >> 8),
                              (uint8_t)made};
    line_close(&line);
    line_open_with(&line, "signed_prekey_at", BYTES_ARRAY(record));
    log_in_with_enough_prekeys();
    ck_assert(wa_node_find(hear_tag("iq"), "digest") != NULL);
    expect_quiet();
    return line_hear(&line);
}

/* A login after the prekeys were compared: are they compared again? */
static bool login_compares_after(int64_t age_s)
{
    const uint32_t at = age_s < 0 ? 0 : (uint32_t)(LINE_NOW_MS / 1000 - age_s);
    const uint8_t record[] = {(uint8_t)(at >> 24), (uint8_t)(at >> 16), (uint8_t)(at >> 8),
                              (uint8_t)at};
    line_close(&line);
    line_open_with(&line, "prekeys_checked_at", BYTES_ARRAY(record));
    log_in_with_enough_prekeys();
    struct wa_node *next = line_hear(&line);
    return next && wa_node_find(next, "digest") != NULL;
}

START_TEST(test_login_compares_prekeys_once_a_day)
{
    ck_assert(login_compares_after(-1)); /* never yet */
    ck_assert(!login_compares_after(0));
    ck_assert(!login_compares_after(86399));
    ck_assert(login_compares_after(86400));
}
END_TEST

#define DAY_S INT64_C(86400)

START_TEST(test_signed_prekey_is_rotated_after_27_days_and_the_old_one_still_opens)
{
    ck_assert_ptr_null(login_with_key_of(26 * DAY_S));
    struct wa_node *rotation = login_with_key_of(27 * DAY_S);
    ck_assert(wa_node_find(rotation, "rotate") != NULL);
    say(result(rotation));
    expect_quiet();
    struct wa_device d;
    ck_assert_int_eq(wa_device_load(&d, &line.mem.host), 1);
    ck_assert_uint_eq(d.signed_prekey.id, line.device.signed_prekey.id + 1);
    /* The contact met us before: the first message it sends is for the old key. */
    greet();
}
END_TEST

START_TEST(test_signed_prekey_rotation_failed_is_tried_again_a_day_later)
{
    static const struct {
        const char *code;
        int next_id; /* what is offered next, from the first on */
        bool compares;
    } cases[] = {{"500", 0, false}, {"406", 1, false}, {"409", 0, true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t first = 0, next = 0;
        struct wa_node *rotation = login_with_key_of(40 * DAY_S), *heard;
        wa_node_child_be_value(wa_node_find(wa_node_find(rotation, "rotate"), "skey"), "id", 3,
                               &first);
        refuse(rotation, cases[i].code);
        hear_nothing();
        line.mem.now_ms += DAY_S * 1000;
        line_say_plain(&line, BYTES("\x00\xf8\x01\x1f", 4));
        struct wa_event ev;
        while (wa_session_next(line.session, &ev) == 1)
            continue;
        for (heard = line_hear(&line); heard && !wa_node_find(heard, "rotate");)
            heard = line_hear(&line);
        ck_assert_ptr_nonnull(heard);
        wa_node_child_be_value(wa_node_find(wa_node_find(heard, "rotate"), "skey"), "id", 3, &next);
        ck_assert_int_eq((int)(next - first), cases[i].next_id);
    }
}
END_TEST

/* ---- sending -----------------------------------------------------------------------------------
 */

#define SENT_ID "3EB0AABBCCDDEEFF00112233"

static void send_text(const char *to)
{
    struct wa_outgoing m = {
        .id = SENT_ID, .to = jid(to), .text = {.text = bytes_text("hello back")}};
    ck_assert_int_eq(wa_session_send(line.session, &m), 0);
}

/* None of the devices that are asked for has keys. */
static void refuse_bundles(const struct wa_node *iq)
{
    struct wa_node *answer = result(iq), *list = wa_node_child(answer, "list");
    const struct wa_node *asked = wa_node_find(wa_node_find(iq, "key"), "user");
    for (; asked; asked = wa_node_next(asked, "user")) {
        struct wa_node *user = wa_node_child(list, "user");
        wa_node_copy_attr(user, asked, "jid");
        wa_node_set(wa_node_child(user, "error"), "code", "406");
    }
    say(answer);
    expect_quiet();
}

/* A message to the contact is on its way; the stanza. */
static struct wa_node *send_and_hear(unsigned companion)
{
    send_text(PEER_LID);
    answer_usync(hear_tag("iq"), companion);
    expect_quiet();
    for (struct wa_node *node; (node = line_hear(&line));) {
        if (wa_node_is(node, "message"))
            return node;
        refuse_bundles(node); /* our own phone and companions have no keys here */
    }
    return NULL;
}

static struct wa_node *ack_of(const struct wa_node *message, const char *error)
{
    struct wa_node *ack = line_stanza(&line, "ack");
    wa_node_set(ack, "class", "message");
    wa_node_copy_attr(ack, message, "id");
    wa_node_set(ack, "t", "1780000003");
    if (error)
        wa_node_set(ack, "error", error);
    return ack;
}

START_TEST(test_send_refused_each_code_is_handed_on_once)
{
    static const char *const codes[] = {"403", "404", "406", "421", "429", "463",
                                        "475", "479", "487", "500", "503"};
    greet();
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        pass_time(3700000); /* nothing is cached */
        struct wa_node *message = send_and_hear(0);
        ck_assert_ptr_nonnull(message);
        say(ack_of(message, codes[i]));
        struct wa_event ev = expect(WA_EVENT_ACKED);
        ck_assert_uint_eq(ev.u.ack.error, strtoul(codes[i], NULL, 10));
        expect_quiet();
        struct wa_node *token = line_hear(&line);
        ck_assert_int_eq(token != NULL, i == 5); /* a stranger is given our token, once */
    }
}
END_TEST

START_TEST(test_send_refused_by_lid_goes_once_to_the_phone_number)
{
    greet();
    struct wa_node *message = send_and_hear(0);
    ck_assert(attr_is_jid(message, "to", PEER_LID));
    for (int time = 0; time < 2; time++) {
        say(ack_of(message, "400"));
        if (time == 1)
            break;
        expect_quiet();
        answer_usync(hear_tag("iq"), 0);
        expect_quiet();
        do {
            message = line_hear(&line);
            if (!wa_node_is(message, "message"))
                refuse_bundles(message);
        } while (!wa_node_is(message, "message"));
        ck_assert(attr_is_jid(message, "to", PEER_PN));
        ck_assert(wa_node_attr_is(message, "id", SENT_ID));
        const struct wa_node *to = wa_node_find(wa_node_find(message, "participants"), "to");
        for (; to; to = wa_node_next(to, "to")) {
            struct wa_jid target;
            ck_assert(wa_node_attr_jid(to, "jid", &target) && wa_jid_is_pn(&target));
        }
    }
    ck_assert_uint_eq(expect(WA_EVENT_ACKED).u.ack.error, 400);
}
END_TEST

/* With a phash like ours, with the sending device and without it, the lists are kept. */
START_TEST(test_send_phash_of_another_set_asks_for_the_devices_again)
{
    struct wa_jid all[] = {jid(PEER_LID), jid("123456789012345@lid"), jid(LINE_OWN_LID)};
    char with[WA_PHASH_SIZE], without[WA_PHASH_SIZE];
    wa_phash(with, all, 3);
    wa_phash(without, all, 2);
    const char *const hashes[] = {with, without, "2:AAAAAAAA"};
    greet();
    struct wa_node *message = send_and_hear(0);
    for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
        struct wa_node *ack = ack_of(message, NULL);
        wa_node_set(ack, "phash", hashes[i]);
        say(ack);
        expect(WA_EVENT_ACKED);
        expect_quiet();
        line_forget_output(&line);
        send_text(PEER_LID);
        for (message = line_hear(&line); message && !wa_node_is(message, "message");) {
            if (wa_node_attr_is(message, "xmlns", "usync"))
                break;
            refuse_bundles(message);
            message = line_hear(&line);
        }
        ck_assert_int_eq(wa_node_is(message, "iq"), i == 2);
    }
}
END_TEST

START_TEST(test_send_device_without_keys_is_not_asked_for_again_and_again)
{
    greet();
    struct wa_node *message = send_and_hear(7); /* the list names a device that has no keys */
    ck_assert_ptr_nonnull(message);
    say(ack_of(message, NULL));
    expect(WA_EVENT_ACKED);
    line_forget_output(&line);
    send_text(PEER_LID);
    for (struct wa_node *n; (n = line_hear(&line)) && !wa_node_is(n, "message");) {
        ck_assert(!wa_node_attr_is(n, "xmlns", "usync"));
        const struct wa_node *user = wa_node_find(wa_node_find(n, "key"), "user");
        for (; user; user = wa_node_next(user, "user"))
            ck_assert(!attr_is_jid(user, "jid", "222222222222222:7@lid"));
        refuse_bundles(n);
    }
}
END_TEST

/* The token cannot be noted when the ack comes: the connection ends, and nothing comes after that.
 */
START_TEST(test_send_acked_while_the_store_fails_closes_and_says_no_more)
{
    greet();
    struct wa_node *message = send_and_hear(0);
    line.mem.fail_put = 1;
    say(ack_of(message, NULL));
    ck_assert_int_eq((int)expect(WA_EVENT_CLOSED).u.closed.why, WA_CLOSE_STORE);
    expect_quiet();
}
END_TEST

/* ---- identities --------------------------------------------------------------------------------
 */

static struct wa_node *identity_notification(const char *from)
{
    struct wa_node *n = line_stanza(&line, "notification");
    wa_node_set(n, "id", "n1");
    wa_node_set(n, "type", "encrypt");
    set_jid(n, "from", from);
    wa_node_child(n, "identity");
    return n;
}

START_TEST(test_identity_notification_puts_the_session_aside_and_tells)
{
    greet();
    struct wa_node *message = send_and_hear(0);
    say(ack_of(message, NULL));
    expect(WA_EVENT_ACKED);
    line_forget_output(&line); /* our token was given */
    pass_time(1000);
    say(identity_notification(PEER_PN));
    struct wa_event ev = expect(WA_EVENT_IDENTITY);
    ck_assert(wa_jid_is_pn(&ev.u.identity.user));
    expect_quiet();
    ck_assert_int_eq(session_usable(), 0);
    struct wa_node *token = hear_tag("iq");
    const struct wa_node *given = wa_node_find(wa_node_find(token, "tokens"), "token");
    uint64_t t = 0;
    ck_assert(wa_node_attr_u64(given, "t", &t) && t == LINE_NOW_MS / 1000); /* as of then */
    ck_assert(wa_node_attr_is(hear_tag("ack"), "class", "notification"));
    /* What was on its way under the old keys is still read. */
    struct wa_node *late = line_message(&line, &peer, "3A05", text_message("late"));
    set_jid(late, "from", PEER_LID);
    say(late);
    testing_assert_bytes(expect(WA_EVENT_MESSAGE).u.message.content->text, bytes_text("late"),
                         "text");
}
END_TEST

START_TEST(test_identity_notification_of_a_companion_or_ourselves_is_only_acked)
{
    static const char *const from[] = {"222222222222222:3@lid", "123456789012345@lid", GROUP_JID};
    greet();
    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        say(identity_notification(from[i]));
        expect_quiet();
        hear_tag("ack");
        hear_nothing();
    }
    ck_assert_int_eq(session_usable(), 1);
}
END_TEST

START_TEST(test_identity_of_a_new_phone_in_a_message_is_taken_and_told)
{
    struct line_peer again;
    greet();
    line_meet(&line, &again); /* the same number, other keys */
    again.mem.counter = 991;
    wa_signal_close(again.signal);
    fake_host_deinit(&again.mem);
    fake_host_init(&again.mem);
    again.mem.counter = 991;
    wa_device_generate(&again.device, &again.mem.host);
    again.signal = wa_signal_open(&again.device, &again.mem.host);
    struct wa_bundle b = {.registration_id = line.device.registration_id,
                          .signed_prekey_id = line.device.signed_prekey.id};
    memcpy(b.identity, line.device.identity.pub, WA_KEY_LEN);
    memcpy(b.signed_prekey, line.device.signed_prekey.key.pub, WA_KEY_LEN);
    memcpy(b.signed_prekey_signature, line.device.signed_prekey.signature, WA_SIGNATURE_LEN);
    ck_assert_int_eq(wa_signal_process_bundle(again.signal, &again.us, &b), 0);
    for (int time = 0; time < 2; time++) {
        struct wa_node *m =
            line_message(&line, &again, time ? "3A07" : "3A06", text_message("new phone"));
        set_jid(m, "from", PEER_LID);
        say(m);
        if (time == 0)
            expect(WA_EVENT_IDENTITY);
        testing_assert_bytes(expect(WA_EVENT_MESSAGE).u.message.content->text,
                             bytes_text("new phone"), "text");
        expect_quiet();
    }
    line_part(&again);
}
END_TEST

/* ---- order ------------------------------------------------------------------------------------
 */

/* The library opens what comes late as long as no more than 2000 keys were skipped. */
START_TEST(test_message_skipped_keys_up_to_the_bound_open_and_beyond_asks_again)
{
    static const struct {
        int skipped;
        bool opens;
    } cases[] = {{1, true}, {1990, true}, {2100, false}};
    greet();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct wa_node *first = line_message(&line, &peer, "3A10", text_message("first"));
        for (int n = 1; n < cases[i].skipped; n++)
            line_message(&line, &peer, "3A11", text_message("skipped"));
        struct wa_node *last = line_message(&line, &peer, "3A12", text_message("last"));
        set_jid(first, "from", PEER_LID);
        set_jid(last, "from", PEER_LID);
        say(last);
        struct wa_event ev = expect(WA_EVENT_MESSAGE);
        ck_assert_int_eq(ev.u.message.fault == NULL, cases[i].opens);
        struct wa_node *answer = hear_tag("receipt");
        ck_assert_int_eq(wa_node_attr_is(answer, "type", "retry"), !cases[i].opens);
        line_forget_output(&line);
        /* In either case the session is as good as before for what lies within the bound. */
        say(first);
        ev = expect(WA_EVENT_MESSAGE);
        ck_assert_ptr_null(ev.u.message.fault);
        line_forget_output(&line);
        say(first); /* a duplicate: receipted again, no event */
        expect_quiet();
        ck_assert(!wa_node_attr_is(hear_tag("receipt"), "type", "retry"));
        hear_nothing();
    }
}
END_TEST

/* ---- one person, two names ----------------------------------------------------------------------
 */

START_TEST(test_lid_learnt_in_the_middle_keeps_the_session)
{
    struct wa_node *m = line_message(&line, &peer, "3A20", text_message("by number"));
    set_jid(m, "from", PEER_PN);
    say(m);
    struct wa_event ev = expect(WA_EVENT_MESSAGE);
    ck_assert(wa_jid_is_none(&ev.u.message.chat_lid));
    m = line_message(&line, &peer, "3A21", text_message("by LID"));
    set_jid(m, "from", PEER_LID);
    set_jid(m, "sender_pn", PEER_PN);
    say(m);
    ev = expect(WA_EVENT_MESSAGE);
    ck_assert_ptr_null(ev.u.message.fault);
    struct wa_jid pn = jid(PEER_PN);
    ck_assert(wa_jid_equal(&ev.u.message.chat_pn, &pn));
    ck_assert(fake_host_has(&line.mem, WA_TABLE_SESSION, "222222222222222_1:0"));
    ck_assert(!fake_host_has(&line.mem, WA_TABLE_SESSION, "4915112345678:0"));
    m = line_message(&line, &peer, "3A22", text_message("by number again"));
    set_jid(m, "from", PEER_PN);
    say(m);
    ck_assert_ptr_null(expect(WA_EVENT_MESSAGE).u.message.fault);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wa traffic");
    const TTest *const tests[] = {
        test_message_broadcast_list_stands_in_the_chat_with_its_author,
        test_message_status_is_receipted_as_status,
        test_message_unavailable_is_recorded_acked_and_asked_of_the_phone_once,
        test_app_state_key_is_asked_of_the_phone_once_a_day,
        test_message_view_once_or_hosted_is_recorded_and_not_asked_for,
        test_message_unavailable_long_ago_is_not_asked_for,
        test_message_unavailable_without_end_asks_the_phone_within_bounds,
        test_message_given_up_says_so_and_asks_the_phone,
        test_placeholder_answer_of_our_phone_is_a_message_of_the_contact,
        test_placeholder_answer_of_anybody_else_is_dropped,
        test_placeholder_answer_malformed_is_dropped,
        test_receipt_grouped_each_member_is_told,
        test_retry_requests_for_one_message_are_bounded,
        test_retry_requests_of_a_chat_are_bounded_and_come_back_with_time,
        test_retry_second_request_rebuilds_the_session_once_an_hour,
        test_retry_with_another_registration_rebuilds_at_once,
        test_resend_to_an_unknown_device_asks_whether_it_exists,
        test_upload_failed_is_sent_again_with_the_same_keys_ever_later,
        test_upload_refused_is_not_repeated_but_compared,
        test_digest_notification_is_compared_and_acked,
        test_login_compares_prekeys_once_a_day,
        test_signed_prekey_is_rotated_after_27_days_and_the_old_one_still_opens,
        test_signed_prekey_rotation_failed_is_tried_again_a_day_later,
        test_send_refused_each_code_is_handed_on_once,
        test_send_refused_by_lid_goes_once_to_the_phone_number,
        test_send_phash_of_another_set_asks_for_the_devices_again,
        test_send_device_without_keys_is_not_asked_for_again_and_again,
        test_send_acked_while_the_store_fails_closes_and_says_no_more,
        test_identity_notification_puts_the_session_aside_and_tells,
        test_identity_notification_of_a_companion_or_ourselves_is_only_acked,
        test_identity_of_a_new_phone_in_a_message_is_taken_and_told,
        test_message_skipped_keys_up_to_the_bound_open_and_beyond_asks_again,
        test_lid_learnt_in_the_middle_keeps_the_session,
    };
    TCase *tc = tcase_create("traffic");
    tcase_add_checked_fixture(tc, setup, teardown);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    return testing_run(suite);
}
