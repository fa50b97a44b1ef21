/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/route.h"

#include "base/text.h"
#include "sim/group.h"
#include "sim/media.h"
#include "sim/notify.h"
#include "wa/devices.h"

#define DEVICES_MAX (2 * (SIM_DEVICE_ID_MAX + 1))

/* A message on its way. */
struct transit {
    const struct sim_sender *from;
    const struct wa_node *message;
    struct wa_jid to;            /* as the sender wrote it */
    struct sim_account *account; /* of to */
    bool peer;
    struct sim_device *reached[DEVICES_MAX];
    size_t count;
};

/* ---- message: what each device gets -------------------------------------------------------------
 */

/* The name of the sender in the namespace of the stanza, and the other one beside it. */
static void put_sender(struct wa_node *out, const struct transit *t, bool own)
{
    const struct sim_account *a = t->from->device->account;
    struct wa_jid from = sim_device_jid(t->from->device, &t->to);
    bool lid = wa_jid_is_lid(&t->to);

    wa_node_set_jid(out, "from", &from);
    if (t->peer)
        return;
    if (own) {
        wa_node_set_jid(out, "recipient", &t->to);
        wa_node_set_jid(out, lid ? "peer_recipient_pn" : "peer_recipient_lid",
                        lid ? &t->account->pn : &t->account->lid);
    } else {
        wa_node_set_jid(out, lid ? "sender_pn" : "sender_lid", lid ? &a->pn : &a->lid);
        wa_node_set(out, "addressing_mode", lid ? "lid" : "pn");
    }
    wa_node_set_bytes(out, "notify", bytes_text(a->name));
}

/* Children that go along with the ciphertext; what is for the server alone stays behind. */
static void put_context(struct wa_node *out, const struct transit *t, const struct wa_node *enc)
{
    static const char *const kept[] = {"meta", "reporting", "biz", "bot"};

    for (const struct wa_node *n = t->message->first; n; n = n->next)
        for (size_t i = 0; i < ARRAY_LEN(kept); i++)
            if (wa_node_is(n, kept[i]))
                wa_node_append(out, sim_shallow(n));
    if (wa_node_attr_is(enc, "type", "pkmsg") && wa_node_find(t->message, "device-identity"))
        wa_node_append(out, sim_shallow(wa_node_find(t->message, "device-identity")));
}

static struct wa_node *build_delivery(const struct transit *t, const struct sim_device *to,
                                      const struct wa_node *enc)
{
    struct wa_node *out = wa_node_new(t->from->arena, "message");
    struct bytes type = wa_node_attr(t->message, "type");

    put_sender(out, t, to->account == t->from->device->account);
    wa_node_set_bytes(out, "id", wa_node_attr(t->message, "id"));
    wa_node_set_bytes(out, "type", type.n ? type : bytes_text("text"));
    wa_node_set_u64(out, "t", (uint64_t)sim_now_s());
    wa_node_copy_attr(out, t->message, "edit");
    wa_node_copy_attr(out, t->message, "category");
    wa_node_append(out, sim_shallow(enc));
    put_context(out, t, enc);
    return out;
}

static bool is_pairwise(const struct wa_node *enc)
{
    return wa_node_attr_is(enc, "type", "pkmsg") || wa_node_attr_is(enc, "type", "msg");
}

/* 0 or the error code for the ack. */
static const char *deliver_enc(struct transit *t, struct sim_device *to, const struct wa_node *enc)
{
    struct wa_node *out;

    if (!is_pairwise(enc) || enc->data.n == 0)
        return "479";
    if (wa_node_attr_is(enc, "type", "pkmsg") && !sim_device_is_primary(t->from->device) &&
        !wa_node_find(t->message, "device-identity"))
        sim_violation(t->from, wa_node_attr(t->message, "id"), "pkmsg without device-identity");
    for (size_t i = 0; i < t->count; i++)
        if (t->reached[i] == to)
            return "400";
    if (t->count == DEVICES_MAX)
        return "400";
    out = build_delivery(t, to, enc);
    if (sim_deliver(to, out, to->account == t->from->device->account) == 0)
        t->reached[t->count++] = to;
    return NULL;
}

/* ---- message: whom it reaches -------------------------------------------------------------------
 */

/* One namespace per stanza, each device once (protocol/06 section 1). All is looked at before
 * anything is delivered. */
