/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "bridge/bridge_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "volume/qr.h"

#define STALE_HEARTBEATS 3
#define STALE_EXTRA_MS 2000

static void make_uuid(char out[40])
{
    uint8_t r[16];
    random_bytes(r, sizeof(r));
    r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
    r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
    snprintf(out, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0],
             r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13],
             r[14], r[15]);
}

void bridge_status_open(struct bridge *b)
{
    struct volume_state *s = &b->state;
    make_uuid(b->boot_id);
    volume_state_restore(s, &b->volume);
    b->settled = s->counters;
    s->tenant_id = b->config.tenant_id;
    s->boot_id = b->boot_id;
    s->account.pn = b->account_pn;
    s->account.lid = b->account_lid;
    s->account.push_name = b->push_name;
    s->account.platform = b->platform;
    s->process.started_at = clock_wall_ms();
    s->process.version = PACKAGE_VERSION;
    s->process.wa_version = wa_version_text(&b->session_config.version, b->wa_version);
    s->config.path = b->config.path;
    /* Pictures of a process that did not get to clear up are removed after the first publish. */
    b->qr_remove_due = b->passkey.remove_due = true;
    bridge_status_config(b);
    bridge_status_state(b, BRIDGE_STARTING);
}

void bridge_status_config(struct bridge *b)
{
    struct volume_state *s = &b->state;
    s->heartbeat_interval_ms = b->config.heartbeat_interval_ms;
    s->stale_after_ms = STALE_HEARTBEATS * s->heartbeat_interval_ms + STALE_EXTRA_MS;
    s->reconnect.max_attempts = (int)b->config.reconnect_max_attempts;
    s->config.loaded_at = clock_wall_ms();
    s->config.generation++;
    /* Gone by the rule of state.json is gone for the manager, too, whatever its unit says. */
    if (b->env("WATCHDOG_USEC"))
        bridge_notify(b->notify_fd, "WATCHDOG_USEC=%lld", (long long)s->stale_after_ms * 1000);
    bridge_status_want(b, BRIDGE_PUBLISH_DURABLE);
}

void bridge_status_state(struct bridge *b, enum bridge_state state)
{
    struct volume_state *s = &b->state;
    if (b->lifecycle == BRIDGE_PAIRING && state != BRIDGE_PAIRING) {
        s->qr.live = b->qr_due = false;
        s->pairing_code = NULL;
        s->qr.issued_at = s->qr.expires_at = 0;
        b->qr_remove_due = true;
        buf_clear(&b->qr_payload);
    }
    bridge_passkey_state(b, state);
    b->lifecycle = state;
    s->status = bridge_state_status(state);
    s->session_state = bridge_state_session(state);
    s->session_since = clock_wall_ms();
    bridge_status_want(b, BRIDGE_PUBLISH_DURABLE);
    bridge_notify(b->notify_fd, "%sSTATUS=%s, %s", state == BRIDGE_STOPPED ? "STOPPING=1\n" : "",
                  s->status, s->session_state);
}

void bridge_status_account(struct bridge *b, const struct wa_event *ev)
{
    struct wa_jid pn = wa_jid_bare(&ev->u.account.pn), lid = wa_jid_bare(&ev->u.account.lid);
    wa_jid_text(&pn, b->account_pn);
    wa_jid_text(&lid, b->account_lid);
    bytes_copy_text(bytes_text(ev->u.account.push_name), b->push_name, sizeof(b->push_name));
    bytes_copy_text(bytes_text(ev->u.account.platform), b->platform, sizeof(b->platform));
}

void bridge_status_qr(struct bridge *b, const struct wa_event *ev)
{
    struct volume_state *s = &b->state;
    buf_clear(&b->qr_payload);
    buf_append(&b->qr_payload, ev->u.qr.payload);
    s->qr.generation++;
    s->qr.issued_at = clock_wall_ms();
    s->qr.expires_at = s->qr.issued_at + ev->u.qr.ttl_ms;
    b->qr_due = true;
    b->qr_remove_due = false;
    bridge_status_want(b, BRIDGE_PUBLISH_DURABLE);
}

/* protocol/03 section 4.3 */
static const char *code_advice(unsigned error)
{
    static const struct {
        unsigned error;
        const char *advice;
    } table[] = {
        {400, "Check the number, or wait: it may have been tried too often. The QR works, too."},
        {403, "WhatsApp does not allow a code for this account; scan the QR."},
        {408, "WhatsApp did not answer; ask again, or scan the QR."},
        {429, "Too many codes were asked for: wait some hours, or scan the QR."},
        {452, "WhatsApp offers no codes for this account; scan the QR."},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].error == error)
            return table[i].advice;
    return "Scan the QR, or try later.";
}

void bridge_status_code(struct bridge *b, const struct wa_event *ev)
{
    const char *shown = ev->u.code.shown;
    bytes_copy_text(bytes_text(shown ? shown : ""), b->pairing_code, sizeof(b->pairing_code));
    b->state.pairing_code = shown ? b->pairing_code : NULL;
    if (ev->u.code.error)
        bridge_status_error(b, "pairing_code_refused", "The server gave no pairing code (%u). %s",
                            ev->u.code.error, code_advice(ev->u.code.error));
    bridge_status_want(b, BRIDGE_PUBLISH_DURABLE);
}

