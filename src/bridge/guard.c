/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What keeps an answer back although a customer wrote. All of it is read from messages.db, so that
 * a restart forgets nothing. */
#include "bridge/bridge_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "bridge/policy.h"

#define DAY_MS 86400000

static int is_ping_pong(struct bridge *b, const char *chat, bool *found)
{
    struct store_turn rows[BRIDGE_TURNS_MAX];
    struct bridge_turn turns[BRIDGE_TURNS_MAX];
    int wanted = 2 * (int)b->config.ping_pong_messages;
    int n = wanted ? store_messages_newest_in(b->messages, chat, wanted, rows) : 0;
    for (int i = 0; i < n; i++)
        turns[i] = (struct bridge_turn){rows[i].out, rows[i].from_me, rows[i].at, rows[i].text};
    *found = n > 0 && bridge_is_ping_pong(turns, (size_t)n, &b->config);
    return n < 0 ? n : 0;
}

int bridge_guard_chat(struct bridge *b, const char *chat, struct bridge_verdict *out)
{
    struct store_guards g;
    int64_t now = clock_wall_ms();
    bool bot = false;
    int rc =
        store_messages_guards(b->messages, chat, now - DAY_MS, b->config.replies_daily_cap, &g);
    if (rc == 0)
        rc = is_ping_pong(b, chat, &bot);
    if (rc < 0)
        return rc;
    const struct bridge_chat known = {.now = now,
                                      .last_reply_at = g.last_reply_at,
                                      .ping_pong_at = g.ping_pong_at,
                                      .replies_in_day = g.replies};
    *out = (struct bridge_verdict){.answer = bridge_chat_decide(&known, &b->config),
                                   .last_wait_at = g.wait_at,
                                   .queued = g.queued};
    if (out->answer != BRIDGE_ANSWER || !bot)
        return 0;
    char masked[64];
    log_event(LOG_WARN, "ping_pong", LOG_STR("chat", log_mask(bytes_text(chat), masked)),
              LOG_INT("silent_s", b->config.ping_pong_silence_s));
    out->ping_pong = true;
    return 0;
}
