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

static void take_one(struct wa_session *s, struct bytes info)
{
    struct wa_incoming in;
    struct wa_content *content = wa_web_message_read(s, info, 0, &in);
    if (!content)
        return;
    in.offline = true;
    in.fault = wa_edits_take(s, &in, content);
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
