/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages out (protocol/06): which devices, which sessions, one ciphertext for each, the ack.
 *
 *   DEVICES -> (usync) -> SESSIONS -> (bundles) -> ACK -> gone
 *
 * A send moves as far as it can at once; the answers of the queries move it on. Nothing is
 * encrypted before all that can be had is there, so that one stanza carries every device.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "wa/pairing.h"
#include "wa/session_internal.h"

#define ACK_TIMEOUT_MS 75000
#define DEVICES_MAX (2 * WA_DEVICES_PER_USER_MAX)
#define ID_MAX 64

enum send_state { SEND_DEVICES, SEND_DEVICES_ASKED, SEND_SESSIONS, SEND_SESSIONS_ASKED, SEND_ACK };

struct wa_send {
    struct wa_send *next;
    struct wa_session *session;
    enum send_state state;
    char id[ID_MAX + 1];
    struct wa_jid to;
    struct buf message; /* serialised Message, unpadded */
    int64_t ack_until;
    char phash[WA_PHASH_SIZE];
    bool resend; /* for the one device that asked */
    struct wa_jid device;
    unsigned retry_count;
};

static void step(struct wa_session *s, struct wa_send *m);

static void unlink_send(struct wa_session *s, struct wa_send *m)
{
    for (struct wa_send **at = &s->sends; *at; at = &(*at)->next) {
        if (*at != m)
            continue;
        *at = m->next;
        s->send_count--;
        break;
    }
    buf_deinit(&m->message);
    free(m);
}

void wa_send_free_all(struct wa_session *s)
{
    while (s->sends)
        unlink_send(s, s->sends);
}

static void emit_end(struct wa_session *s, enum wa_event_type type, struct wa_send *m, int64_t t,
                     unsigned error, const char *text)
{
    if (!m->resend) {
        struct wa_event *ev = wa_session_emit(s, type);
        ev->u.ack.id = arena_copy(&s->arena, bytes_text(m->id));
        ev->u.ack.timestamp_s = t;
        ev->u.ack.error = error;
        ev->u.ack.text = text;
    }
    unlink_send(s, m);
}

static void fail(struct wa_session *s, struct wa_send *m, const char *why)
{
    emit_end(s, WA_EVENT_SEND_FAILED, m, 0, 0, why);
}

/* ---- devices -----------------------------------------------------------------------------------
 */

/* Our account in the namespace of `to`: all targets of a stanza share one (protocol/06 section 1).
 */
static struct wa_jid own_user(const struct wa_session *s, const struct wa_jid *to)
{
    return wa_jid_bare(wa_jid_is_lid(to) ? &s->device.lid : &s->device.pn);
}

/* The users whose device lists are not known: 0, 1 or 2 of them. */
static size_t unknown_users(struct wa_session *s, const struct wa_send *m, struct wa_jid out[2])
{
    struct wa_jid users[2] = {m->to, own_user(s, &m->to)};
    size_t count = 0, known;
    for (size_t i = 0; i < 2; i++) {
        if (wa_jid_is_none(&users[i]) || (i == 1 && wa_jid_same_user(&users[0], &users[1])))
            continue;
        if (!wa_device_cache_get(s->devices, &users[i], &known, wa_session_now(s)))
            out[count++] = users[i];
    }
    return count;
}

/* What the server does not list is taken to have its primary device: this user wrote to us. */
static void cache_devices(struct wa_session *s, const struct wa_usync_user *users,
                          const struct wa_jid *asked)
{
    int64_t now = wa_session_now(s);
    for (const struct wa_usync_user *u = users; u; u = u->next) {
        if (!wa_jid_same_user(&u->user, asked) || u->failed || u->count == 0)
            continue;
        wa_device_cache_put(s->devices, asked, u->devices, u->count, now);
        if (!wa_jid_is_none(&u->lid))
            wa_session_learn_lid(s, &u->user, &u->lid);
        return;
    }
    wa_device_cache_put(s->devices, asked, asked, 1, now);
}

static void on_devices(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    struct wa_send *m = arg;
    struct wa_usync_user *users;
    struct wa_jid asked[2];
    (void)code;
    if (!answer || wa_usync_parse(answer, &users) < 0) {
        fail(s, m, "the device list could not be had");
        return;
    }
    size_t count = unknown_users(s, m, asked);
    for (size_t i = 0; i < count; i++)
        cache_devices(s, users, &asked[i]);
    m->state = SEND_SESSIONS;
    step(s, m);
}

static void ask_devices(struct wa_session *s, struct wa_send *m, const struct wa_jid *users,
                        size_t count)
{
    struct wa_node *iq = wa_session_query(s, "get", "usync");
    char sid[WA_IQ_ID_SIZE];
    wa_iq_id(&s->iq, sid);
    wa_usync_build(iq, sid, users, count);
    m->state = SEND_DEVICES_ASKED;
    wa_session_ask(s, iq, on_devices, m);
}

