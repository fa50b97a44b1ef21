/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every notification is acked and has its effect; every stanza with spoiled attributes is acked
 * where it can be, counted, and ends nothing. */
#include "testing.h"

#include "wa_line.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

static struct line line;

static void setup(void)
{
    line_open(&line, true);
    line_login(&line);
    line_forget_output(&line);
}

static void teardown(void)
{
    line_close(&line);
}

static struct wa_jid jid_of(const char *text)
{
    struct wa_jid jid;
    ck_assert_msg(wa_jid_parse(&jid, bytes_text(text)) == 0, "%s", text);
    return jid;
}

static void set_jid(struct wa_node *node, const char *key, const char *text)
{
    struct wa_jid jid = jid_of(text);
    wa_node_set_jid(node, key, &jid);
}

static bool next(struct wa_event *ev)
{
    return wa_session_next(line.session, ev) == 1;
}

/* Takes all events; the last CLOSED or LIMIT or MESSAGE stays in *ev. */
static int drain(struct wa_event *last)
{
    struct wa_event ev;
    int n = 0;
    while (next(&ev)) {
        *last = ev;
        n++;
    }
    return n;
}

#define CONTACT "4915112345678@s.whatsapp.net"
#define CONTACT_LID "222222222222222@lid"

static struct wa_node *notification(const char *type, const char *from)
{
    struct wa_node *n = line_stanza(&line, "notification");
    wa_node_set(n, "id", "N1");
    wa_node_set(n, "type", type);
    wa_node_set(n, "t", "1780000000");
    set_jid(n, "from", from);
    return n;
}

/* Whether the session said <ack class id=N1 …>; what else it said is forgotten. */
static bool acked(const char *class, const char *type)
{
    bool found = false;
    struct wa_node *node;
    while ((node = line_hear(&line)))
        found = found || (wa_node_is(node, "ack") && wa_node_attr_is(node, "class", class) &&
                          wa_node_attr_is(node, "id", "N1") &&
                          (!type || wa_node_attr_is(node, "type", type)));
    return found;
}

/* ---- app state ---------------------------------------------------------------------------------
 */

static void say_changed(const char *collection)
{
    struct wa_node *n = notification("server_sync", "s.whatsapp.net");
    wa_node_set(wa_node_child(n, "collection"), "name", collection);
    ck_assert(line_say(&line, n));
}

/* The session's request for app state, NULL when it made none; what else it said is forgotten. */
static struct wa_node *asked_state(void)
{
    struct wa_node *node, *found = NULL;
    while ((node = line_hear(&line)))
        if (wa_node_is(node, "iq") && wa_node_attr_is(node, "xmlns", "w:sync:app:state"))
            found = node;
    return found;
}

/* An answer with one child in the collection, NULL none. */
static void say_state(const struct wa_node *asked, const char *child, struct bytes data)
{
    struct wa_node *iq = line_stanza(&line, "iq");
    wa_node_set_bytes(iq, "id", wa_node_attr(asked, "id"));
    wa_node_set(iq, "type", "result");
    struct wa_node *c = wa_node_child(wa_node_child(iq, "sync"), "collection");
    wa_node_set(c, "name", "critical_block");
    if (child && strcmp(child, "error") == 0)
        wa_node_set_bytes(wa_node_child(c, child), "code", data);
    else if (child && strcmp(child, "patch") == 0)
        wa_node_child_data(wa_node_child(c, "patches"), child, data);
    else if (child)
        wa_node_child_data(c, child, data);
    ck_assert(line_say(&line, iq));
}

START_TEST(test_server_sync_of_what_is_not_used_asks_nothing)
{
    struct wa_event ev;
    say_changed("regular_low");
    drain(&ev);
    ck_assert_ptr_null(asked_state());
}
END_TEST

