/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE /* memmem, pipe2, unshare */
#include "testing.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/arena.h"
#include "base/err.h"
#include "store/backup.h"
#include "store/db_memory.h"
#include "store/db_wal.h"
#include "store/keys.h"
#include "store/keys_cache.h"
#include "store/messages_internal.h"
#include "store_vfs.h"

#define OWN "4915100000000@s.whatsapp.net"
#define NOBODY 65534
#define PORTAL_GROUP 54321

enum { DEVICE, SESSION, TABLE_COUNT };
static const char *const tables[TABLE_COUNT] = {"device", "session"};

/* ---- helpers ---------------------------------------------------------------------------- */

static sqlite3 *newest_handle; /* of whatever was opened last, the store's own included */

static int remember_handle(sqlite3 *db, char **message, const void *api)
{
    (void)message;
    (void)api;
    newest_handle = db;
    return SQLITE_OK;
}

static void setup(void)
{
    store_memory_prepare();
    store_vfs_install();
    sqlite3_auto_extension((void (*)(void))remember_handle);
}

static const char *path_of(const char *dir, const char *name)
{
    static struct arena paths;
    return arena_text(&paths, "%s/%s", dir, name);
}

static struct store_keys *keys_at(const char *path)
{
    struct store_keys *k;
    struct err err = {0};
    ck_assert_msg(store_keys_open(&k, path, tables, TABLE_COUNT, NULL, &err) == 0, "%s", err.text);
    return k;
}

static struct store_messages *messages_at(const char *path)
{
    struct store_messages *m;
    struct err err = {0};
    ck_assert_msg(store_messages_open(&m, path, &err) == 0, "%s", err.text);
    return m;
}

static void commit(struct store_messages *m)
{
    struct err err = {0};
    ck_assert_msg(store_messages_commit(m, &err) == 0, "%s", err.text);
}

/* The answer of a connection of its own to a query with one number. */
static int64_t sql_number(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *s = NULL;
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 2000);
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
    ck_assert_msg(sqlite3_step(s) == SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(db));
    int64_t n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return n;
}

static void sql_run(const char *path, const char *sql)
{
    sqlite3 *db;
    char *message = NULL;
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                     SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s: %s", sql, message);
    sqlite3_close(db);
}

static void assert_whole(const char *path)
{
    ck_assert_int_eq(sql_number(path, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"),
                     1);
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    ck_assert_msg(stat(path, &st) == 0, "%s: %s", path, strerror(errno));
    return st.st_mode & 07777;
}

static void assert_value(struct store_keys *k, size_t table, const char *key, const char *want)
{
    AUTO_BUF struct buf b;
    buf_init(&b, 1 << 20);
    ck_assert_int_eq(store_keys_get(k, table, key, &b), want ? 1 : 0);
    testing_assert_bytes(buf_bytes(&b), want ? bytes_text(want) : BYTES(NULL, 0), key);
}

static int put(struct store_keys *k, size_t table, const char *key, const char *value)
{
    return store_keys_put(k, table, key, bytes_text(value));
}

static int64_t record(struct store_messages *m, const char *chat, const char *wa_id)
{
    int64_t id;
    struct store_inbound in = {.wa_id = bytes_text(wa_id),
                               .chat = chat,
                               .sender = chat,
                               .kind = "text",
                               .text = bytes_text("hello"),
                               .sent_at = 1000,
                               .received_at = 2000};
    ck_assert_msg(store_messages_record(m, &in, &id) == 1, "%s", store_messages_error(m));
    ck_assert_int_gt(id, 0);
    return id;
}

static int64_t queue(struct store_messages *m, const char *chat, const char *wa_id,
                     int64_t reply_to)
{
    int64_t id;
    struct store_outbound out = {.wa_id = wa_id,
                                 .chat = chat,
                                 .target = chat,
                                 .sender = OWN,
                                 .text = bytes_text("answer"),
                                 .intent = "hours",
                                 .created_at = 3000};
    ck_assert_msg(store_messages_intend(m, &out, reply_to, &id) == 1, "%s",
                  store_messages_error(m));
    return id;
}

static int keep_status(void *ctx, const struct store_row *r)
{
    snprintf(ctx, 32, "%s", r->status.p);
    return 1;
}

static const char *status_of(struct store_messages *m, int64_t id)
{
    static char status[32];
    status[0] = '\0';
    ck_assert_int_eq(store_messages_each(m, &(struct store_query){.after_id = id - 1, .limit = 1},
                                         keep_status, status),
                     0);
    return status;
}

/* ---- opening ---------------------------------------------------------------------------- */

START_TEST(test_keys_open_any_umask_only_owner_reads)
{
    const char *path = path_of(testing_dir(), "keys.db");
    umask(0);
    struct store_keys *k = keys_at(path);
    ck_assert_int_eq(put(k, DEVICE, "a", "1"), 0);
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    char wal[300], shm[300];
    snprintf(wal, sizeof(wal), "%s-wal", path);
    snprintf(shm, sizeof(shm), "%s-shm", path);
    ck_assert_uint_eq(mode_of(path), 0600);
    ck_assert_uint_eq(mode_of(wal), 0600);
    ck_assert_uint_eq(mode_of(shm), 0600);
    store_keys_close(k);
    ck_assert_int_eq(access(wal, F_OK), -1);
}
END_TEST

START_TEST(test_messages_open_any_umask_group_reads)
{
    const char *path = path_of(testing_dir(), "messages.db");
    char wal[300], shm[300];
    snprintf(wal, sizeof(wal), "%s-wal", path);
    snprintf(shm, sizeof(shm), "%s-shm", path);
    umask(077);
    struct store_messages *m = messages_at(path);
    record(m, "a@lid", "A");
    commit(m);
    ck_assert_uint_eq(mode_of(path), 0640);
    ck_assert_uint_eq(mode_of(wal), 0640);
    ck_assert_uint_eq(mode_of(shm), 0640);
    store_messages_close(m);
    chmod(path, 0666);
    chmod(shm, 0600);
    m = messages_at(path);
    ck_assert_uint_eq(mode_of(path), 0640);
    ck_assert_uint_eq(mode_of(shm), 0640);
    store_messages_close(m);
}
END_TEST

START_TEST(test_open_link_or_directory_refused)
{
    const char *dir = testing_dir(), *link = path_of(dir, "keys.db"), *sub = path_of(dir, "sub");
    struct store_keys *k;
    struct err err;
    ck_assert_int_eq(symlink(path_of(dir, "elsewhere"), link), 0);
    ck_assert_int_eq(store_keys_open(&k, link, tables, TABLE_COUNT, NULL, &err), ERR_STORE);
    ck_assert_ptr_nonnull(strstr(err.text, link));
    ck_assert_int_eq(access(path_of(dir, "elsewhere"), F_OK), -1);
    ck_assert_int_eq(mkdir(sub, 0700), 0);
    ck_assert_int_eq(store_keys_open(&k, sub, tables, TABLE_COUNT, NULL, &err), ERR_STORE);
    ck_assert_ptr_null(k);
    ck_assert_int_eq(
        store_keys_open(&k, path_of(dir, "no/keys.db"), tables, TABLE_COUNT, NULL, &err),
        ERR_STORE);
    ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
}
END_TEST

/* A directory that the operator reaches through a link is the operator's business. */
START_TEST(test_open_through_linked_directory_works)
{
    const char *dir = testing_dir(), *real = path_of(dir, "real"), *link = path_of(dir, "link");
    ck_assert_int_eq(mkdir(real, 0700), 0);
    ck_assert_int_eq(symlink("real", link), 0);
    store_keys_close(keys_at(path_of(link, "keys.db")));
    ck_assert_int_eq(access(path_of(real, "keys.db"), F_OK), 0);
}
END_TEST

START_TEST(test_open_side_file_is_link_refused_and_target_untouched)
{
    static const char *const names[] = {"m.db-wal", "m.db-shm"};
    const char *dir = testing_dir(), *path = path_of(dir, "m.db"), *canary = path_of(dir, "canary");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *side = path_of(dir, names[i]);
        struct store_messages *m = messages_at(path);
        record(m, "a@lid", names[i]);
        commit(m);
        store_messages_close(m);
        unlink(side);
        close(open(canary, O_WRONLY | O_CREAT | O_TRUNC, 0604));
        ck_assert_int_eq(symlink(canary, side), 0);
        struct err err;
        ck_assert_int_eq(store_messages_open(&m, path, &err), ERR_STORE);
        ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
        ck_assert_uint_eq(mode_of(canary), 0604);
        unlink(side);
    }
}
END_TEST

START_TEST(test_open_newer_version_unsupported)
{
    const char *dir = testing_dir(), *kp = path_of(dir, "keys.db"), *mp = path_of(dir, "m.db");
    struct store_keys *k = keys_at(kp);
    struct store_messages *m = messages_at(mp);
    struct err err;
    store_keys_close(k);
    store_messages_close(m);
    sql_run(kp, "PRAGMA user_version = 1000");
    sql_run(mp, "PRAGMA user_version = 1000");
    ck_assert_int_eq(store_keys_open(&k, kp, tables, TABLE_COUNT, NULL, &err), ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "newer"));
    ck_assert_int_eq(store_messages_open(&m, mp, &err), ERR_UNSUPPORTED);
    ck_assert_int_eq(store_messages_open_readonly(&m, mp, &err), ERR_UNSUPPORTED);
    sql_run(mp, "PRAGMA user_version = 1");
    ck_assert_int_eq(store_messages_open_readonly(&m, mp, &err), ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "older"));
}
END_TEST

START_TEST(test_open_foreign_file_refused_untouched)
{
    const char *dir = testing_dir(), *other = path_of(dir, "other.db");
    struct store_messages *m;
    struct store_keys *k;
    struct err err;
    sql_run(other, "CREATE TABLE t(x); INSERT INTO t VALUES(1)");
    ck_assert_int_eq(store_messages_open(&m, other, &err), ERR_STORE);
    ck_assert_ptr_nonnull(strstr(err.text, "another program"));
    ck_assert_int_eq(sql_number(other, "SELECT count(*) FROM sqlite_master"), 1);
    ck_assert_int_eq(sql_number(other, "SELECT journal_mode = 'delete' FROM pragma_journal_mode"),
                     1);
    m = messages_at(path_of(dir, "messages.db"));
    store_messages_close(m);
    ck_assert_int_eq(
        store_keys_open(&k, path_of(dir, "messages.db"), tables, TABLE_COUNT, NULL, &err),
        ERR_STORE);
    FILE *f = fopen(path_of(dir, "noise.db"), "w");
    for (int i = 0; i < 5000; i++)
        fputc('A' + i % 26, f);
    fclose(f);
    ck_assert_int_eq(store_messages_open(&m, path_of(dir, "noise.db"), &err), ERR_STORE);
    ck_assert_ptr_nonnull(strstr(err.text, "not a database"));
}
END_TEST

START_TEST(test_open_every_truncation_no_crash)
{
    const char *dir = testing_dir(), *path = path_of(dir, "messages.db");
    struct store_messages *m = messages_at(path);
    record(m, "a@lid", "A");
    commit(m);
    store_messages_close(m);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    /* SQLite takes what is shorter than a header for a new database, and part of a last page that
     * is empty for all of it */
    for (off_t n = st.st_size - 4096; n >= 512; n -= 1 + n / 7) {
        ck_assert_int_eq(truncate(path, n), 0);
        struct err err;
        int rc = store_messages_open(&m, path, &err);
        /* the last page is not needed to open it */
        ck_assert_msg(rc == ERR_STORE || (rc == 0 && n > st.st_size - 4096), "cut to %ld: %d",
                      (long)n, rc);
        ck_assert(rc == 0 || !m);
        store_messages_close(m);
    }
}
END_TEST

static int64_t pragma(sqlite3 *db, const char *name)
{
    char sql[64];
    sqlite3_stmt *s;
    snprintf(sql, sizeof(sql), "PRAGMA %s", name);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

static void assert_frugal_and_durable(sqlite3 *db)
{
    ck_assert_int_eq(pragma(db, "synchronous"), 2);
    ck_assert_int_eq(pragma(db, "foreign_keys"), 0);
    ck_assert_int_eq(pragma(db, "cache_size"), -1024);
    ck_assert_int_eq(pragma(db, "temp_store"), 2);
    ck_assert_int_eq(pragma(db, "mmap_size"), 0);
    ck_assert_int_eq(pragma(db, "wal_autocheckpoint"), 0);
    ck_assert_int_eq(pragma(db, "journal_size_limit"), 4194304);
    ck_assert_int_gt(pragma(db, "busy_timeout"), 0);
    ck_assert_int_ge(pragma(db, "user_version"), 1);
    ck_assert_int_ne(pragma(db, "application_id"), 0);
}

/* Many small records, as a customer's absent ones are. */
START_TEST(test_cache_add_thousands_finds_each_and_forgets_the_oldest)
{
    struct store_cache cache = {0};
    char key[32];
    size_t have = 0, n = 20000;
    for (size_t i = 0; i < n; i++) {
        snprintf(key, sizeof(key), "user %zu", i);
        store_cache_add(&cache, i % 3, key, i % 2 == 0, bytes_text(i % 2 == 0 ? key : ""));
    }
    for (size_t i = 0; i < n; i++) {
        snprintf(key, sizeof(key), "user %zu", i);
        const struct store_record *r = store_cache_find(&cache, i % 3, key);
        ck_assert(r || have == 0); /* those that are there are the last ones */
        ck_assert_ptr_null(store_cache_find(&cache, i % 3 + 1, key));
        if (!r)
            continue;
        have++;
        ck_assert_uint_eq(r->exists, i % 2 == 0);
        testing_assert_bytes(buf_bytes(&r->value), bytes_text(r->exists ? key : ""), key);
    }
    ck_assert_uint_gt(have, 1000);
    ck_assert_uint_lt(have, n);
    ck_assert_uint_eq(cache.count, have);
    ck_assert_uint_ge(cache.bucket_count, have);
    ck_assert_uint_le(cache.known.bytes, STORE_CACHE_BYTES);
    store_cache_clear(&cache);
    ck_assert_ptr_null(store_cache_find(&cache, 0, "user 1"));
    ck_assert_ptr_null(cache.buckets);
}
END_TEST

START_TEST(test_open_settings_durable_and_frugal)
{
    const char *dir = testing_dir();
    struct store_keys *k = keys_at(path_of(dir, "keys.db"));
    assert_frugal_and_durable(newest_handle);
    ck_assert_int_eq(pragma(newest_handle, "secure_delete"), 1);
    store_keys_close(k);
    struct store_messages *m = messages_at(path_of(dir, "messages.db"));
    assert_frugal_and_durable(newest_handle);
    store_messages_close(m);
}
END_TEST

/* ---- keys ------------------------------------------------------------------------------- */

START_TEST(test_keys_values_survive_reopening)
{
    const char *path = path_of(testing_dir(), "keys.db");
    struct store_keys *k = keys_at(path);
    ck_assert(!store_keys_dirty(k));
    ck_assert_int_eq(put(k, DEVICE, "a", "1"), 0);
    ck_assert_int_eq(put(k, SESSION, "a", "2"), 0);
    ck_assert_int_eq(put(k, SESSION, "a", "3"), 0);
    ck_assert_int_eq(store_keys_put(k, SESSION, "empty", BYTES_NONE), 0);
    ck_assert(store_keys_dirty(k));
    assert_value(k, SESSION, "a", "3");
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    ck_assert(!store_keys_dirty(k));
    ck_assert_int_eq(put(k, SESSION, "lost", "4"), 0);
    store_keys_close(k);
    k = keys_at(path);
    assert_value(k, DEVICE, "a", "1");
    assert_value(k, SESSION, "a", "3");
    assert_value(k, SESSION, "empty", "");
    assert_value(k, SESSION, "lost", NULL);
    ck_assert_int_eq(store_keys_del(k, SESSION, "a"), 0);
    ck_assert_int_eq(store_keys_del(k, SESSION, "a"), 0);
    assert_value(k, SESSION, "a", NULL);
    assert_value(k, DEVICE, "a", "1");
    store_keys_rollback(k);
    assert_value(k, SESSION, "a", "3");
    store_keys_close(k);
}
END_TEST

START_TEST(test_keys_put_many_times_is_written_once)
{
    struct store_keys *k = keys_at(path_of(testing_dir(), "keys.db"));
    char value[16];
    put(k, SESSION, "peer", "before");
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    store_vfs_clear();
    put(k, SESSION, "peer", "once");
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    size_t once = store_vfs.writes;
    store_vfs_clear();
    for (int i = 0; i < 50; i++) {
        snprintf(value, sizeof(value), "%d", i);
        put(k, SESSION, "peer", value);
        assert_value(k, SESSION, "peer", value);
        put(k, DEVICE, "new", value);
        store_keys_del(k, DEVICE, "new");
    }
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    ck_assert_uint_eq(store_vfs.writes, once);
    store_keys_close(k);
}
END_TEST

/* Many times what is kept in memory, changed while it is walked. */
START_TEST(test_keys_more_records_than_are_kept_are_all_there)
{
    const char *path = path_of(testing_dir(), "keys.db");
    struct store_keys *k = keys_at(path);
    static char value[2000];
    char key[16];
    AUTO_BUF struct buf at, got;
    buf_init(&at, 100);
    buf_init(&got, 3000);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "%04d", i);
        memset(value, 'a' + i % 26, sizeof(value));
        ck_assert_int_eq(store_keys_put(k, SESSION, key, BYTES_ARRAY(value)), 0);
        if (i % 100 == 50)
            ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    }
    store_keys_del_prefix(k, SESSION, "09");
    int n = 0;
    while (store_keys_next(k, SESSION, buf_text(&at), &at, &got) == 1) {
        ck_assert_uint_eq(got.n, sizeof(value));
        ck_assert_int_eq(got.p[0], 'a' + n % 26);
        put(k, SESSION, buf_text(&at), "short");
        n++;
    }
    ck_assert_int_eq(n, 900);
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    store_keys_close(k);
    k = keys_at(path);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "%04d", i);
        assert_value(k, SESSION, key, i < 900 ? "short" : NULL);
    }
    store_keys_close(k);
}
END_TEST

