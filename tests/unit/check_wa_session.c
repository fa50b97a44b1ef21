/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A session against a scripted server. The handshake, the pairing stanzas and the transport keys
 * are bytes of the vectors, so that what is checked was not made by our own code.
 */
#define _GNU_SOURCE /* memmem */
#include "testing.h"

#include "fake_host.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"
#include "wa/crypto.h"
#include "wa/frame.h"
#include "wa/link_code.h"
#include "wa/noise.h"
#include "wa/pairing.h"
#include "wa/devices.h"
#include "wa/prekeys.h"
#include "wa/privacy.h"
#include "wa/session.h"
#include "wa/signal.h"

/* ---- the other end of the line ------------------------------------------------------------------
 */

static struct fake_host mem;
static struct wa_session *session;
static struct wa_session_config config;
static struct wa_cipher to_client, from_client;
static struct arena heard_arena;
static json_t *noise, *adv;

static void load_keypair(struct wa_keypair *out, json_t *keys, const char *name)
{
    json_t *pair = json_object_get(keys, name);
    memcpy(out->priv, testing_hex(pair, "private").p, 32);
    memcpy(out->pub, testing_hex(pair, "public").p, 32);
}

static void setup(void)
{
    fake_host_init(&mem);
    mem.now_ms = 1780000000000; /* within the validity of the vectors' certificates */
    noise = testing_vectors("noise-xx.json");
    adv = testing_vectors("adv-pairing.json");
    json_t *keys = json_object_get(noise, "keys");
    memcpy(config.noise_root, testing_hex(json_object_get(keys, "test_root_ca"), "public").p, 32);
    config.version = WA_VERSION_DEFAULT;
    config.device_label = "test";
    struct wa_device d;
    wa_device_generate(&d, &mem.host);
    load_keypair(&d.noise, keys, "client_static");
    load_keypair(&d.identity, keys, "client_identity");
    memcpy(d.adv_secret, testing_hex(adv, "adv_secret").p, 32);
    uint8_t typed[33] = {5};
    memcpy(typed + 1, d.signed_prekey.key.pub, 32);
    wa_curve_sign(d.signed_prekey.signature, d.identity.priv, BYTES_ARRAY(typed), &mem.host);
    ck_assert_int_eq(wa_device_save(&d, &mem.host), 0);
    arena_init(&heard_arena);
}

static void teardown(void)
{
    wa_session_close(session);
    session = NULL;
    arena_deinit(&heard_arena);
    fake_host_deinit(&mem);
}

static void mark_paired(bool uploaded)
{
    struct wa_device d;
    ck_assert_int_eq(wa_device_load(&d, &mem.host), 1);
    d.pn = wa_jid_make(WA_SERVER_PN, "5511987654321", 12);
    d.lid = wa_jid_make(WA_SERVER_LID, "123456789012345", 12);
    d.account_len =
        testing_hex(json_array_get(json_object_get(adv, "cases"), 0), "stored_account").n;
    memcpy(d.account,
           testing_hex(json_array_get(json_object_get(adv, "cases"), 0), "stored_account").p,
           d.account_len);
    d.prekeys_uploaded = uploaded;
    ck_assert_int_eq(wa_device_save(&d, &mem.host), 0);
}

static void set_login_count(uint32_t count)
{
    struct wa_device d;
    ck_assert_int_eq(wa_device_load(&d, &mem.host), 1);
    d.login_count = count;
    ck_assert_int_eq(wa_device_save_field(&d, "login_count", &mem.host), 0);
}

static void open_session(void)
{
    struct err err = {0};
    fake_host_script(
        &mem, testing_hex(json_object_get(json_object_get(noise, "keys"), "client_ephemeral"),
                          "private"));
    ck_assert_msg(wa_session_open(&session, &config, &mem.host, &err) == 0, "%s", err.text);
}

static bool next_event(struct wa_event *ev)
{
    return wa_session_next(session, ev) == 1;
}

static struct wa_event expect(enum wa_event_type type)
{
    struct wa_event ev;
    ck_assert_msg(next_event(&ev), "no event; wanted %d", type);
    ck_assert_msg(ev.type == type, "event %d; wanted %d (%s)", ev.type, type,
                  ev.type == WA_EVENT_CLOSED ? ev.u.closed.err.text : "");
    return ev;
}

static void expect_close(enum wa_close why)
{
    struct wa_event ev = expect(WA_EVENT_CLOSED);
    ck_assert_str_eq(wa_close_code(ev.u.closed.why), wa_close_code(why));
    ck_assert_int_gt((int)strlen(ev.u.closed.err.text), 0);
    ck_assert(!next_event(&ev));
}

static void expect_nothing(void)
{
    struct wa_event ev;
    ck_assert(!next_event(&ev));
}

static void do_handshake(void)
{
    json_t *xx = json_object_get(noise, "xx"), *transport = json_object_get(xx, "transport");
    wa_session_feed(session, testing_hex(xx, "server_hello_on_wire"));
    expect_nothing();
    memcpy(to_client.key, testing_hex(transport, "server_to_client_key").p, 32);
    memcpy(from_client.key, testing_hex(transport, "client_to_server_key").p, 32);
    to_client.counter = from_client.counter = 0;
    /* drop prologue + hello + finish */
    struct buf *out = wa_session_output(session);
    buf_drop_front(out, WA_NOISE_PROLOGUE_LEN);
    for (int i = 0; i < 2; i++) {
        struct bytes payload;
        size_t used;
        ck_assert_int_eq(wa_frame_next(buf_bytes(out), WA_FRAME_MAX, &payload, &used), 1);
        buf_drop_front(out, used);
    }
    ck_assert_uint_eq(out->n, 0);
}

static void say_plain(struct bytes stanza)
{
    struct buf sealed = {.max = 1 << 20}, frame = {.max = 1 << 20};
    ck_assert_int_eq(wa_cipher_seal(&to_client, stanza, &sealed), 0);
    ck_assert_int_eq(wa_frame_append(&frame, buf_bytes(&sealed)), 0);
    wa_session_feed(session, buf_bytes(&frame));
    buf_deinit(&sealed);
    buf_deinit(&frame);
}

static void say(const struct wa_node *node)
{
    struct buf stanza = {.max = 1 << 20};
    ck_assert_int_eq(wa_node_encode(node, &stanza), 0);
    say_plain(buf_bytes(&stanza));
    buf_deinit(&stanza);
}

/* The next stanza that the client sent, or NULL. */
static struct wa_node *hear(void)
{
    struct buf *out = wa_session_output(session), plain = {.max = 1 << 20};
    struct bytes payload;
    size_t used;
    struct wa_node *node;
    if (wa_frame_next(buf_bytes(out), WA_FRAME_MAX, &payload, &used) != 1)
        return NULL;
    ck_assert_int_eq(wa_cipher_open(&from_client, payload, &plain), 0);
    ck_assert_int_eq(wa_node_decode(&heard_arena, buf_bytes(&plain), &node), 0);
    buf_drop_front(out, used);
    buf_deinit(&plain);
    return node;
}

static struct wa_node *hear_tag(const char *tag)
{
    struct wa_node *node = hear();
    ck_assert_msg(node && wa_node_is(node, tag), "wanted <%s>, heard <%.*s>", tag,
                  node ? (int)node->tag.n : 4, node ? (const char *)node->tag.p : "none");
    return node;
}

static void forget_output(void)
{
    while (hear())
        continue;
}

static struct wa_node *stanza(const char *tag)
{
    return wa_node_new(&heard_arena, tag);
}

static struct wa_node *server_iq(const char *type, const char *xmlns)
{
    struct wa_node *iq = stanza("iq");
    wa_node_set_jid(iq, "from", &(struct wa_jid){.server = WA_SERVER_PN});
    wa_node_set(iq, "id", "srv-1");
    wa_node_set(iq, "type", type);
    if (xmlns)
        wa_node_set(iq, "xmlns", xmlns);
    return iq;
}

static struct wa_node *answer_to(const struct wa_node *request)
{
    struct wa_node *iq = server_iq("result", NULL);
    wa_node_copy_attr(iq, request, "id");
    return iq;
}

static void go_online(bool uploaded)
{
    mark_paired(uploaded);
    open_session();
    do_handshake();
    struct wa_node *success = stanza("success");
    wa_node_set(success, "t", "1780000000");
    say(success);
    expect(WA_EVENT_CONNECTED);
}

/* ---- handshake ---------------------------------------------------------------------------------
 */

START_TEST(test_open_vector_keys_hello_on_wire)
{
    open_session();
    testing_assert_bytes(buf_bytes(wa_session_output(session)),
                         testing_hex(json_object_get(noise, "xx"), "client_hello_on_wire"),
                         "hello");
}
END_TEST

START_TEST(test_handshake_vector_hello_sends_the_vectors_static)
{
    open_session();
    wa_session_feed(session, testing_hex(json_object_get(noise, "xx"), "server_hello_on_wire"));
    expect_nothing();
    /* frame 3, HandshakeMessage field 4, ClientFinish field 1 */
    struct buf *out = wa_session_output(session);
    struct bytes want = testing_hex(json_object_get(noise, "xx"), "client_static_ciphertext");
    ck_assert(memmem(out->p, out->n, want.p, want.n) != NULL);
}
END_TEST

START_TEST(test_handshake_any_flipped_byte_closes)
{
    struct bytes good = testing_hex(json_object_get(noise, "xx"), "server_hello_on_wire");
    uint8_t *bad = err_malloc(good.n);
    for (size_t i = 3; i < good.n; i += 7) {
        memcpy(bad, good.p, good.n);
        bad[i] ^= 1;
        open_session();
        size_t before = wa_session_output(session)->n;
        wa_session_feed(session, BYTES(bad, good.n));
        expect_close(WA_CLOSE_HANDSHAKE);
        ck_assert_uint_eq(wa_session_output(session)->n, before);
        wa_session_close(session);
        session = NULL;
    }
    free(bad);
}
END_TEST

START_TEST(test_handshake_wrong_root_closes)
{
    config.noise_root[3] ^= 1;
    open_session();
    wa_session_feed(session, testing_hex(json_object_get(noise, "xx"), "server_hello_on_wire"));
    expect_close(WA_CLOSE_HANDSHAKE);
}
END_TEST

START_TEST(test_handshake_byte_by_byte_same_result)
{
    mark_paired(true);
    open_session();
    struct bytes hello = testing_hex(json_object_get(noise, "xx"), "server_hello_on_wire");
    for (size_t i = 0; i + 1 < hello.n; i++) {
        wa_session_feed(session, BYTES(hello.p + i, 1));
        expect_nothing();
    }
    size_t before = wa_session_output(session)->n;
    wa_session_feed(session, BYTES(hello.p + hello.n - 1, 1));
    expect_nothing();
    ck_assert_uint_gt(wa_session_output(session)->n, before);
}
END_TEST

START_TEST(test_handshake_silent_server_times_out)
{
    open_session();
    expect_nothing();
    ck_assert_int_eq(wa_session_deadline(session), mem.now_ms + 20000);
    mem.now_ms += 20000;
    expect_close(WA_CLOSE_TIMEOUT);
}
END_TEST

/* ---- pairing -----------------------------------------------------------------------------------
 */

