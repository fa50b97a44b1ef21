/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/typing.h"

#include "base/text.h"
#include "sim/gate.h"
#include "sim/iq.h"
#include "sim/notify.h"
#include "sim/phone.h"
#include "sim/scan.h"
#include "wa/crypto.h"

#define CODE_LEN 8
#define ALPHABET "123456789ABCDEFGHJKLMNPQRSTVWXYZ"
#define ITERATIONS 131072
#define SALT_LEN 32
#define WRAP_LEN 80    /* salt, iv (16), sealed key */
#define BUNDLE_LEN 156 /* salt, nonce (12), 96 sealed bytes, tag */
#define REF_LEN 24

struct sim_typing {
    struct sim_client *client;
    char phone[24], ref[64];
    uint8_t wrapped[WRAP_LEN]; /* the companion's ephemeral key, under the code */
    /* of the phone, once a code was typed */
    struct sim_account *account;
    struct wa_keypair ephemeral;
    uint8_t companion[WA_KEY_LEN]; /* its ephemeral key, if the code was right */
    struct sim_scan *scan;         /* owned */
};

void sim_typing_free(struct sim_typing *t)
{
    if (!t)
        return;
    sim_scan_free(t->scan);
    buf_wipe(t, sizeof *t);
    free(t);
}

/* ---- the code over a key ------------------------------------------------------------------------
 */

/* AES-CTR under PBKDF2 of the code: the same both ways. */
static void cover(uint8_t out[WA_KEY_LEN], const char *code, struct bytes salt,
                  const uint8_t iv[16], const uint8_t in[WA_KEY_LEN])
{
    uint8_t key[32];

    wa_pbkdf2_sha256(key, bytes_text(code), salt, ITERATIONS);
    wa_ctr_crypt(out, key, iv, BYTES(in, WA_KEY_LEN));
}

/* ---- companion_hello ----------------------------------------------------------------------------
 */

static struct bytes part(const struct wa_node *reg, const char *tag)
{
    return wa_node_child_bytes(reg, tag);
}

/* Most clients send a byte 0, Baileys a character "0"; both are known to link. */
static bool nonce_is_good(struct bytes nonce)
{
    return bytes_equal(nonce, BYTES("\0", 1)) || bytes_is(nonce, "0");
}

/* As far as the real server looks at it. */
static bool hello_is_good(const struct sim_client *c, const struct wa_node *reg,
                          const struct wa_jid *jid)
{
    struct bytes display = part(reg, "companion_platform_display");

    return part(reg, "link_code_pairing_wrapped_companion_ephemeral_pub").n == WRAP_LEN &&
           bytes_equal(part(reg, "companion_server_auth_key_pub"), BYTES_ARRAY(c->noise_key)) &&
           bytes_is(part(reg, "companion_platform_id"), "1") && display.n > 8 &&
           memcmp(display.p, "Chrome (", 8) == 0 &&
           nonce_is_good(part(reg, "link_code_pairing_nonce")) && jid->server == WA_SERVER_PN &&
           strlen(jid->user) >= 7;
}

static void on_hello(const struct sim_sender *from, struct wa_node *iq, const struct wa_node *reg)
{
    struct sim_client *c = from->client;
    struct wa_node *node;
    struct sim_typing *t;
    struct buf AUTO_BUF ref;
    uint8_t raw[REF_LEN];
    struct wa_jid jid;

    buf_init(&ref, sizeof t->ref);
    if (sim_fault_take(&c->faults, SIM_FAULT_LINK_CODE)) {
        sim_iq_error(from, iq, c->faults.code, "refused");
        return;
    }
    if (!wa_node_attr_jid(reg, "jid", &jid) || !hello_is_good(c, reg, &jid)) {
        sim_iq_error(from, iq, "400", "bad-request");
        return;
    }
    sim_random_bytes(&from->sim->random, raw, sizeof raw);
    text_base64_append(&ref, BYTES_ARRAY(raw));
    sim_typing_free(c->registration->typing);
    c->registration->typing = t = err_calloc(1, sizeof *t);
    t->client = c;
    bytes_copy_text(bytes_text(jid.user), t->phone, sizeof t->phone);
    bytes_copy_text(buf_bytes(&ref), t->ref, sizeof t->ref);
    memcpy(t->wrapped, part(reg, "link_code_pairing_wrapped_companion_ephemeral_pub").p, WRAP_LEN);
    node = sim_iq_result(from, iq);
    wa_node_child_data(wa_node_child(node, "link_code_companion_reg"), "link_code_pairing_ref",
                       buf_bytes(&ref));
    sim_reply(from, node);
    sim_note(from->sim, "link_code", NULL, BYTES_NONE, t->phone);
}

/* ---- the owner types ----------------------------------------------------------------------------
 */

static struct sim_typing *find(const struct sim_account *a)
{
    for (struct sim_client *c = a->sim->clients; c; c = c->next)
        if (c->registration && c->registration->typing &&
            strcmp(c->registration->typing->phone, a->pn.user) == 0)
            return c->registration->typing;
    return NULL;
}

static bool read_code(const char *text, char out[CODE_LEN + 1])
{
    size_t n = 0;

    for (; *text; text++) {
        if (*text == '-')
            continue;
        if (n == CODE_LEN || !strchr(ALPHABET, *text))
            return false;
        out[n++] = *text;
    }
    out[n] = '\0';
    return n == CODE_LEN;
}

static struct wa_node *notification(struct sim_typing *t, const char *stage, struct wa_node **reg)
{
    struct wa_jid server = wa_jid_make(WA_SERVER_PN, "", 0);
    struct sim_client *c = t->client;
    struct wa_node *n = sim_notification(c->sim, &c->arena, "link_code_companion_reg", &server);

