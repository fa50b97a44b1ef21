/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the portal wants sent: outbox/new -> a held row of messages.db -> the queue of its chat,
 * when replies and the rate leave room -> outbox/done or outbox/failed. A file goes after the
 * commit of its row, a result comes after the commit of what it tells.
 */
#include "bridge/bridge_internal.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "bridge/policy.h"

#define UNDER_WAY_MAX 16 /* of WA_SENDS_MAX; the rest is for replies */
#define REPORTS_AT_ONCE 256
#define LOOK_AGAIN_MS 1000
#define LIMIT_UNKNOWN_MS 86400000 /* how long one lasts of which the server names no end */
#define NUMBER_MIN 7              /* digits with country code; E.164 allows 15 */
#define NUMBER_MAX 15

/* ---- a message becomes a row -------------------------------------------------------------------
 */

static bool is_number(const char *to)
{
    size_t n = strlen(to);
    return n >= NUMBER_MIN && n <= NUMBER_MAX && strspn(to, "0123456789") == n && to[0] != '0';
}

/* NULL, or what is wrong with it. */
static const char *read_target(const char *to, struct wa_jid *out)
{
    if (!strchr(to, '@')) {
        if (!is_number(to))
            return "to must be a phone number with country code, 7 to 15 digits without +, 00 or "
                   "blanks, or a JID";
        *out = wa_jid_make(WA_SERVER_PN, to, 0);
        return NULL;
    }
    if (wa_jid_parse(out, bytes_text(to)) < 0)
        return "to is no JID; they look like 4915112345678@s.whatsapp.net, 123456789@lid, …@g.us";
    *out = wa_jid_bare(out);
    if (!wa_jid_is_user(out) && !(out->server == WA_SERVER_GROUP && out->user[0]))
        return "to must be a person or a group";
    return NULL;
}

static const char *check(const struct volume_outbox_message *m, struct wa_jid *to)
{
    const char *wrong = read_target(m->to, to);
    if (!wrong && m->text.n > WA_TEXT_MAX)
        wrong = "text is longer than 65536 bytes";
    if (!wrong && m->expires_at && m->expires_at <= clock_wall_ms())
        wrong = "expired before the bridge could take it";
    return wrong;
}

static int record(struct bridge *b, const struct volume_outbox_message *m, const struct wa_jid *to,
                  const struct bridge_forms *chat)
{
    char wa_id[WA_MESSAGE_ID_SIZE], target[WA_JID_TEXT_SIZE], sender[WA_JID_TEXT_SIZE];
    struct wa_jid own;
    int64_t now = clock_wall_ms(), id;
    bridge_outbound_make_id(b, wa_id, &own);
    const struct store_outbound out = {
        .wa_id = wa_id,
        .chat = chat->main,
        .chat_pn = bridge_form(chat->pn),
        .chat_lid = bridge_form(chat->lid),
        .target = wa_jid_text(to, target),
        .sender = wa_jid_text(&own, sender),
        .text = m->text,
        .quoted_id = m->quote,
        .outbox_name = m->name,
        .created_at = now,
        .held = true,
        .due_at = m->not_before > now ? m->not_before : now,
        .expires_at = m->expires_at,
    };
    int rc = store_messages_intend(b->messages, &out, 0, &id);
    if (rc == 0) /* the name came before: its sender may want to see the result */
        rc = store_messages_report_again(b->messages, m->name);
    log_event(LOG_DEBUG, "outbox_taken", LOG_STR("name", m->name), LOG_INT("row", id));
    return rc < 0 ? rc : 0;
}

static int take(struct bridge *b, const struct volume_outbox_message *m)
{
    struct wa_jid to, pn, lid;
    struct bridge_forms chat;
    const char *wrong = check(m, &to);
    if (!wrong) {
        bridge_records_forms(&b->host, &to, &pn, &lid);
        bridge_make_forms(&chat, &to, &pn, &lid);
        int quotable = m->quote ? store_messages_can_quote(b->messages, m->quote, chat.main) : 1;
        if (quotable < 0)
            return quotable;
        if (!quotable)
            wrong = "quote is not the WhatsApp id of a message of this chat";
    }
    if (wrong) {
        volume_outbox_refuse(b->outbox, m->name, wrong);
        return 0;
    }
    int rc = record(b, m, &to, &chat);
    if (rc == 0)
        bytes_copy_text(bytes_text(m->name), b->taken[b->taken_count++], sizeof(b->taken[0]));
    return rc;
}

