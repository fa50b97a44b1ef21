/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The passkey step against vectors that were made by independent code (tests/vectors/passkey.json).
 */
#include "base/err.h"
#include "check_wa_passkey.h"
#include "testing.h"
#include "wa/passkey.h"

static json_t *vectors, *webauthn;

static void setup(void)
{
    vectors = testing_vectors("passkey.json");
    webauthn = json_object_get(vectors, "webauthn");
}

/* ---- the exchange --------------------------------------------------------------------------- */

START_TEST(test_handoff_key_vector_matches)
{
    json_t *v = json_object_get(vectors, "handoff_key");
    uint8_t key[32];
    wa_passkey_handoff_key(key, testing_hex(v, "adv_secret").p);
    testing_assert_bytes(BYTES_ARRAY(key), testing_hex(v, "handoff_key"), "handoff key");
}
END_TEST

static json_t *flow(int i)
{
    return json_array_get(json_object_get(vectors, "flows"), (size_t)i);
}

static uint32_t device_type(const json_t *f)
{
    return (uint32_t)json_integer_value(json_object_get(f, "device_type"));
}

START_TEST(test_prologue_and_proof_each_flow_as_the_vectors)
{
    json_t *f = flow(_i);
    struct buf prologue = {.max = 4096};
    uint8_t pub[WA_KEY_LEN], proof[32];
    wa_curve_public(pub, testing_hex(f, "companion_ephemeral_private").p);
    testing_assert_bytes(BYTES_ARRAY(pub), testing_hex(f, "companion_ephemeral_public"), "public");
    ck_assert_int_eq(wa_passkey_prologue(&prologue, pub, device_type(f),
                                         bytes_text(testing_text(f, "ref_text")),
                                         testing_hex(f, "companion_nonce").p),
                     0);
    testing_assert_bytes(buf_bytes(&prologue), testing_hex(f, "prologue_payload"), "prologue");
    if (json_is_string(json_object_get(f, "pairing_handoff_proof"))) {
        json_t *handoff = json_object_get(vectors, "handoff_key");
        wa_passkey_proof(proof, testing_hex(handoff, "handoff_key").p, buf_bytes(&prologue));
        testing_assert_bytes(BYTES_ARRAY(proof), testing_hex(f, "pairing_handoff_proof"), "proof");
    }
    buf_deinit(&prologue);
}
END_TEST

START_TEST(test_continuation_and_request_each_flow_as_the_vectors)
{
    json_t *f = flow(_i), *device = json_object_get(vectors, "device");
    struct wa_passkey_phone phone;
    struct wa_device d = {0};
    struct buf request = {.max = 4096};
    uint8_t key[32];
    char code[WA_LINK_CODE_LEN + 1], shown[WA_LINK_CODE_SHOWN_SIZE];
    ck_assert_int_eq(wa_passkey_phone_read(&phone, testing_hex(f, "primary_ephemeral_identity")),
                     0);
    ck_assert_int_eq(wa_passkey_agree(key, testing_hex(f, "companion_ephemeral_private").p,
                                      phone.pub, device_type(f),
                                      bytes_text(testing_text(f, "ref_text"))),
                     0);
    testing_assert_bytes(BYTES_ARRAY(key), testing_hex(f, "encryption_key"), "key");
    wa_passkey_code(code, testing_hex(f, "companion_nonce").p, &phone);
    wa_link_code_shown(shown, code);
    ck_assert_str_eq(shown, testing_text(f, "code"));
    memcpy(d.noise.pub, testing_hex(device, "noise_public").p, WA_KEY_LEN);
    memcpy(d.identity.pub, testing_hex(device, "identity_public").p, WA_KEY_LEN);
    ck_assert_int_eq(wa_passkey_request(&request, key, testing_hex(f, "gcm_iv").p, &d,
                                        testing_hex(f, "new_adv_secret").p),
                     0);
    testing_assert_bytes(buf_bytes(&request), testing_hex(f, "encrypted_pairing_request"),
                         "request");
    buf_deinit(&request);
}
END_TEST

START_TEST(test_code_encoding_vectors_match)
{
    json_t *list = json_object_get(vectors, "code_encoding"), *one;
    size_t i;
    json_array_foreach(list, i, one)
    {
        char code[WA_LINK_CODE_LEN + 1], shown[WA_LINK_CODE_SHOWN_SIZE];
        wa_link_code(code, testing_hex(one, "bytes").p);
        wa_link_code_shown(shown, code);
        ck_assert_str_eq(shown, testing_text(one, "code"));
    }
    ck_assert_uint_eq(i, 7);
}
END_TEST