START_TEST(test_keys_rollback_forgets_what_was_put_and_deleted)
{
    struct store_keys *k = keys_at(path_of(testing_dir(), "keys.db"));
    put(k, SESSION, "a", "1");
    put(k, SESSION, "b", "1");
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    ck_assert(!store_keys_dirty(k));
    put(k, SESSION, "a", "2");
    store_keys_del(k, SESSION, "b");
    put(k, SESSION, "c", "2");
    ck_assert(store_keys_dirty(k));
    store_keys_rest(k); /* forgets nothing that waits */
    assert_value(k, SESSION, "a", "2");
    assert_value(k, SESSION, "b", NULL);
    store_keys_rollback(k);
    ck_assert(!store_keys_dirty(k));
    assert_value(k, SESSION, "a", "1");
    assert_value(k, SESSION, "b", "1");
    assert_value(k, SESSION, "c", NULL);
    store_keys_close(k);
}
END_TEST

/* What waits is seen as if it were written: new, changed and deleted records. */
START_TEST(test_keys_next_walks_rows_and_what_waits)
{
    struct store_keys *k = keys_at(path_of(testing_dir(), "keys.db"));
    static const char *const want[] = {"a", "b", "d", "e"}, *const values[] = {"1", "2", "1", "2"};
    AUTO_BUF struct buf at, got;
    buf_init(&at, 100);
    buf_init(&got, 100);
    put(k, SESSION, "a", "1");
    put(k, SESSION, "b", "1");
    put(k, SESSION, "c", "1");
    put(k, SESSION, "d", "1");
    put(k, SESSION, "f", "1");
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    put(k, SESSION, "b", "2");
    store_keys_del(k, SESSION, "c");
    put(k, SESSION, "e", "2");
    store_keys_del(k, SESSION, "f");
    put(k, SESSION, "g", "2");
    store_keys_del(k, SESSION, "g");
    put(k, DEVICE, "bb", "other");
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        ck_assert_int_eq(store_keys_next(k, SESSION, buf_text(&at), &at, &got), 1);
        testing_assert_bytes(buf_bytes(&at), bytes_text(want[i]), "key");
        testing_assert_bytes(buf_bytes(&got), bytes_text(values[i]), "value");
    }
    ck_assert_int_eq(store_keys_next(k, SESSION, buf_text(&at), &at, NULL), 0);
    store_keys_close(k);
}
END_TEST

START_TEST(test_keys_get_full_buffer_says_limit)
{
    struct store_keys *k = keys_at(path_of(testing_dir(), "keys.db"));
    AUTO_BUF struct buf b;
    buf_init(&b, 5);
    put(k, DEVICE, "a", "123");
    ck_assert_int_eq(store_keys_get(k, DEVICE, "a", &b), 1);
    ck_assert_int_eq(store_keys_get(k, DEVICE, "a", &b), ERR_LIMIT);
    testing_assert_bytes(buf_bytes(&b), BYTES("123", 3), "first value only");
    store_keys_close(k);
}
END_TEST

START_TEST(test_keys_del_prefix_takes_only_what_begins_so)
{
    struct store_keys *k = keys_at(path_of(testing_dir(), "keys.db"));
    static const char *const names[] = {"49:0", "49:1",     "491:0",       "4",
                                        "49",   "\xff\xff", "\xff\xff\x01"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        put(k, SESSION, names[i], "x");
    put(k, DEVICE, "49:0", "x");
    ck_assert_int_eq(store_keys_del_prefix(k, SESSION, "49:"), 0);
    assert_value(k, SESSION, "49:0", NULL);
    assert_value(k, SESSION, "49:1", NULL);
    assert_value(k, SESSION, "491:0", "x");
    assert_value(k, SESSION, "49", "x");
    assert_value(k, DEVICE, "49:0", "x");
    ck_assert_int_eq(store_keys_del_prefix(k, SESSION, "\xff\xff"), 0);
    assert_value(k, SESSION, "\xff\xff\x01", NULL);
    assert_value(k, SESSION, "4", "x");
    ck_assert_int_eq(store_keys_del_prefix(k, SESSION, ""), 0);
    assert_value(k, SESSION, "4", NULL);
    assert_value(k, SESSION, "491:0", NULL);
    assert_value(k, DEVICE, "49:0", "x");
    store_keys_close(k);
}
END_TEST

START_TEST(test_keys_open_more_tables_adds_them)
{
    const char *path = path_of(testing_dir(), "keys.db");
    static const char *const more[] = {"device", "session", "retry"};
    struct store_keys *k = keys_at(path);
    put(k, SESSION, "a", "1");
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    store_keys_close(k);
    struct err err = {0};
    ck_assert_msg(store_keys_open(&k, path, more, 3, NULL, &err) == 0, "%s", err.text);
    assert_value(k, SESSION, "a", "1");
    ck_assert_int_eq(put(k, 2, "b", "2"), 0);
    assert_value(k, 2, "b", "2");
    store_keys_close(k);
}
END_TEST

static bool file_holds(const char *path, const char *word)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    char *all = err_calloc(1, 4 << 20);
    size_t n = fread(all, 1, 4 << 20, f);
    fclose(f);
    bool held = memmem(all, n, word, strlen(word)) != NULL;
    free(all);
    return held;
}

START_TEST(test_keys_deleted_secret_leaves_the_files)
{
    const char *path = path_of(testing_dir(), "keys.db");
    struct store_keys *k = keys_at(path);
    put(k, SESSION, "a", "a-secret-ratchet");
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    store_keys_close(k);
    ck_assert(file_holds(path, "a-secret-ratchet"));
    k = keys_at(path);
    ck_assert_int_eq(store_keys_del_prefix(k, SESSION, ""), 0);
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    store_keys_close(k);
    ck_assert(!file_holds(path, "a-secret-ratchet"));
    char wal[300];
    snprintf(wal, sizeof(wal), "%s-wal", path);
    ck_assert(!file_holds(wal, "a-secret-ratchet"));
}
END_TEST

/* ---- backup ----------------------------------------------------------------------------- */

START_TEST(test_backup_of_open_database_is_whole_and_without_ratchets)
{
    static const struct store_left_out left_out[] = {
        {.table = "session"}, {.table = "device", .key = "checked"}, {0}};
    const char *dir = testing_dir(), *from = path_of(dir, "keys.db"), *to = path_of(dir, "b.db");
    struct store_keys *k = keys_at(from);
    struct buf value = {.max = 100};
    struct err err = {0};
    store_keys_put(k, DEVICE, "identity", bytes_text("kept"));
    store_keys_put(k, DEVICE, "checked", bytes_text("left out"));
    store_keys_put(k, SESSION, "4915:0", bytes_text("a ratchet that must not come back"));
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    store_keys_put(k, DEVICE, "identity", bytes_text("not committed"));
    ck_assert_msg(store_backup(from, to, left_out, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(mode_of(to), 0600);
    ck_assert_int_eq(access(path_of(dir, "b.db-wal"), F_OK), -1);
    ck_assert_int_eq(store_backup(from, to, left_out, &err), ERR_EXISTS);
    store_keys_close(k);
    ck_assert(!file_holds(to, "a ratchet that must"));
    k = keys_at(to);
    ck_assert_int_eq(store_keys_get(k, DEVICE, "identity", &value), 1);
    ck_assert(bytes_is(buf_bytes(&value), "kept"));
    ck_assert_int_eq(store_keys_get(k, SESSION, "4915:0", &value), 0);
    ck_assert_int_eq(store_keys_get(k, DEVICE, "checked", &value), 0);
    buf_deinit(&value);
    store_keys_close(k);
}
END_TEST

START_TEST(test_backup_of_no_database_leaves_nothing)
{
    const char *dir = testing_dir(), *from = path_of(dir, "no.db"), *to = path_of(dir, "b.db");
    struct err err;
    ck_assert_int_eq(store_backup(from, to, NULL, &err), ERR_STORE);
    int fd = open(from, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_gt(write(fd, "this is no database, not at all, not even remotely ....", 50), 0);
    close(fd);
    ck_assert_int_eq(store_backup(from, to, NULL, &err), ERR_STORE);
    ck_assert_int_eq(access(to, F_OK), -1);
}
END_TEST

/* ---- syncs ------------------------------------------------------------------------------ */

START_TEST(test_keys_commit_costs_one_sync)
{
    struct store_keys *k = keys_at(path_of(testing_dir(), "keys.db"));
    put(k, DEVICE, "warm", "up"); /* the first commit to a new -wal also syncs its header */
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    store_vfs_clear();
    for (int i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", i);
        put(k, SESSION, key, "value");
        put(k, DEVICE, key, "value");
        ck_assert_uint_eq(store_vfs.syncs, (unsigned)i);
        ck_assert_int_eq(store_keys_commit(k, NULL), 0);
        ck_assert_uint_eq(store_vfs.syncs, (unsigned)i + 1);
    }
    store_keys_close(k);
}
END_TEST

START_TEST(test_keys_commit_without_change_costs_no_sync)
{
    struct store_keys *k = keys_at(path_of(testing_dir(), "keys.db"));
    static char large[9000];
    put(k, DEVICE, "a", "same");
    store_keys_put(k, SESSION, "a", BYTES_ARRAY(large));
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    store_vfs_clear();
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    put(k, DEVICE, "a", "same");
    store_keys_put(k, SESSION, "a", BYTES_ARRAY(large));
    store_keys_del(k, DEVICE, "absent");
    store_keys_del_prefix(k, SESSION, "absent");
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    ck_assert_uint_eq(store_vfs.syncs, 0);
    ck_assert_uint_eq(store_vfs.writes, 0);
    store_keys_close(k);
}
END_TEST

START_TEST(test_messages_commit_costs_one_sync)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    record(m, "a@lid", "warm-up");
    commit(m);
    store_vfs_clear();
    for (unsigned i = 0; i < 10; i++) {
        char id[16], answer[16];
        snprintf(id, sizeof(id), "I%u", i);
        snprintf(answer, sizeof(answer), "O%u", i);
        queue(m, "a@lid", answer, record(m, "a@lid", id));
        commit(m);
        ck_assert_uint_eq(store_vfs.syncs, i + 1);
    }
    commit(m);
    store_messages_set_read(m, bytes_text("unknown"), 1);
    commit(m);
    ck_assert_uint_eq(store_vfs.syncs, 10);
    store_messages_close(m);
}
END_TEST

START_TEST(test_messages_many_commits_wal_stays_small)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    char wal[300];
    snprintf(wal, sizeof(wal), "%s-wal", path);
    store_vfs_clear();
    for (int i = 0; i < 600; i++) {
        char id[16];
        snprintf(id, sizeof(id), "I%d", i);
        record(m, id, id);
        commit(m);
        store_messages_tend(m);
        struct stat st;
        ck_assert_int_eq(stat(wal, &st), 0);
        ck_assert_int_lt(st.st_size, 2300 * 1024);
    }
    /* one a commit, and for each checkpoint: the file, the -wal before it, the new -wal header */
    ck_assert_uint_ge(store_vfs.syncs, 600 + 3);
    ck_assert_uint_lt(store_vfs.syncs, 600 + 3 * 14);
    store_messages_close(m);
}
END_TEST

START_TEST(test_messages_commit_makes_no_checkpoint)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    record(m, "warm", "up");
    commit(m);
    store_vfs_clear();
    for (unsigned i = 0; i < 300; i++) { /* far more pages than a checkpoint waits for */
        char id[16];
        snprintf(id, sizeof(id), "I%u", i);
        record(m, id, id);
        commit(m);
        ck_assert_uint_eq(store_vfs.syncs, i + 1);
    }
    record(m, "open", "group");
    store_messages_tend(m);
    ck_assert_uint_eq(store_vfs.syncs, 300);
    commit(m);
    store_messages_tend(m);
    ck_assert_uint_eq(store_vfs.syncs, 303);
    store_messages_tend(m);
    ck_assert_uint_eq(store_vfs.syncs, 303);
    store_messages_close(m);
}
END_TEST

/* ---- faults ----------------------------------------------------------------------------- */

#define FAULT_VALUE_BYTES 9000 /* overflow pages */

/* A group of three writes that stand or fall together; the result of its commit. */
static int keys_group(struct store_keys *k, char mark, struct err *err)
{
    char value[FAULT_VALUE_BYTES];
    memset(value, mark, sizeof(value));
    int rc = store_keys_put(k, SESSION, "ratchet", BYTES_ARRAY(value));
    int rc2 = store_keys_del(k, DEVICE, "prekey");
    int rc3 = store_keys_put(k, DEVICE, "other", BYTES(&mark, 1));
    int done = store_keys_commit(k, err);
    if (rc < 0 || rc2 < 0 || rc3 < 0)
        ck_assert_int_eq(done, ERR_STORE);
    return done;
}

static void assert_group(struct store_keys *k, char mark, bool prekey)
{
    char value[FAULT_VALUE_BYTES], one[2] = {mark, '\0'};
    AUTO_BUF struct buf b;
    memset(value, mark, sizeof(value));
    buf_init(&b, sizeof(value));
    ck_assert_int_eq(store_keys_get(k, SESSION, "ratchet", &b), 1);
    testing_assert_bytes(buf_bytes(&b), BYTES_ARRAY(value), "ratchet");
    assert_value(k, DEVICE, "other", one);
    assert_value(k, DEVICE, "prekey", prekey ? "p" : NULL);
}

static void arm(long write, long sync, int code, int torn)
{
    store_vfs_clear();
    store_vfs.fail_write = write;
    store_vfs.fail_sync = sync;
    store_vfs.code = code;
    store_vfs.torn = torn;
}

/* Every write, or sync, of one commit fails in turn, until one commit gets through. */
static int walk_faults(bool at_sync, int code, int torn, bool lasting)
{
    const char *path = path_of(testing_dir(), "keys.db");
    struct store_keys *k = keys_at(path);
    int failures = 0;
    for (long n = 1;; n++) {
        put(k, DEVICE, "prekey", "p");
        ck_assert_int_eq(keys_group(k, 'A', NULL), 0);
        put(k, DEVICE, "prekey", "p");
        ck_assert_int_eq(store_keys_commit(k, NULL), 0);
        struct err err = {0};
        arm(at_sync ? 0 : n, at_sync ? n : 0, code, torn);
        store_vfs.lasting = lasting;
        int rc = keys_group(k, 'B', &err);
        long left = at_sync ? store_vfs.fail_sync : store_vfs.fail_write;
        if (rc == 0) {
            /* only a checkpoint may fail behind the caller's back */
            assert_group(k, 'B', false);
            store_vfs_clear();
            if (left >= 1 && !lasting)
                break;
            if (lasting && failures > 0)
                break;
            continue;
        }
        failures++;
        ck_assert_int_eq(rc, ERR_STORE);
        ck_assert_ptr_nonnull(strstr(err.text, path));
        ck_assert_ptr_nonnull(strstr(err.text, code == SQLITE_FULL ? "full" : "I/O error"));
        ck_assert(!store_keys_dirty(k));
        if (lasting) /* and again while it lasts, without harm */
            ck_assert_int_eq(keys_group(k, 'C', NULL), ERR_STORE);
        assert_group(k, 'A', true);
        store_vfs_clear();
        ck_assert_int_eq(keys_group(k, 'D', NULL), 0);
        assert_group(k, 'D', false);
        if (n % 3 == 0) {
            store_keys_close(k);
            assert_whole(path);
            k = keys_at(path);
            assert_group(k, 'D', false);
        }
    }
    store_vfs_clear();
    store_keys_close(k);
    assert_whole(path);
    return failures;
}

/* ---- what is under SQLite ---------------------------------------------------------------- */

START_TEST(test_commit_is_one_write)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    record(m, "a@lid", "I1");
    commit(m);
    store_vfs_clear();
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof(id), "Q%d", i);
        queue(m, "a@lid", id, 0);
    }
    commit(m);
    ck_assert_uint_eq(store_vfs.writes, 1);
    ck_assert_uint_eq(store_vfs.syncs, 1);
    store_messages_close(m);
}
END_TEST

/* More than the page cache holds: pages leave before the commit, and are read again in it. */
START_TEST(test_commit_large_group_reads_what_has_not_left)
{
    const char *path = path_of(testing_dir(), "keys.db");
    struct store_keys *k = keys_at(path);
    char value[60000];
    memset(value, 'x', sizeof(value));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            char key[16];
            snprintf(key, sizeof(key), "%d", i);
            memset(value, 'a' + (i + round) % 26, 100);
            ck_assert_int_eq(store_keys_put(k, SESSION, key, BYTES_ARRAY(value)), 0);
        }
        ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    }
    store_keys_close(k);
    assert_whole(path);
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM session WHERE length(value) = 60000"
                                      " AND substr(value, 1, 1) ="
                                      " CAST(char(97 + (key + 2) % 26) AS BLOB)"),
                     100);
}
END_TEST

static sqlite3_file *wal_at(const char *path)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(store_wal_vfs());
    sqlite3_file *f = err_calloc(1, (size_t)vfs->szOsFile);
    ck_assert_int_eq(vfs->xOpen(vfs, path, f,
                                SQLITE_OPEN_WAL | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                     SQLITE_OK);
    return f;
}

static void put_at(sqlite3_file *f, const char *text, sqlite3_int64 at)
{
    ck_assert_int_eq(f->pMethods->xWrite(f, text, (int)strlen(text), at), SQLITE_OK);
}

static void assert_file(sqlite3_file *f, const char *want)
{
    char got[64] = "";
    sqlite3_int64 size;
    ck_assert_int_eq(f->pMethods->xFileSize(f, &size), SQLITE_OK);
    ck_assert_int_eq(size, (sqlite3_int64)strlen(want));
    ck_assert_int_eq(f->pMethods->xRead(f, got, (int)size, 0), SQLITE_OK);
    ck_assert_str_eq(got, want);
}

START_TEST(test_wal_file_is_what_was_written_in_any_order)
{
    const char *dir = testing_dir();
    sql_run(path_of(dir, "x.db"), "CREATE TABLE x(y)"); /* whose mode it takes */
    sqlite3_file *f = wal_at(path_of(dir, "x.db-wal"));
    store_vfs_clear();
    put_at(f, "abc", 0);
    put_at(f, "def", 3);
    ck_assert_uint_eq(store_vfs.writes, 0);
    put_at(f, "B", 1); /* over what has not left */
    ck_assert_uint_eq(store_vfs.writes, 1);
    assert_file(f, "aBcdef");
    ck_assert_uint_eq(store_vfs.writes, 2);
    put_at(f, "ghi", 6);
    ck_assert_int_eq(f->pMethods->xTruncate(f, 7), SQLITE_OK);
    assert_file(f, "aBcdefg");
    arm(1, 0, SQLITE_FULL, 0);
    put_at(f, "h", 7);
    ck_assert_int_eq(f->pMethods->xSync(f, SQLITE_SYNC_NORMAL), SQLITE_FULL);
    ck_assert_int_eq(f->pMethods->xSync(f, SQLITE_SYNC_NORMAL), SQLITE_OK);
    assert_file(f, "aBcdefg");
    put_at(f, "H", 7);
    ck_assert_int_eq(f->pMethods->xClose(f), SQLITE_OK);
    free(f);
}
END_TEST

