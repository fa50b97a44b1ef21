/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages to groups: one ciphertext under our sender key, and the key to those who lack it
 * (protocol/06 section 14, protocol/04 section 11.3). */
#include "base/clock.h"
#include "wa/send_internal.h"

#define GROUP_TRIES_MAX 3
#define ERROR_STALE 421

/* ---- who is in it ----------------------------------------------------------------------------
 */

/* The list names most members in both namespaces. */
static void learn_members(struct wa_session *s, const struct wa_node *group)
{
    const struct wa_node *p = wa_node_find(group, "participant");
    for (; p; p = wa_node_next(p, "participant"))
        wa_session_learn_participant(s, p);
}

static void on_group(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    struct wa_send *m = arg;
    struct wa_group *group;
    if (!answer) {
        wa_send_refuse(s, m, code);
        return;
    }
    if (wa_group_parse(answer, &m->to, &group) < 0) {
        wa_send_fail(s, m, "the server did not say who is in the group");
        return;
    }
    wa_group_cache_put(s->groups, group, wa_session_now(s));
    learn_members(s, wa_node_find(answer, "group"));
    wa_send_step(s, m);
}

const struct wa_group *wa_send_group(struct wa_session *s, struct wa_send *m)
{
    const struct wa_group *group = wa_group_cache_get(s->groups, &m->to, wa_session_now(s));
    if (group) {
        if (m->state <= WA_SEND_GROUP_ASKED)
            m->state =
                m->resend && wa_send_knows(s, &m->device) ? WA_SEND_SESSIONS : WA_SEND_DEVICES;
        return group;
    }
    if (m->group_tries++ == GROUP_TRIES_MAX) {
        wa_send_fail(s, m, "the group changes faster than it can be asked for");
        return NULL;
    }
    struct wa_node *iq = wa_session_query(s, "get", "w:g2");
    wa_node_set_jid(iq, "to", &m->to);
    wa_group_build_query(iq);
    m->state = WA_SEND_GROUP_ASKED;
    wa_session_ask(s, iq, on_group, m);
    return NULL;
}

/* ---- its timer -------------------------------------------------------------------------------
 */

static struct bytes keep_bytes(struct buf *words, struct bytes b)
{
    struct bytes kept = BYTES(words->p + words->n, b.n);
    buf_append(words, b);
    return b.n > 0 ? kept : BYTES_NONE;
}

void wa_send_group_keep(struct wa_send *m, const struct wa_text *text)
{
    if (!buf_reserve(&m->words, text->text.n + text->quoted_id.n + text->quoted_author.n +
                                    text->quoted_text.n))
        return;
    m->text = *text;
    m->text.text = keep_bytes(&m->words, text->text);
    m->text.quoted_id = keep_bytes(&m->words, text->quoted_id);
    m->text.quoted_author = keep_bytes(&m->words, text->quoted_author);
    m->text.quoted_text = keep_bytes(&m->words, text->quoted_text);
}

/* A group's timer is what the server says: who may set it is the group's affair, and a member's
 * word for it is none (protocol/06 section 14). */
static int follow_timer(struct wa_session *s, struct wa_send *m)
{
    const struct wa_group *group = wa_group_cache_get(s->groups, &m->to, wa_session_now(s));
    if (!group || m->text.text.n == 0 || m->text.expiration_s == group->expiration_s)
        return 0;
    m->text.expiration_s = group->expiration_s;
    m->text.expiration_set_s = 0;
    buf_clear(&m->message);
    return wa_message_build_text(&m->message, &m->text);
}

/* ---- who holds our key -----------------------------------------------------------------------
 */

/* What is to be done about the key before a message. */
struct plan {
    struct wa_jid own; /* our device as the group knows it */
    struct wa_holders holders;
    bool renew; /* somebody holds the key who should not */
    struct wa_jid *lacking;
    size_t count;
};

