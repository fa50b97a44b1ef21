/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verbs about the app state of an account: what is there, what its phone writes, and what the
 * server makes of it for companions. */
#include "sim/control_verbs.h"

#include "base/text.h"
#include "sim/app_state.h"

#define VALUE_MAX 8192

bool sim_get_app_state(struct sim_request *r)
{
    struct sim_account *a = sim_request_account(r);
    const struct sim_app_state *state;
    struct json_writer w;

    if (!a)
        return true;
    state = sim_app_state_of(a);
    sim_answer_begin(r, &w);
    json_open(&w, NULL, '{');
    json_open(&w, "collections", '[');
    for (size_t i = 0; i < SIM_COLLECTIONS; i++) {
        json_open(&w, NULL, '{');
        json_put_text(&w, "name", state->collections[i].name);
        json_put_int(&w, "version", (int64_t)state->collections[i].version);
        json_put_int(&w, "records", (int64_t)state->collections[i].records.count);
        json_close(&w, '}');
    }
    json_close(&w, ']');
    json_close(&w, '}');
    return true;
}

bool sim_post_app_state(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = sim_request_account(r);
    const struct json_value *v = a ? sim_request_body(r, &doc) : NULL;
    struct bytes hex = bytes_text(json_text(v, "value", ""));
    struct sim_state_action action = {.index = bytes_text(json_text(v, "index", "")),
                                      .remove = json_bool(v, "remove", false),
                                      .wrong = json_bool(v, "wrong", false)};
    uint8_t value[VALUE_MAX];
    struct sim_collection *c;

    if (!v)
        return true;
    c = sim_collection(sim_app_state_of(a), bytes_text(json_text(v, "collection", "")));
    if (!c)
        return sim_refuse(r, 404, "there is no such collection");
    if (hex.n / 2 > sizeof value || text_hex_decode(hex, value, hex.n / 2) != 0)
        return sim_refuse(r, 422, "value must be hexadecimal, at most 8192 bytes");
    action.value = BYTES(value, hex.n / 2);
    if (json_bool(v, "new_key", false) && sim_app_state_new_key(a) != 0)
        return sim_refuse(r, 409, "the phone has eight keys already");
    if (sim_app_state_write(a, c, &action) != 0)
        return sim_refuse(r, 422, "index and value are too long");
    return sim_answer_ok(r);
}

bool sim_post_app_state_rules(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = sim_request_account(r);
    const struct json_value *v = a ? sim_request_body(r, &doc) : NULL;
    const char *fault = json_text(v, "fault", "");
    struct sim_state_rules rules = {.kept = (uint32_t)json_int(v, "kept", 0),
                                    .per_answer = (uint32_t)json_int(v, "per_answer", 0),
                                    .external = json_bool(v, "external", false),
                                    .mute = json_bool(v, "mute", false),
                                    .quiet = json_bool(v, "quiet", false),
                                    .fault_left = (uint32_t)json_int(v, "count", 1)};
    struct sim_collection *frozen;

    if (!v)
        return true;
    if (!sim_state_fault_is_known(fault))
        return sim_refuse(r, 422, "unknown fault");
    bytes_copy_text(bytes_text(fault), rules.fault, sizeof rules.fault);
    if (!fault[0])
        rules.fault_left = 0;
    sim_app_state_of(a)->rules = rules;
    for (size_t i = 0; i < SIM_COLLECTIONS; i++)
        a->app_state->collections[i].frozen_version = 0;
    frozen = sim_collection(a->app_state, bytes_text(json_text(v, "freeze", "")));
    if (frozen)
        sim_app_state_freeze(frozen);
    return sim_answer_ok(r);
}
