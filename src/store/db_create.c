/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/db_create.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool run(sqlite3 *db, const char *sql)
{
    return !sql || sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Nobody else knows the file yet: no journal, and one sync, by the last statement. */
static bool fill(sqlite3 *db, const struct store_db_spec *spec)
{
    char stamp[160];
    snprintf(stamp, sizeof(stamp), "PRAGMA application_id = %lu; PRAGMA user_version = %d; COMMIT;",
             (unsigned long)spec->application_id, spec->version);
    bool done =
        run(db,
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY") &&
        run(db, spec->search ? "PRAGMA trusted_schema = ON" : NULL) &&
        run(db, spec->shrinks ? "PRAGMA auto_vacuum = INCREMENTAL" : NULL) && run(db, "BEGIN");
    for (int i = 0; i < spec->version && done; i++)
        done = run(db, spec->migrations[i]);
    return done && run(db, spec->each_open) && run(db, stamp) &&
           run(db, "PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL");
}

static bool write_blank(int fd, const struct store_blank *blank)
{
    AUTO_FREE uint8_t *file = err_calloc(1, blank->size);
    store_blank_expand(blank, file);
    for (size_t at = 0; at < blank->size;) {
        ssize_t n = write(fd, file + at, blank->size - at);
        if (n <= 0 && errno != EINTR)
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    return fsync(fd) == 0;
}

static bool make(const char *name, const struct store_db_spec *spec)
{
    sqlite3 *db = NULL;
    AUTO_CLOSE int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, spec->mode);
    if (fd < 0 || fchmod(fd, spec->mode) != 0)
        return false;
    if (spec->blank && spec->blank->size > 0)
        return write_blank(fd, spec->blank);
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_READWRITE;
    bool done = sqlite3_open_v2(name, &db, flags, NULL) == SQLITE_OK && fill(db, spec);
    done = sqlite3_close(db) == SQLITE_OK && done;
    return done;
}

static void sync_directory(const char *dir)
{
    AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        (void)fsync(fd); /* a name that gets lost takes an empty database with it */
}

void store_db_create(const char *file, const struct store_db_spec *spec)
{
    struct stat st;
    char dir[PATH_MAX], name[PATH_MAX + 16];
    const char *slash = strrchr(file, '/');
    if (!slash || (size_t)(slash - file) >= sizeof(dir) - 1 || lstat(file, &st) == 0)
        return;
    bytes_copy_text(BYTES(file, (size_t)(slash - file) + 1), dir, sizeof(dir));
    if ((size_t)snprintf(name, sizeof(name), "%s.%s.new", dir, slash + 1) >= sizeof(name))
        return;
    unlink(name);
    if (make(name, spec) && rename(name, file) == 0)
        sync_directory(dir);
    else
        unlink(name);
}
