/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Privacy tokens of the people we write to (protocol/06 section 8.2). */
#include "wa/app_state_collection.h"
#include "wa/privacy.h"
#include "wa/send_internal.h"

static int64_t wall_s(const struct wa_session *s)
{
    return s->host->wall_ms(s->host->ctx) / 1000;
}

/* Our record of the recipient; false when tokens have no place here. */
static bool load(struct wa_session *s, const struct wa_jid *to, struct wa_jid *user,
                 struct wa_privacy *p)
{
    if (!wa_jid_is_user(to) || wa_device_is_own(&s->device, to))
        return false;
    *user = wa_session_address(s, to);
    *user = wa_jid_bare(user);
    if (wa_privacy_load(p, s->host, user) >= 0)
        return true;
    wa_session_end_store(s);
    return false;
}

static void give(struct wa_session *s, const struct wa_jid *user, int64_t t)
{
    struct wa_jid pn = wa_session_pn_of(s, user);
    struct wa_node *iq = wa_session_query(s, "set", "privacy");
    struct wa_node *token = wa_node_child(wa_node_child(iq, "tokens"), "token");
    wa_node_set_jid(token, "jid", wa_jid_is_none(&pn) ? user : &pn);
    wa_node_set_u64(token, "t", (uint64_t)t);
    wa_node_set(token, "type", "trusted_contact");
    wa_session_ask(s, iq, NULL, NULL);
}

/* A first message to somebody who never wrote: only our phone and the server know the salt. */
static void add_stranger_token(struct wa_session *s, const struct wa_jid *user,
                               struct wa_node *message)
{
    uint8_t token[WA_PRIVACY_STRANGER_LEN];
    AUTO_BUF struct buf salt = {.max = WA_APP_STATE_SALT_MAX, .secret = true};
    int rc = s->host->get(s->host->ctx, WA_TABLE_APP_STATE, WA_APP_STATE_NCT_SALT, &salt);
    if (rc < 0)
        wa_session_end_store(s);
    if (rc != 1 || salt.n == 0 || !wa_jid_is_lid(user))
        return;
    wa_privacy_stranger_token(token, buf_bytes(&salt), user);
    wa_node_child_data(message, "cstoken", BYTES_ARRAY(token));
}

bool wa_send_add_token(struct wa_session *s, const struct wa_jid *to, struct wa_node *message)
{
    struct wa_jid user;
    struct wa_privacy p;
    int64_t now = wall_s(s);
    if (!load(s, to, &user, &p))
        return false;
    if (p.length > 0 && !wa_privacy_expired(p.token_s, now))
        wa_node_child_data(message, "tctoken", BYTES(p.token, p.length));
    else
        add_stranger_token(s, &user, message);
    return wa_privacy_due(p.issued_s, now);
}

void wa_send_issue_token(struct wa_session *s, const struct wa_jid *to)
{
    struct wa_jid user;
    struct wa_privacy p;
    int64_t now = wall_s(s);
    if (!load(s, to, &user, &p) || !wa_privacy_due(p.issued_s, now))
        return;
    p.issued_s = now;
    if (wa_privacy_save(&p, s->host, &user) < 0)
        wa_session_end_store(s);
    else
        give(s, &user, now);
}

void wa_send_reissue_token(struct wa_session *s, const struct wa_jid *to)
{
    struct wa_jid user;
    struct wa_privacy p;
    if (load(s, to, &user, &p) && p.issued_s > 0 && !wa_privacy_expired(p.issued_s, wall_s(s)))
        give(s, &user, p.issued_s);
}
