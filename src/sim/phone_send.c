/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "sim/deflate.h"
#include "sim/group.h"
#include "sim/notify.h"
#include "sim/pb.h"
#include "sim/phone_internal.h"
#include "sim/stanza.h"
#include "wa/pairing.h"

#define GREETING_MAX 4096
#define ID_RANDOM 15 /* bytes: "AC" and 30 digits, as Android makes them */

/* ---- sessions and ciphertexts -------------------------------------------------------------------
 */

static bool vouched_for(const struct sim_device *d, struct bytes blob, const struct wa_bundle *b)
{
    struct bytes account_key = BYTES_ARRAY(d->account->devices->keys.identity);

    return sim_device_is_primary(d) ||
           wa_pairing_verify_companion(blob, b->identity, account_key) >= 0;
}

static int make_session(struct sim_phone *p, struct sim_device *d)
{
    struct wa_jid peer = sim_phone_peer(d);
    struct wa_bundle bundle;
    int rc = sim_device_take_bundle(d, &bundle);

    if (rc != 0)
        return rc;
    d->vouched = d->vouched || vouched_for(d, BYTES(d->identity, d->identity_len), &bundle);
    if (!d->vouched)
        return ERR_AUTH;
    return wa_signal_process_bundle(p->signal, &peer, &bundle);
}

/* Makes a session when there is none. */
static int seal(struct sim_phone *p, struct sim_device *d, struct bytes padded,
                enum wa_enc_type *type, struct buf *sealed)
{
    struct wa_jid peer = sim_phone_peer(d);
    int rc = wa_signal_encrypt(p->signal, &peer, padded, type, sealed);

    if (rc != ERR_NOT_FOUND)
        return rc;
    rc = make_session(p, d);
    return rc == 0 ? wa_signal_encrypt(p->signal, &peer, padded, type, sealed) : rc;
}

/* Appends <enc> with message, padded and sealed for one device. */
static int put_enc(struct sim_phone *p, struct wa_node *parent, struct sim_device *d,
                   struct bytes message, unsigned count)
{
    struct buf AUTO_BUF padded, AUTO_BUF sealed;
    enum wa_enc_type type;
    struct wa_node *enc;
    uint8_t random;
    int rc;

    buf_init(&padded, WA_ENC_MAX);
    buf_init(&sealed, WA_ENC_MAX);
    sim_random_bytes(&p->sim->random, &random, 1);
    rc = wa_padding_add(&padded, message, random);
    if (rc == 0)
        rc = seal(p, d, buf_bytes(&padded), &type, &sealed);
    if (rc != 0)
        return rc;
    enc = wa_node_child(parent, "enc");
    wa_node_set(enc, "v", "2");
    wa_node_set(enc, "type", wa_enc_text(type));
    if (count)
        wa_node_set_u64(enc, "count", count);
    wa_node_set_data(enc, buf_bytes(&sealed));
    return 0;
}

static void put_participant(struct sim_phone *p, struct wa_node *participants, struct sim_device *d,
                            const struct wa_jid *like, struct bytes message)
{
    struct wa_jid jid = sim_device_jid(d, like);
    struct wa_node *to = wa_node_new(participants->arena, "to");
    int rc = put_enc(p, to, d, message, 0);

    if (rc != 0) {
        char text[WA_JID_TEXT_SIZE];

        log_event(LOG_WARN, "sim_no_session", LOG_STR("device", wa_jid_text(&jid, text)),
                  LOG_STR("why", err_name(rc)));
        return;
    }
    wa_node_set_jid(to, "jid", &jid);
    wa_node_append(participants, to);
}

/* ---- sending ------------------------------------------------------------------------------------
 */

static struct sim_sent *remember(struct sim_phone *p, const char *id, struct sim_account *to,
                                 struct bytes message)
{
    struct sim_sent *sent = err_malloc(sizeof *sent + message.n), **place;

