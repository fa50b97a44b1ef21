/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every way in which the server ends a connection, and what it means (protocol/01 section 10). */
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

/* ---- failure and stream:error ---------------------------------------------------------------- */

void wa_ends_failure(struct wa_session *s, const struct wa_node *node)
{
    static const struct {
        unsigned reason;
        enum wa_close why;
        const char *text;
    } table[] = {
        {401, WA_CLOSE_LOGGED_OUT, "the device was unlinked"},
        {402, WA_CLOSE_BANNED, "the account is banned for a time"},
        {403, WA_CLOSE_LOCKED, "the account is locked or its phone is gone"},
        {405, WA_CLOSE_VERSION, "the client version is not accepted any more"},
        {406, WA_CLOSE_LOGGED_OUT, "the account was banned or logged out"},
        {500, WA_CLOSE_SERVER, "internal error of the server"},
        {503, WA_CLOSE_SERVER, "service unavailable"},
    };
    uint64_t reason = 0, expire = 0, code = 0;
    wa_node_attr_u64(node, "reason", &reason);
    wa_node_attr_u64(node, "expire", &expire);
    wa_node_attr_u64(node, "code", &code);
    struct bytes message = wa_node_attr(node, "message");
    struct bytes subtext = wa_node_attr(node, "logout_message_subtext");
    if (subtext.n > 0)
        message = subtext;
    enum wa_close why = WA_CLOSE_REFUSED;
    const char *text = "the server refused the login";
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].reason == reason) {
            why = table[i].why;
            text = table[i].text;
        }
    }
    /* The answer to pair-success was durable here and never reached the server (protocol/03 section
     * 2.5): what it does not know cannot have been unlinked. */
    if (reason == 401 && wa_device_is_paired(&s->device) && s->device.login_count == 0) {
        why = WA_CLOSE_UNCONFIRMED;
        text = "the server does not know the device that was paired last";
    }
    wa_session_end(s, why, "login failure %llu%s%.0llu: %s%s%.*s", (unsigned long long)reason,
                   code ? " code " : "", (unsigned long long)code, text, message.n ? ": " : "",
                   (int)(message.n > 200 ? 200 : message.n), (const char *)message.p);
    s->events[s->event_count - 1].u.closed.retry_after_s = (int64_t)(expire & 0x7fffffff);
}

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
