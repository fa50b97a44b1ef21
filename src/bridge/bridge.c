/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/bridge_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "bridge/confine.h"

#define QR_PAYLOAD_MAX 2048
#define DNS_PORT 53
#define HTTPS_PORT 443 /* fetches; those of a loopback endpoint go to its own port */
#define DRAIN_MS 200   /* how long a stop waits for the peer's close */

void bridge_touch(struct bridge *b)
{
    b->settle_due = true;
    bridge_loop_wake_at(b->loop, clock_mono_ms());
}

int bridge_apply(struct bridge *b, enum bridge_event event)
{
    struct bridge_transition t = bridge_lifecycle_step(b->lifecycle, event);
    if (!t.listed)
        return ERR_STATE;
    if (t.action == BRIDGE_DO_FORGET && bridge_forget(b) < 0)
        return ERR_STORE;
    if (t.next != b->lifecycle) {
        log_event(LOG_INFO, "state", LOG_STR("from", bridge_state_name(b->lifecycle)),
                  LOG_STR("on", bridge_event_name(event)),
                  LOG_STR("to", bridge_state_name(t.next)));
        bridge_status_state(b, t.next);
        bridge_history_state(b, bridge_event_name(event), NULL);
    }
    switch (t.action) {
    case BRIDGE_DO_NOTHING:
        break;
    case BRIDGE_DO_RETRY: /* retry_at was set by who knows how the connection ended */
        break;
    case BRIDGE_DO_DIAL:
    case BRIDGE_DO_FORGET:
        b->dial_due = true;
        b->retry_at = CLOCK_NEVER;
        break;
    case BRIDGE_DO_WAIT:
        b->retry_at = clock_mono_ms() + b->wait_ms;
        b->state.reconnect.next_at = clock_wall_ms() + b->wait_ms;
        break;
    case BRIDGE_DO_UPDATE:
        b->retry_at = CLOCK_NEVER;
        bridge_version_refused(b);
        break;
    case BRIDGE_DO_HALT:
        b->retry_at = CLOCK_NEVER;
        b->state.reconnect.next_at = 0;
        break;
    }
    return 0;
}

void bridge_stop(struct bridge *b, const char *reason)
{
    b->stop_due = true;
    b->stop_reason = reason;
}

/* ---- the wake-up ---------------------------------------------------------------------------- */

static void heartbeat(struct bridge *b, int64_t now)
{
    /* From when it was due, not from now: the keepalive, which counts on a multiple, comes along.
     */
    b->heartbeat_at += b->config.heartbeat_interval_ms;
    if (b->heartbeat_at <= now)
        b->heartbeat_at = now + b->config.heartbeat_interval_ms;
    bridge_commands_scan(b);
    bridge_history_tend(b);
    if (b->config.log_file)
        volume_log_tend(&b->log);
    bridge_outbox_look(b);
    if (b->session && wa_session_awake(b->session))
        b->settle_due = true;
    bridge_status_want(b, BRIDGE_PUBLISH_LIGHT);
    bridge_notify(b->notify_fd, "WATCHDOG=1");
}

/* Upkeep is for when no group is open and what was to be sent has left. */
static bool must_wait(const struct bridge *b)
{
    return b->held_until != CLOCK_NEVER || (b->link && bridge_link_is_sending(b->link));
}

static void upkeep(struct bridge *b, int64_t now)
{
    bridge_media_tend(b, now);
    bridge_history_flush(b);
    bridge_history_index(b, false);
    bridge_recent_flush(b, now);
    store_messages_tend(b->messages);
    store_keys_tend(b->keys);
    bridge_rest(b, now);
}

static void arm(struct bridge *b)
{
    int64_t first = b->heartbeat_at;
    const int64_t upkeep_at[] = {b->recent_at, b->rest_at, b->media_at};
    const int64_t times[] = {
        b->dial_until,
        b->retry_at,
        b->stable_at,
        b->held_until,
        b->session ? wa_session_deadline(b->session) : CLOCK_NEVER,
        b->session ? b->send_at : CLOCK_NEVER,
        b->session ? b->look_at : CLOCK_NEVER,
        b->settle_due || b->dial_due || b->more_history ? 0 : CLOCK_NEVER,
    };
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        if (times[i] < first)
            first = times[i];
    for (size_t i = 0; i < ARRAY_LEN(upkeep_at) && !b->upkeep_due; i++)
        if (upkeep_at[i] < first)
            first = upkeep_at[i];
    bridge_loop_wake_at(b->loop, first);
}