    *sent = (struct sim_sent){.to = to, .n = message.n};
    bytes_copy_text(bytes_text(id), sent->id, sizeof sent->id);
    memcpy(sent->message, message.p, message.n);
    sim_table_put(&p->sent_by_id, bytes_text(sent->id), sent);
    place = sim_ring_next(&p->sent);
    if (*place)
        sim_table_remove(&p->sent_by_id, bytes_text((*place)->id));
    free(*place);
    *place = sent;
    return sent;
}

static int wrap_own_copy(const struct sim_sent *sent, const struct wa_jid *to, struct buf *out)
{
    char text[WA_JID_TEXT_SIZE];

    return wa_message_build_device_sent(out, wa_jid_text(to, text), BYTES(sent->message, sent->n));
}

/* How this account's messages name people on the wire. */
static const struct wa_jid *addressing(const struct sim_phone *p)
{
    const struct sim_account *a = p->device->account;

    return a->pn_addressed ? &a->pn : &a->lid;
}

static void fan_out(struct sim_phone *p, const struct sim_sent *sent)
{
    struct wa_jid to = sim_account_jid(sent->to, addressing(p));
    struct sim_account *own = p->device->account;
    struct arena *arena = &p->sim->sending;
    struct buf AUTO_BUF copy;
    struct wa_node *message, *participants;

    arena_reset(arena);
    buf_init(&copy, WA_MESSAGE_MAX);
    message = wa_node_new(arena, "message");
    wa_node_set(message, "id", sent->id);
    wa_node_set_jid(message, "to", &to);
    wa_node_set(message, "type", sent->media ? "media" : "text");
    participants = wa_node_child(message, "participants");
    for (struct sim_device *d = sent->to->devices; d && sent->to != own; d = d->next)
        put_participant(p, participants, d, &to, BYTES(sent->message, sent->n));
    if (own->devices->next && wrap_own_copy(sent, &to, &copy) == 0)
        for (struct sim_device *d = own->devices->next; d; d = d->next)
            put_participant(p, participants, d, &to, buf_bytes(&copy));
    sim_stanza_from_phone(p->device, message);
}

/* ---- groups -------------------------------------------------------------------------------------
 */

static int build_key(struct sim_phone *p, const struct sim_group *g, struct buf *out)
{
    struct wa_jid own = sim_phone_peer(p->device);
    char text[WA_JID_TEXT_SIZE];
    struct buf AUTO_BUF skdm;
    int rc;

    buf_init(&skdm, WA_ENC_MAX);
    rc = wa_signal_group_distribution(p->signal, &g->jid, &own, &skdm);
    return rc != 0 ? rc : wa_message_build_skdm(out, wa_jid_text(&g->jid, text), buf_bytes(&skdm));
}

static int seal_for_group(struct sim_phone *p, const struct sim_group *g, struct bytes message,
                          struct wa_node *enc)
{
    struct wa_jid own = sim_phone_peer(p->device);
    struct buf AUTO_BUF padded, AUTO_BUF sealed, AUTO_BUF skdm;
    uint8_t random;
    int rc;

    buf_init(&padded, WA_ENC_MAX);
    buf_init(&sealed, WA_ENC_MAX);
    buf_init(&skdm, WA_ENC_MAX);
    sim_random_bytes(&p->sim->random, &random, 1);
    rc = wa_padding_add(&padded, message, random);
    if (rc == 0)
        rc = wa_signal_group_encrypt(p->signal, &g->jid, &own, buf_bytes(&padded), &sealed, &skdm);
    wa_node_set(enc, "v", "2");
    wa_node_set(enc, "type", wa_enc_text(WA_ENC_SKMSG));
    wa_node_set_data(enc, buf_bytes(&sealed));
    return rc;
}

