/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Part of check_wa_passkey: the conversation of the passkey step inside a session. */
#include "base/clock.h"
#include "base/err.h"
#include "check_wa_passkey.h"
#include "testing.h"
#include "wa/crypto.h"
#include "wa_line.h"

static struct line line;
static json_t *vectors, *webauthn, *flow;

static struct wa_event expect(enum wa_event_type type)
{
    struct wa_event ev = {.type = WA_EVENT_QR};
    ck_assert_msg(wa_session_next(line.session, &ev) == 1, "no event; wanted %d", (int)type);
    ck_assert_msg(ev.type == type, "event %d; wanted %d (%s)", (int)ev.type, (int)type,
                  ev.type == WA_EVENT_CLOSED ? ev.u.closed.err.text : "");
    return ev;
}

static void expect_nothing(void)
{
    struct wa_event ev;
    ck_assert_int_eq(wa_session_next(line.session, &ev), 0);
}

static struct wa_event expect_phase(enum wa_passkey_phase phase)
{
    struct wa_event ev = expect(WA_EVENT_PASSKEY);
    ck_assert_str_eq(wa_passkey_phase_name(ev.u.passkey.phase), wa_passkey_phase_name(phase));
    return ev;
}

static void expect_failure(enum wa_passkey_error e)
{
    struct wa_event ev = expect(WA_EVENT_CLOSED);
    ck_assert_str_eq(wa_close_code(ev.u.closed.why), wa_close_code(WA_CLOSE_PASSKEY));
    ck_assert_str_eq(wa_passkey_error_name(ev.u.closed.passkey), wa_passkey_error_name(e));
    ck_assert_uint_eq(strlen(wa_passkey_error_advice(e)) > 0, 1);
}

static struct wa_node *from_server(const char *tag)
{
    struct wa_node *node = line_stanza(&line, tag);
    wa_node_set_jid(node, "from", &(struct wa_jid){.server = WA_SERVER_PN});
    return node;
}

static struct wa_node *notification(const char *type, const char *id)
{
    struct wa_node *node = from_server("notification");
    wa_node_set(node, "type", type);
    wa_node_set(node, "id", id);
    return node;
}

static void say_refs(void)
{
    struct wa_node *iq = from_server("iq");
    wa_node_set(iq, "type", "set");
    wa_node_set(iq, "xmlns", "md");
    wa_node_set(iq, "id", "refs");
    wa_node_child_data(wa_node_child(iq, "pair-device"), "ref", bytes_text("2@ref"));
    ck_assert(line_say(&line, iq));
}

static const char *options_text(void)
{
    return testing_text(webauthn, "request_options_text");
}

static void say_push(const char *id, const char *options)
{
    struct wa_node *push = notification("passkey_prologue_request", id);
    if (options)
        wa_node_child_data(push, "passkey_request_options", bytes_text(options));
    ck_assert(line_say(&line, push));
}

static void setup(void)
{
    vectors = testing_vectors("passkey.json");
    webauthn = json_object_get(vectors, "webauthn");
    flow = json_array_get(json_object_get(vectors, "flows"), 0);
    line_open(&line, false);
    say_refs();
    expect(WA_EVENT_QR);
    line_forget_output(&line);
}

static void teardown(void)
{
    line_close(&line);
}

/* The next <iq> that was sent, acks left out; its only child has this tag. */
static struct wa_node *hear_iq(const char *child)
{
    struct wa_node *node = line_hear(&line);
    while (node && !wa_node_is(node, "iq"))
        node = line_hear(&line);
    ck_assert_msg(node && wa_node_find(node, child), "wanted an iq with <%s>", child);
    ck_assert(wa_node_attr_is(node, "xmlns", "md") &&
              wa_node_attr_is(node, "to", "s.whatsapp.net"));
    return node;
}

static void hear_no_iq(void)
{
    struct wa_node *node;
    while ((node = line_hear(&line)) != NULL)
        ck_assert(wa_node_is(node, "ack"));
}

