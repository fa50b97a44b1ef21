/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/messages_internal.h"
#include "store/messages_sql.h"

int store_messages_add_media(struct store_messages *m, int64_t id, const struct store_media *media)
{
    return store_db_write(store_messages_db(m), SQL_ADD_MEDIA,
                          STORE_VALUES(STORE_INT(id), STORE_TEXT(media->status),
                                       STORE_BYTES(media->mimetype), STORE_BYTES(media->file_name),
                                       STORE_TIME(media->length), STORE_TIME(media->width),
                                       STORE_TIME(media->height), STORE_TIME(media->seconds),
                                       STORE_INT(media->animated), STORE_INT(media->note)));
}

int store_messages_next_media(struct store_messages *m, int64_t now_ms, const int64_t *busy,
                              size_t busy_count, struct store_wanted *out)
{
    struct sqlite3_stmt *row =
        store_db_select(store_messages_db(m), SQL_NEXT_MEDIA, STORE_VALUES());
    int rc;
    *out = (struct store_wanted){0};
    while ((rc = store_db_next(store_messages_db(m), row)) == 1) {
        int64_t id = store_db_int(row, 0);
        bool taken = false;
        for (size_t i = 0; i < busy_count; i++)
            taken = taken || busy[i] == id;
        if (taken)
            continue;
        out->id = id;
        out->attempts = (int)store_db_int(row, 1);
        out->due_at = store_db_int(row, 2);
        arena_reset(&m->row);
        out->mimetype = store_messages_kept(m, row, 3);
        break;
    }
    store_db_end(row);
    return rc == 1 ? out->due_at <= now_ms : rc;
}

int store_messages_put_off_media(struct store_messages *m, int64_t id, const char *why,
                                 int64_t due_at, bool counts)
{
    return store_messages_change(
        m, SQL_PUT_OFF_MEDIA,
        STORE_VALUES(STORE_INT(id), STORE_TEXT(why), STORE_INT(due_at), STORE_INT(counts)));
}

int store_messages_end_media(struct store_messages *m, int64_t id, const char *status,
                             const char *file, const char *error)
{
    int rc = store_messages_change(
        m, SQL_END_MEDIA,
        STORE_VALUES(STORE_INT(id), STORE_TEXT(status), STORE_TEXT(file), STORE_TEXT(error)));
    if (rc == 0 && file)
        rc = store_messages_change(m, SQL_SET_MEDIA_FILE,
                                   STORE_VALUES(STORE_INT(id), STORE_TEXT(file)));
    return rc;
}

int store_messages_find_media(struct store_messages *m, struct bytes wa_id, int64_t *id)
{
    int rc =
        store_db_number(store_messages_db(m), id, SQL_FIND_MEDIA, STORE_VALUES(STORE_BYTES(wa_id)));
    return rc < 0 ? rc : *id != 0;
}

int store_messages_forget_file(struct store_messages *m, int64_t id, const char *file)
{
    int rc = store_db_write(store_messages_db(m), SQL_FORGET_FILE,
                            STORE_VALUES(STORE_INT(id), STORE_TEXT(file)));
    if (rc == 1 && store_db_write(store_messages_db(m), SQL_SET_MEDIA_FILE,
                                  STORE_VALUES(STORE_INT(id), STORE_TEXT(NULL))) < 0)
        return ERR_STORE;
    return rc;
}

int store_messages_knows_file(struct store_messages *m, int64_t id, const char *file)
{
    int64_t found;
    int rc = store_db_number(store_messages_db(m), &found, SQL_KNOWS_FILE,
                             STORE_VALUES(STORE_INT(id), STORE_TEXT(file)));
    return rc < 0 ? rc : found != 0;
}