/* The key goes along with each message, as some clients do it. */
static void fan_out_group(struct sim_phone *p, const struct sim_sent *sent)
{
    const struct sim_group *g = sent->group;
    struct arena AUTO_ARENA arena;
    struct buf AUTO_BUF key;
    struct wa_node *message, *participants;

    arena_init(&arena);
    buf_init(&key, WA_MESSAGE_MAX);
    message = wa_node_new(&arena, "message");
    wa_node_set(message, "id", sent->id);
    wa_node_set_jid(message, "to", &g->jid);
    wa_node_set(message, "type", sent->media ? "media" : "text");
    wa_node_set(message, "addressing_mode", g->pn_addressed ? "pn" : "lid");
    participants = wa_node_child(message, "participants");
    if (build_key(p, g, &key) != 0)
        return;
    for (size_t i = 0; i < g->count; i++)
        for (struct sim_device *d = g->members[i]->devices; d; d = d->next)
            if (d != p->device)
                put_participant(p, participants, d, sim_group_like(g, d->account), buf_bytes(&key));
    if (seal_for_group(p, g, BYTES(sent->message, sent->n), wa_node_child(message, "enc")) == 0)
        sim_stanza_from_phone(p->device, message);
}

static void send_again_to_group(struct sim_phone *p, const struct sim_sent *sent,
                                struct sim_device *d, struct arena *arena, unsigned count)
{
    struct wa_jid participant = sim_device_jid(d, sim_group_like(sent->group, d->account));
    struct wa_node *message = wa_node_new(arena, "message");
    struct buf AUTO_BUF both;

    buf_init(&both, WA_MESSAGE_MAX);
    wa_node_set(message, "id", sent->id);
    wa_node_set_jid(message, "to", &sent->group->jid);
    wa_node_set_jid(message, "participant", &participant);
    wa_node_set(message, "type", sent->media ? "media" : "text");
    if (build_key(p, sent->group, &both) == 0 &&
        buf_append(&both, BYTES(sent->message, sent->n)) == 0 &&
        put_enc(p, message, d, buf_bytes(&both), count) == 0)
        sim_stanza_from_phone(p->device, message);
}

static void make_id(struct sim_phone *p, char out[SIM_ID_MAX + 1])
{
    uint8_t raw[ID_RANDOM];

    sim_random_bytes(&p->sim->random, raw, sizeof raw);
    memcpy(out, "AC", 3);
    for (size_t i = 0; i < sizeof raw; i++)
        snprintf(out + 2 + 2 * i, 3, "%02X", raw[i]);
}

static int build_text(struct sim_phone *p, const struct sim_outgoing *m, struct buf *out)
{
    struct wa_text text = {
        .text = m->text, .quoted_id = bytes_text(m->quote), .expiration_s = m->expiration_s};
    struct wa_jid author;
    char author_text[WA_JID_TEXT_SIZE];

    author = sim_account_jid(m->to ? m->to : p->device->account, addressing(p));
    if (m->quote)
        text.quoted_author = bytes_text(wa_jid_text(&author, author_text));
    return wa_message_build_text(out, &text);
}

static int build(struct sim_phone *p, const struct sim_outgoing *m, const char *id, struct buf *out)
{
    struct sim_media *media;

    if (!m->media)
        return build_text(p, m, out);
    media = sim_media_add(p->sim, m->media, out);
    if (!media)
        return ERR_INVALID;
    bytes_copy_text(bytes_text(id), media->id, sizeof media->id);
    return 0;
}

int sim_phone_send(struct sim_phone *p, const struct sim_outgoing *m, char out[SIM_ID_MAX + 1],
                   struct err *err)
{
    struct buf AUTO_BUF message;
    struct bytes id = bytes_text(m->id);
    struct sim_sent *sent;

    buf_init(&message, WA_MESSAGE_MAX);
    if (m->id && (id.n == 0 || id.n > SIM_ID_MAX))
        return err_set(err, ERR_INVALID, "id must be 1 to %d bytes", SIM_ID_MAX);
    if (m->id && sim_table_get(&p->sent_by_id, id))
        return err_set(err, ERR_EXISTS, "id was used already");
    if (m->id)
        memcpy(out, m->id, id.n + 1);
    else
        make_id(p, out);
    if (build(p, m, out, &message) != 0)
        return err_set(err, ERR_INVALID, "text is too long or not UTF-8, or the kind is unknown");
    if (m->group) {
        sent = remember(p, out, NULL, buf_bytes(&message));
        sent->media = m->media != NULL;
        sent->group = m->group;
        fan_out_group(p, sent);
        return 0;
    }
    if (m->to != p->device->account &&
        !sim_table_put(&p->tokens, bytes_text(m->to->pn.user), m->to))
        sim_notify_privacy_token(p->device->account, m->to, (uint64_t)sim_now_s());
    sent = remember(p, out, m->to, buf_bytes(&message));
    sent->media = m->media != NULL;
    fan_out(p, sent);
    return 0;
}

