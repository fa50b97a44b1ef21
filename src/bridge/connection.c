/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Link and session: from the dial to the end, and the one settling step in between. */
#include "bridge/blob.h"
#include "bridge/bridge_internal.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "bridge/policy.h"

#define DIAL_TIMEOUT_MS 20000 /* protocol/01 section 1 */
#define RATE_EXTRA_ATTEMPTS 5 /* protocol/01 section 10.3, stream error 429 */
#define UPPER_HALF 0x80000000u
#define HOLD_MS 100    /* how long acknowledgements and receipts may wait for company */
#define RESTARTS_MAX 2 /* at once: one after pairing, and one more */

/* ---- the end of a connection ---------------------------------------------------------------- */

static void schedule_retry(struct bridge *b, bool at_once, int extra_attempts)
{
    int64_t now = clock_mono_ms(), delay = 0;
    const struct config *c = &b->config;
    if (!at_once) {
        int attempt = ++b->state.reconnect.attempt;
        uint32_t random;
        b->host.random(b->host.ctx, (uint8_t *)&random, sizeof(random));
        if (extra_attempts > 0)
            random |= UPPER_HALF;
        delay = attempt > c->reconnect_max_attempts
                    ? c->reconnect_max_ms
                    : bridge_backoff_ms(attempt + extra_attempts, c->reconnect_initial_ms,
                                        c->reconnect_max_ms, random);
    }
    b->retry_at = now + delay;
    b->state.reconnect.next_at = clock_wall_ms() + delay;
    bridge_status_want(b, BRIDGE_PUBLISH_LIGHT);
}

/* The reason is shown until a login succeeds; a long row of failures is a reason of its own. */
static void say_lost(struct bridge *b, const char *code, const char *text, const char *advice)
{
    int attempt = b->state.reconnect.attempt;
    const char *blank = advice[0] ? " " : "";
    if (attempt >= b->config.reconnect_max_attempts)
        bridge_status_error(b, "reconnect_exhausted",
                            "%d attempts failed; tried on, slowly. The last one: %s: %s.%s%s",
                            attempt, code, text, blank, advice);
    else
        bridge_status_error(b, code, "%s.%s%s", text, blank, advice);
}

static void forget_connection(struct bridge *b)
{
    bridge_blob_drop(b);
    wa_session_close(b->session);
    b->session = NULL;
    b->set_aside = b->malformed = 0;
    b->ended = (struct wa_event){.type = WA_EVENT_QR};
    b->may_send = b->settle_due = b->hurry = b->more_history = false;
    b->messages_taken = 0;
    b->dial_until = b->stable_at = b->online_at = b->held_until = CLOCK_NEVER;
}

/*
 * While QRs are shown every end of a connection is the end of a round. After several of them the
 * owner is away, for weeks perhaps, and asking on and on would be hammering: then a pause, one
 * round, and a pause again.
 */
static enum bridge_event end_round(struct bridge *b, enum bridge_event event)
{
    int64_t pause_s = b->config.pairing_pause_s;
    if (b->lifecycle != BRIDGE_PAIRING || (event != BRIDGE_ON_EXPIRED && event != BRIDGE_ON_LOST) ||
        ++b->rounds < b->config.pairing_rounds)
        return event;
    b->wait_ms = pause_s * 1000;
    b->state.reconnect.attempt = 0;
    bridge_status_error(b, "pairing_paused",
                        "Nobody scanned the QR. The next one follows in %lld seconds, or at once "
                        "when it is asked for (control/pair).",
                        (long long)pause_s);
    return BRIDGE_ON_PAUSE;
}

/* No link and no session are left; what follows is the lifecycle's. */
static void lost(struct bridge *b, const char *code, const char *text, const char *advice,
                 int extra_attempts)
{
    bool stable = b->online_at != CLOCK_NEVER && clock_mono_ms() - b->online_at >= BRIDGE_STABLE_MS;
    forget_connection(b);
    if (stable)
        b->state.reconnect.attempt = b->restarts = 0;
    enum bridge_event event = end_round(b, BRIDGE_ON_LOST);
    if (event == BRIDGE_ON_LOST) {
        schedule_retry(b, stable, extra_attempts);
        say_lost(b, code, text, advice);
    }
    if (bridge_passkey_open(b) &&
        bridge_passkey_failed(b, WA_PASSKEY_DISCONNECTED, 0, text) == BRIDGE_ON_GIVE_UP)
        event = BRIDGE_ON_GIVE_UP;
    bridge_apply(b, event);
    bridge_commands_session_ended(b, BRIDGE_ON_LOST);
}

