/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages to our own phone: protocol data, encrypted for it alone (protocol/06 section 10). */
#include "wa/send_internal.h"

bool wa_send_peer(struct wa_session *s, struct bytes message)
{
    char id[WA_MESSAGE_ID_SIZE];
    uint8_t random[16];
    struct wa_jid phone = wa_jid_bare(&s->device.pn);
    if (s->phase != WA_PHASE_ONLINE || s->send_count >= WA_SENDS_MAX)
        return false;
    s->host->random(s->host->ctx, random, sizeof(random));
    wa_message_id(id, s->host->wall_ms(s->host->ctx) / 1000, phone.user, random);
    struct wa_send *m = wa_send_new(s, id, &phone);
    m->peer = true;
    m->device = phone;
    m->state = WA_SEND_SESSIONS;
    if (buf_append(&m->message, message) < 0) {
        wa_send_drop(s, m);
        return false;
    }
    wa_send_step(s, m);
    return true;
}

void wa_send_peer_put(struct wa_session *s, struct wa_send *m)
{
    bool pkmsg = false;
    struct wa_node *node = wa_session_stanza(s, "message");
    wa_node_set(node, "id", m->id);
    wa_node_set_jid(node, "to", &m->to);
    wa_node_set(node, "type", "text");
    wa_node_set(node, "category", "peer");
    wa_node_set(node, "push_priority", "high");
    wa_node_set(wa_node_child(node, "meta"), "appdata", "default");
    int rc = wa_send_seal(s, node, &m->device, buf_bytes(&m->message), 0, &pkmsg);
    if (rc == ERR_STORE) {
        wa_session_end_store(s);
        return;
    }
    if (rc == 0) {
        wa_send_drop(s, m);
        return;
    }
    wa_send_add_identity(s, node, pkmsg);
    wa_send_put(s, m, node);
}
