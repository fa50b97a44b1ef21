/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The queue of messages.db, through the rate limit, to the session; and what became of each. */
#include "bridge/bridge_internal.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "bridge/policy.h"

#define DELAYS_MAX 1024
#define RESEND_MAX_AGE_MS (14 * INT64_C(86400000)) /* a phone that was off so long has given up */

static void delay_chat(struct bridge *b, const char *chat, int64_t ms)
{
    int64_t now = clock_mono_ms();
    if (b->delay_count == DELAYS_MAX) {
        b->pause_until = now + ms;
        return;
    }
    b->delays = err_realloc(b->delays, (b->delay_count + 1) * sizeof(*b->delays));
    struct bridge_delay *d = &b->delays[b->delay_count++];
    bytes_copy_text(bytes_text(chat), d->chat, sizeof(d->chat));
    d->until = now + ms;
}

static void forget_passed_delays(struct bridge *b, int64_t now)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->delay_count; i++)
        if (b->delays[i].until > now)
            b->delays[kept++] = b->delays[i];
    b->delay_count = kept;
}

static bool must_wait(const struct bridge *b, const char *chat)
{
    for (size_t i = 0; i < b->delay_count; i++)
        if (strcmp(b->delays[i].chat, chat) == 0)
            return true;
    return false;
}

static int64_t next_due(const struct bridge *b, int64_t now)
{
    if (b->pause_until > now)
        return b->pause_until;
    int64_t first = CLOCK_NEVER;
    for (size_t i = 0; i < b->delay_count; i++)
        if (b->delays[i].until < first)
            first = b->delays[i].until;
    return first;
}

/* ---- the rate limit ------------------------------------------------------------------------- */

static int know_window(struct bridge *b)
{
    struct bridge_window *w = &b->window;
    int64_t since = clock_wall_ms() - BRIDGE_RATE_WINDOW_MS;
    if (w->known)
        return 0;
    *w = (struct bridge_window){.known = true};
    if (b->config.rate_limit_max_per_minute == 0)
        return 0; /* no limit: nothing to count */
    int64_t all = store_messages_count_sent_since(b->messages, since, true);
    w->sent = store_messages_count_sent_since(b->messages, since, false);
    w->warnings = all - w->sent;
    return all < 0 || w->sent < 0 ? ERR_STORE : 0;
}

/* What left before was counted then; the outbox has a limit of its own. */
static enum bridge_rate rate(const struct bridge *b, const struct store_queued *q)
{
    const struct bridge_window *w = &b->window;
    return q->attempts > 0 || q->outbox_name ? BRIDGE_RATE_SEND
                                             : bridge_rate_decide(&b->config, w->sent, w->warnings);
}

void bridge_outbound_make_id(struct bridge *b, char id[WA_MESSAGE_ID_SIZE], struct wa_jid *own)
{
    uint8_t random[16];
    *own = wa_jid_bare(&wa_session_device(b->session)->pn);
    b->host.random(b->host.ctx, random, sizeof(random));
    wa_message_id(id, clock_wall_ms() / 1000, own->user, random);
}

/* ---- sending -------------------------------------------------------------------------------- */

static void mark_answered(struct bridge *b, const struct store_queued *q, const struct wa_jid *to)
{
    struct wa_jid author = {0};
    if (!b->config.read_receipts || !q->reply_to || !q->quoted_wa_id || q->attempts > 0)
        return;
    if (to->server == WA_SERVER_GROUP && q->answered_sender)
        wa_jid_parse(&author, bytes_text(q->answered_sender));
    wa_session_mark_read(b->session, to, &author, bytes_text(q->quoted_wa_id));
}

/* As a person would: "typing…" first. Counted from when the answer was queued, so that a restart
 * does not begin anew. Whether it waits. */
static bool still_typing(struct bridge *b, const struct store_queued *q, const struct wa_jid *to)
{
    int64_t typing = bridge_typing_ms(&b->config, q->text.n);
    int64_t left = q->created_at + typing - clock_wall_ms();
    if (q->outbox_name || q->attempts > 0 || left <= 0)
        return false;
    delay_chat(b, q->chat, left < typing ? left : typing);
    b->send_at = next_due(b, clock_mono_ms());
    wa_session_typing(b->session, to, true);
    return true;
}

/* 1 and why what never left shall not leave any more; 0; ERR_STORE. */
static int is_overtaken(struct bridge *b, const struct store_queued *q, const char **why)
{
    int rc = 0;
    *why = "expired";
    if (q->attempts > 0)
        return 0;
    if (q->outbox_name && q->expires_at && q->expires_at <= clock_wall_ms())
        return 1;
    *why = "restricted";
    if (q->outbox_name)
        return store_messages_is_restricted(b->messages, q->id);
    *why = "replies_off";
    if (!b->config.replies_enabled)
        return 1;
    *why = "owner_answered";
    if (q->reply_to)
        rc = store_messages_owner_wrote(b->messages, q->chat, q->reply_to);
    return rc;
}