void bridge_status_error(struct bridge *b, const char *code, const char *fmt, ...)
{
    struct volume_state *s = &b->state;
    char message[sizeof(s->last_error.message)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    /* What fails the same way attempt after attempt, a full disk for one, is said once. */
    bool again = s->reconnect.attempt > 1 && strcmp(code, s->last_error.code) == 0 &&
                 strcmp(message, s->last_error.message) == 0;
    memcpy(s->last_error.message, message, sizeof(message));
    bytes_copy_text(bytes_text(code), s->last_error.code, sizeof(s->last_error.code));
    s->last_error.at = clock_wall_ms();
    log_event(again ? LOG_DEBUG : LOG_WARN, code, LOG_STR("message", message));
    bridge_history_error(b, code, message);
    b->metrics_due = true;
    bridge_status_want(b, BRIDGE_PUBLISH_LIGHT);
}

void bridge_status_no_error(struct bridge *b)
{
    memset(&b->state.last_error, 0, sizeof(b->state.last_error));
    bridge_status_want(b, BRIDGE_PUBLISH_LIGHT);
}

void bridge_status_want(struct bridge *b, enum bridge_publish how)
{
    if (how > b->publish)
        b->publish = how;
}

/* messages.db counts what outlives the process; the rest of the counters is kept in memory. */
static void take_totals(struct bridge *b)
{
    struct store_totals t;
    uint64_t changes = b->messages ? store_messages_changes(b->messages) : 0;
    if (changes != b->totals_at)
        b->metrics_due = true;
    if (!b->messages || !b->metrics_due || store_messages_totals(b->messages, &t) < 0)
        return;
    b->totals_at = changes;
    struct volume_state *s = &b->state;
    s->counters.received = t.received;
    s->counters.replied = t.replied;
    s->counters.sent = t.sent;
    s->counters.delivered = t.delivered;
    s->counters.read = t.read;
    s->counters.failed = t.failed;
    s->counters.decrypt_failures = t.undecryptable;
    s->last_message_at = t.last_message_at;
    int64_t queued = store_messages_count_queued(b->messages);
    int64_t outbox = store_messages_count_outbox(b->messages);
    if (queued >= 0 && outbox >= 0) {
        s->queue_replies = queued - outbox;
        s->queue_outbox = outbox;
    }
}

static bool publish_qr(struct bridge *b)
{
    struct err err;
    if (volume_qr_publish(&b->volume, buf_bytes(&b->qr_payload), &err) < 0) {
        bridge_status_error(b, "qr_not_published", "%s", err.text);
        return false;
    }
    b->qr_due = false;
    b->state.qr.live = true;
    return true;
}

static void publish_metrics(struct bridge *b, int64_t now)
{
    static const char *const statuses[] = {
#define X(symbol, name, status, session, text) status,
        BRIDGE_STATES(X)
#undef X
            NULL};
    static const char *const sessions[] = {
#define X(symbol, name, status, session, text) session,
        BRIDGE_STATES(X)
#undef X
            NULL};
    struct volume_gauges g = {
        .statuses = statuses, .sessions = sessions, .log_dropped = b->log.dropped};
    struct err err;
    volume_metrics_measure(&b->volume, &g);
    int rc = volume_metrics_publish(&b->state, &g, &b->volume, now, &err);
    if (rc < 0 && !b->metrics_failed)
        log_event(LOG_WARN, "metrics_not_published", LOG_STR("error", err.text));
    b->metrics_failed = rc < 0;
}

static bool publish_state(struct bridge *b)
{
    struct err err;
    int64_t now = clock_wall_ms();
    bool durable = b->publish == BRIDGE_PUBLISH_DURABLE;
    b->metrics_due = b->metrics_due || durable;
    take_totals(b);
    if (b->metrics_due)
        publish_metrics(b, now);
    b->metrics_due = !b->metrics_due; /* when nothing happens, at every second heartbeat */
    if (volume_state_publish(&b->state, &b->volume, now, durable, &err) == 0) {
        if (b->publish_failed)
            log_event(LOG_INFO, "state_published_again");
        b->publish_failed = false;
        b->publish = BRIDGE_PUBLISH_NONE;
        return true;
    }
    if (!b->publish_failed)
        log_event(LOG_ERROR, "state_not_published", LOG_STR("error", err.text));
    b->publish_failed = true; /* tried again at the next heartbeat */
    return false;
}

static void remove_qr(struct bridge *b)
{
    struct err err;
    b->qr_remove_due = volume_qr_remove(&b->volume, &err) < 0;
    if (b->qr_remove_due)
        log_event(LOG_ERROR, "qr_not_removed", LOG_STR("error", err.text));
}

void bridge_status_flush(struct bridge *b)
{
    if (b->publish == BRIDGE_PUBLISH_NONE)
        return;
    if (b->qr_due)
        publish_qr(b);
    if (b->passkey.due)
        bridge_passkey_publish(b);
    if (!publish_state(b))
        return;
    if (b->qr_remove_due)
        remove_qr(b);
    if (b->passkey.remove_due)
        bridge_passkey_remove(b);
}

void bridge_status_stopped(struct bridge *b, int code, const char *reason)
{
    struct volume_state *s = &b->state;
    bridge_status_state(b, BRIDGE_STOPPED);
    if (b->qr_remove_due)
        remove_qr(b);
    if (b->passkey.remove_due)
        bridge_passkey_remove(b);
    b->qr_due = false;
    s->reconnect.next_at = 0;
    s->exit.set = true;
    s->exit.code = code;
    s->exit.reason = reason;
    publish_state(b);
}
