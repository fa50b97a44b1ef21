/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/keys.h"

#include "store/db.h"
#include "store/keys_cache.h"

#define APPLICATION_ID 0x77624b59u /* "wbKY" */
#define SQL_MAX 256

/* X(name, before the table, after it): one of each per table. SQLite itself writes no
 * page when the value is equal. */
#define STATEMENTS(X)                                                                              \
    X(GET, "SELECT value FROM ", " WHERE key = ?1")                                                \
    X(NEXT, "SELECT key, value FROM ", " WHERE key > ?1 ORDER BY key LIMIT 1")                     \
    X(PUT, "INSERT OR ROLLBACK INTO ",                                                             \
      "(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value")         \
    X(DELETE, "DELETE FROM ", " WHERE key = ?1")                                                   \
    X(DELETE_RANGE, "DELETE FROM ", " WHERE key >= ?1 AND key < ?2")

enum {
#define X(name, before, after) SQL_##name,
    STATEMENTS(X)
#undef X
        SQL_COUNT
};

static const char *const pieces[SQL_COUNT][2] = {
#define X(name, before, after) [SQL_##name] = {before, after},
    STATEMENTS(X)
#undef X
};

/* The tables are not part of the version: they are named by the caller and added when missing. */
static const char *const migrations[] = {""};

struct store_keys {
    struct store_db *db;
    struct store_cache cache;
    size_t count;
    char **texts; /* count * SQL_COUNT */
};

static char *statement_text(const char *table, size_t which)
{
    AUTO_BUF struct buf sql;
    buf_init(&sql, SQL_MAX);
    buf_printf(&sql, "%s\"%s\"%s", pieces[which][0], table, pieces[which][1]);
    return bytes_strdup(buf_bytes(&sql));
}

static void add_tables(struct buf *sql, const char *const *tables, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_printf(
            sql,
            "CREATE TABLE IF NOT EXISTS \"%s\"(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT "
            "NULL);",
            tables[i]);
}

int store_keys_open(struct store_keys **out, const char *path, const char *const *tables,
                    size_t count, const struct store_blank *blank, struct err *err)
{
    struct store_keys *k = err_calloc(1, sizeof(*k));
    *out = NULL;
    k->count = count;
    k->texts = err_calloc(count * SQL_COUNT, sizeof(k->texts[0]));
    for (size_t i = 0; i < count * SQL_COUNT; i++)
        k->texts[i] = statement_text(tables[i / SQL_COUNT], i % SQL_COUNT);
    AUTO_BUF struct buf missing;
    buf_init(&missing, count * SQL_MAX);
    add_tables(&missing, tables, count);
    struct store_db_spec spec = {.application_id = APPLICATION_ID,
                                 .mode = 0600,
                                 .secure_delete = true,
                                 .migrations = migrations,
                                 .version = ARRAY_LEN(migrations),
                                 .blank = blank,
                                 .each_open = buf_text(&missing),
                                 .statements = (const char *const *)k->texts,
                                 .statement_count = count * SQL_COUNT};
    int rc = store_db_open(&k->db, path, &spec, false, err);
    if (rc != 0)
        store_keys_close(k);
    else
        *out = k;
    return rc;
}

void store_keys_close(struct store_keys *k)
{
    if (!k)
        return;
    store_cache_clear(&k->cache);
    store_db_close(k->db);
    for (size_t i = 0; i < k->count * SQL_COUNT; i++)
        free(k->texts[i]);
    free(k->texts);
    free(k);
}

static int written(int changed)
{
    return changed < 0 ? changed : 0;
}

/* What waits goes into the transaction. */
static int write_waiting(struct store_keys *k)
{
    const struct store_record *r;
    while ((r = k->cache.waiting.oldest)) {
        size_t first = r->table * SQL_COUNT;
        int rc =
            r->exists
                ? store_db_write(k->db, first + SQL_PUT,
                                 STORE_VALUES(STORE_TEXT(r->key), STORE_BLOB(buf_bytes(&r->value))))
                : store_db_write(k->db, first + SQL_DELETE, STORE_VALUES(STORE_TEXT(r->key)));
        if (rc < 0)
            return rc;
        store_cache_written(&k->cache);
    }
    return 0;
}

/* The record, absent or not, or NULL for ERR_STORE. */
static struct store_record *look_up(struct store_keys *k, size_t table, const char *key)
{
    if (store_db_failed(k->db))
        return NULL;
    struct store_record *r = store_cache_find(&k->cache, table, key);
    if (r)
        return r;
    struct sqlite3_stmt *row =
        store_db_select(k->db, table * SQL_COUNT + SQL_GET, STORE_VALUES(STORE_TEXT(key)));
    int rc = store_db_next(k->db, row);
    if (rc >= 0)
        r = store_cache_add(&k->cache, table, key, rc == 1,
                            rc == 1 ? store_db_bytes(row, 0) : BYTES_NONE);
    store_db_end(row);
    return r;
}

