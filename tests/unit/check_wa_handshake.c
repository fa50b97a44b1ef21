/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Noise, certificates, the handshake, the client payload, pairing, the device's records. */
#include "testing.h"

#include <stdlib.h>

#include "base/err.h"
#include "wa/cert.h"
#include "wa/device.h"
#include "wa/frame.h"
#include "wa/handshake.h"
#include "wa/noise.h"
#include "wa/pairing.h"
#include "wa/payload.h"
#include "wa/pb.h"
#include "wa/proto/transport.pb-c.h"
#include "wa/resume.h"

/* ---- a host of memory ----------------------------------------------------------------------- */

struct record {
    enum wa_table table;
    char key[WA_KEY_MAX];
    struct bytes value; /* owned */
};

static struct {
    struct bytes script; /* randomness, when there is any left; then a counting pattern */
    uint8_t next_random;
    struct record records[64];
    size_t count;
    int failure; /* what put, get and del_prefix answer when not 0 */
} memory;

static void memory_random(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        if (memory.script.n) {
            out[i] = *memory.script.p;
            memory.script = BYTES(memory.script.p + 1, memory.script.n - 1);
        } else {
            out[i] = memory.next_random++;
        }
    }
}

static struct record *memory_find(enum wa_table table, const char *key)
{
    for (size_t i = 0; i < memory.count; i++) {
        if (memory.records[i].table == table && strcmp(memory.records[i].key, key) == 0)
            return &memory.records[i];
    }
    return NULL;
}

static int memory_get(void *ctx, enum wa_table table, const char *key, struct buf *out)
{
    (void)ctx;
    const struct record *r = memory_find(table, key);
    if (memory.failure)
        return memory.failure;
    if (!r)
        return 0;
    int rc = buf_append(out, r->value);
    return rc ? rc : 1;
}

static int memory_put(void *ctx, enum wa_table table, const char *key, struct bytes value)
{
    (void)ctx;
    if (memory.failure)
        return memory.failure;
    struct record *r = memory_find(table, key);
    if (!r) {
        ck_assert_uint_lt(memory.count, ARRAY_LEN(memory.records));
        r = &memory.records[memory.count++];
        r->table = table;
        snprintf(r->key, sizeof(r->key), "%s", key);
    } else {
        free((void *)(uintptr_t)r->value.p);
    }
    r->value = BYTES(bytes_strdup(value), value.n);
    return 0;
}

static int memory_del(void *ctx, enum wa_table table, const char *key)
{
    (void)ctx;
    if (memory.failure)
        return memory.failure;
    struct record *r = memory_find(table, key);
    if (r) {
        free((void *)(uintptr_t)r->value.p);
        *r = memory.records[--memory.count];
    }
    return 0;
}

static int memory_del_prefix(void *ctx, enum wa_table table, const char *prefix)
{
    (void)ctx;
    if (memory.failure)
        return memory.failure;
    for (size_t i = 0; i < memory.count;) {
        struct record *r = &memory.records[i];
        if (r->table == table && strncmp(r->key, prefix, strlen(prefix)) == 0) {
            free((void *)(uintptr_t)r->value.p);
            *r = memory.records[--memory.count];
        } else {
            i++;
        }
    }
    return 0;
}

static const struct wa_host host = {.random = memory_random,
                                    .get = memory_get,
                                    .put = memory_put,
                                    .del = memory_del,
                                    .del_prefix = memory_del_prefix};

static void teardown(void)
{
    for (size_t i = 0; i < memory.count; i++)
        free((void *)(uintptr_t)memory.records[i].value.p);
    memory.count = 0;
}

/* ---- noise ---------------------------------------------------------------------------------- */

static json_t *noise_vectors(const char *part)
{
    return json_object_get(testing_vectors("noise-xx.json"), part);
}

static void keypair_of(struct wa_keypair *out, const json_t *v)
{
    memcpy(out->priv, testing_hex(v, "private").p, 32);
    memcpy(out->pub, testing_hex(v, "public").p, 32);
}

static void assert_noise_state(const struct wa_noise *s, const json_t *step)
{
    const char *op = testing_text(step, "op");
    testing_assert_bytes(BYTES_ARRAY(s->h), testing_hex(step, "h"), op);
    testing_assert_bytes(BYTES_ARRAY(s->ck), testing_hex(step, "ck"), op);
    testing_assert_bytes(BYTES_ARRAY(s->k), testing_hex(step, "k"), op);
    ck_assert_int_eq(s->n, json_integer_value(json_object_get(step, "n")));
}

/* Does what the step says, as writer or as reader of sealed parts. */
static void apply_step(struct wa_noise *s, const json_t *step, bool writer)
{
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    if (json_object_get(step, "input")) {
        wa_noise_mix_hash(s, testing_hex(step, "input"));
    } else if (json_object_get(step, "dh_output")) {
        wa_noise_mix_key(s, testing_hex(step, "dh_output"));
    } else if (json_object_get(step, "plaintext") && writer) {
        ck_assert_int_eq(wa_noise_encrypt(s, testing_hex(step, "plaintext"), &out), 0);
        testing_assert_bytes(buf_bytes(&out), testing_hex(step, "ciphertext"), "sealed");
    } else if (json_object_get(step, "plaintext")) {
        ck_assert_int_eq(wa_noise_decrypt(s, testing_hex(step, "ciphertext"), &out), 0);
        testing_assert_bytes(buf_bytes(&out), testing_hex(step, "plaintext"), "opened");
    }
}

static const struct {
    const char *part, *name;
} patterns[] = {{"xx", WA_NOISE_XX}, {"ik", WA_NOISE_IK}, {"xxfallback", WA_NOISE_XXFALLBACK}};

START_TEST(test_noise_steps_of_every_pattern_match_in_both_roles)
{
    for (size_t i = 0; i < 2 * ARRAY_LEN(patterns); i++) {
        const json_t *v = noise_vectors(patterns[i / 2].part);
        const json_t *transport = json_object_get(v, "transport");
        struct wa_noise s;
        struct wa_cipher up, down;
        json_t *step;
        size_t k;
        wa_noise_init(&s, patterns[i / 2].name);
        json_array_foreach(json_object_get(v, "steps"), k, step)
        {
            apply_step(&s, step, i % 2 == 0);
            assert_noise_state(&s, step);
        }
        ck_assert_uint_ge(k, 10);
        wa_noise_split(&s, &up, &down);
        testing_assert_bytes(BYTES_ARRAY(up.key), testing_hex(transport, "client_to_server_key"),
                             "client to server");
        testing_assert_bytes(BYTES_ARRAY(down.key), testing_hex(transport, "server_to_client_key"),
                             "server to client");
    }
}
END_TEST

START_TEST(test_noise_decrypt_of_changed_input_leaves_the_state)
{
    const json_t *v = json_array_get(json_object_get(noise_vectors("xx"), "steps"), 5);
    struct wa_noise s, before;
    AUTO_BUF struct buf out;
    struct bytes sealed = testing_hex(v, "ciphertext");
    buf_init(&out, 4096);
    wa_noise_init(&s, WA_NOISE_XX);
    memcpy(s.h, testing_hex(v, "aad").p, 32);
    memcpy(s.k, testing_hex(v, "key").p, 32);
    before = s;
    for (size_t n = 0; n < sealed.n; n++)
        ck_assert_int_lt(wa_noise_decrypt(&s, BYTES(sealed.p, n), &out), 0);
    ck_assert_mem_eq(&s, &before, sizeof(s));
    ck_assert_uint_eq(out.n, 0);
    ck_assert_int_eq(wa_noise_decrypt(&s, sealed, &out), 0);
}
END_TEST

START_TEST(test_cipher_frames_of_both_directions_match_prepared_or_not)
{
    static const char *const directions[] = {"client_to_server", "server_to_client"};
    static const char *const keys[] = {"client_to_server_key", "server_to_client_key"};
    const json_t *transport = json_object_get(noise_vectors("xx"), "transport");
    for (size_t i = 0; i < ARRAY_LEN(directions); i++) {
        struct wa_cipher seal = {.counter = 0}, open;
        json_t *v;
        size_t k;
        memcpy(seal.key, testing_hex(transport, keys[i]).p, 32);
        open = seal;
        if (_i) {
            wa_cipher_prepare(&seal);
            wa_cipher_prepare(&open);
        }
        json_array_foreach(json_object_get(transport, directions[i]), k, v)
        {
            AUTO_BUF struct buf sealed, plain, wire;
            buf_init(&sealed, 1024);
            buf_init(&plain, 1024);
            buf_init(&wire, 1024);
            ck_assert_int_eq(wa_cipher_seal(&seal, testing_hex(v, "plaintext"), &sealed), 0);
            ck_assert_int_eq(wa_frame_append(&wire, buf_bytes(&sealed)), 0);
            testing_assert_bytes(buf_bytes(&wire), testing_hex(v, "wire_frame"), directions[i]);
            ck_assert_int_eq(wa_cipher_open(&open, buf_bytes(&sealed), &plain), 0);
            testing_assert_bytes(buf_bytes(&plain), testing_hex(v, "plaintext"), directions[i]);
            ck_assert_int_eq(wa_cipher_open(&open, buf_bytes(&sealed), &plain), ERR_AUTH);
        }
        ck_assert_uint_eq(seal.counter, k);
        ck_assert_uint_eq(open.counter, k);
        wa_cipher_deinit(&seal);
        wa_cipher_deinit(&open);
    }
}
END_TEST

