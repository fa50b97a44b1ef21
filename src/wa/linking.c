/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Linking this device by QR, and unlinking it (protocol/03 sections 2 and 6). */
#include "base/clock.h"
#include "wa/pairing.h"
#include "wa/session_internal.h"

#define PAIRED_TIMEOUT_MS 10000
#define LOGOUT_TIMEOUT_MS 3000
#define FIRST_REF_MS 60000
#define NEXT_REF_MS 20000

/* ---- pairing --------------------------------------------------------------------------------- */

static void show_ref(struct wa_session *s, int64_t ttl)
{
    struct buf payload = {.max = 2048};
    size_t i = s->ref_index;
    if (wa_pairing_qr(&payload, BYTES(s->refs[i], s->ref_length[i]), &s->device) < 0) {
        wa_session_end(s, WA_CLOSE_PROTOCOL, "a pairing ref does not fit a QR");
    } else {
        struct wa_event *ev = wa_session_emit(s, WA_EVENT_QR);
        ev->u.qr.payload = arena_copy(&s->arena, buf_bytes(&payload));
        ev->u.qr.index = (unsigned)s->ref_index;
        ev->u.qr.ttl_ms = ttl;
        s->ref_until = wa_session_now(s) + ttl;
    }
    buf_deinit(&payload);
}

void wa_linking_refs(struct wa_session *s, const struct wa_node *iq, const struct wa_node *pair)
{
    wa_session_answer(s, iq);
    if (wa_device_is_paired(&s->device))
        return;
    s->ref_count = s->ref_index = 0;
    for (const struct wa_node *ref = wa_node_find(pair, "ref"); ref;
         ref = wa_node_next(ref, "ref")) {
        struct bytes data = wa_node_data(ref);
        if (data.n == 0 || data.n > WA_REF_MAX || s->ref_count == WA_REFS_MAX)
            continue;
        memcpy(s->refs[s->ref_count], data.p, data.n);
        s->ref_length[s->ref_count++] = data.n;
    }
    if (s->ref_count == 0) {
        wa_session_end(s, WA_CLOSE_PROTOCOL, "the server sent no usable pairing ref");
        return;
    }
    s->phase = WA_PHASE_PAIRING;
    s->phase_until = CLOCK_NEVER;
    if (!wa_linking_passkey_open(s)) /* then the owner is past the QR, and its secret must stay */
        show_ref(s, FIRST_REF_MS);
}

void wa_linking_rotate(struct wa_session *s)
{
    if (++s->ref_index < s->ref_count) {
        show_ref(s, NEXT_REF_MS);
        return;
    }
    if (s->code_until != CLOCK_NEVER) { /* the owner may be typing it */
        s->ref_until = s->code_until + 1;
        return;
    }
    s->ref_until = CLOCK_NEVER;
    wa_session_end(s, WA_CLOSE_PAIRING_TIMEOUT, "all %zu pairing codes ran out unscanned",
                   s->ref_count);
}

void wa_linking_show_again(struct wa_session *s)
{
    if (s->ref_index < s->ref_count && s->ref_until != CLOCK_NEVER)
        show_ref(s, s->ref_until - wa_session_now(s));
}

/* A scan was broken off on the phone: the old code must not work any more (protocol/03
 * section 2.1). */
void wa_linking_renew(struct wa_session *s)
{
    /* Not while the phone is at work with the present one: by code, or behind a passkey. */
    if (s->phase != WA_PHASE_PAIRING || s->code.hellos > 0 || wa_linking_passkey_open(s))
        return;
    s->host->random(s->host->ctx, s->device.adv_secret, WA_ADV_SECRET_LEN);
    if (wa_device_save(&s->device, s->host) < 0)
        wa_session_end_store(s);
    else
        wa_linking_show_again(s);
}

static void refuse_pairing(struct wa_session *s, const struct wa_node *iq,
                           const struct wa_pair_result *result, const struct err *err)
{
    struct wa_node *answer = wa_session_stanza(s, "iq");
    wa_node_set_jid(answer, "to", &(struct wa_jid){.server = WA_SERVER_PN});
    wa_node_copy_attr(answer, iq, "id");
    wa_node_set(answer, "type", "error");
    struct wa_node *error = wa_node_child(answer, "error");
    wa_node_set(error, "code", result->error_code ? result->error_code : "500");
    wa_node_set(error, "text", result->error_text ? result->error_text : "internal-error");
    wa_session_put(s, answer);
    if (wa_linking_passkey_open(s))
        wa_linking_passkey_fail(s, WA_PASSKEY_HMAC, 0);
    else
        wa_session_end(s, WA_CLOSE_PAIRING_REFUSED, "%s", err->text);
}

