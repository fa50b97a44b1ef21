/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Linking by code, in three stages (protocol/03 section 4): we say hello, the phone says hello once
 * the owner has typed the code, we finish; then pair-success comes as after a scan. */
#include "base/clock.h"
#include "wa/session_internal.h"

#define CODE_TTL_MS 180000
#define HELLOS_MAX 3 /* of the phone for one code */
#define CODES_MAX 3  /* on one connection */
#define PLATFORM_ID "1"
#define PLATFORM_SHOWN "Chrome (Linux)"

static struct wa_node *start(struct wa_session *s, const char *stage, struct wa_node **iq)
{
    struct wa_jid jid = wa_jid_make(WA_SERVER_PN, s->code.phone, 0);
    *iq = wa_session_query(s, "set", "md");
    struct wa_node *reg = wa_node_child(*iq, "link_code_companion_reg");
    wa_node_set_jid(reg, "jid", &jid);
    wa_node_set(reg, "stage", stage);
    return reg;
}

static void tell(struct wa_session *s, const char *shown, unsigned error)
{
    struct wa_event *ev = wa_session_emit(s, WA_EVENT_CODE);
    ev->u.code.shown = shown;
    ev->u.code.ttl_ms = shown ? CODE_TTL_MS : 0;
    ev->u.code.error = error;
}

static void give_up(struct wa_session *s, unsigned error)
{
    unsigned made = s->code.made;
    buf_wipe(&s->code, sizeof(s->code));
    s->code.made = made;
    s->code_until = CLOCK_NEVER;
    if (s->phase == WA_PHASE_PAIRING)
        tell(s, NULL, error);
}

void wa_linking_code_expire(struct wa_session *s)
{
    give_up(s, 0);
}

/* An answer to a code that was replaced in the meantime is of no use: arg says which it was. */
static void *which(const struct wa_session *s)
{
    return (void *)(uintptr_t)s->code.made;
}

/* ---- stage 1 -------------------------------------------------------------------------------- */

static void on_hello(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    struct bytes ref = wa_node_child_bytes(wa_node_find(answer, "link_code_companion_reg"),
                                           "link_code_pairing_ref");
    if (s->phase != WA_PHASE_PAIRING || arg != which(s))
        return;
    if (ref.n == 0 || ref.n > sizeof(s->code.ref)) {
        give_up(s, code ? code : 500);
        return;
    }
    memcpy(s->code.ref, ref.p, ref.n);
    s->code.ref_length = ref.n;
    wa_link_code_shown(s->code.shown, s->code.code);
    tell(s, s->code.shown, 0);
}

static void say_hello(struct wa_session *s)
{
    uint8_t wrapped[WA_LINK_WRAP_LEN], salt[WA_LINK_SALT_LEN], iv[16];
    struct wa_node *iq, *reg = start(s, "companion_hello", &iq);
    s->host->random(s->host->ctx, salt, sizeof(salt));
    s->host->random(s->host->ctx, iv, sizeof(iv));
    wa_link_wrap(wrapped, s->code.code, salt, iv, s->code.ephemeral.pub);
    wa_node_set(reg, "should_show_push_notification", "true");
    wa_node_child_data(reg, "link_code_pairing_wrapped_companion_ephemeral_pub",
                       BYTES_ARRAY(wrapped));
    wa_node_child_data(reg, "companion_server_auth_key_pub", BYTES_ARRAY(s->device.noise.pub));
    wa_node_child_data(reg, "companion_platform_id", bytes_text(PLATFORM_ID));
    wa_node_child_data(reg, "companion_platform_display", bytes_text(PLATFORM_SHOWN));
    wa_node_child_data(reg, "link_code_pairing_nonce", BYTES("\0", 1));
    wa_session_ask(s, iq, on_hello, which(s));
}

