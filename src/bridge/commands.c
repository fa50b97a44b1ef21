/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the portal and the supervisor ask for: files in control/, and signals. */
#include "bridge/bridge_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "base/log.h"
#include "wa/link_code.h"

void bridge_commands_answer(struct bridge *b, const struct volume_control_request *r,
                            const char *result, const char *error, const char *detail)
{
    struct volume_state *s = &b->state;
    volume_control_ack(b->control, r, result, error, detail);
    log_event(LOG_INFO, "command", LOG_STR("name", r->name), LOG_STR("id", r->id),
              LOG_STR("result", result), LOG_STR("error", error));
    bytes_copy_text(bytes_text(r->name), s->last_command.name, sizeof(s->last_command.name));
    bytes_copy_text(bytes_text(r->id), s->last_command.id, sizeof(s->last_command.id));
    bytes_copy_text(bytes_text(result), s->last_command.result, sizeof(s->last_command.result));
    s->last_command.at = clock_wall_ms();
    bridge_status_want(b, BRIDGE_PUBLISH_DURABLE);
}

static void done(struct bridge *b, const struct volume_control_request *r, const char *detail)
{
    bridge_commands_answer(b, r, "done", NULL, detail);
}

static void refuse(struct bridge *b, const struct volume_control_request *r, const char *error)
{
    bridge_commands_answer(b, r, "refused", error, NULL);
}

/* ---- reload --------------------------------------------------------------------------------- */

/* Takes over the keys that may change at run time. */
static void adopt(struct config *running, const struct config *fresh)
{
#define COPY_true(member) memcpy(&running->member, &fresh->member, sizeof(running->member));
#define COPY_false(member)
#define X(section, key, member, type, def, min, max, env, reload) COPY_##reload(member)
    CONFIG_KEYS(X)
#undef X
}

static void apply_config(struct bridge *b, const struct config *fresh,
                         const struct config_replies *replies)
{
    adopt(&b->config, fresh);
    config_replies_deinit(&b->replies);
    b->replies = *replies;
    bridge_set_log(b);
    b->heartbeat_at = clock_mono_ms();
    bridge_read_session_config(b, NULL); /* config_load checked what it reads */
    if (b->session)
        wa_session_set_history(b->session, b->config.history_days);
    bridge_status_config(b);
    bridge_recent_want(b);
}

/* The first line of a report: "file:line:column: what is wrong". */
static void first_problem(struct config_report *report, char *out, size_t size)
{
    const char *text = buf_text(&report->text);
    bytes_copy_text(BYTES(text, strcspn(text, "\n")), out, size);
}

/* What was applied and what waits for a restart, for the acknowledgement. */
static int load_again(struct bridge *b, char *detail, size_t size)
{
    struct config fresh;
    struct config_replies replies;
    struct config_report report = {0};
    int rc = config_load(&fresh, b->config.path, b->env, &report);
    if (rc == 0)
        rc = config_replies_load(&replies, &fresh, &report);
    if (rc < 0) {
        first_problem(&report, detail, size);
    } else {
        struct buf applied = {.max = 1024}, restart = {.max = 1024};
        config_diff(&b->config, &fresh, &applied, &restart);
        snprintf(detail, size, "applied: %s; needs a restart: %s",
                 applied.n ? buf_text(&applied) : "none", restart.n ? buf_text(&restart) : "none");
        buf_deinit(&applied);
        buf_deinit(&restart);
        apply_config(b, &fresh, &replies);
    }
    config_report_deinit(&report);
    return rc;
}

/* request NULL: SIGHUP. */
static void reload(struct bridge *b, const struct volume_control_request *request)
{
    static const char refused[] = "config_refused";
    char detail[1024];
    int rc = load_again(b, detail, sizeof(detail));
    log_event(rc < 0 ? LOG_ERROR : LOG_INFO, "reload", LOG_STR("detail", detail));
    if (rc < 0)
        bridge_status_error(b, refused, "%s", detail);
    else if (strcmp(b->state.last_error.code, refused) == 0)
        bridge_status_no_error(b);
    if (request)
        bridge_commands_answer(b, request, rc < 0 ? "failed" : "done", rc < 0 ? detail : NULL,
                               rc < 0 ? NULL : detail);
    if (rc == 0)
        bridge_apply(b, BRIDGE_ON_RELOAD);
}

