/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of a bridge, shared by its parts:
 *
 *   bridge.c      opens everything, the wake-up, shuts down
 *   connection.c  link and session: dial, events, settle, end
 *   restriction.c a restriction of the account, over restarts
 *   account.c     linking again: the same account, or another one
 *   inbound.c     messages and receipts that came in
 *   guard.c       what keeps an answer back
 *   media.c       files of messages
 *   blob.c        files that the session itself wants
 *   outbound.c    the queue of what goes out
 *   outbox.c      what the portal wants sent
 *   commands.c    control directory and signals
 *   passkey.c     the passkey step of linking: passkey.json and the answers to it
 *   status.c      state.json, metrics.prom and the QR
 *   version.c     which client version we say we are
 *   notify.c      what a service manager is told
 *   history.c     the history and the retention of messages.db
 *   history_sync.c  the phone's history
 *   recent.c      recent.json
 *   rest.c        memory that is given back when nothing happens
 *
 * The one rule: what a wake-up brought is settled once at its end (bridge_settle): messages.db is
 * committed, then keys.db, then the output goes to the link (D1, D2, D4 to D6). Acknowledgements
 * and receipts that come alone may wait for a moment with their group open; upkeep waits until none
 * is.
 */
#ifndef BRIDGE_INTERNAL_H
#define BRIDGE_INTERNAL_H

#include "bridge/bridge.h"
#include "bridge/lifecycle.h"
#include "bridge/link.h"
#include "bridge/media.h"
#include "bridge/notify.h"
#include "bridge/policy.h"
#include "bridge/records.h"
#include "config/replies.h"
#include "store/messages.h"
#include "volume/control.h"
#include "volume/logfile.h"
#include "volume/metrics.h"
#include "volume/outbox.h"
#include "volume/passkey.h"
#include "volume/state.h"
#include "wa/session.h"

/* A chat that must wait before its next message is tried again. */
struct bridge_delay {
    char chat[WA_JID_TEXT_SIZE];
    int64_t until;
};

/* What left in the window of the rate limit; read once for a wake-up, then counted along. */
struct bridge_window {
    bool known;
    int64_t sent, warnings;
};

/* What happened and is not in the table events yet. */
struct bridge_event_note {
    int64_t at;
    const char *kind; /* static text */
    enum bridge_state state;
    char code[64], message[512];
};

struct bridge_trim {
    uint64_t changes; /* store_messages_changes */
    int64_t hour, generation;
};

struct bridge_history {
    struct bridge_event_note notes[16];
    size_t count;
    bool due;    /* there is one worth a sync: not only how far a start has come */
    bool failed; /* and was logged; tried again when retry is set, at the heartbeat */
    bool retry;
    struct bridge_trim trimmed; /* as it was when the retention was last seen to */
    int unindexed; /* messages that may have come since the search index was brought up to date */
};

/* The client version; see version.c. */
struct bridge_version {
    struct bridge_fetch *fetch; /* under way; NULL */
    uint32_t known;             /* newest revision that was fetched; 0 none */
    int64_t fetched_at;         /* Unix ms; 0 never */
    int64_t asked_at;           /* monotonic; 0 never */
    struct wa_version said;     /* on the last connection */
    bool renewed;               /* dialled for a newer one, since a login or a wait */
    bool decide_due;            /* UPDATING: nothing more is to come */
    char trouble[160];          /* with the last answer; "" none */
};

/* The passkey step, while it is open. */
struct bridge_passkey {
    bool due, remove_due; /* passkey.json */
    char request_id[33];
    enum wa_passkey_phase phase;
    int64_t issued_at, expires_at, handoff_expires_at; /* wall clock; 0 none */
    struct buf options;                                /* JSON */
    char code[WA_LINK_CODE_SHOWN_SIZE];
    bool confirm;
    enum wa_passkey_error error; /* of the last answer */
    int64_t error_at;
    int failures; /* attempts in a row */
};

enum bridge_publish { BRIDGE_PUBLISH_NONE, BRIDGE_PUBLISH_LIGHT, BRIDGE_PUBLISH_DURABLE };

struct bridge {
    struct config config;
    struct config_replies replies;
    const char *(*env)(const char *name);
    struct volume volume;
    struct volume_log log;
    struct bridge_records *records;
    struct store_keys *keys; /* of records */
    struct store_messages *messages;
    struct wa_host host;
    struct bridge_loop *loop;
    struct volume_control *control;
    int signal_fd;
    int notify_fd; /* the service manager's; -1 none */

