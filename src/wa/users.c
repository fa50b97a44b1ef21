/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who is who: one user has a phone number (PN) and a LID (protocol/04 sections 1.3 and 10). */
#include "wa/session_internal.h"

static struct wa_alias *find_alias(struct wa_session *s, enum wa_table table, const char *user)
{
    for (size_t i = 0; i < WA_ALIASES_KEPT; i++)
        if (s->aliases[i].table == table && strcmp(s->aliases[i].user, user) == 0)
            return &s->aliases[i];
    return NULL;
}

/* No user, and no record's value, is longer than there is room. */
static const struct wa_alias *keep_alias(struct wa_session *s, enum wa_table table,
                                         const char *user, struct bytes other)
{
    struct wa_alias *alias = find_alias(s, table, user);
    if (!alias)
        alias = &s->aliases[s->alias_next++ % WA_ALIASES_KEPT];
    alias->table = table;
    bytes_copy_text(bytes_text(user), alias->user, sizeof(alias->user));
    bytes_copy_text(other, alias->other, sizeof(alias->other));
    return alias;
}

/* NULL when the records could not be read. */
static const struct wa_alias *load_alias(struct wa_session *s, enum wa_table table,
                                         const char *user)
{
    AUTO_BUF struct buf other = {.max = WA_JID_USER_MAX};
    if (s->host->get(s->host->ctx, table, user, &other) >= 0)
        return keep_alias(s, table, user, buf_bytes(&other));
    wa_session_end_store(s);
    return NULL;
}

static struct wa_jid other_namespace(struct wa_session *s, const struct wa_jid *jid,
                                     enum wa_table table, enum wa_server server)
{
    const struct wa_alias *alias = find_alias(s, table, jid->user);
    if (!alias)
        alias = load_alias(s, table, jid->user);
    if (!alias || !alias->other[0])
        return (struct wa_jid){0};
    return wa_jid_make(server, alias->other, jid->device);
}

struct wa_jid wa_session_lid_of(struct wa_session *s, const struct wa_jid *pn)
{
    const struct wa_device *d = &s->device;
    if (!wa_jid_is_pn(pn))
        return (struct wa_jid){0};
    if (wa_jid_same_user(pn, &d->pn) && !wa_jid_is_none(&d->lid))
        return wa_jid_with_device(&d->lid, pn->device);
    enum wa_server server = pn->server == WA_SERVER_HOSTED ? WA_SERVER_HOSTED_LID : WA_SERVER_LID;
    return other_namespace(s, pn, WA_TABLE_LID_OF_PN, server);
}

struct wa_jid wa_session_pn_of(struct wa_session *s, const struct wa_jid *lid)
{
    const struct wa_device *d = &s->device;
    if (!wa_jid_is_lid(lid))
        return (struct wa_jid){0};
    if (wa_jid_same_user(lid, &d->lid))
        return wa_jid_with_device(&d->pn, lid->device);
    enum wa_server server = lid->server == WA_SERVER_HOSTED_LID ? WA_SERVER_HOSTED : WA_SERVER_PN;
    return other_namespace(s, lid, WA_TABLE_PN_OF_LID, server);
}

struct wa_jid wa_session_address(struct wa_session *s, const struct wa_jid *device)
{
    struct wa_jid lid = wa_session_lid_of(s, device);
    return wa_jid_is_none(&lid) ? *device : lid;
}

/* Which two are ours is settled by pairing and login; no stanza makes a stranger one of them. */
static bool is_half_own(const struct wa_device *d, const struct wa_jid *pn,
                        const struct wa_jid *lid)
{
    return !wa_jid_is_none(&d->lid) && wa_device_is_own(d, pn) != wa_device_is_own(d, lid);
}

void wa_session_learn_lid(struct wa_session *s, const struct wa_jid *a, const struct wa_jid *b)
{
    const struct wa_jid *pn = wa_jid_is_pn(a) ? a : b, *lid = wa_jid_is_pn(a) ? b : a;
    if (!wa_jid_is_pn(pn) || !wa_jid_is_lid(lid) || !pn->user[0] || !lid->user[0] ||
        is_half_own(&s->device, pn, lid))
        return;
    struct wa_jid known = wa_session_lid_of(s, pn);
    if (!wa_jid_is_none(&known) && wa_jid_same_user(&known, lid))
        return;
    const struct wa_host *h = s->host;
    if (h->put(h->ctx, WA_TABLE_LID_OF_PN, pn->user, bytes_text(lid->user)) < 0 ||
        h->put(h->ctx, WA_TABLE_PN_OF_LID, lid->user, bytes_text(pn->user)) < 0 ||
        wa_signal_migrate(s->signal, pn, lid) < 0) {
        wa_session_end_store(s);
        return;
    }
    keep_alias(s, WA_TABLE_LID_OF_PN, pn->user, bytes_text(lid->user));
    keep_alias(s, WA_TABLE_PN_OF_LID, lid->user, bytes_text(pn->user));
}

void wa_session_learn_participant(struct wa_session *s, const struct wa_node *participant)
{
    struct wa_jid jid, other;
    if (wa_node_attr_jid(participant, "jid", &jid) &&
        (wa_node_attr_jid(participant, "lid", &other) ||
         wa_node_attr_jid(participant, "phone_number", &other)))
        wa_session_learn_lid(s, &jid, &other);
}

/* ---- identities (protocol/04 section 8) ------------------------------------------------------ */

void wa_session_forget_devices(struct wa_session *s, const struct wa_jid *user)
{
    struct wa_jid other =
        wa_jid_is_lid(user) ? wa_session_pn_of(s, user) : wa_session_lid_of(s, user);
    wa_device_cache_drop(s->devices, user);
    wa_device_cache_drop(s->devices, &other);
}

/* Whoever holds our sender keys is compared with the identities at the next message to a group
 * (wa/send_group.c). */
void wa_session_identity_changed(struct wa_session *s, const struct wa_jid *user)
{
    wa_session_forget_devices(s, user);
    wa_send_reissue_token(s, user);
    struct wa_event *ev = wa_session_emit(s, WA_EVENT_IDENTITY);
    ev->u.identity.user = wa_jid_bare(user);
}

void wa_session_watch_identity(struct wa_session *s, const struct wa_jid *device)
{
    if (wa_signal_took_identity(s->signal) && device->device == 0)
        wa_session_identity_changed(s, device);
}
