/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * metrics.prom: what state.json says and a little more, in the text format of Prometheus, for a
 * textfile collector. It has no time stamps of its own, as that collector demands;
 * wabridge_heartbeat_timestamp_seconds says how old it is.
 */
#ifndef VOLUME_METRICS_H
#define VOLUME_METRICS_H

#include "volume/state.h"

#define VOLUME_METRICS_NAME "metrics.prom"

/* What is not in state.json; bytes. -1: not known, and left out. */
struct volume_gauges {
    int64_t rss_bytes;
    int64_t cpu_ms; /* user and system, since the process started */
    int64_t messages_db_bytes, messages_wal_bytes, keys_db_bytes, keys_wal_bytes;
    int64_t volume_free_bytes;
    int64_t log_dropped;
    const char *const *statuses,
        *const *sessions; /* all values there are, repeated ones too; NULL ends */
};

/* Sizes of the files, free space and what the kernel says of this process. */
void volume_metrics_measure(const struct volume *v, struct volume_gauges *out);
/* 0 or ERR_LIMIT. */
int volume_metrics_write(const struct volume_state *s, const struct volume_gauges *g,
                         int64_t now_ms, struct buf *out);
/* Writes and publishes, without a sync. 0, ERR_LIMIT or ERR_SYSTEM. */
int volume_metrics_publish(const struct volume_state *s, const struct volume_gauges *g,
                           const struct volume *v, int64_t now_ms, struct err *err);

#endif