static size_t add_devices(struct wa_session *s, const struct wa_jid *user, struct wa_jid *out,
                          size_t n)
{
    size_t count;
    const struct wa_jid *list = wa_device_cache_get(s->devices, user, &count, wa_session_now(s));
    for (size_t i = 0; list && i < count && n < DEVICES_MAX; i++)
        if (!wa_jid_equal(&list[i], &s->device.pn) && !wa_jid_equal(&list[i], &s->device.lid))
            out[n++] = list[i];
    return n;
}

/* Every device that gets a copy: the recipient's, then our other ones. */
static size_t targets(struct wa_session *s, const struct wa_send *m, struct wa_jid *out)
{
    if (m->resend) {
        out[0] = m->device;
        return 1;
    }
    size_t n = add_devices(s, &m->to, out, 0);
    struct wa_jid own = own_user(s, &m->to);
    if (!wa_jid_is_none(&own) && !wa_jid_same_user(&own, &m->to))
        n = add_devices(s, &own, out, n);
    return n;
}

/* ---- sessions ----------------------------------------------------------------------------------
 */

static int has_session(struct wa_session *s, const struct wa_jid *device)
{
    struct wa_jid address = wa_session_address(s, device);
    return wa_signal_has_session(s->signal, &address);
}

/* A companion's key must be vouched for by its primary, when that one's key is known. */
static bool vouched(struct wa_session *s, const struct wa_jid *device,
                    const struct wa_bundle *bundle, struct bytes device_identity)
{
    uint8_t account[WA_KEY_LEN];
    struct wa_jid primary = wa_jid_with_device(device, 0),
                  address = wa_session_address(s, &primary);
    if (device->device == 0 || device_identity.n == 0)
        return true;
    bool known = wa_signal_get_identity(s->signal, &address, account) == 1;
    return wa_pairing_verify_companion(device_identity, bundle->identity,
                                       known ? BYTES_ARRAY(account) : BYTES_NONE) >= 0;
}

static int take_bundle(struct wa_session *s, const struct wa_node *user)
{
    struct wa_jid device;
    struct wa_bundle bundle;
    struct bytes identity;
    if (!wa_node_attr_jid(user, "jid", &device) || wa_bundle_parse(user, &bundle, &identity) < 0 ||
        !vouched(s, &device, &bundle, identity) || has_session(s, &device) == 1)
        return 0;
    struct wa_jid address = wa_session_address(s, &device);
    return wa_signal_process_bundle(s->signal, &address, &bundle);
}

static void on_bundles(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    struct wa_send *m = arg;
    (void)code;
    const struct wa_node *user = wa_node_find(wa_node_find(answer, "list"), "user");
    for (; user; user = wa_node_next(user, "user")) {
        if (take_bundle(s, user) == ERR_STORE) {
            wa_session_end_store(s);
            return;
        }
    }
    step(s, m);
}

/* True when it had to ask; then the answer goes on. */
static bool ask_bundles(struct wa_session *s, struct wa_send *m, const struct wa_jid *devices,
                        size_t count)
{
    struct wa_jid missing[DEVICES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        int rc = has_session(s, &devices[i]);
        if (rc < 0) {
            wa_session_end_store(s);
            return true;
        }
        if (rc == 0)
            missing[n++] = devices[i];
    }
    if (n == 0)
        return false;
    struct wa_node *iq = wa_session_query(s, "get", "encrypt");
    wa_bundle_build_query(iq, missing, n);
    m->state = SEND_SESSIONS_ASKED;
    wa_session_ask(s, iq, on_bundles, m);
    return true;
}

/* ---- the stanza --------------------------------------------------------------------------------
 */

/* 1 sealed into an <enc> below parent, 0 no session for this device, ERR_STORE. */
static int seal_for(struct wa_session *s, struct wa_node *parent, const struct wa_jid *device,
                    struct bytes message, unsigned retry_count, bool *pkmsg)
{
    struct wa_jid address = wa_session_address(s, device);
    struct buf padded = {.max = WA_MESSAGE_MAX + 16, .secret = true},
               sealed = {.max = WA_ENC_MAX * 2};
    enum wa_enc_type type;
    uint8_t random;
    s->host->random(s->host->ctx, &random, 1);
    int rc = wa_padding_add(&padded, message, random);
    if (rc == 0)
        rc = wa_signal_encrypt(s->signal, &address, buf_bytes(&padded), &type, &sealed);
    if (rc == 0) {
        struct wa_node *enc = wa_node_child_data(parent, "enc", buf_bytes(&sealed));
        wa_node_set(enc, "v", "2");
        wa_node_set(enc, "type", wa_enc_text(type));
        if (retry_count)
            wa_node_set_u64(enc, "count", retry_count);
        *pkmsg = *pkmsg || type == WA_ENC_PKMSG;
    }
    buf_deinit(&padded);
    buf_deinit(&sealed);
    return rc == 0 ? 1 : rc == ERR_STORE ? ERR_STORE : 0;
}

