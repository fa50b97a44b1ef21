/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Linking behind a passkey (protocol/08): after the scan, or the typed code, the server pushes a
 * WebAuthn challenge instead of pair-success. The owner's browser answers it; with its assertion go
 * a fresh ephemeral key, a commitment to a nonce, and the proof that we are the companion whose
 * secret the phone has seen. The phone answers with its own ephemeral key; we reveal the nonce,
 * both sides have a key and a code, and the next ADV secret travels under that key. Then comes
 * pair-success.
 *
 * Every failure ends the connection: nothing of an attempt can be resumed.
 */
#include "base/clock.h"
#include "wa/proto/transport.pb-c.h"
#include "wa/session_internal.h"

/* protocol/08 section 9.1 */
#define ASSERTION_MARGIN_MS 15000
#define PROOF_TTL_MS 300000
#define ANSWER_MS 75000
#define PHONE_MS 180000
#define OWNER_MS 120000
#define SUCCESS_MS 60000
#define RATE_WAIT_S 600
#define DEVICE_TYPE WA__DEVICE_PROPS__PLATFORM_TYPE__CHROME /* as in the registration */

const char *wa_passkey_phase_name(enum wa_passkey_phase phase)
{
    static const char *const names[] = {
#define X(symbol, name) [symbol] = name,
        WA_PASSKEY_PHASES(X)
#undef X
    };
    return names[phase];
}

bool wa_linking_passkey_open(const struct wa_session *s)
{
    return s->passkey.step != WA_STEP_NONE;
}

void wa_linking_passkey_clear(struct wa_session *s)
{
    wa_passkey_options_deinit(&s->passkey.options);
    wa_passkey_assertion_deinit(&s->passkey.assertion);
    buf_wipe(&s->passkey, sizeof(s->passkey));
    s->passkey_until = CLOCK_NEVER;
}

void wa_linking_passkey_fail(struct wa_session *s, enum wa_passkey_error e, unsigned code)
{
    if (s->phase == WA_PHASE_CLOSED)
        return;
    if (code)
        wa_session_end(s, WA_CLOSE_PASSKEY, "%s (%u)", wa_passkey_error_name(e), code);
    else
        wa_session_end(s, WA_CLOSE_PASSKEY, "%s", wa_passkey_error_name(e));
    struct wa_event *ev = &s->events[s->event_count - 1];
    ev->u.closed.passkey = e;
    ev->u.closed.retry_after_s = code == 429 ? RATE_WAIT_S : 0;
    wa_linking_passkey_clear(s);
}

static struct wa_event *tell(struct wa_session *s, enum wa_passkey_phase phase)
{
    struct wa_event *ev = wa_session_emit(s, WA_EVENT_PASSKEY);
    ev->u.passkey.phase = phase;
    if (s->passkey.shown[0])
        ev->u.passkey.code = (const char *)arena_copy(&s->arena, BYTES_ARRAY(s->passkey.shown)).p;
    ev->u.passkey.confirm = phase == WA_PASSKEY_AWAIT_OWNER;
    if (s->passkey_until != CLOCK_NEVER)
        ev->u.passkey.ttl_ms = s->passkey_until - wa_session_now(s);
    return ev;
}

void wa_linking_passkey_expire(struct wa_session *s)
{
    switch (s->passkey.step) {
    case WA_STEP_ASKING:
        wa_linking_passkey_fail(s, WA_PASSKEY_OPTIONS_EXPIRED, 0);
        break;
    case WA_STEP_COMPARING:
        wa_linking_passkey_fail(s, WA_PASSKEY_CONFIRM_EXPIRED, 0);
        break;
    default:
        wa_linking_passkey_fail(s, WA_PASSKEY_PHONE_TIMEOUT, 0);
        break;
    }
}

/* ---- the challenge -------------------------------------------------------------------------- */

