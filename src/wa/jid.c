/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE /* memrchr */
#include "wa/jid.h"

#include "base/err.h"
#include "base/text.h"

#define TEXT(s)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(s), sizeof(s) - 1                                                        \
    }
static const struct bytes server_texts[] = {
    [WA_SERVER_NONE] = TEXT(""),
    [WA_SERVER_PN] = TEXT("s.whatsapp.net"),
    [WA_SERVER_LID] = TEXT("lid"),
    [WA_SERVER_GROUP] = TEXT("g.us"),
    [WA_SERVER_BROADCAST] = TEXT("broadcast"),
    [WA_SERVER_NEWSLETTER] = TEXT("newsletter"),
    [WA_SERVER_CALL] = TEXT("call"),
    [WA_SERVER_HOSTED] = TEXT("hosted"),
    [WA_SERVER_HOSTED_LID] = TEXT("hosted.lid"),
    [WA_SERVER_MSGR] = TEXT("msgr"),
    [WA_SERVER_INTEROP] = TEXT("interop"),
    [WA_SERVER_BOT] = TEXT("bot"),
};
#undef TEXT

const char *wa_server_text(enum wa_server server)
{
    return (const char *)server_texts[server].p;
}

enum wa_server wa_server_parse(struct bytes text)
{
    for (size_t i = WA_SERVER_PN; i < ARRAY_LEN(server_texts); i++) {
        if (bytes_equal(text, server_texts[i]))
            return (enum wa_server)i;
    }
    return bytes_is(text, "c.us") ? WA_SERVER_PN : WA_SERVER_NONE;
}

/* Splits at the last mark: *head what is before it, *tail what is behind. */
static bool split_last(struct bytes text, char mark, struct bytes *head, struct bytes *tail)
{
    const uint8_t *at = text.n ? memrchr(text.p, mark, text.n) : NULL;
    if (!at)
        return false;
    *head = BYTES(text.p, (size_t)(at - text.p));
    *tail = BYTES(at + 1, text.n - head->n - 1);
    return true;
}

/* A user becomes part of record keys and log lines: no control bytes and none of their separators.
 */
static bool user_is_clean(struct bytes user)
{
    for (size_t i = 0; i < user.n; i++) {
        uint8_t c = user.p[i];
        if (c >= '0' && c <= '9')
            continue;
        if (c <= ' ' || c == 0x7f || c == '@' || c == '/' || c == ':')
            return false;
    }
    return user.n > 0 && user.n <= WA_JID_USER_MAX && text_utf8_valid(user);
}

static int parse_user(struct wa_jid *jid, struct bytes user)
{
    struct bytes head, tail;
    uint64_t device = 0;
    if (split_last(user, ':', &head, &tail)) {
        if (!bytes_to_u64(tail, &device) || device > UINT16_MAX)
            return ERR_INVALID;
        user = head;
    }
    if (jid->server == WA_SERVER_PN && split_last(user, '.', &head, &tail)) {
        /* Any other agent would name another server, and a second one nobody. */
        if (!bytes_is(tail, "0") || split_last(head, '.', &user, &tail))
            return ERR_INVALID;
        user = head;
    }
    if (!user_is_clean(user))
        return ERR_INVALID;
    bytes_copy_text(user, jid->user, sizeof(jid->user));
    jid->device = (uint16_t)device;
    return 0;
}

int wa_jid_parse(struct wa_jid *out, struct bytes text)
{
    struct bytes user = BYTES_NONE, server = text;
    bool has_user = split_last(text, '@', &user, &server);
    memset(out, 0, sizeof(*out));
    struct wa_jid jid = {.server = wa_server_parse(server)};
    if (jid.server == WA_SERVER_NONE)
        return ERR_INVALID;
    if (has_user && parse_user(&jid, user) != 0)
        return ERR_INVALID;
    *out = jid;
    return 0;
}

const char *wa_jid_text(const struct wa_jid *jid, char out[WA_JID_TEXT_SIZE])
{
    struct text_pen pen = text_pen(out, WA_JID_TEXT_SIZE);
    if (jid->server != WA_SERVER_NONE && jid->user[0]) {
        text_pen_text(&pen, jid->user);
        if (jid->device) {
            text_pen_text(&pen, ":");
            text_pen_u64(&pen, jid->device);
        }
        text_pen_text(&pen, "@");
    }
    text_pen_put(&pen, server_texts[jid->server]);
    return out;
}

static enum wa_server base_server(enum wa_server server)
{
    switch (server) {
    case WA_SERVER_HOSTED:
        return WA_SERVER_PN;
    case WA_SERVER_HOSTED_LID:
        return WA_SERVER_LID;
    default:
        return server;
    }
}

bool wa_jid_is_none(const struct wa_jid *jid)
{
    return jid->server == WA_SERVER_NONE;
}

bool wa_jid_equal(const struct wa_jid *a, const struct wa_jid *b)
{
    return a->server == b->server && a->device == b->device && strcmp(a->user, b->user) == 0;
}

bool wa_jid_same_user(const struct wa_jid *a, const struct wa_jid *b)
{
    return base_server(a->server) == base_server(b->server) && strcmp(a->user, b->user) == 0;
}

struct wa_jid wa_jid_bare(const struct wa_jid *jid)
{
    struct wa_jid bare = *jid;
    bare.server = base_server(jid->server);
    bare.device = 0;
    return bare;
}

struct wa_jid wa_jid_with_device(const struct wa_jid *jid, uint16_t device)
{
    struct wa_jid with = *jid;
    with.device = device;
    return with;
}

struct wa_jid wa_jid_make(enum wa_server server, const char *user, uint16_t device)
{
    struct wa_jid jid = {.server = server, .device = device};
    /* A cut user would be somebody else. */
    if (!bytes_copy_text(bytes_text(user), jid.user, sizeof(jid.user)))
        jid = (struct wa_jid){0};
    return jid;
}

bool wa_jid_is_user(const struct wa_jid *jid)
{
    if (jid->user[0] == '\0')
        return false;
    if (jid->server == WA_SERVER_PN)
        return strcmp(jid->user, "0") != 0;
    return wa_jid_is_pn(jid) || wa_jid_is_lid(jid);
}

bool wa_jid_is_pn(const struct wa_jid *jid)
{
    return base_server(jid->server) == WA_SERVER_PN;
}

bool wa_jid_is_lid(const struct wa_jid *jid)
{
    return base_server(jid->server) == WA_SERVER_LID;
}

const char *wa_jid_signal_name(const struct wa_jid *jid, char out[WA_JID_NAME_SIZE])
{
    struct text_pen pen = text_pen(out, WA_JID_NAME_SIZE);
    text_pen_text(&pen, jid->user);
    switch (jid->server) {
    case WA_SERVER_PN:
        break;
    case WA_SERVER_LID:
        text_pen_text(&pen, "_1");
        break;
    case WA_SERVER_HOSTED:
        text_pen_text(&pen, "_128");
        break;
    case WA_SERVER_HOSTED_LID:
        text_pen_text(&pen, "_129");
        break;
    default:
        text_pen_text(&pen, "@");
        text_pen_put(&pen, server_texts[jid->server]);
        break;
    }
    return out;
}
