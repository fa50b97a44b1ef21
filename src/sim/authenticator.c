/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libcrypto has a type of this name, which our error code must not meet. */
#define ERR_STATE openssl_err_state
#include <openssl/ec.h>
#include <openssl/evp.h>
#undef ERR_STATE

#include "sim/authenticator.h"

#include "base/text.h"
#include "sim/store.h"
#include "wa/crypto.h"

#define FLAGS 0x1d /* UP, UV, BE, BS: a synced passkey */
#define AUTHENTICATOR_DATA_LEN 37
#define TEXT_MAX 16384

struct sim_authenticator {
    EVP_PKEY *key;
    uint8_t credential_id[20], user_handle[32];
};

struct sim_authenticator *sim_authenticator_new(struct sim_random *random)
{
    struct sim_authenticator *a = err_calloc(1, sizeof *a);

    a->key = EVP_EC_gen("P-256");
    if (!a->key)
        err_fatal("no P-256 key could be made");
    sim_random_bytes(random, a->credential_id, sizeof a->credential_id);
    sim_random_bytes(random, a->user_handle, sizeof a->user_handle);
    return a;
}

void sim_authenticator_free(struct sim_authenticator *a)
{
    if (!a)
        return;
    EVP_PKEY_free(a->key);
    free(a);
}

/* ---- using it -----------------------------------------------------------------------------------
 */

static void write_client_data(struct buf *out, const char *challenge, const char *origin)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_open(&w, NULL, '{');
    json_put_text(&w, "type", "webauthn.get");
    json_put_text(&w, "challenge", challenge);
    json_put_text(&w, "origin", origin);
    json_put_bool(&w, "crossOrigin", false);
    json_close(&w, '}');
}

static void write_authenticator_data(uint8_t out[AUTHENTICATOR_DATA_LEN], const char *rp_id)
{
    struct bytes part = bytes_text(rp_id);

    memset(out, 0, AUTHENTICATOR_DATA_LEN);
    wa_sha256(out, &part, 1);
    out[WA_SHA256_LEN] = FLAGS;
}

/* authenticatorData || SHA-256(clientDataJSON) */
static void signed_bytes(struct buf *out, struct bytes data, struct bytes client_data)
{
    uint8_t hash[WA_SHA256_LEN];

    wa_sha256(hash, &client_data, 1);
    buf_append(out, data);
    buf_append(out, BYTES_ARRAY(hash));
}

static size_t sign(const struct sim_authenticator *a, struct bytes message, uint8_t *out,
                   size_t max)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = max;

    if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, a->key) != 1 ||
        EVP_DigestSign(ctx, out, &n, message.p, message.n) != 1)
        err_fatal("ES256 signing failed");
    EVP_MD_CTX_free(ctx);
    return n;
}

static void put_base64url(struct json_writer *w, const char *key, struct bytes data)
{
    struct buf AUTO_BUF text;

    buf_init(&text, TEXT_MAX);
    text_base64url_append(&text, data);
    json_put_bytes(w, key, buf_bytes(&text));
}

int sim_authenticator_use(const struct sim_authenticator *a, const struct json_value *options,
                          const char *origin, struct json_writer *w, const char *key)
{
    const char *challenge = json_text(options, "challenge", NULL);
    struct buf AUTO_BUF client_data, AUTO_BUF message;
    uint8_t data[AUTHENTICATOR_DATA_LEN], signature[128];
    size_t n;

    buf_init(&client_data, TEXT_MAX);
    buf_init(&message, TEXT_MAX);
    if (!challenge)
        return ERR_INVALID;
    write_client_data(&client_data, challenge, origin);
    write_authenticator_data(data, json_text(options, "rpId", ""));
    signed_bytes(&message, BYTES_ARRAY(data), buf_bytes(&client_data));
    n = sign(a, buf_bytes(&message), signature, sizeof signature);
    json_open(w, key, '{');
    put_base64url(w, "id", BYTES_ARRAY(a->credential_id));
    put_base64url(w, "rawId", BYTES_ARRAY(a->credential_id));
    json_put_text(w, "type", "public-key");
    json_put_text(w, "authenticatorAttachment", "platform");
    json_open(w, "clientExtensionResults", '{');
    json_close(w, '}');
    json_open(w, "response", '{');
    put_base64url(w, "clientDataJSON", buf_bytes(&client_data));
    put_base64url(w, "authenticatorData", BYTES_ARRAY(data));
    put_base64url(w, "signature", BYTES(signature, n));
    put_base64url(w, "userHandle", BYTES_ARRAY(a->user_handle));
    json_close(w, '}');
    json_close(w, '}');
    return 0;
}