static bool identity_of(struct wa_session *s, const struct wa_jid *device, uint8_t out[4])
{
    uint8_t key[WA_KEY_LEN];
    struct wa_jid address = wa_session_address(s, device);
    if (wa_signal_get_identity(s->signal, &address, key) != 1)
        return false;
    memcpy(out, key, 4);
    return true;
}

static bool is_among(const struct wa_jid *device, const struct wa_jid *devices, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (wa_jid_equal(device, &devices[i]))
            return true;
    return false;
}

/* A member left, a device was removed, or another phone has taken its place. A device that starts
 * anew has no session. A key of ours that is lost is no longer the one that they hold. */
static bool must_renew(struct wa_session *s, const struct wa_send *m, const struct plan *p,
                       const struct wa_jid *devices, size_t count)
{
    if (!wa_jid_is_none(&p->holders.own) && !wa_jid_equal(&p->holders.own, &p->own))
        return true;
    if (p->holders.count > 0 && wa_signal_group_has_key(s->signal, &m->to, &p->own) == 0)
        return true;
    for (size_t i = 0; i < p->holders.count; i++) {
        const struct wa_holder *h = &p->holders.list[i];
        struct wa_jid address = wa_session_address(s, &h->device);
        uint8_t identity[4];
        if (!is_among(&h->device, devices, count) ||
            wa_signal_has_session(s->signal, &address) == 0 ||
            !identity_of(s, &h->device, identity) || memcmp(identity, h->identity, 4) != 0)
            return true;
    }
    return false;
}

static int make_plan(struct wa_session *s, const struct wa_send *m, const struct wa_jid *devices,
                     size_t count, struct plan *p)
{
    const struct wa_group *group = wa_group_cache_get(s->groups, &m->to, wa_session_now(s));
    *p = (struct plan){.own = group && group->lid ? s->device.lid : s->device.pn};
    if (wa_holders_load(&p->holders, s->host, &m->to, &s->arena) < 0)
        return ERR_STORE;
    p->renew = must_renew(s, m, p, devices, count);
    if (p->renew)
        p->holders.count = 0;
    p->lacking = arena_alloc(&s->arena, (count + 1) * sizeof(*p->lacking));
    for (size_t i = 0; i < count; i++)
        if (!wa_holders_find(&p->holders, &devices[i]))
            p->lacking[p->count++] = devices[i];
    return 0;
}

int wa_send_group_lacking(struct wa_session *s, const struct wa_send *m,
                          const struct wa_jid *devices, size_t count, struct wa_jid **out)
{
    struct plan p;
    if (make_plan(s, m, devices, count, &p) < 0)
        return ERR_STORE;
    *out = p.lacking;
    return (int)p.count;
}

/* ---- the stanza ------------------------------------------------------------------------------
 */

static int seal_message(struct wa_session *s, struct wa_send *m, const struct plan *p,
                        struct wa_node *enc, struct buf *skdm)
{
    struct buf padded = {.max = WA_MESSAGE_MAX + 16, .secret = true},
               sealed = {.max = WA_ENC_MAX * 2};
    uint8_t random;
    s->host->random(s->host->ctx, &random, 1);
    int rc = wa_padding_add(&padded, buf_bytes(&m->message), random);
    if (rc == 0)
        rc = wa_signal_group_encrypt(s->signal, &m->to, &p->own, buf_bytes(&padded), &sealed, skdm);
    if (rc == 0) {
        wa_node_set(enc, "v", "2");
        wa_node_set(enc, "type", wa_enc_text(WA_ENC_SKMSG));
        wa_node_set_data(enc, buf_bytes(&sealed));
    }
    buf_deinit(&padded);
    buf_deinit(&sealed);
    return rc;
}

