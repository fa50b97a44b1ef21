/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A message as our own phone keeps it (WebMessageInfo, protos-message.md): in its history, and in
 * its answers about messages that this device could not read. */
#include "base/text.h"
#include "wa/pb.h"
#include "wa/proto/message.pb-c.h"
#include "wa/session_internal.h"

static bool read_jid(protobuf_c_boolean has, ProtobufCBinaryData data, struct wa_jid *out)
{
    return has && data.len > 0 && wa_jid_parse(out, wa_pb_bytes(data)) == 0;
}

void wa_web_message_forms(struct wa_session *s, const struct wa_jid *jid, struct wa_jid *pn,
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
    in->timestamp_s = (int64_t)(m->message_timestamp & INT64_MAX);
    if (in->from_me)
        in->sender = wa_jid_bare(wa_jid_is_lid(&in->chat) ? &s->device.lid : &s->device.pn);
    else if (!in->group)
        in->sender = in->chat;
    else if (!read_jid(key->has_participant, key->participant, &in->sender) &&
             !read_jid(m->has_participant, m->participant, &in->sender))
        return false;
    wa_web_message_forms(s, &in->chat, &in->chat_pn, &in->chat_lid);
    wa_web_message_forms(s, &in->sender, &in->sender_pn, &in->sender_lid);
    struct bytes name = wa_pb_bytes(m->push_name);
    if (name.n > 0 && text_utf8_valid(name))
        in->push_name = arena_copy(&s->arena, name);
    return in->id.n > 0 && in->id.n <= 128 && text_utf8_valid(in->id) &&
           (in->group || wa_jid_is_user(&in->chat));
}

/* Only what a person wrote: nothing in here speaks for our own phone. */
struct wa_content *wa_web_message_read(struct wa_session *s, struct bytes info, int64_t since_s,
                                       struct wa_incoming *out)
{
    AUTO_PB Wa__WebMessageInfo *m = wa_pb_unpack(&wa__web_message_info__descriptor, info);
    struct wa_content *content = arena_alloc(&s->arena, sizeof(*content));
    *out = (struct wa_incoming){0};
    if (!m || !m->has_message || m->ignore || m->message_timestamp < (uint64_t)since_s ||
        !read_place(s, m, out) || s->phase == WA_PHASE_CLOSED ||
        wa_message_parse(arena_copy(&s->arena, wa_pb_bytes(m->message)), &s->arena, content) < 0 ||
        content->kind == WA_KIND_NONE || content->kind == WA_KIND_PROTOCOL)
        return NULL;
    out->content = content;
    return content;
}