    /* the connection; session exists from the opening of the link to its end */
    struct bridge_link *link;
    struct wa_session *session;
    struct wa_session_config session_config;
    struct bridge_version version;
    struct wa_event ended; /* WA_EVENT_CLOSED once it was taken; else another type */
    bool settle_due, store_failed;
    bool hurry; /* the open group has what is to be durable at once */
    bool upkeep_due;
    int messages_taken; /* since the last commit */
    uint64_t set_aside; /* wa_session_set_aside as of the last commit */
    uint64_t malformed; /* wa_session_malformed, likewise */
    bool may_send;      /* the backlog is through */
    bool more_history;  /* to be read in the next wake-up, which is at once */
    bool was_online;

    /* times on the monotonic clock; CLOCK_NEVER = off */
    int64_t held_until; /* the open group waits for company; CLOCK_NEVER: there is none */
    int64_t rest_at, dial_until, retry_at, stable_at, heartbeat_at, online_at;
    bool dial_due;
    int64_t wait_ms; /* until the next dial, where the server or a pause says so */

    /* linking */
    int64_t rounds; /* connections in a row whose QRs nobody scanned */
    struct bridge_passkey passkey;
    bool restricted; /* there is a record of it */
    int restarts;    /* asked for by the server in a row, with no stable connection in between */

    /* sending */
    int64_t pause_until; /* for all chats */
    struct bridge_delay *delays;
    size_t delay_count;
    int64_t send_at; /* when a delay or a pause ends */
    struct bridge_window window;

    /* the outbox */
    struct volume_outbox *outbox;
    bool look_due, look_again; /* now; when there is room again */
    int64_t look_at;           /* monotonic; CLOCK_NEVER */
    size_t looked_at;          /* files that the look of this wake-up found */
    char taken[VOLUME_OUTBOX_BATCH][VOLUME_OUTBOX_NAME_MAX + 1]; /* recorded, not committed */
    size_t taken_count;
    int64_t release_at; /* monotonic: the next may enter the queue; 0 unknown */

    /* state.json */
    enum bridge_state lifecycle;
    struct volume_state state;
    struct volume_counters settled; /* as of the last commit */
    enum bridge_publish publish;
    bool publish_failed, metrics_failed;
    bool metrics_due;   /* with the next state.json */
    uint64_t totals_at; /* store_messages_changes when the totals in state were read */
    struct bridge_history history;
    struct buf qr_payload;
    bool qr_due, qr_remove_due;
    char boot_id[40], wa_version[40];
    char account_pn[WA_JID_TEXT_SIZE], account_lid[WA_JID_TEXT_SIZE];
    char push_name[128], platform[32];

    /* recent.json, on the monotonic clock: due at (CLOCK_NEVER: nothing new), last done at */
    int64_t recent_at, recent_done_at;
    bool recent_failed;

    /* files of messages */
    struct bridge_media *media;
    struct bridge_blob *blob; /* NULL: none is wanted */
    int64_t media_at;         /* monotonic: something is to be done; CLOCK_NEVER */

    /* commands */
    char pair_phone[24]; /* a code is wanted as soon as a QR is shown; "" none */
    char pairing_code[16];
    bool logout_pending;
    struct volume_control_request logout;
    bool stop_due;
    const char *stop_reason;
};

/* ---- bridge.c ------------------------------------------------------------------------------- */
/* Something was fed or changed: settle at the end of this wake-up. */
void bridge_touch(struct bridge *b);
/* Takes the transition and starts its action. 0; ERR_STATE when the event means nothing now;
 * ERR_STORE when keys should be forgotten and could not be (nothing changed then). */
int bridge_apply(struct bridge *b, enum bridge_event event);
void bridge_stop(struct bridge *b, const char *reason); /* reason: static text */
/* Level, format and file of the log, as configured. */
void bridge_set_log(struct bridge *b);
/* What the next connection says of us; ERR_CONFIG. */
int bridge_read_session_config(struct bridge *b, struct err *err);

/* ---- connection.c --------------------------------------------------------------------------- */
void bridge_dial(struct bridge *b);
void bridge_dial_timeout(struct bridge *b);
void bridge_settle(struct bridge *b);
/* The same, but what can wait may stay in the open group for a moment. */
void bridge_settle_soon(struct bridge *b);
/* Closes link and session in good order; nothing is dialled. */
void bridge_hang_up(struct bridge *b);
/* Whether an account is linked, as far as keys.db says. */
bool bridge_is_linked(struct bridge *b);
/* Deletes the keys of this device, durably. */
int bridge_forget(struct bridge *b);

/* ---- restriction.c -------------------------------------------------------------------------- */
/* Durable on return; where that fails it is logged. Between two groups of writes only. */
void bridge_restriction_keep(struct bridge *b, int64_t length_ms);
/* A login succeeded. Part of the open group. */
void bridge_restriction_over(struct bridge *b);
/* How long one that an earlier process met still lasts, in ms; 0: there is none. */
int64_t bridge_restriction_left(struct bridge *b);