/* ---- stop, logout, pair --------------------------------------------------------------------- */

static void stop(struct bridge *b, const struct volume_control_request *r)
{
    done(b, r, NULL);
    bridge_stop(b, "control/stop");
}

static void logout(struct bridge *b, const struct volume_control_request *r)
{
    if (b->logout_pending) {
        refuse(b, r, "a logout is under way");
    } else if (b->lifecycle == BRIDGE_LOGGED_OUT) {
        if (bridge_forget(b) < 0)
            bridge_commands_answer(b, r, "failed", b->state.last_error.message, NULL);
        else
            done(b, r, "was unlinked already; the keys are deleted");
    } else if (b->session && wa_session_logout(b->session) == 0) {
        b->logout_pending = true;
        b->logout = *r;
        bridge_touch(b);
    } else {
        refuse(b, r, "not connected: the server cannot be asked to unlink this device");
    }
}

void bridge_commands_want_code(struct bridge *b)
{
    if (!b->pair_phone[0] || !b->session)
        return;
    int rc = wa_session_pair_code(b->session, b->pair_phone);
    if (rc == ERR_STATE)
        return;
    if (rc < 0)
        log_event(LOG_WARN, "pairing_code", LOG_STR("error", err_name(rc)));
    b->pair_phone[0] = '\0';
    bridge_touch(b);
}

/* While a QR is shown. */
static void pair_by_code(struct bridge *b, const struct volume_control_request *r)
{
    int rc = wa_session_pair_code(b->session, r->phone);
    bridge_touch(b);
    if (rc == 0)
        done(b, r, "the code will be pairing_code in state.json");
    else
        refuse(b, r,
               "three codes were asked for on this connection; wait for the next series of QRs");
}

static bool waits_for_qr(const struct bridge *b)
{
    return b->lifecycle == BRIDGE_STARTING || b->lifecycle == BRIDGE_CONNECTING ||
           b->lifecycle == BRIDGE_PAIRING || b->lifecycle == BRIDGE_RETRYING;
}

/* Before the first QR of a connection, or between two: there is nothing to forget, and the wish is
 * kept until the QR is there. */
static void pair_soon(struct bridge *b, const struct volume_control_request *r)
{
    if (b->lifecycle == BRIDGE_PAIRING) {
        done(b, r, "a QR is waiting to be scanned");
        return;
    }
    bytes_copy_text(bytes_text(r->phone), b->pair_phone, sizeof(b->pair_phone));
    if (b->lifecycle == BRIDGE_RETRYING)
        bridge_apply(b, BRIDGE_ON_TIMER);
    done(b, r, "a QR follows as soon as the server is reached");
}

static void pair(struct bridge *b, const struct volume_control_request *r)
{
    if (r->phone[0] && wa_link_check_phone(r->phone) < 0) {
        refuse(b, r, "phone must be 7 to 15 digits with the country code");
        return;
    }
    b->rounds = 0;
    bridge_passkey_begin_anew(b);
    if (r->phone[0] && b->lifecycle == BRIDGE_PAIRING && b->session) {
        pair_by_code(b, r);
        return;
    }
    int rc = bridge_apply(b, BRIDGE_ON_PAIR);
    if (rc == 0) {
        bytes_copy_text(bytes_text(r->phone), b->pair_phone, sizeof(b->pair_phone));
        done(b, r, NULL);
    } else if (rc == ERR_STORE) {
        bridge_commands_answer(b, r, "failed", b->state.last_error.message, NULL);
    } else if (waits_for_qr(b) && !bridge_is_linked(b)) {
        pair_soon(b, r);
    } else {
        refuse(b, r, "this device is linked, or being linked; log out first");
    }
}