static void answer(const struct wa_node *iq, const char *error, const char *child, const char *data)
{
    struct wa_node *node = from_server("iq");
    wa_node_copy_attr(node, iq, "id");
    wa_node_set(node, "type", error ? "error" : "result");
    if (error)
        wa_node_set(wa_node_child(node, "error"), "code", error);
    else if (child)
        wa_node_child_data(node, child, bytes_text(data));
    ck_assert(line_say(&line, node));
}

static void pass(int64_t ms)
{
    line.mem.now_ms += ms;
}

static void push(void)
{
    fake_host_script(&line.mem, testing_hex(flow, "new_adv_secret"));
    say_push("push-1", options_text());
    expect_phase(WA_PASSKEY_AWAIT_ASSERTION);
}

static enum wa_passkey_error give_credential(void)
{
    json_t *first = json_array_get(json_object_get(webauthn, "portal_inputs_accepted"), 0);
    char *text = json_dumps(json_object_get(first, "credential"), JSON_COMPACT);
    struct json_doc *doc;
    ck_assert_int_eq(json_doc_open(&doc, bytes_text(text), NULL), 0);
    enum wa_passkey_error e = wa_session_passkey_assert(line.session, json_root(doc));
    json_doc_close(doc);
    free(text);
    return e;
}

/* Up to the ref, with the keys of the vectors' first flow. */
static struct wa_node *submit(void)
{
    ck_assert_int_eq(give_credential(), WA_PASSKEY_OK);
    expect_phase(WA_PASSKEY_SUBMITTING);
    fake_host_script(&line.mem, testing_hex(flow, "companion_ephemeral_private"));
    fake_host_script(&line.mem, testing_hex(flow, "companion_nonce"));
    answer(hear_iq("ref"), NULL, "ref", testing_text(flow, "ref_text"));
    expect_nothing();
    return hear_iq("passkey_prologue");
}

static void say_continuation(struct bytes identity)
{
    struct wa_node *node = notification("crsc_continuation", "continuation-1");
    wa_node_child_data(node, "primary_ephemeral_identity", identity);
    ck_assert(line_say(&line, node));
}

static void continue_flow(void)
{
    say_continuation(testing_hex(flow, "primary_ephemeral_identity"));
}

static struct bytes stored_secret(void)
{
    static struct wa_device d;
    ck_assert_int_eq(wa_device_load(&d, &line.mem.host), 1);
    return BYTES_ARRAY(d.adv_secret);
}

/* ---- the way through ------------------------------------------------------------------------ */

START_TEST(test_passkey_push_is_acked_and_stops_the_qr)
{
    fake_host_script(&line.mem, testing_hex(flow, "new_adv_secret"));
    say_push("push-1", options_text());
    struct wa_event ev = expect_phase(WA_PASSKEY_AWAIT_ASSERTION);
    ck_assert(ev.u.passkey.fresh && !ev.u.passkey.code && !ev.u.passkey.confirm);
    testing_assert_bytes(ev.u.passkey.options, bytes_text(options_text()), "options");
    ck_assert_int_eq(ev.u.passkey.ttl_ms, 585000);
    ck_assert_int_eq(ev.u.passkey.handoff_ttl_ms, 300000);
    struct wa_node *ack = line_hear(&line);
    ck_assert(wa_node_is(ack, "ack") && wa_node_attr_is(ack, "class", "notification") &&
              wa_node_attr_is(ack, "type", "passkey_prologue_request") &&
              wa_node_attr_is(ack, "id", "push-1") && wa_node_attr_is(ack, "to", "s.whatsapp.net"));
    testing_assert_bytes(stored_secret(), BYTES_ARRAY(line.device.adv_secret), "secret kept");
    for (int i = 0; i < 80; i++) { /* the refs ran out long ago; pings are answered */
        struct wa_node *heard;
        pass(5000);
        expect_nothing();
        while ((heard = line_hear(&line)) != NULL)
            answer(heard, NULL, NULL, NULL);
    }
    ck_assert_int_eq(wa_session_pair_code(line.session, "5511987654321"), ERR_STATE);
}
END_TEST