static void ask_owner(struct wa_session *s)
{
    struct wa_linking_passkey *p = &s->passkey;
    int64_t now = wa_session_now(s), ttl = p->options.timeout_ms;
    p->step = WA_STEP_ASKING;
    s->passkey_until = now + (ttl > 2 * ASSERTION_MARGIN_MS ? ttl - ASSERTION_MARGIN_MS : ttl / 2);
    struct wa_event *ev = tell(s, WA_PASSKEY_AWAIT_ASSERTION);
    ev->u.passkey.fresh = true;
    ev->u.passkey.options = arena_copy(&s->arena, buf_bytes(&p->options.text));
    ev->u.passkey.handoff_ttl_ms = p->proof_until > now ? p->proof_until - now : 0;
}

static void on_options(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    (void)arg;
    if (s->passkey.step != WA_STEP_FETCHING)
        return;
    if (wa_passkey_options_read(&s->passkey.options,
                                wa_node_child_bytes(answer, "passkey_request_options")) < 0)
        wa_linking_passkey_fail(s, WA_PASSKEY_OPTIONS_UNAVAILABLE, code);
    else
        ask_owner(s);
}

static void fetch_options(struct wa_session *s)
{
    struct wa_node *iq = wa_session_query(s, "get", "md");
    s->passkey.step = WA_STEP_FETCHING;
    s->passkey_until = CLOCK_NEVER;
    wa_node_child(iq, "passkey_request_options");
    wa_session_ask_until(s, iq, ANSWER_MS, on_options, NULL);
}

/* The key of the proof is that of the secret in the QR that was scanned, also after a second push.
 */
static void begin(struct wa_session *s)
{
    struct wa_linking_passkey *p = &s->passkey;
    wa_passkey_handoff_key(p->handoff_key, s->device.adv_secret);
    s->host->random(s->host->ctx, p->next_adv_secret, sizeof(p->next_adv_secret));
    p->proof_until = wa_session_now(s) + PROOF_TTL_MS;
    s->ref_until = s->code_until = CLOCK_NEVER;
}

static bool from_server(const struct wa_node *node)
{
    struct wa_jid from;
    return wa_node_attr_jid(node, "from", &from) && from.server == WA_SERVER_PN && !from.user[0] &&
           from.device == 0;
}

void wa_linking_passkey_push(struct wa_session *s, const struct wa_node *node)
{
    struct wa_linking_passkey *p = &s->passkey;
    struct bytes id = wa_node_attr(node, "id");
    struct bytes options = wa_node_child_bytes(node, "passkey_request_options");
    bool open = wa_linking_passkey_open(s);
    if (s->phase != WA_PHASE_PAIRING || !from_server(node) || p->step > WA_STEP_ASKING ||
        (open && bytes_is(id, p->push_id)))
        return;
    if (!open)
        begin(s);
    bytes_copy_text(id, p->push_id, sizeof(p->push_id));
    if (wa_passkey_options_read(&p->options, options) == 0)
        ask_owner(s);
    else if (p->step != WA_STEP_FETCHING)
        fetch_options(s);
}

/* ---- assertion, ref, prologue --------------------------------------------------------------- */

static void on_prologue(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    (void)arg;
    if (s->passkey.step != WA_STEP_PROLOGUE) /* the phone was faster */
        return;
    if (!answer) {
        wa_linking_passkey_fail(s, WA_PASSKEY_REFUSED, code);
        return;
    }
    s->passkey.step = WA_STEP_PHONE;
    s->passkey_until = wa_session_now(s) + PHONE_MS;
    tell(s, WA_PASSKEY_AWAIT_PHONE);
}

static void add_proof(struct wa_session *s, struct wa_node *prologue, struct bytes payload)
{
    uint8_t proof[32];
    s->passkey.proof_sent = wa_session_now(s) < s->passkey.proof_until;
    if (!s->passkey.proof_sent)
        return;
    wa_passkey_proof(proof, s->passkey.handoff_key, payload);
    wa_node_child_data(prologue, "pairing_handoff_proof", BYTES_ARRAY(proof));
}