/* A phone number stands for its JID. */
static const char *chat_address(const char *chat, char out[160])
{
    bool number = chat[strspn(chat, "0123456789")] == '\0';
    snprintf(out, 160, "%s%s", chat, number ? "@s.whatsapp.net" : "");
    return out;
}

/* Durable before it is answered: what else is in the transaction is only earlier than it had to be.
 */
static void release(struct bridge *b, const struct volume_control_request *r)
{
    char address[160], detail[64];
    struct err err;
    if (r->odd) {
        refuse(b, r, "the content is no JSON object as {\"chat\":\"4915112345678\"}");
        return;
    }
    int released =
        store_messages_release(b->messages, r->chat[0] ? chat_address(r->chat, address) : NULL);
    if (store_messages_commit(b->messages, &err) < 0) {
        b->store_failed = b->session != NULL;
        bridge_commands_answer(b, r, "failed", err.text, NULL);
    } else if (released == 0 && r->chat[0]) {
        refuse(b, r, "this chat was not handed over");
    } else {
        snprintf(detail, sizeof(detail), "chats released: %d", released);
        done(b, r, detail);
    }
}

void bridge_commands_session_ended(struct bridge *b, enum bridge_event how)
{
    if (!b->logout_pending)
        return;
    b->logout_pending = false;
    if (how != BRIDGE_ON_LOGGED_OUT)
        bridge_commands_answer(b, &b->logout, "failed",
                               "the connection ended before the server agreed", NULL);
    else if (bridge_forget(b) < 0)
        bridge_commands_answer(b, &b->logout, "failed", b->state.last_error.message, NULL);
    else
        done(b, &b->logout, NULL);
}

/* ---- where they come from ------------------------------------------------------------------- */

void bridge_commands_scan(struct bridge *b)
{
    static void (*const handlers[])(struct bridge * b, const struct volume_control_request *r) = {
        [VOLUME_COMMAND_STOP] = stop,       [VOLUME_COMMAND_RELOAD] = reload,
        [VOLUME_COMMAND_LOGOUT] = logout,   [VOLUME_COMMAND_PAIR] = pair,
        [VOLUME_COMMAND_RELEASE] = release, [VOLUME_COMMAND_PASSKEY] = bridge_passkey_response,
    };
    struct volume_control_request r;
    while (!b->stop_due && volume_control_next(b->control, &r) == 1)
        handlers[r.command](b, &r);
}

static void on_control(void *ctx)
{
    struct bridge *b = ctx;
    bridge_commands_scan(b);
    bridge_touch(b);
}

static void on_signal(void *ctx)
{
    struct bridge *b = ctx;
    struct signalfd_siginfo info;
    while (read(b->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP)
            reload(b, NULL);
        else
            bridge_stop(b, info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
    }
    bridge_touch(b);
}

static sigset_t our_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

void bridge_commands_block_signals(void)
{
    sigset_t set = our_signals();
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static int open_signals(struct bridge *b, struct err *err)
{
    sigset_t set = our_signals();
    b->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (b->signal_fd < 0)
        return err_sys(err, ERR_SYSTEM, "signals could not be turned into a descriptor");
    return bridge_loop_watch(b->loop, b->signal_fd, on_signal, b, err);
}

int bridge_commands_open(struct bridge *b, struct err *err)
{
    int rc = open_signals(b, err);
    if (rc == 0)
        rc = volume_control_open(&b->control, &b->volume, b->state.process.started_at, err);
    if (rc == 0 && volume_control_fd(b->control) >= 0)
        rc = bridge_loop_watch(b->loop, volume_control_fd(b->control), on_control, b, err);
    return rc;
}

void bridge_commands_close(struct bridge *b)
{
    if (b->logout_pending)
        bridge_commands_answer(b, &b->logout, "failed", "the bridge was stopped", NULL);
    b->logout_pending = false;
    volume_control_close(b->control);
    b->control = NULL;
    if (b->signal_fd >= 0)
        close(b->signal_fd);
    b->signal_fd = -1;
}