START_TEST(test_cipher_with_used_up_counter_is_refused)
{
    struct wa_cipher c = {.counter = UINT32_MAX - 1};
    AUTO_BUF struct buf out;
    buf_init(&out, 1024);
    ck_assert_int_eq(wa_cipher_seal(&c, bytes_text("x"), &out), 0);
    ck_assert_int_eq(wa_cipher_seal(&c, bytes_text("x"), &out), ERR_STATE);
    ck_assert_int_eq(wa_cipher_open(&c, buf_bytes(&out), &out), ERR_STATE);
}
END_TEST

/* ---- certificates --------------------------------------------------------------------------- */

struct chain_vector {
    const json_t *v;
    const uint8_t *root, *server_static;
    int64_t now_s;
};

static struct chain_vector chain_vector(void)
{
    const json_t *keys = noise_vectors("keys"), *v = noise_vectors("certificate_chain");
    return (struct chain_vector){
        .v = v,
        .root = testing_hex(json_object_get(keys, "test_root_ca"), "public").p,
        .server_static = testing_hex(json_object_get(keys, "server_static"), "public").p,
        .now_s = json_integer_value(json_object_get(v, "check_time_seconds")),
    };
}

START_TEST(test_cert_verify_of_vector_chain_is_accepted)
{
    struct chain_vector c = chain_vector();
    struct err err = {0};
    ck_assert_msg(wa_cert_verify(testing_hex(c.v, "encoded"), c.root, c.server_static, c.now_s,
                                 NULL, &err) == 0,
                  "%s", err.text);
}
END_TEST

START_TEST(test_cert_verify_of_negative_vectors_is_refused_with_a_reason)
{
    struct chain_vector c = chain_vector();
    const char *name;
    json_t *v;
    size_t count = 0;
    json_object_foreach(json_object_get(c.v, "negative_cases"), name, v)
    {
        struct err err = {0};
        int rc = wa_cert_verify(testing_hex(v, "certificate_chain"), c.root, c.server_static,
                                c.now_s, NULL, &err);
        ck_assert_msg(rc == ERR_AUTH || rc == ERR_INVALID, "accepted: %s", name);
        ck_assert_int_eq(err.code, rc);
        ck_assert_uint_gt(strlen(err.text), 20);
        count++;
    }
    ck_assert_uint_eq(count, 7);
}
END_TEST

START_TEST(test_cert_verify_with_other_root_or_static_key_is_refused)
{
    struct chain_vector c = chain_vector();
    struct bytes chain = testing_hex(c.v, "encoded");
    struct err err;
    ck_assert_int_eq(wa_cert_verify(chain, wa_cert_root, c.server_static, c.now_s, NULL, &err),
                     ERR_AUTH);
    ck_assert_int_eq(wa_cert_verify(chain, c.root, c.root, c.now_s, NULL, &err), ERR_AUTH);
}
END_TEST

START_TEST(test_cert_verify_tolerates_one_day_of_clock_error)
{
    struct chain_vector c = chain_vector();
    struct bytes chain = testing_hex(c.v, "encoded");
    const int64_t day = WA_CERT_CLOCK_TOLERANCE_S, from = 1700000500, to = 1999999500;
    const struct {
        int64_t now_s;
        int want;
    } times[] = {{from - day, 0},      {from - day - 1, ERR_AUTH},
                 {to + day, 0},        {to + day + 1, ERR_AUTH},
                 {0, ERR_AUTH},        {-1, ERR_AUTH},
                 {INT64_MAX, ERR_AUTH}};
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct err err;
        ck_assert_int_eq(wa_cert_verify(chain, c.root, c.server_static, times[i].now_s, NULL, &err),
                         times[i].want);
    }
}
END_TEST

/* Appends NoiseCertificate{details, signature} as the field of a CertChain, without a window. */
static void append_timeless(struct buf *chain, uint8_t field, uint8_t serial, uint8_t issuer,
                            const struct wa_keypair *subject, const struct wa_keypair *signer)
{
    uint8_t details[6 + WA_KEY_LEN] = {0x08, serial, 0x10, issuer, 0x1a, WA_KEY_LEN};
    uint8_t signature[WA_SIGNATURE_LEN];
    memcpy(details + 6, subject->pub, WA_KEY_LEN);
    wa_curve_sign(signature, signer->priv, BYTES_ARRAY(details), &host);
    const uint8_t head[] = {field, 2 + sizeof(details) + 2 + sizeof(signature), 0x0a,
                            sizeof(details)};
    buf_append(chain, BYTES_ARRAY(head));
    buf_append(chain, BYTES_ARRAY(details));
    buf_append(chain, BYTES(((const uint8_t[]){0x12, sizeof(signature)}), 2));
    buf_append(chain, BYTES_ARRAY(signature));
}

