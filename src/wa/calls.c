/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls: acked, and told as a message of kind call when they begin (protocol/05 section 14). The
 * phone rings; nobody here answers. */
#include "base/text.h"
#include "wa/session_internal.h"

/* The child that begins one, for those who are called and for those who could not be reached. */
static const struct wa_node *offer_of(const struct wa_node *call)
{
    const struct wa_node *offer = wa_node_find(call, "offer");
    return offer ? offer : wa_node_find(call, "offer_notice");
}

static void set_forms(struct wa_session *s, const struct wa_node *offer, struct wa_incoming *in)
{
    struct wa_jid from = wa_jid_bare(&in->sender), other;
    if (wa_node_attr_jid(offer, wa_jid_is_lid(&from) ? "caller_pn" : "caller_lid", &other))
        wa_session_learn_lid(s, &from, &other);
    in->sender_pn = wa_jid_is_pn(&from) ? from : wa_session_pn_of(s, &from);
    in->sender_lid = wa_jid_is_lid(&from) ? from : wa_session_lid_of(s, &from);
    in->chat = from;
    in->chat_pn = in->sender_pn;
    in->chat_lid = in->sender_lid;
}

/* Of the caller's group, not of a chat: nobody is to be answered. */
static bool is_group_call(const struct wa_node *offer)
{
    return wa_node_attr(offer, "group-jid").p || wa_node_find(offer, "group_info");
}

static void tell(struct wa_session *s, const struct wa_node *call, const struct wa_node *offer)
{
    struct wa_incoming in = {.id = wa_node_attr(offer, "call-id")};
    uint64_t t;
    if (in.id.n == 0 || in.id.n > WA_CALL_ID_MAX || !text_utf8_valid(in.id) ||
        !wa_node_attr_jid(call, "from", &in.sender) || !wa_jid_is_user(&in.sender) ||
        wa_device_is_own(&s->device, &in.sender) || is_group_call(offer))
        return;
    set_forms(s, offer, &in);
    in.offline = wa_node_attr(call, "offline").p != NULL;
    in.timestamp_s = wa_node_attr_u64(call, "t", &t) && t <= UINT32_MAX ? (int64_t)t : 0;
    in.push_name = wa_node_attr(call, "notify");
    if (!text_utf8_valid(in.push_name))
        in.push_name = BYTES_NONE;
    struct wa_content *content = arena_alloc(&s->arena, sizeof(*content));
    *content = (struct wa_content){.kind = WA_KIND_CALL, .protocol_type = -1};
    content->text = bytes_text(wa_node_find(offer, "video") ? "video" : "voice");
    in.content = content;
    wa_session_emit(s, WA_EVENT_MESSAGE)->u.message = in;
}

void wa_call(struct wa_session *s, const struct wa_node *node)
{
    const struct wa_node *offer = offer_of(node);
    if (offer)
        tell(s, node, offer);
    wa_receive_ack(s, node, 0);
}