START_TEST(test_server_sync_nonsense_is_asked_thrice_and_ends_nothing)
{
    static const struct {
        const char *child, *data;
    } answers[] = {{"patch", "nonsense"}, {"snapshot", "nonsense"}, {"error", "404"}};
    struct wa_event ev;
    for (int n = 0; n < 3; n++) {
        if (n == 0)
            say_changed("critical_block");
        drain(&ev);
        const struct wa_node *asked = asked_state();
        ck_assert_ptr_nonnull(asked);
        const struct wa_node *c = wa_node_find(wa_node_find(asked, "sync"), "collection");
        ck_assert(wa_node_attr_is(c, "name", "critical_block"));
        ck_assert(wa_node_attr_is(c, "return_snapshot", "true"));
        say_state(asked, answers[_i].child, bytes_text(answers[_i].data));
    }
    drain(&ev);
    ck_assert_ptr_null(asked_state());
    ck_assert(wa_session_connected(line.session));
}
END_TEST

/* Whatever kept it from being had: a later time may have it. */
START_TEST(test_server_sync_not_to_be_had_is_asked_again_after_an_hour)
{
    struct wa_event ev;
    say_changed("critical_block");
    for (int n = 0; n < 4; n++) {
        drain(&ev);
        const struct wa_node *asked = asked_state();
        ck_assert_int_eq(asked != NULL, n == 0 || (_i == 0 && n < 3));
        if (asked && _i == 0)
            say_state(asked, "patch", bytes_text("nonsense"));
        else if (asked && _i == 1)
            say_state(asked, "error", bytes_text("500"));
        else if (asked) { /* an answer without the collection */
            struct wa_node *iq = line_stanza(&line, "iq");
            wa_node_set_bytes(iq, "id", wa_node_attr(asked, "id"));
            wa_node_set(iq, "type", "result");
            ck_assert(line_say(&line, iq));
        }
    }
    line.mem.now_ms += 3599000;
    drain(&ev);
    ck_assert_ptr_null(asked_state());
    line.mem.now_ms += 1000;
    drain(&ev);
    ck_assert_ptr_nonnull(asked_state());
}
END_TEST

/* A phone whose owner mutes chat after chat: sixty-four times an hour, and no change is lost. */
START_TEST(test_server_sync_many_changes_are_asked_for_within_bounds)
{
    struct wa_event ev;
    int times = 0;
    for (int n = 0; n < 100; n++) {
        say_changed("regular_high");
        drain(&ev);
        const struct wa_node *asked = asked_state();
        times += asked != NULL;
        if (asked) {
            struct wa_node *iq = line_stanza(&line, "iq");
            wa_node_set_bytes(iq, "id", wa_node_attr(asked, "id"));
            wa_node_set(iq, "type", "result");
            struct wa_node *c = wa_node_child(wa_node_child(iq, "sync"), "collection");
            wa_node_set(c, "name", "regular_high");
            ck_assert(line_say(&line, iq));
        }
    }
    ck_assert_int_eq(times, 64);
    line.mem.now_ms += 3600000;
    drain(&ev);
    ck_assert_ptr_nonnull(asked_state());
}
END_TEST

START_TEST(test_server_sync_nothing_new_is_over)
{
    struct wa_event ev;
    say_changed("critical_block");
    drain(&ev);
    say_state(asked_state(), NULL, BYTES_NONE);
    AUTO_BUF struct buf unasked = {.max = 100};
    buf_append_text(&unasked, "what nobody asked for");
    wa_session_file(line.session, 1, WA_FILE_CAME, &unasked);
    drain(&ev);
    ck_assert_ptr_null(asked_state());
    ck_assert(wa_session_connected(line.session));
}
END_TEST

