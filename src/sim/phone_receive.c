/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "sim/load.h"
#include "sim/phone_internal.h"
#include "sim/stanza.h"

#define RETRIES_KEPT 1000

/* A message at hand. */
struct incoming {
    const struct wa_node *node;
    struct sim_device *sender;
    bool own, peer;      /* from an own companion; peer: protocol data */
    struct wa_jid group; /* or none */
    enum wa_enc_type type;
    const struct wa_node *enc;
};

/* ---- answers ------------------------------------------------------------------------------------
 */

static void send_ack(struct sim_phone *p, const struct wa_node *node)
{
    struct wa_node *ack = wa_node_new(node->arena, "ack");

    wa_node_set_bytes(ack, "class", node->tag);
    wa_node_copy_attr(ack, node, "id");
    sim_copy_jid(ack, "to", node, "from");
    wa_node_copy_attr(ack, node, "type");
    sim_stanza_from_phone(p->device, ack);
}

static struct wa_node *receipt_for(const struct incoming *m, const char *type)
{
    struct wa_node *receipt = wa_node_new(m->node->arena, "receipt");

    wa_node_copy_attr(receipt, m->node, "id");
    sim_copy_jid(receipt, "to", m->node, "from");
    wa_node_copy_attr(receipt, m->node, "participant");
    if (type)
        wa_node_set(receipt, "type", type);
    if (m->own && !m->peer)
        wa_node_copy_attr(receipt, m->node, "recipient");
    return receipt;
}

static void confirm(struct sim_phone *p, const struct incoming *m)
{
    const char *type = m->peer ? "peer_msg" : m->own ? "sender" : NULL;

    sim_stanza_from_phone(p->device, receipt_for(m, type));
}

static unsigned count_retry(struct sim_phone *p, const struct incoming *m)
{
    struct wa_jid from = sim_device_pn(m->sender);
    struct bytes id = wa_node_attr(m->node, "id");
    char key[SIM_ID_MAX + WA_JID_TEXT_SIZE + 2], text[WA_JID_TEXT_SIZE];
    struct sim_retry *retry;

    snprintf(key, sizeof key, "%.*s %s", (int)id.n, (const char *)id.p, wa_jid_text(&from, text));
    retry = sim_table_get(&p->retries, bytes_text(key));
    if (!retry) {
        if (p->retries.count >= RETRIES_KEPT)
            sim_table_deinit(&p->retries, free);
        retry = err_calloc(1, sizeof *retry);
        sim_table_put(&p->retries, bytes_text(key), retry);
    }
    return ++retry->count;
}

/* protocol/05 section 6.2: from the second time on with fresh keys. */
static void ask_again(struct sim_phone *p, const struct incoming *m, enum wa_signal_fault fault)
{
    unsigned count = count_retry(p, m);
    struct wa_node *receipt, *retry;

    if (count <= SIM_RETRIES_MAX) {
        receipt = receipt_for(m, "retry");
        if (m->peer)
            wa_node_set(receipt, "category", "peer");
        retry = wa_node_child(receipt, "retry");
        wa_node_set_u64(retry, "count", count);
        wa_node_copy_attr(retry, m->node, "id");
        wa_node_copy_attr(retry, m->node, "t");
        wa_node_set(retry, "v", "1");
        wa_node_set_u64(retry, "error", fault);
        wa_node_child_be(receipt, "registration", 4, p->creds.registration_id);
        if (count >= 2)
            wa_prekeys_build_retry_keys(receipt, &p->creds, &p->host);
        sim_stanza_from_phone(p->device, receipt);
    }
    send_ack(p, m->node);
}

/* ---- keeping ------------------------------------------------------------------------------------
 */

/* Of a message: its id and the user who sent it. */
static const char *seen_key(const char *id, const struct wa_jid *from,
                            char out[SIM_ID_MAX + WA_JID_TEXT_SIZE + 2])
{
    struct text_pen pen = text_pen(out, SIM_ID_MAX + WA_JID_TEXT_SIZE + 2);

    text_pen_text(&pen, id);
    text_pen_text(&pen, " ");
    text_pen_text(&pen, from->user);
    return out;
}

static void forget_arrival(struct sim_phone *p, struct sim_arrival *old)
{
    char key[SIM_ID_MAX + WA_JID_TEXT_SIZE + 2];

    if (sim_table_get(&p->seen, bytes_text(seen_key(old->id, &old->from, key))) == old)
        sim_table_remove(&p->seen, bytes_text(key));
    free(old->text);
    free(old->quoted);
}

