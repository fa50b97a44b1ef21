/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/messages_internal.h"
#include "store/messages_sql.h"

int64_t store_messages_count_outbox(struct store_messages *m)
{
    int64_t n = store_messages_count(m, SQL_COUNT_OUTBOX, STORE_VALUES());
    return n < 0 ? n : n + m->pending.outbox;
}

int64_t store_messages_count_due(struct store_messages *m, int64_t now_ms)
{
    return store_messages_count(m, SQL_COUNT_DUE, STORE_VALUES(STORE_INT(now_ms)));
}

int64_t store_messages_count_under_way(struct store_messages *m)
{
    return store_messages_count(m, SQL_COUNT_UNDER_WAY, STORE_VALUES());
}

/* The first two columns of the first row, both 0 when there is none. 1, 0, ERR_STORE. */
static int two_numbers(struct store_messages *m, size_t statement, struct store_values values,
                       int64_t *first, int64_t *second)
{
    struct sqlite3_stmt *row = store_db_select(m->db, statement, values);
    int rc = store_db_next(m->db, row);
    *first = rc == 1 ? store_db_int(row, 0) : 0;
    *second = rc == 1 ? store_db_int(row, 1) : 0;
    store_db_end(row);
    return rc;
}

int store_messages_outbox_sent_since(struct store_messages *m, int64_t since_ms, int64_t *sent,
                                     int64_t *last)
{
    int rc = two_numbers(m, SQL_OUTBOX_SENT, STORE_VALUES(STORE_INT(since_ms)), sent, last);
    return rc < 0 ? rc : 0;
}

int store_messages_first_held(struct store_messages *m, int64_t *id, int64_t *due_at)
{
    return two_numbers(m, SQL_FIRST_HELD, STORE_VALUES(), id, due_at);
}

int store_messages_let_in(struct store_messages *m, int64_t id)
{
    return store_messages_change(m, SQL_LET_IN, STORE_VALUES(STORE_INT(id)));
}

int store_messages_next_report(struct store_messages *m, int64_t after_id, struct store_report *out)
{
    struct sqlite3_stmt *row =
        store_db_select(store_messages_db(m), SQL_NEXT_REPORT, STORE_VALUES(STORE_INT(after_id)));
    arena_reset(&m->row);
    int rc = store_db_next(store_messages_db(m), row);
    if (rc == 1)
        *out = (struct store_report){.id = store_db_int(row, 0),
                                     .outbox_name = store_messages_kept_text(m, row, 1),
                                     .wa_id = store_messages_kept_text(m, row, 2),
                                     .target = store_messages_kept_text(m, row, 3),
                                     .chat_pn = store_messages_kept_text(m, row, 4),
                                     .chat_lid = store_messages_kept_text(m, row, 5),
                                     .acked_at = store_db_int(row, 6),
                                     .delivered_at = store_db_int(row, 7),
                                     .read_at = store_db_int(row, 8),
                                     .status = store_messages_kept_text(m, row, 9),
                                     .error = store_messages_kept_text(m, row, 10)};
    store_db_end(row);
    return rc;
}

int store_messages_report_again(struct store_messages *m, const char *outbox_name)
{
    return store_db_write(store_messages_db(m), SQL_REPORT_AGAIN,
                          STORE_VALUES(STORE_TEXT(outbox_name)));
}

int store_messages_reported(struct store_messages *m, int64_t id)
{
    return store_messages_change(m, SQL_REPORTED, STORE_VALUES(STORE_INT(id)));
}

int store_messages_can_quote(struct store_messages *m, const char *wa_id, const char *chat)
{
    int64_t n =
        store_messages_count(m, SQL_CAN_QUOTE, STORE_VALUES(STORE_TEXT(wa_id), STORE_TEXT(chat)));
    return n < 0 ? ERR_STORE : n > 0;
}