START_TEST(test_memory_small_block_is_at_hand_and_bounded)
{
    enum { MANY = 1000 };
    static void *blocks[MANY];
    setup();
    store_memory_rest();
    void *p = sqlite3_malloc(600);
    sqlite3_free(p);
    void *again = sqlite3_malloc(590); /* of the same class */
    ck_assert_ptr_eq(again, p);
    ck_assert_uint_ge(sqlite3_msize(again), 600);
    sqlite3_free(again);
    for (int i = 0; i < MANY; i++)
        memset(blocks[i] = sqlite3_malloc(1 + i * 2), i, 1 + (size_t)i * 2);
    for (int i = 0; i < MANY; i++)
        sqlite3_free(blocks[i]);
    size_t kept = store_memory_rest();
    ck_assert_uint_gt(kept, STORE_MEMORY_KEPT_BYTES / 2);
    ck_assert_uint_le(kept, STORE_MEMORY_KEPT_BYTES);
    ck_assert_uint_eq(store_memory_rest(), 0);
}
END_TEST

START_TEST(test_keys_commit_disk_full_rolls_back_and_recovers)
{
    for (int torn = 0; torn < 16; torn += 3) { /* a commit is one write */
        ck_assert_int_ge(walk_faults(false, SQLITE_FULL, torn, false), 1);
        ck_assert_int_ge(walk_faults(false, SQLITE_FULL, torn, true), 1);
    }
}
END_TEST

START_TEST(test_keys_commit_io_error_rolls_back_and_recovers)
{
    for (int torn = 0; torn < 16; torn += 3)
        ck_assert_int_ge(walk_faults(false, SQLITE_IOERR_WRITE, torn, false), 1);
}
END_TEST

START_TEST(test_keys_commit_failing_sync_rolls_back_and_recovers)
{
    ck_assert_int_ge(walk_faults(true, SQLITE_IOERR_FSYNC, 0, false), 1);
    ck_assert_int_ge(walk_faults(true, SQLITE_IOERR_FSYNC, 0, true), 1);
}
END_TEST

/* More than the page cache holds: SQLite writes before the commit, and gives up the transaction by
 * itself when that fails. Nothing after it may slip into a commit of its own. */
START_TEST(test_keys_put_failing_in_mid_group_spoils_the_group)
{
    const char *path = path_of(testing_dir(), "keys.db");
    struct store_keys *k = keys_at(path);
    static char big[200000];
    put(k, DEVICE, "before", "1");
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    arm(1, 0, SQLITE_FULL, false);
    int rc = 0, i;
    for (i = 0; rc == 0 && i < 50; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", i);
        rc = store_keys_put(k, SESSION, key, BYTES_ARRAY(big));
    }
    ck_assert_int_eq(rc, ERR_STORE);
    ck_assert_ptr_nonnull(strstr(store_keys_error(k), "full"));
    AUTO_BUF struct buf b;
    buf_init(&b, 100);
    ck_assert_int_eq(put(k, DEVICE, "after", "2"), ERR_STORE);
    ck_assert_int_eq(store_keys_get(k, DEVICE, "before", &b), ERR_STORE);
    ck_assert(store_keys_dirty(k));
    struct err err = {0};
    ck_assert_int_eq(store_keys_commit(k, &err), ERR_STORE);
    ck_assert_ptr_nonnull(strstr(err.text, "full"));
    assert_value(k, DEVICE, "before", "1");
    assert_value(k, DEVICE, "after", NULL);
    assert_value(k, SESSION, "0", NULL);
    ck_assert_int_eq(put(k, DEVICE, "after", "3"), 0);
    ck_assert_int_eq(store_keys_commit(k, &err), 0);
    assert_value(k, DEVICE, "after", "3");
    store_keys_close(k);
    assert_whole(path);
}
END_TEST

START_TEST(test_keys_put_another_writer_says_locked)
{
    const char *path = path_of(testing_dir(), "keys.db");
    struct store_keys *k = keys_at(path);
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(store_keys_del_prefix(k, DEVICE, "a"), ERR_STORE);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    /* the first write is lost, so the second must not be committed without it */
    ck_assert_int_eq(put(k, DEVICE, "b", "1"), ERR_STORE);
    struct err err = {0};
    ck_assert_int_eq(store_keys_commit(k, &err), ERR_STORE);
    ck_assert_ptr_nonnull(strstr(err.text, "locked"));
    ck_assert_int_eq(put(k, DEVICE, "b", "1"), 0);
    ck_assert_int_eq(store_keys_commit(k, &err), 0);
    sqlite3_close(db);
    store_keys_close(k);
}
END_TEST

START_TEST(test_keys_commit_another_writer_says_locked)
{
    const char *path = path_of(testing_dir(), "keys.db");
    struct store_keys *k = keys_at(path);
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(put(k, DEVICE, "a", "1"), 0);
    struct err err = {0};
    ck_assert_int_eq(store_keys_commit(k, &err), ERR_STORE);
    ck_assert_ptr_nonnull(strstr(err.text, "locked"));
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    ck_assert(!store_keys_dirty(k));
    assert_value(k, DEVICE, "a", NULL);
    sqlite3_close(db);
    store_keys_close(k);
}
END_TEST

START_TEST(test_messages_fault_at_every_write_keeps_what_was_committed)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    int64_t committed = 0;
    int failures = 0;
    for (long n = 1; n < 400; n++) {
        char in_id[32], out_id[32];
        snprintf(in_id, sizeof(in_id), "I%ld", n);
        snprintf(out_id, sizeof(out_id), "O%ld", n);
        arm(1 + n % 3, 0, n % 2 ? SQLITE_FULL : SQLITE_IOERR_WRITE, (int)(n % 16));
        int64_t id = record(m, "a@lid", in_id);
        queue(m, "a@lid", out_id, id);
        struct err err;
        int rc = store_messages_commit(m, &err);
        store_vfs_clear();
        committed += rc == 0 ? 2 : 0;
        failures += rc != 0;
        ck_assert_int_eq(store_messages_count_queued(m), committed / 2);
    }
    ck_assert_int_gt(failures, 100);
    ck_assert_int_gt(committed, 100);
    store_messages_close(m);
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM messages"), committed);
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM messages WHERE reply_to NOT NULL"),
                     committed / 2);
    assert_whole(path);
}
END_TEST

/* ---- death ------------------------------------------------------------------------------ */

static void write_until_killed(const char *dir, int to, int64_t from)
{
    struct store_messages *m = messages_at(path_of(dir, "messages.db"));
    struct store_keys *k = keys_at(path_of(dir, "keys.db"));
    for (int64_t n = from;; n++) {
        char id[24];
        snprintf(id, sizeof(id), "M%lld", (long long)n);
        queue(m, "b@lid", id, record(m, "a@lid", id));
        if (store_messages_commit(m, NULL) != 0 || put(k, SESSION, "last", id) != 0 ||
            store_keys_commit(k, NULL) != 0 || write(to, &n, sizeof(n)) != sizeof(n))
            _exit(1);
    }
}

static int64_t key_number(const char *dir)
{
    struct store_keys *k = keys_at(path_of(dir, "keys.db"));
    AUTO_BUF struct buf b;
    buf_init(&b, 100);
    int rc = store_keys_get(k, SESSION, "last", &b);
    store_keys_close(k);
    return rc == 1 ? strtoll(buf_text(&b) + 1, NULL, 10) : 0;
}

START_TEST(test_commit_killed_at_any_moment_loses_nothing_reported)
{
    const char *dir = testing_dir(), *path = path_of(dir, "messages.db");
    unsigned seed = 20240607;
    int64_t reported = 0;
    for (int round = 0; round < 20; round++) {
        int ends[2];
        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        int64_t from = round == 0 ? 1 : sql_number(path, "SELECT count(*) / 2 + 1 FROM messages");
        pid_t pid = fork();
        if (pid == 0)
            write_until_killed(dir, ends[1], from);
        close(ends[1]);
        int64_t n;
        ck_assert_int_eq(read(ends[0], &n, sizeof(n)), sizeof(n));
        struct timespec nap = {.tv_nsec = (long)(rand_r(&seed) % 40000) * 1000};
        nanosleep(&nap, NULL);
        kill(pid, SIGKILL);
        do
            reported = n;
        while (read(ends[0], &n, sizeof(n)) == sizeof(n));
        close(ends[0]);
        int status;
        waitpid(pid, &status, 0);
        ck_assert(WIFSIGNALED(status));
        int64_t key = key_number(dir);
        int64_t rows = sql_number(path, "SELECT count(*) FROM messages");
        ck_assert_int_ge(rows, 2 * reported);
        ck_assert_int_eq(rows % 2, 0);
        ck_assert_int_ge(key, reported);
        ck_assert_int_le(key, rows / 2); /* messages first, keys second */
        assert_whole(path);
        assert_whole(path_of(dir, "keys.db"));
    }
    ck_assert_int_gt(reported, 20);
}
END_TEST

START_TEST(test_commit_power_cut_at_any_moment_loses_nothing_committed)
{
    const char *dir = testing_dir(), *image = testing_dir(), *after = testing_dir();
    unsigned seed = 7;
    store_vfs.watched = dir;
    store_vfs.image = image;
    struct store_messages *m = messages_at(path_of(dir, "messages.db"));
    store_vfs_synced(path_of(dir, "messages.db")); /* SQLite did not see it made */
    for (int i = 1; i <= 250; i++) {
        char id[16];
        snprintf(id, sizeof(id), "M%d", i);
        record(m, id, id);
        if (i % 2) /* in the middle of a group */
            store_vfs_power_cut("messages.db", after, &seed);
        int want = i - 1;
        if (i % 2 == 0) {
            commit(m);
            if (i % 4 == 0)
                store_messages_tend(m); /* some of them checkpoints */
            store_vfs_power_cut("messages.db", after, &seed);
            want = i;
        }
        const char *path = path_of(after, "messages.db");
        struct store_messages *left = messages_at(path);
        struct store_totals t;
        ck_assert_int_eq(store_messages_totals(left, &t), 0);
        ck_assert_int_eq(t.received, want - want % 2);
        store_messages_close(left);
        ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM messages"), want - want % 2);
        assert_whole(path);
    }
    store_messages_close(m);
    store_vfs.watched = NULL;
}
END_TEST

/* ---- a database that was just made -------------------------------------------------------- */

static struct bytes content_of(const char *path)
{
    static struct buf file;
    buf_deinit(&file);
    buf_init(&file, 1 << 24);
    uint8_t chunk[4096];
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f)) > 0;)
        ck_assert_int_eq(buf_append(&file, BYTES(chunk, n)), 0);
    fclose(f);
    return buf_bytes(&file);
}

static void write_content(const char *path, const uint8_t *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert(f && fwrite(p, 1, n, f) == n && fclose(f) == 0);
}

static bool has_blank(void)
{
    return store_blank_messages.size > 0; /* not where the build could not run anything */
}

START_TEST(test_open_new_file_is_what_sql_makes)
{
    const char *dir = testing_dir();
    struct store_db_spec by_sql = store_messages_spec;
    struct store_db *db;
    struct err err;
    by_sql.blank = NULL;
    ck_assert_int_eq(store_db_open(&db, path_of(dir, "sql.db"), &by_sql, false, &err), 0);
    store_db_close(db);
    store_vfs_clear();
    struct store_messages *m = messages_at(path_of(dir, "messages.db"));
    if (has_blank())
        ck_assert_uint_eq(store_vfs.syncs + store_vfs.writes, 0);
    store_messages_close(m);
    struct bytes made = content_of(path_of(dir, "messages.db"));
    AUTO_FREE uint8_t *kept = err_malloc(made.n);
    memcpy(kept, made.p, made.n);
    testing_assert_bytes(content_of(path_of(dir, "sql.db")), BYTES(kept, made.n), "blank");
    ck_assert_int_eq(access(path_of(dir, ".messages.db.new"), F_OK), -1);
}
END_TEST

START_TEST(test_keys_open_new_file_has_all_tables)
{
    const char *path = path_of(testing_dir(), "keys.db");
    struct store_keys *k;
    struct err err = {0};
    store_vfs_clear();
    ck_assert_int_eq(store_keys_open(&k, path, tables, TABLE_COUNT, &store_blank_keys, &err), 0);
    if (has_blank())
        ck_assert_uint_eq(store_vfs.syncs + store_vfs.writes, 0);
    put(k, DEVICE, "a", "b");
    ck_assert_int_eq(store_keys_commit(k, NULL), 0);
    store_keys_close(k);
    assert_whole(path);
}
END_TEST

START_TEST(test_open_what_a_crash_left_of_a_new_file_is_made_anew)
{
    const char *dir = testing_dir(), *path = path_of(dir, "messages.db");
    write_content(path_of(dir, ".messages.db.new"), (const uint8_t *)"half of it", 10);
    struct store_messages *m = messages_at(path);
    record(m, "a@lid", "A");
    commit(m);
    store_messages_close(m);
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM messages"), 1);
    ck_assert_int_eq(access(path_of(dir, ".messages.db.new"), F_OK), -1);
    assert_whole(path);
}
END_TEST

/* It is never taken for one to be made. */
START_TEST(test_open_damaged_file_that_was_used_is_left_as_it_is)
{
    const char *dir = testing_dir(), *path = path_of(dir, "messages.db");
    struct store_messages *m = messages_at(path);
    record(m, "a@lid", "A");
    commit(m);
    store_messages_close(m);
    struct bytes whole = content_of(path);
    AUTO_FREE uint8_t *used = err_malloc(whole.n);
    memcpy(used, whole.p, whole.n);
    for (size_t page = 1; page < whole.n / 4096; page++) {
        memset(used + page * 4096, 0, 4096);
        write_content(path, used, whole.n);
        struct err err;
        if (store_messages_open(&m, path, &err) == 0)
            store_messages_close(m);
        struct bytes after = content_of(path);
        testing_assert_bytes(BYTES(after.p, 4096), BYTES(used, 4096), "first page");
    }
}
END_TEST

/* ---- messages: in ----------------------------------------------------------------------- */

struct seen {
    int rows;
    struct store_row last;
    char text[64], status[16], kind[16];
};

static int see(void *ctx, const struct store_row *r)
{
    struct seen *s = ctx;
    s->rows++;
    s->last = *r;
    if (r->text.p)
        memcpy(s->text, r->text.p, r->text.n < 63 ? r->text.n : 63);
    snprintf(s->status, sizeof(s->status), "%s", r->status.p);
    snprintf(s->kind, sizeof(s->kind), "%s", r->kind.p ? (const char *)r->kind.p : "NULL");
    return 0;
}

static struct seen look(struct store_messages *m, int64_t id)
{
    struct seen s = {0};
    ck_assert_int_eq(
        store_messages_each(m, &(struct store_query){.after_id = id - 1, .limit = 1}, see, &s), 0);
    ck_assert_int_eq(s.last.id, id);
    return s;
}

START_TEST(test_record_same_message_twice_is_one_row)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_inbound in = {.wa_id = bytes_text("A"),
                               .chat = "1@lid",
                               .sender = "1@lid",
                               .kind = "text",
                               .text = bytes_text("one"),
                               .received_at = 5};
    int64_t first, again;
    ck_assert_int_eq(store_messages_record(m, &in, &first), 1);
    in.text = bytes_text("two");
    ck_assert_int_eq(store_messages_record(m, &in, &again), 0);
    ck_assert_int_eq(first, again);
    ck_assert_str_eq(look(m, first).text, "one");
    in.sender = "2@lid"; /* ids are unique per sender only */
    ck_assert_int_eq(store_messages_record(m, &in, &again), 1);
    ck_assert_int_ne(first, again);
    in.chat = "9@g.us";
    ck_assert_int_eq(store_messages_record(m, &in, &again), 1);
    store_messages_close(m);
}
END_TEST

static struct store_change change_of(const char *sender, const char *text, int64_t at)
{
    return (struct store_change){.target_id = bytes_text("A"),
                                 .chat = "9@g.us",
                                 .sender = sender,
                                 .text = bytes_text(text),
                                 .at = at};
}

static int64_t record_in_group(struct store_messages *m)
{
    struct store_inbound in = {.wa_id = bytes_text("A"),
                               .chat = "9@g.us",
                               .sender = "1@lid",
                               .sender_pn = "491@s.whatsapp.net",
                               .kind = "text",
                               .text = bytes_text("one"),
                               .received_at = 5};
    int64_t id;
    ck_assert_int_eq(store_messages_record(m, &in, &id), 1);
    return id;
}

START_TEST(test_edit_author_alone_newest_wins)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    int64_t id = record_in_group(m);
    struct store_change by_other = change_of("2@lid", "forged", 10),
                        by_number = change_of("491@s.whatsapp.net", "two", 20),
                        late = change_of("1@lid", "older", 15);
    ck_assert_int_eq(store_messages_edit(m, &by_other), 0);
    ck_assert_str_eq(look(m, id).text, "one");
    ck_assert_int_eq(store_messages_edit(m, &by_number), 1);
    ck_assert_int_eq(store_messages_edit(m, &late), 0);
    ck_assert_str_eq(look(m, id).text, "two");
    by_number.target_id = bytes_text("B");
    ck_assert_int_eq(store_messages_edit(m, &by_number), 0);
    store_messages_close(m);
}
END_TEST

START_TEST(test_revoke_by_author_or_admin_drops_the_waiting_answer)
{
    for (int admin = 0; admin <= 1; admin++) {
        struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
        int64_t id = record_in_group(m), answer = queue(m, "9@g.us", "O1", id);
        struct store_change by_other = change_of("2@lid", NULL, 10),
                            wanted = change_of(admin ? "2@lid" : "1@lid", NULL, 11);
        ck_assert_int_eq(store_messages_revoke(m, &by_other), 0);
        ck_assert_str_eq(look(m, answer).status, "queued");
        wanted.any_author = admin;
        ck_assert_int_eq(store_messages_revoke(m, &wanted), 1);
        ck_assert_str_eq(look(m, answer).status, "dropped");
        ck_assert_str_eq(look(m, id).text, "one");
        ck_assert_int_eq(store_messages_count_queued(m), 0);
        ck_assert_int_eq(store_messages_revoke(m, &wanted), 0);
        struct store_change edit = change_of("1@lid", "after all", 12);
        ck_assert_int_eq(store_messages_edit(m, &edit), 0);
        store_messages_close(m);
    }
}
END_TEST