static void on_wake(void *ctx)
{
    struct bridge *b = ctx;
    int64_t now = clock_mono_ms();
    if (b->heartbeat_at <= now) {
        bridge_settle(b); /* no group is open when it looks after the databases */
        heartbeat(b, now);
    }
    if (b->session && (b->settle_due || b->more_history || wa_session_deadline(b->session) <= now ||
                       b->send_at <= now || b->held_until <= now))
        bridge_settle_soon(b);
    b->settle_due = false;
    if (b->session && b->look_at <= now)
        bridge_outbox_look(b);
    if (b->dial_until <= now)
        bridge_dial_timeout(b);
    if (b->stable_at <= now) {
        b->stable_at = CLOCK_NEVER;
        b->state.reconnect.attempt = b->restarts = 0;
    }
    if (b->version.decide_due)
        bridge_version_decide(b);
    if (b->retry_at <= now) {
        b->retry_at = CLOCK_NEVER;
        bridge_apply(b, BRIDGE_ON_TIMER);
    }
    if (b->dial_due)
        bridge_dial(b);
    bridge_status_flush(b);
    b->upkeep_due = must_wait(b);
    if (!b->upkeep_due)
        upkeep(b, now);
    if (b->stop_due)
        bridge_loop_stop(b->loop);
    arm(b);
}

/* ---- opening -------------------------------------------------------------------------------- */

static void copy_line(void *ctx, struct bytes line)
{
    volume_log_write(ctx, line);
}

void bridge_set_log(struct bridge *b)
{
    const struct config *c = &b->config;
    enum log_level level;
    bool copy = c->log_file && b->volume.path[0];
    if (log_level_parse(c->log_level, &level) == 0)
        log_set_level(level);
    log_set_format(strcmp(c->log_format, "text") == 0 ? LOG_TEXT : LOG_JSON);
    log_set_tenant(c->tenant_id);
    volume_log_set(&b->log, c->log_max_mb * 1048576, (int)c->log_keep);
    log_set_copy(copy ? copy_line : NULL, &b->log);
}

/* config_load checked both texts. */
int bridge_read_session_config(struct bridge *b, struct err *err)
{
    struct wa_session_config *s = &b->session_config;
    s->device_label = b->config.device_name;
    s->history_days = b->config.history_days;
    if (bridge_version_use(b) < 0 ||
        text_hex_decode(bytes_text(b->config.noise_root), s->noise_root, sizeof(s->noise_root)) < 0)
        return err_set(err, ERR_CONFIG, "whatsapp.version or whatsapp.noise_root cannot be read");
    return 0;
}

static int open_replies(struct bridge *b, struct err *err)
{
    struct config_report report = {0};
    int rc = config_replies_load(&b->replies, &b->config, &report);
    if (rc < 0)
        err_set(err, rc, "%.*s", (int)strcspn(buf_text(&report.text), "\n"),
                buf_text(&report.text));
    config_report_deinit(&report);
    return rc;
}

static int open_stores(struct bridge *b, struct err *err)
{
    char path[1024];
    volume_private_file(&b->volume, "keys.db", path);
    int rc =
        bridge_records_open(&b->records, path, b->config.key_file, b->config.old_key_file, err);
    if (rc < 0)
        return rc;
    b->keys = bridge_records_store(b->records);
    b->host = bridge_records_host(b->records);
    volume_file(&b->volume, "messages.db", path);
    return store_messages_open(&b->messages, path, err);
}

static bool fetches_by_tls(const struct config *c)
{
    const char *url = bridge_version_url(c);
    return url && strncmp(url, "https:", 6) == 0;
}

static int open_loop(struct bridge *b, struct err *err)
{
    const struct bridge_loop_config config = {
        .tls = strncmp(b->config.endpoint, "wss:", 4) == 0 || fetches_by_tls(&b->config),
        .ca_file = b->config.ca_file,
        .proxied = b->env("http_proxy") != NULL,
        .wake = on_wake,
        .ctx = b,
    };
    return bridge_loop_open(&b->loop, &config, err);
}

