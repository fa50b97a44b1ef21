/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Logged in: backlog, keepalive (protocol/01 sections 9 and 11 to 13). */
#include "base/clock.h"
#include "wa/session_internal.h"

#define PING_MIN_MS 20000
#define PING_MAX_MS 30000
#define PING_ANSWER_MS 20000
#define PING_AGAIN_MS 8000 /* the second of a row: a dead line is found within a minute */
#define PINGS_FAILED_MAX 2
#define OFFLINE_BATCH 200
#define OFFLINE_REPEAT_MS 100
#define OFFLINE_NONE_MS 1500    /* no preview that long after login: there is no backlog */
#define OFFLINE_SILENT_MS 60000 /* no end marker that long after the last queued stanza */

/* ---- login, backlog -------------------------------------------------------------------------- */

/* Says our name once, then steps back so that the owner's phone keeps ringing (protocol/01 section
 * 12). */
void wa_online_announce_name(struct wa_session *s)
{
    const char *name = s->device.push_name[0] ? s->device.push_name : s->device.business_name;
    if (!name[0])
        return;
    for (int available = 1; available >= 0; available--) {
        struct wa_node *presence = wa_session_stanza(s, "presence");
        wa_node_set(presence, "type", available ? "available" : "unavailable");
        wa_node_set(presence, "name", name);
        wa_session_put(s, presence);
    }
}

static void go_active(struct wa_session *s)
{
    struct wa_node *iq = wa_session_query(s, "set", "passive");
    wa_node_child(iq, "active");
    wa_session_ask(s, iq, NULL, NULL);
}

void wa_online_success(struct wa_session *s, const struct wa_node *node)
{
    if (s->phase != WA_PHASE_LOGIN || !wa_device_is_paired(&s->device))
        return;
    struct wa_jid lid;
    if (wa_node_attr_jid(node, "lid", &lid) && wa_jid_is_lid(&lid))
        s->device.lid = lid.device ? lid : wa_jid_with_device(&lid, s->device.pn.device);
    struct bytes name = wa_node_attr(node, "display_name");
    if (name.n > 0)
        bytes_copy_text(name, s->device.push_name, sizeof(s->device.push_name));
    wa_session_take_time(s, node);
    s->device.login_count++;
    if (wa_device_save(&s->device, s->host) < 0 || wa_resume_logged_in(&s->resume, s->host) < 0) {
        wa_session_end_store(s);
        return;
    }
    s->phase = WA_PHASE_ONLINE;
    s->phase_until = CLOCK_NEVER;
    s->offline_until = wa_session_now(s) + OFFLINE_NONE_MS;
    wa_session_emit_account(s, WA_EVENT_CONNECTED);
    wa_online_check_prekeys(s);
    go_active(s);
    wa_online_announce_name(s);
}

void wa_online_request_backlog(struct wa_session *s)
{
    struct wa_node *ib = wa_session_stanza(s, "ib");
    wa_node_set_u64(wa_node_child(ib, "offline_batch"), "count", OFFLINE_BATCH);
    wa_session_put(s, ib);
    s->offline_request_at = CLOCK_NEVER;
    s->offline_awaiting_first = true;
}

void wa_online_finish_backlog(struct wa_session *s)
{
    if (s->offline_done)
        return;
    s->offline_done = true;
    s->offline_until = s->offline_request_at = CLOCK_NEVER;
    wa_session_emit(s, WA_EVENT_OFFLINE_DONE);
    wa_app_state_begin(s);
    wa_history_sync_begin(s);
}

/* A queued stanza came: the first of a batch orders the next one (protocol/05 section 15). */
void wa_online_count_backlog(struct wa_session *s, const struct wa_node *node)
{
    if (s->offline_done || !wa_node_attr(node, "offline").p)
        return;
    int64_t now = wa_session_now(s);
    s->offline_seen++;
    /* All that was announced is here, or nothing was: the marker may be missing. */
    bool more = s->offline_seen < s->offline_expected;
    s->offline_until = now + (more ? OFFLINE_SILENT_MS : OFFLINE_NONE_MS);
    if (s->offline_awaiting_first && s->offline_seen < s->offline_expected) {
        s->offline_awaiting_first = false;
        s->offline_request_at = now + OFFLINE_REPEAT_MS;
    }
}

