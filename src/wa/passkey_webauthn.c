/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The WebAuthn side of the passkey step: the server's options, and the assertion that a browser
 * made (protocol/08 sections 4 and 5). */
#include "base/text.h"
#include "wa/crypto.h"
#include "wa/passkey.h"

#define TIMEOUT_MAX_MS 600000
#define PART_MAX 8192 /* bytes of one part of an assertion */
#define USER_HANDLE_MAX 64
#define AUTHENTICATOR_DATA_MIN 37 /* hash of the rpId, flags, counter */
#define FLAGS_AT 32
#define FLAG_PRESENT 0x01
#define FLAG_VERIFIED 0x04
/* What the browser takes when the options name none: the host of the page (WebAuthn section 5.1.4).
 */
#define DEFAULT_RP_ID "web.whatsapp.com"

/* ---- options -------------------------------------------------------------------------------- */

static bool read_base64(const struct json_value *v, const char *path, struct buf *out)
{
    const char *text = json_text(v, path, NULL);
    return text && text_base64_any_decode(bytes_text(text), out) == 0 && out->n > 0;
}

static int read_members(struct wa_passkey_options *o, const struct json_value *root)
{
    AUTO_BUF struct buf challenge;
    int64_t timeout = json_int(root, "timeout", TIMEOUT_MAX_MS);
    buf_init(&challenge, sizeof(o->challenge));
    if (!json_value_is_object(root) || !read_base64(root, "challenge", &challenge) ||
        !bytes_copy_text(bytes_text(json_text(root, "rpId", DEFAULT_RP_ID)), o->rp_id,
                         sizeof(o->rp_id)))
        return ERR_INVALID;
    memcpy(o->challenge, challenge.p, challenge.n);
    o->challenge_len = challenge.n;
    o->timeout_ms = timeout > 0 && timeout < TIMEOUT_MAX_MS ? timeout : TIMEOUT_MAX_MS;
    o->verification = strcmp(json_text(root, "userVerification", ""), "required") == 0;
    return 0;
}

int wa_passkey_options_read(struct wa_passkey_options *out, struct bytes text)
{
    struct json_doc *doc;
    wa_passkey_options_deinit(out);
    buf_init(&out->text, WA_PASSKEY_OPTIONS_MAX);
    if (buf_append(&out->text, text) < 0 || json_doc_open(&doc, text, NULL) < 0) {
        wa_passkey_options_deinit(out);
        return ERR_INVALID;
    }
    int rc = read_members(out, json_root(doc));
    json_doc_close(doc);
    if (rc < 0)
        wa_passkey_options_deinit(out);
    return rc;
}

void wa_passkey_options_deinit(struct wa_passkey_options *o)
{
    buf_deinit(&o->text);
    *o = (struct wa_passkey_options){0};
}

/* ---- the assertion, in parts ---------------------------------------------------------------- */

struct parts {
    struct buf id, client_data, authenticator_data, signature, user_handle;
    bool has_user_handle;
};

static void init_parts(struct parts *p)
{
    buf_init_secret(&p->id, WA_PASSKEY_CREDENTIAL_MAX);
    buf_init_secret(&p->client_data, PART_MAX);
    buf_init_secret(&p->authenticator_data, PART_MAX);
    buf_init_secret(&p->signature, PART_MAX);
    buf_init_secret(&p->user_handle, USER_HANDLE_MAX);
}

static void deinit_parts(struct parts *p)
{
    buf_deinit(&p->id);
    buf_deinit(&p->client_data);
    buf_deinit(&p->authenticator_data);
    buf_deinit(&p->signature);
    buf_deinit(&p->user_handle);
}

static bool read_user_handle(struct parts *p, const struct json_value *credential)
{
    const struct json_value *v = json_get(credential, "response.userHandle");
    if (!v || json_value_is_null(v))
        return true;
    p->has_user_handle = true;
    return read_base64(v, "", &p->user_handle);
}

static bool read_parts(struct parts *p, const struct json_value *credential)
{
    AUTO_BUF struct buf id;
    buf_init(&id, 2 * WA_PASSKEY_CREDENTIAL_MAX);
    if (!json_value_is_object(credential) || !read_base64(credential, "rawId", &p->id) ||
        strcmp(json_text(credential, "type", ""), "public-key") != 0)
        return false;
    text_base64url_append(&id, buf_bytes(&p->id));
    return bytes_is(buf_bytes(&id), json_text(credential, "id", "")) &&
           read_base64(credential, "response.clientDataJSON", &p->client_data) &&
           read_base64(credential, "response.authenticatorData", &p->authenticator_data) &&
           p->authenticator_data.n >= AUTHENTICATOR_DATA_MIN &&
           read_base64(credential, "response.signature", &p->signature) &&
           read_user_handle(p, credential);
}

/* ---- checks (section 5.3) ------------------------------------------------------------------- */

/* "https://", a host that is the rpId or below it, and nothing more. */
static bool origin_belongs(const char *origin, const char *rp_id)
{
    static const char scheme[] = "https://";
    if (strncmp(origin, scheme, sizeof(scheme) - 1) != 0)
        return false;
    const char *host = origin + sizeof(scheme) - 1;
    size_t n = strlen(host), wanted = strlen(rp_id);
    return n >= wanted && wanted > 0 && strcmp(host + n - wanted, rp_id) == 0 &&
           !strpbrk(host, ":/@?#") &&
           (n == wanted || (n > wanted + 1 && host[n - wanted - 1] == '.'));
}

