/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/gate.h"

#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "sim/authenticator.h"
#include "sim/iq.h"
#include "sim/notify.h"
#include "sim/pb.h"
#include "sim/scan.h"
#include "wa/crypto.h"

/* The messages of protocol/08 section 3.2. */
enum { IDENTITY_KEY = 1, IDENTITY_TYPE = 2, IDENTITY_REF = 3 };
enum { PROLOGUE_IDENTITY = 1, PROLOGUE_COMMITMENT = 2, COMMITMENT_HASH = 1 };
enum { PHONE_KEY = 1, PHONE_NONCE = 2 };
enum { SEALED_PAYLOAD = 1, SEALED_IV = 2 };
enum { REQUEST_NOISE = 1, REQUEST_IDENTITY = 2, REQUEST_SECRET = 3 };

#define RP_ID "whatsapp.com"
#define IDENTITY_MAX 512
#define REF_LEN 30

struct sim_gate {
    struct sim_account *account;
    struct sim_client *client;
    uint8_t secret[WA_KEY_LEN]; /* of the QR or the code */
    uint8_t challenge[32];
    char ref[64];
    enum { WANTS_ASSERTION, WANTS_NONCE, WANTS_REQUEST, DONE } step;
    uint8_t identity[IDENTITY_MAX], commitment[WA_SHA256_LEN];
    size_t identity_len;
    struct wa_keypair ephemeral;
    uint8_t nonce[32], key[32];
    bool proven; /* by the handoff proof: no code has to be compared */
    char code[10];
    struct sim_scan *scan; /* owned */
};

/* ---- the challenge ------------------------------------------------------------------------------
 */

static void write_options(const struct sim_gate *g, struct buf *out)
{
    struct buf AUTO_BUF challenge;

    buf_init(&challenge, 64);
    text_base64url_append(&challenge, BYTES_ARRAY(g->challenge));
    buf_printf(out,
               "{\"challenge\":\"%s\",\"timeout\":600000,\"rpId\":\"" RP_ID "\","
               "\"allowCredentials\":[],\"userVerification\":\"required\","
               "\"extensions\":{\"uvm\":true}}",
               buf_text(&challenge));
}

static void push(const struct sim_gate *g, const char *type, const char *child, struct bytes data)
{
    struct sim_client *c = g->client;
    struct wa_jid server = wa_jid_make(WA_SERVER_PN, "", 0);
    struct wa_node *n = sim_notification(c->sim, &c->arena, type, &server);

    if (child)
        wa_node_child_data(n, child, data);
    sim_client_send(c, n);
}

void sim_gate_open(struct sim_account *a, struct sim_client *c, const uint8_t secret[WA_KEY_LEN])
{
    struct sim_gate *g = err_calloc(1, sizeof *g);
    struct buf AUTO_BUF options;

    buf_init(&options, 1024);
    g->account = a;
    g->client = c;
    memcpy(g->secret, secret, sizeof g->secret);
    sim_random_bytes(&c->sim->random, g->challenge, sizeof g->challenge);
    c->registration->gate = g;
    write_options(g, &options);
    push(g, "passkey_prologue_request", a->gate.no_options ? NULL : "passkey_request_options",
         buf_bytes(&options));
    sim_note(c->sim, "passkey_wanted", &a->pn, BYTES_NONE, NULL);
}

void sim_gate_free(struct sim_gate *g)
{
    if (!g)
        return;
    sim_scan_free(g->scan);
    buf_wipe(g, sizeof *g);
    free(g);
}

const char *sim_gate_code(const struct sim_account *a)
{
    for (struct sim_client *c = a->sim->clients; c; c = c->next)
        if (c->registration && c->registration->gate && c->registration->gate->account == a)
            return c->registration->gate->code;
    return "";
}

/* ---- the server's part --------------------------------------------------------------------------
 */

static void refuse(const struct sim_sender *from, const struct wa_node *iq,
                   const struct sim_gate *g, const char *why)
{
    sim_note(from->sim, "passkey_refused", &g->account->pn, BYTES_NONE, why);
    sim_iq_error(from, iq, "400", "bad-request");
}

static void on_options(const struct sim_sender *from, struct wa_node *iq, struct sim_gate *g)
{
    struct wa_node *node = sim_iq_result(from, iq);
    struct buf AUTO_BUF options;

    buf_init(&options, 1024);
    write_options(g, &options);
    wa_node_child_data(node, "passkey_request_options", buf_bytes(&options));
    sim_reply(from, node);
}