/* Whether there is room for one more batch. */
static int has_room(struct bridge *b)
{
    int64_t due = store_messages_count_due(b->messages, clock_wall_ms());
    if (due < 0)
        return ERR_STORE;
    bool full = due + VOLUME_OUTBOX_BATCH > b->config.outbox_queue_messages;
    if (full != b->state.outbox_full)
        bridge_status_want(b, BRIDGE_PUBLISH_LIGHT);
    b->state.outbox_full = full;
    return !full;
}

void bridge_outbox_take(struct bridge *b)
{
    struct volume_outbox_message m;
    int rc = 0;
    if (!b->look_due || !wa_session_connected(b->session))
        return;
    b->look_due = false;
    b->hurry = true;
    if (store_messages_count_outbox(b->messages) > 0)
        rc = store_messages_expire(b->messages, clock_wall_ms());
    if (rc >= 0)
        rc = has_room(b);
    if (rc == 1) {
        b->looked_at = volume_outbox_look(b->outbox);
        while (rc >= 0 && volume_outbox_next(b->outbox, &m) == 1)
            rc = take(b, &m);
        if (volume_outbox_unfinished(b->outbox))
            b->look_at = clock_mono_ms() + LOOK_AGAIN_MS;
    } else if (rc == 0) {
        b->look_again = true; /* when something has left */
    }
    if (rc == ERR_STORE)
        b->store_failed = true;
}

/* ---- a row enters the queue --------------------------------------------------------------------
 */

static void wait_until(struct bridge *b, int64_t mono_ms)
{
    if (mono_ms < b->send_at)
        b->send_at = mono_ms;
}

static int64_t gap(struct bridge *b)
{
    uint32_t random;
    b->host.random(b->host.ctx, (uint8_t *)&random, sizeof(random));
    return bridge_outbox_gap_ms(&b->config, random);
}

/* 1 the rate lets one more go, 0 not yet (release_at says when), ERR_STORE. What an earlier process
 * sent counts too. */
static int rate_allows(struct bridge *b, int64_t mono_ms)
{
    int64_t now = clock_wall_ms(), sent, last;
    if (b->config.outbox_max_per_minute == 0)
        return 1;
    if (b->release_at > mono_ms)
        return 0;
    if (store_messages_outbox_sent_since(b->messages, now - BRIDGE_RATE_WINDOW_MS, &sent, &last) <
        0)
        return ERR_STORE;
    int64_t first = b->release_at ? 0 : last + gap(b) - now; /* after a start */
    if (sent >= b->config.outbox_max_per_minute)
        first = gap(b);
    b->release_at = mono_ms + (first > 0 ? first : 0);
    return first <= 0;
}

static int64_t server_now(const struct bridge *b)
{
    int64_t now = b->session ? wa_session_server_ms(b->session) : 0;
    return now ? now : clock_wall_ms();
}

static void end_limit(struct bridge *b)
{
    b->state.limit.kind[0] = '\0';
    b->state.limit.until = 0;
    bridge_status_want(b, BRIDGE_PUBLISH_DURABLE);
}

/* How long nobody new may be written to; 0: no limit. */
static int64_t limit_left(struct bridge *b)
{
    int64_t left = b->state.limit.until - server_now(b);
    if (!b->state.limit.kind[0])
        return 0;
    if (left <= 0)
        end_limit(b);
    return left > 0 ? left : 0;
}

void bridge_outbox_limit(struct bridge *b, const struct wa_event *ev)
{
    const char *kind = ev->u.limit.kind;
    char until[CLOCK_TEXT_SIZE];
    if (ev->u.limit.active) {
        bytes_copy_text(bytes_text(kind), b->state.limit.kind, sizeof(b->state.limit.kind));
        b->state.limit.until =
            ev->u.limit.until_s ? ev->u.limit.until_s * 1000 : server_now(b) + LIMIT_UNKNOWN_MS;
        clock_format(b->state.limit.until, until);
        bridge_status_error(b, kind,
                            "WhatsApp lets this account write to nobody new until %s. The outbox "
                            "waits, answers go on. Write less to people who did not write first.",
                            until);
    } else if (strcmp(b->state.limit.kind, kind) == 0) {
        end_limit(b);
    }
    if (ev->u.limit.warning)
        bridge_status_error(b, "new_chats_warned",
                            "WhatsApp will soon let this account write to nobody new. Write less "
                            "to people who did not write first.");
    bridge_status_want(b, BRIDGE_PUBLISH_DURABLE);
}