START_TEST(test_passkey_with_proof_goes_through_as_the_vectors)
{
    uint8_t handoff[32], proof[32];
    struct buf plain = {.max = 1024};
    push();
    struct wa_node *iq = submit(), *prologue = wa_node_find(iq, "passkey_prologue");
    testing_assert_bytes(wa_node_child_bytes(prologue, "credential_id"),
                         testing_hex(webauthn, "credential_id_node"), "credential");
    testing_assert_bytes(wa_node_child_bytes(prologue, "webauthn_assertion"),
                         bytes_text(testing_text(webauthn, "webauthn_assertion_node_text")),
                         "assertion");
    testing_assert_bytes(wa_node_child_bytes(prologue, "prologue_payload"),
                         testing_hex(flow, "prologue_payload"), "payload");
    wa_passkey_handoff_key(handoff, line.device.adv_secret);
    wa_passkey_proof(proof, handoff, testing_hex(flow, "prologue_payload"));
    testing_assert_bytes(wa_node_child_bytes(prologue, "pairing_handoff_proof"), BYTES_ARRAY(proof),
                         "proof");
    answer(iq, NULL, NULL, NULL);
    ck_assert_int_eq(expect_phase(WA_PASSKEY_AWAIT_PHONE).u.passkey.ttl_ms, 180000);
    continue_flow();
    struct wa_event ev = expect_phase(WA_PASSKEY_COMPLETING);
    ck_assert(!ev.u.passkey.confirm);
    ck_assert_str_eq(ev.u.passkey.code, testing_text(flow, "code"));
    iq = hear_iq("companion_nonce");
    testing_assert_bytes(wa_node_child_bytes(iq, "companion_nonce"),
                         testing_hex(flow, "companion_nonce"), "nonce");
    testing_assert_bytes(stored_secret(), BYTES_ARRAY(line.device.adv_secret), "secret staged");
    fake_host_script(&line.mem, testing_hex(flow, "gcm_iv"));
    answer(iq, NULL, NULL, NULL);
    expect_nothing();
    struct bytes request =
        wa_node_child_bytes(hear_iq("encrypted_pairing_request"), "encrypted_pairing_request");
    testing_assert_bytes(stored_secret(), testing_hex(flow, "new_adv_secret"), "secret replaced");
    /* 0a 76 <payload and tag> 12 0c <iv>; the device is another one than that of the vectors */
    ck_assert_uint_eq(request.n, 2 + 118 + 2 + 12);
    ck_assert_int_eq(wa_gcm_open(&plain, testing_hex(flow, "encryption_key").p,
                                 testing_hex(flow, "gcm_iv").p, BYTES_NONE,
                                 BYTES(request.p + 2, 118)),
                     0);
    testing_assert_bytes(BYTES(plain.p + 2, 32), BYTES_ARRAY(line.device.noise.pub), "noise");
    testing_assert_bytes(BYTES(plain.p + 70, 32), testing_hex(flow, "new_adv_secret"), "secret");
    fake_host_script_done(&line.mem, "everything random is from the vectors");
    buf_deinit(&plain);
}
END_TEST