START_TEST(test_cert_verify_of_chain_without_times_is_accepted_at_any_time)
{
    struct wa_keypair root, intermediate, server;
    AUTO_BUF struct buf chain = {.max = 512};
    struct err err = {0};
    wa_curve_generate(&root, &host);
    wa_curve_generate(&intermediate, &host);
    wa_curve_generate(&server, &host);
    append_timeless(&chain, 0x0a, 2, 1, &server, &intermediate);
    append_timeless(&chain, 0x12, 1, 0, &intermediate, &root);
    const int64_t times[] = {0, 1700000500, INT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        ck_assert_msg(
            wa_cert_verify(buf_bytes(&chain), root.pub, server.pub, times[i], NULL, &err) == 0,
            "%s", err.text);
}
END_TEST

START_TEST(test_cert_verify_of_every_truncation_is_refused)
{
    struct chain_vector c = chain_vector();
    struct bytes chain = testing_hex(c.v, "encoded");
    for (size_t n = 0; n < chain.n; n++) {
        struct err err;
        char *copy = bytes_strdup(BYTES(chain.p, n));
        ck_assert_int_lt(
            wa_cert_verify(BYTES(copy, n), c.root, c.server_static, c.now_s, NULL, &err), 0);
        free(copy);
    }
}
END_TEST

/* ---- handshake ------------------------------------------------------------------------------ */

/* Says hello with the vector's keys. */
static void begin(struct wa_handshake *hs, struct buf *out)
{
    const json_t *keys = noise_vectors("keys");
    struct wa_keypair noise_key;
    keypair_of(&noise_key, json_object_get(keys, "client_static"));
    memory.script = testing_hex(json_object_get(keys, "client_ephemeral"), "private");
    ck_assert_int_eq(wa_handshake_begin(hs, &host, &noise_key, chain_vector().root, out), 0);
    ck_assert_uint_eq(memory.script.n, 0);
}

static struct bytes vector_payload(void)
{
    return testing_hex(json_object_get(noise_vectors("client_payload"), "login"), "encoded");
}

static void assert_wiped(const struct wa_handshake *hs)
{
    static const struct wa_handshake zero;
    ck_assert_mem_eq(hs, &zero, sizeof(zero));
}

static void assert_transport(const struct wa_handshake_result *r, const json_t *transport)
{
    testing_assert_bytes(BYTES_ARRAY(r->send.key), testing_hex(transport, "client_to_server_key"),
                         "send");
    testing_assert_bytes(BYTES_ARRAY(r->recv.key), testing_hex(transport, "server_to_client_key"),
                         "recv");
    ck_assert_uint_eq(r->send.counter + r->recv.counter, 0);
}

/* The key and the times of the vector chain. */
static void assert_vector_server(const struct wa_server_key *server)
{
    testing_assert_bytes(BYTES_ARRAY(server->key), BYTES(chain_vector().server_static, WA_KEY_LEN),
                         "server static");
    testing_assert_bytes(BYTES_ARRAY(server->root), BYTES(chain_vector().root, WA_KEY_LEN), "root");
    ck_assert_int_eq(server->window.from_s, 1700000500);
    ck_assert_int_eq(server->window.until_s, 1999999500);
}

START_TEST(test_handshake_with_vector_keys_reproduces_the_wire_and_transport_keys)
{
    const json_t *v = noise_vectors("xx"), *transport = json_object_get(v, "transport");
    struct wa_handshake hs;
    struct wa_handshake_result result;
    struct err err = {0};
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    begin(&hs, &out);
    testing_assert_bytes(buf_bytes(&out), testing_hex(v, "client_hello_on_wire"), "client hello");
    buf_clear(&out);
    ck_assert_msg(wa_handshake_finish(&hs, testing_hex(v, "server_hello"), vector_payload(),
                                      chain_vector().now_s, &out, &result, &err) == 0,
                  "%s", err.text);
    testing_assert_bytes(buf_bytes(&out), testing_hex(v, "client_finish_on_wire"), "client finish");
    assert_transport(&result, transport);
    ck_assert_int_eq(result.way, WA_HANDSHAKE_XX);
    assert_vector_server(&result.server);
    assert_wiped(&hs);
}
END_TEST

static int finish_with(struct bytes server_hello, int64_t now_s, struct buf *out, struct err *err)
{
    struct wa_handshake hs;
    struct wa_handshake_result result;
    AUTO_BUF struct buf hello;
    buf_init(&hello, 4096);
    begin(&hs, &hello);
    int rc = wa_handshake_finish(&hs, server_hello, vector_payload(), now_s, out, &result, err);
    assert_wiped(&hs);
    return rc;
}

START_TEST(test_handshake_finish_of_every_truncation_appends_nothing)
{
    struct bytes hello = testing_hex(noise_vectors("xx"), "server_hello");
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    for (size_t n = 0; n < hello.n; n++) {
        struct err err = {0};
        char *copy = bytes_strdup(BYTES(hello.p, n));
        int rc = finish_with(BYTES(copy, n), chain_vector().now_s, &out, &err);
        free(copy);
        ck_assert(rc == ERR_INVALID || rc == ERR_AUTH);
        ck_assert_int_eq(err.code, rc);
        ck_assert_uint_eq(out.n, 0);
    }
}
END_TEST

START_TEST(test_handshake_finish_of_changed_answers_is_refused)
{
    struct bytes hello = testing_hex(noise_vectors("xx"), "server_hello");
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    for (size_t i = 0; i < hello.n; i += 7) {
        struct err err = {0};
        uint8_t *copy = (uint8_t *)bytes_strdup(hello);
        copy[i] ^= 0x04;
        ck_assert_int_lt(finish_with(BYTES(copy, hello.n), chain_vector().now_s, &out, &err), 0);
        free(copy);
    }
    ck_assert_uint_eq(out.n, 0);
}
END_TEST

START_TEST(test_handshake_finish_with_zero_ephemeral_is_refused)
{
    struct bytes hello = testing_hex(noise_vectors("xx"), "server_hello");
    AUTO_BUF struct buf out;
    struct err err = {0};
    buf_init(&out, 4096);
    uint8_t *copy = (uint8_t *)bytes_strdup(hello);
    memset(copy + 5, 0, 32); /* 1a len len 0a 20 <ephemeral> */
    ck_assert_int_eq(finish_with(BYTES(copy, hello.n), chain_vector().now_s, &out, &err), ERR_AUTH);
    free(copy);
}
END_TEST

START_TEST(test_handshake_finish_with_expired_certificate_says_so)
{
    struct bytes hello = testing_hex(noise_vectors("xx"), "server_hello");
    AUTO_BUF struct buf out;
    struct err err = {0};
    buf_init(&out, 4096);
    ck_assert_int_eq(finish_with(hello, 2100000000, &out, &err), ERR_AUTH);
    ck_assert_ptr_nonnull(strstr(err.text, "expired"));
    ck_assert_uint_eq(out.n, 0);
}
END_TEST

START_TEST(test_handshake_into_full_output_appends_nothing)
{
    struct wa_handshake hs;
    struct wa_keypair key = {{0}, {0}};
    AUTO_BUF struct buf out, small;
    struct err err = {0};
    buf_init(&small, 42);
    ck_assert_int_eq(wa_handshake_begin(&hs, &host, &key, wa_cert_root, &small), ERR_LIMIT);
    ck_assert_uint_eq(small.n, 0);
    wa_handshake_deinit(&hs);
    buf_init(&out, 100);
    ck_assert_int_eq(finish_with(testing_hex(noise_vectors("xx"), "server_hello"),
                                 chain_vector().now_s, &out, &err),
                     ERR_LIMIT);
    ck_assert_uint_eq(out.n, 0);
}
END_TEST

/* ---- resume --------------------------------------------------------------------------------- */

static struct wa_server_key known_key(const json_t *v)
{
    struct wa_server_key known = {.window = {1700000500, 1999999500}};
    memcpy(known.key, testing_hex(v, "cached_server_static").p, WA_KEY_LEN);
    memcpy(known.root, chain_vector().root, WA_KEY_LEN);
    return known;
}

/* Says an IK hello with the keys of the vector. */
static void begin_resume(struct wa_handshake *hs, const json_t *v, struct buf *out)
{
    const json_t *keys = noise_vectors("keys");
    const struct wa_server_key known = known_key(v);
    struct wa_keypair noise_key;
    keypair_of(&noise_key, json_object_get(keys, "client_static"));
    memory.script = testing_hex(json_object_get(keys, "client_ephemeral"), "private");
    ck_assert_int_eq(wa_handshake_resume(hs, &host, &noise_key, &known, vector_payload(), out), 0);
    ck_assert_uint_eq(memory.script.n, 0);
}

/* What the client does with an answer to the resume of part v; appends what it says to out. */
static int resume_with(const json_t *v, struct bytes server_hello, int64_t now_s, struct buf *out,
                       struct wa_handshake_result *result, struct err *err)
{
    struct wa_handshake hs;
    AUTO_BUF struct buf hello;
    buf_init(&hello, 4096);
    begin_resume(&hs, v, &hello);
    int rc = wa_handshake_finish(&hs, server_hello, vector_payload(), now_s, out, result, err);
    assert_wiped(&hs);
    return rc;
}

START_TEST(test_resume_with_vector_keys_reproduces_the_wire_and_transport_keys)
{
    const json_t *v = noise_vectors("ik");
    static const struct wa_server_key none;
    struct wa_handshake hs;
    struct wa_handshake_result result;
    struct err err = {0};
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    begin_resume(&hs, v, &out);
    testing_assert_bytes(buf_bytes(&out), testing_hex(v, "client_hello_on_wire"), "client hello");
    buf_clear(&out);
    ck_assert_msg(wa_handshake_finish(&hs, testing_hex(v, "server_hello"), BYTES_NONE,
                                      chain_vector().now_s, &out, &result, &err) == 0,
                  "%s", err.text);
    ck_assert_uint_eq(out.n, 0);
    ck_assert_int_eq(result.way, WA_HANDSHAKE_IK);
    ck_assert_mem_eq(&result.server, &none, sizeof(none));
    assert_transport(&result, json_object_get(v, "transport"));
    assert_wiped(&hs);
}
END_TEST

START_TEST(test_resume_refused_goes_on_as_fallback_of_the_vector)
{
    const json_t *v = noise_vectors("xxfallback");
    struct wa_handshake_result result;
    struct wa_handshake hs;
    struct err err = {0};
    AUTO_BUF struct buf out, hello, framed;
    buf_init(&out, 4096);
    buf_init(&hello, 4096);
    buf_init(&framed, 4096);
    begin_resume(&hs, v, &hello);
    buf_append(&framed, BYTES(WA_NOISE_PROLOGUE, WA_NOISE_PROLOGUE_LEN));
    ck_assert_int_eq(wa_frame_append(&framed, testing_hex(v, "client_hello")), 0);
    testing_assert_bytes(buf_bytes(&hello), buf_bytes(&framed), "client hello");
    ck_assert_msg(wa_handshake_finish(&hs, testing_hex(v, "server_hello"), vector_payload(),
                                      chain_vector().now_s, &out, &result, &err) == 0,
                  "%s", err.text);
    buf_clear(&framed);
    ck_assert_int_eq(wa_frame_append(&framed, testing_hex(v, "client_finish")), 0);
    testing_assert_bytes(buf_bytes(&out), buf_bytes(&framed), "client finish");
    ck_assert_int_eq(result.way, WA_HANDSHAKE_XXFALLBACK);
    assert_vector_server(&result.server);
    assert_transport(&result, json_object_get(v, "transport"));
}
END_TEST

START_TEST(test_resume_answered_by_a_server_of_xx_only_goes_on_as_plain_xx)
{
    const json_t *xx = noise_vectors("xx");
    static const char *const parts[] = {"ik", "xxfallback"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct wa_handshake_result result;
        struct err err = {0};
        AUTO_BUF struct buf out;
        buf_init(&out, 4096);
        ck_assert_msg(resume_with(noise_vectors(parts[i]), testing_hex(xx, "server_hello"),
                                  chain_vector().now_s, &out, &result, &err) == 0,
                      "%s", err.text);
        testing_assert_bytes(buf_bytes(&out), testing_hex(xx, "client_finish_on_wire"),
                             "client finish");
        ck_assert_int_eq(result.way, WA_HANDSHAKE_XX);
        assert_vector_server(&result.server);
        assert_transport(&result, json_object_get(xx, "transport"));
    }
}
END_TEST

START_TEST(test_resume_answers_changed_or_cut_are_refused)
{
    static const char *const parts[] = {"ik", "xxfallback", "xx"};
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct bytes hello = testing_hex(noise_vectors(parts[i]), "server_hello");
        struct wa_handshake_result result;
        for (size_t n = 0; n < hello.n; n += 5) {
            struct err err = {0};
            uint8_t *copy = (uint8_t *)bytes_strdup(hello);
            ck_assert_int_lt(resume_with(noise_vectors("ik"), BYTES(copy, n), chain_vector().now_s,
                                         &out, &result, &err),
                             0);
            ck_assert_uint_gt(strlen(err.text), 20);
            copy[n] ^= 0x04;
            ck_assert_int_lt(resume_with(noise_vectors("ik"), BYTES(copy, hello.n),
                                         chain_vector().now_s, &out, &result, &err),
                             0);
            free(copy);
        }
    }
    ck_assert_uint_eq(out.n, 0);
}
END_TEST

