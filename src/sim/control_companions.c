/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verbs about linked devices: unlinked, told something, given any stanza. */
#include "sim/control_verbs.h"

#include "sim/app_state.h"
#include "sim/login.h"
#include "sim/notify.h"
#include "sim/xml.h"

bool sim_post_unlink(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = sim_request_account(r);
    const struct json_value *v = a ? sim_request_body(r, &doc) : NULL;
    struct sim_device *d = v ? sim_request_companion(r, a, v) : NULL;

    if (!d)
        return true;
    sim_unlink(d);
    return sim_answer_ok(r);
}

bool sim_post_name(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = sim_request_account(r);
    const struct json_value *v = a ? sim_request_body(r, &doc) : NULL;
    const char *name = json_text(v, "name", "");

    if (!v)
        return true;
    if (!name[0] || strlen(name) > SIM_NAME_MAX)
        return sim_refuse(r, 422, "name is missing or too long");
    sim_app_state_rename(a, name);
    return sim_answer_ok(r);
}

bool sim_post_refill(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = sim_request_account(r);
    const struct json_value *v = a ? sim_request_body(r, &doc) : NULL;
    int64_t count = json_int(v, "count", 0);

    if (!v)
        return true;
    if (count < 0)
        return sim_refuse(r, 422, "count must not be negative");
    for (struct sim_device *d = a->devices->next; d; d = d->next)
        sim_notify_prekeys(d, (size_t)count);
    return sim_answer_ok(r);
}

/* Through the queue where the kind is one that is acknowledged, unless raw. */
static int give_stanza(struct sim_device *d, struct wa_node *node, bool raw)
{
    char id[24];

    if (!raw && sim_class_of(node->tag) != SIM_CLASS_COUNT) {
        if (!wa_node_attr(node, "id").p)
            wa_node_set(node, "id", sim_stanza_id(d->account->sim, id));
        return sim_deliver(d, node, false);
    }
    if (!d->client)
        return ERR_STATE;
    sim_client_send(d->client, node);
    return 0;
}

bool sim_post_stanza(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    struct sim_account *a = sim_request_account(r);
    const struct json_value *v = a ? sim_request_body(r, &doc) : NULL;
    struct sim_device *d = v ? sim_request_companion(r, a, v) : NULL;
    struct arena AUTO_ARENA arena;
    struct json_writer w;
    struct wa_node *node;
    struct err err;

    arena_init(&arena);
    if (!d)
        return true;
    if (sim_xml_parse(&node, &arena, bytes_text(json_text(v, "stanza", "")), &err) != 0)
        return sim_refuse_err(r, &err);
    if (give_stanza(d, node, json_bool(v, "raw", false)) != 0)
        return sim_refuse(r, 409, "the device is not connected, or its queue is full");
    sim_answer_begin(r, &w);
    json_open(&w, NULL, '{');
    json_put_bytes(&w, "id", wa_node_attr(node, "id"));
    json_close(&w, '}');
    return true;
}