START_TEST(test_passkey_late_answer_has_no_proof_and_the_owner_compares)
{
    push();
    pass(300000);
    struct wa_event ev;
    while (wa_session_next(line.session, &ev) == 1)
        ck_assert_int_ne((int)ev.type, WA_EVENT_CLOSED);
    struct wa_node *ping;
    while ((ping = line_hear(&line)) != NULL)
        if (wa_node_is(ping, "iq"))
            answer(ping, NULL, NULL, NULL);
    struct wa_node *iq = submit();
    ck_assert(!wa_node_find(wa_node_find(iq, "passkey_prologue"), "pairing_handoff_proof"));
    continue_flow(); /* the phone is faster than the server's answer */
    ev = expect_phase(WA_PASSKEY_AWAIT_OWNER);
    ck_assert(ev.u.passkey.confirm);
    ck_assert_int_eq(ev.u.passkey.ttl_ms, 120000);
    answer(iq, NULL, NULL, NULL);
    answer(hear_iq("companion_nonce"), NULL, NULL, NULL);
    expect_nothing();
    hear_no_iq(); /* nothing goes out without the owner's yes */
    ck_assert_int_eq(wa_session_passkey_confirm(line.session, "MJVT-KKA7"), WA_PASSKEY_CODE);
    ck_assert_int_eq(wa_session_passkey_confirm(line.session, ""), WA_PASSKEY_CODE);
    ck_assert_int_eq(wa_session_passkey_confirm(line.session, "MJVT-KKA66"), WA_PASSKEY_CODE);
    ck_assert_int_eq(wa_session_passkey_confirm(line.session, "mjvtkka6"), WA_PASSKEY_OK);
    expect_phase(WA_PASSKEY_COMPLETING);
    hear_iq("encrypted_pairing_request");
    ck_assert_int_eq(wa_session_passkey_confirm(line.session, "mjvtkka6"), WA_PASSKEY_STALE);
}
END_TEST

START_TEST(test_passkey_options_missing_are_asked_for)
{
    say_push("push-1", NULL);
    expect_nothing();
    ck_assert_int_eq(give_credential(), WA_PASSKEY_STALE);
    answer(hear_iq("passkey_request_options"), NULL, "passkey_request_options", options_text());
    expect_phase(WA_PASSKEY_AWAIT_ASSERTION);
}
END_TEST

START_TEST(test_passkey_refused_answer_keeps_the_attempt)
{
    push();
    struct json_doc *doc;
    ck_assert_int_eq(json_doc_open(&doc, bytes_text("{\"type\":\"public-key\"}"), NULL), 0);
    ck_assert_int_eq(wa_session_passkey_assert(line.session, json_root(doc)), WA_PASSKEY_MALFORMED);
    json_doc_close(doc);
    ck_assert_int_eq(wa_session_passkey_confirm(line.session, "x"), WA_PASSKEY_STALE);
    ck_assert_int_eq(wa_session_passkey_reject(line.session), WA_PASSKEY_STALE);
    submit();
    ck_assert_int_eq(give_credential(), WA_PASSKEY_STALE);
}
END_TEST

/* ---- what must not disturb it --------------------------------------------------------------- */

START_TEST(test_passkey_second_push_replaces_the_challenge_alone)
{
    push();
    say_push("push-1", options_text());
    expect_nothing();
    say_push("push-2", "{\"challenge\":\"AAAA\"}");
    struct wa_event ev = expect_phase(WA_PASSKEY_AWAIT_ASSERTION);
    ck_assert(ev.u.passkey.fresh);
    ck_assert_int_eq(give_credential(), WA_PASSKEY_CHALLENGE);
    say_push("push-3", options_text());
    expect_phase(WA_PASSKEY_AWAIT_ASSERTION);
    submit();
    say_push("push-4", "{\"challenge\":\"AAAA\"}");
    expect_nothing();
}
END_TEST

START_TEST(test_passkey_refresh_new_refs_and_strangers_do_not_disturb)
{
    push();
    ck_assert(line_say(&line, notification("companion_reg_refresh", "n1")));
    say_refs();
    struct wa_node *code = notification("link_code_companion_reg", "n2");
    wa_node_set(wa_node_child(code, "link_code_companion_reg"), "stage", "refresh_code");
    ck_assert(line_say(&line, code));
    say_continuation(testing_hex(flow, "primary_ephemeral_identity")); /* too early */
    struct wa_node *stranger = notification("passkey_prologue_request", "n3");
    struct wa_jid jid = wa_jid_make(WA_SERVER_PN, "4915112345678", 0);
    wa_node_set_jid(stranger, "from", &jid);
    wa_node_child_data(stranger, "passkey_request_options", bytes_text("{\"challenge\":\"AAAA\"}"));
    ck_assert(line_say(&line, stranger));
    expect_nothing();
    testing_assert_bytes(stored_secret(), BYTES_ARRAY(line.device.adv_secret), "secret");
    size_t acks = 0, answers = 0;
    struct wa_node *heard;
    while ((heard = line_hear(&line)) != NULL) {
        acks += wa_node_is(heard, "ack");
        answers += wa_node_is(heard, "iq") && wa_node_attr_is(heard, "type", "result");
    }
    ck_assert_uint_eq(acks, 5);
    ck_assert_uint_eq(answers, 1);
    submit();
}
END_TEST