START_TEST(test_resume_refused_with_a_bad_certificate_is_refused_with_its_reason)
{
    static const char *const parts[] = {"xxfallback", "xx"};
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct wa_handshake_result result;
        struct err err = {0};
        ck_assert_int_eq(resume_with(noise_vectors("ik"),
                                     testing_hex(noise_vectors(parts[i]), "server_hello"),
                                     2100000000, &out, &result, &err),
                         ERR_AUTH);
        ck_assert_ptr_nonnull(strstr(err.text, "expired"));
    }
    ck_assert_uint_eq(out.n, 0);
}
END_TEST

START_TEST(test_resume_with_a_zero_key_is_refused_and_appends_nothing)
{
    const struct wa_server_key known = {.window = {0, INT64_MAX}};
    struct wa_keypair key = {{1}, {1}};
    struct wa_handshake hs;
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    ck_assert_int_eq(wa_handshake_resume(&hs, &host, &key, &known, vector_payload(), &out),
                     ERR_AUTH);
    ck_assert_uint_eq(out.n, 0);
    wa_handshake_deinit(&hs);
}
END_TEST

/* One connection: what it uses, and how it ends. */
#define NOW 1780000000
static struct wa_resume connection(void)
{
    struct wa_resume r;
    ck_assert_int_eq(wa_resume_begin(&r, &host, chain_vector().root, NOW), 0);
    return r;
}

static struct wa_handshake_result answer_of(enum wa_handshake_way way)
{
    struct wa_handshake_result result = {.way = way};
    if (way != WA_HANDSHAKE_IK)
        result.server = known_key(noise_vectors("ik"));
    return result;
}

static void log_in(struct wa_resume *r, enum wa_handshake_way way)
{
    const struct wa_handshake_result result = answer_of(way);
    ck_assert_int_eq(wa_resume_answered(r, &host, &result), 0);
    ck_assert_int_eq(wa_resume_logged_in(r, &host), 0);
}

START_TEST(test_resume_key_is_used_from_the_second_connection_on)
{
    struct wa_resume r = connection();
    ck_assert(!r.use_key);
    log_in(&r, WA_HANDSHAKE_XX);
    for (int i = 0; i < 3; i++) {
        r = connection();
        ck_assert(r.use_key);
        assert_vector_server(&r.server);
        log_in(&r, i == 1 ? WA_HANDSHAKE_XXFALLBACK : WA_HANDSHAKE_IK);
    }
}
END_TEST

START_TEST(test_resume_key_of_another_root_or_time_is_not_used)
{
    const int64_t from = 1700000500, until = 1999999500;
    const struct {
        const uint8_t *root;
        int64_t now_s;
        bool use;
    } cases[] = {{chain_vector().root, from, true},      {chain_vector().root, until, true},
                 {chain_vector().root, from - 1, false}, {chain_vector().root, until + 1, false},
                 {chain_vector().root, 0, false},        {wa_cert_root, NOW, false}};
    struct wa_resume r = connection();
    log_in(&r, WA_HANDSHAKE_XX);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_int_eq(wa_resume_begin(&r, &host, cases[i].root, cases[i].now_s), 0);
        ck_assert(r.use_key == cases[i].use);
        if (r.use_key)
            log_in(&r, WA_HANDSHAKE_IK);
    }
}
END_TEST

START_TEST(test_resume_that_nobody_answered_is_followed_by_two_plain_connections)
{
    struct wa_resume r = connection();
    log_in(&r, WA_HANDSHAKE_XX);
    for (int round = 0; round < 2; round++) {
        ck_assert(connection().use_key); /* ends without an answer */
        r = connection();
        ck_assert(!r.use_key);
        log_in(&r, WA_HANDSHAKE_XX);
        ck_assert(!connection().use_key);
    }
    r = connection();
    ck_assert(r.use_key);
    log_in(&r, WA_HANDSHAKE_IK);
    ck_assert(connection().use_key);
}
END_TEST

START_TEST(test_resume_refused_forgets_the_key)
{
    struct wa_resume r = connection();
    log_in(&r, WA_HANDSHAKE_XX);
    r = connection();
    ck_assert(r.use_key);
    ck_assert_int_eq(wa_resume_refused(&r, &host), 0);
    ck_assert_ptr_null(memory_find(WA_TABLE_DEVICE, "server_key"));
    r = connection();
    ck_assert(!r.use_key);
    log_in(&r, WA_HANDSHAKE_XX);
    ck_assert(connection().use_key);
}
END_TEST

START_TEST(test_resume_damaged_records_count_as_absent)
{
    static const char *const names[] = {"server_key", "plain_dials", "routing_info"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        uint8_t long_value[2048] = {0};
        struct wa_resume r = connection();
        log_in(&r, WA_HANDSHAKE_XX);
        memory_put(NULL, WA_TABLE_DEVICE, names[i], BYTES_ARRAY(long_value));
        r = connection();
        ck_assert(r.use_key == (i != 0) && !r.use_routing);
        memory_put(NULL, WA_TABLE_DEVICE, names[i], BYTES_NONE);
        log_in(&r, WA_HANDSHAKE_XX);
        ck_assert_int_eq(wa_resume_begin(&r, &host, chain_vector().root, NOW), 0);
        teardown();
    }
}
END_TEST

START_TEST(test_resume_store_failures_are_handed_on)
{
    const struct wa_handshake_result result = answer_of(WA_HANDSHAKE_XX);
    struct wa_resume r = connection();
    memory.failure = ERR_STORE;
    ck_assert_int_eq(wa_resume_answered(&r, &host, &result), ERR_STORE);
    ck_assert_int_eq(wa_resume_route(&r, &host, bytes_text("x")), ERR_STORE);
    ck_assert_int_eq(wa_resume_begin(&r, &host, chain_vector().root, NOW), ERR_STORE);
    memory.failure = 0;
}
END_TEST

/* ---- edge routing ------------------------------------------------------------------------------
 */

START_TEST(test_routing_preface_and_hello_equal_the_vector)
{
    const json_t *v = noise_vectors("edge_routing");
    struct wa_resume r = connection();
    struct wa_handshake hs;
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    ck_assert_int_eq(wa_resume_append_preface(&r, &out), 0);
    ck_assert_uint_eq(out.n, 0);
    ck_assert_int_eq(wa_resume_route(&r, &host, testing_hex(v, "routing_info")), 0);
    r = connection();
    ck_assert_int_eq(wa_resume_append_preface(&r, &out), 0);
    testing_assert_bytes(buf_bytes(&out), testing_hex(v, "preface"), "preface");
    begin(&hs, &out);
    testing_assert_bytes(buf_bytes(&out), testing_hex(v, "client_hello_on_wire"), "hello");
    wa_handshake_deinit(&hs);
}
END_TEST

START_TEST(test_routing_is_forgotten_when_its_connection_did_not_log_in)
{
    struct wa_resume r = connection();
    ck_assert_int_eq(wa_resume_route(&r, &host, bytes_text("edge")), 0);
    for (int i = 0; i < 2; i++) {
        r = connection();
        ck_assert(r.use_routing);
        log_in(&r, WA_HANDSHAKE_XX);
    }
    ck_assert(connection().use_routing); /* ends before the login */
    ck_assert(!connection().use_routing);
    ck_assert_ptr_null(memory_find(WA_TABLE_DEVICE, "routing_info"));
    ck_assert_ptr_null(memory_find(WA_TABLE_DEVICE, "routing_tried"));
    r = connection();
    ck_assert(!r.use_routing);
    ck_assert_int_eq(wa_resume_route(&r, &host, bytes_text("edge")), 0);
    ck_assert(connection().use_routing);
}
END_TEST

