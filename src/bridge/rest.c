/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a quiet bridge gives back. Of a thousand tenants nearly all are quiet at any time, and what
 * they keep for the next message is what they cost: page caches, buffers, freed memory.
 */
#include "bridge/bridge_internal.h"

#include <malloc.h>

#include "base/clock.h"

#define REST_AFTER_MS 2000

void bridge_rest_later(struct bridge *b)
{
    b->rest_at = clock_mono_ms() + REST_AFTER_MS;
}

void bridge_rest(struct bridge *b, int64_t now)
{
    if (b->rest_at > now)
        return;
    b->rest_at = CLOCK_NEVER;
    store_messages_rest(b->messages);
    store_keys_rest(b->keys);
    if (b->session)
        wa_session_rest(b->session);
    if (b->link)
        bridge_link_rest(b->link);
    malloc_trim(0);
}

void bridge_rest_prepare(void)
{
    /* An arena of its own for each thread that waits for the resolver would stay for good. */
    mallopt(M_ARENA_MAX, 1);
}
