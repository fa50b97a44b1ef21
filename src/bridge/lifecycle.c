/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/lifecycle.h"

/* How a connection that is being made or stands may end. */
#define ENDS_OF(X, state)                                                                          \
    X(state, RESTART, CONNECTING, DIAL)                                                            \
    X(state, LOST, RETRYING, RETRY)                                                                \
    X(state, LOGGED_OUT, LOGGED_OUT, HALT)                                                         \
    X(state, REPLACED, REPLACED, HALT)                                                             \
    X(state, BANNED, BANNED, WAIT)                                                                 \
    X(state, REFUSED, REFUSED, HALT)                                                               \
    X(state, OUTDATED, UPDATING, UPDATE)                                                           \
    X(state, STOP, STOPPED, NOTHING)

/* X(state, event, next state, action). What is not listed changes nothing. */
#define TRANSITIONS(X)                                                                             \
    X(STARTING, START, CONNECTING, DIAL)                                                           \
    X(STARTING, BANNED, BANNED, WAIT)                                                              \
    X(STARTING, STOP, STOPPED, NOTHING)                                                            \
    X(CONNECTING, QR, PAIRING, NOTHING)                                                            \
    X(CONNECTING, CONNECTED, ONLINE, NOTHING)                                                      \
    X(CONNECTING, UNCONFIRMED, CONNECTING, FORGET)                                                 \
    ENDS_OF(X, CONNECTING)                                                                         \
    X(PAIRING, QR, PAIRING, NOTHING)                                                               \
    X(PAIRING, PAIRED, CONNECTING, NOTHING)                                                        \
    X(PAIRING, EXPIRED, CONNECTING, DIAL)                                                          \
    X(PAIRING, PAUSE, PAUSED, WAIT)                                                                \
    X(PAIRING, PASSKEY, PASSKEY, NOTHING)                                                          \
    X(PAIRING, PASSKEY_FAILED, CONNECTING, DIAL)                                                   \
    X(PAIRING, GIVE_UP, HELD, HALT)                                                                \
    ENDS_OF(X, PAIRING)                                                                            \
    X(PASSKEY, PASSKEY, PASSKEY, NOTHING)                                                          \
    X(PASSKEY, CONFIRM, CONFIRM, NOTHING)                                                          \
    X(PASSKEY, PAIRED, CONNECTING, NOTHING)                                                        \
    X(PASSKEY, PASSKEY_FAILED, CONNECTING, DIAL)                                                   \
    X(PASSKEY, PAUSE, PAUSED, WAIT)                                                                \
    X(PASSKEY, GIVE_UP, HELD, HALT)                                                                \
    ENDS_OF(X, PASSKEY)                                                                            \
    X(CONFIRM, PAIRED, CONNECTING, NOTHING)                                                        \
    X(CONFIRM, PASSKEY_FAILED, CONNECTING, DIAL)                                                   \
    X(CONFIRM, PAUSE, PAUSED, WAIT)                                                                \
    X(CONFIRM, GIVE_UP, HELD, HALT)                                                                \
    ENDS_OF(X, CONFIRM)                                                                            \
    X(PAUSED, TIMER, CONNECTING, DIAL)                                                             \
    X(PAUSED, PAIR, CONNECTING, DIAL)                                                              \
    X(PAUSED, STOP, STOPPED, NOTHING)                                                              \
    X(HELD, PAIR, CONNECTING, DIAL)                                                                \
    X(HELD, STOP, STOPPED, NOTHING)                                                                \
    ENDS_OF(X, ONLINE)                                                                             \
    X(RETRYING, TIMER, RETRYING, DIAL)                                                             \
    X(RETRYING, RELOAD, RETRYING, DIAL)                                                            \
    X(RETRYING, QR, PAIRING, NOTHING)                                                              \
    X(RETRYING, CONNECTED, ONLINE, NOTHING)                                                        \
    X(RETRYING, UNCONFIRMED, CONNECTING, FORGET)                                                   \
    ENDS_OF(X, RETRYING)                                                                           \
    X(LOGGED_OUT, PAIR, CONNECTING, FORGET)                                                        \
    X(LOGGED_OUT, STOP, STOPPED, NOTHING)                                                          \
    X(REPLACED, RELOAD, CONNECTING, DIAL)                                                          \
    X(REPLACED, PAIR, CONNECTING, FORGET)                                                          \
    X(REPLACED, STOP, STOPPED, NOTHING)                                                            \
    X(BANNED, TIMER, CONNECTING, DIAL)                                                             \
    X(BANNED, PAIR, CONNECTING, FORGET)                                                            \
    X(BANNED, STOP, STOPPED, NOTHING)                                                              \
    X(REFUSED, RELOAD, CONNECTING, DIAL)                                                           \
    X(REFUSED, PAIR, CONNECTING, FORGET)                                                           \
    X(REFUSED, STOP, STOPPED, NOTHING)                                                             \
    X(UPDATING, NEWER, CONNECTING, DIAL)                                                           \
    X(UPDATING, NONE_NEWER, OUTDATED, WAIT)                                                        \
    X(UPDATING, RELOAD, CONNECTING, DIAL)                                                          \
    X(UPDATING, STOP, STOPPED, NOTHING)                                                            \
    X(OUTDATED, TIMER, CONNECTING, DIAL)                                                           \
    X(OUTDATED, RELOAD, CONNECTING, DIAL)                                                          \
    X(OUTDATED, STOP, STOPPED, NOTHING)