static void add_device_identity(struct wa_session *s, struct wa_node *message, bool pkmsg)
{
    if (pkmsg)
        wa_node_child_data(message, "device-identity",
                           BYTES(s->device.account, s->device.account_len));
}

/* Fills <participants>; the number of the recipient's devices that got a copy, or ERR_STORE. */
static int seal_all(struct wa_session *s, struct wa_send *m, struct wa_node *participants,
                    const struct wa_jid *devices, size_t count, bool *pkmsg)
{
    char to[WA_JID_TEXT_SIZE];
    struct buf copy = {.max = WA_MESSAGE_MAX + 256, .secret = true};
    int rc = wa_message_build_device_sent(&copy, wa_jid_text(&m->to, to), buf_bytes(&m->message));
    int reached = 0;
    bool own_chat = wa_device_is_own(&s->device, &m->to);
    for (size_t i = 0; i < count && rc >= 0; i++) {
        bool own = wa_device_is_own(&s->device, &devices[i]);
        struct wa_node *target = wa_node_new(&s->arena, "to");
        wa_node_set_jid(target, "jid", &devices[i]);
        rc = seal_for(s, target, &devices[i], buf_bytes(own ? &copy : &m->message), 0, pkmsg);
        if (rc == 1) {
            wa_node_append(participants, target);
            reached += !own || own_chat;
        }
    }
    buf_deinit(&copy);
    return rc < 0 ? rc : reached;
}

static void put_fanout(struct wa_session *s, struct wa_send *m, const struct wa_jid *devices,
                       size_t count)
{
    bool pkmsg = false;
    struct wa_node *node = wa_session_stanza(s, "message");
    wa_node_set(node, "id", m->id);
    wa_node_set_jid(node, "to", &m->to);
    wa_node_set(node, "type", "text");
    struct wa_node *participants = wa_node_child(node, "participants");
    int reached = seal_all(s, m, participants, devices, count, &pkmsg);
    if (reached < 0) {
        wa_session_end_store(s);
        return;
    }
    if (reached == 0) {
        fail(s, m, "no device of the recipient could be encrypted for");
        return;
    }
    add_device_identity(s, node, pkmsg);
    wa_phash(m->phash, devices, count);
    m->state = SEND_ACK;
    m->ack_until = wa_session_now(s) + ACK_TIMEOUT_MS;
    wa_session_put(s, node);
}

/* protocol/06 section 11 step 7: to the device that asked, without <participants>. */
static void put_resend(struct wa_session *s, struct wa_send *m)
{
    bool pkmsg = false, own = wa_device_is_own(&s->device, &m->device);
    char to[WA_JID_TEXT_SIZE];
    struct buf copy = {.max = WA_MESSAGE_MAX + 256, .secret = true};
    struct wa_node *node = wa_session_stanza(s, "message");
    wa_node_set(node, "id", m->id);
    wa_node_set_jid(node, "to", &m->device);
    wa_node_set(node, "type", "text");
    wa_node_set(node, "device_fanout", "false");
    if (own)
        wa_node_set_jid(node, "recipient", &m->to);
    int rc = 0;
    if (own)
        rc = wa_message_build_device_sent(&copy, wa_jid_text(&m->to, to), buf_bytes(&m->message));
    if (rc == 0)
        rc = seal_for(s, node, &m->device, buf_bytes(own ? &copy : &m->message), m->retry_count,
                      &pkmsg);
    buf_deinit(&copy);
    if (rc == 1) {
        add_device_identity(s, node, pkmsg);
        wa_session_put(s, node);
    }
    unlink_send(s, m);
    if (rc == ERR_STORE)
        wa_session_end_store(s);
}

/* ---- the way of one send -----------------------------------------------------------------------
 */

static void step(struct wa_session *s, struct wa_send *m)
{
    struct wa_jid devices[DEVICES_MAX], unknown[2];
    if (m->state == SEND_DEVICES && !m->resend) {
        size_t count = unknown_users(s, m, unknown);
        if (count > 0) {
            ask_devices(s, m, unknown, count);
            return;
        }
    }
    size_t count = targets(s, m, devices);
    bool may_ask = m->state != SEND_SESSIONS_ASKED;
    if (may_ask && ask_bundles(s, m, devices, count))
        return;
    if (m->resend)
        put_resend(s, m);
    else
        put_fanout(s, m, devices, count);
}

