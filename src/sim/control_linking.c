/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verbs that link a companion, as the owner with a phone does: a scan, a typed code, a passkey. */
#include "sim/control_verbs.h"

#include "sim/authenticator.h"
#include "sim/gate.h"
#include "sim/typing.h"

static bool begin_scan(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = sim_request_account(r);
    const struct json_value *v = a ? sim_request_body(r, &doc) : NULL;
    const char *qr = json_text(v, "qr", NULL);
    struct err err;

    if (!v)
        return true;
    if (!qr)
        return sim_refuse(r, 422, "qr is missing");
    if (sim_scan_begin(a, bytes_text(qr), &r->scan, &err) != 0)
        return sim_refuse_err(r, &err);
    if (!r->scan) {
        r->status = 202;
        buf_append_text(&r->answer, "{\"passkey\":\"wanted\"}");
        return true;
    }
    return !sim_request_keep_waiting(r, SIM_SCAN_TIMEOUT_MS);
}

bool sim_post_scan(struct sim_request *r)
{
    struct json_writer w;
    struct wa_jid pn, lid;

    if (!r->scan)
        return begin_scan(r);
    if (r->scan->client)
        return sim_request_keep_waiting(r, 0)
                   ? false
                   : sim_refuse(r, 408, "the companion did not answer in time");
    if (r->scan->err.code != 0)
        return sim_refuse_err(r, &r->scan->err);
    pn = wa_jid_with_device(&r->scan->account->pn, r->scan->device_id);
    lid = wa_jid_with_device(&r->scan->account->lid, r->scan->device_id);
    sim_answer_begin(r, &w);
    json_open(&w, NULL, '{');
    sim_put_jid(&w, "device", &pn);
    sim_put_jid(&w, "lid", &lid);
    json_close(&w, '}');
    return true;
}

bool sim_post_link_code(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = sim_request_account(r);
    const struct json_value *v = a ? sim_request_body(r, &doc) : NULL;
    struct err err;

    if (!v)
        return true;
    if (sim_typing_type(a, json_text(v, "code", ""), &err) != 0)
        return sim_refuse_err(r, &err);
    return sim_answer_ok(r);
}

bool sim_post_refresh_code(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = sim_request_account(r);
    const struct json_value *v = a ? sim_request_body(r, &doc) : NULL;
    struct err err;

    if (!v)
        return true;
    if (sim_typing_refresh(a, json_bool(v, "by_hand", false), &err) != 0)
        return sim_refuse_err(r, &err);
    return sim_answer_ok(r);
}

bool sim_post_passkey(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = sim_request_account(r);
    const struct json_value *v = a ? sim_request_body(r, &doc) : NULL;

    if (!v)
        return true;
    a->gate = (struct sim_gate_rules){.on = json_bool(v, "gate", true),
                                      .no_options = json_bool(v, "no_options", false),
                                      .no_continuation = json_bool(v, "no_continuation", false),
                                      .bad_continuation = json_bool(v, "bad_continuation", false)};
    bytes_copy_text(bytes_text(json_text(v, "refuse", "")), a->gate.refuse, sizeof a->gate.refuse);
    if (!a->authenticator)
        a->authenticator = sim_authenticator_new(&r->sim->random);
    return sim_answer_ok(r);
}

bool sim_get_passkey(struct sim_request *r)
{
    struct sim_account *a = sim_request_account(r);
    struct json_writer w;

    if (!a)
        return true;
    sim_answer_begin(r, &w);
    json_open(&w, NULL, '{');
    json_put_bool(&w, "gate", a->gate.on);
    json_put_text(&w, "code", sim_gate_code(a)[0] ? sim_gate_code(a) : NULL);
    json_close(&w, '}');
    return true;
}

/* The owner's browser, on a page of WhatsApp's. */
bool sim_post_assert(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = sim_request_account(r);
    const struct json_value *v = a ? sim_request_body(r, &doc) : NULL;
    struct json_writer w;

    if (!v)
        return true;
    if (!a->authenticator)
        return sim_refuse(r, 404, "this account has no passkey");
    sim_answer_begin(r, &w);
    json_open(&w, NULL, '{');
    if (sim_authenticator_use(a->authenticator, json_get(v, "public_key"),
                              json_text(v, "origin", "https://web.whatsapp.com"), &w,
                              "credential") != 0)
        return sim_refuse(r, 422, "public_key has no challenge");
    json_close(&w, '}');
    return true;
}
