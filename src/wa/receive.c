/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Message stanzas in: who wrote to whom, decryption, the one right answer, the event (protocol/05
 * sections 2 to 9). Answers go to the output, which the bridge holds back until the records and the
 * message row are durable.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "wa/session_internal.h"

#define RETRIES_MAX 5
#define ENCS_MAX 8 /* <enc> nodes of one stanza that are looked at */
#define EDIT_ADMIN_REVOKE "8"
#define ERROR_PARSE 487
#define ERROR_UNRECOGNISED 488
#define ERROR_PROTOBUF 491
#define ERROR_SECRET 495

/* What the stanza says about itself; in.content comes later. */
struct envelope {
    const struct wa_node *node;
    struct wa_incoming in;
    struct wa_jid from, participant, recipient, chat_alt, sender_alt;
    bool peer, status, has_participant, has_recipient;
};

/* ---- answers -----------------------------------------------------------------------------------
 */

void wa_receive_ack(struct wa_session *s, const struct wa_node *node, unsigned error)
{
    struct wa_node *ack = wa_session_stanza(s, "ack");
    struct bytes unread = wa_node_attr(node, "from");
    struct wa_jid from;
    wa_node_set_bytes(ack, "class", node->tag);
    wa_node_copy_attr(ack, node, "id");
    if (wa_node_attr_jid(node, "from", &from))
        wa_node_set_jid(ack, "to", &from);
    else if (unread.n > 0 && unread.n < WA_JID_TEXT_SIZE)
        wa_node_set_bytes(ack, "to", unread);
    wa_node_copy_attr(ack, node, "participant");
    wa_node_copy_attr(ack, node, "recipient");
    if (!wa_node_is(node, "call"))
        wa_node_copy_attr(ack, node, "type");
    if (wa_node_is(node, "message"))
        wa_node_set_jid(ack, "from", &s->device.pn);
    if (error)
        wa_node_set_u64(ack, "error", error);
    if (wa_node_is(node, "receipt"))
        wa_session_put_patiently(s, ack);
    else
        wa_session_put(s, ack);
}

static struct wa_node *receipt_to_sender(struct wa_session *s, const struct envelope *e,
                                         const char *type)
{
    struct wa_node *receipt = wa_session_stanza(s, "receipt");
    wa_node_copy_attr(receipt, e->node, "id");
    wa_node_set_jid(receipt, "to", &e->from);
    if (type)
        wa_node_set(receipt, "type", type);
    wa_node_copy_attr(receipt, e->node, "participant");
    return receipt;
}

/* The answer matrix of protocol/05 section 7 for what was read. */
static void send_receipt(struct wa_session *s, const struct envelope *e, bool history_sync)
{
    const char *type = s->available ? NULL : "inactive";
    if (e->peer)
        type = "peer_msg";
    else if (e->in.from_me)
        type = "sender";
    else if (e->status)
        type = NULL;
    struct wa_node *receipt = receipt_to_sender(s, e, type);
    if (e->in.from_me && !e->peer)
        wa_node_copy_attr(receipt, e->node, "recipient");
    if (e->status)
        wa_node_set(receipt, "context", "status");
    wa_session_put(s, receipt);
    if (!e->peer || !history_sync)
        return;
    struct wa_node *history = wa_session_stanza(s, "receipt");
    struct wa_jid own = wa_jid_bare(&s->device.pn);
    wa_node_copy_attr(history, e->node, "id");
    wa_node_set_jid(history, "to", &own);
    wa_node_set(history, "type", "hist_sync");
    wa_session_put(s, history);
}