/* ---- account.c ------------------------------------------------------------------------------ */
/* wa_device_forget, but whose keys they were is kept: 0 or negative, not committed. */
int bridge_account_forget(struct bridge *b);
/* After another account was linked, nothing of the old one's queue goes out and no chat is a
 * person's any more; after the same one, only replies that nobody expects any more are dropped.
 * Part of the open group; a failure sets store_failed. */
void bridge_account_paired(struct bridge *b, const struct wa_event *ev);

/* ---- guard.c -------------------------------------------------------------------------------- */
struct bridge_verdict {
    enum bridge_answer answer;
    bool ping_pong;       /* found just now: record the answer as kept back */
    int64_t last_wait_at; /* Unix ms */
    int64_t queued;       /* of the chat */
};
/* What the guards say to an answer in this chat; 0 or ERR_STORE. */
int bridge_guard_chat(struct bridge *b, const char *chat, struct bridge_verdict *out);

/* ---- inbound.c ------------------------------------------------------------------------------ */
/* Write into the open transaction of messages.db; a failure sets store_failed. */
void bridge_inbound_message(struct bridge *b, const struct wa_incoming *in);
void bridge_inbound_receipt(struct bridge *b, const struct wa_event *ev);
/* The disappearing timer of the chat, as this message tells it; no row. */
void bridge_inbound_timer(struct bridge *b, const struct wa_incoming *in);

/* The address forms of one party as texts, "" where unknown; main: LID, else PN, else as it is. */
struct bridge_forms {
    char main[WA_JID_TEXT_SIZE], pn[WA_JID_TEXT_SIZE], lid[WA_JID_TEXT_SIZE];
};
void bridge_make_forms(struct bridge_forms *f, const struct wa_jid *jid, const struct wa_jid *pn,
                       const struct wa_jid *lid);
const char *bridge_form(const char *text); /* NULL for "" */

/* ---- outbound.c ----------------------------------------------------------------------------- */
/* Gives the session what may go out now; whether there was anything. */
bool bridge_outbound_pump(struct bridge *b);
/* Gives an answer that is about to be recorded to the session, where nothing holds it back: whether
 * it is under way. Nothing of its chat may be queued; the row has no id yet. */
bool bridge_outbound_at_once(struct bridge *b, const struct store_queued *q,
                             const struct wa_jid *to);
/* The log's line for what was given to the session. */
void bridge_outbound_log(const struct bridge *b, int64_t row, bool warning, struct bytes text);
/* A fresh message id, and the own bare JID. Only with a session. */
void bridge_outbound_make_id(struct bridge *b, char id[WA_MESSAGE_ID_SIZE], struct wa_jid *own);
void bridge_outbound_reset(
    struct bridge *b); /* a new connection: what was under way is queued again */
void bridge_outbound_acked(struct bridge *b, const struct wa_event *ev);
void bridge_outbound_resend(struct bridge *b, const struct wa_event *ev);

/* ---- outbox.c ------------------------------------------------------------------------------- */
int bridge_outbox_open(struct bridge *b, struct err *err);
void bridge_outbox_close(struct bridge *b);
/* outbox/new is to be looked at in the next wake-up. */
void bridge_outbox_look(struct bridge *b);
/* Records a batch, when a look is due, the account is connected and there is room. */
void bridge_outbox_take(struct bridge *b);
/* Lets the first message that is due into the queue of its chat: 1, 0 not now (send_at is set), or
 * ERR_STORE. */
int bridge_outbox_release(struct bridge *b);
/* Nobody new may be written to for a time, or may again. */
void bridge_outbox_limit(struct bridge *b, const struct wa_event *ev);
/* After the commit: removes the files that were recorded, publishes results, and commits that. */
void bridge_outbox_settled(struct bridge *b);
/* After a rollback: the files are taken again. */
void bridge_outbox_undone(struct bridge *b);

/* ---- commands.c ----------------------------------------------------------------------------- */
/* From now on they wait for the loop; they do so also in PID 1, which has no default actions. */
void bridge_commands_block_signals(void);
int bridge_commands_open(struct bridge *b, struct err *err);
void bridge_commands_close(struct bridge *b);
void bridge_commands_scan(struct bridge *b);
/* Asks for the pairing code that control/pair wanted, if it can be had now. */
void bridge_commands_want_code(struct bridge *b);
/* Acknowledges; result, error and detail as in volume_control_ack. */
void bridge_commands_answer(struct bridge *b, const struct volume_control_request *r,
                            const char *result, const char *error, const char *detail);
/* Answers a logout that was waiting for the end of the session. */
void bridge_commands_session_ended(struct bridge *b, enum bridge_event how);