static void on_ref(const struct sim_sender *from, struct wa_node *iq, struct sim_gate *g)
{
    struct wa_node *node = sim_iq_result(from, iq);
    struct buf AUTO_BUF text;
    uint8_t raw[REF_LEN];

    buf_init(&text, sizeof g->ref);
    sim_random_bytes(&from->sim->random, raw, sizeof raw);
    buf_append_text(&text, "2@");
    text_base64_append(&text, BYTES_ARRAY(raw));
    bytes_copy_text(buf_bytes(&text), g->ref, sizeof g->ref);
    wa_node_child_data(node, "ref", buf_bytes(&text));
    sim_reply(from, node);
}

/* ---- the phone's part ---------------------------------------------------------------------------
 */

/* NULL with identity and commitment kept, or what is wrong. */
static const char *read_prologue(struct sim_gate *g, struct bytes payload)
{
    struct bytes identity = sim_pb_bytes(payload, PROLOGUE_IDENTITY);
    struct bytes hash = sim_pb_bytes(sim_pb_bytes(payload, PROLOGUE_COMMITMENT), COMMITMENT_HASH);

    if (identity.n == 0 || identity.n > sizeof g->identity || hash.n != sizeof g->commitment)
        return "the prologue is malformed";
    if (sim_pb_bytes(identity, IDENTITY_KEY).n != WA_KEY_LEN)
        return "the companion's key is not 32 bytes";
    if (!bytes_is(sim_pb_bytes(identity, IDENTITY_REF), g->ref))
        return "another ref";
    memcpy(g->identity, identity.p, identity.n);
    g->identity_len = identity.n;
    memcpy(g->commitment, hash.p, hash.n);
    return NULL;
}

/* HMAC over the prologue under a key from the secret that the phone has seen (section 6). */
static bool proof_holds(const struct sim_gate *g, struct bytes payload, struct bytes proof)
{
    uint8_t key[32], want[32];

    wa_hkdf_sha256(key, sizeof key, BYTES_ARRAY(g->secret), BYTES_NONE,
                   bytes_text("shortcake-passkey-handoff-v1"));
    wa_hmac_sha256(want, BYTES_ARRAY(key), &payload, 1);
    return bytes_equal(proof, BYTES_ARRAY(want));
}

static void phone_answers(struct sim_gate *g)
{
    struct buf AUTO_BUF identity;
    const struct sim_gate_rules *rules = &g->account->gate;

    buf_init(&identity, 128);
    if (rules->no_continuation)
        return;
    wa_curve_generate(&g->ephemeral, &g->client->sim->host);
    sim_random_bytes(&g->client->sim->random, g->nonce, sizeof g->nonce);
    sim_pb_put_bytes(&identity, PHONE_KEY,
                     BYTES(g->ephemeral.pub, rules->bad_continuation ? 31 : WA_KEY_LEN));
    sim_pb_put_bytes(&identity, PHONE_NONCE, BYTES_ARRAY(g->nonce));
    push(g, "crsc_continuation", "primary_ephemeral_identity", buf_bytes(&identity));
}

static void on_prologue(const struct sim_sender *from, struct wa_node *iq, struct sim_gate *g)
{
    const struct wa_node *prologue = wa_node_find(iq, "passkey_prologue");
    struct bytes payload = wa_node_child_bytes(prologue, "prologue_payload");
    struct bytes proof = wa_node_child_bytes(prologue, "pairing_handoff_proof");
    const char *wrong = sim_authenticator_judge(
        g->account->authenticator, wa_node_child_bytes(prologue, "webauthn_assertion"),
        wa_node_child_bytes(prologue, "credential_id"), BYTES_ARRAY(g->challenge), RP_ID);

    if (!wrong && g->step != WANTS_ASSERTION)
        wrong = "a second prologue";
    if (!wrong)
        wrong = read_prologue(g, payload);
    if (!wrong && proof.p && !proof_holds(g, payload, proof))
        wrong = "the proof is not of the secret that was scanned";
    if (wrong) {
        refuse(from, iq, g, wrong);
        return;
    }
    if (g->account->gate.refuse[0]) {
        sim_iq_error(from, iq, g->account->gate.refuse, "refused");
        return;
    }
    g->proven = proof.p != NULL;
    g->step = WANTS_NONCE;
    sim_reply(from, sim_iq_result(from, iq));
    sim_note(from->sim, "passkey_accepted", &g->account->pn, BYTES_NONE,
             g->proven ? "proof" : "no proof");
    phone_answers(g);
}

/* Both sides' code: the phone's nonce over the hash of the companion's and the phone's key. */
static void make_code(struct sim_gate *g, struct bytes companion_nonce)
{
    static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTVWXYZ";
    struct bytes parts[] = {companion_nonce, BYTES_ARRAY(g->ephemeral.pub)};
    uint8_t digest[WA_SHA256_LEN];
    uint64_t bits = 0;
    char *at = g->code;

    wa_sha256(digest, parts, 2);
    for (int i = 0; i < 5; i++)
        bits = bits << 8 | (uint8_t)(digest[i] ^ g->nonce[i]);
    for (int shift = 35; shift >= 0; shift -= 5) {
        *at++ = alphabet[bits >> shift & 31];
        if (shift == 20)
            *at++ = '-';
    }
    *at = '\0';
}