static void send_retry(struct wa_session *s, const struct envelope *e, unsigned count,
                       enum wa_signal_fault fault, bool pkmsg)
{
    struct wa_node *receipt = receipt_to_sender(s, e, "retry");
    if (e->peer)
        wa_node_set(receipt, "category", "peer");
    else
        wa_node_copy_attr(receipt, e->node, "recipient");
    struct wa_node *retry = wa_node_child(receipt, "retry");
    wa_node_set_u64(retry, "count", count);
    wa_node_copy_attr(retry, e->node, "id");
    wa_node_copy_attr(retry, e->node, "t");
    wa_node_set(retry, "v", "1");
    wa_node_set_u64(retry, "error", fault);
    wa_node_child_be(receipt, "registration", 4, s->device.registration_id);
    bool keys = count >= 2 || fault == WA_FAULT_INVALID_KEY_ID || fault == WA_FAULT_INVALID_KEY ||
                (fault == WA_FAULT_NO_SESSION && pkmsg);
    if (keys && wa_prekeys_build_retry_keys(receipt, &s->device, s->host) < 0) {
        wa_session_end_store(s);
        return;
    }
    wa_session_put(s, receipt);
}

/* ---- who wrote to whom (protocol/05 section 4)
 * --------------------------------------------------- */

/* The other form of a JID: from the stanza's attributes when they say, else from what is known. */
static struct wa_jid alternative(struct wa_session *s, const struct wa_node *node,
                                 const struct wa_jid *jid, const char *pn_key, const char *lid_key)
{
    struct wa_jid other;
    bool lid = wa_jid_is_lid(jid);
    if (!wa_node_attr_jid(node, lid ? pn_key : lid_key, &other) ||
        !(lid ? wa_jid_is_pn(&other) : wa_jid_is_lid(&other)) ||
        wa_device_is_own(&s->device, jid) != wa_device_is_own(&s->device, &other))
        return lid ? wa_session_pn_of(s, jid) : wa_session_lid_of(s, jid);
    if (other.device == 0)
        other.device = jid->device;
    wa_session_learn_lid(s, jid, &other);
    return other;
}

static void set_forms(const struct wa_jid *a, const struct wa_jid *b, struct wa_jid *pn,
                      struct wa_jid *lid)
{
    const struct wa_jid *forms[] = {a, b};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (wa_jid_is_pn(forms[i]))
            *pn = wa_jid_bare(forms[i]);
        else if (wa_jid_is_lid(forms[i]))
            *lid = wa_jid_bare(forms[i]);
    }
}

static void resolve_own_copy(struct wa_session *s, struct envelope *e)
{
    struct wa_incoming *in = &e->in;
    in->sender = e->from;
    in->chat = wa_jid_bare(e->has_recipient ? &e->recipient : &e->from);
    if (!e->has_recipient)
        return;
    e->chat_alt = alternative(s, e->node, &in->chat, "peer_recipient_pn", "peer_recipient_lid");
    if (wa_jid_is_none(&e->chat_alt))
        e->chat_alt = alternative(s, e->node, &in->chat, "recipient_pn", "recipient_lid");
}

/* What somebody sends to a broadcast list stands in the chat with them (protocol/05 section 4). */
static void show_in_own_chat(struct envelope *e)
{
    e->in.chat = wa_jid_bare(&e->in.sender);
    e->chat_alt = wa_jid_bare(&e->sender_alt);
}

