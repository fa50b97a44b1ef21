/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/db_wal.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define NAME "wabridge"

/* An open -wal file; the default VFS's file is behind it in the same memory. */
struct wal_file {
    sqlite3_file base;
    sqlite3_file *under;
    bool gathers;
    uint8_t *gathered;
    size_t n, size;
    sqlite3_int64 at; /* where in the file it belongs */
};

static struct wal_file *wal_of(sqlite3_file *f)
{
    return (struct wal_file *)f;
}

/* What fails is not tried again: the commit that it is of fails with it. */
static int let_go(struct wal_file *w)
{
    if (w->n == 0)
        return SQLITE_OK;
    int rc = w->under->pMethods->xWrite(w->under, w->gathered, (int)w->n, w->at);
    w->n = 0;
    return rc;
}

static void make_room(struct wal_file *w, size_t n)
{
    size_t size = w->size;
    while (size < w->n + n)
        size = size ? size * 2 : 16384;
    if (size > STORE_WAL_GATHERED_BYTES)
        size = STORE_WAL_GATHERED_BYTES;
    if (size != w->size)
        w->gathered = err_realloc(w->gathered, size);
    w->size = size;
}

static int write_through(struct wal_file *w, const void *p, int n, sqlite3_int64 at)
{
    int rc = let_go(w);
    return rc == SQLITE_OK ? w->under->pMethods->xWrite(w->under, p, n, at) : rc;
}

static int wal_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    struct wal_file *w = wal_of(f);
    size_t more = (size_t)n;
    if (!w->gathers || more > STORE_WAL_GATHERED_BYTES)
        return write_through(w, p, n, at);
    if (w->n + more > STORE_WAL_GATHERED_BYTES || at != w->at + (sqlite3_int64)w->n) {
        int rc = let_go(w);
        if (rc != SQLITE_OK)
            return rc;
        w->at = at;
    }
    make_room(w, more);
    memcpy(w->gathered + w->n, p, more);
    w->n += more;
    return SQLITE_OK;
}

static int wal_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    struct wal_file *w = wal_of(f);
    int rc = let_go(w);
    return rc == SQLITE_OK ? w->under->pMethods->xRead(w->under, p, n, at) : rc;
}

static int wal_sync(sqlite3_file *f, int flags)
{
    struct wal_file *w = wal_of(f);
    int rc = let_go(w);
    return rc == SQLITE_OK ? w->under->pMethods->xSync(w->under, flags) : rc;
}

static int wal_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    struct wal_file *w = wal_of(f);
    int rc = let_go(w);
    return rc == SQLITE_OK ? w->under->pMethods->xTruncate(w->under, size) : rc;
}

static int wal_size(sqlite3_file *f, sqlite3_int64 *size)
{
    struct wal_file *w = wal_of(f);
    int rc = let_go(w);
    return rc == SQLITE_OK ? w->under->pMethods->xFileSize(w->under, size) : rc;
}

static int wal_close(sqlite3_file *f)
{
    struct wal_file *w = wal_of(f);
    int written = let_go(w), closed = w->under->pMethods->xClose(w->under);
    free(w->gathered);
    w->gathered = NULL;
    return written != SQLITE_OK ? written : closed;
}

static int wal_lock(sqlite3_file *f, int level)
{
    return wal_of(f)->under->pMethods->xLock(wal_of(f)->under, level);
}

static int wal_unlock(sqlite3_file *f, int level)
{
    return wal_of(f)->under->pMethods->xUnlock(wal_of(f)->under, level);
}

static int wal_check_lock(sqlite3_file *f, int *held)
{
    return wal_of(f)->under->pMethods->xCheckReservedLock(wal_of(f)->under, held);
}

static int wal_control(sqlite3_file *f, int op, void *arg)
{
    return wal_of(f)->under->pMethods->xFileControl(wal_of(f)->under, op, arg);
}

static int wal_sector(sqlite3_file *f)
{
    return wal_of(f)->under->pMethods->xSectorSize(wal_of(f)->under);
}

static int wal_traits(sqlite3_file *f)
{
    return wal_of(f)->under->pMethods->xDeviceCharacteristics(wal_of(f)->under);
}

/* Version 1: no shared memory, which belongs to the database's file, and no mapping. */
static const sqlite3_io_methods methods = {.iVersion = 1,
                                           .xClose = wal_close,
                                           .xRead = wal_read,
                                           .xWrite = wal_write,
                                           .xTruncate = wal_truncate,
                                           .xSync = wal_sync,
                                           .xFileSize = wal_size,
                                           .xLock = wal_lock,
                                           .xUnlock = wal_unlock,
                                           .xCheckReservedLock = wal_check_lock,
                                           .xFileControl = wal_control,
                                           .xSectorSize = wal_sector,
                                           .xDeviceCharacteristics = wal_traits};

/*
 * Without SQLITE_IOCAP_POWERSAFE_OVERWRITE a commit is filled up to the end of a sector and goes on
 * after its sync.
 */
static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    sqlite3_vfs *under = vfs->pAppData;
    if (!(flags & SQLITE_OPEN_WAL))
        return under->xOpen(under, name, f, flags, out);
    struct wal_file *w = wal_of(f);
    *w = (struct wal_file){.under = (sqlite3_file *)(w + 1)};
    int rc = under->xOpen(under, name, w->under, flags, out);
    if (!w->under->pMethods)
        return rc;
    w->base.pMethods = &methods;
    w->gathers = rc == SQLITE_OK && (wal_traits(f) & SQLITE_IOCAP_POWERSAFE_OVERWRITE);
    return rc;
}

/* All but opening is the default one's, which does not ask by which VFS it is called. */
const char *store_wal_vfs(void)
{
    static sqlite3_vfs vfs; /* SQLite keeps it */
    sqlite3_vfs *under = sqlite3_vfs_find(NULL);
    if (!under)
        return NULL;
    if (vfs.pAppData != under) {
        sqlite3_vfs_unregister(&vfs);
        vfs = *under;
        vfs.zName = NAME;
        vfs.pNext = NULL;
        vfs.pAppData = under;
        vfs.szOsFile = (int)sizeof(struct wal_file) + under->szOsFile;
        vfs.xOpen = vfs_open;
        if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
            return NULL;
    }
    return NAME;
}