/* Fills <participants> and adds those whom the key reached to the holders. */
static int hand_out_key(struct wa_session *s, struct wa_send *m, struct plan *p, struct bytes skdm,
                        struct wa_node *participants, bool *pkmsg)
{
    char group[WA_JID_TEXT_SIZE];
    struct buf message = {.max = WA_MESSAGE_MAX, .secret = true};
    struct wa_holder *list =
        arena_alloc(&s->arena, (p->holders.count + p->count + 1) * sizeof(*list));
    int rc = wa_message_build_skdm(&message, wa_jid_text(&m->to, group), skdm);
    if (p->holders.count > 0)
        memcpy(list, p->holders.list, p->holders.count * sizeof(*list));
    p->holders.list = list;
    p->holders.own = p->own;
    for (size_t i = 0; i < p->count && rc >= 0; i++) {
        struct wa_node *to = wa_node_new(&s->arena, "to");
        struct wa_holder *holder = &list[p->holders.count];
        wa_node_set_jid(to, "jid", &p->lacking[i]);
        rc = wa_send_seal(s, to, &p->lacking[i], buf_bytes(&message), 0, pkmsg);
        if (rc != 1)
            continue; /* it asks for the key when it sees the message */
        wa_node_append(participants, to);
        holder->device = p->lacking[i];
        p->holders.count += identity_of(s, &p->lacking[i], holder->identity);
    }
    buf_deinit(&message);
    return rc < 0 ? rc : 0;
}

static void say_group(struct wa_session *s, const struct wa_send *m, struct wa_node *node)
{
    const struct wa_group *group = wa_group_cache_get(s->groups, &m->to, wa_session_now(s));
    wa_node_set(node, "id", m->id);
    wa_node_set_jid(node, "to", &m->to);
    wa_node_set(node, "type", "text");
    wa_node_set(node, "addressing_mode", group && group->lid ? "lid" : "pn");
}

static void set_phash(struct wa_session *s, struct wa_send *m, const struct plan *p,
                      const struct wa_jid *devices, size_t count)
{
    struct wa_jid *all = arena_alloc(&s->arena, (count + 1) * sizeof(*all));
    memcpy(all, devices, count * sizeof(*all));
    all[count] = p->own;
    wa_phash(m->phash, all, count + 1);
}

/* The old key is of no use any more, nor is what is known about its holders. */
static int renew_key(struct wa_session *s, const struct wa_send *m, const struct plan *p)
{
    char key[WA_JID_TEXT_SIZE];
    s->key_renewals++;
    int rc = wa_signal_group_forget(s->signal, &m->to, &p->own);
    if (rc == 0)
        rc = s->host->del(s->host->ctx, WA_TABLE_SENDER_KEY_HOLDER, wa_jid_text(&m->to, key));
    return rc;
}

static int build(struct wa_session *s, struct wa_send *m, struct plan *p, struct wa_node *node)
{
    bool pkmsg = false;
    struct buf skdm = {.max = WA_MESSAGE_MAX, .secret = true};
    struct wa_node *participants = wa_node_new(&s->arena, "participants");
    struct wa_node *enc = wa_node_new(&s->arena, "enc");
    int rc = p->renew ? renew_key(s, m, p) : 0;
    if (rc == 0)
        rc = seal_message(s, m, p, enc, &skdm);
    if (rc == 0)
        rc = hand_out_key(s, m, p, buf_bytes(&skdm), participants, &pkmsg);
    if (rc == 0 && participants->first)
        wa_node_append(node, participants);
    wa_node_append(node, enc);
    wa_send_add_identity(s, node, pkmsg);
    buf_clear(&m->holders);
    if (rc == 0 && wa_holders_write(&p->holders, &m->holders) < 0)
        buf_clear(&m->holders); /* too many to remember: they get the key each time */
    buf_deinit(&skdm);
    return rc;
}

