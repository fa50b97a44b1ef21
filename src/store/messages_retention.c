/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/messages_internal.h"
#include "store/messages_sql.h"

#define HOUR_MS INT64_C(3600000)

/* The pages in use and the pages that are free. */
static int read_pages(struct store_messages *m, int64_t *used_bytes, int64_t *free_pages)
{
    struct sqlite3_stmt *row = store_db_select(store_messages_db(m), SQL_PAGES, STORE_VALUES());
    int rc = store_db_next(store_messages_db(m), row);
    if (rc == 1) {
        *free_pages = store_db_int(row, 1);
        *used_bytes = (store_db_int(row, 0) - *free_pages) * store_db_int(row, 2);
    }
    store_db_end(row);
    return rc == 1 ? 0 : ERR_STORE;
}

static int delete_before(struct store_messages *m, int64_t before)
{
    struct store_values values = STORE_VALUES(STORE_INT(before), STORE_INT(STORE_TRIM_ROWS));
    int rc = store_db_write(store_messages_db(m), SQL_UNLINK_ANSWERS, values);
    if (rc >= 0)
        rc = store_db_write(store_messages_db(m), SQL_DELETE_OLDEST, values);
    m->pending.ids_known = false; /* the highest may be gone */
    /* The words of what was deleted leave the index only when it is merged, a few pages at once. */
    if (rc > 0 && store_db_write_sql(store_messages_db(m),
                                     "INSERT INTO messages_search(messages_search, rank)"
                                     " VALUES('merge', -64)") < 0)
        return ERR_STORE;
    return rc;
}

/* Nothing is written when there is nothing to delete: an idle tenant causes no sync. */
static bool any_before(struct store_messages *m, int64_t before)
{
    int64_t oldest;
    return store_db_number(store_messages_db(m), &oldest, SQL_OLDEST_TIME, STORE_VALUES()) == 0 &&
           oldest && oldest < before;
}

int store_messages_trim(struct store_messages *m, const struct store_keep *keep, int64_t now_ms)
{
    int64_t used, spare, before = 0;
    if (read_pages(m, &used, &spare) < 0)
        return ERR_STORE;
    if (keep->days > 0) /* whole hours: seldom and many at once */
        before = (now_ms / HOUR_MS - keep->days * 24) * HOUR_MS;
    if (keep->bytes > 0 && used > keep->bytes)
        before = now_ms - STORE_DAY_MS;
    int deleted = before > 0 && any_before(m, before) ? delete_before(m, before) : 0;
    if (deleted >= 0 && spare >= STORE_TRIM_SPARE_PAGES &&
        store_db_write_sql(store_messages_db(m),
                           "PRAGMA incremental_vacuum(" TEXT_OF(STORE_TRIM_PAGES) ")") < 0)
        return ERR_STORE;
    return deleted;
}
