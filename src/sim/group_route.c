/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a group's members get of a message: the ciphertext under the sender's key, and before it the
 * key, for whom the sender put one in. */
#include <stdio.h>

#include "sim/group.h"
#include "sim/notify.h"
#include "wa/devices.h"

/* A message on its way to a group. */
struct passage {
    const struct sim_sender *from;
    const struct wa_node *message;
    struct sim_group *group;
    unsigned keys; /* devices that got one */
};

/* The author of a stanza under both its names. */
static void put_author(struct wa_node *out, const struct sim_group *g, const struct sim_device *d)
{
    struct wa_jid jid = sim_device_jid(d, sim_group_like(g, d->account));
    const struct sim_account *a = d->account;

    wa_node_set_jid(out, "from", &g->jid);
    wa_node_set_jid(out, "participant", &jid);
    wa_node_set_jid(out, g->pn_addressed ? "participant_lid" : "participant_pn",
                    g->pn_addressed ? &a->lid : &a->pn);
}

static void deliver(struct passage *p, struct sim_device *to, const struct wa_node *pairwise,
                    const struct wa_node *enc)
{
    struct wa_node *out = wa_node_new(p->from->arena, "message");
    struct bytes type = wa_node_attr(p->message, "type");

    put_author(out, p->group, p->from->device);
    wa_node_set(out, "addressing_mode", p->group->pn_addressed ? "pn" : "lid");
    wa_node_set_bytes(out, "notify", bytes_text(p->from->device->account->name));
    wa_node_set_bytes(out, "id", wa_node_attr(p->message, "id"));
    wa_node_set_bytes(out, "type", type.n ? type : bytes_text("text"));
    wa_node_set_u64(out, "t", (uint64_t)sim_now_s());
    wa_node_copy_attr(out, p->message, "edit");
    if (pairwise)
        wa_node_append(out, sim_shallow(pairwise));
    if (enc)
        wa_node_append(out, sim_shallow(enc));
    if (pairwise && wa_node_find(p->message, "device-identity"))
        wa_node_append(out, sim_shallow(wa_node_find(p->message, "device-identity")));
    p->keys += pairwise != NULL;
    sim_deliver(to, out, to->account == p->from->device->account);
}

/* The key for one device, when the sender put it in. */
static const struct wa_node *key_for(const struct passage *p, const struct sim_device *d)
{
    const struct wa_node *n = wa_node_find(wa_node_find(p->message, "participants"), "to");
    struct wa_jid jid;

    for (; n; n = wa_node_next(n, "to"))
        if (wa_node_attr_jid(n, "jid", &jid) && sim_device_by_jid(p->from->sim, &jid) == d)
            return wa_node_find(n, "enc");
    return NULL;
}

/* Members alone, each in the namespace of the group. */
static const char *check_keys(const struct passage *p)
{
    const struct wa_node *n = wa_node_find(wa_node_find(p->message, "participants"), "to");
    struct wa_jid jid;

    for (; n; n = wa_node_next(n, "to")) {
        const struct sim_account *a;

        if (!wa_node_attr_jid(n, "jid", &jid) || wa_jid_is_lid(&jid) == p->group->pn_addressed)
            return "400";
        a = sim_account_by_jid(p->from->sim, &jid);
        if (!a || !sim_group_has(p->group, a))
            return "400";
        if (wa_node_attr_is(wa_node_find(n, "enc"), "type", "pkmsg") &&
            !sim_device_is_primary(p->from->device) && !wa_node_find(p->message, "device-identity"))
            sim_violation(p->from, wa_node_attr(p->message, "id"), "pkmsg without device-identity");
    }
    return NULL;
}

/* The one device that asked again gets it alone. */
static const char *again(struct passage *p, const struct wa_jid *participant)
{
    struct sim_device *d = sim_device_by_jid(p->from->sim, participant);

    if (!d || !sim_group_has(p->group, d->account))
        return "406";
    deliver(p, d, wa_node_find(p->message, "enc"), NULL);
    return NULL;
}

static const char *fan_out(struct passage *p)
{
    const struct wa_node *enc = wa_node_find(p->message, "enc");
    const char *error = check_keys(p);

    if (!error && (!wa_node_attr_is(enc, "type", "skmsg") || enc->data.n == 0))
        error = "479";
    for (size_t i = 0; i < p->group->count && !error; i++)
        for (struct sim_device *d = p->group->members[i]->devices; d; d = d->next)
            if (d != p->from->device)
                deliver(p, d, key_for(p, d), enc);
    return error;
}

/* The server's own idea of the devices, when the sender's is another. */
static void compare_phash(const struct passage *p, struct wa_node *ack)
{
    char phash[WA_PHASH_SIZE];
    struct wa_jid *all = NULL;
    size_t n = 0, room = 0;

    for (size_t i = 0; i < p->group->count; i++)
        for (struct sim_device *d = p->group->members[i]->devices; d; d = d->next) {
            if (n == room)
                all = err_realloc(all, (room = room ? 2 * room : 64) * sizeof *all);
            all[n++] = sim_device_jid(d, sim_group_like(p->group, d->account));
        }
    wa_phash(phash, all, n);
    free(all);
    if (!wa_node_attr_is(p->message, "phash", phash))
        wa_node_set(ack, "phash", phash);
}

const char *sim_group_route(const struct sim_sender *from, const struct wa_node *message,
                            struct wa_node *ack)
{
    struct passage p = {.from = from, .message = message};
    struct bytes mode = wa_node_attr(message, "addressing_mode");
    struct wa_jid to, participant, pn = sim_device_pn(from->device);
    const char *error, *want;
    char keys[32];

    wa_node_attr_jid(message, "to", &to);
    p.group = sim_group_by_jid(from->sim, &to);
    if (!p.group || !sim_group_has(p.group, from->device->account))
        return p.group ? "403" : "404";
    want = p.group->pn_addressed ? "pn" : "lid";
    if (mode.n && !bytes_is(mode, want)) {
        wa_node_set(ack, "addressing_mode", want);
        return "421";
    }
    if (wa_node_attr_jid(message, "participant", &participant))
        return again(&p, &participant);
    error = fan_out(&p);
    if (error)
        return error;
    compare_phash(&p, ack);
    snprintf(keys, sizeof keys, "%u", p.keys);
    sim_note(from->sim, "group_keys", &pn, wa_node_attr(message, "id"), keys);
    return NULL;
}

void sim_group_receipt(const struct sim_sender *from, const struct wa_node *receipt)
{
    bool retry = wa_node_attr_is(receipt, "type", "retry");
    struct wa_jid to, participant;
    const struct sim_account *author;
    struct sim_group *g;

    if (!wa_node_attr_jid(receipt, "to", &to) || !(g = sim_group_by_jid(from->sim, &to)) ||
        !wa_node_attr_jid(receipt, "participant", &participant) ||
        !(author = sim_account_by_jid(from->sim, &participant)))
        return;
    for (struct sim_device *d = author->devices; d; d = d->next) {
        struct wa_node *out = wa_node_new(from->arena, "receipt");

        if (d == from->device || (retry && d->id != participant.device))
            continue;
        put_author(out, g, from->device);
        wa_node_copy_attr(out, receipt, "id");
        wa_node_copy_attr(out, receipt, "type");
        wa_node_set_u64(out, "t", (uint64_t)sim_now_s());
        for (const struct wa_node *n = receipt->first; n; n = n->next)
            wa_node_append(out, sim_shallow(n));
        sim_deliver(d, out, false);
    }
}