/* The place of the next arrival, with what makes it another than those before. */
static struct sim_arrival *next_arrival(struct sim_phone *p, const struct incoming *m)
{
    struct sim_arrival *a, now = {.from = sim_device_pn(m->sender)};
    char key[SIM_ID_MAX + WA_JID_TEXT_SIZE + 2];

    bytes_copy_text(wa_node_attr(m->node, "id"), now.id, sizeof now.id);
    seen_key(now.id, &now.from, key);
    now.duplicate = sim_table_get(&p->seen, bytes_text(key)) != NULL;
    a = sim_ring_next(&p->arrivals);
    if (a->seq)
        forget_arrival(p, a);
    now.seq = p->arrivals.last;
    *a = now;
    sim_table_put(&p->seen, bytes_text(key), a);
    return a;
}

static void keep(struct sim_phone *p, const struct incoming *m, const struct wa_content *content)
{
    struct sim_arrival *a = next_arrival(p, m);
    struct wa_jid own = sim_device_pn(p->device);

    a->at_ms = clock_wall_ms();
    a->own = m->own;
    if (!wa_jid_is_none(&m->group))
        wa_jid_text(&m->group, a->to);
    else if (m->own && content->destination.n)
        bytes_copy_text(content->destination, a->to, sizeof a->to);
    else
        wa_jid_text(&own, a->to);
    a->text = bytes_strdup(content->text);
    a->quoted = content->quoted_id.n ? bytes_strdup(content->quoted_id) : NULL;
    a->expiration_s = content->expiration_s;
    a->kind = wa_kind_text(content->kind);
    a->enc = wa_enc_text(m->type);
    p->sim->activity++;
    sim_media_arrived(p->sim, bytes_text(a->id), &content->media);
    sim_load_arrival(p->sim->load, p->device->account, a);
}

/* ---- messages -----------------------------------------------------------------------------------
 */

static void read_plain(struct sim_phone *p, const struct incoming *m, struct bytes padded)
{
    struct wa_content content;

    if (wa_padding_remove(&padded) != 0 ||
        wa_message_parse(padded, m->node->arena, &content) != 0) {
        ask_again(p, m, WA_FAULT_UNKNOWN);
        return;
    }
    if (m->peer)
        sim_phone_peer_data(p, m->sender, wa_node_attr(m->node, "id"), &content);
    else
        keep(p, m, &content);
    confirm(p, m);
}

/* Before it is decrypted: a key that was used twice does not decrypt a second time. */
static void watch_keys(struct sim_phone *p, const struct incoming *m)
{
    struct wa_jid from = sim_device_lid(m->sender), to = sim_device_lid(p->device);
    struct wa_jid named = sim_device_pn(m->sender);

    if (!sim_reuse_look(&p->sim->reuse, &from, &to, m->type, m->enc->data))
        return;
    p->sim->stats.key_reuse++;
    sim_note(p->sim, "violation", &named, wa_node_attr(m->node, "id"), "message key used twice");
}

static void decrypt(struct sim_phone *p, const struct incoming *m)
{
    struct wa_jid peer = sim_phone_peer(m->sender), pn = sim_device_pn(p->device);
    enum wa_signal_fault fault = WA_FAULT_UNKNOWN;
    struct wa_content nothing = {.kind = WA_KIND_NONE};
    struct buf AUTO_BUF plain;
    int rc;

    buf_init(&plain, WA_ENC_MAX);
    watch_keys(p, m);
    rc = wa_signal_decrypt(p->signal, &peer, m->type, m->enc->data, &plain, &fault);
    if (rc == 0) {
        read_plain(p, m, buf_bytes(&plain));
    } else if (rc == 1) {
        if (!m->peer)
            keep(p, m, &nothing);
        confirm(p, m);
    } else {
        p->sim->stats.undecryptable++;
        sim_note(p->sim, "phone_cannot_decrypt", &pn, wa_node_attr(m->node, "id"),
                 wa_fault_text(fault));
        ask_again(p, m, fault);
    }
}

/* ---- groups -------------------------------------------------------------------------------------
 */

/* Opens one <enc>; what it says goes to *out when it is for a person. 0, 1 duplicate, negative. */
static int open_group_enc(struct sim_phone *p, struct incoming *m, struct wa_content *out,
                          enum wa_signal_fault *fault)
{
    struct wa_jid peer = sim_phone_peer(m->sender);
    struct wa_content content;
    struct bytes padded;
    struct buf AUTO_BUF plain;
    int rc;