/* Patches of the vectors: without their key they wait; once it is shared the name follows. */
START_TEST(test_server_sync_patch_with_key_is_the_name)
{
    const json_t *v = testing_vectors("app-state.json");
    const json_t *patch = json_array_get(json_object_get(v, "patches"), 0);
    struct wa_event ev;
    bool named = false;
    uint8_t data[34] = {0x0a, 32};
    memcpy(data + 2, testing_hex(v, "key_data").p, 32);
    if (_i == 1)
        fake_host_put(&line.mem, WA_TABLE_APP_STATE_KEY, testing_text(v, "key_id"),
                      BYTES_ARRAY(data));
    say_changed("critical_block");
    drain(&ev);
    say_state(asked_state(), "patch", testing_hex(patch, "syncd_patch_proto"));
    while (next(&ev))
        if (ev.type == WA_EVENT_ACCOUNT)
            named = strcmp(ev.u.account.push_name, "My Shop") == 0;
    ck_assert(named == (_i == 1));
    line_forget_output(&line);
    say_changed("critical_block");
    drain(&ev);
    ck_assert((asked_state() != NULL) == (_i == 1));
    ck_assert(wa_session_connected(line.session));
}
END_TEST

/* ---- notifications -----------------------------------------------------------------------------
 */

START_TEST(test_notification_every_type_is_acked)
{
    static const char *const types[] = {"account_sync",
                                        "business",
                                        "companion_reg_refresh",
                                        "contacts",
                                        "crsc_continuation",
                                        "devices",
                                        "digital_commerce_subscription",
                                        "disappearing_mode",
                                        "encrypt",
                                        "fb:update",
                                        "hosted",
                                        "link_code_companion_reg",
                                        "mediaretry",
                                        "mex",
                                        "newsletter",
                                        "pay",
                                        "picture",
                                        "privacy_token",
                                        "psa",
                                        "registration",
                                        "server",
                                        "server_sync",
                                        "status",
                                        "w:gp2",
                                        "w:growth",
                                        "waffle",
                                        "of tomorrow"};
    struct wa_event ev = {0};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        line_say(&line, notification(types[i], CONTACT));
        drain(&ev);
        ck_assert_msg(acked("notification", types[i]), "%s", types[i]);
        ck_assert(wa_session_connected(line.session));
    }
    ck_assert_uint_eq(wa_session_malformed(line.session), 0);
}
END_TEST

static struct wa_event say_mex(const char *json)
{
    struct wa_event ev = {.type = WA_EVENT_QR};
    struct wa_node *n = notification("mex", "s.whatsapp.net");
    wa_node_set(wa_node_child_data(n, "update", bytes_text(json)), "op_name", "x");
    line_say(&line, n);
    drain(&ev);
    ck_assert(acked("notification", "mex"));
    return ev;
}

START_TEST(test_mex_reachout_timelock_is_told)
{
    struct wa_event ev =
        say_mex("{\"data\":{\"xwa2_notify_account_reachout_timelock\":{\"is_active\":true,"
                "\"time_enforcement_ends\":\"1780086400\",\"enforcement_type\":\"BIZ_QUALITY\"}}}");
    ck_assert_int_eq((int)ev.type, WA_EVENT_LIMIT);
    ck_assert_str_eq(ev.u.limit.kind, "new_chats_locked");
    ck_assert(ev.u.limit.active && !ev.u.limit.warning);
    ck_assert_int_eq(ev.u.limit.until_s, 1780086400);
    ev = say_mex("{\"data\":{\"xwa2_notify_account_reachout_timelock\":{\"is_active\":false}}}");
    ck_assert(ev.type == WA_EVENT_LIMIT && !ev.u.limit.active && ev.u.limit.until_s == 0);
}
END_TEST

