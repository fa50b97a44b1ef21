/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages that this device cannot read, had from our own phone instead (protocol/05 section 8). */
#include "base/text.h"
#include "wa/pb.h"
#include "wa/proto/message.pb-c.h"
#include "wa/session_internal.h"

#define AGE_MAX_S (14 * 86400) /* the phone does not look further back */
#define ANSWERS_MAX 16         /* messages of one answer */

/* ---- asking ----------------------------------------------------------------------------------
 */

static int build_request(struct wa_session *s, const struct wa_incoming *in, struct buf *out)
{
    char chat[WA_JID_TEXT_SIZE], author[WA_JID_TEXT_SIZE];
    struct buf request = {.max = WA_MESSAGE_MAX}, protocol = {.max = WA_MESSAGE_MAX};
    Wa__MessageKey key = WA__MESSAGE_KEY__INIT;
    Wa__PeerDataOperationRequestMessage__Placeholder one =
        WA__PEER_DATA_OPERATION_REQUEST_MESSAGE__PLACEHOLDER__INIT;
    Wa__PeerDataOperationRequestMessage__Placeholder *list[] = {&one};
    Wa__PeerDataOperationRequestMessage m = WA__PEER_DATA_OPERATION_REQUEST_MESSAGE__INIT;
    Wa__ProtocolMessage p = WA__PROTOCOL_MESSAGE__INIT;
    Wa__Message message = WA__MESSAGE__INIT;
    struct wa_jid sender = wa_jid_bare(&in->sender);
    const struct wa_jid *named =
        s->device.lid_migrated && !wa_jid_is_none(&in->chat_lid) ? &in->chat_lid : &in->chat;
    key.has_remote_jid = key.has_from_me = key.has_id = true;
    key.remote_jid = wa_pb_data(bytes_text(wa_jid_text(named, chat)));
    key.from_me = in->from_me;
    key.id = wa_pb_data(in->id);
    key.has_participant = in->group && !in->from_me;
    key.participant = wa_pb_data(bytes_text(wa_jid_text(&sender, author)));
    one.message_key = &key;
    m.has_type = true;
    m.type = WA__PEER_DATA_OPERATION_REQUEST_MESSAGE__TYPE__PLACEHOLDER_MESSAGE_RESEND;
    m.n_placeholder_message_resend_request = 1;
    m.placeholder_message_resend_request = list;
    int rc = wa_pb_append(&request, &m.base);
    p.has_type = true;
    p.type = WA__PROTOCOL_MESSAGE__TYPE__PEER_DATA_OPERATION_REQUEST;
    p.has_peer_data_operation_request_message = true;
    p.peer_data_operation_request_message = wa_pb_data(buf_bytes(&request));
    if (rc == 0)
        rc = wa_pb_append(&protocol, &p.base);
    message.has_protocol_message = true;
    message.protocol_message = wa_pb_data(buf_bytes(&protocol));
    if (rc == 0)
        rc = wa_pb_append(out, &message.base);
    buf_deinit(&request);
    buf_deinit(&protocol);
    return rc;
}

bool wa_placeholder_ask(struct wa_session *s, const struct wa_incoming *in)
{
    int64_t now_s = s->host->wall_ms(s->host->ctx) / 1000;
    AUTO_BUF struct buf message = {.max = WA_MESSAGE_MAX};
    if (!(wa_jid_is_user(&in->chat) || in->group) || now_s - in->timestamp_s > AGE_MAX_S ||
        !wa_bucket_take(&s->phone_requests, wa_session_now(s)))
        return false;
    return build_request(s, in, &message) == 0 && wa_send_peer(s, buf_bytes(&message));
}

/* ---- the answer ------------------------------------------------------------------------------
 */

static bool read_jid(protobuf_c_boolean has, ProtobufCBinaryData data, struct wa_jid *out)
{
    return has && data.len > 0 && wa_jid_parse(out, wa_pb_bytes(data)) == 0;
}

/* The form that is not at hand, where it is known. */
static void set_forms(struct wa_session *s, const struct wa_jid *jid, struct wa_jid *pn,
                      struct wa_jid *lid)
{
    *pn = wa_jid_is_pn(jid) ? wa_jid_bare(jid) : wa_session_pn_of(s, jid);
    *lid = wa_jid_is_lid(jid) ? wa_jid_bare(jid) : wa_session_lid_of(s, jid);
    *pn = wa_jid_bare(pn);
    *lid = wa_jid_bare(lid);
}

static bool read_place(struct wa_session *s, const Wa__WebMessageInfo *m, struct wa_incoming *in)
{
    const Wa__MessageKey *key = m->key;
    if (!key || !read_jid(key->has_remote_jid, key->remote_jid, &in->chat))
        return false;
    in->chat = wa_jid_bare(&in->chat);
    in->id = arena_copy(&s->arena, wa_pb_bytes(key->id));
    in->from_me = key->from_me;
    in->group = in->chat.server == WA_SERVER_GROUP;
    in->offline = true;
    in->timestamp_s = (int64_t)(m->message_timestamp & INT64_MAX);
    if (in->from_me)
        in->sender = wa_jid_bare(wa_jid_is_lid(&in->chat) ? &s->device.lid : &s->device.pn);
    else if (!in->group)
        in->sender = in->chat;
    else if (!read_jid(key->has_participant, key->participant, &in->sender) &&
             !read_jid(m->has_participant, m->participant, &in->sender))
        return false;
    set_forms(s, &in->chat, &in->chat_pn, &in->chat_lid);
    set_forms(s, &in->sender, &in->sender_pn, &in->sender_lid);
    struct bytes name = wa_pb_bytes(m->push_name);
    if (name.n > 0 && text_utf8_valid(name))
        in->push_name = arena_copy(&s->arena, name);
    return in->id.n > 0 && in->id.n <= 128 && text_utf8_valid(in->id) &&
           (in->group || wa_jid_is_user(&in->chat));
}

/* Only what a person wrote: nothing in here speaks for our own phone. */
static void take_one(struct wa_session *s, struct bytes info)
{
    AUTO_PB Wa__WebMessageInfo *m = wa_pb_unpack(&wa__web_message_info__descriptor, info);
    struct wa_incoming in = {0};
    struct wa_content content;
    if (!m || !m->has_message || !read_place(s, m, &in) ||
        wa_message_parse(arena_copy(&s->arena, wa_pb_bytes(m->message)), &s->arena, &content) < 0 ||
        content.kind == WA_KIND_NONE || content.kind == WA_KIND_PROTOCOL)
        return;
    struct wa_content *kept = arena_alloc(&s->arena, sizeof(*kept));
    in.fault = wa_edits_take(s, &in, &content);
    *kept = content;
    in.content = kept;
    wa_session_emit(s, WA_EVENT_MESSAGE)->u.message = in;
}

void wa_placeholder_take(struct wa_session *s, struct bytes response)
{
    AUTO_PB Wa__PeerDataOperationRequestResponseMessage *m =
        wa_pb_unpack(&wa__peer_data_operation_request_response_message__descriptor, response);
    if (!m || m->type != WA__PEER_DATA_OPERATION_REQUEST_MESSAGE__TYPE__PLACEHOLDER_MESSAGE_RESEND)
        return;
    for (size_t i = 0; i < m->n_peer_data_operation_result && i < ANSWERS_MAX; i++) {
        const Wa__PeerDataOperationRequestResponseMessage__Placeholder *p =
            m->peer_data_operation_result[i]->placeholder_message_resend_response;
        if (p && p->has_web_message_info)
            take_one(s, wa_pb_bytes(p->web_message_info));
    }
}
