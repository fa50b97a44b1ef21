/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests under way: ids, matching of answers, timeouts (protocol/01 section 9.1). */
#ifndef WA_IQ_H
#define WA_IQ_H

#include "wa/host.h"
#include "wa/node.h"

#define WA_IQ_TIMEOUT_MS 60000
#define WA_IQ_PENDING_MAX 256
#define WA_IQ_ID_SIZE 32

/*
 * answer: the whole <iq> when the server said type="result"; NULL when it said error (code, 0 when
 * it gave none) or when time ran out (code WA_IQ_TIMED_OUT).
 */
#define WA_IQ_TIMED_OUT 408
typedef void (*wa_iq_done)(void *ctx, void *arg, const struct wa_node *answer, unsigned code);

struct wa_iq_entry;

struct wa_iq {
    struct wa_iq_entry *pending;
    size_t count;
    uint32_t prefix_a, prefix_b, counter;
};

void wa_iq_init(struct wa_iq *iq, const struct wa_host *host);
/* Forgets what is pending without calling anyone. */
void wa_iq_deinit(struct wa_iq *iq);
/* The next id, for requests and for stanzas that only need one. */
void wa_iq_id(struct wa_iq *iq, char out[WA_IQ_ID_SIZE]);
/* Takes a new id, sets it on node, and waits for its answer until deadline_ms (monotonic).
 * ERR_LIMIT when too many are under way. */
int wa_iq_expect(struct wa_iq *iq, struct wa_node *node, int64_t deadline_ms, wa_iq_done done,
                 void *ctx, void *arg);
/* Hands an <iq type="result|error"> to whoever waits for its id; false when nobody does. */
bool wa_iq_answer(struct wa_iq *iq, const struct wa_node *node);
/* Ends one request that is due at now_ms: true when there was one (call again). */
bool wa_iq_expire(struct wa_iq *iq, int64_t now_ms);
int64_t wa_iq_deadline(const struct wa_iq *iq); /* CLOCK_NEVER when none */

#endif