START_TEST(test_mex_capping_is_told)
{
    static const struct {
        const char *status;
        bool active, warning;
    } cases[] = {{"NONE", false, false},
                 {"FIRST_WARNING", false, true},
                 {"SECOND_WARNING", false, true},
                 {"CAPPED", true, false},
                 {"OF_TOMORROW", false, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char json[300];
        snprintf(
            json, sizeof(json),
            "{\"data\":{\"xwa2_notify_new_chat_messages_capping_info_update\":{"
            "\"capping_status\":\"%s\",\"total_quota\":10,\"cycle_end_timestamp\":1780086400}}}",
            cases[i].status);
        struct wa_event ev = say_mex(json);
        ck_assert_int_eq((int)ev.type, WA_EVENT_LIMIT);
        ck_assert_str_eq(ev.u.limit.kind, "new_chats_capped");
        ck_assert_int_eq(ev.u.limit.active, cases[i].active);
        ck_assert_int_eq(ev.u.limit.warning, cases[i].warning);
        ck_assert_int_eq(ev.u.limit.until_s, 1780086400);
    }
}
END_TEST

START_TEST(test_mex_that_cannot_be_read_is_acked_and_nothing_else)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "null",
                                        "{\"data\":7}",
                                        "{\"data\":{\"xwa2_notify_account_reachout_timelock\":[]}}",
                                        "\xff\xfe"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        ck_assert_int_eq((int)say_mex(texts[i]).type, WA_EVENT_QR);
    struct wa_event ev =
        say_mex("{\"data\":{\"xwa2_notify_account_reachout_timelock\":{\"is_active\":true,"
                "\"time_enforcement_ends\":\"-99999999999999999999\"}}}");
    ck_assert_int_eq(ev.u.limit.until_s, 0);
}
END_TEST

START_TEST(test_contacts_number_change_is_learnt)
{
    struct wa_event ev;
    fake_host_put(&line.mem, WA_TABLE_LID_OF_PN, "4915112345678", bytes_text("222222222222222"));
    fake_host_put(&line.mem, WA_TABLE_PN_OF_LID, "222222222222222", bytes_text("4915112345678"));
    struct wa_node *n = notification("contacts", CONTACT), *change = wa_node_child(n, "modify");
    set_jid(change, "old", CONTACT);
    set_jid(change, "new", "4915199999999@s.whatsapp.net");
    line_say(&line, n);
    ck_assert_int_eq(drain(&ev), 0);
    ck_assert(acked("notification", "contacts"));
    ck_assert(fake_host_has(&line.mem, WA_TABLE_LID_OF_PN, "4915199999999"));
    /* Nobody becomes us by it. */
    n = notification("contacts", CONTACT);
    change = wa_node_child(n, "modify");
    set_jid(change, "old", CONTACT);
    set_jid(change, "new", "5511987654321@s.whatsapp.net");
    line_say(&line, n);
    ck_assert_int_eq(drain(&ev), 0);
    ck_assert(!fake_host_has(&line.mem, WA_TABLE_LID_OF_PN, "5511987654321"));
}
END_TEST

/* ---- calls -------------------------------------------------------------------------------------
 */

static struct wa_node *call(const char *child, const char *from)
{
    struct wa_node *n = line_stanza(&line, "call"), *offer = wa_node_child(n, child);
    wa_node_set(n, "id", "N1");
    wa_node_set(n, "t", "1780000000");
    set_jid(n, "from", from);
    wa_node_set(offer, "call-id", "CALL7");
    set_jid(offer, "call-creator", from);
    return n;
}

START_TEST(test_call_offer_is_acked_and_told_once_for_each_call)
{
    struct wa_event ev = {0};
    struct wa_node *n = call("offer", "222222222222222:3@lid");
    set_jid(n->first, "caller_pn", CONTACT);
    wa_node_child(n->first, "video");
    line_say(&line, n);
    ck_assert_int_eq(drain(&ev), 1);
    ck_assert_int_eq((int)ev.type, WA_EVENT_MESSAGE);
    ck_assert_int_eq((int)ev.u.message.content->kind, WA_KIND_CALL);
    ck_assert(bytes_is(ev.u.message.id, "CALL7"));
    ck_assert(bytes_is(ev.u.message.content->text, "video"));
    ck_assert(wa_jid_is_pn(&ev.u.message.chat_pn) && wa_jid_is_lid(&ev.u.message.chat_lid));
    ck_assert_int_eq(ev.u.message.timestamp_s, 1780000000);
    ck_assert(acked("call", NULL));
}
END_TEST

