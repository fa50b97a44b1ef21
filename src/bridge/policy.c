/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/policy.h"

#define SEND_DELAY_MS 5000
#define RATE_DELAY_MS 60000
#define LONG_TEXT 400 /* bytes that take the whole of replies.delay_max_ms */

int64_t bridge_backoff_ms(int attempt, int64_t initial_ms, int64_t max_ms, uint32_t random)
{
    int64_t ceiling = initial_ms < max_ms ? initial_ms : max_ms;
    for (int i = 1; i < attempt && ceiling < max_ms; i++)
        ceiling = ceiling > max_ms / 2 ? max_ms : ceiling * 2;
    return 1 + (int64_t)((uint64_t)random * (uint64_t)ceiling >> 32);
}

int64_t bridge_restriction_left_ms(int64_t began, int64_t length, int64_t now)
{
    int64_t passed = now - began;
    if (length <= 0 || passed >= length)
        return 0;
    /* Before it began: the clock was set back. It is not longer for that. */
    return passed > 0 ? length - passed : length;
}

/* Kinds in which a customer says something in words; polls, reactions, edits and the like are not.
 */
static bool kind_speaks(enum wa_kind kind)
{
    switch (kind) {
    case WA_KIND_TEXT:
    case WA_KIND_IMAGE:
    case WA_KIND_VIDEO:
    case WA_KIND_DOCUMENT:
    case WA_KIND_BUTTON:
    case WA_KIND_ORDER:
        return true;
    default:
        return false;
    }
}

enum bridge_answer bridge_answer_decide(const struct bridge_asked *asked, const struct config *c)
{
    if (!c->replies_enabled)
        return BRIDGE_SILENT_OFF;
    if (asked->from_me)
        return BRIDGE_SILENT_OWN;
    if (asked->group && !c->replies_groups)
        return BRIDGE_SILENT_GROUP;
    if (!kind_speaks(asked->kind))
        return BRIDGE_SILENT_KIND;
    if (!asked->has_text)
        return BRIDGE_SILENT_EMPTY;
    if (asked->age_s > c->max_reply_age_s)
        return BRIDGE_SILENT_OLD;
    return BRIDGE_ANSWER;
}

const char *bridge_answer_name(enum bridge_answer answer)
{
    static const char *const names[] = {
#define X(symbol, name) [symbol] = name,
        BRIDGE_ANSWERS(X)
#undef X
    };
    return names[answer];
}

bool bridge_handed_over(int64_t handover_at_ms, int64_t limit_s, int64_t now_ms)
{
    return handover_at_ms > 0 && (limit_s == 0 || now_ms - handover_at_ms < limit_s * 1000);
}

/* ---- guards of one chat -----------------------------------------------------------------------
 */

/* What lies ahead of us was written under another clock: it would hold for years. */
static bool is_within(int64_t at, int64_t now, int64_t window_s)
{
    return at && at <= now && now - at < window_s * 1000;
}

enum bridge_answer bridge_chat_decide(const struct bridge_chat *chat, const struct config *c)
{
    if (is_within(chat->ping_pong_at, chat->now, c->ping_pong_silence_s))
        return BRIDGE_SILENT_BOT;
    if (c->replies_daily_cap && chat->replies_in_day >= c->replies_daily_cap)
        return BRIDGE_SILENT_CAP;
    if (is_within(chat->last_reply_at, chat->now, c->replies_cooldown_s))
        return BRIDGE_SILENT_COOLDOWN;
    return BRIDGE_ANSWER;
}

/* The next byte that counts, upper case folded (ASCII); 0 at the end. */
static uint8_t next_letter(struct bytes text, size_t *at)
{
    while (*at < text.n) {
        uint8_t c = text.p[(*at)++];
        if (c >= 'A' && c <= 'Z')
            return (uint8_t)(c - 'A' + 'a');
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80)
            return c;
    }
    return 0;
}

