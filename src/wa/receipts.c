/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Receipt stanzas in: what became of our messages, and requests to send one again (protocol/05
 * section 13, protocol/06 section 11). */
#include "base/text.h"
#include "wa/session_internal.h"

/* ---- what became of our messages -------------------------------------------------------------
 */

static void emit_receipt(struct wa_session *s, enum wa_receipt_type type, const struct bytes *ids,
                         size_t count, const struct wa_jid *from, uint64_t t)
{
    struct wa_event *ev = wa_session_emit(s, WA_EVENT_RECEIPT);
    ev->u.receipt.type = type;
    ev->u.receipt.ids = ids;
    ev->u.receipt.count = count;
    ev->u.receipt.from = *from;
    ev->u.receipt.timestamp_s = (int64_t)(t & INT64_MAX);
}

/* 0 and the type; ERR_UNSUPPORTED for one that says nothing about our messages. */
static int receipt_type(struct bytes type, enum wa_receipt_type *out)
{
    if (type.n == 0 || bytes_is(type, "inactive"))
        *out = WA_RECEIPT_DELIVERED;
    else if (bytes_is(type, "read"))
        *out = WA_RECEIPT_READ;
    else if (bytes_is(type, "played"))
        *out = WA_RECEIPT_PLAYED;
    else
        return ERR_UNSUPPORTED;
    return 0;
}

/* The id of the stanza, then those of its <list>. In the arena. */
static size_t receipt_ids(struct wa_session *s, const struct wa_node *node, struct bytes **out)
{
    const struct wa_node *first = wa_node_find(wa_node_find(node, "list"), "item"), *item;
    size_t room = 1, count = 0;
    for (item = first; item; item = wa_node_next(item, "item"))
        room++;
    *out = arena_alloc(&s->arena, room * sizeof(**out));
    (*out)[count++] = wa_node_attr(node, "id");
    for (item = first; item; item = wa_node_next(item, "item"))
        (*out)[count++] = wa_node_attr(item, "id");
    return count;
}

/* One message, and what several members of a group did with it: the first of them counts. */
static void take_grouped(struct wa_session *s, const struct wa_node *participants,
                         const struct wa_jid *chat, struct bytes stanza_type)
{
    struct bytes *id = arena_alloc(&s->arena, sizeof(*id));
    *id = wa_node_attr(participants, "key");
    if (id->n == 0)
        *id = wa_node_attr(participants, "message_id");
    const struct wa_node *user = wa_node_find(participants, "user");
    for (; user && id->n > 0; user = wa_node_next(user, "user")) {
        struct bytes own = wa_node_attr(user, "type");
        enum wa_receipt_type type;
        struct wa_jid jid;
        uint64_t t = 0;
        if (!wa_node_attr_jid(user, "jid", &jid) || wa_device_is_own(&s->device, &jid) ||
            receipt_type(own.p ? own : stanza_type, &type) < 0)
            continue;
        wa_node_attr_u64(user, "t", &t);
        emit_receipt(s, type, id, 1, chat, t);
    }
}

static void take_receipt(struct wa_session *s, const struct wa_node *node,
                         const struct wa_jid *from, const struct wa_jid *device)
{
    struct bytes type_text = wa_node_attr(node, "type"), *ids;
    const struct wa_node *participants = wa_node_find(node, "participants");
    enum wa_receipt_type type;
    uint64_t t = 0;
    for (const struct wa_node *p = participants; p; p = wa_node_next(p, "participants"))
        take_grouped(s, p, from, type_text);
    if (participants || wa_device_is_own(&s->device, device) || receipt_type(type_text, &type) < 0)
        return;
    wa_node_attr_u64(node, "t", &t);
    size_t count = receipt_ids(s, node, &ids);
    emit_receipt(s, type, ids, count, from, t);
}

/* ---- requests to send again (protocol/06 section 11) -------------------------------------------
 */

#define REQUESTS_MAX 5

/* The keys that came with the request; a companion's must be vouched for. */
static int take_keys(struct wa_session *s, const struct wa_node *node, const struct wa_jid *device)
{
    struct wa_jid address = wa_session_address(s, device);
    struct wa_bundle bundle;
    struct bytes identity;
    if (wa_bundle_parse(node, &bundle, &identity) < 0 ||
        !wa_send_vouched(s, device, &bundle, identity))
        return ERR_INVALID;
    int rc = wa_signal_process_bundle(s->signal, &address, &bundle);
    wa_session_watch_identity(s, device);
    return rc;
}

/* Whether the device has been set up anew since the session was made: it tells its number. */
static int other_registration(struct wa_session *s, const struct wa_node *node,
                              const struct wa_jid *address)
{
    uint32_t told, known;
    if (!wa_node_child_be_value(node, "registration", 4, &told))
        return 0;
    int rc = wa_signal_registration(s->signal, address, &known);
    return rc == 1 ? told != known : rc;
}

/* New keys come with the request, or the session is put aside for one from a fresh bundle: at once
 * when the device was set up anew, else from the second request on and at most once an hour. */
static int renew_session(struct wa_session *s, const struct wa_node *node,
                         const struct wa_jid *device, uint64_t count)
{
    struct wa_jid address = wa_session_address(s, device);
    if (wa_node_find(node, "keys"))
        return take_keys(s, node, device);
    int anew = other_registration(s, node, &address);
    if (anew == 0)
        anew = count >= 2 && wa_resends_may_rebuild(&s->resends, &address, wa_session_now(s));
    return anew == 1 ? wa_signal_archive_session(s->signal, &address) : anew;
}

static void on_retry_request(struct wa_session *s, const struct wa_node *node,
                             const struct wa_jid *from, const struct wa_jid *device)
{
    const struct wa_node *retry = wa_node_find(node, "retry");
    struct wa_jid chat = wa_jid_bare(from), recipient;
    struct bytes id = wa_node_attr(retry, "id");
    uint64_t count = 1;
    wa_node_attr_u64(retry, "count", &count);
    if (id.n == 0)
        id = wa_node_attr(node, "id");
    if (!retry || count >= REQUESTS_MAX || !wa_jid_is_user(device))
        return;
    if (wa_device_is_own(&s->device, from) && wa_node_attr_jid(node, "recipient", &recipient))
        chat = wa_jid_bare(&recipient);
    if (!wa_resends_allow(&s->resends, &chat, device, id, wa_session_now(s)))
        return;
    int rc = renew_session(s, node, device, count);
    if (rc == ERR_STORE)
        wa_session_end_store(s);
    if (rc < 0)
        return;
    struct wa_event *ev = wa_session_emit(s, WA_EVENT_RESEND);
    ev->u.resend.id = id;
    ev->u.resend.device = *device;
    ev->u.resend.chat = chat;
    ev->u.resend.count = (unsigned)count;
}

void wa_receive_receipt(struct wa_session *s, const struct wa_node *node)
{
    struct wa_jid from, device;
    wa_receive_ack(s, node, 0);
    if (!wa_node_attr_jid(node, "from", &from))
        return;
    if (!wa_node_attr_jid(node, "participant", &device))
        device = from;
    if (wa_node_attr_is(node, "type", "retry"))
        on_retry_request(s, node, &from, &device);
    else
        take_receipt(s, node, &from, &device);
}