/* ---- resending (protocol/06 section 11) ---------------------------------------------------------
 */

static int renew_session(struct sim_phone *p, struct sim_device *d, const struct wa_node *receipt,
                         unsigned count)
{
    struct wa_jid peer = sim_phone_peer(d);
    struct wa_bundle bundle;
    struct bytes blob;

    if (wa_node_find(receipt, "keys")) {
        if (wa_bundle_parse(receipt, &bundle, &blob) != 0)
            return ERR_INVALID;
        return vouched_for(d, blob, &bundle) ? wa_signal_process_bundle(p->signal, &peer, &bundle)
                                             : ERR_AUTH;
    }
    return count >= 2 ? wa_signal_drop_session(p->signal, &peer) : 0;
}

static void send_again(struct sim_phone *p, const struct sim_sent *sent, struct sim_device *d,
                       const struct wa_node *receipt, unsigned count)
{
    struct wa_jid to = sim_device_jid(d, addressing(p));
    struct wa_jid chat = sim_account_jid(sent->to, addressing(p));
    struct wa_node *message = wa_node_new(receipt->arena, "message");
    struct bytes plain = BYTES(sent->message, sent->n);
    struct buf AUTO_BUF copy;

    buf_init(&copy, WA_MESSAGE_MAX);
    wa_node_set(message, "id", sent->id);
    wa_node_set_jid(message, "to", &to);
    wa_node_set(message, "type", "text");
    if (sent->peer)
        wa_node_set(message, "category", "peer");
    else
        wa_node_set(message, "device_fanout", "false");
    if (d->account == p->device->account && !sent->peer) {
        wa_node_set_jid(message, "recipient", &chat);
        if (wrap_own_copy(sent, &chat, &copy) != 0)
            return;
        plain = buf_bytes(&copy);
    }
    if (put_enc(p, message, d, plain, count) == 0)
        sim_stanza_from_phone(p->device, message);
}

void sim_phone_resend(struct sim_phone *p, const struct wa_node *receipt)
{
    const struct wa_node *retry = wa_node_find(receipt, "retry");
    const struct sim_sent *sent = sim_table_get(&p->sent_by_id, wa_node_attr(receipt, "id"));
    struct wa_jid from, pn = sim_device_pn(p->device);
    struct sim_device *d = NULL;
    uint64_t count;

    if (wa_node_attr_jid(receipt, "participant", &from) || wa_node_attr_jid(receipt, "from", &from))
        d = sim_device_by_jid(p->sim, &from);
    if (!sent || !d || !wa_node_attr_u64(retry, "count", &count) || count > SIM_RETRIES_MAX)
        return;
    if (sent->group ? !sim_group_has(sent->group, d->account)
                    : d->account != sent->to && d->account != p->device->account)
        return;
    if (renew_session(p, d, receipt, (unsigned)count) != 0) {
        sim_note(p->sim, "phone_bad_retry_keys", &pn, wa_node_attr(receipt, "id"), NULL);
        return;
    }
    sim_note(p->sim, "phone_resends", &pn, wa_node_attr(receipt, "id"), NULL);
    if (sent->group)
        send_again_to_group(p, sent, d, receipt->arena, (unsigned)count);
    else
        send_again(p, sent, d, receipt, (unsigned)count);
}

/* ---- greeting a new companion (protocol/07 sections 7 and 8) ------------------------------------
 */

enum { MESSAGE_PROTOCOL = 12, PROTOCOL_TYPE = 2, PROTOCOL_HISTORY = 6 };
enum { TYPE_HISTORY = 5 };