/* Nothing of the session may leave any more: what it did since the last commit is undone. */
static void drop_for_store(struct bridge *b, const struct err *err)
{
    store_messages_rollback(b->messages);
    store_keys_rollback(b->keys);
    bridge_outbox_undone(b);
    bridge_link_abort(b->link);
    b->link = NULL;
    b->store_failed = false;
    b->state.counters = b->settled;
    lost(b, wa_close_code(WA_CLOSE_STORE), err->text,
         "Nothing was acknowledged, so nothing is lost; free space on the volumes.", 0);
}

/* They should be forgotten, and the disk refused: the next login ends the same way and tries again.
 */
static void lost_keys(struct bridge *b)
{
    schedule_retry(b, false, 0);
    bridge_apply(b, BRIDGE_ON_LOST);
}

/* Until when, for the sentence and for the next process. */
static void banned(struct bridge *b, int64_t banned_s, struct err *err)
{
    char until[CLOCK_TEXT_SIZE];
    b->wait_ms = banned_s > 0 ? banned_s * 1000 : BRIDGE_BAN_UNKNOWN_MS;
    clock_format(clock_wall_ms() + b->wait_ms, until);
    size_t n = strlen(err->text);
    snprintf(err->text + n, sizeof(err->text) - n,
             banned_s > 0 ? "; until %s" : "; no end is named, tried again at %s", until);
    bridge_restriction_keep(b, b->wait_ms);
}

/* A server that asks for one restart after another is not worth more than a broken one. */
static enum bridge_event event_of(struct bridge *b, enum wa_close why)
{
    enum bridge_event event = bridge_lifecycle_of_close(why);
    if (event == BRIDGE_ON_RESTART && ++b->restarts > RESTARTS_MAX)
        return BRIDGE_ON_LOST;
    return event;
}

static void session_ended(struct bridge *b)
{
    enum wa_close why = b->ended.u.closed.why;
    int64_t banned_s = b->ended.u.closed.retry_after_s;
    enum wa_passkey_error passkey = b->ended.u.closed.passkey;
    struct err err = b->ended.u.closed.err;
    enum bridge_event event = event_of(b, why);
    bridge_link_close(b->link);
    b->link = NULL;
    log_event(LOG_INFO, "session_closed", LOG_STR("why", wa_close_code(why)),
              LOG_STR("text", err.text));
    if (why == WA_CLOSE_PAIRING_REFUSED)
        b->rounds = 0; /* somebody did scan */
    if (event == BRIDGE_ON_LOST) {
        lost(b, wa_close_code(why), err.text, wa_close_advice(why),
             why == WA_CLOSE_RATE ? RATE_EXTRA_ATTEMPTS : 0);
        return;
    }
    forget_connection(b);
    if (event == BRIDGE_ON_BANNED)
        banned(b, banned_s, &err);
    if (why == WA_CLOSE_PASSKEY)
        event = bridge_passkey_failed(b, passkey, banned_s, err.text);
    else if (event != BRIDGE_ON_RESTART && event != BRIDGE_ON_EXPIRED &&
             event != BRIDGE_ON_OUTDATED)
        bridge_status_error(b, wa_close_code(why), "%s. %s", err.text, wa_close_advice(why));
    if (bridge_apply(b, end_round(b, event)) == ERR_STORE)
        lost_keys(b);
    bridge_commands_session_ended(b, event);
}

static void not_reached(struct bridge *b, enum bridge_link_stage at, const char *why)
{
    static const struct {
        const char *code, *advice;
    } stages[] = {
        [BRIDGE_LINK_NAME] = {"name_not_resolved",
                              "Check the network and the name server of this machine."},
        [BRIDGE_LINK_ADDRESS] = {"not_reached", "Check the network and the firewall."},
        [BRIDGE_LINK_TLS] = {"tls_failed",
                             "Is its certificate one that whatsapp.ca_file or the system trusts, "
                             "and is the clock of this machine right?"},
        [BRIDGE_LINK_UPGRADE] = {"upgrade_refused",
                                 "Something between here and WhatsApp may answer in its place (a "
                                 "proxy, a portal), or the server has trouble."},
        [BRIDGE_LINK_OPEN] = {"connection_lost", ""},
    };
    char text[CONFIG_TEXT_MAX + 600];
    snprintf(text, sizeof(text), "%s was not reached: %s", b->config.endpoint, why);
    lost(b, stages[at].code, text, stages[at].advice, 0);
}