static void send_prologue(struct wa_session *s)
{
    struct wa_linking_passkey *p = &s->passkey;
    AUTO_BUF struct buf payload;
    buf_init(&payload, 2048);
    wa_curve_generate(&p->ephemeral, s->host);
    s->host->random(s->host->ctx, p->nonce, sizeof(p->nonce));
    if (wa_passkey_prologue(&payload, p->ephemeral.pub, DEVICE_TYPE, BYTES(p->ref, p->ref_length),
                            p->nonce) < 0) {
        wa_linking_passkey_fail(s, WA_PASSKEY_REF, 0);
        return;
    }
    struct wa_node *iq = wa_session_query(s, "set", "md");
    struct wa_node *prologue = wa_node_child(iq, "passkey_prologue");
    wa_node_child_data(prologue, "credential_id",
                       BYTES(p->assertion.credential_id, p->assertion.credential_id_len));
    wa_node_child_data(prologue, "webauthn_assertion", buf_bytes(&p->assertion.text));
    wa_node_child_data(prologue, "prologue_payload", buf_bytes(&payload));
    add_proof(s, prologue, buf_bytes(&payload));
    wa_passkey_assertion_deinit(&p->assertion);
    p->step = WA_STEP_PROLOGUE;
    wa_session_ask_until(s, iq, ANSWER_MS, on_prologue, NULL);
}

static void ask_ref(struct wa_session *s);

static void on_ref(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    struct wa_linking_passkey *p = &s->passkey;
    struct bytes ref = wa_node_child_bytes(answer, "ref");
    (void)arg;
    if (p->step != WA_STEP_REF)
        return;
    if (ref.n > 0 && ref.n <= sizeof(p->ref)) {
        memcpy(p->ref, ref.p, ref.n);
        p->ref_length = ref.n;
        send_prologue(s);
    } else if (p->ref_asked_again) {
        wa_linking_passkey_fail(s, WA_PASSKEY_REF, code);
    } else {
        p->ref_asked_again = true;
        ask_ref(s);
    }
}

static void ask_ref(struct wa_session *s)
{
    struct wa_node *iq = wa_session_query(s, "get", "md");
    wa_node_child(iq, "ref");
    wa_session_ask_until(s, iq, ANSWER_MS, on_ref, NULL);
}

enum wa_passkey_error wa_session_passkey_assert(struct wa_session *s,
                                                const struct json_value *credential)
{
    struct wa_linking_passkey *p = &s->passkey;
    if (p->step != WA_STEP_ASKING || wa_session_now(s) >= s->passkey_until)
        return WA_PASSKEY_STALE;
    enum wa_passkey_error e = wa_passkey_assertion_read(&p->assertion, &p->options, credential);
    if (e != WA_PASSKEY_OK)
        return e;
    p->step = WA_STEP_REF;
    s->passkey_until = CLOCK_NEVER; /* the answers of the server have limits of their own */
    tell(s, WA_PASSKEY_SUBMITTING);
    ask_ref(s);
    return WA_PASSKEY_OK;
}

/* ---- continuation, nonce, request ----------------------------------------------------------- */

static void on_request(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    (void)arg;
    if (s->passkey.step != WA_STEP_FINISHING)
        return;
    if (!answer)
        wa_linking_passkey_fail(s, WA_PASSKEY_REQUEST, code);
    else
        s->passkey_until = wa_session_now(s) + SUCCESS_MS;
}

/* pair-success may overtake the answer, so its secret is the current one before this leaves. */
static void send_request(struct wa_session *s)
{
    struct wa_linking_passkey *p = &s->passkey;
    AUTO_BUF struct buf request;
    uint8_t iv[WA_GCM_NONCE_LEN];
    buf_init(&request, 2048);
    s->host->random(s->host->ctx, iv, sizeof(iv));
    memcpy(s->device.adv_secret, p->next_adv_secret, sizeof(s->device.adv_secret));
    if (wa_device_save(&s->device, s->host) < 0) {
        wa_session_end_store(s);
        return;
    }
    if (wa_passkey_request(&request, p->key, iv, &s->device, p->next_adv_secret) < 0) {
        wa_linking_passkey_fail(s, WA_PASSKEY_REQUEST, 0);
        return;
    }
    struct wa_node *iq = wa_session_query(s, "set", "md");
    wa_node_child_data(iq, "encrypted_pairing_request", buf_bytes(&request));
    s->passkey_until = CLOCK_NEVER;
    wa_session_ask_until(s, iq, ANSWER_MS, on_request, NULL);
}