static void say_refs(size_t count)
{
    struct wa_node *iq = server_iq("set", "md"), *pair = wa_node_child(iq, "pair-device");
    for (size_t i = 0; i < count; i++)
        wa_node_child_data(
            pair, "ref",
            bytes_text(i == 0 ? testing_text(json_object_get(adv, "qr"), "ref") : "2@next"));
    say(iq);
}

static void start_pairing(size_t refs)
{
    open_session();
    do_handshake();
    say_refs(refs);
}

START_TEST(test_pairing_first_ref_gives_the_vectors_qr)
{
    start_pairing(6);
    struct wa_event ev = expect(WA_EVENT_QR);
    const char *want = testing_text(json_object_get(adv, "qr"), "body");
    testing_assert_bytes(ev.u.qr.payload, bytes_text(want), "qr");
    ck_assert_int_eq(ev.u.qr.ttl_ms, 60000);
    struct wa_node *answer = hear_tag("iq");
    ck_assert(wa_node_attr_is(answer, "type", "result") && wa_node_attr_is(answer, "id", "srv-1"));
}
END_TEST

START_TEST(test_pairing_without_keys_stores_nothing_before_it_succeeds)
{
    static const char *const drawn[] = {"client_static", "client_identity", "server_static",
                                        "server_static"}; /* the last two: any 32 bytes */
    ck_assert_int_eq(wa_device_forget(&mem.host), 0);
    for (size_t i = 0; i < ARRAY_LEN(drawn); i++)
        fake_host_script(
            &mem,
            testing_hex(json_object_get(json_object_get(noise, "keys"), drawn[i]), "private"));
    size_t puts = mem.puts;
    start_pairing(2);
    ck_assert_uint_gt(expect(WA_EVENT_QR).u.qr.payload.n, 0);
    mem.now_ms += 60000;
    expect(WA_EVENT_QR);
    mem.now_ms += 20000;
    expect_close(WA_CLOSE_PAIRING_TIMEOUT);
    ck_assert_uint_eq(mem.puts, puts);
}
END_TEST

START_TEST(test_pairing_refs_rotate_then_time_out)
{
    start_pairing(3);
    expect(WA_EVENT_QR);
    mem.now_ms += 59999;
    expect_nothing();
    for (unsigned i = 1; i < 3; i++) {
        mem.now_ms += i == 1 ? 1 : 20000;
        struct wa_event ev = expect(WA_EVENT_QR);
        ck_assert_uint_eq(ev.u.qr.index, i);
        ck_assert_int_eq(ev.u.qr.ttl_ms, 20000);
    }
    mem.now_ms += 20000;
    expect_close(WA_CLOSE_PAIRING_TIMEOUT);
}
END_TEST

START_TEST(test_pairing_vector_success_answers_as_the_vector)
{
    json_t *c = json_array_get(json_object_get(adv, "cases"), 0);
    start_pairing(6);
    expect(WA_EVENT_QR);
    forget_output();
    fake_host_script(&mem, testing_hex(c, "device_signature_random_64"));
    say_plain(testing_hex(c, "pair_success_stanza"));
    struct wa_event ev = expect(WA_EVENT_PAIRED);
    char text[WA_JID_TEXT_SIZE];
    ck_assert_str_eq(wa_jid_text(&ev.u.account.pn, text), "5511987654321:12@s.whatsapp.net");
    ck_assert_str_eq(wa_jid_text(&ev.u.account.lid, text), "123456789012345:12@lid");
    struct wa_node *answer = hear_tag("iq");
    struct wa_node *identity =
        wa_node_find(wa_node_find(answer, "pair-device-sign"), "device-identity");
    testing_assert_bytes(wa_node_data(identity), testing_hex(c, "reply_device_identity"), "answer");
    ck_assert(wa_node_attr_is(identity, "key-index", "7"));
    struct wa_device d;
    ck_assert_int_eq(wa_device_load(&d, &mem.host), 1);
    ck_assert(wa_device_is_paired(&d));
    testing_assert_bytes(BYTES(d.account, d.account_len), testing_hex(c, "stored_account"),
                         "account");
    struct wa_node *restart = stanza("stream:error");
    wa_node_set(restart, "code", "515");
    say(restart);
    expect_close(WA_CLOSE_RESTART);
}
END_TEST

START_TEST(test_pairing_vector_negatives_refused_and_unpaired)
{
    json_t *negatives = json_object_get(adv, "negative");
    for (size_t i = 0; i < json_array_size(negatives); i++) {
        json_t *c = json_array_get(negatives, i);
        start_pairing(6);
        expect(WA_EVENT_QR);
        forget_output();
        struct wa_node *iq = server_iq("set", "md"), *success = wa_node_child(iq, "pair-success");
        struct wa_jid pn = wa_jid_make(WA_SERVER_PN, "5511987654321", 12);
        wa_node_set_jid(wa_node_child(success, "device"), "jid", &pn);
        wa_node_child_data(success, "device-identity",
                           testing_hex(c, "pair_success_device_identity"));
        say(iq);
        expect_close(WA_CLOSE_PAIRING_REFUSED);
        struct wa_node *answer = hear_tag("iq");
        ck_assert(wa_node_attr_is(answer, "type", "error"));
        ck_assert(wa_node_attr_is(wa_node_find(answer, "error"), "code", "401"));
        struct wa_device d;
        ck_assert_int_eq(wa_device_load(&d, &mem.host), 1);
        ck_assert(!wa_device_is_paired(&d));
        wa_session_close(session);
        session = NULL;
    }
}
END_TEST

START_TEST(test_pairing_store_fails_sends_nothing)
{
    json_t *c = json_array_get(json_object_get(adv, "cases"), 0);
    start_pairing(6);
    expect(WA_EVENT_QR);
    forget_output();
    mem.fail_put = 1;
    say_plain(testing_hex(c, "pair_success_stanza"));
    expect_close(WA_CLOSE_STORE);
    ck_assert(hear() == NULL);
}
END_TEST

/* ---- linking by code ---------------------------------------------------------------------------
 */

