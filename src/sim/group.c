/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/group.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/iq.h"
#include "sim/notify.h"

#define FIRST_NUMBER 120363000000000001ull

/* ---- who is in them ---------------------------------------------------------------------------
 */

struct sim_group *sim_group_create(struct sim_account *creator, const char *subject,
                                   bool pn_addressed)
{
    struct sim *s = creator->sim;
    struct sim_group *g = err_calloc(1, sizeof *g), **at = &s->groups;
    unsigned long long number = FIRST_NUMBER;

    for (; *at; at = &(*at)->next)
        number++;
    *at = g;
    g->sim = s;
    g->jid.server = WA_SERVER_GROUP;
    snprintf(g->jid.user, sizeof g->jid.user, "%llu", number);
    bytes_copy_text(bytes_text(subject), g->subject, sizeof g->subject);
    g->pn_addressed = pn_addressed;
    g->created_s = sim_now_s();
    g->creator = creator;
    g->members[g->count++] = creator;
    return g;
}

void sim_groups_free(struct sim *s)
{
    while (s->groups) {
        struct sim_group *g = s->groups;

        s->groups = g->next;
        free(g);
    }
}

struct sim_group *sim_group_by_jid(struct sim *s, const struct wa_jid *jid)
{
    struct sim_group *g = s->groups;

    while (g && !wa_jid_equal(&g->jid, jid))
        g = g->next;
    return g;
}

bool sim_group_has(const struct sim_group *g, const struct sim_account *a)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->members[i] == a)
            return true;
    return false;
}

const struct wa_jid *sim_group_like(const struct sim_group *g, const struct sim_account *a)
{
    return g->pn_addressed ? &a->pn : &a->lid;
}

/* ---- changes ----------------------------------------------------------------------------------
 */

static void put_participant(struct wa_node *parent, const struct sim_group *g,
                            const struct sim_account *a)
{
    struct wa_node *p = wa_node_child(parent, "participant");

    wa_node_set_jid(p, "jid", sim_group_like(g, a));
    wa_node_set_jid(p, g->pn_addressed ? "lid" : "phone_number",
                    g->pn_addressed ? &a->lid : &a->pn);
    if (a == g->creator)
        wa_node_set(p, "type", "superadmin");
}

static void put_timer(struct wa_node *parent, const struct sim_group *g)
{
    if (g->expiration_s)
        wa_node_set_u64(wa_node_child(parent, "ephemeral"), "expiration", g->expiration_s);
}

/* About somebody, or about the timer. */
static void tell(const struct sim_group *g, const char *what, const struct sim_account *about,
                 struct sim_account *whom)
{
    for (struct sim_device *d = whom->devices->next; d; d = d->next) {
        struct arena AUTO_ARENA arena;
        struct wa_node *n;

        arena_init(&arena);
        n = sim_notification(g->sim, &arena, "w:gp2", &g->jid);
        wa_node_set_jid(n, "participant", sim_group_like(g, g->creator));
        wa_node_set(n, "addressing_mode", g->pn_addressed ? "pn" : "lid");
        if (about)
            put_participant(wa_node_child(n, what), g, about);
        else if (g->expiration_s)
            put_timer(n, g);
        else
            wa_node_child(n, what);
        sim_deliver(d, n, false);
    }
}

static void tell_all(const struct sim_group *g, const char *what, const struct sim_account *about)
{
    for (size_t i = 0; i < g->count; i++)
        tell(g, what, about, g->members[i]);
}

int sim_group_add(struct sim_group *g, struct sim_account *a)
{
    if (sim_group_has(g, a))
        return ERR_EXISTS;
    if (g->count == SIM_GROUP_MEMBERS_MAX)
        return ERR_LIMIT;
    g->members[g->count++] = a;
    tell_all(g, "add", a);
    return 0;
}

int sim_group_remove(struct sim_group *g, struct sim_account *a)
{
    size_t i = 0;

    while (i < g->count && g->members[i] != a)
        i++;
    if (i == g->count)
        return ERR_EXISTS;
    tell_all(g, "remove", a);
    g->count--;
    memmove(&g->members[i], &g->members[i + 1], (g->count - i) * sizeof g->members[0]);
    return 0;
}