static enum wa_passkey_error check_members(const struct json_value *data,
                                           const struct wa_passkey_options *o)
{
    AUTO_BUF struct buf challenge;
    buf_init(&challenge, WA_PASSKEY_CHALLENGE_MAX);
    if (!json_value_is_object(data))
        return WA_PASSKEY_MALFORMED;
    if (strcmp(json_text(data, "type", ""), "webauthn.get") != 0)
        return WA_PASSKEY_TYPE;
    if (!read_base64(data, "challenge", &challenge) ||
        !bytes_equal(buf_bytes(&challenge), BYTES(o->challenge, o->challenge_len)))
        return WA_PASSKEY_CHALLENGE;
    if (!origin_belongs(json_text(data, "origin", ""), o->rp_id))
        return WA_PASSKEY_ORIGIN;
    return json_bool(data, "crossOrigin", false) ? WA_PASSKEY_CROSS_ORIGIN : WA_PASSKEY_OK;
}

static enum wa_passkey_error check_client_data(struct bytes text,
                                               const struct wa_passkey_options *o)
{
    struct json_doc *doc;
    if (json_doc_open(&doc, text, NULL) < 0)
        return WA_PASSKEY_MALFORMED;
    enum wa_passkey_error e = check_members(json_root(doc), o);
    json_doc_close(doc);
    return e;
}

static enum wa_passkey_error check_authenticator(struct bytes data,
                                                 const struct wa_passkey_options *o)
{
    uint8_t hash[WA_SHA256_LEN];
    struct bytes rp_id = bytes_text(o->rp_id);
    wa_sha256(hash, &rp_id, 1);
    if (!bytes_equal(BYTES(data.p, sizeof(hash)), BYTES_ARRAY(hash)))
        return WA_PASSKEY_RP_ID;
    if (!(data.p[FLAGS_AT] & FLAG_PRESENT))
        return WA_PASSKEY_NO_PRESENCE;
    return o->verification && !(data.p[FLAGS_AT] & FLAG_VERIFIED) ? WA_PASSKEY_NO_VERIFICATION
                                                                  : WA_PASSKEY_OK;
}

/* An empty or missing list allows every credential. */
static bool is_listed(struct bytes id, const struct json_value *list)
{
    size_t n = json_length(list);
    for (size_t i = 0; i < n; i++) {
        AUTO_BUF struct buf one;
        buf_init(&one, WA_PASSKEY_CREDENTIAL_MAX);
        if (read_base64(json_at(list, i), "id", &one) && bytes_equal(buf_bytes(&one), id))
            return true;
    }
    return n == 0;
}

static enum wa_passkey_error check_allowed(struct bytes id, const struct wa_passkey_options *o)
{
    struct json_doc *doc;
    if (json_doc_open(&doc, buf_bytes(&o->text), NULL) < 0)
        return WA_PASSKEY_NOT_ALLOWED;
    bool listed = is_listed(id, json_get(json_root(doc), "allowCredentials"));
    json_doc_close(doc);
    return listed ? WA_PASSKEY_OK : WA_PASSKEY_NOT_ALLOWED;
}

static enum wa_passkey_error check_parts(const struct parts *p, const struct wa_passkey_options *o)
{
    enum wa_passkey_error e = check_client_data(buf_bytes(&p->client_data), o);
    if (e == WA_PASSKEY_OK)
        e = check_authenticator(buf_bytes(&p->authenticator_data), o);
    if (e == WA_PASSKEY_OK)
        e = check_allowed(buf_bytes(&p->id), o);
    return e;
}

/* ---- writing it anew (section 5.2) ---------------------------------------------------------- */

static void put_base64url(struct json_writer *w, const char *key, const struct buf *part)
{
    AUTO_BUF struct buf text;
    buf_init_secret(&text, 2 * PART_MAX);
    text_base64url_append(&text, buf_bytes(part));
    json_put_bytes(w, key, buf_bytes(&text));
}

static void write_assertion(struct buf *out, const struct parts *p)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_open(&w, NULL, '{');
    put_base64url(&w, "id", &p->id);
    put_base64url(&w, "rawId", &p->id);
    json_put_text(&w, "type", "public-key");
    json_open(&w, "response", '{');
    put_base64url(&w, "clientDataJSON", &p->client_data);
    put_base64url(&w, "authenticatorData", &p->authenticator_data);
    put_base64url(&w, "signature", &p->signature);
    if (p->has_user_handle)
        put_base64url(&w, "userHandle", &p->user_handle);
    else
        json_put_null(&w, "userHandle");
    json_close(&w, '}');
    json_close(&w, '}');
}

enum wa_passkey_error wa_passkey_assertion_read(struct wa_passkey_assertion *out,
                                                const struct wa_passkey_options *options,
                                                const struct json_value *credential)
{
    struct parts p = {0};
    wa_passkey_assertion_deinit(out);
    buf_init_secret(&out->text, WA_PASSKEY_ASSERTION_MAX);
    init_parts(&p);
    enum wa_passkey_error e =
        read_parts(&p, credential) ? check_parts(&p, options) : WA_PASSKEY_MALFORMED;
    if (e == WA_PASSKEY_OK) {
        memcpy(out->credential_id, p.id.p, p.id.n);
        out->credential_id_len = p.id.n;
        write_assertion(&out->text, &p);
    } else {
        wa_passkey_assertion_deinit(out);
    }
    deinit_parts(&p);
    return e;
}

void wa_passkey_assertion_deinit(struct wa_passkey_assertion *a)
{
    buf_deinit(&a->text);
    buf_wipe(a, sizeof(*a));
}