START_TEST(test_link_code_vectors_match)
{
    json_t *v = testing_vectors("link-code.json"), *code = json_object_get(v, "code"), *one;
    char text[WA_LINK_CODE_LEN + 1], shown[WA_LINK_CODE_SHOWN_SIZE];
    size_t i;
    wa_link_code(text, testing_hex(code, "random_bytes").p);
    ck_assert_str_eq(text, json_string_value(json_object_get(code, "code")));
    wa_link_code_shown(shown, text);
    ck_assert_str_eq(shown, json_string_value(json_object_get(code, "displayed")));
    json_array_foreach(json_object_get(code, "more"), i, one)
    {
        wa_link_code(text, testing_hex(one, "bytes").p);
        ck_assert_str_eq(text, json_string_value(json_object_get(one, "code")));
    }
    ck_assert_int_eq(wa_link_check_phone("5511987654321"), 0);
    const char *const bad[] = {"", "123456", "0511987654321", "+5511987654321", "1234567890123456"};
    for (i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_int_eq(wa_link_check_phone(bad[i]), ERR_INVALID);
}
END_TEST

/* The link_code_companion_reg of a stanza stands in the vector's bytes. */
static void expect_vector_reg(const struct wa_node *iq, json_t *part)
{
    struct buf encoded = {.max = 4096};
    struct bytes want = testing_hex(part, "stanza");
    const struct wa_node *reg = wa_node_find(iq, "link_code_companion_reg");
    ck_assert_ptr_nonnull(reg);
    ck_assert_int_eq(wa_node_encode(reg, &encoded), 0);
    ck_assert_msg(memmem(want.p, want.n, encoded.p + 1, encoded.n - 1) != NULL,
                  "not as the vector");
    buf_deinit(&encoded);
}

/* The device of the vectors asks for their code. */
static json_t *ask_code(void)
{
    json_t *v = testing_vectors("link-code.json"), *keys = json_object_get(v, "keys");
    struct wa_device d;
    ck_assert_int_eq(wa_device_load(&d, &mem.host), 1);
    load_keypair(&d.identity, keys, "companion_identity");
    uint8_t typed[33] = {5};
    memcpy(typed + 1, d.signed_prekey.key.pub, 32);
    wa_curve_sign(d.signed_prekey.signature, d.identity.priv, BYTES_ARRAY(typed), &mem.host);
    ck_assert_int_eq(wa_device_save(&d, &mem.host), 0);
    start_pairing(6);
    expect(WA_EVENT_QR);
    forget_output();
    json_t *hello = json_object_get(v, "companion_hello");
    fake_host_script(&mem, testing_hex(json_object_get(keys, "companion_ephemeral"), "private"));
    fake_host_script(&mem, testing_hex(json_object_get(v, "code"), "random_bytes"));
    fake_host_script(&mem, testing_hex(hello, "salt"));
    fake_host_script(&mem, testing_hex(hello, "iv"));
    ck_assert_int_eq(wa_session_pair_code(session, "5511987654321"), 0);
    return v;
}

static void give_ref(const struct wa_node *hello, json_t *v)
{
    struct wa_node *iq = answer_to(hello);
    struct bytes ref = bytes_text(
        json_string_value(json_object_get(json_object_get(v, "primary_hello"), "ref_utf8")));
    wa_node_child_data(wa_node_child(iq, "link_code_companion_reg"), "link_code_pairing_ref", ref);
    say(iq);
}

START_TEST(test_pair_code_three_stages_as_the_vectors)
{
    json_t *v = ask_code(), *finished = json_object_get(v, "companion_finish");
    struct wa_node *hello = hear_tag("iq");
    struct bytes wrapped = testing_hex(json_object_get(v, "companion_hello"), "wrapped_80_bytes");
    testing_assert_bytes(wa_node_child_bytes(wa_node_find(hello, "link_code_companion_reg"),
                                             "link_code_pairing_wrapped_companion_ephemeral_pub"),
                         wrapped, "wrapped key");
    /* the noise key is that of the handshake's vectors, all else that of these */
    struct wa_node *reg = wa_node_find(hello, "link_code_companion_reg");
    wa_node_set_data(
        wa_node_find(reg, "companion_server_auth_key_pub"),
        testing_hex(json_object_get(json_object_get(v, "keys"), "companion_noise_static"),
                    "public"));
    expect_vector_reg(hello, json_object_get(v, "companion_hello"));
    give_ref(hello, v);
    struct wa_event ev = expect(WA_EVENT_CODE);
    ck_assert_str_eq(ev.u.code.shown,
                     json_string_value(json_object_get(json_object_get(v, "code"), "displayed")));
    ck_assert_int_eq(ev.u.code.ttl_ms, 180000);
    fake_host_script(&mem, testing_hex(finished, "bundle_salt"));
    fake_host_script(&mem, testing_hex(finished, "bundle_nonce"));
    fake_host_script(&mem, testing_hex(json_object_get(v, "adv_secret"), "adv_random"));
    say_plain(testing_hex(json_object_get(v, "primary_hello"), "stanza"));
    expect(WA_EVENT_QR); /* the same ref with the new secret */
    expect_nothing();
    struct wa_node *heard = hear(), *other = hear();
    struct wa_node *finish = wa_node_is(heard, "iq") ? heard : other;
    ck_assert(heard && other && wa_node_is(finish, "iq"));
    expect_vector_reg(finish, finished);
    struct wa_device d;
    ck_assert_int_eq(wa_device_load(&d, &mem.host), 1);
    testing_assert_bytes(BYTES_ARRAY(d.adv_secret),
                         testing_hex(json_object_get(v, "adv_secret"), "adv_secret"), "secret");
}
END_TEST

START_TEST(test_pair_code_refused_expired_and_bounded)
{
    json_t *v = ask_code();
    struct wa_node *iq = answer_to(hear_tag("iq"));
    wa_node_set(iq, "type", "error");
    wa_node_set(wa_node_child(iq, "error"), "code", "429");
    say(iq);
    struct wa_event ev = expect(WA_EVENT_CODE);
    ck_assert_ptr_null(ev.u.code.shown);
    ck_assert_uint_eq(ev.u.code.error, 429);
    ck_assert_int_eq(wa_session_pair_code(session, "none"), ERR_INVALID);
    ck_assert_int_eq(wa_session_pair_code(session, "5511987654321"), 0);
    give_ref(hear_tag("iq"), v);
    expect(WA_EVENT_CODE);
    mem.now_ms += 180000;
    struct wa_event gone;
    do
        gone = (ck_assert(next_event(&gone)), gone);
    while (gone.type == WA_EVENT_QR);
    ck_assert_int_eq((int)gone.type, WA_EVENT_CODE);
    ck_assert_ptr_null(gone.u.code.shown);
    ck_assert_int_eq(wa_session_pair_code(session, "5511987654321"), 0);
    ck_assert_int_eq(wa_session_pair_code(session, "5511987654321"), ERR_LIMIT);
}
END_TEST

START_TEST(test_pairing_reg_refresh_shows_a_new_secret)
{
    start_pairing(6);
    struct wa_event ev = expect(WA_EVENT_QR);
    char *before = bytes_strdup(ev.u.qr.payload);
    struct wa_node *n = stanza("notification");
    wa_node_set(n, "id", "n1");
    wa_node_set(n, "type", "companion_reg_refresh");
    wa_node_set_jid(n, "from", &(struct wa_jid){.server = WA_SERVER_PN});
    forget_output();
    say(n);
    ev = expect(WA_EVENT_QR);
    ck_assert(!bytes_is(ev.u.qr.payload, before));
    ck_assert(wa_node_attr_is(hear_tag("ack"), "class", "notification"));
    free(before);
}
END_TEST

/* ---- resume and routing ------------------------------------------------------------------------
 */

#define XX_HELLO_LEN 43 /* prologue, frame, ephemeral */

static void end_session(void)
{
    wa_session_close(session);
    session = NULL;
}

/* The XX hello of a new connection says nothing but a key. */
static bool says_resume(void)
{
    end_session();
    open_session();
    return wa_session_output(session)->n > XX_HELLO_LEN;
}

static void hear_xx(void)
{
    wa_session_feed(session, testing_hex(json_object_get(noise, "xx"), "server_hello_on_wire"));
}

static void say_success(void)
{
    struct wa_node *success = stanza("success");
    wa_node_set(success, "t", "1780000000");
    say(success);
    expect(WA_EVENT_CONNECTED);
}

START_TEST(test_resume_is_said_by_paired_devices_only)
{
    open_session();
    do_handshake();
    ck_assert(!says_resume());
    mark_paired(true);
    ck_assert(!says_resume());
    do_handshake();
    ck_assert(says_resume());
    ck_assert_str_eq(wa_session_handshake(session), "XX");
}
END_TEST

START_TEST(test_resume_answered_by_plain_xx_logs_in_and_is_said_again)
{
    mark_paired(true);
    open_session();
    do_handshake();
    for (int i = 0; i < 2; i++) {
        ck_assert(says_resume());
        do_handshake(); /* the vector's answer to plain XX */
        say_success();
        ck_assert_str_eq(wa_session_handshake(session), "XX");
    }
}
END_TEST

START_TEST(test_resume_refused_by_the_vectors_fallback_logs_in)
{
    mark_paired(true);
    open_session();
    do_handshake();
    ck_assert(says_resume());
    struct buf framed = {.max = 1 << 16};
    wa_frame_append(&framed, testing_hex(json_object_get(noise, "xxfallback"), "server_hello"));
    wa_session_feed(session, buf_bytes(&framed));
    buf_deinit(&framed);
    expect_nothing();
    ck_assert_str_eq(wa_session_handshake(session), "XXfallback");
    ck_assert(says_resume());
}
END_TEST

START_TEST(test_resume_that_ends_unanswered_is_followed_by_plain_dials)
{
    mark_paired(true);
    open_session();
    do_handshake();
    ck_assert(says_resume());
    ck_assert(!says_resume()); /* closed or killed, whatever it was */
    ck_assert(!says_resume());
    ck_assert(says_resume());
    expect_nothing();
    mem.now_ms += 20000;
    expect_close(WA_CLOSE_TIMEOUT);
    ck_assert(!says_resume());
}
END_TEST

START_TEST(test_resume_with_an_answer_that_does_not_open_forgets_the_key)
{
    mark_paired(true);
    open_session();
    do_handshake();
    ck_assert(says_resume());
    struct bytes hello = testing_hex(json_object_get(noise, "ik"), "server_hello");
    struct buf framed = {.max = 1 << 16};
    wa_frame_append(&framed, hello); /* good, but made for another payload */
    wa_session_feed(session, buf_bytes(&framed));
    buf_deinit(&framed);
    expect_close(WA_CLOSE_HANDSHAKE);
    ck_assert(!fake_host_has(&mem, WA_TABLE_DEVICE, "server_key"));
    ck_assert(!says_resume());
    hear_xx();
    expect_nothing();
    ck_assert(says_resume());
}
END_TEST

START_TEST(test_resume_whose_mark_cannot_be_written_sends_nothing)
{
    struct err err = {0};
    mark_paired(true);
    open_session();
    do_handshake();
    end_session();
    mem.fail_put = 1;
    ck_assert_int_eq(wa_session_open(&session, &config, &mem.host, &err), ERR_STORE);
}
END_TEST

static bool begins_with_preface(void)
{
    end_session();
    open_session();
    const struct buf *out = wa_session_output(session);
    return out->n > 2 && memcmp(out->p, "ED", 2) == 0;
}

static void say_routing(const char *info)
{
    struct wa_node *ib = stanza("ib"), *edge = wa_node_child(ib, "edge_routing");
    if (info)
        wa_node_child_data(edge, "routing_info", bytes_text(info));
    say(ib);
    expect_nothing();
}

START_TEST(test_routing_info_comes_first_on_the_next_connection)
{
    static const uint8_t want[] = {'E', 'D', 0, 1, 0, 0, 4, 'e', 'd', 'g', 'e'};
    go_online(true);
    say_routing(NULL);
    ck_assert(!begins_with_preface());
    do_handshake();
    say_routing("edge"); /* before <success> */
    end_session();
    open_session();
    testing_assert_bytes(BYTES(wa_session_output(session)->p, sizeof(want)), BYTES_ARRAY(want),
                         "preface");
    ck_assert(!begins_with_preface()); /* as that one never logged in */
}
END_TEST

START_TEST(test_routing_info_is_kept_by_logins_and_not_by_unpaired_devices)
{
    start_pairing(1);
    expect(WA_EVENT_QR);
    say_routing("edge");
    ck_assert(!begins_with_preface());
    end_session();
    go_online(true);
    say_routing("edge");
    for (int i = 0; i < 2; i++) {
        ck_assert(begins_with_preface());
        buf_drop_front(wa_session_output(session), 11);
        do_handshake();
        say_success();
    }
}
END_TEST

/* ---- login and ends ----------------------------------------------------------------------------
 */

START_TEST(test_login_first_time_uploads_812_prekeys_and_goes_active)
{
    go_online(false);
    struct wa_node *upload = hear_tag("iq");
    size_t count = 0;
    const struct wa_node *key = wa_node_find(wa_node_find(upload, "list"), "key");
    for (; key; key = wa_node_next(key, "key"))
        count++;
    ck_assert_uint_eq(count, 812);
    ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_PREKEY), 812);
    ck_assert(wa_node_find(hear_tag("iq"), "active") != NULL);
    say(answer_to(upload));
    expect_nothing();
    struct wa_device d;
    ck_assert_int_eq(wa_device_load(&d, &mem.host), 1);
    ck_assert(d.prekeys_uploaded);
    ck_assert_uint_eq(d.login_count, 1);
}
END_TEST

START_TEST(test_login_low_count_refills_enough_does_not)
{
    static const struct {
        const char *value;
        bool refill;
    } cases[] = {{"4", true}, {"5", false}, {"800", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        go_online(true);
        struct wa_node *query = hear_tag("iq");
        ck_assert(wa_node_find(query, "count") != NULL);
        forget_output();
        struct wa_node *answer = answer_to(query);
        wa_node_set(wa_node_child(answer, "count"), "value", cases[i].value);
        say(answer);
        expect_nothing();
        struct wa_node *next = hear_tag("iq");
        ck_assert_int_eq(wa_node_find(next, "list") != NULL, cases[i].refill);
        ck_assert_int_eq(wa_node_find(next, "digest") != NULL, !cases[i].refill);
        wa_session_close(session);
        session = NULL;
    }
}
END_TEST

/* A login that ends with <failure> and two attributes; an empty value leaves one out. */
static struct wa_event refused_login(const char *name, const char *value, const char *other,
                                     const char *other_value)
{
    mark_paired(true);
    set_login_count(1);
    open_session();
    do_handshake();
    struct wa_node *failure = stanza("failure");
    if (value[0])
        wa_node_set(failure, name, value);
    if (other_value[0])
        wa_node_set(failure, other, other_value);
    say(failure);
    struct wa_event ev = expect(WA_EVENT_CLOSED);
    wa_session_close(session);
    session = NULL;
    return ev;
}

START_TEST(test_failure_each_reason_closes_as_documented)
{
    static const struct {
        const char *reason;
        enum wa_close why;
    } cases[] = {{"400", WA_CLOSE_REFUSED},
                 {"401", WA_CLOSE_LOGGED_OUT},
                 {"402", WA_CLOSE_BANNED},
                 {"403", WA_CLOSE_LOCKED},
                 {"405", WA_CLOSE_VERSION},
                 {"406", WA_CLOSE_LOGGED_OUT},
                 {"409", WA_CLOSE_REFUSED},
                 {"413", WA_CLOSE_REFUSED},
                 {"414", WA_CLOSE_REFUSED},
                 {"415", WA_CLOSE_REFUSED},
                 {"418", WA_CLOSE_REFUSED},
                 {"500", WA_CLOSE_SERVER},
                 {"501", WA_CLOSE_REFUSED},
                 {"503", WA_CLOSE_SERVER},
                 {"999", WA_CLOSE_REFUSED},
                 {"", WA_CLOSE_REFUSED},
                 {"-1", WA_CLOSE_REFUSED},
                 {"4294967697", WA_CLOSE_REFUSED},
                 {"99999999999999999999", WA_CLOSE_REFUSED}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct wa_event ev = refused_login("reason", cases[i].reason, "location", "frc");
        ck_assert_msg(ev.u.closed.why == cases[i].why, "%s: %s", cases[i].reason,
                      wa_close_code(ev.u.closed.why));
        ck_assert_int_eq(ev.u.closed.retry_after_s, 0);
        ck_assert(cases[i].reason[0] == '9' || cases[i].reason[0] == '-' ||
                  strstr(ev.u.closed.err.text, cases[i].reason) != NULL);
    }
}
END_TEST

START_TEST(test_failure_ban_says_why_and_how_long)
{
    static const struct {
        const char *expire;
        int64_t s;
    } cases[] = {{"3600", 3600},
                 {"0", 0},
                 {"", 0},
                 {"soon", 0},
                 {"-5", 0},
                 {"18446744073709551615", 0},
                 {"1780007200", 7200},
                 {"1679000000", 0}, /* a point in time, and one that passed */
                 {"999999999", 31622400}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct wa_event ev = refused_login("reason", "402", "expire", cases[i].expire);
        ck_assert_int_eq((int)ev.u.closed.why, WA_CLOSE_BANNED);
        ck_assert_msg(ev.u.closed.retry_after_s == cases[i].s, "%s: %lld", cases[i].expire,
                      (long long)ev.u.closed.retry_after_s);
    }
    static const char *const codes[][2] = {{"101", "contacts"},  {"102", "blocked"},
                                           {"103", "groups"},    {"104", "same message"},
                                           {"106", "broadcast"}, {"7", "does not say why"}};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        struct wa_event ev = refused_login("reason", "402", "code", codes[i][0]);
        ck_assert_msg(strstr(ev.u.closed.err.text, codes[i][1]) != NULL, "%s",
                      ev.u.closed.err.text);
    }
}
END_TEST