int bridge_outbox_release(struct bridge *b)
{
    int64_t mono = clock_mono_ms(), now = clock_wall_ms(), id, due;
    int rc = store_messages_first_held(b->messages, &id, &due);
    if (rc != 1)
        return rc;
    int64_t limited = limit_left(b);
    if (limited > 0) {
        wait_until(b, mono + limited);
        return 0;
    }
    if (due > now) {
        wait_until(b, mono + (due - now));
        return 0;
    }
    int64_t under_way = store_messages_count_under_way(b->messages);
    if (under_way < 0 || under_way >= UNDER_WAY_MAX)
        return under_way < 0 ? ERR_STORE : 0;
    rc = rate_allows(b, mono);
    if (rc == 0)
        wait_until(b, b->release_at);
    if (rc != 1)
        return rc;
    b->release_at = mono + gap(b);
    rc = store_messages_let_in(b->messages, id);
    if (rc == 0 && b->look_again) {
        b->look_again = false;
        b->look_due = true;
        bridge_touch(b);
    }
    return rc < 0 ? rc : 1;
}

/* ---- what became of it -------------------------------------------------------------------------
 */

static bool is_failure(const char *status)
{
    return strcmp(status, "failed") == 0 || strcmp(status, "dropped") == 0;
}

static int report(struct bridge *b, const struct store_report *r, struct err *err)
{
    struct wa_jid to, pn, lid;
    struct bridge_forms chat = {.pn = ""};
    if (wa_jid_parse(&to, bytes_text(r->target)) == 0) {
        bridge_records_forms(&b->host, &to, &pn, &lid);
        bridge_make_forms(&chat, &to, &pn, &lid);
    }
    const struct volume_outbox_result result = {
        .name = r->outbox_name,
        .id = r->wa_id,
        .pn = chat.pn,
        .lid = chat.lid,
        .status = r->status,
        .server_at = r->acked_at,
        .delivered_at = r->delivered_at,
        .read_at = r->read_at,
        .error = is_failure(r->status) ? (r->error ? r->error : "failed") : NULL,
    };
    return volume_outbox_result(b->outbox, &result, err);
}

/* Also those of an earlier process that did not get to it. */
static void publish_reports(struct bridge *b)
{
    struct store_report r;
    struct err err;
    int64_t after = 0;
    int rc = 0, n = 0;
    while (rc == 0 && n < REPORTS_AT_ONCE &&
           store_messages_next_report(b->messages, after, &r) == 1) {
        after = r.id;
        n++;
        rc = report(b, &r, &err);
        if (rc == 0)
            rc = store_messages_reported(b->messages, after);
        else
            log_event(LOG_WARN, "outbox_not_answered", LOG_STR("reason", err.text));
    }
    /* Should this fail they are published once more. */
    if (n > 0 && store_messages_commit(b->messages, &err) < 0)
        log_event(LOG_WARN, "outbox_not_answered", LOG_STR("reason", err.text));
    if (n == REPORTS_AT_ONCE)
        bridge_touch(b);
}

void bridge_outbox_settled(struct bridge *b)
{
    bool removed = false;
    for (size_t i = 0; i < b->taken_count; i++)
        removed |= volume_outbox_taken(b->outbox, b->taken[i]);
    if (removed)
        bridge_status_want(b, BRIDGE_PUBLISH_LIGHT);
    if (b->looked_at > VOLUME_OUTBOX_BATCH && volume_outbox_progress(b->outbox)) {
        b->look_due = true;
        bridge_touch(b);
    }
    b->taken_count = b->looked_at = 0;
    publish_reports(b);
}

void bridge_outbox_undone(struct bridge *b)
{
    b->taken_count = b->looked_at = 0;
    b->look_due = true;
}

/* ---- handle ------------------------------------------------------------------------------------
 */

void bridge_outbox_look(struct bridge *b)
{
    b->look_at = CLOCK_NEVER;
    b->look_due = true;
    if (b->session)
        bridge_touch(b);
}

static void on_outbox(void *ctx)
{
    struct bridge *b = ctx;
    volume_outbox_drain(b->outbox);
    bridge_outbox_look(b);
}

int bridge_outbox_open(struct bridge *b, struct err *err)
{
    volume_outbox_open(&b->outbox, &b->volume);
    b->look_due = true;
    if (volume_outbox_fd(b->outbox) < 0)
        return 0;
    return bridge_loop_watch(b->loop, volume_outbox_fd(b->outbox), on_outbox, b, err);
}

void bridge_outbox_close(struct bridge *b)
{
    volume_outbox_close(b->outbox);
    b->outbox = NULL;
}