START_TEST(test_revoke_answer_that_left_stays)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    int64_t id = record_in_group(m), answer = queue(m, "9@g.us", "O1", id);
    struct store_change c = change_of("1@lid", NULL, 11);
    ck_assert_int_eq(store_messages_set_sending(m, answer, 6), 0);
    ck_assert_int_eq(store_messages_revoke(m, &c), 1);
    ck_assert_str_eq(look(m, answer).status, "sending");
    store_messages_close(m);
}
END_TEST

START_TEST(test_record_undecryptable_completed_keeps_id)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_inbound in = {.wa_id = bytes_text("A"),
                               .chat = "1@lid",
                               .sender = "1@lid",
                               .kind = "undecryptable",
                               .fault = "no session",
                               .received_at = 5};
    int64_t id, again;
    ck_assert_int_eq(store_messages_record(m, &in, &id), 1);
    ck_assert_str_eq(look(m, id).status, "undecryptable");
    ck_assert_int_eq(store_messages_record(m, &in, &again), 0);
    in.fault = NULL;
    in.kind = "image";
    in.text = bytes_text("content");
    in.received_at = 9;
    ck_assert_int_eq(store_messages_record(m, &in, &again), 1);
    ck_assert_int_eq(again, id);
    struct seen s = look(m, id);
    ck_assert_str_eq(s.status, "received");
    ck_assert_str_eq(s.kind, "image");
    ck_assert_str_eq(s.text, "content");
    ck_assert_int_eq(s.last.received_at, 9);
    ck_assert_int_eq(store_messages_record(m, &in, &again), 0);
    in.fault = "late failure"; /* content stays */
    ck_assert_int_eq(store_messages_record(m, &in, &again), 0);
    ck_assert_str_eq(look(m, id).status, "received");
    struct store_totals t;
    ck_assert_int_eq(store_messages_totals(m, &t), 0);
    ck_assert_int_eq(t.received, 1);
    ck_assert_int_eq(t.undecryptable, 1);
    ck_assert_int_eq(t.last_message_at, 9);
    store_messages_close(m);
}
END_TEST

START_TEST(test_record_other_address_of_same_sender_is_one_row)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_inbound in = {.wa_id = bytes_text("A"),
                               .chat = "49@s.whatsapp.net",
                               .chat_pn = "49@s.whatsapp.net",
                               .sender = "49@s.whatsapp.net",
                               .sender_pn = "49@s.whatsapp.net",
                               .fault = "no session"};
    int64_t first, id;
    ck_assert_int_eq(store_messages_record(m, &in, &first), 1);
    in.chat = in.chat_lid = in.sender = in.sender_lid = "77@lid";
    in.fault = NULL;
    ck_assert_int_eq(store_messages_record(m, &in, &id), 1);
    ck_assert_int_eq(id, first);
    in.chat_pn = in.sender_pn = NULL; /* by the LID learnt above */
    ck_assert_int_eq(store_messages_record(m, &in, &id), 0);
    ck_assert_int_eq(id, first);
    in.sender = in.sender_lid = "78@lid";
    ck_assert_int_eq(store_messages_record(m, &in, &id), 1);
    ck_assert_int_ne(id, first);
    store_messages_close(m);
}
END_TEST

START_TEST(test_record_text_with_nul_is_kept_whole)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_inbound in = {.wa_id = bytes_text("A"),
                               .chat = "1@lid",
                               .sender = "1@lid",
                               .sender_name = bytes_text("J\xc3\xbcrgen"),
                               .kind = "text",
                               .text = BYTES("a\0b\0", 4)};
    int64_t id;
    ck_assert_int_eq(store_messages_record(m, &in, &id), 1);
    struct seen s = look(m, id);
    ck_assert_uint_eq(s.last.text.n, 4);
    ck_assert_mem_eq(s.text, "a\0b\0", 4);
    struct store_outbound out = {
        .wa_id = "O", .chat = "1@lid", .target = "1@lid", .sender = OWN, .text = BYTES("x\0y", 3)};
    struct store_queued q;
    ck_assert_int_eq(store_messages_intend(m, &out, id, &id), 1);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    testing_assert_bytes(q.text, out.text, "queued text");
    store_messages_close(m);
}
END_TEST

START_TEST(test_record_without_identity_refused_without_harm)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_inbound in = {.chat = "1@lid", .sender = "1@lid", .kind = "text"};
    int64_t id;
    record(m, "1@lid", "A");
    ck_assert_int_eq(store_messages_record(m, &in, &id), ERR_INVALID);
    in.wa_id = bytes_text("B");
    in.sender = NULL;
    ck_assert_int_eq(store_messages_record(m, &in, &id), ERR_INVALID);
    commit(m);
    ck_assert_str_eq(look(m, 1).status, "received");
    store_messages_close(m);
}
END_TEST

/* ---- messages: the queue ---------------------------------------------------------------- */

START_TEST(test_intend_second_reply_or_same_outbox_name_is_the_first)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    int64_t in = record(m, "1@lid", "A"), reply = queue(m, "1@lid", "O1", in), id;
    struct store_outbound out = {.wa_id = "O2", .chat = "1@lid", .target = "1@lid", .sender = OWN};
    ck_assert_int_eq(store_messages_intend(m, &out, in, &id), 0);
    ck_assert_int_eq(id, reply);
    out.outbox_name = "order-17";
    ck_assert_int_eq(store_messages_intend(m, &out, 0, &id), 1);
    int64_t first = id;
    out.wa_id = "O3";
    ck_assert_int_eq(store_messages_intend(m, &out, 0, &id), 0);
    ck_assert_int_eq(id, first);
    out.outbox_name = NULL;
    out.wa_id = "O1";
    ck_assert_int_eq(store_messages_intend(m, &out, 0, &id), ERR_EXISTS);
    out.wa_id = "O4";
    ck_assert_int_eq(store_messages_intend(m, &out, 0, &id), 1);
    ck_assert_int_eq(store_messages_count_queued(m), 3);
    commit(m);
    store_messages_close(m);
}
END_TEST

/* ---- the outbox, and the guards ------------------------------------------------------------- */

static int64_t hold(struct store_messages *m, const char *name, const char *chat, int64_t due_at,
                    int64_t expires_at)
{
    char wa_id[32];
    snprintf(wa_id, sizeof(wa_id), "W%s", name);
    const struct store_outbound out = {.wa_id = wa_id,
                                       .chat = chat,
                                       .chat_pn = "49@s.whatsapp.net",
                                       .target = "49@s.whatsapp.net",
                                       .sender = OWN,
                                       .text = bytes_text("news"),
                                       .outbox_name = name,
                                       .created_at = 10,
                                       .held = true,
                                       .due_at = due_at,
                                       .expires_at = expires_at};
    int64_t id;
    ck_assert_int_eq(store_messages_intend(m, &out, 0, &id), 1);
    return id;
}

START_TEST(test_held_row_enters_the_queue_only_when_released)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_queued q;
    int64_t id, due, late = hold(m, "late", "a@lid", 90, 0), soon = hold(m, "soon", "a@lid", 20, 0);
    int64_t reply = queue(m, "a@lid", "R", 0);
    ck_assert_int_eq(store_messages_count_outbox(m), 2);
    ck_assert_int_eq(store_messages_count_queued_in(m, "a@lid"), 1);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_int_eq(q.id, reply); /* although it came last */
    ck_assert_int_eq(store_messages_set_dropped(m, reply, "x"), 0);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 0);
    ck_assert_int_eq(store_messages_first_held(m, &id, &due), 1);
    ck_assert_int_eq(id, soon);
    ck_assert_int_eq(due, 20);
    ck_assert_int_eq(store_messages_let_in(m, soon), 0);
    ck_assert_int_eq(store_messages_let_in(m, soon), ERR_STATE);
    ck_assert_int_eq(store_messages_let_in(m, late), 0);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_int_eq(q.id, soon);
    ck_assert_str_eq(q.outbox_name, "soon");
    ck_assert_int_eq(store_messages_next_queued(m, q.id, &q), 0); /* one chat, one at a time */
    ck_assert_int_eq(store_messages_first_held(m, &id, &due), 0);
    store_messages_close(m);
}
END_TEST

START_TEST(test_report_each_outcome_once_until_it_changes)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_report r;
    int64_t id = hold(m, "a", "a@lid", 1, 50), late = hold(m, "b", "b@lid", 1, 60);
    ck_assert_int_eq(store_messages_next_report(m, 0, &r), 0);
    ck_assert_int_eq(store_messages_expire(m, 49), 0);
    ck_assert_int_eq(store_messages_expire(m, 50), 1);
    ck_assert_int_eq(store_messages_next_report(m, 0, &r), 1);
    ck_assert_str_eq(r.outbox_name, "a");
    ck_assert_str_eq(r.status, "failed");
    ck_assert_str_eq(r.error, "expired");
    ck_assert_int_eq(r.id, id);
    ck_assert_int_eq(store_messages_reported(m, id), 0);
    ck_assert_int_eq(store_messages_next_report(m, 0, &r), 0);
    ck_assert_int_eq(store_messages_report_again(m, "a"), 1);
    ck_assert_int_eq(store_messages_report_again(m, "b"), 0); /* nothing to tell yet */
    ck_assert_int_eq(store_messages_reported(m, id), 0);
    ck_assert_int_eq(store_messages_let_in(m, late), 0);
    ck_assert_int_eq(store_messages_set_sending(m, late, 2), 0);
    ck_assert_int_eq(store_messages_set_sent(m, bytes_text("Wb"), 3000), 1);
    ck_assert_int_eq(store_messages_reported(m, late), 0);
    ck_assert_int_eq(store_messages_set_delivered(m, bytes_text("Wb"), 4000), 1);
    ck_assert_int_eq(store_messages_next_report(m, 0, &r), 1);
    ck_assert_str_eq(r.status, "delivered");
    ck_assert_int_eq(r.acked_at, 3000);
    ck_assert_int_eq(r.delivered_at, 4000);
    ck_assert_str_eq(r.chat_pn, "49@s.whatsapp.net");
    ck_assert_int_eq(store_messages_count_outbox(m), 0);
    store_messages_close(m);
}
END_TEST

START_TEST(test_guards_count_replies_that_left_only)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_guards g;
    int64_t in = record(m, "a@lid", "one"), id = queue(m, "a@lid", "A", in);
    int64_t other = record(m, "a@lid", "two"), kept = queue(m, "a@lid", "B", other);
    ck_assert_int_eq(store_messages_guards(m, "a@lid", 0, 10, &g), 0);
    ck_assert_int_eq(g.replies, 2);
    ck_assert_int_gt(g.last_reply_at, 0);
    ck_assert_int_eq(g.ping_pong_at, 0);
    ck_assert_int_eq(store_messages_set_dropped(m, kept, STORE_ERROR_PING_PONG), 0);
    ck_assert_int_eq(store_messages_replace_text(m, id, bytes_text("wait"), STORE_INTENT_WAIT), 0);
    ck_assert_int_eq(store_messages_guards(m, "a@lid", 0, 10, &g), 0);
    ck_assert_int_eq(g.replies, 1);
    ck_assert_int_gt(g.ping_pong_at, 0);
    ck_assert_int_gt(g.wait_at, 0);
    ck_assert_int_eq(store_messages_guards(m, "b@lid", 0, 10, &g), 0);
    ck_assert_int_eq(g.replies, 0);
    store_messages_close(m);
}
END_TEST

START_TEST(test_owner_wrote_only_later_words_of_the_owner)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    int64_t in = record(m, "a@lid", "question"), id;
    struct store_inbound own = {.wa_id = bytes_text("own"),
                                .chat = "a@lid",
                                .sender = OWN,
                                .from_me = true,
                                .kind = "reaction",
                                .received_at = 5};
    ck_assert_int_eq(store_messages_record(m, &own, &id), 1);
    ck_assert_int_eq(store_messages_owner_wrote(m, "a@lid", in), 0);
    own.wa_id = bytes_text("own2");
    own.kind = "text";
    ck_assert_int_eq(store_messages_record(m, &own, &id), 1);
    ck_assert_int_eq(store_messages_owner_wrote(m, "a@lid", in), 1);
    ck_assert_int_eq(store_messages_owner_wrote(m, "a@lid", id), 0);
    ck_assert_int_eq(store_messages_owner_wrote(m, "b@lid", 0), 0);
    store_messages_close(m);
}
END_TEST

START_TEST(test_next_queued_row_is_complete)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_inbound in = {.wa_id = bytes_text("A"),
                               .chat = "7@lid",
                               .chat_pn = "49@s.whatsapp.net",
                               .chat_lid = "7@lid",
                               .sender = "7@lid"};
    struct store_outbound out = {.wa_id = "O1",
                                 .chat = "7@lid",
                                 .target = "49@s.whatsapp.net",
                                 .sender = OWN,
                                 .text = bytes_text("hi"),
                                 .intent = "greeting",
                                 .created_at = 42};
    int64_t reply_to, id;
    struct store_queued q;
    ck_assert_int_eq(store_messages_record(m, &in, &reply_to), 1);
    ck_assert_int_eq(store_messages_intend(m, &out, reply_to, &id), 1);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_int_eq(q.id, id);
    ck_assert_int_eq(q.reply_to, reply_to);
    ck_assert_str_eq(q.wa_id, "O1");
    ck_assert_str_eq(q.chat, "7@lid");
    ck_assert_str_eq(q.target, "49@s.whatsapp.net");
    ck_assert_str_eq(q.quoted_wa_id, "A");
    ck_assert_int_eq(q.created_at, 42);
    ck_assert_int_eq(q.attempts, 0);
    ck_assert(!q.warning);
    ck_assert_int_eq(
        store_messages_replace_text(m, id, bytes_text("slow down"), STORE_INTENT_WARNING), 0);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert(q.warning);
    testing_assert_bytes(q.text, bytes_text("slow down"), "text");
    struct store_outbound plain = {
        .wa_id = "O2", .chat = "8@lid", .target = "8@lid", .sender = OWN, .quoted_id = "Q"};
    ck_assert_int_eq(store_messages_intend(m, &plain, 0, &id), 1);
    ck_assert_int_eq(store_messages_next_queued(m, q.id, &q), 1);
    ck_assert_ptr_null(q.text.p);
    ck_assert_str_eq(q.quoted_wa_id, "Q");
    ck_assert_int_eq(q.reply_to, 0);
    ck_assert_int_eq(store_messages_next_queued(m, q.id, &q), 0);
    store_messages_close(m);
}
END_TEST

START_TEST(test_next_queued_keeps_the_order_of_each_chat)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    int64_t a1 = queue(m, "a@lid", "A1", 0), a2 = queue(m, "a@lid", "A2", 0);
    int64_t b1 = queue(m, "b@lid", "B1", 0), a3 = queue(m, "a@lid", "A3", 0);
    struct store_queued q;
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_int_eq(q.id, a1);
    ck_assert_int_eq(store_messages_next_queued(m, a1, &q), 1);
    ck_assert_int_eq(q.id, b1); /* not a2: a1 goes first */
    ck_assert_int_eq(store_messages_next_queued(m, b1, &q), 0);
    ck_assert_int_eq(store_messages_set_sending(m, a2, 1), ERR_STATE);
    ck_assert_int_eq(store_messages_set_sending(m, a1, 1), 0);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_int_eq(q.id, b1);
    ck_assert_int_eq(store_messages_set_dropped(m, a2, "overflow"), 0);
    ck_assert_int_eq(store_messages_set_sent(m, bytes_text("A1"), 2), 1);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_int_eq(q.id, b1);
    ck_assert_int_eq(store_messages_next_queued(m, b1, &q), 1);
    ck_assert_int_eq(q.id, a3);
    ck_assert_int_eq(store_messages_count_queued_in(m, "a@lid"), 1);
    ck_assert_int_eq(store_messages_count_queued_in(m, "c@lid"), 0);
    ck_assert_int_eq(store_messages_count_queued(m), 2);
    store_messages_close(m);
}
END_TEST

START_TEST(test_give_up_old_replies_or_everything_that_waits)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_report r;
    int64_t a1 = queue(m, "a@lid", "A1", 0), a2 = queue(m, "a@lid", "A2", 0);
    int64_t held = hold(m, "later", "b@lid", 90, 0);
    ck_assert_int_eq(store_messages_set_sending(m, a1, 10), 0);
    ck_assert_int_eq(store_messages_give_up(m, 3000, false, "too_old"), 0);
    ck_assert_int_eq(store_messages_count_queued(m), 3);
    ck_assert_int_eq(store_messages_give_up(m, 3001, false, "too_old"), 2);
    ck_assert_str_eq(status_of(m, a1), "dropped");
    ck_assert_str_eq(status_of(m, a2), "dropped");
    ck_assert_str_eq(status_of(m, held), "queued");
    ck_assert_int_eq(store_messages_give_up(m, INT64_MAX, true, "account_changed"), 1);
    ck_assert_str_eq(status_of(m, held), "failed");
    ck_assert_int_eq(store_messages_next_report(m, 0, &r), 1);
    ck_assert_str_eq(r.error, "account_changed");
    ck_assert_int_eq(store_messages_count_queued(m), 0);
    ck_assert_int_eq(store_messages_count_outbox(m), 0);
    queue(m, "a@lid", "A3", 0); /* the chat's turn was given up with the rest */
    struct store_queued q;
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_str_eq(q.wa_id, "A3");
    store_messages_close(m);
}
END_TEST

START_TEST(test_requeue_same_ids_again_and_first)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    int64_t a1 = queue(m, "a@lid", "A1", 0), b1 = queue(m, "b@lid", "B1", 0);
    queue(m, "a@lid", "A2", 0);
    ck_assert_int_eq(store_messages_set_sending(m, a1, 10), 0);
    ck_assert_int_eq(store_messages_set_sending(m, b1, 11), 0);
    commit(m);
    store_messages_close(m);
    m = messages_at(path);
    struct store_queued q;
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 0);
    ck_assert_int_eq(store_messages_requeue(m), 2);
    ck_assert_int_eq(store_messages_requeue(m), 0);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_int_eq(q.id, a1);
    ck_assert_str_eq(q.wa_id, "A1");
    ck_assert_int_eq(q.attempts, 1);
    ck_assert_int_eq(store_messages_set_sending(m, a1, 12), 0);
    ck_assert_int_eq(store_messages_set_queued(m, a1), 0);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_int_eq(q.id, a1);
    ck_assert_int_eq(q.attempts, 2);
    /* it had left after all: not sent a third time */
    ck_assert_int_eq(store_messages_set_delivered(m, bytes_text("A1"), 13), 1);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_int_eq(q.id, b1);
    store_messages_close(m);
}
END_TEST