START_TEST(test_failure_text_for_the_owner_is_passed_on_cut_to_whole_characters)
{
    char text[400];
    memset(text, 'x', sizeof(text));
    for (size_t i = 150; i + 3 < sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    text[sizeof(text) - 1] = '\0';
    struct wa_event ev =
        refused_login("reason", "403", "logout_message_subtext", "Open the app on your phone");
    ck_assert(strstr(ev.u.closed.err.text, ": Open the app on your phone") != NULL);
    ev = refused_login("reason", "403", "message", text);
    ck_assert(strstr(ev.u.closed.err.text, "xxx\xe2\x82\xac") != NULL);
    ck_assert(text_utf8_valid(bytes_text(ev.u.closed.err.text)));
    ev = refused_login("reason", "403", "logout_message_header", "\xff\xfe no text");
    ck_assert(text_utf8_valid(bytes_text(ev.u.closed.err.text)));
}
END_TEST

START_TEST(test_server_time_is_learnt_from_success_and_pong_and_runs_on)
{
    mark_paired(true);
    open_session();
    do_handshake();
    ck_assert_int_eq(wa_session_server_ms(session), 0);
    struct wa_node *success = stanza("success");
    wa_node_set(success, "t", "1790000000");
    say(success);
    expect(WA_EVENT_CONNECTED);
    mem.now_ms += 5000;
    ck_assert_int_eq(wa_session_server_ms(session), 1790000005000);
    struct wa_node *ping;
    struct wa_event ev;
    do {
        mem.now_ms = wa_session_deadline(session);
        next_event(&ev);
        while ((ping = hear()) && !wa_node_attr_is(ping, "xmlns", "w:p"))
            continue;
    } while (!ping);
    static const char *const nonsense[] = {"0", "x", "99999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
        int64_t before = wa_session_server_ms(session);
        struct wa_node *pong = answer_to(ping);
        wa_node_set(pong, "t", nonsense[i]);
        say(pong);
        expect_nothing();
        ck_assert_int_eq(wa_session_server_ms(session), before);
        mem.now_ms = wa_session_deadline(session);
        next_event(&ev);
        while ((ping = hear()) && !wa_node_attr_is(ping, "xmlns", "w:p"))
            continue;
        if (!ping)
            break;
    }
}
END_TEST

START_TEST(test_failure_401_before_any_success_is_an_unconfirmed_pairing)
{
    mark_paired(false);
    open_session();
    do_handshake();
    struct wa_node *failure = stanza("failure");
    wa_node_set(failure, "reason", "401");
    say(failure);
    expect_close(WA_CLOSE_UNCONFIRMED);
}
END_TEST

START_TEST(test_stream_error_each_kind_closes_as_documented)
{
    static const struct {
        const char *code, *conflict, *child;
        enum wa_close why;
    } cases[] = {{"515", NULL, NULL, WA_CLOSE_RESTART},
                 {"516", NULL, NULL, WA_CLOSE_LOGGED_OUT},
                 {"401", "device_removed", NULL, WA_CLOSE_LOGGED_OUT},
                 {NULL, "replaced", NULL, WA_CLOSE_REPLACED},
                 {"503", NULL, NULL, WA_CLOSE_SERVER},
                 {"429", NULL, NULL, WA_CLOSE_RATE},
                 {NULL, NULL, "xml-not-well-formed", WA_CLOSE_STREAM_END},
                 {NULL, NULL, "ack", WA_CLOSE_STREAM_END},
                 {NULL, NULL, NULL, WA_CLOSE_STREAM_END}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        go_online(true);
        struct wa_node *error = stanza("stream:error");
        if (cases[i].code)
            wa_node_set(error, "code", cases[i].code);
        if (cases[i].conflict)
            wa_node_set(wa_node_child(error, "conflict"), "type", cases[i].conflict);
        if (cases[i].child)
            wa_node_child(error, cases[i].child);
        say(error);
        expect_close(cases[i].why);
        wa_session_close(session);
        session = NULL;
    }
}
END_TEST

/* ---- a lying server ----------------------------------------------------------------------------
 */

START_TEST(test_feed_flipped_mac_closes)
{
    go_online(true);
    struct buf sealed = {.max = 1024}, frame = {.max = 1024};
    ck_assert_int_eq(wa_cipher_seal(&to_client, testing_unhex("00f8011f"), &sealed), 0);
    sealed.p[sealed.n - 1] ^= 1;
    ck_assert_int_eq(wa_frame_append(&frame, buf_bytes(&sealed)), 0);
    wa_session_feed(session, buf_bytes(&frame));
    expect_close(WA_CLOSE_PROTOCOL);
    buf_deinit(&sealed);
    buf_deinit(&frame);
}
END_TEST

START_TEST(test_feed_overlong_announcement_closes_at_once)
{
    go_online(true);
    wa_session_feed(session, testing_unhex("ffffff"));
    expect_close(WA_CLOSE_PROTOCOL);
    wa_session_close(session);
    open_session();
    wa_session_feed(session, testing_unhex("ffffff"));
    expect_close(WA_CLOSE_PROTOCOL);
}
END_TEST

START_TEST(test_feed_malformed_vectors_close_or_are_ignored)
{
    json_t *nodes = testing_vectors("nodes.json"), *list = json_object_get(nodes, "malformed");
    for (size_t i = 0; i < json_array_size(list); i++) {
        go_online(true);
        say_plain(testing_hex(json_array_get(list, i), "hex"));
        struct wa_event ev;
        bool closed = next_event(&ev);
        ck_assert_msg(!closed ||
                          (ev.type == WA_EVENT_CLOSED && (ev.u.closed.why == WA_CLOSE_PROTOCOL ||
                                                          ev.u.closed.why == WA_CLOSE_STREAM_END)),
                      "case %zu", i);
        wa_session_close(session);
        session = NULL;
    }
}
END_TEST

/* ---- keepalive, backlog, notifications ---------------------------------------------------------
 */

START_TEST(test_keepalive_two_unanswered_pings_close)
{
    go_online(true);
    mem.now_ms += 2000;
    expect(WA_EVENT_OFFLINE_DONE);
    forget_output();
    int pings = 0;
    struct wa_event ev = {0};
    for (int i = 0; i < 20 && ev.type != WA_EVENT_CLOSED; i++) {
        mem.now_ms = wa_session_deadline(session);
        next_event(&ev);
        struct wa_node *node;
        while ((node = hear()))
            pings += wa_node_attr_is(node, "xmlns", "w:p");
    }
    ck_assert_int_eq(ev.type, WA_EVENT_CLOSED);
    ck_assert_int_eq((int)ev.u.closed.why, WA_CLOSE_TIMEOUT);
    ck_assert_int_ge(pings, 2);
    ck_assert_int_le(mem.now_ms, 1780000000000 + 2000 + 60000);
}
END_TEST

static int heard_pings(void)
{
    int pings = 0;
    struct wa_event ev;
    ck_assert_int_eq(wa_session_next(session, &ev), 0);
    for (struct wa_node *node; (node = hear());)
        pings += wa_node_attr_is(node, "xmlns", "w:p");
    return pings;
}

START_TEST(test_awake_anyway_takes_the_keepalive_along)
{
    go_online(true);
    mem.now_ms += 2000;
    expect(WA_EVENT_OFFLINE_DONE);
    ck_assert(!wa_session_awake(session));
    heard_pings();
    mem.now_ms += 17999; /* 20 seconds after it was scheduled at login */
    ck_assert(!wa_session_awake(session));
    ck_assert_int_eq(heard_pings(), 0);
    mem.now_ms += 10000;
    ck_assert(wa_session_awake(session));
    ck_assert_int_eq(heard_pings(), 1);
    ck_assert(!wa_session_awake(session));
    ck_assert_int_eq(heard_pings(), 0);
}
END_TEST

START_TEST(test_iq_server_ping_is_answered)
{
    go_online(true);
    forget_output();
    say(server_iq("get", "urn:xmpp:ping"));
    expect_nothing();
    struct wa_node *pong = hear_tag("iq");
    ck_assert(wa_node_attr_is(pong, "type", "result") && wa_node_attr_is(pong, "id", "srv-1"));
}
END_TEST

START_TEST(test_backlog_preview_asks_and_marker_ends_it)
{
    go_online(true);
    forget_output();
    struct wa_node *ib = stanza("ib");
    wa_node_set(wa_node_child(ib, "offline_preview"), "count", "3");
    say(ib);
    expect_nothing();
    ck_assert(wa_node_attr_is(wa_node_find(hear_tag("ib"), "offline_batch"), "count", "200"));
    mem.now_ms += 5000;
    expect_nothing();
    ib = stanza("ib");
    wa_node_set(wa_node_child(ib, "offline"), "count", "3");
    say(ib);
    expect(WA_EVENT_OFFLINE_DONE);
}
END_TEST

START_TEST(test_backlog_without_marker_ends_soon_after_the_last_stanza)
{
    for (int announced = 0; announced <= 1; announced++) {
        go_online(true);
        if (announced) {
            struct wa_node *ib = stanza("ib");
            wa_node_set(wa_node_child(ib, "offline_preview"), "count", "2");
            say(ib);
            expect_nothing();
        }
        for (int i = 0; i < 2; i++) {
            mem.now_ms += 1400;
            struct wa_node *n = stanza("notification");
            wa_node_set(n, "id", "n1");
            wa_node_set(n, "type", "picture");
            wa_node_set(n, "offline", "1");
            say(n);
            expect_nothing();
        }
        mem.now_ms += 1500;
        expect(WA_EVENT_OFFLINE_DONE);
        wa_session_close(session);
        session = NULL;
    }
}
END_TEST

START_TEST(test_notification_any_type_is_acked)
{
    static const char *const types[] = {"encrypt", "devices", "w:gp2",
                                        "picture", "mex",     "unheard-of"};
    go_online(true);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        forget_output();
        struct wa_node *n = stanza("notification");
        struct wa_jid from = wa_jid_make(WA_SERVER_PN, "49151", 0);
        wa_node_set(n, "id", "n7");
        wa_node_set(n, "type", types[i]);
        wa_node_set_jid(n, "from", &from);
        say(n);
        expect_nothing();
        struct wa_node *ack = hear_tag("ack");
        ck_assert(wa_node_attr_is(ack, "class", "notification") &&
                  wa_node_attr_is(ack, "id", "n7") && wa_node_attr_is(ack, "type", types[i]));
    }
}
END_TEST