static struct wa_text text_of(const struct store_queued *q)
{
    struct wa_text text = {.text = q->text,
                           .expiration_s = (uint32_t)q->expiration_s,
                           .expiration_set_s = q->expiration_set_at / 1000};
    if (q->quoted_sender && q->quoted_wa_id) {
        text.quoted_id = bytes_text(q->quoted_wa_id);
        text.quoted_author = bytes_text(q->quoted_sender);
        text.quoted_text = q->quoted_text;
    }
    return text;
}

static int give_up(struct bridge *b, const struct store_queued *q, int why)
{
    AUTO_FREE char *wa_id = err_strdup(q->wa_id);
    log_event(LOG_WARN, "message_refused", LOG_INT("row", q->id), LOG_STR("error", err_name(why)));
    int rc = store_messages_set_failed(b->messages, bytes_text(wa_id), err_name(why));
    return rc < 0 ? ERR_STORE : 0;
}

void bridge_outbound_log(const struct bridge *b, int64_t row, bool warning, struct bytes text)
{
    log_event(LOG_DEBUG, "message_out", LOG_INT("row", row), LOG_BOOL("warning", warning),
              LOG_BYTES(b->config.log_content ? "text" : NULL, text));
}

/* As wa_session_send; warn: the warning of the rate limit in its place. */
static int pass_on(struct bridge *b, const struct store_queued *q, const struct wa_jid *to,
                   bool warn)
{
    struct wa_outgoing out = {.id = q->wa_id, .to = *to, .text = text_of(q)};
    if (warn)
        out.text.text = bytes_text(b->config.rate_limit_warning);
    int rc = wa_session_send(b->session, &out);
    if (rc < 0)
        return rc;
    mark_answered(b, q, to);
    if (!q->outbox_name)
        *(warn ? &b->window.warnings : &b->window.sent) += q->attempts == 0;
    b->state.counters.rate_limited += warn;
    return 0;
}

/* 1 given to the session, 0 dropped or refused for good, ERR_LIMIT or ERR_STATE: not now,
 * ERR_STORE. */
static int give(struct bridge *b, const struct store_queued *q, const struct wa_jid *to)
{
    enum bridge_rate verdict = rate(b, q);
    int64_t id = q->id;
    if (verdict == BRIDGE_RATE_DROP) {
        b->state.counters.rate_limited++;
        return store_messages_set_dropped(b->messages, id, "rate_limit");
    }
    bool warn = verdict == BRIDGE_RATE_WARN;
    int rc = pass_on(b, q, to, warn);
    if (rc == ERR_LIMIT || rc == ERR_STATE)
        return rc;
    if (rc < 0)
        return give_up(b, q, rc);
    bridge_outbound_log(b, id, warn, warn ? bytes_text(b->config.rate_limit_warning) : q->text);
    if (warn &&
        store_messages_replace_text(b->messages, id, bytes_text(b->config.rate_limit_warning),
                                    STORE_INTENT_WARNING) < 0)
        return ERR_STORE;
    return store_messages_set_sending(b->messages, id, clock_wall_ms()) < 0 ? ERR_STORE : 1;
}

/* As give; 0 also when it waits while somebody seems to type. */
static int dispatch(struct bridge *b, const struct store_queued *q)
{
    struct wa_jid to;
    const char *why;
    int rc = is_overtaken(b, q, &why);
    if (rc < 0)
        return rc;
    if (rc == 1)
        return store_messages_set_dropped(b->messages, q->id, why);
    rc = wa_jid_parse(&to, bytes_text(q->target));
    if (rc < 0)
        return give_up(b, q, rc);
    return still_typing(b, q, &to) ? 0 : give(b, q, &to);
}

/* The queued rows whose turn it is; *any: something changed. The last result of dispatch. */
static int send_queued(struct bridge *b, bool *any)
{
    struct store_queued q;
    int64_t after = 0;
    int rc = 0, found = 0;
    while (rc >= 0 && (found = store_messages_next_queued(b->messages, after, &q)) == 1) {
        after = q.id;
        if (must_wait(b, q.chat))
            continue;
        if (!b->window.known) {
            rc = know_window(b);
            after = 0; /* reading used up the borrowed row */
            continue;
        }
        rc = dispatch(b, &q);
        *any = *any || rc >= 0;
    }
    return found < 0 ? ERR_STORE : rc;
}

static bool is_open(const struct bridge *b)
{
    return b->may_send && !b->logout_pending && wa_session_connected(b->session);
}

/* What the queue would find out about it (dispatch), found out before there is a row: it is
 * recorded as under way, in one statement instead of five. */