static int read_envelope(struct wa_session *s, const struct wa_node *node, struct envelope *e)
{
    *e = (struct envelope){.node = node};
    struct wa_incoming *in = &e->in;
    uint64_t t = 0;
    in->id = wa_node_attr(node, "id");
    if (in->id.n == 0 || in->id.n > 128 || !text_utf8_valid(in->id) ||
        !wa_node_attr_jid(node, "from", &e->from) || !wa_node_attr_u64(node, "t", &t))
        return ERR_INVALID;
    in->timestamp_s = (int64_t)(t & INT64_MAX);
    e->has_participant = wa_node_attr_jid(node, "participant", &e->participant);
    e->has_recipient = wa_node_attr_jid(node, "recipient", &e->recipient);
    e->peer = wa_node_attr_is(node, "category", "peer");
    in->offline = wa_node_attr(node, "offline").p != NULL;
    struct bytes name = wa_node_attr(node, "notify");
    if (name.n > 0 && !bytes_is(name, "-") && text_utf8_valid(name))
        in->push_name = name;
    enum wa_server server = e->from.server;
    if (server == WA_SERVER_GROUP || server == WA_SERVER_BROADCAST) {
        if (!e->has_participant)
            return ERR_INVALID;
        in->group = server == WA_SERVER_GROUP;
        in->admin = in->group && wa_node_attr_is(node, "edit", EDIT_ADMIN_REVOKE);
        e->status = server == WA_SERVER_BROADCAST && strcmp(e->from.user, "status") == 0;
        in->chat = e->from;
        in->sender = e->participant;
        in->from_me = wa_device_is_own(&s->device, &in->sender);
        e->sender_alt = alternative(s, node, &in->sender, "participant_pn", "participant_lid");
        if (!in->group && !e->status && !in->from_me)
            show_in_own_chat(e);
    } else if (wa_device_is_own(&s->device, &e->from)) {
        in->from_me = true;
        resolve_own_copy(s, e);
        e->sender_alt = alternative(s, node, &in->sender, "sender_pn", "sender_lid");
    } else {
        in->chat = wa_jid_bare(&e->from);
        in->sender = e->from;
        e->sender_alt = alternative(s, node, &in->sender, "sender_pn", "sender_lid");
        e->chat_alt = wa_jid_bare(&e->sender_alt);
    }
    set_forms(&in->chat, &e->chat_alt, &in->chat_pn, &in->chat_lid);
    set_forms(&in->sender, &e->sender_alt, &in->sender_pn, &in->sender_lid);
    return 0;
}

/* ---- decryption --------------------------------------------------------------------------------
 */

struct opened {
    bool any, duplicate, pkmsg;
    int rc; /* first failure: ERR_AUTH, ERR_STORE, ERR_INVALID … */
    enum wa_signal_fault fault;
    struct wa_content content; /* of the last <enc> that carries something for a person */
};

/* Some fan-outs deliver our copy under participants/to (protocol/05 section 3). */
static const struct wa_node *enc_parent(struct wa_session *s, const struct wa_node *node)
{
    if (wa_node_find(node, "enc"))
        return node;
    const struct wa_node *participants = wa_node_find(node, "participants");
    for (const struct wa_node *to = wa_node_find(participants, "to"); to;
         to = wa_node_next(to, "to")) {
        struct wa_jid jid;
        if (wa_node_attr_jid(to, "jid", &jid) &&
            (wa_jid_equal(&jid, &s->device.pn) || wa_jid_equal(&jid, &s->device.lid)))
            return to;
    }
    return node;
}

/* A key that was handed out before the LID of its sender was known is under the phone number. */
static int open_group(struct wa_session *s, const struct envelope *e, const struct wa_jid *peer,
                      struct bytes sealed, struct buf *plain, enum wa_signal_fault *fault)
{
    struct wa_jid group = wa_jid_bare(&e->from);
    int rc = wa_signal_group_decrypt(s->signal, &group, peer, sealed, plain, fault);
    if (rc != ERR_AUTH || *fault != WA_FAULT_NO_SESSION || wa_jid_is_none(&e->in.sender_pn))
        return rc;
    struct wa_jid pn = wa_jid_with_device(&e->in.sender_pn, e->in.sender.device);
    if (wa_jid_equal(&pn, peer))
        return rc;
    return wa_signal_group_decrypt(s->signal, &group, &pn, sealed, plain, fault);
}

static int open_enc(struct wa_session *s, const struct envelope *e, enum wa_enc_type type,
                    struct bytes sealed, struct buf *plain, enum wa_signal_fault *fault)
{
    struct wa_jid peer = wa_session_address(s, &e->in.sender);
    if (sealed.n > WA_ENC_MAX) {
        *fault = WA_FAULT_INVALID_MESSAGE;
        return ERR_AUTH;
    }
    if (type == WA_ENC_SKMSG) {
        return open_group(s, e, &peer, sealed, plain, fault);
    }
    return wa_signal_decrypt(s->signal, &peer, type, sealed, plain, fault);
}