    buf_init(&plain, WA_ENC_MAX);
    if (m->type == WA_ENC_SKMSG)
        rc = wa_signal_group_decrypt(p->signal, &m->group, &peer, m->enc->data, &plain, fault);
    else
        rc = wa_signal_decrypt(p->signal, &peer, m->type, m->enc->data, &plain, fault);
    padded = buf_bytes(&plain);
    if (rc == 0 && (rc = wa_padding_remove(&padded)) == 0)
        rc = wa_message_parse(arena_copy(m->node->arena, padded), m->node->arena, &content);
    if (rc != 0)
        return rc;
    if (content.skdm.n)
        wa_signal_process_skdm(p->signal, &m->group, &peer, content.skdm);
    if (content.kind != WA_KIND_NONE)
        *out = content;
    return 0;
}

static void on_group_message(struct sim_phone *p, struct incoming *m)
{
    struct wa_content content = {.kind = WA_KIND_NONE};
    enum wa_signal_fault fault = WA_FAULT_UNKNOWN;
    struct wa_jid pn = sim_device_pn(p->device);
    int rc = 0;

    for (; m->enc && rc >= 0; m->enc = wa_node_next(m->enc, "enc"))
        if (wa_enc_parse(wa_node_attr(m->enc, "type"), &m->type) == 0)
            rc = open_group_enc(p, m, &content, &fault);
    if (rc < 0) {
        sim_note(p->sim, "phone_cannot_decrypt", &pn, wa_node_attr(m->node, "id"),
                 wa_fault_text(fault));
        ask_again(p, m, fault);
        return;
    }
    keep(p, m, &content);
    confirm(p, m);
}

static void on_message(struct sim_phone *p, struct wa_node *node)
{
    struct incoming m = {.node = node, .enc = wa_node_find(node, "enc")};
    struct wa_jid from;

    if (wa_node_attr_jid(node, "from", &from) && from.server == WA_SERVER_GROUP) {
        m.group = from;
        wa_node_attr_jid(node, "participant", &from);
    }
    if (!(m.sender = sim_device_by_jid(p->sim, &from)) || !m.enc ||
        wa_enc_parse(wa_node_attr(m.enc, "type"), &m.type) != 0) {
        send_ack(p, node); /* the device was unlinked meanwhile */
        return;
    }
    m.own = m.sender->account == p->device->account;
    m.peer = wa_node_attr_is(node, "category", "peer");
    if (!wa_jid_is_none(&m.group)) {
        on_group_message(p, &m);
        return;
    }
    decrypt(p, &m);
}

/* ---- receipts -----------------------------------------------------------------------------------
 */

static void keep_receipt(struct sim_phone *p, const struct sim_device *from, struct bytes id,
                         struct bytes type)
{
    struct sim_phone_receipt *r = sim_ring_next(&p->receipts);

    r->seq = p->receipts.last;
    r->at_ms = clock_wall_ms();
    bytes_copy_text(id, r->id, sizeof r->id);
    r->from = sim_device_pn(from);
    bytes_copy_text(type.n ? type : bytes_text("delivery"), r->type, sizeof r->type);
    p->sim->activity++;
    sim_load_receipt(p->sim->load, r);
}

static void on_receipt(struct sim_phone *p, struct wa_node *node)
{
    const struct wa_node *list = wa_node_find(node, "list");
    struct bytes type = wa_node_attr(node, "type");
    const struct sim_device *d;
    struct wa_jid from;

    d = wa_node_attr_jid(node, "participant", &from) || wa_node_attr_jid(node, "from", &from)
            ? sim_device_by_jid(p->sim, &from)
            : NULL;
    if (d) {
        keep_receipt(p, d, wa_node_attr(node, "id"), type);
        for (const struct wa_node *n = wa_node_find(list, "item"); n; n = wa_node_next(n, "item"))
            keep_receipt(p, d, wa_node_attr(n, "id"), type);
    }
    send_ack(p, node);
    if (d && bytes_is(type, "retry"))
        sim_phone_resend(p, node);
}

void sim_phone_receive(struct sim_phone *p, struct wa_node *node)
{
    if (wa_node_is(node, "message"))
        on_message(p, node);
    else if (wa_node_is(node, "receipt"))
        on_receipt(p, node);
    else
        send_ack(p, node);
}