START_TEST(test_phone_identity_each_check_as_the_vectors)
{
    json_t *list = json_object_get(vectors, "primary_identity_checks"), *f = flow(0), *one;
    size_t i, refused = 0;
    json_array_foreach(list, i, one)
    {
        const char *expected = testing_text(one, "expected"), *name = testing_text(one, "name");
        struct wa_passkey_phone phone = {{0}, {0}};
        uint8_t key[32];
        char code[WA_LINK_CODE_LEN + 1], shown[WA_LINK_CODE_SHOWN_SIZE];
        int rc = wa_passkey_phone_read(&phone, testing_hex(one, "hex"));
        if (strcmp(expected, "reject") == 0) {
            ck_assert_msg(rc == ERR_INVALID, "%s", name);
            refused++;
            continue;
        }
        ck_assert_msg(rc == 0, "%s", name);
        rc = wa_passkey_agree(key, testing_hex(f, "companion_ephemeral_private").p, phone.pub, 1,
                              bytes_text("ref"));
        if (strcmp(expected, "accept") != 0) {
            ck_assert_msg(rc == ERR_AUTH, "%s", name);
            refused++;
            continue;
        }
        ck_assert_msg(rc == 0, "%s", name);
        wa_passkey_code(code, testing_hex(f, "companion_nonce").p, &phone);
        wa_link_code_shown(shown, code);
        ck_assert_str_eq(shown, testing_text(one, "code"));
    }
    ck_assert_uint_eq(i, 11);
    ck_assert_uint_eq(refused, 9);
}
END_TEST

START_TEST(test_phone_read_each_truncation_is_refused)
{
    struct bytes whole = testing_hex(flow(0), "primary_ephemeral_identity");
    for (size_t n = 0; n < whole.n; n++) {
        struct wa_passkey_phone phone;
        ck_assert_int_eq(wa_passkey_phone_read(&phone, BYTES(whole.p, n)), ERR_INVALID);
    }
}
END_TEST

/* ---- WebAuthn ------------------------------------------------------------------------------- */

static struct wa_passkey_options options;

static void read_options(const char *text)
{
    ck_assert_int_eq(wa_passkey_options_read(&options, bytes_text(text)), 0);
}

/* What the checks say to a credential; its text for the server in *out when it is accepted. */
static enum wa_passkey_error judge(const json_t *credential, struct buf *out)
{
    struct wa_passkey_assertion a = {.credential_id_len = 0};
    char *text = json_dumps(credential, JSON_COMPACT);
    struct json_doc *doc;
    ck_assert_int_eq(json_doc_open(&doc, bytes_text(text), NULL), 0);
    enum wa_passkey_error e = wa_passkey_assertion_read(&a, &options, json_root(doc));
    if (e == WA_PASSKEY_OK) {
        testing_assert_bytes(BYTES(a.credential_id, a.credential_id_len),
                             testing_hex(webauthn, "credential_id_node"), "credential id");
        if (out)
            buf_append(out, buf_bytes(&a.text));
    }
    wa_passkey_assertion_deinit(&a);
    json_doc_close(doc);
    free(text);
    return e;
}

static json_t *good_credential(void)
{
    json_t *first = json_array_get(json_object_get(webauthn, "portal_inputs_accepted"), 0);
    return json_deep_copy(json_object_get(first, "credential"));
}

START_TEST(test_options_vector_is_read)
{
    read_options(testing_text(webauthn, "request_options_text"));
    testing_assert_bytes(BYTES(options.challenge, options.challenge_len),
                         testing_hex(webauthn, "challenge"), "challenge");
    ck_assert_str_eq(options.rp_id, "whatsapp.com");
    ck_assert_int_eq(options.timeout_ms, 600000);
    ck_assert(options.verification);
    testing_assert_bytes(buf_bytes(&options.text),
                         bytes_text(testing_text(webauthn, "request_options_text")), "verbatim");
    wa_passkey_options_deinit(&options);
}
END_TEST

START_TEST(test_options_unusable_are_refused_odd_ones_are_not)
{
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"challenge\":\"\"}",
                                      "{\"challenge\":7}",
                                      "{\"challenge\":\"*\"}",
                                      "{\"challenge\":\"AAAA\"",
                                      "\"challenge\""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(wa_passkey_options_read(&options, bytes_text(bad[i])) == ERR_INVALID, "%s",
                      bad[i]);
    read_options("{\"challenge\":\"AAAA\",\"timeout\":99999999999,\"new\":{}}");
    ck_assert_int_eq(options.timeout_ms, 600000);
    ck_assert(!options.verification);
    ck_assert_str_eq(options.rp_id, "web.whatsapp.com");
    read_options("{\"challenge\":\"AAAA\",\"timeout\":60000}");
    ck_assert_int_eq(options.timeout_ms, 60000);
    struct buf huge = {.max = 1 << 20};
    buf_append_text(&huge, "{\"challenge\":\"AAAA\",\"x\":\"");
    while (huge.n < WA_PASSKEY_OPTIONS_MAX)
        buf_append_text(&huge, "xxxxxxxx");
    buf_append_text(&huge, "\"}");
    ck_assert_int_eq(wa_passkey_options_read(&options, buf_bytes(&huge)), ERR_INVALID);
    buf_deinit(&huge);
}
END_TEST