START_TEST(test_routing_info_is_bounded_and_written_only_when_it_changes)
{
    uint8_t large[WA_ROUTING_MAX + 1] = {1};
    struct wa_resume r = connection();
    ck_assert_int_eq(wa_resume_route(&r, &host, BYTES_NONE), 0);
    ck_assert_int_eq(wa_resume_route(&r, &host, BYTES_ARRAY(large)), 0);
    ck_assert_ptr_null(memory_find(WA_TABLE_DEVICE, "routing_info"));
    ck_assert_int_eq(wa_resume_route(&r, &host, BYTES(large, WA_ROUTING_MAX)), 0);
    memory.failure = ERR_STORE;
    ck_assert_int_eq(wa_resume_route(&r, &host, BYTES(large, WA_ROUTING_MAX)), 0);
    memory.failure = 0;
    r = connection();
    ck_assert(r.use_routing && r.routing_len == WA_ROUTING_MAX);
}
END_TEST

/* ---- client payload ------------------------------------------------------------------------- */

/* The device that the payload vectors were made for. */
static void vector_device(struct wa_device *d)
{
    const json_t *keys = noise_vectors("keys");
    const json_t *signature =
        json_object_get(noise_vectors("client_payload"), "signed_pre_key_signature");
    memset(d, 0, sizeof(*d));
    keypair_of(&d->noise, json_object_get(keys, "client_static"));
    keypair_of(&d->identity, json_object_get(keys, "client_identity"));
    keypair_of(&d->signed_prekey.key, json_object_get(keys, "signed_pre_key"));
    memcpy(d->signed_prekey.signature, testing_hex(signature, "signature").p, WA_SIGNATURE_LEN);
    d->signed_prekey.id = 1;
    d->registration_id = 0x1a2b;
    d->next_prekey_id = 1;
    d->pn = wa_jid_make(WA_SERVER_PN, "5511987654321", 12);
}

/* Repacks what an independent encoder made, after the test has put our own choices into it. */
static Wa__ClientPayload *vector_client_payload(const char *name)
{
    const json_t *v = json_object_get(noise_vectors("client_payload"), name);
    Wa__ClientPayload *p = wa_pb_unpack(&wa__client_payload__descriptor, testing_hex(v, "encoded"));
    ck_assert_ptr_nonnull(p);
    return p;
}

static void assert_payload(struct bytes got, const Wa__ClientPayload *want)
{
    AUTO_BUF struct buf packed;
    buf_init(&packed, 4096);
    ck_assert_int_eq(wa_pb_append(&packed, &want->base), 0);
    testing_assert_bytes(got, buf_bytes(&packed), "client payload");
}

START_TEST(test_payload_registration_equals_web_parity_vector_but_for_device_props)
{
    const struct wa_version version = WA_VERSION_DEFAULT;
    struct wa_device d;
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    vector_device(&d);
    ck_assert_int_eq(wa_payload_registration(&out, &d, &version, "Linux", 30), 0);
    AUTO_PB Wa__ClientPayload *ours =
        wa_pb_unpack(&wa__client_payload__descriptor, buf_bytes(&out));
    AUTO_PB Wa__ClientPayload *want = vector_client_payload("registration_web_parity");
    ck_assert_ptr_nonnull(ours);
    Wa__ClientPayload__DevicePairingRegistrationData *a = want->device_pairing_data;
    ProtobufCBinaryData theirs = a->device_props;
    a->device_props = ours->device_pairing_data->device_props;
    assert_payload(buf_bytes(&out), want);
    a->device_props = theirs;
}
END_TEST

START_TEST(test_payload_device_props_equal_vector_but_for_version_and_quota)
{
    const struct wa_version version = WA_VERSION_DEFAULT;
    const json_t *v = json_object_get(noise_vectors("client_payload"), "registration_web_parity");
    struct wa_device d;
    AUTO_BUF struct buf out, packed;
    buf_init(&out, 4096);
    buf_init(&packed, 4096);
    vector_device(&d);
    ck_assert_int_eq(wa_payload_registration(&out, &d, &version, "Linux", 30), 0);
    AUTO_PB Wa__ClientPayload *ours =
        wa_pb_unpack(&wa__client_payload__descriptor, buf_bytes(&out));
    AUTO_PB Wa__DeviceProps *want =
        wa_pb_unpack(&wa__device_props__descriptor, testing_hex(v, "device_props_encoded"));
    ck_assert(ours != NULL && want != NULL);
    want->version->primary = 0; /* 0.1.0 and 10240 MB: whatsmeow's (protocol/01 section 7.5) */
    want->version->has_tertiary = 1;
    want->history_sync_config->storage_quota_mb = 10240;
    want->history_sync_config->has_recent_sync_days_limit = 1;
    want->history_sync_config->recent_sync_days_limit = 30;
    ck_assert_int_eq(wa_pb_append(&packed, &want->base), 0);
    testing_assert_bytes(wa_pb_bytes(ours->device_pairing_data->device_props), buf_bytes(&packed),
                         "device props");
}
END_TEST

/* No messages are wanted: what Baileys sends, but for the version. */
START_TEST(test_payload_device_props_without_history_equal_other_vector_but_for_version)
{
    const struct wa_version version = WA_VERSION_DEFAULT;
    struct wa_device d;
    AUTO_BUF struct buf out, packed;
    buf_init(&out, 4096);
    buf_init(&packed, 4096);
    vector_device(&d);
    ck_assert_int_eq(wa_payload_registration(&out, &d, &version, "Linux", 0), 0);
    AUTO_PB Wa__ClientPayload *ours =
        wa_pb_unpack(&wa__client_payload__descriptor, buf_bytes(&out));
    AUTO_PB Wa__ClientPayload *theirs = vector_client_payload("registration");
    AUTO_PB Wa__DeviceProps *want = wa_pb_unpack(
        &wa__device_props__descriptor, wa_pb_bytes(theirs->device_pairing_data->device_props));
    ck_assert(ours != NULL && want != NULL);
    want->version->primary = 0;
    want->version->secondary = 1;
    want->version->tertiary = 0;
    ck_assert_int_eq(wa_pb_append(&packed, &want->base), 0);
    testing_assert_bytes(wa_pb_bytes(ours->device_pairing_data->device_props), buf_bytes(&packed),
                         "device props");
}
END_TEST

START_TEST(test_payload_registration_with_long_label_cuts_between_characters)
{
    const struct wa_version version = WA_VERSION_DEFAULT;
    char label[80];
    struct wa_device d;
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    memset(label, 'x', sizeof(label));
    memcpy(label + 63, "\xc3\xa9", 3); /* the 64th byte is half a character */
    vector_device(&d);
    ck_assert_int_eq(wa_payload_registration(&out, &d, &version, label, 0), 0);
    AUTO_PB Wa__ClientPayload *p = wa_pb_unpack(&wa__client_payload__descriptor, buf_bytes(&out));
    AUTO_PB Wa__DeviceProps *props = wa_pb_unpack(
        &wa__device_props__descriptor, wa_pb_bytes(p->device_pairing_data->device_props));
    ck_assert_uint_eq(strlen(props->os), 63);
}
END_TEST

START_TEST(test_payload_login_equals_web_parity_vector_but_for_our_choices)
{
    const struct wa_version version = WA_VERSION_DEFAULT;
    struct wa_device d;
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    vector_device(&d);
    d.login_count = 1;
    ck_assert_int_eq(wa_payload_login(&out, &d, &version), 0);
    AUTO_PB Wa__ClientPayload *want = vector_client_payload("login_web_parity");
    want->passive = 1;
    want->has_connect_attempt_count = 0;
    assert_payload(buf_bytes(&out), want);
}
END_TEST

START_TEST(test_payload_login_equals_login_vector_but_for_locale_and_counter)
{
    const struct wa_version version = WA_VERSION_DEFAULT;
    struct wa_device d;
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    vector_device(&d);
    ck_assert_int_eq(wa_payload_login(&out, &d, &version), 0);
    AUTO_PB Wa__ClientPayload *want = vector_client_payload("login");
    AUTO_PB Wa__ClientPayload *parity = vector_client_payload("login_web_parity");
    Wa__ClientPayload__UserAgent *theirs = want->user_agent;
    want->user_agent = parity->user_agent; /* manufacturer "" and country US */
    want->has_lc = 1;
    assert_payload(buf_bytes(&out), want);
    want->user_agent = theirs;
}
END_TEST

START_TEST(test_payload_login_of_unpaired_or_nameless_device_is_refused)
{
    const struct wa_version version = WA_VERSION_DEFAULT;
    struct wa_device d;
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    vector_device(&d);
    d.pn = (struct wa_jid){0};
    ck_assert_int_eq(wa_payload_login(&out, &d, &version), ERR_STATE);
    d.pn = wa_jid_make(WA_SERVER_PN, "12x", 1);
    ck_assert_int_eq(wa_payload_login(&out, &d, &version), ERR_STATE);
    ck_assert_uint_eq(out.n, 0);
}
END_TEST

