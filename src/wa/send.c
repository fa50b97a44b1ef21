/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages out (protocol/06): which devices, which sessions, one ciphertext for each, the ack.
 *
 *   [GROUP -> (w:g2)] -> DEVICES -> (usync) -> SESSIONS -> (bundles) -> ACK -> gone
 *
 * A send moves as far as it can at once; the answers of the queries move it on. Nothing is
 * encrypted before all that can be had is there, so that one stanza carries every device.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "wa/pairing.h"
#include "wa/send_internal.h"

static int has_session(struct wa_session *s, const struct wa_jid *device);

static bool is_group(const struct wa_send *m)
{
    return m->to.server == WA_SERVER_GROUP;
}

void wa_send_drop(struct wa_session *s, struct wa_send *m)
{
    for (struct wa_send **at = &s->sends; *at; at = &(*at)->next) {
        if (*at != m)
            continue;
        *at = m->next;
        s->send_count--;
        break;
    }
    buf_deinit(&m->message);
    buf_deinit(&m->words);
    buf_deinit(&m->holders);
    free(m->devices);
    free(m);
}

void wa_send_free_all(struct wa_session *s)
{
    while (s->sends)
        wa_send_drop(s, s->sends);
}

static void emit_end(struct wa_session *s, enum wa_event_type type, struct wa_send *m, int64_t t,
                     unsigned error, const char *text)
{
    if (!m->resend && !m->peer) {
        struct wa_event *ev = wa_session_emit(s, type);
        ev->u.ack.id = arena_copy(&s->arena, bytes_text(m->id));
        ev->u.ack.timestamp_s = t;
        ev->u.ack.error = error;
        ev->u.ack.text = text;
    }
    wa_send_drop(s, m);
}

void wa_send_fail(struct wa_session *s, struct wa_send *m, const char *why)
{
    emit_end(s, WA_EVENT_SEND_FAILED, m, 0, 0, why);
}

void wa_send_refuse(struct wa_session *s, struct wa_send *m, unsigned code)
{
    emit_end(s, WA_EVENT_ACKED, m, 0, code ? code : WA_IQ_TIMED_OUT, NULL);
}

/* ---- devices -----------------------------------------------------------------------------------
 */

/* Our account in the namespace of the stanza: all its targets share one (protocol/06 section 1). */
static struct wa_jid own_user(const struct wa_session *s, const struct wa_send *m,
                              const struct wa_group *group)
{
    bool lid = group ? group->lid : wa_jid_is_lid(&m->to);
    return wa_jid_bare(lid ? &s->device.lid : &s->device.pn);
}

/* Whose devices get a copy: the recipients, then our own account. In the arena. */
static size_t recipients(struct wa_session *s, const struct wa_send *m,
                         const struct wa_group *group, struct wa_jid **out)
{
    size_t room = (group ? group->count : 1) + 1, n = 0;
    struct wa_jid own = own_user(s, m, group);
    *out = arena_alloc(&s->arena, room * sizeof(**out));
    if (m->resend) {
        **out = wa_jid_bare(&m->device);
        return 1;
    }
    if (!group)
        (*out)[n++] = m->to;
    for (size_t i = 0; group && i < group->count; i++)
        if (!wa_jid_same_user(&group->members[i], &own))
            (*out)[n++] = group->members[i];
    if (!wa_jid_is_none(&own) && (group || !wa_jid_same_user(&own, &m->to)))
        (*out)[n++] = own;
    return n;
}