void wa_send_group_put(struct wa_session *s, struct wa_send *m, const struct wa_jid *devices,
                       size_t count)
{
    struct plan p;
    struct wa_node *node = wa_session_stanza(s, "message");
    int rc = make_plan(s, m, devices, count, &p);
    if (rc == 0 && wa_jid_is_none(&p.own)) {
        wa_send_fail(s, m, "the group wants a name of ours that is not known");
        return;
    }
    if (rc == 0)
        rc = follow_timer(s, m);
    if (rc == 0) {
        say_group(s, m, node);
        set_phash(s, m, &p, devices, count);
        wa_node_set(node, "phash", m->phash);
        rc = build(s, m, &p, node);
        m->renewals = s->key_renewals;
    }
    if (rc == ERR_STORE)
        wa_session_end_store(s);
    else if (rc < 0)
        wa_send_fail(s, m, "the message could not be encrypted for the group");
    else
        wa_send_put(s, m, node);
}

/* ---- resending -------------------------------------------------------------------------------
 */

/* A Message with the key, then the fields of the original: protobufs can be joined end to end. */
static int join_key(struct wa_session *s, const struct wa_send *m, const struct wa_jid *own,
                    struct buf *out)
{
    char group[WA_JID_TEXT_SIZE];
    struct buf skdm = {.max = WA_MESSAGE_MAX, .secret = true};
    int rc = wa_signal_group_distribution(s->signal, &m->to, own, &skdm);
    if (rc == 0)
        rc = wa_message_build_skdm(out, wa_jid_text(&m->to, group), buf_bytes(&skdm));
    if (rc == 0)
        rc = buf_append(out, buf_bytes(&m->message));
    buf_deinit(&skdm);
    return rc;
}

void wa_send_group_again(struct wa_session *s, struct wa_send *m)
{
    const struct wa_group *group = wa_group_cache_get(s->groups, &m->to, wa_session_now(s));
    struct buf message = {.max = WA_MESSAGE_MAX, .secret = true};
    struct wa_node *node = wa_session_stanza(s, "message");
    bool pkmsg = false;
    int rc = follow_timer(s, m);
    if (rc == 0 && wa_group_has(group, &m->device)) {
        say_group(s, m, node);
        wa_node_set_jid(node, "participant", &m->device);
        rc = join_key(s, m, group->lid ? &s->device.lid : &s->device.pn, &message);
        if (rc == 0)
            rc = wa_send_seal(s, node, &m->device, buf_bytes(&message), m->retry_count, &pkmsg);
    }
    buf_deinit(&message);
    if (rc == 1) {
        wa_send_add_identity(s, node, pkmsg);
        wa_session_put(s, node);
    }
    wa_send_drop(s, m);
    if (rc == ERR_STORE)
        wa_session_end_store(s);
}

/* ---- acks ------------------------------------------------------------------------------------
 */

static void forget_group(struct wa_session *s, const struct wa_send *m, bool devices_too)
{
    const struct wa_group *group = wa_group_cache_get(s->groups, &m->to, wa_session_now(s));
    for (size_t i = 0; group && devices_too && i < group->count; i++)
        wa_device_cache_drop(s->devices, &group->members[i]);
    wa_group_cache_drop(s->groups, &m->to);
}

static void keep_holders(struct wa_session *s, const struct wa_send *m)
{
    char key[WA_JID_TEXT_SIZE];
    if (m->holders.n == 0 || m->renewals != s->key_renewals)
        return;
    if (s->host->put(s->host->ctx, WA_TABLE_SENDER_KEY_HOLDER, wa_jid_text(&m->to, key),
                     buf_bytes(&m->holders)) < 0)
        wa_session_end_store(s);
}

bool wa_send_group_acked(struct wa_session *s, struct wa_send *m, const struct wa_node *ack,
                         uint64_t error)
{
    struct bytes phash = wa_node_attr(ack, "phash");
    bool other_devices = phash.n > 0 && !bytes_is(phash, m->phash);
    if (error == 0)
        keep_holders(s, m);
    if (other_devices || error == ERROR_STALE || wa_node_attr(ack, "addressing_mode").p)
        forget_group(s, m, other_devices);
    if (error != ERROR_STALE || m->refreshed)
        return false;
    m->refreshed = true;
    m->state = WA_SEND_GROUP;
    m->ack_until = CLOCK_NEVER;
    wa_send_step(s, m);
    return true;
}