static const char *check_fan_out(const struct transit *t, const struct wa_node *participants)
{
    struct wa_jid jid;

    for (const struct wa_node *n = wa_node_find(participants, "to"); n; n = wa_node_next(n, "to")) {
        const struct sim_account *a;

        if (!wa_node_attr_jid(n, "jid", &jid) || wa_jid_is_lid(&jid) != wa_jid_is_lid(&t->to))
            return "400";
        a = sim_account_by_jid(t->from->sim, &jid);
        if (a != t->account && a != t->from->device->account)
            return "400";
    }
    return NULL;
}

static const char *fan_out(struct transit *t, const struct wa_node *participants)
{
    const char *error = check_fan_out(t, participants);
    struct wa_jid jid;

    for (const struct wa_node *n = wa_node_find(participants, "to"); n && !error;
         n = wa_node_next(n, "to")) {
        struct sim_device *d;

        wa_node_attr_jid(n, "jid", &jid);
        d = sim_device_by_jid(t->from->sim, &jid);
        if (d && d != t->from->device)
            error = deliver_enc(t, d, wa_node_find(n, "enc"));
    }
    return error;
}

/* Without participants: a peer message to the own phone, or a resend to the one device that asked.
 */
static const char *single(struct transit *t)
{
    bool to_phone = t->peer && !sim_device_is_primary(t->from->device);
    struct sim_device *d = sim_device_find(t->account, to_phone ? 0 : t->to.device);
    struct wa_jid recipient;

    if (!d || d == t->from->device)
        return "406";
    if (wa_node_attr_jid(t->message, "recipient", &recipient)) {
        struct sim_account *a = sim_account_by_jid(t->from->sim, &recipient);

        if (a) {
            t->to = recipient;
            t->account = a;
        }
    }
    return deliver_enc(t, d, wa_node_find(t->message, "enc"));
}

static const char *route(struct transit *t)
{
    const struct wa_node *participants = wa_node_find(t->message, "participants");
    struct bytes id = wa_node_attr(t->message, "id");

    if (id.n == 0 || id.n > SIM_ID_MAX || !wa_node_attr_jid(t->message, "to", &t->to))
        return "400";
    t->account = sim_account_by_jid(t->from->sim, &t->to);
    if (!t->account) /* broadcasts included: there are none here */
        return wa_jid_is_user(&t->to) ? "404" : "403";
    t->peer = wa_node_attr_is(t->message, "category", "peer");
    if (t->peer && t->account != t->from->device->account)
        return "403";
    sim_account_meet(t->from->device->account, t->account);
    return participants ? fan_out(t, participants) : single(t);
}

/* ---- message: the ack ---------------------------------------------------------------------------
 */

/* The server's own idea of the device set, when the sender's was another: returns false if equal.
 */
static bool other_phash(const struct transit *t, char out[WA_PHASH_SIZE])
{
    const struct sim_account *sides[2] = {t->account, t->from->device->account};
    struct wa_jid all[DEVICES_MAX];
    size_t n = 0;

    for (size_t side = 0; side < (sides[0] == sides[1] ? 1 : 2); side++)
        for (const struct sim_device *d = sides[side]->devices; d && n < DEVICES_MAX; d = d->next)
            all[n++] = sim_device_jid(d, &t->to);
    if (n == t->count + 1) /* all but the sender itself */
        return false;
    wa_phash(out, all, n);
    return true;
}

static bool is_for_group(const struct wa_node *stanza)
{
    struct wa_jid to;

    return wa_node_attr_jid(stanza, "to", &to) && to.server == WA_SERVER_GROUP;
}

/* What the server does with the message: NULL or an error; the ack learns what it knows better. */
static const char *pass_on(struct transit *t, struct wa_node *ack)
{
    const char *error;
    char phash[WA_PHASH_SIZE];

    if (is_for_group(t->message))
        return sim_group_route(t->from, t->message, ack);
    error = route(t);
    if (!error && wa_node_find(t->message, "participants") && other_phash(t, phash))
        wa_node_set(ack, "phash", phash);
    return error;
}

/* The code that a fault wants the next message to be refused with, or NULL. */
static const char *refused(const struct sim_sender *from)
{
    return from->client && sim_fault_take(&from->client->faults, SIM_FAULT_ACK_ERROR)
               ? from->client->faults.ack_code
               : NULL;
}

/* With what a client vouches for itself, to whom it writes first (protocol/06 section 8.2). */
static void note_stranger_token(const struct sim_sender *from, const struct wa_node *message)
{
    struct wa_jid pn = sim_device_pn(from->device);
    const struct wa_node *token = wa_node_find(message, "cstoken");
    struct buf AUTO_BUF hex = {.max = 128};

    if (!token)
        return;
    text_hex_append(&hex, wa_node_data(token));
    sim_note(from->sim, "stranger_token", &pn, wa_node_attr(message, "id"), buf_text(&hex));
}

