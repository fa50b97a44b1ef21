/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Edits that come encrypted, and the secrets of messages that they need (wa/secrets.h). */
#include "wa/session_internal.h"

/* The names of the author, as the stanza has it first. */
static size_t names_of(const struct wa_incoming *in, struct wa_jid names[WA_SECRETS_NAMES])
{
    const struct wa_jid *all[] = {&in->sender, &in->sender_lid, &in->sender_pn};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct wa_jid name = wa_jid_bare(all[i]);
        if (wa_jid_is_none(&name) || (count > 0 && wa_jid_equal(&name, &names[0])))
            continue;
        names[count++] = name;
    }
    return count;
}

static bool may_be_edited(enum wa_kind kind)
{
    return (kind >= WA_KIND_TEXT && kind <= WA_KIND_DOCUMENT) || kind == WA_KIND_POLL ||
           kind == WA_KIND_EVENT;
}

static void keep(struct wa_session *s, const struct wa_incoming *in, const struct wa_content *c)
{
    struct wa_jid names[WA_SECRETS_NAMES];
    if (c->secret.n == 0 || !may_be_edited(c->kind) || !(wa_jid_is_user(&in->chat) || in->group) ||
        names_of(in, names) == 0)
        return;
    if (wa_secrets_keep(&s->secrets, s->host, in->id, &names[0], in->timestamp_s, c->secret) < 0)
        wa_session_end_store(s);
}

/* Author and editor are one user, but may go by different names in what was sealed. */
static int open_under(const struct wa_content *c, const struct wa_jid *names, size_t count,
                      const uint8_t secret[WA_MESSAGE_SECRET_LEN], struct buf *out)
{
    int rc = ERR_AUTH;
    for (size_t author = 0; author < count && rc == ERR_AUTH; author++)
        for (size_t editor = 0; editor < count && rc == ERR_AUTH; editor++)
            rc = wa_sealed_open(out, &c->sealed, c->target_id, &names[author], &names[editor],
                                secret);
    return rc;
}

/* The new text; an edit of another kind would be a way around what is checked elsewhere. */
static int read_edit(struct wa_session *s, struct bytes plain, struct wa_content *c)
{
    struct wa_content inner;
    int rc = wa_message_parse(arena_copy(&s->arena, plain), &s->arena, &inner);
    if (rc < 0)
        return rc;
    if (inner.sealed.use || (inner.kind != WA_KIND_EDIT && !may_be_edited(inner.kind)))
        return ERR_INVALID;
    c->text = inner.text;
    return 0;
}

static const char *open_edit(struct wa_session *s, const struct wa_incoming *in,
                             struct wa_content *c)
{
    struct wa_jid names[WA_SECRETS_NAMES];
    uint8_t secret[WA_MESSAGE_SECRET_LEN];
    size_t count = names_of(in, names);
    struct buf plain = {.max = WA_MESSAGE_MAX, .secret = true};
    int rc = wa_secrets_find(s->host, c->target_id, names, count, secret);
    if (rc < 0) {
        wa_session_end_store(s);
        return NULL;
    }
    if (rc == 0)
        return "an edit of a message whose secret is not known";
    rc = open_under(c, names, count, secret, &plain);
    if (rc == 0)
        rc = read_edit(s, buf_bytes(&plain), c);
    buf_wipe(secret, sizeof(secret));
    buf_deinit(&plain);
    return rc < 0 ? "an edit that the secret of its message does not open" : NULL;
}

const char *wa_edits_take(struct wa_session *s, const struct wa_incoming *in, struct wa_content *c)
{
    const char *fault = NULL;
    if (c->sealed.use)
        fault = open_edit(s, in, c);
    else
        keep(s, in, c);
    if (fault)
        c->kind = WA_KIND_UNDECRYPTABLE;
    return fault;
}