START_TEST(test_call_that_is_no_offer_or_of_a_group_is_only_acked)
{
    static const char *const children[] = {"accept",    "preaccept", "transport",  "relaylatency",
                                           "terminate", "reject",    "of_tomorrow"};
    struct wa_event ev;
    for (size_t i = 0; i < ARRAY_LEN(children); i++) {
        line_say(&line, call(children[i], CONTACT));
        ck_assert_int_eq(drain(&ev), 0);
        ck_assert_msg(acked("call", NULL), "%s", children[i]);
    }
    struct wa_node *n = call("offer", CONTACT);
    set_jid(n->first, "group-jid", "120363000000000001@g.us");
    line_say(&line, n);
    ck_assert_int_eq(drain(&ev), 0);
    ck_assert(acked("call", NULL));
    line_say(&line, call("offer", LINE_OWN_PN));
    ck_assert_int_eq(drain(&ev), 0);
    ck_assert(acked("call", NULL));
}
END_TEST

/* ---- spoiled attributes ------------------------------------------------------------------------
 */

#define HUGE_BYTES 100000

/* One stanza of each kind, with all that it usually has. */
static struct wa_node *whole(const char *tag)
{
    struct wa_node *n = line_stanza(&line, tag);
    wa_node_set(n, "id", "N1");
    set_jid(n, "from", strcmp(tag, "message") == 0 ? "120363000000000001@g.us" : CONTACT);
    set_jid(n, "participant", CONTACT_LID);
    set_jid(n, "participant_pn", CONTACT);
    set_jid(n, "recipient", CONTACT);
    wa_node_set(n, "type", strcmp(tag, "notification") == 0 ? "devices" : "text");
    wa_node_set(n, "t", "1780000000");
    wa_node_set(n, "notify", "Ann");
    wa_node_set(n, "offline", "3");
    wa_node_set(n, "addressing_mode", "lid");
    wa_node_set(n, "class", "message");
    wa_node_set(n, "code", "515");
    wa_node_set(n, "reason", "503");
    wa_node_set(n, "xmlns", "urn:xmpp:ping");
    struct wa_node *enc = wa_node_child_data(n, "enc", BYTES("garbage", 7));
    wa_node_set(enc, "v", "2");
    wa_node_set(enc, "type", "msg");
    return n;
}

static struct wa_attr *attr_of(struct wa_node *node, const char *key)
{
    struct wa_attr *a = node->attrs;
    while (a && !bytes_is(a->key, key))
        a = a->next;
    if (!a)
        err_fatal("no attribute %s", key);
    return a;
}

static void remove_attr(struct wa_node *node, const char *key)
{
    struct wa_attr **at = &node->attrs;
    while (*at && !bytes_is((*at)->key, key))
        at = &(*at)->next;
    if (*at)
        *at = (*at)->next;
}

static void repeat_attr(struct wa_node *node, const char *key)
{
    struct wa_attr *copy = arena_alloc(node->arena, sizeof(*copy)), **at = &node->attrs;
    *copy = *attr_of(node, key);
    while (*at)
        at = &(*at)->next;
    copy->next = NULL;
    *at = copy;
}

static void replace_attr(struct wa_node *node, const char *key, struct bytes value)
{
    struct wa_attr *a = attr_of(node, key);
    a->value = value;
    a->jid = false;
}

enum { REMOVE, REPEAT, EMPTY, HUGE_VALUE, BINARY, NEGATIVE, ENORMOUS, MUTATIONS };

static void spoil(struct wa_node *node, const char *key, int how)
{
    static uint8_t huge[HUGE_BYTES];
    memset(huge, '9', sizeof(huge));
    const struct bytes values[MUTATIONS] = {[EMPTY] = BYTES("", 0),
                                            [HUGE_VALUE] = BYTES_ARRAY(huge),
                                            [BINARY] = BYTES("\xff\x00\xfe", 3),
                                            [NEGATIVE] = BYTES("-1", 2),
                                            [ENORMOUS] = bytes_text("99999999999999999999999")};
    if (how == REMOVE)
        remove_attr(node, key);
    else if (how == REPEAT)
        repeat_attr(node, key);
    else
        replace_attr(node, key, values[how]);
}