static void take_sender_key(struct wa_session *s, const struct envelope *e,
                            const struct wa_content *c)
{
    if (c->skdm.n == 0 || e->from.server == WA_SERVER_PN || e->from.server == WA_SERVER_LID)
        return;
    struct wa_jid group = wa_jid_bare(&e->from);
    struct wa_jid peer = wa_session_address(s, &e->in.sender);
    if (wa_signal_process_skdm(s->signal, &group, &peer, c->skdm) == ERR_STORE)
        wa_session_end_store(s);
}

static void read_plain(struct wa_session *s, const struct envelope *e, struct bytes padded,
                       struct opened *o)
{
    struct wa_content content;
    int rc = wa_padding_remove(&padded);
    if (rc == 0)
        rc = wa_message_parse(padded, &s->arena, &content);
    if (rc < 0) {
        o->rc = ERR_INVALID;
        return;
    }
    take_sender_key(s, e, &content);
    if (!o->any || content.kind != WA_KIND_NONE)
        o->content = content;
    o->any = true;
}

static void open_one(struct wa_session *s, const struct envelope *e, const struct wa_node *enc,
                     enum wa_enc_type type, struct opened *o)
{
    struct buf plain = {.max = WA_ENC_MAX, .secret = true};
    enum wa_signal_fault fault = WA_FAULT_UNKNOWN;
    int rc = open_enc(s, e, type, wa_node_data(enc), &plain, &fault);
    o->pkmsg = o->pkmsg || type == WA_ENC_PKMSG;
    wa_session_watch_identity(s, &e->in.sender);
    if (rc == 0) {
        read_plain(s, e, buf_bytes(&plain), o);
    } else if (rc == 1) {
        o->duplicate = true;
    } else {
        o->rc = rc;
        o->fault = fault;
    }
    buf_deinit(&plain);
}

/* Pairwise first, since they may carry the key of the group message; stops at the first failure. */
static size_t open_all(struct wa_session *s, const struct envelope *e, struct opened *o)
{
    const struct wa_node *parent = enc_parent(s, e->node);
    size_t seen = 0;
    for (int group = 0; group <= 1; group++) {
        const struct wa_node *enc = wa_node_find(parent, "enc");
        for (; enc && seen < ENCS_MAX && o->rc == 0; enc = wa_node_next(enc, "enc")) {
            enum wa_enc_type type;
            if (wa_enc_parse(wa_node_attr(enc, "type"), &type) < 0) {
                o->rc = group ? ERR_UNSUPPORTED : 0;
                seen += (size_t)group;
            } else if ((type == WA_ENC_SKMSG) == (group == 1)) {
                open_one(s, e, enc, type, o);
                seen++;
            }
        }
    }
    return seen;
}

/* ---- retries -----------------------------------------------------------------------------------
 */

#define RETRY_TAG 8 /* bytes that tell apart what shares a record */
#define RETRY_COUNT RETRY_TAG
#define RETRY_PHONE (RETRY_TAG + 1)

struct retry {
    char key[8];
    uint8_t value[RETRY_TAG + 2]; /* tag, retries asked for, whether our own phone was asked */
};

/* Anyone can send what does not decrypt, so the counters are in a fixed number of records. Of two
 * messages that meet in one, the later one takes it. */
static int load_retry(struct wa_session *s, const struct envelope *e, struct retry *r)
{
    char chat[WA_JID_TEXT_SIZE], sender[WA_JID_TEXT_SIZE];
    uint8_t digest[WA_SHA256_LEN];
    AUTO_BUF struct buf text = {.max = 512}, stored = {.max = WA_RECORD_MAX};
    *r = (struct retry){0};
    buf_printf(&text, "%s/%s/", wa_jid_text(&e->in.chat, chat), wa_jid_text(&e->in.sender, sender));
    buf_append(&text, e->in.id);
    wa_sha256(digest, (struct bytes[]){buf_bytes(&text)}, 1);
    unsigned slot = (unsigned)(digest[0] << 8 | digest[1]) % WA_RETRY_RECORDS;
    snprintf(r->key, sizeof(r->key), "%u", slot);
    memcpy(r->value, digest + 2, RETRY_TAG);
    int rc = s->host->get(s->host->ctx, WA_TABLE_RETRY, r->key, &stored);
    if (rc < 0)
        return rc;
    if (stored.n > RETRY_TAG && stored.n <= sizeof(r->value) &&
        memcmp(stored.p, r->value, RETRY_TAG) == 0)
        memcpy(r->value, stored.p, stored.n);
    return 0;
}