START_TEST(test_ib_client_expiration_is_an_event)
{
    go_online(true);
    struct wa_node *ib = stanza("ib"), *expiration = wa_node_child(ib, "client_expiration");
    wa_node_set(expiration, "t", "1790000000");
    say(ib);
    ck_assert_int_eq(expect(WA_EVENT_VERSION_EXPIRES).u.expires.at_s, 1790000000);
    wa_node_child(ib = stanza("ib"), "client_expiration");
    say(ib);
    ck_assert_int_eq(expect(WA_EVENT_VERSION_EXPIRES).u.expires.at_s, 0);
}
END_TEST

/* ---- messages ----------------------------------------------------------------------------------
 */

/* A contact with a Signal identity of its own. */
static struct fake_host peer_mem;
static struct wa_device peer;
static struct wa_signal *peer_signal;
static struct wa_jid peer_lid, peer_pn, our_address;

static void meet_peer(void)
{
    go_online(false);
    struct wa_node *upload = hear_tag("iq");
    forget_output();
    say(answer_to(upload));
    expect_nothing();
    fake_host_init(&peer_mem);
    peer_mem.counter = 77;
    wa_device_generate(&peer, &peer_mem.host);
    peer_signal = wa_signal_open(&peer, &peer_mem.host);
    peer_lid = wa_jid_make(WA_SERVER_LID, "222222222222222", 0);
    peer_pn = wa_jid_make(WA_SERVER_PN, "4915112345678", 0);
    our_address = wa_jid_make(WA_SERVER_LID, "123456789012345", 12);
    struct wa_bundle b = {0};
    const struct wa_node *key = wa_node_find(wa_node_find(upload, "list"), "key");
    const struct wa_node *skey = wa_node_find(upload, "skey");
    wa_node_child_be_value(upload, "registration", 4, &b.registration_id);
    memcpy(b.identity, wa_node_child_bytes(upload, "identity").p, 32);
    b.has_prekey = true;
    wa_node_child_be_value(key, "id", 3, &b.prekey_id);
    memcpy(b.prekey, wa_node_child_bytes(key, "value").p, 32);
    wa_node_child_be_value(skey, "id", 3, &b.signed_prekey_id);
    memcpy(b.signed_prekey, wa_node_child_bytes(skey, "value").p, 32);
    memcpy(b.signed_prekey_signature, wa_node_child_bytes(skey, "signature").p, 64);
    ck_assert_int_eq(wa_signal_process_bundle(peer_signal, &our_address, &b), 0);
}

static void part_from_peer(void)
{
    wa_signal_close(peer_signal);
    fake_host_deinit(&peer_mem);
}

static struct wa_node *peer_says(const char *id, struct bytes message, int flip)
{
    struct buf padded = {.max = 4096}, sealed = {.max = 8192};
    enum wa_enc_type type;
    ck_assert_int_eq(wa_padding_add(&padded, message, 5), 0);
    ck_assert_int_eq(
        wa_signal_encrypt(peer_signal, &our_address, buf_bytes(&padded), &type, &sealed), 0);
    if (flip)
        sealed.p[sealed.n - 8] ^= 1; /* inside the MAC of the message, in a pkmsg too */
    struct wa_node *node = stanza("message");
    wa_node_set_jid(node, "from", &peer_lid);
    wa_node_set_jid(node, "sender_pn", &peer_pn);
    wa_node_set(node, "id", id);
    wa_node_set(node, "t", "1780000001");
    wa_node_set(node, "type", "text");
    wa_node_set(node, "notify", "Ann");
    struct wa_node *enc = wa_node_child_data(node, "enc", buf_bytes(&sealed));
    wa_node_set(enc, "v", "2");
    wa_node_set(enc, "type", wa_enc_text(type));
    buf_deinit(&padded);
    buf_deinit(&sealed);
    return node;
}

static struct wa_node *peer_message(const char *id, const char *text, int flip)
{
    struct buf message = {.max = 4096};
    struct wa_text t = {.text = bytes_text(text)};
    ck_assert_int_eq(wa_message_build_text(&message, &t), 0);
    struct wa_node *node = peer_says(id, buf_bytes(&message), flip);
    buf_deinit(&message);
    return node;
}

START_TEST(test_message_pkmsg_event_receipt_and_prekey_gone)
{
    meet_peer();
    say(peer_message("3A01", "good morning", 0));
    struct wa_event ev = expect(WA_EVENT_MESSAGE);
    testing_assert_bytes(ev.u.message.content->text, bytes_text("good morning"), "text");
    ck_assert(wa_jid_equal(&ev.u.message.chat, &peer_lid));
    ck_assert(wa_jid_equal(&ev.u.message.chat_pn, &peer_pn));
    ck_assert(!ev.u.message.from_me && !ev.u.message.offline);
    ck_assert(bytes_is(ev.u.message.push_name, "Ann"));
    struct wa_node *receipt = hear_tag("receipt");
    ck_assert(wa_node_attr_is(receipt, "id", "3A01") &&
              wa_node_attr_is(receipt, "to", "222222222222222@lid"));
    ck_assert(hear() == NULL);
    ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_PREKEY), 811);
    ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_SESSION), 1);
    part_from_peer();
}
END_TEST

/* Message{protocolMessage{type 3, ephemeralExpiration}}; the other types of a contact are silent.
 */
START_TEST(test_message_timer_setting_is_an_event)
{
    static const uint8_t setting[] = {0x62, 6, 0x10, 3, 0x20, 0x80, 0xa3, 5},
                         other[] = {0x62, 2, 0x10, 4};
    meet_peer();
    say(peer_says("3A20", BYTES_ARRAY(setting), 0));
    struct wa_event ev = expect(WA_EVENT_MESSAGE);
    ck_assert_int_eq((int)ev.u.message.content->kind, WA_KIND_PROTOCOL);
    ck_assert(ev.u.message.content->timer_set);
    ck_assert_uint_eq(ev.u.message.content->expiration_s, 86400);
    ck_assert(wa_node_attr_is(hear_tag("receipt"), "id", "3A20"));
    say(peer_says("3A21", BYTES_ARRAY(other), 0));
    expect_nothing();
    part_from_peer();
}
END_TEST

START_TEST(test_message_same_stanza_twice_receipt_without_event)
{
    meet_peer();
    struct wa_node *node = peer_message("3A02", "once", 0);
    say(node);
    expect(WA_EVENT_MESSAGE);
    forget_output();
    say(node);
    expect_nothing();
    ck_assert(wa_node_attr_is(hear_tag("receipt"), "id", "3A02"));
    part_from_peer();
}
END_TEST

START_TEST(test_message_undecryptable_asks_five_times_then_gives_up)
{
    meet_peer();
    for (unsigned i = 1; i <= 6; i++) {
        say(peer_message("3A03", "broken", 1));
        struct wa_event ev = expect(WA_EVENT_MESSAGE);
        ck_assert_int_eq((int)ev.u.message.content->kind, WA_KIND_UNDECRYPTABLE);
        ck_assert_uint_eq(ev.u.message.retry, i <= 5 ? i : 0);
        ck_assert_ptr_nonnull(ev.u.message.fault);
        if (i <= 5) {
            struct wa_node *receipt = hear_tag("receipt");
            uint64_t count = 0;
            ck_assert(wa_node_attr_is(receipt, "type", "retry"));
            ck_assert(wa_node_attr_u64(wa_node_find(receipt, "retry"), "count", &count) &&
                      count == i);
            ck_assert_int_eq(wa_node_find(receipt, "keys") != NULL, i >= 2);
        } else {
            hear_tag("iq"); /* our own phone is asked instead; there is no session with it yet */
        }
        struct wa_node *ack = hear_tag("ack");
        ck_assert(wa_node_attr_is(ack, "class", "message") && !wa_node_attr(ack, "error").p);
        ck_assert(hear() == NULL);
    }
    ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_SESSION), 0);
    part_from_peer();
}
END_TEST

START_TEST(test_message_store_fails_answers_nothing)
{
    meet_peer();
    struct wa_node *node = peer_message("3A04", "lost?", 0);
    mem.fail_put = 1;
    say(node);
    expect_close(WA_CLOSE_STORE);
    ck_assert(hear() == NULL);
    part_from_peer();
}
END_TEST

START_TEST(test_message_malformed_or_empty_is_nacked)
{
    go_online(true);
    forget_output();
    struct wa_node *node = stanza("message");
    struct wa_jid from = wa_jid_make(WA_SERVER_PN, "49151", 0);
    wa_node_set_jid(node, "from", &from);
    wa_node_set(node, "id", "X1");
    say(node);
    expect_nothing();
    ck_assert(wa_node_attr_is(hear_tag("ack"), "error", "487"));
    wa_node_set(node, "t", "1");
    say(node);
    expect_nothing();
    ck_assert(wa_node_attr_is(hear_tag("ack"), "error", "488"));
    wa_node_child(node, "unavailable");
    say(node);
    ck_assert_int_eq((int)expect(WA_EVENT_MESSAGE).u.message.content->kind, WA_KIND_UNDECRYPTABLE);
    ck_assert(!wa_node_attr(hear_tag("ack"), "error").p);
}
END_TEST

/* ---- sending -----------------------------------------------------------------------------------
 */

static void say_devices(const struct wa_node *query)
{
    struct wa_node *iq = answer_to(query),
                   *list = wa_node_child(wa_node_child(iq, "usync"), "list");
    const struct wa_node *asked =
        wa_node_find(wa_node_find(wa_node_find(query, "usync"), "list"), "user");
    for (; asked; asked = wa_node_next(asked, "user")) {
        struct wa_node *user = wa_node_child(list, "user");
        wa_node_copy_attr(user, asked, "jid");
        struct wa_node *devices = wa_node_child(wa_node_child(user, "devices"), "device-list");
        wa_node_set(wa_node_child(devices, "device"), "id", "0");
        if (wa_node_attr_is(asked, "jid", "123456789012345@lid")) {
            struct wa_node *self = wa_node_child(devices, "device");
            wa_node_set(self, "id", "12");
            wa_node_set(self, "key-index", "7");
        }
    }
    say(iq);
}

static struct wa_outgoing outgoing(const char *id)
{
    return (struct wa_outgoing){
        .id = id, .to = peer_lid, .text = {.text = bytes_text("hello back")}};
}