START_TEST(test_count_sent_since_counts_what_left)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    for (int i = 0; i < 10; i++) {
        char chat[16];
        snprintf(chat, sizeof(chat), "%d@lid", i);
        int64_t id = queue(m, chat, chat, 0);
        if (i % 5 == 4)
            store_messages_replace_text(m, id, bytes_text("wait"), STORE_INTENT_WARNING);
        if (i != 9)
            ck_assert_int_eq(store_messages_set_sending(m, id, 100 + i), 0);
    }
    ck_assert_int_eq(store_messages_count_sent_since(m, 0, true), 9);
    ck_assert_int_eq(store_messages_count_sent_since(m, 0, false), 8);
    ck_assert_int_eq(store_messages_count_sent_since(m, 103, false), 5);
    ck_assert_int_eq(store_messages_count_sent_since(m, 109, true), 0);
    ck_assert_int_eq(store_messages_set_sent(m, bytes_text("8@lid"), 500), 1);
    ck_assert_int_eq(store_messages_set_queued(m, 1), 0);
    ck_assert_int_eq(store_messages_count_sent_since(m, 0, true), 8);
    store_messages_close(m);
}
END_TEST

START_TEST(test_is_restricted_until_the_contact_writes)
{
    static const char *const errors[] = {"463: a stranger", "475: too many"};
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        char out[8], in[8], other[8], next[8];
        snprintf(out, sizeof(out), "O%zu", i);
        snprintf(other, sizeof(other), "P%zu", i);
        snprintf(next, sizeof(next), "N%zu", i);
        snprintf(in, sizeof(in), "I%zu", i);
        int64_t id = queue(m, "a@lid", out, 0), elsewhere = queue(m, "b@lid", next, 0);
        ck_assert_int_eq(store_messages_is_restricted(m, id), 0);
        ck_assert_int_eq(store_messages_set_sending(m, id, 5), 0);
        ck_assert_int_eq(store_messages_set_failed(m, bytes_text(out), errors[i]), 1);
        id = queue(m, "a@lid", other, 0);
        ck_assert_int_eq(store_messages_is_restricted(m, id), 1);
        ck_assert_int_eq(store_messages_is_restricted(m, elsewhere), 0);
        record(m, "a@lid", in);
        ck_assert_int_eq(store_messages_is_restricted(m, id), 0);
        ck_assert_int_eq(store_messages_set_sending(m, id, 5), 0);
        ck_assert_int_eq(store_messages_set_failed(m, bytes_text(other), "404: nobody"), 1);
        ck_assert_int_eq(store_messages_is_restricted(m, id), 0);
    }
    store_messages_close(m);
}
END_TEST

static int64_t record_history(struct store_messages *m, const char *wa_id, bool from_me, int64_t at,
                              int want)
{
    int64_t id;
    struct store_inbound in = {.wa_id = bytes_text(wa_id),
                               .chat = "a@lid",
                               .sender = from_me ? OWN : "a@lid",
                               .from_me = from_me,
                               .history = true,
                               .kind = "text",
                               .text = bytes_text("of old"),
                               .sent_at = at,
                               .received_at = at};
    ck_assert_int_eq(store_messages_record(m, &in, &id), want);
    return id;
}

START_TEST(test_record_history_counts_nowhere_and_no_guard_goes_by_it)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    struct store_turn turns[2];
    struct store_totals t;
    int64_t in = record(m, "a@lid", "question"), out = queue(m, "a@lid", "O1", in);
    ck_assert_int_eq(store_messages_set_sending(m, out, 5), 0);
    ck_assert_int_eq(store_messages_set_failed(m, bytes_text("O1"), "463: a stranger"), 1);
    out = queue(m, "a@lid", "O2", 0);
    record_history(m, "H1", false, 500, 1);
    record_history(m, "H2", true, 600, 1);
    ck_assert_int_eq(store_messages_is_restricted(m, out), 1);
    ck_assert_int_eq(store_messages_owner_wrote(m, "a@lid", in), 0);
    ck_assert_int_eq(store_messages_newest_in(m, "a@lid", 2, turns), 2);
    ck_assert(turns[0].out && turns[1].out);
    ck_assert_int_eq(store_messages_totals(m, &t), 0);
    ck_assert_int_eq(t.received, 1);
    ck_assert_int_eq(t.last_message_at, 2000);
    record_history(m, "question", false, 1000, 0); /* it came live */
    commit(m);
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM messages WHERE history = 1"), 2);
    store_messages_close(m);
}
END_TEST

START_TEST(test_record_history_completes_what_could_not_be_read)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    struct store_inbound in = {.wa_id = bytes_text("H1"),
                               .chat = "a@lid",
                               .sender = "a@lid",
                               .kind = "undecryptable",
                               .fault = "no session",
                               .sent_at = 400,
                               .received_at = 450};
    int64_t id;
    ck_assert_int_eq(store_messages_record(m, &in, &id), 1);
    ck_assert_int_eq(record_history(m, "H1", false, 400, 1), id);
    commit(m);
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM messages WHERE status = 'received'"
                                      " AND text = 'of old' AND history = 0"),
                     1);
    store_messages_close(m);
}
END_TEST

static int note_ids(void *ctx, const struct store_row *r)
{
    buf_printf(ctx, "%.*s ", (int)r->wa_id.n, (const char *)r->wa_id.p);
    return 0;
}

START_TEST(test_each_recent_is_by_the_time_it_was_received)
{
    const struct store_query newest = {.after_id = -1, .limit = 3, .recent = true};
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    AUTO_BUF struct buf ids = {.max = 100};
    record_history(m, "H0", false, 100, 1);
    record(m, "a@lid", "live"); /* received at 2000 */
    record_history(m, "H1", false, 2500, 1);
    record_history(m, "H2", true, 600, 1);
    ck_assert_int_eq(store_messages_each(m, &newest, note_ids, &ids), 0);
    ck_assert_str_eq(buf_text(&ids), "H2 live H1 ");
    store_messages_close(m);
}
END_TEST

/* The first message went to the number, since then the LID is known. */
START_TEST(test_is_restricted_under_the_other_name_of_the_chat)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    int64_t id = queue(m, "1@s.whatsapp.net", "O1", 0);
    ck_assert_int_eq(store_messages_set_sending(m, id, 5), 0);
    ck_assert_int_eq(store_messages_set_failed(m, bytes_text("O1"), "463: a stranger"), 1);
    const struct store_outbound out = {.wa_id = "O2",
                                       .chat = "a@lid",
                                       .chat_pn = "1@s.whatsapp.net",
                                       .chat_lid = "a@lid",
                                       .target = "a@lid",
                                       .sender = OWN,
                                       .text = bytes_text("again"),
                                       .created_at = 6000};
    ck_assert_int_eq(store_messages_intend(m, &out, 0, &id), 1);
    ck_assert_int_eq(store_messages_is_restricted(m, id), 1);
    record(m, "a@lid", "I1");
    ck_assert_int_eq(store_messages_is_restricted(m, id), 0);
    store_messages_close(m);
}
END_TEST

START_TEST(test_find_resend_leaves_out_old_and_failed_ones)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_queued q;
    int64_t id = queue(m, "a@lid", "O1", 0);
    ck_assert_int_eq(store_messages_find_resend(m, bytes_text("O1"), 0, &q), 0);
    ck_assert_int_eq(store_messages_set_sending(m, id, 5000), 0);
    ck_assert_int_eq(store_messages_find_resend(m, bytes_text("O1"), 5000, &q), 1);
    ck_assert_int_eq(store_messages_find_resend(m, bytes_text("O1"), 5001, &q), 0);
    ck_assert_int_eq(store_messages_set_failed(m, bytes_text("O1"), "404: nobody"), 1);
    ck_assert_int_eq(store_messages_find_resend(m, bytes_text("O1"), 0, &q), 0);
    store_messages_close(m);
}
END_TEST

START_TEST(test_record_undecryptable_again_takes_the_new_fault)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    struct store_inbound in = {.wa_id = bytes_text("I1"),
                               .chat = "a@lid",
                               .sender = "a@lid",
                               .kind = "undecryptable",
                               .fault = "bad MAC",
                               .received_at = 5};
    struct err err = {0};
    int64_t id;
    ck_assert_int_eq(store_messages_record(m, &in, &id), 1);
    in.fault = "bad MAC; given up";
    ck_assert_int_eq(store_messages_record(m, &in, &id), 0);
    ck_assert_int_eq(store_messages_commit(m, &err), 0);
    ck_assert_int_eq(
        sql_number(path, "SELECT count(*) FROM messages WHERE fault = 'bad MAC; given up'"), 1);
    store_messages_close(m);
}
END_TEST

START_TEST(test_find_sent_finds_only_what_left)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_queued q;
    record(m, "a@lid", "X");
    int64_t id = queue(m, "a@lid", "O1", 0);
    ck_assert_int_eq(store_messages_find_sent(m, bytes_text("X"), &q), 0);
    ck_assert_int_eq(store_messages_find_sent(m, bytes_text("O1"), &q), 0);
    store_messages_set_sending(m, id, 1);
    ck_assert_int_eq(store_messages_find_sent(m, bytes_text("O1"), &q), 1);
    store_messages_set_read(m, bytes_text("O1"), 2);
    ck_assert_int_eq(store_messages_find_sent(m, bytes_text("O1"), &q), 1);
    ck_assert_int_eq(q.id, id);
    testing_assert_bytes(q.text, bytes_text("answer"), "text");
    store_messages_close(m);
}
END_TEST

/* ---- messages: status ------------------------------------------------------------------- */

enum {
    TO_SENDING,
    TO_QUEUED,
    TO_DROPPED,
    TO_REPLACED,
    TO_SENT,
    TO_FAILED,
    TO_DELIVERED,
    TO_READ,
    MOVES
};

/* from, result of each move; NULL: refused. "again" is queued once more after it left. */
static const struct {
    const char *from;
    const char *to[MOVES];
} moves[] = {
    {"queued", {"sending", NULL, "dropped", "queued", NULL, "failed", NULL, NULL}},
    {"again", {"sending", NULL, "dropped", NULL, "sent", "failed", "delivered", "read"}},
    {"sending", {NULL, "queued", NULL, NULL, "sent", "failed", "delivered", "read"}},
    {"sent", {NULL, NULL, NULL, NULL, NULL, NULL, "delivered", "read"}},
    {"delivered", {NULL, NULL, NULL, NULL, NULL, NULL, NULL, "read"}},
    {"read", {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}},
    {"failed", {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}},
    {"dropped", {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}},
};

static bool move(struct store_messages *m, int64_t id, struct bytes wa_id, int to)
{
    int rc = ERR_INTERNAL;
    switch (to) {
    case TO_SENDING:
        rc = store_messages_set_sending(m, id, 50);
        break;
    case TO_QUEUED:
        rc = store_messages_set_queued(m, id);
        break;
    case TO_DROPPED:
        rc = store_messages_set_dropped(m, id, "why");
        break;
    case TO_REPLACED:
        rc = store_messages_replace_text(m, id, bytes_text("new"), "new");
        break;
    case TO_SENT:
        rc = store_messages_set_sent(m, wa_id, 51);
        break;
    case TO_FAILED:
        rc = store_messages_set_failed(m, wa_id, "why");
        break;
    case TO_DELIVERED:
        rc = store_messages_set_delivered(m, wa_id, 52);
        break;
    case TO_READ:
        rc = store_messages_set_read(m, wa_id, 53);
        break;
    }
    if (to <= TO_REPLACED) {
        ck_assert(rc == 0 || rc == ERR_STATE);
        return rc == 0;
    }
    ck_assert(rc == 0 || rc == 1);
    return rc == 1;
}

static void bring_to(struct store_messages *m, int64_t id, struct bytes wa_id, const char *from)
{
    if (strcmp(from, "queued") == 0)
        return;
    if (strcmp(from, "dropped") == 0) {
        ck_assert(move(m, id, wa_id, TO_DROPPED));
        return;
    }
    ck_assert(move(m, id, wa_id, TO_SENDING));
    if (strcmp(from, "again") == 0)
        ck_assert(move(m, id, wa_id, TO_QUEUED));
    if (strcmp(from, "sent") == 0)
        ck_assert(move(m, id, wa_id, TO_SENT));
    if (strcmp(from, "delivered") == 0)
        ck_assert(move(m, id, wa_id, TO_DELIVERED));
    if (strcmp(from, "read") == 0)
        ck_assert(move(m, id, wa_id, TO_READ));
    if (strcmp(from, "failed") == 0)
        ck_assert(move(m, id, wa_id, TO_FAILED));
}

START_TEST(test_status_every_move_from_every_status_never_goes_back)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    for (size_t i = 0; i < ARRAY_LEN(moves); i++)
        for (int to = 0; to < MOVES; to++) {
            char name[16], before[32];
            snprintf(name, sizeof(name), "%zu-%d", i, to);
            int64_t id = queue(m, name, name, 0);
            bring_to(m, id, bytes_text(name), moves[i].from);
            snprintf(before, sizeof(before), "%s", status_of(m, id));
            bool moved = move(m, id, bytes_text(name), to);
            const char *want = moves[i].to[to] ? moves[i].to[to] : before;
            ck_assert_msg(moved == (moves[i].to[to] != NULL), "%s, move %d", moves[i].from, to);
            ck_assert_msg(strcmp(status_of(m, id), want) == 0, "%s, move %d: %s, not %s",
                          moves[i].from, to, status_of(m, id), want);
        }
    store_messages_close(m);
}
END_TEST

START_TEST(test_status_wa_id_of_a_received_message_changes_nothing)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    int64_t id = record(m, "a@lid", "X");
    ck_assert_int_eq(store_messages_set_read(m, bytes_text("X"), 1), 0);
    ck_assert_int_eq(store_messages_set_failed(m, bytes_text("X"), "no"), 0);
    ck_assert_int_eq(store_messages_set_sending(m, id, 1), ERR_STATE);
    ck_assert_int_eq(store_messages_set_dropped(m, 12345, "no"), ERR_STATE);
    ck_assert_str_eq(status_of(m, id), "received");
    store_messages_close(m);
}
END_TEST

START_TEST(test_intend_that_leaves_at_once_is_under_way)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    struct store_outbound out = {.wa_id = "A1",
                                 .chat = "a@lid",
                                 .target = "a@lid",
                                 .sender = OWN,
                                 .created_at = 5,
                                 .sent_at = 6};
    struct store_queued q;
    int64_t id;
    ck_assert_int_eq(store_messages_intend(m, &out, record(m, "a@lid", "I1"), &id), 1);
    int64_t behind = queue(m, "a@lid", "A2", 0);
    commit(m);
    ck_assert_str_eq(status_of(m, id), "sending");
    ck_assert_int_eq(sql_number(path, "SELECT attempts = 1 AND sent_at = 6 AND turn = 1"
                                      " FROM messages WHERE wa_id = 'A1'"),
                     1);
    ck_assert_int_eq(store_messages_count_queued(m), 2);
    ck_assert_int_eq(store_messages_count_sent_since(m, 0, true), 1);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 0);
    /* the connection is lost before the server has it: it goes again, with the same id */
    ck_assert_int_eq(store_messages_requeue(m), 1);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_str_eq(q.wa_id, "A1");
    ck_assert_int_eq(q.attempts, 1);
    ck_assert_int_eq(store_messages_set_sending(m, id, 7), 0);
    ck_assert_int_eq(store_messages_set_sent(m, bytes_text("A1"), 8), 1);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_int_eq(q.id, behind);
    store_messages_close(m);
}
END_TEST

static int64_t leave_at_once(struct store_messages *m, const char *chat, const char *wa_id)
{
    const struct store_outbound out = {
        .wa_id = wa_id, .chat = chat, .target = chat, .sender = OWN, .created_at = 1, .sent_at = 2};
    int64_t id;
    ck_assert_int_eq(store_messages_intend(m, &out, 0, &id), 1);
    return id;
}

START_TEST(test_set_sent_what_left_a_moment_ago_is_as_the_database_says)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    int64_t id = leave_at_once(m, "a@lid", "A1");
    store_messages_rollback(m); /* never was, and its id is another's now */
    ck_assert_int_eq(leave_at_once(m, "b@lid", "B1"), id);
    commit(m);
    ck_assert_int_eq(store_messages_set_sent(m, bytes_text("A1"), 3), 0);
    ck_assert_int_eq(store_messages_set_delivered(m, bytes_text("B1"), 3), 1); /* it was faster */
    ck_assert_int_eq(store_messages_set_sent(m, bytes_text("B1"), 3), 0);
    id = leave_at_once(m, "b@lid", "B2");
    ck_assert_int_eq(store_messages_set_queued(m, id), 0);
    ck_assert_int_eq(store_messages_set_sent(m, bytes_text("B2"), 4), 1);
    ck_assert_int_eq(store_messages_set_sent(m, bytes_text("B2"), 5), 0);
    ck_assert_int_eq(store_messages_set_delivered(m, bytes_text("B2"), 5), 1);
    ck_assert_int_eq(store_messages_count_queued(m), 0);
    store_messages_close(m);
}
END_TEST

START_TEST(test_set_sent_more_than_is_known_by_heart_all_move)
{
    enum { MANY = 3 * STORE_LEFT_SLOTS };
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_totals t;
    char name[32];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "%d@lid", i);
        leave_at_once(m, name, name);
    }
    commit(m);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "%d@lid", i);
        ck_assert_int_eq(store_messages_set_sent(m, bytes_text(name), 3), 1);
        ck_assert_int_eq(store_messages_set_delivered(m, bytes_text(name), 4), 1);
    }
    ck_assert_int_eq(store_messages_totals(m, &t), 0);
    ck_assert_int_eq(t.sent, MANY);
    ck_assert_int_eq(t.delivered, MANY);
    ck_assert_int_eq(store_messages_count_queued(m), 0);
    store_messages_close(m);
}
END_TEST

