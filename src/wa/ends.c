/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every way in which the server ends a connection, and what it means (protocol/01 section 10). */
#include "base/text.h"
#include "wa/session_internal.h"

const char *wa_close_code(enum wa_close why)
{
    static const char *const codes[] = {
#define X(symbol, code, advice) [symbol] = code,
        WA_CLOSES(X)
#undef X
    };
    return codes[why];
}

const char *wa_close_advice(enum wa_close why)
{
    static const char *const advices[] = {
#define X(symbol, code, advice) [symbol] = advice,
        WA_CLOSES(X)
#undef X
    };
    return advices[why];
}

/* ---- failure -------------------------------------------------------------------------------- */

#define USER_TEXT_SIZE 200    /* of what the server wants the owner to read, with its NUL */
#define EXPIRE_MAX_S 31622400 /* a year: what is longer is no term but a mistake */
#define UNIX_TIME_MIN 1000000000

/* What may stand in <failure reason> (protocol/01 section 10.2). */
static const struct {
    unsigned reason;
    enum wa_close why;
    const char *text;
} failures[] = {
    {400, WA_CLOSE_REFUSED, "the server could not read our login"},
    {401, WA_CLOSE_LOGGED_OUT, "the device was unlinked, or the account is gone"},
    {402, WA_CLOSE_BANNED, "the account is banned for a time"},
    {403, WA_CLOSE_LOCKED, "the account is locked, or its phone is gone"},
    {405, WA_CLOSE_VERSION, "the client version is not accepted any more"},
    {406, WA_CLOSE_LOGGED_OUT, "the account was banned or logged out"},
    {409, WA_CLOSE_REFUSED, "the server does not know a client like this"},
    {413, WA_CLOSE_REFUSED, "an access token has expired"},
    {414, WA_CLOSE_REFUSED, "an access token is invalid"},
    {415, WA_CLOSE_REFUSED, "an access token is missing"},
    {418, WA_CLOSE_REFUSED, "the server does not know this client"},
    {500, WA_CLOSE_SERVER, "internal error of the server"},
    {501, WA_CLOSE_REFUSED, "an experiment of the server's excludes this client"},
    {503, WA_CLOSE_SERVER, "service unavailable"},
};

/* <failure reason="402" code>: what the account did. */
static const struct {
    unsigned code;
    const char *text;
} bans[] = {
    {101, "too many messages to people who do not have this number in their contacts"},
    {102, "too many people blocked this number"},
    {103, "too many groups made with people who do not have this number in their contacts"},
    {104, "the same message sent to too many people"},
    {106, "too many messages sent to broadcast lists"},
};

static const char *ban_text(uint64_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(bans); i++)
        if (bans[i].code == code)
            return bans[i].text;
    return "WhatsApp does not say why";
}

/* What the phone would show: header and body, or the plain message. Cut to whole characters. */
static void user_text(const struct wa_node *node, char out[USER_TEXT_SIZE])
{
    struct bytes header = wa_node_attr(node, "logout_message_header");
    struct bytes body = wa_node_attr(node, "logout_message_subtext");
    struct buf text = {.max = 65536};
    if (body.n == 0)
        body = wa_node_attr(node, "message");
    if (header.n > 0 && buf_append(&text, header) == 0 && body.n > 0)
        buf_append_text(&text, ": ");
    buf_append(&text, body);
    struct bytes shown = buf_bytes(&text);
    if (shown.n >= USER_TEXT_SIZE)
        shown.n = USER_TEXT_SIZE - 1;
    while (shown.n > 0 && !text_utf8_valid(shown))
        shown.n--;
    bytes_copy_text(shown, out, USER_TEXT_SIZE);
    buf_deinit(&text);
}

/* Seconds from now; a point in time is taken as well. 0: not said. */
static int64_t ban_length(const struct wa_session *s, const struct wa_node *node)
{
    uint64_t expire = 0;
    if (!wa_node_attr_u64(node, "expire", &expire) || expire > INT64_MAX)
        return 0;
    int64_t left = (int64_t)expire;
    if (left >= UNIX_TIME_MIN)
        left -= s->host->wall_ms(s->host->ctx) / 1000;
    if (left < 0)
        return 0;
    return left < EXPIRE_MAX_S ? left : EXPIRE_MAX_S;
}

void wa_ends_failure(struct wa_session *s, const struct wa_node *node)
{
    uint64_t reason = 0, code = 0;
    char shown[USER_TEXT_SIZE];
    enum wa_close why = WA_CLOSE_REFUSED;
    const char *text = "the server refused the login";
    wa_node_attr_u64(node, "reason", &reason);
    wa_node_attr_u64(node, "code", &code);
    user_text(node, shown);
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        if (failures[i].reason == reason) {
            why = failures[i].why;
            text = failures[i].text;
        }
    }
    /* The answer to pair-success was durable here and never reached the server (protocol/03 section
     * 2.5): what it does not know cannot have been unlinked. */
    if (reason == 401 && wa_device_is_paired(&s->device) && s->device.login_count == 0) {
        why = WA_CLOSE_UNCONFIRMED;
        text = "the server does not know the device that was paired last";
    }
    if (s->phase == WA_PHASE_CLOSED)
        return;
    wa_session_end(s, why, "login failure %llu%s%.0llu: %s%s%s%s%s", (unsigned long long)reason,
                   code ? " code " : "", (unsigned long long)code, text,
                   why == WA_CLOSE_BANNED ? ": " : "", why == WA_CLOSE_BANNED ? ban_text(code) : "",
                   shown[0] ? ": " : "", shown);
    if (why == WA_CLOSE_BANNED)
        s->events[s->event_count - 1].u.closed.retry_after_s = ban_length(s, node);
}

/* ---- stream:error --------------------------------------------------------------------------- */

void wa_ends_stream_error(struct wa_session *s, const struct wa_node *node)
{
    const struct wa_node *conflict = wa_node_find(node, "conflict");
    uint64_t code = 0;
    wa_node_attr_u64(node, "code", &code);
    if (conflict && wa_node_attr_is(conflict, "type", "replaced"))
        wa_session_end(s, WA_CLOSE_REPLACED, "another connection logged in with the same keys");
    else if (code == 516 || (conflict && wa_node_attr_is(conflict, "type", "device_removed")))
        wa_session_end(s, WA_CLOSE_LOGGED_OUT, "the device was unlinked on the phone");
    else if (conflict)
        wa_session_end(s, WA_CLOSE_REFUSED, "the server reports a conflict of an unknown kind");
    else if (code == 515)
        wa_session_end(s, WA_CLOSE_RESTART, "the server asks for a restart");
    else if (code == 503 || code == 500)
        wa_session_end(s, WA_CLOSE_SERVER, "stream error %u", (unsigned)code);
    else if (code == 429)
        wa_session_end(s, WA_CLOSE_RATE, "stream error 429");
    else if (wa_node_find(node, "ack"))
        wa_session_end(s, WA_CLOSE_STREAM_END, "the server did not accept an ack of ours");
    else if (wa_node_find(node, "xml-not-well-formed"))
        wa_session_end(s, WA_CLOSE_STREAM_END, "the server could not read a stanza of ours");
    else
        wa_session_end(s, WA_CLOSE_STREAM_END, "stream error %u", (unsigned)code);
}

void wa_ends_stream_end(struct wa_session *s, const struct wa_node *node)
{
    (void)node;
    wa_session_end(s, s->phase == WA_PHASE_PAIRED ? WA_CLOSE_RESTART : WA_CLOSE_STREAM_END,
                   "the server ended the stream");
}
