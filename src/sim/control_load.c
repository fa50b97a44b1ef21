/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verbs of generated load. */
#include "sim/control_verbs.h"

#include "sim/load.h"

bool sim_get_load(struct sim_request *r)
{
    struct json_writer w;

    sim_answer_begin(r, &w);
    json_open(&w, NULL, '{');
    sim_load_write(r->sim->load, &w);
    json_close(&w, '}');
    return true;
}

bool sim_post_load(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = sim_request_body(r, &doc);
    struct sim_load_spec spec = {.first = json_int(v, "first", 1),
                                 .contacts = json_int(v, "contacts", 1),
                                 .messages = json_int(v, "messages", 1),
                                 .rate = json_int(v, "rate", 0),
                                 .bytes = json_int(v, "bytes", 0),
                                 .window = json_int(v, "window", 0),
                                 .prefix = json_text(v, "prefix", "load"),
                                 .paired = json_bool(v, "paired", false)};
    struct err err;

    if (!v)
        return true;
    spec.to = sim_account_by_phone(r->sim, json_text(v, "to", ""));
    if (!spec.to)
        return sim_refuse(r, 404, "to is no account");
    if (sim_load_start(r->sim, &spec, &err) != 0)
        return sim_refuse_err(r, &err);
    return sim_get_load(r);
}
