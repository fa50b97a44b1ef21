/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What both session targets require of every event. */
#ifndef TESTS_FUZZ_SESSION_H
#define TESTS_FUZZ_SESSION_H

#include "base/text.h"
#include "fuzz.h"
#include "wa_line.h"

static inline void fuzz_session_message(const struct wa_incoming *m)
{
    fuzz_require(m->id.n > 0 && text_utf8_valid(m->id));
    fuzz_require(text_utf8_valid(m->push_name) && text_utf8_valid(m->content->text));
    fuzz_require(wa_jid_is_none(&m->chat_pn) || wa_jid_is_pn(&m->chat_pn));
    fuzz_require(wa_jid_is_none(&m->chat_lid) || wa_jid_is_lid(&m->chat_lid));
    fuzz_require((m->content->kind == WA_KIND_UNDECRYPTABLE) == (m->fault != NULL));
    fuzz_require(m->from_me || !m->content->device_sent);
}

static inline void fuzz_session_event(struct line *l, const struct wa_event *ev)
{
    struct wa_outgoing again = {.id = "3EB000", .text = {.text = bytes_text("again")}};
    switch (ev->type) {
    case WA_EVENT_MESSAGE:
        fuzz_session_message(&ev->u.message);
        break;
    case WA_EVENT_HISTORY:
        if (!ev->u.message.content->timer_set)
            fuzz_session_message(&ev->u.message);
        break;
    case WA_EVENT_RECEIPT:
        for (size_t i = 0; i < ev->u.receipt.count; i++)
            fuzz_touch(ev->u.receipt.ids[i]);
        break;
    case WA_EVENT_RESEND:
        fuzz_touch(ev->u.resend.id);
        again.to = ev->u.resend.chat;
        wa_session_resend(l->session, ev, &again);
        break;
    case WA_EVENT_QR:
        fuzz_touch(ev->u.qr.payload);
        break;
    default:
        break;
    }
}

/* Takes all events; false once the session is closed. Nothing may follow that. */
static inline bool fuzz_session_drain(struct line *l)
{
    struct wa_event ev;
    while (wa_session_next(l->session, &ev) == 1) {
        fuzz_session_event(l, &ev);
        if (ev.type != WA_EVENT_CLOSED)
            continue;
        fuzz_require(ev.u.closed.err.text[0]);
        fuzz_require(wa_session_next(l->session, &ev) == 0);
        return false;
    }
    return true;
}

#endif