static const struct bridge_transition table[BRIDGE_STATE_COUNT][BRIDGE_EVENT_COUNT] = {
#define X(state, event, to, act)                                                                   \
    [BRIDGE_##state][BRIDGE_ON_##event] = {                                                        \
        .next = BRIDGE_##to, .action = BRIDGE_DO_##act, .listed = true},
    TRANSITIONS(X)
#undef X
};

struct bridge_transition bridge_lifecycle_step(enum bridge_state state, enum bridge_event event)
{
    struct bridge_transition t = table[state][event];
    if (!t.listed)
        t.next = state;
    return t;
}

enum bridge_event bridge_lifecycle_of_close(enum wa_close why)
{
    switch (why) {
    case WA_CLOSE_RESTART:
        return BRIDGE_ON_RESTART;
    case WA_CLOSE_PAIRING_TIMEOUT:
        return BRIDGE_ON_EXPIRED;
    case WA_CLOSE_PASSKEY:
        return BRIDGE_ON_PASSKEY_FAILED;
    case WA_CLOSE_UNCONFIRMED:
        return BRIDGE_ON_UNCONFIRMED;
    case WA_CLOSE_LOGGED_OUT:
    case WA_CLOSE_LOCKED: /* the server has forgotten the device (protocol/01 section 10.2) */
        return BRIDGE_ON_LOGGED_OUT;
    case WA_CLOSE_REPLACED:
        return BRIDGE_ON_REPLACED;
    case WA_CLOSE_BANNED:
        return BRIDGE_ON_BANNED;
    case WA_CLOSE_REFUSED:
        return BRIDGE_ON_REFUSED;
    case WA_CLOSE_VERSION:
        return BRIDGE_ON_OUTDATED;
    case WA_CLOSE_STREAM_END:
    case WA_CLOSE_HANDSHAKE:
    case WA_CLOSE_PROTOCOL:
    case WA_CLOSE_TIMEOUT:
    case WA_CLOSE_PAIRING_REFUSED:
    case WA_CLOSE_SERVER:
    case WA_CLOSE_RATE:
    case WA_CLOSE_STORE:
        return BRIDGE_ON_LOST;
    }
    return BRIDGE_ON_LOST;
}

static const struct {
    const char *name, *status, *session, *text;
} states[] = {
#define X(symbol, name, status, session, text) [symbol] = {name, status, session, text},
    BRIDGE_STATES(X)
#undef X
};

static const struct {
    const char *name, *text;
} events[] = {
#define X(symbol, name, text) [symbol] = {name, text},
    BRIDGE_EVENTS(X)
#undef X
};

static const struct {
    const char *name, *text;
} actions[] = {
#define X(symbol, name, text) [symbol] = {name, text},
    BRIDGE_ACTIONS(X)
#undef X
};

const char *bridge_state_name(enum bridge_state state)
{
    return states[state].name;
}

const char *bridge_state_status(enum bridge_state state)
{
    return states[state].status;
}

const char *bridge_state_session(enum bridge_state state)
{
    return states[state].session;
}

bool bridge_state_lasts(enum bridge_state state)
{
    return state != BRIDGE_STARTING && state != BRIDGE_CONNECTING && state != BRIDGE_PAIRING;
}

const char *bridge_event_name(enum bridge_event event)
{
    return events[event].name;
}

const char *bridge_action_name(enum bridge_action action)
{
    return actions[action].name;
}

static void print_grid(struct buf *out)
{
    buf_append_text(out, "| event |");
    for (size_t s = 0; s < BRIDGE_STATE_COUNT; s++)
        buf_printf(out, " %s |", states[s].name);
    buf_append_text(out, "\n|---|");
    for (size_t s = 0; s < BRIDGE_STATE_COUNT; s++)
        buf_append_text(out, "---|");
    for (size_t e = 0; e < BRIDGE_EVENT_COUNT; e++) {
        buf_printf(out, "\n| %s |", events[e].name);
        for (size_t s = 0; s < BRIDGE_STATE_COUNT; s++) {
            const struct bridge_transition *t = &table[s][e];
            if (!t->listed)
                buf_append_text(out, " |");
            else if (t->action == BRIDGE_DO_NOTHING)
                buf_printf(out, " %s |", states[t->next].name);
            else
                buf_printf(out, " %s, *%s* |", states[t->next].name, actions[t->action].name);
        }
    }
    buf_append_text(out, "\n");
}

void bridge_lifecycle_print(struct buf *out)
{
    buf_append_text(out, "| state | status | session.state | meaning |\n|---|---|---|---|\n");
    for (size_t s = 0; s < BRIDGE_STATE_COUNT; s++)
        buf_printf(out, "| %s | %s | %s | %s |\n", states[s].name, states[s].status,
                   states[s].session, states[s].text);
    buf_append_text(out, "\n| event | meaning |\n|---|---|\n");
    for (size_t e = 0; e < BRIDGE_EVENT_COUNT; e++)
        buf_printf(out, "| %s | %s |\n", events[e].name, events[e].text);
    buf_append_text(out, "\n| action | meaning |\n|---|---|\n");
    for (size_t a = 1; a < ARRAY_LEN(actions); a++)
        buf_printf(out, "| *%s* | %s |\n", actions[a].name, actions[a].text);
    buf_append_text(out, "\n");
    print_grid(out);
}
