/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/iq.h"
#include "sim/notify.h"

/* One user of the query: whom it is about, and what the answer calls them. */
struct subject {
    const struct sim_account *account; /* NULL: not on WhatsApp */
    struct wa_jid jid;
    struct bytes number; /* when asked by phone number */
};

/* ---- what is asked for --------------------------------------------------------------------------
 */

static void put_devices(struct wa_node *user, const struct subject *s)
{
    if (s->account)
        sim_devices_describe(wa_node_child(user, "devices"), s->account, &s->jid);
}

static void put_lid(struct wa_node *user, const struct subject *s)
{
    if (s->account)
        wa_node_set_jid(wa_node_child(user, "lid"), "val", &s->account->lid);
}

static void put_contact(struct wa_node *user, const struct subject *s)
{
    struct wa_node *contact = wa_node_child(user, "contact");

    wa_node_set(contact, "type", s->account ? "in" : "out");
    if (s->number.n)
        wa_node_set_data(contact, s->number);
}

static void put_status(struct wa_node *user, const struct subject *s)
{
    struct wa_node *status = wa_node_child(user, "status");

    (void)s;
    wa_node_set(status, "t", "0");
}

static void put_disappearing_mode(struct wa_node *user, const struct subject *s)
{
    struct wa_node *mode = wa_node_child(user, "disappearing_mode");

    (void)s;
    wa_node_set(mode, "duration", "0");
    wa_node_set(mode, "t", "0");
}

static void put_business(struct wa_node *user, const struct subject *s)
{
    if (s->account && s->account->business[0])
        wa_node_child(user, "business");
}

static const struct {
    const char *tag;
    void (*put)(struct wa_node *user, const struct subject *s);
} protocols[] = {
    {"devices", put_devices},   {"lid", put_lid},
    {"contact", put_contact},   {"status", put_status},
    {"business", put_business}, {"disappearing_mode", put_disappearing_mode},
};

/* ---- whom it is about ---------------------------------------------------------------------------
 */

static struct subject find_subject(struct sim *sim, const struct wa_node *user)
{
    struct subject s = {.account = NULL};
    struct bytes digits;
    char phone[WA_JID_USER_MAX + 1];

    if (wa_node_attr_jid(user, "jid", &s.jid)) {
        s.jid = wa_jid_bare(&s.jid);
        s.account = sim_account_by_jid(sim, &s.jid);
        return s;
    }
    s.number = wa_node_child_bytes(user, "contact");
    digits = s.number.n && s.number.p[0] == '+' ? BYTES(s.number.p + 1, s.number.n - 1) : s.number;
    if (digits.n && bytes_copy_text(digits, phone, sizeof phone)) {
        s.account = sim_account_by_phone(sim, phone);
        s.jid = wa_jid_make(WA_SERVER_PN, phone, 0);
    }
    return s;
}

static void answer_user(struct sim *sim, const struct wa_node *query, struct wa_node *list,
                        const struct wa_node *asked)
{
    struct subject s = find_subject(sim, asked);
    struct wa_node *user;

    if (!s.account && !wa_node_find(query, "contact"))
        return; /* the real service leaves out whom it does not know */
    user = wa_node_child(list, "user");
    if (!wa_jid_is_none(&s.jid))
        wa_node_set_jid(user, "jid", &s.jid);
    for (const struct wa_node *p = query->first; p; p = p->next)
        for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
            if (wa_node_is(p, protocols[i].tag))
                protocols[i].put(user, &s);
}

void sim_iq_usync(const struct sim_sender *from, struct wa_node *iq)
{
    const struct wa_node *usync = wa_node_find(iq, "usync"), *query = wa_node_find(usync, "query");
    const struct wa_node *n = wa_node_find(wa_node_find(usync, "list"), "user");
    struct wa_node *node, *out, *list;

    if (!query || query->content != WA_CONTENT_NODES) {
        sim_iq_error(from, iq, "400", "bad-request");
        return;
    }
    node = sim_iq_result(from, iq);
    out = wa_node_child(node, "usync");
    wa_node_copy_attr(out, usync, "sid");
    wa_node_copy_attr(out, usync, "mode");
    wa_node_copy_attr(out, usync, "context");
    wa_node_set(out, "index", "0");
    wa_node_set(out, "last", "true");
    wa_node_child(out, "result");
    list = wa_node_child(out, "list");
    for (; n; n = wa_node_next(n, "user"))
        answer_user(from->sim, query, list, n);
    sim_reply(from, node);
}
