/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verbs of accounts: made, listed. */
#include "sim/control_verbs.h"

bool sim_post_account(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = sim_request_body(r, &doc);
    struct sim_account_spec spec = {.phone = json_text(v, "phone", NULL),
                                    .name = json_text(v, "name", ""),
                                    .lid = json_text(v, "lid", NULL),
                                    .business = json_text(v, "business", NULL)};
    const char *addressing = json_text(v, "addressing", "lid");
    struct sim_account *a;
    struct json_writer w;
    struct err err;

    if (!v)
        return true;
    if (strcmp(addressing, "lid") != 0 && strcmp(addressing, "pn") != 0)
        return sim_refuse(r, 422, "addressing must be \"lid\" or \"pn\"");
    spec.pn_addressed = strcmp(addressing, "pn") == 0;
    if (sim_account_create(r->sim, &spec, &a, &err) != 0)
        return sim_refuse_err(r, &err);
    sim_answer_begin(r, &w);
    r->status = 201;
    json_open(&w, NULL, '{');
    json_put_text(&w, "phone", a->pn.user);
    sim_put_jid(&w, "pn", &a->pn);
    sim_put_jid(&w, "lid", &a->lid);
    json_put_bytes(&w, "name", bytes_text(a->name));
    json_close(&w, '}');
    return true;
}

static void write_account(struct json_writer *w, const struct sim_account *a)
{
    json_open(w, NULL, '{');
    json_put_text(w, "phone", a->pn.user);
    sim_put_jid(w, "pn", &a->pn);
    sim_put_jid(w, "lid", &a->lid);
    json_put_bytes(w, "name", bytes_text(a->name));
    json_open(w, "devices", '[');
    for (const struct sim_device *d = a->devices; d; d = d->next) {
        struct wa_jid jid = sim_device_pn(d);

        json_open(w, NULL, '{');
        json_put_int(w, "id", d->id);
        sim_put_jid(w, "jid", &jid);
        json_put_bool(w, "connected", d->client || sim_device_is_primary(d));
        json_put_int(w, "queued", (int64_t)d->queue.count);
        json_put_int(w, "prekeys", (int64_t)d->keys.count);
        json_close(w, '}');
    }
    json_close(w, ']');
    json_close(w, '}');
}

bool sim_get_accounts(struct sim_request *r)
{
    struct json_writer w;

    sim_answer_begin(r, &w);
    json_open(&w, NULL, '{');
    json_open(&w, "accounts", '[');
    for (const struct sim_account *a = r->sim->accounts; a; a = a->next)
        write_account(&w, a);
    json_close(&w, ']');
    json_close(&w, '}');
    return true;
}