bool bridge_outbound_at_once(struct bridge *b, const struct store_queued *q,
                             const struct wa_jid *to)
{
    if (!is_open(b) || b->pause_until > clock_mono_ms() || must_wait(b, q->chat) ||
        bridge_typing_ms(&b->config, q->text.n) > 0)
        return false;
    if (store_messages_owner_wrote(b->messages, q->chat, q->reply_to) != 0 || know_window(b) < 0 ||
        rate(b, q) != BRIDGE_RATE_SEND)
        return false;
    return pass_on(b, q, to, false) == 0;
}

bool bridge_outbound_pump(struct bridge *b)
{
    int64_t now = clock_mono_ms();
    bool any = false;
    int rc;
    b->send_at = CLOCK_NEVER;
    if (!is_open(b))
        return false;
    forget_passed_delays(b, now);
    b->send_at = next_due(b, now);
    if (b->pause_until > now)
        return false;
    /* The outbox comes when no reply can go. */
    do {
        rc = send_queued(b, &any);
    } while (rc >= 0 && (rc = bridge_outbox_release(b)) == 1);
    if (rc == ERR_STORE)
        b->store_failed = true;
    return any;
}

void bridge_outbound_reset(struct bridge *b)
{
    b->may_send = false;
    b->pause_until = 0;
    b->delay_count = 0;
    if (store_messages_requeue(b->messages) < 0)
        b->store_failed = true;
}

/* ---- what became of it ---------------------------------------------------------------------- */

static int set_failed(struct bridge *b, struct bytes id, const struct wa_event *ev)
{
    char why[128];
    if (ev->type == WA_EVENT_SEND_FAILED)
        snprintf(why, sizeof(why), "%s", ev->u.ack.text);
    else
        snprintf(why, sizeof(why), "%u: %s", ev->u.ack.error, bridge_refusal_text(ev->u.ack.error));
    log_event(LOG_WARN, "message_failed", LOG_BYTES("id", id), LOG_STR("why", why));
    return store_messages_set_failed(b->messages, id, why);
}

static int not_sent(struct bridge *b, struct bytes id, const struct wa_event *ev)
{
    struct store_queued q;
    bool account;
    int rc = store_messages_find_sent(b->messages, id, &q);
    if (rc <= 0)
        return rc;
    int64_t wait = bridge_resend_after(ev->u.ack.error, q.attempts, &account);
    if (wait < 0)
        return set_failed(b, id, ev);
    log_event(LOG_INFO, "message_waits", LOG_INT("row", q.id), LOG_INT("ms", wait),
              LOG_INT("error", ev->u.ack.error), LOG_STR("why", ev->u.ack.text));
    if (account)
        b->pause_until = clock_mono_ms() + wait;
    else
        delay_chat(b, q.chat, wait);
    rc = store_messages_set_queued(b->messages, q.id);
    return rc == ERR_STATE ? 0 : rc; /* a receipt was faster */
}

void bridge_outbound_acked(struct bridge *b, const struct wa_event *ev)
{
    struct bytes id = ev->u.ack.id;
    int64_t at = ev->u.ack.timestamp_s ? ev->u.ack.timestamp_s * 1000 : clock_wall_ms();
    bool accepted = ev->type == WA_EVENT_ACKED && ev->u.ack.error == 0;
    int rc = accepted ? store_messages_set_sent(b->messages, id, at) : not_sent(b, id, ev);
    if (rc < 0)
        b->store_failed = true;
}

/* A device gets again only what was meant for its user, or what one of our own devices lacks. Who
 * is in a group the session knows (wa/send_group.c). */
static bool may_have(const struct bridge *b, const struct wa_event *ev, const char *target)
{
    struct wa_jid to, device = wa_jid_bare(&ev->u.resend.device);
    if (wa_jid_parse(&to, bytes_text(target)) < 0 ||
        !bridge_records_same_user(&b->host, &to, &ev->u.resend.chat))
        return false;
    if (to.server == WA_SERVER_GROUP)
        return true;
    return wa_device_is_own(wa_session_device(b->session), &ev->u.resend.device) ||
           bridge_records_same_user(&b->host, &to, &device);
}

void bridge_outbound_resend(struct bridge *b, const struct wa_event *ev)
{
    struct store_queued q;
    int rc = store_messages_find_resend(b->messages, ev->u.resend.id,
                                        clock_wall_ms() - RESEND_MAX_AGE_MS, &q);
    if (rc < 0)
        b->store_failed = true;
    if (rc != 1 || !may_have(b, ev, q.target))
        return;
    struct wa_outgoing out = {.id = q.wa_id, .text = text_of(&q)};
    if (wa_jid_parse(&out.to, bytes_text(q.target)) == 0)
        rc = wa_session_resend(b->session, ev, &out);
    log_event(LOG_INFO, "message_again", LOG_INT("row", q.id), LOG_INT("count", ev->u.resend.count),
              LOG_STR("result", err_name(rc < 0 ? rc : 0)));
}