static int save_retry(struct wa_session *s, const struct retry *r)
{
    return s->host->put(s->host->ctx, WA_TABLE_RETRY, r->key, BYTES_ARRAY(r->value));
}

/* Counts this failure; 0 when no retry is left, negative when the store failed. */
static int next_retry(struct wa_session *s, const struct envelope *e, struct retry *r)
{
    uint64_t count, told = 0;
    int rc = load_retry(s, e, r);
    if (rc < 0)
        return rc;
    count = r->value[RETRY_COUNT];
    if (wa_node_attr_u64(wa_node_find(enc_parent(s, e->node), "enc"), "count", &told) &&
        told > count)
        count = told;
    if (count >= RETRIES_MAX)
        return 0;
    r->value[RETRY_COUNT] = (uint8_t)(count + 1);
    rc = save_retry(s, r);
    return rc < 0 ? rc : r->value[RETRY_COUNT];
}

/* Our own phone may have it in clear; it is asked once for each message (protocol/05 section 8). */
static void ask_phone(struct wa_session *s, const struct envelope *e, struct retry *r)
{
    if (r->value[RETRY_PHONE] || !wa_placeholder_ask(s, &e->in))
        return;
    r->value[RETRY_PHONE] = 1;
    if (save_retry(s, r) < 0)
        wa_session_end_store(s);
}

static void forget_retries(struct wa_session *s, const struct envelope *e)
{
    if (!wa_node_attr(wa_node_find(enc_parent(s, e->node), "enc"), "count").p)
        return;
    struct retry r;
    if (load_retry(s, e, &r) < 0 || s->host->del(s->host->ctx, WA_TABLE_RETRY, r.key) < 0)
        wa_session_end_store(s);
}

/* ---- events ------------------------------------------------------------------------------------
 */

static void emit_message(struct wa_session *s, const struct envelope *e,
                         const struct wa_content *content, const char *fault, unsigned retry)
{
    struct wa_content *kept = arena_alloc(&s->arena, sizeof(*kept));
    *kept = *content;
    struct wa_event *ev = wa_session_emit(s, WA_EVENT_MESSAGE);
    ev->u.message = e->in;
    ev->u.message.content = kept;
    ev->u.message.fault = fault;
    ev->u.message.retry = retry;
}

static void emit_undecryptable(struct wa_session *s, const struct envelope *e, const char *fault,
                               unsigned retry)
{
    struct wa_content none = {.kind = WA_KIND_UNDECRYPTABLE, .protocol_type = -1};
    emit_message(s, e, &none, fault, retry);
}

static void ask_again(struct wa_session *s, const struct envelope *e, const struct opened *o)
{
    struct retry r;
    const char *fault = wa_fault_text(o->fault);
    int count = next_retry(s, e, &r);
    if (count < 0) {
        wa_session_end_store(s);
        return;
    }
    if (count > 0) {
        send_retry(s, e, (unsigned)count, o->fault, o->pkmsg);
    } else {
        ask_phone(s, e, &r);
        fault = arena_text(&s->arena, "%s; given up after %d retries", fault, RETRIES_MAX);
    }
    wa_receive_ack(s, e->node, 0);
    emit_undecryptable(s, e, fault, (unsigned)count);
}

/* Types are "view_once" and, in newer clients, "view_once_unavailable_fanout" and the like. */
static bool is_kind(const struct wa_node *unavailable, const char *prefix)
{
    struct bytes type = wa_node_attr(unavailable, "type");
    size_t n = strlen(prefix);
    return type.n >= n && bytes_is(BYTES(type.p, n), prefix);
}

