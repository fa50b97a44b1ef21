/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The life of a tenant as one table (DESIGN 4). lifecycle.c holds the transitions;
 * docs/lifecycle.md shows them, and a test compares the two.
 */
#ifndef BRIDGE_LIFECYCLE_H
#define BRIDGE_LIFECYCLE_H

#include "base/buf.h"
#include "wa/session.h"

/* X(symbol, name, status, session.state, what the owner should know) */
#define BRIDGE_STATES(X)                                                                           \
    X(BRIDGE_STARTING, "starting", "STARTING", "NONE", "process up, nothing dialled yet")          \
    X(BRIDGE_CONNECTING, "connecting", "STARTING", "CONNECTING", "the server is dialled")          \
    X(BRIDGE_PAIRING, "pairing", "QR_PENDING", "QR_READY", "a QR waits to be scanned")             \
    X(BRIDGE_PASSKEY, "passkey", "QR_PENDING", "PASSKEY_REQUIRED", "WhatsApp wants a passkey")     \
    X(BRIDGE_CONFIRM, "confirm", "QR_PENDING", "PASSKEY_CONFIRM", "two codes are to be compared")  \
    X(BRIDGE_PAUSED, "paused", "QR_PENDING", "NONE", "no QR for a while: nobody scanned")          \
    X(BRIDGE_HELD, "held", "QR_PENDING", "NONE", "no QR: the passkey failed; waits for pair")      \
    X(BRIDGE_ONLINE, "online", "RUNNING", "CONNECTED", "logged in")                                \
    X(BRIDGE_RETRYING, "retrying", "ERROR", "DISCONNECTED", "connection lost, dialled again")      \
    X(BRIDGE_LOGGED_OUT, "logged_out", "ERROR", "LOGGED_OUT", "unlinked; waits for pair")          \
    X(BRIDGE_REPLACED, "replaced", "ERROR", "REPLACED", "another process uses the keys")           \
    X(BRIDGE_BANNED, "banned", "ERROR", "RESTRICTED",                                              \
      "restricted for a time; dialled when it ends")                                               \
    X(BRIDGE_REFUSED, "refused", "ERROR", "RESTRICTED", "refused for good; waits for a person")    \
    X(BRIDGE_UPDATING, "updating", "ERROR", "DISCONNECTED",                                        \
      "client version refused; a newer one is looked for")                                         \
    X(BRIDGE_OUTDATED, "outdated", "ERROR", "VERSION_REJECTED",                                    \
      "client version refused, no newer one known; dialled again hours later")                     \
    X(BRIDGE_STOPPED, "stopped", "STOPPED", "DISCONNECTED", "the last state of a process")

enum bridge_state {
#define X(symbol, name, status, session, text) symbol,
    BRIDGE_STATES(X)
#undef X
        BRIDGE_STATE_COUNT
};

/* X(symbol, name, meaning) */
#define BRIDGE_EVENTS(X)                                                                           \
    X(BRIDGE_ON_START, "start", "everything is open")                                              \
    X(BRIDGE_ON_QR, "qr", "the server gave a pairing ref")                                         \
    X(BRIDGE_ON_PASSKEY, "passkey", "after the scan the server wants a passkey")                   \
    X(BRIDGE_ON_CONFIRM, "confirm", "the phone answered, the pairing is nearly done")              \
    X(BRIDGE_ON_PAIRED, "paired", "the phone scanned and the pairing was accepted")                \
    X(BRIDGE_ON_CONNECTED, "connected", "login succeeded")                                         \
    X(BRIDGE_ON_RESTART, "restart", "closed: the server asks for a fresh connection")              \
    X(BRIDGE_ON_EXPIRED, "expired", "closed: nobody scanned the QR")                               \
    X(BRIDGE_ON_PAUSE, "pause", "closed: nobody scanned for several rounds")                       \
    X(BRIDGE_ON_PASSKEY_FAILED, "passkey_failed", "closed: the passkey step came to nothing")      \
    X(BRIDGE_ON_GIVE_UP, "give_up", "closed: the passkey step failed once too often")              \
    X(BRIDGE_ON_UNCONFIRMED, "unconfirmed", "closed: the last pairing never reached the server")   \
    X(BRIDGE_ON_LOST, "lost", "closed or not reached: worth another try")                          \
    X(BRIDGE_ON_LOGGED_OUT, "logged_out", "closed: unlinked, or the account is locked")            \
    X(BRIDGE_ON_REPLACED, "replaced", "closed: another process logged in with the keys")           \
    X(BRIDGE_ON_BANNED, "banned", "closed, or before a restart: restricted for a time")            \
    X(BRIDGE_ON_REFUSED, "refused", "closed: the server wants nothing of this client")             \
    X(BRIDGE_ON_OUTDATED, "outdated", "closed: client version not accepted")                       \
    X(BRIDGE_ON_NEWER, "newer", "a newer client version is known")                                 \
    X(BRIDGE_ON_NONE_NEWER, "none_newer", "no newer client version is known")                      \
    X(BRIDGE_ON_TIMER, "timer", "the time of the next attempt has come")                           \
    X(BRIDGE_ON_RELOAD, "reload", "a valid configuration was loaded")                              \
    X(BRIDGE_ON_PAIR, "pair", "the portal asks for a new QR")                                      \
    X(BRIDGE_ON_STOP, "stop", "control/stop, SIGTERM or SIGINT")

enum bridge_event {
#define X(symbol, name, text) symbol,
    BRIDGE_EVENTS(X)
#undef X
        BRIDGE_EVENT_COUNT
};

/* X(symbol, name, what the bridge does) */
#define BRIDGE_ACTIONS(X)                                                                          \
    X(BRIDGE_DO_NOTHING, "-", "")                                                                  \
    X(BRIDGE_DO_DIAL, "dial", "dial at once")                                                      \
    X(BRIDGE_DO_RETRY, "retry", "dial after the backoff")                                          \
    X(BRIDGE_DO_WAIT, "wait", "dial at a known time")                                              \
    X(BRIDGE_DO_UPDATE, "update", "look for a newer client version")                               \
    X(BRIDGE_DO_FORGET, "forget", "forget the keys, then dial")                                    \
    X(BRIDGE_DO_HALT, "halt", "no attempt until a person acts")

enum bridge_action {
#define X(symbol, name, text) symbol,
    BRIDGE_ACTIONS(X)
#undef X
};

struct bridge_transition {
    enum bridge_state next;
    enum bridge_action action;
    bool listed; /* false: the event means nothing in this state; next is the state itself */
};

struct bridge_transition bridge_lifecycle_step(enum bridge_state state, enum bridge_event event);
/* Which event the end of a session is. */
enum bridge_event bridge_lifecycle_of_close(enum wa_close why);

const char *bridge_state_name(enum bridge_state state);
const char *bridge_state_status(enum bridge_state state);
const char *bridge_state_session(enum bridge_state state);
/* Whether its row of the history is worth a sync of its own; that of a station of a start is
 * written with what the start led to. */
bool bridge_state_lasts(enum bridge_state state);
const char *bridge_event_name(enum bridge_event event);
const char *bridge_action_name(enum bridge_action action);

/* The table as Markdown, as it stands in docs/lifecycle.md between its two markers. */
void bridge_lifecycle_print(struct buf *out);

#endif
