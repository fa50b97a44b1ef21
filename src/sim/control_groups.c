/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verbs of groups. */
#include "sim/control_verbs.h"

#include "sim/group.h"

static void write_group(struct json_writer *w, const struct sim_group *g)
{
    json_open(w, NULL, '{');
    sim_put_jid(w, "id", &g->jid);
    json_put_bytes(w, "subject", bytes_text(g->subject));
    json_put_text(w, "addressing", g->pn_addressed ? "pn" : "lid");
    json_put_int(w, "expiration", g->expiration_s);
    json_open(w, "members", '[');
    for (size_t i = 0; i < g->count; i++)
        json_put_text(w, NULL, g->members[i]->pn.user);
    json_close(w, ']');
    json_close(w, '}');
}

bool sim_get_groups(struct sim_request *r)
{
    struct json_writer w;

    sim_answer_begin(r, &w);
    json_open(&w, NULL, '{');
    json_open(&w, "groups", '[');
    for (const struct sim_group *g = r->sim->groups; g; g = g->next)
        write_group(&w, g);
    json_close(&w, ']');
    json_close(&w, '}');
    return true;
}

bool sim_post_group(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = sim_request_body(r, &doc);
    struct sim_account *creator =
        v ? sim_account_by_phone(r->sim, json_text(v, "creator", "")) : NULL;
    struct json_writer w;
    struct sim_group *g;

    if (!v)
        return true;
    if (!creator)
        return sim_refuse(r, 404, "creator is no account");
    g = sim_group_create(creator, json_text(v, "subject", ""),
                         strcmp(json_text(v, "addressing", "lid"), "pn") == 0);
    sim_answer_begin(r, &w);
    r->status = 201;
    write_group(&w, g);
    return true;
}

static struct sim_group *named_group(const struct sim_request *r)
{
    struct wa_jid jid;

    return wa_jid_parse(&jid, bytes_text(r->arg)) == 0 ? sim_group_by_jid(r->sim, &jid) : NULL;
}

/* One account joins or leaves. */
static bool change_group(struct sim_request *r,
                         int (*change)(struct sim_group *g, struct sim_account *a))
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = sim_request_body(r, &doc);
    struct sim_group *g = named_group(r);
    struct sim_account *a;

    if (!v)
        return true;
    a = sim_account_by_phone(r->sim, json_text(v, "phone", ""));
    if (!g || !a)
        return sim_refuse(r, 404, g ? "phone is no account" : "there is no such group");
    if (change(g, a) != 0)
        return sim_refuse(r, 409,
                          "it is in the group already, or is not in it, or the group is full");
    return sim_answer_ok(r);
}

bool sim_post_group_add(struct sim_request *r)
{
    return change_group(r, sim_group_add);
}

bool sim_post_group_remove(struct sim_request *r)
{
    return change_group(r, sim_group_remove);
}

bool sim_post_group_timer(struct sim_request *r)
{
    struct json_doc AUTO_DOC *doc = NULL;
    const struct json_value *v = sim_request_body(r, &doc);
    int64_t seconds = json_int(v, "expiration", -1);
    struct sim_group *g = named_group(r);

    if (!v)
        return true;
    if (!g)
        return sim_refuse(r, 404, "there is no such group");
    if (seconds < 0 || seconds > UINT32_MAX)
        return sim_refuse(r, 422, "expiration is missing, or no number of seconds");
    sim_group_set_timer(g, (uint32_t)seconds);
    return sim_answer_ok(r);
}