START_TEST(test_version_parse_of_good_and_bad_texts)
{
    static const char *const bad[] = {"",          ".",         "2.3000",
                                      "2.3000.",   "2.3000.1.", "2.3000.1.5",
                                      ".3000.1",   "2..1",      "2.3000.4294967296",
                                      "2.3000.-1", "v2.3000.1", "2.3000.1 "};
    struct wa_version v = {0, 0, 0};
    char text[40];
    ck_assert_int_eq(wa_version_parse(&v, bytes_text("2.3000.1045649367")), 0);
    ck_assert_str_eq(wa_version_text(&v, text), "2.3000.1045649367");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_msg(wa_version_parse(&v, bytes_text(bad[i])) == ERR_INVALID, "%s", bad[i]);
    ck_assert_uint_eq(v.tertiary, 1045649367);
}
END_TEST

START_TEST(test_version_find_revision_in_scripts)
{
    static const struct {
        const char *script;
        int rc;
        uint32_t revision;
    } cases[] = {
        {"x={\"client_revision\":1045649368,\"y\":1}", 0, 1045649368},
        {"parse(\"{\\\"server_revision\\\":1,\\\"client_revision\\\":1045649368,\\\"z\\\":1}\")", 0,
         1045649368},
        {"\"client_revision\" :   1045649368}", 0, 1045649368},
        {"\"client_revision\":null,\"client_revision\":1045649368,", 0, 1045649368},
        {"\"client_revision\":100000000,", 0, 100000000},
        {"\"client_revision\":4294967295,", 0, 4294967295u},
        {"\"client_revision\":4294967296,", ERR_INVALID, 0},
        {"\"client_revision\":99999999,", ERR_INVALID, 0},
        {"\"client_revision\":99999999,\"client_revision\":1045649368,", ERR_INVALID, 0},
        {"\"client_revision\":104564936800,", ERR_INVALID, 0},
        {"\"client_revision\":99999999999999999999999,", ERR_INVALID, 0},
        {"\"client_revision\":1045649368", ERR_INVALID, 0}, /* more digits may be missing */
        {"\"my_client_revision\":1045649368,", ERR_NOT_FOUND, 0},
        {"client_revision:1045649368,", ERR_NOT_FOUND, 0},
        {"\"client_revision\":", ERR_NOT_FOUND, 0},
        {"\"client_revision\"", ERR_NOT_FOUND, 0},
        {"\"client_revision", ERR_NOT_FOUND, 0},
        {"\"client_revision\\", ERR_NOT_FOUND, 0},
        {"\"client_revision\":-1045649368,", ERR_NOT_FOUND, 0},
        {"<html>", ERR_NOT_FOUND, 0},
        {"", ERR_NOT_FOUND, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t revision = 0;
        struct bytes script = bytes_text(cases[i].script);
        char *copy = bytes_strdup(script); /* on the heap, for the sanitizer */
        ck_assert_msg(wa_version_find_revision(BYTES(copy, script.n), &revision) == cases[i].rc,
                      "%s", cases[i].script);
        ck_assert_uint_eq(revision, cases[i].revision);
        free(copy);
    }
}
END_TEST

START_TEST(test_version_find_revision_of_every_truncation_is_refused)
{
    struct bytes script = bytes_text("{\\\"client_revision\\\": 1045649368,\\\"z\\\":1}");
    size_t end = (size_t)(strchr((const char *)script.p, ',') - (const char *)script.p) + 1;
    for (size_t n = 0; n <= script.n; n++) {
        uint32_t revision = 0;
        char *copy = bytes_strdup(BYTES(script.p, n));
        int rc = wa_version_find_revision(BYTES(copy, n), &revision);
        ck_assert_msg(n < end ? rc < 0 : rc == 0 && revision == 1045649368, "%zu bytes", n);
        free(copy);
    }
}
END_TEST

/* ---- pairing -------------------------------------------------------------------------------- */

static void pairing_device(struct wa_device *d)
{
    const json_t *v = testing_vectors("adv-pairing.json"), *keys = json_object_get(v, "keys");
    memset(d, 0, sizeof(*d));
    keypair_of(&d->identity, json_object_get(keys, "companion_identity"));
    keypair_of(&d->noise, json_object_get(keys, "companion_noise_static"));
    memcpy(d->adv_secret, testing_hex(v, "adv_secret").p, WA_ADV_SECRET_LEN);
}

START_TEST(test_pairing_qr_matches_vector)
{
    const json_t *qr = json_object_get(testing_vectors("adv-pairing.json"), "qr");
    struct wa_device d;
    AUTO_BUF struct buf out, small;
    buf_init(&out, 1024);
    buf_init(&small, 100);
    pairing_device(&d);
    ck_assert_int_eq(wa_pairing_qr(&out, bytes_text(testing_text(qr, "ref")), &d), 0);
    ck_assert_str_eq(buf_text(&out), testing_text(qr, "body"));
    ck_assert_int_eq(wa_pairing_qr(&small, bytes_text(testing_text(qr, "ref")), &d), ERR_LIMIT);
}
END_TEST

START_TEST(test_pairing_accept_of_vector_cases_gives_answer_and_account)
{
    const json_t *keys = json_object_get(testing_vectors("adv-pairing.json"), "keys");
    json_t *all = json_object_get(testing_vectors("adv-pairing.json"), "cases"), *v;
    size_t i;
    json_array_foreach(all, i, v)
    {
        const char *name = testing_text(v, "name");
        struct wa_pair_result result;
        struct wa_device d;
        struct err err = {0};
        pairing_device(&d);
        memory.script = testing_hex(v, "device_signature_random_64");
        ck_assert_msg(wa_pairing_accept(&d, testing_hex(v, "pair_success_device_identity"), &host,
                                        &result, &err) == 0,
                      "%s: %s", name, err.text);
        ck_assert_uint_eq(memory.script.n, 0);
        testing_assert_bytes(BYTES(result.answer, result.answer_len),
                             testing_hex(v, "reply_device_identity"), name);
        testing_assert_bytes(BYTES(d.account, d.account_len), testing_hex(v, "stored_account"),
                             name);
        testing_assert_bytes(
            BYTES_ARRAY(result.account_key),
            testing_hex(json_object_get(keys, "primary_account_identity"), "public"), name);
        ck_assert_int_eq(result.key_index, json_integer_value(json_object_get(
                                               json_object_get(v, "inputs"), "key_index")));
        ck_assert_ptr_null(result.error_code);
    }
    ck_assert_uint_eq(i, 3);
}
END_TEST

START_TEST(test_pairing_accept_of_negative_vectors_is_refused_with_their_error)
{
    static const char *const texts[] = {"hmac-mismatch", "signature-mismatch", "hmac-mismatch"};
    json_t *all = json_object_get(testing_vectors("adv-pairing.json"), "negative"), *v;
    size_t i;
    ck_assert_uint_eq(json_array_size(all), ARRAY_LEN(texts));
    json_array_foreach(all, i, v)
    {
        struct wa_pair_result result;
        struct wa_device d, before;
        struct err err = {0};
        pairing_device(&d);
        before = d;
        ck_assert_int_eq(wa_pairing_accept(&d, testing_hex(v, "pair_success_device_identity"),
                                           &host, &result, &err),
                         ERR_AUTH);
        ck_assert_int_eq(err.code, ERR_AUTH);
        ck_assert_str_eq(result.error_code, "401");
        ck_assert_str_eq(result.error_text, texts[i]);
        ck_assert_mem_eq(&d, &before, sizeof(d));
    }
}
END_TEST

START_TEST(test_pairing_accept_of_every_truncation_is_refused)
{
    json_t *v = json_array_get(json_object_get(testing_vectors("adv-pairing.json"), "cases"), 1);
    struct bytes all = testing_hex(v, "pair_success_device_identity");
    struct wa_device d, before;
    pairing_device(&d);
    before = d;
    for (size_t n = 0; n < all.n - 2; n++) { /* the last two bytes are an optional field */
        struct wa_pair_result result;
        struct err err = {0};
        char *copy = bytes_strdup(BYTES(all.p, n));
        int rc = wa_pairing_accept(&d, BYTES(copy, n), &host, &result, &err);
        free(copy);
        ck_assert(rc == ERR_INVALID || rc == ERR_AUTH);
        ck_assert_ptr_nonnull(result.error_text);
    }
    ck_assert_mem_eq(&d, &before, sizeof(d));
}
END_TEST

static int companion_expectation(const char *text)
{
    if (strcmp(text, "valid") == 0)
        return 1;
    return strcmp(text, "unverifiable") == 0 ? 0 : ERR_AUTH;
}

START_TEST(test_pairing_verify_companion_of_vector_cases_answers_as_expected)
{
    json_t *all = json_object_get(testing_vectors("adv.json"), "cases"), *v;
    size_t i;
    json_array_foreach(all, i, v)
    {
        bool known = json_is_string(json_object_get(v, "known_account_key_32"));
        int rc = wa_pairing_verify_companion(
            testing_hex(v, "device_identity"), testing_hex(v, "bundle_identity_32").p,
            known ? testing_hex(v, "known_account_key_32") : BYTES_NONE);
        ck_assert_msg(rc == companion_expectation(testing_text(v, "expect")), "%s: %d",
                      testing_text(v, "name"), rc);
    }
    ck_assert_uint_eq(i, 5);
}
END_TEST

START_TEST(test_pairing_verify_companion_of_every_truncation_or_change_is_refused)
{
    json_t *v = json_array_get(json_object_get(testing_vectors("adv.json"), "cases"), 0);
    struct bytes blob = testing_hex(v, "device_identity");
    const uint8_t *identity = testing_hex(v, "bundle_identity_32").p;
    for (size_t n = 0; n < blob.n; n++) {
        uint8_t *copy = (uint8_t *)bytes_strdup(BYTES(blob.p, n));
        ck_assert_int_lt(wa_pairing_verify_companion(BYTES(copy, n), identity, BYTES_NONE), 0);
        free(copy);
        copy = (uint8_t *)bytes_strdup(blob);
        copy[n] ^= 0x01;
        ck_assert_int_le(wa_pairing_verify_companion(BYTES(copy, blob.n), identity, BYTES_NONE), 0);
        free(copy);
    }
}
END_TEST

/* The key in the blob counts, also where the primary had another one before: it may have been set
 * up anew. Without one in the blob the known one does. */
START_TEST(test_pairing_verify_companion_account_key_of_the_blob_counts)
{
    json_t *all = json_object_get(testing_vectors("adv.json"), "cases");
    uint8_t other[WA_KEY_LEN] = {9};
    for (size_t i = 0; i < 2; i++) { /* complete; without its account key */
        json_t *v = json_array_get(all, i);
        ck_assert_int_eq(wa_pairing_verify_companion(testing_hex(v, "device_identity"),
                                                     testing_hex(v, "bundle_identity_32").p,
                                                     BYTES_ARRAY(other)),
                         i == 0 ? 1 : ERR_AUTH);
    }
}
END_TEST

START_TEST(test_pairing_verify_companion_of_other_lengths_is_refused)
{
    static const size_t lengths[] = {0, 1, 31, 33, 63, 65, 128, 60000};
    json_t *v = json_array_get(json_object_get(testing_vectors("adv.json"), "cases"), 0);
    const uint8_t *identity = testing_hex(v, "bundle_identity_32").p;
    uint8_t *filler = err_calloc(1, 60000);
    for (size_t field = 0; field < 4; field++) {
        for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
            AUTO_BUF struct buf blob = {.max = 1 << 18};
            Wa__ADVSignedDeviceIdentity *s = wa_pb_unpack(
                &wa__advsigned_device_identity__descriptor, testing_hex(v, "device_identity"));
            ProtobufCBinaryData *fields[] = {&s->details, &s->account_signature_key,
                                             &s->account_signature, &s->device_signature};
            ProtobufCBinaryData right = *fields[field];
            *fields[field] = (ProtobufCBinaryData){lengths[i], filler};
            ck_assert_int_eq(wa_pb_append(&blob, &s->base), 0);
            ck_assert_int_lt(wa_pairing_verify_companion(buf_bytes(&blob), identity, BYTES_NONE),
                             lengths[i] == 0 && field == 1 ? 1 : 0);
            *fields[field] = right;
            wa_pb_free(s);
        }
    }
    free(filler);
}
END_TEST

