/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/messages_internal.h"
#include "store/messages_sql.h"

/* Totals and events: what happened, for state.json and for the portal. */

int store_messages_totals(struct store_messages *m, struct store_totals *out)
{
    struct sqlite3_stmt *row = store_db_select(store_messages_db(m), SQL_TOTALS, STORE_VALUES());
    int rc = store_db_next(store_messages_db(m), row);
    *out = (struct store_totals){0};
    const struct store_totals *more = &m->pending.totals;
    int64_t latest = rc == 1 ? store_db_int(row, 7) : 0;
    if (latest < more->last_message_at)
        latest = more->last_message_at;
    if (rc == 1)
        *out = (struct store_totals){.received = store_db_int(row, 0) + more->received,
                                     .replied = store_db_int(row, 1) + more->replied,
                                     .sent = store_db_int(row, 2) + more->sent,
                                     .delivered = store_db_int(row, 3) + more->delivered,
                                     .read = store_db_int(row, 4) + more->read,
                                     .failed = store_db_int(row, 5) + more->failed,
                                     .undecryptable = store_db_int(row, 6) + more->undecryptable,
                                     .last_message_at = latest};
    store_db_end(row);
    return rc < 0 ? rc : 0;
}

int store_messages_add_event(struct store_messages *m, const struct store_event *e)
{
    int rc =
        store_db_write(store_messages_db(m), SQL_ADD_EVENT,
                       STORE_VALUES(STORE_INT(e->at), STORE_TEXT(e->kind), STORE_TEXT(e->status),
                                    STORE_TEXT(e->session), STORE_TEXT(e->code),
                                    STORE_TEXT(e->message), STORE_TEXT(e->chat)));
    return rc < 0 ? rc : 0;
}

int store_messages_each_event(struct store_messages *m, int64_t after_id, int limit,
                              int (*event)(void *ctx, const struct store_event *e), void *ctx)
{
    struct sqlite3_stmt *rows =
        store_db_select(store_messages_db(m), after_id < 0 ? SQL_EVENTS_NEWEST : SQL_EVENTS_AFTER,
                        STORE_VALUES(STORE_INT(after_id), STORE_INT(limit)));
    int rc;
    while ((rc = store_db_next(store_messages_db(m), rows)) == 1) {
        const struct store_event e = {.id = store_db_int(rows, 0),
                                      .at = store_db_int(rows, 1),
                                      .kind = store_db_text(rows, 2),
                                      .status = store_db_text(rows, 3),
                                      .session = store_db_text(rows, 4),
                                      .code = store_db_text(rows, 5),
                                      .message = store_db_text(rows, 6),
                                      .chat = store_db_text(rows, 7)};
        if (event(ctx, &e) != 0)
            break;
    }
    store_db_end(rows);
    return rc < 0 ? rc : 0;
}