/* All of it in one group, as when customers write faster than they are answered. */
START_TEST(test_moves_of_one_group_are_what_single_commits_make)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    struct store_queued q;
    char name[16];
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof(name), "A%d", i);
        queue(m, i % 3 == 2 ? "b@lid" : "a@lid", name, 0);
    }
    commit(m);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
        snprintf(name, sizeof(name), "%s", q.wa_id);
        ck_assert_int_eq(store_messages_set_sending(m, q.id, 10 + i), 0);
        ck_assert_int_eq(store_messages_set_sent(m, bytes_text(name), 20 + i), 1);
        if (i % 2)
            ck_assert_int_eq(store_messages_set_delivered(m, bytes_text(name), 30 + i), 1);
    }
    ck_assert(store_messages_dirty(m));
    ck_assert_int_eq(store_messages_count_queued(m), 3);
    commit(m);
    ck_assert(!store_messages_dirty(m));
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM messages WHERE status = 'sent' AND"
                                      " acked_at = sent_at + 10 AND delivered_at IS NULL"),
                     3);
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM messages WHERE status = 'delivered' AND"
                                      " acked_at = sent_at + 10 AND delivered_at = sent_at + 20"),
                     3);
    ck_assert_int_eq(sql_number(path, "SELECT group_concat(wa_id) = 'A6,A8' FROM (SELECT wa_id"
                                      " FROM messages WHERE turn = 1 ORDER BY id)"),
                     1);
    store_messages_close(m);
}
END_TEST

static const char *const invariants[] = {
    /* totals are what counting would say */
    "SELECT received = (SELECT count(*) FROM messages WHERE status = 'received' AND NOT from_me)"
    " FROM totals",
    "SELECT sent = (SELECT count(*) FROM messages WHERE status IN ('sent', 'delivered', 'read'))"
    " FROM totals",
    "SELECT replied = (SELECT count(*) FROM messages WHERE reply_to NOT NULL AND"
    " status IN ('sent', 'delivered', 'read')) FROM totals",
    "SELECT delivered = (SELECT count(*) FROM messages WHERE status IN ('delivered', 'read'))"
    " FROM totals",
    "SELECT read = (SELECT count(*) FROM messages WHERE status = 'read') FROM totals",
    "SELECT failed = (SELECT count(*) FROM messages WHERE status = 'failed') FROM totals",
    "SELECT queued = (SELECT count(*) FROM messages WHERE status IN ('queued', 'sending'))"
    " FROM totals",
    "SELECT undecryptable >= (SELECT count(*) FROM messages WHERE status = 'undecryptable')"
    " FROM totals",
    "SELECT last_message_at = (SELECT coalesce(max(received_at), 0) FROM messages"
    " WHERE status = 'received' AND NOT from_me) FROM totals",
    /* it is the turn of the first of each chat, and of no other */
    "SELECT NOT EXISTS(SELECT 1 FROM messages WHERE (turn = 1) <> (status IN ('queued', 'sending')"
    " AND id = (SELECT min(id) FROM messages o WHERE o.chat = messages.chat AND"
    " o.status IN ('queued', 'sending'))))",
    "SELECT NOT EXISTS(SELECT 1 FROM messages WHERE (turn > 0) <> (status IN ('queued', 'sending')"
    " AND held = 0))",
    "SELECT NOT EXISTS(SELECT 1 FROM messages WHERE status = 'sending' AND turn <> 1)",
};

static void random_step(struct store_messages *m, unsigned *seed, int step)
{
    static const char *const chats[] = {"a@lid", "b@lid", "c@lid", "d@lid"};
    static char left[16][16]; /* ids of some rows that were sent */
    char wa_id[16];
    snprintf(wa_id, sizeof(wa_id), "M%d", rand_r(seed) % (step / 2 + 1));
    struct store_inbound in = {.wa_id = bytes_text(wa_id),
                               .chat = chats[rand_r(seed) % 4],
                               .kind = "text",
                               .from_me = rand_r(seed) % 5 == 0,
                               .fault = rand_r(seed) % 3 == 0 ? "no session" : NULL,
                               .received_at = 1 + rand_r(seed) % 100000};
    in.sender = in.chat;
    struct store_outbound out = {
        .wa_id = wa_id, .chat = in.chat, .target = in.chat, .sender = OWN, .created_at = step};
    if (rand_r(seed) % 2 && store_messages_count_queued_in(m, out.chat) == 0)
        out.sent_at = step + 1;
    struct store_queued q;
    int64_t id;
    int kind = rand_r(seed) % 12;
    if (kind < 3) {
        ck_assert_int_ge(store_messages_record(m, &in, &id), 0);
        if (rand_r(seed) % 2 && store_messages_intend(m, &out, id, &id) < 0)
            ck_assert_str_eq(store_messages_error(m), "");
    } else if (kind < 5) {
        ck_assert_int_ne(store_messages_intend(m, &out, 0, &id), ERR_STORE);
    } else if (kind < 8 && store_messages_next_queued(m, 0, &q) == 1) {
        snprintf(left[rand_r(seed) % 16], sizeof(left[0]), "%s", q.wa_id);
        ck_assert(move(m, q.id, bytes_text(q.wa_id), TO_SENDING));
    } else {
        move(m, 1 + rand_r(seed) % (step + 1), bytes_text(left[rand_r(seed) % 16]),
             1 + rand_r(seed) % (MOVES - 1));
    }
    if (rand_r(seed) % 8 == 0) { /* also in the middle of a group */
        int64_t queued = 0;
        for (size_t i = 0; i < ARRAY_LEN(chats); i++)
            queued += store_messages_count_queued_in(m, chats[i]);
        ck_assert_int_eq(queued, store_messages_count_queued(m));
    }
    int end = rand_r(seed) % 20;
    if (end == 0)
        store_messages_rollback(m);
    else if (end == 1)
        ck_assert_int_ge(store_messages_requeue(m), 0);
    else if (end < 8)
        commit(m);
}

START_TEST(test_totals_and_turns_hold_after_any_walk)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    unsigned seed = 99;
    for (int step = 0; step < 4000; step++) {
        random_step(m, &seed, step);
        if (step % 400 != 399)
            continue;
        commit(m);
        for (size_t i = 0; i < ARRAY_LEN(invariants); i++)
            ck_assert_msg(sql_number(path, invariants[i]) == 1, "%s", invariants[i]);
        int64_t queued = store_messages_count_queued(m);
        ck_assert_int_eq(queued, sql_number(path, "SELECT queued FROM totals"));
        store_messages_close(m);
        m = messages_at(path);
    }
    ck_assert_int_gt(sql_number(path, "SELECT min(received, sent, replied, delivered, read, failed,"
                                      " undecryptable) FROM totals"),
                     10);
    store_messages_close(m);
}
END_TEST

/* ---- messages: a long log --------------------------------------------------------------- */

static void use_outbox(struct store_messages *m)
{
    struct store_outbound out = {.wa_id = "held",
                                 .chat = "held@lid",
                                 .target = "x",
                                 .sender = OWN,
                                 .outbox_name = "held",
                                 .created_at = 5,
                                 .held = true,
                                 .due_at = 5,
                                 .expires_at = 9};
    struct store_guards g;
    struct store_turn turns[4];
    struct store_report r;
    int64_t id, due, sent, last;
    ck_assert_int_eq(store_messages_intend(m, &out, 0, &id), 1);
    ck_assert_int_eq(store_messages_count_outbox(m), 2);
    ck_assert_int_eq(store_messages_count_due(m, 4), 0);
    ck_assert_int_eq(store_messages_count_due(m, 5), 1);
    ck_assert_int_eq(store_messages_first_held(m, &id, &due), 1);
    ck_assert_int_eq(store_messages_let_in(m, id), 0);
    ck_assert_int_eq(store_messages_count_under_way(m), 2);
    ck_assert_int_eq(store_messages_outbox_sent_since(m, 9000000, &sent, &last), 0);
    ck_assert_int_eq(sent, 1);
    ck_assert_int_eq(last, 9000000);
    ck_assert_int_eq(store_messages_expire(m, 9), 0);
    ck_assert_int_eq(store_messages_set_failed(m, bytes_text("held"), "x"), 1);
    ck_assert_int_eq(store_messages_report_again(m, "held"), 1);
    ck_assert_int_eq(store_messages_next_report(m, 0, &r), 1);
    ck_assert_int_eq(store_messages_reported(m, id), 0);
    ck_assert_int_eq(store_messages_can_quote(m, "I9", "2@lid"), 1);
    ck_assert_int_eq(store_messages_guards(m, "3@lid", 79990, 10, &g), 0);
    ck_assert_int_eq(store_messages_newest_in(m, "3@lid", 4, turns), 4);
    ck_assert_int_eq(store_messages_owner_wrote(m, "3@lid", 79000), 0);
}

static void use_hot_path(struct store_messages *m)
{
    struct store_queued q;
    struct store_totals t;
    struct store_outbound out = {
        .wa_id = "hot", .chat = "new@lid", .target = "x", .sender = OWN, .outbox_name = "hot"};
    int64_t in = record(m, "new@lid", "hot"), id;
    struct store_inbound bad = {
        .wa_id = bytes_text("bad"), .chat = "c@lid", .sender = "c@lid", .fault = "x"};
    store_messages_record(m, &bad, &id);
    bad.fault = NULL;
    ck_assert_int_eq(store_messages_record(m, &bad, &id), 1);
    ck_assert_int_eq(store_messages_intend(m, &out, in, &id), 1);
    ck_assert_int_eq(store_messages_intend(m, &out, in, &id), 0);
    ck_assert_int_eq(store_messages_intend(m, &out, 0, &id), 0);
    ck_assert_int_eq(store_messages_replace_text(m, id, bytes_text("x"), NULL), 0);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_int_eq(store_messages_next_queued(m, id - 1, &q), 1);
    ck_assert_int_eq(store_messages_set_sending(m, id, 9000000), 0);
    ck_assert_int_eq(store_messages_set_queued(m, id), 0);
    ck_assert_int_eq(store_messages_set_sending(m, id, 9000000), 0);
    ck_assert_int_eq(store_messages_count_sent_since(m, 9000000, false), 0);
    use_outbox(m);
    ck_assert_int_gt(store_messages_count_queued(m), 0);
    ck_assert_int_eq(store_messages_count_queued_in(m, "new@lid"), 1);
    ck_assert_int_eq(store_messages_requeue(m), 1);
    ck_assert_int_eq(store_messages_find_sent(m, bytes_text("hot"), &q), 1);
    ck_assert_int_eq(store_messages_set_sent(m, bytes_text("hot"), 1), 1);
    ck_assert_int_eq(store_messages_set_delivered(m, bytes_text("hot"), 1), 1);
    ck_assert_int_eq(store_messages_set_read(m, bytes_text("hot"), 1), 1);
    ck_assert_int_eq(store_messages_set_failed(m, bytes_text("hot"), "x"), 0);
    ck_assert_int_eq(store_messages_set_dropped(m, queue(m, "e@lid", "E", 0), "x"), 0);
    ck_assert_int_eq(store_messages_totals(m, &t), 0);
}

static bool plan_scans_messages(sqlite3 *db, const char *sql)
{
    char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql);
    sqlite3_stmt *s;
    bool scans = false;
    ck_assert_msg(sqlite3_prepare_v2(db, explain, -1, &s, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
    while (sqlite3_step(s) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(s, 3);
        if (strncmp(detail, "SCAN", 4) == 0 && strncmp(detail, "SCAN totals", 11) != 0 &&
            strncmp(detail, "SCAN CONSTANT", 13) != 0 &&
            /* partial, and as long as what is under way, or to be reported */
            !strstr(detail, "messages_report") && !strstr(detail, "messages_held") &&
            !strstr(detail, "messages_waiting"))
            scans = true;
        if (strstr(detail, "AUTOMATIC") || strstr(detail, "TEMP B-TREE FOR GROUP"))
            scans = true;
    }
    sqlite3_finalize(s);
    sqlite3_free(explain);
    return scans;
}

static void fill(const char *path)
{
    sql_run(path, "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 80000)"
                  " INSERT INTO messages(direction, wa_id, chat, sender, kind, text, received_at,"
                  " status) SELECT 'IN', 'I' || i, (i % 7) || '@lid', (i % 7) || '@lid', 'text',"
                  " 'a question', i, 'received' FROM n");
    sql_run(path, "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 30000)"
                  " INSERT INTO messages(direction, wa_id, chat, sender, kind, text, reply_to,"
                  " sent_at, status, attempts) SELECT 'OUT', 'O' || i, (i % 7) || '@lid', '" OWN
                  "', 'text', 'an answer', i, i, 'delivered', 1 FROM n");
}

START_TEST(test_hot_path_long_log_no_statement_scans_it)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    store_messages_close(m);
    fill(path);
    m = messages_at(path);
    sqlite3 *db = newest_handle;
    for (int i = 0; i < 2000; i++) { /* a long queue, most of it in one chat that is busy */
        char name[16], chat[16];
        snprintf(name, sizeof(name), "Q%d", i);
        snprintf(chat, sizeof(chat), "%d@lid", i < 1500 ? 3 : i);
        int64_t id = queue(m, chat, name, 0);
        if (i == 0)
            ck_assert_int_eq(store_messages_set_sending(m, id, 8000000), 0);
    }
    ck_assert_int_eq(store_messages_set_queued(m, 110001), 0);
    ck_assert_int_eq(store_messages_set_sending(m, 110001, 100), 0);
    ck_assert_int_eq(store_messages_set_sent(m, bytes_text("Q0"), 101), 1);
    ck_assert_int_eq(store_messages_set_sending(m, 110002, 100), 0);
    ck_assert_int_eq(store_messages_set_sent(m, bytes_text("Q1"), 101), 1);
    use_hot_path(m);
    int statements = 0;
    for (sqlite3_stmt *s = sqlite3_next_stmt(db, NULL); s; s = sqlite3_next_stmt(db, s)) {
        statements++;
        ck_assert_msg(!plan_scans_messages(db, sqlite3_sql(s)), "scans: %s", sqlite3_sql(s));
        /* what waits in the chat, which queue_per_chat bounds; the queue, once for a connection */
        if (strstr(sqlite3_sql(s), "count(*) FROM messages INDEXED BY messages_waiting") ||
            strstr(sqlite3_sql(s), "UPDATE OR ROLLBACK messages INDEXED BY messages_waiting"))
            continue;
        int scanned = sqlite3_stmt_status(s, SQLITE_STMTSTATUS_FULLSCAN_STEP, 0);
        int runs = sqlite3_stmt_status(s, SQLITE_STMTSTATUS_RUN, 0);
        int steps = sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 0);
        ck_assert_msg(scanned < 10, "%d rows scanned: %s", scanned, sqlite3_sql(s));
        ck_assert_msg(steps < 400 * runs, "%d steps in %d runs: %s", steps, runs, sqlite3_sql(s));
    }
    ck_assert_int_ge(statements, 20);
    store_messages_close(m);
}
END_TEST

/* ---- reports and readers ---------------------------------------------------------------- */

static int collect_ids(void *ctx, const struct store_row *r)
{
    char *out = ctx;
    size_t n = strlen(out);
    snprintf(out + n, 64 - n, "%lld ", (long long)r->id);
    return strlen(out) > 40;
}

static void assert_ids(struct store_messages *m, int64_t after, const char *chat, int limit,
                       const char *want)
{
    char got[64] = "";
    ck_assert_int_eq(store_messages_each(
                         m, &(struct store_query){.after_id = after, .chat = chat, .limit = limit},
                         collect_ids, got),
                     0);
    ck_assert_str_eq(got, want);
}

START_TEST(test_each_lists_newest_or_after_in_order)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    for (int i = 1; i <= 8; i++) {
        char id[16];
        snprintf(id, sizeof(id), "M%d", i);
        record(m, i % 2 ? "odd@lid" : "even@lid", id);
    }
    struct store_inbound in = {.wa_id = bytes_text("P"),
                               .chat = "lid@lid",
                               .chat_pn = "49@s.whatsapp.net",
                               .sender = "lid@lid"};
    int64_t id;
    ck_assert_int_eq(store_messages_record(m, &in, &id), 1);
    assert_ids(m, -1, NULL, 3, "7 8 9 ");
    assert_ids(m, -1, NULL, 100, "1 2 3 4 5 6 7 8 9 ");
    assert_ids(m, 0, NULL, 2, "1 2 ");
    assert_ids(m, 6, NULL, -1, "7 8 9 ");
    assert_ids(m, 9, NULL, 10, "");
    assert_ids(m, -1, "odd@lid", 2, "5 7 ");
    assert_ids(m, 2, "even@lid", 10, "4 6 8 ");
    assert_ids(m, -1, "49@s.whatsapp.net", 10, "9 ");
    assert_ids(m, -1, "nobody@lid", 10, "");
    store_messages_close(m);
}
END_TEST

/* ---- migrations ------------------------------------------------------------------------- */

static void run_vector(const char *path, const char *name)
{
    const char *dir = getenv("VECTORS_DIR");
    AUTO_BUF struct buf sql;
    char chunk[4096];
    buf_init(&sql, 1 << 20);
    FILE *f = fopen(path_of(dir ? dir : "tests/vectors", name), "r");
    ck_assert_ptr_nonnull(f);
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f)) > 0;)
        ck_assert_int_eq(buf_append(&sql, BYTES(chunk, n)), 0);
    fclose(f);
    sql_run(path, buf_text(&sql));
}

/* The schema as SQLite keeps it, one "name: SQL" a line. */
static void dump_schema(const char *path, struct buf *out)
{
    sqlite3 *db;
    sqlite3_stmt *s;
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_prepare_v2(db, "SELECT name, sql FROM sqlite_master ORDER BY name", -1, &s, NULL),
        SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW)
        buf_printf(out, "%s: %s\n", sqlite3_column_text(s, 0), sqlite3_column_text(s, 1));
    sqlite3_finalize(s);
    sqlite3_close(db);
}

static void assert_found(struct store_messages *m, const char *words, const char *want)
{
    char got[64] = "";
    const struct store_query newest = {.after_id = -1, .limit = 10, .search = words};
    const struct store_query all = {.after_id = 0, .limit = -1, .search = words};
    ck_assert_msg(store_messages_each(m, &newest, collect_ids, got) == 0, "%s: %s", words,
                  store_messages_error(m));
    ck_assert_msg(strcmp(got, want) == 0, "%s: %s, wanted %s", words, got, want);
    got[0] = '\0';
    ck_assert_int_eq(store_messages_each(m, &all, collect_ids, got), 0);
    ck_assert_str_eq(got, want);
}

