/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/iq.h"

#include "sim/app_state.h"
#include "sim/gate.h"
#include "sim/group.h"

#include "sim/login.h"
#include "sim/media.h"
#include "sim/notify.h"
#include "sim/phone.h"
#include "sim/scan.h"
#include "sim/typing.h"

/* ---- answers ------------------------------------------------------------------------------------
 */

static struct wa_node *answer(const struct sim_sender *from, const struct wa_node *iq,
                              const char *type)
{
    struct wa_jid server = wa_jid_make(WA_SERVER_PN, "", 0), to;
    struct wa_node *node = wa_node_new(from->arena, "iq");

    if (!wa_node_attr_jid(iq, "to", &to))
        to = server;
    wa_node_set_jid(node, "from", &to);
    wa_node_copy_attr(node, iq, "id");
    wa_node_set(node, "type", type);
    return node;
}

struct wa_node *sim_iq_result(const struct sim_sender *from, const struct wa_node *iq)
{
    return answer(from, iq, "result");
}

void sim_iq_error(const struct sim_sender *from, const struct wa_node *iq, const char *code,
                  const char *text)
{
    struct wa_node *node = answer(from, iq, "error"), *error = wa_node_child(node, "error");

    wa_node_set(error, "code", code);
    wa_node_set(error, "text", text);
    sim_reply(from, node);
}

static void iq_empty(const struct sim_sender *from, struct wa_node *iq)
{
    sim_reply(from, sim_iq_result(from, iq));
}

/* ---- session ------------------------------------------------------------------------------------
 */

static void iq_ping(const struct sim_sender *from, struct wa_node *iq)
{
    struct wa_node *node = sim_iq_result(from, iq);

    wa_node_set_u64(node, "t", (uint64_t)sim_now_s());
    sim_reply(from, node);
}

static void iq_passive(const struct sim_sender *from, struct wa_node *iq)
{
    bool passive = wa_node_find(iq, "passive") != NULL;
    struct sim_device *d = from->device;
    struct wa_jid pn = sim_device_pn(d);

    sim_reply(from, sim_iq_result(from, iq));
    sim_note(from->sim, passive ? "passive" : "active", &pn, BYTES_NONE, NULL);
    if (from->client)
        sim_client_set_passive(from->client, passive);
    if (!passive && !d->greeted && !sim_device_is_primary(d)) {
        d->greeted = true;
        sim_phone_greet(d->account->phone, d);
    }
}

static void iq_companion(const struct sim_sender *from, struct wa_node *iq)
{
    const struct wa_node *remove = wa_node_find(iq, "remove-companion-device");
    struct wa_jid jid;
    struct sim_device *d;

    if (sim_typing_iq(from, iq) || sim_gate_iq(from, iq))
        return;
    if (!remove) {
        sim_iq_error(from, iq, "452", "feature-not-available");
        return;
    }
    d = wa_node_attr_jid(remove, "jid", &jid) ? sim_device_by_jid(from->sim, &jid) : NULL;
    if (!d || !from->device || sim_device_is_primary(d) || d->account != from->device->account) {
        sim_iq_error(from, iq, "404", "item-not-found");
        return;
    }
    sim_reply(from, sim_iq_result(from, iq));
    sim_unlink(d);
}

/* ---- settings and directories, as empty as may be -----------------------------------------------
 */

static void iq_props(const struct sim_sender *from, struct wa_node *iq)
{
    struct wa_node *node = sim_iq_result(from, iq), *props = wa_node_child(node, "props");

    wa_node_set(props, "protocol", "1");
    wa_node_set(props, "ab_key", "sim");
    wa_node_set(props, "hash", "sim");
    wa_node_set(props, "refresh", "86400");
    sim_reply(from, node);
}

static void iq_blocklist(const struct sim_sender *from, struct wa_node *iq)
{
    struct wa_node *node = sim_iq_result(from, iq);

    wa_node_set(wa_node_child(node, "list"), "dhash", "sim");
    sim_reply(from, node);
}

/* <tokens><token jid t/></tokens>: ours are handed on to whom they are for. */
static void issue_tokens(const struct sim_sender *from, const struct wa_node *tokens)
{
    for (const struct wa_node *n = wa_node_find(tokens, "token"); n; n = wa_node_next(n, "token")) {
        struct sim_account *to;
        struct wa_jid jid;
        uint64_t t;

        if (!wa_node_attr_jid(n, "jid", &jid) || !wa_node_attr_u64(n, "t", &t))
            continue;
        to = sim_account_by_jid(from->sim, &jid);
        if (to)
            sim_notify_privacy_token(from->device->account, to, t);
    }
}