/* Those of them whose device lists are not known. */
static size_t unknown_users(struct wa_session *s, const struct wa_send *m,
                            const struct wa_group *group, struct wa_jid **out)
{
    size_t total = recipients(s, m, group, out), count = 0, known;
    for (size_t i = 0; i < total; i++)
        if (!wa_device_cache_count(s->devices, &(*out)[i], &known, wa_session_now(s)))
            (*out)[count++] = (*out)[i];
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

/* A phone number that the server does not list, and that never wrote to us, is nobody's. */
static bool is_nobody(struct wa_session *s, const struct wa_send *m, const struct wa_jid *asked,
                      size_t count, const struct wa_usync_user *users)
{
    bool was_asked = false;
    for (size_t i = 0; i < count; i++)
        was_asked = was_asked || wa_jid_equal(&asked[i], &m->to);
    for (const struct wa_usync_user *u = users; u; u = u->next)
        if (wa_jid_same_user(&u->user, &m->to))
            return false;
    return was_asked && wa_jid_is_pn(&m->to) && has_session(s, &m->to) == 0;
}

static bool find_account_key(void *ctx, const struct wa_jid *user, uint8_t key[WA_KEY_LEN])
{
    struct wa_session *s = ctx;
    struct wa_jid address = wa_session_address(s, user);
    return wa_signal_get_identity(s->signal, &address, key) == 1;
}

static void on_devices(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    struct wa_send *m = arg;
    struct wa_usync_user *users;
    struct wa_jid *asked = NULL;
    const struct wa_account_keys keys = {find_account_key, s};
    (void)code;
    if (!answer || wa_usync_parse(answer, &keys, &users) < 0) {
        wa_send_fail(s, m, "the device list could not be had");
        return;
    }
    const struct wa_group *group =
        is_group(m) ? wa_group_cache_get(s->groups, &m->to, wa_session_now(s)) : NULL;
    size_t count = is_group(m) && !group ? 0 : unknown_users(s, m, group, &asked);
    if (!m->resend && is_nobody(s, m, asked, count, users)) {
        emit_end(s, WA_EVENT_SEND_FAILED, m, 0, 404, "the recipient is not on WhatsApp");
        return;
    }
    for (size_t i = 0; i < count; i++)
        cache_devices(s, users, &asked[i]);
    m->state = WA_SEND_SESSIONS;
    wa_send_step(s, m);
}

static void ask_devices(struct wa_session *s, struct wa_send *m, const struct wa_jid *users,
                        size_t count)
{
    struct wa_node *iq = wa_session_query(s, "get", "usync");
    char sid[WA_IQ_ID_SIZE];
    wa_iq_id(&s->iq, sid);
    wa_usync_build(iq, sid, users, count);
    m->state = WA_SEND_DEVICES_ASKED;
    wa_session_ask(s, iq, on_devices, m);
}

static bool is_hosted(const struct wa_jid *device)
{
    return device->server == WA_SERVER_HOSTED || device->server == WA_SERVER_HOSTED_LID;
}

bool wa_send_knows(struct wa_session *s, const struct wa_jid *device)
{
    size_t count;
    const struct wa_jid *list = wa_device_cache_get(s->devices, device, &count, wa_session_now(s));
    for (size_t i = 0; list && i < count; i++)
        if (wa_jid_equal(&list[i], device))
            return true;
    return device->device == 0;
}

/* Hosted devices take no part in groups (protocol/06 section 3.3). */
static size_t add_devices(struct wa_session *s, const struct wa_jid *user, bool hosted,
                          struct wa_jid *out, size_t room)
{
    size_t count, n = 0;
    const struct wa_jid *list = wa_device_cache_get(s->devices, user, &count, wa_session_now(s));
    if (!list) { /* the list fell out of the cache: the primary is always there */
        list = user;
        count = 1;
    }
    for (size_t i = 0; i < count && n < room; i++)
        if (!wa_jid_equal(&list[i], &s->device.pn) && !wa_jid_equal(&list[i], &s->device.lid) &&
            (hosted || !is_hosted(&list[i])))
            out[n++] = list[i];
    return n;
}

/* No more than these lists have; a user whose list is not known has a primary. */
static size_t count_devices(struct wa_session *s, const struct wa_jid *users, size_t count)
{
    size_t sum = 0, known;
    for (size_t i = 0; i < count; i++)
        sum += wa_device_cache_count(s->devices, &users[i], &known, wa_session_now(s)) ? known : 1;
    return sum;
}

/* Every device that gets a copy: the recipients', then our other ones. In the arena. */
static size_t targets(struct wa_session *s, const struct wa_send *m, const struct wa_group *group,
                      struct wa_jid **out)
{
    struct wa_jid *users;
    size_t room, n = 0;
    if (m->resend || m->peer) {
        *out = arena_alloc(&s->arena, sizeof(**out));
        **out = m->device;
        return 1;
    }
    size_t count = recipients(s, m, group, &users);
    room = count_devices(s, users, count);
    if (room > WA_GROUP_DEVICES_MAX)
        room = WA_GROUP_DEVICES_MAX;
    *out = arena_alloc(&s->arena, room * sizeof(**out));
    for (size_t i = 0; i < count; i++)
        n += add_devices(s, &users[i], !group, *out + n, room - n);
    return n;
}

/* ---- sessions ----------------------------------------------------------------------------------
 */

static int has_session(struct wa_session *s, const struct wa_jid *device)
{
    struct wa_jid address = wa_session_address(s, device);
    return wa_signal_has_session(s->signal, &address);
}

bool wa_send_vouched(struct wa_session *s, const struct wa_jid *device,
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
        !wa_send_vouched(s, &device, &bundle, identity) || has_session(s, &device) == 1)
        return 0;
    struct wa_jid address = wa_session_address(s, &device);
    int rc = wa_signal_process_bundle(s->signal, &address, &bundle);
    wa_session_watch_identity(s, &device);
    return rc;
}