static const char *const keys[] = {
    "id",     "from",    "participant",     "participant_pn", "recipient", "type",   "t",
    "notify", "offline", "addressing_mode", "class",          "code",      "reason", "xmlns"};

static bool is_answered(const char *id)
{
    bool found = false;
    struct wa_node *node;
    while ((node = line_hear(&line)))
        found = found || ((wa_node_is(node, "ack") || wa_node_is(node, "receipt")) &&
                          wa_node_attr_is(node, "id", id));
    return found;
}

/* Those that end a connection by what they are. */
static bool ends(const char *tag)
{
    return strcmp(tag, "failure") == 0 || strcmp(tag, "stream:error") == 0 ||
           strcmp(tag, "xmlstreamend") == 0;
}

static void say_spoiled(const char *tag, const char *key, int how)
{
    struct wa_event ev;
    struct wa_node *node = whole(tag);
    spoil(node, key, how);
    ck_assert(line_say(&line, node));
    drain(&ev);
}

START_TEST(test_spoiled_attributes_end_nothing_are_acked_and_counted)
{
    static const char *const tags[] = {"message",      "receipt",    "notification", "call",
                                       "ack",          "iq",         "ib",           "success",
                                       "presence",     "chatstate",  "failure",      "stream:error",
                                       "xmlstreamend", "of_tomorrow"};
    for (size_t t = 0; t < ARRAY_LEN(tags); t++) {
        for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
            for (int how = 0; how < MUTATIONS; how++) {
                bool name = strcmp(keys[k], "id") == 0;
                bool from = strcmp(keys[k], "from") == 0;
                uint64_t before = wa_session_malformed(line.session);
                say_spoiled(tags[t], keys[k], how);
                ck_assert_msg(ends(tags[t]) != wa_session_connected(line.session), "%s %s %d",
                              tags[t], keys[k], how);
                if (t < 4 && !name)
                    ck_assert_msg(is_answered("N1"), "%s %s %d is not acked", tags[t], keys[k],
                                  how);
                if (how == REPEAT || how == HUGE_VALUE ||
                    (t < 4 && how == REMOVE && (name || from)))
                    ck_assert_msg(wa_session_malformed(line.session) == before + 1,
                                  "%s %s %d is not counted", tags[t], keys[k], how);
                if (ends(tags[t]) || how + 1 == MUTATIONS) {
                    teardown();
                    setup();
                }
            }
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("notices");
    TCase *t = tcase_create("notices");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_notification_every_type_is_acked);
    tcase_add_test(t, test_server_sync_of_what_is_not_used_asks_nothing);
    tcase_add_loop_test(t, test_server_sync_nonsense_is_asked_thrice_and_ends_nothing, 0, 3);
    tcase_add_loop_test(t, test_server_sync_not_to_be_had_is_asked_again_after_an_hour, 0, 3);
    tcase_add_test(t, test_server_sync_many_changes_are_asked_for_within_bounds);
    tcase_add_test(t, test_server_sync_nothing_new_is_over);
    tcase_add_loop_test(t, test_server_sync_patch_with_key_is_the_name, 0, 2);
    tcase_add_test(t, test_mex_reachout_timelock_is_told);
    tcase_add_test(t, test_mex_capping_is_told);
    tcase_add_test(t, test_mex_that_cannot_be_read_is_acked_and_nothing_else);
    tcase_add_test(t, test_contacts_number_change_is_learnt);
    tcase_add_test(t, test_call_offer_is_acked_and_told_once_for_each_call);
    tcase_add_test(t, test_call_that_is_no_offer_or_of_a_group_is_only_acked);
    tcase_add_test(t, test_spoiled_attributes_end_nothing_are_acked_and_counted);
    suite_add_tcase(s, t);
    return testing_run(s);
}
