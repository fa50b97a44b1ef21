/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the phone tells of its history (wa/history_sync.c). */
#include "bridge/bridge_internal.h"

#include "base/log.h"

void bridge_history_sync_message(struct bridge *b, const struct wa_incoming *in)
{
    if (in->content->timer_set)
        bridge_inbound_timer(b, in);
}

void bridge_history_sync_end(struct bridge *b, const struct wa_event *ev)
{
    const char *trouble = ev->u.history_end.trouble;
    (void)b;
    log_event(trouble ? LOG_WARN : LOG_INFO, trouble ? "history_given_up" : "history_read",
              LOG_INT("type", ev->u.history_end.type), LOG_INT("chats", ev->u.history_end.chats),
              LOG_INT("messages", ev->u.history_end.messages), LOG_STR("error", trouble));
}