static struct wa_send *add_send(struct wa_session *s, const struct wa_outgoing *o)
{
    struct wa_send *m = err_calloc(1, sizeof(*m));
    buf_init_secret(&m->message, WA_MESSAGE_MAX);
    if (wa_message_build_text(&m->message, &o->text) < 0) {
        buf_deinit(&m->message);
        free(m);
        return NULL;
    }
    bytes_copy_text(bytes_text(o->id), m->id, sizeof(m->id));
    m->to = wa_jid_bare(&o->to);
    m->session = s;
    m->ack_until = CLOCK_NEVER;
    struct wa_send **at = &s->sends;
    while (*at)
        at = &(*at)->next;
    *at = m;
    s->send_count++;
    return m;
}

static int check_outgoing(const struct wa_session *s, const struct wa_outgoing *m)
{
    if (s->phase != WA_PHASE_ONLINE)
        return ERR_STATE;
    if (m->to.server == WA_SERVER_GROUP || m->to.server == WA_SERVER_BROADCAST)
        return ERR_UNSUPPORTED;
    if (!m->id || !m->id[0] || strlen(m->id) > ID_MAX || !wa_jid_is_user(&m->to) ||
        m->text.text.n > WA_TEXT_MAX || !text_utf8_valid(m->text.text))
        return ERR_INVALID;
    return s->send_count >= WA_SENDS_MAX ? ERR_LIMIT : 0;
}

int wa_session_send(struct wa_session *s, const struct wa_outgoing *o)
{
    int rc = check_outgoing(s, o);
    if (rc < 0)
        return rc;
    struct wa_send *m = add_send(s, o);
    if (!m)
        return ERR_INVALID;
    step(s, m);
    return 0;
}

int wa_session_resend(struct wa_session *s, const struct wa_event *request,
                      const struct wa_outgoing *o)
{
    int rc = check_outgoing(s, o);
    if (rc < 0)
        return rc;
    struct wa_send *m = add_send(s, o);
    if (!m)
        return ERR_INVALID;
    m->resend = true;
    m->device = request->u.resend.device;
    m->retry_count = request->u.resend.count;
    step(s, m);
    return 0;
}

/* ---- acks --------------------------------------------------------------------------------------
 */

static void check_phash(struct wa_session *s, const struct wa_send *m, const struct wa_node *ack)
{
    struct bytes theirs = wa_node_attr(ack, "phash");
    if (theirs.n == 0 || bytes_is(theirs, m->phash))
        return;
    struct wa_jid own = own_user(s, &m->to);
    wa_device_cache_drop(s->devices, &m->to);
    wa_device_cache_drop(s->devices, &own);
}

void wa_send_acked(struct wa_session *s, const struct wa_node *ack)
{
    struct bytes id = wa_node_attr(ack, "id");
    uint64_t t = 0, error = 0;
    wa_node_attr_u64(ack, "t", &t);
    wa_node_attr_u64(ack, "error", &error);
    for (struct wa_send *m = s->sends; m; m = m->next) {
        if (m->state != SEND_ACK || !bytes_is(id, m->id))
            continue;
        check_phash(s, m, ack);
        emit_end(s, WA_EVENT_ACKED, m, (int64_t)(t & INT64_MAX), (unsigned)error, NULL);
        return;
    }
}

void wa_send_expire(struct wa_session *s, int64_t now_ms)
{
    struct wa_send *next;
    for (struct wa_send *m = s->sends; m; m = next) {
        next = m->next;
        if (m->ack_until <= now_ms)
            fail(s, m, "the server did not acknowledge it");
    }
}

int64_t wa_send_deadline(const struct wa_session *s)
{
    int64_t first = CLOCK_NEVER;
    for (const struct wa_send *m = s->sends; m; m = m->next)
        if (m->ack_until < first)
            first = m->ack_until;
    return first;
}

/* ---- small stanzas -----------------------------------------------------------------------------
 */

void wa_session_typing(struct wa_session *s, const struct wa_jid *chat, bool composing)
{
    struct wa_node *state = wa_session_stanza(s, "chatstate");
    wa_node_set_jid(state, "to", chat);
    wa_node_child(state, composing ? "composing" : "paused");
    wa_session_put(s, state);
}

void wa_session_mark_read(struct wa_session *s, const struct wa_jid *chat,
                          const struct wa_jid *sender, struct bytes id)
{
    struct wa_node *receipt = wa_session_stanza(s, "receipt");
    wa_node_set_bytes(receipt, "id", id);
    wa_node_set(receipt, "type", "read");
    wa_node_set_jid(receipt, "to", chat);
    wa_node_set_u64(receipt, "t", (uint64_t)(s->host->wall_ms(s->host->ctx) / 1000));
    if (sender && !wa_jid_is_none(sender))
        wa_node_set_jid(receipt, "participant", sender);
    wa_session_put(s, receipt);
}