/* ---- settle --------------------------------------------------------------------------------- */

/* The network and the server are good: a connection that lasts makes an end of it harmless. */
static void settles(struct bridge *b)
{
    b->online_at = clock_mono_ms();
    b->stable_at = b->online_at + BRIDGE_STABLE_MS;
}

static void on_connected(struct bridge *b, const struct wa_event *ev)
{
    bridge_status_account(b, ev);
    bridge_restriction_over(b);
    bridge_version_accepted(b);
    settles(b);
    b->rounds = 0;
    bridge_passkey_begin_anew(b);
    b->state.reconnect.next_at = 0;
    if (b->was_online)
        b->state.counters.reconnects++;
    b->was_online = true;
    bridge_outbound_reset(b);
    log_event(LOG_INFO, "logged_in", LOG_STR("handshake", wa_session_handshake(b->session)));
    bridge_apply(b, BRIDGE_ON_CONNECTED);
}

/* A new phone, or WhatsApp installed anew: nothing to do, but an owner may want to know. */
static void on_identity(struct bridge *b, const struct wa_jid *user)
{
    char masked[64];
    struct wa_jid pn, lid;
    struct bridge_forms chat;
    bridge_records_forms(&b->host, user, &pn, &lid);
    bridge_make_forms(&chat, user, &pn, &lid);
    log_event(LOG_INFO, "identity_changed",
              LOG_STR("contact", log_mask(bytes_text(chat.main), masked)));
    bridge_history_notice(b, "identity_changed", chat.main,
                          "This contact has set up WhatsApp anew, on this phone or another one.");
}

/* Nobody waits to hear that what we sent has arrived; all else is to be durable at once. */
static bool is_patient(const struct wa_event *ev)
{
    return ev->type == WA_EVENT_RECEIPT || (ev->type == WA_EVENT_ACKED && ev->u.ack.error == 0);
}

static void take_event(struct bridge *b, const struct wa_event *ev)
{
    b->hurry = b->hurry || !is_patient(ev);
    switch (ev->type) {
    case WA_EVENT_QR:
        bridge_status_qr(b, ev);
        if (b->online_at == CLOCK_NEVER)
            settles(b);
        bridge_apply(b, BRIDGE_ON_QR);
        bridge_commands_want_code(b);
        break;
    case WA_EVENT_CODE:
        bridge_status_code(b, ev);
        break;
    case WA_EVENT_PASSKEY:
        bridge_passkey_event(b, ev);
        break;
    case WA_EVENT_PAIRED:
        bridge_status_account(b, ev);
        bridge_account_paired(b, ev);
        b->restarts = 0;
        bridge_apply(b, BRIDGE_ON_PAIRED);
        break;
    case WA_EVENT_CONNECTED:
        on_connected(b, ev);
        break;
    case WA_EVENT_OFFLINE_DONE:
        b->may_send = true;
        b->media_at = 0;
        bridge_outbox_look(b);
        log_event(LOG_INFO, "backlog_done");
        break;
    case WA_EVENT_MESSAGE:
        b->messages_taken++;
        bridge_inbound_message(b, &ev->u.message);
        break;
    case WA_EVENT_PHONE_TOO_OLD:
        bridge_status_error(b, "phone_too_old",
                            "WhatsApp on the phone that scanned does not support linked devices. "
                            "Update it and scan again.");
        break;
    case WA_EVENT_LIMIT:
        bridge_outbox_limit(b, ev);
        break;
    case WA_EVENT_RECEIPT:
        bridge_inbound_receipt(b, ev);
        break;
    case WA_EVENT_ACKED:
    case WA_EVENT_SEND_FAILED:
        bridge_outbound_acked(b, ev);
        break;
    case WA_EVENT_RESEND:
        bridge_outbound_resend(b, ev);
        break;
    case WA_EVENT_VERSION_EXPIRES:
        log_event(LOG_INFO, "client_version_expires", LOG_INT("at_s", ev->u.expires.at_s));
        if (ev->u.expires.at_s > 0)
            bridge_version_refresh(b, true);
        break;
    case WA_EVENT_IDENTITY:
        on_identity(b, &ev->u.identity.user);
        break;
    case WA_EVENT_MEDIA_HOSTS:
        bridge_media_hosts(b, ev);
        break;
    case WA_EVENT_MEDIA_AGAIN:
        bridge_media_again(b, ev);
        break;
    case WA_EVENT_ACCOUNT:
        bridge_status_account(b, ev);
        bridge_status_want(b, BRIDGE_PUBLISH_LIGHT);
        break;
    case WA_EVENT_FILE_WANTED:
        bridge_blob_want(b, ev);
        break;
    case WA_EVENT_HISTORY:
        bridge_history_sync_message(b, &ev->u.message);
        break;
    case WA_EVENT_HISTORY_END:
        bridge_history_sync_end(b, ev);
        break;
    case WA_EVENT_CLOSED:
        b->ended = *ev;
        break;
    }
}

