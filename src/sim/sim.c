/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/sim.h"
#include "sim/media.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "sim/account.h"
#include "sim/client.h"
#include "sim/group.h"
#include "sim/load.h"

void sim_init(struct sim *s, unsigned ref_seconds, bool seeded, uint64_t seed)
{
    *s = (struct sim){.ref_seconds = ref_seconds,
                      .media_ttl_s = 3600,
                      .random = {.seeded = seeded, .seed = seed}};
    s->own.random = &s->random;
    s->host = sim_store_host(&s->own);
    s->accounts_end = &s->accounts;
    arena_init(&s->reading);
    arena_init(&s->sending);
    buf_init(&s->encoded, WA_STANZA_MAX);
    s->started_ms = clock_mono_ms();
    sim_ring_init(&s->events, sizeof(struct sim_event), SIM_EVENTS_KEPT);
    sim_reuse_init(&s->reuse);
    sim_server_keys_init(&s->keys, &s->host);
}

void sim_deinit(struct sim *s)
{
    sim_load_free(s->load);
    sim_groups_free(s);
    sim_media_deinit(s);
    while (s->accounts) {
        struct sim_account *a = s->accounts;

        s->accounts = a->next;
        sim_account_free(a);
    }
    sim_table_deinit(&s->by_pn, NULL);
    sim_table_deinit(&s->by_lid, NULL);
    sim_reuse_deinit(&s->reuse);
    arena_deinit(&s->reading);
    arena_deinit(&s->sending);
    buf_deinit(&s->encoded);
    sim_store_deinit(&s->own);
    sim_ring_deinit(&s->events, NULL);
}

int64_t sim_now_s(void)
{
    return clock_wall_ms() / 1000;
}

void sim_note(struct sim *s, const char *name, const struct wa_jid *device, struct bytes id,
              const char *detail)
{
    char text[WA_JID_TEXT_SIZE] = "";

    if (device)
        wa_jid_text(device, text);
    if (s->log_stanzas)
        log_event(LOG_DEBUG, name, LOG_STR("device", text), LOG_BYTES("id", id),
                  LOG_STR("detail", detail));
    sim_events_add(&s->events, name, text, id, detail);
    s->activity++;
}

const char *sim_stanza_id(struct sim *s, char out[24])
{
    snprintf(out, 24, "%010llu", (unsigned long long)(1000000000u + s->stanza_seq++));
    return out;
}
