/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every verb of the control interface does alike: it reads its path, query and body, and
 * answers or refuses. */
#include "sim/control_verbs.h"

#include "base/clock.h"
#include "base/text.h"

#define WAIT_MAX_MS 300000

bool sim_refuse(struct sim_request *r, int status, const char *sentence)
{
    struct json_writer w;

    buf_clear(&r->answer);
    json_writer_init(&w, &r->answer);
    json_open(&w, NULL, '{');
    json_put_text(&w, "error", sentence);
    json_close(&w, '}');
    r->status = status;
    return true;
}

bool sim_refuse_err(struct sim_request *r, const struct err *err)
{
    int status = err->code == ERR_NOT_FOUND ? 404 : err->code == ERR_EXISTS ? 409 : 422;

    return sim_refuse(r, status, err->text);
}

bool sim_answer_ok(struct sim_request *r)
{
    r->status = 200;
    buf_append_text(&r->answer, "{\"ok\":true}");
    return true;
}

void sim_answer_begin(struct sim_request *r, struct json_writer *w)
{
    buf_clear(&r->answer);
    json_writer_init(w, &r->answer);
    r->status = 200;
}

struct bytes sim_request_parameter(const struct sim_request *r, const char *name)
{
    size_t n = strlen(name);

    for (const char *at = r->query; at && *at; at = strchr(at, '&')) {
        if (*at == '&')
            at++;
        if (strncmp(at, name, n) == 0 && at[n] == '=')
            return BYTES(at + n + 1, strcspn(at + n + 1, "&"));
    }
    return BYTES_NONE;
}

int64_t sim_request_number(const struct sim_request *r, const char *name)
{
    uint64_t v = 0;

    return bytes_to_u64(sim_request_parameter(r, name), &v) && v <= INT64_MAX ? (int64_t)v : 0;
}

bool sim_request_keep_waiting(struct sim_request *r, int64_t wait_ms)
{
    int64_t now = clock_mono_ms();

    if (!r->waiting) {
        r->waiting = true;
        r->deadline_ms = now + (wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS);
    }
    return now < r->deadline_ms;
}

struct sim_account *sim_request_account(struct sim_request *r)
{
    struct sim_account *a = sim_account_by_phone(r->sim, r->arg);

    if (!a)
        sim_refuse(r, 404, "there is no such account");
    return a;
}

struct sim_device *sim_request_companion(struct sim_request *r, const struct sim_account *a,
                                         const struct json_value *v)
{
    int64_t id = json_int(v, "device", 0);
    struct sim_device *d =
        id > 0 && id <= SIM_DEVICE_ID_MAX ? sim_device_find(a, (uint16_t)id) : NULL;

    if (!d)
        sim_refuse(r, 404, "there is no such companion");
    return d;
}

const struct json_value *sim_request_body(struct sim_request *r, struct json_doc **doc)
{
    struct err err;

    if (json_doc_open(doc, buf_bytes(&r->body), &err) != 0) {
        *doc = NULL;
        sim_refuse(r, 400, err.text);
        return NULL;
    }
    if (!json_value_is_object(json_root(*doc))) {
        sim_refuse(r, 400, "the body must be a JSON object");
        return NULL;
    }
    return json_root(*doc);
}

void sim_close_doc(struct json_doc **doc)
{
    if (*doc)
        json_doc_close(*doc);
}

void sim_put_jid(struct json_writer *w, const char *key, const struct wa_jid *jid)
{
    char text[WA_JID_TEXT_SIZE];

    json_put_text(w, key, wa_jid_text(jid, text));
}
