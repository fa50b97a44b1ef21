/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decisions without effects: when to dial again, whom to answer, what the rate limit lets through.
 */
#ifndef BRIDGE_POLICY_H
#define BRIDGE_POLICY_H

#include "config/config.h"
#include "wa/message.h"

#define BRIDGE_STABLE_MS                                                                           \
    30000 /* a connection that held so long clears the attempts (protocol/01 10.5) */
#define BRIDGE_RATE_WINDOW_MS 60000
#define BRIDGE_BAN_UNKNOWN_MS 21600000 /* how long one lasts of which the server names no end */
#define BRIDGE_SEND_ATTEMPTS_MAX 5

/*
 * Full jitter: uniform in 1 ms .. min(max, initial * 2^(attempt - 1)); attempt from 1. random is
 * any 32 random bits.
 */
int64_t bridge_backoff_ms(int attempt, int64_t initial_ms, int64_t max_ms, uint32_t random);

/* What is left of a restriction at `now`; all Unix ms but length and result. Never more than the
 * length, whatever the clock was set to meanwhile. */
int64_t bridge_restriction_left_ms(int64_t began, int64_t length, int64_t now);

/* What is known about a recorded message when an answer is considered (DESIGN 9; protocol/05 11.1).
 */
struct bridge_asked {
    enum wa_kind kind;
    bool has_text, from_me, group;
    int64_t age_s; /* by the server's timestamp; may be negative when clocks differ */
};

/* X(symbol, name): BRIDGE_ANSWER, or why not. */
#define BRIDGE_ANSWERS(X)                                                                          \
    X(BRIDGE_ANSWER, "answer")                                                                     \
    X(BRIDGE_SILENT_OFF, "replies_off")                                                            \
    X(BRIDGE_SILENT_OWN, "own_message")                                                            \
    X(BRIDGE_SILENT_GROUP, "group")                                                                \
    X(BRIDGE_SILENT_KIND, "kind")                                                                  \
    X(BRIDGE_SILENT_EMPTY, "no_text")                                                              \
    X(BRIDGE_SILENT_OLD, "too_old")                                                                \
    X(BRIDGE_SILENT_HANDED_OVER, "handed_over")                                                    \
    X(BRIDGE_SILENT_BOT, "ping_pong")                                                              \
    X(BRIDGE_SILENT_CAP, "daily_cap")                                                              \
    X(BRIDGE_SILENT_COOLDOWN, "cooldown")

enum bridge_answer {
#define X(symbol, name) symbol,
    BRIDGE_ANSWERS(X)
#undef X
};

enum bridge_answer bridge_answer_decide(const struct bridge_asked *asked, const struct config *c);
const char *bridge_answer_name(enum bridge_answer answer);

/* Whether a person still has the chat: handover_at 0 is not handed over, limit_s 0 is no limit. */
bool bridge_handed_over(int64_t handover_at_ms, int64_t limit_s, int64_t now_ms);

/* What the log says of a chat that wants an answer; times are Unix ms, 0 never. */
struct bridge_chat {
    int64_t now, last_reply_at, ping_pong_at;
    int64_t replies_in_day; /* the last 24 hours */
};
/* BRIDGE_ANSWER, or the guard that keeps it back. */
enum bridge_answer bridge_chat_decide(const struct bridge_chat *chat, const struct config *c);

#define BRIDGE_TURNS_MAX 100 /* twice the greatest replies.ping_pong_messages */

/* One message of a chat. */
struct bridge_turn {
    bool out, from_me; /* ours; ours, but written by the owner */
    int64_t at;        /* Unix ms */
    struct bytes text;
};
/* Whether the newest turns (newest first, that one to be answered) are two machines talking: texts
 * that are the same but for digits, blanks, ASCII punctuation and case, each right after an answer.
 */
bool bridge_is_ping_pong(const struct bridge_turn *turns, size_t n, const struct config *c);

/* A chat whose queue holds `queued`: queue the answer, or say once a minute that they must wait
 * (last_wait_at: when that was said last), or nothing. */
enum bridge_overflow { BRIDGE_OVERFLOW_NONE, BRIDGE_OVERFLOW_WAIT, BRIDGE_OVERFLOW_DROP };
enum bridge_overflow bridge_overflow_decide(const struct config *c, int64_t queued, int64_t now,
                                            int64_t last_wait_at);

/* How long a person would take for a text of so many bytes. */
int64_t bridge_typing_ms(const struct config *c, size_t text_bytes);

/* From one message of the outbox to the next: on average what the limit allows, between half and
 * one and a half of it; 0 without a limit. random is any 32 random bits. */
int64_t bridge_outbox_gap_ms(const struct config *c, uint32_t random);

/* sent and warnings: what left within the last window, warnings not counted in sent. */
enum bridge_rate { BRIDGE_RATE_SEND, BRIDGE_RATE_WARN, BRIDGE_RATE_DROP };
enum bridge_rate bridge_rate_decide(const struct config *c, int64_t sent, int64_t warnings);

/* After a refusal by the server (protocol/06 section 9): ms until the next try of the same id, or
 * -1 to give up. attempts counts those made; account tells that everything must wait, not only this
 * chat. */
int64_t bridge_resend_after(unsigned error, int attempts, bool *account);
/* What such a code means, for the column `error`; never NULL. */
const char *bridge_refusal_text(unsigned error);

#endif