/* ---- how it fails --------------------------------------------------------------------------- */

START_TEST(test_passkey_each_refusal_of_the_server_has_its_name)
{
    say_push("push-1", NULL);
    expect_nothing();
    answer(hear_iq("passkey_request_options"), "404", NULL, NULL);
    expect_failure(WA_PASSKEY_OPTIONS_UNAVAILABLE);
    teardown();
    setup();
    push();
    ck_assert_int_eq(give_credential(), WA_PASSKEY_OK);
    expect_phase(WA_PASSKEY_SUBMITTING);
    answer(hear_iq("ref"), "500", NULL, NULL);
    expect_nothing();
    answer(hear_iq("ref"), "500", NULL, NULL);
    expect_failure(WA_PASSKEY_REF);
    teardown();
    setup();
    push();
    answer(submit(), "400", NULL, NULL);
    expect_failure(WA_PASSKEY_REFUSED);
    teardown();
    setup();
    push();
    submit();
    continue_flow();
    expect_phase(WA_PASSKEY_COMPLETING);
    answer(hear_iq("companion_nonce"), "400", NULL, NULL);
    expect_failure(WA_PASSKEY_NONCE);
    teardown();
    setup();
    push();
    submit();
    continue_flow();
    expect_phase(WA_PASSKEY_COMPLETING);
    answer(hear_iq("companion_nonce"), NULL, NULL, NULL);
    expect_nothing();
    answer(hear_iq("encrypted_pairing_request"), "400", NULL, NULL);
    expect_failure(WA_PASSKEY_REQUEST);
}
END_TEST

START_TEST(test_passkey_rate_limit_says_how_long_to_wait)
{
    push();
    answer(submit(), "429", NULL, NULL);
    struct wa_event ev = expect(WA_EVENT_CLOSED);
    ck_assert_int_eq((int)ev.u.closed.passkey, WA_PASSKEY_REFUSED);
    ck_assert_int_eq(ev.u.closed.retry_after_s, 600);
    ck_assert(strstr(ev.u.closed.err.text, "429") != NULL);
}
END_TEST

static void expect_timeout(int64_t ms, enum wa_passkey_error e)
{
    struct wa_event ev;
    int64_t until = line.mem.now_ms + ms;
    while (line.mem.now_ms < until - 1000) { /* pings are answered meanwhile */
        struct wa_node *heard;
        pass(1000);
        ck_assert_int_eq(wa_session_next(line.session, &ev), 0);
        while ((heard = line_hear(&line)) != NULL)
            if (wa_node_attr_is(heard, "xmlns", "w:p"))
                answer(heard, NULL, NULL, NULL);
    }
    pass(until - line.mem.now_ms);
    expect_failure(e);
}

START_TEST(test_passkey_each_silence_has_its_limit_and_name)
{
    push();
    expect_timeout(585000, WA_PASSKEY_OPTIONS_EXPIRED);
    teardown();
    setup();
    push();
    submit();
    expect_timeout(75000, WA_PASSKEY_REFUSED);
    teardown();
    setup();
    push();
    answer(submit(), NULL, NULL, NULL);
    expect_phase(WA_PASSKEY_AWAIT_PHONE);
    expect_timeout(180000, WA_PASSKEY_PHONE_TIMEOUT);
    teardown();
    setup();
    push();
    submit();
    continue_flow();
    expect_phase(WA_PASSKEY_COMPLETING);
    answer(hear_iq("companion_nonce"), NULL, NULL, NULL);
    expect_nothing();
    answer(hear_iq("encrypted_pairing_request"), NULL, NULL, NULL);
    expect_nothing();
    expect_timeout(60000, WA_PASSKEY_PHONE_TIMEOUT);
}
END_TEST