START_TEST(test_send_known_session_fans_out_and_is_acked)
{
    meet_peer();
    say(peer_message("3A05", "hi", 0));
    expect(WA_EVENT_MESSAGE);
    forget_output();
    struct wa_outgoing m = outgoing("3EB0AA");
    m.text.expiration_s = 604800;
    m.text.expiration_set_s = 1780000000;
    ck_assert_int_eq(wa_session_send(session, &m), 0);
    struct wa_node *usync = hear_tag("iq");
    ck_assert(wa_node_attr_is(usync, "xmlns", "usync"));
    say_devices(usync);
    expect_nothing();
    /* our own phone has no session yet: its bundle is asked for, and refused here */
    struct wa_node *bundles = hear_tag("iq");
    const struct wa_node *asked = wa_node_find(wa_node_find(bundles, "key"), "user");
    ck_assert(wa_node_attr_is(asked, "jid", "123456789012345@lid"));
    ck_assert(wa_node_next(asked, "user") == NULL);
    struct wa_node *answer = answer_to(bundles),
                   *user = wa_node_child(wa_node_child(answer, "list"), "user");
    wa_node_copy_attr(user, asked, "jid");
    wa_node_set(wa_node_child(user, "error"), "code", "406");
    say(answer);
    expect_nothing();
    struct wa_node *message = hear_tag("message");
    ck_assert(wa_node_attr_is(message, "to", "222222222222222@lid"));
    const struct wa_node *to = wa_node_find(wa_node_find(message, "participants"), "to");
    ck_assert(wa_node_attr_is(to, "jid", "222222222222222@lid") && !wa_node_next(to, "to"));
    struct buf plain = {.max = 4096};
    enum wa_signal_fault fault;
    const struct wa_node *enc = wa_node_find(to, "enc");
    ck_assert(wa_node_attr_is(enc, "type", "msg"));
    ck_assert_int_eq(
        wa_signal_decrypt(peer_signal, &our_address, WA_ENC_MSG, wa_node_data(enc), &plain, &fault),
        0);
    struct bytes padded = buf_bytes(&plain);
    struct wa_content content;
    ck_assert_int_eq(wa_padding_remove(&padded), 0);
    ck_assert_int_eq(wa_message_parse(padded, &heard_arena, &content), 0);
    testing_assert_bytes(content.text, bytes_text("hello back"), "reply");
    ck_assert_uint_eq(content.expiration_s, 604800);
    ck_assert_int_eq(content.expiration_set_s, 1780000000);
    buf_deinit(&plain);
    struct wa_node *ack = stanza("ack");
    wa_node_set(ack, "class", "message");
    wa_node_set(ack, "id", "3EB0AA");
    wa_node_set(ack, "t", "1780000005");
    say(ack);
    struct wa_event ev = expect(WA_EVENT_ACKED);
    ck_assert(bytes_is(ev.u.ack.id, "3EB0AA"));
    ck_assert_uint_eq(ev.u.ack.error, 0);
    ck_assert_int_eq(ev.u.ack.timestamp_s, 1780000005);
    part_from_peer();
}
END_TEST

START_TEST(test_send_no_session_to_be_had_fails)
{
    meet_peer();
    struct wa_outgoing m = outgoing("3EB0AB");
    ck_assert_int_eq(wa_session_send(session, &m), 0);
    say_devices(hear_tag("iq"));
    expect_nothing();
    say(answer_to(hear_tag("iq")));
    struct wa_event ev = expect(WA_EVENT_SEND_FAILED);
    ck_assert(bytes_is(ev.u.ack.id, "3EB0AB"));
    ck_assert(hear() == NULL);
    part_from_peer();
}
END_TEST

START_TEST(test_send_bad_input_refused)
{
    meet_peer();
    struct wa_outgoing m = outgoing("3EB0AC");
    m.to = wa_jid_make(WA_SERVER_BROADCAST, "status", 0);
    ck_assert_int_eq(wa_session_send(session, &m), ERR_UNSUPPORTED);
    m = outgoing("");
    ck_assert_int_eq(wa_session_send(session, &m), ERR_INVALID);
    m = outgoing("3EB0AD");
    m.text.text = bytes_text("\xff");
    ck_assert_int_eq(wa_session_send(session, &m), ERR_INVALID);
    m = outgoing("3EB0AE");
    for (int i = 0; i < WA_SENDS_MAX; i++)
        ck_assert_int_eq(wa_session_send(session, &m), 0);
    ck_assert_int_eq(wa_session_send(session, &m), ERR_LIMIT);
    part_from_peer();
}
END_TEST

static void accept(const char *id, const char *error)
{
    struct wa_node *ack = stanza("ack");
    wa_node_set(ack, "class", "message");
    wa_node_set(ack, "id", id);
    wa_node_set(ack, "t", "1780000005");
    if (error)
        wa_node_set(ack, "error", error);
    say(ack);
}

/* ---- groups ------------------------------------------------------------------------------------
 */

static const struct wa_jid group = {.server = WA_SERVER_GROUP, .user = "120363000000000001"};

/* The peer's <enc> of a Message of its own for us, or under its sender key for the group. */
static void add_enc(struct wa_node *node, struct bytes message, bool to_group)
{
    struct buf padded = {.max = 4096}, sealed = {.max = 8192}, skdm = {.max = 4096};
    enum wa_enc_type type = WA_ENC_SKMSG;
    ck_assert_int_eq(wa_padding_add(&padded, message, 5), 0);
    if (to_group)
        ck_assert_int_eq(wa_signal_group_encrypt(peer_signal, &group, &peer_lid, buf_bytes(&padded),
                                                 &sealed, &skdm),
                         0);
    else
        ck_assert_int_eq(
            wa_signal_encrypt(peer_signal, &our_address, buf_bytes(&padded), &type, &sealed), 0);
    struct wa_node *enc = wa_node_child_data(node, "enc", buf_bytes(&sealed));
    wa_node_set(enc, "v", "2");
    wa_node_set(enc, "type", wa_enc_text(type));
    buf_deinit(&padded);
    buf_deinit(&sealed);
    buf_deinit(&skdm);
}

static struct wa_node *group_stanza(const char *id)
{
    struct wa_node *node = stanza("message");
    wa_node_set_jid(node, "from", &group);
    wa_node_set_jid(node, "participant", &peer_lid);
    wa_node_set_jid(node, "participant_pn", &peer_pn);
    wa_node_set(node, "addressing_mode", "lid");
    wa_node_set(node, "id", id);
    wa_node_set(node, "t", "1780000001");
    wa_node_set(node, "type", "text");
    return node;
}

static struct wa_node *group_message(const char *id, const char *text, bool with_key)
{
    struct wa_node *node = group_stanza(id);
    struct buf message = {.max = 4096}, skdm = {.max = 4096}, key = {.max = 4096};
    struct wa_text t = {.text = bytes_text(text)};
    ck_assert_int_eq(wa_message_build_text(&message, &t), 0);
    ck_assert_int_eq(wa_signal_group_distribution(peer_signal, &group, &peer_lid, &skdm), 0);
    ck_assert_int_eq(wa_message_build_skdm(&key, "120363000000000001@g.us", buf_bytes(&skdm)), 0);
    if (with_key)
        add_enc(node, buf_bytes(&key), false);
    add_enc(node, buf_bytes(&message), true);
    buf_deinit(&message);
    buf_deinit(&skdm);
    buf_deinit(&key);
    return node;
}

START_TEST(test_message_group_key_then_text_recorded_with_both_names)
{
    meet_peer();
    say(group_message("3A10", "to all", true));
    struct wa_event ev = expect(WA_EVENT_MESSAGE);
    ck_assert(ev.u.message.group && !ev.u.message.from_me);
    testing_assert_bytes(ev.u.message.content->text, bytes_text("to all"), "text");
    ck_assert(wa_jid_equal(&ev.u.message.chat, &group));
    ck_assert(wa_jid_equal(&ev.u.message.sender_pn, &peer_pn));
    struct wa_node *receipt = hear_tag("receipt");
    ck_assert(wa_node_attr_is(receipt, "to", "120363000000000001@g.us") &&
              wa_node_attr_is(receipt, "participant", "222222222222222@lid"));
    ck_assert(hear() == NULL);
    say(group_message("3A11", "again", false));
    expect(WA_EVENT_MESSAGE);
    part_from_peer();
}
END_TEST

START_TEST(test_message_group_without_key_asks_for_it)
{
    meet_peer();
    say(group_message("3A12", "who reads this", false));
    struct wa_event ev = expect(WA_EVENT_MESSAGE);
    ck_assert_int_eq((int)ev.u.message.content->kind, WA_KIND_UNDECRYPTABLE);
    struct wa_node *receipt = hear_tag("receipt");
    ck_assert(wa_node_attr_is(receipt, "type", "retry") &&
              wa_node_attr_is(receipt, "participant", "222222222222222@lid"));
    ck_assert(wa_node_attr_is(wa_node_find(receipt, "retry"), "error", "1"));
    part_from_peer();
}
END_TEST

static const char *group_timer; /* as the server has it; NULL none */

static void say_members(const struct wa_node *query, bool with_peer)
{
    ck_assert(wa_node_attr_is(query, "xmlns", "w:g2") &&
              wa_node_attr_is(query, "to", "120363000000000001@g.us"));
    struct wa_node *iq = answer_to(query), *g = wa_node_child(iq, "group");
    wa_node_set(g, "id", "120363000000000001");
    wa_node_set(g, "addressing_mode", "lid");
    if (group_timer)
        wa_node_set(wa_node_child(g, "ephemeral"), "expiration", group_timer);
    struct wa_node *self = wa_node_child(g, "participant");
    wa_node_set(self, "jid", "123456789012345@lid");
    if (with_peer) {
        struct wa_node *member = wa_node_child(g, "participant");
        wa_node_set_jid(member, "jid", &peer_lid);
        wa_node_set_jid(member, "phone_number", &peer_pn);
    }
    say(iq);
    expect_nothing();
}

static struct wa_outgoing to_group(const char *id)
{
    struct wa_outgoing m = outgoing(id);
    m.to = group;
    return m;
}

static void refuse_bundles(const struct wa_node *query)
{
    ck_assert(wa_node_attr_is(query, "xmlns", "encrypt"));
    say(answer_to(query));
    expect_nothing();
}

/* Reads what the peer would: its copy of the key when there is one, then the text. Its timer. */
static uint32_t peer_reads_group(const struct wa_node *message, bool with_key)
{
    struct wa_jid own = wa_jid_make(WA_SERVER_LID, "123456789012345", 12);
    const struct wa_node *to = wa_node_find(wa_node_find(message, "participants"), "to");
    struct buf plain = {.max = 8192};
    enum wa_signal_fault fault;
    enum wa_enc_type type;
    struct wa_content content;
    ck_assert_int_eq(to != NULL, with_key);
    if (to) {
        const struct wa_node *enc = wa_node_find(to, "enc");
        ck_assert(wa_node_attr_is(to, "jid", "222222222222222@lid"));
        ck_assert_int_eq(wa_enc_parse(wa_node_attr(enc, "type"), &type), 0);
        ck_assert_int_eq(
            wa_signal_decrypt(peer_signal, &our_address, type, wa_node_data(enc), &plain, &fault),
            0);
        struct bytes padded = buf_bytes(&plain);
        ck_assert_int_eq(wa_padding_remove(&padded), 0);
        ck_assert_int_eq(wa_message_parse(padded, &heard_arena, &content), 0);
        ck_assert(bytes_is(content.skdm_group, "120363000000000001@g.us"));
        ck_assert_int_eq(wa_signal_process_skdm(peer_signal, &group, &own, content.skdm), 0);
        buf_clear(&plain);
    }
    const struct wa_node *enc = wa_node_find(message, "enc");
    ck_assert(wa_node_attr_is(enc, "type", "skmsg"));
    ck_assert_int_eq(
        wa_signal_group_decrypt(peer_signal, &group, &own, wa_node_data(enc), &plain, &fault), 0);
    struct bytes padded = buf_bytes(&plain);
    ck_assert_int_eq(wa_padding_remove(&padded), 0);
    ck_assert_int_eq(wa_message_parse(padded, &heard_arena, &content), 0);
    testing_assert_bytes(content.text, bytes_text("hello back"), "group text");
    buf_deinit(&plain);
    return content.expiration_s;
}