/* ---- device --------------------------------------------------------------------------------- */

/* A paired device with every field set. */
static void full_device(struct wa_device *d)
{
    wa_device_generate(d, &host);
    d->pn = wa_jid_make(WA_SERVER_PN, "5511987654321", 12);
    d->lid = wa_jid_make(WA_SERVER_LID, "123456789012345", 12);
    memcpy(d->account, "\x0a\x01\x02", 3);
    d->account_len = 3;
    strcpy(d->platform, "smba");
    strcpy(d->business_name, "Loja \xc3\xa9");
    strcpy(d->push_name, "Loja");
    d->login_count = 7;
    d->next_prekey_id = 0xfffffe;
    d->prekeys_uploaded = d->lid_migrated = true;
}

START_TEST(test_device_generate_gives_valid_unpaired_credentials)
{
    struct wa_device d;
    uint8_t typed[33] = {0x05};
    wa_device_generate(&d, &host);
    memcpy(typed + 1, d.signed_prekey.key.pub, 32);
    ck_assert_int_eq(wa_curve_verify(BYTES_ARRAY(d.identity.pub), BYTES_ARRAY(typed),
                                     BYTES_ARRAY(d.signed_prekey.signature)),
                     0);
    ck_assert_uint_ge(d.registration_id, 1);
    ck_assert_uint_le(d.registration_id, 16380);
    ck_assert_uint_eq(d.signed_prekey.id, 1);
    ck_assert_uint_eq(d.next_prekey_id, 1);
    ck_assert_mem_ne(d.noise.priv, d.identity.priv, 32);
    ck_assert(!wa_device_is_paired(&d));
}
END_TEST

START_TEST(test_device_generate_with_extreme_randomness_keeps_ids_in_range)
{
    static const uint8_t fills[] = {0x00, 0xff};
    for (size_t i = 0; i < ARRAY_LEN(fills); i++) {
        uint8_t script[256];
        struct wa_device d;
        memset(script, fills[i], sizeof(script));
        memory.script = BYTES_ARRAY(script);
        wa_device_generate(&d, &host);
        ck_assert(d.registration_id >= 1 && d.registration_id <= 16380);
        memory.script = BYTES_NONE;
    }
}
END_TEST

START_TEST(test_device_save_then_load_gives_the_same)
{
    struct wa_device d, loaded;
    full_device(&d);
    ck_assert_int_eq(wa_device_load(&loaded, &host), 0);
    ck_assert_int_eq(wa_device_save(&d, &host), 0);
    ck_assert_int_eq(wa_device_load(&loaded, &host), 1);
    ck_assert_mem_eq(&loaded, &d, sizeof(d));
    wa_device_generate(&d, &host);
    ck_assert_int_eq(wa_device_save(&d, &host), 0);
    ck_assert_int_eq(wa_device_load(&loaded, &host), 1);
    ck_assert_mem_eq(&loaded, &d, sizeof(d));
}
END_TEST

START_TEST(test_device_save_field_writes_that_record_only)
{
    struct wa_device d, loaded;
    full_device(&d);
    ck_assert_int_eq(wa_device_save(&d, &host), 0);
    d.next_prekey_id = 5;
    d.login_count = 8;
    ck_assert_int_eq(wa_device_save_field(&d, "next_prekey_id", &host), 0);
    ck_assert_int_eq(wa_device_save_field(&d, "no_such", &host), ERR_NOT_FOUND);
    ck_assert_int_eq(wa_device_load(&loaded, &host), 1);
    ck_assert_uint_eq(loaded.next_prekey_id, 5);
    ck_assert_uint_eq(loaded.login_count, 7);
}
END_TEST

static bool is_optional(const char *name)
{
    static const char *const optional[] = {"lid",
                                           "platform",
                                           "business_name",
                                           "push_name",
                                           "login_count",
                                           "prekeys_uploaded",
                                           "lid_migrated",
                                           "signed_prekey_at",
                                           "signed_prekey_last",
                                           "prekeys_checked_at"};
    for (size_t i = 0; i < ARRAY_LEN(optional); i++) {
        if (strcmp(name, optional[i]) == 0)
            return true;
    }
    return false;
}

START_TEST(test_device_load_with_a_missing_record_is_refused_unless_optional)
{
    static const struct wa_device zero;
    struct wa_device d, loaded;
    full_device(&d);
    ck_assert_int_eq(wa_device_save(&d, &host), 0);
    for (size_t i = 0; i < memory.count; i++) {
        struct record kept = memory.records[i];
        memory.records[i].table = WA_TABLE_RETRY;
        int want = is_optional(kept.key) ? 1 : ERR_INVALID;
        ck_assert_msg(wa_device_load(&loaded, &host) == want, "without %s", kept.key);
        ck_assert(want == 1 || memcmp(&loaded, &zero, sizeof(zero)) == 0);
        memory.records[i] = kept;
    }
    ck_assert_uint_eq(memory.count, 23);
}
END_TEST

/* Is it a field whose content other fields vouch for? */
static bool is_checked(const char *name)
{
    return strstr(name, "_private") || strstr(name, "_public") || strstr(name, "signature");
}