/* What the vector of each version brought that the one before did not know is there, too. */
static void assert_kept(const char *path, struct store_messages *m, int version)
{
    const struct store_chat_key key = {"1@lid", NULL, NULL};
    struct store_chat chat;
    if (version >= 2)
        ck_assert_int_eq(
            sql_number(path, "SELECT count(*) FROM events WHERE code = 'connection_lost'"), 1);
    if (version >= 3)
        ck_assert_int_eq(sql_number(path, "SELECT edited_at FROM messages WHERE id = 3"), 7000);
    ck_assert_int_eq(store_messages_find_chat(m, &key, &chat), version >= 4);
    ck_assert_int_eq(chat.handover_at, version >= 4 ? 7500 : 0);
    ck_assert_int_eq(store_messages_count_outbox(m), version >= 5 ? 1 : 0);
    ck_assert_int_eq(store_messages_count_due(m, 9000), version >= 5 ? 1 : 0);
    if (version >= 7)
        ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM media WHERE status = 'downloaded'"),
                         1);
    if (version >= 8)
        ck_assert_int_eq(chat.expiration_s, 86400);
    if (version >= 9)
        ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM events WHERE kind = 'notice'"), 1);
    if (version >= 10)
        ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM messages WHERE history = 1"), 1);
    ck_assert_int_eq(sql_number(path, "SELECT last_id = (SELECT max(id) FROM messages)"
                                      " FROM totals"),
                     1);
    if (version >= 11)
        ck_assert_int_eq(sql_number(path, "SELECT turn FROM messages WHERE wa_id = 'O11'"), 2);
    ck_assert_int_eq(sql_number(path, "SELECT turn FROM messages WHERE wa_id = 'O2'"), 1);
}

/* _i: the version that a wabridge of then made. */
START_TEST(test_open_earlier_version_is_brought_up_to_date)
{
    const char *dir = testing_dir(), *old = path_of(dir, "old.db"), *fresh = path_of(dir, "new.db");
    AUTO_BUF struct buf migrated, made;
    struct store_queued q;
    struct store_totals t;
    char vector[40];
    buf_init(&migrated, 1 << 20);
    buf_init(&made, 1 << 20);
    snprintf(vector, sizeof(vector), "messages-v%d.sql", _i);
    run_vector(old, vector);
    int64_t rows = sql_number(old, "SELECT count(*) FROM messages");
    ck_assert_int_eq(sql_number(old, "PRAGMA user_version"), _i);
    struct store_messages *m = messages_at(old);
    /* what was there is there: rows, totals, the queue */
    assert_found(m, "GEOFFNET", "1 ");
    assert_found(m, "delivery", _i >= 3 ? "3 7 " : "3 ");
    ck_assert_str_eq(status_of(m, 4), "undecryptable");
    ck_assert_str_eq(status_of(m, 5), "delivered");
    ck_assert_int_eq(store_messages_totals(m, &t), 0);
    ck_assert_int_eq(t.received, _i >= 3 ? 4 : 3);
    ck_assert_int_eq(t.delivered, 1);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_str_eq(q.wa_id, "O2");
    ck_assert_str_eq(q.quoted_wa_id, "I3");
    assert_kept(old, m, _i);
    store_messages_close(m);
    store_messages_close(messages_at(fresh));
    assert_whole(old);
    ck_assert_int_eq(sql_number(old, "SELECT count(*) FROM messages"), rows);
    ck_assert_int_eq(sql_number(old, "PRAGMA auto_vacuum"), 2);
    ck_assert_int_eq(sql_number(fresh, "PRAGMA auto_vacuum"), 2);
    dump_schema(old, &migrated);
    dump_schema(fresh, &made);
    ck_assert_uint_gt(made.n, 3000);
    ck_assert(strcmp(buf_text(&migrated), buf_text(&made)) == 0); /* longer than Check prints */
}
END_TEST

/* Who adds a migration adds the vector of the version before it, and raises VECTORS. */
#define VECTORS 13
START_TEST(test_open_every_earlier_version_has_its_vector)
{
    const char *path = path_of(testing_dir(), "messages.db");
    store_messages_close(messages_at(path));
    ck_assert_int_le(sql_number(path, "PRAGMA user_version"), VECTORS + 1);
}
END_TEST

/* ---- search, retention, history --------------------------------------------------------- */

static void write_text(struct store_messages *m, const char *wa_id, const char *text, int64_t at)
{
    struct store_inbound in = {.wa_id = bytes_text(wa_id),
                               .chat = "1@lid",
                               .sender = "1@lid",
                               .kind = "text",
                               .text = bytes_text(text),
                               .received_at = at};
    int64_t id;
    ck_assert_int_eq(store_messages_record(m, &in, &id), 1);
}

static void index_all(struct store_messages *m, int rows)
{
    int rc;
    while ((rc = store_messages_index(m, rows)) == 1)
        commit(m);
    ck_assert_int_eq(rc, 0);
    ck_assert(!store_messages_dirty(m));
}

START_TEST(test_index_rows_that_changed_or_went_before_leave_no_words)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    for (int i = 1; i <= 6; i++) {
        char id[8];
        snprintf(id, sizeof(id), "I%d", i);
        write_text(m, id, i == 4 ? "four" : "word", i);
    }
    int64_t out = queue(m, "1@lid", "O", 0);
    ck_assert_int_eq(store_messages_replace_text(m, out, bytes_text("early"), "x"), 0);
    commit(m);
    assert_found(m, "word", "");
    ck_assert_int_eq(store_messages_index(m, 4), 1);
    store_messages_rollback(m);
    ck_assert_int_eq(store_messages_index(m, 4), 1);
    commit(m);
    assert_found(m, "word", "1 2 3 ");
    store_messages_close(m);
    sql_run(path, "DELETE FROM messages WHERE id IN (2, 5)"); /* one of them is in the index */
    sql_run(path, "UPDATE messages SET text = 'late' WHERE id IN (3, 6)");
    m = messages_at(path);
    index_all(m, 4);
    assert_found(m, "word", "1 ");
    assert_found(m, "late", "3 6 ");
    assert_found(m, "early", "7 ");
    assert_found(m, "four", "4 ");
    store_messages_close(m);
    sql_run(path,
            "INSERT INTO messages_search(messages_search, rank) VALUES('integrity-check', 1)");
}
END_TEST

START_TEST(test_search_words_case_and_diacritics_do_not_matter)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    write_text(m, "A", "Haben Sie am Sonntag ge\u00f6ffnet?", 1);
    write_text(m, "B", "caf\u00e9 cr\u00e8me \u2615", 2);
    write_text(m, "C", "say \"hello\" AND goodbye", 3);
    int64_t out = queue(m, "1@lid", "O", 0);
    ck_assert_int_eq(store_messages_replace_text(m, out, bytes_text("Sonntags nie"), "x"), 0);
    commit(m);
    index_all(m, 3);
    assert_found(m, "geoffnet", "1 ");
    assert_found(m, "GE\u00d6FFNET sonntag", "1 ");
    assert_found(m, "sonntag", "1 4 ");
    assert_found(m, "Caf", "2 ");
    assert_found(m, "caf sonntag", "");
    assert_found(m, "AND", "3 ");
    assert_found(m, "\"hello\"", "3 ");
    assert_found(m, "hello\" OR \"caf", "");
    assert_found(m, "NEAR(a b) text:x -y * ^ (", "");
    assert_found(m, "?!", "");
    assert_found(m, "answer", ""); /* what queue() wrote was replaced */
    char got[64] = "";
    const struct store_query other = {.limit = -1, .search = "sonntag", .chat = "2@lid"};
    ck_assert_int_eq(store_messages_each(m, &other, collect_ids, got), 0);
    ck_assert_str_eq(got, "");
    store_messages_close(m);
    sql_run(path,
            "INSERT INTO messages_search(messages_search, rank) VALUES('integrity-check', 1)");
}
END_TEST

#define DAY INT64_C(86400000)

static int trim_all(struct store_messages *m, struct store_keep keep, int64_t now)
{
    int all = 0, n;
    do {
        n = store_messages_trim(m, &keep, now);
        ck_assert_msg(n >= 0 && n <= STORE_TRIM_ROWS, "%d: %s", n, store_messages_error(m));
        commit(m);
        all += n;
    } while (n > 0);
    return all;
}

START_TEST(test_trim_days_takes_the_old_and_nothing_that_waits)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    int64_t now = 100 * DAY;
    for (int i = 0; i < 700; i++) {
        char id[16];
        snprintf(id, sizeof(id), "I%d", i);
        write_text(m, id, "word", now - 40 * DAY + i);
    }
    write_text(m, "asked", "old, its answer waits", now - 39 * DAY);
    queue(m, "1@lid", "waits", 701);
    write_text(m, "recent", "recent", now - 29 * DAY);
    int64_t answer = queue(m, "2@lid", "sent", 1); /* answers one that goes, itself recent */
    commit(m);
    index_all(m, 500);
    store_messages_close(m);
    sql_run(path, "UPDATE messages SET received_at = 8553600000 WHERE direction = 'OUT'");
    sql_run(path, "UPDATE messages SET status = 'sent' WHERE wa_id = 'sent'");
    m = messages_at(path);
    ck_assert_int_eq(trim_all(m, (struct store_keep){0}, now), 0);
    ck_assert(!store_messages_dirty(m));
    ck_assert_int_eq(trim_all(m, (struct store_keep){.days = 30}, now), 700);
    ck_assert_str_eq(status_of(m, 701), "received");
    ck_assert_str_eq(status_of(m, 702), "queued");
    ck_assert_str_eq(status_of(m, 703), "received");
    ck_assert_str_eq(status_of(m, answer), "sent");
    assert_found(m, "word", "");
    assert_found(m, "recent", "703 ");
    struct store_totals t;
    ck_assert_int_eq(store_messages_totals(m, &t), 0);
    ck_assert_int_eq(t.received, 702); /* totals do not shrink */
    store_messages_close(m);
    ck_assert_int_eq(sql_number(path, "SELECT reply_to IS NULL FROM messages WHERE wa_id = 'sent'"),
                     1);
    assert_whole(path);
    sql_run(path,
            "INSERT INTO messages_search(messages_search, rank) VALUES('integrity-check', 1)");
}
END_TEST

/* Whatever went, also all of it, and whoever wrote in between. */
START_TEST(test_record_after_the_newest_went_no_id_is_used_twice)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    const struct store_keep a_day = {.days = 1};
    ck_assert_int_eq(record(m, "1@lid", "A"), 1);
    ck_assert_int_eq(queue(m, "2@lid", "B", 0), 2);
    ck_assert_int_eq(record(m, "1@lid", "C"), 3);
    ck_assert_int_eq(store_messages_set_dropped(m, 2, "x"), 0);
    commit(m);
    ck_assert_int_eq(trim_all(m, a_day, 90 * DAY), 3);
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM messages"), 0);
    ck_assert_int_eq(queue(m, "2@lid", "D", 0), 4);
    struct store_outbound again = {.wa_id = "D", .chat = "2@lid", .target = "x", .sender = OWN};
    int64_t id;
    ck_assert_int_eq(store_messages_intend(m, &again, 0, &id), ERR_EXISTS);
    ck_assert_int_eq(record(m, "1@lid", "E"), 5);
    store_messages_rollback(m); /* never was */
    ck_assert_int_eq(record(m, "1@lid", "E"), 4);
    ck_assert_int_eq(record(m, "1@lid", "F"), 5);
    commit(m);
    store_messages_close(m);
    sql_run(path, "DELETE FROM messages WHERE id = 5");
    m = messages_at(path);
    ck_assert_int_eq(store_messages_intend(m, &again, 0, &id), 1);
    ck_assert_int_eq(id, 6);
    commit(m);
    sql_run(path, "INSERT INTO messages(direction, wa_id, chat, sender, status)"
                  " VALUES('IN', 'G', '1@lid', '1@lid', 'received')");
    ck_assert_int_eq(record(m, "1@lid", "H"), 8);
    commit(m);
    ck_assert_int_eq(sql_number(path, "SELECT last_id FROM totals"), 8);
    store_messages_close(m);
}
END_TEST

START_TEST(test_trim_bytes_shrinks_the_file_but_keeps_a_day)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    struct stat st;
    store_messages_close(m);
    /* 5 MB, half of it older than a day */
    sql_run(path, "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 6000)"
                  " INSERT INTO messages(direction, wa_id, chat, sender, kind, text, received_at,"
                  " status) SELECT 'IN', 'I' || i, '1@lid', '1@lid', 'text', "
                  "replace(hex(zeroblob(200)), '00', 'ab '),"
                  " i * 28800, 'received' FROM n");
    ck_assert_int_eq(stat(path, &st), 0);
    off_t before = st.st_size;
    m = messages_at(path);
    const struct store_keep keep = {.bytes = 1 << 20};
    int deleted = trim_all(m, keep, 6000 * 28800);
    ck_assert_int_eq(deleted, 2999); /* received before the last 86400000 ms */
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(store_messages_trim(m, &keep, 6000 * 28800), 0);
        commit(m);
    }
    store_messages_close(m);
    sql_run(path, "PRAGMA wal_checkpoint(TRUNCATE)");
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_msg(st.st_size < before * 3 / 4, "%lld of %lld bytes", (long long)st.st_size,
                  (long long)before);
    ck_assert_int_le(sql_number(path, "PRAGMA freelist_count"), STORE_TRIM_SPARE_PAGES);
    assert_whole(path);
}
END_TEST

START_TEST(test_trim_long_log_costs_little)
{
    const char *path = path_of(testing_dir(), "messages.db");
    store_messages_close(messages_at(path));
    fill(path);
    struct store_messages *m = messages_at(path);
    sqlite3 *db = newest_handle;
    int vm = 0;
    ck_assert_int_eq(store_messages_trim(m, &(struct store_keep){.days = 1}, 10 * DAY), 300);
    for (sqlite3_stmt *s = sqlite3_next_stmt(db, NULL); s; s = sqlite3_next_stmt(db, s))
        vm += sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 0);
    ck_assert_int_lt(vm, 200000); /* of 110000 rows none is looked at in vain */
    commit(m);
    store_messages_close(m);
}
END_TEST

static int collect_codes(void *ctx, const struct store_event *e)
{
    char *out = ctx;
    size_t n = strlen(out);
    snprintf(out + n, 128 - n, "%s:%s:%s:%s:%s%s%s ", e->kind, e->status, e->session, e->code,
             e->message ? e->message : "-", e->chat ? ":" : "", e->chat ? e->chat : "");
    return 0;
}

static int count_event(void *ctx, const struct store_event *e)
{
    struct store_event *seen = ctx;
    if (seen->at == 0)
        seen->id = e->id;
    seen->at++;
    return 0;
}

START_TEST(test_events_are_kept_in_order_and_bounded)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_event e = {
        .at = 5, .kind = "state", .status = "RUNNING", .session = "CONNECTED", .code = "connected"};
    ck_assert_int_eq(store_messages_add_event(m, &e), 0);
    e = (struct store_event){.at = 6,
                             .kind = "error",
                             .status = "ERROR",
                             .session = "DISCONNECTED",
                             .code = "not_reached",
                             .message = "x"};
    ck_assert_int_eq(store_messages_add_event(m, &e), 0);
    char got[128] = "";
    ck_assert_int_eq(store_messages_each_event(m, -1, 1, collect_codes, got), 0);
    ck_assert_str_eq(got, "error:ERROR:DISCONNECTED:not_reached:x ");
    got[0] = '\0';
    ck_assert_int_eq(store_messages_each_event(m, 0, 1, collect_codes, got), 0);
    ck_assert_str_eq(got, "state:RUNNING:CONNECTED:connected:- ");
    const struct store_event notice = {.at = 7,
                                       .kind = "notice",
                                       .status = "RUNNING",
                                       .session = "CONNECTED",
                                       .code = "identity_changed",
                                       .chat = "1@lid"};
    ck_assert_int_eq(store_messages_add_event(m, &notice), 0);
    got[0] = '\0';
    ck_assert_int_eq(store_messages_each_event(m, 2, 1, collect_codes, got), 0);
    ck_assert_str_eq(got, "notice:RUNNING:CONNECTED:identity_changed:-:1@lid ");
    for (int i = 0; i < STORE_EVENTS_MAX + 10; i++)
        ck_assert_int_eq(store_messages_add_event(m, &e), 0);
    struct store_event seen = {0};
    ck_assert_int_eq(store_messages_each_event(m, 0, -1, count_event, &seen), 0);
    ck_assert_int_eq(seen.at, STORE_EVENTS_MAX);
    ck_assert_int_eq(seen.id, 14);
    e.kind = NULL;
    ck_assert_int_eq(store_messages_add_event(m, &e), ERR_STORE);
    store_messages_close(m);
}
END_TEST

START_TEST(test_sqlite3_tool_sees_rows_while_open)
{
    if (system("command -v sqlite3 >/dev/null 2>&1") != 0)
        return;
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    record(m, "1@lid", "A");
    commit(m);
    record(m, "1@lid", "not committed");
    char command[400], line[128] = "";
    snprintf(command, sizeof(command),
             "sqlite3 -readonly '%s' \"SELECT direction, chat, wa_id, status FROM messages\"",
             path);
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
    ck_assert_str_eq(line, "IN|1@lid|A|received\n");
    ck_assert_ptr_null(fgets(line, sizeof(line), f));
    ck_assert_int_eq(pclose(f), 0);
    store_messages_close(m);
}
END_TEST

