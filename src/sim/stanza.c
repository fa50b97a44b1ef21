/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/stanza.h"

#include "base/log.h"
#include "base/text.h"
#include "sim/iq.h"
#include "sim/notify.h"
#include "sim/phone.h"
#include "sim/route.h"

#define PRINT_DATA_MAX 32
#define PRINT_MAX 4000

/* ---- small stanzas ------------------------------------------------------------------------------
 */

/* <ack class>: the device took a stanza over. */
static void on_ack(const struct sim_sender *from, struct wa_node *node)
{
    enum sim_class class = sim_class_of(wa_node_attr(node, "class"));
    struct bytes id = wa_node_attr(node, "id"), error = wa_node_attr(node, "error");
    struct wa_jid pn;
    char detail[32];
    struct text_pen pen = text_pen(detail, sizeof detail);

    if (class == SIM_CLASS_COUNT) /* nothing waits for it */
        return;
    if (!from->device) { /* nothing is queued for it */
        sim_note(from->sim, "ack", NULL, id, "unpaired");
        return;
    }
    sim_queue_done(&from->device->queue, class, id, class != SIM_MESSAGE || error.n);
    if (!from->client)
        return;
    pn = sim_device_pn(from->device);
    text_pen_text(&pen, sim_class_text(class));
    text_pen_text(&pen, error.n ? " " : "");
    text_pen_put(&pen, BYTES(error.p, error.n > 8 ? 8 : error.n));
    sim_note(from->sim, "ack", &pn, id, detail);
}

static void on_presence(const struct sim_sender *from, struct wa_node *node)
{
    bool available = wa_node_attr_is(node, "type", "available");
    struct wa_jid pn = sim_device_pn(from->device);

    if (!available && !wa_node_attr_is(node, "type", "unavailable"))
        return;
    if (from->client)
        from->client->available = available;
    sim_note(from->sim, "presence", &pn, BYTES_NONE, available ? "available" : "unavailable");
}

/* <chatstate to> goes to the companions of the other side that are on screen. */
static void on_chatstate(const struct sim_sender *from, struct wa_node *node)
{
    struct wa_jid to, sender, pn = sim_device_pn(from->device);
    const struct sim_account *a;
    const char *state = wa_node_find(node, "composing") ? "composing" : "paused";
    struct wa_node *out;

    if (!wa_node_attr_jid(node, "to", &to) || !(a = sim_account_by_jid(from->sim, &to)))
        return;
    sim_note(from->sim, "chatstate", &pn, BYTES_NONE, state);
    sender = sim_account_jid(from->device->account, &to);
    out = wa_node_new(from->arena, "chatstate");
    wa_node_set_jid(out, "from", &sender);
    wa_node_child(out, state);
    for (struct sim_device *d = a->devices; d; d = d->next)
        if (d->client && d->client->available)
            sim_client_send(d->client, out);
}

static void on_ib(const struct sim_sender *from, struct wa_node *node)
{
    const struct wa_node *batch = wa_node_find(node, "offline_batch");
    uint64_t count;

    if (batch && from->client && wa_node_attr_u64(batch, "count", &count))
        sim_client_offline_batch(from->client, count);
}

/* A call to a simulated account is answered by nobody. */
static void on_call(const struct sim_sender *from, struct wa_node *node)
{
    struct wa_node *ack = wa_node_new(from->arena, "ack");

    wa_node_set(ack, "class", "call");
    wa_node_copy_attr(ack, node, "id");
    sim_copy_jid(ack, "from", node, "to");
    sim_reply(from, ack);
}

/* ---- dispatch -----------------------------------------------------------------------------------
 */

static const struct {
    const char *tag;
    void (*fn)(const struct sim_sender *from, struct wa_node *node);
    bool linked; /* only from a linked device */
} table[] = {
    {"iq", sim_iq, false},
    {"message", sim_route_message, true},
    {"receipt", sim_route_receipt, true},
    {"ack", on_ack, false},
    {"presence", on_presence, true},
    {"chatstate", on_chatstate, true},
    {"ib", on_ib, true},
    {"call", on_call, true},
};

static void print(const char *what, const struct wa_node *node)
{
    struct buf AUTO_BUF text;

    buf_init(&text, PRINT_MAX);
    wa_node_print(node, &text, PRINT_DATA_MAX);
    log_event(LOG_DEBUG, what, LOG_BYTES("stanza", buf_bytes(&text)));
}

static void dispatch(const struct sim_sender *from, struct wa_node *node)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (!wa_node_is(node, table[i].tag))
            continue;
        if (table[i].linked && !from->device)
            sim_violation(from, BYTES_NONE, "a stanza before login");
        else
            table[i].fn(from, node);
        return;
    }
    sim_violation(from, wa_node_attr(node, "id"), "unknown stanza");
}

void sim_stanza_from_client(struct sim_client *c, struct wa_node *node)
{
    struct sim_sender from = {.sim = c->sim, .device = c->device, .client = c, .arena = &c->arena};

    if (c->sim->log_stanzas)
        print("sim_received", node);
    if (wa_node_is(node, "xmlstreamend"))
        sim_client_end(c, "the client ended the stream");
    else
        dispatch(&from, node);
}

void sim_stanza_from_phone(struct sim_device *primary, struct wa_node *node)
{
    struct sim_sender from = {
        .sim = primary->account->sim, .device = primary, .arena = node->arena};

    dispatch(&from, node);
}

void sim_copy_jid(struct wa_node *node, const char *key, const struct wa_node *from,
                  const char *from_key)
{
    struct wa_jid jid;

    if (wa_node_attr_jid(from, from_key, &jid))
        wa_node_set_jid(node, key, &jid);
}

void sim_reply(const struct sim_sender *from, const struct wa_node *node)
{
    if (from->client)
        sim_client_send(from->client, node);
    else if (from->device)
        sim_phone_direct(from->device->account->phone, node);
}

void sim_violation(const struct sim_sender *from, struct bytes id, const char *what)
{
    struct wa_jid pn = from->device ? sim_device_pn(from->device) : (struct wa_jid){.device = 0};

    log_event(LOG_WARN, "sim_violation", LOG_STR("what", what));
    sim_note(from->sim, "violation", from->device ? &pn : NULL, id, what);
}

struct wa_node *sim_shallow(const struct wa_node *node)
{
    struct wa_node *copy = arena_alloc(node->arena, sizeof *copy);

    *copy = *node;
    copy->next = NULL;
    return copy;
}