static void make_key(struct sim_gate *g)
{
    struct bytes identity = BYTES(g->identity, g->identity_len);
    uint8_t shared[32];
    char salt[160];

    snprintf(salt, sizeof salt, "Companion Pairing %llu with ref %s",
             (unsigned long long)sim_pb_uint(identity, IDENTITY_TYPE), g->ref);
    wa_curve_agree(shared, g->ephemeral.priv, sim_pb_bytes(identity, IDENTITY_KEY).p);
    wa_hkdf_sha256(g->key, sizeof g->key, BYTES_ARRAY(shared), bytes_text(salt),
                   bytes_text("Pairing Information Encryption Key"));
}

static void on_nonce(const struct sim_sender *from, struct wa_node *iq, struct sim_gate *g)
{
    struct bytes nonce = wa_node_child_bytes(iq, "companion_nonce");
    struct bytes parts[] = {BYTES(g->identity, g->identity_len), nonce};
    uint8_t hash[WA_SHA256_LEN];

    wa_sha256(hash, parts, 2);
    if (g->step != WANTS_NONCE || nonce.n != 32 ||
        !bytes_equal(BYTES_ARRAY(hash), BYTES_ARRAY(g->commitment))) {
        refuse(from, iq, g, "the nonce is not the one of the commitment");
        return;
    }
    make_code(g, nonce);
    make_key(g);
    g->step = WANTS_REQUEST;
    sim_reply(from, sim_iq_result(from, iq));
    sim_note(from->sim, "passkey_code", &g->account->pn, BYTES_NONE, g->code);
}

/* NULL with the next ADV secret, or what is wrong. */
static const char *open_request(struct sim_gate *g, struct bytes message,
                                uint8_t secret[WA_KEY_LEN])
{
    struct bytes iv = sim_pb_bytes(message, SEALED_IV), part;
    struct buf AUTO_BUF plain;
    struct bytes request;

    buf_init(&plain, 1024);
    if (iv.n != WA_GCM_NONCE_LEN ||
        wa_gcm_open(&plain, g->key, iv.p, BYTES_NONE, sim_pb_bytes(message, SEALED_PAYLOAD)) != 0)
        return "the request cannot be opened";
    request = buf_bytes(&plain);
    if (!bytes_equal(sim_pb_bytes(request, REQUEST_NOISE), BYTES_ARRAY(g->client->noise_key)))
        return "the request names another noise key";
    if (!bytes_equal(sim_pb_bytes(request, REQUEST_IDENTITY),
                     BYTES_ARRAY(g->client->registration->keys.identity)))
        return "the request names another identity";
    part = sim_pb_bytes(request, REQUEST_SECRET);
    if (part.n != WA_KEY_LEN || bytes_equal(part, BYTES_ARRAY(g->secret)))
        return "the request has no new ADV secret";
    memcpy(secret, part.p, WA_KEY_LEN);
    return NULL;
}

static void on_request(const struct sim_sender *from, struct wa_node *iq, struct sim_gate *g)
{
    uint8_t secret[WA_KEY_LEN];
    const char *wrong = g->step != WANTS_REQUEST ? "too early" : NULL;
    struct err err;

    if (!wrong)
        wrong = open_request(g, wa_node_child_bytes(iq, "encrypted_pairing_request"), secret);
    if (wrong) {
        refuse(from, iq, g, wrong);
        return;
    }
    g->step = DONE;
    sim_reply(from, sim_iq_result(from, iq));
    if (sim_scan_vouch(g->account, g->client, secret, &g->scan, &err) != 0)
        sim_note(from->sim, "passkey_refused", &g->account->pn, BYTES_NONE,
                 "no device number left");
}

bool sim_gate_iq(const struct sim_sender *from, struct wa_node *iq)
{
    static const struct {
        const char *child;
        void (*fn)(const struct sim_sender *from, struct wa_node *iq, struct sim_gate *g);
    } table[] = {
        {"passkey_request_options", on_options},   {"ref", on_ref},
        {"passkey_prologue", on_prologue},         {"companion_nonce", on_nonce},
        {"encrypted_pairing_request", on_request},
    };
    struct sim_gate *g =
        from->client && from->client->registration ? from->client->registration->gate : NULL;

    for (size_t i = 0; g && i < ARRAY_LEN(table); i++) {
        if (!wa_node_find(iq, table[i].child))
            continue;
        table[i].fn(from, iq, g);
        return true;
    }
    return false;
}