    *reg = wa_node_child(n, "link_code_companion_reg");
    wa_node_set(*reg, "stage", stage);
    wa_node_child_data(*reg, "link_code_pairing_ref", bytes_text(t->ref));
    return n;
}

static void phone_hello(struct sim_typing *t, const char *code)
{
    uint8_t wrapped[WRAP_LEN];
    struct wa_node *reg, *n = notification(t, "primary_hello", &reg);

    cover(t->companion, code, BYTES(t->wrapped, SALT_LEN), t->wrapped + SALT_LEN,
          t->wrapped + SALT_LEN + 16);
    wa_curve_generate(&t->ephemeral, &t->client->sim->host);
    sim_random_bytes(&t->client->sim->random, wrapped, SALT_LEN + 16);
    cover(wrapped + SALT_LEN + 16, code, BYTES(wrapped, SALT_LEN), wrapped + SALT_LEN,
          t->ephemeral.pub);
    wa_node_child_data(reg, "link_code_pairing_wrapped_primary_ephemeral_pub",
                       BYTES_ARRAY(wrapped));
    wa_node_child_data(reg, "primary_identity_pub",
                       BYTES_ARRAY(sim_phone_identity(t->account->phone)->pub));
    sim_client_send(t->client, n);
}

int sim_typing_type(struct sim_account *a, const char *text, struct err *err)
{
    struct sim_typing *t = find(a);
    char code[CODE_LEN + 1];

    if (!t)
        return err_set(err, ERR_NOT_FOUND, "no companion shows a code for this number");
    if (!read_code(text, code))
        return err_set(err, ERR_INVALID, "a code is 8 characters of " ALPHABET);
    t->account = a;
    phone_hello(t, code);
    return 0;
}

int sim_typing_refresh(struct sim_account *a, bool by_hand, struct err *err)
{
    struct sim_typing *t = find(a);
    struct wa_node *reg, *n;

    if (!t)
        return err_set(err, ERR_NOT_FOUND, "no companion shows a code for this number");
    n = notification(t, "refresh_code", &reg);
    if (by_hand)
        wa_node_set(reg, "force_manual_refresh", "true");
    sim_client_send(t->client, n);
    return 0;
}

/* ---- companion_finish ---------------------------------------------------------------------------
 */

/* The ADV secret that both sides have now; false when the bundle does not open: the code was wrong.
 */
static bool open_bundle(const struct sim_typing *t, struct bytes bundle, struct bytes identity,
                        uint8_t secret[32])
{
    const struct wa_keypair *own = sim_phone_identity(t->account->phone);
    uint8_t shared[96], key[32];
    struct buf AUTO_BUF plain;

    buf_init(&plain, 128);
    if (bundle.n != BUNDLE_LEN || identity.n != WA_KEY_LEN ||
        wa_curve_agree(shared, t->ephemeral.priv, t->companion) != 0 ||
        wa_curve_agree(shared + 32, own->priv, identity.p) != 0)
        return false;
    wa_hkdf_sha256(key, sizeof key, BYTES(shared, 32), BYTES(bundle.p, SALT_LEN),
                   bytes_text("link_code_pairing_key_bundle_encryption_key"));
    if (wa_gcm_open(&plain, key, bundle.p + SALT_LEN, BYTES_NONE,
                    BYTES(bundle.p + SALT_LEN + WA_GCM_NONCE_LEN,
                          bundle.n - SALT_LEN - WA_GCM_NONCE_LEN)) != 0 ||
        plain.n != 96 || memcmp(plain.p, identity.p, 32) != 0 ||
        memcmp(plain.p + 32, own->pub, 32) != 0)
        return false;
    memcpy(shared + 64, plain.p + 64, 32);
    wa_hkdf_sha256(secret, 32, BYTES_ARRAY(shared), BYTES_NONE, bytes_text("adv_secret"));
    return true;
}

static void on_finish(const struct sim_sender *from, struct wa_node *iq, const struct wa_node *reg)
{
    struct sim_typing *t = from->client->registration->typing;
    uint8_t secret[32];
    struct err err;

    if (!t || !t->account || t->scan || !bytes_is(part(reg, "link_code_pairing_ref"), t->ref)) {
        sim_iq_error(from, iq, "400", "bad-request");
        return;
    }
    sim_reply(from, sim_iq_result(from, iq));
    if (!bytes_equal(part(reg, "companion_identity_public"),
                     BYTES_ARRAY(from->client->registration->keys.identity)) ||
        !open_bundle(t, part(reg, "link_code_pairing_wrapped_key_bundle"),
                     part(reg, "companion_identity_public"), secret))
        sim_note(from->sim, "link_code_wrong", &t->account->pn, BYTES_NONE, NULL);
    else if (t->account->gate.on)
        sim_gate_open(t->account, t->client, secret);
    else if (sim_scan_vouch(t->account, t->client, secret, &t->scan, &err) != 0)
        sim_note(from->sim, "link_code_wrong", &t->account->pn, BYTES_NONE,
                 "no device number left");
}

bool sim_typing_iq(const struct sim_sender *from, struct wa_node *iq)
{
    const struct wa_node *reg = wa_node_find(iq, "link_code_companion_reg");

    if (!reg || !from->client || !from->client->registration)
        return false;
    if (wa_node_attr_is(reg, "stage", "companion_hello"))
        on_hello(from, iq, reg);
    else if (wa_node_attr_is(reg, "stage", "companion_finish"))
        on_finish(from, iq, reg);
    else
        sim_iq_error(from, iq, "400", "bad-request");
    return true;
}
