/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the phone tells of its history (wa/history_sync.c): rows that nobody answers. */
#include "bridge/bridge_internal.h"

#include "base/clock.h"
#include "base/log.h"

/* What was said, but not what was said about it, as its target may still be to come; and nothing
 * that retention would delete at once. */
static bool is_recorded(const struct bridge *b, const struct wa_incoming *in)
{
    int64_t days = b->config.messages_keep_days;
    if (in->timestamp_s > INT64_MAX / 1000 || in->content->target_id.n > 0)
        return false;
    return days == 0 || clock_wall_ms() - in->timestamp_s * 1000 < days * STORE_DAY_MS;
}

static int record(struct bridge *b, const struct wa_incoming *in)
{
    struct bridge_forms chat, sender;
    int64_t id;
    bridge_make_forms(&chat, &in->chat, &in->chat_pn, &in->chat_lid);
    bridge_make_forms(&sender, &in->sender, &in->sender_pn, &in->sender_lid);
    const struct store_inbound row = {
        .wa_id = in->id,
        .chat = chat.main,
        .chat_pn = bridge_form(chat.pn),
        .chat_lid = bridge_form(chat.lid),
        .sender = sender.main,
        .sender_pn = bridge_form(sender.pn),
        .sender_lid = bridge_form(sender.lid),
        .sender_name = in->push_name,
        .from_me = in->from_me,
        .history = true,
        .kind = wa_kind_text(in->content->kind),
        .text = in->content->text,
        .quoted_id = in->content->quoted_id,
        .target_id = in->content->target_id,
        .sent_at = in->timestamp_s * 1000,
        .received_at = in->timestamp_s * 1000,
    };
    return store_messages_record(b->messages, &row, &id);
}

void bridge_history_sync_message(struct bridge *b, const struct wa_incoming *in)
{
    if (in->content->timer_set) {
        bridge_inbound_timer(b, in);
        return;
    }
    if (!is_recorded(b, in))
        return;
    int rc = record(b, in);
    if (rc == 1) {
        b->messages_taken++;
        b->state.counters.history_recorded++;
    }
    if (rc == ERR_STORE)
        b->store_failed = true;
}

void bridge_history_sync_end(struct bridge *b, const struct wa_event *ev)
{
    const char *trouble = ev->u.history_end.trouble;
    b->state.counters.history_given_up += trouble != NULL;
    log_event(trouble ? LOG_WARN : LOG_INFO, trouble ? "history_given_up" : "history_read",
              LOG_INT("type", ev->u.history_end.type), LOG_INT("chats", ev->u.history_end.chats),
              LOG_INT("messages", ev->u.history_end.messages), LOG_STR("error", trouble));
}