/* Everything behind the volume. */
static int open_rest(struct bridge *b, struct err *err)
{
    int rc = open_replies(b, err);
    if (rc == 0)
        rc = open_stores(b, err);
    if (rc == 0)
        bridge_version_open(b);
    if (rc == 0)
        rc = open_loop(b, err);
    if (rc == 0)
        rc = bridge_commands_open(b, err);
    if (rc == 0)
        rc = bridge_outbox_open(b, err);
    return rc;
}

static int exit_of(int rc)
{
    switch (rc) {
    case ERR_LOCKED:
        return BRIDGE_EXIT_LOCKED;
    case ERR_CONFIG:
        return BRIDGE_EXIT_CONFIG;
    case ERR_STORE:
    case ERR_UNSUPPORTED:
    case ERR_SYSTEM:
        return BRIDGE_EXIT_VOLUME;
    default:
        return BRIDGE_EXIT_INTERNAL;
    }
}

/* ---- confinement ---------------------------------------------------------------------------- */

/* The directory a file is in: it may be replaced by renaming, or be a link to a neighbour. */
static const char *directory_of(const char *path, char out[CONFIG_TEXT_MAX])
{
    const char *slash = strrchr(path, '/');
    if (!path[0])
        return NULL;
    if (!slash)
        return ".";
    bytes_copy_text(BYTES(path, slash == path ? 1 : (size_t)(slash - path)), out, CONFIG_TEXT_MAX);
    return out;
}

static void may_read(struct bridge_confinement *c, const char *path)
{
    if (path && path[0] && c->read_count < BRIDGE_CONFINE_READS)
        c->reads[c->read_count++] = path;
}

/* A proxy of libwebsockets' choosing (http_proxy) may be at any port. */
static void may_connect(struct bridge_confinement *c, const struct bridge *b)
{
    const char *url = bridge_version_url(&b->config);
    int port = bridge_link_port(b->config.endpoint);
    if (b->env("http_proxy") || port <= 0)
        return;
    c->ports[c->port_count++] = (uint16_t)port;
    c->ports[c->port_count++] = DNS_PORT;
    c->ports[c->port_count++] = HTTPS_PORT;
    port = url ? bridge_link_port(url) : 0;
    if (port > 0 && port != HTTPS_PORT)
        c->ports[c->port_count++] = (uint16_t)port;
}

static void confine(const struct bridge *b)
{
    /* Read again while running: by the resolver, by OpenSSL at each handshake, by libc. */
    static const char *const always[] = {"/etc/resolv.conf",
                                         "/etc/hosts",
                                         "/etc/nsswitch.conf",
                                         "/etc/host.conf",
                                         "/etc/gai.conf",
                                         "/etc/services",
                                         "/run/systemd/resolve",
                                         "/etc/ld.so.cache",
                                         "/lib",
                                         "/lib64",
                                         "/usr/lib",
                                         "/usr/lib64",
                                         "/etc/ssl",
                                         "/etc/pki",
                                         "/usr/share/ca-certificates",
                                         "/usr/local/share/ca-certificates",
                                         "/etc/localtime",
                                         "/usr/share/zoneinfo",
                                         "/dev/urandom",
                                         "/proc/self",
                                         REPLIES_DIR};
    char config_dir[CONFIG_TEXT_MAX], replies_dir[CONFIG_TEXT_MAX];
    struct bridge_confinement c = {.volume_fd = b->volume.root_fd,
                                   .private_fd = b->volume.private_fd};
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        may_read(&c, always[i]);
    may_read(&c, directory_of(b->config.path, config_dir));
    may_read(&c, directory_of(b->config.replies_file, replies_dir));
    may_read(&c, b->config.replies_directory);
    may_read(&c, b->config.ca_file);
    may_read(&c, b->env("SSL_CERT_FILE"));
    may_read(&c, b->env("SSL_CERT_DIR"));
    may_connect(&c, b);
    bridge_confine(&c);
}

/* ---- life ----------------------------------------------------------------------------------- */

/* An earlier process may have met a restriction that still lasts. */
static void begin(struct bridge *b)
{
    b->wait_ms = bridge_restriction_left(b);
    if (b->wait_ms > 0 && strcmp(b->state.last_error.code, wa_close_code(WA_CLOSE_BANNED)) != 0)
        bridge_status_error(b, wa_close_code(WA_CLOSE_BANNED), "the account is restricted. %s",
                            wa_close_advice(WA_CLOSE_BANNED));
    bridge_apply(b, b->wait_ms > 0 ? BRIDGE_ON_BANNED : BRIDGE_ON_START);
}