/* Blanks and punctuation do not count. Digits do: a choice from a menu, a number, is a person's. */
static bool nearly_same(struct bytes a, struct bytes b)
{
    size_t i = 0, j = 0, letters = 0;
    for (;; letters++) {
        uint8_t x = next_letter(a, &i), y = next_letter(b, &j);
        if (x != y)
            return false;
        if (x == 0)
            return letters > 0 || bytes_equal(a, b);
    }
}

bool bridge_is_ping_pong(const struct bridge_turn *turns, size_t n, const struct config *c)
{
    int64_t same = 0;
    if (c->ping_pong_messages == 0)
        return false;
    for (size_t i = 0; i < n && turns[i].out == (i % 2 == 1); i++) {
        const struct bridge_turn *t = &turns[i];
        if (turns[0].at - t->at > c->ping_pong_window_s * 1000)
            return false;
        if (t->out)
            continue;
        if (t->from_me || !nearly_same(turns[0].text, t->text))
            return false;
        if (++same >= c->ping_pong_messages)
            return true;
    }
    return false;
}

enum bridge_overflow bridge_overflow_decide(const struct config *c, int64_t queued, int64_t now,
                                            int64_t last_wait_at)
{
    if (queued < c->queue_per_chat)
        return BRIDGE_OVERFLOW_NONE;
    bool said = last_wait_at && now - last_wait_at < BRIDGE_RATE_WINDOW_MS;
    return queued == c->queue_per_chat && c->replies_wait_text[0] && !said ? BRIDGE_OVERFLOW_WAIT
                                                                           : BRIDGE_OVERFLOW_DROP;
}

int64_t bridge_typing_ms(const struct config *c, size_t text_bytes)
{
    int64_t size = text_bytes < LONG_TEXT ? (int64_t)text_bytes : LONG_TEXT;
    int64_t more = c->delay_max_ms > c->delay_min_ms ? c->delay_max_ms - c->delay_min_ms : 0;
    return c->delay_min_ms + more * size / LONG_TEXT;
}

/* ---- rates ------------------------------------------------------------------------------------
 */

int64_t bridge_outbox_gap_ms(const struct config *c, uint32_t random)
{
    if (c->outbox_max_per_minute == 0)
        return 0;
    int64_t mean = BRIDGE_RATE_WINDOW_MS / c->outbox_max_per_minute;
    return mean / 2 + (int64_t)((uint64_t)random * (uint64_t)mean >> 32);
}

enum bridge_rate bridge_rate_decide(const struct config *c, int64_t sent, int64_t warnings)
{
    if (c->rate_limit_max_per_minute == 0 || sent < c->rate_limit_max_per_minute)
        return BRIDGE_RATE_SEND;
    return c->rate_limit_warning[0] && warnings == 0 ? BRIDGE_RATE_WARN : BRIDGE_RATE_DROP;
}

int64_t bridge_resend_after(unsigned error, int attempts, bool *account)
{
    *account = error == 429;
    if (attempts >= BRIDGE_SEND_ATTEMPTS_MAX)
        return -1;
    switch (error) {
    case 0: /* never reached the wire */
    case 408:
    case 500:
    case 503:
        return (int64_t)SEND_DELAY_MS << (attempts > 0 ? attempts - 1 : 0);
    case 429:
        return (int64_t)RATE_DELAY_MS << (attempts > 0 ? attempts - 1 : 0);
    default:
        return -1;
    }
}

const char *bridge_refusal_text(unsigned error)
{
    static const struct {
        unsigned error;
        const char *text;
    } texts[] = {
        {400, "WhatsApp did not understand the message"},
        {401, "this account may not write there"},
        {403, "this account may not write there"},
        {404, "there is no such recipient"},
        {406, "the recipient does not accept it"},
        {408, "WhatsApp did not answer in time"},
        {421, "the group is addressed in another way now"},
        {429, "too many messages; WhatsApp wants a pause"},
        {463, "WhatsApp restricts first messages of this account; wait until the contact writes"},
        {475, "the number of new chats is used up; wait until the contact writes"},
        {479, "WhatsApp found the message malformed"},
        {500, "WhatsApp had an error"},
        {503, "WhatsApp was not available"},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i].error == error)
            return texts[i].text;
    return "WhatsApp refused the message";
}