START_TEST(test_assertion_accepted_vectors_are_written_as_the_vectors)
{
    json_t *list = json_object_get(webauthn, "portal_inputs_accepted"), *one;
    size_t i;
    read_options(testing_text(webauthn, "request_options_text"));
    json_array_foreach(list, i, one)
    {
        struct buf text = {.max = 65536};
        ck_assert_int_eq(judge(json_object_get(one, "credential"), &text), WA_PASSKEY_OK);
        testing_assert_bytes(buf_bytes(&text),
                             bytes_text(testing_text(one, "webauthn_assertion_node_text")),
                             testing_text(one, "name"));
        buf_deinit(&text);
    }
    ck_assert_uint_eq(i, 3);
    wa_passkey_options_deinit(&options);
}
END_TEST

START_TEST(test_assertion_refused_vectors_have_their_names)
{
    json_t *list = json_object_get(webauthn, "portal_inputs_rejected"), *one;
    size_t i;
    read_options(testing_text(webauthn, "request_options_text"));
    json_array_foreach(list, i, one)
        ck_assert_str_eq(wa_passkey_error_name(judge(json_object_get(one, "credential"), NULL)),
                         testing_text(one, "error"));
    ck_assert_uint_eq(i, 11);
    wa_passkey_options_deinit(&options);
}
END_TEST

START_TEST(test_assertion_allow_list_is_obeyed)
{
    json_t *c = good_credential();
    const char *challenge = "rJ6m5J-oZWMGNSu-fJQWWd0khnUIbgdl6-qfOp1iQe0";
    static const struct {
        const char *list;
        enum wa_passkey_error want;
    } cases[] = {{"[]", WA_PASSKEY_OK},
                 {"[{\"id\":\"AAAA\",\"type\":\"public-key\"}]", WA_PASSKEY_NOT_ALLOWED},
                 {"[7,{\"id\":\"PVFkELUC_rSS40KgJpiLY4U-3R4\"}]", WA_PASSKEY_OK}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text = {.max = 4096};
        buf_printf(&text,
                   "{\"challenge\":\"%s\",\"rpId\":\"whatsapp.com\",\"allowCredentials\":%s}",
                   challenge, cases[i].list);
        read_options(buf_text(&text));
        ck_assert_int_eq(judge(c, NULL), cases[i].want);
        buf_deinit(&text);
    }
    wa_passkey_options_deinit(&options);
    json_decref(c);
}
END_TEST

START_TEST(test_assertion_members_missing_or_huge_are_malformed)
{
    static const char *const members[] = {"id", "rawId", "type", "response"};
    static const char *const inner[] = {"clientDataJSON", "authenticatorData", "signature"};
    read_options(testing_text(webauthn, "request_options_text"));
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        json_t *c = good_credential();
        json_object_del(c, members[i]);
        ck_assert_msg(judge(c, NULL) == WA_PASSKEY_MALFORMED, "without %s", members[i]);
        json_decref(c);
    }
    char *huge = calloc(1, 20001);
    memset(huge, 'A', 20000);
    for (size_t i = 0; i < ARRAY_LEN(inner); i++) {
        json_t *c = good_credential(), *response = json_object_get(c, "response");
        json_object_set_new(response, inner[i], json_string(huge));
        ck_assert_msg(judge(c, NULL) == WA_PASSKEY_MALFORMED, "huge %s", inner[i]);
        json_object_del(response, inner[i]);
        ck_assert_msg(judge(c, NULL) == WA_PASSKEY_MALFORMED, "without %s", inner[i]);
        json_decref(c);
    }
    free(huge);
    json_t *c = json_array();
    ck_assert_int_eq(judge(c, NULL), WA_PASSKEY_MALFORMED);
    json_decref(c);
    wa_passkey_options_deinit(&options);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wa passkey");
    TCase *tc = tcase_create("exchange");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, test_handoff_key_vector_matches);
    tcase_add_loop_test(tc, test_prologue_and_proof_each_flow_as_the_vectors, 0, 4);
    tcase_add_loop_test(tc, test_continuation_and_request_each_flow_as_the_vectors, 0, 4);
    tcase_add_test(tc, test_code_encoding_vectors_match);
    tcase_add_test(tc, test_phone_identity_each_check_as_the_vectors);
    tcase_add_test(tc, test_phone_read_each_truncation_is_refused);
    suite_add_tcase(suite, tc);
    tc = tcase_create("webauthn");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, test_options_vector_is_read);
    tcase_add_test(tc, test_options_unusable_are_refused_odd_ones_are_not);
    tcase_add_test(tc, test_assertion_accepted_vectors_are_written_as_the_vectors);
    tcase_add_test(tc, test_assertion_refused_vectors_have_their_names);
    tcase_add_test(tc, test_assertion_allow_list_is_obeyed);
    tcase_add_test(tc, test_assertion_members_missing_or_huge_are_malformed);
    suite_add_tcase(suite, tc);
    suite_add_tcase(suite, check_wa_linking_case());
    return testing_run(suite);
}