static void serve(struct bridge *b)
{
    log_event(LOG_INFO, "started", LOG_STR("version", b->state.process.version),
              LOG_STR("boot_id", b->boot_id));
    bridge_media_open(b);
    bridge_recent_want(b);
    bridge_notify(b->notify_fd, "READY=1");
    begin(b);
    on_wake(b);
    bridge_loop_run(b->loop);
    bridge_hang_up(b);
    bridge_media_close(b);
    bridge_loop_drain(b->loop, DRAIN_MS);
    bridge_recent_flush(b, CLOCK_NEVER - 1);
}

static void close_rest(struct bridge *b)
{
    bridge_version_close(b);
    bridge_commands_close(b);
    bridge_outbox_close(b);
    bridge_loop_close(b->loop);
    b->loop = NULL;
    store_messages_close(b->messages);
    bridge_records_close(b->records);
    b->messages = NULL;
    b->records = NULL;
    b->keys = NULL;
    config_replies_deinit(&b->replies);
    free(b->delays);
}

static int run(struct bridge *b, bool sandboxed)
{
    struct err err = {0};
    int rc = volume_open(&b->volume, b->config.volume_path, b->config.private_path, &err);
    if (rc < 0) {
        log_event(LOG_ERROR, rc == ERR_LOCKED ? "locked" : "volume_unusable",
                  LOG_STR("error", err.text));
        return exit_of(rc);
    }
    volume_log_open(&b->log, &b->volume);
    bridge_set_log(b);
    b->notify_fd = bridge_notify_open(b->env("NOTIFY_SOCKET"));
    rc = bridge_read_session_config(b, &err);
    bridge_status_open(b);
    bridge_status_flush(b);
    if (rc == 0)
        rc = open_rest(b, &err);
    int code = rc < 0 ? exit_of(rc) : BRIDGE_EXIT_STOPPED;
    const char *reason = err.text;
    if (rc < 0) {
        bridge_status_error(b, "start_failed", "%s", err.text);
    } else {
        if (sandboxed)
            confine(b);
        else
            log_event(LOG_WARN, "not_confined", LOG_STR("reason", "--no-sandbox"));
        serve(b);
        reason = b->stop_reason ? b->stop_reason : "the event loop ended";
        code = b->stop_reason ? BRIDGE_EXIT_STOPPED : BRIDGE_EXIT_INTERNAL;
    }
    bridge_status_state(b, BRIDGE_STOPPED);
    bridge_history_state(b, bridge_event_name(BRIDGE_ON_STOP), reason);
    bridge_history_flush(b);
    bridge_history_index(b, true);
    close_rest(b);
    bridge_status_stopped(b, code, reason);
    log_event(LOG_INFO, "stopped", LOG_INT("code", code), LOG_STR("reason", reason));
    log_set_copy(NULL, NULL);
    volume_log_close(&b->log);
    volume_close(&b->volume);
    if (b->notify_fd >= 0)
        close(b->notify_fd);
    return code;
}

int bridge_run(const struct config *config, const char *(*env)(const char *name), bool sandboxed)
{
    struct bridge *b = err_calloc(1, sizeof(*b));
    b->config = *config;
    b->env = env;
    b->signal_fd = b->notify_fd = -1;
    b->heartbeat_at = 0;
    b->dial_until = b->retry_at = b->stable_at = b->online_at = b->send_at = b->look_at =
        CLOCK_NEVER;
    b->recent_at = b->held_until = CLOCK_NEVER;
    bridge_rest_prepare();
    bridge_rest_later(b);
    b->history.unindexed = 1; /* what the last process did not get to */
    buf_init_secret(&b->qr_payload, QR_PAYLOAD_MAX);
    buf_init_secret(&b->passkey.options, WA_PASSKEY_OPTIONS_MAX);
    bridge_commands_block_signals();
    bridge_set_log(b);
    int code = run(b, sandboxed);
    buf_deinit(&b->qr_payload);
    buf_deinit(&b->passkey.options);
    free(b);
    return code;
}