static void take_events(struct bridge *b)
{
    struct wa_event ev;
    while (!b->store_failed && wa_session_next(b->session, &ev) == 1)
        take_event(b, &ev);
}

static void work(struct bridge *b)
{
    bool more;
    b->window.known = false;
    bridge_outbox_take(b);
    take_events(b);
    b->more_history = !b->store_failed && wa_session_step(b->session);
    b->hurry = b->hurry || b->more_history;
    do {
        take_events(b);
        more = !b->store_failed && bridge_outbound_pump(b);
        b->hurry = b->hurry || more;
    } while (more);
}

static int commit(struct bridge *b, struct err *err)
{
    if (b->store_failed)
        return err_set(err, ERR_STORE, "messages.db: %s", store_messages_error(b->messages));
    if (b->ended.type == WA_EVENT_CLOSED && b->ended.u.closed.why == WA_CLOSE_STORE)
        return err_set(err, ERR_STORE, "keys.db: %s", store_keys_error(b->keys));
    int rc = store_messages_commit(b->messages, err);
    return rc < 0 ? rc : store_keys_commit(b->keys, err);
}

/* Said once per connection: a server that sends one sends many. */
static void count_malformed(struct bridge *b)
{
    uint64_t total = wa_session_malformed(b->session);
    if (total > 0 && b->malformed == 0)
        log_event(LOG_WARN, "stanza_malformed", LOG_STR("more", "see counters.malformed"));
    b->state.counters.malformed += (int64_t)(total - b->malformed);
    b->malformed = total;
}

static void count_set_aside(struct bridge *b)
{
    uint64_t total = wa_session_set_aside(b->session), news = total - b->set_aside;
    if (news == 0)
        return;
    log_event(LOG_WARN, "records_set_aside", LOG_INT("count", (int64_t)news));
    b->state.counters.records_set_aside += (int64_t)news;
    b->set_aside = total;
}

/*
 * Every answer is followed by the server's acknowledgement and the contact's receipt. A sync for
 * each would be in the way of the next message; so the group stays open for a moment and goes with
 * what comes next, and with it the output, which says nothing but that the receipts were taken.
 */
static bool can_wait(const struct bridge *b)
{
    return !b->hurry && !b->store_failed && b->ended.type != WA_EVENT_CLOSED &&
           !wa_session_hurries(b->session) && store_messages_dirty(b->messages) &&
           !store_keys_dirty(b->keys) && clock_mono_ms() < b->held_until;
}

/* What the wake-up brought becomes durable, then the output leaves. */
static void conclude(struct bridge *b)
{
    struct err err;
    b->held_until = CLOCK_NEVER;
    b->hurry = false;
    bool news = store_messages_dirty(b->messages);
    if (news || store_keys_dirty(b->keys))
        bridge_rest_later(b);
    if (commit(b, &err) < 0) {
        drop_for_store(b, &err);
        return;
    }
    count_set_aside(b);
    count_malformed(b);
    b->settled = b->state.counters;
    if (news) {
        b->history.unindexed += 1 + b->messages_taken;
        b->messages_taken = 0;
        bridge_recent_want(b);
    }
    bool stuck = b->link && bridge_link_send(b->link, wa_session_output(b->session)) < 0;
    bridge_outbox_settled(b);
    if (stuck) {
        bridge_link_abort(b->link);
        b->link = NULL;
        lost(b, "link_stuck", "the server takes nothing any more", "", 0);
    } else if (b->ended.type == WA_EVENT_CLOSED) {
        session_ended(b);
    }
}