/* The server has no copy for this device. What is to be seen once is for the phone alone. */
static void take_unavailable(struct wa_session *s, const struct envelope *e,
                             const struct wa_node *unavailable)
{
    struct retry r;
    bool once = is_kind(unavailable, "view_once");
    bool hosted = wa_node_attr(unavailable, "hosted").p || is_kind(unavailable, "hosted") ||
                  is_kind(unavailable, "bot");
    if (load_retry(s, e, &r) < 0) {
        wa_session_end_store(s);
        return;
    }
    if (!once && !hosted)
        ask_phone(s, e, &r);
    wa_receive_ack(s, e->node, 0);
    emit_undecryptable(s, e, once ? "view once: on the phone only" : "not sent to linked devices",
                       0);
}

/* Our own name, learnt from what the phone writes under it. */
static void learn_push_name(struct wa_session *s, const struct wa_incoming *in)
{
    if (!in->from_me || in->push_name.n == 0 || in->push_name.n >= sizeof(s->device.push_name) ||
        bytes_is(in->push_name, s->device.push_name))
        return;
    bytes_copy_text(in->push_name, s->device.push_name, sizeof(s->device.push_name));
    if (wa_device_save(&s->device, s->host) < 0)
        wa_session_end_store(s);
}

/* Only our own account may say that a message is a copy of what it sent, and only its phone may
 * send protocol data (protocol/05 section 9). */
static bool content_allowed(const struct envelope *e, const struct wa_content *content)
{
    bool phone = e->in.from_me && e->in.sender.device == 0;
    if (content->kind == WA_KIND_PROTOCOL && !phone &&
        (content->has_history_sync || wa_protocol_is_own_only(content->protocol_type)))
        return false;
    return e->in.from_me || !content->device_sent;
}

static void take_content(struct wa_session *s, struct envelope *e, struct wa_content *content)
{
    learn_push_name(s, &e->in);
    forget_retries(s, e);
    bool allowed = content_allowed(e, content);
    if (allowed && wa_protocol_is_own_only(content->protocol_type))
        wa_protocol_take(s, e->in.id, content);
    const char *fault = allowed ? wa_edits_take(s, &e->in, content) : NULL;
    send_receipt(s, e, allowed && content->has_history_sync);
    bool told = content->kind != WA_KIND_NONE && content->kind != WA_KIND_PROTOCOL;
    if (allowed && (told || content->timer_set))
        emit_message(s, e, content, fault, 0);
}

void wa_receive_message(struct wa_session *s, const struct wa_node *node)
{
    struct envelope e;
    struct opened o = {0};
    if (read_envelope(s, node, &e) < 0) {
        wa_receive_ack(s, node, ERROR_PARSE);
        return;
    }
    if (e.from.server == WA_SERVER_NEWSLETTER || wa_node_attr_is(node, "type", "medianotify")) {
        wa_receive_ack(s, node, 0);
        return;
    }
    size_t encs = open_all(s, &e, &o);
    if (s->phase == WA_PHASE_CLOSED)
        return;
    const struct wa_node *unavailable = wa_node_find(node, "unavailable");
    if (encs == 0 && unavailable)
        take_unavailable(s, &e, unavailable);
    else if (encs == 0)
        wa_receive_ack(s, node, ERROR_UNRECOGNISED);
    else if (o.rc == ERR_STORE)
        wa_session_end_store(s);
    else if (o.rc == ERR_UNSUPPORTED)
        wa_receive_ack(s, node, ERROR_SECRET);
    else if (o.rc == ERR_AUTH)
        ask_again(s, &e, &o);
    else if (o.rc < 0) {
        wa_receive_ack(s, node, ERROR_PROTOBUF);
        emit_undecryptable(s, &e, "not a message", 0);
    } else if (!o.any)
        /* A duplicate: what it said was recorded before. */
        send_receipt(s, &e, e.peer && wa_history_sync_knows(s, e.in.id));
    else
        take_content(s, &e, &o.content);
}