/* ---- passkey.c ------------------------------------------------------------------------------ */
bool bridge_passkey_open(const struct bridge *b);
void bridge_passkey_event(struct bridge *b, const struct wa_event *ev);
/* The lifecycle is about to change: wipes what belongs to the step when it is over. */
void bridge_passkey_state(struct bridge *b, enum bridge_state next);
void bridge_passkey_publish(struct bridge *b);
void bridge_passkey_remove(struct bridge *b);
/* Says what went wrong, and which event that is; wait_s: how long the server wants to be left
 * alone, 0 not at all. */
enum bridge_event bridge_passkey_failed(struct bridge *b, enum wa_passkey_error e, int64_t wait_s,
                                        const char *particulars);
/* Somebody asked for a QR, or the device is linked: earlier failures do not count. */
void bridge_passkey_begin_anew(struct bridge *b);
/* control/passkey-response.json */
void bridge_passkey_response(struct bridge *b, const struct volume_control_request *r);

/* ---- history.c ------------------------------------------------------------------------------ */
/* The state is b->lifecycle; why: a short name; message may be NULL. */
void bridge_history_state(struct bridge *b, const char *why, const char *message);
void bridge_history_error(struct bridge *b, const char *code, const char *message);
/* What a chat did, as part of the open group; chat as in messages. */
void bridge_history_notice(struct bridge *b, const char *code, const char *chat,
                           const char *message);
/* Commits what was noted, where no group is open; the stations of a start with what it led to. */
void bridge_history_flush(struct bridge *b);
/* Once a heartbeat: one step of retention, and new words for the search index. */
void bridge_history_tend(struct bridge *b);
/* Words for the search index, when many messages wait for it or all shall be in it. */
void bridge_history_index(struct bridge *b, bool all);

/* ---- history_sync.c ------------------------------------------------------------------------- */
/* WA_EVENT_HISTORY, WA_EVENT_HISTORY_END: into the open group of messages.db. */
void bridge_history_sync_message(struct bridge *b, const struct wa_incoming *in);
void bridge_history_sync_end(struct bridge *b, const struct wa_event *ev);

/* ---- rest.c --------------------------------------------------------------------------------- */
/* Before anything else: how memory is taken from the system. */
void bridge_rest_prepare(void);
/* Something happened; when nothing more does, memory is given back. */
void bridge_rest_later(struct bridge *b);
void bridge_rest(struct bridge *b, int64_t now);

/* ---- status.c ------------------------------------------------------------------------------- */
void bridge_status_open(struct bridge *b);
/* After a change of the configuration. */
void bridge_status_config(struct bridge *b);
void bridge_status_state(struct bridge *b, enum bridge_state state);
void bridge_status_account(struct bridge *b, const struct wa_event *ev);
void bridge_status_qr(struct bridge *b, const struct wa_event *ev);
/* The pairing code, or that there is none any more. */
void bridge_status_code(struct bridge *b, const struct wa_event *ev);
void bridge_status_error(struct bridge *b, const char *code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void bridge_status_no_error(struct bridge *b);
void bridge_status_want(struct bridge *b, enum bridge_publish how);
/* QR, state, removal of a QR: what is due, in this order. */
void bridge_status_flush(struct bridge *b);
/* The last state of the process. */
void bridge_status_stopped(struct bridge *b, int code, const char *reason);

/* ---- version.c ------------------------------------------------------------------------------ */
/* Where newer versions are named, or NULL; borrowed from c. */
const char *bridge_version_url(const struct config *c);
/* Takes up what an earlier process kept. */
void bridge_version_open(struct bridge *b);
void bridge_version_close(struct bridge *b);
/* Puts the version that counts into session_config and state.json; ERR_INVALID for a bad
 * whatsapp.version. */
int bridge_version_use(struct bridge *b);
/* Writes what is known into the open transaction of keys.db: 0 or negative. */
int bridge_version_keep(struct bridge *b);
/* Asks for a newer one when the last answer is old, or the server says that ours expires. */
void bridge_version_refresh(struct bridge *b, bool expires);
/* The action of BRIDGE_UPDATING: looks for a newer one; decide_due is set in the end. */
void bridge_version_refused(struct bridge *b);
/* Leaves BRIDGE_UPDATING: with a newer version, or saying that there is none. */
void bridge_version_decide(struct bridge *b);
void bridge_version_accepted(struct bridge *b);

/* ---- recent.c ------------------------------------------------------------------------------- */
/* messages.db or the configuration changed: recent.json is due, at most once a second. */
void bridge_recent_want(struct bridge *b);
/* Publishes it when it is due, or removes it where volume.recent is off; a failure is tried again
 * at the next heartbeat. */
void bridge_recent_flush(struct bridge *b, int64_t now);

#endif