void sim_route_message(const struct sim_sender *from, struct wa_node *message)
{
    struct transit t = {.from = from, .message = message};
    struct bytes id = wa_node_attr(message, "id");
    struct wa_node *ack = wa_node_new(from->arena, "ack");
    struct wa_jid pn = sim_device_pn(from->device);
    const char *fault = refused(from), *error = fault ? fault : pass_on(&t, ack);

    if (error && !fault)
        sim_violation(from, id, error);
    if (from->client)
        sim_note(from->sim, "message_from_client", &pn, id, error ? error : "");
    note_stranger_token(from, message);
    if (from->client && sim_fault_take(&from->client->faults, SIM_FAULT_DROP_ACKS))
        return;
    wa_node_set(ack, "class", "message");
    wa_node_copy_attr(ack, message, "id");
    sim_copy_jid(ack, "from", message, "to");
    wa_node_set_u64(ack, "t", (uint64_t)sim_now_s());
    if (error)
        wa_node_set(ack, "error", error);
    sim_reply(from, ack);
}

/* ---- receipts -----------------------------------------------------------------------------------
 */

static struct wa_node *build_receipt(const struct sim_sender *from, const struct wa_node *receipt,
                                     const struct wa_jid *to)
{
    struct wa_node *out = wa_node_new(from->arena, "receipt");
    struct wa_jid sender = sim_device_jid(from->device, to);

    wa_node_set_jid(out, "from", &sender);
    wa_node_copy_attr(out, receipt, "id");
    wa_node_copy_attr(out, receipt, "type");
    wa_node_copy_attr(out, receipt, "recipient");
    wa_node_copy_attr(out, receipt, "category");
    wa_node_set_u64(out, "t", (uint64_t)sim_now_s());
    for (const struct wa_node *n = receipt->first; n; n = n->next)
        wa_node_append(out, sim_shallow(n));
    return out;
}

/* What a contact did with a message is for every device of its sender; a request for a resend, and
 * what an own device says, is for the one device that it names. */
static void forward_receipts(const struct sim_sender *from, const struct wa_node *receipt,
                             bool retry)
{
    struct wa_jid to;
    const struct sim_account *a;
    const struct wa_node *out;
    bool exact;

    if (!wa_node_attr_jid(receipt, "to", &to) || !(a = sim_account_by_jid(from->sim, &to)))
        return;
    exact = retry || a == from->device->account;
    out = build_receipt(from, receipt, &to);
    for (struct sim_device *d = a->devices; d; d = d->next)
        if (d != from->device && (d->id == to.device || !exact))
            sim_deliver(d, out, false);
}

static void take_over(const struct sim_sender *from, const struct wa_node *receipt)
{
    const struct wa_node *list = wa_node_find(receipt, "list");

    sim_queue_done(&from->device->queue, SIM_MESSAGE, wa_node_attr(receipt, "id"), true);
    for (const struct wa_node *n = wa_node_find(list, "item"); n; n = wa_node_next(n, "item"))
        sim_queue_done(&from->device->queue, SIM_MESSAGE, wa_node_attr(n, "id"), true);
}

static void ack_receipt(const struct sim_sender *from, const struct wa_node *receipt)
{
    struct wa_node *ack = wa_node_new(from->arena, "ack");

    wa_node_set(ack, "class", "receipt");
    wa_node_copy_attr(ack, receipt, "id");
    wa_node_copy_attr(ack, receipt, "type");
    sim_copy_jid(ack, "from", receipt, "to");
    sim_reply(from, ack);
}

void sim_route_receipt(const struct sim_sender *from, struct wa_node *receipt)
{
    struct bytes type = wa_node_attr(receipt, "type");
    struct wa_jid pn = sim_device_pn(from->device);
    bool retry = bytes_is(type, "retry");
    char detail[24] = "delivery";

    if (type.n)
        bytes_copy_text(type, detail, sizeof detail);
    if (from->client)
        sim_note(from->sim, "receipt", &pn, wa_node_attr(receipt, "id"), detail);
    if (retry)
        from->sim->stats.retries += from->client != NULL;
    else
        take_over(from, receipt);
    if (bytes_is(type, "server-error"))
        sim_media_again(from, receipt);
    if (is_for_group(receipt))
        sim_group_receipt(from, receipt);
    else if (!bytes_is(type, "server-error"))
        forward_receipts(from, receipt, retry);
    ack_receipt(from, receipt);
}
