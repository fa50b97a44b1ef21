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
#define BRIDGE_SEND_ATTEMPTS_MAX 5

/*
 * Full jitter: uniform in 1 ms .. min(max, initial * 2^(attempt - 1)); attempt from 1. random is
 * any 32 random bits.
 */
int64_t bridge_backoff_ms(int attempt, int64_t initial_ms, int64_t max_ms, uint32_t random);

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
    X(BRIDGE_SILENT_HANDED_OVER, "handed_over")

enum bridge_answer {
#define X(symbol, name) symbol,
    BRIDGE_ANSWERS(X)
#undef X
};

enum bridge_answer bridge_answer_decide(const struct bridge_asked *asked, const struct config *c);
const char *bridge_answer_name(enum bridge_answer answer);

/* Whether a person still has the chat: handover_at 0 is not handed over, limit_s 0 is no limit. */
bool bridge_handed_over(int64_t handover_at_ms, int64_t limit_s, int64_t now_ms);

/* sent and warnings: what left within the last window, warnings not counted in sent. */
enum bridge_rate { BRIDGE_RATE_SEND, BRIDGE_RATE_WARN, BRIDGE_RATE_DROP };
enum bridge_rate bridge_rate_decide(const struct config *c, int64_t sent, int64_t warnings);

/* After a refusal by the server (protocol/06 section 9): ms until the next try of the same id, or
 * -1 to give up. attempts counts those made; account tells that everything must wait, not only this
 * chat. */
int64_t bridge_resend_after(unsigned error, int attempts, bool *account);

#endif
