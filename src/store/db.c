/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE /* O_PATH */
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "store/db_create.h"
#include "store/db_memory.h"
#include "store/db_wal.h"

#define AUTO_VACUUM_INCREMENTAL 2

struct store_db {
    sqlite3 *sql;
    char *path; /* as given, for messages */
    char *file; /* its directory without links */
    const char *const *texts;
    sqlite3_stmt **statements;
    sqlite3_stmt *begin, *commit;
    size_t count;
    int wal_pages; /* in the -wal file after the last commit */
    bool dirty;    /* a group is open */
    bool failed;   /* and something in it went wrong */
    struct err error;
};

/* Keeps SQLite's words; inside a group the first failure is the one that counts. */
static int fail(struct store_db *db)
{
    int code = sqlite3_extended_errcode(db->sql);
    if ((code & 0xff) == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM)
        err_fatal("out of memory in %s", db->path);
    if (db->failed)
        return ERR_STORE;
    db->failed = db->dirty;
    int reason = 0;
    if ((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN)
        reason = sqlite3_system_errno(db->sql);
    return err_set(&db->error, ERR_STORE, "%s: %s (SQLite code %d%s%s)", db->path,
                   sqlite3_errmsg(db->sql), code, reason ? ", " : "",
                   reason ? strerror(reason) : "");
}

static int run_sql(struct store_db *db, const char *sql)
{
    return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(db);
}

/* ---- statements ------------------------------------------------------------------------- */

static sqlite3_stmt *prepared(struct store_db *db, size_t which)
{
    if (which >= db->count)
        err_fatal("%s has no statement %zu", db->path, which);
    sqlite3_stmt **slot = &db->statements[which];
    if (!*slot && sqlite3_prepare_v3(db->sql, db->texts[which], -1, SQLITE_PREPARE_PERSISTENT, slot,
                                     NULL) != SQLITE_OK)
        fail(db);
    return *slot;
}

static int bind_value(sqlite3_stmt *s, int at, const struct store_value *v)
{
    switch (v->type) {
    case STORE_TYPE_INT:
        return sqlite3_bind_int64(s, at, v->number);
    case STORE_TYPE_TEXT:
        return sqlite3_bind_text64(s, at, (const char *)v->bytes.p, v->bytes.n, SQLITE_STATIC,
                                   SQLITE_UTF8);
    case STORE_TYPE_BLOB:
        if (v->bytes.n == 0)
            return sqlite3_bind_zeroblob(s, at, 0);
        return sqlite3_bind_blob64(s, at, v->bytes.p, v->bytes.n, SQLITE_STATIC);
    case STORE_TYPE_NULL:
        break;
    }
    return sqlite3_bind_null(s, at);
}

static sqlite3_stmt *bound(struct store_db *db, size_t which, struct store_values values)
{
    sqlite3_stmt *s = db->failed ? NULL : prepared(db, which);
    if (!s)
        return NULL;
    sqlite3_reset(s);
    for (size_t i = 0; i < values.n; i++)
        if (bind_value(s, (int)i + 1, &values.p[i]) != SQLITE_OK) {
            fail(db);
            return NULL;
        }
    return s;
}

void store_db_end(sqlite3_stmt *row)
{
    if (!row)
        return;
    sqlite3_reset(row);
    sqlite3_clear_bindings(row); /* they are borrowed */
}

sqlite3_stmt *store_db_select(struct store_db *db, size_t statement, struct store_values values)
{
    return bound(db, statement, values);
}

int store_db_next(struct store_db *db, sqlite3_stmt *row)
{
    if (!row)
        return ERR_STORE;
    int rc = sqlite3_step(row);
    if (rc == SQLITE_ROW)
        return 1;
    int result = rc == SQLITE_DONE ? 0 : fail(db);
    store_db_end(row);
    return result;
}

int64_t store_db_int(sqlite3_stmt *row, int column)
{
    return sqlite3_column_int64(row, column);
}

struct bytes store_db_bytes(sqlite3_stmt *row, int column)
{
    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return BYTES_NONE;
    const void *p = sqlite3_column_type(row, column) == SQLITE_BLOB
                        ? sqlite3_column_blob(row, column)
                        : sqlite3_column_text(row, column);
    /* An empty blob comes as NULL, but it is there. */
    return BYTES(p ? p : "", (size_t)sqlite3_column_bytes(row, column));
}

const char *store_db_text(sqlite3_stmt *row, int column)
{
    return (const char *)sqlite3_column_text(row, column);
}

int store_db_number(struct store_db *db, int64_t *out, size_t statement, struct store_values values)
{
    sqlite3_stmt *row = store_db_select(db, statement, values);
    int rc = store_db_next(db, row);
    *out = rc == 1 ? store_db_int(row, 0) : 0;
    store_db_end(row);
    return rc < 0 ? rc : 0;
}

static int run_prepared(struct store_db *db, sqlite3_stmt **slot, const char *sql)
{
    if (!*slot &&
        sqlite3_prepare_v3(db->sql, sql, -1, SQLITE_PREPARE_PERSISTENT, slot, NULL) != SQLITE_OK)
        return fail(db);
    int rc = sqlite3_step(*slot) == SQLITE_DONE ? 0 : fail(db);
    sqlite3_reset(*slot);
    return rc;
}

/* ---- groups of writes ------------------------------------------------------------------- */

static int begin(struct store_db *db)
{
    if (db->failed)
        return ERR_STORE;
    if (db->dirty)
        return 0;
    db->dirty = true;
    return run_prepared(db, &db->begin, "BEGIN IMMEDIATE");
}

int store_db_write(struct store_db *db, size_t statement, struct store_values values)
{
    if (begin(db) != 0)
        return ERR_STORE;
    sqlite3_stmt *s = bound(db, statement, values);
    if (!s)
        return ERR_STORE;
    int rc = sqlite3_step(s);
    int result = rc == SQLITE_DONE ? sqlite3_changes(db->sql) : fail(db);
    store_db_end(s);
    return result;
}

int store_db_write_sql(struct store_db *db, const char *sql)
{
    return begin(db) != 0 ? ERR_STORE : run_sql(db, sql);
}

int64_t store_db_last_id(const struct store_db *db)
{
    return sqlite3_last_insert_rowid(db->sql);
}

bool store_db_failed(const struct store_db *db)
{
    return db->failed;
}

bool store_db_dirty(const struct store_db *db)
{
    return db->dirty;
}

uint64_t store_db_changes(const struct store_db *db)
{
    return (uint64_t)sqlite3_total_changes64(db->sql);
}

const char *store_db_error(const struct store_db *db)
{
    return db->error.text;
}

int store_db_commit(struct store_db *db, struct err *err)
{
    if (!db->dirty)
        return 0;
    if (!db->failed && run_prepared(db, &db->commit, "COMMIT") == 0) {
        db->dirty = false;
        return 0;
    }
    store_db_rollback(db);
    return err_set(err, ERR_STORE, "%s", db->error.text);
}

void store_db_rollback(struct store_db *db)
{
    /* A statement still under way would keep SQLite's pager in the state of the failure. */
    for (size_t i = 0; i < db->count; i++)
        store_db_end(db->statements[i]);
    /* After FULL or IOERR SQLite may have rolled back by itself. */
    if (!sqlite3_get_autocommit(db->sql))
        sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    /* The disk may be full: a checkpoint makes room in the -wal file itself. */
    if (db->failed)
        db->wal_pages = STORE_DB_CHECKPOINT_PAGES;
    db->dirty = false;
    db->failed = false;
}

static int on_commit(void *ctx, sqlite3 *sql, const char *schema, int pages)
{
    struct store_db *db = ctx;
    (void)sql;
    (void)schema;
    db->wal_pages = pages;
    return SQLITE_OK;
}

void store_db_tend(struct store_db *db)
{
    if (db->dirty || db->wal_pages < STORE_DB_CHECKPOINT_PAGES)
        return;
    sqlite3_wal_checkpoint_v2(db->sql, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    db->wal_pages = 0;
}

void store_db_rest(struct store_db *db)
{
    sqlite3_db_release_memory(db->sql);
    store_memory_rest();
}

int store_db_flush_log(struct store_db *db, struct err *err)
{
    if (run_sql(db, "PRAGMA wal_checkpoint(TRUNCATE)") == 0)
        return 0;
    return err_set(err, ERR_STORE, "%s", db->error.text);
}

/* ---- opening ---------------------------------------------------------------------------- */

/* The first column of the first row of any SQL; for pragmas. */
static int ask(struct store_db *db, const char *sql, int64_t *number, char *text, size_t size)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(db->sql, sql, -1, &s, NULL) != SQLITE_OK)
        return fail(db);
    int rc = sqlite3_step(s);
    if (rc == SQLITE_ROW && number)
        *number = sqlite3_column_int64(s, 0);
    if (rc == SQLITE_ROW && text)
        bytes_copy_text(store_db_bytes(s, 0), text, size);
    int result = rc == SQLITE_ROW ? 0 : fail(db);
    sqlite3_finalize(s);
    return result;
}