START_TEST(test_passkey_malformed_continuations_are_phone_invalid)
{
    json_t *list = json_object_get(vectors, "primary_identity_checks"), *one;
    size_t i;
    json_array_foreach(list, i, one)
    {
        if (strcmp(testing_text(one, "expected"), "accept") == 0)
            continue;
        push();
        answer(submit(), NULL, NULL, NULL);
        expect_phase(WA_PASSKEY_AWAIT_PHONE);
        say_continuation(testing_hex(one, "hex"));
        expect_failure(WA_PASSKEY_PHONE_INVALID);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(test_passkey_owner_says_no_or_breaks_off)
{
    push();
    ck_assert_int_eq(wa_session_passkey_cancel(line.session), WA_PASSKEY_OK);
    expect_failure(WA_PASSKEY_CANCELLED);
    ck_assert_int_eq(wa_session_passkey_cancel(line.session), WA_PASSKEY_STALE);
    teardown();
    setup();
    push();
    pass(300000);
    struct wa_event ev;
    while (wa_session_next(line.session, &ev) == 1)
        continue;
    line_forget_output(&line);
    submit();
    continue_flow();
    expect_phase(WA_PASSKEY_AWAIT_OWNER);
    ck_assert_int_eq(wa_session_passkey_reject(line.session), WA_PASSKEY_OK);
    expect_failure(WA_PASSKEY_REJECTED);
}
END_TEST

START_TEST(test_passkey_wrong_pair_success_is_hmac_mismatch)
{
    json_t *adv = testing_vectors("adv-pairing.json");
    json_t *c = json_array_get(json_object_get(adv, "cases"), 0);
    push();
    line_say_plain(&line, testing_hex(c, "pair_success_stanza"));
    expect_failure(WA_PASSKEY_HMAC);
}
END_TEST

START_TEST(test_passkey_store_fails_sends_no_request)
{
    push();
    submit();
    continue_flow();
    expect_phase(WA_PASSKEY_COMPLETING);
    struct wa_node *iq = hear_iq("companion_nonce");
    line.mem.fail_put = 1;
    answer(iq, NULL, NULL, NULL);
    struct wa_event ev = expect(WA_EVENT_CLOSED);
    ck_assert_str_eq(wa_close_code(ev.u.closed.why), wa_close_code(WA_CLOSE_STORE));
    hear_no_iq();
}
END_TEST

TCase *check_wa_linking_case(void)
{
    TCase *tc = tcase_create("session");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_passkey_push_is_acked_and_stops_the_qr);
    tcase_add_test(tc, test_passkey_with_proof_goes_through_as_the_vectors);
    tcase_add_test(tc, test_passkey_late_answer_has_no_proof_and_the_owner_compares);
    tcase_add_test(tc, test_passkey_options_missing_are_asked_for);
    tcase_add_test(tc, test_passkey_refused_answer_keeps_the_attempt);
    tcase_add_test(tc, test_passkey_second_push_replaces_the_challenge_alone);
    tcase_add_test(tc, test_passkey_refresh_new_refs_and_strangers_do_not_disturb);
    tcase_add_test(tc, test_passkey_each_refusal_of_the_server_has_its_name);
    tcase_add_test(tc, test_passkey_rate_limit_says_how_long_to_wait);
    tcase_add_test(tc, test_passkey_each_silence_has_its_limit_and_name);
    tcase_add_test(tc, test_passkey_malformed_continuations_are_phone_invalid);
    tcase_add_test(tc, test_passkey_owner_says_no_or_breaks_off);
    tcase_add_test(tc, test_passkey_wrong_pair_success_is_hmac_mismatch);
    tcase_add_test(tc, test_passkey_store_fails_sends_no_request);
    return tc;
}