static void on_nonce(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    (void)arg;
    if (s->passkey.step != WA_STEP_COMPARING && s->passkey.step != WA_STEP_FINISHING)
        return;
    if (!answer) {
        wa_linking_passkey_fail(s, WA_PASSKEY_NONCE, code);
        return;
    }
    s->passkey.nonce_accepted = true;
    if (s->passkey.step == WA_STEP_FINISHING)
        send_request(s);
}

static void reveal_nonce(struct wa_session *s)
{
    struct wa_node *iq = wa_session_query(s, "set", "md");
    wa_node_child_data(iq, "companion_nonce", BYTES_ARRAY(s->passkey.nonce));
    wa_session_ask_until(s, iq, ANSWER_MS, on_nonce, NULL);
}

/* Without a proof the code is the only protection against a swapped key: the owner compares it. */
static void go_on(struct wa_session *s)
{
    bool sure = s->passkey.proof_sent;
    s->passkey.step = sure ? WA_STEP_FINISHING : WA_STEP_COMPARING;
    s->passkey_until = sure ? CLOCK_NEVER : wa_session_now(s) + OWNER_MS;
    tell(s, sure ? WA_PASSKEY_COMPLETING : WA_PASSKEY_AWAIT_OWNER);
    reveal_nonce(s);
}

void wa_linking_passkey_continuation(struct wa_session *s, const struct wa_node *node)
{
    struct wa_linking_passkey *p = &s->passkey;
    struct wa_passkey_phone phone;
    if (s->phase != WA_PHASE_PAIRING || !from_server(node) ||
        (p->step != WA_STEP_PROLOGUE && p->step != WA_STEP_PHONE))
        return;
    if (wa_passkey_phone_read(&phone, wa_node_child_bytes(node, "primary_ephemeral_identity")) <
            0 ||
        wa_passkey_agree(p->key, p->ephemeral.priv, phone.pub, DEVICE_TYPE,
                         BYTES(p->ref, p->ref_length)) < 0) {
        wa_linking_passkey_fail(s, WA_PASSKEY_PHONE_INVALID, 0);
        return;
    }
    wa_passkey_code(p->code, p->nonce, &phone);
    wa_link_code_shown(p->shown, p->code);
    go_on(s);
}

/* ---- the owner ------------------------------------------------------------------------------ */

static bool same_code(const char *code, const char *given)
{
    for (; *given; given++) {
        char c = *given >= 'a' && *given <= 'z' ? (char)(*given - 'a' + 'A') : *given;
        if (c == '-')
            continue;
        if (!*code || c != *code++)
            return false;
    }
    return !*code;
}

enum wa_passkey_error wa_session_passkey_confirm(struct wa_session *s, const char *code)
{
    if (s->passkey.step != WA_STEP_COMPARING)
        return WA_PASSKEY_STALE;
    if (!same_code(s->passkey.code, code))
        return WA_PASSKEY_CODE;
    s->passkey.step = WA_STEP_FINISHING;
    s->passkey_until = CLOCK_NEVER;
    tell(s, WA_PASSKEY_COMPLETING);
    if (s->passkey.nonce_accepted)
        send_request(s);
    return WA_PASSKEY_OK;
}

enum wa_passkey_error wa_session_passkey_reject(struct wa_session *s)
{
    if (s->passkey.step != WA_STEP_COMPARING)
        return WA_PASSKEY_STALE;
    wa_linking_passkey_fail(s, WA_PASSKEY_REJECTED, 0);
    return WA_PASSKEY_OK;
}

enum wa_passkey_error wa_session_passkey_cancel(struct wa_session *s)
{
    if (!wa_linking_passkey_open(s))
        return WA_PASSKEY_STALE;
    wa_linking_passkey_fail(s, WA_PASSKEY_CANCELLED, 0);
    return WA_PASSKEY_OK;
}