/* What is looked at is what is changed, whatever takes its name meanwhile. O_PATH: closing it drops
 * no locks of a connection we may have. */
static int set_mode(const char *path, const char *suffix, mode_t mode, struct err *err)
{
    char name[PATH_MAX], self[64];
    struct stat st;
    if ((size_t)snprintf(name, sizeof(name), "%s%s", path, suffix) >= sizeof(name))
        return err_set(err, ERR_STORE, "%s: the path is too long", path);
    AUTO_CLOSE int fd = open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return errno == ENOENT ? 0 : err_sys(err, ERR_STORE, "%s", name);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_STORE, "%s is not a regular file", name);
    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    if ((st.st_mode & 07777) != mode && chmod(self, mode) != 0)
        return err_sys(err, ERR_STORE, "cannot set mode %04o of %s", (unsigned)mode, name);
    return 0;
}

/* SQLite gives -wal and -shm the mode of the file, so it has to be right before they are made. The
 * file is never opened here when it exists: closing it would drop the locks of a connection we may
 * have. */
static int prepare_files(const char *path, mode_t mode, struct err *err)
{
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0 && errno != EEXIST)
        return err_sys(err, ERR_STORE, "%s", path);
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        int rc = set_mode(path, suffixes[i], mode, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Whose file is it, and of which version? Also reads the file for the first time. */
static int identify(struct store_db *db, const struct store_db_spec *spec, int64_t *version)
{
    int64_t id, tables;
    if (ask(db, "PRAGMA application_id", &id, NULL, 0) != 0 ||
        ask(db, "PRAGMA user_version", version, NULL, 0) != 0 ||
        ask(db, "SELECT count(*) FROM sqlite_master", &tables, NULL, 0) != 0)
        return ERR_STORE;
    bool fresh = id == 0 && *version == 0 && tables == 0;
    if (!fresh && id != spec->application_id)
        return err_set(&db->error, ERR_STORE, "%s is a database of another program", db->path);
    if (*version > spec->version)
        return err_set(&db->error, ERR_UNSUPPORTED,
                       "%s was written by a newer wabridge (schema %lld, this one knows %d)",
                       db->path, (long long)*version, spec->version);
    return 0;
}

static int configure(struct store_db *db, const struct store_db_spec *spec, bool fresh)
{
    char mode[16], sql[512];
    /* Heard only as long as the file is empty; later it would write the first page anew. */
    if (spec->shrinks && fresh && run_sql(db, "PRAGMA auto_vacuum = INCREMENTAL") != 0)
        return ERR_STORE;
    if (ask(db, "PRAGMA journal_mode = WAL", NULL, mode, sizeof(mode)) != 0)
        return ERR_STORE;
    if (strcmp(mode, "wal") != 0)
        return err_set(&db->error, ERR_STORE,
                       "%s: this file system cannot hold a shared WAL database", db->path);
    /* What constraints and references say is for others who write: here every value that they bound
     * is in the text of a statement, and looking at a list of values makes a table of it each time;
     * an answer is unlinked before its message goes. */
    snprintf(sql, sizeof(sql),
             "PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF;"
             "PRAGMA journal_size_limit = %d; PRAGMA ignore_check_constraints = ON; %s",
             STORE_DB_WAL_BYTES, spec->secure_delete ? "PRAGMA secure_delete = ON;" : "");
    if (run_sql(db, sql) != 0)
        return ERR_STORE;
    sqlite3_wal_hook(db->sql, on_commit, db); /* in the place of automatic checkpoints */
    int keep = spec->shared;
    sqlite3_file_control(db->sql, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    return 0;
}

static int migrate(struct store_db *db, const struct store_db_spec *spec, int64_t version)
{
    for (; version < spec->version; version++) {
        char stamp[96];
        snprintf(stamp, sizeof(stamp), "PRAGMA application_id = %lu; PRAGMA user_version = %lld",
                 (unsigned long)spec->application_id, (long long)version + 1);
        if (store_db_write_sql(db, spec->migrations[version]) != 0 ||
            store_db_write_sql(db, stamp) != 0 || store_db_commit(db, NULL) != 0) {
            store_db_rollback(db);
            return ERR_STORE;
        }
    }
    return 0;
}

static int add_missing(struct store_db *db, const struct store_db_spec *spec)
{
    int rc = store_db_write_sql(db, spec->each_open);
    return rc == 0 ? store_db_commit(db, NULL) : rc;
}

/*
 * A file of the time before it could shrink is written anew once. Where that fails (a full disk),
 * it is used as it is: free pages are then kept for new rows, and the next start tries again.
 */
static int make_shrinkable(struct store_db *db, const struct store_db_spec *spec)
{
    int64_t vacuum;
    if (!spec->shrinks)
        return 0;
    if (ask(db, "PRAGMA auto_vacuum", &vacuum, NULL, 0) != 0)
        return ERR_STORE;
    if (vacuum != AUTO_VACUUM_INCREMENTAL)
        sqlite3_exec(db->sql, "PRAGMA auto_vacuum = INCREMENTAL; VACUUM", NULL, NULL, NULL);
    return 0;
}

static int open_file(struct store_db *db, bool read_only)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW |
                (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    const char *vfs = read_only ? NULL : store_wal_vfs();
    return sqlite3_open_v2(db->file, &db->sql, flags, vfs) == SQLITE_OK ? 0 : fail(db);
}

static int open_handle(struct store_db *db, const struct store_db_spec *spec, bool read_only)
{
    if (open_file(db, read_only) != 0)
        return ERR_STORE;
    char sql[256];
    snprintf(sql, sizeof(sql),
             "PRAGMA busy_timeout = %d; PRAGMA cache_size = -%d; PRAGMA mmap_size = 0;"
             "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = %s",
             STORE_DB_BUSY_MS, STORE_DB_CACHE_KIB, spec->search && !read_only ? "ON" : "OFF");
    int64_t version;
    int rc = run_sql(db, sql);
    if (rc == 0)
        rc = identify(db, spec, &version);
    if (rc != 0)
        return rc;
    if (!read_only) {
        rc = configure(db, spec, version == 0);
        if (rc == 0)
            rc = migrate(db, spec, version);
        if (rc == 0 && spec->each_open)
            rc = add_missing(db, spec);
        return rc == 0 ? make_shrinkable(db, spec) : rc;
    }
    if (version < spec->version)
        return err_set(
            &db->error, ERR_UNSUPPORTED,
            "%s is of an older wabridge (schema %lld, this one reads %d); start the bridge "
            "once to bring it up to date",
            db->path, (long long)version, spec->version);
    return 0;
}

/*
 * SQLite is told to follow no link, and means all of the path by that: the directory, which is the
 * operator's, is resolved first; the name in it, which the portal may have swapped, is not. Owned.
 */
static char *without_links(const char *path)
{
    char name[PATH_MAX];
    AUTO_FREE char *copy = err_strdup(path);
    char *slash = strrchr(copy, '/');
    const char *base = slash ? slash + 1 : copy;
    if (slash)
        *slash = '\0';
    AUTO_FREE char *dir = realpath(!slash ? "." : slash == copy ? "/" : copy, NULL);
    if (!dir || (size_t)snprintf(name, sizeof(name), "%s/%s", dir, base) >= sizeof(name))
        return err_strdup(path);
    return err_strdup(name);
}

/* Only one thread uses databases, and nobody asks SQLite what it allocates: 77,000 locks less for a
 * hundred answered messages. Not heard, and not needed, where somebody was here before. */
static void prepare_library(void)
{
    static bool done;
    if (!done) {
        sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        store_memory_prepare();
    }
    done = true;
}

int store_db_open(struct store_db **out, const char *path, const struct store_db_spec *spec,
                  bool read_only, struct err *err)
{
    *out = NULL;
    prepare_library();
    AUTO_FREE char *file = without_links(path);
    if (!read_only)
        store_db_create(file, spec);
    int rc = read_only ? 0 : prepare_files(path, spec->mode, err);
    if (rc != 0)
        return rc;
    struct store_db *db = err_calloc(1, sizeof(*db));
    db->path = err_strdup(path);
    db->file = err_strdup(file);
    db->texts = spec->statements;
    db->count = spec->statement_count;
    db->statements = err_calloc(db->count, sizeof(db->statements[0]));
    rc = open_handle(db, spec, read_only);
    if (rc != 0) {
        err_set(err, rc, "%s", db->error.text);
        store_db_close(db);
        return rc;
    }
    *out = db;
    return 0;
}

void store_db_close(struct store_db *db)
{
    if (!db)
        return;
    if (db->sql)
        store_db_rollback(db);
    for (size_t i = 0; i < db->count; i++)
        sqlite3_finalize(db->statements[i]);
    sqlite3_finalize(db->begin);
    sqlite3_finalize(db->commit);
    sqlite3_close(db->sql);
    free(db->statements);
    free(db->path);
    free(db->file);
    free(db);
}