/* Makes this process what the portal is: another user in the group, on a read-only mount. */
static bool become_portal(const char *dir)
{
    bool root = geteuid() == 0;
    bool mounted = unshare(root ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) == 0 &&
                   mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                   mount(dir, dir, NULL, MS_BIND, NULL) == 0 &&
                   mount(NULL, dir, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0;
    if (!root)
        return mounted;
    return setgroups(0, NULL) == 0 && setresgid(PORTAL_GROUP, PORTAL_GROUP, PORTAL_GROUP) == 0 &&
           setresuid(NOBODY, NOBODY, NOBODY) == 0;
}

static int count_row(void *ctx, const struct store_row *r)
{
    (void)r;
    ++*(int *)ctx;
    return 0;
}

/* Serves bytes: 'o' opens, 'n' counts the rows, 'c' closes, 'w' says how many ways of writing there
 * are. */
static void portal(const char *path, int in, int out)
{
    struct store_messages *m = NULL;
    struct err err = {0};
    char order;
    while (read(in, &order, 1) == 1) {
        int answer = 0;
        if (order == 'o')
            answer = store_messages_open_readonly(&m, path, &err);
        if (order == 'n' &&
            store_messages_each(m, &(struct store_query){.limit = -1}, count_row, &answer) != 0)
            answer = -1;
        if (order == 'c')
            store_messages_close(m);
        if (order == 'w') {
            char other[300];
            snprintf(other, sizeof(other), "%s-shm", path);
            answer = (open(path, O_RDWR | O_CLOEXEC) >= 0) + (open(other, O_RDWR | O_CLOEXEC) >= 0);
        }
        if (answer < 0)
            fprintf(stderr, "portal: %c: %s\n", order,
                    order == 'o' ? err.text : store_messages_error(m));
        if (write(out, &answer, sizeof(answer)) != sizeof(answer))
            break;
    }
    _exit(0);
}

struct portal {
    pid_t pid;
    int in, out;
};

/* Before anything here opens the database: SQLite's locks must not be inherited. */
static bool portal_start(struct portal *p, const char *dir, const char *path)
{
    int down[2], up[2];
    char ready = 0;
    ck_assert_int_eq(pipe2(down, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(up, O_CLOEXEC), 0);
    p->pid = fork();
    if (p->pid == 0) {
        close(down[1]);
        ready = become_portal(dir);
        if (write(up[1], &ready, 1) == 1 && ready)
            portal(path, down[0], up[1]);
        _exit(0);
    }
    close(down[0]);
    close(up[1]);
    p->in = down[1];
    p->out = up[0];
    ck_assert_int_eq(read(p->out, &ready, 1), 1);
    return ready;
}

static int portal_ask(const struct portal *p, char order)
{
    int answer = -1000;
    ck_assert_int_eq(write(p->in, &order, 1), 1);
    ck_assert_int_eq(read(p->out, &answer, sizeof(answer)), sizeof(answer));
    return answer;
}

static void portal_stop(struct portal *p)
{
    close(p->in);
    close(p->out);
    waitpid(p->pid, NULL, 0);
}

static void die_with_rows(const char *path, int n)
{
    struct store_messages *m = messages_at(path);
    for (int i = 0; i < n; i++) {
        char id[16];
        snprintf(id, sizeof(id), "D%d", i);
        record(m, "1@lid", id);
        commit(m);
    }
    kill(getpid(), SIGKILL);
}

START_TEST(test_open_readonly_other_user_on_read_only_mount_follows)
{
    const char *dir = testing_dir(), *path = path_of(dir, "messages.db");
    if (geteuid() == 0)
        ck_assert_int_eq(chown(dir, 0, PORTAL_GROUP), 0);
    ck_assert_int_eq(chmod(dir, 02750), 0);
    struct portal p;
    if (!portal_start(&p, dir, path)) {
        fprintf(stderr, "skipped: neither root nor user namespaces\n");
        portal_stop(&p);
        return;
    }
    pid_t dead = fork();
    if (dead == 0)
        die_with_rows(path, 2);
    waitpid(dead, NULL, 0);
    ck_assert_int_eq(portal_ask(&p, 'w'), 0);
    /* the bridge was killed: nobody holds the locks, two rows are in the -wal only */
    ck_assert_int_eq(portal_ask(&p, 'o'), 0);
    ck_assert_int_eq(portal_ask(&p, 'n'), 2);
    struct store_messages *m = messages_at(path);
    record(m, "1@lid", "A");
    ck_assert_int_eq(portal_ask(&p, 'n'), 2);
    commit(m);
    ck_assert_int_eq(portal_ask(&p, 'n'), 3);
    ck_assert_int_eq(portal_ask(&p, 'c'), 0);
    ck_assert_int_eq(portal_ask(&p, 'o'), 0);
    for (int i = 0; i < 100; i++) { /* through some checkpoints */
        char id[16];
        snprintf(id, sizeof(id), "B%d", i);
        record(m, id, id);
        commit(m);
        ck_assert_int_eq(portal_ask(&p, 'n'), 4 + i);
    }
    store_messages_close(m);
    /* stopped cleanly */
    ck_assert_int_eq(portal_ask(&p, 'n'), 103);
    ck_assert_int_eq(portal_ask(&p, 'c'), 0);
    ck_assert_int_eq(portal_ask(&p, 'o'), 0);
    ck_assert_int_eq(portal_ask(&p, 'n'), 103);
    m = messages_at(path); /* started again */
    record(m, "1@lid", "C");
    commit(m);
    ck_assert_int_eq(portal_ask(&p, 'n'), 104);
    ck_assert_int_eq(portal_ask(&p, 'c'), 0);
    store_messages_close(m); /* stopped while nobody read */
    ck_assert_int_eq(portal_ask(&p, 'o'), 0);
    ck_assert_int_eq(portal_ask(&p, 'n'), 104);
    portal_stop(&p);
}
END_TEST

START_TEST(test_open_readonly_writes_and_missing_file_refused)
{
    const char *dir = testing_dir(), *path = path_of(dir, "messages.db");
    struct store_messages *m;
    struct err err = {0};
    ck_assert_int_eq(store_messages_open_readonly(&m, path, &err), ERR_STORE);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    ck_assert_int_eq(access(path, F_OK), -1);
    store_messages_close(messages_at(path));
    ck_assert_int_eq(store_messages_open_readonly(&m, path, &err), 0);
    struct store_totals t;
    ck_assert_int_eq(store_messages_totals(m, &t), 0);
    ck_assert_int_eq(store_messages_requeue(m), ERR_STORE);
    ck_assert_int_eq(store_messages_commit(m, &err), ERR_STORE);
    ck_assert_ptr_nonnull(strstr(err.text, "readonly"));
    store_messages_close(m);
}
END_TEST

START_TEST(test_close_nothing_is_harmless)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    ck_assert(!store_messages_dirty(m));
    store_messages_rollback(m);
    store_messages_close(NULL);
    store_keys_close(NULL);
    record(m, "1@lid", "A");
    ck_assert(store_messages_dirty(m));
    store_messages_rollback(m);
    ck_assert(!store_messages_dirty(m));
    ck_assert_str_eq(status_of(m, 1), "");
    store_messages_close(m);
}
END_TEST

/* ---- chats ------------------------------------------------------------------------------ */

static const struct store_chat_key ann = {"1@lid", "49@s.whatsapp.net", "1@lid"};

static struct store_chat chat_of(struct store_messages *m, const struct store_chat_key *key)
{
    struct store_chat chat;
    ck_assert_int_ge(store_messages_find_chat(m, key, &chat), 0);
    return chat;
}

static void put_chat(struct store_messages *m, const struct store_chat_key *key,
                     const char *language, const char *menu)
{
    struct store_chat chat = chat_of(m, key);
    snprintf(chat.language, sizeof(chat.language), "%s", language);
    snprintf(chat.menu, sizeof(chat.menu), "%s", menu);
    ck_assert_int_eq(store_messages_put_chat(m, key, &chat), 0);
}

START_TEST(test_chat_state_survives_reopening)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    ck_assert_str_eq(chat_of(m, &ann).chat, "");
    put_chat(m, &ann, "sw", "fallback");
    ck_assert_int_eq(store_messages_hand_over(m, &ann, 1700000000123, "human"), 0);
    commit(m);
    store_messages_close(m);
    m = messages_at(path);
    struct store_chat chat = chat_of(m, &ann);
    ck_assert_str_eq(chat.chat, "1@lid");
    ck_assert_str_eq(chat.language, "sw");
    ck_assert_str_eq(chat.menu, "fallback");
    ck_assert_int_eq(chat.handover_at, 1700000000123);
    put_chat(m, &ann, "en", "fallback"); /* leaves the flag */
    ck_assert_int_eq(chat_of(m, &ann).handover_at, 1700000000123);
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM chats WHERE handover_intent = 'human'"),
                     1);
    store_messages_close(m);
}
END_TEST

/* First only the number is known, later the LID is the main address, then only the LID is named. */
START_TEST(test_chat_is_one_under_all_its_addresses)
{
    const struct store_chat_key number = {"49@s.whatsapp.net", "49@s.whatsapp.net", NULL},
                                lid = {"1@lid", NULL, "1@lid"}, other = {"2@lid", NULL, "2@lid"};
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    put_chat(m, &number, "en", "");
    ck_assert_int_eq(store_messages_hand_over(m, &number, 5, "human"), 0);
    put_chat(m, &ann, "sw", "");
    ck_assert_int_eq(chat_of(m, &lid).handover_at, 5);
    ck_assert_str_eq(chat_of(m, &lid).language, "sw");
    ck_assert_int_eq(chat_of(m, &other).handover_at, 0);
    commit(m);
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM chats"), 1);
    store_messages_close(m);
}
END_TEST

START_TEST(test_release_takes_one_chat_or_all)
{
    const struct store_chat_key other = {"2@lid", NULL, "2@lid"}, third = {"3@lid", NULL, "3@lid"};
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    const struct store_chat_key *keys[] = {&ann, &other, &third};
    for (size_t i = 0; i < 3; i++) {
        put_chat(m, keys[i], "en", "");
        ck_assert_int_eq(store_messages_hand_over(m, keys[i], 5, "human"), 0);
    }
    ck_assert_int_eq(store_messages_release(m, "nobody@lid"), 0);
    ck_assert_int_eq(store_messages_release(m, "49@s.whatsapp.net"), 1);
    ck_assert_int_eq(chat_of(m, &ann).handover_at, 0);
    ck_assert_int_eq(store_messages_release(m, "1@lid"), 0);
    ck_assert_int_eq(chat_of(m, &other).handover_at, 5);
    ck_assert_int_eq(store_messages_release(m, NULL), 2);
    ck_assert_int_eq(chat_of(m, &other).handover_at, 0);
    store_messages_close(m);
}
END_TEST

static void set_timer(struct store_messages *m, int64_t s, int64_t set_at, int written)
{
    ck_assert_int_eq(store_messages_set_timer(m, &ann, s, set_at), written);
}

START_TEST(test_set_timer_later_setting_wins)
{
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    put_chat(m, &ann, "sw", "fallback");
    set_timer(m, 86400, 5000, 1);
    ck_assert_int_eq(chat_of(m, &ann).expiration_s, 86400);
    ck_assert_int_eq(chat_of(m, &ann).expiration_set_at, 5000);
    ck_assert_str_eq(chat_of(m, &ann).language, "sw");
    put_chat(m, &ann, "en", ""); /* leaves the timer */
    set_timer(m, 0, 6000, 1);
    set_timer(m, 86400, 5000, 0); /* what was told before came late */
    ck_assert_int_eq(chat_of(m, &ann).expiration_s, 0);
    set_timer(m, 604800, 0, 1); /* without its time: the last word counts */
    ck_assert_int_eq(chat_of(m, &ann).expiration_s, 604800);
    set_timer(m, 0, 0, 1);
    ck_assert_int_eq(chat_of(m, &ann).expiration_s, 0);
    store_messages_close(m);
}
END_TEST

START_TEST(test_set_timer_nothing_new_writes_nothing)
{
    const char *path = path_of(testing_dir(), "messages.db");
    struct store_messages *m = messages_at(path);
    set_timer(m, 0, 5000, 0);
    ck_assert(!store_messages_dirty(m));
    set_timer(m, 86400, 5000, 1);
    commit(m);
    set_timer(m, 86400, 5000, 0);
    set_timer(m, 86400, 0, 0);
    ck_assert(!store_messages_dirty(m));
    ck_assert_int_eq(sql_number(path, "SELECT count(*) FROM chats"), 1);
    store_messages_close(m);
}
END_TEST

/* The timer was told under the number; the messages go to the LID. */
START_TEST(test_next_queued_has_timer_of_its_chat)
{
    const struct store_chat_key number = {"49@s.whatsapp.net", "49@s.whatsapp.net", "1@lid"};
    struct store_messages *m = messages_at(path_of(testing_dir(), "messages.db"));
    struct store_queued q;
    ck_assert_int_eq(store_messages_set_timer(m, &number, 86400, 7000), 1);
    int64_t id = queue(m, "1@lid", "O1", 0);
    queue(m, "2@lid", "O2", 0);
    ck_assert_int_eq(store_messages_next_queued(m, 0, &q), 1);
    ck_assert_int_eq(q.expiration_s, 86400);
    ck_assert_int_eq(q.expiration_set_at, 7000);
    ck_assert_int_eq(store_messages_next_queued(m, id, &q), 1);
    ck_assert_str_eq(q.chat, "2@lid");
    ck_assert_int_eq(q.expiration_s, 0);
    ck_assert_int_eq(store_messages_set_sending(m, id, 8000), 0);
    ck_assert_int_eq(store_messages_find_resend(m, bytes_text("O1"), 0, &q), 1);
    ck_assert_int_eq(q.expiration_s, 86400);
    store_messages_close(m);
}
END_TEST

/* A database as the third version left it. */
static void add(Suite *suite, const char *name, const TTest *const *tests, size_t n)
{
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, NULL);
    for (size_t i = 0; i < n; i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
}

#define ADD(name, ...)                                                                             \
    add(suite, name, (const TTest *const[]){__VA_ARGS__},                                          \
        sizeof((const TTest *const[]){__VA_ARGS__}) / sizeof(TTest *))

int main(void)
{
    Suite *suite = suite_create("store");
    ADD("open", test_keys_open_any_umask_only_owner_reads, test_messages_open_any_umask_group_reads,
        test_open_link_or_directory_refused, test_open_through_linked_directory_works,
        test_open_side_file_is_link_refused_and_target_untouched,
        test_backup_of_open_database_is_whole_and_without_ratchets,
        test_backup_of_no_database_leaves_nothing, test_open_newer_version_unsupported,
        test_open_foreign_file_refused_untouched, test_open_every_truncation_no_crash,
        test_open_settings_durable_and_frugal,
        test_cache_add_thousands_finds_each_and_forgets_the_oldest, test_close_nothing_is_harmless);
    ADD("keys", test_keys_values_survive_reopening, test_keys_get_full_buffer_says_limit,
        test_keys_put_many_times_is_written_once,
        test_keys_more_records_than_are_kept_are_all_there,
        test_keys_rollback_forgets_what_was_put_and_deleted,
        test_keys_next_walks_rows_and_what_waits, test_keys_del_prefix_takes_only_what_begins_so,
        test_keys_open_more_tables_adds_them, test_keys_deleted_secret_leaves_the_files);
    ADD("syncs", test_keys_commit_costs_one_sync, test_keys_commit_without_change_costs_no_sync,
        test_messages_commit_costs_one_sync, test_messages_many_commits_wal_stays_small,
        test_messages_commit_makes_no_checkpoint);
    ADD("under", test_commit_is_one_write, test_commit_large_group_reads_what_has_not_left,
        test_wal_file_is_what_was_written_in_any_order,
        test_memory_small_block_is_at_hand_and_bounded);
    ADD("faults", test_keys_commit_disk_full_rolls_back_and_recovers,
        test_keys_commit_io_error_rolls_back_and_recovers,
        test_keys_commit_failing_sync_rolls_back_and_recovers,
        test_keys_put_failing_in_mid_group_spoils_the_group,
        test_keys_put_another_writer_says_locked, test_keys_commit_another_writer_says_locked,
        test_messages_fault_at_every_write_keeps_what_was_committed);
    ADD("death", test_commit_killed_at_any_moment_loses_nothing_reported,
        test_commit_power_cut_at_any_moment_loses_nothing_committed);
    ADD("new", test_open_new_file_is_what_sql_makes, test_keys_open_new_file_has_all_tables,
        test_open_what_a_crash_left_of_a_new_file_is_made_anew,
        test_open_damaged_file_that_was_used_is_left_as_it_is);
    ADD("in", test_record_same_message_twice_is_one_row, test_edit_author_alone_newest_wins,
        test_revoke_by_author_or_admin_drops_the_waiting_answer, test_revoke_answer_that_left_stays,
        test_record_undecryptable_completed_keeps_id,
        test_record_other_address_of_same_sender_is_one_row,
        test_record_text_with_nul_is_kept_whole, test_record_without_identity_refused_without_harm);
    ADD("queue", test_intend_second_reply_or_same_outbox_name_is_the_first,
        test_held_row_enters_the_queue_only_when_released,
        test_report_each_outcome_once_until_it_changes, test_guards_count_replies_that_left_only,
        test_owner_wrote_only_later_words_of_the_owner, test_next_queued_row_is_complete,
        test_next_queued_keeps_the_order_of_each_chat,
        test_give_up_old_replies_or_everything_that_waits, test_requeue_same_ids_again_and_first,
        test_count_sent_since_counts_what_left, test_find_sent_finds_only_what_left,
        test_is_restricted_until_the_contact_writes,
        test_record_history_counts_nowhere_and_no_guard_goes_by_it,
        test_record_history_completes_what_could_not_be_read,
        test_each_recent_is_by_the_time_it_was_received,
        test_is_restricted_under_the_other_name_of_the_chat,
        test_find_resend_leaves_out_old_and_failed_ones,
        test_record_undecryptable_again_takes_the_new_fault);
    ADD("status", test_status_every_move_from_every_status_never_goes_back,
        test_status_wa_id_of_a_received_message_changes_nothing,
        test_intend_that_leaves_at_once_is_under_way,
        test_set_sent_what_left_a_moment_ago_is_as_the_database_says,
        test_set_sent_more_than_is_known_by_heart_all_move,
        test_moves_of_one_group_are_what_single_commits_make,
        test_totals_and_turns_hold_after_any_walk, test_hot_path_long_log_no_statement_scans_it);
    ADD("upkeep", test_open_every_earlier_version_has_its_vector,
        test_index_rows_that_changed_or_went_before_leave_no_words,
        test_search_words_case_and_diacritics_do_not_matter,
        test_trim_days_takes_the_old_and_nothing_that_waits,
        test_record_after_the_newest_went_no_id_is_used_twice,
        test_trim_bytes_shrinks_the_file_but_keeps_a_day, test_trim_long_log_costs_little,
        test_events_are_kept_in_order_and_bounded);
    ADD("chats", test_chat_state_survives_reopening, test_chat_is_one_under_all_its_addresses,
        test_release_takes_one_chat_or_all, test_set_timer_later_setting_wins,
        test_set_timer_nothing_new_writes_nothing, test_next_queued_has_timer_of_its_chat);
    ADD("readers", test_each_lists_newest_or_after_in_order, test_sqlite3_tool_sees_rows_while_open,
        test_open_readonly_other_user_on_read_only_mount_follows,
        test_open_readonly_writes_and_missing_file_refused);
    TCase *versions = tcase_create("versions");
    tcase_add_checked_fixture(versions, setup, NULL);
    tcase_add_loop_test(versions, test_open_earlier_version_is_brought_up_to_date, 1, VECTORS + 1);
    suite_add_tcase(suite, versions);
    return testing_run(suite);
}