static struct wa_node *hear_group_message(const char *mode)
{
    struct wa_node *message = hear_tag("message");
    ck_assert(wa_node_attr_is(message, "to", "120363000000000001@g.us") &&
              wa_node_attr_is(message, "addressing_mode", mode));
    ck_assert(hear() == NULL);
    return message;
}

/* Up to the first message of ours in the group, which the peer reads. */
static void write_to_group(void)
{
    meet_peer();
    say(group_message("3A13", "hi all", true));
    expect(WA_EVENT_MESSAGE);
    forget_output();
    struct wa_outgoing m = to_group("3EB0C1");
    ck_assert_int_eq(wa_session_send(session, &m), 0);
    say_members(hear_tag("iq"), true);
    say_devices(hear_tag("iq"));
    expect_nothing();
    refuse_bundles(hear_tag("iq")); /* of our own phone */
    struct wa_node *message = hear_group_message("lid");
    struct wa_jid devices[] = {peer_lid, wa_jid_make(WA_SERVER_LID, "123456789012345", 0),
                               wa_jid_make(WA_SERVER_LID, "123456789012345", 12)};
    char phash[WA_PHASH_SIZE];
    wa_phash(phash, devices, ARRAY_LEN(devices));
    ck_assert(wa_node_attr_is(message, "phash", phash));
    peer_reads_group(message, true);
}

static void send_again(const char *id)
{
    struct wa_outgoing m = to_group(id);
    ck_assert_int_eq(wa_session_send(session, &m), 0);
}

START_TEST(test_send_group_key_goes_once_after_the_ack)
{
    write_to_group();
    send_again("3EB0C2"); /* the first is not acked yet: nobody is known to hold the key */
    refuse_bundles(hear_tag("iq"));
    peer_reads_group(hear_group_message("lid"), true);
    accept("3EB0C1", NULL);
    expect(WA_EVENT_ACKED);
    send_again("3EB0C3");
    refuse_bundles(hear_tag("iq"));
    peer_reads_group(hear_group_message("lid"), false);
    ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_SENDER_KEY_HOLDER), 1);
    part_from_peer();
}
END_TEST

static void say_group_changed(const char *what)
{
    struct wa_node *n = stanza("notification");
    wa_node_set(n, "id", "n8");
    wa_node_set(n, "type", "w:gp2");
    wa_node_set_jid(n, "from", &group);
    struct wa_node *p = wa_node_child(wa_node_child(n, what), "participant");
    wa_node_set_jid(p, "jid", &peer_lid);
    say(n);
    expect_nothing();
    ck_assert(wa_node_attr_is(hear_tag("ack"), "type", "w:gp2"));
}

/* What the bridge believes of the timer does not count, nor does what was true before. */
START_TEST(test_send_group_timer_is_the_one_of_the_server)
{
    static const struct {
        const char *notice, *timer;
        uint32_t believed, sent;
    } cases[] = {{"ephemeral", "86400", 0, 86400},
                 {"ephemeral", "604800", 604800, 604800},
                 {"not_ephemeral", NULL, 604800, 0},
                 {"ephemeral", "99999999999", 0, 0},
                 {"ephemeral", "soon", 60, 0}};
    write_to_group();
    accept("3EB0C1", NULL);
    expect(WA_EVENT_ACKED);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char id[8];
        snprintf(id, sizeof(id), "3EB0D%zu", i);
        struct wa_outgoing m = to_group(id);
        m.text.expiration_s = cases[i].believed;
        say_group_changed(cases[i].notice);
        group_timer = cases[i].timer;
        ck_assert_int_eq(wa_session_send(session, &m), 0);
        say_members(hear_tag("iq"), true);
        refuse_bundles(hear_tag("iq"));
        ck_assert_uint_eq(peer_reads_group(hear_group_message("lid"), false), cases[i].sent);
        accept(id, NULL);
        expect(WA_EVENT_ACKED);
    }
    part_from_peer();
}
END_TEST

START_TEST(test_send_group_member_left_key_is_new)
{
    struct wa_jid own = wa_jid_make(WA_SERVER_LID, "123456789012345", 12);
    struct buf plain = {.max = 8192};
    enum wa_signal_fault fault;
    write_to_group();
    accept("3EB0C1", NULL);
    expect(WA_EVENT_ACKED);
    say_group_changed("remove");
    send_again("3EB0C4");
    say_members(hear_tag("iq"), false);
    refuse_bundles(hear_tag("iq"));
    struct wa_node *message = hear_group_message("lid");
    ck_assert_ptr_null(wa_node_find(message, "participants"));
    const struct wa_node *enc = wa_node_find(message, "enc");
    ck_assert_int_eq(
        wa_signal_group_decrypt(peer_signal, &group, &own, wa_node_data(enc), &plain, &fault),
        ERR_AUTH);
    ck_assert_int_eq((int)fault, WA_FAULT_NO_SESSION);
    buf_deinit(&plain);
    part_from_peer();
}
END_TEST

START_TEST(test_send_group_stale_mode_asks_and_sends_once_more)
{
    write_to_group();
    for (int i = 0; i < 2; i++) {
        accept("3EB0C1", "421");
        if (i == 1)
            break;
        expect_nothing();
        say_members(hear_tag("iq"), true);
        refuse_bundles(hear_tag("iq"));
        peer_reads_group(hear_group_message("lid"), true);
    }
    struct wa_event ev = expect(WA_EVENT_ACKED);
    ck_assert_uint_eq(ev.u.ack.error, 421);
    part_from_peer();
}
END_TEST

START_TEST(test_send_group_not_a_member_is_refused)
{
    meet_peer();
    struct wa_outgoing m = to_group("3EB0C5");
    ck_assert_int_eq(wa_session_send(session, &m), 0);
    struct wa_node *iq = answer_to(hear_tag("iq"));
    wa_node_set(iq, "type", "error");
    wa_node_set(wa_node_child(iq, "error"), "code", "403");
    say(iq);
    struct wa_event ev = expect(WA_EVENT_ACKED);
    ck_assert_uint_eq(ev.u.ack.error, 403);
    ck_assert(hear() == NULL);
    part_from_peer();
}
END_TEST

static struct wa_event ask_group_again(const struct wa_jid *device)
{
    struct wa_node *receipt = stanza("receipt");
    wa_node_set(receipt, "id", "3EB0C1");
    wa_node_set(receipt, "type", "retry");
    wa_node_set_jid(receipt, "from", &group);
    wa_node_set_jid(receipt, "participant", device);
    struct wa_node *retry = wa_node_child(receipt, "retry");
    wa_node_set(retry, "id", "3EB0C1");
    wa_node_set(retry, "count", "1");
    say(receipt);
    struct wa_event ev = expect(WA_EVENT_RESEND);
    hear_tag("ack");
    return ev;
}

START_TEST(test_resend_group_member_gets_key_and_text_stranger_nothing)
{
    struct wa_jid stranger = wa_jid_make(WA_SERVER_LID, "333333333333333", 0);
    struct buf plain = {.max = 8192};
    enum wa_signal_fault fault;
    struct wa_content content;
    write_to_group();
    accept("3EB0C1", NULL);
    expect(WA_EVENT_ACKED);
    struct wa_outgoing m = to_group("3EB0C1");
    struct wa_event ev = ask_group_again(&peer_lid);
    ck_assert_int_eq(wa_session_resend(session, &ev, &m), 0);
    struct wa_node *message = hear_group_message("lid");
    ck_assert(wa_node_attr_is(message, "participant", "222222222222222@lid"));
    const struct wa_node *enc = wa_node_find(message, "enc");
    ck_assert(wa_node_attr_is(enc, "count", "1"));
    ck_assert_int_eq(
        wa_signal_decrypt(peer_signal, &our_address, WA_ENC_MSG, wa_node_data(enc), &plain, &fault),
        0);
    struct bytes padded = buf_bytes(&plain);
    ck_assert_int_eq(wa_padding_remove(&padded), 0);
    ck_assert_int_eq(wa_message_parse(padded, &heard_arena, &content), 0);
    testing_assert_bytes(content.text, bytes_text("hello back"), "text");
    ck_assert_uint_gt(content.skdm.n, 0);
    ev = ask_group_again(&stranger);
    ck_assert_int_eq(wa_session_resend(session, &ev, &m), 0);
    refuse_bundles(hear_tag("iq"));
    ck_assert(hear() == NULL);
    buf_deinit(&plain);
    part_from_peer();
}
END_TEST

/* ---- what only our own phone may say -----------------------------------------------------------
 */

/* A ProtocolMessage of this type with a key share {1 {1 {1 id} 2 data}}, by the wire format. */
static struct bytes key_share(void)
{
    static const uint8_t message[] = {0x62, 14, 0x10, 6, 0x3a, 10,   0x0a, 8,
                                      0x0a, 3,  0x0a, 1, 0xab, 0x12, 1,    0x7f};
    return BYTES_ARRAY(message);
}

START_TEST(test_message_key_share_kept_from_own_phone_alone)
{
    const struct wa_jid senders[] = {
        wa_jid_make(WA_SERVER_LID, "222222222222222", 0), /* a contact */
        wa_jid_make(WA_SERVER_LID, "123456789012345", 3), /* our other companion */
        wa_jid_make(WA_SERVER_LID, "123456789012345", 0), /* our phone */
    };
    for (size_t i = 0; i < ARRAY_LEN(senders); i++) {
        if (i > 0) {
            teardown();
            setup();
        }
        meet_peer();
        struct wa_node *node = stanza("message");
        wa_node_set_jid(node, "from", &senders[i]);
        wa_node_set(node, "category", "peer");
        wa_node_set(node, "id", "3A20");
        wa_node_set(node, "t", "1780000001");
        add_enc(node, key_share(), false);
        say(node);
        expect_nothing();
        if (i == 2) /* at last there is something to read the app state with */
            ck_assert(wa_node_attr_is(hear_tag("iq"), "xmlns", "w:sync:app:state"));
        ck_assert(wa_node_attr_is(hear_tag("receipt"), "type", "peer_msg"));
        ck_assert_uint_eq(fake_host_count(&mem, WA_TABLE_APP_STATE_KEY), i == 2);
        part_from_peer();
    }
}
END_TEST

/* ---- privacy tokens ----------------------------------------------------------------------------
 */

