/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * state.json: the bridge's face to the portal (DESIGN 3, docs/state.schema.json). The bridge fills
 * the struct; volume_state_publish gives it seq and times and writes it.
 */
#ifndef VOLUME_STATE_H
#define VOLUME_STATE_H

#include <stdint.h>

#include "volume/volume.h"

/* clang-format off */
#define VOLUME_COUNTERS(X)                                                                         \
    X(received) X(recorded) X(duplicates) X(replied) X(rate_limited) X(queue_overflow) X(sent)     \
    X(delivered) X(read) X(failed) X(decrypt_failures) X(retries_asked) X(reconnects)    \
    X(records_set_aside) X(malformed) X(history_recorded) X(history_given_up)
/* clang-format on */

/* Strings are borrowed from the bridge; NULL or "" is written as null. Times are wall-clock ms, 0
 * null. */
struct volume_state {
    const char *tenant_id;
    const char *boot_id; /* random UUID text of this process */
    const char *status, *session_state;
    int64_t session_since;
    struct {
        const char *pn, *lid, *push_name, *platform;
    } account;
    struct {
        bool live;
        int64_t generation, issued_at, expires_at;
    } qr;
    const char *pairing_code;
    int64_t heartbeat_interval_ms, stale_after_ms;
    int64_t last_seen_at, last_message_at;
    struct {
        int attempt, max_attempts;
        int64_t next_at;
    } reconnect;
    struct {
        char kind[32]; /* "" none */
        int64_t until;
    } limit; /* nobody new may be written to */
    struct {
        char code[64], message[512];
        int64_t at;
    } last_error;
    struct {
        char name[64], id[128], result[64];
        int64_t at;
    } last_command;
    struct {
        const char *path;
        int64_t loaded_at, generation;
    } config;
    struct volume_counters {
#define X(name) int64_t name;
        VOLUME_COUNTERS(X)
#undef X
    } counters;
    int64_t queue_replies, queue_outbox;
    bool outbox_full; /* files wait in outbox/new until there is room in the queue */
    struct {
        int64_t started_at;
        const char *version, *wa_version;
    } process;
    struct {
        bool set;
        int code;
        const char *reason;
    } exit;
    int64_t seq; /* continued from the file of the last process */
};

/* Reads what goes on across processes (seq, qr.generation, limit, last_error, last_message_at,
 * counters)
 * from the volume; no file, or one that cannot be read, is fine and changes nothing. */
void volume_state_restore(struct volume_state *s, const struct volume *v);
/* Serialises with heartbeat.at = now: 0 or ERR_LIMIT. */
int volume_state_write(const struct volume_state *s, int64_t now_ms, struct buf *out);
/* seq + 1 (used up also when it fails, so that no two contents share one), write, publish. durable
 * for transitions, not for heartbeats. 0, ERR_LIMIT or ERR_SYSTEM. */
int volume_state_publish(struct volume_state *s, const struct volume *v, int64_t now_ms,
                         bool durable, struct err *err);

/* What the verbs status and health see. 0; ERR_NOT_FOUND; ERR_INVALID; ERR_SYSTEM. A zeroed view
 * may be closed. Of STOPPED the heartbeat is old as well: look at status before stale. */
struct volume_view {
    struct buf text; /* the file itself */
    struct json_doc *doc;
    bool stale;               /* heartbeat older than stale_after_ms */
    int64_t heartbeat_age_ms; /* 0 when the writer's clock is ahead */
};
int volume_view_open(struct volume_view *view, const char *volume_path, int64_t now_ms,
                     struct err *err);
void volume_view_close(struct volume_view *view);

#endif
