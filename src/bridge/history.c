/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The history in messages.db, its retention, its search index. None may disturb the groups of the
 * pipelines: what happens to the bridge is kept in memory and written in a group of its own,
 * between two others.
 */
#include "bridge/bridge_internal.h"

#include "base/clock.h"
#include "base/log.h"

#define HELD_MS 1000    /* a start that has not led anywhere by then is worth a sync */
#define INDEX_AT 500    /* messages: with their answers as many rows as one step takes */
#define INDEX_ROWS 1000 /* some 10 ms */
#define INDEX_STEPS 4
#define HOUR_MS INT64_C(3600000)

/* When the disk is full for long, the newest are the ones that count. */
static struct bridge_event_note *new_note(struct bridge_history *h)
{
    if (h->count == ARRAY_LEN(h->notes)) {
        memmove(h->notes, h->notes + 1, sizeof(h->notes) - sizeof(h->notes[0]));
        h->count--;
    }
    return &h->notes[h->count++];
}

static void note(struct bridge *b, const char *kind, const char *code, const char *message)
{
    struct bridge_event_note *n = new_note(&b->history);
    n->at = clock_wall_ms();
    n->kind = kind;
    n->state = b->lifecycle;
    bytes_copy_text(bytes_text(code), n->code, sizeof(n->code));
    bytes_copy_text(bytes_text(message), n->message, sizeof(n->message));
}

void bridge_history_state(struct bridge *b, const char *why, const char *message)
{
    note(b, "state", why, message);
    b->history.due = b->history.due || bridge_state_lasts(b->lifecycle);
}

void bridge_history_error(struct bridge *b, const char *code, const char *message)
{
    note(b, "error", code, message);
    b->history.due = true;
}

/* In the group of what brought it: neither is there without the other. */
void bridge_history_notice(struct bridge *b, const char *code, const char *chat,
                           const char *message)
{
    const struct store_event e = {
        .at = clock_wall_ms(),
        .kind = "notice",
        .status = bridge_state_status(b->lifecycle),
        .session = bridge_state_session(b->lifecycle),
        .code = code,
        .message = message,
        .chat = chat,
    };
    if (store_messages_add_event(b->messages, &e) < 0)
        b->store_failed = true;
}

static int write_notes(struct bridge *b, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < b->history.count && rc == 0; i++) {
        const struct bridge_event_note *n = &b->history.notes[i];
        const struct store_event e = {
            .at = n->at,
            .kind = n->kind,
            .status = bridge_state_status(n->state),
            .session = bridge_state_session(n->state),
            .code = n->code,
            .message = n->message[0] ? n->message : NULL,
        };
        rc = store_messages_add_event(b->messages, &e);
    }
    /* also rolls back what failed */
    int committed = store_messages_commit(b->messages, err);
    return rc < 0 ? rc : committed;
}

static void said(struct bridge *b, int rc, const char *text)
{
    if (rc < 0 && !b->history.failed)
        log_event(LOG_WARN, "upkeep_failed", LOG_STR("error", text));
    b->history.failed = rc < 0;
}

void bridge_history_flush(struct bridge *b)
{
    struct err err;
    bool wait = b->history.failed && !b->history.retry;
    if (!b->messages || !b->history.due || wait || store_messages_dirty(b->messages))
        return;
    b->history.retry = false;
    int rc = write_notes(b, &err);
    said(b, rc, err.text);
    if (rc == 0) {
        b->history.count = 0;
        b->history.due = false;
    }
}

/* Nothing becomes too much or too old but by new rows, a new hour or a new configuration. */
static bool trim_is_due(struct bridge *b)
{
    const struct bridge_trim now = {.changes = store_messages_changes(b->messages),
                                    .hour = clock_wall_ms() / HOUR_MS,
                                    .generation = b->state.config.generation};
    struct bridge_trim *last = &b->history.trimmed;
    if (now.changes == last->changes && now.hour == last->hour &&
        now.generation == last->generation)
        return false;
    *last = now;
    return true;
}

static void trim(struct bridge *b)
{
    const struct store_keep keep = {.days = b->config.messages_keep_days,
                                    .bytes = b->config.messages_keep_mb * 1048576};
    struct err err;
    int deleted = store_messages_trim(b->messages, &keep, clock_wall_ms());
    if (deleted < 0)
        err_set(&err, deleted, "%s", store_messages_error(b->messages));
    if (store_messages_dirty(b->messages)) /* a step of several, perhaps */
        b->history.trimmed = (struct bridge_trim){0};
    int committed = store_messages_commit(b->messages, deleted < 0 ? NULL : &err);
    said(b, deleted < 0 ? deleted : committed, err.text);
    if (deleted > 0 && committed == 0)
        log_event(LOG_DEBUG, "messages_deleted", LOG_INT("rows", deleted));
}

void bridge_history_index(struct bridge *b, bool all)
{
    struct err err;
    int rc = 1;
    if (!b->messages || store_messages_dirty(b->messages) ||
        b->history.unindexed < (all ? 1 : INDEX_AT))
        return;
    b->history.unindexed = 0; /* after a failure, whenever something comes again */
    for (int steps = 0; rc == 1 && steps < INDEX_STEPS; steps++) {
        rc = store_messages_index(b->messages, INDEX_ROWS);
        if (rc < 0)
            err_set(&err, rc, "%s", store_messages_error(b->messages));
        int committed = store_messages_commit(b->messages, rc < 0 ? NULL : &err);
        rc = committed < 0 ? committed : rc;
    }
    if (rc < 0)
        said(b, rc, err.text);
    else
        b->history.unindexed = rc; /* more than the steps allow: the rest at the next heartbeat */
}

void bridge_history_tend(struct bridge *b)
{
    if (!b->messages || store_messages_dirty(b->messages))
        return;
    if (b->history.failed || trim_is_due(b))
        trim(b);
    bridge_history_index(b, true);
    b->history.retry = true;
    if (b->history.count > 0 && clock_wall_ms() - b->history.notes[0].at >= HELD_MS)
        b->history.due = true;
}
