/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Words enter the search index in batches: alone in the group of its message a row would cost as
 * much as all the rest of its group. totals.searchable is the last row whose words are in the
 * index; triggers keep those right that change or go.
 */
#include "store/messages_internal.h"
#include "store/messages_sql.h"

int store_messages_index(struct store_messages *m, int rows)
{
    int64_t from, to = 0;
    int rc = store_db_number(store_messages_db(m), &from, SQL_SEARCHABLE, STORE_VALUES());
    if (rc == 0)
        rc = store_db_number(store_messages_db(m), &to, SQL_NEXT_SEARCHABLE,
                             STORE_VALUES(STORE_INT(from), STORE_INT(rows)));
    if (rc < 0 || to == 0)
        return rc;
    if (store_db_write(store_messages_db(m), SQL_ADD_SEARCHABLE,
                       STORE_VALUES(STORE_INT(from), STORE_INT(to))) < 0 ||
        store_db_write(store_messages_db(m), SQL_SET_SEARCHABLE, STORE_VALUES(STORE_INT(to))) < 0)
        return ERR_STORE;
    return 1;
}