int wa_session_pair_code(struct wa_session *s, const char *phone)
{
    uint8_t random[5];
    if (s->phase != WA_PHASE_PAIRING || wa_linking_passkey_open(s))
        return ERR_STATE;
    if (wa_link_check_phone(phone) < 0)
        return ERR_INVALID;
    if (s->code.made == CODES_MAX)
        return ERR_LIMIT;
    s->code = (struct wa_linking_code){.made = s->code.made + 1};
    bytes_copy_text(bytes_text(phone), s->code.phone, sizeof(s->code.phone));
    wa_curve_generate(&s->code.ephemeral, s->host);
    s->host->random(s->host->ctx, random, sizeof(random));
    wa_link_code(s->code.code, random);
    s->code_until = wa_session_now(s) + CODE_TTL_MS;
    say_hello(s);
    return 0;
}

/* ---- stages 2 and 3 -------------------------------------------------------------------------- */

static void on_finished(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    if (!answer && s->phase == WA_PHASE_PAIRING && arg == which(s) && !wa_linking_passkey_open(s))
        give_up(s, code ? code : 500);
}

static void finish(struct wa_session *s, const uint8_t *wrapped, const uint8_t *phone_identity)
{
    uint8_t phone_ephemeral[WA_KEY_LEN], bundle[WA_LINK_BUNDLE_LEN];
    struct wa_link_random random;
    s->host->random(s->host->ctx, random.salt, sizeof(random.salt));
    s->host->random(s->host->ctx, random.nonce, sizeof(random.nonce));
    s->host->random(s->host->ctx, random.adv, sizeof(random.adv));
    wa_link_unwrap(phone_ephemeral, s->code.code, wrapped);
    int rc = wa_link_finish(bundle, s->device.adv_secret, &s->device.identity, &s->code.ephemeral,
                            phone_ephemeral, phone_identity, &random);
    buf_wipe(&random, sizeof(random));
    if (rc < 0)
        return;
    if (wa_device_save(&s->device, s->host) < 0) {
        wa_session_end_store(s);
        return;
    }
    struct wa_node *iq, *reg = start(s, "companion_finish", &iq);
    wa_node_child_data(reg, "link_code_pairing_wrapped_key_bundle", BYTES_ARRAY(bundle));
    wa_node_child_data(reg, "companion_identity_public", BYTES_ARRAY(s->device.identity.pub));
    wa_node_child_data(reg, "link_code_pairing_ref", BYTES(s->code.ref, s->code.ref_length));
    wa_session_ask(s, iq, on_finished, which(s));
    wa_linking_show_again(s);
}

/* The server wants another code to be shown; when it says so, only if the owner asks for it. */
static void refresh(struct wa_session *s, const struct wa_node *reg)
{
    char phone[sizeof(s->code.phone)];
    memcpy(phone, s->code.phone, sizeof(phone));
    if (wa_node_attr_is(reg, "force_manual_refresh", "true") || wa_session_pair_code(s, phone) < 0)
        give_up(s, 0);
}

void wa_linking_code_notification(struct wa_session *s, const struct wa_node *node)
{
    const struct wa_node *reg = wa_node_find(node, "link_code_companion_reg");
    struct bytes ref = wa_node_child_bytes(reg, "link_code_pairing_ref");
    struct bytes wrapped =
        wa_node_child_bytes(reg, "link_code_pairing_wrapped_primary_ephemeral_pub");
    struct bytes identity = wa_node_child_bytes(reg, "primary_identity_pub");
    if (s->phase != WA_PHASE_PAIRING || s->code.ref_length == 0 || wa_linking_passkey_open(s))
        return;
    if (wa_node_attr_is(reg, "stage", "refresh_code") && s->code.hellos == 0)
        refresh(s, reg);
    if (!wa_node_attr_is(reg, "stage", "primary_hello") ||
        !bytes_equal(ref, BYTES(s->code.ref, s->code.ref_length)) ||
        wrapped.n != WA_LINK_WRAP_LEN || identity.n != WA_KEY_LEN || s->code.hellos++ == HELLOS_MAX)
        return;
    finish(s, wrapped.p, identity.p);
}
