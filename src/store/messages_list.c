/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/messages_internal.h"
#include "store/messages_sql.h"

#define READ_INT(row, at) store_db_int(row, at)
#define READ_TIME(row, at) store_db_int(row, at)
#define READ_BOOL(row, at) store_db_int(row, at)
#define READ_TEXT(row, at) store_db_bytes(row, at)

static struct store_row listed(struct sqlite3_stmt *row)
{
    struct store_row r;
    int at = 0;
#define X(name, type) r.name = READ_##type(row, ++at);
    STORE_COLUMNS(X)
#undef X
    return r;
}

/* Every word in quotes, so that none is read as an operator; each may go on. */
static void append_words(struct buf *out, const char *text)
{
    static const char blanks[] = " \t\r\n";
    for (text += strspn(text, blanks); *text; text += strspn(text, blanks)) {
        size_t n = strcspn(text, blanks);
        buf_append_u8(out, '"');
        for (size_t i = 0; i < n; i++)
            buf_append(out, text[i] == '"' ? BYTES("\"\"", 2) : BYTES(text + i, 1));
        buf_append_text(out, "\"* ");
        text += n;
    }
}

int store_messages_each(struct store_messages *m, const struct store_query *q,
                        int (*row)(void *ctx, const struct store_row *r), void *ctx)
{
    struct buf words = {.max = 1u << 16};
    size_t which = q->after_id < 0 ? SQL_LIST_NEWEST : SQL_LIST_AFTER;
    if (q->recent)
        which = SQL_LIST_RECENT;
    if (q->search) {
        which = q->after_id < 0 ? SQL_FOUND_NEWEST : SQL_FOUND_AFTER;
        append_words(&words, q->search);
    }
    struct store_values values = STORE_VALUES(STORE_INT(q->after_id), STORE_INT(q->limit),
                                              STORE_TEXT(q->chat), STORE_BYTES(buf_bytes(&words)));
    values.n -= q->search ? 0 : 1;
    struct sqlite3_stmt *rows = store_db_select(store_messages_db(m), which, values);
    int rc;
    while ((rc = store_db_next(store_messages_db(m), rows)) == 1) {
        struct store_row r = listed(rows);
        if (row(ctx, &r) != 0)
            break;
    }
    store_db_end(rows);
    buf_deinit(&words);
    return rc < 0 ? rc : 0;
}
