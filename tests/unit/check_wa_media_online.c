/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a session says and believes of files: the hosts that the server names, and what our phone
 * answers about a file that is gone (protocol/07 sections 1 and 5). */
#include "testing.h"

#include "wa_line.h"

#include "wa/media.h"

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

static int next(struct wa_event *ev)
{
    return wa_session_next(line.session, ev);
}

/* ---- hosts ---------------------------------------------------------------------------------- */

static struct wa_node *asked_hosts(void)
{
    wa_session_ask_media_hosts(line.session);
    struct wa_node *iq = line_hear(&line);
    ck_assert(iq && wa_node_is(iq, "iq"));
    ck_assert(wa_node_attr_is(iq, "xmlns", "w:m") && wa_node_attr_is(iq, "type", "set"));
    ck_assert_ptr_nonnull(wa_node_find(iq, "media_conn"));
    return iq;
}

static struct wa_node *answer_to(const struct wa_node *iq, const char *type)
{
    struct wa_node *answer = line_stanza(&line, "iq");
    wa_node_set_bytes(answer, "id", wa_node_attr(iq, "id"));
    wa_node_set(answer, "type", type);
    return answer;
}

static void add_host(struct wa_node *conn, const char *name, const char *type)
{
    struct wa_node *host = wa_node_child(conn, "host");
    if (name)
        wa_node_set(host, "hostname", name);
    if (type)
        wa_node_set(host, "type", type);
}

static struct wa_event hosts_said(const struct wa_node *answer)
{
    struct wa_event ev, more;
    ck_assert(line_say(&line, answer));
    ck_assert_int_eq(next(&ev), 1);
    ck_assert_int_eq((int)ev.type, WA_EVENT_MEDIA_HOSTS);
    ck_assert_int_eq(next(&more), 0);
    ck_assert(wa_session_connected(line.session));
    return ev;
}

START_TEST(test_media_hosts_primary_ones_first_and_no_more_than_four)
{
    struct wa_node *answer = answer_to(asked_hosts(), "result");
    struct wa_node *conn = wa_node_child(answer, "media_conn");
    wa_node_set(conn, "ttl", "600");
    add_host(conn, "fallback.example.net", "fallback");
    add_host(conn, NULL, "primary");
    add_host(conn, "", "primary");
    add_host(conn, "one.example.net", "primary");
    add_host(conn, "two.example.net", NULL);
    add_host(conn, "three.example.net", "primary");
    add_host(conn, "more.example.net", "fallback");
    struct wa_event ev = hosts_said(answer);
    ck_assert_uint_eq(ev.u.hosts.count, WA_MEDIA_HOSTS_MAX);
    testing_assert_bytes(ev.u.hosts.names[0], bytes_text("one.example.net"), "first");
    testing_assert_bytes(ev.u.hosts.names[1], bytes_text("two.example.net"), "second");
    testing_assert_bytes(ev.u.hosts.names[2], bytes_text("three.example.net"), "third");
    testing_assert_bytes(ev.u.hosts.names[3], bytes_text("fallback.example.net"), "fourth");
    ck_assert_int_eq(ev.u.hosts.ttl_s, 600);
}
END_TEST

START_TEST(test_media_hosts_ttl_is_bounded)
{
    static const struct {
        const char *said;
        int64_t ttl_s;
    } ttls[] = {{NULL, 0},   {"", 0},          {"0", 0},         {"-5", 0},
                {"soon", 0}, {"86400", 86400}, {"86401", 86400}, {"99999999999999999999999", 0}};
    struct wa_node *answer = answer_to(asked_hosts(), "result");
    struct wa_node *conn = wa_node_child(answer, "media_conn");
    if (ttls[_i].said)
        wa_node_set(conn, "ttl", ttls[_i].said);
    add_host(conn, "one.example.net", NULL);
    struct wa_event ev = hosts_said(answer);
    ck_assert_uint_eq(ev.u.hosts.count, 1);
    ck_assert_int_eq(ev.u.hosts.ttl_s, ttls[_i].ttl_s);
}
END_TEST

/* Refused, an empty answer, a media_conn without hosts, one with text in it: none are named. */
START_TEST(test_media_hosts_malformed_answer_names_none)
{
    struct wa_node *answer = answer_to(asked_hosts(), _i == 0 ? "error" : "result");
    if (_i == 0)
        wa_node_set(wa_node_child(answer, "error"), "code", "503");
    else if (_i == 2)
        wa_node_child(answer, "media_conn");
    else if (_i == 3)
        wa_node_child_data(answer, "media_conn", bytes_text("<host hostname=a/>"));
    struct wa_event ev = hosts_said(answer);
    ck_assert_uint_eq(ev.u.hosts.count, 0);
    /* It can be asked again. */
    ck_assert_ptr_nonnull(asked_hosts());
}
END_TEST

START_TEST(test_media_hosts_without_answer_are_none_after_a_while)
{
    struct wa_event ev = {0};
    asked_hosts();
    ck_assert_int_eq(next(&ev), 0);
    for (int i = 0; i < 10 && ev.type != WA_EVENT_MEDIA_HOSTS; i++) {
        if (next(&ev) != 1)
            line.mem.now_ms += 30000;
        line_forget_output(&line);
    }
    ck_assert_int_eq((int)ev.type, WA_EVENT_MEDIA_HOSTS);
    ck_assert_uint_eq(ev.u.hosts.count, 0);
}
END_TEST

/* ---- the phone's answer --------------------------------------------------------------------- */

