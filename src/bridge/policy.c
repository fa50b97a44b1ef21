/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/policy.h"

#define SEND_DELAY_MS 5000
#define RATE_DELAY_MS 60000

int64_t bridge_backoff_ms(int attempt, int64_t initial_ms, int64_t max_ms, uint32_t random)
{
    int64_t ceiling = initial_ms < max_ms ? initial_ms : max_ms;
    for (int i = 1; i < attempt && ceiling < max_ms; i++)
        ceiling = ceiling > max_ms / 2 ? max_ms : ceiling * 2;
    return 1 + (int64_t)((uint64_t)random * (uint64_t)ceiling >> 32);
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