/* ---- judging ------------------------------------------------------------------------------------
 */

static bool take(const struct json_value *v, const char *path, struct buf *out)
{
    const char *text = json_text(v, path, NULL);

    return text && !strpbrk(text, "+/=") && text_base64_any_decode(bytes_text(text), out) == 0;
}

static bool verifies(const struct sim_authenticator *a, struct bytes message,
                     struct bytes signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, a->key) == 1 &&
                EVP_DigestVerify(ctx, signature.p, signature.n, message.p, message.n) == 1;

    EVP_MD_CTX_free(ctx);
    return good;
}

static const char *judge_client_data(struct bytes text, struct bytes challenge)
{
    struct buf AUTO_BUF got;
    struct json_doc *doc;
    const char *wrong = NULL;

    buf_init(&got, TEXT_MAX);
    if (json_doc_open(&doc, text, NULL) != 0)
        return "clientDataJSON is no JSON";
    if (strcmp(json_text(json_root(doc), "type", ""), "webauthn.get") != 0)
        wrong = "not webauthn.get";
    else if (!take(json_root(doc), "challenge", &got) || !bytes_equal(buf_bytes(&got), challenge))
        wrong = "another challenge";
    else if (strcmp(json_text(json_root(doc), "origin", ""), "https://web.whatsapp.com") != 0)
        wrong = "another origin";
    json_doc_close(doc);
    return wrong;
}

static const char *judge_parts(const struct sim_authenticator *a, const struct json_value *v,
                               struct bytes credential_id, struct bytes challenge,
                               const char *rp_id)
{
    struct buf AUTO_BUF id, AUTO_BUF client_data, AUTO_BUF data, AUTO_BUF signature;
    struct buf AUTO_BUF handle, AUTO_BUF message;
    uint8_t want[AUTHENTICATOR_DATA_LEN];

    buf_init(&id, TEXT_MAX);
    buf_init(&client_data, TEXT_MAX);
    buf_init(&data, TEXT_MAX);
    buf_init(&signature, TEXT_MAX);
    buf_init(&handle, TEXT_MAX);
    buf_init(&message, TEXT_MAX);
    if (!take(v, "rawId", &id) || !take(v, "response.clientDataJSON", &client_data) ||
        !take(v, "response.authenticatorData", &data) ||
        !take(v, "response.signature", &signature) || !take(v, "response.userHandle", &handle))
        return "a member is missing or not base64url";
    if (!bytes_equal(buf_bytes(&id), BYTES_ARRAY(a->credential_id)) ||
        !bytes_equal(credential_id, BYTES_ARRAY(a->credential_id)) ||
        !bytes_equal(buf_bytes(&handle), BYTES_ARRAY(a->user_handle)))
        return "the passkey of somebody else";
    write_authenticator_data(want, rp_id);
    if (!bytes_equal(buf_bytes(&data), BYTES_ARRAY(want)))
        return "authenticatorData is not what was made";
    signed_bytes(&message, buf_bytes(&data), buf_bytes(&client_data));
    if (!verifies(a, buf_bytes(&message), buf_bytes(&signature)))
        return "the signature does not verify";
    return judge_client_data(buf_bytes(&client_data), challenge);
}

const char *sim_authenticator_judge(const struct sim_authenticator *a, struct bytes assertion,
                                    struct bytes credential_id, struct bytes challenge,
                                    const char *rp_id)
{
    static const char *const members[] = {"id", "rawId", "type", "response"};
    struct json_doc *doc;
    const char *wrong;

    if (json_doc_open(&doc, assertion, NULL) != 0)
        return "no JSON";
    if (json_stranger(json_root(doc), members, ARRAY_LEN(members)))
        wrong = "a member that does not belong there";
    else
        wrong = judge_parts(a, json_root(doc), credential_id, challenge, rp_id);
    json_doc_close(doc);
    return wrong;
}