void sim_group_set_timer(struct sim_group *g, uint32_t expiration_s)
{
    g->expiration_s = expiration_s;
    tell_all(g, "not_ephemeral", NULL);
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static void describe(struct wa_node *parent, const struct sim_group *g)
{
    struct wa_node *group = wa_node_child(parent, "group");

    wa_node_set(group, "id", g->jid.user);
    wa_node_set(group, "subject", g->subject);
    wa_node_set_u64(group, "creation", (uint64_t)g->created_s);
    wa_node_set_u64(group, "s_t", (uint64_t)g->created_s);
    wa_node_set_jid(group, "creator", sim_group_like(g, g->creator));
    wa_node_set_u64(group, "size", g->count);
    wa_node_set(group, "addressing_mode", g->pn_addressed ? "pn" : "lid");
    put_timer(group, g);
    for (size_t i = 0; i < g->count; i++)
        put_participant(group, g, g->members[i]);
}

static void answer_with(const struct sim_sender *from, const struct wa_node *iq,
                        const struct sim_group *g)
{
    struct wa_node *node = sim_iq_result(from, iq);

    if (g)
        describe(node, g);
    sim_reply(from, node);
}

static void list_groups(const struct sim_sender *from, const struct wa_node *iq)
{
    struct wa_node *node = sim_iq_result(from, iq), *list = wa_node_child(node, "groups");

    for (const struct sim_group *g = from->sim->groups; g; g = g->next)
        if (sim_group_has(g, from->device->account))
            describe(list, g);
    sim_reply(from, node);
}

/* Each participant that is an account. */
static void change_members(const struct sim_sender *from, struct sim_group *g,
                           const struct wa_node *list,
                           int (*change)(struct sim_group *g, struct sim_account *a))
{
    const struct wa_node *p = wa_node_find(list, "participant");

    for (; p; p = wa_node_next(p, "participant")) {
        struct wa_jid jid;
        struct sim_account *a =
            wa_node_attr_jid(p, "jid", &jid) ? sim_account_by_jid(from->sim, &jid) : NULL;

        if (a)
            change(g, a);
    }
}

static void create(const struct sim_sender *from, const struct wa_node *iq,
                   const struct wa_node *create)
{
    char subject[SIM_NAME_MAX + 1];
    struct sim_group *g;

    bytes_copy_text(wa_node_attr(create, "subject"), subject, sizeof subject);
    g = sim_group_create(from->device->account, subject, from->device->account->pn_addressed);
    change_members(from, g, create, sim_group_add);
    answer_with(from, iq, g);
}

static void change_timer(struct sim_group *g, const struct wa_node *iq)
{
    uint64_t seconds = 0;

    if (wa_node_attr_u64(wa_node_find(iq, "ephemeral"), "expiration", &seconds) &&
        seconds <= UINT32_MAX)
        sim_group_set_timer(g, (uint32_t)seconds);
    if (wa_node_find(iq, "not_ephemeral"))
        sim_group_set_timer(g, 0);
}

static void leave(const struct sim_sender *from, const struct wa_node *list)
{
    const struct wa_node *n = wa_node_find(list, "group");

    for (; n; n = wa_node_next(n, "group")) {
        struct wa_jid jid;
        struct sim_group *g =
            wa_node_attr_jid(n, "id", &jid) ? sim_group_by_jid(from->sim, &jid) : NULL;

        if (g)
            sim_group_remove(g, from->device->account);
    }
}

void sim_iq_group(const struct sim_sender *from, struct wa_node *iq)
{
    const struct wa_node *left = wa_node_find(iq, "leave");
    struct wa_jid to;
    struct sim_group *g = wa_node_attr_jid(iq, "to", &to) ? sim_group_by_jid(from->sim, &to) : NULL;

    if (wa_node_find(iq, "participating")) {
        list_groups(from, iq);
    } else if (wa_node_find(iq, "create")) {
        create(from, iq, wa_node_find(iq, "create"));
    } else if (left) {
        leave(from, left);
        answer_with(from, iq, NULL);
    } else if (!g) {
        sim_iq_error(from, iq, "404", "item-not-found");
    } else if (!sim_group_has(g, from->device->account)) {
        sim_iq_error(from, iq, "403", "forbidden");
    } else if (wa_node_find(iq, "query")) {
        answer_with(from, iq, g);
    } else {
        change_members(from, g, wa_node_find(iq, "add"), sim_group_add);
        change_members(from, g, wa_node_find(iq, "remove"), sim_group_remove);
        change_timer(g, iq);
        answer_with(from, iq, NULL);
    }
}
