/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/iq.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"

struct wa_iq_entry {
    struct wa_iq_entry *next;
    char id[WA_IQ_ID_SIZE];
    int64_t deadline_ms;
    wa_iq_done done;
    void *ctx, *arg;
};

void wa_iq_init(struct wa_iq *iq, const struct wa_host *host)
{
    uint8_t random[4];
    host->random(host->ctx, random, sizeof(random));
    *iq = (struct wa_iq){.prefix_a = (uint32_t)(random[0] << 8 | random[1]),
                         .prefix_b = (uint32_t)(random[2] << 8 | random[3])};
}

void wa_iq_deinit(struct wa_iq *iq)
{
    while (iq->pending) {
        struct wa_iq_entry *e = iq->pending;
        iq->pending = e->next;
        free(e);
    }
    iq->count = 0;
}

void wa_iq_id(struct wa_iq *iq, char out[WA_IQ_ID_SIZE])
{
    struct text_pen pen = text_pen(out, WA_IQ_ID_SIZE);
    text_pen_u64(&pen, iq->prefix_a);
    text_pen_text(&pen, ".");
    text_pen_u64(&pen, iq->prefix_b);
    text_pen_text(&pen, "-");
    text_pen_u64(&pen, ++iq->counter);
}

int wa_iq_expect(struct wa_iq *iq, struct wa_node *node, int64_t deadline_ms, wa_iq_done done,
                 void *ctx, void *arg)
{
    if (iq->count >= WA_IQ_PENDING_MAX)
        return ERR_LIMIT;
    struct wa_iq_entry *e = err_calloc(1, sizeof(*e));
    wa_iq_id(iq, e->id);
    wa_node_set(node, "id", e->id);
    e->deadline_ms = deadline_ms;
    e->done = done;
    e->ctx = ctx;
    e->arg = arg;
    struct wa_iq_entry **at = &iq->pending;
    while (*at)
        at = &(*at)->next;
    *at = e;
    iq->count++;
    return 0;
}

/* Unlinks before calling: the callback may send new requests. */
static void finish(struct wa_iq *iq, struct wa_iq_entry **at, const struct wa_node *answer,
                   unsigned code)
{
    struct wa_iq_entry *e = *at;
    *at = e->next;
    iq->count--;
    if (e->done)
        e->done(e->ctx, e->arg, answer, code);
    free(e);
}

bool wa_iq_answer(struct wa_iq *iq, const struct wa_node *node)
{
    struct bytes id = wa_node_attr(node, "id");
    for (struct wa_iq_entry **at = &iq->pending; *at; at = &(*at)->next) {
        if (!bytes_is(id, (*at)->id))
            continue;
        uint64_t code = 0;
        bool error = wa_node_attr_is(node, "type", "error");
        if (error)
            wa_node_attr_u64(wa_node_find(node, "error"), "code", &code);
        finish(iq, at, error ? NULL : node, (unsigned)code);
        return true;
    }
    return false;
}

bool wa_iq_expire(struct wa_iq *iq, int64_t now_ms)
{
    for (struct wa_iq_entry **at = &iq->pending; *at; at = &(*at)->next) {
        if ((*at)->deadline_ms > now_ms)
            continue;
        finish(iq, at, NULL, WA_IQ_TIMED_OUT);
        return true;
    }
    return false;
}

int64_t wa_iq_deadline(const struct wa_iq *iq)
{
    int64_t first = CLOCK_NEVER;
    for (const struct wa_iq_entry *e = iq->pending; e; e = e->next)
        if (e->deadline_ms < first)
            first = e->deadline_ms;
    return first;
}