START_TEST(test_device_load_with_a_damaged_record_is_refused)
{
    struct wa_device d, loaded;
    full_device(&d);
    ck_assert_int_eq(wa_device_save(&d, &host), 0);
    for (size_t i = 0; i < memory.count; i++) {
        struct record *r = &memory.records[i], kept = *r;
        uint8_t damaged[2048] = {0};
        bool text = strstr(kept.key, "name") || strcmp(kept.key, "platform") == 0;
        memcpy(damaged, kept.value.p, kept.value.n);
        r->value = BYTES(damaged, text ? sizeof(damaged) : kept.value.n + 1);
        if (strcmp(kept.key, "account") == 0)
            r->value.n = WA_ACCOUNT_MAX + 1;
        ck_assert_msg(wa_device_load(&loaded, &host) == ERR_INVALID, "longer %s", kept.key);
        if (is_checked(kept.key)) {
            r->value.n = kept.value.n;
            damaged[20] ^= 0x10;
            ck_assert_msg(wa_device_load(&loaded, &host) == ERR_INVALID, "changed %s", kept.key);
        }
        *r = kept;
    }
    ck_assert_int_eq(wa_device_load(&loaded, &host), 1);
}
END_TEST

START_TEST(test_device_store_failures_are_handed_on)
{
    struct wa_device d;
    full_device(&d);
    memory.failure = ERR_STORE;
    ck_assert_int_eq(wa_device_save(&d, &host), ERR_STORE);
    ck_assert_int_eq(wa_device_load(&d, &host), ERR_STORE);
    ck_assert_int_eq(wa_device_forget(&host), ERR_STORE);
    memory.failure = 0;
}
END_TEST

START_TEST(test_device_forget_deletes_every_record_of_every_table)
{
    struct wa_device d;
    full_device(&d);
    ck_assert_int_eq(wa_device_save(&d, &host), 0);
    for (int table = 0; table < WA_TABLE_COUNT; table++)
        memory_put(NULL, (enum wa_table)table, "key", bytes_text("value"));
    ck_assert_int_eq(wa_device_forget(&host), 0);
    ck_assert_uint_eq(memory.count, 0);
}
END_TEST

START_TEST(test_device_is_own_of_both_namespaces_and_any_device)
{
    struct wa_device d;
    struct wa_jid jid = wa_jid_make(WA_SERVER_PN, "5511987654321", 0), none = {0};
    full_device(&d);
    ck_assert(wa_device_is_paired(&d) && wa_device_is_own(&d, &jid));
    jid = wa_jid_make(WA_SERVER_LID, "123456789012345", 99);
    ck_assert(wa_device_is_own(&d, &jid));
    jid = wa_jid_make(WA_SERVER_LID, "5511987654321", 12);
    ck_assert(!wa_device_is_own(&d, &jid));
    d.lid = none;
    ck_assert(!wa_device_is_own(&d, &none));
}
END_TEST

static void add_handshake(Suite *suite)
{
    TCase *noise = tcase_create("noise");
    tcase_add_test(noise, test_noise_steps_of_every_pattern_match_in_both_roles);
    tcase_add_test(noise, test_noise_decrypt_of_changed_input_leaves_the_state);
    tcase_add_loop_test(noise, test_cipher_frames_of_both_directions_match_prepared_or_not, 0, 2);
    tcase_add_test(noise, test_cipher_with_used_up_counter_is_refused);
    suite_add_tcase(suite, noise);
    TCase *cert = tcase_create("cert");
    tcase_add_test(cert, test_cert_verify_of_vector_chain_is_accepted);
    tcase_add_test(cert, test_cert_verify_of_negative_vectors_is_refused_with_a_reason);
    tcase_add_test(cert, test_cert_verify_with_other_root_or_static_key_is_refused);
    tcase_add_test(cert, test_cert_verify_tolerates_one_day_of_clock_error);
    tcase_add_test(cert, test_cert_verify_of_chain_without_times_is_accepted_at_any_time);
    tcase_add_test(cert, test_cert_verify_of_every_truncation_is_refused);
    suite_add_tcase(suite, cert);
    TCase *handshake = tcase_create("handshake");
    tcase_set_timeout(handshake, 60);
    tcase_add_test(handshake,
                   test_handshake_with_vector_keys_reproduces_the_wire_and_transport_keys);
    tcase_add_test(handshake, test_handshake_finish_of_every_truncation_appends_nothing);
    tcase_add_test(handshake, test_handshake_finish_of_changed_answers_is_refused);
    tcase_add_test(handshake, test_handshake_finish_with_zero_ephemeral_is_refused);
    tcase_add_test(handshake, test_handshake_finish_with_expired_certificate_says_so);
    tcase_add_test(handshake, test_handshake_into_full_output_appends_nothing);
    suite_add_tcase(suite, handshake);
    TCase *payload = tcase_create("payload");
    tcase_add_test(payload,
                   test_payload_registration_equals_web_parity_vector_but_for_device_props);
    tcase_add_test(payload, test_payload_device_props_equal_vector_but_for_version_and_quota);
    tcase_add_test(payload,
                   test_payload_device_props_without_history_equal_other_vector_but_for_version);
    tcase_add_test(payload, test_payload_registration_with_long_label_cuts_between_characters);
    tcase_add_test(payload, test_payload_login_equals_web_parity_vector_but_for_our_choices);
    tcase_add_test(payload, test_payload_login_equals_login_vector_but_for_locale_and_counter);
    tcase_add_test(payload, test_payload_login_of_unpaired_or_nameless_device_is_refused);
    tcase_add_test(payload, test_version_parse_of_good_and_bad_texts);
    tcase_add_test(payload, test_version_find_revision_in_scripts);
    tcase_add_test(payload, test_version_find_revision_of_every_truncation_is_refused);
    suite_add_tcase(suite, payload);
}

static void add_resume(Suite *suite)
{
    TCase *resume = tcase_create("resume");
    tcase_add_checked_fixture(resume, NULL, teardown);
    tcase_add_test(resume, test_resume_with_vector_keys_reproduces_the_wire_and_transport_keys);
    tcase_add_test(resume, test_resume_refused_goes_on_as_fallback_of_the_vector);
    tcase_add_test(resume, test_resume_answered_by_a_server_of_xx_only_goes_on_as_plain_xx);
    tcase_add_test(resume, test_resume_answers_changed_or_cut_are_refused);
    tcase_add_test(resume, test_resume_refused_with_a_bad_certificate_is_refused_with_its_reason);
    tcase_add_test(resume, test_resume_with_a_zero_key_is_refused_and_appends_nothing);
    tcase_add_test(resume, test_resume_key_is_used_from_the_second_connection_on);
    tcase_add_test(resume, test_resume_key_of_another_root_or_time_is_not_used);
    tcase_add_test(resume, test_resume_that_nobody_answered_is_followed_by_two_plain_connections);
    tcase_add_test(resume, test_resume_refused_forgets_the_key);
    tcase_add_test(resume, test_resume_damaged_records_count_as_absent);
    tcase_add_test(resume, test_resume_store_failures_are_handed_on);
    tcase_add_test(resume, test_routing_preface_and_hello_equal_the_vector);
    tcase_add_test(resume, test_routing_is_forgotten_when_its_connection_did_not_log_in);
    tcase_add_test(resume, test_routing_info_is_bounded_and_written_only_when_it_changes);
    suite_add_tcase(suite, resume);
}

static void add_pairing(Suite *suite)
{
    TCase *pairing = tcase_create("pairing");
    tcase_set_timeout(pairing, 60);
    tcase_add_test(pairing, test_pairing_qr_matches_vector);
    tcase_add_test(pairing, test_pairing_accept_of_vector_cases_gives_answer_and_account);
    tcase_add_test(pairing, test_pairing_accept_of_negative_vectors_is_refused_with_their_error);
    tcase_add_test(pairing, test_pairing_accept_of_every_truncation_is_refused);
    tcase_add_test(pairing, test_pairing_verify_companion_of_vector_cases_answers_as_expected);
    tcase_add_test(pairing, test_pairing_verify_companion_of_every_truncation_or_change_is_refused);
    tcase_add_test(pairing, test_pairing_verify_companion_account_key_of_the_blob_counts);
    tcase_add_test(pairing, test_pairing_verify_companion_of_other_lengths_is_refused);
    suite_add_tcase(suite, pairing);
    TCase *device = tcase_create("device");
    tcase_add_checked_fixture(device, NULL, teardown);
    tcase_add_test(device, test_device_generate_gives_valid_unpaired_credentials);
    tcase_add_test(device, test_device_generate_with_extreme_randomness_keeps_ids_in_range);
    tcase_add_test(device, test_device_save_then_load_gives_the_same);
    tcase_add_test(device, test_device_save_field_writes_that_record_only);
    tcase_add_test(device, test_device_load_with_a_missing_record_is_refused_unless_optional);
    tcase_add_test(device, test_device_load_with_a_damaged_record_is_refused);
    tcase_add_test(device, test_device_store_failures_are_handed_on);
    tcase_add_test(device, test_device_forget_deletes_every_record_of_every_table);
    tcase_add_test(device, test_device_is_own_of_both_namespaces_and_any_device);
    suite_add_tcase(suite, device);
}

int main(void)
{
    Suite *suite = suite_create("wa_handshake");
    add_handshake(suite);
    add_resume(suite);
    add_pairing(suite);
    return testing_run(suite);
}