/* The server has no keys of a device that its list names. */
static void lose_device(struct wa_session *s, const struct wa_node *user)
{
    struct wa_jid device;
    if (wa_node_find(user, "error") && wa_node_attr_jid(user, "jid", &device))
        wa_device_cache_lose(s->devices, &device, wa_session_now(s));
}

static void on_bundles(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    struct wa_send *m = arg;
    (void)code;
    const struct wa_node *user = wa_node_find(wa_node_find(answer, "list"), "user");
    for (; user; user = wa_node_next(user, "user")) {
        lose_device(s, user);
        if (take_bundle(s, user) == ERR_STORE) {
            wa_session_end_store(s);
            return;
        }
    }
    wa_send_step(s, m);
}

/* True when it had to ask; then the answer goes on. */
static bool ask_bundles(struct wa_session *s, struct wa_send *m, const struct wa_jid *devices,
                        size_t count)
{
    struct wa_jid *missing = arena_alloc(&s->arena, (count + 1) * sizeof(*missing));
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
    m->state = WA_SEND_SESSIONS_ASKED;
    wa_session_ask(s, iq, on_bundles, m);
    return true;
}

/* ---- the stanza --------------------------------------------------------------------------------
 */

int wa_send_seal(struct wa_session *s, struct wa_node *parent, const struct wa_jid *device,
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

void wa_send_add_identity(struct wa_session *s, struct wa_node *message, bool pkmsg)
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
        rc = wa_send_seal(s, target, &devices[i], buf_bytes(own ? &copy : &m->message), 0, pkmsg);
        if (rc == 1) {
            wa_node_append(participants, target);
            reached += !own || own_chat;
        }
    }
    buf_deinit(&copy);
    return rc < 0 ? rc : reached;
}

/* ---- the way to the wire -----------------------------------------------------------------------
 */

void wa_send_put(struct wa_session *s, struct wa_send *m, const struct wa_node *node)
{
    m->state = WA_SEND_ACK;
    m->ack_until = wa_session_now(s) + WA_SEND_ACK_TIMEOUT_MS;
    wa_session_put(s, node);
}