START_TEST(test_send_token_attached_and_ours_issued_once)
{
    meet_peer();
    say(peer_message("3A30", "hi", 0));
    expect(WA_EVENT_MESSAGE);
    struct wa_node *n = stanza("notification");
    wa_node_set(n, "id", "n9");
    wa_node_set(n, "type", "privacy_token");
    wa_node_set_jid(n, "from", &peer_pn);
    wa_node_set_jid(n, "sender_lid", &peer_lid);
    struct wa_node *token = wa_node_child(wa_node_child(n, "tokens"), "token");
    wa_node_set(token, "t", "1780000000");
    wa_node_set(token, "type", "trusted_contact");
    wa_node_set_data(token, bytes_text("secret"));
    say(n);
    expect_nothing();
    forget_output();
    for (int i = 0; i < 2; i++) {
        struct wa_outgoing m = outgoing(i ? "3EB0D2" : "3EB0D1");
        ck_assert_int_eq(wa_session_send(session, &m), 0);
        if (i == 0)
            say_devices(hear_tag("iq"));
        expect_nothing();
        refuse_bundles(hear_tag("iq"));
        struct wa_node *message = hear_tag("message");
        testing_assert_bytes(wa_node_child_bytes(message, "tctoken"), bytes_text("secret"),
                             "token");
        accept(m.id, NULL);
        expect(WA_EVENT_ACKED);
        struct wa_node *iq = hear();
        ck_assert_int_eq(iq != NULL, i == 0);
        if (iq)
            ck_assert(wa_node_attr_is(iq, "xmlns", "privacy") &&
                      wa_node_attr_is(wa_node_find(wa_node_find(iq, "tokens"), "token"), "jid",
                                      "4915112345678@s.whatsapp.net"));
    }
    part_from_peer();
}
END_TEST

START_TEST(test_privacy_stranger_token_vectors_are_theirs)
{
    json_t *list = json_object_get(testing_vectors("tokens.json"), "cstoken"), *v;
    size_t i;
    ck_assert_uint_gt(json_array_size(list), 0);
    json_array_foreach(list, i, v)
    {
        uint8_t token[WA_PRIVACY_STRANGER_LEN];
        struct wa_jid lid;
        ck_assert_int_eq(wa_jid_parse(&lid, bytes_text(testing_text(v, "lid"))), 0);
        wa_privacy_stranger_token(token, testing_hex(v, "nct_salt"), &lid);
        testing_assert_bytes(BYTES_ARRAY(token), testing_hex(v, "cstoken"), "token");
    }
}
END_TEST

/* Round 0: neither; 1: the account's salt; 2: the contact's token goes before it. */
START_TEST(test_send_stranger_token_only_without_theirs)
{
    uint8_t want[WA_PRIVACY_STRANGER_LEN];
    meet_peer();
    say(peer_message("3A30", "hi", 0));
    expect(WA_EVENT_MESSAGE);
    forget_output();
    wa_privacy_stranger_token(want, bytes_text("salt"), &peer_lid);
    for (int i = 0; i < 3; i++) {
        struct wa_outgoing m = outgoing(i == 0 ? "3EB0D1" : i == 1 ? "3EB0D2" : "3EB0D3");
        if (i == 1)
            fake_host_put(&mem, WA_TABLE_APP_STATE, "nct_salt", bytes_text("salt"));
        if (i == 2)
            wa_privacy_take(&mem.host, &peer_lid, bytes_text("secret"), 1780000000);
        ck_assert_int_eq(wa_session_send(session, &m), 0);
        if (i == 0)
            say_devices(hear_tag("iq"));
        expect_nothing();
        refuse_bundles(hear_tag("iq"));
        struct wa_node *message = hear_tag("message");
        ck_assert_int_eq(wa_node_find(message, "tctoken") != NULL, i == 2);
        ck_assert_int_eq(wa_node_find(message, "cstoken") != NULL, i == 1);
        if (i == 1)
            testing_assert_bytes(wa_node_child_bytes(message, "cstoken"), BYTES_ARRAY(want),
                                 "token");
        accept(m.id, NULL);
        expect(WA_EVENT_ACKED);
        forget_output();
    }
    part_from_peer();
}
END_TEST

START_TEST(test_privacy_vectors_expiry_and_reissue)
{
    json_t *vectors = testing_vectors("tokens.json"), *v;
    size_t i;
    json_array_foreach(json_object_get(vectors, "tctoken_expiry"), i, v)
    {
        ck_assert_int_eq(json_integer_value(json_object_get(v, "duration")), WA_PRIVACY_BUCKET_S);
        ck_assert_int_eq(json_integer_value(json_object_get(v, "buckets")), WA_PRIVACY_BUCKETS);
        ck_assert_int_eq(wa_privacy_expired(json_integer_value(json_object_get(v, "timestamp")),
                                            json_integer_value(json_object_get(v, "now"))),
                         json_is_true(json_object_get(v, "expired")));
    }
    json_array_foreach(json_object_get(vectors, "reissue"), i, v)
        ck_assert_int_eq(wa_privacy_due(json_integer_value(json_object_get(v, "last_sent")),
                                        json_integer_value(json_object_get(v, "now"))),
                         json_is_true(json_object_get(v, "should_issue")));
    ck_assert(wa_privacy_due(0, 1756000000));
    ck_assert(!wa_privacy_due(1756000000, 1756000000));
}
END_TEST

START_TEST(test_receipt_each_type_event_and_ack)
{
    static const struct {
        const char *type;
        int want; /* receipt type, -1 none */
    } cases[] = {{NULL, WA_RECEIPT_DELIVERED},
                 {"inactive", WA_RECEIPT_DELIVERED},
                 {"read", WA_RECEIPT_READ},
                 {"played", WA_RECEIPT_PLAYED},
                 {"sender", -1},
                 {"server-error", -1}};
    go_online(true);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        forget_output();
        struct wa_node *receipt = stanza("receipt");
        struct wa_jid from = wa_jid_make(WA_SERVER_PN, "49151", 3);
        wa_node_set(receipt, "id", "3EB0BB");
        wa_node_set(receipt, "t", "1780000009");
        wa_node_set_jid(receipt, "from", &from);
        if (cases[i].type)
            wa_node_set(receipt, "type", cases[i].type);
        wa_node_set(wa_node_child(wa_node_child(receipt, "list"), "item"), "id", "3EB0BC");
        say(receipt);
        if (cases[i].want >= 0) {
            struct wa_event ev = expect(WA_EVENT_RECEIPT);
            ck_assert_int_eq((int)ev.u.receipt.type, cases[i].want);
            ck_assert_uint_eq(ev.u.receipt.count, 2);
            ck_assert(bytes_is(ev.u.receipt.ids[1], "3EB0BC"));
        } else {
            expect_nothing();
        }
        struct wa_node *ack = hear_tag("ack");
        ck_assert(wa_node_attr_is(ack, "class", "receipt") &&
                  wa_node_attr_is(ack, "to", "49151:3@s.whatsapp.net"));
    }
}
END_TEST

START_TEST(test_logout_asks_server_then_closes)
{
    go_online(true);
    forget_output();
    ck_assert_int_eq(wa_session_logout(session), 0);
    struct wa_node *iq = hear_tag("iq");
    ck_assert(wa_node_attr_is(wa_node_find(iq, "remove-companion-device"), "jid",
                              "5511987654321:12@s.whatsapp.net"));
    say(answer_to(iq));
    expect_close(WA_CLOSE_LOGGED_OUT);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *const *tests, size_t count)
{
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
}

int main(void)
{
    static const TTest *tests[16];
    Suite *suite = suite_create("wa session");
#define GROUP(name, ...)                                                                           \
    do {                                                                                           \
        const TTest *list[] = {__VA_ARGS__};                                                       \
        memcpy(tests, list, sizeof(list));                                                         \
        add(suite, name, tests, ARRAY_LEN(list));                                                  \
    } while (0)
    GROUP("handshake", test_open_vector_keys_hello_on_wire,
          test_handshake_vector_hello_sends_the_vectors_static,
          test_handshake_any_flipped_byte_closes, test_handshake_wrong_root_closes,
          test_handshake_byte_by_byte_same_result, test_handshake_silent_server_times_out);
    GROUP("resume and routing", test_resume_is_said_by_paired_devices_only,
          test_resume_answered_by_plain_xx_logs_in_and_is_said_again,
          test_resume_refused_by_the_vectors_fallback_logs_in,
          test_resume_that_ends_unanswered_is_followed_by_plain_dials,
          test_resume_with_an_answer_that_does_not_open_forgets_the_key,
          test_resume_whose_mark_cannot_be_written_sends_nothing,
          test_routing_info_comes_first_on_the_next_connection,
          test_routing_info_is_kept_by_logins_and_not_by_unpaired_devices);
    GROUP("linking by code", test_link_code_vectors_match,
          test_pair_code_three_stages_as_the_vectors, test_pair_code_refused_expired_and_bounded);
    GROUP("pairing", test_pairing_first_ref_gives_the_vectors_qr,
          test_pairing_without_keys_stores_nothing_before_it_succeeds,
          test_pairing_refs_rotate_then_time_out, test_pairing_vector_success_answers_as_the_vector,
          test_pairing_vector_negatives_refused_and_unpaired,
          test_pairing_store_fails_sends_nothing, test_pairing_reg_refresh_shows_a_new_secret);
    GROUP("login and ends", test_login_first_time_uploads_812_prekeys_and_goes_active,
          test_login_low_count_refills_enough_does_not,
          test_failure_each_reason_closes_as_documented,
          test_failure_401_before_any_success_is_an_unconfirmed_pairing,
          test_failure_ban_says_why_and_how_long,
          test_failure_text_for_the_owner_is_passed_on_cut_to_whole_characters,
          test_server_time_is_learnt_from_success_and_pong_and_runs_on,
          test_stream_error_each_kind_closes_as_documented, test_feed_flipped_mac_closes,
          test_feed_overlong_announcement_closes_at_once,
          test_feed_malformed_vectors_close_or_are_ignored);
    GROUP("online", test_keepalive_two_unanswered_pings_close,
          test_awake_anyway_takes_the_keepalive_along, test_iq_server_ping_is_answered,
          test_backlog_preview_asks_and_marker_ends_it,
          test_backlog_without_marker_ends_soon_after_the_last_stanza,
          test_notification_any_type_is_acked, test_ib_client_expiration_is_an_event);
    GROUP("messages", test_message_pkmsg_event_receipt_and_prekey_gone,
          test_message_timer_setting_is_an_event,
          test_message_same_stanza_twice_receipt_without_event,
          test_message_undecryptable_asks_five_times_then_gives_up,
          test_message_store_fails_answers_nothing, test_message_malformed_or_empty_is_nacked,
          test_receipt_each_type_event_and_ack,
          test_message_group_key_then_text_recorded_with_both_names,
          test_message_group_without_key_asks_for_it,
          test_message_key_share_kept_from_own_phone_alone);
    GROUP("groups and tokens", test_send_group_key_goes_once_after_the_ack,
          test_send_group_timer_is_the_one_of_the_server, test_send_group_member_left_key_is_new,
          test_send_group_stale_mode_asks_and_sends_once_more,
          test_send_group_not_a_member_is_refused,
          test_resend_group_member_gets_key_and_text_stranger_nothing,
          test_send_token_attached_and_ours_issued_once, test_privacy_vectors_expiry_and_reissue,
          test_privacy_stranger_token_vectors_are_theirs,
          test_send_stranger_token_only_without_theirs);
    GROUP("sending", test_send_known_session_fans_out_and_is_acked,
          test_send_no_session_to_be_had_fails, test_send_bad_input_refused,
          test_logout_asks_server_then_closes);
    return testing_run(suite);
}
