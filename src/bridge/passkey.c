/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The passkey step between session and portal (protocol/08 section 13): passkey.json out,
 * control/passkey-response.json in. Neither challenge, credential nor code is ever logged. */
#include "bridge/bridge_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"

#define ATTEMPTS_MAX 3

static bool belongs(enum bridge_state state)
{
    return state == BRIDGE_PASSKEY || state == BRIDGE_CONFIRM;
}

bool bridge_passkey_open(const struct bridge *b)
{
    return belongs(b->lifecycle);
}

/* ---- out ------------------------------------------------------------------------------------ */

static void want(struct bridge *b)
{
    b->passkey.due = true;
    b->passkey.remove_due = false;
    bridge_status_want(b, BRIDGE_PUBLISH_DURABLE);
}

static void make_request_id(struct bridge *b)
{
    AUTO_BUF struct buf text;
    uint8_t random[16];
    buf_init(&text, sizeof(b->passkey.request_id));
    random_bytes(random, sizeof(random));
    text_hex_append(&text, BYTES_ARRAY(random));
    bytes_copy_text(buf_bytes(&text), b->passkey.request_id, sizeof(b->passkey.request_id));
}

void bridge_passkey_event(struct bridge *b, const struct wa_event *ev)
{
    struct bridge_passkey *p = &b->passkey;
    enum wa_passkey_phase phase = ev->u.passkey.phase;
    int64_t now = clock_wall_ms();
    b->rounds = 0;
    p->phase = phase;
    p->error = WA_PASSKEY_OK;
    p->confirm = ev->u.passkey.confirm;
    p->expires_at = ev->u.passkey.ttl_ms > 0 ? now + ev->u.passkey.ttl_ms : 0;
    bytes_copy_text(bytes_text(ev->u.passkey.code), p->code, sizeof(p->code));
    if (ev->u.passkey.fresh) {
        make_request_id(b);
        p->issued_at = now;
        p->handoff_expires_at =
            ev->u.passkey.handoff_ttl_ms > 0 ? now + ev->u.passkey.handoff_ttl_ms : 0;
        buf_clear(&p->options);
        buf_append(&p->options, ev->u.passkey.options);
    }
    log_event(LOG_INFO, "passkey", LOG_STR("request_id", p->request_id),
              LOG_STR("phase", wa_passkey_phase_name(phase)));
    bridge_apply(b, phase >= WA_PASSKEY_AWAIT_OWNER ? BRIDGE_ON_CONFIRM : BRIDGE_ON_PASSKEY);
    want(b);
}

void bridge_passkey_state(struct bridge *b, enum bridge_state next)
{
    struct bridge_passkey *p = &b->passkey;
    if (!bridge_passkey_open(b) || belongs(next))
        return;
    buf_deinit(&p->options);
    buf_wipe(p->code, sizeof(p->code));
    p->request_id[0] = '\0';
    p->error = WA_PASSKEY_OK;
    p->due = false;
    p->remove_due = true;
}

void bridge_passkey_publish(struct bridge *b)
{
    const struct bridge_passkey *p = &b->passkey;
    bool asking = b->lifecycle == BRIDGE_PASSKEY;
    struct volume_passkey doc = {
        .state = bridge_state_session(b->lifecycle),
        .phase = wa_passkey_phase_name(p->phase),
        .request_id = p->request_id,
        .issued_at = p->issued_at,
        .expires_at = p->expires_at,
        .handoff_expires_at = asking ? p->handoff_expires_at : 0,
        .public_key = asking ? buf_bytes(&p->options) : BYTES_NONE,
        .code = p->code[0] ? p->code : NULL,
        .confirm_required = p->confirm,
    };
    struct err err;
    if (p->error != WA_PASSKEY_OK) {
        doc.error_code = wa_passkey_error_name(p->error);
        doc.error_detail = wa_passkey_error_advice(p->error);
        doc.error_at = p->error_at;
    }
    b->passkey.due = volume_passkey_publish(&doc, &b->volume, &err) < 0;
    if (b->passkey.due)
        bridge_status_error(b, "passkey_not_published", "%s", err.text);
}

void bridge_passkey_remove(struct bridge *b)
{
    struct err err;
    b->passkey.remove_due = volume_passkey_remove(&b->volume, &err) < 0;
    if (b->passkey.remove_due)
        log_event(LOG_ERROR, "passkey_not_removed", LOG_STR("error", err.text));
}

/* ---- the end of an attempt ------------------------------------------------------------------ */

enum bridge_event bridge_passkey_failed(struct bridge *b, enum wa_passkey_error e, int64_t wait_s,
                                        const char *particulars)
{
    bool last = ++b->passkey.failures >= ATTEMPTS_MAX;
    bridge_status_error(b, wa_passkey_error_name(e), "%s%s (%s)", wa_passkey_error_advice(e),
                        last ? " That was the third attempt: no QR is shown until one is asked "
                               "for (control/pair)."
                             : "",
                        particulars);
    b->wait_ms = wait_s * 1000;
    return last ? BRIDGE_ON_GIVE_UP : wait_s > 0 ? BRIDGE_ON_PAUSE : BRIDGE_ON_PASSKEY_FAILED;
}

void bridge_passkey_begin_anew(struct bridge *b)
{
    b->passkey.failures = 0;
}

/* ---- in ------------------------------------------------------------------------------------- */

static enum wa_passkey_error do_assert(struct bridge *b, const struct json_value *answer)
{
    return wa_session_passkey_assert(b->session, json_get(answer, "credential"));
}

static enum wa_passkey_error do_confirm(struct bridge *b, const struct json_value *answer)
{
    return wa_session_passkey_confirm(b->session, json_text(answer, "code", ""));
}

static enum wa_passkey_error do_reject(struct bridge *b, const struct json_value *answer)
{
    (void)answer;
    return wa_session_passkey_reject(b->session);
}

static enum wa_passkey_error do_cancel(struct bridge *b, const struct json_value *answer)
{
    (void)answer;
    return wa_session_passkey_cancel(b->session);
}

static enum wa_passkey_error act(struct bridge *b, const struct json_value *answer)
{
    static const struct {
        const char *action;
        enum wa_passkey_error (*run)(struct bridge *b, const struct json_value *answer);
    } table[] = {{"assert", do_assert},
                 {"confirm", do_confirm},
                 {"reject", do_reject},
                 {"cancel", do_cancel}};
    const char *action = json_text(answer, "action", "");
    if (!json_value_is_object(answer) || json_int(answer, "v", 0) != 1)
        return WA_PASSKEY_MALFORMED;
    if (!bridge_passkey_open(b) || !b->session ||
        strcmp(json_text(answer, "request_id", ""), b->passkey.request_id) != 0)
        return WA_PASSKEY_STALE;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (strcmp(table[i].action, action) == 0)
            return table[i].run(b, answer);
    return WA_PASSKEY_MALFORMED;
}

void bridge_passkey_response(struct bridge *b, const struct volume_control_request *r)
{
    enum wa_passkey_error e = act(b, volume_control_content(b->control));
    if (e == WA_PASSKEY_OK) {
        bridge_commands_answer(b, r, "done", NULL, NULL);
    } else {
        bridge_commands_answer(b, r, "refused", wa_passkey_error_name(e),
                               wa_passkey_error_advice(e));
    }
    if (bridge_passkey_open(b)) {
        b->passkey.error = e;
        b->passkey.error_at = clock_wall_ms();
        want(b);
    }
    bridge_touch(b);
}