static void take_account(struct wa_device *d, const struct wa_node *success,
                         const struct wa_jid *pn, const struct wa_jid *lid)
{
    d->pn = *pn;
    d->lid = *lid;
    d->login_count = 0;
    d->prekeys_uploaded = false;
    bytes_copy_text(wa_node_attr(wa_node_find(success, "platform"), "name"), d->platform,
                    sizeof(d->platform));
    bytes_copy_text(wa_node_attr(wa_node_find(success, "biz"), "name"), d->business_name,
                    sizeof(d->business_name));
}

static void confirm_pairing(struct wa_session *s, const struct wa_node *iq,
                            const struct wa_pair_result *result)
{
    struct wa_node *answer = wa_session_stanza(s, "iq");
    wa_node_set_jid(answer, "to", &(struct wa_jid){.server = WA_SERVER_PN});
    wa_node_copy_attr(answer, iq, "id");
    wa_node_set(answer, "type", "result");
    struct wa_node *sign = wa_node_child(answer, "pair-device-sign");
    struct wa_node *identity =
        wa_node_child_data(sign, "device-identity", BYTES(result->answer, result->answer_len));
    wa_node_set_u64(identity, "key-index", result->key_index);
    wa_session_put(s, answer);
}

void wa_linking_success(struct wa_session *s, const struct wa_node *iq,
                        const struct wa_node *success)
{
    if (s->phase != WA_PHASE_PAIRING)
        return;
    const struct wa_node *device = wa_node_find(success, "device");
    struct wa_jid pn, lid, primary;
    struct wa_pair_result result = {0};
    struct err err = {0};
    struct bytes identity = wa_node_child_bytes(success, "device-identity");
    int rc = 0;
    if (!wa_node_attr_jid(device, "jid", &pn) || !wa_jid_is_pn(&pn) || pn.device == 0)
        rc = err_set(&err, ERR_INVALID, "pair-success names no device of ours");
    if (!wa_node_attr_jid(device, "lid", &lid) || !wa_jid_is_lid(&lid))
        lid = (struct wa_jid){0};
    if (rc == 0)
        rc = wa_pairing_accept(&s->device, identity, s->host, &result, &err);
    if (rc < 0) {
        refuse_pairing(s, iq, &result, &err);
        return;
    }
    take_account(&s->device, success, &pn, &lid);
    primary = wa_jid_bare(wa_jid_is_none(&lid) ? &pn : &lid);
    if (wa_device_save(&s->device, s->host) < 0 ||
        wa_signal_set_identity(s->signal, &primary, result.account_key) < 0) {
        wa_session_end_store(s);
        return;
    }
    confirm_pairing(s, iq, &result);
    s->ref_until = s->code_until = CLOCK_NEVER;
    wa_linking_passkey_clear(s);
    s->phase = WA_PHASE_PAIRED;
    s->phase_until = wa_session_now(s) + PAIRED_TIMEOUT_MS;
    wa_session_emit_account(s, WA_EVENT_PAIRED);
}

/* ---- logout ---------------------------------------------------------------------------------- */

static void on_logged_out(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    (void)arg;
    (void)answer;
    (void)code;
    wa_session_end(ctx, WA_CLOSE_LOGGED_OUT, "unlinked on request");
}

int wa_session_logout(struct wa_session *s)
{
    if (s->phase != WA_PHASE_ONLINE)
        return ERR_STATE;
    struct wa_node *iq = wa_session_query(s, "set", "md");
    struct wa_node *remove = wa_node_child(iq, "remove-companion-device");
    wa_node_set_jid(remove, "jid", &s->device.pn);
    wa_node_set(remove, "reason", "user_initiated");
    s->logging_out = true;
    s->phase_until = wa_session_now(s) + LOGOUT_TIMEOUT_MS;
    wa_session_ask(s, iq, on_logged_out, NULL);
    return 0;
}