/* For the hash of them that may be in the ack. */
static void keep_devices(struct wa_session *s, struct wa_send *m, const struct wa_jid *devices,
                         size_t count)
{
    m->devices = err_realloc(m->devices, (count + 1) * sizeof(*m->devices));
    memcpy(m->devices, devices, count * sizeof(*m->devices));
    m->devices[count] = wa_jid_is_lid(&m->to) ? s->device.lid : s->device.pn;
    m->device_count = count;
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
        wa_send_fail(s, m, "no device of the recipient could be encrypted for");
        return;
    }
    wa_send_add_identity(s, node, pkmsg);
    m->token_due = wa_send_add_token(s, &m->to, node);
    keep_devices(s, m, devices, count);
    wa_send_put(s, m, node);
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
        rc = wa_send_seal(s, node, &m->device, buf_bytes(own ? &copy : &m->message), m->retry_count,
                          &pkmsg);
    buf_deinit(&copy);
    if (rc == 1) {
        wa_send_add_identity(s, node, pkmsg);
        wa_session_put(s, node);
    }
    wa_send_drop(s, m);
    if (rc == ERR_STORE)
        wa_session_end_store(s);
}

/* ---- the way of one send -----------------------------------------------------------------------
 */

static void put(struct wa_session *s, struct wa_send *m, const struct wa_jid *devices, size_t count)
{
    if (m->peer)
        wa_send_peer_put(s, m);
    else if (is_group(m) && m->resend)
        wa_send_group_again(s, m);
    else if (is_group(m))
        wa_send_group_put(s, m, devices, count);
    else if (m->resend)
        put_resend(s, m);
    else
        put_fanout(s, m, devices, count);
}

void wa_send_step(struct wa_session *s, struct wa_send *m)
{
    const struct wa_group *group = NULL;
    struct wa_jid *devices, *wanted;
    if (is_group(m) && !(group = wa_send_group(s, m)))
        return;
    if (m->state == WA_SEND_DEVICES) {
        size_t unknown = unknown_users(s, m, group, &wanted);
        if (unknown > 0) {
            ask_devices(s, m, wanted, unknown);
            return;
        }
    }
    if (m->resend && !wa_send_knows(s, &m->device)) {
        wa_send_drop(s, m); /* its user does not have such a device */
        return;
    }
    size_t count = targets(s, m, group, &devices);
    int want = (int)count;
    wanted = devices;
    if (group && !m->resend)
        want = wa_send_group_lacking(s, m, devices, count, &wanted);
    if (want < 0)
        wa_session_end_store(s);
    else if (m->state == WA_SEND_SESSIONS_ASKED || !ask_bundles(s, m, wanted, (size_t)want))
        put(s, m, devices, count);
}

struct wa_send *wa_send_new(struct wa_session *s, const char *id, const struct wa_jid *to)
{
    struct wa_send *m = err_calloc(1, sizeof(*m));
    buf_init_secret(&m->message, WA_MESSAGE_MAX);
    buf_init_secret(&m->words, WA_MESSAGE_MAX);
    buf_init(&m->holders, WA_RECORD_MAX);
    bytes_copy_text(bytes_text(id), m->id, sizeof(m->id));
    m->to = wa_jid_bare(to);
    m->session = s;
    m->state = is_group(m) ? WA_SEND_GROUP : WA_SEND_DEVICES;
    m->ack_until = CLOCK_NEVER;
    struct wa_send **at = &s->sends;
    while (*at)
        at = &(*at)->next;
    *at = m;
    s->send_count++;
    return m;
}

static struct wa_send *add_send(struct wa_session *s, const struct wa_outgoing *o)
{
    struct wa_send *m = wa_send_new(s, o->id, &o->to);
    if (is_group(m))
        wa_send_group_keep(m, &o->text);
    if (wa_message_build_text(&m->message, &o->text) == 0)
        return m;
    wa_send_drop(s, m);
    return NULL;
}

static int check_outgoing(const struct wa_session *s, const struct wa_outgoing *m)
{
    if (s->phase != WA_PHASE_ONLINE)
        return ERR_STATE;
    if (m->to.server == WA_SERVER_BROADCAST)
        return ERR_UNSUPPORTED;
    if (!m->id || !m->id[0] || strlen(m->id) > WA_SEND_ID_MAX ||
        !(wa_jid_is_user(&m->to) || (m->to.server == WA_SERVER_GROUP && m->to.user[0])) ||
        m->text.text.n > WA_TEXT_MAX || !text_utf8_valid(m->text.text))
        return ERR_INVALID;
    return s->send_count >= WA_SENDS_MAX ? ERR_LIMIT : 0;
}