static void clean_dirty(struct wa_session *s, const struct wa_node *dirty)
{
    struct wa_node *iq = wa_session_query(s, "set", "urn:xmpp:whatsapp:dirty");
    struct wa_node *clean = wa_node_child(iq, "clean");
    wa_node_copy_attr(clean, dirty, "type");
    wa_node_copy_attr(clean, dirty, "timestamp");
    wa_session_ask(s, iq, NULL, NULL);
}

/* It may come before <success>. */
static void keep_routing(struct wa_session *s, const struct wa_node *edge)
{
    const struct wa_node *info = wa_node_find(edge, "routing_info");
    if (info && wa_device_is_paired(&s->device) &&
        wa_resume_route(&s->resume, s->host, info->data) < 0)
        wa_session_end_store(s);
}

static void say_expiration(struct wa_session *s, const struct wa_node *expiration)
{
    uint64_t at_s = 0;
    wa_node_attr_u64(expiration, "t", &at_s);
    struct wa_event *ev = wa_session_emit(s, WA_EVENT_VERSION_EXPIRES);
    ev->u.expires.at_s = at_s <= UINT32_MAX ? (int64_t)at_s : 0;
}

void wa_online_ib(struct wa_session *s, const struct wa_node *node)
{
    const struct wa_node *edge = wa_node_find(node, "edge_routing");
    if (edge)
        keep_routing(s, edge);
    if (wa_node_find(node, "downgrade_webclient"))
        wa_session_emit(s, WA_EVENT_PHONE_TOO_OLD);
    if (s->phase != WA_PHASE_ONLINE)
        return;
    const struct wa_node *preview = wa_node_find(node, "offline_preview");
    const struct wa_node *dirty = wa_node_find(node, "dirty");
    const struct wa_node *expiration = wa_node_find(node, "client_expiration");
    if (preview) {
        uint64_t count = 0;
        wa_node_attr_u64(preview, "count", &count);
        s->offline_expected += count;
        s->offline_until = wa_session_now(s) + (count ? OFFLINE_SILENT_MS : OFFLINE_NONE_MS);
        if (count > 0)
            wa_online_request_backlog(s);
    }
    if (expiration)
        say_expiration(s, expiration);
    if (wa_node_find(node, "offline"))
        wa_online_finish_backlog(s);
    if (dirty)
        clean_dirty(s, dirty);
    if (dirty && wa_node_attr_is(dirty, "type", "syncd_app_state"))
        wa_app_state_dirty(s);
}

/* ---- keepalive ------------------------------------------------------------------------------- */

static void ask_pong(struct wa_session *s, int64_t timeout_ms);

static void on_pong(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    (void)arg;
    if (answer)
        wa_session_take_time(s, answer);
    if (code != WA_IQ_TIMED_OUT || wa_session_now(s) - s->last_received < PING_ANSWER_MS)
        s->pings_failed = 0;
    else if (++s->pings_failed < PINGS_FAILED_MAX)
        ask_pong(s, PING_AGAIN_MS);
    else
        wa_session_end(s, WA_CLOSE_TIMEOUT, "nothing was received for %lld seconds",
                       (long long)(wa_session_now(s) - s->last_received) / 1000);
}

void wa_online_schedule_ping(struct wa_session *s)
{
    uint32_t random;
    s->host->random(s->host->ctx, (uint8_t *)&random, sizeof(random));
    s->ping_at = wa_session_now(s) + PING_MAX_MS;
    s->ping_from =
        s->ping_at - PING_MAX_MS + PING_MIN_MS + random % (PING_MAX_MS - PING_MIN_MS + 1);
}

static void ask_pong(struct wa_session *s, int64_t timeout_ms)
{
    wa_online_schedule_ping(s);
    wa_session_ask_until(s, wa_session_query(s, "get", "w:p"), timeout_ms, on_pong, NULL);
}

void wa_online_ping(struct wa_session *s)
{
    ask_pong(s, PING_ANSWER_MS);
}

bool wa_session_awake(struct wa_session *s)
{
    if (s->phase == WA_PHASE_CLOSED || s->ping_at == CLOCK_NEVER ||
        wa_session_now(s) < s->ping_from)
        return false;
    wa_online_ping(s);
    return true;
}
