/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A restriction of the account outlives the process: a bridge that is started again must not dial
 * before it ends. It is kept with the credentials, so it is gone when they are.
 */
#include "bridge/bridge_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"

#define RECORD "restriction" /* of WA_TABLE_DEVICE: "<begin> <length>", Unix ms and ms */

void bridge_restriction_keep(struct bridge *b, int64_t length_ms)
{
    char text[64];
    size_t n =
        (size_t)snprintf(text, sizeof(text), "%" PRId64 " %" PRId64, clock_wall_ms(), length_ms);
    int rc = b->host.put(b->host.ctx, WA_TABLE_DEVICE, RECORD, BYTES(text, n));
    b->restricted = true;
    struct err err = {0};
    if (rc == 0)
        rc = store_keys_commit(b->keys, &err);
    if (rc == 0)
        return;
    log_event(LOG_WARN, "restriction_not_kept", LOG_STR("error", store_keys_error(b->keys)));
    store_keys_rollback(b->keys);
}

void bridge_restriction_over(struct bridge *b)
{
    if (!b->restricted)
        return;
    b->restricted = false;
    if (b->host.del(b->host.ctx, WA_TABLE_DEVICE, RECORD) < 0)
        b->store_failed = true;
}

int64_t bridge_restriction_left(struct bridge *b)
{
    struct buf text = {.max = 64};
    int64_t began, length, left = 0;
    if (b->host.get(b->host.ctx, WA_TABLE_DEVICE, RECORD, &text) == 1 &&
        sscanf(buf_text(&text), "%" SCNd64 " %" SCNd64, &began, &length) == 2 && began >= 0) {
        b->restricted = true;
        left = bridge_restriction_left_ms(began, length, clock_wall_ms());
    }
    buf_deinit(&text);
    return left;
}