int wa_session_send(struct wa_session *s, const struct wa_outgoing *o)
{
    int rc = check_outgoing(s, o);
    if (rc < 0)
        return rc;
    if (s->event_next == s->event_count)
        arena_reset(&s->arena); /* many in a row need no more memory than one */
    struct wa_send *m = add_send(s, o);
    if (!m)
        return ERR_INVALID;
    wa_send_step(s, m);
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
    if (!wa_send_knows(s, &m->device)) /* linked since the list was had, or made up */
        wa_device_cache_drop(s->devices, &m->device);
    else if (!is_group(m))
        m->state = WA_SEND_SESSIONS;
    wa_send_step(s, m);
    return 0;
}

/* ---- acks --------------------------------------------------------------------------------------
 */

#define ERROR_NAMESPACE 400
#define ERROR_STRANGER 463
#define ERROR_SCHEMA 479

/* The lists that the message was made from are asked for again before the next one. */
static void forget_devices(struct wa_session *s, const struct wa_send *m)
{
    struct wa_jid own = own_user(s, m, NULL);
    wa_device_cache_drop(s->devices, &m->to);
    wa_device_cache_drop(s->devices, &own);
}

/* With our own device or without it: the sources differ (protocol/06 section 8.1). */
static bool is_phash_of(struct bytes theirs, const struct wa_send *m)
{
    char all[WA_PHASH_SIZE], others[WA_PHASH_SIZE];
    wa_phash(all, m->devices, m->device_count + 1);
    wa_phash(others, m->devices, m->device_count);
    return bytes_is(theirs, all) || bytes_is(theirs, others);
}

/* It comes when the server knows other devices. */
static void check_phash(struct wa_session *s, const struct wa_send *m, const struct wa_node *ack)
{
    struct bytes theirs = wa_node_attr(ack, "phash");
    if (theirs.n > 0 && m->devices && !is_phash_of(theirs, m))
        forget_devices(s, m);
}

/* Once, to the other name of the recipient: an account may not be addressed by LID yet. */
static bool try_other_namespace(struct wa_session *s, struct wa_send *m)
{
    struct wa_jid other =
        wa_jid_is_lid(&m->to) ? wa_session_pn_of(s, &m->to) : wa_session_lid_of(s, &m->to);
    if (m->other_name || wa_jid_is_none(&other))
        return false;
    m->other_name = true;
    m->to = wa_jid_bare(&other);
    m->state = WA_SEND_DEVICES;
    m->ack_until = CLOCK_NEVER;
    wa_send_step(s, m);
    return true;
}

/* True when m was taken back to be sent again. */
static bool user_acked(struct wa_session *s, struct wa_send *m, const struct wa_node *ack,
                       uint64_t error)
{
    check_phash(s, m, ack);
    if (error == ERROR_SCHEMA)
        forget_devices(s, m);
    if (m->token_due && (error == 0 || error == ERROR_STRANGER))
        wa_send_issue_token(s, &m->to);
    return error == ERROR_NAMESPACE && try_other_namespace(s, m);
}

void wa_send_acked(struct wa_session *s, const struct wa_node *ack)
{
    struct bytes id = wa_node_attr(ack, "id");
    uint64_t t = 0, error = 0;
    wa_node_attr_u64(ack, "t", &t);
    wa_node_attr_u64(ack, "error", &error);
    for (struct wa_send *m = s->sends; m; m = m->next) {
        if (m->state != WA_SEND_ACK || !bytes_is(id, m->id))
            continue;
        if (is_group(m) ? wa_send_group_acked(s, m, ack, error)
                        : !m->peer && user_acked(s, m, ack, error))
            return;
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
            wa_send_fail(s, m, "the server did not acknowledge it");
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