static void send_peer(struct sim_phone *p, struct sim_device *d, struct bytes message,
                      char id[SIM_ID_MAX + 1])
{
    struct wa_jid to = sim_device_jid(d, addressing(p));
    struct arena AUTO_ARENA arena;
    struct wa_node *node;

    arena_init(&arena);
    make_id(p, id);
    remember(p, id, p->device->account, message)->peer = true;
    node = wa_node_new(&arena, "message");
    wa_node_set(node, "id", id);
    wa_node_set_jid(node, "to", &to);
    wa_node_set(node, "type", "text");
    wa_node_set(node, "category", "peer");
    wa_node_set(wa_node_child(node, "meta"), "appdata", "default");
    if (put_enc(p, node, d, message, 0) == 0)
        sim_stanza_from_phone(p->device, node);
}

void sim_phone_send_protocol(struct sim_phone *p, struct sim_device *d, unsigned type,
                             uint32_t field, struct bytes content, char id[SIM_ID_MAX + 1])
{
    struct buf AUTO_BUF protocol, AUTO_BUF message;

    buf_init(&protocol, content.n + GREETING_MAX);
    buf_init(&message, content.n + GREETING_MAX);
    sim_pb_put_uint(&protocol, PROTOCOL_TYPE, type);
    sim_pb_put_bytes(&protocol, field, content);
    sim_pb_put_bytes(&message, MESSAGE_PROTOCOL, buf_bytes(&protocol));
    send_peer(p, d, buf_bytes(&message), id);
}

/* HistorySync{1 type, 5 chunk, 6 progress, 7 Pushname{1 id, 2 name}, 15 mapping{1 pn, 2 lid}} */
static void build_history(const struct sim_account *a, struct buf *out)
{
    struct buf AUTO_BUF name, AUTO_BUF mapping;
    char pn[WA_JID_TEXT_SIZE], lid[WA_JID_TEXT_SIZE];

    buf_init(&name, 512);
    buf_init(&mapping, 512);
    wa_jid_text(&a->pn, pn);
    wa_jid_text(&a->lid, lid);
    sim_pb_put_bytes(&name, 1, bytes_text(pn));
    sim_pb_put_bytes(&name, 2, bytes_text(a->name));
    sim_pb_put_bytes(&mapping, 1, bytes_text(pn));
    sim_pb_put_bytes(&mapping, 2, bytes_text(lid));
    sim_pb_put_uint(out, 1, 0);
    sim_pb_put_uint(out, 5, 1);
    sim_pb_put_uint(out, 6, 100);
    sim_pb_put_bytes(out, 7, buf_bytes(&name));
    sim_pb_put_bytes(out, 15, buf_bytes(&mapping));
}

void sim_phone_tell_history(struct sim_phone *p, struct sim_device *companion,
                            struct bytes notification, char id[SIM_ID_MAX + 1])
{
    sim_phone_send_protocol(p, companion, TYPE_HISTORY, PROTOCOL_HISTORY, notification, id);
}

/* HistorySyncNotification{6 type 0 INITIAL_BOOTSTRAP, 7 chunk, 9 progress, 11 inline payload} */
static void send_history(struct sim_phone *p, struct sim_device *d)
{
    struct buf AUTO_BUF history, AUTO_BUF inlined, AUTO_BUF notification;
    char id[SIM_ID_MAX + 1];

    buf_init(&history, GREETING_MAX);
    buf_init(&inlined, GREETING_MAX);
    buf_init(&notification, GREETING_MAX);
    build_history(p->device->account, &history);
    if (sim_deflate(&inlined, buf_bytes(&history)) != 0)
        return;
    sim_pb_put_uint(&notification, 6, 0);
    sim_pb_put_uint(&notification, 7, 1);
    sim_pb_put_uint(&notification, 9, 100);
    sim_pb_put_bytes(&notification, 11, buf_bytes(&inlined));
    sim_phone_tell_history(p, d, buf_bytes(&notification), id);
}

void sim_phone_greet(struct sim_phone *p, struct sim_device *companion)
{
    sim_phone_share_key(p, companion);
    send_history(p, companion);
}