static int change(struct store_keys *k, size_t table, const char *key, bool exists,
                  struct bytes value)
{
    struct store_record *r = look_up(k, table, key);
    if (!r)
        return ERR_STORE;
    store_cache_set(&k->cache, r, exists, value);
    return k->cache.waiting.bytes > STORE_CACHE_WAITING_BYTES ? write_waiting(k) : 0;
}

int store_keys_get(struct store_keys *k, size_t table, const char *key, struct buf *out)
{
    const struct store_record *r = look_up(k, table, key);
    if (!r)
        return ERR_STORE;
    return r->exists && buf_append(out, buf_bytes(&r->value)) != 0 ? ERR_LIMIT : r->exists;
}

static int hand_out(struct bytes from_key, struct bytes from_value, struct buf *key,
                    struct buf *value)
{
    buf_clear(key); /* only now: after may be its text */
    if (value)
        buf_clear(value);
    return buf_append(key, from_key) != 0 || (value && buf_append(value, from_value) != 0)
               ? ERR_LIMIT
               : 1;
}

/* What waits is newer than the row of the same key. One that waits to be deleted hides it: 2, with
 * key to go on from. */
static int next_of_both(struct sqlite3_stmt *row, int found, const struct store_record *waiting,
                        struct buf *key, struct buf *value)
{
    struct bytes stored = found == 1 ? store_db_bytes(row, 0) : BYTES_NONE;
    if (!waiting || (found == 1 && bytes_compare(stored, store_record_key(waiting)) < 0))
        return found == 1 ? hand_out(stored, store_db_bytes(row, 1), key, value) : found;
    int rc = hand_out(store_record_key(waiting), buf_bytes(&waiting->value), key, value);
    return rc == 1 && !waiting->exists ? 2 : rc;
}

int store_keys_next(struct store_keys *k, size_t table, const char *after, struct buf *key,
                    struct buf *value)
{
    int rc = 2;
    if (store_db_failed(k->db))
        return ERR_STORE;
    for (; rc == 2; after = buf_text(key)) {
        const struct store_record *waiting = store_cache_next_waiting(&k->cache, table, after);
        struct sqlite3_stmt *row =
            store_db_select(k->db, table * SQL_COUNT + SQL_NEXT, STORE_VALUES(STORE_TEXT(after)));
        rc = store_db_next(k->db, row);
        if (rc >= 0)
            rc = next_of_both(row, rc, waiting, key, value);
        store_db_end(row);
    }
    return rc;
}

int store_keys_put(struct store_keys *k, size_t table, const char *key, struct bytes value)
{
    return change(k, table, key, true, value);
}

int store_keys_del(struct store_keys *k, size_t table, const char *key)
{
    return change(k, table, key, false, BYTES_NONE);
}

/* Keys are compared as bytes: those with the prefix end before the prefix with its last byte
 * raised. */
int store_keys_del_prefix(struct store_keys *k, size_t table, const char *prefix)
{
    AUTO_FREE char *end = err_strdup(prefix);
    size_t n = strlen(end);
    while (n > 0 && (uint8_t)end[n - 1] == 0xff)
        n--;
    if (n > 0)
        end[n - 1] = (char)((uint8_t)end[n - 1] + 1);
    if (write_waiting(k) < 0)
        return ERR_STORE;
    store_cache_clear(&k->cache);
    /* No end at all: in SQLite every text sorts before every blob. */
    struct store_value limit = n > 0 ? STORE_BYTES(BYTES(end, n)) : STORE_BLOB(BYTES_NONE);
    return written(store_db_write(k->db, table * SQL_COUNT + SQL_DELETE_RANGE,
                                  STORE_VALUES(STORE_TEXT(prefix), limit)));
}

bool store_keys_dirty(const struct store_keys *k)
{
    return k->cache.waiting.oldest || store_db_dirty(k->db);
}

int store_keys_commit(struct store_keys *k, struct err *err)
{
    (void)write_waiting(k); /* a failure spoils the group, and its commit says so */
    int rc = store_db_commit(k->db, err);
    if (rc < 0)
        store_cache_clear(&k->cache);
    return rc;
}

int store_keys_flush_log(struct store_keys *k, struct err *err)
{
    return store_db_flush_log(k->db, err);
}

void store_keys_rollback(struct store_keys *k)
{
    store_cache_clear(&k->cache);
    store_db_rollback(k->db);
}

void store_keys_tend(struct store_keys *k)
{
    store_db_tend(k->db);
}

void store_keys_rest(struct store_keys *k)
{
    if (!store_keys_dirty(k))
        store_cache_clear(&k->cache);
    store_db_rest(k->db);
}

const char *store_keys_error(const struct store_keys *k)
{
    return store_db_error(k->db);
}
