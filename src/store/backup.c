/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "store/db.h"

#define PATIENCE_MS 10000 /* for a checkpoint of the writer */

static int sql_fail(sqlite3 *db, const char *path, struct err *err)
{
    return err_set(err, ERR_STORE, "%s: %s", path, sqlite3_errmsg(db));
}

static int open_existing(sqlite3 **db, const char *path, int access, struct err *err)
{
    if (sqlite3_open_v2(path, db, access | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return sql_fail(*db, path, err);
    sqlite3_busy_timeout(*db, PATIENCE_MS);
    return 0;
}

static int create(const char *path, struct err *err)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, errno == EEXIST ? ERR_EXISTS : ERR_STORE, "%s", path);
    return 0;
}

/* All pages in one step, so that all are of one commit. */
static int copy(sqlite3 *from, sqlite3 *to, const char *path, struct err *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup)
        return sql_fail(to, path, err);
    sqlite3_backup_step(backup, -1);
    return sqlite3_backup_finish(backup) == SQLITE_OK ? 0 : sql_fail(to, path, err);
}

static int leave_out(sqlite3 *db, const char *path, const struct store_left_out *what,
                     struct err *err)
{
    char sql[192];
    for (; what && what->table; what++) {
        snprintf(sql, sizeof(sql), "DELETE FROM \"%s\"%s%s%s", what->table,
                 what->key ? " WHERE key = '" : "", what->key ? what->key : "",
                 what->key ? "'" : "");
        if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
            return sql_fail(db, path, err);
    }
    return 0;
}

static int first_word(void *ctx, int columns, char **values, char **names)
{
    (void)names;
    snprintf(ctx, 128, "%s", columns > 0 && values[0] ? values[0] : "");
    return 0;
}

static int inspect(sqlite3 *db, const char *path, struct err *err)
{
    char found[128] = "";
    if (sqlite3_exec(db, "PRAGMA quick_check(1)", first_word, found, NULL) != SQLITE_OK)
        return sql_fail(db, path, err);
    return strcmp(found, "ok") == 0 ? 0 : err_set(err, ERR_STORE, "%s: %s", path, found);
}

/* One file from now on, and what is deleted is gone. */
static int settle(sqlite3 *db, const char *path, struct err *err)
{
    if (sqlite3_exec(db,
                     "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;"
                     "PRAGMA secure_delete = ON",
                     NULL, NULL, NULL) != SQLITE_OK)
        return sql_fail(db, path, err);
    return 0;
}

static int fill(sqlite3 *source, sqlite3 *target, const char *to,
                const struct store_left_out *left_out, struct err *err)
{
    int rc = copy(source, target, to, err);
    if (rc == 0)
        rc = settle(target, to, err);
    if (rc == 0)
        rc = leave_out(target, to, left_out, err);
    return rc == 0 ? inspect(target, to, err) : rc;
}

int store_backup(const char *from, const char *to, const struct store_left_out *left_out,
                 struct err *err)
{
    sqlite3 *source = NULL, *target = NULL;
    int rc = open_existing(&source, from, SQLITE_OPEN_READONLY, err);
    if (rc == 0)
        rc = create(to, err);
    bool created = rc == 0;
    if (rc == 0)
        rc = open_existing(&target, to, SQLITE_OPEN_READWRITE, err);
    if (rc == 0)
        rc = fill(source, target, to, left_out, err);
    sqlite3_close(target);
    sqlite3_close(source);
    if (rc < 0 && created)
        unlink(to);
    return rc;
}