static void settle(struct bridge *b, bool at_once)
{
    b->settle_due = false;
    if (!b->session)
        return;
    if (b->held_until == CLOCK_NEVER)
        b->held_until = clock_mono_ms() + HOLD_MS;
    work(b);
    if (at_once || !can_wait(b))
        conclude(b);
}

void bridge_settle(struct bridge *b)
{
    settle(b, true);
}

void bridge_settle_soon(struct bridge *b)
{
    settle(b, false);
}

/* ---- the link ------------------------------------------------------------------------------- */

static void on_opened(void *ctx)
{
    struct bridge *b = ctx;
    struct err err;
    b->dial_until = CLOCK_NEVER;
    b->version.said = b->session_config.version;
    if (wa_session_open(&b->session, &b->session_config, &b->host, &err) == 0) {
        bridge_touch(b);
        return;
    }
    b->session = NULL;
    drop_for_store(b, &err);
    bridge_touch(b);
}

static void on_received(void *ctx, struct bytes data)
{
    struct bridge *b = ctx;
    if (!b->session)
        return;
    b->state.last_seen_at = clock_wall_ms();
    wa_session_feed(b->session, data);
    bridge_touch(b);
}

static void on_sent(void *ctx)
{
    struct bridge *b = ctx;
    if (b->upkeep_due)
        bridge_loop_wake_at(b->loop, clock_mono_ms());
}

static void on_closed(void *ctx, enum bridge_link_stage at, const char *why)
{
    struct bridge *b = ctx;
    b->link = NULL;
    bridge_settle(b); /* what was received before is kept, and may say why */
    if (b->session)
        lost(b, "connection_lost", why, "", 0);
    else if (b->dial_until != CLOCK_NEVER)
        not_reached(b, at, why);
    bridge_touch(b);
}

void bridge_dial(struct bridge *b)
{
    const struct bridge_link_events events = {.ctx = b,
                                              .opened = on_opened,
                                              .received = on_received,
                                              .sent = on_sent,
                                              .closed = on_closed};
    struct err err;
    b->dial_due = false;
    b->retry_at = CLOCK_NEVER;
    b->state.reconnect.next_at = 0;
    if (b->link)
        return;
    log_event(LOG_INFO, "dialling", LOG_INT("attempt", b->state.reconnect.attempt));
    bridge_version_refresh(b, false);
    b->dial_until = clock_mono_ms() + DIAL_TIMEOUT_MS;
    b->link = bridge_link_dial(b->loop, b->config.endpoint, &events, &err);
    if (!b->link)
        not_reached(b, BRIDGE_LINK_NAME, err.text);
}

void bridge_dial_timeout(struct bridge *b)
{
    enum bridge_link_stage at = bridge_link_stage(b->link);
    bridge_link_abort(b->link);
    b->link = NULL;
    not_reached(b, at, "no answer in time");
}

void bridge_hang_up(struct bridge *b)
{
    bridge_settle(b);
    bridge_link_close(b->link);
    b->link = NULL;
    forget_connection(b);
    b->retry_at = CLOCK_NEVER;
    b->dial_due = false;
}

bool bridge_is_linked(struct bridge *b)
{
    AUTO_BUF struct buf pn;
    buf_init(&pn, WA_JID_TEXT_SIZE);
    return b->host.get(b->host.ctx, WA_TABLE_DEVICE, "pn", &pn) == 1 && pn.n > 0;
}

int bridge_forget(struct bridge *b)
{
    struct err err;
    if (bridge_account_forget(b) < 0 || bridge_version_keep(b) < 0 ||
        store_keys_commit(b->keys, &err) < 0) {
        store_keys_rollback(b->keys);
        bridge_status_error(b, wa_close_code(WA_CLOSE_STORE), "the keys could not be deleted: %s",
                            store_keys_error(b->keys));
        return ERR_STORE;
    }
    b->account_pn[0] = b->account_lid[0] = b->push_name[0] = b->platform[0] = '\0';
    log_event(LOG_INFO, "keys_forgotten");
    return 0;
}