static const uint8_t key[WA_MEDIA_KEY_LEN] = {7};

START_TEST(test_media_again_request_opens_with_the_key_of_the_file)
{
    struct wa_media_again again = {.id = bytes_text("3EB0FF"), .key = key};
    AUTO_BUF struct buf plain = {.max = 256};
    uint8_t derived[32];
    wa_jid_parse(&again.chat, bytes_text("111@g.us"));
    wa_jid_parse(&again.author, bytes_text("222@lid"));
    wa_session_ask_media_again(line.session, &again);
    struct wa_node *receipt = line_hear(&line);
    ck_assert(receipt && wa_node_is(receipt, "receipt"));
    ck_assert(wa_node_attr_is(receipt, "type", "server-error"));
    const struct wa_node *encrypt = wa_node_find(receipt, "encrypt");
    const struct wa_node *rmr = wa_node_find(receipt, "rmr");
    ck_assert(wa_node_attr_is(rmr, "from_me", "false"));
    wa_hkdf_sha256(derived, 32, BYTES_ARRAY(key), BYTES_NONE,
                   bytes_text("WhatsApp Media Retry Notification"));
    struct bytes nonce = wa_node_data(wa_node_find(encrypt, "enc_iv"));
    ck_assert_uint_eq(nonce.n, WA_GCM_NONCE_LEN);
    ck_assert_int_eq(wa_gcm_open(&plain, derived, nonce.p, bytes_text("3EB0FF"),
                                 wa_node_data(wa_node_find(encrypt, "enc_p"))),
                     0);
    /* ServerErrorReceipt{1 stanzaId} */
    testing_assert_bytes(buf_bytes(&plain),
                         bytes_text("\x0a\x06"
                                    "3EB0FF"),
                         "receipt");
}
END_TEST

static struct wa_node *media_retry(const char *id)
{
    struct wa_node *n = line_stanza(&line, "notification");
    struct wa_jid own;
    wa_jid_parse(&own, bytes_text(LINE_OWN_PN));
    own = wa_jid_bare(&own);
    wa_node_set_jid(n, "from", &own);
    wa_node_set(n, "type", "mediaretry");
    wa_node_set(n, "t", "1780000000");
    if (id)
        wa_node_set(n, "id", id);
    return n;
}

/* The code that an event tells; -1 when there is none. */
static int64_t told(const struct wa_node *n)
{
    struct wa_event ev;
    int64_t code = -1;
    ck_assert(line_say(&line, n));
    while (next(&ev) == 1)
        if (ev.type == WA_EVENT_MEDIA_AGAIN)
            code = (int64_t)ev.u.media_again.error;
    ck_assert(wa_session_connected(line.session));
    struct wa_node *ack = line_hear(&line);
    ck_assert(ack && wa_node_is(ack, "ack") && wa_node_attr_is(ack, "class", "notification"));
    return code;
}

START_TEST(test_media_retry_error_is_told_as_its_code)
{
    static const struct {
        const char *said;
        int64_t code;
    } codes[] = {{"2", 2},
                 {"404", 404},
                 {NULL, 1},
                 {"0", 1},
                 {"none", 1},
                 {"99999999999", 1},
                 {"4294967295", 4294967295}};
    struct wa_node *n = media_retry("3EB0FF"), *error = wa_node_child(n, "error");
    if (codes[_i].said)
        wa_node_set(error, "code", codes[_i].said);
    ck_assert_int_eq(told(n), codes[_i].code);
}
END_TEST

START_TEST(test_media_retry_empty_is_acked_and_not_told)
{
    ck_assert_int_eq(told(media_retry("3EB0FF")), -1);
}
END_TEST

/* Parts that are missing: it is told, and does not open. */
START_TEST(test_media_retry_without_its_parts_does_not_open)
{
    static const char *const parts[] = {"enc_p", "enc_iv", "other"};
    struct wa_node *n = media_retry("3EB0FF"), *encrypt = wa_node_child(n, "encrypt");
    AUTO_BUF struct buf plain = {.max = WA_MEDIA_RETRY_MAX};
    struct wa_event ev = {0};
    struct bytes path;
    uint32_t result;
    wa_node_child_data(encrypt, parts[_i], bytes_text("twelve bytes"));
    ck_assert(line_say(&line, n));
    ck_assert_int_eq(next(&ev), 1);
    ck_assert_int_eq((int)ev.type, WA_EVENT_MEDIA_AGAIN);
    ck_assert_uint_eq(ev.u.media_again.error, 0);
    ck_assert_int_lt(wa_media_retry_open(&plain, key, ev.u.media_again.nonce, ev.u.media_again.id,
                                         ev.u.media_again.sealed, &path, &result),
                     0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("media_online");
    TCase *t = tcase_create("media_online");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_media_hosts_primary_ones_first_and_no_more_than_four);
    tcase_add_loop_test(t, test_media_hosts_ttl_is_bounded, 0, 8);
    tcase_add_loop_test(t, test_media_hosts_malformed_answer_names_none, 0, 4);
    tcase_add_test(t, test_media_hosts_without_answer_are_none_after_a_while);
    tcase_add_test(t, test_media_again_request_opens_with_the_key_of_the_file);
    tcase_add_loop_test(t, test_media_retry_error_is_told_as_its_code, 0, 7);
    tcase_add_test(t, test_media_retry_empty_is_acked_and_not_told);
    tcase_add_loop_test(t, test_media_retry_without_its_parts_does_not_open, 0, 3);
    suite_add_tcase(s, t);
    return testing_run(s);
}
