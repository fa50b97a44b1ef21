/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a session does for files: where they are had from, and asking the phone for one that is
 * gone (protocol/07 sections 1 and 5). */
#include "wa/session_internal.h"

#define TTL_MAX_S 86400

/* Primary hosts first. */
static size_t take_hosts(struct wa_session *s, const struct wa_node *conn, struct bytes *out)
{
    size_t count = 0;
    (void)s;
    for (int fallback = 0; fallback <= 1; fallback++) {
        const struct wa_node *host = wa_node_find(conn, "host");
        for (; host && count < WA_MEDIA_HOSTS_MAX; host = wa_node_next(host, "host"))
            if (wa_node_attr_is(host, "type", "fallback") == (fallback == 1) &&
                wa_node_attr(host, "hostname").n > 0)
                out[count++] = wa_node_attr(host, "hostname");
    }
    return count;
}

static void on_hosts(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    const struct wa_node *conn = answer ? wa_node_find(answer, "media_conn") : NULL;
    uint64_t ttl = 0;
    (void)arg;
    (void)code;
    struct wa_event *ev = wa_session_emit(s, WA_EVENT_MEDIA_HOSTS);
    if (!conn)
        return;
    struct bytes *names = arena_alloc(&s->arena, WA_MEDIA_HOSTS_MAX * sizeof(*names));
    wa_node_attr_u64(conn, "ttl", &ttl);
    ev->u.hosts.count = take_hosts(s, conn, names);
    ev->u.hosts.names = names;
    ev->u.hosts.ttl_s = ttl < TTL_MAX_S ? (int64_t)ttl : TTL_MAX_S;
}

void wa_session_ask_media_hosts(struct wa_session *s)
{
    if (s->phase != WA_PHASE_ONLINE)
        return;
    struct wa_node *iq = wa_session_query(s, "set", "w:m");
    wa_node_child(iq, "media_conn");
    wa_session_ask(s, iq, on_hosts, NULL);
}

void wa_session_ask_media_again(struct wa_session *s, const struct wa_media_again *m)
{
    uint8_t nonce[WA_GCM_NONCE_LEN];
    AUTO_BUF struct buf sealed = {.max = WA_MEDIA_RETRY_MAX};
    struct wa_jid own = wa_jid_bare(&s->device.pn);
    if (s->phase != WA_PHASE_ONLINE)
        return;
    s->host->random(s->host->ctx, nonce, sizeof(nonce));
    if (wa_media_retry_seal(&sealed, m->key, nonce, m->id) < 0)
        return;
    struct wa_node *receipt = wa_session_stanza(s, "receipt");
    wa_node_set_bytes(receipt, "id", m->id);
    wa_node_set_jid(receipt, "to", &own);
    wa_node_set(receipt, "type", "server-error");
    struct wa_node *encrypt = wa_node_child(receipt, "encrypt");
    wa_node_child_data(encrypt, "enc_p", buf_bytes(&sealed));
    wa_node_child_data(encrypt, "enc_iv", BYTES_ARRAY(nonce));
    struct wa_node *rmr = wa_node_child(receipt, "rmr");
    wa_node_set_jid(rmr, "jid", &m->chat);
    wa_node_set(rmr, "from_me", m->from_me ? "true" : "false");
    if (!wa_jid_is_none(&m->author))
        wa_node_set_jid(rmr, "participant", &m->author);
    wa_session_put(s, receipt);
}

void wa_media_notification(struct wa_session *s, const struct wa_node *node)
{
    const struct wa_node *encrypt = wa_node_find(node, "encrypt");
    const struct wa_node *error = wa_node_find(node, "error");
    uint64_t code = 0;
    if (wa_node_attr(node, "id").n == 0 || (!encrypt && !error))
        return;
    if (error && (!wa_node_attr_u64(error, "code", &code) || code == 0))
        code = 1;
    struct wa_event *ev = wa_session_emit(s, WA_EVENT_MEDIA_AGAIN);
    ev->u.media_again.id = wa_node_attr(node, "id");
    ev->u.media_again.error = code <= UINT32_MAX ? (unsigned)code : 1;
    ev->u.media_again.sealed = wa_node_data(wa_node_find(encrypt, "enc_p"));
    ev->u.media_again.nonce = wa_node_data(wa_node_find(encrypt, "enc_iv"));
}