static void iq_privacy(const struct sim_sender *from, struct wa_node *iq)
{
    static const char *const names[] = {"readreceipts", "last",     "online",  "profile",
                                        "status",       "groupadd", "calladd", "messages"};
    struct wa_node *node = sim_iq_result(from, iq), *privacy;

    if (wa_node_find(iq, "tokens"))
        issue_tokens(from, wa_node_find(iq, "tokens"));
    if (wa_node_attr_is(iq, "type", "get")) {
        privacy = wa_node_child(node, "privacy");
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            struct wa_node *category = wa_node_child(privacy, "category");

            wa_node_set(category, "name", names[i]);
            wa_node_set(category, "value", "all");
        }
    }
    sim_reply(from, node);
}

static void iq_app_state(const struct sim_sender *from, struct wa_node *iq)
{
    struct wa_node *node = sim_iq_result(from, iq), *sync = wa_node_child(node, "sync");
    const struct wa_node *n = wa_node_find(wa_node_find(iq, "sync"), "collection");

    for (; n; n = wa_node_next(n, "collection")) {
        struct wa_node *collection = wa_node_child(sync, "collection");

        wa_node_copy_attr(collection, n, "name");
        sim_app_state_answer(from, n, collection);
    }
    sim_reply(from, node);
}

static void iq_media(const struct sim_sender *from, struct wa_node *iq)
{
    struct wa_node *node = sim_iq_result(from, iq), *conn = wa_node_child(node, "media_conn");

    wa_node_set(conn, "auth", SIM_MEDIA_AUTH);
    wa_node_set_u64(conn, "ttl", from->sim->media_ttl_s);
    wa_node_set(conn, "auth_ttl", "21600");
    wa_node_set(conn, "max_buckets", "12");
    for (size_t i = 0; i < SIM_MEDIA_HOSTS && from->sim->media_hosts[i][0]; i++) {
        struct wa_node *host = wa_node_child(conn, "host");

        wa_node_set(host, "hostname", from->sim->media_hosts[i]);
        wa_node_set(host, "type", i == 0 ? "primary" : "fallback");
    }
    sim_reply(from, node);
}

static void iq_mex(const struct sim_sender *from, struct wa_node *iq)
{
    struct wa_node *node = sim_iq_result(from, iq);

    wa_node_child_data(node, "result", bytes_text("{\"data\":{}}"));
    sim_reply(from, node);
}

static void iq_nothing_there(const struct sim_sender *from, struct wa_node *iq)
{
    sim_iq_error(from, iq, "404", "item-not-found");
}

/* ---- dispatch -----------------------------------------------------------------------------------
 */

/* A namespace that is not here: a get is refused, a set is taken for done. */
static const struct {
    const char *xmlns;
    void (*fn)(const struct sim_sender *from, struct wa_node *iq);
    bool linked; /* only from a linked device */
} table[] = {
    {"w:p", iq_ping, false},
    {"urn:xmpp:ping", iq_ping, false},
    {"md", iq_companion, false},
    {"passive", iq_passive, true},
    {"encrypt", sim_iq_encrypt, true},
    {"usync", sim_iq_usync, true},
    {"abt", iq_props, true},
    {"w", iq_props, true},
    {"privacy", iq_privacy, true},
    {"blocklist", iq_blocklist, true},
    {"w:g2", sim_iq_group, true},
    {"w:sync:app:state", iq_app_state, true},
    {"w:m", iq_media, true},
    {"w:mex", iq_mex, true},
    {"w:profile:picture", iq_nothing_there, true},
    {"w:biz", iq_nothing_there, true},
    {"newsletter", iq_nothing_there, true},
    {"tos", iq_empty, true},
    {"w:stats", iq_empty, true},
    {"urn:xmpp:whatsapp:push", iq_empty, true},
    {"urn:xmpp:whatsapp:dirty", iq_empty, true},
};

static void request(const struct sim_sender *from, struct wa_node *iq)
{
    struct bytes xmlns = wa_node_attr(iq, "xmlns");

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (!bytes_is(xmlns, table[i].xmlns))
            continue;
        if (table[i].linked && !from->device)
            sim_iq_error(from, iq, "401", "not-authorized");
        else
            table[i].fn(from, iq);
        return;
    }
    if (wa_node_attr_is(iq, "type", "get"))
        sim_iq_error(from, iq, "501", "feature-not-implemented");
    else
        iq_empty(from, iq);
}

void sim_iq(const struct sim_sender *from, struct wa_node *iq)
{
    struct sim_registration *g = from->client ? from->client->registration : NULL;
    struct bytes type = wa_node_attr(iq, "type");

    if (bytes_is(type, "get") || bytes_is(type, "set"))
        request(from, iq);
    else if (g && g->scan && bytes_is(wa_node_attr(iq, "id"), g->scan->iq_id))
        sim_scan_answer(g->scan, iq);
}
